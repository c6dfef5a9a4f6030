"""The configuration over RPC: written whole, in force at once, refused when it is stale or opens something."""
import json
import os

from client import Client
from gateway import config_for


def test_patch(t):
    g = t.gateway()
    c = Client(g.port, g.token)
    got = c.ask("config.get")
    done = c.ask("config.patch", {"raw": "{agents: {defaults: {maxConcurrent: 6}}}", "baseHash": got["hash"]})
    assert done["ok"] and done["changedPaths"] == ["agents.defaults.maxConcurrent"], done
    assert done["config"]["agents"]["defaults"]["maxConcurrent"] == 6 and done["hash"] != got["hash"]
    lanes = c.ask("config.get")
    assert lanes["hash"] == done["hash"] and lanes["parsed"]["agents"]["defaults"]["maxConcurrent"] == 6
    changed = c.event(lambda f: f["event"] == "config.changed", "config.changed")["payload"]
    assert changed["hash"] == done["hash"], changed
    with open(g.config_path) as f:
        on_disk = json.load(f)
    assert on_disk["agents"]["defaults"]["maxConcurrent"] == 6
    assert on_disk["models"]["providers"]["mock"]["apiKey"] == "${MOCK_KEY}", "the key is written out"
    assert os.stat(g.config_path).st_mode & 0o777 == 0o600 == os.stat(g.config_path + ".bak").st_mode & 0o777
    # cleared: it leaves the file
    c.ask("config.patch", {"raw": "{agents: {defaults: {maxConcurrent: null}}}", "baseHash": done["hash"]})
    with open(g.config_path) as f:
        assert "maxConcurrent" not in f.read()


def test_refused(t):
    g = t.gateway()
    c = Client(g.port, g.token)
    base = c.ask("config.get")["hash"]
    with open(g.config_path) as f:
        before = f.read()
    e = c.refused("config.patch", {"raw": "{agents: {defaults: {maxConcurrent: 'x'}}}", "baseHash": base})
    assert e.message.startswith("invalid config: agents.defaults.maxConcurrent: "), e.message
    assert e.details["issues"][0]["path"] == "agents.defaults.maxConcurrent", e.details
    assert c.refused("config.patch", {"raw": "{gateway: {auth: {mode: 'none'}}}", "baseHash": base}).message.startswith("gateway.auth")
    assert "base hash required" in c.refused("config.set", {"raw": "{}"}).message
    assert "re-run config.get" in c.refused("config.set", {"raw": "{}", "baseHash": "x"}).message
    assert c.refused("config.set", {"raw": "{a:", "baseHash": base}).message.startswith("SyntaxError: JSON5: ")
    reader = Client(g.port, g.token, scopes=["operator.read", "operator.write"])
    assert reader.refused("config.patch", {"raw": "{}", "baseHash": base}).details["code"] == "MISSING_SCOPE"
    with open(g.config_path) as f:
        assert f.read() == before, "a refused change has touched the file"
    assert not os.path.exists(g.config_path + ".bak")


def test_edited_meanwhile(t):
    """Somebody saves a broken file: it is not in force, and RPC does not write over it."""
    g = t.gateway()
    c = Client(g.port, g.token)
    base = c.ask("config.get")["hash"]
    with open(g.config_path, "w") as f:
        f.write("{ half a thought")
    g.wait_log(lambda l: l.get("event") == "config.reload_refused", "config.reload_refused")
    e = c.refused("config.patch", {"raw": "{agents: {defaults: {maxConcurrent: 6}}}", "baseHash": base})
    assert "not in force" in e.message, e.message
    with open(g.config_path) as f:
        assert f.read() == "{ half a thought"


def test_comment_only(t):
    """A new comment changes nothing that is in force, but it is a new state."""
    g = t.gateway()
    c = Client(g.port, g.token)
    got = c.ask("config.get")
    done = c.ask("config.set", {"raw": "// a word\n" + got["raw"], "baseHash": got["hash"]})
    assert done["hash"] != got["hash"]
    again = c.ask("config.get")
    assert again["raw"].startswith("// a word") and again["hash"] == done["hash"]
    c.ask("config.patch", {"raw": "{agents: {defaults: {maxConcurrent: 5}}}", "baseHash": again["hash"]})


def test_new_model(t):
    """The first steps of the page: a service with its key, and the next turn asks it."""
    g = t.gateway({"gateway": {"auth": {"mode": "token"}}})
    c = Client(g.port, g.token)
    assert c.hello["snapshot"]["sessionDefaults"]["modelConfigured"] is False
    patch = {"models": {"providers": {"mine": dict(config_for(t.fake.url)["models"]["providers"]["mock"], apiKey="k-9")}},
             "agents": {"defaults": {"model": {"primary": "mine/mock-1"}}}}
    c.ask("config.patch", {"raw": json.dumps(patch), "baseHash": c.ask("config.get")["hash"]})
    _, end = c.turn("main", "hello new model [fake ok chunks=2 text=new]")
    assert end["state"] == "final" and "new1" in json.dumps(end), end
    assert "k-9" not in json.dumps(c.ask("config.get"))


def test_schema(t):
    c = Client(t.gateway().port, "test-token-7f3a9c51d2e84b60")
    s = c.ask("config.schema")
    assert s["schema"]["properties"]["gateway"]["properties"]["port"]["maximum"] == 65535
    assert s["uiHints"]["gateway.auth.token"]["sensitive"] and s["uiHints"]["gateway.bind"]["readOnly"]
