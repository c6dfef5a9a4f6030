/*
 * workers/hub/conn.h - connections that said hello: identity (sealed, made only by auth.c),
 * subscriptions, tickets.
 */
#ifndef CONN_H
#define CONN_H

#include "credential.h"
#include "hub.h"
#include "msg.h"

enum conn_role { CONN_OPERATOR, CONN_NODE };

enum { CONN_CAPS_MAX = 32, CONN_SUBS_MAX = 64 };

enum conn_cap {
    CAP_TOOL_EVENTS = 1 << 0,
    CAP_APPROVALS = 1 << 1,
    CAP_INLINE_WIDGETS = 1 << 2,
    CAP_AGENT_KIND = 1 << 3,
    CAP_SESSION_SCOPED_EVENTS = 1 << 4,
};

enum { IDENTITY_PRINT = 8 };

/* Who somebody is. Only auth.c fills one; everything else reads. */
struct identity {
    enum conn_role role;
    unsigned scopes;        /* granted, expanded */
    unsigned scopes_listed; /* granted, as the hello lists them */
    char method[24];        /* none, token, ... */
    char client_id[40];
    char client_mode[16];
    char device_id[65]; /* "" without a device; its key was proved */
    bool paired;        /* in as that device: gone when it is removed */
    enum credential by;
    unsigned char print[IDENTITY_PRINT]; /* of the credential (standing.h) */
};

struct conn {
    uint64_t id;
    unsigned front; /* instance */
    struct identity who;
    unsigned protocol; /* 4, or 3 for a client of that era (protocol, 11) */
    unsigned caps;     /* CAP_* */
    unsigned audience; /* AUD_* of msg.h, derived from who, caps and subscriptions */
    char conn_uuid[37];
    char peer[64];
    bool local;
    char *listed_key;  /* who it is in the presence list (device, instance or connection); NULL: not
                          listed. Owned */
    char *base_url;    /* where it reached us, for its canvas's address; NULL: unknown. Owned */
    int64_t canvas_ms; /* when its ticket was used last; wall clock */
    char *listed;      /* its entry there: JSON members without braces, reason and ts. Owned */
    bool sub_sessions; /* sessions.subscribe */
    char *sub_keys[CONN_SUBS_MAX]; /* sessions.messages.subscribe: full session keys, owned */
    unsigned sub_count;
    unsigned bad_role_calls;
    struct conn *next; /* hash chain */
};

enum { CONNS_MAX = 65536 }; /* some 1 KiB each; the supervisor's own budget is lower */

int conns_open(struct hub *h, struct err *e) MUST_USE;
void conns_close(struct hub *h);
unsigned conns_count(const struct hub *h);
/* Those with cap session-scoped-events. */
unsigned conns_scoped(const struct hub *h);
/* Those that speak protocol 3. */
unsigned conns_old(const struct hub *h);
/* A zeroed connection that nobody knows yet. */
int conn_new(struct conn **out, unsigned front, uint64_t id, struct err *e) MUST_USE;
void conn_free(struct conn **c);
/* Takes *c on success: audience computed, presence told.  Errors: ERR_LIMIT CONNS_MAX, ERR_CONFLICT
 * the id is known. */
int conn_add(struct hub *h, struct conn **c, struct err *e) MUST_USE;
void conn_remove(struct hub *h, unsigned front, uint64_t id);
/* A front is gone and its connections with it. */
void conns_front_gone(struct hub *h, unsigned front);
/* What the front may show to the next hub. Appended to out. */
int conn_ticket(struct hub *h, const struct conn *c, struct buf *out, struct err *e) MUST_USE;
unsigned conn_audience(const struct conn *c);
/* ipc conn_resume: the ticket speaks for the connection, or it is closed. */
int conn_on_resume(struct hub *h, struct link *from, struct ipc_conn_resume *m, struct err *e);

struct conn *conn_find(struct hub *h, unsigned front, uint64_t id);
/* After a change of caps or subscriptions: new audience, new ticket to the front. */
int conn_update(struct hub *h, struct conn *c, struct err *e) MUST_USE;
/* For every connection; fn returns false to stop. */
void conn_each(struct hub *h, bool (*fn)(void *ctx, struct conn *c), void *ctx);

#endif
