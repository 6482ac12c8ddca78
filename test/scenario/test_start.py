"""Starting and stopping the whole system."""
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import time

import pytest

from server import PORTS, POSTHORN, SLOWER, PortBase, wait_until


@pytest.mark.tsan
def test_SD_144_runs_in_the_foreground_until_it_is_told_to_stop(mail):
    assert mail.process.poll() is None
    assert "Posthorn is running" in mail.output_tail()
    started = mail.pids()
    assert len(started) > 5
    mail.process.send_signal(signal.SIGTERM)
    assert mail.process.wait(10 * SLOWER) == 0
    assert not mail.pids()
    mail.process = None


def test_is_ready_in_two_seconds(make_mail):
    mail = make_mail(start=False)
    began = time.monotonic()
    mail.start()
    assert time.monotonic() - began < 2 * SLOWER


def tried(base, *options):
    """`posthorn try` as somebody types it; returns it and what it printed before it was ready."""
    ready, ours = os.pipe()
    process = subprocess.Popen([POSTHORN, "try", "--port-base", str(base), "--ready-fd", str(ours), *options],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, pass_fds=[ours],
                               start_new_session=True)
    os.close(ours)
    assert select.select([ready], [], [], 15 * SLOWER)[0] and os.read(ready, 1)
    os.close(ready)
    lines = []
    while not lines or "Ctrl-C" not in lines[-1]:
        lines.append(process.stdout.readline())
    return process, "".join(lines)


def of_session(session):
    """Processes of a session that have not ended."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if fields[0] != "Z" and int(fields[3]) == session:
            found.append(int(entry.name))
    return found


def test_the_three_commands_it_prints_work():
    ports = PortBase()
    process, text = tried(ports.base)
    folder = pathlib.Path(re.search(r"^Posthorn is running in (\S+)$", text, re.M)[1])
    try:
        assert len(re.findall(r"^  \S+@example\.org +password \S+$", text, re.M)) == 2
        for name in PORTS.values():
            assert f"127.0.0.1:{ports.base + name}" in text
        send, read, trace = re.findall(r"^  ((?:printf|curl|/).*)$", text, re.M)
        run = lambda line: subprocess.run(line, shell=True, text=True, capture_output=True, timeout=20 * SLOWER,
                                          check=False)
        assert run(send).returncode == 0
        wait_until("the message", lambda: "It works." in run(read).stdout)
        wait_until("its life", lambda: re.search(r"status=sent.*\n.*removed", run(trace).stdout))
        os.killpg(process.pid, signal.SIGINT)  # Ctrl-C: the terminal tells all of them
        assert process.wait(10 * SLOWER) == 0
        assert not of_session(process.pid)
    finally:
        for pid in of_session(process.pid):
            os.kill(pid, signal.SIGKILL)
        ports.close()
        shutil.rmtree(folder)


def test_a_folder_keeps_its_users_and_mail(mail):
    mail.send("a@far.example", ["anna@example.org"], "Subject: kept\r\n\r\nx\r\n")
    mail.wait_messages("anna@example.org", 1)
    mail.command("account", "add", "carl@example.org", text="carl-secret\n")
    mail.stop()
    mail.start()
    assert b"Subject: kept" in mail.reader("anna@example.org").fetch("1", "BODY[]")[1][0][1]
    mail.users["carl@example.org"] = "carl-secret"
    assert mail.reader("carl@example.org").select("INBOX")[1] == [b"0"]


def test_two_servers_never_share_a_folder(mail):
    done = subprocess.run([POSTHORN, "try", "--dir", mail.dir, "--port-base", "52000"], text=True, timeout=30 * SLOWER,
                          capture_output=True, check=False)
    assert done.returncode == 71 and "a server is running here already" in done.stderr
    assert mail.process.poll() is None


@pytest.mark.tsan
def test_SD_145_starts_over_what_a_crash_left(mail):
    mail.kill_all()
    mail.start()
    mail.stop()
    mail.start()
