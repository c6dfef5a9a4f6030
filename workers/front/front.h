/*
 * workers/front/front.h - the state of a front and the limits it keeps.
 * Invariants: a connection is in the map from conn_new until it is reaped at the end of the turn in
 * which it died; requests under way belong to a live connection.
 */
#ifndef FRONT_H
#define FRONT_H

#include "cmap.h"
#include "http.h"
#include "list.h"
#include "places.h"
#include "proxy.h"
#include "reqs.h"
#include "routes.h"
#include "rpc.h"
#include "tls.h"
#include "wheel.h"
#include "worker.h"

enum {
    /* times, in ms (protocol reference 1.2; robustness 2.5) */
    FRONT_SILENT_MS = 10000,   /* from accept to the first byte, or to the end of a TLS handshake */
    FRONT_HEAD_MS = 10000,     /* from its first byte to the end of a head; see http_ms */
    FRONT_BODY_MS = 30000,     /* a whole body, ... */
    FRONT_PROGRESS_MS = 10000, /* ... and without any byte of it */
    FRONT_ANSWER_MS = 30000,   /* for the client to take an HTTP answer */
    FRONT_DOOR_MS = 30000,     /* for the hub to judge a bearer */
    FRONT_PLACE_MS = 1500,     /* for a place to get free; the wheel may add half a second */
    FRONT_PLACES_TICK_MS = 50, /* looks for silent ones while somebody waits */
    FRONT_LINGER_MS = 1000,    /* between our close and the end of the socket */

    /* bytes */
    FRONT_PARAMS_MAX = 64 * 1024,          /* of connect (ipc.def) */
    FRONT_BACKLOG_MAX = 256 * 1024 * 1024, /* the most that gateway.limits.bufferedBytes allows */
    FRONT_BACKLOG_ALL = 52 * 1024 * 1024,  /* of all: below MEMORY of front.def; one alone ends at
                                              its own limit, 50 MiB, with a word */
    FRONT_BACKLOG_SHARE = 4 * 1024 * 1024, /* who holds less than this is not the one that ends */
    FRONT_BACKLOG_DROP = 1024 * 1024, /* droppable events are skipped above: old news by then */
    FRONT_BACKLOG_PAUSE = 256 * 1024, /* who does not read is not read */
    FRONT_SCRATCH = 128 * 1024,       /* one read */
    FRONT_CIPHER = 96 * 1024,         /* the same of TLS, whose plaintext has to fit above */
    FRONT_BODIES_MAX =
        64 * 1024 * 1024, /* of HTTP requests, being received: three of the largest */
    FRONT_HOST_MAX = 256, /* ipc.def, connect */
    FRONT_ORIGIN_MAX = 512,
    FRONT_AGENT_MAX = 512,

    /* counts */
    FRONT_REQUESTS_MAX = 64, /* of one connection under way; then it is not read */
    FRONT_REQUESTS_LOW = 32, /* read again: so that reads stay worth their system call */
    FRONT_PENDING_MAX = 15,  /* frames while connect is being decided */
    FRONT_SNAPSHOTS_MAX = 4,
};

struct front_snapshot {
    enum rpc_index method; /* RPC_COUNT: not a method ("ready") */
    struct buf name;
    struct buf payload;
};

/* From the configuration (gateway.*); the defaults are in conf/keys.def. */
struct front_limits {
    uint64_t handshake_ms; /* upgrade to hello */
    uint64_t ping_ms;      /* nothing heard until the next one: gone */
    uint64_t http_ms;      /* between two requests; a head has at most FRONT_HEAD_MS */
    size_t conns;
    size_t places;        /* upgraded and without hello, of one address */
    size_t reserve;       /* and above those; see places.h */
    size_t pre_bytes;     /* a message before hello */
    size_t message_bytes; /* policy.maxPayload */
    size_t backlog_bytes; /* policy.maxBufferedBytes */
    size_t drop_bytes;    /* a quarter of it, at most FRONT_BACKLOG_DROP */
};

struct site;
struct h2_ctx;

struct front {
    struct worker w;     /* first: every handler's ctx */
    struct link *hub;    /* NULL while it is away */
    uint64_t started_ms; /* monotonic */
    struct front_limits lim;
    struct cmap conns;
    struct list fresh;   /* connections before hello, oldest first */
    struct list open;    /* connections past hello */
    struct list waiting; /* paused: nothing more is read for now */
    struct list ready;   /* paused, and may go on */
    struct list dirty;   /* bytes to send */
    struct list grave;   /* dead, freed at the end of the turn */
    struct loop_task flush, resume, reap, admit;
    struct wheel wheel;
    struct loop_timer tick;
    uint64_t tick_at; /* when tick fires; 0: not set */
    struct reqs reqs;
    struct front_snapshot snap[FRONT_SNAPSHOTS_MAX];
    unsigned snap_n;
    uint32_t log_budget; /* lines about strangers' mistakes left in this second */
    uint64_t log_second;
    struct buf why;      /* scratch for messages */
    struct http_req req; /* scratch: the request being parsed */
    char *scratch;       /* what one read brought */
    char *cipher;        /* the same before it is opened; allocated when there is TLS */
    struct tls_ctx *tls; /* of new connections; NULL: the port speaks in the clear */
    struct proxy_conf proxy;
    struct places places;
    struct loop_timer places_tick;
    uint64_t inner;                       /* connections without a socket so far */
    uint64_t asks;                        /* requests shown to the hub so far */
    uint64_t bytes_in, bytes_out, http_n; /* of clients, since the start */
    uint64_t name;                        /* random: requests are called by it and a number */
    size_t body_bytes;                    /* of requests' bodies that are being received */
    struct route_mounts mounts;
    struct buf paths;  /* that channels named, one a line */
    struct site *site; /* what is served as the control page; NULL: what was compiled in */
    struct h2_ctx *h2; /* what sessions of HTTP/2 share; made for the first one */
    bool configured;
    bool open_auth; /* gateway.auth.mode none: nobody has to show anything */
    int hangups;    /* an epoll of its own: the loop cannot wait for a hang-up alone */
    struct loop_io hangups_io;
};

/* Everything but the worker itself. On failure front_fini still has to be called. */
int front_init(struct front *f, struct err *e) MUST_USE;
void front_fini(struct front *f);
/* Take the limits from a configuration slice (NULL: the defaults). */
void front_limits_read(struct front_limits *lim, const json_t *conf);
/* All of the configuration: limits, proxies, whether there has to be TLS.  Errors: ERR_INVALID. */
int front_configure(struct front *f, const json_t *conf, struct err *e) MUST_USE;
/* Whether a line about something a stranger caused may be logged now (10 a second). */
bool front_may_log(struct front *f);
/* Whether a channel named this path. */
bool front_path_listed(const struct front *f, struct view path);
/* The snapshot's payload text, or empty. */
struct view front_snapshot_get(const struct front *f, struct view name);
struct view front_snapshot_of(const struct front *f, enum rpc_index method);
#endif
