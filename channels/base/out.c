/* channels/base/out.c - what the hub wants to be said: one part at a time to the platform, its
 * result kept until the hub has it on disk and told to every new hub before anything else. */
#include "channel_int.h"
#include "draft.h"
#include "errors.h"
#include "extra.h"
#include "media.h"
#include "out_item.h"

#include "clock.h"
#include "log.h"

#include <endian.h>
#include <stdio.h>

enum {
    ITEMS_MAX = 64, /* the hub has at most 32 with us, and each leaves with its ack */
    REPEAT_MS =
        5000, /* a hub that has not acknowledged a result is told it again: it had no room, */
    REPEAT_MAX_MS = 60000, /* or its word was lost; twice means nothing to it */
    CLEAR_MAX_MS = 30000,  /* a preview that cannot be taken away yet is waited for */
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
    log_debug("channel.delivered", KV("delivery", it->res.delivery_id), KV("part", it->res.part),
              KV("outcome", (int)r->outcome));
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
    media_part_free(&it->media);
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

/* An edit brings no files: what shows the answer goes, and it is said anew. true: wait for that. */
static bool clears(struct item *it)
{
    if (!it->op.media_n || !it->shown[0])
        return false;
    if (!(it->c->ops->caps & CHANNEL_CAN_DELETE)) {
        it->shown[0] = '\0';
        it->cleared = true;
        return false;
    }
    it->state = ITEM_CLEARING;
    it->clearing = (struct channel_op){.target = it->op.target,
                                       .thread = it->op.thread,
                                       .message_id = view_str(it->shown),
                                       .remove = true};
    it->c->ops->remove(it->c, &it->clearing);
    return true;
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
    if (it->why_only && it->from == 0 && errors_held(c, it->op.target, it->text)) {
        finish(it, &(struct channel_result){.outcome = CHANNEL_SENT});
        return;
    }
    if (it->from == 0 && it->draft) {
        char id[CHANNEL_ID_BYTES + 1];

        if (draft_take(c, it->draft, id, on_again, it))
            return; /* what it shows is being sent just now */
        if (id[0] && !it->cleared)
            memcpy(it->shown, id, sizeof(id));
    }
    if (it->kind == DELIVER_KIND_TEXT && !it->op.text.n) {
        if (item_cut(it, &e) < 0) {
            refuse(it, CHANNEL_PERMANENT, e.text);
            return;
        }
        it->op.text = buf_view(&it->rendered);
        it->op.plain = buf_view(&it->plain);
        it->op.source = it->source;
        it->op.extra = it->next || !it->last || !extra_any(it->extra) ? NULL : it->extra;
        if (it->op.text.n == 0 && !it->op.media_n) { /* nothing but marks */
            finish(it, &(struct channel_result){.outcome = CHANNEL_SENT});
            return;
        }
    }
    if (clears(it))
        return;
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

/* Gone, or it cannot be helped: it is said now. */
static void cleared(struct item *it, const struct channel_result *r)
{
    bool later = r->outcome == CHANNEL_TRANSIENT || r->outcome == CHANNEL_LATER;
    uint32_t wait = later && r->retry_after_ms <= CLEAR_MAX_MS ? r->retry_after_ms : 0;

    it->state = ITEM_WAITING;
    it->cleared = !wait;
    if (it->cleared)
        it->shown[0] = '\0';
    loop_timer_set(&it->again, wait);
}

static struct item *clearing(const struct channel *c, const struct channel_op *op)
{
    for (size_t i = 0; c->out && i < ITEMS_MAX; i++)
        if (op == &c->out->items[i].clearing)
            return &c->out->items[i];
    return NULL;
}

void channel_done(struct channel *c, struct channel_op *op, const struct channel_result *r)
{
    struct item *it = clearing(c, op);

    if (it && it->state == ITEM_CLEARING)
        cleared(it, r);
    if (it || draft_op_done(c, op, r))
        return;
    it = (struct item *)((char *)op - offsetof(struct item, op));
    if (it->state != ITEM_RUNNING)
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
    media_part_free(&it->media);
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
    log_debug("channel.deliver", KV("delivery", m->delivery_id), KV("part", m->part),
              KV("attempt", m->attempt), KV("run", m->run));
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
    buf_init(&it->prefixed, 2 * CHANNEL_TEXT_BYTES);
    buf_init(&it->words_instead, 2 * CHANNEL_TEXT_BYTES);
    loop_timer_init(&it->again, c->w.loop, on_again, it);
    if (media_take(c, m, &it->media, &why) < 0 || item_take(it, m, &why) < 0)
        refuse(it,
               why.code == ERR_NOMEM || why.code == ERR_AGAIN ? CHANNEL_TRANSIENT
                                                              : CHANNEL_PERMANENT,
               why.text);
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
        if (c->out->items[i].state == ITEM_RUNNING || c->out->items[i].state == ITEM_CLEARING)
            return false;
    return true;
}

void out_close(struct channel *c)
{
    errors_close(c);
    media_forget(c);
    mem_free(c->blobs);
    c->blobs = NULL;
    if (!c->out)
        return;
    for (size_t i = 0; i < ITEMS_MAX; i++)
        clear(&c->out->items[i]);
    loop_timer_fini(&c->out->repeat);
    mem_free(c->out);
    c->out = NULL;
}
