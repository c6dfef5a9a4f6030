#include "lines.h"

#include "rand.h"

#include <stdio.h>

void lines_make(struct lines *out, const char *const *own, unsigned count, struct view trace)
{
    static const unsigned char none[16];
    char child[TRACE_LEN + 1];
    uint64_t span = rand_u64();

    out->count = 0;
    while (out->count < count && out->count < HTTP_LINES_MAX) {
        out->line[out->count] = own[out->count];
        out->count++;
    }
    if (!trace.n || out->count + 1 >= HTTP_LINES_MAX)
        return; /* as many lines as there may be: the request matters more */
    trace_child(trace, none, span ? span : 1, child);
    (void)snprintf(out->trace, sizeof(out->trace), "traceparent: %s", child);
    out->line[out->count++] = out->trace;
}
