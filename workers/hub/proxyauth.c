#include "proxyauth.h"

#include "json.h"
#include "rpc.h"

#include <stdio.h>

static struct view next_line(struct view *list)
{
    size_t end = view_find(*list, '\n');
    struct view line = view_of(list->p, end);

    *list = view_from(*list, end + 1);
    return line;
}

bool proxyauth_header(struct view list, struct view name, struct view *out)
{
    bool found = false;

    while (list.n) {
        struct view line = next_line(&list);
        size_t colon = view_find(line, ':');

        if (colon == line.n || !view_ieq(view_of(line.p, colon), name))
            continue;
        if (found)
            return false;
        found = true;
        *out = view_trim(view_from(line, colon + 1));
    }
    return found;
}

static bool named(struct view list, struct view name)
{
    while (list.n) {
        struct view line = next_line(&list);

        if (view_ieq(view_of(line.p, view_find(line, ':')), name))
            return true;
    }
    return false;
}

static bool refuse(struct proxy_claim *c, const char *reason)
{
    (void)snprintf(c->reason, sizeof(c->reason), "%s", reason);
    return false;
}

static bool missing(struct proxy_claim *c, struct view name)
{
    (void)snprintf(c->reason, sizeof(c->reason), "trusted_proxy_missing_header_%.*s",
                   (int)(name.n < 64 ? name.n : 64), name.p);
    c->missing_header = true;
    return false;
}

static bool present(struct view list, struct view name)
{
    struct view v = VIEW_EMPTY;

    return proxyauth_header(list, name, &v) && v.n;
}

/* Addresses are the same whatever their case; other names are not. */
static bool same_user(struct view a, struct view b)
{
    return view_find(a, '@') < a.n ? view_ieq(a, b) : view_eq(a, b);
}

static bool listed(const json_t *users, struct view user)
{
    json_t *u;
    size_t i;

    json_array_foreach(users, i, u) if (json_string_length(u) &&
                                        same_user(json_view_of(u), user)) return true;
    return false;
}

/* Comma or blank between names; unknown ones grant nothing. */
static unsigned read_cap(struct view v)
{
    unsigned set = 0;

    while (v.n) {
        size_t end = 0;

        while (end < v.n && v.p[end] != ',' && v.p[end] != ' ')
            end++;
        set |= (unsigned)scope_from(view_trim(view_of(v.p, end)));
        v = view_from(v, end + 1);
    }
    return scope_expand(set);
}

static bool valid_user(struct view v)
{
    if (v.n == 0 || v.n > PROXYAUTH_USER_MAX)
        return false;
    for (size_t i = 0; i < v.n; i++)
        if ((unsigned char)v.p[i] < 0x20 || v.p[i] == 0x7f)
            return false;
    return true;
}

bool proxyauth_check(const struct settings *s, const struct ipc_connect *m, struct proxy_claim *out)
{
    const json_t *conf = s->proxy, *users = json_object_get(conf, "allowUsers");
    struct view header = json_view(conf, "userHeader"), cap;
    json_t *name;
    size_t i;

    *out = (struct proxy_claim){.cap = 0};
    if (!header.n)
        return refuse(out, "trusted_proxy_config_missing");
    if (!(m->flags & CONN_PROXIED))
        return refuse(out, "trusted_proxy_untrusted_source");
    if ((m->flags & CONN_LOCAL) && !json_flag(conf, "allowLoopback", false))
        return refuse(out, "trusted_proxy_loopback_source");
    json_array_foreach(json_object_get(conf, "requiredHeaders"), i, name)
    {
        if (!present(m->headers, json_view_of(name)))
            return missing(out, json_view_of(name));
    }
    if (!present(m->headers, header))
        return missing(out, header);
    (void)proxyauth_header(m->headers, header, &out->user);
    if (!valid_user(out->user))
        return refuse(out, "trusted_proxy_user_invalid");
    if (json_array_size(users) && !listed(users, out->user))
        return refuse(out, "trusted_proxy_user_not_allowed");
    out->has_cap = named(m->headers, V("x-openclaw-scopes"));
    if (proxyauth_header(m->headers, V("x-openclaw-scopes"), &cap))
        out->cap = read_cap(cap); /* given twice: nothing */
    return true;
}

unsigned proxyauth_scopes(const struct settings *s, struct view user)
{
    unsigned set = 0;
    const char *who;
    json_t *list, *name;
    size_t i;

    json_object_foreach(s->doc ? json_at(s->doc, "gateway.auth.identityScopes") : NULL, who, list)
    {
        if (!same_user(view_str(who), user))
            continue;
        json_array_foreach(list, i, name) set |= (unsigned)scope_from(json_view_of(name));
    }
    return set;
}
