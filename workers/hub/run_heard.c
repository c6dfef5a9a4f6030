/* workers/hub/run_heard.c - the news that agents send about turns under way. */
#include "run.h"

#include "blocks.h"
#include "chat.h"
#include "clock.h"
#include "compact.h"
#include "deliveries.h"
#include "draft.h"
#include "jscan.h"
#include "json.h"
#include "log.h"
#include "rand.h"

#include <stdio.h>

void run_text_reset(struct run *r)
{
    if (r->said.n > r->said_seg)
        run_watch_reset(r);
    buf_cut(&r->said, r->said_seg);
    if (r->shown.n > r->shown_seg) {
        r->replace = true;
        buf_cut(&r->shown, r->shown_seg);
    }
    r->shown_raw = r->said_seg;
    chat_text_again(r);
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
        chat_text_again(r);
        buf_put_view(&r->said, text);
    }
}

void run_cut(char *out, size_t max, struct view v)
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
    run_cut(r->provider, sizeof(r->provider), provider);
    run_cut(r->model, sizeof(r->model), model);
    chat_begin(r);
    chat_model(r);
}

int run_on_begin(struct hub *h, struct link *from, struct ipc_run_begin *m, struct err *e)
{
    struct run *r = speaks(h, m->job_id, m->attempt);

    (void)from;
    (void)e;
    if (r) {
        model_is(r, m->provider, m->model);
        draft_begin(r);
        blocks_begin(r);
    }
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
    run_watch_text(r);
    draft_text(r);
    blocks_text(r);
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
    draft_begin(r);
    blocks_begin(r);
    /* what clients saw of it before we were here is unknown to us */
    if (r->shown.n == r->shown_seg)
        r->replace = true;
    text_is(r, m->text);
    chat_text(r);
    run_watch_text(r);
    blocks_text(r);
    return 0;
}

void run_ack(struct link *to, uint64_t job_id, uint32_t attempt)
{
    struct err e = ERR_INIT;

    if (to &&
        msg_send_run_ack(to, &(struct ipc_run_ack){.job_id = job_id, .attempt = attempt}, &e) < 0)
        log_warn("run.ack", KV("job", job_id),
                 KV("why", e.text)); /* the agent sends it again to the next hub */
}

struct link *run_agent(struct hub *h, unsigned instance)
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
        run_cut(r->result.stop_reason, sizeof(r->result.stop_reason), m->stop_reason);
    else
        (void)snprintf(r->result.stop_reason, sizeof(r->result.stop_reason), "%s",
                       r->result.end == END_OK        ? "stop"
                       : r->result.end == END_TIMEOUT ? "timeout"
                       : r->result.end == END_ABORTED ? "aborted"
                                                      : "error");
    (void)snprintf(r->result.error_kind, sizeof(r->result.error_kind), "%s",
                   error_kind(m->error_kind));
    run_cut(r->result.reason, sizeof(r->result.reason), m->reason);
    if (m->error.n && !r->result.error)
        r->result.error = mem_dup(m->error.p, m->error.n);
    if (m->usage.n && !r->result.usage)
        r->result.usage = mem_dup(m->usage.p, m->usage.n);
    if (m->calls.n && !r->result.calls)
        r->result.calls = mem_dup(m->calls.p, m->calls.n);
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
        run_ack(from, m->job_id, m->attempt); /* over already: no second effect */
        return 0;
    }
    if (m->provider.n)
        model_is(r, m->provider, m->model);
    if (compact_overflow(r, m)) {
        run_ack(from, m->job_id, m->attempt);
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
