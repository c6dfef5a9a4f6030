#include "json5.h"

#include "j5lex.h"
#include "mem.h"

static int parse_value(struct j5lex *s, json_t **out) MUST_USE;

static int parse_word(struct j5lex *s, json_t **out)
{
    const char *from = s->p;
    struct view w;

    while (s->p < s->end && j5lex_in_name(s, s->p, s->p == from))
        s->p++;
    w = view_of(from, (size_t)(s->p - from));
    if (view_eq(w, V("null")))
        *out = json_null();
    else if (view_eq(w, V("true")))
        *out = json_true();
    else if (view_eq(w, V("false")))
        *out = json_false();
    else
        return j5lex_fail(s, from,
                          view_eq(w, V("Infinity")) || view_eq(w, V("NaN"))
                              ? "Infinity and NaN are not taken"
                              : "expected a value (strings need quotes)");
    return 0;
}

/* key: value, into obj. */
static int parse_member(struct j5lex *s, json_t *obj)
{
    const char *from = s->p;
    json_t *value = NULL;
    struct view key;
    char *name;
    int r;

    if ((r = j5lex_key(s)) < 0)
        return r;
    key = buf_view(&s->str);
    if (json_object_getn(obj, key.p, key.n))
        return j5lex_fail(s, from, "the key is there already");
    name = mem_dup(key.p, key.n); /* s->str serves the value next */
    if (!name)
        return j5lex_no_memory(s);
    if ((r = j5lex_space(s)) < 0)
        goto out;
    if (!j5lex_at(s, ':')) {
        r = j5lex_fail(s, s->p, "expected ':' after key");
        goto out;
    }
    s->p++;
    if ((r = parse_value(s, &value)) < 0)
        goto out;
    if (json_object_setn_new(obj, name, key.n, value) < 0)
        r = j5lex_no_memory(s);
out:
    mem_free(name);
    return r;
}

static int parse_element(struct j5lex *s, json_t *arr)
{
    json_t *value = NULL;
    int r = parse_value(s, &value);

    if (r == 0 && json_array_append_new(arr, value) < 0)
        r = j5lex_no_memory(s);
    return r;
}

/* Members or elements into doc, s->p behind the opening bracket. */
static int parse_items(struct j5lex *s, json_t *doc)
{
    bool object = json_is_object(doc);
    char closing = object ? '}' : ']';
    int r;

    for (;;) {
        if ((r = j5lex_space(s)) < 0)
            return r;
        if (j5lex_at(s, closing))
            break;
        if (s->p == s->end)
            return j5lex_fail(s, s->p,
                              object ? "expected a key or '}'" : "expected a value or ']'");
        r = object ? parse_member(s, doc) : parse_element(s, doc);
        if (r < 0 || (r = j5lex_space(s)) < 0)
            return r;
        if (j5lex_at(s, closing))
            break;
        if (!j5lex_at(s, ','))
            return j5lex_fail(s, s->p, object ? "expected ',' or '}'" : "expected ',' or ']'");
        s->p++;
    }
    s->p++;
    return 0;
}

static int parse_container(struct j5lex *s, json_t **out)
{
    json_t *doc;
    int r;

    if (s->depth == JSON5_DEPTH_MAX)
        return j5lex_fail_code(s, s->p, ERR_LIMIT, "more than 64 levels");
    doc = *s->p++ == '{' ? json_object() : json_array();
    if (!doc)
        return j5lex_no_memory(s);
    s->depth++;
    r = parse_items(s, doc);
    s->depth--;
    if (r < 0)
        json_decref(doc);
    else
        *out = doc;
    return r;
}

static int parse_string(struct j5lex *s, json_t **out)
{
    int r = j5lex_quoted(s);

    if (r < 0)
        return r;
    *out = json_stringn(buf_view(&s->str).p, s->str.n);
    return *out ? 0 : j5lex_no_memory(s);
}

/* Recursion is bounded by JSON5_DEPTH_MAX. */
static int parse_value(struct j5lex *s, json_t **out)
{
    int r = j5lex_space(s);

    if (r < 0)
        return r;
    if (s->p == s->end)
        return j5lex_fail(s, s->p, "expected a value");
    switch (*s->p) {
    case '{':
    case '[':
        return parse_container(s, out);
    case '"':
    case '\'':
        return parse_string(s, out);
    default:
        return (*s->p >= '0' && *s->p <= '9') || strchr("+-.", *s->p) ? j5lex_number(s, out)
                                                                      : parse_word(s, out);
    }
}

int json5_parse(struct view text, json_t **out, struct err *e)
{
    struct j5lex s = {.text = text.p, .p = text.p, .end = text.p, .e = e};
    json_t *doc = NULL;
    int r;

    if (text.n > JSON5_TEXT_MAX)
        return err_set(e, ERR_LIMIT, "%zu bytes, limit %d", text.n, JSON5_TEXT_MAX);
    if (text.n)
        s.end = text.p + text.n;
    buf_init(&s.str, (size_t)JSON5_TEXT_MAX + 16); /* ".5" is kept as "0.5" */
    s.str.secret = true;                           /* configurations hold tokens */
    if ((r = j5lex_utf8(&s)) < 0 || (r = parse_value(&s, &doc)) < 0 || (r = j5lex_space(&s)) < 0)
        goto out;
    if (s.p < s.end)
        r = j5lex_fail(&s, s.p, "unexpected text after the value");
    else
        *out = TAKE(doc);
out:
    json_decref(doc);
    buf_fini(&s.str);
    return r;
}
