/*
 * common/trace.h - traceparent (W3C Trace Context, version 00): what ties what several programs do
 * for one cause together. Read where it comes from outside, continued by whoever does a part of it.
 */
#ifndef TRACE_H
#define TRACE_H

#include "view.h"

#include <stdbool.h>
#include <stdint.h>

enum { TRACE_LEN = 55 };

/* version-trace-parent-flags in lower case hex, neither id all zero; else empty. */
struct view trace_read(struct view v);
/* The same trace under a span of its own; span is not 0. from: trace_read's, or empty: a trace of
 * its own made of the 16 bytes at id, sampled. */
void trace_child(struct view from, const unsigned char id[16], uint64_t span,
                 char out[TRACE_LEN + 1]);
/* The 32 digits that all of it has in common. */
static inline struct view trace_id(struct view v)
{
    return v.n == TRACE_LEN ? view_of(v.p + 3, 32) : view_of(v.p, 0);
}

#endif
