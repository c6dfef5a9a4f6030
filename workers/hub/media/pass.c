#include "pass.h"

#include "b64.h"
#include "mac.h"
#include "num.h"

#include <openssl/crypto.h>
#include <stdio.h>

enum { SEAL_LEN = B64URL_LEN(MAC_BYTES) };

/* v1.<until>.<seal of id and until> */
int pass_make(struct hub *h, struct view id, int64_t until_ms, char out[PASS_TEXT_MAX],
              struct err *e)
{
    unsigned char md[MAC_BYTES];
    char text[128];
    int r, n = snprintf(text, sizeof(text), "media\n%.*s\n%lld", VIEW_FMT(id), (long long)until_ms);

    if ((r = mac_of(h->mac, view_of(text, (size_t)n), md, e)) < 0)
        return r;
    n = snprintf(out, PASS_TEXT_MAX, "v1.%lld.", (long long)until_ms);
    b64url(md, sizeof(md), out + n);
    return 0;
}

bool pass_good(struct hub *h, struct view id, struct view pass, int64_t now_ms)
{
    char want[PASS_TEXT_MAX];
    struct view v = view_starts(pass, V("v1.")) ? view_from(pass, 3) : VIEW_EMPTY;
    size_t dot = view_find(v, '.');
    uint64_t until;
    struct err e = ERR_INIT;

    return v.n - dot == SEAL_LEN + 1 && num_u64(view_of(v.p, dot), 0, INT64_MAX, &until, &e) == 0 &&
           (int64_t)until > now_ms && pass_make(h, id, (int64_t)until, want, &e) == 0 &&
           strlen(want) == pass.n && CRYPTO_memcmp(want, pass.p, pass.n) == 0;
}
