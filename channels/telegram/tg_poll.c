/* channels/telegram/tg_poll.c - getUpdates, one call after the other. The next one confirms what is
 * safe (tg_seen.h); while something is not, it asks briefly for what came behind it. */
#include "tg_int.h"

#include "clock.h"
#include "log.h"
#include "mem.h"

#include <stdlib.h>

enum {
    LIMIT = 100,          /* what getUpdates gives at most */
    SPARE_MS = 15 * 1000, /* for the answer, behind the time that it waits itself */
    WAIT_MS = 50,         /* before we look again while something is not safe; doubled */
    WAIT_MAX_MS = 2000,   /* up to this */
    AGAIN_MS = 1000,      /* after a first failure */
    CONFLICT_MS = 2000,
    FAILURES_MAX = 2,
};

static void poll_now(struct telegram *x);

/* ---- when to ask again ---- */

static void schedule(struct telegram *x)
{
    if (!x->up || x->poll || x->taking)
        return;
    if (!tg_seen_waits(&x->state.seen)) {
        loop_timer_clear(&x->poll_timer);
        x->poll_wait_ms = 0;
        poll_now(x);
        return;
    }
    if (loop_timer_pending(&x->poll_timer))
        return;
    x->poll_wait_ms = x->poll_wait_ms ? 2 * x->poll_wait_ms : WAIT_MS;
    if (x->poll_wait_ms > WAIT_MAX_MS)
        x->poll_wait_ms = WAIT_MAX_MS;
    loop_timer_set(&x->poll_timer, x->poll_wait_ms);
}

void tg_on_poll_timer(void *ctx)
{
    poll_now(ctx);
}

static void on_taken(void *ctx, uint64_t tag)
{
    struct telegram *x = ctx;

    tg_seen_safe(&x->state.seen, (int64_t)tag);
    tg_save_soon(x);
    schedule(x);
}

/* ---- what came ---- */

static int by_id(const void *a, const void *b)
{
    int64_t x = tg_update_id(*(json_t *const *)a), y = tg_update_id(*(json_t *const *)b);

    return x < y ? -1 : x > y;
}

/* false: no more of this answer can be taken now. */
static bool take(struct telegram *x, json_t *doc)
{
    int64_t id = tg_update_id(doc);
    struct tg_ticket t = {.taken = on_taken, .ctx = x, .tag = (uint64_t)id};
    struct err e = ERR_INIT;

    switch (tg_seen_look(&x->state.seen, id, clock_wall_ms())) {
    case TG_SEEN_KNOWN:
        return true;
    case TG_SEEN_FULL:
        return false;
    case TG_SEEN_NEW:
        break;
    }
    x->poll_wait_ms = 0;
    if (tg_in_update(x, doc, &t, &e) == 0)
        return true;
    log_debug("telegram.later", KV("why", e.text));
    tg_seen_forget(&x->state.seen, id); /* Telegram says it again */
    return false;
}

static void take_all(struct telegram *x, const json_t *updates)
{
    json_t *docs[2 * LIMIT]; /* in the order of their numbers, whatever order they came in */
    size_t n = json_array_size(updates);
    bool full = false;

    if (n > COUNT_OF(docs))
        n = COUNT_OF(docs);
    for (size_t i = 0; i < n; i++)
        docs[i] = json_array_get(updates, i);
    qsort(docs, n, sizeof(*docs), by_id);
    x->taking = true;
    for (size_t i = 0; i < n && !full; i++)
        full = !take(x, docs[i]);
    x->taking = false;
}

static void failed(struct telegram *x, const struct chan_http_answer *a, const struct tg_reply *r)
{
    char words[240];

    tg_words(words, "getUpdates", a, r);
    if (r && r->why == TG_WHY_TOKEN) {
        tg_never(x, "Telegram does not know the token any more: @BotFather gives a new one");
    } else if (r && r->why == TG_WHY_CONFLICT) {
        tg_lost(x, CONFLICT_MS, "getUpdates: somebody else polls with the same token");
    } else if (++x->poll_failures >= FAILURES_MAX || a->end == CHAN_HTTP_NOT_SENT ||
               (r && r->why == TG_WHY_FLOOD)) {
        tg_lost(x, r ? r->retry_after_ms : 0, words);
    } else {
        log_info("telegram.poll_failed", KV("why", words));
        loop_timer_set(&x->poll_timer, AGAIN_MS);
    }
}

static void on_updates(void *ctx, const struct chan_http_answer *a, const struct tg_reply *r)
{
    struct telegram *x = ctx;

    x->poll = NULL;
    if (!r || !r->ok || !json_is_array(r->result)) {
        failed(x, a, r);
        return;
    }
    x->poll_failures = 0;
    channel_alive(x->c);
    take_all(x, r->result);
    schedule(x);
}

static void poll_now(struct telegram *x)
{
    int64_t offset = tg_seen_offset(&x->state.seen, clock_wall_ms());
    uint64_t wait_s = tg_seen_waits(&x->state.seen) ? 0 : TG_POLL_S;
    struct buf b = BUF_INIT(1024);
    struct jw w = JW_INIT(&b);
    struct err e = ERR_INIT;

    if (!x->up || x->poll)
        return;
    jw_obj(&w);
    if (offset)
        jw_ki64(&w, "offset", offset);
    jw_ku64(&w, "timeout", wait_s);
    jw_ku64(&w, "limit", LIMIT);
    tg_put_allowed(&w);
    jw_obj_end(&w);
    if (buf_check(&b, &e) < 0 ||
        tg_call(x, "getUpdates", buf_view(&b), NULL, 0, (uint32_t)wait_s * 1000 + SPARE_MS,
                on_updates, x, &x->poll, &e) < 0)
        tg_lost(x, 0, e.text);
    buf_fini(&b);
}

void tg_poll_begin(struct telegram *x)
{
    x->poll_failures = 0;
    x->poll_wait_ms = 0;
    schedule(x);
}

void tg_poll_end(struct telegram *x)
{
    tg_cancel(&x->poll);
    loop_timer_clear(&x->poll_timer);
}
