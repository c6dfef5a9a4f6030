/* supervisor/confine_look.c - what is really in force for a process, read from /proc. */
#include "confine.h"

#include "fd.h"
#include "mem.h"
#include "num.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { TEXT_MAX = 8 * 1024, TMPFS = 0x01021994, ABI_NET = 4 };

static const char *const names[LAYER_COUNT] = {
    [LAYER_UID] = "uid",
    [LAYER_GROUPS] = "groups",
    [LAYER_CAPS] = "capabilities",
    [LAYER_NO_NEW_PRIVS] = "no-new-privs",
    [LAYER_SECCOMP] = "seccomp",
    [LAYER_LANDLOCK] = "landlock",
    [LAYER_LANDLOCK_NET] = "landlock-net",
    [LAYER_NS_USER] = "ns-user",
    [LAYER_NS_MNT] = "ns-mnt",
    [LAYER_NS_NET] = "ns-net",
    [LAYER_NS_IPC] = "ns-ipc",
    [LAYER_NS_UTS] = "ns-uts",
    [LAYER_EMPTY_ROOT] = "empty-root",
    [LAYER_NO_CORE] = "no-core",
    [LAYER_NO_DUMP] = "no-dump",
    [LAYER_WX] = "write-xor-execute",
    [LAYER_MEMORY] = "memory-limit",
};

const char *confine_layer_name(enum confine_layer l)
{
    return l < LAYER_COUNT ? names[l] : "?";
}

const char *confine_names(uint32_t set, char out[256])
{
    size_t n = 0;

    out[0] = 0;
    for (unsigned l = 0; l < LAYER_COUNT; l++)
        if (set >> l & 1)
            n += (size_t)snprintf(out + n, 256 - n, "%s%s", n ? " " : "", names[l]);
    return out;
}

static void set(struct confine_view *v, enum confine_layer l, bool on)
{
    if (on)
        v->in_force |= 1u << l;
}

/* The rest of the line that begins with the name; empty when there is none. */
static struct view line_of(struct view text, const char *name)
{
    size_t n = strlen(name);

    while (text.n) {
        size_t end = view_find(text, '\n');

        if (view_starts(text, view_str(name)))
            return view_trim(view_of(text.p + n, end - n));
        text = view_from(text, end < text.n ? end + 1 : end);
    }
    return VIEW_EMPTY;
}

static unsigned number(struct view v)
{
    struct err e = ERR_INIT;
    uint32_t n = 0;
    size_t end = 0;

    while (end < v.n && v.p[end] >= '0' && v.p[end] <= '9')
        end++;
    return num_u32(view_of(v.p, end), 0, UINT32_MAX, &n, &e) == 0 ? n : 0;
}

static bool all_zero(struct view hex)
{
    for (size_t i = 0; i < hex.n; i++)
        if (hex.p[i] != '0')
            return false;
    return hex.n > 0;
}

static bool no_caps(struct view status)
{
    static const char *const sets[] = {"CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"};

    for (unsigned i = 0; i < COUNT_OF(sets); i++)
        if (!all_zero(line_of(status, sets[i])))
            return false;
    return true;
}

/* At once: a file of /proc is made when it is read. */
static struct view read_proc(pid_t pid, const char *name, char text[TEXT_MAX])
{
    char path[64];
    ssize_t n;
    int fd;

    (void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return VIEW_EMPTY;
    n = read(fd, text, TEXT_MAX);
    fd_close(&fd);
    return n > 0 ? view_of(text, (size_t)n) : VIEW_EMPTY;
}

#ifdef OPENCLAW_SANITIZED
enum { SERVERS_FILTER = 0 }; /* workers/base/forkserver.c */
#else
enum { SERVERS_FILTER = 1 };
#endif

/* How many filters we run under ourselves. */
static unsigned own_filters(void)
{
    char text[TEXT_MAX];

    return number(line_of(read_proc(getpid(), "status", text), "Seccomp_filters:"));
}

static void look_status(struct confine_view *v, const struct confine *c, enum role role,
                        struct view status, unsigned inherited)
{
    struct view uids = line_of(status, "Uid:"), groups = line_of(status, "Groups:");
    char want[96];
    unsigned uid = confine_uid(c, role);

    v->uid = number(uids);
    (void)snprintf(want, sizeof(want), "%u\t%u\t%u\t%u", uid, uid, uid, uid);
    set(v, LAYER_UID,
        view_eq(uids, view_str(want)) && view_eq(line_of(status, "Gid:"), view_str(want)));
    set(v, LAYER_GROUPS, groups.n == 0);
    set(v, LAYER_CAPS, no_caps(status));
    set(v, LAYER_NO_NEW_PRIVS, view_eq(line_of(status, "NoNewPrivs:"), V("1")));
    v->seccomp_mode = number(line_of(status, "Seccomp:"));
    v->filters = number(line_of(status, "Seccomp_filters:"));
    v->threads = number(line_of(status, "Threads:"));
    /* a service manager's filter is inherited: the worker's own is one more */
    set(v, LAYER_SECCOMP, v->seccomp_mode == 2 && v->filters > inherited);
}

/* Every file of a process that may be dumped belongs to its user, else to root. */
static void look_limits(struct confine_view *v, pid_t pid)
{
    char path[64], text[TEXT_MAX];
    struct view all = read_proc(pid, "limits", text);
    struct view core = line_of(all, "Max core file size"), data = line_of(all, "Max data size");
    struct stat st;

    (void)snprintf(path, sizeof(path), "/proc/%d/limits", (int)pid);
    set(v, LAYER_NO_DUMP, stat(path, &st) == 0 && st.st_uid == 0 && v->uid != 0);
    set(v, LAYER_NO_CORE, view_starts(core, V("0 ")));
    set(v, LAYER_MEMORY, data.n && !view_starts(data, V("unlimited")));
}

static bool own_namespace(pid_t pid, const char *kind)
{
    char path[64], theirs[64], ours[64];
    ssize_t n, m;

    (void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, kind);
    n = readlink(path, theirs, sizeof(theirs));
    (void)snprintf(path, sizeof(path), "/proc/self/ns/%s", kind);
    m = readlink(path, ours, sizeof(ours));
    return n > 0 && m > 0 && (n != m || memcmp(theirs, ours, (size_t)n) != 0);
}

static void look_namespaces(struct confine_view *v, enum role role, pid_t pid)
{
    static const struct {
        enum confine_layer layer;
        const char *kind;
    } rows[] = {{LAYER_NS_USER, "user"},
                {LAYER_NS_MNT, "mnt"},
                {LAYER_NS_NET, "net"},
                {LAYER_NS_IPC, "ipc"},
                {LAYER_NS_UTS, "uts"}};
    char path[64];
    struct statfs fs;

    for (unsigned i = 0; i < COUNT_OF(rows); i++)
        set(v, rows[i].layer, own_namespace(pid, rows[i].kind));
    (void)snprintf(path, sizeof(path), "/proc/%d/root/.", (int)pid);
    set(v, LAYER_EMPTY_ROOT,
        (v->in_force >> LAYER_NS_MNT & 1) && statfs(path, &fs) == 0 && fs.f_type == TMPFS &&
            (fs.f_flags & ST_RDONLY) && fs.f_files == (cage_of(role)->host_socket ? 2 : 1));
}

/* What the class's file asks for, here: a uid of its own is root's to give, a user namespace is for
 * the others. */
static uint32_t wanted(const struct confine *c, enum role role)
{
    const struct cage *cage = cage_of(role);
    uint32_t w = 1u << LAYER_CAPS | 1u << LAYER_NO_NEW_PRIVS | 1u << LAYER_SECCOMP |
                 1u << LAYER_LANDLOCK | 1u << LAYER_LANDLOCK_NET | 1u << LAYER_NO_CORE |
                 1u << LAYER_NO_DUMP | 1u << LAYER_WX | 1u << LAYER_MEMORY;
    bool root = geteuid() == 0;

    (void)c;
    if (root)
        w |= 1u << LAYER_UID | 1u << LAYER_GROUPS;
    if (!root && cage->namespaces)
        w |= 1u << LAYER_NS_USER;
    if (cage->namespaces & CLONE_NEWNS)
        w |= 1u << LAYER_NS_MNT;
    if (cage->namespaces & CLONE_NEWNET)
        w |= 1u << LAYER_NS_NET;
    if (cage->namespaces & CLONE_NEWIPC)
        w |= 1u << LAYER_NS_IPC;
    if (cage->namespaces & CLONE_NEWUTS)
        w |= 1u << LAYER_NS_UTS;
    if (cage->empty_root)
        w |= 1u << LAYER_EMPTY_ROOT;
    return w;
}

void confine_look(struct confine_view *v, const struct confine *c, enum role role, pid_t pid,
                  uint32_t said, bool copied)
{
    char text[TEXT_MAX];
    struct view status = read_proc(pid, "status", text);

    *v = (struct confine_view){.wanted = wanted(c, role)};
    if (status.n) {
        v->looked = true;
        look_status(v, c, role, status, own_filters() + (copied && SERVERS_FILTER));
        look_limits(v, pid);
        look_namespaces(v, role, pid);
    }
    /* these two the kernel shows to nobody: the worker's word, from before its first untrusted byte
     */
    v->landlock_abi = said & CAGE_SAID_ABI_MASK;
    set(v, LAYER_LANDLOCK, v->landlock_abi > 0);
    set(v, LAYER_LANDLOCK_NET, v->landlock_abi >= ABI_NET);
    set(v, LAYER_WX, said & CAGE_SAID_WX);
    v->test_build = said & CAGE_SAID_TEST;
}

void confine_write(struct jw *w, const struct confine_view *v)
{
    jw_obj(w);
    jw_ku64(w, "uid", v->uid);
    jw_ku64(w, "seccomp", v->seccomp_mode);
    jw_ku64(w, "landlock", v->landlock_abi);
    jw_ku64(w, "threads", v->threads);
    if (v->test_build)
        jw_kbool(w, "testBuild", true);
    jw_key(w, "layers");
    jw_arr(w);
    for (unsigned l = 0; l < LAYER_COUNT; l++)
        if (v->in_force & v->wanted & 1u << l)
            jw_cstr(w, names[l]);
    jw_arr_end(w);
    jw_key(w, "missing");
    jw_arr(w);
    for (unsigned l = 0; l < LAYER_COUNT; l++)
        if (~v->in_force & v->wanted & 1u << l)
            jw_cstr(w, names[l]);
    jw_arr_end(w);
    jw_obj_end(w);
}
