#include "call.h"

#include "log.h"

#include <stdarg.h>
#include <stdio.h>

enum {
    REPLY_MAX = 32 * 1024 * 1024, /* ipc.def: reply.body */
    REPLY_KEEP = 64 * 1024,       /* memory kept between answers: most are far smaller */
    CALL_MESSAGE_MAX = 1024,
};

static struct buf *reply_begin(struct hub *h)
{
    buf_reset(&h->reply.buf, REPLY_KEEP);
    h->reply.buf.max = REPLY_MAX;
    return &h->reply.buf;
}

int call_send(struct hub *h, const struct call_ref *ref, bool more, struct view body)
{
    struct ipc_reply m = {.conn_id = ref->conn_id, .req = ref->req, .more = more, .body = body};
    struct link *l = hub_front(h, ref->front);
    struct err e = ERR_INIT;

    if (!l || !conn_find(h, ref->front, ref->conn_id))
        return 0; /* gone; a new front in the old one's place counts its requests anew */
    if (msg_send_reply(l, &m, &e) < 0) {
        log_error("reply.lost", KV("conn", ref->conn_id), KV("bytes", body.n), KV("why", e.text));
        return e.code;
    }
    hub_front_mark(l);
    return 0;
}

struct jw *call_ok(struct call *c)
{
    struct buf *b = reply_begin(c->hub);

    buf_put_view(b, V("\"ok\":true,\"payload\":"));
    c->hub->reply.jw = (struct jw){.b = b};
    return &c->hub->reply.jw;
}

int call_end(struct call *c)
{
    struct buf *b = &c->hub->reply.buf;
    struct err e = ERR_INIT;

    buf_put_char(b, '}');
    if (buf_check(b, &e) < 0)
        return call_error_full(c, RPC_UNAVAILABLE, "the answer is larger than a frame may be",
                               VIEW_EMPTY, 0, 0);
    return call_send(c->hub, &c->ref, false, buf_view(b));
}

int call_ok_raw(struct call *c, struct view payload)
{
    jw_raw(call_ok(c), payload);
    return call_end(c);
}

int call_error(struct call *c, const char *code, const char *fmt, ...)
{
    char text[CALL_MESSAGE_MAX];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return call_error_full(c, code, text, VIEW_EMPTY, -1, 0);
}

int call_error_full(struct call *c, const char *code, const char *message, struct view details,
                    int retryable, uint64_t retry_after_ms)
{
    struct buf *b = reply_begin(c->hub);

    call_body_error(b, code, view_str(message), details, retryable, retry_after_ms, VIEW_EMPTY);
    return call_send(c->hub, &c->ref, false, buf_view(b));
}

void call_body_ok(struct buf *out, struct view payload)
{
    buf_put_view(out, V("\"ok\":true,\"payload\":"));
    buf_put_view(out, payload);
    buf_put_char(out, '}');
}

void call_body_error(struct buf *out, const char *code, struct view message, struct view details,
                     int retryable, uint64_t retry_after_ms, struct view payload)
{
    struct jw w = JW_INIT(out);

    buf_put_view(out, V("\"ok\":false,\"error\":"));
    jw_obj(&w);
    jw_kcstr(&w, "code", code);
    jw_kstr(&w, "message",
            message.n ? message : V("failed")); /* clients drop an error without a message */
    if (details.n)
        jw_kraw(&w, "details", details);
    if (retryable >= 0)
        jw_kbool(&w, "retryable", retryable > 0);
    if (retry_after_ms)
        jw_ku64(&w, "retryAfterMs", retry_after_ms);
    jw_obj_end(&w);
    if (payload.n) {
        buf_put_view(out, V(",\"payload\":"));
        buf_put_view(out, payload);
    }
    buf_put_char(out, '}');
}
