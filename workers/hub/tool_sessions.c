/* workers/hub/tool_sessions.c - tools that look at sessions: sessions_list, sessions_history,
 * session_status; and which of them a call may look at. */
#include "chat.h"
#include "clock.h"
#include "compact.h"
#include "jscan.h"
#include "json.h"
#include "settings.h"
#include "skey.h"
#include "tools.h"

#include <ctype.h>
#include <stdio.h>

enum {
    LIST_DEFAULT = 100,
    LIST_MAX = 200,
    LIST_LOOK_MAX = 1500, /* rows looked at in one call */
    HISTORY_DEFAULT = 100,
    HISTORY_MAX = 1000,
    TEXT_MAX = 4000,  /* of one message */
    ROOM_LEFT = 2048, /* of a result, for what stands behind its list */
};

/* ---- which ones ---- */

static bool agent_listed(const json_t *allow, struct view agent)
{
    const json_t *v;
    size_t i;

    json_array_foreach(allow, i, v)
    {
        struct view p = view_trim(json_view_of(v));
        size_t star = view_find(p, '*');

        if (star == p.n
                ? view_eq(p, agent)
                : agent.n + 1 >= p.n && view_ieq(view_of(p.p, star), view_of(agent.p, star)) &&
                      view_ieq(view_from(p, star + 1),
                               view_from(agent, agent.n - (p.n - star - 1))))
            return true;
    }
    return json_array_size(allow) == 0;
}

static bool agents_may(const json_t *conf, struct view from, struct view to)
{
    const json_t *rule = json_at(conf, "tools.agentToAgent"),
                 *allow = json_object_get(rule, "allow");

    return view_ieq(from, to) || (json_flag(rule, "enabled", true) && agent_listed(allow, from) &&
                                  agent_listed(allow, to));
}

bool tool_sees(const struct tool_call *c, struct view key)
{
    const json_t *conf = c->hub->w.conf;
    struct view mode = json_view_of(json_at(conf, "tools.sessions.visibility")),
                from = view_str(c->session.agent), to = session_key_agent(key);

    if (view_eq(key, session_key_view(&c->session)))
        return true;
    if (!c->inside || view_eq(mode, V("self")))
        return false;
    if (view_eq(mode, V("agent")))
        return view_eq(from, to);
    if (view_eq(mode, V("tree")))
        return view_eq(from, to) && session_key_is_main(c->hub, session_key_view(&c->session));
    return agents_may(conf, from, to);
}

bool tool_session(struct tool_call *c, struct view asked, struct session_key *out)
{
    struct err e = ERR_INIT;

    if (!asked.n || view_eq(asked, V("current"))) {
        *out = c->session;
        return true;
    }
    if (session_key(c->hub, asked,
                    view_starts(asked, V("agent:")) ? VIEW_EMPTY : view_str(c->session.agent), out,
                    &e) == ERR_INVALID) {
        tool_endf(c, TOOL_BAD_INPUT, "sessionKey: %s", e.text);
        return false;
    }
    if (!tool_sees(c, session_key_view(out))) {
        tool_endf(c, TOOL_FORBIDDEN,
                  "Session %s cannot be reached from here (tools.sessions.visibility, "
                  "tools.agentToAgent).",
                  out->s);
        return false;
    }
    return true;
}

/* ---- rows ---- */

static const char *kind_of(struct hub *h, struct view key)
{
    struct view agent, rest;
    const char *type = skey_chat_type(key);

    if (session_key_is_main(h, key))
        return "main";
    if (!skey_parse(key, &agent, &rest))
        return "other";
    return view_starts(rest, V("cron:"))                                ? "cron"
           : view_starts(rest, V("hook:"))                              ? "hook"
           : view_starts(rest, V("node:"))                              ? "node"
           : strcmp(type, "group") == 0 || strcmp(type, "channel") == 0 ? "group"
           : strcmp(type, "direct") == 0                                ? "direct"
                                                                        : "other";
}

static void put_escaped(struct jw *w, const char *key, struct view v)
{
    if (!v.n)
        return;
    jw_key(w, key);
    w->after_key = false;
    buf_put_char(w->b, '"');
    buf_put_view(w->b, v);
    buf_put_char(w->b, '"');
    w->has_item |= 1u << w->depth;
}

static struct view channel_of(const struct rec_session_put *r)
{
    struct view last = session_member(r->extra, V("\"lastChannel\":\""));
    struct skey_target t;

    if (last.n)
        return last;
    return skey_target(r->key, &t) ? t.channel : V("webchat");
}

struct texts {
    struct jw *w;
    struct view msg[20];
    unsigned count, max;
};

static int on_text(void *ctx, const struct rec_message_add *m)
{
    struct texts *t = ctx;

    if (t->count == t->max)
        return 1;
    if (m->role == MESSAGE_USER || m->role == MESSAGE_ASSISTANT)
        t->msg[t->count++] = m->text;
    return 0;
}

/* What a model needs of a message: who, when, the text, and which tools were called. */
static void put_message(struct jw *w, struct view msg, size_t max)
{
    struct buf text = BUF_INIT(64 * KIB);
    const struct jscan_member *m;
    struct view role, content;
    struct err e = ERR_INIT;
    struct jscan js;

    if (!chat_msg_split(msg, &role, &content))
        return;
    chat_msg_text(content, max, false, &text);
    jw_obj(w);
    jw_kstr(w, "role", role);
    jw_key(w, "content");
    jw_arr(w);
    if (text.n) {
        jw_obj(w);
        jw_kcstr(w, "type", "text");
        jw_kstr(w, "text", buf_view(&text));
        jw_obj_end(w);
    }
    jw_arr_end(w);
    if (jscan(msg, &js, &e) == 0) {
        static const char *const keys[] = {"toolName", "timestamp"};

        for (size_t i = 0; i < COUNT_OF(keys); i++)
            if ((m = jscan_get(&js, view_str(keys[i]))))
                jw_kraw(w, keys[i], m->value);
    }
    jw_obj_end(w);
    buf_fini(&text);
}

static void put_texts(struct tool_call *c, struct jw *w, uint32_t sid)
{
    struct texts t = {.w = w, .max = (unsigned)json_i64(c->args, "messageLimit", 0)};
    struct err e = ERR_INIT;
    bool last = json_flag(c->args, "includeLastMessage", false);

    if (t.max == 0 && !last)
        return;
    if (t.max == 0 || t.max > COUNT_OF(t.msg))
        t.max = t.max ? COUNT_OF(t.msg) : 1;
    if (store_history_page(c->hub->store, sid, 0, 4 * t.max, on_text, &t, &e) < 0 || !t.count)
        return;
    if (last) {
        struct buf text = BUF_INIT(4 * KIB);
        struct view role, content;

        if (chat_msg_split(t.msg[0], &role, &content)) {
            chat_msg_text(content, 160, true, &text);
            jw_kstr(w, "lastMessagePreview", buf_view(&text));
        }
        buf_fini(&text);
    }
    if (json_i64(c->args, "messageLimit", 0) == 0)
        return;
    jw_key(w, "messages");
    jw_arr(w);
    for (unsigned i = t.count; i > 0; i--)
        put_message(w, t.msg[i - 1], TEXT_MAX / 4);
    jw_arr_end(w);
}

static void put_row(struct tool_call *c, struct jw *w, const struct rec_session_put *r, bool texts)
{
    struct hub *h = c->hub;
    const struct live *l = live_find(h, r->key);
    struct model_pick pick;
    struct session s;
    struct err e = ERR_INIT;

    jw_obj(w);
    jw_kstr(w, "key", r->key);
    jw_kstr(w, "agentId", session_key_agent(r->key));
    jw_kcstr(w, "kind", kind_of(h, r->key));
    put_escaped(w, "channel", channel_of(r));
    jw_kstr(w, "sessionId", r->session_id);
    if (r->label.n)
        jw_kstr(w, "label", r->label);
    put_escaped(w, "displayName", session_member(r->extra, V("\"displayName\":\"")));
    jw_ki64(w, "updatedAt", r->updated_at);
    if (session_load(h, r->key, &s, &e) == 0) {
        session_model(h, &s, &pick);
        jw_kcstr(w, "modelProvider", pick.provider);
        jw_kcstr(w, "model", pick.model);
        jw_ku64(w, "contextTokens", pick.context_tokens);
        session_fini(&s);
    }
    jw_ku64(w, "totalTokens", r->total_tokens);
    jw_kbool(w, "hasActiveRun", l && l->active);
    if (r->flags & SESSION_ABORTED_LAST_RUN)
        jw_kbool(w, "abortedLastRun", true);
    if (r->flags & SESSION_PINNED)
        jw_kbool(w, "pinned", true);
    if (r->flags & SESSION_ARCHIVED)
        jw_kbool(w, "archived", true);
    if (texts)
        put_texts(c, w, r->sid);
    jw_obj_end(w);
}

/* ---- sessions_list ---- */

struct list {
    struct tool_call *c;
    struct jw *w;
    struct buf row;
    struct view label, agent, search;
    int64_t since, limit, skip, passed, looked, put;
    bool more, full;
};

static bool holds(struct view in, struct view what)
{
    for (size_t i = 0; i + what.n <= in.n; i++)
        if (view_ieq(view_of(in.p + i, what.n), what))
            return true;
    return what.n == 0;
}

static bool kind_wanted(const json_t *kinds, const char *kind)
{
    const json_t *v;
    size_t i;

    json_array_foreach(kinds, i, v)
    {
        if (view_eq(json_view_of(v), view_str(kind)))
            return true;
    }
    return json_array_size(kinds) == 0;
}

static bool wanted(const struct list *l, const struct rec_session_put *r)
{
    const json_t *args = l->c->args, *archived = json_object_get(args, "archived"),
                 *pinned = json_object_get(args, "pinned");
    const struct live *live;

    if (!json_is_string(archived) && !(r->flags & SESSION_ARCHIVED) != !json_is_true(archived))
        return false;
    if (pinned && !(r->flags & SESSION_PINNED) != !json_is_true(pinned))
        return false;
    if ((l->since && r->updated_at < l->since) ||
        (l->agent.n && !view_eq(session_key_agent(r->key), l->agent)) ||
        (l->label.n && !view_eq(r->label, l->label)))
        return false;
    if (l->search.n && !holds(r->key, l->search) && !holds(r->label, l->search) &&
        !holds(session_member(r->extra, V("\"displayName\":\"")), l->search))
        return false;
    if (json_flag(args, "activeOnly", false) &&
        (!(live = live_find(l->c->hub, r->key)) || !live->active))
        return false;
    return kind_wanted(json_object_get(args, "kinds"), kind_of(l->c->hub, r->key)) &&
           tool_sees(l->c, r->key);
}

/* Whether it has room in what is left. */
static bool row_fits(struct list *l, const struct rec_session_put *r, bool texts)
{
    struct jw one = JW_INIT(&l->row);

    buf_reset(&l->row, l->row.max);
    put_row(l->c, &one, r, texts);
    return !l->row.failed && l->w->b->n + l->row.n <= TOOL_RESULT_MAX - ROOM_LEFT;
}

static int on_row(void *ctx, const struct rec_session_put *r)
{
    struct list *l = ctx;

    if (l->passed < l->skip) {
        l->passed++;
        return 0;
    }
    if (l->looked++ == LIST_LOOK_MAX || l->put == l->limit) {
        l->more = true;
        return 1;
    }
    if (wanted(l, r)) {
        /* one that has no room even alone would stop whoever pages */
        if (!row_fits(l, r, true) && (l->put || !row_fits(l, r, false))) {
            l->more = l->full = true;
            return 1;
        }
        jw_raw(l->w, buf_view(&l->row));
        l->put++;
    }
    l->passed++;
    return 0;
}

void tool_sessions_list(struct tool_call *c)
{
    struct buf b = BUF_INIT(2 * TOOL_RESULT_MAX);
    struct jw w = JW_INIT(&b);
    int64_t minutes = json_i64(c->args, "activeMinutes", 0);
    struct list l = {
        .c = c,
        .w = &w,
        .row = BUF_INIT(TOOL_RESULT_MAX),
        .label = json_view(c->args, "label"),
        .agent = json_view(c->args, "agentId"),
        .search = view_trim(json_view(c->args, "search")),
        .since = minutes > 0 && minutes < 1000000000 ? clock_wall_ms() - minutes * 60000 : 0,
        .limit = json_i64(c->args, "limit", LIST_DEFAULT),
        .skip = json_i64(c->args, "offset", 0)};
    struct view mode = json_view_of(json_at(c->hub->w.conf, "tools.sessions.visibility"));
    struct err e = ERR_INIT;

    if (l.limit > LIST_MAX)
        l.limit = LIST_MAX;
    jw_obj(&w);
    jw_key(&w, "sessions");
    jw_arr(&w);
    if (store_sessions_page(c->hub->store, 0, SIZE_MAX, on_row, &l, &e) < 0) {
        tool_endf(c, TOOL_FAILED, "%s", e.text);
        goto out;
    }
    jw_arr_end(&w);
    jw_ki64(&w, "count", l.put);
    jw_ki64(&w, "limitApplied", l.limit);
    jw_kbool(&w, "hasMore", l.more);
    if (l.more)
        jw_ki64(&w, "nextOffset", l.passed);
    if (l.full || (l.more && l.looked > LIST_LOOK_MAX))
        jw_kcstr(&w, "truncationReason", l.full ? "byte-limit" : "scan-limit");
    if (!c->inside || (mode.n && !view_eq(mode, V("all")))) {
        jw_key(&w, "visibility");
        jw_obj(&w);
        jw_kstr(&w, "mode", c->inside ? mode : V("self"));
        jw_kcstr(&w, "warning", "Other sessions may exist; they cannot be seen from here.");
        jw_obj_end(&w);
    }
    jw_obj_end(&w);
    tool_end(c, TOOL_DONE, buf_view(&b));
out:
    buf_fini(&l.row);
    buf_fini(&b);
}

/* ---- sessions_history ---- */

struct page {
    struct view msg[HISTORY_MAX];
    uint64_t at[HISTORY_MAX]; /* how many newer ones were passed over before it */
    unsigned count, max;
    uint64_t seen;
    bool tools, more;
};

static int on_message(void *ctx, const struct rec_message_add *m)
{
    struct page *p = ctx;

    if (p->count == p->max) {
        p->more = true;
        return 1;
    }
    if (m->role == MESSAGE_USER || m->role == MESSAGE_ASSISTANT ||
        (p->tools && m->role == MESSAGE_TOOL)) {
        p->at[p->count] = p->seen;
        p->msg[p->count++] = m->text;
    }
    p->seen++;
    return 0;
}

/* The newest of them that fit, oldest first. Returns how many those are. */
static unsigned put_page(struct jw *w, const struct page *p)
{
    struct buf all = BUF_INIT(4 * TOOL_RESULT_MAX);
    size_t left = TOOL_RESULT_MAX - ROOM_LEFT, from[HISTORY_MAX];
    unsigned fit = 0;

    for (; fit < p->count; fit++) {
        struct jw one = JW_INIT(&all);

        from[fit] = all.n;
        put_message(&one, p->msg[fit], TEXT_MAX);
        if (all.n - from[fit] + 1 > left) {
            buf_cut(&all, from[fit]);
            break;
        }
        left -= all.n - from[fit] + 1;
    }
    jw_key(w, "messages");
    jw_arr(w);
    for (unsigned i = fit; i > 0; i--) {
        size_t end = i == fit ? all.n : from[i];

        if (end > from[i - 1])
            jw_raw(w, view_of(buf_view(&all).p + from[i - 1], end - from[i - 1]));
    }
    jw_arr_end(w);
    buf_fini(&all);
    return fit;
}

void tool_sessions_history(struct tool_call *c)
{
    struct page *p = NULL;
    struct buf b = BUF_INIT(4 * TOOL_RESULT_MAX);
    struct jw w = JW_INIT(&b);
    struct rec_session_put row;
    struct session_key key;
    struct err e = ERR_INIT;
    int64_t limit = json_i64(c->args, "limit", HISTORY_DEFAULT),
            offset = json_i64(c->args, "offset", 0);
    unsigned fit;
    uint64_t total = 0;
    bool dropped;
    int rc;

    if (!tool_session(c, view_trim(json_view(c->args, "sessionKey")), &key))
        return;
    if ((rc = store_session_get(c->hub->store, session_key_view(&key), &row, &e)) < 0) {
        tool_endf(c, TOOL_BAD_INPUT,
                  rc == ERR_NOT_FOUND
                      ? "There is no session %s. sessions_list shows those there are."
                      : "%s: the store cannot be read",
                  key.s);
        return;
    }
    if (mem_new(&p, sizeof(*p), &e) < 0) {
        tool_endf(c, TOOL_FAILED, "%s", e.text);
        return;
    }
    p->max = limit > HISTORY_MAX ? HISTORY_MAX : (unsigned)limit;
    p->tools = json_flag(c->args, "includeTools", false);
    if ((rc = store_history_count(c->hub->store, row.sid, &total, &e)) == 0)
        rc = store_history_page(c->hub->store, row.sid, (uint64_t)offset, SIZE_MAX, on_message, p,
                                &e);
    if (rc < 0) {
        tool_endf(c, TOOL_FAILED, "%s", e.text);
    } else {
        jw_obj(&w);
        jw_kcstr(&w, "sessionKey", key.s);
        fit = put_page(&w, p);
        dropped = fit < p->count;
        jw_kbool(&w, "truncated", dropped);
        jw_kbool(&w, "droppedMessages", dropped);
        jw_ki64(&w, "offset", offset);
        jw_kbool(&w, "hasMore", p->more || dropped);
        if (p->more || dropped)
            jw_ku64(&w, "nextOffset", (uint64_t)offset + (dropped ? p->at[fit] : p->seen));
        jw_ku64(&w, "totalMessages", total);
        jw_obj_end(&w);
        tool_end(c, TOOL_DONE, buf_view(&b));
    }
    mem_free(p);
    buf_fini(&b);
}

/* ---- session_status ---- */

void tool_session_status(struct tool_call *c)
{
    struct hub *h = c->hub;
    struct buf b = BUF_INIT(64 * KIB), text = BUF_INIT(4 * KIB);
    struct jw w = JW_INIT(&b);
    const struct live *l;
    struct model_pick pick;
    struct session_key key;
    struct session s;
    char at[CLOCK_ISO_MAX];
    struct err e = ERR_INIT;
    int rc;

    if (!tool_session(c, view_trim(json_view(c->args, "sessionKey")), &key))
        return;
    rc = session_load(h, session_key_view(&key), &s, &e);
    if (rc == ERR_NOT_FOUND)
        rc = session_init(&s, &key, &e);
    if (rc < 0) {
        tool_endf(c, TOOL_FAILED, "%s", e.text);
        return;
    }
    session_model(h, &s, &pick);
    l = live_find(h, session_key_view(&key));
    clock_iso(clock_wall_ms(), at);
    buf_printf(
        &text,
        "Session %s\nAgent %s, model %s/%s\nContext %llu of %llu tokens; in all %llu in, %llu "
        "out\n%s\nTime %s",
        key.s, key.agent, pick.provider, pick.model, (unsigned long long)s.total_tokens,
        (unsigned long long)pick.context_tokens, (unsigned long long)s.input_tokens,
        (unsigned long long)s.output_tokens,
        l && l->active ? "A turn is under way." : "No turn is under way.", at);
    jw_obj(&w);
    jw_kbool(&w, "ok", true);
    jw_kcstr(&w, "sessionKey", key.s);
    jw_kcstr(&w, "modelProvider", pick.provider);
    jw_kcstr(&w, "model", pick.model);
    jw_ku64(&w, "totalTokens", s.total_tokens);
    jw_ku64(&w, "contextTokens", pick.context_tokens);
    jw_ki64(&w, "updatedAt", s.updated_at);
    jw_ku64(&w, "queued", l ? l->waiting_count : 0);
    jw_kstr(&w, "statusText", buf_view(&text));
    jw_obj_end(&w);
    tool_end(c, TOOL_DONE, buf_view(&b));
    session_fini(&s);
    buf_fini(&text);
    buf_fini(&b);
}
