/*
 * common/mem.h - the only door to the allocator: checked, zeroed, and failing on demand in tests.
 */
#ifndef MEM_H
#define MEM_H

#include "err.h"

#include <stddef.h>
#include <stdint.h>

#define KIB ((size_t)1024)
#define MIB ((size_t)1024 * 1024)
/* Move ownership out of a variable. */
#define TAKE(p)                                                                                    \
    ({                                                                                             \
        __typeof__(p) take_ = (p);                                                                 \
        (p) = NULL;                                                                                \
        take_;                                                                                     \
    })
#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* Zeroed memory; NULL when there is none (or the test says so). */
void *mem_alloc(size_t n) __attribute__((malloc)) MUST_USE;
void *mem_calloc(size_t count, size_t size) MUST_USE;
/* The added part is not zeroed. */
void *mem_realloc(void *p, size_t n) MUST_USE;
void mem_free(void *p);
/* A copy with a terminating NUL behind it; NULL when there is no memory. */
char *mem_dup(const void *p, size_t n) MUST_USE;
/* Overwrite in a way the compiler keeps. */
void mem_wipe(void *p, size_t n);

/* *out = zeroed memory of n bytes.  Errors: ERR_NOMEM. */
#define mem_new(out, n, e) mem_new_((void **)(out), (n), (e))
int mem_new_(void **out, size_t n, struct err *e) MUST_USE;

/* For libraries that take an allocator and are told secrets: as malloc(3) and its kin, without the
 * test hook, but what is given back is wiped. */
void *mem_wiping_malloc(size_t n) MUST_USE;
void *mem_wiping_calloc(size_t n, size_t size) MUST_USE;
void *mem_wiping_realloc(void *p, size_t n) MUST_USE;
char *mem_wiping_strdup(const char *s) MUST_USE;
void mem_wiping_free(void *p);

/* Test hook: the n-th allocation from now fails, and every one after it when `forever`; 0 switches
 * it off. */
void mem_fail_after(uint64_t n, int forever);
uint64_t mem_count(void);

#endif
