/*
 * supervisor/main.c - openclawd: starts the gateway's processes, keeps them running, hands them
 * connections and jobs. Trusts: its user and the configuration file. Holds: listening sockets, the
 * token, provider keys on their way to agents. Never: parses a byte of a client, a model or a chat
 * platform; blocks on disk or network once it runs.
 */
#include "clock.h"
#include "config.h"
#include "gateway.h"
#include "options.h"
#include "version.h"

#include <stdio.h>

static int check_config(const struct options *o)
{
    struct config_source src = {.path = o->config,
                                .state_dir = o->state_dir,
                                .port = o->port,
                                .bind = o->bind,
                                .token = o->token};
    struct err e = ERR_INIT;
    struct buf b;
    int r;

    buf_init(&b, 1024 * 1024);
    r = config_check(&src, &b, &e);
    if (b.n)
        (void)fwrite(b.p + b.off, 1, b.n, stdout);
    else if (r < 0)
        (void)fprintf(stderr, "openclawd: %s\n", e.text);
    buf_fini(&b);
    return r < 0 ? 2 : 0;
}

int main(int argc, char **argv)
{
    uint64_t start_ns = clock_mono_ns();
    struct options o = {0};
    struct err e = ERR_INIT;
    int code;

    if (options_parse(&o, argc, argv, &e) < 0) {
        (void)fprintf(stderr, "openclawd: %s\n", e.text);
        return 2;
    }
    if (o.help) {
        options_help();
        return 0;
    }
    if (o.version) {
        (void)puts("openclawd " OPENCLAW_C_VERSION " (speaks as " OPENCLAW_WIRE_VERSION ")");
        return 0;
    }
    code = o.check_config ? check_config(&o) : gateway_main(&o, start_ns);
    options_fini(&o);
    return code;
}
