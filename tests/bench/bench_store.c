/*
 * tests/bench/bench_store.c - what the store costs on this disk. Not a test: prints a table.
 *   bench_store FOLDER [SESSIONS MESSAGES]
 * Beside the commits stands what the disk can do at all: 4 KiB written and fdatasync'd, over and
 * over.
 */
#include "clock.h"
#include "rand.h"
#include "store.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct err e;

#define DO(expr)                                                                                   \
    do {                                                                                           \
        if ((expr) < 0) {                                                                          \
            fprintf(stderr, "%s: %s\n", #expr, e.text);                                            \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static char text[900];

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static void print(const char *name, uint64_t *ns, size_t n, uint64_t took_ns, size_t rows)
{
    qsort(ns, n, sizeof(*ns), by_size);
    printf("%-34s %9.0f/s  p50 %8.1f us  p99 %8.1f us\n", name,
           (double)(n * rows) * 1e9 / (double)took_ns, (double)ns[n / 2] / 1e3,
           (double)ns[n * 99 / 100] / 1e3);
}

static void put_session(struct store *s, unsigned i, int64_t at)
{
    char key[64];
    struct store_rec r = {.type = REC_session_put};

    (void)snprintf(key, sizeof(key), "agent:main:bench:%u", i);
    r.session_put =
        (struct rec_session_put){.key = view_str(key),
                                 .session_id = V("00000000-0000-4000-8000-000000000000"),
                                 .agent_id = V("main"),
                                 .created_at = 1,
                                 .updated_at = at,
                                 .extra = V("{\"model\":\"mock-1\"}")};
    DO(store_apply(s, &r, &e));
}

static void put_message(struct store *s, uint32_t sid)
{
    char id[UUID_MAX];
    struct store_rec r = {.type = REC_message_add};

    rand_uuid(id);
    r.message_add = (struct rec_message_add){.sid = sid,
                                             .id = view_of(id, UUID_LEN),
                                             .run_id = view_of(id, UUID_LEN),
                                             .text = view_of(text, sizeof(text))};
    DO(store_apply(s, &r, &e));
}

static void put_run(struct store *s)
{
    char id[UUID_MAX];
    struct store_rec r = {.type = REC_run_put};

    rand_uuid(id);
    r.run_put = (struct rec_run_put){.run_id = view_of(id, UUID_LEN),
                                     .session_key = V("agent:main:main"),
                                     .params = view_of(text, sizeof(text))};
    DO(store_apply(s, &r, &e));
}

static void bench_disk(const char *dir)
{
    static char page[4096];
    uint64_t ns[500], t0, t;
    char path[512];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/bench.raw", dir);
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    for (int i = 0; i < 256; i++)
        if (write(fd, page, sizeof(page)) < 0)
            exit(1);
    fsync(fd);
    t0 = clock_mono_ns();
    for (size_t i = 0; i < COUNT_OF(ns); i++) {
        t = clock_mono_ns();
        if (pwrite(fd, page, sizeof(page), (off_t)(i % 256 * sizeof(page))) < 0 ||
            fdatasync(fd) < 0)
            exit(1);
        ns[i] = clock_mono_ns() - t;
    }
    print("disk: 4 KiB + fdatasync", ns, COUNT_OF(ns), clock_mono_ns() - t0, 1);
    close(fd);
    unlink(path);
}

/* A turn = what chat.send writes: message, run, session row. */
static void bench_commits(struct store *s, unsigned turns, size_t commits)
{
    uint64_t *ns = calloc(commits, sizeof(*ns)), t0 = clock_mono_ns(), t;
    char name[64];

    for (size_t i = 0; i < commits; i++) {
        t = clock_mono_ns();
        for (unsigned k = 0; k < turns; k++) {
            put_message(s, 1 + k);
            put_run(s);
            put_session(s, k, (int64_t)(i * 100 + k));
        }
        DO(store_commit(s, &e));
        ns[i] = clock_mono_ns() - t;
    }
    (void)snprintf(name, sizeof(name), "turns, %u a commit (3 records each)", turns);
    print(name, ns, commits, clock_mono_ns() - t0, turns);
    free(ns);
}

static void bench_records(struct store *s, unsigned batch, size_t commits)
{
    uint64_t *ns = calloc(commits, sizeof(*ns)), t0 = clock_mono_ns(), t;
    char name[64];

    for (size_t i = 0; i < commits; i++) {
        t = clock_mono_ns();
        for (unsigned k = 0; k < batch; k++)
            put_message(s, 1 + k);
        DO(store_commit(s, &e));
        ns[i] = clock_mono_ns() - t;
    }
    (void)snprintf(name, sizeof(name), "messages, %u a commit", batch);
    print(name, ns, commits, clock_mono_ns() - t0, batch);
    free(ns);
}

static uint64_t sum;

static int on_session(void *ctx, const struct rec_session_put *r)
{
    (void)ctx;
    sum += r->key.n;
    return 0;
}
static int on_message(void *ctx, const struct rec_message_add *m)
{
    (void)ctx;
    sum += (unsigned char)m->text.p[m->text.n - 1];
    return 0;
}

static void bench_pages(struct store *s, unsigned sessions)
{
    enum { TURNS = 2000 };
    static uint64_t list[TURNS], deep[TURNS], hist[TURNS], get[TURNS], all[20];
    struct rec_session_put row;
    char key[64];
    uint64_t t, t0[5] = {0};

    for (size_t i = 0; i < TURNS; i++) {
        t = clock_mono_ns();
        DO(store_sessions_page(s, 0, 100, on_session, NULL, &e));
        t0[0] += list[i] = clock_mono_ns() - t;
        store_turn_end(s);
        t = clock_mono_ns();
        DO(store_sessions_page(s, sessions - 100, 100, on_session, NULL, &e));
        t0[1] += deep[i] = clock_mono_ns() - t;
        store_turn_end(s);
        t = clock_mono_ns();
        DO(store_history_page(s, (uint32_t)(1 + rand_u64() % sessions), 0, 100, on_message, NULL,
                              &e));
        t0[2] += hist[i] = clock_mono_ns() - t;
        store_turn_end(s);
        (void)snprintf(key, sizeof(key), "agent:main:bench:%u", (unsigned)(rand_u64() % sessions));
        t = clock_mono_ns();
        DO(store_session_get(s, view_str(key), &row, &e));
        t0[3] += get[i] = clock_mono_ns() - t;
        store_turn_end(s);
    }
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        t = clock_mono_ns();
        DO(store_sessions_page(s, 0, SIZE_MAX, on_session, NULL, &e));
        t0[4] += all[i] = clock_mono_ns() - t;
    }
    print("list page: 100 newest", list, TURNS, t0[0], 1);
    print("list page: 100 oldest", deep, TURNS, t0[1], 1);
    print("history page: 100 of any session", hist, TURNS, t0[2], 1);
    print("session by key", get, TURNS, t0[3], 1);
    print("walk over all sessions", all, COUNT_OF(all), t0[4], 1);
}

int main(int argc, char **argv)
{
    unsigned sessions = argc > 3 ? (unsigned)strtoul(argv[2], NULL, 10) : 10000;
    unsigned messages = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 100;
    struct store_stats st;
    struct store *s = NULL;
    char path[512], lock[520];
    uint64_t t;

    if (argc < 2 || sessions < 100) {
        fprintf(stderr, "bench_store FOLDER [SESSIONS MESSAGES]\n");
        return 2;
    }
    (void)snprintf(path, sizeof(path), "%s/bench.db", argv[1]);
    (void)snprintf(lock, sizeof(lock), "%s-lock", path);
    unlink(path);
    unlink(lock);
    memset(text, 'x', sizeof(text));
    bench_disk(argv[1]);
    DO(store_open(&s, path, NULL, &e));
    for (unsigned i = 0; i < 100; i++)
        put_session(s, i, i);
    DO(store_commit(s, &e));
    bench_records(s, 1, 500);
    bench_records(s, 8, 300);
    bench_records(s, 64, 100);
    bench_commits(s, 1, 500);
    bench_commits(s, 8, 300);
    bench_commits(s, 64, 100);
    t = clock_mono_ns();
    for (unsigned i = 0; i < sessions; i++) {
        put_session(s, i, i);
        if (i % 1000 == 0)
            DO(store_commit(s, &e));
    }
    for (unsigned k = 0; k < messages; k++) {
        for (unsigned i = 0; i < sessions; i++)
            put_message(s, 1 + i);
        DO(store_commit(s, &e));
    }
    DO(store_commit(s, &e));
    DO(store_stats(s, &st, &e));
    printf("filled: %llu sessions, %llu messages in %.1f s, %.0f MiB\n",
           (unsigned long long)st.sessions, (unsigned long long)st.messages,
           (double)(clock_mono_ns() - t) / 1e9, (double)st.used_bytes / 1048576);
    bench_pages(s, sessions);
    bench_records(s, 1, 300);
    bench_records(s, 64, 50);
    bench_commits(s, 1, 300);
    bench_commits(s, 64, 50);
    store_close(&s);
    t = clock_mono_ns();
    DO(store_open(&s, path, NULL, &e));
    printf("open: %.2f ms\n", (double)(clock_mono_ns() - t) / 1e6);
    t = clock_mono_ns();
    DO(store_check(s, &e));
    printf("check of everything: %.0f ms\n", (double)(clock_mono_ns() - t) / 1e6);
    store_close(&s);
    unlink(path);
    unlink(lock);
    return sum == 1;
}
