/*
 * workers/hub/run.c - a turn: accepted, under way, found again by a new hub. What agents say about
 * it is run_heard.c, how it ends run_end.c, what comes after run_turn.c.
 */
#include "run.h"

#include "chat.h"
#include "clock.h"
#include "compact.h"
#include "deliveries.h"
#include "jscan.h"
#include "json.h"
#include "log.h"
#include "rand.h"
#include "tool_turn.h"

#include <openssl/sha.h>
#include <stdio.h>

enum {
    PRUNE_MS = 60 * 1000, /* finished rows and deleted messages are given back in small steps */
    PRUNE_ROWS = 2000,
    RUNS_KEPT_MS = 48 * 3600 * 1000, /* chaos.md I3 asks for 24 h or 100,000 ids */
    RUNS_KEPT = 100000,
};

/* ---- rows ---- */

static void write_params(const struct run *r, struct buf *out)
{
    struct jw w = JW_INIT(out);

    jw_obj(&w);
    jw_kcstr(&w, "msg", r->message_id);
    jw_kcstr(&w, "mode", queue_mode_name(r->q.mode));
    jw_ku64(&w, "timeoutMs", r->timeout_ms);
    if (r->phase == RUN_WAITS)
        jw_kbool(&w, "waits", true);
    if (r->phase == RUN_WAITS && r->pause_ms)
        jw_ku64(&w, "pause", r->pause_ms);
    if (r->lane[0])
        jw_kcstr(&w, "lane", r->lane);
    if (r->route[0])
        jw_kbool(&w, "inbound", true);
    if (r->gather)
        jw_kbool(&w, "gather", true);
    if (r->rank)
        jw_ku64(&w, "rank", r->rank);
    if (r->carry) {
        jw_kcstr(&w, "carry", r->carry);
        jw_ku64(&w, "carried", r->carried);
    }
    if (r->context)
        jw_kcstr(&w, "context", r->context);
    if (r->announced_end)
        jw_kbool(&w, "final", true);
    if (r->quiet)
        jw_ku64(&w, "quiet", r->quiet);
    if (strcmp(r->row_id, r->run_id) != 0)
        jw_kcstr(&w, "of", r->run_id);
    if (r->rounds)
        jw_ku64(&w, "rounds", r->rounds);
    if (r->calls)
        jw_kcstr(&w, "calls", r->calls);
    if (r->trace[0])
        jw_kcstr(&w, "trace", r->trace);
    if (r->trust)
        jw_ku64(&w, "trust", r->trust);
    if (r->hops)
        jw_ku64(&w, "hops", r->hops);
    if (r->device[0])
        jw_kcstr(&w, "device", r->device);
    jw_kcstr(&w, "owner", r->owner);
    if (r->options[0])
        jw_kcstr(&w, "options", r->options);
    if (r->text)
        jw_kcstr(&w, "text", r->text);
    if (r->files)
        jw_kcstr(&w, "files", r->files);
    jw_obj_end(&w);
}

static int save_row(struct run *r, const char *row_id, enum run_state state, struct view summary,
                    struct err *e)
{
    struct buf params = BUF_INIT(32 * MIB);
    struct store_rec rec = {.type = REC_run_put};
    int rc = 0;

    if (state == RUN_QUEUED) {
        write_params(r, &params);
        rc = buf_check(&params, e);
    }
    rec.run_put = (struct rec_run_put){
        .run_id = view_str(row_id),
        .sid = r->live->s.sid,
        .session_key = view_str(r->live->s.key),
        .state = (uint8_t)state,
        .attempt = r->attempt,
        .created_at = r->accepted_ms,
        .updated_at = clock_wall_ms(),
        .digest = view_str(r->digest),
        .summary = summary,
        .params = buf_view(&params),
    };
    if (rc == 0 && (rc = hub_put(r->hub, &rec, e)) == 0 && state == RUN_QUEUED &&
        rec.run_put.job_id != r->job_id)
        run_set_job(r, rec.run_put.job_id);
    buf_fini(&params);
    return rc;
}

int run_save(struct run *r, enum run_state state, struct view summary, struct err *e)
{
    int rc = save_row(r, r->row_id, state, summary, e);

    /* a run that went on after a steered message ends under its own name, too */
    if (rc == 0 && state != RUN_QUEUED && strcmp(r->row_id, r->run_id) != 0)
        rc = save_row(r, r->run_id, state, summary, e);
    return rc;
}

/* What is told before a message, as a message of its own: tag keeps its id apart from all others,
 * and the same after a restart. */
static int consume_before(struct run *r, char tag, struct view text, int64_t now, struct err *e)
{
    struct buf b = BUF_INIT(1024 * KIB);
    char own[sizeof(r->message_id)], *files = TAKE(r->files);
    uint64_t seq;
    int rc;

    memcpy(own, r->message_id, sizeof(own));
    r->message_id[0] = tag; /* no hexadecimal digit */
    chat_msg_user(&b, r, view_trim(text), now);
    r->files = files;
    if ((rc = buf_check(&b, e)) == 0)
        rc = chat_msg_add(r->hub, r->live, r->message_id, MESSAGE_USER, view_str(r->run_id),
                          buf_view(&b), now, &seq, e);
    memcpy(r->message_id, own, sizeof(own));
    buf_fini(&b);
    return rc == ERR_CONFLICT ? 0 : rc;
}

int run_row_over(struct run *r, struct err *e)
{
    struct buf summary = BUF_INIT(60000);
    int rc;

    run_summary(r, &summary);
    rc = save_row(r, r->row_id, RUN_DONE, buf_view(&summary), e);
    buf_fini(&summary);
    return rc;
}

/* Messages that were dropped before this one. */
static int consume_carry(struct run *r, int64_t now, struct err *e)
{
    struct buf text = BUF_INIT(128 * KIB);
    int rc;

    buf_printf(&text, "[%u earlier message%s left out: too many waited. In short:]\n%s", r->carried,
               r->carried == 1 ? " was" : "s were", r->carry);
    if ((rc = buf_check(&text, e)) == 0)
        rc = consume_before(r, 'x', buf_view(&text), now, e);
    buf_fini(&text);
    return rc;
}

int run_consume(struct run *r, struct view message, struct err *e)
{
    struct buf b = BUF_INIT(32 * MIB);
    int64_t now = clock_wall_ms();
    uint64_t seq;
    int rc;

    if (r->carry && (rc = consume_carry(r, now, e)) < 0)
        return rc;
    if (r->context && (rc = consume_before(r, 'y', view_str(r->context), now, e)) < 0)
        return rc;
    chat_msg_user(&b, r, message, now);
    if ((rc = buf_check(&b, e)) == 0)
        rc = chat_msg_add(r->hub, r->live, r->message_id, MESSAGE_USER, view_str(r->run_id),
                          buf_view(&b), now, &seq, e);
    if (rc == ERR_CONFLICT)
        rc = 0; /* it is there since an attempt that the store did not take whole */
    buf_fini(&b);
    return rc;
}

void run_show_message(struct run *r)
{
    struct rec_message_add m;
    struct err e = ERR_INIT;

    if (event_session_wanted(r->hub, view_str(r->live->s.key)) &&
        store_message_by_id(r->hub->store, view_str(r->message_id), &m, &e) == 0)
        chat_message(r->hub, r->live, r->message_id, m.seq, m.text);
}

void live_title(struct live *l, struct view message)
{
    struct buf quoted = BUF_INIT(8 * KIB), title = BUF_INIT(256);
    struct jw w = JW_INIT(&quoted);
    struct err e = ERR_INIT;

    if (strstr(l->s.rest, "\"displayName\""))
        return;
    jw_str(&w,
           view_of(message.p, chat_whole(view_of(message.p, message.n < 400 ? message.n : 400))));
    chat_msg_text(buf_view(&quoted), 60, true, &title);
    if (title.n) {
        char *first = title.p + title.off;

        if (*first >= 'a' && *first <= 'z')
            *first = (char)(*first - ('a' - 'A'));
        if (session_rest_set_str(&l->s, "displayName", buf_view(&title), &e) < 0)
            log_warn("session.title", KV("why", e.text)); /* a title is not worth the message */
    }
    buf_fini(&quoted);
    buf_fini(&title);
}

/* The session's row says that this run is under way. */
static int save_running(struct run *r, struct err *e)
{
    struct session *s = &r->live->s;
    char *id;

    if (!(id = mem_dup(r->run_id, strlen(r->run_id))))
        return err_set(e, ERR_NOMEM, "run: out of memory");
    mem_free(s->last_run_id);
    s->last_run_id = id;
    s->updated_at = s->interaction_at = clock_wall_ms();
    s->started_at = s->updated_at;
    s->ended_at = 0;
    s->status = SESSION_RUNNING;
    s->flags = (s->flags | SESSION_SYSTEM_SENT) & ~(uint32_t)SESSION_ABORTED_LAST_RUN;
    return session_save(r->hub, s, e);
}

int run_accept(struct run *r, struct view message, struct err *e)
{
    struct store_rec undo = {.type = REC_run_del};
    struct err ignored = ERR_INIT;
    enum run_phase was = r->phase;
    int rc;

    if (message.n)
        live_title(r->live, message);
    r->phase = RUN_SENT;
    if ((rc = save_running(r, e)) < 0 || (rc = run_save(r, RUN_QUEUED, VIEW_EMPTY, e)) < 0)
        goto out;
    if ((message.n || r->files) && (rc = run_consume(r, message, e)) < 0) {
        undo.run_del.run_id = view_str(r->row_id);
        if (hub_put(r->hub, &undo, &ignored) < 0)
            log_error("run.undo", KV("why", ignored.text));
        goto out;
    }
    r->live->active = r;
    r->hub->runs->active++;
    return 0;
out:
    r->phase = was;
    return rc;
}

int run_accept_waiting(struct run *r, struct view message, struct err *e)
{
    int rc;

    if (r->live->s.sid == 0 && (rc = session_save(r->hub, &r->live->s, e)) < 0)
        return rc;
    if (!(r->text = mem_dup(message.p, message.n)))
        return err_set(e, ERR_NOMEM, "run: out of memory");
    r->phase = RUN_WAITS;
    if ((rc = run_save(r, RUN_QUEUED, VIEW_EMPTY, e)) == 0)
        live_push(r->live, r);
    return rc;
}

int live_take(struct live *l, struct run *r, struct view message, enum taken *out,
              bool *interrupted, struct err *e)
{
    bool own_answer = r->q.mode == QUEUE_FOLLOWUP || r->q.mode == QUEUE_COLLECT;
    int rc;

    *interrupted = false;
    if (l->active && r->q.mode == QUEUE_INTERRUPT && l->active->phase != RUN_ENDING) {
        l->hold = true; /* this message is next; what waits goes with it, so that the order stays */
        run_abort(l->active, "aborted");
        rc = l->active ? 0 : live_merge(l, r, e);
        l->hold = false;
        if (rc < 0)
            return rc;
        *interrupted = true;
    }
    r->gather = r->gather && !l->active; /* while it is busy the queue's mode decides */
    if (!l->active && !l->waiting && !r->gather) {
        *out = TAKEN_NOW;
        return run_accept(r, message, e);
    }
    if ((rc = queue_room(l, r, e)) < 0)
        return rc;
    if (rc == 1) {
        *out = TAKEN_DROPPED;
        return queue_drop_run(r, message, e);
    }
    *out = TAKEN_WAITING;
    if (!r->gather)
        r->pause_ms = own_answer ? r->q.debounce_ms : 0;
    return run_accept_waiting(r, message, e);
}

/* ---- under way ---- */

static void on_limit(void *ctx)
{
    struct run *r = ctx;
    char text[128];

    (void)snprintf(text, sizeof(text), "The run did not end within %u seconds.",
                   r->timeout_ms / 1000);
    log_warn("run.timeout", KV("run", r->run_id), KV("job", r->job_id));
    r->result.end = END_TIMEOUT;
    (void)snprintf(r->result.stop_reason, sizeof(r->result.stop_reason), "timeout");
    mem_free(r->result.error);
    r->result.error = mem_dup(text, strlen(text));
    job_cancel(r);
    run_finish(r);
}

void run_limit(struct run *r)
{
    if (!r->limit.loop)
        loop_timer_init(&r->limit, r->hub->w.loop, on_limit, r);
    loop_timer_set(&r->limit, (uint64_t)run_left_ms(r) + TIMEOUT_GRACE_MS);
}

uint32_t run_left_ms(const struct run *r)
{
    int64_t took = r->rounds && r->started_ms ? clock_wall_ms() - r->started_ms : 0;

    return took <= 0                     ? r->timeout_ms
           : took + 1000 < r->timeout_ms ? r->timeout_ms - (uint32_t)took
                                         : 1000;
}

void run_traced(struct run *r, struct view trace)
{
    trace = trace_read(trace);
    if (trace.n)
        memcpy(r->trace, trace.p, trace.n);
    r->trace[trace.n] = '\0';
}

void run_trace(const struct run *r, char out[TRACE_LEN + 1])
{
    unsigned char md[SHA256_DIGEST_LENGTH];
    uint64_t span;

    (void)SHA256((const unsigned char *)r->run_id, strlen(r->run_id), md);
    memcpy(&span, md + 16, sizeof(span));
    span ^= r->job_id << 8 | r->attempt;
    trace_child(view_str(r->trace), md, span ? span : 1, out);
}

static void log_start(const struct run *r)
{
    char trace[TRACE_LEN + 1];

    if (log_level() > LOG_DEBUG)
        return;
    run_trace(r, trace);
    log_debug("run.start", KV("run", r->run_id), KV("job", r->job_id),
              KV("session", r->live->s.key), KV("part", r->segment),
              KV("trace", trace_id(view_str(trace))));
}

void run_start(struct run *r)
{
    log_start(r);
    if (!r->ids)
        chat_ids(r);
    if (r->quiet != QUIET_ALL && r->segment == 0) {
        chat_status(r, "preparing_workspace");
        chat_status(r, "preparing_context");
    }
    if (r->segment == 0)
        run_show_message(r);
    run_limit(r);
    r->restored = false;
    job_submit(r);
}

void run_resume(struct run *r)
{
    if (r->phase == RUN_TOOLS && r->restored) {
        r->restored = false;
        run_limit(r);
        tool_turn_resume(r);
        return;
    }
    if (r->phase != RUN_SENT || !r->restored)
        return; /* its agent spoke already, or it is with the lanes since we took it up */
    r->restored = false;
    r->resubmitted = true;
    run_limit(r);
    job_submit(r);
}

void run_started(struct run *r)
{
    r->phase = RUN_STARTED;
    if (!r->started_ms)
        r->started_ms = clock_wall_ms();
    run_limit(r); /* waiting for a lane does not count */
}

/* ---- start and stop of the hub ---- */

static int on_open_run(void *ctx, const struct rec_run_put *row)
{
    return run_restore(ctx, row);
}

static void on_prune(void *ctx)
{
    struct hub *h = ctx;
    struct err e = ERR_INIT;
    size_t dropped = 0;
    bool left = false;

    if (store_usable(h->store) && (store_runs_prune(h->store, clock_wall_ms() - RUNS_KEPT_MS,
                                                    RUNS_KEPT, PRUNE_ROWS, &dropped, &e) < 0 ||
                                   store_sweep(h->store, PRUNE_ROWS, &left, &e) < 0))
        log_warn("store.prune", KV("why", e.text));
    if (dropped || left)
        hub_changed(h);
    loop_timer_set(&h->runs->prune, left || dropped == PRUNE_ROWS ? PRUNE_MS / 60 : PRUNE_MS);
}

static void on_idle(void *ctx)
{
    struct runs *rs = ctx;

    if (rs->active == 0 && rs->on_idle)
        rs->on_idle(rs->hub);
}

int runs_open(struct hub *h, struct err *e)
{
    struct runs *rs;
    int rc;

    if ((rc = mem_new(&rs, sizeof(*rs), e)) < 0)
        return rc;
    h->runs = rs;
    rs->hub = h;
    rs->idle_task = (struct loop_task){.run = on_idle, .ctx = rs};
    jstr_key_init(&rs->hash);
    if ((rc = run_table_init(rs, e)) < 0 || (rc = prompts_new(&rs->prompts, e)) < 0)
        return rc;
    runs_config(h);
    loop_timer_init(&rs->prune, h->w.loop, on_prune, h);
    loop_timer_set(&rs->prune, PRUNE_MS);
    if ((rc = store_runs_open(h->store, 0, on_open_run, h, e)) < 0)
        return rc;
    runs_back_open(h);
    return 0;
}

void runs_close(struct hub *h)
{
    struct runs *rs = h->runs;

    if (!rs)
        return;
    rs->on_idle = NULL;
    waiters_free(rs);
    compacts_close(h);
    run_table_fini(rs);
    prompts_free(&rs->prompts);
    if (rs->prune.loop)
        loop_timer_fini(&rs->prune);
    runs_back_close(h);
    if (h->w.loop)
        loop_undefer(h->w.loop, &rs->idle_task);
    mem_free(rs);
    h->runs = NULL;
}

void runs_config(struct hub *h)
{
    struct chat_conf *c = &h->runs->conf;
    json_t *seconds = json_at(h->w.conf, "agents.defaults.timeoutSeconds");
    struct view key = json_view_of(json_at(h->w.conf, "session.mainKey"));
    enum queue_mode mode = QUEUE_STEER;
    int64_t s = json_is_integer(seconds) ? json_integer_value(seconds) : 600;

    c->row_model_n = 0;
    (void)queue_mode_read(json_view_of(json_at(h->w.conf, "messages.queue.mode")), &mode);
    c->queue_mode = (int)mode;
    prompt_config(&h->runs->prompt, h->w.conf);
    c->timeout_ms = s > 0 && s <= TIMEOUT_MAX_MS / 1000 ? (uint32_t)s * 1000u : 600 * 1000u;
    run_cut(c->main_key, sizeof(c->main_key), key.n ? key : V("main"));
}

const struct chat_conf *chat_conf(const struct hub *h)
{
    return &h->runs->conf;
}

bool runs_idle(const struct hub *h)
{
    return !h->runs || h->runs->active == 0;
}

unsigned runs_count(const struct hub *h)
{
    return h->runs ? h->runs->count : 0;
}

void runs_drain(struct hub *h, void (*idle)(struct hub *h))
{
    h->runs->on_idle = idle;
    if (h->runs->active == 0)
        loop_defer(h->w.loop, &h->runs->idle_task, LOOP_COMMIT);
}
