/*
 * workers/hub/http.h - HTTP requests that the hub answers: who asks is judged here and only here
 * (protocol, 10.2), counted like a connect; then the handler of its route runs with the whole body.
 * Answers go out behind the commit of the turn, as everything does. A wrong secret on this machine
 * is answered late. Not here: paths and methods (proto/routes.def), bytes (the front).
 *
 * A request lives until its last answer, or until its client or front is gone. Whoever keeps one
 * past its handler sets work: on_gone is the last word about it.
 */
#ifndef HTTP_H
#define HTTP_H

#include "hub.h"
#include "msg.h"
#include "routes.h"

enum {
    HTTP_REQUESTS_MAX = 8192, /* under way: as many streams as a hub can feed, and then some */
    HTTP_LATE_MAX = 256,      /* refusals that wait; more are told to come back later */
};

struct http;
struct http_request;

struct http_work {
    void (*on_gone)(struct http_request *r); /* its client left; r is gone when this returns */
    void (*on_room)(struct http_request *r); /* more of it may be sent again; may be NULL */
};

struct http_request {
    struct hub *hub;
    struct http_request *next, **at; /* of its bucket */
    uint64_t conn_id, number;
    unsigned front;
    const struct route *route;
    enum http_method method;
    uint64_t from_ns; /* when it came */
    unsigned status;  /* of its answer */
    bool local;       /* this machine asks for itself */
    bool going;       /* its body is on its way */
    bool begun;       /* the head of the answer has gone */
    bool by_ticket;   /* a ticket in its address let it in */
    unsigned scopes;  /* what who asks may do, expanded */
    /* text of the request; they live as long as it does */
    struct view peer, host, rest, query, headers, trace, id, origin;
    char *text; /* owned: of the above */
    size_t text_n;
    size_t in_air; /* bytes of parts that its client has not taken */
    struct loop_timer late;
    const struct http_work *work;
    void *user; /* of work */
};

/* The handler of a route: answers, now or later. body: valid until it returns. */
typedef void http_fn(struct http_request *r, struct view body);

int http_open(struct hub *h, struct err *e) MUST_USE;
void http_close(struct hub *h);
/* A front is gone and its requests with it. */
void http_front_gone(struct hub *h, unsigned front);
unsigned http_under_way(const struct hub *h);

/* -- ipc -- */
int http_on_ask(struct hub *h, struct link *from, struct ipc_http_ask *m, struct err *e);
int http_on_body(struct hub *h, struct link *from, struct ipc_http_body *m, struct err *e);
int http_on_gone(struct hub *h, struct link *from, const struct ipc_http_gone *m);
int http_on_taken(struct hub *h, struct link *from, const struct ipc_http_taken *m);

/* -- answering; r is gone after the whole answer, the last part or a broken one -- */
struct http_reply {
    unsigned status;
    const char *type;   /* NULL: no body */
    const char *fields; /* header lines with CRLF, or NULL */
    const char *policy; /* Content-Security-Policy, or NULL for the closed one */
    struct view body;
};
void http_reply(struct http_request *r, const struct http_reply *a);
void http_reply_json(struct http_request *r, unsigned status, struct view body);
void http_reply_text(struct http_request *r, unsigned status, const char *text);
/* {"error":{"message","type"[,"param"][,"code"]}}: what OpenAI's clients expect. */
void http_reply_error(struct http_request *r, unsigned status, const char *type,
                      struct view message);
/* An answer in parts: its head, then parts while there is room, then how it ends. */
void http_begin(struct http_request *r, const struct http_reply *a);
size_t http_room(const struct http_request *r);
void http_part(struct http_request *r, struct view part);
void http_end(struct http_request *r, struct view part);
void http_break(struct http_request *r);

/* A device's token, with r->scopes then: where something is only read. key, waits: who is counted,
 * as in door_try. */
bool http_by_device(struct http_request *r, struct view key, bool waits, struct view credential);
/* Of a request below hooks.path: it has its answer when this is false. */
bool http_hook_judge(struct http_request *r, struct view credential);
/* Of a request for the canvas: whether a ticket in its address lets it in. */
bool http_by_ticket(struct http_request *r);

/* Of a request for a file: it shows a pass for it. */
bool http_media_pass(struct http_request *r);

/* A header's value, or empty. name in lower case. */
struct view http_header(const struct http_request *r, struct view name);
/* A member of the query, decoded into out; false: absent or malformed. */
bool http_query(const struct http_request *r, struct view name, struct buf *out);
/* Percent decoding of a path or query text; false: malformed, or a byte that no name has. */
bool http_unescape(struct view text, bool plus, struct buf *out);

/* -- handlers, by the names in routes.def -- */
#define FN_LIVE(arg)
#define FN_READY(arg)
#define FN_MOVED(arg)
#define FN_HUB(arg)                                                                 http_fn http_##arg;
#define ROUTE(id, mount, match, path, methods, auth, scope, body, owner, arg, help) FN_##owner(arg)
#include "routes.def"
#undef ROUTE
#undef FN_LIVE
#undef FN_READY
#undef FN_MOVED
#undef FN_HUB

#endif
