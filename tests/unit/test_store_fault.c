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

enum { PIECE = 4096, PENDING_MAX = 20000, IMAGE_MAX = 32 * 1024 * 1024 };

static struct {
    bool armed;
    ino_t file;
    /* power */
    char *image;
    size_t image_n;
    struct piece {
        size_t off, n;
        char *data;
    } pending[PENDING_MAX];
    size_t pending_n;
    bool cut; /* try a power cut at each event */
    uint64_t acked, cuts, kept_more;
    char path[128], lock[160];
    /* faults */
    uint64_t events, fail_at;
    int fail_with;
    bool fail_all; /* from fail_at on, until disarmed */
} dev;

static uint64_t seed = 1;

static uint64_t next(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return seed >> 33;
}

static bool ours(int fd)
{
    struct stat st;

    return dev.armed && fstat(fd, &st) == 0 && st.st_ino == dev.file;
}

static void to_image(const struct piece *p)
{
    memcpy(dev.image + p->off, p->data, p->n);
    if (p->off + p->n > dev.image_n)
        dev.image_n = p->off + p->n;
}

static void flushed(void)
{
    for (size_t i = 0; i < dev.pending_n; i++) {
        to_image(&dev.pending[i]);
        free(dev.pending[i].data);
    }
    dev.pending_n = 0;
}

/* The power goes: what does the next start find? */
static void cut(void)
{
    size_t n = dev.image_n, kept;
    char *was;
    int fd;

    if (!dev.cut)
        return;
    dev.armed = false;
    was = malloc(IMAGE_MAX);
    memcpy(was, dev.image, n);
    for (size_t i = 0; i < dev.pending_n; i++)
        if (next() & 1)
            to_image(&dev.pending[i]);
    fd = open(dev.path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_eq(syscall(SYS_write, fd, dev.image, dev.image_n), (long)dev.image_n);
    close(fd);
    memset(dev.image + n, 0, IMAGE_MAX - n);
    memcpy(dev.image, was, n);
    dev.image_n = n;
    free(was);
    kept = verify(dev.path, dev.acked);
    dev.cuts++;
    dev.kept_more += kept > dev.acked;
    unlink(dev.path);
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

static void note(int fd, const char *p, size_t n, size_t off)
{
    size_t len;

    for (; dev.image && n; p += len, off += len, n -= len) {
        len = PIECE - off % PIECE < n ? PIECE - off % PIECE : n;
        ck_assert(dev.pending_n < PENDING_MAX && off + len <= IMAGE_MAX);
        dev.pending[dev.pending_n++] = (struct piece){off, len, malloc(len)};
        memcpy(dev.pending[dev.pending_n - 1].data, p, len);
    }
    if (!dev.image)
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
    if (ours(fd)) {
        if (fails())
            return -1;
        note(fd, p, n, (size_t)off);
    }
    return syscall(SYS_pwrite64, fd, p, n, off);
}

ssize_t dev_pwrite64(int fd, const void *p, size_t n, off_t off) __asm__("pwrite64");
ssize_t dev_pwrite64(int fd, const void *p, size_t n, off_t off)
{
    return dev_pwrite(fd, p, n, off);
}

ssize_t dev_writev(int fd, const struct iovec *v, int n) __asm__("writev");
ssize_t dev_writev(int fd, const struct iovec *v, int n)
{
    off_t off;

    if (ours(fd)) {
        if (fails())
            return -1;
        off = lseek(fd, 0, SEEK_CUR);
        for (int i = 0; i < n; i++) {
            note(fd, v[i].iov_base, v[i].iov_len, (size_t)off);
            off += (off_t)v[i].iov_len;
        }
    }
    return syscall(SYS_writev, fd, v, n);
}

int dev_fdatasync(int fd) __asm__("fdatasync");
int dev_fdatasync(int fd)
{
    if (ours(fd)) {
        if (fails())
            return -1;
        cut();
        flushed();
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

    ck_assert_int_eq(stat(path, &st), 0);
    dev.file = st.st_ino;
    dev.armed = true;
}

START_TEST(test_power)
{
    struct store_opts o = {.map_bytes = 1 * MIB, .prealloc_bytes = 64 * 1024};
    struct store *s = NULL;
    struct kit kit;
    uint64_t n = 0;
    int fd;

    seed = getenv("CHAOS_SEED") ? strtoull(getenv("CHAOS_SEED"), NULL, 10) : rand_u64() >> 32;
    printf("seed %llu\n", (unsigned long long)seed);
    kit_init(&kit);
    OK(store_open(&s, kit.path, &o, &e));
    (void)snprintf(dev.path, sizeof(dev.path), "%s/cut", kit.dir);
    (void)snprintf(dev.lock, sizeof(dev.lock), "%s/cut-lock", kit.dir);
    dev.image = calloc(1, IMAGE_MAX);
    fd = open(kit.path, O_RDONLY);
    dev.image_n = (size_t)read(fd, dev.image, IMAGE_MAX);
    close(fd);
    arm(kit.path);
    for (int i = 0; i < 40; i++) {
        dev.cut = i % 4 == 0 || i > 30; /* each event of these commits */
        for (uint64_t k = 1 + next() % 5; k; k--)
            OK(turn(s, n++));
        OK(store_commit(s, &e));
        dev.acked = n;
    }
    dev.armed = false;
    printf("%llu power cuts, %llu times the commit under way was there\n",
           (unsigned long long)dev.cuts, (unsigned long long)dev.kept_more);
    ck_assert_uint_gt(dev.cuts, 100);
    store_close(&s);
    kit_fini(&kit);
    free(dev.image);
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
    unsigned closed = 0, again = 0;
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
        for (uint64_t k = 0; k < 60; k++) /* enough to need more disk */
            OK(turn(s, n + k));
        r = store_commit(s, &e);
        hit = dev.events >= at;
        if (r == 0) {
            n += 60;
        } else if (r == ERR_CLOSED) {
            closed++;
            ck_assert(!store_usable(s));
            FAILS(turn(s, n), ERR_CLOSED);
            FAILS(store_session_get(s, V("s0"), &row, &e), ERR_CLOSED);
            FAILS(store_commit(s, &e), ERR_CLOSED);
        } else { /* nothing kept, reads go on, the next try is a new one */
            ck_assert_msg(r == ERR_AGAIN || r == ERR_SYS, "%s at %u: %d %s", faults[_i].name,
                          (unsigned)at, r, e.text);
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
    printf("%s: %u times closed, %u times refused\n", faults[_i].name, closed, again);
    ck_assert_uint_gt(closed + again, 0);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_test(tc, test_power);
    tcase_add_loop_test(tc, test_fault, 0, (int)COUNT_OF(faults));
}
CK_MAIN("store_fault")
