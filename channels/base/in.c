/* channels/base/in.c - what people write: judged, offered to the hub until it is safe there, and
 * only then said to be taken. In the order in which it came. A message with files is offered
 * without them first; when the hub wants it they are fetched, and what was written in the same
 * conversation behind it waits, unless the hub finds that it is the word that stops what runs. */
#include "access.h"
#include "channel_int.h"
#include "media.h"

#include "clock.h"
#include "json.h"
#include "jw.h"
#include "log.h"
#include "utf8.h"

#include <stdio.h>

enum {
    PENDING_MAX = 512, /* more than a platform gives out in one go */
    PENDING_BYTES = 8 << 20,
    PEER_BYTES = 16 << 10, /* ipc.def: inbound.peer */
    REPEAT_MS = 30000,     /* a hub that says nothing is offered it again; twice means nothing */
    REPEAT_MAX_MS = 300000,
    HELD_BYTES = 32,  /* of them what put_held adds */
    UNTOLD_MS = 1000, /* the line to the hub is full, or there is no memory */
};

enum what {
    WHAT_INBOUND,
    WHAT_ASK,
    WHAT_NOTHING,
    WHAT_TWIN, /* the platform says again what is not safe yet: taken with the first one */
};

enum stage {
    STAGE_READY,
    STAGE_FILES,    /* offered without its files; the hub has not said whether it wants it */
    STAGE_FETCHING, /* it wants it */
    STAGE_TURN,     /* offered, but not its turn */
    STAGE_WAITING,  /* for its turn; the hub knows nothing else to do with it */
};

struct pending {
    struct channel *c;
    struct pending *next;
    enum what what;
    enum stage stage;
    struct media *media; /* owned; NULL: no files */
    struct buf words;    /* owned; the views below point into it */
    struct view update_id, peer, text, sender, target, id_line, talk;
    channel_taken *taken;
    void *ctx;
    uint64_t tag;
    size_t bytes;
};

struct in {
    struct pending *first, **end;
    unsigned count, unready; /* unready: inbound ones that are not STAGE_READY */
    unsigned filed;          /* those with files */
    size_t bytes;
    struct loop_timer again, repeat;
    uint32_t repeat_ms;
    struct loop_task done; /* what means nothing is taken at the end of the turn */
};

/* ---- towards the hub ---- */

/* The peer with one member more: why the message is not whole, or not due. */
static void put_held(struct buf *out, struct view peer, const char *held)
{
    buf_put(out, peer.p, peer.n - 1);
    buf_printf(out, ",\"held\":\"%s\"}", held);
}

static int offer_inbound(struct link *hub, const struct pending *p, struct err *e)
{
    struct buf text = BUF_INIT(CHANNEL_TEXT_BYTES), peer = BUF_INIT(PEER_BYTES);
    struct ipc_inbound m = {.update_id = p->update_id, .peer = p->peer, .text = p->text};
    int r = 0;

    if (p->media) {
        media_text(p->media, p->text, &text);
        m.text = text.failed ? p->text : buf_view(&text);
    }
    if (p->stage == STAGE_READY)
        r = media_tell(p->media, hub, p->update_id, e);
    else
        put_held(&peer, p->peer, p->stage == STAGE_FILES ? "files" : "turn");
    if (peer.n)
        m.peer = buf_view(&peer);
    if (r == 0 && (r = buf_check(&peer, e)) == 0)
        r = msg_send_inbound(hub, &m, e);
    buf_fini(&text);
    buf_fini(&peer);
    return r;
}

static void offer(struct channel *c, const struct pending *p)
{
    struct link *hub = channel_hub(c);
    struct err e = ERR_INIT;
    int r = 0;

    if (!hub || p->stage == STAGE_FETCHING || p->stage == STAGE_WAITING)
        return;
    if (p->what == WHAT_INBOUND)
        r = offer_inbound(hub, p, &e);
    else if (p->what == WHAT_ASK)
        r = msg_send_pairing_ask(hub,
                                 &(struct ipc_pairing_ask){.update_id = p->update_id,
                                                           .sender = p->sender,
                                                           .target = p->target,
                                                           .id_line = p->id_line,
                                                           .meta = p->peer},
                                 &e);
    if (r == 0)
        return;
    log_warn("channel.inbound_untold", KV("why", e.text));
    if (!loop_timer_pending(&c->in->again))
        loop_timer_set(&c->in->again, UNTOLD_MS);
}

void in_tell(struct channel *c)
{
    loop_timer_clear(&c->in->again);
    for (const struct pending *p = c->in->first; p; p = p->next)
        offer(c, p);
}

static void on_again(void *ctx)
{
    in_tell(ctx);
}

static void expect_word(struct in *in)
{
    if (!loop_timer_pending(&in->repeat))
        loop_timer_set(&in->repeat, in->repeat_ms = REPEAT_MS);
}

void in_repeat(void *ctx)
{
    struct channel *c = ctx;
    struct in *in = c->in;

    if (!in->first)
        return;
    in_tell(c);
    in->repeat_ms = in->repeat_ms < REPEAT_MAX_MS / 2 ? in->repeat_ms * 2 : REPEAT_MAX_MS;
    loop_timer_set(&in->repeat, in->repeat_ms);
}

/* It is safe, or means nothing. */
static void taken(struct channel *c, struct pending **at)
{
    struct in *in = c->in;
    struct pending *p = *at;

    *at = p->next;
    if (in->end == &p->next)
        in->end = at;
    in->count--;
    in->unready -= p->stage != STAGE_READY;
    in->filed -= p->media != NULL;
    in->bytes -= p->bytes;
    if (p->taken)
        p->taken(p->ctx, p->tag);
    media_free(&p->media);
    buf_fini(&p->words);
    mem_free(p);
}

/* ---- whose turn it is ---- */

/* One before it in the same conversation is not with the hub yet: one with files when it is safe
 * there, for the hub writes large ones to its disk in steps and takes others up meanwhile. */
static bool is_behind(const struct in *in, const struct pending *p)
{
    for (const struct pending *q = in->first; (in->unready || in->filed) && q && q != p;
         q = q->next)
        if (q->what == WHAT_INBOUND && (q->stage != STAGE_READY || q->media) &&
            view_eq(q->talk, p->talk))
            return true;
    return false;
}

static bool has_files(const struct pending *p)
{
    return p->media && !media_ended(p->media);
}

static void advance(struct channel *c)
{
    struct in *in = c->in;

    for (struct pending *p = in->first; in->unready && p; p = p->next) {
        if (p->stage == STAGE_READY || p->stage == STAGE_FILES || has_files(p) || is_behind(in, p))
            continue;
        p->stage = STAGE_READY;
        in->unready--;
        offer(c, p);
    }
}

static void on_files(void *ctx)
{
    struct pending *p = ctx;

    advance(p->c);
}

int in_on_want(void *ctx, struct link *from, struct ipc_inbound_want *m, struct err *e)
{
    struct channel *c = ctx;

    (void)from;
    (void)e;
    for (struct pending *p = c->in->first; p; p = p->next) {
        if (p->what != WHAT_INBOUND || !view_eq(p->update_id, m->update_id))
            continue;
        if (p->stage == STAGE_FILES) {
            p->stage = STAGE_FETCHING;
            media_fetch(p->media);
        } else if (p->stage == STAGE_TURN) {
            p->stage = STAGE_WAITING;
        }
        break;
    }
    return 0;
}

static void on_done(void *ctx)
{
    struct channel *c = ctx;

    for (struct pending **at = &c->in->first; *at;)
        if ((*at)->what == WHAT_NOTHING)
            taken(c, at);
        else
            at = &(*at)->next;
    life_resume_again(c);
}

int in_on_ack(void *ctx, struct link *from, struct ipc_inbound_ack *m, struct err *e)
{
    struct channel *c = ctx;

    (void)from;
    (void)e;
    loop_timer_clear(&c->in->repeat); /* it lives */
    if (c->in->count > 1)
        expect_word(c->in);
    if (m->retry_after_ms) {
        if (!loop_timer_pending(&c->in->again))
            loop_timer_set(&c->in->again, m->retry_after_ms);
        return 0;
    }
    for (struct pending **at = &c->in->first; *at;)
        if ((*at)->what != WHAT_NOTHING && view_eq((*at)->update_id, m->update_id))
            taken(c, at);
        else
            at = &(*at)->next;
    advance(c);
    life_resume_again(c);
    return 0;
}

bool in_all_safe(const struct channel *c)
{
    return c->in->count == 0;
}

bool channel_has_room(const struct channel *c)
{
    return c->in->count < PENDING_MAX && c->in->bytes < PENDING_BYTES;
}

/* ---- from the platform ---- */

static const char *kind_name(enum channel_peer k)
{
    return k == PEER_DIRECT ? "direct" : k == PEER_GROUP ? "group" : "channel";
}

static void put(struct jw *w, const char *key, struct view v)
{
    if (v.n)
        jw_kstr(w, key, v);
}

/* What the hub decides by: whether a group's message is for the agent, whose word counts
 * (workers/hub/source.h). */
static void write_facts(struct channel *c, const struct channel_event *ev, const struct access *a,
                        struct jw *w)
{
    const json_t *group = c->ops->group_conf ? c->ops->group_conf(c, ev) : NULL, *history;
    char room[24];
    bool listed;

    if (!group)
        group = access_group(c->conf, ev, &listed);
    history = json_object_get(group, "historyLimit");
    if (!history)
        history = json_object_get(c->conf, "historyLimit");
    jw_kbool(w, "commands", a->may_command);
    jw_kbool(w, "mentioned", ev->mention == MENTION_SELF);
    jw_kbool(w, "mentionsOthers", ev->mention == MENTION_OTHER);
    jw_kbool(w, "repliesToUs", ev->reply_to_self);
    if (ev->kind != PEER_DIRECT)
        jw_kbool(w, "requireMention", access_mention_needed(c->conf, group));
    else
        put(w, "ownerId", access_owner(c->ops, c->conf, &ev->from, room));
    if (json_is_integer(history))
        jw_ki64(w, "historyLimit", json_integer_value(history));
    if (ev->media_n)
        jw_kbool(w, "media", true);
    if (ev->role_n) {
        jw_key(w, "roles");
        jw_arr(w);
        for (unsigned i = 0; i < ev->role_n; i++)
            jw_str(w, ev->roles[i]);
        jw_arr_end(w);
    }
}

/* quote: also what it answers. */
static void write_peer(struct channel *c, const struct channel_event *ev, const struct access *a,
                       bool quote, struct buf *out)
{
    struct jw w = JW_INIT(out);

    jw_obj(&w);
    jw_kcstr(&w, "kind", kind_name(ev->kind));
    jw_kstr(&w, "id", ev->peer);
    put(&w, "to", ev->target);
    put(&w, "name", ev->peer_name);
    if (ev->parent.n) {
        jw_kcstr(&w, "parentKind", kind_name(ev->parent_kind));
        jw_kstr(&w, "parentId", ev->parent);
    }
    put(&w, "guildId", ev->guild);
    put(&w, "teamId", ev->team);
    put(&w, "threadId", ev->thread);
    put(&w, "keyThread", ev->key_thread);
    put(&w, "messageId", ev->message_id);
    if (c->ops->caps & CHANNEL_CAN_REPLY)
        put(&w, "replyTo", ev->message_id);
    jw_kstr(&w, "senderId", ev->from.id);
    put(&w, "senderName", ev->from.name);
    put(&w, "senderUsername", ev->from.username);
    write_facts(c, ev, a, &w);
    if (ev->command)
        jw_kbool(&w, "command", true);
    if (ev->event)
        jw_kbool(&w, "event", true);
    put(&w, "quotedId", ev->reply_to);
    put(&w, "quotedText", quote ? ev->reply_text : VIEW_EMPTY);
    put(&w, "quotedSender", ev->reply_sender);
    if (ev->sent_ms)
        jw_ki64(&w, "sentAt", ev->sent_ms);
    if (ev->extra.n)
        jw_kraw(&w, "extra", ev->extra);
    jw_obj_end(&w);
}

/* What a person typed, without what no person types. */
static void put_text(struct buf *out, struct view t)
{
    for (size_t i = 0; i < t.n; i++) {
        unsigned char b = (unsigned char)t.p[i];

        if (b >= 0x20 ? b != 0x7f : b == '\n' || b == '\t')
            buf_put_char(out, t.p[i]);
    }
}

static void view_into(struct buf *b, size_t from, struct view *v)
{
    *v = view_of((const char *)from, b->n - from);
}

static void stand(const struct buf *b, struct view *v)
{
    *v = v->n ? view_of(buf_view(b).p + (uintptr_t)v->p, v->n) : VIEW_EMPTY;
}

static bool brings_media(const struct channel *c)
{
    return c->ops->caps & CHANNEL_CAN_MEDIA && c->ops->fetch_media;
}

/* Errors: ERR_INVALID it is more than the hub is told, ERR_NOMEM. */
static int write_words(struct channel *c, struct pending *p, const struct channel_event *ev,
                       const struct access *a, struct err *e)
{
    struct buf *b = &p->words;
    struct view *all[] = {&p->update_id, &p->peer,    &p->text, &p->sender,
                          &p->target,    &p->id_line, &p->talk};
    size_t at = 0;

    buf_put_view(b, ev->update_id);
    view_into(b, at, &p->update_id);
    at = b->n;
    write_peer(c, ev, a, true, b);
    if (b->n - at > PEER_BYTES - HELD_BYTES) { /* a quotation full of what JSON writes as \u00.. */
        buf_cut(b, at);
        write_peer(c, ev, a, false, b);
    }
    if (b->n - at > PEER_BYTES - HELD_BYTES)
        return err_set(e, ERR_INVALID, "who and where: more than %d bytes", (int)PEER_BYTES);
    view_into(b, at, &p->peer);
    at = b->n;
    if (p->what == WHAT_INBOUND)
        put_text(b, ev->text);
    if (p->what == WHAT_INBOUND && b->n == at && ev->media_n && !brings_media(c))
        buf_printf(b, "<media:%.*s>",
                   VIEW_FMT(ev->media[0].kind.n ? ev->media[0].kind : V("file")));
    view_into(b, at, &p->text);
    at = b->n;
    buf_put_view(b, ev->from.id);
    view_into(b, at, &p->sender);
    at = b->n;
    buf_put_view(b, ev->target.n ? ev->target : ev->peer);
    view_into(b, at, &p->target);
    at = b->n;
    if (p->what == WHAT_ASK && c->ops->id_line)
        c->ops->id_line(ev, b);
    view_into(b, at, &p->id_line);
    at = b->n;
    buf_put_view(b, ev->peer);
    buf_put_char(b, '\n');
    buf_put_view(b, ev->thread);
    view_into(b, at, &p->talk);
    for (size_t i = 0; i < COUNT_OF(all); i++)
        stand(b, all[i]);
    return b->failed ? err_set(e, ERR_NOMEM, "out of memory for a message") : 0;
}

static int check(const struct channel_event *ev, struct err *e)
{
    if (ev->update_id.n == 0 || ev->update_id.n > CHANNEL_ID_BYTES ||
        memchr(ev->update_id.p, '\0', ev->update_id.n))
        return err_set(e, ERR_INVALID, "the event has no usable id");
    if (ev->peer.n == 0 || ev->peer.n > CHANNEL_ID_BYTES || ev->from.id.n > CHANNEL_ID_BYTES ||
        ev->target.n > CHANNEL_TARGET_BYTES || ev->thread.n > CHANNEL_ID_BYTES ||
        ev->key_thread.n > CHANNEL_ID_BYTES || ev->message_id.n > CHANNEL_ID_BYTES ||
        ev->text.n > CHANNEL_TEXT_BYTES)
        return err_set(e, ERR_INVALID, "an id or the text of the event is empty or too long");
    return 0;
}

static bool is_twin(const struct in *in, struct view update_id)
{
    for (const struct pending *p = in->first; p; p = p->next)
        if (p->what == WHAT_INBOUND && view_eq(p->update_id, update_id))
            return true;
    return false;
}

static enum what judge(struct channel *c, const struct channel_event *ev, struct access *a)
{
    if (ev->from.self || ev->from.id.n == 0)
        return WHAT_NOTHING;
    access_judge(c->ops, c->conf, c->paired, ev,
                 c->ops->group_conf ? c->ops->group_conf(c, ev) : NULL, a);
    log_debug("channel.access", KV("channel", c->id), KV("verdict", a->why));
    switch (a->verdict) {
    case ACCESS_ALLOW:
        return is_twin(c->in, ev->update_id) ? WHAT_TWIN : WHAT_INBOUND;
    case ACCESS_ASK:
        return ev->event ? WHAT_NOTHING : WHAT_ASK;
    case ACCESS_BLOCK:
        break;
    }
    return WHAT_NOTHING;
}

int channel_inbound(struct channel *c, const struct channel_event *ev, channel_taken *on_taken,
                    void *ctx, uint64_t tag, struct err *e)
{
    struct in *in = c->in;
    struct access a = {.verdict = ACCESS_BLOCK, .why = "nobody"};
    struct pending *p;
    int r;

    if ((r = check(ev, e)) < 0)
        return r;
    if (!channel_has_room(c))
        return err_set(e, ERR_AGAIN, "%u messages are not safe yet", in->count);
    if ((r = mem_new(&p, sizeof(*p), e)) < 0)
        return r;
    p->c = c;
    p->what = judge(c, ev, &a);
    p->taken = on_taken;
    p->ctx = ctx;
    p->tag = tag;
    buf_init(&p->words, CHANNEL_TEXT_BYTES + 2 * PEER_BYTES);
    if (p->what != WHAT_NOTHING)
        r = write_words(c, p, ev, &a, e);
    if (r == 0 && p->what == WHAT_INBOUND && brings_media(c))
        r = media_new(&p->media, c, ev, on_files, p, e);
    if (r < 0) {
        buf_fini(&p->words);
        mem_free(p);
        return r;
    }
    p->stage = p->what != WHAT_INBOUND ? STAGE_READY
               : p->media              ? STAGE_FILES
               : is_behind(in, p)      ? STAGE_TURN
                                       : STAGE_READY;
    p->bytes = p->words.n + sizeof(*p) + media_bytes(p->media);
    *in->end = p;
    in->end = &p->next;
    in->count++;
    in->unready += p->stage != STAGE_READY;
    in->filed += p->media != NULL;
    in->bytes += p->bytes;
    c->inbound_at = clock_wall_ms();
    if (p->what == WHAT_NOTHING)
        loop_defer(c->w.loop, &in->done, LOOP_COMMIT);
    else if (p->what != WHAT_TWIN)
        offer(c, p);
    expect_word(in);
    return 0;
}

int in_open(struct channel *c, struct err *e)
{
    int r = mem_new(&c->in, sizeof(*c->in), e);

    if (r < 0)
        return r;
    c->in->end = &c->in->first;
    loop_timer_init(&c->in->again, c->w.loop, on_again, c);
    loop_timer_init(&c->in->repeat, c->w.loop, in_repeat, c);
    c->in->done = (struct loop_task){.run = on_done, .ctx = c};
    return 0;
}

void in_close(struct channel *c)
{
    if (!c->in)
        return;
    loop_undefer(c->w.loop, &c->in->done);
    loop_timer_fini(&c->in->again);
    loop_timer_fini(&c->in->repeat);
    while (c->in->first) {
        struct pending *p = c->in->first;

        c->in->first = p->next;
        media_free(&p->media);
        buf_fini(&p->words);
        mem_free(p);
    }
    mem_free(c->in);
    c->in = NULL;
}
