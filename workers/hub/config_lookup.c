/* workers/hub/config_lookup.c - config.schema.lookup: one place of the schema with what is below
 * it, without the 100 KB of the whole (reference, 9.6). */
#include "call.h"
#include "config_rpc.h"
#include "json.h"

#include <stdio.h>

enum { PARTS_MAX = 64 };

struct found {
    const json_t *schema;
    char at[1025]; /* the same place in the table's notation: * a name of a map, [] an element */
};

static bool add_part(struct found *f, const char *sep, struct view part)
{
    size_t n = strlen(f->at), room = sizeof(f->at) - n;
    int took = snprintf(f->at + n, room, "%s%.*s", n ? sep : "", VIEW_FMT(part));

    return took >= 0 && (size_t)took < room;
}

/* One step down by a name, "*", or "[]" and "[3]" for an element. */
static bool step(struct found *f, struct view part)
{
    const json_t *next;
    char name[256];

    if (part.n == 0 || part.n >= sizeof(name))
        return false;
    if (part.p[0] == '[' || (json_object_get(f->schema, "items") && part.p[0] <= '9')) {
        f->schema = json_object_get(f->schema, "items");
        return f->schema && add_part(f, "", V("[]"));
    }
    (void)snprintf(name, sizeof(name), "%.*s", VIEW_FMT(part));
    next = json_object_get(json_object_get(f->schema, "properties"), name);
    if (next) {
        f->schema = next;
        return add_part(f, ".", part);
    }
    f->schema = json_object_get(f->schema, "additionalProperties");
    return json_is_object(f->schema) && add_part(f, ".", V("*"));
}

/* "a.b[].c", "a.b.*.c", "a/b", "a.b.0.c": parts end at a dot, a slash, or before a bracket. */
static bool find(struct found *f, struct view path)
{
    for (unsigned parts = 0; path.n; parts++) {
        size_t n = path.p[0] == '[';

        while (n < path.n && path.p[n] != '.' && path.p[n] != '/' && path.p[n] != '[')
            n++;
        if (parts == PARTS_MAX || !step(f, view_of(path.p, n)))
            return false;
        path = view_from(path, n + (n < path.n && path.p[n] != '['));
    }
    return true;
}

/* The strongest of a place and all below it: what a change anywhere there does. */
static const char *reload_of(const json_t *hints, const char *at)
{
    static const char *const kinds[] = {"none", "hot", "restart"};
    size_t n = strlen(at), best = 0;
    const char *path;
    json_t *hint;

    json_object_foreach((json_t *)(uintptr_t)hints, path, hint)
    {
        struct view kind = json_view(hint, "reloadKind");

        if (strncmp(path, at, n) != 0 || (n && path[n] && path[n] != '.' && path[n] != '['))
            continue;
        for (size_t i = best + 1; i < COUNT_OF(kinds); i++)
            best = view_eq(kind, view_str(kinds[i])) ? i : best;
    }
    return kinds[best];
}

static void put_json(struct jw *w, const char *key, const json_t *v)
{
    struct err e = ERR_INIT;

    if (!v)
        return;
    jw_key_view(w, view_str(key));
    jw_raw(w, VIEW_EMPTY);
    if (json_dump(v, w->b, &e) < 0)
        w->b->failed = true;
}

static bool has_children(const json_t *schema)
{
    return json_object_size(json_object_get(schema, "properties")) > 0 ||
           json_is_object(json_object_get(schema, "additionalProperties")) ||
           json_is_object(json_object_get(schema, "items"));
}

static void put_about(struct jw *w, const json_t *hints, const char *at)
{
    const json_t *hint = json_object_get(hints, at);

    jw_kcstr(w, "reloadKind", reload_of(hints, at));
    put_json(w, "hint", hint);
    if (hint)
        jw_kcstr(w, "hintPath", at);
}

static void put_child(struct jw *w, const struct found *f, struct view path, const json_t *hints,
                      const char *name, const json_t *schema)
{
    const char *dot = view_eq(view_str(name), V("[]")) || !path.n ? "" : ".";
    struct found below = *f;

    if (!add_part(&below, *dot ? "." : "", view_str(name)))
        return;
    jw_obj(w);
    jw_kcstr(w, "key", name);
    jw_key(w, "path");
    jw_str_open(w);
    jw_escape(w->b, path);
    jw_escape(w->b, view_str(dot));
    jw_escape(w->b, view_str(name));
    jw_str_close(w);
    put_json(w, "type", json_object_get(schema, "type"));
    jw_kbool(w, "required", false);
    jw_kbool(w, "hasChildren", has_children(schema));
    put_about(w, hints, below.at);
    jw_obj_end(w);
}

static int answer(struct call *c, const struct found *f, struct view path, const json_t *hints)
{
    const json_t *more = json_object_get(f->schema, "additionalProperties"),
                 *items = json_object_get(f->schema, "items");
    struct jw *w = call_ok(c);
    const char *key;
    json_t *v;

    jw_obj(w);
    jw_kstr(w, "path", path);
    jw_key(w, "schema");
    jw_obj(w);
    json_object_foreach((json_t *)(uintptr_t)f->schema, key, v)
    {
        if (!json_is_object(v)) /* what is below comes as children */
            put_json(w, key, v);
    }
    jw_obj_end(w);
    put_about(w, hints, f->at);
    jw_key(w, "children");
    jw_arr(w);
    json_object_foreach(json_object_get(f->schema, "properties"), key, v)
        put_child(w, f, path, hints, key, v);
    if (json_is_object(more))
        put_child(w, f, path, hints, "*", more);
    if (json_is_object(items))
        put_child(w, f, path, hints, "[]", items);
    jw_arr_end(w);
    jw_obj_end(w);
    return call_end(c);
}

int rpc_config_schema_lookup(struct call *c)
{
    struct view path = json_view(c->params, "path");
    struct found f = {.at = ""};
    struct err e = ERR_INIT;
    json_t *doc = NULL;
    int r;

    for (size_t i = 0; i < path.n; i++)
        if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./[]-*",
                    path.p[i]))
            return call_error(c, RPC_INVALID_REQUEST,
                              "invalid config.schema.lookup params: at /path: must be a path such "
                              "as agents.defaults.model");
    /* asked for by people and forms, now and then: it is read anew instead of kept */
    if ((r = json_parse(config_schema_json(), &doc, &e)) < 0)
        return r;
    f.schema = json_object_get(doc, "schema");
    r = find(&f, path) ? answer(c, &f, path, json_object_get(doc, "uiHints"))
                       : call_error(c, RPC_INVALID_REQUEST, "config schema path not found");
    json_decref(doc);
    return r;
}
