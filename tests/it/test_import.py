"""openclawctl import: homes of two generations, made here in their formats; taken once, whatever happens in between."""
import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import threading
import time

from client import text_of

SESSION = "5f1d1b1e-0000-4000-8000-00000000000%d"


def ctl(t, g, *args, code=0, env=None):
    p = subprocess.run([os.path.join(g.build, "openclawctl"), "--url", "ws://127.0.0.1:%d" % g.port, "--token",
                        g.token, "--state-dir", g.state_dir, *args], stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, timeout=60, env=dict(os.environ, **(env or {})))
    assert p.returncode == code, (p.returncode, p.stdout.decode()[-600:], p.stderr.decode()[-600:])
    return p.stdout.decode()


def take(t, g, home, *more):
    return json.loads(ctl(t, g, "import", home, "--json", *more))


def message(n, role, text, parent, **more):
    content = text if role == "user" else [{"type": "text", "text": text}]
    return {"type": "message", "id": "%08x" % n, "parentId": parent, "timestamp": "2026-03-01T10:00:%02d.500Z" % (n % 60),
            "message": dict({"role": role, "content": content, "timestamp": 1772359200000 + n}, **more)}


def talk(n, first=1):
    out, parent = [], None
    for i in range(first, first + n):
        out.append(message(i, "user" if i % 2 else "assistant", "words %d" % i, parent, **({} if i % 2 else {"stopReason": "stop"})))
        parent = "%08x" % i
    return out


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)


def lines(docs):
    return "".join(json.dumps(d) + "\n" for d in docs)


DEVICE = {"deviceId": hashlib.sha256(bytes(32)).hexdigest(), "publicKey": "A" * 43, "displayName": "phone", "platform": "ios",
          "clientId": "openclaw-ios", "clientMode": "ui", "role": "operator", "roles": ["operator"],
          "scopes": ["operator.read", "operator.write"], "tokens": {"operator": {"token": "x"}}, "createdAtMs": 5,
          "approvedAtMs": 6}
JOB = {"id": "job-1", "name": "daily", "enabled": True, "schedule": {"kind": "cron", "expr": "0 9 * * *"},
       "payload": {"kind": "systemEvent", "text": "hi"}, "sessionTarget": "main", "wakeMode": "now"}


def old_home(folder, n=6):
    """As 2026.3 leaves it."""
    home = os.path.join(folder, "old")
    sessions = os.path.join(home, "agents", "main", "sessions")
    tools = [message(1, "user", "look it up", None),
             {"type": "message", "id": "00000002", "parentId": "00000001", "timestamp": "2026-03-01T10:00:01Z",
              "message": {"role": "assistant", "content": [{"type": "toolCall", "id": "c1", "name": "read", "arguments": {}}]}},
             {"type": "message", "id": "00000003", "parentId": "00000002", "timestamp": "2026-03-01T10:00:02Z",
              "message": {"role": "toolResult", "toolCallId": "c1", "toolName": "read", "content": [{"type": "text", "text": "found"}]}},
             message(4, "assistant", "there it is", "00000003"),
             message(5, "user", "an attempt that was given up", "00000004"),
             {"type": "compaction", "id": "00000006", "parentId": "00000004", "timestamp": "2026-03-01T10:00:03Z",
              "summary": "they looked it up", "firstKeptEntryId": "00000004", "tokensBefore": 4000},
             message(7, "user", "and now", "00000006")]
    write(os.path.join(sessions, "sessions.json"), json.dumps({
        "agent:main:main": {"sessionId": SESSION % 1, "updatedAt": 1772359300000, "totalTokens": 50, "inputTokens": 40},
        "agent:main:tools": {"sessionId": SESSION % 2, "updatedAt": 1772359400000, "label": "Tools", "displayName": "Tools"},
        "agent:main:gone": {"sessionId": SESSION % 3, "updatedAt": 1772359000000},
        "agent:main:odd": {"sessionId": "../../etc/passwd", "updatedAt": 1}}))
    write(os.path.join(sessions, SESSION % 1 + ".jsonl"),
          lines([{"type": "session", "version": 3, "id": SESSION % 1, "timestamp": "2026-03-01T10:00:00Z"}] + talk(n) +
                [{"type": "model_change", "id": "ff", "parentId": "%08x" % n, "timestamp": "2026-03-01T10:00:00Z"}]) + '{"type":"mess')
    write(os.path.join(sessions, SESSION % 2 + ".jsonl"), lines(tools))
    write(os.path.join(home, "cron", "jobs.json"), json.dumps({"version": 1, "jobs": [JOB]}))
    write(os.path.join(home, "devices", "paired.json"), json.dumps({DEVICE["deviceId"]: DEVICE}))
    write(os.path.join(home, "credentials", "x.json"), "{}")
    write(os.path.join(home, "openclaw.json"), "{gateway: {mode: 'local'}}")
    return home


def new_home(folder):
    """As 2026.9 leaves it: databases, one of them with a log that was not written back."""
    home = os.path.join(folder, "new")
    path = os.path.join(home, "agents", "main", "agent", "openclaw-agent.sqlite")
    os.makedirs(os.path.dirname(path))
    db = sqlite3.connect(path)
    db.executescript("PRAGMA journal_mode=WAL; CREATE TABLE session_nodes (session_key TEXT PRIMARY KEY, "
                     "current_session_id TEXT, entry_json TEXT, updated_at INTEGER); CREATE TABLE transcript_events "
                     "(session_id TEXT, seq INTEGER, event_json TEXT, event_zstd BLOB);")
    db.execute("INSERT INTO session_nodes VALUES (?,?,?,?)", ("agent:main:main", SESSION % 4, json.dumps(
        {"sessionId": SESSION % 4, "updatedAt": 1772359300000, "createdAt": 1772359200000}), 1))
    for i, e in enumerate(talk(4)):
        db.execute("INSERT INTO transcript_events VALUES (?,?,?,NULL)", (SESSION % 4, i + 1, json.dumps(e)))
    db.execute("INSERT INTO transcript_events VALUES (?,?,NULL,?)", (SESSION % 4, 9, b"zzz"))
    db.commit()
    state = os.path.join(home, "state", "openclaw.sqlite")
    os.makedirs(os.path.dirname(state))
    s = sqlite3.connect(state)
    s.executescript("CREATE TABLE cron_jobs (job_id TEXT, job_json TEXT); CREATE TABLE device_pairing_paired (device_id, public_key, "
                    "display_name, operator_label, platform, device_family, client_id, client_mode, role, roles_json, scopes_json, "
                    "approved_scopes_json, created_at_ms INTEGER, approved_at_ms INTEGER, last_seen_at_ms INTEGER);")
    s.execute("INSERT INTO cron_jobs VALUES (?,?)", ("job-1", json.dumps(JOB)))
    s.execute("INSERT INTO cron_jobs VALUES (?,?)", ("own", json.dumps(dict(JOB, declarationKey="heartbeat"))))
    s.execute("INSERT INTO device_pairing_paired VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
              (DEVICE["deviceId"], DEVICE["publicKey"], "phone", None, "ios", None, "openclaw-ios", "ui", "operator",
               '["operator"]', '["operator.read"]', None, 5, 6, None))
    s.commit()
    s.close()
    return home, db  # as long as it is open its log stays


def snapshot(home):
    out = {}
    for root, dirs, files in os.walk(home):
        for f in files:
            p = os.path.join(root, f)
            st = os.stat(p)
            out[p] = (st.st_mtime_ns, st.st_size, open(p, "rb").read())
    return out


def test_old_home(t):
    g = t.gateway()
    c = g.client()
    home = old_home(t.folder)
    before = snapshot(home)
    dry = take(t, g, home, "--dry-run")
    assert (dry["sessions"], dry["messages"], dry["cronJobs"], dry["devices"]) == (3, 12, 1, 1), dry
    assert c.ask("sessions.list", {})["sessions"] == []
    got = take(t, g, home)
    assert (got["sessions"], got["messages"], got["messagesKnown"], got["cronJobs"], got["devices"]) == (3, 12, 0, 1, 1), got
    assert got["linesLeft"] == {"broken": 1, "notMessages": 1, "otherBranches": 1}, got["linesLeft"]
    left = {l["what"].split("/")[-1]: l["why"] for l in got["left"]}
    assert "agent:main:odd" in left and "agent:main:gone" in left and "credentials" in left, left
    assert [text_of(m) for m in c.history("agent:main:main")] == ["words %d" % i for i in range(1, 7)]
    assert c.history("agent:main:main")[0]["timestamp"] == 1772359200001
    h = c.history("agent:main:tools")
    assert [m["role"] for m in h] == ["user", "assistant", "toolResult", "assistant", "system", "user"], h
    assert h[4]["__openclaw"]["kind"] == "compaction" and h[4]["__openclaw"]["firstKeptSeq"] == 4, h[4]
    row = [r for r in c.ask("sessions.list", {})["sessions"] if r["key"] == "agent:main:tools"][0]
    assert row["label"] == "Tools" and row["updatedAt"] == 1772359400000 and row["sessionId"] == SESSION % 2, row
    assert [d["deviceId"] for d in c.ask("device.pair.list")["paired"]] == [DEVICE["deviceId"]]
    again = take(t, g, home)
    assert (again["sessions"], again["messages"], again["messagesKnown"]) == (3, 0, 12), again
    assert (again["cronJobsKnown"], again["devicesKnown"]) == (1, 1), again
    assert snapshot(home) == before, "the source was written to"
    # the conversation goes on where it was, tools' results and what was summarised are not told
    run, end = c.turn("agent:main:tools", "go on here [fake ok chunks=2]")
    assert end["state"] == "final", end
    assert t.fake.calls("go on here")[0]["roles"][-4:] == ["user", "assistant", "user", "user"], t.fake.calls("go on here")
    # and what has lived here is not touched any more
    grown = old_home(os.path.join(t.folder, "later"), n=8)
    third = take(t, g, grown)
    assert third["messages"] == 2, third
    assert [text_of(m) for m in c.history("agent:main:main")][-1] == "words 8"
    path = os.path.join(grown, "agents", "main", "sessions", SESSION % 2 + ".jsonl")
    with open(path, "a") as f:
        f.write(lines([message(8, "assistant", "said over there", "00000007")]))
    fourth = take(t, g, grown)
    assert any(l["why"] == "the session has gone on here" for l in fourth["left"]), fourth


def test_new_home(t):
    g = t.gateway()
    c = g.client()
    home, db = new_home(t.folder)
    before = snapshot(home)
    got = take(t, g, home)
    assert (got["sessions"], got["messages"], got["cronJobs"], got["devices"]) == (1, 4, 1, 1), got
    assert got["linesLeft"]["broken"] == 1, got
    assert [text_of(m) for m in c.history("agent:main:main")] == ["words %d" % i for i in range(1, 5)]
    assert any("for itself" in l["why"] for l in got["left"]), got["left"]
    assert snapshot(home) == before, "the source was written to"
    assert take(t, g, home)["messages"] == 0
    db.close()
    assert not [n for n in os.listdir("/tmp") if n.startswith("openclaw-import-")]


def test_a_session_that_is_here(t):
    g = t.gateway()
    c = g.client()
    c.turn("agent:main:main", "this is mine [fake ok chunks=2]")
    got = take(t, g, old_home(t.folder))
    assert got["sessions"] == 2 and got["sessionsLeft"] == 1, got
    assert [text_of(m)[:12] for m in c.history("agent:main:main")][0] == "this is mine"


def test_while_it_serves_and_dies(t):
    """A large home comes in while people talk and the hub is killed: everything is there once."""
    g = t.gateway()
    c = g.client()
    home = old_home(t.folder, n=6000)
    done = threading.Event()
    out = []

    def go():
        while not done.is_set():
            p = subprocess.run([os.path.join(g.build, "openclawctl"), "--url", "ws://127.0.0.1:%d" % g.port, "--token", g.token,
                                "--state-dir", g.state_dir, "import", home, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            if p.returncode == 0:
                out.append(json.loads(p.stdout))
                return
            time.sleep(0.1)
    th = threading.Thread(target=go)
    th.start()
    for i in range(3):
        assert c.turn("agent:main:talk", "meanwhile %d [fake ok chunks=2]" % i)[1]["state"] == "final"
        old = g.kill("hub")
        g.wait_replaced("hub", old)
        c = g.client_soon()
    th.join(60)
    done.set()
    assert out, "the import never ended"
    seen, offset = [], 0
    while True:
        page = c.ask("chat.history", {"sessionKey": "agent:main:main", "limit": 1000, "offset": offset})
        seen = page["messages"] + seen
        if not page["hasMore"]:
            break
        offset = page["nextOffset"]
    assert [text_of(m) for m in seen] == ["words %d" % i for i in range(1, 6001)], len(seen)


def test_nothing_there(t):
    g = t.gateway()
    ctl(t, g, "import", os.path.join(t.folder, "nowhere"), code=1)
    ctl(t, g, "import", code=2)
    ctl(t, g, "import", "a", "b", code=2)
    empty = os.path.join(t.folder, "empty")
    os.makedirs(empty)
    assert take(t, g, empty)["sessions"] == 0
