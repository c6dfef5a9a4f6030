/*
 * workers/hub/outfiles.h - files that a client or a model wants to be sent, as they name them:
 * addresses, bytes in base64, files of the store. What has bytes is put into the store at once;
 * what has an address is got when its delivery's turn comes (deliver_media.h).
 */
#ifndef OUTFILES_H
#define OUTFILES_H

#include "deliver_plan.h"
#include "media.h"

struct outfiles {
    struct hub *hub;
    struct deliver_file file[DELIVER_FILES_MAX]; /* urls are the caller's */
    struct media m[DELIVER_FILES_MAX];
    bool put[DELIVER_FILES_MAX]; /* new in the store, and nobody's yet */
    unsigned n;
    struct buf json; /* deliver_order.media */
    struct buf said; /* a hash of each as it was named: the same request says the same */
};

void outfiles_init(struct outfiles *o, struct hub *h);
/* taken: a delivery was made of it. Otherwise what was put goes again. */
void outfiles_fini(struct outfiles *o, bool taken);

/* "https://…", "data:…", "media://…" or an id of the store. flags: MEDIA_* of msg.h.
 * Errors: ERR_INVALID with a sentence that says what can be sent; ERR_LIMIT too many or too large;
 * media_put's. */
int outfiles_ref(struct outfiles *o, struct view ref, uint32_t flags, struct err *e) MUST_USE;
/* Bytes in base64, or a data: address. */
int outfiles_bytes(struct outfiles *o, struct view base64, struct view type, struct view name,
                   uint32_t flags, struct err *e) MUST_USE;
/* All that params name: mediaUrl, mediaUrls, media, buffer with filename and contentType, asVoice,
 * gifPlayback, forceDocument. */
int outfiles_params(struct outfiles *o, const json_t *params, struct err *e) MUST_USE;
/* o->json of what was added; empty when nothing was. */
int outfiles_write(struct outfiles *o, struct err *e) MUST_USE;

#endif
