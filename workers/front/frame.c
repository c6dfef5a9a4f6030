#include "frame.h"

#include "jscan.h"

enum { COMPLAINTS_MAX = 8 };

struct complaints {
    struct buf *why;
    unsigned n;
};

static void complain(struct complaints *c, const char *head, struct view name, const char *tail)
{
    if (c->n++ >= COMPLAINTS_MAX)
        return;
    buf_put_str(c->why, c->n == 1 ? "invalid request frame: " : "; ");
    buf_put_str(c->why, head);
    buf_put_view(c->why, view_of(name.p, name.n < 64 ? name.n : 64));
    buf_put_str(c->why, tail);
}

static const char *const known[] = {"type",   "id",          "method",
                                    "params", "traceparent", "expectedProfileId"};

static bool is_known(struct view key)
{
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
        if (view_eq(key, view_str(known[i])))
            return true;
    return false;
}

/* Characters of a raw string: an escape counts as one, continuation bytes as none. */
static size_t characters(struct view raw)
{
    size_t count = 0;

    for (size_t i = 1; i + 1 < raw.n; count++) {
        if (raw.p[i] == '\\')
            i += raw.p[i + 1] == 'u' ? 6 : 2;
        else
            for (i++; i + 1 < raw.n && ((unsigned char)raw.p[i] & 0xc0) == 0x80;)
                i++;
    }
    return count;
}

static struct view inner(const struct jscan_member *m)
{
    return view_of(m->value.p + 1, m->value.n - 2);
}

static void check_type(struct complaints *c, const struct jscan_member *m)
{
    if (m && (m->type != JSCAN_STRING || !m->plain || !view_eq(inner(m), V("req"))))
        complain(c, "at /type: must be equal to constant", VIEW_EMPTY, "");
}

/* After hello the gateway whose behaviour we follow echoes a number as it came, although it refuses
 * the frame (protocol reference, 13). */
static void check_id(struct complaints *c, const struct jscan_member *m, struct frame *out)
{
    if (!m)
        return;
    if (m->value.n > FRAME_ID_MAX + 2) {
        complain(c, "at /id: must not have more than 1024 characters", VIEW_EMPTY, "");
        return;
    }
    if (m->type == JSCAN_STRING || m->type == JSCAN_NUMBER)
        out->id = m->value;
    if (m->type != JSCAN_STRING)
        complain(c, "at /id: must be string", VIEW_EMPTY, "");
    else if (m->value.n == 2)
        complain(c, "at /id: must not have fewer than 1 characters", VIEW_EMPTY, "");
}

static void check_method(struct complaints *c, const struct jscan_member *m, struct frame *out)
{
    if (!m)
        return;
    if (m->type != JSCAN_STRING) {
        complain(c, "at /method: must be string", VIEW_EMPTY, "");
        return;
    }
    if (m->value.n == 2) {
        complain(c, "at /method: must not have fewer than 1 characters", VIEW_EMPTY, "");
        return;
    }
    if (m->value.n - 2 > FRAME_METHOD_MAX) {
        complain(c, "at /method: must not have more than 128 characters", VIEW_EMPTY, "");
        return;
    }
    out->method = inner(m);
    if (!m->plain)
        out->method = view_of(out->room, jscan_unescape(m->value, out->room));
    if (view_find(out->method, '\0') != out->method.n) /* names travel as text without NUL */
        complain(c, "at /method: must match pattern \"^[^\\u0000]+$\"", VIEW_EMPTY, "");
}

static void check_text(struct complaints *c, const struct jscan_member *m, const char *name,
                       size_t max, bool not_empty, struct view *out)
{
    if (!m)
        return;
    if (m->type != JSCAN_STRING)
        complain(c, "at /", view_str(name), ": must be string");
    else if (not_empty && m->value.n == 2)
        complain(c, "at /", view_str(name), ": must not have fewer than 1 characters");
    else if (characters(m->value) > max)
        complain(c, "at /", view_str(name), ": must not have more than 128 characters");
    else if (out)
        *out = m->value;
}

static bool empty_object(const struct jscan_member *m)
{
    if (!m || m->type == JSCAN_NULL)
        return true;
    if (m->type != JSCAN_OBJECT)
        return false;
    return view_trim(inner(m)).n == 0;
}

enum frame_kind frame_parse(struct view text, struct frame *out, struct buf *why)
{
    const struct jscan_member *type, *id, *method, *params;
    struct complaints c = {.why = why};
    struct err e = ERR_INIT;
    __attribute__((uninitialized)) struct jscan s; /* 2 KiB that jscan fills as far as it counts */
    int r;

    out->id = V("\"invalid\"");
    out->method = out->params = out->profile = out->trace = VIEW_EMPTY;
    r = jscan(text, &s, &e);
    if (r < 0) {
        text = view_trim(text);
        if ((r == ERR_INVALID && !s.ambiguous) || text.n == 0 ||
            (text.p[text.n - 1] != '}' && text.p[text.n - 1] != ']'))
            return FRAME_GARBAGE;
        complain(&c, e.text, VIEW_EMPTY, ""); /* whoever wrote that wants to know */
        return FRAME_BROKEN;
    }
    if (s.type != JSCAN_OBJECT) {
        complain(&c, "must be object", VIEW_EMPTY, "");
        return FRAME_INVALID;
    }
    type = jscan_get(&s, V("type"));
    id = jscan_get(&s, V("id"));
    method = jscan_get(&s, V("method"));
    params = jscan_get(&s, V("params"));
    if (!type || !id || !method)
        complain(&c, "must have required property '",
                 !type ? V("type")
                 : !id ? V("id")
                       : V("method"),
                 "'");
    for (unsigned i = 0; i < s.count; i++)
        if (!is_known(s.member[i].key))
            complain(&c, "at root: unexpected property '", s.member[i].key, "'");
    check_type(&c, type);
    check_id(&c, id, out);
    check_method(&c, method, out);
    check_text(&c, jscan_get(&s, V("traceparent")), "traceparent", FRAME_TRACE_MAX, false,
               &out->trace);
    check_text(&c, jscan_get(&s, V("expectedProfileId")), "expectedProfileId", FRAME_PROFILE_MAX,
               true, &out->profile);
    if (params)
        out->params = params->value;
    out->no_params = empty_object(params);
    return c.n ? FRAME_INVALID : FRAME_REQUEST;
}
