/* tests/fake/fake_device.h - a client device with its Ed25519 key: connect parameters signed for a
 * nonce. */
#ifndef FAKE_DEVICE_H
#define FAKE_DEVICE_H

#include "buf.h"

#include <stdint.h>

struct fake_device {
    unsigned char seed[32];
    char id[65], key[44];
};

/* Device number n, the same each time. */
void fake_device_make(struct fake_device *d, unsigned n);

struct fake_wish {
    const char *client, *mode, *role; /* NULL: cli, cli, operator */
    const char *scopes;               /* comma between them; NULL: none */
    const char *platform;             /* NULL: linux */
    const char *auth;                 /* members of auth, JSON; NULL: none */
    const char *secret;               /* the one of those that is signed; NULL: "" */
    int64_t signed_at;                /* 0: now */
    const char *nonce;                /* NULL: that of hub_drive */
    unsigned version;                 /* of the signed text; 0: 3 */
};
/* The params of connect, whole. */
void fake_device_params(const struct fake_device *d, const struct fake_wish *w, struct buf *out);

#endif
