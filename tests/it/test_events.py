"""What people do beside writing: reactions and edits are told to the agent with the next message, and wake nobody."""
import socket
import threading

from gateway import until
from test_channels import connected, setup
from test_telegram import answers, settled
from test_telegram import setup as telegram


def react(p, chat, number, emoji="\U0001f44d", who=None, **more):
    p.order("update", bot=4242, update={"message_reaction": dict({
        "chat": chat, "message_id": number, "date": 1, "user": who or {"id": 42, "first_name": "person 42", "is_bot": False},
        "old_reaction": [], "new_reaction": [{"type": "emoji", "emoji": emoji}]}, **more)})


def start(t, **section):
    g, p = telegram(t, start=False, section=section)
    g.config["agents"]["defaults"]["model"]["primary"] = "mock/mock-1"
    g.write_config(g.config)
    g.start()
    c = g.client()
    connected(c)
    return g, p, c


def told(c, words):
    """What the agent is told behind the message before, up to the one with these words."""
    def there():
        key = c.ask("sessions.list", {})["sessions"][0]["key"]
        got = [(m["role"], str(m["content"])) for m in c.ask("chat.history", {"sessionKey": key})["messages"]]
        at = [i for i, (role, text) in enumerate(got) if role == "user" and words in text]
        return (got, at[0]) if at else None
    got, at = until(there, "the message is in the transcript")
    first = max([i for i in range(at) if got[i][0] == "assistant"], default=-1)
    return "\n".join(text for _, text in got[first + 1:at + 1])


def modes(fn):
    fn.params = [("own", True, False), ("all", True, True), ("off", False, False)]
    return fn


@modes
def test_reactions(t, mode, on_ours, on_theirs):
    """own: on messages of the bot; all; off. They wake nobody, survive the hub's death, and are told once."""
    g, p, c = start(t, reactionNotifications=mode)
    chat = {"id": 42, "type": "private"}
    theirs = p.say("hello [fake ok chunks=2 text=w]")["message"]["message_id"]
    ours = answers(p, "w1")[0]["message_id"]
    react(p, chat, ours, "\U0001f44d")
    react(p, chat, theirs, "\U0001f525")
    settled(p)
    g.kill("hub")
    p.say("second [fake ok chunks=2 text=v]")
    answers(p, "v1")
    c = g.client()
    said = told(c, "second")
    assert ("System: Telegram reaction added: \U0001f44d by person 42 on msg %d" % ours in said) == on_ours, said
    assert ("\U0001f525" in said) == on_theirs, said
    p.say("third [fake ok chunks=2 text=x]")
    answers(p, "x1")
    assert "reaction" not in told(c, "third") and len(p.sent()) == 3


def test_edits(t):
    """A message that is changed is no new message; what it says now is told with the next one."""
    g, p, c = start(t)
    first = p.say("meet at five [fake ok chunks=2 text=w]")["message"]
    answers(p, "w1")
    p.order("update", bot=4242, update={"edited_message": dict(first, edit_date=99, text="meet at\nsix")})
    settled(p)
    p.say("second [fake ok chunks=2 text=v]")
    answers(p, "v1")
    c = g.client()
    said = told(c, "second")
    assert "Telegram message edited by person 42 on msg %d: meet at six" % first["message_id"] in said, said
    assert len(p.sent()) == 2


def test_strangers(t):
    """Who may not write is not heard, and gets no code for a reaction."""
    g, p, c = start(t, dmPolicy="pairing", allowFrom=["42"], reactionNotifications="all")
    react(p, {"id": 66, "type": "private"}, 5, who={"id": 66, "first_name": "x", "is_bot": False})
    settled(p)
    p.say("hello [fake ok chunks=2 text=w]")
    answers(p, "w1")
    assert "reaction" not in told(c, "hello") and len(p.sent()) == 1
    assert c.ask("channels.pairing.list", {})["requests"] == []


def test_program(t):
    """A program tells events in the same way."""
    g, p = setup(t, "external", start=False)
    g.config["agents"]["defaults"]["model"]["primary"] = "mock/mock-1"
    g.write_config(g.config)
    g.start()
    c = g.client()
    connected(c)
    p.write("e1", "somebody waved", event=True)
    until(lambda: p.acked() == ["e1"], "it was taken")
    p.write("u1", "hello [fake ok chunks=2 text=w]")
    until(lambda: any("w1" in x for x in p.texts()), "an answer")
    assert "System: somebody waved" in told(c, "hello") and len(p.sent()) == 1


class Socks:
    """A SOCKS5 proxy that counts; it lets nobody in who does not know the password."""

    def __init__(self):
        self.asked, self.socket = [], socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen(16)
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            conn, _ = self.socket.accept()
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn):
        read = lambda n: conn.recv(n, socket.MSG_WAITALL)
        methods = read(read(2)[1])
        if 2 not in methods:
            return conn.close()
        conn.sendall(b"\x05\x02")
        user = read(read(2)[1])
        secret = read(read(1)[0])
        conn.sendall(b"\x01" + (b"\x00" if (user, secret) == (b"me", b"pass") else b"\x01"))
        kind = read(4)[3]
        host = socket.inet_ntoa(read(4)) if kind == 1 else read(read(1)[0]).decode()
        port = int.from_bytes(read(2), "big")
        self.asked.append((host, port))
        far = socket.create_connection((host, port))
        conn.sendall(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
        for a, b in ((conn, far), (far, conn)):
            threading.Thread(target=self._pump, args=(a, b), daemon=True).start()

    @staticmethod
    def _pump(a, b):
        try:
            while data := a.recv(65536):
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def test_proxy(t):
    """Every call goes through the proxy, and the sandbox lets the account reach nothing else; a bad one is said."""
    s = Socks()
    g, p = telegram(t, section={"proxy": "socks5h://me:pass@127.0.0.1:%d" % s.port})
    p.say("hello there")
    answers(p, "hello there")
    assert s.asked and set(s.asked) == {("127.0.0.1", p.port)}, s.asked
    g, p = telegram(t, section={"proxy": "ftp://127.0.0.1"})
    g.wait_log(lambda l: l["event"] == "channel.stopped" and "proxy" in l["why"], "it says what is wrong")
