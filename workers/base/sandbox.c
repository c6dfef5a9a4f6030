#include "sandbox.h"

#include "cage.h"
#include "landlock.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef PR_SET_MDWE /* Linux 6.3 */
#define PR_SET_MDWE              65
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

/* What the C library would open a file for at its first use. */
static void warm_up(void)
{
    /* The machine's time zone is read here. By its name: without TZ every mktime(3) would look
     * whether the file is another one by now, which the filter kills for. */
    (void)setenv("TZ", ":/etc/localtime", 0);
    tzset();
}

/* The namespace's mounts are ours alone; behind this call none of them is left. */
static int empty_root(struct err *e)
{
    const char *cage = getenv(CAGE_ENV);

    if (!cage || !strstr(cage, CAGE_ENV_ROOT))
        return 0; /* nothing was mounted for us: a kernel or container without namespaces, or a test
                   */
    if (chdir(CAGE_EMPTY_DIR) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
        umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
        return err_sys(e, "sandbox: empty root");
    return 0;
}

static int no_capabilities(struct err *e)
{
    struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}, {0}};

    /* the bounding set only shrinks while we may still change it: not as a plain user without
     * namespaces, where it gives nobody anything */
    for (int cap = 0; cap <= 63; cap++)
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno == EINVAL)
            break;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
        return err_sys(e, "sandbox: ambient capabilities");
    if (syscall(SYS_capset, &h, none) < 0 &&
        errno != EPERM) /* EPERM: a service manager forbids it */
        return err_sys(e, "sandbox: capabilities");
    return 0;
}

static int limits(const struct cage *c, struct err *e)
{
    for (unsigned i = 0; i < c->limit_count; i++) {
        struct rlimit now, want = {c->limits[i].value, c->limits[i].value};

        if (getrlimit((__rlimit_resource_t)c->limits[i].resource, &now) < 0)
            return err_sys(e, "sandbox: limit %d", c->limits[i].resource);
        if (want.rlim_max > now.rlim_max)
            want.rlim_cur = want.rlim_max = now.rlim_max;
        if (setrlimit((__rlimit_resource_t)c->limits[i].resource, &want) < 0)
            return err_sys(e, "sandbox: limit %d", c->limits[i].resource);
    }
    return 0;
}

static int seccomp_filter(const struct cage *c, struct err *e)
{
    struct sock_fprog prog = {.len = c->filter_len};

    memcpy(&prog.filter, &c->filter, sizeof(prog.filter)); /* the kernel only reads it */
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) == 0)
        return 0;
    if (errno == ENOSYS || errno == EINVAL)
        return 0; /* a kernel without it; the supervisor sees that it is missing */
    return err_sys(e, "sandbox: seccomp");
}

int sandbox_enter(enum role role, const struct sandbox *s, uint32_t *said, struct err *e)
{
    const struct cage *c = cage_of(role);
    int r = 0;

    *said = 0;
    if (!c)
        return err_set(e, ERR_INVALID, "sandbox: no profile for %s", role_name(role));
    warm_up();
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_sys(e, "sandbox: no_new_privs");
#ifdef OPENCLAW_SANITIZED
    /* The sanitizers read /proc, map much and trace themselves at the end: only seccomp, and it
     * only takes notes. */
    (void)empty_root;
    (void)no_capabilities;
    (void)limits;
    (void)s;
    (void)r;
    *said = CAGE_SAID_TEST;
    return seccomp_filter(c, e);
#else
    if ((r = empty_root(e)) < 0 || (r = no_capabilities(e)) < 0 || (r = limits(c, e)) < 0)
        return r;
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) /* no core, and no reading of our memory */
        return err_sys(e, "sandbox: dumpable");
    if (prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) == 0)
        *said |= CAGE_SAID_WX;
    if ((r = landlock_enter(c, s, e)) < 0)
        return r;
    *said |= (uint32_t)r & CAGE_SAID_ABI_MASK;
    return seccomp_filter(c, e);
#endif
}
