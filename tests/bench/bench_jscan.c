/* tests/bench/bench_jscan.c - what checking one client frame costs; prints ns per frame, the best
 * of some rounds (the machine is shared). */
#include "jscan.h"
#include "json.h"
#include "utf8.h"

#include <stdio.h>
#include <time.h>

enum { ROUNDS = 20, TIMES = 20000 };

static int run_check(struct view text)
{
    static struct err e;

    return jscan_check(text, &e);
}

static double best_ns(int (*fn)(struct view), struct view text, int times)
{
    double best = 1e18;

    for (int r = 0; r < ROUNDS; r++) {
        struct timespec a, b;
        double ns;

        clock_gettime(CLOCK_MONOTONIC, &a);
        for (int i = 0; i < times; i++)
            if (fn(text) < 0)
                return -1;
        clock_gettime(CLOCK_MONOTONIC, &b);
        ns = (double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec);
        best = ns < best ? ns : best;
    }
    return best / times;
}

static int run_jscan(struct view text)
{
    __attribute__((uninitialized)) struct jscan s; /* as its callers should have it */
    struct err e;

    e.code = 0;
    return jscan(text, &s, &e);
}

static int run_jansson(struct view text)
{
    static struct err e;
    json_t *doc = NULL;
    int r = json_parse(text, &doc, &e);

    json_decref(doc);
    return r;
}

static int run_utf8(struct view text)
{
    return utf8_valid(text) ? 0 : -1;
}

/* count objects of members keys each, the keys named before<number>. */
static void bench_hostile(const char *name, int count, int members, const char *before)
{
    struct buf b = BUF_INIT((size_t)64 << 20);
    double ns;

    buf_put_char(&b, '[');
    for (int i = 0; i < count; i++) {
        buf_put_str(&b, i ? ",{" : "{");
        for (int k = 0; k < members; k++)
            buf_printf(&b, "%s\"%s%d\":0", k ? "," : "", before, k);
        buf_put_char(&b, '}');
    }
    buf_put_char(&b, ']');
    ns = best_ns(run_check, buf_view(&b), 1);
    printf("%s (%zu bytes): %.2f ms, %.1f ns per byte\n", name, b.n, ns / 1e6, ns / (double)b.n);
    buf_fini(&b);
}

int main(void)
{
    static const struct {
        const char *name;
        struct view text;
    } rows[] = {
        {"chat.send",
         V("{\"type\":\"req\",\"id\":\"12345\",\"method\":\"chat.send\",\"params\":{\"sessionKey\":"
           "\"agent:main:main\",\"message\":\"hello there, how are you?\",\"idempotencyKey\":"
           "\"8b7c0d3e-7f5e-4a69-9d0f-0a7a7f6f3e21\"}}")},
        {"chat.send, Greek",
         V("{\"type\":\"req\",\"id\":\"12345\",\"method\":\"chat.send\",\"params\":{\"sessionKey\":"
           "\"agent:main:main\",\"message\":\"γειά σου, τι κάνεις σήμερα;\",\"idempotencyKey\":"
           "\"8b7c0d3e-7f5e-4a69-9d0f-0a7a7f6f3e21\"}}")},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct view t = rows[i].text;

        printf(
            "%s (%zu bytes): jscan %.0f ns, jscan_check %.0f ns, utf8_valid %.0f ns, jansson %.0f "
            "ns\n",
            rows[i].name, t.n, best_ns(run_jscan, t, TIMES), best_ns(run_check, t, TIMES),
            best_ns(run_utf8, t, TIMES), best_ns(run_jansson, t, TIMES));
    }
    /* what a stranger may try: all of it must stay at tens of ns per byte */
    bench_hostile("one object, 99,999 keys", 1, 99999, "k");
    bench_hostile("one object, 99,999 keys with escapes", 1, 99999, "\\u006b");
    bench_hostile("49,999 objects, the same key with escapes", 49999, 1, "\\u006b");
    bench_hostile("5,500 objects, the same 17 keys", 5500, 17, "k");
    bench_hostile("6,000 objects, the same 15 keys", 6000, 15, "k");
    return 0;
}
