"""What a server costs: processor time, system calls, file syncs, memory, from /proc and strace."""
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time

TICK = os.sysconf("SC_CLK_TCK")
# Not sync_file_range: it starts writing and waits for no disk.
SYNCS = {"fsync", "fdatasync", "sync", "syncfs", "msync"}


def _processes():
    """{pid: (parent, name, seconds of its own, seconds of its ended children)}"""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = pathlib.Path("/proc", entry, "stat").read_text()
            except OSError:
                continue
            name = stat[stat.index("(") + 1:stat.rindex(")")]
            rest = stat[stat.rindex(")") + 2:].split()
            own = (int(rest[11]) + int(rest[12])) / TICK
            children = (int(rest[13]) + int(rest[14])) / TICK
            found[int(entry)] = int(rest[1]), name, own, children
    return found


def tree(roots):
    """{pid: name} of some processes and all their descendants."""
    everyone = _processes()
    found = {}
    for pid in everyone:
        line = pid
        while line in everyone and line not in roots:
            line = everyone[line][0]
        if line in roots:
            found[pid] = everyone[pid][1]
    return found


def cpu(roots):
    """Seconds of processor time by name of process; what ended counts for the one that reaped it."""
    everyone = _processes()
    used = {}
    for pid, name in tree(roots).items():
        if pid in everyone:
            used[name] = used.get(name, 0) + everyone[pid][2] + everyone[pid][3]
    return used


def difference(before, after):
    return {name: after[name] - before.get(name, 0) for name in after
            if after[name] > before.get(name, 0)}


def switches(roots):
    """How often the living threads of a tree gave up the processor because they had to wait."""
    total = 0
    for pid in tree(roots):
        for status in pathlib.Path(f"/proc/{pid}/task").glob("*/status"):
            try:
                total += int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", status.read_text(),
                                       re.M)[1])
            except OSError:
                pass
    return total


def pss(roots):
    """KiB of memory by name of process, shared pages divided among those that share them."""
    used = {}
    for pid, name in tree(roots).items():
        try:
            text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        match = re.search(r"^Pss:\s+(\d+) kB", text, re.M)
        used[name] = used.get(name, 0) + (int(match[1]) if match else 0)
    return used


def count_calls(roots, work):
    """Runs work() while strace counts; {name of process: {system call: count}}."""
    groups = {}
    for pid, name in tree(roots).items():
        groups.setdefault(name, []).append(pid)
    with tempfile.TemporaryDirectory() as folder:
        tracers = {}
        for name, pids in groups.items():
            out = pathlib.Path(folder, name.replace("/", "_"))
            command = ["strace", "-f", "-c", "-U", "calls,name", "-o", out]
            for pid in pids:
                command += ["-p", str(pid)]
            tracers[name] = out, subprocess.Popen(command, stderr=subprocess.DEVNULL)
        _wait_traced([pid for pids in groups.values() for pid in pids])
        work()
        calls = {}
        for name, (out, tracer) in tracers.items():
            tracer.send_signal(signal.SIGINT)
            tracer.wait()
            calls[name] = {call: int(count) for count, call in
                           re.findall(r"^\s*(\d+)\s+(\w+)\s*$", out.read_text(), re.M)
                           if call != "total"}
        return calls


def _perf(pids, events):
    """perf(1) that counts events of some processes and of the children they will have, or None."""
    command = ["perf", "stat", "-x", ",", "-e", ",".join(events), "-p", ",".join(map(str, pids))]
    try:
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                   text=True)
    except FileNotFoundError:
        return None
    time.sleep(0.3)
    return process if process.poll() is None else None


def count_at_speed(roots, work):
    """
    {name of process: {event: count}} while work() runs at full speed: "raw_syscalls:sys_enter" is
    every system call. None where the kernel or perf(1) cannot count. strace slows each process
    differently, so that fewer requests meet in one batch than otherwise.
    """
    events = ["raw_syscalls:sys_enter", *(f"syscalls:sys_enter_{c}" for c in sorted(SYNCS))]
    groups = {}
    for pid, name in tree(roots).items():
        groups.setdefault(name, []).append(pid)
    counters = {name: _perf(pids, events) for name, pids in groups.items()}
    if None in counters.values():
        return None
    work()
    counted = {}
    for name, process in counters.items():
        process.send_signal(signal.SIGINT)
        rows = [line.split(",") for line in process.communicate()[1].splitlines()]
        counted[name] = {row[2]: int(row[0]) for row in rows if len(row) > 2 and row[0].isdigit()}
    return counted


def _wait_traced(pids):
    def waiting():
        for pid in pids:
            try:
                if "TracerPid:\t0\n" in pathlib.Path(f"/proc/{pid}/status").read_text():
                    return True
            except OSError:
                pass
        return False

    deadline = time.monotonic() + 20
    while waiting() and time.monotonic() < deadline:
        time.sleep(0.05)
