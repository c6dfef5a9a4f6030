#include "config_int.h"

#include "config_text.h"
#include "json.h"
#include "mem.h"
#include "num.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { SENTENCE_MAX = 768 };

static void report(struct config_walk *w, bool error, const char *fmt, va_list ap) PRINTF(3, 0);
static void report(struct config_walk *w, bool error, const char *fmt, va_list ap)
{
    char path[CONFIG_PATH_TEXT_MAX], text[SENTENCE_MAX];
    struct config_issue where = {.error = error, .path = path};
    char *origin = NULL;

    config_path_text(&w->path, path);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    if (w->origin) {
        where.origin = origin = mem_dup(w->origin, strlen(w->origin));
    } else if (w->report->count < CONFIG_ISSUES_MAX || error) {
        struct config_path near = w->path; /* of what holds it, when the key itself is not there */

        for (; near.n && !where.line; near.n--)
            config_text_find(w->text, &near, &where.line, &where.column);
    }
    config_report_add(w->report, &where, "%s", text);
    mem_free(origin);
}

void config_error(struct config_walk *w, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    report(w, true, fmt, ap);
    va_end(ap);
}

void config_warn(struct config_walk *w, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    report(w, false, fmt, ap);
    va_end(ap);
}

static void report_at(struct config_walk *w, bool error, const char *path, const char *fmt,
                      va_list ap) PRINTF(4, 0);
static void report_at(struct config_walk *w, bool error, const char *path, const char *fmt,
                      va_list ap)
{
    struct config_path keep = w->path;

    w->path.n = 0;
    while (*path) {
        size_t n = strcspn(path, ".");

        config_path_key(&w->path, view_of(path, n));
        path += n + (path[n] == '.');
    }
    report(w, error, fmt, ap);
    w->path = keep;
}

void config_error_at(struct config_walk *w, const char *path, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    report_at(w, true, path, fmt, ap);
    va_end(ap);
}

void config_warn_at(struct config_walk *w, const char *path, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    report_at(w, false, path, fmt, ap);
    va_end(ap);
}

static int visit(struct config_walk *w, json_t *v, json_t **out) MUST_USE;

/* A key of a map that the row constrains, or an include that would be lost. */
static void check_name(struct config_walk *w, const struct config_key *k, struct view name)
{
    const char *fault = k && k->type == CT_MAP ? config_text_fault(k->of, name) : NULL;

    if (name.n > 512 || fault)
        config_error(w, "%s", fault ? fault : "the name is too long");
}

static int visit_member(struct config_walk *w, const struct config_key *k, json_t *obj, void *it)
{
    const char *name = json_object_iter_key(it);
    json_t *new = NULL;
    int r;

    config_path_key(&w->path, view_of(name, json_object_iter_key_len(it)));
    check_name(w, k, w->path.part[w->path.n - 1].key);
    r = visit(w, json_object_iter_value(it), &new);
    config_path_pop(&w->path);
    if (r == 0 && new &&json_object_iter_set_new(obj, it, new) < 0)
        r = ERR_NOMEM;
    return r;
}

/* What other keys refer to comes first. */
static bool goes_first(const struct config_walk *w, const char *name)
{
    return w->path.n == 0 && (strcmp(name, "env") == 0 || strcmp(name, "secrets") == 0);
}

static int visit_map(struct config_walk *w, const struct config_key *k, json_t *obj)
{
    int r = 0;

    if (k && k->max && json_object_size(obj) > k->max)
        config_error(w, "%zu entries, limit %" PRIu64, json_object_size(obj), k->max);
    for (int late = 0; late < 2 && r == 0; late++)
        for (void *it = json_object_iter(obj); it && r == 0; it = json_object_iter_next(obj, it))
            if (goes_first(w, json_object_iter_key(it)) != late)
                r = visit_member(w, k, obj, it);
    return r;
}

static int visit_list(struct config_walk *w, const struct config_key *k, json_t *list)
{
    int r = 0;

    if (k && k->max && json_array_size(list) > k->max)
        config_error(w, "%zu entries, limit %" PRIu64, json_array_size(list), k->max);
    for (size_t i = 0; i < json_array_size(list) && r == 0; i++) {
        json_t *new = NULL;

        config_path_index(&w->path, i);
        r = visit(w, json_array_get(list, i), &new);
        config_path_pop(&w->path);
        if (r == 0 && new &&json_array_set_new(list, i, new) < 0)
            r = ERR_NOMEM;
    }
    return r;
}

static int expand_all(struct config_walk *w, json_t *v);

/* ${NAME} inside a value we do not know the shape of. */
static int expand_part(struct config_walk *w, json_t *v, json_t **out)
{
    int r = json_is_string(v) ? config_expand(w, v, out) : expand_all(w, v);

    return r == ERR_INVALID ? 0 : r; /* reported */
}

static int expand_all(struct config_walk *w, json_t *v)
{
    int r = 0;

    for (void *it = json_object_iter(v); it && r == 0; it = json_object_iter_next(v, it)) {
        json_t *new = NULL;

        config_path_key(&w->path, view_of(json_object_iter_key(it), json_object_iter_key_len(it)));
        r = expand_part(w, json_object_iter_value(it), &new);
        config_path_pop(&w->path);
        if (r == 0 && new &&json_object_iter_set_new(v, it, new) < 0)
            r = ERR_NOMEM;
    }
    for (size_t i = 0; i < json_array_size(v) && r == 0; i++) {
        json_t *new = NULL;

        config_path_index(&w->path, i);
        r = expand_part(w, json_array_get(v, i), &new);
        config_path_pop(&w->path);
        if (r == 0 && new &&json_array_set_new(v, i, new) < 0)
            r = ERR_NOMEM;
    }
    return r;
}

static void unknown(struct config_walk *w)
{
    bool strict = w->path.n > 2 && view_eq(w->path.part[0].key, V("gateway")) &&
                  view_eq(w->path.part[1].key, V("auth")); /* a slip here would be a hole */
    char near[CONFIG_PATH_TEXT_MAX];
    bool found = config_key_nearest(&w->path, near);

    if (view_eq(w->path.part[w->path.n - 1].key, V("$include")))
        config_error(w, "$include is not supported by this build; put the parts into one file");
    else if (strict)
        config_error(w, "unknown key%s%s%s", found ? "; did you mean " : "", found ? near : "",
                     found ? "?" : "");
    else
        config_warn(w, "unknown key%s%s%s", found ? "; did you mean " : "", found ? near : "",
                    found ? "?" : "");
}

/* A key that is known and without effect. */
static bool idle(struct config_walk *w, const struct config_key *k)
{
    if (k->flags & K_LATER)
        config_warn(w, "known, not supported by this build");
    else if (k->flags & K_GONE)
        config_warn(w, "no longer a setting: %s", k->help);
    return k->flags & (K_LATER | K_GONE | K_QUIET);
}

static int visit(struct config_walk *w, json_t *v, json_t **out)
{
    const struct config_key *k = config_key_find(&w->path);
    bool list = false, below = config_key_below(&w->path, &list);
    int r;

    if (!k && !below && w->path.n) {
        unknown(w);
        return 0;
    }
    if (k && idle(w, k))
        return 0;
    if (json_is_object(v) && below && !list)
        return visit_map(w, k, v);
    if (json_is_array(v) && list)
        return visit_list(w, k, v);
    if (!k) {
        config_error(w, list ? "must be a list [...]" : "must be a map {...}");
        return 0;
    }
    if (json_is_null(v)) {
        config_error(w, "null is no value; leave the key out");
        return 0;
    }
    if (k->type == CT_ANY)
        return expand_all(w, v);
    r = config_value(w, k, v, out);
    return r == ERR_INVALID ? 0 : r;
}

int config_walk_doc(struct config_walk *w)
{
    json_t *new = NULL;

    w->path.n = 0;
    return visit(w, w->doc, &new);
}

int config_override(struct config_walk *w, const char *path, struct view text, json_t **out)
{
    const struct config_key *k;
    json_t *v = NULL, *new = NULL;
    const char *at = path;
    struct err e = ERR_INIT;
    uint64_t n;
    int r = 0;

    w->path.n = 0;
    while (*at) {
        size_t len = strcspn(at, ".");

        config_path_key(&w->path, view_of(at, len));
        at += len + (at[len] == '.');
    }
    k = config_key_find(&w->path);
    if (k->type == CT_U16 || k->type == CT_U32 || k->type == CT_MS) {
        if (num_u64(text, k->min, k->max, &n, &e) < 0) {
            config_error(w, "must be a whole number from %" PRIu64 " to %" PRIu64, k->min, k->max);
            return ERR_INVALID;
        }
        v = json_integer((json_int_t)n);
    } else if ((v = json_stringn(text.p, text.n)) == NULL) {
        config_error(w, "not valid UTF-8");
        return ERR_INVALID;
    }
    if (!v)
        return ERR_NOMEM;
    if (k->type != CT_SECRET) { /* no ${NAME} in a secret that is given as it is */
        r = config_value(w, k, v, &new);
    } else if (text.n < k->min || text.n > k->max) {
        config_error(w, "%zu bytes, must be %" PRIu64 " to %" PRIu64, text.n, k->min, k->max);
        r = ERR_INVALID;
    }
    if (r < 0) {
        json_decref(v);
        return r;
    }
    json_decref(new);
    *out = v;
    r = json_set_at(w->doc, path, json_incref(v), &e);
    if (r < 0) {
        json_decref(v);
        *out = NULL;
    }
    return r;
}
