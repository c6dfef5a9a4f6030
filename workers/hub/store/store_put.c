/* store/store_put.c - what each record type does to the tables. */
#include "store_int.h"

/* ---- before anything is written: validate, fill in zeros ---- */

static int ready_session_put(struct store *s, struct rec_session_put *r, struct err *e)
{
    uint32_t sid;
    int rc;

    if (r->key.n == 0 || r->status >= SESSION_STATUS_COUNT)
        return err_set(e, ERR_INVALID, "session_put: %s", r->key.n ? "status" : "empty key");
    if ((rc = store_find_sid(s, s->wtxn, r->key, &sid, e)) < 0)
        return rc;
    if (sid && r->sid && r->sid != sid)
        return err_set(e, ERR_CONFLICT, "session_put: this key has sid %u, not %u", sid, r->sid);
    if (!sid && r->sid && r->sid < s->now.next_sid)
        return err_set(e, ERR_CONFLICT, "session_put: sid %u was used before", r->sid);
    if (!sid && !r->sid && s->now.next_sid >= UINT32_MAX)
        return err_set(e, ERR_LIMIT, "session_put: all session numbers are used");
    r->sid = sid ? sid : r->sid ? r->sid : (uint32_t)s->now.next_sid;
    return 0;
}

static int ready_session_del(struct store *s, const struct rec_session_del *r, struct err *e)
{
    uint32_t sid;
    int rc = store_find_sid(s, s->wtxn, r->key, &sid, e);

    return rc < 0 ? rc : sid ? 0 : err_set(e, ERR_NOT_FOUND, "no such session");
}

static int ready_message_add(struct store *s, struct rec_message_add *r, struct err *e)
{
    struct key k;
    MDB_val v;
    uint64_t last;
    int rc;

    if (r->id.n == 0)
        return err_set(e, ERR_INVALID, "message_add: empty id");
    if ((rc = store_get(s, s->wtxn, DB_SESSION, key_u32(&k, r->sid), "such session", &v, e)) < 0 ||
        (rc = store_last_seq(s, s->wtxn, r->sid, &last, e)) < 0)
        return rc;
    if (r->seq && r->seq != last + 1)
        return err_set(e, ERR_CONFLICT, "message_add: seq %llu, the next one is %llu",
                       (unsigned long long)r->seq, (unsigned long long)last + 1);
    rc = store_get(s, s->wtxn, DB_MESSAGE_ID, key_message_id(&k, r->id), "such message", &v, e);
    if (rc == 0)
        return err_set(e, ERR_CONFLICT, "message_add: this id exists already");
    if (rc != ERR_NOT_FOUND)
        return rc;
    r->seq = last + 1;
    return 0;
}

static int ready_run_put(struct store *s, struct rec_run_put *r, struct err *e)
{
    uint64_t job;
    int rc;

    if (r->run_id.n == 0 || r->state >= RUN_STATE_COUNT)
        return err_set(e, ERR_INVALID, "run_put: %s", r->run_id.n ? "state" : "empty run_id");
    if ((rc = store_find_job(s, s->wtxn, r->run_id, &job, e)) < 0)
        return rc;
    if (job && r->job_id && r->job_id != job)
        return err_set(e, ERR_CONFLICT, "run_put: this run has another job number");
    if (!job && r->job_id && (r->job_id < s->now.next_job || r->job_id == UINT64_MAX))
        return err_set(e, ERR_CONFLICT, "run_put: this job number was used before");
    r->job_id = job ? job : r->job_id ? r->job_id : s->now.next_job;
    return 0;
}

static int ready_run_del(struct store *s, const struct rec_run_del *r, struct err *e)
{
    uint64_t job;
    int rc = store_find_job(s, s->wtxn, r->run_id, &job, e);

    return rc < 0 ? rc : job ? 0 : err_set(e, ERR_NOT_FOUND, "no such run");
}

static int ready_device_del(struct store *s, const struct rec_device_del *r, struct err *e)
{
    struct key k;
    MDB_val v;

    return store_get(s, s->wtxn, DB_DEVICE, key_text(&k, r->id), "such device", &v, e);
}

int store_prepare(struct store *s, struct store_rec *r, struct err *e)
{
    switch (r->type) {
    case REC_meta_set:
        return r->meta_set.key.n ? 0 : err_set(e, ERR_INVALID, "meta_set: empty key");
    case REC_session_put:
        return ready_session_put(s, &r->session_put, e);
    case REC_session_del:
        return ready_session_del(s, &r->session_del, e);
    case REC_message_add:
        return ready_message_add(s, &r->message_add, e);
    case REC_run_put:
        return ready_run_put(s, &r->run_put, e);
    case REC_run_del:
        return ready_run_del(s, &r->run_del, e);
    case REC_device_put:
        return r->device_put.id.n ? 0 : err_set(e, ERR_INVALID, "device_put: empty id");
    case REC_device_del:
        return ready_device_del(s, &r->device_del, e);
    case REC_delivery_add:
    case REC_delivery_state:
    case REC_delivery_del:
    case REC_inbound_add:
    case REC_inbound_forget:
        return store_prepare_delivery(s, r, e);
    case REC_TYPE_MAX:
        break;
    }
    return err_set(e, ERR_INVALID, "unknown record type %u", (unsigned)r->type);
}

/* ---- writing; LMDB's codes inside, translated once in store_put ---- */

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

static int del(struct store *s, enum db db, MDB_val *key)
{
    return mdb_del(s->wtxn, s->db[db], key, NULL);
}

/* The stored row before this change; MDB_NOTFOUND when there is none. */
static int old_row(struct store *s, enum db db, MDB_val *key, enum rec_type type,
                   struct store_rec *out)
{
    struct err e;
    MDB_val v;
    int rc = mdb_get(s->wtxn, s->db[db], key, &v);

    if (rc == 0 && store_row(&v, type, out, &e) < 0)
        rc = MDB_CORRUPTED;
    return rc;
}

static int put_meta(struct store *s, const struct rec_meta_set *r, struct view row)
{
    struct key k;
    int rc;

    if (r->value.n)
        return put(s, DB_META, key_text(&k, r->key), row, 0);
    rc = del(s, DB_META, key_text(&k, r->key));
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* Old and new name of one kind; either may be empty. */
static int put_name(struct store *s, char tag, struct view before, struct view after, uint32_t sid)
{
    struct key k;
    int rc;

    if (view_eq(before, after))
        return 0;
    if (before.n && (rc = del(s, DB_SESSION_NAME, key_session_name(&k, tag, before, sid))))
        return rc;
    return after.n ? put(s, DB_SESSION_NAME, key_session_name(&k, tag, after, sid), VIEW_EMPTY, 0)
                   : 0;
}

int store_put_names(struct store *s, const struct rec_session_put *r)
{
    int rc = put_name(s, 'i', VIEW_EMPTY, r->session_id, r->sid);

    return rc ? rc : put_name(s, 'l', VIEW_EMPTY, r->label, r->sid);
}

static int put_session(struct store *s, const struct rec_session_put *r, struct view row)
{
    struct store_rec old;
    struct key k, sid;
    int64_t before;
    bool archived = false;
    int rc = old_row(s, DB_SESSION, key_u32(&sid, r->sid), REC_session_put, &old);

    if (rc == MDB_NOTFOUND) {
        if (r->sid >= s->now.next_sid)
            s->now.next_sid = (uint64_t)r->sid + 1;
        if ((rc = put(s, DB_SESSION_KEY, key_session(&k, r->key), view_of(sid.b, 4),
                      MDB_NOOVERWRITE)) ||
            (rc = store_put_names(s, r)))
            return rc;
    } else if (rc) {
        return rc;
    } else {
        before = old.session_put.updated_at;
        archived = old.session_put.flags & SESSION_ARCHIVED;
        /* what is written makes the views of the old row void: it is read again */
        if ((rc = put_name(s, 'l', old.session_put.label, r->label, r->sid)) ||
            (rc = old_row(s, DB_SESSION, key_u32(&sid, r->sid), REC_session_put, &old)) ||
            (rc = put_name(s, 'i', old.session_put.session_id, r->session_id, r->sid)))
            return rc;
        if (before == r->updated_at && archived == !!(r->flags & SESSION_ARCHIVED))
            return put(s, DB_SESSION, &sid.v, row, 0);
        if (before != r->updated_at &&
            (rc = del(s, DB_SESSION_TIME, key_time_u32(&k, before, r->sid))))
            return rc;
    }
    if ((rc = put(s, DB_SESSION_TIME, key_time_u32(&k, r->updated_at, r->sid),
                  view_of(r->flags & SESSION_ARCHIVED ? "a" : "-", 1), 0)))
        return rc;
    return put(s, DB_SESSION, &sid.v, row, 0);
}

/* Remove at most *budget messages of a deleted session, and its grave with the last one. */
static int sweep_one(struct store *s, uint32_t sid, unsigned *budget)
{
    MDB_cursor *c;
    struct store_rec m;
    struct key k, g;
    struct err e;
    MDB_val key, v;
    int rc = mdb_cursor_open(s->wtxn, s->db[DB_MESSAGE], &c);

    if (rc)
        return rc;
    for (;;) {
        key = *key_u32_u64(&k, sid, 0);
        rc = mdb_cursor_get(c, &key, &v, MDB_SET_RANGE);
        if (rc == MDB_NOTFOUND || (rc == 0 && key_get_u32(key.mv_data) != sid)) {
            rc = del(s, DB_GRAVE, key_u32(&g, sid));
            break;
        }
        if (rc || *budget == 0)
            break;
        --*budget;
        s->swept++;
        if (store_row(&v, REC_message_add, &m, &e) < 0) {
            rc = MDB_CORRUPTED;
            break;
        }
        if ((rc = del(s, DB_MESSAGE_ID, key_message_id(&g, m.message_add.id))) ||
            (rc = mdb_cursor_del(c, 0)))
            break;
    }
    mdb_cursor_close(c);
    return rc;
}

static int put_session_del(struct store *s, const struct rec_session_del *r)
{
    struct store_rec old;
    struct key k, sid;
    uint32_t n;
    unsigned budget = 64; /* most are small and gone at once; store_sweep does the rest */
    struct err e;
    int rc;

    if (store_find_sid(s, s->wtxn, r->key, &n, &e) < 0 || n == 0)
        return MDB_CORRUPTED;
    if ((rc = old_row(s, DB_SESSION, key_u32(&sid, n), REC_session_put, &old)) ||
        (rc = put_name(s, 'l', old.session_put.label, VIEW_EMPTY, n)) ||
        (rc = old_row(s, DB_SESSION, key_u32(&sid, n), REC_session_put, &old)) ||
        (rc = put_name(s, 'i', old.session_put.session_id, VIEW_EMPTY, n)) ||
        (rc = old_row(s, DB_SESSION, key_u32(&sid, n), REC_session_put, &old)) ||
        (rc = del(s, DB_SESSION_TIME, key_time_u32(&k, old.session_put.updated_at, n))) ||
        (rc = del(s, DB_SESSION_KEY, key_session(&k, r->key))) ||
        (rc = del(s, DB_SESSION, &sid.v)) || (rc = put(s, DB_GRAVE, &sid.v, VIEW_EMPTY, 0)))
        return rc;
    return sweep_one(s, n, &budget);
}

static int put_message(struct store *s, const struct rec_message_add *r, struct view row)
{
    struct key k, at;
    int rc = put(s, DB_MESSAGE, key_u32_u64(&at, r->sid, r->seq), row, MDB_NOOVERWRITE);

    return rc ? rc
              : put(s, DB_MESSAGE_ID, key_message_id(&k, r->id), view_of(at.b, 12),
                    MDB_NOOVERWRITE);
}

/* Take the run out of the table of its state. */
static int unlist_run(struct store *s, const struct rec_run_put *old)
{
    struct key k;

    return run_is_open(old->state)
               ? del(s, DB_RUN_OPEN, key_u64(&k, old->job_id))
               : del(s, DB_RUN_DONE, key_time_u64(&k, old->updated_at, old->job_id));
}

static int put_run(struct store *s, const struct rec_run_put *r, struct view row)
{
    struct store_rec old;
    struct key k, job;
    int rc = old_row(s, DB_RUN, key_u64(&job, r->job_id), REC_run_put, &old);

    if (rc == MDB_NOTFOUND) {
        if (r->job_id >= s->now.next_job)
            s->now.next_job = r->job_id + 1;
        rc = put(s, DB_RUN_ID, key_text(&k, r->run_id), view_of(job.b, 8), MDB_NOOVERWRITE);
    } else if (rc == 0) {
        rc = unlist_run(s, &old.run_put);
    }
    if (rc == 0)
        rc = run_is_open(r->state)
                 ? put(s, DB_RUN_OPEN, &job.v, VIEW_EMPTY, 0)
                 : put(s, DB_RUN_DONE, key_time_u64(&k, r->updated_at, r->job_id), VIEW_EMPTY, 0);
    return rc ? rc : put(s, DB_RUN, &job.v, row, 0);
}

static int put_run_del(struct store *s, const struct rec_run_del *r)
{
    struct store_rec old;
    struct key k, job;
    uint64_t n;
    struct err e;
    int rc;

    if (store_find_job(s, s->wtxn, r->run_id, &n, &e) < 0 || n == 0)
        return MDB_CORRUPTED;
    if ((rc = old_row(s, DB_RUN, key_u64(&job, n), REC_run_put, &old)) ||
        (rc = unlist_run(s, &old.run_put)) || (rc = del(s, DB_RUN_ID, key_text(&k, r->run_id))))
        return rc;
    return del(s, DB_RUN, &job.v);
}

static int put_any(struct store *s, const struct store_rec *r, struct view row)
{
    struct key k;

    switch (r->type) {
    case REC_meta_set:
        return put_meta(s, &r->meta_set, row);
    case REC_session_put:
        return put_session(s, &r->session_put, row);
    case REC_session_del:
        return put_session_del(s, &r->session_del);
    case REC_message_add:
        return put_message(s, &r->message_add, row);
    case REC_run_put:
        return put_run(s, &r->run_put, row);
    case REC_run_del:
        return put_run_del(s, &r->run_del);
    case REC_device_put:
        return put(s, DB_DEVICE, key_text(&k, r->device_put.id), row, 0);
    case REC_device_del:
        return del(s, DB_DEVICE, key_text(&k, r->device_del.id));
    case REC_delivery_add:
    case REC_delivery_state:
    case REC_delivery_del:
    case REC_inbound_add:
    case REC_inbound_forget:
        return store_put_delivery(s, r, row);
    case REC_TYPE_MAX:
        break;
    }
    return MDB_CORRUPTED;
}

int store_put(struct store *s, const struct store_rec *r, struct view row, struct err *e)
{
    s->last_rc = put_any(s, r, row);
    return s->last_rc ? store_err(s, s->last_rc, rec_name(r->type), e) : 0;
}

int store_sweep(struct store *s, unsigned max, bool *left, struct err *e)
{
    unsigned budget = max;
    MDB_cursor *c;
    MDB_val key, v;
    uint32_t sid;
    int r, rc;

    if ((r = store_write(s, e)) < 0)
        return r;
    for (;;) {
        if ((rc = mdb_cursor_open(s->wtxn, s->db[DB_GRAVE], &c)) == 0) {
            rc = mdb_cursor_get(c, &key, &v, MDB_FIRST);
            sid = rc == 0 ? key_get_u32(key.mv_data) : 0;
            mdb_cursor_close(c);
        }
        if (rc || budget == 0)
            break;
        if ((rc = sweep_one(s, sid, &budget)))
            break;
    }
    if (rc && rc != MDB_NOTFOUND) { /* half done: build the batch again without it */
        r = store_err(s, rc, "sweep", e);
        s->last_rc = rc;
        return store_recover(s, r, e);
    }
    *left = rc == 0;
    return 0;
}
