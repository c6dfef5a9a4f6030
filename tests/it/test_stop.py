"""Stopping a turn does not wait for its turn: by chat.abort and by word, while all lanes are taken and messages queue."""
import uuid

from client import TERMINAL
from gateway import config_for, until

WORDS = ("/stop", "/abort", "/esc", "stop", "esc", "abort", "wait", "exit", "interrupt", "Stop!", " STOP. ")
SLOW = "[fake ok chunks=100000 delay=20] endless %s"


def busy(t, lanes=1):
    """A gateway all of whose lanes run turns that do not end by themselves, and more wait."""
    config = config_for(t.fake.url)
    config["agents"]["defaults"]["maxConcurrent"] = lanes
    g = t.gateway(config)
    c = g.client()
    running = c.send("agent:main:running", SLOW % uuid.uuid4())
    c.chat(running, "delta")
    waiting = [c.send("agent:main:waits%d" % n, SLOW % uuid.uuid4()) for n in range(3)]  # for the lane
    behind = "behind %s" % uuid.uuid4()
    c.send("agent:main:running", behind, queueMode="followup")  # for the session
    return g, c, running, waiting, behind


def test_words(t):
    """Each word ends the turn under way and what waits behind it, at once; other sessions go on."""
    for word in WORDS:
        g, c, running, waiting, behind = busy(t)
        got = c.ask("chat.send", {"sessionKey": "agent:main:running", "message": word, "idempotencyKey": str(uuid.uuid4())})
        assert got.get("aborted") is True, (word, got)
        assert c.chat(running, TERMINAL)["state"] == "aborted", word
        until(lambda: any(c.chats(w) for w in waiting), "the lane is free for another session")
        assert not any(p["state"] in TERMINAL for w in waiting for p in c.chats(w)), word
        said = [m for m in c.history("agent:main:running") if m["role"] == "user" and m["content"] == word]
        assert not said, "%r became a message" % word
        assert not t.fake.calls(behind), "%r: what waited behind it ran" % word
        for n in range(3):
            c.ask("chat.abort", {"sessionKey": "agent:main:waits%d" % n})
        g.stop()


def test_one_that_waits(t):
    """A turn that waits for its lane is stopped without ever being asked."""
    g, c, running, waiting, behind = busy(t)
    c.ask("chat.abort", {"sessionKey": "agent:main:waits1", "runId": waiting[1]})
    assert c.chat(waiting[1], TERMINAL)["state"] == "aborted"
    assert not any(p["state"] in TERMINAL for p in c.chats(running)), "another session was stopped"
    assert not t.fake.calls(behind)
    for key in ("running", "waits0", "waits2"):
        c.ask("chat.abort", {"sessionKey": "agent:main:" + key})
    for run in (running, waiting[0], waiting[2]):
        assert c.chat(run, TERMINAL)["state"] == "aborted"
