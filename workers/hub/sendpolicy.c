#include "sendpolicy.h"

#include "json.h"
#include "lastroute.h"
#include "skey.h"

struct facts {
    struct view key, rest, channel, type;
};

static bool prefixed(struct view v, struct view prefix)
{
    return v.n >= prefix.n && view_ieq(view_of(v.p, prefix.n), prefix);
}

static bool matches(const json_t *match, const struct facts *f)
{
    struct view channel = view_trim(json_view(match, "channel")),
                type = view_trim(json_view(match, "chatType")),
                prefix = view_trim(json_view(match, "keyPrefix")),
                raw = view_trim(json_view(match, "rawKeyPrefix"));

    if (view_ieq(type, V("dm")))
        type = V("direct");
    return (channel.n == 0 || view_ieq(channel, f->channel)) &&
           (type.n == 0 || view_ieq(type, f->type)) && (raw.n == 0 || prefixed(f->key, raw)) &&
           (prefix.n == 0 || prefixed(f->key, prefix) || prefixed(f->rest, prefix));
}

bool sendpolicy_allows(const json_t *conf, const struct session *s, struct view channel,
                       struct view type)
{
    const json_t *policy = json_at(conf, "session.sendPolicy"), *rule;
    struct facts f = {.key = view_str(s->key), .channel = channel, .type = type};
    struct skey_target t;
    struct lastroute last;
    struct view agent;
    char own[8];
    bool allowed = false;
    size_t i;

    if (session_rest_str(s, "sendPolicy", own, sizeof(own)))
        return strcmp(own, "deny") != 0;
    if (!json_is_object(policy))
        return true;
    if (!skey_parse(f.key, &agent, &f.rest))
        f.rest = f.key;
    lastroute_of(s, &last);
    if (f.channel.n == 0)
        f.channel = view_str(last.channel);
    if (f.channel.n == 0 && skey_target(f.key, &t))
        f.channel = t.channel;
    if (f.type.n == 0)
        f.type = view_str(skey_chat_type(f.key));
    json_array_foreach(json_object_get(policy, "rules"), i, rule)
    {
        if (!matches(json_object_get(rule, "match"), &f))
            continue;
        if (view_eq(json_view(rule, "action"), V("deny")))
            return false;
        allowed = true;
    }
    return allowed || !view_eq(json_view(policy, "default"), V("deny"));
}
