/*
 * proto/cage_gen.c - run at build time: turns the system call rows of conf/sandbox/ into seccomp
 * programs, printed as C. So no worker loads libseccomp or spends time on compiling rules. cage_gen
 * kill|log|rows  log (sanitized builds): what is not allowed is noted by the kernel and works;
 * rows: the rows themselves, a line each, for scripts/syscalls
 */
#include <asm/socket.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { OPS_MAX = 2048 };

static bool noting, listing;
static const char *class, *kind;
static int failed;

static void rule(scmp_filter_ctx c, uint32_t action, const char *name,
                 const struct scmp_arg_cmp *arg)
{
    int nr = seccomp_syscall_resolve_name(name), r;

    if (listing) {
        if (arg)
            (void)printf("%s %s %s %u %s %llu %llu\n", class, kind, name, arg->arg,
                         arg->op == SCMP_CMP_EQ ? "eq" : "bits", (unsigned long long)arg->datum_a,
                         (unsigned long long)arg->datum_b);
        else
            (void)printf("%s %s %s\n", class, kind, name);
        return;
    }

    if (nr < 0)
        return; /* this machine has no such call: nobody can make it */
    r = arg ? seccomp_rule_add_array(c, action, nr, 1, arg) : seccomp_rule_add(c, action, nr, 0);
    if (r < 0) {
        (void)fprintf(stderr, "%s: %s\n", name, strerror(-r));
        failed = 1;
    }
}

#define ALSO(call, why)                                                                            \
    kind = "also";                                                                                 \
    rule(c, SCMP_ACT_ALLOW, #call, NULL);
#define SELDOM(call, why)                                                                          \
    kind = "seldom";                                                                               \
    rule(c, SCMP_ACT_ALLOW, #call, NULL);
#define ALLOW(call, why)                                                                           \
    kind = "allow";                                                                                \
    rule(c, SCMP_ACT_ALLOW, #call, NULL);
#define ALLOW_EQ(call, n, value, why)                                                              \
    kind = "allow";                                                                                \
    rule(c, SCMP_ACT_ALLOW, #call,                                                                 \
         &(struct scmp_arg_cmp){.arg = (n), .op = SCMP_CMP_EQ, .datum_a = (scmp_datum_t)(value)});
#define ALLOW_BITS(call, n, mask, value, why)                                                      \
    kind = "allow";                                                                                \
    rule(c, SCMP_ACT_ALLOW, #call,                                                                 \
         &SCMP_CMP((n), SCMP_CMP_MASKED_EQ, (scmp_datum_t)(mask), (scmp_datum_t)(value)));
/* A sanitizer's own calls must not fail: the build that takes notes lets them through. */
#define FAIL(call, code, why)                                                                      \
    kind = "fail";                                                                                 \
    if (!noting)                                                                                   \
        rule(c, SCMP_ACT_ERRNO(code), #call, NULL);
#define FAIL_EQ(call, n, value, code, why)                                                         \
    kind = "fail";                                                                                 \
    if (!noting)                                                                                   \
        rule(c, SCMP_ACT_ERRNO(code), #call,                                                       \
             &(struct scmp_arg_cmp){                                                               \
                 .arg = (n), .op = SCMP_CMP_EQ, .datum_a = (scmp_datum_t)(value)});
#define READ_PATH(path, why)
#define CONNECT(port, why)
#define LIMIT(what, value, why)
#define MEMORY(bytes, why)
#define PRIVATE(what, why)
#define EMPTY_ROOT(why)
#define HOST_SOCKET(why)

static void front(scmp_filter_ctx c)
{
#include "sandbox/front.def"
}

static void hub(scmp_filter_ctx c)
{
#include "sandbox/hub.def"
}

static void agent(scmp_filter_ctx c)
{
#include "sandbox/agent.def"
}

static void channel(scmp_filter_ctx c)
{
#include "sandbox/channel.def"
}

static void whois(scmp_filter_ctx c)
{
#include "sandbox/whois.def"
}

static void fetch(scmp_filter_ctx c)
{
#include "sandbox/fetch.def"
}

static void files(scmp_filter_ctx c)
{
#include "sandbox/files.def"
}

static void script(scmp_filter_ctx c)
{
#include "sandbox/script.def"
}

static void print(const char *name, void (*rows)(scmp_filter_ctx), uint32_t otherwise)
{
    static struct sock_filter op[OPS_MAX];
    scmp_filter_ctx c = seccomp_init(otherwise);
    int p[2];
    ssize_t n;

    class = name;
    if (c && listing) {
        rows(c);
        seccomp_release(c);
        return;
    }
    if (!c || pipe(p) < 0) {
        failed = 1;
        return;
    }

    (void)seccomp_attr_set(c, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    (void)seccomp_attr_set(c, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree: few steps for every call */
    rows(c);
    if (seccomp_export_bpf(c, p[1]) < 0)
        failed = 1;
    (void)close(p[1]);
    n = read(p[0], op, sizeof(op)); /* fits a pipe's buffer: see OPS_MAX */
    (void)close(p[0]);
    seccomp_release(c);
    if (n <= 0 || (size_t)n >= sizeof(op) || (size_t)n % sizeof(*op)) {
        failed = 1;
        return;
    }
    (void)printf("static const struct sock_filter %s_filter[] = {\n", name);
    for (size_t i = 0; i < (size_t)n / sizeof(*op); i++)
        (void)printf("    {0x%04x, %u, %u, 0x%08x},\n", op[i].code, op[i].jt, op[i].jf, op[i].k);
    (void)printf("};\n");
}

int main(int argc, char **argv)
{
    uint32_t otherwise;

    noting = argc > 1 && strcmp(argv[1], "log") == 0;
    listing = argc > 1 && strcmp(argv[1], "rows") == 0;
    otherwise = noting ? SCMP_ACT_LOG : SCMP_ACT_KILL_PROCESS;
    if (!listing)
        (void)puts("/* Made by proto/cage_gen.c from conf/sandbox/. */");
    print("front", front, otherwise);
    print("hub", hub, otherwise);
    print("agent", agent, otherwise);
    print("channel", channel, otherwise);
    print("whois", whois, otherwise);
    print("fetch", fetch, otherwise);
    print("files", files, otherwise);
    print("script", script, otherwise);
    return failed;
}
