#!/usr/bin/env python3
"""An external channel for the tests: between the gateway (standard input and output) and the chat server of a test
(tests/it/platforms.py, a TCP port). What the server says is passed on, what is acknowledged goes back."""
import base64
import hashlib
import json
import select
import socket
import sys


def main():
    server, rest, chat = None, b"", b""
    theirs, ours = {}, {}  # files: of people, by reference; of the gateway's messages, as they come

    def say(**doc):
        sys.stdout.write(json.dumps(dict({"jsonrpc": "2.0"}, **doc)) + "\n")
        sys.stdout.flush()

    while True:
        ready = select.select([0] + ([server] if server else []), [], [])[0]
        if server in ready:
            data = server.recv(65536)
            if not data:
                say(method="status", params={"state": "disconnected", "error": "the server hung up"})
                return 3
            *lines, chat = (chat + data).split(b"\n")
            for line in lines:
                doc = json.loads(line)
                if "hello" in doc:
                    say(method="status", params={"state": "connected"})
                elif "done" in doc:
                    number = doc["done"]
                    if doc.get("error"):
                        say(id=number, error={"code": -1, "message": doc["error"], "data": doc.get("data", {})})
                    else:
                        say(id=number, result={"messageId": doc["messageId"]})
                else:
                    for i, m in enumerate(doc.get("media", [])):
                        m["ref"] = "%s/%d" % (doc["id"], i)
                        theirs[m["ref"]] = base64.b64decode(m.pop("data"))
                    say(method="inbound", params=doc)
        if 0 in ready:
            data = sys.stdin.buffer.raw.read(65536)
            if not data:
                return 0
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                doc = json.loads(line)
                method, params = doc.get("method"), doc.get("params")
                if method == "initialize":
                    conf = params["config"]
                    server = socket.create_connection(("127.0.0.1", conf["port"]), timeout=10)
                    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # small words, none waits for the next
                    server.sendall(json.dumps({"token": conf.get("token")}).encode() + b"\n")
                    caps = ["reply", "groups"] + (["idempotent"] if conf.get("clientIds") else []) + conf.get("can", [])
                    say(id=doc["id"], result={"name": "test chat", "capabilities": caps, "connected": False,
                                              "textLimit": conf.get("textLimit", 4000), **conf.get("said", {})})
                elif method == "ack":
                    server.sendall(json.dumps({"ack": params["id"]}).encode() + b"\n")
                elif method == "media.fetch":
                    data = theirs.get(params["ref"])
                    if data is None:
                        say(id=doc["id"], error={"code": -1, "message": "no such file", "data": {"kind": "permanent"}})
                        continue
                    piece = data[params["offset"]:params["offset"] + params["limit"]]
                    say(id=doc["id"], result={"data": base64.b64encode(piece).decode(), "end": params["offset"] + len(piece) == len(data)})
                elif method == "media.put":
                    assert len(ours.setdefault(params["ref"], b"")) == params["offset"]
                    ours[params["ref"]] += base64.b64decode(params["data"])
                    say(id=doc["id"], result={})
                elif method == "media.drop":
                    ours.pop(params["ref"], None)
                elif method in ("send", "edit", "delete", "react", "typing"):
                    for m in params.get("media", []):
                        data = ours.pop(m["ref"])
                        assert len(data) == m["bytes"]
                        m["sha256"] = hashlib.sha256(data).hexdigest()
                    server.sendall(json.dumps({"op": method, "number": doc["id"], "with": params}).encode() + b"\n")
                elif "id" in doc:
                    say(id=doc["id"], error={"code": -32601, "message": "no " + method, "data": {"kind": "permanent"}})


sys.exit(main())
