#!/usr/bin/env python3
"""Ten thousand sessions with a million transcript entries: how long lists and pages take, and what the hub holds.

    scale.py --build BUILD [--sessions N] [--entries N] [--json]

Filled through the calls of openclawctl import. Times are of one client that asks one thing at a time, on one
connection, in ms: median and 99th percentile of 200 calls. Memory is the hub's own (RssAnon): pages of the
store's map are the kernel's to take back.
"""
import argparse
import json
import os
import shutil
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "it"))
from gateway import Gateway  # noqa: E402

WORDS = "the quick brown fox jumps over the lazy dog and then goes home to sleep until the morning comes".split()
WINDOW = 16  # calls under way while it is filled


def text(i, k):
    role = "assistant" if k % 2 else "user"
    said = "%s %d %d %s" % (WORDS[(i + k) % len(WORDS)], i, k, " ".join(WORDS[k % 7:]))
    content = json.dumps([{"type": "text", "text": said}] if k % 2 else said)
    return role, '{"role":"%s","content":%s,"timestamp":%d,"__openclaw":{"id":"s%dm%d"}}' % (
        role, content, 1772359200000 + k, i, k)


def fill(c, sessions, entries):
    began, waiting = time.monotonic(), []
    for i in range(sessions):
        rows = []
        for k in range(entries):
            role, body = text(i, k)
            rows.append({"id": "s%dm%d" % (i, k), "role": role, "ts": 1772359200000 + k, "text": body})
        session = {"key": "agent:main:s%d" % i, "sessionId": "id-%d" % i, "updatedAt": 1772359200000 + i,
                   "displayName": "Session about %s %d" % (WORDS[i % len(WORDS)], i), "archived": i % 50 == 7}
        waiting.append(c.start("import.session", {"session": session, "messages": rows}))
        if len(waiting) == WINDOW:
            got = c.answer(waiting.pop(0), 60)
            assert got["ok"] and got["payload"]["ok"], got
            with c.ws.cond:
                c.ws.frames[:] = [f for f in c.ws.frames if f.get("id") in waiting]
    for w in waiting:
        assert c.answer(w, 60)["payload"]["ok"]
    return time.monotonic() - began


def anon_kib(pid):
    with open("/proc/%d/status" % pid) as f:
        return int([l for l in f if l.startswith("RssAnon")][0].split()[1])


def measure(c, name, params, calls=200):
    took = []
    for i in range(calls):
        p = params(i)
        with c.ws.cond:
            del c.ws.frames[:]
        t = time.perf_counter()
        got = c.ask(name, p)
        took.append((time.perf_counter() - t) * 1000)
    took.sort()
    return {"p50": round(took[len(took) // 2], 3), "p99": round(took[len(took) * 99 // 100], 3),
            "got": len((got or {}).get("sessions") or (got or {}).get("messages") or (got or {}).get("previews") or [])}


def follow(c, params):
    """All pages of a list."""
    out, calls, longest, offset = [], 0, 0, None
    while True:
        p = dict(params, **({"offset": offset} if offset is not None else {}))
        t = time.perf_counter()
        got = c.ask("sessions.list", p)
        longest = max(longest, (time.perf_counter() - t) * 1000)
        calls += 1
        out += [r["key"] for r in got["sessions"]]
        if not got["hasMore"]:
            return {"rows": len(out), "unique": len(set(out)), "calls": calls, "longest": round(longest, 2)}
        offset = got["nextOffset"]


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    args.add_argument("--build", default="build")
    args.add_argument("--sessions", type=int, default=10000)
    args.add_argument("--entries", type=int, default=100)
    args.add_argument("--json", action="store_true")
    opt = args.parse_args()
    folder = tempfile.mkdtemp(prefix="scale-")
    g = Gateway(os.path.abspath(opt.build), folder, {"gateway": {"mode": "local"}})
    try:
        g.start()
        c = g.client()
        hub = g.worker("hub")
        out = {"sessions": opt.sessions, "entries": opt.sessions * opt.entries, "rss_before_kib": anon_kib(hub)}
        out["fill_s"] = round(fill(c, opt.sessions, opt.entries), 1)
        time.sleep(7)  # the idle checkpoint
        out["rss_filled_kib"] = anon_kib(hub)
        n = opt.sessions
        rows = {
            "empty call": ("last-heartbeat", lambda i: {}),
            "list 50": ("sessions.list", lambda i: {"limit": 50}),
            "list 50, titles and last message": ("sessions.list", lambda i: {
                "limit": 50, "includeDerivedTitles": True, "includeLastMessage": True}),
            "list 50 at offset 5000": ("sessions.list", lambda i: {"limit": 50, "offset": min(5000, n // 2)}),
            "search, frequent": ("sessions.list", lambda i: {"limit": 50, "search": "brown"}),
            "search, rare": ("sessions.list", lambda i: {"limit": 50, "search": "brown 19"}),
            "search, nothing": ("sessions.list", lambda i: {"limit": 50, "search": "nowhere%d" % i}),
            "archived": ("sessions.list", lambda i: {"limit": 50, "archived": True}),
            "history 50": ("chat.history", lambda i: {"sessionKey": "agent:main:s%d" % (i * 7919 % n), "limit": 50}),
            "startup 200": ("chat.startup", lambda i: {"sessionKey": "agent:main:s%d" % (i * 7919 % n)}),
            "preview 20": ("sessions.preview", lambda i: {
                "keys": ["agent:main:s%d" % ((i * 31 + k) % n) for k in range(20)], "limit": 3}),
        }
        for name, (method, params) in rows.items():
            out[name] = measure(c, method, params)
        out["all pages"] = follow(c, {"limit": 200})
        out["all pages of a search"] = follow(c, {"limit": 200, "search": "brown"})
        out["rss_after_kib"] = anon_kib(hub)
        old = g.kill("hub")
        began = time.perf_counter()
        g.wait_replaced("hub", old)
        c.ask("sessions.list", {"limit": 1})
        out["hub_restart_ms"] = round((time.perf_counter() - began) * 1000, 1)
        c.close()
        g.stop()
    finally:
        g.kill_leftovers()
        shutil.rmtree(folder, ignore_errors=True)
    if opt.json:
        print(json.dumps(out))
    else:
        for k, v in out.items():
            print("%-34s %s" % (k, v))


if __name__ == "__main__":
    main()
