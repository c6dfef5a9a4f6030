#include "source.h"

#include "json.h"
#include "jw.h"
#include "mem.h"

#include <openssl/sha.h>
#include <string.h>

static void read_roles(struct source *s, const json_t *roles)
{
    const json_t *role;
    size_t i;

    json_array_foreach(roles, i, role)
    {
        struct view v = json_view_of(role);

        if (v.n && s->roles_n < SOURCE_ROLES_MAX)
            s->roles[s->roles_n++] = v;
    }
}

static bool fits(const struct source *s)
{
    return s->to.n > 0 && s->to.n <= SOURCE_TO_MAX && s->id.n <= SOURCE_TO_MAX &&
           s->thread.n <= SOURCE_THREAD_MAX && s->reply_to.n <= SOURCE_THREAD_MAX &&
           s->key_thread.n <= SOURCE_THREAD_MAX && s->sender.n <= SOURCE_SENDER_MAX &&
           s->parent_id.n <= SOURCE_TO_MAX;
}

static enum source_held source_held(struct view word)
{
    return view_eq(word, V("files"))  ? HELD_FILES
           : view_eq(word, V("turn")) ? HELD_TURN
                                      : HELD_NOTHING;
}

bool source_read(struct source *out, const char *channel, const char *account, const json_t *peer)
{
    int64_t history;

    if (!json_is_object(peer))
        return false;
    *out = (struct source){
        .channel = channel,
        .account = account,
        .kind_word = json_view(peer, "kind"),
        .id = view_trim(json_view(peer, "id")),
        .to = view_trim(json_view(peer, "to")),
        .thread = json_view(peer, "threadId"),
        .reply_to = json_view(peer, "replyTo"),
        .key_thread = json_view(peer, "keyThread"),
        .parent_kind = json_view(peer, "parentKind"),
        .parent_id = json_view(peer, "parentId"),
        .guild = json_view(peer, "guildId"),
        .team = json_view(peer, "teamId"),
        .sender = view_trim(json_view(peer, "senderId")),
        .sender_name = view_trim(json_view(peer, "senderName")),
        .owner = view_trim(json_view(peer, "ownerId")),
        .event = json_flag(peer, "event", false),
        .mentioned = json_flag(peer, "mentioned", false),
        .replies = json_flag(peer, "repliesToUs", false),
        .mentions_others = json_flag(peer, "mentionsOthers", false),
        .require_mention = json_flag(peer, "requireMention", true),
        .patterns = json_flag(peer, "mentionPatterns", true),
        .media = json_flag(peer, "media", false),
        .held = source_held(json_view(peer, "held")),
    };
    out->kind = ids_peer_kind(out->kind_word);
    if (out->to.n == 0)
        out->to = out->id;
    if (out->sender.n == 0 && out->kind == PEER_DIRECT)
        out->sender = out->id;
    out->commands = json_flag(peer, "commands", !source_shared(out));
    history = json_i64(peer, "historyLimit", -1);
    out->history_limit = history >= 0 && history <= 1000 ? (int)history : -1;
    read_roles(out, json_object_get(peer, "roles"));
    return fits(out);
}

void source_origin(const struct source *s, struct buf *out)
{
    struct jw w = JW_INIT(out);

    buf_put_str(out, "\"origin\":");
    jw_obj(&w);
    jw_kcstr(&w, "channel", s->channel);
    jw_kcstr(&w, "account", s->account);
    jw_kstr(&w, "to", s->to);
    if (s->thread.n)
        jw_kstr(&w, "thread", s->thread);
    if (s->reply_to.n)
        jw_kstr(&w, "replyTo", s->reply_to);
    if (s->kind_word.n)
        jw_kcstr(&w, "kind", ids_peer_kind_name(s->kind));
    if (s->sender.n)
        jw_kstr(&w, "sender", s->sender);
    if (s->mentioned || s->replies || (source_shared(s) && s->require_mention))
        jw_kbool(&w, "mentioned", true);
    jw_obj_end(&w);
}

static void put_part(struct buf *b, const json_t *origin, const char *name)
{
    buf_put_view(b, json_view(origin, name));
    buf_put_char(b, '\x1f');
}

static void name_of(struct view text, char out[SOURCE_NAME])
{
    static const char hex[] = "0123456789abcdef";
    unsigned char md[SHA256_DIGEST_LENGTH];

    (void)SHA256((const unsigned char *)text.p, text.n, md);
    for (size_t i = 0; i < 16; i++) {
        out[2 * i] = hex[md[i] >> 4];
        out[2 * i + 1] = hex[md[i] & 15];
    }
    out[32] = '\0';
}

void source_names(const char *options, char route[SOURCE_NAME], char who[SOURCE_NAME])
{
    static const char *const parts[] = {"channel", "account", "to", "thread"};
    struct buf b = BUF_INIT(128 * KIB);
    struct err ignored = ERR_INIT;
    json_t *doc = NULL;
    const json_t *origin;

    route[0] = who[0] = '\0';
    if (!strstr(options, "\"origin\""))
        return;
    buf_printf(&b, "{%s}", options);
    if (buf_check(&b, &ignored) == 0 && json_parse(buf_view(&b), &doc, &ignored) == 0 &&
        (origin = json_object_get(doc, "origin"))) {
        buf_reset(&b, 4 * KIB);
        for (size_t i = 0; i < COUNT_OF(parts); i++)
            put_part(&b, origin, parts[i]);
        name_of(buf_view(&b), route);
        put_part(&b, origin, "sender");
        name_of(buf_view(&b), who);
    }
    json_decref(doc);
    buf_fini(&b);
}
