/*
 * workers/hub/letin.h - the last step of a connect: an admitted client with a device is paired, is
 * approved silently, or has to ask (protocol, 2.8). Keeps the device's token, which hello tells.
 */
#ifndef LETIN_H
#define LETIN_H

#include "admit.h"

struct letin {
    bool paired;                      /* in as that device */
    char token[DEVICE_TOKEN_LEN + 1]; /* "" none; of the role it connects with */
    int64_t issued_at;
    char other[DEVICE_TOKEN_LEN + 1]; /* by a setup code: of the other role */
    int64_t other_issued_at;
    unsigned other_scopes;
};

/* True: may enter, a->paired and a->asked as they are now. Otherwise *r says why not, and the
 * request waits for somebody to approve it. */
bool letin_pair(struct hub *h, struct attempt *a, struct letin *out, struct refusal *r);
void letin_wipe(struct letin *l);

#endif
