/* channels/base/render_cost.c - what a rendered text takes of a platform's limit. */
#include "render.h"

size_t render_cost(enum channel_dialect d, enum channel_unit unit, struct view t)
{
    size_t cost = 0;

    for (size_t i = 0; i < t.n; i++) {
        unsigned char c = (unsigned char)t.p[i];

        if (d == DIALECT_HTML && c == '<') { /* a tag of ours: text has &lt; */
            while (i < t.n && t.p[i] != '>')
                i++;
            continue;
        }
        if (d == DIALECT_HTML && c == '&')
            while (i < t.n && t.p[i] != ';')
                i++;
        if (unit == UNIT_BYTES)
            cost++;
        else if ((c & 0xc0) != 0x80)
            cost += unit == UNIT_UTF16 && c >= 0xf0 ? 2 : 1;
    }
    return cost;
}
