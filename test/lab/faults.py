"""SMTP servers that misbehave: each is a function that gets one connection and does its worst."""
import contextlib
import socket
import struct
import threading
import time


class Faulty:
    """`with Faulty(endless_banner, "127.0.0.2", port):` runs it for every connection."""

    def __init__(self, fault, address, port=0):
        self.fault, self.connections = fault, 0
        self.closed = threading.Event()
        self.socket = socket.create_server((address, port))
        self.address = self.socket.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._run, args=[client], daemon=True).start()

    def _run(self, client):
        with client, contextlib.suppress(OSError):
            client.settimeout(60)
            self.fault(client, self.closed)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.closed.set()
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def reset(client):
    """Ends the connection with RST instead of FIN."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def endless_banner(client, closed):
    while not closed.is_set():
        client.sendall(b"220-" + b"x" * 60 + b"\r\n")


def endless_line(client, closed):
    client.sendall(b"220 ")
    while not closed.is_set():
        client.sendall(b"x" * 4096)


def ten_thousand_lines(client, closed):
    client.sendall(b"220 mx\r\n")
    client.recv(1000)
    client.sendall(b"".join(b"250-X%d\r\n" % i for i in range(10000)) + b"250 X\r\n")
    closed.wait(30)


def silence(_client, closed):
    closed.wait(60)


def slow(client, closed):
    """An octet a second: never quite silent."""
    for octet in b"220 " + b"x" * 500 + b"\r\n":
        client.sendall(bytes([octet]))
        if closed.wait(1):
            return


def nul_and_bare_lf(client, closed):
    client.sendall(b"220 mx\0\n250 sure\n")
    closed.wait(5)


def _up_to_data(client):
    file = client.makefile("rb")
    client.sendall(b"220 mx\r\n")
    for answer in (b"250 mx\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"):
        file.readline()
        client.sendall(answer)
    return file


def close_after_data(client, _closed):
    _up_to_data(client).readline()


def yes_then_reset(client, _closed):
    """The message is accepted; what follows must not undo that."""
    file = _up_to_data(client)
    while file.readline() not in (b".\r\n", b""):
        pass
    client.sendall(b"250 2.0.0 Ok: queued as LAST\r\n")
    time.sleep(0.05)
    reset(client)


def bytes_behind_starttls(client, closed):
    file = client.makefile("rb")
    client.sendall(b"220 mx\r\n")
    file.readline()
    client.sendall(b"250-mx\r\n250 STARTTLS\r\n")
    if file.readline().upper() != b"STARTTLS\r\n":
        return
    client.sendall(b"220 go\r\n250 injected\r\n")
    closed.wait(5)


def broken_tls_then_clear(deliver):
    """Offers STARTTLS and cannot do it; speaks plainly with those who come back without."""

    def fault(client, _closed):
        file = client.makefile("rb")
        client.sendall(b"220 mx\r\n")
        file.readline()
        client.sendall(b"250-mx\r\n250 STARTTLS\r\n")
        line = file.readline()
        if line.upper() == b"STARTTLS\r\n":
            client.sendall(b"220 go\r\n")
            client.recv(1000)
            client.sendall(b"this is no handshake\r\n" * 10)
            return
        while line:
            verb = line.split()[0].upper() if line.split() else b""
            client.sendall(b"354 go\r\n" if verb == b"DATA" else b"250 2.0.0 ok\r\n")
            if verb == b"DATA":
                text = b""
                while (line := file.readline()) not in (b".\r\n", b""):
                    text += line
                deliver(text)
                client.sendall(b"250 2.0.0 Ok: queued as CLEAR\r\n")
            line = file.readline()

    return fault
