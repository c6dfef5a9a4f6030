/*
 * workers/fetch/get.h - files got over HTTP from addresses that strangers chose, several at once,
 * each into a sealed memory file. Nothing that comes is believed: size is counted while it is read
 * and unpacked, time is limited as a whole and by the pace, and the address that is judged is the
 * one that is connected to, also behind each redirect. No credential goes out, no cookie is kept,
 * no proxy of the environment is asked.
 * Invariant: every get that was started ends with one call of on_got, unless it was cancelled.
 */
#ifndef GET_H
#define GET_H

#include "loop.h"
#include "view.h"

enum {
    GET_REDIRECTS_MAX = 5,
    GET_HEADERS_MAX = 64 << 10, /* of one answer */
    GET_PORTS_MAX = 32,
    GET_HOSTS_MAX = 64,
    GET_SLOW_BYTES = 512, /* a second; below for GET_SLOW_S it is given up */
    GET_SLOW_S = 15,
};

/* What may be asked at all. */
struct get_rules {
    const char *hosts[GET_HOSTS_MAX]; /* may have an address that is not a public one; borrowed */
    unsigned host_n;
    uint16_t ports[GET_PORTS_MAX];
    unsigned port_n;
};

enum get_end {
    GET_OK,
    GET_REFUSED, /* by us, for good: no public address, a port that is not listed, not http(s) */
    GET_NEVER,   /* it says no, is empty or larger than asked for */
    GET_LATER,   /* no name, no connection, broken off, too slow, 5xx: it may work later */
};

/* Valid inside on_got; fd is taken by setting it to -1. */
struct get_result {
    enum get_end end;
    int fd;            /* sealed; GET_OK only */
    struct view type;  /* as the answer says */
    const char *name;  /* may be "" */
    const char *error; /* a sentence, without the address */
};

struct gets;
typedef void on_got(void *ctx, uint64_t req, struct get_result *r);

/* Loads libcurl: before the sandbox. rules: borrowed. */
int gets_new(struct gets **out, struct loop *l, const struct get_rules *rules, on_got *on,
             void *ctx, struct err *e) MUST_USE;
void gets_free(struct gets **g);
/* Not answered from inside.  Errors: ERR_NOMEM, ERR_SYS. */
int gets_start(struct gets *g, uint64_t req, struct view url, uint64_t max_bytes,
               uint32_t timeout_ms, struct err *e) MUST_USE;
void gets_cancel(struct gets *g, uint64_t req);
void gets_cancel_all(struct gets *g);
unsigned gets_active(const struct gets *g);

#endif
