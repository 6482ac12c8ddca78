"""
What a client may rely on, written down as it was told so, and compared with what is there afterwards.

A message is one token: a line of its header that nothing else holds. The ledger keeps its text and
its recipient, and what IMAP clients were told about it. `check` reads the Maildirs and finds whatever
is missing, there twice, changed, or back from the dead.
"""
import collections
import hashlib
import imaplib
import os
import random
import re
import smtplib
import socket
import threading
import time

import server

TOKEN = re.compile(rb"^Subject: (token-[0-9a-z-]+)$", re.M | re.I)
LOST = (OSError, smtplib.SMTPException, imaplib.IMAP4.error, EOFError)
ADDED = re.compile(rb"(Return-Path|Received|Delivered-To|X-Original-To|Authentication-Results):"
                   rb"[^\n]*(\n[ \t][^\n]*)*\n")


class Message:
    """`where`: folders in which it may be; `sure`: it must be in one of them."""

    def __init__(self, user, text, moment):
        self.user, self.text = user, text
        self.where = {"INBOX"}
        self.sure = False
        self.flagged = False
        # What became sure at which moment: for looking at a disk as it was earlier.
        self.history = [(moment, frozenset(self.where), False, False)]

    def note(self, moment):
        self.history.append((moment, frozenset(self.where), self.sure, self.flagged))

    def at(self, moment):
        """
        (folders it may be in, must it be there, is it flagged) at that moment. What a client had asked
        for and was not told yet may have happened or not; what it had not asked for has not.
        """
        known = [h for h in self.history if h[0] <= moment]
        return known[-1][1:] if known else (frozenset(), False, False)


class Ledger:
    def __init__(self, clock=lambda: 0):
        self.lock = threading.Lock()
        self.messages = {}
        self.uids = {}      # (user, folder, uidvalidity, uid): (token, moment)
        self.wrong = []
        self.clock = clock  # a moment: anything that only grows
        self.counts = collections.Counter()

    def offer(self, user, token, text):
        with self.lock:
            self.messages[token] = Message(user, text, self.clock())

    def accepted(self, token):
        with self.lock:
            self.messages[token].sure = True
            self.messages[token].note(self.clock())
            self.counts["accepted"] += 1

    def seen(self, user, folder, validity, uid, token):
        """A UID belongs to one message for ever."""
        with self.lock:
            known = self.uids.setdefault((user, folder, validity, uid), (token, self.clock()))[0]
            if known != token:
                self.wrong.append(f"UID {uid} of {user} {folder}: was {known}, is {token}")

    def begins(self, token, where):
        """From now on it may be in `where` too, or (None) gone."""
        with self.lock:
            m = self.messages[token]
            m.where = m.where | {where} if where else m.where
            if where is None:
                m.sure = False
            m.note(self.clock())

    def done(self, token, where, what):
        with self.lock:
            m = self.messages[token]
            m.where = {where} if where else set()
            m.sure = where is not None
            m.note(self.clock())
            self.counts[what] += 1

    def flagged(self, token):
        with self.lock:
            m = self.messages[token]
            m.flagged = True
            m.note(self.clock())
            self.counts["flagged"] += 1


def make_pool():
    """Lines to cut bodies from, some of which a Maildir must not confuse."""
    rng = random.Random(7)
    letters = "abcdefghijklmnopqrstuvwxyz  ,.\u00e4".encode()
    lines = [bytes(rng.choices(letters, k=rng.randrange(1, 78))) for _ in range(40000)]
    lines += [b".", b"..", b"From me", b"", b"x" * 900] * 200
    rng.shuffle(lines)
    return b"\n".join(lines) + b"\n"


POOL = make_pool()
SIZES = [0, 100, 1000, 1000, 10000, 10000, 10000, 70000, 300000]


def make_text(token, rng):
    size = rng.choice(SIZES) if rng.random() < 0.98 else 1300000
    start = rng.randrange(len(POOL) - size)
    start = POOL.index(b"\n", start) + 1 if start + size < len(POOL) - 1000 else 0
    body = POOL[start:start + size]
    return b"Subject: " + token.encode() + b"\nFrom: load@far.example\n\n" + body + b"\nend\n"


class Sender(threading.Thread):
    """Sends until told to stop; what it gets a 250 for stands in the ledger."""

    def __init__(self, mail, ledger, number, users, limit=None, pause=0.0):
        super().__init__(daemon=True)
        self.mail, self.ledger, self.number, self.users = mail, ledger, number, users
        self.limit, self.pause = limit, pause
        self.stop = threading.Event()
        self.rng = random.Random(number)
        self.client = None

    def one(self, count):
        token = f"token-{self.number}-{count}-{self.rng.getrandbits(40):x}"
        user = self.rng.choice(self.users)
        text = make_text(token, self.rng)
        if self.client is None:
            self.client = smtplib.SMTP(*self.mail.smtp, local_hostname="load.example", timeout=20)
        self.ledger.offer(user, token, text)
        self.client.sendmail("load@far.example", [user], text.replace(b"\n", b"\r\n"))
        self.ledger.accepted(token)

    def run(self):
        count = 0
        while not self.stop.is_set() and (self.limit is None or count < self.limit):
            count += 1
            try:
                self.one(count)
            except LOST:
                self.client = None
                self.stop.wait(0.05)
            if self.pause:
                self.stop.wait(self.pause)


def token_of(data):
    token = TOKEN.search(data)
    return token[1].decode() if token else None


def fetched(answer):
    """(uid, all but the literal, token) of each message in imaplib's answer to a FETCH of Subject."""
    for part, behind in zip(answer, answer[1:] + [b""]):
        if isinstance(part, tuple):
            words = part[0] + (behind if isinstance(behind, bytes) else b"")
            yield int(re.search(rb"UID (\d+)", words)[1]), words, token_of(part[1].replace(b"\r\n", b"\n"))


class Reader(threading.Thread):
    """An IMAP client of one user that flags, moves and expunges what comes."""

    def __init__(self, mail, ledger, number, user):
        super().__init__(daemon=True)
        self.mail, self.ledger, self.user = mail, ledger, user
        self.stop = threading.Event()
        self.rng = random.Random(1000 + number)
        self.known = {}

    def tokens(self, imap, validity):
        status, answer = imap.uid("FETCH", "1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        if status != "OK":
            raise imaplib.IMAP4.error(str(answer))
        for uid, _, token in fetched(answer):
            if token:
                self.ledger.seen(self.user, "INBOX", validity, uid, token)
                yield uid, token

    def act(self, imap, uid, token):
        dice = self.rng.random()
        if dice < 0.3:
            self.told(imap.uid("STORE", str(uid), "+FLAGS", r"(\Flagged)"))
            self.ledger.flagged(token)
        elif dice < 0.55:
            self.ledger.begins(token, "Archive")
            self.told(imap.uid("MOVE", str(uid), "Archive"))
            self.ledger.done(token, "Archive", "moved")
        elif dice < 0.8:
            self.told(imap.uid("STORE", str(uid), "+FLAGS", r"(\Deleted)"))
            self.ledger.begins(token, None)
            self.told(imap.uid("EXPUNGE", str(uid)))
            self.ledger.done(token, None, "expunged")

    @staticmethod
    def told(answer):
        if answer[0] != "OK":
            raise imaplib.IMAP4.error(str(answer))

    def session(self):
        imap = imaplib.IMAP4(*self.mail.imap, timeout=20)
        imap.login(self.user, self.mail.users[self.user])
        while not self.stop.is_set():
            self.told(imap.select("INBOX"))
            validity = int(imap.response("UIDVALIDITY")[1][0])
            new = [(uid, token) for uid, token in self.tokens(imap, validity)
                   if (validity, uid) not in self.known]
            for uid, token in new[:20]:
                if self.stop.is_set():
                    break
                self.known[validity, uid] = token
                self.act(imap, uid, token)
            self.stop.wait(0.02)
        imap.shutdown()

    def run(self):
        while not self.stop.is_set():
            try:
                self.session()
            except LOST:
                self.stop.wait(0.1)


def read_folder(path):
    """
    [(file name, bytes)]. The server may be writing flags into names meanwhile: a file that is seen
    under two names is one file (one inode), and when one vanishes before it is read, all is read anew.
    """
    while True:
        files = {}
        try:
            for sub in ("new", "cur"):
                for f in sorted((path / sub).iterdir()) if (path / sub).is_dir() else ():
                    with open(f, "rb") as opened:
                        files[os.fstat(opened.fileno()).st_ino] = f.name, opened.read()
        except FileNotFoundError:
            continue
        return list(files.values())


def read_maildirs(root, users):
    """{user: {folder: [(file name, bytes)]}} as it lies on disk."""
    found = {}
    for user in users:
        name, domain = user.split("@")
        maildir = root / "mail" / domain / name / "Maildir"
        folders = {"INBOX": maildir}
        if maildir.is_dir():
            folders |= {f.name[1:]: f for f in maildir.iterdir() if f.name.startswith(".") and f.is_dir()}
        found[user] = {
            folder: read_folder(path)
            for folder, path in folders.items()}
    return found


def delivered_text(data):
    """A delivered message without the lines that were added in front."""
    while added := ADDED.match(data):
        data = data[added.end():]
    return data


def check(ledger, root, users, moment=float("inf")):
    """Everything that is wrong, as text; an empty list is good news."""
    wrong = [] if moment != float("inf") else list(ledger.wrong)
    places = collections.defaultdict(list)
    for user, folders in read_maildirs(root, users).items():
        for folder, files in folders.items():
            for name, data in files:
                token = token_of(data)
                message = ledger.messages.get(token)
                if message is None:
                    wrong.append(f"{user} {folder}/{name}: nobody sent this ({len(data)} octets)")
                    continue
                if delivered_text(data) != message.text:
                    wrong.append(f"{user} {folder}/{name}: {token} is not what was sent "
                                 f"({hashlib.sha1(data).hexdigest()[:8]}, {len(data)} octets)")
                if user != message.user:
                    wrong.append(f"{user} {folder}/{name}: {token} was for {message.user}")
                places[token].append((folder, name))
    for token, message in ledger.messages.items():
        where, sure, flagged = message.at(moment)
        there = places[token]
        if len(there) > 1:
            wrong.append(f"{token} of {message.user} is there {len(there)} times: {there}")
        elif there and there[0][0] not in where:
            wrong.append(f"{token} of {message.user} is in {there[0]}, not in {sorted(where)}")
        elif not there and sure:
            wrong.append(f"{token} of {message.user} is lost")
    return wrong


def queue_is_empty(mail):
    done = mail.command("queue", check=False)
    return done.returncode == 0 and done.stdout.startswith("The queue is empty")


def wait_queue_empty(mail, seconds=60):
    try:
        server.wait_until("the queue to be empty", lambda: queue_is_empty(mail), seconds=seconds)
    except AssertionError:
        left = mail.command("queue", check=False)
        raise AssertionError(f"still in the queue:\n{left.stdout[-3000:]}{left.stderr}") from None


def check_index(ledger, mail, users, moment=float("inf")):
    """What IMAP shows is what lies there: the same messages, no UID used twice, flags kept."""
    wrong = []
    told = {key: token for key, (token, when) in ledger.uids.items() if when <= moment}
    for user in users:
        imap = mail.reader(user, folder=None, tls=False)
        for folder in ("INBOX", "Archive"):
            imap.select(folder, readonly=True)
            validity = int(imap.response("UIDVALIDITY")[1][0])
            answer = imap.uid("FETCH", "1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]
            shown = collections.Counter()
            for uid, words, token in fetched(answer):
                shown[token] += 1
                if told.get((user, folder, validity, uid), token) != token:
                    wrong.append(f"UID {uid} of {user} {folder}: was {told[user, folder, validity, uid]}, "
                                 f"is {token}")
                if token in ledger.messages and ledger.messages[token].at(moment)[2] \
                        and rb"\Flagged" not in words:
                    wrong.append(f"{user} {folder} UID {uid}: {token} was flagged")
            files = collections.Counter(
                token_of(data)
                for _, data in read_maildirs(mail.dir, [user])[user].get(folder, []))
            if shown != files:
                wrong.append(f"{user} {folder}: IMAP and the files differ: {shown - files} {files - shown}")
        imap.logout()
    return wrong
