/* The store's rows of deliveries and of what channels sent. */
#include "store_kit.h"

static struct kit kit;
static struct store *db;
static struct err e;

static void setup(void)
{
    e = (struct err)ERR_INIT;
    kit_init(&kit);
    OK(store_open(&db, kit.path, NULL, &e));
}

static void teardown(void)
{
    OK(store_commit(db, &e));
    OK(store_check(db, &e));
    store_close(&db);
    kit_fini(&kit);
}

static void reopen(void)
{
    OK(store_commit(db, &e));
    store_close(&db);
    OK(store_open(&db, kit.path, NULL, &e));
}

static uint64_t add(const char *key)
{
    struct store_rec r = {.type = REC_delivery_add,
                          .delivery_add = {.key = view_str(key),
                                           .channel = V("fake"),
                                           .account = V("default"),
                                           .target = V("42"),
                                           .parts = 1,
                                           .created_at = 1000,
                                           .body = V("\1\0\0\0x")}};

    OK(store_apply(db, &r, &e));
    return r.delivery_add.id;
}

static int set(uint64_t id, enum delivery_state s, int64_t at)
{
    struct store_rec r = {
        .type = REC_delivery_state,
        .delivery_state = {.id = id, .state = (uint8_t)s, .updated_at = at, .error = V("why")}};

    return store_apply(db, &r, &e);
}

static int count_one(void *ctx, const struct store_delivery *d)
{
    unsigned *n = ctx;

    ck_assert(d->add.id == d->state.id);
    (*n)++;
    return 0;
}

static unsigned listed(enum delivery_list l, uint64_t after)
{
    unsigned n = 0;
    uint64_t all = 0;

    OK(store_deliveries(db, l, after, count_one, &n, &e));
    OK(store_deliveries_count(db, l, &all, &e));
    if (after == 0)
        ck_assert_uint_eq(all, n);
    return n;
}

START_TEST(test_life)
{
    struct store_delivery d;
    uint64_t a = add("a"), b = add("b");
    struct store_rec again = {
        .type = REC_delivery_add,
        .delivery_add = {.key = V("a"), .channel = V("fake"), .parts = 1, .body = V("")}};
    struct store_rec gone = {.type = REC_delivery_del, .delivery_del = {.id = a}};

    ck_assert_uint_lt(a, b);
    FAILS(store_apply(db, &again, &e), ERR_CONFLICT);
    again.delivery_add.key = VIEW_EMPTY;
    FAILS(store_apply(db, &again, &e), ERR_INVALID);
    again.delivery_add.key = V("c");
    again.delivery_add.parts = 0;
    FAILS(store_apply(db, &again, &e), ERR_INVALID);
    again.delivery_add.parts = 1;
    again.delivery_add.id = a; /* used before */
    FAILS(store_apply(db, &again, &e), ERR_CONFLICT);
    OK(store_delivery_get(db, a, &d, &e));
    ck_assert_int_eq(d.state.state, DELIVERY_QUEUED);
    ck_assert_int_eq(d.state.next_at, 1000);
    OK(set(a, DELIVERY_SENDING, 1));
    ck_assert_uint_eq(listed(DELIVERIES_OPEN, 0), 2);
    ck_assert_uint_eq(listed(DELIVERIES_OPEN, a), 1);
    OK(set(a, DELIVERY_UNKNOWN, 2));
    OK(set(b, DELIVERY_SENT, 3));
    reopen();
    ck_assert_uint_eq(listed(DELIVERIES_OPEN, 0), 0);
    ck_assert_uint_eq(listed(DELIVERIES_HELD, 0), 1);
    ck_assert_uint_eq(listed(DELIVERIES_DONE, 0), 1);
    OK(store_delivery_by_key(db, V("a"), &d, &e));
    ck_assert(d.add.id == a && d.state.state == DELIVERY_UNKNOWN);
    ck_assert(view_eq(d.state.error, V("why")));
    OK(set(a, DELIVERY_QUEUED, 4)); /* by hand */
    OK(set(a, DELIVERY_DROPPED, 5));
    ck_assert_uint_eq(listed(DELIVERIES_DONE, 0), 2);
    OK(store_apply(db, &gone, &e));
    FAILS(store_apply(db, &gone, &e), ERR_NOT_FOUND);
    FAILS(store_delivery_get(db, a, &d, &e), ERR_NOT_FOUND);
    FAILS(store_delivery_by_key(db, V("a"), &d, &e), ERR_NOT_FOUND);
    FAILS(set(a, DELIVERY_SENT, 6), ERR_NOT_FOUND);
    FAILS(set(b, DELIVERY_STATE_COUNT, 6), ERR_INVALID);
    ck_assert_uint_gt(add("a"), b); /* a number is never used again */
    gone.delivery_del.id = b;
    OK(store_apply(db, &gone, &e));
    reopen();
    ck_assert_uint_gt(add("z"), b + 1);
}
END_TEST

START_TEST(test_prune)
{
    size_t dropped = 9;
    char key[16];

    for (int i = 0; i < 20; i++) {
        (void)snprintf(key, sizeof(key), "k%d", i);
        OK(set(add(key), i % 4 ? DELIVERY_SENT : DELIVERY_DEAD, 100 + i));
    }
    OK(store_deliveries_prune(db, 100, 15, 100, &dropped, &e));
    ck_assert_uint_eq(dropped, 0);
    OK(store_deliveries_prune(db, 100, 14, 100, &dropped, &e)); /* beyond the newest */
    ck_assert_uint_eq(dropped, 1);
    OK(store_deliveries_prune(db, 110, 100, 100, &dropped,
                              &e)); /* by age: 102 103 105 106 107 109 */
    ck_assert_uint_eq(dropped, 6);
    OK(store_deliveries_prune(db, 1000, 100, 3, &dropped, &e)); /* not more at a time */
    ck_assert_uint_eq(dropped, 3);
    ck_assert_uint_eq(listed(DELIVERIES_DONE, 0), 5);
    ck_assert_uint_eq(listed(DELIVERIES_HELD, 0), 5);
}
END_TEST

static int take_up(const char *key, int64_t at)
{
    struct store_rec r = {.type = REC_inbound_add, .inbound_add = {.key = view_str(key), .at = at}};

    return store_apply(db, &r, &e);
}

START_TEST(test_inbound)
{
    struct rec_inbound_add got;
    size_t dropped = 0;
    char key[16];

    FAILS(take_up("", 1), ERR_INVALID);
    for (int i = 0; i < 10; i++) {
        (void)snprintf(key, sizeof(key), "k%d", i);
        OK(take_up(key, 100 + i));
    }
    FAILS(take_up("k3", 200), ERR_CONFLICT);
    reopen();
    FAILS(take_up("k3", 200), ERR_CONFLICT);
    OK(store_inbound_get(db, V("k3"), &got, &e));
    ck_assert_int_eq(got.at, 103);
    FAILS(store_inbound_get(db, V("k"), &got, &e), ERR_NOT_FOUND);
    OK(store_inbound_prune(db, 100, 10, 100, &dropped, &e));
    ck_assert_uint_eq(dropped, 0);
    OK(store_inbound_prune(db, 100, 9, 100, &dropped, &e));
    ck_assert_uint_eq(dropped, 1);
    OK(store_inbound_prune(db, 105, 100, 100, &dropped, &e));
    ck_assert_uint_eq(dropped, 4);
    FAILS(store_inbound_get(db, V("k4"), &got, &e), ERR_NOT_FOUND);
    OK(store_inbound_get(db, V("k5"), &got, &e));
    OK(store_inbound_prune(db, 1000, 0, 2, &dropped, &e));
    ck_assert_uint_eq(dropped, 2);
    OK(store_inbound_prune(db, 1000, 0, 100, &dropped, &e));
    ck_assert_uint_eq(dropped, 3);
    OK(take_up("k4", 300)); /* forgotten: new again */
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_life);
    tcase_add_test(tc, test_prune);
    tcase_add_test(tc, test_inbound);
}

CK_MAIN("store_delivery")
