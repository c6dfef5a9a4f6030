/*
 * scripts/gen_docs.c - writes docs/configuration.md from conf/keys.def.
 * gen-docs FILE writes it; gen-docs --check FILE exits 1 when it is not up to date. gen-docs
 * --schema prints the schema as C for the hub, which knows nothing else of the table.
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

static int print_schema(void)
{
    struct buf b = BUF_INIT(DOC_MAX);
    struct err e = ERR_INIT;
    struct view v;

    if (config_schema(&b, &e) < 0) {
        (void)fprintf(stderr, "gen-docs: %s\n", e.text);
        return 1;
    }
    v = buf_view(&b);
    (void)printf("static const char config_schema_text[%zu] = {", v.n);
    for (size_t i = 0; i < v.n; i++)
        (void)printf("%s%d,", i % 32 ? "" : "\n", (signed char)v.p[i]);
    (void)printf("};\n");
    buf_fini(&b);
    return 0;
}

int main(int argc, char **argv)
{
    bool only_check = argc == 3 && strcmp(argv[1], "--check") == 0;
    struct buf b = BUF_INIT(DOC_MAX);
    struct err e = ERR_INIT;
    int r;

    if (argc == 2 && strcmp(argv[1], "--schema") == 0)
        return print_schema();
    if (argc != 2 && !only_check) {
        (void)fprintf(stderr, "usage: gen-docs [--check] FILE | --schema\n");
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
