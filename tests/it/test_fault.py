"""Failures of the C library in a running tree. The programs of a release cannot be told to fail: that is looked at here;
in a build with -Dfaults=true a few failures of each kind are tried (all of them: scripts/enumerate)."""
import calendar
import json
import os
import socket
import subprocess
import sys
import time

from client import TERMINAL, text_of, try_connect
from fault import BINARIES, FaultyGateway, Page, built_with_faults
from gateway import config_for, until
from ws import WAIT

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
SESSION = "agent:main:f"


def test_release_has_none(t):
    """No trace of it, unless this build was made for it."""
    if built_with_faults(t.build):
        print("skipped: this build is made to fail")
        return
    for name in BINARIES:
        with open(os.path.join(t.build, name), "rb") as f:
            data = f.read()
        for trace in (b"FAULT_PAGE", b"__libc_malloc"):
            assert trace not in data, "%s has %r in it" % (name, trace)


def faulty(t):
    if not built_with_faults(t.build):
        print("skipped: not a build with -Dfaults=true")
        return None
    folder = os.path.join(t.folder, "g")
    os.makedirs(folder)
    g = FaultyGateway(t.build, folder, config_for(t.fake.url))
    os.chmod(t.folder, 0o711)
    g.page = Page(folder)
    t.gateways.append(g)
    return g.start()


def test_enumeration(t):
    if not built_with_faults(t.build):
        print("skipped: not a build with -Dfaults=true")
        return
    p = subprocess.run([sys.executable, os.path.join(ROOT, "scripts", "enumerate"), "--build", t.build, "--smoke", "--seed", "1",
                        "--ops", "connect,turn,delivery,reload"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    print(p.stdout.decode("utf-8", "replace"))
    assert p.returncode == 0


def test_flush_fails(t):
    """EIO from fsync: nothing is acknowledged, the hub says so and is back with what counts, also when the power goes then."""
    g = faulty(t)
    if not g:
        return
    c = g.client()
    runs = {c.turn(SESSION, "kept %d" % n)[0]: "kept %d" % n for n in range(3)}
    hub = g.worker("hub")
    for nth in (1, 2, 3):  # the log's, then those of a checkpoint
        g.page.arm("hub", "fsync", nth)
        asked = [c.start("chat.send", {"sessionKey": SESSION, "message": "while the disk fails", "idempotencyKey": "io%d" % nth})]
        until(lambda: g.page.hits() or c.ws.ended, "a flush failed")
        died = g.wait_log(lambda l: l["event"] == "worker.died" and l["child"] == hub, "the hub ended")
        assert died["exit"] == 3 and "storage" in died["why"], died
        g.page.disarm()
        hub = until(lambda: next((p for p in g.workers("hub") if p != hub), None), "the hub is back")
        c = g.client_soon()
        del asked
        for run, text in runs.items():
            said = [m for m in c.history(SESSION) if m["role"] == "user" and text in str(m["content"])]
            assert len(said) == 1, "%r is %d times in the history" % (text, len(said))
        runs[c.turn(SESSION, "after %d" % nth)[0]] = "after %d" % nth


def test_agent_without_memory(t):
    """Of what an agent works on only the turn whose memory is missing is tried again."""
    g = faulty(t)
    if not g:
        return
    c = g.client()
    agents = dict(g.workers("agent"))
    asked = c.send(SESSION + "1", "[fake ok chunks=4 at=2 gate=m] the other")
    t.fake.wait("the other", state="gated")
    for nth in (1, 2):  # the job, then the run
        start = len(g.lines)
        g.page.arm("agent", "malloc", nth)
        run, end = c.turn(SESSION + "2", "without memory %d [fake ok chunks=1]" % nth)
        assert g.page.disarm() == 1 and end["state"] == "final", end
        g.wait_log(lambda l: l["event"] == "job.refused" and l.get("proc", "").startswith("agent"), "it is said", start=start)
    t.fake.gate("m")
    assert c.chat(asked, TERMINAL)["state"] == "final"
    assert dict(g.workers("agent")) == agents, "an agent was replaced"


DAY = 86400
STEPS = (("an hour ahead", 3600), ("an hour back", -3600), ("a day ahead", DAY), ("a day back", -DAY),
         ("2038", "2038-01-19T03:14:05"), ("before 1970", "1969-12-31T12:00:00"), ("summer time begins", "2027-03-28T00:59:58"),
         ("summer time ends", "2027-10-31T00:59:58"))


def test_clock_steps(t):
    """The wall clock jumps: connections stay, turns and deadlines go by the other clock, the log stays short."""
    g = faulty(t)
    if not g:
        return
    c = g.client()
    runs = {}
    hubs = {g.worker("hub")}
    for n, (what, to) in enumerate(STEPS):
        at = to if isinstance(to, int) else calendar.timegm(time.strptime(to, "%Y-%m-%dT%H:%M:%S")) - time.time()
        start = len(g.lines)
        slow = c.send(SESSION, "[fake ok chunks=8 delay=40] slow %d" % n)  # under way when it jumps
        c.chat(slow, "delta")
        g.page.wall(at)
        assert c.chat(slow, TERMINAL)["state"] == "final", what
        run, end = c.turn(SESSION, "at %s" % what)
        assert end["state"] == "final", (what, end)
        runs[run] = "at %s" % what
        told = c.history(SESSION)[-1]["timestamp"] / 1000
        assert abs(told - time.time() - at) < 60, "at %s the gateway's clock says %s" % (what, told)
        assert g.http("/ready")[0] == 200, what
        other = g.client()  # a new one is let in
        assert other.ask("chat.send", {"sessionKey": SESSION, "message": "at %s" % what, "idempotencyKey": run})["runId"] == run
        other.close()
        if n % 2:  # a process that starts then finds itself in time, too
            old = g.kill("hub")
            hubs.add(old)
            g.wait_replaced("hub", old)
            c.turn(SESSION, "after a start at %s" % what)
        assert c.open, "the connection ended at %s" % what
        lines = [l for l in g.lines[start:] if l["event"] != "worker.sandbox"]
        assert len(lines) < 40, "%d log lines at %s: %r" % (len(lines), what, [l["event"] for l in lines[:20]])
        died = [l for l in lines if l["event"] == "worker.died" and l["child"] not in hubs]
        assert not died, died
    g.page.wall(0)
    c.turn(SESSION, "and back")
    said = [text_of(m) for m in c.history(SESSION, 1000) if m["role"] == "user"]
    for text in runs.values():
        assert sum(text in s and "after" not in s for s in said) == 1, "%r is not there once" % text
    c.check_seq()


def test_descriptors_out(t):
    """accept finds no descriptor: one is shed, nobody spins, those who are connected go on, and then it is over."""
    g = faulty(t)
    if not g:
        return
    c = g.client()
    g.page.arm("supervisor", "accept", 1, forever=True)
    before, began, shed = cpu_of(g.pid), time.monotonic(), 0
    waiting = []
    while time.monotonic() - began < 2:
        try:
            waiting.append(socket.create_connection(("127.0.0.1", g.port), timeout=1))
        except OSError:
            pass
        c.turn(SESSION, "meanwhile [fake ok chunks=1]")
        shed += 1
    spent = cpu_of(g.pid) - before
    lines = sum(l["event"] == "accept.out_of_descriptors" for l in g.lines)
    assert 0 < lines < 100, lines
    g.page.disarm()
    until(lambda: try_connect(g.port, g.token), "a client is let in", timeout=WAIT)
    print("descriptors out for 2 s, %d turns meanwhile: %.0f %% of a processor, %d log lines" % (shed, spent * 50, lines))
    for s in waiting:
        s.close()


def cpu_of(pid):
    with open("/proc/%d/stat" % pid) as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_hub_dies_between_flush_and_send(t):
    """A message is on disk as being sent, and the hub dies before the channel has it: the same channel process says so, and it is sent once."""
    if not built_with_faults(t.build):
        print("skipped: not a build with -Dfaults=true")
        return
    folder, platform = os.path.join(t.folder, "g"), os.path.join(t.folder, "platform")
    for path in (folder, platform):
        os.makedirs(path)
    os.chmod(t.folder, 0o711)
    os.chmod(platform, 0o777)
    config = config_for(t.fake.url)
    config["channels"] = {"fake": {"accounts": {"default": {"folder": platform}}}}  # which knows no ids of ours
    g = FaultyGateway(t.build, folder, config)
    g.page = Page(folder)
    t.gateways.append(g)
    c = g.start().client()
    texts = lambda: [json.loads(line)["text"] for line in open(os.path.join(platform, "sent.log"))]
    c.ask("send", {"to": "42", "message": "warm up", "idempotencyKey": "w"})
    for i in range(3):
        hub = g.worker("hub")
        g.page.arm("hub", "fsync", 1, action=2)
        c.start("send", {"to": "42", "message": "in between %d" % i, "idempotencyKey": "k%d" % i})
        until(lambda: g.worker("hub") not in (None, hub), "the hub died there")
        g.page.disarm()
        c = g.client_soon()
        until(lambda: c.ask("deliveries.list", {})["open"] == 0, "nothing waits to be sent")
        assert texts()[1:] == ["in between %d" % k for k in range(i + 1)], texts()
        assert c.ask("deliveries.list", {"state": "unknown"})["deliveries"] == []
