"""Draws the nemesis' schedule from the seed; it is written before anything of it happens.

Kinds of faults are the rows of FAULTS: (name, weight, function of the generator that returns the entry's fields). A group
(--nemesis kill,all,...) chooses rows. One worker is killed at most BURST times in WINDOW seconds, so that the supervisor's
own backing off (5 deaths in 10 s) is met only where a fault means to meet it.
"""
import random

BURST, WINDOW = 4, 10.5
SIGNALS = ("KILL", "KILL", "KILL", "SEGV")
MOMENTS = ("any", "any", "any", "commit", "restart", "other", "idle")
MODEL_FAULTS = ("refuse", "429", "500", "529", "reset", "stall", "cut", "cututf8", "cutjson", "slow", "type", "dup", "garbage")


class Draw:
    def __init__(self, seed, names):
        self.rng, self.names, self.killed = random.Random(seed * 7919 + 1), names, {}

    def free(self, at, deaths=1):
        """A worker that may die so often now."""
        names = list(self.names)
        self.rng.shuffle(names)
        for n in names:
            past = self.killed[n] = [t for t in self.killed.get(n, []) if at - t < WINDOW]
            if len(past) + deaths <= BURST:
                past += [at] * deaths
                return n
        return None

    def reset(self):
        self.killed = {}


def kill(d, at):
    moment = d.rng.choice(MOMENTS)
    who = d.free(at, 2 if moment == "restart" else 1)
    if not who:
        return None
    row = {"who": who, "sig": d.rng.choice(SIGNALS), "moment": moment}
    if moment == "other":
        row["other"] = d.free(at)
        if not row["other"] or row["other"] == who:
            row["moment"] = "any"
    return row


def kill_hub(d, at):
    """The owner of the state more often than chance would."""
    past = [t for t in d.killed.get("hub 0", []) if at - t < WINDOW]
    if len(past) >= BURST:
        return kill(d, at)
    d.killed["hub 0"] = past + [at]
    return {"who": "hub 0", "sig": d.rng.choice(SIGNALS), "moment": d.rng.choice(("any", "commit", "commit", "idle"))}


def everything(d, _at):
    d.reset()
    return {}


def twice(d, _at):
    d.reset()
    return {"seconds": round(d.rng.uniform(0, 0.2), 4)}


def pause(d, at):
    return {"who": d.rng.choice(d.names), "seconds": round(d.rng.uniform(0.1, 1.5), 3)}


def hang(d, at):
    who = d.free(at)
    return who and {"who": who}


def loop(d, _at):
    who = d.rng.choice([n for n in d.names if n != "hub 0"])
    d.killed[who] = [_at] * 100
    return {"who": who, "times": 7}


def down(d, _at):
    return {"account": d.rng.choice([n.split(" ")[1] for n in d.names if n.startswith("channel-")]),
            "seconds": round(d.rng.uniform(0.2, 2), 2)}


def model(d, _at):
    return {"mode": d.rng.choice(MODEL_FAULTS), "p": round(d.rng.uniform(0.05, 0.4), 2), "seconds": round(d.rng.uniform(0.3, 1.5), 2)}


def reload(d, _at):
    return {"file": d.rng.choice(("good", "good", "broken", "torn", "gone"))}


# name in the schedule: (group that --nemesis names, weight, drawing function)
FAULTS = {
    "kill": ("kill", 60, kill),
    "kill-hub": ("kill", 14, kill_hub),
    "all": ("all", 5, everything),
    "twice": ("all", 3, twice),
    "supervisor": ("all", 2, everything),
    "power": ("power", 4, everything),
    "pause": ("stop", 3, pause),
    "hang": ("stop", 1.5, hang),
    "loop": ("loop", 0.3, loop),
    "down": ("channel", 3, down),
    "model": ("model", 2, model),
    "reload": ("reload", 3, reload),
    # to come: disk, clock, io (n-th write fails), descriptors, memory: the gateway's own behaviour is tested by tests/it
}
GROUPS = sorted({g for g, _w, _f in FAULTS.values()})


def draw(seed, seconds, names, groups, gap, begin=1.0):
    d = Draw(seed, names)
    rows = {n: (w, f) for n, (g, w, f) in FAULTS.items() if g in groups}
    total = sum(w for w, _ in rows.values())
    out, at = [], begin if rows else seconds
    while True:
        at += max(gap / 10, d.rng.expovariate(1 / gap))
        if at >= seconds:
            return out
        x = d.rng.random() * total
        for name, (w, fn) in rows.items():
            x -= w
            if x < 0:
                break
        more = fn(d, at)
        if more is not None and more is not False:
            out.append(dict({"i": len(out), "at": round(at, 3), "fault": name.split("-")[0]}, **more))
