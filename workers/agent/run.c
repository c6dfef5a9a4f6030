#include "run.h"

#include "demo.h"
#include "fd.h"
#include "job.h"
#include "jw.h"
#include "lines.h"
#include "media.h"
#include "mem.h"
#include "rand.h"
#include "sse.h"
#include "tools.h"

#include <stdio.h>

enum {
    ERROR_MAX = 1000,    /* run_done takes 1024 */
    STATUS_MAX = 4096,   /* run_status likewise */
    CALLS_MAX = 2 << 20, /* and run_done of these */
};

struct run {
    struct run_conf conf;
    struct models *models; /* a reference */
    char *persona;         /* owned; NULL without any */
    int payload;           /* owned */
    json_t *job;           /* owned: the payload as it was read for its models, until it is asked */
    struct buf demo;       /* the demo's answer, told piece by piece */
    char *candidate[RUN_CANDIDATES_MAX]; /* owned */
    unsigned candidates, at;             /* at: the one that is asked */
    unsigned failed;                     /* attempts of it that failed */
    struct model_route route;
    struct http_call *call; /* NULL while nothing is under way */
    struct sse sse;
    struct reply reply;
    size_t told; /* bytes of reply.text that on_text was called for */
    struct loop_timer limit, wait;
    struct loop_task turn; /* what has come is looked at once a turn */
    bool ended;            /* the transfer is over */
    bool shut;             /* it was not even asked: its circuit is open */
    struct failure broke;  /* how it ended */
    enum run_outcome outcome;
    struct failure last;
    struct buf error, usage, calls;
    bool tools; /* some were offered */
    char name[257];
    char trace[TRACE_LEN + 1]; /* of the job, or "" */
    struct lines lines;        /* of the request under way */
};

static void ask(struct run *r);

uint64_t run_wait_ms(unsigned failed, const struct patience *p, uint64_t hint_ms, uint64_t random)
{
    uint64_t bound = p->wait_ms;

    for (unsigned i = 1; i < failed && bound < p->wait_max_ms; i++)
        bound *= 2;
    if (bound > p->wait_max_ms)
        bound = p->wait_max_ms;
    return hint_ms + random % (bound + 1);
}

/* ---- the end ---- */

/* Stop everything that could still call us. */
static void quiet(struct run *r)
{
    http_cancel(&r->call);
    loop_timer_clear(&r->wait);
    loop_timer_clear(&r->limit);
    loop_undefer(r->conf.loop, &r->turn);
    sse_fini(&r->sse);
    buf_fini(&r->demo);
    json_decref(TAKE(r->job));
    fd_close(&r->payload);
}

static void end(struct run *r, enum run_outcome outcome)
{
    r->outcome = outcome;
    if (r->reply.usage.seen)
        reply_usage_json(&r->reply, &r->route.spec.cost, &r->usage);
    if (r->usage.failed)
        buf_reset(&r->usage, 0);
    quiet(r);
    r->conf.on->on_done(r->conf.ctx, r);
}

/* One more line about what went wrong; with several models each is named. */
static void note(struct run *r, const struct failure *f)
{
    struct buf *b = &r->error;

    if (f != &r->last)
        r->last = *f;
    if (b->n)
        buf_put_str(b, "; ");
    if (r->candidates > 1) {
        buf_put_str(b, r->candidate[r->at]);
        buf_put_str(b, ": ");
    }
    buf_put_str(b, f->text);
}

/* ---- trying again ---- */

static void put_status(struct run *r, const struct failure *f, uint64_t delay_ms,
                       const char *message, unsigned attempt)
{
    struct buf data = BUF_INIT(STATUS_MAX);
    struct jw w = JW_INIT(&data);
    uint32_t most = r->route.patience.attempts;

    jw_obj(&w);
    jw_kcstr(&w, "phase", "retrying");
    jw_kcstr(&w, "message", message);
    jw_ku64(&w, "retryAttempt", attempt - 1);
    jw_ku64(&w, "maxRetries", most - 1);
    jw_ku64(&w, "delayMs", delay_ms);
    jw_ku64(&w, "attempt", attempt);
    jw_ku64(&w, "maxAttempts", most);
    jw_kcstr(&w, "reason", fail_reason_name(f->reason));
    jw_obj_end(&w);
    if (!data.failed)
        r->conf.on->on_status(r->conf.ctx, r, V("retrying"), buf_view(&data));
    buf_fini(&data);
}

static void on_failure(struct run *r, struct failure *f)
{
    uint64_t now = loop_now_ms(r->conf.loop);

    fail_redact(f, r->route.key);
    http_cancel(&r->call);
    r->failed++;
    if (r->route.circuit && !r->shut)
        circuit_saw(r->route.circuit, now, fail_of_provider(f));
    if (r->told == 0 && !r->shut && fail_retryable(f, r->route.patience.retry_after_max_ms) &&
        r->failed < r->route.patience.attempts &&
        (!r->route.circuit || circuit_retry(r->route.circuit, now))) {
        uint64_t ms = run_wait_ms(r->failed, &r->route.patience, f->retry_after_ms, rand_u64());

        r->last = *f;
        put_status(r, f, ms, f->text, r->failed + 1);
        loop_timer_set(&r->wait, ms);
        return;
    }
    note(r, f);
    if (r->told == 0 && fail_try_next(f) && r->at + 1 < r->candidates) {
        r->at++;
        r->failed = 0;
        ask(r);
        return;
    }
    end(r, TURN_ERROR);
}

/* ---- what comes from the model ---- */

static int on_event(void *ctx, struct view name, struct view data, struct err *e)
{
    struct run *r = ctx;

    r->route.ops->event(&r->reply, name, data);
    return r->reply.done || r->reply.fail.reason != FAIL_NONE ? err_set(e, ERR_CLOSED, "over") : 0;
}

static void fed(struct run *r, int result, const struct err *e)
{
    if (result < 0 && !r->reply.done && r->reply.fail.reason == FAIL_NONE)
        fail_set(&r->reply.fail, FAIL_TOO_LARGE, "the model server: %s", e->text);
    loop_defer(r->conf.loop, &r->turn, LOOP_COMMIT);
}

static bool on_data(void *ctx, struct view piece)
{
    struct run *r = ctx;
    struct err e = ERR_INIT;
    int result = sse_feed(&r->sse, piece, &e);

    fed(r, result, &e);
    return result == 0;
}

static void on_end(void *ctx, const struct failure *why)
{
    struct run *r = ctx;
    struct err e = ERR_INIT;

    r->call = NULL;
    r->ended = true;
    if (why)
        r->broke = *why;
    if (!why && !r->reply.done && r->reply.fail.reason == FAIL_NONE)
        fed(r, sse_end(&r->sse, &e), &e);
    loop_defer(r->conf.loop, &r->turn, LOOP_COMMIT);
}

/* When no tools were offered a call can only be a mistake. */
static void refuse_tools(struct run *r)
{
    if (!r->tools && r->reply.tools && r->reply.text.n == 0)
        fail_set(&r->reply.fail, FAIL_UNKNOWN, "the model called a tool that it was not offered");
}

/* What the client is told of them. */
static void take_calls(struct run *r)
{
    if (!r->tools || !r->reply.done)
        return;
    buf_reset(&r->calls, 0);
    tools_reply_json(&r->reply, &r->calls);
    if (r->calls.failed)
        fail_set(&r->reply.fail, FAIL_TOO_LARGE, "the model's tool calls are over %d bytes",
                 CALLS_MAX);
}

static void tell(struct run *r)
{
    if (r->reply.text.n == r->told)
        return;
    r->told = r->reply.text.n;
    r->conf.on->on_text(r->conf.ctx, r);
}

/* Once a turn, after everything that came in it. */
static void on_turn(void *ctx)
{
    struct run *r = ctx;
    struct failure f;

    if (!r->ended && !r->reply.done && r->reply.fail.reason == FAIL_NONE) {
        tell(r);
        return;
    }
    refuse_tools(r);
    take_calls(r);
    if (r->reply.done && reply_complete(&r->reply)) {
        tell(r);
        if (r->route.circuit)
            circuit_saw(r->route.circuit, loop_now_ms(r->conf.loop), false);
        http_release(&r->call);
        end(r, TURN_OK);
        return;
    }
    /* what the stream itself said explains more than how its connection ended */
    f = r->reply.fail.reason != FAIL_NONE ? r->reply.fail : r->broke;
    if (f.reason == FAIL_NONE) {
        (void)reply_complete(&r->reply);
        f = r->reply.fail;
    }
    on_failure(r, &f);
}

/* ---- asking ---- */

static int read_job(const struct run *r, json_t **out, struct err *e)
{
    return job_read(r->payload, r->conf.seen, view_str(r->persona ? r->persona : ""),
                    r->conf.persona_when, out, e);
}

static int post(struct run *r, json_t *job, struct err *e)
{
    static const struct http_events on = {.on_data = on_data, .on_end = on_end};
    struct buf body = BUF_INIT(BODY_MAX), url = BUF_INIT(2 * BASE_URL_MAX);
    struct http_request q = {
        .body = &body,
        .accept = "text/event-stream",
        .connect_ms = r->route.patience.connect_ms,
        .first_byte_ms = r->route.patience.first_byte_ms,
        .idle_ms = r->route.patience.idle_ms,
    };
    int result;

    if ((result = media_resolve(job, &r->route.spec, r->route.ops->image_bytes, e)) < 0)
        goto out;
    lines_make(&r->lines, r->route.lines, r->route.line_count, view_str(r->trace));
    q.lines = r->lines.line;
    q.line_count = r->lines.count;
    r->route.ops->url(&r->route.spec, &url);
    buf_put_char(&url, 0);
    if ((result = buf_check(&url, e)) < 0)
        goto out;
    q.url = buf_view(&url).p;
    result =
        r->route.ops->body(&(struct model_request){.model = &r->route.spec, .job = job}, &body, e);
    if (result == 0)
        result = http_start(r->conf.http, &q, &on, r, &r->call, e);
out:
    buf_fini(&body);
    buf_fini(&url);
    return result;
}

static void say_demo(struct run *r)
{
    struct view rest = view_from(buf_view(&r->demo), r->reply.text.n);

    reply_text(&r->reply, view_of(rest.p, demo_piece(rest)));
    if (r->reply.text.n == r->demo.n) {
        r->reply.done = true;
        r->reply.stop = STOP_END;
        r->reply.usage = (struct reply_usage){.seen = true};
    } else {
        loop_timer_set(&r->wait, DEMO_PIECE_MS);
    }
    loop_defer(r->conf.loop, &r->turn, LOOP_COMMIT);
}

static void call_demo(struct run *r, struct view name)
{
    struct reply_tool *t = reply_tool_new(&r->reply);

    if (t) {
        buf_put_str(&t->id, "demo_1");
        buf_put_view(&t->name, name);
        reply_tool_args(&r->reply, t, V("{}"));
        r->reply.done = true;
        r->reply.stop = STOP_TOOLS;
        r->reply.usage = (struct reply_usage){.seen = true};
    }
    loop_defer(r->conf.loop, &r->turn, LOOP_COMMIT);
}

/* The request goes out, or r->broke says why not. */
static void send_request(struct run *r)
{
    json_t *job = TAKE(r->job);
    struct err e = ERR_INIT;
    int result = job ? 0 : read_job(r, &job, &e);

    if (result == 0 && !r->route.ops && demo_tool(job).n) {
        call_demo(r, demo_tool(job));
    } else if (result == 0 && !r->route.ops) {
        demo_answer(job, &r->demo);
        if ((result = buf_check(&r->demo, &e)) == 0)
            say_demo(r);
    } else if (result == 0) {
        result = post(r, job, &e);
    }
    json_decref(job);
    if (result < 0) {
        fail_set(&r->broke, result == ERR_NOMEM ? FAIL_MEMORY : FAIL_FORMAT, "%s", e.text);
        r->ended = true;
        loop_defer(r->conf.loop, &r->turn, LOOP_COMMIT);
    }
}

/* Ask candidate[at], for the first time or again. */
static void ask(struct run *r)
{
    bool first = r->failed == 0, can;
    uint64_t now = loop_now_ms(r->conf.loop), wait = 0;

    r->ended = r->shut = false;
    r->broke = (struct failure){0};
    reply_reset(&r->reply);
    sse_fini(&r->sse);
    sse_init(&r->sse, on_event, r);
    can = models_route(r->models, view_str(r->candidate[r->at]), &r->route, &r->broke);
    if (can && r->route.ops && !r->conf.http) {
        fail_set(&r->broke, FAIL_CONFIG, "this process was started without network models");
        can = false;
    }
    if (first && can)
        r->conf.on->on_begin(r->conf.ctx, r);
    if (can && r->route.circuit && !circuit_may(r->route.circuit, now, &wait)) {
        fail_set(&r->broke, FAIL_OVERLOADED,
                 "the model server failed too often and is left alone for %u s",
                 (unsigned)((wait + 999) / 1000));
        r->shut = true;
        can = false;
    }
    if (first && can && r->route.circuit)
        circuit_asked(r->route.circuit, now);
    if (can) {
        send_request(r);
        return;
    }
    r->ended = true;
    loop_defer(r->conf.loop, &r->turn, LOOP_COMMIT);
}

static void on_wait(void *ctx)
{
    struct run *r = ctx;

    if (r->demo.n && r->reply.text.n)
        say_demo(r);
    else
        ask(r);
}

static void on_limit(void *ctx)
{
    struct run *r = ctx;
    struct failure f;

    tell(r);
    if (r->failed)
        note(r, &r->last); /* what it was waiting to try again */
    fail_set(&f, FAIL_TIMEOUT, "the turn took longer than its limit");
    note(r, &f);
    end(r, TURN_TIMEOUT);
}

/* ---- a run's life ---- */

/* Cut where a character ends. */
static struct view cut(struct view v, size_t max)
{
    if (v.n > max) {
        v.n = max;
        while (v.n && ((unsigned char)v.p[v.n] & 0xc0) == 0x80)
            v.n--;
    }
    return v;
}

static int add_candidate(struct run *r, struct view ref, struct err *e)
{
    for (unsigned i = 0; i < r->candidates; i++)
        if (view_eq(view_str(r->candidate[i]), ref))
            return 0;
    if (ref.n > MODEL_REF_MAX)
        return err_set(e, ERR_LIMIT, "job: a model's name has %zu bytes, limit %d", ref.n,
                       MODEL_REF_MAX);
    if (r->candidates == RUN_CANDIDATES_MAX)
        return 0; /* nobody waits for that many */
    r->candidate[r->candidates] = mem_dup(ref.p, ref.n);
    if (!r->candidate[r->candidates])
        return err_set(e, ERR_NOMEM, "no memory for a job");
    r->candidates++;
    return 0;
}

static int read_candidates(struct run *r, struct err *e)
{
    json_t *job = NULL;
    const json_t *ref;
    struct view model;
    size_t i;
    int result = read_job(r, &job, e);

    if (result < 0)
        return result;
    model = json_view(job, "model");
    r->tools = tools_offered(job);
    (void)snprintf(r->name, sizeof(r->name), "%.*s", (int)cut(json_view(job, "runId"), 256).n,
                   json_view(job, "runId").p);
    (void)snprintf(r->trace, sizeof(r->trace), "%.*s",
                   VIEW_FMT(trace_read(json_view(job, "trace"))));
    result = add_candidate(r, model.n ? model : V("demo/demo"), e);
    json_array_foreach(json_object_get(job, "fallbacks"), i, ref)
    {
        if (result == 0 && json_view_of(ref).n)
            result = add_candidate(r, json_view_of(ref), e);
    }
    r->job = job; /* a long conversation is not read twice */
    return result;
}

int run_start(struct run **out, const struct run_conf *conf, int payload, struct err *e)
{
    struct run *r = NULL;
    struct err why = ERR_INIT;
    int result;

    if ((result = mem_new(&r, sizeof(*r), e)) < 0) {
        fd_close(&payload);
        return result;
    }
    r->conf = *conf;
    r->payload = payload;
    r->conf.persona = VIEW_EMPTY;
    if (conf->persona.n && !(r->persona = mem_dup(conf->persona.p, conf->persona.n))) {
        fd_close(&r->payload);
        mem_free(r);
        return err_set(e, ERR_NOMEM, "job: no memory");
    }
    r->models = models_ref(conf->models);
    r->turn = (struct loop_task){.run = on_turn, .ctx = r};
    r->route.patience = *models_patience(r->models);
    r->route.spec = (struct model_spec){.provider = VIEW_EMPTY, .id = VIEW_EMPTY};
    loop_timer_init(&r->limit, conf->loop, on_limit, r);
    loop_timer_init(&r->wait, conf->loop, on_wait, r);
    reply_init(&r->reply);
    sse_init(&r->sse, on_event, r);
    buf_init(&r->demo, DEMO_TEXT_MAX);
    buf_init(&r->error, (size_t)ERROR_MAX * 8);
    buf_init(&r->usage, STATUS_MAX);
    buf_init(&r->calls, CALLS_MAX);
    *out = r;
    loop_timer_set(&r->limit, conf->timeout_ms ? conf->timeout_ms : RUN_TIMEOUT_DEFAULT_MS);
    if (read_candidates(r, &why) == 0) {
        ask(r);
        return 0;
    }
    fail_set(&r->broke, FAIL_FORMAT, "%s", why.text);
    r->ended = true;
    loop_defer(conf->loop, &r->turn, LOOP_COMMIT);
    return 0;
}

void run_free(struct run **rp)
{
    struct run *r = TAKE(*rp);

    if (!r)
        return;
    quiet(r);
    loop_timer_fini(&r->limit);
    loop_timer_fini(&r->wait);
    reply_fini(&r->reply);
    buf_fini(&r->error);
    buf_fini(&r->usage);
    buf_fini(&r->calls);
    for (unsigned i = 0; i < r->candidates; i++)
        mem_free(r->candidate[i]);
    models_unref(&r->models);
    mem_free(r->persona);
    mem_free(r);
}

void run_abort(struct run *r)
{
    if (r->outcome != TURN_RUNNING)
        return;
    tell(r);
    end(r, TURN_ABORTED);
}

uint64_t run_job(const struct run *r)
{
    return r->conf.job_id;
}

uint32_t run_attempt(const struct run *r)
{
    return r->conf.attempt;
}

const char *run_name(const struct run *r)
{
    return r->name;
}

bool run_is_over(const struct run *r)
{
    return r->outcome != TURN_RUNNING;
}

const char *run_last_failure(const struct run *r)
{
    return fail_reason_name(r->last.reason);
}

struct view run_text(const struct run *r)
{
    return buf_view(&r->reply.text);
}

void run_result(const struct run *r, struct run_result *out)
{
    static const char *const stops[] = {
        [TURN_RUNNING] = "",        [TURN_OK] = "",
        [TURN_ERROR] = "error",     [TURN_ABORTED] = "aborted",
        [TURN_TIMEOUT] = "timeout",
    };
    bool bad = r->outcome == TURN_ERROR || r->outcome == TURN_TIMEOUT;

    *out = (struct run_result){
        .outcome = r->outcome,
        .provider = r->route.spec.provider,
        .model = r->route.spec.id,
        .text = run_text(r),
        .stop_reason = r->outcome == TURN_OK ? reply_stop_name(r->reply.stop) : stops[r->outcome],
        .error_kind = bad ? fail_kind(r->last.reason) : "",
        .error = bad ? cut(buf_view(&r->error), ERROR_MAX) : VIEW_EMPTY,
        .http_status = bad ? r->last.status : 0,
        .usage = buf_view(&r->usage),
        .calls = r->calls.failed ? VIEW_EMPTY : buf_view(&r->calls),
    };
}
