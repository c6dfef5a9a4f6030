/* tests/unit/test_cage.c - the profiles of conf/sandbox/ as a table: how many calls each class has,
 * and what the compiled seccomp program answers to calls and arguments. */
#include "cage.h"
#include "ck.h"
#include "mem.h"
#include "view.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define SECCOMP_ARCH AUDIT_ARCH_X86_64
#else
#define SECCOMP_ARCH AUDIT_ARCH_AARCH64
#endif
#ifdef OPENCLAW_SANITIZED
#define SECCOMP_OTHERWISE SECCOMP_RET_LOG
#define SECCOMP_REFUSED   SECCOMP_RET_LOG
#else
#define SECCOMP_REFUSED   SECCOMP_RET_ERRNO
#define SECCOMP_OTHERWISE SECCOMP_RET_KILL_PROCESS
#endif

/* ---- the rows themselves ---- */

struct row {
    const char *kind, *name, *why;
};

#define ALLOW(call, why)                      {"allow", #call, why},
#define ALLOW_EQ(call, n, value, why)         {"allow", #call, why},
#define ALLOW_BITS(call, n, mask, value, why) {"allow", #call, why},
#define ALSO(call, why)                       {"also", #call, why},
#define SELDOM(call, why)                     {"allow", #call, why},
#define FAIL(call, code, why)                 {"fail", #call, why},
#define FAIL_EQ(call, n, value, code, why)    {"fail", #call, why},
#define READ_PATH(path, why)                  {"path", path, why},
#define CONNECT(port, why)                    {"port", #port, why},
#define LIMIT(what, value, why)               {"limit", #what, why},
#define MEMORY(bytes, why)                    {"memory", #bytes, why},
#define PRIVATE(what, why)                    {"private", #what, why},
#define EMPTY_ROOT(why)                       {"root", "empty", why},
#define HOST_SOCKET(why)                      {"root", "socket", why},
static const struct row front_rows[] = {
#include "sandbox/front.def"
};
static const struct row hub_rows[] = {
#include "sandbox/hub.def"
};
static const struct row agent_rows[] = {
#include "sandbox/agent.def"
};
static const struct row channel_rows[] = {
#include "sandbox/channel.def"
};
static const struct row whois_rows[] = {
#include "sandbox/whois.def"
};
static const struct row fetch_rows[] = {
#include "sandbox/fetch.def"
};
static const struct row files_rows[] = {
#include "sandbox/files.def"
};
static const struct row script_rows[] = {
#include "sandbox/script.def"
};

static const struct class
{
    const char *name;
    enum role role;
    const struct row *row;
    size_t rows;
    unsigned calls_max; /* robustness goals, P1 */
} classes[] = {
    {"front", ROLE_FRONT, front_rows, COUNT_OF(front_rows), 25},
    {"hub", ROLE_HUB, hub_rows, COUNT_OF(hub_rows), 25},
    {"agent", ROLE_AGENT, agent_rows, COUNT_OF(agent_rows), 32},
    {"channel", ROLE_CHANNEL, channel_rows, COUNT_OF(channel_rows), 35}, /* files, and a program */
    {"whois", ROLE_WHOIS, whois_rows, COUNT_OF(whois_rows), 25},
    {"fetch", ROLE_FETCH, fetch_rows, COUNT_OF(fetch_rows), 33},
    {"files", ROLE_FILES, files_rows, COUNT_OF(files_rows), 24},
    {"script", ROLE_SCRIPT, script_rows, COUNT_OF(script_rows), 20},
};

static unsigned calls(const struct class *c)
{
    unsigned n = 0;

    for (size_t i = 0; i < c->rows; i++) {
        bool seen = false;

        for (size_t k = 0; k < i && !seen; k++)
            seen = !strcmp(c->row[k].kind, "allow") && !strcmp(c->row[k].name, c->row[i].name);
        n += !strcmp(c->row[i].kind, "allow") && !seen;
    }
    return n;
}

START_TEST(test_rows)
{
    const struct class *c = &classes[_i];

    ck_assert_msg(calls(c) <= c->calls_max, "%s: %u system calls, limit %u", c->name, calls(c),
                  c->calls_max);
    for (size_t i = 0; i < c->rows; i++)
        ck_assert_msg(strlen(c->row[i].why) >= 6, "%s: %s %s: no reason given", c->name,
                      c->row[i].kind, c->row[i].name);
    (void)printf("%s: %u system calls, %u instructions\n", c->name, calls(c),
                 cage_of(c->role)->filter_len);
}
END_TEST

START_TEST(test_layers)
{
    const struct cage *c = cage_of(classes[_i].role);
    bool agent = classes[_i].role == ROLE_AGENT || classes[_i].role == ROLE_CHANNEL ||
                 classes[_i].role == ROLE_FETCH;

    ck_assert_ptr_nonnull(c);
    ck_assert_uint_eq(c->memory, (classes[_i].role == ROLE_WHOIS || classes[_i].role == ROLE_FILES
                                      ? 32 /* P4 */
                                  : classes[_i].role == ROLE_FRONT  ? 64
                                  : classes[_i].role == ROLE_SCRIPT ? 256 /* node's */
                                                                    : 128) *
                                     MIB);
    /* node, the script class's child, needs files; its cage is its own (program.h) */
    ck_assert(c->empty_root == (!agent && classes[_i].role != ROLE_SCRIPT));
    ck_assert(c->host_socket == (classes[_i].role == ROLE_WHOIS));
    ck_assert(!(c->namespaces & CLONE_NEWNET) == agent); /* it is the one with a network */
    ck_assert(c->namespaces & CLONE_NEWIPC);
    ck_assert(!c->paths[0] == !agent);
    ck_assert(!c->ports[0] == !agent);
    ck_assert(
        !(c->namespaces & CLONE_NEWPID)); /* as process 1 it would not feel SIGSEGV from outside */
}
END_TEST

/* ---- the program, run here ---- */

static uint32_t run(const struct cage *c, const struct seccomp_data *d)
{
    uint32_t a = 0;

    for (size_t pc = 0; pc < c->filter_len; pc++) {
        const struct sock_filter *i = &c->filter[pc];
        uint32_t k = i->k;
        bool yes;

        switch (i->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            ck_assert_uint_le(k + 4, sizeof(*d));
            memcpy(&a, (const char *)d + k, sizeof(a));
            continue;
        case BPF_ALU | BPF_AND | BPF_K:
            a &= k;
            continue;
        case BPF_JMP | BPF_JA:
            pc += k;
            continue;
        case BPF_RET | BPF_K:
            return k;
        case BPF_JMP | BPF_JEQ | BPF_K:
            yes = a == k;
            break;
        case BPF_JMP | BPF_JGT | BPF_K:
            yes = a > k;
            break;
        case BPF_JMP | BPF_JGE | BPF_K:
            yes = a >= k;
            break;
        default:
            ck_abort_msg("instruction %04x", i->code);
        }
        pc += yes ? i->jt : i->jf;
    }
    ck_abort_msg("the program does not end");
}

enum {
    FRONT = 1,
    HUB = 2,
    AGENT = 4,
    WHOIS = 8,
    FETCH = 16,
    CHAN = 32,
    FILES = 64,
    SCRIPT = 128,
    NET = AGENT | CHAN | FETCH,
    ALL = 255,
    NOBODY = 0
};

#define PTHREAD_FLAGS                                                                              \
    (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |            \
     CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)

/* allowed: who gets the call through; refused: who gets an error for it; it ends everybody else. */
static const struct {
    const char *name;
    int nr;
    uint64_t arg[4];
    unsigned allowed, refused;
} tries[] = {
    {"recvmsg", SYS_recvmsg, {3}, ALL, 0},
    {"sendmsg", SYS_sendmsg, {3}, ALL, 0},
    {"exit", SYS_exit_group, {0}, ALL, 0},
    {"random", SYS_getrandom, {0}, ALL, 0},
    {"open", SYS_openat, {(uint64_t)AT_FDCWD, 0, O_RDONLY | O_CLOEXEC}, NET, 0},
    {"open to write", SYS_openat, {(uint64_t)AT_FDCWD, 0, O_WRONLY}, 0, 0},
    {"open to read and write", SYS_openat, {(uint64_t)AT_FDCWD, 0, O_RDWR}, 0, 0},
    {"create", SYS_openat, {(uint64_t)AT_FDCWD, 0, O_CREAT | O_RDONLY}, 0, 0},
    {"truncate", SYS_openat, {(uint64_t)AT_FDCWD, 0, O_TRUNC | O_RDONLY}, 0, 0},
    {"openat2", SYS_openat2, {0}, FILES, 0},
    {"watch", SYS_inotify_add_watch, {3}, FILES, 0},
    {"list", SYS_getdents64, {3}, FILES, 0},
    {"change folder", SYS_fchdir, {3}, FILES, 0},
    {"exec", SYS_execve, {0}, 0, 0},
    {"execveat", SYS_execveat, {0}, 0, 0},
#if defined(__x86_64__) /* elsewhere there is only clone and openat */
    {"open, oldest", SYS_open, {0, O_RDONLY}, 0, 0},
    {"fork", SYS_fork, {0}, 0, 0},
    {"vfork", SYS_vfork, {0}, 0, 0},
#endif
    {"clone as fork", SYS_clone, {SIGCHLD}, 0, 0},
    {"clone as thread", SYS_clone, {PTHREAD_FLAGS}, NET, 0},
    {"thread in a user namespace", SYS_clone, {PTHREAD_FLAGS | CLONE_NEWUSER}, 0, 0},
    {"clone3", SYS_clone3, {0}, 0, NET},
    {"ptrace", SYS_ptrace, {0}, 0, 0},
    {"process_vm_readv", SYS_process_vm_readv, {0}, 0, 0},
    {"pidfd_getfd", SYS_pidfd_getfd, {0}, 0, 0},
    {"kill", SYS_kill, {0}, 0, 0},
    {"tgkill", SYS_tgkill, {0}, 0, 0},
    {"mount", SYS_mount, {0}, 0, 0},
    {"unshare", SYS_unshare, {CLONE_NEWUSER}, 0, 0},
    {"setns", SYS_setns, {0}, 0, 0},
    {"chroot", SYS_chroot, {0}, 0, 0},
    {"setuid", SYS_setuid, {0}, 0, 0},
    {"capset", SYS_capset, {0}, 0, 0},
    {"bpf", SYS_bpf, {0}, 0, 0},
    {"io_uring", SYS_io_uring_setup, {0}, 0, 0},
    {"userfaultfd", SYS_userfaultfd, {0}, 0, 0},
    {"keyctl", SYS_keyctl, {0}, 0, 0},
    {"prctl name", SYS_prctl, {PR_SET_NAME}, 0, 0},
    {"prctl dumpable", SYS_prctl, {PR_SET_DUMPABLE, 1}, 0, 0},
    {"seccomp", SYS_seccomp, {0}, 0, 0},
    {"tcp", SYS_socket, {AF_INET, SOCK_STREAM}, NET, 0},
    {"tcp6", SYS_socket, {AF_INET6, SOCK_STREAM}, NET, 0},
    {"unix", SYS_socket, {AF_UNIX, SOCK_STREAM}, WHOIS, NET},
    {"netlink", SYS_socket, {AF_NETLINK, SOCK_RAW}, 0, NET},
    {"packet", SYS_socket, {AF_PACKET, SOCK_RAW}, 0, 0},
    {"alg", SYS_socket, {AF_ALG, SOCK_SEQPACKET}, 0, 0},
    {"vsock", SYS_socket, {AF_VSOCK, SOCK_STREAM}, 0, 0},
    {"connect", SYS_connect, {3}, NET | WHOIS, 0},
    {"bind", SYS_bind, {3}, 0, 0},
    {"listen", SYS_listen, {3}, 0, 0},
    {"accept", SYS_accept4, {3}, 0, 0},
    {"no delay", SYS_setsockopt, {3, IPPROTO_TCP, 1}, FRONT | NET, 0},
    {"socket level", SYS_setsockopt, {3, SOL_SOCKET, 1}, NET, 0},
    {"memory", SYS_mmap, {0, 4096, PROT_READ | PROT_WRITE}, ALL, 0},
    {"memory to run", SYS_mmap, {0, 4096, PROT_READ | PROT_EXEC}, 0, NET},
    {"memory to write and run", SYS_mmap, {0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC}, 0, 0},
    {"run what was written", SYS_mprotect, {0, 4096, PROT_READ | PROT_EXEC}, 0, 0},
    {"run by a key", SYS_pkey_mprotect, {0, 4096, PROT_EXEC}, 0, 0},
    {"terminal input", SYS_ioctl, {0, 0x5412}, 0, NET},
    {"seals", SYS_fcntl, {3, F_ADD_SEALS}, HUB | NET, 0},
    {"non-blocking", SYS_fcntl, {3, F_SETFL}, ALL, 0},
    {"memory file", SYS_memfd_create, {0}, HUB | CHAN | FETCH, 0},
    {"write", SYS_write, {3}, HUB | CHAN | FETCH, 0},
    {"positioned write", SYS_pwrite64, {3}, HUB, 0},
    {"durable", SYS_fdatasync, {3}, HUB, 0},
    {"delete", SYS_unlinkat, {0}, 0, 0},
    {"rename", SYS_renameat2, {0}, 0, 0},
    {"link", SYS_linkat, {0}, 0, 0},
    {"mode", SYS_fchmod, {0}, 0, 0},
    {"shared memory", SYS_shmget, {0}, 0, 0},
    {"clock set", SYS_clock_settime, {0}, 0, 0},
    {"reboot", SYS_reboot, {0}, 0, 0},
    {"a number that is none yet", 1023, {0}, 0, 0},
};

START_TEST(test_try)
{
    static const unsigned bit[] = {FRONT, HUB, AGENT, CHAN, WHOIS, FETCH, FILES, SCRIPT};

    for (size_t i = 0; i < COUNT_OF(classes); i++) {
        struct seccomp_data d = {.nr = tries[_i].nr, .arch = SECCOMP_ARCH};
        uint32_t got, want = tries[_i].allowed & bit[i]   ? SECCOMP_RET_ALLOW
                             : tries[_i].refused & bit[i] ? SECCOMP_REFUSED
                                                          : SECCOMP_OTHERWISE;

        for (int k = 0; k < 4; k++)
            d.args[k] = tries[_i].arg[k];
        got = run(cage_of(classes[i].role), &d) & SECCOMP_RET_ACTION_FULL;
        ck_assert_msg(got == want, "%s: %s: %08x, not %08x", classes[i].name, tries[_i].name, got,
                      want);
#if defined(__x86_64__)
        d.nr |= 0x40000000; /* the same through the x32 door */
        got = run(cage_of(classes[i].role), &d) & SECCOMP_RET_ACTION_FULL;
        ck_assert_msg(got == SECCOMP_RET_KILL_PROCESS || got == SECCOMP_OTHERWISE,
                      "%s: x32 %s: %08x", classes[i].name, tries[_i].name, got);
        d.nr &= ~0x40000000;
        d.arch = AUDIT_ARCH_I386;
        got = run(cage_of(classes[i].role), &d) & SECCOMP_RET_ACTION_FULL;
        ck_assert_msg(got == SECCOMP_RET_KILL_PROCESS, "%s: i386 %s: %08x", classes[i].name,
                      tries[_i].name, got);
#endif
    }
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_rows, 0, COUNT_OF(classes));
    tcase_add_loop_test(tc, test_layers, 0, COUNT_OF(classes));
    tcase_add_loop_test(tc, test_try, 0, COUNT_OF(tries));
}

CK_MAIN("cage")
