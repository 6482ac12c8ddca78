"""What a client sees of a service that is dead or stuck: a 4xx and never a lost message."""
import os
import pathlib
import signal
import subprocess
import ssl
import threading
import time

import pytest

from dialogue import Dialogue
from server import SLOWER, wait_until


def service(mail, name):
    """The process of a service."""
    for pid in mail.pids():
        try:
            if pathlib.Path("/proc", str(pid), "cmdline").read_text().startswith(f"posthorn: {name}"):
                return pid
        except OSError:
            pass
    return None


class Stuck:
    """
    A service that answers nothing; leaving waits until master has started another. Who has asked it
    before is told of its death at once; the first question of all waits for the successor.
    """

    def __init__(self, mail, name):
        self.mail, self.name = mail, name
        self.pid = service(mail, name)

    def __enter__(self):
        os.kill(self.pid, signal.SIGSTOP)
        return self

    def kill(self):
        """Once the question has been asked; nobody can see it lie there, so this takes its time."""
        time.sleep(SLOWER)
        os.kill(self.pid, signal.SIGKILL)

    def __exit__(self, *_):
        wait_until(f"{self.name} to come back",
                   lambda: service(self.mail, self.name) not in (None, self.pid))


def begin_and_kill(d, command, stuck):
    """Says the command, and kills the service that it waits for."""
    d.raw(command.encode() + b"\r\n")
    stuck.kill()
    return d.reply()[-1]


def test_dead_directory(mail):
    with Dialogue(mail.smtp) as d:
        assert d.codes("EHLO x", "MAIL FROM:<a@far.example>", "RCPT TO:<nobody@example.org>") == \
            ["250", "250", "550"]
        with Stuck(mail, "directory") as stuck:
            assert begin_and_kill(d, "RCPT TO:<anna@example.org>", stuck).startswith("451 4.3.0 ")
        wait_until("directory to answer", lambda: d("RCPT TO:<anna@example.org>")[0].startswith("250 "))
        assert d.data(b"\r\nx\r\n")[0].startswith("250 ")
    mail.wait_messages("anna@example.org", 1)
    mail.wait_log(r"smtpd\[\d+\]: NOQUEUE: reject: RCPT from .*: 451 4\.3\.0 ")


def test_dead_directory_at_auth(mail):
    with Dialogue(mail.submission) as d:
        d("EHLO x")
        d.starttls(mail.tls())
        d("EHLO x")
        assert d.login("anna@example.org", "wrong")[0].startswith("535 ")
        with Stuck(mail, "directory") as stuck:
            assert begin_and_kill(d, "AUTH PLAIN AGFubmFAZXhhbXBsZS5vcmcAYW5uYS1zZWNyZXQ=",
                                  stuck).startswith("454 4.7.0 ")
        wait_until("directory to answer",
                   lambda: d.login("anna@example.org", "anna-secret")[0].startswith("235 "))


@pytest.mark.tsan
def test_dead_queue(mail):
    with Dialogue(mail.smtp) as d:
        d.begin()
        assert d.data(b"Subject: first\r\n\r\nx\r\n")[0].startswith("250 ")
        d.begin()
        with Stuck(mail, "queue") as stuck:
            assert d("DATA")[0].startswith("354 ")
            assert begin_and_kill(d, "Subject: x\r\n\r\nx\r\n.", stuck).startswith("451 4.3.0 ")

        def again():
            d.begin()
            return d.data(b"Subject: x\r\n\r\nx\r\n")[0].startswith("250 ")

        wait_until("queue to take it", again)
    mail.wait_messages("anna@example.org", 2)


def test_dead_resolver(mail):
    with Dialogue(mail.smtp) as d:
        d("QUIT")
    with Stuck(mail, "resolver") as stuck:
        with Dialogue(mail.smtp, greeting=False, source="127.0.0.9") as d:
            stuck.kill()
            assert d.reply()[0].startswith("220 ")
            d.begin()
            assert d.data(b"\r\nx\r\n")[0].startswith("250 ")
    assert b"(unknown [127.0.0.9])" in mail.wait_messages("anna@example.org", 1)[0].read_bytes()
    mail.wait_log(r"smtpd\[\d+\]: warning: resolver cannot say")


def test_dead_keys(mail):
    with Dialogue(mail.smtp) as d:
        d("EHLO x")
        d.starttls(mail.tls())
    with Stuck(mail, "keys") as stuck:
        with Dialogue(mail.smtp) as d:
            d("EHLO x")
            assert d("STARTTLS")[0].startswith("220 ")
            threading.Thread(target=stuck.kill).start()
            with pytest.raises((ssl.SSLError, ConnectionError)):
                mail.tls().wrap_socket(d.socket)
    with Dialogue(mail.smtp) as d:
        d("EHLO x")
        d.starttls(mail.tls())
        d.begin()
        assert d.data(b"\r\nx\r\n")[0].startswith("250 ")
    mail.wait_log(r"TLS handshake failed with")


@pytest.mark.tsan
def test_a_dead_smtpd_comes_back(mail):
    with Dialogue(mail.smtp) as d:
        d.begin()
        os.kill(service(mail, "smtpd"), signal.SIGKILL)
        assert d.ended()
    with Dialogue(mail.smtp) as d:
        d.begin()
        assert d.data(b"\r\nx\r\n")[0].startswith("250 ")
    mail.wait_messages("anna@example.org", 1)


def renew_certificate(mail):
    """A reload starts only those services anew whose settings or certificate have changed."""
    keys = mail.dir / "keys"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj",
                    "/CN=localhost", "-days", "2", "-keyout", keys / "self-signed.key",
                    "-out", keys / "self-signed.pem"], check=True, capture_output=True)


def test_reload_lets_conversations_end(mail):
    renew_certificate(mail)
    with Dialogue(mail.smtp) as idle, Dialogue(mail.smtp) as busy:
        idle("EHLO x")
        busy.begin()
        assert busy("DATA")[0].startswith("354 ")
        busy.raw(b"Subject: slow\r\n\r\n")
        mail.process.send_signal(signal.SIGHUP)
        assert idle.reply()[0].startswith("421 4.3.2 ") and idle.ended()
        busy.raw(b"hello\r\n.\r\n")
        assert busy.reply()[0].startswith("250 ")
        assert busy.reply()[0].startswith("421 4.3.2 ") and busy.ended()
    mail.wait_messages("anna@example.org", 1)
    wait_until("the next smtpd", lambda: service(mail, "smtpd"))
    with Dialogue(mail.smtp) as d:
        assert d("NOOP")[0].startswith("250 ")


def test_too_many_connections_are_turned_away(mail):
    limit = 1000  # SMTPD_CONVERSATIONS_MAX
    crowd = [Dialogue(mail.smtp) for _ in range(limit)]
    assert all(d.greeting[0].startswith("220 ") for d in crowd)
    with Dialogue(mail.smtp) as d:
        assert d.greeting[0].startswith("421 4.7.0 ") and d.ended()
    for d in crowd[:10]:
        assert d("QUIT")[0].startswith("221 ")
        d.socket.close()
    wait_until("a place to be free", lambda: Dialogue(mail.smtp).greeting[0].startswith("220 "))
    crowd[-1].begin()
    assert crowd[-1].data(b"\r\nx\r\n")[0].startswith("250 ")
    for d in crowd:
        d.socket.close()
    mail.wait_messages("anna@example.org", 1)
    mail.wait_log(r"smtpd\[\d+\]: warning: too many con")


@pytest.mark.slow
@pytest.mark.mail(config="queue-memory 64M")
def test_large_messages_wait_for_one_another(mail):
    """More of them at once than memory is given for, and nobody says how large they will be."""
    line = b"0123456789abcdefghijklmnopqrstuvwxyz" * 2 + b"\r\n"
    replies = []

    def send():
        with Dialogue(mail.smtp, seconds=100) as d:
            d.begin()
            replies.append(d.data(b"\r\n" + line * (8_000_000 // len(line)))[0])

    threads = [threading.Thread(target=send) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [r[:4] for r in replies] == ["250 "] * len(threads), replies
    mail.wait_messages("anna@example.org", len(threads), seconds=30)
