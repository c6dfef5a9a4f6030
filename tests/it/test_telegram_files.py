"""Files to Telegram: by which method, in which shape, and what comes of each way in which it can go wrong."""
from gateway import until
from test_channel_files import MB, body, send, sent, setup, sha
from test_channels import connected, kill
from test_telegram import FORUM, settled


def world(t, **how):
    g, p, web = setup(t, "telegram", **how)
    c = g.client()
    connected(c)
    return g, p, web, c


def methods(p):
    return [r["method"] for r in p.order("log") if r["method"].startswith("send") and r["method"] != "sendChatAction"]


def test_each_by_its_method(t):
    g, p, web, c = world(t)
    for i, (name, more, method) in enumerate((("a.png", {}, "sendPhoto"), ("a.jpg", {}, "sendPhoto"), ("a.gif", {}, "sendAnimation"),
                                              ("a.pdf", {}, "sendDocument"), ("a.ogg", {}, "sendAudio"), ("b.ogg", {"asVoice": True}, "sendVoice"),
                                              ("b.png", {"forceDocument": True}, "sendDocument"), ("a.bin", {}, "sendDocument"))):
        send(c, "k%d" % i, mediaUrl=web.url + "/f/" + name, **more)
        assert methods(p)[-1] == method, (name, methods(p))
    send(c, "big", mediaUrl=web.url + "/f/big.png?size=%d" % (10 * MB + 1))
    assert methods(p)[-1] == "sendDocument", methods(p)
    assert [f["text"] for f in p.files()] == [""] * 9


def test_album(t):
    """Pictures and films in one call, their words below the first; where, in answer to what and how loud as for a text."""
    g, p, web, c = world(t)
    first = p.say("in a topic", FORUM, message_thread_id=5, is_topic_message=True, **{"from": {"id": 7}})
    settled(p)
    got = send(c, "k", to="-6", message="**all** <three>", threadId="5", replyToId=str(first["message_id"]), silent=True,
               mediaUrls=[web.url + "/f/%d.png" % i for i in range(3)])
    call, = p.calls("sendMediaGroup")
    album = [m for m in p.sent() if m.get("media_group_id")]
    assert len(album) == 3 and got["messageId"] == str(album[0]["message_id"]), (got, album)
    assert album[0]["caption"] == "all <three>" and [e["type"] for e in album[0]["caption_entities"]] == ["bold"]
    assert "caption" not in album[1] and all(m["message_thread_id"] == 5 for m in album)
    assert album[0]["reply_to_message"]["message_id"] == first["message_id"] and call["params"]["disable_notification"] == "true", call
    assert [f["name"] for f in p.files()] == ["0.png", "1.png", "2.png"]
    send(c, "many", message="twelve", mediaUrls=[web.url + "/f/%d.jpg" % i for i in range(12)])
    calls = p.calls("sendMediaGroup")[1:]
    assert [len(r["files"]) for r in calls] == [10, 2], calls
    send(c, "mixed", message="mixed", mediaUrls=[web.url + "/f/a.png", web.url + "/f/b.pdf", web.url + "/f/c.png"])
    assert methods(p)[-3:] == ["sendPhoto", "sendDocument", "sendPhoto"] and "mixed" in p.files()[-3]["text"], methods(p)


def test_what_it_does_not_take(t):
    """A picture goes as a file, words without their marks, an album as files."""
    g, p, web, c = world(t)
    no = "Bad Request: PHOTO_INVALID_DIMENSIONS"
    p.fault("sendPhoto", "400", description=no)
    send(c, "k1", message="wide", mediaUrl=web.url + "/f/a.png")
    assert methods(p) == ["sendPhoto", "sendDocument"] and p.files()[-1]["text"] == "wide"
    p.fault("sendMediaGroup", "400", description='Bad Request: failed to send message #1 with the error message "%s"' % no)
    send(c, "k2", message="wide ones", mediaUrls=[web.url + "/f/a.png", web.url + "/f/b.png"])
    assert [m["type"] for m in p.calls("sendMediaGroup")[-1]["params"]["media"]] == ["document", "document"]
    p.fault("sendPhoto", "parse")
    send(c, "k3", message="**bold**", mediaUrl=web.url + "/f/c.png")
    assert p.sent()[-1]["caption"] == "bold" and "caption_entities" not in p.sent()[-1]
    p.fault("sendDocument", "403")
    e = c.refused("send", {"to": "42", "message": "x", "mediaUrl": web.url + "/f/d.pdf", "idempotencyKey": "k4"})
    assert "blocked by the user" in e.message, e
    e = c.refused("send", {"to": "42", "message": "x", "mediaUrl": web.url + "/f/e.pdf?size=%d" % (50 * MB + 1), "idempotencyKey": "k5"})
    assert "larger than" in e.message, e


def test_caption_at_its_limit(t):
    """1024 characters, counted as Telegram counts; what is more follows as messages, nothing is lost."""
    g, p, web, c = world(t)
    for n, text, calls in ((0, "x" * 1024, ["sendPhoto"]), (1, "x" * 1020 + " abcd", ["sendPhoto", "sendMessage"]),
                           (2, "\U0001F600" * 512, ["sendPhoto"]), (3, "\U0001F600" * 513, ["sendPhoto", "sendMessage"])):
        before = len(methods(p))
        send(c, "k%d" % n, message=text, mediaUrl=web.url + "/f/a.png")
        until(lambda: c.ask("deliveries.list", {})["open"] == 0, "all is sent")
        assert methods(p)[before:] == calls, (n, methods(p))
        whole = "".join(p.texts()[-len(calls):])
        assert whole.replace(" ", "") == text.replace(" ", ""), (n, len(whole), len(text))


def test_too_many(t):
    """429 between the albums of one message: the rest comes when it may, nothing twice."""
    g, p, web, c = world(t)
    c.start("send", {"to": "42", "message": "twelve", "mediaUrls": [web.url + "/f/%d.jpg" % i for i in range(12)], "idempotencyKey": "k"})
    p.fault("sendMediaGroup", "429", retry_after=1)
    until(lambda: c.ask("deliveries.list", {})["open"] == 0 and len(p.files()) >= 12, "all are there", timeout=60)
    assert sorted(f["name"] for f in p.files()) == sorted("%d.jpg" % i for i in range(12)), p.files()


def test_broken_uploads(t):
    """More than sockets hold. A connection that ends before the end of the file was sent: it cannot be there, so it is sent again. One that ends behind it: nobody knows."""
    g, p, web, c = world(t)
    p.fault("sendDocument", "stall", bytes=65536, delay=0.2, cut=True)
    c.start("send", {"to": "42", "message": "again", "mediaUrl": web.url + "/f/a.pdf?size=%d" % (30 * MB), "idempotencyKey": "k1"})
    f, = sent(p)
    assert f["sha256"] == sha(body("a.pdf", 30 * MB)) and p.calls("stall sendDocument")
    until(lambda: c.ask("deliveries.list", {})["open"] == 0, "it is over")
    assert not c.ask("deliveries.list", {"state": "unknown"})["deliveries"]
    p.fault("sendDocument", "lost")
    c.start("send", {"to": "42", "message": "maybe", "mediaUrl": web.url + "/f/b.pdf?size=%d" % MB, "idempotencyKey": "k2"})
    until(lambda: c.ask("deliveries.list", {"state": "unknown"})["deliveries"], "nobody knows", timeout=60)
    assert len(p.files()) == 2, p.files()


def test_killed_in_the_middle(t):
    """The process dies while a file goes out: it is not there, and not sent again by itself."""
    g, p, web, c = world(t)
    p.fault("sendDocument", "stall", bytes=65536)
    c.start("send", {"to": "42", "message": "gone", "mediaUrl": web.url + "/f/a.pdf?size=%d" % (8 * MB), "idempotencyKey": "k1"})
    until(lambda: p.calls("stall sendDocument"), "half of it")
    kill(c)
    until(lambda: c.ask("deliveries.list", {"state": "unknown"})["deliveries"], "nobody knows", timeout=60)
    assert not p.files()


def test_an_answer_with_a_file(t):
    """The preview of an answer goes away when the answer brings a file; its words stand below that."""
    g, p, web, c = world(t)
    t.fake.control(fault="ok", gate="half", at=60, letters="look here %s\nMEDIA:%s/f/a.png" % ("word " * 12, web.url))
    p.say("go on")
    shown = until(lambda: p.sent(), "a preview", timeout=60)[0]
    t.fake.gate("half")
    f, = sent(p)
    until(lambda: c.ask("deliveries.list", {})["open"] == 0 and p.calls("deleteMessage"), "its end", timeout=60)
    settled(p)
    assert f["text"].startswith("look") and "MEDIA" not in f["text"], f
    assert p.calls("deleteMessage")[0]["params"]["message_id"] == shown["message_id"]
    assert len(p.sent()) == 1, p.sent()


def test_words_below_a_file_are_edited(t):
    """What has no text has a caption; a file that was sent is removed like a text."""
    g, p, web, c = world(t)
    number = send(c, "k", message="before", mediaUrl=web.url + "/f/a.png")["messageId"]
    act = lambda action, key, **more: c.ask("message.action", {"channel": "telegram", "action": action, "idempotencyKey": key,
                                                               "params": dict({"to": "42", "messageId": number}, **more)})
    act("edit", "e", message="**after**")
    assert p.sent()[0]["caption"] == "after" and p.sent()[0]["caption_entities"], p.sent()
    act("delete", "d")
    assert p.sent() == []
