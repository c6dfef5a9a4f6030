/* channels/telegram/tg_in.c - updates become messages for the hub. An album comes as several
 * messages; they are held until none has come for a while, and are one message then. */
#include "tg_int.h"
#include "tg_target.h"

#include "json.h"
#include "log.h"
#include "mem.h"

#include <stdio.h>

static void safe(const struct tg_ticket *t)
{
    if (t->taken)
        t->taken(t->ctx, t->tag);
}

/* A group that moved is known by its first id: its session, its bindings and its section of the
 * configuration go on. Unless the configuration names the new one. */
static void rename_moved(struct telegram *x, struct tg_update *u)
{
    int64_t first = tg_state_from(&x->state, u->chat);
    const json_t *groups = json_object_get(channel_conf(x->c), "groups");

    if (first != u->chat && !json_object_getn(groups, u->ev.target.p, u->ev.target.n))
        tg_update_rename(u, first);
}

/* 0: handed over; t is called then. What is no usable message is safe at once. */
static int hand_over(struct telegram *x, struct tg_update *u, const struct tg_ticket *t,
                     struct err *e)
{
    int r;

    rename_moved(x, u);
    r = channel_inbound(x->c, &u->ev, t->taken, t->ctx, t->tag, e);
    if (r == 0 || r == ERR_AGAIN || r == ERR_NOMEM)
        return r < 0 ? ERR_AGAIN : 0;
    log_info("telegram.not_usable", KV("why", e->text));
    safe(t);
    return 0;
}

/* ---- albums ---- */

static void forget_album(struct tg_album *a)
{
    for (unsigned i = 0; i < a->n; i++)
        json_decref(a->docs[i]);
    loop_timer_clear(&a->timer);
    a->used = a->offered = false;
    a->n = 0;
}

static void on_album_taken(void *ctx, uint64_t tag)
{
    struct tg_album *a = ctx;
    struct tg_ticket tickets[TG_ALBUM_MAX];
    unsigned n = a->n;

    (void)tag;
    memcpy(tickets, a->tickets, sizeof(tickets));
    forget_album(a);
    for (unsigned i = 0; i < n; i++)
        safe(&tickets[i]);
}

/* One message: the first one's sender and id, everybody's captions and files. */
static int offer_album(struct tg_album *a, struct err *e)
{
    struct tg_update *us;
    struct channel_media media[TG_ALBUM_MAX];
    struct tg_ticket t = {.taken = on_album_taken, .ctx = a};
    struct buf text = BUF_INIT(CHANNEL_TEXT_BYTES);
    unsigned n = 0, count = a->n;
    int r;

    if (!(us = mem_calloc(count, sizeof(*us))))
        return ERR_AGAIN;
    for (unsigned i = 0; i < count; i++) {
        tg_update_read(&us[i], a->docs[i], &a->x->bot);
        if (us[i].ev.media_n)
            media[n++] = us[i].media;
        if (us[i].ev.text.n) {
            if (text.n)
                buf_put_char(&text, '\n');
            buf_put_view(&text, us[i].ev.text);
        }
        if (us[i].ev.mention == MENTION_SELF)
            us[0].ev.mention = MENTION_SELF;
    }
    us[0].ev.media = media;
    us[0].ev.media_n = n;
    if (text.n && !text.failed)
        us[0].ev.text = buf_view(&text);
    a->offered = true;
    if ((r = hand_over(a->x, &us[0], &t, e)) < 0)
        a->offered = false;
    for (unsigned i = 0; i < count; i++)
        tg_update_fini(&us[i]);
    mem_free(us);
    buf_fini(&text);
    return r;
}

static void on_album_time(void *ctx)
{
    struct tg_album *a = ctx;
    struct err e = ERR_INIT;

    if (offer_album(a, &e) < 0)
        loop_timer_set(&a->timer, TG_ALBUM_MS);
}

static struct tg_album *album_of(struct telegram *x, const struct tg_update *u)
{
    struct tg_album *room = NULL;

    for (unsigned i = 0; i < TG_ALBUMS_MAX; i++) {
        struct tg_album *a = &x->albums[i];

        if (!a->used)
            room = a;
        else if (!a->offered && a->chat == u->chat && a->n < TG_ALBUM_MAX &&
                 view_eq(view_str(a->id), u->album))
            return a;
    }
    if (!room || u->album.n >= sizeof(room->id))
        return NULL;
    (void)snprintf(room->id, sizeof(room->id), "%.*s", VIEW_FMT(u->album));
    room->used = true;
    room->chat = u->chat;
    return room;
}

static void keep(struct tg_album *a, json_t *doc, const struct tg_ticket *t)
{
    a->docs[a->n] = json_incref(doc);
    a->tickets[a->n++] = *t;
    loop_timer_set(&a->timer, TG_ALBUM_MS);
}

void tg_in_init(struct telegram *x)
{
    for (unsigned i = 0; i < TG_ALBUMS_MAX; i++) {
        x->albums[i].x = x;
        loop_timer_init(&x->albums[i].timer, channel_loop(x->c), on_album_time, &x->albums[i]);
    }
}

void tg_in_drop(struct telegram *x, bool all)
{
    for (unsigned i = 0; i < TG_ALBUMS_MAX; i++) {
        struct tg_album *a = &x->albums[i];

        if (!a->used || (a->offered && !all))
            continue;
        for (unsigned j = 0; j < a->n && !x->conf.hook_url; j++)
            tg_seen_forget(&x->state.seen, (int64_t)a->tickets[j].tag); /* they come again */
        forget_album(a);
    }
}

/* ---- buttons ---- */

static void on_answered(void *ctx, const struct chan_http_answer *a, const struct tg_reply *r)
{
    char words[240];

    (void)ctx;
    if (r && r->ok)
        return;
    tg_words(words, "answerCallbackQuery", a, r);
    log_info("telegram.button_unanswered", KV("why", words));
}

/* At once: until then the person's client shows that it waits. */
static void answer_button(struct telegram *x, struct view id)
{
    struct buf b = BUF_INIT(1024);
    struct jw w = JW_INIT(&b);
    struct err e = ERR_INIT;

    jw_obj(&w);
    jw_kstr(&w, "callback_query_id", id);
    jw_obj_end(&w);
    if (buf_check(&b, &e) < 0 || tg_call(x, "answerCallbackQuery", buf_view(&b), NULL, 0,
                                         x->conf.call_ms, on_answered, x, NULL, &e) < 0)
        log_warn("telegram.button_unanswered", KV("why", e.text));
    buf_fini(&b);
}

static bool may_press(const struct telegram *x, const struct tg_update *u)
{
    bool direct = u->ev.kind == PEER_DIRECT;

    return u->ev.update_id.n && u->ev.text.n &&
           (x->conf.buttons == TG_BUTTONS_ALL ||
            x->conf.buttons == (direct ? TG_BUTTONS_DM : TG_BUTTONS_GROUP));
}

/* ---- one update ---- */

/* Whether it is told, and in which topic it is. */
static bool is_told(const struct telegram *x, struct tg_update *u)
{
    int64_t thread = 0;
    bool own = false, found = tg_sent_find(&x->sent, u->chat, u->on, &thread, &own);

    if (x->conf.notify == TG_NOTIFY_OFF || (x->conf.notify == TG_NOTIFY_OWN && !own))
        return false;
    if (u->forum && (!found || !thread)) /* nobody says where it belongs */
        return false;
    if (u->forum)
        tg_update_topic(u, thread);
    return true;
}

static int act(struct telegram *x, struct tg_update *u, json_t *doc, const struct tg_ticket *t,
               struct err *e)
{
    struct tg_album *a;

    switch (u->kind) {
    case TG_MESSAGE:
        tg_sent_put(&x->sent, u->chat, tg_number(u->ev.message_id), u->thread, false);
        if (u->other_bot)
            break;
        if (u->album.n && (a = album_of(x, u))) {
            keep(a, doc, t);
            return 0;
        }
        return hand_over(x, u, t, e);
    case TG_BUTTON:
        answer_button(x, u->callback_id);
        if (may_press(x, u))
            return hand_over(x, u, t, e);
        break;
    case TG_REACTION:
        if (is_told(x, u))
            return hand_over(x, u, t, e);
        break;
    case TG_EDITED:
        if (!u->other_bot)
            return hand_over(x, u, t, e);
        break;
    case TG_MOVED:
        tg_moved(x, u->from, u->to);
        break;
    case TG_NOTHING:
        break;
    }
    safe(t);
    return 0;
}

int tg_in_update(struct telegram *x, json_t *doc, const struct tg_ticket *t, struct err *e)
{
    struct tg_update u;
    int r;

    tg_update_read(&u, doc, &x->bot);
    r = act(x, &u, doc, t, e);
    tg_update_fini(&u);
    return r;
}
