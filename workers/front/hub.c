#include "hub.h"

#include "log.h"
#include "ws_conn.h"

bool hub_busy(const struct front *f)
{
    return f->hub && ipc_over_high(link_ipc(f->hub));
}

/* -------------------------------------------------------------- to the hub */
static void send_connect(struct conn *c)
{
    struct front *f = c->f;
    struct conn_hello *h = c->hello;
    struct err e = ERR_INIT;
    struct ipc_connect m = {.conn_id = c->id,
                            .peer = view_str(c->peer),
                            /* of the socket itself: a proxy of this machine is one, too */
                            .flags = (c->local || ip_loopback(&c->from) ? CONN_LOCAL : 0u) |
                                     (c->proxied ? CONN_PROXIED : 0u) |
                                     (c->tailnet ? CONN_TAILSCALE : 0u) |
                                     (c->canvas ? CONN_CANVAS : 0u) | (c->secure ? CONN_TLS : 0u),
                            .nonce = view_str(h->nonce),
                            .host = buf_view(&h->host),
                            .origin = buf_view(&h->origin),
                            .user_agent = buf_view(&h->agent),
                            .headers = buf_view(&h->claims),
                            .params = buf_view(&h->params)};

    if (msg_send_connect(f->hub, &m, &e) < 0) {
        log_warn("conn.connect_lost", KV("conn", c->id), KV("why", e.text));
        conn_close(c, WS_TRY_LATER, V("gateway busy"));
        return;
    }
    h->asked = true;
    c->told_hub = true;
}

void hub_connect(struct conn *c)
{
    if (c->f->hub)
        send_connect(c);
}

static const char busy[] = "The server is busy. Try again in a moment.";

static void forget(struct conn *c, struct req *r)
{
    if (c->state == CONN_OPEN) { /* else its requests are gone already */
        c->req_n--;
        reqs_del(&c->f->reqs, r);
    }
}

/* A request that the hub cannot get: say so and forget it. */
static void give_up(struct conn *c, struct req *r, const char *why)
{
    ws_conn_error(c, req_id(r), RPC_UNAVAILABLE, view_str(why), true);
    forget(c, r);
}

static int send_request(struct conn *c, struct req *r, struct view method, struct view trace,
                        struct view params, struct err *e)
{
    struct ipc_rpc m = {
        .conn_id = c->id, .req = r->number, .method = method, .trace = trace, .params = params};
    int ret = msg_send_rpc(c->f->hub, &m, e);

    if (ret < 0)
        return ret;
    r->sent = true;
    return 0;
}

void hub_request(struct conn *c, struct view id, enum rpc_index row, struct view method,
                 struct view trace, struct view params)
{
    struct front *f = c->f;
    /* an unknown method does nothing, so it may be asked twice */
    bool repeat = row == RPC_COUNT || (rpc_row(row)->flags & RPC_REPEAT);
    struct err e = ERR_INIT;
    struct req *r;

    if (reqs_add(&f->reqs, &c->reqs, c, id, method, params, repeat || !f->hub, &r, &e) < 0) {
        ws_conn_error(c, id, RPC_UNAVAILABLE, view_str(busy), true);
        return;
    }
    r->repeat = repeat;
    c->req_n++;
    if (f->hub && send_request(c, r, method, trace, params, &e) < 0) {
        if (repeat && e.code == ERR_CLOSED)
            return; /* it is gone, and on_lost follows: the next one gets it */
        log_warn("rpc.unsent", KV("conn", c->id), KV("why", e.text));
        give_up(c, r, busy);
    }
}

void hub_gone(struct conn *c)
{
    struct err e = ERR_INIT;
    struct list *l;

    while ((l = list_pop(&c->reqs)))
        reqs_del(&c->f->reqs, LIST_OF(l, struct req, link));
    c->req_n = 0;
    if (c->told_hub && c->f->hub &&
        msg_send_conn_gone(c->f->hub, &(struct ipc_conn_gone){.conn_id = c->id}, &e) < 0)
        log_warn("conn.untold", KV("conn", c->id), KV("why", e.text));
    c->told_hub = false;
}

/* -------------------------------------------------------------- it goes and comes back */
static void on_lost(struct front *f)
{
    struct conn *c;
    size_t at = 0;

    log_warn("hub.lost", KV("conns", f->conns.count), KV("requests", f->reqs.count));
    while ((c = cmap_next(&f->conns, &at))) {
        struct list *l, *next;

        c->told_hub = false;
        if (c->hello)
            c->hello->asked = false;
        c->ops->unanswered(c);
        for (l = c->reqs.next; l != &c->reqs && c->state == CONN_OPEN; l = next) {
            struct req *r = LIST_OF(l, struct req, link);

            next = l->next;
            if (r->sent && r->repeat)
                r->sent = false;
            else if (r->sent) {
                ws_conn_unknown(c, req_id(r),
                                V("the gateway core restarted while this request was under way; "
                                  "check before repeating it"));
                forget(c, r);
            }
        }
        conn_wake(c);
    }
}

static void resume(struct conn *c)
{
    struct front *f = c->f;
    struct err e = ERR_INIT;
    struct list *l, *next;
    struct ipc_conn_resume m = {
        .conn_id = c->id, .peer = view_str(c->peer), .ticket = buf_view(&c->ticket)};

    if (msg_send_conn_resume(f->hub, &m, &e) < 0) {
        log_warn("conn.resume_lost", KV("conn", c->id), KV("why", e.text));
        conn_close(c, WS_TRY_LATER, V("gateway busy"));
        return;
    }
    c->told_hub = true;
    for (l = c->reqs.next; l != &c->reqs && c->state == CONN_OPEN; l = next) {
        struct req *r = LIST_OF(l, struct req, link);

        next = l->next;
        if (!r->sent && send_request(c, r, req_method(r), VIEW_EMPTY, req_params(r), &e) < 0)
            give_up(c, r, busy);
    }
}

static void on_back(struct front *f)
{
    struct conn *c;
    struct err e = ERR_INIT;
    size_t at = 0;

    log_info("hub.linked", KV("conns", f->conns.count), KV("requests", f->reqs.count));
    while ((c = cmap_next(&f->conns, &at))) {
        if (c->state == CONN_OPEN && !c->canvas)
            resume(c);
        else if (c->state == CONN_CONNECTING && !c->hello->asked)
            send_connect(c);
    }
    if (f->hub && msg_send_conn_resume(f->hub, &(struct ipc_conn_resume){.conn_id = 0}, &e) < 0)
        log_warn("hub.resumed_untold", KV("why", e.text)); /* it goes on after a while */
}

void hub_peer(struct front *f, struct link *l, bool up)
{
    if (link_peer(l) != ROLE_HUB)
        return;
    if (up) {
        bool replaced;

        if (f->hub)
            link_drain(f->hub); /* the last words of a dead one were for our clients */
        replaced = f->hub != NULL;
        f->hub = l;
        if (replaced) /* the old line's end was not noticed yet */
            on_lost(f);
        on_back(f);
    } else if (f->hub == l) {
        f->hub = NULL;
        on_lost(f);
    }
}

void hub_drained(struct front *f)
{
    struct list *l, *next;

    for (l = f->waiting.next; l != &f->waiting; l = next) {
        next = l->next;
        conn_wake(LIST_OF(l, struct conn, on_pause));
    }
}

/* -------------------------------------------------------------- from the hub */
/* Connections may be gone before the hub knows: messages for them are not an error. */
static struct conn *conn_of(struct front *f, struct link *from, uint64_t id)
{
    return from == f->hub ? cmap_get(&f->conns, id) : NULL;
}

static int set_ticket(struct conn *c, struct view ticket, struct err *e)
{
    buf_reset(&c->ticket, ticket.n);
    buf_put_view(&c->ticket, ticket);
    return buf_check(&c->ticket, e);
}

int hub_on_connect_ok(void *ctx, struct link *from, struct ipc_connect_ok *m, struct err *e)
{
    struct conn *c = conn_of(ctx, from, m->conn_id);

    if (!c || c->state != CONN_CONNECTING)
        return 0;
    if (set_ticket(c, m->ticket, e) < 0) {
        conn_close(c, WS_INTERNAL, V("out of memory"));
        return 0;
    }
    ws_conn_accepted(c, m->audience, m->body);
    return 0;
}

int hub_on_connect_refused(void *ctx, struct link *from, struct ipc_connect_refused *m,
                           struct err *e)
{
    struct conn *c = conn_of(ctx, from, m->conn_id);

    if (!ws_code_valid(m->close_code))
        return err_set(e, ERR_INVALID, "close code %u", m->close_code);
    if (!c)
        return 0;
    if (c->state == CONN_CONNECTING)
        ws_conn_refused(c, m->close_code, m->close_reason, m->body);
    else /* a resume whose ticket the new hub does not know */
        conn_close(c, m->close_code, m->close_reason);
    return 0;
}

int hub_on_conn_update(void *ctx, struct link *from, struct ipc_conn_update *m, struct err *e)
{
    struct conn *c = conn_of(ctx, from, m->conn_id);

    if (!c || c->state != CONN_OPEN)
        return 0;
    c->audience = m->audience;
    if (set_ticket(c, m->ticket, e) < 0)
        conn_close(c, WS_INTERNAL, V("out of memory"));
    return 0;
}

int hub_on_conn_close(void *ctx, struct link *from, struct ipc_conn_close *m, struct err *e)
{
    struct front *f = ctx;
    struct conn *c;
    size_t at = 0;

    if (!ws_code_valid(m->code))
        return err_set(e, ERR_INVALID, "close code %u", m->code);
    if (m->conn_id) {
        if ((c = conn_of(f, from, m->conn_id)))
            conn_bye(c, m->code, m->reason);
        return 0;
    }
    while ((c = cmap_next(&f->conns, &at)))
        conn_bye(c, m->code, m->reason);
    return 0;
}

int hub_on_reply(void *ctx, struct link *from, struct ipc_reply *m, struct err *e)
{
    struct front *f = ctx;
    struct req *r = from == f->hub ? reqs_get(&f->reqs, m->req) : NULL;
    struct conn *c = r ? r->conn : NULL;

    if (!c)
        return 0;
    if (c->id != m->conn_id)
        return err_set(e, ERR_INVALID, "request %llu is not of connection %llu",
                       (unsigned long long)m->req, (unsigned long long)m->conn_id);
    ws_conn_answer(c, req_id(r), m->body);
    if (m->more || c->state != CONN_OPEN) /* closed as slow: the request went with it */
        return 0;
    c->req_n--;
    reqs_del(&f->reqs, r);
    conn_wake(c);
    return 0;
}

static void put_event(struct conn *c, struct view frame, uint32_t flags)
{
    char number[32], *p = number + sizeof(number);
    struct view parts[2] = {frame, V("}")};

    if (c->state != CONN_OPEN)
        return;
    if (flags & EVENT_SEQ) { /* a number is used up even when the event is then left out */
        uint64_t n = ++c->seq;

        *--p = '}';
        do
            *--p = (char)('0' + n % 10);
        while (n /= 10);
        p -= 7;
        memcpy(p, ",\"seq\":", 7);
        parts[1] = view_of(p, (size_t)(number + sizeof(number) - p));
    }
    conn_text(c, parts, 2, flags & EVENT_DROPPABLE);
}

int hub_on_event(void *ctx, struct link *from, struct ipc_event *m, struct err *e)
{
    struct front *f = ctx;
    struct list *l, *next;

    (void)e;
    if (from != f->hub)
        return 0;
    for (l = f->open.next; l != &f->open; l = next) {
        struct conn *c = LIST_OF(l, struct conn, on_open);

        next = l->next; /* a slow one leaves the list */
        if (c->canvas && m->audience == AUD_CANVAS)
            conn_text(c, &m->frame, 1, true);
        else if (!c->canvas && (m->audience == AUD_ALL || (c->audience & m->audience)))
            put_event(c, m->frame, m->flags);
    }
    return 0;
}

int hub_on_event_to(void *ctx, struct link *from, struct ipc_event_to *m, struct err *e)
{
    struct front *f = ctx;

    if (m->conns.n % 8)
        return err_set(e, ERR_INVALID, "conns: %zu bytes are no list of ids", m->conns.n);
    for (size_t at = 0; at < m->conns.n; at += 8) {
        struct conn *c;
        uint64_t id;

        memcpy(&id, m->conns.p + at, 8);
        if ((c = conn_of(f, from, id)))
            put_event(c, m->frame, m->flags);
    }
    return 0;
}

int hub_on_snapshot(void *ctx, struct link *from, struct ipc_snapshot *m, struct err *e)
{
    struct front *f = ctx;
    struct front_snapshot *s = NULL;

    (void)from;
    for (unsigned i = 0; i < f->snap_n; i++)
        if (view_eq(buf_view(&f->snap[i].name), m->name))
            s = &f->snap[i];
    if (!s) {
        if (f->snap_n >= FRONT_SNAPSHOTS_MAX)
            return err_set(e, ERR_LIMIT, "%u snapshots are there", f->snap_n);
        s = &f->snap[f->snap_n];
        buf_init(&s->name, 64);
        buf_init(&s->payload, MIB);
        buf_put_view(&s->name, m->name);
        s->method = rpc_find(m->name);
        if (s->name.failed)
            return buf_check(&s->name, e);
        f->snap_n++;
    }
    buf_reset(&s->payload, 64 * KIB);
    buf_put_view(&s->payload, m->payload);
    return buf_check(&s->payload, e);
}
