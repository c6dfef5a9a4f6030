"""Several accounts of several platforms on one gateway, while one of their processes is killed again and again: the others lose nothing and are
not held up, the killed one loses and doubles nothing (as far as its platform says a message again: IRC does not).

FIVE_SECONDS (default 8) is how long; the last line of the output has the counts and the waits of those that were left alone.
"""
import os
import random
import signal
import threading
import time

from gateway import config_for, until
from platforms import PLATFORMS, External, Irc
from test_channels import FAST

SECONDS = float(os.environ.get("FIVE_SECONDS", "8"))
EVERY_S = 0.25  # a message to each


class Account:
    def __init__(self, name, platform):
        self.name, self.platform = name, platform  # the account's name: its process is called by it
        self.n, self.written, self.hurt = 0, {}, []  # hurt: when its process was killed

    def write(self):
        self.n += 1
        word = "%s-%04d." % (self.name, self.n)
        self.written[word] = time.monotonic()
        # a chat of Telegram bears one message a second: there many people write
        to = str(100 + self.n % 40) if self.platform.name == "telegram" else "42"
        self.platform.write("%s%d" % (self.name, self.n), "say " + word, to=to)


def accounts(t):
    out = [Account("ext1", External(t.folder, client_ids=True)),
           Account("ext2", External(t.folder, client_ids=True)),
           Account("irc", Irc(t.folder))]
    config = {"one": {"accounts": {"ext1": out[0].platform.section()}}, "two": {"accounts": {"ext2": out[1].platform.section()}},
              "irc": {"accounts": {"irc": out[2].platform.section()}}}
    if "telegram" in PLATFORMS:
        telegram = PLATFORMS["telegram"]
        out += [Account("tg1", telegram(t.folder)), Account("tg2", telegram(t.folder))]
        config["telegram"] = {"accounts": {"tg1": out[3].platform.section(), "tg2": out[4].platform.section()}}
    return out, config


def title_of(pid):
    try:
        with open("/proc/%d/cmdline" % pid) as f:
            return " ".join(f.read().split("\0")).strip()
    except OSError:
        return ""


def answers(a):
    """word: how often it was answered."""
    found = {}
    for m in a.platform.sent():
        for word in a.written:
            if word in m["text"]:
                found[word] = found.get(word, 0) + 1
    return found


def watch(all_, seen, stop):
    """When each answer was first seen."""
    while not stop.is_set():
        for a in all_:
            for m in a.platform.sent():
                for word in a.written:
                    if word not in seen and word in m["text"]:
                        seen[word] = time.monotonic()
        stop.wait(0.02)


def test_one_is_killed_every_second(t):
    rnd = random.Random(5)
    all_, channels = accounts(t)
    config = config_for(t.fake.url)
    config["agents"]["defaults"]["maxConcurrent"] = 8
    config["messages"] = {"queue": {"mode": "followup", "cap": 1000, "debounceMs": 0}}
    config["channels"], config["delivery"] = channels, FAST
    t.fake.control(fault="echo")
    g = t.new_gateway(config)
    g.start()
    pid_of = lambda a: next((pid for pid in g.workers() if title_of(pid).endswith(" " + a.name)), None)
    for a in all_:
        a.write()
    until(lambda: all(answers(a) for a in all_), "every account answers")
    seen, stop = {}, threading.Event()
    watcher = threading.Thread(target=watch, args=(all_, seen, stop), daemon=True)
    watcher.start()
    end, kill_at, kills = time.monotonic() + SECONDS, time.monotonic() + 1, 0
    while time.monotonic() < end:
        for a in all_:
            if not isinstance(a.platform, Irc) or a.platform.there():
                a.write()
        if time.monotonic() >= kill_at:
            kill_at += 1
            a = rnd.choice(all_)
            pid = pid_of(a)
            if pid:
                os.kill(pid, signal.SIGKILL)
                a.hurt.append(time.monotonic())
                kills += 1
        time.sleep(EVERY_S)
    whole = [a for a in all_ if a.platform.receipts or not a.hurt]
    c = g.client()

    def settled(a):
        """Answered, or listed as unknown: what was in the hands of a killed process, where the platform knows no ids to repeat it by."""
        unknown = [d for d in c.ask("deliveries.list", {"state": "unknown"})["deliveries"] if d["accountId"] == a.name] if a.hurt else []
        return len(answers(a)) + len(unknown) >= a.n and len(unknown) <= 2 * len(a.hurt)
    until(lambda: all(settled(a) for a in whole), "every message is answered", timeout=100, step=0.1)
    stop.set()
    watcher.join()
    assert kills >= SECONDS / 2, kills
    for a in all_:
        twice = {w: n for w, n in answers(a).items() if n > 1}
        assert not twice, (a.name, twice)
    calm = sorted(seen[w] - at for a in all_ for w, at in a.written.items()
                  if w in seen and not any(-1 < at - h < 6 for h in a.hurt))
    print("five: %d accounts, %d messages, %d kills, %d answered; others waited p50 %.0f ms, p99 %.0f ms, most %.0f ms" %
          (len(all_), sum(a.n for a in all_), kills, sum(len(answers(a)) for a in all_), calm[len(calm) // 2] * 1000,
           calm[len(calm) * 99 // 100] * 1000, calm[-1] * 1000))
