"""A full disk: new work is refused, what was acknowledged ends, reads go on, and it returns by itself.

The state folder is a small tmpfs in a mount namespace of the test's own.
"""
import ctypes
import errno
import json
import os
import time

from client import Refused, text_of
from gateway import until
from test_delivery import listed, setup
from test_http import ask

CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 1 << 18
SESSION = "agent:main:d"
HOOK_TOKEN = "hook-token-3a8c51d2e84b60ff"
TURNS = 24
MANY = 3000  # turns that fit on no disk of this size


def small_disk(folder, size):
    """False where this user may not mount; says so."""
    libc = ctypes.CDLL(None, use_errno=True)
    os.makedirs(folder, mode=0o711)
    if (libc.unshare(CLONE_NEWNS) or libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) or
            libc.mount(b"tmpfs", folder.encode(), b"tmpfs", 0, b"size=%d,mode=711" % size)):
        print("skipped: mounting a small disk needs root (%s)" % os.strerror(ctypes.get_errno()))
        return False
    return True


class Ballast:
    """A file that takes what space is left."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "ballast")

    def fill(self):
        with open(self.path, "ab", buffering=0) as f:
            for piece in (1 << 20, 1 << 12):
                try:
                    while True:
                        f.write(b"x" * piece)
                except OSError as e:
                    assert e.errno == errno.ENOSPC, e

    def free(self):
        os.unlink(self.path)


def started(t, size=48 << 20):
    g = t.new_gateway()
    if not small_disk(g.state_dir, size):
        return None, None
    return g.start(), Ballast(g.state_dir)


def until_refused(c, accepted):
    """Sends until the gateway says no; everything it said yes to is in accepted."""
    for n in range(MANY):
        text = "fill %d %s" % (n, "x" * 2000)
        try:
            accepted[c.send("%s%d" % (SESSION, n % 8), text)] = text
        except Refused as e:
            return e
    raise AssertionError("%d messages were taken by a full disk" % MANY)


def history_of_all(c):
    return [m for n in range(8) for m in c.history("%s%d" % (SESSION, n), 1000)]


def check(c, accepted):
    for run in accepted:
        done = c.ask("agent.wait", {"runId": run, "timeoutMs": 20000})
        assert done["status"] == "ok", done
    said = [text_of(m) for m in history_of_all(c) if m["role"] == "user"]
    for text in accepted.values():
        assert sum(text in s for s in said) == 1, "kept %d times: %s" % (sum(text in s for s in said), text[:12])
    assert len(said) == len(accepted), "%d messages are kept, %d were taken" % (len(said), len(accepted))


def back(c, accepted):
    """Service has returned by itself; the time it took."""
    began = time.monotonic()

    def taken():
        try:
            accepted[c.send(SESSION + "0", "there is room")] = "there is room"
            return True
        except Refused as e:
            assert e.code == "UNAVAILABLE", e
            return False
    until(taken, "messages are taken again", step=0.05)
    return time.monotonic() - began


def refused_honestly(e):
    assert e.code == "UNAVAILABLE", e
    assert e.details.get("reason") == "store-full", e.details


def test_full(t):
    g, disk = started(t)
    if not g:
        return
    c, accepted = g.client(), {}
    accepted[c.turn(SESSION + "7", "before")[0]] = "before"
    hub = g.worker("hub")
    disk.fill()
    refused_honestly(until_refused(c, accepted))
    g.wait_log(lambda l: l["event"] == "store.full", "store.full")
    for run in accepted:  # what was taken ends from the reserve
        assert c.ask("agent.wait", {"runId": run, "timeoutMs": 20000})["status"] == "ok"
    listed = c.ask("sessions.list")["sessions"]
    assert listed and len(history_of_all(c)) >= 2 + len(accepted), "reads go on"
    assert g.client().hello, "connects go on"
    assert g.http("/ready")[0] == 503 and b"no room" in g.http("/ready")[1], g.http("/ready")
    assert g.http("/health")[0] == 200
    for method, params in (("sessions.patch", {"key": SESSION + "0", "label": "x"}), ("sessions.create", {}),
                           ("send", {"to": "1", "message": "m", "idempotencyKey": "k", "channel": "fake"})):
        refused_honestly(c.refused(method, params))
    assert g.worker("hub") == hub, "the hub was restarted"
    disk.free()
    took = back(c, accepted)
    assert g.worker("hub") == hub, "the hub was restarted"
    until(lambda: g.http("/ready")[0] == 200, "it is ready again")
    said = sum(l["event"] == "store.full" for l in g.lines)
    assert said == 1, "the log says it %d times" % said
    assert c.ask("chat.send", {"sessionKey": SESSION + "0", "message": "there is room",
                               "idempotencyKey": list(accepted)[-1]})["runId"] == list(accepted)[-1]
    check(c, accepted)
    print("full: %d taken before the first refusal, back after %.2f s" % (len(accepted), took))
    c.check_seq()


def test_restart_while_full(t):
    """Killed in that state, all of it or the hub alone: it reads, refuses, and goes on when there is room."""
    g, disk = started(t)
    if not g:
        return
    c, accepted = g.client(), {}
    disk.fill()
    until_refused(c, accepted)
    old = g.kill("hub")
    g.wait_replaced("hub", old)
    c = g.client_soon()
    assert len(history_of_all(c)) >= len(accepted)
    refused_honestly(until_refused(c, accepted))
    g.kill("all")
    g.start()
    c = g.client_soon()
    assert len(history_of_all(c)) >= len(accepted)
    refused_honestly(until_refused(c, accepted))
    disk.free()
    back(c, accepted)
    check(c, accepted)


def test_channel_while_full(t):
    """What people write is not acknowledged to the platform, and is taken up when there is room."""
    g, p = setup(t, start=False)
    if not small_disk(g.state_dir, 48 << 20):
        return
    p, disk = p["default"], Ballast(g.state_dir)
    g.start()
    c = g.client()
    p.write("u1", "first")
    until(lambda: len(p.texts()) == 1, "the first answer")
    disk.fill()
    until_refused(c, {})
    acked = p.lines("acks.log")
    for n in range(5):
        p.write("full%d" % n, "while full %d [fake ok chunks=1]" % n)
    time.sleep(1.5)  # it is offered at least once
    assert p.lines("acks.log") == acked, "acknowledged without room to keep it"
    disk.free()
    until(lambda: len(p.lines("acks.log")) == len(acked) + 5, "all five are acknowledged")
    until(lambda: len(p.texts()) == 6, "all five are answered")
    users = [text_of(m) for m in c.history("main") if m["role"] == "user"]
    for n in range(5):
        assert sum("while full %d" % n in x for x in users) == 1, users


def test_outcome_without_room(t):
    """The reserve is used up when the channel says that messages were sent: that is kept when there is room, and was never unknown."""
    g, p = setup(t, {"default": {}}, start=False, answerTimeoutMs=60000)  # without client ids: what nobody knows is not repeated
    if not small_disk(g.state_dir, 64 << 20):
        return
    g.config["agents"]["defaults"]["maxConcurrent"] = TURNS
    g.write_config(g.config)
    p, disk = p["default"], Ballast(g.state_dir)
    g.start()
    c = g.client()
    runs = [c.send("%sbig%d" % (SESSION, n), "[fake ok chunks=9000 at=2 gate=room text=%s] %d" % ("y" * 60, n)) for n in range(TURNS)]
    t.fake.wait("gate=room", state="gated", count=TURNS)
    for n in range(32):  # as many as a channel has at once
        c.start("send", {"to": "to%d" % n, "message": "[slow 4000] message %d" % n, "idempotencyKey": "m%d" % n})
    until(lambda: sum(d["state"] == "sending" for d in listed(c)) == 32, "all are under way")
    disk.fill()
    until_refused(c, {})
    t.fake.gate("room")  # the answers take what was kept back
    until(lambda: len(p.texts()) == 32, "the platform has all")
    time.sleep(1.2)  # a hub that forgot would look again
    waiting = sum(d["state"] == "sending" for d in listed(c))
    assert waiting, "there was still room"
    disk.free()
    until(lambda: not any(d["state"] in ("queued", "sending") for d in listed(c)), "all are over")
    assert not listed(c), listed(c)  # neither waiting nor set aside
    assert sorted(p.texts()) == sorted("[slow 4000] message %d" % n for n in range(32))
    for run in runs:
        assert c.ask("agent.wait", {"runId": run, "timeoutMs": 20000})["status"] == "ok"
    print("%d outcomes waited for room" % waiting)


def test_http_while_full(t):
    """Programs that ask over HTTP are told to try again, and /readyz why; it ends by itself."""
    g = t.new_gateway()
    g.config["hooks"] = {"enabled": True, "token": HOOK_TOKEN}
    g.write_config(g.config)
    if not small_disk(g.state_dir, 48 << 20):
        return
    disk = Ballast(g.state_dir)
    g.start()
    asked = (("/v1/chat/completions", {"model": "openclaw", "messages": [{"role": "user", "content": "hi"}]}, True),
             ("/v1/responses", {"model": "openclaw", "input": "hi"}, True),
             ("/hooks/agent", {"message": "hi"}, HOOK_TOKEN), ("/hooks/wake", {"text": "hi"}, HOOK_TOKEN))
    for path, body, token in asked:
        status, _, said = ask(g, path, "POST", body, token=token)
        assert status == 200, (path, status, said)
    disk.fill()
    until_refused(g.client(), {})
    runs = len(t.fake.calls("hi"))
    for path, body, token in asked:
        status, head, said = ask(g, path, "POST", body, token=token)
        assert status == 503 and b"disk is full" in said, (path, status, said)
        doc = json.loads(said)
        if path.startswith("/v1"):
            assert doc["error"]["code"] == "store_full" and head["retry-after"], (path, head, doc)
        else:
            assert doc["ok"] is False, doc
    assert len(t.fake.calls("hi")) == runs, "a turn was begun"
    status, _, said = ask(g, "/readyz", token=False)
    assert status == 503 and b"no room on the disk" in said, (status, said)
    disk.free()
    for path, body, token in asked:
        until(lambda: ask(g, path, "POST", body, token=token)[0] == 200, "%s is served again" % path)
