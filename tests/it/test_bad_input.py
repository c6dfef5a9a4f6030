"""What is wrong is refused with a clear word to whoever sent it; everybody else notices nothing."""
import json
import time

from client import TERMINAL, Client, text_of
from gateway import Gateway, config_for, until
from ws import WebSocket

BAD = "INVALID_REQUEST"


def alive(g, c=None):
    c = c or g.client()
    assert c.ask("health")["ok"]
    assert c.turn("agent:main:alive", "are you alright [fake ok chunks=1]")[1]["state"] == "final"


# ---- before and around connect

def test_before_connect(t):
    g = t.gateway()
    for method in ("health", "chat.send", "no.such"):
        c = g.client(auth=False)
        res = c.answer(c.start(method, {}))
        assert res["error"]["code"] == BAD, res
        assert c.ws.wait_close() == (1008, "invalid handshake: first request must be connect")
    for first in ("hello", "{", "", "[]", "null", '{"type":"event","event":"x"}'):
        c = g.client(auth=False)
        c.ws.send(first)
        assert c.ws.wait_close() == (1008, "invalid request frame"), (first, c.ws.close_code, c.ws.close_reason)
    alive(g)


def test_wrong_token(t):
    g = t.gateway()
    for token in ("", "wrong", g.token[:-1], g.token + "x", "x" * 4096):
        c = g.client(auth=False)
        res = c.answer(c.start("connect", Client.connect_params(token)))
        assert not res["ok"] and res["error"]["details"]["code"] in (
            "AUTH_TOKEN_MISMATCH", "DEVICE_IDENTITY_REQUIRED", "AUTH_TOKEN_MISSING", "AUTH_RATE_LIMITED"), res
        assert c.ws.wait_close()[0] == 1008
    alive(g)


def test_connect_params(t):
    g = t.gateway()
    good = Client.connect_params(g.token)
    bad = [dict(good, foo=1), dict(good, scopes="operator.admin"), dict(good, scopes=[5]), dict(good, minProtocol="4"),
           dict(good, minProtocol=0), dict(good, client=5), dict(good, client={}), dict(good, auth=[]),
           dict(good, role=7), {k: v for k, v in good.items() if k != "client"}, [], "x", 5, None]
    for params in bad:
        c = g.client(auth=False)
        c.ws.send({"type": "req", "id": "c", "method": "connect", "params": params})
        res = c.answer("c")
        assert res["error"]["code"] == BAD and res["error"]["message"].startswith("invalid connect params: "), res
        code, reason = c.ws.wait_close()
        assert code == 1008 and reason.startswith("invalid connect params: ") and len(reason.encode()) <= 120, reason
    alive(g)


def test_handshake_timeout(t):
    g = t.gateway(handshakeTimeoutMs=300)
    c = g.client(auth=False)
    assert c.ws.wait_close(5) == (1000, "")
    alive(g)


def test_preauth_budget(t):
    """One address holds only so many connections without hello, and a reserve of 8 whose oldest silent one makes room
    after a moment; every eighth newcomer above that is refused. Who means it gets in."""
    g = t.gateway(limits={"preauthPerAddress": 8})
    held, refused = [], 0
    for _ in range(8 + 8 + 16):
        try:
            held.append(g.client(auth=False))
        except (AssertionError, OSError):
            refused += 1
    assert 1 <= refused <= 2, refused
    until(lambda: sum(c.open for c in held) == 16, "no more than 16 are held")
    assert all(c.open for c in held[:8]), "a place of its own was taken away"
    g.client_soon().close()
    for c in held:
        c.close()
    alive(g)


def test_preauth_size(t):
    g = t.gateway()
    c = g.client(auth=False)
    c.ws.send("x" * 65537)
    assert c.ws.wait_close() == (1009, "")
    alive(g)


# ---- after hello

def test_frames(t):
    g = t.gateway()
    c = g.client()
    rows = [('{"type":"req","id":"","method":"health"}', ""), ('{"type":"req","id":"a1","method":5}', "a1"),
            ('{"type":"req","id":"a2"}', "a2"), ('{"type":"req","id":"a3","method":"health","extra":1}', "a3"),
            ('{"type":"nope","id":"a4","method":"health"}', "a4"), ("[1]", "invalid"), ("null", "invalid"),
            ("7", "invalid"), ('"x"', "invalid"), ('{"type":"req","id":"a5","method":""}', "a5")]
    for text, want in rows:
        mark = len(c.ws.frames)
        c.ws.send(text)
        res = c.ws.wait(lambda f: f.get("type") == "res", "answer to " + text, start=mark)
        assert res["id"] == want and res["error"]["code"] == BAD, (text, res)
        assert res["error"]["message"].startswith("invalid request frame: "), res
    mark = len([f for f in c.ws.frames if f.get("type") == "res"])
    for text in ("not json", "{", '{"type":"req"', "\x00", "{}}", "[" * 2000, '{"a":' * 2000):
        c.ws.send(text)
    assert c.ask("health")["ok"]
    assert len([f for f in c.ws.frames if f.get("type") == "res"]) == mark + 1, c.ws.frames[-5:]
    alive(g, c)


def test_deep_and_wide(t):
    """Deep nesting, many members, long names, in params: refused or answered, never worse."""
    g = t.gateway()
    c = g.client()
    deep = "[" * 500 + "]" * 500
    for n, params in enumerate((deep, '{"a":%s}' % deep, "{%s}" % ",".join('"k%d":1' % i for i in range(50000)),
                                '{"%s":1}' % ("k" * 100000), '{"sessionKey":"%s"}' % ("s" * 1000000))):
        c.ws.send('{"type":"req","id":"d%d","method":"chat.history","params":%s}' % (n, params))
        try:
            res = c.answer("d%d" % n, timeout=10)
            assert not res["ok"], res
            assert len(res["error"]["message"]) < 5000, "the refusal repeats what was sent"
        except AssertionError as e:
            assert n < 2 and "timed out" in str(e), e  # too deep to be read at all: ignored like garbage
    alive(g, c)


def test_duplicate_members(t):
    g = t.gateway()
    c = g.client()
    c.ws.send('{"type":"req","id":"x1","id":"x2","method":"health"}')
    res = c.ws.wait(lambda f: f.get("type") == "res" and f.get("id") in ("x1", "x2", "invalid"), "some answer")
    assert res is not None
    alive(g, c)


def test_params(t):
    g = t.gateway()
    c = g.client()
    rows = [("chat.send", {}, "session mutation target is unavailable"),
            ("chat.send", {"sessionKey": "main", "message": "x", "idempotencyKey": ""}, "at /idempotencyKey"),
            ("chat.send", {"sessionKey": "main", "message": ["x"], "idempotencyKey": "i"}, "at /message"),
            ("chat.send", {"sessionKey": "main", "message": "", "idempotencyKey": "i"}, "message or attachment required"),
            ("chat.send", {"sessionKey": "main", "message": "x", "idempotencyKey": "i", "queueMode": "later"}, "invalid chat.send params"),
            ("chat.send", {"sessionKey": "agent:nobody:x", "message": "x", "idempotencyKey": "i"}, "no longer exists in configuration"),
            ("chat.history", {"sessionKey": "main", "limit": 0}, "at /limit"),
            ("chat.history", {"sessionKey": "main", "limit": 1.5}, "at /limit"),
            ("chat.history", {"sessionKey": "main", "limit": 1e300}, "at /limit"),
            ("chat.history", {"sessionKey": "main", "limit": -1}, "at /limit"),
            ("chat.abort", {"runId": "x"}, None), ("sessions.preview", {"keys": "main"}, "at /keys"),
            ("agent", {"message": "x", "idempotencyKey": "i", "agentId": "nobody"}, 'unknown agent id "nobody"'),
            ("agent.wait", {"runId": "x", "timeoutMs": -1}, "at /timeoutMs"), ("status", {"x": 1}, None),
            ("no.such.method", {}, "unknown method: no.such.method"), ("x" * 128, {}, "unknown method"), ("x" * 129, {}, "at /method")]
    for method, params, words in rows:
        e = c.refused(method, params)
        assert e.code == BAD, (method, params, e)
        assert words is None or words in e.message, (method, params, e.message)
        assert len(e.message) < 1000, "the refusal of %s is %d characters long" % (method[:40], len(e.message))
    alive(g, c)


def test_long_message(t):
    """As long as the limits allow: taken and kept whole. Longer: 1009."""
    g = t.gateway(limits={"payloadBytes": 1 << 20})
    c = g.client()
    text = "long story " + "x" * 900000 + " [fake ok chunks=1]"
    run, end = c.turn("agent:main:long", text)
    assert end["state"] == "final", end
    assert t.fake.calls("long story")[0]["bytes"] > 900000
    c.ws.send("y" * ((1 << 20) + 1))
    assert c.ws.wait_close() == (1009, "")
    alive(g)


def test_pipelined_requests(t):
    """Hundreds of requests without reading: all answered, or refused as busy; nobody else waits."""
    g = t.gateway()
    c, other = g.client(), g.client()
    ids = [c.start("sessions.list", {}) for _ in range(600)]
    began = time.monotonic()
    assert other.ask("health")["ok"]
    assert time.monotonic() - began < 2
    for i in ids:
        res = c.answer(i)
        assert res["ok"] or (res["error"]["code"] == "UNAVAILABLE" and res["error"]["retryable"]), res


def test_slow_reader(t):
    """A client that never reads does not slow the others; it is closed when its buffer is full."""
    g = t.gateway(limits={"bufferedBytes": 262144})
    lazy = WebSocket(g.port, handshake=False)
    lazy.sock.setsockopt(__import__("socket").SOL_SOCKET, __import__("socket").SO_RCVBUF, 4096)
    lazy.upgrade("127.0.0.1", g.port, "/", ())
    lazy.send({"type": "req", "id": "c", "method": "connect", "params": Client.connect_params(g.token)})
    c = g.client()
    for i in range(20):
        run, end = c.turn("agent:main:s%d" % i, "flood the lazy one [fake ok chunks=30 text=%s]" % ("w" * 2000))
        assert end["state"] == "final"
    alive(g, c)
    lazy.close()


# ---- HTTP

def test_http_garbage(t):
    import socket
    g = t.gateway()
    for data in (b"\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x00\x05hello\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
                 b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"GET / HTTP/1.1\r\nBad Header: x\r\n\r\n",
                 b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\n\r\n",
                 b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
                 b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 5000 + b"\r\n"):
        with socket.create_connection(("127.0.0.1", g.port), timeout=10) as s:
            try:
                s.sendall(data)
                got = s.recv(65536)
                assert got == b"" or got.startswith(b"HTTP/1.1 4") or got.startswith(b"HTTP/1.1 5"), (data[:60], got[:80])
            except ConnectionError:
                pass
    alive(g)


# ---- configuration

def refused_config(t, text, *words):
    g = t.new_gateway(text)
    t.gateways.remove(g)
    code, out = g.run()
    assert code != 0 and 0 < code < 128, "exit code %r: %s" % (code, out)
    for w in words:
        assert w in out, "%r is not in: %s" % (w, out)
    code, out = g.run("--check-config")
    assert code != 0 and 0 < code < 128, "--check-config: exit code %r: %s" % (code, out)
    for w in words:
        assert w in out, "--check-config: %r is not in: %s" % (w, out)


def test_config_syntax(t):
    refused_config(t, "{ gateway: {\n  mode: 'local',\n  port: \n}", "openclaw.json", ":4")


def test_config_wrong_type(t):
    refused_config(t, "{\n gateway: {\n  port: 'many' } }", "openclaw.json", ":3", "gateway.port")


def test_config_out_of_range(t):
    refused_config(t, "{ gateway: {\n  port: 70000 } }", ":2", "gateway.port", "65535")


def test_config_wrong_enum(t):
    refused_config(t, "{ gateway: {\n  auth: { mode: 'open' } } }", ":2", "gateway.auth.mode")


def test_config_missing_variable(t):
    refused_config(t, "{ models: { providers: { m: { baseUrl: 'http://127.0.0.1:9/v1',\n apiKey: '${NO_SUCH_VARIABLE_9}',"
                      " models: [{ id: 'x' }] } } } }", "NO_SUCH_VARIABLE_9")


def test_config_unknown_model(t):
    """A model that no provider serves is said at the start or to the sender, clearly, naming it."""
    doc = config_for(t.fake.url)
    doc["agents"]["defaults"]["model"]["primary"] = "mock/no-such-model"
    g = t.gateway(doc)
    c = g.client()
    run, end = c.turn("agent:main:a", "whom do I talk to")
    assert end["state"] in ("error", "final"), end
    doc["agents"]["defaults"]["model"]["primary"] = "nobody/mock-1"
    g2 = t.new_gateway(doc)
    t.gateways.remove(g2)
    g2.start()
    c = g2.client()
    run, end = c.turn("agent:main:a", "whom do I talk to now")
    assert end["state"] == "error" and "nobody" in end["errorMessage"], end
    g2.stop()


def test_config_unknown_key(t):
    doc = config_for(t.fake.url)
    doc["gateway"]["prot"] = 1
    doc["agents"]["defaults"]["maxConcurent"] = 3
    g = t.gateway(doc)
    lines = "\n".join(g.raw)
    for word in ("gateway.prot", "gateway.port", "maxConcurent", "maxConcurrent"):
        assert word in lines, "%r is not in the log:\n%s" % (word, lines)
    alive(g)


def test_config_real_input(t):
    """The configuration of the issue, JSON5 and all, unchanged but for address and token."""
    text = """{ gateway: { mode: "local", port: 18789, bind: "loopback",
             auth: { mode: "token", token: "%s" },
             http: { endpoints: { chatCompletions: { enabled: true }, responses: { enabled: true } } } },
  agents: { defaults: { model: { primary: "mock/mock-1", fallbacks: [] }, maxConcurrent: 4, timeoutSeconds: 600 } },
  models: { providers: { mock: { baseUrl: "%s/v1", apiKey: "${MOCK_KEY}", api: "openai-completions",
                                 models: [{ id: "mock-1", name: "Mock" }] } } } }
""" % ("test-token-7f3a9c51d2e84b60", t.fake.url)
    g = t.new_gateway(text)
    assert g.run("--check-config")[0] == 0, g.run("--check-config")
    g.start()
    here = ("sandbox.no_uids",)  # says something about the machine and the build, not about the configuration
    assert not [l for l in g.lines if l.get("level") in ("warn", "error") and l["event"] not in here], g.raw
    alive(g)


def test_no_config_at_all(t):
    g = t.new_gateway("{}")
    import os
    os.unlink(g.config_path)
    code, out = g.run("--check-config")
    assert code != 0 and g.config_path in out or code == 0, out
    g.write_config("{}")
    g.start()
    assert g.client().turn("agent:main:a", "good morning to you")[1]["state"] == "final"


def test_bad_arguments(t):
    g = t.new_gateway()
    t.gateways.remove(g)
    for more in (["--port", "0x"], ["--port", "99999"], ["--nonsense"], ["--bind", "no such host"]):
        code, out = g.run(*more)
        assert 0 < code < 128 and len(out) < 4000, (more, code, out)


# ---- models that fail and lie: fault, words of the directive, what the sender sees

LIES = [
    ("429", "429", "error"),
    ("429-then-ok", "429 times=1 retry_after=0", "final"),
    ("500", "500", "error"),
    ("500-then-ok", "500 times=1", "final"),
    ("503-then-ok", "503 times=2", "final"),
    ("529", "529", "error"),
    ("401", "401", "error"),
    ("403", "403", "error"),
    ("404", "404", "error"),
    ("context", "400", "error"),
    ("reset", "reset", "error"),
    ("reset-then-ok", "reset times=1", "final"),
    ("empty", "empty", "error"),
    ("html", "html", "error"),
    ("cut", "cut chunks=3", "error"),
    ("cut-bytes", "cut-bytes bytes=250", "error"),
    ("garbage", "garbage chunks=3", "error"),
    ("error200", "error200 chunks=3", "error"),
    ("nodone", "nodone chunks=3", "error"),  # a stream without its terminator is never taken for complete
    ("nofinish", "nofinish chunks=3", "error"),
    ("bigline", "bigline mib=100", "error"),
    ("gzip", "gzip", "error"),
    ("endless", "endless text=%s" % ("z" * 4000), "error"),
    ("body", "body chunks=3", None),
    ("stall", "stall", "error"),
    ("stall-mid", "stall-mid chunks=3", "error"),
    ("slow", "slow", "error"),
]


def test_lying_model(t, name, directive, want):
    doc = config_for(t.fake.url)
    doc["models"]["timeouts"] = {"connectMs": 1000, "firstByteMs": 700, "idleMs": 700}
    doc["models"]["retry"].update(attempts=3, minDelayMs=20, maxDelayMs=100)
    if name == "slow":
        doc["agents"]["defaults"]["timeoutSeconds"] = 4
    g = t.gateway(doc)
    c, other = g.client(), g.client()
    run = c.send("agent:main:lie", "tell me the truth about %s [fake %s]" % (name, directive))
    began = time.monotonic()
    worst = 0
    while not any(p["state"] in TERMINAL for p in c.chats(run)):  # meanwhile everybody else is served
        asked = time.monotonic()
        assert other.ask("health")["ok"]
        worst = max(worst, time.monotonic() - asked)
        assert time.monotonic() - began < 60, "no outcome after 60 s"
        time.sleep(0.02)
    assert worst < 1, "another client waited %.1f s" % worst
    end = c.chat(run, TERMINAL)
    if want:
        assert end["state"] == want, end
    if end["state"] == "error":
        words = end.get("errorMessage", "")
        assert 10 < len(words) < 1000, "errorMessage: %r" % words
        assert "word0" not in words and "zzzz" not in words, words
        if name == "context":
            assert end.get("errorKind") == "context_length", end
        if name == "429":
            assert end.get("errorKind") == "rate_limit", end
        if name.startswith("stall"):
            assert end.get("errorKind") == "timeout", end
    c.ask("health")
    assert len([p for p in c.chats(run) if p["state"] in ("final", "aborted")]) <= 1
    calls = len(t.fake.calls("the truth about %s " % name))
    assert calls <= 3, "%d requests for one answer" % calls
    if name in ("401", "403", "context", "404"):
        assert calls == 1, "%d requests although it cannot help" % calls
    if name in ("429", "500", "529"):
        assert calls == 3, "%d requests" % calls
    users = [m for m in c.history("agent:main:lie") if m["role"] == "user"]
    assert len(users) == 1, users
    t.fake.wait("the truth about %s " % name, "gone" if name in ("stall", "stall-mid", "endless", "slow") else "started")
    alive(g, other)
    assert all("word0 word1" not in line for line in g.raw), "the answer is in the log"
    if end["state"] == "error":
        lines = [l for l in g.lines if l["event"] == "run.failed"]
        assert len(lines) == 1 and {"job", "reason"} <= set(lines[0]), "log lines of the failure: %r" % lines


test_lying_model.params = LIES


def test_fallback_model(t):
    doc = config_for(t.fake.url)
    doc["agents"]["defaults"]["model"] = {"primary": "nowhere/mock-1", "fallbacks": ["mock/mock-1"]}
    doc["models"]["timeouts"] = {"connectMs": 500}
    c = t.gateway(doc).client()
    run, end = c.turn("agent:main:a", "anyone will do [fake ok chunks=2]")
    assert end["state"] == "final" and text_of(end["message"]).split() == ["word0", "word1"], end


def test_unreachable_model(t):
    doc = config_for(t.fake.url)
    doc["agents"]["defaults"]["model"]["primary"] = "nowhere/mock-1"
    doc["models"]["timeouts"] = {"connectMs": 500}
    g = t.gateway(doc)
    c = g.client()
    run, end = c.turn("agent:main:a", "is it far away")
    assert end["state"] == "error" and len(end["errorMessage"]) > 10, end
    assert c.ask("health")["ok"]


def test_retry_after_is_kept(t):
    doc = config_for(t.fake.url)
    c = t.gateway(doc).client()
    began = time.monotonic()
    run, end = c.turn("agent:main:a", "come back later [fake 429 times=1 retry_after=1]")
    assert end["state"] == "final" and time.monotonic() - began >= 1, end


def test_run_timeout(t):
    doc = config_for(t.fake.url)
    doc["agents"]["defaults"]["timeoutSeconds"] = 1
    c = t.gateway(doc).client()
    run, end = c.turn("agent:main:a", "for ever and a day [fake ok chunks=500 delay=50]")
    assert end["state"] in ("error", "aborted"), end
    assert end.get("errorKind") == "timeout" or end.get("stopReason") == "timeout", end
    t.fake.wait("for ever and a day", "gone", timeout=5)


__all__ = ["Gateway", "json", "until"]
