/* The list of tools behind a job's document: read once, and told to providers as it is. */
#include "ck.h"
#include "jw.h"
#include "mem.h"
#include "tools.h"

#include <string.h>

#define LIST                                                                                       \
    "[{\"name\":\"look\",\"description\":\"d\",\"parameters\":\"{\\\"type\\\":\\\"object\\\"}\"}]"

static const struct {
    const char *name;
    struct view text;
    size_t doc; /* bytes of the document */
    int want;
    bool list;
} rows[] = {
    {"none", {"{}", 2}, 2, 0, false},
    {"empty", {"", 0}, 0, 0, false},
    {"nothing behind it", {"{}\0", 3}, 2, 0, false},
    {"a list", {"{}\0" LIST, sizeof("{}\0" LIST) - 1}, 2, 0, true},
    {"broken", {"{}\0[", 4}, 2, ERR_INVALID, false},
};

START_TEST(test_take)
{
    struct tools_seen seen;
    struct view doc = rows[_i].text;
    json_t *list = NULL, *again = NULL;
    struct err e = ERR_INIT;

    tools_seen_init(&seen);
    ck_assert_msg(tools_take(&doc, &seen, &list, &e) == rows[_i].want, "%s: %s", rows[_i].name,
                  e.text);
    ck_assert_msg(doc.n == rows[_i].doc, "%s", rows[_i].name);
    ck_assert_msg((list != NULL) == rows[_i].list, "%s", rows[_i].name);
    if (rows[_i].list) {
        doc = rows[_i].text;
        ck_assert_int_eq(tools_take(&doc, &seen, &again, &e), 0);
        ck_assert_msg(again == list, "%s: read twice", rows[_i].name);
        json_decref(again);
        doc = view_of("{}\0[]", 5);
        ck_assert_int_eq(tools_take(&doc, &seen, &again, &e), 0);
        ck_assert_msg(again && again != list && json_array_size(again) == 0, "%s", rows[_i].name);
        json_decref(again);
        doc = rows[_i].text;
        ck_assert_int_eq(tools_take(&doc, NULL, &again, &e), 0);
        json_decref(again);
    }
    json_decref(list);
    tools_seen_fini(&seen);
}
END_TEST

START_TEST(test_told)
{
    struct buf b = BUF_INIT(4096);
    struct jw w = JW_INIT(&b);
    struct view doc = rows[3].text;
    json_t *list = NULL, *job = json_object();
    struct err e = ERR_INIT;

    ck_assert_int_eq(tools_take(&doc, NULL, &list, &e), 0);
    ck_assert_int_eq(json_object_set_new(job, "tools", list), 0);
    jw_obj(&w);
    ck_assert_int_eq(tools_openai(job, &w, &e), 0);
    ck_assert_int_eq(tools_anthropic(job, &w, &e), 0);
    ck_assert_msg(view_eq(buf_view(&b), V("{\"tools\":[{\"type\":\"function\",\"function\":{"
                                          "\"name\":\"look\",\"description\":\"d\","
                                          "\"parameters\":{\"type\":\"object\"}}}],\"tools\":[{"
                                          "\"name\":\"look\",\"description\":\"d\","
                                          "\"input_schema\":{\"type\":\"object\"}}]")),
                  "%.*s", VIEW_FMT(buf_view(&b)));
    json_decref(job);
    buf_fini(&b);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_take, 0, (int)COUNT_OF(rows));
    tcase_add_test(tc, test_told);
}
CK_MAIN("tools")
