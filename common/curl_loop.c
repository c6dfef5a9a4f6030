#include "curl_loop.h"

#include "mem.h"

enum { AGAIN_MS = 10 }; /* after a want of memory: what libcurl did not get to */

struct curl_sock {
    struct loop_io io;
    struct curl_loop *owner;
    struct curl_sock *next, **prev;
};

static void settle(struct curl_loop *c)
{
    CURLMsg *msg;
    int left;

    while ((msg = c->api->multi_info_read(c->multi, &left))) {
        void *transfer = NULL;
        CURLcode code = msg->data.result;

        if (msg->msg != CURLMSG_DONE)
            continue;
        if (c->api->easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &transfer) == CURLE_OK &&
            transfer)
            c->on->on_over(c->ctx, transfer, code);
    }
}

static void act(struct curl_loop *c, curl_socket_t fd, int what)
{
    int running;
    CURLMcode code = c->api->multi_socket_action(c->multi, fd, what, &running);

    settle(c);
    if (code == CURLM_OK)
        return;
    c->on->on_starved(c->ctx);
    if (!loop_timer_pending(&c->timer))
        loop_timer_set(&c->timer, AGAIN_MS);
}

static void on_ready(void *ctx, bool readable, bool writable)
{
    struct curl_sock *s = ctx;

    act(s->owner, s->io.fd, (readable ? CURL_CSELECT_IN : 0) | (writable ? CURL_CSELECT_OUT : 0));
}

static void on_time(void *ctx)
{
    act(ctx, CURL_SOCKET_TIMEOUT, 0);
}

static int on_curl_timer(CURLM *multi, long in_ms, void *arg)
{
    struct curl_loop *c = arg;

    (void)multi;
    if (in_ms < 0)
        loop_timer_clear(&c->timer);
    else if (in_ms == 0)
        loop_defer(c->loop, &c->kick, LOOP_FLUSH); /* not from here: libcurl is in the middle */
    else
        loop_timer_set(&c->timer, (uint64_t)in_ms);
    return 0;
}

static void drop_sock(struct curl_sock *s)
{
    loop_io_fini(&s->io);
    *s->prev = s->next;
    if (s->next)
        s->next->prev = s->prev;
    mem_free(s);
}

static struct curl_sock *add_sock(struct curl_loop *c, curl_socket_t fd)
{
    struct curl_sock *s = mem_alloc(sizeof(*s));

    if (!s)
        return NULL;
    s->owner = c;
    s->next = c->socks;
    s->prev = &c->socks;
    if (s->next)
        s->next->prev = &s->next;
    c->socks = s;
    loop_io_init(&s->io, c->loop, fd, on_ready, s);
    (void)c->api->multi_assign(c->multi, fd, s);
    return s;
}

static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *per_socket)
{
    struct curl_loop *c = arg;
    struct curl_sock *s = per_socket;
    bool in = what & CURL_POLL_IN, out = what & CURL_POLL_OUT;
    void *transfer = NULL;

    if (what == CURL_POLL_REMOVE) {
        if (s)
            drop_sock(s);
        (void)c->api->multi_assign(c->multi, fd, NULL);
        return 0;
    }
    if (s || (s = add_sock(c, fd))) {
        loop_io_want(&s->io, in, out);
        if (s->io.reading == in && s->io.writing == out)
            return 0;
    }
    if (c->api->easy_getinfo(easy, CURLINFO_PRIVATE, &transfer) == CURLE_OK && transfer)
        c->on->on_unwatched(c->ctx, transfer);
    return 0;
}

int curl_loop_init(struct curl_loop *c, struct loop *l, unsigned idle_conns,
                   const struct curl_loop_events *on, void *ctx, struct err *e)
{
    int r;

    c->loop = l;
    c->on = on;
    c->ctx = ctx;
    loop_timer_init(&c->timer, l, on_time, c);
    c->kick = (struct loop_task){.run = on_time, .ctx = c};
    if ((r = curl_api_load(&c->api, e)) < 0)
        return r;
    if (!(c->multi = c->api->multi_init()))
        return err_set(e, ERR_NOMEM, "libcurl: no memory");
    (void)c->api->multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
    (void)c->api->multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    (void)c->api->multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
    (void)c->api->multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
    (void)c->api->multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)idle_conns);
    return 0;
}

void curl_loop_fini(struct curl_loop *c)
{
    if (!c->loop)
        return;
    if (c->multi)
        (void)c->api->multi_cleanup(c->multi);
    c->multi = NULL;
    while (c->socks)
        drop_sock(c->socks);
    loop_undefer(c->loop, &c->kick);
    loop_timer_fini(&c->timer);
    c->loop = NULL;
}
