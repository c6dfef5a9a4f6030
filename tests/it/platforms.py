"""The platforms of the channel suite (test_channels.py): for each row of channels/base/list.def a fake of its platform.

A platform's class has:
    name                what the suite calls it
    section(account)    the account's section of the configuration
    write(id, text, to="42", **peer)    a person writes; peer: kind "group", group "...", name
    sent()              what the platform accepted, oldest first: dicts with "text", "to" and "key"
    acked()             ids of what the gateway said it has taken
    down(yes)           the platform goes away and comes back
    fail(**how)         the next sends fail: transient=N, permanent=N, hang=N, lose=N (accepted, no answer)
    close()
"""
import json
import os
import shutil
import socket
import threading

HERE = os.path.dirname(os.path.abspath(__file__))


class External:
    """A chat server on a TCP port, and tests/fake/chat_program.py between it and the gateway."""
    name = "external"

    def __init__(self, folder, client_ids=False, text_limit=4000, token="chat-token"):
        self.client_ids, self.text_limit, self.token = client_ids, text_limit, token
        self.lock = threading.Lock()
        self.updates, self.taken, self.accepted, self.conns = [], [], [], []
        self.failures, self.known, self.is_down = [], {}, False
        self.program = os.path.join(folder, "chat_program.py")  # where the channels' uid can read it
        shutil.copy(os.path.join(HERE, "..", "fake", "chat_program.py"), self.program)
        for path in (os.path.dirname(folder), folder):
            os.chmod(path, 0o711)
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen(16)
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def channel(self):
        return "chat"

    def section(self, **more):
        return dict({"command": ["/usr/bin/python3", self.program],
                     "port": self.port, "token": self.token, "clientIds": self.client_ids,
                     "textLimit": self.text_limit, "dmPolicy": "open", "allowFrom": ["*"]}, **more)

    def _accept(self):
        while True:
            try:
                conn, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn):
        rest, greeted = b"", False
        try:
            while True:
                data = conn.recv(65536)
                if not data:
                    return
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    doc = json.loads(line)
                    if not greeted:
                        greeted = True
                        if self.is_down or doc["token"] != self.token:
                            return
                        with self.lock:
                            self.conns.append(conn)
                            for u in self.updates:
                                self._tell(conn, u)
                    elif "ack" in doc:
                        with self.lock:
                            self.taken.append(doc["ack"])
                            self.updates = [u for u in self.updates if u["id"] != doc["ack"]]
                    elif "send" in doc:
                        self._sent(conn, doc["send"])
        except OSError:
            pass
        finally:
            with self.lock:
                if conn in self.conns:
                    self.conns.remove(conn)
            conn.close()

    def _tell(self, conn, doc):
        conn.sendall(json.dumps(doc).encode() + b"\n")

    def _sent(self, conn, message):
        key = message["idempotencyKey"]
        with self.lock:
            how = self.failures.pop(0) if self.failures else None
            if how == "hang":
                return
            if how in ("transient", "permanent"):
                self._tell(conn, {"sent": key, "error": "no", "data": {"kind": how}})
                return
            if not (self.client_ids and key in self.known):
                self.accepted.append(dict(message, key=key))
                self.known[key] = "m%d" % len(self.accepted)
            if how == "lose":
                return
            self._tell(conn, {"sent": key, "messageId": self.known[key]})

    def write(self, update, text, to="42", kind="direct", group=None, **more):
        doc = {"id": update, "messageId": update, "sender": {"id": to, "name": "person " + to}, "text": text,
               "peer": {"kind": kind, "id": group or to}}
        doc.update(more)
        with self.lock:
            self.updates.append(doc)
            for conn in self.conns:
                self._tell(conn, doc)

    def sent(self):
        with self.lock:
            return list(self.accepted)

    def texts(self):
        return [m["text"] for m in self.sent()]

    def acked(self):
        with self.lock:
            return list(self.taken)

    def fail(self, **how):
        with self.lock:
            for kind, n in how.items():
                self.failures += [kind] * n

    def down(self, yes):
        with self.lock:
            self.is_down = yes
            for conn in self.conns if yes else []:
                conn.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.socket.close()


PLATFORMS = {p.name: p for p in (External,)}
