"""IMAP up to authentication: the process `login`."""
import imaplib
import os
import signal
import socket
import time

import pytest

from server import SLOWER, wait_until

TIMEOUT = 20 * SLOWER


class Client:
    """A line-by-line IMAP client without opinions."""

    def __init__(self, address):
        self.socket = socket.create_connection(address, timeout=TIMEOUT)
        self.file = self.socket.makefile("rb")
        self.greeting = self.file.readline()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()

    def say(self, octets):
        self.socket.sendall(octets)

    def hear(self):
        return self.file.readline()

    def ask(self, command, tag=b"a"):
        self.say(tag + b" " + command + b"\r\n")
        return self.until(tag)

    def until(self, tag=b"a"):
        lines = []
        while not lines or not lines[-1].startswith(tag + b" "):
            lines.append(self.hear())
            assert lines[-1], f"closed after {lines}"
        return lines


def services(mail, name):
    return [pid for pid, service in mail.pids().items() if service == name]


def test_SD_075_starttls(mail):
    client = imaplib.IMAP4(*mail.imap, timeout=TIMEOUT)
    client.starttls(mail.tls())
    assert "STARTTLS" not in client.capabilities and "AUTH=PLAIN" in client.capabilities
    client.logout()


def test_SD_075_nothing_is_injected_behind_starttls(mail):
    with Client(mail.imap) as client:
        client.say(b"a STARTTLS\r\nb LOGIN anna@example.org anna-secret\r\n")
        assert client.hear().startswith(b"a BAD ")
        assert client.hear() == b""


@pytest.mark.tsan
def test_SD_070_right_and_wrong_passwords(mail):
    client = imaplib.IMAP4(*mail.imap, timeout=TIMEOUT)
    for user, wrong in (("anna@example.org", "anna-secre"), ("anna@example.org", "ANNA-SECRET"),
                        ("nobody@example.org", "anna-secret")):
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            client.login(user, wrong)
    with pytest.raises(imaplib.IMAP4.abort):
        client.noop()  # three are enough for one connection
    for user in mail.users:
        assert mail.reader(user).logout()[0] == "BYE"


def test_SD_070_guessing_gets_slower_and_nothing_else_does(mail):
    def guess():
        began = time.monotonic()
        with Client(mail.imap) as client:
            assert client.ask(b"LOGIN anna@example.org x")[-1].startswith(b"a NO [AUTHENTICATIONFAILED]")
        return time.monotonic() - began

    waits = [guess() for _ in range(4)]
    assert waits[3] > 3 * waits[0] and waits[0] > 0.4
    began = time.monotonic()
    mail.reader("anna@example.org").logout()
    assert time.monotonic() - began < waits[3]


@pytest.mark.parametrize("tls", [False, True])
def test_SD_070_mechanisms(mail, tls):
    def connect():
        if tls:
            return imaplib.IMAP4_SSL(*mail.imaps, ssl_context=mail.tls(), timeout=TIMEOUT)
        return imaplib.IMAP4(*mail.imap, timeout=TIMEOUT)

    client = connect()
    assert client.authenticate("PLAIN", lambda _: b"\0anna@example.org\0anna-secret")[0] == "OK"
    assert client.select()[0] == "OK"
    client.logout()
    client = connect()
    answers = iter([b"anna@example.org", b"anna-secret"])
    assert client.authenticate("LOGIN", lambda _: next(answers))[0] == "OK"
    assert client.select()[0] == "OK"
    client.logout()


def test_what_follows_login_is_the_sessions(mail):
    """Commands that a client sends without waiting are not lost when its socket changes hands."""
    with Client(mail.imap) as client:
        client.say(b"a LOGIN {16}\r\n")
        assert client.hear().startswith(b"+ ")
        client.say(b"anna@example.org {11+}\r\nanna-secret\r\nb NOOP\r\nc SELECT INBOX\r\nd LOGOUT\r\n")
        answers = client.until(b"d")
        for tag in (b"a", b"b", b"c", b"d"):
            assert [line for line in answers if line.startswith(tag + b" OK")], (tag, answers)


@pytest.mark.parametrize("junk", [
    b"\0" * 1000 + b"\r\n",
    b"a" * 100000 + b"\r\n",
    b"a LOGIN {9223372036854775808}\r\n",
    b"a LOGIN {99999999999999999999999999999+}\r\n",
    b"a LOGIN {4294967295+}\r\n",
    b"a AUTHENTICATE PLAIN " + b"A" * 100000 + b"\r\n",
    b"a LOGIN \"x\r\n",
    b"\xff\xfe\r\n\r\n\r\n",
])
def test_junk_before_login_gets_a_clear_error(mail, junk):
    with Client(mail.imap) as client:
        client.say(junk)
        assert client.hear().split(b" ")[1] in (b"BAD", b"BYE")
    with Client(mail.imap) as other:
        assert other.ask(b"NOOP") == [b"a OK Done\r\n"]


def test_batches_follow_one_another(mail):
    """200 connections that say nothing are three batches and more; all are served, nobody waits."""
    clients = [Client(mail.imap) for _ in range(200)]
    try:
        assert all(c.greeting.startswith(b"* OK") for c in clients)
        assert len(services(mail, "login")) > 3
        for c in clients:
            assert c.ask(b"NOOP") == [b"a OK Done\r\n"]
    finally:
        for c in clients:
            c.close()
    wait_until("the old batches to end", lambda: len(services(mail, "login")) == 1)


@pytest.mark.mail(config="login-batch 1\n")
def test_a_batch_of_one(mail):
    with Client(mail.imap) as one, Client(mail.imap) as two:
        assert one.ask(b"NOOP") == two.ask(b"NOOP") == [b"a OK Done\r\n"]
        wait_until("a third process", lambda: len(services(mail, "login")) == 3)


def test_tls_sessions_outlive_their_batch(mail):
    readers = [mail.reader("anna@example.org") for _ in range(70)]
    assert len(services(mail, "login")) > 1
    for r in readers:
        assert r.noop()[0] == "OK"
    for r in readers:
        r.logout()
    wait_until("the old batch to end", lambda: len(services(mail, "login")) == 1)


def test_login_dies_and_comes_back(mail):
    plain, secure = mail.reader("anna@example.org", tls=False), mail.reader("anna@example.org")
    for pid in services(mail, "login"):
        os.kill(pid, signal.SIGKILL)
    assert plain.noop()[0] == "OK"  # its socket is its account's process's own
    with pytest.raises((OSError, imaplib.IMAP4.abort)):
        secure.noop()
    reader = mail.reader("anna@example.org")
    reader.logout()
    plain.logout()


def test_dead_directory_is_a_temporary_failure(mail):
    with Client(mail.imap) as client:
        for pid in services(mail, "directory"):
            os.kill(pid, signal.SIGSTOP)
        try:
            client.say(b"a NOOP\r\n")
            assert client.hear() == b"a OK Done\r\n"
            for pid in services(mail, "directory"):
                os.kill(pid, signal.SIGKILL)
        finally:
            for pid in services(mail, "directory"):
                os.kill(pid, signal.SIGCONT)
        wait_until("directory to come back", lambda: services(mail, "directory"))
    mail.reader("anna@example.org").logout()
