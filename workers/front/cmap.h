/*
 * workers/front/cmap.h - finds a connection by the id that the supervisor gave it. Open addressing
 * with backward deletion, so that it never slows down with age. Owns no connections.
 */
#ifndef CMAP_H
#define CMAP_H

#include "err.h"

#include <stddef.h>
#include <stdint.h>

struct conn;

struct cmap_slot {
    uint64_t id;
    struct conn *conn; /* NULL: free */
};

struct cmap {
    struct cmap_slot *slot; /* owned */
    size_t cap, count;      /* cap: a power of two, or 0 */
};

void cmap_fini(struct cmap *m);
/* Errors: ERR_CONFLICT the id is there already, ERR_NOMEM. */
int cmap_put(struct cmap *m, uint64_t id, struct conn *c, struct err *e) MUST_USE;
struct conn *cmap_get(const struct cmap *m, uint64_t id); /* NULL: unknown */
void cmap_del(struct cmap *m, uint64_t id);
/* Walk: *at from 0 up; NULL at the end. The map must not change meanwhile. */
struct conn *cmap_next(const struct cmap *m, size_t *at);

#endif
