#include "fd.h"
#include "fleet.h"
#include "log.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { IPC_FD = 3, ENV_MAX = 16 };

/* The environment of a worker is built, not inherited: nothing in ours decides what runs there. */
static void build_env(char *env[ENV_MAX])
{
    static char lang[] = "LANG=C.UTF-8", path[] = "PATH=/usr/bin:/bin";
    unsigned n = 0;

    env[n++] = lang;
    env[n++] = path;
#if defined(__SANITIZE_ADDRESS__) || defined(OPENCLAW_SANITIZED)
    extern char **environ;

    for (char **e = environ; *e && n < ENV_MAX - 1; e++) /* test builds: where reports go */
        if (strncmp(*e, "ASAN_", 5) == 0 || strncmp(*e, "UBSAN_", 6) == 0 ||
            strncmp(*e, "LSAN_", 5) == 0)
            env[n++] = *e;
#endif
    env[n] = NULL;
}

/* In the child: only async-signal-safe calls. */
static void become(const char *exe, const char *name, int sock, pid_t parent)
{
    char *env[ENV_MAX];
    char arg0[64];
    char *argv[2] = {arg0, NULL};
    struct rlimit none = {0, 0};
    sigset_t all;

    for (int s = 1; s < NSIG; s++)
        (void)signal(s, SIG_DFL);
    (void)sigemptyset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, NULL);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);                        /* it died before we asked to follow it */
    (void)setrlimit(RLIMIT_CORE, &none); /* a core would hold what people wrote */
    (void)snprintf(arg0, sizeof(arg0), "%s", name);
    build_env(env);
    if (sock == IPC_FD) {
        /* dup2 onto itself would leave close-on-exec set */
        int tmp = dup(sock);

        if (tmp < 0 || dup2(tmp, IPC_FD) < 0)
            _exit(1);
    } else if (dup2(sock, IPC_FD) < 0) {
        _exit(1);
    }
    (void)execve(exe, argv, env);
    _exit(errno == ENOENT ? 127 : 126);
}

int spawn_worker(const char *exe_dir, const char *program, int sock, pid_t *out, struct err *e)
{
    char exe[PATH_MAX];
    pid_t parent = getpid(), pid;

    if ((size_t)snprintf(exe, sizeof(exe), "%s/%s", exe_dir, program) >= sizeof(exe))
        return err_set(e, ERR_LIMIT, "path of %s is too long", program);
    pid = fork();
    if (pid < 0)
        return err_sys(e, "fork %s", program);
    if (pid == 0)
        become(exe, program, sock, parent);
    *out = pid;
    return 0;
}
