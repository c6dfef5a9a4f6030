"""openclaw-fetch: files from the network, from servers and addresses that mean no good."""
import os
import signal
import ssl
import sys
import uuid

from gateway import until
from test_delivery import FAST, listed, send, setup
from test_tls import make_pair

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fake"))
from files import Files, body, fnv  # noqa: E402

MB = 1 << 20


def world(t, hosts=("127.0.0.1",), account=None, delivery=None, **fetch):
    """A gateway that may get files from this test's server: (gateway, platform, server)."""
    web = Files()
    g, p = setup(t, {"default": dict({"clientIds": True}, **(account or {}))}, start=False, **(delivery or {}))
    config = g.config
    config["gateway"]["fetch"] = dict({"ports": [web.port], "allowedHosts": list(hosts)}, **fetch)
    g.write_config(config)
    g.start()
    return g, p["default"], web


def refused(c, url, **more):
    e = c.refused("send", dict({"to": "42", "message": "see", "mediaUrl": url, "idempotencyKey": str(uuid.uuid4())}, **more))
    assert e.code == "UNAVAILABLE", e
    return e.message


def test_comes(t):
    """The bytes, the type and the name, however the server puts them; nothing of ours goes out."""
    g, p, web = world(t)
    c = g.client()
    for path, name, kind in (("/f/cat.png", "cat.png", "image/png"),
                             ("/f/a%20b.pdf?x=1", "a b.pdf", "application/pdf"),
                             ("/f/x?disposition=attachment;filename=%22d.jpg%22&type=image/jpeg", "d.jpg", None),
                             ("/to?url=/f/there.png", "there.png", "image/png")):
        send(c, "look " + path, mediaUrl=web.url + path)
        m, = p.sent()[-1]["media"]
        last = path.split("?")[0].split("/")[-1].replace("%20", " ") if "url=" not in path else "there.png"
        want = body(last, 1000)
        assert m["fnv"] == fnv(want) and m["bytes"] == len(want), (path, m)
        assert m["name"] == name and (kind is None or m["type"] == kind), (path, m)
        assert m["url"] == web.url + path
    send(c, "packed", mediaUrl=web.url + "/gzip?size=100000")
    assert p.sent()[-1]["media"][0]["fnv"] == fnv(body("gzip", 100000))
    for path, fields in web.log:
        assert not {"Authorization", "Cookie", "Referer"} & set(fields), fields
    assert len(g.workers("fetch")) == 1


def test_misbehaves(t):
    """Each ends in a sentence; the process lives, and the next file comes."""
    g, p, web = world(t, delivery={"retry": {**FAST["retry"], "attempts": 1}}, maxMb=1, timeoutMs=1500)
    c = g.client()
    for path, why in (("/endless", "larger than"), ("/f/big?size=%d" % (MB + 1), "larger than"),
                      ("/bomb?size=%d" % (40 * MB), "larger than"), ("/drip", "too slow"), ("/hang", "too slow"),
                      ("/long", "broke off"), ("/cut", ""), ("/garbage", "unpacked"), ("/empty", "empty"),
                      ("/head", "head of the answer"), ("/loop", "redirects"), ("/status?code=404", "says 404"),
                      ("/status?code=503", "says 503"), ("/to?url=ftp://127.0.0.1/x", "http or https"),
                      ("/to?url=file:///etc/passwd", "http or https"), ("/to?url=http://127.0.0.1:22/x", "port 22")):
        said = refused(c, web.url + path)
        assert why in said, (path, said)
        assert web.url not in said, said
    assert "http or https" in refused(c, "http://user:word@127.0.0.1:%d/f/x" % web.port)
    send(c, "well", mediaUrl=web.url + "/f/at-limit?size=%d" % MB)
    assert p.texts() == ["well"], "nothing else left"
    assert g.worker("fetch")


def test_private(t):
    """No address that is not public, by whatever name or way; a host that is allowed allows no other."""
    g, p, web = world(t, hosts=("localhost",))
    c = g.client()
    at = "http://%s:" + str(web.port) + "/f/x.png"
    for host in ("127.0.0.1", "127.1", "2130706433", "0x7f.1", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]",
                 "[::ffff:7f00:1]", "10.0.0.1", "169.254.169.254", "192.168.1.1", "100.64.0.1", "224.0.0.1",
                 "[fe80::1]", "[fd00::1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "localhost.", "ip6-localhost"):
        said = refused(c, at % host)
        assert "not a public one" in said or "name is not known" in said, (host, said)
    assert not web.log
    send(c, "by its name", mediaUrl=at % "localhost")
    for to in ("127.0.0.1", "[::1]", "0"):
        assert "not a public one" in refused(c, "http://localhost:%d/to?url=%s" % (web.port, at % to)), to
    assert len(web.log) == 4, web.log
    assert len(p.texts()) == 1


def test_certificates(t):
    """A server that cannot prove its name gives nothing."""
    g, p, web = world(t)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*make_pair(t.folder, "stranger"))
    web.socket = tls.wrap_socket(web.socket, server_side=True)
    assert "certificate is not valid" in refused(g.client(), "https://127.0.0.1:%d/f/x.png" % web.port)
    assert not web.log and not p.sent()


def test_later(t):
    """What may work later is tried again as the delivery is, and then sent once."""
    g, p, web = world(t)
    c = g.client()
    e = c.refused("send", {"to": "42", "message": "soon", "mediaUrl": web.url + "/flaky?times=2", "idempotencyKey": "k"})
    assert e.details["code"] == "OUTBOUND_DELIVERY_QUEUED" and "503" in e.message, e
    until(lambda: p.texts() == ["soon"], "it went out once its file had come")
    assert p.sent()[0]["media"][0]["fnv"] == fnv(body("flaky", 1000))
    assert send(c, "soon", key="k", mediaUrl=web.url + "/flaky?times=2")["messageId"]
    assert p.texts() == ["soon"]


def test_dies(t):
    """Killed or stopped in the middle: asked for once more, then given up; what else waits goes on."""
    g, p, web = world(t, delivery={"retry": {**FAST["retry"], "attempts": 1}})
    c = g.client()
    for sig, path in ((signal.SIGKILL, "/hang?1"), (signal.SIGSTOP, "/hang?2")):
        key = str(uuid.uuid4())
        asked = c.start("send", {"to": "1", "message": "never", "mediaUrl": web.url + path, "idempotencyKey": key})
        for n in (1, 2):
            until(lambda: sum(q == path for q, _ in web.log) == n, "asked for the %d. time" % n)
            pid = g.worker("fetch")
            os.kill(pid, sig)
            until(lambda: pid not in g.workers("fetch"), "it is gone")
        got = c.answer(asked)
        assert not got["ok"] and "died of it twice" in got["error"]["message"], got
    send(c, "well", to="2", mediaUrl=web.url + "/f/y")
    assert p.texts() == ["well"]
    held = listed(c, state="dead")
    assert len(held) == 2 and held[0]["media"][0]["url"] == web.url + "/hang?1", held


def test_goes_and_comes(t):
    """Its process is there while it is wanted; a hub that did not start it sends it away, too."""
    g, p, web = world(t, idleMs=50)
    c = g.client()
    assert not g.workers("fetch")
    for i in range(5):
        send(c, "file %d" % i, mediaUrl=web.url + "/f/%d.png" % i)
        if i % 2:
            until(lambda: not g.workers("fetch"), "it goes")
    old = g.worker("hub")
    g.kill("hub")
    g.wait_replaced("hub", old)
    until(lambda: not g.workers("fetch"), "the next hub sends it away")
    send(g.client_soon(), "one more", mediaUrl=web.url + "/f/last.png")
    assert len(p.sent()) == 6
    assert not [l for l in g.lines if l["event"] == "worker.died" and "fetch" in str(l.get("worker"))]
