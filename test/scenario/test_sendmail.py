"""posthorn sendmail: what every program expects of /usr/sbin/sendmail."""
import os
import re
import subprocess

import pytest

import server
from server import SLOWER


def sendmail(mail, *args, text, check=True):
    return mail.command("sendmail", *args, text=text, check=check)


def only_message(mail, user="anna@example.org"):
    return mail.wait_messages(user, 1)[0].read_bytes()


def test_SD_120_recipients_on_the_command_line(mail):
    sendmail(mail, "-i", "-f", "ben@example.org", "anna@example.org", text="Subject: hi\n\n.\nhello\n")
    text = only_message(mail)
    assert text.startswith(b"Return-Path: <ben@example.org>\n") and text.endswith(b"\n\n.\nhello\n")
    assert re.search(rb"^From: ben@example\.org$", text, re.M)
    assert re.search(rb"^Date: ", text, re.M) and re.search(rb"^Message-ID: <", text, re.M)


def test_SD_120_recipients_in_the_header(mail):
    sendmail(mail, "-t", "-oi", text="From: Root <root@example.org>\nTo: Anna <anna@example.org>\n"
             "Cc: ben@example.org (Ben)\nBcc: anna+hidden@example.org\nSubject: x\n\nhello\n")
    texts = [f.read_bytes() for f in mail.wait_messages("anna@example.org", 2)]
    texts += [mail.wait_messages("ben@example.org", 1)[0].read_bytes()]
    assert all(b"Bcc" not in text and b"\nFrom: Root <root@example.org>\n" in text for text in texts)


def test_SD_120_a_dot_ends_it_unless_told_otherwise(mail):
    sendmail(mail, "anna@example.org", text="Subject: x\n\nseen\n.\nunseen\n")
    assert b"unseen" not in only_message(mail)


def test_SD_120_called_as_sendmail(mail, tmp_path):
    link = tmp_path / "sendmail"
    os.symlink(server.POSTHORN, link)
    config = tmp_path / "sendmail.conf"
    config.write_text(f"config-version 1\ndata {mail.dir}\n")
    done = subprocess.run([link, "-C", config, "-bm", "-F", "Anna Smith", "-f", "anna@example.org",
                           "ben@example.org"], input="no header\n", text=True, timeout=20 * SLOWER, check=True)
    assert done.returncode == 0
    text = only_message(mail, "ben@example.org")
    assert b'\nFrom: "Anna Smith" <anna@example.org>\n' in text and text.endswith(b"\n\nno header\n")


def test_SD_120_mailq_and_newaliases(mail, tmp_path):
    links = {name: tmp_path / name for name in ("newaliases", "mailq")}
    for link in links.values():
        os.symlink(server.POSTHORN, link)
    assert subprocess.run([links["newaliases"]], timeout=20 * SLOWER, check=True).returncode == 0
    listed = subprocess.run([links["mailq"], "--dir", mail.dir], text=True, capture_output=True,
                            timeout=20 * SLOWER, check=True)
    assert sendmail(mail, "-bp", text="") == listed.stdout


def test_SD_120_usage(mail):
    assert sendmail(mail, text="Subject: x\n\n", check=False).returncode == 64
    assert sendmail(mail, "-Z", "x@example.org", text="", check=False).returncode == 64
    assert sendmail(mail, "-bs", text="", check=False).returncode == 69


@pytest.mark.tsan
def test_SD_121_picked_up_after_the_start(mail):
    mail.stop()
    sendmail(mail, "anna@example.org", text="Subject: early\n\nhello\n")
    assert len(list((mail.dir / "drop").iterdir())) == 1
    mail.start()
    assert b"Subject: early" in only_message(mail)
    server.wait_until("the drop folder to be empty", lambda: not list((mail.dir / "drop").iterdir()))


def test_SD_048_trace_names_the_user(mail):
    sendmail(mail, "anna@example.org", text="Subject: x\n\nhello\n")
    assert re.search(rb"^Received: by \S+ \(Posthorn, from userid %d\) id \S+" % os.getuid(),
                     only_message(mail), re.M)


def test_SD_129_pickup_line(mail):
    sendmail(mail, "-f", "ben@example.org", "anna@example.org", text="Subject: x\n\nhello\n")
    mail.wait_log(rf"[0-9A-F]{{10,}}: uid={os.getuid()} from=<ben@example\.org>")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
def test_SD_120_others_cannot_send_as_anybody(mail):
    sendmail(mail, "anna@example.org", text="Subject: first\n\n")
    first = mail.wait_messages("anna@example.org", 1)[0]
    for folder in [mail.dir, *mail.dir.parents]:
        os.chmod(folder, folder.stat().st_mode | 0o111)
    text = b"MAIL FROM:<ben@example.org>\r\nRCPT TO:<anna@example.org>\r\nDATA\r\nSubject: forged\r\n\r\nx\r\n.\r\n"
    program = ("import os, sys; os.setgid(65534); os.setuid(65534); os.umask(0o77); os.chdir(sys.argv[1]);"
               "open('.a', 'wb').write(sys.stdin.buffer.read()); os.rename('.a', 'a')")
    subprocess.run(["/usr/bin/python3", "-c", program, mail.dir / "drop"], input=text, check=True)
    files = mail.wait_messages("anna@example.org", 2)
    forged = [f for f in files if f.name != first.name][0].read_bytes()
    assert b"Subject: forged" in forged and b"ben@example.org" not in forged.split(b"\n\n")[0]
    assert re.match(rb"Return-Path: <nobody@", forged)


@pytest.mark.parametrize("text", [b"", b"hello\n", b"MAIL FROM:<a@b>\r\nDATA\r\n.\r\n", b"\0" * 100000,
                                  b"MAIL FROM:<a@b>\nRCPT TO:<anna@example.org>\nDATA\nSubject: no end\n"],
                         ids=["empty", "text", "no recipient", "NULs", "no end"])
def test_what_is_no_message_is_put_aside(mail, text):
    drop = mail.dir / "drop"
    (drop / ".bad").write_bytes(text)
    (drop / ".bad").rename(drop / "bad")
    server.wait_until("the file to be put aside", lambda: (drop / ".refused-bad").exists(), [drop])
    assert not mail.messages("anna@example.org")


def test_links_are_not_followed(mail):
    drop = mail.dir / "drop"
    (drop / "link").symlink_to("/etc/passwd")
    os.link(mail.output, drop / ".hard")
    (drop / ".hard").rename(drop / "hard")
    server.wait_until("the links to be put aside",
                      lambda: (drop / ".refused-hard").exists() and not os.path.lexists(drop / "link"), [drop])
