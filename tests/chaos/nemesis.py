"""Breaks what the schedule says, and measures from each break to the first success of what needed the broken part.

faults.jsonl: {t, fault, who, pid, ...} when it happens, {t, back_ms, ...} behind it. Probes carry tokens of client 900, so
that the checker counts them like everybody's: probe.jsonl has the same form as history.jsonl.
"""
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "it"))
from client import Client  # noqa: E402  (a plain blocking client is right for one probe at a time)
import ws  # noqa: E402

import iolog  # noqa: E402
from schedule import BURST, WINDOW  # noqa: E402
from tree import TOKEN, class_of, ports_of, state_of, until  # noqa: E402

now = time.monotonic
PROBE = 900
ERRORS = (OSError, AssertionError, EOFError)
ws.WAIT = 6


class Nemesis:
    def __init__(self, folder, conf, tree, schedule):
        self.folder, self.conf, self.tree, self.schedule = folder, conf, tree, schedule
        self.out = open(os.path.join(folder, "faults.jsonl"), "w", buffering=1)
        self.probe_out = open(os.path.join(folder, "probe.jsonl"), "w", buffering=1)
        self.n = 0
        self.client = None
        self.killed = {}  # who: when
        self.good = json.dumps(tree.config)

    def note(self, **fields):
        self.out.write(json.dumps(dict({"t": round(now(), 6)}, **fields)) + "\n")

    # -- probes

    def ready(self):
        """The probe's own connection is there before something breaks."""
        if self.client and self.client.open:
            return True
        try:
            self.client = Client(self.tree.port, TOKEN)
            return True
        except ERRORS:
            self.client = None
            return False

    def token(self, op, **more):
        self.n += 1
        token = "w%d.%d" % (PROBE, self.n)
        self.log(op, token, "invoke", **more)
        return token

    def log(self, op, token, phase, **more):
        self.probe_out.write(json.dumps(dict({"t": round(now(), 6), "client": PROBE, "op": op, "token": token, "phase": phase},
                                             **more)) + "\n")

    def probe_front(self):
        Client(self.tree.port, TOKEN).close()

    def probe_hub(self):
        if not self.client or not self.client.open:
            self.client = Client(self.tree.port, TOKEN)
        self.client.ask("last-heartbeat", timeout=5)

    def probe_agent(self):
        """One turn, asked for once and again under the same key until it is over."""
        s = "agent:main:w%d-q%d" % (PROBE, self.n // 10)
        token = self.token("chat.send", key="k-w%d.%d" % (PROBE, self.n + 1), s=s, due=now())
        key = "k-" + token
        for _ in range(8):
            try:
                if not self.client or not self.client.open:
                    self.client = Client(self.tree.port, TOKEN)
                got = self.client.ask("chat.send", {"sessionKey": s, "message": token + " probe", "idempotencyKey": key}, timeout=5)
                self.log("chat.send", token, "ok", reply=got)
                got = self.client.ask("agent.wait", {"runId": key, "timeoutMs": 4000}, timeout=5)
                return got["status"]
            except ERRORS as e:
                self.log("chat.send", token, "info", why=str(e))
                time.sleep(0.002)
                self.log("chat.send", token, "invoke", key=key, s=s, due=now())
        return None

    def probe_channel(self, who):
        account = who.split(" ")[1]
        token = self.token("send", key="s-w%d.%d" % (PROBE, self.n + 1), to="t%d" % PROBE, account=account, tag="", due=now())
        if not self.client or not self.client.open:
            self.client = Client(self.tree.port, TOKEN)
        try:
            got = self.client.ask("send", {"to": "t%d" % PROBE, "message": token + " out", "channel": "fake", "accountId": account,
                                           "idempotencyKey": "s-" + token}, timeout=5)
            self.log("send", token, "ok", reply=got)
        except ERRORS as e:
            self.log("send", token, "info", why=str(e))
            raise

    def back(self, who, began):
        """Milliseconds from the break until something that needs `who` succeeds; None after 12 s."""
        kind = class_of(who)
        probe = {"front": self.probe_front, "hub": self.probe_hub, "agent": self.probe_agent,
                 "channel": lambda: self.probe_channel(who)}[kind]
        while now() - began < 12:
            try:
                probe()
                return round((now() - began) * 1000, 2)
            except ERRORS:
                time.sleep(0.001)
        return None

    # -- faults

    def pid_of(self, who):
        return self.tree.workers().get(who)

    def strike(self, who, sig, wait_commit=False, crowd=False):
        """Kills; returns (pid, time) or None when it is not there now."""
        pid = self.pid_of(who)
        past = self.killed[who] = [t for t in self.killed.get(who, []) if now() - t < WINDOW]
        if not pid or (len(past) >= BURST and not crowd):
            self.note(skipped=who)  # gone already; or, late as we are, it would die too often
            return None
        past.append(now())
        ports = ports_of(pid) if class_of(who) == "front" else None
        if wait_commit:
            until(lambda: state_of(pid) == "D", 0.1, 0)
        at = now()
        try:
            os.kill(pid, getattr(signal, "SIG" + sig))
        except ProcessLookupError:
            self.note(skipped=who)
            return None
        self.note(t=at, fault="kill", who=who, pid=pid, sig=sig, **({"ports": ports} if ports is not None else {}))
        return pid, at

    def do_kill(self, f):
        self.ready()
        got = self.strike(f["who"], f["sig"], f["moment"] == "commit")
        if not got:
            return
        pid, at = got
        other = f["who"] if f["moment"] == "restart" else f.get("other") if f["moment"] == "other" else None
        if other:
            until(lambda: self.pid_of(f["who"]) not in (None, pid), 2, 0.0005)
            got = self.strike(other, f["sig"])
            at = got[1] if got else at
            if other != f["who"] and got:
                self.note(back_ms=self.back(other, at), who=other, pair=True)
        self.note(back_ms=self.back(f["who"], at), who=f["who"], moment=f["moment"], pair=bool(other))

    def restart(self, began, what):
        ms = self.tree.start()
        healthy = (now() - began) * 1000
        self.client, self.killed = None, {}
        until(self.ready, 20)
        self.note(back_ms=round(healthy, 2), who=what, start_ms=round(ms, 2), hello_ms=round((now() - began) * 1000, 2))

    def do_all(self, _f):
        at = now()
        pids = self.tree.kill_all()
        self.note(t=at, fault="all", pids=pids)
        took = self.tree.reap(pids[1:])
        self.note(gone_s=round(took, 4))
        self.check_store("all")
        self.restart(now(), "all")

    def do_twice(self, f):
        """Everything dies, and once more while it starts."""
        at = now()
        pids = self.tree.kill_all()
        self.note(t=at, fault="all", pids=pids)
        self.tree.reap(pids[1:])
        began = now()
        self.tree.spawn()
        time.sleep(f["seconds"])
        at = now()
        pids = self.tree.kill_all()
        self.tree.reap(pids[1:])
        self.note(t=at, fault="all", pids=pids, after_s=f["seconds"])
        self.check_store("twice")
        self.restart(began, "all twice")

    def do_supervisor(self, _f):
        pids = list(self.tree.workers().values())
        at = now()
        os.kill(self.tree.pid, signal.SIGKILL)
        self.note(t=at, fault="supervisor", pids=[self.tree.pid] + pids)
        took = self.tree.reap(pids)
        self.note(orphans_s=round(took, 4), left=[p for p in pids if state_of(p)])
        self.restart(now(), "supervisor")

    def do_power(self, f):
        """As do_all, in the middle of a write, and what was not flushed is lost in part (iolog.py)."""
        hub = self.pid_of("hub 0")
        if hub and self.n % 3:
            until(lambda: state_of(hub) in ("D", None), 0.1, 0)
        self.n += 1
        at = now()
        pids = self.tree.kill_all()
        self.note(t=at, fault="power", pids=pids)
        self.tree.reap(pids[1:])
        got = iolog.cut(os.path.join(self.tree.state, "store"), os.path.join(self.folder, "iolog"), self.conf["seed"] * 1000 + f["i"],
                        self.conf["options"]["lying_disk"])
        self.note(cut=got)
        self.check_store("power")
        self.restart(now(), "power")

    def check_store(self, why):
        """The store's own check on a copy, twice."""
        tool = os.path.join(self.tree.build, "tests", "chaos-store")
        if not os.path.exists(tool):
            return
        if not os.path.isdir(os.path.join(self.tree.state, "store")):
            return
        copy = os.path.join(self.folder, "copy")
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(os.path.join(self.tree.state, "store"), copy)
        p = subprocess.run([tool, os.path.join(copy, "state.mdb")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.note(store=p.returncode, why=why, said=p.stdout.decode("utf-8", "replace")[-300:])

    def do_pause(self, f):
        pid = self.pid_of(f["who"])
        if pid:
            ports = ports_of(pid) if class_of(f["who"]) == "front" else None
            self.note(fault="pause", who=f["who"], pid=pid, seconds=f["seconds"], ports=ports)
            os.kill(pid, signal.SIGSTOP)
            time.sleep(f["seconds"])
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass
            self.note(resumed=f["who"])

    def do_hang(self, f):
        pid = self.pid_of(f["who"])
        if not pid:
            return
        ports = ports_of(pid) if class_of(f["who"]) == "front" else None
        os.kill(pid, signal.SIGSTOP)
        at = now()
        self.killed.setdefault(f["who"], []).append(at + 4)
        self.note(fault="hang", who=f["who"], pid=pid, ports=ports)
        until(lambda: self.pid_of(f["who"]) not in (None, pid), 15, 0.01)
        self.note(replaced_ms=round((now() - at) * 1000), who=f["who"], hung=True)
        self.note(back_ms=self.back(f["who"], at), who=f["who"], hung=True)

    def do_loop(self, f):
        """Killed whenever it appears; then left alone, it must come back by itself."""
        at, seen = now(), []
        self.note(fault="loop", who=f["who"], times=f["times"])
        old = None
        while len(seen) < f["times"] and now() - at < 40:
            pid = self.pid_of(f["who"])
            if pid and pid != old:
                seen.append(round(now(), 4))
                got = self.strike(f["who"], "KILL", crowd=True)
                old = got[0] if got else pid
            time.sleep(0.002)
        self.note(loop=f["who"], born=seen)
        back = now()
        until(lambda: self.pid_of(f["who"]) not in (None, old), 65, 0.01)  # it waits a minute at most
        self.note(loop_back_ms=round((now() - back) * 1000), who=f["who"], alive=self.pid_of(f["who"]) is not None)

    def do_down(self, f):
        path = os.path.join(self.conf["platforms"][f["account"]], "down")
        self.note(fault="down", account=f["account"], seconds=f["seconds"])
        open(path, "w").close()
        time.sleep(f["seconds"])
        os.unlink(path)

    def control(self, doc):
        req = urllib.request.Request(self.conf["model"] + "/control", json.dumps(doc).encode())
        urllib.request.urlopen(req, timeout=5).read()

    def do_model(self, f):
        self.note(fault="model", mode=f["mode"], p=f["p"], seconds=f["seconds"])
        self.control({"mode": f["mode"], "p": f["p"]})
        time.sleep(f["seconds"])
        self.control({"mode": "none"})

    def do_reload(self, f):
        self.note(fault="reload", file=f["file"])
        path = self.tree.config_path
        if f["file"] == "good":
            doc = json.loads(self.good)
            doc.setdefault("logging", {})["level"] = "debug" if self.n % 2 else "info"
            doc["logging"]["level"] = "info"
            doc["delivery"]["maxQueued"] = 90000 + f["i"]
            self.tree.write_config(doc)
        elif f["file"] == "broken":
            self.tree.write_config('{"gateway": {"port": "no such')
        elif f["file"] == "torn":
            with open(path, "w") as out:
                out.write(self.good[:len(self.good) // 2])
        else:
            os.unlink(path)
        os.kill(self.tree.pid, signal.SIGHUP)
        time.sleep(0.3)
        self.tree.write_config(json.loads(self.good))
        os.kill(self.tree.pid, signal.SIGHUP)

    def run(self):
        for f in self.schedule:
            wait = self.conf["t0"] + f["at"] - now()
            if wait > 0:
                time.sleep(wait)
            if now() - self.conf["t0"] > self.conf["seconds"]:
                self.note(late=len(self.schedule) - f["i"])
                break
            getattr(self, "do_" + f["fault"])(f)
        self.note(end=True)

    def close(self):
        if self.client:
            self.client.close()
        self.out.close()
        self.probe_out.close()
