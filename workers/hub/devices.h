/*
 * workers/hub/devices.h - paired devices and their tokens, over the store. A token is never stored:
 * it is derived (HMAC-SHA256) from the device, the role and a random generation with a key that is
 * kept in the store, so that the same one can be told again; the store has its hash. Who may pair,
 * approve or rotate is decided elsewhere.
 */
#ifndef DEVICES_H
#define DEVICES_H

#include "err.h"
#include "store.h"
#include "view.h"

enum device_role { DEVICE_OPERATOR = 1, DEVICE_NODE = 2 };

enum {
    DEVICES_MAX = 10000,        /* paired at a time; a row is below 2 KiB */
    DEVICE_TOKEN_LEN = 43,      /* 32 bytes in base64url */
    DEVICE_SEEN_MS = 60 * 1000, /* lastSeen is written no more often */
};

struct device_token {
    unsigned scopes;
    char generation[33]; /* "": there never was a token */
    char hash[65];
    int64_t issued_at, rotated_at, revoked_at; /* revoked_at 0: it is good */
};

/* A device as it is paired, or as one that asks describes itself. */
struct paired {
    char id[65], key[64], label[257], name[257], platform[129], family[129];
    char client_id[65], client_mode[33], via[17];
    unsigned roles;  /* DEVICE_* */
    unsigned scopes; /* approved, as listed */
    int64_t created_at, approved_at, seen_at;
    struct device_token operator_token, node_token;
};

struct devices;

/* Errors: as of the store. Makes and commits the key at first. */
int devices_open(struct devices **out, struct store *s, struct err *e) MUST_USE;
void devices_close(struct devices **d);
/* Errors: ERR_NOT_FOUND; d NULL knows nobody. */
int devices_find(struct devices *d, struct view id, struct paired *out, struct err *e) MUST_USE;
/* Into the batch of this turn.  Errors: ERR_LIMIT DEVICES_MAX. */
int devices_put(struct devices *d, const struct paired *p, struct err *e) MUST_USE;
int devices_del(struct devices *d, struct view id, struct err *e) MUST_USE;
/* In the order of their ids; on returns 0 to go on. */
int devices_each(struct devices *d, int (*on)(void *ctx, const struct paired *p), void *ctx,
                 struct err *e) MUST_USE;

struct device_token *devices_token(struct paired *p, enum device_role role);
const struct device_token *devices_token_of(const struct paired *p, enum device_role role);
bool device_token_good(const struct device_token *t);
/* A new generation: whatever was there is no longer right. Changes p only. */
int devices_issue(struct devices *d, struct paired *p, enum device_role role, unsigned scopes,
                  int64_t now_ms, struct err *e) MUST_USE;
/* The token in words.  Errors: ERR_DENIED there is none, it is revoked, or its hash is another one
 * (the store's key was changed). */
int devices_tell(struct devices *d, const struct paired *p, enum device_role role,
                 char out[DEVICE_TOKEN_LEN + 1], struct err *e) MUST_USE;
/* Constant time in the secret. False also when revoked or of another role. */
bool devices_match(const struct paired *p, enum device_role role, struct view token);

#endif
