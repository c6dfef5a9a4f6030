#include "fd.h"

#include "buf.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

void fd_close(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

int fd_nonblock(int fd, struct err *e)
{
    int fl = fcntl(fd, F_GETFL);

    if (fl < 0 || fcntl(fd, F_SETFL, fl | O_NONBLOCK) < 0)
        return err_sys(e, "set descriptor non-blocking");
    return 0;
}

int fd_pair(int out[2], int bytes, struct err *e)
{
    int p[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, p) < 0)
        return err_sys(e, "socketpair");
    if (bytes > 0)
        for (int i = 0; i < 2; i++) /* best effort: the default still works */
            (void)setsockopt(p[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    out[0] = p[0];
    out[1] = p[1];
    return 0;
}

static int write_all(int fd, struct view d, struct err *e)
{
    while (d.n) {
        ssize_t w = write(fd, d.p, d.n);

        if (w < 0) {
            if (errno == EINTR)
                continue;
            return err_sys(e, "write");
        }
        d = view_from(d, (size_t)w);
    }
    return 0;
}

int fd_sealed_parts(const char *name, const struct view *part, unsigned count, int *out,
                    struct err *e)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int r = 0;

    if (fd < 0)
        return err_sys(e, "memfd_create");
    for (unsigned i = 0; i < count && r == 0; i++)
        r = write_all(fd, part[i], e);
    if (r == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
        r = err_sys(e, "seal memory file");
    if (r < 0) {
        fd_close(&fd);
        return r;
    }
    *out = fd;
    return 0;
}

int fd_sealed(const char *name, struct view data, int *out, struct err *e)
{
    return fd_sealed_parts(name, &data, 1, out, e);
}

int fd_read_all(int fd, size_t max, struct buf *out, struct err *e)
{
    struct stat st;
    size_t left;

    if (fstat(fd, &st) < 0)
        return err_sys(e, "fstat");
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_INVALID, "not a regular file");
    if (st.st_size < 0 || (uint64_t)st.st_size > max)
        return err_set(e, ERR_LIMIT, "%lld bytes, limit %zu", (long long)st.st_size, max);
    left = (size_t)st.st_size;
    for (off_t at = 0; left;) {
        char *room = buf_room(out, left);
        ssize_t r;

        if (!room)
            return buf_check(out, e);
        r = pread(fd, room, left, at);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return err_sys(e, "read");
        if (r == 0)
            break;
        buf_added(out, (size_t)r);
        at += r;
        left -= (size_t)r;
    }
    return 0;
}

int fd_read_file(const char *path, size_t max, struct buf *out, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    int r;

    if (fd < 0)
        return errno == ENOENT ? err_set(e, ERR_NOT_FOUND, "%s: no such file", path)
                               : err_sys(e, "%s", path);
    if ((r = fd_read_all(fd, max, out, e)) < 0)
        r = err_wrap(e, "%s", path);
    fd_close(&fd);
    return r;
}

static int sync_folder_of(const char *path, struct err *e)
{
    char dir[PATH_MAX];
    char *slash;
    int fd, r = 0;

    (void)snprintf(dir, sizeof(dir), "%s", path);
    slash = strrchr(dir, '/');
    if (!slash)
        (void)snprintf(dir, sizeof(dir), ".");
    else
        slash[slash == dir] = 0;
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_sys(e, "%s", dir);
    if (fsync(fd) < 0)
        r = err_sys(e, "fsync %s", dir);
    fd_close(&fd);
    return r;
}

int fd_write_file(const char *path, struct view data, unsigned mode, struct err *e)
{
    char tmp[PATH_MAX];
    int fd, r;

    if ((size_t)snprintf(tmp, sizeof(tmp), "%s.tmp.%ld", path, (long)getpid()) >= sizeof(tmp))
        return err_set(e, ERR_LIMIT, "path too long");
    fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, (mode_t)mode);
    if (fd < 0)
        return err_sys(e, "%s", tmp);
    if ((r = write_all(fd, data, e)) == 0 && fsync(fd) < 0)
        r = err_sys(e, "fsync %s", tmp);
    fd_close(&fd);
    if (r == 0 && rename(tmp, path) < 0)
        r = err_sys(e, "rename %s", tmp);
    if (r < 0)
        (void)unlink(tmp);
    return r < 0 ? r : sync_folder_of(path, e);
}
