/* tests/unit/test_fetch.c - what a file from the network is called, however its server puts it. */
#include "ck.h"
#include "name.h"

#include <string.h>

#define U "https://host.example/"
static const struct {
    const char *disposition, *url, *want;
} names[] = {
    {"", U "cat.png", "cat.png"},
    {"", U "a/b/cat.png?size=2#x", "cat.png"},
    {"", U "a%20b%C3%A9.png", "a b\xc3\xa9.png"},
    {"", U "", ""},
    {"", "https://host.example", ""},
    {"", "https://host.example?x=/cat.png", ""},
    {"", U "a%2fb%5Cc%00d", "a_b_c_d"},
    {"", U "%2e%2e", ""},
    {"", U "..%2f..%2fetc", "_.._etc"},
    {"", U ".bashrc", "bashrc"},
    {"", U "100%", "100%"},
    {"", U "a%zz%4", "a%zz%4"},
    {"", U "%ff%fe", ""},
    {"attachment", U "x.bin", "x.bin"},
    {"attachment; filename=dog.jpg", U "x", "dog.jpg"},
    {"attachment; filename=\"a dog.jpg\"; size=3", U "x", "a dog.jpg"},
    {"attachment; filename=\"a\\\"b;c.jpg\"", U "x", "a_b;c.jpg"},
    {"attachment; FileName=\"../../x.sh\"", U "y", "_.._x.sh"},
    {"inline; filename=plain.txt; filename*=UTF-8''%e2%82%ac.txt", U "x", "\xe2\x82\xac.txt"},
    {"inline; filename*=ISO-8859-1''%a3.txt; filename=\"p.txt\"", U "x", "p.txt"},
    {"inline; filename=\"", U "x", "x"},
    {"inline; filename=\"open", U "x", "open"},
    {"inline; filename=\"\\", U "x", "_"},
    {"; filename*=UTF-8''", U "x", "x"},
    {"inline;;;filename=", U "x", "x"},
};

START_TEST(test_name)
{
    char out[FETCH_NAME_BYTES];

    name_of(view_str(names[_i].disposition), view_str(names[_i].url), out);
    ck_assert_msg(strcmp(out, names[_i].want) == 0, "%s %s: \"%s\"", names[_i].disposition,
                  names[_i].url, out);
}
END_TEST

/* A long one is cut, and not in the middle of a character. */
START_TEST(test_long)
{
    char url[1200] = U, out[FETCH_NAME_BYTES];
    size_t n = strlen(url);

    for (int i = 0; i < _i; i++)
        url[n++] = 'a';
    for (int i = 0; i < 200; i++) {
        url[n++] = '\xc3';
        url[n++] = '\xa9';
    }
    url[n] = '\0';
    name_of(view_str(""), view_str(url), out);
    ck_assert_uint_le(strlen(out), FETCH_NAME_BYTES - 1);
    ck_assert_uint_ge(strlen(out), FETCH_NAME_BYTES - 2);
    ck_assert_int_eq(out[strlen(out) - 1], '\xa9');
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_name, 0, sizeof(names) / sizeof(*names));
    tcase_add_loop_test(tc, test_long, 0, 2);
}

CK_MAIN("fetch")
