#include "config_int.h"

#include "json.h"
#include "rpc.h"

#include <stdio.h>

/* Text at a dotted path. */
static struct view at(const struct config_walk *w, const char *path)
{
    return json_view_of(json_at(w->doc, path));
}

static void rule_mode(struct config_walk *w)
{
    if (view_eq(at(w, "gateway.mode"), V("remote")))
        config_error_at(
            w, "gateway.mode",
            "remote is for clients of a gateway elsewhere; this program is the gateway: set local");
}

/* Whether only this machine can reach the port. */
static bool local_only(const struct config_walk *w)
{
    struct view bind = at(w, "gateway.bind");

    return view_eq(bind, V("loopback")) ||
           (view_eq(bind, V("custom")) && config_loopback(at(w, "gateway.customBindHost")));
}

static void rule_bind(struct config_walk *w)
{
    struct view bind = at(w, "gateway.bind"), host = at(w, "gateway.customBindHost");

    if (view_eq(bind, V("tailnet")))
        config_error_at(w, "gateway.bind",
                        "tailnet is not supported by this build; use custom with customBindHost");
    if (view_eq(bind, V("custom")) && !host.n)
        config_error_at(w, "gateway.bind", "custom needs gateway.customBindHost");
    if (view_find(host, '/') < host.n)
        config_error_at(w, "gateway.customBindHost", "must be one address, not a network");
}

static void rule_proxy(struct config_walk *w)
{
    const json_t *conf = json_at(w->doc, "gateway.auth.trustedProxy"), *name;
    size_t i;

    if (!json_array_size(json_at(w->doc, "gateway.trustedProxies")))
        config_error_at(w, "gateway.auth.mode",
                        "trusted-proxy needs the proxy's address in gateway.trustedProxies");
    if (!json_view(conf, "userHeader").n)
        config_error_at(w, "gateway.auth.mode",
                        "trusted-proxy needs gateway.auth.trustedProxy.userHeader");
    json_array_foreach(json_at(w->doc, "gateway.trustedProxies"), i, name)
    {
        if (!json_is_true(json_object_get(conf, "allowLoopback")) &&
            config_loopback(json_view_of(name)))
            config_error_at(w, "gateway.trustedProxies",
                            "a proxy on this machine needs "
                            "gateway.auth.trustedProxy.allowLoopback: every program here can "
                            "pretend to be it");
    }
    if (json_is_true(json_object_get(conf, "allowLoopback")))
        config_warn_at(w, "gateway.auth.trustedProxy.allowLoopback",
                       "every program on this machine can claim to be any user");
    json_array_foreach(json_at(w->doc, "gateway.auth.trustedProxy.deviceAutoApprove.scopes"), i,
                       name)
    {
        if (view_eq(json_view_of(name), V("operator.admin")))
            config_warn_at(w, "gateway.auth.trustedProxy.deviceAutoApprove.scopes",
                           "operator.admin: every user of the proxy can become an administrator");
    }
}

/* A hash says which kind it is between dollar signs (crypt(5)). */
static bool is_hash(struct view v)
{
    return v.n > 20 && v.p[0] == '$' && view_find(view_from(v, 1), '$') < 12;
}

static void rule_password(struct config_walk *w)
{
    struct view password = at(w, "gateway.auth.password");

    if (password.n && !is_hash(password))
        config_warn_at(w, "gateway.auth.password",
                       "is in clear text; put here what openclawctl auth hash prints");
}

static void check_scopes(struct config_walk *w, const char *path, const json_t *list)
{
    json_t *name;
    size_t i;

    json_array_foreach(list, i, name)
    {
        if (!scope_from(json_view_of(name)))
            config_error_at(w, path, "%.64s is no scope", json_string_value(name));
    }
}

static void rule_scope_names(struct config_walk *w)
{
    const char *who;
    json_t *list;

    json_object_foreach(json_at(w->doc, "gateway.auth.identityScopes"), who, list)
    {
        check_scopes(w, "gateway.auth.identityScopes", list);
    }
    check_scopes(w, "gateway.auth.trustedProxy.deviceAutoApprove.scopes",
                 json_at(w->doc, "gateway.auth.trustedProxy.deviceAutoApprove.scopes"));
}

static void rule_auth(struct config_walk *w)
{
    struct view mode = at(w, "gateway.auth.mode");

    if (view_eq(mode, V("none")) && !local_only(w))
        config_error_at(
            w, "gateway.auth.mode",
            "none is refused unless gateway.bind is loopback: everybody could command the agent");
    else if (view_eq(mode, V("none")))
        config_warn_at(w, "gateway.auth.mode",
                       "none: every program on this machine can command the agent");
    else if (view_eq(mode, V("tailscale")) && !local_only(w))
        config_error_at(w, "gateway.auth.mode",
                        "tailscale needs gateway.bind loopback: tailscale serve on this machine "
                        "forwards to it, and nobody else may");
    else if (view_eq(mode, V("password")) && !at(w, "gateway.auth.password").n)
        config_error_at(w, "gateway.auth.mode",
                        "password needs gateway.auth.password or OPENCLAW_GATEWAY_PASSWORD");
    else if (view_eq(mode, V("trusted-proxy")))
        rule_proxy(w);
    rule_password(w);
    rule_scope_names(w);
    if (json_is_true(json_at(w->doc, "gateway.auth.allowTailscale")) &&
        (view_eq(mode, V("none")) || view_eq(mode, V("trusted-proxy"))))
        config_warn_at(w, "gateway.auth.allowTailscale",
                       "has no effect in this gateway.auth.mode; use it with token or password, or "
                       "mode tailscale");
    if (json_is_true(json_at(w->doc, "gateway.controlUi.dangerouslyDisableDeviceAuth")))
        config_warn_at(w, "gateway.controlUi.dangerouslyDisableDeviceAuth",
                       "control pages connect with the token alone");
    if (json_is_true(json_at(w->doc, "gateway.controlUi.dangerouslyAllowHostHeaderOriginFallback")))
        config_warn_at(w, "gateway.controlUi.dangerouslyAllowHostHeaderOriginFallback",
                       "pages of other sites may be able to connect");
}

/* One secret for two purposes: whoever learns it at a model service could command the gateway. */
/* Who may start turns through hooks may not do everything else as well. */
static void rule_hooks(struct config_walk *w)
{
    struct view token = at(w, "hooks.token");

    if (json_is_true(json_at(w->doc, "hooks.enabled")) && !token.n &&
        !json_at(w->doc, "hooks.token"))
        config_error_at(w, "hooks.enabled", "needs hooks.token");
    if (token.n && (view_eq(token, at(w, "gateway.auth.token")) ||
                    view_eq(token, at(w, "gateway.auth.password"))))
        config_error_at(w, "hooks.token", "must not be the gateway's own token or password");
}

static void rule_equal_secrets(struct config_walk *w)
{
    struct view token = at(w, "gateway.auth.token");
    const char *name;
    json_t *p;

    if (!token.n)
        return;
    json_object_foreach(json_at(w->doc, "models.providers"), name, p)
    {
        if (view_eq(token, json_view(p, "apiKey")))
            config_error_at(
                w, "gateway.auth.token",
                "is also the apiKey of the provider %.64s; every secret needs its own value", name);
    }
    if (view_eq(token, at(w, "gateway.auth.password")))
        config_error_at(w, "gateway.auth.token",
                        "is also the password; every secret needs its own value");
}

/* A model whose service is not configured: turns to it fail, the gateway need not. */
static void check_ref(struct config_walk *w, struct view ref)
{
    const json_t *providers = json_at(w->doc, "models.providers");
    struct view provider = view_of(ref.p, view_find(ref, '/'));

    if (!ref.n || view_eq(provider, V("demo")))
        return;
    if (provider.n == ref.n)
        config_error(w, "must be \"provider/model\" or an alias in agents.defaults.models");
    else if (!json_object_getn(providers, provider.p, provider.n))
        config_warn(w,
                    "the provider %.*s is not in models.providers: turns of this model will fail",
                    VIEW_FMT(view_of(provider.p, provider.n > 64 ? 64 : provider.n)));
}

/* A {primary, fallbacks} map; w->path is at it. */
static void check_model(struct config_walk *w, const json_t *model)
{
    json_t *ref;
    size_t i;

    config_path_key(&w->path, V("primary"));
    check_ref(w, json_view(model, "primary"));
    config_path_pop(&w->path);
    config_path_key(&w->path, V("fallbacks"));
    json_array_foreach(json_object_get(model, "fallbacks"), i, ref)
    {
        config_path_index(&w->path, i);
        check_ref(w, json_view_of(ref));
        config_path_pop(&w->path);
    }
    config_path_pop(&w->path);
}

static void push(struct config_walk *w, const char *a, const char *b, const char *c)
{
    w->path.n = 0;
    config_path_key(&w->path, view_str(a));
    config_path_key(&w->path, view_str(b));
    if (c)
        config_path_key(&w->path, view_str(c));
}

static void rule_models(struct config_walk *w)
{
    json_t *agent;
    size_t i;

    push(w, "agents", "defaults", "model");
    check_model(w, json_at(w->doc, "agents.defaults.model"));
    json_array_foreach(json_at(w->doc, "agents.list"), i, agent)
    {
        push(w, "agents", "list", NULL);
        config_path_index(&w->path, i);
        config_path_key(&w->path, V("model"));
        check_model(w, json_object_get(agent, "model"));
    }
}

static void rule_provider(struct config_walk *w, const json_t *p)
{
    struct view api = json_view(p, "api");
    const json_t *models = json_object_get(p, "models");
    json_t *m;
    size_t i, j;

    if (!json_view(p, "baseUrl").n)
        config_error(w, "baseUrl is missing");
    if (api.n && !view_eq(api, V("openai-completions")) && !view_eq(api, V("anthropic-messages")))
        config_warn(w, "the api %.*s is not supported by this build: turns of its models will fail",
                    VIEW_FMT(api));
    if (view_starts(json_view(p, "baseUrl"), V("http://")) && json_view(p, "apiKey").n &&
        !view_starts(json_view(p, "baseUrl"), V("http://127.")) &&
        !view_starts(json_view(p, "baseUrl"), V("http://localhost")) &&
        !view_starts(json_view(p, "baseUrl"), V("http://[::1]")))
        config_warn(w, "baseUrl is not https: the key crosses the network in clear");
    json_array_foreach(models, i, m)
    {
        config_path_key(&w->path, V("models"));
        config_path_index(&w->path, i);
        if (!json_view(m, "id").n)
            config_error(w, "id is missing");
        for (j = 0; j < i; j++)
            if (json_view(m, "id").n &&
                view_eq(json_view(m, "id"), json_view(json_array_get(models, j), "id")))
                config_error(w, "the id is that of models[%zu]", j);
        config_path_pop(&w->path);
        config_path_pop(&w->path);
    }
}

static void rule_providers(struct config_walk *w)
{
    const char *name;
    json_t *p;

    json_object_foreach(json_at(w->doc, "models.providers"), name, p)
    {
        push(w, "models", "providers", name);
        rule_provider(w, p);
    }
    if (json_at(w->doc, "models.providers.demo"))
        config_error_at(w, "models.providers.demo",
                        "demo is the name of the built-in model; use another one");
}

static void rule_agents(struct config_walk *w)
{
    const json_t *list = json_at(w->doc, "agents.list");
    bool explicit_owner = at(w, "agents.ownership").n > 0;
    unsigned defaults = 0;
    json_t *a;
    size_t i, j;

    json_array_foreach(list, i, a)
    {
        push(w, "agents", "list", NULL);
        config_path_index(&w->path, i);
        if (!json_view(a, "id").n)
            config_error(w, "id is missing");
        for (j = 0; j < i; j++)
            if (json_view(a, "id").n &&
                view_eq(json_view(a, "id"), json_view(json_array_get(list, j), "id")))
                config_error(w, "the id is that of agents.list[%zu]", j);
        defaults += json_flag(a, "default", false);
    }
    if (defaults > 1)
        config_error_at(w, "agents.list", "%u agents are marked default; mark one", defaults);
    else if (defaults == 0 && json_array_size(list) > 1 && !explicit_owner)
        config_error_at(w, "agents.list", "several agents and none marked default: true");
}

static bool is_agent(const json_t *agents, struct view id)
{
    const json_t *list = json_object_get(agents, "list");
    const char *name;
    json_t *a;
    size_t i;

    json_array_foreach(list, i, a)
    {
        if (view_ieq(json_view(a, "id"), id))
            return true;
    }
    json_object_foreach(json_object_get(agents, "entries"), name, a)
    {
        if (view_ieq(view_str(name), id))
            return true;
    }
    return id.n == 0 || view_ieq(id, V("main"));
}

/* What routing would have to refuse, message by message, is refused here once. */
static void rule_bindings(struct config_walk *w)
{
    json_t *b;
    size_t i;

    json_array_foreach(json_at(w->doc, "bindings"), i, b)
    {
        const json_t *match = json_object_get(b, "match");
        struct view agent = view_trim(json_view(b, "agentId"));

        w->path.n = 0;
        config_path_key(&w->path, V("bindings"));
        config_path_index(&w->path, i);
        if (!is_agent(json_at(w->doc, "agents"), agent))
            config_error(w, "agentId: no agent %.*s in agents.list", VIEW_FMT(agent));
        if (!json_view(match, "channel").n)
            config_warn(w, "match.channel is missing: it matches nothing");
    }
}

enum { DAY_S = 86400, AGENTS_MAX = 256, MODELS_MAX = 4000 }; /* what the hub has room for */

/* Every wait ends: a turn after a day. */
static void rule_longest_turn(struct config_walk *w)
{
    static const char path[] = "agents.defaults.timeoutSeconds";
    json_int_t s = json_integer_value(json_at(w->doc, path));
    struct err e = ERR_INIT;

    if (s > 0 && s <= DAY_S)
        return;
    if (s > DAY_S)
        config_warn_at(w, path, "the longest turn is a day (%d)", DAY_S);
    if (json_set_at(w->doc, path, json_integer(DAY_S), &e) < 0)
        config_error_at(w, path, "%s", e.text);
}

static void rule_counts(struct config_walk *w)
{
    size_t agents = json_array_size(json_at(w->doc, "agents.list")), models = 0;
    const char *name;
    json_t *p;

    json_object_foreach(json_at(w->doc, "models.providers"), name, p)
    {
        models += json_array_size(json_object_get(p, "models"));
    }
    if (agents > AGENTS_MAX)
        config_error_at(w, "agents", "%zu agents, limit %d", agents, AGENTS_MAX);
    if (models > MODELS_MAX)
        config_error_at(w, "models.providers", "%zu models, limit %d", models, MODELS_MAX);
}

static void rule_times(struct config_walk *w)
{
    const json_t *doc = w->doc;

    if (json_integer_value(json_at(doc, "gateway.workers.hangMs")) <
        2 * json_integer_value(json_at(doc, "gateway.workers.heartbeatMs")))
        config_error_at(w, "gateway.workers.hangMs",
                        "must be at least twice gateway.workers.heartbeatMs");
    if (json_integer_value(json_at(doc, "models.retry.maxDelayMs")) <
        json_integer_value(json_at(doc, "models.retry.minDelayMs")))
        config_error_at(w, "models.retry.maxDelayMs", "is less than models.retry.minDelayMs");
}

void config_rules(struct config_walk *w)
{
    struct config_path keep = w->path;

    rule_mode(w);
    rule_bind(w);
    rule_auth(w);
    rule_equal_secrets(w);
    rule_hooks(w);
    rule_providers(w);
    rule_agents(w);
    rule_bindings(w);
    rule_models(w);
    rule_times(w);
    rule_longest_turn(w);
    rule_counts(w);
    w->path = keep;
}
