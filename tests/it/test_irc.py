"""The IRC channel against tests/fake/irc.py, which misbehaves on order, and against a real server (ngircd)."""
import os
import subprocess
import tempfile

import irc_servers
from gateway import config_for, until
from irc_servers import Person
from platforms import Irc
from test_channels import FAST


def setup(t, *argv, start=True, **section):
    p = Irc(t.folder, *argv)
    return gateway(t, p, start, **section), p


def gateway(t, p, start=True, **section):
    config = config_for(t.fake.url)
    config["agents"]["defaults"]["model"]["primary"] = "demo/demo-1"
    config["channels"] = {"irc": p.section(**section)}
    config["delivery"] = FAST
    g = t.new_gateway(config)
    if start:
        g.start()
    return g


def said(p, text):
    return lambda: [m for m in p.sent() if text in m["text"]]


def test_direct_message(t):
    g, p = setup(t)
    p.write("1", "hello you", to="ada")
    answer = until(said(p, "hello you"), "the answer is there")[0]
    assert answer["to"] == "ada", answer


def test_room_only_when_named(t):
    """Nobody has named the bot, then somebody does; what was said before is context, and answered once."""
    g, p = setup(t)
    p.write("1", "nothing for you", to="ada", group="#room")
    p.write("2", "bot: hello room", to="bea", group="#room")
    answer = until(said(p, "hello room"), "the answer is there")[0]
    assert answer["to"] == "#room", answer
    assert len(said(p, "You wrote")()) == 1, p.sent()


def test_names_of_rooms_and_nicks_know_no_case(t):
    g, p = setup(t)
    p.write("1", "BOT, hello case", to="ada", group="#ROOM")
    until(said(p, "hello case"), "the answer is there")


def test_own_words_and_notices_are_not_answered(t):
    g, p = setup(t)
    until(p.there, "the bot is in the room")
    p.order("raw", line=":bot!~openclaw@client.fake PRIVMSG #room :bot: an echo of ours")
    p.order("raw", line=":ada!u@h NOTICE bot :a notice")
    p.order("raw", line=":irc.fake PRIVMSG bot :the server itself")
    p.order("raw", line=":ada!u@h PRIVMSG bot :\x01VERSION\x01")
    p.write("9", "after them")
    until(said(p, "after them"), "the answer is there")
    assert len(said(p, "You wrote")()) == 1, p.sent()


def test_action_is_text(t):
    g, p = setup(t)
    until(p.there, "the bot is in the room")
    p.order("raw", line=":ada!u@h PRIVMSG bot :\x01ACTION waves at you\x01")
    until(said(p, "waves at you"), "the answer is there")


def test_long_text_is_cut_at_spaces(t):
    """No line over 512 bytes with what the server puts before it, no word broken, nothing missing."""
    g, p = setup(t)
    words = " ".join("wörd%03d" % i for i in range(400))
    c = g.client()
    until(p.there, "the bot is in the room")
    c.ask("send", {"channel": "irc", "to": "#room", "message": words, "idempotencyKey": "long"})
    until(lambda: "wörd399" in " ".join(p.texts()), "all of it was said")
    assert " ".join(p.texts()) == words, p.texts()
    for m in p.sent():
        assert len((":bot!~openclaw@client.fake PRIVMSG #room :%s\r\n" % m["text"]).encode()) <= 512


def test_nothing_can_be_smuggled_into_a_line(t):
    g, p = setup(t)
    c = g.client()
    until(p.there, "the bot is in the room")
    c.ask("send", {"channel": "irc", "to": "#room", "message": "one\r\nQUIT :gone\r\nPRIVMSG #other :two\x00three", "idempotencyKey": "a"})
    until(said(p, "three"), "it was said")
    assert not p.calls("QUIT"), p.calls("QUIT")
    assert {m["to"] for m in p.sent()} == {"#room"}, p.sent()
    r = c.refused("send", {"channel": "irc", "to": "#a,#b", "message": "x", "idempotencyKey": "b"})
    assert r, r


def test_refused_target_is_told(t):
    g, p = setup(t)
    c = g.client()
    until(p.there, "the bot is in the room")
    p.fault("PRIVMSG", "numeric", code=401, text="No such nick/channel")
    r = c.refused("send", {"channel": "irc", "to": "nobody", "message": "x", "idempotencyKey": "a"})
    assert "No such nick" in str(r), r


def test_sent_means_that_the_server_has_it(t):
    """The server takes nothing for a while: the answer to send waits for its word."""
    g, p = setup(t)
    c = g.client()
    until(p.there, "the bot is in the room")
    p.fault("PING", "mute")
    request = c.start("send", {"channel": "irc", "to": "#room", "message": "is it there", "idempotencyKey": "a"})
    until(lambda: p.calls("PRIVMSG"), "it was said")
    c.ask("send", {"channel": "irc", "to": "ada", "message": "a later one", "idempotencyKey": "b"})  # whose mark covers both
    assert c.answer(request)["ok"]


def test_lost_after_it_was_taken_is_not_said_again(t):
    """The connection ends between message and receipt: nobody knows, so it is not repeated by itself."""
    g, p = setup(t)
    c = g.client()
    until(p.there, "the bot is in the room")
    p.fault("PRIVMSG", "lost")
    r = c.refused("send", {"channel": "irc", "to": "#room", "message": "once only", "idempotencyKey": "a"})
    assert "not known" in str(r), r
    p.write("2", "still there")
    until(said(p, "still there"), "the bot is back")
    assert p.texts().count("once only") == 1, p.texts()


def test_nick_is_taken_and_claimed_back(t):
    p = Irc(t.folder)
    p.order("hold", nick="bot")
    g = gateway(t, p)
    until(lambda: p.there("bot_"), "there under another name")
    p.write("1", "bot_: hello other name", group="#room", bot="bot_")
    until(said(p, "hello other name"), "named by the other name")
    p.order("hold", nick="bot", free=True)
    p.order("raw", line=":bot!x@y QUIT :gone")
    until(p.there, "our own name again", timeout=120)


def test_kicked_and_back(t):
    g, p = setup(t)
    until(p.there, "the bot is in the room")
    p.order("kick", room="#room", nick="bot")
    until(lambda: not p.there(), "it is out")
    until(p.there, "it is back", timeout=120)


def test_server_gone_and_back(t):
    g, p = setup(t)
    until(p.there, "the bot is in the room")
    p.order("kill", nick="bot")
    until(lambda: len(p.calls("connect")) >= 2 and p.there(), "it is back", timeout=120)
    p.write("2", "again here")
    until(said(p, "again here"), "the answer is there")


def test_bytes_one_by_one(t):
    p = Irc(t.folder)
    p.fault("connect", "split")
    g = gateway(t, p)
    p.write("1", "bit by bit é")
    until(said(p, "bit by bit é"), "the answer is there")


def test_sasl(t):
    g, p = setup(t, "--accounts", "acc:s3cret pass", sasl={"username": "acc", "password": "s3cret pass"})
    until(p.there, "the bot is in the room")
    assert p.order("who")["bot"]["account"] == "acc", p.order("who")


def status_of(g):
    c = g.client()
    try:
        return c.ask("channels.status", {})
    finally:
        c.close()


def test_wrong_sasl_password_stays_out(t):
    """Required, and refused: it says so and does not try for ever."""
    g, p = setup(t, "--accounts", "acc:right", sasl={"username": "acc", "password": "wrong"})
    until(lambda: p.calls("AUTHENTICATE"), "it was tried")
    g.wait_log(lambda l: "refused the account" in str(l), "the log says why")
    assert not p.calls("JOIN") and len(p.calls("connect")) == 1, p.order("log")


def test_old_server_without_caps(t):
    g, p = setup(t, "--caps", "")
    p.write("1", "old times")
    until(said(p, "old times"), "the answer is there")


def test_nickserv_hears_the_password_and_the_log_does_not(t):
    g, p = setup(t, nickserv={"password": "pl4nted-nickserv-secret"})
    until(p.there, "the bot is in the room")
    until(lambda: any("IDENTIFY pl4nted-nickserv-secret" in str(r["params"]) for r in p.calls("PRIVMSG")), "identified")
    g.stop()
    assert "pl4nted" not in open(os.path.join(g.folder, "log")).read() if os.path.exists(os.path.join(g.folder, "log")) else True


def test_only_full_masks_are_let_in(t):
    """A nick is anybody's: only the whole mask counts, and an account's name that the server vouches for."""
    g, p = setup(t, dmPolicy="allowlist", allowFrom=["ada!u@host.example", "bea"])
    p.write("1", "from bea's nick", to="bea")
    p.write("2", "from ada", to="ada")
    until(said(p, "from ada"), "ada is answered")
    assert not said(p, "from bea")(), p.sent()


def test_tls_is_verified(t):
    """A certificate that nobody vouches for is refused; the same one, named in the configuration, is taken."""
    folder = tempfile.mkdtemp(dir=t.folder)
    for path in (os.path.dirname(t.folder), t.folder, folder):  # where the uid of channels can read it; it may be /tmp
        os.chmod(path, os.stat(path).st_mode | 0o011)
    cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                    "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", key, "-out", cert],
                   check=True, capture_output=True)
    g, p = setup(t, "--tls", cert, key, tls=True)
    g.wait_log(lambda l: "certificate" in str(l), "it says why")
    assert not p.calls("NICK"), p.order("log")
    g2 = gateway(t, p, tls=True, tlsCaFile=cert)
    p.write("1", "in secret")
    until(said(p, "in secret"), "the answer is there")


def test_flood_control(t):
    """Forty lines at once: the first leave at once, the others no faster than allowed; all of them arrive, in order."""
    g, p = setup(t, flood={"burst": 5, "everyMs": 20})
    c = g.client()
    until(p.there, "the bot is in the room")
    lines = ["line %02d" % i for i in range(40)]
    c.ask("send", {"channel": "irc", "to": "#room", "message": "\n".join(lines), "idempotencyKey": "a"})
    until(lambda: len(p.sent()) >= 40, "all were said")
    assert p.texts() == lines, p.texts()
    times = [m["t_ms"] for m in p.sent()]
    assert times[-1] - times[0] >= 30 * 20, times


def test_real_server(t):
    """ngircd: a direct message, a room, a long answer, another nick while ours is taken."""
    server = irc_servers.ngircd(t)
    try:
        squatter = Person(server.port, "bot")
        config = config_for(t.fake.url)
        config["agents"]["defaults"]["model"]["primary"] = "demo/demo-1"
        config["channels"] = {"irc": {"host": "127.0.0.1", "port": server.port, "tls": False, "nick": "bot", "channels": ["#room"],
                                      "flood": {"burst": 100, "everyMs": 10}, "dmPolicy": "open", "allowFrom": ["*"], "groupPolicy": "open"}}
        g = t.new_gateway(config)
        ada = Person(server.port, "ada")
        ada.say("JOIN #room")
        ada.wait(" 366 ")
        g.start()
        ada.wait(r"^:bot_!.* JOIN :?#room")
        ada.say("PRIVMSG bot_ :hello real server")
        ada.wait(r"^:bot_!.* PRIVMSG ada :.*hello real server")
        ada.say("PRIVMSG #room :bot_: and the room")
        ada.wait(r"^:bot_!.* PRIVMSG #room :.*and the room")
        squatter.say("JOIN #room")
        squatter.wait(" 366 ")
        squatter.say("QUIT")
        ada.wait(r"^:bot_!.* NICK :?bot$")
        c = g.client()
        words = " ".join("word%03d" % i for i in range(150))
        c.ask("send", {"channel": "irc", "to": "#room", "message": words, "idempotencyKey": "long"}, timeout=120)
        heard = ""
        while "word149" not in heard:
            heard += " " + ada.wait(r"^:bot!.* PRIVMSG #room :").split(" :", 1)[1]
        assert heard.split()[-150:] == words.split(), heard
    finally:
        server.close()


def test_real_accounts(t):
    """inspircd and atheme: an account is registered, the bot logs in with SASL and is known by it."""
    server = irc_servers.inspircd(t)
    try:
        owner = Person(server.port, "acc")
        owner.say("PRIVMSG NickServ :REGISTER pass-word a@b.cd")
        owner.wait(r" 900 | NOTICE acc :.*registered")
        config = config_for(t.fake.url)
        config["agents"]["defaults"]["model"]["primary"] = "demo/demo-1"
        config["channels"] = {"irc": {"host": "127.0.0.1", "port": server.port, "tls": False, "nick": "bot", "channels": ["#room"],
                                      "flood": {"burst": 100, "everyMs": 10}, "dmPolicy": "allowlist", "allowFrom": ["acc"],
                                      "groupPolicy": "open", "sasl": {"username": "acc", "password": "pass-word"}}}
        g = t.new_gateway(config)
        owner.say("JOIN #room")
        owner.wait(" 366 ")
        g.start()
        owner.wait(r"^:bot!.* JOIN :?#room")
        owner.say("WHOIS bot")
        assert " acc " in owner.wait(r" 330 "), "logged in as the account"
        stranger = Person(server.port, "stranger")
        stranger.say("PRIVMSG bot :let me in")
        owner.say("PRIVMSG bot :hello account")  # account-tag says who it is, whatever the mask
        owner.wait(r"^:bot!.* PRIVMSG acc :.*hello account")
        stranger.say("JOIN #room")
        stranger.wait(" 366 ")
        stranger.say("PRIVMSG #room :bot: hello room")
        heard = stranger.wait(r"^:bot!.* PRIVMSG (stranger|#room) :.*(let me in|hello room)")
        assert "hello room" in heard, heard
    finally:
        server.close()
