/* channels/base/out_item.h - one part of a message on its way to the platform. out.c says it,
 * out_text.c says what. */
#ifndef OUT_ITEM_H
#define OUT_ITEM_H

#include "channel_int.h"
#include "media.h"

enum { ITEM_ERROR_BYTES = 512 }; /* ipc.def: deliver_result */

enum item_state {
    ITEM_FREE,
    ITEM_WAITING,
    ITEM_CLEARING, /* its preview is being taken away */
    ITEM_RUNNING,
    ITEM_DONE,
};

struct item {
    struct channel *c;
    enum item_state state;
    struct channel_op op; /* views into words, rendered, plain */
    struct buf words;     /* owned copies of the message's strings */
    struct buf rendered, plain;
    struct buf said; /* the text without what was meant for us */
    json_t *doc;     /* owned: a poll, what to edit, remove or react with */
    json_t *extra;   /* owned; of the message's end */
    uint64_t draft;
    bool editing; /* the preview becomes the message */
    bool cleared; /* or it has gone */
    char shown[CHANNEL_ID_BYTES + 1];
    struct ipc_deliver_result res;
    char message_id[CHANNEL_ID_BYTES], error[ITEM_ERROR_BYTES];
    struct loop_timer again;
    uint8_t kind;
    bool last;          /* the text's end: extra goes with it */
    bool answer, later; /* of the agent: under the responsePrefix; its beginning was said already */
    bool why_only;      /* it only says what went wrong */
    const char *off;    /* the switch of the configuration that forbids it */
    struct view text, source;
    struct buf prefixed, words_instead;
    struct media_part *media;   /* owned; NULL: no files */
    struct channel_op clearing; /* the preview goes away: files cannot take its place */
    uint32_t from, next;
};

/* Read what the hub wants to be said; it->media, if any, is there already.
 * Errors: ERR_NOMEM, ERR_LIMIT, ERR_INVALID. */
int item_take(struct item *it, const struct ipc_deliver *m, struct err *e) MUST_USE;
/* The next piece of its text into rendered, plain and source; next says where the rest begins. */
int item_cut(struct item *it, struct err *e) MUST_USE;

#endif
