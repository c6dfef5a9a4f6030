/*
 * The disk under the store fails: full, broken, or without power. LMDB's and the store's writes go
 * through the functions below (they are found before the C library's), which keep a second image:
 * what would be on the disk if the power went now. Writes since the last flush are in it by chance,
 * page by page, in any order; a write through an O_DSYNC descriptor is there when it returns.
 */
#include "store_turns.h"

#include "rand.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

enum { PIECE = 4096, PENDING_MAX = 20000, IMAGE_MAX = 32 * 1024 * 1024 };

static struct {
    bool armed;
    /* power: the LMDB file and the log */
    struct image {
        ino_t file;
        char *p;
        size_t n;
    } image[2];
    struct piece {
        struct image *of;
        size_t off, n;
        char *data;
    } pending[PENDING_MAX];
    size_t pending_n;
    bool cut; /* try a power cut at each event */
    uint64_t acked, cuts, kept_more;
    char path[128], log[160], lock[160];
    /* faults */
    uint64_t events, fail_at;
    int fail_with;
    bool fail_all;   /* from fail_at on, until disarmed */
    bool space_only; /* what needs no new space goes on */
} dev;

static uint64_t seed = 1;

static uint64_t next(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return seed >> 33;
}

/* Which of our files this is, or NULL. */
static struct image *ours(int fd)
{
    struct stat st;

    if (!dev.armed || fstat(fd, &st) < 0)
        return NULL;
    return st.st_ino == dev.image[0].file   ? &dev.image[0]
           : st.st_ino == dev.image[1].file ? &dev.image[1]
                                            : NULL;
}

static void to_image(const struct piece *p)
{
    memcpy(p->of->p + p->off, p->data, p->n);
    if (p->off + p->n > p->of->n)
        p->of->n = p->off + p->n;
}

static void flushed(const struct image *of)
{
    size_t left = 0;

    for (size_t i = 0; i < dev.pending_n; i++) {
        if (dev.pending[i].of != of) {
            dev.pending[left++] = dev.pending[i];
            continue;
        }
        to_image(&dev.pending[i]);
        free(dev.pending[i].data);
    }
    dev.pending_n = left;
}

static void to_file(const char *path, const struct image *im)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    ck_assert_int_eq(syscall(SYS_write, fd, im->p, im->n), (long)im->n);
    close(fd);
}

/* The power goes: what does the next start find? */
static void cut(void)
{
    char *was[2];
    size_t n[2], kept;

    if (!dev.cut)
        return;
    dev.armed = false;
    for (int k = 0; k < 2; k++) {
        n[k] = dev.image[k].n;
        was[k] = malloc(n[k] + 1);
        memcpy(was[k], dev.image[k].p, n[k]);
    }
    for (size_t i = 0; i < dev.pending_n; i++)
        if (next() & 1)
            to_image(&dev.pending[i]);
    to_file(dev.path, &dev.image[0]);
    to_file(dev.log, &dev.image[1]);
    for (int k = 0; k < 2; k++) {
        memset(dev.image[k].p + n[k], 0, dev.image[k].n - n[k]);
        memcpy(dev.image[k].p, was[k], n[k]);
        dev.image[k].n = n[k];
        free(was[k]);
    }
    kept = verify(dev.path, dev.acked);
    dev.cuts++;
    dev.kept_more += kept > dev.acked;
    unlink(dev.path);
    unlink(dev.log);
    unlink(dev.lock);
    dev.armed = true;
}

static bool fails(void)
{
    dev.events++;
    if (!dev.fail_at || dev.events < dev.fail_at || (dev.events > dev.fail_at && !dev.fail_all))
        return false;
    errno = dev.fail_with;
    return true;
}

/* A write of n bytes: does it fail? */
static bool write_fails(int fd, off_t off, size_t n)
{
    struct stat st;

    if (dev.space_only && fstat(fd, &st) == 0 && off + (off_t)n <= st.st_size)
        return false;
    return fails();
}

static size_t iov_bytes(const struct iovec *v, int n)
{
    size_t sum = 0;

    for (int i = 0; i < n; i++)
        sum += v[i].iov_len;
    return sum;
}

static void note(struct image *of, int fd, const char *p, size_t n, size_t off)
{
    size_t len;

    for (; of->p && n; p += len, off += len, n -= len) {
        len = PIECE - off % PIECE < n ? PIECE - off % PIECE : n;
        ck_assert(dev.pending_n < PENDING_MAX && off + len <= IMAGE_MAX);
        dev.pending[dev.pending_n++] = (struct piece){of, off, len, malloc(len)};
        memcpy(dev.pending[dev.pending_n - 1].data, p, len);
    }
    if (!of->p)
        return;
    cut(); /* under way */
    if (fcntl(fd, F_GETFL) & O_DSYNC) {
        ck_assert_uint_gt(dev.pending_n, 0); /* a meta page: one piece, on the disk at once */
        dev.pending_n--;
        to_image(&dev.pending[dev.pending_n]);
        free(dev.pending[dev.pending_n].data);
        cut();
    }
}

ssize_t dev_pwrite(int fd, const void *p, size_t n, off_t off) __asm__("pwrite");
ssize_t dev_pwrite(int fd, const void *p, size_t n, off_t off)
{
    struct image *of = ours(fd);

    if (of) {
        if (write_fails(fd, off, n))
            return -1;
        note(of, fd, p, n, (size_t)off);
    }
    return syscall(SYS_pwrite64, fd, p, n, off);
}

ssize_t dev_pwrite64(int fd, const void *p, size_t n, off_t off) __asm__("pwrite64");
ssize_t dev_pwrite64(int fd, const void *p, size_t n, off_t off)
{
    return dev_pwrite(fd, p, n, off);
}

static void note_all(struct image *of, int fd, const struct iovec *v, int n, off_t off)
{
    for (int i = 0; i < n; i++) {
        note(of, fd, v[i].iov_base, v[i].iov_len, (size_t)off);
        off += (off_t)v[i].iov_len;
    }
}

ssize_t dev_writev(int fd, const struct iovec *v, int n) __asm__("writev");
ssize_t dev_writev(int fd, const struct iovec *v, int n)
{
    struct image *of = ours(fd);

    if (of) {
        if (write_fails(fd, lseek(fd, 0, SEEK_CUR), iov_bytes(v, n)))
            return -1;
        note_all(of, fd, v, n, lseek(fd, 0, SEEK_CUR));
    }
    return syscall(SYS_writev, fd, v, n);
}

ssize_t dev_pwritev(int fd, const struct iovec *v, int n, off_t off) __asm__("pwritev");
ssize_t dev_pwritev(int fd, const struct iovec *v, int n, off_t off)
{
    struct image *of = ours(fd);

    if (of) {
        if (write_fails(fd, off, iov_bytes(v, n)))
            return -1;
        note_all(of, fd, v, n, off);
    }
    return syscall(SYS_pwritev, fd, v, n, off, 0);
}

ssize_t dev_pwritev64(int fd, const struct iovec *v, int n, off_t off) __asm__("pwritev64");
ssize_t dev_pwritev64(int fd, const struct iovec *v, int n, off_t off)
{
    return dev_pwritev(fd, v, n, off);
}

int dev_fdatasync(int fd) __asm__("fdatasync");
int dev_fdatasync(int fd)
{
    struct image *of = ours(fd);

    if (of) {
        if (!dev.space_only && fails())
            return -1;
        cut();
        flushed(of);
        cut();
    }
    return (int)syscall(SYS_fdatasync, fd);
}

int dev_fallocate64(int fd, int mode, off_t off, off_t n) __asm__("fallocate64");
int dev_fallocate64(int fd, int mode, off_t off, off_t n)
{
    if (ours(fd) && fails())
        return -1;
    return (int)syscall(SYS_fallocate, fd, mode, off, n);
}

static void arm(const char *path)
{
    struct stat st;
    char log[160];

    (void)snprintf(log, sizeof(log), "%s-log", path);
    ck_assert_int_eq(stat(path, &st), 0);
    dev.image[0].file = st.st_ino;
    ck_assert_int_eq(stat(log, &st), 0);
    dev.image[1].file = st.st_ino;
    dev.armed = true;
}

static void load_image(struct image *im, const char *path)
{
    int fd = open(path, O_RDONLY);

    im->p = calloc(1, IMAGE_MAX);
    im->n = (size_t)read(fd, im->p, IMAGE_MAX);
    close(fd);
}

START_TEST(test_power)
{
    struct store_opts o = {.map_bytes = 1 * MIB, .prealloc_bytes = 64 * 1024};
    struct store *s = NULL;
    struct kit kit;
    char log[160];
    uint64_t n = 0;

    seed = getenv("CHAOS_SEED") ? strtoull(getenv("CHAOS_SEED"), NULL, 10) : rand_u64() >> 32;
    printf("seed %llu\n", (unsigned long long)seed);
    kit_init(&kit);
    OK(store_open(&s, kit.path, &o, &e));
    (void)snprintf(dev.path, sizeof(dev.path), "%s/cut", kit.dir);
    (void)snprintf(dev.lock, sizeof(dev.lock), "%s/cut-lock", kit.dir);
    (void)snprintf(dev.log, sizeof(dev.log), "%s-log", dev.path);
    (void)snprintf(log, sizeof(log), "%s-log", kit.path);
    load_image(&dev.image[0], kit.path);
    load_image(&dev.image[1], log);
    arm(kit.path);
    for (int i = 0; i < 40; i++) {
        dev.cut = i % 4 == 0 || i > 30; /* each event of these commits */
        for (uint64_t k = 1 + next() % 5; k; k--)
            OK(turn(s, n++));
        OK(store_commit(s, &e));
        dev.acked = n;
        if (next() % 4 == 0) /* what is acknowledged is in the log only, in both, or in LMDB only */
            OK(store_checkpoint(s, &e));
    }
    dev.armed = false;
    printf("%llu power cuts, %llu times the commit under way was there\n",
           (unsigned long long)dev.cuts, (unsigned long long)dev.kept_more);
    ck_assert_uint_gt(dev.cuts, 100);
    store_close(&s);
    kit_fini(&kit);
    for (int k = 0; k < 2; k++) {
        free(dev.image[k].p);
        dev.image[k] = (struct image){0};
    }
}
END_TEST

static const struct {
    const char *name;
    int error;
    bool all; /* as on a full disk, until somebody makes room */
} faults[] = {
    {"EIO", EIO, false},
    {"ENOSPC once", ENOSPC, false},
    {"ENOSPC", ENOSPC, true},
    {"EINVAL", EINVAL, false},
};

/* The n-th call of a commit fails, for every n until none is left to fail. */
START_TEST(test_fault)
{
    struct store_opts o = {.prealloc_bytes = 64 * 1024};
    struct rec_session_put row;
    struct kit kit;
    unsigned closed = 0, again = 0, kept_on = 0;
    bool hit = true;

    for (uint64_t at = 1; hit; at++) {
        struct store *s = NULL;
        uint64_t n = 0;
        int r;

        kit_init(&kit);
        OK(store_open(&s, kit.path, &o, &e));
        for (int i = 0; i < 20; i++)
            OK(turn(s, n++));
        OK(store_commit(s, &e));
        arm(kit.path);
        dev.events = 0;
        dev.fail_at = at;
        dev.fail_with = faults[_i].error;
        dev.fail_all = faults[_i].all;
        r = 0;
        for (uint64_t k = 0; k < 60 && r == 0; k++) /* enough to need more disk */
            r = turn(s, n + k);
        if (r < 0) /* refused before anything was built on it */
            store_rollback(s);
        else
            r = store_commit(s, &e);
        if (r == 0) { /* it is in the log: a checkpoint that fails loses nothing */
            n += 60;
            kept_on += store_checkpoint(s, &e) < 0;
            hit = dev.events >= at;
        } else if (r == ERR_CLOSED) {
            hit = true;
            closed++;
            ck_assert(!store_usable(s));
            FAILS(turn(s, n), ERR_CLOSED);
            FAILS(store_session_get(s, V("s0"), &row, &e), ERR_CLOSED);
            FAILS(store_commit(s, &e), ERR_CLOSED);
        } else { /* nothing kept, reads go on, the next try is a new one */
            ck_assert_msg(r == ERR_AGAIN || r == ERR_SYS, "%s at %u: %d %s", faults[_i].name,
                          (unsigned)at, r, e.text);
            hit = true;
            again++;
            OK(store_session_get(s, V("s0"), &row, &e));
            ck_assert_int_lt(row.updated_at, 20);
        }
        dev.armed = false;
        if (store_usable(s)) {
            for (uint64_t k = 0; k < 10; k++)
                OK(turn(s, n++));
            OK(store_commit(s, &e));
        }
        store_close(&s);
        (void)verify(kit.path, n);
        kit_fini(&kit);
    }
    printf("%s: %u times closed, %u times refused, %u times only the checkpoint failed\n",
           faults[_i].name, closed, again, kept_on);
    ck_assert_uint_gt(closed + again, 0);
    ck_assert_uint_gt(kept_on, 0);
}
END_TEST

/* A full disk: the door says no while there is still room to end what is under way; what is kept
 * can be read, also by the next process; when there is space again all goes on. */
START_TEST(test_door)
{
    struct store_opts o = {.prealloc_bytes = 64 * 1024};
    struct rec_session_put row;
    struct rec_message_add m;
    struct store_stats st;
    struct store *s = NULL;
    struct kit kit;
    uint64_t n = 0;
    char id[32];
    int r, status;
    pid_t pid;

    kit_init(&kit);
    OK(store_open(&s, kit.path, &o, &e));
    OK(store_room(s, 1000, &e));
    for (int i = 0; i < 20; i++)
        OK(turn(s, n++));
    OK(store_commit(s, &e));
    arm(kit.path);
    dev.events = 0;
    dev.fail_at = 1;
    dev.fail_with = ENOSPC;
    dev.fail_all = dev.space_only = true;
    FAILS(store_room(s, 4 * MIB, &e), ERR_AGAIN);
    for (r = 0; r == 0;) { /* what is under way ends from the reserve */
        if ((r = turn(s, n)) == 0) {
            OK(store_commit(s, &e));
            n++;
        }
    }
    ck_assert_int_eq(r, ERR_AGAIN);
    ck_assert_uint_gt(n, 20 + 30);
    store_rollback(s);
    FAILS(store_room(s, 0, &e), ERR_AGAIN);
    OK(store_session_get(s, V("s0"), &row, &e));
    OK(store_checkpoint(s, &e)); /* there is room for what was taken */

    OK(store_stats(s, &st, &e));
    store_close(&s);
    dev.armed = false;
    pid = fork();
    if (pid == 0) { /* dies with changes in the log only ... */
        if (store_open(&s, kit.path, &o, &e) < 0 || turn(s, n) < 0 || store_commit(s, &e) < 0)
            _exit(1);
        _exit(turn(s, n + 1) < 0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    n++;
    ck_assert_int_eq(truncate(kit.path, (off_t)st.used_bytes), 0); /* ... and the room is gone */
    arm(kit.path);
    OK(store_open(&s, kit.path, &o, &e));
    OK(store_session_get(s, V("s0"), &row, &e));
    (void)snprintf(id, sizeof(id), "m%u", (unsigned)n - 1);
    OK(store_message_by_id(s, view_str(id), &m, &e));
    FAILS(store_room(s, 0, &e), ERR_AGAIN);
    FAILS(turn(s, n), ERR_AGAIN);
    store_close(&s); /* and once more */
    OK(store_open(&s, kit.path, &o, &e));
    OK(store_message_by_id(s, view_str(id), &m, &e));
    FAILS(turn(s, n), ERR_AGAIN);
    dev.fail_all = dev.space_only = dev.armed = false;
    OK(store_room(s, 1000, &e));
    OK(turn(s, n++));
    OK(store_commit(s, &e));
    store_close(&s);
    (void)verify(kit.path, n);
    kit_fini(&kit);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_test(tc, test_door);
    tcase_add_test(tc, test_power);
    tcase_add_loop_test(tc, test_fault, 0, (int)COUNT_OF(faults));
}
CK_MAIN("store_fault")
