#!/usr/bin/env python3
"""A channel in a script: a line chat over TCP. People connect with `nc HOST PORT`, say who they are, and talk.

    channels: { lines: { command: ["/usr/bin/python3", "/opt/channel.py"], port: 7000, dmPolicy: "open", allowFrom: ["*"] } }

The protocol is docs/channel-protocol.md. Standard input and output belong to it; standard error goes to the log.
"""
import json
import socketserver
import sys
import threading
import time

lock = threading.Lock()
people = {}   # name: connection
waiting = {}  # id: what was said and is not acknowledged; a channel that can, keeps this on its platform


def say(**message):
    with lock:
        print(json.dumps(dict(message, jsonrpc="2.0")), flush=True)


class Person(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"your name? ")
        name = self.rfile.readline(200).decode("utf-8", "replace").strip()
        people[name] = self
        for line in self.rfile:
            number = "%s:%d" % (name, time.time_ns())
            waiting[number] = {"id": number, "sender": {"id": name, "name": name},
                               "peer": {"kind": "direct", "id": name},
                               "text": line.decode("utf-8", "replace").strip()}
            say(method="inbound", params=waiting[number])
        people.pop(name, None)


class Door(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True


def initialize(config, **_):
    door = Door((config.get("host", "127.0.0.1"), config.get("port", 0)), Person)
    threading.Thread(target=door.serve_forever, daemon=True).start()
    return {"name": "line chat on port %d" % door.server_address[1], "textLimit": 400, "connected": True}


def send(to, text, **_):
    if to not in people:
        raise LookupError("nobody of that name is here")
    people[to].wfile.write(text.encode() + b"\n")
    return {"messageId": "%s-%d" % (to, time.time_ns())}


def ack(id, **_):
    waiting.pop(id, None)


def probe(**_):
    return {"people": len(people)}


METHODS = {"initialize": initialize, "send": send, "ack": ack, "probe": probe}

for line in sys.stdin:  # its end is ours
    request = json.loads(line)
    answer = {"error": {"code": -32601, "message": "not here", "data": {"kind": "permanent"}}}
    try:
        if request["method"] in METHODS:
            answer = {"result": METHODS[request["method"]](**request.get("params", {}))}
    except (LookupError, OSError) as e:
        answer = {"error": {"code": -1, "message": str(e), "data": {"kind": "permanent"}}}
    if "id" in request:
        say(id=request["id"], **answer)
