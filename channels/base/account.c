/* channels/base/account.c - what a platform may ask of its account. */
#include "channel_int.h"

struct loop *channel_loop(const struct channel *c)
{
    return c->w.loop;
}

const json_t *channel_conf(const struct channel *c)
{
    return c->conf;
}

const json_t *channel_setting(const struct channel *c, const char *key)
{
    const json_t *v = json_object_get(c->conf, key);

    return v ? v : json_object_get(json_object_get(c->w.conf, "messages"), key);
}

const char *channel_id(const struct channel *c)
{
    return c->id;
}

const char *channel_account(const struct channel *c)
{
    return c->account;
}

void channel_set_user(struct channel *c, void *user)
{
    c->user = user;
}

void *channel_user(const struct channel *c)
{
    return c->user;
}

void channel_set_ops(struct channel *c, const struct channel_ops *ops)
{
    c->ops = ops;
}

void channel_leave(struct channel *c, const char *why)
{
    struct err e = ERR_INIT;

    (void)err_set(&e, ERR_CLOSED, "%s", why);
    worker_fail(&c->w, &e);
    worker_leave(&c->w);
}

int channel_port(struct channel *c, unsigned port, struct err *e)
{
    if (port == 0 || port > UINT16_MAX)
        return err_set(e, ERR_INVALID, "%u is no port", port);
    for (unsigned i = 0; i < c->port_n; i++)
        if (c->ports[i] == port)
            return 0;
    if (c->port_n == CHANNEL_PORTS_MAX)
        return err_set(e, ERR_LIMIT, "more than %d ports", (int)CHANNEL_PORTS_MAX);
    c->ports[c->port_n++] = (uint16_t)port;
    return 0;
}
