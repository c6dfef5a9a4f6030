"""A platform is away for an hour: nobody listens, then it answers that it cannot, then it answers nothing, twenty minutes each. What was to
be said goes out once and in order when it is back, what was written meanwhile is answered once, it is asked seldom, and the owner hears of it.

The hour is a clock's: a build with -Dfaults=true sees the time that the test lets pass (tests/fake/fault.c). Elsewhere nothing is looked at.
"""
import json
import os

from fault import FaultyGateway, Page, built_with_faults
from gateway import config_for, until
from platforms import PLATFORMS, External
from test_channels import connected, each, status_of

HOWS = ("refused", "errors", "silent")
PHASE_S = 20 * 60
ASKED_MAX = 40  # in a phase: 1, 2, 4 ... 256, 300, 300 s and what was under way, twice


def setup(t, name):
    folder = os.path.join(t.folder, "g")
    os.makedirs(folder)
    os.chmod(t.folder, 0o711)
    owner, p = External(t.folder, token="owner-token"), PLATFORMS[name](t.folder, client_ids=True)
    config = config_for(t.fake.url)
    config["agents"]["defaults"]["model"]["primary"] = "demo/demo-1"
    # nobody hangs because time flies
    config["gateway"]["workers"] = {"heartbeatMs": 60000, "hangMs": 600000, "startTimeoutMs": 600000}
    config["channels"] = {"chat": {"accounts": {"owner": owner.section()}}}
    if name == "external":
        config["channels"]["chat"]["accounts"]["default"] = p.section()
    else:
        config["channels"][p.channel()] = p.section()
    config["messages"] = {"queue": {"mode": "followup", "cap": 1000, "debounceMs": 0}}
    g = FaultyGateway(t.build, folder, config)
    g.page = Page(folder)
    t.gateways.append(g)
    if hasattr(p, "secret"):
        section = g.config["channels"]["telegram"]
        section.update(webhookUrl="http://127.0.0.1:%d/telegram-webhook" % g.port, webhookSecret=p.secret)
        g.write_config(g.config)
    return g.start(), owner, p


def events(g, start, *names):
    return [l for l in g.lines[start:] if l["event"] in names and l.get("account", "default") == "default"]


def is_up(c, p):
    return status_of(c).get((p.channel(), "default"), {}).get("connected")


@each
def test_an_hour(t, name):
    if not built_with_faults(t.build):
        print("skipped: not a build with -Dfaults=true")
        return
    g, owner, p = setup(t, name)
    c = g.client()
    connected(c)
    until(lambda: is_up(c, p), "the account is connected")
    c.ws.close()
    said, written = [], []
    for phase, how in enumerate(HOWS):
        c = g.client_soon()
        owner.write("o%d" % phase, "it is me, %s." % how, to="1")
        until(lambda: any("it is me, %s." % how in x for x in owner.texts()), "the owner is answered")
        until(lambda: c.ask("deliveries.list", {})["open"] == 0, "nothing waits")
        c.ws.close()
        start, asked = len(g.lines), p.asked()
        p.away(how)
        gone = g.page.pass_time(PHASE_S, lambda: events(g, start, "channel.down", "worker.died"))
        assert gone < 400, "nobody noticed for %d s" % gone
        while gone < PHASE_S:
            c = g.client_soon()
            word = "held %d-%d." % (phase, len(said))
            c.start("send", {"to": "42", "message": word, "idempotencyKey": word, "channel": p.channel(), "accountId": "default"})
            until(lambda: any(d["state"] in ("queued", "sending", "unknown") and word in json.dumps(c.ask("deliveries.get", {"id": d["id"]}))
                              for d in c.ask("deliveries.list", {"limit": 100})["deliveries"]), "it is accepted")
            said.append(word)
            if p.receipts:
                word = "written %d-%d." % (phase, len(written))
                p.write(word, word, to=str(100 + len(written)))
                written.append(word)
            c.ws.close()
            gone += g.page.pass_time(PHASE_S / 3)
        asked = p.asked() - asked
        downs = len(events(g, start, "worker.died" if name == "external" else "channel.down"))
        print("%s, %s: asked %d times in %d s, down %d times" % (name, how, asked, gone, downs))
        assert asked <= ASKED_MAX, (how, asked)
        assert downs <= ASKED_MAX, (how, downs)
        up = len(g.lines)
        p.back()
        # a program of its own has the time that it needs to start
        back = g.page.pass_time(700, lambda: events(g, up, "channel.up"), 0.05 if name == "external" else 0.5)
        assert back < 700, "it does not come back"
        c = g.client_soon()
        until(lambda: is_up(c, p), "the account is connected again", timeout=60)
        until(lambda: c.ask("deliveries.list", {})["open"] == 0, "all is sent", timeout=60)
        until(lambda: all(any(w in x for x in p.texts()) for w in written), "all are answered", timeout=60)
        until(lambda: c.ask("deliveries.list", {})["open"] == 0, "all is sent", timeout=60)
        assert [x for x in p.texts() if x.startswith("held")] == said, (how, p.texts(), said)
        assert all(sum(w in x for x in p.texts()) == 1 for w in written), (how, p.texts())
        assert c.ask("deliveries.list", {"state": "unknown"})["deliveries"] == []
        assert c.ask("deliveries.list", {"state": "dead"})["deliveries"] == []
        told = [x for x in owner.texts() if "has had no connection" in x]
        assert len(told) == phase + 1, told
        c.ws.close()


@each
def test_new_token_while_away(t, name):
    """The token is changed while the platform is away, and good for nothing else afterwards: what waits is sent with the new one."""
    p = PLATFORMS[name](t.folder, client_ids=True)
    if not hasattr(p, "renew"):
        print("skipped: the platform has no token")
        return
    config = config_for(t.fake.url)
    config["agents"]["defaults"]["model"]["primary"] = "demo/demo-1"
    config["channels"] = {p.channel(): p.section()}
    g = t.new_gateway(config)
    p.at(g)
    g.start()
    c = g.client()
    connected(c)
    p.away("refused")
    until(lambda: c.ask("channels.status", {"probe": True}) and not is_up(c, p), "it is noticed", timeout=60)
    c.start("send", {"to": "42", "message": "held back.", "idempotencyKey": "h", "channel": p.channel()})
    until(lambda: c.ask("deliveries.list", {})["open"] == 1, "it waits")
    g.config["channels"][p.channel()].update(p.renew())
    g.write_config(g.config)
    p.back()
    until(lambda: is_up(c, p), "the account is connected", timeout=60)
    until(lambda: c.ask("deliveries.list", {})["open"] == 0, "it is sent", timeout=60)
    p.write("u1", "with the new token", to="43")
    until(lambda: any("with the new token" in x for x in p.texts()), "an answer", timeout=60)
    assert [x for x in p.texts() if x.startswith("held")] == ["held back."], p.texts()
