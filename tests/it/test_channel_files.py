"""Files of messages over every platform that takes them: what people send reaches the model, what is sent reaches them, whole and once."""
import base64
import hashlib
import os
import sys

from gateway import until
from platforms import PLATFORMS, Irc
from test_channels import connected, kill, pid_of, rows
from test_channels import setup as plain_setup
from test_media import images_of, parts_of, png

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fake"))
from files import Files, body  # noqa: E402

MB = 1 << 20


def taking(fn):
    fn.params = [(name,) for name in rows() if PLATFORMS[name].takes_files]
    return fn


def setup(t, name, model="mock/mock-1", **how):
    """A gateway with one account, and a server of files that it may ask: (gateway, platform, server)."""
    web = Files()
    g, p = plain_setup(t, name, start=False, **how)
    config = dict(g.config)
    config["agents"]["defaults"]["model"]["primary"] = model
    config["gateway"]["fetch"] = {"ports": [web.port], "allowedHosts": ["127.0.0.1"]}
    g.write_config(config)
    if hasattr(p, "at"):
        p.at(g)
    g.start()
    return g, p, web


def sha(data):
    return hashlib.sha256(data).hexdigest()


def sent(p, n=1):
    return until(lambda: len(p.files()) >= n and p.files(), "%d files" % n)


def send(c, key, **more):
    return c.ask("send", dict({"to": "42", "message": "", "idempotencyKey": key}, **more))


@taking
def test_in(t, name):
    """Two files and words are one turn, in which the model has both; a known message brings nothing again."""
    g, p, _ = setup(t, name)
    pic = png(20, 10)
    p.write("u1", "see this [fake ok chunks=1]", files=[(pic, "image/jpeg", "pic.jpg"), (png(5, 5), "image/png", "b.png")])
    t.fake.wait("see this", "done")
    call = t.fake.calls("see this")[0]
    assert images_of(call) == 2, call
    p.write("u2", "read this [fake ok chunks=1]", files=[(b"some notes\n", "text/plain", "n.txt")])
    t.fake.wait("read this", "done")
    assert "some notes" in str(parts_of(t.fake.calls("read this")[0]))
    until(lambda: set(p.acked()) == {"u1", "u2"}, "both were taken")
    kill(g.client())
    p.write("u1", "see this [fake ok chunks=1]", files=[(pic, "image/jpeg", "pic.jpg")])
    p.write("u3", "the end [fake ok chunks=1]")
    t.fake.wait("the end", "done")
    assert len(t.fake.calls("see this")) <= 2 and len([x for x in t.fake.calls("") if x["prompt"].startswith("see this")]) == 1


@taking
def test_large(t, name):
    """A file of many pieces comes whole, both ways."""
    g, p, web = setup(t, name)
    text = ("a line of text\n" * 200000).encode()[:3 * MB // 2]
    p.write("u1", "long [fake ok chunks=1]", files=[(text, "text/plain", "long.txt")])
    t.fake.wait("long", "done")
    send(g.client(), "k", message="here", mediaUrl=web.url + "/f/big.pdf?size=%d" % (7 * MB + 1))
    f, = sent(p)
    assert f["sha256"] == sha(body("big.pdf", 7 * MB + 1)) and f["name"] == "big.pdf" and f["type"] == "application/pdf", f
    assert f["text"] == "here" and f["to"] == "42", f


@taking
def test_out(t, name):
    """A picture with its words; several; words that are longer than what stands below one."""
    g, p, web = setup(t, name)
    c = g.client()
    connected(c)
    send(c, "k1", message="**look**", mediaUrl=web.url + "/f/cat.png?size=1000")
    f, = sent(p)
    assert f["sha256"] == sha(body("cat.png", 1000)) and "look" in f["text"] and (f["name"], f["type"]) == ("cat.png", "image/png"), f
    send(c, "k2", message="three", mediaUrls=[web.url + "/f/%d.jpg?size=%d" % (i, 500 + i) for i in range(3)])
    files = sent(p, 4)[1:]
    assert [x["sha256"] for x in files] == [sha(body("%d.jpg" % i, 500 + i)) for i in range(3)], files
    assert "three" in files[0]["text"], files
    words = ["word%d" % i for i in range(400)]
    send(c, "k3", message=" ".join(words), mediaUrl=web.url + "/f/d.pdf")
    until(lambda: c.ask("deliveries.list", {})["open"] == 0, "all of it is sent")
    last = sent(p, 5)[4]
    rest = [x for x in p.texts() if "word399" in x]
    assert last["text"].split()[0] == "word0" and len(last["text"]) <= 1024 and rest, (last, p.texts())
    assert (last["text"] + " " + rest[-1]).split() == words or len(p.texts()) > 4


@taking
def test_fails(t, name):
    """What failed for sure is tried again; what may be there is not, where it could not be known."""
    g, p, web = setup(t, name, client_ids=False)
    c = g.client()
    connected(c)
    p.fail_files(transient=1)
    c.start("send", {"to": "42", "message": "once", "mediaUrl": web.url + "/f/a.png", "idempotencyKey": "k1"})
    sent(p)
    until(lambda: c.ask("deliveries.list", {})["open"] == 0, "it is sent")
    assert len(p.files()) == 1, p.files()
    if hasattr(p, "order"):
        p.order("mend", all=True)
    p.fail_files(lose=1)
    c.start("send", {"to": "42", "message": "maybe", "mediaUrl": web.url + "/f/b.pdf", "idempotencyKey": "k2"})
    sent(p, 2)
    if name == "external":
        kill(c)
    until(lambda: c.ask("deliveries.list", {"state": "unknown"})["deliveries"], "nobody knows", timeout=90)
    assert len(p.files()) == 2, p.files()


@taking
def test_killed(t, name):
    """The process is killed again and again while files go out; each is there once, or it is said of which nobody knows."""
    g, p, web = setup(t, name, client_ids=True)
    c = g.client()
    connected(c)
    for i in range(6):
        c.start("send", {"to": str(42), "message": "file %d." % i, "mediaUrl": web.url + "/f/%d.pdf?size=%d" % (i, 2 * MB), "idempotencyKey": "k%d" % i})
    for n in range(1, 4):
        until(lambda n=n: len(p.files()) >= n, "some")
        kill(c)
    until(lambda: c.ask("deliveries.list", {})["open"] == 0, "all are over", timeout=120)
    unknown = [c.ask("deliveries.get", {"id": d["id"]})["texts"][0] for d in c.ask("deliveries.list", {"state": "unknown"})["deliveries"]]
    for i in range(6):
        n = sum("file %d." % i in f["text"] for f in p.files())
        assert n == 1 or (n <= 1 and any("file %d." % i in x for x in unknown)), (i, n, unknown)
        assert n == 0 or sha(body("%d.pdf" % i, 2 * MB)) in [f["sha256"] for f in p.files()]


@taking
def test_memory(t, name):
    """A file of 40 MB goes out, and the process that sends it does not hold it."""
    g, p, web = setup(t, name, **({"said": {"mediaMaxMb": 50}} if name == "external" else {}))
    g.write_config(dict(g.config, gateway=dict(g.config["gateway"], fetch=dict(g.config["gateway"]["fetch"], maxMb=50))))
    g.stop()
    g.start()
    c = g.client()
    connected(c)
    pid = until(lambda: pid_of(c), "its process is known")
    most = 0
    c.start("send", {"to": "42", "message": "large", "mediaUrl": web.url + "/f/l.pdf?size=%d" % (40 * MB), "idempotencyKey": "k"})

    def there():
        nonlocal most
        with open("/proc/%d/status" % pid) as f:
            rows_of = dict(line.split(":", 1) for line in f)
        most = max(most, int(rows_of["RssAnon"].split()[0]))
        return p.files()
    f, = until(there, "it is there", timeout=120, step=0.02)
    assert f["sha256"] == sha(body("l.pdf", 40 * MB)) and pid_of(c) == pid, f
    if "san" not in os.path.basename(g.build):
        assert most < 12 << 10, "%d KB of its own" % most


def test_in_words(t):
    """IRC takes no files: their address, or their names."""
    g, p, web = setup(t, Irc.name)
    c = g.client()
    until(p.there, "the bot is in the room")
    send(c, "k1", to="#room", message="look at this", mediaUrl=web.url + "/f/cat.png")
    until(lambda: p.texts(), "it is said")
    assert p.texts() == [web.url + "/f/cat.png look at this"], p.texts()
    data = "data:image/png;name=a.png;base64," + base64.b64encode(body("a.png", 100)).decode()
    send(c, "k2", to="#room", message="and this", mediaUrl=data)
    name = "x" * 150 + ".png"
    send(c, "k3", to="#room", mediaUrls=[web.url + "/f/" + name, data])
    until(lambda: len(p.texts()) == 4, "all are said")
    assert p.texts()[2:] == ["[%s (image/png)]" % name, "[a.png (image/png)]"], p.texts()
