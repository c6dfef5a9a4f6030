#include "heard.h"

#include "chat.h"
#include "clock.h"

#include <openssl/sha.h>
#include <stdio.h>

enum { NAME_BYTES = 64, KEPT_BYTES = (HEARD_MAX + 1) * (HEARD_TEXT_BYTES + 8) };

struct kept {
    char name[HEARD_MAX + 1][NAME_BYTES];
    unsigned count;
    struct buf *text; /* NULL: only the names are wanted */
};

static void prefix_of(const struct session_key *key, char out[NAME_BYTES])
{
    unsigned char md[SHA256_DIGEST_LENGTH];
    int n = snprintf(out, NAME_BYTES, "heard:");

    (void)SHA256((const unsigned char *)key->s, key->n, md);
    for (size_t i = 0; i < 12; i++)
        n += snprintf(out + n, NAME_BYTES - (size_t)n, "%02x", md[i]);
    (void)snprintf(out + n, NAME_BYTES - (size_t)n, ":");
}

static int on_kept(void *ctx, struct view key, struct view value)
{
    struct kept *k = ctx;

    if (k->count > HEARD_MAX)
        return 1;
    (void)snprintf(k->name[k->count++], NAME_BYTES, "%.*s", VIEW_FMT(key));
    if (k->text)
        buf_printf(k->text, "System: %.*s\n", VIEW_FMT(value));
    return 0;
}

static int load(struct hub *h, const struct session_key *key, struct kept *k, struct err *e)
{
    char prefix[NAME_BYTES];

    prefix_of(key, prefix);
    return store_meta_page(h->store, view_str(prefix), on_kept, k, e);
}

static int put(struct hub *h, const char *name, struct view value, struct err *e)
{
    struct store_rec rec = {.type = REC_meta_set,
                            .meta_set = {.key = view_str(name), .value = value}};

    return hub_put(h, &rec, e);
}

/* The oldest of them, so that `keep` are left. */
static int drop(struct hub *h, const struct kept *k, unsigned keep, struct err *e)
{
    int r = 0;

    for (unsigned i = 0; i + keep < k->count && r == 0; i++)
        r = put(h, k->name[i], VIEW_EMPTY, e);
    return r;
}

int heard_keep(struct hub *h, const struct session_key *key, struct view text, struct err *e)
{
    struct kept *k;
    struct buf line = BUF_INIT(HEARD_TEXT_BYTES);
    char name[NAME_BYTES + 32];
    size_t n;
    int r;

    if ((r = mem_new(&k, sizeof(*k), e)) < 0)
        return r;
    if ((r = load(h, key, k, e)) < 0)
        goto out;
    text.n = text.n < HEARD_TEXT_BYTES ? text.n : HEARD_TEXT_BYTES;
    text.n = chat_whole(text);
    for (size_t i = 0; i < text.n; i++) /* one line, whatever is in it */
        buf_put_char(&line, text.p[i] == '\n' || text.p[i] == '\r' ? ' ' : text.p[i]);
    prefix_of(key, name);
    n = strlen(name);
    (void)snprintf(name + n, sizeof(name) - n, "%012llx", (unsigned long long)clock_wall_ms());
    if (k->count && strcmp(k->name[k->count - 1], name) >= 0) /* in order of arrival */
        (void)snprintf(name, sizeof(name), "%s0", k->name[k->count - 1]);
    if ((r = buf_check(&line, e)) == 0 && strlen(name) < NAME_BYTES &&
        (r = put(h, name, buf_view(&line), e)) == 0)
        r = drop(h, k, HEARD_MAX - 1, e);
out:
    buf_fini(&line);
    mem_free(k);
    return r;
}

int heard_take(struct hub *h, const struct session_key *key, struct buf *out, struct err *e)
{
    struct buf text = BUF_INIT(KEPT_BYTES);
    struct kept *k;
    int r;

    if ((r = mem_new(&k, sizeof(*k), e)) < 0)
        return r;
    k->text = &text;
    if ((r = load(h, key, k, e)) == 0 && k->count && (r = buf_check(&text, e)) == 0) {
        if (out->n)
            buf_put_char(out, '\n');
        buf_put_view(out, view_trim(buf_view(&text)));
        r = drop(h, k, 0, e);
    }
    buf_fini(&text);
    mem_free(k);
    return r;
}
