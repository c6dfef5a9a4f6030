"""HTTP/2 as a weapon: what costs the sender nothing and us something is bounded, in time and in memory, and the others
notice nothing. Each flood runs until the gateway ends it, or until all of it was sent and shown to be harmless."""
import os
import socket
import struct

from client import Client
from h2peer import (ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, GOAWAY, HEADERS,
                    INITIAL_WINDOW_SIZE, INTERNAL_ERROR, PING, PRIORITY, PROTOCOL_ERROR, RST_STREAM, SETTINGS, WINDOW_UPDATE, Gone, Peer, fields, frame, pack,
                    settings)
from test_places import sanitized
from ws import WAIT

u32 = lambda n: struct.pack(">L", n)
GET = pack(fields())


def start(t, **gateway):
    """A sanitizer keeps what was freed: little of it here, or the front is over its limit."""
    g = t.new_gateway(**gateway)
    g.asan = ":quarantine_size_mb=1"
    return g.start()


def bounded(g, most, had=0):
    """The front has not taken more than that many KiB; a sanitizer's own memory says nothing."""
    now = rss(g.worker("front"))
    assert sanitized(g) or now - had < most, (had, now)


def rss(pid):
    """KiB that nobody else has."""
    with open("/proc/%d/smaps_rollup" % pid) as f:
        return sum(int(line.split()[1]) for line in f if line.startswith(("Private_Dirty", "Private_Clean")))


def rapid_reset(i):
    sid = 2 * i + 1
    return frame(HEADERS, END_HEADERS | END_STREAM, sid, GET) + frame(RST_STREAM, 0, sid, u32(8))


def made_to_reset(i):
    """The server is made to do it: a window of 0 more."""
    sid = 2 * i + 1
    return frame(HEADERS, END_HEADERS, sid, pack(fields("POST", "/v1/responses", ("x-bad", " space"))))


FLOODS = (
    ("rapid reset", rapid_reset, ()), ("resets that we send", made_to_reset, ()),
    ("PING", lambda i: frame(PING, 0, 0, b"12345678"), ()), ("SETTINGS", lambda i: settings((INITIAL_WINDOW_SIZE, i % 9)), ()),
    ("acknowledgements", lambda i: frame(SETTINGS, ACK), ()), ("PRIORITY", lambda i: frame(PRIORITY, 0, 2 * i + 1, u32(0) + b"\1"), ()),
    ("unknown frames", lambda i: frame(0x42, 0, 0, b""), ()), ("windows", lambda i: frame(WINDOW_UPDATE, 0, 0, u32(1)), ()),
    ("empty DATA", lambda i: (frame(HEADERS, END_HEADERS, 1, pack(fields("POST"))) if i == 0 else b"") + frame(DATA, 0, 1), ()),
    ("CONTINUATION", lambda i: frame(CONTINUATION if i else HEADERS, END_STREAM if not i else 0, 1, GET if not i else b""), ()),
    ("CONTINUATION with fields", lambda i: frame(CONTINUATION if i else HEADERS, END_STREAM if not i else 0, 1,
                                                 pack([("x", "y" * 100)] * 100)), ()),
)


def test_floods(t, tls):
    """Each ends its own connection, with a code that says so; a client beside it is served meanwhile."""
    g = start(t, tls={"enabled": True}) if tls else start(t)
    with Peer(g.port, tls) as beside:
        beside.lives()
        for name, make, ours in FLOODS:
            with Peer(g.port, tls, ours=ours, quiet=True) as p:
                try:
                    for i in range(0, 20000, 50):
                        p.send(b"".join(make(k) for k in range(i, i + 50)))
                except OSError:
                    pass  # closed meanwhile
                code = p.ending()
                assert code in (ENHANCE_YOUR_CALM, PROTOCOL_ERROR, INTERNAL_ERROR, None), (name, code)  # None: lost on the way
            beside.lives()
    bounded(g, 40 * 1024)
    g.wait_log(lambda l: l.get("event") == "h2.ended", "why they ended", start=0)  # ten lines a second at most


test_floods.params = [(False,), (True,)]


def test_what_is_no_flood(t):
    """Many requests, many cancelled ones, and pings are what clients do."""
    g = start(t)
    with Peer(g.port) as p:
        for _ in range(40):
            for _ in range(30):
                p.open(fields())
            p.lives()
        ids = [p.open(fields("POST", "/healthz"), end=False) for _ in range(20)]
        p.send(b"".join(frame(RST_STREAM, 0, i, u32(8)) for i in ids))
        for _ in range(300):
            p.send(frame(PING, 0, 0, b"areyou??"))
        p.lives()


def test_hpack_bomb(t):
    """A table's entry of 4 KiB, named 16,000 times in each block: it is counted, not kept."""
    g = start(t)
    front, had = g.worker("front"), None
    big = b"\x40\x01x" + b"\x7f\xa1\x1e" + b"y" * 4000  # enters the table
    with Peer(g.port) as p:
        sid = p.open(None, True, GET + big)
        assert p.answer(sid)[0] == 200
        had = rss(front)
        for _ in range(30):
            sid = p.open(None, True, GET + b"\xbe" * 16000)
            assert p.answer(sid)[0] == 431
        bounded(g, 1024, had)
        p.lives()


def test_stalled(t):
    """10,000 streams at window 0: each connection holds 32, and those hold nothing; who reads is served."""
    g = start(t)
    front = g.worker("front")
    had = rss(front)
    peers, refused = [], 0
    try:
        for _ in range(30):
            p = Peer(g.port, ours=((INITIAL_WINDOW_SIZE, 0),), quiet=True)
            peers.append(p)
            p.until(lambda f: f.kind == SETTINGS and f.flags & ACK)
            for _ in range(32):
                p.open(fields(path="/"))
            for _ in range(32):
                p.until(lambda f: f.kind == HEADERS and f.fields[":status"] == "200")
            try:
                for _ in range(300):
                    p.open(fields(path="/"))
                refused += p.ending() is not None
            except OSError:
                refused += 1
        assert refused == 30
        with Peer(g.port) as p:
            p.lives()
        bounded(g, 12 * 1024, had)
    finally:
        for p in peers:
            p.sock.close()


def test_slow_reader_holds_back_itself(t):
    """A stream that is not read, of a file larger than all windows; beside it others go on, and it itself later."""
    root = os.path.join(t.folder, "site")
    os.makedirs(root)
    big = os.urandom(5 * 1024 * 1024)
    for name, data in (("index.html", b"<html>"), ("big.bin", big)):
        with open(os.path.join(root, name), "wb") as f:
            f.write(data)
    g = t.gateway(controlUi={"root": root})
    with Peer(g.port, quiet=True) as p:
        p.send(frame(WINDOW_UPDATE, 0, 0, u32(100 << 20)))
        slow = p.open(fields(path="/big.bin"))
        got = 0
        while got < 65535:
            f = p.next_of(slow)
            got += len(f.payload) if f.kind == DATA else 0
        for _ in range(50):
            assert p.ask()[0] == 200
        p.send(frame(WINDOW_UPDATE, 0, slow, u32(100 << 20)))
        body = b"".join(f.payload for f in p.seen if f.kind == DATA and f.stream == slow)
        while len(body) < len(big):
            f = p.next_of(slow)
            body += f.payload if f.kind == DATA else b""
        assert body == big


def test_bodies_nobody_reads(t):
    """Of a body that was not asked for, the windows take a little, and the connection goes on."""
    g = start(t)
    t.fake.control(fault="ok", chunks="3", gate="go")
    with Peer(g.port) as p:
        p.until(lambda f: f.kind == SETTINGS and f.flags & ACK)
        ids = [p.open(fields("POST", "/v1/responses"), end=False) for _ in range(20)]  # no credential: 401
        for sid in ids:
            p.data(sid, bytes(16384))
        for sid in ids:
            assert next(f for f in iter(lambda: p.next_of(sid), None) if f.kind == HEADERS).fields[":status"] in ("401", "404")
        p.lives()


def test_drain(t):
    """When the gateway stops, streams under way are answered to their end, new ones are told that they were not begun."""
    root = os.path.join(t.folder, "site")
    os.makedirs(root)
    big = os.urandom(3 * 1024 * 1024)
    for name, data in (("index.html", b"<html>"), ("big.bin", big)):
        with open(os.path.join(root, name), "wb") as f:
            f.write(data)
    g = t.gateway(controlUi={"root": root})
    with Peer(g.port) as p:
        p.quiet = True
        p.send(frame(WINDOW_UPDATE, 0, 0, u32(100 << 20)))
        sid = p.open(fields(path="/big.bin"))
        p.until(lambda f: f.kind == DATA and f.stream == sid)
        g.proc.terminate()
        notice = p.until(lambda f: f.kind == GOAWAY)
        assert notice.code == 0 and notice.payload[:4] == b"\x7f\xff\xff\xff", notice
        late = p.open(fields())
        p.until(lambda f: f.kind == RST_STREAM and f.stream == late and f.code == 7)
        ping = next(f for f in p.seen if f.kind == PING)
        p.send(frame(PING, ACK, 0, ping.payload) + frame(WINDOW_UPDATE, 0, sid, u32(100 << 20)))
        assert struct.unpack(">L", p.until(lambda f: f.kind == GOAWAY).payload[:4])[0] in (sid, late)
        s, _, body = p.answer(sid)
        assert s == 200 and body == big
        try:
            while True:
                p.read()
        except Gone:
            pass


def test_slow_heads(t):
    """A header block that does not end, and a connection that says nothing behind its preface."""
    g = start(t)
    with Peer(g.port, quiet=True) as a, Peer(g.port, preface=None) as b, Peer(g.port, preface=None, quiet=True) as c:
        a.send(frame(HEADERS, END_STREAM, 1, GET[:5]))
        b.send(b"PRI")
        c.send(b"PRI * HTTP/2.0\r\n\r\nSM")
        assert a.ending() == ENHANCE_YOUR_CALM
        first = b.sock.recv(100)
        assert first.startswith(b"HTTP/1.1 408"), first
        assert c.ending() in (0, None)


def test_many_sessions(t):
    """More sessions than a front keeps: who has shown a credential stays, an idle stranger makes room."""
    g = start(t, limits={"preauthPerAddress": 4000})
    first = Peer(g.port)
    assert first.ask("/v1/models", "GET", ("authorization", "Bearer " + g.token))[0] == 200
    socks = []
    for _ in range(1200):
        s = socket.create_connection(("127.0.0.1", g.port), timeout=WAIT)
        s.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings())
        socks.append(s)
    with Peer(g.port) as p:
        p.lives()
    first.lives()
    bounded(g, 60 * 1024)
    for s in socks:
        s.close()
    assert Client(g.port, g.token).ask("health")["ok"]
