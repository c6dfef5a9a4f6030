"""Messages of a channel are exact: a hub that dies leaves no doubt about any of them, what the platform bears is kept to before one is begun,
and what it asks for is waited for, each chat and account apart.

The platform is a folder (tests/fake/channel.c) that knows no ids of ours: nothing may be repeated that may have been heard.
"""
import os
import random
import signal
import threading
import time

from client import Refused
from gateway import stat_of, until
from test_delivery import drained, listed, pid_of, send, setup
from ws import Closed, Timeout


def times(p, *words):
    """When messages with these words were accepted, in that order."""
    sent = p.sent()
    return [next(m["at"] for m in sent if w in m["text"]) for w in words]


def stopped(pid):
    return (stat_of(pid) or "Z")[0] == "T"


def test_hub_dies_before_the_channel_reads(t):
    """It was marked as being sent and lies unread on the line of a hub that died: the channel never had it, so it is sent, once."""
    g, p = setup(t, {"default": {}})
    a = p["default"]
    c = g.client()
    send(c, "warm up please")
    until(lambda: pid_of(c, "default"), "the supervisor's report has it")
    for i in range(6):
        pid = pid_of(c, "default")
        os.kill(pid, signal.SIGSTOP)
        until(lambda: stopped(pid), "the channel stands still")
        c.start("send", {"to": str(i), "message": "unread %d." % i, "idempotencyKey": "k%d" % i})
        until(lambda: [d for d in listed(c) if d["state"] == "sending"], "it is being sent")
        old = g.kill("hub")
        g.wait_replaced("hub", old)
        c = g.client_soon()
        os.kill(pid, signal.SIGCONT)
        until(lambda: any("unread %d." % i in x for x in a.texts()), "it is sent")
        drained(c)
        until(lambda: pid_of(c, "default") == pid, "it is the same process")
    assert a.texts() == ["warm up please"] + ["unread %d." % i for i in range(6)], a.texts()
    assert listed(c) == [], "none is set aside"


def test_hub_dies_again_and_again(t):
    """Hundreds of messages while the hub is killed at any moment: each is sent once, and of none it is unknown."""
    g, p = setup(t, {"a": {}, "b": {}})
    rnd = random.Random(int(os.environ.get("EXACT_SEED", "11")))
    words = {}
    stop = threading.Event()

    def say(n):
        c = None
        for i in range(25):
            key = "%d-%d" % (n, i)
            words[key] = "word %s." % key
            how = " [slow %d]" % rnd.randrange(30) if rnd.random() < 0.3 else ""
            while not stop.is_set():
                try:
                    c = c or g.client_soon()
                    c.start("send", {"to": str(n), "message": words[key] + how, "idempotencyKey": key, "accountId": "ab"[n % 2]})
                    c.ask("deliveries.list", {"limit": 1})  # so much is on disk
                    break
                except (Closed, Timeout, Refused, OSError):
                    c = None
    talkers = [threading.Thread(target=say, args=(n,)) for n in range(6)]
    for x in talkers:
        x.start()
    try:
        for _ in range(8):
            time.sleep(rnd.uniform(0.0, 0.2))  # at any moment
            old = g.kill("hub")
            g.wait_replaced("hub", old)
    finally:
        for x in talkers:
            x.join(60)
        stop.set()
    c = g.client_soon()
    for key, text in words.items():  # what was refused by a hub that had to go
        n = int(key.split("-")[0])
        c.start("send", {"to": str(n), "message": "x", "idempotencyKey": key, "accountId": "ab"[n % 2]})
    drained(c)
    sent = p["a"].texts() + p["b"].texts()
    assert all(sum(text in x for x in sent) <= 1 for text in words.values()), "one was sent twice"
    assert len(sent) == len(words), (len(sent), len(words))
    assert listed(c) == [], listed(c)


def test_gap_of_a_chat(t):
    """Messages to one chat keep their distance, other chats do not wait for them; a killed process leaves none of them in doubt."""
    g, p = setup(t, {"default": {"chatGapMs": 400}})
    a = p["default"]
    c = g.client()
    send(c, "the channel is known", to="9")
    for i in range(4):
        c.start("send", {"to": "1", "message": "flood %d." % i, "idempotencyKey": "f%d" % i})
    c.start("send", {"to": "2", "message": "other", "idempotencyKey": "o"})
    until(lambda: any("other" in x for x in a.texts()), "the other chat has its message")
    until(lambda: pid_of(c, "default"), "the supervisor's report has it")
    until(lambda: any("flood 1." in x for x in a.texts()), "the flood goes on")
    os.kill(pid_of(c, "default"), signal.SIGKILL)
    drained(c)
    at = times(a, "flood 0.", "flood 1.", "flood 2.", "flood 3.")
    assert all(y - x >= 0.4 for x, y in zip(at, at[1:])), at
    assert times(a, "other")[0] < at[1], (times(a, "other"), at)
    assert len(a.sent()) == 6 and listed(c) == [], (a.texts(), listed(c))


def test_rate_of_an_account(t):
    """So many a second of an account and no more, the chats in turn: who floods waits for himself; another account has its own."""
    g, p = setup(t, {"slow": {"accountPerSecond": 5}, "fast": {}})
    a = p["slow"]
    c = g.client()
    send(c, "the channel is known", to="9", accountId="slow")
    for i in range(12):
        c.start("send", {"to": "1", "message": "flood %d." % i, "idempotencyKey": "f%d" % i, "accountId": "slow"})
    c.start("send", {"to": "2", "message": "from another chat", "idempotencyKey": "o", "accountId": "slow"})
    c.start("send", {"to": "1", "message": "of another account", "idempotencyKey": "p", "accountId": "fast"})
    until(lambda: p["fast"].texts(), "the other account is not held up")
    assert len(a.sent()) < 14
    drained(c)
    at = sorted(m["at"] for m in a.sent())  # as they arrived: each a little later than it was let go
    assert len(at) == 14 and all(at[i + 5] - at[i] > 0.8 for i in range(len(at) - 5)), at
    behind = [m["text"] for m in a.sent()].index("from another chat")
    assert behind <= 8, "it waited for the whole flood: %r" % a.texts()


def test_told_to_come_later(t):
    """Too many, says the platform: no failed attempt; that chat waits as long as asked for, the others go on."""
    g, p = setup(t, {"default": {}}, retry={"attempts": 2, "firstDelayMs": 20, "secondDelayMs": 20, "thirdDelayMs": 20, "laterDelayMs": 20})
    a = p["default"]
    c = g.client()
    began = time.monotonic()
    got = send(c, "patience [later 3] [after 300]", to="1")  # who asked is answered when it is sent
    assert got["messageId"] and time.monotonic() - began >= 0.9, got
    assert a.sent()[0]["attempt"] == 4
    c.start("send", {"to": "1", "message": "held back [later 1] [after 900]", "idempotencyKey": "h"})
    until(lambda: [d for d in listed(c) if d["state"] == "queued" and d["attempts"] == 1], "it waits")
    assert send(c, "somebody else", to="2")["messageId"]
    assert send(c, "and another one", to="3")["messageId"]
    drained(c)
    held, one, two = times(a, "held back", "somebody else", "and another one")
    assert one < two < held, (one, two, held)
    assert listed(c) == []


def test_the_account_is_told_to_come_later(t):
    """The same meant for the whole account: every chat waits."""
    g, p = setup(t, {"default": {}, "other": {}})
    a = p["default"]
    c = g.client()
    send(c, "warm up please", accountId="default")
    c.start("send", {"to": "1", "message": "too many [later 1] [all] [after 900]", "idempotencyKey": "h", "accountId": "default"})
    until(lambda: [d for d in listed(c) if d["state"] == "queued" and d["attempts"] == 1], "it waits")
    since = time.monotonic()
    c.start("send", {"to": "2", "message": "somebody else", "idempotencyKey": "o", "accountId": "default"})
    assert send(c, "of another account", to="2", accountId="other")["messageId"]
    assert a.texts() == ["warm up please"]
    drained(c)
    assert sorted(a.texts()) == ["somebody else", "too many [later 1] [all] [after 900]", "warm up please"]
    assert min(times(a, "somebody else", "too many")) - since > 0.5
    assert listed(c) == []


def test_owner_hears_of_a_broken_process(t):
    """An account whose process fails again and again before it is ready: given up, its owner is told on another account, once."""
    g, p = setup(t, {"good": {}, "bad": {"cannotStart": True}}, start=False)
    g.config["agents"]["defaults"]["model"]["primary"] = "demo/demo-1"
    g.write_config(g.config)
    g.start()
    a = p["good"]
    a.write("u1", "it is me", to="7")
    until(lambda: any("it is me" in x for x in a.texts()), "the owner is answered")
    line = g.wait_log(lambda l: l["event"] == "channel.alarm", "it is given up", timeout=60)
    assert (line["channel"], line["account"], line["told"]) == ("fake", "bad", "fake"), line
    told = lambda: [m for m in a.sent() if "fake/bad has stopped" in m["text"]]
    until(told, "the owner is told")
    assert told()[0]["to"] == "7" and "ends again and again" in told()[0]["text"], told()
    old = g.kill("hub")  # another hub sees the same: it is known
    g.wait_replaced("hub", old)
    a.write("u2", "after that", to="7")
    until(lambda: any("after that" in x for x in a.texts()), "another answer")
    drained(g.client_soon())
    assert len(told()) == 1, told()
    g.config["channels"]["fake"]["accounts"]["bad"].pop("cannotStart")  # mended: it comes back by itself
    g.write_config(g.config)
    p["bad"].write("u3", "are you there?", to="8")
    until(lambda: any("are you there?" in x for x in p["bad"].texts()), "it answers", timeout=60)
