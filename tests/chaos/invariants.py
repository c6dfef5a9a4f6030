"""The promises of the gateway, one function each: from the records to (summary, [(token or None, what is wrong)]).

A function that cannot judge (nothing of that kind was done) returns NotYet with the reason: never counted as passed.
"""
import collections
import statistics

from records import ECHO, LEFT_OUT, OUT, TOKEN


class NotYet(Exception):
    pass


def of_op(r, *ops):
    return [i for i in r.items.values() if i.op in ops and i.first is not None]


def is_solo(item):
    return "-r" in (item.session or "")


def sent_tokens(r):
    """token -> [(account, line)] of what the platforms accepted, sends and answers apart."""
    sends, answers = collections.defaultdict(list), collections.defaultdict(list)
    for account, p in r.platforms.items():
        for line in p["sent"]:
            text = line.get("text", "")
            for t in ECHO.findall(text) if text.endswith("over") else ():  # what broke off may come again with the next one
                answers[t].append((account, line))
            for t in OUT.findall(text):
                sends[t].append((account, line))
    return sends, answers


def held_tokens(r):
    """token -> state of deliveries that wait or were set aside."""
    out = {}
    for d in (r.live or {}).get("deliveries", []):
        for text in d.get("texts") or []:
            for t in TOKEN.findall(text):
                out[t] = d
    return out


def acked_inbound(r):
    out = set()
    for p in r.platforms.values():
        out |= {w[2:] for w in p["acked"] if w.startswith("u-")}
    return out


def cuts(r, session):
    """(tokens that must be there, tokens that may, tokens that must not) of a session touched by one operation at a time."""
    must, may, gone = [], [], []
    for t in r.solo[session]:
        i = r.items[t]
        if i.op in ("sessions.reset", "sessions.delete"):
            if i.acked is not None:
                gone += must + may
                must, may = [], []
            elif not i.refused:
                may, must = may + must, []
        elif i.op == "chat.send":
            (must if i.acked is not None else may).append(t)
    return must, may, gone


def no_loss(r):
    bad, n = [], 0
    sends, answers = sent_tokens(r)
    held = held_tokens(r)
    for i in of_op(r, "chat.send"):
        if i.acked is None or is_solo(i):
            continue
        n += 1
        if not r.users[i.token] and not i.aborted:
            bad.append((i.token, "chat.send acknowledged, not in the transcript of %s" % i.session))
    for s in list(r.solo):
        must, _may, _gone = cuts(r, s)
        n += len(must)
        bad += [(t, "acknowledged, not in the transcript of %s" % s) for t in must if not r.users[t]]
    for i in of_op(r, "webhook", "hook"):
        if i.acked is not None:
            n += 1
            if not r.users[i.token]:
                bad.append((i.token, "%s answered with 2xx, in no transcript" % i.op))
    acked = acked_inbound(r)
    for t in acked:
        if t in r.items and r.items[t].op == "webhook":
            continue
        n += 1
        if not r.users[t]:
            bad.append((t, "acknowledged to the platform, in no transcript"))
    for i in of_op(r, "send"):
        if i.acked is not None or "queued" in i.ends:
            n += 1
            if i.token not in sends and (i.acked is not None or i.token not in held):
                bad.append((i.token, "delivery accepted, neither at the platform nor set aside"))
    for t in r.echoes:  # what was answered to a person on a platform reached them
        i = r.items.get(t)
        if i and i.op in ("inbound", "webhook"):
            n += 1
            if t not in answers and t not in held:
                bad.append((t, "answered in the transcript, the answer is neither at the platform nor set aside"))
    wrong = registers(r)
    return "%d acknowledged inputs, %d lost" % (n, len(bad) + len(wrong)), bad + wrong


def registers(r):
    """Labels: the last acknowledged one holds, or one whose fate is unknown."""
    bad = []
    for session, tokens in r.solo.items():
        possible = {None}
        for t in tokens:
            i = r.items[t]
            if i.op == "sessions.describe":
                for e in i.events:
                    if e["phase"] == "ok" and e["reply"].get("label") not in possible and len(i.invokes) == 1:
                        bad.append((t, "label read as %r, must be one of %r" % (e["reply"].get("label"), sorted(map(str, possible)))))
            elif i.op == "sessions.patch" and not i.refused:
                possible = {t} if i.acked is not None else possible | {t}
            elif i.op == "sessions.delete" and not i.refused:
                possible = {None} if i.acked is not None else possible | {None}
        if session in r.sessions and r.sessions[session].get("label") not in possible:
            bad.append((tokens[-1], "label of %s is %r, must be one of %r" % (session, r.sessions[session].get("label"), sorted(map(str, possible)))))
        if session not in r.sessions and None not in possible:
            bad.append((tokens[-1], "%s is gone, its label was set" % session))
    return bad


def once_out(r):
    bad, repeats = [], 0
    sends, answers = sent_tokens(r)
    for account, p in r.platforms.items():
        repeats += len(p["repeated"])
        seen = collections.Counter((x.get("client"), x.get("part")) for x in p["sent"])
        for x in p["sent"]:
            if seen[x.get("client"), x.get("part")] > 1:
                t = (TOKEN.findall(x.get("text", "")) or [None])[0]
                seen[x.get("client"), x.get("part")] = 0
                bad.append((t, "accepted twice by %s under client id %s" % (account, x.get("client"))))
    for which in (sends, answers):
        for t, rows in which.items():
            if len(rows) > 1 and len({(a, x.get("client")) for a, x in rows}) > 1:
                bad.append((t, "at the platform %d times: %s" % (len(rows), sorted({a for a, _ in rows}))))
    bad += doubts(r)
    n = sum(len(p["sent"]) for p in r.platforms.values())
    return "%d messages at the platforms, %d seen twice; %d repeats with a client id that the platform knew" % (n, len(bad), repeats), bad


WHOLE = ("all", "twice", "supervisor", "power")


def doubts(r):
    """What is set aside because nobody knows: only where the process that had it died or stood still, or its platform said so."""
    bad = []
    for d in (r.live or {}).get("deliveries", []):
        if d["state"] != "unknown":
            continue
        tokens = [t for text in d.get("texts") or [] for t in TOKEN.findall(text)]
        items = [r.items[t] for t in tokens if t in r.items]
        since = min([i.first for i in items if i.first is not None], default=0)
        if any("[unknown" in (i.more.get("tag") or "") for i in items):
            continue
        who = "channel-fake %s" % d.get("accountId")
        if not any(f["t"] >= since and (f.get("fault") in WHOLE or f.get("who") == who and f.get("fault")) for f in r.faults):
            bad.append((tokens[0] if tokens else None, "delivery %s of %s is unknown, and its channel lived through it" % (d["id"], d.get("accountId"))))
    return bad


def idempotent(r):
    bad, n = [], 0
    for i in r.items.values():
        if len(i.invokes) < 2 or not i.key:
            continue
        n += 1
        for member in ("runId", "messageId"):
            said = {x[member] for x in i.replies if x.get(member)}
            if len(said) > 1:
                bad.append((i.token, "two answers to one key: %s" % sorted(said)))
    for t, places in r.users.items():
        if len(places) > 1:
            bad.append((t, "in the transcripts %d times: %s" % (len(places), places)))
    return "%d keys used more than once, %d with more than one effect" % (n, len(bad)), bad


def no_invention(r):
    bad, n = [], 0
    sends, answers = sent_tokens(r)
    known = {i.session for i in r.items.values()}
    for key, s in r.sessions.items():
        if key not in known:
            bad.append((None, "session %s was never asked for" % key))
        for m in s.get("messages") or []:
            n += 1
            if m["role"] == "user" and not m["text"].startswith(LEFT_OUT) and len(TOKEN.findall(m["text"])) != 1:
                bad.append((None, "%s: a message of no operation: %r" % (key, m["text"][:80])))
    for t, places in r.users.items():
        i = r.items.get(t)
        if not i or i.first is None:
            bad.append((t, "in %s, never submitted" % places))
        elif i.refused:
            bad.append((t, "refused, yet in %s" % places))
        elif i.session != places[0][0]:
            bad.append((t, "submitted to %s, found in %s" % (i.session, places[0][0])))
    for t in list(sends) + list(answers) + list(r.echoes):
        if t not in r.items:
            bad.append((t, "delivered or answered, never submitted"))
    for t, rows in sends.items():
        i = r.items.get(t)
        if i and i.refused and "[permanent]" in i.more.get("tag", ""):
            bad.append((t, "refused for good, yet at the platform"))
    for s in list(r.solo):
        bad += [(t, "in %s behind its reset" % s) for t in cuts(r, s)[2] if r.users[t]]
    return "%d entries looked at, %d of no operation" % (n, len(bad)), bad


def whole(r):
    bad, unknown = [], 0
    for i in of_op(r, "chat.send", "inbound"):
        if i.acked is None and not i.refused and i.op == "chat.send":
            unknown += 1
    said = {"chat.send": (" please", " solo", " probe"), "inbound": (" hello",), "webhook": (" hello",)}
    for t, places in r.users.items():
        i = r.items.get(t)
        for key, at in places:
            text = r.sessions[key]["messages"][at]["text"]
            if i and i.op == "hook" and t + " hooked" in text:
                continue  # it stands between what marks it as coming from outside
            if i and text not in [t + x for x in said.get(i.op, ())]:
                bad.append((t, "stored in part: %r" % text[:100]))
    for key, s in r.sessions.items():
        seqs = [m["seq"] for m in s.get("messages") or [] if m.get("seq")]
        if seqs and seqs != list(range(seqs[0], seqs[0] + len(seqs))):
            bad.append((None, "%s: entry numbers have a hole: %r" % (key, seqs[:40])))
        if s.get("total") is not None and len(s["messages"]) != s["total"] and s["total"] < 1000:
            bad.append((None, "%s: says %d entries, has %d" % (key, s["total"], len(s["messages"]))))
    for s in list(r.solo):
        _must, may, _gone = cuts(r, s)
        acked = [t for t in may if r.items[t].acked is not None]
        there = [t for t in acked if r.users[t]]
        if there and len(there) < len(acked):
            bad.append((acked[0], "%s: a reset of unknown fate took %d of %d messages" % (s, len(acked) - len(there), len(acked))))
    return "%d of unknown fate, %d applied in part" % (unknown, len(bad)), bad


def not_late(r):
    ttl = r.run.get("ttl_s")
    if not ttl:
        raise NotYet("the run sets no time to live")
    bad, n, latest = [], 0, 0
    for t, rows in sent_tokens(r)[0].items():
        i = r.items.get(t)
        for _a, line in rows:
            before = [x for x in i.invokes if x <= line.get("at", 0)] if i else []
            if before:
                n += 1
                age = line["at"] - before[-1]
                latest = max(latest, age)
                if age > ttl + 1:
                    bad.append((t, "delivered after %.1f s, lives %.0f s" % (age, ttl)))
    for d in (r.live or {}).get("deliveries", []):
        if d["state"] == "dead" and "chat not found" in (d.get("error") or "") and \
                d["attempts"] > (3 if r.breaks else 1):  # attempts whose word died with a worker count
            bad.append((None, "delivery %s failed for good and was tried %d times" % (d["id"], d["attempts"])))
    return "%d deliveries, the latest %.1f s after its request (lives %.0f s)" % (n, latest, ttl), bad


def in_order(places, item_of):
    """places: [(position, token)] ascending. One that was acknowledged before another was sent must not stand behind it."""
    bad, newest, whose = [], -1.0, None
    for _pos, t in places:
        i = item_of(t)
        if not i or i.first is None:
            continue
        if i.aborted:  # one that waited and is stopped goes into the transcript at once
            continue
        if i.acked is not None and newest > i.acked:
            bad.append((t, "stands behind %s, which was sent after this one was acknowledged" % whose))
        if i.first > newest:
            newest, whose = i.first, t
    return bad


def ordered(r):
    bad, n = [], 0
    for key, s in r.sessions.items():
        rows = [(at, TOKEN.findall(m["text"])[0]) for at, m in enumerate(s.get("messages") or [])
                if m["role"] == "user" and not m["text"].startswith(LEFT_OUT) and TOKEN.findall(m["text"])]
        n += len(rows)
        bad += [(t, "%s: %s" % (key, why)) for t, why in in_order(rows, r.items.get)]
    for t, echoes in r.echoes.items():
        for key, at in echoes:
            if r.users[t] and r.users[t][0][0] == key and r.users[t][0][1] > at:
                bad.append((t, "%s: answered before it was asked" % key))
    for account, p in r.platforms.items():
        to = collections.defaultdict(list)
        for at, line in enumerate(p["sent"]):
            ts = OUT.findall(line.get("text", ""))
            if ts:
                to[line["to"]].append((at, ts[0]))
        for target, rows in to.items():
            n += len(rows)
            bad += [(t, "%s to %s: %s" % (account, target, why)) for t, why in in_order(rows, r.items.get)]
        # what people wrote, in the order of the platform
        first, peers = {}, collections.defaultdict(list)
        for at, u in enumerate(p["updates"]):
            t = u.get("id", "u-")[2:]
            if t not in first and r.users.get(t):
                first[t] = at
                peers[u["peer"]["id"]].append((r.users[t][0][1], at, t))
        for peer, rows in peers.items():
            for (_, a, t), (_, b, u) in zip(sorted(rows), sorted(rows)[1:]):
                if a > b:
                    bad.append((u, "%s: written before %s, stands behind it" % (peer, t)))
    return "%d messages and deliveries, %d out of order" % (n, len(bad)), bad


def sequence(r):
    bad = [(None, "client %d: event %d instead of %d" % (e["client"], e["got"], e["want"])) for e in r.conns if e["phase"] == "seq"]
    bad += [(None, "client %d: answered twice: %s" % (e["client"], e["id"])) for e in r.conns if e["phase"] == "twice"]
    for e in r.conns:
        if e["phase"] in ("end-twice", "end-unheard"):
            bad.append((e["run"][2:] if e["run"][2:] in r.items else None, "client %d, on a connection that lives: %s" % (
                e["client"], "the end of the run came twice" if e["phase"] == "end-twice" else "the end of the run never came")))
    by_session, reads, invoked = collections.defaultdict(list), 0, {}
    for i in of_op(r, "chat.send"):
        if i.acked is not None and not i.aborted:
            by_session[i.session].append((i.acked, i.token))
    for e in r.others:
        if e["op"] != "chat.history":
            continue
        if e["phase"] == "invoke":
            invoked[e["token"]] = e
        elif e["phase"] == "ok" and e["token"] in invoked:
            reads += 1
            seen, at = set(e["reply"]["seen"]), invoked[e["token"]]
            missing = [t for acked, t in by_session[at["s"]] if acked < at["t"] and t not in seen]
            if missing:
                bad.append((missing[0], "acknowledged, not in the history read %.3f s later (%d missing)" %
                            (at["t"] - r.items[missing[0]].acked, len(missing))))
    conns = sum(e["phase"] == "open" for e in r.conns)
    return "%d connections, %d histories read, %d gaps or stale reads" % (conns, reads, len(bad)), bad


def one_run(r):
    bad, ok, failed, aborted = [], 0, 0, 0
    runs = collections.Counter(t for c in r.model if c["end"] == "ok" for t in c["tokens"])
    for t, places in r.users.items():
        i = r.items.get(t)
        n = len(r.echoes[t])
        if n > 1:
            bad.append((t, "answered %d times: %s" % (n, r.echoes[t])))
        elif n == 1:
            ok += 1
        elif i and (i.aborted or "-i" in (i.session or "")):
            aborted += 1
        else:
            key, at = places[0]
            rest = r.sessions[key]["messages"][at + 1:]
            if not any(m["role"] != "user" and m.get("stop") != "stop" for m in rest):
                bad.append((t, "%s: neither answered nor marked as failed" % key))
            failed += 1
    twice = sum(1 for n in runs.values() if n > 1)
    return "%d answered, %d failed visibly, %d aborted; the model answered %d more than once" % (ok, failed, aborted, twice), bad


def quantiles(values):
    v = sorted(values)
    return {"n": len(v), "p50": v[len(v) // 2], "p99": v[min(len(v) - 1, int(len(v) * 0.99))], "max": v[-1]} if v else {"n": 0}


def median(values):
    return statistics.median(values) if values else 0
