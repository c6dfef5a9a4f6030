/* tests/unit/test_sse.c - the event stream parser: rows of streams and what they say, each fed
 * whole, cut in two everywhere, and byte by byte. */
#include "ck.h"
#include "mem.h"
#include "sse.h"

static int on_event(void *ctx, struct view name, struct view data, struct err *e)
{
    struct buf *log = ctx;

    if (view_eq(data, V("stop")))
        return err_set(e, ERR_CLOSED, "asked to stop");
    buf_put_view(log, name);
    buf_put_char(log, '=');
    buf_put_view(log, data);
    buf_put_char(log, '|');
    return 0;
}

static const struct {
    const char *name, *in, *want;
} rows[] = {
    {"empty", "", ""},
    {"one", "data: a\n\n", "=a|"},
    {"no space", "data:a\n\n", "=a|"},
    {"two spaces", "data:  a\n\n", "= a|"},
    {"crlf", "data: a\r\n\r\ndata: b\r\n\r\n", "=a|=b|"},
    {"cr", "data: a\r\rdata: b\r\r", "=a|=b|"},
    {"mixed ends", "data: a\r\ndata: b\rdata: c\n\r\n", "=a\nb\nc|"},
    {"lines", "data: a\ndata:\ndata: b\n\n", "=a\n\nb|"},
    {"named", "event: ping\ndata: {}\n\ndata: x\n\n", "ping={}|=x|"},
    {"comment", ": OPENROUTER PROCESSING\n\n:\n\ndata: a\n\n", "=a|"},
    {"comment inside", "data: a\n: x\ndata: b\n\n", "=a\nb|"},
    {"mark",
     "\xef\xbb\xbf"
     "data: a\n\n",
     "=a|"},
    {"mark later",
     "data: a\n\n\xef\xbb\xbf"
     "data: b\n\n",
     "=a|"},
    {"no colon", "data\n\n", "=|"},
    {"event without data", "event: x\n\ndata: a\n\n", "=a|"},
    {"other fields", "id: 1\nretry: 5\nfoo: b\ndata: a\n\n", "=a|"},
    {"case", "Data: a\n\n", ""},
    {"unterminated line", "data: a\n\ndata: [DONE]", "=a|=[DONE]|"},
    {"unterminated event", "data: a\n\ndata: [DONE]\n", "=a|=[DONE]|"},
    {"unterminated cr", "data: [DONE]\r", "=[DONE]|"},
    {"nothing left", "data: a\n\nevent: x\n", "=a|"},
};

/* Pieces end at every offset in cuts, ascending. */
static void run(size_t row, const size_t *cuts, size_t count, struct buf *log)
{
    struct view in = view_str(rows[row].in);
    struct sse s;
    struct err e = ERR_INIT;
    size_t at = 0;

    sse_init(&s, on_event, log);
    for (size_t i = 0; i <= count; i++) {
        size_t to = i < count ? cuts[i] : in.n;

        ck_assert_msg(sse_feed(&s, view_of(in.p + at, to - at), &e) == 0, "%s", rows[row].name);
        at = to;
    }
    ck_assert_msg(sse_end(&s, &e) == 0, "%s", rows[row].name);
    sse_fini(&s);
}

static void expect(size_t row, struct buf *log)
{
    ck_assert_msg(view_eq(buf_view(log), view_str(rows[row].want)), "%s: %.*s", rows[row].name,
                  VIEW_FMT(buf_view(log)));
    buf_reset(log, 4096);
}

START_TEST(test_streams)
{
    struct buf log = BUF_INIT(4096);
    size_t row = (size_t)_i, n = strlen(rows[row].in), all[256];

    run(row, NULL, 0, &log);
    expect(row, &log);
    for (size_t i = 0; i <= n; i++)
        for (size_t k = i; k <= n; k++) {
            run(row, (size_t[]){i, k}, 2, &log);
            expect(row, &log);
        }
    for (size_t i = 0; i < n; i++)
        all[i] = i;
    run(row, all, n, &log);
    expect(row, &log);
    buf_fini(&log);
}
END_TEST

static int feed_fill(struct sse *s, size_t n, size_t piece)
{
    struct err e = ERR_INIT;
    char *fill = mem_alloc(piece);
    int r = 0;

    memset(fill, 'x', piece);
    while (n && r == 0) {
        size_t k = n < piece ? n : piece;

        r = sse_feed(s, view_of(fill, k), &e);
        n -= k;
    }
    mem_free(fill);
    return r;
}

static const struct {
    const char *name;
    size_t line; /* bytes behind "data: " */
    size_t piece;
    int want;
} lines[] = {
    {"one under", SSE_LINE_MAX - 7, SSE_LINE_MAX, 0},
    {"at the limit", SSE_LINE_MAX - 6, SSE_LINE_MAX, 0},
    {"one over", SSE_LINE_MAX - 5, SSE_LINE_MAX, ERR_LIMIT},
    {"at the limit, small pieces", SSE_LINE_MAX - 6, 1000, 0},
    {"one over, small pieces", SSE_LINE_MAX - 5, 1000, ERR_LIMIT},
    {"endless", 100 * MIB, 16384, ERR_LIMIT},
};

START_TEST(test_line_limit)
{
    struct buf log = BUF_INIT(8 * MIB);
    struct sse s;
    struct err e = ERR_INIT;
    int r;

    sse_init(&s, on_event, &log);
    r = sse_feed(&s, V("data: "), &e);
    if (r == 0)
        r = feed_fill(&s, lines[_i].line, lines[_i].piece);
    if (r == 0)
        r = sse_feed(&s, V("\n\n"), &e);
    ck_assert_msg(r == lines[_i].want, "%s: %d", lines[_i].name, r);
    ck_assert_msg(s.line.cap <= 2 * SSE_LINE_MAX, "%s", lines[_i].name);
    ck_assert_msg(log.n == (r == 0 ? lines[_i].line + 2 : 0), "%s", lines[_i].name);
    sse_fini(&s);
    buf_fini(&log);
}
END_TEST

/* One whole line in one piece, over the limit: no detour around the bound. */
START_TEST(test_line_in_one_piece)
{
    struct buf in = BUF_INIT(4 * MIB), log = BUF_INIT(4 * MIB);
    struct sse s;
    struct err e = ERR_INIT;

    buf_put_str(&in, "data: ");
    for (size_t i = 0; i < SSE_LINE_MAX; i++)
        buf_put_char(&in, 'x');
    buf_put_str(&in, "\n\n");
    sse_init(&s, on_event, &log);
    ck_assert_int_eq(sse_feed(&s, buf_view(&in), &e), ERR_LIMIT);
    sse_fini(&s);
    buf_fini(&in);
    buf_fini(&log);
}
END_TEST

START_TEST(test_event_limit)
{
    struct buf log = BUF_INIT(8 * MIB);
    struct sse s;
    struct err e = ERR_INIT;
    int r = 0, count = 0;

    sse_init(&s, on_event, &log);
    while (r == 0 && count < 10) { /* lines of 1 MiB in one event: the fifth is too much */
        r = sse_feed(&s, V("data: "), &e);
        if (r == 0)
            r = feed_fill(&s, SSE_LINE_MAX - 6, 65536);
        if (r == 0)
            r = sse_feed(&s, V("\n"), &e);
        count++;
    }
    ck_assert_int_eq(r, ERR_LIMIT);
    ck_assert_int_eq(count, 5);
    ck_assert_uint_eq(log.n, 0);
    sse_fini(&s);
    buf_fini(&log);
}
END_TEST

START_TEST(test_stop)
{
    struct buf log = BUF_INIT(100);
    struct sse s;
    struct err e = ERR_INIT;

    sse_init(&s, on_event, &log);
    ck_assert_int_eq(sse_feed(&s, V("data: a\n\ndata: stop\n\ndata: b\n\n"), &e), ERR_CLOSED);
    ck_assert(view_eq(buf_view(&log), V("=a|")));
    sse_fini(&s);
    buf_fini(&log);
}
END_TEST

START_TEST(test_no_memory)
{
    for (uint64_t n = 1;; n++) {
        struct buf log = BUF_INIT(100);
        struct sse s;
        struct err e = ERR_INIT;
        char room[8] = "";
        int r;

        buf_put(&log, room, sizeof(room)); /* the log is not under test */
        sse_init(&s, on_event, &log);
        mem_fail_after(n, 0);
        r = sse_feed(&s, V("data: he"), &e);
        if (r == 0)
            r = sse_feed(&s, V("llo\n\n"), &e);
        mem_fail_after(0, 0);
        sse_fini(&s);
        buf_fini(&log);
        if (r == 0)
            break;
        ck_assert_uint_lt(n, 10);
    }
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_streams, 0, (int)COUNT_OF(rows));
    tcase_add_loop_test(tc, test_line_limit, 0, (int)COUNT_OF(lines));
    tcase_add_test(tc, test_line_in_one_piece);
    tcase_add_test(tc, test_event_limit);
    tcase_add_test(tc, test_stop);
    tcase_add_test(tc, test_no_memory);
}

CK_MAIN("sse")
