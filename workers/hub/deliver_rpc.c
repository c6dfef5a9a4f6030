/* workers/hub/deliver_rpc.c - deliveries.list, get, retry, drop: for whoever looks after the queue.
 * Not part of the reference. */
#include "deliver_plan.h"
#include "deliver_split.h"
#include "deliveries.h"
#include "json.h"
#include "media.h"

enum { LIST_DEFAULT = 100, LIST_MAX = 1000 };

static void write_file(struct hub *h, struct jw *w, const struct deliver_file *f, bool planned)
{
    static const char *const forms[] = {"voice", "document", "gif"}; /* bits of MEDIA_* */
    struct media m;

    jw_obj(w);
    if (planned)
        jw_ku64(w, "part", f->part);
    if (f->url.n)
        jw_kstr(w, "url", f->url);
    if (f->id.n)
        jw_kstr(w, "id", f->id);
    if (f->id.n && media_find(h, f->id, &m)) {
        jw_kcstr(w, "fileName", m.name);
        jw_kcstr(w, "contentType", m.type);
        jw_ku64(w, "sizeBytes", m.bytes);
    }
    for (size_t i = 0; i < COUNT_OF(forms); i++)
        if (f->flags >> i & 1)
            jw_kcstr(w, "as", forms[i]);
    jw_obj_end(w);
}

/* What goes along: as asked for, and once it is here with its part and name. */
static void write_files(struct hub *h, struct jw *w, const struct store_delivery *d)
{
    struct deliver_file f[DELIVER_FILES_MAX];
    bool planned = d->state.plan.n > 0;
    struct view note = VIEW_EMPTY;
    struct err ignored = ERR_INIT;
    json_t *doc = NULL;
    unsigned n;

    if (!d->add.media.n)
        return;
    if ((planned ? deliver_plan_read(d->state.plan, &doc, f, &n, &note, &ignored)
                 : deliver_files_read(d->add.media, &doc, f, &n, &ignored)) == 0) {
        jw_key(w, "media");
        jw_arr(w);
        for (unsigned i = 0; i < n; i++)
            write_file(h, w, &f[i], planned);
        jw_arr_end(w);
        if (note.n)
            jw_kstr(w, "mediaNote", note);
    }
    json_decref(doc);
}

static void write_row(struct hub *h, struct jw *w, const struct store_delivery *d, bool whole)
{
    static const char *const kinds[] = {"text", "poll", "edit", "remove", "react"};
    struct view part;

    jw_obj(w);
    jw_ku64(w, "id", d->add.id);
    jw_kcstr(w, "state", deliver_state_name(d->state.state));
    jw_kstr(w, "channel", d->add.channel);
    jw_kstr(w, "accountId", d->add.account);
    jw_kstr(w, "to", d->add.target);
    if (d->add.thread.n)
        jw_kstr(w, "threadId", d->add.thread);
    if (d->add.reply_to.n)
        jw_kstr(w, "replyToId", d->add.reply_to);
    if (d->add.session_key.n)
        jw_kstr(w, "sessionKey", d->add.session_key);
    jw_kcstr(w, "kind", d->add.kind < DELIVERY_KIND_COUNT ? kinds[d->add.kind] : "?");
    jw_kstr(w, "key", d->add.key);
    jw_kstr(w, "clientId", d->add.client_id);
    jw_ku64(w, "parts", deliver_parts(d));
    write_files(h, w, d);
    jw_ku64(w, "partsSent", d->state.part);
    jw_ku64(w, "attempts", d->state.attempts);
    jw_ki64(w, "createdAt", d->add.created_at);
    jw_ki64(w, "updatedAt", d->state.updated_at);
    if (d->state.state == DELIVERY_QUEUED)
        jw_ki64(w, "nextAt", d->state.next_at);
    if (d->state.expires_at)
        jw_ki64(w, "expiresAt", d->state.expires_at);
    if (d->state.error.n)
        jw_kstr(w, "error", d->state.error);
    jw_key(w, "messageIds");
    jw_arr(w);
    if (d->state.message_ids.n)
        jw_raw(w, d->state.message_ids);
    jw_arr_end(w);
    if (whole) {
        jw_key(w, "texts");
        jw_arr(w);
        for (uint32_t i = 0; i < d->add.parts && deliver_part(d->add.body, i, &part); i++)
            jw_str(w, part);
        jw_arr_end(w);
    }
    jw_obj_end(w);
}

struct listing {
    struct hub *hub;
    struct jw *w;
    struct view state, channel;
    int64_t left;
};

static int on_row(void *ctx, const struct store_delivery *d)
{
    struct listing *l = ctx;

    if (l->left == 0)
        return 1;
    if ((l->state.n && !view_eq(l->state, view_str(deliver_state_name(d->state.state)))) ||
        (l->channel.n && !view_eq(l->channel, d->add.channel)))
        return 0;
    l->left--;
    write_row(l->hub, l->w, d, false);
    return 0;
}

int rpc_deliveries_list(struct call *c)
{
    struct store *s = c->hub->store;
    struct listing l = {.hub = c->hub,
                        .state = json_view(c->params, "state"),
                        .channel = json_view(c->params, "channel"),
                        .left = json_i64(c->params, "limit", LIST_DEFAULT)};
    uint64_t open = 0, held = 0, after = (uint64_t)json_i64(c->params, "after", 0);
    bool done = view_eq(l.state, V("sent")) || view_eq(l.state, V("dropped"));
    struct err e = ERR_INIT;
    int r;

    l.w = call_ok(c);
    jw_obj(l.w);
    jw_key(l.w, "deliveries");
    jw_arr(l.w);
    if (done) {
        r = store_deliveries(s, DELIVERIES_DONE, 0, on_row, &l, &e);
    } else if ((r = store_deliveries(s, DELIVERIES_HELD, after, on_row, &l, &e)) == 0) {
        r = store_deliveries(s, DELIVERIES_OPEN, after, on_row, &l, &e);
    }
    jw_arr_end(l.w);
    if (r < 0 || (r = store_deliveries_count(s, DELIVERIES_OPEN, &open, &e)) < 0 ||
        (r = store_deliveries_count(s, DELIVERIES_HELD, &held, &e)) < 0)
        return call_error(c, RPC_UNAVAILABLE, "%s", e.text);
    jw_ku64(l.w, "open", open);
    jw_ku64(l.w, "held", held);
    jw_obj_end(l.w);
    return call_end(c);
}

int rpc_deliveries_get(struct call *c)
{
    struct store_delivery d;
    struct err e = ERR_INIT;

    if (store_delivery_get(c->hub->store, (uint64_t)json_i64(c->params, "id", 0), &d, &e) < 0)
        return call_error(c, RPC_INVALID_REQUEST, "%s", e.text);
    write_row(c->hub, call_ok(c), &d, true);
    return call_end(c);
}

static int by_hand(struct call *c, enum deliver_event ev)
{
    uint64_t id = (uint64_t)json_i64(c->params, "id", 0);
    struct store_delivery d;
    struct err e = ERR_INIT;
    int r = deliveries_by_hand(c->hub, id, ev, &e);

    if (r == 0)
        r = store_delivery_get(c->hub->store, id, &d, &e);
    if (r < 0)
        return call_error(
            c, r == ERR_NOT_FOUND || r == ERR_CONFLICT ? RPC_INVALID_REQUEST : RPC_UNAVAILABLE,
            "%s", e.text);
    write_row(c->hub, call_ok(c), &d, false);
    return call_end(c);
}

int rpc_deliveries_retry(struct call *c)
{
    return by_hand(c, DELIVER_EV_RETRY);
}

int rpc_deliveries_drop(struct call *c)
{
    return by_hand(c, DELIVER_EV_DROP);
}
