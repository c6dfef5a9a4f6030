#include "http_door.h"

#include "auth.h"
#include "log.h"
#include "origin.h"

struct waiting {
    struct loop_timer timer;
    struct hub *hub;
    struct waiting *next, **at;
    uint64_t conn_id, req;
    unsigned front;
};

struct http_door {
    struct waiting *waiting;
    unsigned count;
};

int http_door_open(struct hub *h, struct err *e)
{
    return mem_new(&h->http_door, sizeof(*h->http_door), e);
}

static void waiting_free(struct waiting *w)
{
    if ((*w->at = w->next))
        w->next->at = w->at;
    w->hub->http_door->count--;
    loop_timer_fini(&w->timer);
    mem_free(w);
}

void http_door_close(struct hub *h)
{
    while (h->http_door && h->http_door->waiting)
        waiting_free(h->http_door->waiting);
    mem_free(TAKE(h->http_door));
}

static int answer(struct link *front, uint64_t conn_id, uint64_t req, uint8_t result,
                  uint64_t retry_after_ms, struct err *e)
{
    struct ipc_door_answer m = {
        .conn_id = conn_id, .req = req, .result = result, .retry_after_ms = retry_after_ms};
    int r = msg_send_door_answer(front, &m, e);

    hub_front_mark(front);
    return r;
}

static void on_waited(void *ctx)
{
    struct waiting *w = ctx;
    struct link *front = hub_front(w->hub, w->front);
    struct err e = ERR_INIT;

    if (front && answer(front, w->conn_id, w->req, DOOR_ANSWER_DENIED, 0, &e) < 0)
        log_error("refusal.lost", KV("conn", w->conn_id), KV("why", e.text));
    waiting_free(w);
}

/* False: no room. */
static bool answer_later(struct hub *h, struct link *front, const struct ipc_door *m,
                         uint64_t wait_ms)
{
    struct http_door *d = h->http_door;
    struct waiting *w = d->count < HTTP_DOOR_WAITING_MAX ? mem_alloc(sizeof(*w)) : NULL;

    if (!w)
        return false;
    w->hub = h;
    w->conn_id = m->conn_id;
    w->req = m->req;
    w->front = link_instance(front);
    w->at = &d->waiting;
    if ((w->next = d->waiting))
        w->next->at = &w->next;
    d->waiting = w;
    d->count++;
    loop_timer_init(&w->timer, h->w.loop, on_waited, w);
    loop_timer_set(&w->timer, wait_ms);
    return true;
}

/* Whether a secret is compared at all. In mode trusted-proxy a program
 * on this machine may show the password; everybody else comes through the proxy, over WebSockets.
 */
static bool may_try(const struct settings *s, bool local)
{
    if (s->auth_mode == AUTH_TOKEN)
        return s->have_token;
    return s->have_password && (s->auth_mode == AUTH_PASSWORD || local);
}

int http_door_on_door(struct hub *h, struct link *from, struct ipc_door *m, struct err *e)
{
    bool local = (m->flags & CONN_LOCAL) && !(m->flags & CONN_PROXIED);
    /* browsers on this machine count per page, as in credential.c */
    bool page = local && m->origin.n;
    struct door door = auth_door(h);
    enum door_verdict v = DOOR_WRONG;
    uint64_t wait = 0;
    bool welcome = !m->origin.n || !origin_refused(h->settings, m->origin, m->host, local);

    if (welcome && h->settings->auth_mode == AUTH_NONE)
        v = DOOR_RIGHT;
    else if (welcome && may_try(h->settings, local))
        v = door_try(&door, page ? m->origin : m->peer,
                     local && !page && h->settings->exempt_loopback, m->credential, &wait);
    mem_wipe((char *)(uintptr_t)m->credential.p, m->credential.n); /* in the line's buffer */
    if (v == DOOR_RIGHT)
        return answer(from, m->conn_id, m->req, DOOR_ANSWER_OK, 0, e);
    log_info("http.refused", KV("conn", m->conn_id), KV("peer", m->peer));
    if (v == DOOR_WRONG && (wait == 0 || answer_later(h, from, m, wait)))
        return wait ? 0 : answer(from, m->conn_id, m->req, DOOR_ANSWER_DENIED, 0, e);
    return answer(from, m->conn_id, m->req, DOOR_ANSWER_LIMITED, wait ? wait : 1, e);
}
