"""A gateway client: connects, asks, waits for events; keeps everything it was sent."""
import itertools
import uuid

from ws import WAIT, Closed, WebSocket

SCOPES = ["operator.admin", "operator.read", "operator.write", "operator.approvals", "operator.pairing"]
TERMINAL = ("final", "error", "aborted")


class Refused(AssertionError):
    def __init__(self, method, error, payload=None):
        AssertionError.__init__(self, "%s: %s %s" % (method, error.get("code"), error.get("message")))
        self.code, self.message = error.get("code"), error.get("message", "")
        self.details, self.payload = error.get("details") or {}, payload


def text_of(message):
    content = (message or {}).get("content")
    if isinstance(content, str):
        return content
    return "".join(p.get("text", "") for p in content or [] if isinstance(p, dict))


class Client:
    """Client(port, token) is connected and authenticated; auth=False leaves it after the challenge."""

    said = []  # every message text this process has sent: none of it may be in a log

    def __init__(self, port, token, scopes=SCOPES, auth=True, protocol=(4, 4), caps=None, **ws):
        self.ids = itertools.count(1)
        self.ws = WebSocket(port, **ws)
        self.challenge = self.ws.wait(lambda f: f.get("event") == "connect.challenge", "challenge")
        if auth:
            self.hello = self.ask("connect", self.connect_params(token, scopes, protocol, **({"caps": caps} if caps else {})))

    @staticmethod
    def connect_params(token, scopes=SCOPES, protocol=(4, 4), **change):
        params = {"minProtocol": protocol[0], "maxProtocol": protocol[1], "role": "operator",
                  "client": {"id": "gateway-client", "version": "1.0.0", "platform": "linux",
                             "mode": "backend"},
                  "scopes": list(scopes), "caps": [], "auth": {"token": token}}
        params.update(change)
        return params

    def start(self, method, params=None, request_id=None):
        """Sends a request without waiting; returns its id."""
        request_id = request_id or "r%d" % next(self.ids)
        for member in ("message",):
            if isinstance((params or {}).get(member), str):
                Client.said.append(params[member])
        self.ws.send({"type": "req", "id": request_id, "method": method, "params": params or {}})
        return request_id

    def answer(self, request_id, timeout=WAIT, nth=1):
        seen = itertools.count(1)
        return self.ws.wait(lambda f: f.get("type") == "res" and f.get("id") == request_id and
                            next(seen) == nth, "answer to %s" % request_id, timeout)

    def ask(self, method, params=None, timeout=WAIT):
        res = self.answer(self.start(method, params), timeout)
        if not res["ok"]:
            raise Refused(method, res["error"], res.get("payload"))
        return res["payload"]

    def refused(self, method, params=None):
        try:
            payload = self.ask(method, params)
        except Refused as e:
            return e
        raise AssertionError("%s was not refused but answered %r" % (method, payload))

    def event(self, test, what, timeout=WAIT, start=0):
        return self.ws.wait(lambda f: f.get("type") == "event" and test(f), what, timeout, start)

    def chat(self, run, states, timeout=WAIT):
        states = (states,) if isinstance(states, str) else states
        return self.event(lambda f: f["event"] == "chat" and f["payload"].get("runId") == run and
                          f["payload"].get("state") in states, "chat %s of %s" % ("/".join(states), run),
                          timeout)["payload"]

    def chats(self, run):
        with self.ws.cond:
            return [f["payload"] for f in self.ws.frames
                    if f.get("event") == "chat" and f["payload"].get("runId") == run]

    def events(self, name):
        with self.ws.cond:
            return [f["payload"] for f in self.ws.frames if f.get("event") == name]

    def send(self, session, message, run=None, **more):
        """chat.send; returns the run id once it is acknowledged."""
        run = run or str(uuid.uuid4())
        got = self.ask("chat.send", dict(sessionKey=session, message=message, idempotencyKey=run, **more))
        assert got["runId"] == run and got["status"] == "started", got
        return run

    def turn(self, session, message, timeout=WAIT, **more):
        """A whole turn; returns (run id, payload of its terminal event)."""
        run = self.send(session, message, **more)
        return run, self.chat(run, TERMINAL, timeout)

    def history(self, session, limit=200):
        return self.ask("chat.history", {"sessionKey": session, "limit": limit})["messages"]

    def check_seq(self):
        """seq counts this connection's events from 1 without a hole."""
        with self.ws.cond:
            seqs = [f.get("seq") for f in self.ws.frames
                    if f.get("type") == "event" and f["event"] != "connect.challenge"]
        assert seqs == list(range(1, len(seqs) + 1)), "event numbers have a hole: %r" % seqs

    @property
    def open(self):
        return not self.ws.ended

    def close(self):
        self.ws.close()


def try_connect(port, token):
    """A client, or None while nobody listens or the gateway is still starting."""
    try:
        return Client(port, token)
    except (OSError, Closed, Refused):
        return None
