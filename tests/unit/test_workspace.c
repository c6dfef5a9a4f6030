/* Files of a workspace: read and written whole, whatever somebody put into the folder. */
#include "ck.h"
#include "mem.h"
#include "workspace.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

static void begin(void)
{
    (void)snprintf(folder, sizeof(folder), "/tmp/workspace-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static const char *at(const char *name)
{
    static char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void end(void)
{
    static const char *const left[] = {"AGENTS.md", "SOUL.md", "USER.md", "MEMORY.md", "secret"};

    for (size_t i = 0; i < COUNT_OF(left); i++)
        (void)unlink(at(left[i]));
    (void)rmdir(at("TOOLS.md"));
    ck_assert_int_eq(rmdir(folder), 0); /* nothing else was left there */
}

static void put(const char *name, const char *text)
{
    FILE *f = fopen(at(name), "w");

    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs(text, f), 0);
    ck_assert_int_eq(fclose(f), 0);
}

START_TEST(test_write_and_read)
{
    struct workspace_file f, all[WORKSPACE_FILES];
    struct buf b = BUF_INIT(WORKSPACE_FILE_MAX);
    struct err e = ERR_INIT;
    struct stat st;
    char hash[65];

    begin();
    ck_assert_int_eq(workspace_find(V("AGENTS.md")), 0);
    ck_assert_int_eq(workspace_find(V("../AGENTS.md")), -1);
    ck_assert_int_eq(workspace_read(folder, 0, &f, &b, &e), ERR_NOT_FOUND);
    ck_assert_msg(workspace_write(folder, 0, V("# hi\n"), VIEW_EMPTY, &e) == 0, "%s", e.text);
    ck_assert_msg(workspace_read(folder, 0, &f, &b, &e) == 0, "%s", e.text);
    ck_assert(view_eq(buf_view(&b), V("# hi\n")));
    ck_assert_str_eq(f.hash, "045d2d07c2db3b9e6cef022457ee89434045a508c2dadccf9abe182ad633c273");
    ck_assert_int_eq(stat(at("AGENTS.md"), &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    /* only over what one has read; its mode stays */
    ck_assert_int_eq(chmod(at("AGENTS.md"), 0640), 0);
    (void)snprintf(hash, sizeof(hash), "%s", f.hash);
    ck_assert_int_eq(workspace_write(folder, 0, V("two"), view_str(hash), &e), 0);
    ck_assert_int_eq(workspace_write(folder, 0, V("three"), view_str(hash), &e), ERR_CONFLICT);
    ck_assert_int_eq(stat(at("AGENTS.md"), &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0640);
    workspace_look(folder, all);
    ck_assert(all[0].there && all[0].size == 3 && !all[1].there);
    buf_fini(&b);
    end();
}
END_TEST

/* A link, a second name, a folder, a pipe, and what is too large: not read, and not written
 * through. */
START_TEST(test_hostile)
{
    struct workspace_file f, all[WORKSPACE_FILES];
    struct buf b = BUF_INIT((size_t)WORKSPACE_FILE_MAX * 2);
    struct err e = ERR_INIT;
    char *large = mem_alloc(WORKSPACE_FILE_MAX + 2);

    begin();
    put("secret", "canary");
    ck_assert_int_eq(symlink(at("secret"), "/dev/null"), -1);
    {
        char target[128];

        (void)snprintf(target, sizeof(target), "%s", at("secret"));
        ck_assert_int_eq(symlink(target, at("AGENTS.md")), 0);
        ck_assert_int_eq(link(target, at("SOUL.md")), 0);
    }
    ck_assert_int_eq(mkdir(at("TOOLS.md"), 0700), 0);
    ck_assert_int_eq(mkfifo(at("USER.md"), 0600), 0);
    memset(large, 'x', WORKSPACE_FILE_MAX + 1);
    put("MEMORY.md", large);
    workspace_look(folder, all);
    for (unsigned i = 0; i < WORKSPACE_FILES; i++) {
        int r = workspace_read(folder, i, &f, &b, &e);

        ck_assert_msg(r < 0, "%s", workspace_name(i));
        ck_assert_uint_eq(b.n, 0);
        ck_assert(all[i].there == (strcmp(workspace_name(i), "MEMORY.md") == 0));
    }
    ck_assert_int_eq(workspace_read(folder, 7, &f, &b, &e), ERR_LIMIT);
    ck_assert_int_eq(workspace_write(folder, 0, V("new"), VIEW_EMPTY, &e), 0);
    ck_assert_int_eq(workspace_write(folder, 1, V("new"), VIEW_EMPTY, &e), 0);
    ck_assert_int_lt(workspace_write(folder, 2, V("new"), VIEW_EMPTY, &e), 0);
    ck_assert_int_eq(workspace_write(folder, 7, view_of(large, WORKSPACE_FILE_MAX), VIEW_EMPTY, &e),
                     0);
    ck_assert_int_eq(
        workspace_write(folder, 7, view_of(large, WORKSPACE_FILE_MAX + 1), VIEW_EMPTY, &e),
        ERR_LIMIT);
    {
        char text[16] = "";
        FILE *in = fopen(at("secret"), "r");

        ck_assert(in && fgets(text, sizeof(text), in) && fclose(in) == 0);
        ck_assert_str_eq(text, "canary"); /* nothing was written through the link or the name */
    }
    mem_free(large);
    buf_fini(&b);
    end();
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_test(tc, test_write_and_read);
    tcase_add_test(tc, test_hostile);
}
CK_MAIN("workspace")
