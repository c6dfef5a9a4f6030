/* Estimates against what two tokenizers count (data/tokens.json: texts of our own, counted with
 * o200k_base and cl100k_base). The file is named by TOKENS. */
#include "ck.h"
#include "fd.h"
#include "json.h"
#include "mem.h"
#include "tokens.h"

static const struct {
    const char *name, *json;
    uint64_t low, high;
} rows[] = {
    {"nothing", "\"\"", 0, 0},
    {"one word", "\"hi\"", 1, 1},
    {"escapes are characters", "\"a\\nb\\u00e9\\ud83d\\ude00\"", 4, 8},
    {"half an escape", "\"a\\", 1, 4},
    {"a cut \\u", "\"a\\u00", 1, 4},
    {"half a character", "\"\xe2\x82", 1, 8},
    {"a block", "[{\"type\":\"text\",\"text\":\"hello there\"}]", 5, 30},
    {"an image is not its bytes",
     "[{\"type\":\"image\",\"data\":\"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ\"}]", 1600,
     1640},
    {"an image without an end", "[{\"data\":\"iVBORw0KGgo\\", 1600, 1640},
};

START_TEST(test_json_forms)
{
    uint64_t n = tokens_json(view_str(rows[_i].json));

    ck_assert_msg(n >= rows[_i].low && n <= rows[_i].high, "%s: %llu", rows[_i].name,
                  (unsigned long long)n);
}
END_TEST

static json_t *table(void)
{
    struct buf b = BUF_INIT(1 * MIB);
    struct err e = ERR_INIT;
    json_t *doc = NULL;

    ck_assert_msg(getenv("TOKENS") != NULL, "TOKENS is not set");
    ck_assert_msg(fd_read_file(getenv("TOKENS"), 1 * MIB, &b, &e) == 0, "%s", e.text);
    ck_assert_msg(json_parse(buf_view(&b), &doc, &e) == 0, "%s", e.text);
    buf_fini(&b);
    return doc;
}

START_TEST(test_against_tokenizers)
{
    json_t *doc = table(), *row;
    size_t i;

    ck_assert_uint_ge(json_array_size(doc), 60);
    json_array_foreach(doc, i, row)
    {
        const char *name = json_string_value(json_object_get(row, "name"));
        int64_t a = json_i64(row, "o200k", 0), b = json_i64(row, "cl100k", 0), most = a > b ? a : b;
        int64_t n = (int64_t)tokens_text(json_view(row, "text"));

        ck_assert_msg(n * 10 >= most * 9, "%s: %lld, counted %lld", name, (long long)n,
                      (long long)most);
        if (view_eq(json_view(row, "kind"), V("prose")))
            ck_assert_msg(n * 10 <= most * 16 || n <= 2, "%s: %lld, counted %lld", name,
                          (long long)n, (long long)most);
        else
            ck_assert_msg(n * 10 <= most * 30 || n <= 12, "%s: %lld, counted %lld", name,
                          (long long)n, (long long)most);
    }
    json_decref(doc);
}
END_TEST

/* The same text as JSON is the same number of tokens. */
START_TEST(test_escaped_is_the_same)
{
    json_t *doc = table(), *row;
    size_t i;

    json_array_foreach(doc, i, row)
    {
        char *text = json_dumps(json_object_get(row, "text"), JSON_ENCODE_ANY),
             *ascii = json_dumps(json_object_get(row, "text"), JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
        uint64_t plain = tokens_text(json_view(row, "text"));

        ck_assert_uint_eq(tokens_json(view_str(text)), plain);
        ck_assert_uint_eq(tokens_json(view_str(ascii)), plain);
        free(text);
        free(ascii);
    }
    json_decref(doc);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_json_forms, 0, (int)(sizeof(rows) / sizeof(rows[0])));
    tcase_add_test(tc, test_against_tokenizers);
    tcase_add_test(tc, test_escaped_is_the_same);
}
CK_MAIN("tokens")
