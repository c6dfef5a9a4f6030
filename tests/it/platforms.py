"""The platforms of the channel suite (test_channels.py): for each row of channels/base/list.def a fake of its platform.

A platform's class has:
    name                what the suite calls it
    section(account)    the account's section of the configuration
    write(id, text, to="42", **peer)    a person writes; peer: kind "group", group "...", name
    sent()              what the platform accepted, oldest first: dicts with "text", "to" and "key"
    arrivals()          (when, text) of each whole message, by the wall clock: what bench/five.py measures
    acked()             ids of what the gateway said it has taken
    down(yes)           the platform goes away and comes back
    away(how), back()   the same: how is refused (nobody listens), errors (it answers that it cannot), silent (it answers nothing)
    renew()             another token, the only good one now: what it is in the section; not where there is none
    asked()             how often it was asked for anything or connected to, as far as it heard
    fail(**how)         the next sends fail: transient=N, permanent=N, hang=N, lose=N (accepted, no answer)
    at(g)               the gateway, before it starts: for a platform that comes to its port
    close()
Where takes_files is True also write(..., files=[(bytes, type, name)]) and
    files()             what was sent with files, oldest first: dicts with "sha256", "name", "type", "text" (below it) and "to"
    fail_files(**how)   the next sends of files fail, as fail
A class may be a second way to run the same platform: row is the one of list.def, name what the suite calls it.
"""
import atexit
import base64
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time

from gateway import until

HERE = os.path.dirname(os.path.abspath(__file__))


class Platform:
    row = None  # None: as its name

    def at(self, g):
        pass


class External(Platform):
    """A chat server on a TCP port, and tests/fake/chat_program.py between it and the gateway."""
    name = "external"
    receipts = True  # it is told what was taken, and says the rest again
    client_ids = True  # it can know a message that comes twice
    takes_files = True

    def __init__(self, folder, client_ids=False, text_limit=4000, token="chat-token", can=("media", "delete"), said=()):
        self.said = dict({"captionLimit": 1000, "albumMax": 10}, **dict(said))
        self.can, self.others, self.count = list(can), [], 0
        self.client_ids, self.text_limit, self.token = client_ids, text_limit, token
        self.lock = threading.Lock()
        self.updates, self.taken, self.accepted, self.conns = [], [], [], []
        self.failures, self.known, self.is_down = [], {}, False
        self.program = os.path.join(folder, "chat_program.py")  # where the channels' uid can read it
        shutil.copy(os.path.join(HERE, "..", "fake", "chat_program.py"), self.program)
        for path in (os.path.dirname(folder), folder):  # never less than it had: it may be /tmp
            os.chmod(path, os.stat(path).st_mode | 0o011)
        self.port, self.silent, self.heard, self.unheard = 0, False, 0, []
        self._listen()

    def _listen(self):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(("127.0.0.1", self.port))
        self.socket.listen(16)
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._accept, args=(self.socket,), daemon=True).start()

    def channel(self):
        return "chat"

    def section(self, **more):
        return dict({"command": ["/usr/bin/python3", self.program],
                     "port": self.port, "token": self.token, "clientIds": self.client_ids,
                     "textLimit": self.text_limit, "can": self.can, "said": self.said, "dmPolicy": "open", "allowFrom": ["*"]}, **more)

    def _accept(self, listener):
        while True:
            try:
                conn, _ = listener.accept()
            except OSError:
                return
            self.heard += 1
            conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
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
                    if self.silent:
                        self.unheard.append(conn)
                        continue
                    if not greeted:
                        greeted = True
                        if self.is_down or doc["token"] != self.token:
                            return
                        with self.lock:
                            self.conns.append(conn)
                            self._tell(conn, {"hello": True})
                            for u in self.updates:
                                self._tell(conn, u)
                    elif "ack" in doc:
                        with self.lock:
                            self.taken.append(doc["ack"])
                            self.updates = [u for u in self.updates if u["id"] != doc["ack"]]
                    elif doc["op"] == "send":
                        self._sent(conn, doc["number"], doc["with"])
                    else:
                        self._other(conn, doc["op"], doc["number"], doc["with"])
        except OSError:
            pass
        finally:
            with self.lock:
                if conn in self.conns:
                    self.conns.remove(conn)
            conn.close()

    def _tell(self, conn, doc):
        try:
            conn.sendall(json.dumps(doc).encode() + b"\n")
        except OSError:
            pass  # its other end was killed; it comes again with the next connection

    def _other(self, conn, what, number, message):
        with self.lock:
            self.others.append(dict(message, op=what))
            for m in self.accepted if what in ("edit", "delete") else []:
                if m["id"] == message["messageId"] and what == "edit":
                    m["text"] = message["text"]
                    m["edits"] += 1
            if what == "delete":
                self.accepted = [m for m in self.accepted if m["id"] != message["messageId"]]
            self._tell(conn, {"done": number, "messageId": message.get("messageId", "")})

    def _sent(self, conn, number, message):
        key = message["idempotencyKey"]
        with self.lock:
            how = self.failures.pop(0) if self.failures else None
            if how == "hang":
                return
            if how in ("transient", "permanent"):
                self._tell(conn, {"done": number, "error": "no", "data": {"kind": how}})
                return
            if not (self.client_ids and key in self.known):
                self.count += 1
                self.accepted.append(dict(message, key=key, id="m%d" % self.count, edits=0, at=time.time()))
                self.known[key] = "m%d" % self.count
            if how == "lose":
                return
            self._tell(conn, {"done": number, "messageId": self.known[key]})

    def write(self, update, text, to="42", kind="direct", group=None, files=(), **more):
        doc = {"id": update, "messageId": update, "sender": {"id": to, "name": "person " + to}, "text": text,
               "peer": {"kind": kind, "id": group or to}}
        if files:
            doc["media"] = [{"type": f[1], "name": f[2], "bytes": len(f[0]), "data": base64.b64encode(f[0]).decode()} for f in files]
        doc.update(more)
        with self.lock:
            self.updates.append(doc)
            for conn in self.conns:
                self._tell(conn, doc)

    def sent(self):
        with self.lock:
            return list(self.accepted)

    def texts(self):
        return [m.get("text", "") for m in self.sent()]

    def files(self):
        return [dict(f, text=m.get("text", ""), to=m["to"]) for m in self.sent() for f in m.get("media", [])]

    def fail_files(self, **how):
        self.fail(**how)

    def arrivals(self):
        return [(m["at"], m.get("text", "")) for m in self.sent()]

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

    def away(self, how):
        with self.lock:
            self.is_down, self.silent = how == "errors", how == "silent"
            if how == "refused":
                self.socket.shutdown(socket.SHUT_RDWR)
                self.socket.close()
            for conn in self.conns:
                conn.shutdown(socket.SHUT_RDWR)

    def back(self):
        self.is_down = self.silent = False
        for conn in self.unheard:
            conn.shutdown(socket.SHUT_RDWR)
        self.unheard = []
        if self.socket.fileno() < 0:
            self._listen()

    def asked(self):
        return self.heard

    def renew(self):
        self.token += "-new"
        return {"token": self.token}

    def close(self):
        self.socket.close()


class WebFake(Platform):
    """A platform of tests/fake that is a process of its own and takes orders over HTTP (tests/fake/web.py)."""
    program = None

    def __init__(self, folder, *argv):
        self.log = open(os.path.join(folder, self.name + "-fake.log"), "ab")
        self.proc = subprocess.Popen([sys.executable, os.path.join(HERE, "..", "fake", self.program), *argv],
                                     stdout=subprocess.PIPE, stderr=self.log)
        words = self.proc.stdout.readline().split()
        self.port, self.control = int(words[1]), int(words[-1])
        _started.append(self.proc)

    def order(self, what, **doc):
        c = http.client.HTTPConnection("127.0.0.1", self.control, timeout=120)
        try:
            c.request("POST" if doc else "GET", "/fake/" + what, json.dumps(doc) if doc else None,
                      {"Content-Type": "application/json"} if doc else {})
            r = c.getresponse()
            return json.loads(r.read())
        finally:
            c.close()

    def fault(self, method, fault, **more):
        self.order("fault", method=method, fault=fault, **more)

    def calls(self, method):
        return [r for r in self.order("log") if r["method"] == method]

    faults_away = {}  # how: (method, fault)

    def away(self, how):
        if how in self.faults_away:
            self.fault(self.faults_away[how][0], self.faults_away[how][1], times=1 << 30)
        self.order("refuse", yes=True)
        if how != "refused":
            self.order("refuse", yes=False)

    def back(self):
        self.order("mend", all=True)
        self.order("refuse", yes=False)

    def asked(self):
        return len(self.order("log"))

    def close(self):
        self.proc.kill()
        self.proc.wait()
        self.log.close()


class Irc(WebFake):
    """tests/fake/irc.py. IRC has no receipts and no history: what is written while the bot is away is gone."""
    name, program = "irc", "irc.py"
    receipts = client_ids = takes_files = False
    faults_away = {"errors": ("connect", "throttle"), "silent": ("connect", "hang")}

    def __init__(self, folder, *argv, **_):
        super().__init__(folder, *argv)

    def channel(self):
        return "irc"

    def section(self, **more):
        return dict({"host": "127.0.0.1", "port": self.port, "tls": False, "nick": "bot", "channels": ["#room"],
                     "flood": {"burst": 1000, "everyMs": 1}, "dmPolicy": "open", "allowFrom": ["*"],
                     "groupPolicy": "open"}, **more)

    def there(self, nick="bot"):
        who = self.order("who").get(nick)
        return bool(who) and "#room" in who["rooms"]

    def write(self, update, text, to="42", kind="direct", group=None, **more):
        until(lambda: self.there(more.get("bot", "bot")), "the bot is in the room")
        self.order("say", **{"from": "%s!u@host.example" % to, "to": group or more.get("bot", "bot"), "text": text,
                             "tags": "msgid=%s" % update})

    def sent(self):
        return self.order("shown")

    def texts(self):
        return [m["text"] for m in self.sent()]

    def arrivals(self):
        return [(m["t_ms"] / 1000, m["text"]) for m in self.sent()]

    def acked(self):
        """Nothing is: the suite leaves out what rests on it (receipts)."""
        return []

    def fail(self, **how):
        for kind, n in how.items():
            fault = {"transient": ("numeric", {"code": 439}), "permanent": ("numeric", {"code": 401}),
                     "lose": ("lost", {}), "hang": ("hang", {})}[kind]
            self.fault("PRIVMSG", fault[0], times=n, **fault[1])

    def down(self, yes):
        if yes:
            self.fault("connect", "cut", times=1 << 30)
            self.order("kill", nick="bot")
        else:
            self.order("mend", all=True)


class Telegram(WebFake):
    """tests/fake/telegram.py, polled. It knows no ids of ours: a send without an answer may not be repeated."""
    name, program = "telegram", "telegram.py"
    receipts, client_ids, takes_files = True, False, True
    faults_away = {"errors": ("*", "500"), "silent": ("*", "hang")}

    def __init__(self, folder, text_limit=4000, token="4242:good-token_of-a-bot", argv=(), **_):
        super().__init__(folder, "--bot", token, *argv)
        self.token, self.bot, self.text_limit = token, int(token.split(":")[0]), text_limit
        self.messages, self.names = {}, {}  # by the test's name; by update_id
        self.order("chat", id=42, type="private", first_name="person 42")

    def channel(self):
        return "telegram"

    def section(self, **more):
        return dict({"botToken": self.token, "apiRoot": "http://127.0.0.1:%d" % self.port, "textChunkLimit": self.text_limit,
                     "dmPolicy": "open", "allowFrom": ["*"], "groupPolicy": "open"}, **more)

    def say(self, text="", chat=42, **more):
        who = 7 if isinstance(chat, dict) else chat
        more.setdefault("from", {"id": who, "first_name": "person %d" % who})
        return self.order("say", bot=self.bot, chat=chat if isinstance(chat, dict) else {"id": chat}, **dict({"text": text}, **more))

    def write(self, update, text, to="42", kind="direct", group=None, files=(), **more):
        if files and update not in self.messages:
            self.write_files(update, text, to, kind, group, files)
            return
        if update in self.messages:  # once more, as a new update: numbers that were confirmed do not come back
            got = self.order("update", bot=self.bot, update={"message": self.messages[update]})
        else:
            chat = {"id": int(group or to), "type": "private" if kind == "direct" else "supergroup"}
            got = self.order("say", bot=self.bot, chat=chat, text=text, **{"from": {"id": int(to), "first_name": "person " + to}})
            self.messages[update] = got["message"]
        self.names[got["update_id"]] = update

    def sent(self):
        shown = self.order("shown?bot=%d" % self.bot)
        return [dict(m, to=str(m["chat"]["id"]), key=m["message_id"])
                for m in sorted(shown, key=lambda m: m["message_id"]) if m.get("from", {}).get("id") == self.bot]

    def texts(self):
        return [m.get("text", m.get("caption", "")) for m in self.sent()]

    def write_files(self, update, text, to, kind, group, files):
        """One message, or an album with the words below its first one."""
        more = {"media_group_id": update} if len(files) > 1 else {}
        for data, mime, name in files:
            file = {"kind": "photo" if mime.startswith("image/") else "document", "name": name, "type": mime, "hex": data.hex()}
            got = self.order("say", bot=self.bot, chat={"id": int(group or to), "type": "private" if kind == "direct" else "supergroup"},
                             file=file, **{"from": {"id": int(to), "first_name": "person " + to}}, **more, **({"caption": text} if text else {}))
            self.names[got["update_id"]] = update
            self.messages.setdefault(update, got["message"])
            text = ""

    def files(self):
        out = []
        for call in self.order("log"):
            sent = call["status"] == 200 or call.get("fault") == "lost"
            album = {m["media"][9:]: m for m in call["params"].get("media", [])} if call["method"] == "sendMediaGroup" else {}
            for field, f in (call.get("files") or {}).items() if sent else ():
                about = album.get(field, call["params"])
                out.append(dict(f, text=about.get("caption", ""), to=str(call["params"]["chat_id"]), method=call["method"]))
        return out

    def fail_files(self, **how):
        for method in ("sendPhoto", "sendDocument", "sendMediaGroup"):
            self.fail(method=method, **how)

    def arrivals(self):
        """The answer, not what was shown of it before; an edit that makes it whole counts."""
        return [(r["t_ms"] / 1000, r["params"].get("text", "")) for r in self.order("log")
                if r["method"] in ("sendMessage", "editMessageText") and 200 <= r["status"] < 300]

    def intrude(self):
        """Another program asks for updates with the same token, once."""
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        c.request("POST", "/bot%s/getUpdates" % self.token, json.dumps({"timeout": 0, "limit": 1}), {"Content-Type": "application/json"})
        c.getresponse().read()
        c.close()

    def state(self):
        return self.order("state?bot=%d" % self.bot)

    def renew(self):
        self.token += "-new"
        self.order("bot", token=self.token, keep=self.bot)
        return {"botToken": self.token}

    def acked(self):
        offset = self.state()["confirmed"]
        return [name for number, name in sorted(self.names.items()) if number < offset]

    def fail(self, method="sendMessage", **how):
        for kind, n in how.items():
            fault = {"transient": "500", "permanent": "403", "lose": "lost", "hang": "hang"}[kind]
            if n:
                self.fault(method, fault, times=n)

    def down(self, yes):
        self.order("down", yes=yes)


class TelegramHook(Telegram):
    """The same, which brings what people write to the gateway's port."""
    name, row, secret = "telegram-webhook", "telegram", "s3cret-hook"

    def at(self, g):
        for section in g.config["channels"].values():
            section.update(webhookUrl="http://127.0.0.1:%d/telegram-webhook" % g.port, webhookSecret=self.secret)
        g.write_config(g.config)

    def acked(self):
        waiting = self.state()["waiting"]
        return [name for number, name in sorted(self.names.items()) if number not in waiting]


_started = []
atexit.register(lambda: [p.kill() for p in _started])
PLATFORMS = {p.name: p for p in (External, Irc, Telegram, TelegramHook)}
