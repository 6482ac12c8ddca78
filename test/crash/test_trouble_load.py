"""Under load: a full disk, a disk that went read-only, no descriptors; afterwards the ledger must agree."""
import contextlib
import fcntl
import os
import shutil
import smtplib
import struct
import subprocess
import time

import pytest

import disk
import ledger as book
import server

USERS = {f"u{n}@example.org": "secret" for n in range(3)}
CONFIG = "queue-retry 1s\nfree-min 4M\n"
SIZE = 768 * 1024 * 1024  # a fast machine fills a small one with mail

needs_disk = pytest.mark.skipif(disk.why_not() is not None, reason=str(disk.why_not()))


@pytest.fixture
def image():
    folder = disk.scratch("trouble")
    disk.make(folder / "image", SIZE)
    yield folder / "image"
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def running(folder):
    mail = server.Server(folder / "data", users=USERS, config=CONFIG)
    with contextlib.closing(mail):
        yield mail.start()


@contextlib.contextmanager
def load(mail, ledger, senders=3):
    threads = [book.Sender(mail, ledger, n, list(USERS), pause=0.01) for n in range(senders)]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.stop.set()
    for thread in threads:
        thread.join(60)


def reply(mail, user="u0@example.org"):
    """What the server says to one small message."""
    try:
        mail.send("someone@far.example", [user], "Subject: probe\r\n\r\nprobe\r\n")
    except smtplib.SMTPRecipientsRefused as e:
        return next(iter(e.recipients.values()))[0]
    except smtplib.SMTPResponseException as e:
        return e.smtp_code
    except OSError:
        return 0
    return 250


def wait_reply(mail, wanted, seconds=30):
    server.wait_until(f"reply {wanted}", lambda: reply(mail) in wanted, seconds=seconds)


def settle(mail, ledger):
    """Everything accepted is there, once, as it was sent; probes are left out."""
    book.wait_queue_empty(mail)
    wrong = [line for line in book.check(ledger, mail.dir, USERS) if "nobody sent this" not in line]
    assert not wrong, "\n".join(wrong[:20])
    assert ledger.counts["accepted"] > 10


@needs_disk
@pytest.mark.slow
def test_SD_010_disk_full(image):
    ledger = book.Ledger()
    with disk.mounted(image, image.parent / "disk") as folder, running(folder) as mail:
        with load(mail, ledger):
            time.sleep(1)
            ballast = folder / "ballast"
            with open(ballast, "wb", buffering=0) as f, contextlib.suppress(OSError):
                while True:
                    f.write(b"x" * 65536)
            wait_reply(mail, (452, 451))
            time.sleep(2)
            assert mail.process.poll() is None
            ballast.unlink()
            wait_reply(mail, (250,))
            time.sleep(1)
        settle(mail, ledger)


def shut_down(folder):
    """EXT4_IOC_SHUTDOWN: every write fails from here on, as when the kernel gives a disk up."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        fcntl.ioctl(fd, 0x8004587D, struct.pack("I", 2))  # nothing more reaches the disk
    finally:
        os.close(fd)


@needs_disk
@pytest.mark.slow
def test_SD_010_disk_read_only(image):
    ledger = book.Ledger()
    folder = image.parent / "disk"
    with disk.mounted(image, folder, "errors=remount-ro"), running(folder) as mail:
        with load(mail, ledger):
            time.sleep(1)
            shut_down(folder)
            wait_reply(mail, (451, 452))
            time.sleep(1)
            assert mail.process.poll() is None
    with disk.mounted(image, folder), running(folder) as mail:
        settle(mail, ledger)
        assert reply(mail) == 250


@pytest.mark.slow
@pytest.mark.mail(users=USERS, config=CONFIG)
@pytest.mark.parametrize("service", ["queue", "deliver", "smtpd", "directory", "mailbox"])
def test_SD_010_no_descriptors(mail, service):
    ledger = book.Ledger()
    pid = next(p for p, name in mail.pids().items() if name == service)
    with load(mail, ledger):
        time.sleep(0.5)
        limits = subprocess.run(["prlimit", "--pid", str(pid), "--nofile", "--noheadings", "-o", "SOFT"],
                                text=True, capture_output=True, check=True).stdout.strip()
        count = len(os.listdir(f"/proc/{pid}/fd"))
        subprocess.run(["prlimit", "--pid", str(pid), f"--nofile={count}:"], check=True)
        time.sleep(2)
        assert mail.process.poll() is None
        with contextlib.suppress(subprocess.CalledProcessError):  # it may have been started anew
            subprocess.run(["prlimit", "--pid", str(pid), f"--nofile={limits}:"], check=True,
                           capture_output=True)
        wait_reply(mail, (250,))
        time.sleep(0.5)
    settle(mail, ledger)
