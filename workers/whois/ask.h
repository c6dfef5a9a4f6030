/*
 * workers/whois/ask.h - questions on their way to tailscaled: each has a connection of its own, a
 * time limit and a place in a table. Invariant: every accepted question gets one answer.
 */
#ifndef ASK_H
#define ASK_H

#include "localapi.h"
#include "loop.h"

#include <sys/un.h>

enum {
    ASKS_MAX = 64, /* as many as the hub lets wait */
    ASK_MS = 2500, /* it is on this machine, and answers within a millisecond */
};

enum ask_result {
    ASK_FOUND,
    ASK_NOBODY,
    ASK_FAILED,      /* too slow, too much, or no sense */
    ASK_UNREACHABLE, /* nobody listens on the socket */
};

struct asks;

/* Question `req` is answered; login only with ASK_FOUND. */
typedef void on_asked(void *ctx, uint64_t req, enum ask_result r, const char *login);

/* Errors: ERR_LIMIT the path is too long for a socket. */
int asks_new(struct asks **out, struct loop *l, const char *path, on_asked *on, void *ctx,
             struct err *e) MUST_USE;
void asks_free(struct asks **a);
/* The answer may come before this returns. */
void asks_add(struct asks *a, uint64_t req, struct view addr);

#endif
