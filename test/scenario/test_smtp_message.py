"""What a message carries when it has come in over SMTP: trace lines, and every octet it had."""
import email
import email.utils
import re
import smtplib
import time

import pytest

from dialogue import Dialogue
from server import SLOWER


def received(text):
    return email.message_from_bytes(text).get_all("Received")


def only_message(mail, user="anna@example.org"):
    return mail.wait_messages(user, 1)[0].read_bytes()


ZONES = {
    "127.in-addr.arpa": "2.0.0 PTR good.far.example.\n3.0.0 PTR liar.far.example.",
    "far.example": "good A 127.0.0.2\nliar A 192.0.2.1",
}


def send_from(mail, address):
    with smtplib.SMTP(*mail.smtp, local_hostname="said.example", timeout=20 * SLOWER,
                      source_address=(address, 0)) as client:
        client.sendmail("a@far.example", ["anna@example.org"], b"Subject: x\r\n\r\nx\r\n")


@pytest.mark.parametrize("address,name", [("127.0.0.2", "good.far.example"), ("127.0.0.3", "unknown"),
                                          ("127.0.0.4", "unknown")])
def test_SD_031_name_of_the_client_is_verified(make_mail, nsd, address, name):
    mail = make_mail(dns=nsd(ZONES).address)
    send_from(mail, address)
    assert f"from said.example ({name} [{address}])" in " ".join(received(only_message(mail))[0].split())
    mail.wait_log(rf"connect from {re.escape(name)}\[{re.escape(address)}\]")
    mail.wait_log(rf"client={re.escape(name)}\[{re.escape(address)}\]")


def test_SD_031_results_are_ours_alone(make_mail, nsd):
    mail = make_mail(dns=nsd(ZONES).address)
    with Dialogue(mail.smtp) as d:
        host = d.greeting[0].split()[1]
    results = "Authentication-Results: {}; spf=pass smtp.mailfrom=far.example\r\n"
    forged = [results.format(name) for name in (host, host.upper(), f'"{host}"', f"\r\n {host}", f"(x) {host}")]
    for address, verdict in (("127.0.0.2", "pass"), ("127.0.0.3", "fail")):
        with smtplib.SMTP(*mail.smtp, timeout=20 * SLOWER, source_address=(address, 0)) as client:
            client.sendmail("a@far.example", [f"{'anna' if verdict == 'pass' else 'ben'}@example.org"],
                            "".join(forged) + results.format("mx.elsewhere.example") + "Subject: x\r\n\r\nx\r\n")
    for user, verdict, address, name in (("anna", "pass", "127.0.0.2", "good.far.example"),
                                         ("ben", "fail", "127.0.0.3", "unknown")):
        text = only_message(mail, f"{user}@example.org")
        found = email.message_from_bytes(text).get_all("Authentication-Results")
        assert found == [f'{host}; iprev={verdict} policy.iprev="{address}" ({name})',
                         "mx.elsewhere.example; spf=pass smtp.mailfrom=far.example"]
        assert text.index(b"Authentication-Results: ") < text.index(b"Received: ")


def with_of(mail, user="anna@example.org"):
    return re.search(r" with (\S+) id (\S+)", " ".join(received(only_message(mail, user))[0].split()))[1]


def test_SD_038_with_smtp(mail):
    with Dialogue(mail.smtp) as d:
        assert d.codes("HELO x", "MAIL FROM:<>", "RCPT TO:<anna@example.org>") == ["250"] * 3
        d.data(b"\r\nx\r\n")
    assert with_of(mail) == "SMTP"


def test_SD_038_with_esmtp(mail):
    mail.send("a@far.example", ["anna@example.org"], "Subject: x\r\n\r\nx")
    assert with_of(mail) == "ESMTP"


def test_SD_038_with_esmtps(mail):
    with smtplib.SMTP(*mail.smtp, timeout=20 * SLOWER) as client:
        client.starttls(context=mail.tls())
        client.sendmail("a@far.example", ["anna@example.org"], b"Subject: x\r\n\r\nx")
    assert with_of(mail) == "ESMTPS"
    assert "TLSv1.3 with cipher" in received(only_message(mail))[0]


def test_SD_038_with_esmtpsa(mail):
    mail.submit("ben@example.org", ["anna@example.org"], "Subject: x\r\n\r\nx")
    assert with_of(mail) == "ESMTPSA"


@pytest.mark.mail(config="plain-auth-on-loopback yes")
def test_SD_038_with_esmtpa(mail):
    with Dialogue(mail.submission) as d:
        d("EHLO x")
        assert d.login("ben@example.org", "ben-secret")[0].startswith("235 ")
        assert d.codes("MAIL FROM:<ben@example.org>", "RCPT TO:<anna@example.org>") == ["250"] * 2
        d.data(b"\r\nx\r\n")
    assert with_of(mail) == "ESMTPA"


@pytest.mark.parametrize("trace", [
    "from a (a [IPv6:::1]) by b", "from a ([fe80::1%12]) by b", "from a ([2002:c000:204::1]) by b",
    "from a (a [IPv6:fe80::1%eth0])\r\n\tby b",
])
def test_SD_039_strange_addresses_in_others_trace_lines(mail, trace):
    text = f"Received: {trace}; Sat, 21 Nov 2026 20:00:00 +0000\r\nSubject: x\r\n\r\nx\r\n"
    mail.send("a@far.example", ["anna@example.org"], text)
    lines = received(only_message(mail))
    assert len(lines) == 2 and lines[1].split() == \
        f"{trace}; Sat, 21 Nov 2026 20:00:00 +0000".split()
    assert "%" not in lines[0]


def test_SD_045_envelope_and_header_are_apart(mail):
    mail.send("envelope@far.example", ["anna@example.org", "ben@example.org"],
              "From: header@far.example\r\nTo: somebody@far.example\r\n\r\nx\r\n")
    for user in ("anna@example.org", "ben@example.org"):
        text = only_message(mail, user)
        assert text.startswith(b"Return-Path: <envelope@far.example>\n")
        assert b"\nFrom: header@far.example\nTo: somebody@far.example\n\nx\n" in text
    assert b"ben@" not in only_message(mail, "anna@example.org")
    assert b"anna@" not in only_message(mail, "ben@example.org")


def test_SD_045_bcc_is_not_shown(mail):
    mail.submit("ben@example.org", ["anna@example.org"],
                "From: ben@example.org\r\nTo: x@far.example\r\nBcc: anna@example.org,\r\n secret@far.example\r\n\r\nx")
    text = only_message(mail)
    assert b"secret" not in text and b"Bcc" not in text


def test_SD_047_one_received_line_per_hop(mail):
    before = time.time()
    mail.send("a@far.example", ["anna@example.org"],
              "Received: from older by old; Sat, 1 Jan 2000 00:00:00 +0000\r\nSubject: x\r\n\r\nx")
    lines = received(only_message(mail))
    assert len(lines) == 2 and "older" in lines[1]
    assert re.fullmatch(r"from client\.example \(\S+ \[127\.0\.0\.1\]\) by \S+ \(Posthorn\) with ESMTP id \S+ "
                        r"for <anna@example\.org>; (.*)", " ".join(lines[0].split()))
    stamp = email.utils.parsedate_to_datetime(lines[0].rsplit(";", 1)[1].strip()).timestamp()
    assert before - 2 <= stamp <= time.time() + 2


def test_SD_047_for_only_with_one_recipient(mail):
    mail.send("a@far.example", ["anna@example.org", "ben@example.org"], "Subject: x\r\n\r\nx")
    for user in ("anna@example.org", "ben@example.org"):
        assert " for <" not in received(only_message(mail, user))[0]


@pytest.mark.parametrize("hops,code", [(49, "250"), (50, "554")])
def test_SD_047_circles_end(mail, hops, code):
    hop = b"Received: from a by b; Sat, 21 Nov 2026 20:00:00 +0000\r\n"
    with Dialogue(mail.smtp) as d:
        d.begin()
        assert d.data(hop * hops + b"Subject: x\r\n\r\nx\r\n")[0].startswith(code)


def test_SD_049_message_id_when_missing(mail):
    for _ in range(2):
        mail.submit("ben@example.org", ["anna@example.org"], "From: ben@example.org\r\nSubject: x\r\n\r\nx")
    mail.submit("ben@example.org", ["anna@example.org"],
                "From: ben@example.org\r\nMessage-ID: <own@x>\r\n\r\nx")
    texts = [f.read_bytes() for f in mail.wait_messages("anna@example.org", 3)]
    ids = [re.findall(rb"^Message-ID: (<\S+@\S+>)$", t, re.M) for t in texts]
    assert all(len(i) == 1 for i in ids) and len({i[0] for i in ids}) == 3
    assert [b"<own@x>"] in ids
    for found in ids:
        mail.wait_log(rf"[0-9A-F]{{10,}}: message-id={re.escape(found[0].decode())}")


def test_SD_049_relayed_mail_is_not_altered(mail):
    mail.send("a@far.example", ["anna@example.org"], "Subject: bare\r\n\r\nx\r\n")
    text = only_message(mail)
    assert b"Message-ID" not in text and b"\nDate:" not in text and b"\nTo:" not in text
    mail.wait_log(r"message-id=<>")


def test_SD_050_date_when_missing(mail):
    mail.submit("ben@example.org", ["anna@example.org"], "From: ben@example.org\r\nTo: anna@example.org\r\n\r\nx")
    dates = email.message_from_bytes(only_message(mail)).get_all("Date")
    assert len(dates) == 1
    assert abs(email.utils.parsedate_to_datetime(dates[0]).timestamp() - time.time()) < 60 * SLOWER
    assert re.search(r" [+-]\d{4} \(added by \S+\)$", dates[0])


def test_SD_051_undisclosed_recipients(mail):
    mail.submit("ben@example.org", ["anna@example.org"], "From: ben@example.org\r\nSubject: x\r\n\r\nx")
    assert b"\nTo: undisclosed-recipients: ;\n" in only_message(mail)


@pytest.mark.parametrize("sender", ["a@far.example", ""])
def test_SD_052_return_path(mail, sender):
    mail.send(sender, ["anna@example.org"],
              "Return-Path: <forged@far.example>\r\nSubject: x\r\n\r\nReturn-Path: body\r\n")
    text = only_message(mail)
    header, body = text.split(b"\n\n", 1)
    assert re.findall(rb"^Return-Path: (.*)$", header, re.M) == [f"<{sender}>".encode()]
    assert body == b"Return-Path: body\n"


def test_SD_057_unknown_fields_survive(mail):
    fields = (b"X-Barracuda-Apparent-Source-IP:   192.0.2.1\r\nx-ms-exchange-Foo: a;\r\n\t b=\"c\"\r\n"
              b"X-Empty:\r\nX-8bit: caf\xe9\r\n")
    mail.send("a@far.example", ["anna@example.org"], fields + b"Subject: x\r\n\r\nx\r\n")
    assert fields.replace(b"\r\n", b"\n") in only_message(mail)


@pytest.mark.parametrize("wire,stored", [
    (b"Subject: only a header\r\n", b"\nSubject: only a header\n"),
    (b"Subject: x\r\n\r\n", b"\nSubject: x\n\n"),
    (b"\r\nno header\r\n", b"\n\nno header\n"),
    (b"no header, no blank line\r\n", b"\n\nno header, no blank line\n"),
    (b"", b"\n"),
    (b"Subject: folded\r\n over\r\n\tthree lines\r\n\r\nx\r\n", b"\nSubject: folded\n over\n\tthree lines\n\nx\n"),
    (b"X-Long: " + b"y" * 990 + b"\r\n\r\nx\r\n", b"\nX-Long: " + b"y" * 990 + b"\n\nx\n"),
    (b"X-Longer: " + b"y" * 5000 + b"\r\n\r\n" + b"z" * 100000 + b"\r\n",
     b"\nX-Longer: " + b"y" * 5000 + b"\n\n" + b"z" * 100000 + b"\n"),
    (b"Subject: \xff\xfe\r\n\r\n\x80\x81\x1b\r\n", b"\nSubject: \xff\xfe\n\n\x80\x81\x1b\n"),
], ids=["header", "empty body", "blank first", "no header", "nothing", "folded", "998", "long", "8 bit"])
def test_SD_058_header_and_body(mail, wire, stored):
    with Dialogue(mail.smtp) as d:
        d.begin()
        assert d.data(wire)[0].startswith("250 ")
    assert only_message(mail).endswith(stored)


def test_SD_058_nul_is_refused(mail):
    with Dialogue(mail.smtp) as d:
        d.begin()
        assert d.data(b"Subject: a\0b\r\n\r\nx\r\n")[0].startswith("554 5.6.0 ")


@pytest.mark.parametrize("size", [60_000, 70_000, 1_500_000, 10_000_000])
def test_large_messages_arrive_whole(mail, size):
    line = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.,;:\r\n"
    body = line * (size // len(line))
    mail.send("a@far.example", ["anna@example.org"], b"Subject: large\r\n\r\n" + body)
    assert only_message(mail).endswith(b"\n\n" + body.replace(b"\r\n", b"\n"))


def test_SD_022_dsn_in_every_delivery_line(mail):
    mail.send("a@far.example", ["anna@example.org", "ben@example.org"], "Subject: x\r\n\r\nx")
    mail.wait_log(r"[0-9A-F]{10,}: to=<anna@example\.org>.*dsn=2\.0\.0, status=sent")
    mail.wait_log(r"[0-9A-F]{10,}: to=<ben@example\.org>.*dsn=2\.0\.0, status=sent")


def test_SD_054_delivered_to_and_the_loop_it_detects(mail):
    mail.send("ben@example.org", ["anna+tag@example.org"], "Subject: x\r\n\r\nx\r\n")
    text = only_message(mail)
    assert re.findall(rb"^Delivered-To: (.*)$", text, re.M) == [b"anna+tag@example.org"]
    mail.send("ben@example.org", ["anna@example.org"],
              "Delivered-To: anna@example.org\r\nSubject: again\r\n\r\nx\r\n")
    bounce = only_message(mail, "ben@example.org")
    assert b"5.4.6" in bounce and len(mail.messages("anna@example.org")) == 1
    mail.wait_log(r"to=<anna@example\.org>.*dsn=5\.4\.6, status=bounced")


def test_parts_nested_ten_thousand_deep(mail):
    depth = 10_000
    text = b"".join(b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (n, n) for n in range(depth))
    mail.send("a@far.example", ["anna@example.org"], b"MIME-Version: 1.0\r\n" + text + b"\r\nthe end\r\n")
    assert only_message(mail).endswith(b"\n\nthe end\n")
    client = mail.reader("anna@example.org")
    status, answer = client.fetch("1", "(ENVELOPE BODYSTRUCTURE)")
    assert status == "OK" and len(str(answer)) < 100_000
    for part in (".".join(["1"] * 5000), "1.MIME", "1.1.TEXT"):
        try:
            client.fetch("1", f"(BODY.PEEK[{part}])")
        except client.error:
            pass  # a clear NO or BAD will do
    assert client.noop()[0] == "OK"
