"""
One service is killed again and again while mail comes in: clients are told 4xx or nothing, never
5xx; what got a 250 arrives exactly once; master and the others go on.
"""
import collections
import smtplib
import ssl
import threading
import time

import pytest

import server

KILLED_FOR = 2  # seconds
ANNA = "anna@example.org"


class Killer(threading.Thread):
    """Kills every process of one name as soon as it is there."""

    def __init__(self, mail, name):
        super().__init__(daemon=True)
        self.mail, self.name, self.killed = mail, name, 0
        self.over = threading.Event()

    def run(self):
        while not self.over.wait(0.02):
            for pid, name in self.mail.pids().items():
                if name == self.name:
                    try:
                        server.os.kill(pid, server.signal.SIGKILL)
                        self.killed += 1
                    except ProcessLookupError:
                        pass

    def stop(self):
        self.over.set()
        self.join()


def send(mail, number):
    """The final reply's code, or None when the connection was lost on the way."""
    text = f"Subject: message {number}\r\n\r\nhello\r\n"
    try:
        with smtplib.SMTP(*mail.smtp, timeout=100) as smtp:
            smtp.sendmail("x@far.example", [ANNA], text)
            return 250
    except smtplib.SMTPRecipientsRefused as refused:
        return refused.recipients[ANNA][0]
    except smtplib.SMTPResponseException as reply:
        return reply.smtp_code
    except (OSError, smtplib.SMTPException):
        return None


def subjects(mail):
    found = collections.Counter()
    for file in mail.messages(ANNA):
        for line in file.read_text().splitlines():
            if line.startswith("Subject: "):
                found[line[9:]] += 1
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["directory", "queue", "deliver", "mailbox", "account", "log",
                                  "resolver", "hash", "keys", "relay", "control"])
def test_service_dies_again_and_again(mail, name):
    first = mail.process.pid
    killer = Killer(mail, name)
    killer.start()
    taken, number, until = [], 0, time.monotonic() + KILLED_FOR
    try:
        while time.monotonic() < until:
            number += 1
            code = send(mail, number)
            assert code is None or code == 250 or 400 <= code < 500, code
            if code == 250:
                taken.append(f"message {number}")
    finally:
        killer.stop()
    assert killer.killed > 0 or name == "account", f"{name} was never there"
    assert mail.process.poll() is None and mail.process.pid == first

    def last_one_is_taken():
        return send(mail, "last") == 250

    server.wait_until(f"mail again after {name} came back", last_one_is_taken, seconds=40)
    server.wait_until("everything that got a 250", lambda: set(taken) <= set(subjects(mail)),
                      seconds=90)
    counts = subjects(mail)
    assert {s: n for s, n in counts.items() if n > 1 and s in taken} == {}


def test_dead_keys_leave_plain_sessions_alone(mail):
    killer = Killer(mail, "keys")
    killer.start()
    try:
        assert send(mail, 1) == 250
        context = ssl._create_unverified_context()
        with smtplib.SMTP(*mail.smtp, timeout=100) as smtp:
            try:
                smtp.starttls(context=context)
            except (OSError, smtplib.SMTPException):
                pass  # no signature, no TLS; the next connection is as good as before
        assert send(mail, 2) == 250
    finally:
        killer.stop()
    mail.wait_messages(ANNA, 2)
