"""The judge: from the files of a run to PASS, FAIL or n/a per invariant. A pure function of the folder."""
import collections

import invariants as inv
import process_invariants as proc
from records import Records

# one row an invariant of shared/chaos.md; a new one is a row and a function
TABLE = (
    ("I1", "no loss", inv.no_loss), ("I2", "at least once, visibly once", inv.once_out), ("I3", "idempotency", inv.idempotent),
    ("I4", "no invention", inv.no_invention), ("I5", "unknown means either", inv.whole), ("I6", "nothing late", inv.not_late),
    ("I7", "order per session", inv.ordered), ("I8", "event sequence", inv.sequence), ("I9", "exactly one run", inv.one_run),
    ("I10", "blast radius", proc.blast_radius), ("I11", "recovery time", proc.recovers), ("I12", "no wedge", proc.no_wedge),
    ("I13", "supervision", proc.supervised), ("I14", "no privilege drift", proc.no_drift), ("I15", "store", proc.store_sound),
    ("I16", "honest health", proc.honest_health), ("I17", "honest refusal", proc.honest_refusal),
)
PARTS_NOT_YET = ("I1 cron jobs: not served yet; I1 config.patch, I9 tool side effects, A4 the endpoints of models: no operation; "
                 "they are to be rows of workload.OPS")


def judge(folder):
    """[(id, name, verdict, summary, bad)]"""
    r = Records(folder)
    out = []
    for name, what, fn in TABLE:
        try:
            summary, bad = fn(r)
            out.append((name, what, "FAIL" if bad else "PASS", summary, bad))
        except inv.NotYet as e:
            out.append((name, what, "n/a", str(e), []))
    return r, out


def counts(r):
    ops = collections.Counter()
    for (op, phase), n in r.phases.items():
        ops[phase] += n
    kills, killed = collections.Counter(), 0
    for f in r.faults:
        if f.get("fault") == "kill":
            kills["%s %s" % (proc.class_of(f["who"]), f["sig"])] += 1
            killed += 1
        elif f.get("fault"):
            kills[f["fault"]] += 1
            killed += len(f.get("pids", ())) + (f["fault"] == "hang")
    turns = len(r.echoes)
    seconds = r.run.get("seconds") or 1
    sent = sum(len(p["sent"]) for p in r.platforms.values())
    yield "operations: %d asked, %d acknowledged, %d taken for later, %d refused, %d unknown; %.0f/s asked" % (
        ops["invoke"], ops["ok"], ops["queued"], ops["fail"], ops["info"], ops["invoke"] / seconds)
    yield "turns answered: %d (%.0f/s over the run), messages at platforms: %d" % (turns, turns / seconds, sent)
    yield "processes killed: %d; %s" % (killed, ", ".join("%s %d" % x for x in sorted(kills.items())))
    gap, at = 0, None
    for e in r.history:
        if e["phase"] == "ok":
            gap = max(gap, e["t"] - at) if at else 0
            at = e["t"]
    yield "longest time without an acknowledgement: %.0f ms" % (gap * 1000)
    if r.end:
        yield "memory (KiB, anonymous) and descriptors before -> after: " + ", ".join(
            "%s %d -> %d, %d -> %d" % (n, r.end["before"][n][0], a, r.end["before"][n][1], f)
            for n, (a, f) in sorted(r.end["after"].items()) if n in r.end["before"])
        yield "load average %.1f -> %.1f" % (r.run.get("load_before", 0), r.end["load_after"])


def main(folder):
    r, out = judge(folder)
    for line in counts(r):
        print(line)
    for name, what, verdict, summary, bad in out:
        print("%-4s %-4s %s: %s" % (verdict, name, what, summary))
        for token, why in bad[:3]:
            print("    %s %s" % (token or "-", why))
            if token:
                print("\n".join(r.story(token)))
    print("not yet: " + PARTS_NOT_YET)
    failed = sum(v == "FAIL" for _, _, v, _, _ in out)
    print("%d passed, %d failed" % (sum(v == "PASS" for _, _, v, _, _ in out), failed))
    return 1 if failed else 0
