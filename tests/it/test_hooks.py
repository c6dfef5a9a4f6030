"""Hooks: other programs start turns, with a token of their own."""
import json

from client import text_of
from gateway import config_for, until
from test_http import ask

TOKEN = "hook-token-3a8c51d2e84b60ff"


def hooked(t, **more):
    doc = config_for(t.fake.url)
    doc["hooks"] = dict({"enabled": True, "token": TOKEN}, **more)
    return t.gateway(doc)


def post(g, name, body, token=TOKEN, **headers):
    s, h, b = ask(g, "/hooks/" + name, "POST", body, token=token, **headers)
    return s, json.loads(b) if h.get("content-type", "").startswith("application/json") else b


def session_with(g, text):
    c = g.client()
    for row in c.ask("sessions.list", {})["sessions"]:
        h = c.history(row["key"])
        if any(text in text_of(m) for m in h):
            return row["key"], h
    return None


def test_agent(t):
    g = hooked(t)
    s, doc = post(g, "agent", {"message": "mail has come xyzzy", "name": "Mail"})
    assert s == 200 and doc["ok"] and doc["runId"], (s, doc)
    asked = t.fake.wait("xyzzy", "done")[0]["asked"]["messages"][-1]["content"]
    assert "[Mail]" in asked and asked.index("<<<outside>>>") < asked.index("mail has come"), asked
    key, h = until(lambda: session_with(g, "xyzzy"), "the turn is in a session")
    assert key.startswith("agent:main:hook:"), key
    # the same again is the same turn; another text under the same key is another one
    ids = [post(g, "agent", {"message": "once only plugh"}, Idempotency_Key="k1")[1]["runId"] for _ in range(3)]
    ids.append(post(g, "agent", {"message": "once only plugh", "idempotencyKey": "k1"})[1]["runId"])
    assert len(set(ids)) == 1, ids
    assert post(g, "agent", {"message": "another plugh"}, Idempotency_Key="k1")[1]["runId"] != ids[0]
    t.fake.wait("another plugh", "done")
    assert len(t.fake.calls("once only plugh")) == 1
    g.kill("hub")
    until(lambda: ask(g, "/health", token=False)[0] == 200 and post(g, "agent", {"message": "once only plugh"}, Idempotency_Key="k1")[0] == 200,
          "hooks are back")
    assert post(g, "agent", {"message": "once only plugh"}, Idempotency_Key="k1")[1]["runId"] == ids[0]
    assert len(t.fake.calls("once only plugh")) == 1


def test_wake(t):
    g = hooked(t)
    assert post(g, "wake", {"text": "the door bell frotz"}) == (200, {"ok": True, "mode": "now", "eventOutcome": "queued"})
    t.fake.wait("frotz", "done")
    key, h = until(lambda: session_with(g, "frotz"), "it is in the main session")
    assert key == "agent:main:main"
    assert post(g, "wake", {"text": "for later gnusto", "mode": "next-heartbeat"})[1]["mode"] == "next-heartbeat"
    assert any("gnusto" in text_of(m) for m in g.client().history("agent:main:main"))
    assert t.fake.calls("gnusto") == []
    g.client().turn("agent:main:main", "anything new?")
    assert any("gnusto" in str(m["content"]) for m in t.fake.calls("anything new?")[0]["asked"]["messages"])


def test_who(t):
    g = hooked(t)
    body = {"message": "x"}
    assert post(g, "agent", body, token=False)[0] == 401 == post(g, "agent", body, token="wrong")[0]
    assert post(g, "agent", body, token=g.token)[0] == 401  # the gateway's token opens other doors
    assert ask(g, "/v1/models", token=TOKEN)[0] == 401      # and this one only this door
    assert post(g, "agent", body, token=False, X_OpenClaw_Token=TOKEN)[0] == 200
    s, h, b = ask(g, "/hooks/agent?token=" + TOKEN, "POST", body, token=TOKEN)
    assert s == 400, (s, b)
    s, h, b = ask(g, "/hooks/agent", token=TOKEN)
    assert s == 405 and h["allow"] == "POST"
    assert ask(g, "/hooks/agent", "POST", b"x" * (256 * 1024 + 1), token=TOKEN)[0] == 413
    for _ in range(20):
        post(g, "agent", body, token="wrong")
    s, h, b = ask(g, "/hooks/agent", "POST", body, token="wrong")
    assert s == 429 and int(h["retry-after"]) > 0, (s, h)


def test_off_and_refused(t):
    g = t.gateway()
    assert post(g, "agent", {"message": "x"})[0] == 404
    doc = config_for(t.fake.url)
    doc["hooks"] = {"enabled": True}
    code, out = t.new_gateway(doc).run("--check-config")
    assert code == 2 and "hooks.token" in out, out
    doc["hooks"]["token"] = g.token
    code, out = t.new_gateway(doc).run("--check-config")
    assert code == 2 and "hooks.token" in out and "gateway's own" in out, out


def test_mappings(t):
    g = hooked(t, path="/in/", mappings=[
        {"match": {"path": "ci", "source": "forge"}, "messageTemplate": "Build {{payload.build.id}} of {{repo}} {{steps[1].name}} "
         "{{headers.x-event}} {{query.q}} {{path}} {{none}}|{{steps[0]}}", "name": "CI {{repo}}"},
        {"match": {"path": "many"}, "forEach": "items", "messageTemplate": "item {{items[0].n}} grue"},
        {"match": {"path": "bell"}, "action": "wake", "textTemplate": "ding {{who}}"},
        {"match": {"path": "js"}, "messageTemplate": "x", "transform": {"module": "x.js"}},
        {"match": {"path": "key"}, "messageTemplate": "x", "sessionKey": "hook:{{id}}"}], presets=["gmail"])
    post = lambda name, body, **kw: (lambda r: (r[0], r[2]))(ask(g, "/in/" + name, "POST", body, token=TOKEN, **kw))
    s, b = post("ci?q=a%20b", {"source": "forge", "repo": "kiln", "build": {"id": 7}, "steps": [{"a": 1}, {"name": "lint"}]}, X_Event="push")
    assert s == 200, b
    asked = t.fake.wait("Build 7", "done")[0]["asked"]["messages"][-1]["content"]
    assert 'Build 7 of kiln lint push a b ci |{"a":1}' in asked and "[CI kiln]" in asked, asked
    assert post("ci", {"source": "other"})[0] == 404 and post("nothing", {})[0] == 404
    s, b = post("many", {"items": [{"n": 1}, {"n": 2}, {"n": 3}]})
    assert s == 200 and json.loads(b)["dispatched"] == 3 and len(json.loads(b)["runIds"]) == 3, b
    t.fake.wait("grue", "done", count=3)
    assert post("many", {"items": []})[0] == 204 == post("many", {})[0]
    assert json.loads(post("bell", {"who": "dong"})[1])["eventOutcome"] == "queued"
    t.fake.wait("ding dong", "done")
    assert post("js", {})[0] == 501
    assert post("key", {"id": "a"})[0] == 400  # made of the payload: not allowed
    s, b = post("gmail", {"messages": []})
    assert s == 204, (s, b)
    assert ask(g, "/hooks/agent", "POST", {"message": "x"}, token=TOKEN)[0] == 404


def test_sessions_and_agents(t):
    g = hooked(t, allowRequestSessionKey=True, allowedSessionKeyPrefixes=["hook:", "ops"], allowedAgentIds=["main"])
    assert post(g, "agent", {"message": "a1 zorkmid", "sessionKey": "ops-1", "sessionMode": "persistent"})[0] == 200
    t.fake.wait("a1 zorkmid", "done")
    assert post(g, "agent", {"message": "a2 zorkmid", "sessionKey": "ops-1", "sessionMode": "persistent"})[0] == 200
    t.fake.wait("a2 zorkmid", "done")
    h = until(lambda: (lambda x: x if len(x) == 4 else None)(g.client().history("agent:main:ops-1")), "both are in one session")
    for bad in ({"sessionKey": "other"}, {"agentId": "nobody"}, {"channel": "fake"}, {"channel": "fake", "to": "1"}, {"sessionMode": "x"}):
        s, doc = post(g, "agent", dict({"message": "x"}, **bad))
        assert s == 400 and doc["ok"] is False and doc["error"], (bad, s, doc)
    assert post(g, "agent", {})[1]["error"] == "message required" and post(g, "wake", {})[1]["error"] == "text required"
    assert post(g, "agent", b"[]")[0] == 400 == post(g, "agent", b"{")[0]
