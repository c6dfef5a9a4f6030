#include "b64.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* Up to three bytes to as many digits as they need; how many. */
static size_t group(const unsigned char *p, size_t left, const char *set, char out[4])
{
    uint32_t bits = (uint32_t)p[0] << 16 | (left > 1 ? (uint32_t)p[1] << 8 : 0) |
                    (left > 2 ? (uint32_t)p[2] : 0);
    size_t n = left > 2 ? 4 : left + 1;

    for (size_t i = 0; i < n; i++)
        out[i] = set[bits >> (18 - 6 * i) & 63];
    return n;
}

void b64_put(struct buf *out, struct view bytes)
{
    const unsigned char *p = (const unsigned char *)bytes.p;
    size_t n = 0;
    char *room = buf_room(out, (bytes.n + 2) / 3 * 4);

    if (!room || bytes.n == 0)
        return;
    for (size_t i = 0; i < bytes.n; i += 3, n += 4) {
        room[n + 2] = room[n + 3] = '=';
        (void)group(p + i, bytes.n - i, digits, room + n);
    }
    buf_added(out, n);
}

void b64url(const unsigned char *p, size_t n, char *out)
{
    for (size_t i = 0; i < n; i += 3)
        out += group(p + i, n - i, url_digits, out);
    *out = '\0';
}

/* Values of digits, 64 and more: none. */
static void make_values(unsigned char value[256])
{
    memset(value, 0xff, 256);
    for (unsigned char i = 0; i < 64; i++)
        value[(unsigned char)digits[i]] = i;
}

bool b64_get(struct view text, struct buf *out)
{
    unsigned char value[256], *room;
    const unsigned char *p = (const unsigned char *)text.p;
    size_t pad = text.n >= 2 && p[text.n - 1] == '=' ? 1u + (p[text.n - 2] == '=') : 0, n = 0, i;

    if (text.n % 4)
        return false;
    if (text.n == 0)
        return true;
    if (!(room = (unsigned char *)buf_room(out, text.n / 4 * 3)))
        return false;
    make_values(value);
    for (i = 0; i < text.n; i += 4) {
        bool last = i + 4 == text.n;
        unsigned a = value[p[i]], b = value[p[i + 1]],
                 c = last && pad == 2 ? 0 : (unsigned)value[p[i + 2]],
                 d = last && pad ? 0 : (unsigned)value[p[i + 3]];

        if ((a | b | c | d) > 63)
            return false;
        room[n++] = (unsigned char)(a << 2 | b >> 4);
        room[n++] = (unsigned char)(b << 4 | c >> 2);
        room[n++] = (unsigned char)(c << 6 | d);
    }
    buf_added(out, n - pad);
    return true;
}
