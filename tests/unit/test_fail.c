/* tests/unit/test_fail.c - what failures of model servers are taken for. */
#include "ck.h"
#include "fail.h"
#include "mem.h"

static const struct {
    const char *name;
    uint32_t status;
    const char *body;
    enum fail_reason want;
    bool retry, next;
} rows[] = {
    {"401", 401,
     "{\"error\":{\"message\":\"Incorrect API key provided\",\"code\":\"invalid_api_key\"}}",
     FAIL_AUTH_PERMANENT, false, true},
    {"403 page", 403, "<html>forbidden</html>", FAIL_AUTH, false, true},
    {"402", 402, "", FAIL_BILLING, false, true},
    {"404", 404, "{\"error\":{\"code\":\"model_not_found\",\"message\":\"no\"}}",
     FAIL_MODEL_NOT_FOUND, false, true},
    {"408", 408, "", FAIL_TIMEOUT, true, true},
    {"422", 422, "{\"detail\":\"bad\"}", FAIL_FORMAT, false, false},
    {"429", 429,
     "{\"error\":{\"message\":\"slow\",\"type\":\"requests\",\"code\":\"rate_limit_exceeded\"}}",
     FAIL_RATE_LIMIT, true, true},
    {"429 without money", 429,
     "{\"error\":{\"message\":\"You exceeded your current "
     "quota\",\"code\":\"insufficient_quota\"}}",
     FAIL_BILLING, false, true},
    {"429 plain", 429, "Too many", FAIL_RATE_LIMIT, true, true},
    {"500", 500, "oops", FAIL_SERVER, true, true},
    {"502 page", 502, "<html>", FAIL_SERVER, true, true},
    {"503 loading", 503, "{\"error\":{\"message\":\"Loading model\"}}", FAIL_SERVER, true, true},
    {"504", 504, "", FAIL_TIMEOUT, true, true},
    {"529", 529,
     "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}",
     FAIL_OVERLOADED, true, true},
    {"overflow by code", 400,
     "{\"error\":{\"code\":\"context_length_exceeded\",\"message\":\"x\"}}", FAIL_CONTEXT, false,
     false},
    {"overflow by text", 400,
     "{\"error\":{\"message\":\"This model's maximum context length is 8192 tokens\"}}",
     FAIL_CONTEXT, false, false},
    {"overflow behind a 500", 500,
     "{\"error\":{\"message\":\"the request exceeds the available context size\"}}", FAIL_CONTEXT,
     false, false},
    {"overflow 413", 413, "{\"error\":{\"type\":\"request_too_large\"}}", FAIL_CONTEXT, false,
     false},
    {"tokens per minute are no overflow", 413,
     "{\"error\":{\"message\":\"Request too large: tokens per minute (TPM): reduce the length of "
     "the messages\"}}",
     FAIL_RATE_LIMIT, false, true},
    {"400", 400, "{\"error\":{\"message\":\"bad tool\"}}", FAIL_FORMAT, false, false},
    {"gemini's list", 429,
     "[{\"error\":{\"code\":429,\"status\":\"RESOURCE_EXHAUSTED\",\"message\":\"x\"}}]",
     FAIL_RATE_LIMIT, true, true},
    {"redirect", 302, "", FAIL_CONFIG, false, true},
    {"text error", 400, "{\"error\":\"model 'x' not found\"}", FAIL_FORMAT, false, false},
    {"broken json", 500, "{\"error\":", FAIL_SERVER, true, true},
    {"error is a number", 500, "{\"error\":7}", FAIL_SERVER, true, true},
    {"empty list", 500, "[]", FAIL_SERVER, true, true},
    {"anything", 418, "{}", FAIL_FORMAT, false, false},
};

START_TEST(test_http)
{
    struct failure f = {0};

    fail_from_http(&f, rows[_i].status, view_str(rows[_i].body));
    ck_assert_msg(f.reason == rows[_i].want, "%s: %s", rows[_i].name, fail_reason_name(f.reason));
    ck_assert_msg(fail_retryable(&f, 120000) == rows[_i].retry, "%s: retry", rows[_i].name);
    ck_assert_msg(fail_try_next(&f) == rows[_i].next, "%s: next", rows[_i].name);
    ck_assert_msg(f.text[0] && f.status == rows[_i].status, "%s: %s", rows[_i].name, f.text);
    ck_assert_msg(!strchr(f.text, '<'), "%s: %s", rows[_i].name, f.text);
}
END_TEST

static const struct {
    const char *name, *value;
    uint64_t want;
} waits[] = {
    {"seconds", "20", 20000},
    {"zero", "0", 0},
    {"spaces", " 3 ", 3000},
    {"fraction", "1.5", 1500},
    {"date", "Fri, 20 Nov 2026 09:00:10 GMT", 10000},
    {"date in the past", "Fri, 20 Nov 2026 08:00:00 GMT", 0},
    {"negative", "-5", 0},
    {"text", "soon", 0},
    {"empty", "", 0},
    {"huge", "99999999999999999999", 0},
    {"long", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 0},
};

START_TEST(test_retry_after)
{
    uint64_t ms = fail_retry_after(view_str(waits[_i].value), 1795165200000);

    ck_assert_msg(ms == waits[_i].want, "%s: %llu", waits[_i].name, (unsigned long long)ms);
}
END_TEST

START_TEST(test_hints)
{
    struct failure f = {0};

    fail_from_http(&f, 429, V("{\"error\":{\"message\":\"Please try again in 1.5s. Visit\"}}"));
    ck_assert_uint_eq(f.retry_after_ms, 1500);
    fail_from_http(&f, 429, V("{\"error\":{\"message\":\"Please try again in 20ms.\"}}"));
    ck_assert_uint_eq(f.retry_after_ms, 21);
    fail_from_http(&f, 429, V("{\"error\":{\"details\":[{\"x\":1},{\"retryDelay\":\"17s\"}]}}"));
    ck_assert_uint_eq(f.retry_after_ms, 17000);
}
END_TEST

START_TEST(test_long_waits_are_not_retried)
{
    struct failure f = {.reason = FAIL_RATE_LIMIT, .status = 429};

    f.retry_after_ms = 120000;
    ck_assert(fail_retryable(&f, 120000));
    f.retry_after_ms++;
    ck_assert(!fail_retryable(&f, 120000));
    ck_assert(fail_try_next(&f));
}
END_TEST

START_TEST(test_text)
{
    struct failure f;
    char big[1000];

    for (size_t i = 0; i + 1 < sizeof(big); i++)
        big[i] = "\xe2\x82\xac"[i % 3];
    big[sizeof(big) - 1] = 0;
    fail_set(&f, FAIL_UNKNOWN, "%s", big);
    ck_assert_uint_eq(strlen(f.text), 399); /* whole characters only: 133 of 3 bytes */
    fail_set(&f, FAIL_UNKNOWN, "a\nb\x1b[0m\xff");
    ck_assert_str_eq(f.text, "a b [0m?");
    fail_set(&f, FAIL_UNKNOWN, "key sk-123456 is wrong: sk-123456, sk-12");
    fail_redact(&f, V("sk-123456"));
    ck_assert_str_eq(f.text, "key ********* is wrong: *********, *****");
    fail_set(&f, FAIL_UNKNOWN, "****");
    fail_redact(&f, V("****"));
    fail_redact(&f, V("a"));
    ck_assert_str_eq(f.text, "****");
}
END_TEST

START_TEST(test_names)
{
    for (int i = 0; i < FAIL_REASON_COUNT; i++) {
        ck_assert_ptr_nonnull(fail_reason_name((enum fail_reason)i));
        ck_assert_ptr_nonnull(fail_kind((enum fail_reason)i));
    }
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_http, 0, (int)COUNT_OF(rows));
    tcase_add_loop_test(tc, test_retry_after, 0, (int)COUNT_OF(waits));
    tcase_add_test(tc, test_hints);
    tcase_add_test(tc, test_long_waits_are_not_retried);
    tcase_add_test(tc, test_text);
    tcase_add_test(tc, test_names);
}

CK_MAIN("fail")
