"""WebSockets over HTTP/2 (RFC 8441) for tests: many on one connection, each as a socket that ws.WebSocket takes.
Windows are kept in both directions: what a test does not read is not asked for."""
import socket
import struct
import threading

from h2peer import (ACK, DATA, END_STREAM, GOAWAY, HEADERS, INITIAL_WINDOW_SIZE, RST_STREAM, SETTINGS, WINDOW_UPDATE,
                    Gone, Peer, fields, frame)
from ws import WAIT


class Refused(Exception):
    """status: of the answer to CONNECT; None: the stream was reset, or the connection ended."""

    def __init__(self, status, why):
        Exception.__init__(self, "%s %s" % (status, why))
        self.status = status


class Mux:
    def __init__(self, port, tls=False):
        self.peer = Peer(port, tls, quiet=True)
        self.peer.sock.settimeout(None)
        self.scheme = "https" if tls else "http"
        self.cond = threading.Condition()
        self.window, self.first, self.room = 65535, 65535, {}  # to send: of all, of a new stream, of each
        self.ours, self.heads, self.codes, self.ended = {}, {}, {}, False
        threading.Thread(target=self.read, daemon=True).start()

    def send(self, data):
        try:
            with self.cond:
                self.peer.send(data)
        except OSError:
            pass

    def read(self):
        try:
            while True:
                self.on_frame(self.peer.read())
        except (Gone, OSError, ValueError):
            pass
        with self.cond:
            self.ended = True
            self.cond.notify_all()
            for s in self.ours.values():
                s.close()

    def on_frame(self, f):
        ours = self.ours.get(f.stream)
        if f.kind == DATA and ours:
            if f.payload:
                try:
                    ours.sendall(f.payload)
                except OSError:
                    pass
                up = struct.pack(">L", len(f.payload))
                self.send(frame(WINDOW_UPDATE, 0, 0, up) + frame(WINDOW_UPDATE, 0, f.stream, up))
        elif f.kind == SETTINGS and not f.flags & ACK:
            with self.cond:
                change = self.peer.theirs.get(INITIAL_WINDOW_SIZE, 65535) - self.first
                self.first += change
                for sid in self.room:
                    self.room[sid] += change
                self.cond.notify_all()
            self.send(frame(SETTINGS, ACK))
        elif f.kind == WINDOW_UPDATE:
            with self.cond:
                n = struct.unpack(">L", f.payload)[0]
                if f.stream == 0:
                    self.window += n
                elif f.stream in self.room:
                    self.room[f.stream] += n
                self.cond.notify_all()
        elif f.kind in (HEADERS, RST_STREAM):
            with self.cond:
                if f.kind == HEADERS:
                    self.heads[f.stream] = f.fields
                else:
                    self.codes[f.stream] = f.code
                self.cond.notify_all()
        elif f.kind == GOAWAY:
            self.codes[0] = f.code
        if ours and (f.kind == RST_STREAM or f.flags & END_STREAM and f.kind in (DATA, HEADERS)):
            try:
                ours.shutdown(socket.SHUT_WR)
            except OSError:
                pass

    def open(self, path="/", headers=(), protocol="websocket", version="13", name="127.0.0.1"):
        """A socket whose other end is the stream."""
        with self.cond:
            sid, self.peer.next_id = self.peer.next_id, self.peer.next_id + 2
            ours, theirs = socket.socketpair()
            self.ours[sid], self.room[sid] = ours, self.first
            more = [("sec-websocket-version", version)] if version else []
            self.peer.next_id = sid
            self.peer.open(fields("CONNECT", path, (":protocol", protocol), *more, *headers, scheme=self.scheme,
                                  authority=name), end=False)
            if not self.cond.wait_for(lambda: sid in self.heads or sid in self.codes or self.ended, WAIT):
                raise Refused(None, "no answer")
        head = self.heads.get(sid)
        if not head or head[":status"] != "200":
            raise Refused(head and int(head[":status"]), self.codes.get(sid))
        threading.Thread(target=self.pump, args=(sid, ours), daemon=True).start()
        return theirs

    def pump(self, sid, ours):
        """What the test writes becomes DATA frames, as far as the windows are open."""
        while True:
            try:
                data = ours.recv(16384)
            except OSError:
                data = b""
            if not data:
                self.send(frame(DATA, END_STREAM, sid))
                return
            while data:
                with self.cond:
                    self.cond.wait_for(lambda: self.ended or sid in self.codes or
                                       min(self.window, self.room[sid]) > 0)
                    n = min(len(data), self.window, self.room[sid])
                    if self.ended or sid in self.codes:
                        return
                    self.window -= n
                    self.room[sid] -= n
                self.send(frame(DATA, 0, sid, data[:n]))
                data = data[n:]

    def close(self):
        self.peer.sock.close()
