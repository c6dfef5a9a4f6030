"""Telegram: what is written where, and what comes of it. The platform is tests/fake/telegram.py."""
import http.client
import json
import os
import stat

from gateway import config_for, until
from platforms import Telegram
from test_channels import FAST, connected, status_of

GROUP = {"id": -5, "type": "supergroup", "title": "The group"}
FORUM = {"id": -6, "type": "supergroup", "title": "The forum", "is_forum": True}
ADA = {"id": 7, "first_name": "Ada", "username": "ada"}


def setup(t, start=True, section=None, accounts=None, argv=(), env=None):
    """A gateway with a bot that anybody may write to, in groups when it is named: (gateway, platform)."""
    p = Telegram(t.folder, argv=argv)
    config = config_for(t.fake.url)
    config["agents"]["defaults"]["model"]["primary"] = "demo/demo-1"
    config["channels"] = {"telegram": p.section(**(section or {}))}
    config["session"] = {"dmScope": "per-channel-peer"}
    config["messages"] = {"queue": {"mode": "followup", "cap": 1000, "debounceMs": 0}}
    config["delivery"] = FAST
    g = t.new_gateway(config)
    if env:
        plain = g.env
        g.env = lambda: dict(plain(), **env)
    if start:
        g.start()
    return g, p


def entity(kind, text, words, **more):
    """An entity that marks these words, in UTF-16 units."""
    units = lambda s: len(s.encode("utf-16-le")) // 2
    return dict({"type": kind, "offset": units(text[:text.index(words)]), "length": units(words)}, **more)


def named(text, **more):
    """A text that names the bot, as people's clients send it."""
    return dict({"text": text, "entities": [entity("mention", text, "@bot4242_bot")]}, **more)


def answers(p, words, n=1, **where):
    def there():
        got = [m for m in p.sent() if words in m.get("text", "") and all(m.get(k) == v for k, v in where.items())]
        return got if len(got) >= n else None
    return until(there, "an answer with %r" % words)


def settled(p):
    """The platform may forget everything."""
    until(lambda: not p.state()["waiting"], "nothing waits", timeout=60)


def sessions(g):
    return sorted(s["key"] for s in g.client().ask("sessions.list", {})["sessions"])


def test_groups(t):
    """In a group the bot answers who names it, replies to it or gives it a command; the rest is context."""
    g, p = setup(t)
    p.say("nothing for you", GROUP)
    p.say("@other_bot do it", GROUP, entities=[entity("mention", "@other_bot do it", "@other_bot")])
    p.say("/status@other_bot", GROUP, entities=[entity("bot_command", "/status@other_bot", "/status@other_bot")])
    p.say(chat=GROUP, **{"from": ADA, **named("\U0001F600\U0001F600 @bot4242_bot first")})
    first = answers(p, "first")[0]
    assert first["to"] == "-5" and "Ada" in first["text"], first
    p.say("second", GROUP, reply_to_message_id=first["message_id"])
    answers(p, "second")
    p.say("you there, third", GROUP, entities=[entity("text_mention", "you there, third", "you", user={"id": 4242})])
    answers(p, "third")
    p.say("/help@bot4242_bot fourth", GROUP, entities=[entity("bot_command", "/help@bot4242_bot", "/help@bot4242_bot")])
    answers(p, "/help fourth")
    p.say("my own words", GROUP, **{"from": {"id": 4242, "is_bot": True}})
    p.say("last words", GROUP)
    settled(p)
    assert len([x for x in p.texts() if "You wrote" in x]) == 4, p.texts()
    assert "agent:main:telegram:group:-5" in sessions(g)


def test_forum(t):
    """Each topic is a conversation of its own; General has number 1 and none when something is sent there."""
    g, p = setup(t, section={"groups": {"*": {"requireMention": False}, "-6": {"topics": {"9": {"requireMention": True}}}}})
    p.say("in a topic", FORUM, message_thread_id=5, is_topic_message=True)
    p.say("in General", FORUM)
    p.say("a chain of replies", GROUP, message_thread_id=5)
    p.say("not named here", FORUM, message_thread_id=9, is_topic_message=True)
    assert answers(p, "in a topic")[0]["message_thread_id"] == 5
    assert "message_thread_id" not in answers(p, "in General")[0]
    assert "message_thread_id" not in answers(p, "a chain")[0]
    settled(p)
    assert len(p.sent()) == 3, p.texts()
    keys = sessions(g)
    for key in ("agent:main:telegram:group:-6:topic:5", "agent:main:telegram:group:-6:topic:1", "agent:main:telegram:group:-5"):
        assert key in keys, keys
    actions = [r["params"] for r in p.calls("sendChatAction") if r["params"]["chat_id"] == -6]
    assert {a.get("message_thread_id") for a in actions} <= {1, 5}, actions


def test_who_speaks(t):
    """A channel's post and an administrator without a name are the chat's own words; allow lists know it by its id."""
    g, p = setup(t, section={"groupPolicy": "allowlist", "groupAllowFrom": ["tg:-5", "-8"], "groups": {"*": {"requireMention": False}}})
    p.say("from the channel", {"id": -8, "type": "channel", "title": "News"})
    p.say("from nobody in particular", GROUP, sender_chat=GROUP, **{"from": {"id": 1087968824, "is_bot": True, "username": "GroupAnonymousBot"}})
    p.say("from Ada", GROUP, **{"from": ADA})
    assert answers(p, "from the channel")[0]["to"] == "-8"
    assert answers(p, "from nobody")[0]["to"] == "-5"
    settled(p)
    assert len(p.sent()) == 2, p.texts()


def test_buttons(t):
    """A press is answered at once and is a message; who may not write may not press either."""
    g, p = setup(t, section={"dmPolicy": "allowlist", "allowFrom": ["42"]})
    p.say("hello")
    shown = answers(p, "hello")[0]
    press = lambda number, who: p.order("update", bot=4242, update={"callback_query": {
        "id": number, "from": {"id": who, "first_name": "x"}, "chat_instance": "1", "data": "pressed " + number,
        "message": {k: v for k, v in shown.items() if k not in ("to", "key")}}})
    press("c1", 42)
    press("c2", 66)
    answers(p, "pressed c1")
    settled(p)
    until(lambda: len(p.calls("answerCallbackQuery")) == 2, "both were answered")
    assert not any("pressed c2" in x for x in p.texts()), p.texts()


def test_album(t):
    """Pictures that belong together are one message, with all their captions."""
    g, p = setup(t)
    for i in range(3):
        more = {"caption": "caption %d" % i} if i < 2 else {}
        p.order("say", bot=4242, chat={"id": 42}, media_group_id="album",
                file={"kind": "photo", "name": "a.png", "type": "image/png", "hex": "89504e470d0a1a0a"}, **{"from": {"id": 42}}, **more)
    both = answers(p, "caption 0")[0]
    assert "caption 1" in both["text"], both
    settled(p)
    p.say("afterwards")
    answers(p, "afterwards")
    assert len(p.sent()) == 2, p.texts()


def test_moved_group(t):
    """A group becomes a supergroup: answers go where it is now, in the same session, also after a restart."""
    g, p = setup(t, section={"groups": {"-5": {"requireMention": False}}})
    p.say("before", dict(GROUP, type="group"))
    answers(p, "before")
    p.order("migrate", bot=4242, chat=-5, to=-1005)
    settled(p)
    p.say("after", {"id": -1005, "type": "supergroup", "title": "The group"})
    assert answers(p, "after")[0]["to"] == "-1005"
    c = g.client()
    assert c.ask("send", {"to": "-5", "message": "to its old number", "idempotencyKey": "k"})["messageId"]
    assert answers(p, "to its old number")[0]["to"] == "-1005"
    g.stop()
    g.start()
    p.say("again", {"id": -1005, "type": "supergroup", "title": "The group"})
    assert answers(p, "again")[0]["to"] == "-1005"
    assert [k for k in sessions(g) if "telegram" in k] == ["agent:main:telegram:group:-5"], sessions(g)


def test_moved_group_is_learnt_by_an_answer(t):
    """Nobody has said it before: the platform refuses the message and says where the group is."""
    g, p = setup(t, section={"groups": {"*": {"requireMention": False}}})
    p.say("before", dict(GROUP, type="group"))
    answers(p, "before")
    settled(p)
    p.order("migrate", bot=4242, chat=-5, to=-1005, quiet=True)
    c = g.client()
    assert c.ask("send", {"to": "-5", "message": "where are you", "idempotencyKey": "k"})["messageId"]
    assert c.ask("send", {"to": "-5", "message": "there you are", "idempotencyKey": "k2"})["messageId"]
    assert [m["to"] for m in answers(p, "you")[-2:]] == ["-1005", "-1005"]
    refused = [r for r in p.calls("sendMessage") if r["status"] == 400]
    assert len(refused) == 1, "the second one knows: %r" % refused


def test_how_it_is_said(t):
    """Markdown becomes Telegram's HTML; what it refuses is said plainly; links show no preview when that is not wanted."""
    g, p = setup(t, section={"linkPreview": False})
    c = g.client()
    connected(c)
    send = lambda text, **more: c.ask("send", dict(to="42", message=text, idempotencyKey=text, channel="telegram", **more))
    send("**bold** & `x<y` [l](https://a.b)")
    shown = p.sent()[-1]
    assert shown["text"] == "bold & x<y l" and [e["type"] for e in shown["entities"]] == ["bold", "code", "text_link"], shown
    assert p.calls("sendMessage")[-1]["params"]["link_preview_options"] == {"is_disabled": True}
    p.fault("sendMessage", "parse")
    send("**plain** then")
    assert p.sent()[-1]["text"] == "plain then" and "entities" not in p.sent()[-1], p.sent()[-1]
    p.fault("sendMessage", "400", description="Bad Request: message thread not found")
    send("without its thread", threadId="5")
    assert p.sent()[-1]["text"] == "without its thread"
    p.say("in a topic", FORUM, message_thread_id=5, is_topic_message=True)
    p.fault("sendMessage", "400", description="Bad Request: message thread not found", chat=-6)
    e = c.refused("send", {"to": "-6", "message": "no such topic", "threadId": "9", "idempotencyKey": "z"})
    assert "message thread not found" in e.message, e
    e = c.refused("send", {"to": "somebody", "message": "to whom?", "idempotencyKey": "y"})
    assert "no chat" in e.message, e
    p.fault("sendMessage", "403")
    e = c.refused("send", {"to": "42", "message": "blocked", "idempotencyKey": "x"})
    assert "blocked by the user" in e.message, e


def test_poll(t):
    g, p = setup(t)
    c = g.client()
    connected(c)
    got = c.ask("poll", {"to": "42", "question": "which?", "options": ["a", "b"], "maxSelections": 2, "idempotencyKey": "k"})
    poll = p.sent()[-1]["poll"]
    assert got["messageId"] == str(p.sent()[-1]["message_id"])
    assert poll["question"] == "which?" and [o["text"] for o in poll["options"]] == ["a", "b"] and poll["allows_multiple_answers"], poll


def test_what_is_done_to_messages(t):
    """Edits, reactions and deletions: nothing new to edit and nothing left to delete is as good as done."""
    g, p = setup(t)
    c = g.client()
    connected(c)
    number = c.ask("send", {"to": "42", "message": "first **words**", "idempotencyKey": "s", "channel": "telegram"})["messageId"]
    keys = iter("abcdefghijkl")
    act = lambda action, **more: c.ask("message.action", {"channel": "telegram", "action": action, "idempotencyKey": next(keys),
                                                          "params": dict({"to": "42", "messageId": number}, **more)})
    refused = lambda action, **more: c.refused("message.action", {"channel": "telegram", "action": action, "idempotencyKey": next(keys),
                                                                  "params": dict({"to": "42", "messageId": number}, **more)})
    act("edit", message="other *words*")
    assert p.texts() == ["other words"], p.texts()
    act("edit", message="other *words*")
    act("react", emoji="\u2764\ufe0f")
    assert p.sent()[0]["reactions"] == {"4242": ["\u2764"]}, p.sent()
    e = refused("react", emoji="\U0001f996")
    assert "emoji" in e.message, e
    act("react", emoji="\u2764", remove=True)
    assert p.sent()[0]["reactions"] == {"4242": []}, p.sent()
    act("delete")
    act("delete")
    assert p.sent() == []
    e = refused("edit", message="too late")
    assert "not found" in e.message, e
    e = c.refused("message.action", {"channel": "telegram", "action": "delete", "idempotencyKey": "z",
                                     "params": {"to": "42", "messageId": "first"}})
    assert "number" in e.message, e


def test_answer_in_the_making(t):
    """Somebody types, then the answer grows in one message by edits; its end is the same message, with its marks."""
    g, p = setup(t, start=False)
    config = dict(g.config, channels={"telegram": p.section()})
    config["agents"]["defaults"]["model"]["primary"] = "mock/mock-1"
    g.write_config(config)
    g.start()
    connected(g.client())
    p.say("go on [fake ok chunks=12 at=6 gate=half text=%s]" % ("word_" * 12))
    until(lambda: p.sent(), "a preview", timeout=60)
    assert p.calls("sendChatAction"), "nobody typed"
    t.fake.gate("half")
    until(lambda: p.calls("editMessageText") and p.texts()[0].count("word") >= 12 and g.client().ask("deliveries.list", {})["open"] == 0,
          "its end", timeout=60, step=0.05)
    settled(p)
    assert len(p.sent()) == 1, p.texts()


NATIVE = ["help", "status", "stop", "new", "queue", "activation", "send"]


def test_menu(t):
    """The gateway's commands are in the menu, behind those of one's own."""
    g, p = setup(t, section={"customCommands": [{"command": "status", "description": "Mine"}]})
    until(lambda: p.state()["commands"], "the menu")
    (menu,) = p.state()["commands"].values()
    assert menu[0] == {"command": "status", "description": "Mine"}, menu
    assert [c["command"] for c in menu[1:]] == [c for c in NATIVE if c != "status"], menu
    assert [c["name"] for c in g.client().ask("commands.list", {})["commands"]] == NATIVE


def test_menu_of_ones_own(t):
    """Commands of one's own alone; those that Telegram would refuse do not spoil the others."""
    g, p = setup(t, section={"commands": {"native": False}, "customCommands": [{"command": "/deploy", "description": "Put it out"}, {"command": "Bad", "description": "x"},
                                                {"command": "ask", "description": "Ask"}]})
    until(lambda: p.state()["commands"], "the menu")
    assert list(p.state()["commands"].values()) == [[{"command": "deploy", "description": "Put it out"}, {"command": "ask", "description": "Ask"}]]
    g.wait_log(lambda l: l["event"] == "telegram.bad_command", "the log names the others")


def test_topic_of_a_direct_chat(t):
    """A topic with the bot is a session of its own, and answered there."""
    g, p = setup(t)
    p.say("in my topic", message_thread_id=5, is_topic_message=True)
    p.say("outside")
    answers(p, "in my topic")
    answers(p, "outside")
    keys = [k for k in sessions(g) if "telegram" in k]
    assert keys == ["agent:main:telegram:direct:42", "agent:main:telegram:direct:42:thread:42:5"], keys


def test_tokens_elsewhere(t):
    """The token is in a file, or in the environment; a file that is a link stops the account, not the gateway."""
    path = os.path.join(t.folder, "token")
    with open(path, "w", opener=lambda p, flags: os.open(p, flags, 0o600)) as f:
        f.write("4242:good-token_of-a-bot\n")
    os.symlink(path, path + "-link")
    g, p = setup(t, start=False)
    section = dict(g.config["channels"]["telegram"])
    del section["botToken"]
    for more, env in (({"tokenFile": path}, {}), ({}, {"TELEGRAM_BOT_TOKEN": p.token}), ({"tokenFile": path + "-link"}, {})):
        plain = type(g).env
        g.env = lambda: dict(plain(g), **env)
        g.write_config(dict(g.config, channels={"telegram": dict(section, **more)}))
        g.start()
        c = g.client()
        if "link" in more.get("tokenFile", ""):
            until(lambda: status_of(c), "the account is there")
            row = until(lambda: status_of(c)[("telegram", "default")].get("lastError") and status_of(c)[("telegram", "default")], "it says why")
            assert "tokenFile" in row["lastError"] and not row["connected"], row
        else:
            connected(c)
        g.stop()
    assert stat.S_ISLNK(os.lstat(path + "-link").st_mode)


def post(g, path, doc, secret=None, method="POST"):
    c = http.client.HTTPConnection("127.0.0.1", g.port, timeout=60)
    try:
        c.request(method, path, doc if isinstance(doc, str) else json.dumps(doc),
                  {"Content-Type": "application/json", **({"X-Telegram-Bot-Api-Secret-Token": secret} if secret else {})})
        r = c.getresponse()
        return r.status, r.read()
    finally:
        c.close()


def hooked(t, **section):
    g, p = setup(t, start=False)
    url = "http://127.0.0.1:%d/telegram-webhook" % g.port
    g.write_config(dict(g.config, channels={"telegram": p.section(webhookUrl=url, webhookSecret="s3cret-hook", **section)}))
    g.start()
    connected(g.client())
    return g, p


def test_webhook(t):
    """Updates come to the gateway's port; who has not the secret is sent away; nothing is polled."""
    g, p = hooked(t)
    assert p.state()["webhook"]["secret_token"] == "s3cret-hook"
    p.say("by hook")
    answers(p, "by hook")
    settled(p)
    forged = {"update_id": 1, "message": {"message_id": 9, "from": ADA, "chat": {"id": 7, "type": "private"}, "text": "forged words"}}
    for secret in (None, "", "s3cret-hoo", "s3cret-hooK", "s3cret-hook2"):
        assert post(g, "/telegram-webhook", forged, secret)[0] == 401, secret
        assert post(g, "/webhooks/telegram/default", forged, secret)[0] == 401, secret
    assert post(g, "/telegram-webhook", "{half", "s3cret-hook")[0] == 400
    assert post(g, "/telegram-webhook", "[]", "s3cret-hook")[0] == 400
    assert post(g, "/telegram-webhook", forged, "s3cret-hook", "PUT")[0] == 405
    assert post(g, "/webhooks/telegram/default/healthz", "", None, "GET") == (200, b"ok")
    assert not p.calls("getUpdates")
    assert len(p.sent()) == 1, p.texts()


def test_webhook_while_the_hub_dies(t):
    """200 means that it is on disk: what was not is brought again; each is answered once, or it is said of which nobody knows."""
    g, p = hooked(t)
    for i in range(20):
        p.say("hook %d." % i, 100 + i)
        if i in (5, 12):
            g.kill("hub")
    c = g.client_soon()

    def told(i):
        shown = sum("hook %d." % i in x for x in p.texts())
        rows = c.ask("deliveries.list", {"state": "unknown"})["deliveries"]
        return shown or any("hook %d." % i in c.ask("deliveries.get", {"id": d["id"]})["texts"][0] for d in rows)
    settled(p)
    until(lambda: c.ask("deliveries.list", {})["open"] == 0 and all(told(i) for i in range(20)), "20 answers", timeout=60, step=0.1)
    until(lambda: all("hook" in x for x in p.texts()), "previews whose hub died are removed")
    assert all(told(i) == 1 for i in range(20)), [(i, told(i)) for i in range(20)]


def test_webhook_needs_a_secret(t):
    """Blank is no secret: the account does not start, and says what to do."""
    g, p = setup(t, start=False)
    for secret in ({}, {"webhookSecret": ""}, {"webhookSecret": "  "}, {"webhookSecret": "no blanks here"}):
        g.write_config(dict(g.config, channels={"telegram": p.section(webhookUrl="https://example.org/telegram-webhook", **secret)}))
        g.start()
        c = g.client()
        row = until(lambda: status_of(c).get(("telegram", "default"), {}).get("lastError") and status_of(c)[("telegram", "default")], "it says why")
        assert "webhookSecret" in row["lastError"], row
        g.stop()
    assert not p.calls("setWebhook")
