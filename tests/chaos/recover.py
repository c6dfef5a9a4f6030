"""How long until something serves again: chaos recover [--sessions 10000] [--kills 40] --out DIR

A quiet gateway with that many sessions; one kill at a time, far enough apart that the supervisor does not back off; a probe
that needs the killed worker is timed from the kill to its success. Then the whole tree, and a worker that hangs.
"""
import json
import os
import shutil
import time

import process_invariants as proc
from chaos import accounts, config_of, dump, names_of, start_model
from final import Asker
from nemesis import Nemesis
from records import lines
from tree import TOKEN, Tree, become_subreaper, free_port

AIMS = {"front": 50, "hub": 100, "agent": 50, "channel": 200, "all": 500, "supervisor": 500}
BATCH, ENTRIES = 64, 20


def entry(i, k):
    role = "user" if k % 2 == 0 else "assistant"
    text = {"role": role, "content": "line %d of %d: something that was said" % (k, i), "timestamp": 1700000000000 + k,
            "__openclaw": {"id": "s%dm%d" % (i, k)}}
    return {"id": "s%dm%d" % (i, k), "role": role, "ts": 1700000000000 + k, "text": json.dumps(text)}


def fill(port, count, entries):
    a = Asker(port, TOKEN)
    for at in range(0, count, BATCH):
        got = a.many([("import.session", {
            "session": {"key": "agent:main:old%d" % i, "sessionId": "id-%d" % i, "updatedAt": 1700000000000 + i, "displayName": "Old %d" % i},
            "messages": [entry(i, k) for k in range(entries)]}) for i in range(at, min(at + BATCH, count))])
        assert all(d["ok"] and d["payload"]["ok"] for d in got), got[0]
    page = a.ask("sessions.list", {"limit": 1, "offset": count - 1})
    a.close()
    assert len(page["sessions"]) == 1, page


def main(opt):
    folder = os.path.abspath(opt.out)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    os.chmod(folder, 0o711)
    become_subreaper()
    opt.fronts, opt.agents, opt.accounts = 1, 1, 1
    platforms = {a: os.path.join(folder, "platform-" + a) for a in accounts(opt)}
    for p in platforms.values():
        os.makedirs(p)
        os.chmod(p, 0o777)
    model, url = start_model(opt, folder)
    tree = Tree(os.path.abspath(opt.build), folder, config_of(opt, url, platforms), free_port())
    try:
        tree.start()
        conf = {"seed": opt.seed, "seconds": 1e9, "t0": time.monotonic(), "platforms": platforms, "model": url}
        dump(folder, "run.json", dict(conf, options={"slack": opt.slack}))
        fill(tree.port, opt.sessions, ENTRIES)
        print("%d sessions of %d messages; load average %.1f" % (opt.sessions, ENTRIES, os.getloadavg()[0]), flush=True)
        n = Nemesis(folder, conf, tree, [])
        for i in range(opt.kills):
            for who in names_of(opt):
                n.do_kill({"who": who, "sig": "KILL" if i % 4 else "SEGV", "moment": "any"})
            time.sleep(2.7)  # five deaths in ten seconds are one too many
        for _ in range(max(3, opt.kills // 4)):
            n.do_all({})
            n.do_supervisor({})
        for who in names_of(opt):
            n.do_hang({"who": who})
        n.close()
        tree.stop()
    finally:
        tree.end()
        model.kill()
        model.wait()

    class Rows:
        faults = list(lines(os.path.join(folder, "faults.jsonl")))
    table, never = proc.recovery(Rows)
    missed = len(never)
    for kind, q in table.items():
        aim = 5000 if kind.startswith("hung") else AIMS.get(kind)
        miss = aim and q["p99"] > aim * opt.slack
        missed += bool(miss)
        print("%-16s p50 %7.1f  p99 %7.1f  max %7.1f ms of %3d   aim %s%s" % (kind, q["p50"], q["p99"], q["max"], q["n"], aim, "   MISS" if miss else ""))
    print("load average %.1f" % os.getloadavg()[0])
    return 1 if missed else 0

