#include "password.h"

#include "buf.h"
#include "clock.h"
#include "mem.h"
#include "secret.h"

#include <crypt.h>
#include <stdio.h>

/* "password|" hash "|" text under the key of this start: another hash forgets what is remembered.
 */
static bool print_of(const struct settings *s, struct mac *mac, struct view text,
                     unsigned char out[MAC_BYTES])
{
    struct buf b = BUF_INIT(8 * KIB);
    struct err e = ERR_INIT;
    bool ok;

    b.secret = true;
    buf_printf(&b, "password|%s|", s->password_crypt);
    buf_put_view(&b, text);
    ok = !b.failed && mac_of(mac, buf_view(&b), out, &e) == 0;
    buf_fini(&b);
    return ok;
}

static bool crypt_same(const char *hash, struct view text)
{
    struct crypt_data *data = mem_alloc(sizeof(*data));
    char *phrase = mem_dup(text.p, text.n);
    const char *got = data && phrase ? crypt_r(phrase, hash, data) : NULL;
    size_t n = strlen(hash);
    bool same = got && got[0] != '*' && strlen(got) == n && secret_same(got, hash, n);

    if (phrase)
        mem_wipe(phrase, text.n);
    mem_free(phrase);
    if (data)
        mem_wipe(data, sizeof(*data));
    mem_free(data);
    return same;
}

bool password_hash_usable(const char *hash)
{
    return hash[0] == '$' && crypt_checksalt(hash) == CRYPT_SALT_OK;
}

enum password_verdict password_try(struct password *p, const struct settings *s, struct mac *mac,
                                   struct view text, uint64_t now_ms)
{
    unsigned char sum[MAC_BYTES];
    struct err e = ERR_INIT;
    uint64_t from, took;
    bool same;

    if (!s->password_crypt)
        return s->have_password && mac_of(mac, text, sum, &e) == 0 &&
                       secret_same(sum, s->password_mac, sizeof(sum))
                   ? PASSWORD_RIGHT
                   : PASSWORD_WRONG;
    if (!text.n || text.n >= PASSWORD_LEN_MAX || memchr(text.p, 0, text.n) ||
        !print_of(s, mac, text, sum))
        return PASSWORD_WRONG;
    if (p->have_known && secret_same(sum, p->known, sizeof(sum)))
        return PASSWORD_RIGHT;
    if (now_ms < p->again_ms)
        return PASSWORD_BUSY;
    from = clock_mono_ms();
    same = crypt_same(s->password_crypt, text);
    took = (clock_mono_ms() - from + 1) * (PASSWORD_SHARE - 1);
    p->again_ms = now_ms + (took < PASSWORD_PAUSE_MAX_MS ? took : PASSWORD_PAUSE_MAX_MS);
    if (same) {
        memcpy(p->known, sum, sizeof(sum));
        p->have_known = true;
    }
    mem_wipe(sum, sizeof(sum));
    return same ? PASSWORD_RIGHT : PASSWORD_WRONG;
}
