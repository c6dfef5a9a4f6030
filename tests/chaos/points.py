"""Crash points, all of them: a program dies before or behind its n-th write, flush or message, for every n of a scripted run.

    chaos points [--build build-faults] [--only hub:fsync] [--stride N] --out DIR

A run without a crash counts how often each program makes each call; then, for each point and each n, a fresh gateway does
the script, dies there once, goes on, is stopped and started, and its records are judged like those of any run.
"""
import json
import os
import shutil
import sys
import threading
import time

import check
import final
from chaos import accounts, config_of, dump, start_model, table_of, wait_drained
from fault import CALLS, HITS, Page, built_with_faults
from script import Script
from tree import TOKEN, Tree, become_subreaper, free_port

POINTS = [("hub", "write"), ("hub", "fsync"), ("hub", "send"), ("agent", "send"), ("front", "send"), ("channel", "send"),
          ("channel", "write"), ("supervisor", "send"), ("supervisor", "rename"), ("supervisor", "fork")]
WHEN = {"before": 1, "behind": 2}


class One:
    def __init__(self, opt, model):
        self.opt, self.model = opt, model
        self.folder = os.path.join(os.path.abspath(opt.out), "one")

    def run(self, program=None, call=None, n=0, when="before"):
        """(died there, what the judge found, page) of one run."""
        folder = self.folder
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        os.chmod(folder, 0o711)
        platforms = {a: os.path.join(folder, "platform-" + a) for a in accounts(self.opt)}
        for p in platforms.values():
            os.makedirs(p)
            os.chmod(p, 0o777)
        tree = Tree(os.path.abspath(self.opt.build), folder, config_of(self.opt, self.model, platforms), free_port())
        page = Page(folder)
        tree.more_env["FAULT_PAGE"] = page.path
        if program:
            page.arm(program, call, n, action=WHEN[when])
        try:
            self.start(tree)
            dump(folder, "run.json", {"seed": 1, "seconds": 1, "t0": time.monotonic(), "ttl_s": 60, "platforms": platforms, "options": {"slack": 20}})
            script = Script(folder, tree.port, platforms)
            before = table_of(tree)
            self.guard(tree, script.run)
            drained, left = self.guard(tree, lambda: wait_drained(tree.port))
            dump(folder, "final-live.json", self.read(tree))
            if tree.proc.poll() is not None:
                self.start(tree)
            stop = tree.stop()
            page.disarm() if not program else None
            self.start(tree)
            again, left2 = self.guard(tree, lambda: wait_drained(tree.port))
            dump(folder, "final-again.json", self.read(tree))
            # one that died while it was asked to stop did what it was told to
            dump(folder, "end.json", {"drained_s": drained, "left": left, "drained_again_s": again, "left_again": left2,
                                      "stop_code": 0 if program else stop, "before": before, "after": before, "load_after": 0})
            if program in ("channel", "supervisor"):  # what was in the hands of a channel's process is in doubt; no other death is a cause
                with open(os.path.join(folder, "faults.jsonl"), "w") as f:
                    f.writelines(json.dumps({"t": time.monotonic(), "fault": "point", "who": "channel-fake " + a}) + "\n" for a in platforms)
            tree.stop()
        finally:
            tree.end()
        died = page.get(HITS) > 0
        failed = [(name, bad) for name, _w, v, _s, bad in check.judge(folder)[1] if v == "FAIL"]
        return died, failed, page

    def start(self, tree):
        for _ in range(5):  # the point may lie in the start itself
            try:
                tree.start()
                return
            except RuntimeError:
                tree.proc.wait()
        raise RuntimeError("does not start")

    def read(self, tree):
        """The final state; the point may lie in the reading."""
        for _ in range(5):
            try:
                return final.read(tree.port, TOKEN)
            except OSError as e:
                why = e
                if tree.proc.poll() is not None:
                    self.start(tree)
                time.sleep(0.1)
        raise why

    def guard(self, tree, work):
        """Does the work; a tree that ended with its supervisor is started again."""
        done = threading.Event()

        def again():
            while not done.is_set():
                if tree.proc.poll() is not None and not done.is_set():
                    self.start(tree)
                done.wait(0.01)
        t = threading.Thread(target=again, daemon=True)
        t.start()
        try:
            return work()
        finally:
            done.set()
            t.join()


def main(opt):
    if not built_with_faults(opt.build):
        sys.exit("chaos points: %s is no build with -Dfaults=true" % opt.build)
    os.makedirs(opt.out, exist_ok=True)
    become_subreaper()
    opt.accounts, opt.fronts, opt.agents, opt.model_ms = 2, 1, 1, 0  # one platform that knows ids of ours, one that does not
    model, url = start_model(opt, os.path.abspath(opt.out))
    good = bad = 0
    try:
        one = One(opt, url)
        _died, failed, page = one.run()
        assert not failed, "the script fails without a crash: %r" % failed
        counts = {(p, c): page.counts(p)[c] for p, c in POINTS}
        for (program, call), total in counts.items():
            if opt.only and opt.only not in "%s:%s" % (program, call):
                continue
            for when in WHEN:
                hit = wrong = 0
                for n in range(1, total + 1, opt.stride):
                    try:
                        died, failed, _ = one.run(program, call, n, when)
                    except (RuntimeError, OSError, AssertionError) as e:
                        died, failed = True, [("I12", [(None, "%s: %s" % (type(e).__name__, e))])]
                    hit += died
                    if failed:
                        wrong += 1
                        keep = os.path.join(opt.out, "%s-%s-%s-%d" % (program, call, when, n))
                        shutil.rmtree(keep, ignore_errors=True)
                        shutil.copytree(one.folder, keep)
                        print("FAIL %s:%s:%d %s: %s" % (program, call, n, when, json.dumps(
                            {name: [w for _t, w in rows[:2]] for name, rows in failed})[:600]), flush=True)
                good, bad = good + hit - wrong, bad + wrong
                print("%s %s %s: %d passes, %d crashes, %d violations" % (program, call, when, total, hit, wrong), flush=True)
    finally:
        model.kill()
        model.wait()
    print("%d passed, %d failed" % (good, bad))
    return 1 if bad else 0


assert all(c in CALLS for _p, c in POINTS)
