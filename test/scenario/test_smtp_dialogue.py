"""The SMTP dialogue on port 25, byte by byte."""
import re
import socket
import time

import pytest

from dialogue import Dialogue


@pytest.fixture
def d(mail):
    with Dialogue(mail.smtp) as dialogue:
        yield dialogue


def test_SD_001_greeting_comes_first(mail):
    with Dialogue(mail.smtp) as d:
        assert re.fullmatch(r"220 \S+ ESMTP .*", d.greeting[0]) and len(d.greeting) == 1


def test_SD_001_who_talks_first_is_flagged(mail):
    with Dialogue(mail.smtp, greeting=False) as d:
        d.raw(b"EHLO early.example\r\n")
        assert d.reply()[0].startswith("220 ")
        assert d.reply()[0].startswith("250-")
    mail.wait_log(r"smtpd\[\d+\]: PREGREET from .*\[127\.0\.0\.1\]")


@pytest.mark.parametrize("helo", ["HELO x", "helo hostA", "HeLo client.example"])
def test_SD_002_helo_in_any_case(mail, d, helo):
    reply = d(helo)
    assert len(reply) == 1 and reply[0].startswith("250 ")
    assert d.codes("MAIL FROM:<a@far.example>", "RCPT TO:<anna@example.org>") == ["250", "250"]
    assert d.data(b"Subject: old\r\n\r\nhello\r\n")[0].startswith("250 ")
    mail.wait_messages("anna@example.org", 1)


def test_SD_003_ehlo_names_client_and_address(d):
    reply = d("EHLO client.example")
    name = d.greeting[0].split()[1]
    assert re.fullmatch(rf"250-{re.escape(name)} Hello .*\[127\.0\.0\.1\], pleased to meet you", reply[0])
    offers = {line[4:].split()[0] for line in reply[1:]}
    assert {"PIPELINING", "SIZE", "8BITMIME", "ENHANCEDSTATUSCODES", "SMTPUTF8", "CHUNKING",
            "STARTTLS", "HELP"} <= offers
    assert reply[-1] == "250 HELP"


@pytest.mark.parametrize("name", ["localhost", "my_pc", "[192.0.2.1]", "[IPv6:2001:db8::1]"])
def test_SD_003_wrong_names_are_taken(d, name):
    assert d.codes(f"EHLO {name}", "MAIL FROM:<a@far.example>") == ["250", "250"]


@pytest.mark.mail(config="message-size-max 100K")
def test_SD_004_size_is_announced_and_held(mail, d):
    assert "250-SIZE 102400" in d("EHLO x")
    assert d("MAIL FROM:<> SIZE=380")[0].startswith("250 ")
    assert d("RSET")[0].startswith("250 ")
    assert d("MAIL FROM:<> SIZE=102401")[0].startswith("552 5.3.4 ")
    assert d.codes("MAIL FROM:<> SIZE=1", "RCPT TO:<anna@example.org>") == ["250", "250"]
    reply = d.data(b"Subject: large\r\n\r\n" + b"0123456789abcdef\r\n" * 10000)
    assert reply[0].startswith("552 5.3.4 ")
    assert d.codes("MAIL FROM:<>", "RCPT TO:<anna@example.org>") == ["250", "250"]
    assert d.data(b"Subject: small\r\n\r\nx\r\n")[0].startswith("250 ")
    assert b"Subject: small" in mail.wait_messages("anna@example.org", 1)[0].read_bytes()


@pytest.mark.tsan
def test_SD_005_pipelining(mail, d):
    d.raw(b"EHLO x\r\nMAIL FROM:<a@far.example>\r\nRCPT TO:<anna@example.org>\r\n"
          b"RCPT TO:<nobody@example.org>\r\nRCPT TO:<ben@example.org>\r\nDATA\r\n")
    assert [d.reply()[-1][:3] for _ in range(6)] == ["250", "250", "250", "550", "250", "354"]
    d.raw(b"Subject: one\r\n\r\n1\r\n.\r\nMAIL FROM:<a@far.example>\r\nRCPT TO:<anna@example.org>\r\n"
          b"DATA\r\nSubject: two\r\n\r\n2\r\n.\r\nQUIT\r\n")
    assert [d.reply()[-1][:3] for _ in range(6)] == ["250", "250", "250", "354", "250", "221"]
    mail.wait_messages("anna@example.org", 2)
    mail.wait_messages("ben@example.org", 1)


def test_SD_005_data_without_a_recipient(d):
    d.raw(b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<nobody@example.org>\r\nDATA\r\nNOOP\r\n")
    assert [d.reply()[-1][:3] for _ in range(5)] == ["250", "250", "550", "554", "250"]


@pytest.mark.parametrize("body", ["", " BODY=8BITMIME", " BODY=7BIT"])
def test_SD_006_8bit_octets_stay(mail, d, body):
    assert "250-8BITMIME" in d("EHLO x")
    assert d.codes(f"MAIL FROM:<a@far.example>{body}", "RCPT TO:<anna@example.org>") == ["250", "250"]
    octets = bytes(c for c in range(1, 256) if c not in b"\r\n")
    assert d.data(b"Subject: x\r\n\r\n" + octets + b"\r\n")[0].startswith("250 ")
    assert mail.wait_messages("anna@example.org", 1)[0].read_bytes().endswith(b"\n\n" + octets + b"\n")


def test_SD_006_binary_is_not_offered(d):
    assert d.codes("EHLO x", "MAIL FROM:<> BODY=BINARYMIME", "MAIL FROM:<> BODY=9BIT") == ["250", "555", "501"]


def test_SD_007_help_disturbs_nothing(d):
    assert d("HELP")[-1].startswith("214 ")
    d.begin()
    assert d("help me")[-1].startswith("214 ")
    assert d.data(b"\r\nx\r\n")[0].startswith("250 ")


@pytest.mark.parametrize("sender,recipient", [
    ("MAIL FROM:<a@far.example>", "RCPT TO:<anna@example.org>"),
    ("mail from:<a@far.example>", "rcpt to:<ANNA@Example.ORG>"),
    ("Mail From: <a@far.example>", "Rcpt To: <anna@example.org>"),
    ("mail from: a@far.example", "rcpt to: anna@example.org"),
    ("MAIL FROM:<>", "RCPT TO:<\"anna\"@example.org>"),
])
def test_SD_008_ways_to_write_addresses(mail, d, sender, recipient):
    assert d.codes("EHLO x", sender, recipient) == ["250", "250", "250"]
    assert d.data(b"\r\nx\r\n")[0].startswith("250 ")
    mail.wait_messages("anna@example.org", 1)


@pytest.mark.mail(config="bare-addresses no")
def test_SD_008_brackets_can_be_demanded(d):
    assert d.codes("EHLO x", "MAIL FROM:a@far.example", "MAIL FROM:<a@far.example>",
                   "RCPT TO: anna@example.org") == ["250", "501", "250", "501"]


def test_SD_008_wrong_order(d):
    assert d.codes("MAIL FROM:<a@b>", "RCPT TO:<a@b>", "DATA", "EHLO x", "RCPT TO:<a@b>", "DATA",
                   "MAIL FROM:<a@b>", "MAIL FROM:<a@b>", "DATA", "BDAT 0 LAST") == \
        ["503", "503", "503", "250", "503", "503", "250", "503", "503", "503"]


def wire(d, text):
    d.raw(text)
    return d.reply()


@pytest.mark.parametrize("end", [b"\n.\n", b"\r.\r", b"\n.\r\n", b"\r\n.\n", b"\r\n.\r", b"\r.\r\n"])
def test_SD_010_only_crlf_dot_crlf_ends_data(mail, d, end):
    d.begin()
    assert d("DATA")[0].startswith("354 ")
    smuggled = b"MAIL FROM:<boss@example.org>\r\nRCPT TO:<ben@example.org>\r\nDATA\r\n\r\nsmuggled\r\n"
    reply = wire(d, b"Subject: x\r\n\r\nbefore" + end + smuggled + b".\r\n")
    assert reply[0].startswith("554 5.6.0 ")
    assert d("NOOP")[0].startswith("250 ")
    assert not mail.messages("anna@example.org") and not mail.messages("ben@example.org")


@pytest.mark.mail(config="bare-line-feed convert")
def test_SD_010_bare_line_ends_can_be_converted(mail, d):
    d.begin()
    assert d.data(b"Subject: x\r\n\r\na\n.\nb\rc\r\n")[0].startswith("250 ")
    assert mail.wait_messages("anna@example.org", 1)[0].read_bytes().endswith(b"\n\na\n.\nb\nc\n")


def test_SD_010_dots_and_the_queue_id(mail, d):
    d.begin()
    reply = d.data(b"Subject: dots\r\n\r\n..\r\n...\r\n..a\r\nb.\r\n")
    assert re.fullmatch(r"250 2\.0\.0 Ok: queued as [0-9A-F]{10,16}", reply[0])
    assert mail.wait_messages("anna@example.org", 1)[0].read_bytes().endswith(b"\n\n.\n..\n.a\nb.\n")


def test_SD_010_chunks(mail, d):
    d.begin()
    assert wire(d, b"BDAT 17\r\nSubject: x\r\n\r\n.\r\n")[0].startswith("250 ")
    assert wire(d, b"BDAT 5\r\n..\r\n\r")[0].startswith("250 ")
    assert wire(d, b"BDAT 1 LAST\r\n\n")[0].startswith("250 2.0.0 Ok: queued as ")
    assert mail.wait_messages("anna@example.org", 1)[0].read_bytes().endswith(b"\n\n.\n..\n\n")


def test_SD_011_rset(mail, d):
    d.begin()
    assert d.codes("RSET", "DATA", "RCPT TO:<anna@example.org>", "MAIL FROM:<b@far.example>",
                   "RCPT TO:<ben@example.org>") == ["250", "503", "503", "250", "250"]
    assert d.data(b"\r\nx\r\n")[0].startswith("250 ")
    mail.wait_messages("ben@example.org", 1)
    assert not mail.messages("anna@example.org")


def test_SD_012_noop_has_a_limit(d):
    assert d.codes("NOOP", "EHLO x", "NOOP", "MAIL FROM:<>", "NOOP") == ["250"] * 5
    for _ in range(100):
        reply = d("NOOP")
        if not reply[0].startswith("250 "):
            break
    assert reply[0].startswith("421 ") and d.ended()


@pytest.mark.tsan
def test_SD_013_quit_with_fin_right_behind(mail, d):
    d.begin()
    assert d("DATA")[0].startswith("354 ")
    d.raw(b"Subject: last words\r\n\r\nbye\r\n.\r\nQUIT\r\n")
    d.socket.shutdown(socket.SHUT_WR)
    assert d.reply()[0].startswith("250 ") and d.reply()[0].startswith("221 2.0.0 ")
    assert d.ended()
    mail.wait_messages("anna@example.org", 1)
    mail.wait_log(r"smtpd\[\d+\]: disconnect from \S+ ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5$")


def test_SD_013_hanging_up_is_no_end_of_message(mail, d):
    d.begin()
    assert d("DATA")[0].startswith("354 ")
    d.raw(b"Subject: half\r\n\r\nhal")
    d.socket.close()
    mail.wait_log(r"lost connection after DATA from ")
    assert not mail.messages("anna@example.org")


def test_SD_019_every_reply_has_codes(d):
    for command in ["EHLO x", "MAIL FROM:<>", "RCPT TO:<anna@example.org>", "RCPT TO:<x@far.example>",
                    "RCPT TO:<nobody@example.org>", "RSET", "NOOP", "HELP", "VRFY anna", "EXPN staff",
                    "FOO", "MAIL FROM:<", "DATA", "AUTH PLAIN", "STARTTLS now", "QUIT"]:
        line = d(command)[-1]
        if command != "EHLO x":
            assert re.match(r"([245])\d\d \1\.\d\.\d{1,2} ", line), (command, line)


def test_SD_020_nothing_is_queued_for_nobody(mail, d):
    assert d.codes("EHLO x", "MAIL FROM:<victim@far.example>", "RCPT TO:<nobody@example.org>",
                   "RCPT TO:<x@far.example>") == ["250", "250", "550", "550"]
    d.raw(b"DATA\r\n")
    assert d.reply()[0].startswith("554 ")
    mail.wait_log(r"NOQUEUE: reject: RCPT from \S+\[127\.0\.0\.1\]: 550 5\.1\.1 <nobody@example\.org>: "
                  r".*; from=<victim@far\.example>, to=<nobody@example\.org>, proto=ESMTP, helo=<x>")
    assert not [f for f in (mail.dir / "spool").rglob("*") if f.is_file() and b"victim" in f.read_bytes()]
    assert "queue active" not in mail.log()


def test_SD_021_typed_by_hand(mail, d):
    assert d("helo there")[0].startswith("250 ")
    for octet in b"mial form me\r\n":
        d.raw(bytes([octet]))
        time.sleep(0.005)
    assert d.reply()[0].startswith("500 ")
    assert d.codes("mail form: a@far.example", "mail from: a@far.example", "rcpt to: ana@example.org",
                   "rcpt to: anna@example.org") == ["501", "250", "550", "250"]
    assert d.data(b"Dear Anna,\r\n\r\nhow are you?\r\n")[0].startswith("250 ")
    assert d("quit")[0].startswith("221 ")
    text = mail.wait_messages("anna@example.org", 1)[0].read_bytes()
    assert text.endswith(b"\n\nDear Anna,\n\nhow are you?\n")


RELAY_TRICKS = [
    "victim@far.example", "@example.org:victim@far.example", "victim%far.example@example.org",
    "victim@far.example@example.org", "\"victim@far.example\"@example.org", "far.example!victim",
    "far.example!victim@example.org", "\"victim%far.example\"@example.org", "victim%far.example",
    "\"victim@far.example\"", "victim@[192.0.2.7]", "victim@[127.0.0.1]", "example.org!victim@far.example",
    "@example.org,@mx.example.org:victim@far.example", "victim@far.example.", "victim@FAR.example",
    "anna@example.org.far.example", "anna@notexample.org", "<victim@far.example>",
    "victim@far.example\\@example.org", "victim@localhost", "postmaster@far.example",
]


@pytest.mark.parametrize("trick", RELAY_TRICKS)
def test_SD_009_SD_080_no_open_relay(d, trick):
    assert d.codes("EHLO x", "MAIL FROM:<anna@example.org>") == ["250", "250"]
    assert d(f"RCPT TO:<{trick}>")[0][:3] in ("501", "550", "553")


def test_SD_009_refusal_says_why(d):
    assert d.codes("EHLO x", "MAIL FROM:<a@far.example>") == ["250", "250"]
    assert d("RCPT TO:<b@far.example>")[0].startswith(
        "550 5.7.1 <b@far.example>: No such domain at this location")


def test_SD_080_asking_nicely_does_not_help(d):
    for sender in ["", "anna@example.org", "postmaster@example.org", "victim@far.example"]:
        assert d.codes("EHLO example.org", f"MAIL FROM:<{sender}>", "RCPT TO:<victim@far.example>",
                       "RSET") == ["250", "250", "550", "250"]


def test_bytes_behind_starttls_are_refused(d):
    assert d("EHLO x")[0].startswith("250-")
    d.raw(b"STARTTLS\r\nMAIL FROM:<injected@far.example>\r\n")
    assert d.reply()[0].startswith("554 5.5.1 ") and d.ended()


def test_long_lines_have_a_limit(d):
    assert d("NOOP " + "x" * 20000)[0].startswith("500 5.5.2 ")
    assert d("MAIL FROM:<" + "x" * 300 + "@far.example>")[0].startswith("501 ")
    assert d("EHLO x")[-1].startswith("250 ")


def test_many_recipients(mail, d):
    assert d.codes("EHLO x", "MAIL FROM:<a@far.example>") == ["250", "250"]
    assert d.codes(*["RCPT TO:<anna@example.org>", "RCPT TO:<Anna@Example.ORG>"] * 75) == ["250"] * 150
    assert d.data(b"\r\nonce\r\n")[0].startswith("250 ")
    mail.wait_messages("anna@example.org", 1)
