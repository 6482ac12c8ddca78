"""Domains, accounts and aliases, from the command line."""
import contextlib
import json
import os
import signal
import smtplib
import subprocess
import threading
import time

import pytest

from server import POSTHORN, SLOWER, wait_until

# `posthorn` without a server: on the database itself. With one: through the admin socket.
BOTH = pytest.mark.parametrize("running", [True, False], ids=["running", "down"])


@pytest.fixture
def office(make_mail, running):
    mail = make_mail()
    if not running:
        mail.stop()
    return mail


def addresses(mail):
    return {a["address"]: a for a in json.loads(mail.command("account", "list", "--json"))}


@BOTH
def test_SD_105_an_account_needs_no_user_of_the_system(office):
    office.command("account", "add", "carla@example.org", text="carla-secret\n")
    carla = addresses(office)["carla@example.org"]
    assert carla["enabled"] and carla["password"] and carla["folder"] == "example.org/carla"
    assert subprocess.run(["getent", "passwd", "carla"], check=False).returncode == 2
    office.command("account", "disable", "Carla@Example.ORG")
    assert not addresses(office)["carla@example.org"]["enabled"]
    office.command("account", "enable", "carla@example.org")
    office.command("account", "remove", "carla@example.org")
    assert "carla@example.org" not in addresses(office)


@BOTH
def test_SD_106_domains_are_added_listed_and_removed(office):
    office.command("domain", "add", "b.example")
    office.command("account", "add", "anna@b.example", "--hash", "$6$salt$hash")
    assert json.loads(office.command("domain", "list", "--json")) == [
        {"domain": "b.example"}, {"domain": "example.org"}]
    refused = office.command("domain", "remove", "b.example", check=False)
    assert refused.returncode == 65 and "still has accounts" in refused.stderr
    office.command("account", "remove", "anna@b.example")
    office.command("domain", "remove", "b.example")
    assert office.command("domain", "list") == "example.org\n"


@BOTH
def test_aliases(office):
    office.command("alias", "add", "info@example.org", "anna", "x@far.example")
    office.command("alias", "add", "@example.org", "ben@example.org")
    assert json.loads(office.command("alias", "list", "--json")) == [
        {"alias": "@example.org", "members": ["ben@example.org"]},
        {"alias": "info@example.org", "members": ["anna@example.org", "x@far.example"]}]
    office.command("alias", "remove", "info@example.org", "x@far.example")
    office.command("alias", "remove", "@example.org")
    assert office.command("alias", "list").split() == ["info@example.org", "anna@example.org"]


@BOTH
def test_dump_and_apply(office, tmp_path):
    before = office.command("dump")
    text = tmp_path / "dump"
    text.write_text(before + "alias all@example.org anna@example.org ben@example.org\n")
    assert office.command("apply", "--dry-run", str(text)) == "+ alias all@example.org\n"
    assert office.command("dump") == before
    assert office.command("apply", str(text)) == "+ alias all@example.org\n"
    assert office.command("dump") == text.read_text()
    assert office.command("apply", str(text)) == ""
    assert office.command("apply", "-", text=before) == "- alias all@example.org\n"


@BOTH
def test_apply_names_line_and_column(office):
    wrong = office.command("apply", "-", text="directory-version 1\ndomain a b\nuser x\n", check=False)
    assert wrong.returncode == 65
    assert wrong.stderr == ("-:2:10: a domain has one name\n"
                            "-:3:1: unknown word; there are domain, account, alias\n")


@BOTH
def test_what_is_refused_says_why(office):
    for code, why, *words in [
        (73, "an account of that address", "account", "add", "anna@example.org", "--hash", "$6$x"),
        (67, "no such domain", "account", "add", "anna@far.example", "--hash", "$6$x"),
        (65, "not a password's hash", "account", "add", "carla@example.org", "--hash", "secret"),
        (67, "no such account", "account", "remove", "nobody@example.org"),
        (67, "no such alias", "alias", "remove", "nobody@example.org"),
        (64, "usage:", "account", "add"),
        (64, "usage:", "alias", "list", "--nonsense"),
    ]:
        refused = office.command(*words, check=False)
        assert refused.returncode == code and why in refused.stderr, words


def may_log_in(mail, user, password):
    with smtplib.SMTP(*mail.submission, local_hostname="client", timeout=30 * SLOWER) as client:
        client.starttls(context=mail.tls())
        try:
            client.login(user, password)
        except smtplib.SMTPAuthenticationError as refused:
            assert refused.smtp_code == 535
            return False
        return True


def test_a_changed_password_counts_at_once(mail):
    assert may_log_in(mail, "anna@example.org", "anna-secret")
    assert may_log_in(mail, "ANNA@example.org", "anna-secret")
    assert not may_log_in(mail, "anna@example.org", "Anna-secret")
    mail.command("account", "passwd", "anna@example.org", text="another\n")
    assert not may_log_in(mail, "anna@example.org", "anna-secret")
    assert may_log_in(mail, "anna@example.org", "another")
    mail.command("account", "disable", "anna@example.org")
    assert not may_log_in(mail, "anna@example.org", "another")
    assert not may_log_in(mail, "nobody@example.org", "another")


@pytest.mark.parametrize("stored", [
    "$6$rounds=1000$saltsalt$LAV5VE5Y7w1d73x1mFNspYWUpazfmwv2SoepNXNKJ/otop/"
    "Zok96Hr8Q13LEv0DRY/x8v0/crpIjl8NJSAqXV/",
    "$5$rounds=1000$saltsalt$eKLZU9t9OoPWrqOQsoTIKG0aYkZ5rGOoOQhiIvoSWX2",
    "$1$saltsalt$9xy1btjgzLYfb7hivXtC//",
    "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
    "$y$j75$saltsaltsalt$jyf/lxrpdyAIshWRo1x5DRC6KIE7sNRRtjcomR3PgHA",
], ids=lambda stored: stored[:4].strip("$"))
def test_passwords_brought_along_fit(mail, stored):
    mail.command("account", "add", "carla@example.org", "--hash", stored)
    assert may_log_in(mail, "carla@example.org", "secret")
    assert not may_log_in(mail, "carla@example.org", "Secret")


def test_what_was_added_survives_a_crash(mail):
    mail.command("account", "add", "carla@example.org", text="carla-secret\n")
    mail.kill_all()
    assert "carla@example.org" in addresses(mail)
    mail.start()
    assert "carla@example.org" in addresses(mail)


def test_nobody_else_may_command(mail):
    if os.geteuid() != 0:
        pytest.skip("wants root to become somebody else")
    done = subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", POSTHORN, "account",
                           "--dir", mail.dir, "list"], capture_output=True, text=True,
                          timeout=30 * SLOWER, check=False)
    assert done.returncode == 77 or done.returncode == 69
    assert "anna" not in done.stdout


def test_guessing_passwords_delays_no_recipient(mail):
    over = threading.Event()
    guesses = []

    def guess(number):
        while not over.is_set():
            with contextlib.suppress(smtplib.SMTPException, OSError):
                guesses.append(may_log_in(mail, "anna@example.org", f"guess {number} {len(guesses)}"))

    guessers = [threading.Thread(target=guess, args=[n]) for n in range(8)]
    for guesser in guessers:
        guesser.start()
    try:
        with smtplib.SMTP(*mail.smtp, local_hostname="client", timeout=30 * SLOWER) as client:
            client.ehlo()
            waits = []
            for _ in range(100):
                client.mail("x@far.example")
                began = time.monotonic()
                # Not in any cache of answers: each name is asked for once.
                assert client.rcpt(f"ben+{len(waits)}@example.org")[0] == 250
                waits.append(time.monotonic() - began)
                client.rset()
    finally:
        over.set()
        for guesser in guessers:
            guesser.join()
    assert guesses and not any(guesses)
    assert sorted(waits)[90] < 0.1 * SLOWER, sorted(waits)[-20:]


def deliver(mail, *recipients):
    """Sends one message over port 25 with its own Subject; returns that."""
    deliver.count = getattr(deliver, "count", 0) + 1
    subject = f"Subject: message {deliver.count}"
    refused = mail.send("x@far.example", recipients, subject + "\r\n\r\ntext\r\n")
    assert not refused
    return subject


def has(mail, address, subject):
    """How many copies; waits for the first."""
    files = lambda: [f for f in mail.messages(address) if subject in f.read_text()]
    wait_until(f"{subject} for {address}", files, [mail.maildir(address) / "new"])
    return len(files())


def test_SD_093_mail_for_an_alias_reaches_its_user(mail):
    mail.command("alias", "add", "John_Adams@example.org", "anna")
    for address in ["John_Adams@example.org", "john_adams@example.org", "JOHN_ADAMS@EXAMPLE.org"]:
        assert has(mail, "anna@example.org", deliver(mail, address)) == 1


def test_SD_094_each_member_gets_one_copy(make_mail, smtp_peer):
    peer = smtp_peer()
    mail = make_mail(relay_to=peer.address)
    mail.command("alias", "add", "admin@example.org", "anna", "ben@example.org", "all@example.org",
                 "far@far.example")
    mail.command("alias", "add", "all@example.org", "ben", "anna", "admin@example.org", "far@far.example")
    subject = deliver(mail, "admin@example.org", "anna@example.org")
    assert has(mail, "anna@example.org", subject) == 1
    assert has(mail, "ben@example.org", subject) == 1
    peer.wait(1)
    mail.wait_log("removed")
    assert [has(mail, a, subject) for a in mail.users] == [1, 1] and len(peer.messages) == 1


def test_SD_094_one_failing_member_does_not_hold_up_the_others(mail):
    mail.command("account", "add", "carla@example.org", "--hash", "")
    mail.command("alias", "add", "admin@example.org", "carla", "nobody@example.org", "anna")
    mail.command("account", "disable", "carla@example.org")
    assert has(mail, "anna@example.org", deliver(mail, "admin@example.org")) == 1


def test_SD_105_an_account_made_now_gets_mail_now(mail):
    mail.command("account", "add", "carla@example.org", text="carla-secret\n")
    assert has(mail, "carla@example.org", deliver(mail, "carla+lists@example.org")) == 1


def test_SD_106_the_same_name_in_two_domains(make_mail):
    mail = make_mail(users={"info@a.example": "a-secret", "info@b.example": "b-secret"})
    mail.command("alias", "add", "@b.example", "info@b.example")
    for address, box in [("info@a.example", "info@a.example"), ("info@b.example", "info@b.example"),
                         ("whoever@b.example", "info@b.example"), ("postmaster@b.example", "info@a.example")]:
        assert has(mail, box, deliver(mail, address)) == 1
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        deliver(mail, "whoever@a.example")
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        deliver(mail, "info@c.example")


def test_a_large_alias_reaches_everybody(mail):
    """More members than one answer of the directory holds."""
    names = [f"u{i}@example.org" for i in range(700)]
    dump = mail.command("dump") + "".join(f"account {n} {{ }}\n" for n in names)
    mail.command("apply", "-", text=dump + f"alias all@example.org {' '.join(names)}\n")
    subject = deliver(mail, "all@example.org")
    mail.wait_log("removed", seconds=60)
    assert all(has(mail, n, subject) == 1 for n in names)


def processes(mail, service):
    return [pid for pid, name in mail.pids().items() if name == service]


def test_a_killed_directory_is_missed_for_a_moment_only(mail):
    with smtplib.SMTP(*mail.smtp, local_hostname="client", timeout=30 * SLOWER) as client:
        client.ehlo()
        client.mail("x@far.example")
        for _ in range(3):
            for pid in processes(mail, "directory"):
                os.kill(pid, signal.SIGKILL)
            codes = set()

            def answered():
                codes.add(client.rcpt("anna@example.org")[0])
                return 250 in codes

            wait_until("an answer", answered)
            assert codes <= {250, 451}
    assert "anna@example.org" in addresses(mail)
    mail.wait_log("a service ended.*directory")


def test_a_killed_hash_is_missed_for_a_moment_only(mail):
    assert len(processes(mail, "hash")) == 2
    for _ in range(2):
        for pid in processes(mail, "hash"):
            os.kill(pid, signal.SIGKILL)

        def let_in():
            try:
                return may_log_in(mail, "anna@example.org", "anna-secret")
            except smtplib.SMTPException as later:
                assert later.smtp_code == 454, later
                return False

        wait_until("a login", let_in)
        assert not may_log_in(mail, "anna@example.org", "wrong")
