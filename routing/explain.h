/*
 * routing/explain.h - a route in words, for people: which binding won, and of the others why not.
 */
#ifndef EXPLAIN_H
#define EXPLAIN_H

#include "buf.h"
#include "route.h"

/* Sentences, one a line, into out. The route itself may have failed: then out says so too. Bindings
 * of other channels are only counted; of the rest at most EXPLAIN_ROWS_MAX are told.
 * Errors: those of the buffer. */
enum { EXPLAIN_ROWS_MAX = 200 };
int explain(const struct index *ix, const struct route_in *in, struct buf *out,
            struct err *e) MUST_USE;

#endif
