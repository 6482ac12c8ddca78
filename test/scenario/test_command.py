"""The commands that look: config."""
import json
import os
import pathlib
import re
import socket
import subprocess

import pytest

from server import POSTHORN, ROOT, wait_until


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


def test_SD_144_SD_152_serve_refuses_a_wrong_configuration(tmp_path):
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
                              "relay.to-private", "queue-segment"}
    assert needed <= {"data", "hostname"} and len(settings) <= 7


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


@pytest.mark.parametrize("words,said", [
    (["--version"], r"posthorn \d+\.\d+\.\d+\n"), (["--help"], r"usage: posthorn "), (["help"], r"usage: posthorn "),
    (["queue", "--help"], r"usage: posthorn queue \[list "), (["help", "trace"], r"usage: posthorn trace ID")])
def test_help_is_no_error(words, said):
    done = posthorn(*words)
    assert re.match(said, done.stdout) and not done.stderr


@pytest.mark.parametrize("words,said", [
    (["accont", "list"], 'there is no command "accont"; did you mean "account"?'),
    (["zzzzzz"], 'there is no command "zzzzzz"; posthorn help lists them'),
    (["queue", "flsh"], "usage: posthorn queue"), (["queue", "show"], "usage: posthorn queue"),
    (["domain", "ad", "x.example"], "usage: posthorn domain"), (["dump", "x"], "usage: posthorn dump"),
    (["try", "--dri", "x"], "usage: posthorn try"), (["serve", "--x"], "usage: posthorn serve")])
def test_mistyped_commands(mail, words, said):
    command = words if words[0] in ("try", "serve") else ["--dir", mail.dir, *words]
    done = posthorn(*command, check=False)
    assert done.returncode == 64 and said in done.stderr, done.stderr


def test_ids_that_are_none(mail):
    for words in (["show", "XYZ"], ["cat", "0"], ["show", "D6296C00103"]):
        done = mail.command("queue", *words, check=False)
        assert done.returncode == 65 and not done.stdout and done.stderr.startswith("posthorn queue: "), words


def test_every_command_has_its_manual_page():
    names = re.findall(r"^  (\w+) ", posthorn("help").stdout, re.M)
    assert len(names) >= 12
    for name in names:
        page, = (ROOT / "doc/man").glob(f"posthorn-{name}.[18]")
        text = page.read_text()
        for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS", "SEE ALSO"):
            assert name == "try" or f".Sh {section}\n" in text, f"{page}: {section}"


EXAMPLES = [(page.name, line) for page in sorted((ROOT / "doc/man").iterdir())
            for line in re.findall(r"^\.Dl (.*)$", page.read_text(), re.M) if "posthorn try" not in line]


@pytest.mark.mail(users={"ann@example.org": "secret"})
def test_examples_of_the_manual_work_as_printed(mail, tmp_path):
    assert len(EXAMPLES) >= 8
    programs, home = tmp_path / "bin", tmp_path / "home"
    programs.mkdir()
    home.mkdir()
    (home / "mail").symlink_to(mail.dir)
    for name, words in (("posthorn", f"--dir {mail.dir}"), ("sendmail", f"sendmail --dir {mail.dir}")):
        (programs / name).write_text(f'#!/bin/sh\nexec {POSTHORN} {words} "$@"\n')
        (programs / name).chmod(0o755)
    for page, line in EXAMPLES:
        for escape, text in (("\\e", "\\"), ("\\(aq", "'"), ("\\(dq", '"')):
            line = line.replace(escape, text)
        done = subprocess.run(line, shell=True, text=True, input="password\n", capture_output=True, check=False,
                              cwd=home, env={**os.environ, "HOME": str(home), "PATH": f"{programs}:{os.environ['PATH']}"})
        assert done.returncode == 0, f"{page}: {line}: {done.stdout}{done.stderr}"
    mail.wait_messages("john@example.org", 1)


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
    told = [line["text"].split(": ", 1)[1].split("=")[0] for line in lines]
    assert told == ["client", "message-id", "from", "to", "removed"]
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


def test_the_log_may_lie_elsewhere(make_mail, tmp_path):
    log = tmp_path / "elsewhere" / "mail.log"
    log.parent.mkdir()
    mail = make_mail(config=f"log-file {log}")
    mail.send("x@far.example", ["anna@example.org"], "Subject: one\r\n\r\n")
    wait_until("the message in the log", lambda: "removed" in log.read_text(), [log.parent])
    assert not mail.log_file().exists()
    assert "to=<anna@example.org>" in mail.command("trace", "last")
    mail.stop()
    log.unlink()
    log.parent.rmdir()
    done = posthorn("serve", "--config", mail.dir / "posthorn.conf", check=False)
    assert done.returncode != 0 and f"{log.parent}: cannot open the folder of log-file" in done.stderr


def findings(mail, exit_code=0):
    done = mail.command("doctor", "--json", check=False)
    assert done.returncode == exit_code, done.stdout + done.stderr
    return json.loads(done.stdout)


def faults(mail):
    return [f for f in findings(mail, 78) if f["verdict"] == "BAD"]


def edit(mail, before, after):
    conf = mail.dir / "posthorn.conf"
    assert before in conf.read_text()
    conf.write_text(conf.read_text().replace(before, after))


def test_SD_153_doctor_goes_from_the_simple_to_the_complex(mail):
    classes = list(dict.fromkeys(f["class"] for f in findings(mail)))
    assert classes == ["parsing", "paths", "permissions", "walls", "dns", "ports", "tls", "protocol",
                       "auth", "delivery"]
    text = mail.command("doctor")
    assert text.index("  dns  ") < text.index("  ports  ") < text.index("  tls  ")
    assert text.endswith("Nothing is wrong.\n")


def test_SD_147_doctor_tells_which_port_listens_where_and_who_holds_it(mail):
    ports = [f["text"] for f in findings(mail) if f["class"] == "ports"]
    assert ports == [f"127.0.0.1 {getattr(mail, name)[1]} ({name}) is served by posthorn[{mail.process.pid}]"
                     for name in ("smtp", "submission", "submissions", "imap", "imaps")]
    mail.stop()
    with socket.create_server(mail.smtp):
        held, = faults(mail)
    name = pathlib.Path("/proc/self/comm").read_text().strip()
    assert held["class"] == "ports"
    assert held["text"] == f"127.0.0.1 {mail.smtp[1]} (smtp) is held by {name}[{os.getpid()}]"
    assert held["fix"] == f"stop {name}, or listen {{ smtp no }}"


def test_SD_151_doctor_finds_a_bad_path(mail):
    edit(mail, "config-version 1\n", "config-version 1\ntls { certificate /nowhere/cert.pem }\n")
    fault = faults(mail)[0]
    assert fault["class"] == "paths" and fault["text"] == "/nowhere/cert.pem: No such file or directory"
    assert "correct tls.certificate" in fault["fix"]


def test_SD_151_doctor_finds_a_wrong_mode(mail):
    keys = mail.dir / "keys"
    keys.chmod(0o755)
    fault, = faults(mail)
    assert fault == {"class": "permissions", "verdict": "BAD",
                     "text": f"{keys} is open to others (mode 0755)", "fix": f"chmod 0700 {keys}"}
    keys.chmod(0o700)
    assert not [f for f in findings(mail) if f["verdict"] == "BAD"]


def test_SD_151_doctor_finds_a_mistyped_word(mail):
    edit(mail, "plain-auth-on-loopback", "plain-auth-on-lopback")
    fault, = faults(mail)
    assert fault["class"] == "parsing"
    assert 'posthorn.conf:4:1: unknown word "plain-auth-on-lopback"; did you mean ' in fault["text"]


def test_SD_151_doctor_finds_a_port_in_use(make_mail):
    mail = make_mail()
    mail.stop()
    with socket.create_server(mail.imaps):
        fault, = faults(mail)
    assert fault["class"] == "ports" and "(imaps) is held by" in fault["text"] and fault["fix"]


def test_doctor_sees_what_keeps_mail_out(mail):
    edit(mail, "config-version 1\n", "config-version 1\nfree-min 1000T\nweak-walls yes\n")
    assert {f["class"] for f in faults(mail)} == {"walls", "delivery"}


def test_SD_159_the_manual_has_every_setting_and_its_default():
    page = (ROOT / "doc/man/posthorn.conf.5").read_text()
    for path, default in re.findall(r"^(\S+) .*\n\t.*\n\t(.*)", posthorn("config", "explain").stdout, re.M):
        item = re.search(rf"^\.It Cm {re.escape(path.split('.')[-1])} .*\n((?:[^.\n].*\n)+)", page, re.M)
        assert item, path
        if default.startswith("Default: "):
            assert default.replace(". At", ".\nAt") in item[1], path
