/*
 * workers/hub/fetch.h - files from the network, which the hub does not have: asked of
 * openclaw-fetch, which the supervisor runs while there is something to ask. First come, first
 * served, FETCH_AT_ONCE at a time. In memory only: who asks is durable by itself, or gone with its
 * connection. Invariant: every fetch ends with one call of on_end, unless it was cancelled; one
 * whose process died or hung is asked for once more, a second death is its end.
 */
#ifndef FETCH_H
#define FETCH_H

#include "hub.h"

enum {
    FETCHES_MAX = 4096, /* wait or are under way; deliveries ask one after the other */
};

struct fetch;

/* Valid inside the callback. */
struct fetch_file {
    unsigned failed;        /* FETCH_* of msg.h, or 0: it is here */
    int fd;                 /* sealed memory file; taken by setting it to -1 */
    struct view type, name; /* as its server says: unproven */
    struct view error;      /* a sentence without the address */
};
typedef void fetch_end(void *ctx, struct fetch_file *f);

/* http and https only; what else there is to say against the address its process knows.
 * *out: for fetch_cancel, until on_end, which is not called from inside.
 * Errors: ERR_LIMIT too many, or an address too long. */
int fetch_start(struct hub *h, struct view url, fetch_end *on_end, void *ctx, struct fetch **out,
                struct err *e) MUST_USE;
void fetch_cancel(struct fetch **f); /* no callback follows */
/* gateway.fetch.maxMb */
uint64_t fetch_max_bytes(const struct hub *h);

int fetches_open(struct hub *h, struct err *e) MUST_USE;
void fetches_close(struct hub *h);
void fetches_on_peer(struct hub *h, struct link *l, bool up);
int fetches_on_file(struct hub *h, struct link *from, struct ipc_fetched *m, struct err *e);
int fetches_on_failed(struct hub *h, struct link *from, struct ipc_fetch_failed *m, struct err *e);

#endif
