#include "http_channel.h"

#include "deliver_table.h"
#include "json.h"
#include "log.h"

#include <stdio.h>

struct hook {
    struct hook *next, **at;
    struct hub *hub;
    struct http_request *r; /* NULL: its client left */
    struct link *line;
    uint64_t id;
    struct loop_timer timer;
};

struct http_channels {
    struct hook *hooks;
    unsigned count;
    uint64_t last;
    struct buf paths; /* "path\n" of each account, as fronts know them */
};

static struct http_channels *all_of(struct hub *h)
{
    struct err e = ERR_INIT;

    if (!h->http_channels && mem_new(&h->http_channels, sizeof(*h->http_channels), &e) == 0)
        buf_init(&h->http_channels->paths, 64 * KIB);
    return h->http_channels;
}

static void hook_free(struct hub *h, struct hook *k)
{
    if (k->r)
        k->r->work = NULL;
    if ((*k->at = k->next))
        k->next->at = k->at;
    h->http_channels->count--;
    loop_timer_fini(&k->timer);
    mem_free(k);
}

void http_channel_close(struct hub *h)
{
    if (!h->http_channels)
        return;
    while (h->http_channels->hooks)
        hook_free(h, h->http_channels->hooks);
    buf_fini(&h->http_channels->paths);
    mem_free(TAKE(h->http_channels));
}

/* -------------------------------------------------------------- paths */
static bool path_ok(struct view v)
{
    if (v.n < 2 || v.n > HOOK_PATH_MAX || v.p[0] != '/')
        return false;
    for (size_t i = 0; i < v.n; i++) {
        char c = v.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '/' || c == '-' || c == '_' || c == '.') ||
            (i && c == '.' && v.p[i - 1] == '.') || (i && c == '/' && v.p[i - 1] == '/'))
            return false;
    }
    return !view_starts(v, V("/webhooks/"));
}

static struct view path_of(const struct account *a)
{
    struct view v = a->line ? json_view(a->state, "webhookPath") : VIEW_EMPTY;

    return path_ok(v) ? v : VIEW_EMPTY;
}

static bool listed(const struct buf *list, struct view path)
{
    struct view v = buf_view(list);

    while (v.n) {
        size_t end = view_find(v, '\n');

        if (view_eq(view_of(v.p, end), path))
            return true;
        v = view_from(v, end + 1);
    }
    return false;
}

void http_channel_to_front(struct hub *h, struct link *front)
{
    struct http_channels *all = all_of(h);
    struct err e = ERR_INIT;

    if (all && msg_send_http_paths(front, &(struct ipc_http_paths){.paths = buf_view(&all->paths)},
                                   &e) < 0)
        log_warn("http.paths_untold", KV("why", e.text));
}

void http_channel_paths(struct hub *h)
{
    struct http_channels *all = all_of(h);
    struct deliveries *ds = h->deliveries;
    struct buf fresh = BUF_INIT(64 * KIB);

    for (unsigned i = 0; all && ds && i < ds->account_n; i++) {
        struct view path = path_of(ds->accounts[i]);

        if (!path.n || listed(&fresh, path)) /* whoever named it first has it */
            continue;
        buf_put_view(&fresh, path);
        buf_put_char(&fresh, '\n');
    }
    if (all && !fresh.failed && !view_eq(buf_view(&fresh), buf_view(&all->paths))) {
        buf_reset(&all->paths, all->paths.max);
        buf_put_view(&all->paths, buf_view(&fresh));
        for (unsigned i = 0; i < h->w.peer_count; i++)
            if (link_peer(h->w.peers[i]) == ROLE_FRONT)
                http_channel_to_front(h, h->w.peers[i]);
    }
    buf_fini(&fresh);
}

/* -------------------------------------------------------------- to the channel */
static void on_gone(struct http_request *r)
{
    struct hook *k = r->user;

    k->r = NULL; /* the channel hears of it all the same: its work may count */
}

static const struct http_work working = {.on_gone = on_gone};

static void answer(struct hub *h, struct hook *k, unsigned status, const char *type,
                   struct view body)
{
    struct http_request *r = TAKE(k->r);

    hook_free(h, k);
    if (!r)
        return;
    r->work = NULL;
    http_reply(r, &(struct http_reply){.status = status, .type = type, .body = body});
}

static void on_time(void *ctx)
{
    struct hook *k = ctx;

    answer(k->hub, k, 504, "text/plain; charset=utf-8", V("Gateway Timeout"));
}

static void unavailable(struct http_request *r)
{
    http_reply(r, &(struct http_reply){.status = 503,
                                       .type = "text/plain; charset=utf-8",
                                       .fields = "Retry-After: 5\r\n",
                                       .body = V("Service Unavailable")});
}

static void give(struct http_request *r, struct link *line, struct view path, struct view body)
{
    struct hub *h = r->hub;
    struct http_channels *all = all_of(h);
    struct buf headers = BUF_INIT(16 * KIB);
    struct view left = r->headers;
    struct err e = ERR_INIT;
    struct hook *k;

    if (!line || !all || all->count >= HOOKS_MAX || !(k = mem_alloc(sizeof(*k)))) {
        unavailable(r);
        return;
    }
    *k = (struct hook){.hub = h, .r = r, .line = line, .id = ++all->last, .at = &all->hooks};
    if ((k->next = all->hooks))
        k->next->at = &k->next;
    all->hooks = k;
    all->count++;
    loop_timer_init(&k->timer, h->w.loop, on_time, k);
    loop_timer_set(&k->timer, HOOK_ANSWER_MS);
    r->work = &working;
    r->user = k;
    while (left.n) {
        size_t end = view_find(left, '\n');

        buf_put_view(&headers, view_of(left.p, end));
        buf_put(&headers, "\r\n", 2);
        left = view_from(left, end + 1);
    }
    if (buf_check(&headers, &e) < 0 ||
        msg_send_hook(line,
                      &(struct ipc_hook){.req = k->id,
                                         .method = view_str(route_method_name(r->method)),
                                         .path = path,
                                         .query = r->query,
                                         .headers = buf_view(&headers),
                                         .body = body},
                      &e) < 0) {
        log_warn("webhook.not_given", KV("why", e.text));
        hook_free(h, k);
        unavailable(r);
    }
    buf_fini(&headers);
}

/* /webhooks/<channel>/<account>[/more] */
void http_channel_hook(struct http_request *r, struct view body)
{
    size_t a = view_find(r->rest, '/');
    struct view channel = view_of(r->rest.p, a), rest = view_from(r->rest, a + 1), account, more;
    struct deliveries *ds = r->hub->deliveries;
    struct account *x;
    size_t b = view_find(rest, '/');

    account = view_of(rest.p, b);
    more = view_from(rest, b);
    x = ds && channel.n && account.n ? deliver_account(ds, channel, account, false) : NULL;
    if (!x || !x->configured)
        http_reply_text(r, 404, "Not Found");
    else
        give(r, x->line, more, body);
}

/* A path of its own; r->rest is all of it. */
void http_channel_path(struct http_request *r, struct view body)
{
    struct deliveries *ds = r->hub->deliveries;

    for (unsigned i = 0; ds && i < ds->account_n; i++)
        if (ds->accounts[i]->configured && view_eq(path_of(ds->accounts[i]), r->rest)) {
            give(r, ds->accounts[i]->line, VIEW_EMPTY, body);
            return;
        }
    http_reply_text(r, 404, "Not Found");
}

/* -------------------------------------------------------------- from the channel */
int http_channel_on_answer(struct hub *h, struct link *from, const struct ipc_hook_answer *m,
                           struct err *e)
{
    static const char *const types[] = {"text/plain; charset=utf-8",
                                        "application/json; charset=utf-8",
                                        "application/xml; charset=utf-8"};
    const char *type = types[0];
    struct hook *k = h->http_channels ? h->http_channels->hooks : NULL;

    if (m->status < 200 || m->status > 599)
        return err_set(e, ERR_INVALID, "hook_answer: status %u", m->status);
    while (k && (k->id != m->req || k->line != from))
        k = k->next;
    if (!k)
        return 0; /* too late */
    if (view_starts(m->type, V("application/json")))
        type = types[1];
    else if (view_starts(m->type, V("application/xml")) || view_starts(m->type, V("text/xml")))
        type = types[2];
    answer(h, k, m->status, m->body.n ? type : NULL, m->body);
    return 0;
}

void http_channel_gone(struct hub *h, const struct link *l)
{
    struct hook *k = h->http_channels ? h->http_channels->hooks : NULL, *next;

    for (; k; k = next) {
        next = k->next;
        if (k->line == l)
            answer(h, k, 503, "text/plain; charset=utf-8", V("Service Unavailable"));
    }
    http_channel_paths(h);
}
