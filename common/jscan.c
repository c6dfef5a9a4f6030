#include "jscan.h"

#include "jkeys.h"
#include "mem.h"
#include "utf8.h"

#include <endian.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct level {
    struct jkeys_object keys;
    bool object;
};

struct scan {
    const char *text, *end;
    struct jscan *out; /* NULL: nobody wants the members */
    struct err *e;
    unsigned depth;
    unsigned left; /* members and elements still allowed */
    bool escaped;  /* the string scanned last has escapes */
    struct level level[JSCAN_DEPTH_MAX];
    struct jkeys keys;
};
_Static_assert((int)JSCAN_DEPTH_MAX <= (int)JKEYS_LEVELS_MAX, "every open object has its keys");

__attribute__((cold, noinline)) static const char *fail(struct scan *s, const char *p,
                                                        const char *what)
{
    (void)err_set(s->e, ERR_INVALID, "JSON: byte %zu: %s", (size_t)(p - s->text), what);
    return NULL;
}

/* As fail, for what the grammar allows and we do not: other readers would differ about its meaning.
 */
__attribute__((cold, noinline)) static const char *ambiguous(struct scan *s, const char *p,
                                                             const char *what)
{
    if (s->out)
        s->out->ambiguous = true;
    return fail(s, p, what);
}

__attribute__((cold, noinline)) static const char *limit(struct scan *s, const char *p,
                                                         const char *what, unsigned max)
{
    (void)err_set(s->e, ERR_LIMIT, "JSON: byte %zu: more than %u %s", (size_t)(p - s->text), max,
                  what);
    return NULL;
}

static inline const char *skip_space(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
        p++;
    return p;
}

static inline bool is_digit(const char *p, const char *end)
{
    return p < end && *p >= '0' && *p <= '9';
}

/* What a byte is inside a string. */
enum { PLAIN, QUOTE, ESCAPE, CONTROL, HIGH };
static const uint8_t string_class[256] = {
    [0 ... 0x1f] = CONTROL, ['"'] = QUOTE, ['\\'] = ESCAPE, [0x80 ... 0xff] = HIGH};

static const uint64_t ONES = UINT64_C(0x0101010101010101);
static const uint64_t TOPS = UINT64_C(0x8080808080808080);

/* The first byte from p on that is not PLAIN; 8 at a time while there are 8. A borrow can mark a
 * byte wrongly, but only behind one that is marked rightly, and the first is what counts. */
static inline const char *skip_plain(const char *p, const char *end)
{
    while (end - p >= 8) {
        uint64_t w, q, b, mark;

        memcpy(&w, p, sizeof(w));
        w = le64toh(w);
        q = w ^ ONES * '"';
        b = w ^ ONES * '\\';
        mark = (w | ((w - ONES * 0x20) & ~w) | ((q - ONES) & ~q) | ((b - ONES) & ~b)) & TOPS;
        if (mark)
            return p + (__builtin_ctzll(mark) >> 3);
        p += 8;
    }
    while (p < end && string_class[(uint8_t)*p] == PLAIN)
        p++;
    return p;
}

/* p is at a backslash. */
static const char *scan_escape(struct scan *s, const char *p)
{
    uint32_t hi, lo;

    s->escaped = true;
    if (p + 1 < s->end && p[1] != 'u' && p[1] && strchr("\"\\/bfnrt", p[1]))
        return p + 2;
    if (!jstr_unit(p, s->end, &hi))
        return fail(s, p, "not an escape");
    if (hi < 0xd800 || hi > 0xdfff)
        return p + 6;
    if (hi > 0xdbff || !jstr_unit(p + 6, s->end, &lo) || lo < 0xdc00 || lo > 0xdfff)
        return ambiguous(s, p, "half of a surrogate pair");
    return p + 12;
}

/* Bytes above 0x7f up to the next ASCII byte: whole code points or invalid. */
static const char *scan_high(struct scan *s, const char *p)
{
    const char *from = p;

    while (p < s->end && (*p & 0x80))
        p++;
    if (!utf8_valid(view_of(from, (size_t)(p - from))))
        return fail(s, from, "not UTF-8");
    return p;
}

/* p is behind the opening quote; returns the closing one. */
static inline const char *scan_string(struct scan *s, const char *p)
{
    s->escaped = false;
    while (p) {
        p = skip_plain(p, s->end);
        if (p == s->end)
            return fail(s, p, "the string has no end");
        switch (string_class[(uint8_t)*p]) {
        case QUOTE:
            return p;
        case ESCAPE:
            p = scan_escape(s, p);
            break;
        case HIGH:
            p = scan_high(s, p);
            break;
        default:
            return fail(s, p, "control character in a string");
        }
    }
    return NULL;
}

/* 10^308 < DBL_MAX < 10^309, and the point from which numbers round up to infinity has 309 digits:
 * a copy of so many digits, with a last 1 for whatever follows, is on the same side of it. */
enum { DOUBLE_EXP_MAX = 308, DIGITS_MAX = 320 };
static const int64_t EXP_CAP = INT64_C(1) << 40; /* larger than any text is long */

/* Whether the digits from p to end (with at most one point) times 10^exp are above a double. */
static bool overflows(const char *p, const char *end, int64_t exp)
{
    const char *point = memchr(p, '.', (size_t)(end - p));
    int64_t first = (point ? point : end) - p - 1 + exp; /* exponent of the next digit */
    char copy[DIGITS_MAX + 32];
    int n = 0;
    bool rest = false;

    for (; p < end && (*p == '0' || *p == '.'); p++)
        first -= *p == '0';
    if (p == end || first < DOUBLE_EXP_MAX)
        return false;
    if (first > DOUBLE_EXP_MAX)
        return true;
    for (; p < end; p++) {
        if (*p == '.')
            continue;
        if (n < DIGITS_MAX)
            copy[n++] = *p;
        else
            rest |= *p != '0';
    }
    if (rest)
        copy[n++] = '1';
    (void)snprintf(copy + n, sizeof(copy) - (size_t)n, "e%d", DOUBLE_EXP_MAX - (n - 1));
    return isinf(strtod(copy, NULL));
}

/* What follows the integer part, which goes from digits to p. */
static const char *scan_real(struct scan *s, const char *digits, const char *p)
{
    int64_t exp = 0, whole = p - digits;
    const char *end;

    if (*p == '.') {
        if (!is_digit(++p, s->end))
            return fail(s, p, "a digit is missing");
        while (is_digit(p, s->end))
            p++;
    }
    end = p;
    if (p < s->end && (*p == 'e' || *p == 'E')) {
        bool minus = false;

        if (++p < s->end && (*p == '+' || *p == '-'))
            minus = *p++ == '-';
        if (!is_digit(p, s->end))
            return fail(s, p, "a digit is missing");
        for (; is_digit(p, s->end); p++)
            if (exp < EXP_CAP)
                exp = exp * 10 + (*p - '0');
        if (minus)
            exp = -exp;
    }
    if (whole + exp > DOUBLE_EXP_MAX && overflows(digits, end, exp))
        return ambiguous(s, digits, "the number is out of range");
    return p;
}

static const char *scan_number(struct scan *s, const char *p)
{
    enum { INT64_DIGITS = 19 };
    bool minus = *p == '-';
    const char *digits = p += minus;
    ptrdiff_t n;

    if (!is_digit(p, s->end))
        return fail(s, p, minus ? "a digit is missing" : "not a value");
    if (*p == '0')
        p++;
    else
        while (is_digit(p, s->end))
            p++;
    if (p < s->end && (*p == '.' || *p == 'e' || *p == 'E'))
        return scan_real(s, digits, p);
    n = p - digits;
    if (n > INT64_DIGITS ||
        (n == INT64_DIGITS &&
         memcmp(digits, minus ? "9223372036854775808" : "9223372036854775807", INT64_DIGITS) > 0))
        return ambiguous(s, digits, "the number is out of range");
    return p;
}

static inline const char *scan_word(struct scan *s, const char *p, const char *word, size_t n)
{
    return (size_t)(s->end - p) >= n && memcmp(p, word, n) == 0 ? p + n : fail(s, p, "not a value");
}

/* A value without parts; returns what follows it. */
static inline const char *scan_scalar(struct scan *s, const char *p)
{
    switch (*p) {
    case '"':
        p = scan_string(s, p + 1);
        return p ? p + 1 : NULL;
    case 't':
        return scan_word(s, p, "true", 4);
    case 'f':
        return scan_word(s, p, "false", 5);
    case 'n':
        return scan_word(s, p, "null", 4);
    default:
        return scan_number(s, p);
    }
}

/* What a value is going to be, from its first byte; only that of a valid one counts. */
static enum jscan_type type_of(char c)
{
    switch (c) {
    case '{':
        return JSCAN_OBJECT;
    case '[':
        return JSCAN_ARRAY;
    case '"':
        return JSCAN_STRING;
    case 't':
    case 'f':
        return JSCAN_BOOL;
    case 'n':
        return JSCAN_NULL;
    default:
        return JSCAN_NUMBER;
    }
}

/* The member of the outermost object that is being read, or NULL. */
static inline struct jscan_member *top_member(struct scan *s)
{
    return s->out && s->depth == 1 && s->level[0].object ? &s->out->member[s->out->count] : NULL;
}

/* A key and its colon, p at the opening quote; returns what follows. */
static inline const char *scan_key(struct scan *s, const char *p)
{
    const char *from = p + 1;
    struct jscan_member *m = top_member(s);
    struct view key;
    int r;

    if (p == s->end || *p != '"')
        return fail(s, p, "a key is missing");
    p = scan_string(s, from);
    if (!p)
        return NULL;
    key = view_of(from, (size_t)(p - from));
    r = jkeys_add(&s->keys, &s->level[s->depth - 1].keys, key, s->escaped, s->e);
    if (r < 0)
        return r == ERR_CONFLICT ? ambiguous(s, from - 1, "the key is there already") : NULL;
    if (m) {
        if (s->out->count == JSCAN_TOP_MAX)
            return limit(s, from - 1, "members", JSCAN_TOP_MAX);
        m->key = key;
    }
    p = skip_space(p + 1, s->end);
    if (p == s->end || *p != ':')
        return fail(s, p, "':' is missing");
    return p + 1;
}

static inline void note_start(struct scan *s, const char *p)
{
    struct jscan_member *m = top_member(s);

    if (m) {
        m->type = type_of(*p);
        m->value.p = p;
    } else if (s->out && s->depth == 0) {
        s->out->type = type_of(*p);
    }
}

static inline void note_end(struct scan *s, const char *p)
{
    struct jscan_member *m = top_member(s);

    if (m) {
        m->value.n = (size_t)(p - m->value.p);
        m->plain = m->type == JSCAN_STRING && !s->escaped;
        s->out->count++;
    }
}

static inline const char *open_level(struct scan *s, const char *p)
{
    struct level *l = &s->level[s->depth];

    if (s->depth == JSCAN_DEPTH_MAX)
        return limit(s, p, "levels", JSCAN_DEPTH_MAX);
    s->depth++;
    l->object = *p == '{';
    l->keys = (struct jkeys_object){.first = s->keys.top};
    return p + 1;
}

static inline void close_level(struct scan *s)
{
    s->keys.top = s->level[--s->depth].keys.first;
}

/* What comes before the next value of the innermost level: for an object its key. */
static inline const char *scan_item(struct scan *s, const char *p)
{
    if (s->left-- == 0)
        return limit(s, p, "members and elements", JSCAN_MEMBERS_MAX);
    return s->level[s->depth - 1].object ? scan_key(s, p) : p;
}

/* p is behind a value: leave the levels that end here and go to the next value; the end of the text
 * when there is none. */
static inline const char *scan_after(struct scan *s, const char *p)
{
    for (;;) {
        note_end(s, p);
        p = skip_space(p, s->end);
        if (s->depth == 0)
            return p == s->end ? p : fail(s, p, "text after the value");
        if (p < s->end && *p == ',')
            return scan_item(s, skip_space(p + 1, s->end));
        if (p == s->end || *p != (s->level[s->depth - 1].object ? '}' : ']'))
            return fail(s, p,
                        s->level[s->depth - 1].object ? "',' or '}' is missing"
                                                      : "',' or ']' is missing");
        close_level(s);
        p++;
    }
}

static const char *scan_text(struct scan *s, const char *p)
{
    const char *end = s->end;

    do {
        p = skip_space(p, end);
        if (p == end)
            return fail(s, p, "a value is missing");
        note_start(s, p);
        if (*p == '{' || *p == '[') {
            char closing = *p == '{' ? '}' : ']';

            if (!(p = open_level(s, p)))
                return NULL;
            p = skip_space(p, end);
            if (p == end || *p != closing) {
                p = scan_item(s, p);
                continue;
            }
            close_level(s);
            p++;
        } else if (!(p = scan_scalar(s, p))) {
            return NULL;
        }
        p = scan_after(s, p);
    } while (p && (p < end || s->depth));
    return p;
}

static int scan(struct view text, struct jscan *out, struct err *e)
{
    /* not zeroed (the compiler would, 18 KiB for every frame): entries are written before they
     * count */
    __attribute__((uninitialized)) struct scan s;

    if (text.n > UINT32_MAX)
        return err_set(e, ERR_LIMIT, "JSON: more than 4 GiB");
    s.text = text.n ? text.p : "";
    s.end = s.text + text.n;
    s.out = out;
    s.e = e;
    s.depth = 0;
    s.left = JSCAN_MEMBERS_MAX;
    s.escaped = false;
    jkeys_init(&s.keys, s.text);
    text.p = scan_text(&s, s.text);
    jkeys_fini(&s.keys);
    return text.p ? 0 : e->code;
}

int jscan(struct view text, struct jscan *out, struct err *e)
{
    int r;

    out->count = 0;
    out->ambiguous = false;
    r = scan(text, out, e);
    if (r < 0)
        out->count = 0;
    return r;
}

int jscan_check(struct view text, struct err *e)
{
    return scan(text, NULL, e);
}

const struct jscan_member *jscan_get(const struct jscan *s, struct view key)
{
    for (unsigned i = 0; i < s->count; i++)
        if (view_eq(s->member[i].key, key))
            return &s->member[i];
    return NULL;
}

size_t jscan_unescape(struct view raw, char *out)
{
    return raw.n < 2 ? 0 : jstr_text(view_of(raw.p + 1, raw.n - 2), out);
}
