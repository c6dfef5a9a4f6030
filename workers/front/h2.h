/*
 * workers/front/h2.h - a connection that speaks HTTP/2 (RFC 9113). nghttp2 reads and writes frames
 * and keeps the states of streams; here is what a stream means: an exchange (xchg.h), or a
 * WebSocket (h2_ws.h). Every stream has its own buffer and its own deadline, so that who does not
 * read one of them holds back nothing else.
 * Trusts: nothing that arrives. Invariants: a header block becomes the text of an HTTP/1.1 head and
 * is judged by http.h, so that both versions have one reading of a request; bytes of a body are
 * taken only as far as their stream's window, and a window grows only when they were used.
 * Not here: which paths exist and who may ask (xchg.h).
 * Files: h2_conn.c life, sending, deadlines; h2_recv.c what arrives; h2_stream.c an exchange on a
 * stream; h2_ws.c a WebSocket on a stream.
 */
#ifndef H2_H
#define H2_H

#include "conn.h"
#include "xchg.h"

#include <nghttp2/nghttp2.h>

enum {
    H2_CONNS_MAX = 1024, /* of one front: a session takes some 25 KiB also while nothing happens */
    H2_STREAMS = 100,    /* at once (RFC 9113, 6.5.2: no less) ... */
    H2_STRANGER = 32,    /* ... and of who has shown no credential: a page's files at once */
    H2_WINDOW = 16 * 1024,          /* of a body before somebody said that it is wanted */
    H2_BODY_WINDOW = 256 * 1024,    /* and then */
    H2_WS_WINDOW = 64 * 1024,       /* of a WebSocket */
    H2_CONN_WINDOW = 1024 * 1024,   /* of all streams: not what holds back, each stream's own is */
    H2_OUT = 64 * 1024,             /* frames that are made ahead of the socket */
    H2_PIECE = 16 * 1024,           /* of a file, kept by a stream */
    H2_QUEUE = 256,                 /* frames to be sent; above, the client is not read */
    H2_BODY_MAX = 33 * 1024 * 1024, /* ipc.def, http_answer, and change */
    H2_FIELDS_MAX = 64,             /* of an answer */
    /* frames that ask for work and bring none: so many at once, so many each second */
    H2_NOISE_BURST = 2000,
    H2_NOISE_RATE = 500,
    H2_NOISE_RESET = 10,        /* a stream that ends before its answer (CVE-2023-44487) */
    H2_NOISE_REFUND = 3,        /* for a frame of an answer: its reader tells windows */
    H2_SPILL_MAX = 1024 * 1024, /* read of a body after its answer, for clients that write first */
    H2_CUT_MAX = 32,            /* streams we ended early whose last frames may be on the way */
    H2_PING_MS = 1000,          /* for the client to see that we are going */
};

struct h2_ctx; /* callbacks and options of all sessions */
struct h2_reserve;

struct conn_h2 {
    struct conn *c; /* borrowed */
    nghttp2_session *s;
    struct h2_reserve *reserve; /* borrowed */
    bool starved;               /* it took of that: it ends now */
    struct list streams;        /* oldest first */
    unsigned streams_n;
    struct buf head;   /* the header block being received: u32 and u32 lengths, name, value */
    size_t head_bytes; /* as RFC 9113 counts them */
    unsigned head_n;
    bool head_large;
    uint64_t head_end_ms;   /* of the time for it; 0: there is none */
    uint64_t idle_end_ms;   /* while there is no stream */
    uint64_t seen, seen_ms; /* bytes that had gone when the deadline came, and when that was */
    uint8_t frame[9];       /* the head of the next frame, as far as it is here */
    uint8_t frame_n;
    size_t payload;          /* of this frame, still to come */
    int32_t last;            /* stream that was opened */
    int32_t cut[H2_CUT_MAX]; /* that we ended while the client still sent, ... */
    int32_t cut_floor;       /* ... and the last one that is no longer among them */
    unsigned cut_n;
    uint32_t tokens; /* noise that is left */
    uint64_t tokens_ms;
    bool known;   /* somebody on it has shown a credential */
    bool leaving; /* it has been told that there will be no new streams ... */
    bool left;    /* ... and which was the last */
    bool emptied; /* so are some of its streams */
    bool over;    /* refused: what is queued goes out, nothing is read */
};

struct h2_stream {
    struct list link;
    struct conn_h2 *h; /* borrowed */
    int32_t id;
    struct xchg x;
    struct conn *ws; /* the WebSocket on it, or NULL */
    struct buf out;  /* of the answer's body, not in frames yet */
    struct buf
        held; /* of the request's body, before the hub wants it; counted in front.body_bytes */
    struct buf subprotocol; /* of a WebSocket that waits for a place */
    bool answered;
    bool last;       /* nothing follows what is in out */
    bool ended;      /* the client sends no more on it */
    bool in_body;    /* the body goes into x.content */
    bool moved;      /* bytes went since the deadline was set */
    bool sent;       /* the answer has gone, the request still comes */
    bool emptied;    /* all that its WebSocket had to send is in frames */
    bool taking;     /* its bytes are being put into a frame */
    uint64_t due_ms; /* 0: none */
    uint64_t body_end_ms;
    size_t spilt; /* of a body that nobody wants */
};

/* The connection speaks HTTP/2 from its next byte on. False: it was ended instead. */
bool h2_conn_begin(struct conn *c);
void h2_conn_free(struct conn_h2 **h);
void h2_ctx_free(struct h2_ctx **x);
/* Frames that wait, as bytes behind c->out. */
void h2_conn_fill(struct conn *c);

/* -- between the files -- */
nghttp2_session_callbacks *h2_recv_callbacks(void); /* NULL: no memory */
void h2_recv(struct conn_h2 *h, struct view in);
/* A deadline of this connection or of one of its streams. */
void h2_due(struct conn_h2 *h, uint64_t in_ms);
/* Frames were submitted. */
void h2_touch(struct conn_h2 *h);
/* End all of it: RFC 9113, 7. */
void h2_terminate(struct conn_h2 *h, uint32_t code, const char *why);
/* It has seen that we are going. */
void h2_left(struct conn_h2 *h);
/* A credential was shown on it. */
void h2_known(struct conn_h2 *h);

struct h2_stream *h2_stream_new(struct conn_h2 *h, int32_t id); /* NULL: no memory */
void h2_stream_free(struct h2_stream *s);
void h2_stream_reset(struct h2_stream *s, uint32_t code);
void h2_stream_request(struct h2_stream *s, struct http_req *q);
/* Bytes of the request's body. */
void h2_stream_body(struct h2_stream *s, struct view bytes);
/* The request is whole. */
void h2_stream_ended(struct h2_stream *s);
/* The last frame of the answer has gone. */
void h2_stream_sent(struct h2_stream *s);
void h2_stream_due(struct h2_stream *s);
void h2_stream_wait(struct h2_stream *s, uint64_t ms);

#endif
