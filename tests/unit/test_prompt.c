/* tests/unit/test_prompt.c - the files of an agent's folder: which are read, how much of them, and
 * what is not followed. */
#include "ck.h"
#include "mem.h"
#include "prompt.h"
#include "utf8.h"

#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/prompt-XXXXXX";

static void put(const char *name, const char *text)
{
    char path[PATH_MAX];
    FILE *f;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    (void)fputs(text, f);
    ck_assert_int_eq(fclose(f), 0);
}

static void take(const char *name)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    if (unlink(path) < 0)
        (void)rmdir(path);
}

static struct prompt *prompt(const char *more)
{
    char conf[2 * PATH_MAX];
    struct prompt *p = NULL;
    struct err e = ERR_INIT;
    json_t *doc = NULL;

    (void)snprintf(conf, sizeof(conf),
                   "{\"agents\":{\"defaults\":{\"workspace\":\"%s\"%s},\"list\":[{\"id\":\"main\"},"
                   "{\"id\":\"sub\",\"workspace\":\"%s/sub\"},{\"id\":\"rel\",\"workspace\":"
                   "\"sub\"}]}}",
                   dir, more, dir);
    ck_assert_int_eq(json_parse(view_str(conf), &doc, &e), 0);
    ck_assert_int_eq(prompt_new(&p, doc, &e), 0);
    json_decref(doc);
    return p;
}

static bool holds(struct view v, const char *part)
{
    return memmem(v.p, v.n, part, strlen(part)) != NULL;
}

START_TEST(test_files)
{
    struct prompt *p;
    struct view v;
    char path[PATH_MAX];

    ck_assert_ptr_nonnull(mkdtemp(dir));
    p = prompt("");
    ck_assert_uint_eq(prompt_text(p, V("main"), 0).n, 0);
    put("SOUL.md", "be kind\n");
    put("AGENTS.md", "  obey \n");
    put("notes.md", "not for models");
    put("USER.md", "\n\n");
    ck_assert_uint_eq(prompt_text(p, V("main"), 999).n, 0); /* looked a moment ago */
    v = prompt_text(p, V("main"), 1000);
    ck_assert(view_starts(v, V("# Project Context\n")));
    ck_assert(view_ends(v, V("\n## AGENTS.md\n\nobey\n\n## SOUL.md\n\nbe kind\n")));
    ck_assert(view_eq(prompt_text(p, V("whoever"), 1000), v));
    put("SOUL.md", "be quick and kind\n");
    ck_assert(holds(prompt_text(p, V("main"), 2000), "be quick"));
    take("SOUL.md");
    ck_assert(!holds(prompt_text(p, V("main"), 3000), "SOUL"));
    /* links, pipes and folders are none */
    (void)snprintf(path, sizeof(path), "%s/SOUL.md", dir);
    ck_assert_int_eq(symlink("/etc/passwd", path), 0);
    (void)snprintf(path, sizeof(path), "%s/TOOLS.md", dir);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    (void)snprintf(path, sizeof(path), "%s/MEMORY.md", dir);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    v = prompt_text(p, V("main"), 4000);
    ck_assert(holds(v, "obey") && !holds(v, "root:") && !holds(v, "SOUL") && !holds(v, "TOOLS"));
    /* an agent with a folder of its own, which comes later */
    ck_assert_uint_eq(prompt_text(p, V("sub"), 4000).n, 0);
    (void)snprintf(path, sizeof(path), "%s/sub", dir);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    put("sub/AGENTS.md", "dive");
    v = prompt_text(p, V("sub"), 5000);
    ck_assert(holds(v, "dive") && !holds(v, "obey"));
    ck_assert(holds(prompt_text(p, V("rel"), 5000), "obey")); /* only whole paths */
    prompt_free(&p);
    p = prompt(",\"contextInjection\":\"never\"");
    ck_assert_uint_eq(prompt_text(p, V("main"), 0).n, 0);
    prompt_free(&p);
    take("SOUL.md");
    take("TOOLS.md");
    take("MEMORY.md");
    take("sub/AGENTS.md");
    take("sub");
    take("AGENTS.md");
    take("USER.md");
    take("notes.md");
    (void)rmdir(dir);
}
END_TEST

static const struct {
    const char *name;
    size_t bytes; /* of AGENTS.md */
    bool cut, soul;
} limits[] = {
    {"under", 99, false, true},
    {"at", 100, false, true},
    {"over", 102, true, true},
    {"far over", 5001, true, true},
    {"largest", PROMPT_FILE_MAX - 1, true, true},
    {"no note", PROMPT_FILE_MAX + 1, false, true},
};

START_TEST(test_limits)
{
    struct prompt *p;
    struct view v;
    char *text = mem_alloc(limits[_i].bytes + 1);

    ck_assert_ptr_nonnull(mkdtemp(dir));
    for (size_t i = 0; i < limits[_i].bytes; i++)
        text[i] = "\xe2\x82\xac"[i % 3];
    put("AGENTS.md", text);
    put("SOUL.md", "0123456789012345678901234567890123456789");
    p = prompt(",\"bootstrapMaxChars\":100,\"bootstrapTotalMaxChars\":140");
    v = prompt_text(p, V("main"), 0);
    ck_assert_msg(holds(v, "left out here") == limits[_i].cut, "%s: %.*s", limits[_i].name,
                  VIEW_FMT(v));
    ck_assert_msg(holds(v, "SOUL.md") == limits[_i].soul, "%s", limits[_i].name);
    ck_assert_msg(v.n < 600, "%s: %zu", limits[_i].name, v.n);
    ck_assert_msg(limits[_i].bytes % 3 || utf8_valid(v), "%s", limits[_i].name);
    prompt_free(&p);
    take("AGENTS.md");
    take("SOUL.md");
    (void)rmdir(dir);
    mem_free(text);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_test(tc, test_files);
    tcase_add_loop_test(tc, test_limits, 0, (int)COUNT_OF(limits));
}

CK_MAIN("prompt")
