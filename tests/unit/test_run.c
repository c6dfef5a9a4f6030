/* tests/unit/test_run.c - whole runs against a model server in the same process that answers what
 * the row says: good streams, errors, cuts, silence, floods. */
#include "ck.h"
#include "clock.h"
#include "fake_model.h"
#include "json.h"
#include "loop.h"
#include "mem.h"
#include "run.h"

struct world {
    struct loop *loop;
    struct http *http;
    struct models *models;
    struct fake fake;
    /* what the run told */
    struct run *run;
    struct buf log; /* begin, status and done, in order */
    struct buf text;
    unsigned texts;
    uint64_t done_ms;
};

/* ---- what the run tells ---- */

static void on_begin(void *ctx, struct run *r)
{
    struct world *w = ctx;
    struct run_result res;

    run_result(r, &res);
    buf_printf(&w->log, "begin %.*s/%.*s|", VIEW_FMT(res.provider), VIEW_FMT(res.model));
}

static void on_status(void *ctx, struct run *r, struct view phase, struct view data)
{
    struct world *w = ctx;
    struct err e = ERR_INIT;
    json_t *doc = NULL;

    (void)r;
    ck_assert_int_eq(json_parse(data, &doc, &e), 0);
    buf_printf(&w->log, "%.*s %d/%d %s|", VIEW_FMT(phase), (int)json_i64(doc, "attempt", 0),
               (int)json_i64(doc, "maxAttempts", 0), json_view(doc, "reason").p);
    json_decref(doc);
}

static void on_text(void *ctx, struct run *r)
{
    struct world *w = ctx;

    ck_assert(view_starts(run_text(r), buf_view(&w->text))); /* it only grows */
    ck_assert_uint_gt(run_text(r).n, w->text.n);
    buf_reset(&w->text, 4096);
    buf_put_view(&w->text, run_text(r));
    w->texts++;
}

static void on_done(void *ctx, struct run *r)
{
    struct world *w = ctx;

    ck_assert(run_is_over(r));
    buf_put_str(&w->log, "done|");
    w->done_ms = clock_mono_ms();
    loop_stop(w->loop);
}

static const struct run_events tells = {
    .on_begin = on_begin, .on_status = on_status, .on_text = on_text, .on_done = on_done};

static const char config[] =
    "{\"models\":{\"timeouts\":{\"connectMs\":500,\"firstByteMs\":60,\"idleMs\":60},"
    "\"retry\":{\"minDelayMs\":2,\"maxDelayMs\":8},\"providers\":{"
    "\"mock\":{\"baseUrl\":\"http://127.0.0.1:%d/v1\",\"apiKey\":\"sk-secret-1\",\"models\":[{"
    "\"id\":\"m\",\"cost\":{\"input\":1,\"output\":2}}]},"
    "\"dead\":{\"baseUrl\":\"http://127.0.0.1:1/v1\"},"
    "\"tls\":{\"baseUrl\":\"https://127.0.0.1:%d/v1\"},"
    "\"file\":{\"baseUrl\":\"file:///etc/passwd\"},"
    "\"odd\":{\"baseUrl\":\"http://127.0.0.1:1\",\"api\":\"telepathy\"}}}}";

static void world_open(struct world *w, const struct answer *answers)
{
    struct err e = ERR_INIT;
    char conf[2048];
    json_t *doc = NULL;

    memset(w, 0, sizeof(*w));
    buf_init(&w->log, 64 * KIB);
    buf_init(&w->text, 8 * MIB);
    ck_assert_int_eq(loop_new(&w->loop, &e), 0);
    ck_assert_msg(http_new(&w->http, w->loop, &e) == 0, "%s", e.text);
    fake_open(&w->fake, w->loop, answers);
    (void)snprintf(conf, sizeof(conf), config, w->fake.port, w->fake.port);
    ck_assert_msg(json_parse(view_str(conf), &doc, &e) == 0, "%s", e.text);
    ck_assert_msg(models_new(&w->models, doc, &e) == 0, "%s", e.text);
    json_decref(doc);
}

static void world_close(struct world *w)
{
    run_free(&w->run);
    http_free(&w->http);
    models_unref(&w->models);
    fake_close(&w->fake);
    loop_free(&w->loop);
    buf_fini(&w->log);
    buf_fini(&w->text);
}

static void begin(struct world *w, const char *model, const char *fallbacks, uint32_t timeout_ms)
{
    struct err e = ERR_INIT;
    struct buf job = BUF_INIT(4096);
    int fd = -1;
    struct run_conf conf = {.loop = w->loop,
                            .http = w->http,
                            .models = w->models,
                            .job_id = 7,
                            .attempt = 1,
                            .timeout_ms = timeout_ms,
                            .on = &tells,
                            .ctx = w};

    buf_printf(&job,
               "{\"runId\":\"r\",\"model\":\"%s\",\"fallbacks\":[%s],\"system\":\"S\",\"messages\":"
               "[{\"role\":\"user\",\"content\":\"hi\"}]}",
               model, fallbacks);
    ck_assert_int_eq(fd_sealed("job", buf_view(&job), &fd, &e), 0);
    buf_fini(&job);
    ck_assert_int_eq(run_start(&w->run, &conf, fd, &e), 0);
}

static void wait_done(struct world *w)
{
    struct err e = ERR_INIT;

    while (!run_is_over(w->run))
        ck_assert_int_eq(loop_run(w->loop, &e), 0);
}

static const struct {
    const char *name, *model, *fallbacks;
    struct answer answers[ANSWERS_MAX];
    const char *log, *text, *stop, *kind, *error; /* error: a part of it */
    enum run_outcome outcome;
    uint32_t timeout_ms;
} rows[] = {
    {.name = "ok",
     .answers = {{OK_HEAD, WHOLE, KEEP}},
     .log = "begin mock/m|done|",
     .text = "Hello world",
     .stop = "stop",
     .outcome = TURN_OK},
    {.name = "ok until the end of the connection",
     .answers = {{EOF_HEAD, WHOLE, CLOSE}},
     .log = "begin mock/m|done|",
     .text = "Hello world",
     .stop = "stop",
     .outcome = TURN_OK},
    {.name = "done, but the transfer never ends",
     .answers = {{OK_HEAD, WHOLE, STALL}},
     .log = "begin mock/m|done|",
     .text = "Hello world",
     .stop = "stop",
     .outcome = TURN_OK},
    {.name = "429 then ok",
     .answers = {{ERR("429 Too Many", "Retry-After: 0\r\n", "{}"), "", CLOSE},
                 {OK_HEAD, WHOLE, KEEP}},
     .log = "begin mock/m|retrying 2/4 rate_limit|done|",
     .text = "Hello world",
     .stop = "stop",
     .outcome = TURN_OK},
    {.name = "429 for longer than we wait, then the fallback",
     .fallbacks = "\"mock/n\"",
     .answers = {{ERR("429 Too Many", "Retry-After: 121\r\n", "{}"), "", CLOSE},
                 {OK_HEAD, WHOLE, KEEP}},
     .log = "begin mock/m|begin mock/n|done|",
     .text = "Hello world",
     .stop = "stop",
     .outcome = TURN_OK},
    {.name = "500s then the fallback",
     .fallbacks = "\"mock/m\",\"mock/n\"",
     .answers = {{ERR("500 Oops", "", "x"), "", CLOSE},
                 {ERR("502 Oops", "", "x"), "", CLOSE},
                 {ERR("503 Oops", "", "x"), "", CLOSE},
                 {ERR("529 Oops", "", "x"), "", CLOSE},
                 {OK_HEAD, WHOLE, KEEP}},
     .log = "begin mock/m|retrying 2/4 server_error|retrying 3/4 server_error|retrying 4/4 "
            "server_error|begin mock/n|done|",
     .text = "Hello world",
     .stop = "stop",
     .outcome = TURN_OK},
    {.name = "four times 500",
     .answers = {{ERR("500 O", "", ""), "", CLOSE},
                 {ERR("500 O", "", ""), "", CLOSE},
                 {ERR("500 O", "", ""), "", CLOSE},
                 {ERR("500 O", "", "{\"error\":{\"message\":\"boom\"}}"), "", CLOSE}},
     .log = "begin mock/m|retrying 2/4 server_error|retrying 3/4 server_error|retrying 4/4 "
            "server_error|done|",
     .text = "",
     .stop = "error",
     .kind = "unknown",
     .error = "HTTP 500: boom",
     .outcome = TURN_ERROR},
    {.name = "401 is final and the key stays ours",
     .answers = {{ERR("401 No", "", "{\"error\":{\"message\":\"bad key sk-secret-1\"}}"), "",
                  CLOSE}},
     .log = "begin mock/m|done|",
     .text = "",
     .stop = "error",
     .kind = "unknown",
     .error = "HTTP 401: bad key ***********",
     .outcome = TURN_ERROR},
    {.name = "overflow does not go on to the fallback",
     .fallbacks = "\"mock/n\"",
     .answers = {{ERR("400 No", "",
                      "{\"error\":{\"code\":\"context_length_exceeded\",\"message\":\"x\"}}"),
                  "", CLOSE}},
     .log = "begin mock/m|done|",
     .text = "",
     .stop = "error",
     .kind = "context_length",
     .error = "mock/m: HTTP 400: x",
     .outcome = TURN_ERROR},
    {.name = "redirect",
     .answers = {{"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
                  "", KEEP}},
     .log = "begin mock/m|done|",
     .text = "",
     .stop = "error",
     .kind = "unknown",
     .error = "HTTP 302",
     .outcome = TURN_ERROR},
    {.name = "cut before anything, then ok",
     .answers = {{"", "", CLOSE},
                 {OK_HEAD, "", CLOSE},
                 {OK_HEAD, ": ping\n\n", RESET},
                 {OK_HEAD, WHOLE, KEEP}},
     .log = "begin mock/m|retrying 2/4 timeout|retrying 3/4 interrupted|retrying 4/4 "
            "interrupted|done|",
     .text = "Hello world",
     .stop = "stop",
     .outcome = TURN_OK},
    {.name = "cut in the middle of what was shown",
     .fallbacks = "\"mock/n\"",
     .answers = {{EOF_HEAD, T("Hel") "data: {\"choi", STALL}},
     .log = "begin mock/m|done|",
     .text = "Hel",
     .stop = "error",
     .kind = "timeout",
     .error = "silent",
     .outcome = TURN_ERROR},
    {.name = "no done",
     .answers = {{EOF_HEAD, T("Hel"), STALL}},
     .log = "begin mock/m|done|",
     .text = "Hel",
     .stop = "error",
     .kind = "timeout",
     .error = "silent",
     .outcome = TURN_ERROR},
    {.name = "garbage at once, then ok",
     .answers = {{OK_HEAD, "data: {\"choices\":\n\n", KEEP}, {OK_HEAD, WHOLE, KEEP}},
     .log = "begin mock/m|retrying 2/4 protocol|done|",
     .text = "Hello world",
     .stop = "stop",
     .outcome = TURN_OK},
    {.name = "a page, then a document, then an error as 200, then ok",
     .answers = {{"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n",
                  "<html>", KEEP},
                 {"HTTP/1.1 200 OK\r\nContent-Type: application/json; "
                  "charset=utf-8\r\nContent-Length: 2\r\n\r\n",
                  "{}", KEEP},
                 {"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 22\r\n\r\n",
                  "{\"error\":\"overloaded\"}", KEEP},
                 {OK_HEAD, WHOLE, KEEP}},
     .log =
         "begin mock/m|retrying 2/4 protocol|retrying 3/4 protocol|retrying 4/4 overloaded|done|",
     .text = "Hello world",
     .stop = "stop",
     .outcome = TURN_OK},
    {.name = "empty 200, then ok",
     .answers = {{"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", KEEP},
                 {OK_HEAD, WHOLE, KEEP}},
     .log = "begin mock/m|retrying 2/4 interrupted|done|",
     .text = "Hello world",
     .stop = "stop",
     .outcome = TURN_OK},
    {.name = "compressed, unasked, then ok",
     .answers = {{"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: "
                  "gzip\r\nContent-Length: 3\r\n\r\n",
                  "abc", KEEP},
                 {OK_HEAD, WHOLE, KEEP}},
     .log = "begin mock/m|retrying 2/4 protocol|done|",
     .text = "Hello world",
     .stop = "stop",
     .outcome = TURN_OK},
    {.name = "stall before the first byte, then ok",
     .answers = {{"", "", STALL}, {OK_HEAD, WHOLE, KEEP}},
     .log = "begin mock/m|retrying 2/4 timeout|done|",
     .text = "Hello world",
     .stop = "stop",
     .outcome = TURN_OK},
    {.name = "stall after the headers, then ok",
     .answers = {{OK_HEAD, "", STALL}, {OK_HEAD, WHOLE, KEEP}},
     .log = "begin mock/m|retrying 2/4 timeout|done|",
     .text = "Hello world",
     .stop = "stop",
     .outcome = TURN_OK},
    {.name = "100 MiB line",
     .answers = {{EOF_HEAD, "data: ", FLOOD}},
     .log = "begin mock/m|done|",
     .text = "",
     .stop = "error",
     .kind = "unknown",
     .error = "a line",
     .outcome = TURN_ERROR},
    {.name = "headers without end",
     .answers =
         {{"HTTP/1.1 200 OK\r\nX: ", "", FLOOD}, {"", "", CLOSE}, {"", "", CLOSE}, {"", "", CLOSE}},
     .outcome = TURN_ERROR,
     .text = "",
     .stop = "error",
     .kind = NULL,
     .error = ""},
    {.name = "an error without end",
     .answers = {{ERR("400 No", "", ""), "", FLOOD}},
     .log = "begin mock/m|done|",
     .text = "",
     .stop = "error",
     .kind = "unknown",
     .error = "HTTP 400",
     .outcome = TURN_ERROR},
    {.name = "nobody listens, then the fallback",
     .model = "dead/x",
     .fallbacks = "\"mock/m\"",
     .answers = {{OK_HEAD, WHOLE, KEEP}},
     .log = "begin dead/x|retrying 2/4 timeout|retrying 3/4 timeout|retrying 4/4 timeout|begin "
            "mock/m|done|",
     .text = "Hello world",
     .stop = "stop",
     .outcome = TURN_OK},
    {.name = "no such provider, then demo",
     .model = "none/x",
     .fallbacks = "\"demo/demo\"",
     .log = "begin demo/demo|done|",
     .stop = "stop",
     .outcome = TURN_OK},
    {.name = "no such provider",
     .model = "none/x",
     .log = "done|",
     .text = "",
     .stop = "error",
     .kind = "unknown",
     .error = "models.providers.none",
     .outcome = TURN_ERROR},
    {.name = "not an address",
     .model = "file/x",
     .log = "done|",
     .text = "",
     .stop = "error",
     .kind = "unknown",
     .error = "baseUrl does not begin",
     .outcome = TURN_ERROR},
    {.name = "unknown api",
     .model = "odd/x",
     .log = "done|",
     .text = "",
     .stop = "error",
     .kind = "unknown",
     .error = "api is none",
     .outcome = TURN_ERROR},
    {.name = "time limit in the middle",
     .answers = {{OK_HEAD, T("Hel"), STALL}},
     .timeout_ms = 30,
     .log = "begin mock/m|done|",
     .text = "Hel",
     .stop = "timeout",
     .kind = "timeout",
     .error = "limit",
     .outcome = TURN_TIMEOUT},
    {.name = "time limit while waiting to try again",
     .timeout_ms = 30,
     .answers = {{ERR("429 Too Many", "Retry-After: 60\r\n", "{}"), "", CLOSE}},
     .log = "begin mock/m|retrying 2/4 rate_limit|done|",
     .text = "",
     .stop = "timeout",
     .kind = "timeout",
     .error = "HTTP 429; the turn",
     .outcome = TURN_TIMEOUT},
    {.name = "refusal",
     .fallbacks = "\"mock/n\"",
     .answers =
         {{OK_HEAD,
           "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"content_filter\"}]}\n\n" DONE,
           KEEP}},
     .log = "begin mock/m|done|",
     .text = "",
     .stop = "error",
     .kind = "refusal",
     .error = "content_filter",
     .outcome = TURN_ERROR},
    {.name = "a tool nobody offered",
     .answers = {{OK_HEAD,
                  "data: "
                  "{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"a\","
                  "\"function\":{\"name\":\"exec\",\"arguments\":\"{}\"}}]},\"finish_reason\":"
                  "\"tool_calls\"}]}\n\n" DONE,
                  KEEP}},
     .log = "begin mock/m|done|",
     .text = "",
     .stop = "error",
     .kind = "unknown",
     .error = "not offered",
     .outcome = TURN_ERROR},
};

START_TEST(test_rows)
{
    static struct world w;
    const char *name = rows[_i].name;
    struct run_result res;

    world_open(&w, rows[_i].answers);
    begin(&w, rows[_i].model ? rows[_i].model : "mock/m",
          rows[_i].fallbacks ? rows[_i].fallbacks : "", rows[_i].timeout_ms);
    wait_done(&w);
    run_result(w.run, &res);
    ck_assert_msg(res.outcome == rows[_i].outcome, "%s: outcome %d: %.*s", name, (int)res.outcome,
                  VIEW_FMT(res.error));
    if (rows[_i].log)
        ck_assert_msg(view_eq(buf_view(&w.log), view_str(rows[_i].log)), "%s: %.*s", name,
                      VIEW_FMT(buf_view(&w.log)));
    if (rows[_i].text)
        ck_assert_msg(view_eq(res.text, view_str(rows[_i].text)), "%s: %.*s", name,
                      VIEW_FMT(res.text));
    ck_assert_msg(view_eq(buf_view(&w.text), res.text), "%s: told %.*s", name,
                  VIEW_FMT(buf_view(&w.text)));
    ck_assert_msg(!strcmp(res.stop_reason, rows[_i].stop), "%s: %s", name, res.stop_reason);
    if (rows[_i].kind)
        ck_assert_msg(!strcmp(res.error_kind, rows[_i].kind), "%s: %s", name, res.error_kind);
    if (rows[_i].error)
        ck_assert_msg(memmem(res.error.p, res.error.n, rows[_i].error, strlen(rows[_i].error)),
                      "%s: %.*s", name, VIEW_FMT(res.error));
    ck_assert_msg(!memmem(res.error.p, res.error.n, "sk-secret", 9), "%s", name);
    ck_assert_msg(w.fake.flooded < 16 * MIB, "%s: read %zu bytes", name, w.fake.flooded);
    world_close(&w);
}
END_TEST

START_TEST(test_request)
{
    static const struct answer answers[] = {{OK_HEAD, WHOLE, KEEP}, {OK_HEAD, WHOLE, KEEP}};
    static struct world w;
    struct run_result res;

    world_open(&w, answers);
    begin(&w, "mock/m", "", 0);
    wait_done(&w);
    run_result(w.run, &res);
    ck_assert_msg(view_starts(view_str(w.fake.last), V("POST /v1/chat/completions HTTP/1.1\r\n")),
                  "%s", w.fake.last);
    ck_assert(strstr(w.fake.last, "\r\nAuthorization: Bearer sk-secret-1\r\n"));
    ck_assert(strstr(w.fake.last, "\r\nAccept: text/event-stream\r\n"));
    ck_assert(strstr(w.fake.last, "\r\nContent-Type: application/json\r\n"));
    ck_assert(!strstr(w.fake.last, "Expect") && !strstr(w.fake.last, "Accept-Encoding"));
    ck_assert(strstr(w.fake.last, "\"messages\":[{\"role\":\"system\",\"content\":\"S\"}"));
    ck_assert_msg(
        view_eq(res.usage, V("{\"input\":10,\"output\":20,\"cacheRead\":0,\"cacheWrite\":0,"
                             "\"totalTokens\":30,\"cost\":{\"input\":0.00001,\"output\":0.00004,"
                             "\"cacheRead\":0,\"cacheWrite\":0,\"total\":0.00005}}")) ||
            res.usage.n > 50,
        "%.*s", VIEW_FMT(res.usage));
    run_free(&w.run);
    buf_reset(&w.text, 0);
    begin(&w, "mock/m", "", 0); /* the second request takes the same connection */
    wait_done(&w);
    ck_assert_uint_eq(w.fake.conns, 1);
    ck_assert_uint_eq(w.fake.requests, 2);
    world_close(&w);
}
END_TEST

START_TEST(test_proxy_of_environment_is_ignored)
{
    static const struct answer answers[] = {{OK_HEAD, WHOLE, KEEP}};
    static struct world w;

    (void)setenv("http_proxy", "http://127.0.0.1:1", 1);
    (void)setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
    world_open(&w, answers);
    begin(&w, "mock/m", "", 0);
    wait_done(&w);
    ck_assert_uint_eq(w.fake.requests, 1);
    world_close(&w);
}
END_TEST

static void abort_now(void *ctx)
{
    struct world *w = ctx;

    run_abort(w->run);
}

START_TEST(test_abort)
{
    static const struct answer answers[] = {{OK_HEAD, T("Hel"), STALL}};
    static struct world w;
    struct run_result res;
    struct loop_timer t = {0};
    struct err e = ERR_INIT;

    world_open(&w, answers);
    begin(&w, "mock/m", "", 0);
    loop_timer_init(&t, w.loop, abort_now, &w);
    loop_timer_set(&t, 20);
    wait_done(&w);
    run_result(w.run, &res);
    ck_assert_int_eq(res.outcome, TURN_ABORTED);
    ck_assert_str_eq(res.stop_reason, "aborted");
    ck_assert(view_eq(res.text, V("Hel")));
    ck_assert_uint_eq(http_active(w.http), 0);
    run_abort(w.run);   /* again: nothing */
    while (w.fake.open) /* the server sees the connection go */
        ck_assert_int_eq(event_base_loop(loop_base(w.loop), EVLOOP_ONCE), 0);
    (void)e;
    loop_timer_fini(&t);
    world_close(&w);
}
END_TEST

START_TEST(test_tls_is_verified)
{
    static const struct answer answers[] = {{"", "", CLOSE}};
    static struct world w;
    struct run_result res;

    world_open(&w, answers); /* it speaks no TLS: whatever happens, nothing is delivered */
    begin(&w, "tls/x", "", 300);
    wait_done(&w);
    run_result(w.run, &res);
    ck_assert_int_ne(res.outcome, TURN_OK);
    ck_assert_uint_eq(w.fake.requests, 0);
    world_close(&w);
}
END_TEST

/* Every request ends a run, whatever was cut where, and none is taken for whole. */
START_TEST(test_cut_everywhere)
{
    static const char body[] = T("h\xc3\xa9") FIN DONE;
    static char part[sizeof(body)];
    static struct answer answers[2] = {{EOF_HEAD, part, CLOSE}, {OK_HEAD, T("again") DONE, KEEP}};
    static struct world w;
    size_t whole = (size_t)(strstr(body, "[DONE]") - body) + 6;

    for (size_t n = 0; n < sizeof(body); n += _i ? 1 : 7) {
        struct run_result res;

        memcpy(part, body, n);
        part[n] = 0;
        world_open(&w, answers);
        begin(&w, "mock/m", "", 0);
        wait_done(&w);
        run_result(w.run, &res);
        if (res.outcome == TURN_OK)
            ck_assert_msg(view_eq(res.text, n >= whole ? V("h\xc3\xa9") : V("again")), "%zu: %.*s",
                          n, VIEW_FMT(res.text));
        else
            ck_assert_msg(n < whole && view_eq(res.text, V("h\xc3\xa9")), "%zu", n);
        world_close(&w);
    }
}
END_TEST

/* A provider that fails for everybody: after ten failures it is not asked, the fallback is; the
 * next run learns it from this one. */
START_TEST(test_circuit)
{
    static struct answer answers[ANSWERS_MAX];
    static struct world w;
    struct run_result res;
    unsigned asked;

    for (size_t i = 0; i < COUNT_OF(answers); i++)
        answers[i] = (struct answer){ERR("503 Oops", "", "x"), "", CLOSE};
    world_open(&w, answers);
    for (int i = 0; i < 3; i++) { /* 4 + 4 + 2 attempts */
        begin(&w, "mock/m", "", 0);
        wait_done(&w);
        w.fake.requests = 0;
        run_result(w.run, &res);
        ck_assert_int_eq(res.outcome, TURN_ERROR);
        run_free(&w.run);
    }
    asked = w.fake.conns;
    ck_assert_uint_eq(asked, CIRCUIT_FAILURES);
    buf_reset(&w.log, 4096);
    begin(&w, "mock/m", "\"dead/d\"", 0);
    wait_done(&w);
    run_result(w.run, &res);
    ck_assert_int_eq(res.outcome, TURN_ERROR);
    ck_assert_msg(memmem(res.error.p, res.error.n, "left alone", 10), "%.*s", VIEW_FMT(res.error));
    ck_assert_msg(view_starts(buf_view(&w.log), V("begin mock/m|begin dead/d|")), "%.*s",
                  VIEW_FMT(buf_view(&w.log)));
    ck_assert_uint_eq(w.fake.conns, asked);
    world_close(&w);
}
END_TEST

START_TEST(test_waits)
{
    static const struct {
        unsigned failed;
        uint64_t hint, least, most;
    } waits[] = {{1, 0, 0, 500},
                 {2, 0, 0, 1000},
                 {3, 0, 0, 2000},
                 {7, 0, 0, 30000},
                 {1000, 0, 0, 30000},
                 {1, 5000, 5000, 5500},
                 {1, 120000, 120000, 120500}};
    struct patience p = PATIENCE_DEFAULT;

    ck_assert_uint_eq(run_wait_ms(waits[_i].failed, &p, waits[_i].hint, 0), waits[_i].least);
    ck_assert_uint_eq(
        run_wait_ms(waits[_i].failed, &p, waits[_i].hint, waits[_i].most - waits[_i].least),
        waits[_i].most);
    ck_assert_uint_eq(
        run_wait_ms(waits[_i].failed, &p, waits[_i].hint, waits[_i].most - waits[_i].least + 1),
        waits[_i].least);
}
END_TEST

/* Jobs that are no jobs end with an error, and nothing else. */
START_TEST(test_bad_jobs)
{
    static const char *const jobs[] = {
        "",
        "{",
        "[]",
        "{\"model\":\"mock/m\"}",
        "{\"model\":\"mock/m\",\"messages\":7}",
        "{\"model\":\"mock/m\",\"messages\":[{\"role\":\"x\",\"content\":\"y\"}]}"};
    static const struct answer answers[] = {{"", "", CLOSE}};
    static struct world w;
    struct run_result res;
    struct err e = ERR_INIT;
    int fd = -1;

    world_open(&w, answers);
    struct run_conf conf = {
        .loop = w.loop, .http = w.http, .models = w.models, .on = &tells, .ctx = &w};
    ck_assert_int_eq(fd_sealed("job", view_str(jobs[_i]), &fd, &e), 0);
    ck_assert_int_eq(run_start(&w.run, &conf, fd, &e), 0);
    wait_done(&w);
    run_result(w.run, &res);
    if (_i == 2) /* no model named: the demo answers */
        ck_assert_int_eq(res.outcome, TURN_OK);
    else
        ck_assert_msg(res.outcome == TURN_ERROR && res.error.n, "%s", jobs[_i]);
    ck_assert_uint_eq(w.fake.requests, 0);
    world_close(&w);
}
END_TEST

/* Whichever allocation fails, the run ends by itself, once, and nothing leaks. */
START_TEST(test_no_memory)
{
    static struct answer answers[ANSWERS_MAX];
    static struct world w;

    for (size_t i = 0; i < COUNT_OF(answers); i++)
        answers[i] = (struct answer){OK_HEAD, WHOLE, KEEP};
    for (uint64_t n = 1;; n++) {
        struct run_conf conf = {.on = &tells, .ctx = &w};
        struct run_result res;
        struct err e = ERR_INIT;
        uint64_t before;
        int fd = -1, r;

        world_open(&w, answers);
        conf.loop = w.loop;
        conf.http = w.http;
        conf.models = w.models;
        ck_assert_int_eq(fd_sealed("job",
                                   V("{\"model\":\"mock/m\",\"messages\":[{\"role\":\"user\","
                                     "\"content\":\"hi\"}]}"),
                                   &fd, &e),
                         0);
        before = mem_count();
        mem_fail_after(n, 0);
        r = run_start(&w.run, &conf, fd, &e);
        if (r == 0) {
            wait_done(&w);
            run_result(w.run, &res);
            if (res.outcome == TURN_OK)
                ck_assert_msg(view_eq(res.text, V("Hello world")), "%d", (int)n);
            else
                ck_assert_msg(res.outcome == TURN_ERROR, "%d", (int)n);
        }
        mem_fail_after(0, 0);
        before = mem_count() - before;
        run_free(&w.run); /* and the next one is as if nothing had been */
        buf_reset(&w.text, 4096);
        begin(&w, "mock/m", "", 0);
        wait_done(&w);
        run_result(w.run, &res);
        ck_assert_msg(res.outcome == TURN_OK, "after %d: %.*s", (int)n, VIEW_FMT(res.error));
        world_close(&w);
        if (before < n)
            break; /* none failed any more */
    }
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_test(tc, test_no_memory);
    tcase_add_loop_test(tc, test_rows, 0, (int)COUNT_OF(rows));
    tcase_add_test(tc, test_request);
    tcase_add_test(tc, test_proxy_of_environment_is_ignored);
    tcase_add_test(tc, test_abort);
    tcase_add_test(tc, test_tls_is_verified);
    tcase_add_loop_test(tc, test_cut_everywhere, 0, 2);
    tcase_add_test(tc, test_circuit);
    tcase_add_loop_test(tc, test_waits, 0, 7);
    tcase_add_loop_test(tc, test_bad_jobs, 0, 6);
}

CK_MAIN("run")
