/*
 * A writer is killed at a random moment, again and again; what it had acknowledged must be there.
 * The writer tells over a pipe how many turns are committed, after each commit and nothing earlier.
 */
#include "store_turns.h"

#include "rand.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/wait.h>
#include <time.h>

enum { KILLS = 150 };

static uint64_t seed;

static uint64_t next(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return seed >> 33;
}

static void writer(const char *path, int fd, uint64_t n, uint64_t salt)
{
    struct store_opts small = {.map_bytes = 1 * MIB}; /* grows on the way */
    struct store *s = NULL;

    if (store_open(&s, path, &small, &e) < 0)
        _exit(10);
    for (;; salt = salt * 31 + 7) {
        for (uint64_t k = 1 + salt % 4; k; k--)
            if (turn(s, n++) < 0)
                _exit(11);
        if (store_commit(s, &e) < 0)
            _exit(12);
        if (write(fd, &n, sizeof(n)) != sizeof(n)) /* turns 0 .. n-1 are safe */
            _exit(13);
        store_turn_end(s);
    }
}

START_TEST(test_kill)
{
    const char *given = getenv("CHAOS_SEED");
    struct kit kit;
    uint64_t have = 0, acked = 0, told, beyond = 0, total = 0;
    struct timespec wait;
    int p[2], status;
    pid_t pid;

    seed = given ? strtoull(given, NULL, 10) : rand_u64() >> 32;
    printf("seed %llu\n", (unsigned long long)seed);
    kit_init(&kit);
    for (int i = 0; i < KILLS; i++) {
        ck_assert_int_eq(pipe2(p, O_CLOEXEC), 0);
        pid = fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
            close(p[0]);
            writer(kit.path, p[1], have, next());
        }
        close(p[1]);
        if (i % 4) { /* after an acknowledgement or two, otherwise anywhere, the start included */
            struct pollfd pf = {.fd = p[0], .events = POLLIN};

            (void)poll(&pf, 1, -1);
        }
        wait = (struct timespec){.tv_nsec = (long)(next() % 12000000)};
        (void)nanosleep(&wait, NULL);
        (void)kill(pid, SIGKILL);
        while (read(p[0], &told, sizeof(told)) == sizeof(told))
            acked = told;
        close(p[0]);
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_msg(WIFSIGNALED(status), "round %d: writer left with %d", i, status);
        have = verify(kit.path, acked);
        beyond += have > acked;
        acked = have;
        if (have > 1500) { /* each round reads all of it: begin afresh */
            total += have;
            have = acked = 0;
            kit_fini(&kit);
            kit_init(&kit);
        }
    }
    total += have;
    printf("%d kills, %llu turns kept, %llu times one commit more than acknowledged\n", KILLS,
           (unsigned long long)total, (unsigned long long)beyond);
    ck_assert_uint_gt(total, 100);
    kit_fini(&kit);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_test(tc, test_kill);
}
CK_MAIN("store_crash")
