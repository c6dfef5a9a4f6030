/* channels/telegram/tg_api.c - calls of the Bot API. The token stands in their addresses, so none
 * of these is ever shown. */
#include "tg_int.h"

#include "mem.h"

#include <stdio.h>

enum {
    UPLOAD_MS = 15 * 60 * 1000, /* 50 MB at 60 KB/s */
    ANSWER_BYTES = 4 << 20,     /* 100 updates are below 1 MB */
    URL_BYTES = TG_ROOT_BYTES + TG_TOKEN_BYTES + 64,
};

struct tg_call {
    struct tg_call *next, **at;
    struct telegram *x;
    struct chan_http_call *http;
    tg_called *on_end;
    void *ctx;
};

static void forget(struct tg_call *k)
{
    if ((*k->at = k->next))
        k->next->at = k->at;
    mem_free(k);
}

static void on_answer(void *ctx, const struct chan_http_answer *a)
{
    struct tg_call *k = ctx;
    struct tg_reply r = {.description = VIEW_EMPTY};
    struct err e = ERR_INIT;
    bool good = a->end == CHAN_HTTP_ANSWERED && tg_reply_read(&r, a->body, &e) == 0;
    struct telegram *x = k->x;
    tg_called *on_end = k->on_end;
    void *user = k->ctx;

    forget(k);
    on_end(user, a, good ? &r : NULL);
    if (!good || r.why == TG_WHY_BUSY)
        tg_hook_doubt(x);
    tg_reply_fini(&r);
}

int tg_call(struct telegram *x, const char *method, struct view body,
            const struct chan_http_part *parts, unsigned part_n, uint32_t timeout_ms,
            tg_called *on_end, void *ctx, struct tg_call **out, struct err *e)
{
    struct buf url = BUF_INIT(URL_BYTES);
    struct chan_http_request q = {.method = "POST",
                                  .body = body,
                                  .parts = parts,
                                  .part_n = part_n,
                                  .timeout_ms = part_n ? UPLOAD_MS : timeout_ms,
                                  .idle_ms = part_n ? 2 * timeout_ms : 0,
                                  .max_bytes = ANSWER_BYTES};
    struct tg_call *k;
    int r;

    url.secret = true;
    buf_printf(&url, "%s/bot%s/%s", x->conf.root, x->conf.token, method);
    buf_put_char(&url, '\0');
    if ((r = mem_new(&k, sizeof(*k), e)) < 0) {
        buf_fini(&url);
        return r;
    }
    k->x = x;
    k->on_end = on_end;
    k->ctx = ctx;
    if ((r = buf_check(&url, e)) == 0) {
        q.url = buf_view(&url).p;
        r = chan_http(x->c, &q, on_answer, k, &k->http, e);
    }
    buf_fini(&url);
    if (r < 0) {
        mem_free(k);
        return r;
    }
    if ((k->next = x->calls))
        k->next->at = &k->next;
    k->at = &x->calls;
    x->calls = k;
    if (out)
        *out = k;
    return 0;
}

void tg_cancel(struct tg_call **kp)
{
    struct tg_call *k = TAKE(*kp);

    if (!k)
        return;
    chan_http_cancel(&k->http);
    forget(k);
}

void tg_calls_end(struct telegram *x)
{
    const struct chan_http_answer gone = {.end = CHAN_HTTP_NO_ANSWER, .error = "we are leaving"};

    while (x->calls) {
        struct tg_call *k = x->calls;
        tg_called *on_end = k->on_end;
        void *ctx = k->ctx;

        tg_cancel(&k);
        on_end(ctx, &gone, NULL);
    }
}

void tg_words(char out[240], const char *method, const struct chan_http_answer *a,
              const struct tg_reply *r)
{
    if (r)
        (void)snprintf(out, 240, "%s: %.*s", method,
                       (int)(r->description.n < 180 ? r->description.n : 180), r->description.p);
    else if (a->end == CHAN_HTTP_ANSWERED)
        (void)snprintf(out, 240, "%s: status %u, and not an answer of the Bot API", method,
                       a->status);
    else
        (void)snprintf(out, 240, "%s: %s", method, a->error);
}

bool tg_file_url(const struct telegram *x, const char *path, struct buf *out)
{
    buf_printf(out, "%s/file/bot%s/%s", x->conf.root, x->conf.token, path);
    buf_put_char(out, '\0');
    return !out->failed;
}
