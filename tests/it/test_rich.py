"""Buttons, polls and what else goes with a message, over every platform: the client's words, the queue, the channel, the platform."""
import json

from gateway import until
from test_channels import connected, ctl, each, kill, setup

BLOCKS = {"title": "Deploy", "blocks": [
    {"type": "text", "text": "Ready?"},
    {"type": "buttons", "buttons": [{"label": "Yes", "action": {"type": "callback", "value": "go"}},
                                    {"label": "More", "action": {"type": "url", "url": "https://example.com/x"}}]}]}


def keys():
    for i in range(10000):
        yield "k%d" % i


def act(c, p, action, key, to="42", **params):
    return c.ask("message.action", {"channel": p.channel(), "action": action, "idempotencyKey": key, "params": dict(params, to=to)})


def whole(p):
    """What the platform shows: IRC has a message for each line."""
    return "\n".join(p.texts())


@each
def test_presentation(t, name):
    """Words of a presentation are text everywhere; buttons are buttons, or lines of text where there are none."""
    g, p = setup(t, name)
    c = g.client()
    connected(c)
    got = act(c, p, "send", "a", message="Hello", presentation=BLOCKS)
    assert got["ok"] and got["to"] == "42", got
    assert act(c, p, "send", "a", message="Hello", presentation=BLOCKS) == got  # the same key is the same message
    text = whole(p)
    for word in ("Hello", "Deploy", "Ready?"):
        assert text.count(word) == 1, text
    if name.startswith("telegram"):
        assert p.sent()[0]["reply_markup"] == {"inline_keyboard": [[
            {"text": "Yes", "callback_data": "go"}, {"text": "More", "url": "https://example.com/x"}]]}, p.sent()
        assert "Yes" not in text
    else:
        assert "Yes" in text and "https://example.com/x" in text, text
    e = c.refused("message.action", {"channel": p.channel(), "action": "send", "idempotencyKey": "b",
                                     "params": {"to": "42", "message": "x", "buttons": [[{"text": "A"}]]}})
    assert e.code == "INVALID_REQUEST" and "button A" in e.message, e


@each
def test_polls(t, name):
    """A poll, or its question and options as a numbered list; by the method, by the action, by openclawctl."""
    g, p = setup(t, name)
    c = g.client()
    connected(c)
    got = c.ask("poll", {"to": "42", "question": "which one?", "options": ["left", "right"], "channel": p.channel(), "idempotencyKey": "a"})
    assert got["channel"] == p.channel(), got
    act(c, p, "poll", "b", pollQuestion="when?", pollOption=["now", "later", "never"], pollMulti=True, pollDurationSeconds="300",
        pollPublic=True)
    out = ctl(g, "message", "poll", "--channel", p.channel(), "--target", "42", "--poll-question", "who?", "--poll-option", "me",
              "--poll-option", "you")
    assert out.returncode == 0 and out.stdout.startswith("done"), (out.stdout, out.stderr)
    if name.startswith("telegram"):
        polls = [r["params"] for r in p.calls("sendPoll")]
        assert [x["question"] for x in polls] == ["which one?", "when?", "who?"], polls
        assert polls[1]["open_period"] == 300 and polls[1]["allows_multiple_answers"] and not polls[1]["is_anonymous"], polls
    else:
        text = whole(p)
        for line in ("which one?", "1. left", "2. right", "when?", "3. never", "who?", "2. you"):
            assert line in text, (line, text)
    for bad in ({"question": "x", "options": ["one"]}, {"question": "", "options": ["a", "b"]}, {"question": "x", "options": ["a", ""]}):
        e = c.refused("poll", dict(bad, to="42", channel=p.channel(), idempotencyKey="c"))
        assert e.code == "INVALID_REQUEST", e


def test_native(t):
    """A program that has buttons and polls of its own gets them as they are."""
    g, p = setup(t, "external", can=["polls", "buttons", "edit"])
    c = g.client()
    connected(c)
    act(c, p, "send", "a", message="pick", buttons=[[{"text": "A", "value": "1"}, {"text": "B", "callback_data": "2"}]],
        channelData={"mood": "blue"})
    sent = p.sent()[0]
    assert sent["text"] == "pick" and sent["extra"] == {
        "buttons": [[{"text": "A", "value": "1"}, {"text": "B", "value": "2"}]], "channelData": {"mood": "blue"}}, sent


def test_buttons_survive(t):
    """The channel dies while it sends: what was said with buttons is said again with them, or listed as unknown; never twice."""
    g, p = setup(t, "telegram")
    c = g.client()
    connected(c)
    p.fail(transient=2)
    act_key = {"channel": "telegram", "action": "send", "idempotencyKey": "a",
               "params": {"to": "42", "message": "choose", "buttons": [[{"text": "A", "value": "1"}]]}}
    try:
        c.ask("message.action", act_key)
    except Exception as e:  # it is queued for another attempt
        assert "OUTBOUND_DELIVERY_QUEUED" in json.dumps(getattr(e, "details", None) or str(e)) or "500" in str(e), e
    kill(c)
    g.kill("hub")
    until(lambda: [m for m in p.sent() if m.get("reply_markup")], "it is there with its button", timeout=60)
    connected(c)
    assert len(p.sent()) == 1, p.sent()


def test_edit_buttons(t):
    """An edit can have buttons, and can be only of them."""
    g, p = setup(t, "telegram")
    c = g.client()
    connected(c)
    number = act(c, p, "send", "a", message="first")["messageId"]
    act(c, p, "edit", "b", messageId=number, message="second", buttons=[[{"text": "A", "value": "1"}]])
    assert p.sent()[0]["text"] == "second" and p.sent()[0]["reply_markup"]["inline_keyboard"][0][0]["callback_data"] == "1", p.sent()
    act(c, p, "edit", "c", messageId=number, buttons=[[{"text": "B", "value": "2"}]])
    assert p.sent()[0]["text"] == "second" and p.sent()[0]["reply_markup"]["inline_keyboard"][0][0]["text"] == "B", p.sent()


def test_message_command(t):
    """openclawctl message: send with buttons, react, edit, delete; without a channel it takes the only one."""
    g, p = setup(t, "telegram")
    c = g.client()
    connected(c)
    out = ctl(g, "--json", "message", "send", "--target", "42", "--message", "hello", "--buttons", '[[{"text":"A","value":"1"}]]')
    number = json.loads(out.stdout)["messageId"]
    assert p.sent()[0]["reply_markup"], p.sent()
    for words in (["react", "--message-id", number, "--emoji", "\U0001f44d"], ["edit", "--message-id", number, "--message", "bye"],
                  ["delete", "--message-id", number]):
        out = ctl(g, "message", words[0], "--target", "42", *words[1:])
        assert out.returncode == 0, (words, out.stderr)
    assert p.sent() == [], p.sent()
    assert ctl(g, "message", "send", "--message", "nowhere").returncode == 2
    assert ctl(g, "message", "shout", "--target", "42").returncode == 2
    assert ctl(g, "message", "send", "--target", "42", "--buttons", "no JSON").returncode == 2


@each
def test_actions_switched_off(t, name):
    """What actions.* forbids clients is refused with the key's name; answers of the agent go on."""
    g, p = setup(t, name, section={"actions": {"sendMessage": False, "messages": False}})
    c = g.client()
    connected(c)
    for n, (method, params) in enumerate([("send", {"message": "by hand"}), ("poll", {"question": "x?", "options": ["a", "b"]})]):
        e = c.refused(method, dict(params, to="42", channel=p.channel(), idempotencyKey="k%d" % n))
        assert "actions.sendMessage" in e.message, e
    p.write("u1", "hello there")
    until(lambda: any("hello there" in x for x in p.texts()), "an answer")


@each
def test_prefix_template(t, name):
    """Braces of responsePrefix, here of messages, are what answered; auto is the agent's name; an account's own goes before."""
    g, p = setup(t, name, start=False)
    g.config["messages"]["responsePrefix"] = "[{model}, {identity.name}]"
    g.config["agents"]["list"] = [{"id": "main", "default": True, "identity": {"name": "Ada"}}]
    g.write_config(g.config)
    g.start()
    c = g.client()
    connected(c)
    p.write("u1", "hello there")
    until(lambda: any("hello there" in x for x in p.texts()), "an answer")
    until(lambda: c.ask("deliveries.list", {})["open"] == 0, "nothing is left to be sent")
    assert p.texts()[0].startswith("[demo-1, Ada] "), p.texts()
    c.close()
    g.config["channels"][p.channel()]["responsePrefix"] = "auto"
    g.write_config(g.config)
    until(lambda: len([l for l in g.lines if l["event"] == "channel.up"]) == 2, "the account is connected with its new section")
    p.write("u2", "once more")
    until(lambda: any("once more" in x for x in p.texts()), "an answer")
    assert any(x.startswith("[Ada] ") for x in p.texts()), p.texts()


def policies(fn):
    fn.params = [("always", 3), ("once", 1), ("silent", 0)]
    return fn


@policies
def test_error_policy(t, policy, times):
    """How often a sentence that only says what went wrong is said: always, once in a while, never."""
    g, p = setup(t, "external", start=False, section={"errorPolicy": policy})
    g.config["agents"]["defaults"]["model"]["primary"] = "mock/mock-1"
    g.write_config(g.config)
    g.start()
    c = g.client()
    connected(c)
    for i in range(3):
        p.write("u%d" % i, "fail %d [fake 401]" % i)
        until(lambda: len(p.acked()) == i + 1, "it was taken")
        t.fake.wait("fail %d" % i, "done")
    p.write("u9", "say it [fake ok chunks=2]")
    until(lambda: any("word1" in x for x in p.texts()), "an answer")
    until(lambda: c.ask("deliveries.list", {})["open"] == 0, "nothing is left to be sent")
    assert len(p.texts()) == times + 1, p.texts()


def test_config_check(t):
    """openclawctl config check names slips and keys without effect of a channel's section; the gateway starts all the same."""
    g, p = setup(t, "telegram", section={"linkPreveiw": True, "webhookPort": 8787, "richMessages": True})
    out = ctl(g, "--config", g.config_path, "config", "check")
    for words in ("channels.telegram.linkPreveiw", "did you mean linkPreview", "channels.telegram.webhookPort", "without effect", "richMessages"):
        assert words in out.stdout + out.stderr, (words, out.stdout, out.stderr)
    connected(g.client())
