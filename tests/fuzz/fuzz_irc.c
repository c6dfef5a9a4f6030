/* Lines of an IRC server: first while we log in, then read as messages. What is written back must
 * be whole lines. */
#include "irc_login.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct view rest = view_of((const char *)data, n);
    struct irc_login_conf conf = {.nick = V("bot"), .sasl_user = V("a"), .sasl_password = V("b")};
    struct buf out = BUF_INIT(64 << 10), why = BUF_INIT(4096), text = BUF_INIT(64 << 10);
    enum irc_login_said said = IRC_LOGIN_MORE;
    struct irc_server server;
    struct irc_login login;

    if (rest.n) {
        conf.sasl = (enum irc_sasl)((unsigned char)rest.p[0] % 3);
        conf.sasl_required = rest.p[0] & 4;
        rest = view_from(rest, 1);
    }
    irc_server_init(&server);
    irc_login_begin(&login, &conf, &out);
    while (rest.n) {
        size_t end = view_find(rest, '\n');
        struct irc_line l;
        struct view words, piece;

        if (irc_parse(view_of(rest.p, end), &l)) {
            if (said == IRC_LOGIN_MORE)
                said = irc_login_line(&login, &l, &out, &why);
            irc_server_learn(&server, &l);
            buf_reset(&text, 4096);
            (void)irc_tag(&l, V("msgid"), &text);
            words = irc_param(&l, 1);
            if (irc_action(&words))
                irc_clean(words, &text);
            (void)irc_names(&server, buf_view(&text), view_str(login.nick));
            words = buf_view(&text);
            while (irc_piece(&words, 100, &piece))
                if (piece.n > 100)
                    abort();
            if (irc_put(&text, "PRIVMSG", (const struct view[]){l.nick, irc_param(&l, 0)}, 2) &&
                !irc_is_target(l.nick) && view_find(l.nick, ' ') < l.nick.n)
                abort();
        }
        rest = view_from(rest, end + 1);
    }
    if (out.n && !view_ends(buf_view(&out), V("\r\n")))
        abort();
    buf_fini(&out);
    buf_fini(&why);
    buf_fini(&text);
    return 0;
}
