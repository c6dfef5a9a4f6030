/*
 * tests/it/cage_probe.c - a program that has been taken over, in the real cage of each class:
 * started as the supervisor starts a worker, closed in as a worker closes itself in, then it tries
 * what it must not do. Each attempt is a row with who gets through; everything else must end in an
 * error or in SIGSYS. Built a second time without seccomp (deep): the other layers have to hold
 * alone. cage-probe            all classes; as root also once more as a plain user
 */
#include "cage.h"
#include "confine.h"
#include "mem.h"
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    FRONT = 1,
    HUB = 2,
    AGENT = 4,
    WHOIS = 8,
    FETCH = 16,
    FILES = 32,
    NET = AGENT | FETCH,
    ALL = 63,
    NOBODY = 0,
    LINE_FD = 3,  /* a socket pair's end, as every worker has */
    STORE_FD = 4, /* the hub's database, opened before */
    TCP_FD = 5,   /* a connected socket that was handed over */
    EXIT_WORKED = 0,
    EXIT_REFUSED = 1,
    EXIT_BROKEN = 2,
    PLAIN_UID = 65534,
};

/* What the parent has made for the attempts. */
static struct world {
    pid_t parent;
    unsigned short open_port, closed_port;
    char folder[64], abstract[32], memory[16]; /* memory: an address in the parent, as text */
} w;

static int open_it(const char *path, int flags)
{
    int fd = open(path, flags, 0600);

    return fd < 0 ? -1 : close(fd);
}

static int proc_of_parent(const char *name)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)w.parent, name);
    return open_it(path, O_RDONLY);
}

static int in_folder(const char *name, char out[128])
{
    return snprintf(out, 128, "%s/%s", w.folder, name);
}

static int connect_to(unsigned short port)
{
    struct sockaddr_in in = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return fd < 0 ? -1 : connect(fd, (const struct sockaddr *)&in, sizeof(in));
}

/* ---- attempts: 0 it worked, -1 refused ---- */
#define TRY(name) static int try_##name(void)

TRY(read_passwd)
{
    return open_it("/etc/passwd", O_RDONLY);
}
TRY(read_shadow)
{
    return open_it("/etc/shadow", O_RDONLY);
}
TRY(list_root)
{
    return open_it("/", O_RDONLY | O_DIRECTORY);
}
TRY(read_hosts)
{
    return open_it("/etc/hosts", O_RDONLY);
}
TRY(read_sys)
{
    return open_it("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY);
}
TRY(read_proc)
{
    return open_it("/proc/self/status", O_RDONLY);
}
TRY(open_null)
{
    return open_it("/dev/null", O_RDWR);
}
TRY(run_library)
{
    return open_it("/lib64/ld-linux-x86-64.so.2", O_RDONLY);
}
TRY(write_tmp)
{
    char path[128];

    (void)in_folder("new", path);
    return open_it(path, O_WRONLY | O_CREAT);
}
TRY(write_found)
{
    char path[128];

    (void)in_folder("secret", path);
    return open_it(path, O_WRONLY);
}
TRY(read_found)
{
    char path[128];

    (void)in_folder("secret", path);
    return open_it(path, O_RDONLY);
}
TRY(write_here)
{
    return open_it("new", O_WRONLY | O_CREAT);
}
TRY(unlink_found)
{
    char path[128];

    (void)in_folder("secret", path);
    return unlink(path);
}
TRY(make_folder)
{
    char path[128];

    (void)in_folder("folder", path);
    return mkdir(path, 0700);
}
TRY(make_link)
{
    char path[128];

    (void)in_folder("link", path);
    return symlink("/etc/shadow", path);
}
TRY(connect_closed)
{
    return connect_to(w.closed_port);
}
TRY(connect_open)
{
    return connect_to(w.open_port);
}
TRY(bind_port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return fd < 0 || bind(fd, (const struct sockaddr *)&in, sizeof(in)) < 0 ? -1 : listen(fd, 1);
}
TRY(abstract_socket)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(un.sun_path + 1, sizeof(un.sun_path) - 1, "%s", w.abstract);
    return fd < 0 ? -1
                  : connect(fd, (const struct sockaddr *)&un,
                            (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
                                        strlen(w.abstract)));
}
TRY(netlink)
{
    return socket(AF_NETLINK, SOCK_RAW, 0) < 0 ? -1 : 0;
}
TRY(packet)
{
    return socket(AF_PACKET, SOCK_RAW, 0) < 0 ? -1 : 0;
}
TRY(raw)
{
    return socket(AF_INET, SOCK_RAW, IPPROTO_ICMP) < 0 ? -1 : 0;
}
TRY(exec_true)
{
    static char arg0[] = "true";
    char *argv[] = {arg0, NULL}, *env[] = {NULL};

    return execve("/bin/true", argv, env); /* its exit code is 0: it worked */
}
TRY(exec_self)
{
    static char arg0[] = "true";
    char *argv[] = {arg0, NULL}, *env[] = {NULL};

    return execve("/proc/self/exe", argv, env);
}
TRY(fork_child)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(0);
    return pid < 0 ? -1 : 0;
}
static void *thread_main(void *arg)
{
    return arg;
}
TRY(thread)
{
    pthread_t t;

    return pthread_create(&t, NULL, thread_main, NULL) == 0 && pthread_join(t, NULL) == 0 ? 0 : -1;
}
TRY(trace_parent)
{
    return (int)ptrace(PTRACE_SEIZE, w.parent, NULL, NULL);
}
TRY(read_parent)
{
    char bytes[16];
    struct iovec to = {bytes, sizeof(bytes)}, from = {w.memory, sizeof(bytes)};

    return process_vm_readv(w.parent, &to, 1, &from, 1, 0) < 0 ? -1 : 0;
}
TRY(mem_of_parent)
{
    return proc_of_parent("mem");
}
TRY(environ_of_parent)
{
    return proc_of_parent("environ");
}
TRY(cmdline_of_parent)
{
    return proc_of_parent("cmdline");
}
TRY(signal_parent)
{
    return kill(w.parent, 0);
}
TRY(signal_all)
{
    return kill(-1, SIGWINCH);
}
TRY(pidfd)
{
    return syscall(SYS_pidfd_open, w.parent, 0) < 0 ? -1 : 0;
}
TRY(mount_tmpfs)
{
    return mount("none", "/", "tmpfs", 0, NULL);
}
TRY(user_namespace)
{
    return unshare(CLONE_NEWUSER);
}
TRY(net_namespace)
{
    return unshare(CLONE_NEWNET);
}
TRY(change_root)
{
    return chroot("/");
}
TRY(become_root)
{
    return geteuid() == 0 ? -1 : setuid(0);
}
TRY(other_gid)
{
    return setgid(getgid() + 1);
}
TRY(raise_files)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r) < 0)
        return -1;
    r.rlim_cur = r.rlim_max = r.rlim_max + 1;
    return setrlimit(RLIMIT_NOFILE, &r);
}
TRY(raise_core)
{
    struct rlimit r = {RLIM_INFINITY, RLIM_INFINITY};

    return setrlimit(RLIMIT_CORE, &r);
}
TRY(dumpable_again)
{
    return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0 || open_it("/proc/self/mem", O_RDWR) < 0 ? -1 : 0;
}
TRY(write_and_run)
{
    return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                0) == MAP_FAILED
               ? -1
               : 0;
}
TRY(run_written)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return p == MAP_FAILED ? -1 : mprotect(p, 4096, PROT_READ | PROT_EXEC);
}
TRY(type_into_terminal)
{
    return ioctl(LINE_FD, TIOCSTI, "x");
}
TRY(host_name)
{
    return sethostname("owned", 5);
}
TRY(shared_memory)
{
    return syscall(SYS_shmget, 1, 4096, 01600) < 0 ? -1 : 0;
}
TRY(kernel_log)
{
    return syscall(SYS_syslog, 3, NULL, 0) < 0 ? -1 : 0;
}
TRY(bpf_program)
{
    return syscall(SYS_bpf, 0, NULL, 0) < 0 ? -1 : 0;
}
TRY(perf_events)
{
    return syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0) < 0 ? -1 : 0;
}
TRY(load_module)
{
    return syscall(SYS_init_module, NULL, 0, "") < 0 ? -1 : 0;
}
TRY(set_clock)
{
    struct timespec ts = {.tv_sec = 1};

    return clock_settime(CLOCK_REALTIME, &ts);
}
TRY(too_much_memory)
{
    void *p = mmap(NULL, 600 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return p == MAP_FAILED ? -1 : 0;
}

/* ---- what must work ---- */
TRY(memory)
{
    char *p = malloc(3 * MIB);

    if (!p)
        return -1;
    memset(p, 1, 3 * MIB);
    free(p);
    return 0;
}
TRY(talk)
{
    static char x[] = "x";
    struct iovec v = {x, 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};

    return sendmsg(LINE_FD, &m, MSG_NOSIGNAL) == 1 ? 0 : -1;
}
TRY(talk_tcp)
{
    return send(TCP_FD, "x", 1, MSG_NOSIGNAL) == 1 ? 0 : -1;
}
TRY(random_bytes)
{
    char b[16];

    return syscall(SYS_getrandom, b, sizeof(b), 0) == (long)sizeof(b) ? 0 : -1;
}
TRY(stored)
{
    return pwrite(STORE_FD, "page", 4, 0) == 4 && fdatasync(STORE_FD) == 0 ? 0 : -1;
}
TRY(memory_file)
{
    return memfd_create("payload", MFD_CLOEXEC | MFD_ALLOW_SEALING) < 0 ? -1 : 0;
}
TRY(resolve)
{
    struct addrinfo *a = NULL, hint = {.ai_socktype = SOCK_STREAM};
    int r = getaddrinfo("localhost", "443", &hint, &a);

    if (a)
        freeaddrinfo(a);
    return r == 0 ? 0 : -1;
}
/* The one socket of the host that is mounted for the class; others are not in sight. */
static int connect_path(const char *path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(un.sun_path, sizeof(un.sun_path), "%.100s", path);
    return fd < 0 ? -1 : connect(fd, (const struct sockaddr *)&un, sizeof(un));
}
TRY(host_socket)
{
    return connect_path("/" CAGE_SOCKET);
}
TRY(other_socket)
{
    char path[128];

    (void)in_folder("sock", path);
    return connect_path(path);
}
TRY(listen_socket)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "here"};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return fd < 0 || bind(fd, (const struct sockaddr *)&un, sizeof(un)) < 0 ? -1 : listen(fd, 1);
}
TRY(authorities)
{
    return open_it("/etc/ssl/certs", O_RDONLY | O_DIRECTORY);
}

/* caged: who gets through with every layer; deep: without seccomp. */
static const struct attempt {
    const char *name;
    int (*run)(void);
    unsigned caged, deep;
} attempts[] = {
#define ROW(name, caged, deep) {#name, try_##name, caged, deep},
    ROW(read_passwd, NOBODY, NOBODY) ROW(read_shadow, NOBODY, NOBODY) ROW(list_root, NOBODY, NOBODY)
        ROW(read_hosts, NET, NET) ROW(read_sys, NOBODY, NOBODY) ROW(read_proc, NOBODY, NOBODY)
            ROW(open_null, NOBODY, NOBODY) ROW(run_library, NOBODY, NOBODY)
                ROW(write_tmp, NOBODY, NOBODY) ROW(write_found, NOBODY, NOBODY)
                    ROW(read_found, NOBODY, NOBODY) ROW(write_here, NOBODY, NOBODY)
                        ROW(unlink_found, NOBODY, NOBODY) ROW(make_folder, NOBODY, NOBODY)
                            ROW(make_link, NOBODY, NOBODY) ROW(connect_closed, NOBODY, NOBODY)
                                ROW(connect_open, NET, NET) ROW(bind_port, NOBODY, NOBODY)
                                    ROW(abstract_socket, NOBODY, NOBODY)
                                        ROW(netlink, NOBODY,
                                            ALL) /* harmless in an empty network; seccomp's part */
    ROW(packet, NOBODY, NOBODY) ROW(raw, NOBODY, NOBODY) ROW(exec_true, NOBODY, NOBODY)
        ROW(exec_self, NOBODY, NOBODY)
            ROW(fork_child, NOBODY, NET) /* its process limit must leave room for threads */
    ROW(thread, NET, NET) ROW(trace_parent, NOBODY, NOBODY) ROW(read_parent, NOBODY, NOBODY)
        ROW(mem_of_parent, NOBODY, NOBODY) ROW(environ_of_parent, NOBODY, NOBODY)
            ROW(cmdline_of_parent, NOBODY, NOBODY) ROW(signal_parent, NOBODY, NOBODY)
                ROW(signal_all, NOBODY,
                    ALL)    /* succeeds without reaching anybody: kill(2) hides EPERM there */
    ROW(pidfd, NOBODY, ALL) /* what can be done with one is refused */
    ROW(mount_tmpfs, NOBODY, NOBODY)
        ROW(user_namespace, NOBODY, ALL) /* gives no right that Landlock would not still refuse */
    ROW(net_namespace, NOBODY, NOBODY) ROW(change_root, NOBODY, NOBODY)
        ROW(become_root, NOBODY, NOBODY) ROW(other_gid, NOBODY, NOBODY)
            ROW(raise_files, NOBODY, NOBODY) ROW(raise_core, NOBODY, NOBODY)
                ROW(dumpable_again, NOBODY, NOBODY) ROW(write_and_run, NOBODY, NOBODY)
                    ROW(run_written, NOBODY, NOBODY) ROW(type_into_terminal, NOBODY, NOBODY)
                        ROW(host_name, NOBODY, NOBODY)
                            ROW(shared_memory, NOBODY, ALL) /* of its own namespace */
    ROW(kernel_log, NOBODY, NOBODY) ROW(bpf_program, NOBODY, NOBODY)
        ROW(perf_events, NOBODY, NOBODY) ROW(load_module, NOBODY, NOBODY)
            ROW(set_clock, NOBODY, NOBODY) ROW(too_much_memory, NOBODY, NOBODY)
                ROW(memory, ALL, ALL) ROW(talk, ALL, ALL) ROW(talk_tcp, FRONT | NET | WHOIS, ALL)
                    ROW(random_bytes, ALL, ALL)
                        ROW(stored, HUB, HUB | FETCH) /* had it one: what it writes is memory */
    ROW(memory_file, HUB | FETCH, ALL) ROW(resolve, NET, NET) ROW(authorities, NET, NET)
        ROW(host_socket, WHOIS, WHOIS) ROW(other_socket, NOBODY, NET)
            ROW(listen_socket, NOBODY, NOBODY)
#undef ROW
};

static const struct {
    const char *name;
    enum role role;
    unsigned bit;
} classes[] = {{"front", ROLE_FRONT, FRONT}, {"hub", ROLE_HUB, HUB},
               {"agent", ROLE_AGENT, AGENT}, {"whois", ROLE_WHOIS, WHOIS},
               {"fetch", ROLE_FETCH, FETCH}, {"files", ROLE_FILES, FILES}};

#ifdef CAGE_PROBE_DEEP
/* The linker puts this before the C library's (--wrap): seccomp is not entered. */
long __real_syscall(long nr, ...);
long __wrap_syscall(long nr, ...);
long __wrap_syscall(long nr, ...)
{
    va_list ap;
    long a[6];

    va_start(ap, nr);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(ap, long);
    va_end(ap);
    return nr == SYS_seccomp ? 0 : __real_syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
}
#endif

/* ---- inside: a worker's main() ---- */
static int inside(unsigned class, unsigned row)
{
    struct sandbox s = {.allow = SB_CONNECT, .ports = &w.open_port, .port_count = 1};
    struct err e = ERR_INIT;
    uint32_t said;

    (void)mallopt(M_ARENA_MAX, 1); /* as the agent's main() does */
    if (sandbox_enter(classes[class].role, &s, &said, &e) < 0) {
        (void)fprintf(stderr, "%s\n", e.text);
        return EXIT_BROKEN;
    }
    return attempts[row].run() == 0 ? EXIT_WORKED : EXIT_REFUSED;
}

/* ---- outside: the supervisor ---- */
static int start(const struct confine *c, unsigned class, unsigned row, const int fd[3])
{
    char arg[5][64], env[32] = "";
    char *argv[] = {arg[0], arg[1], arg[2], arg[3], arg[4], NULL}, *envp[] = {env, NULL};
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        int prog = open("/proc/self/exe", O_PATH | O_CLOEXEC), code;
        bool root_ready;

        for (int i = 0; i < 3; i++)
            if (dup2(fd[i], LINE_FD + i) < 0)
                _exit(EXIT_BROKEN);
        if ((code = confine_child(c, classes[class].role, &root_ready)) != 0)
            _exit(code);
        (void)snprintf(arg[0], sizeof(arg[0]), "cage-probe");
        (void)snprintf(arg[1], sizeof(arg[1]), "%u", class);
        (void)snprintf(arg[2], sizeof(arg[2]), "%u", row);
        (void)snprintf(arg[3], sizeof(arg[3]), "%d,%u,%u", (int)w.parent, w.open_port,
                       w.closed_port);
        (void)snprintf(arg[4], sizeof(arg[4]), "%s", w.folder);
        if (root_ready)
            (void)snprintf(env, sizeof(env), CAGE_ENV "=" CAGE_ENV_ROOT);
        (void)syscall(SYS_execveat, prog, "", argv, envp, AT_EMPTY_PATH);
        _exit(EXIT_BROKEN);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return EXIT_BROKEN;
    if (WIFSIGNALED(status))
        return WTERMSIG(status) == SIGSYS || WTERMSIG(status) == SIGXFSZ ? EXIT_REFUSED
                                                                         : 128 + WTERMSIG(status);
    return WEXITSTATUS(status);
}

static int listener(unsigned short *port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(in);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (const struct sockaddr *)&in, n) < 0 || listen(fd, 64) < 0 ||
        getsockname(fd, (struct sockaddr *)&in, &n) < 0)
        return -1;
    *port = ntohs(in.sin_port);
    return fd;
}

static int make_world(int fd[3])
{
    struct sockaddr_un un = {.sun_family = AF_UNIX}, named = un;
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char path[128];
    int pair[2], abstract = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), secret;

    int host = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    w.parent = getpid();
    (void)snprintf(w.abstract, sizeof(w.abstract), "cage-probe-%d", (int)w.parent);
    (void)snprintf(un.sun_path + 1, sizeof(un.sun_path) - 1, "%s", w.abstract);
    (void)snprintf(w.folder, sizeof(w.folder), "/tmp/cage-probe-XXXXXX");
    if (!mkdtemp(w.folder) || chmod(w.folder, 0777) < 0)
        return -1;
    (void)in_folder("sock", path);
    (void)snprintf(named.sun_path, sizeof(named.sun_path), "%.100s", path);
    if (host < 0 || bind(host, (const struct sockaddr *)&named, sizeof(named)) < 0 ||
        chmod(path, 0666) < 0 || listen(host, 8) < 0)
        return -1;
    (void)in_folder("secret", path);
    secret = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (secret < 0 || fchmod(secret, 0666) < 0 || listener(&w.open_port) < 0 ||
        listener(&w.closed_port) < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0 ||
        bind(abstract, (const struct sockaddr *)&un,
             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(w.abstract))) < 0 ||
        listen(abstract, 8) < 0)
        return -1;
    in.sin_port = htons(w.open_port);
    fd[0] = fcntl(pair[0], F_DUPFD_CLOEXEC, 20);
    fd[1] = fcntl(secret, F_DUPFD_CLOEXEC, 20);
    fd[2] = fcntl(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), F_DUPFD_CLOEXEC, 20);
    return connect(fd[2], (const struct sockaddr *)&in, sizeof(in));
}

static void clean_world(void)
{
    static const char *const left[] = {"secret", "new", "link", "sock"};
    char path[128];

    for (size_t i = 0; i < COUNT_OF(left); i++) {
        (void)in_folder(left[i], path);
        (void)unlink(path);
    }
    (void)in_folder("folder", path);
    (void)rmdir(path);
    (void)rmdir(w.folder);
}

#ifdef CAGE_PROBE_DEEP
/* Without seccomp some rows rest on a user namespace, as what is refused or as what a plain user's
 * network namespace needs. In a chroot and on kernels that are set so nobody gets one: these rows
 * say nothing there. */
static bool rests_on_user_namespace(const char *name)
{
    static int have = -1;
    int status = 0;

    if (strcmp(name, "user_namespace") != 0 && strcmp(name, "connect_open") != 0)
        return false;
    if (have < 0) {
        pid_t pid = fork();

        if (pid == 0)
            _exit(unshare(CLONE_NEWUSER) < 0);
        have = pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
               WEXITSTATUS(status) == 0;
        if (!have)
            (void)printf("left out: user_namespace, connect_open (no user namespaces here)\n");
    }
    return !have;
}
#endif

static int all(const char *as)
{
    struct confine c = {.uid_base = CONFINE_UID_BASE, .front_files = 1024};
    char exe_dir[] = "/nonexistent", sock[128];
    unsigned good = 0, bad = 0;
    int fd[3];

    if (make_world(fd) < 0) {
        (void)fprintf(stderr, "cannot prepare: %s\n", strerror(errno));
        return 1;
    }
    confine_init(&c, exe_dir);
    c.store = w.folder;
    (void)in_folder("sock", sock);
    c.socket = sock;
    for (unsigned class = 0; class < COUNT_OF(classes); class ++)
        for (unsigned row = 0; row < COUNT_OF(attempts); row++) {
#ifdef CAGE_PROBE_DEEP
            unsigned who = attempts[row].deep;

            if (rests_on_user_namespace(attempts[row].name))
                continue;
#else
            unsigned who = attempts[row].caged;
#endif
            int want = who & classes[class].bit ? EXIT_WORKED : EXIT_REFUSED;
            int got = start(&c, class, row, fd);

            good += got == want;
            bad += got != want;
            if (got != want)
                (void)printf("FAIL  as %s, %s: %s: %s\n", as, classes[class].name,
                             attempts[row].name,
                             got == EXIT_WORKED    ? "it worked"
                             : got == EXIT_REFUSED ? "it was refused"
                                                   : "it broke");
            if (got != want && got > EXIT_REFUSED)
                (void)printf("      result %d\n", got);
        }
    clean_world();
    (void)printf("as %s: %u passed, %u failed\n", as, good, bad);
    return bad != 0;
}

int main(int argc, char **argv)
{
    int r = 0, status;
    pid_t pid;

    (void)signal(SIGPIPE, SIG_IGN);
    if (argc == 5) { /* written by start() */
        unsigned ports[2];

        if (sscanf(argv[3], "%d,%u,%u", &w.parent, &ports[0], &ports[1]) != 3)
            return EXIT_BROKEN;
        w.open_port = (unsigned short)ports[0];
        w.closed_port = (unsigned short)ports[1];
        (void)snprintf(w.folder, sizeof(w.folder), "%s", argv[4]);
        (void)snprintf(w.abstract, sizeof(w.abstract), "cage-probe-%d", (int)w.parent);
        return inside((unsigned)(argv[1][0] - '0'),
                      (unsigned)strtoul(argv[2], NULL, 10)); /* our own digits */
    }
    if (geteuid() != 0)
        return all("a plain user");
    r = all("root");
    (void)fflush(stdout);
    pid = fork();
    if (pid == 0) {
        struct err e = ERR_INIT;

        if (syscall(SYS_setgroups, (size_t)0, NULL) < 0 || setgid(PLAIN_UID) < 0 ||
            setuid(PLAIN_UID) < 0 || prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0)
            _exit(1);
        (void)e;
        status = all("a plain user");
        (void)fflush(stdout);
        _exit(status);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
        r = 1;
    return r;
}
