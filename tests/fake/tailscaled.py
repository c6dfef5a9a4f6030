"""A tailscaled that knows whom its test tells it, and misbehaves when asked to.

Answers GET /localapi/v0/whois?addr=IP:PORT on a Unix socket. who: {address: login}. how: "ok", "slow" (says nothing until
it ends), "huge" (more than anybody reads), "garbage", "short" (a body cut off), "tagged", "error" (HTTP 500), "drip" (a byte
now and then, without end).
"""
import json
import os
import socket
import threading
import urllib.parse


class Tailscaled:
    def __init__(self, path):
        self.path, self.who, self.how, self.asked = path, {}, "ok", []
        self.start()

    def start(self):
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.listener.bind(self.path)
        os.chmod(self.path, 0o666)
        self.listener.listen(64)
        self.ended = threading.Event()
        threading.Thread(target=self.serve, args=(self.listener,), daemon=True).start()

    def stop(self):
        self.ended.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        os.unlink(self.path)

    def serve(self, listener):
        while True:
            try:
                s, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self.answer, args=(s,), daemon=True).start()

    def body(self, login):
        doc = {"Node": {"ID": 1, "Name": "phone.tail0.ts.net.", "Addresses": ["100.101.102.103/32"]},
               "UserProfile": {"ID": 2, "LoginName": login, "DisplayName": "Somebody"}, "CapMap": {}}
        if self.how == "tagged":
            doc["Node"]["Tags"] = ["tag:server"]
        return json.dumps(doc).encode()

    def answer(self, s):
        try:
            head = b""
            while b"\r\n\r\n" not in head:
                head += s.recv(4096) or b"\r\n\r\n"
            line, *rest = head.decode().split("\r\n")
            query = urllib.parse.urlparse(line.split(" ")[1])
            addr = urllib.parse.parse_qs(query.query)["addr"][0].rsplit(":", 1)[0].strip("[]")
            assert query.path == "/localapi/v0/whois" and "Host: local-tailscaled.sock" in rest, head
            self.asked.append(addr)
            if self.how == "slow":
                self.ended.wait()
            elif self.how == "drip":
                s.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
                while not self.ended.wait(0.05):
                    s.sendall(b" ")
            elif self.how == "huge":
                s.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + b"[" * 4000000)
            elif self.how == "garbage":
                s.sendall(os.urandom(2000))
            elif self.how == "error":
                s.sendall(b"HTTP/1.0 500 Internal Server Error\r\n\r\nno")
            elif addr not in self.who:
                s.sendall(b"HTTP/1.0 404 Not Found\r\nContent-Type: text/plain\r\n\r\nno match for IP:port\n")
            else:
                body = self.body(self.who[addr])
                more = 10 if self.how == "short" else 0
                s.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" %
                          (len(body) + more) + body)
        except OSError:
            pass
        finally:
            s.close()
