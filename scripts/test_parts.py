"""The parts of scripts/test: builds with two compilers and with sanitizers, and everything that runs on them.

One build and one test run go on at the same time: builds in their order, each run when its build is there.
"""
import glob
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OUT = os.path.join(ROOT, "build-test")
LOGS = os.path.join(OUT, "logs")
LIMIT_S = int(os.environ.get("OPENCLAW_TEST_LIMIT_S", "2700"))
NODE = "tests/conformance/node_modules/node/bin/node"
TAIL = 60

# name: (CC, meson options)
BUILDS = {
    "gcc": ("gcc", ["--buildtype=release", "-Dwerror=true"]),
    # without -Werror: with sanitizers gcc warns of null pointers that its own checks have brought in
    "san": ("gcc", ["--buildtype=debugoptimized", "-Db_sanitize=address,undefined"]),
    "clang": ("clang", ["--buildtype=release", "-Dwerror=true"]),
    "faults": ("gcc", ["--buildtype=release", "-Dwerror=true", "-Dfaults=true"]),  # the C library fails on demand
}
SAN_ENV = {"ASAN_OPTIONS": "abort_on_error=0:exitcode=66:detect_stack_use_after_return=1",
           "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"}


def folder(build):
    return os.path.join(OUT, build)


def served(build, *command):
    return [sys.executable, "tests/it/serve.py", "--build", folder(build), "--may-stop", "--", *command]


def meson(build):
    return ["meson", "test", "-C", folder(build), "--no-rebuild", "--print-errorlogs", "--num-processes",
            str(os.cpu_count() or 1)]


# name, build it needs, command, more environment; in the order in which they run
PARTS = [
    ("check", None, [sys.executable, "scripts/check"], {}),
    ("unit and corpora, gcc", "gcc", meson("gcc"), {}),
    ("official client", "gcc", served("gcc", NODE, "tests/conformance/run.mjs"), {}),
    ("OpenAI's package", "gcc", served("gcc", NODE, "tests/conformance/openai.mjs"), {}),
    ("fake Telegram", None, [NODE, "tests/conformance/telegram.mjs"], {}),
    ("captured conversations", "gcc", served("gcc", NODE, "tests/conformance/replay.mjs"), {}),
    ("control page in chromium", "gcc", served("gcc", NODE, "tests/browser/run.mjs"), {"BROWSER_SHOTS": os.path.join(OUT, "browser")}),
    ("control page in chromium, over TLS", "gcc", [sys.executable, "tests/it/serve.py", "--build", folder("gcc"), "--tls", "--", NODE,
                                                   "tests/browser/run.mjs"], {}),
    ("integration, release", "gcc", [sys.executable, "tests/it/run.py", "--build", folder("gcc")], {}),
    ("system calls that are used", "gcc", [sys.executable, "scripts/syscalls", "--smoke", "--build", folder("gcc")], {}),
    # times are the machine's: here only what was lost, doubled, left behind counts
    ("chaos, the judge", None, [sys.executable, "tests/chaos/chaos.py", "self-test"], {}),
    ("chaos, 20 s of kills", "gcc", [sys.executable, "tests/chaos/chaos.py", "run", "--build", folder("gcc"), "--seconds", "20",
                                     "--rate", "150", "--nemesis", "kill,all,reload", "--slack", "50"], {}),
    ("unit and corpora, sanitizers", "san", meson("san"), SAN_ENV),
    ("integration, sanitizers", "san", [sys.executable, "tests/it/run.py", "--build", folder("san")], SAN_ENV),
    ("unit and corpora, clang", "clang", meson("clang"), {}),
    ("failures", "faults", [sys.executable, "tests/it/run.py", "--build", folder("faults"), "--only", "fault."], {}),
    ("an hour without a platform", "faults", [sys.executable, "tests/it/run.py", "--build", folder("faults"), "--only", "outage."], {}),
]

began = time.monotonic()
lock = threading.Lock()
running = {}  # name: process
ended = threading.Event()  # the watchdog struck


def say(text):
    with lock:
        print("[%4d s] %s" % (time.monotonic() - began, text), flush=True)


def log_of(name):
    return os.path.join(LOGS, re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") + ".log")


def command(name, argv, env, mode="w"):
    """Runs argv in a process group of its own; returns the exit code, or None when the watchdog ended it."""
    with open(log_of(name), mode) as log:
        log.write("$ %s\n" % " ".join(argv))
        log.flush()
        if ended.is_set():
            return None
        p = subprocess.Popen(argv, cwd=ROOT, env=dict(os.environ, **env), stdin=subprocess.DEVNULL, stdout=log,
                             stderr=subprocess.STDOUT, start_new_session=True)
        with lock:
            running[name] = p
        code = p.wait()
        with lock:
            running.pop(name, None)
    return None if ended.is_set() else code


def show_tail(name):
    with open(log_of(name), errors="replace") as f:
        lines = f.read().rstrip().split("\n")
    with lock:
        print("".join("    | %s\n" % line for line in lines[-TAIL:]) + "    (all of it: %s)" %
              os.path.relpath(log_of(name), ROOT), flush=True)


def counts_of_meson(build):
    """Checks of the Check suites; a program without such a count (a corpus) is one."""
    good = bad = 0
    names = glob.glob(os.path.join(folder(build), "meson-logs", "testlog.json"))
    with open(names[0]) as f:
        for line in f:
            t = json.loads(line)
            found = re.findall(r"Checks: (\d+), Failures: (\d+), Errors: (\d+)", t.get("stdout", "") or "")
            if t["result"] not in ("OK", "EXPECTEDFAIL", "SKIP") and not any(int(f) + int(e) for _, f, e in found):
                bad += 1
            for checks, failures, errors in found or [("1", "0", "0")] * (t["result"] == "OK"):
                good += int(checks) - int(failures) - int(errors)
                bad += int(failures) + int(errors)
    return good, bad


def counts_of(name, argv, code):
    good = bad = 0
    try:
        if argv[:2] == ["meson", "test"]:
            good, bad = counts_of_meson(os.path.basename(argv[3]))
        else:
            with open(log_of(name), errors="replace") as f:
                found = re.findall(r"^(\d+) passed, (\d+) failed", f.read(), re.M)
            good, bad = map(int, found[-1])
    except (OSError, ValueError, IndexError):
        pass
    if code != 0 and bad == 0:
        bad = 1  # it failed and could not say how often
    return good, bad


class Results:
    def __init__(self):
        self.good = self.bad = 0
        self.failed = []

    def add(self, name, good, bad, took):
        with lock:
            self.good += good
            self.bad += bad
            if bad:
                self.failed.append(name)
        say("%s: %d passed, %d failed, %d s" % (name, good, bad, took))


def build_all(names, done, results):
    for name in names:
        label = "build, " + name
        cc, options = BUILDS[name]
        say(label)
        at = time.monotonic()
        code = 0
        if not os.path.exists(os.path.join(folder(name), "build.ninja")):
            code = command(label, ["meson", "setup", folder(name), *options], {"CC": cc})
        if code == 0:
            code = command(label, ["ninja", "-C", folder(name)], {}, "a")
        results.add(label, int(code == 0), int(code != 0), time.monotonic() - at)
        if code != 0 and not ended.is_set():
            show_tail(label)
        done[name].ok = code == 0
        done[name].set()


def run_all(parts, done, results):
    for name, build, argv, env in parts:
        if build:
            done[build].wait()
            if not done[build].ok:
                results.add(name + " (no build)", 0, 1, 0)
                continue
        say(name)
        at = time.monotonic()
        code = command(name, argv, env)
        results.add(name, *counts_of(name, argv, code), time.monotonic() - at)
        if code != 0 and not ended.is_set():
            show_tail(name)


def watchdog():
    """A part that hangs ends the run in a failure that names it, not in the silence of CI's own limit."""
    ended.set()
    with lock:
        stuck = dict(running)
    for name, p in stuck.items():
        say("%s: still running after %d s: ended" % (name, LIMIT_S))
        show_tail(name)
        subprocess.run(["ps", "-o", "pid,ppid,stat,wchan:20,etime,args", "-g", str(p.pid)])
        try:
            os.killpg(p.pid, signal.SIGKILL)
        except OSError:
            pass


def on_signal(signo, _frame):
    """Asked to stop: what was started ends, too."""
    ended.set()
    for p in list(running.values()):
        try:
            os.killpg(p.pid, signal.SIGKILL)
        except OSError:
            pass
    os._exit(128 + signo)


def main():
    wanted = sys.argv[1:]
    if wanted == ["--list"]:
        print("\n".join("%-30s %s" % (p[0], "build-test/" + p[1] if p[1] else "") for p in PARTS))
        return 0
    parts = [p for p in PARTS if not wanted or any(w in p[0] for w in wanted)]
    if not parts:
        print("no such part: %s (--list shows them)" % " ".join(wanted))
        return 2
    os.makedirs(LOGS, exist_ok=True)
    results = Results()
    builds = [b for b in BUILDS if any(p[1] == b for p in parts)]
    done = {b: threading.Event() for b in builds}
    threads = [threading.Thread(target=build_all, args=(builds, done, results), daemon=True),
               threading.Thread(target=run_all, args=(parts, done, results), daemon=True)]
    timer = threading.Timer(LIMIT_S, watchdog)
    timer.daemon = True
    timer.start()
    for signo in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(signo, on_signal)
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    timer.cancel()
    if results.failed:
        say("failed: " + "; ".join(results.failed))
    say("all parts done")
    print("%d passed, %d failed" % (results.good, results.bad), flush=True)
    return 1 if results.bad or ended.is_set() else 0


if __name__ == "__main__":
    sys.exit(main())
