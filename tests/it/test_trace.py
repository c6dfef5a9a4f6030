"""What belongs together: ids of requests and runs in the log of every process, and the trace from a client to a provider."""
import json
import re

from test_http import ask
from test_identity import ctl
from test_openai import chat
from test_tool_turn import call

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"


def sent(t, prompt):
    return [r["traceparent"] for r in t.fake.calls(prompt)]


def test_request_ids(t):
    """A client's id comes back and is logged, whoever answers; a bad one is none; what the hub is asked has one in any case."""
    g = t.new_gateway()
    g.start("--verbose")
    for n, path in enumerate(("/health", "/", "/v1/models", "/no/such", "/metrics", "/ready")):
        mine = "my-request_%d.a:b" % n
        s, h, b = ask(g, path, X_Request_Id=mine)
        assert h["x-request-id"] == mine, (path, h)
        g.wait_log(lambda l: l.get("request") == mine and l.get("status") == s, "the line of " + path)
    for bad in ("a b", "x" * 129, "é", "a;b", '"'):
        s, h, b = ask(g, "/health", X_Request_Id=bad.encode().decode("latin-1"))
        assert s == 200 and "x-request-id" not in h, (bad, h)
    assert "x-request-id" not in ask(g, "/health")[1]
    s, h, b = ask(g, "/v1/models")
    made = h["x-request-id"]
    assert re.fullmatch(r"[0-9a-f]{16}-[0-9a-f]+", made) and ask(g, "/v1/models")[1]["x-request-id"] != made
    line = g.wait_log(lambda l: l.get("event") == "http.done" and l.get("request") == made, "the hub's line")
    assert line["route"] == "models" and line["status"] == 200, line
    assert ask(g, "/v1/models", token="wrong", X_Request_Id="who")[0] == 401
    g.wait_log(lambda l: l.get("event") == "http.refused" and l.get("request") == "who", "the refusal")


def test_trace_over_http(t):
    g = t.gateway()
    for path, body in (("/v1/chat/completions", {"messages": [{"role": "user", "content": "one [fake ok chunks=1]"}]}),
                       ("/v1/responses", {"input": "two [fake ok chunks=1]"})):
        assert ask(g, path, "POST", dict(body, model="openclaw"), Traceparent=TRACE)[0] == 200
    for prompt in ("one [fake", "two [fake"):
        (got,) = sent(t, prompt)
        assert got[:35] == TRACE[:35] and got[-3:] == "-00" and got[36:52] != TRACE[36:52], got
    # one that is none: the turn has a trace of its own, and every attempt a span of its own
    for bad in (TRACE.upper(), TRACE[:-1], "00-" + "0" * 32 + TRACE[35:], "ff" + TRACE[2:], "x" * 55):
        assert ask(g, "/v1/chat/completions", "POST", {"messages": [{"role": "user", "content": "bad [fake ok chunks=1]"}]},
                   Traceparent=bad)[0] == 200
    made = sent(t, "bad [fake")
    assert len({m[3:35] for m in made}) == len(made) == 5 and TRACE[3:35] not in {m[3:35] for m in made}, made
    s, doc = chat(g, "again [fake 500 times=2]")
    tries = sent(t, "again [fake")
    assert s == 200 and len(tries) == 3 and len({x[3:35] for x in tries}) == 1 and len({x[36:52] for x in tries}) == 3, tries
    assert all(re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]", x) for x in tries + made), tries


def test_trace_over_websocket(t):
    """Frames have a place for it; it survives tools, and the hub's death."""
    g = t.gateway()
    c = g.client()
    run = "run-traced"
    c.ws.send({"type": "req", "id": "t1", "method": "chat.send", "traceparent": TRACE, "params": {
        "sessionKey": "main", "idempotencyKey": run,
        "message": "go " + call("sessions_send", sessionKey="agent:main:b", message="wait [fake ok gate=w at=1]", timeoutSeconds=60)}})
    t.fake.wait("wait [fake", "gated")
    g.kill("hub")
    t.fake.gate("w")
    c.chat(run, ("final",), timeout=60)
    assert {x[3:35] for x in sent(t, "go [fake")} == {TRACE[3:35]} and len(sent(t, "go [fake")) == 2, sent(t, "go [fake")
    c.ws.send({"type": "req", "id": "t2", "method": "health", "traceparent": "nonsense", "params": {}})
    assert c.answer("t2") is not None


def test_story(t):
    """openclawctl logs --grep RUN: everybody who had a part in the turn speaks of it."""
    g = t.new_gateway()
    g.start("--verbose")
    c = g.client()
    run, final = c.turn("main", "look " + call("agents_list"))
    story = ctl(t, g, "logs", "--grep", run, "--limit", "1000")
    for event in ("run.asked", "run.start", "run.model", "tool.begin", "run.done", "run.end"):
        assert event in story, (event, story)
    assert "hub#0" in story and "agent#0" in story, story
    lines = [json.loads(l) for l in ctl(t, g, "--json", "logs", "--grep", run).splitlines()]
    traces = {l["trace"] for l in lines if l.get("event") == "run.start"}
    assert len(traces) == 1 and sent(t, "look [fake")[0][3:35] in traces, lines
    s, h, b = ask(g, "/v1/chat/completions", "POST", {"messages": [{"role": "user", "content": "hi [fake ok chunks=1]"}]}, X_Request_Id="story-1")
    assert s == 200
    asked = [l for l in g.lines if l.get("event") == "run.asked" and l.get("request") == "story-1"]
    assert len(asked) == 1 and "run.end" in ctl(t, g, "logs", "--grep", asked[0]["run"]), asked
    assert "usage" in ctl(t, g, "logs", "--limit", "0", code=2).lower()
