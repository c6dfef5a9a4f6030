/*
 * workers/front/xchg.h - one HTTP request and its answer, whichever version of HTTP carries them:
 * which route it is, who may ask, its body, its answer from the front itself, from a file, or from
 * the hub. Not here: bytes on the wire (http_conn.c), what a request means (the hub).
 * States: IDLE -> ASKED (the hub judges) -> BODY (it comes) -> GIVEN (the hub works) -> PARTS (the
 * answer has begun) -> IDLE. An answer is told to the carrier once: by answer alone, or by answer
 * with parts and then part until the last or broken one.
 */
#ifndef XCHG_H
#define XCHG_H

#include "conn.h"
#include "routes.h"

enum { XCHG_PART = 64 * 1024 }; /* the largest piece of a file that a carrier takes at once */

enum xchg_state { XCHG_IDLE, XCHG_ASKED, XCHG_BODY, XCHG_GIVEN, XCHG_PARTS };

struct xchg;
struct site;

/* The version of HTTP that carries it. The exchange may be gone when one of these returns. */
struct xchg_ops {
    /* A whole answer, or the head of one in parts. */
    void (*answer)(struct xchg *x, struct http_answer *a);
    void (*part)(struct xchg *x, struct view bytes, unsigned how); /* HTTP_PART_* */
    void (*go)(struct xchg *x);                /* take the body: it is allowed */
    size_t (*unsent)(const struct xchg *x);    /* bytes that the client has not taken yet */
    void (*wait)(struct xchg *x, uint64_t ms); /* the hub has it, for so long */
    size_t piece;                              /* of a file, handed over at once */
};

struct xchg {
    struct conn *c;             /* borrowed */
    const struct xchg_ops *ops; /* borrowed */
    enum xchg_state state;
    const struct route *route;
    uint64_t number; /* at the hub; 0: it does not know it */
    uint64_t length; /* of the body to come; HTTP_UNKNOWN */
    bool head;       /* HEAD: the answer has no body */
    bool has_body, encoded, expect;
    struct buf content; /* the body so far */
    size_t counted;     /* of it in the front's budget for bodies */
    size_t owed;        /* bytes of parts that were taken and not told */
    struct buf lines;   /* header lines of whatever answers it */
    size_t id_at, id_n; /* of them: what it is called; 0: nothing */
    bool allowed;       /* the page of another origin that asks may read the answer */
    struct view file;   /* what is left of a file; into site */
    struct site *site;  /* holds it; referenced */
};

void xchg_init(struct xchg *x, struct conn *c, const struct xchg_ops *ops);
/* It is over, or the client left: the hub is told when it still works on it. Ready for another. */
void xchg_reset(struct xchg *x);
/* A request whose head is complete; an answer or ops->go follows, perhaps before this returns. */
void xchg_begin(struct xchg *x, const struct http_req *q);
/* After ops->go: the carrier added to x->content; false: too much, and an answer was given. */
bool xchg_body_more(struct xchg *x);
void xchg_body_done(struct xchg *x);
/* The hub has it and the client left it: nobody needs the answer. */
bool xchg_at_hub(const struct xchg *x);
/* The client has taken bytes: go on with a file, tell the hub. */
void xchg_taken(struct xchg *x);
/* The hub went away, or did not judge in time. */
void xchg_unanswered(struct xchg *x);
/* Plain text, and nothing more is read of what the request brought. */
void xchg_refuse(struct xchg *x, unsigned status, const char *text, const char *extra);

/* Whether a request may not even be looked at: a foreign Host, headers of a proxy that nobody
 * trusts. *a is the answer then. Otherwise *client, when a proxy asks for somebody
 * (*who != PROXY_DIRECT). */
bool xchg_barred(struct conn *c, const struct http_req *q, struct http_answer *a,
                 enum proxy_answer *who, struct ip *client);
/* A header's value, or empty. name in lower case. */
struct view xchg_header(const struct http_req *q, struct view name);

/* -- the hub's answers (the carrier finds the exchange) -- */
void xchg_go(struct xchg *x);
void xchg_answer(struct xchg *x, const struct ipc_http_answer *m);
void xchg_part(struct xchg *x, struct view part, unsigned how);

#endif
