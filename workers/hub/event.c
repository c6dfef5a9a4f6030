#include "event.h"

#include "log.h"

enum {
    EVENT_MAX = 32 * 1024 * 1024, /* ipc.def: event.frame */
    EVENT_KEEP = 64 * 1024,
    EVENT_IDS_MAX = 16 * 1024, /* connections of one front in one message */
    EVENT_SCOPED_MAX = 1024,   /* connections with cap session-scoped-events that hear of one run */
};

struct jw *event_begin(struct hub *h, const char *name)
{
    struct buf *b = &h->event.buf;

    buf_reset(b, EVENT_KEEP);
    b->max = EVENT_MAX;
    buf_put_view(b, V("{\"type\":\"event\",\"event\":\""));
    buf_put_str(b, name); /* ours: nothing to escape */
    buf_put_view(b, V("\",\"payload\":"));
    h->event.jw = (struct jw){.b = b};
    return &h->event.jw;
}

void event_state_version(struct hub *h)
{
    struct buf *b = &h->event.buf;

    buf_put_view(b, V(",\"stateVersion\":{\"presence\":"));
    buf_put_u64(b, h->state_presence);
    buf_put_view(b, V(",\"health\":"));
    buf_put_u64(b, h->state_health);
    buf_put_char(b, '}');
}

static bool whole(struct hub *h)
{
    struct err e = ERR_INIT;

    if (buf_check(&h->event.buf, &e) == 0)
        return true;
    log_error("event.too_large", KV("why", e.text));
    return false;
}

static void lost(struct link *l, const struct err *e)
{
    log_error("event.lost", KV("front", link_instance(l)), KV("why", e->text));
}

void event_end(struct hub *h, unsigned audience, unsigned flags)
{
    struct ipc_event m = {.audience = audience, .flags = flags};
    struct err e = ERR_INIT;

    if (!whole(h))
        return;
    m.frame = buf_view(&h->event.buf);
    for (unsigned i = 0; i < h->w.peer_count; i++) {
        struct link *l = h->w.peers[i];

        if (link_peer(l) != ROLE_FRONT)
            continue;
        if (msg_send_event(l, &m, &e) < 0)
            lost(l, &e);
        hub_front_mark(l);
    }
}

static void send_some(struct hub *h, struct link *l, struct buf *ids, unsigned flags)
{
    struct ipc_event_to m = {
        .flags = flags, .conns = buf_view(ids), .frame = buf_view(&h->event.buf)};
    struct err e = ERR_INIT;

    if (ids->n == 0)
        return;
    if (ids->failed)
        log_error("event.some_lost", KV("front", link_instance(l)));
    if (msg_send_event_to(l, &m, &e) < 0)
        lost(l, &e);
    hub_front_mark(l);
    buf_cut(ids, 0);
}

void event_end_to(struct hub *h, struct conn *const *to, unsigned count, unsigned flags)
{
    struct buf ids = BUF_INIT(EVENT_IDS_MAX * sizeof(uint64_t));

    if (!whole(h))
        return;
    for (unsigned i = 0; i < h->w.peer_count; i++) {
        struct link *l = h->w.peers[i];

        if (link_peer(l) != ROLE_FRONT)
            continue;
        for (unsigned k = 0; k < count; k++)
            if (to[k]->front == link_instance(l)) {
                buf_put(&ids, &to[k]->id, sizeof(to[k]->id));
                if (ids.n == ids.max)
                    send_some(h, l, &ids, flags);
            }
        send_some(h, l, &ids, flags);
    }
    buf_fini(&ids);
}

struct subscribers {
    struct hub *hub;
    struct link *front;
    struct view key;
    struct buf ids;
    unsigned flags;
};

static bool collect(void *ctx, struct conn *c)
{
    struct subscribers *s = ctx;

    if (c->sub_count == 0 || c->front != link_instance(s->front))
        return true;
    for (unsigned i = 0; i < c->sub_count; i++)
        if (view_eq(view_str(c->sub_keys[i]), s->key)) {
            buf_put(&s->ids, &c->id, sizeof(c->id));
            if (s->ids.n == s->ids.max)
                send_some(s->hub, s->front, &s->ids, s->flags);
            break;
        }
    return true;
}

void event_end_session(struct hub *h, struct view session_key, unsigned flags)
{
    struct subscribers s = {.hub = h,
                            .key = session_key,
                            .ids = BUF_INIT(EVENT_IDS_MAX * sizeof(uint64_t)),
                            .flags = flags};

    if (!whole(h))
        return;
    for (unsigned i = 0; i < h->w.peer_count; i++) {
        s.front = h->w.peers[i];
        if (link_peer(s.front) != ROLE_FRONT)
            continue;
        conn_each(h, collect, &s);
        send_some(h, s.front, &s.ids, flags);
    }
    buf_fini(&s.ids);
}

/* ---- who listens ---- */

struct search {
    unsigned audience;
    struct view key;   /* of a session */
    const char *owner; /* of a run; NULL: any subscriber of the session */
    bool found;
};

static bool subscribed(const struct conn *c, struct view key)
{
    for (unsigned i = 0; i < c->sub_count; i++)
        if (view_eq(view_str(c->sub_keys[i]), key))
            return true;
    return false;
}

/* A reader that hears of some sessions only, and of this one. */
static bool scoped(const struct conn *c, struct view key, const char *owner)
{
    return (c->caps & CAP_SESSION_SCOPED_EVENTS) && (c->who.scopes & SCOPE_READ) &&
           (strcmp(c->conn_uuid, owner) == 0 || subscribed(c, key));
}

static bool listens(void *ctx, struct conn *c)
{
    struct search *s = ctx;

    s->found = (c->audience & s->audience) ||
               (s->key.n && (s->owner ? scoped(c, s->key, s->owner) : subscribed(c, s->key)));
    return !s->found;
}

bool event_wanted(struct hub *h, unsigned audience)
{
    struct search s = {.audience = audience};

    conn_each(h, listens, &s);
    return s.found;
}

bool event_session_wanted(struct hub *h, struct view session_key)
{
    struct search s = {.key = session_key};

    conn_each(h, listens, &s);
    return s.found;
}

bool event_run_wanted(struct hub *h, struct view session_key, const char *owner)
{
    struct search s = {.audience = AUD_RUNS, .key = session_key, .owner = owner};

    conn_each(h, listens, &s);
    return s.found;
}

struct scoped_set {
    struct view key;
    const char *owner;
    struct conn *to[EVENT_SCOPED_MAX];
    unsigned count;
};

static bool collect_scoped(void *ctx, struct conn *c)
{
    struct scoped_set *s = ctx;

    if (scoped(c, s->key, s->owner))
        s->to[s->count++] = c;
    return s->count < EVENT_SCOPED_MAX;
}

static void to_scoped(struct hub *h, struct view session_key, const char *owner, unsigned flags)
{
    struct scoped_set s;

    s.key = session_key;
    s.owner = owner;
    s.count = 0;
    conn_each(h, collect_scoped, &s);
    if (s.count)
        event_end_to(h, s.to, s.count, flags);
}

void event_end_run(struct hub *h, struct view session_key, const char *owner, unsigned audience,
                   unsigned flags)
{
    if (conns_count(h) > conns_scoped(h))
        event_end(h, audience, flags);
    if (conns_scoped(h) > 0 && audience != AUD_RUNS_3) /* a cap of protocol 4 */
        to_scoped(h, session_key, owner, flags);
}
