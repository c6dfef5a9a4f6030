/*
 * store/store_room.c - disk space, taken before it is needed. LMDB reports a full disk as any short
 * write (EIO), which could not be told from a broken one, and a commit that fails for want of room
 * takes a whole turn of many clients with it. So a record is refused alone, when it is applied,
 * and the door (store_room) refuses new work while there is still room for the end of the old.
 */
#include "store_int.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    RESERVE_BYTES = 1024 * 1024, /* of the log: some hundred answers */
    RESERVE_PAGES = 1024,        /* of the tables: 40 turns by the guess that is too large */
    FREE_LIST = 0,               /* LMDB's own table: transaction -> u64 count, page numbers */
};

size_t store_pages_for(const struct store *s, size_t record_bytes)
{
    return STORE_PAGES_PER_RECORD + record_bytes / s->page;
}

bool rec_frees(enum rec_type t)
{
    return t == REC_session_del || t == REC_run_del || t == REC_device_del ||
           t == REC_delivery_del || t == REC_inbound_forget;
}

/* Space that was only reserved costs a journal commit of the file system at its first write, in the
 * middle of our own; writing it once here makes a commit a third shorter (ext4, measured). */
static int write_zeros(struct store *s, size_t from, size_t to)
{
    static const char zeros[64 * 1024];
    ssize_t w;

    while (from < to) {
        w = pwrite(s->fd, zeros, to - from < sizeof(zeros) ? to - from : sizeof(zeros),
                   (off_t)from);
        if (w < 0 && errno != EINTR)
            return -1;
        if (w > 0)
            from += (size_t)w;
    }
    return 0;
}

/* The file has room for `need` bytes. */
static int grow_file(struct store *s, size_t need, bool try_anyway, struct err *e)
{
    size_t want, step = s->o.prealloc_bytes;
    struct stat st;
    int rc;

    if (s->no_fallocate || need <= s->file_bytes)
        return 0;
    if (fstat(s->fd, &st) < 0) /* never zeros over what LMDB has written there meanwhile */
        return err_sys(e, "store: room");
    s->file_bytes = (size_t)st.st_size;
    if (need <= s->file_bytes)
        return 0;
    want = (need + step - 1) / step * step;
    while ((rc = fallocate(s->fd, 0, st.st_size, (off_t)want - st.st_size)) < 0 && errno == EINTR)
        ;
    if (rc == 0)
        rc = write_zeros(s, s->file_bytes, want);
    if (rc == 0) {
        s->file_bytes = want;
        return 0;
    }
    if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)
        return try_anyway ? 0 : store_err(s, errno, "room", e);
    if (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL)
        return err_sys(e, "store: room");
    s->no_fallocate = true; /* a file system without it */
    return 0;
}

static size_t pages_used(const struct store *s, size_t more)
{
    MDB_envinfo info;

    if (mdb_env_info(s->env, &info))
        return 0;
    return info.me_last_pgno + 1 + (s->wtxn ? s->pages_guess : STORE_PAGES_PER_COMMIT) + more;
}

int store_take_room(struct store *s, size_t record_bytes, size_t spare_bytes, struct err *e)
{
    size_t pages = record_bytes ? store_pages_for(s, record_bytes) : 0;
    size_t need;
    int r;

    if (spare_bytes)
        pages += RESERVE_PAGES + spare_bytes / s->page;
    need = pages_used(s, pages) * s->page;
    if (need > s->o.map_max_bytes) /* whether it fits LMDB knows, which has free pages inside */
        need = s->o.map_max_bytes;
    r = grow_file(s, need, s->deletes_only && !record_bytes, e);
    return r < 0 ? r : store_log_room(s, spare_bytes, e);
}

/* Pages inside the file that LMDB may give out again. */
static size_t pages_free(MDB_txn *t)
{
    MDB_cursor *c;
    MDB_val k, v;
    size_t sum = 0, n;

    if (mdb_cursor_open(t, FREE_LIST, &c))
        return 0;
    while (mdb_cursor_get(c, &k, &v, MDB_NEXT) == 0 && v.mv_size >= sizeof(n)) {
        memcpy(&n, v.mv_data, sizeof(n));
        sum += n;
    }
    mdb_cursor_close(c);
    return sum;
}

/* The same for the ceiling that the operator set. */
static int room_in_map(struct store *s, size_t bytes, struct err *e)
{
    size_t spare = bytes / s->page + RESERVE_PAGES, max = s->o.map_max_bytes / s->page;
    MDB_txn *t;
    int r;

    if (spare > max / 8) /* small ceilings are for tests */
        spare = max / 8;
    if (pages_used(s, spare) <= max)
        return 0;
    if ((r = store_read(s, &t, e)) < 0)
        return r;
    return pages_free(t) > spare ? 0 : store_err(s, MDB_MAP_FULL, "room", e);
}

int store_room(struct store *s, size_t bytes, struct err *e)
{
    int r;

    if ((r = store_alive(s, e)) < 0)
        return r;
    /* Pages whose flush failed are clean for the kernel: what we read may not be on the disk. A
     * checkpoint writes all that counts anew, and until one succeeds nothing is built upon it. */
    if (s->unsettled && (r = store_checkpoint(s, e)) < 0)
        return r;
    if ((r = room_in_map(s, bytes, e)) < 0)
        return r;
    return store_take_room(s, bytes + 1, bytes + RESERVE_BYTES, e);
}
