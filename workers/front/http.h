/*
 * workers/front/http.h - HTTP/1.1 requests and answers as bytes (RFC 9110, 9112). No I/O.
 * Trusts: nothing. Invariant: a byte sequence has one reading or is refused; where the RFC lets a
 * lenient server guess, we refuse, because the next hop may guess differently. Not here: which
 * paths exist (route.h), WebSocket frames (ws.h).
 */
#ifndef HTTP_H
#define HTTP_H

#include "buf.h"
#include "routes.h"
#include "view.h"

#include <stdbool.h>
#include <stdint.h>

enum { /* robustness, 2.5 */
       HTTP_HEAD_MAX = 16 * 1024,
       HTTP_HEADERS_MAX = 100,
       HTTP_TARGET_MAX = 8 * 1024,
       HTTP_METHOD_MAX = 32,
       HTTP_CHUNK_EXT_MAX = 256,
       HTTP_TRAILER_MAX = 1024, /* read and dropped: nothing here means anything by a trailer */
};

enum http_result { HTTP_MORE, HTTP_DONE, HTTP_BAD };

/* Why a request is refused: what to answer, and a literal for the person at the other end. */
struct http_refusal {
    unsigned status;
    const char *why;
};

/* Finds the end of a head that may arrive byte by byte, and refuses as early as it can. Zeroed at
 * the start of each request. */
struct http_scan {
    uint16_t n;    /* bytes seen */
    uint16_t line; /* bytes of the request line before its end */
    uint8_t at;    /* state */
    uint8_t spaces;
    uint8_t lines;
};
/* Feed bytes. HTTP_DONE: *used of them complete the head, blank line included. */
enum http_result http_scan(struct http_scan *s, struct view in, size_t *used,
                           struct http_refusal *why);

struct http_header {
    struct view name, value;
};

/* A request; its views point into the head. */
struct http_req {
    enum http_method method;
    unsigned minor;            /* HTTP/1.minor: 0 or 1 */
    struct view target;        /* as sent */
    struct view path, query;   /* raw, not decoded; query without '?' */
    struct view host, origin;  /* empty when absent */
    struct view authorization; /* as sent */
    struct view ws_key, ws_version, ws_protocol;
    uint64_t length; /* of the body when it is not chunked */
    bool has_body, chunked;
    bool keep_alive;
    bool upgrade;     /* Connection: upgrade and Upgrade: websocket are both there */
    bool proxied;     /* carries a header that only a proxy sends (protocol reference, 1.1) */
    bool expect;      /* Expect: 100-continue */
    bool has_auth;    /* an Authorization header is there */
    bool has_ws_key;  /* a Sec-WebSocket-Key header is there */
    bool encoded;     /* Content-Encoding other than identity */
    unsigned headers; /* of header[] in use */
    struct http_header header[HTTP_HEADERS_MAX];
};
/* Parse a head that http_scan found complete.  HTTP_DONE or HTTP_BAD. */
enum http_result http_parse(struct view head, struct http_req *out, struct http_refusal *why);
/* tchar of RFC 9110, 5.6.2: what names and methods are made of. */
bool http_is_token(unsigned char c);
/* The next comma-separated element of a header value, trimmed; false at the end. */
bool http_next_token(struct view *list, struct view *token);

/* A body being received. */
struct http_body {
    uint64_t left; /* bytes of the body or of the chunk still to come */
    size_t max;    /* of the whole body */
    size_t got;
    uint16_t line; /* bytes of a chunk's extension or of the trailers */
    uint8_t at, digits;
    bool chunked;
};
/* Errors: HTTP_BAD 413 when the announced length is over max; HTTP_DONE when there is none. */
enum http_result http_body_start(struct http_body *b, const struct http_req *req, size_t max,
                                 struct http_refusal *why);
/* Feed bytes: body bytes are appended to out (NULL drops them), *used says how many were taken.
 * HTTP_BAD with 413 when it grows over max, 500 when out has no room. */
enum http_result http_body_take(struct http_body *b, struct view in, size_t *used, struct buf *out,
                                struct http_refusal *why);

/* An answer. Every one carries nosniff, no-referrer, DENY and a closed policy; no-store unless it
 * says otherwise. */
struct http_answer {
    unsigned status;
    const char *type;     /* media type; NULL: no body */
    const char *extra;    /* further header lines, each with CRLF; or NULL */
    struct view fields;   /* the same, of those who made the body */
    struct view policy;   /* Content-Security-Policy instead of the closed one */
    struct view lines;    /* header lines that go with every answer to it; or empty */
    const char *cache;    /* Cache-Control instead of no-store */
    struct view location; /* Location; empty: none */
    struct view body;
    uint64_t length; /* of a body that follows in parts; HTTP_UNKNOWN: it ends when it ends */
    bool parts;      /* body is the first part at most */
    bool frames;     /* pages of the same origin may show it in a frame */
    bool head;       /* answer to HEAD: length without body */
    bool close;      /* Connection: close */
};
#define HTTP_UNKNOWN UINT64_MAX
/* Header lines of an answer, for every version of HTTP: names, values, CRLF; neither status line
 * nor what the framing of the body needs besides Content-Length. */
void http_put_fields(struct buf *b, const struct http_answer *a, int64_t wall_ms);
/* The whole answer as HTTP/1.1 says it; of parts only the head. chunked: so they will come. */
void http_put_answer(struct buf *b, const struct http_answer *a, bool chunked, int64_t wall_ms);
/* 101 with the accept value; protocol is the subprotocol chosen, empty for none. */
void http_put_upgrade(struct buf *b, struct view accept, struct view protocol);
const char *http_reason(unsigned status);

#endif
