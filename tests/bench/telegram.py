#!/usr/bin/env python3
"""How heavy and how quick the Telegram channel is, against the fake platform: start to connected, memory at rest, messages a second.

    telegram.py [--build BUILD] [--rate N] [--seconds S]
"""
import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "it"))
from gateway import Fake, Gateway, config_for, until  # noqa: E402
from platforms import Telegram  # noqa: E402


def pss_kib(pid):
    with open("/proc/%d/smaps_rollup" % pid) as f:
        return {k: int(v.split()[0]) for k, v in (line.split(":", 1) for line in f if ":" in line and "kB" in line)}


def ms(line):
    return time.mktime(time.strptime(line["ts"][:19], "%Y-%m-%dT%H:%M:%S")) * 1000 + int(line["ts"][20:23])


def pid_of(c):
    fleet = c.ask("status").get("fleet") or {"processes": []}
    return next((x["pid"] for x in fleet["processes"] if x.get("channel") and x["state"] == "up"), 0)


def starts(g, c, n=10):
    """From the death of the process to the next connection, and from its cage to the connection."""
    whole, inner = [], []
    for _ in range(n):
        began, pid = len(g.lines), until(lambda: pid_of(c), "it runs", 60)
        killed = time.time() * 1000
        os.kill(pid, 9)
        up = g.wait_log(lambda l: l["event"] == "channel.up", "it is back", 60, began)
        cage = [l for l in g.lines[began:] if l["event"] == "worker.sandbox"][-1]
        whole.append(ms(up) - killed + (time.timezone and 0))
        inner.append(ms(up) - ms(cage))
        until(lambda: pid_of(c) not in (0, pid), "it is told of", 60)
        time.sleep(1)
    return whole, inner


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    args.add_argument("--build", default=os.path.join(HERE, "..", "..", "build"))
    args.add_argument("--rate", type=int, default=100)
    args.add_argument("--seconds", type=int, default=10)
    opt = args.parse_args()
    os.environ["TZ"] = "UTC"
    time.tzset()
    folder = tempfile.mkdtemp(prefix="bench-")
    os.chmod(folder, 0o711)
    fake, p = Fake(folder), Telegram(folder)
    config = config_for(fake.url)
    config["agents"]["defaults"]["model"]["primary"] = "demo/demo-1"
    config["channels"] = {"telegram": p.section(groupPolicy="open")}
    g = Gateway(os.path.abspath(opt.build), folder, config)
    g.start()
    c = g.client()
    print("load %.1f" % os.getloadavg()[0])
    whole, inner = starts(g, c)
    print("killed to connected: median %.0f ms, most %.0f; cage to connected: median %.0f ms, most %.0f" %
          (statistics.median(whole), max(whole), statistics.median(inner), max(inner)))
    time.sleep(3)
    m = pss_kib(pid_of(c))
    print("at rest: PSS %d KiB (anonymous %d)" % (m["Pss"], m["Pss_Anon"]))
    n, began = opt.rate * opt.seconds, time.monotonic()
    group = {"id": -5, "type": "supergroup", "title": "g"}  # not named: kept as context, so that the agent is not what is measured
    late = 0
    for i in range(n):
        wait = began + i / opt.rate - time.monotonic()
        time.sleep(max(0, wait))
        late = max(late, -wait)
        p.say("message %d" % i, group)
    said = time.monotonic() - began
    until(lambda: not p.state()["waiting"], "all are taken", 120)
    print("%d messages in %.1f s (%.0f/s; asked for %d/s); all taken %.0f ms after the last one" %
          (n, said, n / said, opt.rate, (time.monotonic() - began - said) * 1000))
    m = pss_kib(pid_of(c))
    print("afterwards: PSS %d KiB" % m["Pss"])
    g.stop()
    fake.stop()
    p.close()
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
