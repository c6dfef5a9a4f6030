"""Where a gateway is started: as a plain user, in a container that gives it nothing; and what its processes still hold there."""
import os
import re
import subprocess


NOBODY = 65534


def started(t, g, prefix):
    argv = g.argv
    g.argv = lambda *more: prefix + argv(*more)
    return g.start()


def layers(g, pid):
    return g.wait_log(lambda r: r["event"] == "worker.sandbox" and r.get("child") == pid, "the cage of %d" % pid)


def sanitized(g):
    return "no-dump" not in layers(g, g.worker("front"))["layers"]


def serves(g):
    assert g.client().turn("agent:main:a", "from here [fake ok chunks=2]")[1]["state"] == "final"
    for kind in ("front", "hub", "agent"):  # and again after each of them died
        old = g.worker(kind)
        g.kill(kind)
        g.wait_replaced(kind, old)
    assert g.client_soon().turn("agent:main:a", "and again [fake ok chunks=2]")[1]["state"] == "final"


def test_plain_user(t):
    """No right to give anybody a uid: everything else is in force."""
    if os.geteuid() != 0:
        g = t.gateway()
    else:
        g = t.new_gateway()
        above = g.folder
        for path in (g.folder, g.config_path):
            os.chown(path, NOBODY, NOBODY)
        while os.path.dirname(above) != above:
            above = os.path.dirname(above)
            if not os.stat(above).st_mode & 0o001:
                os.chmod(above, os.stat(above).st_mode | 0o001)  # never less than it had
        if subprocess.call(["setpriv", "--reuid", str(NOBODY), "--clear-groups", "test", "-x", os.path.join(t.build, "openclawd")]):
            print("skipped: other users cannot reach the build folder")
            return
        started(t, g, ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"])
    serves(g)
    if sanitized(g):
        return
    for pid in g.workers():
        have = layers(g, pid)
        assert {"capabilities", "no-new-privs", "seccomp", "no-dump", "no-core", "memory-limit"} <= set(have["layers"].split()), have
        assert "uid" not in have["missing"].split(), have


def test_container(t):
    """Root of a user namespace with one uid, and no namespace more: what an unprivileged container gives."""
    g = t.new_gateway()
    prefix = ["unshare", "--user", "--map-root-user", "sh", "-c",
              "for n in user mnt net ipc uts pid; do echo 0 >/proc/sys/user/max_${n}_namespaces || exit 99; done; exec \"$@\"", "sh"]
    if subprocess.call(prefix + ["true"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        print("skipped: no user namespaces here")
        return
    started(t, g, prefix)
    serves(g)
    if sanitized(g):
        return
    for pid in g.workers():
        have = layers(g, pid)
        assert {"capabilities", "no-new-privs", "seccomp", "no-core", "memory-limit"} <= set(have["layers"].split()), have
        assert "ns-ipc" in have["missing"].split(), have  # said, not hidden
        with open("/proc/%d/status" % pid) as f:
            st = dict(line.split(":\t", 1) for line in f if ":\t" in line)
        assert st["Seccomp"].strip() == "2" and int(st["CapEff"], 16) == 0 == int(st["CapBnd"], 16), st
    assert [l for l in g.lines if l.get("event") == "sandbox.no_uids"], "nobody was told of the uids"


# ---- what anybody may read of the processes in /proc ----

def writable(pid):
    out = []
    for fd in os.listdir("/proc/%d/fd" % pid):
        to = os.readlink("/proc/%d/fd/%s" % (pid, fd))
        if to.startswith("/") and not to.startswith(("/dev/null", "/memfd:", "/proc/")):
            with open("/proc/%d/fdinfo/%s" % (pid, fd)) as f:
                flags = int(re.search(r"flags:\s*(\d+)", f.read()).group(1), 8)
            if flags & 3 or os.path.isdir(to):
                out.append(os.path.basename(to))
    return sorted(out)


def test_nothing_to_spare(t):
    """Files, memory, environment, sockets of each class. The hub's: LMDB needs one for pages and one that is flushed
    with each write of its meta page; the third is the log; and the folder of files (a descriptor that names nothing else)."""
    if os.geteuid() != 0:
        print("skipped: only root may look")
        return
    g = t.gateway()
    if sanitized(g):
        return
    serves(g)
    listening = set()
    for name in ("tcp", "tcp6"):
        with open("/proc/%d/net/%s" % (g.pid, name)) as f:
            listening |= {line.split()[9] for line in f.readlines()[1:] if line.split()[3] == "0A"}
    allowed = {"front": [], "agent": [], "hub": ["media", "state.mdb", "state.mdb", "state.mdb-log"]}
    for pid, kind in [(g.pid, "supervisor")] + list(g.workers().items()):
        with open("/proc/%d/maps" % pid) as f:
            wx = [line for line in f if re.match(r"\S+ .w.?x|\S+ rwx", line)]
        assert not wx, (kind, wx)
        with open("/proc/%d/status" % pid) as f:
            st = dict(line.split(":\t", 1) for line in f if ":\t" in line)
        assert st["TracerPid"].strip() == "0" and int(st["VmRSS"].split()[0]) <= 64 << 10, (kind, st)
        if kind == "supervisor":
            continue
        with open("/proc/%d/environ" % pid, "rb") as f:
            env = f.read()
        with open("/proc/%d/cmdline" % pid, "rb") as f:
            env += f.read()
        assert g.token.encode() not in env and b"MOCK_KEY" not in env, (kind, env)
        assert writable(pid) == allowed[kind], (kind, writable(pid))
        sockets = {os.readlink("/proc/%d/fd/%s" % (pid, fd)) for fd in os.listdir("/proc/%d/fd" % pid)}
        assert not {"socket:[%s]" % n for n in listening} & sockets, kind


def test_programs_are_hardened(t):
    names = ["openclawd", "openclaw-front", "openclaw-hub", "openclaw-agent"]
    seen = subprocess.run(["readelf", "-hldsnW"] + [os.path.join(t.build, n) for n in names], stdout=subprocess.PIPE,
                          check=True).stdout.decode().split("\nFile: ")
    seen = [s for s in seen if "ELF Header" in s]
    assert len(seen) == len(names), len(seen)
    for text in seen:
        assert "DYN (" in text and "GNU_RELRO" in text and re.search(r"BIND_NOW|\bNOW\b", text), text[:80]
        assert "E" not in re.search(r"GNU_STACK(?:\s+\S+){5}\s+(\S+)", text).group(1), text[:80]
        assert "__stack_chk_fail" in text and not re.search(r"\(R(UN)?PATH\)", text), text[:80]
        assert os.uname().machine != "x86_64" or ("IBT" in text and "SHSTK" in text), text[:80]
