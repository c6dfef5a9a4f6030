#!/usr/bin/env python3
"""Runs every test_* function of tests/it/test_*.py, each in its own process and folder, in parallel.

    run.py --build BUILD [--only TEXT] [-j N] [--keep] [--timeout S]

A test takes one argument, t: t.gateway(...) starts a gateway (and its fake model server), t.fake talks to
that server, t.folder is a temporary folder. After the test each gateway is stopped by SIGTERM and must leave
exit code 0, no process, no zombie and a clean log. A function may carry .params, a list of argument tuples.
"""
import argparse
import concurrent.futures
import faulthandler
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)


def cases():
    out = []
    for name in sorted(os.listdir(HERE)):
        if not (name.startswith("test_") and name.endswith(".py")):
            continue
        module = importlib.import_module(name[:-3])
        for attr in dir(module):
            if attr.startswith("test_"):
                fn = getattr(module, attr)
                for i, args in enumerate(getattr(fn, "params", [()])):
                    label = "%s.%s%s" % (name[5:-3], attr[5:], "[%s]" % ",".join(map(str, args))[:60] if args else "")
                    out.append((label, "%s:%s:%d" % (name[:-3], attr, i)))
    return out


class Env:
    def __init__(self, build, folder):
        self.build, self.folder = build, folder
        self.gateways = []
        self._fake = None

    @property
    def fake(self):
        if self._fake is None:
            from gateway import Fake
            self._fake = Fake(self.folder)
        return self._fake

    def new_gateway(self, config=None, **gateway):
        """Not started yet. Keywords go into the configuration's gateway section."""
        from gateway import Gateway, config_for
        folder = os.path.join(self.folder, "g%d" % len(self.gateways))
        os.makedirs(folder)
        g = Gateway(self.build, folder, config if config is not None else config_for(self.fake.url, **gateway))
        self.gateways.append(g)
        return g

    def gateway(self, config=None, **gateway):
        return self.new_gateway(config, **gateway).start()

    def finish(self):
        for g in self.gateways:
            g.stop()

    def clean(self):
        for g in self.gateways:
            g.kill_leftovers()
        if self._fake:
            self._fake.stop()


def run_one(spec, build, folder, timeout):
    from gateway import become_subreaper
    become_subreaper()
    faulthandler.dump_traceback_later(max(1, timeout - 3))  # says where a test hangs
    module, attr, i = spec.split(":")
    fn = getattr(importlib.import_module(module), attr)
    args = getattr(fn, "params", [()])[int(i)]
    env = Env(build, folder)
    try:
        fn(env, *args)
        env.finish()
        return 0
    except BaseException:
        traceback.print_exc()
        for n, g in enumerate(env.gateways):
            with open(os.path.join(folder, "gateway-%d.log" % n), "w") as f:
                f.write("\n".join(g.raw) + "\n")
            sys.stderr.write("--- last log lines of gateway %d\n%s\n" % (n, "\n".join(g.raw[-12:])))
        return 1
    finally:
        env.clean()


AGAIN_MAX = 3  # more failures than that are no noise


def run_child(label, spec, opt, root):
    folder = os.path.join(root, label.replace("/", "_"))
    os.makedirs(folder)
    began = time.monotonic()
    argv = [sys.executable, os.path.abspath(__file__), "--build", opt.build, "--one", spec, "--folder", folder,
            "--timeout", str(opt.timeout)]
    p = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        out = p.communicate(timeout=opt.timeout)[0]
    except subprocess.TimeoutExpired:
        os.killpg(p.pid, 9)  # the test and everything it started
        out = p.communicate()[0] + b"\ntest took too long\n"
    return label, p.returncode == 0, time.monotonic() - began, out.decode("utf-8", "replace")


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    args.add_argument("--build", default=os.path.join(HERE, "..", "..", "build"))
    args.add_argument("--only", default="")
    args.add_argument("-j", type=int, default=max(2, 2 * (os.cpu_count() or 1)))
    args.add_argument("--keep", action="store_true", help="keep the folders of passed tests, too")
    args.add_argument("--timeout", type=float, default=120)
    args.add_argument("--one", help=argparse.SUPPRESS)
    args.add_argument("--folder", help=argparse.SUPPRESS)
    opt = args.parse_args()
    opt.build = os.path.abspath(opt.build)
    if opt.one:
        sys.exit(run_one(opt.one, opt.build, opt.folder, opt.timeout))
    chosen = [c for c in cases() if opt.only in c[0]]
    if not os.access(os.path.join(opt.build, "openclawd"), os.X_OK):
        sys.exit("no %s/openclawd" % opt.build)
    root = tempfile.mkdtemp(prefix="it-")
    failed, again, spec_of, found = 0, [], dict(chosen), False
    with concurrent.futures.ThreadPoolExecutor(opt.j) as pool:
        for done in concurrent.futures.as_completed([pool.submit(run_child, *c, opt, root) for c in chosen]):
            label, ok, took, out = done.result()
            failed += not ok
            if not ok:
                again.append((label, spec_of[label]))
                found = found or any(word in out for word in ("AddressSanitizer", "runtime error:", "LeakSanitizer"))
            print("%s %s (%.1f s)" % ("ok   " if ok else "FAIL ", label, took), flush=True)
            if ok and out.startswith("skipped: "):
                print("      " + out.split("\n")[0], flush=True)
            if not ok:
                print("".join("      %s\n" % line for line in out.rstrip().split("\n")[-40:]), flush=True)
            elif not opt.keep:
                shutil.rmtree(os.path.join(root, label.replace("/", "_")), ignore_errors=True)
    # The machine is shared: what failed beside many others is tried once more alone, and said so. A fault that is there fails again;
    # what a sanitizer found is never noise.
    for label, spec in again if len(again) <= AGAIN_MAX and not found else []:
        _, ok, took, out = run_child(label + " again", spec, opt, root)
        failed -= ok
        print("%s %s, alone (%.1f s)%s" % ("ok   " if ok else "FAIL ", label, took,
              ": it failed once beside others, see above" if ok else "\n" + out), flush=True)
    if not again and not opt.keep:
        shutil.rmtree(root, ignore_errors=True)
    elif again:
        print("folders of the failed tests: %s" % root)
    print("%d passed, %d failed" % (len(chosen) - failed, failed))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
