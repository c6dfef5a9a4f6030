/* Lines of an OpenClaw transcript: which become entries, in which order, as what. */
#include "ck.h"
#include "import_entry.h"
#include "mem.h"

#include <string.h>

#define MSG(id, parent, role)                                                                      \
    "{\"type\":\"message\",\"id\":\"" id "\",\"parentId\":" parent                                 \
    ",\"timestamp\":\"2026-03-01T10:00:00.250Z\",\"message\":{\"role\":\"" role                    \
    "\",\"content\":\"" id "\"}}\n"
#define COMPACTION(id, parent, kept)                                                               \
    "{\"type\":\"compaction\",\"id\":\"" id "\",\"parentId\":" parent                              \
    ",\"summary\":\"s\",\"firstKeptEntryId\":\"" kept "\"}\n"

static const struct {
    const char *name, *text;
    const char *want; /* first letters of the roles */
    size_t broken, other, branch;
} rows[] = {
    {"nothing", "", "", 0, 0, 0},
    {"blank lines", "\n  \n", "", 0, 0, 0},
    {"head only", "{\"type\":\"session\",\"id\":\"x\"}\n", "", 0, 0, 0},
    {"a talk", MSG("1", "null", "user") MSG("2", "\"1\"", "assistant"), "ua", 0, 0, 0},
    {"a tool's result", MSG("1", "null", "toolResult"), "t", 0, 0, 0},
    {"unknown role", MSG("1", "null", "bash"), "o", 0, 0, 0},
    {"a line that is cut", MSG("1", "null", "user") "{\"type\":\"mess", "u", 1, 0, 0},
    {"not an object", "[1]\n7\n", "", 2, 0, 0},
    {"given up", MSG("1", "null", "user") MSG("2", "\"1\"", "assistant") MSG("3", "\"1\"", "user"),
     "uu", 0, 0, 1},
    {"no tree",
     "{\"type\":\"message\",\"message\":{\"role\":\"user\",\"content\":\"a\"}}\n"
     "{\"type\":\"message\",\"message\":{\"role\":\"assistant\",\"content\":\"b\"}}\n",
     "ua", 0, 0, 0},
    {"its own parent", MSG("1", "\"1\"", "user"), "u", 0, 0, 0},
    {"parent is nowhere", MSG("1", "\"9\"", "user"), "u", 0, 0, 0},
    {"parent comes later", MSG("1", "\"2\"", "user") MSG("2", "\"1\"", "user"), "uu", 0, 0, 0},
    {"other entries",
     MSG("1", "null", "user") "{\"type\":\"model_change\",\"id\":\"2\",\"parentId\":\"1\"}\n" MSG(
         "3", "\"2\"", "assistant"),
     "ua", 0, 1, 0},
    {"a summary", MSG("1", "null", "user") MSG("2", "\"1\"", "user") COMPACTION("3", "\"2\"", "2"),
     "uus", 0, 0, 0},
    {"a summary without text", "{\"type\":\"compaction\",\"id\":\"1\",\"parentId\":null}\n", "", 0,
     1, 0},
    {"a message without one", "{\"type\":\"message\",\"id\":\"1\",\"parentId\":null}\n", "", 0, 1,
     0},
};

static json_t *entries(const char *text, struct transcript *t)
{
    struct err e = ERR_INIT;
    json_t *out = NULL;

    for (struct view v = view_str(text); v.n;) {
        size_t n = view_find(v, '\n');

        ck_assert_int_eq(transcript_add(t, view_of(v.p, n), &e), 0);
        v = view_from(v, n + 1);
    }
    ck_assert_int_eq(transcript_messages(t, V("session"), &out, &e), 0);
    return out;
}

START_TEST(test_lines)
{
    struct transcript t = {0};
    json_t *list = entries(rows[_i].text, &t), *entry, *doc;
    char got[32] = "";
    size_t i;

    json_array_foreach(list, i, entry)
    {
        struct err e = ERR_INIT;

        got[i] = json_view(entry, "role").p[0];
        ck_assert_uint_eq(json_view(entry, "id").n, ENTRY_ID_LEN);
        ck_assert_msg(json_parse(json_view(entry, "text"), &doc, &e) == 0, "%s: %s", rows[_i].name,
                      e.text);
        ck_assert(view_ends(json_view(entry, "text"), V("}}")));
        ck_assert(view_starts(json_view(entry, "text"), V("{\"role\":")));
        json_decref(doc);
    }
    ck_assert_msg(strcmp(got, rows[_i].want) == 0, "%s: %s", rows[_i].name, got);
    ck_assert_msg(t.left_broken == rows[_i].broken && t.left_other == rows[_i].other &&
                      t.left_branch == rows[_i].branch,
                  "%s: %zu %zu %zu", rows[_i].name, t.left_broken, t.left_other, t.left_branch);
    json_decref(list);
    transcript_fini(&t);
}
END_TEST

/* The same entry has the same id in every run; other sessions have others. */
START_TEST(test_ids)
{
    struct transcript a = {0}, b = {0};
    json_t *x = entries(MSG("1", "null", "user"), &a), *y = entries(MSG("1", "null", "user"), &b);

    ck_assert(json_equal(x, y));
    ck_assert_int_eq(json_i64(json_array_get(x, 0), "ts", 0), 1772359200250);
    json_decref(x);
    json_decref(y);
    transcript_fini(&a);
    transcript_fini(&b);
}
END_TEST

START_TEST(test_kept)
{
    struct transcript t = {0};
    json_t *list =
               entries(MSG("1", "null", "user") "{\"type\":\"custom\",\"id\":\"2\",\"parentId\":"
                                                "\"1\"}\n" MSG("3", "\"2\"", "user")
                                                    COMPACTION("4", "\"3\"", "2"),
                       &t),
           *doc;
    struct err e = ERR_INIT;

    ck_assert_uint_eq(json_array_size(list), 3);
    ck_assert_int_eq(json_parse(json_view(json_array_get(list, 2), "text"), &doc, &e), 0);
    ck_assert_int_eq(json_i64(json_at(doc, "__openclaw"), "firstKeptSeq", 0), 2);
    json_decref(doc);
    json_decref(list);
    transcript_fini(&t);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_lines, 0, (int)COUNT_OF(rows));
    tcase_add_test(tc, test_ids);
    tcase_add_test(tc, test_kept);
}
CK_MAIN("import")
