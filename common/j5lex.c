#include "j5lex.h"

#include "jstr.h"
#include "utf8.h"

#include <stdint.h>

enum { NUMBER_MAX = 1024 }; /* bytes of one number; the longest useful double has under 800 */

int j5lex_fail_code(struct j5lex *s, const char *at, int code, const char *what)
{
    unsigned line = 1, column = 1;

    for (const char *p = s->text; p < at; p++) {
        if (*p == '\n' || (*p == '\r' && !(p + 1 < s->end && p[1] == '\n'))) {
            line++;
            column = 1;
        } else if (((unsigned char)*p & 0xc0) != 0x80) {
            column++;
        }
    }
    return err_set(s->e, code, "line %u, column %u: %s", line, column, what);
}

int j5lex_fail(struct j5lex *s, const char *at, const char *what)
{
    return j5lex_fail_code(s, at, ERR_INVALID, what);
}

int j5lex_no_memory(struct j5lex *s)
{
    return err_set(s->e, ERR_NOMEM, "out of memory for a JSON5 text");
}

bool j5lex_at(const struct j5lex *s, char c)
{
    return s->p < s->end && *s->p == c;
}

static bool at_text(const struct j5lex *s, const char *t, size_t n)
{
    return (size_t)(s->end - s->p) >= n && memcmp(s->p, t, n) == 0;
}

/* Bytes of the line terminator at p, or 0. */
static size_t newline(const struct j5lex *s, const char *p)
{
    size_t left = (size_t)(s->end - p);

    if (left && (*p == '\n' || *p == '\r'))
        return left > 1 && p[0] == '\r' && p[1] == '\n' ? 2 : 1;
    return left > 2 && (memcmp(p, "\xe2\x80\xa8", 3) == 0 || memcmp(p, "\xe2\x80\xa9", 3) == 0) ? 3
                                                                                                : 0;
}

/* Bytes of the white space at p, or 0: ASCII, line ends, U+FEFF and category Zs (JSON5, 8). */
static size_t space(const struct j5lex *s, const char *p)
{
    const unsigned char *u = (const unsigned char *)p;
    size_t left = (size_t)(s->end - p);

    if (!left)
        return 0;
    if (*u < 0x80)
        return strchr(" \t\n\v\f\r", *p) && *p ? 1 : 0;
    if (left > 1 && u[0] == 0xc2 && u[1] == 0xa0)
        return 2;
    if (left < 3)
        return 0;
    if (newline(s, p))
        return 3;
    if (u[0] == 0xe2 && u[1] == 0x80)
        return (u[2] >= 0x80 && u[2] <= 0x8a) || u[2] == 0xaf ? 3 : 0;
    return memcmp(p, "\xe2\x81\x9f", 3) == 0 || memcmp(p, "\xe1\x9a\x80", 3) == 0 ||
                   memcmp(p, "\xe3\x80\x80", 3) == 0 || memcmp(p, "\xef\xbb\xbf", 3) == 0
               ? 3
               : 0;
}

static int skip_comment(struct j5lex *s)
{
    const char *from = s->p;

    if (at_text(s, "//", 2)) {
        while (s->p < s->end && !newline(s, s->p))
            s->p++;
        return 0;
    }
    if (!at_text(s, "/*", 2))
        return j5lex_fail(s, from, "expected a comment after '/'");
    for (s->p += 2; !at_text(s, "*/", 2); s->p++)
        if (s->p == s->end)
            return j5lex_fail(s, from, "the comment has no end");
    s->p += 2;
    return 0;
}

int j5lex_space(struct j5lex *s)
{
    for (;;) {
        size_t n = space(s, s->p);
        int r;

        s->p += n;
        if (n)
            continue;
        if (!j5lex_at(s, '/'))
            return 0;
        if ((r = skip_comment(s)) < 0)
            return r;
    }
}

/* \uXXXX or a pair of them, s->p at the backslash. */
static int parse_unicode(struct j5lex *s)
{
    const char *from = s->p;
    uint32_t cp, lo;
    char utf8[4];

    if (!jstr_unit(s->p, s->end, &cp))
        return j5lex_fail(s, from, "expected 4 hexadecimal digits after \\u");
    s->p += 6;
    if (cp >= 0xd800 && cp < 0xe000) {
        if (cp >= 0xdc00 || !jstr_unit(s->p, s->end, &lo) || lo < 0xdc00 || lo > 0xdfff)
            return j5lex_fail(s, from, "half of a surrogate pair");
        s->p += 6;
        cp = 0x10000 + ((cp - 0xd800) << 10) + (lo - 0xdc00);
    }
    buf_put(&s->str, utf8, jstr_encode(cp, utf8));
    return 0;
}

/* \xXX, s->p at the backslash. */
static int parse_hex_escape(struct j5lex *s)
{
    char digits[4] = "00", utf8[4];
    int32_t v = -1;

    if (s->end - s->p >= 4) {
        digits[2] = s->p[2];
        digits[3] = s->p[3];
        v = jstr_hex4(digits);
    }
    if (v < 0)
        return j5lex_fail(s, s->p, "expected 2 hexadecimal digits after \\x");
    buf_put(&s->str, utf8, jstr_encode((uint32_t)v, utf8));
    s->p += 4;
    return 0;
}

/* s->p at a backslash. */
static int parse_escape(struct j5lex *s)
{
    static const char from[] = "bfnrtv", to[] = "\b\f\n\r\t\v";
    const char *at, *p = s->p + 1;
    size_t n = newline(s, p);
    char c;

    if (p == s->end)
        return j5lex_fail(s, s->p, "the string has no end");
    c = *p;
    if (c == 'u')
        return parse_unicode(s);
    if (c == 'x')
        return parse_hex_escape(s);
    if (n) { /* the line goes on */
        s->p = p + n;
        return 0;
    }
    if (c == '0' && !(p + 1 < s->end && p[1] >= '0' && p[1] <= '9'))
        buf_put_char(&s->str, '\0');
    else if (c >= '0' && c <= '9')
        return j5lex_fail(s, s->p, "a digit cannot follow a backslash");
    else if ((unsigned char)c < 0x20)
        return j5lex_fail(s, p, "control character in a string");
    else if ((at = strchr(from, c)))
        buf_put_char(&s->str, to[at - from]);
    else
        buf_put_char(&s->str, c); /* of a longer code point the first byte, the rest follows */
    s->p = p + 1;
    return 0;
}

int j5lex_quoted(struct j5lex *s)
{
    const char *from = s->p;
    char quote = *s->p++;

    buf_reset(&s->str, 4096);
    while (!j5lex_at(s, quote)) {
        const char *p = s->p;
        int r = 0;

        if (p == s->end || *p == '\n' || *p == '\r')
            return j5lex_fail(s, from, "the string has no end on its line");
        if (*p == '\\')
            r = parse_escape(s);
        else if ((unsigned char)*p < 0x20 && *p != '\t')
            r = j5lex_fail(s, p, "control character in a string");
        else
            buf_put_char(&s->str, *s->p++);
        if (r < 0)
            return r;
    }
    s->p++;
    return s->str.failed ? j5lex_no_memory(s) : 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool j5lex_in_name(const struct j5lex *s, const char *p, bool first)
{
    char c = *p;

    if ((unsigned char)c >= 0x80)
        return !space(s, p);
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' ||
           (!first && is_digit(c));
}

int j5lex_key(struct j5lex *s)
{
    const char *from = s->p;

    if (j5lex_at(s, '"') || j5lex_at(s, '\'')) {
        int r = j5lex_quoted(s);

        if (r < 0)
            return r;
        if (memchr(buf_view(&s->str).p, 0, buf_view(&s->str).n))
            return j5lex_fail(s, from, "a key cannot hold NUL");
        return 0;
    }
    buf_reset(&s->str, 4096);
    while (s->p < s->end && j5lex_in_name(s, s->p, s->p == from))
        s->p++;
    if (j5lex_at(s, '\\'))
        return j5lex_fail(s, s->p, "a key with escapes needs quotes");
    if (s->p == from)
        return j5lex_fail(s, from,
                          s->p == s->end ? "the object has no end" : "expected a key or '}'");
    buf_put(&s->str, from, (size_t)(s->p - from));
    return s->str.failed ? j5lex_no_memory(s) : 0;
}

/* A decimal number in s->str, fit for jansson: it knows int64, double and the locale's point. */
static int finish_number(struct j5lex *s, const char *from, json_t **out)
{
    struct view v = buf_view(&s->str);
    json_error_t je;

    if (s->str.failed)
        return j5lex_no_memory(s);
    *out = json_loadb(v.p, v.n, JSON_DECODE_ANY, &je);
    if (*out)
        return 0;
    return json_error_code(&je) == json_error_numeric_overflow
               ? j5lex_fail(s, from, "the number is out of range")
               : j5lex_no_memory(s);
}

static int parse_hex(struct j5lex *s, const char *from, bool minus, json_t **out)
{
    const char *digits = s->p += 2;
    uint64_t v = 0, max = (uint64_t)INT64_MAX + minus;
    uint32_t digit = 0;

    for (; s->p < s->end; s->p++) {
        char c = *s->p;

        if (is_digit(c))
            digit = (uint32_t)(c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            digit = (uint32_t)((c | 0x20) - 'a' + 10);
        else
            break;
        if (v > (max - digit) / 16)
            return j5lex_fail(s, from, "the number is out of range");
        v = v * 16 + digit;
    }
    if (s->p == digits)
        return j5lex_fail(s, s->p, "expected a hexadecimal digit");
    *out = json_integer((json_int_t)(minus ? 0 - v : v));
    return *out ? 0 : j5lex_no_memory(s);
}

static size_t put_digits(struct j5lex *s)
{
    const char *from = s->p;

    while (s->p < s->end && is_digit(*s->p))
        s->p++;
    buf_put(&s->str, from, (size_t)(s->p - from));
    return (size_t)(s->p - from);
}

/* Digits, point and exponent into s->str. */
static int parse_decimal(struct j5lex *s)
{
    const char *from = s->p;
    size_t whole = put_digits(s);

    if (whole > 1 && *from == '0')
        return j5lex_fail(s, from, "a number cannot begin with 0");
    if (!whole)
        buf_put_char(&s->str, '0');
    if (j5lex_at(s, '.')) {
        s->p++;
        buf_put_char(&s->str, '.');
        if (!put_digits(s)) {
            if (!whole)
                return j5lex_fail(s, s->p, "expected a digit");
            buf_put_char(&s->str, '0');
        }
    } else if (!whole) {
        return j5lex_fail(s, s->p, "expected a value");
    }
    if (j5lex_at(s, 'e') || j5lex_at(s, 'E')) {
        s->p++;
        buf_put_char(&s->str, 'e');
        if (j5lex_at(s, '+') || j5lex_at(s, '-'))
            buf_put_char(&s->str, *s->p++);
        if (!put_digits(s))
            return j5lex_fail(s, s->p, "expected a digit in the exponent");
    }
    return 0;
}

int j5lex_number(struct j5lex *s, json_t **out)
{
    const char *from = s->p;
    bool minus = j5lex_at(s, '-');
    json_t *doc = NULL;
    int r;

    buf_reset(&s->str, 4096);
    if (minus || j5lex_at(s, '+'))
        s->p++;
    if (minus)
        buf_put_char(&s->str, '-');
    if (at_text(s, "Infinity", 8) || at_text(s, "NaN", 3))
        return j5lex_fail(s, from, "Infinity and NaN are not taken");
    if (at_text(s, "0x", 2) || at_text(s, "0X", 2)) {
        if ((r = parse_hex(s, from, minus, &doc)) < 0)
            return r;
    } else {
        if ((r = parse_decimal(s)) < 0)
            return r;
        if (s->p - from > NUMBER_MAX)
            return j5lex_fail_code(s, from, ERR_LIMIT, "the number is too long");
        if ((r = finish_number(s, from, &doc)) < 0)
            return r;
    }
    if (s->p < s->end && j5lex_in_name(s, s->p, false)) {
        json_decref(doc);
        return j5lex_fail(s, s->p, "unexpected text after the number");
    }
    *out = doc;
    return 0;
}

int j5lex_utf8(struct j5lex *s)
{
    struct utf8 u = {0};
    const char *start = s->text; /* of the code point that is being read */

    if (utf8_valid(view_of(s->text, (size_t)(s->end - s->text))))
        return 0;
    for (const char *p = s->text; p < s->end; p++) {
        if (utf8_done(&u))
            start = p;
        if (!utf8_feed(&u, view_of(p, 1)))
            break;
    }
    return j5lex_fail(s, start, "not UTF-8");
}
