/*
 * routing/fold.h - lower case and trimming as the reference's language has them, into text of a
 * bounded length. Bytes that are not UTF-8 stay as they are. Not here: the final form of the Greek
 * sigma, which depends on what is around it (it becomes the usual one).
 */
#ifndef FOLD_H
#define FOLD_H

#include "view.h"

/* Text that is put together in a place of the caller's; what does not fit marks it. */
struct fold {
    char *p;
    size_t max, n;
    bool over;
};

static inline void fold_put(struct fold *t, struct view v)
{
    if (t->over || v.n > t->max - t->n) {
        t->over = true;
        return;
    }
    if (v.n)
        memcpy(t->p + t->n, v.p, v.n);
    t->n += v.n;
}
static inline struct view fold_view(const struct fold *t)
{
    return t->n ? view_of(t->p, t->n) : VIEW_EMPTY;
}
/* v in lower case. */
void fold_lower(struct fold *t, struct view v);

/* Without white space and line ends of all Unicode on both sides; VIEW_EMPTY when nothing is left.
 */
struct view fold_trim(struct view v);
/* Whether v is `lower` (at most 64 bytes of lower case) in some case. */
bool fold_eq(struct view v, struct view lower);

#endif
