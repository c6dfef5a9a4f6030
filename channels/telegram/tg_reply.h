/*
 * channels/telegram/tg_reply.h - what the Bot API says to a call: {ok, result} or {ok, error_code,
 * description, parameters}. Pure. Whatever else comes (a proxy's page, half a document) is no
 * reply.
 */
#ifndef TG_REPLY_H
#define TG_REPLY_H

#include "err.h"
#include "view.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum { TG_RETRY_MAX_S = 24 * 3600 };

/* What an error means for what we do next. Found by words of the description: the API has no other
 * names for them. */
enum tg_why {
    TG_WHY_NONE,        /* ok */
    TG_WHY_TOKEN,       /* 401, 404: the token is not good (any more) */
    TG_WHY_CONFLICT,    /* 409: somebody else polls, or a webhook is set */
    TG_WHY_FLOOD,       /* 429 */
    TG_WHY_MARKUP,      /* cannot read our HTML, or nothing is left of the text without it */
    TG_WHY_REPLY_GONE,  /* the message replied to is not there */
    TG_WHY_THREAD_GONE, /* the topic is not there */
    TG_WHY_SAME,        /* an edit that changes nothing */
    TG_WHY_GONE,        /* the message to edit or delete is not there */
    TG_WHY_NO_TEXT,     /* the message to edit has a caption, or none, instead of a text */
    TG_WHY_PHOTO,       /* it does not take these bytes as a photo, or a voice: as a file it may */
    TG_WHY_MOVED,       /* the group is a supergroup now */
    TG_WHY_BUSY,        /* 5xx */
    TG_WHY_REFUSED,     /* everything else */
    TG_WHY_COUNT
};

struct tg_reply {
    json_t *doc;          /* owned */
    const json_t *result; /* borrowed from doc; NULL unless ok */
    bool ok;
    enum tg_why why;
    struct view description; /* into doc */
    uint32_t retry_after_ms;
    int64_t moved_to; /* TG_WHY_MOVED: the new chat; 0 when it does not say */
};

/* Errors: ERR_INVALID no reply of the API, ERR_NOMEM. */
int tg_reply_read(struct tg_reply *out, struct view body, struct err *e) MUST_USE;
void tg_reply_fini(struct tg_reply *r);

#endif
