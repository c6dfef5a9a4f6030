#include "mem.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

static uint64_t count, fail_at;
static int fail_forever;

void mem_fail_after(uint64_t n, int forever)
{
    fail_at = n ? count + n : 0;
    fail_forever = forever;
}

uint64_t mem_count(void)
{
    return count;
}

static int must_fail(void)
{
    count++;
    return fail_at && (count == fail_at || (fail_forever && count > fail_at));
}

void *mem_alloc(size_t n)
{
    return must_fail() ? NULL : calloc(1, n ? n : 1);
}

void *mem_calloc(size_t n, size_t size)
{
    return must_fail() ? NULL : calloc(n ? n : 1, size ? size : 1);
}

void *mem_realloc(void *p, size_t n)
{
    return must_fail() ? NULL : realloc(p, n ? n : 1);
}

void mem_free(void *p)
{
    free(p);
}

char *mem_dup(const void *p, size_t n)
{
    char *d = must_fail() ? NULL : malloc(n + 1);

    if (d) {
        if (n)
            memcpy(d, p, n);
        d[n] = 0;
    }
    return d;
}

void mem_wipe(void *p, size_t n)
{
    if (p && n)
        explicit_bzero(p, n);
}

int mem_new_(void **out, size_t n, struct err *e)
{
    void *p = mem_alloc(n);

    if (!p)
        return err_set(e, ERR_NOMEM, "out of memory (%zu bytes)", n);
    *out = p;
    return 0;
}

/* ---- for libraries that are told secrets ---- */

void *mem_wiping_malloc(size_t n)
{
    return malloc(n ? n : 1);
}

void *mem_wiping_calloc(size_t n, size_t size)
{
    return calloc(n, size);
}

void mem_wiping_free(void *p)
{
    if (p)
        mem_wipe(p, malloc_usable_size(p));
    free(p);
}

/* realloc(3) would leave a copy where it moved away from. */
void *mem_wiping_realloc(void *p, size_t n)
{
    size_t have = p ? malloc_usable_size(p) : 0;
    void *to;

    if (p && n <= have && n > have / 2)
        return p;
    to = mem_wiping_malloc(n);
    if (to && p) {
        memcpy(to, p, have < n ? have : n);
        mem_wiping_free(p);
    }
    return to;
}

char *mem_wiping_strdup(const char *s)
{
    size_t n = strlen(s) + 1;
    char *to = mem_wiping_malloc(n);

    if (to)
        memcpy(to, s, n);
    return to;
}
