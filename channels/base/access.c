#include "access.h"

#include "json.h"

enum { ID_BYTES = 2 * CHANNEL_ID_BYTES };

static struct view strip(const struct channel_ops *ops, struct view v)
{
    bool again = true;

    v = view_trim(v);
    while (again) {
        again = false;
        for (size_t i = 0; ops->id_prefixes && ops->id_prefixes[i]; i++) {
            size_t n = strlen(ops->id_prefixes[i]);

            if (v.n > n && view_ieq(view_of(v.p, n), view_str(ops->id_prefixes[i]))) {
                v = view_trim(view_from(v, n));
                again = true;
            }
        }
    }
    return v;
}

static void normal(const struct channel_ops *ops, struct view v, struct buf *out)
{
    v = strip(ops, v);
    if (ops->normal_id)
        ops->normal_id(v, out);
    else
        buf_put_view(out, v);
}

static bool same(const struct channel_ops *ops, struct view entry, struct view id)
{
    struct buf a = BUF_INIT(ID_BYTES), b = BUF_INIT(ID_BYTES);
    bool yes;

    if (id.n == 0)
        return false;
    normal(ops, entry, &a);
    normal(ops, id, &b);
    yes = !a.failed && !b.failed && a.n > 0 && view_eq(buf_view(&a), buf_view(&b));
    buf_fini(&a);
    buf_fini(&b);
    return yes;
}

/* An entry of a list as text: ids may be written as numbers. */
static struct view entry_text(const json_t *v, char room[24])
{
    if (json_is_string(v))
        return json_view_of(v);
    if (json_is_integer(v)) {
        struct buf b = BUF_INIT(24);
        size_t n;

        buf_put_i64(&b, json_integer_value(v));
        n = b.n < 24 ? b.n : 0;
        memcpy(room, buf_view(&b).p, n);
        buf_fini(&b);
        return view_of(room, n);
    }
    return VIEW_EMPTY;
}

static bool has_star(const json_t *list)
{
    const json_t *v;
    size_t i;

    json_array_foreach(list, i, v) if (view_eq(view_trim(json_view_of(v)), V("*"))) return true;
    return false;
}

bool access_listed(const struct channel_ops *ops, const json_t *list,
                   const struct channel_person *who, bool by_name)
{
    const json_t *v;
    char room[24];
    size_t i;

    if (who->id.n == 0)
        return false;
    json_array_foreach(list, i, v)
    {
        struct view e = view_trim(entry_text(v, room));

        if (e.n == 0)
            continue;
        if (view_eq(e, V("*")) || same(ops, e, who->id) || same(ops, e, who->alias))
            return true;
        if (by_name && who->username.n &&
            (view_ieq(e, who->username) ||
             (e.p[0] == '@' && view_ieq(view_from(e, 1), who->username))))
            return true;
    }
    return false;
}

const json_t *access_group(const json_t *conf, const struct channel_event *ev, bool *listed)
{
    json_t *map = json_object_get(conf, "groups");
    const struct view ids[] = {ev->peer, ev->parent, V("*")};

    *listed = json_object_size(map) == 0;
    for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++) {
        json_t *g = ids[i].n ? json_object_getn(map, ids[i].p, ids[i].n) : NULL;

        if (g) {
            *listed = true;
            return g;
        }
    }
    return NULL;
}

bool access_mention_needed(const json_t *conf, const json_t *group)
{
    const json_t *all = json_object_get(json_object_get(conf, "groups"), "*");

    return json_flag(group, "requireMention",
                     json_flag(all, "requireMention", json_flag(conf, "requireMention", true)));
}

struct view access_owner(const struct channel_ops *ops, const json_t *conf,
                         const struct channel_person *who, char room[24])
{
    const json_t *list = json_object_get(conf, "allowFrom"), *v;
    struct view first = VIEW_EMPTY;
    char other[24];
    size_t i;

    json_array_foreach(list, i, v)
    {
        struct view e = view_trim(entry_text(v, first.n ? other : room));

        if (view_eq(e, V("*")) || (first.n && e.n && !same(ops, first, e)))
            return VIEW_EMPTY;
        if (!first.n)
            first = e;
    }
    return first.n && (same(ops, first, who->id) || same(ops, first, who->alias)) ? who->id : first;
}

static void decide(struct access *out, enum access_verdict v, const char *why)
{
    out->verdict = v;
    out->why = why;
}

static void judge_group(const struct channel_ops *ops, const json_t *conf,
                        const struct channel_event *ev, const json_t *given, struct access *out)
{
    struct view policy = json_view(conf, "groupPolicy");
    const json_t *own = json_object_get(conf, "groupAllowFrom"),
                 *from = own ? own : json_object_get(conf, "allowFrom"), *group, *per_group;
    bool by_name = json_flag(conf, "dangerouslyAllowNameMatching", false), listed;
    bool has_map = json_object_size(json_object_get(conf, "groups")) > 0;

    if (ops->groups_own_list && !own)
        from = NULL;
    group = access_group(conf, ev, &listed);
    if (given) {
        group = given;
        listed = has_map = true;
    }
    per_group = json_object_get(group, "allowFrom");
    if (json_view(group, "groupPolicy").n)
        policy = json_view(group, "groupPolicy");
    out->may_command = !has_star(from) && access_listed(ops, from, &ev->from, by_name);
    if (view_eq(policy, V("disabled")))
        decide(out, ACCESS_BLOCK, "groupPolicy: disabled");
    else if (!listed)
        decide(out, ACCESS_BLOCK, "groups: not listed");
    else if (group && !json_flag(group, "enabled", json_flag(group, "allow", true)))
        decide(out, ACCESS_BLOCK, "groups: not enabled");
    else if (per_group && !access_listed(ops, per_group, &ev->from, by_name))
        decide(out, ACCESS_BLOCK, "groups: sender not in allowFrom");
    else if (view_eq(policy, V("open")))
        decide(out, ACCESS_ALLOW, "groupPolicy: open");
    else if (!has_map && !own)
        decide(out, ACCESS_BLOCK, "groupPolicy: allowlist without groups");
    else if (per_group)
        decide(out, ACCESS_ALLOW, "groups: allowFrom");
    else if (access_listed(ops, from, &ev->from, by_name))
        decide(out, ACCESS_ALLOW, "groupAllowFrom");
    else
        decide(out, ACCESS_BLOCK, "groupAllowFrom: not listed");
}

static void judge_direct(const struct channel_ops *ops, const json_t *conf, const json_t *paired,
                         const struct channel_event *ev, struct access *out)
{
    const json_t *from = json_object_get(conf, "allowFrom"),
                 *of_dm = json_object_get(json_object_get(conf, "dm"), "allowFrom"),
                 *own = json_object_getn(json_object_get(conf, "direct"), ev->from.id.p,
                                         ev->from.id.n);
    struct view top = json_view(conf, "dmPolicy"),
                old = json_view(json_object_get(conf, "dm"), "policy"),
                policy = top.n   ? top
                         : old.n ? old
                                 : V("pairing");
    bool by_name = json_flag(conf, "dangerouslyAllowNameMatching", false),
         open = view_eq(policy, V("open"));
    bool listed = access_listed(ops, from ? from : of_dm, &ev->from, by_name),
         let_in = !view_eq(policy, V("allowlist")) && access_listed(ops, paired, &ev->from, false);

    out->may_command = let_in || (listed && !has_star(from));
    if (view_eq(policy, V("disabled")))
        decide(out, ACCESS_BLOCK, "dmPolicy: disabled");
    else if (!json_flag(own, "enabled", true))
        decide(out, ACCESS_BLOCK, "direct: not enabled");
    else if (json_flag(own, "requireTopic", false) && !ev->thread.n)
        decide(out, ACCESS_BLOCK, "direct: requireTopic");
    else if (listed)
        decide(out, ACCESS_ALLOW, open ? "dmPolicy: open" : "allowFrom");
    else if (let_in)
        decide(out, ACCESS_ALLOW, "paired");
    else if (view_eq(policy, V("pairing")) && !ev->from.bot)
        decide(out, ACCESS_ASK, "dmPolicy: pairing");
    else
        decide(out, ACCESS_BLOCK,
               "not in allowFrom"); /* open without "*", or a word we do not know */
}

void access_judge(const struct channel_ops *ops, const json_t *conf, const json_t *paired,
                  const struct channel_event *ev, const json_t *group, struct access *out)
{
    *out = (struct access){.verdict = ACCESS_BLOCK, .why = "an empty sender is nobody"};
    if (ev->from.id.n == 0)
        return;
    if (ev->kind == PEER_DIRECT)
        judge_direct(ops, conf, paired, ev, out);
    else
        judge_group(ops, conf, ev, group, out);
}
