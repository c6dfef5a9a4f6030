/* tests/unit/test_outfiles.c - files that a text names, and which part of a message carries which.
 */
#include "ck.h"
#include "deliver_plan.h"
#include "deliver_split.h"
#include "media_lines.h"
#include "msg.h"

#include <stdio.h>
#include <string.h>

/* refs: one after the other, with a blank between */
static const struct {
    const char *text, *left, *refs;
} lines[] = {
    {"", "", ""},
    {"no file", "no file", ""},
    {"MEDIA:https://h.example/a.png", "", "https://h.example/a.png"},
    {"here:\nMEDIA: https://h.example/a.png\n", "here:\n", "https://h.example/a.png"},
    {"  media:https://h/a", "", "https://h/a"},
    {"a\n\nMEDIA:https://h/a\n\nb", "a\n\nb", "https://h/a"},
    {"MEDIA:https://h/a https://h/b", "", "https://h/a https://h/b"},
    {"MEDIA:https://h/a\nMEDIA:https://h/b\nend", "end", "https://h/a https://h/b"},
    {"MEDIA:`https://h/a.png`", "", "https://h/a.png"},
    {"MEDIA: \"./my file.png\"", "", "./my file.png"},
    {"MEDIA:/tmp/my file.png", "", "/tmp/my file.png"},
    {"MEDIA:out/cat.png", "", "out/cat.png"},
    {"MEDIA:cat.png", "", "cat.png"},
    {"MEDIA:media://inbound/0c1a.png", "", "media://inbound/0c1a.png"},
    {"MEDIA:data:image/png;base64,AAAA", "", "data:image/png;base64,AAAA"},
    {"MEDIA:<https://h/a>", "", "https://h/a"},
    {"MEDIA: is what they are called", "MEDIA: is what they are called", ""},
    {"MEDIA:", "MEDIA:", ""},
    {"MEDIA: \"\"", "MEDIA: \"\"", ""},
    {"see MEDIA:https://h/a", "see MEDIA:https://h/a", ""},
    {"```\nMEDIA:https://h/a\n```", "```\nMEDIA:https://h/a\n```", ""},
    {"~~~x\nMEDIA:https://h/a\n```\nMEDIA:https://h/b\n~~~\nMEDIA:https://h/c",
     "~~~x\nMEDIA:https://h/a\n```\nMEDIA:https://h/b\n~~~\n", "https://h/c"},
    {"```\nopen MEDIA\nMEDIA:https://h/a", "```\nopen MEDIA\nMEDIA:https://h/a", ""},
    {"`MEDIA:https://h/a`", "`MEDIA:https://h/a`", ""},
    {"Medium is a word\nmedia, too\n`code` and\n``` not code ```\nMEDIA:https://h/a",
     "Medium is a word\nmedia, too\n`code` and\n``` not code ```\n", "https://h/a"},
    {"a\nMEDIA:https://h/a\n \n\n\tMEDIA:https://h/b\n\nb\n\nc", "a\nb\n\nc",
     "https://h/a https://h/b"},
};

START_TEST(test_lines)
{
    struct buf out = BUF_INIT(4096), refs = BUF_INIT(4096);
    struct media_lines m;

    media_lines_read(view_str(lines[_i].text), &out, &m);
    for (unsigned i = 0; i < m.n; i++)
        buf_printf(&refs, "%s%.*s", i ? " " : "", VIEW_FMT(m.ref[i]));
    ck_assert_msg(view_eq(buf_view(&out), view_str(lines[_i].left)), "%s: left \"%.*s\"",
                  lines[_i].text, VIEW_FMT(buf_view(&out)));
    ck_assert_msg(view_eq(buf_view(&refs), view_str(lines[_i].refs)), "%s: refs \"%.*s\"",
                  lines[_i].text, VIEW_FMT(buf_view(&refs)));
    buf_fini(&out);
    buf_fini(&refs);
}
END_TEST

/* However it grows: what was shown stays, nothing is held longer than a line, and the end is the
 * same. _i: the row; every way to cut it into two pieces, and byte by byte. */
START_TEST(test_growing)
{
    struct view text = view_str(lines[_i].text);

    for (size_t cut = 0; cut <= text.n + 1; cut++) {
        struct media_filter f = {.fence = 0};
        struct buf shown = BUF_INIT(4096);
        size_t done = 0;

        for (size_t n = cut > text.n ? 1 : cut; n<text.n; n += cut> text.n ? 1 : text.n) {
            struct view last = view_of(text.p, n);

            done += media_filter(&f, view_of(text.p + done, n - done), false, &shown);
            ck_assert_uint_le(done, n);
            while (last.n && last.p[last.n - 1] != '\n')
                last.n--;
            ck_assert_uint_ge(done, last.n); /* whole lines are decided */
        }
        done += media_filter(&f, view_from(text, done), true, &shown);
        ck_assert_uint_eq(done, text.n);
        ck_assert_msg(view_eq(buf_view(&shown), view_str(lines[_i].left)), "%s, cut %zu: \"%.*s\"",
                      lines[_i].text, cut, VIEW_FMT(buf_view(&shown)));
        buf_fini(&shown);
    }
}
END_TEST

START_TEST(test_voice)
{
    struct buf out = BUF_INIT(4096);
    struct media_lines m;

    media_lines_read(V("[[audio_as_voice]]\nMEDIA:https://h/a.ogg"), &out, &m);
    ck_assert(m.voice);
    ck_assert_uint_eq(m.n, 1);
    media_lines_read(V("```\n[[audio_as_voice]]\n```\nMEDIA:https://h/a.ogg"), &out, &m);
    ck_assert(!m.voice);
    buf_fini(&out);
}
END_TEST

START_TEST(test_many)
{
    struct buf text = BUF_INIT(4096), out = BUF_INIT(4096);
    struct media_lines m;

    for (int i = 0; i < MEDIA_LINES_MAX + 3; i++)
        buf_printf(&text, "MEDIA:https://h/%d\n", i);
    media_lines_read(buf_view(&text), &out, &m);
    ck_assert_uint_eq(m.n, MEDIA_LINES_MAX);
    ck_assert_uint_eq(m.beyond, 3);
    ck_assert_uint_eq(out.n, 0);
    buf_fini(&text);
    buf_fini(&out);
}
END_TEST

/* ---- the plan ---- */

/* files: p a picture, d anything else, v a voice, P a picture sent as a file; want: the part of
 * each
 */
static const struct {
    const char *files;
    uint32_t texts;
    unsigned album;
    bool note;
    const char *want;
    uint32_t parts;
} plans[] = {
    {"p", 1, 10, false, "0", 1},
    {"p", 0, 10, false, "0", 1},
    {"ppp", 1, 10, false, "000", 1},
    {"ppp", 1, 2, false, "001", 2},
    {"ppp", 1, 1, false, "012", 3},
    {"ppp", 1, 0, false, "012", 3},
    {"pdp", 1, 10, false, "012", 3},
    {"ppd", 0, 10, false, "001", 2},
    {"dd", 1, 10, false, "01", 2},
    {"pv", 1, 10, false, "01", 2},
    {"pP", 1, 10, false, "01", 2},
    {"p", 3, 10, false, "0", 3},
    {"pd", 3, 10, false, "03", 4},
    {"pdd", 3, 10, true, "034", 6},
    {"", 1, 10, true, "", 2},
    {"", 0, 10, true, "", 1},
    {"ddddddddddd", 2, 0, false, "02345678", 12},
};

START_TEST(test_plan)
{
    struct deliver_file f[DELIVER_FILES_MAX];
    struct buf plan = BUF_INIT(8192), body = BUF_INIT(4096);
    struct store_delivery row = {.add = {.parts = plans[_i].texts}};
    struct deliver_piece piece;
    struct err e = ERR_INIT;
    unsigned n = (unsigned)strlen(plans[_i].files), seen = 0;
    uint32_t parts = 0;

    for (unsigned i = 0; i < n; i++)
        f[i] = (struct deliver_file){.id = V("id"),
                                     .url = V("https://h/\"x\""),
                                     .visual = plans[_i].files[i] != 'd',
                                     .flags = plans[_i].files[i] == 'v'   ? MEDIA_VOICE
                                              : plans[_i].files[i] == 'P' ? MEDIA_DOCUMENT
                                                                          : 0};
    ck_assert_int_eq(deliver_plan_write(f, n, plans[_i].texts, plans[_i].album,
                                        plans[_i].note ? V("not sent") : VIEW_EMPTY, &plan, &parts,
                                        &e),
                     0);
    ck_assert_msg(parts == plans[_i].parts, "%s: %u parts", plans[_i].files, parts);
    for (unsigned i = 0; i < n && plans[_i].want[i]; i++)
        ck_assert_msg(f[i].part == (uint32_t)(plans[_i].want[i] - '0'), "%s: file %u in part %u",
                      plans[_i].files, i, f[i].part);

    for (uint32_t i = 0; i < plans[_i].texts; i++) {
        uint32_t le = 1; /* these machines are little endian, or the test says so */

        buf_put(&body, &le, sizeof(le));
        buf_put_char(&body, (char)('a' + i));
    }
    row.add.body = buf_view(&body);
    row.state.plan = buf_view(&plan);
    row.state.parts = parts;
    for (uint32_t i = 0; i < parts; i++) {
        ck_assert_int_eq(deliver_piece_read(&row, i, &piece, &e), 0);
        if (i < plans[_i].texts)
            ck_assert(piece.text.n == 1 && piece.text.p[0] == (char)('a' + i));
        else if (plans[_i].note && i + 1 == parts)
            ck_assert(view_eq(piece.text, V("not sent")) && !piece.files);
        else
            ck_assert(!piece.text.n && piece.files);
        for (unsigned k = 0; k < piece.files; k++)
            ck_assert(view_eq(piece.file[k].url, V("https://h/\"x\"")));
        seen += piece.files;
        deliver_piece_fini(&piece);
    }
    ck_assert_uint_eq(seen, n);
    ck_assert_int_eq(deliver_piece_read(&row, parts, &piece, &e), ERR_CORRUPT);
    buf_fini(&plan);
    buf_fini(&body);
}
END_TEST

START_TEST(test_files)
{
    struct deliver_file f[DELIVER_FILES_MAX] = {
        {.url = V("https://h/a\"b"), .flags = MEDIA_VOICE},
        {.id = V("0c1a"), .url = VIEW_EMPTY},
    };
    struct deliver_file got[DELIVER_FILES_MAX];
    struct buf b = BUF_INIT(4096);
    struct err e = ERR_INIT;
    json_t *doc = NULL;
    unsigned n = 0;

    f[0].id = VIEW_EMPTY;
    ck_assert_int_eq(deliver_files_write(f, 2, &b, &e), 0);
    ck_assert_int_eq(deliver_files_read(buf_view(&b), &doc, got, &n, &e), 0);
    ck_assert_uint_eq(n, 2);
    ck_assert(view_eq(got[0].url, f[0].url) && got[0].flags == MEDIA_VOICE && !got[0].id.n);
    ck_assert(view_eq(got[1].id, f[1].id) && !got[1].url.n && !got[1].flags);
    json_decref(doc);
    buf_fini(&b);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_lines, 0, COUNT_OF(lines));
    tcase_add_loop_test(tc, test_growing, 0, COUNT_OF(lines));
    tcase_add_test(tc, test_voice);
    tcase_add_test(tc, test_many);
    tcase_add_loop_test(tc, test_plan, 0, COUNT_OF(plans));
    tcase_add_test(tc, test_files);
}

CK_MAIN("outfiles")
