/* route: a configuration and a message (two lines, or one with "cfg" in it). Nothing crashes; what
 * matched really matches and comes first of its tier by a walk over the rows; the same asked again,
 * of an index built anew, is the same; keys are normal. */
#include "ask.h"
#include "explain.h"
#include "json.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static bool kind_fits(const struct binding *b, enum peer_kind kind)
{
    return b->shared ? kind == PEER_GROUP || kind == PEER_CHANNEL : kind == PEER_DIRECT;
}

static bool peer_holds(const struct binding *b, const struct route_peer *p)
{
    return p->given && kind_fits(b, ids_peer_kind(p->kind)) &&
           (b->tier == BY_WILDCARD || view_eq(b->peer, fold_trim(p->id)));
}

static bool holds(const struct binding *b, const struct route_in *in, const struct route *r,
                  enum matched_by by)
{
    bool role = b->roles_n == 0;

    for (uint32_t k = 0; k < b->roles_n; k++)
        for (size_t i = 0; i < in->roles_n; i++)
            role = role || (b->roles[k].n && view_eq(b->roles[k], fold_trim(in->roles[i])));
    return b->unfit == FIT && b->tier == (by == BY_PARENT ? BY_PEER : by) && role &&
           view_eq(b->channel, view_str(r->channel)) &&
           (b->has & HAS_ANY_ACCOUNT || view_eq(id_view(&b->account), id_view(&r->account))) &&
           (!b->guild.n || view_eq(b->guild, fold_trim(in->guild))) &&
           (!b->team.n || view_eq(b->team, fold_trim(in->team))) &&
           (!b->peer.n || peer_holds(b, by == BY_PARENT ? &in->parent : &in->peer));
}

static void check_choice(const struct index *ix, const struct route_in *in, const struct route *r)
{
    for (enum matched_by by = BY_PEER; by < BY_DEFAULT; by++)
        for (uint32_t i = 0; i < index_count(ix); i++)
            if (holds(index_at(ix, i), in, r, by)) {
                must(r->matched_by == by && r->binding == i);
                return;
            }
    must(r->matched_by == BY_DEFAULT && r->binding == TAB_NONE);
}

static void check_key(struct view text)
{
    struct skey k, again;
    struct err e = ERR_INIT;
    struct view a, b;
    struct skey_target t;

    if (skey_normal(text, &k, &e) < 0)
        return;
    must(skey_normal(skey_view(&k), &again, &e) == 0 && view_eq(skey_view(&k), skey_view(&again)));
    must(skey_parse(skey_view(&k), &a, &b) == (skey_shape(text) == SKEY_AGENT));
    if (skey_target(skey_view(&k), &t))
        must(t.channel.n && t.peer.n && t.kind.n);
    skey_thread_split(text, &a, &b);
    must(a.n <= text.n && skey_thread_parent(text).n <= text.n && skey_chat_type(text));
}

static void check(const json_t *config, const json_t *msg)
{
    struct index *one = NULL, *two = NULL;
    struct buf words = BUF_INIT(1u << 20);
    struct err e = ERR_INIT, e2 = ERR_INIT;
    static struct ask_route q;
    static struct route r, again;
    int rc;

    if (ask_read(&q, msg, &e) < 0 || index_new(&one, config, &e) < 0)
        return;
    must(index_new(&two, config, &e) == 0);
    (void)!index_check(one, &e);
    rc = route(one, &q.in, &r, &e);
    must(rc == route(two, &q.in, &again, &e2));
    if (rc == 0) {
        must(r.binding == again.binding && r.matched_by == again.matched_by);
        must(view_eq(skey_view(&r.key), skey_view(&again.key)));
        /* a channel that begins with a colon makes a key that does not parse, as the reference's */
        must(strlen(r.key.s) <= r.key.n);
        must(r.channel[0] == ':' || skey_shape(skey_view(&r.key)) == SKEY_AGENT);
        check_key(skey_view(&r.key));
        check_choice(one, &q.in, &r);
    }
    (void)!explain(one, &q.in, &words, &e);
    buf_fini(&words);
    index_free(&one);
    index_free(&two);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct view text = view_of((const char *)data, n);
    size_t line = view_find(text, '\n');
    json_t *config = NULL, *msg = NULL;
    struct err e = ERR_INIT;
    struct buf out = BUF_INIT(1u << 20);
    struct jw w = JW_INIT(&out);

    check_key(text);
    if (json_parse(view_of(text.p, line), &config, &e) < 0)
        config = NULL;
    if (line < n && json_parse(view_from(text, line + 1), &msg, &e) < 0)
        msg = NULL;
    if (config && msg)
        check(config, msg);
    if (config) {
        ask_or_error(NULL, VIEW_EMPTY, config, &w);
        must(out.n > 0 || out.failed);
        if (json_object_get(config, "cfg"))
            check(json_object_get(config, "cfg"), config);
    }
    json_decref(config);
    json_decref(msg);
    buf_fini(&out);
    return 0;
}
