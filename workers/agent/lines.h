/* workers/agent/lines.h - the header lines of one request to a provider: the model's own, and the
 * trace that the request is a part of (common/trace.h). */
#ifndef LINES_H
#define LINES_H

#include "http.h"
#include "trace.h"

struct lines {
    const char *line[HTTP_LINES_MAX];
    unsigned count;
    char trace[sizeof("traceparent: ") + TRACE_LEN];
};

/* own: borrowed as long as *out is used. trace: as trace_read gives it; empty: none is said. */
void lines_make(struct lines *out, const char *const *own, unsigned count, struct view trace);

#endif
