#include "render_entity.h"

#include "mem.h"

#include <stdint.h>

enum { ENTITY_MAX = 32 };

static size_t put_utf8(char out[4], uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

static bool number(struct view v, uint32_t *out)
{
    bool hex = v.n > 1 && (v.p[0] == 'x' || v.p[0] == 'X');
    uint32_t c = 0;

    if (hex)
        v = view_from(v, 1);
    if (v.n == 0 || v.n > 7)
        return false;
    for (size_t i = 0; i < v.n; i++) {
        char d = v.p[i];
        uint32_t digit = d >= '0' && d <= '9'   ? (uint32_t)(d - '0')
                         : d >= 'a' && d <= 'f' ? (uint32_t)(d - 'a' + 10)
                         : d >= 'A' && d <= 'F' ? (uint32_t)(d - 'A' + 10)
                                                : 99;

        if (digit >= (hex ? 16u : 10u))
            return false;
        c = c * (hex ? 16 : 10) + digit;
    }
    if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        c = 0xfffd;
    *out = c;
    return true;
}

size_t render_entity(struct view v, char out[4])
{
    static const struct {
        const char *name;
        uint32_t c;
    } known[] = {{"&amp;", '&'},       {"&lt;", '<'},      {"&gt;", '>'},       {"&quot;", '"'},
                 {"&apos;", '\''},     {"&nbsp;", 0xa0},   {"&mdash;", 0x2014}, {"&ndash;", 0x2013},
                 {"&hellip;", 0x2026}, {"&copy;", 0xa9},   {"&euro;", 0x20ac},  {"&deg;", 0xb0},
                 {"&rarr;", 0x2192},   {"&larr;", 0x2190}, {"&times;", 0xd7},   {"&bull;", 0x2022}};
    uint32_t c;

    for (size_t i = 0; i < COUNT_OF(known); i++)
        if (view_eq(v, view_str(known[i].name)))
            return put_utf8(out, known[i].c);
    if (v.n > 3 && v.n < ENTITY_MAX && v.p[1] == '#' && number(view_of(v.p + 2, v.n - 3), &c))
        return put_utf8(out, c);
    return 0;
}
