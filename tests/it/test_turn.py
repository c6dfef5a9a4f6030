"""One turn and what surrounds it: history, abort, two clients, repeats, many at once, nothing left behind."""
import threading
import uuid

from client import Client, text_of
from gateway import until

SLOW = "[fake ok chunks=200 delay=50]"


def roles(messages):
    return [m["role"] for m in messages]


def test_turn(t):
    g = t.gateway()
    c = g.client()
    run, end = c.turn("agent:main:a", "tell me something nice [fake ok chunks=5]")
    assert end["state"] == "final", end
    assert text_of(end["message"]).split() == ["word0", "word1", "word2", "word3", "word4"], end
    states = [p["state"] for p in c.chats(run)]
    assert states.count("final") == 1 and states[-1] == "final", states
    h = c.history("agent:main:a")
    assert roles(h) == ["user", "assistant"], h
    assert "tell me something nice" in text_of(h[0]) and text_of(h[1]).startswith("word0"), h
    calls = t.fake.calls("tell me something nice")
    assert len(calls) == 1 and calls[0]["auth"] and calls[0]["model"] == "mock-1", calls
    c.check_seq()


def test_turn_anthropic(t):
    from gateway import config_for
    doc = config_for(t.fake.url)
    doc["agents"]["defaults"]["model"]["primary"] = "anthro/mock-1"
    c = t.gateway(doc).client()
    run, end = c.turn("agent:main:a", "greetings from another api [fake ok chunks=3]")
    assert end["state"] == "final" and text_of(end["message"]).split() == ["word0", "word1", "word2"], end
    assert t.fake.calls("greetings from another")[0]["dialect"] == "anthropic"


def test_demo_model_needs_nothing(t):
    c = t.gateway({"gateway": {"mode": "local"}}).client()
    run, end = c.turn("agent:main:a", "is anybody there")
    assert end["state"] == "final" and len(text_of(end["message"])) > 20, end


def test_context_grows(t):
    c = t.gateway().client()
    for i in range(3):
        assert c.turn("agent:main:a", "step %d of the walk [fake ok chunks=2]" % i)[1]["state"] == "final"
    last = t.fake.calls("step 2 of the walk")[0]
    assert [r for r in last["roles"] if r not in ("system", "developer")] == ["user", "assistant"] * 2 + ["user"], last
    assert roles(c.history("agent:main:a")) == ["user", "assistant"] * 3


def test_split_utf8(t):
    c = t.gateway().client()
    for fault in ("split", "keepalive"):
        run, end = c.turn("agent:main:a", "Grüße an alle [fake %s chunks=4 text=żółć€🙂]" % fault)
        assert text_of(end.get("message")).split() == ["żółć€🙂%d" % i for i in range(4)], end


def test_abort_closes_the_transfer(t):
    c = t.gateway().client()
    run = c.send("agent:main:a", "please count for long " + SLOW)
    c.chat(run, "delta")
    assert c.ask("chat.abort", {"sessionKey": "agent:main:a", "runId": run}) == \
        {"ok": True, "aborted": True, "runIds": [run]}
    end = c.chat(run, ("aborted", "final", "error"))
    assert end["state"] == "aborted" and end["stopReason"] == "rpc", end
    t.fake.wait("please count for long", "gone", timeout=5)
    h = c.history("agent:main:a")
    assert roles(h) in (["user", "assistant"], ["user"]), h
    run, end = c.turn("agent:main:a", "and now go on [fake ok chunks=2]")
    assert end["state"] == "final", end


def test_abort_before_the_model_answers(t):
    c = t.gateway().client()
    run = c.send("agent:main:a", "never answered [fake stall]")
    t.fake.wait("never answered", "started")
    assert c.ask("chat.abort", {"sessionKey": "agent:main:a"})["runIds"] == [run]
    assert c.chat(run, ("aborted", "final", "error"))["state"] == "aborted"
    t.fake.wait("never answered", "gone", timeout=5)


def test_two_clients(t):
    g = t.gateway()
    a, b = g.client(), g.client(scopes=["operator.read"])
    blind = g.client(scopes=["operator.pairing"])
    run, end = a.turn("agent:main:a", "look at this everybody [fake ok chunks=5 delay=20]")
    seen = b.chat(run, "final")
    assert text_of(seen["message"]) == text_of(end["message"])
    assert blind.ask("health")["ok"] and not blind.events("chat") and not blind.events("agent")
    for c in (a, b, blind):
        c.check_seq()


def test_idempotency(t):
    g = t.gateway()
    a, b = g.client(), g.client()
    run = str(uuid.uuid4())
    text = "only once please [fake ok chunks=4 gate=once at=2]"
    params = {"sessionKey": "agent:main:a", "message": text, "idempotencyKey": run}
    a.send("agent:main:a", text, run=run)
    t.fake.wait("only once", "gated")
    for c in (a, b):
        assert c.ask("chat.send", params) == {"runId": run, "status": "in_flight"}
    t.fake.gate("once")
    a.chat(run, "final")
    for c in (a, b, g.client()):
        assert c.ask("chat.send", params) == {"runId": run, "status": "ok"}
    e = b.refused("chat.send", dict(params, message="something else entirely"))
    assert e.code == "INVALID_REQUEST" and e.details.get("reason") == "chat-request-conflict", e
    assert len(t.fake.calls("only once")) == 1
    assert roles(a.history("agent:main:a")) == ["user", "assistant"]


def test_idempotency_race(t):
    """The same key from eight connections at the same time starts one run."""
    g = t.gateway()
    clients = [g.client() for _ in range(8)]
    run = str(uuid.uuid4())
    params = {"sessionKey": "agent:main:a", "message": "all at once [fake ok chunks=3]", "idempotencyKey": run}
    got = [None] * 8

    def go(i):
        got[i] = clients[i].ask("chat.send", params)["status"]
    threads = [threading.Thread(target=go, args=(i,)) for i in range(8)]
    for th in threads:
        th.start()
    for th in threads:
        th.join()
    clients[0].chat(run, "final")
    assert got.count("started") == 1 and set(got) <= {"started", "in_flight", "ok"}, got
    assert len(t.fake.calls("all at once")) == 1


def test_idempotency_after_restart(t):
    g = t.gateway()
    c = g.client()
    text = "remember me [fake ok chunks=2]"
    run, _ = c.turn("agent:main:a", text)
    g.stop()
    g.start()
    c = g.client()
    assert c.ask("chat.send", {"sessionKey": "agent:main:a", "message": text, "idempotencyKey": run}) == \
        {"runId": run, "status": "ok"}
    assert len(t.fake.calls("remember me")) == 1
    assert roles(c.history("agent:main:a")) == ["user", "assistant"]


def test_many_sessions_side_by_side(t):
    """More sessions than the lane is wide: all are answered, each in its own order."""
    g = t.gateway()
    c = g.client()
    runs = []
    for i in range(12):
        runs.append(c.send("agent:main:s%d" % i, "request number %d here [fake ok chunks=3 delay=20]" % i))
    for run in runs:
        assert c.chat(run, ("final", "error"))["state"] == "final"
    for i in range(12):
        h = c.history("agent:main:s%d" % i)
        assert roles(h) == ["user", "assistant"] and "number %d here" % i in text_of(h[0]), h
    c.check_seq()


def test_lane_bounds_concurrency(t):
    g = t.gateway()  # maxConcurrent 4
    c = g.client()
    runs = [c.send("agent:main:s%d" % i, "hold the door [fake ok chunks=2 gate=door at=1]") for i in range(6)]
    t.fake.wait("hold the door", "gated", count=4)
    assert c.ask("health")["ok"]
    assert len(t.fake.calls("hold the door")) == 4
    t.fake.gate("door")
    for run in runs:
        assert c.chat(run, ("final", "error"))["state"] == "final"


def test_one_turn_at_a_time_in_a_session(t):
    c = t.gateway().client()
    a = c.send("agent:main:a", "first in line [fake ok chunks=3 gate=line at=1]")
    t.fake.wait("first in line", "gated")
    c.send("agent:main:a", "second in line [fake ok chunks=2]", queueMode="followup")
    assert len(t.fake.calls("second in line")) == 0
    t.fake.gate("line")
    c.chat(a, "final")
    c.event(lambda f: f["event"] == "chat" and f["payload"]["state"] == "final" and f["payload"].get("message") and
            f["payload"]["runId"] != a, "final of the second")
    h = c.history("agent:main:a")
    assert roles(h) == ["user", "assistant"] * 2, roles(h)


def test_nothing_leaks(t):
    """Descriptors and processes after many turns and connections are as before."""
    g = t.gateway()
    c = g.client()
    for i in range(3):
        c.turn("agent:main:a", "warming up [fake ok chunks=2]")
    before, crew = g.fds(), g.workers()
    for i in range(20):
        x = g.client()
        x.turn("agent:main:b%d" % i, "come and go [fake ok chunks=2]")
        x.close()
    c.turn("agent:main:a", "still warm [fake ok chunks=2]")
    until(lambda: all(n <= before.get(k, 0) + 1 for k, n in g.fds().items()),
          "descriptors are as before: %r, now %r" % (before, g.fds()))
    assert g.workers() == crew, "workers came or went: %r, %r" % (crew, g.workers())
    assert not g.zombies()


def test_provider_connection_is_kept(t):
    """Turns after each other reuse connections; at least they do not pile up."""
    g = t.gateway()
    c = g.client()
    c.turn("agent:main:a", "first of many [fake ok chunks=2]")
    agents = g.workers("agent")
    before = sum(n for k, n in g.fds().items() if k.startswith("agent"))
    for i in range(10):
        c.turn("agent:main:a", "one of many [fake ok chunks=2]")
    assert g.workers("agent") == agents
    assert sum(n for k, n in g.fds().items() if k.startswith("agent")) <= before + 1


def test_protocol_3(t):
    """A client of the older era: no status, no deltaText, cumulative message."""
    g = t.gateway()
    c = g.client(protocol=(3, 3))
    assert c.hello["protocol"] == 3, c.hello
    run, end = c.turn("agent:main:a", "hello from the past [fake ok chunks=4 delay=120]")
    states = {p["state"] for p in c.chats(run)}
    assert end["state"] == "final" and states <= {"delta", "final"}, states
    assert all("deltaText" not in p for p in c.chats(run))
    e = c.refused("chat.send", {})
    assert "invalid chat.send params" in e.message, e


def test_health_over_http(t):
    g = t.gateway()
    status, body = g.http("/health")
    assert status == 200 and b'"ok":true' in body.replace(b" ", b""), (status, body)
    until(lambda: g.http("/ready")[0] == 200, "the front has heard of the hub")
    assert g.http("/healthz")[0] == 200 and g.http("/readyz")[0] == 200
    assert g.http("/no/such/page.txt")[0] == 404 or g.http("/no/such/page.txt")[0] == 200


def test_shutdown_event(t):
    """SIGTERM at rest: shutdown, then 1012, also for a socket that never said hello; exit 0."""
    g = t.gateway()
    c, silent = g.client(), g.client(auth=False)
    g.terminate()
    c.event(lambda f: f["event"] == "shutdown", "shutdown")
    assert c.ws.wait_close() == (1012, "service restart")
    assert silent.ws.wait_close()[0] == 1012
    assert not silent.events("shutdown")
    assert g.wait_exit() == 0
    c.check_seq()
