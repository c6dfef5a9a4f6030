/* channels/base/out.c - what the hub wants to be said: one part at a time to the platform, its
 * result kept until the hub has it on disk and told to every new hub before anything else. */
#include "channel_int.h"
#include "chunk.h"
#include "draft.h"
#include "extra.h"
#include "tags.h"

#include "clock.h"
#include "json.h"
#include "log.h"

#include <endian.h>
#include <stdio.h>

enum {
    ITEMS_MAX = 64, /* the hub has at most 32 with us, and each leaves with its ack */
    REPEAT_MS =
        5000, /* a hub that has not acknowledged a result is told it again: it had no room, */
    REPEAT_MAX_MS = 60000, /* or its word was lost; twice means nothing to it */
    PREFIX_BYTES = 256,    /* a longer responsePrefix is a mistake */
    ERROR_BYTES = 512,     /* ipc.def: deliver_result */
};

enum item_state { ITEM_FREE, ITEM_WAITING, ITEM_RUNNING, ITEM_DONE };

struct item {
    struct channel *c;
    enum item_state state;
    struct channel_op op; /* views into words, rendered, plain */
    struct buf words;     /* owned copies of the message's strings */
    struct buf rendered, plain;
    struct buf said; /* the text without what was meant for us */
    json_t *doc;     /* owned: a poll, what to edit, remove or react with */
    json_t *extra;   /* owned; of the message's end */
    uint64_t draft;
    bool editing; /* the preview becomes the message */
    char shown[CHANNEL_ID_BYTES + 1];
    struct ipc_deliver_result res;
    char message_id[CHANNEL_ID_BYTES], error[ERROR_BYTES];
    struct loop_timer again;
    uint8_t kind;
    bool answer;     /* of the agent: goes under the responsePrefix */
    const char *off; /* the switch of the configuration that forbids it */
    struct view text, source;
    struct buf prefixed, words_instead;
    uint32_t from, next;
};

struct out {
    struct item items[ITEMS_MAX];
    struct loop_timer repeat; /* runs while there are results that no hub has acknowledged */
    uint32_t repeat_ms;
};

/* ---- results ---- */

static void tell(struct item *it, struct link *hub)
{
    struct err e = ERR_INIT;

    if (hub && msg_send_deliver_result(hub, &it->res, &e) < 0)
        log_warn("channel.result_untold", KV("delivery", it->res.delivery_id), KV("why", e.text));
}

static struct view keep(char *room, size_t max, struct view v)
{
    size_t n = v.n < max ? v.n : max - 1;

    while (n > 0 && n < v.n && ((unsigned char)v.p[n] & 0xc0) == 0x80)
        n--;
    for (size_t i = 0; i < n; i++)
        room[i] = v.p[i] ? v.p[i] : ' ';
    return view_of(room, n);
}

static void forget_draft(struct item *it);

static void finish(struct item *it, const struct channel_result *r)
{
    static const uint8_t outcomes[] = {[CHANNEL_SENT] = OUTCOME_OK,
                                       [CHANNEL_TRANSIENT] = OUTCOME_TRANSIENT,
                                       [CHANNEL_PERMANENT] = OUTCOME_PERMANENT,
                                       [CHANNEL_UNKNOWN] = OUTCOME_UNKNOWN,
                                       [CHANNEL_LATER] = OUTCOME_LATER};

    it->state = ITEM_DONE;
    it->res.outcome = outcomes[r->outcome];
    it->res.next = r->outcome == CHANNEL_SENT ? it->next : 0;
    it->res.retry_after_ms = r->retry_after_ms;
    it->res.all = r->outcome == CHANNEL_LATER && r->all;
    it->res.message_id = r->outcome == CHANNEL_SENT && r->message_id.n < CHANNEL_ID_BYTES
                             ? keep(it->message_id, sizeof(it->message_id), r->message_id)
                             : VIEW_EMPTY;
    it->res.error = keep(it->error, sizeof(it->error), r->error);
    if (r->outcome == CHANNEL_SENT)
        it->c->outbound_at = clock_wall_ms();
    loop_timer_clear(&it->again);
    tell(it, channel_hub(it->c));
    if (!loop_timer_pending(&it->c->out->repeat))
        loop_timer_set(&it->c->out->repeat, it->c->out->repeat_ms = REPEAT_MS);
    forget_draft(it);
}

void out_repeat(void *ctx)
{
    struct channel *c = ctx;
    struct out *o = c->out;

    out_tell(c, channel_hub(c));
    o->repeat_ms = o->repeat_ms < REPEAT_MAX_MS / 2 ? o->repeat_ms * 2 : REPEAT_MAX_MS;
    loop_timer_set(&o->repeat, o->repeat_ms);
}

static void forget_draft(struct item *it)
{
    if (it->draft && it->res.outcome != OUTCOME_TRANSIENT && it->res.outcome != OUTCOME_LATER &&
        !it->res.next)
        draft_done(it->c, it->draft);
}

static void refuse(struct item *it, enum channel_outcome o, const char *why)
{
    finish(it, &(struct channel_result){.outcome = o, .error = view_str(why)});
}

/* ---- to the platform ---- */

static void to_platform(struct item *it)
{
    struct channel *c = it->c;
    unsigned caps = c->ops->caps;
    bool can = true;

    it->editing =
        it->kind == DELIVER_KIND_TEXT && it->from == 0 && it->shown[0] && caps & CHANNEL_CAN_EDIT;
    if (it->editing)
        it->op.message_id = view_str(it->shown);
    switch (it->kind) {
    case DELIVER_KIND_EDIT:
        can = caps & CHANNEL_CAN_EDIT;
        break;
    case DELIVER_KIND_REMOVE:
        can = caps & CHANNEL_CAN_DELETE;
        break;
    case DELIVER_KIND_REACT:
        can = caps & CHANNEL_CAN_REACT;
        break;
    default:
        break;
    }
    if (!can)
        refuse(it, CHANNEL_PERMANENT, "the platform cannot do that");
    else if (it->editing || it->kind == DELIVER_KIND_EDIT)
        c->ops->edit(c, &it->op);
    else if (it->kind == DELIVER_KIND_REMOVE)
        c->ops->remove(c, &it->op);
    else if (it->kind == DELIVER_KIND_REACT)
        c->ops->react(c, &it->op);
    else
        c->ops->send(c, &it->op);
}

static void on_again(void *ctx);

struct view out_prefix(const struct channel *c, struct view text)
{
    struct view prefix = view_trim(json_view(c->conf, "responsePrefix"));

    return prefix.n && prefix.n <= PREFIX_BYTES && view_trim(text).n && !view_starts(text, prefix)
               ? prefix
               : VIEW_EMPTY;
}

/* The next part of the text. Positions are those of the text without prefix: another configuration
 * between two parts moves nothing. */
static int cut(struct item *it, struct err *e)
{
    const struct channel_ops *ops = it->c->ops;
    struct view prefix = it->answer && it->from == 0 ? out_prefix(it->c, it->text) : VIEW_EMPTY;
    uint32_t n = (uint32_t)prefix.n + 1, next = 0;
    int r;

    it->source = it->text;
    if (prefix.n) {
        buf_reset(&it->prefixed, 4096);
        buf_put_view(&it->prefixed, prefix);
        buf_put_char(&it->prefixed, ' ');
        buf_put_view(&it->prefixed, it->text);
        if ((r = buf_check(&it->prefixed, e)) < 0 ||
            (r = chunk_next(ops, buf_view(&it->prefixed), 0, &it->rendered, &it->plain, &next, e)) <
                0)
            return r;
        if (next == 0 || next > n) { /* else there is no room for it */
            it->source = view_of(it->prefixed.p, next ? next : it->prefixed.n);
            it->next = next ? next - n : 0;
            return 0;
        }
        buf_reset(&it->rendered, 4096);
        buf_reset(&it->plain, 4096);
    }
    if ((r = chunk_next(ops, it->text, it->from, &it->rendered, &it->plain, &it->next, e)) < 0)
        return r;
    it->source =
        view_of(it->text.p + it->from, (it->next ? it->next : (uint32_t)it->text.n) - it->from);
    return 0;
}

static void run(struct item *it)
{
    struct channel *c = it->c;
    struct err e = ERR_INIT;

    if (c->life != LIFE_UP) {
        refuse(it, CHANNEL_LATER, "the channel is not connected");
        return;
    }
    if (it->off) {
        char why[96];

        (void)snprintf(why, sizeof(why), "switched off: channels.%s.actions.%s", c->id, it->off);
        refuse(it, CHANNEL_PERMANENT, why);
        return;
    }
    if (it->from == 0 && it->draft) {
        char id[CHANNEL_ID_BYTES + 1];

        if (draft_take(c, it->draft, id, on_again, it))
            return; /* what it shows is being sent just now */
        if (id[0])
            memcpy(it->shown, id, sizeof(id));
    }
    if (it->kind == DELIVER_KIND_TEXT && !it->op.text.n) {
        if (cut(it, &e) < 0) {
            refuse(it, CHANNEL_PERMANENT, e.text);
            return;
        }
        it->op.text = buf_view(&it->rendered);
        it->op.plain = buf_view(&it->plain);
        it->op.source = it->source;
        it->op.extra = it->next ? NULL : it->extra;
        if (it->op.text.n == 0) { /* nothing but marks: there is nothing to say */
            finish(it, &(struct channel_result){.outcome = CHANNEL_SENT});
            return;
        }
    }
    it->state = ITEM_RUNNING;
    to_platform(it);
}

static void on_again(void *ctx)
{
    run(ctx);
}

/* Edits, removals and reactions may be done twice without harm. */
static void edit_done(struct item *it, const struct channel_result *r)
{
    struct channel_result mine = *r;

    if (mine.outcome == CHANNEL_UNKNOWN)
        mine.outcome = CHANNEL_TRANSIENT;
    if (mine.outcome == CHANNEL_SENT && mine.message_id.n == 0)
        mine.message_id = it->op.message_id;
    finish(it, &mine);
}

void channel_done(struct channel *c, struct channel_op *op, const struct channel_result *r)
{
    struct item *it = (struct item *)((char *)op - offsetof(struct item, op));

    if (draft_op_done(c, op, r) || it->state != ITEM_RUNNING)
        return;
    if (it->editing && r->outcome == CHANNEL_PERMANENT) { /* it was removed: said anew */
        it->shown[0] = '\0';
        it->op.message_id = VIEW_EMPTY;
        it->state = ITEM_WAITING;
        loop_timer_set(&it->again, 0);
        return;
    }
    if ((it->editing || it->kind != DELIVER_KIND_TEXT) && it->kind != DELIVER_KIND_POLL) {
        edit_done(it, r);
        return;
    }
    finish(it, r);
}

/* ---- the hub ---- */

static struct view copy(struct buf *b, struct view v)
{
    size_t at = b->n;

    buf_put_view(b, v);
    return view_of((const char *)at, v.n); /* an offset until the buffer stands still */
}

static void settle(const struct buf *b, struct view *v)
{
    *v = v->n ? view_of(buf_view(b).p + (uintptr_t)v->p, v->n) : VIEW_EMPTY;
}

/* Which message it replies to: what was asked for, or what mode and model say of an answer. */
static void reply_mode(struct item *it, uint32_t options)
{
    struct view mode = json_view(it->c->conf, "replyToMode");
    struct tags t = {.reply_to = VIEW_EMPTY};
    bool all = view_eq(mode, V("all")),
         first = view_eq(mode, V("first")) || view_eq(mode, V("batched"));

    if (!(options & DELIVER_ANSWER))
        return;
    it->answer = true;
    tags_read(it->text, &it->said, &t);
    if (!it->said.failed)
        it->text = buf_view(&it->said);
    if (!(it->c->ops->caps & CHANNEL_CAN_REPLY) ||
        !(all || (it->from == 0 && (first || t.reply_to_current || t.reply_to.n))))
        it->op.reply_to = VIEW_EMPTY;
    else if (t.reply_to.n)
        it->op.reply_to = t.reply_to;
}

/* {messageId, text, emoji, remove} of an action. */
static int read_action(struct item *it, struct err *e)
{
    int r;

    if ((r = json_parse(it->text, &it->doc, e)) < 0)
        return r;
    it->op.message_id = json_view(it->doc, "messageId");
    it->op.emoji = json_view(it->doc, "emoji");
    it->op.remove = json_flag(it->doc, "remove", false);
    it->op.extra = json_object_get(it->doc, "extra");
    if (it->kind != DELIVER_KIND_EDIT)
        return 0;
    if ((r = chunk_next(it->c->ops, json_view(it->doc, "text"), 0, &it->rendered, &it->plain,
                        &it->next, e)) < 0)
        return r;
    it->next = 0; /* what does not fit is left out: an edit is one message */
    it->op.text = buf_view(&it->rendered);
    it->op.plain = buf_view(&it->plain);
    it->op.source = json_view(it->doc, "text");
    return 0;
}

/* What the platform has no form for is said in words. The same each time, so that a text goes on
 * where it stopped. */
static int in_words(struct item *it, struct err *e)
{
    unsigned caps = it->c->ops->caps;

    if (it->kind == DELIVER_KIND_POLL && !(caps & CHANNEL_CAN_POLL)) {
        extra_poll(it->doc, &it->words_instead);
        it->kind = DELIVER_KIND_TEXT;
        it->op.poll = NULL;
    } else if (it->kind == DELIVER_KIND_TEXT && it->extra && !(caps & CHANNEL_CAN_BUTTONS)) {
        struct buf labels = BUF_INIT(CHANNEL_TEXT_BYTES);

        extra_labels(it->extra, &labels);
        buf_put_view(&it->words_instead, it->text);
        buf_printf(&it->words_instead, "%s%.*s", it->text.n && labels.n ? "\n\n" : "",
                   VIEW_FMT(buf_view(&labels)));
        it->words_instead.failed |= labels.failed;
        buf_fini(&labels);
    } else {
        return 0;
    }
    it->text = buf_view(&it->words_instead);
    return buf_check(&it->words_instead, e);
}

static int take(struct item *it, const struct ipc_deliver *m, struct err *e)
{
    struct view *all[] = {&it->op.target, &it->op.thread, &it->op.reply_to, &it->op.client_id,
                          &it->text};
    const struct view from[] = {m->target, m->thread, m->reply_to, m->client_id, m->text};
    int r;

    buf_reset(&it->words, 0);
    for (size_t i = 0; i < COUNT_OF(all); i++)
        *all[i] = copy(&it->words, from[i]);
    if ((r = buf_check(&it->words, e)) < 0)
        return r;
    for (size_t i = 0; i < COUNT_OF(all); i++)
        settle(&it->words, all[i]);
    it->kind = m->kind;
    it->from = m->from;
    it->op.silent = m->options & DELIVER_SILENT;
    it->draft = m->draft;
    it->off = m->options & DELIVER_ACTION ? extra_switched_off(it->c->conf, m->kind) : NULL;
    (void)snprintf(it->shown, sizeof(it->shown), "%.*s", VIEW_FMT(m->shown));
    if (m->kind == DELIVER_KIND_POLL) {
        if ((r = json_parse(it->text, &it->doc, e)) < 0)
            return r;
        it->op.poll = it->doc;
    }
    if (m->kind == DELIVER_KIND_TEXT) {
        reply_mode(it, m->options);
        if (m->extra.n && m->options & DELIVER_LAST &&
            (r = json_parse(m->extra, &it->extra, e)) < 0)
            return r;
    } else if (m->kind != DELIVER_KIND_POLL) {
        return read_action(it, e);
    }
    return in_words(it, e);
}

static void clear(struct item *it)
{
    if (it->again.loop)
        loop_timer_fini(&it->again);
    buf_fini(&it->words);
    buf_fini(&it->rendered);
    buf_fini(&it->plain);
    buf_fini(&it->said);
    buf_fini(&it->prefixed);
    buf_fini(&it->words_instead);
    json_decref(it->doc);
    json_decref(it->extra);
    *it = (struct item){.state = ITEM_FREE};
}

int out_on_deliver(void *ctx, struct link *from, struct ipc_deliver *m, struct err *e)
{
    struct channel *c = ctx;
    struct item *it = NULL;
    struct err why = ERR_INIT;

    if (from != channel_hub(c)) /* its successor was told that we do not have it */
        return 0;
    if (!c->out) { /* who never speaks pays nothing */
        if (mem_new(&c->out, sizeof(*c->out), e) < 0)
            return e->code;
        loop_timer_init(&c->out->repeat, c->w.loop, out_repeat, c);
    }
    for (size_t i = 0; i < ITEMS_MAX && !it; i++)
        if (c->out->items[i].state == ITEM_FREE)
            it = &c->out->items[i];
    if (!it)
        return err_set(e, ERR_LIMIT, "deliver: more than %d at once", (int)ITEMS_MAX);
    *it = (struct item){.c = c,
                        .state = ITEM_WAITING,
                        .res = {.delivery_id = m->delivery_id,
                                .attempt = m->attempt,
                                .part = m->part,
                                .from = m->from,
                                .message_id = VIEW_EMPTY,
                                .error = VIEW_EMPTY}};
    buf_init(&it->words, CHANNEL_TEXT_BYTES + 8192);
    buf_init(&it->rendered, 4 * CHANNEL_TEXT_BYTES);
    buf_init(&it->plain, CHANNEL_TEXT_BYTES);
    buf_init(&it->said, CHANNEL_TEXT_BYTES);
    buf_init(&it->prefixed, CHANNEL_TEXT_BYTES + PREFIX_BYTES + 1);
    buf_init(&it->words_instead, 2 * CHANNEL_TEXT_BYTES);
    loop_timer_init(&it->again, c->w.loop, on_again, it);
    if (take(it, m, &why) < 0)
        refuse(it, why.code == ERR_NOMEM ? CHANNEL_TRANSIENT : CHANNEL_PERMANENT, why.text);
    else
        run(it);
    return 0;
}

int out_on_ack(void *ctx, struct link *from, struct ipc_deliver_ack *m, struct err *e)
{
    struct channel *c = ctx;
    bool more = false;

    (void)from;
    (void)e;
    for (size_t i = 0; c->out && i < ITEMS_MAX; i++) {
        struct item *it = &c->out->items[i];

        if (it->state == ITEM_DONE && it->res.delivery_id == m->delivery_id &&
            it->res.attempt == m->attempt && it->res.part == m->part && it->res.from == m->from)
            clear(it);
        more = more || it->state == ITEM_DONE;
    }
    if (c->out && !more)
        loop_timer_clear(&c->out->repeat);
    return 0;
}

void out_tell(struct channel *c, struct link *hub)
{
    for (size_t i = 0; c->out && i < ITEMS_MAX; i++)
        if (c->out->items[i].state == ITEM_DONE)
            tell(&c->out->items[i], hub);
}

void out_under_way(const struct channel *c, struct buf *ids)
{
    for (size_t i = 0; c->out && i < ITEMS_MAX; i++) {
        const struct ipc_deliver_result *r = &c->out->items[i].res;
        uint64_t id = htole64(r->delivery_id);
        uint32_t n[] = {htole32(r->attempt), htole32(r->part), htole32(r->from)};

        if (c->out->items[i].state == ITEM_FREE)
            continue;
        buf_put(ids, &id, sizeof(id));
        buf_put(ids, n, sizeof(n));
    }
}

bool out_idle(const struct channel *c)
{
    for (size_t i = 0; c->out && i < ITEMS_MAX; i++)
        if (c->out->items[i].state == ITEM_RUNNING)
            return false;
    return true;
}

void out_close(struct channel *c)
{
    if (!c->out)
        return;
    for (size_t i = 0; i < ITEMS_MAX; i++)
        clear(&c->out->items[i]);
    loop_timer_fini(&c->out->repeat);
    mem_free(c->out);
    c->out = NULL;
}
