/*
 * scripts/gen_docs.c - writes docs/configuration.md from conf/keys.def.
 * gen-docs FILE writes it; gen-docs --check FILE exits 1 when it is not up to date.
 */
#include "config.h"
#include "fd.h"

#include <stdio.h>

enum { DOC_MAX = 1024 * 1024 };

static int check(const char *path, struct view want, struct err *e)
{
    struct buf have = BUF_INIT(DOC_MAX);
    int r = fd_read_file(path, DOC_MAX, &have, e);

    if (r == 0 && !view_eq(buf_view(&have), want))
        r = err_set(e, ERR_CONFLICT, "%s is not what conf/keys.def says: run scripts/gen-docs",
                    path);
    buf_fini(&have);
    return r;
}

int main(int argc, char **argv)
{
    bool only_check = argc == 3 && strcmp(argv[1], "--check") == 0;
    struct buf b = BUF_INIT(DOC_MAX);
    struct err e = ERR_INIT;
    int r;

    if (argc != 2 && !only_check) {
        (void)fprintf(stderr, "usage: gen-docs [--check] FILE\n");
        return 2;
    }
    if ((r = config_docs(&b, &e)) == 0)
        r = only_check ? check(argv[2], buf_view(&b), &e)
                       : fd_write_file(argv[1], buf_view(&b), 0644, &e);
    if (r < 0)
        (void)fprintf(stderr, "gen-docs: %s\n", e.text);
    buf_fini(&b);
    return r < 0 ? 1 : 0;
}
