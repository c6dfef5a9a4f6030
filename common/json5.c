#include "json5.h"

#include "buf.h"
#include "jstr.h"
#include "mem.h"
#include "utf8.h"

#include <stdint.h>

enum { NUMBER_MAX = 1024 }; /* bytes of one number; the longest useful double has under 800 */

struct parser {
    const char *text, *p, *end;
    unsigned depth;
    struct buf str; /* the text of the string or number being read */
    struct err *e;
};

static int parse_value(struct parser *s, json_t **out) MUST_USE;

/* Fill the error with the place of `at`: lines end with LF, CR LF or CR, columns count code points.
 */
static int fail_code(struct parser *s, const char *at, int code, const char *what)
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

static int fail(struct parser *s, const char *at, const char *what)
{
    return fail_code(s, at, ERR_INVALID, what);
}

static int no_memory(struct parser *s)
{
    return err_set(s->e, ERR_NOMEM, "out of memory for a JSON5 text");
}

static bool at_char(const struct parser *s, char c)
{
    return s->p < s->end && *s->p == c;
}

static bool at_text(const struct parser *s, const char *t, size_t n)
{
    return (size_t)(s->end - s->p) >= n && memcmp(s->p, t, n) == 0;
}

/* Bytes of the line terminator at p, or 0. */
static size_t newline(const struct parser *s, const char *p)
{
    size_t left = (size_t)(s->end - p);

    if (left && (*p == '\n' || *p == '\r'))
        return left > 1 && p[0] == '\r' && p[1] == '\n' ? 2 : 1;
    return left > 2 && (memcmp(p, "\xe2\x80\xa8", 3) == 0 || memcmp(p, "\xe2\x80\xa9", 3) == 0) ? 3
                                                                                                : 0;
}

/* Bytes of the white space at p, or 0: ASCII, line ends, U+FEFF and category Zs (JSON5, 8). */
static size_t space(const struct parser *s, const char *p)
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

static int skip_comment(struct parser *s)
{
    const char *from = s->p;

    if (at_text(s, "//", 2)) {
        while (s->p < s->end && !newline(s, s->p))
            s->p++;
        return 0;
    }
    if (!at_text(s, "/*", 2))
        return fail(s, from, "expected a comment after '/'");
    for (s->p += 2; !at_text(s, "*/", 2); s->p++)
        if (s->p == s->end)
            return fail(s, from, "the comment has no end");
    s->p += 2;
    return 0;
}

static int skip_space(struct parser *s)
{
    for (;;) {
        size_t n = space(s, s->p);
        int r;

        s->p += n;
        if (n)
            continue;
        if (!at_char(s, '/'))
            return 0;
        if ((r = skip_comment(s)) < 0)
            return r;
    }
}

/* \uXXXX or a pair of them, s->p at the backslash. */
static int parse_unicode(struct parser *s)
{
    const char *from = s->p;
    uint32_t cp, lo;
    char utf8[4];

    if (!jstr_unit(s->p, s->end, &cp))
        return fail(s, from, "expected 4 hexadecimal digits after \\u");
    s->p += 6;
    if (cp >= 0xd800 && cp < 0xe000) {
        if (cp >= 0xdc00 || !jstr_unit(s->p, s->end, &lo) || lo < 0xdc00 || lo > 0xdfff)
            return fail(s, from, "half of a surrogate pair");
        s->p += 6;
        cp = 0x10000 + ((cp - 0xd800) << 10) + (lo - 0xdc00);
    }
    buf_put(&s->str, utf8, jstr_encode(cp, utf8));
    return 0;
}

/* \xXX, s->p at the backslash. */
static int parse_hex_escape(struct parser *s)
{
    char digits[4] = "00", utf8[4];
    int32_t v = -1;

    if (s->end - s->p >= 4) {
        digits[2] = s->p[2];
        digits[3] = s->p[3];
        v = jstr_hex4(digits);
    }
    if (v < 0)
        return fail(s, s->p, "expected 2 hexadecimal digits after \\x");
    buf_put(&s->str, utf8, jstr_encode((uint32_t)v, utf8));
    s->p += 4;
    return 0;
}

/* s->p at a backslash. */
static int parse_escape(struct parser *s)
{
    static const char from[] = "bfnrtv", to[] = "\b\f\n\r\t\v";
    const char *at, *p = s->p + 1;
    size_t n = newline(s, p);
    char c;

    if (p == s->end)
        return fail(s, s->p, "the string has no end");
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
        return fail(s, s->p, "a digit cannot follow a backslash");
    else if ((unsigned char)c < 0x20)
        return fail(s, p, "control character in a string");
    else if ((at = strchr(from, c)))
        buf_put_char(&s->str, to[at - from]);
    else
        buf_put_char(&s->str, c); /* of a longer code point the first byte, the rest follows */
    s->p = p + 1;
    return 0;
}

/* A quoted string into s->str. */
static int parse_quoted(struct parser *s)
{
    const char *from = s->p;
    char quote = *s->p++;

    buf_reset(&s->str, 4096);
    while (!at_char(s, quote)) {
        const char *p = s->p;
        int r = 0;

        if (p == s->end || *p == '\n' || *p == '\r')
            return fail(s, from, "the string has no end on its line");
        if (*p == '\\')
            r = parse_escape(s);
        else if ((unsigned char)*p < 0x20 && *p != '\t')
            r = fail(s, p, "control character in a string");
        else
            buf_put_char(&s->str, *s->p++);
        if (r < 0)
            return r;
    }
    s->p++;
    return s->str.failed ? no_memory(s) : 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* May stand in an unquoted key. Beyond ASCII everything that is not white space is taken for a
 * letter: the tables of Unicode are not worth it for a configuration. */
static bool in_name(const struct parser *s, const char *p, bool first)
{
    char c = *p;

    if ((unsigned char)c >= 0x80)
        return !space(s, p);
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' ||
           (!first && is_digit(c));
}

static int parse_key(struct parser *s)
{
    const char *from = s->p;

    if (at_char(s, '"') || at_char(s, '\'')) {
        int r = parse_quoted(s);

        if (r < 0)
            return r;
        if (memchr(buf_view(&s->str).p, 0, buf_view(&s->str).n))
            return fail(s, from, "a key cannot hold NUL");
        return 0;
    }
    buf_reset(&s->str, 4096);
    while (s->p < s->end && in_name(s, s->p, s->p == from))
        s->p++;
    if (at_char(s, '\\'))
        return fail(s, s->p, "a key with escapes needs quotes");
    if (s->p == from)
        return fail(s, from, s->p == s->end ? "the object has no end" : "expected a key or '}'");
    buf_put(&s->str, from, (size_t)(s->p - from));
    return s->str.failed ? no_memory(s) : 0;
}

/* A decimal number in s->str, fit for jansson: it knows int64, double and the locale's point. */
static int finish_number(struct parser *s, const char *from, json_t **out)
{
    struct view v = buf_view(&s->str);
    json_error_t je;

    if (s->str.failed)
        return no_memory(s);
    *out = json_loadb(v.p, v.n, JSON_DECODE_ANY, &je);
    if (*out)
        return 0;
    return json_error_code(&je) == json_error_numeric_overflow
               ? fail(s, from, "the number is out of range")
               : no_memory(s);
}

static int parse_hex(struct parser *s, const char *from, bool minus, json_t **out)
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
            return fail(s, from, "the number is out of range");
        v = v * 16 + digit;
    }
    if (s->p == digits)
        return fail(s, s->p, "expected a hexadecimal digit");
    *out = json_integer((json_int_t)(minus ? 0 - v : v));
    return *out ? 0 : no_memory(s);
}

static size_t put_digits(struct parser *s)
{
    const char *from = s->p;

    while (s->p < s->end && is_digit(*s->p))
        s->p++;
    buf_put(&s->str, from, (size_t)(s->p - from));
    return (size_t)(s->p - from);
}

/* Digits, point and exponent into s->str. */
static int parse_decimal(struct parser *s)
{
    const char *from = s->p;
    size_t whole = put_digits(s);

    if (whole > 1 && *from == '0')
        return fail(s, from, "a number cannot begin with 0");
    if (!whole)
        buf_put_char(&s->str, '0');
    if (at_char(s, '.')) {
        s->p++;
        buf_put_char(&s->str, '.');
        if (!put_digits(s)) {
            if (!whole)
                return fail(s, s->p, "expected a digit");
            buf_put_char(&s->str, '0');
        }
    } else if (!whole) {
        return fail(s, s->p, "expected a value");
    }
    if (at_char(s, 'e') || at_char(s, 'E')) {
        s->p++;
        buf_put_char(&s->str, 'e');
        if (at_char(s, '+') || at_char(s, '-'))
            buf_put_char(&s->str, *s->p++);
        if (!put_digits(s))
            return fail(s, s->p, "expected a digit in the exponent");
    }
    return 0;
}

static int parse_number(struct parser *s, json_t **out)
{
    const char *from = s->p;
    bool minus = at_char(s, '-');
    json_t *doc = NULL;
    int r;

    buf_reset(&s->str, 4096);
    if (minus || at_char(s, '+'))
        s->p++;
    if (minus)
        buf_put_char(&s->str, '-');
    if (at_text(s, "Infinity", 8) || at_text(s, "NaN", 3))
        return fail(s, from, "Infinity and NaN are not taken");
    if (at_text(s, "0x", 2) || at_text(s, "0X", 2)) {
        if ((r = parse_hex(s, from, minus, &doc)) < 0)
            return r;
    } else {
        if ((r = parse_decimal(s)) < 0)
            return r;
        if (s->p - from > NUMBER_MAX)
            return fail_code(s, from, ERR_LIMIT, "the number is too long");
        if ((r = finish_number(s, from, &doc)) < 0)
            return r;
    }
    if (s->p < s->end && in_name(s, s->p, false)) {
        json_decref(doc);
        return fail(s, s->p, "unexpected text after the number");
    }
    *out = doc;
    return 0;
}

static int parse_word(struct parser *s, json_t **out)
{
    const char *from = s->p;
    struct view w;

    while (s->p < s->end && in_name(s, s->p, s->p == from))
        s->p++;
    w = view_of(from, (size_t)(s->p - from));
    if (view_eq(w, V("null")))
        *out = json_null();
    else if (view_eq(w, V("true")))
        *out = json_true();
    else if (view_eq(w, V("false")))
        *out = json_false();
    else
        return fail(s, from,
                    view_eq(w, V("Infinity")) || view_eq(w, V("NaN"))
                        ? "Infinity and NaN are not taken"
                        : "expected a value (strings need quotes)");
    return 0;
}

/* key: value, into obj. */
static int parse_member(struct parser *s, json_t *obj)
{
    const char *from = s->p;
    json_t *value = NULL;
    struct view key;
    char *name;
    int r;

    if ((r = parse_key(s)) < 0)
        return r;
    key = buf_view(&s->str);
    if (json_object_getn(obj, key.p, key.n))
        return fail(s, from, "the key is there already");
    name = mem_dup(key.p, key.n); /* s->str serves the value next */
    if (!name)
        return no_memory(s);
    if ((r = skip_space(s)) < 0)
        goto out;
    if (!at_char(s, ':')) {
        r = fail(s, s->p, "expected ':' after key");
        goto out;
    }
    s->p++;
    if ((r = parse_value(s, &value)) < 0)
        goto out;
    if (json_object_setn_new(obj, name, key.n, value) < 0)
        r = no_memory(s);
out:
    mem_free(name);
    return r;
}

static int parse_element(struct parser *s, json_t *arr)
{
    json_t *value = NULL;
    int r = parse_value(s, &value);

    if (r == 0 && json_array_append_new(arr, value) < 0)
        r = no_memory(s);
    return r;
}

/* Members or elements into doc, s->p behind the opening bracket. */
static int parse_items(struct parser *s, json_t *doc)
{
    bool object = json_is_object(doc);
    char closing = object ? '}' : ']';
    int r;

    for (;;) {
        if ((r = skip_space(s)) < 0)
            return r;
        if (at_char(s, closing))
            break;
        if (s->p == s->end)
            return fail(s, s->p, object ? "expected a key or '}'" : "expected a value or ']'");
        r = object ? parse_member(s, doc) : parse_element(s, doc);
        if (r < 0 || (r = skip_space(s)) < 0)
            return r;
        if (at_char(s, closing))
            break;
        if (!at_char(s, ','))
            return fail(s, s->p, object ? "expected ',' or '}'" : "expected ',' or ']'");
        s->p++;
    }
    s->p++;
    return 0;
}

static int parse_container(struct parser *s, json_t **out)
{
    json_t *doc;
    int r;

    if (s->depth == JSON5_DEPTH_MAX)
        return fail_code(s, s->p, ERR_LIMIT, "more than 64 levels");
    doc = *s->p++ == '{' ? json_object() : json_array();
    if (!doc)
        return no_memory(s);
    s->depth++;
    r = parse_items(s, doc);
    s->depth--;
    if (r < 0)
        json_decref(doc);
    else
        *out = doc;
    return r;
}

static int parse_string(struct parser *s, json_t **out)
{
    int r = parse_quoted(s);

    if (r < 0)
        return r;
    *out = json_stringn(buf_view(&s->str).p, s->str.n);
    return *out ? 0 : no_memory(s);
}

/* Recursion is bounded by JSON5_DEPTH_MAX. */
static int parse_value(struct parser *s, json_t **out)
{
    int r = skip_space(s);

    if (r < 0)
        return r;
    if (s->p == s->end)
        return fail(s, s->p, "expected a value");
    switch (*s->p) {
    case '{':
    case '[':
        return parse_container(s, out);
    case '"':
    case '\'':
        return parse_string(s, out);
    default:
        return is_digit(*s->p) || strchr("+-.", *s->p) ? parse_number(s, out) : parse_word(s, out);
    }
}

/* Refuse what is not UTF-8, at the place where it breaks. */
static int check_utf8(struct parser *s)
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
    return fail(s, start, "not UTF-8");
}

int json5_parse(struct view text, json_t **out, struct err *e)
{
    struct parser s = {.text = text.p, .p = text.p, .end = text.p, .e = e};
    json_t *doc = NULL;
    int r;

    if (text.n > JSON5_TEXT_MAX)
        return err_set(e, ERR_LIMIT, "%zu bytes, limit %d", text.n, JSON5_TEXT_MAX);
    if (text.n)
        s.end = text.p + text.n;
    buf_init(&s.str, JSON5_TEXT_MAX + NUMBER_MAX);
    s.str.secret = true; /* configurations hold tokens */
    if ((r = check_utf8(&s)) < 0 || (r = parse_value(&s, &doc)) < 0 || (r = skip_space(&s)) < 0)
        goto out;
    if (s.p < s.end)
        r = fail(&s, s.p, "unexpected text after the value");
    else
        *out = TAKE(doc);
out:
    json_decref(doc);
    buf_fini(&s.str);
    return r;
}
