#include "models.h"

#include "mem.h"

#include <stdio.h>

struct model {
    char *id, *api, *max_tokens_field; /* owned; api and field NULL: as the provider says */
    uint32_t max_tokens;
    bool reasoning, no_stream_usage;
    struct reply_cost cost;
};

struct provider {
    char *id, *base_url, *api; /* owned */
    char problem[200];         /* why it cannot be asked; empty when it can */
    struct secret line[PROVIDER_HEADERS_MAX + 1];
    unsigned lines;
    struct secret key;
    struct patience patience;
    struct model *model;
    unsigned models;
};

struct models {
    unsigned refs;
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
static int add_line(struct provider *p, struct view name, const char *prefix, struct view value,
                    struct err *e)
{
    struct buf line = BUF_INIT(16 * KIB);
    int r;

    line.secret = true;
    if (!clean_name(name) || !clean_line(value)) {
        problem(p, "a header holds characters that headers cannot");
        return 0;
    }
    buf_put_view(&line, name);
    buf_put_str(&line, ": ");
    buf_put_str(&line, prefix);
    buf_put_view(&line, value);
    if ((r = buf_check(&line, e)) < 0 ||
        (r = secret_set(&p->line[p->lines], buf_view(&line), e)) < 0)
        goto out;
    p->lines++;
out:
    buf_fini(&line);
    return r;
}

static int read_headers(struct provider *p, json_t *headers, struct err *e)
{
    const char *name;
    json_t *value;
    int r;

    json_object_foreach(headers, name, value)
    {
        if (p->lines == PROVIDER_HEADERS_MAX) {
            problem(p, "too many headers");
            return 0;
        }
        if ((r = add_line(p, view_str(name), "", json_view_of(value), e)) < 0)
            return r;
        wipe(value);
    }
    return 0;
}

static int read_key(struct provider *p, const json_t *conf, struct err *e)
{
    const json_t *value = json_object_get(conf, "apiKey");
    const struct provider_ops *ops = p->api ? provider_find(view_str(p->api)) : NULL;
    struct view key = json_view_of(value);
    int r;

    if (json_is_object(value))
        problem(p, "apiKey refers to a secret that was not resolved");
    if (key.n == 0 || !ops) {
        wipe(value);
        return 0; /* local servers need none */
    }
    r = json_flag(conf, "authHeader", false)
            ? add_line(p, V("Authorization"), "Bearer ", key, e)
            : add_line(p, view_str(ops->auth_name), ops->auth_prefix, key, e);
    if (r == 0)
        r = secret_set(&p->key, key, e);
    wipe(value);
    return r;
}

static uint32_t bounded(const json_t *obj, const char *key, uint32_t fallback, uint32_t max)
{
    int64_t v = json_i64(obj, key, fallback);

    return v < 1 ? fallback : v > max ? max : (uint32_t)v;
}

enum { HOUR_MS = 3600 * 1000 };

static void read_patience(struct patience *p, const json_t *conf)
{
    p->connect_ms = bounded(conf, "connectTimeoutMs", p->connect_ms, HOUR_MS);
    p->first_byte_ms = bounded(conf, "firstByteTimeoutMs", p->first_byte_ms, HOUR_MS);
    p->idle_ms = bounded(conf, "idleTimeoutMs", p->idle_ms, HOUR_MS);
    p->attempts = bounded(conf, "attempts", p->attempts, 10);
    p->wait_ms = bounded(conf, "retryMinMs", p->wait_ms, HOUR_MS);
    p->wait_max_ms = bounded(conf, "retryMaxMs", p->wait_max_ms, HOUR_MS);
}

static int read_model(struct model *m, const json_t *conf, struct err *e)
{
    const json_t *compat = json_object_get(conf, "compat"), *cost = json_object_get(conf, "cost");

    m->id = dup_view(json_is_string(conf) ? json_view_of(conf) : json_view(conf, "id"));
    m->api = dup_view(json_view(conf, "api"));
    m->max_tokens_field = dup_view(json_view(compat, "maxTokensField"));
    m->max_tokens = bounded(conf, "maxTokens", 0, INT32_MAX);
    m->reasoning = json_flag(conf, "reasoning", false);
    m->no_stream_usage = !json_flag(compat, "supportsUsageInStreaming", true);
    m->cost = (struct reply_cost){
        .input = json_number_value(json_object_get(cost, "input")),
        .output = json_number_value(json_object_get(cost, "output")),
        .cache_read = json_number_value(json_object_get(cost, "cacheRead")),
        .cache_write = json_number_value(json_object_get(cost, "cacheWrite")),
    };
    return m->id ? 0 : err_set(e, ERR_INVALID, "a model has no id");
}

static int read_models(struct provider *p, const json_t *list, struct err *e)
{
    size_t i, n = json_array_size(list);
    const json_t *row;

    if (n > PROVIDER_MODELS_MAX) {
        problem(p, "too many models");
        return 0;
    }
    p->model = mem_calloc(n, sizeof(*p->model));
    if (!p->model)
        return err_set(e, ERR_NOMEM, "no memory for models");
    json_array_foreach(list, i, row)
    {
        struct err why = ERR_INIT;

        if (read_model(&p->model[p->models++], row, &why) < 0)
            problem(p, why.text);
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

static int read_provider(struct provider *p, const char *id, const json_t *conf,
                         const struct patience *patience, struct err *e)
{
    struct view api = json_view(conf, "api");
    int r;

    p->id = mem_dup(id, strlen(id));
    p->base_url = dup_view(json_view(conf, "baseUrl"));
    p->api = dup_view(api.n ? api : V("openai-completions"));
    if (!p->id || !p->api)
        return err_set(e, ERR_NOMEM, "no memory for a provider");
    check_base(p);
    if (!provider_find(view_str(p->api)))
        problem(p, "api is none that this version speaks");
    p->patience = *patience;
    read_patience(&p->patience, conf);
    if ((r = read_headers(p, json_object_get(conf, "headers"), e)) < 0 ||
        (r = read_key(p, conf, e)) < 0)
        return r;
    return read_models(p, json_object_get(conf, "models"), e);
}

static void provider_fini(struct provider *p)
{
    for (unsigned i = 0; i < p->models; i++) {
        mem_free(p->model[i].id);
        mem_free(p->model[i].api);
        mem_free(p->model[i].max_tokens_field);
    }
    mem_free(p->model);
    for (unsigned i = 0; i < p->lines; i++)
        secret_fini(&p->line[i]);
    secret_fini(&p->key);
    mem_free(p->id);
    mem_free(p->base_url);
    mem_free(p->api);
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
    read_patience(&m->patience, json_at(conf, "models.transport"));
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
        if (view_eq(view_str(p->model[i].id), id))
            return &p->model[i];
    return NULL;
}

/* The maker's own service takes fields that its imitators refuse. */
static bool is_native(struct view base)
{
    return view_starts(base, V("https://api.openai.com")) ||
           view_starts(base, V("https://api.anthropic.com"));
}

static void add_fixed_lines(struct model_route *out)
{
    for (unsigned i = 0; out->ops->lines && out->ops->lines[i]; i++)
        if (out->line_count < HTTP_LINES_MAX - 1)
            out->lines[out->line_count++] = out->ops->lines[i];
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
        fail_set(why, FAIL_CONFIG, "model %.100s: api %.40s is none that this version speaks",
                 row->id, row->api);
        return false;
    }
    out->patience = p->patience;
    out->spec.base_url = view_str(p->base_url);
    out->spec.native = is_native(out->spec.base_url);
    if (row) {
        out->spec.max_tokens = row->max_tokens;
        out->spec.max_tokens_field = view_str(row->max_tokens_field);
        out->spec.reasoning = row->reasoning;
        out->spec.no_stream_usage = row->no_stream_usage;
        out->spec.cost = row->cost;
    }
    for (unsigned i = 0; i < p->lines; i++)
        out->lines[out->line_count++] = (const char *)p->line[i].p;
    add_fixed_lines(out);
    out->key = view_of((const char *)p->key.p, p->key.n);
    return true;
}
