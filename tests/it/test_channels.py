"""The channel suite: what every platform has to get right, over every row of channels/base/list.def.

The platform is a fake of platforms.py; the channel's process, the hub and the agent are the real ones.
"""
import os
import re

from gateway import config_for, until
from platforms import PLATFORMS

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
FAST = {"retry": {"firstDelayMs": 20, "secondDelayMs": 40, "thirdDelayMs": 80, "laterDelayMs": 160}}


def rows():
    with open(os.path.join(ROOT, "channels", "base", "list.def")) as f:
        return re.findall(r"^CHANNEL\((\w+)\)", f.read(), re.M)


def each(fn):
    fn.params = [(name,) for name in rows()]
    return fn


def setup(t, name, start=True, section=None, **how):
    """A gateway with one account of that platform: (gateway, platform)."""
    p = PLATFORMS[name](t.folder, **how)
    config = config_for(t.fake.url)
    config["agents"]["defaults"]["model"]["primary"] = "demo/demo-1"
    config["channels"] = {p.channel(): p.section(**(section or {}))}
    config["delivery"] = FAST
    g = t.new_gateway(config)
    if start:
        g.start()
    return g, p


def test_every_row_has_a_fake(t):
    assert set(rows()) == set(PLATFORMS), (rows(), sorted(PLATFORMS))


@each
def test_inbound_to_answer(t, name):
    """A person writes, the demo model answers there; the platform is told that it was taken."""
    g, p = setup(t, name)
    p.write("u1", "hello you")
    until(lambda: p.sent(), "the answer is there")
    assert "hello you" in p.texts()[0], p.texts()
    assert p.sent()[0]["to"] == "42", p.sent()
    if p.receipts:
        until(lambda: p.acked() == ["u1"], "the message was taken")
