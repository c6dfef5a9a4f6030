"""What a run recorded, read back and indexed by token. Reads files only; knows no gateway."""
import bisect
import collections
import json
import os
import re

TOKEN = re.compile(r"\bw\d+\.\d+")
ECHO = re.compile(r"echo:(w\d+\.\d+);")  # whole: half an answer is none
OUT = re.compile(r"^(w\d+\.\d+) out")


def lines(path):
    """JSON lines; a line that a kill cut in two parts is skipped."""
    try:
        with open(path, errors="replace") as f:
            for text in f:
                try:
                    yield json.loads(text)
                except ValueError:
                    pass
    except FileNotFoundError:
        pass


def document(path):
    try:
        with open(path) as f:
            return json.load(f)
    except FileNotFoundError:
        return None


COMPLAINTS = ('"event":"link.broken"', '"event":"worker.broke_protocol"', "ERROR: AddressSanitizer", "runtime error:", "LeakSanitizer")
# what is told of messages that were dropped because too many waited: they are in the transcript as well
LEFT_OUT = tuple("[%d earlier message" % n for n in range(1, 100))


class Rows(dict):
    """token -> [places]; asking for one that is not there does not make it."""

    def __missing__(self, _token):
        return []

    def add(self, token, place):
        self.setdefault(token, []).append(place)


class Item:
    """All that is known of one token."""
    __slots__ = ("token", "op", "session", "key", "events", "first", "acked", "ends", "more", "aborted")

    def __init__(self, token, op):
        self.token, self.op, self.session, self.key = token, op, None, None
        self.events, self.first, self.acked, self.ends, self.more, self.aborted = [], None, None, [], {}, False

    def take(self, e):
        self.events.append(e)
        phase = e["phase"]
        if phase == "invoke":
            if self.first is None:
                self.first = e["t"]
                self.session, self.key = e.get("s"), e.get("key")
                self.more = {k: e[k] for k in ("to", "account", "tag") if k in e}
            return
        self.ends.append(phase)
        if phase == "ok" and self.acked is None:
            self.acked = e["t"]

    @property
    def invokes(self):
        return [e["t"] for e in self.events if e["phase"] == "invoke"]

    @property
    def refused(self):
        """Every try was answered with a refusal: it has no effect."""
        return bool(self.ends) and set(self.ends) == {"fail"} and len(self.ends) >= len(self.invokes)

    @property
    def replies(self):
        return [e.get("reply") or {} for e in self.events if e["phase"] == "ok"]


class Records:
    def __init__(self, folder):
        self.folder = folder
        self.run = document(os.path.join(folder, "run.json")) or {}
        self.end = document(os.path.join(folder, "end.json"))
        self.live = document(os.path.join(folder, "final-live.json"))
        self.again = document(os.path.join(folder, "final-again.json"))
        self.faults = list(lines(os.path.join(folder, "faults.jsonl")))
        self.samples = list(lines(os.path.join(folder, "samples.jsonl")))
        self.model = list(lines(os.path.join(folder, "model.jsonl")))
        self.platforms = {}
        for a in sorted(self.run.get("platforms", {})):
            p = os.path.join(folder, "platform-" + a)
            self.platforms[a] = {"sent": list(lines(os.path.join(p, "sent.log"))), "repeated": list(lines(os.path.join(p, "repeated.log"))),
                                 "updates": list(lines(os.path.join(p, "updates"))), "acked": self.words(os.path.join(p, "acks.log"))}
        self.complaints = self.complained(os.path.join(folder, "gateway.log"))
        self.read_history()
        self.read_transcripts()
        self.breaks = sorted(f["t"] for f in self.faults if f.get("fault"))

    @staticmethod
    def complained(path):
        """Lines that no fault of ours explains: a worker at odds with another, what a sanitizer found."""
        try:
            with open(path, errors="replace") as f:
                return [line for line in f if any(x in line for x in COMPLAINTS)]
        except FileNotFoundError:
            return []

    @staticmethod
    def words(path):
        try:
            with open(path, errors="replace") as f:
                return set(f.read().split())
        except FileNotFoundError:
            return set()

    def read_history(self):
        """items: by token, of what changes something; others: single events in order; conns: of connections."""
        self.items, self.others, self.conns = {}, [], []
        self.solo = collections.defaultdict(list)  # session: tokens of the operations on it, in order of invocation
        self.phases = collections.Counter()
        rows = list(lines(os.path.join(self.folder, "history.jsonl"))) + list(lines(os.path.join(self.folder, "probe.jsonl")))
        rows.sort(key=lambda e: e["t"])
        self.history = rows
        for e in rows:
            if e["op"] == "conn":
                self.conns.append(e)
                continue
            self.phases[e["op"], e["phase"]] += 1
            token = e["token"]
            if e["op"] == "chat.abort":
                if e["phase"] == "invoke" or (e.get("reply") or {}).get("aborted"):
                    self.items.setdefault(token, Item(token, "chat.send")).aborted = True
                continue
            if e["op"] in ("chat.history", "sessions.list", "health", "sessions.describe"):
                self.others.append(e)
                if e["op"] != "sessions.describe":
                    continue
            item = self.items.get(token)
            if not item:
                item = self.items[token] = Item(token, e["op"])
            if item.first is None and e["phase"] == "invoke" and "-r" in (e.get("s") or ""):
                self.solo[e["s"]].append(token)
            item.take(e)

    def read_transcripts(self):
        """users: token -> [(session, index)]; echoes: token -> [(session, index)] in whole answers."""
        self.users, self.echoes = Rows(), Rows()
        self.sessions = (self.live or {}).get("sessions", {})
        for key, s in self.sessions.items():
            for i, m in enumerate(s.get("messages") or []):
                if m["role"] == "user" and not m["text"].startswith(LEFT_OUT):
                    for t in TOKEN.findall(m["text"]):
                        self.users.add(t, (key, i))
                elif m["role"] == "assistant" and m.get("stop") == "stop":
                    for t in ECHO.findall(m["text"]):
                        self.echoes.add(t, (key, i))

    def story(self, token):
        """The history of one token and the faults around it, for a person."""
        item = self.items.get(token)
        if not item:
            return ["      %s was never submitted" % token]
        t0 = self.run.get("t0", 0)
        out = []
        for e in item.events[:12]:
            rest = {k: v for k, v in e.items() if k not in ("t", "client", "op", "token", "phase", "due")}
            out.append("      %9.3f %s %s %s" % (e["t"] - t0, e["op"], e["phase"], json.dumps(rest)[:160]))
        a, b = item.events[0]["t"] - 2, item.events[-1]["t"] + 1
        near = [f for f in self.faults if f.get("fault") and a <= f["t"] <= b][:8]
        out += ["      %9.3f fault %s" % (f["t"] - t0, json.dumps({k: v for k, v in f.items() if k not in ("t", "ports", "pids")})) for f in near]
        return out

    def break_between(self, a, b):
        i = bisect.bisect_left(self.breaks, a)
        return i < len(self.breaks) and self.breaks[i] <= b
