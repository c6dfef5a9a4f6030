"""The cage of running workers, read from /proc: what is in force, the same after every restart, required or not."""
import json
import os
import subprocess

from gateway import until

SAME = ("Uid", "Gid", "Groups", "NoNewPrivs", "Seccomp", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")


def status_of(pid):
    with open("/proc/%d/status" % pid) as f:
        return dict((k, v.strip()) for k, v in (line.split(":", 1) for line in f if ":" in line))


def limits_of(pid):
    with open("/proc/%d/limits" % pid) as f:
        return [line.split("  ")[0] + line[25:66] for line in f.readlines()[1:]]


def private(pid):
    """Which namespaces are not ours, or None when we may not look."""
    try:
        return sorted(n for n in ("user", "mnt", "net", "ipc", "uts")
                      if os.readlink("/proc/%d/ns/%s" % (pid, n)) != os.readlink("/proc/self/ns/%s" % n))
    except OSError:
        return None


def cage_of(pid):
    st = status_of(pid)
    return {"status": {k: st.get(k) for k in SAME}, "limits": limits_of(pid), "private": private(pid)}


def line_of(g, pid):
    return g.wait_log(lambda r: r["event"] == "worker.sandbox" and r.get("child") == pid, "the cage of %d" % pid)


def is_test_build(g):
    """A sanitized build only watches."""
    return "no-dump" not in line_of(g, g.worker("front"))["layers"]


def test_same_after_restart(t):
    """chaos.md I14: no privilege drift."""
    g = t.gateway()
    for kind in ("front", "hub", "agent"):
        for _ in range(2):
            old = g.worker(kind)
            layers = line_of(g, old)["layers"]
            before = cage_of(old)
            assert before["status"]["NoNewPrivs"] == "1" and before["status"]["Seccomp"] == "2", before
            g.kill(kind)
            g.wait_replaced(kind, old)
            new = g.worker(kind)
            assert line_of(g, new)["layers"] == layers
            assert cage_of(new) == before, (kind, before, cage_of(new))
    c = g.client_soon()
    assert c.turn("agent:main:a", "after all of them [fake ok chunks=2]")[1]["state"] == "final"


def test_nobody_has_more(t):
    g = t.gateway()
    if is_test_build(g):
        return
    for pid, kind in g.workers().items():
        line_of(g, pid)
        st = status_of(pid)
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(st[name], 16) == 0, (kind, name, st[name])
        assert st["Groups"] == "" or os.geteuid() != 0, (kind, st["Groups"])
        assert "0" not in st["Uid"].split() + st["Gid"].split(), (kind, st["Uid"])
        assert st["Seccomp"] == "2" and st["NoNewPrivs"] == "1", (kind, st)
    assert status_of(g.pid)["NoNewPrivs"] == "1"
    for pid in [g.pid] + list(g.workers()):  # nobody but root looks into it: its files in /proc are root's
        assert os.stat("/proc/%d/limits" % pid).st_uid == 0, pid


def test_each_its_own_uid(t):
    g = t.gateway()
    if is_test_build(g) or os.geteuid() != 0:
        return
    uids = {kind: status_of(pid)["Uid"].split()[0] for pid, kind in g.workers().items()}
    assert len(set(uids.values())) == 3, uids
    store = os.stat(os.path.join(g.state_dir, "store"))
    assert str(store.st_uid) == uids["hub"] and store.st_mode & 0o077 == 0, store
    assert os.stat(g.state_dir).st_uid == 0


def test_status_says_it(t):
    g = t.gateway()
    pids = set(g.workers())

    def shown():
        p = subprocess.run([os.path.join(t.build, "openclawctl"), "--url", "ws://127.0.0.1:%d" % g.port, "--token", g.token,
                            "--json", "status", "--sandbox"], stdout=subprocess.PIPE, check=True)
        rows = [r for r in json.loads(p.stdout).get("processes", []) if "sandbox" in r]
        return rows if {r["pid"] for r in rows} == pids else None
    for row in until(shown, "every worker is in openclawctl status --sandbox"):
        line = line_of(g, row["pid"])
        assert " ".join(row["sandbox"]["layers"]) == line["layers"], (row, line)
        assert " ".join(row["sandbox"]["missing"]) == line["missing"], (row, line)
        assert row["sandbox"]["seccomp"] == 2, row


def test_required(t):
    """It starts when nothing is missing, and says what is missing when it does not."""
    g = t.gateway()
    complete = all(line_of(g, p)["missing"] == "" for p in g.workers())
    config = dict(g.config, sandbox={"mode": "required"})
    if complete:
        c = t.gateway(config).client()
        assert c.turn("agent:main:a", "caged [fake ok chunks=2]")[1]["state"] == "final"
    # without namespaces (a container's usual limit) there is always something missing
    strict = t.new_gateway(config)
    argv = ["unshare", "--user", "--map-root-user", "sh", "-c",
            'echo 0 > /proc/sys/user/max_net_namespaces && exec "$@"', "sh"] + strict.argv()
    p = subprocess.run(argv, env=strict.env(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, timeout=60)
    text = p.stdout.decode("utf-8", "replace")
    if "max_net_namespaces" in text or "unshare" in text.split("\n")[0]:
        return  # no user namespaces here
    assert p.returncode == 2, (p.returncode, text)
    assert "sandbox.incomplete" in text and "ns-net" in text and "sandbox.mode" in text, text
    assert "gateway.ready" not in text, text
    t.gateways.remove(strict)
