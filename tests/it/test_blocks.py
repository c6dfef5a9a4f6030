"""Block streaming: paragraphs of an answer are messages while the rest is made, each exactly once, whatever dies."""
import re

from gateway import until
from test_channels import connected, each, kill, setup

SMALL = {"blockStreamingChunk": {"minChars": 10, "maxChars": 60}, "blockStreamingCoalesce": {"minChars": 10, "maxChars": 10}}
# six paragraphs of five words; it waits in the fourth
STORY = "tell me [fake ok chunks=30 para=5 at=17 gate=%s text=w]"


def begin(t, name="external", section=None, defaults=None, **how):
    g, p = setup(t, name, start=False, section=dict({"streaming": {"mode": "off", "block": {"enabled": True}}}, **(section or {})), **how)
    g.config["agents"]["defaults"]["model"]["primary"] = "mock/mock-1"
    g.config["agents"]["defaults"].update(SMALL, **(defaults or {}))
    g.write_config(g.config)
    g.start()
    c = g.client()
    connected(c)
    return g, p, c


def words(p, letter="w"):
    """Of all that the platform shows, in its order."""
    return re.findall(r"\b%s\d+\b" % letter, "\n".join(p.texts()))


def story(n, letter="w"):
    return ["%s%d" % (letter, i) for i in range(n)]


def settled(c):
    until(lambda: c.ask("deliveries.list", {})["open"] == 0, "nothing is left to be sent", timeout=60)


def half_told(t, p, c, gate, count=1):
    t.fake.wait("tell me", "gated", count)
    until(lambda: words(p)[:15] == story(15), "three paragraphs are there before the fourth is made", timeout=60)
    settled(c)


@each
def test_paragraphs(t, name):
    """They come while the model talks; the end says the rest and nothing twice; the transcript has one answer."""
    g, p, c = begin(t, name)
    p.write("u1", STORY % "a")
    half_told(t, p, c, "a")
    assert words(p) == story(15) and len(p.sent()) == 3, p.texts()
    t.fake.gate("a")
    until(lambda: words(p) == story(30), "the whole story is there", timeout=60)
    settled(c)
    assert words(p) == story(30), p.texts()
    key = c.ask("sessions.list", {})["sessions"][0]["key"]
    answers = [m for m in c.ask("chat.history", {"sessionKey": key})["messages"] if m["role"] == "assistant"]
    assert len(answers) == 1 and answers[0]["content"][0]["text"].split() == story(30), answers


def kills(fn):
    fn.params = [(name, who) for name in ("external", "telegram") for who in ("hub", "agent", "channel")]
    return fn


@kills
def test_killed(t, name, who):
    """Whoever dies in the middle: every word is said once, in its order."""
    g, p, c = begin(t, name, **({"client_ids": True} if name == "external" else {}))
    p.write("u1", STORY % "b")
    half_told(t, p, c, "b")
    if who == "channel":
        kill(c)
    else:
        g.kill(who)
    if who == "agent":
        t.fake.wait("tell me", "gated", 2)
    t.fake.gate("b")
    until(lambda: words(p) == story(30), "the whole story is there, once", timeout=90)
    c = g.client()
    settled(c)
    assert words(p) == story(30), p.texts()


def test_killed_often(t):
    """The hub dies again and again while it is told, and an agent once: more a turn is not given."""
    g, p, c = begin(t, client_ids=True)
    p.write("u1", "tell me [fake ok chunks=60 para=5 delay=40 text=w]")
    for n in range(1, 6):
        until(lambda: len(words(p)) >= 5 * n, "paragraph %d is there" % n, timeout=90)
        g.kill("agent" if n == 3 else "hub")
    until(lambda: words(p) == story(60), "the whole story is there, once", timeout=90)
    settled(g.client())
    assert words(p) == story(60), p.texts()


def test_begun_anew(t):
    """The second attempt says something else: what was said stays, and all of the new is said."""
    g, p, c = begin(t, client_ids=True)
    p.write("u1", STORY % "c")
    half_told(t, p, c, "c")
    t.fake.control(fault="ok", chunks=20, para=5, text="v")
    g.kill("agent")
    t.fake.gate("c")
    until(lambda: words(p, "v") == story(20, "v"), "the other story is there", timeout=90)
    settled(c)
    assert words(p) == story(15) and words(p, "v") == story(20, "v"), p.texts()


def test_default_and_preview(t):
    """On by default: not where the account has a preview configured; a word of its own goes before both."""
    for section, blocks in (({"streaming": {}}, True), ({"streaming": "partial"}, False),
                            ({"streaming": {"mode": "partial", "block": {"enabled": True}}}, True),
                            ({"streaming": {"mode": "off", "block": {"enabled": False}}}, False),
                            ({"streaming": "off", "blockStreaming": True}, True)):
        g, p, c = begin(t, section=section, defaults={"blockStreamingDefault": "on"}, can=["edit", "delete", "stream"], client_ids=True)
        p.write("u1", "tell me [fake ok chunks=30 para=5 text=w]")
        until(lambda: words(p) == story(30), "the story is there", timeout=60)
        settled(c)
        assert (len(p.sent()) > 1) == blocks and words(p) == story(30), (section, p.texts())
        g.stop()


def test_at_the_end(t):
    """message_end: nothing before the end, then as many messages as it takes."""
    g, p, c = begin(t, defaults={"blockStreamingBreak": "message_end"})
    p.write("u1", STORY % "d")
    t.fake.wait("tell me", "gated")
    assert p.sent() == []
    t.fake.gate("d")
    until(lambda: words(p) == story(30), "the story is there", timeout=60)
    settled(c)
    assert len(p.sent()) == 6, p.texts()


def test_code(t):
    """Code that has to be parted is closed and opened again; every message is good Markdown by itself."""
    g, p, c = begin(t, section={"can": ["stream"]}, defaults={"blockStreamingChunk": {"minChars": 10, "maxChars": 40}})
    body = "\n".join("w%d = %d" % (i, i) for i in range(20))
    p.write("u1", "tell me [fake echo] first\n\n```py\n%s\n```\n\nlast words" % body)
    until(lambda: any("last words" in x for x in p.texts()), "its end", timeout=60)
    settled(c)
    assert words(p) == story(20), p.texts()
    assert all(x.count("```") % 2 == 0 for x in p.texts()), p.texts()


def test_reply_prefix_and_pause(t):
    """Only the first message carries the prefix and replies; with a pause between them the order stays."""
    g, p, c = begin(t, section={"can": ["reply"], "replyToMode": "first", "responsePrefix": "[bot]"},
                    defaults={"humanDelay": {"mode": "custom", "minMs": 1, "maxMs": 30}})
    p.write("u1", "tell me [fake ok chunks=30 para=5 text=w]")
    until(lambda: words(p) == story(30), "the story is there", timeout=60)
    settled(c)
    assert "".join(p.texts()).count("[bot]") == 1 and p.texts()[0].startswith("[bot] w0"), p.texts()
    assert [m.get("replyToId") for m in p.sent()] == ["u1"] + [None] * (len(p.sent()) - 1), p.sent()


def test_silence(t):
    """NO_REPLY in a group stays unsaid, however it comes; the reaction goes when the answer is there."""
    g, p, c = begin(t, section={"can": ["react"], "groupPolicy": "open", "groups": {"*": {"requireMention": False}}, "ackReaction": "eyes",
                                "ackReactionScope": "all", "removeAckAfterReply": True},
                    defaults={"blockStreamingChunk": {"minChars": 1, "maxChars": 5}})
    t.fake.control(fault="ok", letters="NO_REPLY")
    p.write("u1", "tell me", kind="group", group="99")
    t.fake.wait("tell me", "done")
    t.fake.control(fault="ok", chunks=10, para=5, text="w")
    p.write("u2", "and now", kind="group", group="99")
    until(lambda: words(p) == story(10), "an answer", timeout=60)
    settled(c)
    until(lambda: sum(o["op"] == "react" and bool(o.get("remove")) for o in p.others) >= 1, "the reaction is taken back", timeout=60)
    assert "NO" not in "".join(p.texts()), p.texts()


def test_before_tools(t):
    """What the model says before it calls a tool is there, to its last word, however often it says the same."""
    g, p, c = begin(t, client_ids=True)
    p.write("u1", "tell me [fake call tool=agents_list args={} rounds=2 chunks=12 para=5 text=w]")
    until(lambda: any("result:" in x for x in p.texts()), "its end", timeout=60)
    settled(c)
    assert words(p) == story(12) * 2, p.texts()


def test_before_tools_killed(t):
    """The same, when the hub dies while the model is asked again."""
    g, p, c = begin(t, client_ids=True)
    p.write("u1", "tell me [fake call tool=agents_list args={} rounds=2 chunks=12 para=5 at=7 gate=e text=w]")
    for n in (1, 2):
        t.fake.wait("tell me", "gated", n)
        g.kill("hub")
        t.fake.gate("e")
    until(lambda: any("result:" in x for x in p.texts()), "its end", timeout=60)
    settled(g.client())
    assert words(p) == story(12) * 2, p.texts()
