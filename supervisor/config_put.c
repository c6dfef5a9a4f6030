#include "config_put.h"

#include "json.h"

enum { SHORT = 60 }; /* characters of a map or list that stays on one line */

static void put_scalar(const json_t *v, struct buf *out)
{
    struct err e = ERR_INIT;

    if (json_dump(v, out, &e) < 0)
        out->failed = true;
}

void config_put_string(const struct config_hand *hand, struct view text, struct buf *out)
{
    json_t *v = json_stringn(text.p ? text.p : "", text.n);
    size_t at = out->n;

    if (!v)
        out->failed = true;
    else
        put_scalar(v, out);
    json_decref(v);
    if (out->failed || !hand->single)
        return;
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] == '\'' || text.p[i] == '"')
            return;
    out->p[out->off + at] = out->p[out->off + out->n - 1] = '\'';
}

static bool word(struct view name)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' ||
              (i && c >= '0' && c <= '9')))
            return false;
    }
    return name.n > 0;
}

void config_put_key(const struct config_hand *hand, struct view name, struct buf *out)
{
    if (hand->bare && word(name))
        buf_put_view(out, name);
    else
        config_put_string(hand, name, out);
    buf_put_str(out, ": ");
}

struct put {
    const struct config_hand *hand;
    struct view indent;
    unsigned deep;
    struct buf *out;
};

static void put_value(struct put *p, const json_t *v, bool flat);

static void put_break(const struct put *p)
{
    buf_put_char(p->out, '\n');
    buf_put_view(p->out, p->indent);
    for (unsigned i = 0; i < p->deep; i++)
        buf_put_str(p->out, p->hand->tabs ? "\t" : "  ");
}

/* What comes before the i-th part. */
static void put_gap(const struct put *p, size_t i, bool flat, bool map)
{
    if (i)
        buf_put_char(p->out, ',');
    if (!flat)
        put_break(p);
    else if (i || map)
        buf_put_char(p->out, ' ');
}

static void put_parts(struct put *p, const json_t *v, bool flat)
{
    bool map = json_is_object(v);
    const char *key;
    size_t i = 0;
    json_t *part;

    buf_put_char(p->out, map ? '{' : '[');
    p->deep++;
    json_object_foreach((json_t *)(uintptr_t)v, key, part)
    {
        put_gap(p, i++, flat, true);
        config_put_key(p->hand, view_str(key), p->out);
        put_value(p, part, flat);
    }
    for (; i < json_array_size(v); i++) {
        put_gap(p, i, flat, false);
        put_value(p, json_array_get(v, i), flat);
    }
    p->deep--;
    if (i && !flat)
        put_break(p);
    else if (i && map)
        buf_put_char(p->out, ' ');
    buf_put_char(p->out, map ? '}' : ']');
}

/* Recursion is bounded by the depth of what was parsed. A part is tried on one line at each of its
 * levels: levels times length, and both are small. */
static void put_value(struct put *p, const json_t *v, bool flat)
{
    size_t from = p->out->n;

    if (json_is_string(v)) {
        config_put_string(p->hand, json_view_of(v), p->out);
    } else if (!json_is_object(v) && !json_is_array(v)) {
        put_scalar(v, p->out);
    } else {
        put_parts(p, v, true);
        if (flat || p->out->failed || p->out->n - from <= SHORT)
            return;
        buf_cut(p->out, from);
        put_parts(p, v, false);
    }
}

void config_put(const struct config_hand *hand, const json_t *v, struct view indent, bool flat,
                struct buf *out)
{
    put_value(&(struct put){.hand = hand, .indent = indent, .out = out}, v, flat);
}
