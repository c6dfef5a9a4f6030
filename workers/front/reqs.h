/*
 * workers/front/reqs.h - requests under way at the hub: which connection asked, under which id, and
 * a copy of what was asked where it may have to be asked again. A number names a request once; it
 * never comes back within the life of the process.
 * Invariants: count <= REQS_MAX; bytes <= REQS_BYTES_MAX.
 */
#ifndef REQS_H
#define REQS_H

#include "err.h"
#include "list.h"
#include "view.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    REQS_MAX = 65536,                   /* a thousand connections at their limit of 64 */
    REQS_BYTES_MAX = 128 * 1024 * 1024, /* copies: four of the largest messages and change */
};

struct conn;

struct req {
    struct list link; /* of its connection, oldest first */
    struct conn *conn;
    uint64_t number;
    uint32_t id_n, method_n, params_n;
    bool copied; /* method and params are here */
    bool sent;   /* the hub has it */
    bool repeat; /* may be sent again */
    char text[]; /* id, then method, params */
};

struct reqs {
    struct req **slot; /* owned; by the low half of the number */
    uint32_t cap, count;
    uint32_t *free_slots; /* stack of free slots */
    uint32_t free_n;
    uint32_t generation;
    size_t bytes;
};

void reqs_fini(struct reqs *q);
/* A new request at the end of the connection's list. copy: keep method and params.
 * Errors: ERR_LIMIT too many or too much is under way, ERR_NOMEM. */
int reqs_add(struct reqs *q, struct list *of_conn, struct conn *c, struct view id,
             struct view method, struct view params, bool copy, struct req **out,
             struct err *e) MUST_USE;
/* NULL: no such request (its connection may be gone). */
struct req *reqs_get(const struct reqs *q, uint64_t number);
void reqs_del(struct reqs *q, struct req *r);

static inline struct view req_id(const struct req *r)
{
    return view_of(r->text, r->id_n);
}
static inline struct view req_method(const struct req *r)
{
    return view_of(r->text + r->id_n, r->method_n);
}
static inline struct view req_params(const struct req *r)
{
    return view_of(r->text + r->id_n + r->method_n, r->params_n);
}

#endif
