/* channels/telegram/tg_conf.c - the account's section of the configuration, keys as OpenClaw's. */
#include "tg_int.h"

#include "json.h"
#include "num.h"

#include <stdio.h>
#include <string.h>

enum {
    SECRET_MAX = 256,   /* Telegram's limit for secret_token */
    CHUNK_LIMIT = 4000, /* OpenClaw's default; Telegram takes 4096 */
};

/* "<digits>:<letters>": nothing that would change the address it stands in. */
static int read_token(struct telegram *x, const json_t *conf, struct err *e)
{
    struct view v = json_view(conf, "botToken");
    size_t at = view_find(v, ':');
    uint64_t id;

    if (!v.n && json_view(conf, "tokenFile").n)
        return err_set(e, ERR_INVALID,
                       "tokenFile: no token could be read there; it is a plain file (no link) that "
                       "holds the token and nothing else");
    if (!v.n)
        return err_set(e, ERR_INVALID,
                       "botToken is missing: the token that @BotFather gives, or tokenFile, or the "
                       "variable TELEGRAM_BOT_TOKEN");
    for (size_t i = at + 1; i < v.n; i++) {
        char c = v.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '-'))
            at = v.n;
    }
    if (at + 1 >= v.n || v.n >= TG_TOKEN_BYTES ||
        num_u64(view_of(v.p, at), 1, INT64_MAX, &id, e) < 0)
        return err_set(e, ERR_INVALID, "botToken: a token looks like 123456:AbC-dEf_1");
    x->conf.token = json_string_value(json_object_get(conf, "botToken"));
    x->bot.id = (int64_t)id;
    return 0;
}

static int read_root(struct telegram *x, const json_t *conf, struct err *e)
{
    struct view v = json_view(conf, "apiRoot"), host;
    bool tls;
    size_t at;
    uint32_t port;

    if (!v.n)
        v = V("https://api.telegram.org");
    while (v.n && v.p[v.n - 1] == '/')
        v.n--;
    tls = view_starts(v, V("https://"));
    host = view_from(v, tls ? 8 : 7);
    if ((!tls && !view_starts(v, V("http://"))) || !host.n || v.n >= TG_ROOT_BYTES ||
        strcspn(v.p, " \r\n@?#") < v.n)
        return err_set(e, ERR_INVALID, "apiRoot: an address like https://api.telegram.org");
    host = view_of(host.p, view_find(host, '/'));
    if (host.n && host.p[0] == '[') /* IPv6 */
        host = view_from(host, view_find(host, ']'));
    port = tls ? 443 : 80;
    at = view_find(host, ':');
    if (at < host.n && num_u32(view_from(host, at + 1), 1, UINT16_MAX, &port, e) < 0)
        return err_wrap(e, "apiRoot: port");
    memcpy(x->conf.root, v.p, v.n);
    x->conf.root[v.n] = '\0';
    return json_view(conf, "proxy").n ? chan_http_proxy(x->c, json_view(conf, "proxy"), e)
                                      : channel_port(x->c, port, e);
}

/* The letters that Telegram takes in secret_token. */
static bool secret_ok(struct view v)
{
    for (size_t i = 0; i < v.n; i++) {
        char c = v.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '-'))
            return false;
    }
    return v.n > 0 && v.n <= SECRET_MAX;
}

static int read_hook(struct telegram *x, const json_t *conf, struct err *e)
{
    struct view path = json_view(conf, "webhookPath");

    x->conf.hook_url = json_string_value(json_object_get(conf, "webhookUrl"));
    if (!x->conf.hook_url || !*x->conf.hook_url) {
        x->conf.hook_url = NULL;
        return 0;
    }
    x->conf.hook_secret = view_trim(json_view(conf, "webhookSecret"));
    if (!secret_ok(x->conf.hook_secret))
        return err_set(e, ERR_INVALID,
                       "webhookSecret: needed with webhookUrl, 1 to %d letters, digits, _ or -: "
                       "without it anybody could write in anybody's name",
                       (int)SECRET_MAX);
    channel_note(x->c, "webhookPath", path.n ? path : V("/telegram-webhook"));
    return 0;
}

static enum tg_scope scope_of(const json_t *conf)
{
    const json_t *caps = json_object_get(conf, "capabilities");
    struct view v = json_view(caps, "inlineButtons");

    if (view_eq(v, V("off")))
        return TG_BUTTONS_OFF;
    if (view_eq(v, V("dm")))
        return TG_BUTTONS_DM;
    return view_eq(v, V("group")) ? TG_BUTTONS_GROUP : TG_BUTTONS_ALL;
}

static enum tg_notify notify_of(const json_t *conf)
{
    struct view v = json_view(conf, "reactionNotifications");

    if (view_eq(v, V("off")))
        return TG_NOTIFY_OFF;
    return view_eq(v, V("all")) ? TG_NOTIFY_ALL : TG_NOTIFY_OWN;
}

int tg_conf_read(struct telegram *x, struct err *e)
{
    const json_t *conf = channel_conf(x->c);
    int64_t seconds = json_i64(conf, "timeoutSeconds", TG_CALL_MS / 1000);
    int64_t limit = json_i64(conf, "textChunkLimit", CHUNK_LIMIT);
    int r;

    if (seconds < 1 || seconds > 600)
        return err_set(e, ERR_INVALID, "timeoutSeconds: 1 to 600");
    if (limit < 1 || limit > x->ops.text_limit)
        return err_set(e, ERR_INVALID, "textChunkLimit: 1 to %u", x->ops.text_limit);
    x->ops.text_limit = (uint32_t)limit;
    x->conf.call_ms = (uint32_t)seconds * 1000;
    x->conf.no_preview = !json_flag(conf, "linkPreview", true);
    x->conf.notify = notify_of(conf);
    x->conf.buttons = scope_of(conf);
    x->conf.commands = json_object_get(conf, "customCommands");
    x->conf.no_native = json_is_false(json_at(conf, "commands.native"));
    if ((r = read_token(x, conf, e)) < 0 || (r = read_root(x, conf, e)) < 0)
        return r;
    return read_hook(x, conf, e);
}

/* groups.<chat>.topics.<thread>, with what it does not say from groups.<chat>. */
static json_t *merged(const json_t *group, json_t *topic)
{
    json_t *out = json_copy((json_t *)(uintptr_t)group);

    if (out && json_object_update(out, topic) < 0) {
        json_decref(out);
        out = NULL;
    }
    return out;
}

const json_t *tg_group_conf(struct channel *c, const struct channel_event *ev)
{
    struct telegram *x = channel_user(c);
    const json_t *groups = json_object_get(channel_conf(c), "groups"), *group = NULL;
    const struct view ids[] = {ev->peer, ev->parent, ev->target, V("*")};
    json_t *topic;

    if (ev->kind == PEER_DIRECT)
        return NULL;
    for (size_t i = 0; i < sizeof(ids) / sizeof(*ids) && !group; i++)
        group = ids[i].n ? json_object_getn(groups, ids[i].p, ids[i].n) : NULL;
    topic = ev->thread.n
                ? json_object_getn(json_object_get(group, "topics"), ev->thread.p, ev->thread.n)
                : NULL;
    if (!topic)
        return group;
    json_decref(x->topic);
    x->topic = merged(group, topic);
    return x->topic;
}
