/* workers/hub/http_text.c - headers, queries and escapes of HTTP requests (http.h). */
#include "http.h"

struct view http_header(const struct http_request *r, struct view name)
{
    struct view all = r->headers;

    while (all.n) {
        size_t end = view_find(all, '\n');
        struct view line = view_of(all.p, end);

        all = view_from(all, end + 1);
        if (line.n > name.n + 1 && view_starts(line, name) && line.p[name.n] == ':')
            return view_trim(view_from(line, name.n + 1));
    }
    return VIEW_EMPTY;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool http_unescape(struct view text, bool plus, struct buf *out)
{
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];

        if (c == '%') {
            int a = text.n - i > 2 ? hex(text.p[i + 1]) : -1;
            int b = text.n - i > 2 ? hex(text.p[i + 2]) : -1;

            if (a < 0 || b < 0)
                return false;
            c = (char)(a << 4 | b);
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        if ((unsigned char)c < ' ' || c == 0x7f)
            return false;
        buf_put_char(out, c);
    }
    return !out->failed;
}

bool http_query(const struct http_request *r, struct view name, struct buf *out)
{
    struct view all = r->query;

    while (all.n) {
        size_t end = view_find(all, '&');
        struct view part = view_of(all.p, end);
        size_t eq = view_find(part, '=');

        all = view_from(all, end + 1);
        if (view_eq(view_of(part.p, eq), name))
            return http_unescape(view_from(part, eq + 1), true, out);
    }
    return false;
}
