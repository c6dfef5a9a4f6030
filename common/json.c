#include "json.h"

#include "mem.h"

#include <malloc.h>
#include <stddef.h>
#include <stdio.h>

/* jansson (2.14) is not to be trusted without memory: there is an allocation whose failure it
 * follows into NULL, and one after which it returns a document that lacks a text. So while a text
 * is read a failure is noted, it gets a little memory all the same, and the document is thrown
 * away. */
enum { SPARE_BYTES = 16 * 1024 };

static _Alignas(max_align_t) char spare[SPARE_BYTES];
static size_t spare_used;
static bool parsing, starved, wiping, ours;

static bool is_spare(const void *p)
{
    return (const char *)p >= spare && (const char *)p < spare + SPARE_BYTES;
}

static void *take(size_t n)
{
    void *p = mem_realloc(NULL, n);

    if (p || !parsing)
        return p;
    starved = true;
    n = (n + _Alignof(max_align_t) - 1) / _Alignof(max_align_t) * _Alignof(max_align_t);
    if (n > SPARE_BYTES - spare_used)
        return NULL;
    p = spare + spare_used;
    spare_used += n;
    return p;
}

static void give(void *p)
{
    if (!p || is_spare(p))
        return;
    if (wiping)
        mem_wipe(p, malloc_usable_size(p));
    mem_free(p);
}

static void own_memory(void)
{
    if (!ours)
        json_set_alloc_funcs(take, give);
    ours = true;
}

void json_wiping(bool on)
{
    own_memory();
    wiping = on;
}

int json_parse(struct view text, json_t **out, struct err *e)
{
    json_error_t je;
    json_t *doc;

    if (text.n && memchr(text.p, 0, text.n)) /* jansson passes over one behind a number or word */
        return err_set(e, ERR_INVALID, "JSON: holds a NUL byte");
    own_memory();
    parsing = true;
    starved = false;
    doc =
        json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &je);
    parsing = false;
    if (starved) {
        json_decref(doc);
        mem_wipe(spare, spare_used);
        spare_used = 0;
        return err_set(e, ERR_NOMEM, "JSON: no memory to read it");
    }
    if (!doc)
        return err_set(e, ERR_INVALID, "JSON: line %d, column %d: %s", je.line, je.column, je.text);
    *out = doc;
    return 0;
}

static int dump_part(const char *p, size_t n, void *ctx)
{
    struct buf *b = ctx;

    buf_put(b, p, n);
    return b->failed ? -1 : 0;
}

int json_dump(const json_t *doc, struct buf *b, struct err *e)
{
    if (json_dump_callback(doc, dump_part, b, JSON_COMPACT | JSON_ENCODE_ANY) < 0)
        return b->failed ? buf_check(b, e) : err_set(e, ERR_NOMEM, "cannot write JSON");
    return 0;
}

struct view json_view_of(const json_t *string)
{
    return json_is_string(string) ? view_of(json_string_value(string), json_string_length(string))
                                  : VIEW_EMPTY;
}

struct view json_view(const json_t *obj, const char *key)
{
    return json_view_of(json_object_get(obj, key));
}

int64_t json_i64(const json_t *obj, const char *key, int64_t fallback)
{
    const json_t *v = json_object_get(obj, key);

    return json_is_integer(v) ? (int64_t)json_integer_value(v) : fallback;
}

bool json_flag(const json_t *obj, const char *key, bool fallback)
{
    const json_t *v = json_object_get(obj, key);

    return json_is_boolean(v) ? json_is_true(v) : fallback;
}

enum { PATH_PART_MAX = 128 };

/* The next part of a dotted path into part; returns what follows the dot, NULL at the end or when
 * it is too long. */
static const char *next_part(const char *path, char part[PATH_PART_MAX])
{
    size_t n = strcspn(path, ".");

    (void)snprintf(part, PATH_PART_MAX, "%.*s", (int)n, path);
    return path[n] ? path + n + 1 : NULL;
}

json_t *json_at(const json_t *obj, const char *dotted)
{
    char part[PATH_PART_MAX];
    json_t *at = NULL;

    while (dotted) {
        dotted = next_part(dotted, part);
        at = json_object_get(at ? at : obj, part);
        if (!at)
            return NULL;
    }
    return at;
}

int json_set_at(json_t *obj, const char *dotted, json_t *value, struct err *e)
{
    char part[PATH_PART_MAX];

    if (!value)
        return err_set(e, ERR_NOMEM, "out of memory for %s", dotted);
    for (;;) {
        json_t *next;

        dotted = next_part(dotted, part);
        if (!dotted)
            break;
        next = json_object_get(obj, part);
        if (!json_is_object(next)) {
            next = json_object();
            if (!next || json_object_set_new(obj, part, next) < 0) {
                json_decref(value);
                return err_set(e, ERR_NOMEM, "out of memory for %s", part);
            }
        }
        obj = next;
    }
    if (json_object_set_new(obj, part, value) < 0)
        return err_set(e, ERR_NOMEM, "out of memory for %s", part);
    return 0;
}
