"""TLS on the access ports, whose private key is in another process."""
import os
import signal
import socket
import ssl
import subprocess
import warnings

import pytest

from server import SLOWER, wait_until

TIMEOUT = 10 * SLOWER


def talk_tls(mail, version=None, context=None):
    """A connection to IMAPS with its greeting read."""
    context = context or mail.tls()
    if version:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = context.maximum_version = version
    plain = socket.create_connection(mail.imaps, timeout=TIMEOUT)
    try:
        secure = context.wrap_socket(plain, server_hostname="localhost")
    except OSError:
        plain.close()
        raise
    assert secure.recv(4096).startswith(b"* OK ")
    return secure


def services(mail, name):
    return [pid for pid, service in mail.pids().items() if service == name]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_SD_075_tls_versions(mail, version):
    with talk_tls(mail, version) as client:
        assert client.version() in ("TLSv1.2", "TLSv1.3")
        client.sendall(b"a NOOP\r\n")
        assert client.recv(4096) == b"a OK Done\r\n"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_SD_075_old_tls_is_refused(mail, version):
    context = mail.tls()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(OSError):
        talk_tls(mail, version, context)


def test_certificate_is_for_its_own_name(mail):
    """The certificate of a first start is signed with itself: whoever has it can verify it."""
    context = ssl.create_default_context(cafile=next((mail.dir / "keys").glob("*.pem")))
    with talk_tls(mail, context=context) as client:
        assert ("DNS", "localhost") in client.getpeercert()["subjectAltName"]


def test_only_keys_has_the_private_key(mail):
    """No other process has the key file open, nor the octets of the key in its memory."""
    file = next((mail.dir / "keys").glob("*.key"))
    body = b"".join(file.read_bytes().split(b"\n")[1:-2])[40:72]
    with talk_tls(mail):
        for pid, name in mail.pids().items():
            if name in ("keys", "master", "posthorn"):
                continue
            links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
            assert not [link for link in links if link.startswith(str(file))], name
            assert body not in memory(pid), name


def memory(pid):
    found = b""
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, open(f"/proc/{pid}/mem", "rb") as mem:
        for line in maps:
            place, rights = line.split()[:2]
            if rights.startswith("rw") and "[v" not in line:
                begin, end = (int(n, 16) for n in place.split("-"))
                try:
                    mem.seek(begin)
                    found += mem.read(min(end - begin, 16 << 20))
                except OSError:
                    pass
    return found


def test_sessions_resume_in_another_process(mail):
    """A ticket is good for every process: the second handshake needs no signature."""
    context = mail.tls()
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # where Python has the ticket at once
    with talk_tls(mail, context=context) as first:
        session = first.session
        assert not first.session_reused
        for pid in services(mail, "login"):
            os.kill(pid, signal.SIGKILL)

    def again():
        try:
            plain = socket.create_connection(mail.imaps, timeout=TIMEOUT)
            with context.wrap_socket(plain, server_hostname="localhost", session=session) as client:
                return client.session_reused
        except OSError:
            return False

    wait_until("a resumed session", again)


def test_keys_dies_and_comes_back(mail):
    old = services(mail, "keys")
    assert len(old) == 1
    with talk_tls(mail) as before:
        os.kill(old[0], signal.SIGKILL)
        before.sendall(b"a NOOP\r\n")  # sessions under way need no keys
        assert before.recv(4096) == b"a OK Done\r\n"

        def again():
            try:
                talk_tls(mail).close()
            except OSError:
                return False
            return True

        wait_until("TLS with the next keys", again)
    assert services(mail, "keys") != old


def test_garbage_and_half_handshakes(mail):
    """Whatever a stranger sends, others are served."""
    for junk in (b"", b"\x16\x03\x01", b"a LOGIN x y\r\n" * 100, os.urandom(4096),
                 b"\x16\x03\x01\x40\x00" + b"\0" * 16384):
        with socket.create_connection(mail.imaps, timeout=TIMEOUT) as stranger:
            try:
                stranger.sendall(junk)
            except OSError:
                pass
            with talk_tls(mail) as client:
                client.sendall(b"a NOOP\r\n")
                assert client.recv(4096) == b"a OK Done\r\n"


def test_renewed_certificate_ends_no_session(mail):
    """Put the new files there, send SIGHUP: new connections get it, what goes on goes on."""
    def serial(address, starttls=None):
        with socket.create_connection(address, timeout=TIMEOUT) as plain:
            if starttls:
                file = plain.makefile("rwb")
                file.readline()
                file.write(b"EHLO client\r\n")
                file.flush()
                while not file.readline().startswith(b"250 "):
                    pass
                file.write(starttls + b"\r\n")
                file.flush()
                assert file.readline().startswith(b"220 ")
            with mail.tls().wrap_socket(plain, server_hostname="localhost") as client:
                return hash(client.getpeercert(binary_form=True))

    old = serial(mail.imaps)
    reader = mail.reader("anna@example.org")
    guest = talk_tls(mail)
    keys = mail.dir / "keys"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost", "-days", "2",
                    "-keyout", keys / "self-signed.key", "-out", keys / "self-signed.pem"],
                   check=True, capture_output=True)
    mail.process.send_signal(signal.SIGHUP)

    def renewed():
        try:
            return serial(mail.imaps) != old and serial(mail.submission, b"STARTTLS") != old
        except (OSError, AssertionError):
            return False

    wait_until("the new certificate", renewed)
    assert serial(mail.imaps) == serial(mail.submission, b"STARTTLS")
    assert reader.noop()[0] == "OK"
    guest.sendall(b"a LOGIN anna@example.org anna-secret\r\n")
    assert guest.recv(4096).startswith(b"a OK ")
    reader.logout()
