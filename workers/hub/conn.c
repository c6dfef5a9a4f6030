#include "conn.h"

#include "health.h"
#include "log.h"
#include "presence.h"
#include "standing.h"
#include "tick.h"
#include "ticket.h"

struct conns {
    struct conn **slot;
    unsigned slots; /* a power of two, at least the count */
    unsigned count;
    unsigned scoped; /* of those: cap session-scoped-events */
    unsigned old;    /* of those: protocol 3 */
};

enum { CONNS_SLOTS_MIN = 64 };

static unsigned slot_of(const struct conns *cs, unsigned front, uint64_t id)
{
    uint64_t x = (id ^ (uint64_t)front << 56) * 0x9e3779b97f4a7c15ull;

    return (unsigned)(x >> 32) & (cs->slots - 1);
}

int conns_open(struct hub *h, struct err *e)
{
    struct conns *cs = NULL;
    int r;

    if ((r = mem_new(&cs, sizeof(*cs), e)) < 0)
        return r;
    if ((r = mem_new(&cs->slot, CONNS_SLOTS_MIN * sizeof(*cs->slot), e)) < 0) {
        mem_free(cs);
        return r;
    }
    cs->slots = CONNS_SLOTS_MIN;
    h->conns = cs;
    return 0;
}

void conns_close(struct hub *h)
{
    struct conns *cs = h->conns;

    if (!cs)
        return;
    for (unsigned i = 0; i < cs->slots; i++)
        while (cs->slot[i]) {
            struct conn *c = cs->slot[i];

            cs->slot[i] = c->next;
            conn_free(&c);
        }
    mem_free(cs->slot);
    mem_free(cs);
    h->conns = NULL;
}

unsigned conns_count(const struct hub *h)
{
    return h->conns->count;
}

int conn_new(struct conn **out, unsigned front, uint64_t id, struct err *e)
{
    int r = mem_new(out, sizeof(**out), e);

    if (r == 0) {
        (*out)->front = front;
        (*out)->id = id;
    }
    return r;
}

void conn_free(struct conn **cp)
{
    struct conn *c = *cp;

    if (!c)
        return;
    for (unsigned i = 0; i < c->sub_count; i++)
        mem_free(c->sub_keys[i]);
    mem_free(c->listed_key);
    mem_free(c->listed);
    mem_free(c->base_url);
    mem_free(c);
    *cp = NULL;
}

/* Twice the slots; when there is no memory the chains grow longer instead. */
static void grow(struct conns *cs)
{
    struct conns bigger = {
        .slots = cs->slots * 2, .count = cs->count, .scoped = cs->scoped, .old = cs->old};

    if (!(bigger.slot = mem_calloc(bigger.slots, sizeof(*bigger.slot))))
        return;
    for (unsigned i = 0; i < cs->slots; i++)
        while (cs->slot[i]) {
            struct conn *c = cs->slot[i];
            unsigned at = slot_of(&bigger, c->front, c->id);

            cs->slot[i] = c->next;
            c->next = bigger.slot[at];
            bigger.slot[at] = c;
        }
    mem_free(cs->slot);
    *cs = bigger;
}

static unsigned is_scoped(const struct conn *c)
{
    return c->caps & CAP_SESSION_SCOPED_EVENTS ? 1 : 0;
}

static bool is_old(const struct conn *c)
{
    return c->protocol < 4;
}

unsigned conns_old(const struct hub *h)
{
    return h->conns->old;
}

unsigned conns_scoped(const struct hub *h)
{
    return h->conns->scoped;
}

unsigned conn_audience(const struct conn *c)
{
    static const struct {
        unsigned scope, audience;
    } map[] = {{SCOPE_READ, AUD_READ},           {SCOPE_PAIRING, AUD_PAIRING},
               {SCOPE_APPROVALS, AUD_APPROVALS}, {SCOPE_ADMIN, AUD_ADMIN},
               {SCOPE_QUESTIONS, AUD_QUESTIONS}, {SCOPE_TALK, AUD_TALK}};
    unsigned a = AUD_OPERATOR;

    if (c->who.role == CONN_NODE)
        return AUD_NODE;
    for (size_t i = 0; i < COUNT_OF(map); i++)
        if (c->who.scopes & map[i].scope)
            a |= map[i].audience;
    if ((c->who.scopes & SCOPE_READ) && (c->caps & CAP_TOOL_EVENTS))
        a |= AUD_TOOL;
    if ((c->who.scopes & SCOPE_READ) && !(c->caps & CAP_SESSION_SCOPED_EVENTS))
        a |= AUD_RUNS | (is_old(c) ? AUD_RUNS_3 : AUD_RUNS_4);
    if ((c->who.scopes & (SCOPE_READ | SCOPE_SESSIONS_READ)) && c->sub_sessions)
        a |= AUD_SESSIONS;
    return a;
}

int conn_add(struct hub *h, struct conn **cp, struct err *e)
{
    struct conns *cs = h->conns;
    struct conn *c = *cp;
    unsigned at;

    if (cs->count >= CONNS_MAX)
        return err_set(e, ERR_LIMIT, "%u connections", cs->count);
    if (conn_find(h, c->front, c->id))
        return err_set(e, ERR_CONFLICT, "connection %llu is known", (unsigned long long)c->id);
    if (cs->count >= cs->slots)
        grow(cs);
    at = slot_of(cs, c->front, c->id);
    c->audience = conn_audience(c);
    c->next = cs->slot[at];
    cs->slot[at] = c;
    cs->count++;
    cs->scoped += is_scoped(c);
    cs->old += is_old(c);
    *cp = NULL;
    presence_joined(h, c);
    tick_conns(h);
    return 0;
}

static void leave(struct hub *h, struct conn *c)
{
    h->conns->count--;
    h->conns->scoped -= is_scoped(c);
    h->conns->old -= is_old(c);
    presence_left(h, c);
    conn_free(&c);
    tick_conns(h);
}

void conn_remove(struct hub *h, unsigned front, uint64_t id)
{
    for (struct conn **at = &h->conns->slot[slot_of(h->conns, front, id)]; *at; at = &(*at)->next)
        if ((*at)->id == id && (*at)->front == front) {
            struct conn *c = *at;

            *at = c->next;
            leave(h, c);
            return;
        }
}

void conns_front_gone(struct hub *h, unsigned front)
{
    for (unsigned i = 0; i < h->conns->slots; i++)
        for (struct conn **at = &h->conns->slot[i]; *at;) {
            struct conn *c = *at;

            if (c->front != front) {
                at = &c->next;
                continue;
            }
            *at = c->next;
            leave(h, c);
        }
}

struct conn *conn_find(struct hub *h, unsigned front, uint64_t id)
{
    struct conn *c = h->conns->slot[slot_of(h->conns, front, id)];

    while (c && (c->id != id || c->front != front))
        c = c->next;
    return c;
}

void conn_each(struct hub *h, bool (*fn)(void *ctx, struct conn *c), void *ctx)
{
    for (unsigned i = 0; i < h->conns->slots; i++)
        for (struct conn *c = h->conns->slot[i]; c; c = c->next)
            if (!fn(ctx, c))
                return;
}

int conn_ticket(struct hub *h, const struct conn *c, struct buf *out, struct err *e)
{
    return ticket_seal(h->mac, c, out, e);
}

int conn_update(struct hub *h, struct conn *c, struct err *e)
{
    struct buf ticket = BUF_INIT(TICKET_MAX);
    struct link *l = hub_front(h, c->front);
    int r = 0;

    c->audience = conn_audience(c);
    if (!l)
        goto out; /* the front is gone; its connections are about to go too */
    if ((r = conn_ticket(h, c, &ticket, e)) < 0)
        goto out;
    r = msg_send_conn_update(l,
                             &(struct ipc_conn_update){.conn_id = c->id,
                                                       .audience = c->audience,
                                                       .ticket = buf_view(&ticket)},
                             e);
    hub_front_mark(l);
out:
    buf_fini(&ticket);
    return r;
}

/* While there was no hub the credential may have been changed. */
static int stands(struct hub *h, const struct conn *c, struct err *e)
{
    return standing_good(h, &c->who) ? 0
                                     : err_set(e, ERR_DENIED, "its credential is no longer good");
}

int conn_on_resume(struct hub *h, struct link *from, struct ipc_conn_resume *m, struct err *e)
{
    struct conn *c = NULL;
    struct err why = ERR_INIT;
    int r;

    if ((r = conn_new(&c, link_instance(from), m->conn_id, e)) < 0)
        return r;
    memcpy(c->peer, m->peer.p, m->peer.n < sizeof(c->peer) ? m->peer.n : sizeof(c->peer) - 1);
    if (ticket_open(h->mac, m->ticket, c, &why) < 0 || stands(h, c, &why) < 0 ||
        conn_add(h, &c, &why) < 0) {
        log_warn("conn.resume_refused", KV("conn", m->conn_id), KV("why", why.text));
        r = msg_send_conn_close(from,
                                &(struct ipc_conn_close){.conn_id = m->conn_id,
                                                         .code = 4001,
                                                         .reason = V("gateway auth changed")},
                                e);
    } else if ((c = conn_find(h, link_instance(from), m->conn_id))) {
        r = conn_update(h, c, e); /* a new build may see the audience differently */
        c = NULL;
    }
    conn_free(&c);
    return r;
}
