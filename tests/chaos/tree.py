"""The gateway's processes as the nemesis sees them: children of the supervisor it started, named by their own title."""
import ctypes
import http.client
import json
import os
import signal
import socket
import subprocess
import time

TOKEN = "chaos-token-5d81c02f9be347aa"
START_S = 60


def become_subreaper():
    """Orphans of a killed supervisor come to us, so that we see whether they end."""
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)


def until(test, seconds, step=0.001):
    end = time.monotonic() + seconds
    while True:
        got = test()
        if got or time.monotonic() > end:
            return got
        time.sleep(step)


def state_of(pid):
    """One letter (R, S, D, T, Z), or None when there is no such process."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as f:
            return chr(f.read().rsplit(b")", 1)[1].split()[0][0])
    except (OSError, IndexError):
        return None


def title_of(pid):
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as f:
            return f.read().split(b"\0")[0].decode("utf-8", "replace")
    except OSError:
        return ""


def children_of(pid):
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
            return [int(x) for x in f.read().split()]
    except OSError:
        return []


def workers_of(pid):
    """{name: pid}, like "front 1" or "channel-fake ids0", of live workers; one that is between fork and exec has no name yet."""
    out = {}
    for p in children_of(pid):
        name = title_of(p)
        if name.startswith("openclaw-") and " " in name and state_of(p) not in (None, "Z"):
            out[name[9:]] = p
    return out


def class_of(name):
    return name.split(" ")[0].split("-")[0]


def ports_of(pid):
    """Remote ports of the TCP connections that a process holds."""
    inodes, ports = set(), []
    try:
        for fd in os.listdir("/proc/%d/fd" % pid):
            link = os.readlink("/proc/%d/fd/%s" % (pid, fd))
            if link.startswith("socket:["):
                inodes.add(link[8:-1])
    except OSError:
        pass
    with open("/proc/net/tcp") as f:
        for line in f.readlines()[1:]:
            w = line.split()
            if w[9] in inodes:
                ports.append(int(w[2].split(":")[1], 16))
    return ports


def memory_of(pid):
    """(anonymous KiB, descriptors) of a process."""
    try:
        with open("/proc/%d/status" % pid) as f:
            rows = dict(line.split(":", 1) for line in f if ":" in line)
        return int(rows.get("RssAnon", "0").split()[0]), len(os.listdir("/proc/%d/fd" % pid))
    except (OSError, ValueError, IndexError):
        return -1, -1


PRIVILEGES = ("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters")


def privileges_of(pid):
    """What a worker may do, as far as /proc says so."""
    try:
        with open("/proc/%d/status" % pid) as f:
            rows = dict(line.rstrip("\n").split(":", 1) for line in f if ":" in line)
        with open("/proc/%d/limits" % pid) as f:
            limits = [" ".join(line.split()) for line in f]
    except OSError:
        return None
    return dict({k: rows.get(k, "").strip() for k in PRIVILEGES}, limits=limits)


class Tree:
    """One state folder and the gateways that run on it, one after the other."""

    def __init__(self, build, folder, config, port):
        self.build, self.folder, self.port = build, folder, port
        self.state = os.path.join(folder, "state")
        self.config_path = os.path.join(folder, "openclaw.json")
        self.config = config
        self.log = open(os.path.join(folder, "gateway.log"), "ab")
        self.proc = None
        self.more_env = {}  # FAULT_PAGE, FAULT_IOLOG of a fault build
        self.write_config(config)

    def write_config(self, config):
        text = config if isinstance(config, str) else json.dumps(config, indent=1)
        with open(self.config_path + ".new", "w", opener=lambda p, flags: os.open(p, flags, 0o600)) as f:
            f.write(text)
        os.rename(self.config_path + ".new", self.config_path)

    def env(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("OPENCLAW_", "FAULT_"))}
        env.update(MOCK_KEY="mock-key-58cc", HOME=self.folder, UBSAN_OPTIONS="print_stacktrace=1",
                   ASAN_OPTIONS="abort_on_error=0:exitcode=66:handle_segv=0:detect_leaks=0")
        return dict(env, **self.more_env)

    def spawn(self):
        self.proc = subprocess.Popen([os.path.join(self.build, "openclawd"), "--config", self.config_path, "--state-dir",
                                      self.state, "--port", str(self.port), "--token", TOKEN],
                                     env=self.env(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.log)
        with open(os.path.join(self.folder, "tree.pid"), "w") as f:
            f.write("%d\n" % self.proc.pid)

    def start(self):
        """Milliseconds until /healthz says 200."""
        began = time.monotonic()
        self.spawn()
        if not until(lambda: self.http("/healthz") == 200 or self.proc.poll() is not None, START_S) or self.proc.poll() is not None:
            raise RuntimeError("the gateway did not start (%r); see %s" % (self.proc.poll(), self.log.name))
        return (time.monotonic() - began) * 1000

    def http(self, path, timeout=5):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            c.request("GET", path)
            return c.getresponse().status
        except (OSError, http.client.HTTPException):
            return None
        finally:
            c.close()

    @property
    def pid(self):
        return self.proc.pid

    def workers(self):
        return workers_of(self.pid)

    def reap(self, pids, seconds=20):
        """After the supervisor's death: wait for its orphans; seconds until the last was gone."""
        began = time.monotonic()
        self.proc.wait()

        def gone():
            for p in pids:
                try:
                    os.waitpid(p, os.WNOHANG)
                except ChildProcessError:
                    pass
            return all(state_of(p) is None for p in pids)
        until(gone, seconds)
        return time.monotonic() - began

    def kill_all(self):
        pids = list(self.workers().values())
        for p in [self.pid] + pids:
            try:
                os.kill(p, signal.SIGKILL)
            except OSError:
                pass
        return [self.pid] + pids

    def stop(self, seconds=60):
        self.proc.send_signal(signal.SIGTERM)
        try:
            return self.proc.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def end(self):
        """Whatever is left of it, by pid."""
        if self.proc and self.proc.poll() is None:
            self.reap(self.kill_all())


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]
