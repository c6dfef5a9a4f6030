#!/usr/bin/env python3
"""What channel processes cost: memory of N idle Telegram accounts in a long poll, time from the start of a process to its first poll, and how
many incoming messages a second are taken up (acknowledged, that is: on disk): of one account as fast as it goes, and of several at a held rate.

    channels.py [--build BUILD] --tls [--accounts 200]     memory of N idle IRC accounts, their connections encrypted
    channels.py [--build BUILD] [--accounts 200] [--messages 1000] [--starts 20] [--rate 100 --held 5 --seconds 10]

The platform is a small HTTP server in this program. Prints one line of JSON.
With SMAPS=FILE in the environment one process's map is kept there.
"""
import argparse
import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "it"))


class Platform:
    """getMe, getUpdates (held open), everything else says true."""

    def __init__(self):
        self.polls, self.last_poll, self.queues, self.news, self.taken = {}, {}, {}, {}, {}

    async def serve(self, reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                n = next((int(l.split(":")[1]) for l in head.split("\r\n") if l.lower().startswith("content-length")), 0)
                body = json.loads(await reader.readexactly(n) or b"{}") if n else {}
                path = head.split(" ")[1]
                token, method = path[4:].split("/", 1) if path.startswith("/bot") else ("", path)
                if method.startswith("getMe"):
                    got = {"id": int(token.split(":")[0]), "is_bot": True, "first_name": "b", "username": "b%s" % token.split(":")[0]}
                elif method.startswith("getUpdates"):
                    got = await self.updates(token, body)
                elif method.startswith("send"):
                    got = {"message_id": int(time.time_ns() % 10**9), "chat": {"id": 42, "type": "private"}, "date": 0}
                else:
                    got = True
                out = json.dumps({"ok": True, "result": got}).encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(out) + out)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass

    async def updates(self, token, body):
        self.polls.setdefault(token, time.monotonic())
        self.last_poll[token] = time.monotonic()
        queue, taken = self.queues.setdefault(token, []), self.taken.setdefault(token, [])
        while queue and queue[0][0]["update_id"] < body.get("offset", 0):
            taken.append((queue.pop(0)[1], time.monotonic()))
        if not queue:
            self.news[token] = asyncio.Event()
            try:
                await asyncio.wait_for(self.news[token].wait(), 30)
            except asyncio.TimeoutError:
                return []
        return [u for u, _ in queue[:100]]

    def say(self, token, number):
        """Somebody writes."""
        who = 1000 + number % 50
        self.queues.setdefault(token, []).append(({"update_id": 1000 + number, "message": {
            "message_id": number + 1, "date": int(time.time()), "text": "message %d" % number, "chat": {"id": who, "type": "private"},
            "from": {"id": who, "is_bot": False, "first_name": "p"}}}, time.monotonic()))
        if token in self.news:
            self.news[token].set()


def spread(values):
    values = sorted(values) or [0]
    return {"p50": round(values[len(values) // 2], 1), "p99": round(values[len(values) * 99 // 100], 1), "max": round(values[-1], 1)}


async def starts(p, pids, tokens, n):
    """Each is killed, and polls again: from its death to its first poll, the supervisor's part too."""
    out = []
    for pid in pids[:n]:
        with open("/proc/%d/cmdline" % pid) as f:
            account = f.read().replace("\0", " ").split()[-1]
        token, before = tokens[account], time.monotonic()
        os.kill(pid, signal.SIGKILL)
        while p.last_poll.get(token, 0) < before and time.monotonic() - before < 20:
            await asyncio.sleep(0.001)
        out.append((p.last_poll[token] - before) * 1000)
        await asyncio.sleep(0.05)
    return spread(out)


async def held(p, tokens, rate, seconds):
    """So many a second to each of them: how long until each was taken."""
    began, n = time.monotonic(), 0
    for token in tokens:
        p.taken[token] = []
    while time.monotonic() - began < seconds:
        while n < (time.monotonic() - began) * rate:
            for token in tokens:
                p.say(token, 100000 + n)
            n += 1
        await asyncio.sleep(0.002)
    end = time.monotonic() + 30
    while any(len(p.taken[t]) < n for t in tokens) and time.monotonic() < end:
        await asyncio.sleep(0.01)
    waits = [(at - said) * 1000 for t in tokens for said, at in p.taken[t]]
    return {"channels": len(tokens), "per_second_each": rate, "seconds": seconds, "given": n * len(tokens), "taken": len(waits), "wait_ms": spread(waits)}


def memory(pid):
    with open("/proc/%d/smaps_rollup" % pid) as f:
        return {l.split()[0][:-1]: int(l.split()[1]) for l in f if l.endswith("kB\n") and len(l.split()) == 3}


def start_irc(folder, n):
    """tests/fake/irc.py with TLS: (process, the port of its orders, section of the configuration)."""
    os.chmod(folder, 0o711)
    cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", key, "-out", cert], check=True, capture_output=True)
    os.chmod(cert, 0o644)
    p = subprocess.Popen([sys.executable, os.path.join(HERE, "..", "fake", "irc.py"), "--tls", cert, key], stdout=subprocess.PIPE)
    words = p.stdout.readline().split()
    section = {"host": "127.0.0.1", "port": int(words[1]), "tls": True, "tlsCaFile": cert, "dmPolicy": "open", "allowFrom": ["*"],
               "accounts": {"a%d" % i: {"nick": "bot%d" % i} for i in range(n)}}
    return p, int(words[-1]), section


def there(control):
    with urllib.request.urlopen("http://127.0.0.1:%d/fake/who" % control) as r:
        return len(json.load(r))


def sizes(pids):
    mem = [memory(pid) for pid in pids]
    out = {}
    for key in ("Pss", "Private_Dirty", "Rss"):
        values = sorted(m[key] for m in mem)
        out[key.lower() + "_kib"] = {"mean": round(sum(values) / len(values)), "max": values[-1]}
    return out


def channel_pids(d):
    with open("/proc/%d/task/%d/children" % (d.pid, d.pid)) as f:
        pids = [int(x) for x in f.read().split()]
    return [x for x in pids if open("/proc/%d/comm" % x).read().startswith("openclaw-channe")]


def begin(a, folder, channels):
    """The gateway with these channels."""
    conf = {"gateway": {"mode": "local", "port": 28000 + os.getpid() % 1000, "auth": {"token": "bench-token-1234567890"}},
            "session": {"dmScope": "per-channel-peer"}, "messages": {"queue": {"mode": "followup", "cap": 10000, "debounceMs": 0}},
            "channels": channels}
    path = os.path.join(folder, "openclaw.json")
    with open(path, "w", opener=lambda n, f: os.open(n, f, 0o600)) as f:
        json.dump(conf, f)
    log = open(os.path.join(folder, "log"), "wb")
    return subprocess.Popen([os.path.join(a.build, "openclawd"), "--config", path, "--state-dir", os.path.join(folder, "s")], stdout=log, stderr=log)


def encrypted(a):
    folder = tempfile.mkdtemp(prefix="bench-channels-")
    fake, control, section = start_irc(folder, a.accounts)
    d = begin(a, folder, {"irc": section})
    out = {"accounts": a.accounts, "tls": True, "load": os.getloadavg()[0]}
    try:
        end = time.monotonic() + 120
        while there(control) < a.accounts and time.monotonic() < end:
            time.sleep(0.05)
        out["connected"] = there(control)
        time.sleep(3)
        out.update(sizes(channel_pids(d)))
    finally:
        d.terminate()
        d.wait()
        fake.kill()
        shutil.rmtree(folder)
    print(json.dumps(out), flush=True)


async def main():
    a = argparse.ArgumentParser()
    a.add_argument("--tls", action="store_true", help="of IRC accounts instead: memory only")
    a.add_argument("--build", default=os.path.join(HERE, "..", "..", "build"))
    a.add_argument("--accounts", type=int, default=200)
    a.add_argument("--messages", type=int, default=1000)
    a.add_argument("--starts", type=int, default=20)
    a.add_argument("--rate", type=int, default=100)
    a.add_argument("--held", type=int, default=5)
    a.add_argument("--seconds", type=float, default=10)
    a = a.parse_args()
    if a.tls:
        return encrypted(a)
    p = Platform()
    server = await asyncio.start_server(p.serve, "127.0.0.1", 0, backlog=1024)
    port = server.sockets[0].getsockname()[1]
    folder = tempfile.mkdtemp(prefix="bench-channels-")
    accounts = {"a%d" % i: {"botToken": "%d:%s" % (i + 1, "x" * 35)} for i in range(a.accounts)}
    began = time.monotonic()
    d = begin(a, folder, {"telegram": {"apiRoot": "http://127.0.0.1:%d" % port, "dmPolicy": "open", "allowFrom": ["*"],
                                       "network": {"dangerouslyAllowPrivateNetwork": True}, "accounts": accounts}})
    out = {"accounts": a.accounts, "load": os.getloadavg()[0]}
    try:
        while len(p.polls) < a.accounts and time.monotonic() - began < 120:
            await asyncio.sleep(0.01)
        out["connected"] = len(p.polls)
        out["all_connected_ms"] = round((max(p.polls.values()) - began) * 1000) if p.polls else None
        await asyncio.sleep(3)
        pids = channel_pids(d)
        if os.environ.get("SMAPS"):
            shutil.copyfile("/proc/%d/smaps" % pids[-1], os.environ["SMAPS"])
        out.update(sizes(pids))
        tokens = {name: acc["botToken"] for name, acc in accounts.items()}
        if a.starts:
            out["start_to_poll_ms"] = await starts(p, pids, tokens, a.starts)
        if a.messages:
            first = list(tokens.values())[-1]  # one that was left alone
            began = time.monotonic()
            for i in range(a.messages):
                p.say(first, i)
            while len(p.taken.get(first, [])) < a.messages and time.monotonic() - began < 120:
                await asyncio.sleep(0.01)
            taken = p.taken.get(first, [])
            out["inbound"] = {"taken": len(taken), "per_second": round(len(taken) / (taken[-1][1] - began)) if taken else 0}
        if a.held:
            await asyncio.sleep(2)
            out["held"] = await held(p, list(tokens.values())[-1 - a.held:-1], a.rate, a.seconds)
    finally:
        d.terminate()
        d.wait()
        shutil.rmtree(folder)
    print(json.dumps(out), flush=True)
    os._exit(0)  # what is still held open needs no words


asyncio.run(main())
