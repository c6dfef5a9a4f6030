/*
 * channels/base/chan_form.h - the body of a request as multipart/form-data: fields, and files that
 * are read from their descriptors as the peer takes them, so that none lies in memory.
 */
#ifndef CHAN_FORM_H
#define CHAN_FORM_H

#include "chan_http.h"
#include "curl_api.h"

struct chan_form;

/* on_read: more of a file was taken. Descriptors stay the caller's and are needed until
 * chan_form_free.  Errors: ERR_NOMEM. */
int chan_form_new(struct chan_form **out, const struct curl_api *api, CURL *easy,
                  const struct chan_http_part *parts, unsigned n, void (*on_read)(void *ctx),
                  void *ctx, struct err *e) MUST_USE;
void chan_form_free(struct chan_form **f);
curl_mime *chan_form_mime(const struct chan_form *f);
/* Bytes of files were never asked for: whatever the peer has, it is not the whole request. */
bool chan_form_unsent(const struct chan_form *f);
/* A file could not be read, or is shorter than it was said to be. */
bool chan_form_unreadable(const struct chan_form *f);

#endif
