/*
 * channels/telegram/telegram.c - one bot of Telegram, over its Bot API. Updates are polled, or come
 * by the gateway's webhook; Telegram hears that it may forget one only when it is safe with the
 * hub. Trusts: nothing that the API says, and of people nothing but the ids that the API gives
 * them. Holds: the bot's token, which stands in every address it asks and in no log.
 */
#include "tg_int.h"

#include "chan_fetch.h"
#include "commands.h"
#include "json.h"
#include "log.h"
#include "mem.h"

#include <stdio.h>

enum { PROBE_BYTES = 4096, COMMANDS_MAX = 100, COMMAND_BYTES = 32 };

static void drop(struct telegram *x)
{
    x->up = false;
    tg_cancel(&x->begin);
    tg_cancel(&x->menu);
    tg_poll_end(x);
    tg_hook_end(x);
    tg_in_drop(x, false);
    tg_out_drop(x);
}

void tg_lost(struct telegram *x, uint32_t retry_after_ms, const char *why)
{
    drop(x);
    channel_down(x->c, retry_after_ms, "%s", why);
}

void tg_never(struct telegram *x, const char *why)
{
    drop(x);
    channel_fatal(x->c, "%s", why);
}

/* ---- what is kept ---- */

static void on_save(void *ctx)
{
    struct telegram *x = ctx;
    struct buf b = BUF_INIT(CHANNEL_RESUME_BYTES);
    struct err e = ERR_INIT;

    tg_state_write(&x->state, &b);
    if (buf_check(&b, &e) < 0 || channel_resume_set(x->c, buf_view(&b), &e) < 0)
        log_warn("telegram.not_kept", KV("why", e.text));
    buf_fini(&b);
}

void tg_save_soon(struct telegram *x)
{
    loop_defer(channel_loop(x->c), &x->save, LOOP_COMMIT);
}

void tg_moved(struct telegram *x, int64_t from, int64_t to)
{
    if (!tg_state_moved(&x->state, from, to))
        return;
    log_info("telegram.group_moved", KV("from", from), KV("to", to));
    tg_save_soon(x);
}

/* ---- the menu of commands ---- */

static void on_menu(void *ctx, const struct chan_http_answer *a, const struct tg_reply *r)
{
    struct telegram *x = ctx;
    char words[240];

    x->menu = NULL;
    if (r && r->ok)
        return;
    tg_words(words, "setMyCommands", a, r);
    log_warn("telegram.no_menu", KV("why", words));
}

static bool command_ok(struct view name, struct view description)
{
    if (name.n && name.p[0] == '/')
        name = view_from(name, 1);
    for (size_t i = 0; i < name.n; i++)
        if (!((name.p[i] >= 'a' && name.p[i] <= 'z') || (name.p[i] >= '0' && name.p[i] <= '9') ||
              name.p[i] == '_'))
            return false;
    return name.n && name.n <= COMMAND_BYTES && description.n && description.n <= 256;
}

static void put_command(struct jw *w, struct view name, struct view words)
{
    jw_obj(w);
    jw_kstr(w, "command", name);
    jw_kstr(w, "description", words);
    jw_obj_end(w);
}

static bool is_own(const struct telegram *x, struct view name)
{
    const json_t *row;
    size_t i;

    json_array_foreach(x->conf.commands, i, row)
    {
        struct view own = json_view(row, "command");

        if (view_eq(own.n && own.p[0] == '/' ? view_from(own, 1) : own, name))
            return true;
    }
    return false;
}

/* The owner's own commands; then the gateway's, where his do not have their names. */
static void put_menu(const struct telegram *x, struct buf *out)
{
    struct jw w = JW_INIT(out);
    const struct command_row *native;
    const json_t *row;
    unsigned n = 0;
    size_t i, count;

    jw_obj(&w);
    jw_key(&w, "commands");
    jw_arr(&w);
    json_array_foreach(x->conf.commands, i, row)
    {
        struct view name = json_view(row, "command"), words = json_view(row, "description");

        if (!command_ok(name, words) || n == COMMANDS_MAX) {
            log_warn("telegram.bad_command", KV("row", (uint64_t)i));
            continue;
        }
        n++;
        put_command(&w, name.p[0] == '/' ? view_from(name, 1) : name, words);
    }
    native = commands(&count);
    for (i = 0; i < count && !x->conf.no_native; i++)
        if (!native[i].of.n && n < COMMANDS_MAX && !is_own(x, native[i].word)) {
            n++;
            put_command(&w, native[i].word, native[i].help);
        }
    jw_arr_end(&w);
    jw_obj_end(&w);
}

/* Once a process: nobody waits for it. */
static void tell_menu(struct telegram *x)
{
    struct buf b = BUF_INIT(64 << 10);
    struct err e = ERR_INIT;

    if (x->menu_told || (x->conf.no_native && !json_is_array(x->conf.commands)))
        return;
    x->menu_told = true;
    put_menu(x, &b);
    if (buf_check(&b, &e) < 0 || tg_call(x, "setMyCommands", buf_view(&b), NULL, 0, x->conf.call_ms,
                                         on_menu, x, &x->menu, &e) < 0)
        log_warn("telegram.no_menu", KV("why", e.text));
    buf_fini(&b);
}

/* ---- the beginning: who we are, then how updates come ---- */

/* An answer that ends the attempt; false: it is good. */
static bool ends(struct telegram *x, const char *method, const struct chan_http_answer *a,
                 const struct tg_reply *r)
{
    char words[240];

    if (r && r->ok)
        return false;
    tg_words(words, method, a, r);
    if (r && r->why == TG_WHY_TOKEN)
        tg_never(x, "Telegram does not know the token (any more): @BotFather gives a new one");
    else
        tg_lost(x, r ? r->retry_after_ms : 0, words);
    return true;
}

static void come_up(struct telegram *x)
{
    x->up = true;
    channel_note(x->c, "mode", x->conf.hook_url ? V("webhook") : V("polling"));
    channel_up(x->c);
    tell_menu(x);
    if (x->conf.hook_url)
        tg_hook_begin(x);
    else
        tg_poll_begin(x);
}

static void on_transport(void *ctx, const struct chan_http_answer *a, const struct tg_reply *r)
{
    struct telegram *x = ctx;

    x->begin = NULL;
    if (!ends(x, x->conf.hook_url ? "setWebhook" : "deleteWebhook", a, r))
        come_up(x);
}

void tg_put_allowed(struct jw *w)
{
    static const char *const kinds[] = {"message",          "channel_post",   "callback_query",
                                        "message_reaction", "edited_message", "edited_channel_post",
                                        "my_chat_member"};

    jw_key(w, "allowed_updates");
    jw_arr(w);
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        jw_cstr(w, kinds[i]);
    jw_arr_end(w);
}

static void set_transport(struct telegram *x)
{
    struct buf b = BUF_INIT(16 << 10);
    struct jw w = JW_INIT(&b);
    struct err e = ERR_INIT;

    jw_obj(&w);
    if (x->conf.hook_url) {
        jw_kcstr(&w, "url", x->conf.hook_url);
        jw_kstr(&w, "secret_token", x->conf.hook_secret);
        tg_put_allowed(&w);
    } else {
        jw_kbool(&w, "drop_pending_updates", false);
    }
    jw_obj_end(&w);
    b.secret = true;
    if (buf_check(&b, &e) < 0 ||
        tg_call(x, x->conf.hook_url ? "setWebhook" : "deleteWebhook", buf_view(&b), NULL, 0,
                x->conf.call_ms, on_transport, x, &x->begin, &e) < 0)
        tg_lost(x, 0, e.text);
    buf_fini(&b);
}

/* false: it does not say who we are. */
static bool learn_bot(struct telegram *x, const json_t *me)
{
    struct view name = json_view(me, "username");

    if (json_i64(me, "id", 0) != x->bot.id || name.n >= sizeof(x->username))
        return false;
    memcpy(x->username, name.p, name.n);
    x->bot.username = view_of(x->username, name.n);
    channel_note(x->c, "botUsername", name);
    return true;
}

static void on_me(void *ctx, const struct chan_http_answer *a, const struct tg_reply *r)
{
    struct telegram *x = ctx;

    x->begin = NULL;
    if (ends(x, "getMe", a, r))
        return;
    if (learn_bot(x, r->result))
        set_transport(x);
    else
        tg_lost(x, 0, "getMe: it is another bot than the token says");
}

static void telegram_connect(struct channel *c)
{
    struct telegram *x = channel_user(c);
    struct err e = ERR_INIT;

    if (!x->state.bot)
        tg_state_read(&x->state, channel_resume(c), x->bot.id);
    if (tg_call(x, "getMe", V("{}"), NULL, 0, x->conf.call_ms, on_me, x, &x->begin, &e) < 0)
        tg_lost(x, 0, e.text);
}

static void telegram_disconnect(struct channel *c)
{
    drop(channel_user(c));
}

/* ---- does it work? ---- */

struct probe {
    struct channel *c;
    void *ticket;
};

static void on_probe(void *ctx, const struct chan_http_answer *a, const struct tg_reply *r)
{
    struct probe *p = ctx;
    struct buf b = BUF_INIT(PROBE_BYTES);
    struct jw w = JW_INIT(&b);
    char words[240];

    tg_words(words, "getMe", a, r);
    if (r && r->ok) {
        jw_obj(&w);
        jw_key(&w, "bot");
        jw_obj(&w);
        jw_ki64(&w, "id", json_i64(r->result, "id", 0));
        jw_kstr(&w, "username", json_view(r->result, "username"));
        jw_kbool(&w, "canReadAllGroupMessages",
                 json_flag(r->result, "can_read_all_group_messages", false));
        jw_obj_end(&w);
        jw_obj_end(&w);
    }
    channel_probed(p->c, p->ticket, r && r->ok, b.failed ? VIEW_EMPTY : buf_view(&b),
                   r && r->ok ? NULL : words);
    buf_fini(&b);
    mem_free(p);
}

static void telegram_probe(struct channel *c, void *ticket)
{
    struct telegram *x = channel_user(c);
    struct err e = ERR_INIT;
    struct probe *p;

    if (mem_new(&p, sizeof(*p), &e) < 0) {
        channel_probed(c, ticket, false, VIEW_EMPTY, e.text);
        return;
    }
    *p = (struct probe){.c = c, .ticket = ticket};
    if (tg_call(x, "getMe", V("{}"), NULL, 0, x->conf.call_ms, on_probe, p, NULL, &e) < 0) {
        channel_probed(c, ticket, false, VIEW_EMPTY, e.text);
        mem_free(p);
    }
}

/* ---- life ---- */

static void telegram_close(struct channel *c)
{
    struct telegram *x = channel_user(c);

    if (!x)
        return;
    drop(x);
    tg_fetch_end(x);
    chan_fetch_end(c);
    tg_calls_end(x);
    tg_in_drop(x, true);
    loop_undefer(channel_loop(c), &x->save);
    loop_timer_fini(&x->poll_timer);
    loop_timer_fini(&x->watch_timer);
    for (unsigned i = 0; i < TG_ALBUMS_MAX; i++)
        loop_timer_fini(&x->albums[i].timer);
    json_decref(x->topic);
    channel_set_ops(c, &channel_platform);
    mem_free(x);
    channel_set_user(c, NULL);
}

static int telegram_prepare(struct channel *c, struct err *e)
{
    struct telegram *x = NULL;
    int r;

    if ((r = mem_new(&x, sizeof(*x), e)) < 0)
        return r;
    x->c = c;
    x->bot.username = VIEW_EMPTY;
    channel_set_user(c, x);
    x->save = (struct loop_task){.run = on_save, .ctx = x};
    loop_timer_init(&x->poll_timer, channel_loop(c), tg_on_poll_timer, x);
    loop_timer_init(&x->watch_timer, channel_loop(c), tg_on_watch, x);
    tg_in_init(x);
    x->ops = channel_platform;
    if ((r = tg_conf_read(x, e)) < 0)
        telegram_close(c);
    else
        channel_set_ops(c, &x->ops);
    return r;
}

/* What the owner knows people by. */
static void telegram_id_line(const struct channel_event *ev, struct buf *out)
{
    buf_put_str(out, "Your Telegram user id: ");
    buf_put_view(out, ev->from.id);
}

static const char *const prefixes[] = {"telegram:", "tg:", "user:", NULL};

const struct channel_ops channel_platform = {
    .id = "telegram",
    .label = "Telegram",
    .needs = CHANNEL_NEEDS_HTTP,
    .caps = CHANNEL_CAN_EDIT | CHANNEL_CAN_DELETE | CHANNEL_CAN_REACT | CHANNEL_CAN_TYPE |
            CHANNEL_CAN_THREAD | CHANNEL_CAN_REPLY | CHANNEL_CAN_POLL | CHANNEL_CAN_GROUP |
            CHANNEL_CAN_STREAM | CHANNEL_CAN_BUTTONS | CHANNEL_CAN_MEDIA,
    .dialect = DIALECT_HTML,
    .unit = UNIT_UTF16,
    .text_limit = 4096,
    .caption_limit = 1024,
    .media_max_mb = 100,
    .fetch_max_mb = TG_DOWNLOAD_MB,
    .upload_max_mb = TG_UPLOAD_MB,
    .album = TG_ALBUM_MAX,
    .typing_ms = 5000,
    .edit_ms = 1000,
    .stale_ms = TG_STALE_MS,
    .pace = {.chat_gap_ms = 1000,
             .room_per_min = 20,
             .account_n = 30,
             .account_ms = 1000,
             .rooms = "-@"},
    .id_prefixes = prefixes,
    .prepare = telegram_prepare,
    .connect = telegram_connect,
    .disconnect = telegram_disconnect,
    .close = telegram_close,
    .send = tg_send,
    .edit = tg_edit,
    .remove = tg_remove,
    .react = tg_react,
    .typing = tg_typing,
    .fetch_media = tg_fetch,
    .hook = tg_hook,
    .probe = telegram_probe,
    .group_conf = tg_group_conf,
    .id_line = telegram_id_line,
};
