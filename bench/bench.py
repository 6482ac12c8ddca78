"""Measures the servers one after the other and prints a table of ratios. See doc/performance.md."""
import argparse
import json
import os
import pathlib
import sys
import traceback

import access
import servers
import smtp

# How many messages keep each busy for about eight seconds.
BUSY = {"Posthorn": 60000, "Postfix virtual(8)": 6000, "Postfix+Dovecot": 3000}
ALL = (servers.PostfixDovecot, servers.Postfix, servers.Posthorn)


class Bench:
    def __init__(self, folder, share, port_base):
        self.folder, self.share, self.port_base = folder, share, port_base
        self.results = {}

    def on_fresh(self, kind, accounts, work, key):
        """One measurement on a server that has just been started on an empty file system."""
        print(f"   {kind.name}: {key} ...", file=sys.stderr, flush=True)
        try:
            server = kind(self.folder, accounts, self.port_base)
            try:
                value = work(server)
            finally:
                server.close()
        except Exception as problem:  # one figure less, not no figures
            traceback.print_exc()
            value = {"failed": str(problem)[:200]}
        self.results.setdefault(key, {})[kind.name] = value

    def mail(self, kinds):
        for key, size, per_connection, share in (
                ("10 KiB", 10240, 0, 1), ("1 KiB", 1024, 0, 1), ("one per connection", 10240, 1, 0.6)):
            for kind in kinds:
                count = int(BUSY[kind.name] * share * self.share)
                self.on_fresh(kind, 10, lambda s: smtp.rate(
                    s, count, size=size, per_connection=per_connection), key)
        for kind in kinds:
            count = int(BUSY[kind.name] / 4 * self.share)
            self.on_fresh(kind, 10, lambda s: smtp.calls(s, max(count, 500)), "calls")
        for kind in kinds:
            if kind is not servers.PostfixDovecot:
                self.on_fresh(kind, 2000, lambda s: smtp.rate(s, 2000, warm=0), "2,000 accounts")

    def access(self, kinds):
        kinds = [k for k in kinds if k is not servers.Postfix]
        for kind in kinds:
            self.on_fresh(kind, 51, access.memory, "memory")
            self.on_fresh(kind, 100, lambda s: access.logins(s, int(6000 * self.share)), "login")
            self.on_fresh(kind, 1, lambda s: {"exists_p99_ms": access.idle(s, 100)}, "idle")
            self.on_fresh(kind, 1, self.folders, "folders")

    def folders(self, server):
        sizes = {"ten": 10000, "hundred": int(100000 * self.share)}
        for name, count in sizes.items():
            access.fill(server, name, count)
        changes = 300 if server.name == "Posthorn" else 30
        return {str(count): access.folder(server, name, count == 10000, changes)
                for name, count in sizes.items()}


def number(results, key, name, *path):
    value = results.get(key, {}).get(name, {})
    for word in path:
        value = value.get(word) if isinstance(value, dict) else None
    return value


def ratio_lines(results, share):
    """(what, goal, ours, theirs, ratio or None): more is better for rates, less for times."""
    ours, dovecot, virtual = "Posthorn", "Postfix+Dovecot", "Postfix virtual(8)"
    big = str(int(100000 * share))
    many = f"{int(big):,}"
    for what, goal, peer, key, path, less in (
            ("10 KiB messages/s", 15, dovecot, "10 KiB", ["delivered_per_s"], False),
            ("10 KiB messages/s", 7, virtual, "10 KiB", ["delivered_per_s"], False),
            ("1 KiB messages/s", 15, dovecot, "1 KiB", ["delivered_per_s"], False),
            ("1 KiB messages/s", 7, virtual, "1 KiB", ["delivered_per_s"], False),
            ("one message per connection, /s", 6, virtual, "one per connection",
             ["delivered_per_s"], False),
            ("2,000 accounts, messages/s", 3, virtual, "2,000 accounts", ["delivered_per_s"], False),
            ("FETCH FLAGS of 10,000, ms", 2, dovecot, "folders", ["10000", "fetch_flags_ms"], True),
            (f"FETCH FLAGS of {many}, ms", 2, dovecot, "folders", [big, "fetch_flags_ms"], True),
            ("ENVELOPE BODYSTRUCTURE of 10,000, ms", 2, dovecot, "folders",
             ["10000", "fetch_envelope_ms"], True),
            (f"ENVELOPE BODYSTRUCTURE of {many}, ms", 2, dovecot, "folders",
             [big, "fetch_envelope_ms"], True),
            ("bodies of 10,000, ms", 1.2, dovecot, "folders", ["10000", "fetch_bodies_ms"], True),
            (f"APPEND among {many}, ms", 20, dovecot, "folders", [big, "append_ms"], True),
            (f"STORE among {many}, ms", 20, dovecot, "folders", [big, "store_ms"], True),
            ("LOGIN to LOGOUT, password not known yet, /s", 1, dovecot, "login",
             ["first_per_s"], False),
            ("LOGIN to LOGOUT, /s", 1, dovecot, "login", ["plain_per_s"], False),
            ("LOGIN to LOGOUT on TLS, /s", 1, dovecot, "login", ["tls_per_s"], False)):
        a, b = number(results, key, ours, *path), number(results, key, peer, *path)
        yield what, goal, peer, a, b, (b / a if less else a / b) if a and b else None


def limit_lines(results):
    for what, goal, key, path in (
            ("CPU per 10 KiB message, ms", 0.30, "10 KiB", ["cpu_ms"]),
            ("CPU per 1 KiB message, ms", 0.30, "1 KiB", ["cpu_ms"]),
            ("p99 of 250, 10 KiB, ms", 50, "10 KiB", ["p99_ms"]),
            ("file syncs per message", 0.2, "calls", ["syncs"]),
            ("system calls per message", 40, "calls", ["calls"]),
            ("250 to EXISTS, p99, ms", 10, "idle", ["exists_p99_ms"]),
            ("idle system, KiB Pss", 40960, "memory", ["idle_kib"]),
            ("session, same account, KiB Pss", 100, "memory", ["session_same_account_kib"]),
            ("session, new account, KiB Pss", 600, "memory", ["session_new_account_kib"])):
        row = [number(results, key, kind.name, *path) for kind in reversed(ALL)]
        yield what, goal, row


def show(value):
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def table(results, share):
    lines = ["| work | goal | reached | Posthorn | peer | |", "| --- | --- | --- | --- | --- | --- |"]
    for what, goal, peer, a, b, ratio in ratio_lines(results, share):
        verdict = "" if ratio is None else "yes" if ratio >= goal else "no"
        reached = "-" if ratio is None else f"{ratio:.1f}x"
        lines.append(f"| {what} | {goal}x {peer} | {reached} | {show(a)} | {show(b)} | {verdict} |")
    lines += ["", "| cost | at most | Posthorn | Postfix virtual(8) | Postfix+Dovecot | |",
              "| --- | --- | --- | --- | --- | --- |"]
    for what, goal, row in limit_lines(results):
        verdict = "" if row[0] is None else "yes" if row[0] <= goal else "no"
        lines.append(f"| {what} | {goal:,} | " + " | ".join(map(show, row)) + f" | {verdict} |")
    for what, key, field in (("CPU, ms", "10 KiB", "cpu_ms_by"), ("system calls", "calls", "calls_by")):
        by = number(results, key, "Posthorn", field)
        if by:
            parts = ", ".join(f"{name} {value:.3g}" for name, value in by.items() if value > 0.001)
            lines += ["", f"{what} per message by service: {parts}."]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(prog="script/bench", description=__doc__)
    parser.add_argument("--only", choices=["smtp", "imap"], help="one half")
    parser.add_argument("--server", action="append", help="only servers whose name has this")
    parser.add_argument("--share", type=float, default=1, help="of the usual number of messages")
    parser.add_argument("--dir", default="/var/tmp/posthorn-bench", help="where the images lie")
    parser.add_argument("--port-base", type=int, default=9000)
    parser.add_argument("--out", default="build/bench.json", help="all figures; kept figures of "
                        "servers that are not measured now are used for the table")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("script/bench mounts file systems and starts Postfix: run it as root")
    kinds = [k for k in ALL if not options.server or any(
        word.lower() in k.name.lower() for word in options.server)]
    out = pathlib.Path(options.out)
    bench = Bench(options.dir, options.share, options.port_base)
    if out.exists() and len(kinds) < len(ALL):
        bench.results = json.loads(out.read_text())
    bench.results["versions"] = servers.versions()
    if options.only != "imap":
        bench.mail(kinds)
    if options.only != "smtp":
        bench.access(kinds)
    out.write_text(json.dumps(bench.results, indent=1) + "\n")
    print(", ".join(f"{k} {v}" for k, v in bench.results["versions"].items())
          + ", each server on its own fresh ext4 with a journal (loop)\n")
    print(table(bench.results, options.share))


if __name__ == "__main__":
    main()
