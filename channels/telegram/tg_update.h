/*
 * channels/telegram/tg_update.h - what an update of the Bot API means to us: a message somebody
 * wrote, a button somebody pressed, a group that moved; everything else means nothing. Pure. An
 * update is a stranger's document: whatever is wrong in it makes it mean nothing.
 */
#ifndef TG_UPDATE_H
#define TG_UPDATE_H

#include "tg_text.h"

enum tg_kind {
    TG_NOTHING,
    TG_MESSAGE,
    TG_BUTTON,
    TG_REACTION, /* somebody reacted */
    TG_EDITED,   /* a message is another one now */
    TG_MOVED,    /* from -> to */
};

enum {
    TG_ID_BYTES = 24, /* a number as text */
    TG_KEY_BYTES = 96,
    TG_NAME_BYTES = 256,
    TG_GENERAL = 1, /* the topic of a forum that messages without one are in */
};

struct tg_update {
    enum tg_kind kind;
    int64_t id;              /* update_id; -1: none */
    struct channel_event ev; /* views into the document and the rooms below */
    struct channel_media media;
    int64_t chat, thread; /* thread 0: none */
    bool forum, other_bot;
    struct view album;       /* media_group_id */
    struct view callback_id; /* TG_BUTTON */
    int64_t from, to;        /* TG_MOVED */
    int64_t on;              /* TG_REACTION: the message */
    struct buf text, quote;  /* owned */
    char key[TG_KEY_BYTES], key_thread[2 * TG_ID_BYTES], peer[2 * TG_ID_BYTES + 8],
        target[TG_ID_BYTES], parent[TG_ID_BYTES], topic[TG_ID_BYTES], sender[TG_ID_BYTES],
        message[TG_ID_BYTES], quoted[TG_ID_BYTES], name[TG_NAME_BYTES], quoted_name[TG_NAME_BYTES];
};

/* Read one update. doc must live as long as *out, and *out must not be moved. */
void tg_update_read(struct tg_update *out, const json_t *doc, const struct tg_bot *bot);
void tg_update_fini(struct tg_update *u);
/* update_id, or -1. */
int64_t tg_update_id(const json_t *doc);
/* A reaction of a forum: it is in this topic. */
void tg_update_topic(struct tg_update *u, int64_t thread);
/* A group became another chat (tg_moved.h): its people are where they were. peer: the id by which
 * the conversation is known. */
void tg_update_rename(struct tg_update *u, int64_t peer);

#endif
