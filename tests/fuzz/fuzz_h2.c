/* A connection of HTTP/2 as a state machine: the input is a program for a client that writes
 * frames, sound or not, and for the hub behind the front. Whatever it does, in the end nothing is
 * left. */
#include "front_rig.h"
#include "h2_bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { OPS_MAX = 80 };

struct input {
    const uint8_t *p;
    size_t n;
};

static uint8_t byte(struct input *in)
{
    if (!in->n)
        return 0;
    in->n--;
    return *in->p++;
}

static struct view bytes(struct input *in)
{
    size_t n = byte(in);
    struct view v;

    n = n < in->n ? n : in->n;
    v = view_of((const char *)in->p, n);
    in->p += n;
    in->n -= n;
    return v;
}

static const struct h2b_request requests[] = {
    {"GET", "/health", NULL, NULL, NULL},
    {"GET", "/", NULL, "accept-encoding", "gzip"},
    {"HEAD", "/v1/models", NULL, NULL, NULL},
    {"GET", "/v1/models", NULL, NULL, NULL},
    {"POST", "/v1/responses", NULL, NULL, NULL},
    {"POST", "/v1/responses", NULL, "expect", "100-continue"},
    {"POST", "/v1/responses", NULL, "content-length", "9"},
    {"POST", "/health", NULL, NULL, NULL},
    {"CONNECT", "/", "websocket", "sec-websocket-version", "13"},
    {"CONNECT", "/", "other", "sec-websocket-version", "13"},
    {"GET", "/nowhere", NULL, "x-forwarded-for", "1.2.3.4"},
};

static void ws_frame(struct buf *out, struct view text, uint32_t stream, unsigned flags)
{
    static const uint8_t key[4] = {1, 2, 3, 4};
    char frame[512];
    uint8_t head[WS_HEAD_MAX];
    size_t n = ws_head(head, WS_OP_TEXT, text.n, key);

    memcpy(frame, head, n);
    memcpy(frame + n, text.p, text.n);
    ws_mask(frame + n, text.n, key, 0);
    h2b_frame(out, H2B_DATA, flags, stream, view_of(frame, n + text.n));
}

/* Numbers of requests and connections are small. */
static void hub_says(struct rig *g, struct input *in)
{
    struct err e = ERR_INIT;
    struct link *l = g->hub_far;
    uint64_t conn = 1 + byte(in) % 2, req = byte(in) & 15,
             inner = (UINT64_C(1) << 52) | (byte(in) & 3);
    int r = 0;

    if (!l)
        return;
    switch (byte(in) % 7) {
    case 0:
        r = msg_send_http_go(l, &(struct ipc_http_go){conn, req}, &e);
        break;
    case 1:
        r = msg_send_http_part(l, &(struct ipc_http_part){conn, req, byte(in) % 3, bytes(in)}, &e);
        break;
    case 2:
        r = msg_send_http_answer(l,
                                 &(struct ipc_http_answer){.conn_id = conn,
                                                           .req = req,
                                                           .status = 200 + byte(in),
                                                           .more = byte(in) & 1,
                                                           .type = V("text/plain"),
                                                           .body = bytes(in)},
                                 &e);
        break;
    case 3:
        r = msg_send_event(l, &(struct ipc_event){AUD_ALL, byte(in) & 3u, bytes(in)}, &e);
        break;
    case 4:
        r = msg_send_conn_close(l, &(struct ipc_conn_close){inner, 1008, V("why")}, &e);
        break;
    case 5:
        r = msg_send_conn_close(l, &(struct ipc_conn_close){conn, 1012, V("why")}, &e);
        break;
    default:
        r = msg_send_connect_ok(l, &(struct ipc_connect_ok){inner, 1, V("t"), bytes(in)}, &e);
        break;
    }
    rig_need(r == 0 || e.code < 0);
}

static void op(struct rig *g, int *fd, uint32_t *next, struct input *in)
{
    struct buf out = BUF_INIT(64 * KIB);
    static char sink[262144];
    uint8_t what = byte(in);
    uint32_t stream = byte(in) & 31;
    unsigned flags = byte(in);
    struct view v;

    switch (what % 16) {
    case 0: /* bytes, as they come */
        v = bytes(in);
        buf_put_view(&out, v);
        break;
    case 1:
    case 2: /* a frame */
        v = bytes(in);
        h2b_frame(&out, byte(in) % 12, flags, stream, v);
        break;
    case 3:
    case 4:
    case 5: /* a request on the next stream */
        h2b_request(&out, &requests[stream % COUNT_OF(requests)], (flags & 1u) | H2B_END_HEADERS,
                    *next);
        *next += 2;
        break;
    case 6: /* a body */
        v = bytes(in);
        h2b_frame(&out, H2B_DATA, flags & 1u, stream, v);
        break;
    case 7:
        ws_frame(&out, flags & 2 ? V(RIG_CONNECT) : V(RIG_READ), stream, flags & 1u);
        break;
    case 8: /* windows, of a stream and of all that come */
        h2b_frame(&out, H2B_WINDOW, 0, flags & 1 ? stream : 0, view_of("\0\0\1\0", 4));
        h2b_frame(&out, H2B_SETTINGS, 0, 0,
                  flags & 2 ? view_of("\0\4\0\0\0\0", 6) : view_of("\0\4\0\0\377\377", 6));
        break;
    case 9:
        h2b_frame(&out, H2B_RST, 0, stream, view_of("\0\0\0\10", 4));
        break;
    case 10:
        for (unsigned i = 0; i < flags * 4u; i++)
            h2b_frame(&out, byte(in) & 1 ? H2B_PING : 0x16, 0, 0, V("12345678"));
        break;
    case 11:
        link_close(&g->hub_far);
        break;
    case 12:
        if (!g->hub_far)
            rig_hub_up(g);
        g->hold = flags & 1;
        break;
    case 13:
        rig_need(recv(*fd, sink, sizeof(sink), MSG_DONTWAIT) < (ssize_t)sizeof(sink) + 1);
        break;
    case 14: /* what the worker does when it is stopped; or the client has said all */
        if (flags & 1)
            (void)shutdown(*fd, SHUT_WR);
        else
            for (struct list *l = g->f.fresh.next, *n; l != &g->f.fresh; l = n) {
                n = l->next;
                conn_bye(LIST_OF(l, struct conn, on_open), WS_RESTART, V("bye"));
            }
        break;
    default:
        hub_says(g, in);
        break;
    }
    if (out.n)
        rig_say(g, *fd, buf_view(&out));
    else
        rig_steps(g);
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct rig g;
    struct input in = {data, n};
    uint32_t next = 1;
    int fd;

    rig_init(&g);
    fd = rig_client(&g);
    rig_say(&g, fd, V(H2B_PREFACE));
    for (unsigned i = 0; i < OPS_MAX && in.n; i++)
        op(&g, &fd, &next, &in);
    fd_close(&fd);
    rig_steps(&g);
    rig_need(g.f.conns.count == 0 && g.f.reqs.count == 0 && g.f.reqs.bytes == 0 &&
             g.f.body_bytes == 0);
    rig_need(list_empty(&g.f.fresh) && list_empty(&g.f.open) && list_empty(&g.f.waiting) &&
             list_empty(&g.f.places.granted));
    rig_fini(&g);
    return 0;
}
