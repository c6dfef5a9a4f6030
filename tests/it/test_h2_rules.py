"""Every MUST of RFC 9113, sections 3 to 6 and 8, that a client can break, as one table: bytes by hand, and what has to come.
A row is (section, what the client does, what is allowed to happen, how).
    C:CODE   the connection ends, with GOAWAY of that code       S:CODE   only that stream, and the connection serves on
    ok       it serves on as if nothing had been                 a number  the stream is answered with that status
RFC 9113, 5.4 lets a server treat an error of a stream as one of the connection, so rows name what we do, not all it could.
The list follows the sections that h2spec tests (which Debian does not have)."""
import struct

from h2peer import (ACK, CONTINUATION, DATA, ENABLE_CONNECT_PROTOCOL, ENABLE_PUSH, END_HEADERS, END_STREAM, GOAWAY, HEADERS,
                    INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS, MAX_FRAME_SIZE, PADDED, PING, PREFACE, PRIO, PRIORITY,
                    PUSH_PROMISE, RST_STREAM, SETTINGS, TYPES, WINDOW_UPDATE, Gone, Peer, fields, frame, pack, settings)

CODES = ("NO_ERROR PROTOCOL_ERROR INTERNAL_ERROR FLOW_CONTROL_ERROR SETTINGS_TIMEOUT STREAM_CLOSED FRAME_SIZE_ERROR "
         "REFUSED_STREAM CANCEL COMPRESSION_ERROR CONNECT_ERROR ENHANCE_YOUR_CALM").split()
u32 = lambda n: struct.pack(">L", n)
GET = pack(fields())
ROWS = []


def row(section, name, want, how, **conn):
    ROWS.append((section, name, want.split(), how, conn))


def raw(*a, **k):
    return lambda p: p.send(frame(*a, **k))


def head(*more, method="GET", path="/healthz", end=True, drop=(), first=()):
    """A request with these fields more, or without some of the usual ones."""
    block = list(first) + [f for f in fields(method, path) if f[0] not in drop] + list(more)
    return lambda p: p.open(block, end)


def block(data, end=True):
    return lambda p: p.open(None, end, data)


def stalled(p):
    """A stream whose request is whole and whose answer cannot be sent: half-closed (remote)."""
    sid = p.open(fields())
    p.until(lambda f: f.kind == HEADERS and f.stream == sid)
    return sid


def done(p):
    sid = p.open(fields())
    p.answer(sid)
    return sid


def after(first, then):
    """then's bytes on the stream that first leaves."""
    return lambda p: p.send(then(first(p)))


def gone(p):
    """A stream that the client reset."""
    sid = p.open(fields(method="POST", path="/v1/responses"), end=False)
    p.send(frame(RST_STREAM, 0, sid, u32(8)))
    return sid


def started(p):
    """A header block without its end."""
    p.send(frame(HEADERS, END_STREAM, 1, GET[:4]))
    return 1


ZERO = {"ours": ((INITIAL_WINDOW_SIZE, 0),)}

# ---- 3.4 the preface
row("3.4", "another preface", "C:PROTOCOL_ERROR 400 505", lambda p: None, preface=b"PRI * HTTP/2.0\r\n\r\nXM\r\n\r\n")
row("3.4", "the first frame is not SETTINGS", "C:PROTOCOL_ERROR", raw(PING, 0, 0, b"12345678"), preface=None, start=PREFACE)
# ---- 4 frames
row("4.1", "an unknown type", "ok", raw(0x16, 0xff, 0, b"what"))
row("4.1", "an unknown type on an idle stream", "ok", raw(0x16, 0xff, 77, b"what"))
row("4.1", "unknown flags", "ok", raw(PING, 0x16, 0, b"12345678"))
row("4.1", "the reserved bit of a stream's number", "ok", raw(PING, 0, 0x80000000, b"12345678"))
row("4.2", "DATA above SETTINGS_MAX_FRAME_SIZE", "C:FRAME_SIZE_ERROR S:FRAME_SIZE_ERROR", lambda p: p.data(
    p.open(fields("POST", "/v1/responses"), end=False), bytes(16385)))
row("4.2", "HEADERS above it", "C:FRAME_SIZE_ERROR", raw(HEADERS, END_HEADERS | END_STREAM, 1, GET + bytes(16385)))
row("4.2", "SETTINGS above it", "C:FRAME_SIZE_ERROR", lambda p: p.send(settings(*[(0xf0, 0)] * 2731)))
row("4.3", "index 0", "C:COMPRESSION_ERROR", block(b"\x80"))
row("4.3", "an index that is not there", "C:COMPRESSION_ERROR", block(b"\xff\xff\x7f"))
row("4.3", "a literal cut short", "C:COMPRESSION_ERROR C:PROTOCOL_ERROR", block(b"\x00\x7f\x80"))
row("4.3", "a table larger than allowed", "C:COMPRESSION_ERROR", block(b"\x3f\xe2\x1f" + GET))
row("4.3", "a new table size behind a field", "C:COMPRESSION_ERROR", block(GET + b"\x20"))
row("4.3", "Huffman padding of more than 7 bits", "C:COMPRESSION_ERROR", block(GET + b"\x00\x01a\x82\xff\xff"))
row("4.3", "an integer without end", "C:COMPRESSION_ERROR", block(b"\xff" + b"\xff" * 12))
# ---- 5.1 states
row("5.1", "idle: DATA", "C:PROTOCOL_ERROR", raw(DATA, END_STREAM, 1, b"x"))
row("5.1", "idle: RST_STREAM", "C:PROTOCOL_ERROR", raw(RST_STREAM, 0, 1, u32(8)))
row("5.1", "idle: WINDOW_UPDATE", "C:PROTOCOL_ERROR", raw(WINDOW_UPDATE, 0, 1, u32(8)))
row("5.1", "idle: CONTINUATION", "C:PROTOCOL_ERROR", raw(CONTINUATION, END_HEADERS, 1, GET))
row("5.1", "idle: PRIORITY", "ok", raw(PRIORITY, 0, 1, u32(0) + b"\x10"))
row("5.1", "half-closed: DATA", "S:STREAM_CLOSED C:STREAM_CLOSED", after(stalled, lambda s: frame(DATA, END_STREAM, s, b"x")), **ZERO)
row("5.1", "half-closed: HEADERS", "S:STREAM_CLOSED C:STREAM_CLOSED",
    after(stalled, lambda s: frame(HEADERS, END_HEADERS | END_STREAM, s, GET)), **ZERO)
row("5.1", "half-closed: CONTINUATION", "C:PROTOCOL_ERROR C:STREAM_CLOSED",
    after(stalled, lambda s: frame(CONTINUATION, END_HEADERS, s, GET)), **ZERO)
row("5.1", "half-closed: PRIORITY, WINDOW_UPDATE, RST_STREAM", "ok", after(stalled, lambda s: frame(
    PRIORITY, 0, s, u32(0) + b"\x01") + frame(WINDOW_UPDATE, 0, s, u32(5)) + frame(RST_STREAM, 0, s, u32(8)) +
    settings((INITIAL_WINDOW_SIZE, 65535))), **ZERO)
row("5.1", "closed: DATA", "S:STREAM_CLOSED C:STREAM_CLOSED", after(done, lambda s: frame(DATA, END_STREAM, s, b"x")))
row("5.1", "closed: HEADERS", "C:STREAM_CLOSED C:PROTOCOL_ERROR", after(done, lambda s: frame(HEADERS, END_HEADERS | END_STREAM, s, GET)))
row("5.1", "closed: CONTINUATION", "C:PROTOCOL_ERROR", after(done, lambda s: frame(CONTINUATION, END_HEADERS, s, GET)))
row("5.1", "closed: WINDOW_UPDATE, RST_STREAM, PRIORITY", "ok", after(done, lambda s: frame(
    WINDOW_UPDATE, 0, s, u32(5)) + frame(RST_STREAM, 0, s, u32(8)) + frame(PRIORITY, 0, s, u32(0) + b"\x01")))
row("5.1", "reset by the client: DATA", "ok S:STREAM_CLOSED C:STREAM_CLOSED", after(gone, lambda s: frame(DATA, END_STREAM, s, b"x")))
row("5.1", "reset by the client: HEADERS", "C:STREAM_CLOSED C:PROTOCOL_ERROR",
    after(gone, lambda s: frame(HEADERS, END_HEADERS | END_STREAM, s, GET)))
row("5.1.1", "an even number", "C:PROTOCOL_ERROR", raw(HEADERS, END_HEADERS | END_STREAM, 2, GET))
row("5.1.1", "a smaller number", "C:PROTOCOL_ERROR C:STREAM_CLOSED", lambda p: p.send(
    frame(HEADERS, END_HEADERS | END_STREAM, 5, GET) + frame(HEADERS, END_HEADERS | END_STREAM, 3, GET)))
row("5.1.2", "more streams than allowed", "C:PROTOCOL_ERROR S:PROTOCOL_ERROR S:REFUSED_STREAM", lambda p: [
    p.until(lambda f: f.kind == SETTINGS and f.flags & ACK), [p.open(fields()) for _ in range(33)]], **ZERO)
row("5.3.1", "a stream that depends on itself", "ok S:PROTOCOL_ERROR C:PROTOCOL_ERROR", raw(PRIORITY, 0, 1, u32(1) + b"\x10"))
row("5.5", "an unknown frame inside a header block", "C:PROTOCOL_ERROR", after(started, lambda s: frame(0x16, 0, s, b"x")))
row("5.5", "an unknown setting", "ok", lambda p: p.send(settings((0xf0f0, 7))))
# ---- 6.1 DATA
row("6.1", "on stream 0", "C:PROTOCOL_ERROR", raw(DATA, 0, 0, b"x"))
row("6.1", "padding as long as the frame", "C:PROTOCOL_ERROR", lambda p: p.send(frame(DATA, PADDED, p.open(
    fields("POST", "/v1/responses"), end=False), b"\x05four")))
row("6.1", "padding without its length", "C:FRAME_SIZE_ERROR C:PROTOCOL_ERROR", lambda p: p.send(frame(
    DATA, PADDED, p.open(fields("POST", "/v1/responses"), end=False))))
row("6.1", "with padding", "405", lambda p: p.send(frame(DATA, PADDED | END_STREAM, p.open(
    fields("POST"), end=False), b"\x04abc\0\0\0\0")))
# ---- 6.2 HEADERS
row("6.2", "on stream 0", "C:PROTOCOL_ERROR", raw(HEADERS, END_HEADERS | END_STREAM, 0, GET))
row("6.2", "padding longer than the frame", "C:PROTOCOL_ERROR", raw(HEADERS, END_HEADERS | END_STREAM | PADDED, 1, b"\xff" + GET))
row("6.2", "with padding and priority", "200", raw(HEADERS, END_HEADERS | END_STREAM | PADDED | PRIO, 1,
                                                  b"\x03" + u32(0x80000000) + b"\xff" + GET + b"\0\0\0"))
row("6.2", "priority without room for it", "C:FRAME_SIZE_ERROR C:PROTOCOL_ERROR", raw(HEADERS, END_HEADERS | END_STREAM | PRIO, 1, b"\0\0"))
row("6.2", "another stream's HEADERS inside a block", "C:PROTOCOL_ERROR",
    after(started, lambda s: frame(HEADERS, END_HEADERS | END_STREAM, s + 2, GET)))
# ---- 6.3, 6.4
row("6.3", "PRIORITY on stream 0", "C:PROTOCOL_ERROR", raw(PRIORITY, 0, 0, u32(0) + b"\x10"))
row("6.3", "PRIORITY of 4 bytes", "S:FRAME_SIZE_ERROR C:FRAME_SIZE_ERROR", lambda p: p.send(frame(
    PRIORITY, 0, p.open(fields("POST", "/v1/responses"), end=False), u32(0))))
row("6.4", "RST_STREAM on stream 0", "C:PROTOCOL_ERROR", raw(RST_STREAM, 0, 0, u32(8)))
row("6.4", "RST_STREAM of 3 bytes", "C:FRAME_SIZE_ERROR", lambda p: p.send(frame(
    RST_STREAM, 0, p.open(fields("POST", "/v1/responses"), end=False), b"abc")))
# ---- 6.5 SETTINGS
row("6.5", "on a stream", "C:PROTOCOL_ERROR", raw(SETTINGS, 0, 1))
row("6.5", "an ACK with something in it", "C:FRAME_SIZE_ERROR", raw(SETTINGS, ACK, 0, bytes(6)))
row("6.5", "5 bytes", "C:FRAME_SIZE_ERROR", raw(SETTINGS, 0, 0, bytes(5)))
row("6.5.2", "ENABLE_PUSH of 2", "C:PROTOCOL_ERROR", lambda p: p.send(settings((ENABLE_PUSH, 2))))
row("6.5.2", "INITIAL_WINDOW_SIZE of 2^31", "C:FLOW_CONTROL_ERROR", lambda p: p.send(settings((INITIAL_WINDOW_SIZE, 1 << 31))))
row("6.5.2", "MAX_FRAME_SIZE of 16383", "C:PROTOCOL_ERROR", lambda p: p.send(settings((MAX_FRAME_SIZE, 16383))))
row("6.5.2", "MAX_FRAME_SIZE of 2^24", "C:PROTOCOL_ERROR", lambda p: p.send(settings((MAX_FRAME_SIZE, 1 << 24))))
row("6.5.2", "ENABLE_CONNECT_PROTOCOL of 2", "C:PROTOCOL_ERROR", lambda p: p.send(settings((ENABLE_CONNECT_PROTOCOL, 2))))
row("6.5.2", "NO_RFC7540_PRIORITIES of 2", "C:PROTOCOL_ERROR", lambda p: p.send(settings((9, 2))))
row("6.5.2", "no streams allowed to us", "ok", lambda p: p.send(settings((MAX_CONCURRENT_STREAMS, 0))))
row("6.5.3", "SETTINGS are acknowledged", "ok", lambda p: [p.send(settings((1, 0))), [
    p.until(lambda f: f.kind == SETTINGS and f.flags & ACK) for _ in range(2)]])
# ---- 6.6, 6.7, 6.8
row("6.6", "PUSH_PROMISE of a client", "C:PROTOCOL_ERROR", lambda p: p.send(frame(
    PUSH_PROMISE, END_HEADERS, p.open(fields("POST", "/v1/responses"), end=False), u32(2) + GET)))
row("6.7", "PING is answered with what it holds", "ok", lambda p: [p.send(frame(PING, 0, 0, b"\0\1\2\3\4\5\6\7")), p.until(
    lambda f: f.kind == PING and f.flags & ACK and f.payload == b"\0\1\2\3\4\5\6\7")])
row("6.7", "an answer to a PING that nobody sent", "ok", raw(PING, ACK, 0, b"12345678"))
row("6.7", "PING of 6 bytes", "C:FRAME_SIZE_ERROR", raw(PING, 0, 0, b"123456"))
row("6.7", "PING on a stream", "C:PROTOCOL_ERROR", raw(PING, 0, 1, b"12345678"))
row("6.8", "GOAWAY on a stream", "C:PROTOCOL_ERROR", raw(GOAWAY, 0, 1, u32(0) + u32(0)))
row("6.8", "GOAWAY of 7 bytes", "C:FRAME_SIZE_ERROR", raw(GOAWAY, 0, 0, bytes(7)))
row("6.8", "a stream that was open is answered behind GOAWAY", "closed", lambda p: [after(stalled, lambda s: frame(
    GOAWAY, 0, 0, u32(0) + u32(0)) + settings((INITIAL_WINDOW_SIZE, 65535)))(p), p.until(
    lambda f: f.kind == DATA and f.flags & END_STREAM)], **ZERO)
# ---- 6.9 windows
row("6.9", "0 for the connection", "C:PROTOCOL_ERROR", raw(WINDOW_UPDATE, 0, 0, u32(0)))
row("6.9", "0 for a stream", "S:PROTOCOL_ERROR C:PROTOCOL_ERROR", after(stalled, lambda s: frame(WINDOW_UPDATE, 0, s, u32(0))), **ZERO)
row("6.9", "3 bytes", "C:FRAME_SIZE_ERROR", raw(WINDOW_UPDATE, 0, 0, b"abc"))
row("6.9", "the reserved bit", "ok", raw(WINDOW_UPDATE, 0, 0, u32(0x80000001)))
row("6.9.1", "the connection's window above 2^31 - 1", "C:FLOW_CONTROL_ERROR", lambda p: p.send(frame(
    WINDOW_UPDATE, 0, 0, u32(0x7fffffff)) * 2))
row("6.9.1", "a stream's window above it", "S:FLOW_CONTROL_ERROR", after(
    lambda p: p.open(fields("POST", "/v1/responses"), end=False), lambda s: frame(WINDOW_UPDATE, 0, s, u32(0x7fffffff)) * 2))
row("6.9.2", "windows of open streams above it", "C:FLOW_CONTROL_ERROR S:FLOW_CONTROL_ERROR", after(stalled, lambda s: frame(
    WINDOW_UPDATE, 0, s, u32(0x7fffffff)) + settings((INITIAL_WINDOW_SIZE, 0x7fffffff))), quiet=True, ours=((INITIAL_WINDOW_SIZE, 0),))
row("6.9.1", "more than our window of a stream", "S:FLOW_CONTROL_ERROR C:FLOW_CONTROL_ERROR", lambda p: [
    p.until(lambda f: f.kind == SETTINGS and f.flags & ACK), p.lives(),
    (lambda s: [p.data(s, bytes(16384)) for _ in range(100)])(p.open(fields("POST", "/healthz"), end=False))], quiet_body=True)
# ---- 6.10
row("6.10", "without HEADERS before it", "C:PROTOCOL_ERROR", raw(CONTINUATION, END_HEADERS, 1, GET))
row("6.10", "behind END_HEADERS", "C:PROTOCOL_ERROR", after(lambda p: p.open(fields("POST", "/v1/responses"), end=False),
                                                           lambda s: frame(CONTINUATION, END_HEADERS, s, GET)))
row("6.10", "behind DATA", "C:PROTOCOL_ERROR", after(lambda p: p.open(fields("POST", "/v1/responses"), end=False),
                                                    lambda s: frame(DATA, 0, s, b"x") + frame(CONTINUATION, END_HEADERS, s, GET)))
row("6.10", "on stream 0", "C:PROTOCOL_ERROR", after(started, lambda s: frame(CONTINUATION, END_HEADERS, 0, GET[4:])))
row("6.10", "on another stream", "C:PROTOCOL_ERROR", after(started, lambda s: frame(CONTINUATION, END_HEADERS, s + 2, GET[4:])))
row("6.10", "PING inside a block", "C:PROTOCOL_ERROR", after(started, lambda s: frame(PING, 0, 0, b"12345678")))
row("6.10", "DATA inside a block", "C:PROTOCOL_ERROR", after(started, lambda s: frame(DATA, 0, s, b"x")))
row("6.10", "a block in pieces", "200", after(started, lambda s: b"".join(
    frame(CONTINUATION, 0, s, GET[i:i + 20]) for i in range(4, len(GET), 20)) + frame(CONTINUATION, END_HEADERS, s)))
row("6.10", "more pieces than anybody needs", "C:ENHANCE_YOUR_CALM C:PROTOCOL_ERROR C:INTERNAL_ERROR",
    after(started, lambda s: frame(CONTINUATION, 0, s) * 50))
# ---- 8 requests
MALFORMED = "S:PROTOCOL_ERROR"
row("8.1", "HEADERS inside a body, without END_STREAM", MALFORMED + " C:PROTOCOL_ERROR", after(
    lambda p: p.open(fields("POST", "/v1/responses"), end=False), lambda s: frame(HEADERS, END_HEADERS, s, pack([("a", "b")]))))
row("8.1", "a pseudo field in trailers", MALFORMED, after(
    lambda p: p.open(fields("POST", "/v1/responses"), end=False),
    lambda s: frame(HEADERS, END_HEADERS | END_STREAM, s, pack([(":path", "/")]))))
row("8.1", "trailers", "405", after(lambda p: p.open(fields("POST"), end=False),
                                   lambda s: frame(HEADERS, END_HEADERS | END_STREAM, s, pack([("x-sum", "1")]))))
row("8.2", "an upper case name", MALFORMED, head(("X-Foo", "1")))
row("8.2.1", "a space in a name", MALFORMED, head(("x foo", "1")))
row("8.2.1", "a colon in a name", MALFORMED, head(("x:foo", "1")))
row("8.2.1", "an empty name", MALFORMED, head(("", "1")))
row("8.2.1", "a name of other bytes", MALFORMED, head((b"x\xe9", "1")))
row("8.2.1", "NUL in a value", MALFORMED, head(("x", "a\0b")))
row("8.2.1", "CR LF in a value", MALFORMED, head(("x", "a\r\nhost: evil")))
row("8.2.1", "LF in a value", MALFORMED, head(("x", "a\nb")))
row("8.2.1", "a space around a value", MALFORMED, head(("x", " a")))
row("8.2.1", "a tab behind a value", MALFORMED, head(("x", "a\t")))
for name, value in (("connection", "keep-alive"), ("proxy-connection", "x"), ("keep-alive", "5"), ("upgrade", "websocket"),
                    ("transfer-encoding", "chunked"), ("te", "gzip"), ("te", "trailers, deflate")):
    row("8.2.2", "%s: %s" % (name, value), MALFORMED, head((name, value)))
row("8.2.2", "te: trailers", "200", head(("te", "trailers")))
for name in (":method", ":scheme", ":path"):
    row("8.3.1", "without " + name, MALFORMED, head(drop=(name,)))
    row("8.3.1", "two of " + name, MALFORMED, head(first=((name, dict(fields())[name]),)))
row("8.3.1", "two of :authority", MALFORMED, head(first=((":authority", "x"),)))
row("8.3.1", "without :authority and Host", MALFORMED + " 400", head(drop=(":authority",)))
row("8.3.1", "Host instead of :authority", "200", head(("host", "127.0.0.1"), drop=(":authority",)))
row("8.3.1", "Host and another :authority", "400", head(("host", "elsewhere")))
row("8.3.1", "the same twice", "200", head(("host", "127.0.0.1")))
row("8.3.1", "two of Host", MALFORMED + " 400", head(("host", "127.0.0.1"), ("host", "127.0.0.1"), drop=(":authority",)))
row("8.3.1", "an authority that ends a line", MALFORMED, head(drop=(":authority",), first=((":authority", "x\r\na: b"),)))
row("8.3.1", "an authority with a path", MALFORMED + " 400", head(drop=(":authority",), first=((":authority", "x/y"),)))
row("8.3.1", "an empty path", MALFORMED, head(path=""))
row("8.3.1", "a path without a slash", MALFORMED + " 400", head(path="healthz"))
row("8.3.1", "a path with a space", MALFORMED + " 400", head(path="/healthz HTTP/1.1"))
row("8.3.1", "a path that ends a line", MALFORMED, head(path="/healthz\r\nx: y"))
row("8.3.1", "a path of another site", MALFORMED + " 400", head(path="http://evil/healthz"))
row("8.3.1", "* of GET", MALFORMED, head(path="*"))
row("8.3.1", "* of OPTIONS", "404", head(path="*", method="OPTIONS"))
row("8.3.1", "a method that is no word", MALFORMED, head(method="GE T"))
row("8.3.1", "a method nobody knows", "501", head(method="BREW"))
row("8.3", "a pseudo field of answers", MALFORMED, head(first=((":status", "200"),)))
row("8.3", "a pseudo field nobody knows", MALFORMED, head(first=((":whence", "x"),)))
row("8.3", "a pseudo field behind others", MALFORMED, head(("x", "1"), (":path", "/"), drop=(":path",)))
row("8.5", "CONNECT", MALFORMED + " 400 404 405 501", head(method="CONNECT", drop=(":path", ":scheme")))
row("8.5", "CONNECT with a path", MALFORMED, head(method="CONNECT"))
row("RFC 8441, 4", ":protocol of GET", MALFORMED, head(first=((":protocol", "websocket"),)))
row("RFC 8441, 4", "CONNECT with :protocol without a path", MALFORMED, head(method="CONNECT", drop=(":path",), first=((":protocol", "websocket"),)))
row("8.1.1", "content-length of more than comes", MALFORMED, lambda p: p.data(p.open(fields(
    "POST", "/v1/responses", ("content-length", "5")), end=False), b"four", end=True))
row("8.1.1", "content-length of less than comes", MALFORMED, lambda p: p.data(p.open(fields(
    "POST", "/v1/responses", ("content-length", "3")), end=False), b"four", end=True))
row("8.1.1", "content-length and no body", MALFORMED, head(("content-length", "3"), method="POST", path="/v1/responses"))
row("8.1.1", "two of content-length", MALFORMED, head(("content-length", "0"), ("content-length", "0")))
row("8.1.1", "content-length of no number", MALFORMED, head(("content-length", "-1")))
row("8.1.1", "content-length above all", MALFORMED, head(("content-length", "99999999999999999999")))
# ---- our limits
row("6.5.2", "101 fields", "431", head(*[("x%d" % i, "1") for i in range(100)]))  # the authority is one, as Host is
row("6.5.2", "100 fields", "200", head(*[("x%d" % i, "1") for i in range(99)]))
row("6.5.2", "17 KiB of fields", "431", lambda p: (lambda b: p.send(
    frame(HEADERS, END_STREAM, 1, b[:16000]) + frame(CONTINUATION, END_HEADERS, 1, b[16000:])))(
    pack(fields() + [("x", "a" * 8700), ("y", "b" * 8700)])))
row("6.5.2", "a path of 8 KiB and a byte", "414", head(path="/" + "a" * 8192))


def outcome(p, want):
    """What happened, in the words of the table."""
    sid, left = None, 500
    try:
        p.send(frame(PING, 0, 0, b"and then"))
        while True:
            f = p.read()
            if f.kind == GOAWAY and f.code:
                p.ending()
                return "C:" + CODES[f.code]
            if f.kind == RST_STREAM:
                sid = "S:" + CODES[f.code]
            if f.kind == HEADERS and f.fields.get(":status", "").isdigit() and f.flags & END_HEADERS and \
                    any(w.isdigit() for w in want):
                got = f.fields[":status"]
                while not any(x.stream == f.stream and x.flags & END_STREAM and x.kind in (DATA, HEADERS) for x in p.seen):
                    p.read()
                return got
            if f.kind == PING and f.payload == b"and then":
                if sid or not any(w.isdigit() or w[:2] == "S:" for w in want):
                    p.lives()
                    return sid or "ok"
                left -= 1
                if not left:
                    return "ok"
                p.send(frame(PING, 0, 0, b"and then"))  # the hub may have been asked
    except (Gone, OSError):
        return "closed"


def run(g, tls, section, name, want, how, conn):
    conn = dict(conn)
    start, body = conn.pop("start", None), conn.pop("quiet_body", None)
    with Peer(g.port, tls, **conn) as p:
        if start:
            p.send(start)
        if body:
            p.sock.settimeout(20)
        try:
            how(p)
        except (Gone, OSError):
            assert "closed" not in want, name  # others may be closed before all is said
        for f in p.seen:
            if f.kind == GOAWAY and f.code:
                p.ending()
                return "C:" + CODES[f.code]
        return outcome(p, want)


def test_rules(t, tls):
    g = t.gateway(tls={"enabled": True}) if tls else t.gateway()
    wrong = []
    for section, name, want, how, conn in ROWS:
        got = run(g, tls, section, name, want, how, conn)
        if got not in want:
            wrong.append("%s %s: %s, wanted %s" % (section, name, got, " or ".join(want)))
    assert not wrong, "%d of %d:\n%s" % (len(wrong), len(ROWS), "\n".join(wrong))
    assert len({(s, n) for s, n, *_ in ROWS}) == len(ROWS) and TYPES
    with Peer(g.port, tls) as p:
        p.lives()


test_rules.params = [(False,), (True,)]
