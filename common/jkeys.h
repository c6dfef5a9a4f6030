/*
 * common/jkeys.h - finds the second key of a name in an object, for all objects that are open at
 * once while JSON is scanned. Small objects cost a few comparisons and no memory; from
 * JKEYS_DIRECT_MAX keys on, or with the first key that has escapes, one hash table shared by all
 * such objects of the text keeps the work linear whatever a stranger sends. Its seed is drawn anew
 * for every text. The number of keys is bounded by whoever scans.
 */
#ifndef JKEYS_H
#define JKEYS_H

#include "err.h"
#include "jstr.h"
#include "view.h"

enum { JKEYS_DIRECT_MAX = 16, JKEYS_LEVELS_MAX = 64 };

struct jkey {
    uint32_t off, n; /* what stands between the quotes, in the text */
    uint32_t hash;   /* only in the table */
    uint32_t object; /* only in the table: whose key, 0 = free slot */
};

/* One open object; zeroed when it opens, first = jkeys.top. */
struct jkeys_object {
    uint32_t first; /* of its keys on the stack */
    uint32_t id;    /* in the table; 0 as long as it is small */
};

struct jkeys {
    const char *text; /* borrowed */
    uint32_t top;     /* keys on the stack; set to object.first when an object closes */
    uint32_t objects, used, cap;
    struct jkey *table; /* owned */
    struct jstr_key seed;
    struct jkey stack[JKEYS_LEVELS_MAX * JKEYS_DIRECT_MAX]; /* left as it is by init */
};

void jkeys_init(struct jkeys *k, const char *text);
void jkeys_fini(struct jkeys *k);
/* Note a key of object o.
 * Errors: ERR_CONFLICT it is there already (e is not filled: only the scanner knows where),
 * ERR_NOMEM. */
int jkeys_add(struct jkeys *k, struct jkeys_object *o, struct view key, bool escaped,
              struct err *e) MUST_USE;

#endif
