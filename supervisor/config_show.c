#include "config_int.h"

#include "config_text.h"
#include "json.h"
#include "mem.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>

enum { SHOWN_MAX = 16 * 1024 * 1024, KEY_RUN_MAX = 20 };

static bool contains(struct view v, struct view part)
{
    return part.n && part.n <= v.n && memmem(v.p, v.n, part.p, part.n) != NULL;
}

/* Names under which people keep secrets, in maps we know nothing about. */
static bool secret_name(struct view name)
{
    static const char *const words[] = {"token", "secret", "passw", "key",
                                        "auth",  "cred",   "cookie"};
    char low[64];
    size_t n = name.n < sizeof(low) ? name.n : sizeof(low) - 1;

    for (size_t i = 0; i < n; i++)
        low[i] = name.p[i] >= 'A' && name.p[i] <= 'Z' ? (char)(name.p[i] + 32) : name.p[i];
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (contains(view_of(low, n), view_str(words[i])))
            return true;
    return name.n >= sizeof(low);
}

/* Whether the text or number here is kept back: secrets, and all that the table does not know or
 * use. */
static bool hidden(struct config_path *p, struct view text)
{
    const struct config_key *k = config_key_find(p);
    const struct config_key *over = k ? k : config_key_over(p);

    if (!over || over->flags & K_LATER)
        return true;
    if (over->flags & K_SECRET)
        return k || over->type == CT_ANY; /* the parts of a reference are names, not secrets */
    if (over->type == CT_URL)
        return view_find(text, '?') < text.n || view_find(text, '@') < text.n;
    if (k && k->type != CT_ANY)
        return false;
    if (over->type != CT_ANY)
        return !(over->type == CT_STRLIST && p->n && !p->part[p->n - 1].key.p);
    for (unsigned i = 0; i < p->n; i++)
        if (p->part[i].key.p && secret_name(p->part[i].key))
            return true;
    return false;
}

struct shade {
    struct config_path path;
    struct err *e;
};

static int shade(struct shade *s, json_t *v, json_t **out);

static int shade_parts(struct shade *s, json_t *v)
{
    int r = 0;

    for (void *it = json_object_iter(v); it && r == 0; it = json_object_iter_next(v, it)) {
        json_t *new = NULL;

        config_path_key(&s->path, view_of(json_object_iter_key(it), json_object_iter_key_len(it)));
        r = shade(s, json_object_iter_value(it), &new);
        config_path_pop(&s->path);
        if (r == 0 && new &&json_object_iter_set_new(v, it, new) < 0)
            r = err_set(s->e, ERR_NOMEM, "out of memory for config.get");
    }
    for (size_t i = 0; i < json_array_size(v) && r == 0; i++) {
        json_t *new = NULL;

        config_path_index(&s->path, i);
        r = shade(s, json_array_get(v, i), &new);
        config_path_pop(&s->path);
        if (r == 0 && new &&json_array_set_new(v, i, new) < 0)
            r = err_set(s->e, ERR_NOMEM, "out of memory for config.get");
    }
    return r;
}

static int shade(struct shade *s, json_t *v, json_t **out)
{
    if (json_is_object(v) || json_is_array(v))
        return shade_parts(s, v);
    if (json_is_boolean(v) || json_is_null(v) || !hidden(&s->path, json_view_of(v)))
        return 0;
    *out = json_string(CONFIG_SENTINEL);
    return *out ? 0 : err_set(s->e, ERR_NOMEM, "out of memory for config.get");
}

/* A copy without secrets. */
static int shaded(const json_t *doc, json_t **out, struct err *e)
{
    struct shade s = {.e = e};
    json_t *copy = json_deep_copy(doc), *none = NULL;
    int r;

    if (!copy)
        return err_set(e, ERR_NOMEM, "out of memory for config.get");
    if ((r = shade(&s, copy, &none)) < 0)
        json_decref(copy);
    else
        *out = copy;
    return r;
}

/* ---- the file's text ---- */

struct ink {
    const char *at; /* what is copied so far */
    struct buf out;
    bool doubt; /* something may be left that should not be seen */
};

static bool on_spot(void *ctx, const struct config_spot *spot)
{
    struct ink *k = ctx;
    struct view v = spot->value;
    bool word = v.n && !strchr("\"'+-.0123456789", v.p[0]); /* true, false, null */

    if (spot->open || word || !hidden(spot->path, v))
        return true;
    buf_put(&k->out, k->at, (size_t)(v.p - k->at));
    buf_put_str(&k->out, "\"" CONFIG_SENTINEL "\"");
    k->at = v.p + v.n;
    return true;
}

/* A comment may hold an old key: then the text is not shown. */
static void on_comment(void *ctx, struct view c)
{
    struct ink *k = ctx;
    size_t run = 0;

    for (size_t i = 0; i < c.n; i++) {
        char x = c.p[i];

        run = (x >= 'a' && x <= 'z') || (x >= 'A' && x <= 'Z') || (x >= '0' && x <= '9') ||
                      x == '_' || x == '-'
                  ? run + 1
                  : 0;
        k->doubt |= run > KEY_RUN_MAX;
    }
    k->doubt |= secret_name(c.n < 64 ? c : view_of(c.p, 63));
    for (size_t i = 32; i < c.n && !k->doubt; i += 32) /* in windows that overlap */
        k->doubt = secret_name(view_of(c.p + i, c.n - i < 63 ? c.n - i : 63));
}

/* Whether a text that is hidden in the document is still to be seen. */
static bool leaks(struct view text, struct config_path *p, const json_t *v)
{
    bool found = false;
    json_t *x = (json_t *)(uintptr_t)v; /* jansson's iterators know no const */

    for (void *it = json_object_iter(x); it && !found; it = json_object_iter_next(x, it)) {
        config_path_key(p, view_of(json_object_iter_key(it), json_object_iter_key_len(it)));
        found = leaks(text, p, json_object_iter_value(it));
        config_path_pop(p);
    }
    for (size_t i = 0; i < json_array_size(v) && !found; i++) {
        config_path_index(p, i);
        found = leaks(text, p, json_array_get(v, i));
        config_path_pop(p);
    }
    return found ||
           (json_view_of(v).n >= 4 && hidden(p, json_view_of(v)) &&
            !view_eq(json_view_of(v), V(CONFIG_SENTINEL)) && contains(text, json_view_of(v)));
}

/* The file's text with the same values blacked out; null when that cannot be done for sure. */
static int raw_text(const struct config *c, json_t **out, struct err *e)
{
    struct ink k = {.at = buf_view(&c->raw).p, .out = BUF_INIT(SHOWN_MAX)};
    const struct config_text t = {.on_spot = on_spot, .on_comment = on_comment, .ctx = &k};
    const char *end = buf_view(&c->raw).p + c->raw.n;
    struct config_path p = {.n = 0};

    if (c->exists) {
        config_text_walk(&t, buf_view(&c->raw));
        buf_put(&k.out, k.at, (size_t)(end - k.at));
        k.doubt |= k.out.failed || leaks(buf_view(&k.out), &p, c->source);
    }
    *out = c->exists && !k.doubt ? json_stringn(buf_view(&k.out).p, k.out.n) : json_null();
    buf_fini(&k.out);
    return *out ? 0 : err_set(e, ERR_NOMEM, "out of memory for config.get");
}

int config_hash(const struct config *c, struct view key, json_t **out, struct err *e)
{
    static const char hex[] = "0123456789abcdef";
    char text[32 + 2 * EVP_MAX_MD_SIZE] = "hmac-sha256:v1:";
    unsigned char mac[EVP_MAX_MD_SIZE];
    struct view raw = buf_view(&c->raw);
    char *at = text + strlen(text);
    unsigned n = 0;

    if (!HMAC(EVP_sha256(), key.p, (int)key.n, (const unsigned char *)raw.p, raw.n, mac, &n))
        return err_set(e, ERR_NOMEM, "cannot hash the configuration");
    for (unsigned i = 0; i < n; i++) {
        *at++ = hex[mac[i] >> 4];
        *at++ = hex[mac[i] & 15];
    }
    *at = 0;
    *out = json_string(text);
    return *out ? 0 : err_set(e, ERR_NOMEM, "out of memory for config.get");
}

static int issues(const struct config_report *report, bool errors, json_t **out, struct err *e)
{
    json_t *list = json_array();

    for (unsigned i = 0; report && i < report->count; i++) {
        const struct config_issue *x = &report->issue[i];
        json_t *item = x->error == errors
                           ? json_pack("{s:s, s:s}", "path", x->path ? x->path : "", "message",
                                       x->text ? x->text : "out of memory")
                           : NULL;

        if (x->error == errors && (!item || json_array_append_new(list, item) < 0)) {
            json_decref(list);
            return err_set(e, ERR_NOMEM, "out of memory for config.get");
        }
    }
    *out = list;
    return list ? 0 : err_set(e, ERR_NOMEM, "out of memory for config.get");
}

int config_redacted(const struct config *c, const struct config_report *report,
                    struct view hash_key, json_t **out, struct err *e)
{
    json_t *source = NULL, *full = NULL, *raw = NULL, *hash = NULL, *bad = NULL, *warn = NULL;
    json_t *doc = NULL;
    int r;

    if ((r = shaded(c->source, &source, e)) < 0 || (r = shaded(c->shown, &full, e)) < 0 ||
        (r = raw_text(c, &raw, e)) < 0 || (r = config_hash(c, hash_key, &hash, e)) < 0 ||
        (r = issues(report, true, &bad, e)) < 0 || (r = issues(report, false, &warn, e)) < 0)
        goto out;
    doc = json_pack("{s:s, s:b, s:O, s:O, s:O, s:O, s:O, s:O, s:b, s:O, s:O, s:O, s:[]}", "path",
                    c->path, "exists", c->exists, "raw", raw, "parsed", source, "sourceConfig",
                    source, "resolved", full, "runtimeConfig", full, "config", full, "valid",
                    !report || report->errors == 0, "hash", hash, "issues", bad, "warnings", warn,
                    "legacyIssues");
    if (!doc)
        r = err_set(e, ERR_NOMEM, "out of memory for config.get");
    else
        *out = doc;
out:
    json_decref(source);
    json_decref(full);
    json_decref(raw);
    json_decref(hash);
    json_decref(bad);
    json_decref(warn);
    return r;
}
