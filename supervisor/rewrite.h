/*
 * supervisor/rewrite.h - the configuration file written anew after a change over RPC: whole or not
 * at all, and what was there before is kept beside it as FILE.bak.
 */
#ifndef REWRITE_H
#define REWRITE_H

#include "config_write.h"
#include "msg.h"

struct rewrite {
    const struct config *now;
    const struct config_source *src;
    struct view hash_key; /* of config.get's hash */
};

/* The hub asks. What is good is written, put in force by reload(ctx) (after which w->now may be
 * gone), and then answered. Writing a file of this size is the one thing for which we wait for a
 * disk; it is rare.  Errors: of the answer alone. */
int rewrite_on_message(const struct rewrite *w, struct link *from, const struct ipc_config_write *m,
                       void (*reload)(void *ctx), void *ctx, struct err *e) MUST_USE;

#endif
