/* workers/hub/session_regroup.c - sessions.groups.rename, .delete: all sessions of a group get
 * another one, or none, a few in each turn of the loop (session_groups.h). */
#include "chat.h"
#include "chore.h"
#include "json.h"
#include "log.h"
#include "session_groups.h"

enum {
    STEP_LOOK = 500, /* rows of one step: 0.4 ms */
    STEP_MOVE = 32,  /* of them changed: a row may be a MiB, though it never is */
};

struct regroup {
    struct chore chore; /* first */
    char *name, *to;    /* owned; to "": none */
    struct buf quoted;
    uint32_t sid; /* all up to this one are done */
    int64_t moved;
    bool asked; /* somebody waits for the answer */
    struct call_ref ref;
    /* of a step */
    struct buf keys; /* each with its NUL */
    unsigned found;
    bool more;
};

static void regroup_free(struct regroup *g)
{
    mem_free(g->name);
    mem_free(g->to);
    buf_fini(&g->quoted);
    buf_fini(&g->keys);
    mem_free(g);
}

static int on_session(void *ctx, const struct rec_session_put *r)
{
    struct regroup *g = ctx;

    if (groups_has(r, buf_view(&g->quoted))) {
        if (g->found == STEP_MOVE)
            return 1;
        g->found++;
        buf_put_view(&g->keys, r->key);
        buf_put_char(&g->keys, '\0');
    }
    g->sid = r->sid;
    g->more = true;
    return 0;
}

static int move_one(struct regroup *g, struct view full, struct err *e)
{
    struct session_key key;
    struct live *l;
    int rc;

    if (session_key(g->chore.hub, full, VIEW_EMPTY, &key, e) == ERR_INVALID)
        return 0;
    if ((rc = live_get(g->chore.hub, &key, false, &l, e)) < 0)
        return rc;
    rc = g->to[0] ? session_rest_set_str(&l->s, "category", view_str(g->to), e)
                  : session_rest_set(&l->s, "category", VIEW_EMPTY, e);
    if (rc == 0 && (rc = session_save(g->chore.hub, &l->s, e)) == 0)
        g->moved++;
    live_put(g->chore.hub, l);
    return rc;
}

/* The last session has left it: now the list. */
static int rename_group(struct hub *h, const struct regroup *g, json_t **out, struct err *e)
{
    struct view to = view_str(g->to);
    json_t *doc = NULL, *names, *defaults, *d, *word;
    size_t at;
    int rc;

    if ((rc = groups_load(h, &doc, e)) < 0)
        return rc;
    names = json_object_get(doc, "names");
    defaults = json_object_get(doc, "defaults");
    at = groups_place(names, view_str(g->name));
    word = to.n && groups_place(names, to) == SIZE_MAX ? json_stringn(to.p, to.n) : NULL;
    if (word && at != SIZE_MAX)
        (void)json_array_set_new(names, at, word);
    else if (word)
        (void)json_array_append_new(names, word); /* its list was changed meanwhile */
    else if (at != SIZE_MAX)
        (void)json_array_remove(names, at);
    d = json_incref(json_object_get(defaults, g->name));
    (void)json_object_del(defaults, g->name);
    if (d && to.n)
        (void)json_object_setn(defaults, to.p, to.n, d);
    json_decref(d);
    (void)json_object_del(json_object_get(doc, "moving"), g->name);
    if ((rc = groups_save(h, doc, e)) < 0)
        json_decref(doc);
    else
        *out = doc;
    return rc;
}

static int on_step(struct chore *c, struct err *e)
{
    struct regroup *g = (struct regroup *)c;
    struct view left;
    int rc;

    g->found = 0;
    g->more = false;
    buf_reset(&g->keys, 64 * KIB);
    if ((rc = store_sessions_from(c->hub->store, g->sid, STEP_LOOK, on_session, g, e)) < 0 ||
        (rc = buf_check(&g->keys, e)) < 0)
        return rc;
    for (left = buf_view(&g->keys); left.n; left = view_from(left, strlen(left.p) + 1))
        if ((rc = move_one(g, view_str(left.p), e)) < 0)
            return rc;
    return g->more;
}

/* It failed: some have moved, both groups are there. Whoever asked may ask again. */
static void give_up(struct hub *h, const struct regroup *g)
{
    json_t *doc = NULL;
    struct err e = ERR_INIT;
    int rc = groups_load(h, &doc, &e);

    if (rc == 0) {
        (void)json_object_del(json_object_get(doc, "moving"), g->name);
        rc = groups_save(h, doc, &e);
        json_decref(doc);
    }
    if (rc < 0)
        log_warn("groups.move_kept", KV("why", e.text)); /* the next process goes on with it */
}

static void on_end(struct chore *c, int rc, const struct err *why)
{
    struct regroup *g = (struct regroup *)c;
    struct call call = {.hub = c->hub, .ref = g->ref};
    struct err e = *why;
    json_t *doc = NULL;

    if (rc == ERR_CLOSED) {
        regroup_free(g);
        return;
    }
    if (rc == 0)
        rc = rename_group(c->hub, g, &doc, &e);
    if (rc < 0) {
        log_warn("groups.move_failed", KV("moved", g->moved), KV("why", e.text));
        give_up(c->hub, g);
    }
    if (!g->asked && rc == 0)
        groups_tell(c->hub);
    else if (g->asked)
        rc = rc < 0 ? groups_failed(&call, NULL, &e) : groups_answer(&call, TAKE(doc), g->moved);
    if (rc < 0)
        log_warn("groups.answer_lost", KV("why", e.text));
    json_decref(doc);
    regroup_free(g);
}

static int begin(struct hub *h, struct view name, struct view to, const struct call_ref *ref,
                 struct err *e)
{
    struct regroup *g;
    int rc;

    if ((rc = mem_new(&g, sizeof(*g), e)) < 0)
        return rc;
    g->chore = (struct chore){.step = on_step, .end = on_end};
    buf_init(&g->quoted, 64 * KIB);
    buf_init(&g->keys, 64 * KIB);
    if (ref) {
        g->asked = true;
        g->ref = *ref;
    }
    if (!(g->name = mem_dup(name.p, name.n)) || !(g->to = mem_dup(to.n ? to.p : "", to.n)))
        rc = err_set(e, ERR_NOMEM, "groups: out of memory");
    if (rc < 0 || (rc = groups_quoted(name, &g->quoted, e)) < 0 ||
        (rc = chore_add(h, &g->chore, e)) < 0)
        regroup_free(g);
    return rc;
}

int groups_open(struct hub *h, struct err *e)
{
    json_t *doc = NULL, *to;
    const char *name;
    int rc = groups_load(h, &doc, e);

    if (rc < 0)
        return rc;
    json_object_foreach(json_object_get(doc, "moving"), name, to)
    {
        if (rc == 0)
            rc = begin(h, view_str(name), json_view_of(to), NULL, e);
    }
    json_decref(doc);
    return rc;
}

/* Its sessions are leaving it, or others are coming in. */
static bool busy(json_t *moving, struct view name)
{
    const char *from;
    json_t *to;

    json_object_foreach(moving, from, to)
    {
        if (view_eq(view_str(from), name) || view_eq(json_view_of(to), name))
            return true;
    }
    return false;
}

/* Rename (to given) or delete. */
static int change(struct call *c, struct view name, struct view to)
{
    json_t *doc = NULL, *moving;
    struct err e = ERR_INIT;
    int rc;

    if (groups_load(c->hub, &doc, &e) < 0)
        return groups_failed(c, doc, &e);
    moving = json_object_get(doc, "moving");
    if (groups_place(json_object_get(doc, "names"), name) == SIZE_MAX)
        rc = err_set(&e, ERR_NOT_FOUND, "unknown session group: %.*s", VIEW_FMT(name));
    else if (busy(moving, name) || (to.n && json_object_getn(moving, to.p, to.n)))
        rc = err_set(&e, ERR_AGAIN, "session group is being renamed or deleted already");
    else if (view_eq(name, to))
        return groups_answer(c, doc, 0);
    else if (json_object_setn_new(moving, name.p, name.n, json_stringn(to.n ? to.p : "", to.n)) < 0)
        rc = err_set(&e, ERR_NOMEM, "groups: out of memory");
    else if ((rc = groups_save(c->hub, doc, &e)) == 0)
        rc = begin(c->hub, name, to, &c->ref, &e);
    if (rc < 0) /* what could not begin although it is written down, the next process does */
        return groups_failed(c, doc, &e);
    json_decref(doc);
    return 0;
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
