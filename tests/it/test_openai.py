"""OpenAI's interface: a request is a turn, an answer or a stream of it."""
import http.client
import json
import socket
import threading
import time

from client import text_of
from gateway import config_for, until
from test_http import ask
from ws import WAIT

PATH = "/v1/chat/completions"
TOOLS = [{"type": "function", "function": {"name": "look", "description": "Looks.",
                                           "parameters": {"type": "object", "properties": {"x": {"type": "number"}}}}}]


def chat(g, text, **more):
    messages = [{"role": "user", "content": text}] if isinstance(text, str) else text
    s, h, b = ask(g, PATH, "POST", dict({"model": "openclaw", "messages": messages}, **more))
    return s, json.loads(b)


def stream(g, body, path=PATH, **headers):
    """(status, events as documents, the last line)"""
    s, h, b = ask(g, path, "POST", dict(body, stream=True), **headers)
    if s != 200:
        return s, [], b
    assert h["content-type"].startswith("text/event-stream"), h
    data = [l[6:] for l in b.decode().split("\n") if l.startswith("data: ")]
    return s, [json.loads(d) for d in data[:-1]], data[-1]


def said(events):
    return "".join(c["delta"].get("content", "") for e in events for c in e.get("choices", []))


def test_answer(t):
    g = t.gateway()
    s, doc = chat(g, "hello there [fake ok chunks=3]")
    assert s == 200 and doc["object"] == "chat.completion" and doc["id"].startswith("chatcmpl_"), doc
    c = doc["choices"][0]
    assert c["message"] == {"role": "assistant", "content": "word0 word1 word2 "} or \
        c["message"]["content"].split() == ["word0", "word1", "word2"], doc
    assert c["finish_reason"] == "stop" and doc["model"] == "openclaw", doc
    assert doc["usage"] == {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13}, doc
    # it is a turn of a session of its own, in the history like every other
    rows = g.client().ask("sessions.list", {})["sessions"]
    keys = [r["key"] for r in rows if ":openai:" in r["key"]]
    assert len(keys) == 1, rows
    h = g.client().history(keys[0])
    assert [m["role"] for m in h] == ["user", "assistant"] and "hello there" in text_of(h[0]), h


def test_stream(t):
    g = t.gateway()
    s, events, last = stream(g, {"messages": [{"role": "user", "content": "go [fake ok chunks=5 delay=20]"}],
                                 "stream_options": {"include_usage": True}})
    assert s == 200 and last == "[DONE]", (s, last)
    assert events[0]["choices"][0]["delta"] == {"role": "assistant"}, events[0]
    assert said(events).split() == ["word%d" % i for i in range(5)], events
    assert events[-2]["choices"][0]["finish_reason"] == "stop" and events[-1]["choices"] == [], events[-2:]
    assert events[-1]["usage"]["total_tokens"] == 15 and len({e["id"] for e in events}) == 1
    # it comes as the model speaks, not at the end
    c = http.client.HTTPConnection("127.0.0.1", g.port, timeout=WAIT)
    c.request("POST", PATH, json.dumps({"stream": True, "messages": [{"role": "user", "content": "wait [fake ok gate=a at=1]"}]}),
              {"Authorization": "Bearer " + g.token})
    r = c.getresponse()
    got = b""
    while b"word0" not in got:
        got += r.read1(65536)
    assert b"[DONE]" not in got
    t.fake.gate("a")
    assert (got + r.read()).rstrip().endswith(b"[DONE]")


def test_conversation(t):
    """What the client brings is what the model sees; a user's session goes on without it."""
    g = t.gateway()
    s, doc = chat(g, [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "one"},
                      {"role": "assistant", "content": "uno"}, {"role": "developer", "content": "Be kind."},
                      {"role": "user", "content": [{"type": "text", "text": "two xyzzy"}]}], temperature=0.5, max_tokens=77)
    assert s == 200, doc
    asked = t.fake.calls("two xyzzy")[0]["asked"]
    assert [(m["role"], m["content"]) for m in asked["messages"]] == [
        ("system", "Be brief.\n\nBe kind."), ("user", "one"), ("assistant", "uno"), ("user", "two xyzzy")], asked
    assert asked["temperature"] == 0.5 and asked["max_tokens"] == 77, asked
    assert chat(g, "my name is Bo", user="u1")[0] == 200
    assert chat(g, "and what is it plugh", user="u1")[0] == 200
    asked = t.fake.calls("plugh")[0]["asked"]
    assert [m["role"] for m in asked["messages"]] == ["user", "assistant", "user"], asked
    s, h, b = ask(g, PATH, "POST", {"messages": [{"role": "user", "content": "frobozz"}]}, x_openclaw_session_key="mine")
    assert s == 200 and [m["role"] for m in g.client().history("agent:main:mine")] == ["user", "assistant"]
    assert ask(g, PATH, "POST", {"messages": [{"role": "user", "content": "x"}]}, x_openclaw_session_key="cron:1")[0] == 400


def tools_round(t, g):
    first = [{"role": "user", "content": "see [fake call chunks=2]"}]
    s, doc = chat(g, first, tools=TOOLS)
    m = doc["choices"][0]["message"]
    assert s == 200 and doc["choices"][0]["finish_reason"] == "tool_calls", doc
    assert m["tool_calls"] == [{"id": "call_0", "type": "function", "function": {"name": "look", "arguments": '{"x":1}'}}], m
    assert m["content"].split() == ["word0", "word1"], m
    s, doc = chat(g, first + [m, {"role": "tool", "tool_call_id": "call_0", "content": "a bird"}], tools=TOOLS)
    assert s == 200 and doc["choices"][0]["message"]["content"] == "result: a bird", doc
    s, events, last = stream(g, {"messages": [{"role": "user", "content": "[fake call]"}], "tools": TOOLS, "tool_choice": "required"})
    calls = [c for e in events for ch in e["choices"] for c in ch["delta"].get("tool_calls", [])]
    assert [(c["index"], c["function"]["name"], c["function"]["arguments"]) for c in calls] == [(0, "look", '{"x":1}')], events
    assert events[-1]["choices"][0]["finish_reason"] == "tool_calls" and last == "[DONE]"
    # who must call and does not
    s, doc = chat(g, "no [fake ok]", tools=TOOLS, tool_choice={"type": "function", "function": {"name": "look"}})
    assert s == 502 and doc["error"]["type"] == "api_error", doc


def test_tools(t):
    tools_round(t, t.gateway())


def test_tools_anthropic(t):
    doc = config_for(t.fake.url)
    doc["agents"]["defaults"]["model"]["primary"] = "anthro/mock-1"
    tools_round(t, t.gateway(doc))


def test_images(t):
    g = t.gateway()
    url = "data:image/png;base64,iVBORw0KGgo="
    s, doc = chat(g, [{"role": "user", "content": [{"type": "text", "text": "what is this quux"},
                                                    {"type": "image_url", "image_url": {"url": url}}]}])
    assert s == 200, doc
    parts = t.fake.calls("quux")[0]["asked"]["messages"][0]["content"]
    assert [p["type"] for p in parts] == ["text", "image_url"] and parts[1]["image_url"]["url"] == url, parts
    s, doc = chat(g, [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}},
                                                    {"type": "text", "text": "with a user garply"}]}], user="bo")
    parts = t.fake.calls("garply")[0]["asked"]["messages"]
    assert s == 200 and any(p["type"] == "image_url" for m in parts if isinstance(m["content"], list) for p in m["content"]), parts
    for bad in ("http://example.com/x.png", "data:image/svg+xml;base64,AAAA", "data:image/png;base64,A", "data:image/png,xx"):
        s, doc = chat(g, [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": bad}}]}])
        assert s == 400 and doc["error"]["type"] == "invalid_request_error", (bad, doc)


def test_models(t):
    g = t.gateway()
    s, h, b = ask(g, "/v1/models")
    doc = json.loads(b)
    assert s == 200 and [m["id"] for m in doc["data"]] == ["openclaw", "openclaw/default", "openclaw/main"], doc
    assert doc["data"][0] == {"id": "openclaw", "object": "model", "created": 0, "owned_by": "openclaw", "permission": []}
    assert json.loads(ask(g, "/v1/models/openclaw%2Fdefault")[2])["id"] == "openclaw/default"
    assert json.loads(ask(g, "/v1/models/openclaw/main")[2])["id"] == "openclaw/main"
    for bad in ("x", "openclaw%2Fnobody", "%zz", "openclaw%00", "openclaw%2"):
        s, h, b = ask(g, "/v1/models/" + bad)
        assert s == 400 and json.loads(b)["error"]["message"] == "Invalid model id.", (bad, s, b)


def test_agents_and_models(t):
    doc = config_for(t.fake.url)
    doc["agents"]["list"] = [{"id": "main", "default": True}, {"id": "other", "model": {"primary": "anthro/mock-1"}}]
    g = t.gateway(doc)
    for i, model in enumerate(("openclaw/other", "openclaw:other", "agent:other")):
        assert chat(g, "who zork%d" % i, model=model)[0] == 200, model
        assert t.fake.calls("zork%d" % i)[0]["dialect"] == "anthropic", model
    assert chat(g, "who", model="openclaw/nobody")[0] == 400
    body = {"messages": [{"role": "user", "content": "header xyz1"}]}
    assert ask(g, PATH, "POST", body, x_openclaw_agent_id="other")[0] == 200
    assert t.fake.calls("header xyz1")[0]["dialect"] == "anthropic"
    body = {"messages": [{"role": "user", "content": "header xyz2"}]}
    assert ask(g, PATH, "POST", body, x_openclaw_model="anthro/mock-1")[0] == 200
    assert t.fake.calls("header xyz2")[0]["dialect"] == "anthropic"
    assert ask(g, PATH, "POST", body, x_openclaw_model="no/such")[0] == 400


def test_bad_requests(t):
    g = t.gateway()
    user = [{"role": "user", "content": "x"}]
    for body in ([], "x", {}, {"messages": []}, {"messages": "x"}, {"messages": [1]}, {"messages": [{"role": "boss", "content": "x"}]},
                 {"messages": [{"role": "assistant", "content": "x"}]}, {"messages": [{"role": "user", "content": 7}]},
                 {"messages": [{"role": "user", "content": ""}]}, {"messages": [{"role": "user", "content": [{"type": "audio"}]}]},
                 {"messages": user, "model": 5}, {"messages": user, "stream": "yes"}, {"messages": user, "n": 2},
                 {"messages": user, "temperature": 3}, {"messages": user, "temperature": "hot"}, {"messages": user, "max_tokens": 0},
                 {"messages": user, "max_tokens": 1.5}, {"messages": user, "stop": ["a", "b", "c", "d", "e"]},
                 {"messages": user, "stop": [""]}, {"messages": user, "tools": {}}, {"messages": user, "tools": [{"type": "custom"}]},
                 {"messages": user, "tools": [{"type": "function", "function": {"name": "a b"}}]},
                 {"messages": user, "tool_choice": "required"}, {"messages": user, "tools": TOOLS, "tool_choice": "always"},
                 {"messages": user, "tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "other"}}},
                 {"messages": user + [{"role": "tool", "content": "x"}]},
                 {"messages": user + [{"role": "assistant", "tool_calls": [{"function": {"name": "x"}}]}]}):
        s, h, b = ask(g, PATH, "POST", json.dumps(body))
        doc = json.loads(b)
        assert s == 400 and doc["error"]["type"] == "invalid_request_error" and doc["error"]["message"], (body, s, b)
    assert ask(g, PATH, "POST", b"{")[0] == 400 and ask(g, PATH, "GET")[0] == 405
    assert ask(g, PATH, "POST", {"messages": user}, token=False)[0] == 401
    assert t.fake.call("GET", "/log")[1] == []  # none of them reached a model


def test_off_by_default(t):
    doc = config_for(t.fake.url)
    del doc["gateway"]["http"]
    g = t.gateway(doc)
    assert ask(g, PATH, "POST", {"messages": [{"role": "user", "content": "x"}]})[0] == 404 == ask(g, "/v1/models")[0]


def test_failures(t):
    g = t.gateway()
    for fault, status, kind in (("429", 429, "rate_limit_error"), ("500", 502, "api_error"), ("400", 400, "invalid_request_error"),
                                ("401", 502, "api_error")):
        s, h, b = ask(g, PATH, "POST", {"messages": [{"role": "user", "content": "bad [fake %s]" % fault}]})
        doc = json.loads(b)
        assert (s, doc["error"]["type"], h["x-should-retry"]) == (status, kind, "false"), (fault, s, doc)
    s, events, last = stream(g, {"messages": [{"role": "user", "content": "bad [fake cut chunks=3 delay=100]"}]})
    assert s == 200 and "error" in events[-1] and last == "[DONE]", events
    words = said(events).split()  # what came just before the cut may be lost with it
    assert words and words == ["word0", "word1", "word2"][:len(words)], events


def test_abort(t):
    """Who leaves stops the turn, with a stream and without."""
    g = t.gateway()
    for i, body in enumerate(({"stream": True}, {})):
        body["messages"] = [{"role": "user", "content": "leave%d [fake ok gate=never at=1]" % i}]
        c = http.client.HTTPConnection("127.0.0.1", g.port, timeout=WAIT)
        c.request("POST", PATH, json.dumps(body), {"Authorization": "Bearer " + g.token})
        t.fake.wait("leave%d" % i, "gated")
        c.close()
        t.fake.wait("leave%d" % i, "gone")
    assert chat(g, "still there?")[0] == 200


def test_many_streams(t):
    g = t.gateway(config_for(t.fake.url))
    out = [None] * 20

    def one(i):
        out[i] = stream(g, {"messages": [{"role": "user", "content": "number%d [fake ok chunks=20 delay=5 text=n%d_]" % (i, i)}]})
    threads = [threading.Thread(target=one, args=(i,)) for i in range(20)]
    for x in threads:
        x.start()
    for x in threads:
        x.join()
    for i, (s, events, last) in enumerate(out):
        assert s == 200 and last == "[DONE]" and said(events).split() == ["n%d_%d" % (i, k) for k in range(20)], (i, s, last)


def test_slow_reader(t):
    """A client that does not read costs a window, not memory; what it reads later is whole."""
    g = t.gateway()
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect(("127.0.0.1", g.port))
    body = json.dumps({"stream": True, "messages": [{"role": "user", "content": "much [fake ok chunks=40000 text=abcdefghijkl]"}]})
    s.sendall(("POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"
               % (PATH, g.token, len(body), body)).encode())
    t.fake.wait("much", "done", timeout=60)
    assert chat(g, "others are served")[0] == 200
    got = bytearray()
    while True:
        part = s.recv(1 << 20)
        if not part:
            break
        got += part
    text = b"".join(got.split(b"\r\n\r\n", 1)[1].split(b"\r\n")[1::2]).decode()
    events = [json.loads(l[6:]) for l in text.split("\n") if l.startswith("data: {")]
    assert said(events).split() == ["abcdefghijkl%d" % i for i in range(40000)] and "[DONE]" in text


def test_hub_dies(t):
    """What was not answered is said to be so; the next request is."""
    g = t.gateway()
    c = http.client.HTTPConnection("127.0.0.1", g.port, timeout=WAIT)
    c.request("POST", PATH, json.dumps({"messages": [{"role": "user", "content": "dies [fake ok gate=z at=1]"}]}),
              {"Authorization": "Bearer " + g.token})
    t.fake.wait("dies", "gated")
    hub = g.worker("hub")
    g.kill("hub")
    r = c.getresponse()
    assert r.status == 503 and r.getheader("Retry-After"), r.status
    t.fake.gate("z")
    g.wait_replaced("hub", hub)
    until(lambda: ask(g, "/v1/models")[0] == 200, "the API is back")
    assert chat(g, "again")[0] == 200


def test_responses(t):
    """Shapes and rules of /v1/responses; the official package is held against it in tests/conformance/openai.mjs."""
    g = t.gateway()
    path = "/v1/responses"
    s, h, b = ask(g, path, "POST", {"input": "one shazam [fake ok chunks=2]", "max_output_tokens": 50})
    doc = json.loads(b)
    assert s == 200 and doc["id"].startswith("resp_") and doc["status"] == "completed", doc
    assert doc["output"][0]["content"][0]["text"].split() == ["word0", "word1"], doc
    assert doc["usage"]["total_tokens"] == 12 and t.fake.calls("shazam")[0]["asked"]["max_tokens"] == 50
    s, h, b = ask(g, path, "POST", {"input": "two kapow", "previous_response_id": doc["id"]})
    assert s == 200 and [m["role"] for m in t.fake.calls("kapow")[0]["asked"]["messages"]] == ["user", "assistant", "user"]
    s, events, last = stream(g, {"input": "three [fake ok chunks=2]"}, path)
    assert [e["sequence_number"] for e in events] == list(range(len(events))) and last == "[DONE]", events
    assert events[-1]["type"] == "response.completed" and events[-1]["response"]["output"][0]["status"] == "completed"
    s, events, last = stream(g, {"input": "four [fake cut chunks=2 delay=100]"}, path)
    assert events[-1]["type"] == "response.failed" and events[-1]["response"]["error"]["code"] == "api_error", events[-1]
    for body in ({}, {"input": []}, {"input": 1}, {"input": [1]}, {"input": [{"type": "x"}]}, {"input": [{"role": "boss", "content": "x"}]},
                 {"input": "x", "tools": [{"type": "web_search"}]}, {"input": "x", "max_output_tokens": 0}, {"input": "x", "stream": 1},
                 {"input": "x", "previous_response_id": "resp_00000000-0000-0000-0000-000000000000"},
                 {"input": [{"type": "function_call", "name": "x"}]}, {"input": "x", "instructions": 5},
                 {"input": [{"type": "function_call_output", "output": "x"}]}):
        s, h, b = ask(g, path, "POST", body)
        assert s == 400 and json.loads(b)["error"]["type"] == "invalid_request_error", (body, s, b)
