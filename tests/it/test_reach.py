"""What workers need seldom, in their real cage: names of hosts, certificates, the machine's own figures. A call that is missing
in a filter ends the process, so that each of these says whether conf/sandbox/ knows what its class does."""
from client import text_of
from gateway import config_for


def provider(url):
    return {"baseUrl": url, "apiKey": "${MOCK_KEY}", "api": "openai-completions", "models": [{"id": "mock-1", "name": "Mock"}]}


def with_model(t, url, **more):
    doc = config_for(t.fake.url)
    doc["models"]["providers"]["there"] = provider(url)
    doc["models"]["timeouts"] = {"connectMs": 3000}
    doc["agents"]["defaults"]["model"] = dict({"primary": "there/mock-1", "fallbacks": []}, **more)
    return t.gateway(doc)


def survives(g, before):
    """The same processes as before: nobody was ended for a call."""
    assert g.workers() == before, (before, g.workers(), [l for l in g.lines if l.get("event") == "worker.died"])


def test_name_of_this_machine(t):
    """A resolver thread, /etc/hosts, both address families."""
    g = with_model(t, "http://localhost:%d/v1" % t.fake.port)
    before = g.workers()
    run, end = g.client().turn("agent:main:a", "by its name [fake ok chunks=2]")
    assert end["state"] == "final" and text_of(end["message"]).split() == ["word0", "word1"], end
    survives(g, before)


def test_name_that_is_none(t):
    """Name servers are asked, or there are none; then the next model answers."""
    g = with_model(t, "http://nobody.invalid:%d/v1" % t.fake.port, fallbacks=["mock/mock-1"])
    before = g.workers()
    run, end = g.client().turn("agent:main:a", "somebody else [fake ok chunks=2]", timeout=60)
    assert end["state"] == "final", end
    survives(g, before)


def test_certificates(t):
    """Authorities are read, a handshake begins; the other side speaks no TLS."""
    g = with_model(t, "https://127.0.0.1:%d/v1" % t.fake.port, fallbacks=["mock/mock-1"])
    before = g.workers()
    run, end = g.client().turn("agent:main:a", "in the clear then [fake ok chunks=2]")
    assert end["state"] == "final", end
    survives(g, before)


def test_long_text(t):
    """Buffers that grow past what a page of malloc holds."""
    g = t.gateway()
    before = g.workers()
    run, end = g.client().turn("agent:main:a", "much [fake ok chunks=400 text=%s]" % ("y" * 2000))
    assert end["state"] == "final" and len(text_of(end["message"])) > 400 * 2000, end
    survives(g, before)


def test_figures_of_the_machine(t):
    g = t.gateway()
    before = g.workers()
    c = g.client()
    assert c.ask("system.info") and c.ask("system-presence") is not None
    survives(g, before)


def test_changed_keys(t):
    """Settings and secrets are taken anew inside of the cage."""
    g = t.gateway()
    before, at = g.workers(), len(g.lines)
    g.write_config(dict(g.config, models=dict(g.config["models"], providers=dict(
        g.config["models"]["providers"], mock=dict(provider(t.fake.url + "/v1"), apiKey="another-key-for-the-model")))))
    g.wait_log(lambda l: l.get("event") == "config.changed", "config.changed", start=at)
    assert g.client().turn("agent:main:a", "with it [fake ok chunks=2]")[1]["state"] == "final"
    survives(g, before)
