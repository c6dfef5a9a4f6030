#include "store_kit.h"

#include <fcntl.h>

static struct kit kit;
static struct store *db;
static struct err e;

static void open_with(const struct store_opts *o)
{
    OK(store_open(&db, kit.path, o, &e));
}

static void setup(void)
{
    e = (struct err)ERR_INIT;
    kit_init(&kit);
    open_with(NULL);
}

static void teardown(void)
{
    if (db)
        OK(store_check(db, &e));
    store_close(&db);
    kit_fini(&kit);
}

static void reopen(void)
{
    store_close(&db);
    open_with(NULL);
}

static uint32_t session(const char *key, int64_t at)
{
    struct store_rec r = kit_session(key, at);

    OK(store_apply(db, &r, &e));
    return r.session_put.sid;
}

static int message(uint32_t sid, const char *id, uint64_t seq)
{
    struct store_rec r = kit_message(sid, id, "{\"role\":\"user\"}");

    r.message_add.seq = seq;
    return store_apply(db, &r, &e);
}

static uint64_t run(const char *id, uint8_t state, int64_t at)
{
    struct store_rec r = kit_run(id, state, at);

    OK(store_apply(db, &r, &e));
    return r.run_put.job_id;
}

static int apply_key(enum rec_type type, const char *key)
{
    struct store_rec r = {.type = type};

    if (type == REC_session_del)
        r.session_del.key = view_str(key);
    else
        r.run_del.run_id = view_str(key);
    return store_apply(db, &r, &e);
}

/* Rows as text: "a b c ", whatever the query is. */
struct rows {
    char text[4096];
    size_t n, stop_after;
};

static int row(struct rows *o, struct view v)
{
    o->n += (size_t)snprintf(o->text + o->n, sizeof(o->text) - o->n, "%.*s ", VIEW_FMT(v));
    return o->stop_after && --o->stop_after == 0;
}
static int on_session(void *ctx, const struct rec_session_put *r)
{
    return row(ctx, r->key);
}
static int on_message(void *ctx, const struct rec_message_add *m)
{
    return row(ctx, m->id);
}
static int on_run(void *ctx, const struct rec_run_put *r)
{
    return row(ctx, r->run_id);
}
static int on_meta(void *ctx, struct view key, struct view value)
{
    return row(ctx, key) || row(ctx, value);
}

#define ROWS(want, call)                                                                           \
    do {                                                                                           \
        struct rows o = {.n = 0};                                                                  \
        OK(call);                                                                                  \
        ck_assert_msg(strcmp(o.text, want) == 0, "%s: \"%s\", want \"%s\"", #call, o.text, want);  \
    } while (0)

START_TEST(test_meta)
{
    struct store_rec r = {.type = REC_meta_set, .meta_set = {V("a.1"), V("x")}};
    struct view v;

    FAILS(store_meta_get(db, V("a.1"), &v, &e), ERR_NOT_FOUND);
    OK(store_apply(db, &r, &e));
    r.meta_set = (struct rec_meta_set){V("a.2"), V("y")};
    OK(store_apply(db, &r, &e));
    r.meta_set = (struct rec_meta_set){V("b"), V("z")};
    OK(store_apply(db, &r, &e));
    OK(store_meta_get(db, V("a.1"), &v, &e)); /* pending writes are seen */
    ck_assert(view_eq(v, V("x")));
    OK(store_commit(db, &e));
    reopen();
    ROWS("a.1 x a.2 y ", store_meta_page(db, V("a."), on_meta, &o, &e));
    ROWS("a.1 x a.2 y b z ", store_meta_page(db, VIEW_EMPTY, on_meta, &o, &e));
    r.meta_set = (struct rec_meta_set){V("a.1"), VIEW_EMPTY};
    OK(store_apply(db, &r, &e));
    r.meta_set.key = V("a.1");
    OK(store_apply(db, &r, &e)); /* removing what is not there is fine */
    FAILS(store_meta_get(db, V("a.1"), &v, &e), ERR_NOT_FOUND);
    r.meta_set = (struct rec_meta_set){VIEW_EMPTY, V("x")};
    FAILS(store_apply(db, &r, &e), ERR_INVALID);
    FAILS(store_meta_get(db, VIEW_EMPTY, &v, &e), ERR_NOT_FOUND);
}
END_TEST

START_TEST(test_sessions)
{
    struct rec_session_put row;
    uint64_t n, passed, found;
    uint32_t a = session("a", 10), b = session("b", 20), c = session("c", -5);
    struct store_rec r = kit_session("b", 5);

    ck_assert(a != b && b != c && a != c);
    ROWS("b a c ", store_sessions_page(db, 0, 10, on_session, &o, &e));
    OK(store_commit(db, &e));
    ROWS("b a c ", store_sessions_page(db, 0, 10, on_session, &o, &e));
    ROWS("a c ", store_sessions_page(db, 1, 10, on_session, &o, &e));
    ROWS("a ", store_sessions_page(db, 1, 1, on_session, &o, &e));
    ROWS("", store_sessions_page(db, 3, 1, on_session, &o, &e));
    ROWS("", store_sessions_page(db, 0, 0, on_session, &o, &e));
    OK(store_apply(db, &r, &e)); /* the same session, other place in the list */
    ck_assert_uint_eq(r.session_put.sid, b);
    ROWS("a b c ", store_sessions_page(db, 0, 10, on_session, &o, &e));
    OK(store_sessions_count(db, &n, &e));
    ck_assert_uint_eq(n, 3);
    OK(store_sessions_skip(db, 2, 0, &passed, &found, &e));
    ck_assert(passed == 2 && found == 2);
    r = kit_session("b", 5);
    r.session_put.flags = SESSION_ARCHIVED; /* in its place */
    OK(store_apply(db, &r, &e));
    OK(store_sessions_skip(db, 2, 0, &passed, &found, &e));
    ck_assert(passed == 3 && found == 2);
    OK(store_sessions_skip(db, 9, 1, &passed, &found, &e));
    ck_assert(passed == 3 && found == 1);
    OK(store_sessions_skip(db, 2, -1, &passed, &found, &e));
    ck_assert(passed == 2 && found == 2);
    OK(store_check(db, &e));
    ROWS("a b c ", store_sessions_from(db, 0, 10, on_session, &o, &e)); /* in order of their sids */
    ROWS("b ", store_sessions_from(db, a, 1, on_session, &o, &e));
    ROWS("", store_sessions_from(db, c, 10, on_session, &o, &e));
    ROWS("", store_sessions_from(db, UINT32_MAX, 10, on_session, &o, &e));
    ROWS("", store_sessions_from(db, 0, 0, on_session, &o, &e));
    r = kit_session("a", 5); /* b's number under a's key */
    r.session_put.sid = b;
    FAILS(store_apply(db, &r, &e), ERR_CONFLICT);
    r = kit_session("new", 5); /* a number that was used */
    r.session_put.sid = b;
    FAILS(store_apply(db, &r, &e), ERR_CONFLICT);
    r.session_put.status = SESSION_STATUS_COUNT;
    FAILS(store_apply(db, &r, &e), ERR_INVALID);
    r = kit_session("", 1);
    FAILS(store_apply(db, &r, &e), ERR_INVALID);
    store_rollback(db);
    OK(store_session_get(db, V("b"), &row, &e));
    ck_assert(row.updated_at == 20 && row.sid == b && view_eq(row.agent_id, V("main")));
    FAILS(store_session_get(db, V("zz"), &row, &e), ERR_NOT_FOUND);
    FAILS(store_session_get(db, VIEW_EMPTY, &row, &e), ERR_NOT_FOUND);
    FAILS(store_session_by_sid(db, 99, &row, &e), ERR_NOT_FOUND);
    OK(apply_key(REC_session_del, "b"));
    FAILS(apply_key(REC_session_del, "b"), ERR_NOT_FOUND);
    OK(store_commit(db, &e));
    reopen();
    ck_assert_uint_gt(session("b", 1), c); /* numbers are not used twice */
}
END_TEST

static const size_t key_sizes[] = {1, 510, 511, 512};

START_TEST(test_long_keys)
{
    char key[513] = "";
    struct rec_session_put row;
    uint32_t one, two;
    size_t n = key_sizes[_i];

    memset(key, 'k', n);
    one = session(key, 1);
    key[n - 1] = 'l'; /* differs in its last byte only */
    two = session(key, 2);
    ck_assert_uint_ne(one, two);
    OK(store_commit(db, &e));
    OK(store_session_get(db, view_of(key, n), &row, &e));
    ck_assert_uint_eq(row.sid, two);
    key[n - 1] = 'k';
    OK(store_session_get(db, view_of(key, n), &row, &e));
    ck_assert_uint_eq(row.sid, one);
    OK(apply_key(REC_session_del, key));
    FAILS(store_session_get(db, view_of(key, n), &row, &e), ERR_NOT_FOUND);
    key[n - 1] = 'l';
    OK(store_session_get(db, view_of(key, n), &row, &e));
}
END_TEST

START_TEST(test_history)
{
    uint32_t a = session("a", 1), b = session("b", 1);
    struct rec_message_add m;
    uint64_t n;

    OK(message(a, "a1", 0));
    OK(message(b, "b1", 0));
    OK(message(a, "a2", 2));
    FAILS(message(a, "a4", 4), ERR_CONFLICT);  /* a hole */
    FAILS(message(a, "a2x", 2), ERR_CONFLICT); /* exists */
    FAILS(message(a, "a1", 0), ERR_CONFLICT);  /* this id exists */
    FAILS(message(b, "a1", 0), ERR_CONFLICT);
    FAILS(message(a, "", 0), ERR_INVALID);
    FAILS(message(77, "x", 0), ERR_NOT_FOUND);
    OK(message(a, "7e5f6bd5-1b1c-4c52-9b22-0123456789ab", 0));
    OK(message(a, "7E5F6BD5-1b1c-4c52-9b22-0123456789ab", 0)); /* another id */
    OK(store_commit(db, &e));
    reopen();
    OK(store_history_count(db, a, &n, &e));
    ck_assert_uint_eq(n, 4);
    OK(store_history_count(db, 77, &n, &e));
    ck_assert_uint_eq(n, 0);
    ROWS("a2 a1 ", store_history_page(db, a, 2, 10, on_message, &o, &e));
    ROWS("a2 ", store_history_page(db, a, 2, 1, on_message, &o, &e));
    ROWS("", store_history_page(db, a, 4, 1, on_message, &o, &e));
    ROWS("", store_history_page(db, 77, 0, 1, on_message, &o, &e));
    ROWS("b1 ", store_history_page(db, b, 0, 10, on_message, &o, &e));
    ROWS("a1 a2 ", store_history_range(db, a, 0, 2, on_message, &o, &e));
    ROWS("a2 ", store_history_range(db, a, 2, 2, on_message, &o, &e));
    ROWS("", store_history_range(db, a, 3, 2, on_message, &o, &e));
    ROWS("b1 ", store_history_range(db, b, 1, UINT64_MAX, on_message, &o, &e));
    ROWS("", store_history_range(db, b, 2, UINT64_MAX, on_message, &o, &e));
    OK(store_message_by_id(db, V("a2"), &m, &e));
    ck_assert(m.seq == 2 && m.sid == a && view_eq(m.text, V("{\"role\":\"user\"}")));
    OK(store_message_by_id(db, V("7e5f6bd5-1b1c-4c52-9b22-0123456789ab"), &m, &e));
    ck_assert_uint_eq(m.seq, 3);
    FAILS(store_message_by_id(db, V("nope"), &m, &e), ERR_NOT_FOUND);
    FAILS(store_message_by_id(db, VIEW_EMPTY, &m, &e), ERR_NOT_FOUND);
    {
        struct rows o = {.stop_after = 1};

        OK(store_history_page(db, a, 2, 10, on_message, &o, &e));
        ck_assert_str_eq(o.text, "a2 ");
    }
}
END_TEST

static const unsigned dels[] = {0, 1, 63, 64, 65, 500};

START_TEST(test_delete_and_sweep)
{
    struct store_stats st;
    struct rec_message_add m;
    uint32_t a = session("a", 1), b = session("b", 1);
    char id[32];
    bool left = true;
    uint64_t n;

    for (unsigned i = 0; i < dels[_i]; i++) {
        (void)snprintf(id, sizeof(id), "m%u", i);
        OK(message(a, id, 0));
    }
    OK(message(b, "keep", 0));
    OK(store_commit(db, &e));
    OK(apply_key(REC_session_del, "a"));
    OK(store_commit(db, &e));
    OK(store_history_count(db, a, &n, &e)); /* at once out of sight */
    ck_assert_uint_eq(n, 0);
    ROWS("", store_history_page(db, a, 0, 10, on_message, &o, &e));
    (void)snprintf(id, sizeof(id), "m%u", dels[_i] - 1);
    FAILS(store_message_by_id(db, view_str(id), &m, &e), ERR_NOT_FOUND);
    OK(store_check(db, &e));
    ck_assert_uint_gt(session("a", 2), b);
    for (int turns = 0; left; turns++) {
        ck_assert_int_lt(turns, 10);
        OK(store_sweep(db, 100, &left, &e));
        OK(store_commit(db, &e));
        OK(store_check(db, &e));
    }
    OK(store_stats(db, &st, &e));
    ck_assert_uint_eq(st.messages, 1);
    ROWS("keep ", store_history_page(db, b, 0, 10, on_message, &o, &e));
}
END_TEST

START_TEST(test_runs)
{
    struct rec_run_put r;
    struct store_rec rec;
    size_t dropped;

    ck_assert_uint_eq(store_next_job_id(db), 1);
    ck_assert_uint_eq(run("r1", RUN_QUEUED, 1), 1);
    ck_assert_uint_eq(run("r2", RUN_QUEUED, 2), 2);
    ck_assert_uint_eq(run("r3", RUN_RUNNING, 3), 3);
    ck_assert_uint_eq(store_next_job_id(db), 4);
    OK(store_commit(db, &e));
    ck_assert_uint_eq(run("r1", RUN_RUNNING, 4), 1); /* it stays what it is */
    ROWS("r1 r2 r3 ", store_runs_open(db, 0, on_run, &o, &e));
    ROWS("r3 ", store_runs_open(db, 2, on_run, &o, &e));
    ROWS("", store_runs_open(db, UINT64_MAX, on_run, &o, &e));
    run("r2", RUN_FAILED, 50);
    run("r1", RUN_DONE, 40);
    OK(store_commit(db, &e));
    reopen();
    ck_assert_uint_eq(store_next_job_id(db), 4);
    ROWS("r3 ", store_runs_open(db, 0, on_run, &o, &e));
    ROWS("", store_runs_expired(db, 40, 10, on_run, &o, &e));
    ROWS("r1 ", store_runs_expired(db, 41, 10, on_run, &o, &e));
    ROWS("r1 r2 ", store_runs_expired(db, 51, 10, on_run, &o, &e));
    ROWS("", store_runs_expired(db, 0, 2, on_run, &o, &e));
    ROWS("r1 ", store_runs_expired(db, 0, 1, on_run, &o, &e));
    ROWS("r1 r2 ", store_runs_expired(db, 0, 0, on_run, &o, &e));
    run("r1", RUN_DONE, 60); /* newer now */
    ROWS("r2 r1 ", store_runs_expired(db, 100, 10, on_run, &o, &e));
    OK(store_run_get(db, V("r2"), &r, &e));
    ck_assert(r.job_id == 2 && r.state == RUN_FAILED);
    OK(store_run_by_job(db, 3, &r, &e));
    ck_assert(view_eq(r.run_id, V("r3")));
    FAILS(store_run_get(db, V("r9"), &r, &e), ERR_NOT_FOUND);
    FAILS(store_run_by_job(db, 9, &r, &e), ERR_NOT_FOUND);
    rec = kit_run("r2", RUN_DONE, 1);
    rec.run_put.job_id = 1;
    FAILS(store_apply(db, &rec, &e), ERR_CONFLICT);
    rec = kit_run("r9", RUN_DONE, 1);
    rec.run_put.job_id = 3;
    FAILS(store_apply(db, &rec, &e), ERR_CONFLICT);
    rec = kit_run("r9", RUN_STATE_COUNT, 1);
    FAILS(store_apply(db, &rec, &e), ERR_INVALID);
    rec = kit_run("", RUN_DONE, 1);
    FAILS(store_apply(db, &rec, &e), ERR_INVALID);
    OK(store_runs_prune(db, 100, 10, 1, &dropped, &e));
    ck_assert_uint_eq(dropped, 1);
    OK(store_runs_prune(db, 100, 10, 10, &dropped, &e));
    ck_assert_uint_eq(dropped, 1);
    FAILS(store_run_get(db, V("r1"), &r, &e), ERR_NOT_FOUND);
    FAILS(apply_key(REC_run_del, "r1"), ERR_NOT_FOUND);
    OK(apply_key(REC_run_del, "r3"));
    ROWS("", store_runs_open(db, 0, on_run, &o, &e));
    OK(store_commit(db, &e));
    reopen();
    ck_assert_uint_eq(run("r1", RUN_QUEUED, 1), 4); /* numbers are not used twice */
}
END_TEST

START_TEST(test_turn)
{
    struct rec_session_put row;
    struct store_stats st;

    OK(store_commit(db, &e)); /* nothing to do */
    session("a", 1);
    store_turn_end(db);
    OK(store_session_get(db, V("a"), &row, &e));
    store_rollback(db);
    FAILS(store_session_get(db, V("a"), &row, &e), ERR_NOT_FOUND);
    ck_assert_uint_eq(store_pending(db).n, 0);
    OK(store_session_get(db, V("a"), &row, &e) == ERR_NOT_FOUND ? 0 : -1);
    store_turn_end(db);
    session("a", 1);
    session("b", 1);
    session("c", 1);
    store_close(&db); /* not committed, not kept */
    open_with(NULL);
    FAILS(store_session_get(db, V("a"), &row, &e), ERR_NOT_FOUND);
    session("a", 1);
    OK(store_commit(db, &e));
    session("a", 2);
    session("b", 2);
    OK(store_commit(db, &e));
    OK(store_stats(db, &st, &e));
    ck_assert_uint_eq(st.commits, 2);
    ck_assert_uint_eq(st.records, 3);
    ck_assert_uint_eq(st.batch_hist[0], 1);
    ck_assert_uint_eq(st.batch_hist[1], 1);
    ck_assert_uint_eq(st.sessions, 2);
}
END_TEST

/* The views of a stored row go back in, changed, also when the map moves meanwhile. */
START_TEST(test_read_change_write)
{
    struct store_opts small = {.map_bytes = 1 * MIB};
    struct rec_session_put row;
    struct store_rec r;

    store_close(&db);
    open_with(&small);
    session("a", 1);
    OK(store_commit(db, &e));
    for (int i = 0; i < 100; i++) {
        OK(store_session_get(db, V("a"), &row, &e));
        r = (struct store_rec){.type = REC_session_put, .session_put = row};
        r.session_put.updated_at = i;
        OK(store_apply(db, &r, &e));
        ck_assert(view_eq(r.session_put.key, V("a")));
        if (i % 3 == 0)
            OK(store_commit(db, &e));
    }
}
END_TEST

/* The stream of one store makes the same state in another. */
START_TEST(test_replicate)
{
    struct kit other;
    struct store *t = NULL, *mine;
    struct rec_run_put r;
    char *copy;
    size_t n;
    uint32_t a = session("a", 1);

    OK(message(a, "m1", 0));
    OK(message(a, "m2", 0));
    run("r1", RUN_QUEUED, 7);
    run("r1", RUN_DONE, 8);
    n = store_pending(db).n;
    copy = mem_dup(store_pending(db).p, n);
    OK(store_commit(db, &e));
    kit_init(&other);
    OK(store_open(&t, other.path, NULL, &e));
    FAILS(store_apply_bytes(t, view_of(copy, n - 1), &e), ERR_AGAIN); /* all or nothing */
    ck_assert_uint_eq(store_pending(t).n, 0);
    OK(store_apply_bytes(t, view_of(copy, n), &e));
    FAILS(store_apply_bytes(t, view_of(copy, n), &e), ERR_CONFLICT); /* not twice */
    ck_assert_uint_eq(store_pending(t).n, n);
    ck_assert(memcmp(store_pending(t).p, copy, n) == 0);
    OK(store_commit(t, &e));
    OK(store_check(t, &e));
    OK(store_run_get(t, V("r1"), &r, &e));
    ck_assert(r.state == RUN_DONE && r.job_id == 1);
    mine = db;
    db = t;
    ROWS("m2 m1 ", store_history_page(db, a, 0, 9, on_message, &o, &e));
    db = mine;
    store_close(&t);
    kit_fini(&other);
    mem_free(copy);
}
END_TEST

/* A map far too small grows while batches are under way, and nothing of them is lost. */
START_TEST(test_grow)
{
    struct store_opts o = {.map_bytes = 256 * KIB};
    struct store_stats st;
    char *text = mem_alloc(100001), id[32];
    uint32_t a;
    uint64_t n;

    store_close(&db);
    open_with(&o);
    a = session("a", 1);
    memset(text, 'x', 100000);
    for (int i = 0; i < 300; i++) {
        struct store_rec r;

        (void)snprintf(id, sizeof(id), "m%d", i);
        r = kit_message(a, id, text);
        OK(store_apply(db, &r, &e));
        if (i % 50 == 49)
            OK(store_commit(db, &e));
    }
    OK(store_history_count(db, a, &n, &e));
    ck_assert_uint_eq(n, 300);
    OK(store_stats(db, &st, &e));
    ck_assert_uint_gt(st.map_bytes, 30 * MIB);
    ck_assert_uint_eq(st.commits, 6);
    mem_free(text);
}
END_TEST

/* At its ceiling the store says no, keeps what it has, and goes on when there is room. */
START_TEST(test_full)
{
    struct store_opts o = {.map_bytes = 1 * MIB, .map_max_bytes = 2 * MIB};
    char *text = mem_alloc(100001), id[32];
    struct rec_session_put row;
    uint64_t kept = 0, n;
    bool left = true;
    uint32_t a;
    int r = 0;

    store_close(&db);
    open_with(&o);
    a = session("a", 1);
    session("b", 1);
    OK(store_commit(db, &e));
    memset(text, 'x', 100000);
    for (int i = 0; i < 100; i++) {
        struct store_rec rec;

        (void)snprintf(id, sizeof(id), "m%d", i);
        rec = kit_message(a, id, text);
        if ((r = store_apply(db, &rec, &e)) < 0 || (r = store_commit(db, &e)) < 0)
            break;
        kept++;
    }
    ck_assert_msg(r == ERR_AGAIN && kept > 5 && kept < 30, "%d %u %s", r, (unsigned)kept, e.text);
    store_rollback(db);
    OK(store_history_count(db, a, &n, &e));
    ck_assert_uint_eq(n, kept);
    ck_assert(store_usable(db));
    OK(apply_key(REC_session_del, "a"));
    OK(store_commit(db, &e));
    OK(store_checkpoint(db, &e));
    while (left)
        OK(store_sweep(db, 10, &left, &e));
    OK(store_checkpoint(db, &e));
    session("b", 2); /* LMDB gives freed pages out again in the second transaction after */
    OK(store_commit(db, &e));
    OK(store_checkpoint(db, &e));
    OK(store_session_get(db, V("b"), &row, &e));
    for (int i = 0; i < 3; i++) {
        struct store_rec rec;

        (void)snprintf(id, sizeof(id), "n%d", i);
        rec = kit_message(row.sid, id, text);
        OK(store_apply(db, &rec, &e));
        OK(store_commit(db, &e));
        OK(store_session_get(db, V("b"), &row, &e));
    }
    mem_free(text);
}
END_TEST

/* The same inside one batch: what was in it before stays in it. */
START_TEST(test_full_batch)
{
    struct store_opts o = {.map_bytes = 1 * MIB, .map_max_bytes = 4 * MIB};
    char *text = mem_alloc(50001), id[32];
    struct store_rec rec;
    uint64_t n, put = 0;
    uint32_t a;
    int r = 0;

    store_close(&db);
    open_with(&o);
    a = session("a", 1);
    memset(text, 'x', 50000);
    for (int i = 0; i < 200 && r == 0; i++, put += r == 0) {
        (void)snprintf(id, sizeof(id), "m%d", i);
        rec = kit_message(a, id, text);
        r = store_apply(db, &rec, &e);
    }
    ck_assert_int_eq(r, ERR_AGAIN);
    ck_assert_uint_gt(put, 20);
    OK(store_history_count(db, a, &n, &e));
    ck_assert_uint_eq(n, put);
    r = store_commit(db, &e); /* the free list may be what does not fit any more */
    ck_assert(r == 0 || r == ERR_AGAIN);
    OK(store_history_count(db, a, &n, &e));
    ck_assert_uint_eq(n, r == 0 ? put : 0);
    mem_free(text);
}
END_TEST

static const struct {
    const char *name;
    int under; /* bytes below the batch's limit */
    int want;
} batch_rows[] = {{"under", 1, 0}, {"at", 0, 0}, {"over", -1, ERR_LIMIT}};

START_TEST(test_batch_limit)
{
    struct store_opts o = {.batch_max_bytes = 10000};
    struct store_rec r = {.type = REC_meta_set, .meta_set = {V("a"), VIEW_EMPTY}};
    static char text[20000];
    struct view v;
    size_t n;

    store_close(&db);
    open_with(&o);
    r.meta_set.value = view_of(text, 4000);
    OK(store_apply(db, &r, &e));
    r.meta_set = (struct rec_meta_set){V("b"), VIEW_EMPTY};
    n = 10000 - store_pending(db).n - rec_size(&r);
    r.meta_set.value = view_of(text, n - (size_t)batch_rows[_i].under);
    FAILS(store_apply(db, &r, &e), batch_rows[_i].want);
    OK(store_commit(db, &e)); /* what was in it stays good */
    OK(store_meta_get(db, V("a"), &v, &e));
    ck_assert_uint_eq(v.n, 4000);
    FAILS(store_meta_get(db, V("b"), &v, &e), batch_rows[_i].want ? ERR_NOT_FOUND : 0);
}
END_TEST

/* Every allocation of ours fails once: a clean error, the batch as before. */
START_TEST(test_torture)
{
    struct rec_session_put row;
    struct store_rec r;
    int rc = -1;
    unsigned fails = 0;

    for (uint64_t i = 1; rc < 0; i++) {
        store_close(&db);
        mem_fail_after(i, 0);
        rc = store_open(&db, kit.path, NULL, &e);
        ck_assert(rc == 0 || rc == ERR_NOMEM);
        fails += rc < 0;
    }
    mem_fail_after(0, 0);
    ck_assert_uint_ge(fails, 1);
    reopen();
    rc = -1;
    for (uint64_t i = 1; rc < 0; i++) {
        store_rollback(db);
        reopen();
        mem_fail_after(i, 1);
        r = kit_session("a", 1);
        rc = store_apply(db, &r, &e);
        mem_fail_after(0, 0);
        if (rc < 0) {
            ck_assert_int_eq(e.code, ERR_NOMEM);
            ck_assert_uint_eq(store_pending(db).n, 0);
            FAILS(store_session_get(db, V("a"), &row, &e), ERR_NOT_FOUND);
        }
    }
    OK(store_commit(db, &e));
    OK(store_session_get(db, V("a"), &row, &e));
}
END_TEST

START_TEST(test_open)
{
    struct store *two = NULL;
    struct stat st;
    int fd;

    ck_assert_int_eq(stat(kit.path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    FAILS(store_open(&two, kit.path, NULL, &e), ERR_CONFLICT);
    ck_assert_ptr_null(two);
    FAILS(store_open(&two, "/nonexistent/db", NULL, &e), ERR_SYS);
    FAILS(store_open(&two, "/dev/null", NULL, &e), ERR_INVALID);
    session("a", 1);
    OK(store_commit(db, &e));
    store_close(&db);
    store_close(&db);
    ck_assert_int_eq(chmod(kit.path, 0644), 0);
    open_with(NULL);
    ck_assert_int_eq(stat(kit.path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    store_close(&db);
    ck_assert_int_eq(truncate(kit.path, 16384), 0); /* cut short */
    FAILS(store_open(&db, kit.path, NULL, &e), ERR_CORRUPT);
    fd = open(kit.path, O_WRONLY | O_TRUNC);
    ck_assert_int_eq(write(fd, "this is no store at all", 23), 23);
    ck_assert_int_eq(ftruncate(fd, 65536), 0);
    close(fd);
    FAILS(store_open(&db, kit.path, NULL, &e), ERR_INVALID);
    ck_assert_ptr_null(db);
}
END_TEST

/* Find bytes in the file and change one of them. */
static void damage(const char *what, size_t at)
{
    struct stat st;
    int fd = open(kit.path, O_RDWR);
    char *b, *p;
    unsigned hits = 0;

    ck_assert_int_eq(fstat(fd, &st), 0);
    b = malloc((size_t)st.st_size);
    ck_assert_int_eq(pread(fd, b, (size_t)st.st_size, 0), st.st_size);
    for (p = b; (p = memmem(p, (size_t)(b + st.st_size - p), what, strlen(what))); p++, hits++) {
        p[at] = (char)(p[at] ^ 1);
        ck_assert_int_eq(pwrite(fd, p + at, 1, p + at - b), 1);
    }
    ck_assert_uint_gt(hits, 0);
    free(b);
    close(fd);
}

START_TEST(test_rot)
{
    uint32_t a = session("a", 1);
    struct store_rec r = kit_message(a, "m1", "needle one"), r2 = kit_message(a, "m2", "other");
    struct rec_message_add m;

    OK(store_apply(db, &r, &e));
    OK(store_apply(db, &r2, &e));
    OK(store_commit(db, &e));
    store_close(&db);
    damage("needle one", 3);
    open_with(NULL); /* an old row: found when it is read */
    FAILS(store_message_by_id(db, V("m1"), &m, &e), ERR_CORRUPT);
    OK(store_message_by_id(db, V("m2"), &m, &e));
    FAILS(store_check(db, &e), ERR_CORRUPT);
    store_close(&db);
    damage("other", 0);
    FAILS(store_open(&db, kit.path, NULL, &e), ERR_CORRUPT); /* the newest: found at once */
}
END_TEST

START_TEST(test_newer_schema)
{
    static const char row[] = "schema\0\0\0\0\0\0\0"; /* then the number, big endian */

    store_close(&db);
    {
        int fd = open(kit.path, O_RDWR);
        static char b[1 << 20];
        ssize_t n = pread(fd, b, sizeof(b), 0);
        char *p;
        unsigned hits = 0;

        for (p = b; (p = memmem(p, (size_t)(b + n - p), row, sizeof(row) - 1)); p++, hits++)
            ck_assert_int_eq(pwrite(fd, "\177", 1, p + sizeof(row) - 1 - b), 1);
        ck_assert_uint_gt(hits, 0);
        close(fd);
    }
    FAILS(store_open(&db, kit.path, NULL, &e), ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(e.text, "newer program (schema 127, this one knows "));
}
END_TEST

START_TEST(test_backup)
{
    char copy[128];
    struct store *t = NULL;
    struct rec_session_put row;
    struct stat st;

    (void)snprintf(copy, sizeof(copy), "%s/copy", kit.dir);
    session("a", 1);
    OK(store_commit(db, &e));
    OK(store_backup(db, copy, &e));
    FAILS(store_backup(db, copy, &e), ERR_CONFLICT);
    session("b", 1); /* under way: between turns only */
    FAILS(store_backup(db, "/nowhere/copy", &e), ERR_SYS);
    ck_assert_int_eq(stat(copy, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    OK(store_open(&t, copy, NULL, &e));
    OK(store_check(t, &e));
    OK(store_session_get(t, V("a"), &row, &e));
    FAILS(store_session_get(t, V("b"), &row, &e), ERR_NOT_FOUND);
    store_close(&t);
    unlink(copy);
    (void)snprintf(copy, sizeof(copy), "%s/copy-lock", kit.dir);
    unlink(copy);
    (void)snprintf(copy, sizeof(copy), "%s/copy-log", kit.dir);
    unlink(copy);
    OK(store_commit(db, &e));
    OK(store_session_get(db, V("b"), &row, &e));
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_meta);
    tcase_add_test(tc, test_sessions);
    tcase_add_loop_test(tc, test_long_keys, 0, (int)COUNT_OF(key_sizes));
    tcase_add_test(tc, test_history);
    tcase_add_loop_test(tc, test_delete_and_sweep, 0, (int)COUNT_OF(dels));
    tcase_add_test(tc, test_runs);
    tcase_add_test(tc, test_turn);
    tcase_add_test(tc, test_read_change_write);
    tcase_add_test(tc, test_replicate);
    tcase_add_test(tc, test_grow);
    tcase_add_test(tc, test_full);
    tcase_add_test(tc, test_full_batch);
    tcase_add_loop_test(tc, test_batch_limit, 0, (int)COUNT_OF(batch_rows));
    tcase_add_test(tc, test_torture);
    tcase_add_test(tc, test_open);
    tcase_add_test(tc, test_rot);
    tcase_add_test(tc, test_newer_schema);
    tcase_add_test(tc, test_backup);
}
CK_MAIN("store")
