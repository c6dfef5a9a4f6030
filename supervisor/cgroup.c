#include "cgroup.h"

#include "fd.h"
#include "num.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

enum {
    TEXT_MAX = 4096,
    CGROUP2 = 0x63677270, /* statfs(2) */
    OURS = -1,            /* the slot of the supervisor itself */
};

/* Of files that the kernel makes when they are read: whole in one go, or cut. */
static struct view read_text(const char *path, char text[TEXT_MAX])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, TEXT_MAX);

    fd_close(&fd);
    return n > 0 ? view_of(text, (size_t)n) : VIEW_EMPTY;
}

static bool write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    fd_close(&fd);
    return ok;
}

/* The path of a file in our group (slot OURS - 1), in our own child or in a slot's. */
static void path_of(const struct cgroups *g, int slot, const char *file, char out[PATH_MAX + 64])
{
    if (slot < OURS)
        (void)snprintf(out, PATH_MAX + 64, "%s/%s", g->base, file);
    else if (slot == OURS)
        (void)snprintf(out, PATH_MAX + 64, "%s/supervisor/%s", g->base, file);
    else
        (void)snprintf(out, PATH_MAX + 64, "%s/worker-%d/%s", g->base, slot, file);
}

struct view cgroup_place(struct view text)
{
    while (text.n) {
        size_t end = view_find(text, '\n');
        struct view line = view_of(text.p, end);

        if (view_starts(line, V("0::/")))
            return view_from(line, 3);
        text = view_from(text, end < text.n ? end + 1 : end);
    }
    return view_of(NULL, 0);
}

uint64_t cgroup_count(struct view text, const char *name)
{
    struct err e = ERR_INIT;
    size_t len = strlen(name);
    uint64_t n = 0;

    while (text.n) {
        size_t end = view_find(text, '\n');
        struct view line = view_of(text.p, end);

        if (view_starts(line, view_str(name)) && line.n > len + 1 && line.p[len] == ' ')
            return num_u64(view_from(line, len + 1), 0, UINT64_MAX, &n, &e) == 0 ? n : 0;
        text = view_from(text, end < text.n ? end + 1 : end);
    }
    return 0;
}

/* Whether the word stands in a line of words. */
static bool has_word(struct view text, struct view word)
{
    while (text.n) {
        size_t end = view_find(text, ' ');

        if (view_eq(view_trim(view_of(text.p, end)), word))
            return true;
        text = view_from(text, end < text.n ? end + 1 : end);
    }
    return false;
}

/* We are the only process of the group: moving others would not be ours to do. */
static bool alone(const struct cgroups *g)
{
    char path[PATH_MAX + 64], text[TEXT_MAX], us[32];

    path_of(g, OURS - 1, "cgroup.procs", path);
    (void)snprintf(us, sizeof(us), "%d", (int)getpid());
    return view_eq(view_trim(read_text(path, text)), view_str(us));
}

void cgroups_init_at(struct cgroups *g, const char *mount, struct view place, const char **why)
{
    char path[PATH_MAX + 64], text[TEXT_MAX];

    *g = (struct cgroups){.on = false};
    *why = "its path is too long";
    if ((size_t)snprintf(g->base, sizeof(g->base), "%s%.*s", mount, VIEW_FMT(place)) >=
        sizeof(g->base))
        return;
    *why = "this cgroup has no memory controller";
    path_of(g, OURS - 1, "cgroup.controllers", path);
    if (!has_word(read_text(path, text), V("memory")))
        return;
    *why = "this cgroup is not delegated to us";
    path_of(g, OURS - 1, "cgroup.subtree_control", path);
    if (access(path, W_OK) < 0)
        return;
    *why = "other processes are in this cgroup";
    if (!alone(g))
        return;
    *why = "its children cannot be made";
    path_of(g, OURS, "", path);
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        return;
    path_of(g, OURS, "cgroup.procs", path);
    if (!write_text(path, "0"))
        return;
    path_of(g, OURS - 1, "cgroup.subtree_control", path);
    g->on = write_text(path, "+memory");
    if (!g->on)
        cgroups_fini(g);
}

void cgroups_init(struct cgroups *g, const char **why)
{
    static const char *const mounts[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
    char text[TEXT_MAX];
    struct view place = cgroup_place(read_text("/proc/self/cgroup", text));
    struct statfs fs;

    *g = (struct cgroups){.on = false};
    *why = "there is no cgroup of version 2";
    for (unsigned i = 0; place.p && i < 2; i++)
        if (statfs(mounts[i], &fs) == 0 && fs.f_type == CGROUP2) {
            cgroups_init_at(g, mounts[i], place, why);
            return;
        }
}

int cgroup_make(const struct cgroups *g, unsigned slot, uint64_t soft, uint64_t hard)
{
    char path[PATH_MAX + 64], number[32];
    int s = (int)slot;

    if (!g->on)
        return -1;
    path_of(g, s, "", path);
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        return -1;
    /* Written pages of files count for the kernel, not for us: they go first when it gets tight,
     * and what the soft limit slows down is a worker that has no such pages left. */
    (void)snprintf(number, sizeof(number), "%" PRIu64, soft + (hard - soft) / 2);
    path_of(g, s, "memory.high", path);
    (void)write_text(path, number);
    (void)snprintf(number, sizeof(number), "%" PRIu64, hard);
    path_of(g, s, "memory.max", path);
    if (!write_text(path, number))
        return -1;
    path_of(g, s, "memory.swap.max", path);
    (void)write_text(path, "0");
    path_of(g, s, "memory.oom.group", path);
    (void)write_text(path, "1");
    path_of(g, s, "cgroup.procs", path);
    return open(path, O_WRONLY | O_CLOEXEC);
}

uint32_t cgroup_kills(const struct cgroups *g, unsigned slot)
{
    char path[PATH_MAX + 64], text[TEXT_MAX];

    if (!g->on)
        return 0;
    path_of(g, (int)slot, "memory.events", path);
    return (uint32_t)cgroup_count(read_text(path, text), "oom_kill");
}

bool cgroup_holds(const struct cgroups *g, unsigned slot, pid_t pid, uint64_t hard)
{
    char path[PATH_MAX + 64], text[TEXT_MAX], want[64];

    if (!g->on)
        return false;
    (void)snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
    (void)snprintf(want, sizeof(want), "/worker-%u", slot);
    if (!view_ends(cgroup_place(read_text(path, text)), view_str(want)))
        return false;
    path_of(g, (int)slot, "memory.max", path);
    (void)snprintf(want, sizeof(want), "%" PRIu64, hard);
    return view_eq(view_trim(read_text(path, text)), view_str(want));
}

void cgroup_remove(const struct cgroups *g, unsigned slot)
{
    char path[PATH_MAX + 64];

    if (!g->on)
        return;
    path_of(g, (int)slot, "", path);
    (void)rmdir(path);
}

void cgroups_fini(struct cgroups *g)
{
    char path[PATH_MAX + 64];

    if (!g->base[0])
        return;
    if (g->on) {
        path_of(g, OURS - 1, "cgroup.subtree_control", path);
        (void)write_text(path, "-memory");
    }
    path_of(g, OURS - 1, "cgroup.procs", path);
    (void)write_text(path, "0");
    path_of(g, OURS, "", path);
    (void)rmdir(path);
    *g = (struct cgroups){.on = false};
}
