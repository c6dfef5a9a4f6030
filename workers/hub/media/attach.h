/*
 * media/attach.h - attachments as clients send them (protocol 5.2, shape ChatAttachment): decoded,
 * looked at, put into the store of files, and what the message then says of them.
 * Trusts nothing: types are sniffed, names cleaned, sizes counted of the bytes.
 */
#ifndef ATTACH_H
#define ATTACH_H

#include "buf.h"
#include "media.h"

enum {
    ATTACH_MAX = 64,                  /* of one message; a frame of 25 MiB ends the rest */
    ATTACH_BYTES_MAX = 19464192,      /* hello policy: (26214400 - 262144) * 3 / 4 */
    ATTACH_IMAGE_BYTES_MAX = 6291456, /* likewise */
    ATTACH_AT_ONCE = 1 << 20,         /* bytes that are written without a pause */
};

struct attachment {
    struct buf bytes;   /* decoded, or */
    struct view mapped; /* a memory file */
    char *type, *name;  /* owned: as said */
    bool pasted, filed; /* origin */
    struct media file;  /* once it is kept */
};
struct attachments {
    struct attachment *item; /* owned */
    unsigned count;
};

/* Members attachments of a request; list may be NULL. What holds no content is passed over, as the
 * reference does.  Errors: ERR_INVALID, ERR_LIMIT with a sentence for the client; ERR_NOMEM. */
int attach_read(struct attachments *out, const json_t *list, struct err *e) MUST_USE;
/* The same of image parts of a job, {data, mimeType}: within the limits of whoever made them. */
int attach_images(struct attachments *out, struct view parts, struct err *e) MUST_USE;
/* One more, out of a sealed memory file, which stays the caller's. */
int attach_map(struct attachments *a, int fd, struct view type, struct view name,
               struct err *e) MUST_USE;
void attach_fini(struct attachments *a);
/* What makes the request another one: text that stands for all of them. */
void attach_digest(const struct attachments *a, struct buf *out);
/* So much that the disk may take a while for it: attach_write first, in steps (media_write_step),
 * 1: there is more. Files that are written are kept by attach_keep as they are; attach_drop removes
 * those that nobody kept. */
bool attach_is_large(const struct attachments *a);
size_t attach_bytes(const struct attachments *a);
struct attach_write {
    unsigned at;
    bool open;
    struct media_write file;
};
int attach_write(struct hub *h, struct attachments *a, struct attach_write *w,
                 struct err *e) MUST_USE;
void attach_drop(struct hub *h, struct attachments *a, struct attach_write *w);

/* Files, kept for that session; *facts (owned by the caller) becomes the members that its message
 * has: "media":[...],"mediaImageLayout":{...}. On failure nothing is left.  Errors: media_put's. */
int attach_keep(struct hub *h, struct attachments *a, uint32_t sid, char **facts,
                struct err *e) MUST_USE;
/* The message was not accepted after all. */
void attach_undo(struct hub *h, struct attachments *a, uint32_t sid);

#endif
