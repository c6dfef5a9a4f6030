#include "bind.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool add(struct bind_plan *p, const char *host, uint16_t port, bool optional)
{
    struct listen_addr *a = &p->addr[p->count];
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

    memset(a, 0, sizeof(*a));
    if (inet_pton(AF_INET, host, &in.sin_addr) == 1) {
        memcpy(&a->sa, &in, sizeof(in));
        a->len = sizeof(in);
    } else if (inet_pton(AF_INET6, host, &in6.sin6_addr) == 1) {
        memcpy(&a->sa, &in6, sizeof(in6));
        a->len = sizeof(in6);
    } else {
        return false;
    }
    p->optional[p->count++] = optional;
    return true;
}

/* A container's loopback is of no use to anybody outside of it. */
static bool in_container(void)
{
    return access("/.dockerenv", F_OK) == 0 || access("/run/.containerenv", F_OK) == 0;
}

int bind_resolve(const struct conf *conf, struct bind_plan *out, struct err *e)
{
    unsigned mode = conf->gateway_bind;
    const char *host = conf->gateway_custom_bind_host;
    uint16_t port = conf->gateway_port;

    memset(out, 0, sizeof(*out));
    if (mode == CONF_BIND_AUTO)
        mode = in_container() ? CONF_BIND_LAN : CONF_BIND_LOOPBACK;
    switch (mode) {
    case CONF_BIND_LOOPBACK:
        out->loopback = add(out, "127.0.0.1", port, false) && add(out, "::1", port, true);
        break;
    case CONF_BIND_LAN:
        (void)add(out, "0.0.0.0", port, false);
        (void)add(out, "::", port, true);
        break;
    case CONF_BIND_CUSTOM:
        if (!host || !add(out, host, port, false))
            return err_set(e, ERR_INVALID, "gateway.customBindHost: %s is not an address",
                           host ? host : "(unset)");
        if (out->addr[0].sa.ss_family == AF_INET && strcmp(host, "0.0.0.0") != 0 &&
            strcmp(host, "127.0.0.1") != 0)
            (void)add(out, "127.0.0.1", port, true); /* local tools go on working (protocol, 1.1) */
        break;
    default:
        return err_set(
            e, ERR_INVALID,
            "gateway.bind: this kind of bind is not built yet; use loopback, lan or an address");
    }
    (void)snprintf(out->text, sizeof(out->text), "%s",
                   out->loopback           ? "127.0.0.1"
                   : mode == CONF_BIND_LAN ? "0.0.0.0"
                                           : host);
    return 0;
}
