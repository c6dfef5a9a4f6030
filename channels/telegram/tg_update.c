#include "tg_update.h"

#include "json.h"
#include "mem.h"
#include "tg_buttons.h"
#include "tg_media.h"

#include <inttypes.h>
#include <stdio.h>

enum { TEXT_BYTES = CHANNEL_TEXT_BYTES, QUOTE_BYTES = 16 << 10 };

static struct view number(char room[TG_ID_BYTES], int64_t v)
{
    int n = snprintf(room, TG_ID_BYTES, "%" PRId64, v);

    return view_of(room, (size_t)n);
}

/* "first last", or a chat's title. */
static struct view name_of(const json_t *who, char room[TG_NAME_BYTES])
{
    struct view first = json_view(who, "first_name"), last = json_view(who, "last_name");
    size_t n;

    if (!first.n)
        first = json_view(who, "title");
    n = (size_t)snprintf(room, TG_NAME_BYTES, "%.*s%s%.*s", (int)(first.n < 200 ? first.n : 200),
                         first.p, last.n ? " " : "", (int)(last.n < 200 ? last.n : 200), last.p);
    return view_of(room, n < TG_NAME_BYTES ? n : TG_NAME_BYTES - 1);
}

int64_t tg_update_id(const json_t *doc)
{
    return json_i64(doc, "update_id", -1);
}

void tg_update_fini(struct tg_update *u)
{
    buf_fini(&u->text);
    buf_fini(&u->quote);
}

/* ---- who and where ---- */

/* A chat may write instead of a person: a channel, or a group's administrator who shows no name. */
static void read_sender(struct tg_update *u, const json_t *m, const struct tg_bot *bot)
{
    const json_t *from = json_object_get(m, "from"), *chat = json_object_get(m, "sender_chat");
    const json_t *who = chat ? chat : from;
    struct channel_person *p = &u->ev.from;
    int64_t id = json_i64(who, "id", 0);

    if (!who && view_eq(json_view(json_object_get(m, "chat"), "type"), V("channel"))) {
        who = json_object_get(m, "chat");
        id = json_i64(who, "id", 0);
    }
    if (!id)
        return;
    p->id = number(u->sender, id);
    p->name = name_of(who, u->name);
    p->username = json_view(who, "username");
    p->bot = !chat && json_flag(from, "is_bot", false);
    p->self = json_i64(from, "id", 0) == bot->id && !chat;
}

/* In other groups the number of a thread is only a chain of replies. */
static int64_t thread_of(const json_t *m, bool forum, bool direct)
{
    int64_t n = json_i64(m, "message_thread_id", 0);

    if (forum)
        return n > 0 ? n : TG_GENERAL;
    return direct && n > 0 && json_flag(m, "is_topic_message", false) ? n : 0;
}

static void set_peer(struct tg_update *u, int64_t peer)
{
    if (u->forum)
        (void)snprintf(u->peer, sizeof(u->peer), "%" PRId64 ":topic:%" PRId64, peer, u->thread);
    else
        (void)snprintf(u->peer, sizeof(u->peer), "%" PRId64, peer);
    u->ev.peer = view_str(u->peer);
    if (u->forum) {
        u->ev.parent = number(u->parent, peer);
        u->ev.parent_kind = PEER_GROUP;
    }
}

static bool read_place(struct tg_update *u, const json_t *m)
{
    const json_t *chat = json_object_get(m, "chat");
    struct view type = json_view(chat, "type");
    bool direct = view_eq(type, V("private"));
    int64_t id = json_i64(chat, "id", 0), from = json_i64(json_object_get(m, "from"), "id", 0);

    if (!id || (!direct && !view_eq(type, V("group")) && !view_eq(type, V("supergroup")) &&
                !view_eq(type, V("channel"))))
        return false;
    u->chat = id;
    u->forum =
        !direct && (json_flag(chat, "is_forum", false) || json_flag(m, "is_topic_message", false));
    u->thread = thread_of(m, u->forum, direct);
    u->ev.kind = direct ? PEER_DIRECT : PEER_GROUP;
    u->ev.target = number(u->target, id);
    if (u->thread)
        u->ev.thread = number(u->topic, u->thread);
    if (direct && u->thread) { /* 9.6: a topic with the bot is a session of its own */
        (void)snprintf(u->key_thread, sizeof(u->key_thread), "%" PRId64 ":%" PRId64, id, u->thread);
        u->ev.key_thread = view_str(u->key_thread);
    }
    set_peer(u, direct && from ? from : id);
    u->ev.peer_name = direct ? u->ev.from.name : json_view(chat, "title");
    return true;
}

/* ---- what it says ---- */

/* What has no text is named, so that the agent knows that there was something. */
static void put_things(struct tg_update *u, const json_t *m)
{
    const json_t *v;

    if ((v = json_object_get(m, "location")) || (v = json_object_get(m, "venue"))) {
        const json_t *at = json_object_get(v, "location") ? json_object_get(v, "location") : v;
        const json_t *lat = json_object_get(at, "latitude"),
                     *lon = json_object_get(at, "longitude");

        if (json_is_number(lat) && json_is_number(lon))
            buf_printf(&u->text, "[location %.6f, %.6f]", json_number_value(lat),
                       json_number_value(lon));
        if (json_view(v, "title").n)
            buf_printf(&u->text, " %.*s, %.*s", VIEW_FMT(json_view(v, "title")),
                       VIEW_FMT(json_view(v, "address")));
    } else if ((v = json_object_get(m, "contact"))) {
        buf_printf(&u->text, "[contact %.*s %.*s, %.*s]", VIEW_FMT(json_view(v, "first_name")),
                   VIEW_FMT(json_view(v, "last_name")), VIEW_FMT(json_view(v, "phone_number")));
    } else if ((v = json_object_get(m, "poll"))) {
        const json_t *option;
        size_t i;

        buf_printf(&u->text, "[poll] %.*s", VIEW_FMT(json_view(v, "question")));
        json_array_foreach(json_object_get(v, "options"), i, option)
            buf_printf(&u->text, "\n- %.*s", VIEW_FMT(json_view(option, "text")));
    } else if ((v = json_object_get(m, "dice"))) {
        buf_printf(&u->text, "%.*s %" PRId64, VIEW_FMT(json_view(v, "emoji")),
                   json_i64(v, "value", 0));
    }
}

static bool read_words(struct tg_update *u, const json_t *m, const struct tg_bot *bot)
{
    bool caption = !json_object_get(m, "text");
    struct tg_said said = {.mention = MENTION_NONE};

    tg_text_read(json_view(m, caption ? "caption" : "text"),
                 json_object_get(m, caption ? "caption_entities" : "entities"), bot, &said,
                 &u->text);
    u->ev.mention = said.mention;
    u->ev.command = said.command;
    u->other_bot = said.other_bots;
    if (tg_media_read(m, &u->media)) {
        u->ev.media = &u->media;
        u->ev.media_n = 1;
    }
    put_things(u, m);
    u->ev.text = buf_view(&u->text);
    return (u->ev.text.n || u->ev.media_n) && !u->text.failed;
}

/* Messages that the platform writes when something happens; a topic's messages "reply" to its
 * beginning. */
static bool is_service(const json_t *m)
{
    static const char *const names[] = {
        "forum_topic_created",     "forum_topic_edited",   "forum_topic_closed",
        "forum_topic_reopened",    "new_chat_members",     "left_chat_member",
        "new_chat_title",          "pinned_message",       "group_chat_created",
        "supergroup_chat_created", "channel_chat_created", "video_chat_started"};

    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (json_object_get(m, names[i]))
            return true;
    return false;
}

/* "What is this?", below a picture: it comes along when the message has none of its own. */
static void read_quoted_file(struct tg_update *u, const json_t *to)
{
    struct channel_media media;

    if (!tg_media_read(to, &media))
        return;
    if (!u->quote.n)
        buf_printf(&u->quote, "<media:%.*s>", VIEW_FMT(media.kind));
    if (u->ev.media_n || u->ev.reply_to_self)
        return;
    u->media = media;
    u->ev.media = &u->media;
    u->ev.media_n = 1;
}

static void read_quote(struct tg_update *u, const json_t *m, const struct tg_bot *bot)
{
    const json_t *to = json_object_get(m, "reply_to_message"), *quote = json_object_get(m, "quote");
    const json_t *chat = json_object_get(to, "sender_chat"), *from = json_object_get(to, "from");
    struct view text = json_view(quote, "text");
    int64_t id = json_i64(to, "message_id", 0);

    if (id <= 0 || is_service(to))
        return;
    if (!text.n)
        text = json_view(to, json_object_get(to, "text") ? "text" : "caption");
    buf_put_view(&u->quote, text);
    u->ev.reply_to = number(u->quoted, id);
    u->ev.reply_sender = name_of(chat ? chat : from, u->quoted_name);
    u->ev.reply_to_self = !chat && json_i64(from, "id", 0) == bot->id;
    read_quoted_file(u, to);
    u->ev.reply_text = u->quote.failed ? VIEW_EMPTY : buf_view(&u->quote);
}

static void read_message(struct tg_update *u, const json_t *m, const struct tg_bot *bot)
{
    int64_t id = json_i64(m, "message_id", 0), to = json_i64(m, "migrate_to_chat_id", 0),
            from = json_i64(m, "migrate_from_chat_id", 0);

    read_sender(u, m, bot);
    if (id <= 0 || !read_place(u, m))
        return;
    if (to || from) {
        u->kind = TG_MOVED;
        u->from = to ? u->chat : from;
        u->to = to ? to : u->chat;
        return;
    }
    if (is_service(m) || !u->ev.from.id.n || !read_words(u, m, bot))
        return;
    read_quote(u, m, bot);
    (void)snprintf(u->key, sizeof(u->key), "message:%" PRId64 ":%" PRId64, u->chat, id);
    u->ev.update_id = view_str(u->key);
    u->ev.message_id = number(u->message, id);
    u->ev.sent_ms = json_i64(m, "date", 0) > 0 && json_i64(m, "date", 0) < INT32_MAX
                        ? json_i64(m, "date", 0) * 1000
                        : 0;
    u->album = json_view(m, "media_group_id");
    u->kind = TG_MESSAGE;
}

/* Somebody pressed a button of ours: its data is what he says, below the message it is on. */
static void read_button(struct tg_update *u, const json_t *q, const struct tg_bot *bot)
{
    const json_t *m = json_object_get(q, "message"), *from = json_object_get(q, "from");
    struct view data = json_view(q, "data"), id = json_view(q, "id");
    int64_t who = json_i64(from, "id", 0);

    if (!id.n || id.n > 64)
        return;
    u->kind = TG_BUTTON;
    u->callback_id = id;
    if (!data.n || !who || !read_place(u, m))
        return; /* it is answered all the same */
    u->ev.from = (struct channel_person){.id = number(u->sender, who),
                                         .name = name_of(from, u->name),
                                         .username = json_view(from, "username"),
                                         .alias = VIEW_EMPTY,
                                         .bot = json_flag(from, "is_bot", false),
                                         .self = who == bot->id};
    if (u->ev.kind == PEER_DIRECT)
        set_peer(u, who);
    tg_buttons_pressed(data, &u->text);
    u->ev.text = u->text.failed ? VIEW_EMPTY : buf_view(&u->text);
    u->ev.mention = MENTION_SELF; /* nobody else's button */
    (void)snprintf(u->key, sizeof(u->key), "callback:%.*s", VIEW_FMT(id));
    u->ev.update_id = view_str(u->key);
    u->ev.message_id = number(u->message, json_i64(m, "message_id", 0));
}

/* "Ada (@ada)", or their number. */
static void put_who(struct buf *b, const struct channel_person *p)
{
    if (p->name.n)
        buf_put_view(b, p->name);
    if (p->username.n)
        buf_printf(b, p->name.n ? " (@%.*s)" : "@%.*s", VIEW_FMT(p->username));
    if (!p->name.n && !p->username.n)
        buf_printf(b, "id:%.*s", VIEW_FMT(p->id));
}

static bool has_emoji(const json_t *list, struct view emoji)
{
    const json_t *r;
    size_t i;

    json_array_foreach(list, i, r)
    {
        if (view_eq(json_view(r, "emoji"), emoji))
            return true;
    }
    return false;
}

/* What was added; what was taken away is not told. */
static void read_reaction(struct tg_update *u, const json_t *m, const struct tg_bot *bot)
{
    const json_t *user = json_object_get(m, "user"), *r;
    int64_t who = json_i64(user, "id", 0);
    size_t i;

    u->on = json_i64(m, "message_id", 0);
    if (!who || json_flag(user, "is_bot", false) || u->on <= 0 || !read_place(u, m))
        return;
    u->ev.from = (struct channel_person){.id = number(u->sender, who),
                                         .name = name_of(user, u->name),
                                         .username = json_view(user, "username"),
                                         .alias = VIEW_EMPTY,
                                         .self = who == bot->id};
    if (u->ev.kind == PEER_DIRECT)
        set_peer(u, who);
    json_array_foreach(json_object_get(m, "new_reaction"), i, r)
    {
        struct view emoji = json_view(r, "emoji");

        if (!emoji.n || emoji.n > 64 || has_emoji(json_object_get(m, "old_reaction"), emoji))
            continue;
        buf_printf(&u->text, "%sTelegram reaction added: %.*s by ", u->text.n ? "; " : "",
                   VIEW_FMT(emoji));
        put_who(&u->text, &u->ev.from);
        buf_printf(&u->text, " on msg %" PRId64, u->on);
    }
    if (!u->text.n || u->text.failed)
        return;
    u->ev.text = buf_view(&u->text);
    u->ev.event = true;
    (void)snprintf(u->key, sizeof(u->key), "reaction:%" PRId64, u->id);
    u->ev.update_id = view_str(u->key);
    u->kind = TG_REACTION;
}

/* A message that was changed: what it says now. */
static void read_edit(struct tg_update *u, const json_t *m, const struct tg_bot *bot)
{
    struct buf words = BUF_INIT(TEXT_BYTES);

    if (json_i64(m, "edit_date", 0) <= 0 ||
        (!json_object_get(m, "text") && !json_object_get(m, "caption"))) /* a place that moves */
        return;
    read_message(u, m, bot);
    if (u->kind != TG_MESSAGE) {
        u->kind = TG_NOTHING;
        return;
    }
    buf_put_str(&words, "Telegram message edited by ");
    put_who(&words, &u->ev.from);
    buf_printf(&words, " on msg %.*s: %.*s", VIEW_FMT(u->ev.message_id), VIEW_FMT(u->ev.text));
    buf_fini(&u->text);
    u->text = words;
    u->ev.text = u->text.failed ? V("Telegram message edited") : buf_view(&u->text);
    u->ev.event = true;
    u->ev.media_n = 0;
    (void)snprintf(u->key, sizeof(u->key), "edited:%" PRId64, u->id);
    u->ev.update_id = view_str(u->key);
    u->kind = TG_EDITED;
}

void tg_update_topic(struct tg_update *u, int64_t thread)
{
    u->thread = thread;
    u->ev.thread = number(u->topic, thread);
    set_peer(u, u->chat);
}

void tg_update_rename(struct tg_update *u, int64_t peer)
{
    set_peer(u, peer);
}

void tg_update_read(struct tg_update *out, const json_t *doc, const struct tg_bot *bot)
{
    static const char *const messages[] = {"message", "channel_post"};
    const json_t *m;

    *out = (struct tg_update){.kind = TG_NOTHING, .id = tg_update_id(doc)};
    buf_init(&out->text, TEXT_BYTES);
    buf_init(&out->quote, QUOTE_BYTES);
    for (size_t i = 0; i < COUNT_OF(messages); i++)
        if ((m = json_object_get(doc, messages[i]))) {
            read_message(out, m, bot);
            return;
        }
    if ((m = json_object_get(doc, "callback_query")))
        read_button(out, m, bot);
    else if ((m = json_object_get(doc, "message_reaction")))
        read_reaction(out, m, bot);
    else if ((m = json_object_get(doc, "edited_message")) ||
             (m = json_object_get(doc, "edited_channel_post")))
        read_edit(out, m, bot);
}
