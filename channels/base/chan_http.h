/*
 * channels/base/chan_http.h - requests to the platform over HTTP(S), many at once on the loop,
 * through libcurl. Certificates are always verified, answers are bounded while they are read, no
 * proxies of the environment, no cookies, no compression. Addresses that a stranger chose (foreign)
 * reach no private network: the address that is judged is the one that is connected to, also behind
 * each redirect. Needs CHANNEL_NEEDS_HTTP. URLs are never logged: tokens stand in them.
 */
#ifndef CHAN_HTTP_H
#define CHAN_HTTP_H

#include "channel.h"

enum {
    CHAN_HTTP_CALLS_MAX = 64,
    CHAN_HTTP_HEADERS_MAX = 64 << 10, /* of one answer */
    CHAN_HTTP_REDIRECTS_MAX = 5,
};

struct chan_http_call;

struct chan_http_part { /* of a multipart/form-data body */
    const char *name;
    struct view value;
    const char *filename, *type; /* NULL: a plain field */
    int fd;                      /* of a file (filename), from its beginning, instead of value */
    uint64_t bytes;              /* of fd; 0: value counts */
};

/* All of it is copied, but for the descriptors of parts: they have to stay until on_end. */
struct chan_http_request {
    const char *method; /* "GET", "POST", "PUT", ... */
    const char *url;
    const char *const *headers; /* "Name: value", NULL-ended; may be NULL */
    const char *type;           /* of body; NULL: application/json */
    struct view body;
    const struct chan_http_part *parts; /* instead of body */
    unsigned part_n;
    uint32_t connect_ms; /* 0: 10 s */
    uint32_t timeout_ms; /* for the whole of it; 0: no limit (streams) */
    uint32_t idle_ms;    /* without a byte of ours or of the answer; 0: timeout_ms */
    size_t max_bytes;    /* of the answer's body */
    bool foreign;
    /* The answer as it comes instead of as a whole (status 200 only). false: enough. No chan_http
     * function may be called from it. */
    bool (*on_data)(void *ctx, struct view piece);
};

enum chan_http_end {
    CHAN_HTTP_ANSWERED,
    CHAN_HTTP_NOT_SENT,  /* no connection, no name, TLS refused, not all of a file was sent: nothing
                            can  have come of it */
    CHAN_HTTP_NO_ANSWER, /* the request may have arrived */
    CHAN_HTTP_TOO_LARGE,
    CHAN_HTTP_REFUSED, /* by us: a private address, too many redirects */
};

/* Valid inside on_end. */
struct chan_http_answer {
    enum chan_http_end end;
    unsigned status;
    struct view body, type, headers; /* headers: as received */
    uint32_t retry_after_ms;
    const char *error; /* a sentence without URL */
};

typedef void chan_http_done(void *ctx, const struct chan_http_answer *a);

/* prepare only: every request of this account goes through this proxy; its port is opened (and no
 * other has to be). Requests to a stranger's addresses are refused then: nobody could judge them.
 * Errors: ERR_INVALID, ERR_NOMEM, channel_port's. */
int chan_http_proxy(struct channel *c, struct view url, struct err *e) MUST_USE;
/* *out: for chan_http_cancel, until on_end. May be NULL.
 * Errors: ERR_LIMIT too many at once or URL too long, ERR_INVALID, ERR_NOMEM. */
int chan_http(struct channel *c, const struct chan_http_request *q, chan_http_done *on_end,
              void *ctx, struct chan_http_call **out, struct err *e) MUST_USE;
void chan_http_cancel(struct chan_http_call **call); /* no callback follows */
struct view chan_http_header(const struct chan_http_answer *a, const char *name);
/* The same among lines "Name: value". */
struct view chan_header(struct view lines, const char *name);
/* The usual meaning for a send: 2xx sent, 408 425 429 5xx transient, other statuses permanent; no
 * answer unknown. Error texts: the platform fills what it knows better. */
void chan_http_result(const struct chan_http_answer *a, struct channel_result *out);

/* main only: loads libcurl. */
int chan_http_init(struct channel *c, struct err *e) MUST_USE;
void chan_http_fini(struct channel *c);

#endif
