#include "client.h"

#include "clock.h"
#include "fd.h"
#include "jw.h"
#include "mem.h"
#include "rand.h"
#include "version.h"
#include "wire.h"
#include "ws.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    MESSAGE_MAX = 32 * 1024 * 1024, /* the largest answer a gateway gives, and some */
    HEAD_MAX = 16 * 1024,
    READ_MAX = 64 * 1024,
    KEPT_MAX = 10000, /* events that wait to be asked for */
};

struct client {
    struct client_conf conf;
    int fd;
    struct wire *wire;
    struct buf in, out;
    struct ws_dec dec;
    json_t *hello;
    json_t *kept; /* array of event frames */
    uint64_t next_id;
};

static int wait_fd(struct client *c, short events, uint64_t until_ms, struct err *e)
{
    struct pollfd p = {.fd = c->fd, .events = events};

    for (;;) {
        uint64_t now = clock_mono_ms();
        int left = until_ms == UINT64_MAX ? -1 : until_ms <= now ? 0 : (int)(until_ms - now);
        int r = poll(&p, 1, left);

        if (r > 0)
            return 0;
        if (r == 0)
            return err_set(e, ERR_TIMEOUT, "the gateway did not answer in time");
        if (errno != EINTR)
            return err_sys(e, "poll");
    }
}

static int flush(struct client *c, uint64_t until_ms, struct err *e)
{
    while (c->out.n) {
        ssize_t w = wire_send(c->wire, c->out.p + c->out.off, c->out.n);
        int r;

        if (w > 0) {
            buf_eat(&c->out, (size_t)w);
        } else if (errno == EAGAIN) {
            if ((r = wait_fd(c, wire_events(c->wire), until_ms, e)) < 0)
                return r;
        } else if (errno != EINTR) {
            return err_sys(e, "send to the gateway");
        }
    }
    return 0;
}

static int receive(struct client *c, uint64_t until_ms, struct err *e)
{
    for (;;) {
        char *room = buf_room(&c->in, READ_MAX);
        ssize_t n;
        int r;

        if (!room)
            return buf_check(&c->in, e);
        n = wire_recv(c->wire, room, READ_MAX);
        if (n > 0) {
            buf_added(&c->in, (size_t)n);
            return 0;
        }
        if (n == 0)
            return err_set(e, ERR_CLOSED, "the gateway closed the connection");
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN)
            return err_sys(e, "receive from the gateway");
        if ((r = wait_fd(c, wire_events(c->wire), until_ms, e)) < 0)
            return r;
    }
}

static int greet(struct client *c, uint64_t until_ms, struct err *e)
{
    int r = wire_new(&c->wire, c->fd, c->conf.tls, c->conf.host, c->conf.pin, e);

    while (r == 0 && (r = wire_greet(c->wire, e)) == ERR_AGAIN)
        r = wait_fd(c, wire_events(c->wire), until_ms, e);
    return r;
}

static int dial(struct client *c, uint64_t until_ms, struct err *e)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    char port[8];
    int r, one = 1;

    (void)snprintf(port, sizeof(port), "%u", c->conf.port);
    if ((r = getaddrinfo(c->conf.host, port, &hints, &list)) != 0)
        return err_set(e, ERR_SYS, "%s: %s", c->conf.host, gai_strerror(r));
    for (struct addrinfo *a = list; a; a = a->ai_next) {
        int err = 0;
        socklen_t len = sizeof(err);

        fd_close(&c->fd);
        c->fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (c->fd < 0)
            continue;
        if (connect(c->fd, a->ai_addr, a->ai_addrlen) < 0 && errno != EINPROGRESS) {
            (void)err_sys(e, "connect to %s port %u", c->conf.host, c->conf.port);
            continue;
        }
        if (wait_fd(c, POLLOUT, until_ms, e) < 0)
            continue;
        (void)getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len);
        errno = err;
        if (err) {
            (void)err_sys(e, "connect to %s port %u", c->conf.host, c->conf.port);
            continue;
        }
        (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        freeaddrinfo(list);
        *e = (struct err)ERR_INIT;
        return 0;
    }
    freeaddrinfo(list);
    fd_close(&c->fd);
    return e->code
               ? e->code
               : err_set(e, ERR_SYS, "cannot connect to %s port %u", c->conf.host, c->conf.port);
}

static int upgrade(struct client *c, uint64_t until_ms, struct err *e)
{
    char key[WS_KEY_LEN + 1], want[WS_ACCEPT_LEN + 1];
    struct view in;
    const char *end;
    int r;

    ws_key_new(key);
    if ((r = ws_accept(view_str(key), want, e)) < 0)
        return r;
    buf_printf(&c->out,
               "GET / HTTP/1.1\r\nHost: %s%s%s:%u\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\nUser-Agent: "
               "openclawctl/" OPENCLAW_C_VERSION "\r\n\r\n",
               strchr(c->conf.host, ':') ? "[" : "", c->conf.host,
               strchr(c->conf.host, ':') ? "]" : "", c->conf.port, key);
    if ((r = flush(c, until_ms, e)) < 0)
        return r;
    while (!(end = c->in.n ? memmem(c->in.p + c->in.off, c->in.n, "\r\n\r\n", 4) : NULL)) {
        if (c->in.n > HEAD_MAX)
            return err_set(e, ERR_INVALID, "not a gateway: its answer has no end");
        if ((r = receive(c, until_ms, e)) < 0)
            return r;
    }
    in = buf_view(&c->in);
    if (!view_starts(in, V("HTTP/1.1 101 "))) {
        size_t line = view_find(in, '\r');

        return err_set(e, ERR_DENIED, "not a gateway, or it refused: %.*s",
                       VIEW_FMT(view_of(in.p, line > 80 ? 80 : line)));
    }
    if (!memmem(in.p, (size_t)(end - in.p), want, WS_ACCEPT_LEN))
        return err_set(e, ERR_INVALID, "not a gateway: its handshake does not fit ours");
    buf_eat(&c->in, (size_t)(end + 4 - in.p));
    return 0;
}

/* The next frame of the gateway as a document; pings are answered on the way. */
static int next_frame(struct client *c, uint64_t until_ms, json_t **out, struct err *e)
{
    for (;;) {
        char *p = c->in.p + c->in.off;
        size_t n = c->in.n;
        struct ws_out o;
        enum ws_event ev = n ? ws_decode(&c->dec, &p, &n, &o) : WS_MORE;
        int r = 0;

        switch (ev) {
        case WS_MORE:
            buf_eat(&c->in, c->in.n - n);
            if ((r = receive(c, until_ms, e)) < 0)
                return r;
            continue;
        case WS_MESSAGE:
            r = json_parse(o.data, out, e);
            buf_eat(&c->in, c->in.n - n);
            return r;
        case WS_PING:
            ws_put(&c->out, WS_OP_PONG, o.data, true);
            buf_eat(&c->in, c->in.n - n);
            if ((r = flush(c, until_ms, e)) < 0)
                return r;
            continue;
        case WS_PONG:
            buf_eat(&c->in, c->in.n - n);
            continue;
        case WS_CLOSE:
            return err_set(e, ERR_CLOSED, "the gateway closed the connection: %u %.*s", o.code,
                           VIEW_FMT(o.data));
        case WS_BAD:
            return err_set(e, ERR_INVALID, "the gateway broke the WebSocket protocol: %s", o.text);
        }
    }
}

static bool is_event(const json_t *frame)
{
    return view_eq(json_view(frame, "type"), V("event"));
}

int client_call(struct client *c, const char *method, json_t *params, json_t **out, struct err *e)
{
    uint64_t until = clock_mono_ms() + c->conf.timeout_ms;
    char id[24];
    struct buf b;
    int r;

    (void)snprintf(id, sizeof(id), "%" PRIu64, ++c->next_id);
    buf_init(&b, MESSAGE_MAX);
    {
        struct jw w = JW_INIT(&b);

        jw_obj(&w);
        jw_kcstr(&w, "type", "req");
        jw_kcstr(&w, "id", id);
        jw_kcstr(&w, "method", method);
        jw_key(&w, "params");
        if (!params)
            jw_raw(&w, V("{}"));
        else if ((r = json_dump(params, &b, e)) < 0) {
            buf_fini(&b);
            return r;
        }
        buf_put_char(&b, '}');
    }
    if ((r = buf_check(&b, e)) == 0) {
        ws_put(&c->out, WS_OP_TEXT, buf_view(&b), true);
        r = flush(c, until, e);
    }
    buf_fini(&b);
    while (r == 0) {
        json_t *f = NULL;
        const json_t *error;

        if ((r = next_frame(c, until, &f, e)) < 0)
            return r;
        if (is_event(f)) {
            if (json_array_size(c->kept) < KEPT_MAX)
                (void)json_array_append(c->kept, f);
            json_decref(f);
            continue;
        }
        if (!view_eq(json_view(f, "id"), view_str(id))) {
            json_decref(f);
            continue;
        }
        error = json_object_get(f, "error");
        if (!json_flag(f, "ok", false)) {
            r = err_set(e, ERR_DENIED, "%.*s: %.*s", VIEW_FMT(json_view(error, "code")),
                        VIEW_FMT(json_view(error, "message")));
        } else {
            json_t *p = json_object_get(f, "payload");

            *out = p ? json_incref(p) : json_null();
        }
        json_decref(f);
        return r;
    }
    return r;
}

int client_event(struct client *c, const char *name, unsigned timeout_ms, json_t **out,
                 struct err *e)
{
    uint64_t until = timeout_ms ? clock_mono_ms() + timeout_ms : UINT64_MAX;

    for (;;) {
        json_t *f = NULL;
        int r;

        if (json_array_size(c->kept)) {
            f = json_incref(json_array_get(c->kept, 0));
            (void)json_array_remove(c->kept, 0);
        } else if ((r = next_frame(c, until, &f, e)) < 0) {
            return r;
        }
        if (is_event(f) && view_eq(json_view(f, "event"), view_str(name))) {
            *out = json_incref(json_object_get(f, "payload"));
            json_decref(f);
            return 0;
        }
        json_decref(f);
    }
}

static int handshake(struct client *c, uint64_t until_ms, struct err *e)
{
    static const char *const scopes[] = {"operator.admin", "operator.read", "operator.write",
                                         "operator.approvals", "operator.pairing"};
    json_t *p = NULL, *list;
    int r;

    for (;;) { /* the challenge comes first */
        json_t *f = NULL;
        bool is;

        if ((r = next_frame(c, until_ms, &f, e)) < 0)
            return r;
        is = is_event(f) && view_eq(json_view(f, "event"), V("connect.challenge"));
        json_decref(f);
        if (is)
            break;
    }
    list = json_array();
    for (size_t i = 0; i < COUNT_OF(scopes); i++)
        (void)json_array_append_new(list, json_string(scopes[i]));
    p = json_pack("{s:i, s:i, s:{s:s, s:s, s:s, s:s}, s:s, s:o, s:[s]}", "minProtocol", 4,
                  "maxProtocol", 4, "client", "id", "cli", "version", OPENCLAW_WIRE_VERSION,
                  "platform", "linux", "mode", "cli", "role", "operator", "scopes", list, "caps",
                  "tool-events");
    if (!p)
        return err_set(e, ERR_NOMEM, "out of memory");
    if (c->conf.token && c->conf.token->n &&
        (r = json_set_at(p, "auth.token",
                         json_stringn((const char *)c->conf.token->p, c->conf.token->n), e)) < 0)
        goto out;
    if (c->conf.password &&
        (r = json_set_at(p, "auth.password", json_string(c->conf.password), e)) < 0)
        goto out;
    r = client_call(c, "connect", p, &c->hello, e);
out:
    json_decref(p);
    return r;
}

int client_open(struct client **out, const struct client_conf *conf, struct err *e)
{
    uint64_t until = clock_mono_ms() + conf->timeout_ms;
    struct client *c = NULL;
    int r;

    if ((r = mem_new(&c, sizeof(*c), e)) < 0)
        return r;
    c->conf = *conf;
    c->fd = -1;
    c->kept = json_array();
    buf_init(&c->in, MESSAGE_MAX);
    buf_init(&c->out, MESSAGE_MAX);
    ws_dec_init(&c->dec, false, MESSAGE_MAX);
    if ((r = dial(c, until, e)) == 0 && (r = greet(c, until, e)) == 0 &&
        (r = upgrade(c, until, e)) == 0)
        r = handshake(c, until, e);
    if (r < 0)
        client_close(&c);
    else
        *out = c;
    return r;
}

void client_close(struct client **cp)
{
    struct client *c = *cp;
    struct err e = ERR_INIT;

    if (!c)
        return;
    if (c->hello) { /* a clean goodbye; nobody waits for its answer */
        ws_put_close(&c->out, WS_NORMAL, VIEW_EMPTY, true);
        if (flush(c, clock_mono_ms() + 200, &e) < 0)
            e.code = 0;
    }
    wire_free(&c->wire);
    fd_close(&c->fd);
    ws_dec_fini(&c->dec);
    buf_fini(&c->in);
    buf_fini(&c->out);
    json_decref(c->hello);
    json_decref(c->kept);
    mem_free(c);
    *cp = NULL;
}

const json_t *client_hello(const struct client *c)
{
    return c->hello;
}

const char *client_fingerprint(const struct client *c)
{
    return wire_fingerprint(c->wire);
}
