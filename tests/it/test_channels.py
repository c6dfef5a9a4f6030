"""The channel suite: what every platform has to get right, over every row of channels/base/list.def.

The platform is a fake of platforms.py; the channel's process, the hub and the agent are the real ones.
"""
import json
import os
import re
import signal
import subprocess

from gateway import config_for, until
from platforms import PLATFORMS
from test_secrets import Canaries, check_memory, found_in, may_look, memory_of

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
FAST = {"retry": {"firstDelayMs": 20, "secondDelayMs": 40, "thirdDelayMs": 80, "laterDelayMs": 160}}


def listed():
    with open(os.path.join(ROOT, "channels", "base", "list.def")) as f:
        return re.findall(r"^CHANNEL\((\w+)\)", f.read(), re.M)


def rows():
    """The platforms of the list, each in every way it runs."""
    return [name for name, p in PLATFORMS.items() if (p.row or name) in listed()]


def ctl(g, *words):
    return subprocess.run([os.path.join(g.build, "openclawctl"), "--url", "ws://127.0.0.1:%d" % g.port, "--token", g.token] + list(words),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=g.env(), text=True, timeout=60)


def each(fn):
    fn.params = [(name,) for name in rows()]
    return fn


def receipted(fn):
    """Of platforms that say again what was not taken."""
    fn.params = [(name,) for name in rows() if PLATFORMS[name].receipts]
    return fn


def knowing(fn):
    """Of platforms that know a message of ours that comes twice."""
    fn.params = [(name,) for name in rows() if PLATFORMS[name].client_ids]
    return fn


def setup(t, name, start=True, section=None, **how):
    """A gateway with one account of that platform: (gateway, platform)."""
    p = PLATFORMS[name](t.folder, **how)
    config = config_for(t.fake.url)
    config["agents"]["defaults"]["model"]["primary"] = "demo/demo-1"
    config["channels"] = {p.channel(): p.section(**(section or {}))}
    config["session"] = {"dmScope": "per-channel-peer"}
    config["messages"] = {"queue": {"mode": "followup", "cap": 1000, "debounceMs": 0}}
    config["delivery"] = FAST
    g = t.new_gateway(config)
    p.at(g)
    if start:
        g.start()
    return g, p


def test_every_row_has_a_fake(t):
    assert set(listed()) == {p.row or name for name, p in PLATFORMS.items()}, (listed(), sorted(PLATFORMS))


@each
def test_inbound_to_answer(t, name):
    """A person writes, the demo model answers there; the platform is told that it was taken."""
    g, p = setup(t, name)
    p.write("u1", "hello you")
    until(lambda: any("hello you" in x for x in p.texts()), "the answer is there")  # after its preview, where one is shown
    assert sum("hello you" in x for x in p.texts()) == 1, p.texts()
    assert p.sent()[0]["to"] == "42", p.sent()
    if p.receipts:
        until(lambda: p.acked() == ["u1"], "the message was taken")


def status_of(c, **params):
    got = c.ask("channels.status", params)
    return {(ch, a["accountId"]): a for ch, rows in got["channelAccounts"].items() for a in rows}


def pid_of(c):
    fleet = c.ask("status").get("fleet") or {"processes": []}
    return next((x["pid"] for x in fleet["processes"] if x.get("channel") and x["state"] == "up"), 0)


def kill(c):
    """The account's process; what is told of it may be a moment old."""
    def killed():
        pid = pid_of(c)
        try:
            return pid > 0 and os.kill(pid, signal.SIGKILL) is None
        except ProcessLookupError:
            return False
    until(killed, "its process is killed", timeout=60)


def connected(c):
    until(lambda: any(a["connected"] for a in status_of(c).values()), "the account is connected", timeout=60)


@receipted
def test_pairing(t, name):
    """A stranger gets a code, once; the owner lets them in; then they are answered."""
    g, p = setup(t, name, section={"dmPolicy": "pairing", "allowFrom": []})
    c = g.client()
    p.write("u1", "hello", to="77")
    until(lambda: len(p.sent()) == 1, "the notice is there")
    asks = c.ask("channels.pairing.list", {})["requests"]
    assert len(asks) == 1 and asks[0]["senderId"] == "77", asks
    code = asks[0]["code"]
    assert re.fullmatch("[A-HJ-NP-Z2-9]{8}", code) and code in p.texts()[0], (code, p.texts())
    p.write("u2", "hello?", to="77")
    until(lambda: p.acked() == ["u1", "u2"], "both were taken")
    e = c.refused("channels.pairing.approve", {"channel": p.channel(), "accountId": "default", "requestId": "nope"})
    assert e.code == "INVALID_REQUEST", e
    out = ctl(g, "pairing", "approve", p.channel(), code.lower(), "--notify")
    assert out.returncode == 0 and "77: let in" in out.stdout, (out.stdout, out.stderr)
    until(lambda: len(p.sent()) == 2, "they are told")
    p.write("u3", "and now?", to="77")
    until(lambda: any("and now?" in x for x in p.texts()), "an answer")
    assert len(p.sent()) == 3, p.texts()
    assert c.ask("channels.pairing.list", {})["requests"] == []
    g.kill("hub")
    p.write("u4", "still in?", to="77")
    until(lambda: any("still in?" in x for x in p.texts()), "an answer after the hub's death")


@receipted
def test_blocked(t, name):
    """Who is not listed is not answered, and does not learn why; the platform may forget the message."""
    g, p = setup(t, name, section={"dmPolicy": "allowlist", "allowFrom": ["42"]})
    p.write("u1", "let me in", to="66")
    p.write("u2", "hello", to="42")
    until(lambda: p.sent(), "the other one's answer")
    until(lambda: sorted(p.acked()) == ["u1", "u2"], "both were taken")
    assert [m["to"] for m in p.sent()] == ["42"], p.sent()


@receipted
def test_chunks(t, name):
    """A long text comes in pieces within the limit, whole and in order, also when the process dies between two."""
    g, p = setup(t, name, client_ids=True, text_limit=400)
    c = g.client()
    connected(c)
    words = ["word%d" % i for i in range(600)]
    p.fail(hang=0, transient=1)
    c.start("send", {"to": "42", "message": " ".join(words), "idempotencyKey": "long"})
    until(lambda: len(p.sent()) >= 4, "some pieces")
    if p.client_ids:  # else the piece under way may be there or not, and the rest waits for a person's word
        kill(c)
    until(lambda: c.ask("deliveries.list", {})["open"] == 0, "all is sent", timeout=60)
    assert all(len(x) <= 400 for x in p.texts()), [len(x) for x in p.texts()]
    assert " ".join(p.texts()).split() == words, "pieces are missing, doubled or out of order"


@receipted
def test_twice_is_once(t, name):
    """What the platform says again is acknowledged again and means nothing, also to a new process and a new hub."""
    g, p = setup(t, name)
    c = g.client()
    p.write("u1", "only once")
    until(lambda: any("only once" in x for x in p.texts()) and p.acked() == ["u1"], "an answer")  # no preview any more
    until(lambda: c.ask("deliveries.list", {})["open"] == 0, "nothing is left to be sent")
    p.write("u1", "only once")
    until(lambda: len(p.acked()) == 2, "acknowledged again")
    kill(c)
    g.kill("hub")
    p.write("u1", "only once")
    p.write("u2", "something else")
    until(lambda: any("something else" in x for x in p.texts()), "the next one's answer", timeout=60)
    assert len(p.sent()) == 2, p.texts()


@knowing
def test_killed_while_sending(t, name):
    """A send without an answer is repeated and shown once."""
    g, p = setup(t, name, client_ids=True)
    c = g.client()
    connected(c)
    p.fail(lose=1)
    c.start("send", {"to": "42", "message": "was it sent?", "idempotencyKey": "k"})
    until(lambda: len(p.sent()) == 1, "the platform has it")
    kill(c)
    until(lambda: c.ask("deliveries.list", {"state": "sent"})["deliveries"], "sent, as it turns out", timeout=60)
    assert p.texts() == ["was it sent?"], p.texts()


@receipted
def test_killed_without_client_ids(t, name):
    """A send without an answer is set aside and said so."""
    g, p = setup(t, name, client_ids=False)
    c = g.client()
    connected(c)
    p.fail(lose=1)
    c.start("send", {"to": "42", "message": "was it sent?", "idempotencyKey": "k"})
    until(lambda: len(p.sent()) == 1, "the platform has it")
    kill(c)
    until(lambda: c.ask("deliveries.list", {"state": "unknown"})["deliveries"], "nobody knows", timeout=60)
    assert p.texts() == ["was it sent?"], p.texts()


@receipted
def test_killed_while_receiving(t, name):
    """Messages come while the process is killed again and again: each is answered once, or it is said of which nobody knows."""
    g, p = setup(t, name, client_ids=True, start=True)
    c = g.client()
    connected(c)
    for i in range(30):
        p.write("u%d" % i, "number %d." % i, to=str(100 + i % 5))
        if i % 10 == 4:
            kill(c)

    def unknown():
        return [] if p.client_ids else [c.ask("deliveries.get", {"id": d["id"]})["texts"][0]
                                        for d in c.ask("deliveries.list", {"state": "unknown"})["deliveries"]]

    def told(i):
        shown = sum("number %d." % i in x for x in p.texts())
        return "twice" if shown > 1 else "once" if shown else "maybe" if any("number %d." % i in x for x in unknown()) else ""
    until(lambda: c.ask("deliveries.list", {})["open"] == 0 and all(told(i) for i in range(30)), "30 answers", timeout=90, step=0.1)
    assert all(told(i) in ("once", "maybe") for i in range(30)), [(i, told(i)) for i in range(30)]


@receipted
def test_start_stop_probe(t, name):
    g, p = setup(t, name)
    c = g.client()
    connected(c)
    got = status_of(c, probe=True, timeoutMs=5000)
    row = got[(p.channel(), "default")]
    assert row["running"] and "probe" in row and "elapsedMs" in row["probe"], row
    assert c.ask("channels.stop", {"channel": p.channel()}) == {"channel": p.channel(), "accountId": "default", "stopped": True}
    until(lambda: status_of(c)[(p.channel(), "default")]["lifecycle"] == "stopped", "it is stopped")
    p.write("u1", "anybody there?")
    assert c.ask("channels.start", {"channel": p.channel()})["started"] is True
    until(lambda: p.sent(), "an answer", timeout=60)
    e = c.refused("channels.start", {"channel": "nowhere"})
    assert e.message == "invalid channels.start channel", e
    out = ctl(g, "channels")
    assert out.returncode == 0 and p.channel() + "/default" in out.stdout and "connected" in out.stdout, out.stdout
    out = ctl(g, "channels", "logs", p.channel())
    assert "channel.up" in out.stdout, out.stdout


@receipted
def test_flood(t, name):
    """500 messages of 20 people at once: all are taken, each is answered once or gathered; nothing else."""
    g, p = setup(t, name, client_ids=True)
    c = g.client()
    connected(c)
    for i in range(500):
        p.write("u%d" % i, "flood %d." % i, to=str(i % 20))
    until(lambda: len(set(p.acked())) == 500, "all are taken", timeout=60)
    assert c.ask("health", {})["ok"]


@receipted
def test_flood_of_one(t, name):
    """One chat of many messages, whose answers may go out once a second: somebody else is answered meanwhile."""
    g, p = setup(t, name, said={"limits": {"chatGapMs": 1000}})
    c = g.client()
    connected(c)
    for i in range(100):
        p.write("f%d" % i, "flood %d." % i, to="1")
    p.write("x", "somebody else", to="2")
    until(lambda: any("somebody else" in x for x in p.texts()), "the other one's answer")
    assert sum("flood" in x for x in p.texts()) < 100
    until(lambda: len(set(p.acked())) == 101, "all are taken", timeout=60)


def test_preview(t):
    """An answer in the making is one message that is edited; the answer takes it over, also after the process died."""
    g, p = setup(t, "external", client_ids=True, can=["edit", "delete", "react", "typing", "stream"], start=False,
                 section={"ackReaction": "eyes", "ackReactionScope": "all", "removeAckAfterReply": True})
    g.config["agents"]["defaults"]["model"]["primary"] = "mock/mock-1"
    g.write_config(g.config)
    g.start()
    c = g.client()
    connected(c)
    p.write("u1", "tell me a long story [fake ok chunks=40 delay=100]")
    until(lambda: [m for m in p.sent() if m["edits"]], "it is edited", timeout=60)
    until(lambda: c.ask("deliveries.list", {"state": "sent"})["deliveries"], "the answer is sent", timeout=60)
    assert len(p.sent()) == 1, p.texts()
    ops = [o["op"] for o in p.others]
    assert "typing" in ops and "react" in ops, ops
    until(lambda: [o for o in p.others if o["op"] == "react" and o.get("remove")], "the reaction is taken back")
    got = c.ask("message.action", {"channel": "chat", "action": "edit", "idempotencyKey": "e1",
                                   "params": {"to": "42", "messageId": p.sent()[0]["id"], "message": "**short**"}})
    assert got["ok"] and p.texts() == ["short"], (got, p.texts())
    c.ask("message.action", {"channel": "chat", "action": "delete", "idempotencyKey": "e2",
                             "params": {"to": "42", "messageId": p.sent()[0]["id"]}})
    assert p.texts() == [], p.texts()


@each
def test_response_prefix(t, name):
    """It stands once before each answer, over previews and parts, and before nothing else; an account has its own."""
    g, p = setup(t, name, section={"responsePrefix": "[bot]"})
    c = g.client()
    connected(c)
    p.write("u1", "hello there", to="42")
    until(lambda: any("hello there" in x for x in p.texts()), "an answer")
    until(lambda: c.ask("deliveries.list", {})["open"] == 0, "nothing is left to be sent")
    assert p.texts()[0].startswith("[bot] "), p.texts()
    assert "".join(p.texts()).count("[bot]") == 1, p.texts()
    c.ask("send", {"to": p.sent()[0]["to"], "message": "by hand", "idempotencyKey": "h", "channel": p.channel()})
    until(lambda: "by hand" in p.texts(), "what was sent by hand")


@receipted
def test_response_prefix_of_parts(t, name):
    """Only the first part of an answer carries it, within the limit, and nothing is lost where it ends."""
    g, p = setup(t, name, section={"responsePrefix": "[" + "long" * 20 + "]"}, text_limit=400)
    c = g.client()
    connected(c)
    p.write("u1", " ".join("word%d" % i for i in range(30)), to="42")
    until(lambda: any("README" in x for x in p.texts()), "the end of the answer")
    until(lambda: c.ask("deliveries.list", {})["open"] == 0, "nothing is left to be sent")
    whole = " ".join(p.texts())
    assert p.texts()[0].startswith("[long") and whole.count("[long") == 1 and len(p.texts()) > 2, p.texts()
    assert all(len(x) <= 400 for x in p.texts()), [len(x) for x in p.texts()]
    key = c.ask("sessions.list", {})["sessions"][0]["key"]
    answer = [m for m in c.ask("chat.history", {"sessionKey": key})["messages"] if m["role"] == "assistant"][-1]
    said = re.sub(r"```(json5)?|`", "", "".join(x.get("text", "") for x in answer["content"]))  # the platforms show no marks
    assert whole.split()[1:] == said.split(), (whole, answer)


# A program with files, which gets one thing wrong: config.kind.
FILES_PROGRAM = """import base64, json, sys
kind, data = "", bytes(range(256)) * 10
def say(**doc):
    print(json.dumps(doc), flush=True)
for line in sys.stdin:
    doc = json.loads(line)
    p, answer = doc.get("params", {}), {"error": {"code": -1, "message": "no"}}
    if doc["method"] == "initialize":
        kind = p["config"]["kind"]
        answer = {"result": {"capabilities": ["media"]}}
    elif doc["method"] in ("send", "probe") or (doc["method"] == "media.put" and kind != "deaf"):
        answer = {"result": {"messageId": "1"}}
    elif doc["method"] == "media.fetch" and (p["ref"] == "theirs" or kind == "generous"):
        piece = data[p["offset"]:] if kind == "greedy" else data[p["offset"]:p["offset"] + p["limit"]]
        answer = {"result": {"data": base64.b64encode(piece).decode(), "end": p["offset"] + len(piece) == len(data)}}
    if "id" in doc:
        say(id=doc["id"], **answer)
    if doc["method"] == "initialize":
        say(method="inbound", params={"id": "1", "media": [{"ref": "theirs", "bytes": len(data) + (kind == "short")}]})
"""


def test_check(t):
    """openclawctl channels check: the example of the documentation passes, what speaks something else does not."""
    tool = [os.path.join(t.build, "openclawctl"), "channels", "check"]
    run = subprocess.run(tool + ["/usr/bin/python3", os.path.join(ROOT, "docs", "examples", "channel.py")],
                         stdout=subprocess.PIPE, text=True, timeout=60)
    assert run.returncode == 0 and "0 failed" in run.stdout and "a piece of a file" in run.stdout, run.stdout
    with open(os.path.join(t.folder, "files.py"), "w") as f:
        f.write(FILES_PROGRAM)
    for kind, bad in (("good", ""), ("short", "as many bytes"), ("greedy", "comes in pieces"), ("deaf", "piece of a file is taken"),
                      ("generous", "nobody sent is refused")):
        run = subprocess.run(tool + ["--config-json", json.dumps({"kind": kind}), "/usr/bin/python3", f.name],
                             stdout=subprocess.PIPE, text=True, timeout=60)
        assert run.returncode == (1 if bad else 0) and ("FAIL" in run.stdout) == bool(bad), (kind, run.stdout)
        assert not bad or any(bad in x for x in run.stdout.split("\n") if "FAIL" in x), (kind, run.stdout)
    for argv in (["/bin/false"], ["/bin/echo", "hello"], ["/nowhere/at/all"]):
        run = subprocess.run(tool + argv, stdout=subprocess.PIPE, text=True, timeout=60)
        assert run.returncode == 1 and "FAIL" in run.stdout, (argv, run.stdout)
    assert subprocess.run(tool, stderr=subprocess.PIPE, timeout=60).returncode == 2


def tool(g, *words, said="", **env):
    return subprocess.run([os.path.join(g.build, "openclawctl"), "--config", g.config_path, "--url", "ws://127.0.0.1:%d" % g.port,
                           "--token", g.token, "channels"] + list(words), input=said, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env=dict(g.env(), **env), text=True, timeout=60)


def test_add_and_remove(t):
    """openclawctl channels add and remove: accounts come and go on a running gateway, secrets are read and not passed."""
    p = PLATFORMS["telegram"](t.folder)
    config = config_for(t.fake.url)
    config["agents"]["defaults"]["model"]["primary"] = "demo/demo-1"
    g = t.new_gateway(config)
    g.start()
    c = g.client()
    hint = tool(g, "list")
    assert hint.returncode == 0 and "channels add CHANNEL" in hint.stdout, hint

    before = open(g.config_path).read()
    for words in (["telegram", "botToken=%s" % p.token],        # others would see it
                  ["telegram", "botToken"],                     # nothing is said
                  ["tele.gram", "a=1"], ["telegram", "=1"]):
        run = tool(g, "add", *words)
        assert run.returncode in (1, 2) and run.stderr and p.token not in run.stderr, (words, run)
        assert open(g.config_path).read() == before, words

    def put(text):
        with open(g.config_path, "w") as f:
            f.write(text)
    put(json.dumps(dict(json.loads(before), gateway={"port": "no number"})))
    broken = open(g.config_path).read()
    run = tool(g, "add", "telegram", "botToken=${TOKEN_OF_TELEGRAM}")  # a reference is no secret
    assert run.returncode == 1 and "gateway.port" in run.stderr and open(g.config_path).read() == broken, run  # openclawd refuses it
    put(before)

    run = tool(g, "add", "telegram", "botToken", "apiRoot=http://127.0.0.1:%d" % p.port, "dmPolicy=open", 'allowFrom=["*"]', said=p.token + "\n")
    assert run.returncode == 0 and p.token not in run.stdout + run.stderr, run
    assert os.stat(g.config_path).st_mode & 0o777 == 0o600 and open(g.config_path + ".bak").read() == before
    assert not os.path.exists(g.config_path + ".new")
    until(lambda: status_of(c).get(("telegram", "default"), {}).get("connected"), "the account is connected")
    p.write("u1", "hello there", to="42")
    until(lambda: any("hello there" in x for x in p.texts()), "an answer")

    q = PLATFORMS["telegram"](t.folder, token="777:another-token_of-a-bot")
    run = tool(g, "add", "telegram", "--account", "work", "botToken", "apiRoot=http://127.0.0.1:%d" % q.port, said=q.token + "\n")
    assert run.returncode == 0, run
    until(lambda: status_of(c).get(("telegram", "work"), {}).get("connected"), "the second account is connected")
    assert status_of(c)[("telegram", "default")]["connected"]  # what was alone before goes on

    assert tool(g, "remove", "telegram/nobody").returncode == 1
    assert tool(g, "remove", "telegram/work").returncode == 0
    until(lambda: ("telegram", "work") not in status_of(c), "the second account is gone")
    assert tool(g, "remove", "telegram").returncode == 0
    until(lambda: not status_of(c), "no account is left")
    assert "telegram" not in json.load(open(g.config_path)).get("channels", {})

    far = subprocess.run([os.path.join(g.build, "openclawctl"), "--url", "ws://192.0.2.1:1", "--token", "x", "channels", "add", "telegram", "botToken"],
                         input="a-secret\n", stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=g.env(), text=True, timeout=60)
    assert far.returncode == 1 and "botToken" in far.stderr and "a-secret" not in far.stderr, far


def test_owner_is_told(t):
    """An account that is refused for good: its owner hears of it once, on another channel; the log says it, too."""
    owner, p = PLATFORMS["external"](t.folder), PLATFORMS["telegram"](t.folder)
    config = config_for(t.fake.url)
    config["agents"]["defaults"]["model"]["primary"] = "demo/demo-1"
    config["channels"] = {owner.channel(): owner.section(), "telegram": p.section()}
    g = t.new_gateway(config)
    g.start()
    c = g.client()
    until(lambda: all(a["connected"] for a in status_of(c).values()), "both are connected", timeout=60)
    owner.write("u1", "hello there", to="42")
    until(lambda: any("hello there" in x for x in owner.texts()), "an answer")
    p.order("revoke", bot=p.bot)
    line = g.wait_log(lambda l: l["event"] == "channel.alarm", "the log")
    assert (line["channel"], line["account"], line["told"]) == ("telegram", "default", owner.channel()), line
    told = lambda: [x for x in owner.texts() if "telegram/default has stopped" in x]
    assert "BotFather" in until(told, "the owner is told")[0]
    old = g.kill("hub")  # another hub sees the same trip: it is known
    g.wait_replaced("hub", old)
    c = g.client()
    until(lambda: status_of(c)[("telegram", "default")]["lifecycle"] == "failed", "the new hub knows")
    owner.write("u2", "after that", to="42")
    until(lambda: any("after that" in x for x in owner.texts()), "another answer")
    assert len(told()) == 1 and p.token not in " ".join(owner.texts()), owner.texts()


def test_program_is_confined(t):
    """An external program holds no descriptor but its three, no environment of ours, and can neither write files nor connect elsewhere."""
    program = os.path.join(t.folder, "probe.py")
    with open(program, "w") as f:
        f.write("""
import json, os, socket, sys
def tried(fn):
    try:
        fn()
        return "done"
    except OSError as e:
        return e.__class__.__name__
def probe():
    return {"fds": sorted(int(x) for x in os.listdir("/proc/self/fd"))[:-1], "env": sorted(os.environ),
            "write": tried(lambda: open("/tmp/written-by-a-channel", "w")), "parent": tried(lambda: os.kill(os.getppid(), 0)),
            "port": tried(lambda: socket.create_connection(("127.0.0.1", 9), timeout=2)),
            "privs": open("/proc/self/status").read().split("NoNewPrivs:")[1].split()[0]}
for line in sys.stdin:
    r = json.loads(line)
    if "id" in r:
        print(json.dumps({"id": r["id"], "result": probe() if r["method"] == "probe" else {"connected": True}}), flush=True)
""")
    os.chmod(program, 0o644)
    for path in (os.path.dirname(t.folder), t.folder):
        os.chmod(path, 0o711)
    config = config_for(t.fake.url)
    config["channels"] = {"probe": {"command": ["/usr/bin/python3", program], "ports": [443], "token": "canary-9c1f"}}
    g = t.new_gateway(config)
    g.start()
    c = g.client()
    connected(c)
    got = status_of(c, probe=True)[("probe", "default")]["probe"]
    assert got["fds"] == [0, 1, 2], got
    assert "OPENCLAW" not in " ".join(got["env"]) and set(got["env"]) <= {"HOME", "LANG", "LC_CTYPE", "PATH", "PYTHONDONTWRITEBYTECODE"}, got
    assert got["write"] == "PermissionError" and got["port"] == "PermissionError" and got["parent"] == "PermissionError", got
    assert got["privs"] == "1", got


def processes(c):
    """{account: pid} of what is up."""
    fleet = c.ask("status").get("fleet") or {"processes": []}
    return {x["account"]: x["pid"] for x in fleet["processes"] if x.get("channel") and x["state"] == "up"}


def two_accounts(t):
    """Two accounts of the external channel, each with a platform and a token of its own."""
    k = Canaries()
    platforms = {name: PLATFORMS["external"](t.folder, client_ids=True, token=k.new(name)) for name in ("a", "b")}
    config = config_for(t.fake.url)
    config["agents"]["defaults"]["model"]["primary"] = "demo/demo-1"
    config["session"] = {"dmScope": "per-account-channel-peer"}
    config["channels"] = {"chat": {"accounts": {name: p.section() for name, p in platforms.items()}}}
    g = t.new_gateway(config)
    g.start()
    c = g.client()
    until(lambda: len(status_of(c)) == 2 and all(x["connected"] for x in status_of(c).values()), "both are connected", timeout=60)
    return g, c, platforms, k


def test_own_token_only(t):
    """A channel's process holds the token of its account and no other; hub, front and agent hold none."""
    g, c, platforms, k = two_accounts(t)
    if not may_look(g):
        return
    for name, p in platforms.items():
        p.write("u1", "hello", to="42")
        until(lambda: p.sent(), "an answer")
    check_memory(g, k, {"a": ("supervisor", "channel"), "b": ("supervisor", "channel")})
    until(lambda: len(processes(c)) == 2, "both are told of")
    for name, pid in processes(c).items():
        assert set(found_in(memory_of(pid), k.needles())) == {name}, name


def test_new_token(t):
    """A changed token restarts its account alone."""
    g, c, platforms, k = two_accounts(t)
    until(lambda: len(processes(c)) == 2, "both are told of")
    before = processes(c)
    platforms["a"].token = "another-token"
    g.config["channels"]["chat"]["accounts"]["a"]["token"] = "another-token"
    g.write_config(g.config)
    until(lambda: processes(c).get("a", before["a"]) != before["a"], "a new process", timeout=60)
    platforms["a"].write("u1", "with the new one")
    until(lambda: any("with the new one" in x for x in platforms["a"].texts()), "an answer", timeout=60)
    assert processes(c)["b"] == before["b"], "the other account was restarted, too"


@receipted
def test_outage(t, name):
    """The platform goes away and comes back: what waited is sent once and in order, what was written meanwhile is answered."""
    g, p = setup(t, name, client_ids=True)
    c = g.client()
    connected(c)
    p.down(True)
    until(lambda: not any(a["connected"] for a in status_of(c).values()), "it is noticed", timeout=180)  # a webhook is looked after once a minute
    for i in range(5):
        c.start("send", {"to": "42", "message": "held %d." % i, "idempotencyKey": "h%d" % i})
    p.write("u1", "are you there?", to="43")
    until(lambda: c.ask("deliveries.list", {})["open"] == 5, "five wait")
    p.down(False)
    until(lambda: c.ask("deliveries.list", {})["open"] == 0 and any("are you there?" in x for x in p.texts()), "all is said", timeout=90)
    held = [x for x in p.texts() if x.startswith("held")]
    assert held == ["held %d." % i for i in range(5)], held
