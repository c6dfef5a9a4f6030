/*
 * workers/hub/credential.h - by which credential somebody comes in (protocol, 2.7): the shared
 * secret, a device token, a setup code, a trusted proxy's word, a tailnet's user. Presence is never
 * validity, and a second credential never switches the throttle of the first one off.
 */
#ifndef CREDENTIAL_H
#define CREDENTIAL_H

#include "mac.h"
#include "password.h"
#include "settings.h"
#include "throttle.h"

struct attempt;
struct refusal;

enum credential {
    CREDENTIAL_NOT_YET,
    CREDENTIAL_NONE, /* mode none: nobody is asked */
    CREDENTIAL_TOKEN,
    CREDENTIAL_PASSWORD,
    CREDENTIAL_PROXY,
    CREDENTIAL_DEVICE,
    CREDENTIAL_SETUP,
    CREDENTIAL_TAILSCALE, /* last: tickets hold the numbers */
};

/* hello.auth.method: none, token, password, trusted-proxy, device-token, bootstrap-token,
 * tailscale */
const char *credential_name(enum credential c);

/* What the shared secret is compared with; connects and HTTP requests share one. */
struct door {
    const struct settings *settings;
    struct mac *mac;
    struct throttle *throttle;
    struct password *password;
};

enum door_verdict {
    DOOR_RIGHT,
    DOOR_WRONG,  /* counted; *wait_ms = answer this much later */
    DOOR_LOCKED, /* not even looked at; *wait_ms = try again then */
    DOOR_BUSY,   /* too many passwords at once; *wait_ms as above */
};
/* One try of the token or password, whichever the mode asks for. key: who is counted; waits: this
 * machine, slowed down instead of locked out. */
enum door_verdict door_try(const struct door *d, struct view key, bool waits, struct view secret,
                           uint64_t *wait_ms);

/* Some credential was sent. */
bool credential_given(const struct attempt *a);
/* True: a->by says which one is right. Decides once per attempt. */
bool credential_check(struct attempt *a, struct refusal *r);

#endif
