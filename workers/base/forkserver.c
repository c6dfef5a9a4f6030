#include "forkserver.h"

#include "forkline.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
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
    return (pid_t)syscall(SYS_clone, flags, NULL, NULL, tid, NULL);
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
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
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
