#include "provider.h"

#include "jw.h"
#include "mem.h"

static const struct provider_ops *const all[] = {
    &openai_ops,
    &anthropic_ops,
};

const struct provider_ops *provider_find(struct view api)
{
    for (size_t i = 0; i < COUNT_OF(all); i++)
        if (view_eq(api, view_str(all[i]->api)))
            return all[i];
    return NULL;
}

void provider_url(const struct model_spec *m, const char *path, struct buf *out)
{
    struct view base = m->base_url;

    while (view_ends(base, V("/")))
        base.n--;
    buf_put_view(out, base);
    buf_put_str(out, path);
}

uint64_t provider_max_tokens(const struct model_request *q)
{
    int64_t asked = json_i64(json_object_get(q->job, "limits"), "maxTokens", 0);

    return asked > 0 ? (uint64_t)asked : q->model->max_tokens;
}

void provider_number(const struct model_request *q, const char *from, const char *to, struct jw *w)
{
    const json_t *v = json_object_get(json_object_get(q->job, "limits"), from);

    if (!json_is_number(v))
        return;
    jw_key(w, to);
    if (json_is_integer(v))
        jw_i64(w, json_integer_value(v));
    else
        jw_dbl(w, json_number_value(v));
}

static void sample(const struct model_request *q, const char *from, const char *to,
                   double configured, struct jw *w)
{
    if (json_is_number(json_object_get(json_object_get(q->job, "limits"), from))) {
        provider_number(q, from, to, w);
    } else if (configured >= 0) {
        jw_key(w, to);
        jw_dbl(w, configured);
    }
}

void provider_sampling(const struct model_request *q, struct jw *w)
{
    sample(q, "temperature", "temperature", q->model->temperature, w);
    sample(q, "topP", "top_p", q->model->top_p, w);
}

void provider_stops(const struct model_request *q, const char *to, struct jw *w)
{
    const json_t *list = json_object_get(json_object_get(q->job, "limits"), "stop"), *v;
    size_t i;

    if (json_array_size(list) == 0)
        return;
    jw_key(w, to);
    jw_arr(w);
    json_array_foreach(list, i, v) jw_str(w, json_view_of(v));
    jw_arr_end(w);
}

/* The code unit of an escape \uXXXX at p, or -1. */
static int32_t unit(const char *p, size_t n)
{
    int32_t u = 0;

    if (n < 6 || p[0] != '\\' || p[1] != 'u')
        return -1;
    for (int i = 2; i < 6; i++) {
        int c = p[i] | 0x20;

        if (p[i] >= '0' && p[i] <= '9')
            u = u * 16 + (p[i] - '0');
        else if (c >= 'a' && c <= 'f')
            u = u * 16 + (c - 'a' + 10);
        else
            return -1;
    }
    return u;
}

static bool is_high(int32_t u)
{
    return u >= 0xd800 && u < 0xdc00;
}

static bool is_low(int32_t u)
{
    return u >= 0xdc00 && u < 0xe000;
}

/* Copies text with every lone surrogate escape replaced. */
static void mend(struct view in, struct buf *out)
{
    for (size_t i = 0; i < in.n;) {
        int32_t u = unit(in.p + i, in.n - i);
        size_t step = u >= 0 ? 6 : 1;

        if (u < 0 && in.p[i] == '\\' && i + 1 < in.n)
            step = 2; /* an escaped backslash is no beginning of an escape */
        if (is_high(u) && is_low(unit(in.p + i + 6, in.n - i - 6)))
            step = 12;
        else if (is_high(u) || is_low(u)) {
            buf_put_str(out, "\\ufffd");
            i += 6;
            continue;
        }
        buf_put(out, in.p + i, step);
        i += step;
    }
}

json_t *provider_json(struct reply *r, struct view data)
{
    struct err e = ERR_INIT;
    struct buf mended = BUF_INIT(data.n);
    json_t *doc = NULL;

    if (memmem(data.p, data.n, "\\ud", 3) || memmem(data.p, data.n, "\\uD", 3)) {
        mend(data, &mended);
        if (buf_check(&mended, &e) < 0)
            fail_set(&r->fail, FAIL_TOO_LARGE, "no memory for an event of %zu bytes", data.n);
        data = buf_view(&mended);
    }
    if (r->fail.reason == FAIL_NONE && json_parse(data, &doc, &e) < 0)
        fail_set(&r->fail, FAIL_PROTOCOL, "the model server sent a broken event: %s", e.text);
    buf_fini(&mended);
    return doc;
}
