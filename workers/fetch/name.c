#include "name.h"

#include "utf8.h"

#include <stdbool.h>
#include <string.h>

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool unfit(unsigned char c)
{
    return c < 0x20 || c == 0x7f || c == '/' || c == '\\' || c == ':' || c == '"';
}

/* What is not good in a name becomes '_'; quoted: \x stands for x; coded: %41 for A. */
static void put(struct view v, bool quoted, bool coded, char out[FETCH_NAME_BYTES])
{
    size_t n = 0;

    for (size_t i = 0; i < v.n && n < FETCH_NAME_BYTES - 1; i++) {
        char c = v.p[i];

        if (quoted && c == '\\' && i + 1 < v.n)
            c = v.p[++i];
        else if (coded && c == '%' && v.n - i > 2 && hex(v.p[i + 1]) >= 0 && hex(v.p[i + 2]) >= 0) {
            c = (char)(hex(v.p[i + 1]) * 16 + hex(v.p[i + 2]));
            i += 2;
        }
        if (c == '.' && n == 0) /* no hidden file, and not the folder above */
            continue;
        out[n++] = unfit((unsigned char)c) ? '_' : c;
    }
    while (n && !utf8_valid(view_of(out, n))) /* cut in the middle of a character, or not UTF-8 */
        n--;
    out[n] = '\0';
}

/* The value of a parameter "; key=value" or "; key="value"". */
static bool parameter(struct view head, const char *key, struct view *out, bool *quoted)
{
    size_t k = strlen(key);

    for (head = view_from(head, view_find(head, ';')); head.n;
         head = view_from(head, view_find(head, ';'))) {
        struct view p = view_trim(view_from(head, 1));
        size_t end;

        head = p;
        if (p.n <= k || !view_ieq(view_of(p.p, k), view_str(key)) || p.p[k] != '=')
            continue;
        p = view_from(p, k + 1);
        *quoted = p.n && *p.p == '"';
        if (!*quoted) {
            *out = view_trim(view_of(p.p, view_find(p, ';')));
            return out->n > 0;
        }
        p = view_from(p, 1);
        for (end = 0; end < p.n && p.p[end] != '"'; end++)
            end += p.p[end] == '\\' && end + 1 < p.n;
        *out = view_of(p.p, end < p.n ? end : p.n);
        return out->n > 0;
    }
    return false;
}

static struct view last_of_path(struct view url)
{
    static const struct view sep = {"://", 3};
    size_t i = 0, end;

    while (i + sep.n <= url.n && !view_eq(view_of(url.p + i, sep.n), sep))
        i++;
    url = i + sep.n <= url.n ? view_from(url, i + sep.n) : VIEW_EMPTY;
    url = view_of(url.p, view_find(url, '?'));
    url = view_of(url.p, view_find(url, '#'));
    if (view_find(url, '/') == url.n)
        return VIEW_EMPTY; /* a host and nothing behind it */
    for (end = url.n; end && url.p[end - 1] != '/'; end--)
        ;
    return view_from(url, end);
}

void name_of(struct view disposition, struct view url, char out[FETCH_NAME_BYTES])
{
    static const struct view utf8 = {"UTF-8''", 7};
    struct view v;
    bool quoted = false;

    out[0] = '\0';
    if (parameter(disposition, "filename*", &v, &quoted) && v.n > utf8.n &&
        view_ieq(view_of(v.p, utf8.n), utf8))
        put(view_from(v, utf8.n), false, true, out);
    if (!out[0] && parameter(disposition, "filename", &v, &quoted))
        put(v, quoted, false, out);
    if (!out[0])
        put(last_of_path(url), false, true, out);
}
