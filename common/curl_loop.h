/*
 * common/curl_loop.h - libcurl's sockets and clock on the event loop, for agents and channels.
 * Not here: what a transfer is for; each has an owner, found by its CURLOPT_PRIVATE.
 * Without memory libcurl 7.88 leaves a socket behind that nobody watches, and divides by zero when
 * it is used again; and a socket callback that refuses kills the whole handle. So nothing is
 * refused from inside: on_unwatched and on_starved say whom to end.
 */
#ifndef CURL_LOOP_H
#define CURL_LOOP_H

#include "curl_api.h"
#include "loop.h"

struct curl_sock;

struct curl_loop_events {
    void (*on_over)(void *ctx, void *transfer, CURLcode code);
    /* Its socket is not watched, for want of memory: end it, but not from here. */
    void (*on_unwatched)(void *ctx, void *transfer);
    /* libcurl itself had no memory, for which transfer it does not say: end all whose connection is
     * new to them or shared, and let no other use these connections. */
    void (*on_starved)(void *ctx);
};

struct curl_loop { /* in place; zeroed before curl_loop_init */
    const struct curl_api *api;
    CURLM *multi; /* owned */
    struct loop *loop;
    const struct curl_loop_events *on;
    void *ctx;
    struct loop_timer timer; /* libcurl's */
    struct loop_task kick;   /* libcurl wants to go on at once */
    struct curl_sock *socks;
};

/* Loads libcurl. idle_conns: connections kept for the next transfer.  Errors: ERR_SYS, ERR_NOMEM.
 */
int curl_loop_init(struct curl_loop *c, struct loop *l, unsigned idle_conns,
                   const struct curl_loop_events *on, void *ctx, struct err *e) MUST_USE;
/* When all transfers have been removed. Fine on a half initialised one. */
void curl_loop_fini(struct curl_loop *c);

#endif
