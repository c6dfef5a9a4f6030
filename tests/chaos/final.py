"""Reads the final state through the public interface: sessions, their messages, deliveries, what is under way."""
import json
import re

from loop import Loop, now
from wire import Conn

UNDER_WAY = 64  # requests at once


class Asker:
    """ask(method, params) -> payload, on a connection of its own; many(list) keeps several under way."""

    def __init__(self, port, token):
        self.loop, self.opened = Loop(), False
        self.rids, self.pending, self.why = 0, {}, None
        self.conn = Conn(self.loop, port, token, self.on_open, self.on_text, self.on_end)
        self.spin(lambda: self.opened or self.why)
        if self.why:
            raise OSError(self.why)

    def on_open(self):
        self.opened = True

    def on_end(self, why, _opened):
        self.why = why

    def on_text(self, data):
        if b'"type":"res"' in data[:60]:
            doc = json.loads(data)
            fn = self.pending.pop(doc["id"], None)
            if fn:
                fn(doc)

    def spin(self, done, seconds=60):
        end = now() + seconds
        self.loop.stopped = False

        def tick():
            if done() or self.why or now() > end:
                self.loop.stopped = True
            else:
                self.loop.after(0.002, tick)
        tick()
        self.loop.run()

    def post(self, method, params, fn):
        self.rids += 1
        self.pending[str(self.rids)] = fn
        self.conn.request(str(self.rids), method, params)

    def many(self, asks):
        out, todo = [None] * len(asks), list(range(len(asks)))[::-1]

        def more():
            while todo and len(self.pending) < UNDER_WAY:
                i = todo.pop()
                self.post(*asks[i], fn=lambda doc, i=i: (out.__setitem__(i, doc), more()))
        more()
        self.spin(lambda: not todo and not self.pending, 300)
        if any(x is None for x in out):
            raise OSError("no answer to %r: %s" % (next(a for a, x in zip(asks, out) if x is None), self.why))
        return out

    def ask(self, method, params):
        doc = self.many([(method, params)])[0]
        if not doc["ok"]:
            raise OSError("%s: %s" % (method, doc["error"]))
        return doc["payload"]

    def close(self):
        self.conn.end("done")


def text_of(message):
    content = message.get("content")
    if isinstance(content, str):
        return content
    return "".join(p.get("text", "") for p in content or [] if isinstance(p, dict))


def under_way(a):
    """Everything that must be zero when nobody asks any more."""
    lanes = a.ask("diagnostics.lanes", {})["lanes"]
    open_ = a.ask("deliveries.list", {"limit": 1})
    return {"queued": sum(x["queuedCount"] for x in lanes), "active": sum(x["activeCount"] for x in lanes), "open": open_["open"]}


def deliveries(a):
    out = []
    for state in ("queued", "sending", "unknown", "dead"):
        after = 0
        while True:
            rows = a.ask("deliveries.list", {"state": state, "after": after, "limit": 1000})["deliveries"]
            out += rows
            if len(rows) < 1000:
                break
            after = max(r["id"] for r in rows)
    return out


def held(a):
    """Deliveries that wait or were set aside, with their texts."""
    rows = deliveries(a)
    got = a.many([("deliveries.get", {"id": d["id"]}) for d in rows])
    return [dict({k: d.get(k) for k in ("id", "state", "attempts", "error", "accountId", "to", "key", "partsSent")},
                 texts=(doc.get("payload") or {}).get("texts")) for d, doc in zip(rows, got)]


def entry(m):
    o = m.get("__openclaw") or {}
    return {"role": m.get("role"), "text": text_of(m), "stop": m.get("stopReason"), "run": o.get("runId"),
            "key": re.sub(":user$", "", o.get("idempotencyKey") or m.get("idempotencyKey") or ""), "seq": o.get("seq"), "id": o.get("id")}


def read(port, token):
    a = Asker(port, token)
    rows, offset = [], 0
    while True:
        page = a.ask("sessions.list", {"limit": 500, "offset": offset, "sortBy": "updatedAt"})
        rows += page["sessions"]
        if len(page["sessions"]) < 500:
            break
        offset += 500
    sessions = {}
    got = a.many([("chat.history", {"sessionKey": r["key"], "limit": 1000}) for r in rows])
    for r, doc in zip(rows, got):
        if not doc["ok"]:
            sessions[r["key"]] = {"error": doc["error"]}
            continue
        p = doc["payload"]
        sessions[r["key"]] = {"label": r.get("label"), "sessionId": r.get("sessionId"), "active": r.get("hasActiveRun"),
                              "messages": [entry(m) for m in p["messages"]], "total": p.get("totalMessages"),
                              "pending": (p.get("pendingInputs") or {}).get("total", 0)}
    out = {"sessions": sessions, "under_way": under_way(a), "listed": len(rows),
           "deliveries": held(a)}
    a.close()
    return out
