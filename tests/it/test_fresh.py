"""Sessions that begin anew by the day or after a pause, with the wall clock of a build with -Dfaults=true moved
(workers/hub/fresh.h; the rules by themselves are in tests/unit/test_modes.c)."""
import calendar
import os
import time

from client import text_of
from fault import FaultyGateway, Page, built_with_faults
from gateway import config_for


def start(t, session):
    if not built_with_faults(t.build):
        print("skipped: not a build with -Dfaults=true")
        return None
    folder = os.path.join(t.folder, "g%d" % len(t.gateways))
    os.makedirs(folder)
    g = FaultyGateway(t.build, folder, dict(config_for(t.fake.url), session=session))
    os.chmod(t.folder, 0o711)
    g.page = Page(folder)
    t.gateways.append(g)
    return g.start()


def at(g, when):
    g.page.wall(calendar.timegm(time.strptime(when, "%Y-%m-%dT%H:%M")) - time.time())


def said(c, key):
    return [text_of(m).split(" [")[0] for m in c.history(key) if m["role"] == "user"]


def walk(g, steps, key="main"):
    """Each step: when, what is said, what the transcript has afterwards; KILL: the hub is killed first."""
    c, resets = g.client(), 0
    for when, text, want in steps:
        at(g, when)
        if text.startswith("KILL"):
            old = g.kill("hub")
            g.wait_replaced("hub", old)
            c = g.client_soon()
        start = len(g.lines)
        c.turn(key, text + " [fake ok chunks=1]")
        assert said(c, key) == want, (when, said(c, key), want)
        if want == [text]:
            resets += 1
            if resets > 1:  # the first one is a new session
                g.wait_log(lambda l: l["event"] == "session.reset", "the reset at %s" % when, start=start)
    return c


def test_daily(t):
    g = start(t, {"reset": {"mode": "daily", "atHour": 4}})
    if not g:
        return
    c = walk(g, (("2027-01-10T03:00", "a", ["a"]),
                 ("2027-01-10T03:58", "b", ["a", "b"]),
                 ("2027-01-10T04:02", "c", ["c"]),
                 ("2027-01-11T03:58", "d", ["c", "d"]),
                 ("2027-01-10T12:00", "e", ["c", "d", "e"]),  # the clock goes back: nothing is forgotten for it
                 ("2027-01-11T04:02", "f", ["f"]),
                 ("2027-01-11T23:00", "KILL g", ["f", "KILL g"]),
                 ("2027-01-12T05:00", "KILL h", ["KILL h"]),
                 ("2027-01-19T05:00", "i", ["i"])))
    row = c.ask("sessions.describe", {"key": "main"})["session"]
    assert row["key"] == "agent:main:main", row


def test_idle(t):
    g = start(t, {"reset": {"mode": "idle", "idleMinutes": 30}})
    if not g:
        return
    c = walk(g, (("2027-01-10T03:00", "a", ["a"]),
                 ("2027-01-10T03:28", "b", ["a", "b"]),
                 ("2027-01-10T03:56", "c", ["a", "b", "c"]),  # the pause counts from the last word
                 ("2027-01-10T04:28", "d", ["d"]),
                 ("2027-01-10T04:50", "KILL e", ["d", "KILL e"]),
                 ("2027-01-10T05:22", "KILL f", ["KILL f"])))
    c.turn("other", "only here [fake ok chunks=1]")
    assert said(c, "main") == ["KILL f"]  # another session's pause is its own


def test_never(t):
    g = start(t, {})
    if not g:
        return
    walk(g, (("2027-01-10T03:00", "a", ["a"]), ("2027-01-20T03:00", "b", ["a", "b"]), ("2028-01-20T05:00", "KILL c", ["a", "b", "KILL c"])))
