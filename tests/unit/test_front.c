/* The front's pure parts: request frames, routes, deadlines, the connection map, requests under
 * way.
 */
#include "ck.h"
#include "cmap.h"
#include "door.h"
#include "frame.h"
#include "mem.h"
#include "reqs.h"
#include "routes.h"
#include "wheel.h"

#include <string.h>

/* -------------------------------------------------------------- frames */
static const struct {
    const char *text;
    enum frame_kind want;
    const char *id;
    const char *says; /* method, or the complaint behind its prefix */
} frames[] = {
    {"{\"type\":\"req\",\"id\":\"a\",\"method\":\"health\"}", FRAME_REQUEST, "\"a\"", "health"},
    {" {\"params\":{},\"method\":\"m\",\"id\":\"\\u0000\\n\",\"type\":\"req\"} ", FRAME_REQUEST,
     "\"\\u0000\\n\"", "m"},
    {"{\"type\":\"req\",\"id\":\"a\",\"method\":\"m\\u0061\",\"traceparent\":\"t\"}", FRAME_REQUEST,
     "\"a\"", "ma"},
    {"", FRAME_GARBAGE, NULL, NULL},
    {"hello", FRAME_GARBAGE, NULL, NULL},
    {"{\"type\":\"req\"", FRAME_GARBAGE, NULL, NULL},
    {"{\"id\":\"a\",\"id\":\"b\",\"type\":\"req\",\"method\":\"m\"}", FRAME_BROKEN, "\"invalid\"",
     NULL},
    {"{\"type\":\"req\",\"id\":\"a\",\"method\":\"m\",\"params\":1e999}", FRAME_BROKEN,
     "\"invalid\"", NULL},
    {"{\"type\":\"req\",}", FRAME_GARBAGE, NULL, NULL},
    {"{}}", FRAME_GARBAGE, NULL, NULL},
    {"null", FRAME_INVALID, "\"invalid\"", "must be object"},
    {"[1]", FRAME_INVALID, "\"invalid\"", "must be object"},
    /* the next five as captured from the gateway whose behaviour we follow */
    {"{\"type\":\"event\",\"event\":\"x\"}", FRAME_INVALID, "\"invalid\"",
     "must have required property 'id'; at root: unexpected property 'event'; at /type: must be "
     "equal to constant"},
    {"{\"type\":\"req\",\"id\":\"bad1\",\"method\":5}", FRAME_INVALID, "\"bad1\"",
     "at /method: must be string"},
    {"{\"type\":\"req\",\"id\":\"\",\"method\":\"health\"}", FRAME_INVALID, "\"\"",
     "at /id: must not have fewer than 1 characters"},
    {"{\"type\":\"req\",\"id\":7,\"method\":\"m\"}", FRAME_INVALID, "7", "at /id: must be string"},
    {"{\"type\":\"req\",\"id\":{\"a\":1},\"method\":\"m\"}", FRAME_INVALID, "\"invalid\"",
     "at /id: must be string"},
    {"{\"type\":\"req\",\"id\":\"a\"}", FRAME_INVALID, "\"a\"",
     "must have required property 'method'"},
    {"{\"type\":\"req\",\"id\":\"a\",\"method\":\"\"}", FRAME_INVALID, "\"a\"",
     "at /method: must not have fewer than 1 characters"},
    {"{\"type\":\"req\",\"id\":\"a\",\"method\":\"a\\u0000b\"}", FRAME_INVALID, "\"a\"",
     "at /method: must match pattern \"^[^\\u0000]+$\""},
    {"{\"type\":\"req\",\"id\":\"a\",\"method\":\"m\",\"x\":1}", FRAME_INVALID, "\"a\"",
     "at root: unexpected property 'x'"},
    {"{\"type\":\"req\",\"id\":\"a\",\"method\":\"m\",\"expectedProfileId\":\"\"}", FRAME_INVALID,
     "\"a\"", "at /expectedProfileId: must not have fewer than 1 characters"},
    {"{\"type\":\"req\",\"id\":\"a\",\"method\":\"m\",\"traceparent\":1}", FRAME_INVALID, "\"a\"",
     "at /traceparent: must be string"},
};

START_TEST(test_frames)
{
    struct buf why = BUF_INIT(FRAME_WHY_MAX);
    struct frame fr;
    struct view prefix = V("invalid request frame: ");
    const char *name = frames[_i].text;

    ck_assert_msg(frame_parse(view_str(name), &fr, &why) == frames[_i].want, "%s", name);
    if (frames[_i].id)
        ck_assert_msg(view_eq(fr.id, view_str(frames[_i].id)), "%s", name);
    if (frames[_i].want == FRAME_REQUEST)
        ck_assert_msg(view_eq(fr.method, view_str(frames[_i].says)), "%s", name);
    if (frames[_i].want == FRAME_INVALID) {
        ck_assert_msg(view_starts(buf_view(&why), prefix), "%s", name);
        ck_assert_msg(view_eq(view_from(buf_view(&why), prefix.n), view_str(frames[_i].says)),
                      "%s: %.*s", name, VIEW_FMT(buf_view(&why)));
    }
    buf_fini(&why);
}
END_TEST

START_TEST(test_frame_limits)
{
    static const struct {
        const char *before, *after;
        size_t max; /* repetitions of fill that pass */
        const char *fill;
    } rows[] = {
        {"{\"type\":\"req\",\"method\":\"m\",\"id\":\"", "\"}", FRAME_ID_MAX, "x"},
        {"{\"type\":\"req\",\"id\":\"i\",\"method\":\"", "\"}", FRAME_METHOD_MAX, "x"},
        {"{\"type\":\"req\",\"id\":\"i\",\"method\":\"m\",\"traceparent\":\"", "\"}", 128, "x"},
        {"{\"type\":\"req\",\"id\":\"i\",\"method\":\"m\",\"traceparent\":\"", "\"}", 128,
         "\xe2\x82\xac"},
        {"{\"type\":\"req\",\"id\":\"i\",\"method\":\"m\",\"traceparent\":\"", "\"}", 128,
         "\\u20ac"},
        {"{\"type\":\"req\",\"id\":\"i\",\"method\":\"m\",\"expectedProfileId\":\"", "\"}", 128,
         "\\n"},
        {"{\"type\":\"req\",\"id\":\"i\",\"method\":\"m\",\"params\":", "", 0, "["},
    };
    struct buf b = BUF_INIT(1 << 20), why = BUF_INIT(FRAME_WHY_MAX);
    struct frame fr;

    for (size_t i = 0; i < COUNT_OF(rows) - 1; i++) {
        for (size_t n = rows[i].max - 1; n <= rows[i].max + 1; n++) {
            buf_reset(&b, 0);
            buf_reset(&why, 0);
            buf_put_str(&b, rows[i].before);
            for (size_t k = 0; k < n; k++)
                buf_put_str(&b, rows[i].fill);
            buf_put_str(&b, rows[i].after);
            ck_assert_msg(frame_parse(buf_view(&b), &fr, &why) ==
                              (n > rows[i].max ? FRAME_INVALID : FRAME_REQUEST),
                          "row %zu, %zu", i, n);
        }
    }
    buf_reset(&b, 0); /* too deep is a refusal with a reason, not garbage */
    buf_reset(&why, 0);
    for (unsigned k = 0; k < 100; k++)
        buf_put_str(&b, "[");
    for (unsigned k = 0; k < 100; k++)
        buf_put_str(&b, "]");
    ck_assert_int_eq(frame_parse(buf_view(&b), &fr, &why), FRAME_BROKEN);
    buf_cut(&b, 100);
    ck_assert_int_eq(frame_parse(buf_view(&b), &fr, &why), FRAME_GARBAGE);
    buf_fini(&b);
    buf_fini(&why);
}
END_TEST

START_TEST(test_no_params)
{
    static const struct {
        const char *params;
        bool none;
    } rows[] = {{"{}", true},         {"{ \\n}", true}, {"null", true},
                {"{\"a\":1}", false}, {"[]", false},    {"0", false}};

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf b = BUF_INIT(1000), why = BUF_INIT(FRAME_WHY_MAX);
        struct frame fr;

        buf_put_str(&b, "{\"type\":\"req\",\"id\":\"i\",\"method\":\"m\",\"params\":");
        buf_put_str(&b, i == 1 ? "{ \n}" : rows[i].params);
        buf_put_char(&b, '}');
        ck_assert_int_eq(frame_parse(buf_view(&b), &fr, &why), FRAME_REQUEST);
        ck_assert_msg(fr.no_params == rows[i].none, "%s", rows[i].params);
        buf_fini(&b);
        buf_fini(&why);
    }
}
END_TEST

/* -------------------------------------------------------------- routes */
static const struct route_mounts root = {.off[ROUTE_HOOKS] = true};
static struct view rest;

START_TEST(test_routes)
{
    static const struct {
        const char *path;
        int id; /* -1: none */
    } rows[] = {
        {"/health", ROUTE_health},
        {"/healthz", ROUTE_healthz},
        {"/readyz", ROUTE_readyz},
        {"/v1/chat/completions", ROUTE_chat_completions},
        {"/v1/models/x/y", ROUTE_model},
        {"/ui", ROUTE_ui},
        {"/canvas-host/a", ROUTE_canvas_moved},
        {"/tools/invoke", ROUTE_tools_invoke},
        {"/tools/other", ROUTE_tools_moved},
        {"/", -1},
        {"/health/", -1},
        {"/Health", -1},
        {"/%68ealth", -1},
        {"//", -1},
        {"", -1},
        {"/v1/chat/completions/", -1},
        {"/../health", -1},
    };
    struct buf b = BUF_INIT(100);

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct route *r = route_find(&root, view_str(rows[i].path), &rest);

        ck_assert_msg((r ? (int)r->id : -1) == rows[i].id, "%s", rows[i].path);
    }
    route_allow(route_find(&root, V("/health"), &rest)->methods, &b);
    ck_assert(view_eq(buf_view(&b), V("GET, HEAD")));
    ck_assert(route_reserved(V("/desktop/observe")) && !route_reserved(V("/ws")));
    buf_fini(&b);
}
END_TEST

/* What is an API needs a bearer, and nothing else does. */
START_TEST(test_route_mounts)
{
    static const struct {
        const char *path, *name; /* NULL: none */
        const char *rest;
    } rows[] = {{"/a/b/control-ui-config.json", "page_config", ""},
                {"/control-ui-config.json", NULL, ""},
                {"/a/b", NULL, ""},
                {"/health", "health", ""},
                {"/v1/models/x%2fy", "model", "x%2fy"}};
    struct route_mounts m = {.at[ROUTE_UI] = V("/a/b"), .off[ROUTE_HOOKS] = true};

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct route *r;

        rest = VIEW_EMPTY;
        r = route_find(&m, view_str(rows[i].path), &rest);
        ck_assert_msg(rows[i].name ? r && strcmp(r->name, rows[i].name) == 0 : !r, "%s",
                      rows[i].path);
        ck_assert_msg(view_eq(rest, view_str(rows[i].rest)), "%s", rows[i].path);
    }
}
END_TEST

START_TEST(test_route_auth)
{
    static const char *const api[] = {"/v1/models",     "/v1/models/x",  "/v1/chat/completions",
                                      "/v1/embeddings", "/v1/responses", "/tools/invoke"};
    static const char *const open[] = {"/health", "/readyz", "/ui", "/tools/other"};

    for (size_t i = 0; i < COUNT_OF(api); i++)
        ck_assert_msg(route_find(&root, view_str(api[i]), &rest)->auth == ROUTE_BEARER, "%s",
                      api[i]);
    for (size_t i = 0; i < COUNT_OF(open); i++)
        ck_assert_msg(route_find(&root, view_str(open[i]), &rest)->auth == ROUTE_OPEN, "%s",
                      open[i]);
}
END_TEST

/* -------------------------------------------------------------- the door */
START_TEST(test_bearer)
{
    static const struct {
        const char *header, *want; /* NULL: none */
    } rows[] = {
        {"Bearer t", "t"},   {"bearer t", "t"},    {"BEARER   t ", "t"}, {"Bearer a b", "a b"},
        {"Bearer", NULL},    {"Bearer ", NULL},    {"Bearer \t ", NULL}, {"Bearert", NULL},
        {"Bearer\tt", NULL}, {"Basic dDp0", NULL}, {"Token t", NULL},    {"t", NULL},
        {"", NULL},          {" Bearer t", NULL},
    };
    struct buf b = BUF_INIT(8 * KIB);
    struct view got;

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        got = VIEW_EMPTY;
        ck_assert_msg(door_bearer(view_str(rows[i].header), &got) == (rows[i].want != NULL), "%s",
                      rows[i].header);
        ck_assert_msg(view_eq(got, view_str(rows[i].want ? rows[i].want : "")), "%s",
                      rows[i].header);
    }
    buf_put_str(&b, "Bearer ");
    for (int i = 0; i < DOOR_CREDENTIAL_MAX - 1; i++)
        buf_put_char(&b, 'x');
    for (size_t n = DOOR_CREDENTIAL_MAX - 1; n <= DOOR_CREDENTIAL_MAX + 1; n++) {
        ck_assert_msg(door_bearer(buf_view(&b), &got) == (n <= DOOR_CREDENTIAL_MAX), "%zu", n);
        buf_put_char(&b, 'x');
    }
    buf_fini(&b);
}
END_TEST

/* -------------------------------------------------------------- deadlines */
enum { NODES = 500 };
struct due_log {
    uint64_t now, last;
    unsigned count;
    struct wheel *w;
};

static void on_due(void *ctx, struct wheel_node *n)
{
    struct due_log *d = ctx;

    ck_assert_uint_le(n->at_ms, d->now);
    ck_assert_uint_lt(d->now - n->at_ms, 2 * WHEEL_SLOT_MS);
    n->at_ms = 0;
    d->count++;
}

START_TEST(test_wheel)
{
    struct wheel_node nodes[NODES];
    struct due_log d = {.now = 123456};
    struct wheel w;
    uint64_t next, seed = 42;

    wheel_init(&w, d.now);
    ck_assert(!wheel_next(&w, &next));
    for (unsigned i = 0; i < NODES; i++) { /* also beyond the wheel's circle */
        wheel_node_init(&nodes[i]);
        seed = seed * 6364136223846793005u + 1;
        wheel_set(&w, &nodes[i], d.now + 1 + (seed >> 33) % 70000);
    }
    for (unsigned i = 0; i < NODES; i += 3) /* put off, bring forward, take out */
        wheel_set(&w, &nodes[i], nodes[i].at_ms + 10000);
    for (unsigned i = 1; i < NODES; i += 3)
        wheel_set(&w, &nodes[i], d.now + (nodes[i].at_ms - d.now) / 2);
    wheel_clear(&nodes[2]);
    while (wheel_next(&w, &next)) { /* the owner sleeps exactly until then */
        ck_assert_uint_gt(next, d.now);
        d.now = next;
        wheel_turn(&w, d.now, on_due, &d);
    }
    ck_assert_uint_eq(d.count, NODES - 1);
}
END_TEST

START_TEST(test_wheel_after_a_long_stop)
{
    struct wheel_node n;
    struct wheel w;
    struct due_log d = {.now = 1000 + 3600 * 1000};

    wheel_init(&w, 1000);
    wheel_node_init(&n);
    wheel_set(&w, &n, d.now - 10);
    wheel_turn(&w, d.now, on_due, &d);
    ck_assert_uint_eq(d.count, 1);
}
END_TEST

/* -------------------------------------------------------------- map */
START_TEST(test_cmap)
{
    struct cmap m = {0};
    struct err e = ERR_INIT;
    static char tags[3000]; /* their addresses stand for connections */
    size_t at = 0, seen = 0;

    ck_assert(cmap_get(&m, 1) == NULL);
    for (uint64_t i = 0; i < 3000; i++)
        ck_assert_int_eq(cmap_put(&m, i * 7, (struct conn *)(void *)&tags[i], &e), 0);
    ck_assert_int_eq(cmap_put(&m, 7, (struct conn *)(void *)tags, &e), ERR_CONFLICT);
    for (uint64_t i = 0; i < 3000; i += 2)
        cmap_del(&m, i * 7);
    cmap_del(&m, 0);
    for (uint64_t i = 0; i < 3000; i++)
        ck_assert(cmap_get(&m, i * 7) == (i % 2 ? (struct conn *)(void *)&tags[i] : NULL));
    ck_assert_uint_eq(m.count, 1500);
    while (cmap_next(&m, &at))
        seen++;
    ck_assert_uint_eq(seen, 1500);
    mem_fail_after(1, 1);
    for (uint64_t i = 100000; i < 120000; i++) /* until it must grow */
        if (cmap_put(&m, i, (struct conn *)(void *)tags, &e) < 0)
            break;
    mem_fail_after(0, 0);
    ck_assert_int_eq(e.code, ERR_NOMEM);
    ck_assert(cmap_get(&m, 7) == (struct conn *)(void *)&tags[1]);
    cmap_fini(&m);
}
END_TEST

/* -------------------------------------------------------------- requests */
START_TEST(test_reqs)
{
    struct reqs q = {0};
    struct err e = ERR_INIT;
    struct list of_conn;
    struct req *r, *first = NULL;
    uint64_t number;

    list_init(&of_conn);
    for (unsigned i = 0; i < REQS_MAX; i++) {
        ck_assert_int_eq(reqs_add(&q, &of_conn, NULL, V("\"id\""), V("m"), V("{}"), i % 2, &r, &e),
                         0);
        if (!first)
            first = r;
    }
    ck_assert_int_eq(reqs_add(&q, &of_conn, NULL, V("1"), V("m"), V("{}"), true, &r, &e),
                     ERR_LIMIT);
    ck_assert(LIST_OF(of_conn.next, struct req, link) == first);
    number = first->number;
    ck_assert(reqs_get(&q, number) == first);
    reqs_del(&q, first);
    ck_assert(reqs_get(&q, number) == NULL);
    ck_assert_int_eq(
        reqs_add(&q, &of_conn, NULL, V("1"), V("method"), V("{\"a\":1}"), true, &r, &e), 0);
    ck_assert(reqs_get(&q, number) == NULL); /* the slot is used again, the number is not */
    ck_assert(view_eq(req_id(r), V("1")) && view_eq(req_method(r), V("method")) &&
              view_eq(req_params(r), V("{\"a\":1}")));
    ck_assert(reqs_get(&q, UINT64_MAX) == NULL && reqs_get(&q, 0) == NULL);
    while (!list_empty(&of_conn))
        reqs_del(&q, LIST_OF(of_conn.next, struct req, link));
    ck_assert_uint_eq(q.bytes, 0);
    ck_assert_uint_eq(q.count, 0);
    reqs_fini(&q);
}
END_TEST

START_TEST(test_reqs_bytes)
{
    struct reqs q = {0};
    struct err e = ERR_INIT;
    struct list of_conn;
    struct req *r;
    size_t n = 25 * MIB;
    char *big = mem_alloc(n);
    unsigned count = 0;

    ck_assert(big);
    list_init(&of_conn);
    while (reqs_add(&q, &of_conn, NULL, V("1"), V("m"), view_of(big, n), true, &r, &e) == 0)
        count++;
    ck_assert_int_eq(e.code, ERR_LIMIT);
    ck_assert_uint_eq(count, REQS_BYTES_MAX / n);
    /* without a copy there is still room */
    ck_assert_int_eq(reqs_add(&q, &of_conn, NULL, V("1"), V("m"), view_of(big, n), false, &r, &e),
                     0);
    mem_free(big);
    reqs_fini(&q);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_frames, 0, (int)COUNT_OF(frames));
    tcase_add_test(tc, test_frame_limits);
    tcase_add_test(tc, test_no_params);
    tcase_add_test(tc, test_routes);
    tcase_add_test(tc, test_route_auth);
    tcase_add_test(tc, test_route_mounts);
    tcase_add_test(tc, test_bearer);
    tcase_add_test(tc, test_wheel);
    tcase_add_test(tc, test_wheel_after_a_long_stop);
    tcase_add_test(tc, test_cmap);
    tcase_add_test(tc, test_reqs);
    tcase_add_test(tc, test_reqs_bytes);
}
CK_MAIN("front")
