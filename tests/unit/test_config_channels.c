/* Secrets of channels: in the section, in a file, in the environment, behind a reference. */
#include "config_load.h"

#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/test_config_XXXXXX";

static void write_file(const char *name, const char *text)
{
    char path[96];
    FILE *f;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "w");
    ck_assert(f && fputs(text, f) >= 0 && fclose(f) == 0 && chmod(path, 0600) == 0);
}

static void make_files(void)
{
    char link[96], large[8192];

    ck_assert(mkdtemp(dir));
    write_file("token", " 2:file\n");
    write_file("empty", "\n");
    memset(large, 'x', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    write_file("large", large);
    (void)snprintf(link, sizeof(link), "%s/link", dir);
    ck_assert(symlink("token", link) == 0);
}

static void remove_files(void)
{
    static const char *const names[] = {"token", "empty", "large", "link"};
    char path[96];

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        ck_assert(unlink(path) == 0);
    }
    ck_assert(rmdir(dir) == 0);
}

/* %s in a row is the folder. HOME is the folder, too. */
static const struct {
    const char *name, *telegram, *variable, *at, *want, *warns;
} rows[] = {
    {"in the section", "{botToken:'1:a'}", NULL, "botToken", "1:a", NULL},
    {"a variable in it", "{botToken:'1:${PART}'}", NULL, "botToken", "1:part", NULL},
    {"a file", "{tokenFile:'%s/token'}", NULL, "botToken", "2:file", NULL},
    {"a file at home", "{tokenFile:'~/token'}", NULL, "botToken", "2:file", NULL},
    {"a file before the key", "{botToken:'1:a',tokenFile:'%s/token'}", NULL, "botToken", "2:file",
     NULL},
    {"the file's key is gone", "{tokenFile:'%s/token'}", NULL, "tokenFile", NULL, NULL},
    {"no such file", "{botToken:'1:a',tokenFile:'%s/none'}", NULL, "botToken", "", "none"},
    {"an empty file", "{tokenFile:'%s/empty'}", NULL, "botToken", "", "empty"},
    {"a link", "{tokenFile:'%s/link'}", NULL, "botToken", "", "link"},
    {"a folder", "{tokenFile:'%s'}", NULL, "botToken", "", "not a plain file"},
    {"too large", "{tokenFile:'%s/large'}", NULL, "botToken", "", "limit 4096"},
    {"the environment", "{dmPolicy:'open'}", "TELEGRAM_BOT_TOKEN=3:env", "botToken", "3:env", NULL},
    {"nothing but the environment", "{}", "TELEGRAM_BOT_TOKEN=3:env", "botToken", "3:env", NULL},
    {"the key before the environment", "{botToken:'1:a'}", "TELEGRAM_BOT_TOKEN=3:env", "botToken",
     "1:a", NULL},
    {"the file before the environment", "{tokenFile:'%s/token'}", "TELEGRAM_BOT_TOKEN=3:env",
     "botToken", "2:file", NULL},
    {"the default account's", "{accounts:{default:{},b:{botToken:'4:b'}}}",
     "TELEGRAM_BOT_TOKEN=3:env", "accounts.default.botToken", "3:env", NULL},
    {"nobody else's", "{accounts:{b:{}}}", "TELEGRAM_BOT_TOKEN=3:env", "accounts.b.botToken", NULL,
     NULL},
    {"not the channel's", "{accounts:{b:{}}}", "TELEGRAM_BOT_TOKEN=3:env", "botToken", NULL, NULL},
    {"an account's file", "{botToken:'1:a',accounts:{b:{tokenFile:'%s/token'}}}", NULL,
     "accounts.b.botToken", "2:file", NULL},
    {"an account's missing file", "{botToken:'1:a',accounts:{b:{tokenFile:'%s/none'}}}", NULL,
     "accounts.b.botToken", "", "none"},
    {"a reference", "{botToken:{source:'env',id:'PART'}}", NULL, "botToken", "part", NULL},
};

START_TEST(test_where)
{
    const char *env[] = {"PART=part", NULL, NULL, NULL};
    char text[512], section[256], home[64];
    struct loaded l;
    struct err e = ERR_INIT;
    json_t *slice = NULL;
    const json_t *v;

    (void)snprintf(home, sizeof(home), "HOME=%s", dir);
    env[1] = home;
    env[2] = rows[_i].variable;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(section, sizeof(section), rows[_i].telegram, dir);
#pragma GCC diagnostic pop
    (void)snprintf(text, sizeof(text), "{channels:{telegram:%s}}", section);
    load_with(&l, &(struct config_source){.port = NULL}, text, env);
    ck_assert_msg(l.r == 0, "%s: %s", rows[_i].name, words(&l));
    ck_assert_int_eq(config_slice(l.c, ROLE_CHANNEL, &slice, &e), 0);
    (void)snprintf(text, sizeof(text), "channels.telegram.%s", rows[_i].at);
    v = json_at(slice, text);
    if (rows[_i].want)
        ck_assert_msg(v && strcmp(json_string_value(v), rows[_i].want) == 0, "%s: %s",
                      rows[_i].name, v ? json_string_value(v) : "nothing");
    else
        ck_assert_msg(!v, "%s", rows[_i].name);
    if (rows[_i].warns)
        ck_assert_msg(strstr(words(&l), rows[_i].warns) != NULL, "%s: %s", rows[_i].name,
                      words(&l));
    ck_assert_msg(!strstr(words(&l), "2:file") && !strstr(words(&l), "3:env"), "%s", words(&l));
    json_decref(slice);
    unload(&l);
}
END_TEST

START_TEST(test_bad_reference)
{
    struct loaded l;

    load(&l, "{channels:{telegram:{botToken:{source:'env',id:'NOT_SET_ANYWHERE'}}}}");
    ck_assert_msg(l.r == ERR_INVALID && strstr(words(&l), "NOT_SET_ANYWHERE"), "%s", words(&l));
    unload(&l);
}
END_TEST

static void add_cases(TCase *t)
{
    tcase_add_checked_fixture(t, make_files, remove_files);
    tcase_add_loop_test(t, test_where, 0, (int)(sizeof(rows) / sizeof(*rows)));
    tcase_add_test(t, test_bad_reference);
}

CK_MAIN("config_channels")
