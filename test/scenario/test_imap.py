"""A day of IMAP: mail arrives, is read, flagged, moved, appended; sessions see one another."""
import os
import re
import socket
import threading
import time

import pytest

from server import SLOWER

ANNA, BEN = "anna@example.org", "ben@example.org"
TEXT = "From: x@far.example\r\nTo: anna@example.org\r\nSubject: hello\r\n\r\nFirst line\r\n.dot\r\n"


class Raw:
    """An IMAP client that shows every line, in plain text."""

    def __init__(self, mail, user=ANNA, folder=None):
        self.socket = socket.create_connection(mail.imap, timeout=30 * SLOWER)
        self.file = self.socket.makefile("rb")
        self.tags = 0
        assert self.line().startswith(b"* OK")
        if user:
            assert self.ok(f'LOGIN {user} {mail.users[user]}')
        if folder:
            self.ok(f"SELECT {folder}")

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())

    def line(self):
        line = self.file.readline()
        assert line.endswith(b"\r\n"), f"connection ended: {line}"
        return line[:-2]

    def command(self, text):
        """Returns the untagged lines and the tagged answer without its tag."""
        self.tags += 1
        tag = b"t%d" % self.tags
        self.send(tag + b" " + (text if isinstance(text, bytes) else text.encode()) + b"\r\n")
        return self.answer(tag)

    def answer(self, tag):
        lines = []
        while not (line := self.line()).startswith(tag + b" "):
            lines.append(line)
        return lines, line[len(tag) + 1:].decode()

    def ok(self, text):
        lines, answer = self.command(text)
        assert answer.startswith("OK"), answer
        return lines or [b""]

    def idle(self):
        self.send(b"i IDLE\r\n")
        assert self.line().startswith(b"+")

    def done(self):
        self.send(b"DONE\r\n")
        assert self.answer(b"i")[1].startswith("OK")

    def close(self):
        self.socket.close()


@pytest.fixture
def raw(mail):
    clients = []

    def make(*args, **options):
        clients.append(Raw(mail, *args, **options))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


def body(client, number, what="BODY.PEEK[]"):
    status, data = client.fetch(str(number), f"({what})")
    assert status == "OK" and data[0], data
    return data[0][1]


@pytest.mark.tsan
def test_SD_202_mail_from_outside_is_read_by_imap(mail):
    mail.send("x@far.example", [ANNA], TEXT)
    mail.wait_messages(ANNA, 1)
    for tls in (True, False):
        client = mail.reader(ANNA, tls=tls)
        assert body(client, 1).endswith(b"Subject: hello\r\n\r\nFirst line\r\n.dot\r\n")
        assert client.search(None, "SUBJECT", "hello") == ("OK", [b"1"])
        assert int(re.search(rb"SIZE (\d+)", client.fetch("1", "(RFC822.SIZE)")[1][0])[1]) == len(body(client, 1))
        client.logout()


def test_SD_118_readable_in_less_than_a_second(mail):
    client = mail.reader(ANNA)
    for n in range(1, 6):
        mail.send("x@far.example", [ANNA], TEXT)
        began = time.monotonic()
        while client.noop() and client.response("EXISTS")[1][-1] != str(n).encode():
            assert time.monotonic() - began < 1 * SLOWER
        assert body(client, n)


def test_SD_059_an_empty_body_is_stored_and_fetched(mail, raw):
    mail.send("x@far.example", [ANNA], "Subject: nothing\r\n\r\n")
    mail.wait_messages(ANNA, 1)
    client = raw(folder="INBOX")
    assert client.ok("FETCH 1 (BODY.PEEK[TEXT])") == [b'* 1 FETCH (BODY[TEXT] "")']


def make_maildir(mail):
    """The folder of a message is there as soon as something has been delivered to it."""
    mail.send("x@far.example", [ANNA], TEXT)
    mail.wait_messages(ANNA, 1)
    return mail.maildir(ANNA)


def test_SD_189_mail_of_another_program_appears(mail, raw):
    place = make_maildir(mail)
    client = raw(folder="INBOX")
    name = f"{int(time.time())}.P1.elsewhere"
    (place / "tmp" / name).write_bytes(b"Subject: by hand\n\nfrom procmail\n")
    client.idle()
    os.link(place / "tmp" / name, place / "new" / name)
    os.unlink(place / "tmp" / name)
    assert client.line() == b"* 2 EXISTS"
    client.done()
    assert b"Subject: by hand" in client.ok("FETCH 2 (BODY.PEEK[])")
    assert len(mail.messages(ANNA)) == 2
    assert not list((place / "tmp").iterdir())


def test_SD_189_half_a_file_is_never_seen(mail, raw):
    place = make_maildir(mail)
    client = raw(folder="INBOX")
    with open(place / "tmp" / "1.half.elsewhere", "wb") as half:
        half.write(b"Subject: half\n")
        half.flush()
        assert client.ok("NOOP") == [b""]
        assert client.ok("STATUS INBOX (MESSAGES)")[0] == b"* STATUS INBOX (MESSAGES 1)"


def test_flags_are_kept_over_a_restart(mail):
    mail.send("x@far.example", [ANNA], TEXT)
    mail.wait_messages(ANNA, 1)
    client = mail.reader(ANNA)
    assert client.store("1", "+FLAGS", r"(\Flagged Work)")[0] == "OK"
    client.logout()
    mail.stop()
    mail.start()
    client = mail.reader(ANNA)
    flags = client.fetch("1", "(FLAGS UID)")[1][0]
    assert b"\\Flagged" in flags and b"Work" in flags and b"UID 1" in flags


@pytest.mark.tsan
def test_several_sessions_see_one_another_at_once(mail, raw):
    mail.send("x@far.example", [ANNA], TEXT)
    mail.wait_messages(ANNA, 1)
    watcher, worker = raw(folder="INBOX"), raw(folder="INBOX")
    watcher.idle()
    worker.ok(r"STORE 1 +FLAGS.SILENT (\Seen)")
    assert watcher.line() == rb"* 1 FETCH (FLAGS (\Seen) UID 1)"
    worker.ok("APPEND INBOX {14+}\r\nSubject: x\r\n\r\n")
    assert watcher.line() == b"* 2 EXISTS"
    worker.ok("MOVE 1 Archive")
    assert watcher.line() == b"* 1 EXPUNGE"
    watcher.done()


def test_the_shape_of_an_append(mail, raw):
    client = raw()
    message = b"Subject: appended\r\n\r\nwith a line\r\n"
    _, answer = client.command(b"APPEND Sent (\\Seen) {%d+}\r\n" % len(message) + message)
    assert re.match(r"OK \[APPENDUID \d+ 1\]", answer), answer
    client.ok("SELECT Sent")
    lines = client.ok("UID FETCH 1 (FLAGS BODY.PEEK[])")
    assert lines[0].startswith(b"* 1 FETCH (FLAGS (\\Seen) BODY[] {%d}" % len(message))
    [file] = mail.messages(ANNA, ".Sent")
    assert b"\r" not in file.read_bytes()


def test_large_messages_pass_through_whole(mail):
    client = mail.reader(ANNA)
    lines = b"".join(b"%d %s\r\n" % (n, b"x" * (n % 70)) for n in range(60000))
    message = b"Subject: large\r\n\r\n" + lines
    assert client.append("INBOX", None, None, message)[0] == "OK"
    client.select("INBOX")
    assert body(client, 1) == message
    assert body(client, 1, "BODY.PEEK[TEXT]") == lines
    for at in (0, 1, 65535, len(message) - 10):
        assert body(client, 1, f"BODY.PEEK[]<{at}.70000>") == message[at:at + 70000]


def test_a_large_part_comes_in_pieces(mail):
    part = b"".join(b"%06d%s\r\n" % (n, b"A" * 64) for n in range(20000))
    message = b"\r\n".join([
        b"Mime-Version: 1.0", b"Content-Type: multipart/mixed; boundary=x", b"", b"--x", b"", b"text", b"--x",
        b"Content-Type: image/png", b"", part, b"--x--", b""])
    client = mail.reader(ANNA)
    assert client.append("INBOX", None, None, message)[0] == "OK"
    client.select("INBOX")
    size = 70001
    starts = list(range(0, len(part), size))
    for order in (starts, starts[::-1], starts[::3] + starts[1::3] + starts[2::3]):
        pieces = {at: body(client, 1, f"BODY.PEEK[2]<{at}.{size}>") for at in order}
        assert b"".join(pieces[at] for at in starts) == part
        assert body(client, 1, "BODY.PEEK[1]") == b"text"
    assert client.fetch("1", f"(BODY.PEEK[2]<{len(part)}.10>)")[1][0] == b'1 (BODY[2]<%d> "")' % len(part)


def test_news_reaches_an_idling_client_quickly(mail, raw):
    client = raw(folder="INBOX")
    client.idle()
    waits = []
    for n in range(1, 51):
        mail.send("x@far.example", [ANNA], TEXT)
        began = time.monotonic()
        assert client.line() == b"* %d EXISTS" % n
        waits.append(time.monotonic() - began)
    assert sorted(waits)[len(waits) // 2] < 0.1 * SLOWER


def test_folders_that_a_client_makes_are_found_again(mail):
    client = mail.reader(ANNA, folder=None)
    for name in ("Projects/2026", '"with space"', "&AOk-t&AOk-", "dotted.name"):
        assert client.create(name)[0] == "OK"
    assert client.create("Projects/2026")[0] == "NO"
    names = b"\n".join(client.list()[1])
    for name in (b"Projects/2026", b'"with space"', b"&AOk-t&AOk-", b"dotted.name"):
        assert name in names
    assert client.rename("Projects", "Old")[0] == "OK"
    assert b"Old/2026" in b"\n".join(client.list()[1])
    assert client.delete("Old/2026")[0] == "OK"
    assert client.subscribe("Old")[0] == "OK"
    assert b"Old" in b"\n".join(client.lsub()[1])
    uses = b"\n".join(client.list('""', '"*"')[1])
    for use in (rb"\Sent", rb"\Drafts", rb"\Trash", rb"\Junk", rb"\Archive"):
        assert use in uses


def test_folders_that_never_held_a_message(raw):
    client = raw()
    client.ok("CREATE Empty")
    client.ok("CREATE Target")
    client.ok("SELECT Empty")
    for command in ("EXPUNGE", "UID COPY 1:* Target", "UID MOVE 1:* Target", "UID EXPUNGE 1:*",
                    "UID STORE 1:* +FLAGS (x)", "CLOSE", "RENAME INBOX Old", "RENAME Empty Target/below",
                    "DELETE Target", "DELETE Target/below"):
        client.ok(command)


def test_many_clients_at_once(mail):
    """Each appends, flags and expunges its own; in the end all counts are right."""
    failures = []

    def work(number):
        try:
            client = mail.reader(ANNA, folder="INBOX", tls=False)
            for n in range(10):
                text = b"Subject: c%d n%d\r\n\r\nx\r\n" % (number, n)
                status, answer = client.append("INBOX", None, None, text)
                assert status == "OK", answer
                uid = re.search(rb"APPENDUID \d+ (\d+)", answer[0])[1].decode()
                if n % 2:
                    assert client.uid("STORE", uid, "+FLAGS.SILENT", r"(\Deleted)")[0] == "OK"
                    assert client.uid("EXPUNGE", uid)[0] == "OK"
            client.logout()
        except Exception as e:  # noqa: BLE001
            failures.append(e)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures
    client = mail.reader(ANNA)
    assert client.search(None, "ALL")[1][0].split()[-1] == b"30"


# Bad input


def test_literals_of_2_to_the_63(mail, raw):
    for user in (None, ANNA):
        client = raw(user=user)
        _, answer = client.command("LOGIN {9223372036854775808}")
        assert re.match("BAD|NO", answer), answer
        assert client.ok("NOOP")
        client.send(b"x LOGIN {9223372036854775808+}\r\n")
        assert client.line().startswith((b"* BYE", b"x BAD"))
    client = raw()
    _, answer = client.command("APPEND INBOX {9223372036854775807}")
    assert answer.startswith("NO [TOOBIG]"), answer
    assert client.ok("NOOP")


def test_endless_lines_cost_no_memory(mail, raw):
    for user in (None, ANNA):
        client = raw(user=user)
        with pytest.raises((BrokenPipeError, ConnectionResetError, AssertionError)):
            client.send(b"a ")
            for _ in range(200):
                client.send(b"x" * 65536)
            client.line()
            client.line()
            client.line()


def outside(mail):
    """Every file that is not the account's, the log's or the queue's."""
    others = {mail.maildir(ANNA).parent, mail.dir / "log", mail.dir / "spool"}
    return {f for f in mail.dir.rglob("*") if not others & {f, *f.parents}}


@pytest.mark.parametrize("name", [
    b"../x", b"..", b"x/../../y", b"/etc/passwd", b"x//y", b"&AAA-", b'""', b"x" * 300,
    b"{3+}\r\na\0b", b"&AC8-", b"~/x/.."])
def test_names_that_reach_nowhere(mail, raw, name):
    client = raw()
    before = outside(mail)
    for verb in (b"CREATE ", b"SELECT ", b"DELETE ", b"STATUS "):
        _, answer = client.command(verb + name + (b" (MESSAGES)" if verb == b"STATUS " else b""))
        assert re.match("NO|BAD", answer), (verb, name, answer)
    assert client.ok("NOOP")
    assert outside(mail) == before


def test_odd_but_allowed_names_stay_inside(mail, raw):
    client = raw()
    client.ok("APPEND INBOX {14+}\r\nSubject: x\r\n\r\n")
    for name in ("cur", "new", "tmp", "dovecot.index"):
        client.ok(f"CREATE {name}")
        client.ok(f"APPEND {name} {{14+}}\r\nSubject: x\r\n\r\n")
        assert b"* 1 EXISTS" in client.ok(f"SELECT {name}")
    assert {"cur", "new", "tmp"} <= {f.name for f in mail.maildir(ANNA).iterdir()}
    assert (mail.maildir(ANNA) / ".cur").is_dir()


def test_one_user_never_sees_another(mail, raw):
    mail.send("x@far.example", [ANNA], TEXT)
    mail.wait_messages(ANNA, 1)
    client = raw(user=BEN, folder="INBOX")
    assert b"* 0 EXISTS" in client.ok("SELECT INBOX")
    for name in ("anna", "../anna/INBOX", "user/anna", ANNA):
        assert client.command(f"SELECT {name}")[1].startswith("NO")
