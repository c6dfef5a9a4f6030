/* routing/index_int.h - the index from inside: index.c, index_bind.c. */
#ifndef INDEX_INT_H
#define INDEX_INT_H

#include "index.h"
#include "mem.h"

struct link {
    struct view id, name; /* of one entry: lower case; whom it means */
};

struct index {
    struct binding *rows; /* owned */
    uint32_t rows_n;
    struct view *roles; /* owned */
    uint32_t roles_n;
    struct tab by_key;
    uint16_t has[BY_COUNT];
    struct id *agents; /* owned */
    uint32_t agents_n;
    struct tab by_agent;
    bool listed;      /* there is a roster */
    bool marked_more; /* more than one default */
    bool has_default;
    struct id default_agent;
    struct link *links; /* owned */
    uint32_t links_n;
    struct tab by_link;
    struct view main_key;
    enum dm_scope dm;
    enum group_scope group;
    struct fold pool; /* owned: every text of above */
};

/* A copy in the pool, of room that index_new counted before. */
struct view index_keep(struct index *ix, struct view v);
/* Room the bindings' texts take at most, and how many roles they have. Errors: ERR_LIMIT. */
int index_bind_size(const json_t *bindings, size_t *text, size_t *roles, struct err *e) MUST_USE;
int index_bind(struct index *ix, const json_t *bindings, size_t roles, struct err *e) MUST_USE;

#endif
