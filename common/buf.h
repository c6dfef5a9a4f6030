/*
 * common/buf.h - a byte buffer that grows to a ceiling and no further. Data is added at the end and
 * consumed from the front; consumed room is reused. A failed add is remembered (sticky), so that a
 * writer may check once at the end.
 */
#ifndef BUF_H
#define BUF_H

#include "err.h"
#include "view.h"

#include <stdbool.h>
#include <stdint.h>

struct buf {
    char *p;     /* start of the allocation */
    size_t off;  /* first live byte */
    size_t n;    /* live bytes */
    size_t cap;  /* allocation */
    size_t max;  /* ceiling for n */
    bool failed; /* an add did not fit or there was no memory; nothing is added after that */
    bool secret; /* wipe before memory is given back */
};

#define BUF_INIT(ceiling)                                                                          \
    {                                                                                              \
        .max = (ceiling)                                                                           \
    }

void buf_init(struct buf *b, size_t max);
void buf_fini(struct buf *b); /* frees; the buffer may be used again */
/* Empty it, keep the memory when it is at most keep bytes; clears the failed mark. */
void buf_reset(struct buf *b, size_t keep);

static inline struct view buf_view(const struct buf *b)
{
    return b->n ? view_of(b->p + b->off, b->n) : VIEW_EMPTY;
}

/* Room for n more bytes at the end, not yet counted; NULL when over the ceiling or out of memory
 * (marks failed). */
char *buf_room(struct buf *b, size_t n);
/* Count n bytes written into that room. */
void buf_added(struct buf *b, size_t n);
/* Bytes of room that buf_room gives without allocating. */
size_t buf_spare(const struct buf *b);
void buf_put(struct buf *b, const void *p, size_t n);
void buf_put_view(struct buf *b, struct view v);
void buf_put_str(struct buf *b, const char *s);
void buf_put_char(struct buf *b, char c);
void buf_put_u64(struct buf *b, uint64_t v);
/* v in decimal, written into room. */
enum { BUF_DECIMAL_MAX = 20 };
struct view buf_decimal(uint64_t v, char room[BUF_DECIMAL_MAX]);
void buf_put_i64(struct buf *b, int64_t v);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF(2, 3);
/* Drop n bytes from the front (n <= b->n). */
void buf_eat(struct buf *b, size_t n);
/* Cut to n bytes (n <= b->n). */
void buf_cut(struct buf *b, size_t n);
/* 0, or ERR_NOMEM / ERR_LIMIT when an add had failed. */
int buf_check(const struct buf *b, struct err *e) MUST_USE;
/* Give memory back when it is empty and larger than keep bytes. */
void buf_trim(struct buf *b, size_t keep);

#endif
