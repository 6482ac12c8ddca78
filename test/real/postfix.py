"""Postfix as somebody else's mail server: virtual(8) into Maildir, names from a server of ours."""
import os
import pathlib
import shutil
import smtplib
import socket
import subprocess
import tempfile

MAIN_CF = """
compatibility_level = 3.6
queue_directory = {dir}/queue
data_directory = {dir}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
maillog_file = {dir}/log
maillog_file_prefixes = {dir}
myhostname = {name}
mydestination =
alias_maps =
local_recipient_maps =
inet_interfaces = {own}
inet_protocols = {protocols}
mynetworks = {trusted}
smtp_bind_address = {address}
smtp_tcp_port = {port_out}
virtual_mailbox_domains = {domain}
virtual_mailbox_base = {dir}/mail
virtual_mailbox_maps = inline:{{ {boxes} }}
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_minimum_uid = 1
smtpd_tls_security_level = may
smtpd_tls_cert_file = {dir}/cert.pem
smtpd_tls_key_file = {dir}/key.pem
smtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination
smtp_tls_security_level = may
smtp_tls_loglevel = 1
smtputf8_enable = yes
{more}
"""

SERVICES = """
{address}:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


def own_address():
    """
    An address for Postfix to take for its own. It must be of an interface, and not 127.0.0.1: mail for
    a server of ours there would be "mail loops back to myself".
    """
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        try:
            s.connect(("198.51.100.1", 9))  # sends nothing
            return s.getsockname()[0], "ipv4"
        except OSError:
            return "[::1]", "all"


class Postfix:
    """
    address   it listens there (port) and speaks from there
    dns       address of the name server that it asks on port 53, or None
    """

    def __init__(self, address, port, domain, users, port_out=25, dns=None, trusted="127.0.0.0/8",
                 name=None, more=""):
        # Not below pytest's folders: their owner alone may enter those.
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="posthorn-postfix-"))
        self.dir.chmod(0o755)
        self.etc = self.dir / "etc"
        self.address, self.domain = (address, port), domain
        for sub in ("etc", "queue", "data", "mail"):
            (self.dir / sub).mkdir(parents=True)
        shutil.chown(self.dir / "data", "postfix")
        shutil.chown(self.dir / "mail", 65534, 65534)
        name = name or f"mx.{domain}"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "3", "-subj", f"/CN={name}", "-keyout", self.dir / "key.pem", "-out", self.dir / "cert.pem"],
                       check=True, capture_output=True)
        own, protocols = own_address()
        boxes = ", ".join(f"{{ {user}@{domain} = {user}/Maildir/ }}" for user in users)
        (self.etc / "main.cf").write_text(MAIN_CF.format(
            dir=self.dir, own=own, protocols=protocols, address=address, port_out=port_out, domain=domain, boxes=boxes, trusted=trusted, name=name, more=more))
        (self.etc / "master.cf").write_text(SERVICES.format(address=address, port=port))
        self.resolv = self.dir / "resolv.conf"
        self.resolv.write_text(f"nameserver {dns}\noptions timeout:1 attempts:2\n" if dns else "")
        self._run(f"mount --bind {self.resolv} /etc/resolv.conf && postfix -c {self.etc} start" if dns
                  else f"postfix -c {self.etc} start")

    def _run(self, words):
        # A mount namespace of its own: its resolv.conf is nobody else's.
        done = subprocess.run(["unshare", "--mount", "sh", "-c", words], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr + self.log()

    def close(self):
        subprocess.run(["postfix", "-c", self.etc, "stop"], capture_output=True)
        shutil.rmtree(self.dir, ignore_errors=True)

    def log(self):
        file = self.dir / "log"
        return file.read_text(errors="replace") if file.exists() else ""

    def messages(self, user):
        new = self.dir / "mail" / user / "Maildir/new"
        return sorted(new.iterdir()) if new.is_dir() else []

    def send(self, sender, recipients, text):
        """As one of its own programs would."""
        with smtplib.SMTP(*self.address, timeout=30) as client:
            return client.sendmail(sender, recipients, text)


def usable():
    return os.geteuid() == 0 and shutil.which("postfix") is not None
