/*
 * tests/unit/store_turns.h - a workload that can be checked without notes: turn n writes a session
 * row, a message and a run that are pure functions of n.
 */
#ifndef STORE_TURNS_H
#define STORE_TURNS_H

#include "store_kit.h"

enum { TEXT_MAX = 20000 };

static struct err e;

static size_t text_of(uint64_t n, char *out)
{
    size_t len = n % 10 == 9 ? (size_t)(n * 7919 % TEXT_MAX) : (size_t)(100 + n % 400);

    for (size_t i = 0; i < len; i++)
        out[i] = (char)('a' + (n + i) % 26);
    return len;
}

static int turn(struct store *s, uint64_t n)
{
    static char text[TEXT_MAX];
    char key[32], id[32];
    struct store_rec r;
    int rc;

    (void)snprintf(key, sizeof(key), "s%u", (unsigned)(n % 5));
    r = kit_session(key, (int64_t)n);
    if ((rc = store_apply(s, &r, &e)) < 0)
        return rc;
    (void)snprintf(id, sizeof(id), "m%llu", (unsigned long long)n);
    r = kit_message(r.session_put.sid, id, "");
    r.message_add.text = view_of(text, text_of(n, text));
    if ((rc = store_apply(s, &r, &e)) < 0)
        return rc;
    (void)snprintf(id, sizeof(id), "r%llu", (unsigned long long)n);
    r = kit_run(id, RUN_QUEUED, (int64_t)n);
    if ((rc = store_apply(s, &r, &e)) < 0)
        return rc;
    if (n % 3) { /* two of three are finished a turn later; old ones are pruned */
        r = kit_run(id, RUN_DONE, (int64_t)n);
        if ((rc = store_apply(s, &r, &e)) < 0)
            return rc;
    }
    return 0;
}

/* Every turn below acked is whole; none above acked is there in part. Returns how many there are.
 */
static uint64_t verify(const char *path, uint64_t acked)
{
    static char want[TEXT_MAX];
    struct store *s = NULL;
    struct rec_message_add m;
    struct rec_run_put r;
    struct store_stats st;
    uint64_t n, seq[6] = {0};
    char id[32];

    OK(store_open(&s, path, NULL, &e));
    OK(store_check(s, &e));
    store_rollback(s);
    OK(store_stats(s, &st, &e));
    for (n = 0; n < st.messages; n++) {
        (void)snprintf(id, sizeof(id), "m%llu", (unsigned long long)n);
        OK(store_message_by_id(s, view_str(id), &m, &e));
        ck_assert(view_eq(m.text, view_of(want, text_of(n, want))));
        ck_assert(m.sid <= 5 && m.seq == ++seq[m.sid]); /* in the order of the turns */
        (void)snprintf(id, sizeof(id), "r%llu", (unsigned long long)n);
        OK(store_run_get(s, view_str(id), &r, &e));
        ck_assert(r.job_id == n + 1 && r.state == (n % 3 ? RUN_DONE : RUN_QUEUED));
    }
    ck_assert_uint_eq(st.runs, n);
    ck_assert_msg(n >= acked, "acknowledged %llu, kept %llu", (unsigned long long)acked,
                  (unsigned long long)n);
    store_close(&s);
    return n;
}

#endif
