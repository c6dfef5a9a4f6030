"""Outgoing and incoming messages of a channel: nothing lost, nothing twice, in order, whoever dies.

The platform is a folder (tests/fake/channel.c): sent.log is what it accepted.
"""
import json
import os
import random
import signal
import threading
import time
import uuid
import zlib

from client import Refused, text_of
from gateway import config_for, stat_of, until
from ws import Closed, Timeout

FAST = {"retry": {"firstDelayMs": 20, "secondDelayMs": 40, "thirdDelayMs": 80, "laterDelayMs": 160},
        "answerTimeoutMs": 3000}


class Platform:
    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder)
        os.chmod(folder, 0o777)  # started by root, channels run under a uid of their own
        for above in (os.path.dirname(folder), os.path.dirname(os.path.dirname(folder))):
            os.chmod(above, os.stat(above).st_mode | 0o001)  # never less than it had: it may be /tmp

    def path(self, name):
        return os.path.join(self.folder, name)

    def lines(self, name):
        try:
            with open(self.path(name)) as f:
                return f.read().splitlines()
        except FileNotFoundError:
            return []

    def sent(self):
        return [json.loads(l) for l in self.lines("sent.log")]

    def texts(self):
        return [m["text"] for m in self.sent()]

    def write(self, update, text, to="42", files=(), **peer):
        """files: (bytes, type, name) each."""
        doc = {"id": update, "text": text, "peer": dict({"kind": "direct", "id": to, "senderId": to}, **peer)}
        for i, (data, kind, name) in enumerate(files):
            path = "file-%s-%d" % (update, i)
            with open(self.path(path), "wb") as f:
                f.write(data)
            doc.setdefault("files", []).append({"path": path, "type": kind, "name": name})
        with open(self.path("updates"), "a") as f:
            f.write(json.dumps(doc) + "\n")

    def down(self, yes):
        if yes:
            open(self.path("down"), "w").close()
        elif os.path.exists(self.path("down")):
            os.unlink(self.path("down"))


def setup(t, accounts=None, start=True, **delivery):
    """A gateway with accounts of the fake channel: (gateway, {name: Platform})."""
    accounts = accounts or {"default": {"clientIds": True}}
    config = config_for(t.fake.url)
    platforms = {}
    section = {}
    for name, conf in accounts.items():
        platforms[name] = Platform(os.path.join(t.folder, "platform-" + name))
        section[name] = dict({"folder": platforms[name].folder}, **conf)
    config["channels"] = {"fake": {"accounts": section}}
    config["delivery"] = dict(FAST, **delivery)
    config["messages"] = {"queue": {"cap": 1000}}  # what the cap drops is told of in test_queue.py
    g = t.new_gateway(config)
    if start:
        g.start()
    return g, platforms


def send(c, text, to="42", key=None, **more):
    return c.ask("send", dict(to=to, message=text, idempotencyKey=key or str(uuid.uuid4()), **more))


def listed(c, **params):
    return c.ask("deliveries.list", dict(limit=1000, **params))["deliveries"]


def pid_of(c, account):
    fleet = c.ask("status").get("fleet") or {"processes": []}  # told a moment after each change
    return next((x["pid"] for x in fleet["processes"] if x.get("account") == account), 0)


def drained(c):
    def empty():
        return c.ask("deliveries.list", {})["open"] == 0
    until(empty, "nothing waits to be sent", timeout=30, step=0.02)


def test_send(t):
    """send answers what the platform said; the same key is the same message."""
    g, p = setup(t)
    c = g.client()
    got = send(c, "hello there, platform", key="k1")
    assert got["channel"] == "fake" and got["runId"] == "k1" and got["messageId"].startswith("fake-"), got
    assert send(c, "hello there, platform", key="k1") == got
    e = c.refused("send", {"to": "42", "message": "other words here", "idempotencyKey": "k1"})
    assert e.code == "INVALID_REQUEST", e
    assert p["default"].texts() == ["hello there, platform"]
    got = c.ask("message.action", {"channel": "fake", "action": "send", "idempotencyKey": "k2",
                                   "params": {"to": "43", "message": "by an action"}})
    assert got["ok"] and got["messageId"] and got["to"] == "43", got
    got = c.ask("poll", {"to": "42", "question": "which?", "options": ["a", "b"], "idempotencyKey": "k1"})
    assert got["messageId"]
    assert json.loads(p["default"].texts()[-1])["options"] == ["a", "b"]


def test_refusals(t):
    g, p = setup(t, {"a": {"clientIds": True}, "b": {}})
    c = g.client()
    e = c.refused("send", {"to": "42", "idempotencyKey": "x"})
    assert (e.code, e.message) == ("INVALID_REQUEST", "invalid send params: text or media is required"), e
    e = c.refused("send", {"to": "42", "message": "hi", "channel": "nowhere", "idempotencyKey": "x"})
    assert (e.code, e.message) == ("INVALID_REQUEST", "unsupported channel: nowhere"), e
    e = c.refused("send", {"to": "42", "message": "hi", "channel": "fake", "accountId": "zz", "idempotencyKey": "x"})
    assert e.code == "INVALID_REQUEST", e
    e = c.refused("message.action", {"channel": "fake", "action": "dance", "params": {}, "idempotencyKey": "x"})
    assert e.code == "INVALID_REQUEST", e
    e = c.refused("send", {"to": "42", "message": "no [permanent]", "idempotencyKey": "y"})
    assert e.code == "UNAVAILABLE" and e.message == "OutboundDeliveryError: fake: chat not found" and not e.details, e
    assert [d["state"] for d in listed(c)] == ["dead"]
    assert p["a"].sent() == []


def test_no_channel(t):
    g = t.gateway()
    e = g.client().refused("send", {"to": "42", "message": "hi there", "idempotencyKey": "x"})
    assert e.code == "INVALID_REQUEST" and e.message == (
        "Error: Channel is required (no configured channels detected). Run openclaw channels add to configure one, or "
        "pass --channel <channel> after enabling a channel. Use openclaw channels list --all to see available channel "
        "ids."), e


def test_retry_and_dead_letter(t):
    g, p = setup(t)
    c = g.client()
    e = c.refused("send", {"to": "1", "message": "third time lucky [transient 2]", "idempotencyKey": "r1"})
    assert e.code == "UNAVAILABLE" and e.details == {"code": "OUTBOUND_DELIVERY_QUEUED"}, (e, e.details)
    until(lambda: len(p["default"].sent()) == 1, "it is sent in the end")
    assert p["default"].sent()[0]["attempt"] == 3
    drained(c)
    assert send(c, "third time lucky [transient 2]", to="1", key="r1")["messageId"]  # the outcome, not a second message
    e = c.refused("send", {"to": "2", "message": "never ever [transient 99]", "idempotencyKey": "r2"})
    drained(c)
    row, = listed(c)
    assert row["state"] == "dead" and row["attempts"] == 5 and row["error"] == "fake: try later", row
    e = c.refused("send", {"to": "2", "message": "never ever [transient 99]", "idempotencyKey": "r2"})
    assert e.code == "UNAVAILABLE" and not e.details, e
    assert c.ask("deliveries.get", {"id": row["id"]})["texts"] == ["never ever [transient 99]"]
    assert c.ask("deliveries.retry", {"id": row["id"]})["state"] in ("queued", "sending")
    drained(c)
    assert [d["state"] for d in listed(c)] == ["dead"]
    assert c.ask("deliveries.drop", {"id": row["id"]})["state"] == "dropped"
    assert listed(c) == [] and [d["id"] for d in listed(c, state="dropped")] == [row["id"]]
    assert c.refused("deliveries.retry", {"id": row["id"]}).code == "INVALID_REQUEST"
    assert len(p["default"].sent()) == 1


def test_retry_after(t):
    g, p = setup(t)
    c = g.client()
    began = time.monotonic()
    c.refused("send", {"to": "1", "message": "slow down [transient 1] [after 700]", "idempotencyKey": "r1"})
    until(lambda: p["default"].sent(), "it is sent in the end")
    assert time.monotonic() - began >= 0.7
    c.refused("send", {"to": "1", "message": "not today [transient 1] [after 90000000]", "idempotencyKey": "r2"})
    row, = listed(c)
    assert row["state"] == "dead", "it would be sent after its time: %r" % row


def test_order_per_target(t):
    """One that is tried again keeps those behind it back, and nobody else."""
    g, p = setup(t, retry={"firstDelayMs": 400, "secondDelayMs": 400, "thirdDelayMs": 400, "laterDelayMs": 400})
    c = g.client()
    ids = [c.start("send", {"to": to, "message": text, "idempotencyKey": text})
           for to, text in (("1", "first [transient 1]"), ("1", "second"), ("2", "other"), ("1", "third"))]
    until(lambda: "other" in p["default"].texts(), "the other target has its message")
    assert p["default"].texts() == ["other"]
    until(lambda: len(p["default"].sent()) == 4, "all are sent")
    assert p["default"].texts()[1:] == ["first [transient 1]", "second", "third"]
    for i in ids[1:]:
        assert c.answer(i)["ok"]


def test_parts(t):
    g, p = setup(t, {"default": {"clientIds": True, "textLimit": 50}})
    c = g.client()
    send(c, "make the limit known")
    words = " ".join("word%03d" % i for i in range(60))
    send(c, words, to="9")
    parts = [m for m in p["default"].sent() if m["to"] == "9"]
    assert len(parts) > 5 and all(len(m["text"]) <= 50 for m in parts)
    assert [m["part"] for m in parts] == list(range(len(parts)))
    assert " ".join(m["text"] for m in parts) == words


def test_ttl(t):
    """What waited too long is not sent, also not after a restart."""
    g, p = setup(t, ttlMs=600)
    c = g.client()
    send(c, "while it is up")
    p["default"].down(True)
    time.sleep(0.1)  # it looks every few milliseconds
    e = c.refused("send", {"to": "42", "message": "too late for this", "idempotencyKey": "t1"})
    assert e.details == {"code": "OUTBOUND_DELIVERY_QUEUED"} or not e.details, e
    until(lambda: [d["state"] for d in listed(c)] == ["dead"], "it expired")
    assert listed(c)[0]["error"] == "expired"
    try:
        c.ws.send({"type": "req", "id": "late", "method": "send",
                   "params": {"to": "42", "message": "too late as well", "idempotencyKey": "t2"}})
        until(lambda: c.ask("deliveries.list", {})["open"] == 1, "it is accepted")
    finally:
        g.kill("all")
    time.sleep(0.7)
    p["default"].down(False)
    g.start()
    c = g.client_soon()
    drained(c)
    time.sleep(0.1)
    assert p["default"].texts() == ["while it is up"]
    assert sorted(d["error"] for d in listed(c)) == ["expired", "expired"]


def test_unknown_is_not_repeated(t):
    """Without client ids: the channel dies after the platform took it; nobody sends it again."""
    g, p = setup(t, {"default": {"clientIds": False}})
    c = g.client()
    for n, text in enumerate(("gone [die-after 9]", "lost [die-before 9]", "quiet [unknown 9] [accept]",
                              "stuck [hang 9] [accept]")):
        e = c.refused("send", {"to": str(n), "message": text, "idempotencyKey": text})
        assert e.code == "UNAVAILABLE" and not e.details and "not known" in e.message, (text, e, e.details)
    assert send(c, "life goes on")["messageId"]
    assert [d["state"] for d in listed(c)] == ["unknown"] * 4, listed(c)
    assert p["default"].texts() == ["gone [die-after 9]", "quiet [unknown 9] [accept]", "stuck [hang 9] [accept]",
                                    "life goes on"]


def test_unknown_is_repeated_with_client_ids(t):
    g, p = setup(t, {"default": {"clientIds": True}})
    c = g.client()
    for n, text in enumerate(("gone [die-after 1]", "lost [die-before 1]", "quiet [unknown 1] [accept]",
                              "stuck [hang 1] [accept]")):
        try:
            send(c, text, to=str(n))
        except Refused as e:
            assert e.details == {"code": "OUTBOUND_DELIVERY_QUEUED"}, e
    drained(c)
    assert sorted(p["default"].texts()) == sorted(["gone [die-after 1]", "lost [die-before 1]",
                                                   "quiet [unknown 1] [accept]", "stuck [hang 1] [accept]"])
    # three were accepted and their answers lost; what was under way when the process died may be repeated once more
    assert len(p["default"].lines("repeated.log")) >= 3
    assert listed(c) == []


def test_hub_death_leaves_sends_alone(t):
    """The hub dies while the channel works on a message: the channel tells the next hub."""
    g, p = setup(t, {"default": {"clientIds": False}})
    c = g.client()
    send(c, "warm up please")
    r = c.start("send", {"to": "7", "message": "keep going [slow 400]", "idempotencyKey": "slow"})
    until(lambda: [d for d in listed(c) if d["state"] == "sending"], "it is being sent")
    old = g.kill("hub")
    g.wait_replaced("hub", old)
    res = c.answer(r)
    assert res["ok"], res
    assert p["default"].texts() == ["warm up please", "keep going [slow 400]"]
    assert listed(c) == []


def test_inbound(t):
    """A message in, an answer out, at the place it came from; offered again it is nothing new."""
    g, p = setup(t, {"a": {"clientIds": True}, "b": {"clientIds": True}})
    p["a"].write("u1", "question one [fake ok chunks=3]", to="alice", threadId="th")
    p["b"].write("u1", "question two [fake ok chunks=2]", to="bob")
    until(lambda: p["a"].sent() and p["b"].sent(), "both are answered")
    a, b = p["a"].sent()[0], p["b"].sent()[0]
    assert (a["to"], a.get("thread"), a["text"]) == ("alice", "th", "word0 word1 word2"), a
    assert (b["to"], b["text"]) == ("bob", "word0 word1"), b
    p["a"].write("u1", "question one [fake ok chunks=3]", to="alice")
    p["a"].write("u2", "question three [fake ok chunks=1]", to="alice")
    until(lambda: len(p["a"].sent()) == 2, "the new one is answered")
    g.kill("all")
    g.start()
    os.unlink(p["a"].path("offset"))  # the platform forgot what was acknowledged
    old = [w for w in g.workers("channel")]
    for pid in old:
        os.kill(pid, signal.SIGKILL)
    until(lambda: len([l for l in p["a"].lines("acks.log") if l == "u2"]) >= 2, "all was offered again")
    c = g.client_soon()
    users = [text_of(m) for m in c.history("main") if m["role"] == "user"]
    assert len(users) == 3, users
    assert len(p["a"].sent()) == 2 and len(p["b"].sent()) == 1


def test_late_answer_of_a_dead_front(t):
    """An answer for a client of the front that died is not told to its successor, whose numbers begin anew."""
    g, p = setup(t)
    a = g.client()
    a.start("send", {"to": "1", "message": "who is it for [slow 700]", "idempotencyKey": "k1"})
    until(lambda: a.ask("deliveries.list", {})["open"] == 1, "it is being sent")
    old = g.kill("front")
    g.wait_replaced("front", old)
    b = g.client_soon()
    r = b.start("send", {"to": "2", "message": "and for whom is this [slow 1500]", "idempotencyKey": "k2"})
    assert b.answer(r)["ok"]
    assert len(p["default"].sent()) == 2
    assert not [l for l in g.lines if l["event"] == "link.broken"], g.raw[-6:]


def test_half_an_answer_says_so(t):
    """The model broke off: what it said until then reaches the person, marked; a time limit is told, too."""
    g, p = setup(t)
    c = g.client()
    p["default"].write("u1", "tell me all [fake cut chunks=3]")
    m, = until(lambda: p["default"].sent(), "the answer is sent")
    assert m["text"].startswith("word0 word1 word2") and len(m["text"]) > len("word0 word1 word2") + 10, m
    end = [x for x in c.history("agent:main:main") if x["role"] == "assistant"][-1]
    assert end["stopReason"] == "error" and end["errorMessage"] in m["text"], (end, m)
    assert text_of(end).strip() == "word0 word1 word2", end


def test_acknowledged_means_kept(t):
    """Whatever was acknowledged to the platform survives the power cut in the same instant."""
    g, p = setup(t)
    a = p["default"]
    for i in range(12):
        a.write("u%d" % i, "inbound number %02d. [fake ok chunks=1]" % i, to="peer")
    for round in range(4):
        want = 3 * round + 1
        until(lambda: len(a.lines("acks.log")) >= want, "some are acknowledged")
        acked = set(a.lines("acks.log"))
        g.kill("all")
        acked = set(a.lines("acks.log")) or acked
        g.start()
        c = g.client_soon()
        users = [text_of(m) for m in c.history("main") if m["role"] == "user"]
        waiting = []
        for u in acked:
            n = int(u[1:])
            hits = sum("inbound number %02d." % n in x for x in users)
            assert hits <= 1, (u, users)
            waiting += [n] if hits == 0 else []
        del waiting  # it may wait for its turn: the end below counts
    until(lambda: len(set(a.lines("acks.log"))) == 12, "all are acknowledged", timeout=30)
    until(lambda: len(a.sent()) >= 12, "all are answered", timeout=60)
    drained(g.client_soon())
    users = [text_of(m) for m in g.client_soon().history("main") if m["role"] == "user"]
    for i in range(12):
        assert sum("inbound number %02d." % i in x for x in users) == 1, (i, users)
    assert len(a.sent()) == 12


def test_stop_waits_for_the_channel(t):
    """Asked to stop while a message is being sent: its outcome is known afterwards."""
    g, p = setup(t, {"default": {}})
    c = g.client()
    send(c, "warm up please")
    c.start("send", {"to": "7", "message": "on the way out [slow 300]", "idempotencyKey": "s"})
    until(lambda: [d for d in listed(c) if d["state"] == "sending"], "it is being sent")
    g.stop()
    assert p["default"].texts() == ["warm up please", "on the way out [slow 300]"]
    g.start()
    c = g.client_soon()
    assert listed(c) == []
    assert send(c, "on the way out [slow 300]", to="7", key="s")["messageId"]
    assert len(p["default"].sent()) == 2


def test_hung_channel(t):
    """A channel that stands still is replaced; what it had is unknown, the rest of its queue goes on."""
    g, p = setup(t, {"default": {}, "other": {}}, start=False, answerTimeoutMs=60000)
    g.config["gateway"]["workers"] = {"heartbeatMs": 100, "hangMs": 500}
    g.write_config(g.config)
    g.start()
    c = g.client()
    send(c, "warm up please")
    r = c.start("send", {"to": "7", "message": "never to be heard of [hang 9]", "idempotencyKey": "h"})
    until(lambda: [d for d in listed(c) if d["state"] == "sending"], "it is being sent")
    until(lambda: pid_of(c, "default"), "the supervisor's report has it")
    os.kill(pid_of(c, "default"), signal.SIGSTOP)
    assert send(c, "unharmed", accountId="other")["messageId"]
    res = c.answer(r)
    assert not res["ok"] and "not known" in res["error"]["message"], res
    assert send(c, "the next one", to="7")["messageId"]
    assert p["default"].texts() == ["warm up please", "the next one"]


def test_accounts_are_apart(t):
    """A changed section restarts its own process; a removed one is stopped, a new one started."""
    g, p = setup(t, {"a": {"clientIds": True}, "b": {"clientIds": True}})
    c = g.client()
    send(c, "both are up", accountId="a")
    send(c, "both are up", accountId="b")
    before = set(g.workers("channel"))
    assert len(before) == 2
    conf = json.loads(json.dumps(g.config))
    conf["channels"]["fake"]["accounts"]["a"]["textLimit"] = 100
    g.write_config(conf)
    until(lambda: len(before & set(g.workers("channel"))) == 1 and len(g.workers("channel")) == 2, "a is another process")
    send(c, "still here", accountId="b")
    send(c, "back again", accountId="a")
    p["c"] = Platform(os.path.join(t.folder, "platform-c"))
    conf = json.loads(json.dumps(conf))
    del conf["channels"]["fake"]["accounts"]["a"]
    conf["channels"]["fake"]["accounts"]["c"] = {"folder": p["c"].folder}
    g.write_config(conf)

    def there():
        try:
            return send(c, "the new one", accountId="c", key="c1")
        except Refused:
            return None
    until(there, "account c takes messages", step=0.05)
    assert c.refused("send", {"to": "1", "message": "nobody there", "accountId": "a",
                              "idempotencyKey": "zz"}).code == "INVALID_REQUEST"
    until(lambda: len(g.workers("channel")) == 2, "two accounts, two processes")


def test_outage(t):
    """The platform is away: messages wait in order, and the rest of the gateway does not notice."""
    g, p = setup(t, {"a": {}, "b": {}})
    c = g.client()
    send(c, "warm", accountId="a")
    p["a"].down(True)
    time.sleep(0.05)
    ids = [c.start("send", {"to": "1", "message": "waiting %02d" % i, "accountId": "a", "idempotencyKey": "w%d" % i})
           for i in range(20)]
    assert send(c, "the other account", accountId="b")["messageId"]
    assert p["a"].texts() == ["warm"]
    old = g.kill("hub")
    g.wait_replaced("hub", old)
    p["a"].down(False)
    until(lambda: len(p["a"].sent()) == 21, "all are sent")
    assert p["a"].texts()[1:] == ["waiting %02d" % i for i in range(20)]
    del ids


def storm(t, seed, kills):
    """Kills of hub, channels, supervisor and all at random moments while messages go out and come in."""
    rnd = random.Random(seed)
    g, p = setup(t, {"ids": {"clientIds": True}, "plain": {"clientIds": False}},
                 start=False, retry=dict(FAST["retry"], attempts=20))
    env = g.env
    g.env = lambda: dict(env(), ASAN_OPTIONS="detect_leaks=0:exitcode=66")  # killed in the middle of a leak check it talks
    g.start()
    until(lambda: len(g.workers("channel")) == 2, "two channels")
    state = {"stop": False, "client": None}
    accepted, order, lock = {}, {}, threading.Lock()

    def sender(account, who):
        """Sends until told to stop; a lost connection is asked again with the same key."""
        n = 0
        c = None
        while not state["stop"]:
            key, to = "%s-%d-%d" % (account, who, n), "t%d" % who
            text = ("%s %d says %d %s" % (account, who, n, rnd_text(key))).strip()
            n += 1
            while True:
                try:
                    if c is None or not c.open:
                        c = g.client_soon()
                    c.ask("send", {"to": to, "message": text, "accountId": account, "idempotencyKey": key}, timeout=25)
                    ok = True
                except Refused as e:
                    if e.code != "UNAVAILABLE" or "Outbound" not in e.message:
                        time.sleep(0.02)  # starting, stopping: not accepted
                        continue
                    ok = True
                except (Closed, OSError, Timeout):
                    c = None
                    continue
                break
            if ok:
                with lock:
                    accepted[text] = account
                    order.setdefault((account, to), []).append(text)

    def rnd_text(key):
        h = zlib.crc32(key.encode()) % 20
        return {0: "[transient 1]", 1: "[slow 30]", 2: "[slow 5]", 3: "[die-after 1]", 4: "[die-before 1]"}.get(h, "")

    threads = [threading.Thread(target=sender, args=(a, w), daemon=True) for a in ("ids", "plain") for w in range(3)]
    for th in threads:
        th.start()
    inbound = 0
    done = {}
    for i in range(kills):
        time.sleep(rnd.expovariate(1 / 0.12) + 0.01)
        for a in p:
            p[a].write("in%d" % inbound, "storm inbound %s %d. [fake ok chunks=1]" % (a, inbound), to="s%d" % (i % 3))
        inbound += 1
        kind = rnd.choice(["hub", "hub", "hub", "channel", "channel", "channel", "agent", "all", "supervisor"])
        done[kind] = done.get(kind, 0) + 1
        if kind in ("all", "supervisor"):
            pids = list(g.workers())
            g.kill(kind)
            if kind == "supervisor":
                g.reap_all([g.pid] + pids)
            g.start()
        else:
            pids = list(g.workers(kind))
            if pids:
                try:
                    os.kill(rnd.choice(pids), signal.SIGKILL)
                except ProcessLookupError:
                    pass
    state["stop"] = True
    for th in threads:
        th.join(60)
        assert not th.is_alive(), "a sender hangs"
    c = g.client_soon()
    for a in p:
        until(lambda: len(set(p[a].lines("acks.log"))) == inbound, "all that came in was acknowledged", timeout=60)

    def users():
        return [text_of(m) for m in c.history("main", limit=1000) if m["role"] == "user"]
    until(lambda: sum("storm inbound" in x for x in users()) >= 2 * inbound, "all that came in had its turn", timeout=60,
          step=0.1)
    until(lambda: c.ask("deliveries.list", {})["open"] == 0, "all is delivered", timeout=60, step=0.1)
    rows = {}
    for s in (None, "sent"):
        for d in listed(c, **({"state": s} if s else {})):
            rows[d["key"]] = d
    said = users()
    for a in p:
        for i in range(inbound):
            hits = sum("storm inbound %s %d." % (a, i) in x for x in said)
            assert hits == 1, "what came in is %d times in the history: %s %d" % (hits, a, i)
        clients = [m["client"] for m in p[a].sent()]
        assert len(clients) == len(set(clients)), "%s: a part was accepted twice" % a
        texts = [m["text"] for m in p[a].sent() if m["to"].startswith("t")]
        mine = [x for x, acc in accepted.items() if acc == a]
        twice = sorted(x for x in set(texts) if texts.count(x) > 1)
        assert not twice, "%s: sent twice: %r" % (a, twice)
        missing = [x for x in mine if x not in texts]
        unknown = [d for d in rows.values() if d["accountId"] == a and d["state"] == "unknown"]
        if a == "ids":
            dead = [d for d in rows.values() if d["accountId"] == a and d["state"] != "sent"]
            assert not missing, "lost: %r; not sent: %r" % (missing, dead)
        else:
            asked = set()
            for d in unknown:
                asked.update(c.ask("deliveries.get", {"id": d["id"]})["texts"])
            assert set(missing) <= asked, "silently lost: %r" % (set(missing) - asked)
        for (acc, to), want in order.items():
            if acc == a:
                got = [m["text"] for m in p[a].sent() if m["to"] == to]
                want = [x for x in want if x in got]
                assert [x for x in got if x in want] == want, "order of %s %s" % (acc, to)
    print("seed %d: %d kills %r, %d messages accepted, %d in, %d repeated to a platform that knows ids, %d unknown" % (
        seed, kills, done, len(accepted), inbound * 2, len(p["ids"].lines("repeated.log")),
        sum(d["state"] == "unknown" for d in rows.values())))
    until(lambda: not g.zombies(), "no zombie is left")


def test_storm(t, seed):
    storm(t, seed, 30)


test_storm.params = [(1,), (2,), (3,)]


def test_ctl(t):
    """openclawctl deliveries: list, show, retry, drop; also as JSON."""
    import subprocess
    g, p = setup(t)
    c = g.client()
    c.refused("send", {"to": "77", "message": "no such chat [permanent]", "idempotencyKey": "x"})

    def ctl(*args):
        run = subprocess.run([os.path.join(g.build, "openclawctl"), "--url", "ws://127.0.0.1:%d" % g.port, *args],
                             env=dict(g.env(), OPENCLAW_GATEWAY_TOKEN=g.token), stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, timeout=30)
        return run.returncode, run.stdout.decode(), run.stderr.decode()
    code, out, err = ctl("deliveries", "list")
    assert code == 0 and "dead" in out and "chat not found" in out and "1 set aside" in out, (code, out, err)
    code, out, err = ctl("--json", "deliveries", "list", "dead")
    row = json.loads(out)["deliveries"][0]
    assert row["to"] == "77" and row["attempts"] == 1
    code, out, err = ctl("deliveries", "show", str(row["id"]))
    assert code == 0 and "no such chat [permanent]" in out and "fake: chat not found" in out, (out, err)
    code, out, err = ctl("deliveries", "retry", str(row["id"]))
    assert code == 0, (out, err)
    drained(c)
    code, out, err = ctl("deliveries", "drop", str(row["id"]))
    assert code == 0 and "dropped" in out, (out, err)
    assert ctl("deliveries", "drop", str(row["id"]))[0] == 1
    assert ctl("deliveries", "drop", "x")[0] == 2 and ctl("deliveries", "nonsense")[0] == 2
    assert "0 set aside" in ctl("deliveries")[1]


def test_webhooks(t):
    """A platform's request reaches its channel, byte by byte, and nobody else's path is taken."""
    from test_http import ask
    g, platforms = setup(t)
    body = b'{"text":"\\u00e9 \xc3\xa9",  "x":1}\r\n'
    for path, below in (("/webhooks/fake/default", ""), ("/webhooks/fake/default/a/b", "/a/b"), ("/fake/events", "")):
        s, h, b = until(lambda: (lambda x: x if x[0] == 200 else None)(
            ask(g, path + "?q=1&r", "POST", body, token="platform", X_Signature="v0=AbC", Cookie="no=1")), path)
        lines, got = b.split(b"\n", 1)[0], b
        assert lines == b"POST %s?q=1&r" % below.encode(), b
        assert got.endswith(b"\r\n" + body) and b"x-signature: v0=AbC\r\n" in got, got
        assert b"authorization: Bearer platform\r\n" in got and b"cookie" not in got, got
        assert h["content-type"].startswith("text/plain") and "sandbox" not in h, h  # nothing a browser runs
    s, h, b = ask(g, "/webhooks/fake/default?hub.challenge=7", token=False)
    assert s == 403 and b.startswith(b"GET ?hub.challenge=7\n"), (s, b)  # the channel says no
    for path in ("/webhooks/fake/none", "/webhooks/none/default", "/webhooks/fake/", "/webhooks/", "/fake/events/x", "/fake/even"):
        assert ask(g, path, "POST", b"x", token=False)[0] == 404, path
    assert ask(g, "/fake/events", "PUT", b"x", token=False)[0] == 405
    assert ask(g, "/fake/events", "POST", b"x" * (1024 * 1024 + 1), token=False)[0] == 413
    # nobody answers: whoever sent it is told to come again
    out = []
    waits = threading.Thread(target=lambda: out.append(ask(g, "/webhooks/fake/default/hold", "POST", b"x", token=False)[0]))
    waits.start()
    time.sleep(0.2)
    channel = g.worker("channel")
    g.kill("channel")
    waits.join()
    assert out == [503], out
    g.wait_replaced("channel", channel)
    until(lambda: ask(g, "/fake/events", "POST", b"x", token=False)[0] == 200, "the path is back")
    front = g.worker("front")
    g.kill("front")
    g.wait_replaced("front", front)
    until(lambda: g.client_soon(), "the front is back")
    until(lambda: ask(g, "/fake/events", "POST", b"x", token=False)[0] == 200, "the next front knows the path")
