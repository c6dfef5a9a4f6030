#include "draft.h"

#include "blocks.h"
#include "chunk.h"
#include "json.h"
#include "log.h"

#include <stdio.h>

enum {
    DRAFTS_MAX = 32,
    TYPING_MS = 4000,      /* unless the platform says how long it shows it */
    TYPING_MAX_MS = 60000, /* without news: nobody types so long */
    TYPING_FAILURES = 2,
    EDIT_MS = 1000, /* between edits, unless the platform says */
    EDIT_MIN_MS = 250,
    FIRST_CHARS = 24, /* a preview of less says nothing */
};

enum op_of { OP_NONE, OP_SEND, OP_EDIT };

struct draft {
    struct channel *c;
    uint64_t id; /* 0: free */
    char target[CHANNEL_TARGET_BYTES + 1], thread[CHANNEL_ID_BYTES + 1];
    char reply_to[CHANNEL_ID_BYTES + 1], message_id[CHANNEL_ID_BYTES + 1];
    struct buf text, rendered, plain;
    struct channel_op typing, preview, ack;
    enum op_of under_way;
    bool unack; /* the reaction goes as soon as it is there */
    bool typing_now, ack_now, acked, stopped, taken, ended, dirty;
    bool may_begin; /* the hub says that its chat is free for a new message */
    unsigned typing_failures;
    uint64_t heard_ms, edited_ms;
    struct loop_timer type, edit;
    void (*on_free)(void *ctx);
    void *free_ctx;
};

struct drafts {
    struct draft all[DRAFTS_MAX];
};

/* ---- settings ---- */

static uint32_t edit_ms(const struct channel *c)
{
    uint32_t ms = c->ops->edit_ms ? c->ops->edit_ms : EDIT_MS;

    return ms < EDIT_MIN_MS ? EDIT_MIN_MS : ms;
}

/* ---- the end ---- */

static void free_when_idle(struct draft *d)
{
    if (!d->id || !d->ended || d->under_way != OP_NONE || d->typing_now || d->ack_now)
        return;
    loop_timer_fini(&d->type);
    loop_timer_fini(&d->edit);
    buf_fini(&d->text);
    buf_fini(&d->rendered);
    buf_fini(&d->plain);
    *d = (struct draft){.id = 0};
}

static void quiet(struct draft *d)
{
    loop_timer_clear(&d->type);
    loop_timer_clear(&d->edit);
}

/* ---- typing ---- */

static void on_type(void *ctx)
{
    struct draft *d = ctx;
    struct channel *c = d->c;

    if (loop_now_ms(c->w.loop) - d->heard_ms > TYPING_MAX_MS || c->life != LIFE_UP ||
        d->typing_failures >= TYPING_FAILURES)
        return;
    loop_timer_set(&d->type, c->ops->typing_ms ? c->ops->typing_ms * 4 / 5 : TYPING_MS);
    if (d->typing_now)
        return;
    d->typing_now = true;
    d->typing = (struct channel_op){
        .target = view_str(d->target), .thread = view_str(d->thread), .on = true};
    c->ops->typing(c, &d->typing);
}

/* ---- the ack reaction ---- */

static struct view ack_emoji(const struct channel *c)
{
    return json_view_of(channel_setting(c, "ackReaction"));
}

static bool ack_wanted(const struct channel *c, uint32_t flags)
{
    struct view scope = json_view_of(channel_setting(c, "ackReactionScope"));
    bool group = flags & DRAFT_GROUP;

    if (!ack_emoji(c).n || !(c->ops->caps & CHANNEL_CAN_REACT) ||
        view_eq(json_view(c->conf, "reactionLevel"), V("off")))
        return false;
    if (view_eq(scope, V("all")))
        return true;
    if (view_eq(scope, V("direct")))
        return !group;
    if (view_eq(scope, V("off")) || view_eq(scope, V("none")))
        return false;
    return group && (view_eq(scope, V("group-all")) || flags & DRAFT_MENTION);
}

static void ack(struct draft *d, bool remove)
{
    struct channel *c = d->c;

    if (d->ack_now || !d->reply_to[0] || c->life != LIFE_UP)
        return;
    d->ack_now = true;
    d->acked = !remove;
    d->ack = (struct channel_op){.target = view_str(d->target),
                                 .thread = view_str(d->thread),
                                 .message_id = view_str(d->reply_to),
                                 .emoji = ack_emoji(c),
                                 .remove = remove};
    c->ops->react(c, &d->ack);
}

/* ---- the preview ---- */

static void show(struct draft *d)
{
    struct channel *c = d->c;
    struct err e = ERR_INIT;
    uint32_t next = 0;
    bool first = !d->message_id[0];

    if (d->stopped || d->taken || d->ended || d->under_way != OP_NONE || !d->dirty ||
        c->life != LIFE_UP)
        return;
    buf_reset(&d->rendered, 4096);
    buf_reset(&d->plain, 4096);
    if (chunk_next(c->ops, buf_view(&d->text), 0, &d->rendered, &d->plain, &next, &e) < 0 || next ||
        !d->rendered.n) {
        d->stopped = true; /* the whole follows as messages */
        return;
    }
    if (first && !d->may_begin)
        return; /* a newer text says when */
    d->dirty = false;
    d->edited_ms = loop_now_ms(c->w.loop);
    d->preview = (struct channel_op){.target = view_str(d->target),
                                     .thread = view_str(d->thread),
                                     .message_id = view_str(d->message_id),
                                     .text = buf_view(&d->rendered),
                                     .plain = buf_view(&d->plain),
                                     .source = buf_view(&d->text),
                                     .preview = true,
                                     .silent = first};
    d->under_way = first ? OP_SEND : OP_EDIT;
    if (first)
        c->ops->send(c, &d->preview);
    else
        c->ops->edit(c, &d->preview);
}

static void on_edit(void *ctx)
{
    show(ctx);
}

static void text_is(struct draft *d, struct view text)
{
    uint64_t now = loop_now_ms(d->c->w.loop), due = d->edited_ms + edit_ms(d->c);

    if (d->under_way != OP_NONE) { /* lent to the platform until it is done */
        return;                    /* a newer text comes soon */
    }
    buf_reset(&d->text, 4096);
    (void)out_prefix(d->c, NULL, text, &d->text);
    buf_put_view(&d->text, text);
    if (d->text.failed || text.n < FIRST_CHARS || !blocks_preview(d->c->ops, d->c->conf, NULL) ||
        d->stopped || d->taken)
        return;
    d->dirty = true;
    if (now >= due)
        show(d);
    else if (!loop_timer_pending(&d->edit))
        loop_timer_set(&d->edit, due - now);
}

static void tell_shown(struct draft *d)
{
    struct link *hub = channel_hub(d->c);
    struct err e = ERR_INIT;

    if (hub &&
        msg_send_draft_shown(
            hub, &(struct ipc_draft_shown){.draft = d->id, .message_id = view_str(d->message_id)},
            &e) < 0)
        log_warn("draft.untold", KV("why", e.text));
}

static void remove_preview(struct draft *d)
{
    struct channel *c = d->c;

    if (!d->message_id[0] || d->taken || !(c->ops->caps & CHANNEL_CAN_DELETE) ||
        c->life != LIFE_UP || d->under_way != OP_NONE)
        return;
    d->under_way = OP_EDIT;
    d->preview = (struct channel_op){.target = view_str(d->target),
                                     .thread = view_str(d->thread),
                                     .message_id = view_str(d->message_id)};
    c->ops->remove(c, &d->preview);
}

static void preview_done(struct draft *d, const struct channel_result *r)
{
    enum op_of was = d->under_way;

    d->under_way = OP_NONE;
    if (was == OP_SEND && r->outcome == CHANNEL_SENT && r->message_id.n <= CHANNEL_ID_BYTES) {
        (void)snprintf(d->message_id, sizeof(d->message_id), "%.*s", VIEW_FMT(r->message_id));
        tell_shown(d);
    }
    if (r->outcome != CHANNEL_SENT)
        d->stopped = true;
    if (d->on_free) {
        void (*on_free)(void *ctx) = d->on_free;

        d->on_free = NULL;
        on_free(d->free_ctx);
    } else if (d->ended && !d->taken && was == OP_SEND) {
        remove_preview(d);
    }
}

bool draft_op_done(struct channel *c, struct channel_op *op, const struct channel_result *r)
{
    for (size_t i = 0; c->drafts && i < DRAFTS_MAX; i++) {
        struct draft *d = &c->drafts->all[i];

        if (!d->id)
            continue;
        if (op == &d->typing) {
            d->typing_now = false;
            d->typing_failures = r->outcome == CHANNEL_SENT ? 0 : d->typing_failures + 1;
        } else if (op == &d->ack) {
            d->ack_now = false;
            if (d->unack) {
                d->unack = false;
                ack(d, true);
            }
        } else if (op == &d->preview) {
            preview_done(d, r);
        } else {
            continue;
        }
        free_when_idle(d);
        return true;
    }
    return false;
}

/* ---- the hub ---- */

static struct draft *find(struct channel *c, uint64_t id)
{
    for (size_t i = 0; c->drafts && i < DRAFTS_MAX; i++)
        if (c->drafts->all[i].id == id)
            return &c->drafts->all[i];
    return NULL;
}

static struct draft *begin(struct channel *c, const struct ipc_draft *m)
{
    struct draft *d;

    if (!c->drafts && !(c->drafts = mem_alloc(sizeof(*c->drafts))))
        return NULL;
    if (!(d = find(c, 0)))
        return NULL; /* more at once than anybody looks at */
    *d = (struct draft){.c = c, .id = m->draft};
    (void)snprintf(d->target, sizeof(d->target), "%.*s", VIEW_FMT(m->target));
    (void)snprintf(d->thread, sizeof(d->thread), "%.*s", VIEW_FMT(m->thread));
    (void)snprintf(d->reply_to, sizeof(d->reply_to), "%.*s", VIEW_FMT(m->reply_to));
    buf_init(&d->text, CHANNEL_TEXT_BYTES);
    buf_init(&d->rendered, 4 * CHANNEL_TEXT_BYTES);
    buf_init(&d->plain, CHANNEL_TEXT_BYTES);
    loop_timer_init(&d->type, c->w.loop, on_type, d);
    loop_timer_init(&d->edit, c->w.loop, on_edit, d);
    d->heard_ms = loop_now_ms(c->w.loop);
    if (c->ops->caps & CHANNEL_CAN_TYPE && c->ops->typing)
        on_type(d);
    if (ack_wanted(c, m->flags))
        ack(d, false);
    return d;
}

/* No delivery ends it: what shows it is taken away. */
static void end(struct draft *d)
{
    d->ended = true;
    quiet(d);
    if (!d->taken)
        remove_preview(d);
    free_when_idle(d);
}

void draft_new_hub(struct channel *c)
{
    for (size_t i = 0; c->drafts && i < DRAFTS_MAX; i++) {
        struct draft *d = &c->drafts->all[i];

        if (d->id && !d->taken && !d->ended)
            end(d);
    }
}

int draft_on_message(void *ctx, struct link *from, struct ipc_draft *m, struct err *e)
{
    struct channel *c = ctx;
    struct draft *d = m->draft ? find(c, m->draft) : NULL;

    (void)from;
    if (!m->draft)
        return err_set(e, ERR_INVALID, "draft: draft: 0");
    if (m->flags & DRAFT_END) {
        if (d && m->flags & DRAFT_SAID)
            draft_done(c, m->draft);
        else if (d)
            end(d);
        return 0;
    }
    if (!d && !(d = begin(c, m)))
        return 0;
    d->heard_ms = loop_now_ms(c->w.loop);
    d->may_begin = m->flags & DRAFT_NEW;
    if (m->flags & DRAFT_TEXT)
        text_is(d, m->text);
    return 0;
}

bool draft_take(struct channel *c, uint64_t id, char message_id[CHANNEL_ID_BYTES + 1],
                void (*on_free)(void *ctx), void *ctx)
{
    struct draft *d = id ? find(c, id) : NULL;

    message_id[0] = '\0';
    if (!d)
        return false;
    d->taken = true;
    quiet(d);
    if (d->under_way != OP_NONE) {
        d->on_free = on_free;
        d->free_ctx = ctx;
        return true;
    }
    memcpy(message_id, d->message_id, sizeof(d->message_id));
    return false;
}

void draft_done(struct channel *c, uint64_t id)
{
    struct draft *d = id ? find(c, id) : NULL;

    if (!d)
        return;
    if (d->acked && json_is_true(channel_setting(c, "removeAckAfterReply"))) {
        d->unack = d->ack_now;
        ack(d, true);
    }
    d->ended = d->taken = true;
    quiet(d);
    free_when_idle(d);
}

void draft_close(struct channel *c)
{
    if (!c->drafts)
        return;
    for (size_t i = 0; i < DRAFTS_MAX; i++) {
        struct draft *d = &c->drafts->all[i];

        if (!d->id)
            continue;
        d->ended = true;
        d->under_way = OP_NONE;
        d->typing_now = d->ack_now = false;
        free_when_idle(d);
    }
    mem_free(c->drafts);
    c->drafts = NULL;
}
