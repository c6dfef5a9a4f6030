/*
 * workers/whois/localapi.h - what is said on tailscaled's socket: one question in HTTP/1.0 on a
 * connection of its own, one answer that ends with it. Pure. tailscaled is believed as to who has
 * an address and in nothing else: its bytes are bounded and checked like a stranger's.
 */
#ifndef LOCALAPI_H
#define LOCALAPI_H

#include "buf.h"

enum {
    LOCALAPI_REPLY_MAX = 256 * 1024, /* head and body; an answer has some 5 KiB */
    LOCALAPI_LOGIN_MAX = 256,
};

enum localapi_verdict {
    LOCALAPI_FOUND,  /* a person's node: *login is who */
    LOCALAPI_NOBODY, /* no node has the address, or one that belongs to no person (tags) */
    LOCALAPI_BROKEN, /* not an answer */
};

/* Errors: ERR_INVALID addr is not an address. */
int localapi_question(struct buf *out, struct view addr, struct err *e) MUST_USE;
/* Of everything that came before the end of the connection. login: ends with NUL. */
enum localapi_verdict localapi_answer(struct view reply, char login[LOCALAPI_LOGIN_MAX + 1]);

#endif
