/* Which accounts have processes: nothing is started here, only the supervisor's table is looked at.
 */
#include "ck.h"
#include "fleet.h"
#include "json.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct loop *loop;
static struct fleet *f;
static struct err e;

static int no_slice(void *ctx, enum role role, struct buf *out, struct err *why)
{
    (void)ctx;
    (void)role;
    (void)out;
    return err_set(why, ERR_INVALID, "no slice in this test");
}

static void nothing(void *ctx)
{
    (void)ctx;
}

static char programs[] = "/tmp/channels-XXXXXX";

/* Programs that are there; nothing starts them. */
static void make_programs(void)
{
    static const char *const names[] = {"fake", "other", "external", "telegram"};
    char path[128];
    FILE *file;

    ck_assert_ptr_nonnull(mkdtemp(programs));
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        (void)snprintf(path, sizeof(path), "%s/openclaw-channel-%s", programs, names[i]);
        ck_assert_ptr_nonnull(file = fopen(path, "w"));
        ck_assert_int_eq(fclose(file), 0);
        ck_assert_int_eq(chmod(path, 0700), 0);
    }
}

static void setup(void)
{
    struct fleet_conf conf = {.exe_dir = programs,
                              .fronts = 1,
                              .agents = 1,
                              .jobs_per_agent = 1,
                              .slice = no_slice,
                              .on_ready = nothing,
                              .on_stopped = nothing};

    make_programs();
    e = (struct err)ERR_INIT;
    ck_assert_int_eq(loop_new(&loop, &e), 0);
    ck_assert_msg(fleet_new(&f, loop, &conf, &e) == 0, "%s", e.text);
}

static void teardown(void)
{
    struct dirent *d;
    DIR *dir = opendir(programs);
    char path[sizeof(programs) + sizeof(d->d_name) + 1];

    fleet_free(&f);
    loop_free(&loop);
    while (dir && (d = readdir(dir))) {
        (void)snprintf(path, sizeof(path), "%s/%s", programs, d->d_name);
        (void)unlink(path);
    }
    if (dir)
        (void)closedir(dir);
    (void)rmdir(programs);
    memcpy(programs + strlen(programs) - 6, "XXXXXX", 6);
}

static void configure(const char *text)
{
    json_t *doc = NULL;

    ck_assert_msg(json_parse(view_str(text), &doc, &e) == 0, "%s", e.text);
    ck_assert_msg(channels_configure(f, doc, &e) == 0, "%s", e.text);
    json_decref(doc);
}

/* "fake/a#1 fake/b#2": what the hub is told */
static void told(const char *want)
{
    json_t *list = channels_list(f), *row;
    char got[512] = "";
    size_t i, n = 0;

    json_array_foreach(list, i, row) n += (size_t)snprintf(
        got + n, sizeof(got) - n, "%s%s/%s#%d", i ? " " : "",
        json_string_value(json_object_get(row, "channel")),
        json_string_value(json_object_get(row, "account")), (int)json_i64(row, "instance", 0));
    ck_assert_str_eq(got, want);
    json_decref(list);
}

START_TEST(test_accounts)
{
    unsigned slots;

    configure("{}");
    told("");
    configure("{\"channels\":{\"fake\":{\"accounts\":{\"a\":{\"x\":1},\"b\":{}}}}}");
    told("fake/a#1 fake/b#2");
    slots = f->count;
    configure("{\"channels\":{\"fake\":{\"accounts\":{\"a\":{\"x\":2},\"b\":{}}}}}");
    told("fake/a#1 fake/b#2"); /* changed: the same place, another slice */
    configure("{\"channels\":{\"fake\":{\"accounts\":{\"b\":{}}}}}");
    told("fake/b#2");
    configure("{\"channels\":{\"fake\":{\"accounts\":{\"b\":{},\"c\":{}}}}}");
    told("fake/c#3 fake/b#2"); /* a's slot, a number of its own */
    ck_assert_uint_eq(f->count, slots);
    configure("{\"channels\":{\"fake\":{\"accounts\":{\"b\":{\"enabled\":false},\"c\":{\"enabled\":"
              "true}}}}}");
    told("fake/c#3");
    configure("{}");
    told("");
}
END_TEST

START_TEST(test_names)
{
    configure("{\"channels\":{\"fake\":{\"accounts\":{\"\":{},\"a/b\":{},\"A\":{},\"a "
              "b\":{},\"ok-1_2.3\":{},"
              "\"0123456789012345678901234567890123456789012345678901234567890123\":{},"
              "\"01234567890123456789012345678901234567890123456789012345678901234\":{}}},"
              "\"../x\":{\"accounts\":{\"a\":{}}},\"\":{\"accounts\":{\"a\":{}}}}}");
    told("fake/ok-1_2.3#1 "
         "fake/0123456789012345678901234567890123456789012345678901234567890123#2");
}
END_TEST

START_TEST(test_slice)
{
    struct buf b = BUF_INIT(64 * KIB);

    configure("{\"channels\":{\"fake\":{\"accounts\":{\"a\":{\"token\":\"mine\"},"
              "\"b\":{\"token\":\"other\"}}}}}");
    for (unsigned i = 0; i < f->count; i++)
        if (f->proc[i].channel && strcmp(f->proc[i].channel->account, "a") == 0)
            ck_assert_int_eq(channels_slice(&f->proc[i], &b, &e), 0);
    buf_put_char(&b, '\0');
    ck_assert_ptr_nonnull(strstr(buf_view(&b).p, "mine"));
    ck_assert_ptr_null(strstr(buf_view(&b).p, "other"));
    buf_fini(&b);
}
END_TEST

START_TEST(test_many)
{
    json_t *doc = json_object(), *list;
    char path[64];

    for (int i = 0; i < FLEET_PROCS_MAX + 10; i++) {
        (void)snprintf(path, sizeof(path), "channels.fake.accounts.a%d", i);
        ck_assert_int_eq(json_set_at(doc, path, json_object(), &e), 0);
    }
    ck_assert_int_eq(channels_configure(f, doc, &e), 0); /* the rest is logged, and not started */
    json_decref(doc);
    list = channels_list(f);
    ck_assert_uint_eq(json_array_size(list), FLEET_PROCS_MAX - 3);
    ck_assert_uint_ge(json_array_size(list), 256);
    json_decref(list);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_accounts);
    tcase_add_test(tc, test_names);
    tcase_add_test(tc, test_slice);
    tcase_add_test(tc, test_many);
}

CK_MAIN("channels")
