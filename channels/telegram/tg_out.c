/* channels/telegram/tg_out.c - what is said: one request at a time for each message, said again
 * otherwise when Telegram refuses how it was said, never when it may have been heard. */
#include "tg_out.h"

#include "json.h"
#include "mem.h"

#include <stdio.h>

enum { WORDS = 240, AGAIN_MAX = 12 };

/* ---- the end ---- */

static void finish(struct tg_send *s, enum channel_outcome o, uint32_t retry_after_ms,
                   const char *why)
{
    struct channel_op *op = s->op;
    struct telegram *x = s->x;
    struct channel_result r = {.outcome = o,
                               .retry_after_ms = retry_after_ms,
                               .message_id = VIEW_EMPTY,
                               .error = VIEW_EMPTY};
    char words[WORDS], id[TG_ID_BYTES];

    (void)snprintf(words, sizeof(words), "%s", why);
    (void)snprintf(id, sizeof(id), "%s", s->message_id);
    if (o == CHANNEL_SENT)
        r.message_id = view_str(id);
    else
        r.error = view_str(words);
    tg_cancel(&s->call);
    loop_timer_fini(&s->wait);
    if ((*s->at = s->next))
        s->next->at = s->at;
    mem_free(s);
    channel_done(x->c, op, &r);
}

/* A part of it is there: the rest failing must not bring it again. */
static void fail(struct tg_send *s, enum channel_outcome o, uint32_t retry_after_ms,
                 const char *why)
{
    if (s->message_id[0] && o != CHANNEL_PERMANENT)
        o = CHANNEL_UNKNOWN;
    finish(s, o, retry_after_ms, why);
}

/* ---- what an answer means ---- */

static void next(struct tg_send *s);

static void on_wait(void *ctx)
{
    next(ctx);
}

/* It was refused for how it was said: say it otherwise. false: there is no other way. */
static bool otherwise(struct tg_send *s, const struct tg_reply *r)
{
    bool *flag = NULL;

    switch (r->why) {
    case TG_WHY_MARKUP:
        flag = &s->plain;
        break;
    case TG_WHY_REPLY_GONE:
        flag = &s->no_reply;
        break;
    case TG_WHY_THREAD_GONE: /* in a group it would be said where it does not belong */
        flag = s->target.chat > 0 ? &s->no_thread : NULL;
        break;
    case TG_WHY_PHOTO:
        flag = &s->as_file;
        break;
    case TG_WHY_NO_TEXT:
        flag = s->kind == TG_SEND_EDIT ? &s->caption : NULL;
        break;
    case TG_WHY_MOVED:
        if (r->moved_to && s->target.chat)
            tg_moved(s->x, s->target.chat, r->moved_to);
        if (r->moved_to)
            s->target.chat = r->moved_to;
        return r->moved_to != 0;
    case TG_WHY_NONE:
    case TG_WHY_TOKEN:
    case TG_WHY_CONFLICT:
    case TG_WHY_FLOOD:
    case TG_WHY_SAME:
    case TG_WHY_GONE:
    case TG_WHY_BUSY:
    case TG_WHY_REFUSED:
    case TG_WHY_COUNT:
        break;
    }
    if (!flag || *flag)
        return false;
    *flag = true;
    return true;
}

static void refused(struct tg_send *s, const struct tg_reply *r, const char *words)
{
    struct telegram *x = s->x;

    if (++s->tries <= AGAIN_MAX && otherwise(s, r)) {
        next(s);
        return;
    }
    switch (r->why) {
    case TG_WHY_SAME:
        finish(s, CHANNEL_SENT, 0, "");
        return;
    case TG_WHY_GONE:
        if (s->kind == TG_SEND_REMOVE)
            finish(s, CHANNEL_SENT, 0, "");
        else
            fail(s, CHANNEL_PERMANENT, 0, words);
        return;
    case TG_WHY_FLOOD:
        if (s->message_id[0]) /* in the middle of several: the rest waits here */
            loop_timer_set(&s->wait, r->retry_after_ms ? r->retry_after_ms : 1000);
        else
            fail(s, CHANNEL_LATER, r->retry_after_ms ? r->retry_after_ms : 1000, words);
        return;
    case TG_WHY_BUSY:
    case TG_WHY_CONFLICT:
        fail(s, CHANNEL_TRANSIENT, r->retry_after_ms, words);
        return;
    case TG_WHY_TOKEN:
        fail(s, CHANNEL_TRANSIENT, 0, words);
        tg_never(x, "Telegram does not know the token any more: @BotFather gives a new one");
        return;
    case TG_WHY_NONE:
    case TG_WHY_MARKUP:
    case TG_WHY_REPLY_GONE:
    case TG_WHY_THREAD_GONE:
    case TG_WHY_NO_TEXT:
    case TG_WHY_PHOTO:
    case TG_WHY_MOVED:
    case TG_WHY_REFUSED:
    case TG_WHY_COUNT:
        fail(s, CHANNEL_PERMANENT, 0, words);
        return;
    }
}

/* No answer of the API: what a proxy says, or nothing. */
static void unanswered(struct tg_send *s, const struct chan_http_answer *a, const char *words)
{
    struct channel_result r;

    chan_http_result(a, &r);
    if (a->end == CHAN_HTTP_ANSWERED && (a->status < 400 || a->status == 504))
        r.outcome = CHANNEL_UNKNOWN; /* it was let through, and what came of it is not said */
    fail(s, r.outcome, r.retry_after_ms, words);
}

/* General has no number when something is sent, and 1 when something comes. */
static int64_t sent_thread(const struct tg_send *s)
{
    return s->no_thread ? 0 : s->target.thread ? s->target.thread : TG_GENERAL;
}

static void on_called(void *ctx, const struct chan_http_answer *a, const struct tg_reply *r)
{
    struct tg_send *s = ctx;
    char words[WORDS];
    int64_t id;

    s->call = NULL;
    tg_words(words, "Telegram", a, r);
    if (!r) {
        unanswered(s, a, words);
        return;
    }
    if (!r->ok) {
        refused(s, r, words);
        return;
    }
    id = json_i64(json_is_array(r->result) ? json_array_get(r->result, 0) : r->result, "message_id",
                  0);
    if (id > 0 && (s->kind == TG_SEND_MESSAGE || s->kind == TG_SEND_POLL))
        tg_sent_put(&s->x->sent, s->target.chat, id, sent_thread(s), true);
    if (id > 0 && !s->message_id[0])
        (void)snprintf(s->message_id, sizeof(s->message_id), "%lld", (long long)id);
    if (tg_more(s))
        next(s);
    else
        finish(s, CHANNEL_SENT, 0, "");
}

/* ---- the next request ---- */

static void next(struct tg_send *s)
{
    struct buf body = BUF_INIT(TG_BODY_BYTES);
    struct chan_http_part parts[TG_PARTS_MAX];
    struct tg_request q = {.body = &body, .parts = parts};
    struct err e = ERR_INIT;

    if (!tg_request_make(s, &q)) {
        fail(s, CHANNEL_PERMANENT, 0, q.why);
    } else if (buf_check(&body, &e) < 0 ||
               tg_call(s->x, q.method, q.part_n ? VIEW_EMPTY : buf_view(&body), q.parts, q.part_n,
                       s->x->conf.call_ms, on_called, s, &s->call, &e) < 0) {
        fail(s, CHANNEL_TRANSIENT, 1000, e.text);
    }
    buf_fini(&body);
}

static void begin(struct channel *c, struct channel_op *op, enum tg_send_kind kind)
{
    struct telegram *x = channel_user(c);
    struct channel_result bad = {.outcome = CHANNEL_PERMANENT,
                                 .message_id = VIEW_EMPTY,
                                 .error = V("Telegram: this is no chat: a number, or @name")};
    struct tg_target target;
    struct err e = ERR_INIT;
    struct tg_send *s;

    if (!tg_target_read(op->target, &target)) {
        channel_done(c, op, &bad);
        return;
    }
    if (!x->up || mem_new(&s, sizeof(*s), &e) < 0) {
        bad.outcome = CHANNEL_LATER;
        bad.error = V("Telegram: not connected");
        channel_done(c, op, &bad);
        return;
    }
    *s = (struct tg_send){.x = x, .op = op, .kind = kind, .target = target};
    s->target.chat = tg_state_to(&x->state, target.chat);
    if (op->thread.n && tg_number(op->thread) > 0)
        s->target.thread = tg_number(op->thread);
    if ((s->next = x->sends))
        s->next->at = &s->next;
    s->at = &x->sends;
    x->sends = s;
    loop_timer_init(&s->wait, channel_loop(c), on_wait, s);
    next(s);
}

void tg_send(struct channel *c, struct channel_op *op)
{
    begin(c, op, op->poll ? TG_SEND_POLL : TG_SEND_MESSAGE);
}

void tg_edit(struct channel *c, struct channel_op *op)
{
    begin(c, op, TG_SEND_EDIT);
}

void tg_remove(struct channel *c, struct channel_op *op)
{
    begin(c, op, TG_SEND_REMOVE);
}

void tg_react(struct channel *c, struct channel_op *op)
{
    begin(c, op, TG_SEND_REACT);
}

void tg_typing(struct channel *c, struct channel_op *op)
{
    if (op->on)
        begin(c, op, TG_SEND_TYPING);
    else /* it ends by itself */
        channel_done(c, op, &(struct channel_result){.outcome = CHANNEL_SENT});
}

void tg_out_drop(struct telegram *x)
{
    struct tg_send *s = x->sends, *after;

    for (; s; s = after) {
        after = s->next;
        if (!s->call)
            fail(s, CHANNEL_LATER, 0, "Telegram: not connected");
    }
}
