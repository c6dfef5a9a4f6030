"""Power cuts: from the log of writes and flushes (tests/fake/iolog.c) to the files that a cut could have left.

What was flushed is there. Of what came after its file's last flush any part may be: each write whole, lost, or torn at a
sector, whatever the order. cut() draws one such outcome from a seed and puts it in the store's place.
"""
import os
import random
import struct

HEAD = struct.Struct("<IIQQQ")
MAGIC, WRITE, WRITE_SYNCED, SIZE, SYNC = 0x474c4f49, 1, 2, 3, 4
SECTOR, ROOM = 512, 1 << 30
FILES = ("state.mdb", "state.mdb-log")


def records(path):
    with open(path, "rb") as f:
        end, = struct.unpack("<Q", f.read(8))
        f.seek(0)
        data = f.read(end)
    at = 8
    while at + HEAD.size <= len(data):
        magic, kind, inode, offset, n = HEAD.unpack_from(data, at)
        size = n if kind in (WRITE, WRITE_SYNCED) else 0
        if magic != MAGIC or at + HEAD.size + size > len(data):
            break  # the last one was cut itself
        yield kind, inode, offset, data[at + HEAD.size:at + HEAD.size + size]
        at += HEAD.size + size


class File:
    """What is on the disk for certain, and what is only on its way."""

    def __init__(self, data):
        self.sure, self.open = bytearray(data), []

    def write(self, offset, data):
        self.open.append((offset, data))

    @staticmethod
    def put(image, offset, data):
        if len(image) < offset + len(data):
            image.extend(bytes(offset + len(data) - len(image)))
        image[offset:offset + len(data)] = data

    def flush(self):
        for offset, data in self.open:
            if data is None:
                self.resize(self.sure, offset)
            else:
                self.put(self.sure, offset, data)
        self.open = []

    @staticmethod
    def resize(image, size):
        if size < len(image):
            del image[size:]
        else:
            image.extend(bytes(size - len(image)))

    def survive(self, rng):
        """One outcome: (image, counts)."""
        image, kept, lost, torn = bytearray(self.sure), 0, 0, 0
        mode = rng.choice(("none", "all", "some", "some", "torn", "torn", "last"))
        for i, (offset, data) in enumerate(self.open):
            if data is None:
                if mode != "none":
                    self.resize(image, offset)
                continue
            last = i == len(self.open) - 1
            if mode == "none" or (mode == "some" and rng.random() < 0.5) or (mode == "last" and not last):
                lost += 1
            elif mode == "torn" and rng.random() < 0.6:
                torn += 1
                for s in range(0, len(data), SECTOR):
                    if rng.random() < 0.5:
                        self.put(image, offset + s, data[s:s + SECTOR])
            else:
                kept += 1
                self.put(image, offset, data)
        return image, {"mode": mode, "unflushed": len(self.open), "kept": kept, "lost": lost, "torn": torn}


def begin(store, base):
    """Remember what the disk holds; the log begins anew."""
    os.makedirs(base, exist_ok=True)
    for name in FILES:
        try:
            with open(os.path.join(store, name), "rb") as f:
                data = f.read()
        except FileNotFoundError:
            data = None
        path = os.path.join(base, name)
        if data is None:
            if os.path.exists(path):
                os.unlink(path)
        else:
            with open(path, "wb") as f:
                f.write(data)
    log = os.path.join(base, "log")
    with open(log, "wb") as f:
        f.write(struct.pack("<Q", 8))
        f.truncate(ROOM)  # with holes
    os.chmod(log, 0o666)
    return log


def cut(store, base, seed, lying=False):
    """Puts one possible outcome of a power cut in the store's place; the hub is dead. Returns what became of what.

    lying: a disk that says "flushed" of the log and has not: what a gateway that acknowledges too early would leave."""
    rng, out = random.Random(seed), {}
    inodes, files = {}, {}
    for name in FILES:
        path = os.path.join(store, name)
        if os.path.exists(path):
            inodes[os.stat(path).st_ino] = name
        try:
            with open(os.path.join(base, name), "rb") as f:
                files[name] = File(f.read())
        except FileNotFoundError:
            files[name] = File(b"")
    writes = 0
    for kind, inode, offset, data in records(os.path.join(base, "log")):
        f = files.get(inodes.get(inode))
        if not f:
            continue
        writes += 1
        if kind == WRITE:
            f.write(offset, data)
        elif kind == WRITE_SYNCED:
            f.put(f.sure, offset, data)
        elif kind == SIZE:
            f.open.append((offset, None))
        elif not lying or f is not files["state.mdb-log"]:
            f.flush()
    for name in inodes.values():
        image, what = files[name].survive(rng)
        path = os.path.join(store, name)
        with open(path, "rb") as f:
            whole = f.read()
        check = bytearray(files[name].sure)
        for offset, data in files[name].open:
            files[name].resize(check, offset) if data is None else files[name].put(check, offset, data)
        check.extend(bytes(max(0, len(whole) - len(check))))  # fallocate
        what["log_is_whole"] = bytes(check[:len(whole)]) == whole
        with open(path, "r+b") as f:
            f.write(image)
            f.truncate(len(image))
        out[name] = what
    begin(store, base)
    return dict(out, records=writes)
