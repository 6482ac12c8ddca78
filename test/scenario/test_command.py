"""The commands that look: config."""
import json
import re
import subprocess

import pytest

from server import POSTHORN


def posthorn(*words, check=True):
    done = subprocess.run([POSTHORN, *map(str, words)], capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, done.stderr
    return done


def test_SD_152_config_check_finds_every_mistake(tmp_path):
    conf = tmp_path / "posthorn.conf"
    conf.write_text("config-version 1\nhostnam mx.example\nlisten { imaps maybe }\nmessage-size-max 1Q\n")
    done = posthorn("config", "check", conf, check=False)
    assert done.returncode == 78
    assert done.stderr.splitlines() == [
        f'{conf}:2:1: unknown word "hostnam"; did you mean "hostname"?',
        f'{conf}:3:16: listen.imaps wants yes or no, not "maybe"',
        f'{conf}:4:18: message-size-max wants a size such as 512K, 50M or 2G, not "1Q"']
    conf.write_text("config-version 1\nhostname mx.example\n")
    assert posthorn("config", "check", conf).stdout == f"{conf}: no errors\n"


def test_SD_152_serve_refuses_a_wrong_configuration(tmp_path):
    conf = tmp_path / "posthorn.conf"
    conf.write_text(f"config-version 1\ndata {tmp_path}/data\nlogin-bach 1\n")
    done = posthorn("serve", "--config", conf, check=False)
    assert done.returncode == 78
    assert f'{conf}:3:1: unknown word "login-bach"; did you mean "login-batch"?' in done.stderr
    assert not (tmp_path / "data").exists()


def test_SD_159_every_default_is_printed_and_is_a_configuration(tmp_path):
    conf, all_of_it = tmp_path / "posthorn.conf", tmp_path / "all.conf"
    conf.write_text("config-version 1\nlisten { port-base 7000 }\n")
    all_of_it.write_text(posthorn("config", "show", "-d", "--config", conf).stdout)
    assert "\n#message-size-max 50M\n" in all_of_it.read_text()
    assert "\n\tport-base 7000\n" in all_of_it.read_text()
    posthorn("config", "check", all_of_it)
    shown = posthorn("config", "show", "--config", all_of_it).stdout
    assert shown == "config-version 1\nlisten {\n\tport-base 7000\n}\n"
    values = json.loads(posthorn("config", "show", "-d", "--json", "--config", conf).stdout)
    assert values["listen.port-base"]["value"] == "7000" and values["listen.port-base"]["set"]
    assert all(v["text"] for v in values.values())


def test_SD_159_few_settings_are_needed(mail):
    """A whole server, with what `posthorn try` writes down for it."""
    settings = json.loads(mail.command("config", "show", "--json"))
    needed = set(settings) - {"listen.address", "listen.port-base", "plain-auth-on-loopback",
                              "relay.to-private"}
    assert needed <= {"data", "hostname"} and len(settings) <= 6


def test_config_explain():
    assert "Serve IMAP on port 143" in posthorn("config", "explain", "imap").stdout
    assert posthorn("config", "explain", "listen").stdout.count("\n\tDefault: ") == 7
    done = posthorn("config", "explain", "mesage-size-max", check=False)
    assert done.returncode == 65 and 'did you mean "message-size-max"?' in done.stderr
    words = re.findall(r"^(\S+) ", posthorn("config", "explain").stdout, re.M)
    assert len(words) == len(set(words)) > 20


@pytest.mark.parametrize("words", [["config"], ["config", "chek"], ["config", "show", "--nonsense"]])
def test_usage(words):
    done = posthorn(*words, check=False)
    assert done.returncode == 64 and "usage: posthorn config" in done.stderr


def test_trace_tells_the_life_of_a_message(mail):
    mail.send("x@far.example", ["anna@example.org"], "Message-ID: <one@far.example>\r\nSubject: one\r\n\r\n")
    mail.send("x@far.example", ["ben@example.org"], "Message-ID: <two@far.example>\r\nSubject: two\r\n\r\n")
    mail.wait_log(r"removed", count=2)
    by_id = mail.command("trace", "<one@far.example>")
    assert "to=<anna@example.org>" in by_id and "status=sent" in by_id and "ben@" not in by_id
    queue_id = re.search(r"\]: ([0-9A-F]+): ", by_id)[1]
    assert mail.command("trace", queue_id) == mail.command("trace", "one@far.example") == by_id
    assert "to=<ben@example.org>" in mail.command("trace", "last")
    lines = json.loads(mail.command("trace", "--json", queue_id))
    assert {line["queue"] for line in lines} == {queue_id}
    assert {"smtpd", "deliver", "queue"} <= {line["service"] for line in lines}
    unknown = mail.command("trace", "nobody@far.example", check=False)
    assert unknown.returncode == 65 and "no such message" in unknown.stderr


def test_trace_follows_the_bounce(make_mail, smtp_peer):
    peer = smtp_peer(replies={"RCPT": "550 5.1.1 nobody of that name"})
    mail = make_mail(relay_to=peer.address)
    mail.submit("anna@example.org", ["gone@far.example"], "Message-ID: <b@x>\r\nSubject: b\r\n\r\n")
    mail.wait_messages("anna@example.org", 1)
    mail.wait_log(r"removed", count=2)
    trace = mail.command("trace", "b@x")
    assert "status=bounced" in trace
    assert "to=<anna@example.org>" in trace and "from=<>" in trace
