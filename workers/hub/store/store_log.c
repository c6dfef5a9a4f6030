/*
 * store/store_log.c - the log of batches beside the LMDB file. A commit appends its records here
 * with one write and one flush; LMDB's own commit (two flushes and a page for every table touched)
 * is made for many turns at once, at a checkpoint. The LMDB transaction stays open between
 * checkpoints: what is in it is exactly the log, so a crash loses only work, never records: the
 * next start applies the log to the last checkpoint again.
 *
 * File: frames from offset 0: u32 magic, u32 length, u64 epoch, u32 CRC32C of epoch, length and
 * payload, payload. The epoch is the checkpoint the frame belongs to (also in LMDB, in the same
 * commit): after a checkpoint the file is written from 0 again, and what is left of older epochs
 * counts for nothing.
 */
#include "store_int.h"

#include "crc32c.h"
#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    LOG_MAGIC = 0x31474c4f, /* "OLG1" */
    LOG_HEAD = 20,
    LOG_STEP = 1024 * 1024, /* the file grows by this, written once with zeros so that a flush has
                               no size to save */
    CHECKPOINT_BYTES = 1024 * 1024,
    CHECKPOINT_PAGES =
        4096, /* 16 MiB of changed pages in memory at most, by the guess that is rather too large */
};

static uint32_t frame_crc(uint64_t epoch, struct view payload)
{
    struct {
        uint64_t epoch, n;
        uint32_t crc, zero;
    } h = {epoch, payload.n, crc32c(payload.p, payload.n), 0};

    return crc32c(&h, sizeof(h));
}

static void put_head(char *h, uint64_t epoch, struct view payload)
{
    uint32_t magic = LOG_MAGIC, n = (uint32_t)payload.n, crc = frame_crc(epoch, payload);

    memcpy(h, &magic, 4);
    memcpy(h + 4, &n, 4);
    memcpy(h + 8, &epoch, 8);
    memcpy(h + 16, &crc, 4);
}

/* The frame at the front of in, when it is whole and of this epoch. */
static bool get_frame(struct view in, uint64_t epoch, struct view *payload)
{
    uint32_t magic, n, crc;
    uint64_t its;

    if (in.n < LOG_HEAD)
        return false;
    memcpy(&magic, in.p, 4);
    memcpy(&n, in.p + 4, 4);
    memcpy(&its, in.p + 8, 8);
    memcpy(&crc, in.p + 16, 4);
    if (magic != LOG_MAGIC || its != epoch || n == 0 || n > in.n - LOG_HEAD)
        return false;
    *payload = view_of(in.p + LOG_HEAD, n);
    return crc == frame_crc(epoch, *payload);
}

/* Whoever wrote it did not close it in good order. */
static bool has_frame(struct view in)
{
    uint32_t magic = 0;

    if (in.n >= LOG_HEAD)
        memcpy(&magic, in.p, 4);
    return magic == LOG_MAGIC;
}

int store_log_open(struct store *s, const char *path, struct err *e)
{
    char file[4096];
    struct stat st;
    int n = snprintf(file, sizeof(file), "%s-log", path);

    if (n < 0 || (size_t)n >= sizeof(file))
        return err_set(e, ERR_LIMIT, "store: path too long");
    s->log_fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (s->log_fd < 0 || fstat(s->log_fd, &st) < 0)
        return err_sys(e, "store: %s", file);
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_INVALID, "store: %s: not a regular file", file);
    if ((st.st_mode & 07777) != 0600 && fchmod(s->log_fd, 0600) < 0)
        return err_sys(e, "store: %s: mode", file);
    s->log_bytes = (size_t)st.st_size;
    return st.st_size == 0 ? store_sync_folder(file, e) : 0;
}

int store_log_replay(struct store *s, struct err *e)
{
    struct buf text;
    struct view in, payload;
    int r;

    buf_init(&text, s->log_bytes + 1);
    if ((r = fd_read_all(s->log_fd, s->log_bytes, &text, e)) < 0)
        goto out;
    for (in = buf_view(&text); get_frame(in, s->epoch, &payload);
         in = view_from(in, LOG_HEAD + payload.n)) {
        buf_put_view(&s->batch, payload);
        s->log_at += LOG_HEAD + payload.n;
    }
    if ((r = buf_check(&s->batch, e)) < 0)
        goto out;
    s->logged = s->batch.n;
    s->unsettled = has_frame(buf_view(&text));
    if (s->logged && (r = store_rebuild(s, e)) < 0) {
        r = err_wrap(e, "log of the last changes");
        goto out;
    }
    if ((r = store_checkpoint(s, e)) == ERR_AGAIN && store_usable(s)) {
        *e = (struct err)ERR_INIT; /* a full disk: it can be read, and changed when there is room */
        r = 0;
    }
    if (r < 0)
        r = err_wrap(e, "log of the last changes");
out:
    buf_fini(&text);
    return r;
}

/* Room for n more bytes, written once ahead of its use. */
static int make_room(struct store *s, size_t n, struct err *e)
{
    static const char zeros[64 * 1024];
    size_t want = (s->log_at + n + LOG_STEP - 1) / LOG_STEP * LOG_STEP;

    if (s->log_at + n <= s->log_bytes)
        return 0;
    for (size_t at = s->log_bytes; at < want;) {
        ssize_t w = pwrite(s->log_fd, zeros, want - at < sizeof(zeros) ? want - at : sizeof(zeros),
                           (off_t)at);

        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0) {
            bool full = w == 0 || errno == ENOSPC || errno == EDQUOT || errno == EFBIG;

            if (w == 0)
                errno = ENOSPC;
            return full ? store_err(s, ENOSPC, "log", e) : err_sys(e, "store: log");
        }
        at += (size_t)w;
        s->log_bytes = at;
    }
    return 0;
}

int store_log_room(struct store *s, size_t spare_bytes, struct err *e)
{
    return make_room(s, LOG_HEAD + (s->batch.n - s->logged) + spare_bytes, e);
}

void store_log_clean(struct store *s)
{
    static const char none[LOG_HEAD];

    /* not flushed: without it the next start only does a little more */
    if (s->log_bytes >= LOG_HEAD && pwrite(s->log_fd, none, LOG_HEAD, 0) < 0)
        return;
}

int store_log_append(struct store *s, struct err *e)
{
    struct view payload = view_from(buf_view(&s->batch), s->logged);
    char head[LOG_HEAD];
    struct iovec iov[2] = {{head, LOG_HEAD}, {(void *)(uintptr_t)payload.p, payload.n}};
    ssize_t w;
    int r;

    if (payload.n > UINT32_MAX)
        return err_set(e, ERR_LIMIT, "store: batch of %zu bytes", payload.n);
    if ((r = make_room(s, LOG_HEAD + payload.n, e)) < 0)
        return r;
    put_head(head, s->epoch, payload);
    do
        w = pwritev(s->log_fd, iov, 2, (off_t)s->log_at);
    while (w < 0 && errno == EINTR);
    if (w < 0 && (errno == ENOSPC || errno == EDQUOT))
        return store_err(s, errno, "log", e);
    if (w < 0)
        return err_sys(e, "store: log");
    if ((size_t)w !=
        LOG_HEAD +
            payload.n) /* half a frame counts for nothing, and the next one is written over it */
        return err_set(e, ERR_AGAIN, "store: log: short write");
    if (fdatasync(s->log_fd) < 0) {
        s->dead = true; /* what the disk holds is unknown until it is read again */
        return err_set(e, ERR_CLOSED,
                       "store: commit: %s; whether the last changes are kept is known after the "
                       "store is reopened",
                       strerror(errno));
    }
    s->log_at += LOG_HEAD + payload.n;
    s->logged = s->batch.n;
    return 0;
}

bool store_log_full(const struct store *s)
{
    return s->log_at >= CHECKPOINT_BYTES || s->pages_guess >= CHECKPOINT_PAGES;
}
