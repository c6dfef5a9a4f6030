/*
 * workers/hub/pairing.h - devices that ask to be let in: their requests (five minutes),
 * what approving one changes, and the events about it. Who may approve is the caller's business.
 */
#ifndef PAIRING_H
#define PAIRING_H

#include "call.h"
#include "devices.h"

enum {
    PAIRING_MAX = 128,              /* requests at a time; the oldest makes room */
    PAIRING_TTL_MS = 5 * 60 * 1000, /* protocol, 1.2 */
    PAIRING_WAITS_MAX = 64,         /* calls that wait for a decision */
};

struct pair_request {
    char id[37];
    struct paired who;     /* as it describes itself; only the key is proved */
    enum device_role role; /* wanted, with these scopes */
    unsigned scopes;
    bool repair; /* it is paired already */
    int64_t ts;
    char ip[64]; /* "" from this machine */
};

int pairing_open(struct hub *h, struct err *e) MUST_USE;
void pairing_close(struct hub *h);

/* The request of this device, new (with its event) or the same as before; another wish replaces the
 * device's older request under a new id, so that nobody approves what he has not seen. */
const struct pair_request *pairing_ask(struct hub *h, const struct pair_request *want);
/* NULL: unknown, or expired. */
const struct pair_request *pairing_find(struct hub *h, struct view id);
void pairing_each(struct hub *h, void (*on)(void *ctx, const struct pair_request *q), void *ctx);
/* The device with what was asked for added, in the store; *out = it. The request is gone after it.
 * Errors: as devices_put; nothing is changed then. */
int pairing_approve(struct hub *h, const struct pair_request *q, const char *via,
                    struct paired *out, struct err *e) MUST_USE;
void pairing_reject(struct hub *h, const struct pair_request *q);
/* The device is gone: so is its request. */
void pairing_forget(struct hub *h, struct view device_id);
/* device.pair.changed */
void pairing_changed(struct hub *h);

/* Answer that call when the request is resolved or gone: {requestId, status: approved, rejected or
 * expired}; an approval comes with the device's token and what was approved. False:
 * PAIRING_WAITS_MAX wait already. */
bool pairing_wait(struct hub *h, const struct pair_request *q, const struct call_ref *ref);

/* The same at once, of a request of this device that was resolved lately. False: of none. */
bool pairing_ended(struct hub *h, struct view id, struct view device_id,
                   const struct call_ref *ref);

/* Members of a DevicePairPending. */
void pairing_write(struct jw *w, const struct pair_request *q);
/* ["operator.read", ...] of a set, in the order of the wire reference */
void pairing_write_scopes(struct jw *w, unsigned set);
const char *pairing_role_name(enum device_role r);

#endif
