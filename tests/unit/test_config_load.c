/* The configuration as the world gives it: files that are absent, half written or changed,
 * overrides, references, no memory. */
#include "config_load.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* The file: absent, explicit but absent, empty, cut, too large, not a file; and the embedded text.
 */
START_TEST(test_file)
{
    char dir[] = "/tmp/test_config_XXXXXX", path[64];
    struct config_source src = {.state_dir = dir};
    struct loaded l;
    FILE *f;

    ck_assert(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/openclaw.json", dir);
    load_with(&l, &src, NULL, usual);
    ck_assert_msg(l.r == 0 && l.report.errors + l.report.warnings == 0, "%s", words(&l));
    ck_assert(!config_exists(l.c));
    ck_assert_str_eq(config_path_of(l.c), path);
    unload(&l);

    {
        char named[80];
        const char *env[] = {named, NULL};

        (void)snprintf(named, sizeof(named), "OPENCLAW_CONFIG_PATH=%s/other", dir);
        load_with(&l, &src, NULL, env);
        ck_assert_msg(l.r == 0 && strstr(words(&l), "OPENCLAW_CONFIG_PATH: warning: "), "%s",
                      words(&l));
        unload(&l);
    }
    src.must_exist = true;
    load_with(&l, &src, NULL, usual);
    ck_assert_int_eq(l.r, ERR_NOT_FOUND);
    unload(&l);
    src.must_exist = false;
    src.path = path;
    load_with(&l, &src, NULL, usual);
    ck_assert_int_eq(l.r, ERR_NOT_FOUND);
    ck_assert_msg(strstr(words(&l), path), "%s", words(&l));
    unload(&l);

    f = fopen(path, "w");
    ck_assert(f && fclose(f) == 0 && chmod(path, 0600) == 0);
    load_with(&l, &src, NULL, usual);
    ck_assert_msg(l.r == ERR_INVALID, "an empty file is refused");
    unload(&l);

    for (size_t n = 1; n + 2 < sizeof(real_input) - 1; n += 7) { /* half written at any place */
        f = fopen(path, "w");
        ck_assert(f && fwrite(real_input, n, 1, f) == 1 && fclose(f) == 0);
        load_with(&l, &src, NULL, usual);
        ck_assert_msg(l.r == ERR_INVALID && l.report.errors == 1 && l.report.issue[0].line,
                      "%zu: %s", n, words(&l));
        unload(&l);
    }
    ck_assert(chmod(path, 0666) == 0);
    f = fopen(path, "w");
    ck_assert(f && fputs(real_input, f) >= 0 && fclose(f) == 0);
    load_with(&l, &src, NULL, usual);
    ck_assert_msg(l.r == 0 && config_exists(l.c) && strstr(words(&l), "chmod 600"), "%s",
                  words(&l));
    unload(&l);
    ck_assert(truncate(path, 5 * 1024 * 1024) == 0);
    load_with(&l, &src, NULL, usual);
    ck_assert_int_eq(l.r, ERR_LIMIT);
    unload(&l);
    ck_assert(unlink(path) == 0 && mkdir(path, 0700) == 0);
    load_with(&l, &src, NULL, usual);
    ck_assert_int_lt(l.r, 0);
    unload(&l);
    ck_assert(rmdir(path) == 0 && rmdir(dir) == 0);
}
END_TEST

static const struct {
    const char *name, *port, *bind, *token;
    const char *env[3];
    const char *text;
    unsigned want_port, want_bind;
    const char *want_token, *want_words;
} overrides[] = {
    {"nothing", NULL, NULL, NULL, {NULL}, "{gateway:{port:1}}", 1, CONF_BIND_LOOPBACK, "", NULL},
    {"env over file",
     NULL,
     NULL,
     NULL,
     {"OPENCLAW_GATEWAY_PORT=2", NULL},
     "{gateway:{port:1}}",
     2,
     0,
     "",
     NULL},
    {"flag over env",
     "3",
     NULL,
     NULL,
     {"OPENCLAW_GATEWAY_PORT=2", NULL},
     "{gateway:{port:1}}",
     3,
     0,
     "",
     NULL},
    {"env token",
     NULL,
     NULL,
     NULL,
     {"OPENCLAW_GATEWAY_TOKEN=$t", NULL},
     "{}",
     18789,
     0,
     "$t",
     NULL},
    {"flag token", NULL, NULL, "u", {"OPENCLAW_GATEWAY_TOKEN=t", NULL}, "{}", 18789, 0, "u", NULL},
    {"empty env", NULL, NULL, NULL, {"OPENCLAW_GATEWAY_PORT=", NULL}, "{}", 18789, 0, "", NULL},
    {"lan", NULL, "lan", NULL, {NULL}, "{}", 18789, CONF_BIND_LAN, "", NULL},
    {"host", NULL, "10.0.0.1", NULL, {NULL}, "{}", 18789, CONF_BIND_CUSTOM, "", NULL},
    {"bad flag",
     "70000",
     NULL,
     NULL,
     {NULL},
     "{}",
     0,
     0,
     NULL,
     "--port: gateway.port: must be a whole number from 1 to 65535"},
    {"bad flag 2", "1x", NULL, NULL, {NULL}, "{}", 0, 0, NULL, "--port"},
    {"bad env",
     NULL,
     NULL,
     NULL,
     {"OPENCLAW_GATEWAY_PORT=0", NULL},
     "{}",
     0,
     0,
     NULL,
     "OPENCLAW_GATEWAY_PORT: gateway.port"},
    {"bad bind", NULL, "lann", NULL, {NULL}, "{}", 0, 0, NULL, "--bind: gateway.bind"},
    {"network",
     NULL,
     "10.0.0.0/8",
     NULL,
     {NULL},
     "{}",
     0,
     0,
     NULL,
     "gateway.customBindHost: must be one address"},
    {"none and lan",
     NULL,
     "lan",
     NULL,
     {NULL},
     "{gateway:{auth:{mode:'none'}}}",
     0,
     0,
     NULL,
     "gateway.auth.mode: none is refused"},
    {"bad file under a flag",
     "5",
     NULL,
     NULL,
     {NULL},
     "{gateway:{port:'x'}}",
     0,
     0,
     NULL,
     "gateway.port"},
};

/* A secret in the wrong place is not repeated. */
START_TEST(test_no_echo)
{
    static const char *const rows[] = {
        "{gateway:{auth:{mode:'hunter2'}}}",
        "{gateway:{auth:{token:['hunter2']}}}",
        "{models:{providers:{p:{baseUrl:'http://me:hunter2@h/'}}}}",
        "{models:{providers:{p:{baseUrl:'http://h/',headers:{a:'hunter2\\n'}}}}}",
        "{env:{vars:{A:'hunter2'}},gateway:{bind:'${A}'}}",
        "{env:{vars:{A:'hunter2'}},gateway:{trustedProxies:['${A}']}}",
        "{gateway:{auth:{token:{source:'env',id:'hunter2'}}}}",
        "{gateway:{aut:'hunter2'},zzzz:'hunter2',channels:{x:'hunter2'}}",
    };
    struct loaded l;

    load(&l, rows[_i]);
    ck_assert_msg(l.report.errors + l.report.warnings > 0, "%s", rows[_i]);
    ck_assert_msg(!strstr(words(&l), "hunter2"), "%s", words(&l));
    ck_assert_msg(!strstr(l.e.text, "hunter2"), "%s", l.e.text);
    unload(&l);
}
END_TEST

/* A mistake on the command line is reported beside those of the file. */
START_TEST(test_override_and_file)
{
    struct config_source src = {.port = "x"};
    struct loaded l;

    load_with(&l, &src, "{logging:{level:1},gateway:7}", usual);
    ck_assert_int_eq(l.r, ERR_INVALID);
    ck_assert_msg(l.report.errors == 3 && strstr(words(&l), "--port: gateway.port"), "%s",
                  words(&l));
    unload(&l);
}
END_TEST

START_TEST(test_overrides)
{
    struct config_source src = {
        .port = overrides[_i].port, .bind = overrides[_i].bind, .token = overrides[_i].token};
    const char *env[4] = {"HOME=/h", overrides[_i].env[0],
                          overrides[_i].env[0] ? overrides[_i].env[1] : NULL, NULL};
    struct loaded l;

    load_with(&l, &src, overrides[_i].text, env);
    if (overrides[_i].want_words) {
        ck_assert_msg(l.r == ERR_INVALID && strstr(words(&l), overrides[_i].want_words), "%s: %s",
                      overrides[_i].name, words(&l));
    } else {
        ck_assert_msg(l.r == 0, "%s: %s", overrides[_i].name, l.e.text);
        ck_assert_msg(config_conf(l.c)->gateway_port == overrides[_i].want_port, "%s",
                      overrides[_i].name);
        ck_assert_msg(config_conf(l.c)->gateway_bind == overrides[_i].want_bind, "%s",
                      overrides[_i].name);
        ck_assert_msg(overrides[_i].want_token[0] == 0
                          ? config_conf(l.c)->gateway_auth_token.n == 0
                          : secret_eq(&config_conf(l.c)->gateway_auth_token,
                                      view_str(overrides[_i].want_token)),
                      "%s", overrides[_i].name);
    }
    unload(&l);
}
END_TEST

/* References into files. */
START_TEST(test_secret_files)
{
    static const struct {
        const char *content, *provider, *id, *want;
    } rows[] = {
        {"  value\n", "", "", "value"},
        {"", "", "", NULL},
        {"{\"a\":{\"b/c\":\"deep\"}}", "mode:'json'", "/a/b~1c", "deep"},
        {"{\"a\":1}", "mode:'json'", "/a", NULL},
        {"{\"a\":", "mode:'json'", "/a", NULL},
        {"{\"a\":\"x\"}", "mode:'json'", "a", NULL},
        {"{\"a\":\"x\"}", "", "/b", NULL},
        {"whole\n", "mode:'singleValue'", "value", "whole"},
        {"\xff", "mode:'singleValue'", "value", NULL},
    };
    char path[] = "/tmp/test_config_XXXXXX", text[512];

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int fd = i ? open(path, O_WRONLY | O_TRUNC) : mkstemp(path);
        struct loaded l;

        ck_assert(fd >= 0);
        ck_assert(write(fd, rows[i].content, strlen(rows[i].content)) >= 0 && close(fd) == 0);
        if (rows[i].id[0])
            (void)snprintf(text, sizeof(text),
                           "{gateway:{auth:{token:{source:'file',provider:'p',id:'%s'}}},"
                           "secrets:{providers:{p:{source:'file',path:'%s',%s}}}}",
                           rows[i].id, path, rows[i].provider);
        else
            (void)snprintf(text, sizeof(text), "{gateway:{auth:{token:{source:'file',id:'%s'}}}}",
                           path);
        if (strstr(text, "',}"))
            *(strstr(text, "',}") + 1) = ' ';
        load(&l, text);
        ck_assert_msg((l.r == 0) == (rows[i].want != NULL), "%zu: %s", i, words(&l));
        if (rows[i].want)
            ck_assert_msg(secret_eq(&config_conf(l.c)->gateway_auth_token, view_str(rows[i].want)),
                          "%zu", i);
        unload(&l);
    }
    unlink(path);
}
END_TEST

/* Small generator; the same mutations every time. */
static uint32_t next(uint32_t *s)
{
    *s = *s * 1664525u + 1013904223u;
    return *s >> 8;
}

/* One change of a valid file that an editor, a disk or a tired person makes. */
static void mutate(struct buf *b, uint32_t *seed)
{
    static const char *const words_in[] = {"null", "[]",       "{}", "\"\"", "0", "-1",
                                           "true", "\"none\"", "$",  "//",   "/*"};
    size_t at = next(seed) % b->n, n = 1 + next(seed) % 12;
    char *p = b->p + b->off;
    char keep[4096];
    size_t rest;

    if (at + n > b->n)
        n = b->n - at;
    rest = b->n - at - n;
    switch (next(seed) % 6) {
    case 0: /* cut */
        buf_cut(b, at);
        return;
    case 1: /* a byte */
        p[at] = (char)(next(seed) & 0x7f);
        return;
    case 2: /* swapped neighbours */
        if (at + 1 < b->n) {
            char c = p[at];

            p[at] = p[at + 1];
            p[at + 1] = c;
        }
        return;
    default:
        break;
    }
    memcpy(keep, p + at + n, rest);
    buf_cut(b, at); /* a piece gone, doubled, or replaced */
    if (next(seed) % 3)
        buf_put_str(b, words_in[next(seed) % COUNT_OF(words_in)]);
    buf_put(b, keep, rest);
}

START_TEST(test_mutations)
{
    uint32_t seed = 20260920;
    unsigned taken = 0;

    for (int i = 0; i < 5000; i++) {
        struct buf b = BUF_INIT(65536), report = BUF_INIT(65536);
        struct vars v = {usual};
        struct config_source src = {.env = env_in, .env_ctx = &v};
        struct loaded l;
        struct err e = ERR_INIT;

        buf_put_str(&b, real_input);
        for (unsigned k = 1 + next(&seed) % 3; k; k--)
            if (b.n)
                mutate(&b, &seed);
        buf_put_char(&b, 0);
        load(&l, buf_view(&b).p);
        src.text = view_str(buf_view(&b).p);
        ck_assert_int_eq(config_check(&src, &report, &e), l.r);
        if (l.r == 0) {
            const struct conf *c = config_conf(l.c);

            taken++;
            ck_assert_msg(c->gateway_auth_mode == CONF_AUTH_TOKEN ||
                              (c->gateway_auth_mode == CONF_AUTH_NONE &&
                               c->gateway_bind == CONF_BIND_LOOPBACK &&
                               strstr(buf_view(&b).p, "none")),
                          "%s", buf_view(&b).p);
            ck_assert_msg(c->gateway_bind == CONF_BIND_LOOPBACK, "%s", buf_view(&b).p);
            ck_assert(!strstr(buf_view(&b).p, "none") || c->gateway_auth_mode == CONF_AUTH_TOKEN);
        } else {
            ck_assert(l.r == ERR_INVALID && l.report.errors > 0 && l.e.text[0]);
        }
        unload(&l);
        buf_fini(&b);
        buf_fini(&report);
    }
    ck_assert_uint_gt(taken, 200); /* they are not all refused for their syntax */
}
END_TEST

static void *torture_alloc(size_t n)
{
    return mem_alloc(n);
}

/* Every allocation fails once: a clean error, nothing leaks (under the address sanitizer), then
 * success. */
START_TEST(test_no_memory)
{
    struct loaded l;
    uint64_t n = 1;

    json_set_alloc_funcs(torture_alloc, mem_free);
    for (;; n++) {
        mem_fail_after(n, 0);
        load(&l, real_input);
        mem_fail_after(0, 0);
        if (l.r == 0 && l.report.errors + l.report.warnings == 0) {
            unload(&l);
            break;
        }
        ck_assert_msg(l.r == ERR_NOMEM || l.r == ERR_LIMIT || l.r == ERR_INVALID, "%llu: %d %s",
                      (unsigned long long)n, l.r, l.e.text);
        ck_assert(!l.c);
        unload(&l);
        ck_assert_uint_lt(n, 100000);
    }
    ck_assert_uint_gt(n, 500);
    json_set_alloc_funcs(malloc, free);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_test(tc, test_file);
    tcase_add_loop_test(tc, test_no_echo, 0, 8);
    tcase_add_test(tc, test_override_and_file);
    tcase_add_loop_test(tc, test_overrides, 0, COUNT_OF(overrides));
    tcase_add_test(tc, test_secret_files);
    tcase_add_test(tc, test_mutations);
    tcase_add_test(tc, test_no_memory);
}

CK_MAIN("config_load")
