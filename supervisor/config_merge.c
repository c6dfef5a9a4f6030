#include "config_merge.h"

#include "config_path.h"
#include "json.h"

enum { LIST_MAX = 4096 }; /* elements that are looked for one by one; settings take 1024 */

struct view config_item_id(const json_t *v)
{
    return json_is_object(v) ? json_view(v, "id") : VIEW_EMPTY;
}

static bool list_of_ids(const json_t *v)
{
    size_t n = json_array_size(v);

    for (size_t i = 0; i < n; i++)
        if (!config_item_id(json_array_get(v, i)).n)
            return false;
    return json_is_array(v) && n > 0;
}

json_t *config_item_by_id(const json_t *list, struct view id)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (view_eq(config_item_id(json_array_get(list, i)), id))
            return json_array_get(list, i);
    return NULL;
}

/* A patch being merged. */
struct patching {
    struct view replace; /* paths of lists, a line each, "a.b[].c" */
    struct config_path path;
    struct err *e;
};

/* Where we are, as replacePaths writes it: all elements of a list are one place. */
static bool replaced(const struct patching *p)
{
    char text[CONFIG_PATH_TEXT_MAX];
    struct view left = p->replace;
    size_t n = 0;

    config_path_text(&p->path, text);
    for (size_t i = 0; text[i]; i++) {
        text[n++] = text[i];
        for (; text[i] == '[' && text[i + 1] >= '0' && text[i + 1] <= '9';)
            memmove(text + i + 1, text + i + 2, strlen(text + i + 2) + 1);
    }
    while (left.n) {
        size_t end = view_find(left, '\n');

        if (view_eq(view_of(left.p, end), view_of(text, n)))
            return true;
        left = view_from(left, end + (end < left.n));
    }
    return false;
}

static int merge(struct patching *p, json_t *into, const json_t *patch);

static int no_memory(struct err *e)
{
    return err_set(e, ERR_NOMEM, "out of memory for a patch");
}

static int merge_by_id(struct patching *p, json_t *made, const json_t *patch)
{
    int r = 0;

    if (json_array_size(patch) > LIST_MAX || json_array_size(made) > LIST_MAX)
        return err_set(p->e, ERR_LIMIT, "a list of more than %d entries; write it with config.set",
                       LIST_MAX);
    for (size_t i = 0; i < json_array_size(patch) && r == 0; i++) {
        const json_t *item = json_array_get(patch, i);
        json_t *old = config_item_by_id(made, config_item_id(item));

        config_path_index(&p->path, i);
        if (old)
            r = merge(p, old, item);
        else if (json_array_append_new(made, json_deep_copy(item)) < 0)
            r = no_memory(p->e);
        config_path_pop(&p->path);
    }
    return r;
}

/* What `have` becomes; a new reference. */
static int merged(struct patching *p, json_t *have, const json_t *patch, json_t **out)
{
    bool map = json_is_object(patch), ids = list_of_ids(patch) && list_of_ids(have) && !replaced(p);
    json_t *made = (map && json_is_object(have)) || ids ? json_deep_copy(have)
                   : map                                ? json_object()
                                                        : json_deep_copy(patch);
    int r = 0;

    if (!made)
        return no_memory(p->e);
    if (map)
        r = merge(p, made, patch);
    else if (ids)
        r = merge_by_id(p, made, patch);
    if (r < 0)
        json_decref(made);
    else
        *out = made;
    return r;
}

/* Recursion is bounded by the depth the parser takes. */
static int merge(struct patching *p, json_t *into, const json_t *patch)
{
    const char *key;
    json_t *v;

    json_object_foreach((json_t *)(uintptr_t)patch, key, v)
    {
        json_t *made = NULL;
        int r;

        if (json_is_null(v)) {
            (void)json_object_del(into, key);
            continue;
        }
        config_path_key(&p->path, view_str(key));
        r = merged(p, json_object_get(into, key), v, &made);
        config_path_pop(&p->path);
        if (r < 0)
            return r;
        if (json_object_set_new(into, key, made) < 0)
            return no_memory(p->e);
    }
    return 0;
}

static bool among(const json_t *list, const json_t *v, size_t i)
{
    struct view id = config_item_id(v);

    if (id.n)
        return config_item_by_id(list, id) != NULL;
    if (json_is_object(v) || json_is_array(v))
        return i < json_array_size(list); /* nothing tells them apart but their place */
    for (i = 0; i < json_array_size(list); i++)
        if (json_equal(json_array_get(list, i), v))
            return true;
    return false;
}

/* A client that saw a part of a list must not clobber the rest of it: what a patch takes out of
 * lists is named in replacePaths. to may be NULL. */
static int removals(struct patching *p, const json_t *from, const json_t *to)
{
    const char *key;
    json_t *v;
    int r = 0;

    if (json_is_array(from)) {
        size_t n = json_array_size(from), i = 0;
        char path[CONFIG_PATH_TEXT_MAX];

        if (replaced(p) || (to && json_equal(from, to)))
            return 0;
        while (i < n && n <= LIST_MAX && json_array_size(to) <= LIST_MAX && json_is_array(to) &&
               among(to, json_array_get(from, i), i))
            i++;
        if (json_is_array(to) && i == n) {
            for (i = 0; i < n && r == 0; i++) {
                struct view id = config_item_id(v = json_array_get(from, i));

                config_path_index(&p->path, i);
                r = removals(p, v, id.n ? config_item_by_id(to, id) : json_array_get(to, i));
                config_path_pop(&p->path);
            }
            return r;
        }
        config_path_text(&p->path, path);
        return err_set(p->e, ERR_DENIED,
                       "%s: the patch takes entries out of this list; name its path in "
                       "replacePaths if that is meant, or write the whole with config.apply",
                       path);
    }
    json_object_foreach((json_t *)(uintptr_t)from, key, v)
    {
        config_path_key(&p->path, view_str(key));
        r = removals(p, v, json_object_get(to, key));
        config_path_pop(&p->path);
        if (r < 0)
            return r;
    }
    return 0;
}

int config_merge(const json_t *from, const json_t *patch, struct view replace, json_t **out,
                 struct err *e)
{
    struct patching p = {.replace = replace, .e = e};
    json_t *doc = json_deep_copy(from);
    int r;

    if (!doc)
        return no_memory(e);
    if ((r = merge(&p, doc, patch)) == 0)
        r = removals(&p, from, doc);
    if (r < 0)
        json_decref(doc);
    else
        *out = doc;
    return r;
}
