#include "utf8.h"

/* Bounds of the byte after a lead byte (RFC 3629, section 4): they alone rule out overlong forms,
 * surrogates and what lies above U+10FFFF. */
static bool lead(struct utf8 *u, uint8_t c)
{
    u->lo = 0x80;
    u->hi = 0xbf;
    if (c < 0xc2 || c > 0xf4)
        return false;
    if (c < 0xe0) {
        u->need = 1;
    } else if (c < 0xf0) {
        u->need = 2;
        if (c == 0xe0)
            u->lo = 0xa0;
        else if (c == 0xed)
            u->hi = 0x9f;
    } else {
        u->need = 3;
        if (c == 0xf0)
            u->lo = 0x90;
        else if (c == 0xf4)
            u->hi = 0x8f;
    }
    return true;
}

static const uint8_t *skip_ascii(const uint8_t *p, const uint8_t *end)
{
    while (end - p >= 8) {
        uint64_t w;

        memcpy(&w, p, sizeof(w));
        if (w & UINT64_C(0x8080808080808080))
            break;
        p += 8;
    }
    while (p < end && *p < 0x80)
        p++;
    return p;
}

bool utf8_feed(struct utf8 *u, struct view piece)
{
    const uint8_t *p = (const uint8_t *)piece.p;
    const uint8_t *end = piece.n ? p + piece.n : p;

    while (p < end) {
        if (u->need) {
            if (*p < u->lo || *p > u->hi)
                return false;
            u->need--;
            u->lo = 0x80;
            u->hi = 0xbf;
            p++;
        } else if (*p < 0x80) {
            p = skip_ascii(p, end);
        } else if (!lead(u, *p++)) {
            return false;
        }
    }
    return true;
}

bool utf8_valid(struct view v)
{
    struct utf8 u = {0};

    return utf8_feed(&u, v) && utf8_done(&u);
}
