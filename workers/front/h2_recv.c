/* workers/front/h2_recv.c - what arrives on a connection of HTTP/2 (h2.h): header blocks become
 * requests, noise is counted. */
#include "h2_ws.h"
#include "log.h"

/* -------------------------------------------------------------- noise */
/* Frames that cost us something and bring nothing: there is a budget that grows with time. */
static bool spend(struct conn_h2 *h, uint32_t n)
{
    uint64_t now = loop_now_ms(h->c->f->w.loop), more = (now - h->tokens_ms) * H2_NOISE_RATE / 1000;

    if (more) {
        h->tokens_ms = now;
        h->tokens = more < H2_NOISE_BURST - h->tokens ? h->tokens + (uint32_t)more : H2_NOISE_BURST;
    }
    if (h->tokens >= n) {
        h->tokens -= n;
        return true;
    }
    h2_terminate(h, NGHTTP2_ENHANCE_YOUR_CALM, "too many frames without a request");
    return false;
}

static void refund(struct conn_h2 *h)
{
    h->tokens += H2_NOISE_REFUND;
    if (h->tokens > H2_NOISE_BURST)
        h->tokens = H2_NOISE_BURST;
}

static uint32_t price(const nghttp2_frame_hd *hd)
{
    switch (hd->type) {
    case NGHTTP2_HEADERS:
        return 0; /* a request; or the end of one */
    case NGHTTP2_DATA:
        return hd->length || (hd->flags & NGHTTP2_FLAG_END_STREAM) ? 0 : 1;
    case NGHTTP2_RST_STREAM:
    case NGHTTP2_SETTINGS:
        return H2_NOISE_RESET;
    default: /* also those that we do not know */
        return 1;
    }
}

/* -------------------------------------------------------------- streams that are over */
static void remember_cut(struct conn_h2 *h, int32_t id)
{
    int32_t *at = &h->cut[h->cut_n++ % H2_CUT_MAX];

    if (*at > h->cut_floor)
        h->cut_floor = *at;
    *at = id;
}

/* What is on the way to a stream when we end it is no fault (RFC 9113, 5.1). */
static bool was_cut(const struct conn_h2 *h, int32_t id)
{
    if (id <= h->cut_floor)
        return true;
    for (unsigned i = 0; i < H2_CUT_MAX; i++)
        if (h->cut[i] == id)
            return true;
    return false;
}

/* What the library leaves to others, because it remembers neither streams that are over nor, as we
 * do not use them, priorities. */
static uint32_t fault_of(struct conn_h2 *h, const nghttp2_frame_hd *hd)
{
    int32_t id = hd->stream_id;

    if (hd->type == NGHTTP2_PRIORITY && id == 0)
        return NGHTTP2_PROTOCOL_ERROR;
    if ((hd->type == NGHTTP2_DATA || hd->type == NGHTTP2_HEADERS) && id % 2 && id <= h->last &&
        !nghttp2_session_find_stream(h->s, id) && !was_cut(h, id))
        return NGHTTP2_STREAM_CLOSED;
    return NGHTTP2_NO_ERROR;
}

/* A frame begins: whether it may. */
static bool begins(struct conn_h2 *h)
{
    const uint8_t *b = h->frame;
    nghttp2_frame_hd hd = {.length = (size_t)b[0] << 16 | (size_t)b[1] << 8 | b[2],
                           .stream_id =
                               (int32_t)((uint32_t)(b[5] & 0x7f) << 24 | (uint32_t)b[6] << 16 |
                                         (uint32_t)b[7] << 8 | b[8]),
                           .type = b[3],
                           .flags = b[4]};
    uint32_t fault;

    h->frame_n = 0;
    h->payload = hd.length;
    if (!spend(h, price(&hd)))
        return false;
    fault = fault_of(h, &hd);
    if (fault != NGHTTP2_NO_ERROR)
        h2_terminate(h, fault, "a frame where none may be");
    return fault == NGHTTP2_NO_ERROR;
}

static bool hand_over(struct conn_h2 *h, const char *p, size_t n)
{
    ssize_t r = n ? nghttp2_session_mem_recv(h->s, (const uint8_t *)p, n) : 0;

    if (r == NGHTTP2_ERR_NOMEM)
        conn_kill(h->c);
    else if (r < 0)
        h2_terminate(h,
                     r == NGHTTP2_ERR_FLOODED ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_PROTOCOL_ERROR,
                     nghttp2_strerror((int)r));
    return !h->over && h->c->state == CONN_HTTP;
}

/* The heads of frames are looked at here as well, before the library sees them: it passes over some
 * without a word. */
void h2_recv(struct conn_h2 *h, struct view in)
{
    const char *p = in.p, *end = in.p + in.n, *from = in.p;

    while (p < end && !h->over) {
        size_t left = (size_t)(end - p);

        if (h->payload) { /* of a frame, or of the preface */
            size_t n = h->payload < left ? h->payload : left;

            h->payload -= n;
            p += n;
            continue;
        }
        /* all before it has to have happened when it is judged */
        if (h->frame_n == 0) {
            if (!hand_over(h, from, (size_t)(p - from)))
                return;
            from = p;
        }
        h->frame[h->frame_n++] = (uint8_t)*p++;
        if (h->frame_n == sizeof(h->frame) && !begins(h))
            return;
    }
    (void)hand_over(h, from, (size_t)(p - from));
}

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    struct conn_h2 *h = ctx;
    struct h2_stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    bool end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;

    if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code && !h->over &&
        front_may_log(h->c->f)) /* what the library found */
        log_info("h2.ended", KV("conn", h->c->id), KV("code", frame->goaway.error_code),
                 KV("why", view_of((const char *)frame->goaway.opaque_data,
                                   frame->goaway.opaque_data_len)));
    if (frame->hd.type == NGHTTP2_RST_STREAM && (!s || !s->ended))
        remember_cut(h, frame->hd.stream_id);
    if (frame->hd.type == NGHTTP2_RST_STREAM && frame->rst_stream.error_code != NGHTTP2_NO_ERROR)
        (void)spend(h, H2_NOISE_RESET); /* that we end one is as cheap for them */
    if (frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    if (end || frame->hd.length >= 256) /* a byte at a time is no reading */
        refund(h);
    if (end && s)
        h2_stream_sent(s);
    return 0;
}

/* -------------------------------------------------------------- header blocks */
static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    struct conn_h2 *h = ctx;
    struct h2_stream *s;

    h->head_end_ms = loop_now_ms(h->c->f->w.loop) + FRONT_HEAD_MS;
    h2_due(h, FRONT_HEAD_MS);
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0; /* trailers: nothing here means anything by them */
    h->last = frame->hd.stream_id;
    h->head_n = 0;
    h->head_bytes = 0;
    h->head_large = false;
    buf_reset(&h->head, 0);
    if (h->leaving) {
        (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                        NGHTTP2_REFUSED_STREAM);
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    s = h2_stream_new(h, frame->hd.stream_id);
    if (!s)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    return nghttp2_session_set_stream_user_data(session, s->id, s);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_n, const uint8_t *value, size_t value_n, uint8_t flags, void *ctx)
{
    struct conn_h2 *h = ctx;
    uint32_t n[2] = {(uint32_t)name_n, (uint32_t)value_n};

    (void)session, (void)flags;
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST || h->head_large)
        return 0;
    h->head_bytes += name_n + value_n + 32; /* RFC 9113, 6.5.2 */
    if (name_n && name[0] != ':')
        h->head_n++;
    if (h->head_n > HTTP_HEADERS_MAX || h->head_bytes > HTTP_HEAD_MAX) {
        h->head_large = true;
        buf_reset(&h->head, 0);
        return 0;
    }
    buf_put(&h->head, n, sizeof(n));
    buf_put(&h->head, name, name_n);
    buf_put(&h->head, value, value_n);
    return 0;
}

/* RFC 9113, 8.1.1: such a request is malformed, whatever else is in it. */
static int on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame,
                             nghttp2_rcbuf *name, nghttp2_rcbuf *value, uint8_t flags, void *ctx)
{
    (void)name, (void)value, (void)flags, (void)ctx;
    (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                    NGHTTP2_PROTOCOL_ERROR);
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static bool next_field(struct view *block, struct view *name, struct view *value)
{
    uint32_t n[2];

    if (block->n < sizeof(n))
        return false;
    memcpy(n, block->p, sizeof(n));
    *name = view_of(block->p + sizeof(n), n[0]);
    *value = view_of(name->p + n[0], n[1]);
    *block = view_from(*block, sizeof(n) + n[0] + n[1]);
    return true;
}

struct pseudo {
    struct view method, path, authority, protocol;
};

/* The block as the head of an HTTP/1.1 request: "" or why not. */
static const char *write_head(struct view block, struct pseudo *p, struct buf *out)
{
    struct view left = block, name, value;

    while (next_field(&left, &name, &value)) {
        if (view_eq(name, V(":method")))
            p->method = value;
        else if (view_eq(name, V(":path")))
            p->path = value;
        else if (view_eq(name, V(":authority")))
            p->authority = value;
        else if (view_eq(name, V(":protocol")))
            p->protocol = value;
    }
    buf_put_view(out, p->method);
    buf_put_char(out, ' ');
    buf_put_view(out, p->path.n ? p->path : p->authority); /* CONNECT has none */
    buf_put_str(out, " HTTP/1.1\r\n");
    if (p->authority.n) {
        buf_put_str(out, "host: ");
        buf_put_view(out, p->authority);
        buf_put(out, "\r\n", 2);
    }
    while (next_field(&block, &name, &value)) {
        if (name.p[0] == ':')
            continue;
        if (p->authority.n && view_eq(name, V("host"))) {
            if (!view_eq(value, p->authority)) /* RFC 9113, 8.3.1 */
                return "Host and :authority differ";
            continue;
        }
        buf_put_view(out, name);
        buf_put(out, ": ", 2);
        buf_put_view(out, value);
        buf_put(out, "\r\n", 2);
    }
    buf_put(out, "\r\n", 2);
    return NULL;
}

static void on_request(struct conn_h2 *h, struct h2_stream *s)
{
    struct http_req *q = &h->c->f->req;
    struct http_refusal why = {431, "head too large"};
    struct http_scan scan = {0};
    struct pseudo pseudo = {VIEW_EMPTY, VIEW_EMPTY, VIEW_EMPTY, VIEW_EMPTY};
    struct buf text = BUF_INIT(HTTP_HEAD_MAX);
    const char *bad;
    size_t used = 0;

    text.secret = true;
    if (h->head_large || h->head.failed) {
        xchg_refuse(&s->x, 431, "head too large", NULL);
    } else if ((bad = write_head(buf_view(&h->head), &pseudo, &text))) {
        xchg_refuse(&s->x, 400, bad, NULL);
    } else if (text.failed || http_scan(&scan, buf_view(&text), &used, &why) != HTTP_DONE ||
               used != text.n || http_parse(buf_view(&text), q, &why) != HTTP_DONE) {
        s->x.head = view_eq(pseudo.method, V("HEAD"));
        xchg_refuse(&s->x, why.status, why.why, NULL);
    } else if (pseudo.protocol.n) {
        h2_ws_request(s, q, pseudo.protocol);
    } else {
        q->chunked = !s->ended && !q->has_body; /* how long it is nobody said */
        q->has_body = !s->ended;
        h2_stream_request(s, q);
    }
    buf_fini(&text);
    buf_reset(&h->head, 0);
}

/* -------------------------------------------------------------- frames */
static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    struct conn_h2 *h = ctx;
    struct h2_stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    bool end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;

    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        h->head_end_ms = 0;
        if (s && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
            s->ended = end;
            on_request(h, s);
        } else if (s && end) {
            h2_stream_ended(s);
        }
        break;
    case NGHTTP2_DATA:
        if (s && end)
            h2_stream_ended(s);
        break;
    case NGHTTP2_PING:
        if (h->leaving && (frame->hd.flags & NGHTTP2_FLAG_ACK))
            h2_left(h);
        break;
    default:
        break;
    }
    return h->c->state == CONN_HTTP ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *p, size_t n,
                   void *ctx)
{
    struct conn_h2 *h = ctx;
    struct h2_stream *s = nghttp2_session_get_stream_user_data(session, id);

    (void)flags;
    if (nghttp2_session_consume_connection(session, n) != 0)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (s)
        h2_stream_body(s, view_of((const char *)p, n));
    return h->c->state == CONN_HTTP ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *ctx)
{
    struct h2_stream *s = nghttp2_session_get_stream_user_data(session, id);

    (void)code, (void)ctx;
    if (s)
        h2_stream_free(s);
    return 0;
}

nghttp2_session_callbacks *h2_recv_callbacks(void)
{
    nghttp2_session_callbacks *on;

    if (nghttp2_session_callbacks_new(&on) != 0)
        return NULL;
    nghttp2_session_callbacks_set_on_begin_headers_callback(on, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(on, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback2(on, on_invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(on, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(on, on_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(on, on_frame_send);
    nghttp2_session_callbacks_set_on_stream_close_callback(on, on_close);
    return on;
}
