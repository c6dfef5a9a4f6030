#include "pairing_keep.h"

#include "json.h"
#include "log.h"

#include <stdio.h>
#include <stdlib.h>

enum { VALUE_MAX = 8 * 1024, NAME_MAX_BYTES = 64 };

static const struct view prefix = {"pair.", 5};

static void set(struct hub *h, const char *request_id, struct view value)
{
    struct store_rec r = {.type = REC_meta_set, .meta_set = {.value = value}};
    char name[NAME_MAX_BYTES];
    struct err e = ERR_INIT;

    (void)snprintf(name, sizeof(name), "%.*s%s", VIEW_FMT(prefix), request_id);
    r.meta_set.key = view_str(name);
    if (store_apply(h->store, &r, &e) < 0)
        log_warn("pairing.not_kept", KV("request", request_id), KV("why", e.text));
    else
        hub_changed(h);
}

static const struct {
    const char *name;
    size_t at, room;
} texts[] = {
#define TEXT(name, member)                                                                         \
    {                                                                                              \
        name, offsetof(struct pair_request, member), sizeof(((struct pair_request *)NULL)->member) \
    }
    TEXT("id", id),
    TEXT("device", who.id),
    TEXT("key", who.key),
    TEXT("name", who.name),
    TEXT("platform", who.platform),
    TEXT("family", who.family),
    TEXT("client", who.client_id),
    TEXT("mode", who.client_mode),
    TEXT("ip", ip),
#undef TEXT
};

void pairing_keep(struct hub *h, const struct pair_request *q)
{
    struct buf b = BUF_INIT(VALUE_MAX);
    struct jw w = JW_INIT(&b);

    jw_obj(&w);
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        jw_kcstr(&w, texts[i].name, (const char *)q + texts[i].at);
    jw_ku64(&w, "role", q->role);
    jw_ku64(&w, "scopes", q->scopes);
    jw_kbool(&w, "repair", q->repair);
    jw_ki64(&w, "ts", q->ts);
    jw_obj_end(&w);
    if (!b.failed)
        set(h, q->id, buf_view(&b));
    buf_fini(&b);
}

void pairing_unkeep(struct hub *h, const char *request_id)
{
    set(h, request_id, VIEW_EMPTY);
}

struct loading {
    struct pair_request *out;
    unsigned n, max;
};

static int on_kept(void *ctx, struct view key, struct view value)
{
    struct loading *l = ctx;
    struct pair_request *q = &l->out[l->n];
    struct err e = ERR_INIT;
    json_t *doc = NULL;

    (void)key;
    if (l->n == l->max)
        return 1;
    if (json_parse(value, &doc, &e) < 0)
        return 0; /* of another build: it expires unseen */
    memset(q, 0, sizeof(*q));
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct view v = json_view(doc, texts[i].name);

        memcpy((char *)q + texts[i].at, v.p, v.n < texts[i].room ? v.n : texts[i].room - 1);
    }
    q->role = json_i64(doc, "role", 0) == DEVICE_NODE ? DEVICE_NODE : DEVICE_OPERATOR;
    q->scopes = (unsigned)json_i64(doc, "scopes", 0);
    q->repair = json_flag(doc, "repair", false);
    q->ts = json_i64(doc, "ts", 0);
    if (q->id[0] && q->who.id[0])
        l->n++;
    json_decref(doc);
    return 0;
}

static int by_age(const void *a, const void *b)
{
    const struct pair_request *x = a, *y = b;

    return x->ts < y->ts ? -1 : x->ts > y->ts;
}

int pairing_keep_load(struct hub *h, struct pair_request *out, unsigned max, unsigned *out_n,
                      struct err *e)
{
    struct loading l = {.out = out, .max = max};
    int r = store_meta_page(h->store, prefix, on_kept, &l, e);

    if (r < 0)
        return r;
    qsort(out, l.n, sizeof(*out), by_age);
    *out_n = l.n;
    return 0;
}
