/*
 * channels/telegram/tg_media.h - files of messages: which one a message carries, and by which
 * method a file of ours is sent. Pure.
 */
#ifndef TG_MEDIA_H
#define TG_MEDIA_H

#include "channel.h"

enum {
    TG_PHOTO_MAX = 10 << 20, /* of sendPhoto; larger ones go as files */
    TG_UPLOAD_MB = 50,
    TG_DOWNLOAD_MB = 20, /* getFile gives no larger ones */
    TG_PATH_BYTES = 512,
    TG_ALBUM_MAX = 10, /* Telegram's own limit */
};

/* The file of a message; false: none. Views into m. */
bool tg_media_read(const json_t *m, struct channel_media *out);

struct tg_method {
    const char *method, *field;
};
/* as_file: it was refused as what it is. */
struct tg_method tg_media_method(const struct channel_blob *b, bool as_file);
/* How many of these, from the first on, go with one request: an album, or one. */
unsigned tg_media_batch(const struct channel_blob *b, unsigned n, bool as_file);
/* file_path of getFile, escaped for an URL. false: it is none that we would ask for. */
bool tg_media_path(struct view file_path, char out[TG_PATH_BYTES]);

#endif
