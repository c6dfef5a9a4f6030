/* Identity headers of a proxy: two lines name the user's and the required header, the rest is what
 * came. Whoever is let in has a name, and the list that let him in has it once. */
#include "json.h"
#include "proxyauth.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct view line(struct view *in)
{
    size_t end = view_find(*in, '\n');
    struct view v = view_of(in->p, end);

    *in = view_from(*in, end + 1);
    return v;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct view in = view_of((const char *)data, n), user = line(&in), proof = line(&in), got;
    struct ipc_connect m = {.flags = CONN_PROXIED};
    struct settings s = {.auth_mode = AUTH_PROXY};
    struct proxy_claim claim;
    json_t *conf = json_pack("{s:s%, s:[s%]}", "userHeader", user.p, user.n, "requiredHeaders",
                             proof.p, proof.n);

    if (!conf)
        return 0; /* not UTF-8 */
    s.proxy = conf;
    m.headers = in;
    if (proxyauth_check(&s, &m, &claim)) {
        if (!claim.user.n || !proxyauth_header(in, user, &got) || !view_eq(got, claim.user) ||
            (!claim.has_cap && claim.cap))
            abort();
    } else if (!claim.reason[0]) {
        abort();
    }
    json_decref(conf);
    return 0;
}
