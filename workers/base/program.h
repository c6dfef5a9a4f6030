/*
 * workers/base/program.h - a program that somebody else wrote, as a worker's child: lines over its
 * standard input and output. Started before our own sandbox closes (nothing can be started later)
 * and inside one of its own; it holds no descriptor but these three and no environment but what is
 * given. It is killed when we end. Not here: which program, and what its lines mean.
 */
#ifndef PROGRAM_H
#define PROGRAM_H

#include "buf.h"
#include "loop.h"

enum {
    PROGRAM_LINE_MAX = 1 << 20,
    PROGRAM_QUEUE_MAX = 8 << 20,
};

struct program;

struct program_on {
    void (*on_line)(void *ctx, struct view line);  /* without the line end */
    void (*on_error)(void *ctx, struct view line); /* of its standard error, cut; may be NULL */
    void (*on_end)(void *ctx, const char *why);    /* once; 127: it is not there */
};

struct program_conf {
    bool no_network;       /* TCP neither out nor in, where the kernel can; else to ports */
    const uint16_t *ports; /* none: to any */
    unsigned port_count;
};

/* argv[0] is a path. Before the sandbox only. */
int program_start(struct loop *l, char *const argv[], const struct program_conf *conf,
                  const struct program_on *on, void *ctx, struct program **out,
                  struct err *e) MUST_USE;
/* Begin to read what it says (behind the sandbox, when we listen). */
void program_listen(struct program *p);
/* text: one line, the end is added. Errors: ERR_LIMIT it does not read. */
int program_write(struct program *p, struct view text, struct err *e) MUST_USE;
void program_stop(struct program **p); /* the end of its input */

#endif
