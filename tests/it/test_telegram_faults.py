"""Telegram misbehaves: nothing is lost, nothing is said twice, and nobody learns the token."""
import os
import re

from gateway import config_for, until
from platforms import Telegram
from test_channels import FAST, connected, kill, status_of
from test_telegram import answers, sessions, settled, setup

ACCOUNT = ("telegram", "default")


def said_once(p, words):
    got = [x for x in p.texts() if words in x]
    assert len(got) == 1, got


def no_token(g, *platforms):
    for p in platforms:
        for part in (p.token, p.token.split(":")[1]):
            assert not any(part in line for line in g.raw), "the token is in the log"


def poll_faults(fn):
    fn.params = [("500",), ("429",), ("html",), ("badjson",), ("cut",), ("reset",), ("conflict",), ("slow",)]
    return fn


@poll_faults
def test_polls_that_fail(t, fault):
    """Each of them is a pause: what was written meanwhile is answered once, and in its order."""
    g, p = setup(t)
    p.say("before")
    answers(p, "before")
    p.fault("getUpdates", fault, times=3)
    for i in range(5):
        p.say("during %d." % i)
    for i in range(5):
        answers(p, "during %d." % i)
    settled(p)
    assert [x for x in p.texts() if "during" in x] == sorted(x for x in p.texts() if "during" in x), p.texts()
    assert len(p.sent()) == 6, p.texts()
    no_token(g, p)


def test_start_that_fails(t):
    """Whatever the first calls meet, it comes up in the end."""
    p = Telegram(t.folder)
    for method in ("getMe", "deleteWebhook"):
        for fault in ("500", "cut", "html"):
            p.fault(method, fault)
    config = config_for(t.fake.url)
    config["agents"]["defaults"]["model"]["primary"] = "demo/demo-1"
    config["channels"] = {"telegram": p.section()}
    g = t.gateway(config)
    p.say("are you there")
    until(lambda: p.sent(), "an answer", timeout=90)
    no_token(g, p)


def test_second_poller(t):
    """Another program polls with the same token: both are sent away by turns, and nothing is lost to us."""
    g, p = setup(t)
    connected(g.client())
    until(lambda: p.intrude() or p.state()["conflicts"] > 0, "it is sent away", step=0.05)
    g.wait_log(lambda l: l["event"] == "channel.down" and "somebody else polls" in l["why"], "it says who")
    p.say("still ours")
    answers(p, "still ours")
    settled(p)
    said_once(p, "still ours")


def test_revoked(t):
    """A token that is refused ends the attempts and says what to do; a new one goes on with what waits."""
    g, p = setup(t)
    c = g.client()
    p.say("before")
    answers(p, "before")
    p.order("revoke", bot=4242)
    row = until(lambda: "BotFather" in (status_of(c)[ACCOUNT].get("lastError") or "") and status_of(c)[ACCOUNT], "it says so")
    assert not row["connected"], row
    asked = len(p.order("log"))
    p.order("bot", token="4242:another-token", username="bot4242_bot", keep=True)
    p.say("while it was away")
    section = dict(p.section(), botToken="4242:another-token")
    g.write_config(dict(g.config, channels={"telegram": section}))
    answers(p, "while it was away")
    said_once(p, "before")
    assert len(p.order("log")) > asked
    no_token(g, p)


def test_another_bot(t):
    """With another bot's token the positions of the first one mean nothing."""
    g, p = setup(t)
    p.say("to the first")
    answers(p, "to the first")
    settled(p)
    p.order("bot", token="77:another-bot", username="other_bot")
    p.bot = 77
    p.order("gap", bot=77, next=3)
    g.write_config(dict(g.config, channels={"telegram": dict(p.section(), botToken="77:another-bot")}))
    p.say("to the second")
    answers(p, "to the second")
    settled(p)
    assert len(p.sent()) == 1, p.texts()


def test_out_of_order_and_again(t):
    """Updates come in another order, one of them twice: each is answered once, in the order of their numbers."""
    g, p = setup(t, start=False)
    for i in (3, 1, 2):
        p.say("number %d." % i, update_id=1000 + i)
    p.order("repeat", bot=4242, update_id=1002)
    g.start()
    for i in (1, 2, 3):
        answers(p, "number %d." % i)
    settled(p)
    assert [re.search(r"number (\d)", x).group(1) for x in p.texts()] == ["1", "2", "3"], p.texts()


def test_flood_of_one_chat(t):
    """429 for one chat holds that chat up as long as it says, and no other one."""
    g, p = setup(t)
    connected(g.client())
    p.order("chat", id=43, type="private")
    p.fault("sendMessage", "429", retry_after=2, chat=42)
    c = g.client()
    c.start("send", {"to": "42", "message": "held up", "idempotencyKey": "a", "channel": "telegram"})
    assert c.ask("send", {"to": "43", "message": "not held up", "idempotencyKey": "b", "channel": "telegram"})["messageId"]
    assert not any("held up" == x for x in p.texts()), p.texts()
    answers(p, "held up", 2)
    times = [r["t_ms"] for r in p.calls("sendMessage") if r["params"]["chat_id"] == 42]
    assert len(times) == 2 and times[1] - times[0] >= 1900, times
    assert [x for x in p.texts() if x == "held up"] == ["held up"], p.texts()


def test_limits_are_kept(t):
    """A second a chat: the platform never has to refuse, no attempt is spent on waiting, other chats are not held up."""
    g, p = setup(t, argv=("--limits",))
    connected(g.client())
    p.order("chat", id=43, type="private")
    c = g.client()
    for i in range(4):
        c.start("send", {"to": "42", "message": "slowly %d" % i, "idempotencyKey": "a%d" % i, "channel": "telegram"})
    assert c.ask("send", {"to": "43", "message": "at once", "idempotencyKey": "b", "channel": "telegram"})["messageId"]
    until(lambda: "slowly 3" in p.texts(), "the last of four")
    calls = [r["params"] for r in p.calls("sendMessage")]
    slow = [r["text"] for r in calls if r["chat_id"] == 42]
    assert slow == ["slowly %d" % i for i in range(4)], calls  # a refused one would be there twice
    order = [r["text"] for r in calls]
    assert order.index("at once") < order.index("slowly 2"), order
    p.say("and an answer, written as it is thought")
    answers(p, "as it is thought")
    settled(p)
    until(lambda: c.ask("deliveries.list", {})["open"] == 0, "nothing is left to be sent")
    assert len(p.calls("sendMessage")) == 6, p.calls("sendMessage")


def test_sends_that_fail(t):
    """What was refused is tried again; what may have been heard is never repeated by itself."""
    g, p = setup(t)
    c = g.client()
    connected(c)
    for fault in ("500", "html"):
        p.fault("sendMessage", fault)
        c.start("send", {"to": "42", "message": "after " + fault, "idempotencyKey": fault, "channel": "telegram"})
        answers(p, "after " + fault)
        said_once(p, "after " + fault)
    for fault in ("lost", "badjson", "cut"):
        p.fault("sendMessage", fault)
        c.refused("send", {"to": "42", "message": "maybe " + fault, "idempotencyKey": fault, "channel": "telegram"})
    rows = c.ask("deliveries.list", {"state": "unknown"})["deliveries"]
    assert len(rows) == 3, rows
    assert [x for x in p.texts() if "maybe" in x] == ["maybe lost"], p.texts()
    no_token(g, p)


def test_away_for_long(t):
    """The platform is away: what is to be said waits, without being tried in vain; then both sides go on."""
    g, p = setup(t)
    c = g.client()
    connected(c)
    p.down(True)
    until(lambda: not status_of(c)[ACCOUNT]["connected"], "it is noticed")
    for i in range(3):
        c.start("send", {"to": "42", "message": "waiting %d." % i, "idempotencyKey": str(i), "channel": "telegram"})
        p.say("written %d." % i)
    g.kill("hub")
    c = g.client_soon()
    until(lambda: c.ask("deliveries.list", {})["open"] == 3, "three wait")
    p.down(False)
    for i in range(3):
        answers(p, "written %d." % i)
        answers(p, "waiting %d." % i)
    settled(p)
    assert len(p.sent()) == 6, p.texts()
    no_token(g, p)


def memory_of(pid):
    """Everything that is readable of a process."""
    out = []
    with open("/proc/%d/maps" % pid) as maps, open("/proc/%d/mem" % pid, "rb", 0) as mem:
        for line in maps:
            span, rights = line.split()[:2]
            if "r" not in rights or "[v" in line:
                continue
            begin, end = [int(x, 16) for x in span.split("-")]
            if end - begin > 1 << 26:  # a sanitizer's shadow
                continue
            try:
                mem.seek(begin)
                out.append(mem.read(end - begin))
            except OSError:
                pass
    return b"".join(out)


def pids_of(c):
    """Of both accounts, once both are told of."""
    fleet = c.ask("status").get("fleet") or {"processes": []}
    pids = {x["account"]: x["pid"] for x in fleet["processes"] if x.get("channel")}
    return pids if len(pids) == 2 else None


def test_two_accounts(t):
    """Two bots at once: each hears and says its own, holds its own token and no other; one dies, the other does not notice."""
    if os.getuid() != 0 or "ASAN_OPTIONS" in os.environ:  # the release build runs this, too
        print("skipped: only root reads another's memory, and a sanitizer's is too large to read")
        return
    a = Telegram(t.folder)
    a.order("bot", token="77:Xq9-second-token", username="second_bot")
    config = config_for(t.fake.url)
    config["agents"]["defaults"]["model"]["primary"] = "demo/demo-1"
    section = a.section()
    token = section.pop("botToken")
    config["channels"] = {"telegram": dict(section, accounts={"one": {"botToken": token}, "two": {"botToken": "77:Xq9-second-token"}})}
    config["session"] = {"dmScope": "per-account-channel-peer"}
    config["delivery"] = FAST
    g = t.gateway(config)
    c = g.client()
    until(lambda: [r for r in status_of(c).values() if r["connected"]] and all(r["connected"] for r in status_of(c).values()), "both are there")
    pids = until(lambda: pids_of(c), "the fleet is told")
    second = Telegram.__new__(Telegram)
    second.__dict__.update(a.__dict__, bot=77, token="77:Xq9-second-token")
    for i in range(10):
        a.say("to one %d." % i)
        second.say("to two %d." % i, 43)
        if i == 5:
            os.kill(pids["one"], 9)
    for i in range(10):
        answers(second, "to two %d." % i)
        until(lambda: any("to one %d." % i in x for x in a.texts()) or c.ask("deliveries.list", {"state": "unknown"})["deliveries"], "an answer")
    assert not any("to two" in x for x in a.texts()) and not any("to one" in x for x in second.texts())
    until(lambda: pids_of(c) and all(r["connected"] for r in status_of(c).values()), "both are there again")
    pids = pids_of(c)
    secrets = {"one": token.split(":")[1], "two": "Xq9-second-token"}
    for name, pid in pids.items():
        text = memory_of(pid)
        assert len(text) > 1 << 20, "nothing was read"
        for whose, secret in secrets.items():
            assert (secret.encode() in text) == (whose == name), (name, whose)
        assert b"mock-key-58cc" not in text and g.token.encode() not in text
        with open("/proc/%d/cmdline" % pid, "rb") as f, open("/proc/%d/environ" % pid, "rb") as e:
            told = f.read() + e.read()
            assert not any(s.encode() in told for s in secrets.values())
    no_token(g, a, second)
