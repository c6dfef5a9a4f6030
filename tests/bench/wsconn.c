#include "wsconn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { OP_CONTINUATION = 0, OP_TEXT = 1, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10 };

int conn_epoll;
long conns_open, conns_started, conn_bytes_in, conn_lost;
bool conn_quiet;

uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static char *room(char *p, size_t *cap, size_t want)
{
    if (want > *cap) {
        *cap = want * 2;
        p = realloc(p, *cap);
        if (!p) {
            perror("realloc");
            exit(2);
        }
    }
    return p;
}

static void put(struct conn *c, const void *p, size_t n)
{
    c->out = room(c->out, &c->out_cap, c->out_n + n);
    memcpy(c->out + c->out_n, p, n);
    c->out_n += n;
}

static void want_write(struct conn *c, bool want)
{
    struct epoll_event e = {.events = EPOLLIN | (want ? EPOLLOUT : 0u), .data.ptr = c};

    if (c->want_write == want)
        return;
    c->want_write = want;
    epoll_ctl(conn_epoll, EPOLL_CTL_MOD, c->fd, &e);
}

void conn_flush(struct conn *c)
{
    while (c->out_off < c->out_n) {
        ssize_t r = write(c->fd, c->out + c->out_off, c->out_n - c->out_off);

        if (r < 0) {
            if (errno == EAGAIN)
                want_write(c, true);
            return; /* other errors are seen when reading */
        }
        c->out_off += (size_t)r;
    }
    c->out_off = c->out_n = 0;
    want_write(c, false);
}

static void frame(struct conn *c, int op, const char *p, size_t n)
{
    unsigned char h[14] = {(unsigned char)(0x80 | op)};
    size_t k = 2;

    if (n < 126) {
        h[1] = (unsigned char)(0x80 | n);
    } else {
        size_t bytes = n < 65536 ? 2 : 8;

        h[1] = bytes == 2 ? 0x80 | 126 : 0x80 | 127;
        for (size_t i = bytes; i-- > 0;)
            h[k++] = (unsigned char)((uint64_t)n >> (8 * i));
    }
    put(c, h, k + 4); /* the mask is zero: the payload stays as it is */
    put(c, p, n);
}

void conn_queue(struct conn *c, const char *s, size_t n)
{
    frame(c, OP_TEXT, s, n);
}

void conn_text(struct conn *c, const char *s, size_t n)
{
    conn_queue(c, s, n);
    conn_flush(c);
}

void conn_start(struct conn *c, const struct peer *p)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)p->port)};
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
    int one = 1;

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) {
        perror("socket");
        exit(2);
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (p->spread) {
        struct sockaddr_in from = {.sin_family = AF_INET};

        from.sin_addr.s_addr = htonl(0x7f000002u + (uint32_t)c->idx / 20000u);
        setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
        if (bind(c->fd, (struct sockaddr *)&from, sizeof(from)) < 0)
            perror("bind");
    }
    inet_pton(AF_INET, p->host, &to.sin_addr);
    c->start_ns = now_ns();
    c->generation++;
    c->state = S_CONNECTING;
    c->in_n = c->out_n = c->out_off = c->msg_n = 0;
    c->want_write = true;
    if (connect(c->fd, (struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS) {
        perror("connect");
        exit(2);
    }
    epoll_ctl(conn_epoll, EPOLL_CTL_ADD, c->fd, &e);
    conns_open++;
    conns_started++;
}

void conn_drop(struct conn *c)
{
    close(c->fd);
    c->fd = -1;
    conns_open--;
    c->state = S_DONE;
}

static void lost(struct conn *c, const char *why, int n)
{
    conn_lost++;
    if (!conn_quiet)
        fprintf(stderr, "connection %d, state %d: %.*s\n", c->idx, (int)c->state, n, why);
    conn_drop(c);
}

static void upgrade(struct conn *c, const struct peer *p)
{
    char b[512];
    int err = 0, n;
    socklen_t len = sizeof(err);

    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len);
    if (err) {
        lost(c, strerror(err), 100);
        return;
    }
    c->state = S_UPGRADE;
    n = snprintf(b, sizeof(b),
                 "GET %s HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
                 p->path, p->host, p->port);
    put(c, b, (size_t)n);
    conn_flush(c);
}

/* One frame at p, or 0 when it is not all there. */
static size_t frame_head(const unsigned char *p, size_t left, size_t *head)
{
    size_t n = p[1] & 127u, bytes = n == 126 ? 2 : n == 127 ? 8 : 0;

    *head = 2 + bytes;
    if (left < *head)
        return 0;
    if (bytes)
        n = 0;
    for (size_t i = 0; i < bytes; i++)
        n = n << 8 | p[2 + i];
    return left - *head < n ? 0 : *head + n;
}

static void take(struct conn *c, const unsigned char *p, size_t n, int op, bool fin,
                 void (*on_message)(struct conn *, const char *, size_t))
{
    const char *text = (const char *)p;

    if (op == OP_PING) {
        frame(c, OP_PONG, text, n);
        conn_flush(c);
    } else if (op == OP_CLOSE) {
        if (c->state != S_DONE)
            lost(c, n > 2 ? text + 2 : "closed", n > 2 ? (int)n - 2 : 6);
        else
            conn_drop(c);
    } else if (op == OP_PONG) {
        return;
    } else if (fin && op != OP_CONTINUATION) {
        on_message(c, text, n);
    } else {
        c->msg = room(c->msg, &c->msg_cap, c->msg_n + n);
        memcpy(c->msg + c->msg_n, p, n);
        c->msg_n += n;
        if (fin) {
            n = c->msg_n;
            c->msg_n = 0;
            on_message(c, c->msg, n);
        }
    }
}

static void parse(struct conn *c, void (*on_message)(struct conn *, const char *, size_t))
{
    unsigned generation = c->generation;
    size_t at = 0, head, n;

    if (c->state == S_UPGRADE) {
        char *end = memmem(c->in, c->in_n, "\r\n\r\n", 4);

        if (!end)
            return;
        if (memcmp(c->in, "HTTP/1.1 101", 12) != 0) {
            lost(c, c->in, (int)(end - c->in));
            return;
        }
        at = (size_t)(end + 4 - c->in);
        c->state = S_CHALLENGE;
    }
    while (c->in_n - at >= 2) {
        const unsigned char *p = (const unsigned char *)c->in + at;

        if (!(n = frame_head(p, c->in_n - at, &head)))
            break;
        at += n;
        take(c, p + head, n - head, p[0] & 15, p[0] >> 7, on_message);
        if (c->fd < 0 || c->generation != generation)
            return;
    }
    memmove(c->in, c->in + at, c->in_n - at);
    c->in_n -= at;
    if (!c->in_n &&
        c->in_cap > 65536) { /* thousands of idle connections shall not cost us memory */
        free(c->in);
        c->in = NULL;
        c->in_cap = 0;
    }
}

void conn_ready(struct conn *c, uint32_t events, const struct peer *p,
                void (*on_message)(struct conn *c, const char *p, size_t n))
{
    unsigned generation = c->generation;

    if (c->state == S_CONNECTING && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
        upgrade(c, p);
    else if (events & EPOLLOUT)
        conn_flush(c);
    while (c->fd >= 0 && c->generation == generation &&
           (events & (EPOLLIN | EPOLLHUP | EPOLLERR))) {
        ssize_t r;

        c->in = room(c->in, &c->in_cap, c->in_n + 16384);
        r = read(c->fd, c->in + c->in_n, c->in_cap - c->in_n);
        if (r < 0 && errno == EAGAIN)
            return;
        if (r <= 0) {
            if (c->state == S_DONE)
                conn_drop(c);
            else
                lost(c, "ended by the server", 100);
            return;
        }
        c->in_n += (size_t)r;
        conn_bytes_in += r;
        parse(c, on_message);
        if (r < 8192)
            return;
    }
}
