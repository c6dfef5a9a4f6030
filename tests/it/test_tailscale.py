"""Mode tailscale: whom tailscale serve forwards and tailscaled knows comes in, and nobody else by the same headers."""
import os
import sys

from client import Client, Refused
from gateway import config_for, until
from test_identity import CLI, Device, ctl, refused
from ws import Closed

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fake"))
from tailscaled import Tailscaled  # noqa: E402

ANN, BOB = "100.101.102.103", "fd7a:115c:a1e0::5"
UI = {"id": "openclaw-control-ui", "version": "1", "platform": "web", "mode": "webchat"}
HOST = "box.tail0.ts.net"


def world(t, **auth):
    """A gateway behind a tailscale serve; each one with a daemon of its own."""
    g = t.new_gateway(config_for(t.fake.url))
    path = os.path.join(g.folder, "ts.sock")
    for folder in (t.folder, g.folder):  # the process that asks has a uid of its own
        os.chmod(folder, 0o755)
    g.write_config(config_for(t.fake.url, auth=dict({"mode": "tailscale"}, **auth), tailscale={"socket": path}))
    d = Tailscaled(path)
    d.who = {ANN: "ann@example.com", BOB: "bob@github"}
    g.start()
    return g, d


def served(login="ann@example.com", addr=ANN, drop=(), more=()):
    """What tailscale serve sends along."""
    lines = {"X-Forwarded-For": addr, "X-Forwarded-Proto": "https", "X-Forwarded-Host": HOST,
             "Tailscale-User-Login": login, "Tailscale-User-Name": "Ann", "Tailscale-Headers-Info": "about",
             "Origin": "https://" + HOST}
    return ["%s: %s" % (k, v) for k, v in lines.items() if k not in drop and v is not None] + list(more)


def page(g, device, headers, auth=None, client=UI, **kw):
    return device.connect(g, auth or {}, client=client, headers=headers, name=HOST, **kw)


def test_comes_in(t):
    g, d = world(t)
    ann = Device(g.folder, "ann")
    c = page(g, ann, served())
    assert c.hello["auth"]["method"] == "tailscale", c.hello["auth"]
    assert sorted(c.hello["auth"]["scopes"]) == ["operator.read", "operator.write"], c.hello["auth"]
    assert "deviceToken" not in c.hello["auth"], "nothing that outlives the daemon's word"
    assert c.turn("agent:main:ts", "from afar [fake ok chunks=2]")[1]["state"] == "final"
    page(g, ann, served())
    assert d.asked == [ANN], "asked once in a minute: %r" % d.asked
    page(g, Device(g.folder, "bob"), served("Bob@GitHub", BOB))
    assert d.asked == [ANN, BOB]
    # another client's device is paired as ever
    request = refused(lambda: page(g, Device(g.folder, "other"), served(drop=("Origin",)), client=CLI),
                      "PAIRING_REQUIRED")["requestId"]
    ctl(t, g, "devices", "approve", request)
    # and who has no device at all has no identity
    refused(lambda: Client(g.port, "", headers=served(), name=HOST), "DEVICE_IDENTITY_REQUIRED")
    shown = ctl(t, g, "auth", "status")
    assert "tailscale" in shown and "token" in shown, shown
    assert "tailscale.host_trusted" in ctl(t, g, "--json", "security", "audit", code=None)


def test_not_by_headers_alone(t):
    """Each row: what came, and why that is nobody."""
    g, d = world(t, tailscale={"allowUsers": ["ann@example.com"]})
    ann = Device(g.folder, "ann")
    rows = [("AUTH_TAILSCALE_IDENTITY_MISMATCH", served("eve@example.com")),
            ("AUTH_TAILSCALE_IDENTITY_MISMATCH", served("ann@example.com", BOB)),
            ("AUTH_TAILSCALE_WHOIS_FAILED", served(addr="100.64.0.1")),
            ("AUTH_TAILSCALE_IDENTITY_MISSING", served(drop=("Tailscale-User-Login",))),
            ("AUTH_TAILSCALE_IDENTITY_MISSING", served(more=["Tailscale-User-Login: eve@example.com"])),
            ("AUTH_UNAUTHORIZED", served("bob@github", BOB))]
    for code, headers in rows:
        refused(lambda: page(g, ann, headers), code)
        refused(lambda: page(g, ann, headers, {"token": g.token}), code)  # from afar the token opens nothing
    asked = len(d.asked)
    for headers in (served(addr="203.0.113.7"), served(addr="127.0.0.1"), served(addr=ANN + ", " + ANN),
                    served(more=["X-Forwarded-For: " + ANN]), served(drop=("X-Forwarded-Host",)),
                    served(more=["Tailscale-Funnel-Request: ?1"]), served(more=["X-Real-IP: " + ANN]),
                    served(more=["Forwarded: for=" + ANN]), served(drop=("X-Forwarded-For",))):
        try:
            page(g, ann, headers)
            raise AssertionError("upgraded: %r" % headers)
        except Closed as e:
            assert "403" in str(e), (headers, e)
    assert len(d.asked) == asked, "the daemon was asked for what no serve sends"
    assert g.http("/v1/models", headers=dict(x.split(": ", 1) for x in served()))[0] == 401
    # programs on this machine have the token, and need it
    assert g.client().hello["auth"]["method"] == "token"
    refused(lambda: Client(g.port, "wrong"), "AUTH_TOKEN_MISMATCH")
    refused(lambda: ann.connect(g, {}), "AUTH_TOKEN_MISSING")


def test_daemon_misbehaves(t):
    """Whatever it says or does not say: refused in time, and well again once it is well."""
    g, d = world(t)
    ann = Device(g.folder, "ann")
    addresses = iter("100.99.0.%d" % i for i in range(1, 99))  # an answer is remembered for its address
    for how in ("garbage", "error", "short", "tagged", "huge", "slow", "drip"):
        d.how = how
        addr = next(addresses)
        d.who[addr] = "ann@example.com"
        refused(lambda: page(g, ann, served(addr=addr)), "AUTH_TAILSCALE_WHOIS_FAILED")
    d.how = "ok"
    addr = next(addresses)
    d.who[addr] = "ann@example.com"
    page(g, ann, served(addr=addr))
    # gone; then there is another one, with a new socket under the same name
    d.stop()
    refused(lambda: page(g, ann, served(addr=next(addresses))), "AUTH_TAILSCALE_WHOIS_FAILED")
    g.client()
    d.start()
    d.who.update({"100.99.1.%d" % i: "ann@example.com" for i in range(250)})
    later = iter("100.99.1.%d" % i for i in range(250))

    def well():
        try:
            return page(g, ann, served(addr=next(later)))
        except Refused:
            return None
    until(well, "the new daemon is asked", step=0.1)


def test_worker_dies(t):
    """Whoever asks tailscaled is killed: connects are refused, never let in; the rest goes on; another one asks."""
    g, d = world(t)
    ann = Device(g.folder, "ann")
    here, c = g.client(), page(g, ann, served())
    old = g.worker("whois")
    d.how = "slow"
    d.who["100.99.0.1"] = "ann@example.com"
    waiting = Waiting(lambda: page(g, ann, served(addr="100.99.0.1")))
    until(lambda: "100.99.0.1" in d.asked, "the question is on its way")
    g.kill("whois")
    refused(waiting.result, "AUTH_TAILSCALE_WHOIS_FAILED")
    g.wait_replaced("whois", old)
    d.ended.set()
    d.ended.clear()
    d.how = "ok"
    d.who.update({"100.99.1.%d" % i: "ann@example.com" for i in range(250)})
    later = iter("100.99.1.%d" % i for i in range(250))

    def again():
        try:
            return page(g, ann, served(addr=next(later)))
        except Refused:
            return None
    until(again, "its successor asks", step=0.05)
    assert here.ask("health") and c.ask("health")
    # the hub dies: who came in so stays in, by its ticket
    old = g.kill("hub")
    g.wait_replaced("hub", old)
    until(lambda: c.ask("health") is not None, "the connection goes on")


def test_reload(t):
    """Another user list, another mode: who came in by it is out; and the process comes and goes with the mode."""
    g, d = world(t)
    c = page(g, Device(g.folder, "ann"), served())
    doc = dict(g.config)
    doc["gateway"]["auth"]["tailscale"] = {"allowUsers": ["bob@github"]}
    g.write_config(doc)
    assert c.ws.wait_close()[:2] == (4001, "gateway auth changed")
    doc["gateway"]["auth"] = {"mode": "token"}
    g.write_config(doc)
    until(lambda: not g.workers("whois"), "nobody asks tailscaled any more")
    until(lambda: refused_with_403(g), "the headers are a stranger's again")
    doc["gateway"]["auth"] = {"mode": "token", "allowTailscale": True}
    g.write_config(doc)
    g.worker("whois")
    ann = Device(g.folder, "ann2")

    def beside():
        try:
            return page(g, ann, served())
        except (Refused, Closed, OSError):
            return None
    assert until(beside, "the token's mode and the tailnet's user").hello["auth"]["method"] == "tailscale"
    refused(lambda: page(g, ann, served(), {"token": "wrong"}), "AUTH_TOKEN_MISMATCH")


def refused_with_403(g):
    try:
        page(g, Device(g.folder, "x"), served())
    except (OSError, Closed, Refused) as e:
        return "403" in str(e)
    return False


def test_bind(t):
    g = t.new_gateway(config_for(t.fake.url, auth={"mode": "tailscale"}, bind="lan"))
    code, text = g.run()
    assert code == 2 and "tailscale needs gateway.bind loopback" in text, (code, text)
    t.gateways.remove(g)


class Waiting:
    """A call in a thread; its outcome later."""

    def __init__(self, call):
        import threading
        self.error, self.value = None, None

        def run():
            try:
                self.value = call()
            except BaseException as e:  # noqa: B902
                self.error = e
        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()

    def result(self):
        self.thread.join()
        if self.error:
            raise self.error
        return self.value
