"""HTTP: the page and its files, who may ask, what the hub answers."""
import gzip
import http.client
import json

from ws import WAIT


def ask(g, path, method="GET", body=None, token=True, conn=None, **headers):
    """(status, headers with names in lower case, body)"""
    c = conn or http.client.HTTPConnection("127.0.0.1", g.port, timeout=WAIT)
    h = {k.replace("_", "-"): v for k, v in headers.items()}
    if token:
        h["Authorization"] = "Bearer " + (token if isinstance(token, str) else g.token)
    if isinstance(body, (dict, list)):
        body = json.dumps(body)
        h.setdefault("Content-Type", "application/json")
    c.request(method, path, body, h)
    r = c.getresponse()
    out = r.status, {k.lower(): v for k, v in r.getheaders()}, r.read()
    if not conn:
        c.close()
    return out


def test_page(t):
    g = t.gateway()
    s, h, b = ask(g, "/", token=False)
    assert s == 200 and h["content-type"] == "text/html; charset=utf-8" and b.startswith(b"<!doctype html>"), (s, h)
    csp = h["content-security-policy"]
    assert "script-src 'self'" in csp and "unsafe" not in csp and "frame-ancestors 'none'" in csp, csp
    assert (h["x-content-type-options"], h["referrer-policy"], h["x-frame-options"], h["cache-control"]) == \
        ("nosniff", "no-referrer", "DENY", "no-cache"), h
    assert "set-cookie" not in h and "strict-transport-security" not in h
    tag = h["etag"]
    # the same again, as caches and players ask
    assert ask(g, "/", token=False, If_None_Match=tag)[0] == 304
    assert ask(g, "/", token=False, If_None_Match='"x", W/%s' % tag)[0] == 304
    assert ask(g, "/", token=False, If_None_Match='"x"')[0] == 200
    s, h2, b2 = ask(g, "/", "HEAD", token=False)
    assert (s, b2, h2["content-length"]) == (200, b"", str(len(b))), (s, h2)
    for want, part in (("bytes=0-9", b[:10]), ("bytes=5-", b[5:]), ("bytes=-7", b[-7:]), ("bytes=0-99999999", b)):
        s, h2, b2 = ask(g, "/", token=False, Range=want)
        assert s == 206 and b2 == part and h2["content-range"].endswith("/%d" % len(b)), (want, s, h2)
    s, h2, b2 = ask(g, "/", token=False, Range="bytes=99999999-")
    assert s == 416 and h2["content-range"] == "bytes */%d" % len(b), (s, h2)
    assert ask(g, "/", token=False, Range="bytes=0-1", If_Range='"old"')[0] == 200
    assert ask(g, "/", token=False, Range="bytes=0-1,3-4")[0] == 200 == ask(g, "/", token=False, Range="x")[0]
    s, h2, b2 = ask(g, "/", token=False, Accept_Encoding="gzip")
    assert h2["content-encoding"] == "gzip" and gzip.decompress(b2) == b and h2["etag"] != tag, h2
    assert h2["vary"] == "Accept-Encoding"
    assert "content-encoding" not in ask(g, "/", token=False, Accept_Encoding="gzip;q=0")[1]


def test_unknown_addresses(t):
    g = t.gateway()
    s, h, b = ask(g, "/no/such", token=False, Accept="text/html,*/*")
    assert s == 404 and h["content-type"].startswith("text/html") and b"no such page" in b, (s, b)
    s, h, b = ask(g, "/no/such", token=False)
    assert (s, b) == (404, b"Not Found"), (s, b)
    for path in ("/../etc/passwd", "/%2e%2e/etc/passwd", "//etc/passwd", "/index.html/", "/index.html%00", "/INDEX.html"):
        assert ask(g, path, token=False)[0] == 404, path
    assert ask(g, "/index.html", "POST", b"x", token=False)[0] == 404
    assert ask(g, "/health", "POST", b"x", token=False)[0] == 405


def test_base_path(t):
    from gateway import config_for
    g = t.gateway(config_for(t.fake.url, controlUi={"basePath": "/claw/"}))
    assert ask(g, "/", token=False)[0] == 404
    assert ask(g, "/claw/", token=False)[0] == 200 == ask(g, "/claw/index.html", token=False)[0]
    s, h, _ = ask(g, "/claw", token=False)
    assert (s, h.get("location")) == (301, "/claw/"), (s, h)
    assert ask(g, "/clawx", token=False)[0] == 404
    s, _, b = ask(g, "/claw/control-ui-config.json")
    assert s == 200 and json.loads(b)["basePath"] == "/claw", b
    assert ask(g, "/health", token=False)[0] == 200


def test_no_page(t):
    from gateway import config_for
    g = t.gateway(config_for(t.fake.url, controlUi={"enabled": False}))
    assert ask(g, "/", token=False)[0] == 404 == ask(g, "/control-ui-config.json")[0]


def test_page_config(t):
    g = t.gateway()
    for path in ("/control-ui-config.json", "/__openclaw__/control-ui-config.json"):
        assert ask(g, path, token=False)[0] == 401, path
        s, h, b = ask(g, path)
        doc = json.loads(b)
        assert s == 200 and doc["basePath"] == "" and doc["assistantAgentId"] == "main", b
        assert h["cache-control"] == "no-store"


def test_page_from_a_folder(t):
    """gateway.controlUi.root: files of a folder, nothing outside of it, and a new one after SIGHUP."""
    import os
    import signal
    from gateway import config_for, until
    root = os.path.join(t.folder, "site")
    os.makedirs(os.path.join(root, "assets"))
    big = os.urandom(3 * 1024 * 1024)
    for name, data in (("index.html", b'<html lang="en"><script>go()</script><link href="./assets/a.js">'),
                       ("assets/a.js", b"let a"), ("assets/big.bin", big), (".hidden", b"x")):
        with open(os.path.join(root, name), "wb") as f:
            f.write(data)
    os.symlink("/etc/passwd", os.path.join(root, "passwd.txt"))
    os.symlink("/etc", os.path.join(root, "etc"))
    g = t.gateway(config_for(t.fake.url, controlUi={"root": root, "basePath": "/c"}))
    s, h, b = ask(g, "/c/", token=False)
    assert s == 200 and b == (b'<html data-openclaw-control-ui-base-path="/c" lang="en"><script>go()</script>'
                              b'<link href="/c/assets/a.js">'), b
    assert "'sha256-" in h["content-security-policy"] and "script-src 'self' 'unsafe" not in h["content-security-policy"]
    assert ask(g, "/c/sessions/x", token=False)[2] == b  # a place within the page
    s, h, b = ask(g, "/c/assets/a.js", token=False)
    assert s == 200 and b == b"let a" and "immutable" in h["cache-control"] and h["content-type"].startswith("text/javascript")
    s, h, b = ask(g, "/c/assets/big.bin", token=False)
    assert s == 200 and b == big and h["content-length"] == str(len(big))
    assert ask(g, "/c/assets/big.bin", token=False, Range="bytes=1000000-2999999")[2] == big[1000000:3000000]
    for path in ("/c/passwd.txt", "/c/.hidden", "/c/etc/passwd.txt", "/c/assets/../../x.js", "/c/assets/none.js", "/c/api/x"):
        assert ask(g, path, token=False)[0] == 404, path
    with open(os.path.join(root, "assets/new.js"), "wb") as f:
        f.write(b"let b")
    os.kill(g.pid, signal.SIGHUP)
    until(lambda: ask(g, "/c/assets/new.js", token=False)[0] == 200, "the new file is served")
    front = g.worker("front")
    g.kill("front")
    g.wait_replaced("front", front)
    until(lambda: ask(g, "/c/assets/new.js", token=False)[0] == 200, "the next front serves it, too")


def test_metrics(t):
    import re
    g = t.gateway()
    assert ask(g, "/metrics", token=False)[0] == 401
    c = g.client()
    c.turn("agent:main:a", "count me [fake ok chunks=3]")
    ask(g, "/v1/models")
    s, h, b = ask(g, "/metrics")
    assert s == 200 and h["content-type"].startswith("text/plain; version=0.0.4"), (s, h)
    values = {}
    for line in b.decode().splitlines():
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            assert re.fullmatch(r'openclaw_[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})?', name) and name not in values, line
            values[name] = float(value)
    assert values['openclaw_turns_total{end="ok"}'] == 1 and values['openclaw_tokens_total{kind="output"}'] == 3, b
    assert values['openclaw_provider_calls_total{provider="mock"}'] == 1
    assert values['openclaw_rpc_seconds_count{method="chat.send"}'] == 1
    assert values['openclaw_rpc_seconds_bucket{method="chat.send",le="+Inf"}'] == 1
    assert values['openclaw_http_seconds_count{route="models"}'] == 1
    assert values['openclaw_connections'] == 1 and values['openclaw_front_connections{role="front",instance="0"}'] >= 2, b
    for role in ("supervisor", "front", "hub", "agent"):
        key = '{role="%s",instance="0"}' % role
        assert values["openclaw_process_up" + key] == 1 and values["openclaw_process_restarts_total" + key] == 0, b
        assert values["openclaw_process_cpu_seconds_total" + key] >= 0, b
    assert values['openclaw_front_bytes_out_total{role="front",instance="0"}'] > 100
    g.kill("agent")
    from gateway import until
    until(lambda: b'process_restarts_total{role="agent",instance="0"} 1' in ask(g, "/metrics")[2], "the restart is counted")
    assert ask(g, "/startupz", token=False)[0] == 200


def test_cors(t):
    """A page elsewhere reads the API when the configuration names its origin, and not otherwise."""
    from gateway import config_for
    here = "https://pages.example:8443"
    g = t.gateway(config_for(t.fake.url, controlUi={"allowedOrigins": [here]}, http={"endpoints": {"chatCompletions": {"enabled": True}}}))
    path = "/v1/chat/completions"
    pre = dict(Access_Control_Request_Method="POST", Access_Control_Request_Headers="authorization")
    s, h, b = ask(g, path, "OPTIONS", token=False, Origin=here, **pre)
    assert s == 204 and h["access-control-allow-origin"] == here and h["access-control-allow-methods"] == "POST", (s, h)
    assert "Authorization" in h["access-control-allow-headers"] and h["vary"] == "Origin" and "access-control-allow-credentials" not in h
    s, h, b = ask(g, path, "POST", {"messages": [{"role": "user", "content": "x"}]}, Origin=here)
    assert s == 200 and h["access-control-allow-origin"] == here, (s, h)
    s, h, b = ask(g, path, "POST", {"stream": True, "messages": [{"role": "user", "content": "x"}]}, Origin=here)
    assert s == 200 and h["access-control-allow-origin"] == here, (s, h)
    assert ask(g, path, "POST", b"x", token="wrong", Origin=here)[1]["access-control-allow-origin"] == here
    for origin in ("https://evil.example", "https://pages.example", "http://pages.example:8443", "null", "*"):
        s, h, b = ask(g, path, "OPTIONS", token=False, Origin=origin, **pre)
        assert s == 405 and "access-control-allow-origin" not in h, (origin, s, h)
        s, h, b = ask(g, "/v1/models", Origin=origin)
        assert "access-control-allow-origin" not in h, (origin, s, h)
    assert "access-control-allow-origin" not in ask(g, "/", token=False, Origin=here)[1]


def test_avatar(t):
    import base64
    from gateway import config_for
    png = b"\x89PNG\r\n\x1a\n" + bytes(range(50))
    doc = config_for(t.fake.url)
    doc["agents"]["list"] = [{"id": "main", "default": True,
                              "identity": {"name": "Bo", "avatar": "data:image/png;base64," + base64.b64encode(png).decode()}},
                             {"id": "plain", "identity": {"avatar": "/etc/passwd"}}, {"id": "bad", "identity": {"avatar": "data:image/png;base64,%%"}}]
    g = t.gateway(doc)
    s, h, b = ask(g, "/avatar/main")
    assert (s, h["content-type"], b) == (200, "image/png", png), (s, h)
    assert json.loads(ask(g, "/avatar/main?meta=1")[2])["avatarUrl"].startswith("data:image/png")
    assert json.loads(ask(g, "/avatar/plain?meta=1")[2]) == {"avatarUrl": None}
    for path in ("plain", "bad", "nobody", "", "..%2f..%2fetc%2fpasswd", "main/x", "%zz"):
        assert ask(g, "/avatar/" + path)[0] == 404, path
    assert ask(g, "/avatar/main", token=False)[0] == 401
    assert json.loads(ask(g, "/control-ui-config.json")[2])["assistantName"] == "Bo"
