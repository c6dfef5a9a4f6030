"""A fixed piece of work, one operation after the other, written down like the driver's: for crash points."""
import json
import os
import time

import ws
from client import Client
from nemesis import ERRORS
from tree import TOKEN

TRIES = 200
now = time.monotonic


class Script:
    def __init__(self, folder, port, platforms):
        self.port, self.platforms = port, platforms
        self.out = open(os.path.join(folder, "history.jsonl"), "w", buffering=1)
        self.client, self.n = None, 0
        ws.WAIT = 8

    def log(self, op, token, phase, **more):
        self.out.write(json.dumps(dict({"t": round(now(), 6), "client": 1, "op": op, "token": token, "phase": phase}, **more)) + "\n")

    def token(self):
        self.n += 1
        return "w1.%d" % self.n

    def ask(self, op, token, method, params, **more):
        """Until its fate is known."""
        for i in range(TRIES):
            self.log(op, token, "invoke", **dict({"key": params.get("idempotencyKey"), "s": None}, **more))
            try:
                if not self.client or not self.client.open:
                    self.client = Client(self.port, TOKEN)
                got = self.client.ask(method, params, timeout=8)
                self.log(op, token, "ok", reply={k: got[k] for k in ("runId", "status", "messageId") if k in got})
                return got
            except ERRORS as e:
                run = (getattr(e, "payload", None) or {}).get("runId")
                if run:
                    self.log(op, token, "ok", reply={"runId": run})
                    return None
                self.log(op, token, "info", why=str(e)[:200])
                if "not known" in str(e):  # and never will be
                    return None
                time.sleep(0.005 * min(i + 1, 10))
        raise RuntimeError("%s %s: no answer" % (op, token))

    def chat(self, session, said=" please", again=False):
        token = self.token()
        for _ in range(1 + again):
            self.ask("chat.send", token, "chat.send", {"sessionKey": session, "message": token + said, "idempotencyKey": "k-" + token},
                     s=session)
        return "k-" + token

    def send(self, account):
        token = self.token()
        self.ask("send", token, "send", {"to": "t1", "message": token + " out", "channel": "fake", "accountId": account,
                                         "idempotencyKey": "s-" + token}, to="t1", account=account, tag="")

    def inbound(self, account):
        token = self.token()
        self.log("inbound", token, "invoke", key="u-" + token, s="agent:main:fake:direct:p1", to="p1", account=account)
        with open(os.path.join(self.platforms[account], "updates"), "a") as f:
            f.write(json.dumps({"id": "u-" + token, "text": token + " hello",
                                "peer": {"kind": "direct", "id": "p1", "senderId": "p1"}}) + "\n")

    def change(self, op, session, **params):
        token = self.token()
        if op == "sessions.patch":
            params["label"] = token
        self.ask(op, token, op, dict(params, key=session), s=session)

    def run(self):
        q, r = "agent:main:w1-q1", "agent:main:w1-r1"
        for i in range(3):
            self.inbound("ids0")
            run = self.chat(q, again=i == 1)
            self.send("ids0")
            self.send("no0")
            self.chat(r, " solo")
            self.change("sessions.patch", r)
            if i == 1:
                self.ask("sessions.describe", self.token(), "agent.wait", {"runId": run, "timeoutMs": 8000})
            if i == 1:
                self.change("sessions.reset", r)
        self.client.close()
        self.out.close()
