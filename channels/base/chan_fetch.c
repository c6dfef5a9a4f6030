#include "chan_fetch.h"

#include "chan_http.h"
#include "channel_int.h"

#include <stdio.h>

enum {
    URL_BYTES = 8192,
    HEADER_BYTES = 4096,
    WHOLE_MS = 300 * 1000,
    IDLE_MS = 20 * 1000,
    AGAIN_MS = 1000, /* after the first time; twice that after the second */
    AGAIN_MAX_MS = 30 * 1000,
    WORDS_BYTES = 1024, /* of an answer that is no file */
};

struct chan_fetch {
    struct channel *c;
    struct chan_fetch *next, **at;
    void *ticket;
    struct buf url, header; /* NUL at the end */
    bool foreign, enough;
    unsigned tries;
    struct chan_http_call *call;
    struct loop_timer again;
};

static void begin(struct chan_fetch *f);

static void finish(struct chan_fetch *f, const char *why)
{
    struct channel *c = f->c;
    void *ticket = f->ticket;

    chan_http_cancel(&f->call);
    loop_timer_fini(&f->again);
    if ((*f->at = f->next))
        f->next->at = f->at;
    buf_fini(&f->url);
    buf_fini(&f->header);
    mem_free(f);
    channel_fetched(c, ticket, why);
}

/* It may work later. */
static void later(struct chan_fetch *f, uint32_t wait_ms, const char *why)
{
    uint32_t ms = (uint32_t)AGAIN_MS << f->tries;

    if (wait_ms > ms)
        ms = wait_ms;
    if (++f->tries >= CHAN_FETCH_TRIES || ms > AGAIN_MAX_MS)
        finish(f, why);
    else
        loop_timer_set(&f->again, ms);
}

static bool on_data(void *ctx, struct view piece)
{
    struct chan_fetch *f = ctx;

    f->enough = !channel_fetch_put(f->c, f->ticket, piece);
    return !f->enough;
}

static void on_answer(void *ctx, const struct chan_http_answer *a)
{
    struct chan_fetch *f = ctx;
    char words[64];

    f->call = NULL;
    (void)snprintf(words, sizeof(words), "status %u", a->status);
    if (a->end == CHAN_HTTP_REFUSED)
        finish(f, a->error);
    else if (a->end != CHAN_HTTP_ANSWERED && a->end != CHAN_HTTP_TOO_LARGE)
        later(f, 0, a->error);
    else if (a->status == 200 || f->enough)
        finish(f, NULL);
    else if (a->status == 408 || a->status == 429 || a->status >= 500)
        later(f, a->retry_after_ms, words);
    else
        finish(f, a->status == 404 || a->status == 410 ? "it is not there any more" : words);
}

static void begin(struct chan_fetch *f)
{
    const char *const lines[] = {f->header.n ? buf_view(&f->header).p : NULL, NULL};
    const struct chan_http_request q = {.method = "GET",
                                        .url = buf_view(&f->url).p,
                                        .headers = lines,
                                        .timeout_ms = WHOLE_MS,
                                        .idle_ms = IDLE_MS,
                                        .max_bytes = WORDS_BYTES,
                                        .foreign = f->foreign,
                                        .on_data = on_data};
    struct err e = ERR_INIT;

    f->enough = false;
    channel_fetch_again(f->c, f->ticket);
    if (chan_http(f->c, &q, on_answer, f, &f->call, &e) < 0)
        later(f, 0, e.text);
}

static void on_again(void *ctx)
{
    begin(ctx);
}

int chan_fetch(struct channel *c, const char *url, const char *header, bool foreign, void *ticket,
               struct err *e)
{
    struct chan_fetch *f;
    int r;

    if ((r = mem_new(&f, sizeof(*f), e)) < 0)
        return r;
    f->c = c;
    f->ticket = ticket;
    f->foreign = foreign;
    if (foreign)
        header = NULL;
    buf_init(&f->url, URL_BYTES);
    buf_init(&f->header, HEADER_BYTES);
    f->url.secret = f->header.secret = true;
    buf_put(&f->url, url, strlen(url) + 1);
    if (header)
        buf_put(&f->header, header, strlen(header) + 1);
    if ((r = buf_check(&f->url, e)) < 0 || (r = buf_check(&f->header, e)) < 0) {
        buf_fini(&f->url);
        buf_fini(&f->header);
        mem_free(f);
        return r;
    }
    if ((f->next = c->fetches))
        f->next->at = &f->next;
    f->at = &c->fetches;
    c->fetches = f;
    loop_timer_init(&f->again, c->w.loop, on_again, f);
    begin(f);
    return 0;
}

void chan_fetch_end(struct channel *c)
{
    while (c->fetches)
        finish(c->fetches, "the channel is stopping");
}
