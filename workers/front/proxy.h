/*
 * workers/front/proxy.h - who is really asking: a peer in gateway.trustedProxies may say for whom
 * it asks, everybody else may not (protocol reference, 1.1). And whether a Host is one of ours,
 * against pages that point their own name at this machine (DNS rebinding). Pure. Invariant: only
 * what trusted hops wrote counts. A list is read from its right end, where the nearest proxy wrote,
 * up to the first hop that is not trusted; what stands left of it is hearsay.
 */
#ifndef PROXY_H
#define PROXY_H

#include "http.h"
#include "ip.h"

#include <jansson.h>

enum {
    PROXY_NETS_MAX = 64,         /* conf/keys.def */
    PROXY_HOSTS_MAX = 65,        /* allowedOrigins and publicOrigin */
    PROXY_CLAIMS_MAX = 8 * 1024, /* ipc.def, connect.headers */
};

struct proxy_conf {
    struct ip_net net[PROXY_NETS_MAX];
    unsigned nets;
    bool tailscale;                    /* tailscale serve forwards to us */
    bool real_ip;                      /* X-Real-IP counts where there is no list */
    struct view host[PROXY_HOSTS_MAX]; /* names pages may use; into the configuration document */
    unsigned hosts;
    struct view origin[PROXY_HOSTS_MAX]; /* as configured, without "*" */
    unsigned origins;
    bool any_host;
};

/* From a slice, which has to live as long as *out is used. */
void proxy_conf_read(struct proxy_conf *out, const json_t *conf);
bool proxy_trusts(const struct proxy_conf *c, const struct ip *peer);

enum proxy_answer {
    PROXY_DIRECT,  /* nobody claims anything: the peer asks for itself */
    PROXY_CLIENT,  /* *client is who asks */
    PROXY_TAILNET, /* the same, as tailscale serve on this machine would say it */
    PROXY_REFUSED, /* headers of a proxy, but not from one we trust, or they name nobody */
};
enum proxy_answer proxy_attribute(const struct proxy_conf *c, const struct ip *peer,
                                  const struct http_req *q, struct ip *client);
/* The headers of such a request that may say who the user is, as "name: value\n" with the name in
 * lower case. Credentials and what belongs to the connection are left out. */
void proxy_claims(const struct http_req *q, struct buf *out);

/* Whether this Origin is one that the configuration names. */
bool proxy_origin_named(const struct proxy_conf *c, struct view origin);
/* Whether this Host can only be ours: an address, a name without a dot, localhost, *.local,
 * *.ts.net, or the host of a configured origin. */
bool proxy_host_ours(const struct proxy_conf *c, struct view host);

#endif
