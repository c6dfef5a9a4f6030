"""A worker that grows is replaced in good order, one that grows too far is ended, and nobody else notices."""
import os
import subprocess

from gateway import stat_of, until

EARLY = {"heartbeatMs": 100}


def own(pid):
    """Bytes of memory that are its own: resident, and of no file."""
    with open("/proc/%d/statm" % pid) as f:
        _, resident, shared = [int(n) for n in f.read().split()[:3]]
    return (resident - shared) * os.sysconf("SC_PAGE_SIZE")


def limited(t, **limits):
    """A gateway whose worker of this class is above its limit (a share of what it takes at rest)."""
    probe = t.gateway()
    limits = {kind + "Bytes": int(own(probe.worker(kind)) * share) for kind, share in limits.items()}
    probe.stop()
    g = t.new_gateway(workers=dict(EARLY, fronts=2))
    g.write_config(dict(g.config, sandbox={"memory": limits}))
    return g


def recycled(g, pid):
    return g.wait_log(lambda l: l.get("event") == "worker.recycled" and l.get("child") == pid, "%d is replaced" % pid)


def ended_well(g, pid):
    g.wait_log(lambda l: l.get("event") == "worker.stopped" and l.get("child") == pid, "%d leaves by itself" % pid)
    until(lambda: stat_of(pid) is None, "%d is gone" % pid)


def measured(fn):
    """A sanitizer's own memory says nothing; the release build runs these, too."""
    def run(t):
        if "ASAN_OPTIONS" in os.environ:
            print("skipped: a sanitized build measures the sanitizer")
            return
        fn(t)
    return run


@measured
def test_front_of_slow_readers(t):
    """Answers that nobody takes pile up in one of two fronts: its clients are told to come again, the others see nothing."""
    g = t.new_gateway(workers=dict(EARLY, fronts=2))
    g.write_config(dict(g.config, sandbox={"memory": {"frontBytes": 32 << 20}}))
    g.start()
    fronts = set(g.workers("front"))
    writer = g.client()
    for i in range(12):
        writer.turn("agent:main:long", "[fake ok chunks=1] %d " % i + "x" * 400000)
    slow, bystander = g.client(), g.client()  # one on each front
    slow.ws.pause()
    for i in range(60):
        slow.start("chat.history", {"sessionKey": "agent:main:long", "limit": 200, "maxChars": 500000}, "big%d" % i)
    line = g.wait_log(lambda l: l.get("event") == "worker.recycled", "a front is replaced")
    assert line["worker"].startswith("front#") and line["child"] in fronts, line
    assert line["kib"] > line["limit_kib"] == 32 << 10, line
    ended_well(g, line["child"])
    kept = [c for c in (writer, bystander) if c.open]
    assert kept, "both fronts lost their clients"
    for c in kept:
        assert c.turn("agent:main:b", "still here [fake ok chunks=2]")[1]["state"] == "final"
    assert fronts - {line["child"]} <= set(g.workers("front"))
    until(lambda: len(g.workers("front")) == 2, "there are two fronts again")
    fresh = g.client()
    assert fresh.ask("health")["ok"] is True
    assert not [l for l in g.lines if l.get("event") in ("worker.died", "worker.over_memory")]


@measured
def test_slow_readers_end_first(t):
    """Together they may not have what the front may: who holds much is ended before the front would be, and nobody else."""
    g = t.new_gateway(workers=dict(EARLY, fronts=1))
    g.start()
    front, writer = g.worker("front"), g.client()
    for i in range(12):
        writer.turn("agent:main:long", "[fake ok chunks=1] %d " % i + "x" * 400000)
    slow = [g.client() for _ in range(4)]
    for c in slow:
        c.ws.pause()
    for i in range(8):  # up to 150 MiB
        for c in slow:
            c.start("chat.history", {"sessionKey": "agent:main:long", "limit": 200, "maxChars": 500000}, "big%d" % i)
        assert writer.ask("health")["ok"] is True
    assert writer.turn("agent:main:b", "still here [fake ok chunks=2]")[1]["state"] == "final"
    for c in slow:
        c.ws.reading.set()
    g.wait_log(lambda l: l.get("event") == "conn.memory", "somebody is ended")
    until(lambda: any(c.ws.ended for c in slow), "and notices")
    assert g.worker("front") == front and writer.open
    assert not [l for l in g.lines if l.get("event") in ("worker.recycled", "worker.died", "worker.over_memory")]


@measured
def test_hub_begins_again(t):
    """Clients stay connected, what was acknowledged is there, and a turn under way ends."""
    g = limited(t, hub=0.75)
    t.fake.control()
    g.start(wait=False)
    old = g.wait_log(lambda l: l.get("event") == "worker.recycled", "the hub is replaced")
    assert old["worker"] == "hub#0", old
    ended_well(g, old["child"])
    c = g.client_soon()
    run, end = c.turn("agent:main:a", "after it [fake ok chunks=2]")
    assert end["state"] == "final", end
    assert len(g.workers("hub")) == 1
    assert not [l for l in g.lines if l.get("event") == "worker.died"]


@measured
def test_agent_ends_its_turn_first(t):
    """Two agents for as long as the old one works; it is handed nothing new."""
    g = t.new_gateway(workers=dict(EARLY, fronts=1))
    base = t.gateway()
    size = int(own(base.worker("agent")))
    base.stop()
    g.write_config(dict(g.config, sandbox={"memory": {"agentBytes": size + (1 << 19)}}))
    g.start()
    old, c = g.worker("agent"), g.client()
    run = c.send("agent:main:slow", "held [fake ok chunks=910 at=900 gate=hold text=%s]" % ("y" * 1000))
    recycled(g, old)
    until(lambda: len(g.workers("agent")) == 2, "a second agent")
    new = (set(g.workers("agent")) - {old}).pop()
    g.wait_log(lambda l: l.get("event") == "worker.sandbox" and l.get("child") == new, "it is ready")
    assert c.turn("agent:main:other", "meanwhile [fake ok chunks=2]")[1]["state"] == "final"
    assert stat_of(old) is not None
    t.fake.gate("hold")
    assert c.chat(run, ("final", "error", "aborted"))["state"] == "final"
    ended_well(g, old)
    assert set(g.workers("agent")) == {new}
    assert not [l for l in g.lines if l.get("event") in ("job.lost", "worker.died")]


@measured
def test_far_above_is_ended(t):
    """The hard limit is twice the soft one: whoever is above is a crash, and the rest goes on."""
    g = limited(t, agent=0.4)
    g.start(wait=False)
    line = g.wait_log(lambda l: l.get("event") == "worker.over_memory", "an agent is ended")
    assert line["worker"] == "agent#0" and line["kib"] > line["limit_kib"], line
    died = g.wait_log(lambda l: l.get("event") == "worker.died" and l.get("child") == line["child"], "it died")
    assert died["signal"] == 9, died
    assert g.client_soon().ask("health")["ok"] is True


@measured
def test_status_shows_limits(t):
    g = t.gateway()

    def shown():
        p = subprocess.run([os.path.join(t.build, "openclawctl"), "--url", "ws://127.0.0.1:%d" % g.port, "--token",
                            g.token, "status", "--sandbox"], stdout=subprocess.PIPE, check=True)
        text = p.stdout.decode()
        return text if text.count("replaced above") == len(g.workers()) else None
    text = until(shown, "every worker's memory is in openclawctl status --sandbox")
    assert "replaced above 65536, ended above 131072" in text and "replaced above 131072, ended above 262144" in text, text
    for pid in g.workers():
        line = g.wait_log(lambda l: l.get("event") == "worker.sandbox" and l.get("child") == pid, "its cage")
        assert line["memory_by"] in ("cgroup", "watch"), line
        if line["memory_by"] == "cgroup":
            with open("/proc/%d/cgroup" % pid) as f:
                assert "/worker-" in f.read()
