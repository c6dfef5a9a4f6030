#include "iolog.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FDS_MAX = 1024, MAGIC = 0x474c4f49, ROOM = 1 << 30 };

/* The file is mapped: a worker closes what it did not open itself. Its first word is the end. */
static char *map;
static bool synced[FDS_MAX]; /* opened with O_DSYNC */

struct head {
    uint32_t magic;
    uint32_t kind;
    uint64_t inode, offset, bytes;
};

void iolog_begin(void)
{
    const char *path = getenv("FAULT_IOLOG");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *p;

    if (fd < 0)
        return;
    p = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (p != MAP_FAILED)
        map = p;
}

void iolog_opened(int fd, int flags)
{
    if (fd >= 0 && fd < FDS_MAX)
        synced[fd] = (flags & O_DSYNC) != 0;
}

static void put(int fd, uint32_t kind, uint64_t offset, const struct iovec *v, int n,
                uint64_t bytes)
{
    struct head h = {MAGIC, kind, 0, offset, bytes};
    uint64_t at, left = bytes;
    struct stat st;

    if (!map || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return;
    memcpy(&at, map, sizeof(at));
    if (at + sizeof(h) + bytes > ROOM)
        return;
    h.inode = st.st_ino;
    memcpy(map + at, &h, sizeof(h));
    at += sizeof(h);
    for (int i = 0; i < n && left; i++) {
        size_t part = v[i].iov_len < left ? v[i].iov_len : (size_t)left;

        memcpy(map + at, v[i].iov_base, part);
        at += part;
        left -= part;
    }
    memcpy(map, &at, sizeof(at)); /* last: a record counts when it is whole */
}

void iolog_write(int fd, const struct iovec *v, int n, off_t offset, ssize_t done)
{
    if (done > 0)
        put(fd, fd < FDS_MAX && synced[fd] ? IOLOG_WRITE_SYNCED : IOLOG_WRITE, (uint64_t)offset, v,
            n, (uint64_t)done);
}

void iolog_write_on(int fd, const struct iovec *v, int n, ssize_t done)
{
    struct stat st;

    if (map && done > 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        iolog_write(fd, v, n, lseek(fd, 0, SEEK_CUR) - done, done);
}

void iolog_size(int fd, off_t size)
{
    put(fd, IOLOG_SIZE, (uint64_t)size, NULL, 0, 0);
}

void iolog_sync(int fd)
{
    put(fd, IOLOG_SYNC, 0, NULL, 0, 0);
}
