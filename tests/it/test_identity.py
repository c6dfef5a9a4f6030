"""Who comes in, as an administrator sees it: devices, passwords, a new token, the audit."""
import base64
import hashlib
import json
import os
import subprocess
import time

from client import Client, Refused
from gateway import config_for, until
from test_http import ask

SCOPES = ["operator.read", "operator.write"]
CLI = {"id": "cli", "version": "1", "platform": "linux", "mode": "cli"}


class Device:
    """An Ed25519 key of the openssl program."""

    def __init__(self, folder, name):
        self.path = os.path.join(folder, name + ".pem")
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", self.path], check=True,
                       stderr=subprocess.DEVNULL)
        der = subprocess.run(["openssl", "pkey", "-in", self.path, "-pubout", "-outform", "DER"], check=True,
                             stdout=subprocess.PIPE).stdout
        self.key = base64.urlsafe_b64encode(der[-32:]).decode().rstrip("=")
        self.id = hashlib.sha256(der[-32:]).hexdigest()

    def sign(self, text):
        with open(self.path + ".msg", "wb") as f:
            f.write(text.encode())
        out = subprocess.run(["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", self.path, "-in",
                              self.path + ".msg"], check=True, stdout=subprocess.PIPE).stdout
        return base64.urlsafe_b64encode(out).decode().rstrip("=")

    def connect(self, g, auth, scopes=SCOPES, client=CLI, **ws):
        c = Client(g.port, None, auth=False, **ws)
        nonce = c.challenge["payload"]["nonce"]
        at = int(time.time() * 1000)
        secret = auth.get("token") or auth.get("deviceToken") or auth.get("bootstrapToken") or ""
        text = "|".join(["v3", self.id, client["id"], client["mode"], "operator", ",".join(scopes), str(at), secret,
                         nonce, client["platform"], ""])
        c.hello = c.ask("connect", Client.connect_params(
            None, scopes, client=client, auth=auth,
            device={"id": self.id, "publicKey": self.key, "signature": self.sign(text), "signedAt": at,
                    "nonce": nonce}))
        return c


def ctl(t, g, *args, give="", code=0, token=True, **env):
    argv = [os.path.join(t.build, "openclawctl"), "--url", "ws://127.0.0.1:%d" % g.port, "--state-dir",
            g.state_dir, "--config", g.config_path] + (["--token", g.token] if token else []) + list(args)
    p = subprocess.run(argv, input=give.encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       env=dict(g.env(), **env), timeout=60)
    text = p.stdout.decode()
    assert code is None or p.returncode == code, "%s: exit %d\n%s" % (" ".join(args), p.returncode, text)
    return text


def refused(call, detail):
    try:
        call()
    except Refused as e:
        assert e.details.get("code") == detail, (str(e), e.details)
        return e.details
    raise AssertionError("let in, not %s" % detail)


def test_devices(t):
    g = t.gateway()
    one = Device(g.folder, "one")
    token = one.connect(g, {"token": g.token}).hello["auth"]["deviceToken"]
    c = one.connect(g, {"deviceToken": token})
    assert c.hello["auth"]["method"] == "device-token", c.hello["auth"]
    # a page that is not the gateway's own is not paired silently
    two = Device(g.folder, "two")
    origin = {"headers": ["Origin: http://127.0.0.1:%d" % g.port]}
    error = refused(lambda: two.connect(g, {"token": g.token}, **origin), "PAIRING_REQUIRED")
    request = error["requestId"]
    shown = ctl(t, g, "devices")
    assert request in shown and one.id[:12] in shown, shown
    assert "approved" in ctl(t, g, "devices", "approve", request[:8])
    two.connect(g, {"token": g.token}, **origin)
    ctl(t, g, "devices", "rename", two.id[:10], "The other one")
    assert "The other one" in ctl(t, g, "devices", "list")
    ctl(t, g, "devices", "approve", "nosuch", code=1)
    # its token reads over HTTP, and no more than that
    reads = ("/control-ui-config.json", "/v1/models", "/metrics")
    for path in reads:
        assert ask(g, path, token=token)[0] == 200, path
    assert ask(g, path, token=token[:-1] + ("A" if token[-1] != "A" else "B"))[0] == 401  # wrong ones wait: few are tried
    assert ask(g, path, token=token, Origin="https://evil.example")[0] == 401
    assert ask(g, "/tools/invoke", "POST", {"tool": "agents_list"}, token=token)[0] == 401
    three = Device(g.folder, "three")
    narrow = three.connect(g, {"token": g.token}, scopes=["operator.approvals"]).hello["auth"]["deviceToken"]
    s, h, b = ask(g, "/metrics", token=narrow)
    assert s == 403 and json.loads(b)["error"]["message"] == "missing scope: operator.read", (s, b)
    # rotated: the connection ends, the old token is nothing
    ctl(t, g, "devices", "rotate", one.id[:12])
    assert c.ws.wait_close()[0] == 4001
    refused(lambda: one.connect(g, {"deviceToken": token}), "AUTH_DEVICE_TOKEN_MISMATCH")
    assert ask(g, reads[0], token=token)[0] == 401
    fresh = one.connect(g, {"token": g.token}).hello["auth"]["deviceToken"]
    assert fresh != token
    # the hub dies: the same store, the same token, the same connection
    c = one.connect(g, {"deviceToken": fresh})
    pid = g.kill("hub")
    g.wait_replaced("hub", pid) if pid else None
    until(lambda: c.ask("health") is not None, "the connection goes on")
    ctl(t, g, "devices", "remove", one.id[:12])
    assert c.ws.wait_close()[0] == 4001
    refused(lambda: one.connect(g, {"deviceToken": fresh}), "AUTH_DEVICE_TOKEN_MISMATCH")
    assert ask(g, reads[0], token=fresh)[0] == 401
    # nothing of a token is in the store or the log
    searched = 0
    for folder, _, names in os.walk(g.state_dir):
        for path in (os.path.join(folder, n) for n in names):
            with open(path, "rb") as f:
                data = f.read()
            searched += len(data)
            assert token.encode() not in data and fresh.encode() not in data, path
    assert searched > 10000, "the store was not found"
    assert not any(fresh in line or token in line for line in g.raw)


def test_token_like_a_devices(t):
    """A gateway's token of a device token's form: whoever shows it is no guesser of those."""
    conf = config_for(t.fake.url)
    conf["gateway"]["auth"].update(token="Zq-3_" * 8 + "Zq-", rateLimit={"exemptLoopback": False})
    g = t.new_gateway(conf)
    g.token = conf["gateway"]["auth"]["token"]
    g.start()
    one = Device(g.folder, "one")
    token = one.connect(g, {"token": g.token}).hello["auth"]["deviceToken"]
    assert len(token) == len(g.token)
    for _ in range(12):
        assert ask(g, "/v1/models")[0] == 200
    assert ask(g, "/v1/models", token=token)[0] == 200
    one.connect(g, {"deviceToken": token})


def test_setup_code(t):
    """A code that was handed out outlives the hub, and so does its end."""
    g = t.gateway()
    made = g.client().ask("device.pair.setupCode", {"bootstrapProfile": "limited"})
    code = made["setupCode"]
    token = json.loads(base64.urlsafe_b64decode(code + "=" * (-len(code) % 4)))["bootstrapToken"]

    def hub_dies():
        old = g.kill("hub")
        g.wait_replaced("hub", old)
        g.client_soon()
    hub_dies()
    origin = {"headers": ["Origin: http://127.0.0.1:%d" % g.port]}  # a page's device is not paired silently
    one, two = Device(g.folder, "one"), Device(g.folder, "two")
    got = one.connect(g, {"bootstrapToken": token}, **origin).hello["auth"]
    assert got["method"] == "bootstrap-token", got
    refused(lambda: two.connect(g, {"bootstrapToken": token}, **origin), "AUTH_BOOTSTRAP_TOKEN_INVALID")
    hub_dies()
    refused(lambda: two.connect(g, {"bootstrapToken": token}, **origin), "AUTH_BOOTSTRAP_TOKEN_INVALID")
    status = g.client().ask("device.pair.setupStatus", {"setupId": made["setupId"]})
    assert status["completion"]["deviceId"] == one.id, status
    assert g.client().refused("device.pair.setupCode", {"joinUrl": True}).code == "INVALID_REQUEST"
    for folder, _, names in os.walk(g.state_dir):
        for path in (os.path.join(folder, n) for n in names):
            with open(path, "rb") as f:
                assert token.encode() not in f.read(), path


def test_new_token(t):
    """The token of the state folder is replaced while the gateway runs."""
    g = t.new_gateway()
    argv = g.argv
    g.argv = lambda *more: [a for i, a in enumerate(argv(*more)) if a not in ("--token", g.token)]
    g.start()
    path = os.path.join(g.state_dir, "gateway.token")
    old = open(path).read().strip()
    g.token = old
    c = g.client()
    assert "new token" in ctl(t, g, "auth", "rotate-token", token=False)
    began = time.monotonic()
    code, reason = c.ws.wait_close()[:2]
    assert (code, reason) == (4001, "gateway auth changed"), (code, reason)
    assert time.monotonic() - began < 2, "it took too long"
    g.token = open(path).read().strip()
    assert g.token != old and os.stat(path).st_mode & 0o777 == 0o600
    refused(lambda: Client(g.port, old), "AUTH_TOKEN_MISMATCH")
    g.client()


def test_password(t):
    """A hash that openclawctl made opens the gateway, its password only, and that again quickly."""
    g = t.new_gateway()
    made = ctl(t, g, "auth", "hash", give="correct horse battery\n").strip().splitlines()[-1]
    assert made.startswith("$"), made
    g.write_config(config_for(t.fake.url, auth={"mode": "password", "password": made}))
    argv = g.argv
    g.argv = lambda *more: [a for a in argv(*more) if a not in ("--token", g.token)]
    g.start()

    def by(password):
        c = Client(g.port, None, auth=False)
        c.hello = c.ask("connect", Client.connect_params(None, auth={"password": password}))
        return c
    c = by("correct horse battery")
    assert c.hello["auth"]["method"] == "password", c.hello["auth"]
    by("correct horse battery")
    time.sleep(5)  # crypt may not run again before
    refused(lambda: by("wrong"), "AUTH_PASSWORD_MISMATCH")
    refused(lambda: Client(g.port, "correct horse battery"), "AUTH_PASSWORD_MISSING")
    assert "password" in ctl(t, g, "auth", "status", token=False, OPENCLAW_GATEWAY_PASSWORD="correct horse battery")
    g.write_config(config_for(t.fake.url, auth={"mode": "password", "password": "another one, in clear text"}))
    assert c.ws.wait_close()[:2] == (4001, "gateway auth changed")
    by("another one, in clear text")


def test_proxy(t):
    """A proxy on this machine says who the user is; nobody else's word counts."""
    proxy = {"userHeader": "x-user", "requiredHeaders": ["x-proof"], "allowUsers": ["ann@example.com", "bob"]}
    gateway = {"auth": {"mode": "trusted-proxy", "trustedProxy": proxy,
                        "identityScopes": {"ann@example.com": ["operator.read"]}},
               "trustedProxies": ["127.0.0.1"], "controlUi": {"allowedOrigins": ["https://ui.example"]}}
    g = t.new_gateway(config_for(t.fake.url, **gateway))
    argv = g.argv
    g.argv = lambda *more: [a for a in argv(*more) if a not in ("--token", g.token)]
    code, text = g.run()
    assert code != 0 and "allowLoopback" in text, text
    proxy["allowLoopback"] = True
    g.write_config(config_for(t.fake.url, **gateway))
    g.start()

    def page(*headers):
        c = Client(g.port, None, auth=False, headers=["Origin: https://ui.example", *headers])
        c.hello = c.ask("connect", Client.connect_params(
            None, ["operator.admin"], auth={}, client={"id": "openclaw-control-ui", "version": "1", "platform": "web",
                                                       "mode": "webchat"}))
        return c
    far, proof = "X-Forwarded-For: 203.0.113.7", "X-Proof: 1"
    c = page(far, proof, "X-User: Ann@Example.com")
    assert c.hello["auth"]["method"] == "trusted-proxy" and c.hello["auth"]["scopes"] == ["operator.read"], c.hello["auth"]
    assert page(far, proof, "X-User: bob").hello["auth"]["scopes"] == []
    refused(lambda: page(far, proof, "X-User: eve"), "AUTH_UNAUTHORIZED")
    refused(lambda: page(far, proof), "AUTH_IDENTITY_HEADER_REQUIRED")
    refused(lambda: page(far, "X-User: bob"), "AUTH_IDENTITY_HEADER_REQUIRED")
    refused(lambda: page(far, proof, "X-User: bob", "X-User: ann@example.com"), "AUTH_IDENTITY_HEADER_REQUIRED")
    gateway["auth"]["identityScopes"] = {}
    g.write_config(config_for(t.fake.url, **gateway))
    assert c.ws.wait_close()[:2] == (4001, "gateway auth changed")


def test_audit(t):
    if "ASAN_OPTIONS" in os.environ:  # that build wears no whole cage, and the audit says so; the release build runs this
        print("skipped: a sanitized build lacks layers of the sandbox")
        return
    g = t.gateway()
    report = json.loads(ctl(t, g, "--json", "security", "audit", code=json_exit(t, g)))
    ids = {f["id"] for f in report["findings"]}
    assert not ids & {"file.readable", "file.writable", "auth.none", "origin.any", "gateway.unseen"}, report
    assert all(f["mend"] and f["what"] for f in report["findings"]), report
    doc = json.loads(json.dumps(g.config))
    doc["gateway"]["controlUi"] = {"allowedOrigins": ["*"]}
    doc["gateway"]["auth"]["token"] = "short"
    g.write_config(doc)
    os.chmod(g.config_path, 0o666)
    report = json.loads(ctl(t, g, "--json", "security", "audit", code=2))
    ids = {f["id"] for f in report["findings"]}
    assert {"origin.any", "token.short", "file.writable"} <= ids, report
    os.chmod(g.config_path, 0o600)


def json_exit(t, g):
    """Whatever this machine's sandbox lacks is a warning, and no more."""
    p = subprocess.run([os.path.join(t.build, "openclawctl"), "--url", "ws://127.0.0.1:%d" % g.port,
                        "--state-dir", g.state_dir, "--config", g.config_path, "--token", g.token,
                        "security", "audit"], stdout=subprocess.PIPE, env=g.env())
    assert p.returncode in (0, 1), p.stdout.decode()
    return p.returncode
