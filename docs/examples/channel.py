#!/usr/bin/env python3
"""A channel in a script: a line chat over TCP. People connect with `nc HOST PORT`, say who they are, and talk; "/file NAME BASE64"
is a file, both ways.

    channels: { lines: { command: ["/usr/bin/python3", "/opt/channel.py"], port: 7000, dmPolicy: "open", allowFrom: ["*"] } }

The protocol is docs/channel-protocol.md. Standard input and output belong to it; standard error goes to the log.
"""
import base64
import json
import socketserver
import sys
import threading
import time

lock = threading.Lock()
people = {}   # name: connection
waiting = {}  # id: what was said and is not acknowledged; a channel that can, keeps this on its platform
files = {}    # reference: bytes; what people send stays as long as the program


def say(**message):
    with lock:
        print(json.dumps(dict(message, jsonrpc="2.0")), flush=True)


class Person(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"your name? ")
        name = self.rfile.readline(200).decode("utf-8", "replace").strip()
        people[name] = self
        for line in self.rfile:
            number, text = "%s:%d" % (name, time.time_ns()), line.decode("utf-8", "replace").strip()
            waiting[number] = {"id": number, "sender": {"id": name, "name": name}, "peer": {"kind": "direct", "id": name}, "text": text}
            if text.startswith("/file ") and text.count(" ") == 2:
                files[number] = base64.b64decode(text.split(" ")[2])
                waiting[number].update(text="", media=[{"ref": number, "name": text.split(" ")[1], "bytes": len(files[number])}])
            say(method="inbound", params=waiting[number])
        people.pop(name, None)


def initialize(config, **_):
    socketserver.ThreadingTCPServer.allow_reuse_address = socketserver.ThreadingTCPServer.daemon_threads = True
    door = socketserver.ThreadingTCPServer((config.get("host", "127.0.0.1"), config.get("port", 0)), Person)
    threading.Thread(target=door.serve_forever, daemon=True).start()
    return {"name": "line chat on port %d" % door.server_address[1], "textLimit": 400, "capabilities": ["media"], "connected": True}


def send(to, text="", media=(), **_):
    data = [(m["name"], base64.b64encode(files.pop(m["ref"])).decode()) for m in media]
    if to not in people:
        raise LookupError("nobody of that name is here")
    people[to].wfile.write("".join(["/file %s %s\n" % d for d in data] + [text + "\n"] * bool(text)).encode())
    return {"messageId": "%s-%d" % (to, time.time_ns())}


def put(ref, offset, data, **_):
    files[ref] = files.get(ref, b"")[:offset] + base64.b64decode(data)
    return {}


def fetch(ref, offset, limit):
    piece = files[ref][offset:offset + limit]
    return {"data": base64.b64encode(piece).decode(), "end": offset + len(piece) == len(files[ref])}


METHODS = {"initialize": initialize, "send": send, "ack": lambda id: waiting.pop(id, None), "probe": lambda: {"people": len(people)},
           "media.put": put, "media.fetch": fetch, "media.drop": lambda ref: files.pop(ref, None)}
for line in sys.stdin:  # its end is ours
    request, answer = json.loads(line), {"error": {"code": -32601, "message": "not here", "data": {"kind": "permanent"}}}
    try:
        if request["method"] in METHODS:
            answer = {"result": METHODS[request["method"]](**request.get("params", {}))}
    except (LookupError, OSError) as e:
        answer = {"error": {"code": -1, "message": str(e), "data": {"kind": "permanent"}}}
    if "id" in request:
        say(id=request["id"], **answer)
