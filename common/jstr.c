#include "jstr.h"

#include "rand.h"

int32_t jstr_hex4(const char *p)
{
    int32_t v = 0;

    for (int i = 0; i < 4; i++) {
        char c = p[i];

        if (c >= '0' && c <= '9')
            v = v * 16 + (c - '0');
        else if (c >= 'a' && c <= 'f')
            v = v * 16 + (c - 'a' + 10);
        else if (c >= 'A' && c <= 'F')
            v = v * 16 + (c - 'A' + 10);
        else
            return -1;
    }
    return v;
}

bool jstr_unit(const char *p, const char *end, uint32_t *out)
{
    int32_t v;

    if (end - p < 6 || p[0] != '\\' || p[1] != 'u' || (v = jstr_hex4(p + 2)) < 0)
        return false;
    *out = (uint32_t)v;
    return true;
}

size_t jstr_encode(uint32_t cp, char out[4])
{
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    if (cp < 0x800) {
        out[0] = (char)(0xc0 | cp >> 6);
        out[1] = (char)(0x80 | (cp & 0x3f));
        return 2;
    }
    if (cp < 0x10000) {
        out[0] = (char)(0xe0 | cp >> 12);
        out[1] = (char)(0x80 | (cp >> 6 & 0x3f));
        out[2] = (char)(0x80 | (cp & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | cp >> 18);
    out[1] = (char)(0x80 | (cp >> 12 & 0x3f));
    out[2] = (char)(0x80 | (cp >> 6 & 0x3f));
    out[3] = (char)(0x80 | (cp & 0x3f));
    return 4;
}

/* What the escape at p (a backslash) stands for, into out; *n = its bytes, never more than were
 * read. Returns what follows it. */
static const char *resolve(const char *p, const char *end, char out[4], size_t *n)
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    const char *at;
    uint32_t hi, lo;

    if (jstr_unit(p, end, &hi)) {
        p += 6;
        if (hi >= 0xd800 && hi < 0xdc00 && jstr_unit(p, end, &lo) && lo >= 0xdc00 && lo < 0xe000) {
            p += 6;
            hi = 0x10000 + ((hi - 0xd800) << 10) + (lo - 0xdc00);
        } else if (hi >= 0xd800 && hi < 0xe000) {
            hi = 0xfffd; /* checked text has none */
        }
        *n = jstr_encode(hi, out);
        return p;
    }
    *n = 1;
    out[0] = *p++;
    if (p == end)
        return p;
    at = *p ? strchr(from, *p) : NULL;
    out[0] = at ? to[at - from] : *p;
    return p + 1;
}

size_t jstr_text(struct view raw, char *out)
{
    const char *p = raw.p, *end = raw.n ? p + raw.n : p;
    char *o = out;

    while (p < end) {
        const char *esc = memchr(p, '\\', (size_t)(end - p));
        size_t n = (size_t)((esc ? esc : end) - p);

        memcpy(o, p, n);
        o += n;
        p += n;
        if (esc) {
            char c[4];

            p = resolve(p, end, c, &n);
            memcpy(o, c, n);
            o += n;
        }
    }
    return (size_t)(o - out);
}

/* Byte by byte over the text. */
struct cursor {
    const char *p, *end;
    char pending[4];
    size_t at, n;
};

static bool next_byte(struct cursor *c, uint8_t *out)
{
    if (c->at == c->n) {
        if (c->p == c->end)
            return false;
        c->at = 0;
        if (*c->p == '\\') {
            c->p = resolve(c->p, c->end, c->pending, &c->n);
        } else {
            c->pending[0] = *c->p++;
            c->n = 1;
        }
    }
    *out = (uint8_t)c->pending[c->at++];
    return true;
}

static struct cursor cursor_of(struct view raw)
{
    return (struct cursor){.p = raw.p, .end = raw.n ? raw.p + raw.n : raw.p};
}

bool jstr_eq(struct view a, struct view b)
{
    struct cursor x = cursor_of(a), y = cursor_of(b);
    uint8_t c = 0, d = 0;
    bool more, more2;

    do {
        more = next_byte(&x, &c);
        more2 = next_byte(&y, &d);
        if (more != more2 || (more && c != d))
            return false;
    } while (more);
    return true;
}

/* A polynomial over the field of 2^61-1: two texts of n words collide for at most n of all
 * multipliers. */
static const uint64_t PRIME = (UINT64_C(1) << 61) - 1;

static uint64_t mul_mod(uint64_t a, uint64_t b)
{
    unsigned __int128 x = (unsigned __int128)a * b;
    uint64_t r = (uint64_t)(x & PRIME) + (uint64_t)(x >> 61);

    return r >= PRIME ? r - PRIME : r;
}

void jstr_key_init(struct jstr_key *k)
{
    k->mul = rand_u64() % (PRIME - 2) + 1;
    k->mix = rand_u64() | 1;
}

uint32_t jstr_hash(const struct jstr_key *k, uint32_t salt, struct view raw)
{
    struct cursor c = cursor_of(raw);
    uint64_t h = mul_mod((uint64_t)salt + 1, k->mul), word = 0, len = 0;
    uint8_t byte;

    while (next_byte(&c, &byte)) {
        word = word << 8 | byte;
        if (++len % 7 == 0) { /* 56 bits: always below the prime */
            h = mul_mod(h + word, k->mul);
            word = 0;
        }
    }
    h = mul_mod(h + word, k->mul);
    h = mul_mod(h + len, k->mul);
    return (uint32_t)(h * k->mix >> 32);
}
