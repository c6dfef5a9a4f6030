#include "deliver_split.h"

#include <endian.h>

static bool blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static bool inside(char c) /* of a character of several bytes */
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* Where the first part of text ends: 0 < n <= limit. */
static size_t cut(struct view text, size_t limit)
{
    size_t n, space = 0;

    if (text.n <= limit)
        return text.n;
    for (n = limit; n > 0; n--) {
        if (text.p[n] == '\n')
            return n;
        if (!space && blank(text.p[n]))
            space = n;
    }
    if (space)
        return space;
    for (n = limit; n > 1 && inside(text.p[n]); n--)
        ;
    return n > 1 ? n : limit; /* not UTF-8: anywhere */
}

int deliver_split(struct view text, size_t limit, struct buf *body, uint32_t *ret_parts,
                  struct err *e)
{
    uint32_t parts = 0;

    if (limit < DELIVER_PART_MIN)
        limit = DELIVER_PART_MIN;
    for (text = view_trim(text); text.n; text = view_trim(text)) {
        size_t n = cut(text, limit);
        struct view part = view_trim(view_of(text.p, n));
        uint32_t le = htole32((uint32_t)part.n);

        if (parts == DELIVER_PARTS_MAX)
            return err_set(e, ERR_LIMIT, "more than %d parts", (int)DELIVER_PARTS_MAX);
        buf_put(body, &le, sizeof(le));
        buf_put_view(body, part);
        parts++;
        text = view_from(text, n);
    }
    *ret_parts = parts;
    return buf_check(body, e);
}

bool deliver_part(struct view body, uint32_t i, struct view *out)
{
    for (;; i--) {
        uint32_t n;

        if (body.n < sizeof(n))
            return false;
        memcpy(&n, body.p, sizeof(n));
        n = le32toh(n);
        body = view_from(body, sizeof(n));
        if (n > body.n)
            return false;
        if (i == 0) {
            *out = view_of(body.p, n);
            return true;
        }
        body = view_from(body, n);
    }
}
