/*
 * media/media.h - files that belong to messages: what people attach, what platforms bring, what is
 * on its way out. Each is one file below <store>/media, named by a random id, and one setting of
 * the store for each owner. Invariants: a file is on the disk before the batch that names it can be
 * committed; what no batch names is removed (at the start: a hub may have died between the two); a
 * file goes with its last owner. The files never change, so that one may be read by many. Errors
 * everywhere: ERR_AGAIN no room on the disk, ERR_LIMIT the quota (gateway.media.maxBytes) or the
 * size of one file.
 *
 * Way of a file: media_put; media_keep in the batch of whatever mentions it; or media_drop when it
 * came to nothing. Whoever reads it gets a view of a mapping: media_map, media_unmap.
 */
#ifndef MEDIA_H
#define MEDIA_H

#include "hub.h"
#include "jw.h"
#include "kind.h"

enum {
    MEDIA_ID = 36, /* characters: a UUID */
    MEDIA_NAME_MAX = 255,
    MEDIA_FILE_MAX = 100 << 20, /* as the largest mediaMaxMb of a platform */
    MEDIA_FILES_MAX = 262144,   /* their entries take some 25 MB then */
    MEDIA_FD = 400,             /* the folder: the only number that the sandbox lets open(2) take */
};

enum media_owner { MEDIA_OF_SESSION = 's', MEDIA_OF_DELIVERY = 'd' };

/* One file, as messages describe it. */
struct media {
    char id[MEDIA_ID + 1];
    char type[SNIFF_TYPE_MAX + 1];
    char
        name[MEDIA_NAME_MAX + 1]; /* as its sender calls it: UTF-8 without control characters; "" */
    char ext[8];
    enum media_kind kind;
    uint64_t bytes;
    uint32_t width, height;
};

/* Before the sandbox: the folder, what is in it, and what is nobody's goes. */
int media_open(struct hub *h, const char *store_path, struct err *e) MUST_USE;
void media_close(struct hub *h);
/* h->w.conf is new. */
void media_config(struct hub *h);

/* A new file of these bytes, on the disk when this returns. type and name: what its sender says. */
int media_put(struct hub *h, struct view bytes, struct view type, struct view name,
              struct media *out, struct err *e) MUST_USE;
/* The same in steps of a megabyte, each a turn of the loop of its own: a slow disk must not stop
 * the hub. bytes are borrowed until the last step. 1: there is more, 0: as after media_put,
 * negative: it failed and nothing is left. */
struct media_write {
    struct media m;
    struct view rest;
    int fd;
};
int media_write_begin(struct hub *h, struct view bytes, struct view type, struct view name,
                      struct media_write *w, struct err *e) MUST_USE;
int media_write_step(struct hub *h, struct media_write *w, struct err *e) MUST_USE;
void media_write_stop(struct media_write *w);
/* It belongs to that owner (too), with this turn's batch. Again: nothing new.
 * Errors: ERR_NOT_FOUND no such file, the store's. */
int media_keep(struct hub *h, const struct media *m, enum media_owner of, uint64_t owner,
               struct err *e) MUST_USE;
/* It does not belong to that owner any more; it goes when that was the last one. */
void media_leave(struct hub *h, struct view id, enum media_owner of, uint64_t owner);
/* Nobody kept it: it goes. */
void media_drop(struct hub *h, struct view id);
/* Sessions or deliveries went: look soon what went with them. */
void media_look(struct hub *h);

/* "media://inbound/<id>.png", "<id>.png" or "<id>": the id, or empty. */
struct view media_id_of(struct view ref);
/* What is known of it.  false: there is no such file. */
bool media_find(struct hub *h, struct view id, struct media *out);
/* Its bytes.  Errors: ERR_NOT_FOUND, ERR_SYS. */
int media_map(struct hub *h, struct view id, struct view *out, struct err *e) MUST_USE;
void media_unmap(struct view *bytes);
/* The bytes of a sealed memory file, which stays the caller's: the hub may not read(2).
 * Errors: ERR_INVALID it is empty, larger than max or not sealed. */
int media_map_fd(int fd, size_t max, struct view *out, struct err *e) MUST_USE;
/* Or a descriptor that only reads it: the caller's.  Errors: the same. */
int media_fd(struct hub *h, struct view id, int *out, struct err *e) MUST_USE;

/* What messages say of it, as members of an object that is open: url, contentType, kind, fileName,
 * sizeBytes, width, height. */
void media_fact(const struct media *m, struct jw *w);
/* The same read back. false: it names no file of ours. */
bool media_fact_read(const json_t *fact, struct media *out);

/* -- files (media_file.c), for media.c -- */
bool media_is_id(struct view v);
/* A new file of that name; what of it was written and flushed at once: a megabyte at most; the end:
 * its name is on the disk, too, and it is closed. */
int media_file_begin(const char *id, int *fd, struct err *e) MUST_USE;
int media_file_more(int fd, struct view *rest, struct err *e) MUST_USE;
int media_file_end(int *fd, struct err *e) MUST_USE;
void media_file_remove(const char *id);
/* What may stand in a name that people and models see: UTF-8, no control characters, no folders. */
void media_name(struct view said, char out[MEDIA_NAME_MAX + 1]);
/* For whoever asks what the files take: number and bytes. */
void media_totals(const struct hub *h, uint64_t *files, uint64_t *bytes);

#endif
