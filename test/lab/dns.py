"""A tiny scripted name server: records from a dict, faults by name, a count of what was asked.

It answers as a forwarder would (recursion available). Records:

    zone = {
        "example.net": {"MX": [(10, "mx1.example.net"), (20, "mx2.example.net")]},
        "mx1.example.net": {"A": ["127.0.0.2"], "AAAA": ["::1"]},
        "alias.example.net": {"CNAME": "mx1.example.net"},
        "*.example.net": {"MX": [(5, "wild.example.net")]},
        "broken.example.net": dns.SERVFAIL,
        "silent.example.net": dns.SILENT,
    }
"""
import ipaddress
import random
import socket
import socketserver
import struct
import threading

A, CNAME, PTR, MX, TXT, AAAA = 1, 5, 12, 15, 16, 28
TYPES = {"A": A, "CNAME": CNAME, "PTR": PTR, "MX": MX, "TXT": TXT, "AAAA": AAAA}
NAMES = {number: name for name, number in TYPES.items()}

SERVFAIL, REFUSED, SILENT, TRUNCATE = "servfail", "refused", "silent", "truncate"


def wire_name(name):
    out = b""
    for label in name.rstrip(".").split("."):
        if label:
            out += bytes([len(label)]) + label.encode("latin-1")
    return out + b"\0"


def read_name(packet, at):
    labels = []
    while packet[at]:
        length = packet[at]
        labels.append(packet[at + 1 : at + 1 + length].decode("latin-1"))
        at += 1 + length
    return ".".join(labels).lower(), at + 1


def data_of(kind, value):
    if isinstance(value, bytes):  # raw, for records that are wrong
        return value
    if kind in ("A", "AAAA"):
        return ipaddress.ip_address(value).packed
    if kind == "MX":
        return struct.pack("!H", value[0]) + wire_name(value[1])
    if kind == "TXT":
        return b"".join(bytes([len(v)]) + v.encode() for v in ([value] if isinstance(value, str) else value))
    return wire_name(value)


class Server:
    """`with Server(zone) as dns:` answers on dns.port, UDP and TCP, until the block ends."""

    def __init__(self, zone, ttl=30, address="127.0.0.1", port=0):
        self.zone = {name.lower().rstrip("."): what for name, what in zone.items()}
        self.ttl = ttl
        self.address, self.port = address, port
        self.asked = []  # (name, type) of every question
        self.lock = threading.Lock()

    def find(self, name):
        """What the zone says of a name: its own entry, or the nearest wildcard (RFC 4592)."""
        if name in self.zone:
            return self.zone[name]
        if any(known.endswith("." + name) for known in self.zone):
            return {}  # an empty non-terminal exists
        labels = name.split(".")
        for i in range(1, len(labels) + 1):
            parent = ".".join(labels[i:])
            if "*." + parent in self.zone:
                return self.zone["*." + parent]
            if parent in self.zone or any(k.endswith("." + parent) for k in self.zone):
                return None  # the closest encloser has no wildcard
        return None

    def answers(self, name, number):
        """(rcode, [(owner, type, data)]) or a fault."""
        records = []
        for _ in range(8):
            entry = self.find(name)
            if entry is None:
                return 3, records
            if isinstance(entry, str):
                return entry, records
            if "CNAME" in entry and number != CNAME:
                records.append((name, CNAME, wire_name(entry["CNAME"])))
                name = entry["CNAME"].lower().rstrip(".")
                continue
            kind = NAMES.get(number)
            records += [(name, number, data_of(kind, value)) for value in entry.get(kind, [])]
            return 0, records
        return SERVFAIL, []

    def reply(self, packet, tcp):
        ident, _, questions = struct.unpack("!HHH", packet[:6])
        name, at = read_name(packet, 12)
        number, = struct.unpack("!H", packet[at : at + 2])
        question = packet[12 : at + 4]
        with self.lock:
            self.asked.append((name, NAMES.get(number, str(number))))
            rcode, records = self.answers(name, number)
        flags = 0x8180
        if rcode == SILENT or questions != 1:
            return None
        if rcode == TRUNCATE:
            rcode, records = 0, []
        if rcode in (SERVFAIL, REFUSED):
            rcode, records = {SERVFAIL: 2, REFUSED: 5}[rcode], []
        body = b"".join(
            wire_name(owner) + struct.pack("!HHIH", kind, 1, self.ttl, len(data)) + data
            for owner, kind, data in records
        )
        count = len(records)
        if not tcp and len(body) > 1100:
            flags, body, count = flags | 0x0200, b"", 0
        return struct.pack("!HHHHHH", ident, flags | rcode, 1, count, 0, 0) + question + body

    def count(self, name, kind):
        with self.lock:
            return self.asked.count((name.lower(), kind))

    def set(self, name, what):
        with self.lock:
            self.zone[name.lower().rstrip(".")] = what

    def _bind(self, udp, datagram, tcp, stream):
        """The same port twice, below those that the kernel gives to connections."""
        while True:
            port = self.port or random.randrange(2000, 9900)
            try:
                first = udp((self.address, port), datagram)
            except OSError:
                if self.port:
                    raise
                continue
            try:
                return first, tcp((self.address, port), stream)
            except OSError:
                first.server_close()
                if self.port:
                    raise

    def start(self):
        lab = self

        class Datagram(socketserver.BaseRequestHandler):
            def handle(self):
                packet, sock = self.request
                answer = lab.reply(packet, tcp=False)
                if answer is not None:
                    sock.sendto(answer, self.client_address)

        class Stream(socketserver.StreamRequestHandler):
            def handle(self):
                while True:
                    head = self.rfile.read(2)
                    if len(head) < 2:
                        return
                    answer = lab.reply(self.rfile.read(struct.unpack("!H", head)[0]), tcp=True)
                    if answer is None:
                        return
                    self.wfile.write(struct.pack("!H", len(answer)) + answer)

        class Udp(socketserver.ThreadingUDPServer):
            address_family = socket.AF_INET
            daemon_threads = True
            max_packet_size = 4096

        class Tcp(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

        self.udp, self.tcp = self._bind(Udp, Datagram, Tcp, Stream)
        self.port = self.udp.server_address[1]
        for server in (self.udp, self.tcp):
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self):
        for server in (self.udp, self.tcp):
            server.shutdown()
            server.server_close()

    __enter__ = start

    def __exit__(self, *unused):
        self.stop()


if __name__ == "__main__":
    import ast
    import sys
    import time

    server = Server(ast.literal_eval(open(sys.argv[1]).read())).start()
    print(server.port, flush=True)
    while True:
        time.sleep(60)
