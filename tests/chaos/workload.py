#!/usr/bin/env python3
"""The driver of a chaos run: clients that send, repeat, read, break off; all of it written down before it goes out.

    workload.py DIR        reads DIR/run.json (see chaos.py) and DIR/schedule.jsonl, writes DIR/history.jsonl

Open loop: arrivals are drawn from the seed, whatever the gateway does; an operation that could not be sent waits in its
client and counts from when it was due. An operation with an unknown outcome is asked again under the same key, as a client
would. OPS is the one place where a kind of operation is added; NOT_YET names those of shared/chaos.md's table that the
gateway does not serve.

history.jsonl, a line an event: {t, client, op, token, key, s(ession), phase, ...}; phase is invoke (due: when it should have
gone out), ok (reply), queued (a delivery that was taken, and failed for now), fail (refused), info (unknown), and for
connections open, lost, seq (a gap). Sessions "...-q.." take chat only, "-i" chat that
interrupts; "...-r.." are touched by one operation at a time, so
that reset, delete and patch have a defined order.
"""
import json
import os
import random
import re
import sys

from loop import Loop, now
from post import Post
from wire import Conn

TIMEOUT = 30  # an answer that takes longer is unknown
TURNS = 15  # of one session; then a new one, so that prompts stay short
TRIES = 40
WAITING_MAX = 400  # operations that wait in one client for a connection
SOON = 12  # seconds in which a run has ended, whatever dies
TERMINAL = re.compile(rb'"state":"(?:final|error|aborted)"')
RUN = re.compile(rb'"runId":"([^"]+)"')
TOKEN = re.compile(rb"\bw\d+\.\d+")
HOOK_TOKEN = "chaos-hook-token-5d1f"
NOT_YET = {"cron.add": "cron is not served", "config.patch": "it has no operation", "tools": "tools have no operation",
           "openai-http": "the HTTP endpoints of models have no operation"}
PLATFORM = ((0.02, "[transient 1]"), (0.03, "[transient 1] [after 80]"), (0.035, "[unknown 1]"), (0.04, "[unknown 1] [accept]"),
            (0.043, "[permanent]"), (0.06, "[slow 40]"))


class Op:
    __slots__ = ("token", "name", "method", "params", "key", "session", "due", "rid", "tries", "then", "sent", "conn", "more")

    def __init__(self, token, name, method, params, key=None, session=None, then=None, **more):
        self.token, self.name, self.method, self.params = token, name, method, params
        self.key, self.session, self.then, self.more = key, session, then, more
        self.due, self.rid, self.tries, self.sent, self.conn = now(), None, 0, 0.0, None


class Driver:
    def __init__(self, folder):
        with open(os.path.join(folder, "run.json")) as f:
            self.conf = json.load(f)
        self.folder = folder
        self.loop = Loop()
        self.out = open(os.path.join(folder, "history.jsonl"), "w", buffering=1 << 16)
        self.rng = random.Random(self.conf["seed"])
        self.counts = {"invoke": 0, "ok": 0, "fail": 0, "info": 0, "queued": 0, "shed": 0}
        self.updates = {a: open(os.path.join(p, "updates"), "ab", buffering=0) for a, p in self.conf["platforms"].items()}
        self.quiet = self.quiet_times()
        self.draining = False
        self.clients = [Client(self, i) for i in range(self.conf["clients"])]

    def quiet_times(self):
        """Around a fault that wants an idle gateway nothing is sent."""
        with open(os.path.join(self.folder, "schedule.jsonl")) as f:
            rows = [json.loads(line) for line in f]
        return sorted((r["at"] - 0.25, r["at"] + 0.05) for r in rows if r.get("moment") == "idle")

    def write(self, line):
        self.out.write(line)

    def event(self, client, op, phase, **more):
        self.counts[phase] = self.counts.get(phase, 0) + 1
        d = {"t": round(now(), 6), "client": client, "op": op.name, "token": op.token, "phase": phase}
        if phase == "invoke":
            d.update(due=round(op.due, 6), key=op.key, s=op.session, **op.more)
        d.update(more)
        self.write(json.dumps(d, separators=(",", ":")) + "\n")

    def is_quiet(self):
        at = now() - self.conf["t0"]
        while self.quiet and self.quiet[0][1] < at:
            self.quiet.pop(0)
        return bool(self.quiet) and self.quiet[0][0] <= at

    def arrive(self):
        if now() - self.conf["t0"] >= self.conf["seconds"]:
            self.draining = True
            self.loop.after(0.05, self.drain)
            return
        if not self.is_quiet():
            self.clients[self.rng.randrange(len(self.clients))].act()
        self.next_at += self.rng.expovariate(self.conf["rate"])
        self.loop.at(self.next_at, self.arrive)

    def drain(self):
        """The last answers; whoever has none after the timeout is unknown."""
        if now() - self.conf["t0"] < self.conf["seconds"] + TIMEOUT and any(c.busy() for c in self.clients):
            self.loop.after(0.05, self.drain)
            return
        for c in self.clients:
            c.finish()
        self.out.close()
        print(json.dumps(self.counts), flush=True)
        self.loop.stopped = True

    def flush(self):
        if not self.out.closed:
            self.out.flush()
            self.loop.after(0.5, self.flush)

    def run(self):
        self.next_at = max(now(), self.conf["t0"])
        self.loop.at(self.next_at, self.arrive)
        self.flush()
        self.sweep()
        self.loop.run()

    def sweep(self):
        for c in self.clients:
            c.sweep()
        self.loop.after(1, self.sweep)


class Client:
    def __init__(self, driver, number):
        self.d, self.n = driver, number
        self.rng = random.Random(driver.conf["seed"] * 1000003 + number)
        self.count = self.rids = self.sessions = self.opens = 0
        self.pending, self.waiting, self.posts = {}, [], set()
        self.chat = [self.new_session("q") for _ in range(3)]
        self.rude = self.new_session("i")
        self.solo = [self.new_session("r") for _ in range(2)]
        self.past = []  # (op) of chat.send, for repeats
        accounts = sorted(driver.conf["platforms"])
        self.account = accounts[number % len(accounts)]
        self.past_updates = []
        self.back_off = 0.02
        self.connect()

    # -- connection

    def connect(self):
        if self.d.loop.stopped:
            return
        self.conn = Conn(self.d.loop, self.d.conf["port"], self.d.conf["token"], self.opened, self.heard, self.ended)
        self.conn.asked, self.conn.over = {}, set()  # runs

    def conn_event(self, phase, **more):
        self.d.write(json.dumps(dict({"t": round(now(), 6), "client": self.n, "op": "conn", "phase": phase,
                                      "port": self.conn.local}, **more)) + "\n")

    def opened(self):
        self.opens += 1
        self.back_off = 0.02
        self.conn_event("open")
        waiting, self.waiting = self.waiting, []
        for op in waiting:
            self.send(op)

    def ended(self, why, was_open):
        if was_open:
            self.conn_event("lost", why=why)
        pending, self.pending = self.pending, {}
        for op in pending.values():
            self.unknown(op, "connection: " + why)
        self.d.loop.after(self.back_off * (0.5 + self.rng.random()), self.connect)
        self.back_off = min(self.back_off * 2, 0.25)

    # -- operations

    def new_session(self, kind):
        self.sessions += 1
        return {"key": "agent:main:w%d-%s%d" % (self.n, kind, self.sessions), "n": 0, "busy": False, "acked": []}

    def token(self):
        self.count += 1
        return "w%d.%d" % (self.n, self.count)

    def act(self):
        if len(self.waiting) >= WAITING_MAX:
            self.d.counts["shed"] += 1
            return
        weights = self.d.conf["weights"]
        draw = self.rng.random() * sum(weights.values())
        for name, w in weights.items():
            draw -= w
            if draw < 0:
                OPS[name](self)
                return

    def send(self, op):
        if self.d.loop.stopped:
            return
        if self.conn.state != "open":
            self.waiting.append(op)
            return
        op.tries += 1
        self.rids += 1
        op.rid = "r%d" % self.rids
        op.sent = now()
        self.d.event(self.n, op, "invoke", **({"try": op.tries} if op.tries > 1 else {}))
        self.pending[op.rid] = op
        self.conn.request(op.rid, op.method, op.params)

    def unknown(self, op, why):
        self.d.event(self.n, op, "info", why=why)
        self.again(op)

    def again(self, op):
        """The same key again, until its fate is known."""
        if op.tries < TRIES and not self.d.loop.stopped and (op.key or op.method in SAFE):
            self.d.loop.after(0.03 * min(op.tries, 10) * (0.5 + self.rng.random()), lambda: self.send(op))
        elif op.then:
            op.then(op, None)

    def heard(self, data):
        if data[:12] == b'{"type":"res' or b'"type":"res"' in data[:40]:
            self.answered(data)
            return
        at = data.rfind(b'"seq":')
        if at >= 0:
            try:
                seq = int(data[at + 6:-1])
            except ValueError:
                return
            if seq != self.conn.seq + 1:
                self.conn_event("seq", want=self.conn.seq + 1, got=seq)
            self.conn.seq = seq
        if b'"event":"chat"' in data and TERMINAL.search(data):
            self.run_ended(data)

    def run_ended(self, data):
        """A connection hears the end of what it asked for, once."""
        m = RUN.search(data)
        run = m and m.group(1).decode()
        if run in self.conn.asked:
            del self.conn.asked[run]
            self.conn.over.add(run)
        elif run in self.conn.over:
            self.conn_event("end-twice", run=run)

    def answered(self, data):
        try:
            doc = json.loads(data)
        except ValueError:
            self.conn_event("bad", text=data[:200].decode("latin-1"))
            return
        op = self.pending.pop(doc.get("id"), None)
        if not op:
            if doc.get("id") != "hello":
                self.conn_event("twice", id=doc.get("id"))
            return
        if doc.get("ok"):
            p = doc.get("payload") or {}
            reply = {k: p[k] for k in ("runId", "status", "messageId", "aborted", "deleted") if k in p}
            if op.name == "chat.history":
                reply["seen"] = sorted({t.decode() for t in TOKEN.findall(data)})
            elif op.name == "sessions.describe":
                reply["label"] = ((p.get("session") or {}).get("label"))
            self.d.event(self.n, op, "ok", reply=reply)
            if reply.get("status") == "started" and reply["runId"] not in self.conn.over:
                self.conn.asked[reply["runId"]] = now()
            if op.then:
                op.then(op, reply)
            return
        err = doc.get("error") or {}
        code = (err.get("details") or {}).get("code") if isinstance(err.get("details"), dict) else None
        run = (doc.get("payload") or {}).get("runId")
        if run:  # what became of a run that is over
            self.d.event(self.n, op, "ok", reply={"runId": run, "status": (doc["payload"]).get("status")})
            if op.then:
                op.then(op, {"runId": run})
        elif code == "OUTBOUND_DELIVERY_QUEUED":
            self.d.event(self.n, op, "queued", why=err.get("message"))
        elif code == "OUTCOME_UNKNOWN" or "not known whether" in err.get("message", ""):
            self.d.event(self.n, op, "info", why=err.get("message"))
            if op.name != "send":
                self.again(op)
        else:
            self.d.event(self.n, op, "fail", code=err.get("code"), why=err.get("message"))
            if err.get("retryable") and op.name != "send":
                self.again(op)
            elif op.then:
                op.then(op, None)

    def sweep(self):
        limit = now() - TIMEOUT
        for rid in [r for r, op in self.pending.items() if op.sent < limit]:
            self.d.event(self.n, self.pending.pop(rid), "info", why="no answer in %d s" % TIMEOUT, wedge=True)

    def busy(self):
        return bool(self.pending or self.waiting or self.posts)

    def finish(self):
        for op in list(self.pending.values()) + list(self.posts):
            self.d.event(self.n, op, "info", why="the run ended")
        for run, asked in self.conn.asked.items():
            if self.conn.state == "open" and now() - asked > SOON:
                self.conn_event("end-unheard", run=run, asked=round(asked, 6))
        self.pending = {}


    # -- over HTTP

    def post(self, op, path, fields, doc):
        """2xx is the acknowledgement; whoever hears less says it again under the same key, as hooks and platforms do."""
        if self.d.loop.stopped:
            return
        op.tries += 1
        self.d.event(self.n, op, "invoke", **({"try": op.tries} if op.tries > 1 else {}))
        self.posts.add(op)

        def done(status, got):
            if op not in self.posts or self.d.out.closed:
                return
            self.posts.discard(op)
            if status and 200 <= status < 300:
                self.d.event(self.n, op, "ok", reply={k: got[k] for k in ("runId",) if k in (got or {})})
            elif status and 400 <= status < 500 and status not in (408, 429):
                self.d.event(self.n, op, "fail", why="status %d" % status)
            else:
                self.d.event(self.n, op, "info", why="status %s" % status)
                if op.tries < TRIES and not self.d.draining:
                    self.d.loop.after(0.03 * min(op.tries, 10) * (0.5 + self.rng.random()), lambda: self.post(op, path, fields, doc))
        Post(self.d.loop, self.d.conf["port"], path, fields, doc, done)


# -- the operations: one function each; the table below gives them their names and default weights

def chat_send(c):
    i = c.rng.randrange(len(c.chat))
    if c.chat[i]["n"] >= TURNS:
        c.chat[i] = c.new_session("q")
    s, token = c.chat[i], c.token()
    s["n"] += 1
    params = {"sessionKey": s["key"], "message": token + " please", "idempotencyKey": "k-" + token}
    draw = c.rng.random()
    if draw < 0.15:
        params["queueMode"] = "followup" if draw < 0.1 else "collect"
    op = Op(token, "chat.send", "chat.send", params, params["idempotencyKey"], s["key"])
    c.past = c.past[-20:] + [op]
    c.send(op)


def interrupt(c):
    """In a session of its own, because what it interrupts may stay without an answer."""
    if c.rude["n"] >= TURNS:
        c.rude = c.new_session("i")
    s, token = c.rude, c.token()
    s["n"] += 1
    params = {"sessionKey": s["key"], "message": token + " please", "idempotencyKey": "k-" + token}
    if c.rng.random() < 0.4:
        params["queueMode"] = "interrupt"
    c.send(Op(token, "chat.send", "chat.send", params, params["idempotencyKey"], s["key"]))


def chat_repeat(c):
    """The same key again, here or from another client's connection, maybe while the first is under way."""
    if not c.past:
        return chat_send(c)
    old = c.past[-1] if c.rng.random() < 0.5 else c.rng.choice(c.past)
    other = c if c.rng.random() < 0.5 else c.rng.choice(c.d.clients)
    other.send(Op(old.token, "chat.send", "chat.send", old.params, old.key, old.session, repeat=True))


def chat_abort(c):
    if c.past:
        old = c.past[-1]
        c.send(Op(old.token, "chat.abort", "chat.abort", {"sessionKey": old.session, "runId": old.key}, session=old.session))


def send(c):
    token = c.token()
    draw = c.rng.random()
    tag = next((t for p, t in PLATFORM if draw < p), "")
    to = "t%d-%d" % (c.n, c.rng.randrange(3))
    params = {"to": to, "message": ("%s out %s" % (token, tag)).strip(), "channel": "fake", "accountId": c.account,
              "idempotencyKey": "s-" + token}
    c.send(Op(token, "send", "send", params, params["idempotencyKey"], None, to=to, account=c.account, tag=tag))


def inbound(c):
    """A person writes on the platform; a tenth of it comes twice."""
    if c.past_updates and c.rng.random() < 0.1:
        token, line = c.rng.choice(c.past_updates)
    else:
        token = c.token()
        peer = "p%d-%d-%d" % (c.n, c.rng.randrange(3), c.count // 300)
        line = (json.dumps({"id": "u-" + token, "text": token + " hello",
                            "peer": {"kind": "direct", "id": peer, "senderId": peer}}) + "\n").encode()
        c.past_updates = c.past_updates[-10:] + [(token, line)]
    peer = json.loads(line)["peer"]["id"]
    c.d.event(c.n, Op(token, "inbound", None, None, "u-" + token, "agent:main:fake:direct:" + peer, to=peer,
                      account=c.account), "invoke")
    c.d.updates[c.account].write(line)


def webhook(c):
    """The same, brought to the gateway's port by the platform; a tenth of it comes twice at once."""
    token = c.token()
    peer = "h%d-%d-%d" % (c.n, c.rng.randrange(3), c.count // 300)
    doc = {"id": "u-" + token, "text": token + " hello", "peer": {"kind": "direct", "id": peer, "senderId": peer}}
    for _ in range(2 if c.rng.random() < 0.1 else 1):
        op = Op(token, "webhook", None, None, "u-" + token, "agent:main:fake:direct:" + peer, to=peer, account=c.account)
        c.post(op, "/webhooks/fake/" + c.account, {}, doc)


def hook(c):
    """Another program starts a turn; a tenth of them asks twice under one key."""
    token = c.token()
    session = "agent:main:w%d-h%d" % (c.n, c.count // 40)
    fields = {"Authorization": "Bearer " + HOOK_TOKEN, "Idempotency-Key": "h-" + token}
    for _ in range(2 if c.rng.random() < 0.1 else 1):
        op = Op(token, "hook", None, None, "h-" + token, session)
        c.post(op, "/hooks/agent", fields, {"message": token + " hooked", "name": "Chaos", "sessionKey": session, "sessionMode": "persistent"})


def solo(c, make):
    """An operation on a session that nobody else touches meanwhile; one whose outcome stays open retires its session."""
    i = c.rng.randrange(len(c.solo))
    s = c.solo[i]
    if s["busy"]:
        return
    if s["n"] >= 30:
        s = c.solo[i] = c.new_session("r")

    def then(op, reply):
        if reply is None and op.name != "sessions.describe":
            c.solo[i] = c.new_session("r")
        s["busy"] = False
    s["busy"] = True
    s["n"] += 1
    op = make(c, s["key"])
    op.then = then
    c.send(op)


def make_change(c, key):
    token, draw = c.token(), c.rng.random()
    if draw < 0.35:
        return Op(token, "sessions.patch", "sessions.patch", {"key": key, "label": token}, session=key)
    if draw < 0.5:
        return Op(token, "sessions.describe", "sessions.describe", {"key": key}, session=key)
    if draw < 0.6:
        return Op(token, "sessions.reset", "sessions.reset", {"key": key}, session=key)
    if draw < 0.67:
        return Op(token, "sessions.delete", "sessions.delete", {"key": key}, session=key)
    return Op(token, "chat.send", "chat.send", {"sessionKey": key, "message": token + " solo", "idempotencyKey": "k-" + token},
              "k-" + token, key)


def change(c):
    solo(c, make_change)


def read(c):
    draw, token = c.rng.random(), c.token()
    if draw < 0.6:
        key = c.rng.choice(c.chat)["key"]
        c.send(Op(token, "chat.history", "chat.history", {"sessionKey": key, "limit": 1000}, session=key))
    elif draw < 0.8:
        c.send(Op(token, "sessions.list", "sessions.list", {"limit": 20}))
    else:
        c.send(Op(token, "health", "health", {}))


def drop(c):
    if c.conn.state == "open":
        c.conn_event("drop")
        c.conn.end("by ourselves", rst=c.rng.random() < 0.33)


OPS = {"chat.send": chat_send, "interrupt": interrupt, "repeat": chat_repeat, "inbound": inbound, "webhook": webhook, "hook": hook, "send": send, "change": change,
       "chat.abort": chat_abort, "read": read, "drop": drop}
WEIGHTS = {"chat.send": 38, "interrupt": 4, "repeat": 8, "inbound": 14, "webhook": 4, "hook": 4, "send": 12, "change": 8, "chat.abort": 3, "read": 5, "drop": 2}
SAFE = ("chat.history", "sessions.list", "health", "sessions.describe", "sessions.patch")

if __name__ == "__main__":
    Driver(sys.argv[1]).run()
