/* jscan against RFC 8259, row by row, and against jansson wherever jansson follows it. */
#include "ck.h"
#include "jscan.h"
#include "json.h"
#include "mem.h"

#include <inttypes.h>
#include <stdio.h>

#define OK  0
#define BAD ERR_INVALID
#define T(lit)                                                                                     \
    {                                                                                              \
        lit, sizeof(lit) - 1                                                                       \
    }
#define X5(s)    s s s s s
#define X20(s)   X5(s) X5(s) X5(s) X5(s)
#define X100(s)  X20(s) X20(s) X20(s) X20(s) X20(s)
#define X300(s)  X100(s) X100(s) X100(s)
#define NINES308 X300("9") "99999999"
/* 2^1024 - 2^970: the least number that rounds to infinity */
#define LEAST_INF                                                                                  \
    "1797693134862315807937289714053034150799341327100378269361737789804449682927647509466490"     \
    "1797758720709633028641669288791094655554785194040263065748867150582068190890200070838367"     \
    "6273854845817711531764475730270069855571366959622842914819860834936475292719074168444365"     \
    "510704342711559699508093042880177904174497792"
#define BELOW_INF                                                                                  \
    "1797693134862315807937289714053034150799341327100378269361737789804449682927647509466490"     \
    "1797758720709633028641669288791094655554785194040263065748867150582068190890200070838367"     \
    "6273854845817711531764475730270069855571366959622842914819860834936475292719074168444365"     \
    "510704342711559699508093042880177904174497791.999"

static const struct {
    struct view text;
    int want;
    bool only_us; /* jansson differs: why is said in the row */
} docs[] = {
    /* values */
    {T("null"), OK, false},
    {T("true"), OK, false},
    {T("false"), OK, false},
    {T("\"\""), OK, false},
    {T("[]"), OK, false},
    {T("{}"), OK, false},
    {T(" null "), OK, false},
    {T("\t\n\r []\t\n\r "), OK, false},
    {T("[ ]"), OK, false},
    {T("{ }"), OK, false},
    {T("[[]]"), OK, false},
    {T("[{}]"), OK, false},
    {T("{\"\":{}}"), OK, false},
    {T("{\"a\":[]}"), OK, false},
    {T("[null,true,false,0,\"\",[],{}]"), OK, false},
    {T("[ 1 , 2 ]"), OK, false},
    {T("{ \"a\" : 1 , \"b\" : 2 }"), OK, false},
    {T("{\"a\":{\"a\":{\"a\":1}}}"), OK, false},
    {T("[{\"a\":1},{\"a\":1}]"), OK, false},
    {T("{\"a\":{\"b\":1},\"b\":{\"b\":1}}"), OK, false},
    /* no value, broken words */
    {T(""), BAD, false},
    {T(" "), BAD, false},
    {T("\n"), BAD, false},
    {T("nul"), BAD, false},
    {T("nulll"), BAD, false},
    {T("Null"), BAD, false},
    {T("NULL"), BAD, false},
    {T("n"), BAD, false},
    {T("tru"), BAD, false},
    {T("True"), BAD, false},
    {T("true1"), BAD, false},
    {T("truefalse"), BAD, false},
    {T("fals"), BAD, false},
    {T("falsE"), BAD, false},
    {T("undefined"), BAD, false},
    {T("NaN"), BAD, false},
    {T("Infinity"), BAD, false},
    {T("-Infinity"), BAD, false},
    {T("inf"), BAD, false},
    {T("nan"), BAD, false},
    {T("a"), BAD, false},
    {T("'a'"), BAD, false},
    {T("`a`"), BAD, false},
    {T("/"), BAD, false},
    {T("// c\n1"), BAD, false},
    {T("/* c */1"), BAD, false},
    {T("1 // c"), BAD, false},
    {T("#1"), BAD, false},
    {T("\xef\xbb\xbf{}"), BAD, false},
    {T("\xc2\xa0{}"), BAD, false},
    {T("\v{}"), BAD, false},
    {T("\f{}"), BAD, false},
    {T("{}\f"), BAD, false},
    {T("{}\xe2\x80\xa8"), BAD, false},
    {T("\0"), BAD, false},
    {T("{}\0"), BAD, true}, /* jansson drops the NUL, as in the next two */
    {T("1\0"), BAD, true},
    {T("[1\0]"), BAD, true},
    {T("[\0001]"), BAD, false},
    /* more than one value */
    {T("1 2"), BAD, false},
    {T("{} {}"), BAD, false},
    {T("[][]"), BAD, false},
    {T("\"\"\"\""), BAD, false},
    {T("null,"), BAD, false},
    {T(",null"), BAD, false},
    {T("]"), BAD, false},
    {T("}"), BAD, false},
    {T(":"), BAD, false},
    {T(","), BAD, false},
    {T("{}}"), BAD, false},
    {T("[]]"), BAD, false},
    {T("1}"), BAD, false},
    /* arrays */
    {T("["), BAD, false},
    {T("[1"), BAD, false},
    {T("[1,"), BAD, false},
    {T("[1,]"), BAD, false},
    {T("[,1]"), BAD, false},
    {T("[,]"), BAD, false},
    {T("[1,,2]"), BAD, false},
    {T("[1 2]"), BAD, false},
    {T("[1;2]"), BAD, false},
    {T("[1:2]"), BAD, false},
    {T("[1}"), BAD, false},
    {T("[}"), BAD, false},
    {T("[\"a\":1]"), BAD, false},
    {T("[\"a\""), BAD, false},
    {T("[[]"), BAD, false},
    {T("[]1"), BAD, false},
    {T("[1]x"), BAD, false},
    {T("[*]"), BAD, false},
    /* objects */
    {T("{"), BAD, false},
    {T("{\""), BAD, false},
    {T("{\"a"), BAD, false},
    {T("{\"a\""), BAD, false},
    {T("{\"a\":"), BAD, false},
    {T("{\"a\":1"), BAD, false},
    {T("{\"a\":1,"), BAD, false},
    {T("{\"a\":1,}"), BAD, false},
    {T("{,\"a\":1}"), BAD, false},
    {T("{,}"), BAD, false},
    {T("{\"a\":1,,\"b\":2}"), BAD, false},
    {T("{\"a\" 1}"), BAD, false},
    {T("{\"a\"::1}"), BAD, false},
    {T("{\"a\":}"), BAD, false},
    {T("{\"a\"}"), BAD, false},
    {T("{\"a\",\"b\"}"), BAD, false},
    {T("{\"a\":1 \"b\":2}"), BAD, false},
    {T("{\"a\":1]"), BAD, false},
    {T("{]"), BAD, false},
    {T("{a:1}"), BAD, false},
    {T("{'a':1}"), BAD, false},
    {T("{1:1}"), BAD, false},
    {T("{null:1}"), BAD, false},
    {T("{[]:1}"), BAD, false},
    {T("{\"a\"=1}"), BAD, false},
    {T("{\"a\":1:2}"), BAD, false},
    {T("{:1}"), BAD, false},
    {T("{\"a\\\":1}"), BAD, false},
    {T("{\"\xff\":1}"), BAD, false},
    {T("{\"a\n\":1}"), BAD, false},
    /* the same key twice */
    {T("{\"a\":1,\"a\":1}"), BAD, false},
    {T("{\"\":1,\"\":2}"), BAD, false},
    {T("{\"a\":1,\"b\":2,\"a\":3}"), BAD, false},
    {T("{\"a\":1,\"\\u0061\":2}"), BAD, false},
    {T("{\"\\u0061\":1,\"a\":2}"), BAD, false},
    {T("{\"\\u0061b\":1,\"a\\u0062\":2}"), BAD, false},
    {T("{\"\\/\":1,\"/\":2}"), BAD, false},
    {T("{\"\\n\":1,\"\\u000A\":2}"), BAD, false},
    {T("{\"\\u00e9\":1,\"\xc3\xa9\":2}"), BAD, false},
    {T("{\"\\uD83D\\uDE00\":1,\"\xf0\x9f\x98\x80\":2}"), BAD, false},
    {T("{\"\\ud83d\\ude00\":1,\"\\uD83D\\uDE00\":2}"), BAD, false},
    {T("{\"\\u20ac\":1,\"\\u20AC\":2}"), BAD, false},
    {T("[[{\"x\":{\"a\":1,\"b\":{},\"a\":3}}]]"), BAD, false},
    {T("{\"a\":{\"c\":1},\"b\":{\"c\":1},\"a\":1}"), BAD, false},
    {T("{\"\\u0000\":1,\"\\u0000\":2}"), BAD, false},
    {T("{\"\\u0000\":1,\"\\u0000a\":2}"), OK, true}, /* jansson: no NUL in keys */
    {T("{\"a\":1,\"A\":2}"), OK, false},
    {T("{\"a\":1,\"a \":2}"), OK, false},
    {T("{\"a\":1,\"\\\\u0061\":2}"), OK, false},
    {T("{\"a\":1,\"aa\":2,\"\":3}"), OK, false},
    {T("{\"\xc3\xa9\":1,\"e\xcc\x81\":2}"), OK, false}, /* no Unicode normalisation */
    {T("{\"__proto__\":1,\"constructor\":2}"), OK, false},
    /* strings */
    {T("\"a\""), OK, false},
    {T("\"\x7f\""), OK, false},
    {T("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), OK, false},
    {T("\"/\""), OK, false},
    {T("\"\\u0000\""), OK, false},
    {T("\"a\\u0000b\""), OK, false},
    {T("\"\\u001f\\u007F\\uFFFF\\ufffe\""), OK, false},
    {T("\"\\uaBcD\""), OK, false},
    {T("\"\\\\u0061\""), OK, false},
    {T("\"\\uD800\\uDC00\""), OK, false},
    {T("\"\\udbff\\udfff\""), OK, false},
    {T("\"\\uD7FF\\uE000\""), OK, false},
    {T("\"\xc2\x80\xdf\xbf\""), OK, false},
    {T("\"\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\""), OK, false},
    {T("\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\""), OK, false},
    {T("\"\xe2\x80\xa8\xe2\x80\xa9\xef\xbb\xbf\""), OK, false},
    {T("\"12345678\xc3\xa9\x31\x32\x33\x34\x35\x36\x37\x38\""), OK, false},
    {T("\""), BAD, false},
    {T("\"a"), BAD, false},
    {T("\"\\\""), BAD, false},
    {T("\"\\"), BAD, false},
    {T("a\""), BAD, false},
    {T("\"\"\""), BAD, false},
    {T("\"\t\""), BAD, false},
    {T("\"\n\""), BAD, false},
    {T("\"\x1f\""), BAD, false},
    {T("\"\0\""), BAD, false},
    {T("\"12345678\n\""), BAD, false},
    {T("\"\\a\""), BAD, false},
    {T("\"\\v\""), BAD, false},
    {T("\"\\0\""), BAD, false},
    {T("\"\\'\""), BAD, false},
    {T("\"\\x41\""), BAD, false},
    {T("\"\\N\""), BAD, false},
    {T("\"\\ \""), BAD, false},
    {T("\"\\\n\""), BAD, false},
    {T("\"\\\0\""), BAD, false},
    {T("\"\\\xc3\xa9\""), BAD, false},
    {T("\"\\u\""), BAD, false},
    {T("\"\\u1\""), BAD, false},
    {T("\"\\u12\""), BAD, false},
    {T("\"\\u123\""), BAD, false},
    {T("\"\\u123g\""), BAD, false},
    {T("\"\\u 123\""), BAD, false},
    {T("\"\\u+123\""), BAD, false},
    {T("\"\\u-123\""), BAD, false},
    {T("\"\\U0041\""), BAD, false},
    {T("\"\\u{41}\""), BAD, false},
    {T("\"\\u004"), BAD, false},
    {T("\"\\uD800\""), BAD, false},
    {T("\"\\uDC00\""), BAD, false},
    {T("\"\\uDBFFx\""), BAD, false},
    {T("\"\\uD800\\n\""), BAD, false},
    {T("\"\\uD800\\uD800\""), BAD, false},
    {T("\"\\uD800\\u0041\""), BAD, false},
    {T("\"\\uD800\\uE000\""), BAD, false},
    {T("\"\\uDC00\\uD800\""), BAD, false},
    {T("\"\\uD800\\uDC0\""), BAD, false},
    {T("\"\x80\""), BAD, false},
    {T("\"\xbf\""), BAD, false},
    {T("\"\xff\""), BAD, false},
    {T("\"\xfe\""), BAD, false},
    {T("\"\xc3\""), BAD, false},
    {T("\"\xc3"), BAD, false},
    {T("\"\xe2\x82\""), BAD, false},
    {T("\"\xf0\x9f\x98\""), BAD, false},
    {T("\"\xc0\x80\""), BAD, false},
    {T("\"\xc1\xbf\""), BAD, false},
    {T("\"\xe0\x80\x80\""), BAD, false},
    {T("\"\xe0\x9f\xbf\""), BAD, false},
    {T("\"\xf0\x80\x80\x80\""), BAD, false},
    {T("\"\xf0\x8f\xbf\xbf\""), BAD, false},
    {T("\"\xed\xa0\x80\""), BAD, false},
    {T("\"\xed\xbf\xbf\""), BAD, false},
    {T("\"\xed\xa0\x80\xed\xb0\x80\""), BAD, false},
    {T("\"\xf4\x90\x80\x80\""), BAD, false},
    {T("\"\xf5\x80\x80\x80\""), BAD, false},
    {T("\"\xf8\x88\x80\x80\x80\""), BAD, false},
    {T("\"\xc3\x28\""), BAD, false},
    {T("\"\xc3\\u00a9\""), BAD, false},
    {T("\"\xc3\xa9\xa9\""), BAD, false},
    {T("[\xc3\xa9]"), BAD, false},
    /* numbers */
    {T("0"), OK, false},
    {T("-0"), OK, false},
    {T("1"), OK, false},
    {T("-1"), OK, false},
    {T("10"), OK, false},
    {T("0.0"), OK, false},
    {T("-0.0"), OK, false},
    {T("0.5"), OK, false},
    {T("1.25"), OK, false},
    {T("0e0"), OK, false},
    {T("0E+0"), OK, false},
    {T("0e-0"), OK, false},
    {T("1e5"), OK, false},
    {T("1E5"), OK, false},
    {T("1e+5"), OK, false},
    {T("1e-5"), OK, false},
    {T("1.5e05"), OK, false},
    {T("-1.5E-007"), OK, false},
    {T("1e0000000000000000000005"), OK, false},
    {T("999999999999999999"), OK, false},
    {T("9223372036854775807"), OK, false},
    {T("-9223372036854775807"), OK, false},
    {T("-9223372036854775808"), OK, false},
    {T("9223372036854775808.0"), OK, false},
    {T("9223372036854775808e0"), OK, false},
    {T("0." X100("0") "1"), OK, false},
    {T("1." X300("7")), OK, false},
    {T("1e308"), OK, false},
    {T("-1e308"), OK, false},
    {T("1.7976931348623157e308"), OK, false},
    {T("1.7976931348623158e308"), OK, false},
    {T("-1.7976931348623157e+308"), OK, false},
    {T("17976931348623157e292"), OK, false},
    {T("0.00000017976931348623157e315"), OK, false},
    {T("0." X300("0") "1e600"), OK, false},
    {T("0." X300("0") "1e609"), OK, false},
    {T("0." X300("0") "1e610"), BAD, false},
    {T("0e999999999999999999999"), OK, false},
    {T("0.000e400"), OK, false},
    {T("-0.0e99999"), OK, false},
    {T("1e-400"), OK, false},
    {T("1e-999999999999999999999"), OK, false},
    {T("5e-324"), OK, false},
    {T("2e-324"), OK, false},
    {T(NINES308 ".0"), OK, false},
    {T("1" X300("0") "e8"), OK, false},
    {T("1" X300("0") "0e-1"), OK, false},
    {T(BELOW_INF), OK, false},
    {T(LEAST_INF ".0"), BAD, false},
    {T(LEAST_INF "e0"), BAD, false},
    {T(BELOW_INF "e1"), BAD, false},
    {T("1.7976931348623159e308"), BAD, false},
    {T("1e309"), BAD, false},
    {T("-1e309"), BAD, false},
    {T("1e+309"), BAD, false},
    {T("1e999999999999999999999"), BAD, false},
    {T("0.1e310"), BAD, false},
    {T("1" X300("0") "e9"), BAD, false},
    {T(NINES308 "9.0"), BAD, false},
    {T("9223372036854775808"), BAD, false},
    {T("-9223372036854775809"), BAD, false},
    {T("9223372036854775810"), BAD, false},
    {T("10000000000000000000"), BAD, false},
    {T("-10000000000000000000"), BAD, false},
    {T("18446744073709551616"), BAD, false},
    {T("[" X300("9") "]"), BAD, false},
    {T("-"), BAD, false},
    {T("+"), BAD, false},
    {T("+1"), BAD, false},
    {T("--1"), BAD, false},
    {T("- 1"), BAD, false},
    {T("-a"), BAD, false},
    {T("00"), BAD, false},
    {T("01"), BAD, false},
    {T("-01"), BAD, false},
    {T("-00"), BAD, false},
    {T("0 1"), BAD, false},
    {T("1."), BAD, false},
    {T("-1."), BAD, false},
    {T(".5"), BAD, false},
    {T("-.5"), BAD, false},
    {T("1.e5"), BAD, false},
    {T("1.5."), BAD, false},
    {T("1.5.5"), BAD, false},
    {T("1e"), BAD, false},
    {T("1E"), BAD, false},
    {T("1e+"), BAD, false},
    {T("1e-"), BAD, false},
    {T("1e+-1"), BAD, false},
    {T("1ee1"), BAD, false},
    {T("1e1.5"), BAD, false},
    {T("1e1e1"), BAD, false},
    {T("e1"), BAD, false},
    {T("0x1"), BAD, false},
    {T("0b1"), BAD, false},
    {T("1_000"), BAD, false},
    {T("1,000"), BAD, false},
    {T("1f"), BAD, false},
    {T("1n"), BAD, false},
    {T("[1.]"), BAD, false},
    {T("[1e]"), BAD, false},
    {T("[-]"), BAD, false},
    {T("\xef\xbc\x91"), BAD, false}, /* a full width digit */
};

/* jscan and jscan_check agree on text; what they say. */
static int both(struct view text)
{
    static struct jscan s;
    struct err e = ERR_INIT, e2 = ERR_INIT;
    int r = jscan_check(text, &e), r2 = jscan(text, &s, &e2);

    ck_assert_msg(r == r2, "%.*s: %d and %d", VIEW_FMT(text), r, r2);
    ck_assert_msg(r == e.code, "%.*s: %d, error says %d", VIEW_FMT(text), r, e.code);
    ck_assert(r == 0 || s.count == 0);
    return r;
}

static int jansson(struct view text)
{
    struct err e = ERR_INIT;
    json_t *doc = NULL;
    int r = json_parse(text, &doc, &e);

    json_decref(doc);
    return r;
}

/* text alone, at the exact end of its memory, and as a part of larger texts. */
START_TEST(test_docs)
{
    static const struct {
        struct view before, after;
    } around[] = {{T(""), T("")}, {T(" \n"), T("\t\r")}, {T("["), T("]")}, {T("{\"k\":"), T(" }")}};
    struct view t = docs[_i].text;

    for (size_t i = 0; i < COUNT_OF(around); i++) {
        struct view pre = around[i].before, post = around[i].after;
        size_t n = pre.n + t.n + post.n;
        char *copy = mem_alloc(n);
        int want = docs[_i].want;

        /* the brackets make some broken texts whole */
        if (i >= 2 && (view_eq(t, V("")) || view_eq(t, V(" ")) || view_eq(t, V("\n"))))
            want = i == 2 ? OK : BAD;
        if (i == 2 && (view_eq(t, V("1 // c")) || view_eq(t, V("[][]"))))
            want = BAD;
        if (i == 2 && view_eq(t, V("1,000")))
            want = BAD;
        memcpy(copy, pre.p, pre.n);
        memcpy(copy + pre.n, t.p, t.n);
        memcpy(copy + pre.n + t.n, post.p, post.n);
        ck_assert_msg(both(view_of(copy, n)) == want, "%.*s", (int)n, copy);
        if (!docs[_i].only_us && !(i && memchr(t.p, 0, t.n)))
            ck_assert_msg(jansson(view_of(copy, n)) == want, "jansson: %.*s", (int)n, copy);
        mem_free(copy);
    }
}
END_TEST

/* Every prefix of a good text, and every byte changed: as jansson. */
START_TEST(test_mutations)
{
    static const char good[] = "{\"type\":\"req\",\"n\":[-12.5e+3,0,true,null,{\"\\ud83d\\ude00\":"
                               "\"h\xc3\xa9llo wor\xe2\x82"
                               "\xac ld\"}],\"k\":false}";
    size_t n = sizeof(good) - 1;
    char b[sizeof(good)];

    ck_assert_int_eq(both(view_of(good, n)), 0);
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(both(view_of(good, i)) == ERR_INVALID, "prefix %zu", i);
    for (size_t i = 0; i < n; i++)
        for (unsigned c = 1; c < 256; c++) {
            memcpy(b, good, sizeof(b));
            b[i] = (char)c;
            ck_assert_msg((both(view_of(b, n)) == 0) == (jansson(view_of(b, n)) == 0), "%s", b);
        }
}
END_TEST

/* Every byte at every place of a string: the fast path's words. */
START_TEST(test_string_bytes)
{
    for (size_t len = 0; len <= 20; len++)
        for (size_t at = 0; at < len; at++)
            for (unsigned c = 0; c < 256; c++) {
                char b[32] = "\"";
                bool want = c >= 0x20 && c != '"' && c != '\\' && c < 0x80;

                memset(b + 1, 'x', len);
                b[1 + at] = (char)c;
                b[1 + len] = '"';
                if (both(view_of(b, len + 2)) != (want ? 0 : ERR_INVALID))
                    ck_abort_msg("byte %02x at %zu of %zu", c, at, len);
            }
}
END_TEST

START_TEST(test_members)
{
    static const struct {
        struct view key, value;
        enum jscan_type type;
        bool plain;
    } want[] = {
        {V("type"), V("\"req\""), JSCAN_STRING, true},
        {V("id"), V("\"1\\n2\""), JSCAN_STRING, false},
        {V("params"), V("{\"a\":[1,{\"b\":\"c\"}] }"), JSCAN_OBJECT, false},
        {V("list"), V("[ [],\"\\\\\"]"), JSCAN_ARRAY, false},
        {V("n"), V("-1.5e3"), JSCAN_NUMBER, false},
        {V("t"), V("true"), JSCAN_BOOL, false},
        {V("z"), V("null"), JSCAN_NULL, false},
        {V(""), V("\"\""), JSCAN_STRING, true},
        {V("\\u0061"), V("{}"), JSCAN_OBJECT, false},
        {V("e"), V("[]"), JSCAN_ARRAY, false},
    };
    struct view text =
        V(" {\"type\" : \"req\" , \"id\":\"1\\n2\",\"params\": {\"a\":[1,{\"b\":\"c\"}] "
          "},\"list\":[ [],\"\\\\\"],\n\"n\":-1.5e3 ,\"t\":true,\"z\":null,\"\":\"\","
          "\"\\u0061\":{},\"e\":[]} ");
    struct jscan s;
    struct err e = ERR_INIT;
    char room[16];

    ck_assert_int_eq(jscan(text, &s, &e), 0);
    ck_assert_int_eq(s.type, JSCAN_OBJECT);
    ck_assert_uint_eq(s.count, COUNT_OF(want));
    for (size_t i = 0; i < COUNT_OF(want); i++) {
        const struct jscan_member *m = jscan_get(&s, want[i].key);

        ck_assert_msg(m == &s.member[i], "%s", want[i].key.p);
        ck_assert_msg(view_eq(m->value, want[i].value), "%s: %.*s", want[i].key.p,
                      VIEW_FMT(m->value));
        ck_assert_msg(m->type == want[i].type, "%s", want[i].key.p);
        ck_assert_msg(m->plain == want[i].plain, "%s", want[i].key.p);
    }
    ck_assert_ptr_null(jscan_get(&s, V("a")));
    ck_assert_uint_eq(jscan_unescape(want[1].value, room), 3);
    ck_assert(memcmp(room, "1\n2", 3) == 0);
    ck_assert_int_eq(jscan(V("[{\"a\":1}]"), &s, &e), 0);
    ck_assert_int_eq(s.type, JSCAN_ARRAY);
    ck_assert_uint_eq(s.count, 0);
    ck_assert_int_eq(jscan(V("{\"a\":1,\"b\"}"), &s, &e), ERR_INVALID);
    ck_assert_uint_eq(s.count, 0);
    ck_assert_str_eq(e.text, "JSON: byte 10: ':' is missing");
}
END_TEST

static const struct {
    struct view raw, want;
} texts[] = {
    {T("\"\""), T("")},
    {T("\"abc\""), T("abc")},
    {T("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), T("\"\\/\b\f\n\r\t")},
    {T("\"\\u0000\""), T("\0")},
    {T("\"\\u007f\\u0080\\u07ff\\u0800\\uffff\""),
     T("\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf")},
    {T("\"x\\ud800\\udc00y\\uDBFF\\uDFFF\""), T("x\xf0\x90\x80\x80y\xf4\x8f\xbf\xbf")},
    /* never checked: wrong text, but in bounds */
    {T("\"\\\""), T("\\")},
    {T("\"\\u12\""), T("u12")},
    {T("\"\\ud800\""), T("\xef\xbf\xbd")},
    {T("\""), T("")},
    {T(""), T("")},
};

START_TEST(test_unescape)
{
    struct view raw = texts[_i].raw;
    char *room = mem_alloc(raw.n);
    size_t n = jscan_unescape(raw, room);

    ck_assert_msg(view_eq(view_of(room, n), texts[_i].want), "%s: %.*s", raw.p, (int)n, room);
    mem_free(room);
}
END_TEST

/* count times before, middle, count times after. */
static struct view nested(struct buf *b, unsigned count, const char *before, const char *middle,
                          const char *after)
{
    buf_reset(b, SIZE_MAX);
    for (unsigned i = 0; i < count; i++)
        buf_put_str(b, before);
    buf_put_str(b, middle);
    for (unsigned i = 0; i < count; i++)
        buf_put_str(b, after);
    return buf_view(b);
}

START_TEST(test_depth)
{
    struct buf b = BUF_INIT(MIB);
    int want = _i > JSCAN_DEPTH_MAX ? ERR_LIMIT : 0;

    ck_assert_int_eq(both(nested(&b, (unsigned)_i, "[", "", "]")), want);
    ck_assert_int_eq(both(nested(&b, (unsigned)_i, "{\"a\":", "0", "}")), want);
    ck_assert_int_eq(both(nested(&b, 100000, "[", "", "]")), ERR_LIMIT);
    ck_assert_int_eq(both(nested(&b, 100000, "[", "", "")), ERR_LIMIT);
    buf_fini(&b);
}
END_TEST

/* {"<pre>0":0,"<pre>1":0,...}, then one more member when there is one. */
static struct view object(struct buf *b, unsigned count, const char *pre, const char *more)
{
    buf_reset(b, SIZE_MAX);
    buf_put_char(b, '{');
    for (unsigned i = 0; i < count; i++)
        buf_printf(b, "%s\"%s%u\":0", i ? "," : "", pre, i);
    if (more)
        buf_printf(b, ",\"%s\":1", more);
    buf_put_char(b, '}');
    return buf_view(b);
}

START_TEST(test_many_keys)
{
    static const unsigned counts[] = {1, 15, 16, 17, 18, 32, 63, 64, 65, 128, 129, 1000};
    unsigned count = counts[_i];
    struct buf b = BUF_INIT(16 * MIB), outer = BUF_INIT(16 * MIB);
    struct err e = ERR_INIT;

    ck_assert_int_eq(jscan_check(object(&b, count, "k", NULL), &e), 0);
    ck_assert_int_eq(jscan_check(object(&b, count, "\\u006b", "k"), &e), 0);
    for (unsigned i = 0; i < count; i++) {
        char again[32];

        (void)snprintf(again, sizeof(again), "k%u", i);
        ck_assert_msg(jscan_check(object(&b, count, "k", again), &e) == ERR_INVALID, "%s", again);
        ck_assert(jscan_check(object(&b, count, "\\u006b", again), &e) == ERR_INVALID);
        (void)snprintf(again, sizeof(again), "\\u006B%u", i);
        ck_assert(jscan_check(object(&b, count, "k", again), &e) == ERR_INVALID);
    }
    /* the same keys in an object and in the ones inside it are no conflict */
    (void)object(&b, count, "k", NULL);
    buf_put_char(&outer, '{');
    for (unsigned i = 0; i < 40; i++) {
        buf_printf(&outer, "%s\"k%u\":[1,", i ? "," : "", i);
        buf_put_view(&outer, buf_view(&b));
        buf_put_char(&outer, ']');
    }
    buf_put_str(&outer, "}");
    ck_assert_int_eq(jscan_check(buf_view(&outer), &e), 0);
    buf_cut(&outer, outer.n - 1);
    buf_put_str(&outer, ",\"k3\":0}");
    ck_assert_int_eq(jscan_check(buf_view(&outer), &e), ERR_INVALID);
    buf_fini(&b);
    buf_fini(&outer);
}
END_TEST

/* 64 levels with 16 keys each in front of the next: the stack of keys is full to the last place. */
START_TEST(test_all_levels_full)
{
    struct buf b = BUF_INIT(MIB), open = BUF_INIT(MIB);
    struct err e = ERR_INIT;

    (void)object(&open, 16, "k", NULL);
    buf_cut(&open, open.n - 2); /* ...,"k15": */
    buf_put_char(&open, '\0');
    ck_assert_int_eq(jscan_check(nested(&b, 64, open.p + open.off, "0", "}"), &e), 0);
    ck_assert_int_eq(jscan_check(nested(&b, 64, open.p + open.off, "0", ",\"k16\":1}"), &e), 0);
    ck_assert_int_eq(jscan_check(nested(&b, 64, open.p + open.off, "0", ",\"k7\":1}"), &e),
                     ERR_INVALID);
    buf_fini(&b);
    buf_fini(&open);
}
END_TEST

START_TEST(test_members_limit)
{
    struct buf b = BUF_INIT(16 * MIB);
    struct err e = ERR_INIT;
    int over = _i - JSCAN_MEMBERS_MAX;

    ck_assert_int_eq(jscan_check(object(&b, (unsigned)_i, "k", NULL), &e),
                     over > 0 ? ERR_LIMIT : 0);
    buf_reset(&b, SIZE_MAX);
    buf_put_str(&b, "[0");
    for (int i = 1; i < _i; i++)
        buf_put_str(&b, ",0");
    buf_put_str(&b, "]");
    ck_assert_int_eq(jscan_check(buf_view(&b), &e), over > 0 ? ERR_LIMIT : 0);
    buf_fini(&b);
}
END_TEST

START_TEST(test_top_limit)
{
    struct buf b = BUF_INIT(MIB);
    struct err e = ERR_INIT;
    struct jscan s;

    ck_assert_int_eq(jscan(object(&b, (unsigned)_i, "k", NULL), &s, &e),
                     _i > JSCAN_TOP_MAX ? ERR_LIMIT : 0);
    ck_assert_uint_eq(s.count, _i > JSCAN_TOP_MAX ? 0 : (unsigned)_i);
    ck_assert_int_eq(jscan_check(buf_view(&b), &e), 0);
    buf_fini(&b);
}
END_TEST

START_TEST(test_no_memory)
{
    struct buf b = BUF_INIT(MIB);
    struct err e = ERR_INIT;
    struct view v = object(&b, 1000, "k", NULL);
    uint64_t n = 0;
    int r;

    do {
        mem_fail_after(++n, 0);
        r = jscan_check(v, &e);
        ck_assert(r == 0 || r == ERR_NOMEM);
    } while (r < 0);
    mem_fail_after(0, 0);
    ck_assert_uint_gt(n, 2);
    v = object(&b, 16, "k", NULL);
    n = mem_count();
    ck_assert_int_eq(jscan_check(v, &e), 0);
    ck_assert_msg(mem_count() == n, "small objects take no memory");
    buf_fini(&b);
}
END_TEST

/* Numbers made of every count of digits and every exponent near the edge. */
START_TEST(test_edge_of_double)
{
    static const char *const digits[] = {"1", "17976931348623157", "17976931348623159", "9", "0"};

    for (size_t d = 0; d < COUNT_OF(digits); d++)
        for (int zeros = 0; zeros < 40; zeros++)
            for (int exp = 250; exp < 350; exp++) {
                char b[128];
                int n = snprintf(b, sizeof(b), "-0.%.*s%se%d", zeros,
                                 "0000000000000000000000000000000000000000", digits[d], exp);
                struct view v = view_of(b, (size_t)n);

                ck_assert_msg((both(v) == 0) == (jansson(v) == 0), "%s", b);
                n = snprintf(b, sizeof(b), "%s%.*se%d", digits[d][0] == '0' ? "1" : digits[d],
                             zeros, "0000000000000000000000000000000000000000", exp);
                v = view_of(b, (size_t)n);
                ck_assert_msg((both(v) == 0) == (jansson(v) == 0), "%s", b);
            }
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_docs, 0, (int)COUNT_OF(docs));
    tcase_add_test(tc, test_mutations);
    tcase_add_test(tc, test_string_bytes);
    tcase_add_test(tc, test_members);
    tcase_add_loop_test(tc, test_unescape, 0, (int)COUNT_OF(texts));
    tcase_add_loop_test(tc, test_depth, JSCAN_DEPTH_MAX - 1, JSCAN_DEPTH_MAX + 2);
    tcase_add_loop_test(tc, test_many_keys, 0, 12);
    tcase_add_test(tc, test_all_levels_full);
    tcase_add_loop_test(tc, test_members_limit, JSCAN_MEMBERS_MAX - 1, JSCAN_MEMBERS_MAX + 2);
    tcase_add_loop_test(tc, test_top_limit, JSCAN_TOP_MAX - 1, JSCAN_TOP_MAX + 2);
    tcase_add_test(tc, test_no_memory);
    tcase_add_test(tc, test_edge_of_double);
}
CK_MAIN("jscan")
