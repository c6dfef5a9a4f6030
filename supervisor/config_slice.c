#include "config_int.h"

#include "mem.h"

#include <stdlib.h>

static int no_memory(struct err *e)
{
    return err_set(e, ERR_NOMEM, "out of memory for a slice of the configuration");
}

struct cut {
    unsigned role_bit;
    struct config_path path;
    struct err *e;
};

static int cut(struct cut *c, json_t *v, json_t **out) MUST_USE;

static int by_name(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;

    return strcmp(*x, *y);
}

static int cut_member(struct cut *c, json_t *map, const char *name, json_t *out)
{
    json_t *part = NULL;
    int r;

    config_path_key(&c->path, view_str(name));
    r = cut(c, json_object_get(map, name), &part);
    config_path_pop(&c->path);
    if (r == 0 && part && json_object_set_new(out, name, part) < 0)
        r = no_memory(c->e);
    return r;
}

/* Members in the order of their names: slices are compared as text. */
static int cut_map(struct cut *c, json_t *map, json_t *out)
{
    size_t n = json_object_size(map), i = 0;
    const char **names;
    int r = 0;

    if (n == 0)
        return 0;
    if (!(names = mem_calloc(n, sizeof(*names))))
        return no_memory(c->e);
    for (void *it = json_object_iter(map); it && i < n; it = json_object_iter_next(map, it))
        names[i++] = json_object_iter_key(it);
    qsort(names, i, sizeof(*names), by_name);
    for (n = 0; n < i && r == 0; n++)
        r = cut_member(c, map, names[n], out);
    mem_free(names);
    return r;
}

static int cut_list(struct cut *c, json_t *list, json_t *out)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *part = NULL;
        int r;

        config_path_index(&c->path, i);
        r = cut(c, json_array_get(list, i), &part);
        config_path_pop(&c->path);
        if (r == 0 && json_array_append_new(out, part ? part : json_object()) < 0)
            r = no_memory(c->e);
        if (r < 0)
            return r;
    }
    return 0;
}

/* *out = what of v the role sees; NULL when nothing. */
static int cut(struct cut *c, json_t *v, json_t **out)
{
    const struct config_key *k = config_key_find(&c->path);
    bool below = config_key_below(&c->path, NULL);
    json_t *part;
    int r;

    if (c->path.n && !config_key_seen(&c->path, c->role_bit))
        return 0;
    if (!below || (!json_is_object(v) && !json_is_array(v))) {
        if (!k || !(k->roles & c->role_bit))
            return 0;
        *out = json_deep_copy(v);
        return *out ? 0 : no_memory(c->e);
    }
    part = json_is_object(v) ? json_object() : json_array();
    if (!part)
        return no_memory(c->e);
    r = json_is_object(v) ? cut_map(c, v, part) : cut_list(c, v, part);
    if (r < 0 || (json_object_size(part) == 0 && json_is_object(part) && c->path.n &&
                  !(k && k->roles & c->role_bit) && json_object_size(v))) {
        json_decref(part);
        return r;
    }
    *out = part;
    return 0;
}

int config_slice(const struct config *c, enum role role, json_t **out, struct err *e)
{
    struct cut s = {.role_bit = 1u << role, .e = e};

    return cut(&s, c->doc, out);
}

struct compare {
    struct config_path path;
    struct config_diff *d;
    struct err *e;
};

static int changed(struct compare *c, const struct config_key *k)
{
    struct config_diff *d = c->d;
    char text[CONFIG_PATH_TEXT_MAX];
    unsigned workers = k->roles & (unsigned)R_ANY_WORKER;

    d->total++;
    d->reloads |= 1u << k->reload;
    if (k->reload == CONFIG_HOT || k->reload == CONFIG_HANDOVER)
        d->hot_roles |= workers;
    if (k->reload == CONFIG_RESTART)
        d->restart_roles |= workers;
    if (d->count == CONFIG_CHANGES_MAX)
        return 0;
    config_path_text(&c->path, text);
    d->change[d->count] = (struct config_change){
        .path = mem_dup(text, strlen(text)), .reload = k->reload, .roles = workers};
    if (!d->change[d->count].path)
        return err_set(c->e, ERR_NOMEM, "out of memory for a comparison");
    d->count++;
    return 0;
}

static int compare(struct compare *c, const json_t *a, const json_t *b) MUST_USE;

static int compare_member(struct compare *c, const char *name, const json_t *a, const json_t *b)
{
    int r;

    config_path_key(&c->path, view_str(name));
    r = compare(c, json_object_get(a, name), json_object_get(b, name));
    config_path_pop(&c->path);
    return r;
}

static int compare_maps(struct compare *c, const json_t *a, const json_t *b)
{
    json_t *x = (json_t *)(uintptr_t)a,
           *y = (json_t *)(uintptr_t)b; /* jansson's iterators know no const */
    int r = 0;

    for (void *it = json_object_iter(x); it && r == 0; it = json_object_iter_next(x, it))
        r = compare_member(c, json_object_iter_key(it), a, b);
    for (void *it = json_object_iter(y); it && r == 0; it = json_object_iter_next(y, it))
        if (!json_object_get(a, json_object_iter_key(it)))
            r = compare_member(c, json_object_iter_key(it), a, b);
    return r;
}

static int compare_lists(struct compare *c, const json_t *a, const json_t *b)
{
    size_t n = json_array_size(a) > json_array_size(b) ? json_array_size(a) : json_array_size(b);
    int r = 0;

    for (size_t i = 0; i < n && r == 0; i++) {
        config_path_index(&c->path, i);
        r = compare(c, json_array_get(a, i), json_array_get(b, i));
        config_path_pop(&c->path);
    }
    return r;
}

static int compare(struct compare *c, const json_t *a, const json_t *b)
{
    const struct config_key *k = config_key_find(&c->path);
    const json_t *one = a ? a : b;

    if (a && b && json_equal(a, b))
        return 0;
    if (c->path.n == 0 || config_key_below(&c->path, NULL)) {
        unsigned before = c->d->total;
        int r = 0;

        if (json_is_object(one) && (!a || !b || json_typeof(a) == json_typeof(b)))
            r = compare_maps(c, a, b);
        else if (json_is_array(one) && (!a || !b || json_typeof(a) == json_typeof(b)))
            r = compare_lists(c, a, b);
        if (r < 0 || c->d->total != before)
            return r;
    }
    return k && !(k->flags & (K_LATER | K_QUIET | K_GONE)) ? changed(c, k) : 0;
}

int config_diff(const struct config *from, const struct config *to, struct config_diff *d,
                struct err *e)
{
    struct compare c = {.d = d, .e = e};
    int r;

    *d = (struct config_diff){.count = 0};
    r = compare(&c, from->doc, to->doc);
    if (r < 0)
        config_diff_fini(d);
    return r;
}

void config_diff_fini(struct config_diff *d)
{
    for (unsigned i = 0; i < d->count; i++)
        mem_free(d->change[i].path);
    *d = (struct config_diff){.count = 0};
}
