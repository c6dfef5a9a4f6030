/* Sessions found by id and label: after every kind of change, and in a store of an older schema. */
#include "store_kit.h"

#include <fcntl.h>
#include <string.h>

static struct kit kit;
static struct store *db;
static struct err e = ERR_INIT;

static void setup(void)
{
    kit_init(&kit);
    OK(store_open(&db, kit.path, NULL, &e));
}

static void teardown(void)
{
    store_close(&db);
    kit_fini(&kit);
}

static void put(const char *key, const char *id, const char *label, int64_t at)
{
    struct store_rec r = kit_session(key, at);

    r.session_put.session_id = view_str(id);
    r.session_put.label = view_str(label);
    OK(store_apply(db, &r, &e));
}

static void drop(const char *key)
{
    struct store_rec r = {.type = REC_session_del, .session_del = {.key = view_str(key)}};

    OK(store_apply(db, &r, &e));
}

/* The key of the session of that id or label; "" for none. */
static const char *found(bool by_id, const char *name)
{
    static char key[64];
    struct rec_session_put row;
    int r = by_id ? store_session_by_id(db, view_str(name), &row, &e)
                  : store_session_by_label(db, view_str(name), &row, &e);

    ck_assert(r == 0 || r == ERR_NOT_FOUND);
    (void)snprintf(key, sizeof(key), "%.*s", r == 0 ? (int)row.key.n : 0, r == 0 ? row.key.p : "");
    return key;
}

START_TEST(test_changes)
{
    put("a", "id-a", "", 1);
    put("b", "id-b", "Bee", 2);
    ck_assert_str_eq(found(true, "id-a"), "a");
    ck_assert_str_eq(found(false, "Bee"), "b");
    ck_assert_str_eq(found(false, ""), "");
    ck_assert_str_eq(found(false, "id-b"), ""); /* an id is no label */
    ck_assert_str_eq(found(true, "id"), "");    /* nor is its beginning */
    put("a", "id-a2", "Ay", 1);                 /* without a change of its time */
    put("b", "id-b", "", 3);
    ck_assert_str_eq(found(true, "id-a"), "");
    ck_assert_str_eq(found(true, "id-a2"), "a");
    ck_assert_str_eq(found(false, "Ay"), "a");
    ck_assert_str_eq(found(false, "Bee"), "");
    put("c", "id-c", "Ay", 9); /* the one that changed last */
    ck_assert_str_eq(found(false, "Ay"), "c");
    drop("c");
    ck_assert_str_eq(found(false, "Ay"), "a");
    ck_assert_str_eq(found(true, "id-c"), "");
    OK(store_commit(db, &e));
    OK(store_check(db, &e));
    store_close(&db);
    OK(store_open(&db, kit.path, NULL, &e));
    ck_assert_str_eq(found(true, "id-a2"), "a");
    ck_assert_str_eq(found(false, "Ay"), "a");
}
END_TEST

/* At the length where a digest takes over, and far above. */
START_TEST(test_long)
{
    char label[4][2049];
    static const size_t n[] = {127, 128, 129, 2048};

    for (unsigned i = 0; i < 4; i++) {
        char key[8];

        memset(label[i], 'x', n[i]);
        label[i][n[i]] = '\0';
        (void)snprintf(key, sizeof(key), "k%u", i);
        put(key, key, label[i], i + 1);
    }
    for (unsigned i = 0; i < 4; i++) {
        char key[8];

        (void)snprintf(key, sizeof(key), "k%u", i);
        ck_assert_str_eq(found(false, label[i]), key);
    }
    OK(store_check(db, &e));
}
END_TEST

/* A rollback takes the names with it. */
START_TEST(test_rollback)
{
    put("a", "id-a", "Ay", 1);
    OK(store_commit(db, &e));
    put("a", "id-a", "Other", 2);
    store_rollback(db);
    ck_assert_str_eq(found(false, "Ay"), "a");
    ck_assert_str_eq(found(false, "Other"), "");
    OK(store_check(db, &e));
}
END_TEST

static void make_older(char schema)
{
    static const char row[] = "schema\0\0\0\0\0\0\0"; /* then the number, big endian */
    static char b[1 << 20];
    int fd = open(kit.path, O_RDWR);
    ssize_t n = pread(fd, b, sizeof(b), 0);
    unsigned hits = 0;

    for (char *p = b; (p = memmem(p, (size_t)(b + n - p), row, sizeof(row) - 1)); p++, hits++)
        ck_assert_int_eq(pwrite(fd, &schema, 1, p + sizeof(row) - 1 - b), 1);
    ck_assert_uint_gt(hits, 0);
    close(fd);
}

START_TEST(test_older)
{
    for (char schema = 1; schema <= 3; schema++) {
        put("a", "id-a", "Ay", schema);
        put("b", "id-b", "", schema);
        OK(store_commit(db, &e));
        store_close(&db);
        make_older(schema);
        OK(store_open(&db, kit.path, NULL, &e));
        ck_assert_str_eq(found(true, "id-b"), "b");
        ck_assert_str_eq(found(false, "Ay"), "a");
        OK(store_check(db, &e));
    }
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_changes);
    tcase_add_test(tc, test_long);
    tcase_add_test(tc, test_rollback);
    tcase_add_test(tc, test_older);
}

CK_MAIN("store_name")
