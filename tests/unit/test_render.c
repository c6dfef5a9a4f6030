/* Markdown in the dialects of platforms, and cut into messages. */
#include "chunk.h"
#include "ck.h"
#include "mem.h"
#include "render.h"

#include <stdio.h>
#include <stdlib.h>

static const struct {
    const char *name;
    enum channel_dialect d;
    const char *in, *want;
} rows[] = {
    {"plain", DIALECT_PLAIN, "**bold** and _thin_ `code`", "bold and thin code"},
    {"html", DIALECT_HTML, "**bold** and _thin_ ~~gone~~ `a<b`",
     "<b>bold</b> and <i>thin</i> <s>gone</s> <code>a&lt;b</code>"},
    {"html escapes", DIALECT_HTML, "a < b & c > d", "a &lt; b &amp; c &gt; d"},
    {"raw html is text", DIALECT_HTML, "<script>x</script>", "&lt;script&gt;x&lt;/script&gt;"},
    {"entity", DIALECT_HTML, "&amp; &nbsp;&#65;&#x42; &bogus;",
     "&amp; \xc2\xa0"
     "AB &amp;bogus;"},
    {"heading", DIALECT_HTML, "# Top\ntext", "<b>Top</b>\n\ntext"},
    {"paragraphs", DIALECT_HTML, "a\n\n\n\nb\nc", "a\n\nb\nc"},
    {"list", DIALECT_HTML, "- a\n- b\n  - c\n\nend",
     "\xe2\x80\xa2 a\n\xe2\x80\xa2 b\n  \xe2\x80\xa2 c\n\nend"},
    {"ordered", DIALECT_PLAIN, "3. a\n4. b", "3. a\n4. b"},
    {"fence", DIALECT_HTML, "```c\nint a<b;\n```",
     "<pre><code class=\"language-c\">int a&lt;b;</code></pre>"},
    {"fence without language", DIALECT_HTML, "x\n```\na\n\nb\n```\ny",
     "x\n\n<pre>a\n\nb</pre>\n\ny"},
    {"fence with a bad language", DIALECT_HTML, "```\"><b>\na\n```", "<pre>a</pre>"},
    {"link", DIALECT_HTML, "[t](https://e.org/?a=1&b=2)",
     "<a href=\"https://e.org/?a=1&amp;b=2\">t</a>"},
    {"bad link", DIALECT_HTML, "[t](javascript:alert(1))", "t"},
    {"link with a quote", DIALECT_HTML, "[t](https://e.org/%22\"x)", "t"},
    {"plain link", DIALECT_PLAIN, "[t](https://e.org)", "t (https://e.org)"},
    {"plain link of itself", DIALECT_PLAIN, "<https://e.org>", "https://e.org"},
    {"slack", DIALECT_SLACK, "**b** _i_ ~~s~~ [t](https://e.org) a<b",
     "*b* _i_ ~s~ <https://e.org|t> a&lt;b"},
    {"slack fence", DIALECT_SLACK, "```py\nx\n```", "```\nx\n```"},
    {"whatsapp", DIALECT_WHATSAPP, "**b** ~~s~~", "*b* ~s~"},
    {"irc", DIALECT_IRC, "**b** `c`",
     "\x02"
     "b\x02 \x11"
     "c\x11"},
    {"control codes are ours", DIALECT_IRC,
     "a\x02"
     "b\x01",
     "ab"},
    {"quote", DIALECT_HTML, "> a\n> b\n\nc", "<blockquote>a\nb</blockquote>\n\nc"},
    {"quote in a quote", DIALECT_HTML, "> a\n> > b", "<blockquote>a\n\nb</blockquote>"},
    {"plain quote", DIALECT_PLAIN, "> a\n> b", "> a\n> b"},
    {"table", DIALECT_HTML, "| a | b |\n|---|---|\n| 1 | < |", "<pre>a | b\n--+--\n1 | &lt;</pre>"},
    {"table as bullets", DIALECT_PLAIN, "| a | b |\n|---|---|\n| 1 | 2 |",
     "\xe2\x80\xa2 a: 1\n\xe2\x80\xa2 b: 2"},
    {"discord as it is", DIALECT_DISCORD, " **b** <x> ", "**b** <x>"},
    {"empty", DIALECT_HTML, "", ""},
    {"unclosed", DIALECT_HTML, "**a", "**a"},
    {"task", DIALECT_PLAIN, "- [x] a\n- [ ] b", "\xe2\x98\x91 a\n\xe2\x98\x90 b"},
};

START_TEST(test_render)
{
    struct buf out = BUF_INIT(1 << 20);
    struct err e = ERR_INIT;
    char got[4096];

    ck_assert_msg(render(rows[_i].d, view_str(rows[_i].in), &out, &e) == 0, "%s: %s", rows[_i].name,
                  e.text);
    (void)snprintf(got, sizeof(got), "%.*s", VIEW_FMT(buf_view(&out)));
    ck_assert_msg(strcmp(got, rows[_i].want) == 0, "%s: \"%s\", not \"%s\"", rows[_i].name, got,
                  rows[_i].want);
    buf_fini(&out);
}
END_TEST

START_TEST(test_cost)
{
    ck_assert_uint_eq(render_cost(DIALECT_HTML, UNIT_UTF16, V("<b>a&lt;</b>\xf0\x9f\x98\x80")), 4);
    ck_assert_uint_eq(render_cost(DIALECT_HTML, UNIT_CHARS, V("<b>a&lt;</b>\xf0\x9f\x98\x80")), 3);
    ck_assert_uint_eq(render_cost(DIALECT_PLAIN, UNIT_BYTES, V("<b>\xc3\xa4")), 5);
}
END_TEST

/* ---- cutting ---- */

/* Tags of Telegram's subset, closed in order. */
static bool well_formed(struct view v)
{
    struct view open[64];
    unsigned n = 0;

    for (size_t i = 0; i < v.n; i++) {
        struct view tag;
        size_t end;

        if (v.p[i] == '>')
            return false;
        if (v.p[i] == '&') {
            end = view_find(view_from(v, i), ';');
            if (end < 3 || end > 5)
                return false;
        }
        if (v.p[i] != '<')
            continue;
        end = view_find(view_from(v, i), '>');
        if (end == v.n - i)
            return false;
        tag = view_of(v.p + i + 1, end - 1);
        i += end;
        if (tag.n && tag.p[0] == '/') {
            if (n == 0 || !view_eq(view_from(tag, 1), open[n - 1]))
                return false;
            n--;
            continue;
        }
        if (n == 64)
            return false;
        open[n++] = view_of(tag.p, view_find(tag, ' '));
    }
    return n == 0;
}

static unsigned cut_all(const struct channel_ops *ops, struct view text)
{
    struct buf rendered = BUF_INIT(4 << 20), plain = BUF_INIT(1 << 20);
    struct err e = ERR_INIT;
    uint32_t from = 0, next;
    unsigned n = 0;

    do {
        buf_reset(&rendered, 1 << 20);
        buf_reset(&plain, 1 << 20);
        ck_assert_msg(chunk_next(ops, text, from, &rendered, &plain, &next, &e) == 0, "%s", e.text);
        ck_assert_msg(render_cost(ops->dialect, ops->unit, buf_view(&rendered)) <= ops->text_limit,
                      "a piece of %zu bytes in a limit of %u", rendered.n, ops->text_limit);
        if (ops->dialect == DIALECT_HTML)
            ck_assert_msg(well_formed(buf_view(&rendered)), "%.*s", VIEW_FMT(buf_view(&rendered)));
        ck_assert_msg(next == 0 || next > from, "no way forward at %u", from);
        from = next;
        n++;
    } while (next);
    buf_fini(&rendered);
    buf_fini(&plain);
    return n;
}

START_TEST(test_fence_is_closed_and_opened)
{
    struct channel_ops ops = {.dialect = DIALECT_DISCORD, .unit = UNIT_CHARS, .text_limit = 40};
    struct view text = V("Look:\n```py\nprint(1)\nprint(2)\nprint(3)\nprint(4)\n```\nDone.");
    static const char *const want[] = {"Look:\n```py\nprint(1)\nprint(2)\n```",
                                       "```py\nprint(3)\nprint(4)\n```\nDone."};
    struct buf rendered = BUF_INIT(4096), plain = BUF_INIT(4096);
    struct err e = ERR_INIT;
    uint32_t next = 0;

    for (size_t i = 0; i < COUNT_OF(want); i++) {
        buf_reset(&rendered, 0);
        buf_reset(&plain, 0);
        ck_assert_int_eq(chunk_next(&ops, text, next, &rendered, &plain, &next, &e), 0);
        ck_assert_msg(view_eq(buf_view(&rendered), view_str(want[i])), "%zu: %.*s", i,
                      VIEW_FMT(buf_view(&rendered)));
    }
    ck_assert_uint_eq(next, 0);
    buf_fini(&rendered);
    buf_fini(&plain);
}
END_TEST

START_TEST(test_limits)
{
    struct channel_ops ops = {.dialect = DIALECT_HTML, .unit = UNIT_UTF16, .text_limit = 100};
    char text[400];

    memset(text, 'x', sizeof(text));
    ck_assert_uint_eq(cut_all(&ops, view_of(text, 99)), 1);
    ck_assert_uint_eq(cut_all(&ops, view_of(text, 100)), 1);
    ck_assert_uint_eq(cut_all(&ops, view_of(text, 101)), 2);
    memset(text, '<', sizeof(text)); /* four bytes each when written, one when counted */
    ck_assert_uint_eq(cut_all(&ops, view_of(text, 100)), 1);
    for (size_t i = 0; i + 4 <= sizeof(text); i += 4)
        memcpy(text + i, "\xf0\x9f\x98\x80", 4); /* two units each */
    ck_assert_uint_eq(cut_all(&ops, view_of(text, 200)), 1);
    ck_assert_uint_eq(cut_all(&ops, view_of(text, 204)), 2);
}
END_TEST

static const char *const pieces[] = {"word ",
                                     "**bold",
                                     "** ",
                                     "\n",
                                     "\n\n",
                                     "```\n",
                                     "~~~\n",
                                     "`",
                                     "- ",
                                     "> ",
                                     "# ",
                                     "| a | b |\n|---|---|\n",
                                     "[t](https://e.org/x) ",
                                     "<",
                                     "&",
                                     "&lt;",
                                     "(",
                                     ")",
                                     "\xf0\x9f\x98\x80",
                                     "\xc3\xa4",
                                     "*",
                                     "_",
                                     "~~",
                                     "1. ",
                                     "   ",
                                     "averyveryverylongword"};

/* Any text in any dialect: pieces within the limit, well formed, and always forward. */
START_TEST(test_any_text)
{
    static const uint32_t limits[] = {40, 100, 350, 4096};
    uint32_t seed = 77;

    for (int round = 0; round < 400; round++) {
        struct buf text = BUF_INIT(1 << 20);
        unsigned n = (seed >> 8) % 300;
        struct channel_ops ops = {.dialect = (enum channel_dialect)(round % DIALECT_COUNT),
                                  .unit = (enum channel_unit)(round % 3),
                                  .text_limit = limits[round / 3 % 4]};

        for (unsigned i = 0; i < n; i++) {
            seed = seed * 1103515245u + 12345u;
            buf_put_str(&text, pieces[(seed >> 12) % COUNT_OF(pieces)]);
        }
        seed = seed * 1103515245u + 12345u;
        (void)cut_all(&ops, buf_view(&text));
        buf_fini(&text);
    }
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_render, 0, (int)COUNT_OF(rows));
    tcase_add_test(tc, test_cost);
    tcase_add_test(tc, test_fence_is_closed_and_opened);
    tcase_add_test(tc, test_limits);
    tcase_add_test(tc, test_any_text);
}

CK_MAIN("render")
