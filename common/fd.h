/* common/fd.h - descriptors: opened CLOEXEC, closed once, and left at -1. */
#ifndef FD_H
#define FD_H

#include "err.h"
#include "view.h"

/* Close and set to -1; -1 is fine. */
void fd_close(int *fd);
/* Move ownership out of a variable. */
static inline int fd_take(int *fd)
{
    int f = *fd;

    *fd = -1;
    return f;
}
int fd_nonblock(int fd, struct err *e) MUST_USE;
/* Two connected stream sockets, CLOEXEC and non-blocking, with the given buffer size in bytes (0 =
 * default). */
int fd_pair(int out[2], int bytes, struct err *e) MUST_USE;
/* A memory file with these bytes, sealed against any change.  Errors: ERR_SYS. */
int fd_sealed(const char *name, struct view data, int *out, struct err *e) MUST_USE;
/* The same of bytes that lie in several places, without joining them first. */
int fd_sealed_parts(const char *name, const struct view *part, unsigned count, int *out,
                    struct err *e) MUST_USE;

struct buf;
/* Append a whole file or sealed memory file of at most max bytes.  Errors: ERR_SYS, ERR_LIMIT
 * larger than max, ERR_INVALID not a regular file. */
int fd_read_all(int fd, size_t max, struct buf *out, struct err *e) MUST_USE;
int fd_read_file(const char *path, size_t max, struct buf *out, struct err *e) MUST_USE;
/* Write to path.tmp, fsync, rename, fsync the folder: readers see the old or the new file, whole.
 */
int fd_write_file(const char *path, struct view data, unsigned mode, struct err *e) MUST_USE;

#endif
