#!/usr/bin/env python3
"""The proof of the channels: five accounts (two of Telegram, IRC, two external programs) on one gateway through the real agent, with and without
one of their processes being killed every second. How late are the others?

    five.py [--build BUILD] [--seconds 30] [--every 0.25]

From when a person has written to when the platform has the answer, by one clock. A message counts as another's when its own account was not
killed from 2 s before it was written to when it was answered. Prints a line of JSON: quiet and killed, p50, p99, most; late: by how much p99
and p50 are later than in quiet; lost and doubled of what platforms say again (IRC does not). Exit code 1: something was lost or doubled.
"""
import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "it"))
from gateway import become_subreaper, config_for, until  # noqa: E402
from platforms import External, Irc, Telegram  # noqa: E402
from run import Env  # noqa: E402
from test_five import title_of  # noqa: E402

PEOPLE = 40  # a chat of Telegram bears one message a second
HURT_S = 2


class Account:
    def __init__(self, name, platform):
        self.name, self.platform, self.n, self.kills = name, platform, 0, []
        self.written = {}  # word: time.time()

    def write(self):
        self.n += 1
        word = "%s-%05d." % (self.name, self.n)
        self.platform.write("%s%d" % (self.name, self.n), "say " + word, to=str(100 + self.n % PEOPLE))
        self.written[word] = time.time()

    def answers(self):
        """word: when each time it was shown whole."""
        out = {}
        for at, text in self.platform.arrivals():
            for word in self.words_in(text):
                out.setdefault(word, []).append(at)
        return out

    def words_in(self, text):
        head = self.name + "-"
        i = text.find(head)
        while i >= 0:
            word = text[i:i + len(head) + 6]
            if word in self.written:
                yield word
            i = text.find(head, i + 1)


def spread(values):
    values = sorted(values) or [0]
    return {"n": len(values), "p50": round(values[len(values) // 2], 1), "p99": round(values[len(values) * 99 // 100], 1), "max": round(values[-1], 1)}


def phase(all_, seconds, every, kill):
    """Messages for so long; the words written."""
    rnd, end, kill_at, before = random.Random(5), time.monotonic() + seconds, time.monotonic() + 1, {a: set(a.written) for a in all_}
    due = time.monotonic()
    while time.monotonic() < end:
        for a in all_:
            if not isinstance(a.platform, Irc) or a.platform.there():
                a.write()
            if kill and time.monotonic() >= kill_at:
                kill_at += 1
                kill(rnd.choice(all_))
            due += every / len(all_)
            time.sleep(max(0, due - time.monotonic()))
    return {a: set(a.written) - before[a] for a in all_}


def settled(c, a, words):
    unknown = sum(d["accountId"] == a.name for d in c.ask("deliveries.list", {"state": "unknown"})["deliveries"]) if a.kills else 0
    return len(set(a.answers()) & words) + unknown >= len(words)


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    args.add_argument("--build", default=os.path.join(HERE, "..", "..", "build"), type=os.path.abspath)
    args.add_argument("--seconds", type=float, default=30)
    args.add_argument("--every", type=float, default=0.25, help="seconds between two messages to one account")
    opt = args.parse_args()
    become_subreaper()
    folder = tempfile.mkdtemp(prefix="five-")
    env = Env(opt.build, folder)
    all_ = [Account("ext1", External(folder, client_ids=True)), Account("ext2", External(folder, client_ids=True)),
            Account("irc", Irc(folder)), Account("tg1", Telegram(folder)), Account("tg2", Telegram(folder))]
    config = config_for(env.fake.url)
    config["agents"]["defaults"]["maxConcurrent"] = 16
    config["session"] = {"dmScope": "per-account-channel-peer"}
    config["messages"] = {"queue": {"mode": "followup", "cap": 1000, "debounceMs": 0}}
    config["delivery"] = {"retry": {"firstDelayMs": 20, "secondDelayMs": 40, "thirdDelayMs": 80, "laterDelayMs": 160}}
    config["channels"] = {"one": {"accounts": {"ext1": all_[0].platform.section()}}, "two": {"accounts": {"ext2": all_[1].platform.section()}},
                          "irc": {"accounts": {"irc": all_[2].platform.section()}},
                          "telegram": {"accounts": {a.name: a.platform.section() for a in all_[3:]}}}
    env.fake.control(fault="echo")
    code = 1
    try:
        g = env.gateway(config)
        c = g.client()
        for a in all_:
            a.write()
        until(lambda: all(a.answers() for a in all_), "every account answers", timeout=60)

        def kill(a):
            pid = next((pid for pid in g.workers() if title_of(pid).endswith(" " + a.name)), None)
            if pid:
                os.kill(pid, signal.SIGKILL)
                a.kills.append(time.time())
        load = os.getloadavg()[0]
        quiet = phase(all_, opt.seconds, opt.every, None)
        until(lambda: all(settled(c, a, quiet[a]) for a in all_), "all is answered", timeout=60, step=0.1)
        killed = phase(all_, opt.seconds, opt.every, kill)
        sure = [a for a in all_ if a.platform.receipts or not a.kills]
        until(lambda: all(settled(c, a, killed[a]) for a in sure), "all is answered", timeout=60, step=0.1)
        got = {a: a.answers() for a in all_}

        def waits(words, others):
            return [(got[a][w][0] - a.written[w]) * 1000 for a in all_ for w in words[a] if w in got[a] and not (
                others and any(-HURT_S < k - a.written[w] and k < got[a][w][0] or 0 <= a.written[w] - k < HURT_S for k in a.kills))]
        out = {"accounts": len(all_), "messages": sum(a.n for a in all_), "kills": sum(len(a.kills) for a in all_), "load": load,
               "quiet_ms": spread(waits(quiet, False)), "others_ms": spread(waits(killed, True)), "all_ms": spread(waits(killed, False))}
        out["late_ms"] = {k: round(out["others_ms"][k] - out["quiet_ms"][k], 1) for k in ("p50", "p99")}
        out["each_others_ms"] = {a.name: spread(waits({**{b: set() for b in all_}, a: killed[a]}, True)) for a in all_}
        unknown = sum(d["accountId"] != "irc" for d in c.ask("deliveries.list", {"state": "unknown"})["deliveries"])
        out["unknown"] = unknown
        out["lost"] = max(0, sum(len(killed[a] | quiet[a]) - len(set(got[a]) & (killed[a] | quiet[a])) for a in sure) - unknown)
        out["doubled"] = sum(len(times) > 1 for a in all_ for times in got[a].values())
        print(json.dumps(out), flush=True)
        code = 1 if out["lost"] or out["doubled"] else 0
        env.finish()
    finally:
        env.clean()
    os._exit(code)


main()
