"""Files of messages on their way in: what is fetched, when, and what becomes of a message whose file cannot be had. Telegram's fake brings them."""
import os

from gateway import until
from test_channels import connected, kill, pid_of
from test_telegram import ADA, GROUP, answers, named, settled, setup

PNG = "89504e470d0a1a0a0000000d49484452"
MB = 1 << 20


def photo(p, chat=42, hex=PNG, kind="photo", **more):
    """Somebody sends a file: what Telegram made of it."""
    file = {"kind": kind, "name": more.pop("name", ""), "type": more.pop("type", "image/png"), "hex": hex}
    for k in ("bytes", "claims"):
        if k in more:
            file[k] = more.pop(k)
    who = 7 if isinstance(chat, dict) else chat
    more.setdefault("from", {"id": who, "first_name": "person %d" % who})
    return p.order("say", bot=p.bot, chat=chat if isinstance(chat, dict) else {"id": chat}, file=file, **more)


def fetched(p):
    return [r for r in p.calls("file") if r["status"] == 200]


def test_a_picture(t):
    """It is fetched, once, and is a message of its own when there are no words with it."""
    g, p = setup(t)
    photo(p)
    answers(p, 'You wrote: "media:image"')  # the marks of <media:image> are an address's in Markdown
    photo(p, caption="what is this?")
    assert "media:" not in answers(p, "what is this?")[0]["text"]
    settled(p)
    assert len(fetched(p)) == 2 and len(p.calls("getFile")) == 2, p.calls("getFile")


def test_nothing_is_fetched_for_nobody(t):
    """Who may not write, and what is not for the agent, brings no file in; a pattern or a name does, and a reply to a picture brings that."""
    g, p = setup(t, section={"allowFrom": ["42", "7"], "dmPolicy": "allowlist", "groupPolicy": "allowlist", "groupAllowFrom": ["7"]}, start=False)
    g.write_config(dict(g.config, messages=dict(g.config["messages"], groupChat={"mentionPatterns": ["\\bmolly\\b"]})))
    g.start()
    photo(p, 66)
    photo(p, GROUP, **{"from": {"id": 66}, "caption": "molly, look"})
    shown = photo(p, GROUP, **{"from": ADA, "caption": "for nobody"})
    settled(p)
    assert not p.calls("getFile") and not p.sent(), (p.calls("getFile"), p.texts())
    photo(p, GROUP, **{"from": ADA, "caption": "molly, look here"})
    answers(p, "molly, look here")
    assert len(fetched(p)) == 1
    caption = "@bot4242_bot this one"
    photo(p, GROUP, **{"from": ADA, "caption": caption, "caption_entities": [{"type": "mention", "offset": 0, "length": 12}]})
    answers(p, "this one")
    assert len(fetched(p)) == 2
    p.say(chat=GROUP, reply_to_message_id=shown["message_id"], **{"from": ADA, **named("@bot4242_bot what is that?")})
    answers(p, "what is that?")
    assert len(fetched(p)) == 3


def test_too_large(t):
    """What is over the limit is told in words; what is said to be is not even asked for."""
    g, p = setup(t, section={"mediaMaxMb": 1})
    photo(p, kind="document", name="big.bin", claims=31000000, caption="first")
    assert '[document "big.bin": too large, 31 MB]' in answers(p, "first")[0]["text"]
    assert not p.calls("getFile")
    photo(p, kind="document", name="liar.bin", bytes=2 * MB, claims=1000, caption="second")
    assert '[document "liar.bin": too large]' in answers(p, "second")[0]["text"]
    photo(p, kind="document", name="fits.bin", bytes=MB, caption="third")
    assert "too large" not in answers(p, "third")[0]["text"], p.texts()
    p.fault("file", "endless")
    photo(p, kind="document", name="endless.bin", bytes=1000, caption="fourth")
    assert '[document "endless.bin": too large]' in answers(p, "fourth")[0]["text"]


def faults(fn):
    fn.params = [(f, n, n < 3) for f in ("half", "cut", "500", "429", "reset") for n in (1, 3)] + [("404", 1, False), ("403", 1, False)]
    return fn


@faults
def test_a_file_that_breaks_off(t, fault, times, comes):
    """It is tried again, and when it does not come the words do."""
    g, p = setup(t)
    p.fault("file", fault, times=times, retry_after=1)
    photo(p, hex=PNG, bytes=100000, caption="look")
    text = answers(p, "look")[0]["text"]
    settled(p)
    assert ("[image: could not be fetched: " in text) != comes, text
    assert len(p.calls("file")) == (times if not comes else times + 1), p.calls("file")
    assert "bot4242:" not in text and p.token not in text, "no address, no token"


def test_get_file_fails(t):
    g, p = setup(t)
    p.fault("getFile", "500", times=2)
    photo(p, caption="first")
    assert "could not" not in answers(p, "first")[0]["text"]
    p.fault("getFile", "400", description="Bad Request: wrong file_id or the file is temporarily unavailable")
    photo(p, caption="second")
    assert "temporarily unavailable" in answers(p, "second")[0]["text"], p.texts()


def test_album(t):
    """Ten pictures are one message; those that do not come are named."""
    g, p = setup(t)
    p.fault("file", "404", times=1)
    for i in range(10):
        photo(p, media_group_id="A", **({"caption": "all of it"} if i == 0 else {}))
    text = answers(p, "all of it")[0]["text"]
    settled(p)
    assert len(p.calls("getFile")) == 10 and len(fetched(p)) == 9 and text.count("[image: could not be fetched") == 1, text
    assert len(p.sent()) == 1, p.texts()


def test_turn(t):
    """What is written behind a picture waits for it, others do not, and the word that stops is heard at once."""
    g, p = setup(t, start=False, section={"dmPolicy": "allowlist", "allowFrom": ["42", "43"]})
    config = dict(g.config)
    config["agents"]["defaults"]["model"]["primary"] = "mock/mock-1"
    g.write_config(config)
    g.start()
    p.say("held [fake ok chunks=2 gate=g1 at=1]")
    t.fake.wait("held", "gated")
    p.fault("file", "hang", times=1)
    photo(p, caption="slow one [fake ok text=one_]")
    until(lambda: p.calls("file"), "it is being fetched")
    p.say("behind it [fake ok text=two_]")
    p.say("somebody else [fake ok text=other_]", 43)
    answers(p, "other", to="43")
    p.say("stop")
    t.fake.wait("held", "gone")
    assert not [x for x in p.texts() if "one" in x or "two" in x], p.texts()
    kill(g.client())
    first, second = answers(p, "one")[0], answers(p, "two")[0]
    assert first["message_id"] < second["message_id"], p.texts()
    settled(p)


def test_turn_of_large_files(t):
    """What is written behind a file waits also while the hub writes that to the disk."""
    g, p = setup(t, start=False, section={"dmPolicy": "allowlist", "allowFrom": ["42"]})
    config = dict(g.config)
    config["agents"]["defaults"]["model"]["primary"] = "mock/mock-1"
    g.write_config(config)
    g.start()
    for n in range(3):
        p.say("held%d [fake ok chunks=2 gate=g%d at=1 text=held_]" % (n, n))
        t.fake.wait("held%d" % n, "gated")
        photo(p, caption="large%d [fake ok text=large%d_]" % (n, n), bytes=15 * MB, kind="document")
        p.say("behind%d [fake ok text=behind%d_]" % (n, n))
        until(lambda: len(fetched(p)) == n + 1, "it is fetched")
        t.fake.gate("g%d" % n)
        first, second = answers(p, "large%d_" % n)[0], answers(p, "behind%d_" % n)[0]
        assert first["message_id"] < second["message_id"], p.texts()
    settled(p)


def test_gathered(t):
    """Texts of one person are gathered for a while; a picture among them ends the wait, with all of them in order."""
    g, p = setup(t, start=False)
    config = dict(g.config, messages=dict(g.config["messages"], inbound={"debounceMs": 600000}))
    config["agents"]["defaults"]["model"]["primary"] = "mock/mock-1"
    g.write_config(config)
    g.start()
    p.say("first of them")
    p.say("second of them")
    photo(p, caption="and this [fake ok chunks=1]")
    t.fake.wait("and this", "done")
    told = "\n".join(str(m["content"]) for c in t.fake.calls("") for m in c["asked"]["messages"] if m["role"] == "user")
    at = [told.find(x) for x in ("first of them", "second of them", "and this")]
    assert 0 <= at[0] < at[1] < at[2], told
    settled(p)


def test_killed_while_fetching(t):
    """The process dies in the middle of a file: Telegram says the message again, and it is answered once; a known one is not fetched again."""
    g, p = setup(t)
    c = g.client()
    p.fault("file", "hang", times=1)
    photo(p, caption="once only")
    until(lambda: p.calls("file"), "it is being fetched")
    kill(c)
    answers(p, "once only")
    settled(p)
    before = len(p.calls("getFile"))
    said = photo(p, caption="known")
    answers(p, "known")
    settled(p)
    kill(c)
    connected(c)
    p.order("update", bot=4242, update={"message": said["message"]})
    settled(p)
    assert len(p.calls("getFile")) == before + 1, "a known message's file was fetched again"
    assert sum("known" in x for x in p.texts()) == 1 and sum("once only" in x for x in p.texts()) == 1, p.texts()


def test_hub_dies_while_fetching(t):
    g, p = setup(t)
    p.fault("file", "slow", times=1, delay=1)
    photo(p, caption="still there")
    until(lambda: p.calls("file"), "it is being fetched")
    g.kill("hub")
    p.say("behind it")
    first, second = answers(p, "still there")[0], answers(p, "behind it")[0]
    assert first["message_id"] < second["message_id"], p.texts()
    settled(p)
    assert len(p.calls("getFile")) == 1


def test_killed_again_and_again(t):
    """Pictures of many people while hub and channel are killed in turn: each is answered once, with its picture, or nobody knows whether its answer went."""
    g, p = setup(t, start=False)
    config = dict(g.config)
    config["agents"]["defaults"]["model"]["primary"] = "mock/mock-1"
    g.write_config(config)
    g.start()
    c = g.client()
    connected(c)
    for i in range(16):
        photo(p, 100 + i, bytes=200000 + i, caption="picture %d. [fake ok chunks=1 text=got%d_]" % (i, i))
        if i % 4 == 3:
            until(lambda i=i: len(p.calls("file")) > i // 2, "some are being fetched")
            if i % 8 == 3:
                g.kill("hub")
                c = g.client_soon()
            else:
                kill(c)
    settled(p)

    def told(i):
        shown = sum("got%d_" % i in x for x in p.texts())
        return shown or str(100 + i) in {d["to"] for d in c.ask("deliveries.list", {"state": "unknown"})["deliveries"]}
    until(lambda: c.ask("deliveries.list", {})["open"] == 0 and all(told(i) for i in range(16)), "16 answers", timeout=90, step=0.1)
    assert all(told(i) == 1 for i in range(16)), [(i, told(i)) for i in range(16)]
    for i in range(16):
        asked = [x for x in t.fake.calls("picture %d." % i) if x["state"] == "done"]
        assert asked and all(x["bytes"] > 260000 for x in asked), (i, asked)


def test_memory(t):
    """Ten files of 20 MB at once, for ten people: all are fetched, and none lies in the process's own memory."""
    g, p = setup(t)
    c = g.client()
    connected(c)
    pid = until(lambda: pid_of(c), "its process is known")
    for i in range(10):
        photo(p, 100 + i, kind="document", name="f%d.bin" % i, bytes=20 * MB - 1, caption="file %d." % i)
    most = 0

    def own():
        nonlocal most
        with open("/proc/%d/status" % pid) as f:
            rows = dict(line.split(":", 1) for line in f)
        most = max(most, int(rows["RssAnon"].split()[0]))
        return all(any("file %d." % i in x for x in p.texts()) for i in range(10))
    until(own, "ten answers", timeout=120, step=0.02)
    settled(p)
    assert pid_of(c) == pid, "it was replaced"
    assert not any("[document" in x for x in p.texts()), p.texts()
    limit = 8 << 10
    if "san" not in os.path.basename(g.build):
        assert most < limit, "%d KB of its own" % most
    open_files = [os.readlink("/proc/%d/fd/%s" % (pid, n)) for n in os.listdir("/proc/%d/fd" % pid)] if os.geteuid() == 0 else []
    assert not any("memfd" in x for x in open_files), open_files


def test_a_quotation_of_nothing_but_control_characters(t):
    """What a stranger quotes never keeps the others' messages."""
    g, p = setup(t)
    first = p.say("x" + "\x01" * 4000)
    answers(p, "x")
    p.say("quoting", reply_to_message_id=first["message_id"])
    answers(p, "quoting")
    p.say("goes on")
    answers(p, "goes on")
    settled(p)
