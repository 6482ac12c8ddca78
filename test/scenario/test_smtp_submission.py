"""Submission on 587 and 465: who may, and as whom."""
import base64
import smtplib
import time

import pytest

from dialogue import Dialogue
from server import SLOWER


@pytest.fixture
def d(mail):
    with Dialogue(mail.submission) as dialogue:
        yield dialogue


@pytest.fixture
def secure(mail, d):
    d("EHLO x")
    d.starttls(mail.tls())
    return d


def offers(dialogue):
    return {line[4:].split()[0]: line[4:] for line in dialogue("EHLO client.example")[1:]}


def test_SD_065_587_wants_authentication(secure):
    assert secure("MAIL FROM:<anna@example.org>")[0].startswith("530 5.7.0 ")
    secure("EHLO x")
    assert secure("MAIL FROM:<anna@example.org>")[0].startswith("530 5.7.0 ")
    assert secure("RCPT TO:<anna@example.org>")[0].startswith("503 ")


@pytest.mark.mail(config="plain-auth-on-loopback yes")
def test_SD_065_25_never_offers_auth(mail):
    with Dialogue(mail.smtp) as d:
        assert "AUTH" not in offers(d)
        d.starttls(mail.tls())
        assert "AUTH" not in offers(d)
        assert d.login("anna@example.org", "anna-secret")[0].startswith("502 ")


def test_SD_066_465_speaks_tls_at_once(mail):
    with smtplib.SMTP_SSL(*mail.submissions, context=mail.tls(), timeout=20 * SLOWER) as client:
        client.ehlo()
        assert not client.has_extn("starttls")
        with pytest.raises(smtplib.SMTPSenderRefused) as refused:
            client.sendmail("anna@example.org", ["ben@example.org"], "x")
        assert refused.value.smtp_code == 530
        client.login("anna@example.org", "anna-secret")
        client.sendmail("anna@example.org", ["ben@example.org"], "Subject: x\r\n\r\nx")
    mail.wait_messages("ben@example.org", 1)


@pytest.mark.mail(config="plain-auth-on-loopback no")
def test_SD_068_no_auth_before_tls(mail, d):
    found = offers(d)
    assert "AUTH" not in found and "STARTTLS" in found
    assert d.login("anna@example.org", "anna-secret")[0].startswith("538 5.7.11 ")
    assert d("MAIL FROM:<anna@example.org>")[0].startswith("530 5.7.0 ")
    d.starttls(mail.tls())
    found = offers(d)
    assert set(found["AUTH"].split()) >= {"PLAIN", "LOGIN"} and "STARTTLS" not in found


def test_SD_070_plain(mail, secure):
    secure("EHLO x")
    assert secure.login("anna@example.org", "anna-secret")[0].startswith("235 2.7.0 ")
    assert "AUTH" not in offers(secure)
    assert secure.login("anna@example.org", "anna-secret")[0].startswith("503 ")


def test_SD_070_login(mail, secure):
    encode = lambda text: base64.b64encode(text.encode()).decode()
    secure("EHLO x")
    assert secure("AUTH LOGIN")[0] == "334 VXNlcm5hbWU6"
    assert secure(encode("anna@example.org"))[0] == "334 UGFzc3dvcmQ6"
    assert secure(encode("anna-secret"))[0].startswith("235 ")


@pytest.mark.tsan
def test_SD_070_wrong_passwords_are_slow_and_few(mail, secure):
    secure("EHLO x")
    began = time.monotonic()
    replies = [secure.login(*who)[-1] for who in [
        ("anna@example.org", "wrong"), ("nobody@example.org", "anna-secret"), ("anna@example.org", "wrong again")]]
    assert [r[:9] for r in replies] == ["535 5.7.8"] * 3
    assert time.monotonic() - began > 3
    assert secure.ended()
    mail.wait_log(r"submission/smtpd\[\d+\]: warning: .*\[127\.0\.0\.1\].*SASL authentication failed", count=3)
    assert "anna-secret" not in mail.log()


def test_SD_070_bad_exchanges(secure):
    secure("EHLO x")
    assert secure("AUTH PLAIN")[0].startswith("334 ")
    assert secure("*")[0].startswith("501 5.7.0 ")
    assert secure("AUTH PLAIN a===")[0].startswith("501 5.5.2 ")
    assert secure("AUTH CRAM-MD5")[0].startswith("504 5.5.4 ")
    assert secure("AUTH PLAIN " + "A" * 12000)[0].startswith("500 5.5.6 ")
    assert secure("MAIL FROM:<anna@example.org>")[0].startswith("530 ")


def test_SD_011_rset_keeps_tls_and_user(mail, secure):
    secure("EHLO x")
    secure.login("anna@example.org", "anna-secret")
    assert secure.codes("MAIL FROM:<anna@example.org>", "RCPT TO:<ben@example.org>", "RSET",
                        "DATA", "MAIL FROM:<anna@example.org>", "RCPT TO:<ben@example.org>") == \
        ["250", "250", "250", "503", "250", "250"]
    assert secure.data(b"Subject: x\r\n\r\nx\r\n")[0].startswith("250 ")


@pytest.mark.parametrize("sender,code", [
    ("anna@example.org", "250"), ("Anna@EXAMPLE.org", "250"), ("anna+tag@example.org", "250"), ("", "250"),
    ("ben@example.org", "553"), ("anna@far.example", "553"), ("nobody@example.org", "553"),
])
def test_sender_must_be_the_users(secure, sender, code):
    secure("EHLO x")
    secure.login("anna@example.org", "anna-secret")
    assert secure(f"MAIL FROM:<{sender}>")[0].startswith(code)


def test_unknown_local_recipient_is_refused_at_once(secure):
    secure("EHLO x")
    secure.login("anna@example.org", "anna-secret")
    assert secure.codes("MAIL FROM:<anna@example.org>", "RCPT TO:<nobody@example.org>",
                        "RCPT TO:<x@far.example>") == ["250", "550", "250"]


def test_log_names_the_user(mail):
    mail.submit("anna@example.org", ["ben@example.org"], "Subject: x\r\n\r\nx")
    mail.wait_log(r"submission/smtpd\[\d+\]: [0-9A-F]{10,}: client=\S+\[127\.0\.0\.1\], sasl_method=PLAIN, "
                  r"sasl_username=anna@example\.org")
