#include "greet.h"

#include "log.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool greet_by_token(const struct conf *conf)
{
    return conf->gateway_auth_mode == CONF_AUTH_TOKEN ||
           conf->gateway_auth_mode == CONF_AUTH_TAILSCALE;
}

static void way_in(const struct greeting *g, char *out, size_t room)
{
    static const char *const others[] = {
        [CONF_AUTH_NONE] = "auth      none: every program on this machine may command the agent",
        [CONF_AUTH_PASSWORD] =
            "password  as configured (gateway.auth.password or OPENCLAW_GATEWAY_PASSWORD)",
        [CONF_AUTH_PROXY] = "auth      whom the proxy in gateway.trustedProxies vouches for"};
    const char *also = g->conf->gateway_auth_mode == CONF_AUTH_TAILSCALE
                           ? " (on this machine; others come through tailscale serve)"
                           : "";

    if (!greet_by_token(g->conf))
        (void)snprintf(out, room, "%s", others[g->conf->gateway_auth_mode]);
    else if (g->own_token)
        (void)snprintf(out, room, "token     %s/gateway.token%s", g->state_dir, also);
    else
        (void)snprintf(out, room,
                       "token     as configured (gateway.auth.token, --token or "
                       "OPENCLAW_GATEWAY_TOKEN)%s",
                       also);
}

void greet(const struct greeting *g)
{
    const char *how = getenv("OPENCLAW_GREETING"), *s = g->fingerprint ? "s" : "";
    char by[PATH_MAX + 128];

    if (!(how && strcmp(how, "1") == 0) && !isatty(STDOUT_FILENO))
        return;
    way_in(g, by, sizeof(by));
    (void)printf("\n  The OpenClaw gateway is ready.\n\n"
                 "    address   http%s://%s:%u   (WebSocket: ws%s://%s:%u)\n",
                 s, g->host, g->port, s, g->host, g->port);
    if (g->fingerprint)
        (void)printf("    SHA-256   %s\n", g->fingerprint);
    (void)printf("    %s\n"
                 "    config    %s%s\n\n"
                 "  Next, in another terminal:\n\n"
                 "    %s/openclawctl page --with-token    # an address to open in a browser\n"
                 "    %s/openclawctl status\n"
                 "    %s/openclawctl chat \"Hello! Who are you?\"\n"
                 "    %s/openclawctl config get\n\n",
                 by, g->config_path,
                 g->config_exists ? "" : "   (not there yet: the defaults hold)", g->exe_dir,
                 g->exe_dir, g->exe_dir, g->exe_dir);
    (void)fflush(stdout);
}

void greet_report(const struct config_report *r)
{
    for (unsigned i = 0; i < r->count; i++) {
        const struct config_issue *is = &r->issue[i];

        LOG_(is->error ? LOG_ERROR : LOG_WARN, is->error ? "config.error" : "config.warning",
             KV("key", is->path), KV("what", is->text),
             KV("file", is->origin ? is->origin
                        : r->file  ? r->file
                                   : ""),
             KV("line", is->line), KV("column", is->column));
    }
}
