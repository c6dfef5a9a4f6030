"""A platform's program is loaded once and copied for each account; without its fork server the accounts start by exec."""
import os
import shutil
import signal

from gateway import children_of, until
from test_channels import setup

PROGRAM = "openclaw-channel-external"


def words(pid):
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as f:
            return [w.decode() for w in f.read().split(b"\0") if w]
    except OSError:
        return []


def servers(g):
    return [p for p in children_of(g.pid) if words(p)[:1] == ["openclaw-fork-server " + PROGRAM]]


def accounts(g):
    return [p for p in children_of(g.pid) if words(p)[:1] and words(p)[0].startswith(PROGRAM + " ")]


def server(g):
    return until(lambda: servers(g), "the fork server")[0]


def ask(p, word, times=1):
    p.write(word, "say " + word)
    until(lambda: any(word in x for x in p.texts()), "an answer to " + word)


def status(pid):
    with open("/proc/%d/status" % pid) as f:
        return dict(l.rstrip("\n").split(":\t", 1) for l in f if ":\t" in l)


def executable(pid):
    return os.stat("/proc/%d/exe" % pid).st_ino


def test_copies_are_the_supervisors(t):
    """An account's process is its own child, named after it, in its own cage, and has no other line."""
    g, p = setup(t, "external")
    ask(p, "one")
    (pid,) = accounts(g)
    assert words(pid) == [PROGRAM + " default"], words(pid)
    assert status(pid)["PPid"] == str(g.pid)
    assert int(status(pid)["Seccomp_filters"]) == int(status(server(g))["Seccomp_filters"]) + 1, (status(pid), status(server(g)))
    assert executable(pid) == executable(server(g))
    assert os.path.realpath("/proc/%d/fd/3" % pid) != os.path.realpath("/proc/%d/fd/3" % server(g))


def test_its_end_is_no_accounts(t):
    """Killed: nobody notices. What starts next is started by exec, and works."""
    g, p = setup(t, "external")
    ask(p, "one")
    (before,) = accounts(g)
    os.kill(server(g), signal.SIGKILL)
    g.wait_log(lambda e: e["event"] == "forkserver.ended", "its end is logged")
    ask(p, "two")
    assert accounts(g) == [before]
    os.kill(before, signal.SIGKILL)
    until(lambda: accounts(g) and accounts(g) != [before], "another process")
    ask(p, "three")
    assert servers(g) == []


def test_one_that_does_not_answer(t):
    """Stopped: it is ended, the account is started by exec on a line of its own."""
    g, p = setup(t, "external")
    ask(p, "one")
    stuck = server(g)
    (before,) = accounts(g)
    os.kill(stuck, signal.SIGSTOP)
    os.kill(before, signal.SIGKILL)
    g.wait_log(lambda e: e["event"] == "forkserver.ended", "it is given up")
    ask(p, "two")
    until(lambda: stuck not in children_of(g.pid), "it is gone")
    assert len(accounts(g)) == 1


def test_an_upgrade_is_seen(t):
    """Another file in the program's place: the next process of an account runs that one."""
    folder = os.path.join(t.folder, "programs")
    os.mkdir(folder)
    os.chmod(folder, 0o755)
    g, p = setup(t, "external", start=False)
    for name in os.listdir(g.build):
        if name.startswith("openclaw") and os.path.isfile(os.path.join(g.build, name)):
            shutil.copy2(os.path.join(g.build, name), os.path.join(folder, name))
    g.build = folder
    g.start()
    ask(p, "one")
    (before,) = accounts(g)
    old = executable(before)
    shutil.copy2(os.path.join(folder, PROGRAM), os.path.join(folder, "new"))
    os.rename(os.path.join(folder, "new"), os.path.join(folder, PROGRAM))
    os.kill(before, signal.SIGKILL)
    until(lambda: accounts(g) and accounts(g) != [before], "another process")
    ask(p, "two")
    assert executable(accounts(g)[0]) != old
