/*
 * workers/agent/main.c - runs turns: takes jobs from the supervisor, asks the models, tells the
 * hub. Trusts: supervisor and hub. Holds: the providers' keys, the text of the turns under way,
 * nothing on disk. May: use fd 3, its line to the hub, and outbound TCP. Dies: the supervisor names
 * its jobs to the hub, which hands them out again. A result is kept and told to every new hub until
 * one has acknowledged it.
 */
#include "embed.h"
#include "fd.h"
#include "json.h"
#include "log.h"
#include "mem.h"
#include "pages.h"
#include "persona.h"
#include "run.h"
#include "tools.h"
#include "worker.h"

#include <malloc.h>

enum {
    JOBS_MAX = 4096,       /* 4x the most that may run at once: results wait here for the hub */
    DELTA_MAX = 64 * 1024, /* of run_delta */
    IDLE_MS = 3000,        /* without a job: give memory back */
    PERSONA_MAX = 8 << 20, /* what a workspace's files add to a prompt */
};

struct agent;

struct job {
    struct agent *agent;
    struct job *next, **prev;
    struct run *run; /* owned */
    size_t sent;     /* bytes of its text that the present hub was told */
    bool begun, resend;
};

struct agent {
    struct worker w;
    struct link
        *hub; /* the newest line to it, or NULL; the end of an older one may be told later */
    struct models *models;
    struct tools_seen seen;
    struct http *http; /* NULL while only the demo can be asked */
    struct embeds *embeds;
    struct personas personas;
    struct job *jobs;
    unsigned count, running;
    struct loop_timer idle;
    uint16_t ports[PROVIDERS_MAX]; /* to which the sandbox lets us connect */
    unsigned port_count;
    bool caged, outgrown; /* outgrown: the configuration needs what our sandbox has closed */
};

/* ---- what the hub hears ---- */

static void untold(const char *what, const struct job *j, const struct err *e)
{
    log_warn("run.untold", KV("what", what), KV("run", run_name(j->run)),
             KV("job", run_job(j->run)), KV("why", e->text));
}

/* The next piece of at most max bytes, never half a character. */
static size_t piece(struct view rest, size_t max)
{
    size_t n = rest.n;

    if (n > max) {
        n = max;
        while (n && ((unsigned char)rest.p[n] & 0xc0) == 0x80)
            n--;
    }
    return n;
}

static void send_text(struct job *j)
{
    struct link *hub = j->agent->hub;
    struct view text = run_text(j->run);
    struct err e = ERR_INIT;

    while (hub && j->sent < text.n && !ipc_over_high(link_ipc(hub))) {
        struct view rest = view_from(text, j->sent);
        struct ipc_run_delta m = {.job_id = run_job(j->run),
                                  .attempt = run_attempt(j->run),
                                  .text = view_of(rest.p, piece(rest, DELTA_MAX))};

        if (msg_send_run_delta(hub, &m, &e) < 0) {
            untold("delta", j, &e);
            return; /* the rest follows when the line has room, or with the result */
        }
        j->sent += m.text.n;
    }
}

static void send_done(struct job *j)
{
    static const uint8_t outcomes[] = {
        [TURN_RUNNING] = RUN_ERROR, /* not sent while it runs */
        [TURN_OK] = RUN_OK,           [TURN_ERROR] = RUN_ERROR,
        [TURN_ABORTED] = RUN_ABORTED, [TURN_TIMEOUT] = RUN_TIMEOUT,
    };
    struct link *hub = j->agent->hub;
    struct run_result r;
    struct err e = ERR_INIT;

    if (!hub)
        return; /* the next one gets it */
    run_result(j->run, &r);
    if (msg_send_run_done(hub,
                          &(struct ipc_run_done){
                              .job_id = run_job(j->run),
                              .attempt = run_attempt(j->run),
                              .outcome = outcomes[r.outcome],
                              .provider = view_of(r.provider.p, piece(r.provider, 128)),
                              .model = view_of(r.model.p, piece(r.model, 256)),
                              .stop_reason = view_str(r.stop_reason),
                              .error_kind = view_str(r.error_kind),
                              .reason = r.error.n ? view_str(run_last_failure(j->run)) : VIEW_EMPTY,
                              .error = r.error,
                              .http_status = (uint16_t)r.http_status,
                              .usage = r.usage,
                              .text = r.text,
                              .calls = r.calls,
                          },
                          &e) < 0) {
        untold("done", j, &e);
        j->resend = true; /* the queue is full: when it has drained */
    } else {
        j->resend = false;
    }
}

static void on_begin(void *ctx, struct run *r)
{
    struct job *j = ctx;
    struct link *hub = j->agent->hub;
    struct run_result res;
    struct err e = ERR_INIT;

    j->begun = true;
    run_result(r, &res);
    log_debug("run.model", KV("run", run_name(r)), KV("job", run_job(r)),
              KV("provider", res.provider), KV("model", res.model));
    if (!hub)
        return;
    if (msg_send_run_begin(hub,
                           &(struct ipc_run_begin){
                               .job_id = run_job(r),
                               .attempt = run_attempt(r),
                               .provider = view_of(res.provider.p, piece(res.provider, 128)),
                               .model = view_of(res.model.p, piece(res.model, 256)),
                           },
                           &e) < 0)
        untold("begin", j, &e);
}

static void on_status(void *ctx, struct run *r, struct view phase, struct view data)
{
    struct job *j = ctx;
    struct link *hub = j->agent->hub;
    struct err e = ERR_INIT;

    log_info("run.retrying", KV("run", run_name(r)), KV("job", run_job(r)),
             KV("reason", run_last_failure(r)));
    if (hub && msg_send_run_status(hub,
                                   &(struct ipc_run_status){.job_id = run_job(r),
                                                            .attempt = run_attempt(r),
                                                            .phase = phase,
                                                            .data = data},
                                   &e) < 0)
        untold("status", j, &e);
}

static void on_text(void *ctx, struct run *r)
{
    (void)r;
    send_text(ctx);
}

/* The lane is free again: said once for every job that was handed to us. */
static void give_back(struct job *j, uint32_t attempt)
{
    struct link *sup = j->agent->w.sup;
    struct err e = ERR_INIT;

    if (sup &&
        msg_send_job_done(
            sup, &(struct ipc_job_done){.job_id = run_job(j->run), .attempt = attempt}, &e) < 0)
        untold("job_done", j, &e);
}

static void on_done(void *ctx, struct run *r)
{
    static const char *const names[] = {
        [TURN_RUNNING] = "running", [TURN_OK] = "ok",           [TURN_ERROR] = "error",
        [TURN_ABORTED] = "aborted", [TURN_TIMEOUT] = "timeout",
    };
    struct job *j = ctx;
    struct agent *a = j->agent;
    struct run_result res;

    run_result(r, &res);
    if (res.error.n)
        log_warn("run.failed", KV("run", run_name(r)), KV("job", run_job(r)),
                 KV("outcome", names[res.outcome]), KV("reason", run_last_failure(r)),
                 KV("status", res.http_status), KV("provider", res.provider),
                 KV("model", res.model));
    else
        log_debug("run.done", KV("run", run_name(r)), KV("job", run_job(r)),
                  KV("outcome", names[res.outcome]), KV("bytes", res.text.n));
    a->running--;
    send_done(j);
    give_back(j, run_attempt(r));
}

static const struct run_events tells = {
    .on_begin = on_begin, .on_status = on_status, .on_text = on_text, .on_done = on_done};

/* ---- jobs ---- */

static struct job *find(struct agent *a, uint64_t job_id)
{
    for (struct job *j = a->jobs; j; j = j->next)
        if (run_job(j->run) == job_id)
            return j;
    return NULL;
}

static bool is_idle(const struct agent *a)
{
    return a->count == 0 && embeds_under_way(a->embeds) == 0;
}

static void leave_if_asked(struct agent *a)
{
    if (is_idle(a) && (a->w.stopping || a->outgrown))
        worker_leave(&a->w);
}

static void drop(struct job *j)
{
    struct agent *a = j->agent;

    if (!run_is_over(j->run))
        a->running--;
    *j->prev = j->next;
    if (j->next)
        j->next->prev = j->prev;
    a->count--;
    run_free(&j->run);
    mem_free(j);
    if (a->count == 0) {
        loop_timer_set(&a->idle, IDLE_MS);
        leave_if_asked(a);
    }
}

/* Without memory for one more job the others go on; the hub asks again a little later. */
static int refuse(struct agent *a, const struct ipc_job *m, struct err *e)
{
    struct ipc_job_done said = {.job_id = m->job_id, .attempt = m->attempt, .refused = 1};

    if (e->code != ERR_NOMEM || !a->w.sup)
        return e->code;
    log_warn("job.refused", KV("job", m->job_id), KV("jobs", a->count), KV("why", e->text));
    return msg_send_job_done(a->w.sup, &said, e);
}

static int on_persona(void *ctx, struct link *from, struct ipc_persona *m, struct err *e)
{
    (void)from;
    return personas_put(&((struct agent *)ctx)->personas, m->agent, m->files, e);
}

static int on_job(void *ctx, struct link *from, struct ipc_job *m, struct err *e)
{
    struct agent *a = ctx;
    struct job *j = find(a, m->job_id);
    struct run_conf conf = {.loop = a->w.loop,
                            .http = a->http,
                            .models = a->models,
                            .seen = &a->seen,
                            .job_id = m->job_id,
                            .attempt = m->attempt,
                            .timeout_ms = m->timeout_ms,
                            .persona_when = a->personas.when,
                            .on = &tells};
    struct buf persona = BUF_INIT(PERSONA_MAX);
    int started;

    (void)from;
    if (j && run_attempt(j->run) >= m->attempt) {
        /* A new hub asked before it had heard of it. What runs says so at its end. */
        if (run_is_over(j->run) || run_attempt(j->run) > m->attempt)
            give_back(j, m->attempt);
        return 0;
    }
    if (j)
        drop(j); /* an attempt that was given up elsewhere */
    if (a->count >= JOBS_MAX)
        return err_set(e, ERR_LIMIT, "%u jobs", a->count);
    if (mem_new(&j, sizeof(*j), e) < 0)
        return refuse(a, m, e);
    j->agent = a;
    conf.ctx = j;
    persona_text(&a->personas, m->session, m->lane, &persona);
    conf.persona = buf_view(&persona); /* what had no memory is left out */
    a->running++;
    started = run_start(&j->run, &conf, fd_take(&m->payload), e);
    buf_fini(&persona);
    if (started < 0) {
        a->running--;
        mem_free(j);
        return refuse(a, m, e);
    }
    j->next = a->jobs;
    j->prev = &a->jobs;
    if (j->next)
        j->next->prev = &j->next;
    a->jobs = j;
    a->count++;
    loop_timer_clear(&a->idle);
    return 0;
}

static int on_job_abort(void *ctx, struct link *from, struct ipc_job_abort *m, struct err *e)
{
    struct job *j = find(ctx, m->job_id);

    (void)from;
    (void)e;
    if (j)
        run_abort(j->run);
    return 0;
}

static int on_run_ack(void *ctx, struct link *from, struct ipc_run_ack *m, struct err *e)
{
    struct job *j = find(ctx, m->job_id);

    (void)from;
    (void)e;
    if (j && run_attempt(j->run) == m->attempt && run_is_over(j->run))
        drop(j);
    return 0;
}

/* ---- vectors ---- */

static void on_embedded(void *ctx, const struct ipc_embed_done *m)
{
    struct agent *a = ctx;
    struct err e = ERR_INIT;

    if (a->hub && msg_send_embed_done(a->hub, m, &e) < 0)
        log_warn("embed.untold", KV("req", m->req),
                 KV("why", e.text));                       /* the hub's timer ends it */
    if (a->count == 0 && embeds_under_way(a->embeds) == 1) /* this one */
        loop_timer_set(&a->idle, a->w.stopping || a->outgrown ? 1 : IDLE_MS);
}

static int on_embed(void *ctx, struct link *from, struct ipc_embed *m, struct err *e)
{
    struct agent *a = ctx;
    struct err why = ERR_INIT;

    if (from != a->hub)
        return 0;
    if (embeds_ask(a->embeds, a->http, a->models, m, &why) == 0)
        return 0;
    if (why.code != ERR_NOMEM)
        return err_set(e, why.code, "%s", why.text);
    return msg_send_embed_done(from,
                               &(struct ipc_embed_done){.req = m->req,
                                                        .status = 503,
                                                        .error = V("The gateway has no memory for "
                                                                   "it. Try again later.")},
                               e);
}

static int on_embed_cancel(void *ctx, struct link *from, struct ipc_embed_cancel *m, struct err *e)
{
    struct agent *a = ctx;

    (void)e;
    if (from == a->hub)
        embeds_cancel(a->embeds, m->req);
    return 0;
}

/* ---- a new hub, room on the line ---- */

static void resume(struct job *j, struct link *hub)
{
    struct run_result r;
    struct err e = ERR_INIT;

    if (run_is_over(j->run)) {
        send_done(j);
        return;
    }
    if (!j->begun)
        return;
    run_result(j->run, &r);
    j->sent = r.text.n;
    if (msg_send_run_resume(hub,
                            &(struct ipc_run_resume){
                                .job_id = run_job(j->run),
                                .attempt = run_attempt(j->run),
                                .provider = view_of(r.provider.p, piece(r.provider, 128)),
                                .model = view_of(r.model.p, piece(r.model, 256)),
                                .text = r.text,
                            },
                            &e) < 0)
        untold("resume", j, &e);
}

static void on_peer(void *ctx, struct link *l, bool up)
{
    struct agent *a = ctx;

    if (link_peer(l) != ROLE_HUB)
        return;
    if (!up) {
        if (a->hub == l)
            a->hub = NULL;
        return;
    }
    embeds_cancel_all(a->embeds); /* of the one before */
    if (a->hub)
        link_drain(a->hub); /* what a dead one acknowledged last is not told again */
    a->hub = l;
    for (struct job *j = a->jobs; j; j = j->next)
        resume(j, l);
}

static void on_drain(void *ctx, struct link *l)
{
    struct agent *a = ctx;

    if (l != a->hub)
        return;
    for (struct job *j = a->jobs; j; j = j->next) {
        if (!run_is_over(j->run))
            send_text(j);
        else if (j->resend)
            send_done(j);
    }
}

/* ---- configuration, leaving ---- */

/* Documents hold keys until models.c has taken them, and parsing leaves copies behind: what they
 * free is wiped. The hot path makes no documents. */
static void *json_room(size_t n)
{
    return mem_alloc(n);
}

static void json_gone(void *p)
{
    if (p)
        mem_wipe(p, malloc_usable_size(p));
    mem_free(p);
}

/* Whether our sandbox lets us ask every model of the table. */
static bool within_reach(const struct agent *a, const struct models *m)
{
    uint16_t ports[PROVIDERS_MAX];
    unsigned n = models_ports(m, ports);

    if (n && !a->http)
        return false; /* libcurl can no longer be loaded */
    for (unsigned i = 0; i < n; i++) {
        bool open = false;

        for (unsigned k = 0; k < a->port_count && !open; k++)
            open = a->ports[k] == ports[i];
        if (!open)
            return false;
    }
    return true;
}

/* libcurl comes in only for models on the network, and before the sandbox closes. A sandbox does
 * not widen: an agent that needs more leaves when it is idle, and a new one takes its place. */
static int take_config(struct agent *a, json_t *conf, struct err *e)
{
    struct models *m = NULL;
    int r;

    if ((r = models_new(&m, conf, e)) < 0)
        return r;
    if (a->caged && !within_reach(a, m)) {
        a->outgrown = true;
        models_unref(&m); /* the runs under way keep what they began with */
        return 0;
    }
    if (!a->caged) {
        a->port_count = models_ports(m, a->ports);
        if (models_need_network(m) && (r = http_new(&a->http, a->w.loop, e)) < 0) {
            models_unref(&m);
            return r;
        }
    }
    models_unref(&a->models);
    a->models = m;
    personas_config(&a->personas, conf);
    return 0;
}

static int on_config(void *ctx, json_t *conf, struct err *e)
{
    struct agent *a = ctx;
    int r = take_config(a, conf, e);

    if (r == 0 && a->outgrown) {
        log_info("agent.outgrown", KV("jobs", a->count));
        if (is_idle(a))
            worker_leave(&a->w);
    }
    return r;
}

static void on_stop(void *ctx, uint32_t grace_ms)
{
    struct agent *a = ctx;

    (void)grace_ms; /* the worker's own timer ends it */
    if (is_idle(a))
        worker_leave(&a->w);
}

static void on_idle(void *ctx)
{
    struct agent *a = ctx;

    if (a->http)
        http_trim(a->http);
    pages_release();
    leave_if_asked(a);
}

static const struct ipc_handlers agent_on = {.job = on_job,
                                             .persona = on_persona,
                                             .job_abort = on_job_abort,
                                             .run_ack = on_run_ack,
                                             .embed = on_embed,
                                             .embed_cancel = on_embed_cancel};

int main(void)
{
    struct agent a = {.w = WORKER_INIT(AGENT)};
    struct sandbox cage;
    struct err e = ERR_INIT;

    a.w.on_config = on_config;
    a.w.on_peer = on_peer;
    a.w.on_drain = on_drain;
    a.w.on_stop = on_stop;
    tools_seen_init(&a.seen);
    json_set_alloc_funcs(json_room, json_gone);
    (void)mallopt(M_ARENA_MAX, 1); /* libcurl's resolver threads need no heaps of their own */
    if (worker_open(&a.w, &agent_on, &e) < 0 || worker_recv_config(&a.w, &e) < 0 ||
        take_config(&a, a.w.conf, &e) < 0 ||
        embeds_new(&a.embeds, a.w.loop, on_embedded, &a, &e) < 0)
        goto out;
    cage = (struct sandbox){.allow = SB_CONNECT, .ports = a.ports, .port_count = a.port_count};
    a.caged = true;
    if (worker_sandbox(&a.w, &cage, &e) < 0)
        goto out;
    loop_timer_init(&a.idle, a.w.loop, on_idle, &a);
    loop_timer_set(&a.idle, IDLE_MS);
    if (worker_ready(&a.w, &e) < 0 || worker_run(&a.w, &e) < 0)
        goto out;
out:
    if (e.code)
        worker_fail(&a.w, &e);
    while (a.jobs)
        drop(a.jobs);
    embeds_free(&a.embeds);
    loop_timer_fini(&a.idle);
    http_free(&a.http);
    models_unref(&a.models);
    personas_fini(&a.personas);
    tools_seen_fini(&a.seen);
    worker_fini(&a.w);
    return a.w.exit_code;
}
