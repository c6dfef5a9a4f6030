"""One HTTP request on the loop: a POST on a connection of its own; its end is told once."""
import json
import select
import socket

TIMEOUT_S = 30


class Post:
    """done(status, document): status None when no whole answer came; document None when it was no JSON."""

    def __init__(self, loop, port, path, fields, doc, done):
        self.loop, self.done, self.buf = loop, done, b""
        body = json.dumps(doc).encode()
        fields = dict({"Host": "127.0.0.1:%d" % port, "Content-Type": "application/json", "Content-Length": len(body), "Connection": "close"}, **fields)
        self.out = ("POST %s HTTP/1.1\r\n%s\r\n" % (path, "".join("%s: %s\r\n" % x for x in fields.items()))).encode() + body
        self.sock = socket.socket()
        self.sock.setblocking(False)
        loop.after(TIMEOUT_S, self.end)
        if self.sock.connect_ex(("127.0.0.1", port)) not in (0, 115):
            loop.after(0, self.end)
        else:
            loop.watch(self.sock.fileno(), select.EPOLLOUT, self.on_event)

    def on_event(self, _mask):
        try:
            if self.out:
                self.out = self.out[self.sock.send(self.out):]
                if not self.out:
                    self.loop.watch(self.sock.fileno(), select.EPOLLIN, self.on_event)
                return
            data = self.sock.recv(65536)
            self.buf += data
            if not data:
                self.end()
        except BlockingIOError:
            pass
        except OSError:
            self.end()

    def end(self):
        done, self.done = self.done, None
        if not done:
            return
        self.loop.forget(self.sock.fileno())
        self.sock.close()
        done(*self.answer())

    def answer(self):
        head, _, body = self.buf.partition(b"\r\n\r\n")
        words = head.split(b" ", 2)
        if len(words) < 3 or not words[1].isdigit():
            return None, None
        length = next((int(x.split(b":")[1]) for x in head.lower().split(b"\r\n") if x.startswith(b"content-length:")), 0)
        if len(body) < length:
            return None, None
        try:
            return int(words[1]), json.loads(body)
        except ValueError:
            return int(words[1]), None
