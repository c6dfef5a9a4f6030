/* proto/commands.h - the rows of commands.def. */
#ifndef COMMANDS_H
#define COMMANDS_H

#include "view.h"

enum command {
    COMMAND_NONE,
    COMMAND_NEW,
    COMMAND_STATUS,
    COMMAND_HELP,
    COMMAND_QUEUE,
    COMMAND_ACTIVATION,
    COMMAND_SEND,
};

struct command_row {
    struct view word; /* without its slash */
    struct view of;   /* an alias: the word it stands for; else empty, and the rest is there */
    enum command means;
    struct view category, usage, help;
};

const struct command_row *commands(size_t *count);

#endif
