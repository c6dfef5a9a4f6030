/* store/store_delivery.c - outgoing messages, their states, and which incoming ones were taken up.
 */
#include "store_int.h"

/* A number that only grows; 1 in a store that never used it. */
static uint64_t next_number(struct store *s, const char *name)
{
    struct key k;
    MDB_val v;

    if (mdb_get(s->wtxn, s->db[DB_SYS], key_text(&k, view_str(name)), &v) || v.mv_size != 8)
        return 1;
    return key_get_u64(v.mv_data);
}

/* 0 when there is none. */
static int find_number(struct store *s, MDB_txn *t, enum db db, struct view key, uint64_t *out,
                       struct err *e)
{
    struct key k;
    MDB_val v;
    int r;

    *out = 0;
    if (key.n == 0 || key.n > KEY_MAX)
        return 0;
    r = store_get(s, t, db, key_text(&k, key), "such row", &v, e);
    if (r == ERR_NOT_FOUND)
        return 0;
    if (r == 0 && v.mv_size != 8)
        return err_set(e, ERR_CORRUPT, "store: index: %zu bytes", v.mv_size);
    if (r == 0)
        *out = key_get_u64(v.mv_data);
    return r;
}

/* ---- changes ---- */

static int ready_add(struct store *s, struct rec_delivery_add *r, struct err *e)
{
    uint64_t known, next = next_number(s, "next.delivery");
    int rc;

    if (r->key.n == 0 || r->kind >= DELIVERY_KIND_COUNT || (r->parts == 0 && r->media.n == 0))
        return err_set(e, ERR_INVALID, "delivery_add: %s",
                       r->key.n == 0                    ? "empty key"
                       : r->kind >= DELIVERY_KIND_COUNT ? "kind"
                                                        : "no parts");
    if ((rc = find_number(s, s->wtxn, DB_DELIVERY_KEY, r->key, &known, e)) < 0)
        return rc;
    if (known)
        return err_set(e, ERR_CONFLICT, "delivery_add: this key exists already");
    if (r->id && (r->id < next || r->id == UINT64_MAX))
        return err_set(e, ERR_CONFLICT, "delivery_add: this number was used before");
    r->id = r->id ? r->id : next;
    return 0;
}

static int ready_inbound(struct store *s, struct rec_inbound_add *r, struct err *e)
{
    uint64_t known, next = next_number(s, "next.inbound");
    int rc;

    if (r->key.n == 0)
        return err_set(e, ERR_INVALID, "inbound_add: empty key");
    if ((rc = find_number(s, s->wtxn, DB_INBOUND_KEY, r->key, &known, e)) < 0)
        return rc;
    if (known)
        return err_set(e, ERR_CONFLICT, "inbound_add: this key exists already");
    if (r->seq && (r->seq < next || r->seq == UINT64_MAX))
        return err_set(e, ERR_CONFLICT, "inbound_add: this number was used before");
    r->seq = r->seq ? r->seq : next;
    return 0;
}

int store_prepare_delivery(struct store *s, struct store_rec *r, struct err *e)
{
    struct key k;
    MDB_val v;

    if (r->type == REC_delivery_add)
        return ready_add(s, &r->delivery_add, e);
    if (r->type == REC_inbound_add)
        return ready_inbound(s, &r->inbound_add, e);
    if (r->type == REC_inbound_forget)
        return 0;
    if (r->type == REC_delivery_state && r->delivery_state.state >= DELIVERY_STATE_COUNT)
        return err_set(e, ERR_INVALID, "delivery_state: state");
    return store_get(
        s, s->wtxn, DB_DELIVERY,
        key_u64(&k, r->type == REC_delivery_state ? r->delivery_state.id : r->delivery_del.id),
        "such delivery", &v, e);
}

static MDB_val val(struct view v)
{
    union { /* LMDB does not write through the pointer it puts */
        const char *in;
        void *out;
    } u = {.in = v.p};

    return (MDB_val){v.n, u.out};
}

static int put(struct store *s, enum db db, MDB_val *key, struct view v, unsigned flags)
{
    MDB_val d = val(v);

    return mdb_put(s->wtxn, s->db[db], key, &d, flags);
}

/* The list that a state belongs to, and the delivery's key in it. */
static enum db list_of(const struct rec_delivery_state *st, struct key *k)
{
    if (st->state == DELIVERY_SENT || st->state == DELIVERY_DROPPED) {
        (void)key_time_u64(k, st->updated_at, st->id);
        return DB_DELIVERY_DONE;
    }
    (void)key_u64(k, st->id);
    return delivery_is_open(st->state) ? DB_DELIVERY_OPEN : DB_DELIVERY_HELD;
}

static int old_state(struct store *s, uint64_t id, struct rec_delivery_state *out)
{
    struct store_rec rec;
    struct key k;
    struct err e;
    MDB_val v;
    int rc = mdb_get(s->wtxn, s->db[DB_DELIVERY_STATE], key_u64(&k, id), &v);

    *out = (struct rec_delivery_state){.id = id};
    if (rc == MDB_NOTFOUND)
        return 0; /* queued, as it came */
    if (rc == 0 && store_row(&v, REC_delivery_state, &rec, &e) < 0)
        rc = MDB_CORRUPTED;
    if (rc == 0)
        *out = rec.delivery_state;
    return rc;
}

static int put_state(struct store *s, const struct rec_delivery_state *r, struct view row)
{
    struct rec_delivery_state old;
    struct key was, is, id;
    enum db from, to;
    int rc = old_state(s, r->id, &old);

    if (rc)
        return rc;
    from = list_of(&old, &was);
    to = list_of(r, &is);
    if ((from != to || was.v.mv_size != is.v.mv_size || memcmp(was.b, is.b, was.v.mv_size) != 0) &&
        ((rc = mdb_del(s->wtxn, s->db[from], &was.v, NULL)) ||
         (rc = put(s, to, &is.v, VIEW_EMPTY, 0))))
        return rc;
    return put(s, DB_DELIVERY_STATE, key_u64(&id, r->id), row, 0);
}

static int put_add(struct store *s, const struct rec_delivery_add *r, struct view row)
{
    struct key k, id;
    int rc = put(s, DB_DELIVERY, key_u64(&id, r->id), row, MDB_NOOVERWRITE);

    if (rc ||
        (rc = put(s, DB_DELIVERY_KEY, key_text(&k, r->key), view_of(id.b, 8), MDB_NOOVERWRITE)) ||
        (rc = put(s, DB_DELIVERY_OPEN, &id.v, VIEW_EMPTY, 0)))
        return rc;
    return store_sys_put(s, "next.delivery", r->id + 1);
}

static int put_del(struct store *s, uint64_t n)
{
    struct rec_delivery_state old;
    struct store_rec rec;
    struct key k, id;
    struct err e;
    MDB_val v;
    int rc = mdb_get(s->wtxn, s->db[DB_DELIVERY], key_u64(&id, n), &v);

    if (rc == 0 && store_row(&v, REC_delivery_add, &rec, &e) < 0)
        rc = MDB_CORRUPTED;
    if (rc == 0)
        rc = mdb_del(s->wtxn, s->db[DB_DELIVERY_KEY], key_text(&k, rec.delivery_add.key), NULL);
    if (rc || (rc = old_state(s, n, &old)))
        return rc;
    if ((rc = mdb_del(s->wtxn, s->db[list_of(&old, &k)], &k.v, NULL)) ||
        (rc = mdb_del(s->wtxn, s->db[DB_DELIVERY], &id.v, NULL)))
        return rc;
    rc = mdb_del(s->wtxn, s->db[DB_DELIVERY_STATE], &id.v, NULL);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int put_inbound(struct store *s, const struct rec_inbound_add *r, struct view row)
{
    struct key k, seq;
    int rc = put(s, DB_INBOUND, key_u64(&seq, r->seq), row, MDB_NOOVERWRITE);

    if (rc ||
        (rc = put(s, DB_INBOUND_KEY, key_text(&k, r->key), view_of(seq.b, 8), MDB_NOOVERWRITE)))
        return rc;
    return store_sys_put(s, "next.inbound", r->seq + 1);
}

static int put_forget(struct store *s, uint64_t last)
{
    struct store_rec rec;
    struct key k;
    struct err e;
    MDB_cursor *c;
    MDB_val key, v;
    int rc = mdb_cursor_open(s->wtxn, s->db[DB_INBOUND], &c);

    if (rc)
        return rc;
    while ((rc = mdb_cursor_get(c, &key, &v, MDB_FIRST)) == 0 && key_get_u64(key.mv_data) <= last) {
        if (store_row(&v, REC_inbound_add, &rec, &e) < 0)
            rc = MDB_CORRUPTED;
        if (rc ||
            (rc = mdb_del(s->wtxn, s->db[DB_INBOUND_KEY], key_text(&k, rec.inbound_add.key),
                          NULL)) ||
            (rc = mdb_cursor_del(c, 0)))
            break;
    }
    mdb_cursor_close(c);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

int store_put_delivery(struct store *s, const struct store_rec *r, struct view row)
{
    if (r->type == REC_delivery_add)
        return put_add(s, &r->delivery_add, row);
    if (r->type == REC_delivery_state)
        return put_state(s, &r->delivery_state, row);
    if (r->type == REC_delivery_del)
        return put_del(s, r->delivery_del.id);
    return r->type == REC_inbound_add ? put_inbound(s, &r->inbound_add, row)
                                      : put_forget(s, r->inbound_forget.seq);
}

/* ---- queries ---- */

static int get(struct store *s, MDB_txn *t, uint64_t id, struct store_delivery *out, struct err *e)
{
    struct store_rec rec;
    struct key k;
    MDB_val v;
    int r;

    if ((r = store_get(s, t, DB_DELIVERY, key_u64(&k, id), "such delivery", &v, e)) < 0 ||
        (r = store_row(&v, REC_delivery_add, &rec, e)) < 0)
        return r;
    out->add = rec.delivery_add;
    r = store_get(s, t, DB_DELIVERY_STATE, &k.v, "such delivery", &v, e);
    if (r == ERR_NOT_FOUND) {
        out->state = (struct rec_delivery_state){.id = id,
                                                 .updated_at = out->add.created_at,
                                                 .next_at = out->add.created_at,
                                                 .error = VIEW_EMPTY,
                                                 .message_ids = VIEW_EMPTY};
        return 0;
    }
    if (r == 0 && (r = store_row(&v, REC_delivery_state, &rec, e)) == 0)
        out->state = rec.delivery_state;
    return r;
}

int store_delivery_get(struct store *s, uint64_t id, struct store_delivery *out, struct err *e)
{
    MDB_txn *t;
    int r = store_read(s, &t, e);

    return r < 0 ? r : get(s, t, id, out, e);
}

int store_delivery_by_key(struct store *s, struct view key, struct store_delivery *out,
                          struct err *e)
{
    MDB_txn *t;
    uint64_t id;
    int r;

    if ((r = store_read(s, &t, e)) < 0 || (r = find_number(s, t, DB_DELIVERY_KEY, key, &id, e)) < 0)
        return r;
    return id ? get(s, t, id, out, e) : err_set(e, ERR_NOT_FOUND, "no such delivery");
}

static const enum db lists[] = {DB_DELIVERY_OPEN, DB_DELIVERY_HELD, DB_DELIVERY_DONE};

int store_deliveries(struct store *s, enum delivery_list list, uint64_t after,
                     store_on_delivery *on, void *ctx, struct err *e)
{
    struct store_delivery d;
    struct key n;
    MDB_txn *t;
    MDB_cursor *c;
    MDB_val k, v;
    int r, rc;

    if ((r = store_read(s, &t, e)) < 0 || after == UINT64_MAX)
        return r;
    if ((rc = mdb_cursor_open(t, s->db[lists[list]], &c)))
        return store_err(s, rc, "cursor", e);
    k = *key_u64(&n, after + 1);
    for (rc = mdb_cursor_get(c, &k, &v, list == DELIVERIES_DONE ? MDB_FIRST : MDB_SET_RANGE);
         rc == 0 && r == 0; rc = mdb_cursor_get(c, &k, &v, MDB_NEXT))
        if ((r = get(s, t, key_get_u64((char *)k.mv_data + k.mv_size - 8), &d, e)) == 0)
            r = on(ctx, &d);
    mdb_cursor_close(c);
    if (r)
        return r < 0 ? r : 0;
    return rc && rc != MDB_NOTFOUND ? store_err(s, rc, "walk", e) : 0;
}

static int count(struct store *s, enum db db, uint64_t *out, struct err *e)
{
    MDB_stat st;
    MDB_txn *t;
    int r, rc;

    if ((r = store_read(s, &t, e)) < 0)
        return r;
    if ((rc = mdb_stat(t, s->db[db], &st)))
        return store_err(s, rc, "count", e);
    *out = st.ms_entries;
    return 0;
}

int store_deliveries_count(struct store *s, enum delivery_list list, uint64_t *out, struct err *e)
{
    return count(s, lists[list], out, e);
}

struct oldest {
    uint64_t id;
    int64_t at;
};

static int on_oldest(void *ctx, const struct store_delivery *d)
{
    struct oldest *o = ctx;

    o->id = d->add.id;
    o->at = d->state.updated_at;
    return 1;
}

int store_deliveries_prune(struct store *s, int64_t before_ms, uint64_t keep, size_t limit,
                           size_t *dropped, struct err *e)
{
    struct store_rec rec = {.type = REC_delivery_del};
    struct oldest o;
    uint64_t n = 0;
    int r;

    for (*dropped = 0; *dropped < limit; ++*dropped) {
        o = (struct oldest){0, 0};
        if ((r = count(s, DB_DELIVERY_DONE, &n, e)) < 0 ||
            (r = store_deliveries(s, DELIVERIES_DONE, 0, on_oldest, &o, e)) < 0)
            return r;
        if (o.id == 0 || (n <= keep && o.at >= before_ms))
            break;
        rec.delivery_del.id = o.id;
        if ((r = store_apply(s, &rec, e)) < 0)
            return r;
    }
    return 0;
}

int store_inbound_get(struct store *s, struct view key, struct rec_inbound_add *out, struct err *e)
{
    struct store_rec rec;
    struct key k;
    MDB_txn *t;
    MDB_val v;
    uint64_t seq;
    int r;

    if ((r = store_read(s, &t, e)) < 0 || (r = find_number(s, t, DB_INBOUND_KEY, key, &seq, e)) < 0)
        return r;
    if (seq == 0)
        return err_set(e, ERR_NOT_FOUND, "no such message");
    if ((r = store_get(s, t, DB_INBOUND, key_u64(&k, seq), "such message", &v, e)) < 0 ||
        (r = store_row(&v, REC_inbound_add, &rec, e)) < 0)
        return r;
    *out = rec.inbound_add;
    return 0;
}

int store_inbound_prune(struct store *s, int64_t before_ms, uint64_t keep, size_t limit,
                        size_t *dropped, struct err *e)
{
    struct store_rec rec, forget = {.type = REC_inbound_forget};
    MDB_cursor *c;
    MDB_txn *t;
    MDB_val k, v;
    uint64_t n = 0, over;
    int r, rc;

    *dropped = 0;
    if ((r = count(s, DB_INBOUND, &n, e)) < 0 || (r = store_read(s, &t, e)) < 0)
        return r;
    over = n > keep ? n - keep : 0;
    if ((rc = mdb_cursor_open(t, s->db[DB_INBOUND], &c)))
        return store_err(s, rc, "cursor", e);
    for (rc = mdb_cursor_get(c, &k, &v, MDB_FIRST); rc == 0 && *dropped < limit;
         rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) {
        if ((r = store_row(&v, REC_inbound_add, &rec, e)) < 0)
            break;
        if (*dropped >= over && rec.inbound_add.at >= before_ms)
            break;
        forget.inbound_forget.seq = rec.inbound_add.seq;
        ++*dropped;
    }
    mdb_cursor_close(c);
    if (r < 0 || *dropped == 0)
        return r;
    return store_apply(s, &forget, e);
}
