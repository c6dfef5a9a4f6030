"""Failures of the C library in a running tree. The programs of a release cannot be told to fail: that is looked at here;
in a build with -Dfaults=true a few failures of each kind are tried (all of them: scripts/enumerate)."""
import os
import subprocess
import sys

from fault import BINARIES, FaultyGateway, Page, built_with_faults
from gateway import config_for, until

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
    p = subprocess.run([sys.executable, os.path.join(ROOT, "scripts", "enumerate"), "--build", t.build, "--smoke",
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
