/*
 * workers/agent/sse.h - server-sent events, cut out of a byte stream that may be split anywhere.
 * Trusts nothing: a line and an event are bounded, bytes are passed on as they came.
 * Not here: what an event means (the provider), when a stream may end (the reply).
 */
#ifndef SSE_H
#define SSE_H

#include "buf.h"

enum {
    SSE_LINE_MAX = 1 << 20,  /* the longest line any provider is known to send is a tenth of it */
    SSE_EVENT_MAX = 4 << 20, /* all data lines of one event together */
    SSE_NAME_MAX = 64,       /* longer names are cut: none that we know is half as long */
};

/* One event. The views are valid until the callback returns. A negative result stops the parser
 * and is what sse_feed returns. */
typedef int sse_event_fn(void *ctx, struct view name, struct view data, struct err *e);

struct sse {
    sse_event_fn *on_event;
    void *ctx;       /* borrowed */
    struct buf line; /* what has come of a line that is not whole yet */
    struct buf data; /* data lines of the event so far, joined by LF */
    char name[SSE_NAME_MAX];
    uint8_t name_len;
    bool has_data; /* an event without a data line is not dispatched */
    bool begun;    /* the first line is behind us: no byte order mark any more */
    bool skip_lf;  /* the last byte was CR: a LF now belongs to it */
};

void sse_init(struct sse *s, sse_event_fn *on_event, void *ctx);
void sse_fini(struct sse *s);
/* Errors: ERR_LIMIT a line or an event is too long, ERR_NOMEM, or what on_event returned. After an
 * error the parser must not be fed again.
 * Source: HTML standard, "Server-sent events", parsing; comments are keep-alives and are dropped.
 */
int sse_feed(struct sse *s, struct view piece, struct err *e) MUST_USE;
/* The stream has ended as its transport says it should. An event that lacks only its blank line is
 * still dispatched, for servers that forget it.  Errors: as sse_feed. */
int sse_end(struct sse *s, struct err *e) MUST_USE;

#endif
