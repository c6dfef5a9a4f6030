/* channels/external/ext_int.h - what the files of this folder share about the one program. */
#ifndef EXT_INT_H
#define EXT_INT_H

#include "chan_program.h"
#include "jw.h"

enum {
    EXT_CALLS_MAX = 64, /* requests without an answer */
    EXT_LINE_BYTES = 2 << 20,
    EXT_PIECE_BYTES = 512 << 10, /* of a file, in one line of CHAN_PROGRAM_LINE_MAX */
};

struct call {
    struct external *x;
    uint64_t id; /* 0: free */
    void (*on_answer)(struct external *x, struct call *k, const json_t *result,
                      const json_t *error);
    struct channel_op *op;
    void *ticket, *ctx;
    struct loop_timer limit;
};

struct external {
    struct channel *c;
    struct channel_ops ops; /* what the program says it can do */
    struct chan_program *program;
    struct call calls[EXT_CALLS_MAX];
    uint64_t next_id;
    json_t *conf;  /* owned: what the program is told */
    json_t *taken; /* owned: tag -> its own id of a message that is not safe yet */
    uint64_t next_tag;
    struct ext_fetch *fetches;
    struct ext_upload *uploads;
    uint64_t next_file;
    char rooms[17]; /* ipc.def: channel_state.rooms */
};

/* ---- external.c ---- */
/* A request that may take so long; NULL: too many wait. Then ext_open, its params, ext_close, which
 * ends the call when it fails; on_answer comes once. */
struct call *ext_call(struct external *x, uint32_t limit_ms);
void ext_open(struct jw *w, const char *method, uint64_t id);
int ext_close(struct external *x, struct jw *w, struct err *e);
void ext_forget(struct call *k); /* no on_answer follows */
void ext_send(struct external *x, struct channel_op *op);
/* What an error of the program means for a send. */
void ext_result(const json_t *error, struct channel_result *out);

/* ---- ext_read.c: what the program says; pure ---- */
/* Views into p. */
void ext_event_read(const json_t *p, struct channel_event *ev,
                    struct channel_media media[CHANNEL_MEDIA_MAX]);
/* A piece of a file: its bytes are appended to out; *end: it was the last one.
 * Errors: ERR_INVALID no base64, too much, or nothing and not the end. */
int ext_piece_read(const json_t *result, struct buf *out, bool *end, struct err *e) MUST_USE;

/* ---- ext_media.c: files both ways, a piece at a time ---- */
void ext_fetch(struct channel *c, struct view ref, uint64_t max_bytes, void *ticket);
/* Its files, then ext_send. */
void ext_upload(struct external *x, struct channel_op *op);
/* The members of a send that name the files. */
void ext_put_files(struct external *x, struct jw *w, const struct channel_op *op);
/* They were named: they are the program's. */
void ext_uploaded(struct external *x, const struct channel_op *op);
void ext_media_close(struct external *x);

#endif
