"""Attachments: taken once, on the disk before they are acknowledged, told to the model in its own form, shown in the
history, gone with their session."""
import base64
import json
import os
import socket
import struct
import urllib.parse
import uuid
import zlib

from client import Refused, text_of
from gateway import config_for, until
from test_channels import ctl
from test_delivery import setup
from test_http import ask
from test_places import sanitized


def png(width, height, extra=0):
    """A real picture; extra: bytes of a chunk that nobody reads."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + b"\x80" * 3 * width for _ in range(height))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            (chunk(b"teXt", os.urandom(extra)) if extra else b"") +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"


def att(data, mime=None, name=None, **more):
    out = dict(content=base64.b64encode(data).decode(), **more)
    if mime:
        out["mimeType"] = mime
    if name:
        out["fileName"] = name
    return out


def files_of(g):
    folder = os.path.join(g.state_dir, "store", "media")
    return sorted(os.listdir(folder))


def parts_of(call):
    """What the model was told last, and how many images in all."""
    said = [m["content"] for m in call["asked"]["messages"] if m["role"] == "user"]
    return said[-1]


def images_of(call):
    return sum(p["type"] == "image_url" for m in call["asked"]["messages"] if isinstance(m["content"], list)
               for p in m["content"])


def media_of(message):
    return message["__openclaw"].get("media")


def test_demo_sees_an_image(t):
    c = t.gateway({"gateway": {"mode": "local"}}).client()
    end = c.turn("agent:main:a", "what is this", attachments=[att(png(64, 48), "image/png", "cat.png")])[1]
    assert end["state"] == "final", end
    assert "cat.png (image/png, 64 x 48, " in text_of(end["message"]), end


def test_each_kind_in_its_form(t):
    g = t.gateway()
    c = g.client()
    pic = png(32, 16)
    run, end = c.turn("agent:main:a", "look at these [fake ok chunks=1]", attachments=[
        att(pic, "image/png", "a.png", type="image", origin="paste"),
        att(b"first line\nsecond line\n", "text/plain", "notes.txt"),
        att(PDF, "application/pdf", "paper.pdf"), att(bytes(range(256)), "application/x-thing", "thing.bin")])
    assert end["state"] == "final", end
    m = c.history("agent:main:a")[0]
    assert m["content"] == "look at these [fake ok chunks=1]", m
    facts = media_of(m)
    assert [(f["kind"], f["contentType"], f["fileName"]) for f in facts] == [
        ("image", "image/png", "a.png"), ("document", "text/plain", "notes.txt"),
        ("document", "application/pdf", "paper.pdf"), ("document", "application/x-thing", "thing.bin")], facts
    assert facts[0]["url"].startswith("media://inbound/") and facts[0]["url"].endswith(".png"), facts
    assert (facts[0]["width"], facts[0]["height"], facts[0]["sizeBytes"], facts[0]["origin"]) == \
        (32, 16, len(pic), "paste"), facts
    assert m["__openclaw"]["mediaImageLayout"] == {"slots": [{"kind": "inline", "factIndex": 0}]}, m
    assert len(files_of(g)) == 4
    parts = parts_of(t.fake.calls("look at these")[0])
    assert parts[0] == {"type": "text", "text": "look at these [fake ok chunks=1]"}, parts
    assert parts[1] == {"type": "image_url", "image_url": {
        "url": "data:image/png;base64," + base64.b64encode(pic).decode()}}, parts
    assert "notes.txt (text/plain, 23 bytes)" in parts[2]["text"] and "second line" in parts[2]["text"], parts
    assert "paper.pdf (application/pdf" in parts[3]["text"], parts  # no service of OpenAI's own: in words
    assert "thing.bin (application/x-thing, 256 bytes)" in parts[4]["text"], parts


def test_anthropic_takes_documents(t):
    doc = config_for(t.fake.url)
    doc["agents"]["defaults"]["model"]["primary"] = "anthro/mock-1"
    c = t.gateway(doc).client()
    pic = png(8, 8)
    end = c.turn("agent:main:a", "for the other api [fake ok chunks=1]",
                 attachments=[att(pic, "image/png", "a.png"), att(PDF, name="paper.pdf")])[1]
    assert end["state"] == "final", end
    parts = parts_of(t.fake.calls("for the other api")[0])
    assert parts[1] == {"type": "image", "source": {"type": "base64", "media_type": "image/png",
                                                    "data": base64.b64encode(pic).decode()}}, parts
    assert parts[2]["type"] == "document" and parts[2]["title"] == "paper.pdf", parts
    assert parts[2]["source"]["data"] == base64.b64encode(PDF).decode(), parts


def test_model_without_images(t):
    doc = config_for(t.fake.url)
    doc["models"]["providers"]["mock"]["models"][0]["input"] = ["text"]
    c = t.gateway(doc).client()
    c.turn("agent:main:a", "blind [fake ok chunks=1]", attachments=[att(png(8, 8), "image/png", "a.png")])
    call = t.fake.calls("blind")[0]
    assert images_of(call) == 0, call
    assert "a.png (image/png, 8 x 8" in call["prompt"] and "sees no images" in call["prompt"], call


def test_message_of_an_attachment_alone(t):
    g = t.gateway({"gateway": {"mode": "local"}})
    c = g.client()
    for method, key in (("chat.send", "sessionKey"), ("sessions.send", "key"), ("sessions.steer", "key")):
        run = str(uuid.uuid4())
        got = c.ask(method, {key: "agent:main:a", "message": "", "idempotencyKey": run,
                             "attachments": [att(png(5, 5), "image/png", "alone.png")]})
        assert got["status"] == "started", got
        end = c.chat(run, ("final", "error"))
        assert "alone.png (image/png, 5 x 5" in text_of(end["message"]), end
    run = str(uuid.uuid4())
    c.ask("agent", {"sessionKey": "agent:main:a", "message": " ", "idempotencyKey": run,
                    "attachments": [att(png(6, 6), "image/png", "alone.png")]})
    assert "alone.png (image/png, 6 x 6" in text_of(c.chat(run, "final")["message"])
    h = c.history("agent:main:a")
    assert [m["content"] for m in h if m["role"] == "user"] == [""] * 4, h
    made = c.ask("sessions.create", {"attachments": [att(png(7, 7), "image/png", "first.png")]})
    assert "first.png (image/png, 7 x 7" in text_of(c.chat(made["runId"], "final")["message"])
    assert len(files_of(g)) == 5


def test_what_is_refused(t):
    g = t.gateway()
    c = g.client()
    pic = png(4, 4)
    for attachment, want in (
            ({"fileName": "a.png", "content": "!!!!"}, "attachment a.png: invalid base64 content"),
            ({"fileName": "a.png", "content": "AAAA====" }, "attachment a.png: invalid base64 content"),
            ({"type": "image", "content": " "}, "attachment image: empty payload"),
            ({"content": "AAA"}, "attachment attachment-1: invalid base64 content"),
            (att(png(4, 4, 6291456), "image/png", "big.png"), "attachment big.png: image exceeds size limit"),
            (att(b"\1" * 19464193, name="b.bin"), "attachment b.bin: exceeds size limit (19464193 > 19464192 bytes)")):
        e = c.refused("chat.send", dict(sessionKey="agent:main:a", message="x", idempotencyKey=str(uuid.uuid4()),
                                        attachments=[att(pic, "image/png"), attachment]
                                        if "attachment-1" not in want else [attachment]))
        assert e.code == "INVALID_REQUEST" and e.message.startswith(want), (want, e)
    e = c.refused("chat.send", dict(sessionKey="agent:main:a", message=" ", idempotencyKey="k",
                                    attachments=[{"fileName": "a.png"}]))
    assert e.message == "message or attachment required", e
    e = c.refused("chat.send", dict(sessionKey="agent:main:a", message="x", idempotencyKey="k2",
                                    attachments=[{"content": "AAAA"}] * 65))
    assert e.code == "INVALID_REQUEST", e
    assert files_of(g) == [] and c.history("agent:main:a") == []


def test_same_key(t):
    g = t.gateway()
    c = g.client()
    a, b = att(png(4, 4), "image/png", "a.png"), att(png(5, 5), "image/png", "a.png")
    run, _ = c.turn("agent:main:a", "once [fake ok chunks=1]", attachments=[a])
    again = dict(sessionKey="agent:main:a", message="once [fake ok chunks=1]", idempotencyKey=run, attachments=[a])
    assert c.ask("chat.send", again)["status"] == "ok"
    e = c.refused("chat.send", dict(again, attachments=[b]))
    assert e.details.get("reason") == "chat-request-conflict", e
    e = c.refused("chat.send", dict(again, attachments=[]))
    assert e.details.get("reason") == "chat-request-conflict", e
    assert len(files_of(g)) == 1 and len(t.fake.calls("once")) == 1


def test_largest(t):
    g = t.gateway()
    c = g.client()
    hub = g.worker("hub")
    data = os.urandom(19464192)
    end = c.turn("agent:main:a", "huge [fake ok chunks=1]", attachments=[att(data, name="h.bin")])[1]
    assert end["state"] == "final", end
    name, = files_of(g)
    with open(os.path.join(g.state_dir, "store", "media", name), "rb") as f:
        assert f.read() == data
    assert os.stat(os.path.join(g.state_dir, "store", "media")).st_mode & 0o777 == 0o700
    assert os.stat(os.path.join(g.state_dir, "store", "media", name)).st_mode & 0o777 == 0o600
    assert g.worker("hub") == hub


def test_old_images_are_not_told_again(t):
    c = t.gateway().client()
    for i in range(5):
        c.turn("agent:main:a", "picture %d [fake ok chunks=1]" % i, attachments=[att(png(4 + i, 4), "image/png", "p%d.png" % i)])
    call = t.fake.calls("picture 4")[0]
    assert images_of(call) == 3, call
    c.turn("agent:main:a", "and now [fake ok chunks=1]")
    assert images_of(t.fake.calls("and now")[0]) == 3


def test_gone_with_its_session(t):
    g = t.gateway({"gateway": {"mode": "local"}})
    c = g.client()
    c.turn("agent:main:a", "one", attachments=[att(png(4, 4), "image/png")])
    c.turn("agent:main:b", "two", attachments=[att(png(5, 5), "image/png")])
    c.turn("agent:main:c", "three", attachments=[att(png(6, 6), "image/png")])
    last = c.history("agent:main:c")[-1]["__openclaw"]["id"]
    fork = c.ask("sessions.fork", {"sessionKey": "agent:main:c", "entryId": last})["sessionKey"]
    assert media_of(c.history(fork)[0]), c.history(fork)
    assert len(files_of(g)) == 3
    c.ask("sessions.delete", {"key": "agent:main:a"})
    until(lambda: len(files_of(g)) == 2, "the first session's file is gone")
    c.ask("sessions.reset", {"key": "agent:main:b"})
    until(lambda: len(files_of(g)) == 1, "the second session's file is gone")
    c.ask("sessions.delete", {"key": "agent:main:c"})
    c.turn("agent:main:d", "four", attachments=[att(png(7, 7), "image/png")])
    c.ask("sessions.delete", {"key": "agent:main:d"})
    until(lambda: len(files_of(g)) == 1, "the fourth session's file is gone: a look was taken")
    assert media_of(c.history(fork)[0])[0]["url"].split("/")[-1].startswith(files_of(g)[0])
    c.ask("sessions.delete", {"key": fork})
    until(lambda: len(files_of(g)) == 0, "the copy's file is gone")


def test_waiting_message_survives_a_hub(t):
    """A message that waits behind a turn has its files after the hub was killed, too."""
    g = t.gateway()
    c = g.client()
    first = c.send("agent:main:a", "slow one [fake ok chunks=2 gate=g1]")
    t.fake.wait("slow one", "gated")
    c.send("agent:main:a", "behind it [fake ok chunks=1]", attachments=[att(png(9, 9), "image/png", "w.png")],
           queueMode="followup")
    old = g.worker("hub")
    g.kill("hub")
    g.wait_replaced("hub", old)
    assert len(files_of(g)) == 1
    t.fake.gate("g1")
    t.fake.wait("behind it")
    assert images_of(t.fake.calls("behind it")[0]) == 1
    c2 = g.client_soon()
    until(lambda: len(c2.history("agent:main:a")) == 4, "both answers")
    waited, = [m for m in c2.history("agent:main:a") if "behind it" in text_of(m)]
    assert media_of(waited)[0]["fileName"] == "w.png", waited


def test_orphans_go_at_the_start(t):
    g = t.gateway({"gateway": {"mode": "local"}})
    c = g.client()
    c.turn("agent:main:a", "keep", attachments=[att(png(4, 4), "image/png")])
    kept = files_of(g)
    folder = os.path.join(g.state_dir, "store", "media")
    orphan = str(uuid.uuid4())
    with open(os.path.join(folder, orphan), "wb") as f:
        f.write(b"half a file")
    with open(os.path.join(folder, "not ours"), "wb") as f:
        f.write(b"x")
    st = os.stat(folder)
    os.chown(os.path.join(folder, orphan), st.st_uid, st.st_gid)
    old = g.worker("hub")
    g.kill("hub")
    g.wait_replaced("hub", old)
    until(lambda: files_of(g) == sorted(kept + ["not ours"]), "the orphan is gone")
    assert media_of(g.client_soon().history("agent:main:a")[0])


def test_quota(t):
    doc = config_for(t.fake.url, media={"maxBytes": 1048576})
    g = t.gateway(doc)
    c = g.client()
    c.turn("agent:main:a", "fits [fake ok chunks=1]", attachments=[att(os.urandom(900000), name="a.bin")])
    e = c.refused("chat.send", dict(sessionKey="agent:main:a", message="x", idempotencyKey="q",
                                    attachments=[att(os.urandom(900000), name="b.bin")]))
    assert e.code == "UNAVAILABLE" and "gateway.media.maxBytes" in e.message, e
    assert len(files_of(g)) == 1 and len(c.history("agent:main:a")) == 2
    # a refused message may be said again without its file, and others go on
    assert c.turn("agent:main:a", "without [fake ok chunks=1]")[1]["state"] == "final"


# -- brought by channels

def test_from_a_channel(t):
    g, p = setup(t)
    p = p["default"]
    c = g.client()
    pic = png(20, 10)
    p.write("u1", "see this [fake ok chunks=1]", files=[(pic, "image/jpeg", "../../x/pic.jpg"),
                                                        (b"some notes\n", "", "n.txt")])
    t.fake.wait("see this", "done")
    until(lambda: p.lines("acks.log") == ["u1"], "the message was taken")
    call = t.fake.calls("see this")[0]
    assert images_of(call) == 1 and "some notes" in str(parts_of(call)), call
    key, = {m["key"] for m in c.ask("sessions.list", {})["sessions"]}
    facts = media_of(c.history(key)[0])
    assert [(f["contentType"], f["fileName"]) for f in facts] == [("image/png", "pic.jpg"), ("text/plain", "n.txt")], facts
    # without text
    p.write("u2", "", files=[(pic, "image/png", "")])
    until(lambda: "u2" in p.lines("acks.log"), "the second was taken")
    until(lambda: len([m for m in c.history(key) if m["role"] == "user"]) == 2, "it is in the transcript")
    # the same again: known, nothing new
    p.write("u1", "see this [fake ok chunks=1]", files=[(pic, "image/png", "pic.png")])
    p.write("u3", "the end [fake ok chunks=1]")
    until(lambda: "u3" in p.lines("acks.log"), "the third was taken")
    until(lambda: len([m for m in c.history(key) if m["role"] == "user"]) == 3, "three, and no more")
    assert len(files_of(g)) == 3, files_of(g)


def test_channel_quota_in_words(t):
    g, p = setup(t, start=False)
    g.config["gateway"]["media"] = {"maxBytes": 1048576}
    g.write_config(g.config)
    g.start()
    p = p["default"]
    p.write("u1", "too much [fake ok chunks=1]", files=[(os.urandom(2000000), "", "movie.bin")])
    until(lambda: p.lines("acks.log") == ["u1"], "the message was taken")
    t.fake.wait("too much", "done")
    assert "1 attached file was not kept" in t.fake.calls("too much")[0]["prompt"]
    assert files_of(g) == []


def test_channel_and_hub_die(t):
    """Messages with files, while hub and channel are killed: each once, with its files, none left over."""
    g, p = setup(t)
    p = p["default"]
    c = g.client()
    for i in range(12):
        p.write("u%d" % i, "number %d [fake ok chunks=1]" % i, files=[(png(3 + i, 3), "image/png", "n%d.png" % i)])
        if i % 3 == 0:
            until(lambda: len(p.lines("wants.log")) + len(p.lines("acks.log")) > 0, "something is under way")
            g.kill("hub" if i % 2 else "channel")
    until(lambda: len(set(p.lines("acks.log"))) == 12, "all were taken", timeout=60)
    for i in range(12):
        t.fake.wait("number %d " % i, "done")
    c = g.client_soon()
    key, = {m["key"] for m in c.ask("sessions.list", {})["sessions"]}
    until(lambda: len([m for m in c.history(key) if m["role"] == "user"]) == 12, "all are in the transcript")
    said = [m for m in c.history(key) if m["role"] == "user"]
    assert sorted(m["__openclaw"]["media"][0]["fileName"] for m in said) == sorted("n%d.png" % i for i in range(12))
    old = g.worker("hub")
    g.kill("hub")
    g.wait_replaced("hub", old)
    g.client_soon()
    assert len(files_of(g)) == 12, files_of(g)


# -- over HTTP

def url_of(fact, **query):
    return "/__openclaw__/assistant-media?" + urllib.parse.urlencode(dict(source=fact["url"], **query))


def test_over_http(t):
    g = t.gateway({"gateway": {"mode": "local"}})
    c = g.client()
    pic, page = png(30, 20), b"<html><script>alert(1)</script></html>"
    film = b"\0\0\0\x18ftypmp42" + os.urandom(3000000)
    c.turn("agent:main:a", "these", attachments=[
        att(pic, "image/png", "a.png"), att(page, "text/html", "evil.html"), att(PDF, "application/pdf", "p \u00e4.pdf"),
        att(b'<svg xmlns="http://www.w3.org/2000/svg"/>', "image/svg+xml", "i.svg"), att(film, "video/mp4", "f.mp4"),
        att(bytes(range(256)), "", "x")])
    facts = media_of(c.history("agent:main:a")[0])
    assert [f["kind"] for f in facts] == ["image", "document", "document", "document", "video", "document"], facts
    # only with the token, or a pass
    assert ask(g, url_of(facts[0]), token=False)[0] == 401
    assert ask(g, url_of(facts[0]), token="wrong")[0] == 401
    for wrong in ("v1.9999999999999.AAAA", "v1..", "v2.9.9", "v1.99999999999999." + "A" * 43, ""):
        assert ask(g, url_of(facts[0], mediaTicket=wrong), token=False)[0] == 401, wrong
    s, h, b = ask(g, url_of(facts[0]))
    assert (s, b, h["content-type"], h["x-content-type-options"]) == (200, pic, "image/png", "nosniff"), (s, h)
    assert "sandbox" in h["content-security-policy"] and h["content-disposition"].startswith("inline"), h
    tag = h["etag"]
    assert ask(g, url_of(facts[0]), If_None_Match=tag)[0] == 304
    meta = json.loads(ask(g, url_of(facts[0], meta=1))[2])
    assert meta["available"] and meta["sizeBytes"] == len(pic) and (meta["width"], meta["height"]) == (30, 20), meta
    assert ask(g, url_of(facts[0], mediaTicket=meta["mediaTicket"]), token=False)[2] == pic
    assert ask(g, url_of(facts[1], mediaTicket=meta["mediaTicket"]), token=False)[0] == 401  # of another file
    got = c.ask("assistant.media.get", {"source": facts[0]["url"]})
    assert ask(g, url_of(facts[0], mediaTicket=got["mediaTicket"]), token=False)[2] == pic
    assert c.ask("assistant.media.get", {"source": "media://inbound/" + str(uuid.uuid4())})["available"] is False
    # nothing that runs
    s, h, b = ask(g, url_of(facts[1]))
    assert (s, b, h["content-type"]) == (200, page, "text/plain; charset=utf-8"), h
    s, h, b = ask(g, url_of(facts[2]))
    assert h["content-type"] == "application/pdf" and h["content-disposition"] == \
        "attachment; filename*=UTF-8''p%20%C3%A4.pdf", h
    s, h, b = ask(g, url_of(facts[3]))
    assert h["content-type"] == "text/plain; charset=utf-8", h
    s, h, b = ask(g, url_of(facts[5]))
    assert (h["content-type"], b) == ("application/octet-stream", bytes(range(256))), h
    # in pieces
    assert ask(g, url_of(facts[4]))[2] == film
    s, h, b = ask(g, url_of(facts[4]), Range="bytes=100-199")
    assert (s, b, h["content-range"]) == (206, film[100:200], "bytes 100-199/%d" % len(film)), (s, h)
    s, h, b = ask(g, url_of(facts[4]), Range="bytes=0-")
    assert s == 206 and b == film[:len(b)] and h["content-range"] == "bytes 0-%d/%d" % (len(b) - 1, len(film)), h
    assert ask(g, url_of(facts[4]), Range="bytes=-10")[2] == film[-10:]
    assert ask(g, url_of(facts[4]), Range="bytes=99999999-")[0] == 416
    assert ask(g, url_of(facts[4]), "HEAD")[::2] == (200, b"")
    # by the id, and what is not there
    name = facts[0]["url"].split("/")[-1]
    assert ask(g, "/api/chat/media/inbound/" + name)[2] == pic
    assert ask(g, "/api/chat/media/outgoing/agent%3Amain%3Aa/" + name.split(".")[0] + "/full")[2] == pic
    for path in ("/api/chat/media/", "/api/chat/media/../../state.mdb", "/api/chat/media/inbound/..%2f..%2fstate.mdb",
                 "/api/chat/media/" + str(uuid.uuid4()), "/__openclaw__/assistant-media", "/__openclaw__/assistant-media?source=/etc/passwd",
                 "/__openclaw__/assistant-media?source=media://inbound/../state.mdb"):
        assert ask(g, path)[0] == 404, path


def test_slow_readers_of_files(t):
    """Many slow readers of a large file cost next to nothing, and one that leaves leaves nothing behind."""
    g = t.gateway({"gateway": {"mode": "local"}})
    c = g.client()
    data = os.urandom(12 << 20)
    c.turn("agent:main:a", "large", attachments=[att(data, name="l.bin")])
    fact, = media_of(c.history("agent:main:a")[0])
    hub = g.worker("hub")
    def memory():
        with open("/proc/%d/smaps_rollup" % hub) as f:
            return sum(int(l.split()[1]) for l in f if l.startswith(("Private_Dirty", "Anonymous:")))
    before = memory()
    socks = []
    for _ in range(40):
        s = socket.create_connection(("127.0.0.1", g.port))
        s.sendall(("GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n" % (url_of(fact), g.token)).encode())
        assert s.recv(12) == b"HTTP/1.1 200"
        socks.append(s)
    assert c.turn("agent:main:b", "others go on")[1]["state"] == "final"
    if not sanitized(g):  # a sanitizer keeps what was freed
        assert memory() - before < 40 << 10, (before, memory())  # KiB
    for s in socks[1:]:
        s.close()
    rest = b""
    socks[0].settimeout(30)
    while len(rest) < len(data):
        got = socks[0].recv(1 << 20)
        assert got, len(rest)
        rest += got
    assert g.worker("hub") == hub
    assert ask(g, url_of(fact))[2] == data


def test_command_line(t):
    g = t.gateway({"gateway": {"mode": "local"}})
    path = os.path.join(t.folder, "cat.png")
    with open(path, "wb") as f:
        f.write(png(12, 34))
    r = ctl(g, "chat", "--attach", path, "what is it")
    assert r.returncode == 0 and "cat.png (image/png, 12 x 34" in r.stdout, r
    r = ctl(g, "chat", "--session", "other", "--attach", path, "--attach", path)
    assert r.returncode == 0 and r.stdout.count("cat.png (image/png") == 2, r
    r = ctl(g, "history", "other")
    assert "user: [cat.png, image/png, %d bytes] [cat.png" % os.path.getsize(path) in r.stdout, r
    r = ctl(g, "chat", "--attach", path + ".not", "x")
    assert r.returncode == 1 and "cat.png.not" in r.stderr, r
    assert ctl(g, "chat").returncode == 2


def test_full_disk(t):
    """Files are refused when the disk is full, half a file is never left, and it goes on when there is room."""
    from test_disk import started
    g, ballast = started(t)
    if not g:
        return
    c = g.client()
    c.turn("agent:main:a", "before [fake ok chunks=1]", attachments=[att(png(4, 4), "image/png")])
    ballast.fill()
    e = c.refused("chat.send", dict(sessionKey="agent:main:a", message="x", idempotencyKey="full",
                                    attachments=[att(os.urandom(3000000), name="a.bin")]))
    assert e.code == "UNAVAILABLE", e
    assert len(files_of(g)) == 1, files_of(g)
    ballast.free()

    def room():
        try:
            return c.ask("chat.send", dict(sessionKey="agent:main:a", message="after [fake ok chunks=1]", idempotencyKey="full2",
                                           attachments=[att(os.urandom(3000000), name="b.bin")]))
        except Refused as e:
            assert e.code == "UNAVAILABLE", e
    until(room, "there is room again")
    assert c.chat("full2", ("final", "error"))["state"] == "final"
    assert len(files_of(g)) == 2


def test_large_one_after_the_other(t):
    """Memory of large messages is given back, and text goes on while they are written."""
    g = t.gateway()
    clients = [g.client() for _ in range(4)]
    before = g.worker("hub"), g.worker("agent"), g.worker("front")
    for i, c in enumerate(clients):
        end = c.turn("agent:main:s%d" % i, "large %d [fake ok chunks=1]" % i, attachments=[
            att(png(8, 8, 3000000), "image/png"), att(os.urandom(4000000), name="x.bin")])[1]
        assert end["state"] == "final", end
    assert (g.worker("hub"), g.worker("agent"), g.worker("front")) == before
    assert len(files_of(g)) == 8
    text = ask(g, "/metrics")[2].decode()
    assert "openclaw_media_files 8\n" in text and "openclaw_media_bytes 2" in text, text[:200]


def test_leaves_while_it_is_written(t):
    """A client that is gone before its files are on the disk leaves none; the same key sends them again."""
    g = t.gateway()
    a = att(os.urandom(12000000), name="x.bin")
    ask_for = dict(sessionKey="agent:main:a", message="again [fake ok chunks=1]", idempotencyKey="gone", attachments=[a])
    c = g.client()
    c.start("chat.send", ask_for)
    c.ws.sock.close()
    c = g.client()
    assert c.ask("chat.send", ask_for, timeout=60)["status"] in ("started", "in_flight", "ok")
    until(lambda: len(c.history("agent:main:a")) == 2, "one turn")
    until(lambda: len(files_of(g)) == 1, "one file")
    # twice at once: one turn, one file
    ids = [c.start("chat.send", dict(ask_for, idempotencyKey="twice", sessionKey="agent:main:b")) for _ in range(2)]
    got = [c.answer(i, 60)["payload"]["status"] for i in ids]
    assert sorted(got) in (["in_flight", "started"], ["ok", "started"]), got
    until(lambda: len(c.history("agent:main:b")) == 2, "one turn of the second")
    until(lambda: len(files_of(g)) == 2, "one file of the second")


def test_large_file_of_a_channel(t):
    g, p = setup(t)
    p = p["default"]
    p.write("u1", "heavy [fake ok chunks=1]", files=[(os.urandom(9000000), "", "a.bin"), (png(5, 5, 3000000), "", "b.png")])
    t.fake.wait("heavy", "done")
    until(lambda: p.lines("acks.log") == ["u1"], "the message was taken")
    assert len(files_of(g)) == 2 and t.fake.calls("heavy")[0]["prompt"].count("a.bin") == 1


def test_hub_dies_while_it_writes(t):
    g, p = setup(t)
    p = p["default"]
    data = os.urandom(20000000)
    p.write("u1", "long way [fake ok chunks=1]", files=[(data, "", "a.bin")])
    until(lambda: any(os.path.getsize(os.path.join(g.state_dir, "store", "media", f)) for f in files_of(g)), "it is being written")
    old = g.worker("hub")
    g.kill("hub")
    g.wait_replaced("hub", old)
    until(lambda: p.lines("acks.log") == ["u1"], "the message was taken", timeout=60)
    t.fake.wait("long way", "done")
    name, = files_of(g)
    with open(os.path.join(g.state_dir, "store", "media", name), "rb") as f:
        assert f.read() == data
    assert len(t.fake.calls("long way")) == 1
