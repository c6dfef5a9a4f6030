/*
 * workers/hub/password.h - is this the password. A plain one reaches the hub as a keyed hash and is
 * compared as such; a crypt(3) hash costs processor time on purpose, so that only some may be tried
 * per second and a right one is remembered (as a keyed hash, for this start).
 */
#ifndef PASSWORD_H
#define PASSWORD_H

#include "mac.h"
#include "settings.h"

enum {
    PASSWORD_SHARE = 8, /* at most 1/8 of the time goes into crypt: everybody waits for it */
    PASSWORD_PAUSE_MAX_MS = 5000,
    PASSWORD_LEN_MAX = 512, /* longer ones are wrong: CRYPT_MAX_PASSPHRASE_SIZE */
};

enum password_verdict { PASSWORD_WRONG, PASSWORD_RIGHT, PASSWORD_BUSY };

struct password {
    unsigned char known[MAC_BYTES]; /* of hash and password */
    bool have_known;
    uint64_t again_ms; /* no crypt before this (monotonic) */
};

/* PASSWORD_BUSY: ask again at p->again_ms. */
enum password_verdict password_try(struct password *p, const struct settings *s, struct mac *mac,
                                   struct view text, uint64_t now_ms);
/* Whether libcrypt of this machine can check this hash. */
bool password_hash_usable(const char *hash);

#endif
