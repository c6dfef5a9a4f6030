#include "ck.h"
#include "crc32c.h"
#include "record.h"

static const struct {
    const char *name;
    struct store_rec r;
} good[] = {
    {"meta", {.type = REC_meta_set, .meta_set = {{"k", 1}, {"v", 1}}}},
    {"meta empty", {.type = REC_meta_set, .meta_set = {{"k", 1}, {"", 0}}}},
    {"session",
     {.type = REC_session_put,
      .session_put = {.sid = 7,
                      .key = {"agent:main:main", 15},
                      .session_id = {"8c1f", 4},
                      .agent_id = {"main", 4},
                      .created_at = -1,
                      .updated_at = INT64_MIN,
                      .status = SESSION_RUNNING,
                      .flags = UINT32_MAX,
                      .last_run_id = {"r", 1},
                      .label = {"\0\xff", 2},
                      .input_tokens = UINT64_MAX,
                      .output_tokens = 1,
                      .total_tokens = 2,
                      .context_tokens = 3,
                      .extra = {"{\"a\":1}", 7}}}},
    {"session_del", {.type = REC_session_del, .session_del = {{"k", 1}}}},
    {"message",
     {.type = REC_message_add,
      .message_add = {.sid = 1,
                      .seq = 1,
                      .id = {"id", 2},
                      .role = MESSAGE_ASSISTANT,
                      .ts = 1700000000000,
                      .run_id = {"r", 1},
                      .text = {"{}", 2}}}},
    {"run",
     {.type = REC_run_put,
      .run_put = {.job_id = 9,
                  .run_id = {"r", 1},
                  .sid = 2,
                  .session_key = {"k", 1},
                  .state = RUN_FAILED,
                  .attempt = 2,
                  .created_at = 1,
                  .updated_at = 2,
                  .digest = {"0123456789abcdef0123456789abcdef", 32},
                  .summary = {"why", 3},
                  .params = {"p", 1}}}},
    {"run_del", {.type = REC_run_del, .run_del = {{"r", 1}}}},
    {"device",
     {.type = REC_device_put,
      .device_put = {.id = {"d", 1},
                     .public_key = {"k", 1},
                     .label = {"l", 1},
                     .platform = {"linux", 5},
                     .via = {"silent", 6},
                     .roles = 3,
                     .scopes = 1023,
                     .created_at = -1,
                     .approved_at = 2,
                     .operator_scopes = 1,
                     .operator_generation = {"g", 1},
                     .operator_hash = {"h", 1},
                     .operator_revoked_at = 3,
                     .node_hash = {"n", 1},
                     .node_revoked_at = INT64_MAX}}},
    {"device_del", {.type = REC_device_del, .device_del = {{"d", 1}}}},
};

START_TEST(test_round_trip)
{
    const struct store_rec *r = &good[_i].r;
    const char *name = good[_i].name;
    struct store_rec back;
    struct err e = ERR_INIT;
    size_t n = rec_size(r), used = 0;
    char *b = malloc(2 * n), *again = malloc(n);

    ck_assert_msg(rec_check(r, &e) == 0, "%s: %s", name, e.text);
    rec_encode(r, b);
    memset(b + n, 0x55, n); /* what follows is not looked at */
    ck_assert_msg(rec_decode(view_of(b, 2 * n), &back, &used, &e) == 0, "%s: %s", name, e.text);
    ck_assert_msg(used == n && back.type == r->type, "%s", name);
    rec_encode(&back, again);
    ck_assert_msg(memcmp(b, again, n) == 0, "%s", name);
    rec_encode(&back, b); /* in place */
    ck_assert_msg(memcmp(b, again, n) == 0, "%s in place", name);
    for (size_t i = 0; i < n; i++) { /* every prefix is incomplete */
        used = 77;
        ck_assert_msg(rec_decode(view_of(b, i), &back, &used, &e) == ERR_AGAIN && used == 77,
                      "%s: prefix %zu", name, i);
    }
    for (size_t i = 0; i < 8 * n; i++) { /* every single bit is seen */
        b[i / 8] = (char)(b[i / 8] ^ 1 << i % 8);
        ck_assert_msg(rec_decode(view_of(b, n), &back, &used, &e) < 0, "%s: bit %zu", name, i);
        b[i / 8] = (char)(b[i / 8] ^ 1 << i % 8);
    }
    free(b);
    free(again);
}
END_TEST

static const struct {
    const char *name;
    size_t key, session_id, last_run, label, extra;
    int want;
} limits[] = {
    {"key under", 511, 0, 0, 0, 0, 0},
    {"key at", 512, 0, 0, 0, 0, 0},
    {"key over", 513, 0, 0, 0, 0, ERR_LIMIT},
    {"session_id at", 1, 64, 0, 0, 0, 0},
    {"session_id over", 1, 65, 0, 0, 0, ERR_LIMIT},
    {"run id at", 1, 0, 256, 0, 0, 0},
    {"run id over", 1, 0, 257, 0, 0, ERR_LIMIT},
    {"label at", 1, 0, 0, 2048, 0, 0},
    {"label over", 1, 0, 0, 2049, 0, ERR_LIMIT},
    {"extra at", 1, 0, 0, 0, 1024 * KIB, 0},
    {"extra over", 1, 0, 0, 0, 1024 * KIB + 1, ERR_LIMIT},
};

START_TEST(test_limits)
{
    char *fill = calloc(1, 1024 * KIB + 1);
    struct store_rec r = {.type = REC_session_put}, back;
    struct err e = ERR_INIT;
    size_t used;
    char *b;

    r.session_put.key = view_of(fill, limits[_i].key);
    r.session_put.session_id = view_of(fill, limits[_i].session_id);
    r.session_put.last_run_id = view_of(fill, limits[_i].last_run);
    r.session_put.label = view_of(fill, limits[_i].label);
    r.session_put.extra = view_of(fill, limits[_i].extra);
    ck_assert_msg(rec_check(&r, &e) == limits[_i].want, "%s: %s", limits[_i].name, e.text);
    if (limits[_i].want == 0) {
        b = malloc(rec_size(&r));
        rec_encode(&r, b);
        ck_assert_msg(rec_decode(view_of(b, rec_size(&r)), &back, &used, &e) == 0, "%s: %s",
                      limits[_i].name, e.text);
        free(b);
    }
    free(fill);
}
END_TEST

/* Bytes with a right checksum that break the table. */
static const struct {
    const char *name;
    size_t at;
    uint8_t byte;
    size_t n; /* bytes of fields claimed and given */
    int want;
} broken[] = {
    {"as it is", 8, REC_meta_set, 6, 0},
    {"type 0", 8, 0, 6, ERR_INVALID},
    {"type unknown", 8, REC_TYPE_MAX, 6, ERR_INVALID},
    {"type far", 9, 0x80, 6, ERR_INVALID},
    {"version 0", 10, 0, 6, ERR_INVALID},
    {"version newer", 10, 2, 6, ERR_INVALID},
    {"left over", 8, REC_meta_set, 7, ERR_INVALID},
    {"cut inside", 8, REC_meta_set, 5, ERR_INVALID},
    {"cut in a length", 8, REC_meta_set, 4, ERR_INVALID},
    {"no fields", 8, REC_meta_set, 0, ERR_INVALID},
    {"field over its limit", 12, 129, 6, ERR_INVALID},
    {"field over the end", 12, 5, 6, ERR_INVALID},
};

START_TEST(test_broken)
{
    /* meta_set key "k" value "v" */
    char b[REC_HEAD + 8] = {0, 0, 0, 0, 6, 0, 0, 0, 1, 0, 1, 0, 1, 0, 'k', 1, 0, 'v'};
    size_t n = REC_HEAD + broken[_i].n, used;
    struct store_rec r;
    struct err e = ERR_INIT;
    uint32_t crc;

    b[4] = (char)broken[_i].n;
    b[broken[_i].at] = (char)broken[_i].byte;
    crc = crc32c(b + 4, n - 4);
    for (int i = 0; i < 4; i++)
        b[i] = (char)(crc >> 8 * i);
    ck_assert_msg(rec_decode(view_of(b, n), &r, &used, &e) == broken[_i].want, "%s: %s",
                  broken[_i].name, e.text);
}
END_TEST

START_TEST(test_crc)
{
    char b[100];

    ck_assert_uint_eq(crc32c("123456789", 9), 0xe3069283u); /* RFC 3720 and everywhere */
    ck_assert_uint_eq(crc32c("", 0), 0);
    for (size_t i = 0; i < sizeof(b); i++)
        b[i] = (char)(i * 37);
    for (size_t i = 0; i <= sizeof(b); i++)
        ck_assert_uint_eq(crc32c(b, i), crc32c_soft(b, i));
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_round_trip, 0, (int)COUNT_OF(good));
    tcase_add_loop_test(tc, test_limits, 0, (int)COUNT_OF(limits));
    tcase_add_loop_test(tc, test_broken, 0, (int)COUNT_OF(broken));
    tcase_add_test(tc, test_crc);
}
CK_MAIN("record")
