"""Which agent answers a message of a channel, and under which session key: every kind of binding, through a real channel
process (tests/fake/channel.c says who wrote what where)."""
from client import text_of
from gateway import until
from test_delivery import setup

AGENTS = [{"id": "main", "default": True}] + [{"id": a} for a in (
    "peer", "parent", "wild", "roles", "guild", "team", "acct", "chan")]


def bind(agent, session=None, **match):
    out = {"agentId": agent, "match": dict({"channel": "fake"}, **match)}
    if session:
        out["session"] = session
    return out


BINDINGS = [
    bind("chan", accountId="*"),
    bind("acct"),
    bind("acct", accountId="b"),
    bind("team", accountId="*", teamId="T1"),
    bind("guild", accountId="*", guildId="G1"),
    bind("roles", accountId="*", guildId="G1", roles=["r1", 7]),
    bind("wild", accountId="*", peer={"kind": "channel", "id": "*"}, guildId="G9"),
    bind("peer", accountId="*", peer={"kind": "group", "id": 1234}),
    bind("parent", accountId="*", peer={"kind": "channel", "id": "P1"}),
]
# account, what the channel says, session key
ROUTES = [
    ("a", dict(kind="direct", to="7"), "agent:chan:main"),
    ("b", dict(kind="direct", to="7"), "agent:acct:main"),
    ("b", dict(kind="direct", to="7", teamId="T1"), "agent:team:main"),
    ("a", dict(kind="group", to="g5", guildId="G1"), "agent:guild:fake:group:g5"),
    ("a", dict(kind="group", to="g5", guildId="G1", roles=["x", "r1"]), "agent:roles:fake:group:g5"),
    ("a", dict(kind="channel", to="C7", guildId="G9"), "agent:wild:fake:channel:c7"),
    ("a", dict(kind="group", to="1234", guildId="G1"), "agent:peer:fake:group:1234"),
    ("a", dict(kind="channel", to="T5", parentKind="channel", parentId="P1", guildId="G1"), "agent:parent:fake:channel:t5"),
    ("a", dict(kind="channel", to="C8", keyThread="TH-1"), "agent:chan:fake:channel:c8:thread:th-1"),
]


def gateway(t, conf, accounts=("a", "b")):
    g, p = setup(t, {a: {"clientIds": True} for a in accounts}, start=False)
    config = dict(g.config, **conf)
    config["agents"] = dict(g.config["agents"], list=AGENTS)
    g.write_config(config)
    g.start()
    return g, p


def users(c, key):
    return [text_of(m) for m in c.history(key) if m["role"] == "user"]


def test_every_binding(t):
    g, p = gateway(t, {"bindings": BINDINGS})
    for i, (account, peer, key) in enumerate(ROUTES):
        p[account].write("u%d" % i, "route number %d. [fake ok chunks=1]" % i, mentioned=True, **peer)
    until(lambda: len(p["a"].sent()) + len(p["b"].sent()) == len(ROUTES), "all are answered", timeout=30)
    c = g.client()
    for i, (account, peer, key) in enumerate(ROUTES):
        assert sum("route number %d." % i in x for x in users(c, key)) == 1, (i, key, users(c, key))
        assert any(m["to"] == peer["to"] for m in p[account].sent()), (i, p[account].sent())


def test_reload_routes_anew(t):
    """Bindings and scopes of a changed file hold for the next message; nothing restarts."""
    g, p = gateway(t, {}, accounts=("default",))
    a = p["default"]
    hub = g.workers("hub")
    a.write("u1", "before the change [fake ok chunks=1]", to="9")
    until(lambda: len(a.sent()) == 1, "it is answered")
    g.write_config(dict(g.config, **{"bindings": [bind("peer", {"dmScope": "per-channel-peer"}, peer={"kind": "direct", "id": "9"})],
                     "session": {"dmScope": "per-peer", "identityLinks": {"Alice": ["fake:55", "other:1"]}}}))
    c = g.client()
    until(lambda: c.ask("config.get")["parsed"].get("bindings"), "it was read again", timeout=20)
    a.write("u2", "after the change [fake ok chunks=1]", to="9")
    a.write("u3", "from alice [fake ok chunks=1]", to="55")
    until(lambda: len(a.sent()) == 3, "both are answered")
    assert any("before" in x for x in users(c, "agent:main:main"))
    assert any("after" in x for x in users(c, "agent:peer:fake:direct:9"))
    assert any("alice" in x for x in users(c, "agent:main:direct:alice"))
    assert g.workers("hub") == hub


def test_unknown_agent_is_refused(t):
    """A binding to an agent that is not there stops the start, with the key's path."""
    g, p = setup(t, start=False)
    g.write_config(dict(g.config, bindings=[bind("main"), bind("nobody")]))
    code, out = g.run()
    assert code == 2 and "bindings[1]" in out and "nobody" in out, (code, out)
