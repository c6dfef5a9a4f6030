"""The page that tells a build with -Dfaults=true which call of which program fails (tests/fake/fault.c)."""
import mmap
import os
import re
import struct
import subprocess
import tempfile
import time

from gateway import Gateway

HERE = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(HERE, "..", "fake", "fault.def")) as f:
    CALLS = re.findall(r"^FAULT\((\w+),", f.read(), re.M)
PROGRAMS = ("supervisor", "front", "hub", "agent", "channel")
BINARIES = ("openclawd", "openclaw-front", "openclaw-hub", "openclaw-agent")
MAGIC, WALL_NS, PROGRAM, CALL, ERRNO, LEFT, FOREVER, HITS, ACTION, TIME_NS, COUNTS = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 16
BYTES, CALLS_MAX, WHERE, WHERE_MAX = 4096, 32, 256, 12


def built_with_faults(build):
    with open(os.path.join(build, "openclaw-hub"), "rb") as f:
        return b"FAULT_PAGE" in f.read()


class Page:
    def __init__(self, folder):
        above = folder
        while above not in ("/", tempfile.gettempdir()):
            os.chmod(above, 0o711)  # workers have a uid of their own
            above = os.path.dirname(above)
        self.path = os.path.join(folder, "fault-page")
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        os.fchmod(fd, 0o666)
        os.ftruncate(fd, BYTES)
        self.map = mmap.mmap(fd, BYTES)
        os.close(fd)
        self.put(MAGIC, 0x464c5431)

    def put(self, word, value):
        struct.pack_into("<q", self.map, word * 8, value)

    def get(self, word):
        return struct.unpack_from("<q", self.map, word * 8)[0]

    def arm(self, program, call, nth, error=0, forever=False, action=0):
        """The nth of these calls from now fails (and all after it); action 1: the program dies before it, 2: behind it."""
        self.disarm()
        self.put(ACTION, action)
        self.put(PROGRAM, PROGRAMS.index(program))
        self.put(CALL, CALLS.index(call))
        self.put(ERRNO, error)
        self.put(FOREVER, int(forever))
        self.put(LEFT, nth)

    def disarm(self):
        """How many calls failed since arm."""
        hits = self.get(HITS)
        self.put(FOREVER, 0)
        self.put(LEFT, 0)
        self.put(HITS, 0)
        return hits

    def hits(self):
        return self.get(HITS)

    def where(self, build):
        """The functions of ours on the stack of the call that failed last."""
        at = ["%x" % self.get(WHERE + i) for i in range(WHERE_MAX) if self.get(WHERE + i)]
        name = ("openclawd", "openclaw-front", "openclaw-hub", "openclaw-agent", "openclaw-channel-fake")[self.get(PROGRAM)]
        try:
            out = subprocess.run(["addr2line", "-sfe", os.path.join(build, name)] + at, capture_output=True, text=True).stdout
        except OSError:
            return " ".join(at)
        lines = out.split("\n")
        return " < ".join("%s %s" % (f, l.split(" ")[0]) for f, l in zip(lines[::2], lines[1::2]) if "fault.c" not in l)

    def wall(self, seconds):
        self.put(WALL_NS, int(seconds * 1e9))

    def pass_time(self, seconds, ready=None, step=0.5):
        """That much time passes for the tree, in steps that all of it sees; ready: until that is true. How much it was."""
        gone = 0.0
        while gone < seconds:
            self.put(TIME_NS, self.get(TIME_NS) + int(step * 1e9))
            gone += step
            time.sleep(0.006)  # they look every 4 ms
            if ready and ready():
                break
        return gone

    def counts(self, program):
        at = PROGRAMS.index(program) * CALLS_MAX + COUNTS
        return {c: self.get(at + i) for i, c in enumerate(CALLS)}


class FaultyGateway(Gateway):
    """A gateway whose programs look at a page."""

    page = None

    def env(self):
        return dict(Gateway.env(self), **({"FAULT_PAGE": self.page.path} if self.page else {}))
