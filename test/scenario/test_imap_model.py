"""
Several clients change one folder at random. Each keeps the picture that the server's answers paint: what a
sequence number stands for, and which flags a message has. Every answer is checked against that picture,
and in the end all pictures must be the folder.
"""
import random
import re
import threading

import pytest

from server import SLOWER
from test_imap import ANNA, Raw

FLAGS = ["\\Seen", "\\Answered", "\\Flagged", "\\Draft", "\\Deleted", "Work", "$Label1"]
NO_EXPUNGE = {"FETCH", "STORE", "SEARCH"}  # RFC 9051, 7.5.1


class Picture(Raw):
    """A client that believes what it is told."""

    def __init__(self, mail, name):
        super().__init__(mail)
        self.name = name
        self.messages = []  # [uid or None, flags or None]
        self.condstore = False
        self.select()

    def select(self):
        self.messages = []
        for line in self.ok("SELECT Shared" + (" (CONDSTORE)" if self.condstore else "")):
            self.take(line, "SELECT")

    def take(self, line, command):
        """One untagged answer."""
        if match := re.fullmatch(rb"\* (\d+) EXISTS", line):
            count = int(match[1])
            assert count >= len(self.messages), (self.name, line, len(self.messages))
            self.messages += [[None, None] for _ in range(count - len(self.messages))]
        elif match := re.fullmatch(rb"\* (\d+) EXPUNGE", line):
            assert command not in NO_EXPUNGE, (self.name, command, line)
            del self.messages[int(match[1]) - 1]
        elif match := re.match(rb"\* (\d+) FETCH \((.*)\)$", line):
            self.take_fetch(int(match[1]), match[2])

    def take_fetch(self, number, items):
        assert 1 <= number <= len(self.messages), (self.name, number, items)
        message = self.messages[number - 1]
        if uid := re.search(rb"\bUID (\d+)", items):
            assert message[0] in (None, int(uid[1])), (self.name, number, message, items)
            message[0] = int(uid[1])
        if flags := re.search(rb"\bFLAGS \((.*?)\)", items):
            message[1] = frozenset(flags[1].decode().split())

    def run(self, text):
        verb = text.split()[0]
        lines, answer = self.command(text)
        for line in lines:
            self.take(line, verb)
        assert answer.startswith("OK") or "EXPUNGEISSUED" in answer or \
            ("No message has that number" in answer and not self.messages), (self.name, text, answer)
        return lines, answer

    def check(self):
        """What the client believes is what a FETCH says."""
        self.run("NOOP")
        if not self.messages:
            return
        believed = [list(m) for m in self.messages]
        lines, _ = self.command("FETCH 1:* (UID FLAGS)")
        asked = re.compile(rb"\* \d+ FETCH \(UID (\d+) FLAGS \((.*)\)\)")
        told = [(int(m[1]), frozenset(m[2].decode().split())) for m in map(asked.fullmatch, lines) if m]
        assert len(told) == len(believed), (self.name, len(told), len(believed))
        uids = [uid for uid, _ in told]
        assert uids == sorted(set(uids))
        for (uid, flags), (old_uid, old_flags) in zip(told, believed):
            assert old_uid in (None, uid), (self.name, old_uid, uid)
            assert old_flags in (None, flags), (self.name, uid, old_flags, flags)
        self.messages = [list(m) for m in told]
        for line in lines:
            if not asked.fullmatch(line):
                self.take(line, "FETCH")  # what others did meanwhile

    def some(self, dice):
        """A sequence set within what the client believes in."""
        top = len(self.messages)
        first = dice.randint(1, top)
        return dice.choice([str(first), f"{first}:{dice.randint(1, top)}", f"{first},{dice.randint(1, top)}", "*"])

    def act(self, dice):
        deed = dice.random()
        if deed < 0.25 or not self.messages:
            text = f"Subject: {dice.random()}\r\n\r\nx\r\n"
            flags = " ".join(dice.sample(FLAGS[:4] + FLAGS[5:], dice.randint(0, 2)))
            _, answer = self.run(f"APPEND Shared ({flags}) {{{len(text)}+}}\r\n{text}")
            assert "APPENDUID" in answer
        elif deed < 0.5:
            mode, silent = dice.choice(["+", "-", ""]), dice.choice(["", ".SILENT"])
            chosen, numbers, top = dice.sample(FLAGS, dice.randint(1, 3)), self.some(dice), len(self.messages)
            self.run(f"STORE {numbers} {mode}FLAGS{silent} ({' '.join(chosen)})")
            if silent:
                self.forget(numbers, top)
        elif deed < 0.6:
            self.run("EXPUNGE")
        elif deed < 0.65:
            self.run(f"MOVE {self.some(dice)} Other")
        elif deed < 0.7:
            self.run(f"COPY {self.some(dice)} {dice.choice(['Other', 'Shared'])}")
        elif deed < 0.8:
            self.run(f"FETCH {self.some(dice)} (FLAGS UID)")
        elif deed < 0.85:
            self.run(f"UID FETCH 1:{self.messages[-1][0] or 1} (RFC822.SIZE) (CHANGEDSINCE 1)")
        elif deed < 0.9:
            self.run(dice.choice(["SEARCH UNSEEN", "UID SEARCH DELETED", "SEARCH RETURN (COUNT) ALL"]))
        elif deed < 0.95:
            self.run("NOOP")
        else:
            self.check()

    def forget(self, numbers, top):
        """After .SILENT a client would work out the flags itself; this one has forgotten them."""
        for part in numbers.split(","):
            ends = [top if n == "*" else int(n) for n in part.split(":")]
            for n in range(min(ends), max(ends) + 1):
                self.messages[n - 1][1] = None


@pytest.fixture
def pictures(mail):
    made = []

    def make(count):
        if not made:
            first = Raw(mail)
            first.ok("CREATE Shared")
            first.ok("CREATE Other")
            first.close()
        made.extend(Picture(mail, f"client {n}") for n in range(count))
        return made

    yield make
    for client in made:
        client.close()


def agree(clients):
    for client in clients:
        client.run("NOOP")
        client.check()
    for client in clients[1:]:
        assert client.messages == clients[0].messages


@pytest.mark.parametrize("seed", range(4))
def test_clients_that_take_turns(pictures, seed):
    dice = random.Random(seed)
    clients = pictures(4)
    for _ in range(400):
        dice.choice(clients).act(dice)
    agree(clients)


@pytest.mark.tsan
def test_clients_at_the_same_time(pictures):
    clients = pictures(5)
    failures = []

    def work(client, seed):
        dice = random.Random(seed)
        try:
            for _ in range(150 // SLOWER):
                client.act(dice)
        except Exception as e:  # noqa: BLE001
            failures.append((client.name, repr(e)))

    threads = [threading.Thread(target=work, args=(c, n)) for n, c in enumerate(clients)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures, failures
    agree(clients)


def test_no_uid_is_used_twice(pictures, mail):
    clients = pictures(2)
    dice = random.Random(7)
    used = set()
    for _ in range(3):
        for _ in range(60):
            dice.choice(clients).act(dice)
        agree(clients)
        now = {m[0] for m in clients[0].messages}
        for client in clients:
            client.run("STORE 1:* +FLAGS.SILENT (\\Deleted)")
            client.run("EXPUNGE")
        agree(clients)
        assert not clients[0].messages
        used |= now
        mail.kill_all()
        mail.start()
        clients[:] = [Picture(mail, f"again {n}") for n in range(2)]
        clients[0].run("APPEND Shared {14+}\r\nSubject: x\r\n\r\n")
        agree(clients)
        assert clients[0].messages[0][0] > max(used, default=0)
