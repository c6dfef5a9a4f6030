/* channels/telegram/tg_fetch.c - files of messages, on their way in: getFile says where one lies,
 * then it is fetched from the same host. What failed on the way is tried again. */
#include "tg_int.h"

#include "chan_fetch.h"
#include "json.h"
#include "mem.h"

#include <stdio.h>

enum { TRIES = 3, AGAIN_MS = 1000, AGAIN_MAX_MS = 30 * 1000, ID_BYTES = 256 + 1 };

struct tg_fetch {
    struct telegram *x;
    struct tg_fetch *next, **at;
    void *ticket;
    struct tg_call *call;
    struct loop_timer again;
    unsigned tries;
    char id[ID_BYTES];
};

static void begin(struct tg_fetch *f);

/* Out of our hands: who has the ticket now ends it. */
static void forget(struct tg_fetch *f)
{
    tg_cancel(&f->call);
    loop_timer_fini(&f->again);
    if ((*f->at = f->next))
        f->next->at = f->at;
    mem_free(f);
}

static void finish(struct tg_fetch *f, const char *why)
{
    struct channel *c = f->x->c;
    void *ticket = f->ticket;

    forget(f);
    channel_fetched(c, ticket, why);
}

static void on_again(void *ctx)
{
    begin(ctx);
}

/* It may work later. */
static void later(struct tg_fetch *f, uint32_t wait_ms, const char *why)
{
    uint32_t ms = (uint32_t)AGAIN_MS << f->tries;

    if (wait_ms > ms)
        ms = wait_ms;
    if (++f->tries >= TRIES || ms > AGAIN_MAX_MS)
        finish(f, why);
    else
        loop_timer_set(&f->again, ms);
}

static void get_file(struct tg_fetch *f, struct view file_path)
{
    struct buf url = BUF_INIT(TG_ROOT_BYTES + TG_TOKEN_BYTES + TG_PATH_BYTES + 64);
    char path[TG_PATH_BYTES];
    struct err e = ERR_INIT;

    url.secret = true;
    if (!tg_media_path(file_path, path) || !tg_file_url(f->x, path, &url))
        finish(f, "Telegram names no place that could be asked");
    else if (chan_fetch(f->x->c, buf_view(&url).p, NULL, false, f->ticket, &e) < 0)
        later(f, 0, e.text);
    else
        forget(f);
    buf_fini(&url);
}

static void on_place(void *ctx, const struct chan_http_answer *a, const struct tg_reply *r)
{
    struct tg_fetch *f = ctx;
    char words[240];

    f->call = NULL;
    if (r && r->ok) {
        get_file(f, json_view(r->result, "file_path"));
        return;
    }
    tg_words(words, "getFile", a, r);
    if (r && r->why == TG_WHY_REFUSED) /* too big for bots, or its id is no longer good */
        finish(f, words);
    else
        later(f, r ? r->retry_after_ms : 0, words);
}

static void begin(struct tg_fetch *f)
{
    struct buf b = BUF_INIT(1024);
    struct jw w = JW_INIT(&b);
    struct err e = ERR_INIT;

    jw_obj(&w);
    jw_kcstr(&w, "file_id", f->id);
    jw_obj_end(&w);
    if (buf_check(&b, &e) < 0 || tg_call(f->x, "getFile", buf_view(&b), NULL, 0, f->x->conf.call_ms,
                                         on_place, f, &f->call, &e) < 0)
        later(f, 0, e.text);
    buf_fini(&b);
}

void tg_fetch(struct channel *c, struct view ref, uint64_t max_bytes, void *ticket)
{
    struct telegram *x = channel_user(c);
    struct err e = ERR_INIT;
    struct tg_fetch *f;

    (void)max_bytes; /* whoever has the ticket counts */
    if (ref.n >= ID_BYTES || mem_new(&f, sizeof(*f), &e) < 0) {
        channel_fetched(c, ticket, ref.n >= ID_BYTES ? "this is no file of Telegram's" : e.text);
        return;
    }
    f->x = x;
    f->ticket = ticket;
    memcpy(f->id, ref.p, ref.n);
    if ((f->next = x->fetches))
        f->next->at = &f->next;
    f->at = &x->fetches;
    x->fetches = f;
    loop_timer_init(&f->again, channel_loop(c), on_again, f);
    begin(f);
}

void tg_fetch_end(struct telegram *x)
{
    while (x->fetches)
        finish(x->fetches, "the channel is stopping");
}
