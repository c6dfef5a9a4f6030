#include "config_int.h"

#include "json.h"
#include "mem.h"
#include "num.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>

enum { ECHO_MAX = 48 }; /* bytes of a wrong value that a message repeats */

/* Report a wrong value; the value itself only when it cannot be a secret. */
static int wrong(struct config_walk *w, const json_t *v, const char *why)
{
    struct buf b = BUF_INIT(4096);
    struct err e = ERR_INIT;
    struct view text;

    if (!w->echo || json_is_object(v) || json_is_array(v) || json_dump(v, &b, &e) < 0) {
        config_error(w, "%s", why);
    } else {
        text = buf_view(&b);
        config_error(w, "%.*s%s: %s",
                     VIEW_FMT(view_of(text.p, text.n > ECHO_MAX ? ECHO_MAX : text.n)),
                     text.n > ECHO_MAX ? "..." : "", why);
    }
    buf_fini(&b);
    return ERR_INVALID;
}

static bool is_ip(struct view v, bool net)
{
    size_t slash = net ? view_find(v, '/') : v.n;
    unsigned char addr[16];
    struct err e = ERR_INIT;
    char text[64];
    uint32_t bits;
    int family;

    if (slash >= sizeof(text) || memchr(v.p, 0, slash))
        return false;
    memcpy(text, v.p, slash);
    text[slash] = 0;
    family = strchr(text, ':') ? AF_INET6 : AF_INET;
    if (inet_pton(family, text, addr) != 1)
        return false;
    return slash == v.n ||
           num_u32(view_from(v, slash + 1), 0, family == AF_INET ? 32 : 128, &bits, &e) == 0;
}

bool config_loopback(struct view host)
{
    return is_ip(host, false) && (view_starts(host, V("127.")) || view_eq(host, V("::1")));
}

static bool all(struct view v, const char *also)
{
    for (size_t i = 0; i < v.n; i++) {
        char c = v.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              (c && strchr(also, c))))
            return false;
    }
    return true;
}

static bool no_controls(struct view v)
{
    for (size_t i = 0; i < v.n; i++)
        if ((unsigned char)v.p[i] < 0x20 || v.p[i] == 0x7f)
            return false;
    return true;
}

/* scheme://host[:port] of http or https; what follows goes to *rest. */
static bool authority(struct view v, struct view *rest)
{
    size_t skip = view_starts(v, V("https://")) ? 8 : view_starts(v, V("http://")) ? 7 : 0;
    struct view host;
    struct err e = ERR_INIT;
    uint32_t port;
    size_t n = 0;

    if (!skip)
        return false;
    host = view_from(v, skip);
    while (n < host.n && !strchr("/?#", host.p[n]))
        n++;
    *rest = view_from(host, n);
    host.n = n;
    if (host.n && host.p[0] == '[') {
        size_t close = view_find(host, ']');

        if (close == host.n || !is_ip(view_of(host.p + 1, close - 1), false))
            return false;
        host = view_from(host, close + 1);
        return host.n == 0 ||
               (host.p[0] == ':' && num_u32(view_from(host, 1), 1, 65535, &port, &e) == 0);
    }
    n = view_find(host, ':');
    if (n == 0 || (n < host.n && num_u32(view_from(host, n + 1), 1, 65535, &port, &e) < 0))
        return false;
    return host.n > 0 && all(view_of(host.p, n), ".-_");
}

/* "provider/model", split at the first slash; or the alias of one, which config_rules looks up. */
static bool is_modelref(struct view v)
{
    size_t slash = view_find(v, '/');

    return slash > 0 && slash + 1 != v.n && all(view_of(v.p, slash), "._-") && no_controls(v) &&
           view_find(v, ' ') == v.n;
}

const char *config_text_fault(const char *of, struct view v)
{
    struct view rest = VIEW_EMPTY;

    if (strcmp(of, "id") == 0)
        return v.n && v.n <= 64 && all(v, "._-") && (v.p[0] != '.' && v.p[0] != '-')
                   ? NULL
                   : "a name is 1 to 64 letters, digits, dots, _ or -";
    if (strcmp(of, "ip") == 0)
        return is_ip(v, true) ? NULL : "must be an IP address";
    if (strcmp(of, "origin") == 0)
        return view_eq(v, V("*")) || (authority(v, &rest) && rest.n == 0)
                   ? NULL
                   : "must be an origin: http(s)://host[:port] without a path";
    if (strcmp(of, "path") == 0)
        return no_controls(v) ? NULL : "must be a path without control characters";
    if (strcmp(of, "header") == 0)
        return v.n && v.n <= 128 && all(v, "!#$%&'*+-.^_`|~") ? NULL
                                                              : "must be the name of a header";
    if (strcmp(of, "headervalue") == 0)
        return no_controls(v) ? NULL : "a header's value holds no control characters";
    if (strcmp(of, "modelref") == 0)
        return is_modelref(v) ? NULL : "must be \"provider/model\"";
    if (strcmp(of, "tz") == 0)
        return all(v, "/_+-") ? NULL : "must be a time zone such as Europe/Berlin";
    return NULL;
}

static int check_text(struct config_walk *w, const struct config_key *k, const json_t *v)
{
    struct view text = json_view_of(v), rest = VIEW_EMPTY;
    const char *fault;
    char why[128];

    if (memchr(text.p, 0, text.n))
        return wrong(w, v, "holds a NUL character");
    if (text.n < k->min && !text.n)
        return wrong(w, v, "must not be empty");
    if (k->max && (text.n < k->min || text.n > k->max)) {
        (void)snprintf(why, sizeof(why), "%zu bytes, must be %" PRIu64 " to %" PRIu64, text.n,
                       k->min, k->max);
        return wrong(w, v, why);
    }
    if (k->type == CT_URL) {
        if (view_find(text, '@') < text.n) /* also keeps secrets out of what is shown */
            return wrong(w, NULL, "must hold no user or password; use apiKey or headers");
        if (!no_controls(text) || view_find(text, ' ') < text.n || view_find(text, '#') < text.n ||
            !authority(text, &rest))
            return wrong(w, v, "must be an address http(s)://host[:port]/path");
        return 0;
    }
    fault = config_text_fault(k->type == CT_MODELREF ? "modelref" : k->of, text);
    return fault && text.n ? wrong(w, v, fault) : 0;
}

static int check_enum(struct config_walk *w, const struct config_key *k, const json_t *v)
{
    const char *list = k->of;
    struct view choice;
    char why[512];

    while (config_choice(&list, &choice))
        if (view_eq(choice, json_view_of(v)))
            return 0;
    (void)snprintf(why, sizeof(why), "must be one of %s", k->of);
    for (char *c = why; *c; c++)
        if (*c == '|')
            *c = ' ';
    return wrong(w, v, why);
}

static int check_number(struct config_walk *w, const struct config_key *k, const json_t *v,
                        json_t **out)
{
    double d = json_number_value(v);
    char why[128];

    if (k->type == CT_NUM)
        (void)snprintf(why, sizeof(why), "must be a number from %" PRIu64 " to %" PRIu64, k->min,
                       k->max);
    else
        (void)snprintf(why, sizeof(why), "must be a whole number from %" PRIu64 " to %" PRIu64,
                       k->min, k->max);
    if (!json_is_number(v) || d < (double)k->min || d > (double)k->max)
        return wrong(w, v, why);
    if (k->type == CT_NUM || json_is_integer(v))
        return 0;
    if (d != (double)(json_int_t)d) /* in range: max is far below 2^53 */
        return wrong(w, v, why);
    *out = json_integer((json_int_t)d);
    return *out ? 0 : ERR_NOMEM;
}

/* An element of a list of texts, at w->path. */
static int check_item(struct config_walk *w, const struct config_key *k, json_t *list, size_t i)
{
    json_t *v = json_array_get(list, i), *new = NULL;
    const char *fault;
    int r;

    if (!json_is_string(v))
        return wrong(w, v, "must be a text");
    if ((r = config_expand(w, v, &new)) < 0)
        return r;
    if (new) {
        if (json_array_set_new(list, i, new) < 0)
            return ERR_NOMEM;
        v = new;
    }
    if (memchr(json_view_of(v).p, 0, json_view_of(v).n))
        return wrong(w, v, "holds a NUL character");
    if (json_view_of(v).n == 0 || json_view_of(v).n > 1024)
        return wrong(w, v, "must be 1 to 1024 bytes");
    fault = config_text_fault(k->of, json_view_of(v));
    return fault ? wrong(w, v, fault) : 0;
}

static int check_list(struct config_walk *w, const struct config_key *k, json_t *v)
{
    bool bad = false;
    char why[96];

    if (!json_is_array(v))
        return wrong(w, v, "must be a list of texts");
    if (json_array_size(v) > k->max) {
        (void)snprintf(why, sizeof(why), "%zu entries, limit %" PRIu64, json_array_size(v), k->max);
        return wrong(w, v, why);
    }
    for (size_t i = 0; i < json_array_size(v); i++) {
        bool echo = w->echo;
        int r;

        config_path_index(&w->path, i);
        r = check_item(w, k, v, i);
        config_path_pop(&w->path);
        w->echo = echo;
        if (r == ERR_NOMEM)
            return r;
        bad |= r < 0;
    }
    return bad ? ERR_INVALID : 0;
}

int config_value(struct config_walk *w, const struct config_key *k, json_t *v, json_t **out)
{
    int r = 0;

    *out = NULL;
    /* who puts the token in the wrong place of gateway.auth does not find it in the log */
    w->echo = !(k->flags & K_SECRET) && strncmp(k->path, "gateway.auth.", 13) != 0;
    switch (k->type) {
    case CT_BOOL:
        return json_is_boolean(v) ? 0 : wrong(w, v, "must be true or false");
    case CT_U16:
    case CT_U32:
    case CT_U64:
    case CT_MS:
    case CT_NUM:
        return check_number(w, k, v, out);
    case CT_STRLIST:
        return check_list(w, k, v);
    case CT_MAP:
        return wrong(w, v, "must be a map {...}");
    case CT_LIST:
        return wrong(w, v, "must be a list [...]");
    case CT_ANY:
        return 0;
    case CT_SECRET:
    case CT_STR:
    case CT_ENUM:
    case CT_URL:
    case CT_MODELREF:
        break;
    }
    if (k->type == CT_SECRET && json_is_object(v))
        r = config_secret_ref(w, v, out);
    else if (!json_is_string(v))
        return wrong(w, v,
                     k->type == CT_SECRET ? "must be a text or {source, provider, id}"
                                          : "must be a text");
    else
        r = config_expand(w, v, out);
    if (r == 0)
        r = k->type == CT_ENUM ? check_enum(w, k, *out ? *out : v)
                               : check_text(w, k, *out ? *out : v);
    if (r < 0) {
        json_decref(*out);
        *out = NULL;
    }
    return r;
}
