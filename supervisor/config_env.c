#include "config_int.h"

#include "fd.h"
#include "json.h"
#include "json5.h"
#include "mem.h"

#include <stdlib.h>
#include <sys/stat.h>

enum {
    EXPANDED_MAX = 64 * 1024, /* a text with its variables; the longest row takes 16 KiB */
    NAME_MAX_BYTES = 128,     /* OpenClaw's limit for ids of secrets in the environment */
    SECRET_FILE_MAX = 64 * 1024,
};

static bool name_char(char c, bool first)
{
    return (c >= 'A' && c <= 'Z') || c == '_' || (!first && c >= '0' && c <= '9');
}

/* Bytes of a variable's name at the start of v, or 0. */
static size_t name_length(struct view v)
{
    size_t n = 0;

    while (n < v.n && name_char(v.p[n], n == 0))
        n++;
    return n <= NAME_MAX_BYTES ? n : 0;
}

const char *config_env(const struct config_walk *w, const char *name)
{
    const json_t *env = json_object_get(w->doc, "env");
    const char *v = w->src->env ? w->src->env(w->src->env_ctx, name) : getenv(name);

    if (v && *v)
        return v;
    v = json_string_value(json_object_get(json_object_get(env, "vars"), name));
    if (!v)
        v = json_string_value(json_object_get(env, name));
    return v && *v ? v : NULL;
}

/* ${NAME} at the start of v: its length, and the name. */
static size_t reference(struct view v, struct view *name)
{
    size_t n;

    if (!view_starts(v, V("${")))
        return 0;
    n = name_length(view_from(v, 2));
    if (n == 0 || n + 2 >= v.n || v.p[n + 2] != '}')
        return 0;
    *name = view_of(v.p + 2, n);
    return n + 3;
}

static int put_variable(struct config_walk *w, struct view name, struct buf *b)
{
    char key[NAME_MAX_BYTES + 1] = "";
    const char *v;

    memcpy(key, name.p, name.n);
    v = config_env(w, key);
    if (!v) {
        config_error(w, "environment variable %s is not set (write $${%s} for the text itself)",
                     key, key);
        return ERR_INVALID;
    }
    buf_put_str(b, v);
    return 0;
}

int config_expand(struct config_walk *w, const json_t *text, json_t **out)
{
    struct view v = json_view_of(text), name;
    struct buf b = BUF_INIT(EXPANDED_MAX);
    bool changed = false;
    int r = 0;

    *out = NULL;
    if (view_find(v, '$') == v.n)
        return 0;
    b.secret = true;
    while (v.n && r == 0) {
        size_t n = reference(v, &name);

        if (n) {
            r = put_variable(w, name, &b);
            changed = true;
        } else if (v.p[0] == '$' && (n = reference(view_from(v, 1), &name))) {
            buf_put(&b, v.p + 1, n++); /* $${NAME} is the text ${NAME} */
            changed = true;
        } else {
            buf_put_char(&b, v.p[0]);
            n = 1;
        }
        v = view_from(v, n);
    }
    if (r == 0 && changed) {
        w->echo = false;
        if (!b.failed)
            *out = json_stringn(buf_view(&b).p, b.n);
        if (!*out) {
            config_error(w, "not valid UTF-8 or more than %d bytes once its variables are put in",
                         EXPANDED_MAX);
            r = ERR_INVALID;
        }
    }
    buf_fini(&b);
    return r;
}

static int refuse(struct config_walk *w, const char *why)
{
    config_error(w, "%s", why);
    return ERR_INVALID;
}

static int env_ref(struct config_walk *w, const char *id, json_t **out)
{
    const char *v;

    if (name_length(view_str(id)) == 0 || name_length(view_str(id)) != strlen(id))
        return refuse(w, "the id of an env reference is a name of capitals, digits and _");
    v = config_env(w, id);
    if (!v) {
        config_error(w, "environment variable %s is not set", id);
        return ERR_INVALID;
    }
    *out = json_string(v);
    return *out ? 0 : refuse(w, "the variable is not valid UTF-8");
}

/* The value a JSON pointer (RFC 6901) names, or NULL. */
static const json_t *pointer(const json_t *at, const char *p)
{
    while (at && *p == '/') {
        size_t n = strcspn(++p, "/");
        struct buf name = BUF_INIT(1024);

        for (size_t i = 0; i < n; i++) {
            bool tilde = p[i] == '~' && i + 1 < n && (p[i + 1] == '0' || p[i + 1] == '1');

            buf_put_char(&name, !tilde ? p[i] : p[i + 1] == '1' ? '/' : '~');
            i += tilde;
        }
        at = json_object_getn(at, buf_view(&name).p, name.n);
        buf_fini(&name);
        p += n;
    }
    return *p ? NULL : at;
}

static int text_of_file(struct config_walk *w, struct view text, const char *mode, const char *id,
                        json_t **out)
{
    struct err e = ERR_INIT;
    json_t *doc = NULL;
    int r = 0;

    if (strcmp(mode, "json") != 0) {
        text = view_trim(text);
        *out = text.n ? json_stringn(text.p, text.n) : NULL;
        return *out ? 0 : refuse(w, "the secret's file is empty or not UTF-8");
    }
    if (id[0] != '/')
        return refuse(w, "the id of a reference into a JSON file begins with /");
    if (json5_parse(text, &doc, &e) < 0)
        return refuse(w, "the secret's file is not JSON"); /* the parser's words could quote it */
    if (json_view_of(pointer(doc, id)).n) {
        struct view v = json_view_of(pointer(doc, id));

        *out = json_stringn(v.p, v.n);
    }
    if (!*out)
        r = refuse(w, "the secret's file holds no text under this id");
    json_decref(doc);
    return r;
}

static int read_ref(struct config_walk *w, const char *path, const char *mode, const char *id,
                    json_t **out)
{
    struct buf b = BUF_INIT(SECRET_FILE_MAX);
    const char *home = config_env(w, "HOME");
    struct buf full = BUF_INIT(4096);
    struct err e = ERR_INIT;
    struct stat st;
    int r;

    b.secret = true;
    if (path[0] == '~' && path[1] == '/' && home) {
        buf_put_str(&full, home);
        path++;
    }
    buf_put_str(&full, path);
    buf_put_char(&full, '\0');
    if (full.failed || buf_view(&full).p[0] != '/') {
        r = refuse(w, "a secret's file needs an absolute path");
    } else if ((r = fd_read_file(buf_view(&full).p, SECRET_FILE_MAX, &b, &e)) < 0) {
        config_error(w, "%s", e.text);
    } else {
        if (stat(buf_view(&full).p, &st) == 0 && st.st_mode & (S_IWOTH | S_IROTH))
            config_warn(w, "everybody on this machine can %s the secret's file",
                        st.st_mode & S_IWOTH ? "change" : "read");
        r = text_of_file(w, buf_view(&b), mode, id, out);
    }
    buf_fini(&full);
    buf_fini(&b);
    return r < 0 ? ERR_INVALID : 0;
}

static bool allowed(const json_t *provider, const char *id)
{
    const json_t *list = json_object_get(provider, "allowlist"), *item;
    size_t i;

    if (!json_is_array(list))
        return true;
    json_array_foreach(list, i, item) if (view_eq(json_view_of(item), view_str(id))) return true;
    return false;
}

static int file_ref(struct config_walk *w, const json_t *provider, const char *id, json_t **out)
{
    const char *path = json_string_value(json_object_get(provider, "path"));
    const char *mode = json_string_value(json_object_get(provider, "mode"));

    if (!provider) /* ours: no provider named, the id is the file */
        return read_ref(w, id, "singleValue", id, out);
    if (!path)
        return refuse(w, "the provider of this reference names no path");
    return read_ref(w, path, mode ? mode : "json", id, out);
}

int config_secret_ref(struct config_walk *w, const json_t *ref, json_t **out)
{
    const char *source = json_string_value(json_object_get(ref, "source"));
    const char *id = json_string_value(json_object_get(ref, "id"));
    const char *name = json_string_value(json_object_get(ref, "provider"));
    const json_t *secrets = json_object_get(w->doc, "secrets"), *provider;
    const char *of;
    const char *key;
    json_t *v;

    w->echo = false;
    json_object_foreach((json_t *)(uintptr_t)ref, key, v)
    {
        if (strcmp(key, "source") != 0 && strcmp(key, "id") != 0 && strcmp(key, "provider") != 0)
            return refuse(w, "a secret is a text or {source, provider, id}");
        if (!json_is_string(v))
            return refuse(w, "source, provider and id of a secret are texts");
    }
    if (!source || !id || !*id)
        return refuse(w, "a secret is a text or {source, provider, id}");
    if (!name)
        name = json_string_value(json_object_get(json_object_get(secrets, "defaults"), source));
    provider = name ? json_object_get(json_object_get(secrets, "providers"), name) : NULL;
    of = json_string_value(json_object_get(provider, "source"));
    if (name && !provider && strcmp(name, "default") != 0)
        return refuse(w, "the provider of this reference is not in secrets.providers");
    if (provider && (!of || strcmp(of, source) != 0))
        return refuse(w, "the provider of this reference has another source");
    if (!allowed(provider, id))
        return refuse(w, "the provider's allowlist does not name this id");
    if (strcmp(source, "env") == 0)
        return env_ref(w, id, out);
    if (strcmp(source, "file") == 0)
        return file_ref(w, provider, id, out);
    if (strcmp(source, "exec") == 0)
        return refuse(w, "secrets from programs (source: \"exec\") are refused until they can run "
                         "in a cage; use env or file");
    return refuse(w, "the source of a secret is env or file");
}
