#include "ws_conn.h"

#include "clock.h"
#include "frame.h"
#include "h2_ws.h"
#include "hub.h"
#include "jw.h"
#include "log.h"
#include "rand.h"
#include "trace.h"

#include <stdio.h>

enum { CANVAS_MESSAGE_MAX = 4096 };

static void on_message(struct conn *c, struct view text);

void ws_conn_start(struct conn *c)
{
    struct conn_hello *h = c->hello;
    char text[256];
    int n;

    if (c->canvas) { /* its credential came with the request, and it has nothing to say */
        c->state = CONN_CONNECTING;
        c->ws.max = CANVAS_MESSAGE_MAX;
        conn_due(c, c->f->lim.handshake_ms);
        places_spoke(&c->place);
        conn_touch(c); /* that it is a WebSocket now */
        hub_connect(c);
        return;
    }
    c->state = CONN_CHALLENGED;
    /* a first message in a binary frame is what some clients send, and is read as text */
    c->ws.accept_binary = true;
    conn_due(c, c->f->lim.handshake_ms); /* and no traffic puts it off */
    rand_uuid(h->nonce);
    n = snprintf(
        text, sizeof(text),
        "{\"type\":\"event\",\"event\":\"connect.challenge\",\"payload\":{\"nonce\":\"%s\","
        "\"ts\":%lld,\"capabilities\":[\"model-catalog-snapshot\"]}}",
        h->nonce, (long long)clock_wall_ms());
    conn_text(c, &(struct view){text, (size_t)n}, 1, false);
}

/* -------------------------------------------------------------- answers */
void ws_conn_answer(struct conn *c, struct view id, struct view body)
{
    const struct view parts[] = {V("{\"type\":\"res\",\"id\":"), id, V(","), body};

    conn_text(c, parts, COUNT_OF(parts), false);
}

static void refuse(struct conn *c, struct view id, const char *code, struct view message,
                   const char *details, bool retryable)
{
    struct buf body = BUF_INIT(16 * KIB);
    struct jw w = JW_INIT(&body);

    buf_put_str(&body, "\"ok\":false,\"error\":");
    jw_obj(&w);
    jw_kcstr(&w, "code", code);
    jw_kstr(&w, "message", message);
    if (details)
        jw_kraw(&w, "details", view_str(details));
    if (retryable)
        jw_kbool(&w, "retryable", true);
    jw_obj_end(&w);
    buf_put_char(&body, '}');
    if (!body.failed)
        ws_conn_answer(c, id, buf_view(&body));
    buf_fini(&body);
}

void ws_conn_error(struct conn *c, struct view id, const char *code, struct view message,
                   bool retryable)
{
    refuse(c, id, code, message, NULL, retryable);
}

void ws_conn_unknown(struct conn *c, struct view id, struct view message)
{
    refuse(c, id, RPC_UNAVAILABLE, message, "{\"code\":\"OUTCOME_UNKNOWN\"}", true);
}

/* -------------------------------------------------------------- before hello */
static void on_connect(struct conn *c, const struct frame *fr)
{
    struct conn_hello *h = c->hello;

    buf_put_view(&h->id, fr->id);
    buf_put_view(&h->params, fr->params.n ? fr->params : V("{}"));
    if (h->params.failed) { /* a configured limit above what the hub takes */
        conn_close(c, WS_TOO_BIG, VIEW_EMPTY);
        return;
    }
    if (h->id.failed) {
        conn_close(c, WS_INTERNAL, V("out of memory"));
        return;
    }
    c->state = CONN_CONNECTING;
    places_spoke(&c->place);
    hub_connect(c);
}

static void on_first(struct conn *c, struct view text)
{
    static const char not_first[] = "invalid handshake: first request must be connect";
    struct frame fr;

    buf_reset(&c->f->why, c->f->why.max);
    switch (frame_parse(text, &fr, &c->f->why)) {
    case FRAME_GARBAGE: /* the captured gateway closes with 1000, as if all were well */
    case FRAME_BROKEN:
    case FRAME_INVALID:
        conn_close(c, WS_POLICY, V("invalid request frame"));
        return;
    case FRAME_REQUEST:
        break;
    }
    if (view_eq(fr.method, V("connect"))) {
        on_connect(c, &fr);
        return;
    }
    ws_conn_error(c, fr.id, RPC_INVALID_REQUEST, view_str(not_first), false);
    conn_close(c, WS_POLICY, view_str(not_first));
}

/* Connect is being decided: what comes meanwhile is served afterwards, in order. */
static void on_early(struct conn *c, struct view text)
{
    struct conn_hello *h = c->hello;
    uint32_t n = (uint32_t)text.n;

    if (h->pending_n >= FRONT_PENDING_MAX) {
        conn_close(c, WS_POLICY, V("too many pending handshake frames"));
        return;
    }
    h->pending_n++;
    buf_put(&h->pending, &n, sizeof(n));
    buf_put_view(&h->pending, text);
    if (h->pending.failed)
        conn_close(c, WS_INTERNAL, V("out of memory"));
}

void ws_conn_accepted(struct conn *c, uint32_t audience, struct view body)
{
    struct front *f = c->f;
    struct conn_hello *h = TAKE(c->hello);
    struct err e = ERR_INIT;

    c->state = CONN_OPEN;
    conn_give_place(c);
    c->audience = audience;
    if (!c->canvas)
        c->ws.max = f->lim.message_bytes;
    c->ws.accept_binary = false;
    list_del(&c->on_open);
    list_add(&f->open, &c->on_open);
    conn_due(c, f->lim.ping_ms);
    if (c->inner)
        h2_ws_known(c);
    else if (msg_send_conn_state(
                 f->w.sup, &(struct ipc_conn_state){.conn_id = c->id, .state = CONN_STATE_AUTH},
                 &e) < 0)
        log_warn("conn.untold", KV("conn", c->id), KV("why", e.text));
    if (!c->canvas)
        ws_conn_answer(c, buf_view(&h->id), body);
    while (h->pending.n && c->state == CONN_OPEN) {
        uint32_t n;

        memcpy(&n, h->pending.p + h->pending.off, sizeof(n));
        buf_eat(&h->pending, sizeof(n));
        on_message(c, view_of(h->pending.p + h->pending.off, n));
        buf_eat(&h->pending, n);
    }
    conn_hello_free(&h);
}

void ws_conn_refused(struct conn *c, uint16_t code, struct view reason, struct view body)
{
    if (body.n)
        ws_conn_answer(c, buf_view(&c->hello->id), body);
    conn_close(c, code, reason);
}

/* -------------------------------------------------------------- after hello */
/* One that is none is as good as none. */
static struct view trace_of(struct view raw)
{
    return raw.n == TRACE_LEN + 2 ? trace_read(view_of(raw.p + 1, TRACE_LEN)) : VIEW_EMPTY;
}

static void on_request(struct conn *c, const struct frame *fr, size_t bytes)
{
    enum rpc_index row = rpc_find(fr->method);
    struct view params = fr->params.n ? fr->params : V("{}");
    struct view snapshot;

    if (row == RPC_COUNT) {
        if (view_eq(fr->method, V("connect"))) {
            ws_conn_error(c, fr->id, RPC_INVALID_REQUEST,
                          V("connect is only valid as the first request"), false);
            return;
        }
        params = V("{}"); /* whatever is in them, nobody is going to look */
    } else if (bytes > rpc_row(row)->max_bytes) {
        buf_reset(&c->f->why, c->f->why.max);
        buf_printf(&c->f->why, "invalid %.*s params: request of %zu bytes, limit %zu",
                   VIEW_FMT(fr->method), bytes, rpc_row(row)->max_bytes);
        ws_conn_error(c, fr->id, RPC_INVALID_REQUEST, buf_view(&c->f->why), false);
        return;
    } else if (fr->no_params && (rpc_row(row)->flags & RPC_SNAPSHOT) && c->f->hub &&
               (snapshot = front_snapshot_of(c->f, row)).n) {
        const struct view parts[] = {V("{\"type\":\"res\",\"id\":"), fr->id,
                                     V(",\"ok\":true,\"payload\":"), snapshot, V("}")};

        conn_text(c, parts, COUNT_OF(parts), false);
        return;
    }
    if (fr->profile.n) { /* one user, whose profile has no id a client could know */
        ws_conn_error(c, fr->id, RPC_FORBIDDEN, V("profile mismatch"), false);
        return;
    }
    hub_request(c, fr->id, row, fr->method, trace_of(fr->trace), params);
}

static void on_message(struct conn *c, struct view text)
{
    struct frame fr;

    if (c->canvas)
        return;
    if (c->state == CONN_CHALLENGED) {
        on_first(c, text);
        return;
    }
    if (c->state == CONN_CONNECTING) {
        on_early(c, text);
        return;
    }
    c->ws.message.secret = false;
    buf_reset(&c->f->why, c->f->why.max);
    switch (frame_parse(text, &fr, &c->f->why)) {
    case FRAME_GARBAGE: /* ignored: protocol reference, 1.4 */
        return;
    case FRAME_BROKEN:
    case FRAME_INVALID:
        ws_conn_error(c, fr.id, RPC_INVALID_REQUEST, buf_view(&c->f->why), false);
        return;
    case FRAME_REQUEST:
        on_request(c, &fr, text.n);
        return;
    }
}

static void on_violation(struct conn *c, const struct ws_out *out)
{
    if (front_may_log(c->f))
        log_info("conn.violation", KV("conn", c->id), KV("code", out->code), KV("why", out->text));
    /* the reason of 1009 stays empty: protocol reference, 1.2 */
    conn_close(c, out->code, out->code == WS_TOO_BIG ? VIEW_EMPTY : view_str(out->text));
}

void ws_conn_feed(struct conn *c, char **p, size_t *n)
{
    struct ws_out out;

    switch (ws_decode(&c->ws, p, n, &out)) {
    case WS_MORE:
    case WS_PONG:
        return;
    case WS_MESSAGE:
        on_message(c, out.data);
        return;
    case WS_PING:
        ws_put(&c->out, WS_OP_PONG, out.data, false);
        conn_touch(c);
        return;
    case WS_CLOSE:
        conn_close(c, out.code, VIEW_EMPTY);
        return;
    case WS_BAD:
        on_violation(c, &out);
        return;
    }
}
