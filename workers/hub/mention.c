#include "mention.h"

#include "buf.h"
#include "json.h"
#include "mem.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum { HEAP_KIB = 256, DERIVED_MAX = 2 };

struct mention {
    pcre2_general_context *memory;
    pcre2_match_context *limits;
    pcre2_code *code[MENTION_PATTERNS_MAX];
    pcre2_match_data *data[MENTION_PATTERNS_MAX];
    unsigned count;
};

static void *take(size_t n, void *ctx)
{
    (void)ctx;
    return mem_calloc(1, n);
}

static void give(void *p, void *ctx)
{
    (void)ctx;
    mem_free(p);
}

/* false: passed over. */
static bool add(struct mention *m, struct view pattern)
{
    int why;
    PCRE2_SIZE at;
    pcre2_compile_context *cc;
    pcre2_code *code = NULL;
    pcre2_match_data *data = NULL;

    if (pattern.n == 0 || pattern.n > MENTION_PATTERN_BYTES || m->count >= MENTION_PATTERNS_MAX ||
        !(cc = pcre2_compile_context_create(m->memory)))
        return false;
    (void)pcre2_set_parens_nest_limit(cc, 32);
    code = pcre2_compile((PCRE2_SPTR)pattern.p, pattern.n,
                         PCRE2_CASELESS | PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF |
                             PCRE2_NEVER_BACKSLASH_C,
                         &why, &at, cc);
    pcre2_compile_context_free(cc);
    if (code)
        data = pcre2_match_data_create(1, m->memory);
    if (!data) {
        pcre2_code_free(code);
        return false;
    }
    m->code[m->count] = code;
    m->data[m->count++] = data;
    return true;
}

/* Literal text as an expression: every ASCII sign escaped, so that nothing in it means anything. */
static void quote(struct buf *b, struct view v)
{
    for (size_t i = 0; i < v.n; i++) {
        unsigned char c = (unsigned char)v.p[i];
        bool plain = c >= 0x80 || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');

        if (c == ' ') {
            buf_put_str(b, "\\s+");
            continue;
        }
        if (!plain)
            buf_put_char(b, '\\');
        buf_put_char(b, (char)c);
    }
}

/* The name as a word, or with @ before it wherever that stands (channels section 4). */
static void add_name(struct mention *m, struct view name)
{
    struct buf b = BUF_INIT(4 * KIB);

    buf_put_str(&b, "(?:@|(?<![\\p{L}\\p{N}\\p{M}_]))");
    quote(&b, name);
    buf_put_str(&b, "(?![\\p{L}\\p{N}\\p{M}_])");
    if (!b.failed)
        (void)add(m, buf_view(&b));
    buf_fini(&b);
}

static void add_literal(struct mention *m, struct view v)
{
    struct buf b = BUF_INIT(4 * KIB);

    quote(&b, v);
    if (!b.failed)
        (void)add(m, buf_view(&b));
    buf_fini(&b);
}

int mention_new(struct mention **out, const json_t *patterns, struct view name, struct view emoji,
                unsigned *ret_bad, struct err *e)
{
    struct mention *m;
    const json_t *p;
    unsigned bad = 0;
    size_t i;
    int r;

    if ((r = mem_new(&m, sizeof(*m), e)) < 0)
        return r;
    m->memory = pcre2_general_context_create(take, give, NULL);
    m->limits = m->memory ? pcre2_match_context_create(m->memory) : NULL;
    if (!m->limits) {
        mention_free(&m);
        return err_set(e, ERR_NOMEM, "mention: out of memory");
    }
    (void)pcre2_set_match_limit(m->limits, MENTION_STEPS);
    (void)pcre2_set_depth_limit(m->limits, MENTION_STEPS);
    (void)pcre2_set_heap_limit(m->limits, HEAP_KIB);
    name = view_trim(name);
    emoji = view_trim(emoji);
    json_array_foreach(patterns, i, p)
    {
        bad += !add(m, json_view_of(p));
    }
    if (!patterns && name.n)
        add_name(m, name);
    if (!patterns && emoji.n)
        add_literal(m, emoji);
    *ret_bad = bad;
    *out = m;
    return 0;
}

void mention_free(struct mention **at)
{
    struct mention *m = *at;

    if (!m)
        return;
    for (unsigned i = 0; i < m->count; i++) {
        pcre2_match_data_free(m->data[i]);
        pcre2_code_free(m->code[i]);
    }
    pcre2_match_context_free(m->limits);
    pcre2_general_context_free(m->memory);
    mem_free(m);
    *at = NULL;
}

/* Without the characters that nobody sees: U+200B-200F, U+202A-202E, U+2060-206F. */
static size_t without_unseen(struct view v, char *out)
{
    size_t n = 0;

    for (size_t i = 0; i < v.n; i++) {
        if (i + 2 < v.n && (unsigned char)v.p[i] == 0xe2) {
            unsigned char a = (unsigned char)v.p[i + 1], b = (unsigned char)v.p[i + 2];

            if ((a == 0x80 && ((b >= 0x8b && b <= 0x8f) || (b >= 0xaa && b <= 0xae))) ||
                (a == 0x81 && b >= 0xa0 && b <= 0xaf)) {
                i += 2;
                continue;
            }
        }
        out[n++] = v.p[i];
    }
    return n;
}

bool mention_in(const struct mention *m, struct view text)
{
    char clean[MENTION_TEXT_BYTES];
    size_t n;

    if (!m || m->count == 0)
        return false;
    n = without_unseen(view_of(text.p, text.n < sizeof(clean) ? text.n : sizeof(clean)), clean);
    for (unsigned i = 0; i < m->count; i++)
        if (pcre2_match(m->code[i], (PCRE2_SPTR)clean, n, 0, 0, m->data[i], m->limits) >= 0)
            return true;
    return false;
}
