/*
 * proto/ws.h - WebSocket (RFC 6455) frames for both ends: an incremental decoder that gives whole
 * messages, an encoder for frame headers, and the values of the opening handshake. No I/O.
 * Trusts: nothing in the bytes. Invariants: a message is given once, whole, valid UTF-8 and at most
 * max bytes; a length is judged on the header, before its payload arrives; the first violation is
 * the last event. Not here: compression (never negotiated), what a message means.
 */
#ifndef WS_H
#define WS_H

#include "buf.h"
#include "err.h"
#include "utf8.h"
#include "view.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    WS_CONTROL_MAX = 125,     /* RFC 6455, 5.5 */
    WS_FRAGMENTS_MAX = 16384, /* robustness, 2.5 */
    WS_HEAD_MAX = 14,
    WS_REASON_MAX = 123,
};

enum ws_op {
    WS_OP_CONT = 0,
    WS_OP_TEXT = 1,
    WS_OP_BINARY = 2,
    WS_OP_CLOSE = 8,
    WS_OP_PING = 9,
    WS_OP_PONG = 10,
};

/* Close codes (RFC 6455, 7.4.1; protocol reference, 1.3). */
enum ws_code {
    WS_NORMAL = 1000,
    WS_GOING = 1001,
    WS_PROTOCOL = 1002,
    WS_UNSUPPORTED = 1003,
    WS_NO_CODE = 1005, /* stands for a close frame without one; never sent */
    WS_BAD_DATA = 1007,
    WS_POLICY = 1008,
    WS_TOO_BIG = 1009,
    WS_INTERNAL = 1011,
    WS_RESTART = 1012,
    WS_TRY_LATER = 1013,
};

enum ws_event {
    WS_MORE, /* everything was consumed and no event is complete */
    WS_MESSAGE,
    WS_PING,
    WS_PONG,
    WS_CLOSE, /* the peer's close frame; feed nothing after it */
    WS_BAD,   /* a violation: close with code and text; feed nothing after it */
};

struct ws_out {
    struct view data; /* message, ping or pong payload, close reason: valid until the next call */
    bool binary;      /* the message came in binary frames (only where accept_binary) */
    uint16_t code;    /* WS_CLOSE: the peer's or WS_NO_CODE; WS_BAD: the one to close with */
    const char *text; /* WS_BAD: what was wrong, for the log; else NULL */
};

struct ws_dec {
    /* set by the owner, may change between calls */
    size_t max;         /* bytes of one message */
    bool server;        /* frames must be masked (else: must not be) */
    bool accept_binary; /* binary messages are taken, as text; else 1003 */
    /* the decoder's own */
    bool binary, in_message, in_payload, fin, spent;
    uint8_t op, head_n, control_n, key_at;
    uint8_t head[WS_HEAD_MAX];
    uint8_t key[4];
    uint32_t fragments;
    uint64_t left; /* payload bytes of this frame still to come */
    struct utf8 utf8;
    struct buf message; /* holds bytes only inside a message that did not arrive in one piece */
    char control[WS_CONTROL_MAX];
};

/* A decoder for messages of at most max bytes; server: for what clients send. */
void ws_dec_init(struct ws_dec *d, bool server, size_t max);
void ws_dec_fini(struct ws_dec *d);
/* Whether nothing is half received. */
static inline bool ws_dec_idle(const struct ws_dec *d)
{
    return !d->in_message && !d->in_payload && d->head_n == 0;
}
/* Decode from *p, *n on; both move past what was consumed (everything on WS_MORE). Payloads are
 * unmasked in place; a message that lies whole in one frame in these bytes is given as a view of
 * them. Out of memory is a WS_BAD with WS_INTERNAL. */
enum ws_event ws_decode(struct ws_dec *d, char **p, size_t *n, struct ws_out *out);

/* Header of a final frame of n payload bytes; returns its length. key: 4 bytes of mask (client), or
 * NULL (server). */
size_t ws_head(uint8_t out[WS_HEAD_MAX], enum ws_op op, uint64_t n, const uint8_t key[4]);
/* Append a whole final frame. A client's frame is masked with a fresh random key. */
void ws_put(struct buf *b, enum ws_op op, struct view payload, bool client);
/* Append a close frame. WS_NO_CODE gives an empty payload; the reason is cut to WS_REASON_MAX bytes
 * (the gateway's own ones to 120, protocol reference 1.2) at a character border. */
void ws_put_close(struct buf *b, uint16_t code, struct view reason, bool client);
/* XOR n bytes with the mask, beginning with its byte at (0..3). */
void ws_mask(char *p, size_t n, const uint8_t key[4], unsigned at);
/* Whether a close frame may carry this code. */
bool ws_code_valid(uint16_t code);

/* Opening handshake. */
enum { WS_KEY_LEN = 24, WS_ACCEPT_LEN = 28 };
/* Whether a client's Sec-WebSocket-Key is base64 of 16 bytes, in its one spelling. */
bool ws_key_valid(struct view key);
/* The answer to a key, with NUL.  Errors: ERR_SYS the crypto library failed. */
int ws_accept(struct view key, char out[WS_ACCEPT_LEN + 1], struct err *e) MUST_USE;
/* A fresh client key, with NUL. */
void ws_key_new(char out[WS_KEY_LEN + 1]);

#endif
