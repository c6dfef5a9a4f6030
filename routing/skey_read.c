/* routing/skey_read.c - what a session key says. */
#include "skey.h"

#include "mem.h"

static const struct view thread_mark = {":thread:", 8}, topic_mark = {":topic:", 7};

bool skey_parse(struct view key, struct view *agent, struct view *rest)
{
    struct view id, tail;
    size_t colon;

    if (!view_starts(key, V("agent:")))
        return false;
    key = view_from(key, 6);
    colon = view_find(key, ':');
    id = fold_trim(view_of(key.p, colon));
    tail = view_from(key, colon + 1);
    if (id.n == 0 || fold_trim(tail).n == 0 || tail.p[0] == ':')
        return false;
    *agent = id;
    *rest = tail;
    return true;
}

enum skey_shape skey_shape(struct view key)
{
    struct view a, b;
    char low[6];
    struct fold t = {.p = low, .max = sizeof(low)};

    key = fold_trim(key);
    if (key.n == 0)
        return SKEY_MISSING;
    fold_lower(&t, view_of(key.p, key.n < 6 ? key.n : 6));
    if (!view_eq(fold_view(&t), V("agent:")))
        return SKEY_ALIAS;
    /* only the prefix is read without regard to case: put the rest behind it */
    key = view_from(key, 6);
    a = view_of(key.p, view_find(key, ':'));
    b = view_from(key, a.n + 1);
    return fold_trim(a).n && fold_trim(b).n && b.p[0] != ':' ? SKEY_AGENT : SKEY_MALFORMED;
}

const char *skey_shape_name(enum skey_shape s)
{
    static const char *const names[SKEY_SHAPE_COUNT] = {
        [SKEY_MISSING] = "missing",
        [SKEY_AGENT] = "agent",
        [SKEY_MALFORMED] = "malformed_agent",
        [SKEY_ALIAS] = "legacy_or_alias",
    };

    return names[s];
}

/* Where the last mark begins, key.n when there is none. */
static size_t last(struct view key, struct view mark)
{
    for (size_t i = key.n; i >= mark.n; i--)
        if (key.p[i - 1] == ':' && fold_eq(view_of(key.p + i - mark.n, mark.n), mark))
            return i - mark.n;
    return key.n;
}

void skey_thread_split(struct view key, struct view *base, struct view *thread)
{
    size_t at;

    key = fold_trim(key);
    at = last(key, thread_mark);
    *base = view_of(key.p, at);
    *thread = at < key.n ? fold_trim(view_from(key, at + thread_mark.n)) : VIEW_EMPTY;
}

struct view skey_thread_parent(struct view key)
{
    size_t thread, topic, at;

    key = fold_trim(key);
    thread = last(key, thread_mark);
    topic = last(key, topic_mark);
    at = thread == key.n ? topic : topic == key.n ? thread : thread > topic ? thread : topic;
    return at < key.n ? fold_trim(view_of(key.p, at)) : VIEW_EMPTY;
}

/* The text up to the next colon; *rest goes behind it. */
static struct view segment(struct view *rest)
{
    size_t n = view_find(*rest, ':');
    struct view s = view_of(rest->p, n);

    *rest = view_from(*rest, n + 1);
    return s;
}

bool skey_target(struct view key, struct skey_target *out)
{
    struct view agent, rest, base, thread, channel, second, third;

    skey_thread_split(key, &base, &thread);
    if (!skey_parse(base, &agent, &rest))
        return false;
    channel = segment(&rest);
    second = segment(&rest);
    if (channel.n == 0 || second.n == 0 || rest.n == 0)
        return false;
    *out = (struct skey_target){.channel = channel, .account = VIEW_EMPTY, .thread = thread};
    if (ids_peer_kind(second) != PEER_OTHER) {
        out->kind = second;
        out->peer = rest;
        return true;
    }
    third = segment(&rest);
    if (ids_peer_kind(third) != PEER_DIRECT || rest.n == 0)
        return false;
    out->account = second;
    out->kind = third;
    out->peer = rest;
    return true;
}

/* discord:[<account>:]guild-<id>:channel-<id>, as old keys had it */
static bool is_old_discord(struct view rest)
{
    struct view s = segment(&rest);

    if (!fold_eq(s, V("discord")))
        return false;
    s = segment(&rest);
    if (!view_starts(s, V("guild-")))
        s = segment(&rest);
    return view_starts(s, V("guild-")) && s.n > 6 && view_starts(rest, V("channel-")) &&
           rest.n > 8 && view_find(rest, ':') == rest.n;
}

const char *skey_chat_type(struct view key)
{
    /* the first of them that stands anywhere in the key */
    static const struct {
        struct view word;
        const char *type;
    } words[] = {
        {{"group", 5}, "group"},
        {{"channel", 7}, "channel"},
        {{"direct", 6}, "direct"},
        {{"dm", 2}, "direct"},
    };
    struct view agent, rest;
    size_t best = COUNT_OF(words);

    key = fold_trim(key);
    if (!skey_parse(key, &agent, &rest))
        rest = key;
    for (struct view left = rest; left.n;) {
        struct view s = segment(&left);

        /* K is the only letter that one beyond ASCII becomes as a small one: lengths are equal */
        for (size_t i = 0; i < best; i++)
            if (s.n == words[i].word.n && fold_eq(s, words[i].word))
                best = i;
    }
    if (best < COUNT_OF(words))
        return words[best].type;
    return is_old_discord(rest) ? "channel" : "unknown";
}
