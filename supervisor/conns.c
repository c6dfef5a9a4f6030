/*
 * supervisor/conns.c - listening sockets, and what is accepted on them: counted per address until
 * it has authenticated, and handed to the front that holds the fewest. No byte of it is read here.
 */
#include "fd.h"
#include "fleet.h"
#include "log.h"
#include "num.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    LISTEN_MAX = 8,
    BACKLOG = 4096,     /* while every front restarts */
    ACCEPT_BATCH = 128, /* per wake-up */
    BUCKETS = 4096,     /* of the table of connections that have not authenticated; it holds
                           BUDGET_TOTAL_MAX at most */
    RETRY_MS = 200,     /* when out of descriptors */
    BIND_WAIT_MS = 10,  /* a gateway that was just killed may have had a child before exec: */
    BIND_TRIES = 10,    /* it held the port a moment longer */
};

struct unauth {
    uint64_t id, key;
    unsigned front;
    struct unauth *next;
};

struct listener {
    struct conns *owner;
    struct loop_io io;
    int fd;
};

struct conns {
    struct fleet *fleet;
    struct listener l[LISTEN_MAX];
    unsigned count;
    struct budget *budget;
    struct unauth *bucket[BUCKETS];
    struct unauth *spare; /* freed nodes */
    struct loop_timer retry;
    uint64_t next_id;
    int reserve; /* given up to shed a connection when descriptors are out */
    bool stopped;
};

static void resume(void *ctx)
{
    struct conns *c = ctx;

    conns_fronts_changed(c->fleet);
}

int conns_new(struct conns **out, struct fleet *f, struct err *e)
{
    struct conns *c = NULL;
    int r;

    if ((r = mem_new(&c, sizeof(*c), e)) < 0)
        return r;
    c->fleet = f;
    c->next_id = 1;
    c->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    loop_timer_init(&c->retry, f->loop, resume, c);
    if ((r = budget_new(&c->budget, e)) < 0)
        conns_free(&c);
    else
        *out = c;
    return r;
}

void conns_free(struct conns **cp)
{
    struct conns *c = *cp;
    struct unauth *u;

    if (!c)
        return;
    conns_stop(c);
    loop_timer_fini(&c->retry);
    for (unsigned i = 0; i < BUCKETS; i++)
        while ((u = c->bucket[i])) {
            c->bucket[i] = u->next;
            mem_free(u);
        }
    while ((u = c->spare)) {
        c->spare = u->next;
        mem_free(u);
    }
    fd_close(&c->reserve);
    budget_free(&c->budget);
    mem_free(c);
    *cp = NULL;
}

void conns_stop(struct conns *c)
{
    c->stopped = true;
    for (unsigned i = 0; i < c->count; i++) {
        loop_io_fini(&c->l[i].io);
        fd_close(&c->l[i].fd);
    }
    c->count = 0;
}

unsigned conns_unauthenticated(const struct conns *c)
{
    return budget_total(c->budget);
}

static struct proc *least_loaded(struct fleet *f)
{
    struct proc *best = NULL;

    for (unsigned i = 0; i < f->count; i++) {
        struct proc *p = &f->proc[i];

        if (p->role == ROLE_FRONT && p->fsm.state == FSM_UP && p->link &&
            !ipc_over_high(link_ipc(p->link)) &&
            (!best || best->retiring > p->retiring ||
             (best->retiring == p->retiring && p->conns < best->conns)))
            best = p;
    }
    return best;
}

static bool is_loopback(const struct sockaddr_storage *sa)
{
    if (sa->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)sa;

        return ntohl(in->sin_addr.s_addr) >> 24 == 127;
    }
    if (sa->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)sa;

        return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr) ||
               (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) && in6->sin6_addr.s6_addr[12] == 127);
    }
    return false;
}

static void peer_text(const struct sockaddr_storage *sa, char out[INET6_ADDRSTRLEN])
{
    out[0] = 0;
    if (sa->ss_family == AF_INET) {
        (void)inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, out,
                        INET6_ADDRSTRLEN);
    } else if (sa->ss_family == AF_INET6) {
        const struct in6_addr *a = &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;

        if (IN6_IS_ADDR_V4MAPPED(a)) /* one address has one name */
            (void)inet_ntop(AF_INET, a->s6_addr + 12, out, INET6_ADDRSTRLEN);
        else
            (void)inet_ntop(AF_INET6, a, out, INET6_ADDRSTRLEN);
    }
}

static int remember(struct conns *c, uint64_t id, uint64_t key, unsigned front, struct err *e)
{
    struct unauth *u = c->spare;
    int r;

    if (u)
        c->spare = u->next;
    else if ((r = mem_new(&u, sizeof(*u), e)) < 0)
        return r;
    *u = (struct unauth){.id = id, .key = key, .front = front, .next = c->bucket[id % BUCKETS]};
    c->bucket[id % BUCKETS] = u;
    return 0;
}

static void forget(struct conns *c, struct unauth **at)
{
    struct unauth *u = *at;

    *at = u->next;
    budget_give(c->budget, u->key);
    u->next = c->spare;
    c->spare = u;
}

/* Owns: takes fd. */
static void hand_over(struct conns *c, int fd, const struct sockaddr_storage *sa)
{
    struct proc *front = least_loaded(c->fleet);
    uint64_t key = budget_key((const struct sockaddr *)sa);
    char peer[INET6_ADDRSTRLEN];
    struct err e = ERR_INIT;
    struct ipc_conn m = {.conn_id = c->next_id, .sock = fd};
    enum budget_answer a;
    int one = 1;

    if (!front || (a = budget_take(c->budget, key)) == BUDGET_REFUSE) {
        fd_close(&fd);
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    peer_text(sa, peer);
    m.peer = view_str(peer);
    m.flags = (is_loopback(sa) ? CONN_LOCAL : 0u) | (a == BUDGET_CROWD ? CONN_CROWDED : 0u);
    if (remember(c, m.conn_id, key, front->instance, &e) < 0) {
        budget_give(c->budget, key);
        fd_close(&fd);
        return;
    }
    if (msg_send_conn(front->link, &m, &e) < 0) {
        forget(c, &c->bucket[m.conn_id % BUCKETS]);
        fd_close(&fd);
        return;
    }
    c->next_id++;
    front->conns++;
}

static void accepting(struct conns *c, bool on)
{
    for (unsigned i = 0; i < c->count; i++)
        loop_io_want(&c->l[i].io, on, false);
}

/* Out of descriptors: take one with the reserved descriptor and close it, then wait a little
 * instead of spinning. */
static void shed(struct conns *c, int lfd)
{
    int fd;

    log_warn("accept.out_of_descriptors");
    fd_close(&c->reserve);
    fd = accept4(lfd, NULL, NULL, SOCK_CLOEXEC);
    fd_close(&fd);
    c->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    accepting(c, false);
    loop_timer_set(&c->retry, RETRY_MS);
}

static void on_accept(void *ctx, bool readable, bool writable)
{
    struct listener *l = ctx;
    struct conns *c = l->owner;

    (void)readable;
    (void)writable;
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        struct sockaddr_storage sa = {0};
        socklen_t len = sizeof(sa);
        int fd;

        if (!least_loaded(c->fleet)) { /* the backlog holds them until a front is back */
            accepting(c, false);
            loop_timer_set(&c->retry, RETRY_MS);
            return;
        }
        fd = accept4(l->fd, (struct sockaddr *)&sa, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                shed(c, l->fd);
            else if (errno == EINTR || errno == ECONNABORTED)
                continue;
            return;
        }
        hand_over(c, fd, &sa);
    }
}

static uint32_t number_in(const char *variable)
{
    const char *text = getenv(variable);
    struct err e = ERR_INIT;
    uint32_t n = 0;

    return text && num_u32(view_str(text), 0, INT32_MAX, &n, &e) == 0 ? n : 0;
}

/* A listening socket for this address that the service manager has opened (sd_listen_fds(3)), or
 * -1. */
static int handed_listener(const struct listen_addr *a)
{
    enum { FIRST_FD = 3 };
    uint32_t count = number_in("LISTEN_FDS");

    if (number_in("LISTEN_PID") != (uint32_t)getpid())
        return -1;
    for (int fd = FIRST_FD; fd < FIRST_FD + (int)(count < LISTEN_MAX ? count : LISTEN_MAX); fd++) {
        struct sockaddr_storage sa = {0};
        socklen_t len = sizeof(sa), n = sizeof(int);
        int listening = 0;
        struct err e = ERR_INIT;

        if (getsockname(fd, (struct sockaddr *)&sa, &len) == 0 && len == a->len &&
            memcmp(&sa, &a->sa, len) == 0 &&
            getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &n) == 0 && listening &&
            fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 && fd_nonblock(fd, &e) == 0)
            return fd;
    }
    return -1;
}

/* The descriptor, or -1 with errno. */
static int open_listener(const struct listen_addr *a)
{
    int one = 1, fd = handed_listener(a), why;

    if (fd >= 0)
        return fd;
    fd = socket(a->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (a->sa.ss_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
    if (bind(fd, (const struct sockaddr *)&a->sa, a->len) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    why = errno;
    fd_close(&fd);
    errno = why;
    return -1;
}

int conns_listen(struct conns *c, const struct listen_addr *a, bool optional, struct err *e)
{
    struct listener *l = &c->l[c->count];
    int fd;
    char text[INET6_ADDRSTRLEN];

    if (c->count >= LISTEN_MAX)
        return err_set(e, ERR_LIMIT, "more than %d listening addresses", LISTEN_MAX);
    peer_text(&a->sa, text);
    fd = open_listener(a);
    for (unsigned i = 0; fd < 0 && errno == EADDRINUSE && i < BIND_TRIES; i++) {
        (void)poll(NULL, 0, BIND_WAIT_MS); /* nothing runs yet */
        fd = open_listener(a);
    }
    if (fd < 0) {
        bool taken = errno == EADDRINUSE;
        const struct sockaddr_in *in =
            (const void *)&a->sa; /* the port stands in the same place in both families */

        (void)err_sys(e, "listen on %s port %u", text, ntohs(in->sin_port));
        if (taken)
            (void)err_set(
                e, ERR_CONFLICT,
                "port %u on %s is in use by another program; stop it or choose another with --port",
                ntohs(in->sin_port), text);
        if (!optional)
            return e->code;
        log_warn("listen.skipped", KV("address", text), KV("why", e->text));
        *e = (struct err)ERR_INIT;
        return 0;
    }
    l->owner = c;
    l->fd = fd;
    loop_io_init(&l->io, c->fleet->loop, fd, on_accept, l);
    c->count++;
    return 0;
}

unsigned conns_port(const struct conns *c)
{
    struct sockaddr_storage sa = {0};
    socklen_t len = sizeof(sa);

    if (!c->count || getsockname(c->l[0].fd, (struct sockaddr *)&sa, &len) < 0)
        return 0;
    return ntohs(((const struct sockaddr_in *)(const void *)&sa)->sin_port);
}

void conns_fronts_changed(struct fleet *f)
{
    if (!f->conns->stopped)
        accepting(f->conns, least_loaded(f) != NULL);
}

void conns_front_gone(struct fleet *f, struct proc *front)
{
    struct conns *c = f->conns;

    for (unsigned i = 0; i < BUCKETS; i++)
        for (struct unauth **at = &c->bucket[i]; *at;) {
            if ((*at)->front == front->instance)
                forget(c, at);
            else
                at = &(*at)->next;
        }
    front->conns = 0;
}

int conns_on_state(struct fleet *f, struct proc *front, const struct ipc_conn_state *m,
                   struct err *e)
{
    struct conns *c = f->conns;

    if (m->state != CONN_STATE_AUTH && m->state != CONN_STATE_CLOSED)
        return err_set(e, ERR_INVALID, "state %u", m->state);
    if (m->state == CONN_STATE_CLOSED && front->conns)
        front->conns--;
    for (struct unauth **at = &c->bucket[m->conn_id % BUCKETS]; *at; at = &(*at)->next)
        if ((*at)->id == m->conn_id && (*at)->front == front->instance) {
            forget(c, at);
            break;
        }
    return 0;
}
