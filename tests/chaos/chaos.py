#!/usr/bin/env python3
"""Kill workers under load; lose nothing that was acknowledged, do nothing twice. See README.md.

    chaos run    [--build DIR] [--seed N] [--seconds N] [--rate N] [--nemesis kill,all,...] [--gap S] [--out DIR]
    chaos check  DIR           PASS or FAIL per invariant; the last line: N passed, N failed
    chaos shrink DIR           the schedule with halves left out, as long as it still fails
    chaos points --build build-faults --out DIR    dies at every write, flush and message of a scripted run
    chaos recover [--sessions 10000] [--kills 40] --out DIR    how long until something serves again
    chaos self-test            the checker on the records of a fake gateway that breaks one promise at a time
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "it"))
import check  # noqa: E402
import final  # noqa: E402
import iolog  # noqa: E402
import schedule  # noqa: E402
from nemesis import Nemesis  # noqa: E402
from tree import TOKEN, Tree, become_subreaper, free_port, memory_of, until  # noqa: E402
from workload import HOOK_TOKEN, WEIGHTS  # noqa: E402

now = time.monotonic
DRAIN_S = 30  # shared promise: after the last fault everything is worked off within this
PROVIDER = {"apiKey": "${MOCK_KEY}", "api": "openai-completions", "models": [{"id": "mock-1", "name": "Mock"}]}


def config_of(opt, model, platforms):
    return {
        "gateway": {"mode": "local", "bind": "loopback", "auth": {"mode": "token"},
                    "workers": {"fronts": opt.fronts, "agents": opt.agents}},
        "agents": {"defaults": {"model": {"primary": "mock/mock-1", "fallbacks": []}, "maxConcurrent": 96, "timeoutSeconds": 60}},
        "models": {"retry": {"minDelayMs": 20, "maxDelayMs": 200, "maxRetryAfterMs": 2000},
                   "providers": {"mock": dict(PROVIDER, baseUrl=model + "/v1")}},
        "session": {"dmScope": "per-channel-peer"},
        "hooks": {"enabled": True, "token": HOOK_TOKEN, "path": "/hooks", "allowRequestSessionKey": True, "allowedSessionKeyPrefixes": ["agent:main:w"]},
        "channels": {"fake": {"accounts": {a: {"folder": p, "clientIds": a.startswith("ids")} for a, p in platforms.items()}}},
        "delivery": {"retry": {"firstDelayMs": 50, "secondDelayMs": 100, "thirdDelayMs": 200, "laterDelayMs": 400, "attempts": 10},
                     "answerTimeoutMs": 5000, "maxQueued": 100000, "ttlMs": int(opt.ttl * 1000)},
    }


def names_of(opt):
    return (["hub 0"] + ["front %d" % i for i in range(opt.fronts)] + ["agent %d" % i for i in range(opt.agents)] +
            ["channel-fake %s" % a for a in accounts(opt)])


def accounts(opt):
    half = opt.accounts // 2
    return ["ids%d" % i for i in range(opt.accounts - half)] + ["no%d" % i for i in range(half)]


def start_model(opt, folder):
    port_file = os.path.join(folder, "model.port")
    p = subprocess.Popen([sys.executable, os.path.join(HERE, "model.py"), "--port-file", port_file, "--log",
                          os.path.join(folder, "model.jsonl"), "--seed", str(opt.seed), "--max-delay-ms", str(opt.model_ms)])
    until(lambda: os.path.exists(port_file) and os.path.getsize(port_file), 20, 0.01)
    with open(port_file) as f:
        return p, "http://127.0.0.1:%d" % int(f.read())


def wait_drained(port, limit=DRAIN_S):
    """(seconds until nothing is under way, what is left)."""
    began, left = now(), None
    while now() - began < limit + 30:
        try:
            a = final.Asker(port, TOKEN)
            left = final.under_way(a)
            a.close()
            if not any(left.values()):
                break
        except OSError as e:
            left = {"error": str(e)}
        time.sleep(0.1)
    return round(now() - began, 2), left


def dump(folder, name, doc):
    with open(os.path.join(folder, name), "w") as f:
        json.dump(doc, f)


def table_of(tree):
    rows = dict(tree.workers(), supervisor=tree.pid)
    return {n: memory_of(p) for n, p in rows.items()}


def run(opt):
    folder = os.path.abspath(opt.out)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    os.chmod(folder, 0o711)
    become_subreaper()
    platforms = {a: os.path.join(folder, "platform-" + a) for a in accounts(opt)}
    for p in platforms.values():
        os.makedirs(p)
        os.chmod(p, 0o777)  # started by root, channels run under a uid of their own
    model, url = start_model(opt, folder)
    tree = Tree(os.path.abspath(opt.build), folder, config_of(opt, url, platforms), free_port())
    plan = json.load(open(opt.schedule)) if opt.schedule else \
        schedule.draw(opt.seed, opt.seconds, names_of(opt), opt.nemesis.split(","), opt.gap)
    with open(os.path.join(folder, "schedule.jsonl"), "w") as f:
        f.writelines(json.dumps(row) + "\n" for row in plan)
    procs = [model]
    try:
        conf = {"seed": opt.seed, "seconds": opt.seconds, "rate": opt.rate, "clients": opt.clients, "port": tree.port, "token": TOKEN,
                "platforms": platforms, "model": url, "weights": WEIGHTS, "ttl_s": opt.ttl, "options": vars(opt)}
        if "power" in opt.nemesis.split(","):
            tree.more_env["FAULT_IOLOG"] = iolog.begin(os.path.join(tree.state, "store"), os.path.join(folder, "iolog"))
        first_start = tree.start()
        time.sleep(0.5)
        conf["t0"] = now() + 1.5
        with open(os.path.join(opt.build, "openclawd"), "rb") as f:
            conf["sanitized"] = b"__asan_init" in f.read()
        conf["load_before"] = os.getloadavg()[0]
        dump(folder, "run.json", conf)
        before = table_of(tree)
        watcher = subprocess.Popen([sys.executable, os.path.join(HERE, "watcher.py"), folder, str(opt.seconds * 3 + 600)])
        driver = subprocess.Popen([sys.executable, os.path.join(HERE, "workload.py"), folder], stdout=subprocess.PIPE)
        procs += [watcher, driver]
        nemesis = Nemesis(folder, conf, tree, plan)
        nemesis.control({"mode": "none"})
        nemesis.run()
        print("driver: %s" % driver.communicate(timeout=opt.seconds + 120)[0].decode().strip(), flush=True)
        nemesis.close()
        open(os.path.join(folder, "watch.stop"), "w").close()
        watcher.wait()
        drained_s, left = wait_drained(tree.port)
        dump(folder, "final-live.json", final.read(tree.port, TOKEN))
        after = table_of(tree)
        stopped = tree.stop()
        started = tree.start()
        drained2, left2 = wait_drained(tree.port)
        dump(folder, "final-again.json", final.read(tree.port, TOKEN))
        dump(folder, "end.json", {"drained_s": drained_s, "left": left, "drained_again_s": drained2, "left_again": left2, "stop_code": stopped,
                                  "first_start_ms": first_start, "start_ms": started, "before": before, "after": after,
                                  "load_after": os.getloadavg()[0]})
        tree.stop()
    finally:
        tree.end()
        for p in procs:
            if p.poll() is None:
                p.kill()
                p.wait()
    return check.main(folder)


def options():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0], formatter_class=argparse.RawDescriptionHelpFormatter,
                                epilog=__doc__.split("\n", 2)[2])
    p.add_argument("command", choices=("run", "check", "shrink", "points", "recover", "self-test"))
    p.add_argument("folder", nargs="?")
    p.add_argument("--out", metavar="DIR", help="for the records; without it they are kept only when something failed")
    p.add_argument("--build", default=os.path.join(HERE, "..", "..", "build"))
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--seconds", type=float, default=30)
    p.add_argument("--rate", type=float, default=400, help="operations a second, open loop")
    p.add_argument("--clients", type=int, default=32)
    p.add_argument("--nemesis", default="kill,all", help="groups of faults: " + " ".join(schedule.GROUPS))
    p.add_argument("--gap", type=float, default=0.25, help="mean seconds between faults")
    p.add_argument("--fronts", type=int, default=2)
    p.add_argument("--agents", type=int, default=4)
    p.add_argument("--accounts", type=int, default=8)
    p.add_argument("--model-ms", type=float, default=200, help="an answer takes 0 to this")
    p.add_argument("--ttl", type=float, default=60, help="seconds that a delivery may live")
    p.add_argument("--slack", type=float, default=1, help="how much slower than promised this machine may be")
    p.add_argument("--lying-disk", action="store_true", help="power cuts lose what was flushed: I1 must fail, or the judge is blind")
    p.add_argument("--only", help="points: PROGRAM:CALL")
    p.add_argument("--sessions", type=int, default=10000, help="recover: so many are in the store")
    p.add_argument("--kills", type=int, default=40, help="recover: of each worker")
    p.add_argument("--stride", type=int, default=1, help="points: every N-th")
    p.add_argument("--schedule", help="a schedule to replay instead of drawing one")
    return p.parse_args()


def main():
    opt = options()
    opt.out = opt.out or (opt.folder if opt.command not in ("check", "shrink") else None)
    temporary = None
    if not opt.out and opt.command in ("run", "points", "recover"):
        opt.out = temporary = tempfile.mkdtemp(prefix="chaos-")
    try:
        failed = commands(opt)
    except BaseException:
        print("the records are in %s" % opt.out)
        raise
    if temporary and not failed:
        shutil.rmtree(temporary)
    elif temporary:
        print("the records are in %s" % temporary)
    return failed


def commands(opt):
    if opt.command == "run":
        return run(opt)
    if opt.command == "check":
        return check.main(opt.folder or sys.exit("chaos check: which folder?"))
    if opt.command == "shrink":
        import shrink
        return shrink.main(opt.folder or sys.exit("chaos shrink: which folder?"))
    if opt.command in ("points", "recover"):
        return __import__(opt.command).main(opt)
    import selftest
    return selftest.main()


if __name__ == "__main__":
    sys.exit(main())
