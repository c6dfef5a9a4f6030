"""The promises about processes, times and the end: I10 to I17. Same form as invariants.py."""
import collections

from invariants import NotYet, quantiles
from tree import class_of

CUT_S = 15  # a front that hangs is replaced within 5 s; its clients notice later on a busy machine
WHOLE = ("all", "all twice", "supervisor", "power")


def slack(r):
    """How much slower than promised this machine may be: 1 where times are judged, more where they are only shown."""
    return r.run.get("options", {}).get("slack", 1)


def blast_radius(r):
    bad, kills = [], [f for f in r.faults if f.get("fault")]
    last = {}
    lost = 0
    for e in r.conns:
        if e["phase"] == "open":
            last[e["client"]] = e
        elif e["phase"] == "drop":
            last.pop(e["client"], None)
        elif e["phase"] == "lost" and e["client"] in last:
            lost += 1
            opened = last.pop(e["client"])
            for f in kills:
                if not f["t"] - (0.2 if f["fault"] in WHOLE else 0.05) <= e["t"] <= f["t"] + CUT_S:
                    continue
                if (f["fault"] in WHOLE and opened["t"] <= f["t"] + 0.5) or (class_of(f.get("who", "")) == "front" and
                                           (e["port"] in (f.get("ports") or ()) or abs(opened["t"] - f["t"]) < 0.25)):
                    break
            else:
                bad.append((None, "client %d lost its connection (%s) at %.3f, and no front of its own was killed" %
                            (e["client"], e["why"], e["t"] - r.run["t0"])))
    return "%d connections lost with their front or the tree, %d others" % (lost - len(bad), len(bad)), bad


def recovery(r):
    """By class; pairs and hangs apart."""
    times = collections.defaultdict(list)
    never = []
    for f in r.faults:
        if "back_ms" not in f:
            continue
        kind = f["who"] if f["who"] in WHOLE else class_of(f["who"])
        if f["back_ms"] is None:
            never.append((None, "%s was not back after 12 s" % f["who"]))
        elif f.get("hung"):
            times["hung " + kind].append(f["back_ms"])
        elif f.get("pair"):
            times[kind + ", two deaths"].append(f["back_ms"])
        else:
            times[kind].append(f["back_ms"])
    return {k: quantiles(v) for k, v in sorted(times.items())}, never


def recovers(r):
    table, bad = recovery(r)
    if not table:
        raise NotYet("nothing was killed")
    k = slack(r)
    for kind, q in table.items():
        if kind.startswith("hung") or "deaths" in kind or "twice" in kind:
            continue
        for what, limit in (("p99", 500),) if kind in WHOLE else (("p50", 50), ("p99", 200), ("max", 1000)):
            if kind == "hub" and what == "p50":
                limit = 100
            if q["n"] >= 10 and q[what] > limit * k:
                bad.append((None, "%s: %s %.1f ms, promised %d ms%s" % (kind, what, q[what], limit, " times %g" % k if k != 1 else "")))
    return "; ".join("%s %.0f/%.0f/%.0f ms of %d" % (x, q["p50"], q["p99"], q["max"], q["n"]) for x, q in table.items()) + \
        " (p50/p99/max)", bad


def no_wedge(r):
    if not r.end:
        raise NotYet("the run did not reach its end")
    bad = []
    for which, left in (("drained_s", "left"), ("drained_again_s", "left_again")):
        if any(r.end[left].values()) or r.end[which] > 30 * slack(r):
            bad.append((None, "not worked off after %.1f s: %r" % (r.end[which], r.end[left])))
    for e in r.history:
        if e.get("wedge"):
            bad.append((e["token"], "no answer in 30 s"))
    bad += [(None, "said by the gateway: %s" % line[:300]) for line in r.complaints]
    for key, s in r.sessions.items():
        if s.get("active") or s.get("pending"):
            bad.append((None, "%s: still runs or waits" % key))
    for name, (anon, fds) in r.end["after"].items():
        anon0, fds0 = r.end["before"].get(name, (anon, fds))
        # fronts hold our clients' last connections, agents a pool of idle ones to the model
        if fds > fds0 + 5 + {"front": 48, "agent": 40}.get(class_of(name), 0):
            bad.append((None, "%s: %d descriptors, %d before" % (name, fds, fds0)))
    anon0, anon = (r.end[x]["supervisor"][0] for x in ("before", "after"))
    if anon > anon0 * 1.1 + 1024 and not any(f.get("fault") in WHOLE for f in r.faults):
        bad.append((None, "supervisor: %d KiB of memory, %d before" % (anon, anon0)))
    if set(r.end["after"]) != set(r.end["before"]):
        bad.append((None, "processes: %s, before %s" % (sorted(r.end["after"]), sorted(r.end["before"]))))
    if r.end["stop_code"] != 0:
        bad.append((None, "stopped with %r" % r.end["stop_code"]))
    return "worked off %.1f s after the end; supervisor %d -> %d KiB, %d -> %d descriptors" % (
        r.end["drained_s"], anon0, anon, r.end["before"]["supervisor"][1], r.end["after"]["supervisor"][1]), bad


def supervised(r):
    bad, loops, hangs = [], 0, []
    for f in r.faults:
        if "born" in f:
            loops += 1
            gaps = [b - a for a, b in zip(f["born"], f["born"][1:])]
            if len(gaps) > 5 and min(gaps[5:]) < 0.8:
                bad.append((None, "%s died again and again and was restarted after %.3f s" % (f["loop"], min(gaps[5:]))))
        if "loop_back_ms" in f and not f["alive"]:
            bad.append((None, "%s did not come back" % f["who"]))
        if "replaced_ms" in f:
            hangs.append(f["replaced_ms"])
            if f["replaced_ms"] > 5000 * slack(r):
                bad.append((None, "%s hung and was replaced after %d ms" % (f["who"], f["replaced_ms"])))
        if f.get("orphans_s", 0) > 1 * slack(r) or f.get("left"):
            bad.append((None, "workers outlived their supervisor by %.2f s (%r)" % (f["orphans_s"], f.get("left"))))
    if not loops and not hangs and not any("orphans_s" in f for f in r.faults):
        raise NotYet("no crash loop, no hang, no death of the supervisor in this run")
    return "%d crash loops, %d hangs replaced after at most %d ms" % (loops, len(hangs), max(hangs or [0])), bad


def no_drift(r):
    first, bad, n = {}, [], 0
    for s in r.samples:
        if "privileges" not in s:
            continue
        n += 1
        want = first.setdefault(s["class"], s["privileges"])
        if s["privileges"] != want:
            diff = {k: (want[k], s["privileges"][k]) for k in want if want[k] != s["privileges"].get(k)}
            bad.append((None, "%s %d differs from the first %s: %r" % (s["class"], s["pid"], s["class"], diff)))
        for k in ("CapPrm", "CapEff", "CapAmb"):
            if r.run.get("sanitized"):  # such a build keeps its user, and says so
                break
            if int(s["privileges"][k] or "0", 16):
                bad.append((None, "%s %d has capabilities" % (s["class"], s["pid"])))
    if not n:
        raise NotYet("no process was looked at")
    return "%d processes of %d classes compared" % (n, len(first)), bad


def store_sound(r):
    if not r.live or not r.again:
        raise NotYet("the final state was not read")
    bad, checks = [], [f for f in r.faults if "store" in f]
    bad += [(None, "the store's check after %s: %s" % (f["why"], f["said"])) for f in checks if f["store"] != 0]
    cuts = [c for f in r.faults for c in (f.get("cut") or {}).values() if isinstance(c, dict)]
    behind = sum(not c["log_is_whole"] for c in cuts)  # killed between a write and its line in the log: the write is lost, then
    if behind > 1 + len(cuts) // 20:
        bad.append((None, "the log of writes does not give the file in %d of %d cuts: they prove nothing" % (behind, len(cuts))))
    for key in sorted(set(r.live["sessions"]) | set(r.again["sessions"])):
        a, b = r.live["sessions"].get(key), r.again["sessions"].get(key)
        if a != b:
            bad.append((None, "%s: before the restart %r, after %r" % (key, str(a)[-300:], str(b)[-300:])))
    for d in ("dead", "unknown"):
        a, b = ({x["id"] for x in w["deliveries"] if x["state"] == d} for w in (r.live, r.again))
        if a != b:
            bad.append((None, "%s deliveries differ: %r" % (d, sorted(a ^ b)[:10])))
    return "%d sessions equal after a stop and a start; %d checks of stores after full kills; %d files cut, %d unflushed writes kept, %d lost, %d torn" % (
        len(r.live["sessions"]), len(checks), len(cuts), *(sum(c[k] for c in cuts) for k in ("kept", "lost", "torn"))), bad


def down_times(r):
    """[(from, to)] in which the tree as a whole was not there."""
    out, at = [], None
    for f in r.faults:
        if f.get("fault") in WHOLE:
            at = f["t"] if at is None else at
        elif f.get("who") in WHOLE and "back_ms" in f and at is not None:
            out.append((at, f["t"]))
            at = None
    return out


def honest_health(r):
    rows = [s for s in r.samples if "path" in s]
    if not rows:
        raise NotYet("no samples")
    down, bad = down_times(r), []
    t0 = r.run["t0"]
    ms = {"/healthz": [], "/readyz": []}
    for s in rows:
        end = s["t"] + s["ms"] / 1000
        if any(a - 0.05 <= end and s["t"] <= b for a, b in down):
            continue
        ms[s["path"]].append(s["ms"])
        if s["path"] == "/healthz" and s["code"] != 200:
            # a connection that its dying front had read is lost with it
            if not any(f.get("fault") in ("kill", "hang", "pause", "loop") and "front" in f.get("who", "") and f["t"] - 1 <= end and s["t"] <= f["t"] + 6
                       for f in r.faults):
                bad.append((None, "/healthz said %r at %.3f" % (s["code"], s["t"] - t0)))
    q = {k: quantiles(v) for k, v in ms.items()}
    stopped = any(f.get("fault") in ("hang", "pause") for f in r.faults)
    for path, x in q.items():
        if x["n"] and x["p99"] > 100 * slack(r) and not stopped:
            bad.append((None, "%s: p99 %.1f ms" % (path, x["p99"])))
    return "; ".join("%s p50 %.1f p99 %.1f max %.0f ms of %d" % (k, x["p50"], x["p99"], x["max"], x["n"]) for k, x in q.items() if x["n"]), bad


def honest_refusal(r):
    if not any(f.get("fault") in ("disk", "descriptors", "memory") for f in r.faults):
        raise NotYet("no fault of a resource in this run")
    raise NotYet("no rule yet")
