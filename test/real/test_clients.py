"""The programs that people use, doing a day's work."""
import email
import imaplib
import os
import pathlib
import smtplib
import subprocess

import pytest

from server import SLOWER, wait_until

ANNA, BEN = "anna@example.org", "ben@example.org"


def run(*words, text=None, check=True, env=None, **options):
    done = subprocess.run([str(w) for w in words], input=text, text=True, capture_output=True, timeout=60 * SLOWER,
                          env={**os.environ, **(env or {})}, **options)
    if check:
        assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def deliver(mail, count, user=BEN):
    for i in range(count):
        mail.send("me@elsewhere.example", [user], f"From: me@elsewhere.example\r\nTo: {user}\r\n"
                  f"Message-ID: <{i}@elsewhere.example>\r\nSubject: number {i}\r\n\r\nbody {i}\r\n")
    mail.wait_messages(user, count)


# Sending


def test_swaks_to_port_25(mail):
    done = run("swaks", "--server", "%s:%d" % mail.smtp, "--from", "me@elsewhere.example", "--to", BEN,
               "--header", "Subject: by swaks", "--body", "hello")
    assert "queued as" in done.stdout
    file, = mail.wait_messages(BEN, 1)
    assert "Subject: by swaks" in file.read_text()


@pytest.mark.parametrize("auth", ["PLAIN", "LOGIN"])
def test_swaks_submits_over_starttls(mail, auth):
    run("swaks", "--server", "%s:%d" % mail.submission, "--tls", "--auth", auth, "--auth-user", ANNA,
        "--auth-password", mail.users[ANNA], "--from", ANNA, "--to", BEN)
    mail.wait_messages(BEN, 1)


def test_swaks_submits_over_tls_with_pipelining(mail):
    run("swaks", "--server", "%s:%d" % mail.submissions, "--tls-on-connect", "--auth", "PLAIN", "--auth-user", ANNA,
        "--auth-password", mail.users[ANNA], "--from", ANNA, "--to", f"{BEN},{ANNA}", "--pipeline")
    mail.wait_messages(BEN, 1)
    mail.wait_messages(ANNA, 1)


def test_swaks_is_no_relay(mail):
    done = run("swaks", "--server", "%s:%d" % mail.smtp, "--from", "me@elsewhere.example", "--to", "x@far.example",
               "--quit-after", "RCPT", check=False)
    assert done.returncode == 24 and "550 5.7.1" in done.stdout


def test_curl_submits_and_reads(mail, tmp_path):
    text = tmp_path / "message"
    text.write_text(f"From: {ANNA}\r\nTo: {BEN}\r\nSubject: by curl\r\n\r\nhello\r\n")
    run("curl", "-sS", "--ssl-reqd", "-k", "--url", "smtp://%s:%d" % mail.submission, "--user",
        f"{ANNA}:{mail.users[ANNA]}", "--mail-from", ANNA, "--mail-rcpt", BEN, "--upload-file", text)
    mail.wait_messages(BEN, 1)
    login = ["--user", f"{BEN}:{mail.users[BEN]}", "-sS", "-k"]
    base = "imaps://%s:%d" % mail.imaps
    assert "INBOX" in run("curl", *login, base).stdout
    assert "Subject: by curl" in run("curl", *login, base + "/INBOX;MAILINDEX=1").stdout
    assert "hello" in run("curl", *login, base + "/INBOX;UID=1;SECTION=TEXT").stdout
    assert "* SEARCH 1" in run("curl", *login, base + "/INBOX?SUBJECT%20curl").stdout
    run("curl", *login, base + "/INBOX", "-X", "STORE 1 +FLAGS (\\Seen)")
    assert "* SEARCH 1" in run("curl", *login, base + "/INBOX?SEEN").stdout


def msmtprc(mail, folder):
    rc = folder / "msmtprc"
    rc.write_text("account default\nhost %s\nport %d\n" % mail.submission +
                  f"tls on\ntls_certcheck off\nauth on\nuser {ANNA}\npassword {mail.users[ANNA]}\nfrom {ANNA}\n"
                  f"logfile {folder}/msmtp.log\n")
    rc.chmod(0o600)
    return rc


def test_msmtp_submits(mail, tmp_path):
    rc = msmtprc(mail, tmp_path)
    run("msmtp", "-C", rc, BEN, text=f"From: {ANNA}\nTo: {BEN}\nSubject: by msmtp\n\nhello\n.\nstill\n")
    file, = mail.wait_messages(BEN, 1)
    assert file.read_text().endswith("hello\n.\nstill\n")
    rc.write_text(rc.read_text().replace(mail.users[ANNA], "wrong"))
    assert run("msmtp", "-C", rc, BEN, text="x\n", check=False).returncode == 77  # EX_NOPERM


# Reading


def test_SD_187_python_works_a_day(mail):
    deliver(mail, 5)
    with smtplib.SMTP_SSL(*mail.submissions, context=mail.tls()) as client:
        client.login(BEN, mail.users[BEN])
        client.sendmail(BEN, [ANNA, BEN], f"From: {BEN}\r\nTo: {ANNA}\r\nSubject: round\r\n\r\nx\r\n")
    mail.wait_messages(BEN, 6)
    client = imaplib.IMAP4(*mail.imap)
    client.starttls(mail.tls())
    client.login(BEN, mail.users[BEN])
    assert client.select("INBOX") == ("OK", [b"6"])
    status, numbers = client.search(None, "UNSEEN", "SUBJECT", "number")
    assert (status, numbers[0].split()) == ("OK", [b"1", b"2", b"3", b"4", b"5"])
    status, data = client.fetch("1", "(FLAGS ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    assert status == "OK" and b"Subject: number 0" in data[0][1]
    assert client.create("Projects")[0] == "OK"
    assert client.copy("1:2", "Projects")[0] == "OK"
    assert client.uid("MOVE", "3", "Projects")[0] == "OK"
    assert client.store("1:2", "+FLAGS", r"(\Deleted)")[0] == "OK"
    assert client.expunge()[0] == "OK"
    assert client.select("Projects") == ("OK", [b"3"])
    assert client.append("Projects", r"(\Seen)", None, b"Subject: put\r\n\r\nby hand\r\n")[0] == "OK"
    status, data = client.fetch("4", "(FLAGS RFC822.SIZE BODY[])")
    assert status == "OK" and data[0][1] == b"Subject: put\r\n\r\nby hand\r\n" and b"Seen" in data[0][0]
    assert client.rename("Projects", "Old")[0] == "OK"
    status, folders = client.list()
    assert any(f.endswith(b"Old") for f in folders) and not any(f.endswith(b"Projects") for f in folders)
    assert client.status("Old", "(MESSAGES UIDNEXT)")[0] == "OK"
    client.logout()


def mbsyncrc(mail, folder):
    (folder / "local").mkdir()
    rc = folder / "mbsyncrc"
    rc.write_text(f"""
IMAPAccount there
Host {mail.imap[0]}
Port {mail.imap[1]}
User {BEN}
Pass {mail.users[BEN]}
SSLType STARTTLS
CertificateFile {mail.dir}/certificate-of-the-test.pem

IMAPStore there
Account there

MaildirStore here
Path {folder}/local/
Inbox {folder}/local/INBOX
SubFolders Verbatim

Channel all
Far :there:
Near :here:
Patterns *
Create Both
Expunge Both
SyncState *
""".replace(f"SSLType STARTTLS\nCertificateFile {mail.dir}/certificate-of-the-test.pem", "SSLType None"))
    return rc


def files_of(folder):
    return sorted(f for sub in ("new", "cur") if (folder / sub).is_dir() for f in (folder / sub).iterdir())


def test_mbsync_both_ways_and_the_second_run_moves_nothing(mail, tmp_path):
    deliver(mail, 10)
    rc = mbsyncrc(mail, tmp_path)
    run("mbsync", "-c", rc, "-a")
    inbox = tmp_path / "local/INBOX"
    assert len(files_of(inbox)) == 10
    names = files_of(inbox)
    again = run("mbsync", "-c", rc, "-a", "-V")
    assert files_of(inbox) == names
    assert mail.messages(BEN) and len(mail.messages(BEN)) == 10, again.stdout

    # Here: one read, one gone, one new in a new folder. There: one gone.
    first, second = names[0], names[1]
    (inbox / "cur").mkdir(exist_ok=True)
    first.rename(inbox / "cur" / (first.name.split(":")[0] + ":2,S"))
    second.unlink()
    for sub in ("new", "cur", "tmp"):
        (tmp_path / "local/Work" / sub).mkdir(parents=True)
    (tmp_path / "local/Work/cur/1.test:2,").write_text("Subject: made here\n\nx\n")
    client = mail.reader(BEN)
    client.store("5", "+FLAGS", r"(\Deleted)")  # not second, which may be the tenth
    client.expunge()
    run("mbsync", "-c", rc, "-a")
    assert len(files_of(inbox)) == 8
    client = mail.reader(BEN)
    assert len(client.search(None, "ALL")[1][0].split()) == 8
    assert len(client.search(None, "SEEN")[1][0].split()) == 1
    assert client.select("Work") == ("OK", [b"1"])


def test_offlineimap_twice(mail, tmp_path):
    deliver(mail, 5)
    rc = tmp_path / "offlineimaprc"
    rc.write_text(f"""
[general]
accounts = a
metadata = {tmp_path}/meta
socktimeout = 30
[Account a]
localrepository = here
remoterepository = there
[Repository here]
type = Maildir
localfolders = {tmp_path}/off
[Repository there]
type = IMAP
remotehost = {mail.imap[0]}
remoteport = {mail.imap[1]}
ssl = no
starttls = no
auth_mechanisms = PLAIN
remoteuser = {BEN}
remotepass = {mail.users[BEN]}
""")
    run("offlineimap", "-c", rc, "-u", "basic", "-o", env={"HOME": str(tmp_path)})
    inbox = tmp_path / "off/INBOX"
    names = [f.name for f in files_of(inbox)]
    assert len(names) == 5
    done = run("offlineimap", "-c", rc, "-u", "basic", "-o", env={"HOME": str(tmp_path)})
    assert [f.name for f in files_of(inbox)] == names
    assert "Copy message" not in done.stdout + done.stderr
    first = files_of(inbox)[0]
    first.rename(inbox / "cur" / (first.name.split(":")[0].split(",2,")[0] + ":2,FS"))
    run("offlineimap", "-c", rc, "-u", "basic", "-o", env={"HOME": str(tmp_path)})
    client = mail.reader(BEN)
    assert len(client.search(None, "FLAGGED")[1][0].split()) == 1


def test_mutt_reads_sends_and_files(mail, tmp_path):
    deliver(mail, 3)
    rc = tmp_path / "muttrc"
    rc.write_text(f"""
set folder=imap://{mail.imap[0]}:{mail.imap[1]}/ spoolfile=+INBOX
set imap_user={BEN} imap_pass={mail.users[BEN]}
set ssl_starttls=no ssl_force_tls=no
set header_cache="" message_cachedir="" record="" realname=Ben from={BEN} use_from=yes
set sendmail="/usr/bin/msmtp -C {tmp_path}/msmtprc"
set quit=yes delete=yes move=no confirmappend=no confirmcreate=no wait_key=no sleep_time=0
""")
    msmtprc(mail, tmp_path).write_text((tmp_path / "msmtprc").read_text().replace(ANNA, BEN)
                                       .replace(mail.users[ANNA], mail.users[BEN]))
    env = {"HOME": str(tmp_path), "TERM": "vt100"}
    run("mutt", "-F", rc, "-s", "by mutt", ANNA, text="hello\n", env=env)
    file, = mail.wait_messages(ANNA, 1)
    assert "Subject: by mutt" in file.read_text()
    # Keys typed: delete the first, flag the second, save the third elsewhere, leave. `script` is its terminal.
    run("script", "-qec", f"mutt -F {rc} -e 'push \"<first-entry>d<first-entry><next-entry>F<last-entry>s=Kept<enter><sync-mailbox><quit>\"'",
        "/dev/null", env=env)
    client = mail.reader(BEN)
    wait_until("mutt's work", lambda: client.noop() and client.search(None, "ALL")[1][0].split() == [b"1"])
    assert client.search(None, "FLAGGED")[1] == [b"1"]
    assert client.select("Kept") == ("OK", [b"1"])
