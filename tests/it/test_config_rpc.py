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


def test_comments_stay(t):
    """A form changes one value: the rest of the file is byte for byte what its owner wrote."""
    cfg = config_for(t.fake.url)
    g = t.gateway(cfg)
    c = Client(g.port, g.token)
    text = "// my gateway\n" + json.dumps(cfg, indent=4).replace('"agents"', "/* who answers */\n    agents") + "\n// end\n"
    got = c.ask("config.set", {"raw": text, "baseHash": c.ask("config.get")["hash"]})
    with open(g.config_path) as f:
        assert f.read() == text
    number = cfg["agents"]["defaults"]["maxConcurrent"]
    done = c.ask("config.patch", {"raw": json.dumps({"agents": {"defaults": {"maxConcurrent": number + 1}}}), "baseHash": got["hash"]})
    want = text.replace(f'"maxConcurrent": {number}', f'"maxConcurrent": {number + 1}')
    with open(g.config_path) as f:
        assert f.read() == want
    # a client that writes the document out as machines do (JSON.stringify) has the same effect
    doc = c.ask("config.get")["parsed"]
    doc["agents"]["defaults"]["maxConcurrent"] = number
    c.ask("config.set", {"raw": json.dumps(doc, indent=2) + "\n", "baseHash": done["hash"]})
    with open(g.config_path) as f:
        assert f.read() == text


def test_lists_are_not_clobbered(t):
    """What a patch takes out of a list must be named."""
    cfg = config_for(t.fake.url)
    cfg["agents"]["list"] = [{"id": "main", "default": True}, {"id": "second"}]
    g = t.gateway(cfg)
    c = Client(g.port, g.token)
    base = c.ask("config.get")["hash"]
    e = c.refused("config.patch", {"raw": "{agents: {list: null}}", "baseHash": base})
    assert e.message.startswith("agents.list: ") and "replacePaths" in e.message, e.message
    e = c.refused("config.patch", {"raw": "{agents: {list: null}}", "baseHash": base, "replacePaths": ["a\nb"]})
    assert e.message.startswith("replacePaths: "), e.message
    c.ask("config.patch", {"raw": "{agents: {list: [{id: 'main', default: true}]}}", "baseHash": base, "replacePaths": ["agents.list"]})
    assert [a["id"] for a in c.ask("agents.list")["agents"]] == ["main"]


def test_writes_a_minute(t):
    g = t.gateway()
    c = Client(g.port, g.token)
    for _ in range(30):
        c.refused("config.patch", {"raw": "{}", "baseHash": "old"})
    e = c.refused("config.patch", {"raw": "{}", "baseHash": "old"})
    assert e.code == "UNAVAILABLE" and e.details == {"method": "config.patch", "limit": "30 per 60s"}, e
    assert c.refused("config.apply", {"raw": "{}", "baseHash": "old"}).code == "INVALID_REQUEST", "each method is counted by itself"


def test_schema_lookup(t):
    g = t.gateway()
    c = Client(g.port, g.token)
    port = c.ask("config.schema.lookup", {"path": "gateway.port"})
    assert port["path"] == "gateway.port" and port["children"] == [] and port["hintPath"] == "gateway.port", port
    assert port["schema"] == {"type": "integer", "minimum": 1, "maximum": 65535, "default": 18789}, port["schema"]
    assert port["reloadKind"] == "restart" and port["hint"]["help"], port
    agents = c.ask("config.schema.lookup", {"path": "agents"})
    below = {x["key"]: x for x in agents["children"]}
    assert below["defaults"]["hasChildren"] and below["defaults"]["path"] == "agents.defaults" and "properties" not in agents["schema"]
    assert c.ask("config.schema.lookup", {"path": "agents.list[].id"})["schema"]["type"] == "string"
    assert c.ask("config.schema.lookup", {"path": "agents.list[3].id"})["hintPath"] == "agents.list[].id"
    assert c.ask("config.schema.lookup", {"path": "models.providers.mock.apiKey"})["hint"]["sensitive"]
    assert c.ask("config.schema.lookup", {"path": "gateway.auth.mode"})["hint"]["readOnly"]
    for path in ("gateway.nope", "gateway.port.x", "agents.list[].nope"):
        assert c.refused("config.schema.lookup", {"path": path}).message == "config schema path not found", path
    assert "invalid config.schema.lookup params" in c.refused("config.schema.lookup", {"path": "a b"}).message
