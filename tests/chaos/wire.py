"""A gateway client on the loop: WebSocket (RFC 6455), connect, requests; says when it opens, hears and ends.

Only what a client of the public interface can do. The mask is zero: it costs nothing and is as valid as any.
"""
import base64
import json
import os
import select
import socket
import struct

SCOPES = ["operator.admin", "operator.read", "operator.write", "operator.approvals", "operator.pairing"]
UPGRADE = ("GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n")


def frame_of(text, op=1):
    data = text.encode() if isinstance(text, str) else text
    n = len(data)
    head = struct.pack(">BB", 128 | op, 128 | n) if n < 126 else \
        struct.pack(">BBH", 128 | op, 254, n) if n < 65536 else struct.pack(">BBQ", 128 | op, 255, n)
    return head + b"\0\0\0\0" + data


class Conn:
    """on_open(), on_text(bytes), on_end(why) are the owner's."""

    def __init__(self, loop, port, token, on_open, on_text, on_end):
        self.loop, self.port, self.token = loop, port, token
        self.on_open, self.on_text, self.on_end = on_open, on_text, on_end
        self.sock = socket.socket()
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buf, self.out, self.part = b"", b"", b""
        self.state = "connecting"
        self.local = 0
        self.seq = 0
        err = self.sock.connect_ex(("127.0.0.1", port))
        if err not in (0, 115):
            loop.after(0, lambda: self.end("connect: %d" % err))
        else:
            loop.watch(self.sock.fileno(), select.EPOLLOUT, self.on_event)

    def end(self, why, rst=False):
        if self.state == "ended":
            return
        opened, self.state = self.state == "open", "ended"
        self.loop.forget(self.sock.fileno())
        if rst:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()
        self.on_end(why, opened)

    def write(self, data):
        if self.state == "ended":
            return
        if not self.out:
            try:
                n = self.sock.send(data)
            except BlockingIOError:
                n = 0
            except OSError as e:
                self.end("write: %s" % e)
                return
            data = data[n:]
        if data:
            self.out += data
            self.loop.watch(self.sock.fileno(), select.EPOLLIN | select.EPOLLOUT, self.on_event)

    def request(self, rid, method, params):
        self.write(frame_of(json.dumps({"type": "req", "id": rid, "method": method, "params": params})))

    def on_event(self, mask):
        if self.state == "connecting":
            err = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if err:
                self.end("connect: %d" % err)
                return
            self.local = self.sock.getsockname()[1]
            self.state = "upgrade"
            self.loop.watch(self.sock.fileno(), select.EPOLLIN, self.on_event)
            self.write((UPGRADE % (self.port, base64.b64encode(os.urandom(16)).decode())).encode())
            return
        if mask & select.EPOLLOUT and self.out:
            out, self.out = self.out, b""
            self.write(out)
            if self.state != "ended" and not self.out:
                self.loop.watch(self.sock.fileno(), select.EPOLLIN, self.on_event)
        if mask & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR) and self.state != "ended":
            try:
                data = self.sock.recv(262144)
            except BlockingIOError:
                return
            except OSError as e:
                self.end("read: %s" % e)
                return
            if not data:
                self.end("closed")
                return
            self.buf += data
            self.parse()

    def parse(self):
        if self.state == "upgrade":
            at = self.buf.find(b"\r\n\r\n")
            if at < 0:
                return
            if not self.buf.startswith(b"HTTP/1.1 101"):
                self.end("upgrade: %s" % self.buf[:32].decode("latin-1"))
                return
            self.buf = self.buf[at + 4:]
            self.state = "challenge"
        buf, at, n = self.buf, 0, len(self.buf)
        while n - at >= 2 and self.state != "ended":
            b, size, head = buf[at], buf[at + 1] & 127, 2
            if size == 126:
                if n - at < 4:
                    break
                size, head = int.from_bytes(buf[at + 2:at + 4], "big"), 4
            elif size == 127:
                if n - at < 10:
                    break
                size, head = int.from_bytes(buf[at + 2:at + 10], "big"), 10
            if n - at < head + size:
                break
            data = buf[at + head:at + head + size]
            at += head + size
            self.on_frame(b, data)
        self.buf = buf[at:]

    def on_frame(self, b, data):
        op = b & 15
        if op == 9:
            self.write(frame_of(data, 10))
        elif op == 8:
            self.write(frame_of(data[:2], 8))
            self.end("close %d %s" % (int.from_bytes(data[:2], "big"), data[2:].decode("utf-8", "replace")))
        elif op in (0, 1):
            self.part += data
            if b & 128:
                data, self.part = self.part, b""
                self.on_message(data)

    def on_message(self, data):
        if self.state == "open":
            self.on_text(data)
        elif self.state == "challenge":
            self.state = "hello"
            self.request("hello", "connect", {
                "minProtocol": 4, "maxProtocol": 4, "role": "operator", "scopes": SCOPES,
                "caps": ["session-scoped-events"], "auth": {"token": self.token},
                "client": {"id": "gateway-client", "version": "1.0.0", "platform": "linux", "mode": "backend"}})
        elif self.state == "hello" and b'"id":"hello"' in data[:200]:
            if not json.loads(data)["ok"]:
                self.end("refused: %s" % data[:200].decode("utf-8", "replace"))
                return
            self.state = "open"
            self.on_open()
        elif self.state == "hello":
            self.on_text(data)  # an event may overtake hello
