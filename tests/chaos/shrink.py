"""Makes a failing schedule small: replays it with parts left out as long as the same invariants fail."""
import json
import os
import subprocess
import sys

import check

HERE = os.path.dirname(os.path.abspath(__file__))


def failing(folder):
    return {name for name, _what, verdict, _s, _b in check.judge(folder)[1] if verdict == "FAIL"}


class Replay:
    def __init__(self, folder, wanted):
        self.folder, self.wanted, self.count = folder, wanted, 0
        with open(os.path.join(folder, "run.json")) as f:
            self.options = json.load(f)["options"]

    def fails(self, rows):
        """Does this schedule fail what the original failed?"""
        self.count += 1
        out = os.path.join(self.folder, "shrink")
        plan = os.path.join(self.folder, "shrink.json")
        with open(plan, "w") as f:
            json.dump([dict(r, i=i) for i, r in enumerate(rows)], f)
        o = self.options
        seconds = min(o["seconds"], (max(r["at"] for r in rows) if rows else 1) + 3)
        argv = [sys.executable, os.path.join(HERE, "chaos.py"), "run", "--out", out, "--schedule", plan]
        for name in ("build", "seed", "rate", "clients", "fronts", "agents", "accounts", "model_ms", "ttl", "slack"):
            argv += ["--" + name.replace("_", "-"), str(o[name])]
        argv += ["--lying-disk"] * bool(o.get("lying_disk")) + ["--nemesis", o["nemesis"]]
        subprocess.run(argv + ["--seconds", str(seconds)], stdout=subprocess.DEVNULL)
        got = failing(out) & self.wanted
        print("%d faults: %s" % (len(rows), " ".join(sorted(got)) or "holds"), flush=True)
        return bool(got)


def main(folder):
    wanted = failing(folder)
    if not wanted:
        print("nothing failed here: nothing to shrink")
        return 0
    with open(os.path.join(folder, "schedule.jsonl")) as f:
        rows = [json.loads(line) for line in f]
    print("%d faults fail %s" % (len(rows), " ".join(sorted(wanted))))
    replay, parts = Replay(folder, wanted), 2
    while len(rows) > 1 and replay.count < 60:
        size = max(1, len(rows) // parts)
        for at in range(0, len(rows), size):
            less = rows[:at] + rows[at + size:]
            if replay.fails(less):
                rows, parts = less, max(2, parts - 1)
                break
        else:
            if size == 1:
                break
            parts = min(len(rows), parts * 2)
    with open(os.path.join(folder, "smallest.json"), "w") as f:
        json.dump(rows, f, indent=1)
    print("%d faults are left, in %s; replay: chaos run --schedule %s" %
          (len(rows), os.path.join(folder, "smallest.json"), os.path.join(folder, "smallest.json")))
    return 1
