/*
 * workers/hub/chat_event.c - what clients see of a turn: the `chat` and `agent` events of
 * protocol 5.3 and 5.4, in the order of the reference's traces. Each event is written once; text is
 * escaped once, when it is first shown, and the cumulative text that the protocol repeats in every
 * delta is a copy of those bytes.
 */
#include "chat.h"
#include "clock.h"
#include "run_sends.h"

void chat_ids(struct run *r)
{
    struct buf b = BUF_INIT(8 * KIB);
    struct jw w = JW_INIT(&b);

    jw_obj(&w);
    jw_kcstr(&w, "runId", r->run_id);
    jw_kcstr(&w, "sessionKey", r->live->s.key);
    jw_kcstr(&w, "agentId", r->live->s.agent);
    mem_free(r->ids);
    r->ids = b.failed ? NULL : mem_dup(buf_view(&b).p + 1, b.n - 1);
    r->ids_n = r->ids ? b.n - 1 : 0;
    buf_fini(&b);
}

/* {"runId":…,"sessionKey":…,"agentId":… and the writer behind it */
static struct jw *begin(struct run *r, const char *event)
{
    struct jw *w = event_begin(r->hub, event);

    jw_obj(w);
    buf_put(w->b, r->ids ? r->ids : "", r->ids_n);
    w->has_item |= r->ids_n ? 1u << w->depth : 0;
    return w;
}

static struct jw *chat_open(struct run *r, const char *state, uint32_t seq)
{
    struct jw *w = begin(r, "chat");

    jw_ku64(w, "seq", seq);
    jw_kcstr(w, "state", state);
    return w;
}

static void chat_close_for(struct run *r, struct jw *w, unsigned audience, unsigned flags)
{
    jw_obj_end(w);
    event_end_run(r->hub, view_str(r->live->s.key), r->owner, audience, EVENT_SEQ | flags);
}

static void chat_close(struct run *r, struct jw *w, unsigned flags)
{
    chat_close_for(r, w, AUD_RUNS, flags);
}

/* The next agent event up to its data value. */
static struct jw *agent_open(struct run *r, const char *stream)
{
    struct jw *w = begin(r, "agent");

    jw_kcstr(w, "stream", stream);
    jw_key(w, "data");
    return w;
}

static void agent_close_for(struct run *r, struct jw *w, unsigned audience)
{
    jw_kcstr(w, "sessionId", r->live->s.id);
    jw_ku64(w, "seq", r->seq);
    jw_ki64(w, "ts", clock_wall_ms());
    jw_kbool(w, "isHeartbeat", false);
    jw_obj_end(w);
    event_end_run(r->hub, view_str(r->live->s.key), r->owner, audience, EVENT_SEQ);
}

static void agent_close(struct run *r, struct jw *w)
{
    agent_close_for(r, w, AUD_RUNS);
}

/* What protocol 3 does not have (reference, 11; trace v3-chat): run_status, and of lifecycle all
 * but one start and one end. */
static void agent_close_4(struct run *r, struct jw *w)
{
    agent_close_for(r, w, AUD_RUNS_4);
}

static bool wanted(const struct run *r)
{
    return event_run_wanted(r->hub, view_str(r->live->s.key), r->owner);
}

void chat_agent_event(struct run *r, const char *stream, struct view data)
{
    struct jw *w;

    r->seq++;
    if (!wanted(r))
        return;
    w = agent_open(r, stream);
    jw_raw(w, data);
    agent_close_4(r, w); /* run_status, usage */
}

void chat_tool_event(struct run *r, struct view data)
{
    struct jw *w;

    r->seq++;
    if (!event_wanted(r->hub, AUD_TOOL))
        return;
    w = agent_open(r, "tool");
    jw_raw(w, data);
    agent_close_for(r, w, AUD_TOOL);
}

void chat_status(struct run *r, const char *phase)
{
    struct jw *w;

    r->seq++;
    if (!wanted(r))
        return;
    if (r->quiet == QUIET_NOT) {
        w = chat_open(r, "status", r->seq);
        jw_kcstr(w, "phase", phase);
        chat_close_for(r, w, AUD_RUNS_4, 0);
    }
    w = agent_open(r, "run_status");
    jw_obj(w);
    jw_kcstr(w, "phase", phase);
    jw_obj_end(w);
    agent_close_4(r, w);
}

void chat_retrying(struct run *r, const char *reason, uint32_t attempt, uint64_t delay_ms)
{
    struct jw *w;

    r->seq++;
    if (!wanted(r))
        return;
    w = chat_open(r, "status", r->seq);
    jw_kcstr(w, "phase", "preparing_context");
    jw_key(w, "retry");
    jw_obj(w);
    jw_ku64(w, "attempt", attempt);
    jw_ku64(w, "maxAttempts", RUN_ATTEMPTS_MAX);
    jw_kcstr(w, "reason", reason);
    jw_obj_end(w);
    chat_close_for(r, w, AUD_RUNS_4, 0);
    w = agent_open(r, "run_status");
    jw_obj(w);
    jw_kcstr(w, "phase", "retrying");
    jw_kcstr(w, "message", reason);
    jw_ku64(w, "retryAttempt", attempt - 1);
    jw_ku64(w, "maxRetries", RUN_ATTEMPTS_MAX - 1);
    jw_ku64(w, "delayMs", delay_ms);
    jw_ku64(w, "attempt", attempt);
    jw_ku64(w, "maxAttempts", RUN_ATTEMPTS_MAX);
    jw_kcstr(w, "reason", reason);
    jw_obj_end(w);
    agent_close_4(r, w);
}

static void changed_phase(struct run *r, const char *phase)
{
    struct buf b = BUF_INIT(4 * KIB);
    struct jw w = JW_INIT(&b);

    if (!event_wanted(r->hub, AUD_SESSIONS))
        return;
    jw_obj(&w);
    jw_kcstr(&w, "phase", phase);
    jw_kcstr(&w, "runId", r->run_id);
    session_changed(r->hub, view_str(r->live->s.key), view_from(buf_view(&b), 1));
    buf_fini(&b);
}

void chat_begin(struct run *r)
{
    struct jw *w;

    if (!r->began) {
        r->began = true;
        r->seq++;
        if (wanted(r)) {
            w = agent_open(r, "lifecycle");
            jw_obj(w);
            jw_kcstr(w, "phase", "start");
            jw_ki64(w, "startedAt", r->started_ms);
            jw_obj_end(w);
            agent_close(r, w);
        }
        if (r->quiet != QUIET_ALL)
            chat_status(r, "starting_model");
        session_changed_reason(r->hub, view_str(r->live->s.key), "agent.run.started");
        changed_phase(r, "start");
    }
}

void chat_model(struct run *r)
{
    struct jw *w;

    r->seq++;
    if (wanted(r)) {
        w = agent_open(r, "lifecycle");
        jw_obj(w);
        jw_kcstr(w, "phase", "model");
        jw_kcstr(w, "provider", r->provider);
        jw_kcstr(w, "model", r->model);
        jw_obj_end(w);
        agent_close_4(r, w);
    }
}

/* ---- text ---- */

static bool white(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* What may be shown: whole characters, white space at the end only once something follows it (trace
 * chat-stream). */
static size_t visible(const struct run *r)
{
    struct view v = buf_view(&r->said);
    size_t n = chat_whole(v);

    while (n > r->shown_raw && white(v.p[n - 1]))
        n--;
    return n;
}

/* Escape what became visible; false when there is nothing new. */
static bool show(struct run *r)
{
    size_t n = visible(r), before = r->shown.n;
    struct buf piece = BUF_INIT(RUN_TEXT_MAX);
    struct view text;

    if (n <= r->shown_raw)
        return false;
    r->shown_raw +=
        media_filter(&r->lines, view_of(buf_view(&r->said).p + r->shown_raw, n - r->shown_raw),
                     r->phase == RUN_ENDING, &piece);
    text = buf_view(&piece);
    while (text.n && white(text.p[text.n - 1]))
        text.n--;
    if (text.n) {
        jw_escape(&r->shown, buf_view(&r->hold));
        jw_escape(&r->shown, text);
        buf_reset(&r->hold, 0);
    }
    buf_put_view(&r->hold, view_from(buf_view(&piece), text.n));
    buf_fini(&piece);
    return r->shown.n > before;
}

void chat_text_again(struct run *r)
{
    r->lines = (struct media_filter){.fence = 0};
    buf_reset(&r->hold, 0);
}

static void text_value(struct jw *w, const char *key, struct view escaped)
{
    jw_key(w, key);
    w->after_key = false;
    buf_put_char(w->b, '"');
    buf_put_view(w->b, escaped);
    buf_put_char(w->b, '"');
    w->has_item |= 1u << w->depth;
}

static void message(struct run *r, struct jw *w)
{
    buf_put_view(
        w->b,
        V(",\"message\":{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\""));
    buf_put_view(w->b, buf_view(&r->shown));
    buf_put_view(w->b, V("\"}"));
    buf_put_str(w->b, run_sends_blocks(r));
    buf_put_view(w->b, V("],\"timestamp\":"));
    buf_put_i64(w->b, clock_wall_ms());
    buf_put_char(w->b, '}');
}

void chat_text_now(struct run *r, bool agent, bool chat)
{
    bool whole = r->replace || loop_now_ms(r->hub->w.loop) < r->replace_until_ms, heard = wanted(r);
    struct view all;
    struct jw *w;

    (void)show(r);
    if (r->shown.failed)
        return; /* longer than an event can be: the final says it all */
    all = buf_view(&r->shown);
    if (agent && r->shown_agent < all.n) {
        r->seq++;
        if (heard) {
            w = agent_open(r, "assistant");
            jw_obj(w);
            text_value(w, "text", view_from(all, r->shown_seg));
            text_value(w, "delta", view_from(all, whole ? r->shown_seg : r->shown_agent));
            jw_key(w, "itemId");
            w->after_key = false;
            buf_printf(w->b, "\"%s:%u\"", r->item, r->segment + 1);
            w->has_item |= 1u << w->depth;
            if (whole)
                jw_kbool(w, "replace", true);
            jw_obj_end(w);
            agent_close(r, w);
        }
        r->shown_agent = all.n;
    }
    if (chat && r->shown_chat < all.n) {
        r->delta_ms = loop_now_ms(r->hub->w.loop);
        if (heard) {
            w = chat_open(r, "delta", r->seq);
            text_value(w, "deltaText", whole ? all : view_from(all, r->shown_chat));
            if (whole)
                jw_kbool(w, "replace", true);
            message(r, w);
            chat_close_for(r, w, AUD_RUNS_4, EVENT_DROPPABLE);
        }
        if (heard && conns_old(r->hub) > 0) { /* there the message is all there is */
            w = chat_open(r, "delta", r->seq);
            message(r, w);
            chat_close_for(r, w, AUD_RUNS_3, EVENT_DROPPABLE);
        }
        r->shown_chat = all.n;
        r->replace = r->replace && !heard;
    }
}

static void on_flush(void *ctx)
{
    chat_text_now(ctx, true, true);
}

void chat_text(struct run *r)
{
    uint64_t now = loop_now_ms(r->hub->w.loop);

    if (visible(r) <= r->shown_raw)
        return;
    if (r->delta_ms == 0 || now - r->delta_ms >= DELTA_MS) {
        chat_text_now(r, true, true);
        return;
    }
    if (!r->flush.loop)
        loop_timer_init(&r->flush, r->hub->w.loop, on_flush, r);
    if (!loop_timer_pending(&r->flush))
        loop_timer_set(&r->flush, DELTA_MS - (now - r->delta_ms));
}

/* ---- the end ---- */

void chat_final_empty(struct run *r)
{
    struct jw *w;

    r->announced_end = true;
    r->seq++;
    if (!wanted(r))
        return;
    w = chat_open(r, "final", 1); /* a gateway-made final counts from its own 1 */
    chat_close(r, w, 0);
}

static void end_ok(struct run *r)
{
    struct jw *w;

    chat_text_now(r, true, false);
    r->seq++;
    if (wanted(r)) {
        w = agent_open(r, "lifecycle");
        jw_obj(w);
        jw_kcstr(w, "phase", "finishing");
        jw_kcstr(w, "stopReason", r->result.stop_reason);
        jw_kbool(w, "aborted", false);
        jw_kcstr(w, "livenessState", "working");
        jw_ki64(w, "endedAt", r->ended_ms);
        jw_obj_end(w);
        agent_close_4(r, w);
    }
    r->seq++;
    if (wanted(r)) {
        w = agent_open(r, "lifecycle");
        jw_obj(w);
        jw_kcstr(w, "phase", "end");
        jw_kcstr(w, "stopReason", r->result.stop_reason);
        jw_kbool(w, "aborted", false);
        jw_kcstr(w, "livenessState", "working");
        jw_ki64(w, "startedAt", r->started_ms);
        jw_ki64(w, "endedAt", r->ended_ms);
        jw_kbool(w, "replayInvalid", false);
        jw_key(w, "terminalReply");
        jw_obj(w);
        jw_kcstr(w, "disposition", "visible");
        text_value(w, "text", buf_view(&r->shown));
        jw_obj_end(w);
        jw_kbool(w, "executionSettled", true);
        jw_obj_end(w);
        agent_close(r, w);
    }
    chat_text_now(r, false, true);
    if (!wanted(r))
        return;
    w = chat_open(r, "final", r->seq);
    jw_kcstr(w, "stopReason", r->result.stop_reason);
    if (r->shown.n || run_sends_blocks(r)[0])
        message(r, w);
    chat_close(r, w, 0);
}

static void end_aborted(struct run *r)
{
    struct jw *w;

    r->seq++;
    if (!wanted(r))
        return;
    (void)show(r);
    w = chat_open(r, "aborted", r->seq);
    jw_kcstr(w, "stopReason", r->result.stop_reason);
    if (r->result.error)
        jw_kcstr(w, "errorMessage", r->result.error);
    if (r->shown.n)
        message(r, w);
    chat_close(r, w, 0);
    w = agent_open(r, "lifecycle");
    jw_obj(w);
    jw_kcstr(w, "phase", "end");
    jw_kcstr(w, "status", r->result.end == END_TIMEOUT ? "timeout" : "cancelled");
    jw_kbool(w, "aborted", true);
    jw_kcstr(w, "stopReason", r->result.stop_reason);
    if (r->started_ms)
        jw_ki64(w, "startedAt", r->started_ms);
    jw_ki64(w, "endedAt", r->ended_ms);
    jw_obj_end(w);
    agent_close(r, w);
    r->seq++;
    w = agent_open(r, "lifecycle");
    jw_obj(w);
    jw_kcstr(w, "phase", "error");
    jw_ki64(w, "endedAt", r->ended_ms);
    jw_ki64(w, "startedAt", r->started_ms ? r->started_ms : r->accepted_ms);
    jw_kcstr(w, "error", r->result.error ? r->result.error : "The turn was stopped.");
    jw_kbool(w, "aborted", true);
    jw_kcstr(w, "stopReason", "aborted");
    jw_kbool(w, "executionSettled", true);
    jw_obj_end(w);
    agent_close_4(r, w);
}

static void end_error(struct run *r)
{
    const char *text = r->result.error ? r->result.error : "The run failed.";
    struct jw *w;

    chat_text_now(r, true, true);
    r->seq++;
    if (wanted(r)) {
        w = agent_open(r, "lifecycle");
        jw_obj(w);
        jw_kcstr(w, "phase", "finishing");
        jw_kcstr(w, "error", text);
        jw_kbool(w, "aborted", false);
        jw_kcstr(w, "livenessState", "blocked");
        jw_ki64(w, "endedAt", r->ended_ms);
        jw_obj_end(w);
        agent_close_4(r, w);
    }
    r->seq++;
    if (!wanted(r))
        return;
    w = agent_open(r, "lifecycle");
    jw_obj(w);
    jw_kcstr(w, "phase", "error");
    jw_kcstr(w, "error", text);
    jw_kbool(w, "aborted", false);
    jw_kcstr(w, "livenessState", "blocked");
    if (r->started_ms)
        jw_ki64(w, "startedAt", r->started_ms);
    jw_ki64(w, "endedAt", r->ended_ms);
    jw_kbool(w, "executionSettled", true);
    jw_obj_end(w);
    agent_close(r, w);

    w = chat_open(r, "error", r->seq);
    jw_kcstr(w, "errorMessage", text);
    jw_kcstr(w, "errorKind", r->result.error_kind);
    if (r->provider[0] || r->result.http_status >= 100) {
        jw_key(w, "errorDetail");
        jw_obj(w);
        if (r->provider[0]) {
            jw_kcstr(w, "provider", r->provider);
            jw_kcstr(w, "model", r->model);
        }
        if (r->result.reason[0]) {
            jw_kcstr(w, "failoverReason", r->result.reason);
            jw_kcstr(w, "providerRuntimeFailureKind", "unclassified"); /* ours says it all */
        }
        if (r->result.http_status >= 100 && r->result.http_status <= 599)
            jw_ku64(w, "httpStatus", r->result.http_status);
        jw_obj_end(w);
    }
    chat_close(r, w, 0);
}

void chat_end(struct run *r)
{
    if (r->flush.loop)
        loop_timer_clear(&r->flush);
    switch (r->result.end) {
    case END_OK:
        end_ok(r);
        break;
    case END_ERROR:
        end_error(r);
        break;
    case END_ABORTED:
    case END_TIMEOUT:
        end_aborted(r);
        break;
    }
    changed_phase(r, r->result.end == END_ERROR ? "error" : "end");
}

void chat_message(struct hub *h, const struct live *l, const char *id, uint64_t seq,
                  struct view msg)
{
    struct jw *w;

    if (!event_session_wanted(h, view_str(l->s.key)))
        return;
    w = event_begin(h, "session.message");
    jw_obj(w);
    jw_kcstr(w, "sessionKey", l->s.key);
    jw_kcstr(w, "agentId", l->s.agent);
    jw_key(w, "message");
    chat_msg_numbered(w, msg, seq);
    jw_kcstr(w, "messageId", id);
    jw_ku64(w, "messageSeq", seq);
    jw_obj_end(w);
    event_end_session(h, view_str(l->s.key), EVENT_SEQ);
}
