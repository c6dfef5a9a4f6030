#include "confine.h"
#include "fd.h"
#include "fleet.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { IPC_FD = 3, ENV_MAX = 16 };

/* The environment of a worker is built, not inherited: nothing in ours decides what runs there. */
static void build_env(char *env[ENV_MAX], bool root_ready)
{
    static char lang[] = "LANG=C.UTF-8", path[] = "PATH=/usr/bin:/bin",
                cage[] = CAGE_ENV "=" CAGE_ENV_ROOT;
    unsigned n = 0;

    env[n++] = lang;
    env[n++] = path;
    if (root_ready)
        env[n++] = cage;
#if defined(__SANITIZE_ADDRESS__) || defined(OPENCLAW_SANITIZED)
    extern char **environ;

    for (char **e = environ; *e && n < ENV_MAX - 1; e++) /* test builds: where reports go */
        if (strncmp(*e, "ASAN_", 5) == 0 || strncmp(*e, "UBSAN_", 6) == 0 ||
            strncmp(*e, "LSAN_", 5) == 0)
            env[n++] = *e;
#endif
#ifdef OPENCLAW_FAULTS
    static const char *const told[] = {"FAULT_PAGE",
                                       "FAULT_IOLOG"}; /* which calls fail, what was written */
    static char page[2][PATH_MAX];

    for (size_t i = 0; i < COUNT_OF(told); i++)
        if (getenv(told[i]) && (size_t)snprintf(page[i], sizeof(page[i]), "%s=%s", told[i],
                                                getenv(told[i])) < sizeof(page[i]))
            env[n++] = page[i];
#endif
    env[n] = NULL;
}

/* In the child: only async-signal-safe calls. */
static void become(const struct confine *c, const char *exe, enum role role, const struct spawn *s,
                   pid_t parent)
{
    char *env[ENV_MAX];
    char arg0[256], arg1[256];
    char *argv[3] = {arg0, s->arg ? arg1 : NULL, NULL};
    sigset_t all;
    bool root_ready;
    int prog, code;

    for (int sig = 1; sig < NSIG; sig++)
        (void)signal(sig, SIG_DFL);
    (void)sigemptyset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, NULL);
    (void)snprintf(arg0, sizeof(arg0), "%s", s->title);
    (void)snprintf(arg1, sizeof(arg1), "%s", s->arg ? s->arg : "");
    if (s->cgroup >= 0 && write(s->cgroup, "0", 1) != 1)
        _exit(121); /* it would run without its limit */
    if (s->sock == IPC_FD) {
        /* dup2 onto itself would leave close-on-exec set */
        int tmp = dup(s->sock);

        if (tmp < 0 || dup2(tmp, IPC_FD) < 0)
            _exit(1);
    } else if (dup2(s->sock, IPC_FD) < 0) {
        _exit(1);
    }
#ifndef OPENCLAW_SANITIZED
    /* Logs go over the line; a terminal, a file or a journal's socket is nothing that it needs. */
    for (int fd = STDIN_FILENO, null = open("/dev/null", O_RDWR | O_CLOEXEC); fd <= STDERR_FILENO;
         fd++)
        if (null < 0 || dup2(null, fd) < 0)
            _exit(1);
#endif
    prog = open(exe, O_PATH | O_CLOEXEC); /* its folder may be closed to its later uid */
    if (prog < 0)
        _exit(127);
    if ((code = confine_child(c, role, &root_ready)) != 0)
        _exit(code);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a change of uid clears it */
    if (getppid() != parent)
        _exit(1); /* it died before we asked to follow it */
    build_env(env, root_ready);
    (void)syscall(SYS_execveat, prog, "", argv, env, AT_EMPTY_PATH);
    _exit(errno == ENOENT ? 127 : 126);
}

int spawn_worker(const struct confine *c, const char *exe_dir, enum role role,
                 const struct spawn *s, pid_t *out, struct err *e)
{
    char exe[PATH_MAX];
    pid_t parent = getpid(), pid;

    if ((size_t)snprintf(exe, sizeof(exe), "%s/%s", exe_dir, s->program) >= sizeof(exe))
        return err_set(e, ERR_LIMIT, "path of %s is too long", s->program);
    pid = fork();
    if (pid < 0)
        return err_sys(e, "fork %s", s->program);
    if (pid == 0)
        become(c, exe, role, s, parent);
    *out = pid;
    return 0;
}
