"""One Posthorn, as the tests see it: started by `posthorn try` in a folder of its own."""
import ctypes
import fcntl
import imaplib
import os
import pathlib
import re
import select
import signal
import smtplib
import socket
import ssl
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
POSTHORN = pathlib.Path(os.environ.get("POSTHORN", ROOT / "build/src/posthorn")).resolve()
PORTS = {"smtp": 25, "imap": 143, "submissions": 465, "submission": 587, "imaps": 993}
# Sanitizers make everything several times slower.
SLOWER = 1 if POSTHORN.parent.parent.name == "build" else 5

IN_CHANGES = 0x2 | 0x8 | 0x80 | 0x100 | 0x200  # modify, close after write, moved to, create, delete


def octets(text):
    """A message as the wire has it: text gets CRLF line ends, bytes stay as they are."""
    return text if isinstance(text, bytes) else re.sub(r"\r?\n", "\r\n", text).encode()


class Watch:
    """Wakes up when something changes in one of some folders or files (inotify)."""

    libc = ctypes.CDLL(None, use_errno=True)

    def __init__(self, paths):
        self.fd = self.libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        assert self.fd >= 0, os.strerror(ctypes.get_errno())
        for path in paths:
            self.libc.inotify_add_watch(self.fd, os.fsencode(path), IN_CHANGES)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)

    def wait(self, seconds):
        if select.select([self.fd], [], [], seconds)[0]:
            os.read(self.fd, 65536)


def wait_until(what, true, watch=(), seconds=10):
    """Returns true() as soon as it is true; looks again whenever something in `watch` changes."""
    deadline = time.monotonic() + seconds * SLOWER
    with Watch(watch) as changes:
        while not (value := true()):
            left = deadline - time.monotonic()
            assert left > 0, f"waited {seconds * SLOWER} s for {what}"
            # What inotify cannot see (a process that ends, a folder not there yet) is looked at in turns.
            changes.wait(min(left, 0.05))
        return value


def _die_with_parent():
    """A killed test run leaves no server behind."""
    Watch.libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class PortBase:
    """A base above that of script/server whose ports are free; a lock keeps parallel runs apart."""

    def __init__(self):
        folder = pathlib.Path("/tmp/posthorn-ports")
        folder.mkdir(mode=0o1777, exist_ok=True)
        for base in range(11000, 32000, 1000):
            lock = os.open(folder / str(base), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                for port in PORTS.values():
                    with socket.socket() as s:
                        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                        s.bind(("127.0.0.1", base + port))
            except OSError:
                os.close(lock)
                continue
            self.base, self.lock = base, lock
            return
        raise RuntimeError("no free range of ports")

    def close(self):
        os.close(self.lock)


class Server:
    """
    users    {address: password}
    config   text for --config, or None
    options  further options of `posthorn try`, as a list
    """

    def __init__(self, folder, users=None, domains=(), config=None, dns=None, relay_to=None,
                 options=()):
        self.dir = pathlib.Path(folder)
        self.users = users or {"anna@example.org": "anna-secret", "ben@example.org": "ben-secret"}
        self.ports = PortBase()
        self.process = None
        self.args = ["--dir", str(self.dir), "--port-base", str(self.ports.base)]
        for domain in domains or sorted({a.split("@")[1] for a in self.users}):
            self.args += ["--domain", domain]
        for address, password in self.users.items():
            self.args += ["--user", f"{address}:{password}"]
        if dns:
            self.args += ["--dns", "%s:%d" % tuple(dns)]
        if relay_to:
            self.args += ["--relay-to", "%s:%d" % tuple(relay_to)]
        file = self.dir.parent / (self.dir.name + ".conf")
        # Small segments: a journal of the usual size would be 192 MiB of zeros for every test.
        file.write_text((config or "") + "\nqueue-segment 2M\n")
        self.args += ["--config", str(file)]
        self.args += options
        self.output = self.dir.parent / (self.dir.name + ".out")
        for name, port in PORTS.items():
            setattr(self, name, ("127.0.0.1", self.ports.base + port))

    # Running

    def start(self, seconds=15, env=None):
        assert self.process is None
        ready, ours = os.pipe()
        with open(self.output, "ab") as out:
            self.process = subprocess.Popen(
                [POSTHORN, "try", *self.args, "--ready-fd", str(ours)],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, pass_fds=[ours],
                start_new_session=True, env={**os.environ, **(env or {})},
                preexec_fn=_die_with_parent)
        os.close(ours)
        try:
            assert select.select([ready], [], [], seconds * SLOWER)[0], \
                f"not ready after {seconds * SLOWER} s:\n{self.output_tail()}"
            assert os.read(ready, 1), f"ended before it was ready:\n{self.output_tail()}"
        finally:
            os.close(ready)
        return self

    def pids(self):
        """All processes of this server: the first one's session and descendants, by name of service."""
        found, parents = {}, {}
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                stat = pathlib.Path("/proc", entry, "stat").read_text()
            except OSError:
                continue
            name = stat[stat.index("(") + 1:stat.rindex(")")]
            state, parent, _, session = stat[stat.rindex(")") + 2:].split()[:4]
            if state != "Z":
                parents[int(entry)] = int(parent), int(session), name
        top = self.process.pid
        for pid, (parent, session, name) in parents.items():
            line = [pid]
            while line[-1] in parents and line[-1] != top:
                line.append(parents[line[-1]][0])
            if session == top or line[-1] == top:
                found[pid] = name
        return found

    def stop(self, seconds=10):
        """Ends it as Ctrl-C does; nothing may be left behind."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGINT)
        try:
            code = self.process.wait(seconds * SLOWER)
            wait_until("every process to end", lambda: not self.pids(), seconds=seconds)
        finally:
            self.kill_all()
        assert code == 0, f"ended with {code}:\n{self.output_tail()}"

    def kill_all(self, signal_number=signal.SIGKILL):
        """Kills every process at once, as a crash of the machine would."""
        if self.process is None:
            return
        while pids := self.pids():
            for pid in pids:
                try:
                    os.kill(pid, signal_number)
                except ProcessLookupError:
                    pass
            if self.process.poll() is None:
                self.process.wait()
        self.process.wait()
        self.process = None

    def close(self):
        self.kill_all()
        self.ports.close()

    def command(self, *args, text=None, check=True):
        """Runs `posthorn VERB --dir ... ARGS` against this server; returns what it printed."""
        done = subprocess.run([POSTHORN, args[0], "--dir", str(self.dir), *args[1:]], input=text, text=True,
                              capture_output=True, timeout=30 * SLOWER, check=False)
        if check:
            assert done.returncode == 0, f"{args}: {done.returncode}: {done.stdout}{done.stderr}"
            return done.stdout
        return done

    # Looking

    def maildir(self, address):
        user, domain = address.split("@")
        return self.dir / "mail" / domain / user / "Maildir"

    def messages(self, address, folder=""):
        """The files of the messages in a folder (Maildir++ name such as ".Sent")."""
        place = self.maildir(address) / folder
        return sorted(f for sub in ("new", "cur") if (place / sub).is_dir()
                      for f in (place / sub).iterdir() if not f.name.startswith("."))

    def wait_messages(self, address, count, folder="", seconds=10):
        """Waits until a folder holds that many messages; returns their files."""
        place = self.maildir(address) / folder
        wait_until(f"{count} messages of {address}",
                   lambda: len(self.messages(address, folder)) >= count,
                   [place / "new", place / "cur"], seconds)
        files = self.messages(address, folder)
        assert len(files) == count, [f.name for f in files]
        return files

    def log_file(self):
        return self.dir / "log" / "posthorn.log"

    def log(self):
        file = self.log_file()
        return file.read_text(errors="replace") if file.exists() else ""

    def wait_log(self, pattern, count=1, seconds=10):
        """Waits for lines that match; returns the matches (re.finditer over the whole log)."""
        find = lambda: list(re.finditer(pattern, self.log(), re.M))
        wait_until(f"{pattern!r} in the log", lambda: len(find()) >= count,
                   [self.log_file(), self.log_file().parent], seconds)
        return find()

    def output_tail(self, octets=4000):
        return self.output.read_text(errors="replace")[-octets:] if self.output.exists() else ""

    # Talking

    def tls(self):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context

    def send(self, sender, recipients, text, helo="client.example"):
        """Over port 25, as a stranger; returns what is refused, as smtplib does."""
        data = octets(text)
        with smtplib.SMTP(*self.smtp, local_hostname=helo, timeout=30 * SLOWER) as client:
            return client.sendmail(sender, recipients, data)

    def submit(self, user, recipients, text, sender=None):
        """Over port 587 with STARTTLS and AUTH, as one of our users."""
        data = octets(text)
        with smtplib.SMTP(*self.submission, local_hostname="client", timeout=30 * SLOWER) as client:
            client.starttls(context=self.tls())
            client.login(user, self.users[user])
            return client.sendmail(sender or user, recipients, data)

    def reader(self, user, folder="INBOX", tls=True):
        """An imaplib client, logged in and with a folder selected (None: no folder)."""
        if tls:
            client = imaplib.IMAP4_SSL(*self.imaps, ssl_context=self.tls(), timeout=30 * SLOWER)
        else:
            client = imaplib.IMAP4(*self.imap, timeout=30 * SLOWER)
        client.login(user, self.users[user])
        if folder is not None:
            status, answer = client.select(folder)
            assert status == "OK", answer
        return client
