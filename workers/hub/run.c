/*
 * workers/hub/run.c - a turn from acceptance to its end, and the news that agents send about it.
 * What comes after an end is run_turn.c.
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

#include <stdio.h>

enum {
    STORE_RETRY_MS = 500, /* the store has no room: its answer is kept until it has */
    PRUNE_MS = 60 * 1000, /* finished rows and deleted messages are given back in small steps */
    PRUNE_ROWS = 2000,
    RUNS_KEPT_MS = 48 * 3600 * 1000, /* chaos.md I3 asks for 24 h or 100,000 ids */
    RUNS_KEPT = 100000,
};

static const char *const mode_names[] = {"steer", "followup", "collect", "interrupt"};

/* ---- rows ---- */

static void write_params(const struct run *r, struct buf *out)
{
    struct jw w = JW_INIT(out);

    jw_obj(&w);
    jw_kcstr(&w, "msg", r->message_id);
    jw_kcstr(&w, "mode", mode_names[r->mode]);
    jw_ku64(&w, "timeoutMs", r->timeout_ms);
    if (r->phase == RUN_WAITS)
        jw_kbool(&w, "waits", true);
    if (r->announced_end)
        jw_kbool(&w, "final", true);
    if (r->quiet)
        jw_ku64(&w, "quiet", r->quiet);
    if (strcmp(r->row_id, r->run_id) != 0)
        jw_kcstr(&w, "of", r->run_id);
    if (r->device[0])
        jw_kcstr(&w, "device", r->device);
    jw_kcstr(&w, "owner", r->owner);
    if (r->options[0])
        jw_kcstr(&w, "options", r->options);
    if (r->text)
        jw_kcstr(&w, "text", r->text);
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

int run_consume(struct run *r, struct view message, struct err *e)
{
    struct buf b = BUF_INIT(32 * MIB);
    int64_t now = clock_wall_ms();
    uint64_t seq;
    int rc;

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
    if (message.n && (rc = run_consume(r, message, e)) < 0) {
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

    if (!(r->text = mem_dup(message.p, message.n)))
        return err_set(e, ERR_NOMEM, "run: out of memory");
    r->phase = RUN_WAITS;
    if ((rc = run_save(r, RUN_QUEUED, VIEW_EMPTY, e)) == 0)
        live_push(r->live, r);
    return rc;
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

static void set_limit(struct run *r)
{
    if (!r->limit.loop)
        loop_timer_init(&r->limit, r->hub->w.loop, on_limit, r);
    loop_timer_set(&r->limit, (uint64_t)r->timeout_ms + TIMEOUT_GRACE_MS);
}

void run_start(struct run *r)
{
    if (!r->ids)
        chat_ids(r);
    if (r->quiet != QUIET_ALL && r->segment == 0) {
        chat_status(r, "preparing_workspace");
        chat_status(r, "preparing_context");
    }
    if (r->segment == 0)
        run_show_message(r);
    set_limit(r);
    r->restored = false;
    job_submit(r);
}

void run_resume(struct run *r)
{
    if (r->phase != RUN_SENT || !r->restored)
        return; /* its agent spoke already, or it is with the lanes since we took it up */
    r->restored = false;
    r->resubmitted = true;
    set_limit(r);
    job_submit(r);
}

void run_started(struct run *r)
{
    r->phase = RUN_STARTED;
    if (!r->started_ms)
        r->started_ms = clock_wall_ms();
    set_limit(r); /* waiting for a lane does not count */
}

void run_text_reset(struct run *r)
{
    buf_cut(&r->said, r->said_seg);
    if (r->shown.n > r->shown_seg) {
        r->replace = true;
        buf_cut(&r->shown, r->shown_seg);
    }
    r->shown_raw = r->said_seg;
    r->shown_agent = r->shown_chat = r->shown_seg;
}

/* The text of this row's part is now `text`: added to when that is enough, else replaced. */
static void text_is(struct run *r, struct view text)
{
    struct view have = view_from(buf_view(&r->said), r->said_seg);

    if (!r->said.failed && view_starts(text, have)) {
        buf_put_view(&r->said, view_from(text, have.n));
    } else {
        run_text_reset(r);
        buf_put_view(&r->said, text);
    }
    if (r->said.failed) { /* earlier parts and this one do not fit together */
        buf_reset(&r->said, 0);
        buf_reset(&r->shown, 0);
        r->said_seg = r->shown_seg = r->shown_raw = r->shown_agent = r->shown_chat = 0;
        r->replace = true;
        buf_put_view(&r->said, text);
    }
}

static void cut(char *out, size_t max, struct view v)
{
    (void)snprintf(out, max, "%.*s", (int)(v.n < max ? v.n : max - 1), v.p);
}

/* The run an agent speaks of, or NULL: over, or another attempt's. */
static struct run *fresh(struct hub *h, uint64_t job_id, uint32_t attempt)
{
    struct run *r = run_find_job(h, job_id);

    return r && r->attempt == attempt && (r->phase == RUN_SENT || r->phase == RUN_STARTED) ? r
                                                                                           : NULL;
}

static struct run *speaks(struct hub *h, uint64_t job_id, uint32_t attempt)
{
    struct run *r = fresh(h, job_id, attempt);

    if (r && r->phase == RUN_SENT)
        run_started(r); /* its agent is faster than the supervisor's word */
    return r;
}

static void model_is(struct run *r, struct view provider, struct view model)
{
    if (r->began && view_eq(view_str(r->provider), provider) && view_eq(view_str(r->model), model))
        return;
    cut(r->provider, sizeof(r->provider), provider);
    cut(r->model, sizeof(r->model), model);
    chat_begin(r);
    chat_model(r);
}

int run_on_begin(struct hub *h, struct link *from, struct ipc_run_begin *m, struct err *e)
{
    struct run *r = speaks(h, m->job_id, m->attempt);

    (void)from;
    (void)e;
    if (r)
        model_is(r, m->provider, m->model);
    return 0;
}

int run_on_status(struct hub *h, struct link *from, struct ipc_run_status *m, struct err *e)
{
    struct run *r = speaks(h, m->job_id, m->attempt);
    struct err bad = ERR_INIT;
    struct jscan js;

    (void)from;
    (void)e;
    if (!r)
        return 0;
    if (m->data.n == 0 || jscan(m->data, &js, &bad) < 0 || js.type != JSCAN_OBJECT) {
        if (view_eq(m->phase, V("starting_model")) || view_eq(m->phase, V("preparing_context")))
            chat_status(r, view_eq(m->phase, V("starting_model")) ? "starting_model"
                                                                  : "preparing_context");
        return 0;
    }
    chat_agent_event(r, "run_status", m->data);
    return 0;
}

int run_on_delta(struct hub *h, struct link *from, struct ipc_run_delta *m, struct err *e)
{
    struct run *r = speaks(h, m->job_id, m->attempt);

    (void)from;
    (void)e;
    if (!r)
        return 0;
    buf_put_view(&r->said, m->text);
    if (r->said.failed) {
        job_cancel(r);
        run_fail(r, "unknown", "The answer is longer than 4 MiB.");
        return 0;
    }
    chat_text(r);
    return 0;
}

int run_on_resume(struct hub *h, struct link *from, struct ipc_run_resume *m, struct err *e)
{
    struct run *r = speaks(h, m->job_id, m->attempt);

    (void)from;
    (void)e;
    if (!r)
        return 0;
    r->began = true; /* clients saw that from the hub before us */
    model_is(r, m->provider, m->model);
    /* what clients saw of it before we were here is unknown to us */
    if (r->shown.n == r->shown_seg)
        r->replace = true;
    text_is(r, m->text);
    chat_text(r);
    return 0;
}

static void ack(struct link *to, uint64_t job_id, uint32_t attempt)
{
    struct err e = ERR_INIT;

    if (to &&
        msg_send_run_ack(to, &(struct ipc_run_ack){.job_id = job_id, .attempt = attempt}, &e) < 0)
        log_warn("run.ack", KV("job", job_id),
                 KV("why", e.text)); /* the agent sends it again to the next hub */
}

static struct link *agent_link(struct hub *h, unsigned instance)
{
    for (unsigned i = 0; i < h->w.peer_count; i++)
        if (link_peer(h->w.peers[i]) == ROLE_AGENT && link_instance(h->w.peers[i]) == instance)
            return h->w.peers[i];
    return NULL;
}

static const char *error_kind(struct view kind)
{
    static const char *const known[] = {"refusal", "timeout", "rate_limit", "context_length"};

    for (size_t i = 0; i < COUNT_OF(known); i++)
        if (view_eq(kind, view_str(known[i])))
            return known[i];
    return "unknown";
}

void run_take_result(struct run *r, const struct ipc_run_done *m)
{
    r->result.http_status = m->http_status;
    r->result.end = m->outcome == RUN_OK        ? END_OK
                    : m->outcome == RUN_ABORTED ? END_ABORTED
                    : m->outcome == RUN_TIMEOUT ? END_TIMEOUT
                                                : END_ERROR;
    if (r->result.end == END_OK || m->text.n)
        text_is(r, m->text);
    if (m->stop_reason.n)
        cut(r->result.stop_reason, sizeof(r->result.stop_reason), m->stop_reason);
    else
        (void)snprintf(r->result.stop_reason, sizeof(r->result.stop_reason), "%s",
                       r->result.end == END_OK        ? "stop"
                       : r->result.end == END_TIMEOUT ? "timeout"
                       : r->result.end == END_ABORTED ? "aborted"
                                                      : "error");
    (void)snprintf(r->result.error_kind, sizeof(r->result.error_kind), "%s",
                   error_kind(m->error_kind));
    cut(r->result.reason, sizeof(r->result.reason), m->reason);
    if (m->error.n && !r->result.error)
        r->result.error = mem_dup(m->error.p, m->error.n);
    if (m->usage.n && !r->result.usage)
        r->result.usage = mem_dup(m->usage.p, m->usage.n);
}

int run_on_done(struct hub *h, struct link *from, struct ipc_run_done *m, struct err *e)
{
    struct run *r = speaks(h, m->job_id, m->attempt);

    (void)e;
    if (!r) {
        r = run_find_job(h, m->job_id);
        if (r && r->phase == RUN_ENDING && r->attempt == m->attempt) {
            r->result.agent = link_instance(from); /* acked when the store has it */
            r->result.ack = true;
            return 0;
        }
        if (!r && !compact_on_done(h, m))
            run_unheard(h, m);
        ack(from, m->job_id, m->attempt); /* over already: no second effect */
        return 0;
    }
    if (m->provider.n)
        model_is(r, m->provider, m->model);
    if (compact_overflow(r, m)) {
        ack(from, m->job_id, m->attempt);
        return 0;
    }
    r->result.agent = link_instance(from);
    r->result.ack = true;
    run_take_result(r, m);
    if (r->resubmitted)
        job_cancel(r); /* it may wait in a lane for the second time */
    run_finish(r);
    return 0;
}

/* ---- the end ---- */

static void on_again(void *ctx)
{
    run_finish(ctx);
}

void run_fail(struct run *r, const char *kind, const char *text)
{
    r->result.end = END_ERROR;
    (void)snprintf(r->result.stop_reason, sizeof(r->result.stop_reason), "error");
    (void)snprintf(r->result.error_kind, sizeof(r->result.error_kind), "%s", kind);
    mem_free(r->result.error);
    r->result.error = mem_dup(text, strlen(text));
    run_finish(r);
}

/* Token counts of the result into the session's row. */
static void count_usage(struct run *r)
{
    struct session *s = &r->live->s;
    struct err e = ERR_INIT;
    json_t *doc = NULL;
    int64_t in, out;

    if (!r->result.usage || json_parse(view_str(r->result.usage), &doc, &e) < 0)
        return;
    in = json_i64(doc, "input", 0) + json_i64(doc, "cacheRead", 0) + json_i64(doc, "cacheWrite", 0);
    out = json_i64(doc, "output", 0);
    s->input_tokens += in > 0 ? (uint64_t)in : 0;
    s->output_tokens += out > 0 ? (uint64_t)out : 0;
    s->total_tokens = in > 0 ? (uint64_t)in : s->total_tokens;
    json_decref(doc);
}

/* The answer, or what there is of it, into the transcript. */
int run_part(struct run *r, struct err *e)
{
    struct view text = view_from(buf_view(&r->said), r->said_seg);
    enum message_role role =
        r->result.end == END_ERROR ? MESSAGE_OTHER : MESSAGE_ASSISTANT; /* OTHER: not in prompts */
    struct buf b = BUF_INIT(32 * MIB);
    uint64_t seq;
    int rc;

    text.n = chat_whole(text);
    if (view_trim(text).n == 0) {
        if (r->result.end == END_ABORTED || r->result.end == END_TIMEOUT)
            return 0;
        text = r->result.end == END_ERROR && r->result.error ? view_str(r->result.error) : text;
    }
    if (!r->answer_id[0])
        rand_uuid(r->answer_id);
    chat_msg_assistant(&b, r, r->answer_id, text, r->ended_ms);
    if ((rc = buf_check(&b, e)) == 0)
        rc = chat_msg_add(r->hub, r->live, r->answer_id, role, view_str(r->run_id), buf_view(&b),
                          r->ended_ms, &seq, e);
    if (rc == ERR_CONFLICT)
        rc = 0; /* from the first attempt to end this run */
    else if (rc == 0)
        chat_message(r->hub, r->live, r->answer_id, seq, buf_view(&b));
    if (rc == 0)
        rc = deliver_answer(r, text, e);
    buf_fini(&b);
    return rc;
}

static int save_end(struct run *r, struct err *e)
{
    static const enum run_state states[] = {RUN_DONE, RUN_FAILED, RUN_STOPPED, RUN_STOPPED};
    static const enum session_status status[] = {SESSION_DONE, SESSION_FAILED, SESSION_KILLED,
                                                 SESSION_TIMEOUT};
    struct session *s = &r->live->s;
    struct buf summary = BUF_INIT(60000);
    int rc;

    if ((rc = run_part(r, e)) < 0)
        return rc;
    run_summary(r, &summary);
    rc = run_save(r, states[r->result.end], buf_view(&summary), e);
    buf_fini(&summary);
    if (rc < 0)
        return rc;
    s->status = (uint8_t)status[r->result.end];
    s->started_at = r->started_ms ? r->started_ms : r->accepted_ms;
    s->ended_at = s->updated_at = r->ended_ms;
    if (r->result.end == END_ABORTED)
        s->flags |= SESSION_ABORTED_LAST_RUN;
    return session_save(r->hub, s, e);
}

static void usage_event(struct run *r)
{
    struct buf b = BUF_INIT(256);
    struct err e = ERR_INIT;
    json_t *doc = NULL;

    if (r->result.usage && json_parse(view_str(r->result.usage), &doc, &e) == 0) {
        buf_printf(&b, "{\"outputTokens\":%lld}", (long long)json_i64(doc, "output", 0));
        chat_agent_event(r, "usage", buf_view(&b));
        json_decref(doc);
    }
    buf_fini(&b);
}

void run_finish(struct run *r)
{
    struct hub *h = r->hub;
    struct live *l = r->live;
    struct err e = ERR_INIT;

    if (r->limit.loop)
        loop_timer_clear(&r->limit);
    if (r->again.loop) {
        loop_timer_fini(&r->again);
        memset(&r->again, 0, sizeof(r->again));
    }
    if (r->phase != RUN_ENDING) {
        r->phase = RUN_ENDING;
        r->ended_ms = clock_wall_ms();
        count_usage(r);
        if (r->result.end == END_OK)
            chat_text_now(r, true, false);
        usage_event(r);
    }
    if (r->result.end == END_OK && run_continue(r))
        return;
    if (save_end(r, &e) < 0) {
        log_error("run.end", KV("run", r->run_id), KV("why", e.text));
        loop_timer_init(&r->again, h->w.loop, on_again, r);
        loop_timer_set(&r->again, STORE_RETRY_MS);
        return;
    }
    chat_end(r);
    run_acked(r);
    log_debug("run.end", KV("run", r->run_id), KV("job", r->job_id), KV("end", (int)r->result.end),
              KV("ms", (long)(r->ended_ms - r->accepted_ms)));
    waiters_ended(r);
    l->active = NULL;
    h->runs->active--;
    run_free(r);
    live_next(h, l);
}

void run_acked(struct run *r)
{
    if (r->result.ack)
        ack(agent_link(r->hub, r->result.agent), r->job_id, r->attempt);
    r->result.ack = false;
}

/* ---- abort ---- */

bool run_owned(const struct run *r, const struct conn *c)
{
    if (c->who.scopes & SCOPE_ADMIN)
        return true;
    if (r->device[0] && strcmp(r->device, c->who.device_id) == 0)
        return true;
    return r->owner[0] && strcmp(r->owner, c->conn_uuid) == 0;
}

void run_own(struct run *r, const struct conn *c)
{
    (void)snprintf(r->device, sizeof(r->device), "%s", c->who.device_id);
    (void)snprintf(r->owner, sizeof(r->owner), "%s", c->conn_uuid);
}

static void set_stop(struct run *r, const char *stop_reason)
{
    r->result.end = END_ABORTED;
    (void)snprintf(r->result.stop_reason, sizeof(r->result.stop_reason), "%s", stop_reason);
}

static void abort_waiting(struct run *r, const char *stop_reason)
{
    struct hub *h = r->hub;
    struct live *l = r->live;
    struct buf summary = BUF_INIT(60000);
    struct err e = ERR_INIT;

    live_remove(l, r);
    set_stop(r, stop_reason);
    r->ended_ms = clock_wall_ms();
    if (!r->ids)
        chat_ids(r);
    run_summary(r, &summary);
    /* it was accepted: history shows it, unanswered */
    if (run_consume(r, r->text ? view_str(r->text) : VIEW_EMPTY, &e) < 0 ||
        run_save(r, RUN_STOPPED, buf_view(&summary), &e) < 0)
        log_error("run.abort", KV("run", r->run_id),
                  KV("why", e.text)); /* it comes back at the next start */
    buf_fini(&summary);
    run_show_message(r);
    if (!r->announced_end)
        chat_end(r);
    waiters_ended(r);
    run_free(r);
    live_put(h, l);
}

void run_abort(struct run *r, const char *stop_reason)
{
    if (r->phase == RUN_WAITS) {
        abort_waiting(r, stop_reason);
        return;
    }
    if (r->phase == RUN_ENDING)
        return; /* it has ended; the store only has to take it */
    set_stop(r, stop_reason);
    job_cancel(r);
    run_finish(r);
}

unsigned live_abort(struct hub *h, struct live *l, const char *stop_reason, struct jw *ids)
{
    struct run *active = l->active && l->active->phase != RUN_ENDING ? l->active : NULL;
    unsigned n = l->waiting_count + (active ? 1 : 0);
    bool was = l->hold;

    if (active && ids)
        jw_cstr(ids, active->run_id);
    for (struct run *r = l->waiting; r && ids; r = r->next)
        jw_cstr(ids, r->run_id);
    l->hold = true; /* nothing of what waits starts meanwhile */
    if (active)
        run_abort(active, stop_reason);
    for (unsigned left = l->waiting_count; left > 0; left--)
        abort_waiting(l->waiting, stop_reason);
    l->hold = was;
    compact_stop(h, l);
    live_put(h, l);
    return n;
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
    int64_t s = json_is_integer(seconds) ? json_integer_value(seconds) : 600;

    c->row_model_n = 0;
    prompt_config(&h->runs->prompt, h->w.conf);
    c->timeout_ms = s > 0 && s <= TIMEOUT_MAX_MS / 1000 ? (uint32_t)s * 1000u : 600 * 1000u;
    cut(c->main_key, sizeof(c->main_key), key.n ? key : V("main"));
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
