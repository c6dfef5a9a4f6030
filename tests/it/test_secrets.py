"""Where planted secrets are found: memory, environment and arguments of each process, log, state folder, answers.

A canary is long: free() overwrites the beginning of what it takes back, so its second half is looked for.
"""
import base64
import concurrent.futures
import json
import os
import secrets

from client import Client, Refused
from gateway import children_of, class_of, config_for, until
from test_cage import is_test_build
from test_delivery import FAST, Platform, send
from test_identity import Device
from test_tls import context, dial
from ws import Closed, Timeout

CHUNK = 4 * 1024 * 1024
SOON = 5  # seconds within which what is no longer needed is gone


class Canaries:
    def __init__(self):
        self.texts = {}

    def new(self, name):
        self.texts[name] = "%s-%s" % (name, secrets.token_hex(32))
        return self.texts[name]

    def needles(self):
        return [(name, text.encode()[-32:]) for name, text in self.texts.items()]


def regions_of(pid):
    with open("/proc/%d/maps" % pid) as f:
        for line in f:
            parts = line.split(None, 5)
            if parts[1][0] == "r" and "[v" not in line:  # not what the kernel shares with everybody
                low, high = (int(x, 16) for x in parts[0].split("-"))
                yield low, high, parts[5].strip() if len(parts) > 5 else "anonymous"


def memory_of(pid):
    """(where, bytes) of all that can be read; pieces overlap by more than a canary."""
    with open("/proc/%d/mem" % pid, "rb", 0) as f:
        for low, high, name in regions_of(pid):
            for at in range(low, high, CHUNK):
                try:
                    f.seek(at)
                    yield "%s %x" % (name, at), f.read(min(CHUNK + 64, high - at))
                except (OSError, ValueError):
                    pass  # a hole of a mapped file, or gone since


def found_in(pieces, needles):
    """{canary: where it was first}, with what is around it."""
    found = {}
    for where, data in pieces:
        for name, needle in needles:
            at = data.find(needle)
            if at >= 0:
                found.setdefault(name, "%s: %r" % (where, data[max(0, at - 80):at + 48]))
    return found


def files_below(folder):
    for top, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(top, name)
            if os.path.isfile(path) and not os.path.islink(path):
                with open(path, "rb") as f:
                    yield path, f.read()


def small_files(pid):
    for name in ("environ", "cmdline", "status", "comm"):
        with open("/proc/%d/%s" % (pid, name), "rb") as f:
            yield name, f.read()


def fleet_of(g):
    out = {pid: class_of(pid) or "?" for pid in children_of(g.pid)}
    out[g.pid] = "supervisor"
    return out


def may_look(g):
    """Whether memory can be read here; says why not."""
    if is_test_build(g):  # and has terabytes to read
        print("skipped: a sanitizer keeps what is freed")
        return False
    try:
        size = sum(len(data) for _, data in memory_of(g.worker("front")))
    except OSError as e:
        print("skipped: /proc/PID/mem is not readable: %s" % e)
        return False
    assert size > 100000, "read %d bytes of the front" % size
    return True


def check_memory(g, canaries, allowed, timeout=SOON):
    """Each canary only in the classes that may hold it. What passed through is gone after a moment."""
    needles = canaries.needles()
    wrong = {}

    def clean():
        wrong.clear()
        for pid, kind in fleet_of(g).items():
            try:
                found = found_in(memory_of(pid), needles)
            except OSError:
                continue  # it has ended
            for name, where in found.items():
                if kind not in allowed.get(name, ()):
                    wrong["%s in %s %d" % (name, kind, pid)] = where
        return not wrong
    try:
        until(clean, "no process holds what it may not", timeout, 0.2)
    except Timeout:
        pass
    assert not wrong, "found:\n" + "\n".join("%s: %s" % w for w in sorted(wrong.items()))


def check_written(g, canaries, clients=(), allowed=()):
    """Nothing in log, state folder, arguments, environment (but the supervisor's own), answers."""
    needles = canaries.needles()
    found = found_in([("log", "\n".join(g.raw).encode())], needles)
    found.update(found_in((p for p in files_below(g.state_dir) if not p[0].endswith("gateway.token")), needles))
    for pid, kind in fleet_of(g).items():
        if kind == "supervisor":
            found.update(found_in([p for p in small_files(pid) if p[0] != "environ"], needles))
        else:
            found.update(found_in(small_files(pid), needles))
    for c in clients:
        with c.ws.cond:
            found.update(found_in([("answer", json.dumps(f).encode()) for f in c.ws.frames], needles))
    for name in allowed:
        found.pop(name, None)
    assert not found, "found:\n" + "\n".join("%s: %s" % w for w in sorted(found.items()))


def ask_everything(c):
    """Whatever shows configuration or state."""
    for method, params in (("config.get", {}), ("config.schema", {}), ("status", {}), ("health", {}),
                           ("models.list", {}), ("channels.status", {}), ("logs.tail", {}), ("sessions.list", {}),
                           ("system-presence", {}), ("agents.list", {}), ("config.get", {"bad": 1}),
                           ("config.set", {"raw": "{", "baseHash": "0"}),
                           ("config.patch", {"raw": "{models:{providers:{mock:{apiKey:1}}}}", "baseHash": "0"})):
        try:
            c.ask(method, params)
        except Refused:
            pass


def with_token(g, way, token):
    """The gateway's token by argument, configuration or state folder."""
    g.token = token
    argv = g.argv
    if way != "argument":
        g.argv = lambda *more: [a for a in argv(*more) if a not in ("--token", g.token)]
    if way == "config":
        g.config["gateway"]["auth"]["token"] = token
        g.write_config(g.config)
    if way == "file":
        os.makedirs(g.state_dir, mode=0o700)
        path = os.path.join(g.state_dir, "gateway.token")
        with open(path, "w", opener=lambda p, flags: os.open(p, flags, 0o600)) as f:
            f.write(token + "\n")


def planted(t, k, way="argument"):
    """A gateway, not started, with a key from the environment, one in the file and a channel's token."""
    config = config_for(t.fake.url)
    platform = Platform(os.path.join(t.folder, "platform"))
    config["channels"] = {"fake": {"accounts": {"default": {"folder": platform.folder, "clientIds": True,
                                                            "token": k.new("channel-token")}}}}
    config["delivery"] = dict(FAST)
    providers = config["models"]["providers"]
    providers["anthro"]["apiKey"] = k.new("key-in-file")
    providers["mock"]["headers"] = {"X-Extra": k.new("header-in-file")}
    g = t.new_gateway(config)
    env, key = g.env, k.new("key-in-env")
    g.env = lambda: dict(env(), MOCK_KEY=key)
    with_token(g, way, k.new("gateway-token"))
    return g


def rejected(call):
    try:
        call()
    except (Refused, Closed):
        return
    raise AssertionError("let in")


def crowd(g, wrong):
    """Many at once: their frames share buffers, which grow and move."""
    def one(i):
        if i % 2:
            g.client().close()
        else:
            rejected(lambda: Client(g.port, wrong))
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(one, range(80)))


def busy(t, g, k):
    """Everything that moves a secret: turns, an abort, refused and good connects; returns the clients."""
    c = g.client()
    assert c.turn("agent:main:a", "one whole turn [fake ok chunks=3]")[1]["state"] == "final"
    assert c.turn("agent:main:b", "a second one [fake ok chunks=3]")[1]["state"] == "final"
    run = c.send("agent:main:c", "to be aborted [fake slow chunks=100 delay=100]")
    t.fake.wait("to be aborted")
    c.ask("chat.abort", {"sessionKey": "agent:main:c", "runId": run})
    c.chat(run, "aborted")
    send(c, "hello there, platform")
    rejected(lambda: Client(g.port, k.new("wrong-token")))
    other = Client(g.port, None, auth=False)
    rejected(lambda: other.ask("connect", Client.connect_params(None, auth={"password": k.new("wrong-password")})))
    broken = Client(g.port, None, auth=False)
    rejected(lambda: broken.ask("connect", dict(Client.connect_params(g.token), minProtocol="x")))
    early = Client(g.port, None, auth=False)
    rejected(lambda: early.ask("status", {"token": k.new("not-first")}))
    for token in (g.token, k.new("wrong-bearer")):
        g.http("/v1/models", headers={"Authorization": "Bearer " + token})
        g.http("/nowhere", headers={"Authorization": "Bearer " + token})
    crowd(g, k.new("wrong-in-crowd"))
    basic = k.new("basic")
    g.http("/v1/models", headers={"Authorization": "Basic " + base64.b64encode(basic.encode()).decode()})
    ask_everything(c)
    return [c, other, broken, early]


EGRESS = ("agent", "supervisor")
ALLOWED = {"key-in-env": EGRESS, "key-in-file": EGRESS, "header-in-file": EGRESS,
           "new-key": EGRESS, "gateway-token": ("supervisor",), "channel-token": ("channel", "supervisor")}


def test_memory(t, way):
    k = Canaries()
    g = planted(t, k, way).start()
    if not may_look(g):
        return
    clients = busy(t, g, k)
    check_memory(g, k, ALLOWED)
    check_written(g, k, clients)
    for pid, kind in g.workers().items():  # what may be is: the search finds something
        if kind in ("agent", "channel"):
            assert found_in(memory_of(pid), k.needles()), "no secret in %s" % kind
    # a new hub and a new front get what they need again, and no more
    for kind in ("hub", "front"):
        g.wait_replaced(kind, g.kill(kind))
    again = g.client_soon()
    assert again.turn("agent:main:d", "after all of them [fake ok chunks=2]")[1]["state"] == "final"
    check_memory(g, k, ALLOWED)
    check_written(g, k, clients + [again])


test_memory.params = [("argument",), ("config",), ("file",)]


def test_reload(t):
    """An old key leaves the agent, and a new one goes nowhere else."""
    k = Canaries()
    g = planted(t, k).start()
    if not may_look(g):
        return
    c = g.client()
    assert c.turn("agent:main:a", "with the old keys [fake ok chunks=2]")[1]["state"] == "final"
    new = k.new("new-key")
    for name in ("mock", "dead", "nowhere"):
        g.config["models"]["providers"][name]["apiKey"] = new
    del g.config["models"]["providers"]["mock"]["headers"]
    lines = len(g.lines)
    g.write_config(g.config)
    g.wait_log(lambda r: r["event"] == "config.changed", "config.changed", start=lines)
    assert c.turn("agent:main:a", "with the new key [fake ok chunks=2]")[1]["state"] == "final"
    gone = {"key-in-env": ("supervisor",), "header-in-file": ("supervisor",)}
    check_memory(g, k, dict(ALLOWED, **gone))
    lines = len(g.lines)
    g.write_config(json.dumps(g.config)[:-20] + k.new("broken-file"))  # refused: the words of the file stay out
    g.wait_log(lambda r: r["event"] == "config.reload_refused", "config.reload_refused", start=lines)
    ask_everything(c)
    check_memory(g, k, dict(ALLOWED, **dict(gone, **{"broken-file": ("supervisor",)})))
    check_written(g, k, [c])


def test_password(t):
    """Plain in the file: the hub gets a keyed hash of it. What clients sent is gone."""
    k = Canaries()
    g = planted(t, k)
    g.config["gateway"]["auth"] = {"mode": "password", "password": k.new("password")}
    g.write_config(g.config)
    argv, unused = g.argv, g.token
    g.argv = lambda *more: [a for a in argv(*more) if a not in ("--token", unused)]
    g.start()
    if not may_look(g):
        return
    c = Client(g.port, None, auth=False)
    c.ask("connect", Client.connect_params(None, auth={"password": k.texts["password"]}))
    rejected(lambda: Client(g.port, k.new("wrong-token")))
    other = Client(g.port, None, auth=False)
    rejected(lambda: other.ask("connect", Client.connect_params(None, auth={"password": k.new("wrong-password")})))
    ask_everything(c)
    check_memory(g, k, dict(ALLOWED, password=("supervisor",)))
    check_written(g, k, [c, other])


def test_device_token(t):
    """The hub has a hash, the front nothing; only the device is told it."""
    k = Canaries()
    g = planted(t, k).start()
    if not may_look(g):
        return
    one = Device(g.folder, "one")
    told = k.texts["device-token"] = one.connect(g, {"token": g.token}).hello["auth"]["deviceToken"]
    c = one.connect(g, {"deviceToken": told})
    assert c.hello["auth"]["method"] == "device-token", c.hello["auth"]
    rejected(lambda: one.connect(g, {"deviceToken": k.new("wrong-device-token")}))
    ask_everything(c)
    check_memory(g, k, ALLOWED)
    check_written(g, k)


def test_tls(t):
    """The library's own buffers hold plain text, too."""
    k = Canaries()
    g = planted(t, k)
    g.config["gateway"]["tls"] = {"enabled": True}
    g.write_config(g.config)
    g.start()
    if not may_look(g):
        return
    c = Client(g.port, g.token, tls=context())
    check_memory(g, k, ALLOWED)  # nothing came behind it that could have taken its place
    assert c.turn("agent:main:a", "sealed [fake ok chunks=3]")[1]["state"] == "final"
    rejected(lambda: Client(g.port, k.new("wrong-token"), tls=context()))
    check_memory(g, k, ALLOWED)
    with dial(g, context()) as s:
        s.sendall(("GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n\r\n" %
                   k.new("wrong-bearer")).encode())
        assert s.recv(4096).startswith(b"HTTP/1.1 ")
        check_memory(g, k, ALLOWED)
    one = Device(g.folder, "one")
    k.texts["device-token"] = one.connect(g, {"token": g.token}, tls=context()).hello["auth"]["deviceToken"]
    check_memory(g, k, ALLOWED)
    check_written(g, k, [c], ["device-token"])


def test_no_core(t):
    """Neither a core file nor a debugger of the same user."""
    g = planted(t, Canaries()).start()
    if not may_look(g):
        return
    for pid, kind in fleet_of(g).items():
        with open("/proc/%d/limits" % pid) as f:
            core = next(l for l in f if l.startswith("Max core file size")).split()
        assert core[4:6] == ["0", "0"], (kind, core)
        with open("/proc/%d/status" % pid) as f:
            uid = next(l for l in f if l.startswith("Uid:")).split()[1]
        if uid != "0" and kind != "channel":  # root's when not dumpable; the fake channel wears no cage
            assert os.stat("/proc/%d/environ" % pid).st_uid == 0, kind
