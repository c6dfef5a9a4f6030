/* store/store_sessions.c - sessions one after the other: by time, by number. */
#include "store_int.h"

static int row_of(struct store *s, MDB_txn *t, const MDB_val *k, struct store_rec *out,
                  struct err *e)
{
    struct key n;
    MDB_val v;
    int r = store_get(s, t, DB_SESSION, key_u32(&n, key_get_u32((const char *)k->mv_data + 8)),
                      "session", &v, e);

    if (r == ERR_NOT_FOUND)
        return err_set(e, ERR_CORRUPT, "store: session.time names a missing row");
    return r < 0 ? r : store_row(&v, REC_session_put, out, e);
}

int store_sessions_page(struct store *s, size_t offset, size_t limit, store_on_session *on,
                        void *ctx, struct err *e)
{
    struct store_rec rec;
    MDB_txn *t;
    MDB_cursor *c;
    MDB_val k, v;
    int r = store_cursor(s, DB_SESSION_TIME, &t, &c, e), rc;

    if (r < 0)
        return r;
    for (rc = mdb_cursor_get(c, &k, &v, MDB_LAST); rc == 0 && limit;
         rc = mdb_cursor_get(c, &k, &v, MDB_PREV)) {
        if (offset) {
            offset--;
            continue;
        }
        if ((r = row_of(s, t, &k, &rec, e)) < 0 || (r = on(ctx, &rec.session_put)) != 0)
            break;
        limit--;
    }
    return store_walk_end(s, c, r, rc, e);
}

int store_sessions_skip(struct store *s, uint64_t count, int archived, uint64_t *passed,
                        uint64_t *found, struct err *e)
{
    struct store_rec rec;
    MDB_txn *t;
    MDB_cursor *c;
    MDB_val k, v;
    int r = store_cursor(s, DB_SESSION_TIME, &t, &c, e), rc;

    *passed = *found = 0;
    if (r < 0)
        return r;
    for (rc = mdb_cursor_get(c, &k, &v, MDB_LAST); rc == 0 && *found < count;
         rc = mdb_cursor_get(c, &k, &v, MDB_PREV), ++*passed) {
        bool is = v.mv_size == 1 && *(const char *)v.mv_data == 'a';

        if (v.mv_size == 0) { /* written by an older program */
            if ((r = row_of(s, t, &k, &rec, e)) < 0)
                break;
            is = rec.session_put.flags & SESSION_ARCHIVED;
        }
        *found += archived < 0 || is == (archived != 0);
    }
    return store_walk_end(s, c, r, rc, e);
}

int store_sessions_from(struct store *s, uint32_t after, size_t limit, store_on_session *on,
                        void *ctx, struct err *e)
{
    struct store_rec rec;
    struct key n;
    MDB_txn *t;
    MDB_cursor *c;
    MDB_val k, v;
    int r, rc;

    if (after == UINT32_MAX)
        return 0;
    if ((r = store_cursor(s, DB_SESSION, &t, &c, e)) < 0)
        return r;
    k = *key_u32(&n, after + 1);
    for (rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE); rc == 0 && limit > 0;
         rc = mdb_cursor_get(c, &k, &v, MDB_NEXT), limit--)
        if ((r = store_row(&v, REC_session_put, &rec, e)) < 0 ||
            (r = on(ctx, &rec.session_put)) != 0)
            break;
    return store_walk_end(s, c, r, rc, e);
}
