/*
 * store/store_batch.c - the batch of a loop turn: applied, rebuilt, committed, dropped.
 * An LMDB transaction that failed half way is of no use. The encoded records of the batch are
 * therefore kept until the commit: when the map has to grow or a record fails half way the
 * transaction is thrown away and built again from them.
 */
#include "store_int.h"

#include "clock.h"

#include <errno.h>

enum {
    BATCH_KEEP = 256 * 1024, /* memory kept between turns */
    ROOM_MIN = 2048,         /* pages free in the map before a batch begins */
};

int store_alive(const struct store *s, struct err *e)
{
    if (s->dead)
        return err_set(e, ERR_CLOSED, "store: the disk failed; reopen the store");
    if (s->lost)
        return err_set(e, ERR_AGAIN, "store: this batch was dropped");
    return 0;
}

static void read_reset(struct store *s)
{
    if (s->rtxn_live)
        mdb_txn_reset(s->rtxn);
    s->rtxn_live = false;
}

int store_read(struct store *s, MDB_txn **out, struct err *e)
{
    int rc = 0, r;

    if ((r = store_alive(s, e)) < 0)
        return r;
    if (s->wtxn) {
        *out = s->wtxn;
        return 0;
    }
    if (!s->rtxn)
        rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &s->rtxn);
    else if (!s->rtxn_live)
        rc = mdb_txn_renew(s->rtxn);
    if (rc)
        return store_err(s, rc, "read", e);
    s->rtxn_live = true;
    *out = s->rtxn;
    return 0;
}

int store_write(struct store *s, struct err *e)
{
    MDB_envinfo info;
    size_t room;
    int rc, r;

    if ((r = store_alive(s, e)) < 0)
        return r;
    if (s->wtxn)
        return 0;
    read_reset(s);
    if ((rc = mdb_env_info(s->env, &info)))
        return store_err(s, rc, "begin", e);
    room = info.me_mapsize / s->page - info.me_last_pgno;
    if ((room < ROOM_MIN || room < info.me_mapsize / s->page / 4) &&
        info.me_mapsize < s->o.map_max_bytes && (r = store_grow(s, e)) < 0 && r != ERR_AGAIN)
        return r; /* a backup is under way: there is room yet */
    if ((rc = mdb_txn_begin(s->env, NULL, 0, &s->wtxn)))
        return store_err(s, rc, "begin", e);
    s->now = s->committed;
    s->pages_guess = STORE_PAGES_PER_COMMIT;
    s->deletes_only = true;
    return 0;
}

static void drop_txn(struct store *s)
{
    if (s->wtxn)
        mdb_txn_abort(TAKE(s->wtxn));
    s->now = s->committed;
    s->swept = 0;
}

/* After a checkpoint, or when nothing was logged: everything is in LMDB. */
static void drop_batch(struct store *s)
{
    drop_txn(s);
    buf_reset(&s->batch, BATCH_KEEP);
    s->logged = 0;
    s->batch_n = 0;
    s->lost = false;
}

static void guess(struct store *s, const struct store_rec *r, size_t bytes)
{
    s->pages_guess += store_pages_for(s, bytes);
    if (!rec_frees(r->type))
        s->deletes_only = false;
}

/* Write again the first n bytes of the batch into a new transaction. */
static int rebuild(struct store *s, size_t n, struct err *e)
{
    struct view in = buf_view(&s->batch);
    struct store_rec rec;
    size_t used;
    int r;

    drop_txn(s);
    if ((r = store_write(s, e)) < 0)
        return r;
    for (in.n = n; in.n; in = view_from(in, used)) {
        if ((r = rec_decode(in, &rec, &used, e)) < 0 ||
            (r = store_put(s, &rec, view_of(in.p, used), e)) < 0)
            return r;
        guess(s, &rec, used);
    }
    return 0;
}

/* As rebuild, with a larger map as often as that is what it needs. */
static int rebuild_growing(struct store *s, size_t n, struct err *e)
{
    int r;

    for (;;) {
        s->last_rc = 0;
        if ((r = rebuild(s, n, e)) == 0 || s->last_rc != MDB_MAP_FULL)
            return r;
        drop_txn(s);
        if ((r = store_grow(s, e)) < 0)
            return r;
    }
}

/* Keep the first n bytes of the batch, after the failure r. */
static int recover(struct store *s, size_t n, int r, struct err *e)
{
    struct err again = ERR_INIT;

    if (n == 0) {
        drop_txn(s);
        return r;
    }
    if (rebuild_growing(s, n, &again) == 0)
        return r;
    drop_txn(s);
    s->lost = true;
    *e = again;
    return err_wrap(e, "batch dropped");
}

int store_rebuild(struct store *s, struct err *e)
{
    return rebuild_growing(s, s->batch.n, e);
}

int store_recover(struct store *s, int r, struct err *e)
{
    return recover(s, s->batch.n, r, e);
}

/* The record at the end of the batch, from byte n on, into the tables. */
static int put_last(struct store *s, size_t n, struct err *e)
{
    struct store_rec rec;
    size_t used;
    struct view in = view_from(buf_view(&s->batch), n);
    int r;

    for (;;) {
        if ((r = rec_decode(in, &rec, &used, e)) < 0)
            return r; /* what we have just encoded: can not be */
        if ((r = store_put(s, &rec, in, e)) == 0) {
            guess(s, &rec, used);
            return 0;
        }
        if (s->last_rc != MDB_MAP_FULL)
            return recover(s, n, r, e);
        drop_txn(s);
        if ((r = store_grow(s, e)) < 0)
            return recover(s, n, r, e);
        if ((r = rebuild_growing(s, n, e)) < 0) {
            drop_txn(s);
            s->lost = n != 0;
            return r;
        }
    }
}

int store_apply(struct store *s, struct store_rec *r, struct err *e)
{
    size_t before = s->batch.n, size, used;
    struct store_rec rec;
    char *room, *early = NULL;
    int rc;

    if ((rc = store_alive(s, e)) < 0 || (rc = rec_check(r, e)) < 0 ||
        (s->unsettled && (rc = store_checkpoint(s, e)) < 0))
        return rc;
    size = rec_size(r);
    if (size > s->o.batch_max_bytes - before)
        return err_set(e, ERR_LIMIT, "store: batch of %zu bytes is full: %s of %zu bytes",
                       s->o.batch_max_bytes, rec_name(r->type), size);
    if (buf_spare(&s->batch) < size) { /* it will move, and the caller's views may point into it */
        if (!(early = mem_alloc(size)))
            return err_set(e, ERR_NOMEM, "store: out of memory (%zu bytes)", size);
        rec_encode(r, early);
    }
    if (!(room = buf_room(&s->batch, size))) {
        s->batch.failed = false; /* what is in it stays good */
        mem_free(early);
        return err_set(e, ERR_NOMEM, "store: out of memory (%zu bytes)", size);
    }
    /* The bytes first: the caller's views may point into the map, which may move below. */
    if (early)
        memcpy(room, early, size);
    else
        rec_encode(r, room);
    mem_free(early);
    buf_added(&s->batch, size);
    if ((rc = rec_decode(view_of(room, size), &rec, &used, e)) == 0 &&
        (rc = store_write(s, e)) == 0 && (rc = store_prepare(s, &rec, e)) == 0) {
        rec_encode(&rec, room); /* in place, with the numbers filled in */
        if ((rc = store_take_room(s, s->deletes_only && rec_frees(rec.type) ? 0 : size, 0, e)) == 0)
            rc = put_last(s, before, e);
    }
    if (rc < 0) {
        buf_cut(&s->batch, before);
        return rc;
    }
    s->batch_n++;
    *r = rec;
    return 0;
}

int store_apply_bytes(struct store *s, struct view batch, struct err *e)
{
    size_t before = s->batch.n, used;
    uint64_t n = s->batch_n;
    struct store_rec rec;
    int r = 0;

    for (; batch.n; batch = view_from(batch, used)) {
        if ((r = rec_decode(batch, &rec, &used, e)) < 0 || (r = store_apply(s, &rec, e)) < 0)
            break;
    }
    if (r == 0 || s->batch_n == n)
        return r;
    buf_cut(&s->batch, before);
    s->batch_n = n;
    return s->lost ? r : recover(s, before, r, e);
}

struct view store_pending(const struct store *s)
{
    return s->lost ? VIEW_EMPTY : view_from(buf_view(&s->batch), s->logged);
}

/* This turn's records go; those in the log stay. */
static int drop_turn(struct store *s, struct err *e)
{
    int r;

    s->batch_n = 0;
    s->lost = false;
    if (s->logged == 0) {
        drop_batch(s);
        return 0;
    }
    buf_cut(&s->batch, s->logged);
    if ((r = rebuild_growing(s, s->logged, e)) == 0)
        return 0;
    drop_txn(s);
    s->dead = true; /* what is in the log cannot be read back now: a restart does */
    return err_wrap(e, "store: logged changes");
}

void store_rollback(struct store *s)
{
    struct err e = ERR_INIT;

    if (!s->dead && drop_turn(s, &e) < 0)
        s->dead = true;
}

void store_turn_end(struct store *s)
{
    read_reset(s);
    if (s->batch.n == 0 && s->swept == 0)
        drop_txn(s); /* begun for something that was refused */
}

static int put_counters(struct store *s)
{
    int rc = 0;

    if (s->now.next_sid != s->committed.next_sid)
        rc = store_sys_put(s, "next.sid", s->now.next_sid);
    if (rc == 0 && s->now.next_job != s->committed.next_job)
        rc = store_sys_put(s, "next.job", s->now.next_job);
    return rc;
}

/* After a failed commit: may LMDB go on? It says so to the next transaction. */
static bool still_works(struct store *s)
{
    MDB_txn *t;

    if (mdb_txn_begin(s->env, NULL, MDB_RDONLY, &t))
        return false;
    mdb_txn_abort(t);
    return true;
}

static int try_commit(struct store *s, struct err *e)
{
    struct counters next = s->now;
    int rc, r;

    if ((r = store_take_room(s, 0, 0, e)) < 0)
        return r;
    s->last_rc = put_counters(s);
    if (s->last_rc == 0) {
        s->last_rc = mdb_txn_commit(TAKE(s->wtxn)); /* frees it, whatever happens */
        if (s->last_rc == 0) {
            s->committed = s->now = next;
            return 0;
        }
        rc = s->last_rc;
        if ((rc != ENOSPC && rc != EDQUOT && rc != ENOMEM && rc != MDB_MAP_FULL &&
             rc != MDB_TXN_FULL) ||
            !still_works(s)) {
            s->dead = true;
            return err_set(e, ERR_CLOSED,
                           "store: commit: %s; whether the last changes are kept is known after "
                           "the store is reopened",
                           mdb_strerror(rc));
        }
    }
    return store_err(s, s->last_rc, "commit", e);
}

static void count_commit(struct store *s, uint64_t ns)
{
    uint64_t us = ns / 1000, n = s->batch_n;
    unsigned b = 0;

    s->st.commits++;
    s->st.records += n;
    s->batch_n = 0;
    s->st.commit_last_us = us;
    if (us > s->st.commit_max_us)
        s->st.commit_max_us = us;
    while (n > 1 && b + 1 < STORE_BATCH_BUCKETS) {
        n >>= 1;
        b++;
    }
    s->st.batch_hist[b]++;
}

/* Everything into LMDB, durable; the log begins again. When it fails, but the disk works, the log
 * goes on being the truth. */
static int checkpoint(struct store *s, struct err *e)
{
    int r, again = 0;

    for (;;) {
        if ((r = store_write(s, e)) < 0)
            break;
        s->last_rc = store_sys_put(s, "log.epoch", s->epoch + 1);
        r = s->last_rc ? store_err(s, s->last_rc, "checkpoint", e) : try_commit(s, e);
        if (r == 0 || s->dead || s->last_rc != MDB_MAP_FULL || again++ > 0)
            break;
        drop_txn(s); /* the free list did not fit: once more with a larger map */
        if ((r = store_grow(s, e)) < 0 || (r = rebuild_growing(s, s->logged, e)) < 0)
            break;
    }
    if (r == 0) {
        s->epoch++;
        s->log_at = 0;
        s->unsettled = false;
        drop_batch(s);
        s->st.checkpoints++;
        return 0;
    }
    if (!s->dead) {
        struct err why = ERR_INIT;

        if (drop_turn(s, &why) < 0)
            *e = why;
    }
    return r;
}

int store_checkpoint(struct store *s, struct err *e)
{
    int r;

    if ((r = store_alive(s, e)) < 0)
        return r;
    if (s->batch.n > s->logged)
        return err_set(e, ERR_CONFLICT, "store: checkpoint: commit first");
    return s->logged || s->swept || s->unsettled ? checkpoint(s, e) : 0;
}

int store_commit(struct store *s, struct err *e)
{
    uint64_t t0 = clock_mono_ns();
    struct err why = ERR_INIT;
    int r = store_alive(s, e);

    if (s->dead)
        return r;
    if (r == 0 && s->batch.n == s->logged)
        return 0; /* nothing of this turn; housekeeping waits for the next checkpoint */
    if (r < 0 || (r = store_take_room(s, 0, 0, e)) < 0 || (r = store_log_append(s, e)) < 0) {
        s->st.commits_failed++;
        if (!s->dead && drop_turn(s, &why) < 0) {
            *e = why;
            return why.code;
        }
        return r;
    }
    count_commit(s, clock_mono_ns() - t0);
    if (store_log_full(s) && checkpoint(s, &why) < 0 && s->dead)
        return 0; /* this turn is in the log; the next one will be told */
    return 0;
}
