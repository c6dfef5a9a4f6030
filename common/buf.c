#include "buf.h"

#include "mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { BUF_FIRST = 256 };

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

static void release(struct buf *b)
{
    if (b->secret)
        mem_wipe(b->p, b->cap);
    mem_free(b->p);
    b->p = NULL;
    b->cap = 0;
}

void buf_fini(struct buf *b)
{
    release(b);
    b->off = b->n = 0;
    b->failed = false;
}

void buf_reset(struct buf *b, size_t keep)
{
    if (b->secret && b->p)
        mem_wipe(b->p, b->cap);
    b->off = b->n = 0;
    b->failed = false;
    if (b->cap > keep)
        release(b);
}

void buf_trim(struct buf *b, size_t keep)
{
    if (b->n == 0 && b->cap > keep) {
        release(b);
        b->off = 0;
    }
}

static bool grow(struct buf *b, size_t need)
{
    size_t cap = b->cap ? b->cap : BUF_FIRST;
    char *p;

    while (cap < need)
        if (__builtin_mul_overflow(cap, 2, &cap))
            return false;
    if (b->secret) { /* realloc would leave a copy behind */
        p = mem_alloc(cap);
        if (!p)
            return false;
        if (b->n)
            memcpy(p, b->p + b->off, b->n);
        release(b);
        b->off = 0;
    } else {
        if (b->off) {
            memmove(b->p, b->p + b->off, b->n);
            b->off = 0;
        }
        p = mem_realloc(b->p, cap);
        if (!p)
            return false;
    }
    b->p = p;
    b->cap = cap;
    return true;
}

char *buf_room(struct buf *b, size_t n)
{
    if (b->failed)
        return NULL;
    if (n > b->max - b->n) {
        b->failed = true;
        return NULL;
    }
    if (n > b->cap - b->off - b->n) {
        if (b->off && b->n + n <= b->cap && b->off >= b->n) { /* cheap move */
            memcpy(b->p, b->p + b->off, b->n);
            if (b->secret)
                mem_wipe(b->p + b->off, b->n);
            b->off = 0;
        } else if (!grow(b, b->n + n)) {
            b->failed = true;
            return NULL;
        }
    }
    return b->p + b->off + b->n;
}

void buf_added(struct buf *b, size_t n)
{
    b->n += n;
}

size_t buf_spare(const struct buf *b)
{
    return b->cap - b->off - b->n;
}

void buf_put(struct buf *b, const void *p, size_t n)
{
    char *to;

    if (n == 0 || !(to = buf_room(b, n)))
        return;
    memcpy(to, p, n);
    b->n += n;
}

void buf_put_view(struct buf *b, struct view v)
{
    buf_put(b, v.p, v.n);
}

void buf_put_str(struct buf *b, const char *s)
{
    buf_put(b, s, strlen(s));
}

void buf_put_char(struct buf *b, char c)
{
    buf_put(b, &c, 1);
}

struct view buf_decimal(uint64_t v, char room[BUF_DECIMAL_MAX])
{
    /* two digits a division: long lists are mostly times */
    static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                                "25262728293031323334353637383940414243444546474849"
                                "50515253545556575859606162636465666768697071727374"
                                "75767778798081828384858687888990919293949596979899";
    size_t i = BUF_DECIMAL_MAX;

    for (; v >= 10; v /= 100) {
        room[--i] = pairs[v % 100 * 2 + 1];
        room[--i] = pairs[v % 100 * 2];
    }
    if (v || i == BUF_DECIMAL_MAX)
        room[--i] = (char)('0' + v);
    return view_of(room + i, BUF_DECIMAL_MAX - i);
}

void buf_put_u64(struct buf *b, uint64_t v)
{
    char t[BUF_DECIMAL_MAX];

    buf_put_view(b, buf_decimal(v, t));
}

void buf_put_i64(struct buf *b, int64_t v)
{
    if (v < 0) {
        buf_put_char(b, '-');
        buf_put_u64(b, (uint64_t)0 - (uint64_t)v);
    } else {
        buf_put_u64(b, (uint64_t)v);
    }
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    char *to;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0 || !(to = buf_room(b, (size_t)n + 1))) {
        b->failed = true;
        return;
    }
    va_start(ap, fmt);
    (void)vsnprintf(to, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->n += (size_t)n;
}

void buf_eat(struct buf *b, size_t n)
{
    b->off += n;
    b->n -= n;
    if (b->n == 0)
        b->off = 0;
}

void buf_cut(struct buf *b, size_t n)
{
    b->n = n;
}

int buf_check(const struct buf *b, struct err *e)
{
    if (!b->failed)
        return 0;
    return err_set(e, ERR_LIMIT, "buffer full or out of memory: %zu bytes, limit %zu", b->n,
                   b->max);
}
