/* The recorded answers of the reference, one by one: the current release's, or the older one's
 * where only it has the function. The file is named by ROUTING_VECTORS. */
#include "ask.h"
#include "ck.h"
#include "fd.h"
#include "json.h"
#include "mem.h"

static json_t *vectors(void)
{
    struct buf b = BUF_INIT(4 * MIB);
    struct err e = ERR_INIT;
    json_t *doc = NULL;
    const char *path = getenv("ROUTING_VECTORS");

    ck_assert_msg(path != NULL, "ROUTING_VECTORS is not set");
    ck_assert_msg(fd_read_file(path, 4 * MIB, &b, &e) == 0, "%s", e.text);
    ck_assert_msg(json_parse(buf_view(&b), &doc, &e) == 0, "%s", e.text);
    buf_fini(&b);
    return doc;
}

/* The answer to input, as a document. */
static json_t *answer(struct view fn, const json_t *input)
{
    struct buf b = BUF_INIT(64 * KIB);
    struct jw w = JW_INIT(&b);
    struct err e = ERR_INIT;
    json_t *doc = NULL;

    ask_or_error(NULL, fn, input, &w);
    ck_assert_msg(json_parse(buf_view(&b), &doc, &e) == 0, "%s: %.*s", e.text,
                  VIEW_FMT(buf_view(&b)));
    buf_fini(&b);
    return doc;
}

START_TEST(test_vectors)
{
    json_t *doc = vectors(), *v, *want, *got;
    size_t i, count = 0;

    json_array_foreach(json_object_get(doc, "vectors"), i, v)
    {
        struct view id = json_view(v, "id");
        char *text;

        want = json_object_get(json_object_get(v, "expect"), "2026.9.6");
        if (!want)
            want = json_object_get(json_object_get(v, "expect"), "2026.3.2");
        got = answer(json_view(v, "fn"), json_object_get(v, "input"));
        text = json_dumps(got, JSON_COMPACT | JSON_ENCODE_ANY);
        ck_assert_msg(json_equal(got, want), "%.*s (%.*s): %s", VIEW_FMT(id),
                      VIEW_FMT(json_view(v, "topic")), text);
        free(text);
        json_decref(got);
        /* the same without the name of the function, as openclawctl route takes it */
        if (json_object_get(json_object_get(v, "input"), "sessionKey") ||
            json_object_get(json_object_get(v, "input"), "value"))
            continue;
        got = answer(VIEW_EMPTY, json_object_get(v, "input"));
        ck_assert_msg(json_equal(got, want), "%.*s: told by its members", VIEW_FMT(id));
        json_decref(got);
        count++;
    }
    ck_assert_uint_eq(i, 114);
    ck_assert_uint_ge(count, 90);
    json_decref(doc);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_test(tc, test_vectors);
}
CK_MAIN("route_vectors")
