"""Asks the judge about runs that never were (fakegw.py): each broken promise must fail its own invariant, and only that."""
import os
import shutil
import tempfile

import check
from fakegw import BREAKS, Fake


def verdicts(folder):
    return {name for name, _w, v, _s, _b in check.judge(folder)[1] if v == "FAIL"}, \
        {name for name, _w, v, _s, _b in check.judge(folder)[1] if v == "n/a"}


def main():
    good = bad = 0
    cases = [(None, True, set()), (None, False, set()), ("ack-early", False, set())]  # nobody loses power: nothing is lost
    cases += [(b, True, {i}) for b, i in BREAKS.items()]
    for broken, power, want in cases:
        folder = tempfile.mkdtemp(prefix="chaos-")
        try:
            Fake(folder, broken, power=power).write()
            got, not_judged = verdicts(folder)
            silent = not_judged - {"I17"}
            ok = got == want and not silent
            good, bad = good + ok, bad + (not ok)
            print("%s %-22s %s%s" % ("ok  " if ok else "FAIL", broken or ("nothing" if power else "nothing, no power cut"),
                                     "fails " + " ".join(sorted(want)) if want else "passes",
                                     "" if ok else ", but it failed %s and did not judge %s" % (sorted(got), sorted(silent))))
        finally:
            shutil.rmtree(folder) if not os.environ.get("KEEP") else None
    print("%d passed, %d failed" % (good, bad))
    return 1 if bad else 0
