/*
 * workers/hub/proxyauth.h - who does a trusted proxy say this is (mode trusted-proxy). The front
 * passes identity headers only of peers in gateway.trustedProxies; whether that suffices is decided
 * here. Pure.
 */
#ifndef PROXYAUTH_H
#define PROXYAUTH_H

#include "msg.h"
#include "settings.h"

enum { PROXYAUTH_USER_MAX = 256, PROXYAUTH_REASON_MAX = 96 };

struct proxy_claim {
    struct view user;                  /* into the message */
    bool has_cap;                      /* x-openclaw-scopes is there: */
    unsigned cap;                      /* nothing beyond these scopes */
    char reason[PROXYAUTH_REASON_MAX]; /* when refused: authReason */
    bool missing_header;               /* a header that must be there is not */
};

/* The value of a header in the front's list ("name: value\n" lines, names in lower case), or
 * false. A name that comes twice is no identity: false. */
bool proxyauth_header(struct view list, struct view name, struct view *out);
/* True: *out->user may come in. */
bool proxyauth_check(const struct settings *s, const struct ipc_connect *m,
                     struct proxy_claim *out);
/* Scopes that gateway.auth.identityScopes grants this user's connections. */
unsigned proxyauth_scopes(const struct settings *s, struct view user);

#endif
