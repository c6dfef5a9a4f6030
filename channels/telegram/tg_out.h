/* channels/telegram/tg_out.h - a message on its way out, and the request that it needs next. */
#ifndef TG_OUT_H
#define TG_OUT_H

#include "tg_int.h"
#include "tg_target.h"

enum {
    TG_FIELDS_MAX = 11,
    TG_PARTS_MAX = TG_FIELDS_MAX + TG_ALBUM_MAX,
    TG_BODY_BYTES = 4 * CHANNEL_TEXT_BYTES
};

enum tg_send_kind {
    TG_SEND_MESSAGE,
    TG_SEND_EDIT,
    TG_SEND_REMOVE,
    TG_SEND_REACT,
    TG_SEND_TYPING,
    TG_SEND_POLL,
};

struct tg_send {
    struct telegram *x;
    struct tg_send *next, **at;
    struct channel_op *op;
    enum tg_send_kind kind;
    struct tg_target target;
    struct tg_call *call;
    struct loop_timer wait;
    unsigned tries;
    bool plain, no_reply, no_thread, as_file, caption; /* how it is said by now */
    unsigned media_at, batch; /* files that are there; that go with the request under way */
    bool text_done;
    char message_id[TG_ID_BYTES]; /* of the first that is there */
};

struct tg_request {
    const char *method;
    struct buf *body; /* JSON; or what parts point into */
    struct chan_http_part *parts;
    unsigned part_n;
    const char *why; /* why there is none */
};

/* What comes next; false: it cannot be said. */
bool tg_request_make(struct tg_send *s, struct tg_request *q);
/* The last request was good; is there one more? */
bool tg_more(struct tg_send *s);

#endif
