"""Postfix on the other side, in both directions, each finding the other by MX records from NSD."""
import email
import re

import pytest

import peers
import postfix
from server import wait_until

pytestmark = pytest.mark.skipif(not postfix.usable(), reason="needs root and Postfix")

ADDRESS, NAMES = "127.0.0.8", "127.0.0.53"
TEXT = "From: {0}\r\nTo: {1}\r\nSubject: over there\r\nMessage-ID: <1@{2}>\r\n\r\nhello\r\n.dot\r\n\xfc\r\n"


@pytest.fixture
def world(make_mail, tmp_path):
    """Posthorn (example.org), Postfix (post.example) and NSD, which Postfix asks on port 53."""
    port = peers.free_port()
    mail = make_mail(start=False)
    zones = {
        "post.example": "@ MX 10 mx\nmx A " + ADDRESS,
        "example.org": "@ MX 10 mx\nmx A 127.0.0.1",
    }
    nsd = peers.Nsd(tmp_path / "names", zones, address=NAMES, port=53)
    server = None
    try:
        config = tmp_path / "world.conf"
        config.write_text(f"hostname mx.example.org\nrelay {{ port {port}; to-private yes }}\nqueue-retry 1s\n")
        mail.args += ["--dns", f"{NAMES}:53", "--config", str(config)]
        mail.start()
        server = postfix.Postfix(ADDRESS, port, "post.example", ["paul"],
                                 port_out=mail.smtp[1], dns=NAMES)
        yield mail, server
    finally:
        if server:
            server.close()
        nsd.close()


def test_SD_102_SD_127_from_posthorn_to_postfix(world):
    mail, server = world
    text = TEXT.format("anna@example.org", "paul@post.example", "example.org").encode("latin-1")
    mail.submit("anna@example.org", ["paul@post.example"], text)
    file, = wait_until("mail at Postfix", lambda: server.messages("paul"))
    message = file.read_bytes()
    assert message.endswith(b"\n\nhello\n.dot\n\xfc\n")
    assert email.message_from_bytes(message)["Return-Path"] == "<anna@example.org>"
    line = mail.wait_log(r"to=<paul@post\.example>, relay=mx\.post\.example\[127\.0\.0\.8\]:\d+, .*status=sent \(250 2\.0\.0 Ok: queued as (\w+)\)")[0]
    assert f"{line[1]}: from=<anna@example.org>" in server.log()  # one grep finds it on both sides
    wait_until("TLS", lambda: re.search(r"disconnect from .* starttls=1 ", server.log()))


def test_SD_102_SD_202_from_postfix_to_posthorn(world):
    mail, server = world
    text = TEXT.format("paul@post.example", "anna@example.org", "post.example").encode("latin-1")
    server.send("paul@post.example", ["anna@example.org", "ben@example.org"], text)
    for user in ("anna@example.org", "ben@example.org"):
        file, = mail.wait_messages(user, 1)
        assert file.read_bytes().endswith(b"\n\nhello\n.dot\n\xfc\n")
    wait_until("Postfix to be done", lambda: server.log().count(": removed") == 1)
    assert "status=deferred" not in server.log() and "status=bounced" not in server.log()
    client = mail.reader("anna@example.org")
    assert client.search(None, "SUBJECT", '"over there"') == ("OK", [b"1"])


def test_bounce_from_postfix(world):
    """Unknown there: refused in the dialogue, reported by us."""
    mail, server = world
    text = TEXT.format("anna@example.org", "nobody@post.example", "example.org").encode("latin-1")
    mail.submit("anna@example.org", ["nobody@post.example"], text)
    file, = mail.wait_messages("anna@example.org", 1)
    report = email.message_from_bytes(file.read_bytes())
    assert report.get_payload()[1].get_payload()[1]["Status"] == "5.1.1"


def test_bounce_to_postfix(world):
    """Unknown here: refused in the dialogue, Postfix reports to its user."""
    mail, server = world
    text = TEXT.format("paul@post.example", "nobody@example.org", "post.example").encode("latin-1")
    server.send("paul@post.example", ["nobody@example.org"], text)
    file, = wait_until("a report", lambda: server.messages("paul"))
    report = email.message_from_bytes(file.read_bytes())
    fields = report.get_payload()[1].get_payload()[1]
    assert fields["Status"] == "5.1.1" and "mx.example.org" in fields["Remote-MTA"]


def test_many_messages_both_ways(world):
    mail, server = world
    for i in range(30):
        mail.submit("anna@example.org", ["paul@post.example"],
                    TEXT.format("anna@example.org", "paul@post.example", f"a{i}").encode("latin-1"))
        server.send("paul@post.example", ["ben@example.org"],
                    TEXT.format("paul@post.example", "ben@example.org", f"b{i}").encode("latin-1"))
    mail.wait_messages("ben@example.org", 30, seconds=30)
    wait_until("30 at Postfix", lambda: len(server.messages("paul")) >= 30, seconds=30)
    assert len(server.messages("paul")) == 30
