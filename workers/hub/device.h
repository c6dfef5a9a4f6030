/*
 * workers/hub/device.h - does the client hold the key of the device it names (protocol, 2.6). Says
 * nothing about whether that device is welcome.
 */
#ifndef DEVICE_H
#define DEVICE_H

#include "view.h"

#include <jansson.h>
#include <stdint.h>

enum { DEVICE_SKEW_MS = 120000, DEVICE_ID_LEN = 64 };

struct device_fault {
    const char *message; /* also the close reason */
    const char *code, *reason;
};

/* The public key, however it was written (see read_key), in base64url; "" when it is none. */
enum { DEVICE_KEY_LEN = 43 };
void device_key_text(struct view text, char out[DEVICE_KEY_LEN + 1]);

/* params: the whole connect parameters, checked by schema, with a device. NULL: proved. */
const struct device_fault *device_check(const json_t *params, struct view nonce, int64_t now_ms);

#endif
