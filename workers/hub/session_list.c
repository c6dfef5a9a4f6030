/* workers/hub/session_list.c - finding sessions and listening to them (protocol 9.3). */
#include "chat.h"
#include "clock.h"
#include "json.h"
#include "log.h"
#include "settings.h"

#include <ctype.h>

/*
 * A page costs what it holds. A search that finds little would have to look at every session: it
 * looks at LIST_LOOK_MAX of them and then says that there is more, with the place to go on from as
 * nextOffset: PLACE + the number of rows behind it, newest first. Clients hand that back as it is,
 * whatever it was of. Small offsets of pages are what clients expect, the count of what they have.
 */
enum {
    LIST_DEFAULT = 100,
    LIST_MAX = 1000,
    LIST_LOOK_MAX = 1500, /* rows looked at in one call: 0.9 ms */
    LIST_PLAIN_MAX = 500, /* rows that an offset counts off again */
};
static const int64_t PLACE = 1000000000000;

/* ---- sessions.list ---- */

struct list {
    struct hub *hub;
    struct jw *w;
    struct view label, search, agent;
    int64_t since, offset, limit;
    unsigned opts;
    int archived, pinned; /* -1 any, 0, 1 */
    bool active_only, filtered;
    uint64_t matched, put;
    uint64_t place, looked; /* rows passed, and looked at in this call */
    bool more;
};

static bool contains(struct view in, struct view what)
{
    for (size_t i = 0; what.n && i + what.n <= in.n; i++) {
        size_t k = 0;

        while (k < what.n &&
               tolower((unsigned char)in.p[i + k]) == tolower((unsigned char)what.p[k]))
            k++;
        if (k == what.n)
            return true;
    }
    return what.n == 0;
}

static bool matches(const struct list *l, const struct rec_session_put *r)
{
    const struct live *live;

    if (l->archived >= 0 && (r->flags & SESSION_ARCHIVED ? 1 : 0) != l->archived)
        return false;
    if (!l->filtered)
        return true;
    if (l->pinned >= 0 && (r->flags & SESSION_PINNED ? 1 : 0) != l->pinned)
        return false;
    if (l->since && r->updated_at < l->since)
        return false;
    if (l->agent.n && !view_eq(session_key_agent(r->key), l->agent))
        return false;
    if (l->label.n && !view_eq(r->label, l->label))
        return false;
    if (l->search.n && !contains(r->key, l->search) && !contains(r->label, l->search) &&
        !contains(session_member(r->extra, V("\"displayName\":\"")), l->search))
        return false;
    if (l->active_only && (!(live = live_find(l->hub, r->key)) || !live->active))
        return false;
    return true;
}

static int on_session(void *ctx, const struct rec_session_put *r)
{
    struct list *l = ctx;

    if (l->looked == LIST_LOOK_MAX) {
        l->more = true;
        return 1;
    }
    if (l->filtered || (int64_t)l->matched >= l->offset)
        l->looked++; /* an offset that a client counted itself has to be counted off */
    if (matches(l, r)) {
        if ((int64_t)l->matched < l->offset) {
            l->matched++;
        } else if ((int64_t)l->put < l->limit) {
            l->matched++;
            l->put++;
            session_row(l->hub, l->w, r->key, r, l->opts);
        } else {
            l->more = true;
            return 1;
        }
    }
    l->place++;
    return 0;
}

static int put_list(struct hub *h, struct jw *w, const json_t *p, struct err *e)
{
    json_t *archived = json_object_get(p, "archived"), *pinned = json_object_get(p, "pinned");
    int64_t minutes = json_i64(p, "activeMinutes", 0);
    struct list l = {
        .hub = h,
        .w = w,
        .label = json_view(p, "label"),
        .search = view_trim(json_view(p, "search")),
        .agent = json_view(p, "agentId"),
        .since = minutes > 0 && minutes < 1000000000 ? clock_wall_ms() - minutes * 60000 : 0,
        .offset = json_i64(p, "offset", 0),
        .limit = json_i64(p, "limit", LIST_DEFAULT),
        .opts = (json_flag(p, "includeDerivedTitles", false) ? ROW_TITLE : 0u) |
                (json_flag(p, "includeLastMessage", false) ? ROW_LAST : 0u),
        .archived = json_is_string(archived) ? -1 : json_is_true(archived),
        .pinned = pinned ? json_is_true(pinned) : -1,
        .active_only = json_flag(p, "activeOnly", false),
    };
    uint64_t total = 0;
    int64_t asked;
    bool known;
    int rc;

    if (l.limit > LIST_MAX)
        l.limit = LIST_MAX;
    asked = l.offset;
    if (l.offset >= PLACE) {
        l.place = (uint64_t)(l.offset - PLACE);
        l.offset = 0;
    }
    l.filtered = l.label.n || l.search.n || l.agent.n || l.since || l.pinned >= 0 ||
                 l.active_only || l.archived == 1 || json_object_get(p, "spawnedBy");
    jw_obj(w);
    jw_ki64(w, "ts", clock_wall_ms());
    jw_kcstr(w, "path", h->settings->state_dir ? h->settings->state_dir : "");
    jw_key(w, "defaults");
    session_defaults(h, w, true);
    jw_kraw(w, "owners", V("[]"));
    jw_key(w, "sessions");
    jw_arr(w);
    /* nothing is spawned by another session yet */
    rc = 0;
    if (!l.filtered && l.offset > 0) {
        rc = store_sessions_skip(h->store, (uint64_t)l.offset, l.archived, &l.place, &l.matched, e);
        l.offset = 0;
    }
    if (rc == 0 && !json_object_get(p, "spawnedBy"))
        rc = store_sessions_page(h->store, (size_t)l.place, SIZE_MAX, on_session, &l, e);
    jw_arr_end(w);
    /* all were looked at, from the first one on */
    known = asked < PLACE && !l.more;
    if (rc == 0 && !known && !l.filtered)
        rc = store_sessions_count(h->store, &total, e);
    if (rc < 0)
        return rc;
    jw_ku64(w, "count", l.put);
    if (known || !l.filtered)
        jw_ku64(w, "totalCount", known ? l.matched : total);
    jw_ki64(w, "limitApplied", l.limit);
    if (asked > 0)
        jw_ki64(w, "offset", asked);
    jw_key(w, "nextOffset");
    if (!l.more)
        jw_null(w);
    else if (asked < PLACE && l.place <= LIST_PLAIN_MAX && (int64_t)l.put == l.limit)
        jw_u64(w, l.matched);
    else
        jw_i64(w, PLACE + (int64_t)l.place);
    jw_kbool(w, "hasMore", l.more);
    jw_obj_end(w);
    return 0;
}

int rpc_sessions_list(struct call *c)
{
    struct err e = ERR_INIT;

    if (put_list(c->hub, call_ok(c), c->params, &e) < 0)
        return call_error_full(c, RPC_UNAVAILABLE, e.text, VIEW_EMPTY, 1, 1000);
    return call_end(c);
}

/* ---- one of them ---- */

int rpc_sessions_describe(struct call *c)
{
    struct rec_session_put row;
    struct session_key key;
    struct err e = ERR_INIT;
    struct jw *w;

    if (session_key(c->hub, json_view(c->params, "key"), json_view(c->params, "agentId"), &key,
                    &e) == ERR_INVALID)
        return call_error(c, RPC_INVALID_REQUEST, "%s", e.text);
    w = call_ok(c);
    jw_obj(w);
    jw_key(w, "session");
    if (store_session_get(c->hub->store, session_key_view(&key), &row, &e) == 0)
        session_row(c->hub, w, row.key, &row,
                    (json_flag(c->params, "includeDerivedTitles", false) ? ROW_TITLE : 0u) |
                        (json_flag(c->params, "includeLastMessage", false) ? ROW_LAST : 0u));
    else
        jw_null(w);
    jw_obj_end(w);
    return call_end(c);
}

bool session_labelled(struct hub *h, struct view label, struct session_key *out)
{
    struct rec_session_put row;
    struct err e = ERR_INIT;

    return label.n && store_session_by_label(h->store, label, &row, &e) == 0 &&
           session_key(h, row.key, VIEW_EMPTY, out, &e) != ERR_INVALID;
}

int rpc_sessions_resolve(struct call *c)
{
    struct view asked = json_view(c->params, "key");
    struct view label = json_view(c->params, "label"), id = json_view(c->params, "sessionId");
    struct rec_session_put row;
    struct session_key key;
    struct err e = ERR_INIT;
    bool found = false;
    struct jw *w;

    if (!asked.n)
        asked = json_view(json_object_get(c->params, "reference"), "key");
    if (asked.n) {
        if (session_key(c->hub, asked, json_view(c->params, "agentId"), &key, &e) == ERR_INVALID)
            return call_error(c, RPC_INVALID_REQUEST, "%s", e.text);
        found = store_session_get(c->hub->store, session_key_view(&key), &row, &e) == 0;
    } else if (label.n || id.n) {
        found = (id.n ? store_session_by_id(c->hub->store, id, &row, &e)
                      : store_session_by_label(c->hub->store, label, &row, &e)) == 0 &&
                (!label.n || view_eq(row.label, label)) &&
                session_key(c->hub, row.key, VIEW_EMPTY, &key, &e) != ERR_INVALID;
    } else {
        return call_error(c, RPC_INVALID_REQUEST, "Either key, sessionId or label is required");
    }
    if (!found && !json_flag(c->params, "allowMissing", false))
        return call_error(c, RPC_INVALID_REQUEST, "No session found: %.*s",
                          VIEW_FMT(asked.n   ? asked
                                   : label.n ? label
                                             : id));
    w = call_ok(c);
    jw_obj(w);
    jw_kbool(w, "ok", found);
    if (found) {
        jw_kcstr(w, "key", key.s);
        jw_kcstr(w, "agentId", key.agent);
    }
    jw_obj_end(w);
    return call_end(c);
}

/* ---- listening ---- */

static int subscribed(struct call *c, bool changed)
{
    struct err e = ERR_INIT;

    if (changed && conn_update(c->hub, c->conn, &e) < 0) {
        log_warn("session.subscribe", KV("why", e.text));
        return e.code;
    }
    return 0;
}

int rpc_sessions_subscribe(struct call *c)
{
    struct err e = ERR_INIT;
    bool was = c->conn->sub_sessions;
    struct jw *w;

    c->conn->sub_sessions = true;
    if (subscribed(c, !was) < 0)
        return call_error_full(c, RPC_UNAVAILABLE, "subscription failed", VIEW_EMPTY, 1, 1000);
    w = call_ok(c);
    jw_obj(w);
    jw_kbool(w, "subscribed", true);
    if (json_object_size(c->params) > 0) {
        jw_key(w, "list");
        if (put_list(c->hub, w, c->params, &e) < 0)
            return call_error_full(c, RPC_UNAVAILABLE, e.text, VIEW_EMPTY, 1, 1000);
    }
    jw_obj_end(w);
    return call_end(c);
}

int rpc_sessions_unsubscribe(struct call *c)
{
    bool was = c->conn->sub_sessions;
    struct jw *w;

    c->conn->sub_sessions = false;
    if (subscribed(c, was) < 0)
        return call_error_full(c, RPC_UNAVAILABLE, "subscription failed", VIEW_EMPTY, 1, 1000);
    w = call_ok(c);
    jw_obj(w);
    jw_kbool(w, "subscribed", false);
    jw_obj_end(w);
    return call_end(c);
}

static unsigned find_sub(const struct conn *c, const struct session_key *key)
{
    unsigned i = 0;

    while (i < c->sub_count && !view_eq(view_str(c->sub_keys[i]), session_key_view(key)))
        i++;
    return i;
}

static int answer_sub(struct call *c, const struct session_key *key, bool on)
{
    struct jw *w = call_ok(c);

    jw_obj(w);
    jw_kbool(w, "subscribed", on);
    jw_kcstr(w, "key", key->s);
    jw_obj_end(w);
    return call_end(c);
}

int rpc_sessions_messages_subscribe(struct call *c)
{
    struct conn *conn = c->conn;
    struct session_key key;
    struct err e = ERR_INIT;

    if (session_key(c->hub, json_view(c->params, "key"), json_view(c->params, "agentId"), &key,
                    &e) == ERR_INVALID)
        return call_error(c, RPC_INVALID_REQUEST, "%s", e.text);
    if (find_sub(conn, &key) == conn->sub_count) {
        if (conn->sub_count == CONN_SUBS_MAX)
            return call_error(c, RPC_INVALID_REQUEST, "more than %d message subscriptions",
                              (int)CONN_SUBS_MAX);
        if (!(conn->sub_keys[conn->sub_count] = mem_dup(key.s, key.n)))
            return call_error_full(c, RPC_UNAVAILABLE, "out of memory", VIEW_EMPTY, 1, 1000);
        conn->sub_count++;
        if (subscribed(c, true) < 0)
            return call_error_full(c, RPC_UNAVAILABLE, "subscription failed", VIEW_EMPTY, 1, 1000);
    }
    return answer_sub(c, &key, true);
}

int rpc_sessions_messages_unsubscribe(struct call *c)
{
    struct conn *conn = c->conn;
    struct session_key key;
    struct err e = ERR_INIT;
    unsigned i;

    if (session_key(c->hub, json_view(c->params, "key"), json_view(c->params, "agentId"), &key,
                    &e) == ERR_INVALID)
        return call_error(c, RPC_INVALID_REQUEST, "%s", e.text);
    i = find_sub(conn, &key);
    if (i < conn->sub_count) {
        mem_free(conn->sub_keys[i]);
        conn->sub_keys[i] = conn->sub_keys[--conn->sub_count];
        conn->sub_keys[conn->sub_count] = NULL;
        if (subscribed(c, true) < 0)
            return call_error_full(c, RPC_UNAVAILABLE, "subscription failed", VIEW_EMPTY, 1, 1000);
    }
    return answer_sub(c, &key, false);
}
