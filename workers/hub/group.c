#include "group.h"

#include "clock.h"
#include "json.h"
#include "log.h"
#include "mention.h"
#include "settings.h"

#include <openssl/sha.h>
#include <stdio.h>

enum {
    HISTORY_DEFAULT = 50,
    KEPT_MAX = 1000,        /* keys.def: messages.groupChat.historyLimit */
    KEPT_TEXT_BYTES = 2000, /* of one message */
    CONTEXT_BYTES = 64 << 10,
    NAME_BYTES = 64, /* "ctx:", a hash, ":", a time */
};

struct of_agent {
    char id[SESSION_AGENT_MAX + 1];
    struct mention *names; /* owned */
    int history;           /* -1: not said */
};
struct groups {
    struct of_agent *agents; /* owned */
    unsigned count;
    int history;
};

/* ---- configuration ---- */

static int limit_of(const json_t *group_chat, int otherwise)
{
    int64_t n = json_i64(group_chat, "historyLimit", otherwise);

    return n >= -1 && n <= KEPT_MAX ? (int)n : otherwise;
}

static const json_t *agent_doc(const json_t *conf, const char *id)
{
    const json_t *a;
    size_t i;

    json_array_foreach(json_at(conf, "agents.list"), i, a)
    {
        if (view_ieq(json_view(a, "id"), view_str(id)))
            return a;
    }
    return json_object_get(json_at(conf, "agents.entries"), id);
}

static int read_agent(struct hub *h, struct of_agent *a, const struct agent_conf *conf,
                      struct err *e)
{
    const json_t *own = json_object_get(agent_doc(h->w.conf, conf->id), "groupChat");
    const json_t *patterns = json_object_get(own, "mentionPatterns");
    struct view name = json_view(conf->identity, "name");
    unsigned bad = 0;
    int r;

    if (!patterns)
        patterns = json_at(h->w.conf, "messages.groupChat.mentionPatterns");
    (void)snprintf(a->id, sizeof(a->id), "%s", conf->id);
    a->history = limit_of(own, -1);
    r = mention_new(&a->names, patterns, name, json_view(conf->identity, "emoji"), &bad, e);
    if (bad)
        log_warn("group.patterns", KV("agent", a->id), KV("passed_over", bad));
    return r;
}

int group_config(struct hub *h, struct groups **io, struct err *e)
{
    const struct settings *s = h->settings;
    struct groups *g;
    int r;

    if ((r = mem_new(&g, sizeof(*g), e)) < 0)
        return r;
    r = mem_new(&g->agents, s->agent_count * sizeof(*g->agents), e);
    g->history = limit_of(json_at(h->w.conf, "messages.groupChat"), HISTORY_DEFAULT);
    for (unsigned i = 0; i < s->agent_count && r == 0; i++)
        if ((r = read_agent(h, &g->agents[g->count], &s->agents[i], e)) == 0)
            g->count++;
    if (r < 0) {
        group_free(&g);
        return r;
    }
    group_free(io);
    *io = g;
    return 0;
}

void group_free(struct groups **at)
{
    struct groups *g = *at;

    if (!g)
        return;
    for (unsigned i = 0; i < g->count; i++)
        mention_free(&g->agents[i].names);
    mem_free(g->agents);
    mem_free(g);
    *at = NULL;
}

static const struct of_agent *agent_of(const struct groups *g, struct view id)
{
    for (unsigned i = 0; g && i < g->count; i++)
        if (view_ieq(view_str(g->agents[i].id), id))
            return &g->agents[i];
    return NULL;
}

/* ---- the decision ---- */

bool group_for_us(const struct groups *g, const struct session *s, const struct source *src,
                  struct view text, bool is_command)
{
    const struct of_agent *a = agent_of(g, view_str(s->agent));
    char activation[16];

    if (!source_shared(src))
        return true;
    if (session_rest_str(s, "groupActivation", activation, sizeof(activation))) {
        if (strcmp(activation, "always") == 0)
            return true;
    } else if (!src->require_mention) {
        return true;
    }
    if (src->mentioned || src->replies)
        return true;
    if (is_command && !src->mentions_others)
        return true;
    return a && src->patterns && mention_in(a->names, text);
}

/* ---- what was said meanwhile ---- */

/* Keys of a conversation begin so: settings keys are short, session keys are not. */
static void prefix_of(const struct session_key *key, char out[NAME_BYTES])
{
    unsigned char md[SHA256_DIGEST_LENGTH];
    int n = snprintf(out, NAME_BYTES, "ctx:");

    (void)SHA256((const unsigned char *)key->s, key->n, md);
    for (size_t i = 0; i < 12; i++)
        n += snprintf(out + n, NAME_BYTES - (size_t)n, "%02x", md[i]);
    (void)snprintf(out + n, NAME_BYTES - (size_t)n, ":");
}

struct kept {
    char name[KEPT_MAX + 1][NAME_BYTES];
    unsigned count;
    struct buf *text; /* NULL: only the names are wanted */
};

static int on_kept(void *ctx, struct view key, struct view value)
{
    struct kept *k = ctx;

    if (k->count > KEPT_MAX)
        return 1;
    (void)snprintf(k->name[k->count++], NAME_BYTES, "%.*s", VIEW_FMT(key));
    if (k->text) {
        buf_put_view(k->text, value);
        buf_put_char(k->text, '\n');
    }
    return 0;
}

static int load(struct hub *h, const struct session_key *key, struct buf *text, struct kept **out,
                struct err *e)
{
    char prefix[NAME_BYTES];
    struct kept *k;
    int r;

    if ((r = mem_new(&k, sizeof(*k), e)) < 0)
        return r;
    k->text = text;
    prefix_of(key, prefix);
    if ((r = store_meta_page(h->store, view_str(prefix), on_kept, k, e)) < 0)
        mem_free(k);
    else
        *out = k;
    return r;
}

static int put(struct hub *h, const char *name, struct view value, struct err *e)
{
    struct store_rec rec = {.type = REC_meta_set,
                            .meta_set = {.key = view_str(name), .value = value}};

    return hub_put(h, &rec, e);
}

/* All but the newest keep. */
static int drop(struct hub *h, const struct kept *k, unsigned keep, struct err *e)
{
    int r = 0;

    for (unsigned i = 0; i + keep < k->count && r == 0; i++)
        r = put(h, k->name[i], VIEW_EMPTY, e);
    return r;
}

static int limit_for(const struct groups *g, const struct session_key *key,
                     const struct source *src)
{
    const struct of_agent *a = agent_of(g, view_str(key->agent));

    if (src->history_limit >= 0)
        return src->history_limit;
    return a && a->history >= 0 ? a->history : g ? g->history : HISTORY_DEFAULT;
}

static void line(const struct source *src, struct view text, struct buf *out)
{
    struct view who = src->sender_name.n ? src->sender_name : src->sender;

    buf_put_view(out, who.n > 128 ? view_of(who.p, 128) : who);
    buf_put_str(out, who.n ? ": " : "");
    buf_put_view(out, text.n > KEPT_TEXT_BYTES ? view_of(text.p, KEPT_TEXT_BYTES) : text);
}

int group_keep(struct hub *h, const struct groups *g, const struct session_key *key,
               const struct source *src, struct view text, struct err *e)
{
    int limit = limit_for(g, key, src), r;
    struct buf b = BUF_INIT(8 * KIB);
    char name[NAME_BYTES + 32];
    struct kept *k = NULL;
    unsigned long long at = (unsigned long long)clock_wall_ms();
    size_t n;

    if (limit == 0)
        return 0;
    if ((r = load(h, key, NULL, &k, e)) < 0)
        return r;
    prefix_of(key, name);
    n = strlen(name);
    (void)snprintf(name + n, sizeof(name) - n, "%012llx", at);
    /* in order of arrival, also within a millisecond and with a clock that was set back */
    if (k->count && strcmp(k->name[k->count - 1], name) >= 0)
        (void)snprintf(name, sizeof(name), "%s0", k->name[k->count - 1]);
    line(src, text, &b);
    if ((r = buf_check(&b, e)) == 0 && strlen(name) < NAME_BYTES &&
        (r = put(h, name, buf_view(&b), e)) == 0)
        r = drop(h, k, (unsigned)limit - 1, e);
    buf_fini(&b);
    mem_free(k);
    return r;
}

int group_context(struct hub *h, const struct session_key *key, struct buf *out, struct err *e)
{
    struct buf text = BUF_INIT(4 * MIB);
    struct kept *k = NULL;
    struct view all;
    int r;

    if ((r = load(h, key, &text, &k, e)) == 0 && k->count) {
        all = buf_view(&text);
        while (all.n > CONTEXT_BYTES) /* the oldest lines go */
            all = view_from(all, view_find(all, '\n') + 1);
        buf_put_str(out, "[Chat messages since your last reply - for context]\n");
        buf_put_view(out, all);
        buf_put_str(out, "[Current message - respond to this]");
    }
    if (r == 0)
        mem_free(k);
    buf_fini(&text);
    return r;
}

int group_forget(struct hub *h, const struct session_key *key, struct err *e)
{
    struct kept *k = NULL;
    int r;

    if ((r = load(h, key, NULL, &k, e)) < 0)
        return r;
    r = drop(h, k, 0, e);
    mem_free(k);
    return r;
}
