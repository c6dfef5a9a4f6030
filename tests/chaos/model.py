#!/usr/bin/env python3
"""The model of a chaos run: echoes the tokens it was asked with; never dies; writes down what it saw.

    model.py --port-file FILE --log FILE --seed N [--max-delay-ms N]

Which tokens: those of the user messages behind the last answer in the prompt. The answer is "echo:TOKEN; over" in 1 to 20
chunks over 0 to max-delay-ms, drawn from seed and token, so that a replay sees the same. A few first calls of a token
fail as drawn (500, reset, cut). POST /control {"mode": M, "p": P}: the nemesis' faults, for any call with probability P:
  none refuse(503) 429 429after 500 529 reset stall cut cututf8 cutjson slow type dup garbage silent
The log has one line a call: {t, tokens, end}; end is ok, the fault, or gone (the caller left).
"""
import argparse
import json
import random
import re
import select
import socket
import zlib

from loop import Loop, now

TOKEN = re.compile(rb"w\d+\.\d+")
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n"
PROBE = "echo:w900."  # of the nemesis: what it measures is not the model's pause
OWN = ((0.02, "500"), (0.03, "reset"), (0.04, "cut"))  # of first calls


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def delta(text, finish=None, **more):
    d = dict({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "mock-1", "choices": [
        {"index": 0, "delta": {"content": text} if text is not None else {}, "finish_reason": finish}]}, **more)
    return b"data: " + json.dumps(d, separators=(",", ":")).encode() + b"\n\n"


def asked(body):
    """Tokens of the user messages behind the last answer."""
    at = body.rfind(b'"role":"assistant"')
    first = body.find(b'"role":"user"', max(at, 0))
    return [t.decode() for t in TOKEN.findall(body, first)] if first >= 0 else []


class Call:
    def __init__(self, server, sock):
        self.s, self.sock, self.buf = server, sock, b""
        self.plan, self.out = None, b""
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        server.loop.watch(sock.fileno(), select.EPOLLIN, self.on_event)

    def close(self, rst=False):
        if self.sock.fileno() < 0:
            return
        self.s.loop.forget(self.sock.fileno())
        if rst:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()

    def on_event(self, _mask):
        try:
            data = self.sock.recv(262144)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            if self.plan:
                self.s.note(self.plan["tokens"], "gone")
                self.plan = None
            self.close()
            return
        self.buf += data
        at = self.buf.find(b"\r\n\r\n")
        if at < 0 or self.plan:
            return
        head = self.buf[:at].lower()
        m = re.search(rb"content-length: *(\d+)", head)
        n = int(m.group(1)) if m else 0
        if b"100-continue" in head and len(self.buf) == at + 4:
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        if len(self.buf) - at - 4 < n:
            return
        body, self.buf = self.buf[at + 4:at + 4 + n], self.buf[at + 4 + n:]
        if head.startswith(b"post /control"):
            self.s.mode = json.loads(body)
            self.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        else:
            self.answer(body)

    def send(self, data):
        try:
            self.sock.send(data)  # answers are small: a socket's buffer has room for them
        except OSError:
            pass

    def status(self, code, more=b""):
        text = b'{"error":{"message":"mock fault","type":"mock"}}'
        self.send(b"HTTP/1.1 %s\r\n%sContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" %
                  (code, more, len(text), text))

    def answer(self, body):
        s, tokens = self.s, asked(body)
        fault = s.fault(tokens)
        if fault in ("503", "500", "529", "429", "429after", "type"):
            s.note(tokens, fault)
            if fault == "type":
                self.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\nhello")
            else:
                self.status({"503": b"503 Service Unavailable", "500": b"500 Internal Server Error", "529": b"529 Overloaded"}
                            .get(fault, b"429 Too Many Requests"), b"Retry-After: 1\r\n" if fault == "429after" else b"")
            return
        if fault == "silent":
            s.note(tokens, fault)
            return
        rng = random.Random(zlib.crc32(("%d %s" % (s.seed, tokens)).encode()))
        text = "".join("echo:%s; " % t for t in tokens) + "over"
        pieces = min(rng.randint(1, 20), len(text))
        cuts = sorted(rng.sample(range(1, len(text)), pieces - 1)) if pieces > 1 else []
        parts = [text[a:b] for a, b in zip([0] + cuts, cuts + [len(text)])]
        total = 0 if text.startswith(PROBE) else rng.uniform(0, s.max_delay) * (20 if fault == "slow" else 1)
        self.plan = {"tokens": tokens, "parts": parts, "gap": total / len(parts), "fault": fault,
                     "stop_at": rng.randrange(len(parts)) if fault else -1, "i": 0}
        self.send(HEAD % b"text/event-stream")
        if self.plan["gap"] < 0.002:
            while self.plan:
                self.step(False)
        else:
            s.loop.after(self.plan["gap"], self.step)

    def step(self, again=True):
        p = self.plan
        if not p or self.sock.fileno() < 0:
            return
        if p["fault"] and p["i"] == p["stop_at"] and p["fault"] not in ("slow", "dup"):
            self.break_off(p)
            return
        data = chunk(delta(p["parts"][p["i"]]))
        p["i"] += 1
        if p["i"] == len(p["parts"]):
            end = delta(None, "stop") + delta(None, usage={"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
                                              choices=[]) + b"data: [DONE]\n\n" * (2 if p["fault"] == "dup" else 1)
            self.send(data + chunk(end) + b"0\r\n\r\n")
            self.s.note(p["tokens"], "ok")
            self.plan = None
            return
        self.send(data)
        if again:
            self.s.loop.after(p["gap"], self.step)

    def break_off(self, p):
        fault = p["fault"]
        self.s.note(p["tokens"], fault)
        self.plan = None
        if fault == "stall":
            return
        if fault == "cututf8":
            self.send(chunk(b'data: {"choices":[{"delta":{"content":"ab\xc3'))
        elif fault == "cutjson":
            self.send(chunk(b'data: {"choices":[{"delta":{"content":"ab'))
        elif fault == "garbage":
            self.send(chunk(b'data: {"choices":[{"delta":{"content":\n\ndata: nonsense\n\n'))
        elif fault == "cut":
            self.send(chunk(delta("xyz")[:20]))
        self.close(rst=fault == "reset")


class Server:
    def __init__(self, opt):
        self.loop, self.seed, self.max_delay = Loop(), opt.seed, opt.max_delay_ms / 1000
        self.log = open(opt.log, "a", buffering=1)
        self.mode = {"mode": "none"}
        self.calls = {}
        self.rng = random.Random(opt.seed)
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind(("127.0.0.1", 0))
        self.sock.listen(512)
        self.loop.watch(self.sock.fileno(), select.EPOLLIN, lambda _: Call(self, self.sock.accept()[0]))
        with open(opt.port_file, "w") as f:
            f.write("%d\n" % self.sock.getsockname()[1])

    def fault(self, tokens):
        """None, or what this call meets."""
        if self.mode["mode"] != "none" and self.rng.random() < self.mode.get("p", 1):
            return {"refuse": "503"}.get(self.mode["mode"], self.mode["mode"])
        first = tokens[0] if tokens and not tokens[-1].startswith("w900.") else ""
        if self.calls.setdefault(first, 0) == 0 and first:
            self.calls[first] = 1
            draw = zlib.crc32(("own %d %s" % (self.seed, first)).encode()) / 2 ** 32
            return next((f for p, f in OWN if draw < p), None)
        return None

    def note(self, tokens, end):
        self.log.write('{"t":%.6f,"tokens":%s,"end":"%s"}\n' % (now(), json.dumps(tokens), end))


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--port-file", required=True)
    p.add_argument("--log", required=True)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--max-delay-ms", type=float, default=300)
    Server(p.parse_args()).loop.run()


if __name__ == "__main__":
    main()
