/*
 * workers/hub/tokens.c - weights per kind of character, in hundredths of a token. They were fitted
 * to the counts in tests/unit/data/tokens.json, highest of two tokenizers each, by hand: change one
 * and look at the test's table.
 *
 * Words of English are mostly one token, words of other languages in Latin letters one for every
 * three letters. Which it is shows in how many of the words are English ones that no text is
 * without; both sums are kept until that is known.
 */
#include "tokens.h"

#include <stdbool.h>
#include <string.h>

enum {
    BLOB_MIN = 32,   /* letters and digits in one piece, this long: base64, a digest */
    BLOB_LOOK = 512, /* and no need to look further at once */
    WORDS_SURE = 4,  /* words before a language is guessed */
};

struct text {
    const unsigned char *p;
    size_t n;
    bool json;
};

struct sum {
    uint64_t any, english, foreign; /* hundredths */
    uint64_t words, common, punct, letters;
};

static bool is_low(uint32_t c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_up(uint32_t c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_digit(uint32_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_latin(uint32_t c)
{
    return is_low(c) || is_up(c) || (c >= 0xc0 && c <= 0x24f) || (c >= 0x1e00 && c <= 0x1eff);
}

static bool is_blob(uint32_t c)
{
    return is_low(c) || is_up(c) || is_digit(c) || c == '+' || c == '/' || c == '=';
}

static uint32_t hex4(const unsigned char *p)
{
    uint32_t v = 0;

    for (unsigned i = 0; i < 4; i++) {
        unsigned char c = p[i];

        v = v << 4 | (uint32_t)(is_digit(c) ? c - '0' : (c | 32) - 'a' + 10);
    }
    return v;
}

static uint32_t escaped(const struct text *t, size_t at, size_t *len)
{
    uint32_t hi, lo;

    *len = 2;
    switch (t->p[at + 1]) {
    case 'n':
        return '\n';
    case 't':
        return '\t';
    case 'r':
        return '\r';
    case 'u':
        if (t->n - at < 6)
            return '?';
        *len = 6;
        hi = hex4(t->p + at + 2);
        if (hi < 0xd800 || hi > 0xdbff || t->n - at < 12)
            return hi;
        lo = hex4(t->p + at + 8);
        *len = 12;
        return 0x10000 + ((hi & 0x3ff) << 10) + (lo & 0x3ff);
    default:
        return t->p[at + 1];
    }
}

/* The character at a place and its bytes; 0 and 0 at the end. */
static uint32_t peek(const struct text *t, size_t at, size_t *len)
{
    const unsigned char *p = t->p + at;
    size_t left = t->n - at;

    if (left == 0) {
        *len = 0;
        return 0;
    }
    *len = 1;
    if (p[0] < 0x80)
        return t->json && p[0] == '\\' && left > 1 ? escaped(t, at, len) : p[0];
    if (p[0] >= 0xf0 && left >= 4) {
        *len = 4;
        return (uint32_t)(p[0] & 7) << 18 | (uint32_t)(p[1] & 63) << 12 |
               (uint32_t)(p[2] & 63) << 6 | (p[3] & 63);
    }
    if (p[0] >= 0xe0 && left >= 3) {
        *len = 3;
        return (uint32_t)(p[0] & 15) << 12 | (uint32_t)(p[1] & 63) << 6 | (p[2] & 63);
    }
    if (p[0] >= 0xc0 && left >= 2) {
        *len = 2;
        return (uint32_t)(p[0] & 31) << 6 | (p[1] & 63);
    }
    return 0xfffd;
}

/* One of the words that English cannot do without. */
static bool is_common(const unsigned char *p, size_t n)
{
    static const char words[][5] = {"the",  "and",  "to",   "that", "for", "with", "you", "are",
                                    "this", "have", "from", "by",   "or",  "it",   "of",  "is"};
    char low[4];

    if (n < 2 || n > 4)
        return false;
    for (size_t i = 0; i < n; i++)
        low[i] = (char)(p[i] | 32);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (words[i][0] == low[0] && strlen(words[i]) == n && memcmp(words[i], low, n) == 0)
            return true;
    return false;
}

/* Bytes of a long piece of letters and digits that begins at a place, 0 when it is none. */
static size_t blob(const struct text *t, size_t at)
{
    size_t i = at, digits = 0, end = t->n - at > BLOB_LOOK ? at + BLOB_LOOK : t->n;

    while (i < end && is_blob(t->p[i]))
        digits += is_digit(t->p[i++]);
    return i - at >= BLOB_MIN && digits * 16 >= i - at && digits < i - at ? i - at : 0;
}

static uint64_t over(uint64_t n, uint64_t free)
{
    return n > free ? n - free : 0;
}

/* A word, or a part of one thatIsWrittenLikeThis. Returns where it ends. */
static size_t word(const struct text *t, size_t at, uint32_t before, struct sum *s)
{
    size_t i = at, len, up = 0, n = 0;
    uint64_t strange = 0;
    uint32_t c;

    for (c = peek(t, i, &len); is_up(c); c = peek(t, i, &len)) {
        up++;
        i += len;
    }
    if (up > 1 && is_low(c)) { /* the last capital belongs to what follows */
        up--;
        i--;
    }
    if (up > 1) {
        s->letters += up;
        s->any += 100 + over(up, 3) * 30;
        return i;
    }
    for (n = up; is_latin(c) && !is_up(c); c = peek(t, i, &len)) {
        strange += c < 128 ? 0 : c < 0x100 ? 50 : c < 0x1e00 ? 125 : 130;
        n++;
        i += len;
    }
    s->letters += n;
    if (is_digit(c) || is_digit(before)) {
        s->any += 100 + over(n, 2) * 40 + strange;
        return i;
    }
    s->words++;
    s->common += is_common(t->p + at, i - at);
    s->any += strange;
    s->english += 100 + (over(n, 4) < 4 ? over(n, 4) : 4) * 25 + over(n, 8) * 28;
    s->foreign += 100 + over(n, 3) * (strange ? 41 : 36);
    return i;
}

static uint64_t weight(uint32_t c)
{
    static const struct {
        uint32_t last;
        uint16_t weight;
    } kinds[] = {
        {0x2ff, 120},   {0x36f, 190},  /* marks */
        {0x3ff, 105},                  /* Greek */
        {0x52f, 72},                   /* Cyrillic */
        {0x58f, 270},   {0x5ff, 110},  /* Hebrew */
        {0x6ff, 98},                   /* Arabic */
        {0x8ff, 270},   {0x97f, 118},  /* Devanagari */
        {0xdff, 165},                  /* other scripts of India */
        {0xe7f, 92},                   /* Thai */
        {0x1fff, 270},  {0x2bff, 200}, /* symbols */
        {0x2fff, 270},  {0x303f, 105}, /* punctuation of East Asia */
        {0x30ff, 92},                  /* kana */
        {0x33ff, 270},  {0x9fff, 158}, /* Han */
        {0xabff, 270},  {0xd7a3, 125}, /* Hangul */
        {0xfe0e, 270},  {0xfe0f, 130},  {0xfeff, 270},  {0xffef, 105}, /* full width */
        {0xffff, 270},  {0x1efff, 320}, {0x1faff, 235},                /* emoji */
        {0x1ffff, 320},
    };
    size_t i = 0;

    while (i < sizeof(kinds) / sizeof(kinds[0]) && c > kinds[i].last)
        i++;
    return i < sizeof(kinds) / sizeof(kinds[0]) ? kinds[i].weight : 320;
}

/* n times the same character that is neither letter nor digit; next is what follows. */
static void other(struct sum *s, uint32_t c, uint64_t n, uint32_t before, uint32_t next)
{
    if (c == ' ') {
        if (n > 1)
            s->any += 100 + n;
        else if (is_digit(next))
            s->any += 100;
        else if (next < 128 && !is_latin(next))
            s->any += 30;
    } else if (c == '\n' || c == '\t' || c == '\r') {
        s->any += 75 + (n - 1) * 20;
    } else if (c < 128) {
        bool joined = before > ' ' && before < 127 && !is_latin(before) && !is_digit(before);

        s->punct += n;
        s->any += (joined ? 65u : 100u) + (n < 4 ? n - 1 : 3) * 30 + (n - 1) * 2;
    } else if ((c >= 0x2500 && c <= 0x257f) || (c >= 0x2010 && c <= 0x2027)) {
        s->any += 125 + (n - 1) * 25;
    } else {
        s->any += weight(c) * n;
    }
}

/* The string that begins behind an opening quote: where it ends. */
static size_t skip_string(const struct text *t, size_t at)
{
    while (at < t->n && t->p[at] != '"')
        at += t->p[at] == '\\' ? 2 : 1;
    return at < t->n ? at : t->n;
}

static uint64_t count(const struct text *t)
{
    static const char data[] = "\"data\":\"";
    struct sum s = {0};
    uint32_t c, before = 0, next;
    size_t i = 0, len, n;
    bool english;

    while (i < t->n) {
        c = peek(t, i, &len);
        if (len == 1 && is_blob(c) && !is_blob(before) && (n = blob(t, i))) {
            s.any += n * 62;
            i += n;
            before = ' ';
        } else if (is_latin(c)) {
            i = word(t, i, before, &s);
            before = 'a';
        } else if (is_digit(c)) {
            for (n = 0; is_digit(peek(t, i, &len)); n++)
                i += len;
            s.any += (n + 2) / 3 * 100;
            before = '0';
        } else if (t->json && c == '"' && len == 1 && t->n - i > sizeof(data) - 1 &&
                   memcmp(t->p + i, data, sizeof(data) - 1) == 0) {
            i = skip_string(t, i + sizeof(data) - 1);
            s.any += TOKENS_IMAGE * 100;
            before = '"';
        } else {
            for (n = 0, next = c; next == c && i < t->n; n++) {
                i += len;
                next = peek(t, i, &len);
            }
            other(&s, c, n, before, next);
            before = c;
        }
    }
    english = s.words < WORDS_SURE || s.common * 10 >= s.words || s.punct * 10 >= s.letters;
    return (s.any + (english ? s.english : s.foreign) + 99) / 100;
}

uint64_t tokens_text(struct view text)
{
    struct text t = {.n = text.n};

    memcpy(&t.p, &text.p, sizeof(t.p));
    return count(&t);
}

uint64_t tokens_json(struct view json)
{
    struct text t = {.n = json.n, .json = true};

    if (json.n >= 2 && json.p[0] == '"') {
        json.p++;
        t.n -= 2;
    }
    memcpy(&t.p, &json.p, sizeof(t.p));
    return count(&t);
}
