/* Where an answer that is being made is parted, and what the pieces say. */
#include "block.h"
#include "ck.h"
#include "mem.h"
#include "rand.h"

#define P10 "aaaaaaaaa." /* ten characters */

static const struct block_conf plain = {10, 30, BLOCK_PARAGRAPH, false},
                               lines = {10, 30, BLOCK_NEWLINE, false},
                               sentences = {10, 30, BLOCK_SENTENCE, false},
                               every = {10, 30, BLOCK_PARAGRAPH, true};

static const struct {
    const char *name, *text;
    const struct block_conf *conf;
    const char *live, *done; /* pieces, | between them; a text that may still grow, and whole */
} rows[] = {
    {"nothing", "", &plain, "", ""},
    {"too little", P10, &plain, "", P10},
    {"a paragraph", P10 "\n\nb", &plain, P10, P10 "|b"},
    {"an open one", P10 "\n", &plain, "", P10},
    {"short ones go together", "a\n\nb\n\n" P10 "\n\nc", &plain, "a\n\nb\n\n" P10,
     "a\n\nb\n\n" P10 "|c"},
    {"every one alone", "a\n\nb\n\n" P10 "\n\nc", &every, "a|b|" P10, "a|b|" P10 "|c"},
    {"blank lines with blanks", P10 "\n \t\nb", &plain, P10, P10 "|b"},
    {"lines", P10 "\n" P10 "\nb", &lines, P10 "|" P10, P10 "|" P10 "|b"},
    {"sentences", P10 " bbbb bbbb. c", &sentences, P10 "|bbbb bbbb.", P10 "|bbbb bbbb.|c"},
    {"too long: at a sentence", P10 "b. " P10 P10 P10, &plain, P10 "b.", P10 "b.|" P10 P10 P10},
    {"too long: at a blank", "aaaaaaaaaaaa bbbbbbbbbb ccccccccccccc", &plain,
     "aaaaaaaaaaaa bbbbbbbbbb", "aaaaaaaaaaaa bbbbbbbbbb|ccccccccccccc"},
    {"too long: hard", P10 P10 P10 "b", &plain, P10 P10 P10, P10 P10 P10 "|b"},
    {"whole characters", "ääääääääääääääääääääääääääääääb", &plain,
     "ääääääääääääääääääääääääääääää", "ääääääääääääääääääääääääääääää|b"},
    {"no end inside code", "```c\n" P10 "\n\nx\n```\n\nb", &plain, "```c\n" P10 "\n\nx\n```",
     "```c\n" P10 "\n\nx\n```|b"},
    {"code that is too long", "```c\n" P10 "\n" P10 "\n" P10 "\n```\nb", &plain,
     "```c\n" P10 "\n" P10 "\n```", "```c\n" P10 "\n" P10 "\n```|```c\n" P10 "\n```\nb"},
    {"its end begins no piece", "~~~\n" P10 P10 "aaaaa\n~~~\n\nb", &plain,
     "~~~\n" P10 P10 "aaaaa\n~~~", "~~~\n" P10 P10 "aaaaa\n~~~|b"},
    {"an indented piece", P10 "\n\n    b", &plain, P10, P10 "|    b"},
    {"longer fences hold shorter ones", "````\n```\n\n" P10 "\n\n````\n\nb", &plain,
     "````\n```\n\n" P10 "\n\n````", "````\n```\n\n" P10 "\n\n````|b"},
};

/* All pieces that can be cut, | between them. */
static void pieces(struct view text, const struct block_conf *c, bool done, struct buf *out)
{
    struct block_place at = {.at = 0};
    size_t end;

    while ((end = block_cut(text, &at, c, done))) {
        struct block_place to = at;
        struct buf piece = BUF_INIT(1 << 20);

        ck_assert_uint_gt(end, at.at);
        ck_assert_uint_le(end, text.n);
        block_go(text, end, &to);
        ck_assert_uint_eq(to.at, end);
        block_put(text, &at, &to, &piece);
        if (piece.n && out->n)
            buf_put_char(out, '|');
        buf_put_view(out, buf_view(&piece));
        buf_fini(&piece);
        at = to;
        if (end == text.n)
            break;
    }
}

START_TEST(test_pieces)
{
    for (int done = 0; done < 2; done++) {
        struct buf got = BUF_INIT(1 << 20);

        pieces(view_str(rows[_i].text), rows[_i].conf, done, &got);
        ck_assert_msg(view_eq(buf_view(&got), view_str(done ? rows[_i].done : rows[_i].live)),
                      "%s (%d): %.*s", rows[_i].name, done, VIEW_FMT(buf_view(&got)));
        buf_fini(&got);
    }
}
END_TEST

/* What is not white space, and no fence or its line. */
static void bare(struct view v, struct buf *out)
{
    for (size_t i = 0; i < v.n; i++)
        if (v.p[i] >= 'a' && v.p[i] <= 'e')
            buf_put_char(out, v.p[i]);
}

/* Random texts: whatever is cut, no letter is lost, none comes twice, and none is out of its place;
 * what grows letter by letter is cut where the whole is, as far as it was cut. */
START_TEST(test_nothing_is_lost)
{
    static const char *const words[] = {"a",       "b ",       "c. ", "d\n", "e\n\n",
                                        "\n```\n", "\n~~~~\n", "  ",  "ä"};

    for (int round = 0; round < 3000; round++) {
        struct buf text = BUF_INIT(4096), got = BUF_INIT(1 << 20), want = BUF_INIT(4096),
                   is = BUF_INIT(1 << 20);
        struct block_conf c = {1 + (uint32_t)round % 7, 8 + (uint32_t)round % 20,
                               (enum block_pref)(round % 3), round % 5 == 0};
        unsigned char r[80];

        rand_bytes(r, sizeof(r));
        for (size_t i = 0; i < sizeof(r); i++)
            buf_put_str(&text, words[r[i] % COUNT_OF(words)]);
        pieces(buf_view(&text), &c, true, &got);
        bare(buf_view(&text), &want);
        bare(buf_view(&got), &is);
        ck_assert_msg(view_eq(buf_view(&want), buf_view(&is)), "%.*s\n---\n%.*s",
                      VIEW_FMT(buf_view(&text)), VIEW_FMT(buf_view(&got)));
        buf_fini(&text);
        buf_fini(&got);
        buf_fini(&want);
        buf_fini(&is);
    }
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_pieces, 0, (int)COUNT_OF(rows));
    tcase_add_test(tc, test_nothing_is_lost);
}

CK_MAIN("block")
