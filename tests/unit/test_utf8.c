/* All sequences of 1 to 3 bytes and the interesting ones of 4, each cut at every place. All of 4
 * bytes: tests/fuzz/utf8_all.c. */
#include "ck.h"
#include "mem.h"
#include "utf8.h"

/* The length of the scalar value at p, or 0: collect its bits as if all were well, write them again
 * the only right way, and look whether that is what stood there. */
static size_t scalar(const uint8_t *p, size_t n)
{
    size_t len = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    uint32_t cp = p[0] & (len == 1 ? 0x7fu : 0xffu >> (len + 1));
    uint8_t again[4];

    if (n < len)
        return 0;
    for (size_t i = 1; i < len; i++)
        cp = cp << 6 | (p[i] & 0x3fu);
    if (cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff))
        return 0;
    if (cp < 0x80) {
        again[0] = (uint8_t)cp;
        return len == 1;
    }
    if (cp < 0x800) {
        again[0] = (uint8_t)(0xc0 + cp / 64);
        again[1] = (uint8_t)(0x80 + cp % 64);
        return len == 2 && memcmp(p, again, 2) == 0 ? 2 : 0;
    }
    if (cp < 0x10000) {
        again[0] = (uint8_t)(0xe0 + cp / 4096);
        again[1] = (uint8_t)(0x80 + cp / 64 % 64);
        again[2] = (uint8_t)(0x80 + cp % 64);
        return len == 3 && memcmp(p, again, 3) == 0 ? 3 : 0;
    }
    again[0] = (uint8_t)(0xf0 + cp / 262144);
    again[1] = (uint8_t)(0x80 + cp / 4096 % 64);
    again[2] = (uint8_t)(0x80 + cp / 64 % 64);
    again[3] = (uint8_t)(0x80 + cp % 64);
    return len == 4 && memcmp(p, again, 4) == 0 ? 4 : 0;
}

static bool reference(const uint8_t *p, size_t n)
{
    while (n) {
        size_t len = scalar(p, n);

        if (!len)
            return false;
        p += len;
        n -= len;
    }
    return true;
}

static bool in_two(struct view v, size_t cut)
{
    struct utf8 u = {0};

    return utf8_feed(&u, view_of(v.p, cut)) && utf8_feed(&u, view_of(v.p + cut, v.n - cut)) &&
           utf8_done(&u);
}

static void check_bytes(const uint8_t *p, size_t n)
{
    bool want = reference(p, n);
    struct view v = view_of((const char *)p, n);
    bool same = utf8_valid(v) == want;

    for (size_t cut = 0; cut <= n; cut++)
        same &= in_two(v, cut) == want;
    if (!same) /* the macro is too slow for millions of rows */
        ck_abort_msg("%02x %02x %02x %02x (%zu bytes)", p[0], n > 1 ? p[1] : 0, n > 2 ? p[2] : 0,
                     n > 3 ? p[3] : 0, n);
}

START_TEST(test_all_short)
{
    for (uint32_t i = 0; i < 1u << 24; i++) {
        uint8_t b[3] = {(uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};

        check_bytes(b, 3);
        if (i < 1u << 16)
            check_bytes(b + 1, 2);
        if (i < 1u << 8)
            check_bytes(b + 2, 1);
    }
}
END_TEST

START_TEST(test_sample_of_four)
{
    static const uint8_t edge[] = {0,    'a',  0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf,
                                   0xc0, 0xc2, 0xdf, 0xe0, 0xed, 0xf0, 0xf4, 0xff};

    for (uint32_t i = 0; i < 1u << 16; i++)
        for (size_t k = 0; k < sizeof(edge) * sizeof(edge); k++) {
            uint8_t b[4] = {(uint8_t)(i >> 8), (uint8_t)i, edge[k / sizeof(edge)],
                            edge[k % sizeof(edge)]};

            check_bytes(b, 4);
        }
}
END_TEST

/* Every byte at every place of a text long enough for the fast path, in every cut. */
START_TEST(test_fast_path)
{
    for (size_t n = 0; n <= 40; n++)
        for (size_t at = 0; at + 1 < n; at++)
            for (unsigned c = 0x7e; c < 0x100; c++) {
                uint8_t b[40];

                memset(b, 'x', sizeof(b));
                b[at] = (uint8_t)c;
                check_bytes(b, n);
                b[at + 1] = 0x85;
                check_bytes(b, n);
            }
}
END_TEST

START_TEST(test_state)
{
    struct utf8 u = {0};

    ck_assert(utf8_done(&u));
    ck_assert(utf8_feed(&u, VIEW_EMPTY));
    ck_assert(utf8_feed(&u, V("a\xf0")));
    ck_assert(!utf8_done(&u));
    ck_assert(utf8_feed(&u, VIEW_EMPTY));
    ck_assert(!utf8_done(&u));
    ck_assert(utf8_feed(&u, V("\x9f\x98")));
    ck_assert(utf8_feed(&u, V("\x80")));
    ck_assert(utf8_done(&u));
    ck_assert_msg(!utf8_feed(&u, V("\xed\xa0")), "fail fast: at the second byte");
    ck_assert(utf8_valid(view_of(NULL, 0)));
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_test(tc, test_all_short);
    tcase_add_test(tc, test_sample_of_four);
    tcase_add_test(tc, test_fast_path);
    tcase_add_test(tc, test_state);
}
CK_MAIN("utf8")
