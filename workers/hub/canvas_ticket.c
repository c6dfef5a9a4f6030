/* workers/hub/canvas_ticket.c - what stands in a canvas's address instead of a secret (canvas.h).
 * Nothing is kept of it: it says whose it is and until when, under the key of this start. */
#include "b64.h"
#include "canvas.h"
#include "secret.h"

enum { BODY = 14, SEAL = 16, ALL = BODY + SEAL };
_Static_assert(B64URL_LEN(ALL) == CANVAS_TICKET_LEN, "length of a ticket");

static void put(unsigned char *p, uint64_t v, unsigned n)
{
    while (n--)
        *p++ = (unsigned char)(v >> (8 * n));
}

static uint64_t get(const unsigned char *p, unsigned n)
{
    uint64_t v = 0;

    while (n--)
        v = v << 8 | *p++;
    return v;
}

/* The word keeps it apart from everything else that this key seals. */
static int seal_of(struct mac *key, const unsigned char body[BODY], unsigned char out[MAC_BYTES],
                   struct err *e)
{
    static const char word[] = "canvas ticket";
    char text[sizeof(word) + BODY];

    memcpy(text, word, sizeof(word));
    memcpy(text + sizeof(word), body, BODY);
    return mac_of(key, view_of(text, sizeof(text)), out, e);
}

int canvas_ticket_seal(struct mac *key, const struct canvas_ticket *t,
                       char out[CANVAS_TICKET_LEN + 1], struct err *e)
{
    unsigned char all[ALL], sum[MAC_BYTES];
    int r;

    put(all, t->front, 2);
    put(all + 2, t->conn_id, 8);
    put(all + 10, t->until_s, 4);
    if ((r = seal_of(key, all, sum, e)) < 0)
        return r;
    memcpy(all + BODY, sum, SEAL);
    b64url(all, ALL, out);
    return 0;
}

static int digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

static bool decode(struct view text, unsigned char out[ALL])
{
    uint32_t bits = 0;
    unsigned have = 0, n = 0;

    if (text.n != CANVAS_TICKET_LEN)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        int d = digit(text.p[i]);

        if (d < 0)
            return false;
        bits = bits << 6 | (uint32_t)d;
        if ((have += 6) >= 8) {
            have -= 8;
            out[n++] = (unsigned char)(bits >> have);
        }
    }
    return n == ALL;
}

bool canvas_ticket_open(struct mac *key, struct view text, struct canvas_ticket *out)
{
    unsigned char all[ALL], sum[MAC_BYTES];
    struct err e = ERR_INIT;

    if (!decode(text, all) || seal_of(key, all, sum, &e) < 0 || !secret_same(all + BODY, sum, SEAL))
        return false;
    *out = (struct canvas_ticket){.front = (uint32_t)get(all, 2),
                                  .conn_id = get(all + 2, 8),
                                  .until_s = (uint32_t)get(all + 10, 4)};
    return true;
}
