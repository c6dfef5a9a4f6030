#include "models.h"

#include "media.h"
#include "mem.h"
#include "num.h"

#include <stdio.h>

/* What params may hold; the rest of them belongs to runtimes we are not. */
struct params {
    double temperature, top_p; /* below 0: not given */
    uint32_t max_tokens;       /* 0: not given */
};

struct model {
    char *id, *api, *max_tokens_field; /* owned; api and field NULL: as the provider says */
    uint32_t max_tokens;
    bool reasoning, no_stream_usage;
    unsigned input; /* media_input */
    struct reply_cost cost;
    struct params params;
    struct secret *line; /* owned: headers of this model alone */
    unsigned lines;
};

struct provider {
    char *id, *base_url, *api;           /* owned */
    char problem[200];                   /* why it cannot be asked; empty when it can */
    struct secret line[HEADERS_MAX + 2]; /* the key's among them */
    unsigned lines;
    struct secret key;
    struct patience patience;
    struct circuit *circuit; /* owned */
    uint32_t max_tokens;     /* 0: the service's own limit */
    struct params params;
    struct model *model;
    unsigned models;
};

/* agents.defaults.models: params of one model, whatever its provider's list says. */
struct override {
    char *ref; /* owned */
    struct params params;
};

struct models {
    unsigned refs;
    struct params params; /* of every model */
    struct override *override;
    unsigned overrides;
    struct patience patience;
    struct provider *provider;
    unsigned providers;
};

/* ---- reading the configuration ---- */

/* Overwrite a string inside a document: nothing of it may be found in memory later. */
static void wipe(const json_t *string)
{
    const char *p = json_string_value(string);
    char *writable;

    if (!p)
        return;
    memcpy(&writable, &p, sizeof(p));
    mem_wipe(writable, json_string_length(string));
}

static char *dup_view(struct view v)
{
    return v.n ? mem_dup(v.p, v.n) : NULL;
}

/* A header's value must not be able to end its line. */
static bool clean_line(struct view v)
{
    for (size_t i = 0; i < v.n; i++)
        if ((unsigned char)v.p[i] < 0x20 || v.p[i] == 0x7f)
            return false;
    return true;
}

static bool clean_name(struct view v)
{
    for (size_t i = 0; i < v.n; i++)
        if (!strchr("-_.", v.p[i]) && !(v.p[i] >= '0' && v.p[i] <= '9') &&
            !((v.p[i] | 0x20) >= 'a' && (v.p[i] | 0x20) <= 'z'))
            return false;
    return v.n > 0;
}

static void problem(struct provider *p, const char *what)
{
    if (!p->problem[0])
        (void)snprintf(p->problem, sizeof(p->problem), "models.providers.%.64s: %s", p->id, what);
}

/* "name: prefix value" as one secret. */
static int make_line(struct secret *out, struct provider *p, struct view name, const char *prefix,
                     struct view value, struct err *e)
{
    struct buf line = BUF_INIT(24 * KIB);
    int r;

    line.secret = true;
    if (!clean_name(name) || !clean_line(value))
        problem(p, "a header holds characters that headers cannot");
    buf_put_view(&line, name);
    buf_put_str(&line, ": ");
    buf_put_str(&line, prefix);
    buf_put_view(&line, value);
    if ((r = buf_check(&line, e)) == 0)
        r = secret_set(out, buf_view(&line), e);
    buf_fini(&line);
    return r;
}

/* room: HEADERS_MAX secrets */
static int read_headers(struct provider *p, json_t *headers, struct secret *room, unsigned *count,
                        struct err *e)
{
    const char *name;
    json_t *value;
    int r;

    json_object_foreach(headers, name, value)
    {
        if (*count == HEADERS_MAX) {
            problem(p, "too many headers");
            return 0;
        }
        if ((r = make_line(&room[*count], p, view_str(name), "", json_view_of(value), e)) < 0)
            return r;
        ++*count;
    }
    return 0;
}

/* Whether the key goes as a bearer token although the interface has a header of its own. */
static bool as_bearer(const json_t *conf, struct view key)
{
    struct view auth = json_view(conf, "auth");

    return json_flag(conf, "authHeader", false) || view_eq(auth, V("token")) ||
           view_eq(auth, V("oauth")) || view_starts(key, V("sk-ant-oat"));
}

static int read_key(struct provider *p, const json_t *conf, struct err *e)
{
    const json_t *value = json_object_get(conf, "apiKey");
    const struct provider_ops *ops = provider_find(view_str(p->api));
    struct view key = json_view_of(value);
    bool bearer = as_bearer(conf, key);
    int r;

    if (json_is_object(value))
        problem(p, "apiKey refers to a secret that was not resolved");
    if (key.n == 0 || !ops)
        return 0; /* local servers need none */
    r = make_line(&p->line[p->lines], p, bearer ? V("Authorization") : view_str(ops->auth_name),
                  bearer ? "Bearer " : ops->auth_prefix, key, e);
    if (r < 0)
        return r;
    p->lines++;
    if (view_starts(key, V("sk-ant-oat"))) { /* setup tokens; source: providers 3 */
        if ((r = make_line(&p->line[p->lines], p, V("anthropic-beta"), "", V("oauth-2025-04-20"),
                           e)) < 0)
            return r;
        p->lines++;
    }
    return secret_set(&p->key, key, e);
}

static uint32_t bounded(const json_t *obj, const char *key, uint32_t fallback, uint32_t max)
{
    int64_t v = json_i64(obj, key, fallback);

    return v < 1 ? fallback : v > max ? max : (uint32_t)v;
}

enum { HOUR_MS = 3600 * 1000 };

static void read_patience(struct patience *p, const json_t *models)
{
    const json_t *t = json_object_get(models, "timeouts"), *r = json_object_get(models, "retry");

    p->connect_ms = bounded(t, "connectMs", p->connect_ms, HOUR_MS);
    p->first_byte_ms = bounded(t, "firstByteMs", p->first_byte_ms, HOUR_MS);
    p->idle_ms = bounded(t, "idleMs", p->idle_ms, HOUR_MS);
    p->attempts = bounded(r, "attempts", p->attempts, 16);
    p->wait_ms = bounded(r, "minDelayMs", p->wait_ms, HOUR_MS);
    p->wait_max_ms = bounded(r, "maxDelayMs", p->wait_max_ms, HOUR_MS);
    p->retry_after_max_ms = bounded(r, "maxRetryAfterMs", p->retry_after_max_ms, HOUR_MS);
}

/* What conf gives replaces what is there. */
static void read_params(struct params *p, const json_t *conf)
{
    const json_t *temperature = json_object_get(conf, "temperature");
    const json_t *top_p = json_object_get(conf, "topP");

    if (!top_p)
        top_p = json_object_get(conf, "top_p");
    if (json_is_number(temperature))
        p->temperature = json_number_value(temperature);
    if (json_is_number(top_p))
        p->top_p = json_number_value(top_p);
    p->max_tokens = bounded(conf, "maxTokens", p->max_tokens, INT32_MAX);
}

static const struct params no_params = {.temperature = -1, .top_p = -1};

static void merge_params(struct params *into, const struct params *p)
{
    if (p->temperature >= 0)
        into->temperature = p->temperature;
    if (p->top_p >= 0)
        into->top_p = p->top_p;
    if (p->max_tokens)
        into->max_tokens = p->max_tokens;
}

static int read_overrides(struct models *m, json_t *conf, struct err *e)
{
    const char *ref;
    json_t *row;

    m->override = mem_calloc(json_object_size(conf), sizeof(*m->override));
    if (!m->override)
        return err_set(e, ERR_NOMEM, "no memory for models' parameters");
    json_object_foreach(conf, ref, row)
    {
        struct override *o = &m->override[m->overrides];
        const json_t *params = json_object_get(row, "params");

        if (!params)
            continue;
        o->params = no_params;
        read_params(&o->params, params);
        o->ref = mem_dup(ref, strlen(ref));
        if (!o->ref)
            return err_set(e, ERR_NOMEM, "no memory for models' parameters");
        m->overrides++;
    }
    return 0;
}

static int read_model(struct provider *p, struct model *m, json_t *conf, struct err *e)
{
    const json_t *compat = json_object_get(conf, "compat"), *cost = json_object_get(conf, "cost");
    json_t *headers = json_object_get(conf, "headers");

    m->id = dup_view(json_view(conf, "id"));
    m->api = dup_view(json_view(conf, "api"));
    m->max_tokens_field = dup_view(json_view(compat, "maxTokensField"));
    m->max_tokens = bounded(conf, "maxTokens", p->max_tokens, INT32_MAX);
    m->reasoning = json_flag(conf, "reasoning", false);
    m->input = media_input(json_object_get(conf, "input"));
    m->no_stream_usage = !json_flag(compat, "supportsUsageInStreaming", true);
    m->cost = (struct reply_cost){
        .input = json_number_value(json_object_get(cost, "input")),
        .output = json_number_value(json_object_get(cost, "output")),
        .cache_read = json_number_value(json_object_get(cost, "cacheRead")),
        .cache_write = json_number_value(json_object_get(cost, "cacheWrite")),
    };
    m->params = no_params;
    read_params(&m->params, json_object_get(conf, "params"));
    if (!m->id)
        problem(p, "a model has no id");
    if (json_object_size(headers) == 0)
        return 0;
    m->line = mem_calloc(HEADERS_MAX, sizeof(*m->line));
    if (!m->line)
        return err_set(e, ERR_NOMEM, "no memory for a model's headers");
    return read_headers(p, headers, m->line, &m->lines, e);
}

static int read_models(struct provider *p, const json_t *list, struct err *e)
{
    size_t i, n = json_array_size(list);
    json_t *row;
    int r;

    if (n > PROVIDER_MODELS_MAX) {
        problem(p, "too many models");
        return 0;
    }
    p->model = mem_calloc(n, sizeof(*p->model));
    if (!p->model)
        return err_set(e, ERR_NOMEM, "no memory for models");
    json_array_foreach(list, i, row)
    {
        if ((r = read_model(p, &p->model[p->models++], row, e)) < 0)
            return r;
    }
    return 0;
}

static void check_base(struct provider *p)
{
    struct view base = view_str(p->base_url);

    if (base.n == 0)
        problem(p, "baseUrl is missing");
    else if (base.n > BASE_URL_MAX || !clean_line(base) || view_find(base, ' ') < base.n)
        problem(p, "baseUrl is too long or holds characters that addresses cannot");
    else if (!view_starts(base, V("https://")) && !view_starts(base, V("http://")))
        problem(p, "baseUrl does not begin with https:// or http://");
}

static int read_provider(struct provider *p, const char *id, json_t *conf,
                         const struct patience *patience, struct err *e)
{
    struct view api = json_view(conf, "api");
    uint32_t longest = bounded(conf, "timeoutSeconds", 0, HOUR_MS / 1000) * 1000;
    int r;

    p->id = mem_dup(id, strlen(id));
    p->base_url = dup_view(json_view(conf, "baseUrl"));
    p->api = dup_view(api.n ? api : V("openai-completions"));
    p->circuit = mem_alloc(sizeof(*p->circuit));
    if (!p->id || !p->api || !p->circuit)
        return err_set(e, ERR_NOMEM, "no memory for a provider");
    check_base(p);
    if (!provider_find(view_str(p->api)))
        problem(p, "api is none that this version speaks");
    p->max_tokens = bounded(conf, "maxTokens", 0, INT32_MAX);
    p->params = no_params;
    read_params(&p->params, json_object_get(conf, "params"));
    p->patience = *patience;
    if (longest)
        p->patience.first_byte_ms = p->patience.idle_ms = longest;
    if ((r = read_headers(p, json_object_get(conf, "headers"), p->line, &p->lines, e)) < 0 ||
        (r = read_key(p, conf, e)) < 0)
        return r;
    return read_models(p, json_object_get(conf, "models"), e);
}

/* Every key and header of the document, whatever became of the table. */
static void wipe_keys(json_t *list)
{
    const char *id, *name;
    json_t *conf, *row, *value;
    size_t i;

    json_object_foreach(list, id, conf)
    {
        wipe(json_object_get(conf, "apiKey"));
        json_object_foreach(json_object_get(conf, "headers"), name, value) wipe(value);
        json_array_foreach(json_object_get(conf, "models"), i, row)
        {
            json_object_foreach(json_object_get(row, "headers"), name, value) wipe(value);
        }
    }
}

static void provider_fini(struct provider *p)
{
    for (unsigned i = 0; i < p->models; i++) {
        mem_free(p->model[i].id);
        mem_free(p->model[i].api);
        mem_free(p->model[i].max_tokens_field);
        for (unsigned k = 0; k < p->model[i].lines; k++)
            secret_fini(&p->model[i].line[k]);
        mem_free(p->model[i].line);
    }
    mem_free(p->model);
    for (unsigned i = 0; i < p->lines; i++)
        secret_fini(&p->line[i]);
    secret_fini(&p->key);
    mem_free(p->id);
    mem_free(p->base_url);
    mem_free(p->api);
    mem_free(p->circuit);
}

int models_new(struct models **out, json_t *conf, struct err *e)
{
    json_t *list = json_at(conf, "models.providers"), *row;
    struct models *m = NULL;
    const char *id;
    int r;

    if ((r = mem_new(&m, sizeof(*m), e)) < 0)
        return r;
    m->refs = 1;
    m->patience = PATIENCE_DEFAULT;
    read_patience(&m->patience, json_object_get(conf, "models"));
    m->params = no_params;
    read_params(&m->params, json_at(conf, "agents.defaults.params"));
    if ((r = read_overrides(m, json_at(conf, "agents.defaults.models"), e)) < 0)
        goto out;
    if (json_object_size(list) > PROVIDERS_MAX) {
        r = err_set(e, ERR_LIMIT, "models.providers: %zu, limit %d", json_object_size(list),
                    PROVIDERS_MAX);
        goto out;
    }
    m->provider = mem_calloc(json_object_size(list), sizeof(*m->provider));
    if (!m->provider) {
        r = err_set(e, ERR_NOMEM, "no memory for providers");
        goto out;
    }
    json_object_foreach(list, id, row)
    {
        if ((r = read_provider(&m->provider[m->providers++], id, row, &m->patience, e)) < 0)
            goto out;
    }
    *out = TAKE(m);
out:
    wipe_keys(list);
    models_unref(&m);
    return r;
}

struct models *models_ref(struct models *m)
{
    m->refs++;
    return m;
}

void models_unref(struct models **mp)
{
    struct models *m = TAKE(*mp);

    if (!m || --m->refs)
        return;
    for (unsigned i = 0; i < m->providers; i++)
        provider_fini(&m->provider[i]);
    for (unsigned i = 0; i < m->overrides; i++)
        mem_free(m->override[i].ref);
    mem_free(m->override);
    mem_free(m->provider);
    mem_free(m);
}

bool models_need_network(const struct models *m)
{
    for (unsigned i = 0; i < m->providers; i++)
        if (!m->provider[i].problem[0])
            return true;
    return false;
}

static uint16_t port_of(struct view url)
{
    bool tls = view_starts(url, V("https://"));
    struct view host = view_from(url, strlen(tls ? "https://" : "http://"));
    size_t end = 0;
    uint32_t port;
    struct err e = ERR_INIT;

    while (end < host.n && !strchr("/?#", host.p[end]))
        end++;
    host = view_of(host.p, end);
    while (end && host.p[end - 1] >= '0' && host.p[end - 1] <= '9')
        end--;
    if (end && host.p[end - 1] == ':' &&
        num_u32(view_from(host, end), 1, UINT16_MAX, &port, &e) == 0)
        return (uint16_t)port;
    return tls ? 443 : 80;
}

unsigned models_ports(const struct models *m, uint16_t out[PROVIDERS_MAX])
{
    unsigned n = 0;

    for (unsigned i = 0; i < m->providers; i++) {
        uint16_t port;
        bool seen = false;

        if (m->provider[i].problem[0])
            continue;
        port = port_of(view_str(m->provider[i].base_url));
        for (unsigned k = 0; k < n && !seen; k++)
            seen = out[k] == port;
        if (!seen)
            out[n++] = port;
    }
    return n;
}

const struct patience *models_patience(const struct models *m)
{
    return &m->patience;
}

/* ---- finding a model ---- */

static const struct provider *find_provider(const struct models *m, struct view id)
{
    for (unsigned i = 0; i < m->providers; i++)
        if (view_eq(view_str(m->provider[i].id), id))
            return &m->provider[i];
    return NULL;
}

static const struct model *find_model(const struct provider *p, struct view id)
{
    for (unsigned i = 0; i < p->models; i++)
        if (p->model[i].id && view_eq(view_str(p->model[i].id), id))
            return &p->model[i];
    return NULL;
}

/* The maker's own service takes fields that its imitators refuse. */
static bool is_native(struct view base)
{
    return view_starts(base, V("https://api.openai.com")) ||
           view_starts(base, V("https://api.anthropic.com"));
}

static void add_lines(struct model_route *out, const struct secret *line, unsigned count)
{
    for (unsigned i = 0; i < count && out->line_count < HTTP_LINES_MAX - 1; i++)
        out->lines[out->line_count++] = (const char *)line[i].p; /* ended by NUL (secret.c) */
}

static void add_fixed_lines(struct model_route *out)
{
    for (unsigned i = 0; out->ops->lines && out->ops->lines[i]; i++)
        if (out->line_count < HTTP_LINES_MAX - 1)
            out->lines[out->line_count++] = out->ops->lines[i];
}

/* From the most general place to the most particular one. */
static void set_params(struct model_spec *spec, const struct models *m, const struct provider *p,
                       const struct model *row, struct view ref)
{
    struct params all = m->params;

    merge_params(&all, &p->params);
    if (row)
        merge_params(&all, &row->params);
    for (unsigned i = 0; i < m->overrides; i++)
        if (view_eq(view_str(m->override[i].ref), ref))
            merge_params(&all, &m->override[i].params);
    spec->temperature = all.temperature;
    spec->top_p = all.top_p;
    spec->max_tokens = all.max_tokens ? all.max_tokens : row ? row->max_tokens : p->max_tokens;
}

bool models_route(const struct models *m, struct view ref, struct model_route *out,
                  struct failure *why)
{
    size_t slash = view_find(ref, '/');
    struct view name = view_of(ref.p, slash), id = view_from(ref, slash + 1);
    const struct provider *p = find_provider(m, name);
    const struct model *row;

    *out = (struct model_route){.patience = m->patience};
    out->spec = (struct model_spec){.provider = name, .id = id};
    if (!p && view_eq(name, V("demo"))) {
        if (id.n == 0)
            out->spec.id = V("demo");
        return true;
    }
    if (!p || id.n == 0) {
        fail_set(why, FAIL_CONFIG, "no provider for model %.*s: add models.providers.%.*s",
                 (int)(ref.n < 100 ? ref.n : 100), ref.p, (int)(name.n < 64 ? name.n : 64), name.p);
        return false;
    }
    if (p->problem[0]) {
        fail_set(why, FAIL_CONFIG, "%s", p->problem);
        return false;
    }
    row = find_model(p, id);
    out->ops = provider_find(view_str(row && row->api ? row->api : p->api));
    if (!out->ops) {
        fail_set(why, FAIL_CONFIG, "model %.*s: api %.40s is none that this version speaks",
                 (int)(id.n < 100 ? id.n : 100), id.p,
                 row && row->api ? row->api
                 : p->api        ? p->api
                                 : "");
        return false;
    }
    out->patience = p->patience;
    out->circuit = p->circuit;
    out->spec.base_url = view_str(p->base_url);
    out->spec.native = is_native(out->spec.base_url);
    if (row) {
        out->spec.max_tokens_field = view_str(row->max_tokens_field);
        out->spec.reasoning = row->reasoning;
        out->spec.no_stream_usage = row->no_stream_usage;
        out->spec.cost = row->cost;
    }
    media_abilities(&out->spec, row ? row->input : 0, out->ops);
    set_params(&out->spec, m, p, row, ref);
    add_lines(out, p->line, p->lines);
    if (row)
        add_lines(out, row->line, row->lines);
    add_fixed_lines(out);
    out->key = view_of((const char *)p->key.p, p->key.n);
    return true;
}
