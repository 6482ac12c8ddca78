"""Processes are killed at any moment, under load; nothing that was acknowledged is lost or doubled."""
import os
import random
import shutil
import signal
import time

import pytest

import ledger as book

KILLS = int(os.environ.get("POSTHORN_KILLS") or (500 if os.environ.get("POSTHORN_LONG") else 60))
SENDERS = 6
# An account whose process dies three times in a minute rests for a minute: so there are many.
USERS = {f"u{n}@example.org": "secret" for n in range(12)}
# What a message waits for after a crash is short here, so that the test ends.
CONFIG = "queue-retry 1s\nfree-min 1M\n"
# "account" are the processes that own a mailbox; "all" is every process, master included.
VICTIMS = ["queue"] * 4 + ["deliver"] * 3 + ["account"] * 3 + ["mailbox", "smtpd", "login", "directory", "all"]


@pytest.fixture
def users():
    return list(USERS)


def kill(mail, victim, rng):
    """True when there was such a process."""
    if victim == "all":
        mail.kill_all()
        mail.start()
        return True
    pids = [pid for pid, name in mail.pids().items() if name == victim]
    if not pids:
        return False
    try:
        os.kill(rng.choice(pids), signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.mail(users=USERS, config=CONFIG)
def test_SD_010_killed_under_load(mail, users):
    ledger = book.Ledger()
    rng = random.Random(os.environ.get("POSTHORN_SEED", time.time()))
    senders = [book.Sender(mail, ledger, n, users, pause=0.002) for n in range(SENDERS)]
    readers = [book.Reader(mail, ledger, n, user) for n, user in enumerate(users)]
    for thread in senders + readers:
        thread.start()
    done, points = 0, {}
    while done < KILLS:
        time.sleep(rng.uniform(0.02, 0.4))
        victim = rng.choice(VICTIMS)
        if kill(mail, victim, rng):
            done += 1
            points[victim] = points.get(victim, 0) + 1
    for thread in senders + readers:
        thread.stop.set()
    for thread in senders + readers:
        thread.join(60)
    book.wait_queue_empty(mail, 120)
    wrong = book.check(ledger, mail.dir, users) + book.check_index(ledger, mail, users) + ledger.wrong
    print(f"\n{done} kills {points}; {dict(ledger.counts)}; {len(ledger.messages)} offered")
    assert not wrong, "\n".join(wrong[:40])
    # A test that did nothing shows nothing.
    assert all(ledger.counts[what] > 0 for what in ("accepted", "flagged", "moved", "expunged"))


def damage_lost(files):
    files[0].unlink()


def damage_doubled(files):
    shutil.copy(files[0], files[0].with_name("1.2.3"))


def damage_flipped(files):
    data = bytearray(files[0].read_bytes())
    data[-10] ^= 1
    files[0].write_bytes(data)


def damage_cut(files):
    os.truncate(files[0], files[0].stat().st_size - 5)


def damage_misplaced(files):
    folder = files[0].parent.parent / ".Archive" / "cur"
    folder.mkdir(parents=True, exist_ok=True)
    files[0].rename(folder / files[0].name)


@pytest.mark.parametrize("damage, word", [
    (damage_lost, "lost"), (damage_doubled, "2 times"), (damage_flipped, "not what was sent"),
    (damage_cut, "not what was sent"), (damage_misplaced, "not in"),
])
@pytest.mark.mail(users=USERS, config=CONFIG)
def test_checker_finds_seeded_damage(mail, users, damage, word):
    ledger = book.Ledger()
    sender = book.Sender(mail, ledger, 1, users[:1], limit=5)
    sender.run()
    book.wait_queue_empty(mail)
    files = mail.wait_messages(users[0], 5)
    assert book.check(ledger, mail.dir, users) == []
    mail.stop()
    damage(files)
    wrong = book.check(ledger, mail.dir, users)
    assert wrong and word in "\n".join(wrong)


def test_checker_knows_what_must_stay_away():
    ledger = book.Ledger()
    ledger.offer("a@b", "token-1", b"x")
    ledger.accepted("token-1")
    ledger.seen("a@b", "INBOX", 1, 7, "token-1")
    ledger.seen("a@b", "INBOX", 1, 7, "token-2")
    assert ledger.wrong and "UID 7" in ledger.wrong[0]
    ledger.begins("token-1", None)
    assert not ledger.messages["token-1"].at(9)[1]
    ledger.done("token-1", None, "expunged")
    assert ledger.messages["token-1"].at(9) == (frozenset(), False, False)
