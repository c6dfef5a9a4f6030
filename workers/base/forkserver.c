#include "forkserver.h"

#include "forkline.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { LINE = 3, FDS_MAX = 2 };

struct request {
    char title[FORKLINE_TITLE_MAX + 1];
    int fd[FDS_MAX]; /* its line, its cgroup; -1 */
};

bool forkserver_asked(int argc, char **argv)
{
    return argc == 2 && strncmp(argv[1], FORKLINE_ARG, sizeof(FORKLINE_ARG) - 1) == 0;
}

/* The kernel shows what lies where argv lay: argv[1] was made long enough by the supervisor. */
static void set_title(char **argv, const char *title)
{
    size_t room = (size_t)(argv[1] + strlen(argv[1]) - argv[0]), n = strlen(title);

    if (n > room)
        n = room;
    memset(argv[0], 0, room);
    memcpy(argv[0], title, n);
}

static void answer(int32_t what)
{
    if (send(LINE, &what, sizeof(what), MSG_NOSIGNAL) != (ssize_t)sizeof(what))
        _exit(0); /* nobody is there any more */
}

/*
 * What neither this process nor any copy, nor a program that a copy starts, has to do with. Copies
 * add their class's own list of what is allowed; this one stands for the time before, and is the
 * only one that lets them set themselves up.
 */
#define DENIED(X)                                                                                  \
    X(ptrace)                                                                                      \
    X(process_vm_readv)                                                                            \
    X(process_vm_writev)                                                                           \
    X(kcmp)                                                                                        \
    X(mount)                                                                                       \
    X(umount2)                                                                                     \
    X(pivot_root)                                                                                  \
    X(chroot)                                                                                      \
    X(open_tree)                                                                                   \
    X(move_mount)                                                                                  \
    X(fsopen)                                                                                      \
    X(fsconfig)                                                                                    \
    X(fsmount)                                                                                     \
    X(setns)                                                                                       \
    X(unshare)                                                                                     \
    X(open_by_handle_at)                                                                           \
    X(bpf)                                                                                         \
    X(perf_event_open)                                                                             \
    X(userfaultfd)                                                                                 \
    X(io_uring_setup)                                                                              \
    X(io_uring_enter)                                                                              \
    X(io_uring_register)                                                                           \
    X(add_key)                                                                                     \
    X(request_key)                                                                                 \
    X(keyctl)                                                                                      \
    X(init_module)                                                                                 \
    X(finit_module)                                                                                \
    X(delete_module)                                                                               \
    X(kexec_load)                                                                                  \
    X(kexec_file_load)                                                                             \
    X(reboot)                                                                                      \
    X(swapon)                                                                                      \
    X(swapoff)                                                                                     \
    X(acct)                                                                                        \
    X(quotactl)                                                                                    \
    X(syslog)                                                                                      \
    X(settimeofday)                                                                                \
    X(clock_settime)                                                                               \
    X(adjtimex)                                                                                    \
    X(clock_adjtime)                                                                               \
    X(sethostname)                                                                                 \
    X(setdomainname)                                                                               \
    X(personality)                                                                                 \
    X(vhangup)

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#else
#error "which architecture's system calls are these? AUDIT_ARCH_*"
#endif
enum { OTHER_ABI = 0x40000000 }; /* x32 has the same calls under other numbers */

static void filter(void)
{
    static struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, OTHER_ABI, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
#define X(name)                                                                                    \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, 0, 1),                                         \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        DENIED(X)
#undef X
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog prog = {.len = sizeof(code) / sizeof(*code), .filter = code};

#ifdef OPENCLAW_SANITIZED
    return; /* the leak sanitizer traces a process at its end: it would never end */
#endif
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) < 0 && errno != ENOSYS &&
        errno != EINVAL)
        _exit(1);
}

/* False: it was no request. */
static bool receive(struct request *q)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int) * FDS_MAX)];
    } control;
    struct iovec iov = {.iov_base = q->title, .iov_len = FORKLINE_TITLE_MAX};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof(control)};
    ssize_t n;

    memset(q, 0, sizeof(*q));
    q->fd[0] = q->fd[1] = -1;
    do
        n = recvmsg(LINE, &m, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        _exit(0);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
            memcpy(q->fd, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
    return q->fd[0] >= 0;
}

/* A copy that is a child of our parent. The C library caches the main thread's id at a place only
 * the kernel tells; without an answer the copy keeps a number that nothing here asks for. */
static pid_t copy(void)
{
    unsigned long flags = CLONE_PARENT | SIGCHLD;
    int *tid = NULL;

    if (prctl(PR_GET_TID_ADDRESS, &tid, 0, 0, 0) == 0 && tid)
        flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
    /* the last two change places between architectures; without CLONE_SETTLS one of them is not
     * read */
    return (pid_t)syscall(SYS_clone, flags, NULL, NULL, tid, tid);
}

static void become(const struct request *q, char **argv, pid_t parent)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
        _exit(1); /* it died before we asked to follow it */
    if (q->fd[1] >= 0 && write(q->fd[1], "0", 1) != 1)
        _exit(121); /* it would run without its limit */
    if (dup2(q->fd[0], LINE) < 0)
        _exit(1);
    (void)close(q->fd[0]);
    if (q->fd[1] >= 0)
        (void)close(q->fd[1]);
    set_title(argv, q->title);
}

void forkserver_run(int argc, char **argv)
{
    pid_t parent = getppid();

    (void)argc;
    (void)prctl(PR_SET_NAME, "openclaw-fork"); /* started by descriptor it would be called "5" */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        _exit(1);
    filter();
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGTERM, SIG_IGN);
    answer(0);
    for (;;) {
        struct request q;
        pid_t pid = -1;

        if (!receive(&q))
            errno = EBADMSG;
        else if ((pid = copy()) == 0) {
            become(&q, argv, parent);
            return;
        }
        answer(pid < 0 ? -errno : pid);
        for (int i = 0; i < FDS_MAX; i++)
            if (q.fd[i] >= 0)
                (void)close(q.fd[i]);
    }
}
