/*
 * workers/hub/mac.h - HMAC-SHA256 under one key that is set up once: what tickets are sealed with
 * and tokens compared as.
 */
#ifndef MAC_H
#define MAC_H

#include "err.h"
#include "view.h"

#include <stddef.h>

enum { MAC_BYTES = 32 };

struct mac;

int mac_new(struct mac **out, const unsigned char *key, size_t n, struct err *e) MUST_USE;
void mac_free(struct mac **m);
int mac_of(struct mac *m, struct view data, unsigned char out[MAC_BYTES], struct err *e) MUST_USE;

#endif
