#!/usr/bin/env python3
"""Looks at the gateway from outside while others break it: watcher.py DIR SECONDS, writes DIR/samples.jsonl.

Every 50 ms /healthz and /readyz (a connection each); every second the process table with memory, descriptors and, for each
worker that has lived for a while, what /proc says that it may do.
"""
import json
import os
import socket
import sys
import time

from tree import class_of, memory_of, privileges_of, state_of, workers_of


def ask(port, path):
    """(milliseconds, status or None)."""
    began = time.monotonic()
    code = None
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as s:
            s.settimeout(10)
            s.sendall(b"GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: close\r\n\r\n" % (path.encode(), port))
            head = s.recv(64)
            code = int(head.split()[1]) if head.startswith(b"HTTP/1.1 ") else None
    except (OSError, ValueError, IndexError):
        pass
    return (time.monotonic() - began) * 1000, code


def supervisor_of(folder):
    try:
        with open(os.path.join(folder, "tree.pid")) as f:
            pid = int(f.read())
    except (OSError, ValueError):
        return 0
    return pid if state_of(pid) not in (None, "Z") else 0


def table(folder, settled, ages, out):
    pid = supervisor_of(folder)
    rows = {"supervisor": pid} if pid else {}
    if pid:
        rows.update(workers_of(pid))
    procs = []
    for name, p in rows.items():
        anon, fds = memory_of(p)
        procs.append({"name": name, "pid": p, "anon": anon, "fds": fds})
        seen = ages.setdefault(p, time.monotonic())
        if p != pid and seen > 0 and time.monotonic() - seen > settled:
            ages[p] = -1.0
            got = privileges_of(p)
            if got:
                out.write(json.dumps({"t": time.monotonic(), "privileges": got, "class": class_of(name), "pid": p}) + "\n")
    out.write(json.dumps({"t": round(time.monotonic(), 4), "procs": procs}) + "\n")


def main():
    folder, seconds = sys.argv[1], float(sys.argv[2])
    with open(os.path.join(folder, "run.json")) as f:
        conf = json.load(f)
    port, settled = conf["port"], 0.5 * conf["options"]["slack"]  # by then it is in its sandbox
    ages, began, next_table = {}, time.monotonic(), 0
    with open(os.path.join(folder, "samples.jsonl"), "w", buffering=1) as out:
        while time.monotonic() - began < seconds and not os.path.exists(os.path.join(folder, "watch.stop")):
            at = time.monotonic()
            for path in ("/healthz", "/readyz"):
                t = time.monotonic()
                ms, code = ask(port, path)
                out.write('{"t":%.4f,"path":"%s","ms":%.2f,"code":%s}\n' % (t, path, ms, code or "null"))
            if at >= next_table:
                next_table = at + 1
                table(folder, settled, ages, out)
            time.sleep(max(0, at + 0.05 - time.monotonic()))


if __name__ == "__main__":
    main()
