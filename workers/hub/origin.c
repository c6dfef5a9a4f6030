#include "origin.h"

/* host[:port] and host of "scheme://host[:port]"; false when it is no such thing ("null", file:).
 */
static bool parse(struct view origin, struct view *authority, struct view *name)
{
    static const struct view schemes[] = {{"http://", 7}, {"https://", 8}};
    struct view rest = VIEW_EMPTY;
    size_t end;

    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
        if (origin.n > schemes[i].n && view_ieq(view_of(origin.p, schemes[i].n), schemes[i]))
            rest = view_from(origin, schemes[i].n);
    end = view_find(rest, '/');
    *authority = view_of(rest.p, end);
    if (end == 0 || end + 1 < rest.n || view_find(*authority, '@') < authority->n)
        return false;
    if (authority->p[0] == '[') {
        size_t close = view_find(*authority, ']');

        if (close == authority->n || (close + 1 < authority->n && authority->p[close + 1] != ':'))
            return false; /* http://[::1].elsewhere */
        *name = view_of(authority->p + 1, close - 1);
    } else
        *name = view_of(authority->p, view_find(*authority, ':'));
    return name->n > 0;
}

static bool ends(struct view v, struct view suffix)
{
    return v.n > suffix.n && view_ieq(view_from(v, v.n - suffix.n), suffix);
}

/* The four numbers of an IPv4 address in text. */
static bool quad(struct view v, unsigned out[4])
{
    unsigned k = 0, value = 0, digits = 0;

    for (size_t i = 0; i <= v.n; i++) {
        if (i < v.n && v.p[i] >= '0' && v.p[i] <= '9') {
            value = value * 10 + (unsigned)(v.p[i] - '0');
            if (++digits > 3 || value > 255)
                return false;
        } else if (i == v.n || v.p[i] == '.') {
            if (digits == 0 || k == 4)
                return false;
            out[k++] = value;
            value = digits = 0;
        } else
            return false;
    }
    return k == 4;
}

static bool loopback_name(struct view name)
{
    unsigned q[4];

    return view_ieq(name, V("localhost")) || view_eq(name, V("::1")) ||
           (quad(name, q) && q[0] == 127);
}

static bool private_name(struct view name)
{
    unsigned q[4];

    if (ends(name, V(".local")) || ends(name, V(".ts.net")))
        return true;
    if (quad(name, q))
        return q[0] == 10 || (q[0] == 172 && q[1] >= 16 && q[1] <= 31) ||
               (q[0] == 192 && q[1] == 168) || (q[0] == 169 && q[1] == 254);
    return view_find(name, ':') < name.n && name.n > 2 && ((name.p[0] | 0x20) == 'f') &&
           ((name.p[1] | 0x20) == 'c' || (name.p[1] | 0x20) == 'd' || /* unique local */
            ((name.p[1] | 0x20) == 'e' && name.p[2] == '8'));         /* link local */
}

const char *origin_refused(const struct settings *s, struct view origin, struct view host,
                           bool local)
{
    struct view authority, name;
    bool same;

    if (!parse(origin, &authority, &name))
        return "origin missing or invalid";
    if (s->origin_any)
        return NULL;
    for (unsigned i = 0; i < s->origin_count; i++)
        if (view_ieq(view_str(s->origins[i]), origin))
            return NULL;
    same = host.n && view_ieq(authority, host);
    if (same && s->origin_host_fallback)
        return NULL;
    if (local && loopback_name(name))
        return NULL;
    if (same && private_name(name))
        return NULL;
    return "origin not allowed";
}
