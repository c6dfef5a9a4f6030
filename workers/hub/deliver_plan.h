/*
 * workers/hub/deliver_plan.h - which part of a message carries which of its files. A file is asked
 * for by address or by the id of the store of files (delivery_add.media); when all of them are in
 * that store, each gets its part (delivery_state.plan), and from then on no attempt sends anything
 * else. Parts in order: the texts, the first with the first files; then the other files; then a
 * note of what could not be had. Pure.
 */
#ifndef DELIVER_PLAN_H
#define DELIVER_PLAN_H

#include "buf.h"
#include "store.h"

#include <jansson.h>

enum {
    DELIVER_FILES_MAX = 16,
    DELIVER_URL_MAX = 2048, /* ipc.def: fetch.url */
};

struct deliver_file {
    struct view id;  /* of the store of files; "" as long as it is only an address */
    struct view url; /* "" when it has none that others could use */
    uint32_t flags;  /* MEDIA_* of msg.h */
    bool visual;     /* a picture or a film: fits into an album */
    uint32_t part;   /* where the plan puts it */
};

/* What is asked for, as JSON for delivery_add. */
int deliver_files_write(const struct deliver_file *f, unsigned n, struct buf *out,
                        struct err *e) MUST_USE;
/* Read back; the views point into *doc, which is the caller's. */
int deliver_files_read(struct view media, json_t **doc, struct deliver_file f[DELIVER_FILES_MAX],
                       unsigned *ret_n, struct err *e) MUST_USE;

/* Give each file its part, and write the plan. texts: parts of the body; album: how many pictures
 * and films go into one message (0: one). */
int deliver_plan_write(struct deliver_file *f, unsigned n, uint32_t texts, unsigned album,
                       struct view note, struct buf *out, uint32_t *ret_parts,
                       struct err *e) MUST_USE;

/* All of a plan; the views point into *doc, which is the caller's. */
int deliver_plan_read(struct view plan, json_t **doc, struct deliver_file f[DELIVER_FILES_MAX],
                      unsigned *ret_n, struct view *ret_note, struct err *e) MUST_USE;

struct deliver_piece {
    struct view text;
    struct deliver_file file[DELIVER_FILES_MAX];
    unsigned files;
    json_t *doc; /* owned: what the views of files and note point into */
};
/* Part i of a delivery.  Errors: ERR_CORRUPT there is none. */
int deliver_piece_read(const struct store_delivery *row, uint32_t i, struct deliver_piece *out,
                       struct err *e) MUST_USE;
void deliver_piece_fini(struct deliver_piece *p);

/* All parts of it. */
static inline uint32_t deliver_parts(const struct store_delivery *row)
{
    return row->state.parts ? row->state.parts : row->add.parts;
}
/* Its files are not here yet. */
static inline bool deliver_unready(const struct store_delivery *row)
{
    return row->add.media.n && !row->state.plan.n;
}

#endif
