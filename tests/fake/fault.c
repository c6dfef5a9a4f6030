/*
 * tests/fake/fault.c - the C library fails on demand. Linked into the programs with -Dfaults=true
 * only, for tests; a release build has neither this file nor the names in it. Its functions are
 * found before the C library's by our code and by every library, so that LMDB, libevent, jansson
 * and libcurl are told the same. A page in a file (FAULT_PAGE) that the test maps as well says
 * which call of which program fails, so that a running tree is told without a system call of its
 * own (the sandbox allows none for this). It also moves the wall clock, and time itself: what
 * waits then looks at the clock every few milliseconds, so that hours pass as the test moves them.
 * Layout, in 64 bit words: see enum; tests/it/fault.py is the other side.
 */
#include "iolog.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum call {
#define FAULT(name, error) CALL_##name,
#include "fault.def"
#undef FAULT
    CALL_COUNT
};
static const int errors[] = {
#define FAULT(name, error) [CALL_##name] = (error),
#include "fault.def"
#undef FAULT
};

enum { /* words of the page */
       W_MAGIC,
       W_WALL_NS, /* added to the wall clock */
       W_PROGRAM, /* index into programs */
       W_CALL,
       W_ERRNO,   /* 0: of fault.def */
       W_LEFT,    /* calls until it fails: 1 the next one; <= 0 nothing fails */
       W_FOREVER, /* all after it, too, until W_LEFT is set anew */
       W_HITS,
       W_ACTION,      /* 0 the call fails, 1 the program dies before it, 2 dies behind it */
       W_TIME_NS,     /* added to every clock; 0: time is not moved */
       W_COUNTS = 16, /* [program][32]: calls so far */
       W_WHERE = 256, /* return addresses of the last call that failed, as offsets in the program */
       WHERE_MAX = 12,
       PAGE_BYTES = 4096,
       MAGIC = 0x464c5431,
       CALLS_MAX = 32,
       LOOK_MS = 4, /* how long is waited while time is moved */
};

static const char *const programs[] = {"openclawd", "openclaw-front", "openclaw-hub",
                                       "openclaw-agent", "openclaw-channel"};
static volatile int64_t *page;
static int me = -1;
static bool doomed;

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);

static bool is(const char *name, const char *program, bool longer)
{
    size_t n = strlen(program);

    return strncmp(name, program, n) == 0 &&
           (longer || !name[n] || name[n] == ':' || name[n] == ' ');
}

__attribute__((constructor(101))) static void begin(void)
{
    const char *path = getenv("FAULT_PAGE");
    void *p;
    int fd;

    /* a worker's name may say more: "openclaw-hub 0", "openclaw-channel-x account" */
    for (int i = 0; i < (int)(sizeof(programs) / sizeof(programs[0])); i++)
        if (is(program_invocation_short_name, programs[i], i == 4) ||
            is(program_invocation_name, programs[i], i == 4))
            me = i;
    if (me == 2)
        iolog_begin();
    if (!path || me < 0 || (fd = open(path, O_RDWR | O_CLOEXEC)) < 0)
        return;
    (void)backtrace(&p, 1); /* loads what it needs, while it may */
    p = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (p != MAP_FAILED && ((int64_t *)p)[W_MAGIC] == MAGIC)
        page = p;
}

extern const char __executable_start, etext;

static void note_where(void)
{
    void *at[WHERE_MAX + 8];
    int n = backtrace(at, WHERE_MAX + 8), k = 0;

    for (int i = 2; i < n && k < WHERE_MAX; i++)
        if ((const char *)at[i] > &__executable_start && (const char *)at[i] < &etext)
            page[W_WHERE + k++] = (const char *)at[i] - &__executable_start - 1;
    for (; k < WHERE_MAX; k++)
        page[W_WHERE + k] = 0;
}

/* As a kill from outside: nothing of ours runs any more. The sandbox may forbid the signal, and
 * kills as well. */
static void die(void)
{
    (void)syscall(SYS_kill, getpid(), SIGKILL);
    __builtin_trap();
}

static bool fails(enum call c)
{
    int64_t left;

    if (!page)
        return false;
    (void)__atomic_add_fetch(&page[W_COUNTS + me * CALLS_MAX + (int)c], 1, __ATOMIC_RELAXED);
    if (page[W_PROGRAM] != me || page[W_CALL] != (int64_t)c)
        return false;
    if (__atomic_load_n(&page[W_LEFT], __ATOMIC_ACQUIRE) <= 0)
        return false;
    left = __atomic_sub_fetch(&page[W_LEFT], 1, __ATOMIC_ACQ_REL);
    if (left != 0)
        return false;
    if (page[W_FOREVER])
        __atomic_store_n(&page[W_LEFT], 1, __ATOMIC_RELEASE);
    (void)__atomic_add_fetch(&page[W_HITS], 1, __ATOMIC_ACQ_REL);
    if (page[W_ACTION] == 1)
        die();
    if (page[W_ACTION] == 2) {
        doomed = true;
        return false;
    }
    note_where();
    errno = page[W_ERRNO] ? (int)page[W_ERRNO] : errors[c];
    return true;
}

void *malloc(size_t n)
{
    return fails(CALL_malloc) ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    return fails(CALL_malloc) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
    return fails(CALL_malloc) ? NULL : __libc_realloc(p, n);
}

#define P(...) (__VA_ARGS__)
/* note: what the log of writes is told behind a call that succeeded, with its result r. */
#define WRAP_NOTED(call, name, ret, bad, params, types, args, note)                                \
    ret name params;                                                                               \
    ret name params                                                                                \
    {                                                                                              \
        static ret(*real) types;                                                                   \
        ret r;                                                                                     \
                                                                                                   \
        if (fails(CALL_##call))                                                                    \
            return bad;                                                                            \
        if (!real)                                                                                 \
            *(void **)&real = dlsym(RTLD_NEXT, #name);                                             \
        r = real args;                                                                             \
        if (r != bad)                                                                              \
            note;                                                                                  \
        if (doomed)                                                                                \
            die();                                                                                 \
        return r;                                                                                  \
    }
#define WRAP(call, name, ret, bad, params, types, args)                                            \
    WRAP_NOTED(call, name, ret, bad, params, types, args, (void)0)

WRAP(read, read, ssize_t, -1, P(int f, void *p, size_t n), P(int, void *, size_t), (f, p, n))
WRAP(read, readv, ssize_t, -1, P(int f, const struct iovec *v, int n),
     P(int, const struct iovec *, int), (f, v, n))
/* Both names of what has a file offset: our own code asks for the second, old libraries for the
 * first. */
#define WRAP2_NOTED(call, name, ret, bad, params, types, args, note)                               \
    WRAP_NOTED(call, name, ret, bad, params, types, args, note)                                    \
    WRAP_NOTED(call, name##64, ret, bad, params, types, args, note)
#define WRAP2(call, name, ret, bad, params, types, args)                                           \
    WRAP2_NOTED(call, name, ret, bad, params, types, args, (void)0)
WRAP2(read, pread, ssize_t, -1, P(int f, void *p, size_t n, off_t o), P(int, void *, size_t, off_t),
      (f, p, n, o))
WRAP_NOTED(write, write, ssize_t, -1, P(int f, const void *p, size_t n),
           P(int, const void *, size_t), (f, p, n),
           iolog_write_on(f, &(struct iovec){(void *)(uintptr_t)p, n}, 1, r))
WRAP_NOTED(write, writev, ssize_t, -1, P(int f, const struct iovec *v, int n),
           P(int, const struct iovec *, int), (f, v, n), iolog_write_on(f, v, n, r))
WRAP2_NOTED(write, pwrite, ssize_t, -1, P(int f, const void *p, size_t n, off_t o),
            P(int, const void *, size_t, off_t), (f, p, n, o),
            iolog_write(f, &(struct iovec){(void *)(uintptr_t)p, n}, 1, o, r))
WRAP2_NOTED(write, pwritev, ssize_t, -1, P(int f, const struct iovec *v, int n, off_t o),
            P(int, const struct iovec *, int, off_t), (f, v, n, o), iolog_write(f, v, n, o, r))
WRAP2(write, fallocate, int, -1, P(int f, int m, off_t o, off_t n), P(int, int, off_t, off_t),
      (f, m, o, n))
WRAP2_NOTED(write, ftruncate, int, -1, P(int f, off_t n), P(int, off_t), (f, n), iolog_size(f, n))
WRAP_NOTED(fsync, fsync, int, -1, P(int f), P(int), (f), iolog_sync(f))
WRAP_NOTED(fsync, fdatasync, int, -1, P(int f), P(int), (f), iolog_sync(f))
WRAP(fsync, msync, int, -1, P(void *p, size_t n, int l), P(void *, size_t, int), (p, n, l))
WRAP(rename, rename, int, -1, P(const char *a, const char *b), P(const char *, const char *),
     (a, b))
WRAP(accept, accept4, int, -1, P(int f, struct sockaddr *a, socklen_t *n, int l),
     P(int, struct sockaddr *, socklen_t *, int), (f, a, n, l))
WRAP(socket, socket, int, -1, P(int d, int t, int p), P(int, int, int), (d, t, p))
WRAP(socket, socketpair, int, -1, P(int d, int t, int p, int v[2]), P(int, int, int, int *),
     (d, t, p, v))
WRAP(fork, fork, pid_t, -1, P(void), P(void), ())
WRAP2(mmap, mmap, void *, MAP_FAILED, P(void *p, size_t n, int q, int g, int f, off_t o),
      P(void *, size_t, int, int, int, off_t), (p, n, q, g, f, o))
WRAP(send, send, ssize_t, -1, P(int f, const void *p, size_t n, int l),
     P(int, const void *, size_t, int), (f, p, n, l))
WRAP(send, sendmsg, ssize_t, -1, P(int f, const struct msghdr *m, int l),
     P(int, const struct msghdr *, int), (f, m, l))
WRAP(recv, recv, ssize_t, -1, P(int f, void *p, size_t n, int l), P(int, void *, size_t, int),
     (f, p, n, l))
WRAP(recv, recvmsg, ssize_t, -1, P(int f, struct msghdr *m, int l), P(int, struct msghdr *, int),
     (f, m, l))
WRAP(memfd, memfd_create, int, -1, P(const char *name, unsigned l), P(const char *, unsigned),
     (name, l))

#define OPENS(name, lead, types, args)                                                             \
    int name(lead, int flags, ...);                                                                \
    int name(lead, int flags, ...)                                                                 \
    {                                                                                              \
        static int(*real) types;                                                                   \
        unsigned mode = 0;                                                                         \
        va_list ap;                                                                                \
        int fd;                                                                                    \
                                                                                                   \
        va_start(ap, flags);                                                                       \
        if (flags & (O_CREAT | __O_TMPFILE))                                                       \
            mode = va_arg(ap, unsigned);                                                           \
        va_end(ap);                                                                                \
        if (fails(CALL_open))                                                                      \
            return -1;                                                                             \
        if (!real)                                                                                 \
            *(void **)&real = dlsym(RTLD_NEXT, #name);                                             \
        fd = real args;                                                                            \
        iolog_opened(fd, flags);                                                                   \
        if (doomed)                                                                                \
            die();                                                                                 \
        return fd;                                                                                 \
    }
#define AT int dir, const char *path
OPENS(open, const char *path, P(const char *, int, ...), (path, flags, mode))
OPENS(open64, const char *path, P(const char *, int, ...), (path, flags, mode))
OPENS(openat, AT, P(int, const char *, int, ...), (dir, path, flags, mode))
OPENS(openat64, AT, P(int, const char *, int, ...), (dir, path, flags, mode))

/* ---- clocks ---- */

static void add(struct timespec *t, int64_t more_ns)
{
    int64_t ns = (int64_t)t->tv_nsec + more_ns % 1000000000;
    int64_t s = (int64_t)t->tv_sec + more_ns / 1000000000;

    s += ns >= 1000000000 ? 1 : ns < 0 ? -1 : 0;
    ns += ns >= 1000000000 ? -1000000000 : ns < 0 ? 1000000000 : 0;
    t->tv_sec = (time_t)s;
    t->tv_nsec = (long)ns;
}

int clock_gettime(clockid_t id, struct timespec *t)
{
    static int (*real)(clockid_t, struct timespec *);
    int r;

    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
    r = real(id, t);
    if (r != 0 || !page)
        return r;
    if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)
        add(t, page[W_WALL_NS] + page[W_TIME_NS]);
    else if (id == CLOCK_MONOTONIC || id == CLOCK_MONOTONIC_COARSE || id == CLOCK_MONOTONIC_RAW ||
             id == CLOCK_BOOTTIME)
        add(t, page[W_TIME_NS]);
    return 0;
}

int epoll_wait(int fd, struct epoll_event *events, int n, int wait_ms)
{
    static int (*real)(int, struct epoll_event *, int, int);

    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "epoll_wait");
    if (page && page[W_TIME_NS] && (wait_ms < 0 || wait_ms > LOOK_MS))
        wait_ms = LOOK_MS;
    return real(fd, events, n, wait_ms);
}

int gettimeofday(struct timeval *restrict v, void *restrict zone)
{
    struct timespec t;

    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &t) < 0)
        return -1;
    v->tv_sec = t.tv_sec;
    v->tv_usec = t.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out)
{
    struct timespec t;

    if (clock_gettime(CLOCK_REALTIME, &t) < 0)
        return -1;
    if (out)
        *out = t.tv_sec;
    return t.tv_sec;
}
