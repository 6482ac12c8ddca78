"""Mail to other servers: where it goes, what they answer, what becomes of it."""
import email
import os
import re
import shutil
import signal
import smtplib
import subprocess
import time

import pytest

from lab import dns, faults
from peers import free_port
from server import SLOWER, octets, wait_until

TEXT = "From: anna@example.org\nTo: x@far.example\nSubject: out\n\nhello\n"
ANNA = "anna@example.org"
# Retries after a second, for half a minute.
QUICK = "queue-retry 1s\n"


@pytest.fixture
def out(make_mail):
    """
    out(zone, config="") starts Posthorn with that DNS; its relay connects to out.port of whatever
    addresses the zone names.
    """

    class Out:
        def __init__(self):
            self.port = free_port()
            self.dns = None

        def __call__(self, zone, config="", **options):
            self.dns = dns.Server(zone).start()
            return make_mail(dns=("127.0.0.1", self.dns.port),
                             config=f"relay {{ port {self.port}; to-private yes }}\n" + config, **options)

    o = Out()
    yield o
    if o.dns:
        o.dns.stop()


def exchangers(*hosts):
    """A zone: far.example with MX records, each (preference, name, address ...)."""
    zone = {"far.example": {"MX": [(preference, name) for preference, name, *_ in hosts]}}
    for _, name, *addresses in hosts:
        zone[name] = {
            "A": [a for a in addresses if ":" not in a],
            "AAAA": [a for a in addresses if ":" in a],
        }
    return zone


def results(mail, count=1, seconds=20):
    """The relay's lines: [{to, relay, delay, delays, dsn, status, text}]."""
    pattern = (r"posthorn/relay\[\d+\]: (?P<id>[0-9A-F]+): to=<(?P<to>[^>]*)>, relay=(?P<relay>\S+), "
               r"delay=(?P<delay>[\d.e+-]+), delays=(?P<delays>[\d./e+-]+), dsn=(?P<dsn>[\d.]+), "
               r"status=(?P<status>\w+) \((?P<text>.*)\)$")
    return [m.groupdict() for m in mail.wait_log(pattern, count, seconds)]


def bounces(mail, count=1, user=ANNA, seconds=20):
    files = mail.wait_messages(user, count, seconds=seconds)
    return [email.message_from_bytes(f.read_bytes()) for f in files]


def status_fields(bounce):
    """The per-recipient fields of a report."""
    parts = bounce.get_payload()
    assert bounce.get_content_type() == "multipart/report"
    assert parts[1].get_content_type().endswith("delivery-status")
    return parts[1].get_payload()[1]


# Where it goes


@pytest.mark.tsan
def test_SD_023_SD_102_SD_132_lowest_preference_first(out, smtp_peer):
    first, second = (smtp_peer(address=a, port=out.port) for a in ("127.0.0.2", "127.0.0.3"))
    mail = out(exchangers((20, "mx2.far.example", "127.0.0.3"), (10, "mx1.far.example", "127.0.0.2")))
    mail.submit(ANNA, ["x@far.example"], TEXT)
    message, = first.wait(1)
    assert message["sender"] == ANNA and message["recipients"] == ["x@far.example"]
    assert message["data"].endswith(b"\r\n\r\nhello\r\n")
    assert not second.connections
    line, = results(mail)
    assert line["relay"] == f"mx1.far.example[127.0.0.2]:{out.port}"
    assert (line["to"], line["dsn"], line["status"]) == ("x@far.example", "2.0.0", "sent")
    assert line["text"] == "250 2.0.0 Ok: queued as PEER"
    parts = [float(p) for p in line["delays"].split("/")]
    assert len(parts) == 4 and abs(sum(parts) - float(line["delay"])) < 0.02 + 0.06 * sum(parts)


def test_SD_023_equal_preferences_share(out, smtp_peer):
    peers = [smtp_peer(address=a, port=out.port) for a in ("127.0.0.2", "127.0.0.3")]
    zone = exchangers((10, "mx1.far.example", "127.0.0.2"), (10, "mx2.far.example", "127.0.0.3"))
    for i in range(12):  # as many domains, or one connection would carry them all
        zone[f"d{i}.example"] = zone["far.example"]
    mail = out(zone)
    for i in range(12):
        mail.submit(ANNA, [f"x@d{i}.example"], TEXT)
    results(mail, 12)
    assert all(p.messages for p in peers)
    assert sum(len(p.messages) for p in peers) == 12


def test_SD_030_addresses_of_one_name_share(out, smtp_peer):
    peers = [smtp_peer(address=a, port=out.port) for a in ("127.0.0.2", "127.0.0.3")]
    zone = exchangers((10, "mx.far.example", "127.0.0.2", "127.0.0.3"))
    for i in range(12):
        zone[f"d{i}.example"] = zone["far.example"]
    mail = out(zone)
    for i in range(12):
        mail.submit(ANNA, [f"x@d{i}.example"], TEXT)
    results(mail, 12)
    assert all(p.messages for p in peers)


def test_SD_023_ipv6_first_and_its_absence_is_no_failure(out, smtp_peer):
    six, four = smtp_peer(address="127.0.0.2", port=out.port), smtp_peer(address="127.0.0.3", port=out.port)
    zone = exchangers((10, "mx.far.example", "::ffff:127.0.0.2", "127.0.0.3"))
    zone["four.example"] = {"MX": [(10, "mx4.far.example")]}
    zone["mx4.far.example"] = {"A": ["127.0.0.3"]}
    mail = out(zone)
    mail.submit(ANNA, ["x@far.example"], TEXT)
    six.wait(1)
    mail.submit(ANNA, ["x@four.example"], TEXT)
    four.wait(1)


def test_SD_024_second_exchanger_when_the_first_is_down(out, smtp_peer):
    second = smtp_peer(address="127.0.0.3", port=out.port)
    mail = out(exchangers((10, "mx1.far.example", "127.0.0.2"), (20, "mx2.far.example", "127.0.0.3")))
    mail.submit(ANNA, ["x@far.example"], TEXT)
    second.wait(1)
    assert [r["status"] for r in results(mail)] == ["sent"]
    assert not mail.messages(ANNA)


def test_SD_024_second_exchanger_when_the_first_refuses_everybody(out, smtp_peer):
    first = smtp_peer(address="127.0.0.2", port=out.port, replies={"CONNECT": "554 5.3.2 closed"})
    second = smtp_peer(address="127.0.0.3", port=out.port)
    mail = out(exchangers((10, "mx1.far.example", "127.0.0.2"), (20, "mx2.far.example", "127.0.0.3")))
    mail.submit(ANNA, ["x@far.example"], TEXT)
    second.wait(1)
    assert first.connections == 1


def test_SD_025_SD_027_exchangers_elsewhere_and_not_theirs(out, smtp_peer):
    host_b, host_c = smtp_peer(address="127.0.0.2", port=out.port), smtp_peer(address="127.0.0.3", port=out.port)
    mail = out({
        "far.example": {"MX": [(10, "hostb.other.test")]},
        "hostb.other.test": {"A": ["127.0.0.2"], "MX": [(10, "hostc.other.test")]},
        "hostc.other.test": {"A": ["127.0.0.3"]},
    })
    mail.submit(ANNA, ["x@far.example"], TEXT)
    host_b.wait(1)
    assert not host_c.connections


def test_SD_026_exchanger_that_is_an_alias(out, smtp_peer):
    peer = smtp_peer(address="127.0.0.2", port=out.port)
    mail = out({
        "far.example": {"MX": [(10, "alias.far.example")]},
        "alias.far.example": {"CNAME": "real.far.example"},
        "real.far.example": {"A": ["127.0.0.2"]},
    })
    mail.submit(ANNA, ["x@far.example"], TEXT)
    peer.wait(1)
    mail.wait_log(r"host=alias\.far\.example.*alias")


def test_SD_028_wildcard_exchangers(out, smtp_peer):
    wild, own = smtp_peer(address="127.0.0.2", port=out.port), smtp_peer(address="127.0.0.3", port=out.port)
    mail = out({
        "*.dc.example": {"MX": [(5, "wild.example")]},
        "own.dc.example": {"MX": [(5, "own.example")]},
        "wild.example": {"A": ["127.0.0.2"]},
        "own.example": {"A": ["127.0.0.3"]},
    })
    mail.submit(ANNA, ["x@any.dc.example"], TEXT)
    wild.wait(1)
    mail.submit(ANNA, ["x@own.dc.example"], TEXT)
    own.wait(1)


def test_SD_029_implicit_exchanger(out, smtp_peer):
    peer = smtp_peer(address="127.0.0.2", port=out.port)
    mail = out({"far.example": {"A": ["127.0.0.2"]}})
    mail.submit(ANNA, ["x@far.example"], TEXT)
    peer.wait(1)


@pytest.mark.tsan
def test_SD_022_SD_029_null_mx_bounces_at_once(out, smtp_peer):
    peer = smtp_peer(address="127.0.0.2", port=out.port)
    mail = out({"far.example": {"MX": [(0, ".")], "A": ["127.0.0.2"]}})
    mail.submit(ANNA, ["x@far.example"], TEXT)
    bounce, = bounces(mail)
    line, = results(mail)
    assert (line["dsn"], line["status"], line["relay"]) == ("5.1.10", "bounced", "none")
    fields = status_fields(bounce)
    assert fields["Status"] == "5.1.10"  # the same as in the log
    assert fields["Final-Recipient"] == "rfc822; x@far.example"
    assert bounce["Return-Path"] == "<>" and bounce["Auto-Submitted"] == "auto-replied"
    assert not peer.connections


def test_no_such_domain_bounces(out):
    mail = out({"far.example": {"A": ["127.0.0.2"]}})
    mail.submit(ANNA, ["x@nowhere.example"], TEXT)
    bounces(mail)
    assert results(mail)[0]["dsn"] == "5.1.2"


def test_broken_dns_defers(out):
    mail = out({"far.example": dns.SERVFAIL, "near.example": {"MX": [(10, "mx.near.example")]},
                "mx.near.example": dns.SERVFAIL}, QUICK)
    mail.submit(ANNA, ["x@far.example"], TEXT)
    mail.submit(ANNA, ["x@near.example"], TEXT)
    lines = results(mail, 2)
    assert {(r["dsn"], r["status"]) for r in lines} == {("4.4.3", "deferred")}
    assert not mail.messages(ANNA)


@pytest.mark.parametrize("address", ["127.0.0.2", "10.0.0.1", "::1", "::ffff:127.0.0.2", "0.0.0.0"])
def test_exchangers_may_not_be_private(make_mail, address):
    """A stranger's MX record must not make us talk to ourselves or to our neighbours."""
    zone = exchangers((10, "mx.far.example", address))
    with dns.Server(zone) as names:
        mail = make_mail(dns=("127.0.0.1", names.port), config="relay { port 1 }\n")
        mail.submit(ANNA, ["x@far.example"], TEXT)
        line = results(mail)[0]
    assert line["dsn"] in ("5.4.4", "5.4.6") and (line["status"], line["relay"]) == ("bounced", "none")


# A fixed next hop


def test_SD_034_smart_host_by_address(make_mail, smtp_peer):
    peer = smtp_peer()
    mail = make_mail(relay_to=peer.address)
    mail.submit(ANNA, ["x@far.example", "y@other.example"], TEXT)
    wait_until("both", lambda: sum(len(m["recipients"]) for m in peer.messages) == 2)
    assert {r["relay"] for r in results(mail, 2)} == {"127.0.0.1[127.0.0.1]:%d" % peer.address[1]}


@pytest.mark.parametrize("brackets", [True, False])
def test_SD_034_smart_host_by_name(make_mail, smtp_peer, brackets):
    port = free_port()
    by_mx, by_address = (smtp_peer(address=a, port=port) for a in ("127.0.0.2", "127.0.0.3"))
    zone = {"hub.example": {"MX": [(10, "mx.hub.example")], "A": ["127.0.0.3"]},
            "mx.hub.example": {"A": ["127.0.0.2"]}}
    with dns.Server(zone) as names:
        host = "[hub.example]" if brackets else "hub.example"
        mail = make_mail(dns=("127.0.0.1", names.port),
                         config=f"relay-host {host}:{port} {{ tls off }}\n")
        mail.submit(ANNA, ["x@far.example"], TEXT)
        (by_address if brackets else by_mx).wait(1)
        assert (by_mx if brackets else by_address).connections == 0


def test_SD_034_smart_host_wants_a_login(make_mail, smtp_peer, tmp_path):
    said = []
    peer = smtp_peer(extensions=["AUTH PLAIN LOGIN"],
                     replies={"AUTH": lambda line: said.append(line) or "235 2.7.0 welcome"})
    secret = tmp_path / "login"
    secret.write_text("me:pa:ss\n")
    secret.chmod(0o600)
    mail = make_mail(config="relay-host %s:%d { tls off; login-file %s }\n" % (*peer.address, secret))
    mail.submit(ANNA, ["x@far.example"], TEXT)
    peer.wait(1)
    assert said == ["AUTH PLAIN AG1lAHBhOnNz"]
    assert "pa:ss" not in mail.log()


# What they answer


@pytest.mark.tsan
def test_SD_019_SD_035_4xx_is_tried_again(out, smtp_peer):
    peer = smtp_peer(address="127.0.0.2", port=out.port, replies={"RCPT": ["450 4.2.1 greylisted", "450 4.2.1 again"]})
    mail = out(exchangers((10, "mx.far.example", "127.0.0.2")), QUICK)
    mail.submit(ANNA, ["x@far.example"], TEXT)
    peer.wait(1, 20)
    lines = results(mail, 3)
    assert [r["status"] for r in lines] == ["deferred", "deferred", "sent"]
    assert lines[0]["dsn"] == "4.2.1"
    assert "said: 450 4.2.1 greylisted (in reply to RCPT TO)" in lines[0]["text"]
    assert not mail.messages(ANNA)


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "."])
def test_SD_019_SD_022_5xx_bounces_at_once(out, smtp_peer, verb):
    peer = smtp_peer(address="127.0.0.2", port=out.port, replies={verb: "550 5.7.9 not this"})
    mail = out(exchangers((10, "mx.far.example", "127.0.0.2")))
    mail.submit(ANNA, ["x@far.example"], TEXT)
    bounce, = bounces(mail)
    line, = results(mail)
    fields = status_fields(bounce)
    assert line["dsn"] == fields["Status"] == "5.7.9"
    assert line["status"] == "bounced"
    assert fields["Diagnostic-Code"].startswith("smtp; 550 5.7.9 not this")
    assert fields["Remote-MTA"] == "dns; mx.far.example"
    assert "Subject: out" in bounce.get_payload()[2].as_string()
    assert "hello" not in bounce.get_payload()[2].as_string()
    assert not peer.messages


def test_a_bounce_never_bounces(out, smtp_peer):
    """The report goes to a sender whose own server refuses it: that is the end of it."""
    peer = smtp_peer(address="127.0.0.2", port=out.port, replies={"RCPT": "550 5.1.1 nobody"})
    mail = out(exchangers((10, "mx.far.example", "127.0.0.2")))
    mail.submit(ANNA, ["x@far.example"], TEXT)
    bounces(mail)
    mail.wait_log(r": removed$", 2)
    time.sleep(0.5)
    assert len(results(mail)) == 1
    assert len([c for c in peer.commands if c.startswith("RCPT")]) == 1


def test_each_recipient_has_a_reply_of_its_own(out, smtp_peer):
    def reply(line):
        return {"no@": "550 5.1.1 no", "la@": "450 4.2.2 full"}.get(line[line.index("<") + 1:][:3])

    peer = smtp_peer(address="127.0.0.2", port=out.port, replies={"RCPT": reply})
    mail = out(exchangers((10, "mx.far.example", "127.0.0.2")))
    mail.submit(ANNA, ["yes@far.example", "no@far.example", "la@far.example"], TEXT)
    message, = peer.wait(1)
    assert message["recipients"] == ["yes@far.example"]
    got = {r["to"][:2]: r["status"] for r in results(mail, 3)}
    assert got == {"ye": "sent", "no": "bounced", "la": "deferred"}
    bounce, = bounces(mail)
    assert status_fields(bounce)["Final-Recipient"] == "rfc822; no@far.example"


def test_connection_is_used_again(out, smtp_peer):
    peer = smtp_peer(address="127.0.0.2", port=out.port)
    mail = out(exchangers((10, "mx.far.example", "127.0.0.2")))
    for _ in range(5):
        mail.submit(ANNA, ["x@far.example"], TEXT)
        peer.wait(1)
    peer.wait(5)
    assert peer.connections < 5
    assert len({m["connection"] for m in peer.messages}) < 5


def test_lines_and_dots_arrive_as_they_are(out, smtp_peer):
    peer = smtp_peer(address="127.0.0.2", port=out.port)
    mail = out(exchangers((10, "mx.far.example", "127.0.0.2")))
    body = b".\r\n..\r\n.x\r\n\r\n" + b"y" * 900 + b"\r\n" + bytes(range(128, 256)) + b"\r\nend"
    mail.submit(ANNA, ["x@far.example"], TEXT.encode().replace(b"\n", b"\r\n") + body)
    message, = peer.wait(1)
    assert message["data"].endswith(b"hello\r\n" + body + b"\r\n")
    assert any("BODY=8BITMIME" in c for c in peer.commands)


def test_large_message(out, smtp_peer):
    peer = smtp_peer(address="127.0.0.2", port=out.port)
    mail = out(exchangers((10, "mx.far.example", "127.0.0.2")))
    body = (b"0123456789" * 7 + b"\r\n") * 40000
    mail.submit(ANNA, ["x@far.example"], TEXT.encode().replace(b"\n", b"\r\n") + body)
    message, = peer.wait(1, 30)
    assert message["data"].endswith(body)


@pytest.mark.parametrize("offered", [True, False])
def test_international_addresses(out, smtp_peer, offered):
    peer = smtp_peer(address="127.0.0.2", port=out.port, extensions=["SMTPUTF8"] if offered else [])
    mail = out({"xn--bcher-kva.example": {"MX": [(10, "mx.far.example")]}, "mx.far.example": {"A": ["127.0.0.2"]}})
    with smtplib.SMTP(*mail.submission, local_hostname="client", timeout=30) as client:
        client.starttls(context=mail.tls())
        client.login(ANNA, mail.users[ANNA])
        client.sendmail(ANNA, ["j\xfcrgen@b\xfccher.example"], octets(TEXT), ["SMTPUTF8", "BODY=8BITMIME"])
    if offered:
        message, = peer.wait(1)
        assert message["recipients"] == ["j\xfcrgen@b\xfccher.example"]
        assert any(c.endswith(" SMTPUTF8") for c in peer.commands)
        return
    bounce, = bounces(mail)
    assert results(mail)[0]["dsn"] == "5.6.7"
    assert bounce.get_payload()[1].get_content_type() == "message/global-delivery-status"  # RFC 6533
    assert "Final-Recipient: utf-8; j\xfcrgen@b\xfccher.example".encode() in mail.messages(ANNA)[0].read_bytes()


def test_address_literal(out, smtp_peer):
    peer = smtp_peer(address="127.0.0.2", port=out.port)
    mail = out({})
    mail.submit(ANNA, ["x@[127.0.0.2]"], TEXT)
    message, = peer.wait(1)
    assert message["recipients"] == ["x@[127.0.0.2]"]


def test_many_recipients_of_one_domain(out, smtp_peer):
    peer = smtp_peer(address="127.0.0.2", port=out.port)
    mail = out(exchangers((10, "mx.far.example", "127.0.0.2")))
    names = [f"user{i}@far.example" for i in range(230)]
    mail.submit(ANNA, names, TEXT)
    results(mail, len(names))
    assert sorted(r for m in peer.messages for r in m["recipients"]) == sorted(names)
    assert len(peer.messages) < 10


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-nodes", "-days", "3", "-subj", "/CN=mx.far.example",
                    "-addext", "subjectAltName=DNS:mx.far.example", "-keyout", key, "-out", cert],
                   check=True, capture_output=True)
    return cert, key


def test_SD_037_tls_when_offered(out, smtp_peer, certificate):
    peer = smtp_peer(address="127.0.0.2", port=out.port, tls=certificate)
    mail = out(exchangers((10, "mx.far.example", "127.0.0.2")))
    mail.submit(ANNA, ["x@far.example"], TEXT)
    message, = peer.wait(1)
    assert message["tls"]
    mail.wait_log(r"TLS connection to mx\.far\.example\[127\.0\.0\.2\].*TLSv1\.3")


def test_broken_tls_falls_back(out):
    got = []
    mail = out(exchangers((10, "mx.far.example", "127.0.0.2")))
    with faults.Faulty(faults.broken_tls_then_clear(got.append), "127.0.0.2", out.port) as server:
        mail.submit(ANNA, ["x@far.example"], TEXT)
        assert results(mail)[0]["status"] == "sent"
        assert server.connections == 2 and got[0].endswith(b"hello\r\n")


def test_injected_bytes_behind_starttls(out):
    mail = out(exchangers((10, "mx.far.example", "127.0.0.2")))
    with faults.Faulty(faults.bytes_behind_starttls, "127.0.0.2", out.port):
        mail.submit(ANNA, ["x@far.example"], TEXT)
        line = results(mail)[0]
    assert line["status"] == "deferred"


@pytest.mark.parametrize("offered", [True, False])
def test_smart_host_must_prove_its_name(make_mail, smtp_peer, certificate, offered):
    """Unless told otherwise: no mail and no password for whoever answers there."""
    peer = smtp_peer(tls=certificate if offered else None)
    names = {"hub.example": {"A": ["127.0.0.1"]}}
    with dns.Server(names) as server:
        mail = make_mail(dns=("127.0.0.1", server.port), config=f"relay-host [hub.example]:{peer.address[1]}\n")
        mail.submit(ANNA, ["x@far.example"], TEXT)
        line = results(mail)[0]
    assert (line["status"], line["dsn"]) == ("deferred", "4.7.5" if offered else "4.7.4")
    assert not any(c.startswith("MAIL") for c in peer.commands)


# Hostile servers


@pytest.mark.parametrize("fault", [faults.endless_banner, faults.endless_line, faults.ten_thousand_lines,
                                   faults.nul_and_bare_lf, faults.close_after_data])
def test_hostile_servers_cost_nothing_but_a_wait(out, fault):
    mail = out(exchangers((10, "mx.far.example", "127.0.0.2")))
    with faults.Faulty(fault, "127.0.0.2", out.port):
        mail.submit(ANNA, ["x@far.example"], TEXT)
        line = results(mail)[0]
    assert line["status"] == "deferred" and line["dsn"].startswith("4.")
    relay, = [pid for pid, name in mail.pids().items() if "relay" in name] or [None]
    if relay:
        peak = int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{relay}/status").read())[1])
        assert peak < 60000 * SLOWER


def test_what_follows_the_yes_does_not_matter(out):
    mail = out(exchangers((10, "mx.far.example", "127.0.0.2")), QUICK)
    with faults.Faulty(faults.yes_then_reset, "127.0.0.2", out.port):
        mail.submit(ANNA, ["x@far.example"], TEXT)
        line = results(mail)[0]
        assert (line["status"], line["text"]) == ("sent", "250 2.0.0 Ok: queued as LAST")
        mail.wait_log(r": removed$")


def test_silent_server_blocks_nobody_else(out, smtp_peer):
    peer = smtp_peer(address="127.0.0.3", port=out.port)
    zone = exchangers((10, "mx.far.example", "127.0.0.2"))
    zone["near.example"] = {"A": ["127.0.0.3"]}
    mail = out(zone)
    with faults.Faulty(faults.silence, "127.0.0.2", out.port):
        mail.submit(ANNA, ["x@far.example"], TEXT)
        mail.submit(ANNA, ["x@near.example"], TEXT)
        peer.wait(1)


# Waiting


def test_SD_035_waits_while_the_destination_is_down(out, smtp_peer):
    mail = out(exchangers((10, "mx.far.example", "127.0.0.2")), QUICK)
    mail.submit(ANNA, ["x@far.example"], TEXT)
    line = results(mail)[0]
    assert line["status"] == "deferred" and line["dsn"] == "4.4.1"
    assert "Connection refused" in line["text"] and line["relay"] == "none"
    mail.kill_all()  # a crash forgets nothing
    mail.start()
    results(mail, 2)
    peer = smtp_peer(address="127.0.0.2", port=out.port)
    peer.wait(1, 30)
    time.sleep(1.5)
    assert len(peer.messages) == 1


def test_SD_035_too_old_goes_back(out):
    mail = out(exchangers((10, "mx.far.example", "127.0.0.2")), QUICK + "queue-age-max 3s\n")
    mail.submit(ANNA, ["x@far.example"], TEXT)
    bounce, = bounces(mail)
    assert status_fields(bounce)["Status"].startswith(("4.4", "5.4"))


def test_SD_035_relay_killed_in_the_middle(out, smtp_peer):
    """The process that was sending dies: another sends, once more at most."""
    hold = []
    peer = smtp_peer(address="127.0.0.2", port=out.port,
                     replies={"DATA": lambda line: hold.append(line) or time.sleep(1)})
    mail = out(exchangers((10, "mx.far.example", "127.0.0.2")), QUICK)
    mail.submit(ANNA, ["x@far.example"], TEXT)
    wait_until("DATA", lambda: hold)
    for pid, name in mail.pids().items():
        if "relay" in name:
            subprocess.run(["kill", "-KILL", str(pid)], check=True)
    peer.wait(1, 30)
    assert "sent" in {r["status"] for r in results(mail)}


def test_SD_035_queue_killed_while_it_is_sent(out, smtp_peer):
    """What the relay learned meanwhile is told to the queue's successor: nothing is sent twice."""
    hold = []
    peer = smtp_peer(address="127.0.0.2", port=out.port,
                     replies={".": lambda line: hold.append(line) or time.sleep(1)})
    mail = out(exchangers((10, "mx.far.example", "127.0.0.2")), QUICK)
    mail.submit(ANNA, ["x@far.example"], TEXT)
    wait_until("the end of the message", lambda: hold)
    for pid, name in mail.pids().items():
        if name == "queue":
            os.kill(pid, signal.SIGKILL)
    peer.wait(1)
    mail.wait_log(r": removed$", seconds=30)
    time.sleep(2)
    assert len(peer.messages) == 1


# The same program on both sides


def test_SD_126_one_posthorn_to_another(make_mail):
    there = make_mail(users={"carla@far.example": "carla-secret"}, config="hostname there.example\n")
    here = make_mail(relay_to=there.smtp, config="hostname here.example\n")
    here.submit(ANNA, ["carla@far.example"], TEXT)
    file, = there.wait_messages("carla@far.example", 1)
    message = email.message_from_bytes(file.read_bytes())
    assert len(message.get_all("Received")) == 2
    assert message["Return-Path"] == "<anna@example.org>"


def test_SD_126_mail_to_ourselves_is_a_loop(make_mail):
    """The exchanger of a domain that is not ours is this very server: no endless circle."""
    mail = make_mail(start=False)
    zone = {"far.example": {"MX": [(10, "mx.far.example")]}, "mx.far.example": {"A": ["127.0.0.1"]}}
    with dns.Server(zone) as names:
        mail.args += ["--dns", f"127.0.0.1:{names.port}"]
        config = mail.dir.parent / "loop.conf"
        config.write_text(f"relay {{ port {mail.smtp[1]}; to-private yes }}\n")
        mail.args += ["--config", str(config)]
        mail.start()
        mail.submit(ANNA, ["x@far.example"], TEXT)
        line = results(mail)[0]
        assert line["status"] == "bounced" and line["dsn"] == "5.4.6"
        bounces(mail)


# Log lines


def test_SD_127_SD_130_SD_131_SD_133_life_of_a_message_in_the_log(out, smtp_peer):
    smtp_peer(address="127.0.0.2", port=out.port)
    mail = out(exchangers((10, "mx.far.example", "127.0.0.2")))
    mail.submit(ANNA, ["x@far.example"], "Message-ID: <m1@example.org>\n" + TEXT)
    line, = results(mail)
    mail.wait_log(rf"{line['id']}: removed$")
    log = mail.log()
    lines = [entry for entry in log.splitlines() if f" {line['id']}: " in entry]
    assert all(re.match(r"\w{3} [ \d]\d \d\d:\d\d:\d\d \S+ posthorn/[a-z/]+\[\d+\]: [0-9A-F]+: ", entry)
               for entry in lines), lines
    assert sum(f"{line['id']}: message-id=<m1@example.org>" in entry for entry in lines) == 1
    assert sum(bool(re.search(r": from=<anna@example\.org>, size=\d+, nrcpt=1 \(queue active\)$", entry))
               for entry in lines) == 1
    assert sum(entry.endswith(": removed") for entry in lines) == 1
    assert re.search(r"posthorn/submission/smtpd\[\d+\]: connect from \S+\[127\.0\.0\.1\]", log)
    assert re.search(r"posthorn/submission/smtpd\[\d+\]: disconnect from \S+\[127\.0\.0\.1\].* mail=1 .*commands=\d+", log)
    assert re.search(rf"{line['id']}: client=\S+\[127\.0\.0\.1\]", log)


def test_dead_resolver_defers_and_is_restarted(out, smtp_peer):
    peer = smtp_peer(address="127.0.0.2", port=out.port)
    mail = out(exchangers((10, "mx.far.example", "127.0.0.2")), QUICK)
    resolver, = [pid for pid, name in mail.pids().items() if "resolver" in name]
    os.kill(resolver, signal.SIGKILL)
    mail.submit(ANNA, ["x@far.example"], TEXT)
    peer.wait(1, 20)


@pytest.mark.skipif(not shutil.which("pflogsumm"), reason="needs pflogsumm")
def test_SD_127_pflogsumm_reads_our_log(out, smtp_peer):
    def reply(line):
        return {"no@": "550 5.1.1 no", "la@": "450 4.2.2 full"}.get(line[line.index("<") + 1:][:3])

    smtp_peer(address="127.0.0.2", port=out.port, replies={"RCPT": reply})
    mail = out(exchangers((10, "mx.far.example", "127.0.0.2")))
    mail.submit(ANNA, ["yes@far.example", "no@far.example", "la@far.example", "ben@example.org"], TEXT)
    results(mail, 3)
    bounces(mail)
    mail.wait_messages("ben@example.org", 1)
    text = subprocess.run(["pflogsumm", "--syslog-name=posthorn", mail.log_file()], check=True,
                          capture_output=True, text=True).stdout
    head = text[:text.index("Per-Hour")]
    totals = {name: int(number) for number, name in re.findall(r"^ +(\d+) +([a-z]+)", head, re.M)}
    assert totals["delivered"] == 3, text  # yes, ben, and the report to anna
    assert totals["bounced"] == 1 and totals["deferred"] == 1, text
    assert totals["received"] == 1 and totals["rejected"] == 0, text
