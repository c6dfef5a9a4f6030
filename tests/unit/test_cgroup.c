/* tests/unit/test_cgroup.c - delegation and limits on a folder of plain files that looks like a
 * cgroup: what is written where, and every reason not to. */
#include "cgroup.h"
#include "ck.h"
#include "fd.h"
#include "mem.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
    const char *name, *text, *want; /* NULL: not there */
} places[] = {
    {"unified only", "0::/user.slice/a\n", "/user.slice/a"},
    {"beside version 1", "4:memory:/x\n1:cpu:/\n0::/\n", "/"},
    {"version 1 only", "4:memory:/x\n", NULL},
    {"empty", "", NULL},
    {"no newline", "0::/a b", "/a b"},
    {"not a path", "0::x\n", NULL},
};

START_TEST(test_place)
{
    struct view got = cgroup_place(view_str(places[_i].text));

    if (!places[_i].want)
        ck_assert_msg(got.p == NULL, "%s", places[_i].name);
    else
        ck_assert_msg(view_eq(got, view_str(places[_i].want)), "%s: %.*s", places[_i].name,
                      VIEW_FMT(got));
}
END_TEST

START_TEST(test_count)
{
    struct view text = V("low 0\nhigh 12\nmax 3\noom 2\noom_kill 1\noom_group_kill x\n");

    ck_assert_uint_eq(cgroup_count(text, "high"), 12);
    ck_assert_uint_eq(cgroup_count(text, "oom"), 2);
    ck_assert_uint_eq(cgroup_count(text, "oom_kill"), 1);
    ck_assert_uint_eq(cgroup_count(text, "oom_group_kill"), 0);
    ck_assert_uint_eq(cgroup_count(text, "none"), 0);
    ck_assert_uint_eq(cgroup_count(VIEW_EMPTY, "high"), 0);
}
END_TEST

static void put(const char *root, const char *file, const char *text)
{
    struct err e = ERR_INIT;
    char path[512];

    (void)snprintf(path, sizeof(path), "%s/%s", root, file);
    ck_assert_msg(fd_write_file(path, view_str(text), 0600, &e) == 0, "%s", e.text);
}

static void wants(const char *root, const char *file, const char *want)
{
    char path[512], text[256] = "";
    FILE *f;

    (void)snprintf(path, sizeof(path), "%s/%s", root, file);
    ck_assert_ptr_nonnull(f = fopen(path, "r"));
    text[fread(text, 1, sizeof(text) - 1, f)] = 0;
    (void)fclose(f);
    ck_assert_msg(strcmp(text, want) == 0, "%s: '%s', not '%s'", file, text, want);
}

/* The kernel makes these files with the folder; here they lie there before. */
static void make(char root[64], const char *controllers, const char *procs)
{
    static const char *const files[] = {"worker-3/memory.high",     "worker-3/memory.max",
                                        "worker-3/memory.swap.max", "worker-3/memory.oom.group",
                                        "worker-3/cgroup.procs",    "supervisor/cgroup.procs",
                                        "cgroup.subtree_control"};
    static const char *const folders[] = {"", "supervisor", "worker-3"};
    char path[512];

    (void)snprintf(root, 64, "/tmp/cgroup-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    for (unsigned i = 1; i < COUNT_OF(folders); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", root, folders[i]);
        ck_assert_int_eq(mkdir(path, 0700), 0);
    }
    put(root, "cgroup.controllers", controllers);
    put(root, "cgroup.procs", procs);
    for (unsigned i = 0; i < COUNT_OF(files); i++)
        put(root, files[i], "");
}

static void sweep(const char *root)
{
    char command[128];

    (void)snprintf(command, sizeof(command), "rm -r '%s'", root);
    /* NOLINTNEXTLINE(cert-env33-c): a folder whose name we made */
    ck_assert_int_eq(system(command), 0);
}

START_TEST(test_delegated)
{
    struct cgroups g;
    const char *why;
    char root[64], us[32];
    int fd;

    (void)snprintf(us, sizeof(us), "%d\n", (int)getpid());
    make(root, "cpuset cpu io memory pids\n", us);
    cgroups_init_at(&g, root, V(""), &why);
    ck_assert_msg(g.on, "%s", why);
    wants(root, "supervisor/cgroup.procs", "0");
    wants(root, "cgroup.subtree_control", "+memory");
    fd = cgroup_make(&g, 3, 64 * MIB, 128 * MIB);
    ck_assert_int_ge(fd, 0);
    fd_close(&fd);
    wants(root, "worker-3/memory.high", "100663296");
    wants(root, "worker-3/memory.max", "134217728");
    wants(root, "worker-3/memory.swap.max", "0");
    wants(root, "worker-3/memory.oom.group", "1");
    put(root, "worker-3/memory.events", "oom 1\noom_kill 1\n");
    ck_assert_uint_eq(cgroup_kills(&g, 3), 1);
    ck_assert_uint_eq(cgroup_kills(&g, 4), 0);
    ck_assert(!cgroup_holds(&g, 3, getpid(), 128 * MIB)); /* we never went there */
    ck_assert_int_eq(cgroup_make(&g, 4, 1, 2), -1);       /* no such files: no limit, and said so */
    cgroups_fini(&g);
    ck_assert(!g.on);
    sweep(root);
}
END_TEST

static const struct {
    const char *name, *controllers, *procs;
} without[] = {
    {"no controllers", "", "us"},
    {"not the one", "cpu memory.x\n", "us"},
    {"somebody else", "memory\n", "us and 1"},
    {"we are not in it", "memory\n", "1\n"},
};

START_TEST(test_not_delegated)
{
    struct cgroups g;
    const char *why = NULL;
    char root[64], procs[64];

    if (strncmp(without[_i].procs, "us", 2) == 0)
        (void)snprintf(procs, sizeof(procs), "%d\n%s", (int)getpid(),
                       without[_i].procs[2] ? "1\n" : "");
    else
        (void)snprintf(procs, sizeof(procs), "%s", without[_i].procs);
    make(root, without[_i].controllers, procs);
    cgroups_init_at(&g, root, V(""), &why);
    ck_assert_msg(!g.on, "%s", without[_i].name);
    ck_assert_ptr_nonnull(why);
    wants(root, "supervisor/cgroup.procs", "");
    wants(root, "cgroup.subtree_control", "");
    ck_assert_int_eq(cgroup_make(&g, 3, 1, 2), -1);
    ck_assert_uint_eq(cgroup_kills(&g, 3), 0);
    cgroups_fini(&g);
    sweep(root);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_place, 0, (int)COUNT_OF(places));
    tcase_add_test(tc, test_count);
    tcase_add_test(tc, test_delegated);
    tcase_add_loop_test(tc, test_not_delegated, 0, (int)COUNT_OF(without));
}
CK_MAIN("cgroup")
