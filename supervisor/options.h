/* supervisor/options.h - the command line and environment of openclawd. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include "err.h"

#include <stdbool.h>

struct options {
    const char *config;    /* NULL: the default place */
    const char *state_dir; /* NULL: the default place */
    const char *bind;      /* NULL: from the configuration */
    const char *token;     /* NULL: from the configuration */
    const char *port;      /* text: checked with the configuration */
    char *own_token;       /* owned: the one of the command line */
    bool check_config, verbose, help, version, startup_trace;
};

/* Command line first, then OPENCLAW_CONFIG_PATH, OPENCLAW_STATE_DIR, OPENCLAW_GATEWAY_PORT,
 * OPENCLAW_GATEWAY_TOKEN. The token is blanked in argv, where others could read it. Errors:
 * ERR_INVALID with a sentence for the user. */
int options_parse(struct options *o, int argc, char **argv, struct err *e) MUST_USE;
void options_fini(struct options *o);
void options_help(void);

#endif
