/*
 * channels/base/media.h - files of messages. On their way in: fetched a few at a time, in the order
 * of their messages, into sealed memory files that stay until the hub has the message; how many
 * bytes all of them may hold is one number (MEDIA_HELD_MAX), and a message that would need more is
 * told without the rest. On their way out: taken from the hub until their part comes.
 * A file that cannot be had is words in its message; it never keeps the message.
 */
#ifndef MEDIA_H
#define MEDIA_H

#include "channel_int.h"

enum {
    MEDIA_HELD_MAX = 48 << 20, /* of all messages together; the process has 128 MiB */
    MEDIA_FILE_MAX = 32 << 20, /* whatever mediaMaxMb says */
    MEDIA_AT_ONCE = 4,
    MEDIA_OUT_MAX = 320, /* the hub has at most 32 parts with us, of 10 files each */
    MEDIA_NAME_BYTES = 200,
};

/* ---- in ---- */

struct media; /* the files of one message */

/* *out: NULL when the message has none.  Errors: ERR_NOMEM. */
int media_new(struct media **out, struct channel *c, const struct channel_event *ev,
              void (*on_end)(void *ctx), void *ctx, struct err *e) MUST_USE;
/* Once. on_end when none is under way any more, never from inside. */
void media_fetch(struct media *m);
bool media_ended(const struct media *m); /* asked for, and none is under way any more */
/* What is under way goes on, and nobody hears of it. */
void media_free(struct media **m);
size_t media_bytes(const struct media *m); /* of its description */
/* Those that are there, to this hub. m may be NULL.
 * Errors: ERR_LIMIT, ERR_SYS, ERR_NOMEM: not all of them are told; the message must not follow. */
int media_tell(const struct media *m, struct link *hub, struct view update_id,
               struct err *e) MUST_USE;
/* What the message says: its text, or "<media:image>" in its place; then what is missing of it. */
void media_text(const struct media *m, struct view text, struct buf *out);
void media_close(struct channel *c); /* when the platform has ended what it had */
/* The most of one file, by configuration and platform. */
uint64_t media_max_bytes(const struct channel *c);
uint32_t media_out_max_mb(const struct channel *c);

/* ---- out ---- */

struct media_part; /* the files of one part */

int media_on_deliver(void *ctx, struct link *from, struct ipc_deliver_media *m, struct err *e);
/* The files that came for this part; *out NULL for none.
 * Errors: ERR_AGAIN not all of them are here, ERR_NOMEM. */
int media_take(struct channel *c, const struct ipc_deliver *m, struct media_part **out,
               struct err *e) MUST_USE;
unsigned media_count(const struct media_part *p);
const struct channel_blob *media_blobs(const struct media_part *p);
/* For a platform that takes no files: what they are and where they can be had, in at most so many
 * bytes. */
void media_say(const struct media_part *p, size_t max, struct buf *out);
void media_part_free(struct media_part **p);
/* Another hub: what was said by the one before belongs to no part. */
void media_forget(struct channel *c);

/* ---- what both need; pure ---- */

/* A file's own name: without folders and control characters; kind and type's when there is none. */
void media_name(struct view said, struct view kind, unsigned index, struct view type,
                struct buf *out);
/* "31 MB". */
void media_size(uint64_t bytes, struct buf *out);

#endif
