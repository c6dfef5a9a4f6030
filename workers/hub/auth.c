#include "auth.h"

#include "admit.h"
#include "call.h"
#include "canvas.h"
#include "health.h"
#include "hello.h"
#include "json.h"
#include "letin.h"
#include "log.h"
#include "pairing.h"
#include "presence.h"
#include "rand.h"
#include "standing.h"
#include "ticket.h"

enum {
    REASON_MAX = 120,       /* protocol, 1.3 */
    AUTH_WAITING_MAX = 256, /* wrong secrets whose answer waits; more are answered at once */
    LISTED_TEXT_MAX = 256,  /* bytes of one text in a presence entry */
    BODY_KEEP = 64 * 1024,
    SCOPES_ALL = (SCOPE_SESSIONS_WRITE << 1) - 1,
};

/* A refusal that waits. */
struct waiting {
    struct loop_timer timer;
    struct hub *hub;
    struct waiting *next, **at;
    uint64_t conn_id;
    unsigned front;
    char *body;   /* owned */
    char *reason; /* owned */
};

struct auth {
    struct params *params;
    struct throttle throttle;
    struct password password;
    struct waiting *waiting;
    unsigned waiting_count;
    struct buf body, ticket, scopes, told; /* of the handshake under way */
};

static bool is(struct view v, const char *word)
{
    return view_eq(v, view_str(word));
}

static void copy_text(char *out, size_t room, struct view v)
{
    size_t n = v.n < room ? v.n : room - 1;

    memcpy(out, v.p, n);
    out[n] = '\0';
}

/* What is granted: never more than was asked for, but for those whom a proxy vouches for and the
 * configuration names (gateway.auth.identityScopes). */
static unsigned scopes_of(const struct attempt *a)
{
    unsigned set = a->node || !admit_keeps_scopes(a) ? 0 : a->asked;

    if (a->by == CREDENTIAL_PROXY && !a->node) {
        set |= proxyauth_scopes(a->settings, a->claim.user);
        if (a->claim.has_cap) /* narrower than admin: what admin implies is listed one by one */
            set = scope_expand(set) & a->claim.cap & SCOPES_ALL;
    }
    return set;
}

/* The only place where an identity comes into being. scopes: the granted ones as JSON text, in the
 * client's order. */
static void grant(const struct hub *h, const struct attempt *a, const struct letin *l,
                  struct identity *who, struct buf *scopes)
{
    const json_t *asked = json_object_get(a->params, "scopes");
    unsigned may = scopes_of(a);
    struct jw w = JW_INIT(scopes);

    who->role = a->node ? CONN_NODE : CONN_OPERATOR;
    who->by = a->by;
    copy_text(who->method, sizeof(who->method), view_str(credential_name(a->by)));
    copy_text(who->client_id, sizeof(who->client_id), a->id);
    copy_text(who->client_mode, sizeof(who->client_mode), a->mode);
    if (a->device_ok)
        copy_text(who->device_id, sizeof(who->device_id), json_view(a->device, "id"));
    who->paired = l->paired;
    standing_print(h, who, l->paired ? &a->paired : NULL, who->print);
    buf_reset(scopes, BODY_KEEP);
    jw_arr(&w);
    for (size_t i = 0; may && i < json_array_size(asked); i++) {
        struct view name = json_view_of(json_array_get(asked, i));
        unsigned bit = may & (unsigned)scope_from(name);

        if (!bit || (who->scopes_listed & bit))
            continue;
        who->scopes_listed |= bit;
        jw_str(&w, name);
    }
    for (unsigned bit = 1; bit <= may; bit <<= 1) /* granted without having been asked for */
        if ((may & bit) && !(who->scopes_listed & bit)) {
            who->scopes_listed |= bit;
            jw_cstr(&w, scope_name((enum scope)bit));
        }
    jw_arr_end(&w);
    who->scopes = scope_expand(who->scopes_listed);
}

static unsigned read_caps(const struct attempt *a)
{
    static const struct {
        const char *name;
        unsigned cap;
    } known[] = {{"tool-events", CAP_TOOL_EVENTS},
                 {"approvals", CAP_APPROVALS},
                 {"exec-approvals", CAP_APPROVALS},
                 {"plugin-approvals", CAP_APPROVALS},
                 {"inline-widgets", CAP_INLINE_WIDGETS},
                 {"agent-kind", CAP_AGENT_KIND},
                 {"session-scoped-events", CAP_SESSION_SCOPED_EVENTS}};
    const json_t *caps = json_object_get(a->params, "caps");
    unsigned set = 0;

    for (size_t i = 0; i < json_array_size(caps) && i < CONN_CAPS_MAX; i++)
        for (size_t k = 0; k < COUNT_OF(known); k++)
            if (is(json_view_of(json_array_get(caps, i)), known[k].name))
                set |= known[k].cap;
    return set;
}

static struct view cut(struct view v, size_t max)
{
    if (v.n <= max)
        return v;
    for (v.n = max; v.n && ((unsigned char)v.p[v.n] & 0xc0) == 0x80;)
        v.n--;
    return v;
}

static void list_text(struct jw *w, const struct attempt *a, const char *key, const char *member)
{
    struct view v = cut(json_view(a->client, member), LISTED_TEXT_MAX);

    if (v.n)
        jw_kstr(w, key, v);
}

/* Presence shows lasting clients only (protocol, 2.10). */
static int list(const struct attempt *a, struct conn *c, struct view scopes, struct err *e)
{
    struct view name = cut(json_view(a->client, "displayName"), LISTED_TEXT_MAX);
    struct view instance = cut(json_view(a->client, "instanceId"), LISTED_TEXT_MAX);
    struct buf b = BUF_INIT(PRESENCE_BODY_MAX);
    struct jw w = {.b = &b, .depth = 1};
    int r;

    if (is(a->mode, "backend") || is(a->mode, "cli") || is(a->mode, "probe"))
        return 0;
    jw_kstr(&w, "clientId", a->id);
    jw_kstr(&w, "mode", a->mode);
    jw_kraw(&w, "roles", a->node ? V("[\"node\"]") : V("[\"operator\"]"));
    if (c->who.scopes_listed)
        jw_kraw(&w, "scopes", scopes);
    jw_key(&w, "text");
    jw_raw(&w, V("\"Node: "));
    jw_escape(&b, name.n ? name : V("unknown"));
    buf_put_view(&b, V(" · mode "));
    jw_escape(&b, a->mode);
    buf_put_char(&b, '"');
    jw_kstr(&w, "host", name.n ? name : a->id);
    list_text(&w, a, "version", "version");
    list_text(&w, a, "platform", "platform");
    list_text(&w, a, "deviceFamily", "deviceFamily");
    list_text(&w, a, "modelIdentifier", "modelIdentifier");
    list_text(&w, a, "timeZone", "timeZone");
    if (c->who.device_id[0])
        jw_kcstr(&w, "deviceId", c->who.device_id);
    list_text(&w, a, "instanceId", "instanceId");
    if (buf_check(&b, e) == 0)
        c->listed = mem_dup(b.p, b.n);
    buf_reset(&b, PRESENCE_BODY_MAX);
    if (c->who.device_id[0])
        buf_printf(&b, "d:%s", c->who.device_id);
    else if (instance.n)
        buf_printf(&b, "i:%.*s", VIEW_FMT(instance));
    else
        buf_printf(&b, "c:%s", c->conn_uuid);
    if ((r = buf_check(&b, e)) == 0)
        c->listed_key = mem_dup(b.p, b.n);
    if (!c->listed || !c->listed_key) {
        mem_free(TAKE(c->listed));
        mem_free(TAKE(c->listed_key));
        r = err_set(e, ERR_NOMEM, "no memory for a presence entry");
    }
    buf_fini(&b);
    return r;
}

/* hello.auth as JSON text. */
static void write_auth(struct buf *b, const struct conn *c, const struct letin *l,
                       struct view scopes)
{
    const char *role = c->who.role == CONN_NODE ? "node" : "operator";
    struct jw w = JW_INIT(b);

    buf_reset(b, BODY_KEEP);
    b->secret = true;
    jw_obj(&w);
    jw_kcstr(&w, "method", c->who.method);
    jw_kcstr(&w, "role", role);
    jw_kraw(&w, "scopes", scopes);
    if (l->token[0]) {
        jw_kcstr(&w, "deviceToken", l->token);
        jw_ki64(&w, "issuedAtMs", l->issued_at);
    }
    if (l->other[0]) {
        jw_key(&w, "deviceTokens");
        jw_arr(&w);
        jw_obj(&w);
        jw_kcstr(&w, "deviceToken", l->other);
        jw_kcstr(&w, "role", c->who.role == CONN_NODE ? "operator" : "node");
        jw_key(&w, "scopes");
        pairing_write_scopes(&w, c->who.role == CONN_NODE ? l->other_scopes : 0);
        jw_ki64(&w, "issuedAtMs", l->other_issued_at);
        jw_obj_end(&w);
        jw_arr_end(&w);
    }
    jw_obj_end(&w);
}

static int accept_conn(struct hub *h, struct link *front, struct attempt *a,
                       const struct letin *let, struct err *e)
{
    struct auth *au = h->auth;
    struct ipc_connect_ok ok = {.conn_id = a->m->conn_id};
    struct conn *c = NULL, *known;
    struct buf base = BUF_INIT(CANVAS_URL_MAX);
    int r;

    if ((r = conn_new(&c, link_instance(front), a->m->conn_id, e)) < 0)
        return r;
    grant(h, a, let, &c->who, &au->scopes);
    c->caps = read_caps(a);
    c->local = a->local;
    c->protocol = a->protocol;
    copy_text(c->peer, sizeof(c->peer), a->m->peer);
    canvas_base(h, a->m, &base);
    if (base.n && !base.failed)
        c->base_url = mem_dup(buf_view(&base).p, base.n); /* without it there is no canvas */
    buf_fini(&base);
    rand_uuid(c->conn_uuid);
    known = c;
    if ((r = list(a, c, buf_view(&au->scopes), e)) < 0 || (r = conn_add(h, &c, e)) < 0)
        goto out;
    buf_reset(&au->body, BODY_KEEP);
    buf_reset(&au->ticket, BODY_KEEP);
    write_auth(&au->told, known, let, buf_view(&au->scopes));
    if ((r = buf_check(&au->told, e)) < 0)
        goto remove;
    hello_write(h, known, buf_view(&au->told), &au->body);
    if ((r = buf_check(&au->body, e)) < 0 || (r = conn_ticket(h, known, &au->ticket, e)) < 0)
        goto remove;
    ok.audience = known->audience;
    ok.ticket = buf_view(&au->ticket);
    ok.body = buf_view(&au->body);
    if ((r = msg_send_connect_ok(front, &ok, e)) < 0)
        goto remove;
    log_debug("conn.hello", KV("conn", known->id), KV("client", known->who.client_id),
              KV("mode", known->who.client_mode), KV("peer", known->peer));
    (void)health_if_old(h);
    return 0;
remove:
    conn_remove(h, known->front, known->id);
out:
    conn_free(&c);
    return r;
}

static int send_refused(struct link *front, uint64_t conn_id, uint16_t code, struct view reason,
                        struct view body, struct err *e)
{
    struct ipc_connect_refused m = {.conn_id = conn_id,
                                    .close_code = code,
                                    .close_reason = cut(reason, REASON_MAX),
                                    .body = body};
    int r = msg_send_connect_refused(front, &m, e);

    hub_front_mark(front);
    return r;
}

static void waiting_free(struct waiting *w)
{
    if ((*w->at = w->next))
        w->next->at = w->at;
    w->hub->auth->waiting_count--;
    loop_timer_fini(&w->timer);
    mem_free(w->body);
    mem_free(w->reason);
    mem_free(w);
}

static void on_waited(void *ctx)
{
    struct waiting *w = ctx;
    struct link *front = hub_front(w->hub, w->front);
    struct err e = ERR_INIT;

    if (front && send_refused(front, w->conn_id, ADMIT_CLOSE_POLICY, view_str(w->reason),
                              view_str(w->body), &e) < 0)
        log_error("refusal.lost", KV("conn", w->conn_id), KV("why", e.text));
    waiting_free(w);
}

/* False: no room, the answer goes out at once. */
static bool answer_later(struct hub *h, struct link *front, struct attempt *a,
                         const struct refusal *r, struct view body)
{
    struct auth *au = h->auth;
    struct waiting *w = au->waiting_count < AUTH_WAITING_MAX ? mem_alloc(sizeof(*w)) : NULL;

    if (!w)
        return false;
    w->hub = h;
    w->conn_id = a->m->conn_id;
    w->front = link_instance(front);
    w->at = &au->waiting;
    if ((w->next = au->waiting))
        w->next->at = &w->next;
    au->waiting = w;
    au->waiting_count++;
    loop_timer_init(&w->timer, h->w.loop, on_waited, w);
    w->body = mem_dup(body.p, body.n);
    w->reason = mem_dup(r->message.p, r->message.n);
    if (!w->body || !w->reason) {
        waiting_free(w);
        return false;
    }
    loop_timer_set(&w->timer, r->wait_ms);
    return true;
}

static int refuse_conn(struct hub *h, struct link *front, struct attempt *a, struct refusal *r,
                       struct err *e)
{
    struct buf *b = &h->auth->body;

    buf_reset(b, BODY_KEEP);
    if (!r->silent)
        call_body_error(b, r->code, r->message, buf_view(&r->details), r->retryable,
                        r->retry_after_ms, VIEW_EMPTY);
    if (b->failed)
        return buf_check(b, e);
    log_info("conn.refused", KV("conn", a->m->conn_id), KV("peer", a->m->peer),
             KV("why", cut(r->message, REASON_MAX)));
    if (r->wait_ms && answer_later(h, front, a, r, buf_view(b)))
        return 0;
    return send_refused(front, a->m->conn_id, r->close, r->reason.n ? r->reason : r->message,
                        buf_view(b), e);
}

struct door auth_door(struct hub *h)
{
    return (struct door){.settings = h->settings,
                         .mac = h->mac,
                         .throttle = &h->auth->throttle,
                         .password = &h->auth->password};
}

void auth_reconfigured(struct hub *h)
{
    h->auth->throttle.rule = h->settings->throttle;
}

int auth_on_connect_known(struct hub *h, struct link *from, struct ipc_connect *m,
                          const struct tailnet_who *tailnet, struct err *e)
{
    struct attempt a = {.settings = h->settings,
                        .schema = h->auth->params,
                        .door = auth_door(h),
                        .hub = h,
                        .m = m,
                        .tailnet = *tailnet,
                        .stopping = h->stopping};
    struct refusal why = {.retryable = -1};
    struct letin let = {.issued_at = 0};
    struct err own = ERR_INIT;
    bool in;
    int r = 0;

    buf_init(&why.details, ADMIT_TEXT_MAX);
    buf_init(&why.text, ADMIT_TEXT_MAX);
    json_wiping(true);
    in = admit_check(&a, &why);
    if (!in && a.ask_tailnet) {
        if (tailnet_wait(h, from, m))
            goto out;
        a.tailnet.result = WHOIS_FAILED;
        json_decref(TAKE(a.params));
        a.ask_tailnet = false;
        in = admit_check(&a, &why);
    }
    if (in)
        in = letin_pair(h, &a, &let, &why);
    if (in && accept_conn(h, from, &a, &let, &own) < 0) {
        log_error("conn.failed", KV("conn", m->conn_id), KV("why", own.text));
        why.close = ADMIT_CLOSE_TRY_AGAIN;
        in = admit_refuse(&why, RPC_UNAVAILABLE, V("the gateway cannot take the connection now"));
    }
    if (!in)
        r = refuse_conn(h, from, &a, &why, e);
    hub_front_mark(from);
    if (let.paired) {
        buf_reset(&h->auth->body, BODY_KEEP);
        buf_reset(&h->auth->told, BODY_KEEP);
    }
    letin_wipe(&let);
out:
    buf_fini(&why.details);
    buf_fini(&why.text);
    json_decref(a.params);
    json_wiping(false);
    return r;
}

int auth_on_connect(struct hub *h, struct link *from, struct ipc_connect *m, struct err *e)
{
    struct tailnet_who who;

    if (m->flags & CONN_CANVAS)
        return canvas_on_connect(h, from, m, e);
    tailnet_look(h, m->flags & CONN_TAILSCALE ? m->peer : VIEW_EMPTY, &who);
    return auth_on_connect_known(h, from, m, &who, e);
}

int auth_open(struct hub *h, struct err *e)
{
    int r = mem_new(&h->auth, sizeof(*h->auth), e);

    if (r < 0)
        return r;
    buf_init(&h->auth->body, 4 * MIB);
    buf_init(&h->auth->ticket, TICKET_MAX);
    buf_init(&h->auth->scopes, BODY_KEEP);
    buf_init(&h->auth->told, BODY_KEEP);
    h->auth->body.secret = h->auth->told.secret = true; /* a device is told its token */
    auth_reconfigured(h);
    if ((r = params_compile(&h->auth->params, admit_schema, e)) < 0)
        return err_wrap(e, "connect parameters");
    return 0;
}

void auth_close(struct hub *h)
{
    struct auth *au = h->auth;

    if (!au)
        return;
    while (au->waiting)
        waiting_free(au->waiting);
    params_free(&au->params);
    buf_fini(&au->body);
    buf_fini(&au->ticket);
    buf_fini(&au->scopes);
    buf_fini(&au->told);
    mem_free(au);
    h->auth = NULL;
}
