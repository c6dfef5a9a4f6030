/*
 * channels/base/chan_fetch.h - a file of a message over HTTP, for fetch_media: its bytes go to
 * channel_fetch_put as they come, what broke off is tried again, channel_fetched ends it. URLs are
 * never logged: tokens stand in them.
 */
#ifndef CHAN_FETCH_H
#define CHAN_FETCH_H

#include "channel.h"

enum { CHAN_FETCH_TRIES = 3 };

/* header: one "Name: value" more, or NULL; it may be a credential. foreign: the address is a
 * stranger's (chan_http.h): redirects are followed, no header goes along.
 * Errors: ERR_LIMIT, ERR_NOMEM; the ticket is still the caller's then. */
int chan_fetch(struct channel *c, const char *url, const char *header, bool foreign, void *ticket,
               struct err *e) MUST_USE;
/* Each that is under way ends: the platform calls it when it is closed. */
void chan_fetch_end(struct channel *c);

#endif
