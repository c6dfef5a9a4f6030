"""OpenAI's interface: a request is a turn, an answer or a stream of it."""
import base64
import http.client
import json
import os
import socket
import struct
import sys
import threading
import time

from client import text_of
from gateway import config_for, until
from test_http import ask
from ws import WAIT

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fake"))
from files import Files, body  # noqa: E402

PATH = "/v1/chat/completions"
TOOLS = [{"type": "function", "function": {"name": "look", "description": "Looks.",
                                           "parameters": {"type": "object", "properties": {"x": {"type": "number"}}}}}]


def chat(g, text, **more):
    messages = [{"role": "user", "content": text}] if isinstance(text, str) else text
    s, h, b = ask(g, PATH, "POST", dict({"model": "openclaw", "messages": messages}, **more))
    try:
        return s, json.loads(b)
    except ValueError:
        raise AssertionError((s, h, b))


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
    # the picture is the message's: in the history, and told again with the next one
    c = g.client()
    said = c.history("agent:main:openai-user:bo")[0]
    assert said["content"] == "with a user garply" and said["__openclaw"]["media"][0]["contentType"] == "image/png", said
    s, doc = chat(g, "and once more waldo", user="bo")
    parts = t.fake.calls("waldo")[0]["asked"]["messages"]
    assert s == 200 and sum(p["type"] == "image_url" for m in parts if isinstance(m["content"], list) for p in m["content"]) == 1, parts
    s, doc = chat(g, [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}], user="fred")
    assert s == 200 and c.history("agent:main:openai-user:fred")[0]["content"] == "", doc
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


EMBED = "/v1/embeddings"


def embed(g, texts, model="openclaw", headers=None, **more):
    s, h, b = ask(g, EMBED, "POST", dict({"model": model, "input": texts}, **more), **(headers or {}))
    return s, json.loads(b), h


def embed_gateway(t, **search):
    doc = config_for(t.fake.url)
    doc["memory"] = {"search": dict({"provider": "mock", "model": "vec-1"}, **search)}
    doc["agents"]["list"] = [{"id": "main", "default": True}, {"id": "small", "memory": {"search": {"model": "vec-2", "outputDimensionality": 3}}},
                             {"id": "claude", "memory": {"search": {"provider": "anthro"}}}]
    return t.gateway(doc)


def test_embeddings(t):
    """Vectors through an agent's provider; many texts in several requests, in their order; floats or base64."""
    g = embed_gateway(t)
    s, doc, h = embed(g, "four xyzzy")
    assert s == 200 and doc["object"] == "list" and doc["model"] == "openclaw", doc
    assert [(d["object"], d["index"], len(d["embedding"]), d["embedding"][0]) for d in doc["data"]] == [("embedding", 0, 8, 10.0)], doc
    assert doc["usage"] == {"prompt_tokens": 10, "total_tokens": 10}, doc
    asked = t.fake.calls("four xyzzy")[0]
    assert asked["model"] == "vec-1" and asked["auth"] and asked["asked"]["encoding_format"] == "float", asked
    assert "dimensions" not in asked["asked"]
    texts = ["x" * (i + 1) for i in range(128)]
    s, doc, h = embed(g, texts, dimensions=4, encoding_format="base64")
    flat = [struct.unpack("<4f", base64.b64decode(d["embedding"])) for d in doc["data"]]
    assert s == 200 and [v[0] for v in flat] == [float(i + 1) for i in range(128)], doc
    assert doc["usage"]["total_tokens"] == sum(range(129))
    s, doc, h = embed(g, ["longer than the others [fake turned]", "x"])
    assert [d["embedding"][0] for d in doc["data"]] == [36.0, 1.0], doc
    # an agent's own model and length; a header names another model of the same provider
    s, doc, h = embed(g, "plugh", "openclaw/small")
    assert s == 200 and len(doc["data"][0]["embedding"]) == 3 and doc["model"] == "openclaw/small", doc
    assert t.fake.calls("plugh")[0]["model"] == "vec-2"
    s, doc, h = embed(g, "plover", headers={"x_openclaw_model": "mock/vec-9", "x_openclaw_agent_id": "small"})
    assert s == 200 and t.fake.calls("plover")[0]["model"] == "vec-9"
    assert g.client().ask("sessions.list", {})["sessions"] == []


def test_embeddings_refused(t):
    g = embed_gateway(t)
    for body, word in (({}, "Missing `model`"), ({"model": "gpt-4", "input": "x"}, "openclaw/<agentId>"),
                       ({"model": "openclaw", "input": []}, "non-empty"), ({"model": "openclaw"}, "string"),
                       ({"model": "openclaw", "input": ""}, "non-empty"), ({"model": "openclaw", "input": ["a", ""]}, "non-empty"),
                       ({"model": "openclaw", "input": [[1, 2]]}, "string"), ({"model": "openclaw", "input": [1]}, "string"),
                       ({"model": "openclaw", "input": {"a": "b"}}, "string"),
                       ({"model": "openclaw", "input": "x" * 8193}, "max 8192"), ({"model": "openclaw", "input": ["x"] * 129}, "max 128"),
                       ({"model": "openclaw", "input": ["x" * 8000] * 9}, "max 65536"),
                       ({"model": "openclaw", "input": "x", "dimensions": 0}, "dimensions"),
                       ({"model": "openclaw", "input": "x", "dimensions": 1.5}, "dimensions"),
                       ({"model": "openclaw", "input": "x", "dimensions": 8193}, "dimensions"),
                       ({"model": "openclaw", "input": "x", "encoding_format": "int8"}, "encoding_format"),
                       ({"model": "openclaw/nobody", "input": "x"}, "no such agent")):
        s, h, b = ask(g, EMBED, "POST", body)
        assert s == 400 and json.loads(b)["error"]["type"] == "invalid_request_error" and word in b.decode(), (body, s, b)
    assert embed(g, "\u00e4" * 8192)[0] == 200  # characters count, not bytes
    s, doc, h = embed(g, "x", headers={"x_openclaw_model": "nowhere/vec"})
    assert s == 400 and "does not allow" in doc["error"]["message"], doc
    s, doc, h = embed(g, "x", "openclaw/claude")
    assert s == 400 and "no embeddings" in doc["error"]["message"], doc
    assert not [r for r in t.fake.calls("") if r["dialect"] == "anthropic"]
    assert ask(g, EMBED, "GET")[0] == 405


def test_embeddings_off(t):
    doc = config_for(t.fake.url)
    doc["gateway"]["http"] = {}
    g = t.gateway(doc)
    assert ask(g, EMBED, "POST", {"model": "openclaw", "input": "x"})[0] == 404


def test_embeddings_faults(t):
    """Whatever the provider does, the client hears of it in OpenAI's form, and the agent lives on."""
    g = embed_gateway(t)
    agent = g.worker("agent")
    for fault, status in (("429", 429), ("500", 502), ("401", 502), ("404", 502), ("few", 502), ("ragged", 502), ("words", 502),
                          ("notjson", 502), ("flood", 502), ("html", 502), ("empty", 502), ("reset", 502), ("gzip", 502)):
        s, doc, h = embed(g, ["[fake %s]" % fault, "b"])
        assert s == status and doc["error"]["message"] and "mock-key" not in json.dumps(doc), (fault, s, doc)
    g.kill("agent")
    g.wait_replaced("agent", agent)  # the circuit of one process: it begins anew
    until(lambda: embed(g, "here")[0] == 200, "an agent answers")
    c = http.client.HTTPConnection("127.0.0.1", g.port, timeout=WAIT)
    c.request("POST", EMBED, json.dumps({"model": "openclaw", "input": "hangs [fake stall]"}), {"Authorization": "Bearer " + g.token})
    t.fake.wait("hangs")
    c.close()
    t.fake.wait("hangs", "gone")  # who leaves ends it
    c = http.client.HTTPConnection("127.0.0.1", g.port, timeout=WAIT)
    c.request("POST", EMBED, json.dumps({"model": "openclaw", "input": "dies [fake stall]"}), {"Authorization": "Bearer " + g.token})
    t.fake.wait("dies")
    g.kill("agent")
    r = c.getresponse()
    assert r.status == 503 and json.loads(r.read())["error"]["type"] == "unavailable"
    until(lambda: embed(g, "again")[0] == 200, "an agent answers")


def test_images_by_address(t):
    web = Files()
    doc = config_for(t.fake.url, fetch={"ports": [web.port], "allowedHosts": ["127.0.0.1"]})
    doc["gateway"]["http"]["endpoints"]["chatCompletions"]["images"] = {"allowUrl": True}
    g = t.gateway(doc)
    url = "http://127.0.0.1:%d" % web.port

    def said(*urls, text="see"):
        return [{"role": "user", "content": [{"type": "text", "text": text}] + [{"type": "image_url", "image_url": {"url": u}} for u in urls]}]

    s, doc = chat(g, said(url + "/f/a.png?size=2000", url + "/to?url=/f/b.gif%3Fsize=300", text="two from elsewhere plugh"))
    assert s == 200, doc
    parts = t.fake.calls("plugh")[0]["asked"]["messages"][0]["content"]
    assert [p["image_url"]["url"] for p in parts[1:]] == [
        "data:image/png;base64," + base64.b64encode(body("a.png", 2000)).decode(),
        "data:image/gif;base64," + base64.b64encode(body("b.gif", 300)).decode()], parts
    for path, want in (("/status?code=404", "404"), ("/f/x.txt?size=100", "no image"), ("/f/big.png?size=9000000", ""), ("/empty", "")):
        s, doc = chat(g, said(url + path))
        assert s == 400 and doc["error"]["message"].startswith("image_url: ") and want in doc["error"]["message"], (path, doc)
    s, doc = chat(g, said("http://10.0.0.1/x.png"))
    assert s == 400 and doc["error"]["message"].startswith("image_url: "), doc
    s, doc = chat(g, said(*[url + "/f/%d.png?size=50" % i for i in range(9)]))
    assert s == 400, doc
    # who leaves stops it, and others go on
    sock = socket.create_connection(("127.0.0.1", g.port))
    text = json.dumps({"model": "openclaw", "messages": said(url + "/hang")})
    sock.sendall(("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"
                  "Content-Length: %d\r\n\r\n%s" % (g.token, len(text), text)).encode())
    until(lambda: any(path == "/hang" for path, fields in web.log), "the server is asked")
    sock.close()
    assert chat(g, said(url + "/f/c.png?size=100", text="after it xyzzy"))[0] == 200
    # responses: on by default
    s, h, b = ask(g, "/v1/responses", "POST", {"model": "openclaw", "input": [{"role": "user", "content": [
        {"type": "input_text", "text": "by response thud"}, {"type": "input_image", "image_url": url + "/f/d.png?size=100"}]}]})
    assert s == 200, b
    assert t.fake.calls("thud")[0]["asked"]["messages"][0]["content"][1]["type"] == "image_url"
