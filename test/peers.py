"""Other servers for the tests: an SMTP server that does as it is told, and NSD for its names."""
import pathlib
import random
import select
import socket
import ssl
import subprocess
import threading
import time

from server import SLOWER


def free_port():
    """
    A port free for TCP and UDP on all addresses: below those that the kernel gives to connections and
    that server.PortBase uses, so that it stays free until it is used.
    """
    while True:
        port = random.randrange(2000, 9900)
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            try:
                for s in (tcp, udp):
                    s.bind(("0.0.0.0", port))
            except OSError:
                continue
            return port


class SmtpPeer:
    """
    Accepts mail on loopback and remembers it.

    replies  {verb: reply}: answers so instead of accepting. A reply is a text, or a list of texts
             to use up one by one (then as usual), or a function of the command line. Verbs are
             CONNECT, EHLO, MAIL, RCPT, DATA, "." (the end of data) ...; None closes the connection.
    tls      (certificate file, key file) to offer STARTTLS
    """

    def __init__(self, address="127.0.0.1", port=0, replies=None, tls=None, extensions=()):
        self.replies = dict(replies or {})
        self.tls, self.extensions = tls, extensions
        self.messages, self.commands, self.connections = [], [], 0
        self.changed = threading.Condition()
        self.socket = socket.create_server((address, port))
        self.address = self.socket.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()

    def wait(self, count, seconds=10):
        """Waits until so many messages have come; returns them."""
        with self.changed:
            ok = self.changed.wait_for(lambda: len(self.messages) >= count, seconds * SLOWER)
            assert ok, f"{len(self.messages)} of {count} messages came; said: {self.commands}"
            return list(self.messages)

    def _accept(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            threading.Thread(target=self._converse, args=[client, self.connections],
                             daemon=True).start()

    def _converse(self, client, number):
        try:
            _Conversation(self, client, number).run()
        except (OSError, ValueError):
            pass
        finally:
            client.close()


class _Conversation:
    def __init__(self, peer, client, number):
        self.peer, self.number, self.secure = peer, number, False
        self._use(client)
        self._forget()

    def _use(self, client):
        self.client = client
        self.file = client.makefile("rwb")

    def _forget(self):
        self.sender, self.recipients = None, []

    def _answer(self, verb, line, usual):
        scripted = self.peer.replies.get(verb, usual)
        if isinstance(scripted, list):
            scripted = scripted.pop(0) if scripted else usual
        if callable(scripted):
            scripted = scripted(line) or usual
        if scripted is None:
            raise ConnectionError("told to close")
        self.file.write(scripted.encode() + b"\r\n")
        self.file.flush()
        return scripted[0] in "23"

    def _data(self):
        lines = []
        while (line := self.file.readline()) not in (b".\r\n", b""):
            lines.append(line[1:] if line.startswith(b".") else line)
        if line and self._answer(".", line, "250 2.0.0 Ok: queued as PEER"):
            with self.peer.changed:
                self.peer.messages.append({
                    "sender": self.sender, "recipients": self.recipients, "data": b"".join(lines),
                    "tls": self.secure, "connection": self.number})
                self.peer.changed.notify_all()
        self._forget()

    def _hello(self, line):
        offers = ["peer.example", "PIPELINING", "8BITMIME", "SIZE 50000000", "ENHANCEDSTATUSCODES",
                  *self.peer.extensions]
        if self.peer.tls and not self.secure:
            offers.append("STARTTLS")
        text = "\r\n".join(f"250-{offer}" for offer in offers[:-1]) + f"\r\n250 {offers[-1]}"
        self._answer("EHLO", line, text)

    def _starttls(self, line):
        if self._answer("STARTTLS", line, "220 2.0.0 go ahead"):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.peer.tls)
            self._use(context.wrap_socket(self.client, server_side=True))
            self.secure = True

    def run(self):
        if not self._answer("CONNECT", "", "220 peer.example ESMTP"):
            return
        while raw := self.file.readline():
            line = raw.decode("utf-8", "replace").rstrip("\r\n")
            verb = line.split(" ")[0].upper()
            self.peer.commands.append(line)
            if verb == "EHLO":
                self._hello(line)
            elif verb == "STARTTLS" and self.peer.tls:
                self._starttls(line)
            elif verb == "MAIL":
                if self._answer(verb, line, "250 2.1.0 Ok"):
                    self.sender = line[line.index("<") + 1:line.index(">")]
            elif verb == "RCPT":
                if self._answer(verb, line, "250 2.1.5 Ok"):
                    self.recipients.append(line[line.index("<") + 1:line.index(">")])
            elif verb == "DATA":
                usual = "354 go ahead" if self.recipients else "503 5.5.1 no recipients"
                if self._answer(verb, line, usual) and self.recipients:
                    self._data()
            elif verb == "QUIT":
                self._answer(verb, line, "221 2.0.0 bye")
                return
            else:
                if verb == "RSET":
                    self._forget()
                self._answer(verb, line, "250 2.0.0 Ok")


class Nsd:
    """NSD with zones of our own on loopback: {zone name: text of its records, without SOA and NS}."""

    HEAD = "$ORIGIN {0}.\n$TTL 60\n@ SOA ns.{0}. root.{0}. 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n"

    def __init__(self, folder, zones, port=0, address="127.0.0.1"):
        self.dir = pathlib.Path(folder)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.address = (address, port or free_port())
        conf = [
            "server:", f"  ip-address: {address}@{self.address[1]}", '  username: ""',
            '  chroot: ""', f"  zonesdir: {self.dir}", f"  pidfile: {self.dir}/nsd.pid",
            f"  xfrdfile: {self.dir}/xfrd", f"  zonelistfile: {self.dir}/zones",
            '  database: ""', "  server-count: 1", f"  xfrdir: {self.dir}", f"  logfile: {self.dir}/log",
            "remote-control:", "  control-enable: no",
        ]
        for name, records in zones.items():
            name = name.rstrip(".")
            (self.dir / (name + ".zone")).write_text(self.HEAD.format(name) + records + "\n")
            conf += ["zone:", f"  name: {name}", f"  zonefile: {name}.zone"]
        (self.dir / "nsd.conf").write_text("\n".join(conf) + "\n")
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(["/usr/sbin/nsd", "-d", "-c", self.dir / "nsd.conf"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 10
        question = bytes.fromhex("123400000001000000000000" "00" "0006" "0001")
        while True:
            with socket.socket(type=socket.SOCK_DGRAM) as s:
                s.connect(self.address)
                try:
                    s.send(question)
                    if select.select([s], [], [], 0.05)[0] and s.recv(512):
                        return
                except ConnectionError:
                    time.sleep(0.02)
            log = self.dir / "log"
            assert self.process.poll() is None and time.monotonic() < deadline, \
                log.read_text() if log.exists() else "nsd does not start"

    def close(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process = None
