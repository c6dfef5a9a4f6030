"""Messages with files on their way out: each part once and in order, whoever dies; an agent's MEDIA: lines."""
import base64
import json
import os
import subprocess
import sys
import uuid

from client import text_of
from gateway import until
from test_channels import connected
from test_delivery import FAST, drained, listed, pid_of, send, setup
from test_fetch import world
from test_media import files_of

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fake"))
from files import Files, body, fnv  # noqa: E402


def data(name, n=500, kind=""):
    return "data:%s;name=%s;base64,%s" % (kind, name, base64.b64encode(body(name, n)).decode())


def names(p):
    """What the platform has: a list for each message."""
    return [[m["name"] for m in s.get("media", [])] for s in p.sent()]


def whole(p, *expected):
    """Each file with its bytes, each once."""
    got = [m for s in p.sent() for m in s.get("media", [])]
    assert sorted(m["name"] for m in got) == sorted(expected), got
    for m in got:
        assert m["fnv"] == fnv(body(m["name"], 500)), m


def test_forms(t):
    """However a client names a file; the same request is the same message; what is none is refused at once."""
    g, p = setup(t)
    p, c = p["default"], g.client()
    got = send(c, "bytes", key="k", buffer=base64.b64encode(body("a.png", 500)).decode(), filename="a.png",
               contentType="image/png")
    assert send(c, "bytes", key="k", buffer=base64.b64encode(body("a.png", 500)).decode(), filename="a.png",
                contentType="image/png") == got
    e = c.refused("send", {"to": "42", "message": "bytes", "idempotencyKey": "k", "filename": "a.png",
                           "buffer": base64.b64encode(body("b.png", 500)).decode()})
    assert "already used" in e.message, e
    send(c, "", mediaUrl=data("only.pdf"))
    assert p.sent()[-1]["text"] == "" and p.sent()[-1]["media"][0]["type"] == "application/pdf"
    send(c, "said", mediaUrl=data("v.ogg"), asVoice=True)
    assert p.sent()[-1]["media"][0]["flags"] == 1
    send(c, "drawn", mediaUrl=data("g.gif"), gifPlayback=True)
    assert p.sent()[-1]["media"][0]["flags"] == 4
    act = {"channel": "fake", "action": "send", "idempotencyKey": "act"}
    c.ask("message.action", dict(act, params={"to": "42", "message": "by action", "media": data("c.png"), "forceDocument": True}))
    assert p.sent()[-1]["media"][0]["flags"] == 2 and p.texts()[-1] == "by action"
    whole(p, "a.png", "only.pdf", "v.ogg", "g.gif", "c.png")
    before = len(p.sent())
    for url, why in (("/etc/passwd", "no file that can be sent"), ("file:///etc/passwd", "no file that can be sent"),
                     ("../../x.png", "no file that can be sent"), ("data:image/png,AAAA", "data:TYPE;base64"),
                     ("data:;base64,@@@", "not base64"), ("data:;base64,", "without a byte"),
                     ("media://inbound/" + str(uuid.uuid4()) + ".png", "no file that can be sent"),
                     ("https://h.example/" + "x" * 2100, "limit 2048"), ("ftp://h.example/x", "no file that can be sent")):
        e = c.refused("send", {"to": "42", "message": "x", "mediaUrl": url, "idempotencyKey": str(uuid.uuid4())})
        assert why in e.message, (url, e)
    e = c.refused("send", {"to": "42", "mediaUrls": [data("x.png")] * 17, "idempotencyKey": "many"})
    assert "more than 16" in e.message, e
    assert len(p.sent()) == before and not listed(c)


def test_parts(t):
    """Albums as large as the platform takes them; what stands alone stands alone; texts first."""
    g, p = setup(t, {"default": {"clientIds": True, "album": 3, "textLimit": 40}})
    p, c = p["default"], g.client()
    connected(c)  # its limits are known from then on
    send(c, "one two three four five six seven eight nine ten eleven",
         mediaUrls=[data(n) for n in ("1.png", "2.jpg", "3.png", "4.png", "5.pdf", "6.png", "7.gif")])
    drained(c)
    assert names(p) == [["1.png", "2.jpg", "3.png"], [], ["4.png"], ["5.pdf"], ["6.png"], ["7.gif"]], names(p)
    assert [s["part"] for s in p.sent()] == list(range(6))
    assert p.texts()[:2] == ["one two three four five six seven eight", "nine ten eleven"] and not any(p.texts()[2:])
    whole(p, *("1.png", "2.jpg", "3.png", "4.png", "5.pdf", "6.png", "7.gif"))


def test_hub_dies(t):
    """Between two parts, and while a part is with the channel: nothing is lost, nothing twice."""
    g, p = setup(t)
    p, c = p["default"], g.client()
    files = ["%d[slow 60].png" % i for i in range(6)]
    for n in range(3):
        key = "k%d" % n
        c.start("send", {"to": str(n), "message": "six files " + key, "idempotencyKey": key, "mediaUrls": [data(f) for f in files]})
    for n in (1, 4, 8, 13):
        until(lambda: len(p.sent()) >= n, "%d parts are out" % n)
        old = g.worker("hub")
        g.kill("hub")
        g.wait_replaced("hub", old)
    until(lambda: len(p.sent()) >= 18, "all of them are out", timeout=30)
    c = g.client_soon()
    drained(c)
    whole(p, *(files * 3))
    for n in range(3):
        assert [s["part"] for s in p.sent() if s["to"] == str(n)] == list(range(6)), p.sent()
    assert not listed(c)


def test_channel_dies(t):
    """With a file in its hands: once more where the platform knows ids; else it is said to be unknown, with its files."""
    g, p = setup(t, {"knows": {"clientIds": True}, "blind": {}})
    c = g.client()
    for how in ("before", "after"):
        name = "x[die-%s 1].png" % how
        c.start("send", {"to": how, "accountId": "knows", "idempotencyKey": how,
                         "mediaUrls": [data("first.png"), data(name), data("last.png")]})
        until(lambda: [m["name"] for s in p["knows"].sent() if s["to"] == how for m in s["media"]] ==
              ["first.png", name, "last.png"], "all of it, once and in order", timeout=30)
    e = c.refused("send", {"to": "1", "accountId": "blind", "idempotencyKey": "b",
                           "mediaUrls": [data("first.png"), data("x[die-after 1].png"), data("last.png")]})
    assert "not known whether" in e.message, e
    row, = listed(c)
    assert (row["state"], row["partsSent"], row["parts"]) == ("unknown", 1, 3), row
    assert [(m["part"], m["fileName"], m["contentType"]) for m in row["media"]] == \
        [(0, "first.png", "image/png"), (1, "x[die-after 1].png", "image/png"), (2, "last.png", "image/png")], row
    until(lambda: pid_of(c, "blind"), "it is back")
    c.ask("deliveries.retry", {"id": row["id"]})
    until(lambda: names(p["blind"])[-1:] == [["last.png"]], "a person had it repeated")
    assert names(p["blind"]) == [["first.png"], ["x[die-after 1].png"], ["x[die-after 1].png"], ["last.png"]]


def test_hub_dies_while_it_comes(t):
    """Accepted with an address: the next hub gets the file, and the message goes out once."""
    g, p, web = world(t)
    c = g.client()
    c.start("send", {"to": "42", "message": "kept", "idempotencyKey": "k", "mediaUrl": web.url + "/gate/a.png?size=500"})
    until(lambda: web.log, "it is being got")
    old = g.worker("hub")
    g.kill("hub")
    g.wait_replaced("hub", old)
    until(lambda: names(p) == [["a.png"]], "it is out", timeout=30)
    c = g.client_soon()
    assert send(c, "kept", key="k", mediaUrl=web.url + "/gate/a.png?size=500")["messageId"]
    whole(p, "a.png")
    assert len(web.log) == 2


def test_dead_letter(t):
    """What could not be sent is listed with its files, from the command line, too; a person has it sent after all."""
    g, p, web = world(t, delivery={"retry": {**FAST["retry"], "attempts": 2}})
    c = g.client()
    url = web.url + "/flaky?times=2"
    e = c.refused("send", {"to": "7", "message": "no luck", "mediaUrl": url, "idempotencyKey": "k"})
    assert "503" in e.message, e
    until(lambda: listed(c, state="dead"), "it was set aside")
    row, = listed(c, state="dead")
    assert row["media"] == [{"url": url}] and "503" in row["error"], row

    def ctl(*args):
        run = subprocess.run([os.path.join(g.build, "openclawctl"), "--url", "ws://127.0.0.1:%d" % g.port, *args],
                             env=dict(g.env(), OPENCLAW_GATEWAY_TOKEN=g.token), stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, timeout=30)
        return run.returncode, run.stdout.decode()
    assert "+1 file" in ctl("deliveries", "list")[1]
    code, out = ctl("deliveries", "show", str(row["id"]))
    assert code == 0 and url in out and "not fetched yet" in out, out
    assert ctl("deliveries", "retry", str(row["id"]))[0] == 0
    until(lambda: p.texts() == ["no luck"], "it is out")
    code, out = ctl("deliveries", "show", str(row["id"]))
    assert "flaky" in out and "1000 bytes, part 0" in out, out
    # and a file of this machine by the command line
    path = os.path.join(t.folder, "my cat.png")
    with open(path, "wb") as f:
        f.write(body("my cat.png", 500))
    code, out = ctl("message", "send", "--channel", "fake", "--target", "8", "--message", "look", "--media", path,
                    "--media", web.url + "/f/b.pdf?size=500")
    assert code == 0, out
    assert names(p)[-2:] == [["my cat.png"], ["b.pdf"]]
    assert ctl("message", "send", "--channel", "fake", "--target", "8", "--media", path + ".none")[0] == 1


def test_answers(t):
    """MEDIA: lines leave an agent's text and become files; what cannot be had is said instead; code stays code."""
    g, p, web = world(t, account={"album": 10, "mediaMaxMb": 2})
    c = g.client()
    t.fake.control(fault="echo")
    said = ["Here they are.", "MEDIA:%s/f/a.png?size=500" % web.url, "MEDIA: %s/f/b.png?size=500" % web.url, "", "Bye."]
    p.write("u1", "\n".join(said))
    until(lambda: len(p.sent()) == 1, "answered")
    s = p.sent()[0]
    assert [m["name"] for m in s["media"]] == ["a.png", "b.png"], s
    assert "MEDIA:" not in s["text"] and s["text"].endswith("Here they are.\nBye."), s
    p.write("u2", "\n".join(["[[audio_as_voice]]", "MEDIA:%s/f/v.ogg?size=500" % web.url]))
    until(lambda: len(p.sent()) == 2, "answered")
    assert p.sent()[1]["media"][0]["flags"] == 1, p.sent()[1]
    p.write("u3", "\n".join(["Look:", "MEDIA:%s/status?code=404" % web.url, "MEDIA:/etc/passwd", "MEDIA:%s/f/c.png?size=500" % web.url,
                             "```", "MEDIA:%s/f/code.png" % web.url, "```"]))
    until(lambda: len(p.sent()) == 3, "answered, with a word of what is missing")
    s = p.sent()[2]
    assert [m["name"] for m in s["media"]] == ["c.png"], s
    assert "code.png" in s["text"] and "/etc/passwd is no file" in s["text"], s
    assert "Not sent: status: the server says 404" in s["text"], s
    # a file that is nowhere costs nobody the words
    p.write("u4", "words\nMEDIA:http://127.0.0.1:9/x.png")
    until(lambda: len(p.sent()) == 4, "answered")
    assert "words\n\n\u26a0" in p.texts()[3] and "Not sent: x.png" in p.texts()[3], p.texts()[3]
    # what the platform does not take is said behind the rest
    p.write("u5", "large\nMEDIA:%s/f/d.png?size=%d" % (web.url, 3 << 20))
    until(lambda: len(p.sent()) == 6, "answered")
    assert p.texts()[4].endswith("large") and "3 MB, and fake takes 2 at most" in p.texts()[5], p.texts()[4:]
    drained(c)


def test_pages(t):
    """Clients see the files behind the text, in the final event and in the history, and never the lines that named them."""
    g, p, web = world(t)
    c = g.client()
    t.fake.control(fault="echo")
    lines = ["A picture:", "MEDIA:%s/f/a.png?size=500" % web.url, "MEDIA:%s/f/b.pdf?size=500" % web.url,
             "MEDIA:%s/status?code=404" % web.url, "", "That was it."]
    run, end = c.turn("agent:main:pics", "\n".join(lines))
    blocks = end["message"]["content"]
    assert text_of(end["message"]).endswith("A picture:\nThat was it."), end
    image = next(b for b in blocks if b["type"] == "image")
    doc = next(b for b in blocks if b["type"] == "attachment")["attachment"]
    assert (image["alt"], image["mimeType"], image["sizeBytes"], image["width"]) == ("a.png", "image/png", 500, 2), image
    assert image["url"] == image["openUrl"] and image["url"].startswith("/api/chat/media/outgoing/agent%3Amain%3Apics/"), image
    assert (doc["kind"], doc["label"], doc["mimeType"]) == ("document", "b.pdf", "application/pdf"), doc
    lost = next(b for b in blocks if b["type"] == "attachment_error")["attachment"]
    assert lost["code"] == "delivery-failed" and lost["label"] == "status", lost
    assert c.history("agent:main:pics")[-1]["content"] == blocks
    status, got = g.http(image["url"], headers={"Authorization": "Bearer " + g.token})
    assert status == 200 and got == body("a.png", 500), (status, got[:40])
    assert g.http(image["url"])[0] == 401
    for f in c.chats(run):
        assert "MEDIA" not in text_of(f.get("message")) and "MEDIA" not in f.get("deltaText", ""), f
    # who waits for a run gets them by address
    key = str(uuid.uuid4())
    asked = c.start("agent", {"message": "see\nMEDIA:%s/f/c.png?size=500" % web.url, "sessionKey": "agent:main:pics", "idempotencyKey": key})
    assert c.answer(asked)["payload"]["status"] == "accepted"
    payload, = c.answer(asked, nth=2)["payload"]["result"]["payloads"]
    assert payload["text"].endswith("see") and payload["mediaUrls"] == [payload["mediaUrl"]], payload
    status, got = g.http(payload["mediaUrl"], headers={"Authorization": "Bearer " + g.token})
    assert status == 200 and got == body("c.png", 500)
    assert c.ask("agent.wait", {"runId": key})["terminalReply"]["text"].endswith("see")
    # the next turn is told of it as text
    _, end = c.turn("agent:main:pics", "and now?")
    assert end["state"] == "final", end
    # a copy of the conversation keeps them when the first one goes
    last = c.history("agent:main:pics")[-1]["__openclaw"]["id"]
    fork = c.ask("sessions.fork", {"sessionKey": "agent:main:pics", "entryId": last})["sessionKey"]
    before = len(files_of(g))
    c.turn("agent:main:marker", "MEDIA:%s/f/m.png?size=500" % web.url)
    c.ask("sessions.delete", {"key": "agent:main:pics"})
    c.ask("sessions.delete", {"key": "agent:main:marker"})
    until(lambda: len(files_of(g)) <= before, "the marker's file is gone")
    status, got = g.http(image["url"], headers={"Authorization": "Bearer " + g.token})
    assert c.history(fork)[1]["content"] == blocks and status == 200 and got == body("a.png", 500), status


def test_answer_survives(t):
    """The hub dies while an answer's file comes: the answer is given once, with its file."""
    g, p, web = world(t)
    c = g.client()
    t.fake.control(fault="echo")
    p.write("u1", "kept words\nMEDIA:%s/gate/a.png?size=500" % web.url)
    until(lambda: web.log, "it is being got")
    old = g.worker("hub")
    g.kill("hub")
    g.wait_replaced("hub", old)
    until(lambda: len(p.sent()) == 1, "answered", timeout=30)
    assert p.texts()[0].endswith("kept words") and names(p) == [["a.png"]], p.sent()
    drained(g.client_soon())
    assert len(p.sent()) == 1

