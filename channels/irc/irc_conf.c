/* channels/irc/irc_conf.c - the account's section of the configuration, names as OpenClaw's, and
 * the files it names. */
#include "irc_int.h"

#include "fd.h"
#include "json.h"

enum {
    FILE_BYTES = 64 << 10,
    BURST = 5, /* RFC 1459, 8.10: ten seconds' worth of lines of two seconds each */
    EVERY_MS = 2000,
};

static struct view text(const json_t *conf, const char *key, const char *fallback)
{
    struct view v = json_view(conf, key);

    return v.n ? v : view_str(fallback);
}

static int read_file(const json_t *conf, const char *key, struct buf *out, struct err *e)
{
    const char *path = json_string_value(json_object_get(conf, key));
    int r;

    if (!path || !*path)
        return 0;
    out->max = FILE_BYTES;
    out->secret = true;
    if ((r = fd_read_file(path, FILE_BYTES, out, e)) < 0)
        return err_wrap(e, "%s", key);
    return 0;
}

static int read_rooms(struct irc *x, const json_t *list, struct err *e)
{
    size_t i;
    json_t *v;

    json_array_foreach(list, i, v)
    {
        struct view name = view_trim(json_view_of(v));

        if (!name.n)
            continue;
        if (!irc_is_target(name) || !irc_is_channel(&x->server, name) || name.n > IRC_NAME_MAX)
            return err_set(e, ERR_INVALID,
                           "channels: \"%.*s\" is no channel of IRC, as \"#name\" is",
                           (int)(name.n < 60 ? name.n : 60), name.p);
        if (irc_room_find(x, name))
            continue;
        if (x->room_n == IRC_ROOMS_MAX)
            return err_set(e, ERR_LIMIT, "channels: more than %d", (int)IRC_ROOMS_MAX);
        memcpy(x->rooms[x->room_n++].name, name.p, name.n);
    }
    return 0;
}

static int read_sasl(struct irc *x, const json_t *conf, struct err *e)
{
    const json_t *sasl = json_object_get(conf, "sasl");
    struct irc_login_conf *l = &x->conf.login;
    struct view mechanism = json_view(sasl, "mechanism");
    int r;

    if (!sasl)
        return 0;
    if (view_ieq(mechanism, V("EXTERNAL")))
        l->sasl = IRC_SASL_EXTERNAL;
    else if (!mechanism.n || view_ieq(mechanism, V("PLAIN")))
        l->sasl = IRC_SASL_PLAIN;
    else
        return err_set(e, ERR_INVALID, "sasl.mechanism: PLAIN or EXTERNAL");
    l->sasl_user = text(sasl, "username", "");
    l->sasl_password = text(sasl, "password", "");
    l->sasl_required = json_flag(sasl, "required", true);
    if (l->sasl == IRC_SASL_PLAIN && (!l->sasl_user.n || !l->sasl_password.n))
        return err_set(e, ERR_INVALID, "sasl: username and password are needed for PLAIN");
    if ((r = read_file(sasl, "certFile", &x->conf.cert, e)) < 0 ||
        (r = read_file(sasl, "keyFile", &x->conf.key, e)) < 0)
        return err_wrap(e, "sasl");
    if (l->sasl == IRC_SASL_EXTERNAL && (!x->conf.cert.n || !x->conf.key.n || !x->conf.tls))
        return err_set(e, ERR_INVALID, "sasl: EXTERNAL needs tls, certFile and keyFile");
    return 0;
}

static int read_limits(struct irc *x, const json_t *conf, struct err *e)
{
    const json_t *flood = json_object_get(conf, "flood");
    int64_t burst = json_i64(flood, "burst", BURST), every = json_i64(flood, "everyMs", EVERY_MS);
    int64_t port = json_i64(conf, "port", x->conf.tls ? 6697 : 6667);

    if (port < 1 || port > UINT16_MAX)
        return err_set(e, ERR_INVALID, "port: 1 to 65535");
    if (burst < 1 || burst > 1000 || every < 1 || every > 60000)
        return err_set(e, ERR_INVALID, "flood: burst 1 to 1000, everyMs 1 to 60000");
    x->conf.port = (uint16_t)port;
    x->conf.burst = (unsigned)burst;
    x->conf.every_ms = (uint32_t)every;
    return channel_port(x->c, x->conf.port, e);
}

int irc_conf_read(struct irc *x, struct err *e)
{
    const json_t *conf = channel_conf(x->c), *ns = json_object_get(conf, "nickserv");
    struct irc_login_conf *l = &x->conf.login;
    int r;

    x->conf.host = json_string_value(json_object_get(conf, "host"));
    x->conf.tls = json_flag(conf, "tls", true);
    l->nick = text(conf, "nick", "openclaw");
    l->username = text(conf, "username", "openclaw");
    l->realname = text(conf, "realname", "OpenClaw");
    l->password = text(conf, "password", "");
    if (!x->conf.host || !*x->conf.host)
        return err_set(e, ERR_INVALID, "host: the server's name is missing");
    if (!irc_is_target(l->nick) || l->nick.n > IRC_NICK_MAX)
        return err_set(e, ERR_INVALID, "nick: one word of at most %d bytes", (int)IRC_NICK_MAX);
    if ((r = read_file(conf, "passwordFile", &x->conf.password, e)) < 0 ||
        (r = read_file(conf, "tlsCaFile", &x->conf.ca, e)) < 0)
        return r;
    if (!l->password.n)
        l->password = view_trim(buf_view(&x->conf.password));
    if (ns && json_flag(ns, "enabled", true)) {
        x->conf.nickserv = text(ns, "service", "NickServ");
        x->conf.nickserv_password = text(ns, "password", "");
        x->conf.nickserv_email = text(ns, "registerEmail", "");
        x->conf.nickserv_register = json_flag(ns, "register", false);
    }
    if ((r = read_limits(x, conf, e)) < 0 || (r = read_sasl(x, conf, e)) < 0)
        return r;
    return read_rooms(x, json_object_get(conf, "channels"), e);
}

void irc_conf_fini(struct irc *x)
{
    buf_fini(&x->conf.cert);
    buf_fini(&x->conf.key);
    buf_fini(&x->conf.ca);
    buf_fini(&x->conf.password);
}
