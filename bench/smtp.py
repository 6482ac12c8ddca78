"""The SMTP half of the benchmark: from the client's message to the file in the Maildir."""
import json
import os
import pathlib
import subprocess
import time

import measure

BUILD = pathlib.Path(os.environ.get("BUILD", pathlib.Path(__file__).resolve().parent.parent / "build"))


def load(server, messages, size=10240, connections=20, per_connection=0):
    done = subprocess.run(
        [BUILD / "bench/smtp_load", "-p", str(server.smtp), "-n", str(messages), "-s", str(size),
         "-c", str(connections), "-k", str(per_connection), "-a", str(server.accounts)],
        text=True, capture_output=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{server.name}: {done.stderr}")
    return json.loads(done.stdout)


def wait_delivered(server, wanted, patience=30):
    """When the last came. Gives up when nothing comes for as many seconds as `patience`."""
    count, last = server.delivered()
    moved = time.monotonic()
    while count < wanted:
        if time.monotonic() > moved + patience:
            raise RuntimeError(f"{server.name}: {count} of {wanted} messages delivered")
        time.sleep(0.2)
        before, (count, last) = count, server.delivered()
        if count > before:
            moved = time.monotonic()
    if count != wanted:
        raise RuntimeError(f"{server.name}: {count} messages delivered, not {wanted}")
    return last


def rate(server, messages, warm=100, **how):
    """One measurement on a server that has just started."""
    already = warm and load(server, warm, **how) and warm
    if already:
        wait_delivered(server, already)
    before = measure.cpu(server.roots())
    started = time.time()
    result = load(server, messages, **how)
    last = wait_delivered(server, already + messages)
    time.sleep(6)  # what is put off until later is paid for too
    used = measure.difference(before, measure.cpu(server.roots()))
    return {
        "delivered_per_s": messages / (last - started),
        "accepted_per_s": result["rate"],
        "p50_ms": result["p50_ms"], "p99_ms": result["p99_ms"],
        "cpu_ms": sum(used.values()) / messages * 1e3,
        "cpu_ms_by": {name: s / messages * 1e3 for name, s in sorted(used.items())},
    }


def calls(server, messages, **how):
    """System calls and syncs for each message, at full speed where perf(1) can count them."""
    load(server, 100, **how)
    wait_delivered(server, 100)

    def work(already=100):
        load(server, messages, **how)
        wait_delivered(server, already + messages)
        time.sleep(6)

    counted = measure.count_at_speed(server.roots(), work)
    if counted is None:
        return calls_traced(server, messages, **how)
    by = {name: c.pop("raw_syscalls:sys_enter", 0) / messages for name, c in counted.items()}
    return {
        "calls": sum(by.values()), "calls_by": by, "counted_by": "perf",
        "syncs": sum(sum(c.values()) for c in counted.values()) / messages,
        "syncs_by": {name: sum(c.values()) / messages for name, c in counted.items()},
    }


def calls_traced(server, messages, **how):
    """The same by strace, and which calls: under strace all is slow, so no rates from here."""
    already = server.delivered()[0]

    def work():
        load(server, messages, **how)
        wait_delivered(server, already + messages)
        time.sleep(6)

    counted = measure.count_calls(server.roots(), work)
    everything = [(call, n) for by_call in counted.values() for call, n in by_call.items()]
    return {
        "calls": sum(n for _, n in everything) / messages, "counted_by": "strace",
        "syncs": sum(n for call, n in everything if call in measure.SYNCS) / messages,
        "sendmsg": sum(n for call, n in everything if call in ("sendmsg", "sendmmsg")) / messages,
        "calls_by": {name: sum(c.values()) / messages for name, c in sorted(counted.items())},
        "calls_of": {name: {call: round(n / messages, 2) for call, n in
                            sorted(c.items(), key=lambda x: -x[1])[:12]}
                     for name, c in counted.items()},
    }
