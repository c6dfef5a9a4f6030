#include "irc_line.h"

/* What stands before the next space; *rest: what stands behind it, without the spaces between. */
static struct view word(struct view *rest)
{
    size_t n = view_find(*rest, ' ');
    struct view w = view_of(rest->p, n);

    while (n < rest->n && rest->p[n] == ' ')
        n++;
    *rest = view_from(*rest, n);
    return w;
}

static void read_prefix(struct irc_line *l)
{
    size_t at = view_find(l->prefix, '@'), bang = view_find(l->prefix, '!');

    if (at < l->prefix.n)
        l->host = view_from(l->prefix, at + 1);
    if (bang < at) {
        l->user = view_of(l->prefix.p + bang + 1, at - bang - 1);
        at = bang;
    }
    l->nick = view_of(l->prefix.p, at);
}

bool irc_parse(struct view line, struct irc_line *out)
{
    struct irc_line l = {.n = 0};
    struct view rest = line;

    if (view_find(line, '\0') < line.n)
        return false;
    if (rest.n && rest.p[0] == '@') {
        rest = view_from(rest, 1);
        l.tags = word(&rest);
    }
    if (rest.n && rest.p[0] == ':') {
        rest = view_from(rest, 1);
        l.prefix = word(&rest);
        read_prefix(&l);
    }
    l.command = word(&rest);
    if (!l.command.n || l.command.p[0] == ':')
        return false;
    while (rest.n && l.n < IRC_PARAMS_MAX) {
        if (rest.p[0] == ':' || l.n == IRC_PARAMS_MAX - 1) {
            l.param[l.n++] = view_from(rest, rest.p[0] == ':');
            break;
        }
        l.param[l.n++] = word(&rest);
    }
    *out = l;
    return true;
}

struct view irc_param(const struct irc_line *l, unsigned i)
{
    return i < l->n ? l->param[i] : VIEW_EMPTY;
}

static void unescape(struct view v, struct buf *out)
{
    for (size_t i = 0; i < v.n; i++) {
        char c = v.p[i];

        if (c == '\\') {
            if (++i == v.n) /* a lone one at the end is dropped */
                break;
            c = v.p[i] == ':'   ? ';'
                : v.p[i] == 's' ? ' '
                : v.p[i] == 'r' ? '\r'
                : v.p[i] == 'n' ? '\n'
                                : v.p[i];
        }
        buf_put_char(out, c);
    }
}

bool irc_tag(const struct irc_line *l, struct view key, struct buf *out)
{
    struct view rest = l->tags;

    while (rest.n) {
        size_t end = view_find(rest, ';');
        struct view one = view_of(rest.p, end);
        size_t eq = view_find(one, '=');

        if (view_eq(view_of(one.p, eq), key)) {
            unescape(view_from(one, eq + 1), out);
            return true;
        }
        rest = view_from(rest, end + 1);
    }
    return false;
}

int irc_numeric(const struct irc_line *l)
{
    int n = 0;

    if (l->command.n != 3)
        return -1;
    for (size_t i = 0; i < 3; i++) {
        if (l->command.p[i] < '0' || l->command.p[i] > '9')
            return -1;
        n = n * 10 + (l->command.p[i] - '0');
    }
    return n;
}

static bool fits(struct view v, bool last)
{
    if (!last && (!v.n || v.p[0] == ':'))
        return false;
    for (size_t i = 0; i < v.n; i++)
        if (v.p[i] == '\r' || v.p[i] == '\n' || v.p[i] == '\0' || (!last && v.p[i] == ' '))
            return false;
    return true;
}

bool irc_put(struct buf *out, const char *command, const struct view *params, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (!fits(params[i], i + 1 == n))
            return false;
    buf_put_str(out, command);
    for (unsigned i = 0; i < n; i++) {
        buf_put_char(out, ' ');
        if (i + 1 == n)
            buf_put_char(out, ':');
        buf_put_view(out, params[i]);
    }
    buf_put_str(out, "\r\n");
    return !out->failed;
}
