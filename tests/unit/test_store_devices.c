/* Paired devices as records: kept, listed, removed. */
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
    OK(store_check(db, &e));
    store_close(&db);
    kit_fini(&kit);
}

static int count_devices(void *ctx, const struct rec_device_put *d)
{
    unsigned *n = ctx;

    ck_assert(d->roles == 1);
    (*n)++;
    return 0;
}

START_TEST(test_devices)
{
    struct store_rec r = {.type = REC_device_put,
                          .device_put = {.id = V("aa"), .public_key = V("key"), .roles = 1}};
    struct store_rec gone = {.type = REC_device_del, .device_del = {V("aa")}};
    struct rec_device_put got;
    uint64_t n = 0;
    unsigned seen = 0;

    FAILS(store_device_get(db, V("aa"), &got, &e), ERR_NOT_FOUND);
    FAILS(store_apply(db, &gone, &e), ERR_NOT_FOUND);
    OK(store_apply(db, &r, &e));
    r.device_put.id = V("bb");
    OK(store_apply(db, &r, &e));
    r.device_put.id = VIEW_EMPTY;
    FAILS(store_apply(db, &r, &e), ERR_INVALID);
    OK(store_commit(db, &e));
    OK(store_device_get(db, V("aa"), &got, &e));
    ck_assert(view_eq(got.public_key, V("key")));
    OK(store_devices(db, count_devices, &seen, &e));
    ck_assert_uint_eq(seen, 2);
    OK(store_check(db, &e));
    OK(store_apply(db, &gone, &e));
    OK(store_devices_count(db, &n, &e));
    ck_assert_uint_eq(n, 1);
    OK(store_commit(db, &e));
    FAILS(store_device_get(db, V("aa"), &got, &e), ERR_NOT_FOUND);
    FAILS(store_device_get(db, VIEW_EMPTY, &got, &e), ERR_NOT_FOUND);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_devices);
}
CK_MAIN("store_devices")
