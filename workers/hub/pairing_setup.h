/*
 * workers/hub/pairing_setup.h - setup codes: a code that an administrator hands out brings one new
 * device in, with every role of its profile. On disk before anybody is told one, so that a restart
 * of the hub takes none back and none is used twice; only hashes of their tokens.
 */
#ifndef PAIRING_SETUP_H
#define PAIRING_SETUP_H

#include "devices.h"
#include "hub.h"

enum {
    PAIRING_SETUPS_MAX = 32, /* at a time; the oldest makes room */
    PAIRING_SETUP_MS = 10 * 60 * 1000,
    PAIRING_KEEP_MS = 30 * 60 * 1000, /* what became of a code is known that long */
};

struct pair_setup {
    char id[37];
    char hash[65]; /* of its bootstrap token */
    char access[8];
    unsigned roles, scopes;
    int64_t made_at, expires_at, used_at; /* used_at 0: still good */
    char device_id[65];                   /* who used it */
};

int pairing_setup_open(struct hub *h, struct err *e) MUST_USE;
void pairing_setup_close(struct hub *h);
/* *token_out = the bootstrap token of a new setup code. NULL: it cannot be kept. */
const struct pair_setup *pairing_setup_new(struct hub *h, const char *access, unsigned roles,
                                           unsigned scopes, char token_out[DEVICE_TOKEN_LEN + 1]);
/* The setup code of that bootstrap token, unless it was used or is too old. */
const struct pair_setup *pairing_setup_match(struct hub *h, struct view token);
const struct pair_setup *pairing_setup_find(struct hub *h, struct view id);
/* It is good no more, in the batch of this turn; device.pair.setup.completed. Errors: as
 * store_apply; it is good as before then. */
int pairing_setup_used(struct hub *h, const struct pair_setup *s, const struct paired *p,
                       struct err *e) MUST_USE;

#endif
