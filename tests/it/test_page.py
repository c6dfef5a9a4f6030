"""openclawctl page: an address that opens the control page."""
import urllib.parse

from gateway import config_for
from test_http import ask
from test_identity import ctl


def test_address(t):
    g = t.gateway()
    plain = ctl(t, g, "page").strip()
    assert plain == "http://127.0.0.1:%d/" % g.port, plain
    assert ask(g, "/", token=False)[0] == 200
    with_token = urllib.parse.urlsplit(ctl(t, g, "page", "--with-token").strip())
    assert urllib.parse.parse_qs(with_token.fragment) == {"token": [g.token]}, with_token
    assert not with_token.query, "the token would be sent and logged"
    ctl(t, g, "page", "--nonsense", code=2)


def test_base_path(t):
    g = t.gateway(config_for(t.fake.url, controlUi={"basePath": "/claw"}))
    assert ctl(t, g, "page").strip() == "http://127.0.0.1:%d/claw/" % g.port
    for name in ("assets/main.js", "assets/lib/rpc.js", "assets/base.css"):
        assert ask(g, "/claw/" + name, token=False)[0] == 200, name
    assert b'"assets/main.js"' in ask(g, "/claw/", token=False)[2], "the page's own files are asked at the root"
