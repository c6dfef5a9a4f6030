"""Tools: who may use which, and what they do when they are asked for by name."""
import json

from gateway import config_for, until
from test_http import ask

PATH = "/tools/invoke"


def invoke(g, tool, args=None, status=200, token=True, **more):
    s, h, b = ask(g, PATH, "POST", dict({"tool": tool, "args": args or {}}, **more), token=token)
    doc = json.loads(b)
    assert s == status and doc["ok"] == (status == 200), (tool, s, doc)
    if status != 200:
        return doc["error"]
    (part,) = doc["result"]["content"]
    assert part["type"] == "text" and json.loads(part["text"]) == doc["result"]["details"], doc
    return doc["result"]["details"]


def test_invoke(t):
    g = t.gateway()
    c = g.client()
    c.turn("agent:main:one", "the first thing [fake ok chunks=2]")
    c.turn("agent:main:two", "another thing [fake ok chunks=2]")
    rows = invoke(g, "sessions_list")
    assert [r["key"] for r in rows["sessions"]] == ["agent:main:two", "agent:main:one"], rows
    assert rows["count"] == 2 and rows["hasMore"] is False and "visibility" not in rows, rows
    one = rows["sessions"][1]
    assert (one["agentId"], one["kind"], one["channel"], one["hasActiveRun"]) == ("main", "other", "webchat", False), one
    page = invoke(g, "sessions_list", {"limit": 1})
    assert page["hasMore"] and [r["key"] for r in page["sessions"]] == ["agent:main:two"], page
    page = invoke(g, "sessions_list", {"limit": 1, "offset": page["nextOffset"], "includeLastMessage": True, "messageLimit": 5})
    (row,) = page["sessions"]
    assert row["key"] == "agent:main:one" and row["lastMessagePreview"] == "word0 word1", row
    assert [m["role"] for m in row["messages"]] == ["user", "assistant"], row
    assert invoke(g, "sessions_list", {"search": "FIRST"})["count"] == 1
    assert invoke(g, "sessions_list", {"activeOnly": True})["count"] == 0
    assert invoke(g, "sessions_list", {"kinds": ["group"]})["count"] == 0

    said = invoke(g, "sessions_history", {"sessionKey": "agent:main:one"})
    assert [m["role"] for m in said["messages"]] == ["user", "assistant"] and said["totalMessages"] == 2, said
    assert said["messages"][0]["content"][0]["text"].startswith("the first thing"), said
    last = invoke(g, "sessions_history", {"sessionKey": "one", "limit": 1})
    assert last["hasMore"] and last["nextOffset"] == 1 and last["messages"][0]["role"] == "assistant", last
    assert "There is no session" in invoke(g, "sessions_history", {"sessionKey": "nowhere"}, 400)["message"]

    st = invoke(g, "session_status", {"sessionKey": "agent:main:one"})
    assert st["sessionKey"] == "agent:main:one" and st["model"] == "mock-1" and "No turn" in st["statusText"], st
    assert invoke(g, "session_status", sessionKey="agent:main:two")["sessionKey"] == "agent:main:two"
    assert invoke(g, "agents_list")["agents"][0]["id"] == "main"

    # what is wrong is said
    assert "sessionKey" in invoke(g, "sessions_history", {}, 400)["message"]
    assert "unexpected property" in invoke(g, "sessions_list", {"x": 1}, 400)["message"]
    e = invoke(g, "no_such", status=404)
    assert e == {"type": "not_found", "message": "Tool not available: no_such"}, e
    assert invoke(g, "exec", {"command": "id"}, 404)["type"] == "not_found"
    assert invoke(g, "", status=400) == {"type": "invalid_request", "message": "tools.invoke requires name"}
    assert invoke(g, "sessions_list", status=400, sessionKey="agent:nobody:main")["type"] == "invalid_request"
    assert ask(g, PATH, "POST", "[1]")[0] == ask(g, PATH, "POST", "{")[0] == 400
    assert ask(g, PATH, "POST", {"tool": "agents_list"}, token="wrong")[0] == 401
    assert ask(g, PATH)[0] == 405


def test_titles_and_pages(t):
    """A title with quotes stays one; whoever pages through a long session with tools misses nothing."""
    g = t.gateway()
    c = g.client()
    title = 'Say "hi" \\ and go'
    c.turn("agent:main:q", title + " [fake ok chunks=1]")
    (row,) = invoke(g, "sessions_list")["sessions"]
    assert row["displayName"].startswith(title), row
    assert invoke(g, "sessions_list", {"search": "and go"})["count"] == 1
    (row,) = c.ask("sessions.list", {"search": "and go"})["sessions"]
    assert row["displayName"].startswith(title), row
    for i in range(20):
        c.turn("agent:main:long", "n%d [fake call tool=agents_list args={}] " % i + "x" * 5000)
    seen, offset = [], 0
    while True:
        page = invoke(g, "sessions_history", {"sessionKey": "agent:main:long", "limit": 1000, "offset": offset})
        seen = [m["content"][0]["text"].split()[0] for m in page["messages"] if m["role"] == "user"] + seen
        if not page["hasMore"]:
            break
        assert page["nextOffset"] > offset, page["nextOffset"]
        offset = page["nextOffset"]
    assert offset and seen == ["n%d" % i for i in range(20)], (offset, seen)


def test_invoke_policy(t):
    """Lists of tools, of an agent, of HTTP; changed while it runs."""
    conf = config_for(t.fake.url)
    conf["tools"] = {"deny": ["agents_list"]}
    conf["agents"]["list"] = [{"id": "main", "default": True}, {"id": "small", "tools": {"profile": "minimal"}}]
    g = t.gateway(conf)
    invoke(g, "agents_list", status=404)
    invoke(g, "sessions_list")
    invoke(g, "sessions_list", status=404, agentId="small")
    invoke(g, "session_status", agentId="small")
    for closed in ("sessions_send", "gateway"):
        invoke(g, closed, status=404)
    conf["gateway"]["tools"] = {"allow": ["gateway"], "deny": ["sessions_*"]}
    conf["tools"] = {}
    g.write_config(conf)
    until(lambda: "agents" in json.loads(ask(g, PATH, "POST", {"tool": "agents_list"})[2]).get("result", {}).get("details", {}),
          "the new configuration")
    got = invoke(g, "gateway", {"path": "gateway.tools.allow"}, action="config.get")
    assert got == {"path": "gateway.tools.allow", "value": ["gateway"]}, got
    invoke(g, "sessions_list", status=404)
    invoke(g, "agents_list")
    what = invoke(g, "gateway", {"path": "gateway.port"}, action="config.schema.lookup")
    assert what["schema"]["maximum"] == 65535, what
    assert "no setting" in invoke(g, "gateway", {"action": "config.schema.lookup", "path": "no.such"}, 400)["message"]
    whole = json.dumps(invoke(g, "gateway", {"path": "models"}, action="config.get"))
    assert "mock" in whole and "MOCK_KEY" not in whole.replace("${MOCK_KEY}", ""), whole


def test_send_by_name(t):
    """sessions_send, opened: a turn there, waited for or not; the same key is the same message."""
    conf = config_for(t.fake.url)
    conf["gateway"]["tools"] = {"allow": ["sessions_send"]}
    g = t.gateway(conf)
    c = g.client()
    got = invoke(g, "sessions_send", {"sessionKey": "agent:main:other", "message": "over to you [fake ok chunks=2]"})
    assert got["status"] == "ok" and got["reply"].split() == ["word0", "word1"], got
    said = c.history("agent:main:other")
    assert said[0]["content"].startswith("[Message from session agent:main:main]\nover to you"), said
    # not waited for, and twice with the same key
    ask_ = lambda: invoke(g, "sessions_send", {"sessionKey": "other", "message": "later [fake ok gate=l at=1]", "timeoutSeconds": 0},
                          idempotencyKey="k1")
    first = ask_()
    assert first["status"] == "accepted" and ask_()["runId"] == first["runId"], first
    t.fake.wait("later", "gated")
    # waited for in vain
    late = invoke(g, "sessions_send", {"sessionKey": "other", "message": "after that [fake ok]", "timeoutSeconds": 1})
    assert late["status"] == "timeout", late
    t.fake.gate("l")
    assert c.ask("agent.wait", {"runId": first["runId"]})["status"] == "ok"
    assert len(t.fake.calls("later")) == 1
    assert ask_() ["status"] == "ok"  # that turn is over, and its answer is known
    assert "needed" in invoke(g, "sessions_send", {"message": "x"}, 400)["message"]
    assert "itself" in invoke(g, "sessions_send", {"sessionKey": "main", "message": "x"}, 400)["message"]
    assert "no session with the label" in invoke(g, "sessions_send", {"label": "zz", "message": "x"}, 400)["message"]


def test_visibility(t):
    conf = config_for(t.fake.url)
    conf["agents"]["list"] = [{"id": "main", "default": True}, {"id": "b"}]
    conf["tools"] = {"agentToAgent": {"enabled": False}}
    g = t.gateway(conf)
    c = g.client()
    for key in ("agent:main:main", "agent:main:x", "agent:b:main"):
        c.turn(key, "hello [fake ok chunks=1]")
    keys = lambda **more: sorted(r["key"] for r in invoke(g, "sessions_list", **more)["sessions"])
    assert keys() == ["agent:main:main", "agent:main:x"]
    assert keys(agentId="b") == ["agent:b:main"]
    assert "cannot be reached" in invoke(g, "sessions_history", {"sessionKey": "agent:b:main"}, 403)["message"]
    assert [a["id"] for a in invoke(g, "agents_list")["agents"]] == ["main"]
    for mode, here, want in (("self", "agent:main:x", ["agent:main:x"]), ("tree", "agent:main:x", ["agent:main:x"]),
                             ("tree", "main", ["agent:main:main", "agent:main:x"]),
                             ("agent", "agent:main:x", ["agent:main:main", "agent:main:x"]),
                             ("all", "agent:b:main", ["agent:b:main", "agent:main:main", "agent:main:x"])):
        conf["tools"] = {"sessions": {"visibility": mode}}
        g.write_config(conf)
        until(lambda: keys(sessionKey=here) == want, "%s from %s" % (mode, here))


def test_methods(t):
    conf = config_for(t.fake.url)
    conf["tools"] = {"profile": "messaging"}
    g = t.gateway(conf)
    c = g.client()
    cat = c.ask("tools.catalog", {})
    tools = {x["id"]: x for grp in cat["groups"] for x in grp["tools"]}
    assert cat["agentId"] == "main" and {p["id"] for p in cat["profiles"]} == {"minimal", "coding", "messaging", "full"}, cat
    assert "messaging" in tools["message"]["defaultProfiles"] and "exec" not in tools, tools
    eff = c.ask("tools.effective", {"sessionKey": "main"})
    names = {x["id"] for grp in eff["groups"] for x in grp["tools"]}
    assert eff["profile"] == "messaging" and "message" in names and "agents_list" not in names, eff
    got = c.ask("tools.invoke", {"name": "session_status", "args": {}})
    assert got["ok"] and got["toolName"] == "session_status" and got["output"]["details"]["ok"], got
    assert c.ask("tools.invoke", {"name": "agents_list"})["error"]["code"] == "not_found"
    assert c.ask("tools.invoke", {"name": "sessions_list", "args": {"x": 1}})["ok"] is False
    assert "must have required property 'name'" in c.refused("tools.invoke", {}).message
