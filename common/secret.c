#include "secret.h"

#include "mem.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static size_t mapped(size_t n)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    return (n + page) / page * page; /* at least one byte more than n */
}

int secret_set(struct secret *s, struct view v, struct err *e)
{
    size_t len = mapped(v.n);
    void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        return err_sys(e, "memory for a secret");
    (void)madvise(p, len, MADV_DONTDUMP); /* not on every kernel; core files are off anyway */
    (void)madvise(p, len, MADV_DONTFORK);
    if (v.n)
        memcpy(p, v.p, v.n);
    secret_fini(s);
    s->p = p;
    s->n = v.n;
    return 0;
}

void secret_fini(struct secret *s)
{
    if (s->p) {
        mem_wipe(s->p, s->n);
        (void)munmap(s->p, mapped(s->n));
    }
    s->p = NULL;
    s->n = 0;
}

bool secret_same(const void *a, const void *b, size_t n)
{
    const volatile unsigned char *x = a, *y = b;
    unsigned char diff = 0;

    for (size_t i = 0; i < n; i++)
        diff = (unsigned char)(diff | (x[i] ^ y[i]));
    return diff == 0;
}

bool secret_eq(const struct secret *s, struct view v)
{
    unsigned char len_diff = s->n != v.n;
    volatile unsigned char diff = 0;

    if (!s->p || s->n == 0)
        return false;
    for (size_t i = 0; i < v.n;
         i++) /* runs over what the stranger sent: our length stays unknown */
        diff = (unsigned char)(diff | (s->p[i % s->n] ^ (unsigned char)v.p[i]));
    return !len_diff && diff == 0;
}
