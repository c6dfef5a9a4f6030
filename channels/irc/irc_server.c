#include "irc_server.h"

#include "num.h"

void irc_server_init(struct irc_server *s)
{
    *s = (struct irc_server){.casemap = IRC_CASE_RFC1459, .nick_max = IRC_NICK_MAX};
    memcpy(s->channel_kinds, "#&", 3);
    memcpy(s->status_kinds, "@+", 3);
}

static void keep(char room[IRC_KINDS_MAX], struct view v)
{
    size_t n = v.n < IRC_KINDS_MAX - 1 ? v.n : IRC_KINDS_MAX - 1;

    memcpy(room, v.p, n);
    room[n] = '\0';
}

void irc_server_learn(struct irc_server *s, const struct irc_line *l)
{
    for (unsigned i = 1; i + 1 < l->n; i++) { /* the first is our nick, the last a sentence */
        size_t eq = view_find(l->param[i], '=');
        struct view key = view_of(l->param[i].p, eq), value = view_from(l->param[i], eq + 1);
        struct err e = ERR_INIT;
        uint32_t n;

        if (view_eq(key, V("CASEMAPPING")))
            s->casemap = view_eq(value, V("ascii"))            ? IRC_CASE_ASCII
                         : view_eq(value, V("strict-rfc1459")) ? IRC_CASE_STRICT
                                                               : IRC_CASE_RFC1459;
        else if (view_eq(key, V("CHANTYPES")))
            keep(s->channel_kinds, value);
        else if (view_eq(key, V("STATUSMSG")))
            keep(s->status_kinds, value);
        else if (view_eq(key, V("NICKLEN")) && num_u32(value, 1, IRC_NICK_MAX, &n, &e) == 0)
            s->nick_max = n;
    }
}

/* {}|^ are the small letters of []\~ to the older mappings: the network began in Finland. */
static char fold(enum irc_casemap m, char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c + 32);
    if (m != IRC_CASE_ASCII && (c == '[' || c == ']' || c == '\\'))
        return (char)(c + 32);
    if (m == IRC_CASE_RFC1459 && c == '~')
        return '^';
    return c;
}

bool irc_same(const struct irc_server *s, struct view a, struct view b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (fold(s->casemap, a.p[i]) != fold(s->casemap, b.p[i]))
            return false;
    return true;
}

static bool one_of(const char *kinds, char c)
{
    return c != '\0' && strchr(kinds, c) != NULL;
}

bool irc_is_channel(const struct irc_server *s, struct view name)
{
    return name.n > 1 && one_of(s->channel_kinds, name.p[0]);
}

struct view irc_without_status(const struct irc_server *s, struct view target)
{
    if (target.n > 2 && one_of(s->status_kinds, target.p[0]) &&
        irc_is_channel(s, view_from(target, 1)))
        return view_from(target, 1);
    return target;
}

bool irc_is_target(struct view name)
{
    if (!name.n || name.n > 200 || name.p[0] == ':')
        return false;
    for (size_t i = 0; i < name.n; i++)
        if ((unsigned char)name.p[i] <= ' ' || name.p[i] == ',' || name.p[i] == 0x7f)
            return false;
    return true;
}
