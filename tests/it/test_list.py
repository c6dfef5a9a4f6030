"""Lists of many sessions: pages fit together, and no call looks at all of them."""
import json

N = 4000


def fill(c, n=N):
    waiting = []
    for i in range(n):
        waiting.append(c.start("import.session", {"session": {
            "key": "agent:main:s%d" % i, "sessionId": "id-%d" % i, "updatedAt": 1000000 + i,
            "displayName": "Rare one" if i % 1000 == 3 else "Common %d" % i, "archived": i % 10 == 7}, "messages": []}))
        if len(waiting) == 32:
            assert c.answer(waiting.pop(0))["payload"]["ok"]
    for w in waiting:
        assert c.answer(w)["payload"]["ok"]


def pages(c, **params):
    rows, calls, offset = [], 0, None
    while True:
        got = c.ask("sessions.list", dict(params, **({} if offset is None else {"offset": offset})))
        calls += 1
        assert got["count"] == len(got["sessions"]), got
        rows += [r["key"].split(":s")[1] for r in got["sessions"]]
        if not got["hasMore"]:
            assert got["nextOffset"] is None, got
            return [int(r) for r in rows], calls
        assert got["nextOffset"] > (offset or 0), got
        offset = got["nextOffset"]


def test_pages(t):
    c = t.gateway().client()
    fill(c)
    newest_first = list(range(N - 1, -1, -1))
    seen = [i for i in newest_first if i % 10 != 7]
    assert pages(c, limit=300)[0] == seen
    assert pages(c, limit=1000)[0] == seen
    assert pages(c, limit=1000, archived="all")[0] == newest_first
    rows, calls = pages(c, limit=1000, archived=True)
    assert rows == [i for i in newest_first if i % 10 == 7] and calls <= 4, calls
    rows, calls = pages(c, search="rare", limit=100)
    assert rows == [3003, 2003, 1003, 3] and calls == 3, (rows, calls)
    rows, calls = pages(c, search="nowhere")
    assert rows == [] and calls == 3, calls
    # an offset that a client counted itself
    got = c.ask("sessions.list", {"limit": 10, "offset": 3000})
    assert [int(r["key"].split(":s")[1]) for r in got["sessions"]] == seen[3000:3010], got
    got = c.ask("sessions.list", {"limit": 10, "offset": 20})
    assert got["nextOffset"] == 30 and got["totalCount"] == N, (got["nextOffset"], got["totalCount"])
    got = c.ask("sessions.list", {"limit": 10, "search": "common 39", "offset": 10})
    assert [int(r["key"].split(":s")[1]) for r in got["sessions"]] == \
        [i for i in seen if str(i).startswith("39") and i % 1000 != 3][10:20], got
    # over the end, and nonsense
    assert c.ask("sessions.list", {"offset": 10 ** 12 + 10 ** 9})["sessions"] == []
    assert c.ask("sessions.list", {"offset": 2 ** 53 - 1})["sessions"] == []
