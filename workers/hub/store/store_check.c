/* store/store_check.c - does the file agree with itself, and can it be copied. */
#include "store_int.h"

#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static int entries(struct store *s, MDB_txn *t, enum db db, uint64_t *out, struct err *e)
{
    MDB_stat st;
    int rc = mdb_stat(t, s->db[db], &st);

    if (rc)
        return store_err(s, rc, "check", e);
    *out = st.ms_entries;
    return 0;
}

static int newest(struct store *s, MDB_txn *t, enum db db, enum rec_type type, struct err *e)
{
    struct store_rec rec;
    MDB_cursor *c;
    MDB_val k, v;
    int r = 0, rc = mdb_cursor_open(t, s->db[db], &c);

    if (rc)
        return store_err(s, rc, "check", e);
    rc = mdb_cursor_get(c, &k, &v, MDB_LAST);
    if (rc == 0)
        r = store_row(&v, type, &rec, e);
    else if (rc != MDB_NOTFOUND)
        r = store_err(s, rc, "check", e);
    mdb_cursor_close(c);
    return r;
}

/* Counts of tables and their indexes agree; the newest rows, which a torn write would hit, are
 * whole. Takes microseconds. */
int store_check_quick(struct store *s, struct err *e)
{
    uint64_t n[DB_COUNT];
    int r;

    for (int i = 0; i < DB_COUNT; i++)
        if ((r = entries(s, s->wtxn, (enum db)i, &n[i], e)) < 0)
            return r;
    if (n[DB_SESSION] != n[DB_SESSION_KEY] || n[DB_SESSION] != n[DB_SESSION_TIME])
        return err_set(e, ERR_CORRUPT, "store: sessions and their indexes disagree");
    if (n[DB_MESSAGE] != n[DB_MESSAGE_ID])
        return err_set(e, ERR_CORRUPT, "store: messages and their index disagree");
    if (n[DB_RUN] != n[DB_RUN_ID] || n[DB_RUN] != n[DB_RUN_OPEN] + n[DB_RUN_DONE])
        return err_set(e, ERR_CORRUPT, "store: runs and their indexes disagree");
    if (n[DB_DELIVERY] != n[DB_DELIVERY_KEY] ||
        n[DB_DELIVERY] != n[DB_DELIVERY_OPEN] + n[DB_DELIVERY_HELD] + n[DB_DELIVERY_DONE])
        return err_set(e, ERR_CORRUPT, "store: deliveries and their indexes disagree");
    if (n[DB_INBOUND] != n[DB_INBOUND_KEY])
        return err_set(e, ERR_CORRUPT, "store: inbound messages and their index disagree");
    if ((r = newest(s, s->wtxn, DB_SESSION, REC_session_put, e)) < 0 ||
        (r = newest(s, s->wtxn, DB_MESSAGE, REC_message_add, e)) < 0 ||
        (r = newest(s, s->wtxn, DB_RUN, REC_run_put, e)) < 0)
        return r;
    return 0;
}

static int bad(const char *what, struct err *e)
{
    return err_set(e, ERR_CORRUPT, "store: check: %s", what);
}

/* The index entry must exist and hold exactly these bytes. */
static int expect(struct store *s, MDB_txn *t, enum db db, MDB_val *key, const void *p, size_t n,
                  const char *what, struct err *e)
{
    MDB_val v;
    int rc = mdb_get(t, s->db[db], key, &v);

    if (rc && rc != MDB_NOTFOUND)
        return store_err(s, rc, "check", e);
    if (rc || v.mv_size != n || (n && memcmp(v.mv_data, p, n) != 0))
        return bad(what, e);
    return 0;
}

struct walk {
    struct store *s;
    MDB_txn *t;
    uint32_t sid; /* of the transcript under way */
    uint64_t seq;
    bool session;   /* it belongs to a session, not to a grave */
    uint64_t names; /* of all sessions */
};

static int check_meta(struct walk *w, MDB_val *k, const struct store_rec *r, struct err *e)
{
    (void)w;
    return view_eq(r->meta_set.key, view_of(k->mv_data, k->mv_size)) ? 0 : bad("setting's key", e);
}

static int check_session(struct walk *w, MDB_val *k, const struct store_rec *r, struct err *e)
{
    const struct rec_session_put *p = &r->session_put;
    struct key x;
    struct err first = ERR_INIT;
    int rc;

    if (k->mv_size != 4 || key_get_u32(k->mv_data) != p->sid || p->sid >= w->s->now.next_sid)
        return bad("session's number", e);
    if ((rc = expect(w->s, w->t, DB_SESSION_KEY, key_session(&x, p->key), k->mv_data, 4,
                     "session.key", e)) < 0)
        return rc;
    if ((rc = expect(w->s, w->t, DB_SESSION_TIME, key_time_u32(&x, p->updated_at, p->sid),
                     p->flags & SESSION_ARCHIVED ? "a" : "-", 1, "session.time", &first)) < 0 &&
        (rc = expect(w->s, w->t, DB_SESSION_TIME, key_time_u32(&x, p->updated_at, p->sid), NULL, 0,
                     "session.time", e)) < 0)
        return rc;
    w->names += (p->session_id.n > 0 ? 1u : 0u) + (p->label.n > 0 ? 1u : 0u);
    if (p->session_id.n &&
        (rc = expect(w->s, w->t, DB_SESSION_NAME, key_session_name(&x, 'i', p->session_id, p->sid),
                     NULL, 0, "session.name", e)) < 0)
        return rc;
    return p->label.n
               ? expect(w->s, w->t, DB_SESSION_NAME, key_session_name(&x, 'l', p->label, p->sid),
                        NULL, 0, "session.name", e)
               : 0;
}

static int check_message(struct walk *w, MDB_val *k, const struct store_rec *r, struct err *e)
{
    const struct rec_message_add *m = &r->message_add;
    struct key x;
    MDB_val v;

    if (k->mv_size != 12 || key_get_u32(k->mv_data) != m->sid ||
        key_get_u64((char *)k->mv_data + 4) != m->seq)
        return bad("message's place", e);
    if (m->sid != w->sid) {
        w->sid = m->sid;
        w->seq = 0;
        w->session = mdb_get(w->t, w->s->db[DB_SESSION], key_u32(&x, m->sid), &v) == 0;
        if (!w->session && mdb_get(w->t, w->s->db[DB_GRAVE], key_u32(&x, m->sid), &v))
            return bad("message without a session", e);
    }
    if (w->session && m->seq != w->seq + 1) /* the sweep takes from the front */
        return bad("hole in a transcript", e);
    w->seq = m->seq;
    return expect(w->s, w->t, DB_MESSAGE_ID, key_message_id(&x, m->id), k->mv_data, 12,
                  "message.id", e);
}

static int check_run(struct walk *w, MDB_val *k, const struct store_rec *r, struct err *e)
{
    const struct rec_run_put *p = &r->run_put;
    struct key x;
    int rc;

    if (k->mv_size != 8 || key_get_u64(k->mv_data) != p->job_id || p->job_id >= w->s->now.next_job)
        return bad("run's number", e);
    if ((rc = expect(w->s, w->t, DB_RUN_ID, key_text(&x, p->run_id), k->mv_data, 8, "run.id", e)) <
        0)
        return rc;
    if (run_is_open(p->state))
        return expect(w->s, w->t, DB_RUN_OPEN, k, NULL, 0, "run.open", e);
    return expect(w->s, w->t, DB_RUN_DONE, key_time_u64(&x, p->updated_at, p->job_id), NULL, 0,
                  "run.done", e);
}

static int check_device(struct walk *w, MDB_val *k, const struct store_rec *r, struct err *e)
{
    (void)w;
    return view_eq(r->device_put.id, view_of(k->mv_data, k->mv_size)) ? 0 : bad("device's id", e);
}

static int check_delivery(struct walk *w, MDB_val *k, const struct store_rec *r, struct err *e)
{
    struct key x;

    if (k->mv_size != 8 || key_get_u64(k->mv_data) != r->delivery_add.id)
        return bad("delivery's number", e);
    return expect(w->s, w->t, DB_DELIVERY_KEY, key_text(&x, r->delivery_add.key), k->mv_data, 8,
                  "delivery.key", e);
}

static int check_delivery_state(struct walk *w, MDB_val *k, const struct store_rec *r,
                                struct err *e)
{
    const struct rec_delivery_state *p = &r->delivery_state;
    struct key x;

    if (k->mv_size != 8 || key_get_u64(k->mv_data) != p->id)
        return bad("delivery state's number", e);
    if (delivery_is_open(p->state))
        return expect(w->s, w->t, DB_DELIVERY_OPEN, k, NULL, 0, "delivery.open", e);
    if (p->state == DELIVERY_UNKNOWN || p->state == DELIVERY_DEAD)
        return expect(w->s, w->t, DB_DELIVERY_HELD, k, NULL, 0, "delivery.held", e);
    return expect(w->s, w->t, DB_DELIVERY_DONE, key_time_u64(&x, p->updated_at, p->id), NULL, 0,
                  "delivery.done", e);
}

static int check_inbound(struct walk *w, MDB_val *k, const struct store_rec *r, struct err *e)
{
    struct key x;

    if (k->mv_size != 8 || key_get_u64(k->mv_data) != r->inbound_add.seq)
        return bad("inbound message's number", e);
    return expect(w->s, w->t, DB_INBOUND_KEY, key_text(&x, r->inbound_add.key), k->mv_data, 8,
                  "inbound.key", e);
}

static const struct {
    enum db db;
    enum rec_type type;
    int (*check)(struct walk *w, MDB_val *k, const struct store_rec *r, struct err *e);
} tables[] = {
    {DB_META, REC_meta_set, check_meta},
    {DB_SESSION, REC_session_put, check_session},
    {DB_MESSAGE, REC_message_add, check_message},
    {DB_RUN, REC_run_put, check_run},
    {DB_DEVICE, REC_device_put, check_device},
    {DB_DELIVERY, REC_delivery_add, check_delivery},
    {DB_DELIVERY_STATE, REC_delivery_state, check_delivery_state},
    {DB_INBOUND, REC_inbound_add, check_inbound},
};

int store_check(struct store *s, struct err *e)
{
    struct walk w = {.s = s};
    struct store_rec rec;
    uint64_t names;
    MDB_cursor *c;
    MDB_val k, v;
    int r, rc;

    if ((r = store_write(s, e)) < 0 || (r = store_check_quick(s, e)) < 0)
        return r;
    w.t = s->wtxn;
    for (size_t i = 0; i < COUNT_OF(tables); i++) {
        if ((rc = mdb_cursor_open(w.t, s->db[tables[i].db], &c)))
            return store_err(s, rc, "check", e);
        r = 0;
        for (rc = mdb_cursor_get(c, &k, &v, MDB_FIRST); rc == 0 && r == 0;
             rc = mdb_cursor_get(c, &k, &v, MDB_NEXT))
            if ((r = store_row(&v, tables[i].type, &rec, e)) == 0)
                r = tables[i].check(&w, &k, &rec, e);
        mdb_cursor_close(c);
        if (r < 0)
            return r;
        if (rc != MDB_NOTFOUND)
            return store_err(s, rc, "check", e);
    }
    if ((r = entries(s, w.t, DB_SESSION_NAME, &names, e)) < 0)
        return r;
    return names == w.names ? 0 : bad("a name without its session", e);
}

int store_backup_fd(struct store *s, int fd, struct err *e)
{
    int rc, r;

    if ((r = store_checkpoint(s, e)) < 0) /* the copy is of LMDB's last commit */
        return r;
    (void)pthread_mutex_lock(&s->map_lock);
    rc = mdb_env_copyfd2(s->env, fd, MDB_CP_COMPACT);
    (void)pthread_mutex_unlock(&s->map_lock);
    return rc ? err_set(e, rc == ENOSPC ? ERR_AGAIN : ERR_SYS, "backup: %s", mdb_strerror(rc)) : 0;
}

int store_backup(struct store *s, const char *path, struct err *e)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    int r;

    if (fd < 0)
        return errno == EEXIST ? err_set(e, ERR_CONFLICT, "backup: %s exists already", path)
                               : err_sys(e, "backup: %s", path);
    r = store_backup_fd(s, fd, e);
    if (r == 0 && fsync(fd) < 0)
        r = err_sys(e, "backup: %s", path);
    fd_close(&fd);
    if (r < 0)
        (void)unlink(path);
    return r;
}
