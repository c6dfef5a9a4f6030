"""What the fake platforms share: a small HTTP/1.1 server on asyncio, a log of what was asked, faults on order.

A platform subclasses Web and answers handle(request). Under /fake/ every one of them has:
    GET  /fake/log                        each call: n, t_ms, method (the platform's name for it), params, status
    GET  /fake/wait?method=M&text=T&count=N&timeout=S   answers when N calls of M whose params hold T were answered
    POST /fake/fault {"method": M, "fault": F, "times": N, ...}   the next N calls of M ("*": any) misbehave
    POST /fake/mend                       forgets the faults
    POST /fake/reset                      forgets everything but who may log in
    POST /fake/refuse {"yes": true}       nobody listens on the platform's port and its connections end by RST, until "yes": false
Faults that need no knowledge of the platform:
    cut     the connection ends without an answer, and nothing has happened
    lost    it has happened, and the connection ends without an answer
    reset   like cut, by RST          hang    no answer ever
    slow    answers after delay=S     html    502 with a page, as a proxy in between does
    badjson 200 with half a document
    stall   reads so many bytes=N of the body, and after delay=S the rest, or with cut ends the connection (logged at once, as
            "stall METHOD")
And of what is answered with bytes (a file):
    half    half of them, and the connection ends
    endless goes on behind its end, without a length, until the client leaves
Standard library only.
"""
import asyncio
import email.parser
import email.policy
import json
import socket
import struct
import time
import urllib.parse

REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 409: "Conflict",
           413: "Content Too Large", 429: "Too Many Requests", 500: "Internal Server Error", 502: "Bad Gateway",
           503: "Service Unavailable", 504: "Gateway Timeout"}


class Gone(Exception):
    """The connection is to end without a word."""


class Request:
    def __init__(self, method, target, fields, body):
        url = urllib.parse.urlsplit(target)
        self.method, self.path, self.fields, self.body = method, url.path, fields, body
        self.query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        self.files = {}

    def params(self):
        """Query and body as one dictionary: JSON, a form, or multipart (whose files go to self.files)."""
        out = dict(self.query)
        kind = self.fields.get("content-type", "")
        if kind.startswith("application/json"):
            out.update(json.loads(self.body or b"{}"))
        elif kind.startswith("application/x-www-form-urlencoded"):
            out.update(urllib.parse.parse_qsl(self.body.decode(), keep_blank_values=True))
        elif kind.startswith("multipart/form-data"):
            whole = b"Content-Type: " + kind.encode() + b"\r\n\r\n" + self.body
            for part in email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(whole).iter_parts():
                name = part.get_param("name", header="content-disposition")
                data = part.get_payload(decode=True)
                if part.get_filename() is not None:
                    self.files[name] = (part.get_filename(), part.get_content_type(), data)
                else:
                    out[name] = data.decode()
        return out


class Web:
    """One fake platform. handle(request) returns (status, document or bytes)."""

    def __init__(self):
        self.writers = set()
        self.forget()

    def forget(self):
        self.rows, self.faults = [], []
        self.changed = asyncio.Event()

    def tell(self):
        """Whoever waits for something looks again."""
        self.changed.set()
        self.changed = asyncio.Event()

    async def until(self, ready, limit_s):
        """Waits until ready() is true; what it said last."""
        end = time.monotonic() + limit_s
        while True:
            said = ready()
            left = end - time.monotonic()
            if said or left <= 0:
                return said
            try:
                await asyncio.wait_for(self.changed.wait(), left)
            except asyncio.TimeoutError:
                pass

    def log(self, method, params):
        row = {"n": len(self.rows) + 1, "t_ms": int(time.time() * 1000), "method": method, "params": params, "status": 0}
        self.rows.append(row)
        return row

    def fault(self, method, **about):
        """The fault that this call meets, taken off the list when it was the last one; None."""
        for f in self.faults:
            if f["method"] not in ("*", method) or any(str(f[k]) != str(v) for k, v in about.items() if k in f):
                continue
            f["times"] -= 1
            if f["times"] <= 0:
                self.faults.remove(f)
            return f
        return None

    async def serve(self, host, port):
        """The platform on one port, and orders on another (and on the first)."""
        await self.open(self.client, host, port, limit=64 << 20)
        await self.obey(host)

    async def open(self, handler, host, port, **more):
        self.way = (handler, host, more)
        self.listener = await asyncio.start_server(handler, host, port, **more)
        self.port = self.listener.sockets[0].getsockname()[1]

    async def obey(self, host):
        control = await asyncio.start_server(self.control, host, 0, limit=64 << 20)
        print("port %d control %d" % (self.port, control.sockets[0].getsockname()[1]), flush=True)
        await control.serve_forever()

    async def refuse(self, yes):
        self.listener.close()
        for w in list(self.writers) if yes else []:
            self.abort(w)
        if not yes:
            handler, host, more = self.way
            await self.open(handler, host, self.port, **more)

    @staticmethod
    def abort(writer):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async def client(self, reader, writer):
        self.writers.add(writer)
        try:
            await self.control(reader, writer)
        finally:
            self.writers.discard(writer)

    async def control(self, reader, writer):
        try:
            while await self.one(reader, writer):
                pass
        except (Gone, ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            pass
        finally:
            writer.close()

    async def one(self, reader, writer):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return False
        lines = head.decode("latin-1").split("\r\n")
        method, target = lines[0].split(" ")[:2]
        fields = {k.strip().lower(): v.strip() for k, _, v in (x.partition(":") for x in lines[1:])}
        if fields.get("expect", "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if fields.get("transfer-encoding", "").lower() == "chunked":
            body = await self.chunks(reader)
        else:
            length = int(fields.get("content-length", "0"))
            body = await self.stall(reader, writer, target, length)
            body += await reader.readexactly(length - len(body))
        req = Request(method, target, fields, body)
        req.writer = writer
        req.gone = reader.at_eof
        if req.path.startswith("/fake/"):
            status, doc = await self.order(req.path[6:], req)
        else:
            status, doc = await self.handle(req)
        await self.answer(writer, status, doc)
        return fields.get("connection", "").lower() != "close"

    async def stall(self, reader, writer, target, length):
        method = urllib.parse.urlsplit(target).path.rsplit("/", 1)[-1]
        f = next((f for f in self.faults if f["fault"] == "stall" and f["method"] == method), None)
        if f is None or target.startswith("/fake/"):
            return b""
        self.fault(method, fault="stall")
        body = await reader.readexactly(min(int(f.get("bytes", 65536)), length))
        writer.transport.pause_reading()
        self.log("stall " + method, {})["status"] = -1
        self.tell()
        await asyncio.sleep(float(f.get("delay", 3600)))
        if f.get("cut"):
            raise Gone
        writer.transport.resume_reading()
        return body

    @staticmethod
    async def chunks(reader):
        body = b""
        while True:
            size = int((await reader.readline()).split(b";")[0], 16)
            body += await reader.readexactly(size)
            await reader.readline()
            if size == 0:
                return body

    @staticmethod
    async def answer(writer, status, doc):
        data = doc if isinstance(doc, bytes) else json.dumps(doc, ensure_ascii=False).encode()
        kind = "application/octet-stream" if isinstance(doc, bytes) else "application/json"
        if data.startswith(b"<html"):
            kind = "text/html"
        writer.write(("HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n" %
                      (status, REASONS.get(status, "Status"), kind, len(data))).encode() + data)
        await writer.drain()

    async def misbehave(self, f, req, act):
        """The faults every platform has. act() does what was asked for and returns the answer."""
        kind = f["fault"]
        if kind == "lost":
            await act()
            raise Gone
        if kind == "cut":
            raise Gone
        if kind == "reset":
            self.abort(req.writer)
            raise Gone
        if kind == "hang":
            await asyncio.sleep(float(f.get("delay", 3600)))
            raise Gone
        if kind == "slow":
            await asyncio.sleep(float(f.get("delay", 1)))
            return await act()
        if kind == "html":
            return 502, b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
        if kind == "badjson":
            return 200, b'{"ok":true,"result":{"mess'
        if kind in ("half", "endless"):
            status, data = await act()
            head = "Content-Length: %d" % len(data) if kind == "half" else "Transfer-Encoding: chunked"
            req.writer.write(("HTTP/1.1 %d OK\r\nContent-Type: application/octet-stream\r\n%s\r\n\r\n" % (status, head)).encode())
            if kind == "half":
                req.writer.write(data[:len(data) // 2])
                await req.writer.drain()
            while kind == "endless":
                req.writer.write(b"10000\r\n" + data[:65536].ljust(65536, b"\0") + b"\r\n")
                await req.writer.drain()
            raise Gone
        return None

    async def order(self, what, req):
        """What a test asks of the fake itself."""
        doc = req.params()
        if what == "log":
            return 200, self.rows
        if what == "wait":
            return await self.wait(doc)
        if what == "fault" and req.method == "POST":
            self.faults.append({"method": "*", "times": 1, **doc})
            return 200, {"ok": True}
        if what == "mend" and req.method == "POST":
            self.faults = []
            return 200, {"ok": True}
        if what == "refuse" and req.method == "POST":
            await self.refuse(bool(doc["yes"]))
            return 200, {"ok": True}
        if what == "reset" and req.method == "POST":
            self.forget()
            return 200, {"ok": True}
        return 404, {"error": "no such order"}

    async def wait(self, doc):
        def found():
            rows = [r for r in self.rows if r["status"] and doc.get("method") in (None, r["method"]) and
                    doc.get("text", "") in json.dumps(r["params"], ensure_ascii=False)]
            return rows if len(rows) >= int(doc.get("count", 1)) else None
        rows = await self.until(found, float(doc.get("timeout", 10)))
        return (200, rows) if rows is not None else (504, self.rows)
