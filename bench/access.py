"""The IMAP half of the benchmark."""
import json
import subprocess

import measure
from smtp import BUILD


def load(mode, server, *options, tls=False):
    port = ["-p", str(server.imaps), "-t"] if tls else ["-p", str(server.imap)]
    done = subprocess.run([BUILD / "bench/imap_load", mode, *port, *map(str, options)],
                          text=True, capture_output=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{server.name}: {mode} {options}: {done.stderr}")
    return json.loads(done.stdout)


def logins(server, count):
    """LOGIN to LOGOUT per second: each account for the first time; then with its password known."""
    def rate(n, tls):
        return load("login", server, "-n", n, "-a", server.accounts, "-c", 20, tls=tls)["rate"]

    return {
        "first_per_s": rate(server.accounts, False),
        "plain_per_s": rate(count, False),
        "tls_per_s": rate(count // 2, True),
    }


def idle(server, count):
    return load("idle", server, "-n", count, "-P", server.smtp)["p99_ms"]


def fill(server, name, count, octets=4096):
    """A folder of user0 with messages that another program left there, before its first use."""
    maildir = server.maildir(0)
    for part in ("cur", "new", "tmp"):
        (maildir / part).mkdir(parents=True, exist_ok=True)
    subprocess.run([BUILD / "bench/fill_maildir", maildir / ("." + name), str(count), str(octets)],
                   check=True)
    server.give(maildir.parent)


def folder(server, name, bodies, changes):
    """Commands on a filled folder; the first of each, which builds indexes, is not counted."""

    def command(text, count):
        load("command", server, "-f", name, "-q", text)
        return load("command", server, "-f", name, "-q", text, "-n", count)["p50_ms"]

    results = {
        "fetch_flags_ms": command("UID FETCH 1:* (FLAGS)", 5),
        "fetch_envelope_ms": command("FETCH 1:* (ENVELOPE BODYSTRUCTURE)", 3),
    }
    if bodies:
        results["fetch_bodies_ms"] = command("FETCH 1:* (BODY.PEEK[])", 3)
    results["store_ms"] = load("command", server, "-f", name, "-q", r"STORE %u +FLAGS (\Flagged)",
                               "-n", changes)["p50_ms"]
    results["append_ms"] = load("append", server, "-f", name, "-n", changes)["p50_ms"]
    return results


class Held:
    """Sessions on TLS that stay open."""

    def __init__(self, server, count, accounts):
        self.process = subprocess.Popen(
            [BUILD / "bench/imap_load", "hold", "-p", str(server.imaps), "-t", "-n", str(count),
             "-a", str(accounts)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        if self.process.stdout.readline() != "held\n":
            raise RuntimeError("sessions cannot be held")

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


def memory(server, sessions=50):
    """KiB: the system idle, and each further session on TLS."""
    def total():
        return sum(measure.pss(server.roots()).values())

    by = measure.pss(server.roots())
    results = {"idle_kib": sum(by.values()), "idle_kib_by": by}
    with Held(server, 1, 1):
        before = total()
        with Held(server, sessions, 1):
            results["session_same_account_kib"] = (total() - before) / sessions
    with Held(server, 1, 1):
        before = total()
        with Held(server, sessions, server.accounts):
            results["session_new_account_kib"] = (total() - before) / sessions
    return results
