"""One thread, one epoll, timers: what driver, model and watcher run on."""
import heapq
import itertools
import select
import time

now = time.monotonic


class Loop:
    def __init__(self):
        self.poll = select.epoll()
        self.on = {}  # fd: function(events)
        self.timers, self.count = [], itertools.count()
        self.stopped = False

    def watch(self, fd, mask, fn):
        if fd in self.on:
            self.poll.modify(fd, mask)
        else:
            self.poll.register(fd, mask)
        self.on[fd] = fn

    def forget(self, fd):
        if self.on.pop(fd, None):
            self.poll.unregister(fd)

    def at(self, when, fn):
        heapq.heappush(self.timers, (when, next(self.count), fn))

    def after(self, seconds, fn):
        self.at(now() + seconds, fn)

    def run(self):
        while not self.stopped:
            t = now()
            while self.timers and self.timers[0][0] <= t:
                heapq.heappop(self.timers)[2]()
            wait = max(0, self.timers[0][0] - now()) if self.timers else 0.2
            for fd, mask in self.poll.poll(min(wait, 0.2)):
                fn = self.on.get(fd)
                if fn:
                    fn(mask)
