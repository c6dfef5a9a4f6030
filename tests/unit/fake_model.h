/*
 * tests/unit/fake_model.h - a model server inside the test's own process and loop: each request
 * gets the next row of a table, and what the row says happens to the connection afterwards.
 */
#ifndef FAKE_MODEL_H
#define FAKE_MODEL_H

#include "fd.h"
#include "loop.h"
#include "mem.h"

#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define OK_HEAD                                                                                    \
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
#define EOF_HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
#define T(text)  "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"" text "\"}}]}\n\n"
#define FIN      "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
#define USAGE    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":20}}\n\n"
#define DONE     "data: [DONE]\n\n"
#define WHOLE    T("Hello") T(" world") FIN USAGE DONE
#define ERR(status, more, body)                                                                    \
    "HTTP/1.1 " status "\r\nContent-Type: application/json\r\n" more                               \
    "Connection: close\r\n\r\n" body

/* ---- the server ---- */

enum after { KEEP, CLOSE, STALL, RESET, FLOOD };

struct answer {
    const char *head, *body; /* body is sent as one chunk when head is OK_HEAD */
    enum after after;
};

enum { ANSWERS_MAX = 8, CONNS_MAX = 32 };

struct fake;
struct conn {
    struct fake *f;
    struct loop_io io;
    int fd;
    char in[16384];
    size_t n;
    bool flooding;
};

struct fake {
    struct loop *loop;
    struct loop_io listener;
    int fd, port;
    struct conn conn[CONNS_MAX];
    unsigned conns, requests, open;
    const struct answer *answers;
    char last[16384]; /* the last request */
    size_t flooded;
};

static void hang_up(struct conn *c)
{
    if (c->fd < 0)
        return;
    loop_io_fini(&c->io);
    fd_close(&c->fd);
    c->f->open--;
}

static void put(struct conn *c, const char *p, size_t n)
{
    while (n) {
        ssize_t k = send(c->fd, p, n, MSG_NOSIGNAL);

        if (k <= 0)
            return;
        p += k;
        n -= (size_t)k;
    }
}

static void flood(struct conn *c)
{
    char fill[16384];
    ssize_t k;

    memset(fill, 'x', sizeof(fill));
    while ((k = send(c->fd, fill, sizeof(fill), MSG_NOSIGNAL | MSG_DONTWAIT)) > 0)
        c->f->flooded += (size_t)k;
}

static void respond(struct conn *c)
{
    struct fake *f = c->f;
    const struct answer *a = &f->answers[f->requests];
    char size[32];

    f->requests++;
    put(c, a->head, strlen(a->head));
    if (!strcmp(a->head, OK_HEAD)) {
        (void)snprintf(size, sizeof(size), "%zx\r\n", strlen(a->body));
        put(c, size, strlen(size));
    }
    put(c, a->body, strlen(a->body));
    if (!strcmp(a->head, OK_HEAD) && a->after == KEEP)
        put(c, "\r\n0\r\n\r\n", 7);
    if (a->after == RESET) {
        struct linger hard = {.l_onoff = 1};

        (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    }
    if (a->after == CLOSE || a->after == RESET)
        hang_up(c);
    if (a->after == FLOOD) {
        c->flooding = true;
        loop_io_want(&c->io, true, true);
    }
}

static void on_conn(void *ctx, bool readable, bool writable)
{
    struct conn *c = ctx;
    const char *end, *len;
    ssize_t k;

    if (c->flooding && writable)
        flood(c);
    if (!readable)
        return;
    k = recv(c->fd, c->in + c->n, sizeof(c->in) - 1 - c->n, MSG_DONTWAIT);
    if (k <= 0) {
        hang_up(c);
        return;
    }
    c->n += (size_t)k;
    c->in[c->n] = 0;
    end = strstr(c->in, "\r\n\r\n");
    len = strstr(c->in, "Content-Length: ");
    if (!end || !len || c->n < (size_t)(end + 4 - c->in) + strtoul(len + 16, NULL, 10))
        return;
    memcpy(c->f->last, c->in, c->n + 1);
    c->n = 0;
    respond(c);
}

static void on_accept(void *ctx, bool readable, bool writable)
{
    struct fake *f = ctx;
    struct conn *c = &f->conn[f->conns];

    (void)readable;
    (void)writable;
    ck_assert_uint_lt(f->conns, CONNS_MAX);
    c->fd = accept4(f->fd, NULL, NULL, SOCK_CLOEXEC);
    if (c->fd < 0)
        return;
    c->f = f;
    f->conns++;
    f->open++;
    loop_io_init(&c->io, f->loop, c->fd, on_conn, c);
    loop_io_want(&c->io, true, false);
}

static void fake_open(struct fake *f, struct loop *l, const struct answer *answers)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);

    memset(f, 0, sizeof(*f));
    f->loop = l;
    f->answers = answers;
    f->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ck_assert_int_eq(bind(f->fd, (struct sockaddr *)&a, sizeof(a)), 0);
    ck_assert_int_eq(listen(f->fd, 64), 0);
    (void)getsockname(f->fd, (struct sockaddr *)&a, &len);
    f->port = ntohs(a.sin_port);
    loop_io_init(&f->listener, f->loop, f->fd, on_accept, f);
    loop_io_want(&f->listener, true, false);
}

static void fake_close(struct fake *f)
{
    for (unsigned i = 0; i < f->conns; i++)
        hang_up(&f->conn[i]);
    loop_io_fini(&f->listener);
    fd_close(&f->fd);
}

#endif
