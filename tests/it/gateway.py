"""Starts and watches a gateway: real processes, a temporary state folder, everything read from /proc."""
import ctypes
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse

from client import Client, try_connect
from ws import WAIT, Timeout

HERE = os.path.dirname(os.path.abspath(__file__))
FAKE = os.path.join(HERE, "..", "fake", "model.py")
CLASSES = ("front", "hub", "agent", "tool", "cron", "channel", "whois", "fetch", "files", "script")
START = 60  # seconds; a sanitizer build on a busy machine
TOKEN = "test-token-7f3a9c51d2e84b60"


def until(test, what, timeout=WAIT, step=0.005):
    """For what has no event to wait on: /proc, sockets, another process."""
    end = time.monotonic() + timeout
    while True:
        got = test()
        if got:
            return got
        if time.monotonic() > end:
            raise Timeout("timed out waiting until %s" % what)
        time.sleep(step)


def become_subreaper():
    """Orphans of a killed supervisor come to us, so that we see whether they end."""
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def stat_of(pid):
    """(state, ppid, start time) or None."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as f:
            rest = f.read().rsplit(b")", 1)[1].split()
        return rest[0].decode(), int(rest[1]), int(rest[19])
    except (OSError, IndexError):
        return None


def name_of(pid):
    """comm and the first word of the command line."""
    try:
        with open("/proc/%d/comm" % pid) as f:
            comm = f.read().strip()
        with open("/proc/%d/cmdline" % pid, "rb") as f:
            return comm, f.read().split(b"\0")[0].decode("utf-8", "replace")
    except OSError:
        return "", ""


def children_of(pid):
    out = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            st = stat_of(int(entry))
            if st and st[1] == pid:
                out.append(int(entry))
    return out


def class_of(pid):
    comm, arg = name_of(pid)
    for text in (comm, os.path.basename(arg.split(":")[0].split(" ")[0])):
        for c in CLASSES:
            if re.search(r"(^|[-: ])%s($|[-: /\d])" % c, text):
                return c
    return None


def fds_of(pid):
    try:
        return len(os.listdir("/proc/%d/fd" % pid))
    except OSError:
        return -1


class Fake:
    """tests/fake/model.py as a process of our own."""

    def __init__(self, folder):
        self.log = open(os.path.join(folder, "model.log"), "wb")
        self.proc = subprocess.Popen([sys.executable, FAKE], stdout=subprocess.PIPE, stderr=self.log)
        self.port = int(self.proc.stdout.readline().split()[1])
        self.url = "http://127.0.0.1:%d" % self.port

    def call(self, method, path, doc=None, timeout=WAIT + 5):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            c.request(method, path, json.dumps(doc) if doc is not None else None)
            r = c.getresponse()
            return r.status, json.loads(r.read())
        finally:
            c.close()

    def control(self, **plan):
        self.call("POST", "/control", plan)

    def gate(self, name):
        self.call("POST", "/gate", {"name": name})

    def calls(self, prompt):
        return [r for r in self.call("GET", "/log")[1] if prompt in r["prompt"]]

    def wait(self, prompt, state="started", count=1, timeout=WAIT):
        q = urllib.parse.urlencode({"prompt": prompt, "state": state, "count": count, "timeout": timeout})
        status, rows = self.call("GET", "/wait?" + q)
        if status != 200:
            raise Timeout("the model never saw %d x %r %s; saw %r" % (count, prompt, state, rows))
        return rows

    def stop(self):
        self.proc.kill()
        self.proc.wait()
        self.log.close()


def config_for(fake_url, **gateway):
    """The configuration of the real world, with quick retries and a service that is not there."""
    provider = lambda url, **kw: dict({"baseUrl": url, "apiKey": "${MOCK_KEY}", "api": "openai-completions",
                                       "models": [{"id": "mock-1", "name": "Mock"}]}, **kw)
    doc = {"gateway": {"mode": "local", "bind": "loopback", "auth": {"mode": "token"},
                       "http": {"endpoints": {"chatCompletions": {"enabled": True},
                                              "responses": {"enabled": True}}}},
           "agents": {"defaults": {"model": {"primary": "mock/mock-1", "fallbacks": []},
                                   "maxConcurrent": 4, "timeoutSeconds": 600}},
           "models": {"retry": {"minDelayMs": 20, "maxDelayMs": 200},
                      "providers": {"mock": provider(fake_url + "/v1"),
                                    "dead": provider(fake_url + "/v1", models=[{"id": "dead-1", "name": "Dead"}]),
                                    "anthro": provider(fake_url, api="anthropic-messages"),
                                    "nowhere": provider("http://127.0.0.1:1/v1")}}}
    doc["gateway"].update(gateway)
    return doc


class Gateway:
    """One state folder and the fleets that run on it, one after the other."""

    def __init__(self, build, folder, config, token=TOKEN):
        self.build, self.folder, self.token = build, folder, token
        self.asan = ""  # more options for builds with sanitizers
        self.state_dir = os.path.join(folder, "state")
        self.config_path = os.path.join(folder, "openclaw.json")
        self.port = free_port()
        self.lines, self.raw = [], []
        self.cond = threading.Condition()
        self.proc = None
        self.write_config(config)

    def write_config(self, config):
        self.config = config
        with open(self.config_path, "w", opener=lambda p, flags: os.open(p, flags, 0o600)) as f:
            f.write(config if isinstance(config, str) else json.dumps(config, indent=2))

    def env(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith("OPENCLAW_")}
        env.update(MOCK_KEY="mock-key-58cc", HOME=self.folder,
                   ASAN_OPTIONS="abort_on_error=0:exitcode=66" + self.asan, UBSAN_OPTIONS="print_stacktrace=1")
        return env

    def argv(self, *more):
        return [os.path.join(self.build, "openclawd"), "--config", self.config_path, "--state-dir",
                self.state_dir, "--port", str(self.port), "--token", self.token, *more,
                *(["--verbose"] if os.environ.get("IT_VERBOSE") else [])]

    def run(self, *more, timeout=WAIT):
        """Runs openclawd to its end; returns (exit code, standard error)."""
        p = subprocess.run(self.argv(*more), env=self.env(), stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout)
        return p.returncode, p.stdout.decode("utf-8", "replace")

    def start(self, *more, wait=True):
        began = len(self.lines)
        self.proc = subprocess.Popen(self.argv(*more), env=self.env(), stdin=subprocess.DEVNULL,
                                     stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.pump = threading.Thread(target=self.read_log, args=(self.proc,), daemon=True)
        self.pump.start()
        if wait:
            self.wait_log(lambda l: l.get("event") == "gateway.ready", "gateway.ready", START, began)
        return self

    def read_log(self, proc):
        for raw in proc.stderr:
            text = raw.decode("utf-8", "replace").rstrip("\n")
            try:
                line = json.loads(text)
            except ValueError:
                line = {"event": "not-json", "text": text}
            with self.cond:
                self.raw.append(text)
                self.lines.append(line if isinstance(line, dict) else {"event": "not-json", "text": text})
                self.cond.notify_all()
        with self.cond:
            self.lines.append({"event": "log.ended", "proc": "test", "pid": proc.pid})
            self.cond.notify_all()

    def wait_log(self, test, what, timeout=WAIT, start=0):
        end = time.monotonic() + timeout
        with self.cond:
            i = start
            while True:
                while i < len(self.lines):
                    if test(self.lines[i]):
                        return self.lines[i]
                    if self.lines[i]["event"] == "log.ended" and self.lines[i]["pid"] == self.proc.pid:
                        raise AssertionError("gateway ended while waiting for %s:\n%s" %
                                             (what, "\n".join(self.raw[-15:])))
                    i += 1
                if not self.cond.wait(end - time.monotonic()) and time.monotonic() >= end:
                    raise Timeout("timed out waiting for the log line %s:\n%s" %
                                  (what, "\n".join(self.raw[-15:])))

    # -- processes

    @property
    def pid(self):
        return self.proc.pid

    def workers(self, kind=None):
        """Live (not zombie) workers as {pid: class}."""
        out = {}
        for pid in children_of(self.pid):
            st, c = stat_of(pid), class_of(pid)
            if st and st[0] != "Z" and c and (kind is None or c == kind):
                out[pid] = c
        return out

    def worker(self, kind):
        return min(until(lambda: self.workers(kind), "there is a %s" % kind))

    def kill(self, kind, sig=signal.SIGKILL):
        """Kills one worker of a class, or "supervisor", or "all"; returns its pid."""
        if kind == "all":
            pids = list(self.workers())
            for pid in [self.pid] + pids:
                os.kill(pid, signal.SIGKILL)
            self.reap_all([self.pid] + pids)
            return self.pid
        pid = self.pid if kind == "supervisor" else self.worker(kind)
        os.kill(pid, sig)
        return pid

    def reap_all(self, pids):
        """After the supervisor died: it and its orphans are gone."""
        self.proc.wait(WAIT)
        self.pump.join(WAIT)

        def gone():
            for pid in pids:
                try:
                    os.waitpid(pid, os.WNOHANG)
                except ChildProcessError:
                    pass
            return not any(stat_of(p) for p in pids if p != self.pid)
        until(gone, "the workers of a dead supervisor have ended")

    def wait_replaced(self, kind, old):
        """A new worker of this class runs and the old one is gone without a trace."""
        until(lambda: any(p != old for p in self.workers(kind)), "a new %s was started" % kind)
        until(lambda: stat_of(old) is None, "the old %s is reaped" % kind)

    def zombies(self):
        return [p for p in children_of(self.pid) if (stat_of(p) or "Z")[0] == "Z"]

    def fds(self):
        """Open descriptors per process."""
        return dict({"supervisor": fds_of(self.pid)},
                    **{"%s %d" % (c, p): fds_of(p) for p, c in self.workers().items()})

    # -- clients

    def client(self, **options):
        return Client(self.port, self.token, **options)

    def client_soon(self):
        """A client as soon as somebody lets one in."""
        return until(lambda: try_connect(self.port, self.token), "a client can connect", step=0.02)

    def http(self, path, method="GET", headers=None, timeout=WAIT):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            c.request(method, path, headers=headers or {})
            r = c.getresponse()
            return r.status, r.read()
        finally:
            c.close()

    # -- end

    def terminate(self):
        self.proc.send_signal(signal.SIGTERM)

    def wait_exit(self, timeout=WAIT):
        code = self.proc.wait(timeout)
        self.pump.join(WAIT)
        return code

    def stop(self, code=0):
        """SIGTERM, then: exit code, no process left, nothing secret or said in the log."""
        if self.proc is None:
            return
        if self.proc.poll() is None:
            pids = list(self.workers())
            zombies = self.zombies()
            self.terminate()
            got = self.wait_exit()
            left = [p for p in pids if stat_of(p)]
            assert got == code, "exit code %r, not %r; last lines:\n%s" % (got, code, "\n".join(self.raw[-8:]))
            assert not left, "processes left: %r" % [name_of(p) for p in left]
            assert not zombies, "zombies: %r" % zombies
        self.check_log()

    def check_log(self):
        text = "\n".join(self.raw)
        assert self.token not in text, "the token is in the log"
        assert "mock-key-58cc" not in text, "the API key is in the log"
        for said in Client.said:
            words = said.split("[fake")[0].strip()
            assert len(words) < 8 or words not in text, "a message is in the log: %r" % words
        for bad in ("AddressSanitizer", "runtime error:", "LeakSanitizer"):
            assert bad not in text, "sanitizer: " + text[text.index(bad):][:800]
        for line in self.lines:
            if line["event"] == "not-json":
                if not re.match(r"==\d+==", line["text"]):  # a sanitizer's word that is no finding
                    raise AssertionError("a log line is not JSON: %r" % line["text"])
                continue
            if line["event"] != "log.ended":
                assert {"ts", "level", "event", "proc", "pid"} <= set(line), "log line lacks a member: %r" % line

    def kill_leftovers(self):
        if self.proc and self.proc.poll() is None:
            for pid in [self.pid] + children_of(self.pid):
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    pass
            self.proc.wait()
