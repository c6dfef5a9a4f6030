#include "options.h"

#include "mem.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    OPT_CONFIG = 1,
    OPT_STATE,
    OPT_PORT,
    OPT_BIND,
    OPT_TOKEN,
    OPT_CHECK,
    OPT_VERBOSE,
    OPT_HELP,
    OPT_VERSION
};

static const struct option longs[] = {
    {"config", required_argument, NULL, OPT_CONFIG},
    {"state-dir", required_argument, NULL, OPT_STATE},
    {"port", required_argument, NULL, OPT_PORT},
    {"bind", required_argument, NULL, OPT_BIND},
    {"token", required_argument, NULL, OPT_TOKEN},
    {"check-config", no_argument, NULL, OPT_CHECK},
    {"verbose", no_argument, NULL, OPT_VERBOSE},
    {"help", no_argument, NULL, OPT_HELP},
    {"version", no_argument, NULL, OPT_VERSION},
    {NULL, 0, NULL, 0},
};

void options_help(void)
{
    (void)puts(
        "usage: openclawd [options]\n"
        "\n"
        "The OpenClaw gateway: one port (18789) for WebSocket RPC and HTTP between your chat apps "
        "and your agent.\n"
        "Runs in the foreground; logs to standard error; stops cleanly on SIGTERM.\n"
        "\n"
        "  --config FILE       configuration (JSON5); default: openclaw.json in the state folder\n"
        "  --state-dir DIR     where everything is kept; default: ~/.openclaw\n"
        "  --port N            port of RPC and HTTP; default 18789\n"
        "  --bind WHERE        loopback, lan, auto, or an address; default loopback\n"
        "  --token T           the token clients must show; default: the configuration's, or a "
        "generated one\n"
        "                      kept in gateway.token in the state folder\n"
        "  --check-config      say what a start would say about the configuration, and exit\n"
        "  --verbose           log at debug level\n"
        "  --version, --help\n"
        "\n"
        "environment: OPENCLAW_CONFIG_PATH, OPENCLAW_STATE_DIR, OPENCLAW_GATEWAY_PORT, "
        "OPENCLAW_GATEWAY_TOKEN;\n"
        "  OPENCLAW_GATEWAY_STARTUP_TRACE=1 logs each phase of the start with its time\n"
        "\n"
        "exit: 0 stopped as asked, 1 failed, 2 wrong options or configuration\n"
        "then: openclawctl status");
}

/* Copied, because argv is blanked. */
static int take_token(struct options *o, char *arg, struct err *e)
{
    size_t n = strlen(arg);

    if (n == 0)
        return err_set(e, ERR_INVALID, "--token is empty; leave it out to use the configuration's");
    mem_free(o->own_token);
    o->token = o->own_token = mem_dup(arg, n);
    if (!o->token)
        return err_set(e, ERR_NOMEM, "out of memory");
    memset(arg, '*', n);
    return 0;
}

void options_fini(struct options *o)
{
    if (o->own_token)
        mem_wipe(o->own_token, strlen(o->own_token));
    mem_free(o->own_token);
    *o = (struct options){0};
}

int options_parse(struct options *o, int argc, char **argv, struct err *e)
{
    const char *v;
    int c, r = 0;

    opterr = 0;
    while (r == 0 && (c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        switch (c) {
        case OPT_CONFIG:
            o->config = optarg;
            break;
        case OPT_STATE:
            o->state_dir = optarg;
            break;
        case OPT_PORT:
            o->port = optarg;
            break;
        case OPT_BIND:
            o->bind = optarg;
            break;
        case OPT_TOKEN:
            r = take_token(o, optarg, e);
            break;
        case OPT_CHECK:
            o->check_config = true;
            break;
        case OPT_VERBOSE:
            o->verbose = true;
            break;
        case OPT_HELP:
            o->help = true;
            break;
        case OPT_VERSION:
            o->version = true;
            break;
        default:
            return err_set(e, ERR_INVALID,
                           "%s: unknown option or missing value; see openclawd --help",
                           argv[optind - 1]);
        }
    }
    if (r < 0)
        return r;
    if (optind < argc)
        return err_set(e, ERR_INVALID, "%s: not an option; see openclawd --help", argv[optind]);
    o->startup_trace = (v = getenv("OPENCLAW_GATEWAY_STARTUP_TRACE")) && strcmp(v, "1") == 0;
    return 0;
}
