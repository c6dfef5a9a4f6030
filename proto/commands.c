#include "commands.h"

#include "mem.h"

#define TEXT(t)                                                                                    \
    {                                                                                              \
        (t), sizeof(t) - 1                                                                         \
    }

static const struct command_row rows[] = {
#define COMMAND(word, means, category, usage, help)                                                \
    {TEXT(word), TEXT(""), COMMAND_##means, TEXT(category), TEXT(usage), TEXT(help)},
#define ALIAS(word, of) {TEXT(word), TEXT(of), COMMAND_NONE, TEXT(""), TEXT(""), TEXT("")},
#include "commands.def"
#undef COMMAND
#undef ALIAS
};

const struct command_row *commands(size_t *count)
{
    *count = COUNT_OF(rows);
    return rows;
}
