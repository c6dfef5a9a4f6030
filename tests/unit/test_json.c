/* tests/unit/test_json.c - JSON documents: whichever allocation fails, a text is read whole or not
 * at all. */
#include "ck.h"
#include "json.h"
#include "mem.h"

static const char text[] =
    "{\"minProtocol\":4,\"role\":\"operator\",\"client\":{\"id\":\"gateway-client\",\"version\":"
    "\"1.0.0\",\"mode\":\"back\\u00e9nd\"},\"scopes\":[\"operator.admin\",\"operator.read\",{},[]],"
    "\"ratio\":1.5,\"off\":false,\"none\":null,\"message\":\"a text that is longer than the "
    "others, "
    "so that it does not fit a first small buffer\",\"auth\":{\"token\":\"x\"}}";

START_TEST(test_no_memory)
{
    struct buf whole = BUF_INIT(4096), got = BUF_INIT(4096);
    struct err e = ERR_INIT;
    json_t *doc = NULL;
    unsigned failed = 0;

    ck_assert_int_eq(json_parse(V(text), &doc, &e), 0);
    ck_assert_int_eq(json_dump(doc, &whole, &e), 0);
    json_decref(doc);
    for (int forever = 0; forever < 2; forever++) {
        for (uint64_t n = 1;; n++) {
            uint64_t before = mem_count();
            int r;

            doc = NULL;
            mem_fail_after(n, forever);
            r = json_parse(V(text), &doc, &e);
            mem_fail_after(0, 0);
            before = mem_count() - before;
            if (r < 0) {
                ck_assert_msg(r == ERR_NOMEM || r == ERR_INVALID, "%d: %s", (int)n, e.text);
                ck_assert_ptr_null(doc);
                failed++;
            } else {
                buf_reset(&got, 4096);
                ck_assert_int_eq(json_dump(doc, &got, &e), 0);
                ck_assert_msg(view_eq(buf_view(&got), buf_view(&whole)), "%d: %.*s", (int)n,
                              VIEW_FMT(buf_view(&got)));
                json_decref(doc);
            }
            if (before < n)
                break;
        }
    }
    ck_assert_uint_gt(failed, 60);
    buf_fini(&whole);
    buf_fini(&got);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_test(tc, test_no_memory);
}
CK_MAIN("json")
