#!/usr/bin/env python3
"""An IRC server as far as a client can tell, for tests, and ways to misbehave. Real servers are tested with, too
(../it/test_irc.py starts ngircd); this one does on order what those do once a year.

Orders over HTTP on the second port, beside those of web.py (method of a logged call: the command; params: list and nick):
    POST /fake/say    {"from": "ada!a@host", "to": "#c" or a nick, "text", "tags": "msgid=1;account=ada"}   somebody writes
    POST /fake/raw    {"line", "nick"}     a line as it stands to one client, or to all
    POST /fake/kick   {"room", "nick"}     POST /fake/kill {"nick"}   POST /fake/hold {"nick"}  somebody else has the nick; "free": true
    GET  /fake/shown  what clients said: [{"nick", "to", "text"}]
    GET  /fake/who    {"nick": {"rooms": [...], "account": ...}}
Faults beside those of web.py (method: the client's command, or "connect"): numeric (code=, text=) answers with that instead,
throttle (connect) ERROR and goodbye, split sends every byte by itself, mute takes the line and does nothing.

Usage: irc.py [--port N] [--caps LIST] [--accounts user:password,...] [--tls CERT KEY]; prints "port N control M".
"""
import argparse
import asyncio
import base64
import ssl
import time

from web import Gone, Web

NAME = "irc.fake"


class Client:
    def __init__(self, server, reader, writer):
        self.server, self.reader, self.writer = server, reader, writer
        self.nick = self.user = self.account = None
        self.caps, self.rooms, self.cap_open, self.there, self.split, self.sasl = set(), set(), False, False, False, None

    @property
    def mask(self):
        return "%s!%s@client.fake" % (self.nick, self.user)

    def send(self, line):
        data = (line + "\r\n").encode()
        for piece in ([bytes([b]) for b in data] if self.split else [data]):
            self.writer.write(piece)

    def num(self, code, *params):
        self.send(":%s %s %s %s" % (NAME, code, self.nick or "*", " ".join(params)))

    def hear(self, tags, line):
        known = ";".join(t for t in tags.split(";") if t and (
            t.startswith("account=") and "account-tag" in self.caps or t.startswith("time=") and "server-time" in self.caps or
            not t.startswith(("account=", "time=")) and "message-tags" in self.caps))
        self.send(("@%s " % known if known else "") + line)


class Irc(Web):
    def __init__(self, opt):
        self.caps = [c for c in opt.caps.split(" ") if c]
        self.accounts = dict(a.split(":", 1) for a in opt.accounts.split(",") if a)
        super().__init__()
        self.clients = []

    def forget(self):
        super().forget()
        self.shown, self.held = [], set()

    # ---- a client's connection ----
    async def irc(self, reader, writer):
        c = Client(self, reader, writer)
        self.writers.add(writer)
        f = self.fault("connect")
        row = self.log("connect", {})
        row["status"] = 1
        self.tell()
        try:
            if f and f["fault"] == "throttle":
                c.send("ERROR :Trying to reconnect too fast.")
                raise Gone
            if f and f["fault"] == "split":
                c.split = True
            elif f:
                await self.broken(f, c)
            self.clients.append(c)
            while True:
                line = await reader.readline()
                if not line:
                    break
                await self.line(c, line.decode("utf-8", "replace").rstrip("\r\n"))
                await writer.drain()
        except (Gone, ConnectionError, asyncio.LimitOverrunError, ValueError):
            pass
        finally:
            self.left(c)
            self.writers.discard(writer)
            writer.close()

    async def broken(self, f, c):
        class Fake:
            writer = c.writer
        await self.misbehave({**f, "fault": "hang" if f["fault"] == "slow" else f["fault"]}, Fake, self.nothing)

    async def nothing(self):
        return None

    def left(self, c):
        if c in self.clients:
            self.clients.remove(c)
            for o in self.clients:
                if c.there and o.rooms & c.rooms:
                    o.send(":%s QUIT :gone" % c.mask)
        self.tell()

    async def line(self, c, text):
        head, _, last = text.partition(" :")
        words = head.split(" ")
        params = words[1:] + ([last] if " :" in text else [])
        command = words[0].upper()
        row = self.log(command, {"nick": c.nick, "list": params})
        f = self.fault(command, nick=c.nick)
        if f and f["fault"] == "numeric":
            c.num(f["code"], *([params[0]] if params else []), ":" + f.get("text", "no"))
        elif f and f["fault"] == "lost":
            self.do(c, command, params)
            raise Gone
        elif f and f["fault"] != "mute":
            row["status"] = -1
            await self.broken(f, c)
        elif not f:
            self.do(c, command, params)
        row["status"] = 1
        self.tell()

    def do(self, c, command, p):
        call = getattr(self, "do_" + command.lower(), None)
        if call is None:
            c.num(421, command, ":Unknown command")
        else:
            call(c, p)

    # ---- login ----
    def do_cap(self, c, p):
        verb = p[0].upper()
        if verb == "LS":
            if not self.caps:
                return c.num(421, "CAP", ":Unknown command")
            c.cap_open = True
            half = len(self.caps) // 2
            if half:
                c.send(":%s CAP * LS * :%s" % (NAME, " ".join(self.caps[:half])))
            c.send(":%s CAP * LS :%s" % (NAME, " ".join(self.caps[half:])))
        elif verb == "REQ":
            want = p[1].split()
            names = {x.split("=")[0] for x in self.caps}
            ok = set(want) <= names
            if ok:
                c.caps |= set(want)
            c.send(":%s CAP * %s :%s" % (NAME, "ACK" if ok else "NAK", p[1]))
        elif verb == "END":
            c.cap_open = False
            self.welcome(c)

    def do_authenticate(self, c, p):
        if p[0] in ("PLAIN", "EXTERNAL"):
            c.sasl = ""
            return c.send("AUTHENTICATE :+")
        if p[0] == "*":
            return c.num(906, ":SASL authentication aborted")
        c.sasl += "" if p[0] == "+" else p[0]
        if len(p[0]) == 400:
            return
        user, password = (base64.b64decode(c.sasl).decode().split("\0") + ["", ""])[1:3]
        if self.accounts.get(user) == password:
            c.account = user
            c.num(900, "x!x@x", user, ":You are now logged in as " + user)
            c.num(903, ":SASL authentication successful")
        else:
            c.num(904, ":SASL authentication failed")

    def do_pass(self, c, p):
        pass

    def taken(self, nick, but):
        return nick.lower() in self.held or any(o is not but and o.nick and o.nick.lower() == nick.lower() for o in self.clients)

    def do_nick(self, c, p):
        nick = p[0]
        if self.taken(nick, c):
            return c.num(433, nick, ":Nickname is already in use")
        if c.there:
            for o in self.clients:
                if o is c or o.rooms & c.rooms:
                    o.send(":%s NICK :%s" % (c.mask, nick))
        c.nick = nick
        self.welcome(c)

    def do_user(self, c, p):
        c.user = "~" + p[0]
        self.welcome(c)

    def welcome(self, c):
        if c.there or c.cap_open or not c.nick or not c.user:
            return
        c.there = True
        c.num("001", ":Welcome to the fake network")
        c.num("005", "CASEMAPPING=ascii CHANTYPES=# STATUSMSG=@+ NICKLEN=30 :are supported by this server")
        c.num("422", ":No message of the day")

    # ---- there ----
    def do_ping(self, c, p):
        c.send(":%s PONG %s :%s" % (NAME, NAME, p[-1]))

    def do_pong(self, c, p):
        pass

    def do_join(self, c, p):
        for room in p[0].split(","):
            c.rooms.add(room.lower())
            for o in self.clients:
                if room.lower() in o.rooms:
                    o.send(":%s JOIN %s" % (c.mask, room))
            c.num(366, room, ":End of /NAMES list")

    def do_part(self, c, p):
        c.rooms.discard(p[0].lower())
        c.send(":%s PART %s" % (c.mask, p[0]))

    def do_quit(self, c, p):
        c.send("ERROR :Closing link")
        raise Gone

    def do_privmsg(self, c, p):
        to, text = p
        if len((":%s PRIVMSG %s :%s\r\n" % (c.mask, to, text)).encode()) > 512:
            text = text.encode()[:512 - len((":%s PRIVMSG %s :\r\n" % (c.mask, to)).encode())].decode("utf-8", "replace")
        if to.lower() in ("nickserv",):
            return c.send(":NickServ!s@services NOTICE %s :ok" % c.nick)
        if to.startswith("#") and to.lower() not in c.rooms:
            return c.num(404, to, ":Cannot send to channel")
        if to.startswith("!"):
            return c.num(401, to, ":No such nick/channel")
        self.shown.append({"nick": c.nick, "to": to, "text": text, "t_ms": int(time.time() * 1000)})
        self.pass_on("", c.mask, to, text, c)

    def pass_on(self, tags, mask, to, text, but=None):
        for o in self.clients:
            if o is not but and (to.lower() in o.rooms or o.nick and o.nick.lower() == to.lower()):
                o.hear(tags, ":%s PRIVMSG %s :%s" % (mask, to, text))

    # ---- orders ----
    async def order(self, what, req):
        doc = req.params()
        if what == "say":
            self.pass_on(doc.get("tags", ""), doc["from"], doc["to"], doc["text"])
        elif what == "raw":
            for c in self.clients:
                if doc.get("nick") in (None, c.nick):
                    c.send(doc["line"])
        elif what == "kick":
            for c in self.clients:
                if doc["room"].lower() in c.rooms:
                    c.send(":op!o@h KICK %s %s :out" % (doc["room"], doc["nick"]))
                    if c.nick == doc["nick"]:
                        c.rooms.discard(doc["room"].lower())
        elif what == "kill":
            for c in list(self.clients):
                if c.nick == doc["nick"]:
                    c.send("ERROR :Closing Link: killed")
                    c.writer.close()
        elif what == "hold":
            (self.held.discard if doc.get("free") else self.held.add)(doc["nick"].lower())
        elif what == "shown":
            return 200, self.shown
        elif what == "who":
            return 200, {c.nick: {"rooms": sorted(c.rooms), "account": c.account, "caps": sorted(c.caps)} for c in self.clients if c.there}
        else:
            return await super().order(what, req)
        return 200, {"ok": True}


async def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    args.add_argument("--host", default="127.0.0.1")
    args.add_argument("--port", type=int, default=0)
    args.add_argument("--caps", default="server-time message-tags account-tag sasl=PLAIN,EXTERNAL multi-prefix")
    args.add_argument("--accounts", default="", help="user:password,...")
    args.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"))
    opt = args.parse_args()
    server = Irc(opt)
    context = None
    if opt.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*opt.tls)
    await server.open(server.irc, opt.host, opt.port, limit=1 << 20, ssl=context)
    await server.obey(opt.host)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
