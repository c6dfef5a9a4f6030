"""Who waits for whom: counted in starts of turns, as the model sees them."""
from gateway import until
from test_delivery import drained
from test_queue import GROUP, acked, start


def order(t, part):
    return [x["prompt"].split(" [")[0].split(": ")[-1] for x in t.fake.calls(part)]


def one_at_a_time(t, **messages):
    return start(t, agents={"defaults": {"model": {"primary": "mock/mock-1", "fallbacks": []}, "maxConcurrent": 1}},
                 messages=messages)


def test_flood_waits_for_others(t):
    """A session that floods delays another session's first message by one run at most."""
    g, a = one_at_a_time(t, queue={"mode": "followup", "debounceMs": 0, "cap": 100})
    flood = dict(GROUP, requireMention=False)
    a.write("f0", "turn flood 0 [fake ok chunks=2 gate=g at=1]", **flood)
    t.fake.wait("turn flood 0", "gated")
    for i in range(1, 31):
        a.write("f%d" % i, "turn flood %d [fake ok chunks=1]" % i, **flood)
    acked(a, "f30")
    for i in range(3):
        a.write("o%d" % i, "turn other %d [fake ok chunks=1]" % i, kind="group", to="other%d" % i, requireMention=False)
    acked(a, "o2")
    t.fake.gate("g")
    until(lambda: len(a.sent()) == 34, "all are answered", timeout=30)
    seen = order(t, "turn ")
    for i in range(3):  # behind the turn under way, one more of the flood, and the others before it
        assert seen.index("turn other %d" % i) <= 2 + i, seen
    assert [x for x in seen if "flood" in x] == ["turn flood %d" % i for i in range(31)], seen


def test_lanes_do_not_wait(t):
    """A full lane main delays no other lane; a session's kind says its lane."""
    g, a = one_at_a_time(t)
    c = g.client()
    c.send("main", "busy [fake ok chunks=2 gate=g at=1]")
    t.fake.wait("busy", "gated")
    for key, lane in (("agent:main:cron:job1", None), ("agent:main:subagent:x1", None), ("agent:main:n1", "nested"),
                      ("agent:main:n2", "cron")):
        params = {"message": "lane of %s [fake ok chunks=1]" % key, "sessionKey": key, "idempotencyKey": key, "agentId": "main"}
        if lane:
            params["lane"] = lane
        request = c.start("agent", params)
        final = c.answer(request, nth=2)
        assert final["payload"]["status"] == "ok", final
    run = c.send("agent:main:foo", "waits [fake ok chunks=1]")
    until(lambda: any(l["lane"] == "main" and l["queuedCount"] == 1 for l in c.ask("diagnostics.lanes")["lanes"]),
          "it waits in main")
    assert t.fake.calls("waits") == []
    t.fake.gate("g")
    c.chat(run, ("final",))


def test_hanging_run_ends(t):
    """A run that hangs is ended by its timeout, and the session goes on with what waits."""
    g, a = start(t, agents={"defaults": {"model": {"primary": "mock/mock-1", "fallbacks": []}, "timeoutSeconds": 1}},
                 messages={"queue": {"mode": "followup", "debounceMs": 0}})
    a.write("h", "hangs [fake stall]", to="7")
    t.fake.wait("hangs", "started")
    a.write("n", "comes after it [fake ok chunks=1 text=done]", to="7")
    until(lambda: "done0" in a.texts(), "the next one is answered", timeout=30)
    drained(g.client())
    assert len(a.sent()) == 2 and a.texts()[1] == "done0", a.texts()  # the person is told of the first, too


def test_deliver_to_last(t):
    """agent with deliver: to where the session was last spoken to from, or where the caller says."""
    g, a = start(t)
    c = g.client()
    ask = lambda key, **more: c.start("agent", dict({"message": "say it [fake ok chunks=1 text=%s]" % key, "idempotencyKey": key,
                                                     "deliver": True}, **more))
    e = c.refused("agent", {"message": "x", "idempotencyKey": "k0", "deliver": True})
    assert e.code == "INVALID_REQUEST" and "deliver" in e.message, e
    a.write("u", "hello [fake ok chunks=1]", to="7", threadId="t1")
    until(lambda: len(a.sent()) == 1, "it is answered")
    c.answer(ask("k1"), nth=2)
    until(lambda: len(a.sent()) == 2, "it is delivered")
    assert (a.sent()[1]["to"], a.sent()[1].get("thread")) == ("7", "t1"), a.sent()
    c.answer(ask("k2", channel="fake", to="9"), nth=2)
    until(lambda: len(a.sent()) == 3, "it is delivered")
    assert (a.sent()[2]["to"], a.sent()[2].get("thread")) == ("9", None), a.sent()
    c.answer(ask("k3", deliver=False), nth=2)
    drained(c)
    assert len(a.sent()) == 3
