"""The servers that are compared, each with its data on a fresh ext4 file system of its own."""
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
POSTHORN = pathlib.Path(os.environ.get("POSTHORN", ROOT / "build/src/posthorn"))
DOMAIN, PASSWORD, OWNER = "example.org", "secret", 5000
# {SHA512-CRYPT} of PASSWORD with the usual 5,000 rounds: the same work for both sides.
HASH = subprocess.run(["openssl", "passwd", "-6", "-salt", "posthornbench", PASSWORD], text=True,
                      capture_output=True, check=True).stdout.strip()


class Image:
    """A journaled ext4 file system in a file, mounted; it goes with its content."""

    def __init__(self, folder, gib=8):
        self.file, self.dir = pathlib.Path(folder, "image"), pathlib.Path(folder, "mnt")
        self.dir.mkdir(parents=True)
        with open(self.file, "wb") as f:
            f.truncate(gib << 30)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0",
                        "-i", "8192", self.file], check=True)
        subprocess.run(["mount", "-o", "loop", self.file, self.dir], check=True)
        os.sync()

    def close(self):
        for _ in range(50):
            if subprocess.run(["umount", self.dir], capture_output=True, check=False).returncode == 0:
                break
            time.sleep(0.2)
        else:
            subprocess.run(["umount", "-l", self.dir], check=False)
        self.file.unlink()


class Server:
    """accounts: how many there are, user0@example.org and so on."""

    def __init__(self, folder, accounts, port_base):
        self.folder = pathlib.Path(folder)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.folder.chmod(0o755)
        self.accounts = accounts
        self.smtp, self.imap, self.imaps = port_base + 25, port_base + 143, port_base + 993
        self.image = Image(self.folder)
        self.mail = self.image.dir / "mail" / DOMAIN
        try:
            self.start(port_base)
        except BaseException:
            self.close()
            raise

    def maildir(self, number):
        return self.mail / f"user{number}" / "Maildir"

    def start(self, port_base):
        raise NotImplementedError

    def roots(self):
        raise NotImplementedError

    def halt(self):
        raise NotImplementedError

    def close(self):
        try:
            self.halt()
        finally:
            self.image.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def delivered(self):
        """(how many messages can be read, when the last of them came)"""
        count, last = 0, 0
        for user in os.scandir(self.mail) if self.mail.exists() else ():
            for sub in ("new", "cur"):
                place = os.path.join(user.path, "Maildir", sub)
                if os.path.isdir(place):
                    files = os.listdir(place)
                    count += len(files)
                    if files:
                        last = max(last, os.stat(place).st_mtime)
        return count, last

    def give(self, folder):
        """Gives files made by root to whoever owns the mail."""
        subprocess.run(["chown", "-R", f"{self.owner}:{self.owner}", folder], check=True)


class Posthorn(Server):
    name = "Posthorn"
    owner = 0  # `posthorn try` changes no users
    process = None

    def start(self, port_base):
        self.dir = self.image.dir
        self.output = open(self.folder / "out", "wb")
        ready, ours = os.pipe()
        self.process = subprocess.Popen(
            [POSTHORN, "try", "--dir", self.dir, "--port-base", str(port_base), "--domain", DOMAIN,
             "--ready-fd", str(ours)],
            pass_fds=[ours], stdout=self.output, stderr=self.output, stdin=subprocess.DEVNULL)
        os.close(ours)
        if not select.select([ready], [], [], 60)[0] or not os.read(ready, 1):
            raise RuntimeError(f"posthorn does not start: {(self.folder / 'out').read_text()}")
        os.close(ready)
        directory = f"directory-version 1\ndomain {DOMAIN}\n" + "".join(
            f'account user{n}@{DOMAIN} {{ password "{HASH}" }}\n' for n in range(self.accounts))
        subprocess.run([POSTHORN, "--dir", self.dir, "apply", "-"], input=directory, text=True,
                       check=True, stdout=self.output)

    def roots(self):
        return [self.process.pid]

    def halt(self):
        if self.process:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(60)


MASTER_CF = """
127.0.0.1:{smtp} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
"""

MAIN_CF = """
compatibility_level = 3.6
queue_directory = {image}/queue
data_directory = {image}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = bench.example
mydestination =
alias_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
virtual_mailbox_domains = example.org
virtual_mailbox_base = {image}/mail
virtual_mailbox_maps = hash:{etc}/mailboxes
virtual_uid_maps = static:{owner}
virtual_gid_maps = static:{owner}
virtual_mailbox_limit = 0
virtual_transport = {transport}
"""


class Postfix(Server):
    """Postfix alone: virtual(8) writes the Maildir."""

    name = "Postfix virtual(8)"
    owner = OWNER
    transport = "virtual"

    master = None

    def start(self, port_base):
        self.etc = self.folder / "postfix"
        self.etc.mkdir()
        self.mail.mkdir(parents=True)
        for path in (self.mail, self.mail.parent):
            os.chown(path, OWNER, OWNER)
        queue = self.image.dir / "queue"
        queue.mkdir()
        data = self.image.dir / "data"
        data.mkdir()
        shutil.chown(data, "postfix")
        (self.etc / "main.cf").write_text(MAIN_CF.format(
            image=self.image.dir, etc=self.etc, owner=OWNER, transport=self.transport))
        (self.etc / "master.cf").write_text(MASTER_CF.format(smtp=self.smtp))
        (self.etc / "mailboxes").write_text("".join(
            f"user{n}@{DOMAIN} {DOMAIN}/user{n}/Maildir/\n" for n in range(self.accounts)))
        subprocess.run(["postmap", "-c", self.etc, f"hash:{self.etc}/mailboxes"], check=True)
        self._postfix("start")
        self.master = int((queue / "pid/master.pid").read_text())

    def _postfix(self, word):
        subprocess.run(["postfix", "-c", self.etc, word], check=True, capture_output=True)

    def roots(self):
        return [self.master]

    def halt(self):
        if self.master:
            self._postfix("stop")


DOVECOT_CONF = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
protocols = imap lmtp
listen = 127.0.0.1
mail_location = maildir:~/Maildir
disable_plaintext_auth = no
auth_mechanisms = plain
auth_cache_size = 10M
first_valid_uid = 1000
ssl_cert = <{folder}/cert.pem
ssl_key = <{folder}/key.pem
mail_plugins =
mail_max_userip_connections = 0
passdb {{
  driver = passwd-file
  args = username_format=%u {folder}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {folder}/users
}}
namespace inbox {{
  inbox = yes
}}
service imap-login {{
  service_count = 0
  process_min_avail = 2
  client_limit = 1000
  process_limit = 4
  vsz_limit = 512M
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service imap {{
  service_count = 1000
  process_min_avail = 4
  process_limit = 2000
}}
service auth {{
  client_limit = 8000
}}
service lmtp {{
  unix_listener {folder}/lmtp {{
    mode = 0666
  }}
}}
"""


class PostfixDovecot(Postfix):
    """Postfix hands to Dovecot by LMTP; Dovecot with its settings for fast login."""

    name = "Postfix+Dovecot"

    dovecot = None

    def start(self, port_base):
        self.transport = f"lmtp:unix:{self.folder}/lmtp"
        super().start(port_base)
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "30", "-subj", "/CN=bench.example", "-keyout",
             self.folder / "key.pem", "-out", self.folder / "cert.pem"],
            check=True, capture_output=True)
        (self.folder / "users").write_text("".join(
            f"user{n}@{DOMAIN}:{{SHA512-CRYPT}}{HASH}:{OWNER}:{OWNER}::"
            f"{self.mail}/user{n}::\n" for n in range(self.accounts)))
        (self.folder / "users").chmod(0o644)
        conf = self.folder / "dovecot.conf"
        conf.write_text(DOVECOT_CONF.format(folder=self.folder, imap=self.imap, imaps=self.imaps))
        self.dovecot = subprocess.Popen(["dovecot", "-F", "-c", conf])
        deadline = time.monotonic() + 20
        while not (self.folder / "lmtp").exists():
            if self.dovecot.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.folder / "dovecot.log").read_text())
            time.sleep(0.05)

    def roots(self):
        return [self.master, self.dovecot.pid]

    def halt(self):
        super().halt()
        if self.dovecot:
            self.dovecot.terminate()
            self.dovecot.wait(30)


def versions():
    def first(*command):
        done = subprocess.run(command, text=True, capture_output=True, check=False)
        return (done.stdout + done.stderr).strip().split("\n")[0]

    return {
        "Postfix": first("postconf", "-d", "-h", "mail_version"),
        "Dovecot": re.split(r"[ (]", first("dovecot", "--version"))[0],
        "kernel": os.uname().release,
        "processors": str(os.cpu_count()),
        "commit": first("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"),
    }
