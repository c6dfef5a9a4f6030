/* workers/hub/run_end.c - how a turn ends: with its answer, a failure, or because somebody stops
 * it. */
#include "run.h"

#include "blocks.h"
#include "chat.h"
#include "clock.h"
#include "compact.h"
#include "deliveries.h"
#include "event.h"
#include "jscan.h"
#include "json.h"
#include "log.h"
#include "metrics.h"
#include "pulse.h"
#include "rand.h"
#include "run_sends.h"
#include "tool_turn.h"

#include <stdio.h>

enum { STORE_RETRY_MS = 500 }; /* the store has no room: its answer is kept until it has */

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
    pulse_tokens(&r->hub->pulse, r->ended_ms, in > 0 ? (uint64_t)in : 0,
                 out > 0 ? (uint64_t)out : 0);
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
        if (r->result.end == END_TIMEOUT) /* no entry, but the person who waits is told */
            return deliver_answer(r, VIEW_EMPTY, e);
        if (r->result.end == END_ABORTED)
            return 0;
        text = r->result.end == END_ERROR && r->result.error ? view_str(r->result.error) : text;
    }
    if (!r->answer_id[0])
        rand_uuid(r->answer_id);
    if ((rc = run_sends_keep(r, e)) < 0)
        return rc;
    chat_msg_assistant(&b, r, r->answer_id, run_sends_text(r, text), r->ended_ms);
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

    if ((rc = run_part(r, e)) < 0 || (rc = blocks_over(r, e)) < 0)
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
    if (!event_session_wanted(r->hub, view_str(s->key))) /* nobody looks at it */
        s->flags |= SESSION_UNREAD;
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
        tool_turn_drop(r);
        r->phase = RUN_ENDING;
        r->ended_ms = clock_wall_ms();
        count_usage(r);
        metrics_part(r);
        if (r->result.end == END_OK)
            chat_text_now(r, true, false);
        usage_event(r);
    }
    if (r->result.end == END_OK && (tool_turn_begin(r) || run_sends_wait(r) || run_continue(r)))
        return;
    if (save_end(r, &e) < 0) {
        if (!h->full || e.code != ERR_AGAIN) /* that is said already */
            log_error("run.end", KV("run", r->run_id), KV("why", e.text));
        loop_timer_init(&r->again, h->w.loop, on_again, r);
        loop_timer_set(&r->again, STORE_RETRY_MS);
        return;
    }
    if (r->result.end == END_OK || r->result.end == END_ERROR || r->result.end == END_TIMEOUT)
        pulse_turn(&r->hub->pulse, r->ended_ms, r->result.end == END_OK,
                   r->ended_ms - r->accepted_ms);
    chat_end(r);
    run_acked(r);
    metrics_turn(r);
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
        run_ack(run_agent(r->hub, r->result.agent), r->job_id, r->attempt);
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
    r->trust = c->who.scopes & SCOPE_ADMIN ? TRUST_OWNER : TRUST_INSIDE;
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
