#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define BIT(cap) ((uint64_t)1 << (cap))

/* What the supervisor does as root after its start, and which capability that takes. */
#define KEPT                                                                                       \
    (BIT(CAP_SETUID) | BIT(CAP_SETGID) |      /* a uid for each class */                           \
     BIT(CAP_SETPCAP) |                       /* empty bounding sets for workers */                \
     BIT(CAP_SYS_ADMIN) |                     /* their namespaces and empty roots */               \
     BIT(CAP_KILL) |                          /* workers have other uids */                        \
     BIT(CAP_SYS_PTRACE) |                    /* reading their /proc entries; nothing is traced */ \
     BIT(CAP_DAC_OVERRIDE) | BIT(CAP_CHOWN) | /* configuration and state of any owner */           \
     BIT(CAP_NET_BIND_SERVICE))               /* a changed gateway.port */

/* -- before exec -- */
static int set_caps(uint64_t permitted, uint64_t inheritable)
{
    struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct d[2] = {
        {(uint32_t)permitted, (uint32_t)permitted, (uint32_t)inheritable},
        {(uint32_t)(permitted >> 32), (uint32_t)(permitted >> 32), (uint32_t)(inheritable >> 32)}};

    return (int)syscall(SYS_capset, &h, d);
}

static uint64_t all_caps(void)
{
    struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct d[2] = {{0}, {0}};

    return syscall(SYS_capget, &h, d) == 0 ? d[0].permitted | (uint64_t)d[1].permitted << 32 : 0;
}

static bool have_cap(int cap)
{
    return all_caps() & BIT(cap);
}

static bool write_text(const char *path, const char *text, size_t n)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool ok = fd >= 0 && write(fd, text, n) == (ssize_t)n;

    if (fd >= 0)
        (void)close(fd);
    return ok;
}

/* "ID ID 1": we stay who we are. snprintf with %u neither locks nor allocates. */
static bool map_self(const char *path, unsigned id)
{
    char text[32];
    int n = snprintf(text, sizeof(text), "%u %u 1", id, id);

    return write_text(path, text, (size_t)n);
}

/* Namespaces of its own: with the right to make them, or else inside a user namespace, where
 * everybody has it. Neither: the layer is missing. */
static int enter_namespaces(int flags, bool *mnt)
{
    uid_t uid = geteuid();
    gid_t gid = getegid();

    *mnt = false;
    if (!flags)
        return 0;
    if (have_cap(CAP_SYS_ADMIN)) {
        if (unshare(flags) < 0)
            return 0;
    } else {
        if (unshare(CLONE_NEWUSER | flags) < 0)
            return 0;
        /* our /proc entries are root's while nobody may look into us; exec is a moment away */
        if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0)
            return 124;
        if (!write_text("/proc/self/setgroups", "deny", 4) ||
            !map_self("/proc/self/uid_map", uid) || !map_self("/proc/self/gid_map", gid))
            return 124; /* in a namespace where it is nobody: no way back */
    }
    *mnt = flags & CLONE_NEWNS;
    return 0;
}

/* A socket that is not there, or is no socket, is not in the root either. */
static void mount_socket(const char *path)
{
    int fd = open(CAGE_EMPTY_DIR "/" CAGE_SOCKET, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);
    struct stat st;

    if (fd < 0)
        return;
    (void)close(fd);
    if (path && stat(path, &st) == 0 && S_ISSOCK(st.st_mode))
        (void)mount(path, CAGE_EMPTY_DIR "/" CAGE_SOCKET, NULL, MS_BIND, NULL);
}

/* The empty file system lies ready; the worker changes into it once it has opened its files. */
static bool mount_empty(const struct cage *cage, const char *socket_path)
{
    unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;

    if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
        return false;
    if (!cage->host_socket)
        return mount("none", CAGE_EMPTY_DIR, "tmpfs", flags | MS_RDONLY,
                     "size=4k,nr_inodes=1,mode=555") == 0;
    if (mount("none", CAGE_EMPTY_DIR, "tmpfs", flags, "size=4k,nr_inodes=2,mode=555") < 0)
        return false;
    mount_socket(socket_path);
    return mount(NULL, CAGE_EMPTY_DIR, NULL, flags | MS_REMOUNT | MS_RDONLY, NULL) == 0;
}

static void limit(int resource, rlim_t value)
{
    struct rlimit now, want = {value, value};

    if (getrlimit((__rlimit_resource_t)resource, &now) == 0 && want.rlim_max > now.rlim_max)
        want.rlim_cur = want.rlim_max = now.rlim_max;
    (void)setrlimit((__rlimit_resource_t)resource, &want);
}

/* Those that count from a program's first moment; the worker sets the rest. */
static void set_limits(const struct confine *c, const struct cage *cage, enum role role)
{
    limit(RLIMIT_CORE, 0);
    if (role == ROLE_FRONT)
        limit(RLIMIT_NOFILE, c->front_files);
    for (unsigned i = 0; i < cage->limit_count; i++)
        if (cage->limits[i].resource == RLIMIT_NOFILE || cage->limits[i].resource == RLIMIT_STACK ||
            cage->limits[i].resource == RLIMIT_DATA)
            limit(cage->limits[i].resource, cage->limits[i].value);
}

static int become_user(uid_t uid)
{
    /* the raw calls: the C library's ones take locks for the sake of threads, which we do not have
     */
    if (syscall(SYS_setgroups, (size_t)0, NULL) < 0 || syscall(SYS_setresgid, uid, uid, uid) < 0 ||
        syscall(SYS_setresuid, uid, uid, uid) < 0)
        return 123;
    return 0;
}

/* Nothing to regain by exec; the one capability that the empty root takes goes along openly, and
 * the worker drops it before it reads its first untrusted byte. */
static int drop_caps(bool keep_admin)
{
    uint64_t keep = keep_admin ? BIT(CAP_SYS_ADMIN) : 0;

    if (set_caps(keep, keep) < 0)
        return keep ? 122 : 0; /* none to begin with */
    if (keep && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_ADMIN, 0, 0) < 0)
        return 122;
    return 0;
}

int confine_child(const struct confine *c, enum role role, bool *root_ready)
{
    const struct cage *cage = cage_of(role);
    bool mnt;
    int r;

    *root_ready = false;
    if (chdir(role == ROLE_HUB && c->store ? c->store : "/") < 0)
        return 125;
#ifdef OPENCLAW_SANITIZED
    (void)enter_namespaces;
    (void)mount_empty;
    (void)set_limits;
    (void)become_user;
    (void)drop_caps;
    (void)cage;
    (void)mnt;
    (void)r;
    limit(RLIMIT_CORE, 0);
    return 0;
#else
    set_limits(c, cage, role);
    if ((r = enter_namespaces(cage->namespaces, &mnt)) != 0)
        return r;
    *root_ready = mnt && cage->empty_root && mount_empty(cage, c->socket);
    if (*root_ready &&
        set_caps(all_caps(), BIT(CAP_SYS_ADMIN)) < 0) /* before the bounding set is empty */
        *root_ready = false;
    for (int cap = 0; cap <= 63; cap++)
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
            break; /* past the last one, or not ours to drop */
    if (*root_ready && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
        *root_ready = false;
    if (c->own_uids && (r = become_user(confine_uid(c, role))) != 0)
        return r;
    return drop_caps(*root_ready);
#endif
}

/* -- the supervisor -- */
uid_t confine_uid(const struct confine *c, enum role role)
{
    return c->uid_base + (uid_t)role;
}

/* In a container the numbers may not be there: tried in a child. */
static bool can_become(uid_t uid)
{
    pid_t pid = fork();
    int status = 1;

    if (pid == 0)
        _exit(become_user(uid) == 0 ? 0 : 1);
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

void confine_init(struct confine *c, const char *exe_dir)
{
    char path[PATH_MAX];
    struct stat st;

#ifdef OPENCLAW_SANITIZED
    c->own_uids = false;
#else
    c->own_uids = geteuid() == 0 && have_cap(CAP_SETUID) && have_cap(CAP_SETGID);
#endif
    c->own_uids = c->own_uids && can_become(confine_uid(c, ROLE_HUB));
    for (int role = ROLE_SUPERVISOR + 1; role < ROLE_COUNT; role++) {
        (void)snprintf(path, sizeof(path), "%s/%s", exe_dir,
                       role_name((enum role)role)); /* channels: several */
        if (stat(path, &st) == 0 && !(st.st_mode & S_IXOTH))
            c->own_uids = false;
    }
}

int confine_self(struct err *e)
{
    if (geteuid() == 0) {
        for (int cap = 0; cap <= 63; cap++)
            if (!(KEPT & BIT(cap)) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno == EINVAL)
                break;
        if (set_caps(all_caps() & KEPT, 0) < 0)
            return err_sys(e, "drop capabilities");
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_sys(e, "no_new_privs");
#ifndef OPENCLAW_SANITIZED                      /* the leak check traces us at the end */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) /* every secret is in here */
        return err_sys(e, "not dumpable");
#endif
    return 0;
}
