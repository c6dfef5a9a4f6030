/*
 * workers/hub/admit.h - one connect under decision: the checks of protocol 2.3, in their order. No
 * lines here; what it takes to decide is in the attempt, the answer in the refusal.
 * Makes no identity (auth.c does).
 */
#ifndef ADMIT_H
#define ADMIT_H

#include "buf.h"
#include "credential.h"
#include "devices.h"
#include "msg.h"
#include "params.h"
#include "proxyauth.h"
#include "tailnet.h"

enum {
    ADMIT_PROTOCOL = 4,
    ADMIT_PROTOCOL_OLD = 3, /* spoken with who cannot do better; probes hear 4 all the same */
    ADMIT_CLOSE_POLICY = 1008,
    ADMIT_CLOSE_PROTOCOL = 1002,
    ADMIT_CLOSE_TRY_AGAIN = 1013,
    ADMIT_TEXT_MAX = 64 * 1024, /* of a refusal's message and details */
};

/* The schema of connect's parameters, in the notation of params.h. */
extern const char admit_schema[];

struct attempt {
    const struct settings *settings;
    const struct params *schema; /* admit_schema, compiled */
    struct door door;
    struct hub *hub; /* for devices and setup codes; NULL: nobody is known */
    const struct ipc_connect *m;
    bool stopping;
    struct tailnet_who tailnet; /* of the peer's address, as far as anybody knows */
    /* found out by the checks */
    json_t *params; /* owned by the caller */
    const json_t *client, *auth, *device;
    struct view id, mode, role;
    int64_t min, max;
    unsigned protocol; /* agreed on */
    unsigned asked;    /* scopes, as listed */
    bool local, node, device_ok;
    bool known; /* the device is paired: */
    struct paired paired;
    enum credential by;
    const struct pair_setup *setup; /* by a setup code */
    struct proxy_claim claim;       /* by a trusted proxy */
    enum tailnet_claim why_not;     /* not by tailscale serve */
    bool ask_tailnet;               /* cannot be decided before tailscaled has been asked */
};

/* Why a proved device with a right credential is not in yet (protocol, 2.8). */
enum pair_need { PAIR_DONE, PAIR_NEW, PAIR_ROLE, PAIR_SCOPES, PAIR_METADATA };

/* Why not. */
struct refusal {
    const char *code;
    struct view message;
    struct view reason; /* of the close; empty: the message */
    uint16_t close;
    bool silent;   /* no response, only the close */
    int retryable; /* -1 absent */
    uint64_t retry_after_ms;
    uint64_t wait_ms;         /* answer this much later */
    struct buf details, text; /* owned by the caller, initialised with ADMIT_TEXT_MAX */
};

/* True: may connect. Otherwise *r says why not. */
bool admit_check(struct attempt *a, struct refusal *r);
bool admit_refuse(struct refusal *r, const char *code, struct view message);
/* Whether an admitted client keeps the scopes it asks for (protocol, 2.5). */
bool admit_keeps_scopes(const struct attempt *a);
/* Of an admitted client with a device. */
enum pair_need admit_pairing(const struct attempt *a);
/* Whether that is approved without asking anybody. */
bool admit_silent(const struct attempt *a, enum pair_need need);

#endif
