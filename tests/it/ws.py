"""A WebSocket client of our own (RFC 6455), small enough to trust and blunt enough to send anything.

One reader thread per connection; whoever waits, waits on a condition, never for time.
"""
import base64
import json
import os
import select
import socket
import ssl
import struct
import threading
import time

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
WAIT = 20  # seconds; more than any single step needs on a busy two-core machine


class Timeout(AssertionError):
    pass


class Closed(AssertionError):
    pass


def mask(data, key):
    n = len(data)
    if n == 0:
        return b""
    pad = (key * (n // 4 + 1))[:n]
    return (int.from_bytes(data, "big") ^ int.from_bytes(pad, "big")).to_bytes(n, "big")


class Tls:
    """A TLS socket for one thread that reads and others that write: the library allows one at a time."""

    def __init__(self, sock, context, host):
        self.sock = context.wrap_socket(sock, server_hostname=host)
        self.sock.setblocking(False)
        self.lock = threading.Lock()

    def turn(self, call):
        while True:
            with self.lock:
                try:
                    return call()
                except ssl.SSLWantReadError:
                    wait = ([self.sock], [])
                except ssl.SSLWantWriteError:
                    wait = ([], [self.sock])
            select.select(*wait, [], 0.2)

    def recv(self, n):
        return self.turn(lambda: self.sock.recv(n))

    def sendall(self, data):
        data = memoryview(data)
        while data:
            data = data[self.turn(lambda: self.sock.send(data)):]

    def __getattr__(self, name):
        return getattr(self.sock, name)

    def settimeout(self, _):
        pass


class WebSocket:
    """frames: every JSON message in order of arrival. close_code is set when the peer closed."""

    def __init__(self, port, host="127.0.0.1", path="/", headers=(), handshake=True, tls=None, name=None, mux=None, text=False):
        """text: messages are no JSON. name: what Host says, where that is not the address. mux: a connection of HTTP/2 that carries it (h2mux.py)."""
        self.cond = threading.Condition()
        self.frames, self.times, self.text = [], [], text
        self.ended, self.close_code, self.close_reason = False, None, None
        self.reading = threading.Event()
        self.reading.set()
        self.rest = b""
        if mux:
            self.sock = mux.open(path, headers)
            threading.Thread(target=self.read, daemon=True).start()
            return
        self.sock = socket.create_connection((host, port), timeout=WAIT)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.sock = Tls(self.sock, tls, host)
        if handshake:
            self.upgrade(host, port, path, headers, name)
            self.sock.settimeout(None)
            threading.Thread(target=self.read, daemon=True).start()

    def upgrade(self, host, port, path, headers, name=None):
        key = base64.b64encode(os.urandom(16)).decode()
        lines = ["GET %s HTTP/1.1" % path, "Host: " + (name or "%s:%d" % (host, port)),
                 "Upgrade: websocket",
                 "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + key]
        self.sock.sendall(("\r\n".join(lines + list(headers)) + "\r\n\r\n").encode())
        head = b""
        while b"\r\n\r\n" not in head:
            part = self.sock.recv(65536)
            if not part:
                raise Closed("closed during the upgrade: %r" % head)
            head += part
        head, self.rest = head.split(b"\r\n\r\n", 1)
        if not head.startswith(b"HTTP/1.1 101"):
            raise Closed("no upgrade: %s" % head.split(b"\r\n")[0].decode())

    def exactly(self, n):
        while len(self.rest) < n:
            part = self.sock.recv(65536)
            if not part:
                raise EOFError
            self.rest += part
        out, self.rest = self.rest[:n], self.rest[n:]
        return out

    def read(self):
        message = b""
        try:
            while True:
                self.reading.wait()
                a, b = self.exactly(2)
                n = b & 127
                if n == 126:
                    n, = struct.unpack(">H", self.exactly(2))
                elif n == 127:
                    n, = struct.unpack(">Q", self.exactly(8))
                data = self.exactly(n)
                op = a & 15
                if op == PING:
                    self.send_raw(PONG, data)
                elif op == CLOSE:
                    with self.cond:
                        self.close_code = struct.unpack(">H", data[:2])[0] if len(data) > 1 else 1005
                        self.close_reason = data[2:].decode("utf-8", "replace")
                    self.send_raw(CLOSE, data[:2])
                    break
                elif op != PONG:
                    message += data
                    if a & 128:
                        frame, message = message.decode("utf-8"), b""
                        frame = frame if self.text else json.loads(frame)
                        with self.cond:
                            self.frames.append(frame)
                            self.times.append(time.monotonic())
                            self.cond.notify_all()
        except (OSError, EOFError, ValueError):
            pass
        with self.cond:
            self.ended = True
            self.cond.notify_all()
        try:
            self.sock.close()
        except OSError:
            pass

    def pause(self):
        """Reads one frame more at most: a client that does not take what it is sent."""
        self.reading.clear()

    def send_raw(self, op, data, fin=True):
        n, key = len(data), os.urandom(4)
        head = bytes([(128 if fin else 0) | op])
        if n < 126:
            head += bytes([128 | n])
        elif n < 65536:
            head += struct.pack(">BH", 128 | 126, n)
        else:
            head += struct.pack(">BQ", 128 | 127, n)
        try:
            self.sock.sendall(head + key + mask(data, key))
        except OSError:
            pass  # whoever waits for the answer learns that it is closed

    def send(self, value):
        text = value if isinstance(value, str) else json.dumps(value)
        self.send_raw(TEXT, text.encode())

    def wait(self, test, what, timeout=WAIT, start=0):
        """The first frame (from index start) for which test holds."""
        end = time.monotonic() + timeout
        with self.cond:
            i = start
            while True:
                while i < len(self.frames):
                    if test(self.frames[i]):
                        return self.frames[i]
                    i += 1
                if self.ended:
                    raise Closed("closed (%s %s) while waiting for %s" %
                                 (self.close_code, self.close_reason, what))
                if not self.cond.wait(end - time.monotonic()) and time.monotonic() >= end:
                    raise Timeout("timed out waiting for %s" % what)

    def wait_close(self, timeout=WAIT):
        end = time.monotonic() + timeout
        with self.cond:
            while not self.ended:
                if not self.cond.wait(end - time.monotonic()) and time.monotonic() >= end:
                    raise Timeout("timed out waiting for the close")
        return self.close_code, self.close_reason

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        try:
            self.sock.close()
        except OSError:
            pass
