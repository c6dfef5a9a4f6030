#!/usr/bin/env python3
"""What channel processes cost: memory of N idle Telegram accounts in a long poll, time from fork to connected, and how many
incoming messages a second one account takes up (acknowledged, that is: on disk).

    channels.py [--build BUILD] [--accounts 200] [--messages 1000]

The platform is a small HTTP server in this program. Prints one line of JSON.
With SMAPS=FILE in the environment one process's map is kept there.
"""
import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "it"))


class Platform:
    """getMe, getUpdates (held open), everything else says true."""

    def __init__(self):
        self.polls, self.queue, self.offset, self.taken, self.news = {}, [], 0, [], None

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
        if not token.startswith("1:"):
            await asyncio.sleep(30)
            return []
        offset = body.get("offset", 0)
        while self.queue and self.queue[0]["update_id"] < offset:
            self.queue.pop(0)
            self.taken.append(time.monotonic())
        if not self.queue:
            self.news = asyncio.Event()
            try:
                await asyncio.wait_for(self.news.wait(), 30)
            except asyncio.TimeoutError:
                return []
        return self.queue[:100]


def memory(pid):
    with open("/proc/%d/smaps_rollup" % pid) as f:
        return {l.split()[0][:-1]: int(l.split()[1]) for l in f if l.endswith("kB\n") and len(l.split()) == 3}


async def main():
    a = argparse.ArgumentParser()
    a.add_argument("--build", default=os.path.join(HERE, "..", "..", "build"))
    a.add_argument("--accounts", type=int, default=200)
    a.add_argument("--messages", type=int, default=1000)
    a = a.parse_args()
    p = Platform()
    server = await asyncio.start_server(p.serve, "127.0.0.1", 0, backlog=1024)
    port = server.sockets[0].getsockname()[1]
    folder = tempfile.mkdtemp(prefix="bench-channels-")
    accounts = {"a%d" % i: {"botToken": "%d:%s" % (i + 1, "x" * 35)} for i in range(a.accounts)}
    conf = {"gateway": {"mode": "local", "port": 28000 + os.getpid() % 1000, "auth": {"token": "bench-token-1234567890"}},
            "session": {"dmScope": "per-channel-peer"}, "messages": {"queue": {"mode": "followup", "cap": 10000, "debounceMs": 0}},
            "channels": {"telegram": {"apiRoot": "http://127.0.0.1:%d" % port, "dmPolicy": "open", "allowFrom": ["*"],
                                      "network": {"dangerouslyAllowPrivateNetwork": True}, "accounts": accounts}}}
    path = os.path.join(folder, "openclaw.json")
    with open(path, "w", opener=lambda n, f: os.open(n, f, 0o600)) as f:
        json.dump(conf, f)
    log = open(os.path.join(folder, "log"), "wb")
    began = time.monotonic()
    d = subprocess.Popen([os.path.join(a.build, "openclawd"), "--config", path, "--state-dir", os.path.join(folder, "s")], stdout=log, stderr=log)
    out = {"accounts": a.accounts, "load": os.getloadavg()[0]}
    try:
        while len(p.polls) < a.accounts and time.monotonic() - began < 120:
            await asyncio.sleep(0.01)
        out["connected"] = len(p.polls)
        out["all_connected_ms"] = round((max(p.polls.values()) - began) * 1000) if p.polls else None
        await asyncio.sleep(3)
        with open("/proc/%d/task/%d/children" % (d.pid, d.pid)) as f:
            pids = [int(x) for x in f.read().split()]
        pids = [x for x in pids if open("/proc/%d/comm" % x).read().startswith("openclaw-channe")]
        mem = [memory(pid) for pid in pids]
        if os.environ.get("SMAPS"):
            shutil.copyfile("/proc/%d/smaps" % pids[-1], os.environ["SMAPS"])
        for key in ("Pss", "Private_Dirty", "Rss"):
            values = sorted(m[key] for m in mem)
            out[key.lower() + "_kib"] = {"mean": round(sum(values) / len(values)), "max": values[-1]}
        if a.messages:
            began = time.monotonic()
            p.queue = [{"update_id": 1000 + i, "message": {"message_id": i + 1, "date": int(time.time()), "text": "message %d" % i,
                                                           "from": {"id": 1000 + i % 50, "is_bot": False, "first_name": "p"},
                                                           "chat": {"id": 1000 + i % 50, "type": "private"}}} for i in range(a.messages)]
            if p.news:
                p.news.set()
            while len(p.taken) < a.messages and time.monotonic() - began < 120:
                await asyncio.sleep(0.01)
            out["inbound"] = {"taken": len(p.taken), "per_second": round(len(p.taken) / (p.taken[-1] - began)) if p.taken else 0}
    finally:
        d.terminate()
        d.wait()
        shutil.rmtree(folder)
    print(json.dumps(out), flush=True)
    os._exit(0)  # what is still held open needs no words


asyncio.run(main())
