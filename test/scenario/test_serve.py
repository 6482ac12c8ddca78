"""`posthorn serve` by root: every service becomes a user of its own."""
import json
import os
import pathlib
import signal
import smtplib
import stat
import subprocess

import pytest

import server

SERVICES = ["log", "keys", "hash", "resolver", "directory", "queue", "mail", "deliver", "relay",
            "smtpd", "submit", "login", "control"]

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="changes users")


class Served(server.Server):
    """In a mount namespace of its own, whose /etc/passwd knows the services' users."""

    def __init__(self, folder, users=True):
        super().__init__(folder)
        self.etc = pathlib.Path(folder).parent
        for name in ("passwd", "group"):
            text = pathlib.Path("/etc", name).read_text()
            for number, service in enumerate(SERVICES if users else [], 61001):
                text += (f"_posthorn-{service}:x:{number}:{number}::/nonexistent:/usr/sbin/nologin\n"
                         if name == "passwd" else f"_posthorn-{service}:x:{number}:\n")
            (self.etc / name).write_text(text)
        (self.etc / "serve.conf").write_text(
            f"config-version 1\nhostname mx.example.org\ndata {self.dir}\n"
            f"listen {{ address 127.0.0.1; port-base {self.ports.base} }}\n")

    def start(self, **_):
        ready, ours = os.pipe()
        script = ('mount --bind "$1/passwd" /etc/passwd; mount --bind "$1/group" /etc/group; '
                  'exec "$2" serve --config "$1/serve.conf" --ready-fd "$3"')
        with open(self.output, "ab") as out:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "sh", "-c", script, "sh", str(self.etc),
                 str(server.POSTHORN), str(ours)],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, pass_fds=[ours],
                start_new_session=True)
        os.close(ours)
        came = os.read(ready, 1)
        os.close(ready)
        return bool(came)


@pytest.fixture
def served(tmp_path):
    # The services pass through the folders above theirs.
    for folder in [tmp_path, *tmp_path.parents][:3]:
        folder.chmod(folder.stat().st_mode | stat.S_IXOTH)
    mail = Served(tmp_path / "posthorn")
    try:
        assert mail.start(), mail.output_tail()
        yield mail
        mail.stop()
    finally:
        mail.close()


def test_each_service_is_its_own_user(served):
    users = {}
    for pid, name in served.pids().items():
        status = pathlib.Path("/proc", str(pid), "status").read_text()
        uids = status.split("\nUid:\t")[1].split("\n")[0].split("\t")
        assert len(set(uids)) == 1
        users[name] = int(uids[0])
        if name in SERVICES or name == "mailbox":
            assert "\nCapEff:\t0000000000000000\n" in status, name
            assert "\nNoNewPrivs:\t1\n" in status and "\nSeccomp:\t2\n" in status, name
    for name in SERVICES:
        assert users["mailbox" if name == "mail" else name] == 61001 + SERVICES.index(name)


def test_mail_is_delivered_and_read(served):
    served.command("domain", "add", "example.org")
    served.command("account", "add", "anna@example.org", text="anna-secret\n")
    with smtplib.SMTP(*served.smtp) as smtp:
        smtp.sendmail("x@far.example", ["anna@example.org"], "Subject: hi\r\n\r\nhello\r\n")
    served.wait_messages("anna@example.org", 1)
    account = served.dir / "mail/example.org/anna"
    assert account.stat().st_uid == 61001 + SERVICES.index("mail")
    assert stat.S_IMODE((served.dir / "mail").stat().st_mode) == 0o700
    assert stat.S_IMODE((served.dir / "drop").stat().st_mode) == 0o1733
    assert stat.S_IMODE(served.dir.stat().st_mode) == 0o711


def test_missing_user_is_named_with_its_remedy(tmp_path):
    mail = Served(tmp_path / "posthorn", users=False)
    try:
        assert not mail.start()
        assert mail.process.wait(10) == 71
        assert "useradd --system" in mail.output_tail()
        mail.process = None
    finally:
        mail.close()


def test_doctor_names_all_missing_users_and_one_command(tmp_path):
    mail = Served(tmp_path / "posthorn", users=False)
    try:
        done = subprocess.run([server.POSTHORN, "doctor", "--json", "--config", mail.etc / "serve.conf"],
                              capture_output=True, text=True, check=False)
        fault, = [f for f in json.loads(done.stdout) if "there are no users" in f["text"]]
        assert done.returncode == 78
        for service in SERVICES:
            assert f" _posthorn-{service}" in fault["text"] and f" _posthorn-{service}" in fault["fix"]
        assert subprocess.run(["sh", "-n", "-c", fault["fix"]], check=False).returncode == 0
    finally:
        mail.close()


def test_reload_with_errors_keeps_what_runs(served):
    config = served.etc / "serve.conf"
    before = config.read_text()
    config.write_text(before + "hostnam mx2.example.org\n")
    served.process.send_signal(signal.SIGHUP)
    served.wait_log("the configuration has errors; the old one stays")
    assert 'hostname' in served.output_tail()
    with smtplib.SMTP(*served.smtp) as smtp:
        assert smtp.ehlo()[0] == 250
    config.write_text(before.replace("mx.example.org", "mx3.example.org"))
    served.process.send_signal(signal.SIGHUP)
    served.wait_log("new configuration")

    def greeted():
        try:
            with smtplib.SMTP(*served.smtp, timeout=5) as smtp:
                return b"mx3.example.org" in smtp.ehlo()[1]
        except (OSError, smtplib.SMTPException):
            return False

    server.wait_until("the new name", greeted)


def test_what_root_does_while_the_server_is_down_belongs_to_its_service(served):
    served.command("domain", "add", "example.org")
    served.stop()
    served.command("account", "add", "anna@example.org", text="anna-secret\n")
    owners = {f.name: f.stat().st_uid for f in (served.dir / "directory").iterdir()}
    assert set(owners.values()) == {61001 + SERVICES.index("directory")}, owners
    assert served.start(), served.output_tail()
    assert "anna@example.org" in served.command("account", "list")


def test_SD_151_doctor_finds_a_wrong_owner(served):
    def faults():
        done = subprocess.run(
            ["nsenter", "-t", str(served.process.pid), "-m", server.POSTHORN, "doctor", "--json",
             "--config", served.etc / "serve.conf"], capture_output=True, text=True, check=False)
        return [f for f in json.loads(done.stdout) if f["verdict"] == "BAD" and f["class"] != "dns"]

    served.command("domain", "add", "example.org")
    served.command("account", "add", "anna@example.org", text="anna-secret\n")
    assert not faults()
    spool = served.dir / "spool"
    owner = spool.stat()
    os.chown(spool, 65534, 65534)
    fault, = faults()
    assert fault["text"] == f"{spool} does not belong to _posthorn-queue"
    assert fault["fix"] == f"chown -R _posthorn-queue: {spool}"
    os.chown(spool, owner.st_uid, owner.st_gid)
