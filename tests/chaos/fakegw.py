"""The records of a gateway that never was: what a run would have written had everything been right, and one thing wrong.

Switches (BREAKS) break one promise each, so that the judge can be asked whether it sees exactly that.
"""
import json
import os
import random

BREAKS = {  # switch: the invariant that must fail, alone
    "lose": "I1", "lose-update": "I1", "lose-delivery": "I1", "lose-label": "I1", "ack-early": "I1", "lose-hook": "I1", "lose-webhook": "I1",
    "dup": "I2", "dup-known": "I2", "doubt": "I2", "hook-twice": "I3", "webhook-in-part": "I5",
    "forget-key": "I3", "two-answers-to-a-key": "I3", "invent": "I4", "refused-done": "I4", "undone-reset": "I4", "partial": "I5",
    "half-a-text": "I5", "late": "I6", "reorder": "I7", "reorder-target": "I7", "reorder-platform": "I7", "gap": "I8", "stale": "I8",
    "run-twice": "I9", "dropped": "I9", "lost-conn": "I10", "slow": "I11", "never-back": "I11", "stuck": "I12", "leak": "I12", "odds": "I12",
    "hurry": "I13", "orphan": "I13", "drift": "I14", "differ": "I15", "torn": "I15", "dead-health": "I16",
}
T0 = 1000.0


class Fake:
    """One client's worth of every operation, n times, in one thread of time."""

    def __init__(self, folder, broken=None, seed=1, power=True):
        self.folder, self.broken, self.power = folder, broken, power
        self.rng = random.Random(seed)
        self.t, self.n = T0, 0
        self.history, self.sessions = [], {}
        self.labels = {}
        self.sent, self.updates, self.acks, self.model = {"ids0": [], "no0": []}, [], [], []
        self.held = []

    def is_(self, switch):
        return self.broken == switch

    def tick(self, ms=5):
        self.t += ms / 1000
        return round(self.t, 6)

    def event(self, op, token, phase, **more):
        self.history.append(dict({"t": self.tick(), "client": 1, "op": op, "token": token, "phase": phase}, **more))

    def token(self):
        self.n += 1
        return "w1.%d" % self.n

    def say(self, session, role, text, **more):
        self.sessions.setdefault(session, []).append(dict({"role": role, "text": text, "stop": None, "run": None, "key": ""}, **more))

    def turn(self, session, token, said, key):
        self.say(session, "user", token + said, key=key)
        self.say(session, "assistant", "echo:%s; over" % token, stop="stop", run=key)
        self.model.append({"t": self.tick(), "tokens": [token], "end": "ok"})

    # -- what clients do

    def chat(self, session, said=" please", repeat=False, phases=("ok",)):
        token = self.token()
        key = "k-" + token
        for i, phase in enumerate(phases + (("ok",) if repeat else ())):
            self.event("chat.send", token, "invoke", key=key, s=session)
            run = key if not (self.is_("two-answers-to-a-key") and i) else "other"
            self.event("chat.send", token, phase, **({"reply": {"runId": run, "status": "started"}} if phase == "ok" else {}))
        if phases != ("fail",) or self.is_("refused-done"):
            self.turn(session, token, said, key)
        return token

    def send(self, account, to):
        token = self.token()
        self.event("send", token, "invoke", key="s-" + token, to=to, account=account, tag="", s=None)
        self.deliver(account, to, token + " out")
        self.event("send", token, "ok", reply={"messageId": "m" + token})
        return token

    def deliver(self, account, to, text, at=None, client=None):
        self.sent[account].append({"at": at or self.tick(), "client": client or "c%d-0" % len(self.sent[account]), "part": 0, "to": to, "text": text})

    def inbound(self, times=1):
        token = self.token()
        peer = {"kind": "direct", "id": "p1", "senderId": "p1"}
        session = "agent:main:fake:direct:p1"
        for _ in range(times):
            self.event("inbound", token, "invoke", key="u-" + token, s=session, to="p1", account="ids0")
            self.updates.append({"id": "u-" + token, "text": token + " hello", "peer": peer})
        self.acks.append("u-" + token)
        self.turn(session, token, " hello", "in-" + token)
        self.deliver("ids0", "p1", "echo:%s; over" % token)
        return token

    def post(self, op, session, key, said, stored, **more):
        """Over HTTP: its answer was lost, and it was asked again."""
        token = self.token()
        for phase in ("info", "ok"):
            self.event(op, token, "invoke", key=key % token, s=session, **more)
            self.event(op, token, phase, **({"reply": {"runId": "r" + token}} if phase == "ok" and op == "hook" else {"reply": {}}))
        self.turn(session, token, said, "x-" + token)
        self.sessions[session][-2]["text"] = stored % (token + said)
        return token

    def hook(self):
        return self.post("hook", "agent:main:w1-h0", "h-%s", " hooked", "[Chaos] <<<outside>>> %s <<<end>>>")

    def webhook(self):
        token = self.post("webhook", "agent:main:fake:direct:h1", "u-%s", " hello", "%s", to="h1", account="ids0")
        self.deliver("ids0", "h1", "echo:%s; over" % token)
        return token

    def change(self, op, session, phase="ok"):
        token = self.token()
        self.event(op, token, "invoke", s=session, key=None)
        self.event(op, token, phase, **({"reply": {}} if phase == "ok" else {"why": "connection"}))
        if phase == "ok":
            if op == "sessions.patch":
                self.labels[session] = token
                self.sessions.setdefault(session, [])
            elif not self.is_("undone-reset"):
                self.sessions[session] = []
        return token

    def read(self, session):
        token = self.token()
        self.event("chat.history", token, "invoke", s=session, key=None)
        seen = [m["text"].split(" ")[0] for m in self.sessions[session] if m["role"] == "user"]
        self.event("chat.history", token, "ok", reply={"seen": seen[:-1] if self.is_("stale") else seen})

    def conn(self, phase, **more):
        self.history.append(dict({"t": self.tick(), "client": 1, "op": "conn", "phase": phase, "port": 4000}, **more))

    # -- the whole of it

    def live(self):
        q, r, r2 = "agent:main:w1-q1", "agent:main:w1-r1", "agent:main:w1-r2"
        self.conn("open")
        for i in range(8):
            self.chat(q, repeat=i % 3 == 0, phases=("info", "ok") if i == 4 else ("ok",))
            self.inbound(times=2 if i % 4 == 0 else 1)
            self.send("ids0" if i % 2 else "no0", "t1")
            self.chat(r, " solo")
            if i % 2:
                self.hook()
                self.webhook()
            if i in (2, 5):
                self.change("sessions.patch", r)
            if i == 4:
                self.change("sessions.reset", r)
            if i == 3:
                self.chat("agent:main:w1-q9", phases=("fail",))
            self.read(q)
        for _ in range(3):
            self.chat(r2, " solo")
        self.change("sessions.reset", r2, phase="info")  # its fate is unknown: it happened, or not

    def breaks(self):
        """What is wrong in the end."""
        q = self.sessions["agent:main:w1-q1"]
        if self.is_("lose"):
            del q[6:8]
        elif self.is_("ack-early") and self.power:
            del q[-2:]
        elif self.is_("lose-update"):
            s = self.sessions["agent:main:fake:direct:p1"]
            self.sent["ids0"] = [x for x in self.sent["ids0"] if s[4]["text"].split(" ")[0] + ";" not in x["text"]]
            del s[4:6]
        elif self.is_("lose-delivery"):
            del self.sent["no0"][1]
        elif self.is_("lose-label"):
            self.labels.clear()
        elif self.is_("lose-hook"):
            del self.sessions["agent:main:w1-h0"][2:4]
        elif self.is_("hook-twice"):
            rows = self.sessions["agent:main:w1-h0"]
            rows.insert(2, dict(rows[2]))
        elif self.is_("lose-webhook"):
            s = self.sessions["agent:main:fake:direct:h1"]
            self.sent["ids0"] = [x for x in self.sent["ids0"] if s[2]["text"].split(" ")[0] + ";" not in x["text"]]
            del s[2:4]
        elif self.is_("webhook-in-part"):
            self.sessions["agent:main:fake:direct:h1"][0]["text"] = self.sessions["agent:main:fake:direct:h1"][0]["text"][:-2]
        elif self.is_("doubt"):  # nobody killed its channel behind it
            token = self.token()
            self.event("send", token, "invoke", key="s-" + token, to="t2", account="no0", tag="", s=None)
            self.event("send", token, "info", why="not known")
            self.held = [{"id": 7, "state": "unknown", "attempts": 1, "error": "nobody knows", "accountId": "no0", "to": "t2", "key": "s-" + token,
                          "partsSent": 0, "texts": [token + " out"]}]
        elif self.is_("dup"):
            self.sent["no0"].append(dict(self.sent["no0"][-1], client="again-0"))
        elif self.is_("dup-known"):
            self.sent["ids0"].append(dict(self.sent["ids0"][-1]))
        elif self.is_("forget-key"):
            q.insert(1, dict(q[0]))
        elif self.is_("invent"):
            q[2:2] = [dict(q[2], text="w1.9999 please"), dict(q[3], text="over", stop="error")]
        elif self.is_("partial"):
            del self.sessions["agent:main:w1-r2"][2:4]
        elif self.is_("half-a-text"):
            q[4]["text"] = q[4]["text"][:-3]
        elif self.is_("late"):
            self.sent["no0"][-1]["at"] += 100
        elif self.is_("reorder"):
            q[2:4], q[6:8] = q[6:8], q[2:4]
        elif self.is_("reorder-target"):
            rows = self.sent["no0"]
            rows[0], rows[2] = rows[2], rows[0]
        elif self.is_("reorder-platform"):
            s = self.sessions["agent:main:fake:direct:p1"]
            s[2:4], s[6:8] = s[6:8], s[2:4]
        elif self.is_("gap"):
            self.conn("seq", want=7, got=9)
        elif self.is_("run-twice"):
            q.insert(4, dict(q[3]))
        elif self.is_("dropped"):
            q[-1]["text"], q[-1]["run"] = "over", None
        elif self.is_("lost-conn"):
            self.history = [{"t": T0 - 50, "client": 2, "op": "conn", "phase": "open", "port": 4001},
                            {"t": T0 - 49, "client": 2, "op": "conn", "phase": "lost", "port": 4001, "why": "closed"}] + self.history

    def state(self, changed=False):
        out = {}
        for key, rows in self.sessions.items():
            if not rows and key not in self.labels and "-r" not in key:
                continue
            out[key] = {"label": self.labels.get(key), "active": False, "pending": 0, "total": len(rows),
                        "messages": [dict(m, seq=i + 1) for i, m in enumerate(rows)]}
        if changed:
            out["agent:main:w1-q1"]["messages"][0] = dict(out["agent:main:w1-q1"]["messages"][0], text="w1.1 pleas")
        return {"sessions": out, "deliveries": self.held}

    def faults(self):
        at = self.t - 3
        whole = "power" if self.power else "kill"
        rows = [{"t": at, "fault": whole, "pids": [1, 2]} if self.power else {"t": at, "fault": "kill", "who": "hub 0", "pid": 2, "sig": "KILL"},
                {"t": at + 0.1, "who": "power" if self.power else "hub 0", "back_ms": 90.0}]
        if self.power:
            rows.insert(1, {"t": at + 0.01, "store": 3 if self.is_("torn") else 0, "why": "power", "said": "page 7"})
        for i in range(12):
            ms = None if self.is_("never-back") and i == 3 else 900.0 if self.is_("slow") else 12.0
            rows += [{"t": at + 0.2 + i / 100, "fault": "kill", "who": "agent 0", "pid": 3, "sig": "KILL"},
                     {"t": at + 0.21 + i / 100, "who": "agent 0", "back_ms": ms}]
        born = [at + x for x in (0, .1, .2, .3, .4, .5, .6 if self.is_("hurry") else 1.6, .7 if self.is_("hurry") else 3.7, 8)]
        rows += [{"t": at + 1, "fault": "loop", "who": "agent 1"}, {"t": at + 2, "loop": "agent 1", "born": born},
                 {"t": at + 2.1, "who": "agent 1", "loop_back_ms": 900, "alive": True},
                 {"t": at + 2.2, "orphans_s": 7.0 if self.is_("orphan") else 0.02, "left": []}]
        return rows

    def samples(self):
        what = {"Uid": "1", "Gid": "1", "Groups": "", "CapInh": "0", "CapPrm": "0", "CapEff": "0", "CapBnd": "0", "CapAmb": "0",
                "NoNewPrivs": "1", "Seccomp": "2", "Seccomp_filters": "1", "limits": []}
        rows = [{"t": T0 + i, "privileges": dict(what, Seccomp="0") if self.is_("drift") and i == 2 else what, "class": "hub", "pid": i} for i in range(4)]
        dead = self.is_("dead-health")
        for i in range(40):
            for path in ("/healthz", "/readyz"):
                rows.append({"t": T0 + i / 100, "path": path, "ms": 1.0, "code": 503 if dead and i == 20 else 200})
        return rows

    def write(self):
        def lines(name, rows):
            with open(os.path.join(self.folder, name), "w") as f:
                f.writelines(json.dumps(r) + "\n" for r in rows)

        def doc(name, what):
            with open(os.path.join(self.folder, name), "w") as f:
                json.dump(what, f)
        self.live()
        self.breaks()
        platforms = {}
        for a in self.sent:
            platforms[a] = os.path.join(self.folder, "platform-" + a)
            os.makedirs(platforms[a])
            lines("platform-%s/sent.log" % a, self.sent[a])
        lines("platform-ids0/updates", self.updates)
        with open(os.path.join(platforms["ids0"], "acks.log"), "w") as f:
            f.writelines(a + "\n" for a in self.acks)
        doc("run.json", {"seed": 1, "seconds": 3, "t0": T0, "ttl_s": 60, "platforms": platforms, "options": {"slack": 1}})
        lines("history.jsonl", self.history)
        lines("model.jsonl", self.model)
        lines("faults.jsonl", self.faults())
        lines("samples.jsonl", self.samples())
        doc("final-live.json", self.state())
        doc("final-again.json", self.state(changed=self.is_("differ")))
        before = {"supervisor": [1700, 26], "hub 0": [2000, 25]}
        after = dict(before, **({"hub 0": [2000, 60]} if self.is_("leak") else {}))
        with open(os.path.join(self.folder, "gateway.log"), "w") as f:
            f.write('{"event":"link.broken"}\n' if self.is_("odds") else '{"event":"gateway.ready"}\n')
        left = {"queued": 0, "active": 2 if self.is_("stuck") else 0, "open": 0}
        doc("end.json", {"drained_s": 0.5, "left": left, "drained_again_s": 0.5, "left_again": {}, "stop_code": 0, "before": before,
                         "after": after, "load_after": 0})
