/*
 * media/told.h - what of a conversation's files a model is given. A message of a job names its
 * files in parts {type: "media", id, mimeType, name, kind, bytes, width, height}; the bytes are in
 * the job's member media {id: {data: base64} or {text}}. The newest messages' only, bounded in
 * number and bytes; the agent says the rest in words, as it does with what its model cannot take.
 */
#ifndef TOLD_H
#define TOLD_H

#include "media.h"
#include "prompt.h"

enum {
    TOLD_MESSAGES = 3,           /* newest messages whose files are given again */
    TOLD_FILES = 20,             /* of all of them */
    TOLD_BYTES = 12 << 20,       /* together: 16 MiB in base64, half of what providers take */
    TOLD_TEXT_BYTES = 128 << 10, /* of one text document */
    TOLD_TOKENS_MAX = 50000,     /* what a document is estimated at most */
};

/* The content of a message that has files: the parts of a list, JSON text. *tokens: what the files
 * are estimated. false: it has none. content: as chat_msg_split gives it. */
bool told_parts(struct view msg, struct view content, struct buf *out, uint64_t *tokens);
/* ,"media":{...} for the messages of a prompt from piece from on. */
int told_files(struct hub *h, const struct prompt *p, unsigned from, struct buf *out,
               struct err *e) MUST_USE;
/* Files that a stored message names: those that came with it, and those that an answer shows. */
typedef int told_on_file(void *ctx, const struct media *m, struct err *e);
int told_each(struct hub *h, struct view msg, told_on_file *on, void *ctx, struct err *e) MUST_USE;

#endif
