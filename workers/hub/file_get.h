/*
 * workers/hub/file_get.h - files of the folders that openclaw-files holds: the hub opens none and
 * waits for no disk. The process is started when the first one is asked for. A file comes in parts,
 * each when it is wanted, so that as much is in memory as its client takes.
 */
#ifndef FILE_GET_H
#define FILE_GET_H

#include "hub.h"
#include "msg.h"

enum {
    FILE_GETS_MAX = 256,          /* READS_MAX of openclaw-files */
    FILE_GET_WAIT_MS = 15 * 1000, /* for its process, or for a disk */
};

struct file_get;

/* Views live until the call returns. After broken, or an answer that is whole, the get is gone. */
struct file_get_on {
    /* result: FILE_* of msg.h; only with FILE_FOUND there are a size and a part */
    void (*answer)(void *ctx, unsigned result, uint64_t size, struct view part);
    void (*part)(void *ctx, struct view part, bool last);
    void (*broken)(void *ctx); /* no process, no answer, or the file became shorter */
};

int file_gets_open(struct hub *h, struct err *e) MUST_USE;
void file_gets_close(struct hub *h);
/* path: decoded.  Errors: ERR_LIMIT as many as there may be, ERR_NOMEM. */
int file_get(struct hub *h, unsigned which, struct view path, const struct file_get_on *on,
             void *ctx, struct file_get **out, struct err *e) MUST_USE;
/* The next part, after an answer or a part that was not the last. */
void file_get_more(struct file_get *g);
void file_get_cancel(struct file_get **g);
/* The process runs, or ends, from now on. */
void file_gets_want(struct hub *h, bool wanted);

void file_gets_on_peer(struct hub *h, struct link *l, bool up);
int file_gets_on_answer(struct hub *h, struct link *from, const struct ipc_file_answer *m,
                        struct err *e);
int file_gets_on_part(struct hub *h, struct link *from, const struct ipc_file_part *m,
                      struct err *e);

#endif
