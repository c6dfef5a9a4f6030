"""Tools in turns: the model asks, the hub does it, the model goes on."""
import base64
import json

from client import text_of
from gateway import config_for, until
from test_http import ask
from test_openai import chat, stream, said


def parts(message, kind):
    return [p for p in message["content"] if isinstance(p, dict) and p.get("type") == kind]


def call(tool, more="", **args):
    """The directive that makes the fake model call it so."""
    args = base64.b64encode(json.dumps(args).encode()).decode()
    return "[fake call tool=%s args64=%s %s]" % (tool, args, more)


def roles(history):
    return [m["role"] for m in history]


def test_one_round(t):
    g = t.gateway()
    c = g.client(caps=["tool-events"])
    c.turn("agent:main:before", "hello [fake ok chunks=1]")
    run, final = c.turn("agent:main:main", "look " + call("sessions_list", limit=5))
    assert text_of(final["message"]).startswith('result: {"sessions":[{"key":"agent:main:main"'), final
    h = c.history("agent:main:main")
    assert roles(h) == ["user", "assistant", "toolResult", "assistant"], h
    (made,) = parts(h[1], "toolCall")
    assert (made["name"], made["arguments"], h[1]["stopReason"]) == ("sessions_list", {"limit": 5}, "toolUse"), h[1]
    assert (h[2]["toolCallId"], h[2]["toolName"], h[2]["isError"]) == (made["id"], "sessions_list", False), h[2]
    assert [r["key"] for r in json.loads(text_of(h[2]))["sessions"]] == ["agent:main:main", "agent:main:before"], h[2]
    # the model saw what a provider expects: the offer, then the pair
    first, second = t.fake.calls("look [fake call")
    offered = {x["function"]["name"]: x["function"] for x in first["asked"]["tools"]}
    assert {"sessions_list", "sessions_send", "message", "gateway"} <= set(offered), offered
    assert offered["sessions_history"]["parameters"]["required"] == ["sessionKey"], offered
    asked = second["asked"]["messages"]
    assert [m["role"] for m in asked][-3:] == ["user", "assistant", "tool"], asked
    assert asked[-2]["tool_calls"][0]["id"] == asked[-1]["tool_call_id"] == made["id"], asked
    # events, in order: the tool starts and ends, then the answer comes
    seen = [e for e in c.events("agent") if e["runId"] == run and e["stream"] in ("tool", "item", "assistant")]
    kinds = [(e["stream"], e["data"].get("phase")) for e in seen]
    assert kinds[:4] == [("item", "start"), ("tool", "start"), ("tool", "result"), ("item", "end")], kinds
    assert seen[1]["data"]["args"] == {"limit": 5} and seen[2]["data"]["isError"] is False, seen
    assert seen[2]["data"]["result"]["content"][0]["text"] == text_of(h[2]) and kinds[4][0] == "assistant", kinds
    seqs = [e["seq"] for e in c.events("agent") if e["runId"] == run]
    assert seqs == sorted(set(seqs)), seqs
    c.check_seq()
    # a client without the cap hears of items, not of tools
    d = g.client()
    run, final = d.turn("agent:main:other", "look " + call("agents_list"))
    streams = {e["stream"] for e in d.events("agent") if e["runId"] == run}
    assert "item" in streams and "tool" not in streams, streams
    # tokens of both answers count
    row = [r for r in c.ask("sessions.list", {})["sessions"] if r["key"] == "agent:main:other"][0]
    assert row["inputTokens"] == 10, row
    b = ask(g, "/metrics")[2].decode()
    assert 'openclaw_tool_calls_total{tool="sessions_list",end="ok"} 1\n' in b, b


def test_dialects(t, api):
    """Words before the calls, several calls, several rounds; both interfaces."""
    conf = config_for(t.fake.url)
    conf["models"]["providers"]["mock"]["api"] = api
    g = t.gateway(conf)
    c = g.client()
    run, final = c.turn("main", "go on " + call("agents_list,session_status", "chunks=3 rounds=3"))
    assert text_of(final["message"]).startswith("result: {") and "word0" not in text_of(final["message"]), final
    h = c.history("main")
    assert roles(h) == ["user"] + ["assistant", "toolResult", "toolResult"] * 3 + ["assistant"], roles(h)
    assert text_of(h[1]).split() == ["word0", "word1", "word2"] and len(parts(h[1], "toolCall")) == 2, h[1]
    assert [m["toolName"] for m in h if m["role"] == "toolResult"] == ["agents_list", "session_status"] * 3, h
    assert len(t.fake.calls("go on [fake call")) == 4
    # the next turn tells the model of them, and goes well
    run, final = c.turn("main", "and now [fake ok chunks=1]")
    last = t.fake.calls("and now [fake ok")[0]["asked"]["messages"]
    if api == "openai-completions":
        assert [m["role"] for m in last if m["role"] != "system"] == \
            ["user"] + ["assistant", "tool", "tool"] * 3 + ["assistant", "user"], last


test_dialects.params = [("openai-completions",), ("anthropic-messages",)]


def test_what_goes_wrong(t):
    """Bad arguments, tools that are not there or not allowed, too many rounds, too many calls: said to the model."""
    conf = config_for(t.fake.url)
    conf["tools"] = {"deny": ["message"]}
    g = t.gateway(conf)
    c = g.client()
    rows = (("tool=sessions_history args={}", "must have required property 'sessionKey'"),
            ("tool=sessions_list args={\"x\":1}", "unexpected property 'x'"),
            ("tool=sessions_list args={", "not a JSON object"),
            ("tool=sessions_list args=3", "not a JSON object"),
            ("tool=no_such_tool args={}", "no such tool"),
            ("tool=exec args={}", "no such tool"),
            ("tool=message args={\"message\":\"hi\"}", "no such tool"),
            ("tool=sessions_send args={\"message\":\"hi\",\"sessionKey\":\"main\"}", "itself"))
    for i, (plan, why) in enumerate(rows):
        run, final = c.turn("agent:main:bad%d" % i if "itself" not in why else "main", "try %d [fake call %s]" % (i, plan))
        h = c.history("agent:main:bad%d" % i if "itself" not in why else "main")
        said_ = json.loads(text_of(h[2]))
        assert h[2]["isError"] and said_["status"] == "error" and why in said_["error"], (plan, h[2])
        assert final["state"] == "final" and final["stopReason"] == "stop", final
    assert "message" not in [x["function"]["name"] for x in t.fake.calls("try 0 ")[0]["asked"]["tools"]]
    run, final = c.turn("agent:main:many", "many " + call(",".join(["agents_list"] * 20)))
    results = [m for m in c.history("agent:main:many") if m["role"] == "toolResult"]
    assert len(results) == 20 and [m["isError"] for m in results] == [False] * 16 + [True] * 4, results
    run, final = c.turn("agent:main:long", "long " + call("agents_list", "rounds=1000"), timeout=120)
    calls = t.fake.calls("long [fake call")
    assert len(calls) == 33 and calls[-1]["asked"]["tool_choice"] == "none" and final["state"] == "final", len(calls)


def test_send_and_wait(t):
    """One agent asks another session and hears its answer; sessions that set each other to work end after a few."""
    g = t.gateway()
    c = g.client()
    run, final = c.turn("agent:main:a", "ask " + call("sessions_send", sessionKey="agent:main:b", message="inner"))
    assert '"status":"ok"' in text_of(final["message"]) and "word0" in text_of(final["message"]), final
    assert c.history("agent:main:b")[0]["content"] == "[Message from session agent:main:a]\ninner"
    text = "the end"
    for i in range(7, 0, -1):
        text = "hop%d " % i + call("sessions_send", sessionKey="agent:main:s%d" % i, message=text, timeoutSeconds=0)
    c.turn("agent:main:s0", text)
    until(lambda: len(c.history("agent:main:s5")) == 4, "the last one's end")
    last = c.history("agent:main:s5")[2]
    assert last["isError"] and "without a person" in text_of(last), last
    assert c.history("agent:main:s6") == []


def test_steer(t):
    """What a person says while tools are done is told with the next question to the model, not after it."""
    g = t.gateway()
    c = g.client()
    run = c.send("agent:main:a", "begin " + call("sessions_send", sessionKey="agent:main:slow", message="slow [fake ok gate=s at=1]"))
    t.fake.wait("slow", "gated")
    second = c.send("agent:main:a", "and also this")
    t.fake.gate("s")
    c.chat(run, ("final",))
    end = c.chat(second, ("final",))
    assert "message" not in end, end
    h = c.history("agent:main:a")
    assert roles(h) == ["user", "assistant", "toolResult", "user", "assistant"], roles(h)
    asked = t.fake.calls("and also this")[0]["asked"]["messages"]
    assert [m["role"] for m in asked if m["role"] != "system"] == ["user", "assistant", "tool", "user"], asked


def test_trust_after_a_kill(t):
    """A turn that somebody else's words came into has that one's tools, also of the hub after this one."""
    g = t.gateway()
    c = g.client()
    d = g.client(scopes=["operator.read", "operator.write"])
    run = c.send("agent:main:a", "begin " + call("sessions_send", sessionKey="agent:main:slow", message="slow [fake ok gate=s at=1]"))
    t.fake.wait("slow", "gated")
    d.send("agent:main:a", "meddle " + call("gateway", "chunks=3 gate=m at=1", action="config.get", path="gateway"))
    t.fake.gate("s")
    (asked,) = t.fake.wait("meddle", "gated")
    assert "gateway" not in [x["function"]["name"] for x in asked["asked"]["tools"]], asked
    g.wait_replaced("hub", g.kill("hub"))
    t.fake.gate("m")
    e = g.client_soon()
    until(lambda: e.ask("agent.wait", {"runId": run, "timeoutMs": 1000})["status"] != "timeout", "the end", timeout=60)
    (said_,) = [m for m in e.history("agent:main:a") if m["role"] == "toolResult" and m["toolName"] == "gateway"]
    assert said_["isError"] and "no such tool" in text_of(said_), said_


def test_abort(t):
    """A turn that waits for a tool is stopped like any other; what the tool set to work goes on."""
    g = t.gateway()
    c = g.client()
    run = c.send("agent:main:a", "begin " + call("sessions_send", sessionKey="agent:main:b", message="slow [fake ok gate=s at=1]"))
    t.fake.wait("slow", "gated")
    assert c.ask("chat.abort", {"sessionKey": "agent:main:a"})["runIds"] == [run]
    end = c.chat(run, ("aborted",))
    assert end["stopReason"] == "rpc", end
    t.fake.gate("s")
    until(lambda: len(c.history("agent:main:b")) == 2, "the answer there")
    run, final = c.turn("agent:main:a", "again [fake ok chunks=1]")
    assert final["state"] == "final", final
    asked = t.fake.calls("again [fake")[0]["asked"]["messages"]
    assert [m["role"] for m in asked if m["role"] != "system"] == ["user", "user"], asked  # a call without its result is not told


def test_time(t):
    """The limit of a turn holds for all of it, tools included."""
    g = t.gateway()
    c = g.client()
    run = c.send("agent:main:a", "begin " + call("sessions_send", sessionKey="agent:main:b", message="slow [fake stall]", timeoutSeconds=60),
                 timeoutMs=1500)
    end = c.chat(run, ("aborted", "error", "final"), timeout=60)
    assert end["state"] == "aborted" and end["stopReason"] == "timeout", end
    c.ask("chat.abort", {"sessionKey": "agent:main:b"})


def test_kill(t, victim):
    """Whoever dies while a tool waits: the message was sent once, its answer is heard, the turn ends once."""
    g = t.gateway()
    c = g.client()
    run = c.send("agent:main:a", "begin " + call("sessions_send", sessionKey="agent:main:b", message="slow [fake ok gate=s at=1 times=1]",
                                                 timeoutSeconds=60))
    t.fake.wait("slow", "gated")
    g.kill(victim)
    t.fake.gate("s")
    d = g.client_soon()
    until(lambda: d.ask("agent.wait", {"runId": run, "timeoutMs": 1000})["status"] != "timeout", "the end", timeout=60)
    assert d.ask("agent.wait", {"runId": run})["status"] == "ok"
    h = d.history("agent:main:a")
    assert roles(h) == ["user", "assistant", "toolResult", "assistant"], (victim, h)
    assert '"status":"ok"' in text_of(h[2]), h[2]
    assert roles(d.history("agent:main:b")) == ["user", "assistant"], d.history("agent:main:b")
    if victim == "hub":  # who was connected saw one end
        c.chat(run, ("final",))
        assert [p["state"] for p in c.chats(run)].count("final") == 1, c.chats(run)


test_kill.params = [("hub",), ("agent",), ("front",)]


def test_openai_interface(t):
    """A client without tools of its own sees one answer; with its own it gets its calls back."""
    g = t.gateway()
    s, doc = chat(g, "look " + call("agents_list"))
    assert s == 200 and doc["choices"][0]["message"]["content"].startswith("result: {"), doc
    assert doc["choices"][0]["finish_reason"] == "stop" and "tool_calls" not in doc["choices"][0]["message"], doc
    s, events, last = stream(g, {"messages": [{"role": "user", "content": "look " + call("agents_list", "chunks=2")}]})
    assert s == 200 and last == "[DONE]" and said(events).startswith("word0 word1"), said(events)
    assert "result: {" in said(events), said(events)


def test_demo(t):
    g = t.gateway({"gateway": {"mode": "local", "bind": "loopback", "auth": {"mode": "token"}}})
    c = g.client()
    run, final = c.turn("main", "What sessions do I have?")
    assert text_of(final["message"]) == "I asked the tool sessions_list. It says:\n\n- agent:main:main", final
