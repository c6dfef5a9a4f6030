#include "session_groups.h"

#include "chat.h"
#include "clock.h"
#include "json.h"
#include "log.h"

#include <stdio.h>

enum { WALK_BYTES = 16 << 20 }; /* keys of the sessions of one group */

/* {"names": [...], "order": [...], "defaults": {name: {cwd, worktree}}} */
#define GROUPS_KEY V("sessions.groups")

/* ---- the setting ---- */

static int load(struct hub *h, json_t **out, struct err *e)
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
    *out = doc;
    return 0;
}

static int save(struct hub *h, const json_t *doc, struct err *e)
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

static size_t place_of(const json_t *names, struct view name)
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
    if ((rc = load(h, &doc, e)) < 0)
        return rc;
    names = json_object_get(doc, "names");
    if (place_of(names, name) == SIZE_MAX) {
        if (json_array_size(names) >= GROUPS_MAX)
            rc = err_set(e, ERR_LIMIT, "more than %d groups", (int)GROUPS_MAX);
        else if (json_array_append_new(names, json_stringn(name.p, name.n)) < 0)
            rc = err_set(e, ERR_NOMEM, "groups: out of memory");
        else
            rc = save(h, doc, e);
    }
    json_decref(doc);
    return rc;
}

/* ---- the sessions in it ---- */

struct walk {
    struct buf quoted; /* "category":"..." as a row has it */
    struct buf keys;   /* each with its NUL */
    unsigned count;
    bool one; /* one is enough */
};

static int on_session(void *ctx, const struct rec_session_put *r)
{
    struct walk *w = ctx;
    struct view q = buf_view(&w->quoted);

    if (r->extra.n < q.n || !memmem(r->extra.p, r->extra.n, q.p, q.n))
        return 0;
    buf_put_view(&w->keys, r->key);
    buf_put_char(&w->keys, '\0');
    w->count++;
    return w->one;
}

static int walk(struct hub *h, struct view name, bool one, struct walk *w, struct err *e)
{
    struct jw jw = JW_INIT(&w->quoted);
    int rc;

    w->one = one;
    w->count = 0;
    buf_init(&w->quoted, 64 * KIB);
    buf_init(&w->keys, WALK_BYTES);
    buf_put_str(&w->quoted, "\"category\":");
    jw_str(&jw, name);
    if ((rc = buf_check(&w->quoted, e)) == 0 &&
        (rc = store_sessions_page(h->store, 0, SIZE_MAX, on_session, w, e)) == 0)
        rc = buf_check(&w->keys, e);
    return rc;
}

static void walk_fini(struct walk *w)
{
    buf_fini(&w->quoted);
    buf_fini(&w->keys);
}

/* All sessions of it into another one; to empty: into none. */
static int move(struct hub *h, struct view name, struct view to, unsigned *moved, struct err *e)
{
    struct walk w;
    struct view left;
    int rc = walk(h, name, false, &w, e);

    *moved = 0;
    for (left = buf_view(&w.keys); rc == 0 && left.n; left = view_from(left, strlen(left.p) + 1)) {
        struct session_key key;
        struct live *l;

        if (session_key(h, view_str(left.p), VIEW_EMPTY, &key, e) == ERR_INVALID)
            continue;
        if ((rc = live_get(h, &key, false, &l, e)) < 0)
            break;
        rc = to.n ? session_rest_set_str(&l->s, "category", to, e)
                  : session_rest_set(&l->s, "category", VIEW_EMPTY, e);
        if (rc == 0 && (rc = session_save(h, &l->s, e)) == 0)
            ++*moved;
        live_put(h, l);
    }
    walk_fini(&w);
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

static void tell(struct hub *h)
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

static int failed(struct call *c, json_t *doc, const struct err *e)
{
    json_decref(doc);
    if (e->code == ERR_INVALID || e->code == ERR_LIMIT || e->code == ERR_NOT_FOUND)
        return call_error(c, RPC_INVALID_REQUEST, "%s", e->text);
    return call_error_full(c, RPC_UNAVAILABLE, e->text, VIEW_EMPTY, 1, 1000);
}

/* updated < 0: not said. */
static int answer(struct call *c, json_t *doc, int64_t updated)
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
    tell(c->hub);
    return rc;
}

/* ---- methods ---- */

int rpc_sessions_groups_list(struct call *c)
{
    struct err e = ERR_INIT;
    json_t *doc = NULL;
    struct jw *w;

    if (load(c->hub, &doc, &e) < 0)
        return failed(c, doc, &e);
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

    if (load(c->hub, &doc, &e) < 0)
        return failed(c, doc, &e);
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
    struct walk w;
    size_t i;
    int rc = 0;

    json_array_foreach(before, i, name)
    {
        if (rc < 0 || place_of(after, json_view_of(name)) != SIZE_MAX)
            continue;
        rc = walk(h, json_view_of(name), true, &w, e);
        if (rc == 0 && w.count)
            rc = err_set(e, ERR_INVALID, "session group is not empty: %.*s",
                         VIEW_FMT(json_view_of(name)));
        walk_fini(&w);
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

    if ((rc = load(c->hub, &doc, &e)) < 0)
        return failed(c, doc, &e);
    clean = json_array();
    json_array_foreach(names, i, v)
    {
        struct view name = view_trim(json_view_of(v));

        if (name.n && place_of(clean, name) == SIZE_MAX)
            (void)json_array_append_new(clean, json_stringn(name.p, name.n));
    }
    if (json_array_size(clean) > GROUPS_MAX)
        rc = err_set(&e, ERR_LIMIT, "more than %d groups", (int)GROUPS_MAX);
    else
        rc = check_left_out(c->hub, json_object_get(doc, "names"), clean, &e);
    if (json_object_set_new(doc, "names", clean) < 0 ||
        (order && json_object_set(doc, "order", order) < 0))
        rc = err_set(&e, ERR_NOMEM, "groups: out of memory");
    if (rc < 0 || save(c->hub, doc, &e) < 0)
        return failed(c, doc, &e);
    return answer(c, doc, -1);
}

/* Rename (to given) or delete. */
static int change(struct call *c, struct view name, struct view to)
{
    json_t *doc = NULL, *names, *defaults;
    struct err e = ERR_INIT;
    unsigned moved = 0;
    size_t at;
    char *own;

    if (load(c->hub, &doc, &e) < 0)
        return failed(c, doc, &e);
    names = json_object_get(doc, "names");
    defaults = json_object_get(doc, "defaults");
    if ((at = place_of(names, name)) == SIZE_MAX) {
        (void)err_set(&e, ERR_NOT_FOUND, "unknown session group: %.*s", VIEW_FMT(name));
        return failed(c, doc, &e);
    }
    if (view_eq(name, to))
        return answer(c, doc, 0);
    if (move(c->hub, name, to, &moved, &e) < 0)
        return failed(c, doc, &e); /* asked again it goes on where it stopped */
    if (to.n && place_of(names, to) == SIZE_MAX)
        (void)json_array_set_new(names, at, json_stringn(to.p, to.n));
    else
        (void)json_array_remove(names, at);
    if ((own = mem_dup(name.p, name.n))) {
        json_t *d = json_incref(json_object_get(defaults, own));

        (void)json_object_del(defaults, own);
        if (d && to.n)
            (void)json_object_setn(defaults, to.p, to.n, d);
        json_decref(d);
        mem_free(own);
    }
    if (save(c->hub, doc, &e) < 0)
        return failed(c, doc, &e);
    return answer(c, doc, moved);
}

int rpc_sessions_groups_rename(struct call *c)
{
    struct view to = view_trim(json_view(c->params, "to"));

    if (to.n == 0)
        return call_error(c, RPC_INVALID_REQUEST, "session group name must not be empty");
    return change(c, view_trim(json_view(c->params, "name")), to);
}

int rpc_sessions_groups_delete(struct call *c)
{
    return change(c, view_trim(json_view(c->params, "name")), VIEW_EMPTY);
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
    if (load(c->hub, &doc, &e) < 0)
        return failed(c, doc, &e);
    if (place_of(json_object_get(doc, "names"), name) == SIZE_MAX) {
        (void)err_set(&e, ERR_NOT_FOUND, "unknown session group: %.*s", VIEW_FMT(name));
        return failed(c, doc, &e);
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
    if (save(c->hub, doc, &e) < 0)
        return failed(c, doc, &e);
    w = call_ok(c);
    jw_obj(w);
    jw_kbool(w, "ok", true);
    put_defaults(w, doc);
    jw_obj_end(w);
    json_decref(doc);
    if (call_end(c) < 0)
        return -1;
    tell(c->hub);
    return 0;
}
