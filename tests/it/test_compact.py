"""Long sessions: summaries before and after a model says that it is too much, and whoever dies meanwhile."""
import os
import signal
import time

from client import TERMINAL, text_of
from gateway import config_for, until

S = "agent:main:long"
SUMMARY = "Below is the older part of a conversation"
WORDS = " ".join("lorem%d ipsum dolor sit amet" % i for i in range(60))


def config(t, window=3000, **compaction):
    doc = config_for(t.fake.url)
    for m in doc["models"]["providers"]["mock"]["models"]:
        m["contextWindow"] = window
    doc["agents"]["defaults"]["compaction"] = compaction
    return doc


def records(c, session=S):
    return [m for m in c.history(session) if (m.get("__openclaw") or {}).get("kind") == "compaction"]


def fill(c, n, first=0, words=WORDS):
    for i in range(first, first + n):
        run, end = c.turn(S, "message number %d. %s [fake ok chunks=3]" % (i, words))
        assert end["state"] == "final", end


def streams(c, run):
    return [p["data"] for p in c.events("agent") if p.get("runId") == run and p.get("stream") == "compaction"]


def test_before_it_is_too_much(t):
    c = t.gateway(config(t)).client()
    fill(c, 8)
    asked = t.fake.calls(SUMMARY)
    got = records(c)
    assert asked and len(got) == len(asked), (len(asked), got)
    assert got[0]["role"] == "system" and text_of(got[0]) == "Compaction", got[0]
    assert got[0]["__openclaw"]["tokensBefore"] > got[0]["__openclaw"]["tokensAfter"] > 0, got[0]
    last = t.fake.calls("message number 7")
    last = [r for r in last if SUMMARY not in r["prompt"]][0]
    assert last["roles"][0] in ("user", "system"), last["roles"]
    assert len(last["roles"]) < 12, last["roles"]
    runs = {p["runId"] for p in c.events("agent") if p.get("stream") == "compaction"}
    assert runs
    for run in runs:
        assert [d["phase"] for d in streams(c, run)] in (["start", "end"], ["start", "end"] * 2), streams(c, run)
        assert streams(c, run)[-1]["completed"] is True
        assert [p for p in c.chats(run) if p.get("phase") == "memory_flushing"]
        assert [p["state"] for p in c.chats(run) if p["state"] in TERMINAL] == ["final"]
    # everything that was said is still there, once
    said = [text_of(m) for m in c.history(S) if m["role"] == "user"]
    assert [s.split(".")[0] for s in said] == ["message number %d" % i for i in range(8)], said


def test_switched_off(t):
    c = t.gateway(config(t, enabled=False)).client()
    fill(c, 8)
    assert not t.fake.calls(SUMMARY) and not records(c)
    assert len(t.fake.calls("message number 7")[0]["roles"]) < 12


def test_the_model_refuses_its_length(t):
    c = t.gateway(config(t, window=200000)).client()
    fill(c, 3, words="short")
    run, end = c.turn(S, "this one is refused at first [fake 400 times=1 chunks=2]")
    assert end["state"] == "final", end
    assert len(t.fake.calls(SUMMARY)) == 1 and len(records(c)) == 1
    assert [d["phase"] for d in streams(c, run)] == ["start", "end"], streams(c, run)
    calls = t.fake.calls("this one is refused")
    assert len(calls) == 2 and len(calls[1]["roles"]) < len(calls[0]["roles"]), calls
    assert [m["role"] for m in c.history(S)][-3:] == ["user", "system", "assistant"]


def test_nothing_left_to_summarise(t):
    c = t.gateway(config(t, window=200000)).client()
    run, end = c.turn(S, "too long from the start [fake 400]")
    assert end["state"] == "error" and end["errorKind"] == "context_length", end
    assert not records(c) and not t.fake.calls(SUMMARY)
    assert c.turn(S, "short and good [fake ok chunks=2]")[1]["state"] == "final"


def test_refused_again_and_again(t):
    c = t.gateway(config(t, window=200000)).client()
    fill(c, 4, words="short")
    run, end = c.turn(S, "refused for ever [fake 400]")
    assert end["state"] == "error" and end["errorKind"] == "context_length", end
    assert len([r for r in t.fake.calls("refused for ever") if SUMMARY not in r["prompt"]]) <= 4


def test_a_failed_summary_near_the_limit(t):
    c = t.gateway(config(t, model="nowhere/mock-1")).client()
    fill(c, 8)
    assert not records(c)
    ends = [p["data"] for p in c.events("agent") if p.get("stream") == "compaction" and p["data"]["phase"] == "end"]
    assert ends and not any(d["completed"] for d in ends), ends
    last = [r for r in t.fake.calls("message number 7") if SUMMARY not in r["prompt"]][0]
    assert len(last["roles"]) < 12, last


def test_a_failed_summary_when_refused(t):
    c = t.gateway(config(t, window=200000, model="nowhere/mock-1")).client()
    fill(c, 3, words="short")
    before = c.history(S)
    run, end = c.turn(S, "refused and no summary [fake 400 times=1]")
    assert end["state"] == "error" and end["errorKind"] == "context_length", end
    assert "maximum context length" in end["errorMessage"], end
    assert c.history(S)[:len(before)] == before and not records(c)
    assert c.turn(S, "go on [fake ok chunks=2]")[1]["state"] == "final"


def test_on_demand(t):
    c = t.gateway(config(t, window=200000)).client()
    c.ask("sessions.subscribe")
    assert c.ask("sessions.compact", {"key": S}) == {"ok": True, "key": S, "compacted": False, "reason": "no sessionId"}
    fill(c, 1, words="short")
    assert c.ask("sessions.compact", {"key": S})["reason"] == "Nothing to compact (session too small)"
    fill(c, 3, 1, words="short")
    got = c.ask("sessions.compact", {"key": S})
    assert got["ok"] and got["compacted"] and got["result"]["tokensAfter"] > 0, got
    c.event(lambda f: f["event"] == "sessions.changed" and f["payload"].get("reason") == "compact", "sessions.changed")
    assert len(records(c)) == 1
    row = c.ask("sessions.describe", {"key": S})["session"]
    assert row["compactionCount"] == 1, row
    fill(c, 1, 4, words="short")
    last = t.fake.calls("message number 4")[0]
    assert len(last["roles"]) <= 6, last["roles"]


def test_max_lines(t):
    c = t.gateway().client()
    fill(c, 5, words="short")
    assert c.ask("sessions.compact", {"key": S, "maxLines": 10}) == \
        {"ok": True, "key": S, "compacted": False, "kept": 10}
    assert c.ask("sessions.compact", {"key": S, "maxLines": 4}) == \
        {"ok": True, "key": S, "compacted": True, "kept": 4}
    h = c.ask("chat.history", {"sessionKey": S})
    assert len(h["messages"]) == h["totalMessages"] == 4 and not h["hasMore"], h
    assert text_of(h["messages"][0]).startswith("message number 3"), h
    assert len(c.ask("sessions.get", {"key": S})["messages"]) == 4
    assert c.ask("sessions.compact", {"key": S, "maxLines": 4})["kept"] == 4
    fill(c, 1, 5, words="short")
    roles = [r for r in t.fake.calls("message number 5")[0]["roles"] if r != "system"]
    assert len(roles) == 5, roles


def test_one_message_longer_than_the_cache(t):
    c = t.gateway(config(t, window=200000)).client()
    fill(c, 2, words="short")
    end = c.turn(S, "huge [fake ok chunks=2] " + "word " * 1200000, timeout=30)[1]
    assert end["state"] == "final", end
    got = [r for r in t.fake.calls("huge") if SUMMARY not in r["prompt"]]
    assert len(got) == 1 and len(got[0]["prompt"]) > 6000000, (len(got), len(got[0]["prompt"]))
    assert c.turn(S, "and on [fake ok chunks=2]")[1]["state"] == "final"


def gated(t, g, c, n=0):
    """A turn that waits for a summary that does not come."""
    fill(c, 4)
    t.fake.control(fault="ok", chunks="3", gate="sum")
    run = c.send(S, "message number 4. %s" % WORDS)
    t.fake.wait(SUMMARY, "gated")
    return run


def test_abort_meanwhile(t):
    g = t.gateway(config(t))
    c = g.client()
    run = gated(t, g, c)
    assert c.ask("chat.abort", {"sessionKey": S})["runIds"] == [run]
    assert c.chat(run, TERMINAL)["state"] == "aborted"
    t.fake.wait(SUMMARY, "gone")
    t.fake.control()
    assert not records(c)
    fill(c, 1, 5)
    assert records(c), c.history(S)


def test_reset_meanwhile(t):
    g = t.gateway(config(t, window=200000))
    c = g.client()
    fill(c, 4, words="short")
    t.fake.control(fault="ok", chunks="3", gate="sum")
    request = c.start("sessions.compact", {"key": S})
    t.fake.wait(SUMMARY, "gated")
    c.ask("sessions.reset", {"key": S})
    assert c.answer(request)["payload"]["compacted"] is False
    t.fake.control()
    t.fake.gate("sum")
    assert c.history(S) == []
    fill(c, 1)
    assert [m["role"] for m in c.history(S)] == ["user", "assistant"]


def test_a_message_meanwhile(t):
    """It waits for the summary that somebody asked for, then it is answered."""
    c = t.gateway(config(t, window=200000)).client()
    fill(c, 4, words="short")
    t.fake.control(fault="ok", chunks="3", gate="sum")
    request = c.start("sessions.compact", {"key": S})
    t.fake.wait(SUMMARY, "gated")
    run = c.send(S, "said while it is summarised")
    assert not t.fake.calls("said while it")
    t.fake.control()
    t.fake.gate("sum")
    assert c.answer(request)["payload"]["compacted"] is True
    assert c.chat(run, TERMINAL)["state"] == "final"
    assert len(t.fake.calls("said while it")) == 1


def test_kill(t, kind):
    g = t.gateway(config(t))
    c = g.client()
    run = gated(t, g, c)
    old = g.kill(kind)
    t.fake.control()
    t.fake.gate("sum")
    if kind in ("supervisor", "all"):
        if kind == "supervisor":
            g.proc.wait()
            time.sleep(0.5)
        g.start()
        c = g.client()
    else:
        g.wait_replaced(kind, old)
        c = g.client_soon()
    done = c.ask("agent.wait", {"runId": run, "timeoutMs": 20000}, timeout=30)
    assert done["status"] == "ok", done
    h = c.history(S)
    assert [text_of(m).split(".")[0] for m in h if m["role"] == "user"] == \
        ["message number %d" % i for i in range(5)], h
    assert [m["role"] for m in h if m["role"] != "system"] == ["user", "assistant"] * 5, h
    assert len(records(c)) <= 2
    fill(c, 1, 5)


test_kill.params = [("hub",), ("agent",), ("all",)]


def test_kill_any_moment(t):
    """The hub dies a little later each time: the session is as it was or compacted, never in between."""
    g = t.gateway(config(t, window=200000))
    c = g.client()
    n = 4
    fill(c, n, words="short")
    for i in range(12):
        before = c.history(S)
        c.start("sessions.compact", {"key": S})
        time.sleep(0.004 * i)
        old = g.kill("hub")
        g.wait_replaced("hub", old)
        c = g.client_soon()
        after = c.history(S)
        assert after[:len(before)] == before, "what was said changed"
        assert len(after) <= len(before) + 1
        if len(after) > len(before):
            assert after[-1]["__openclaw"]["kind"] == "compaction"
        fill(c, 2, n, words="short")
        n += 2
