"""What a channel's messages do while their session is busy, in groups, and by command; nothing of it is lost by a kill.

A turn is held at a gate of the fake model, so that "busy" is an event and not a time.
"""
import time

from client import text_of
from gateway import until
from test_delivery import drained, setup


def start(t, accounts=None, **sections):
    g, p = setup(t, accounts or {"default": {"clientIds": True}}, start=False)
    config = dict(g.config)
    config["messages"] = {"queue": {"debounceMs": 20}}
    for name, section in sections.items():
        config[name] = dict(config.get(name, {}), **section) if isinstance(section, dict) else section
    g.write_config(config)
    g.start()
    return g, p["default"] if not accounts else p


def queue(mode, **more):
    return {"queue": dict({"mode": mode, "debounceMs": 20}, **more)}


def hold(t, a, name="g1", to="7", **peer):
    """A turn of that conversation that waits at a gate."""
    a.write("hold-" + name, "hold %s [fake ok chunks=2 gate=%s at=1]" % (name, name), to=to, **peer)
    t.fake.wait("hold " + name, "gated")


def acked(a, *ids):
    until(lambda: set(ids) <= set(a.lines("acks.log")), "%s are taken" % (ids,))


def users(c, key="main"):
    return [text_of(m) for m in c.history(key) if m["role"] == "user"]


def prompts(t, part):
    return t.fake.calls(part)


def test_collect(t):
    """Those that wait are one turn with one answer, those of another conversation have their own."""
    g, a = start(t, messages=queue("collect"))
    hold(t, a)
    for i in range(3):
        a.write("c%d" % i, "collected %d [fake ok chunks=1]" % i, to="7", replyTo="m%d" % i)
    a.write("other", "elsewhere [fake ok chunks=1]", to="8")
    acked(a, "c0", "c1", "c2", "other")
    t.fake.gate("g1")
    until(lambda: len(a.sent()) == 3, "all are answered")
    drained(g.client())
    assert [(m["to"], m.get("replyTo")) for m in a.sent()] == [("7", None), ("7", "m2"), ("8", None)], a.sent()
    assert len(prompts(t, "collected")) == 1
    assert [u.split(" [")[0] for u in users(g.client())] == ["hold g1", "collected 0", "collected 1", "collected 2", "elsewhere"]


def test_followup_and_steer(t):
    """Each has a turn of its own, in order; a message cannot be told in the middle of a turn without tools."""
    g, a = start(t, messages=queue("followup"))
    for mode in ("followup", "steer"):
        a.write("q-" + mode, "/queue %s" % mode, to="7")
        acked(a, "q-" + mode)
        drained(g.client())
        before = len(a.sent())
        hold(t, a, mode)
        for i in range(3):
            a.write("%s%d" % (mode, i), "%s %d [fake ok chunks=1 text=%s%d]" % (mode, i, mode, i), to="7")
        acked(a, *("%s%d" % (mode, i) for i in range(3)))
        t.fake.gate(mode)
        until(lambda: len(a.sent()) == before + 4, "all are answered")
        assert [x.strip() for x in a.texts()[before + 1:]] == ["%s%d0" % (mode, i) for i in range(3)], a.texts()


def test_interrupt(t):
    """The turn under way ends unanswered, the newest message is answered."""
    g, a = start(t, messages={"queue": {"mode": "steer", "byChannel": {"fake": "interrupt"}}})
    hold(t, a)
    a.write("n", "never mind, this instead [fake ok chunks=1 text=new]", to="7")
    until(lambda: a.sent(), "it is answered")
    assert a.texts() == ["new0"], a.texts()
    t.fake.gate("g1")
    drained(g.client())
    assert a.texts() == ["new0"]


def drop_case(t, drop):
    g, a = start(t, messages=queue("followup", cap=2, drop=drop))
    hold(t, a)
    for i in range(5):
        a.write("d%d" % i, "number %d of the flood [fake ok chunks=1 text=a%d-]" % (i, i), to="7")
        acked(a, "d%d" % i)
    t.fake.gate("g1")
    until(lambda: len(a.sent()) == 3, "what is left is answered")
    drained(g.client())
    return [x.strip() for x in a.texts()[1:]], users(g.client())


def test_drop_old(t):
    answers, said = drop_case(t, "old")
    assert answers == ["a3-0", "a4-0"], answers
    for i in range(5):  # what was dropped stays in the transcript, once
        assert sum("number %d of" % i in u for u in said) == 1, said


def test_drop_new(t):
    answers, said = drop_case(t, "new")
    assert answers == ["a0-0", "a1-0"], answers
    for i in range(5):
        assert sum("number %d of" % i in u for u in said) == 1, said


def test_drop_summarize(t):
    answers, said = drop_case(t, "summarize")
    assert answers == ["a3-0", "a4-0"], answers
    short = [u for u in said if u.startswith("[3 earlier messages were left out")]
    assert len(short) == 1 and all("- number %d of the flood" % i in short[0] for i in (1, 2)), said  # as many lines as the cap
    rest = [u for u in said if u not in short]
    for i in range(5):
        assert sum("number %d of" % i in u for u in rest) == 1, said
    assert said.index(short[0]) < said.index([u for u in rest if "number 3" in u][0])


def test_dropped_words_are_not_trusted(t):
    """An owner's turn that tells what somebody else's dropped message said has that one's tools."""
    g, a = start(t, messages=queue("followup", cap=2, drop="summarize"))
    c = g.client()
    hold(t, a)
    a.write("d0", "stranger [fake ok chunks=1]", to="7")
    acked(a, "d0")
    c.send("agent:main:main", "owner [fake ok chunks=1]")
    a.write("d1", "another [fake ok chunks=1]", to="7")
    acked(a, "d1")
    t.fake.gate("g1")
    (asked,) = t.fake.wait("owner [fake", "done")
    assert any("- stranger" in str(m["content"]) for m in asked["asked"]["messages"]), asked
    assert "gateway" not in [x["function"]["name"] for x in asked["asked"]["tools"]], asked


def test_queue_survives_kills(t):
    """Order, what was dropped and what is told of it are the same after everything died."""
    g, a = start(t, messages=queue("followup", cap=2, drop="summarize"))
    hold(t, a)
    for i in range(4):
        a.write("k%d" % i, "kill %d [fake ok chunks=1 text=k%d-]" % (i, i), to="7")
        acked(a, "k%d" % i)
    old = g.kill("hub")
    g.wait_replaced("hub", old)
    a.write("k4", "kill 4 [fake ok chunks=1 text=k4-]", to="7")
    acked(a, "k4")
    g.kill("all")
    t.fake.gate("g1")
    g.start()
    c = g.client_soon()
    until(lambda: len(a.sent()) >= 3, "what is left is answered", timeout=30)
    drained(c)
    assert [x.strip() for x in a.texts()[1:]] == ["k3-0", "k4-0"], a.texts()
    said = users(c)
    assert sum(u.startswith("[3 earlier messages") for u in said) == 1, said
    for i in range(5):
        assert sum(u.startswith("kill %d " % i) for u in said) == 1, said


def test_gather(t):
    """messages.inbound.debounceMs: a burst of one sender is one turn; somebody else ends the pause at once."""
    g, a = start(t, messages={"inbound": {"debounceMs": 400}})
    for i in range(3):
        a.write("b%d" % i, "burst %d [fake ok chunks=1]" % i, to="7")
    acked(a, "b0", "b1", "b2")
    assert prompts(t, "burst") == [] and a.sent() == []  # on disk, and nobody was asked yet
    until(lambda: a.sent(), "the burst is answered")
    drained(g.client())
    assert len(a.sent()) == 1 and len(prompts(t, "burst")) == 1
    g.kill("hub")
    c = g.client_soon()
    assert [u.split(" [")[0] for u in users(c)] == ["burst 0", "burst 1", "burst 2"]


def test_gather_survives_kill(t):
    g, a = start(t, messages={"inbound": {"debounceMs": 3000}})
    a.write("b0", "burst 0 [fake ok chunks=1]", to="7")
    a.write("b1", "burst 1 [fake ok chunks=1]", to="7")
    acked(a, "b0", "b1")
    g.kill("all")
    g.start()
    until(lambda: a.sent(), "the burst is answered", timeout=30)
    drained(g.client_soon())
    assert len(a.sent()) == 1 and len(users(g.client())) == 2


def test_clients_are_told_to_come_later(t):
    """A client of the gateway is refused when the queue is full; what it was told was accepted is never dropped."""
    g, a = start(t, messages=queue("followup", cap=2, drop="old"))
    c = g.client()
    hold(t, a)
    for i in range(2):
        c.send("main", "client %d [fake ok chunks=1]" % i, queueMode="followup")
    e = c.refused("chat.send", {"sessionKey": "main", "message": "one more", "idempotencyKey": "more", "queueMode": "followup"})
    assert e.code == "UNAVAILABLE" and "wait in this session already" in e.message, e
    a.write("in", "from the channel [fake ok chunks=1]", to="7")
    acked(a, "in")
    t.fake.gate("g1")
    until(lambda: len(a.sent()) == 2, "the channel's are answered")
    until(lambda: sum("client" in u for u in users(c)) == 2, "the client's had their turns")


def test_queue_command(t):
    """/queue holds for the session, from a channel and from a client, and over a restart."""
    g, a = start(t)
    c = g.client()
    a.write("q", "/queue collect debounce:0.05s cap:7 drop:new", to="7")
    until(lambda: a.sent(), "it is answered")
    assert a.texts() == ["Queue is now: collect, debounce 50 ms, at most 7 waiting, drop new."], a.texts()
    old = g.kill("hub")
    g.wait_replaced("hub", old)
    hold(t, a)
    for i in range(2):
        a.write("c%d" % i, "collected %d [fake ok chunks=1]" % i, to="7")
    acked(a, "c0", "c1")
    t.fake.gate("g1")
    until(lambda: len(a.sent()) == 3, "they are answered together")
    row = c.ask("sessions.describe", {"key": "main"})["session"]
    assert row["effectiveQueueMode"] == "collect", row
    a.write("q2", "/queue nonsense", to="7")
    until(lambda: len(a.sent()) == 4, "it is answered")
    assert "not understood" in a.texts()[-1]
    run = c.send("main", "/queue default")
    c.chat(run, ("final",))
    assert c.ask("sessions.describe", {"key": "main"})["session"]["effectiveQueueMode"] == "steer"
    assert all("/queue" not in x["prompt"] for x in t.fake.calls(""))


GROUP = dict(kind="group", to="g1")


def test_group_activation(t):
    """A mention, a reply, a pattern, a name, a command: all others are told with the next one."""
    g, a = start(t, agents={"list": [{"id": "main", "default": True, "identity": {"name": "Claw-d"}}]})
    say = lambda i, text, **more: a.write("g%d" % i, text, **dict(GROUP, senderId="s1", senderName="Ann", **more))
    say(1, "nobody is meant")
    say(2, "clawdia is somebody else")
    say(3, "hey @CLAW-D, all well? [fake ok chunks=1]")
    until(lambda: len(a.sent()) == 1, "the name counts")
    c = g.client()
    key = "agent:main:fake:group:g1"
    said = users(c, key)
    assert len(said) == 2 and said[0].startswith("[Chat messages since your last reply"), said
    assert "Ann: nobody is meant\nAnn: clawdia is somebody else\n" in said[0], said
    assert said[1].startswith("Ann: hey @CLAW-D"), said
    say(4, "a reply [fake ok chunks=1]", repliesToUs=True)
    until(lambda: len(a.sent()) == 2, "a reply counts")
    assert len(users(c, key)) == 3, "what was told once is not told again"
    say(5, "/activation always")  # not by anybody
    say(6, "/activation always", commands=True)
    until(lambda: len(a.sent()) == 3, "the command is answered")
    say(7, "nobody again [fake ok chunks=1]")
    until(lambda: len(a.sent()) == 4, "everything counts now")
    say(8, "stay silent [fake ok chunks=1 text=NO_REPLY]")
    assert set("g%d" % i for i in range(1, 8)) <= set(a.lines("acks.log"))


def test_group_patterns(t):
    """Patterns of the agent; a wrong one is passed over, an endless one costs little and counts as none."""
    g, a = start(t, agents={"list": [{"id": "main", "default": True, "groupChat": {
        "mentionPatterns": ["(", "^(a+)+$", r"\bbot\b"], "historyLimit": 2}}]})
    say = lambda i, text, **more: a.write("g%d" % i, text, **dict(GROUP, senderId="s1", **more))
    say(0, "a" * 3000 + "!")
    for i in range(1, 4):
        say(i, "kept %d robots" % i)
    say(4, "Bot: answer [fake ok chunks=1]")
    until(lambda: a.sent(), "the pattern counts")
    said = users(g.client(), "agent:main:fake:group:g1")
    assert "kept 2" in said[0] and "kept 3" in said[0] and "kept 1" not in said[0], said


def test_group_context_survives(t):
    g, a = start(t)
    a.write("g1", "said before [x]", senderName="Bo", senderId="b", **GROUP)
    acked(a, "g1")
    g.kill("all")
    g.start()
    a.write("g2", "now you [fake ok chunks=1]", mentioned=True, senderName="Bo", senderId="b", **GROUP)
    until(lambda: a.sent(), "it is answered", timeout=30)
    said = users(g.client_soon(), "agent:main:fake:group:g1")
    assert len(said) == 2 and "Bo: said before [x]" in said[0], said


def test_mentions_first(t):
    """Who addresses the agent goes before those who do not; nobody overtakes himself."""
    g, a = start(t, messages=queue("followup"))
    peer = dict(GROUP, requireMention=False)
    hold(t, a, senderId="a", **peer)
    rows = [("w0", "x", {}), ("w1", "y", {}), ("w2", "y", {"repliesToUs": True}), ("w3", "z", {"mentioned": True}),
            ("w4", "x", {"mentioned": True})]
    for name, who, more in rows:
        a.write(name, "%s [fake ok chunks=1 text=%s-]" % (name, name), senderId=who, **dict(peer, **more))
        acked(a, name)
    t.fake.gate("g1")
    until(lambda: len(a.sent()) == 6, "all are answered")
    assert [x.strip() for x in a.texts()[1:]] == ["w3-0", "w0-0", "w4-0", "w1-0", "w2-0"], a.texts()


def test_send_policy(t):
    """A denied session is heard and not answered; clients are told."""
    g, a = start(t, session={"sendPolicy": {"rules": [{"action": "deny", "match": {"channel": "fake", "chatType": "group"}}]}})
    c = g.client()
    a.write("g1", "quiet here [fake ok chunks=1]", mentioned=True, **GROUP)
    a.write("d1", "loud there [fake ok chunks=1]", to="7")
    until(lambda: a.sent(), "the direct one is answered")
    key = "agent:main:fake:group:g1"
    until(lambda: len(c.history(key)) == 2, "the other one had its turn, too")
    drained(c)
    assert [m["to"] for m in a.sent()] == ["7"]
    e = c.refused("chat.send", {"sessionKey": key, "message": "hi", "idempotencyKey": "x1"})
    assert e.message == "send blocked by session policy", e
    c.ask("sessions.patch", {"key": key, "sendPolicy": "allow"})
    a.write("g2", "and now [fake ok chunks=1]", mentioned=True, **GROUP)
    until(lambda: [m["to"] for m in a.sent()] == ["7", "g1"], "its own word wins")


def test_last_route(t):
    """Where a session was last spoken to from; in a shared main session the owner alone moves it."""
    g, a = start(t)
    c = g.client()
    route = lambda: c.ask("sessions.describe", {"key": "main"})["session"].get("deliveryContext")
    a.write("r1", "owner [fake ok chunks=1]", to="7", ownerId="7", threadId="t1")
    until(lambda: len(a.sent()) == 1, "it is answered")
    assert route() == {"channel": "fake", "to": "7", "accountId": "default", "threadId": "t1"}, route()
    a.write("r2", "guest [fake ok chunks=1]", to="8", ownerId="7")
    until(lambda: len(a.sent()) == 2, "it is answered")
    assert route()["to"] == "7", route()
    a.write("r3", "guest [fake ok chunks=1]", to="8")
    until(lambda: len(a.sent()) == 3, "it is answered")
    assert route() == {"channel": "fake", "to": "8", "accountId": "default"}, route()
    c.turn("main", "from a client [fake ok chunks=1]")
    assert route()["to"] == "8"


def test_reset_by_itself_and_by_trigger(t):
    g, a = start(t, session={"reset": {"mode": "idle", "idleMinutes": 1}, "resetTriggers": ["/fresh"]})
    a.write("r1", "first [fake ok chunks=1]", to="7")
    until(lambda: len(a.sent()) == 1, "it is answered")
    a.write("r2", "/fresh start over [fake ok chunks=1]", to="7")
    until(lambda: len(a.sent()) == 2, "it is answered")
    assert [u.split(" [")[0] for u in users(g.client())] == ["start over"], users(g.client())
    a.write("r3", "/new", to="7")
    until(lambda: len(a.sent()) == 3, "it is answered")
    assert a.texts()[-1] == "New session started."


def test_stop_bypasses(t):
    g, a = start(t, messages=queue("followup"))
    hold(t, a)
    a.write("w", "waits [fake ok chunks=1]", to="7")
    acked(a, "w")
    began = time.monotonic()
    a.write("s", "stop", to="7")
    acked(a, "s")
    t.fake.wait("hold g1", "gone")
    assert a.sent() == [] and time.monotonic() - began < 60
