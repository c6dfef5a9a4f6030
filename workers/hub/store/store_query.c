/* store/store_query.c - what the store can be asked. */
#include "store_int.h"

int store_row(const MDB_val *v, enum rec_type type, struct store_rec *out, struct err *e)
{
    struct store_rec r;
    size_t used;

    if (rec_decode(view_of(v->mv_data, v->mv_size), &r, &used, e) < 0)
        return err_set(e, ERR_CORRUPT, "store: %s row: %s", rec_name(type), e->text);
    if (r.type != type || used != v->mv_size)
        return err_set(e, ERR_CORRUPT, "store: %s row holds something else", rec_name(type));
    *out = r;
    return 0;
}

int store_get(struct store *s, MDB_txn *t, enum db db, MDB_val *key, const char *what, MDB_val *out,
              struct err *e)
{
    int rc = mdb_get(t, s->db[db], key, out);

    if (rc == MDB_NOTFOUND)
        return err_set(e, ERR_NOT_FOUND, "no %s", what);
    return rc ? store_err(s, rc, what, e) : 0;
}

/* A row by the key of its own table. A row that an index names must be there. */
static int get_row(struct store *s, MDB_txn *t, enum db db, MDB_val *key, enum rec_type type,
                   const char *what, struct store_rec *out, struct err *e)
{
    MDB_val v;
    int r = store_get(s, t, db, key, what, &v, e);

    return r < 0 ? r : store_row(&v, type, out, e);
}

static int dangling(int r, const char *index, struct err *e)
{
    return r == ERR_NOT_FOUND ? err_set(e, ERR_CORRUPT, "store: %s names a missing row", index) : r;
}

int store_find_sid(struct store *s, MDB_txn *t, struct view key, uint32_t *out, struct err *e)
{
    struct store_rec rec;
    struct key k, n;
    MDB_val v;
    int r;

    *out = 0;
    if (key.n == 0)
        return 0;
    r = store_get(s, t, DB_SESSION_KEY, key_session(&k, key), "such session", &v, e);
    if (r == ERR_NOT_FOUND)
        return 0;
    if (r < 0)
        return r;
    if (v.mv_size != 4)
        return err_set(e, ERR_CORRUPT, "store: session.key: %zu bytes", v.mv_size);
    if (key.n > KEY_MAX) { /* found by its digest */
        r = get_row(s, t, DB_SESSION, key_u32(&n, key_get_u32(v.mv_data)), REC_session_put,
                    "session", &rec, e);
        if (r < 0)
            return dangling(r, "session.key", e);
        if (!view_eq(rec.session_put.key, key))
            return err_set(e, ERR_CONFLICT, "store: another session has a key of this digest");
    }
    *out = key_get_u32(v.mv_data);
    return 0;
}

int store_find_job(struct store *s, MDB_txn *t, struct view run_id, uint64_t *out, struct err *e)
{
    struct key k;
    MDB_val v;
    int r;

    *out = 0;
    if (run_id.n == 0 || run_id.n > KEY_MAX)
        return 0;
    r = store_get(s, t, DB_RUN_ID, key_text(&k, run_id), "such run", &v, e);
    if (r == ERR_NOT_FOUND)
        return 0;
    if (r < 0)
        return r;
    if (v.mv_size != 8)
        return err_set(e, ERR_CORRUPT, "store: run.id: %zu bytes", v.mv_size);
    *out = key_get_u64(v.mv_data);
    return 0;
}

int store_meta_get(struct store *s, struct view key, struct view *out, struct err *e)
{
    struct store_rec rec;
    struct key k;
    MDB_txn *t;
    int r;

    if (key.n == 0 || key.n > KEY_MAX)
        return err_set(e, ERR_NOT_FOUND, "no such setting");
    if ((r = store_read(s, &t, e)) < 0 ||
        (r = get_row(s, t, DB_META, key_text(&k, key), REC_meta_set, "such setting", &rec, e)) < 0)
        return r;
    *out = rec.meta_set.value;
    return 0;
}

int store_session_by_sid(struct store *s, uint32_t sid, struct rec_session_put *out, struct err *e)
{
    struct store_rec rec;
    struct key k;
    MDB_txn *t;
    int r;

    if ((r = store_read(s, &t, e)) < 0 ||
        (r = get_row(s, t, DB_SESSION, key_u32(&k, sid), REC_session_put, "such session", &rec,
                     e)) < 0)
        return r;
    *out = rec.session_put;
    return 0;
}

int store_session_get(struct store *s, struct view key, struct rec_session_put *out, struct err *e)
{
    MDB_txn *t;
    uint32_t sid;
    int r;

    if ((r = store_read(s, &t, e)) < 0 || (r = store_find_sid(s, t, key, &sid, e)) < 0)
        return r;
    if (sid == 0)
        return err_set(e, ERR_NOT_FOUND, "no such session");
    return dangling(store_session_by_sid(s, sid, out, e), "session.key", e);
}

enum { NAMESAKES_MAX = 64 }; /* looked at: one is the rule */

static int by_name(struct store *s, char tag, struct view name, struct rec_session_put *out,
                   struct err *e)
{
    struct key first;
    MDB_val want = *key_session_name(&first, tag, name, 0), k = want, v;
    struct rec_session_put row;
    MDB_cursor *c;
    MDB_txn *t;
    bool found = false;
    int r, rc;

    if ((r = store_read(s, &t, e)) < 0)
        return r;
    if ((rc = mdb_cursor_open(t, s->db[DB_SESSION_NAME], &c)))
        return store_err(s, rc, "names", e);
    rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
    for (unsigned i = 0; rc == 0 && i < NAMESAKES_MAX && k.mv_size == want.mv_size + 4 &&
                         memcmp(k.mv_data, first.b, want.mv_size) == 0;
         i++, rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) {
        uint32_t sid = key_get_u32((const char *)k.mv_data + want.mv_size);

        if ((r = dangling(store_session_by_sid(s, sid, &row, e), "session.name", e)) < 0)
            break;
        if (view_eq(tag == 'i' ? row.session_id : row.label, name) && /* a digest is no proof */
            (!found || row.updated_at > out->updated_at)) {
            *out = row;
            found = true;
        }
    }
    mdb_cursor_close(c);
    if (r < 0)
        return r;
    if (rc && rc != MDB_NOTFOUND)
        return store_err(s, rc, "names", e);
    return found ? 0 : err_set(e, ERR_NOT_FOUND, "no such session");
}

int store_session_by_id(struct store *s, struct view session_id, struct rec_session_put *out,
                        struct err *e)
{
    return by_name(s, 'i', session_id, out, e);
}

int store_session_by_label(struct store *s, struct view label, struct rec_session_put *out,
                           struct err *e)
{
    return by_name(s, 'l', label, out, e);
}

int store_message_by_id(struct store *s, struct view id, struct rec_message_add *out, struct err *e)
{
    struct store_rec rec;
    struct key k;
    MDB_txn *t;
    MDB_val v, row;
    int r;

    if ((r = store_read(s, &t, e)) < 0 ||
        (r = store_get(s, t, DB_MESSAGE_ID, key_message_id(&k, id), "such message", &v, e)) < 0)
        return r;
    if (v.mv_size != 12)
        return err_set(e, ERR_CORRUPT, "store: message.id: %zu bytes", v.mv_size);
    /* of a deleted session, waiting for the sweep */
    r = store_get(s, t, DB_SESSION, key_u32(&k, key_get_u32(v.mv_data)), "such message", &row, e);
    if (r < 0)
        return r;
    r = get_row(s, t, DB_MESSAGE, &v, REC_message_add, "message", &rec, e);
    if (r < 0)
        return dangling(r, "message.id", e);
    if (!view_eq(rec.message_add.id, id))
        return err_set(e, ERR_NOT_FOUND, "no such message");
    *out = rec.message_add;
    return 0;
}

int store_run_by_job(struct store *s, uint64_t job_id, struct rec_run_put *out, struct err *e)
{
    struct store_rec rec;
    struct key k;
    MDB_txn *t;
    int r;

    if ((r = store_read(s, &t, e)) < 0 ||
        (r = get_row(s, t, DB_RUN, key_u64(&k, job_id), REC_run_put, "such run", &rec, e)) < 0)
        return r;
    *out = rec.run_put;
    return 0;
}

int store_run_get(struct store *s, struct view run_id, struct rec_run_put *out, struct err *e)
{
    MDB_txn *t;
    uint64_t job;
    int r;

    if ((r = store_read(s, &t, e)) < 0 || (r = store_find_job(s, t, run_id, &job, e)) < 0)
        return r;
    if (job == 0)
        return err_set(e, ERR_NOT_FOUND, "no such run");
    return dangling(store_run_by_job(s, job, out, e), "run.id", e);
}

uint64_t store_next_job_id(const struct store *s)
{
    return s->wtxn ? s->now.next_job : s->committed.next_job;
}

static int count(struct store *s, MDB_txn *t, enum db db, uint64_t *out, struct err *e)
{
    MDB_stat st;
    int rc = mdb_stat(t, s->db[db], &st);

    if (rc)
        return store_err(s, rc, "count", e);
    *out = st.ms_entries;
    return 0;
}

int store_sessions_count(struct store *s, uint64_t *out, struct err *e)
{
    MDB_txn *t;
    int r = store_read(s, &t, e);

    return r < 0 ? r : count(s, t, DB_SESSION, out, e);
}

/* ---- pages ---- */

int store_cursor(struct store *s, enum db db, MDB_txn **t, MDB_cursor **c, struct err *e)
{
    int r = store_read(s, t, e), rc;

    if (r < 0)
        return r;
    rc = mdb_cursor_open(*t, s->db[db], c);
    return rc ? store_err(s, rc, "cursor", e) : 0;
}

int store_walk_end(struct store *s, MDB_cursor *c, int r, int rc, struct err *e)
{
    mdb_cursor_close(c);
    if (r)
        return r < 0 ? r : 0;
    return rc && rc != MDB_NOTFOUND ? store_err(s, rc, "walk", e) : 0;
}

int store_meta_page(struct store *s, struct view prefix, store_on_meta *on, void *ctx,
                    struct err *e)
{
    struct store_rec rec;
    struct key n;
    MDB_txn *t;
    MDB_cursor *c;
    MDB_val k, v;
    int r = store_cursor(s, DB_META, &t, &c, e), rc;

    if (r < 0)
        return r;
    k = *key_text(&n, prefix);
    for (rc = mdb_cursor_get(c, &k, &v, prefix.n ? MDB_SET_RANGE : MDB_FIRST); rc == 0;
         rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) {
        if (!view_starts(view_of(k.mv_data, k.mv_size), prefix))
            break;
        if ((r = store_row(&v, REC_meta_set, &rec, e)) == 0)
            r = on(ctx, rec.meta_set.key, rec.meta_set.value);
        if (r)
            break;
    }
    return store_walk_end(s, c, r, rc, e);
}

int store_device_get(struct store *s, struct view id, struct rec_device_put *out, struct err *e)
{
    struct store_rec rec;
    struct key k;
    MDB_txn *t;
    int r;

    if (id.n == 0 || id.n > KEY_MAX)
        return err_set(e, ERR_NOT_FOUND, "no such device");
    if ((r = store_read(s, &t, e)) < 0 || (r = get_row(s, t, DB_DEVICE, key_text(&k, id),
                                                       REC_device_put, "such device", &rec, e)) < 0)
        return r;
    *out = rec.device_put;
    return 0;
}

int store_devices(struct store *s, store_on_device *on, void *ctx, struct err *e)
{
    struct store_rec rec;
    MDB_txn *t;
    MDB_cursor *c;
    MDB_val k, v;
    int r = store_cursor(s, DB_DEVICE, &t, &c, e), rc;

    if (r < 0)
        return r;
    for (rc = mdb_cursor_get(c, &k, &v, MDB_FIRST); rc == 0;
         rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) {
        if ((r = store_row(&v, REC_device_put, &rec, e)) == 0)
            r = on(ctx, &rec.device_put);
        if (r)
            break;
    }
    return store_walk_end(s, c, r, rc, e);
}

int store_devices_count(struct store *s, uint64_t *out, struct err *e)
{
    MDB_txn *t;
    int r = store_read(s, &t, e);

    return r < 0 ? r : count(s, t, DB_DEVICE, out, e);
}

/* To the last entry of a transcript: the one before where the next transcript would begin. */
static int seek_last(MDB_cursor *c, uint32_t sid, MDB_val *k, MDB_val *v)
{
    struct key end;
    int rc;

    *k = *key_u32_u64(&end, sid, UINT64_MAX);
    rc = mdb_cursor_get(c, k, v, MDB_SET_RANGE);
    rc = mdb_cursor_get(c, k, v, rc == MDB_NOTFOUND ? MDB_LAST : MDB_PREV);
    if (rc == 0 && (k->mv_size != 12 || key_get_u32(k->mv_data) != sid))
        rc = MDB_NOTFOUND;
    return rc;
}

int store_last_seq(struct store *s, MDB_txn *t, uint32_t sid, uint64_t *out, struct err *e)
{
    MDB_cursor *c;
    MDB_val k, v;
    int rc = mdb_cursor_open(t, s->db[DB_MESSAGE], &c);

    if (rc)
        return store_err(s, rc, "cursor", e);
    rc = seek_last(c, sid, &k, &v);
    if (rc == 0 || rc == MDB_NOTFOUND)
        *out = rc ? 0 : key_get_u64((char *)k.mv_data + 4);
    return store_walk_end(s, c, 0, rc, e);
}

int store_history_count(struct store *s, uint32_t sid, uint64_t *out, struct err *e)
{
    struct rec_session_put row;
    MDB_txn *t;
    int r = store_session_by_sid(s, sid, &row, e);

    if (r == ERR_NOT_FOUND) { /* or waiting for the sweep */
        *out = 0;
        return 0;
    }
    return r < 0 || (r = store_read(s, &t, e)) < 0 ? r : store_last_seq(s, t, sid, out, e);
}

/* From seq `from`, step by step in one direction, to `to` or limit entries. */
static int history(struct store *s, uint32_t sid, uint64_t from, uint64_t to, MDB_cursor_op step,
                   size_t limit, store_on_message *on, void *ctx, struct err *e)
{
    struct store_rec rec;
    struct key n;
    MDB_txn *t;
    MDB_cursor *c;
    MDB_val k, v;
    uint64_t seq;
    int r = store_cursor(s, DB_MESSAGE, &t, &c, e), rc;

    if (r < 0)
        return r;
    k = *key_u32_u64(&n, sid, from);
    for (rc = mdb_cursor_get(c, &k, &v, MDB_SET_KEY); rc == 0 && limit;
         rc = mdb_cursor_get(c, &k, &v, step)) {
        seq = key_get_u64((char *)k.mv_data + 4);
        if (key_get_u32(k.mv_data) != sid || (step == MDB_NEXT ? seq > to : seq < to))
            break;
        if ((r = store_row(&v, REC_message_add, &rec, e)) == 0)
            r = on(ctx, &rec.message_add);
        if (r)
            break;
        limit--;
    }
    return store_walk_end(s, c, r, rc, e);
}

int store_history_page(struct store *s, uint32_t sid, uint64_t offset, size_t limit,
                       store_on_message *on, void *ctx, struct err *e)
{
    uint64_t n;
    int r = store_history_count(s, sid, &n, e);

    if (r < 0 || offset >= n)
        return r;
    return history(s, sid, n - offset, 1, MDB_PREV, limit, on, ctx, e);
}

int store_history_range(struct store *s, uint32_t sid, uint64_t first, uint64_t last,
                        store_on_message *on, void *ctx, struct err *e)
{
    uint64_t n;
    int r = store_history_count(s, sid, &n, e);

    first = first ? first : 1;
    if (r < 0 || first > n || first > last)
        return r;
    return history(s, sid, first, last, MDB_NEXT, SIZE_MAX, on, ctx, e);
}

int store_runs_open(struct store *s, uint64_t after, store_on_run *on, void *ctx, struct err *e)
{
    struct store_rec rec;
    struct key n;
    MDB_txn *t;
    MDB_cursor *c;
    MDB_val k, v;
    int r = store_cursor(s, DB_RUN_OPEN, &t, &c, e), rc;

    if (r < 0)
        return r;
    if (after == UINT64_MAX)
        return store_walk_end(s, c, 0, 0, e);
    k = *key_u64(&n, after + 1);
    for (rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE); rc == 0;
         rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) {
        r = get_row(s, t, DB_RUN, &k, REC_run_put, "run", &rec, e);
        r = r < 0 ? dangling(r, "run.open", e) : on(ctx, &rec.run_put);
        if (r)
            break;
    }
    return store_walk_end(s, c, r, rc, e);
}

int store_runs_expired(struct store *s, int64_t before_ms, uint64_t keep, store_on_run *on,
                       void *ctx, struct err *e)
{
    struct store_rec rec;
    struct key n;
    MDB_txn *t;
    MDB_cursor *c;
    MDB_val k, v;
    uint64_t total = 0, over;
    int r = store_cursor(s, DB_RUN_DONE, &t, &c, e), rc = 0;

    if (r < 0)
        return r;
    if ((r = count(s, t, DB_RUN_DONE, &total, e)) < 0)
        return store_walk_end(s, c, r, 0, e);
    over = total > keep ? total - keep : 0;
    for (rc = mdb_cursor_get(c, &k, &v, MDB_FIRST); rc == 0;
         rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) {
        if (over)
            over--;
        else if (key_get_time(k.mv_data) >= before_ms)
            break;
        r = get_row(s, t, DB_RUN, key_u64(&n, key_get_u64((char *)k.mv_data + 8)), REC_run_put,
                    "run", &rec, e);
        r = r < 0 ? dangling(r, "run.done", e) : on(ctx, &rec.run_put);
        if (r)
            break;
    }
    return store_walk_end(s, c, r, rc, e);
}

struct first_run {
    char id[KEY_MAX];
    size_t n;
};

static int on_first(void *ctx, const struct rec_run_put *r)
{
    struct first_run *f = ctx;

    f->n = r->run_id.n < sizeof(f->id) ? r->run_id.n : sizeof(f->id);
    memcpy(f->id, r->run_id.p, f->n);
    return 1;
}

int store_runs_prune(struct store *s, int64_t before_ms, uint64_t keep, size_t limit,
                     size_t *dropped, struct err *e)
{
    struct first_run f;
    struct store_rec rec = {.type = REC_run_del};
    int r;

    for (*dropped = 0; *dropped < limit; ++*dropped) {
        f.n = 0;
        if ((r = store_runs_expired(s, before_ms, keep, on_first, &f, e)) < 0)
            return r;
        if (f.n == 0)
            break;
        rec.run_del.run_id = view_of(f.id, f.n);
        if ((r = store_apply(s, &rec, e)) < 0)
            return r;
    }
    return 0;
}
