"""Files of an agent's workspace: over RPC, in prompts, and what of a folder is not touched."""
import os
import stat

from client import Client
from gateway import config_for


def asked(t, prompt):
    """What the model was asked with that prompt: its first message when it is the system's, else nothing."""
    messages = t.fake.calls(prompt)[-1]["asked"]["messages"]
    return messages[0]["content"] if messages[0]["role"] in ("system", "developer") else ""


def test_list_get_set(t):
    g = t.gateway()
    c = Client(g.port, g.token)
    got = c.ask("agents.files.list", {"agentId": "main"})
    assert got["agentId"] == "main" and got["workspace"] == os.path.join(g.state_dir, "workspace"), got
    assert [f["name"] for f in got["files"]][:2] == ["AGENTS.md", "SOUL.md"] and all(f["missing"] for f in got["files"]), got
    assert c.ask("agents.files.get", {"agentId": "main", "name": "SOUL.md"})["file"]["missing"]
    done = c.ask("agents.files.set", {"agentId": "main", "name": "IDENTITY.md", "content": "# hi\n"})
    assert done["ok"] and done["file"]["size"] == 5 and done["file"]["content"] == "# hi\n", done
    assert done["file"]["hash"] == "045d2d07c2db3b9e6cef022457ee89434045a508c2dadccf9abe182ad633c273"
    path = os.path.join(got["workspace"], "IDENTITY.md")
    with open(path) as f:
        assert f.read() == "# hi\n"
    # over what was read only, and nothing but the table's names
    e = c.refused("agents.files.set", {"agentId": "main", "name": "IDENTITY.md", "content": "x", "expectedHash": "0" * 64})
    assert "changed meanwhile" in e.message, e
    c.ask("agents.files.set", {"agentId": "main", "name": "IDENTITY.md", "content": "two", "expectedHash": done["file"]["hash"]})
    for name in ("NOTES.md", "../x", "/etc/passwd", ".IDENTITY.md.new"):
        assert "unsupported file" in c.refused("agents.files.get", {"agentId": "main", "name": name}).message, name
    assert c.refused("agents.files.list", {"agentId": "nope"}).message == 'agent "nope" not found'
    reader = Client(g.port, g.token, scopes=["operator.read"])
    assert not reader.ask("agents.files.get", {"agentId": "main", "name": "IDENTITY.md"})["file"]["missing"]
    assert reader.refused("agents.files.set", {"agentId": "main", "name": "SOUL.md", "content": "x"}).details["code"] == "MISSING_SCOPE"


def test_hostile_folder(t):
    """A link, a second name and a pipe where a file should be: not there, and nothing is read or written through them."""
    g = t.gateway()
    c = Client(g.port, g.token)
    folder = os.path.join(g.state_dir, "workspace")
    os.mkdir(folder)
    secret = os.path.join(g.state_dir, "secret")
    with open(secret, "w") as f:
        f.write("canary")
    os.symlink(secret, os.path.join(folder, "AGENTS.md"))
    os.link(secret, os.path.join(folder, "SOUL.md"))
    os.mkfifo(os.path.join(folder, "USER.md"))
    assert all(f["missing"] for f in c.ask("agents.files.list", {"agentId": "main"})["files"])
    for name in ("AGENTS.md", "SOUL.md", "USER.md"):
        assert c.ask("agents.files.get", {"agentId": "main", "name": name})["file"]["missing"], name
    c.turn("agent:main:hostile", "hello [fake ok chunks=1]")
    assert "canary" not in asked(t, "hello")
    c.ask("agents.files.set", {"agentId": "main", "name": "AGENTS.md", "content": "mine"})
    with open(secret) as f:
        assert f.read() == "canary"
    assert stat.S_ISREG(os.lstat(os.path.join(folder, "AGENTS.md")).st_mode)


def test_in_prompts(t):
    """From the next turn on, however it was changed; what is private stays out of groups; a dead agent's successor is told, too."""
    g = t.gateway()
    c = Client(g.port, g.token)
    folder = os.path.join(g.state_dir, "workspace")
    c.turn("agent:main:p", "none yet [fake ok chunks=1]")
    assert asked(t, "none yet") == ""
    c.ask("agents.files.set", {"agentId": "main", "name": "SOUL.md", "content": "You are Ada, and you are brief."})
    c.turn("agent:main:p", "with a soul [fake ok chunks=1]")
    text = asked(t, "with a soul")
    assert "## SOUL.md" in text and "You are Ada, and you are brief." in text, text
    with open(os.path.join(folder, "MEMORY.md"), "w") as f:
        f.write("The door code is 4711.")
    with open(os.path.join(folder, "AGENTS.md"), "w") as f:
        f.write("a" * 30000)
    c.turn("agent:main:p", "with a memory [fake ok chunks=1]")
    text = asked(t, "with a memory")
    assert text.index("## AGENTS.md") < text.index("## SOUL.md") < text.index("## MEMORY.md") and "4711" in text, text[-300:]
    assert text.count("a" * 100) and "a" * 20001 not in text and "left out" in text
    c.turn("agent:main:telegram:group:-1", "in a group [fake ok chunks=1]")
    text = asked(t, "in a group")
    assert "Ada" in text and "4711" not in text, "a group is told what is private"
    c.turn("agent:main:subagent:x", "as a sub-agent [fake ok chunks=1]")
    text = asked(t, "as a sub-agent")
    assert "## AGENTS.md" in text and "Ada" not in text
    g.kill("agent")
    c.turn("agent:main:p", "after a death [fake ok chunks=1]")
    assert "Ada" in asked(t, "after a death")
    os.unlink(os.path.join(folder, "SOUL.md"))
    c.turn("agent:main:p", "without a soul [fake ok chunks=1]")
    assert "Ada" not in asked(t, "without a soul")


def test_never(t):
    cfg = config_for(t.fake.url)
    cfg["agents"]["defaults"]["contextInjection"] = "never"
    g = t.gateway(cfg)
    c = Client(g.port, g.token)
    c.ask("agents.files.set", {"agentId": "main", "name": "SOUL.md", "content": "You are Ada."})
    c.turn("agent:main:p", "hello [fake ok chunks=1]")
    assert asked(t, "hello") == ""


def test_of_each_agent(t):
    cfg = config_for(t.fake.url)
    cfg["agents"]["list"] = [{"id": "main", "default": True}, {"id": "second"}, {"id": "third", "workspace": os.path.join(t.folder, "own")}]
    g = t.gateway(cfg)
    c = Client(g.port, g.token)
    for agent in ("main", "second", "third"):
        c.ask("agents.files.set", {"agentId": agent, "name": "SOUL.md", "content": "I am " + agent})
    folders = [c.ask("agents.files.list", {"agentId": a})["workspace"] for a in ("main", "second", "third")]
    assert folders == [os.path.join(g.state_dir, "workspace"), os.path.join(g.state_dir, "workspace-second"), os.path.join(t.folder, "own")], folders
    for agent in ("main", "second", "third"):
        c.turn("agent:%s:x" % agent, "who [fake ok chunks=1] %s" % agent)
        assert "I am " + agent in asked(t, "who [fake ok chunks=1] " + agent)
