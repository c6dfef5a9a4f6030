/* channels/telegram/tg_hook.c - updates that Telegram brings to the gateway's port. Genuine is what
 * carries the secret that setWebhook was given; Telegram hears 200 when the update is safe, and
 * brings again whatever it heard something else of. */
#include "tg_int.h"

#include "json.h"
#include "log.h"
#include "secret.h"

#include <stdio.h>

enum { WATCH_MS = 60 * 1000, DOUBT_MS = 500 };

static void say(struct telegram *x, void *reply, unsigned status, struct view words)
{
    channel_hook_answer(x->c, reply, status, "text/plain", words);
}

static struct tg_hook *find(struct telegram *x, uint64_t seq)
{
    for (unsigned i = 0; i < TG_HOOKS_MAX; i++)
        if (x->hooks[i].seq == seq)
            return &x->hooks[i];
    return NULL;
}

static void on_taken(void *ctx, uint64_t tag)
{
    struct telegram *x = ctx;
    struct tg_hook *k = find(x, tag);

    if (!k)
        return; /* it was told to come again meanwhile */
    k->seq = 0;
    say(x, k->reply, 200, V("ok"));
}

static bool genuine(const struct telegram *x, const struct channel_hook *h)
{
    struct view said = channel_hook_header(h, "x-telegram-bot-api-secret-token"),
                want = x->conf.hook_secret;

    return said.n == want.n && want.n && secret_same(said.p, want.p, want.n);
}

static void take(struct telegram *x, const struct channel_hook *h)
{
    struct tg_hook *k = find(x, 0);
    struct tg_ticket t = {.taken = on_taken, .ctx = x};
    struct err e = ERR_INIT;
    json_t *doc = NULL;

    if (json_parse(h->body, &doc, &e) < 0 || tg_update_id(doc) < 0) {
        say(x, h->reply, 400, V("this is no update"));
    } else if (!k) {
        say(x, h->reply, 503, V("later"));
    } else {
        *k = (struct tg_hook){.seq = t.tag = ++x->hook_seq, .reply = h->reply};
        channel_alive(x->c);
        if (tg_in_update(x, doc, &t, &e) < 0) {
            k->seq = 0;
            say(x, h->reply, 503, V("later"));
        }
    }
    json_decref(doc);
}

void tg_hook(struct channel *c, const struct channel_hook *h)
{
    struct telegram *x = channel_user(c);

    if (view_eq(h->method, V("GET")) && view_eq(h->path, V("/healthz")))
        say(x, h->reply, 200, V("ok"));
    else if (!view_eq(h->method, V("POST")))
        say(x, h->reply, 405, V("POST only"));
    else if (!x->conf.hook_url)
        say(x, h->reply, 404, V("Not Found"));
    else if (!genuine(x, h))
        say(x, h->reply, 401, V("Unauthorized"));
    else if (!x->up)
        say(x, h->reply, 503, V("later"));
    else
        take(x, h);
}

/* ---- does it still come to us? ---- */

static void on_info(void *ctx, const struct chan_http_answer *a, const struct tg_reply *r)
{
    struct telegram *x = ctx;
    char words[240];

    x->watch = NULL;
    if (r && r->why == TG_WHY_TOKEN) {
        tg_never(x, "Telegram does not know the token any more: @BotFather gives a new one");
        return;
    }
    if (!r || !r->ok) {
        tg_words(words, "getWebhookInfo", a, r);
        tg_lost(x, r ? r->retry_after_ms : 0, words);
        return;
    }
    if (!view_eq(json_view(r->result, "url"), view_str(x->conf.hook_url))) {
        tg_lost(x, 0, "somebody else has taken the bot's webhook away");
        return;
    }
    channel_note(x->c, "webhookError", json_view(r->result, "last_error_message"));
    channel_alive(x->c);
    tg_hook_begin(x);
}

void tg_on_watch(void *ctx)
{
    struct telegram *x = ctx;
    struct err e = ERR_INIT;

    x->doubt = false;
    if (x->up && tg_call(x, "getWebhookInfo", V("{}"), NULL, 0, x->conf.call_ms, on_info, x,
                         &x->watch, &e) < 0)
        tg_lost(x, 0, e.text);
}

void tg_hook_begin(struct telegram *x)
{
    loop_timer_set(&x->watch_timer, WATCH_MS);
}

void tg_hook_doubt(struct telegram *x)
{
    if (x->up && x->conf.hook_url && !x->watch && !x->doubt) {
        x->doubt = true; /* more of them do not put it off */
        loop_timer_set(&x->watch_timer, DOUBT_MS);
    }
}

void tg_hook_end(struct telegram *x)
{
    tg_cancel(&x->watch);
    x->doubt = false;
    loop_timer_clear(&x->watch_timer);
    for (unsigned i = 0; i < TG_HOOKS_MAX; i++)
        if (x->hooks[i].seq) {
            x->hooks[i].seq = 0;
            say(x, x->hooks[i].reply, 503, V("later"));
        }
}
