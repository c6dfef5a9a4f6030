/* ctl/cmd_logs.c - logs: the newest lines of all processes, those with a text in them, or as they
 * come. The gateway keeps them in memory; older ones are where its standard error goes. */
#include "ctl.h"

#include "mem.h"
#include "num.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LINES_MAX = 5000, LINES_SHOWN = 100, BYTES_MAX = 1000000, FOLLOW_US = 500 * 1000 };

struct ask {
    const char *grep;
    uint32_t limit;
    bool follow;
};

static bool holds(struct view line, struct view what)
{
    return what.n == 0 || (line.n && memmem(line.p, line.n, what.p, what.n));
}

/* What a person reads: time, level, process, and what is said. */
static void put_line(const struct ctl *c, struct view text)
{
    json_t *doc = c->json ? NULL : json_loadb(text.p, text.n, 0, NULL);
    struct view at = json_view(doc, "ts"), said = json_view(doc, "message");

    if (at.n && said.n) {
        ctl_put_text(at);
        (void)fputs("  ", stdout);
        ctl_put_text(json_view(doc, "level"));
        (void)fputs("  ", stdout);
        ctl_put_text(json_view(doc, "proc"));
        (void)fputs("  ", stdout);
        ctl_put_text(said);
    } else {
        ctl_put_text(view_trim(text));
    }
    (void)putchar('\n');
    json_decref(doc);
}

/* The newest limit of those that fit; all of them when it is 0. */
static void put_lines(const struct ctl *c, const json_t *lines, const struct ask *a, uint32_t limit)
{
    struct view what = view_str(a->grep ? a->grep : "");
    size_t n = 0, skip, i;
    json_t *line;

    json_array_foreach(lines, i, line) n += holds(json_view_of(line), what);
    skip = limit && n > limit ? n - limit : 0;
    json_array_foreach(lines, i, line)
    {
        if (!holds(json_view_of(line), what))
            continue;
        if (skip)
            skip--;
        else
            put_line(c, json_view_of(line));
    }
    (void)fflush(stdout);
}

static bool read_args(int argc, char **argv, struct ask *a)
{
    struct err e = ERR_INIT;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--follow") == 0)
            a->follow = true;
        else if (strcmp(argv[i], "--grep") == 0 && i + 1 < argc)
            a->grep = argv[++i];
        else if (strcmp(argv[i], "--limit") != 0 || i + 1 >= argc ||
                 num_u32(view_str(argv[++i]), 1, LINES_MAX, &a->limit, &e) < 0)
            return false;
    }
    return true;
}

int cmd_logs(struct ctl *c, int argc, char **argv)
{
    struct ask a = {.limit = LINES_SHOWN};
    struct client *cl;
    json_t *got;
    int64_t cursor = 0;
    bool first = true;

    if (!read_args(argc, argv, &a))
        return ctl_usage(argv[0]);
    if (!(cl = ctl_connect(c)))
        return 1;
    do {
        json_t *params = json_pack("{s:i, s:i}", "limit", LINES_MAX, "maxBytes", BYTES_MAX);

        if (!first && params && json_object_set_new(params, "cursor", json_integer(cursor)) < 0)
            break;
        if (!(got = ctl_call(cl, "logs.tail", params)))
            break;
        put_lines(c, json_object_get(got, "lines"), &a, first ? a.limit : 0);
        cursor = json_i64(got, "cursor", cursor);
        json_decref(got);
        first = false;
        if (a.follow)
            (void)usleep(FOLLOW_US);
    } while (a.follow);
    client_close(&cl);
    return first ? 1 : 0;
}
