"""The canvas: pages that agents make, behind tickets, in a sandbox, loaded anew when they change."""
import os
import socket
import time
import urllib.parse

from gateway import config_for, until
from test_http import ask
from ws import WAIT, WebSocket

ROOT = "/__openclaw__/canvas/"


def folder(g):
    return os.path.join(g.state_dir, "canvas")


def put(g, name, text, mode="w"):
    path = os.path.join(folder(g), name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, mode) as f:
        f.write(text)
    return path


def surface(c):
    """The path of the canvas's address that a client was given."""
    url = c.hello["pluginSurfaceUrls"]["canvas"]
    return urllib.parse.urlsplit(url).path


def get(g, path, **headers):
    return ask(g, path, token=False, **headers)


def open_canvas(g):
    """A client, with the path of its canvas; openclaw-files runs."""
    c = g.client()
    cap = surface(c)
    s, h, b = get(g, cap + ROOT)
    assert s == 200, (s, b)
    return c, cap


def test_first_page(t):
    """Nobody made it: it is there, in a sandbox that leaves it nothing of the gateway's."""
    g = t.gateway()
    c, cap = open_canvas(g)
    s, h, b = get(g, cap + ROOT)
    assert b"This is the canvas" in b and h["content-type"] == "text/html; charset=utf-8", (h, b)
    assert h["content-security-policy"].startswith("sandbox allow-scripts") and "allow-same-origin" not in h["content-security-policy"]
    assert h["x-content-type-options"] == "nosniff" and h["referrer-policy"] == "no-referrer" and h["cache-control"] == "no-store", h
    assert h["x-frame-options"] == "SAMEORIGIN" and h["access-control-allow-origin"] == "*", h
    assert b"__openclaw__/ws" in b and b.count(b"<script>") == 2
    assert os.stat(os.path.join(folder(g), "index.html")).st_mode & 0o777 == 0o644
    # ours is not put over somebody's own
    put(g, "index.html", "mine")
    files = g.worker("files")
    g.kill("files")
    g.wait_replaced("files", files)
    until(lambda: get(g, cap + ROOT)[2].startswith(b"mine"), "the page that somebody made")


def test_files(t):
    g = t.gateway()
    c, cap = open_canvas(g)
    put(g, "a/b/data.json", '{"x": 1}')
    put(g, "a/index.html", "<h1>in a</h1>")
    put(g, "with space & ä.txt", "text")
    put(g, "empty.css", "")
    big = bytes(range(256)) * 20000  # several parts
    put(g, "big.bin", big, "wb")
    s, h, b = get(g, cap + ROOT + "a/b/data.json")
    assert (s, b, h["content-type"]) == (200, b'{"x": 1}', "application/json; charset=utf-8"), (s, h, b)
    assert get(g, cap + ROOT + "a/")[2].startswith(b"<h1>in a</h1>")
    s, h, b = get(g, cap + ROOT + "a?x=1")
    assert s == 302 and h["location"] == cap + ROOT + "a/?x=1", (s, h)
    assert get(g, cap + "/__openclaw__/canvas")[1]["location"] == cap + ROOT
    assert get(g, cap + ROOT + "with%20space%20%26%20%C3%A4.txt")[2] == b"text"
    s, h, b = get(g, cap + ROOT + "empty.css")
    assert (s, b, h["content-type"]) == (200, b"", "text/css; charset=utf-8")
    s, h, b = get(g, cap + ROOT + "big.bin")
    assert s == 200 and b == big and h["content-type"] == "application/octet-stream", (s, len(b))
    s, h, b = ask(g, cap + ROOT + "big.bin", "HEAD", token=False)
    assert s == 200 and b == b""
    assert ask(g, ROOT + "a/b/data.json")[2] == b'{"x": 1}'  # with the token as well
    assert "access-control-allow-origin" not in ask(g, ROOT + "a/b/data.json")[1]
    assert ask(g, cap + ROOT, "POST", {"a": 1}, token=False)[0] == 405
    s, h, b = get(g, cap + "/__openclaw__/a2ui/")
    assert s == 404 and b"canvasHost.a2uiRoot" in b
    assert ask(g, "/a2ui/x.js")[1]["location"] == "/__openclaw__/a2ui/x.js"
    # eight at once, and one who leaves in the middle
    for _ in range(8):
        k = socket.create_connection(("127.0.0.1", g.port), timeout=WAIT)
        k.sendall(("GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % (cap + ROOT + "big.bin")).encode())
        k.recv(1000)
        k.close()
    assert get(g, cap + ROOT + "big.bin")[2] == big


def test_not_outside(t):
    """Neither by a path nor by a link, nor what is hidden or no file."""
    g = t.gateway()
    c, cap = open_canvas(g)
    with open(os.path.join(g.state_dir, "gateway.token"), "w") as f:
        f.write("outside")
    with open(os.path.join(g.folder, "outside.txt"), "w") as f:
        f.write("outside")
    os.symlink(os.path.join(g.folder, "outside.txt"), os.path.join(folder(g), "link.txt"))
    os.symlink(g.folder, os.path.join(folder(g), "linked"))
    os.symlink("index.html", os.path.join(folder(g), "inner.html"))
    os.mkfifo(os.path.join(folder(g), "pipe"))
    put(g, ".env", "hidden")
    put(g, ".git/config", "hidden")
    put(g, "a/ok.txt", "ok")
    for path in ("link.txt", "linked/outside.txt", "inner.html", "pipe", ".env", ".git/config", "../gateway.token", "..%2fgateway.token",
                 "%2e%2e/gateway.token", "a/../../gateway.token", "a/%2e%2e/%2e%2e/gateway.token", "/etc/passwd", "//etc/passwd", "%2fetc/passwd",
                 "a//ok.txt", "a/./ok.txt", "a\\ok.txt", "a%5cok.txt", "a%00", "%zz", "..", ".", "a/..", "index.html%00.png", "x" * 5000):
        s, h, b = get(g, cap + ROOT + path)
        assert s in (400, 404, 414) and b"root" not in b and b"outside" not in b and b"hidden" not in b, (path, s, b[:100])
    assert get(g, cap + ROOT + "a/ok.txt")[2] == b"ok"


def test_tickets(t):
    """One is good for its connection only, as long as that stands."""
    g = t.gateway()
    c, cap = open_canvas(g)
    ticket = cap.rsplit("/", 1)[1]
    assert get(g, ROOT)[0] == 401 and get(g, ROOT + "?oc_cap=" + ticket)[0] == 200
    for bad in ("", "x", ticket[:-1], ticket + "A", ("B" if ticket[0] == "A" else "A") + ticket[1:], ticket[:-1] + ("B" if ticket[-1] == "A" else "A"),
                "A" * 40, "%41" * 40, g.token):
        assert get(g, "/__openclaw__/cap/" + bad + ROOT)[0] in (401, 404), bad
    assert get(g, cap + "/health")[0] == 404 and get(g, cap + "/v1/models")[0] == 404  # of the canvas, of nothing else
    assert get(g, "/v1/models?oc_cap=" + ticket)[0] == 401
    # another one, by asking
    fresh = c.ask("plugin.surface.refresh", {"surface": "canvas", "observedUrl": "http://x/"})
    assert fresh["surface"] == "canvas" and fresh["expiresAtMs"] > time.time() * 1000, fresh
    assert get(g, urllib.parse.urlsplit(fresh["pluginSurfaceUrls"]["canvas"]).path + ROOT)[0] == 200
    assert "no such surface" in str(c.refused("plugin.surface.refresh", {"surface": "desk"}))
    # it outlives the hub, not its connection
    hub = g.worker("hub")
    g.kill("hub")
    g.wait_replaced("hub", hub)
    until(lambda: get(g, cap + ROOT)[0] == 200, "the ticket is good after the hub's restart")
    other = g.client()
    c.close()
    until(lambda: get(g, cap + ROOT)[0] == 401, "the ticket ended with its connection")
    assert get(g, surface(other) + ROOT)[0] == 200


class Page(WebSocket):
    """What the script of a page does."""

    def __init__(self, g, path):
        super().__init__(g.port, path=path, headers=("Origin: null",), text=True)
        self.seen = 0

    def reloads(self, why, do):
        """do() makes it load anew, each time."""
        for _ in range(4):  # what an earlier change still says is no answer to all of them
            do()
            assert self.wait(lambda f: True, why, start=self.seen) == "reload"
            self.seen = len(self.frames)


def test_reload(t):
    """Who waits hears of what changed, in folders that came later, too; strangers are not let in."""
    g = t.gateway()
    c, cap = open_canvas(g)
    w = Page(g, cap + "/__openclaw__/ws")
    count = iter(range(1000))
    w.reloads("a page", lambda: put(g, "index.html", "<h1>%d</h1>" % next(count)))
    w.reloads("a folder in a folder", lambda: os.makedirs(os.path.join(folder(g), "late%d" % next(count), "later")))
    last = "late%d" % (next(count) - 1)
    w.reloads("a file in it", lambda: put(g, last + "/later/x.txt", "%d" % next(count)))
    os.rename(os.path.join(folder(g), last), os.path.join(folder(g), "moved"))
    w.reloads("a file in a folder that was moved", lambda: put(g, "moved/later/x.txt", "%d" % next(count)))
    w.reloads("a file that goes", lambda: os.unlink(put(g, "moved/y.txt", "")))
    w.send('{"type":"req","id":"1","method":"health"}')  # nobody listens to it
    assert g.client().ask("health")["ok"]
    # the hub and openclaw-files are replaced, the page stays
    for role in ("hub", "files"):
        old = g.worker(role)
        g.kill(role)
        g.wait_replaced(role, old)
        until(lambda: get(g, cap + ROOT)[0] == 200, "the canvas is back")
        w.reloads("a page after the end of the %s" % role, lambda: put(g, "index.html", "%d" % next(count)))
    for path in ("/__openclaw__/ws", "/__openclaw__/ws?oc_cap=nobody", "/__openclaw__/cap/nobody/__openclaw__/ws"):
        assert Page(g, path).wait_close()[0] == 1008, path
    v = Page(g, "/__openclaw__/ws?oc_cap=" + cap.rsplit("/", 1)[1])
    v.reloads("a page, to the other one", lambda: put(g, "index.html", "%d" % next(count)))
    assert get(g, "/__openclaw__/ws")[0] == 426
    assert c.ask("health")["ok"]  # what is no JSON would have ended it


def test_folder_replaced(t):
    """The folder itself is moved away: another one is served in its place."""
    g = t.gateway()
    c, cap = open_canvas(g)
    put(g, "old.txt", "old")
    assert get(g, cap + ROOT + "old.txt")[2] == b"old"
    files = g.worker("files")
    os.rename(folder(g), folder(g) + "-old")
    g.wait_replaced("files", files)
    until(lambda: b"This is the canvas" in get(g, cap + ROOT)[2], "a new folder")
    assert get(g, cap + ROOT + "old.txt")[0] == 404


def test_configured(t):
    """Another folder, a renderer's folder, and none at all."""
    root, a2ui = os.path.join(t.folder, "my canvas"), os.path.join(t.folder, "a2ui")
    os.mkdir(a2ui)
    with open(os.path.join(a2ui, "index.html"), "w") as f:
        f.write("<p>renderer</p>")
    doc = config_for(t.fake.url)
    doc["canvasHost"] = {"root": root, "liveReload": False, "a2uiRoot": a2ui}
    g = t.gateway(doc)
    c, cap = open_canvas(g)
    s, h, b = get(g, cap + ROOT)
    assert b"This is the canvas" in b and b"__openclaw__/ws" not in b and os.path.exists(os.path.join(root, "index.html"))
    assert get(g, cap + "/__openclaw__/a2ui/")[2].startswith(b"<p>renderer</p>")
    assert Page(g, cap + "/__openclaw__/ws").wait_close()[0] == 1008
    g.write_config(dict(doc, canvasHost={"enabled": False}))
    until(lambda: get(g, cap + ROOT)[0] == 404, "switched off")
    assert "pluginSurfaceUrls" not in g.client().hello
    until(lambda: not g.workers("files"), "openclaw-files has left")
