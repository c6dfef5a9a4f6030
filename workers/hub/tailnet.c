#include "tailnet.h"

#include "auth.h"
#include "json.h"
#include "log.h"
#include "proxyauth.h"

#include <string.h>

struct waiting {
    struct loop_timer timer;
    struct hub *hub;
    struct waiting *next, **at;
    uint64_t req;
    unsigned front;
    struct ipc_connect m; /* its fields are in text */
    char *text;           /* owned: with credentials in it */
    size_t text_len;
};

struct known {
    char addr[64];
    struct tailnet_who who;
    uint64_t until_ms; /* 0: free */
};

struct tailnet {
    struct waiting *waiting;
    unsigned count;
    uint64_t last_req;
    struct known known[TAILNET_KNOWN_MAX];
};

/* ---- the claim ---- */

static bool allowed(const struct settings *s, struct view user)
{
    const json_t *list = s->doc ? json_at(s->doc, "gateway.auth.tailscale.allowUsers") : NULL;
    json_t *name;
    size_t i;

    json_array_foreach(list, i, name) if (view_ieq(json_view_of(name), user)) return true;
    return json_array_size(list) == 0;
}

enum tailnet_claim tailnet_check(const struct settings *s, const struct ipc_connect *m,
                                 const struct tailnet_who *who, struct view *user)
{
    struct view login = VIEW_EMPTY;

    if ((m->flags & (CONN_TAILSCALE | CONN_LOCAL | CONN_PROXIED)) !=
        (CONN_TAILSCALE | CONN_LOCAL | CONN_PROXIED))
        return TAILNET_NO_PROXY;
    if (!proxyauth_header(m->headers, V("tailscale-user-login"), &login) || !login.n ||
        login.n > TAILNET_LOGIN_MAX)
        return TAILNET_NO_USER;
    if (!who->result)
        return TAILNET_UNASKED;
    if (who->result != WHOIS_FOUND || !who->login[0])
        return TAILNET_NO_WHOIS;
    if (!view_ieq(view_str(who->login), login))
        return TAILNET_MISMATCH;
    if (!allowed(s, login))
        return TAILNET_NOT_ALLOWED;
    *user = login;
    return TAILNET_HOLDS;
}

/* ---- what is known ---- */

void tailnet_look(struct hub *h, struct view addr, struct tailnet_who *out)
{
    uint64_t now = loop_now_ms(h->w.loop);

    *out = (struct tailnet_who){.result = 0};
    for (unsigned i = 0; h->tailnet && i < TAILNET_KNOWN_MAX; i++) {
        const struct known *k = &h->tailnet->known[i];

        if (k->until_ms > now && view_eq(view_str(k->addr), addr))
            *out = k->who;
    }
}

static void learn(struct hub *h, struct view addr, const struct tailnet_who *who)
{
    uint64_t now = loop_now_ms(h->w.loop);
    struct known *place = &h->tailnet->known[0];

    if (addr.n >= sizeof(place->addr))
        return;
    for (unsigned i = 0; i < TAILNET_KNOWN_MAX; i++) {
        struct known *k = &h->tailnet->known[i];

        if (view_eq(view_str(k->addr), addr)) {
            place = k;
            break;
        }
        if (k->until_ms < place->until_ms)
            place = k;
    }
    memset(place->addr, 0, sizeof(place->addr));
    memcpy(place->addr, addr.p, addr.n);
    place->who = *who;
    place->until_ms = now + (who->result == WHOIS_FOUND ? TAILNET_GOOD_MS : TAILNET_BAD_MS);
}

/* ---- connects that wait ---- */

static void unlink_waiting(struct waiting *w)
{
    if ((*w->at = w->next))
        w->next->at = w->at;
    w->hub->tailnet->count--;
    loop_timer_fini(&w->timer);
}

static void waiting_free(struct waiting *w)
{
    mem_wipe(w->text, w->text_len);
    mem_free(w->text);
    mem_free(w);
}

static void decide(struct waiting *w, const struct tailnet_who *who)
{
    struct link *front = hub_front(w->hub, w->front);
    struct err e = ERR_INIT;

    unlink_waiting(w);
    if (front && auth_on_connect_known(w->hub, front, &w->m, who, &e) < 0)
        log_error("conn.failed", KV("conn", w->m.conn_id), KV("why", e.text));
    waiting_free(w);
}

static void on_late(void *ctx)
{
    struct waiting *w = ctx;

    log_warn("whois.late", KV("peer", w->m.peer));
    decide(w, &(struct tailnet_who){.result = WHOIS_FAILED});
}

/* The message outlives the line's buffer. */
static bool keep(struct waiting *w, const struct ipc_connect *m)
{
    struct view *const to[] = {&w->m.peer,       &w->m.nonce,   &w->m.host,  &w->m.origin,
                               &w->m.user_agent, &w->m.headers, &w->m.params};
    char *p;

    w->m = *m;
    for (size_t i = 0; i < COUNT_OF(to); i++)
        w->text_len += to[i]->n;
    if (!(p = w->text = mem_alloc(w->text_len + 1)))
        return false;
    for (size_t i = 0; i < COUNT_OF(to); i++) {
        if (to[i]->n)
            memcpy(p, to[i]->p, to[i]->n);
        to[i]->p = p;
        p += to[i]->n;
    }
    return true;
}

bool tailnet_wait(struct hub *h, struct link *front, const struct ipc_connect *m)
{
    struct tailnet *t = h->tailnet;
    struct link *worker = worker_peer(&h->w, ROLE_WHOIS);
    struct waiting *w = NULL;
    struct err e = ERR_INIT;

    if (!t || !worker || t->count >= TAILNET_WAITS_MAX || !(w = mem_calloc(1, sizeof(*w))))
        return false;
    if (!keep(w, m) ||
        msg_send_whois(worker, &(struct ipc_whois){.req = t->last_req + 1, .addr = m->peer}, &e) <
            0) {
        waiting_free(w);
        return false;
    }
    w->hub = h;
    w->req = ++t->last_req;
    w->front = link_instance(front);
    w->at = &t->waiting;
    if ((w->next = t->waiting))
        w->next->at = &w->next;
    t->waiting = w;
    t->count++;
    loop_timer_init(&w->timer, h->w.loop, on_late, w);
    loop_timer_set(&w->timer, TAILNET_WAIT_MS);
    return true;
}

void tailnet_forget(struct hub *h, unsigned front, uint64_t conn_id)
{
    for (struct waiting *w = h->tailnet ? h->tailnet->waiting : NULL, *next; w; w = next) {
        next = w->next;
        if (w->front == front && w->m.conn_id == conn_id) {
            unlink_waiting(w);
            waiting_free(w);
        }
    }
}

void tailnet_front_gone(struct hub *h, unsigned front)
{
    for (struct waiting *w = h->tailnet ? h->tailnet->waiting : NULL, *next; w; w = next) {
        next = w->next;
        if (w->front == front) {
            unlink_waiting(w);
            waiting_free(w);
        }
    }
}

int tailnet_on_answer(struct hub *h, struct ipc_whois_answer *m, struct err *e)
{
    struct tailnet_who who = {.result = m->result};
    struct waiting *w = h->tailnet->waiting;

    if (m->result < WHOIS_FOUND || m->result > WHOIS_FAILED)
        return err_set(e, ERR_INVALID, "whois_answer: result: %u", m->result);
    if (m->result == WHOIS_FOUND)
        memcpy(who.login, m->login.p, m->login.n); /* ipc.def: at most TAILNET_LOGIN_MAX */
    while (w && w->req != m->req)
        w = w->next;
    if (!w)
        return 0; /* it waits no more */
    learn(h, w->m.peer, &who);
    decide(w, &who);
    return 0;
}

void tailnet_worker_gone(struct hub *h)
{
    while (h->tailnet && h->tailnet->waiting)
        decide(h->tailnet->waiting, &(struct tailnet_who){.result = WHOIS_FAILED});
}

int tailnet_open(struct hub *h, struct err *e)
{
    return mem_new(&h->tailnet, sizeof(*h->tailnet), e);
}

void tailnet_close(struct hub *h)
{
    while (h->tailnet && h->tailnet->waiting) {
        struct waiting *w = h->tailnet->waiting;

        unlink_waiting(w);
        waiting_free(w);
    }
    mem_free(TAKE(h->tailnet));
}
