#include "ck.h"
#include "json.h"
#include "json5.h"
#include "mem.h"

#define T(lit)                                                                                     \
    {                                                                                              \
        lit, sizeof(lit) - 1                                                                       \
    }

static const struct {
    struct view text;
    const char *want; /* as compact JSON */
} good[] = {
    {T("{}"), "{}"},
    {T("[]"), "[]"},
    {T(" null "), "null"},
    {T("true"), "true"},
    {T("false"), "false"},
    {T("{a:1}"), "{\"a\":1}"},
    {T("{a:1,}"), "{\"a\":1}"},
    {T("[1,]"), "[1]"},
    {T("[1,[2,],{b:[],},]"), "[1,[2],{\"b\":[]}]"},
    {T("{$x_1:1,_:2,A9:3}"), "{\"$x_1\":1,\"_\":2,\"A9\":3}"},
    {T("{null:1,true:2}"), "{\"null\":1,\"true\":2}"},
    {T("{'a b':1,\"c\":'d'}"), "{\"a b\":1,\"c\":\"d\"}"},
    {T("{\xc3\xa4:1}"), "{\"\xc3\xa4\":1}"},
    {T("// c\n1// d"), "1"},
    {T("/* a * / ** */1/**/"), "1"},
    {T("{/**/a/**/:/**/1/**/,/**/}"), "{\"a\":1}"},
    {T("//a\r1"), "1"},
    {T("//a\xe2\x80\xa8"
       "1"),
     "1"},
    {T("\xef\xbb\xbf\xc2\xa0\xe2\x80\x83\xe3\x80\x80\xe1\x9a\x80\xe2\x81\x9f\xe2\x80\xaf\v\f1"),
     "1"},
    {T("'it\\'s \"x\"'"), "\"it's \\\"x\\\"\""},
    {T("\"it's\""), "\"it's\""},
    {T("'\\b\\f\\n\\r\\t\\v\\\\\\/\\a\\q'"), "\"\\b\\f\\n\\r\\t\\u000B\\\\/aq\""},
    {T("'\\x41\\xe9\\u20ac\\uD83D\\uDE00'"), "\"A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
    {T("'\\0'"), "\"\\u0000\""},
    {T("'a\\\nb\\\r\nc\\\rd\\\xe2\x80\xa9"
       "e'"),
     "\"abcde\""},
    {T("'\xe2\x80\xa8\t'"), "\"\xe2\x80\xa8\\t\""},
    {T("'\\\xc3\xa9'"), "\"\xc3\xa9\""},
    {T("0"), "0"},
    {T("-0"), "0"},
    {T("+1"), "1"},
    {T("-12"), "-12"},
    {T("0x1F"), "31"},
    {T("-0Xff"), "-255"},
    {T("+0xdeadBEEF"), "3735928559"},
    {T("0x7fffffffffffffff"), "9223372036854775807"},
    {T("-0x8000000000000000"), "-9223372036854775808"},
    {T("0x00000000000000000001"), "1"},
    {T("9223372036854775807"), "9223372036854775807"},
    {T("-9223372036854775808"), "-9223372036854775808"},
    {T(".5"), "0.5"},
    {T("5."), "5.0"},
    {T("-.5e1"), "-5.0"},
    {T("5.e-1"), "0.5"},
    {T("1E3"), "1000.0"},
};

START_TEST(test_good)
{
    struct err e = ERR_INIT;
    struct buf b = BUF_INIT(1000);
    json_t *doc = NULL;

    ck_assert_msg(json5_parse(good[_i].text, &doc, &e) == 0, "%s: %s", good[_i].text.p, e.text);
    ck_assert_int_eq(json_dump(doc, &b, &e), 0);
    ck_assert_msg(view_eq(buf_view(&b), view_str(good[_i].want)), "%s: %.*s", good[_i].text.p,
                  VIEW_FMT(buf_view(&b)));
    json_decref(doc);
    buf_fini(&b);
}
END_TEST

static const struct {
    struct view text;
    const char *want;
} bad[] = {
    {T(""), "line 1, column 1: expected a value"},
    {T(" \n "), "line 2, column 2: expected a value"},
    {T("// x"), "line 1, column 5: expected a value"},
    {T("{\n  a: 1,\n  b 2\n}"), "line 3, column 5: expected ':' after key"},
    {T("{a:1 b:2}"), "line 1, column 6: expected ',' or '}'"},
    {T("{a:1,,}"), "line 1, column 6: expected a key or '}'"},
    {T("{,}"), "line 1, column 2: expected a key or '}'"},
    {T("{a:1"), "line 1, column 5: expected ',' or '}'"},
    {T("{a:"), "line 1, column 4: expected a value"},
    {T("{a:1,"), "line 1, column 6: expected a key or '}'"},
    {T("{1a:1}"), "line 1, column 2: expected a key or '}'"},
    {T("{\\u0061:1}"), "line 1, column 2: a key with escapes needs quotes"},
    {T("{'a\\0':1}"), "line 1, column 2: a key cannot hold NUL"},
    {T("{a:1,\r\n 'a':2}"), "line 2, column 2: the key is there already"},
    {T("{a:1,b:{c:1,\r'\\x63':2}}"), "line 2, column 1: the key is there already"},
    {T("[1 2]"), "line 1, column 4: expected ',' or ']'"},
    {T("[1,,2]"), "line 1, column 4: expected a value (strings need quotes)"},
    {T("[\n"), "line 2, column 1: expected a value or ']'"},
    {T("[1}"), "line 1, column 3: expected ',' or ']'"},
    {T("1 2"), "line 1, column 3: unexpected text after the value"},
    {T("{}}"), "line 1, column 3: unexpected text after the value"},
    {T("hello"), "line 1, column 1: expected a value (strings need quotes)"},
    {T("True"), "line 1, column 1: expected a value (strings need quotes)"},
    {T("Infinity"), "line 1, column 1: Infinity and NaN are not taken"},
    {T("[-Infinity]"), "line 1, column 2: Infinity and NaN are not taken"},
    {T("+NaN"), "line 1, column 1: Infinity and NaN are not taken"},
    {T("NaN"), "line 1, column 1: Infinity and NaN are not taken"},
    {T("012"), "line 1, column 1: a number cannot begin with 0"},
    {T("0x"), "line 1, column 3: expected a hexadecimal digit"},
    {T("0x8000000000000000"), "line 1, column 1: the number is out of range"},
    {T("-0x8000000000000001"), "line 1, column 1: the number is out of range"},
    {T("0xffffffffffffffffff"), "line 1, column 1: the number is out of range"},
    {T("9223372036854775808"), "line 1, column 1: the number is out of range"},
    {T("[ -9223372036854775809]"), "line 1, column 3: the number is out of range"},
    {T("1e309"), "line 1, column 1: the number is out of range"},
    {T("."), "line 1, column 2: expected a digit"},
    {T("-"), "line 1, column 2: expected a value"},
    {T("--1"), "line 1, column 2: expected a value"},
    {T("1e"), "line 1, column 3: expected a digit in the exponent"},
    {T("1x"), "line 1, column 2: unexpected text after the number"},
    {T("1.2.3"), "line 1, column 4: unexpected text after the value"},
    {T("'a"), "line 1, column 1: the string has no end on its line"},
    {T("['a\n']"), "line 1, column 2: the string has no end on its line"},
    {T("'a\\"), "line 1, column 3: the string has no end"},
    {T("'\\1'"), "line 1, column 2: a digit cannot follow a backslash"},
    {T("'\\01'"), "line 1, column 2: a digit cannot follow a backslash"},
    {T("'\\x4'"), "line 1, column 2: expected 2 hexadecimal digits after \\x"},
    {T("'\\u12'"), "line 1, column 2: expected 4 hexadecimal digits after \\u"},
    {T("'\xc3\xa9\\ud800'"), "line 1, column 3: half of a surrogate pair"},
    {T("'\\udc00'"), "line 1, column 2: half of a surrogate pair"},
    {T("'\x01'"), "line 1, column 2: control character in a string"},
    {T("'\\\x01'"), "line 1, column 3: control character in a string"},
    {T("/* x"), "line 1, column 1: the comment has no end"},
    {T("1 /*/"), "line 1, column 3: the comment has no end"},
    {T("/ 1"), "line 1, column 1: expected a comment after '/'"},
    {T("\n '\xc3\xa9\xe2\x82\xac\xc0\x80'"), "line 2, column 5: not UTF-8"},
    {T("'\xe2\x82"), "line 1, column 2: not UTF-8"},
    {T("\0"), "line 1, column 1: expected a value"},
};

START_TEST(test_bad)
{
    struct err e = ERR_INIT;
    json_t *doc = NULL;

    ck_assert_msg(json5_parse(bad[_i].text, &doc, &e) == ERR_INVALID, "%s", bad[_i].text.p);
    ck_assert_str_eq(e.text, bad[_i].want);
    ck_assert_ptr_null(doc);
}
END_TEST

START_TEST(test_depth)
{
    char text[2 * (JSON5_DEPTH_MAX + 1)];
    struct err e = ERR_INIT;
    size_t n = (size_t)_i;
    json_t *doc = NULL;

    memset(text, '[', n);
    memset(text + n, ']', n);
    ck_assert_int_eq(json5_parse(view_of(text, 2 * n), &doc, &e),
                     _i > JSON5_DEPTH_MAX ? ERR_LIMIT : 0);
    json_decref(doc);
}
END_TEST

START_TEST(test_length)
{
    struct err e = ERR_INIT;
    size_t n = (size_t)JSON5_TEXT_MAX - 1 + (size_t)_i;
    char *text = mem_alloc(n);
    json_t *doc = NULL;

    memset(text, 'x', n);
    text[0] = text[n - 1] = '\'';
    ck_assert_int_eq(json5_parse(view_of(text, n), &doc, &e), _i > 1 ? ERR_LIMIT : 0);
    ck_assert(_i > 1 || json_string_length(doc) == n - 2);
    json_decref(doc);
    memset(text, '9', n);
    doc = NULL;
    ck_assert_int_eq(json5_parse(view_of(text, n), &doc, &e), ERR_LIMIT);
    mem_free(text);
}
END_TEST

START_TEST(test_no_memory)
{
    struct view text = V("{a:'x', b:[1,2.5,{c:'d'}], 'e':0x1}");
    struct err e = ERR_INIT;
    uint64_t n = 0;
    int r;

    do {
        json_t *doc = NULL;

        mem_fail_after(++n, 0);
        r = json5_parse(text, &doc, &e);
        mem_fail_after(0, 0);
        ck_assert(r == 0 || (r == ERR_NOMEM && !doc));
        json_decref(doc);
    } while (r < 0);
    ck_assert_uint_gt(n, 3);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_good, 0, (int)COUNT_OF(good));
    tcase_add_loop_test(tc, test_bad, 0, (int)COUNT_OF(bad));
    tcase_add_loop_test(tc, test_depth, JSON5_DEPTH_MAX - 1, JSON5_DEPTH_MAX + 2);
    tcase_add_loop_test(tc, test_length, 0, 3);
    tcase_add_test(tc, test_no_memory);
}
CK_MAIN("json5")
