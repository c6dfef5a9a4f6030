/* What stands in front of an answer, with what its braces mean. */
#include "ck.h"
#include "json.h"
#include "mem.h"
#include "prefix.h"

static const struct {
    const char *words, *vars, *want; /* vars NULL: not known; want NULL: nothing goes in front */
} rows[] = {
    {"", "{}", NULL},
    {"[bot]", NULL, "[bot]"},
    {" [bot] ", "{}", "[bot]"},
    {"[{model}]", "{\"model\":\"m-1\"}", "[m-1]"},
    {"[{MODEL} {modelFull}]", "{\"model\":\"m\",\"modelFull\":\"p/m\"}", "[m p/m]"},
    {"{provider}/{thinkingLevel}/{think}", "{\"provider\":\"p\",\"thinkingLevel\":\"high\"}",
     "p/high/high"},
    {"{identity.name}:", "{\"identityName\":\"Ada\"}", "Ada:"},
    {"{identityName}:", "{}", "{identityName}:"},
    {"[{model}]", NULL, NULL},
    {"{other}", NULL, "{other}"},
    {"{model", "{\"model\":\"m\"}", "{model"},
    {"{}{", "{}", "{}{"},
    {"auto", "{\"identityName\":\"Ada\"}", "[Ada]"},
    {"auto", "{}", NULL},
    {"auto", NULL, NULL},
};

START_TEST(test_prefix)
{
    struct buf b = BUF_INIT(4096);
    json_t *vars = rows[_i].vars ? json_loads(rows[_i].vars, 0, NULL) : NULL;
    bool any = prefix_write(view_str(rows[_i].words), vars, &b);

    ck_assert_msg(any == (rows[_i].want != NULL), "%s", rows[_i].words);
    if (any)
        ck_assert_msg(view_eq(buf_view(&b), view_str(rows[_i].want)), "%s: %.*s", rows[_i].words,
                      VIEW_FMT(buf_view(&b)));
    json_decref(vars);
    buf_fini(&b);
}
END_TEST

START_TEST(test_limit)
{
    char words[PREFIX_BYTES + 2];
    struct buf b = BUF_INIT(4096);

    memset(words, 'a', sizeof(words));
    ck_assert(prefix_write(view_of(words, PREFIX_BYTES), NULL, &b));
    ck_assert(!prefix_write(view_of(words, PREFIX_BYTES + 1), NULL, &b));
    buf_fini(&b);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_prefix, 0, (int)COUNT_OF(rows));
    tcase_add_test(tc, test_limit);
}

CK_MAIN("prefix")
