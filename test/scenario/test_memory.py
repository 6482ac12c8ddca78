"""What a stranger costs before saying who they are: at most 64 KiB of our own, OpenSSL beside it."""
import pathlib
import re
import socket

import pytest

from server import SLOWER, wait_until

MANY = 100


def memory(mail, name):
    """KiB that the processes of a service hold alone or share fairly (Pss)."""
    total = 0
    for pid in mail.pids():
        try:
            if pathlib.Path("/proc", str(pid), "cmdline").read_text().startswith(f"posthorn: {name}"):
                total += int(re.search(r"^Pss:\s+(\d+) kB", pathlib.Path(
                    "/proc", str(pid), "smaps_rollup").read_text(), re.M)[1])
        except OSError:
            pass
    return total


def settled(mail, name):
    """The memory once it no longer changes: what was sent has been read."""
    seen = [memory(mail, name)]
    wait_until("the memory to settle", lambda: seen.append(memory(mail, name)) or seen[-1] == seen[-2])
    return seen[-1]


def stranger(address, tls, hello, burden):
    """A connection that has been greeted, has said a full line and then most of another one."""
    s = socket.create_connection(address, timeout=30)
    if tls:
        s = tls.wrap_socket(s)
    s.recv(4096)
    s.sendall(hello)
    s.recv(4096)
    s.sendall(burden)
    return s


# One batch of `login` for all, so that no process ends while it is looked at.
@pytest.mark.mail(config="login-batch 1000")
@pytest.mark.skipif(SLOWER > 1, reason="sanitizers have memory of their own")
@pytest.mark.parametrize("port,name,tls,hello,burden", [
    ("smtp", "smtpd", False, b"EHLO x\r\n", b"MAIL FROM:<" + b"x" * 1900),
    ("submission", "submit", False, b"EHLO x\r\n", b"AUTH PLAIN " + b"A" * 11000),
    ("imap", "login", False, b"a NOOP\r\n", b"b LOGIN " + b"x" * 8000),
    ("imap", "login", False, b"a LOGIN {200}\r\n", b"x" * 190),
    ("submissions", "submit", True, b"EHLO x\r\n", b"AUTH PLAIN " + b"A" * 11000),
    ("imaps", "login", True, b"a NOOP\r\n", b"b LOGIN " + b"x" * 8000),
])
def test_a_stranger_costs_64_kib_at_most(mail, figures, port, name, tls, hello, burden):
    context = mail.tls() if tls else None
    address = getattr(mail, port)
    open_ones = [stranger(address, context, hello, burden) for _ in range(4)]  # what is paid once
    before = settled(mail, name)
    open_ones += [stranger(address, context, hello, burden) for _ in range(MANY)]
    each = (settled(mail, name) - before) / MANY
    figures.append(f"{name} on {port}{' with TLS' if tls else ''}: {each:.1f} KiB for each stranger")
    assert each <= (128 if tls else 64)  # OpenSSL's part is about 45
    for s in open_ones:
        s.close()
