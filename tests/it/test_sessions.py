"""Methods about several sessions: groups, many at once, search, branches."""
import json

from client import text_of
from gateway import until


def names(c):
    return [x["name"] for x in c.ask("sessions.groups.list")["groups"]]


def category(c, key):
    return c.ask("sessions.describe", {"key": key})["session"].get("category")


def test_groups(t):
    g = t.gateway()
    c = g.client()
    c.ask("sessions.subscribe")
    assert c.ask("sessions.groups.list") == {"groups": [], "sectionOrder": []}
    got = c.ask("sessions.groups.put", {"names": ["Work", " Home ", "Work"], "sectionOrder": ["pinned", "Work"]})
    assert got == {"ok": True, "groups": [{"name": "Work", "position": 0}, {"name": "Home", "position": 1}],
                   "sectionOrder": ["pinned", "Work"]}, got
    assert c.event(lambda f: f["event"] == "sessions.changed" and f["payload"].get("reason") == "groups", "groups")
    for i in range(3):
        c.ask("sessions.patch", {"key": "s%d" % i, "category": "Work"})
    c.ask("sessions.patch", {"key": "s9", "category": 'Odd "name"'})
    assert names(c) == ["Work", "Home", 'Odd "name"']
    e = c.refused("sessions.groups.put", {"names": ["Home"]})
    assert e.code == "INVALID_REQUEST" and "not empty" in e.message, e
    got = c.ask("sessions.groups.rename", {"name": "Work", "to": "Office"})
    assert got["updatedSessions"] == 3 and names(c)[0] == "Office", got
    assert [category(c, "s%d" % i) for i in range(3)] == ["Office"] * 3
    c.ask("sessions.groups.rename", {"name": 'Odd "name"', "to": "Office"})  # into one that is there
    assert names(c) == ["Office", "Home"] and category(c, "s9") == "Office"
    e = c.refused("sessions.groups.rename", {"name": "Work", "to": "Again"})
    assert e.message == "unknown session group: Work", e
    e = c.refused("sessions.groups.update", {"name": "Office", "cwd": "relative"})
    assert "absolute" in e.message, e
    got = c.ask("sessions.groups.update", {"name": "Office", "cwd": "/srv/office", "worktree": True})
    assert got["defaults"] == [{"name": "Office", "cwd": "/srv/office", "worktree": True}], got
    old = g.kill("hub")
    g.wait_replaced("hub", old)
    c = g.client_soon()
    assert names(c) == ["Office", "Home"] and c.ask("sessions.groups.defaults")["defaults"][0]["cwd"] == "/srv/office"
    got = c.ask("sessions.groups.delete", {"name": "Office"})
    assert got["updatedSessions"] == 4 and names(c) == ["Home"] and category(c, "s9") is None, got
    assert c.ask("sessions.groups.defaults")["defaults"] == []


def grouped(g, c, count, name="Work"):
    """That many sessions in a group."""
    for i in range(0, count, 100):
        got = c.ask("sessions.patchMany", {"targets": [{"key": "s%d" % k} for k in range(i, i + 100)],
                                           "patch": {"category": name}})["outcomes"]
        assert all(o["ok"] for o in got), got


def categories(c):
    out, offset = {}, 0
    while offset is not None:
        got = c.ask("sessions.list", {"limit": 500, "offset": offset})
        out.update((r["key"], r.get("category")) for r in got["sessions"])
        offset = got["nextOffset"]
    return out


def test_groups_steps(t):
    """A group of many sessions is renamed in steps: others are served meanwhile, nobody comes in."""
    g = t.gateway()
    c, other = g.client(), g.client()
    grouped(g, c, 1000)
    asked = c.start("sessions.groups.rename", {"name": "Work", "to": "Office"})
    refused, served = [], 0
    while category(other, "s999") == "Work":
        served += 1
        try:
            other.ask("sessions.patch", {"key": "late", "category": "Work"})
        except Exception as e:
            refused.append(e)
        for to in ("Third", "Office"):
            e = other.refused("sessions.groups.rename", {"name": "Work", "to": to})
            assert "already" in e.message or "unknown session group" in e.message, e
    got = c.answer(asked)
    assert got["ok"] and got["payload"]["updatedSessions"] == 1000, got
    assert served > 0 and refused and all("is being renamed" in e.message for e in refused), (served, refused)
    assert names(c) == ["Office"]
    assert {k: v for k, v in categories(c).items() if v != "Office"} == {}
    c.ask("sessions.patch", {"key": "late", "category": "Work"})  # over: a new group of that name
    assert names(c) == ["Office", "Work"]


def test_groups_killed(t):
    """The hub is killed in the middle of a rename, of a delete: the next one goes on to the end."""
    g = t.gateway()
    c = g.client()
    grouped(g, c, 1000)
    for method, params, left in (("sessions.groups.rename", {"name": "Work", "to": "Office"}, "Office"),
                                 ("sessions.groups.delete", {"name": "Office"}, None)):
        watch = g.client()
        c.start(method, params)
        until(lambda: category(watch, "s0") == left, "the first one to have moved")
        old = g.kill("hub")
        g.wait_replaced("hub", old)
        c = g.client_soon()
        until(lambda: names(c) == ([left] if left else []), "the end of it")
        rows = categories(c)
        assert len(rows) == 1000 and set(rows.values()) == {left}, rows
        watch.close()


def test_comfort(t):
    """What is not a thing here answers as where it is empty or off."""
    g = t.gateway()
    c = g.client()
    c.turn("s0", "hello [fake ok chunks=1]")
    full, last = "agent:main:s0", c.history("s0")[-1]["__openclaw"]["id"]
    for method, params, want in (
            ("sessions.observer.visibility", {"visible": True}, {"ok": True}),
            ("sessions.viewers.set", {"sessionKeys": ["s0", "agent:main:x"]}, {"sessionKeys": [full, "agent:main:x"]}),
            ("sessions.catalog.list", {"search": "x", "cursors": {"a": "b"}}, {"catalogs": []}),
            ("session.discussion.info", {"sessionKey": "s0"}, {"state": "none"}),
            ("sessions.title.prepare", {"agentId": "main", "message": "hi"}, {"title": None}),
            ("sessions.activitySummary.ensure", {"sessions": [{"key": "s0"}]},
             {"sessions": [{"key": full, "agentId": "main", "activitySummary": {"state": "unavailable"}}]}),
            ("sessions.files.list", {"sessionKey": "s0"}, {"sessionKey": full, "files": []}),
            ("sessions.diff", {"sessionKey": "s0"},
             {"sessionKey": full, "files": [], "additions": 0, "deletions": 0, "unavailableReason": "not_git"}),
            ("sessions.branches.switch", {"sessionKey": "s0", "leafEntryId": last}, {})):
        assert c.ask(method, params) == want, method
    assert c.ask("sessions.diff", {"sessionKey": "none"})["unavailableReason"] == "unknown_session"
    e = c.refused("sessions.companion.state", {"sessionKey": "s0"})
    assert e.code == "UNAVAILABLE" and e.message == "Side chat is unavailable.", e
    first = c.history("s0")[0]["__openclaw"]["id"]
    e = c.refused("sessions.branches.switch", {"sessionKey": "s0", "leafEntryId": first})
    assert "no branch" in e.message, e
    e = c.refused("sessions.viewers.set", {"sessionKeys": ["x"] * 33})
    assert e.code == "INVALID_REQUEST", e


def test_unread(t):
    """An answer that nobody looked at is unread for every client until one reads it; that is kept, and makes nothing newer."""
    g = t.gateway()
    c, other = g.client(), g.client()
    row = lambda: next(s for s in other.ask("sessions.list")["sessions"] if s["key"] == "agent:main:seen")
    c.turn("agent:main:seen", "one [fake ok chunks=1]")
    assert row()["unread"] and "lastReadAt" not in row(), row()
    was = row()["updatedAt"]
    c.ask("sessions.patch", {"key": "agent:main:seen", "unread": False})
    assert not row()["unread"] and row()["lastReadAt"] >= was and row()["updatedAt"] == was, row()
    # marked by hand: who read before that does not take the mark away
    c.ask("sessions.patch", {"key": "agent:main:seen", "unread": True})
    mark = row()["markedUnreadAt"]
    assert "meanwhile" in other.refused("sessions.patch", {"key": "agent:main:seen", "unread": False, "expectedMarkedUnreadAt": None}).message
    assert "meanwhile" in other.refused("sessions.patch", {"key": "agent:main:seen", "unread": False, "expectedMarkedUnreadAt": mark - 1}).message
    other.ask("sessions.patch", {"key": "agent:main:seen", "unread": False, "expectedMarkedUnreadAt": mark})
    assert not row()["unread"] and "markedUnreadAt" not in row()
    # somebody looks at it while the answer comes
    other.ask("sessions.messages.subscribe", {"key": "agent:main:seen"})
    c.turn("agent:main:seen", "two [fake ok chunks=1]")
    assert not row()["unread"]
    other.ask("sessions.messages.unsubscribe", {"key": "agent:main:seen"})
    c.turn("agent:main:seen", "three [fake ok chunks=1]")
    g.kill("hub")
    assert row()["unread"]


def test_patch_many(t):
    g = t.gateway()
    c = g.client()
    c.ask("sessions.patch", {"key": "s0", "label": "taken"})
    sid = c.ask("sessions.describe", {"key": "s0"})["session"]["sessionId"]
    got = c.ask("sessions.patchMany", {"targets": [
        {"key": "s0", "expectedSessionId": sid}, {"key": "s1", "expectedSessionId": "another"}, {"key": "agent:nobody:x"},
        {"key": "s2", "agentId": "main"}, {}], "patch": {"pinned": True, "category": "Many"}})["outcomes"]
    assert [o["ok"] for o in got] == [True, False, False, True, False], got
    assert got[0]["key"] == "agent:main:s0" and got[1]["error"]["code"] == "INVALID_REQUEST", got
    rows = {r["key"]: r for r in c.ask("sessions.list", {"pinned": True})["sessions"]}
    assert set(rows) == {"agent:main:s0", "agent:main:s2"} and rows["agent:main:s0"]["category"] == "Many", rows
    got = c.ask("sessions.patchMany", {"targets": [{"key": "s3"}], "patch": {"nonsense": 1}})["outcomes"]
    assert not got[0]["ok"] and "nonsense" in got[0]["error"]["message"], got
    e = c.refused("sessions.patchMany", {"targets": [], "patch": {}})
    assert e.code == "INVALID_REQUEST", e


def test_search(t):
    g = t.gateway()
    c = g.client()
    for i in range(3):
        c.turn("s%d" % i, "the Needle of %d in the hay [fake ok chunks=1]" % i)
    c.turn("s1", "nothing here [fake ok chunks=1 text=NEEDLE]")
    got = c.ask("sessions.search", {"query": "needle"})
    assert len(got["results"]) == 5 and not got.get("truncated"), got
    assert [s["key"] for s in got["sessions"]] == ["agent:main:s1", "agent:main:s2", "agent:main:s0"], got["sessions"]
    first = got["results"][0]
    assert first["role"] == "assistant" and "NEEDLE" in first["snippet"], first
    msg = c.ask("chat.message.get", {"sessionKey": first["sessionKey"], "messageId": first["messageId"]})
    assert "NEEDLE" in text_of(msg["message"]), msg
    got = c.ask("sessions.search", {"query": "needle", "sessionKeys": ["s0"], "limit": 1})
    assert len(got["results"]) == 1 and got["results"][0]["sessionKey"] == "agent:main:s0", got
    c.ask("sessions.patch", {"key": "s2", "archived": True})
    got = c.ask("sessions.search", {"query": "needle of 2"})
    assert got["results"] == [] and got["archivedTranscriptsExcluded"] == 1, got
    assert len(c.ask("sessions.search", {"query": "needle of 2", "scope": {"archived": "all"}})["results"]) == 1
    e = c.refused("sessions.search", {"query": ""})
    assert e.code == "INVALID_REQUEST", e


def test_branches_and_steer(t):
    g = t.gateway()
    c = g.client()
    assert c.ask("sessions.branches.list", {"sessionKey": "none"}) == {"branches": []}
    run = c.send("main", "first one [fake ok chunks=2 gate=g at=1]")
    t.fake.wait("first one", "gated")
    got = c.ask("sessions.steer", {"key": "main", "message": "rather this [fake ok chunks=1]", "idempotencyKey": "st"})
    assert got["runId"] == "st" and got["interruptedActiveRun"], got
    assert c.chat(run, ("aborted",))
    c.chat("st", ("final",))
    branches = c.ask("sessions.branches.list", {"sessionKey": "main"})["branches"]
    last = c.history("main")[-1]
    assert len(branches) == 1 and branches[0]["active"] and branches[0]["leafEntryId"] == last["__openclaw"]["id"], branches
    assert branches[0]["messageCount"] == len(c.history("main")), branches


def test_lookups(t):
    g = t.gateway()
    c = g.client()
    c.ask("sessions.patch", {"key": "s1", "label": "One"})
    sid = c.ask("sessions.describe", {"key": "s1"})["session"]["sessionId"]
    for params in ({"label": "One"}, {"sessionId": sid}, {"key": "s1"}, {"label": "One", "sessionId": sid}):
        assert c.ask("sessions.resolve", params)["key"] == "agent:main:s1", params
    e = c.refused("sessions.resolve", {"label": "Two"})
    assert e.message == "No session found: Two", e
    assert c.ask("sessions.resolve", {"label": "Two", "sessionId": sid, "allowMissing": True}) == {"ok": False}
    c.ask("sessions.patch", {"key": "s1", "label": "Two"})
    assert c.ask("sessions.resolve", {"label": "One", "allowMissing": True}) == {"ok": False}
    c.ask("sessions.delete", {"key": "s1"})
    assert c.ask("sessions.resolve", {"sessionId": sid, "allowMissing": True}) == {"ok": False}


def test_fork(t):
    """The beginning of a transcript as another session; both go on by themselves, also after a kill."""
    g = t.gateway()
    c = g.client()
    for i in range(3):
        c.turn("s0", "message %d [fake ok chunks=1 text=answer%d]" % (i, i))
    before = c.history("s0")
    users = [m for m in before if m["role"] == "user"]
    got = c.ask("sessions.fork", {"sessionKey": "s0", "entryId": users[2]["__openclaw"]["id"]})
    key = got["sessionKey"]
    assert got["editorText"] == "message 2 [fake ok chunks=1 text=answer2]", got
    copy = c.history(key)
    assert [text_of(m) for m in copy] == [text_of(m) for m in before[:4]], copy
    assert not {m["__openclaw"]["id"] for m in copy} & {m["__openclaw"]["id"] for m in before}
    row = c.ask("sessions.describe", {"key": key})["session"]
    assert row["parentSessionKey"] == "agent:main:s0" and row["forkedFromParent"], row
    old = g.kill("hub")
    g.wait_replaced("hub", old)
    c = g.client_soon()
    c.turn(key, "another end [fake ok chunks=1]")
    assert len(c.history(key)) == 6 and len(c.history("s0")) == 6
    last = c.history("s0")[-1]["__openclaw"]["id"]
    got = c.ask("sessions.fork", {"sessionKey": "s0", "entryId": last})
    assert len(c.history(got["sessionKey"])) == 6 and "editorText" not in got, got
    e = c.refused("sessions.fork", {"sessionKey": key, "entryId": last})
    assert "no such message" in e.message, e


def test_usage(t):
    g = t.gateway()
    c = g.client()
    for i in range(2):
        c.turn("s0", "message %d [fake ok chunks=3]" % i)
    points = c.ask("sessions.usage.timeseries", {"key": "s0"})["points"]
    assert len(points) == 2 and points[0]["timestamp"] <= points[1]["timestamp"], points
    assert points[0]["output"] > 0 and points[1]["cumulativeTokens"] == sum(p["totalTokens"] for p in points), points
    logs = c.ask("sessions.usage.logs", {"key": "s0", "limit": 3})["logs"]
    assert [l["role"] for l in logs] == ["assistant", "user", "assistant"], logs
    assert logs[0]["tokens"] == points[0]["totalTokens"] and "tokens" not in logs[1], logs
    e = c.refused("sessions.usage.logs", {"key": "none"})
    assert e.message == "No session found: none", e


def imported(c, key, messages):
    for at in range(0, len(messages), 300):
        got = c.ask("import.session", {
            "session": {"key": "agent:main:" + key, "sessionId": "id-" + key, "updatedAt": messages[-1]["ts"]},
            "from": at, "messages": messages[at:at + 300]})
        assert got["ok"], got


def used(i, ts, tokens):
    """A message of a model that says what it used."""
    return {"id": "m%d-%d" % (ts, i), "role": "assistant", "ts": ts, "text": json.dumps({
        "role": "assistant", "content": [{"type": "text", "text": "x"}], "provider": "p", "model": "m%d" % (i % 2),
        "usage": {"input": tokens, "output": 1, "cacheRead": 0, "cacheWrite": 0, "totalTokens": tokens + 1,
                  "cost": {"input": 0.5, "output": 0.25, "cacheRead": 0, "cacheWrite": 0, "total": 0.75}},
        "timestamp": ts, "__openclaw": {"id": "m%d-%d" % (ts, i)}}, separators=(",", ":"))}


def test_usage_report(t):
    g = t.gateway()
    c = g.client()
    day, last = 86400000, 1772366400000  # 2026-03-01T12:00Z
    imported(c, "big", [used(i, last - day * (2 - i // 200), i) for i in range(600)])  # 200 a day
    imported(c, "small", [used(0, last, 7)])
    imported(c, "old", [used(0, last - 60 * day, 1000)])
    asked = {"startDate": "2026-02-28", "endDate": "2026-03-01", "mode": "utc"}
    got = c.ask("sessions.usage", asked)
    assert [s["key"] for s in got["sessions"]] == ["agent:main:big", "agent:main:small"] or \
        [s["key"] for s in got["sessions"]] == ["agent:main:small", "agent:main:big"], got["sessions"]
    big = [s for s in got["sessions"] if s["key"] == "agent:main:big"][0]["usage"]
    assert big["messageCounts"]["assistant"] == 400 and big["input"] == sum(range(200, 600)) and big["output"] == 400, big
    assert big["activityDates"] == ["2026-02-28", "2026-03-01"] and big["totalCost"] == 300, big
    assert [d["messages"] for d in big["dailyBreakdown"]] == [200, 200], big
    totals, agg = got["totals"], got["aggregates"]
    assert totals["input"] == big["input"] + 7 and totals["totalCost"] == 300.75 and totals["missingCostEntries"] == 0, totals
    assert agg["sessionCount"] == 2 and agg["messages"]["total"] == 401, agg
    assert {(m["provider"], m["model"]): m["count"] for m in agg["byModel"]} == {("p", "m0"): 201, ("p", "m1"): 200}, agg
    assert [p["count"] for p in agg["byProvider"]] == [401] and agg["byAgent"][0]["totals"]["input"] == totals["input"], agg
    assert [(d["date"], d["messages"]) for d in agg["daily"]] == [("2026-02-28", 200), ("2026-03-01", 201)], agg
    assert sum(d["totalTokens"] for d in agg["costDaily"]) == totals["totalTokens"], agg
    assert sum(d["tokens"] for d in agg["modelDaily"]) == totals["totalTokens"], agg
    one = c.ask("sessions.usage", dict(asked, key="small"))
    assert one["totals"]["input"] == 7 and len(one["sessions"]) == 1, one
    assert len(c.ask("sessions.usage", dict(asked, limit=1))["sessions"]) == 1
    late = c.ask("sessions.usage", dict(asked, mode="specific", utcOffset="UTC+13", startDate="2026-03-02", endDate="2026-03-02"))
    assert late["totals"]["input"] == sum(range(400, 600)) + 7, late["totals"]  # there it is the next day
    assert c.ask("sessions.usage", {"agentId": "main", "range": "7d"})["totals"]["totalTokens"] == 0
    for params, word in (({"startDate": "2026-02-31"}, "no such day"), ({"utcOffset": "Mars"}, "utcOffset"),
                         ({"startDate": "2026-03-02", "endDate": "2026-03-01"}, "after endDate")):
        e = c.refused("sessions.usage", params)
        assert e.code == "INVALID_REQUEST" and word in e.message, e
    points = c.ask("sessions.usage.timeseries", {"key": "small"})["points"]
    assert points[0]["cost"] == 0.75 and points[0]["cumulativeTokens"] == 8, points


def test_storage(t):
    g = t.gateway()
    c = g.client()
    imported(c, "gone", [used(i, 1772366400000, 1) for i in range(1200)])
    imported(c, "kept", [used(0, 1772366400001, 1)])
    before = c.ask("sessions.storage.status")
    assert before["agents"][0]["hotTranscripts"] == 2 and before["agents"][0]["databaseBytes"] > 0, before
    assert before["maintenance"]["running"] is False and before["maintenance"]["lastStartedAt"] is None, before
    c.ask("sessions.delete", {"key": "gone"})
    after = c.ask("sessions.storage.run")
    assert after["agents"][0]["hotTranscripts"] == 1 and after["maintenance"]["lastCompletedAt"] > 0, after
    assert after["maintenance"]["running"] is False and after["maintenance"]["lastError"] is None, after
    got = c.ask("sessions.cleanup", {"enforce": True})
    assert got["beforeCount"] == got["afterCount"] == 1 and got["wouldMutate"] is False, got
    e = c.refused("sessions.cleanup", {"agent": "nobody"})
    assert "unknown agent" in e.message, e
