"""The kill matrix of the spine: whoever dies, whenever: no acknowledged message is lost, none is answered twice."""
import os
import signal
import time

from client import TERMINAL, Refused, text_of
from gateway import stat_of, until
from ws import Closed, Timeout

SIGNALS = {"KILL": signal.SIGKILL, "SEGV": signal.SIGSEGV}
SESSION = "agent:main:k"


def verdict(t, g, c, run, prompt):
    """The acknowledged message is there once and has one outcome."""
    done = c.ask("agent.wait", {"runId": run, "timeoutMs": 18000})
    assert done["status"] in ("ok", "error"), "the run never ended: %r" % done
    h = c.history(SESSION)
    mine = [i for i, m in enumerate(h) if m["role"] == "user" and prompt in text_of(m)]
    assert len(mine) == 1, "the message is %d times in the history: %r" % (len(mine), h)
    answers = []
    for m in h[mine[0] + 1:]:
        if m["role"] == "user":
            break
        answers.append(m)
    whole = [m for m in answers if m["role"] == "assistant" and m.get("stopReason") in (None, "stop")]
    assert len(whole) <= 1, "answered %d times: %r" % (len(whole), answers)
    if done["status"] == "ok":
        assert len(whole) == 1, "ended ok without an answer: %r" % h
    again = {"sessionKey": SESSION, "message": done_text[run], "idempotencyKey": run}
    try:
        assert c.ask("chat.send", again)["status"] == done["status"]
    except Refused as e:
        assert done["status"] == "error" and e.code == "UNAVAILABLE", e
    assert len(t.fake.calls(prompt)) <= 2, "the model was asked %d times" % len(t.fake.calls(prompt))
    return done["status"]


done_text = {}


def send(c, text):
    run = c.send(SESSION, text)
    done_text[run] = text
    return run


def one_outcome(c, run):
    """This very connection learns the outcome, once."""
    end = c.chat(run, TERMINAL)
    c.ask("health")  # whatever came after it has arrived, too
    ends = [p["state"] for p in c.chats(run) if p["state"] in TERMINAL]
    assert len(ends) == 1, "outcomes: %r" % ends
    return end["state"]


def survivors(g, c, kind, fronts):
    """What the death of `kind` must leave alone: (this client lives on?)."""
    if kind in ("hub", "agent"):
        assert c.open, "the client was disconnected by the death of the %s" % kind
        return c
    if kind == "front" and fronts == 1 and len(g.workers("front")) == 1:
        c.ws.wait_close()  # it was on the one that died; its end may take a moment to arrive
    elif kind == "front" and c.open:
        return c
    return g.client_soon()


def revive(g, kind, old):
    if kind in ("all", "supervisor"):
        g.start()
    else:
        g.wait_replaced(kind, old)


def crash(g, kind, sig):
    pids = list(g.workers())
    old = g.kill(kind, SIGNALS[sig])
    if kind == "supervisor":
        g.reap_all([old] + pids)
    return old


def test_matrix(t, kind, sig, moment):
    g = t.new_gateway()
    if sig == "SEGV":
        g.asan = ":handle_segv=0"  # it is ours, not a bug
    g.start()
    c = g.client()
    assert c.turn(SESSION, "a turn before the storm [fake ok chunks=2]")[1]["state"] == "final"
    prompt = "say it in the %s of %s" % (moment, kind)

    if moment == "idle":
        old = crash(g, kind, sig)
        revive(g, kind, old)
        c = survivors(g, c, kind, 1)
        run = send(c, prompt + " [fake ok chunks=3]")
        assert one_outcome(c, run) == "final"
    elif moment == "ack":
        run = send(c, prompt + " [fake ok chunks=5 delay=30]")
        old = crash(g, kind, sig)
        revive(g, kind, old)
        live = survivors(g, c, kind, 1)
        if live is c:
            assert one_outcome(c, run) == "final"
        c = live
    elif moment == "stream":
        run = send(c, prompt + " [fake ok chunks=6 gate=mid at=3 times=1]")
        c.chat(run, "delta")
        t.fake.wait(prompt, "gated")
        old = crash(g, kind, sig)
        t.fake.gate("mid")
        revive(g, kind, old)
        live = survivors(g, c, kind, 1)
        if live is c:
            assert one_outcome(c, run) == "final"
        c = live
    elif moment == "restart":
        run = send(c, prompt + " [fake ok chunks=6 gate=mid at=3 times=1]")
        t.fake.wait(prompt, "gated")
        old = crash(g, kind, sig)
        if kind in ("all", "supervisor"):
            g.start(wait=False)
            until(lambda: g.workers(), "some worker is started")
            pids = list(g.workers())
            os.kill(g.pid, signal.SIGKILL)
            g.reap_all([g.pid] + pids)
        else:
            new = until(lambda: [p for p in g.workers(kind) if p != old], "a new %s" % kind)[0]
            os.kill(new, SIGNALS[sig])
            old = new
        t.fake.gate("mid")
        revive(g, kind, old)
        live = survivors(g, c, kind, 1)
        if live is c:
            one_outcome(c, run)
        c = live

    assert verdict(t, g, c, run, prompt) == "ok" or moment == "restart"
    assert c.turn(SESSION, "a turn after the storm [fake ok chunks=2]")[1]["state"] == "final"
    until(lambda: not g.zombies(), "no zombie is left")
    roles = [m["role"] for m in c.history(SESSION)]
    assert roles[:2] == ["user", "assistant"] and roles[-2:] == ["user", "assistant"], roles


test_matrix.params = [(k, s, m)
                      for k in ("hub", "front", "agent", "supervisor", "all")
                      for s in (("KILL", "SEGV") if k not in ("supervisor", "all") else ("KILL",))
                      for m in ("idle", "ack", "stream", "restart")]


def test_retry_is_announced(t):
    """The agent dies mid-turn: within a second the client knows, and the turn is tried once more."""
    g = t.gateway()
    c = g.client()
    run = send(c, "keep me posted [fake ok chunks=6 gate=post at=3 times=1]")
    c.chat(run, "delta")
    mark = len(c.ws.frames)
    g.kill("agent")
    began = time.monotonic()
    told = c.event(lambda f: f["payload"].get("runId") == run and (
        (f["event"] == "agent" and f["payload"].get("stream") == "run_status" and
         f["payload"]["data"].get("phase") == "retrying") or
        (f["event"] == "chat" and f["payload"].get("state") == "status" and f["payload"].get("retry"))),
        "the retry is announced", timeout=5, start=mark)
    took = time.monotonic() - began
    assert took < 1.0, "announced after %.2f s: %r" % (took, told)
    assert one_outcome(c, run) == "final"
    assert len(t.fake.calls("keep me posted")) == 2
    deltas = [p for p in c.chats(run) if p["state"] == "delta"]
    shown = ""
    for p in deltas:
        shown = p["deltaText"] if p.get("replace") else shown + p["deltaText"]
        assert text_of(p["message"]) == shown, "a client that appends deltas sees %r, message says %r" % (
            shown, text_of(p["message"]))
    final = text_of(c.chat(run, "final")["message"])
    assert final.split() == ["word%d" % i for i in range(6)], final


def test_poison_turn_fails_once(t):
    """A turn whose agent dies both times is shown as failed, exactly once, and takes nothing with it."""
    g = t.gateway()
    c = g.client()
    run = send(c, "deadly words here [fake ok chunks=6 gate=never at=2]")
    for n in (1, 2):
        t.fake.wait("deadly words", "gated", count=n)
        old = g.kill("agent")
        g.wait_replaced("agent", old)
    assert one_outcome(c, run) == "error"
    assert verdict(t, g, c, run, "deadly words") == "error"
    assert len(t.fake.calls("deadly words")) == 2
    assert c.turn(SESSION, "life goes on [fake ok chunks=2]")[1]["state"] == "final"


def test_hub_death_keeps_connections(t):
    """Many clients, idle and asking: none is disconnected, each gets its answer, events go on without a hole."""
    g = t.gateway()
    clients = [g.client() for _ in range(10)]
    run = send(clients[0], "stay on the line [fake ok chunks=4 gate=line at=2 times=1]")
    t.fake.wait("stay on the line", "gated")
    old = g.kill("hub")
    asked = [c.start("sessions.list", {}) for c in clients]
    g.wait_replaced("hub", old)
    t.fake.gate("line")
    for c, request in zip(clients, asked):
        res = c.answer(request)
        assert res["ok"] or res["error"].get("retryable"), res
        assert c.ask("sessions.list", {})["count"] >= 1
    for c in clients:
        assert one_outcome(c, run) == "final"
        assert c.open
        c.check_seq()
    assert verdict(t, g, clients[0], run, "stay on the line") == "ok"


def lanes_empty(c):
    return not any(x["activeCount"] or x["queuedCount"] for x in c.ask("diagnostics.lanes")["lanes"])


def test_result_before_its_second_submission(t):
    """An agent has a result that no hub took; the new hub submits the turn again before it hears of it. The lane gets free."""
    g = t.gateway(workers={"agents": 1})
    c = g.client()
    run = send(c, "done before you ask [fake ok chunks=4 gate=early at=2 times=1]")
    t.fake.wait("done before you ask", "gated")
    hub, agent = g.worker("hub"), g.worker("agent")
    os.kill(hub, signal.SIGSTOP)
    t.fake.gate("early")
    t.fake.wait("done before you ask", "done")
    until(lambda: stat_of(agent)[0] == "S", "the agent has heard the end")
    time.sleep(0.1)  # told the supervisor, too; if not yet, the test only shows less
    os.kill(agent, signal.SIGSTOP)
    try:
        os.kill(hub, signal.SIGKILL)
        g.wait_log(lambda l: l.get("event") == "runs.resumed", "the new hub takes up the run")
    finally:
        os.kill(agent, signal.SIGCONT)
    assert one_outcome(c, run) == "final"
    assert verdict(t, g, c, run, "done before you ask") == "ok"
    until(lambda: lanes_empty(c), "no job is left in a lane")
    assert c.turn(SESSION, "and the next one [fake ok chunks=2]")[1]["state"] == "final"


def test_steered_thrice_is_over(t):
    """A run that went on twice with what was said meanwhile has ended: a restart takes nothing of it up again."""
    g = t.gateway()
    c = g.client()
    run = send(c, "part one of it [fake ok chunks=2 gate=one at=1]")
    t.fake.wait("part one of it", "gated")
    c.send(SESSION, "part two of it [fake ok chunks=2 gate=two at=1]")
    t.fake.gate("one")
    t.fake.wait("part two of it", "gated")
    c.send(SESSION, "part three of it [fake ok chunks=2]")
    t.fake.gate("two")
    assert one_outcome(c, run) == "final"
    before = c.history(SESSION)
    before = c.history(SESSION)
    assert [m["role"] for m in before] == ["user", "assistant"] * 3, before
    g.kill("all")
    g.start()
    c = g.client_soon()
    assert c.turn(SESSION, "part four of it [fake ok chunks=2]")[1]["state"] == "final"
    after = c.history(SESSION)
    assert after[:6] == before and [m["role"] for m in after[6:]] == ["user", "assistant"], after[6:]
    assert len(t.fake.calls("part three of it")) == 1


def test_slow_front_hears_the_end(t):
    """The hub dies and comes back while the front stands still; the turn ends meanwhile. Its end waits for the front."""
    g = t.gateway()
    clients = [g.client() for _ in range(3)]
    run = send(clients[0], "wait for the front [fake ok chunks=4 gate=slow at=2 times=1]")
    t.fake.wait("wait for the front", "gated")
    front = g.worker("front")
    os.kill(front, signal.SIGSTOP)
    try:
        old = g.kill("hub")
        t.fake.gate("slow")
        t.fake.wait("wait for the front", "done")
        g.wait_replaced("hub", old)
        time.sleep(0.3)  # long enough for a hub that does not wait
    finally:
        os.kill(front, signal.SIGCONT)
    for c in clients:
        assert one_outcome(c, run) == "final"
        assert c.open
        c.check_seq()
    assert verdict(t, g, clients[0], run, "wait for the front") == "ok"


def test_front_death_is_local(t):
    """With two fronts the death of one leaves the other's connections alone."""
    g = t.gateway(workers={"fronts": 2})
    clients = [g.client() for _ in range(10)]
    assert len(g.workers("front")) == 2, g.workers()
    run = send(clients[0], "who is still here [fake ok chunks=4 gate=here at=2]")
    t.fake.wait("who is still here", "gated")
    g.kill("front")
    gone = until(lambda: [c for c in clients if not c.open], "the dead front's connections are closed")
    t.fake.gate("here")
    stay = [c for c in clients if c.open]
    assert 0 < len(stay) < 10, "%d of 10 connections survived" % len(stay)
    for c in stay:
        assert c.chat(run, TERMINAL)["state"] == "final"
        c.check_seq()
    c = g.client_soon()
    assert verdict(t, g, c, run, "who is still here") == "ok"
    assert len(stay) + len([x for x in clients if not x.open]) == 10
    del gone


def test_acknowledged_means_durable(t):
    """Messages acknowledged up to the very moment of the power cut are all there, in order, once."""
    g = t.gateway()
    c = g.client()
    texts, runs = [], []
    for i in range(30):
        text = "durable line %02d! [fake ok chunks=1]" % i
        runs.append(c.send("agent:main:d%d" % (i % 5), text))
        texts.append(text)
    g.kill("all")
    g.start()
    c = g.client_soon()
    for i, run in enumerate(runs):
        assert c.ask("agent.wait", {"runId": run, "timeoutMs": 18000})["status"] in ("ok", "error"), i
    for s in range(5):
        users = [text_of(m) for m in c.history("agent:main:d%d" % s) if m["role"] == "user"]
        want = ["durable line %02d!" % i for i in range(30) if i % 5 == s]
        for w in want:
            assert sum(w in u for u in users) == 1, (w, users)


def test_repeated_power_cuts(t):
    """Five cuts in a row with a turn under way: the store opens each time and the turn ends once."""
    g = t.gateway()
    c = g.client()
    run = send(c, "never give up [fake ok chunks=3 first=150]")
    for _ in range(5):
        g.kill("all")
        g.start()
    c = g.client_soon()
    done = c.ask("agent.wait", {"runId": run, "timeoutMs": 18000})
    assert done["status"] in ("ok", "error"), done
    users = [m for m in c.history(SESSION) if m["role"] == "user"]
    assert len(users) == 1, users
    assert c.turn(SESSION, "after five cuts [fake ok chunks=1]")[1]["state"] == "final"


def test_workers_end_with_the_supervisor(t):
    g = t.gateway()
    pids = list(g.workers())
    assert {g.workers()[p] for p in pids} >= {"front", "hub", "agent"}, g.workers()
    os.kill(g.pid, signal.SIGKILL)
    g.reap_all([g.pid] + pids)
    g.start()
    assert g.client().ask("health")["ok"]


def test_second_gateway_is_refused(t):
    g = t.gateway()
    from gateway import Gateway
    other = Gateway(g.build, g.folder, g.config)
    code, out = other.run()
    assert code not in (0, None) and code < 128, "exit code %r" % code
    assert str(g.pid) in out, "the holder (pid %d) is not named: %s" % (g.pid, out)
    assert g.client().ask("health")["ok"]


def test_stale_lock_does_not_matter(t):
    g = t.gateway()
    g.kill("all")
    g.start()
    assert g.client().ask("health")["ok"]


def test_start_right_after_a_cut(t):
    """A supervisor killed at any point of its start, between fork and exec too, does not keep the next one out."""
    g = t.new_gateway()
    g.asan = ":detect_leaks=0"  # a leak check that is killed complains
    for i in range(25):
        began = len(g.lines)
        g.start(wait=False)
        time.sleep(0.001 * i)
        g.proc.kill()
        g.proc.wait()  # not its children: they may still be on their way
        assert not [l for l in g.lines[began:] if l["event"] == "gateway.not_started"], g.lines[began:]
    g.start()
    assert g.client().ask("health")["ok"]
    assert not [l for l in g.lines if l["event"] == "gateway.not_started"], g.lines


def test_port_in_use(t):
    g = t.gateway()
    other = t.new_gateway()
    other.port = g.port
    code, out = other.run()
    assert code not in (0, None) and code < 128, code
    assert str(g.port) in out, out


def test_drain(t):
    """SIGTERM during a turn: it finishes, then shutdown, 1012, exit 0."""
    g = t.gateway()
    c = g.client()
    run = send(c, "let me finish [fake ok chunks=4 gate=fin at=2]")
    t.fake.wait("let me finish", "gated")
    g.terminate()
    g.wait_log(lambda l: "stop" in l["event"] or "drain" in l["event"] or "shutdown" in l["event"], "the stop is logged")
    t.fake.gate("fin")
    assert c.chat(run, TERMINAL)["state"] == "final"
    c.event(lambda f: f["event"] == "shutdown", "shutdown")
    assert c.ws.wait_close() == (1012, "service restart")
    assert g.wait_exit() == 0
    c.check_seq()
    g.start()
    c = g.client()
    assert verdict(t, g, c, run, "let me finish") == "ok"


def test_drain_is_bounded(t):
    """A turn that does not finish within drainMs does not hold the exit; it is retried or failed after the restart."""
    g = t.gateway(shutdown={"drainMs": 300})
    c = g.client()
    run = send(c, "takes for ever [fake ok chunks=4 gate=ever at=2 times=1]")
    t.fake.wait("takes for ever", "gated")
    g.terminate()
    assert c.ws.wait_close() == (1012, "service restart")
    assert g.wait_exit() == 0
    g.start()
    c = g.client()
    done = c.ask("agent.wait", {"runId": run, "timeoutMs": 18000})
    assert done["status"] in ("ok", "error"), done
    assert len([m for m in c.history(SESSION) if m["role"] == "user"]) == 1


def test_crash_loop_backs_off(t):
    """An agent that dies at once, again and again, is not restarted in a tight loop, and the rest serves."""
    g = t.gateway()
    c = g.client()
    seen = set()
    end = time.monotonic() + 4
    while time.monotonic() < end:
        for pid in g.workers("agent"):
            seen.add(pid)
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        time.sleep(0.01)
    assert len(seen) < 15, "%d agents were started within 4 s" % len(seen)
    assert c.open and c.ask("health")["ok"]
    run = c.send(SESSION, "when the storm is over [fake ok chunks=1]")
    assert c.chat(run, TERMINAL, timeout=40)["state"] == "final"


def test_hung_worker_is_replaced(t):
    """SIGSTOP: a worker that does not answer is replaced within hangMs."""
    g = t.gateway(workers={"heartbeatMs": 100, "hangMs": 600})
    c = g.client()
    for kind in ("agent", "hub"):
        old = g.kill(kind, signal.SIGSTOP)
        g.wait_replaced(kind, old)
    assert c.open
    assert c.turn(SESSION, "no hard feelings [fake ok chunks=1]")[1]["state"] == "final"


def test_recovery_time(t):
    """From the kill to the first answer that needs the killed class (robustness: p50 50 ms, max 1 s)."""
    g = t.gateway()
    c = g.client()
    took = {"hub": [], "agent": []}
    for _ in range(7):
        for kind in took:
            old = g.kill(kind)
            began = time.monotonic()
            if kind == "hub":
                while True:
                    try:
                        c.ask("sessions.list", {})
                        break
                    except Refused:
                        time.sleep(0.005)
            else:
                run, end = c.turn("agent:main:r", "quick as you can [fake ok chunks=1]")
                assert end["state"] == "final"
            took[kind].append(time.monotonic() - began)
            g.wait_replaced(kind, old)
            time.sleep(0.2)  # more than five deaths in ten seconds may back off: that is another test
    report = {k: ["%d ms" % (1000 * v) for v in sorted(vs)] for k, vs in took.items()}
    print(report)
    assert all(max(vs) < 6 for vs in took.values()), report


__all__ = ["Closed", "Timeout", "stat_of"]
