/*
 * workers/hub/settings.h - what the hub reads from its configuration slice, looked up once per
 * slice. Strings point into the slice, which the settings keep alive. Secrets are not here: the
 * slice holds MACs of the gateway's token and password (or the password's crypt hash), never them.
 */
#ifndef SETTINGS_H
#define SETTINGS_H

#include "err.h"
#include "throttle.h"
#include "view.h"

#include <jansson.h>
#include <stdint.h>

enum {
    SETTINGS_AGENTS_MAX = 256,
    SETTINGS_MODELS_MAX = 4096,
    SETTINGS_ORIGINS_MAX = 64,
    SETTINGS_MAC_BYTES = 32, /* HMAC-SHA256 */
};

struct agent_conf {
    const char *id;
    const char *name;        /* NULL when unset */
    const char *workspace;   /* NULL when unset */
    const char *primary;     /* "provider/model" */
    const json_t *fallbacks; /* array or NULL */
    const json_t *identity;  /* object or NULL */
};

struct model_conf {
    const char *provider, *id, *name;
    const char *api;        /* the protocol it speaks */
    int64_t context_window; /* 0 unknown */
    bool reasoning;
    const json_t *input; /* array or NULL */
};

enum auth_mode { AUTH_NONE, AUTH_TOKEN, AUTH_PASSWORD, AUTH_PROXY, AUTH_TAILSCALE };

struct settings {
    json_t *doc;               /* owned reference */
    struct agent_conf *agents; /* owned; at least one */
    unsigned agent_count, default_agent;
    struct model_conf *models; /* owned; the built-in demo model last */
    unsigned model_count;
    bool model_configured; /* the default agent's model is not the demo model */

    enum auth_mode auth_mode;
    const char *auth_mode_name;
    bool have_token, have_password, have_hook_token;
    bool tailscale; /* whom tailscale serve forwards may come in as the tailnet's user */
    unsigned char token_mac[SETTINGS_MAC_BYTES];
    unsigned char hook_token_mac[SETTINGS_MAC_BYTES];
    unsigned char password_mac[SETTINGS_MAC_BYTES]; /* of a plain one */
    const char *password_crypt;                     /* its crypt(3) hash, or NULL */
    const json_t *proxy;                            /* gateway.auth.trustedProxy, or NULL */
    struct throttle_rule throttle;
    bool exempt_loopback;    /* this machine is slowed down instead of locked out */
    bool auto_approve_local; /* devices on this machine are paired without asking */
    unsigned char ticket_key[SETTINGS_MAC_BYTES];

    const char *origins[SETTINGS_ORIGINS_MAX];
    unsigned origin_count;
    bool origin_any, origin_host_fallback;
    bool ui_insecure_auth; /* Control UI without a device, local peers only */
    bool ui_no_device;     /* Control UI without a device from anywhere */

    const char *state_dir, *config_path, *version, *wire_version, *config_hash;
    int64_t port, pid, started_ms;
    const json_t *snapshot; /* config.get's payload, redacted by the supervisor; may be NULL */
};

/* Read a slice.  Errors: ERR_INVALID which key is missing or wrong; *out is untouched then. */
int settings_new(struct settings **out, json_t *slice, struct err *e) MUST_USE;
void settings_free(struct settings **s);
/* The shared secret is the token; in mode tailscale, too, of programs on this machine. */
bool settings_by_token(const struct settings *s);
/* The agent of that id (empty: the default one), or NULL. */
const struct agent_conf *settings_agent(const struct settings *s, struct view id);
/* "provider/model" or a bare model id; NULL when it is not configured. */
const struct model_conf *settings_model(const struct settings *s, struct view ref);

/* The protocol that a provider's model speaks, as messages name it; "" when nobody knows it. */
const char *settings_api(const struct settings *s, const char *provider, const char *model);

#define SETTINGS_DEMO_PROVIDER "demo"
#define SETTINGS_DEMO_MODEL    "demo"

#endif
