/* The front as a state machine: the input is a program for up to four clients, a hub and the line
 * between hub and front. Whatever it does, in the end every connection and every request is gone.
 */
#include "front_rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { CLIENTS = 4, OPS_MAX = 60 };

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

/* Numbers of HTTP requests are small. */
static int http_says(struct link *l, uint64_t conn, uint64_t req, struct input *in, struct err *e)
{
    req &= 15;
    switch (byte(in) % 4) {
    case 0:
        return msg_send_http_go(l, &(struct ipc_http_go){conn, req}, e);
    case 1:
        return msg_send_http_part(l, &(struct ipc_http_part){conn, req, byte(in) % 4, bytes(in)},
                                  e);
    default:
        return msg_send_http_answer(l,
                                    &(struct ipc_http_answer){.conn_id = conn,
                                                              .req = req,
                                                              .status = 200,
                                                              .more = byte(in) & 1,
                                                              .type = V("text/plain"),
                                                              .body = bytes(in)},
                                    e);
    }
}

/* What the hub may send, sound or not; what breaks the rules ends the line. */
static void hub_says(struct rig *g, struct input *in)
{
    struct err e = ERR_INIT;
    struct link *l = g->hub_far;
    uint64_t conn = byte(in) % (g->next_id + 2), req = byte(in);
    uint64_t ids[2] = {conn, req};
    int r;

    if (!l)
        return;
    req |= (uint64_t)(byte(in) & 15) << 32;
    switch (byte(in) % 8) {
    case 0:
        r = msg_send_event(l, &(struct ipc_event){AUD_ALL, byte(in) & 3u, bytes(in)}, &e);
        break;
    case 1:
        r = msg_send_event_to(
            l, &(struct ipc_event_to){3, view_of((char *)ids, byte(in) & 1 ? 16 : 8), bytes(in)},
            &e);
        break;
    case 2:
        r = msg_send_conn_close(
            l, &(struct ipc_conn_close){conn, (uint16_t)(1000 + byte(in) % 20), V("why")}, &e);
        break;
    case 3:
        r = msg_send_conn_update(l, &(struct ipc_conn_update){conn, AUD_READ, V("new")}, &e);
        break;
    case 4:
        r = msg_send_reply(l, &(struct ipc_reply){conn, req, byte(in) & 1, bytes(in)}, &e);
        break;
    case 5:
        r = msg_send_connect_refused(
            l, &(struct ipc_connect_refused){conn, 1008, V("no"), bytes(in)}, &e);
        break;
    case 6:
        r = msg_send_connect_ok(l, &(struct ipc_connect_ok){conn, 1, V("t"), bytes(in)}, &e);
        break;
    case 7:
        r = http_says(l, conn, req, in, &e);
        break;
    default:
        r = msg_send_snapshot(l, &(struct ipc_snapshot){V("health"), V("{\"ok\":true}")}, &e);
        break;
    }
    rig_need(r == 0 || e.code < 0);
}

static void op(struct rig *g, int *fds, struct input *in)
{
    int *fd = &fds[byte(in) % CLIENTS];
    char sink[4096];
    struct view v;

    switch (byte(in) % 16) {
    case 0:
        fd_close(fd);
        *fd = rig_client(g);
        break;
    case 1:
        v = bytes(in);
        rig_say(g, *fd, v);
        break;
    case 2:
        rig_say(g, *fd, V(RIG_UPGRADE));
        break;
    case 3:
        rig_frame(g, *fd, V(RIG_CONNECT), 1000);
        break;
    case 4:
        rig_frame(g, *fd, V(RIG_READ), 1000);
        break;
    case 5:
        v = bytes(in);
        rig_frame(g, *fd, v, 1u + byte(in));
        break;
    case 6:
        fd_close(fd);
        break;
    case 7:
        if (*fd >= 0)
            (void)shutdown(*fd, SHUT_WR); /* the half that the front reads */
        break;
    case 8:
        link_close(&g->hub_far);
        break;
    case 9:
        if (!g->hub_far)
            rig_hub_up(g);
        break;
    case 10:
        g->hold = byte(in) & 1;
        break;
    case 11: /* as many as one read brings */
        for (unsigned i = byte(in); i && *fd >= 0; i--) {
            static const char ping[6] = "\x89\x80\0\0\0";

            if (send(*fd, ping, sizeof(ping), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
                break;
        }
        break;
    case 12:
        rig_need(*fd < 0 ||
                 recv(*fd, sink, sizeof(sink), MSG_DONTWAIT) < (ssize_t)sizeof(sink) + 1);
        break;
    case 13:
        conn_make_room(&g->f, V("127.0.0.1"));
        break;
    default:
        hub_says(g, in);
        break;
    }
    rig_steps(g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct rig g;
    struct input in = {data, n};
    int fds[CLIENTS] = {-1, -1, -1, -1};

    rig_init(&g);
    for (unsigned i = 0; i < OPS_MAX && in.n; i++)
        op(&g, fds, &in);
    for (unsigned i = 0; i < CLIENTS; i++)
        fd_close(&fds[i]);
    rig_steps(&g);
    rig_need(g.f.conns.count == 0 && g.f.reqs.count == 0 && g.f.reqs.bytes == 0 &&
             g.f.body_bytes == 0);
    rig_need(list_empty(&g.f.fresh) && list_empty(&g.f.open) && list_empty(&g.f.waiting));
    rig_fini(&g);
    return 0;
}
