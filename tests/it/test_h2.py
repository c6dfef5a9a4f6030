"""HTTP/2 (RFC 9113) beside HTTP/1.1: the same routes with the same answers, over TLS and cleartext, with the stock clients."""
import http.client
import json
import os
import subprocess

from client import TERMINAL, Client
from h2mux import Mux, Refused
from h2peer import Peer, fields
from ws import WAIT


def curl(g, path, *args, version="--http2-prior-knowledge", scheme="http", stdin=None):
    """(version, status, fields, body)"""
    p = subprocess.run(["curl", "-sk", version, "--max-time", str(WAIT), "-D", "/dev/stderr", *args,
                        "%s://127.0.0.1:%d%s" % (scheme, g.port, path)], input=stdin, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE)
    assert p.returncode == 0, (path, args, p)
    head = p.stderr.decode().strip().replace("\r", "").split("\n\n")[-1].split("\n")
    first = head[0].split(" ")
    return first[0], int(first[1]), {k.lower(): v.strip() for k, _, v in (h.partition(":") for h in head[1:])}, \
        b"" if "-I" in args else p.stdout


def both(t, tls):
    g = t.gateway(tls={"enabled": True}) if tls else t.gateway()
    return g, "https" if tls else "http", "--http2" if tls else "--http2-prior-knowledge"


def test_same_answers(t, tls):
    """Each route as HTTP/1.1 and as HTTP/2 answers it."""
    g, scheme, h2 = both(t, tls)
    auth = ("-H", "Authorization: Bearer " + g.token)
    chat = json.dumps({"model": "openclaw", "messages": [{"role": "user", "content": "hello " + "x" * 70000}]}).encode()
    big = os.urandom(700000)
    for name, path, args, stdin in (
            ("live", "/health", (), None), ("head", "/health", ("-I",), None), ("ready", "/ready", (), None),
            ("page", "/", (), None), ("page, packed", "/", ("-H", "Accept-Encoding: gzip"), None),
            ("a range of it", "/", ("-H", "Range: bytes=5-9"), None), ("moved", "/ui", (), None), ("none", "/no/such", (), None),
            ("method", "/health", ("-X", "DELETE"), None), ("nobody", "/v1/models", (), None),
            ("models", "/v1/models", auth, None), ("one", "/v1/models/openclaw", auth, None),
            ("no JSON", "/v1/chat/completions", auth + ("--data-binary", "@-"), big),
            ("a body nobody wants", "/health", ("--data-binary", "@-"), big),
            ("coded", "/v1/chat/completions", auth + ("-H", "Content-Encoding: gzip", "--data-binary", "@-"), b"x"),
            ("foreign", "/v1/models", auth + ("-H", "Host: evil.example"), None)):
        one = curl(g, path, *args, version="--http1.1", scheme=scheme, stdin=stdin)
        two = curl(g, path, *args, version=h2, scheme=scheme, stdin=stdin)
        assert (one[0], two[0]) == ("HTTP/1.1", "HTTP/2"), (name, one[0], two[0])
        for h in (one[2], two[2]):
            for key in ("date", "connection", "x-request-id"):
                h.pop(key, None)
        assert "uptimems" in one[3].lower().decode("latin-1") or one[1:] == two[1:], (name, one, two)
    for version in ("--http1.1", h2):
        got = curl(g, "/v1/chat/completions", *auth, "--data-binary", "@-", version=version, scheme=scheme, stdin=chat)
        doc = json.loads(got[3])
        assert got[1] == 200 and doc["choices"][0]["message"]["content"], got


test_same_answers.params = [(False,), (True,)]


def test_official_clients(t, tls):
    """nghttp and h2load."""
    g, scheme, _ = both(t, tls)
    url = "%s://127.0.0.1:%d" % (scheme, g.port)
    out = subprocess.run(["nghttp", "-nv", "--no-verify-peer", url + "/", url + "/healthz", url + "/none"],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=WAIT).stdout.decode()
    assert out.count(":status: 200") == 2 and out.count(":status: 404") == 1 and "RST_STREAM" not in out, out
    out = subprocess.run(["h2load", "-n", "3000", "-c", "6", "-m", "32", url + "/healthz", url + "/"],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60).stdout.decode()
    assert "3000 succeeded, 0 failed, 0 errored" in out and "3000 2xx" in out, out


test_official_clients.params = [(False,), (True,)]


def test_streams(t):
    """An answer in parts as it comes, beside it another, and what the hub works for is told when its client leaves."""
    g = t.gateway()
    t.fake.control(fault="ok", chunks="3", gate="go")
    with Peer(g.port) as p:
        chat = lambda text: json.dumps({"model": "openclaw", "stream": True,
                                        "messages": [{"role": "user", "content": text}]}).encode()
        auth = ("authorization", "Bearer " + g.token)
        sid = p.open(fields("POST", "/v1/chat/completions", auth), end=False)
        p.data(sid, chat("slowly"), end=True)
        t.fake.wait("slowly")
        p.lives()
        s, _, b = p.ask("/v1/models", "GET", auth)
        assert s == 200 and b"openclaw" in b
        t.fake.gate("go")
        s, h, b = p.answer(sid)
        assert s == 200 and h["content-type"].startswith("text/event-stream") and b.rstrip().endswith(b"[DONE]"), (s, h, b)


def test_http1_stays(t):
    """A connection that spoke HTTP/1.1 does not become another one."""
    g = t.gateway()
    c = http.client.HTTPConnection("127.0.0.1", g.port, timeout=WAIT)
    c.request("GET", "/healthz")
    assert c.getresponse().read()
    c.sock.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    assert c.sock.recv(65536).startswith(b"HTTP/1.1 505 ")
    c.close()


def test_websocket(t, tls):
    """A chat turn on a stream, others beside it, and requests on the same connection."""
    g = t.gateway(tls={"enabled": True}) if tls else t.gateway()
    m = Mux(g.port, tls)
    clients = [Client(g.port, g.token, mux=m) for _ in range(8)]
    runs = [c.ask("chat.send", {"sessionKey": "agent:main:s%d" % i, "message": "hello %d" % i,
                                "idempotencyKey": "k%d" % i})["runId"] for i, c in enumerate(clients)]
    for c, run in zip(clients, runs):
        assert c.chat(run, TERMINAL)["state"] == "final"
    big = "x" * 3000000  # more than any window
    run = clients[0].ask("chat.send", {"sessionKey": "agent:main:big", "message": big, "idempotencyKey": "big"})["runId"]
    clients[0].chat(run, TERMINAL)
    got = clients[1].ask("chat.history", {"sessionKey": "agent:main:s1"})
    assert "hello 1" in json.dumps(got)
    clients[2].ws.close()  # one ends, the others go on
    assert clients[3].ask("health")["ok"]
    clients[4].ws.send_raw(8, b"\x03\xe8")
    assert clients[4].ws.wait_close()[0] == 1000
    c = Client(g.port, g.token, mux=m)
    assert c.ask("health")["ok"]
    front = g.worker("hub")
    g.kill("hub")
    g.wait_replaced("hub", front)
    assert c.ask("health")["ok"] and clients[5].ask("sessions.list")["sessions"]
    m.close()


test_websocket.params = [(False,), (True,)]


def test_websocket_refused(t):
    g = t.gateway()
    m = Mux(g.port)
    for name, status, how in (("protocol", 501, {"protocol": "connect-udp"}), ("version", 400, {"version": "8"}),
                              ("none", 400, {"version": None}), ("reserved", 404, {"path": "/worker/ingress"}),
                              ("foreign", 421, {"name": "evil.example"}),
                              ("proxy", 403, {"headers": [("x-forwarded-for", "1.2.3.4")]})):
        try:
            m.open(**how)
        except Refused as e:
            assert e.status == status, (name, e)
        else:
            raise AssertionError(name)
    bad = Client(g.port, "wrong", mux=m, auth=False)
    bad.ws.send({"type": "req", "id": "x", "method": "health"})
    assert bad.ws.wait_close()[0] == 1008
    assert Client(g.port, g.token, mux=m).ask("health")["ok"]
