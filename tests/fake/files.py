"""A web server of files that can misbehave, for whatever gets files (tests/it/test_fetch.py). Standard library only.

GET /f/NAME?size=N[&type=T][&disposition=D]  N bytes made of the name: body(name, N)
    /to?url=U          a redirect            /status?code=N     that status and a page
    /loop              redirects for ever    /head              a head of 128 KiB
    /long?size=N       Content-Length says twice as much as comes
    /endless           bytes without end     /drip              a byte a second
    /bomb?size=N       N zeros, as gzip      /gzip?size=N       body("gzip", N), as gzip
    /garbage           says gzip and is none /hang              nothing
    /empty             200 without a byte    /cut               half of an answer
    /gate/NAME?size=N  the first request hangs, later ones get body(NAME, N)
    /flaky?times=N     503 for the first N, then body("flaky", 1000)
Every request is in .log: (path, fields).
"""
import http.server
import socketserver
import threading
import urllib.parse
import zlib

PNG = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR\0\0\0\x02\0\0\0\x02\x08\2\0\0\0\xfd\xd4\x9as"
JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"
OGG = b"OggS\0\2" + b"\0" * 20 + b"\x01\x13OpusHead\1\1"
GIF = b"GIF89a\2\0\2\0\x80\0\0"
HEADS = {"png": PNG, "jpg": JPEG, "ogg": OGG, "gif": GIF, "pdf": b"%PDF-1.4\n"}


def body(name, n):
    """n bytes that begin as a file of that name does."""
    head = HEADS.get(name.rsplit(".", 1)[-1], b"")
    seed = (name * (n // len(name) + 1)).encode()
    return (head + seed)[:max(n, len(head))]


def fnv(data):
    h = 1469598103934665603
    for b in data:
        h = ((h ^ b) * 1099511628211) & 0xffffffffffffffff
    return h


def gzipped(data):
    z = zlib.compressobj(9, zlib.DEFLATED, 31)
    return z.compress(data) + z.flush()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, data, code=200, **fields):
        self.send_response(code)
        for k, v in fields.items():
            self.send_header(k.replace("_", "-"), v)
        if "Content_Length" not in fields:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        q = dict(urllib.parse.parse_qsl(url.query))
        size = int(q.get("size", 1000))
        kind = url.path.split("/")[1]
        self.server.log.append((self.path, dict(self.headers)))
        try:
            self.say(kind, url, q, size)
        except (BrokenPipeError, ConnectionResetError):
            pass
        self.close_connection = True

    def say(self, kind, url, q, size):
        if kind == "f":
            fields = {"Content_Type": q.get("type", "application/octet-stream")}
            if "disposition" in q:
                fields["Content_Disposition"] = q["disposition"]
            self.answer(body(urllib.parse.unquote(url.path.split("/")[-1]), size), **fields)
        elif kind == "to":
            self.answer(b"", 302, Location=q["url"])
        elif kind == "loop":
            self.answer(b"", 302, Location="/loop")
        elif kind == "status":
            self.answer(b"a page about it", int(q["code"]))
        elif kind == "head":
            self.answer(b"x", **{"X_%d" % i: "v" * 1000 for i in range(90)})
        elif kind == "long":
            self.answer(body("long", size), Content_Length=str(2 * size))
        elif kind in ("bomb", "gzip"):
            self.answer(gzipped(bytes(size) if kind == "bomb" else body("gzip", size)), Content_Encoding="gzip")
        elif kind == "garbage":
            self.answer(b"this is none", Content_Encoding="gzip")
        elif kind == "empty":
            self.answer(b"")
        elif kind == "cut":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Le")
        elif kind == "hang":
            self.server.freed.wait(120)
        elif kind == "drip":
            self.send_response(200)
            self.end_headers()
            while not self.server.freed.wait(1):
                self.wfile.write(b"x")
                self.wfile.flush()
        elif kind == "endless":
            self.send_response(200)
            self.end_headers()
            while not self.server.freed.is_set():
                self.wfile.write(b"x" * 65536)
        elif kind == "gate":
            if sum(1 for p, _ in self.server.log if p == self.path) == 1:
                self.server.freed.wait(120)
            self.answer(body(url.path.split("/")[-1], size))
        elif kind == "flaky":
            n = sum(1 for p, _ in self.server.log if p == self.path)
            self.answer(b"", 503) if n <= int(q["times"]) else self.answer(body("flaky", 1000))
        else:
            self.answer(b"no such file", 404)


class Files(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.log, self.freed = [], threading.Event()
        self.port = self.server_address[1]
        self.url = "http://127.0.0.1:%d" % self.port
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        pass

    def stop(self):
        self.freed.set()
        self.shutdown()
        self.server_close()
