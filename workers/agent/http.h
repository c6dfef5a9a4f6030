/*
 * workers/agent/http.h - POST requests with streamed answers, many at once on the event loop.
 * Trusts nothing that comes back: headers, body and time are bounded. No redirects, no proxies, no
 * cookies, no compression, http and https only, certificates verified; connections are kept for the
 * next request. Not here: what the bytes mean.
 */
#ifndef HTTP_H
#define HTTP_H

#include "buf.h"
#include "fail.h"
#include "loop.h"

enum {
    HTTP_HEADERS_MAX = 64 << 10, /* of one answer */
    HTTP_ERROR_MAX = 64 << 10,   /* an error's body is kept this far */
    HTTP_BODY_MAX = 256 << 20,   /* of one stream, keep-alives included: 10 minutes at 400 KiB/s */
    HTTP_IDLE_CONNS_MAX = 16,    /* connections kept open */
    HTTP_LINES_MAX = 72,         /* request headers */
};

struct http;
struct http_call;

/* Borrowed for the duration of http_start, but what header lines and accept point to must outlive
 * the call (until it ends, is cancelled or released). */
struct http_request {
    const char *url;
    struct buf *body;         /* taken on success */
    const char *const *lines; /* "Name: value", never NULL inside */
    unsigned line_count;
    const char *accept; /* the only content type that is a stream */
    uint32_t connect_ms, first_byte_ms, idle_ms;
};

struct http_events {
    /* Bytes of a good answer (status 200). Called inside libcurl: no http_ function may be called
     * here. False: nothing more is wanted. */
    bool (*on_data)(void *ctx, struct view piece);
    /* The transfer is over; *call is gone. why NULL: the answer came whole, as the transport sees
     * it. Not called after http_cancel or http_release. */
    void (*on_end)(void *ctx, const struct failure *why);
};

/* Loads libcurl.  Errors: ERR_SYS. */
int http_new(struct http **out, struct loop *l, struct err *e) MUST_USE;
void http_free(struct http **h); /* cancels everything */
/* Owns: takes the body on success. *out is valid until on_end, http_cancel or http_release.
 * Errors: ERR_INVALID url or too many lines, ERR_NOMEM. */
int http_start(struct http *h, const struct http_request *q, const struct http_events *on,
               void *ctx, struct http_call **out, struct err *e) MUST_USE;
/* Closes the transfer at once; no callback follows. */
void http_cancel(struct http_call **c);
/* All that was wanted has come: as http_cancel, but the transfer may end by itself within a second,
 * so that its connection can be used again. */
void http_release(struct http_call **c);
unsigned http_active(const struct http *h);
/* Give back what only waits for the next request: kept handles. Connections stay. */
void http_trim(struct http *h);

#endif
