"""The front alone, between real clients and a core of a few lines (tests/fake/core.c): what it does when its
hub goes away and comes back, with slow clients, with floods, and when it is told to stop."""
import json
import os
import socket
import subprocess
import time

from client import Client
from ws import CLOSE, Closed, WebSocket

TOKEN = "front-test-token"


class Core:
    def __init__(self, t, config=None):
        s = socket.socket()
        s.bind(("127.0.0.1", 0))
        self.port = s.getsockname()[1]
        s.close()
        self.p = subprocess.Popen([os.path.join(t.build, "tests", "fake-core"), os.path.join(t.build, "openclaw-front"),
                                   str(self.port), TOKEN, json.dumps(config or {})],
                                  stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        self.lines = []
        self.until("hub.linked")

    def until(self, text):
        """Reads the core's log up to a line with this text."""
        for line in self.p.stderr:
            self.lines.append(line.decode("utf-8", "replace"))
            if text in self.lines[-1]:
                return
        raise AssertionError("core ended: %r" % self.lines[-5:])

    def say(self, letters):
        self.p.stdin.write(letters.encode())
        self.p.stdin.flush()

    def client(self, **kw):
        return Client(self.port, TOKEN, **kw)

    def http(self, request):
        s = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        s.sendall(request)
        out = b""
        while True:
            part = s.recv(65536)
            if not part:
                return out
            out += part

    def front(self):
        """pid of the front"""
        with open("/proc/%d/task/%d/children" % (self.p.pid, self.p.pid)) as f:
            return int(f.read().split()[0])

    def stop(self):
        """The front leaves with 0 and without a complaint of a sanitizer."""
        try:
            self.say("s")
            self.p.stdin.close()
        except BrokenPipeError:
            pass  # it was told before
        for line in self.p.stderr:
            self.lines.append(line.decode("utf-8", "replace"))
        assert self.p.wait() == 0, self.lines[-10:]
        assert not any("ERROR: " in x or "runtime error" in x for x in self.lines), self.lines


def with_core(fn):
    def run(t, *args):
        core = Core(t, getattr(fn, "config", None))
        try:
            fn(core, *args)
            core.stop()
        finally:
            core.p.kill()
    run.params = getattr(fn, "params", [()])
    return run


@with_core
def test_hub_restart(core):
    c = core.client()
    c.start("sessions.list", {"search": "hold"}, "read")   # may be repeated
    c.start("system-event", {"text": "hold"}, "write")     # may not
    c.start("no.such", {"a": "hold"}, "unknown")
    # the hub has all three when it has answered a later one
    c.answer(c.start("sessions.list", {}, "after"))
    core.say("d")
    refused = c.answer("write")["error"]
    assert refused["code"] == "UNAVAILABLE" and refused["retryable"] is True, refused
    assert refused["details"] == {"code": "OUTCOME_UNKNOWN"}, refused
    assert "restarted while this request was under way" in refused["message"]
    core.until("hub.lost")
    # what is asked meanwhile waits
    c.start("system-event", {"text": "x"}, "meanwhile")
    late = core.client(auth=False)
    late.start("connect", Client.connect_params(TOKEN), "c")
    assert b" 503 " in core.http(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").split(b"\r\n")[0]
    assert b" 200 " in core.http(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").split(b"\r\n")[0]
    core.say("u")
    for name in ("read", "unknown", "meanwhile"):
        assert "unknown method" in c.answer(name)["error"]["message"], name
    assert late.answer("c")["ok"]
    assert b" 200 " in core.http(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").split(b"\r\n")[0]
    ids = [f["id"] for f in c.ws.frames if f.get("type") == "res"]
    assert sorted(ids) == sorted(set(ids)), "answered twice: %r" % ids


@with_core
def test_health_from_the_snapshot(core):
    c = core.client()
    assert c.answer(c.start("health", None, "h"))["payload"] == {"ok": True}
    # with parameters the hub is asked
    assert "error" in c.answer(c.start("health", {"probe": True}, "p"))


@with_core
def test_seq(core):
    a, b = core.client(), core.client(auth=False)
    core.say("eee")
    for c in (a,):
        got = [c.ws.wait(lambda f, n=n: f.get("seq") == n, "event %d" % n) for n in (1, 2, 3)]
        assert all(f["event"] == "tick" for f in got)
    b.start("connect", Client.connect_params(TOKEN), "c")
    assert b.answer("c")["ok"]
    core.say("e")
    assert b.ws.wait(lambda f: f.get("event") == "tick", "its first event")["seq"] == 1
    assert a.ws.wait(lambda f: f.get("seq") == 4, "event 4")


class Deaf(WebSocket):
    """Connects, sends, and reads nothing."""

    def __init__(self, port):
        self.sock, self.rest = socket.socket(), b""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.sock.connect(("127.0.0.1", port))
        self.upgrade("127.0.0.1", port, "/", ())

    def drain(self):
        """Bytes until the end."""
        self.sock.settimeout(20)
        total = 0
        try:
            while True:
                part = self.sock.recv(1 << 20)
                if not part:
                    return total
                total += len(part)
        except ConnectionError:
            return total


def test_slow_consumer(t):
    """Droppable events are left out for who does not read, others end the connection; nobody else notices."""
    core = Core(t, {"gateway": {"limits": {"bufferedBytes": 8 << 20}}})
    try:
        other = core.client()
        deaf = Deaf(core.port)
        deaf.send({"type": "req", "id": "c", "method": "connect", "params": Client.connect_params(TOKEN)})
        other.answer(other.start("none"))
        for n in range(1, 201):  # more than 8 MiB, and the kernel's buffers
            core.say("b")
            other.ws.wait(lambda f, n=n: f.get("seq") == n, "droppable %d" % n)
        assert b"live" in core.http(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        for n in range(201, 213):
            core.say("B")
            other.ws.wait(lambda f, n=n: f.get("seq") == n, "event %d" % n)
        assert deaf.drain() < 16 << 20
        core.stop()
    finally:
        core.p.kill()


@with_core
def test_pipelined_behind_connect(core):
    ws = WebSocket(core.port)
    ws.send({"type": "req", "id": "c", "method": "connect", "params": Client.connect_params(TOKEN)})
    for i in range(15):
        ws.send({"type": "req", "id": "p%d" % i, "method": "none", "params": {}})
    for i in range(15):
        ws.wait(lambda f, i=i: f.get("id") == "p%d" % i, "answer %d" % i)
    order = [f["id"] for f in ws.frames if f.get("type") == "res"]
    assert order == ["c"] + ["p%d" % i for i in range(15)], order
    ws.close()


@with_core
def test_many_requests(core):
    """More than 64 under way: the rest waits in the socket, all are answered, in order."""
    c = core.client()
    for i in range(2000):
        c.start("none", {"i": i}, "q%d" % i)
    for i in range(2000):
        c.answer("q%d" % i)
    order = [f["id"] for f in c.ws.frames if f.get("type") == "res"][1:]
    assert order == ["q%d" % i for i in range(2000)]


@with_core
def test_hub_away_is_bounded(core):
    """A hub that does not come back: requests wait up to the limit, and the connection is closed by nobody."""
    c = core.client()
    core.say("d")
    core.until("hub.lost")
    for i in range(200):
        c.start("none", {"i": i}, "q%d" % i)
    core.say("u")
    for i in range(200):
        assert "unknown method" in c.answer("q%d" % i)["error"]["message"]


@with_core
def test_hub_flaps(core):
    """Twenty ends of the hub under load: each request has exactly one answer."""
    cs = [core.client() for _ in range(4)]
    sent = 0
    for round_ in range(20):
        for c in cs:
            for i in range(10):
                c.start("none", {"i": i}, "q%d" % (sent + i))
        sent += 10
        core.say("du")
    for c in cs:
        for i in range(sent):
            c.answer("q%d" % i)
        ids = [f["id"] for f in c.ws.frames if f.get("type") == "res"]
        assert len(ids) == len(set(ids))


@with_core
def test_proxy_headers(core):
    for header in ("X-Forwarded-For: 1.2.3.4", "Forwarded: for=1.2.3.4", "X-Real-IP: 1.2.3.4"):
        try:
            WebSocket(core.port, headers=(header,))
            raise AssertionError("upgraded")
        except Closed as e:
            assert " 403 " in str(e), e


@with_core
def test_redirects(core):
    for path, to in (("/ui", "/"), ("/canvas-host/a?b", "/__openclaw__/canvas/a?b"), ("/a2ui/x", "/__openclaw__/a2ui/x")):
        head = core.http(("GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % path).encode())
        assert head.startswith(b"HTTP/1.1 302 ") and ("\r\nLocation: %s\r\n" % to).encode() in head, head


@with_core
def test_half_a_request_then_end(core):
    """Whoever sends the end of its stream behind a request still gets the answer."""
    s = socket.create_connection(("127.0.0.1", core.port), timeout=20)
    s.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    s.shutdown(socket.SHUT_WR)
    out = b""
    while True:
        part = s.recv(65536)
        if not part:
            break
        out += part
    assert out.startswith(b"HTTP/1.1 200 ") and out.endswith(b'{"ok":true,"status":"live"}'), out


@with_core
def test_idle_costs_little(core):
    """Idle connections: few KiB each, and no descriptor is left behind."""
    pid = core.front()
    core.http(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    def rss():
        with open("/proc/%d/status" % pid) as f:
            return int([x for x in f if x.startswith("VmRSS")][0].split()[1])

    fds = len(os.listdir("/proc/%d/fd" % pid))
    before = rss()
    cs = [core.client() for _ in range(200)]
    if "ASAN_OPTIONS" not in os.environ:  # a sanitizer's own memory says nothing; the release build runs this, too
        assert (rss() - before) / len(cs) < 12, "%d KiB a connection" % ((rss() - before) / len(cs))
    for c in cs:
        c.ws.send_raw(CLOSE, b"\x03\xe8")
    for c in cs:
        assert c.ws.wait_close()[0] == 1000
    end = time.monotonic() + 20
    while len(os.listdir("/proc/%d/fd" % pid)) > fds and time.monotonic() < end:
        time.sleep(0.02)
    assert len(os.listdir("/proc/%d/fd" % pid)) <= fds


@with_core
def test_stop(core):
    c = core.client()
    early = core.client(auth=False)
    core.say("s")
    assert c.ws.wait_close() == (1012, "service restart")
    assert early.ws.wait_close() == (1012, "service restart")


def test_flood_before_hello(t):
    """80 that upgrade and say nothing: some are refused and told when to come back, one that means it gets in."""
    core = Core(t)
    before = core.client()
    held, refused = [], []
    for _ in range(80):
        try:
            held.append(WebSocket(core.port))
        except Closed as e:
            refused.append(str(e))
    assert 3 <= len(refused) <= 6 and all("503" in r for r in refused), refused
    try:
        c = core.client()
    except Closed as e:  # it may be the one that is told
        assert "503" in str(e), e
        c = core.client()
    assert c.ask("health") is not None and before.ask("health") is not None
    gone = [w for w in held if w.ended]
    for w in gone:
        assert w.wait_close()[0] == 1013, (w.close_code, w.close_reason)
    assert len(held) - 45 <= len(gone) + 3, (len(held), len(gone))
    core.http(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    for w in held:
        w.close()
    held = [WebSocket(core.port) for _ in range(32)]  # places come back
    for w in held:
        w.close()
    c.ws.close()
    before.ws.close()
    core.stop()


UPGRADE = (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
           b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")


def test_burst(t):
    """256 at once that mean it: nobody is refused, whoever is above the places waits for one."""
    core = Core(t)
    text = json.dumps({"type": "req", "id": "c", "method": "connect", "params": Client.connect_params(TOKEN)}).encode()
    frame = b"\x81\xfe" + len(text).to_bytes(2, "big") + b"\0\0\0\0" + text  # a mask of zeros
    socks = [socket.create_connection(("127.0.0.1", core.port), timeout=10) for _ in range(256)]
    for s in socks:
        s.sendall(UPGRADE + frame)
    for i, s in enumerate(socks):
        out = b""
        while b"hello-ok" not in out:
            part = s.recv(65536)
            assert part, (i, out)
            out += part
        assert out.startswith(b"HTTP/1.1 101 "), (i, out)
    for s in socks:
        s.close()
    core.stop()


def test_503_says_when(t):
    """All places are held by those who asked and get no answer: who waits is told when to come back."""
    core = Core(t, {"gateway": {"limits": {"preauthPerAddress": 1}}})
    core.say("d")
    core.until("hub.lost")
    held = [core.client(auth=False) for _ in range(1 + 8)]
    for c in held:
        c.start("connect", Client.connect_params(TOKEN), "c")
    time.sleep(0.1)
    began = time.monotonic()
    out = core.http(UPGRADE)
    assert out.startswith(b"HTTP/1.1 503 ") and b"\r\nRetry-After: 1\r\n" in out, out
    assert 1.4 <= time.monotonic() - began < 4, time.monotonic() - began
    core.say("u")
    for c in held:
        assert c.answer("c")["ok"]
    for c in held:
        c.ws.close()
    core.stop()


def api(core, token, more="", line="GET /v1/models", body=""):
    return core.http(("%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s%s\r\n%s" % (
        line, "Authorization: %s\r\n" % token if token else "", more, body)).encode())


@with_core
def test_door(core):
    """The API says nothing before the hub has judged the bearer."""
    right = "Bearer " + TOKEN
    for bad in (None, "Bearer x", "Basic " + TOKEN, TOKEN, "Bearer", "Bearer " + "x" * 4097):
        for line in ("GET /v1/models", "POST /v1/chat/completions", "POST /tools/invoke"):
            out = api(core, bad, line=line)
            assert out.startswith(b"HTTP/1.1 401 ") and b'"type":"unauthorized"' in out, (bad, line, out)
    out = api(core, "Bearer limited")
    assert out.startswith(b"HTTP/1.1 429 ") and b"\r\nRetry-After: 2\r\n" in out, out
    assert b'"type":"rate_limited"' in out, out
    assert api(core, right).startswith(b"HTTP/1.1 404 ")
    assert api(core, "bearer  " + TOKEN).startswith(b"HTTP/1.1 404 ")
    # a body is not waited for, and not read as the next request
    out = api(core, "Bearer x", "Content-Length: 100\r\n", "POST /v1/chat/completions")
    assert out.startswith(b"HTTP/1.1 401 ") and out.count(b"HTTP/1.1 ") == 1, out
    out = api(core, right, "Content-Length: 30000000\r\n", "POST /v1/chat/completions")
    assert out.startswith(b"HTTP/1.1 413 "), out
    out = api(core, right, "Content-Length: 13\r\nExpect: 100-continue\r\n", "POST /tools/invoke",
              '{"tool":"ls"}')
    assert out.startswith(b"HTTP/1.1 100 ") and b"\r\n1\r\n<\r\nd\r\n{\"tool\":\"ls\"}\r\n1\r\n>\r\n0\r\n\r\n" in out, out
    # two requests behind each other are answered in order
    out = core.http(("GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\n\r\n"
                     "GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\n\r\n"
                     "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % right).encode())
    assert [x[:3] for x in out.split(b"HTTP/1.1 ")[1:]] == [b"401", b"404", b"200"], out
    # the hub goes while it judges
    s = socket.create_connection(("127.0.0.1", core.port), timeout=10)
    s.sendall(b"GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer hold\r\n\r\n")
    time.sleep(0.2)
    core.say("d")
    out = s.recv(4096)
    assert out.startswith(b"HTTP/1.1 503 ") and b"\r\nRetry-After: 1\r\n" in out, out
    s.close()
    core.until("hub.lost")
    assert api(core, right).startswith(b"HTTP/1.1 503 ")
    assert api(core, None).startswith(b"HTTP/1.1 401 ")
    core.say("u")
    for _ in range(50):
        if api(core, right).startswith(b"HTTP/1.1 404 "):
            break
        time.sleep(0.1)
    else:
        raise AssertionError("the API does not come back with the hub")


def upgrade(port, headers):
    try:
        WebSocket(port, headers=headers).close()
        return 101
    except Closed as e:
        return int(str(e).split("HTTP/1.1 ")[1][:3])


def test_who_asks(t):
    """Headers of proxies and Host, as real bytes; the tables are in tests/unit/test_proxy.c."""
    core = Core(t)
    for h in ("X-Forwarded-For: 1.2.3.4", "Forwarded: for=1.2.3.4", "X-Real-IP: 1.2.3.4", "X-Forwarded-Proto: https"):
        assert upgrade(core.port, [h]) == 403, h
    core.stop()
    core = Core(t, {"gateway": {"trustedProxies": ["127.0.0.0/8"]}})
    assert upgrade(core.port, []) == 101
    assert upgrade(core.port, ["X-Forwarded-For: 1.2.3.4"]) == 101
    assert upgrade(core.port, ["X-Forwarded-For: 127.0.0.1"]) == 403
    assert upgrade(core.port, ["X-Forwarded-For: nonsense"]) == 403
    assert upgrade(core.port, ["X-Real-IP: 1.2.3.4"]) == 403
    for host, status in (("evil.example", 421), ("127.0.0.1.nip.io:80", 421), ("localhost", 101), ("[::1]:1", 101)):
        out = core.http(("GET / HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                         "Sec-WebSocket-Version: %d\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
                         % (host, 13)).encode()) if status != 101 else b"HTTP/1.1 101"
        assert out.startswith(b"HTTP/1.1 %d" % status), (host, out[:60])
    core.stop()
