/*
 * jscan against jansson: both take a text or both refuse it, and the members are the same.
 * Where they differ knowingly: our limits (ERR_LIMIT); jansson takes no NUL in a key; and it drops
 * a raw NUL byte behind a number or word, where jscan refuses it.
 */
#include "jscan.h"
#include "json.h"
#include "mem.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void must(bool ok)
{
    if (!ok)
        abort();
}

/* The text of a string as jscan_unescape gives it; the caller frees. */
static struct view text_of(struct view raw)
{
    char *room = mem_alloc(raw.n);

    must(room != NULL);
    return view_of(room, jscan_unescape(raw, room));
}

static void same_member(const struct jscan_member *m, struct view text, json_t *doc)
{
    struct view raw_key = view_of(m->key.p - 1, m->key.n + 2); /* with its quotes */
    struct view key;
    struct err e = ERR_INIT;
    json_t *want, *got = NULL;

    must(m->key.p > text.p && m->value.p > m->key.p + m->key.n &&
         m->value.p + m->value.n < text.p + text.n);
    key = text_of(raw_key);
    want = json_object_getn(doc, key.p, key.n);
    must(want != NULL);
    must(jscan_check(m->value, &e) == 0);
    must(json_parse(m->value, &got, &e) == 0);
    must(json_equal(want, got));
    must((m->type == JSCAN_OBJECT) == json_is_object(got));
    must((m->type == JSCAN_ARRAY) == json_is_array(got));
    must((m->type == JSCAN_STRING) == json_is_string(got));
    must((m->type == JSCAN_NUMBER) == json_is_number(got));
    must((m->type == JSCAN_BOOL) == json_is_boolean(got));
    must((m->type == JSCAN_NULL) == json_is_null(got));
    if (m->type == JSCAN_STRING) {
        struct view t = text_of(m->value);

        must(view_eq(t, json_view_of(got)));
        must(m->plain == (memchr(m->value.p, '\\', m->value.n) == NULL));
        must(!m->plain || view_eq(t, view_of(m->value.p + 1, m->value.n - 2)));
        mem_free((void *)(uintptr_t)t.p);
    } else {
        must(!m->plain);
    }
    mem_free((void *)(uintptr_t)key.p);
    json_decref(got);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct jscan s;
    struct view text = view_of((const char *)data, n);
    struct err e = ERR_INIT, e2 = ERR_INIT, je = ERR_INIT;
    int r = jscan(text, &s, &e), r2 = jscan_check(text, &e2);
    json_t *doc = NULL;

    mem_free((void *)(uintptr_t)text_of(text).p); /* also bytes nobody checked stay in bounds */
    must(r == 0 || s.count == 0);
    must(r == r2 || r == ERR_LIMIT); /* only jscan counts the members of the outermost object */
    if (r2 == ERR_LIMIT)
        return 0;
    if (n && memchr(data, 0, n)) {
        must(r2 < 0);
        return 0;
    }
    if (json_parse(text, &doc, &je) < 0) {
        must(r2 < 0 || strstr(je.text, "NUL byte in object key"));
        return 0;
    }
    must(r2 == 0);
    if (r == 0 && s.type == JSCAN_OBJECT) {
        must(json_object_size(doc) == s.count);
        for (unsigned i = 0; i < s.count; i++)
            same_member(&s.member[i], text, doc);
        must(jscan_get(&s, V("id")) == NULL || json_object_get(doc, "id"));
    } else if (r == 0) {
        must(s.count == 0);
    }
    json_decref(doc);
    return 0;
}
