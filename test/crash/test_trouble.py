"""
The disk is full or read-only, descriptors or memory run out: a client is told 4xx, the log says why,
what got a 250 arrives exactly once when the trouble is over, and master stays.
"""
import collections
import contextlib
import os
import pathlib
import re
import resource
import smtplib
import subprocess

import pytest

import disk as disks
from server import SLOWER, wait_until

ANNA = "anna@example.org"
pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root mounts, and limits others")


def send(mail, subject, size=10_000):
    """The code of the final reply, or None when there was none."""
    text = f"Subject: {subject}\r\n\r\n" + "0123456789abcdef\r\n" * (size // 18)
    try:
        with smtplib.SMTP(*mail.smtp, timeout=60 * SLOWER) as smtp:
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
        found[re.search(rb"^Subject: (.*)$", file.read_bytes(), re.M)[1].decode()] += 1
    return found


def only_temporary(codes):
    return all(code is None or code == 250 or 400 <= code < 500 for code in codes)


def arrived_once(mail, taken):
    """Whatever got a 250 is there, exactly once; what got none may be there, but not twice."""
    wait_until("all that was acknowledged", lambda: set(taken) <= set(subjects(mail)), seconds=60)
    assert {s: n for s, n in subjects(mail).items() if n > 1} == {}


class Disk:
    """A small ext4 of its own for the data folder of one server."""

    def __init__(self, folder):
        self.image, self.folder = folder / "disk.img", folder / "posthorn"
        disks.make(self.image, 400 << 20)
        self.open = contextlib.ExitStack()
        self.mount()

    def mount(self):
        self.open.enter_context(disks.mounted(self.image, self.folder))

    def unmount(self):
        self.open.close()

    def fill(self):
        """Takes all room there is."""
        with open(self.folder / "filler", "ab") as f:
            at = f.tell()
            for step in (1 << 20, 4096):
                try:
                    while True:
                        os.posix_fallocate(f.fileno(), at, step)
                        at += step
                except OSError:
                    pass

    def free(self):
        (self.folder / "filler").unlink()

    def fail(self):
        """What the kernel does when a disk breaks: read-only from now on, for open files too."""
        disks.run("mount", "-o", "remount,abort", self.folder)


@pytest.fixture
def disk(tmp_path):
    if disks.why_not() is not None:
        pytest.skip(disks.why_not())
    made = Disk(tmp_path)
    yield made
    made.unmount()


def test_little_room_is_452_before_the_disk_is_full(disk, make_mail):
    mail = make_mail(config="free-min 10G")
    assert send(mail, "too much") == 452
    mail.wait_log(r"queue.*: error: no mail is taken until there is room on the disk")
    assert mail.process.poll() is None


def test_disk_full(disk, make_mail, tmp_path):
    mail = make_mail(config=f"free-min 0\nqueue-retry 1s\nlog-file {tmp_path}/trouble.log")
    taken = [f"before {n}" for n in range(10) if send(mail, f"before {n}") == 250]
    assert len(taken) == 10
    disk.fill()
    codes = {f"full {n}": send(mail, f"full {n}", 300_000) for n in range(400)}
    assert only_temporary(codes.values()) and 452 in codes.values(), set(codes.values())
    taken += [subject for subject, code in codes.items() if code == 250]
    assert re.search(r": 452 4\.3\.1 ", (tmp_path / "trouble.log").read_text())
    disk.free()
    wait_until("mail to be taken again", lambda: send(mail, "after") == 250, seconds=30)
    arrived_once(mail, taken + ["after"])
    assert mail.process.poll() is None


def test_read_only(disk, make_mail, tmp_path):
    mail = make_mail(config=f"free-min 1M\nqueue-retry 1s\nlog-file {tmp_path}/trouble.log")
    assert [send(mail, f"before {n}") for n in range(10)] == [250] * 10
    disk.fail()
    codes = [send(mail, f"after {n}") for n in range(10)]
    assert only_temporary(codes) and 250 not in codes, codes
    assert re.search(r"Read-only file system|Input/output error", (tmp_path / "trouble.log").read_text())
    assert mail.process.poll() is None
    mail.stop()
    disk.unmount()
    subprocess.run(["e2fsck", "-fp", disk.image], check=False)
    disk.mount()
    mail.start()
    assert send(mail, "mended") == 250
    arrived_once(mail, [f"before {n}" for n in range(10)] + ["mended"])


def processes(mail, name):
    if name == "master":
        return [mail.process.pid]
    found = []
    for pid in mail.pids():
        try:
            line = pathlib.Path("/proc", str(pid), "cmdline").read_text()
        except OSError:
            continue
        if line.startswith(f"posthorn: {name}") or name == "account" and \
                pathlib.Path("/proc", str(pid), "comm").read_text() == "account\n":
            found.append(pid)
    return found


def squeeze(pid, kind, slack):
    """Takes the process's descriptors or memory away but for a few; returns how to give them back."""
    if kind == resource.RLIMIT_NOFILE:
        # The limit is about the number of the next descriptor, not about how many are open.
        used = max(map(int, os.listdir(f"/proc/{pid}/fd"))) + 1
    else:
        used = int(re.search(r"VmSize:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) << 10
    before = resource.prlimit(pid, kind)
    resource.prlimit(pid, kind, (used + slack, before[1]))

    def give_back():
        try:
            resource.prlimit(pid, kind, before)
        except ProcessLookupError:
            pass

    return give_back


SERVICES = ["smtpd", "directory", "queue", "deliver", "mailbox", "account", "log", "resolver", "keys", "hash"]


@pytest.mark.slow
@pytest.mark.mail(config="queue-retry 1s")
@pytest.mark.parametrize("name", [*SERVICES, "master"])
@pytest.mark.parametrize("kind,slack", [(resource.RLIMIT_NOFILE, 1), (resource.RLIMIT_AS, 64 << 10)],
                         ids=["EMFILE", "ENOMEM"])
def test_out_of(mail, name, kind, slack):
    assert send(mail, "before") == 250
    mail.wait_messages(ANNA, 1)
    taken, first = ["before"], mail.process.pid
    pids = processes(mail, name)
    assert pids, name
    give_back = [squeeze(pid, kind, slack) for pid in pids]
    try:
        for n, size in enumerate([100, 10_000, 70_000, 2_000_000, 100, 10_000]):
            code = send(mail, f"message {n}", size)
            assert only_temporary([code]), code
            taken += [f"message {n}"] if code == 250 else []
    finally:
        for give in give_back:
            give()
    assert mail.process.poll() is None and mail.process.pid == first
    wait_until("mail to be taken again", lambda: send(mail, "after") == 250, seconds=40)
    arrived_once(mail, taken + ["after"])
