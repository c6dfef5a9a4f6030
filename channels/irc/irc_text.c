#include "irc_text.h"

#include "utf8.h"

enum {
    HOST_MAX = 63, /* of a name in the DNS; servers cut there */
    USER_MAX = 12,
    TEXT_MIN = 64, /* never less, whatever a server claims */
};

size_t irc_room(size_t nick, size_t user, size_t host, size_t target)
{
    size_t used = 1 + nick + 1 + (user ? user : USER_MAX) + 1 + (host ? host : HOST_MAX) +
                  sizeof(" PRIVMSG ") - 1 + target + 2 + 2; /* " :" and CR LF */

    return used + TEXT_MIN <= IRC_LINE_MAX ? IRC_LINE_MAX - used : TEXT_MIN;
}

static bool goes_on(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

bool irc_piece(struct view *rest, size_t max, struct view *piece)
{
    size_t n, cut;

    for (;;) {
        while (rest->n && (rest->p[0] == '\n' || rest->p[0] == '\r'))
            *rest = view_from(*rest, 1);
        if (!rest->n)
            return false;
        n = view_find(*rest, '\n');
        if (n <= max)
            break;
        n = max;
        for (cut = n; cut > 0 && rest->p[cut] != ' '; cut--)
            ;
        if (cut == 0) /* one long word: at least not inside a character */
            for (cut = n; cut > 1 && goes_on(rest->p[cut]); cut--)
                ;
        n = cut;
        break;
    }
    *piece = view_of(rest->p, n);
    if (piece->n && piece->p[piece->n - 1] == '\r')
        piece->n--;
    *rest = view_from(*rest, n + (n < rest->n && rest->p[n] == ' '));
    return true;
}

void irc_clean(struct view text, struct buf *out)
{
    for (size_t i = 0; i < text.n;) {
        unsigned char c = (unsigned char)text.p[i];
        size_t n = c < 0x80 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
        struct utf8 u = {0};

        if (n > 1) {
            if (n <= text.n - i && utf8_feed(&u, view_of(text.p + i, n)) && utf8_done(&u)) {
                buf_put(out, text.p + i, n);
                i += n;
                continue;
            }
            buf_put_str(out, "\xef\xbf\xbd");
        } else if (c >= ' ' && c != 0x7f) {
            buf_put_char(out, (char)c);
        } else if (c == '\n' || c == 0x02 || c == 0x03 || c == 0x0f || c == 0x11 || c == 0x16 ||
                   c == 0x1d || c == 0x1e || c == 0x1f) {
            buf_put_char(out, (char)c);
        } else if (c == '\t') {
            buf_put_char(out, ' ');
        }
        i++;
    }
}

static bool of_nick(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= '}') || c == '-' || goes_on(c);
}

bool irc_names(const struct irc_server *s, struct view text, struct view nick)
{
    for (size_t i = 0; nick.n && i + nick.n <= text.n; i++) {
        if (i > 0 && of_nick(text.p[i - 1]))
            continue;
        if (i + nick.n < text.n && of_nick(text.p[i + nick.n]))
            continue;
        if (irc_same(s, view_of(text.p + i, nick.n), nick))
            return true;
    }
    return false;
}

bool irc_action(struct view *text)
{
    struct view t = *text;

    if (!t.n || t.p[0] != 0x01)
        return true;
    if (!view_starts(t, V("\001ACTION ")))
        return false;
    t = view_from(t, sizeof("\001ACTION ") - 1);
    if (t.n && t.p[t.n - 1] == 0x01)
        t.n--;
    *text = t;
    return true;
}
