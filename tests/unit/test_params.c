/* The parameter notation: compiled, checked, and complained about in the words stock clients show.
 */
#include "ck.h"
#include "json.h"
#include "params.h"
#include "rpc.h"

static const struct {
    const char *notation, *value, *want; /* want "" = fits */
} cases[] = {
    {"", "{}", ""},
    {"", "{\"x\":1}", "at root: unexpected property 'x'"},
    {"...", "{\"x\":1}", ""},
    {"a!:str", "{}", "must have required property 'a'"},
    {"a!:str, b!:int", "{}", "must have required property 'a'; must have required property 'b'"},
    {"a!:str", "{\"b\":1}", "must have required property 'a'; at root: unexpected property 'b'"},
    {"a!:str", "[]", "must be object"},
    {"a!:str", "null", "must be object"},
    {"a:str", "{\"a\":5}", "at /a: must be string"},
    {"a:str", "{\"a\":\"\"}", "at /a: must not have fewer than 1 characters"},
    {"a:text", "{\"a\":\"\"}", ""},
    {"a:str(..3)", "{\"a\":\"ab\"}", ""},
    {"a:str(..3)", "{\"a\":\"abc\"}", ""},
    {"a:str(..3)", "{\"a\":\"abcd\"}", "at /a: must not have more than 3 characters"},
    {"a:str(..3)", "{\"a\":\"\xc3\xa4\xc3\xb6\xc3\xbc\"}", ""},
    {"a:str(2..3)", "{\"a\":\"x\"}", "at /a: must not have fewer than 2 characters"},
    {"a:text(..2)", "{\"a\":\"abc\"}", "at /a: must not have more than 2 characters"},
    {"a:int", "{\"a\":1.5}", "at /a: must be integer"},
    {"a:int", "{\"a\":2.0}", ""},
    {"a:int", "{\"a\":\"1\"}", "at /a: must be integer"},
    {"a:int(1..1000)", "{\"a\":0}", "at /a: must be >= 1"},
    {"a:int(1..1000)", "{\"a\":1}", ""},
    {"a:int(1..1000)", "{\"a\":1000}", ""},
    {"a:int(1..1000)", "{\"a\":1001}", "at /a: must be <= 1000"},
    {"a:int(0..)", "{\"a\":-1}", "at /a: must be >= 0"},
    {"a:num", "{\"a\":1.5}", ""},
    {"a:num", "{\"a\":true}", "at /a: must be number"},
    {"a:bool", "{\"a\":0}", "at /a: must be boolean"},
    {"a:any", "{\"a\":null}", ""},
    {"a:object", "{\"a\":[]}", "at /a: must be object"},
    {"a:hex64", "{\"a\":\"12\"}", "at /a: must match pattern \"^[a-fA-F0-9]{64}$\""},
    {"a:x/y", "{\"a\":\"y\"}", ""},
    {"a:x/y", "{\"a\":\"z\"}", "at /a: must be equal to one of the allowed values"},
    {"a:x", "{\"a\":\"z\"}", "at /a: must be equal to constant"},
    {"a:x/y/null", "{\"a\":null}", ""},
    {"a:true", "{\"a\":true}", ""},
    {"a:true", "{\"a\":false}", "at /a: must be equal to constant"},
    {"a:true", "{\"a\":\"true\"}", "at /a: must be equal to constant"},
    {"a:bool/auto", "{\"a\":\"auto\"}", ""},
    {"a:1/null", "{\"a\":1}", ""},
    {"a:1/null", "{\"a\":2}",
     "at /a: must be equal to one of the allowed values; at /a: must be null; at /a: must match a "
     "schema in anyOf"},
    {"a:str/null", "{\"a\":1}",
     "at /a: must be string; at /a: must be null; at /a: must match a schema in anyOf"},
    {"a:[str]", "{\"a\":[\"x\",\"\"]}", "at /a/1: must not have fewer than 1 characters"},
    {"a:[str(..4)](1..2)", "{\"a\":[]}", "at /a: must not have fewer than 1 items"},
    {"a:[str(..4)](1..2)", "{\"a\":[\"x\",\"y\"]}", ""},
    {"a:[str(..4)](1..2)", "{\"a\":[\"x\",\"y\",\"z\"]}", "at /a: must not have more than 2 items"},
    {"a:[x/y]", "{\"a\":[\"x\",\"z\"]}", "at /a/1: must be equal to one of the allowed values"},
    {"a!:{b!:str, c:int}", "{\"a\":{}}", "at /a: must have required property 'b'"},
    {"a!:{b!:str, c:int}", "{\"a\":{\"b\":\"x\",\"d\":1}}", "at /a: unexpected property 'd'"},
    {"a!:{b!:str, ...}", "{\"a\":{\"b\":\"x\",\"d\":1}}", ""},
    {"a:{b:{c:int}}", "{\"a\":{\"b\":{\"c\":\"x\"}}}", "at /a/b/c: must be integer"},
    {"a:str, b:bool", "{\"a\":1,\"b\":1}", "at /a: must be string; at /b: must be boolean"},
};

START_TEST(test_check)
{
    struct buf why = BUF_INIT(PARAMS_TEXT_MAX);
    struct params *p = NULL;
    struct err e = ERR_INIT;
    json_t *v = NULL;
    bool ok;

    ck_assert_msg(params_compile(&p, cases[_i].notation, &e) == 0, "%s: %s", cases[_i].notation,
                  e.text);
    ck_assert(json_parse(view_str(cases[_i].value), &v, &e) == 0);
    ok = params_check(p, v, &why);
    buf_put_char(&why, '\0');
    ck_assert_msg(ok == (cases[_i].want[0] == '\0'), "%s with %s: %s", cases[_i].notation,
                  cases[_i].value, why.p);
    ck_assert_str_eq(why.p, cases[_i].want);
    ck_assert(params_check(p, v, NULL) == ok);
    buf_fini(&why);
    json_decref(v);
    params_free(&p);
}
END_TEST

static const char *const broken[] = {
    "a",         "a:",       "a!str",   ":str",     "a:str,",
    "a:[str",    "a:{b:str", "a:str(3", "a:str(3.", "a:str(..",
    "a:str b:x", "a:int(1)", "a:[]",    "a:str/",   "a:[[[[[[[[[str]]]]]]]]]",
    "... a:str"};

START_TEST(test_broken)
{
    struct params *p = NULL;
    struct err e = ERR_INIT;

    ck_assert_msg(params_compile(&p, broken[_i], &e) == ERR_INVALID, "%s", broken[_i]);
    ck_assert_ptr_null(p);
}
END_TEST

START_TEST(test_table)
{
    for (unsigned i = 0; i < RPC_COUNT; i++) {
        const struct rpc_row *row = rpc_row((enum rpc_index)i);
        enum scope known = SCOPE_ANY;
        struct params *p = NULL;
        struct err e = ERR_INIT;

        ck_assert_msg(params_compile(&p, row->params, &e) == 0, "%.*s: %s", VIEW_FMT(row->name),
                      e.text);
        params_free(&p);
        ck_assert_msg(rpc_find(row->name) == i, "%.*s: another row has that name",
                      VIEW_FMT(row->name));
        /* the table of all known methods agrees; sessions.* let the narrow scopes do */
        if (rpc_known(row->name, &known) && !(row->flags & RPC_HIDDEN))
            ck_assert_msg(known == row->scope ||
                              /* any operator, for himself (protocol, 3.3) */
                              view_starts(row->name, V("device.scopes.")) ||
                              (known == SCOPE_READ && row->scope == SCOPE_SESSIONS_READ) ||
                              ((known == SCOPE_WRITE || known == SCOPE_DYNAMIC) &&
                               row->scope == SCOPE_SESSIONS_WRITE),
                          "%.*s: scope differs from methods.def", VIEW_FMT(row->name));
    }
}
END_TEST

START_TEST(test_alias)
{
    ck_assert_int_eq(rpc_find(V("sessions")), RPC_sessions_list);
    ck_assert_int_eq(rpc_find(V("config")), RPC_config_get);
    ck_assert_int_eq(rpc_find(V("sessionss")), RPC_COUNT);
    ck_assert_int_eq(rpc_find(VIEW_EMPTY), RPC_COUNT);
}
END_TEST

START_TEST(test_many_complaints)
{
    struct buf why = BUF_INIT(PARAMS_TEXT_MAX);
    json_t *v = json_object(), *list = json_array();
    struct params *p = NULL;
    struct err e = ERR_INIT;
    unsigned count = 1;

    for (int i = 0; i < 1000; i++)
        json_array_append_new(list, json_integer(i));
    json_object_set_new(v, "a", list);
    ck_assert(params_compile(&p, "a:[str]", &e) == 0);
    ck_assert(!params_check(p, v, &why));
    for (size_t i = 0; i < why.n; i++)
        count += why.p[i] == ';';
    ck_assert_uint_eq(count, PARAMS_ERRORS_MAX);
    buf_fini(&why);
    json_decref(v);
    params_free(&p);
}
END_TEST

START_TEST(test_no_memory)
{
    for (uint64_t n = 1;; n++) {
        struct params *p = NULL;
        struct err e = ERR_INIT;
        int r;

        mem_fail_after(n, 1);
        r = params_compile(&p, "a!:str(..3), b:[{c:int/null}](1..2), ...", &e);
        mem_fail_after(0, 0);
        params_free(&p);
        if (r == 0)
            break;
        ck_assert_int_eq(r, ERR_NOMEM);
    }
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_check, 0, (int)COUNT_OF(cases));
    tcase_add_loop_test(tc, test_broken, 0, (int)COUNT_OF(broken));
    tcase_add_test(tc, test_table);
    tcase_add_test(tc, test_alias);
    tcase_add_test(tc, test_many_complaints);
    tcase_add_test(tc, test_no_memory);
}

CK_MAIN("params")
