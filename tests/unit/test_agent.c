/* tests/unit/test_agent.c - the agent process itself: the test is its supervisor, its hub and its
 * model server. */
#include "ck.h"
#include "clock.h"
#include "fake_model.h"
#include "json.h"
#include "log.h"
#include "msg.h"

#include <limits.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define OK_ANSWER                                                                                  \
    {                                                                                              \
        OK_HEAD, WHOLE, KEEP                                                                       \
    }

enum { DONES_MAX = 64 };

struct done {
    uint64_t job_id;
    uint32_t attempt;
    uint8_t outcome;
    uint16_t status;
    char text[256], error[256], stop[32], kind[32], provider[64], model[64];
};

struct world {
    struct loop *loop;
    struct fake fake;
    pid_t pid;
    struct link *sup, *hub;
    uint64_t generation;
    bool ready, gone, ack; /* ack: results are acknowledged at once */
    unsigned begins, statuses, deltas, resumes, job_dones, pongs;
    struct buf text; /* as the hub has it, of the last job */
    struct done done[DONES_MAX];
    unsigned dones;
    const char *awaited; /* for the message when nothing comes */
};

static int on_hello(void *ctx, struct link *from, struct ipc_hello *m, struct err *e)
{
    (void)ctx;
    (void)from;
    (void)e;
    ck_assert_uint_eq(m->schema, msg_schema());
    ck_assert(view_eq(m->role, V("openclaw-agent")));
    return 0;
}

static int on_ready_msg(void *ctx, struct link *from, struct ipc_ready *m, struct err *e)
{
    struct world *w = ctx;

    (void)m;
    (void)e;
    w->ready = true;
    link_set_running(from);
    loop_stop(w->loop);
    return 0;
}

static int on_log(void *ctx, struct link *from, struct ipc_log *m, struct err *e)
{
    (void)ctx;
    (void)from;
    (void)e;
    ck_assert(!memmem(m->fields.p, m->fields.n, "sk-secret", 9));
    return 0;
}

static int on_job_done(void *ctx, struct link *from, struct ipc_job_done *m, struct err *e)
{
    struct world *w = ctx;

    (void)from;
    (void)m;
    (void)e;
    w->job_dones++;
    loop_stop(w->loop);
    return 0;
}

static int on_pong(void *ctx, struct link *from, struct ipc_pong *m, struct err *e)
{
    struct world *w = ctx;

    (void)from;
    (void)m;
    (void)e;
    w->pongs++;
    loop_stop(w->loop);
    return 0;
}

static int on_link_lost(void *ctx, struct link *from, struct ipc_link_lost *m, struct err *e)
{
    (void)ctx;
    (void)from;
    (void)m;
    (void)e;
    return 0;
}

static int on_run_begin(void *ctx, struct link *from, struct ipc_run_begin *m, struct err *e)
{
    struct world *w = ctx;

    (void)from;
    (void)m;
    (void)e;
    w->begins++;
    buf_reset(&w->text, 0);
    loop_stop(w->loop);
    return 0;
}

static int on_run_status(void *ctx, struct link *from, struct ipc_run_status *m, struct err *e)
{
    struct world *w = ctx;
    json_t *doc = NULL;

    (void)from;
    w->statuses++;
    ck_assert_msg(json_parse(m->data, &doc, e) == 0, "%.*s", VIEW_FMT(m->data));
    ck_assert(view_eq(json_view(doc, "phase"), m->phase));
    json_decref(doc);
    return 0;
}

static int on_run_delta(void *ctx, struct link *from, struct ipc_run_delta *m, struct err *e)
{
    struct world *w = ctx;

    (void)from;
    (void)e;
    w->deltas++;
    buf_put_view(&w->text, m->text);
    loop_stop(w->loop);
    return 0;
}

static int on_run_resume(void *ctx, struct link *from, struct ipc_run_resume *m, struct err *e)
{
    struct world *w = ctx;

    (void)from;
    (void)e;
    w->resumes++;
    buf_reset(&w->text, 0);
    buf_put_view(&w->text, m->text);
    loop_stop(w->loop);
    return 0;
}

static void keep(char *out, size_t size, struct view v)
{
    (void)snprintf(out, size, "%.*s", (int)(v.n < size ? v.n : size - 1), v.p);
}

static int on_run_done(void *ctx, struct link *from, struct ipc_run_done *m, struct err *e)
{
    struct world *w = ctx;
    struct done *d = &w->done[w->dones];

    ck_assert_uint_lt(w->dones, DONES_MAX);
    w->dones++;
    d->job_id = m->job_id;
    d->attempt = m->attempt;
    d->outcome = m->outcome;
    d->status = m->http_status;
    keep(d->text, sizeof(d->text), m->text);
    keep(d->error, sizeof(d->error), m->error);
    keep(d->stop, sizeof(d->stop), m->stop_reason);
    keep(d->kind, sizeof(d->kind), m->error_kind);
    keep(d->provider, sizeof(d->provider), m->provider);
    keep(d->model, sizeof(d->model), m->model);
    loop_stop(w->loop);
    if (!w->ack)
        return 0;
    return msg_send_run_ack(from, &(struct ipc_run_ack){.job_id = m->job_id, .attempt = m->attempt},
                            e);
}

static const struct ipc_handlers sup_on = {
    .hello = on_hello,
    .ready = on_ready_msg,
    .log = on_log,
    .job_done = on_job_done,
    .pong = on_pong,
    .link_lost = on_link_lost,
};
static const struct ipc_handlers hub_on = {
    .run_begin = on_run_begin,
    .run_status = on_run_status,
    .run_delta = on_run_delta,
    .run_resume = on_run_resume,
    .run_done = on_run_done,
};

static void sup_gone(void *ctx, struct link *l, const struct err *why)
{
    struct world *w = ctx;

    (void)l;
    (void)why;
    w->gone = true;
    link_close(&w->sup);
    loop_stop(w->loop);
}

static void hub_gone(void *ctx, struct link *l, const struct err *why)
{
    struct world *w = ctx;

    (void)l;
    ck_assert_msg(why->code == ERR_CLOSED, "hub's line: %s", why->text);
    link_close(&w->hub);
}

static void agent_path(char out[PATH_MAX])
{
    const char *given = getenv("OPENCLAW_AGENT");
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    char *slash;

    ck_assert_int_gt((int)n, 0);
    self[n] = 0;
    for (int up = 0; up < 3; up++) { /* <build>/tests/unit/test_agent */
        slash = strrchr(self, '/');
        ck_assert_ptr_nonnull(slash);
        *slash = 0;
    }
    if (given)
        (void)snprintf(out, PATH_MAX, "%s", given);
    else
        (void)snprintf(out, PATH_MAX, "%.4000s/openclaw-agent", self);
}

static void spawn(struct world *w)
{
    struct link_conf conf = {
        .me = ROLE_SUPERVISOR, .peer = ROLE_AGENT, .on = &sup_on, .ctx = w, .on_close = sup_gone};
    struct err e = ERR_INIT;
    char path[PATH_MAX];
    int s[2];

    agent_path(path);
    ck_assert_int_eq(fd_pair(s, 0, &e), 0);
    w->pid = fork();
    if (w->pid == 0) {
        (void)dup2(s[1], 3);
        if (s[1] == 3)
            _exit(126);
        (void)execl(path, "openclaw-agent", (char *)NULL);
        _exit(127);
    }
    fd_close(&s[1]);
    ck_assert_int_eq(link_open(&w->sup, w->loop, s[0], &conf, &e), 0);
}

static void await(struct world *w, const char *what)
{
    struct err e = ERR_INIT;

    w->awaited = what;
    ck_assert_int_eq(loop_run(w->loop, &e), 0);
}

/* A new hub: both ends of its line. */
static void new_hub(struct world *w)
{
    struct link_conf conf = {
        .me = ROLE_HUB, .peer = ROLE_AGENT, .on = &hub_on, .ctx = w, .on_close = hub_gone};
    struct err e = ERR_INIT;
    int s[2];

    link_close(&w->hub);
    ck_assert_int_eq(fd_pair(s, 0, &e), 0);
    ck_assert_int_eq(link_open(&w->hub, w->loop, s[0], &conf, &e), 0);
    link_set_running(w->hub);
    ck_assert_int_eq(msg_send_link(w->sup,
                                   &(struct ipc_link){.role = V("openclaw-hub"),
                                                      .generation = ++w->generation,
                                                      .sock = s[1]},
                                   &e),
                     0);
}

static void send_config(struct world *w)
{
    struct err e = ERR_INIT;
    char conf[1024];

    (void)snprintf(conf, sizeof(conf),
                   "{\"models\":{\"timeouts\":{\"connectMs\":500,\"firstByteMs\":5000,\"idleMs\":"
                   "5000},\"retry\":{\"minDelayMs\":2,\"maxDelayMs\":8},\"providers\":{\"mock\":{"
                   "\"baseUrl\":\"http://127.0.0.1:%d/v1\",\"apiKey\":\"sk-secret-1\"}}}}",
                   w->fake.port);
    ck_assert_int_eq(msg_send_config(w->sup, &(struct ipc_config){.slice = view_str(conf)}, &e), 0);
}

static void world_open(struct world *w, const struct answer *answers)
{
    struct err e = ERR_INIT;

    memset(w, 0, sizeof(*w));
    w->ack = true;
    buf_init(&w->text, 8 * MIB);
    ck_assert_int_eq(loop_new(&w->loop, &e), 0);
    fake_open(&w->fake, w->loop, answers);
    spawn(w);
    send_config(w);
    while (!w->ready) {
        ck_assert_msg(!w->gone, "the agent left before it was ready");
        await(w, "ready");
    }
    new_hub(w);
}

/* Asked to stop, it leaves with 0. */
static void world_close(struct world *w)
{
    struct err e = ERR_INIT;
    int status = -1;

    ck_assert_int_eq(msg_send_stop(w->sup, &(struct ipc_stop){.grace_ms = 5000}, &e), 0);
    while (!w->gone)
        await(w, "leaving");
    ck_assert_int_eq(waitpid(w->pid, &status, 0), w->pid);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", (unsigned)status);
    link_close(&w->hub);
    fake_close(&w->fake);
    loop_free(&w->loop);
    buf_fini(&w->text);
}

static void give(struct world *w, uint64_t job_id, uint32_t attempt, const char *model,
                 uint32_t timeout_ms)
{
    struct err e = ERR_INIT;
    char job[512];
    int fd = -1;

    (void)snprintf(job, sizeof(job),
                   "{\"runId\":\"r\",\"sessionKey\":\"agent:main:main\",\"model\":\"%s\","
                   "\"messages\":[{\"role\":\"user\",\"content\":\"ping\"}]}",
                   model);
    ck_assert_int_eq(fd_sealed("job", view_str(job), &fd, &e), 0);
    ck_assert_int_eq(msg_send_job(w->sup,
                                  &(struct ipc_job){.job_id = job_id,
                                                    .attempt = attempt,
                                                    .lane = V("main"),
                                                    .session = V("agent:main:main"),
                                                    .timeout_ms = timeout_ms,
                                                    .payload = fd},
                                  &e),
                     0);
}

START_TEST(test_turn)
{
    static const struct answer answers[] = {OK_ANSWER, OK_ANSWER};
    static struct world w;

    world_open(&w, answers);
    for (unsigned i = 0; i < 2; i++) {
        give(&w, 10 + i, 1, "mock/m", 0);
        while (w.dones <= i || w.job_dones <= i)
            await(&w, "done");
        ck_assert_uint_eq(w.done[i].job_id, 10 + i);
        ck_assert_uint_eq(w.done[i].attempt, 1);
        ck_assert_uint_eq(w.done[i].outcome, RUN_OK);
        ck_assert_str_eq(w.done[i].text, "Hello world");
        ck_assert_str_eq(w.done[i].stop, "stop");
        ck_assert_str_eq(w.done[i].provider, "mock");
        ck_assert_str_eq(w.done[i].model, "m");
        ck_assert_uint_eq(w.begins, i + 1);
        ck_assert(view_eq(buf_view(&w.text), V("Hello world")));
    }
    ck_assert_uint_eq(w.fake.conns, 1); /* the second turn uses the first one's connection */
    world_close(&w);
}
END_TEST

START_TEST(test_demo)
{
    static struct world w;

    world_open(&w, NULL);
    give(&w, 1, 1, "demo/demo", 0);
    while (!w.dones)
        await(&w, "done");
    ck_assert_uint_eq(w.done[0].outcome, RUN_OK);
    ck_assert_msg(strstr(w.done[0].text, "\"ping\""), "%s", w.done[0].text);
    ck_assert_uint_gt(w.deltas, 5);
    ck_assert(memmem(w.text.p + w.text.off, w.text.n, "openclaw.json", 13));
    world_close(&w);
}
END_TEST

START_TEST(test_many_at_once)
{
    static struct answer answers[CONNS_MAX];
    static struct world w;

    for (size_t i = 0; i < COUNT_OF(answers); i++)
        answers[i] = (struct answer)OK_ANSWER;
    world_open(&w, answers);
    for (uint64_t i = 0; i < 30; i++)
        give(&w, i, 1, i % 3 ? "mock/m" : "demo/demo", 0);
    while (w.dones < 30 || w.job_dones < 30)
        await(&w, "done");
    for (unsigned i = 0; i < 30; i++)
        ck_assert_uint_eq(w.done[i].outcome, RUN_OK);
    ck_assert_uint_eq(w.fake.requests, 20);
    world_close(&w);
}
END_TEST

START_TEST(test_abort)
{
    static const struct answer answers[] = {{OK_HEAD, T("Hel"), STALL}};
    static struct world w;
    struct err e = ERR_INIT;

    world_open(&w, answers);
    give(&w, 1, 1, "mock/m", 0);
    while (w.text.n < 3)
        await(&w, "delta");
    ck_assert_int_eq(msg_send_job_abort(w.sup, &(struct ipc_job_abort){.job_id = 1}, &e), 0);
    ck_assert_int_eq(msg_send_job_abort(w.sup, &(struct ipc_job_abort){.job_id = 99}, &e), 0);
    while (!w.dones || !w.job_dones)
        await(&w, "done");
    ck_assert_uint_eq(w.done[0].outcome, RUN_ABORTED);
    ck_assert_str_eq(w.done[0].text, "Hel");
    ck_assert_str_eq(w.done[0].stop, "aborted");
    world_close(&w);
}
END_TEST

START_TEST(test_time_limit)
{
    static const struct answer answers[] = {{OK_HEAD, T("Hel"), STALL}};
    static struct world w;

    world_open(&w, answers);
    give(&w, 1, 1, "mock/m", 30);
    while (!w.dones)
        await(&w, "done");
    ck_assert_uint_eq(w.done[0].outcome, RUN_TIMEOUT);
    ck_assert_str_eq(w.done[0].kind, "timeout");
    ck_assert_str_eq(w.done[0].text, "Hel");
    world_close(&w);
}
END_TEST

START_TEST(test_failure)
{
    static const struct answer answers[] = {
        {ERR("500 O", "", ""), "", CLOSE},
        {ERR("401 No", "", "{\"error\":{\"message\":\"bad key sk-secret-1\"}}"), "", CLOSE}};
    static struct world w;

    world_open(&w, answers);
    give(&w, 1, 1, "mock/m", 0);
    while (!w.dones)
        await(&w, "done");
    ck_assert_uint_eq(w.done[0].outcome, RUN_ERROR);
    ck_assert_uint_eq(w.done[0].status, 401);
    ck_assert_str_eq(w.done[0].error, "HTTP 401: bad key ***********");
    ck_assert_uint_eq(w.statuses, 1);
    world_close(&w);
}
END_TEST

/* The hub goes in the middle: the new one is told everything so far, and then the rest. */
START_TEST(test_hub_restart_mid_stream)
{
    static const struct answer answers[] = {{OK_HEAD, T("Hel"), STALL}};
    static struct world w;
    struct err e = ERR_INIT;

    world_open(&w, answers);
    give(&w, 1, 1, "mock/m", 0);
    while (w.text.n < 3)
        await(&w, "delta");
    link_close(&w.hub);
    buf_reset(&w.text, 0);
    new_hub(&w);
    while (!w.resumes)
        await(&w, "resume");
    ck_assert(view_eq(buf_view(&w.text), V("Hel")));
    ck_assert_int_eq(msg_send_job_abort(w.sup, &(struct ipc_job_abort){.job_id = 1}, &e), 0);
    while (!w.dones)
        await(&w, "done");
    ck_assert_uint_eq(w.resumes, 1);
    world_close(&w);
}
END_TEST

/* A result is told again to every new hub until one acknowledges it. */
START_TEST(test_result_survives_hubs)
{
    static const struct answer answers[] = {OK_ANSWER};
    static struct world w;
    struct err e = ERR_INIT;

    world_open(&w, answers);
    w.ack = false;
    give(&w, 1, 3, "mock/m", 0);
    while (!w.dones)
        await(&w, "done");
    for (unsigned i = 1; i < 4; i++) {
        new_hub(&w);
        while (w.dones <= i)
            await(&w, "done again");
        ck_assert_str_eq(w.done[i].text, "Hello world");
    }
    /* acks of something else change nothing */
    ck_assert_int_eq(msg_send_run_ack(w.hub, &(struct ipc_run_ack){.job_id = 1, .attempt = 2}, &e),
                     0);
    ck_assert_int_eq(msg_send_run_ack(w.hub, &(struct ipc_run_ack){.job_id = 2, .attempt = 3}, &e),
                     0);
    w.ack = true;
    new_hub(&w);
    while (w.dones <= 4)
        await(&w, "done a last time");

    ck_assert_uint_eq(w.fake.requests, 1);
    world_close(&w); /* leaves at once: nothing waits any more */
}
END_TEST

START_TEST(test_same_job_twice)
{
    static const struct answer answers[] = {{OK_HEAD, T("Hel"), STALL}, OK_ANSWER};
    static struct world w;

    world_open(&w, answers);
    give(&w, 1, 1, "mock/m", 0);
    give(&w, 1, 1, "mock/m", 0); /* ignored */
    while (w.text.n < 3)
        await(&w, "delta");
    give(&w, 1, 2, "mock/m", 0); /* a new attempt takes the old one's place */
    while (!w.dones)
        await(&w, "done");
    ck_assert_uint_eq(w.done[0].attempt, 2);
    ck_assert_str_eq(w.done[0].text, "Hello world");
    ck_assert_uint_eq(w.fake.requests, 2);
    world_close(&w);
}
END_TEST

START_TEST(test_reload)
{
    static const struct answer answers[] = {{OK_HEAD, T("Hel"), STALL}, OK_ANSWER};
    static struct world w;
    struct err e = ERR_INIT;

    world_open(&w, answers);
    give(&w, 1, 1, "mock/m", 0);
    while (w.text.n < 3)
        await(&w, "delta");
    send_config(&w); /* runs under way keep what they began with */
    give(&w, 2, 1, "mock/m", 0);
    while (!w.dones)
        await(&w, "done");
    ck_assert_uint_eq(w.done[0].job_id, 2);
    ck_assert_int_eq(msg_send_job_abort(w.sup, &(struct ipc_job_abort){.job_id = 1}, &e), 0);
    while (w.dones < 2)
        await(&w, "aborted");
    ck_assert_int_eq(
        msg_send_config(w.sup, &(struct ipc_config){.slice = V("{\"models\":{\"providers\":{}}}")},
                        &e),
        0);
    give(&w, 3, 1, "mock/m", 0);
    while (w.dones < 3)
        await(&w, "refused");
    ck_assert_uint_eq(w.done[2].outcome, RUN_ERROR);
    ck_assert_msg(strstr(w.done[2].error, "models.providers.mock"), "%s", w.done[2].error);
    world_close(&w);
}
END_TEST

START_TEST(test_supervisor_leaves)
{
    static const struct answer answers[] = {{OK_HEAD, T("Hel"), STALL}};
    static struct world w;
    int status = -1;

    world_open(&w, answers);
    give(&w, 1, 1, "mock/m", 0);
    while (w.text.n < 3)
        await(&w, "delta");
    link_close(&w.sup);
    ck_assert_int_eq(waitpid(w.pid, &status, 0), w.pid);
    ck_assert_msg(WIFEXITED(status), "status %x", (unsigned)status);
    link_close(&w.hub);
    fake_close(&w.fake);
    loop_free(&w.loop);
    buf_fini(&w.text);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_test(tc, test_turn);
    tcase_add_test(tc, test_demo);
    tcase_add_test(tc, test_many_at_once);
    tcase_add_test(tc, test_abort);
    tcase_add_test(tc, test_time_limit);
    tcase_add_test(tc, test_failure);
    tcase_add_test(tc, test_hub_restart_mid_stream);
    tcase_add_test(tc, test_result_survives_hubs);
    tcase_add_test(tc, test_same_job_twice);
    tcase_add_test(tc, test_reload);
    tcase_add_test(tc, test_supervisor_leaves);
}

CK_MAIN("agent")
