/* tests/chaos/chaos_store.c - opens a store (a copy), checks every record, opens it again: then
 * nothing may be left to repair. Exit code 0 and a line, or the reason. */
#include "clock.h"
#include "store.h"

#include <stdio.h>

static int look(const char *path, struct store_stats *st, struct err *e)
{
    struct store *s = NULL;
    int r;

    if ((r = store_open(&s, path, NULL, e)) == 0 && (r = store_check(s, e)) == 0)
        r = store_stats(s, st, e);
    store_close(&s);
    return r;
}

int main(int argc, char **argv)
{
    struct store_stats first = {0}, second = {0};
    struct err e = ERR_INIT;

    if (argc != 2) {
        (void)fprintf(stderr, "usage: chaos-store STORE\n");
        return 2;
    }
    if (look(argv[1], &first, &e) < 0 || look(argv[1], &second, &e) < 0) {
        (void)printf("%s\n", e.text);
        return 1;
    }
    if (second.checkpoints) {
        (void)printf("the second open repaired again\n");
        return 1;
    }
    (void)printf("%llu sessions, %llu messages, %llu runs\n", (unsigned long long)second.sessions,
                 (unsigned long long)second.messages, (unsigned long long)second.runs);
    return 0;
}
