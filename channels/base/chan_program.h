/*
 * channels/base/chan_program.h - a program (program.h) of the account's configuration as our child:
 * lines over its standard input and output, its standard error into our log. Started before our own
 * sandbox closes (nothing can be started later) and inside one of its own; it holds no descriptor
 * but these three and no environment but what is given. When it ends, so does our process: the
 * supervisor starts both again. Needs CHANNEL_NEEDS_PROGRAM.
 */
#ifndef CHAN_PROGRAM_H
#define CHAN_PROGRAM_H

#include "channel.h"
#include "program.h"

enum {
    CHAN_PROGRAM_ARGS_MAX = 64,
};

struct chan_program;

struct chan_program_on {
    void (*on_line)(void *ctx, struct view line); /* without the line end */
    void (*on_end)(void *ctx, const char *why);
};

/* prepare only. argv: a JSON array of strings, argv[0] a path. */
int chan_program_start(struct channel *c, const json_t *argv, const struct chan_program_on *on,
                       void *ctx, struct chan_program **out, struct err *e) MUST_USE;
/* Begin to read what it says (behind the sandbox, when we listen). */
void chan_program_listen(struct chan_program *p);
/* text: one line, the end is added. Errors: ERR_LIMIT it does not read. */
int chan_program_write(struct chan_program *p, struct view text, struct err *e) MUST_USE;
void chan_program_stop(
    struct chan_program **p); /* the end of its input; it is killed when we end */

#endif
