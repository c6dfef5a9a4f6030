#include "session_groups.h"

#include "chat.h"
#include "clock.h"
#include "json.h"
#include "log.h"

#include <stdio.h>

/* {"names": [...], "order": [...], "defaults": {name: {cwd, worktree}},
 *  "moving": {name: the name its sessions get, "" none}} */
#define GROUPS_KEY V("sessions.groups")

/* ---- the setting ---- */

int groups_load(struct hub *h, json_t **out, struct err *e)
{
    struct view text;
    json_t *doc = NULL;
    int rc = store_meta_get(h->store, GROUPS_KEY, &text, e);

    if (rc == 0)
        rc = json_parse(text, &doc, e);
    if (rc == ERR_NOT_FOUND) {
        *e = (struct err)ERR_INIT;
        rc = (doc = json_object()) ? 0 : err_set(e, ERR_NOMEM, "groups: out of memory");
    }
    if (rc < 0)
        return rc;
    if (!json_object_get(doc, "names"))
        (void)json_object_set_new(doc, "names", json_array());
    if (!json_object_get(doc, "defaults"))
        (void)json_object_set_new(doc, "defaults", json_object());
    if (!json_object_get(doc, "moving"))
        (void)json_object_set_new(doc, "moving", json_object());
    *out = doc;
    return 0;
}

int groups_save(struct hub *h, const json_t *doc, struct err *e)
{
    struct buf b = BUF_INIT(64 * KIB);
    struct store_rec rec = {.type = REC_meta_set};
    int rc = json_dump(doc, &b, e);

    if (rc == 0 && (rc = buf_check(&b, e)) == 0) {
        rec.meta_set = (struct rec_meta_set){.key = GROUPS_KEY, .value = buf_view(&b)};
        rc = hub_put(h, &rec, e);
    }
    buf_fini(&b);
    return rc;
}

size_t groups_place(const json_t *names, struct view name)
{
    const json_t *v;
    size_t i;

    json_array_foreach(names, i, v)
    {
        if (view_eq(json_view_of(v), name))
            return i;
    }
    return SIZE_MAX;
}

int groups_add(struct hub *h, struct view name, struct err *e)
{
    json_t *doc = NULL, *names;
    int rc;

    if (name.n == 0)
        return 0;
    if ((rc = groups_load(h, &doc, e)) < 0)
        return rc;
    names = json_object_get(doc, "names");
    if (json_object_getn(json_object_get(doc, "moving"), name.p, name.n))
        rc = err_set(e, ERR_AGAIN, "session group is being renamed or deleted: %.*s",
                     VIEW_FMT(name));
    else if (groups_place(names, name) == SIZE_MAX) {
        if (json_array_size(names) >= GROUPS_MAX)
            rc = err_set(e, ERR_LIMIT, "more than %d groups", (int)GROUPS_MAX);
        else if (json_array_append_new(names, json_stringn(name.p, name.n)) < 0)
            rc = err_set(e, ERR_NOMEM, "groups: out of memory");
        else
            rc = groups_save(h, doc, e);
    }
    json_decref(doc);
    return rc;
}

/* ---- the sessions in it ---- */

int groups_quoted(struct view name, struct buf *out, struct err *e)
{
    struct jw jw = JW_INIT(out);

    buf_put_str(out, "\"category\":");
    jw_str(&jw, name);
    return buf_check(out, e);
}

bool groups_has(const struct rec_session_put *r, struct view quoted)
{
    return r->extra.n >= quoted.n && memmem(r->extra.p, r->extra.n, quoted.p, quoted.n);
}

struct look {
    struct view quoted;
    bool found;
};

static int on_session(void *ctx, const struct rec_session_put *r)
{
    struct look *l = ctx;

    l->found = groups_has(r, l->quoted);
    return l->found;
}

static int in_use(struct hub *h, struct view name, bool *out, struct err *e)
{
    struct buf quoted = BUF_INIT(64 * KIB);
    struct look l = {.found = false};
    int rc = groups_quoted(name, &quoted, e);

    l.quoted = buf_view(&quoted);
    if (rc == 0)
        rc = store_sessions_from(h->store, 0, SIZE_MAX, on_session, &l, e);
    *out = l.found;
    buf_fini(&quoted);
    return rc;
}

/* ---- answers ---- */

static void put_groups(struct jw *w, const json_t *doc)
{
    const json_t *name, *order = json_object_get(doc, "order");
    size_t i;

    jw_key(w, "groups");
    jw_arr(w);
    json_array_foreach(json_object_get(doc, "names"), i, name)
    {
        jw_obj(w);
        jw_kstr(w, "name", json_view_of(name));
        jw_ku64(w, "position", i);
        jw_obj_end(w);
    }
    jw_arr_end(w);
    jw_key(w, "sectionOrder");
    jw_arr(w);
    json_array_foreach(order, i, name)
    {
        jw_str(w, json_view_of(name));
    }
    jw_arr_end(w);
}

static void put_defaults(struct jw *w, const json_t *doc)
{
    const json_t *defaults = json_object_get(doc, "defaults"), *name, *d;
    size_t i;

    jw_key(w, "defaults");
    jw_arr(w);
    json_array_foreach(json_object_get(doc, "names"), i, name)
    {
        if (!(d = json_object_get(defaults, json_string_value(name))))
            continue;
        jw_obj(w);
        jw_kstr(w, "name", json_view_of(name));
        if (json_view(d, "cwd").n)
            jw_kstr(w, "cwd", json_view(d, "cwd"));
        if (json_is_boolean(json_object_get(d, "worktree")))
            jw_kbool(w, "worktree", json_is_true(json_object_get(d, "worktree")));
        jw_obj_end(w);
    }
    jw_arr_end(w);
}

void groups_tell(struct hub *h)
{
    struct jw *w;

    if (!event_wanted(h, AUD_SESSIONS))
        return;
    w = event_begin(h, "sessions.changed");
    jw_obj(w);
    jw_kcstr(w, "reason", "groups");
    jw_ki64(w, "ts", clock_wall_ms());
    jw_obj_end(w);
    event_end(h, AUD_SESSIONS, EVENT_SEQ);
}

int groups_failed(struct call *c, json_t *doc, const struct err *e)
{
    json_decref(doc);
    if (e->code == ERR_INVALID || e->code == ERR_LIMIT || e->code == ERR_NOT_FOUND)
        return call_error(c, RPC_INVALID_REQUEST, "%s", e->text);
    return call_error_full(c, RPC_UNAVAILABLE, e->text, VIEW_EMPTY, 1, 1000);
}

int groups_answer(struct call *c, json_t *doc, int64_t updated)
{
    struct jw *w = call_ok(c);
    int rc;

    jw_obj(w);
    jw_kbool(w, "ok", true);
    put_groups(w, doc);
    if (updated >= 0)
        jw_ki64(w, "updatedSessions", updated);
    jw_obj_end(w);
    json_decref(doc);
    rc = call_end(c);
    groups_tell(c->hub);
    return rc;
}

/* ---- methods ---- */

int rpc_sessions_groups_list(struct call *c)
{
    struct err e = ERR_INIT;
    json_t *doc = NULL;
    struct jw *w;

    if (groups_load(c->hub, &doc, &e) < 0)
        return groups_failed(c, doc, &e);
    w = call_ok(c);
    jw_obj(w);
    put_groups(w, doc);
    jw_obj_end(w);
    json_decref(doc);
    return call_end(c);
}

int rpc_sessions_groups_defaults(struct call *c)
{
    struct err e = ERR_INIT;
    json_t *doc = NULL;
    struct jw *w;

    if (groups_load(c->hub, &doc, &e) < 0)
        return groups_failed(c, doc, &e);
    w = call_ok(c);
    jw_obj(w);
    put_defaults(w, doc);
    jw_obj_end(w);
    json_decref(doc);
    return call_end(c);
}

/* Those that are left out must be empty. */
static int check_left_out(struct hub *h, const json_t *before, const json_t *after, struct err *e)
{
    const json_t *name;
    bool used;
    size_t i;
    int rc = 0;

    json_array_foreach(before, i, name)
    {
        if (rc < 0 || groups_place(after, json_view_of(name)) != SIZE_MAX)
            continue;
        rc = in_use(h, json_view_of(name), &used, e);
        if (rc == 0 && used)
            rc = err_set(e, ERR_INVALID, "session group is not empty: %.*s",
                         VIEW_FMT(json_view_of(name)));
    }
    return rc;
}

int rpc_sessions_groups_put(struct call *c)
{
    json_t *names = json_object_get(c->params, "names"), *doc = NULL, *clean, *v,
           *order = json_object_get(c->params, "sectionOrder");
    struct err e = ERR_INIT;
    size_t i;
    int rc;

    if ((rc = groups_load(c->hub, &doc, &e)) < 0)
        return groups_failed(c, doc, &e);
    clean = json_array();
    json_array_foreach(names, i, v)
    {
        struct view name = view_trim(json_view_of(v));

        if (name.n && groups_place(clean, name) == SIZE_MAX)
            (void)json_array_append_new(clean, json_stringn(name.p, name.n));
    }
    if (json_array_size(clean) > GROUPS_MAX)
        rc = err_set(&e, ERR_LIMIT, "more than %d groups", (int)GROUPS_MAX);
    else
        rc = check_left_out(c->hub, json_object_get(doc, "names"), clean, &e);
    if (json_object_set_new(doc, "names", clean) < 0 ||
        (order && json_object_set(doc, "order", order) < 0))
        rc = err_set(&e, ERR_NOMEM, "groups: out of memory");
    if (rc < 0 || groups_save(c->hub, doc, &e) < 0)
        return groups_failed(c, doc, &e);
    return groups_answer(c, doc, -1);
}

int rpc_sessions_groups_update(struct call *c)
{
    struct view name = view_trim(json_view(c->params, "name")),
                cwd = view_trim(json_view(c->params, "cwd"));
    const json_t *cwd_given = json_object_get(c->params, "cwd"),
                 *worktree = json_object_get(c->params, "worktree");
    json_t *doc = NULL, *defaults, *d;
    struct err e = ERR_INIT;
    struct jw *w;

    if (cwd.n && cwd.p[0] != '/')
        return call_error(c, RPC_INVALID_REQUEST, "session group cwd must be absolute");
    if (cwd.n && !(c->conn->who.scopes & SCOPE_ADMIN)) /* where turns will read and write */
        return call_error(c, RPC_INVALID_REQUEST, "missing scope: operator.admin");
    if (groups_load(c->hub, &doc, &e) < 0)
        return groups_failed(c, doc, &e);
    if (groups_place(json_object_get(doc, "names"), name) == SIZE_MAX) {
        (void)err_set(&e, ERR_NOT_FOUND, "unknown session group: %.*s", VIEW_FMT(name));
        return groups_failed(c, doc, &e);
    }
    defaults = json_object_get(doc, "defaults");
    if (!(d = json_object_getn(defaults, name.p, name.n))) {
        (void)json_object_setn_new(defaults, name.p, name.n, json_object());
        d = json_object_getn(defaults, name.p, name.n);
    }
    if (cwd_given && cwd.n)
        (void)json_object_set_new(d, "cwd", json_stringn(cwd.p, cwd.n));
    else if (cwd_given)
        (void)json_object_del(d, "cwd");
    if (worktree)
        (void)json_object_set_new(d, "worktree", json_boolean(json_is_true(worktree)));
    if (groups_save(c->hub, doc, &e) < 0)
        return groups_failed(c, doc, &e);
    w = call_ok(c);
    jw_obj(w);
    jw_kbool(w, "ok", true);
    put_defaults(w, doc);
    jw_obj_end(w);
    json_decref(doc);
    if (call_end(c) < 0)
        return -1;
    groups_tell(c->hub);
    return 0;
}
