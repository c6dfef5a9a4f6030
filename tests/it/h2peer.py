"""HTTP/2 frames by hand: what a client may not send can be sent, and what comes back is seen frame by frame.
hpack of Debian's python3-h2 packs header blocks, and nothing else of it is used here."""
import socket
import ssl
import struct
import sys

from ws import WAIT

sys.path.append("/usr/lib/python3/dist-packages")  # for a python3 that is not Debian's
import hpack  # noqa: E402

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
TYPES = "DATA HEADERS PRIORITY RST_STREAM SETTINGS PUSH_PROMISE PING GOAWAY WINDOW_UPDATE CONTINUATION".split()
END_STREAM, ACK, END_HEADERS, PADDED, PRIO = 1, 1, 4, 8, 0x20
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = \
    range(1, 7)
ENABLE_CONNECT_PROTOCOL = 8
(NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED, FRAME_SIZE_ERROR,
 REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM) = range(12)


def frame(kind, flags=0, stream=0, payload=b"", length=None):
    n = len(payload) if length is None else length
    return struct.pack(">BHBBL", n >> 16, n & 0xffff, kind, flags, stream) + payload


def settings(*pairs):
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HL", k, v) for k, v in pairs))


def pack(fields):
    """A header block without Huffman codes and without memory: the same bytes for every test."""
    e = hpack.Encoder()
    return e.encode([hpack.NeverIndexedHeaderTuple(k, v) for k, v in fields], huffman=False)


def fields(method="GET", path="/healthz", *more, scheme="http", authority="127.0.0.1"):
    return [(":method", method), (":scheme", scheme), (":path", path), (":authority", authority), *more]


class Frame:
    def __init__(self, kind, flags, stream, payload):
        self.kind, self.flags, self.stream, self.payload = kind, flags, stream, payload
        self.fields = None

    @property
    def code(self):
        return struct.unpack(">L", self.payload[4:8] if self.kind == GOAWAY else self.payload[:4])[0]

    def __repr__(self):
        return "%s flags %d stream %d %r" % (TYPES[self.kind] if self.kind < len(TYPES) else self.kind, self.flags,
                                             self.stream, self.fields or self.payload[:60])


class Gone(Exception):
    """The server closed the connection."""


def tls_context():
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
    c.set_alpn_protocols(["h2"])
    return c


class Peer:
    """One connection. ours: settings of the client. quiet: nothing is acknowledged, no window is opened."""

    def __init__(self, port, tls=False, ours=(), quiet=False, preface=PREFACE, timeout=WAIT):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.sock = tls_context().wrap_socket(self.sock)
            assert self.sock.selected_alpn_protocol() == "h2"
        self.quiet, self.got, self.decoder, self.seen = quiet, b"", hpack.Decoder(), []
        self.inbox = {}  # stream -> frames that nobody asked for yet
        self.theirs, self.next_id = {}, 1
        if preface:
            self.send(preface + settings(*ours))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def read(self):
        """The next frame; raises Gone."""
        while len(self.got) < 9 or len(self.got) < 9 + int.from_bytes(self.got[:3], "big"):
            try:
                part = self.sock.recv(262144)
            except ConnectionError:
                part = b""
            if not part:
                raise Gone(self.seen[-5:])
            self.got += part
        n = int.from_bytes(self.got[:3], "big")
        f = Frame(self.got[3], self.got[4], struct.unpack(">L", self.got[5:9])[0], self.got[9:9 + n])
        self.got = self.got[9 + n:]
        self.seen.append(f)
        self.inbox.setdefault(f.stream, []).append(f)
        if f.kind == HEADERS:
            assert f.flags & END_HEADERS, "no answer here is that large"
            f.fields = dict(self.decoder.decode(f.payload))
        elif f.kind == SETTINGS and not f.flags & ACK:
            for i in range(0, n, 6):
                k, v = struct.unpack(">HL", f.payload[i:i + 6])
                self.theirs[k] = v
            if not self.quiet:
                self.send(frame(SETTINGS, ACK))
        elif f.kind == PING and not f.flags & ACK and not self.quiet:
            self.send(frame(PING, ACK, 0, f.payload))
        elif f.kind == DATA and n and not self.quiet:
            up = struct.pack(">L", n)
            self.send(frame(WINDOW_UPDATE, 0, 0, up) + (b"" if f.flags & END_STREAM else
                                                       frame(WINDOW_UPDATE, 0, f.stream, up)))
        return f

    def until(self, want):
        """The first frame for which want(frame)."""
        while True:
            f = self.read()
            if want(f):
                return f

    def next_of(self, sid):
        """The next frame of a stream."""
        while not self.inbox.get(sid):
            self.read()
        return self.inbox[sid].pop(0)

    def open(self, head, end=True, block=None):
        """A request's HEADERS; its stream."""
        sid, self.next_id = self.next_id, self.next_id + 2
        self.send(frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), sid, block if block is not None else pack(head)))
        return sid

    def data(self, sid, data=b"", end=False):
        self.send(frame(DATA, END_STREAM if end else 0, sid, data))

    def answer(self, sid):
        """(status, fields, body) of a stream that ends well."""
        head, body = None, b""
        while True:
            f = self.next_of(sid)
            if f.kind == RST_STREAM:
                raise AssertionError("stream %d: %r after %r" % (sid, f, head))
            if f.kind == HEADERS and (head is None or head[":status"] == "100"):
                head = f.fields
            elif f.kind == DATA:
                body += f.payload
            if f.kind in (HEADERS, DATA) and f.flags & END_STREAM:
                return int(head[":status"]), head, body

    def ask(self, path="/healthz", method="GET", *more, body=None):
        sid = self.open(fields(method, path, *more), end=body is None)
        if body is not None:
            self.data(sid, body, end=True)
        return self.answer(sid)

    def lives(self):
        """It serves: a ping comes back, and a request is answered."""
        self.send(frame(PING, 0, 0, b"stillup?"))
        self.until(lambda f: f.kind == PING and f.payload == b"stillup?")
        s, _, b = self.ask()
        assert (s, b) == (200, b'{"ok":true,"status":"live"}'), (s, b)

    def ending(self):
        """GOAWAY's code, or None when there was none, once the server has closed."""
        code = None
        try:
            while True:
                f = self.read()
                if f.kind == GOAWAY:
                    code = f.code
        except Gone:
            return code
