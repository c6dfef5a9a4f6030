#!/usr/bin/env python3
"""A model server for tests: OpenAI chat completions and embeddings, Anthropic messages, and every way to misbehave.

What it does is chosen by a directive in the last user message, or for all requests by POST /control:

    "any text [fake FAULT key=value ...]"       e.g. "hi [fake 429 times=1 retry_after=0]"

FAULT (default ok)
    ok            n chunks, then usage, then [DONE]          echo       the last user message, in one chunk
    429 500 503 529 401 403 404   that status with a JSON error; retry_after=S adds the header
    400           context_length_exceeded
    stall         reads the request and never answers           stall-mid  n chunks, then silence
    cut           closes the socket after n chunks              cut-bytes  closes after bytes=N of body
    reset         RST instead of an answer                      empty      200, no body
    garbage       n chunks, then an event that is not JSON      html       200 text/html
    nodone        all chunks and finish_reason, no [DONE]       nofinish   all chunks, no finish_reason, no [DONE]
    error200      n chunks, then {"error": ...} inside the 200
    endless       chunks for ever                               bigline    one line of mib=100 MiB
    gzip          Content-Encoding: gzip, 1 GiB of zeroes       slow       one byte a second
    keepalive     a comment line before each chunk              split      every byte in its own write
    body          answers one JSON document although a stream was asked for
    call          chunks, then a call of each tool offered, with args=TEXT (default {"x":1}); when the last message is
                  the result of a call: "result: " and that text; args64= the same in base64; tool=A,B calls those only, rounds=N answers after N times
    In embeddings, where the first text counts: statuses, stall, reset, empty, html, gzip as above, and
    few           one vector too few        ragged     vectors of two lengths    words   a vector with text in it
    turned        in another order          notjson    half a document           flood   an answer without end
keys
    chunks=20 delay=0 (ms between chunks) first=0 (ms before the first) text=word (prefix of each chunk)
    para=N        a blank line behind every N chunks             letters=TEXT   that text instead, a letter a chunk
    times=N       only the first N requests with this prompt misbehave, later ones are ok
    gate=NAME     after at=1 chunks wait until POST /gate {"name": NAME}: makes "mid-stream" an event, not a time

GET  /log                            every request: n, dialect, model, stream, prompt, fault, state, chunks, roles
GET  /wait?prompt=P&count=N&state=S  answers as soon as N requests whose prompt contains P reached state S
                                     (started, streaming, gated, done, gone); 504 after timeout=10 s
POST /control {"fault": F, ...keys}  overrides directives; {} ends that. POST /reset forgets everything.
POST /gate {"name": NAME}            opens a gate

Usage: model.py [--port N] [--host 127.0.0.1]; prints "port N" when it listens. Standard library only.
"""
import argparse
import asyncio
import base64
import json
import re
import socket
import struct
import time
import urllib.parse
import zlib

DIRECTIVE = re.compile(r"\[fake ([^\]]*)\]")
REASONS = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
           429: "Too Many Requests", 500: "Internal Server Error", 503: "Service Unavailable",
           504: "Gateway Timeout", 529: "Overloaded"}
ORDER = {"started": 0, "streaming": 1, "gated": 2, "done": 3, "gone": 3}


def text_of(content):
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(p.get("text", "") for p in content if isinstance(p, dict))
    return ""


def prompt_of(doc):
    # The original appends a user message of its own making, in <<<...>>>: not the user's words.
    said = [text_of(m.get("content")) for m in doc.get("messages", []) if m.get("role") == "user"]
    return next((s for s in reversed(said) if not s.startswith("<<<")), "")


def parse_directive(prompt):
    m = DIRECTIVE.search(prompt)
    plan = {"fault": "ok"}
    for word in m.group(1).split() if m else []:
        if "=" in word:
            k, v = word.split("=", 1)
            plan[k] = v
        else:
            plan["fault"] = word
    return plan


def vector_of(text, dims):
    """The same text has the same vector; the first number tells its length."""
    return [float(len(text))] + [((len(text) * 31 + i * 17) % 1000) / 1000 - 0.5 for i in range(1, dims)]


class OpenAI:
    """chat.completion chunks."""

    name = "openai"

    def head(self, model):
        return [self.chunk(model, {"role": "assistant", "content": ""})]

    def chunk(self, model, delta, finish=None):
        return "data: " + json.dumps(
            {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": model,
             "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]},
            ensure_ascii=False) + "\n\n"

    def piece(self, model, text):
        return self.chunk(model, {"content": text})

    def finish(self, model, n):
        usage = {"prompt_tokens": 10, "completion_tokens": n, "total_tokens": 10 + n}
        return [self.chunk(model, {}, "stop"),
                "data: " + json.dumps({"id": "c1", "object": "chat.completion.chunk", "created": 1,
                                       "model": model, "choices": [], "usage": usage}) + "\n\n"]

    def calls(self, model, names, args):
        out = []
        for i, name in enumerate(names):
            out.append(self.chunk(model, {"tool_calls": [{"index": i, "id": "call_%d" % i, "type": "function",
                                                          "function": {"name": name, "arguments": ""}}]}))
            for piece in (args[:3], args[3:]):
                out.append(self.chunk(model, {"tool_calls": [{"index": i, "function": {"arguments": piece}}]}))
        return out + [self.chunk(model, {}, "tool_calls")]

    def done(self):
        return "data: [DONE]\n\n"

    def error_event(self):
        return 'data: {"error":{"message":"fake: overloaded","type":"server_error","code":500}}\n\n'

    def error_body(self, status):
        code = {400: "context_length_exceeded", 401: "invalid_api_key",
                429: "rate_limit_exceeded"}.get(status, "server_error")
        text = {400: "This model's maximum context length is 8 tokens.",
                401: "Incorrect API key provided.", 429: "Rate limit reached."}.get(
                    status, "fake: status %d" % status)
        return {"error": {"message": text, "type": code, "code": code}}

    def whole(self, model, text, n):
        return {"id": "c1", "object": "chat.completion", "created": 1, "model": model,
                "choices": [{"index": 0, "message": {"role": "assistant", "content": text},
                             "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 10, "completion_tokens": n, "total_tokens": 10 + n}}


class Anthropic:
    """messages events."""

    name = "anthropic"

    @staticmethod
    def event(kind, **body):
        return "event: %s\ndata: %s\n\n" % (
            kind, json.dumps({"type": kind, **body}, ensure_ascii=False))

    def head(self, model):
        return [self.event("message_start", message={
                    "id": "m1", "type": "message", "role": "assistant", "model": model,
                    "content": [], "stop_reason": None, "stop_sequence": None,
                    "usage": {"input_tokens": 10, "output_tokens": 1}}),
                self.event("content_block_start", index=0,
                           content_block={"type": "text", "text": ""}),
                self.event("ping")]

    def piece(self, model, text):
        return self.event("content_block_delta", index=0,
                          delta={"type": "text_delta", "text": text})

    def finish(self, model, n):
        return [self.event("content_block_stop", index=0),
                self.event("message_delta", usage={"output_tokens": n},
                           delta={"stop_reason": "end_turn", "stop_sequence": None})]

    def calls(self, model, names, args):
        out = [self.event("content_block_stop", index=0)]
        for i, name in enumerate(names, 1):
            out += [self.event("content_block_start", index=i, content_block={
                        "type": "tool_use", "id": "call_%d" % (i - 1), "name": name, "input": {}}),
                    self.event("content_block_delta", index=i, delta={"type": "input_json_delta", "partial_json": args}),
                    self.event("content_block_stop", index=i)]
        return out + [self.event("message_delta", usage={"output_tokens": 5},
                                 delta={"stop_reason": "tool_use", "stop_sequence": None})]

    def done(self):
        return self.event("message_stop")

    def error_event(self):
        return self.event("error", error={"type": "overloaded_error", "message": "Overloaded"})

    def error_body(self, status):
        kind = {400: "invalid_request_error", 401: "authentication_error",
                429: "rate_limit_error", 529: "overloaded_error"}.get(status, "api_error")
        text = "prompt is too long: 9 tokens > 8 maximum" if status == 400 else \
            "fake: status %d" % status
        return {"type": "error", "error": {"type": kind, "message": text}}

    def whole(self, model, text, n):
        return {"id": "m1", "type": "message", "role": "assistant", "model": model,
                "content": [{"type": "text", "text": text}], "stop_reason": "end_turn",
                "stop_sequence": None, "usage": {"input_tokens": 10, "output_tokens": n}}


class Gone(Exception):
    """The peer went away, or the fault wants the connection closed now."""


class Reply:
    """One answer being written: chunked transfer coding, and the pace that was asked for."""

    def __init__(self, server, writer, row):
        self.server, self.writer, self.row = server, writer, row
        self.split = False
        self.budget = None  # bytes of body until the socket is closed

    async def raw(self, data):
        if self.writer.is_closing():
            raise Gone
        self.writer.write(data)
        await self.writer.drain()

    async def headers(self, status=200, ctype="text/event-stream", **more):
        lines = ["HTTP/1.1 %d %s" % (status, REASONS.get(status, "OK")), "Content-Type: " + ctype]
        lines += ["%s: %s" % (k.replace("_", "-"), v) for k, v in more.items()]
        if "Content_Length" not in more:
            lines.append("Transfer-Encoding: chunked")
        await self.raw(("\r\n".join(lines) + "\r\n\r\n").encode())

    async def body(self, data):
        if isinstance(data, str):
            data = data.encode()
        if self.budget is not None:
            data, over = data[:self.budget], len(data) >= self.budget
            self.budget -= len(data)
        else:
            over = False
        step = 1 if self.split else len(data)
        for i in range(0, len(data), step or 1):
            part = data[i:i + step]
            await self.raw(b"%x\r\n%s\r\n" % (len(part), part))
            if self.split:
                await asyncio.sleep(0)
        if over:
            raise Gone

    async def end(self):
        await self.raw(b"0\r\n\r\n")

    async def json(self, status, doc, **more):
        data = json.dumps(doc).encode()
        await self.headers(status, "application/json", Content_Length=len(data), **more)
        await self.raw(data)


class Embeddings(OpenAI):
    name = "embeddings"

    async def vectors(self, reply, doc, fault):
        dims = doc.get("dimensions", 8)
        rows = [{"object": "embedding", "index": i, "embedding": vector_of(text, dims)} for i, text in enumerate(doc["input"])]
        if fault == "few":
            rows.pop()
        if fault == "ragged":
            rows[-1]["embedding"].append(0.5)
        if fault == "words":
            rows[-1]["embedding"][-1] = "0.5"
        if fault == "turned":
            rows.reverse()
        if fault == "notjson":
            await reply.headers(200, "application/json", Content_Length=9)
            return await reply.raw(b'{"data":[')
        if fault == "flood":
            await reply.headers(200, "application/json")
            await reply.body('{"data":[')
            while True:
                await reply.body("1.5," * 16384)
        n = sum(len(text) for text in doc["input"])
        await reply.json(200, {"object": "list", "data": rows, "model": doc["model"],
                               "usage": {"prompt_tokens": n, "total_tokens": n}})


class Server:
    def __init__(self):
        self.forget()

    def forget(self):
        self.rows, self.control, self.seen, self.gates = [], {}, {}, {}
        self.changed = asyncio.Event()

    def mark(self, row, state):
        if ORDER[state] >= ORDER[row["state"]]:
            row["state"] = state
        row["states"].append(state)
        self.changed.set()
        self.changed = asyncio.Event()

    def gate(self, name):
        return self.gates.setdefault(name, asyncio.Event())

    async def client(self, reader, writer):
        try:
            while await self.request(reader, writer):
                pass
        except (Gone, ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    async def request(self, reader, writer):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return False
        lines = head.decode("latin-1").split("\r\n")
        method, target = lines[0].split(" ")[:2]
        fields = {k.strip().lower(): v.strip() for k, _, v in (x.partition(":") for x in lines[1:])}
        if fields.get("expect", "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        data = await reader.readexactly(int(fields.get("content-length", "0")))
        url = urllib.parse.urlsplit(target)
        reply = Reply(self, writer, None)
        if method == "POST" and url.path.endswith(("/chat/completions", "/messages", "/embeddings")):
            return await self.complete(reader, reply, url, fields, data)
        status, doc = await self.admin(method, url, data)
        await reply.json(status, doc)
        return True

    async def admin(self, method, url, data):
        query = dict(urllib.parse.parse_qsl(url.query))
        doc = json.loads(data) if data else {}
        if url.path.endswith("/models"):
            return 200, {"object": "list", "data": [{"id": "mock-1", "object": "model"}]}
        if url.path == "/log":
            return 200, self.rows
        if url.path == "/wait":
            return await self.wait(query)
        if url.path == "/control" and method == "POST":
            self.control = {k: str(v) for k, v in doc.items() if v is not None}
            return 200, {"ok": True}
        if url.path == "/gate" and method == "POST":
            self.gate(doc["name"]).set()
            return 200, {"ok": True}
        if url.path == "/reset" and method == "POST":
            self.forget()
            return 200, {"ok": True}
        return 404, {"error": {"message": "no such path", "type": "not_found"}}

    async def wait(self, query):
        limit = time.monotonic() + float(query.get("timeout", 10))
        want, state = int(query.get("count", 1)), query.get("state", "started")
        while True:
            rows = [r for r in self.rows
                    if query.get("prompt", "") in r["prompt"] and state in r["states"]]
            if len(rows) >= want:
                return 200, rows
            try:
                await asyncio.wait_for(self.changed.wait(), limit - time.monotonic())
            except asyncio.TimeoutError:
                return 504, rows

    async def complete(self, reader, reply, url, fields, data):
        dialect = Anthropic() if url.path.endswith("/messages") else Embeddings() if url.path.endswith("/embeddings") else OpenAI()
        try:
            doc = json.loads(data)
        except ValueError:
            await reply.json(400, {"error": {"message": "not JSON", "type": "invalid"}})
            return True
        if dialect.name == "embeddings":
            doc["messages"] = [{"role": "user", "content": doc["input"][0]}]
        messages = doc.get("messages", [])
        # The original appends a user message of its own making, in <<<...>>>: not the user's words.
        said = [text_of(m.get("content")) for m in messages if m.get("role") == "user"]
        prompt = next((s for s in reversed(said) if s and not s.startswith("<<<")), "")
        plan = parse_directive(prompt)
        plan.update(self.control)
        seen = self.seen[prompt] = self.seen.get(prompt, 0) + 1
        if "times" in plan and seen > int(plan["times"]):
            plan["fault"] = "ok"
            plan.pop("gate", None)
        row = {"n": len(self.rows) + 1, "t_ms": int(time.time() * 1000), "dialect": dialect.name,
               "model": doc.get("model"), "stream": bool(doc.get("stream")), "prompt": prompt,
               "roles": [m.get("role") for m in messages], "bytes": len(data),
               "auth": bool(fields.get("authorization") or fields.get("x-api-key")),
               "traceparent": fields.get("traceparent"), "fault": plan["fault"], "state": "started", "states": [], "chunks": 0}
        if len(data) < 65536:
            row["asked"] = doc
        self.rows.append(row)
        self.mark(row, "started")
        reply.row = row
        work = asyncio.ensure_future(self.answer(reply, dialect, doc, plan, row))
        watch = asyncio.ensure_future(self.peer_gone(reader, work))
        try:
            await work
            self.mark(row, "done")
            return True
        except (Gone, ConnectionError, asyncio.CancelledError):
            self.mark(row, "gone")
            return False
        finally:
            watch.cancel()

    async def peer_gone(self, reader, work):
        """A stalled answer must still notice that the client hung up."""
        while not work.done():
            if reader.at_eof() or reader.exception():
                work.cancel()
                return
            await asyncio.sleep(0.02)

    async def answer(self, reply, dialect, doc, plan, row):
        fault, model = plan["fault"], doc.get("model", "mock-1")
        n, delay = int(plan.get("chunks", 20)), int(plan.get("delay", 0)) / 1000
        word = plan.get("text", "word")
        para = int(plan.get("para", 0))
        pieces = ["%s%d%s" % (word, i, "\n\n" if para and i % para == para - 1 else " ") for i in range(n)] if fault != "echo" else [prompt_of(doc)]
        pieces = list(plan["letters"]) if "letters" in plan else pieces
        if fault == "call":
            last = doc["messages"][-1]
            result = text_of(last.get("content")) if last.get("role") == "tool" else None
            for block in last["content"] if isinstance(last.get("content"), list) else []:
                if block.get("type") == "tool_result":
                    result = text_of(block["content"])
            if "args64" in plan:
                plan["args"] = base64.b64decode(plan["args64"]).decode()
            offered = [t.get("function", t)["name"] for t in doc.get("tools", [])]
            plan["tools"] = [n for n in plan["tool"].split(",")] if "tool" in plan and offered else offered
            rounds = 0
            for m in reversed(doc["messages"]):
                blocks = m["content"] if isinstance(m.get("content"), list) else []
                if m.get("role") == "user" and not any(b.get("type") == "tool_result" for b in blocks):
                    break
                rounds += m.get("role") == "assistant"
            if rounds < int(plan.get("rounds", 1)) and doc.get("tool_choice") != "none":
                result = None
            pieces = ["result: " + result] if result is not None else pieces if "chunks" in plan else []
            if result is not None or not plan["tools"]:
                fault = plan["fault"] = "ok"
        await asyncio.sleep(int(plan.get("first", 0)) / 1000)
        if fault.isdigit():
            more = {"Retry_After": plan["retry_after"]} if "retry_after" in plan else {}
            return await reply.json(int(fault), dialect.error_body(int(fault)), **more)
        if fault == "stall":
            await asyncio.sleep(3600)
        if fault == "reset":
            sock = reply.writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            reply.writer.transport.abort()
            raise Gone
        if fault == "empty":
            await reply.headers(200)
            return await reply.end()
        if fault == "html":
            page = b"<!doctype html><title>Sign in</title><p>Please sign in to continue."
            await reply.headers(200, "text/html", Content_Length=len(page))
            return await reply.raw(page)
        if fault == "gzip":
            await reply.headers(200, "text/event-stream", Content_Encoding="gzip")
            return await self.bomb(reply)
        if dialect.name == "embeddings":
            return await dialect.vectors(reply, doc, fault)
        if fault == "body" or not doc.get("stream"):
            return await reply.json(200, dialect.whole(model, "".join(pieces), n))
        if fault == "bigline":
            return await self.big_line(reply, int(plan.get("mib", 100)))
        await self.stream(reply, dialect, model, plan, row, pieces, delay)

    async def stream(self, reply, dialect, model, plan, row, pieces, delay):
        fault = plan["fault"]
        reply.split = fault == "split"
        if fault == "cut-bytes":
            reply.budget = int(plan.get("bytes", 300))
        await reply.headers(200)
        if fault == "slow":
            for byte in "".join(dialect.head(model)).encode():
                await reply.body(bytes([byte]))
                await asyncio.sleep(1)
        for event in dialect.head(model):
            await reply.body(event)
        i = 0
        while i < len(pieces) or fault == "endless":
            if fault == "keepalive":
                await reply.body(": keep-alive\n\n")
            if "gate" in plan and i == int(plan.get("at", 1)):
                self.mark(row, "gated")
                await self.gate(plan["gate"]).wait()
            if i and delay:
                await asyncio.sleep(delay)
            await reply.body(dialect.piece(model, pieces[i % len(pieces)]))
            i += 1
            row["chunks"] = i
            if i == 1:
                self.mark(row, "streaming")
        if fault == "call":
            for event in dialect.calls(model, plan["tools"], plan.get("args", '{"x":1}')) + [dialect.done()]:
                await reply.body(event)
            return await reply.end()
        if fault == "cut":
            raise Gone
        if fault == "stall-mid":
            await asyncio.sleep(3600)
        if fault == "garbage":
            await reply.body('data: {"choices":[{"delta":{"content":\n\n')
            await reply.body("data: \x01\x02 not json\n\n")
            return await reply.end()
        if fault == "error200":
            await reply.body(dialect.error_event())
            return await reply.end()
        if fault != "nofinish":
            for event in dialect.finish(model, len(pieces)):
                await reply.body(event)
        if fault not in ("nodone", "nofinish"):
            await reply.body(dialect.done())
        await reply.end()

    async def big_line(self, reply, mib):
        await reply.headers(200)
        await reply.body('data: {"choices":[{"index":0,"delta":{"content":"')
        for _ in range(mib * 16):
            await reply.body(b"x" * 65536)
        await reply.body('"}}]}\n\n')
        await reply.end()

    async def bomb(self, reply):
        z = zlib.compressobj(9, zlib.DEFLATED, 31)
        zeroes = bytes(1 << 20)
        for _ in range(1024):
            part = z.compress(zeroes)
            if part:
                await reply.body(part)
        await reply.body(z.flush())
        await reply.end()


async def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    args.add_argument("--host", default="127.0.0.1")
    args.add_argument("--port", type=int, default=0)
    opt = args.parse_args()
    server = Server()
    sock = await asyncio.start_server(server.client, opt.host, opt.port, limit=64 << 20)
    print("port %d" % sock.sockets[0].getsockname()[1], flush=True)
    async with sock:
        await sock.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
