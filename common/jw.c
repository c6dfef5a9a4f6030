#include "jw.h"

#include <math.h>
#include <stdio.h>

static void before(struct jw *w)
{
    if (w->after_key) {
        w->after_key = false;
        return;
    }
    if (w->has_item & (1u << w->depth))
        buf_put_char(w->b, ',');
    w->has_item |= 1u << w->depth;
}

static void open_level(struct jw *w, char c)
{
    before(w);
    buf_put_char(w->b, c);
    if (w->depth + 1 >= JW_DEPTH_MAX) {
        w->b->failed = true; /* our own bug, still no harm */
        return;
    }
    w->depth++;
    w->has_item &= ~(1u << w->depth);
}

static void close_level(struct jw *w, char c)
{
    if (w->depth)
        w->depth--;
    buf_put_char(w->b, c);
}

void jw_obj(struct jw *w)
{
    open_level(w, '{');
}

void jw_obj_end(struct jw *w)
{
    close_level(w, '}');
}

void jw_arr(struct jw *w)
{
    open_level(w, '[');
}

void jw_arr_end(struct jw *w)
{
    close_level(w, ']');
}

void jw_key(struct jw *w, const char *key)
{
    size_t n = strlen(key);
    char *to;

    before(w);
    to = buf_room(w->b, n + 3);
    if (to) {
        to[0] = '"';
        /* NOLINTNEXTLINE(bugprone-not-null-terminated-result): a buffer of known length */
        memcpy(to + 1, key, n);
        to[n + 1] = '"';
        to[n + 2] = ':';
        buf_added(w->b, n + 3);
    }
    w->after_key = true;
}

void jw_key_view(struct jw *w, struct view key)
{
    jw_str(w, key);
    buf_put_char(w->b, ':');
    w->after_key = true;
}

/* Length of the valid UTF-8 sequence at p (n bytes left), or 0. RFC 3629: no overlong forms, no
 * surrogates. */
static size_t utf8_len(const unsigned char *p, size_t n)
{
    unsigned char c = p[0];
    size_t len;
    unsigned lo = 0x80, hi = 0xbf;

    if (c >= 0xc2 && c <= 0xdf)
        len = 2;
    else if (c >= 0xe0 && c <= 0xef) {
        len = 3;
        lo = c == 0xe0 ? 0xa0 : 0x80;
        hi = c == 0xed ? 0x9f : 0xbf;
    } else if (c >= 0xf0 && c <= 0xf4) {
        len = 4;
        lo = c == 0xf0 ? 0x90 : 0x80;
        hi = c == 0xf4 ? 0x8f : 0xbf;
    } else
        return 0;
    if (len > n || p[1] < lo || p[1] > hi)
        return 0;
    for (size_t i = 2; i < len; i++)
        if (p[i] < 0x80 || p[i] > 0xbf)
            return 0;
    return len;
}

/* Not written as they are: quotes, backslash, controls, and everything from 0x7f up (looked at more
 * closely). */
static const unsigned char plain[256] = {
    [0x20] = 1,
    [0x21] = 1,
    [0x23 ... 0x5b] = 1,
    [0x5d ... 0x7e] = 1,
};

bool jw_is_plain(struct view v)
{
    unsigned odd = 0;

    for (size_t i = 0; i < v.n; i++) {
        unsigned char c = (unsigned char)v.p[i];

        odd |= (unsigned)(c < 0x20) | (unsigned)(c >= 0x7f) | (unsigned)(c == '"') |
               (unsigned)(c == '\\');
    }
    return odd == 0;
}

void jw_escape(struct buf *b, struct view v)
{
    const unsigned char *p = (const unsigned char *)v.p;
    size_t i = 0, from = 0;

    while (i < v.n) {
        size_t len;
        char t[8];
        int n;

        if (plain[p[i]]) {
            i++;
            continue;
        }
        if (p[i] >= 0x80 && (len = utf8_len(p + i, v.n - i)) > 0) {
            i += len;
            continue;
        }
        buf_put(b, v.p + from, i - from);
        switch (p[i]) {
        case '"':
            buf_put(b, "\\\"", 2);
            break;
        case '\\':
            buf_put(b, "\\\\", 2);
            break;
        case '\n':
            buf_put(b, "\\n", 2);
            break;
        case '\r':
            buf_put(b, "\\r", 2);
            break;
        case '\t':
            buf_put(b, "\\t", 2);
            break;
        default:
            if (p[i] >= 0x80) {
                buf_put(b, "\xef\xbf\xbd", 3);
            } else {
                n = snprintf(t, sizeof(t), "\\u%04x", p[i]);
                buf_put(b, t, (size_t)n);
            }
        }
        from = ++i;
    }
    buf_put(b, v.p + from, v.n - from);
}

void jw_str(struct jw *w, struct view v)
{
    before(w);
    buf_put_char(w->b, '"');
    jw_escape(w->b, v);
    buf_put_char(w->b, '"');
}

void jw_str_open(struct jw *w)
{
    before(w);
    buf_put_char(w->b, '"');
}

void jw_str_close(struct jw *w)
{
    buf_put_char(w->b, '"');
}

void jw_cstr(struct jw *w, const char *s)
{
    jw_str(w, view_str(s));
}

void jw_u64(struct jw *w, uint64_t v)
{
    before(w);
    buf_put_u64(w->b, v);
}

void jw_i64(struct jw *w, int64_t v)
{
    before(w);
    buf_put_i64(w->b, v);
}

void jw_dbl(struct jw *w, double v)
{
    before(w);
    if (!isfinite(v))
        buf_put_str(w->b, "null");
    else
        buf_printf(w->b, "%.17g", v);
}

void jw_bool(struct jw *w, bool v)
{
    before(w);
    buf_put_str(w->b, v ? "true" : "false");
}

void jw_null(struct jw *w)
{
    before(w);
    buf_put_str(w->b, "null");
}

void jw_raw(struct jw *w, struct view json)
{
    before(w);
    buf_put_view(w->b, json);
}

void jw_kstr(struct jw *w, const char *key, struct view v)
{
    jw_key(w, key);
    jw_str(w, v);
}

void jw_kcstr(struct jw *w, const char *key, const char *s)
{
    jw_key(w, key);
    jw_cstr(w, s);
}

void jw_ku64(struct jw *w, const char *key, uint64_t v)
{
    jw_key(w, key);
    jw_u64(w, v);
}

void jw_ki64(struct jw *w, const char *key, int64_t v)
{
    jw_key(w, key);
    jw_i64(w, v);
}

void jw_kbool(struct jw *w, const char *key, bool v)
{
    jw_key(w, key);
    jw_bool(w, v);
}

void jw_kraw(struct jw *w, const char *key, struct view json)
{
    jw_key(w, key);
    jw_raw(w, json);
}
