"""Attacks that gateways of this kind have known, one test each; docs/security.md lists which test stands for which."""
import os
import re
import time

from client import Client, Refused
from gateway import config_for
from test_identity import CLI, Device, refused
from ws import Closed

ROUTES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "proto", "routes.def")


def bearer_routes():
    with open(ROUTES) as f:
        rows = re.findall(r'^ROUTE\((\w+), (\w+), (\w+), "([^"]+)", (\w+), (\w+),', f.read(), re.M)
    return [(path + ("x" if match == "BELOW" else ""), "POST" if methods == "POSTS" else "GET")
            for _, mount, match, path, methods, auth in rows if auth == "BEARER" and mount != "HOOKS"]


def test_every_route_asks(t):
    """No row of the table that wants a bearer answers without a right one, wherever else it is written."""
    g = t.gateway()
    rows = bearer_routes()
    assert len(rows) >= 8, rows
    for path, method in rows:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer "}, {"Authorization": g.token},
                        {"Cookie": "token=" + g.token}, {"X-OpenClaw-Token": g.token}, {"X-OpenClaw-Scopes": "operator.admin"}):
            assert g.http(path, method, headers)[0] == 401, (path, headers)
        assert g.http(path + "?token=" + g.token, method)[0] == 401, path
        assert g.http(path, method, {"Authorization": "Bearer " + g.token})[0] != 401, path


def test_token_in_an_address(t):
    """A token in a URL opens nothing, and is in no log (the end of each test looks for it there)."""
    g = t.gateway()
    c = Client(g.port, None, auth=False, path="/?token=" + g.token)
    params = Client.connect_params("", auth={})
    assert c.refused("connect", params).code in ("NOT_PAIRED", "INVALID_REQUEST")
    assert g.http("/v1/models?token=%s&access_token=%s" % (g.token, g.token))[0] == 401
    assert g.http("/" + g.token)[0] in (200, 404)


class Replay(Device):
    """Signs once, and shows it as often as it likes."""

    def signed(self, g, token, age_ms=0, nonce=None):
        c = Client(g.port, None, auth=False)
        nonce = nonce or c.challenge["payload"]["nonce"]
        at = int(time.time() * 1000) - age_ms
        text = "|".join(["v3", self.id, "cli", "cli", "operator", "operator.read", str(at), token, nonce, "linux", ""])
        return c, Client.connect_params(None, ["operator.read"], client=CLI, auth={"token": token}, device={
            "id": self.id, "publicKey": self.key, "signature": self.sign(text), "signedAt": at, "nonce": nonce})


def test_replayed_signature(t):
    """A signature is good for its challenge, its minute and what it was made over; nothing re-encodes it into another."""
    g = t.gateway()
    dev = Replay(g.folder, "one")

    def code(c, params):
        return c.refused("connect", params).details.get("code")
    c, good = dev.signed(g, g.token)
    c.ask("connect", good)
    assert code(Client(g.port, None, auth=False), good) == "DEVICE_AUTH_NONCE_MISMATCH"
    assert code(*dev.signed(g, g.token, nonce=good["device"]["nonce"])) == "DEVICE_AUTH_NONCE_MISMATCH"
    assert code(*dev.signed(g, g.token, age_ms=3600000)) == "DEVICE_AUTH_SIGNATURE_EXPIRED"
    assert code(*dev.signed(g, g.token, age_ms=-3600000)) == "DEVICE_AUTH_SIGNATURE_EXPIRED"
    for change in ({"scopes": ["operator.admin"]}, {"role": "node"}, {"auth": {"token": g.token + "x"}}):
        c, params = dev.signed(g, g.token)
        assert code(c, dict(params, **change)) == "DEVICE_AUTH_SIGNATURE_INVALID", change
    c, params = dev.signed(g, g.token)
    params["device"]["id"] = "0" * 64
    assert code(c, params) == "DEVICE_AUTH_DEVICE_ID_MISMATCH"


def test_anothers_device_token(t):
    """A device's token is nothing in the hands of another device, or of none."""
    g = t.gateway()
    one, two = Device(g.folder, "one"), Device(g.folder, "two")
    token = one.connect(g, {"token": g.token}).hello["auth"]["deviceToken"]
    refused(lambda: two.connect(g, {"deviceToken": token}), "AUTH_DEVICE_TOKEN_MISMATCH")
    refused(lambda: Client(g.port, token), "AUTH_TOKEN_MISMATCH")
    assert g.http("/v1/models", headers={"Authorization": "Bearer " + token + "x"})[0] == 401


# The whole table is tests/unit/test_scopes.c; this is its spot check over real sockets: who, what, allowed.
ASKED = [("health", ["operator.read", "operator.write", "operator.admin", "operator.pairing", "operator.approvals"]),
         ("status", ["operator.read", "operator.write", "operator.admin"]),
         ("sessions.list", ["operator.read", "operator.write", "operator.admin"]),
         ("device.pair.list", ["operator.pairing", "operator.admin"]),
         ("config.get", ["operator.read", "operator.write", "operator.admin"]),
         ("device.pair.setupCode", ["operator.admin"])]


def test_scopes_asked_for(t):
    """Each scope alone: the method's row decides, and what a client declares beside it changes nothing."""
    g = t.gateway()
    for scope in ("operator.read", "operator.write", "operator.admin", "operator.pairing", "operator.approvals"):
        c = g.client(scopes=[scope])
        for method, who in ASKED:
            try:
                c.ask(method, {})
                let_in = True
            except Refused as e:
                let_in = e.code != "FORBIDDEN"
                assert let_in or e.details["code"] == "MISSING_SCOPE", (scope, method, e.details)
            assert let_in == (scope in who), (scope, method)
        assert c.refused("no.such.method").code == ("INVALID_REQUEST" if scope == "operator.admin" else "FORBIDDEN")
        c.close()


def test_one_secret_for_two_purposes(t):
    """The key of a model service is not the gateway's token, too."""
    doc = config_for(t.fake.url, auth={"mode": "token", "token": "the-same-secret-0123456789"})
    doc["models"]["providers"]["mock"]["apiKey"] = "the-same-secret-0123456789"
    g = t.new_gateway(doc)
    argv = g.argv
    g.argv = lambda *more: [a for i, a in enumerate(argv(*more)) if a not in ("--token", g.token)]
    code, text = g.run()
    assert code == 2 and "gateway.auth.token" in text and "the-same-secret" not in text, (code, text)
    t.gateways.remove(g)


def test_nobody_before_connect(t):
    """Before connect, every method is refused and the connection ends."""
    g = t.gateway()
    for method in ("health", "config.get", "chat.send", "device.pair.list", "device.token.rotate"):
        c = Client(g.port, None, auth=False)
        try:
            c.ask(method, {})
            raise AssertionError("%s was answered before connect" % method)
        except (Refused, Closed):
            pass
