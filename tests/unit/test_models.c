/* tests/unit/test_models.c - providers out of the configuration: what is found, what is refused,
 * and that no key stays in the document. */
#include "ck.h"
#include "json.h"
#include "mem.h"
#include "models.h"

static const char config[] =
    "{\"agents\":{\"defaults\":{\"params\":{\"temperature\":0.1,\"topP\":0.5},\"models\":{"
    "\"a/m2\":{\"alias\":\"x\",\"params\":{\"temperature\":0.9,\"maxTokens\":7}},\"a/m3\":{}}}},"
    "\"models\":{\"timeouts\":{\"connectMs\":1,\"idleMs\":3},\"retry\":{\"attempts\":2,"
    "\"maxRetryAfterMs\":9},\"providers\":{"
    "\"a\":{\"baseUrl\":\"https://h/"
    "v1\",\"apiKey\":\"KEY-AAAA\",\"maxTokens\":50,\"headers\":{\"X-One\":"
    "\"SECRET-ONE\"},\"params\":{\"top_p\":0.7},\"models\":[{\"id\":\"m1\",\"maxTokens\":60,"
    "\"headers\":{\"X-Two\":\"SECRET-TWO\"},\"params\":{\"temperature\":0.2}},{\"id\":\"m2\","
    "\"api\":"
    "\"anthropic-messages\"},{\"id\":\"org/m4\",\"api\":\"telepathy\"}]},"
    "\"native\":{\"baseUrl\":\"https://api.openai.com/v1\",\"timeoutSeconds\":5},"
    "\"claude\":{\"baseUrl\":\"https://c\",\"api\":\"anthropic-messages\",\"apiKey\":\"KEY-CCCC\"},"
    "\"setup\":{\"baseUrl\":\"https://"
    "c\",\"api\":\"anthropic-messages\",\"apiKey\":\"sk-ant-oat-1\"},"
    "\"bearer\":{\"baseUrl\":\"https://"
    "c\",\"api\":\"anthropic-messages\",\"apiKey\":\"KEY-BBBB\",\"authHeader\":true},"
    "\"nobase\":{},\"ftp\":{\"baseUrl\":\"ftp://h\"},\"blank\":{\"baseUrl\":\"http://h /\"},"
    "\"inject\":{\"baseUrl\":\"http://h\",\"headers\":{\"X\":\"a\\r\\nY: b\"}},"
    "\"name\":{\"baseUrl\":\"http://h\",\"headers\":{\"X Y\":\"a\"}},"
    "\"ref\":{\"baseUrl\":\"http://h\",\"apiKey\":{\"source\":\"env\",\"id\":\"X\"}}}}}";

static struct models *table(void)
{
    struct models *m = NULL;
    struct err e = ERR_INIT;
    json_t *doc = NULL;

    ck_assert_int_eq(json_parse(view_str(config), &doc, &e), 0);
    ck_assert_msg(models_new(&m, doc, &e) == 0, "%s", e.text);
    json_decref(doc);
    return m;
}

static const struct {
    const char *ref, *problem; /* NULL: it can be asked */
    const char *lines;         /* joined by | */
    double temperature, top_p;
    uint32_t max_tokens;
} rows[] = {
    {"a/m1", NULL, "X-One: SECRET-ONE|Authorization: Bearer KEY-AAAA|X-Two: SECRET-TWO|", 0.2, 0.7,
     60},
    {"a/m2", NULL,
     "X-One: SECRET-ONE|Authorization: Bearer KEY-AAAA|anthropic-version: 2023-06-01|", 0.9, 0.7,
     7},
    {"a/unlisted/with/slashes", NULL, "X-One: SECRET-ONE|Authorization: Bearer KEY-AAAA|", 0.1, 0.7,
     50},
    {"a/org/m4", "telepathy", NULL, 0, 0, 0},
    {"native/x", NULL, "", 0.1, 0.5, 0},
    {"claude/x", NULL, "x-api-key: KEY-CCCC|anthropic-version: 2023-06-01|", 0.1, 0.5, 0},
    {"setup/x", NULL,
     "Authorization: Bearer sk-ant-oat-1|anthropic-beta: oauth-2025-04-20|anthropic-version: "
     "2023-06-01|",
     0.1, 0.5, 0},
    {"bearer/x", NULL, "Authorization: Bearer KEY-BBBB|anthropic-version: 2023-06-01|", 0.1, 0.5,
     0},
    {"nobase/x", "baseUrl is missing", NULL, 0, 0, 0},
    {"ftp/x", "does not begin with", NULL, 0, 0, 0},
    {"blank/x", "holds characters", NULL, 0, 0, 0},
    {"inject/x", "a header holds", NULL, 0, 0, 0},
    {"name/x", "a header holds", NULL, 0, 0, 0},
    {"ref/x", "not resolved", NULL, 0, 0, 0},
    {"none/x", "add models.providers.none", NULL, 0, 0, 0},
    {"a/", "no provider for model", NULL, 0, 0, 0},
    {"a", "no provider for model", NULL, 0, 0, 0},
    {"", "no provider for model", NULL, 0, 0, 0},
    {"/", "no provider for model", NULL, 0, 0, 0},
};

START_TEST(test_routes)
{
    struct models *m = table();
    struct model_route route;
    struct failure why = {0};
    struct buf lines = BUF_INIT(4096);
    bool ok = models_route(m, view_str(rows[_i].ref), &route, &why);
    const char *ref = rows[_i].ref;

    ck_assert_msg(ok == (rows[_i].problem == NULL), "%s: %s", ref, why.text);
    if (rows[_i].problem) {
        ck_assert_msg(why.reason == FAIL_CONFIG && strstr(why.text, rows[_i].problem), "%s: %s",
                      ref, why.text);
    } else {
        for (unsigned i = 0; i < route.line_count; i++)
            buf_printf(&lines, "%s|", route.lines[i]);
        ck_assert_msg(view_eq(buf_view(&lines), view_str(rows[_i].lines)), "%s: %.*s", ref,
                      VIEW_FMT(buf_view(&lines)));
        ck_assert_msg(route.spec.temperature == rows[_i].temperature &&
                          route.spec.top_p == rows[_i].top_p,
                      "%s: %f %f", ref, route.spec.temperature, route.spec.top_p);
        ck_assert_msg(route.spec.max_tokens == rows[_i].max_tokens, "%s: %u", ref,
                      route.spec.max_tokens);
        ck_assert_msg(route.spec.native == !strcmp(ref, "native/x"), "%s", ref);
    }
    buf_fini(&lines);
    models_unref(&m);
}
END_TEST

START_TEST(test_patience)
{
    struct models *m = table();
    struct model_route route;
    struct failure why = {0};

    ck_assert(models_route(m, V("native/x"), &route, &why));
    ck_assert_uint_eq(route.patience.connect_ms, 1);
    ck_assert_uint_eq(route.patience.first_byte_ms, 5000); /* timeoutSeconds */
    ck_assert_uint_eq(route.patience.idle_ms, 5000);
    ck_assert_uint_eq(route.patience.attempts, 2);
    ck_assert_uint_eq(route.patience.wait_max_ms, 30000);
    ck_assert_uint_eq(route.patience.retry_after_max_ms, 9);
    ck_assert(models_route(m, V("a/x"), &route, &why));
    ck_assert_uint_eq(route.patience.first_byte_ms, 60000);
    ck_assert_uint_eq(route.patience.idle_ms, 3);
    models_unref(&m);
}
END_TEST

START_TEST(test_keys_leave_the_document)
{
    static const char *const secrets[] = {"KEY-", "SECRET-", "sk-ant"};
    struct models *m = NULL;
    struct err e = ERR_INIT;
    struct buf text = BUF_INIT(64 * KIB);
    json_t *doc = NULL;

    ck_assert_int_eq(json_parse(view_str(config), &doc, &e), 0);
    ck_assert_int_eq(models_new(&m, doc, &e), 0);
    ck_assert_int_eq(json_dump(doc, &text, &e), 0);
    for (size_t i = 0; i < COUNT_OF(secrets); i++)
        ck_assert_msg(!memmem(text.p + text.off, text.n, secrets[i], strlen(secrets[i])), "%s",
                      secrets[i]);
    ck_assert(models_need_network(m));
    json_decref(doc);
    buf_fini(&text);
    models_unref(&m);
}
END_TEST

START_TEST(test_demo_and_nothing)
{
    static const char *const confs[] = {"{}", "{\"models\":{}}",
                                        "{\"models\":{\"providers\":{\"x\":{}}}}"};
    struct models *m = NULL, *second;
    struct model_route route;
    struct failure why = {0};
    struct err e = ERR_INIT;
    json_t *doc = NULL;

    ck_assert_int_eq(json_parse(view_str(confs[_i]), &doc, &e), 0);
    ck_assert_int_eq(models_new(&m, doc, &e), 0);
    json_decref(doc);
    ck_assert(!models_need_network(m));
    ck_assert(models_route(m, V("demo/demo"), &route, &why) && !route.ops);
    second = models_ref(m);
    models_unref(&m);
    ck_assert_ptr_null(m);
    ck_assert(models_route(second, V("demo/"), &route, &why));
    models_unref(&second);
}
END_TEST

/* Providers and headers at their limits, and one more. */
START_TEST(test_limits)
{
    struct models *m = NULL;
    struct err e = ERR_INIT;
    int r;

    for (int over = 0; over < 2; over++) {
        json_t *conf = json_object(), *list = json_object(), *models = json_object();
        char id[16];

        for (int i = 0; i < PROVIDERS_MAX + over; i++) {
            (void)snprintf(id, sizeof(id), "p%d", i);
            json_object_set_new(list, id, json_object());
        }
        json_object_set_new(models, "providers", list);
        json_object_set_new(conf, "models", models);
        r = models_new(&m, conf, &e);
        ck_assert_int_eq(r, over ? ERR_LIMIT : 0);
        models_unref(&m);
        json_decref(conf);
    }
    for (int over = 0; over < 2; over++) {
        json_t *conf = json_object(), *headers = json_object(), *p = json_object();
        struct model_route route;
        struct failure why = {0};
        char id[16];

        for (int i = 0; i < HEADERS_MAX + over; i++) {
            (void)snprintf(id, sizeof(id), "h%d", i);
            json_object_set_new(headers, id, json_string("v"));
        }
        json_object_set_new(p, "headers", headers);
        json_object_set_new(p, "baseUrl", json_string("http://h"));
        ck_assert_int_eq(json_set_at(conf, "models.providers.p", p, &e), 0);
        ck_assert_int_eq(models_new(&m, conf, &e), 0);
        ck_assert(models_route(m, V("p/x"), &route, &why) == !over);
        models_unref(&m);
        json_decref(conf);
    }
}
END_TEST

/* Whatever allocation fails: a clean error, nothing leaks. */
START_TEST(test_no_memory)
{
    struct err e = ERR_INIT;
    json_t *doc = NULL;

    ck_assert_int_eq(json_parse(view_str(config), &doc, &e), 0);
    for (uint64_t n = 1;; n++) {
        struct models *m = NULL;
        json_t *copy = json_deep_copy(doc);
        int r;

        mem_fail_after(n, 0);
        r = models_new(&m, copy, &e);
        mem_fail_after(0, 0);
        json_decref(copy);
        ck_assert(r == 0 || (r < 0 && !m));
        models_unref(&m);
        if (r == 0 && n > 150)
            break;
    }
    json_decref(doc);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_routes, 0, (int)COUNT_OF(rows));
    tcase_add_test(tc, test_patience);
    tcase_add_test(tc, test_keys_leave_the_document);
    tcase_add_loop_test(tc, test_demo_and_nothing, 0, 3);
    tcase_add_test(tc, test_limits);
    tcase_add_test(tc, test_no_memory);
}

CK_MAIN("models")
