"""What the DNS says, and what it must not make us do."""
import shutil
import smtplib
import subprocess

import pytest

from lab import dns
from peers import Nsd, free_port
from server import wait_until
from test_relay import ANNA, QUICK, TEXT, bounces, exchangers, out, results  # noqa: F401 (a fixture)


def connect_from(mail, address):
    client = smtplib.SMTP(timeout=30, source_address=(address, 0))
    client.connect(*mail.smtp)
    client.helo("client.example")
    client.quit()


def test_SD_031_client_name_is_verified(mail):
    connect_from(mail, "127.0.0.1")
    connect_from(mail, "127.0.0.5")
    mail.wait_log(r"posthorn/smtpd\[\d+\]: connect from localhost\[127\.0\.0\.1\]$")
    mail.wait_log(r"posthorn/smtpd\[\d+\]: connect from unknown\[127\.0\.0\.5\]$")


def test_answers_are_kept(out, smtp_peer):
    peer = smtp_peer(address="127.0.0.2", port=out.port)
    mail = out(exchangers((10, "mx.far.example", "127.0.0.2")))
    for _ in range(3):
        mail.submit(ANNA, ["x@far.example"], TEXT)
    peer.wait(3)
    assert out.dns.count("far.example", "MX") == 1


def test_hundred_exchangers_come_over_tcp(out, smtp_peer):
    peer = smtp_peer(address="127.0.0.2", port=out.port)
    zone = {"far.example": {"MX": [(100 - i, f"a-host-with-a-long-name-{i}.far.example") for i in range(100)]},
            "a-host-with-a-long-name-99.far.example": {"A": ["127.0.0.2"]}}
    mail = out(zone)
    mail.submit(ANNA, ["x@far.example"], TEXT)
    peer.wait(1)


@pytest.mark.parametrize("record", [b"", b"\0", b"\0\x0a\x3f" + b"x" * 20, b"\0\x0a\3a b\0",
                                    b"\0\x0a\6a\r\n\0b\xff\0"])
def test_records_that_are_wrong_defer(out, record):
    mail = out({"far.example": {"MX": [record]}}, QUICK)
    mail.submit(ANNA, ["x@far.example"], TEXT)
    assert results(mail)[0]["status"] == "deferred"


@pytest.mark.slow  # libunbound asks a server that was silent again after some time
def test_mail_waits_for_a_name_server_that_is_away(make_mail, smtp_peer):
    port, names = free_port(), free_port()
    peer = smtp_peer(address="127.0.0.2", port=port)
    mail = make_mail(dns=("127.0.0.1", names), config=f"relay {{ port {port}; to-private yes }}\n" + QUICK)
    mail.submit(ANNA, ["x@far.example"], TEXT)
    line = results(mail)[0]
    assert (line["status"], line["dsn"]) == ("deferred", "4.4.3")
    with dns.Server(exchangers((10, "mx.far.example", "127.0.0.2")), port=names):
        peer.wait(1, 90)


@pytest.mark.skipif(not shutil.which("ldns-signzone"), reason="needs ldnsutils")
def test_signed_zones_are_validated(make_mail, smtp_peer, tmp_path):
    """A record that was changed behind the signer's back is not believed."""
    def sign(folder):
        names = Nsd(folder, {"secure.example": "@ MX 10 mx\nmx A 127.0.0.2\nsub MX 10 mx"})
        names.close()
        key = subprocess.run(["ldns-keygen", "-a", "ECDSAP256SHA256", "-k", "secure.example"], cwd=folder, check=True,
                             capture_output=True, text=True).stdout.strip()
        zone = folder / "secure.example.zone"
        subprocess.run(["ldns-signzone", "-f", zone, "-o", "secure.example", zone, key], cwd=folder, check=True)
        lines = zone.read_text().splitlines()
        changed = [line.replace("10 mx.", "20 mx.") if line.startswith("sub.") and "RRSIG" not in line else line
                   for line in lines]
        assert changed != lines
        zone.write_text("\n".join(changed) + "\n")
        names.start()
        return names, " ".join((folder / (key + ".ds")).read_text().split())

    names, anchor = sign(tmp_path / "signed")
    try:
        port = free_port()
        peer = smtp_peer(address="127.0.0.2", port=port)
        mail = make_mail(config=f'relay {{ port {port}; to-private yes }}\nqueue-retry 1h\n'
                                f'dns {{ forwarder 127.0.0.1:{names.address[1]}; trust-anchor "{anchor}" }}\n')
        mail.submit(ANNA, ["x@secure.example"], TEXT)
        peer.wait(1)
        mail.submit(ANNA, ["x@sub.secure.example"], TEXT)
        wait_until("a deferral", lambda: [r for r in results(mail) if r["status"] == "deferred"])
        assert {(r["to"], r["dsn"]) for r in results(mail)} == {("x@secure.example", "2.0.0"),
                                                               ("x@sub.secure.example", "4.4.3")}
    finally:
        names.close()
