#include "settings.h"

#include "json.h"
#include "log.h"
#include "mem.h"
#include "password.h"
#include "secret.h"

static const char *text_at(const json_t *doc, const char *dotted)
{
    const char *s = json_string_value(json_at(doc, dotted));

    return s && *s ? s : NULL;
}

static int hex_nibble(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static int read_hex(const char *hex, unsigned char *out, size_t n)
{
    if (!hex || strlen(hex) != 2 * n)
        return ERR_INVALID;
    for (size_t i = 0; i < n; i++) {
        int hi = hex_nibble(hex[2 * i]), lo = hex_nibble(hex[2 * i + 1]);

        if (hi < 0 || lo < 0)
            return ERR_INVALID;
        out[i] = (unsigned char)(hi << 4 | lo);
    }
    return 0;
}

static void read_agent(struct agent_conf *a, const char *id, const json_t *o, const json_t *doc)
{
    const json_t *model = json_object_get(o, "model");
    const json_t *defaults = json_at(doc, "agents.defaults.model");

    a->id = id;
    a->name = text_at(o, "name");
    a->workspace = text_at(o, "workspace");
    if (!a->workspace)
        a->workspace = text_at(doc, "agents.defaults.workspace");
    a->identity = json_object_get(o, "identity");
    a->primary = json_is_string(model) ? json_string_value(model) : text_at(model, "primary");
    if (!a->primary)
        a->primary =
            json_is_string(defaults) ? json_string_value(defaults) : text_at(defaults, "primary");
    if (!a->primary || !*a->primary)
        a->primary = SETTINGS_DEMO_PROVIDER "/" SETTINGS_DEMO_MODEL;
    a->fallbacks = json_object_get(model, "fallbacks");
    if (!a->fallbacks)
        a->fallbacks = json_object_get(defaults, "fallbacks");
    if (!json_is_array(a->fallbacks))
        a->fallbacks = NULL;
}

/* agents.list is an array of {id, default, ...}; agents.entries is an object by id. Neither: one
 * agent, main. */
static int read_agents(struct settings *s, struct err *e)
{
    json_t *list = json_at(s->doc, "agents.list"), *entries = json_at(s->doc, "agents.entries");
    size_t n = json_array_size(list) + json_object_size(entries), i;
    const char *id;
    json_t *o;
    int r;

    if (n > SETTINGS_AGENTS_MAX)
        return err_set(e, ERR_LIMIT, "agents: %zu, limit %d", n, SETTINGS_AGENTS_MAX);
    if ((r = mem_new(&s->agents, (n + 1) * sizeof(*s->agents), e)) < 0)
        return r;
    json_array_foreach(list, i, o)
    {
        if (!(id = text_at(o, "id")))
            continue;
        if (json_flag(o, "default", false))
            s->default_agent = s->agent_count;
        read_agent(&s->agents[s->agent_count++], id, o, s->doc);
    }
    json_object_foreach(entries, id, o)
    {
        if (!*id)
            continue;
        if (json_flag(o, "default", false))
            s->default_agent = s->agent_count;
        read_agent(&s->agents[s->agent_count++], id, o, s->doc);
    }
    if (s->agent_count == 0)
        read_agent(&s->agents[s->agent_count++], "main", NULL, s->doc);
    s->model_configured = strcmp(s->agents[s->default_agent].primary,
                                 SETTINGS_DEMO_PROVIDER "/" SETTINGS_DEMO_MODEL) != 0;
    return 0;
}

static int read_models(struct settings *s, struct err *e)
{
    json_t *providers = json_at(s->doc, "models.providers"), *p, *m;
    const char *name;
    size_t n = 1, i;
    int r;

    json_object_foreach(providers, name, p) n += json_array_size(json_object_get(p, "models"));
    if (n > SETTINGS_MODELS_MAX)
        return err_set(e, ERR_LIMIT, "models: %zu, limit %d", n, SETTINGS_MODELS_MAX);
    if ((r = mem_new(&s->models, n * sizeof(*s->models), e)) < 0)
        return r;
    json_object_foreach(providers, name, p)
    {
        json_array_foreach(json_object_get(p, "models"), i, m)
        {
            struct model_conf *c = &s->models[s->model_count];

            if (!(c->id = text_at(m, "id")) || !*name)
                continue;
            c->provider = name;
            c->name = text_at(m, "name");
            if (!c->name)
                c->name = c->id;
            c->context_window = json_i64(m, "contextWindow", 0);
            if (!(c->api = text_at(m, "api")) && !(c->api = text_at(p, "api")))
                c->api = "openai-completions";
            c->reasoning = json_flag(m, "reasoning", false);
            c->input = json_object_get(m, "input");
            s->model_count++;
        }
    }
    s->models[s->model_count++] = (struct model_conf){.provider = SETTINGS_DEMO_PROVIDER,
                                                      .id = SETTINGS_DEMO_MODEL,
                                                      .name = "Demo (no key, no network)",
                                                      .api = SETTINGS_DEMO_PROVIDER,
                                                      .context_window = 32000};
    return 0;
}

static void read_throttle(struct settings *s)
{
    const json_t *rule = json_at(s->doc, "gateway.auth.rateLimit");
    int64_t failures = json_i64(rule, "maxAttempts", 0), window = json_i64(rule, "windowMs", 0),
            lock = json_i64(rule, "lockoutMs", 0);

    s->throttle = (struct throttle_rule){
        .failures = failures > 0 ? (unsigned)failures : 0,
        .window_ms = window > 0 ? (uint64_t)window : 0,
        .lock_ms = lock > 0 ? (uint64_t)lock : 0,
    };
    s->exempt_loopback = json_flag(rule, "exemptLoopback", true);
    s->auto_approve_local =
        json_flag(json_at(s->doc, "gateway.nodes.pairing"), "autoApproveLocal", true);
}

static int read_auth(struct settings *s, struct err *e)
{
    const char *mode = text_at(s->doc, "runtime.authMode");
    const char *mac = text_at(s->doc, "runtime.tokenHash");
    const char *password = text_at(s->doc, "runtime.passwordHash");
    const char *hook = text_at(s->doc, "runtime.hookTokenHash");

    if (!mode)
        mode = "token";
    s->auth_mode_name = mode;
    if (strcmp(mode, "none") == 0)
        s->auth_mode = AUTH_NONE;
    else if (strcmp(mode, "token") == 0)
        s->auth_mode = AUTH_TOKEN;
    else if (strcmp(mode, "password") == 0)
        s->auth_mode = AUTH_PASSWORD;
    else if (strcmp(mode, "trusted-proxy") == 0)
        s->auth_mode = AUTH_PROXY;
    else if (strcmp(mode, "tailscale") == 0)
        s->auth_mode = AUTH_TAILSCALE;
    else
        return err_set(e, ERR_INVALID, "runtime.authMode: %s is not supported", mode);
    if (s->auth_mode == AUTH_TAILSCALE)
        s->auth_mode_name = "token"; /* the wire has no name for it (protocol, 2.9) */
    s->tailscale = s->auth_mode == AUTH_TAILSCALE ||
                   ((s->auth_mode == AUTH_TOKEN || s->auth_mode == AUTH_PASSWORD) &&
                    json_flag(json_at(s->doc, "gateway.auth"), "allowTailscale", false));
    if (read_hex(text_at(s->doc, "runtime.ticketKey"), s->ticket_key, sizeof(s->ticket_key)) < 0)
        return err_set(e, ERR_INVALID, "runtime.ticketKey: must be 64 hexadecimal digits");
    if (mac && read_hex(mac, s->token_mac, sizeof(s->token_mac)) < 0)
        return err_set(e, ERR_INVALID, "runtime.tokenHash: must be 64 hexadecimal digits");
    s->have_token = mac != NULL;
    if (hook && read_hex(hook, s->hook_token_mac, sizeof(s->hook_token_mac)) < 0)
        return err_set(e, ERR_INVALID, "runtime.hookTokenHash: must be 64 hexadecimal digits");
    /* hooks stay shut when theirs is the gateway's, which may have come from elsewhere */
    s->have_hook_token =
        hook && !(mac && secret_same(s->hook_token_mac, s->token_mac, sizeof(s->token_mac)));
    if (hook && !s->have_hook_token)
        log_error("hooks.refused", KV("why", "hooks.token is the gateway's own token"));
    if (password && read_hex(password, s->password_mac, sizeof(s->password_mac)) < 0)
        return err_set(e, ERR_INVALID, "runtime.passwordHash: must be 64 hexadecimal digits");
    s->password_crypt = text_at(s->doc, "runtime.passwordCrypt");
    if (s->password_crypt && !password_hash_usable(s->password_crypt))
        return err_set(e, ERR_INVALID,
                       "gateway.auth.password: libcrypt of this machine does not know this kind of "
                       "hash; make one with openclawctl auth hash");
    s->have_password = password || s->password_crypt;
    s->proxy = json_at(s->doc, "gateway.auth.trustedProxy");
    read_throttle(s);
    return 0;
}

bool settings_by_token(const struct settings *s)
{
    return s->auth_mode == AUTH_TOKEN || s->auth_mode == AUTH_TAILSCALE;
}

static void read_origins(struct settings *s)
{
    json_t *ui = json_at(s->doc, "gateway.controlUi"), *v;
    size_t i;

    json_array_foreach(json_object_get(ui, "allowedOrigins"), i, v)
    {
        const char *o = json_string_value(v);

        if (!o || s->origin_count >= SETTINGS_ORIGINS_MAX)
            continue;
        if (strcmp(o, "*") == 0)
            s->origin_any = true;
        s->origins[s->origin_count++] = o;
    }
    s->origin_host_fallback = json_flag(ui, "dangerouslyAllowHostHeaderOriginFallback", false);
    s->ui_insecure_auth = json_flag(ui, "allowInsecureAuth", false);
    s->ui_no_device = json_flag(ui, "dangerouslyDisableDeviceAuth", false);
}

static const char *or_else(const char *s, const char *fallback)
{
    return s ? s : fallback;
}

int settings_new(struct settings **out, json_t *slice, struct err *e)
{
    struct settings *s = NULL;
    json_t *run = json_object_get(slice, "runtime");
    int r;

    if (!json_is_object(run))
        return err_set(e, ERR_INVALID, "runtime: missing in the hub's slice");
    if ((r = mem_new(&s, sizeof(*s), e)) < 0)
        return r;
    s->doc = json_incref(slice);
    if ((r = read_auth(s, e)) < 0 || (r = read_agents(s, e)) < 0 || (r = read_models(s, e)) < 0)
        goto out;
    read_origins(s);
    if (!(s->state_dir = text_at(run, "stateDir"))) {
        r = err_set(e, ERR_INVALID, "runtime.stateDir: missing");
        goto out;
    }
    s->config_path = or_else(text_at(run, "configPath"), "");
    s->version = or_else(text_at(run, "version"), "0");
    s->wire_version = or_else(text_at(run, "wireVersion"), s->version);
    s->port = json_i64(run, "port", 0);
    s->pid = json_i64(run, "pid", 0);
    s->started_ms = json_i64(run, "startedAtMs", 0);
    s->snapshot = json_object_get(run, "config");
    s->config_hash = text_at(s->snapshot, "hash");
    *out = TAKE(s);
out:
    settings_free(&s);
    return r;
}

void settings_free(struct settings **sp)
{
    struct settings *s = *sp;

    if (!s)
        return;
    mem_wipe(s->ticket_key, sizeof(s->ticket_key));
    mem_free(s->agents);
    mem_free(s->models);
    json_decref(s->doc);
    mem_free(s);
    *sp = NULL;
}

const struct agent_conf *settings_agent(const struct settings *s, struct view id)
{
    if (id.n == 0)
        return &s->agents[s->default_agent];
    for (unsigned i = 0; i < s->agent_count; i++)
        if (view_ieq(view_str(s->agents[i].id), id))
            return &s->agents[i];
    return NULL;
}

const struct model_conf *settings_model(const struct settings *s, struct view ref)
{
    size_t slash = view_find(ref, '/');

    for (unsigned i = 0; i < s->model_count; i++) {
        const struct model_conf *m = &s->models[i];

        if (view_eq(view_str(m->id), ref))
            return m;
        if (slash < ref.n && view_eq(view_str(m->provider), view_of(ref.p, slash)) &&
            view_eq(view_str(m->id), view_from(ref, slash + 1)))
            return m;
    }
    return NULL;
}

const char *settings_api(const struct settings *s, const char *provider, const char *model)
{
    const char *api = "";

    for (unsigned i = 0; i < s->model_count; i++)
        if (strcmp(s->models[i].provider, provider) == 0) {
            api = s->models[i].api;
            if (strcmp(s->models[i].id, model) == 0)
                break;
        }
    return api;
}
