/* Lists of hops: a head whose proxy headers are the input. Whoever is found was written by the
 * nearest hop that is not ours: what a stranger puts before the list changes nothing. */
#include "proxy.h"

#include "mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void need(bool ok)
{
    if (!ok)
        abort();
}

static enum proxy_answer ask(const struct proxy_conf *c, const char *name, struct view before,
                             struct view value, struct ip *out)
{
    static struct http_req q;
    static char text[4096];
    struct ip peer;
    size_t at = 0;

    need(ip_parse(V("10.0.0.1"), &peer));
    memcpy(text, before.p, before.n);
    at = before.n;
    memcpy(text + at, value.p, value.n);
    at += value.n;
    memset(&q, 0, sizeof(q));
    q.proxied = true;
    q.headers = 1;
    q.header[0].name = view_str(name);
    q.header[0].value = view_trim(view_of(text, at));
    return proxy_attribute(c, &peer, &q, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const names[] = {"X-Forwarded-For", "Forwarded", "X-Real-IP"};
    struct proxy_conf c = {.nets = 2, .real_ip = true};
    struct view v = view_of((const char *)data, n);
    struct ip_net net;
    struct ip a, b, plain;

    if (n > 2000)
        return 0;
    need(ip_net_parse(V("10.0.0.0/8"), &c.net[0]) && ip_net_parse(V("fd00::/8"), &c.net[1]));
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        enum proxy_answer x = ask(&c, names[i], VIEW_EMPTY, v, &a), y;

        need(x != PROXY_DIRECT);
        need(x != PROXY_CLIENT || (!ip_loopback(&a) && !proxy_trusts(&c, &a)));
        y = ask(&c, names[i], V("127.0.0.1, \"for=[::1]\", for=\"1.1.1.1,"), v, &b);
        if (x == PROXY_CLIENT)
            need(y == PROXY_CLIENT && ip_eq(&a, &b));
    }
    if (ip_parse(v, &plain)) { /* text and back */
        char text[IP_TEXT_MAX];

        ip_text(&plain, text);
        need(ip_parse(view_str(text), &b) && ip_eq(&plain, &b));
        need(ip_key(&plain) != 0);
    }
    (void)ip_net_parse(v, &net);
    (void)proxy_host_ours(&c, v);
    return 0;
}
