/*
 * common/secret.h - keys and tokens: compared in constant time, wiped when done, kept out of core
 * files. The struct has no branch in KV (log.h): logging one does not compile.
 */
#ifndef SECRET_H
#define SECRET_H

#include "err.h"
#include "view.h"

struct secret {
    unsigned char *p; /* owned; NULL when unset */
    size_t n;
};

/* Copies v into memory that core files leave out; an older value is wiped. Errors: ERR_NOMEM. */
int secret_set(struct secret *s, struct view v, struct err *e) MUST_USE;
void secret_fini(struct secret *s);
/* Constant time in the contents; an unset secret equals nothing. */
bool secret_eq(const struct secret *s, struct view v);
/* Constant time comparison of n bytes. */
bool secret_same(const void *a, const void *b, size_t n);

#endif
