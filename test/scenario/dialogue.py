"""A hand-made SMTP client: says exactly these bytes and shows exactly what comes back."""
import base64
import socket

from server import SLOWER


class Dialogue:
    """
    d = Dialogue(mail.smtp); d("EHLO x") returns the reply's lines; d.raw(b"...") says bytes.
    A reply is a list of its lines, so d("NOOP")[-1].startswith("250 ").
    """

    def __init__(self, address, greeting=True, context=None, source=None, seconds=20):
        self.socket = socket.create_connection(address, timeout=seconds * SLOWER,
                                               source_address=source and (source, 0))
        if context:
            self.socket = context.wrap_socket(self.socket)
        self.rest = b""
        self.greeting = self.reply() if greeting else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def raw(self, octets):
        self.socket.sendall(octets)

    def line(self):
        while b"\n" not in self.rest:
            more = self.socket.recv(65536)
            if not more:
                raise ConnectionError(f"closed; left: {self.rest!r}")
            self.rest += more
        line, self.rest = self.rest.split(b"\n", 1)
        assert line.endswith(b"\r"), line
        return line[:-1].decode()

    def reply(self):
        lines = [self.line()]
        while lines[-1][3:4] == "-":
            lines.append(self.line())
        assert all(line[:3] == lines[0][:3] for line in lines), lines
        return lines

    def __call__(self, command):
        self.raw(command.encode() + b"\r\n")
        return self.reply()

    def codes(self, *commands):
        """The reply codes of commands said one by one."""
        return [self(command)[-1][:3] for command in commands]

    def ended(self):
        """True when the server closes the connection without another word."""
        if self.rest:
            return False
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def starttls(self, context):
        assert self("STARTTLS")[-1].startswith("220 ")
        self.socket = context.wrap_socket(self.socket)

    def data(self, text):
        """DATA and a message that is already as it goes over the wire, without the final dot."""
        assert self("DATA")[-1].startswith("354 ")
        self.raw(text + (b"" if text.endswith(b"\r\n") or not text else b"\r\n") + b".\r\n")
        return self.reply()

    def begin(self, sender="a@far.example", recipients=("anna@example.org",)):
        """EHLO, MAIL, RCPT."""
        wanted = ["250"] * (2 + len(recipients))
        assert self.codes("EHLO client.example", f"MAIL FROM:<{sender}>",
                          *(f"RCPT TO:<{r}>" for r in recipients)) == wanted
        return self

    def login(self, user, password):
        plain = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        return self(f"AUTH PLAIN {plain}")
