#include "chan_resolve.h"

#include "fd.h"
#include "mem.h"

#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { HOST_BYTES = 256 };

/* Shared with the thread; the last one frees it. */
struct job {
    atomic_int users;
    int tell; /* the thread's end of the line */
    char host[HOST_BYTES], port[8];
    int failed; /* EAI_* */
    unsigned n;
    struct chan_address a[CHAN_RESOLVE_MAX];
};

struct chan_resolve {
    struct job *job;
    struct loop_io io;
    int fd;
    chan_resolved *on_end;
    void *ctx;
};

static void leave(struct job *j)
{
    if (atomic_fetch_sub(&j->users, 1) != 1)
        return;
    fd_close(&j->tell);
    mem_free(j);
}

static void ask(struct job *j)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV},
                    *all = NULL;

    j->failed = getaddrinfo(j->host, j->port, &hints, &all);
    if (j->failed == EAI_NONAME || j->failed == EAI_ADDRFAMILY) { /* a machine with loopback only */
        hints.ai_flags = AI_NUMERICSERV;
        j->failed = getaddrinfo(j->host, j->port, &hints, &all);
    }
    for (const struct addrinfo *a = all; !j->failed && a && j->n < CHAN_RESOLVE_MAX;
         a = a->ai_next) {
        memcpy(&j->a[j->n].sa, a->ai_addr, a->ai_addrlen);
        j->a[j->n++].len = a->ai_addrlen;
    }
    if (all)
        freeaddrinfo(all);
}

static void *thread(void *arg)
{
    struct job *j = arg;

    ask(j);
    (void)send(j->tell, "", 1, MSG_NOSIGNAL);
    leave(j);
    return NULL;
}

static void on_ready(void *ctx, bool readable, bool writable)
{
    struct chan_resolve *r = ctx;
    struct job *j = r->job;
    chan_resolved *on_end = r->on_end;
    void *owner = r->ctx;
    char c;

    (void)readable;
    (void)writable;
    (void)recv(r->fd, &c, 1, 0); /* what the thread wrote before it is ours now */
    atomic_thread_fence(memory_order_acquire);
    loop_io_fini(&r->io);
    fd_close(&r->fd);
    mem_free(r);
    if (j->failed || j->n == 0)
        on_end(owner, NULL, 0, "the host's name is not known");
    else
        on_end(owner, j->a, j->n, NULL);
    leave(j);
}

int chan_resolve_start(struct chan_resolve **out, struct loop *l, const char *host, uint16_t port,
                       chan_resolved *on_end, void *ctx, struct err *e)
{
    struct chan_resolve *r = NULL;
    struct job *j = NULL;
    pthread_attr_t attr;
    pthread_t id;
    int fds[2], rc;

    if (strlen(host) >= HOST_BYTES)
        return err_set(e, ERR_LIMIT, "host: longer than %d bytes", (int)HOST_BYTES - 1);
    if ((rc = fd_pair(fds, 0, e)) < 0)
        return rc;
    if ((rc = mem_new(&r, sizeof(*r), e)) < 0 || (rc = mem_new(&j, sizeof(*j), e)) < 0)
        goto fail;
    (void)snprintf(j->host, sizeof(j->host), "%s", host);
    (void)snprintf(j->port, sizeof(j->port), "%u", port);
    j->tell = fds[1];
    atomic_init(&j->users, 2);
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&attr, 256 * KIB);
    rc = pthread_create(&id, &attr, thread, j);
    (void)pthread_attr_destroy(&attr);
    if (rc != 0) {
        rc = err_set(e, ERR_SYS, "no thread for a host's name");
        goto fail;
    }
    r->job = j;
    r->fd = fds[0];
    r->on_end = on_end;
    r->ctx = ctx;
    loop_io_init(&r->io, l, r->fd, on_ready, r);
    loop_io_want(&r->io, true, false);
    *out = r;
    return 0;
fail:
    fd_close(&fds[0]);
    fd_close(&fds[1]);
    mem_free(r);
    mem_free(j);
    return rc;
}

void chan_resolve_cancel(struct chan_resolve **rp)
{
    struct chan_resolve *r = TAKE(*rp);

    if (!r)
        return;
    loop_io_fini(&r->io);
    fd_close(&r->fd);
    leave(r->job);
    mem_free(r);
}
