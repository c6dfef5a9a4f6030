/*
 * workers/hub/session_row.c - a session as clients see it (protocol, SessionRow), written straight
 * from the stored record: lists are read often and long.
 */
#include "chat.h"
#include "clock.h"
#include "settings.h"
#include "skey.h"

static const char *const status_names[SESSION_STATUS_COUNT] = {
    [SESSION_QUEUED] = "queued", [SESSION_RUNNING] = "running", [SESSION_DONE] = "done",
    [SESSION_FAILED] = "failed", [SESSION_KILLED] = "killed",   [SESSION_TIMEOUT] = "timeout",
};

/* ---- a pen: members with constant names, written into room that was asked for once ---- */

enum {
    ROW_ROOM = 2048,  /* more than all constants and numbers of a row */
    ROW_WORDS = 2048, /* and its usual words */
};

struct pen {
    struct buf *b;
    char *at;     /* NULL: no memory, the buffer knows */
    size_t words; /* room for words that is left, beside ROW_ROOM */
};

static void pen_down(struct pen *p)
{
    p->at = buf_room(p->b, ROW_ROOM + ROW_WORDS);
    p->words = ROW_WORDS;
}

static void pen_up(struct pen *p)
{
    if (p->at)
        buf_added(p->b, (size_t)(p->at - (p->b->p + p->b->off + p->b->n)));
}

static inline void put(struct pen *p, const char *text, size_t n)
{
    if (p->at) {
        memcpy(p->at, text, n);
        p->at += n;
    }
}
#define PUT(p, literal) put((p), (literal), sizeof(literal) - 1)

static void put_u64(struct pen *p, uint64_t v)
{
    char t[BUF_DECIMAL_MAX];
    struct view text = buf_decimal(v, t);

    put(p, text.p, text.n);
}

/* A string of any length, its quotes included. */
static void put_str(struct pen *p, struct view v)
{
    PUT(p, "\"");
    if (v.n <= p->words && jw_is_plain(v)) {
        put(p, v.p, v.n);
        p->words -= v.n;
    } else {
        pen_up(p);
        jw_escape(p->b, v);
        pen_down(p);
    }
    PUT(p, "\"");
}

static void put_raw(struct pen *p, struct view v)
{
    if (v.n <= p->words) {
        put(p, v.p, v.n);
        p->words -= v.n;
        return;
    }
    pen_up(p);
    buf_put_view(p->b, v);
    pen_down(p);
}

#define PUT_FLAG(p, name, on)                                                                      \
    do {                                                                                           \
        if (on)                                                                                    \
            PUT((p), ",\"" name "\":true");                                                        \
        else                                                                                       \
            PUT((p), ",\"" name "\":false");                                                       \
    } while (0)
#define PUT_U64(p, name, v)                                                                        \
    do {                                                                                           \
        PUT((p), ",\"" name "\":");                                                                \
        put_u64((p), (v));                                                                         \
    } while (0)

/* A clock may stand before 1970. */
#define PUT_I64(p, name, v)                                                                        \
    do {                                                                                           \
        int64_t put_ = (v);                                                                        \
        PUT((p), ",\"" name "\":");                                                                \
        if (put_ < 0)                                                                              \
            PUT((p), "-");                                                                         \
        put_u64((p), put_ < 0 ? (uint64_t)0 - (uint64_t)put_ : (uint64_t)put_);                    \
    } while (0)

/* ---- parts ---- */

struct extra {
    int64_t started, ended; /* the numbers that session_save writes first */
    struct view rest;       /* the members behind them */
};

static void extra_split(struct view extra, struct extra *out)
{
    static const struct view names[] = {{"\"startedAt\":", 12}, {"\"endedAt\":", 10}};
    int64_t *const into[] = {&out->started, &out->ended};
    struct view v = extra.n > 2 ? view_of(extra.p + 1, extra.n - 2) : VIEW_EMPTY;

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        size_t k = names[i].n;
        uint64_t n = 0;
        bool minus;

        *into[i] = 0;
        if (!view_starts(v, names[i]))
            continue;
        minus = k < v.n && v.p[k] == '-';
        k += minus;
        while (k < v.n && v.p[k] >= '0' && v.p[k] <= '9')
            n = n * 10 + (uint64_t)(v.p[k++] - '0');
        *into[i] = (int64_t)(minus ? (uint64_t)0 - n : n);
        v = view_from(v, k + 1);
    }
    out->rest = v;
}

static void put_model(struct pen *p, struct hub *h, struct view agent, struct view own)
{
    struct chat_conf *c = &h->runs->conf;
    const struct agent_conf *a;
    struct model_pick pick;

    if (own.n == 0 && c->row_model_n && view_eq(agent, view_str(c->row_agent))) {
        put(p, c->row_model, c->row_model_n);
        return;
    }
    if (own.n) {
        model_split(h, own, &pick);
    } else {
        a = settings_agent(h->settings, agent);
        model_split(h, view_str(a && a->primary ? a->primary : ""), &pick);
    }
    PUT(p, ",\"modelProvider\":");
    put_str(p, view_str(pick.provider));
    PUT(p, ",\"model\":");
    put_str(p, view_str(pick.model));
    if (own.n)
        PUT(p, ",\"modelOverrideSource\":\"user\"");
    else
        PUT(p, ",\"modelOverrideSource\":null");
    PUT_U64(p, "contextTokens", pick.context_tokens);
}

/* Rows of one agent share this text; the agent asked for last is remembered until the configuration
 * changes. */
static void remember_model(struct hub *h, struct view agent)
{
    struct chat_conf *c = &h->runs->conf;
    struct buf b = BUF_INIT(ROW_ROOM * 2);
    struct pen p = {.b = &b};

    if (agent.n >= sizeof(c->row_agent) ||
        (c->row_model_n && view_eq(agent, view_str(c->row_agent))))
        return;
    c->row_model_n = 0;
    pen_down(&p);
    put_model(&p, h, agent, VIEW_EMPTY);
    pen_up(&p);
    if (!b.failed && b.n <= sizeof(c->row_model)) {
        memcpy(c->row_model, buf_view(&b).p, b.n);
        c->row_model_n = b.n;
        memcpy(c->row_agent, agent.p, agent.n);
        c->row_agent[agent.n] = '\0';
    }
    buf_fini(&b);
}

static int last_text(void *ctx, const struct rec_message_add *m)
{
    struct buf *out = ctx;
    struct view role, content;

    if (chat_msg_split(m->text, &role, &content))
        chat_msg_text(content, 160, true, out);
    return 1;
}

/* What is only worth looking up when it was asked for. */
static void put_texts(struct pen *p, struct hub *h, uint32_t sid, unsigned opts)
{
    struct buf text = BUF_INIT(4 * KIB);
    struct err e = ERR_INIT;

    if (opts & ROW_LAST && store_history_page(h->store, sid, 0, 1, last_text, &text, &e) == 0 &&
        text.n) {
        PUT(p, ",\"lastMessagePreview\":");
        put_str(p, buf_view(&text));
    }
    buf_reset(&text, 4 * KIB);
    if (opts & ROW_TITLE && store_history_range(h->store, sid, 1, 1, last_text, &text, &e) == 0 &&
        text.n) {
        struct view title = buf_view(&text);

        title.n = title.n > 60 ? chat_whole(view_of(title.p, 60)) : title.n;
        PUT(p, ",\"derivedTitle\":");
        put_str(p, title);
    }
    buf_fini(&text);
}

static void put_stored(struct pen *p, struct hub *h, const struct rec_session_put *r,
                       const struct extra *x, unsigned opts)
{
    int64_t started = x->started, ended = x->ended;

    PUT(p, ",\"sessionId\":");
    put_str(p, r->session_id);
    if (r->label.n) {
        PUT(p, ",\"label\":");
        put_str(p, r->label);
    }
    PUT_I64(p, "createdAt", r->created_at);
    PUT_I64(p, "updatedAt", r->updated_at);
    if (r->status != SESSION_IDLE && r->status < SESSION_STATUS_COUNT) {
        PUT(p, ",\"status\":\"");
        put(p, status_names[r->status], strlen(status_names[r->status]));
        PUT(p, "\"");
    }
    if (r->last_run_id.n) {
        PUT(p, ",\"lastRunId\":");
        put_str(p, r->last_run_id);
    }
    PUT_FLAG(p, "systemSent", r->flags & SESSION_SYSTEM_SENT);
    PUT_FLAG(p, "abortedLastRun", r->flags & SESSION_ABORTED_LAST_RUN);
    PUT_U64(p, "inputTokens", r->input_tokens);
    PUT_U64(p, "outputTokens", r->output_tokens);
    PUT_U64(p, "totalTokens", r->total_tokens);
    PUT(p, ",\"totalTokensFresh\":true");
    if (started)
        PUT_I64(p, "startedAt", started);
    if (ended)
        PUT_I64(p, "endedAt", ended);
    if (started && ended >= started)
        PUT_I64(p, "runtimeMs", ended - started);
    /* the label stands in for a title; a title in the free part is then left to a closer look */
    if (r->label.n && session_member(x->rest, V("\"displayName\":\"")).n == 0) {
        PUT(p, ",\"displayName\":");
        put_str(p, r->label);
    }
    if (x->rest.n) {
        PUT(p, ",");
        put_raw(p, x->rest);
    }
    if (opts & (ROW_LAST | ROW_TITLE))
        put_texts(p, h, r->sid, opts);
}

/* What the key says of the conversation: "group" or "channel"; NULL: a person's own. */
static const char *shared(struct view key)
{
    const char *type = skey_chat_type(key);

    return strcmp(type, "group") == 0 || strcmp(type, "channel") == 0 ? type : NULL;
}

static void put_kind(struct pen *p, struct view key, const char *type)
{
    struct skey_target t;

    if (!type) {
        PUT(p, "\"kind\":\"direct\",\"chatType\":\"direct\",");
    } else {
        PUT(p, "\"kind\":\"group\",\"chatType\":\"");
        put_raw(p, view_str(type));
        PUT(p, "\",");
    }
    if (skey_target(key, &t)) {
        PUT(p, "\"channel\":");
        put_str(p, t.channel);
        PUT(p, ",");
    }
}

static void put_class(struct pen *p, const char *type)
{
    PUT(p, "\"classification\":\"");
    if (type)
        PUT(p, "group");
    else
        PUT(p, "direct");
    PUT(p, "\",\"isMain\":false,\"agentId\":");
}

static void put_queue_mode(struct pen *p, const struct hub *h, struct view own)
{
    enum queue_mode mode = (enum queue_mode)chat_conf(h)->queue_mode;

    if (own.n)
        (void)queue_mode_read(own, &mode);
    put_raw(p, view_str(queue_mode_name(mode)));
}

void session_row(struct hub *h, struct jw *w, struct view key, const struct rec_session_put *r,
                 unsigned opts)
{
    const struct live *l = h->runs->count ? live_find(h, key) : NULL;
    struct view agent = session_key_agent(key);
    const char *type = shared(key);
    struct pen p = {.b = w->b};
    unsigned flags = r ? r->flags : 0;
    struct extra x;

    extra_split(r ? r->extra : VIEW_EMPTY, &x);
    remember_model(h, agent);
    jw_obj(w);
    pen_down(&p);
    PUT(&p, "\"key\":");
    put_str(&p, key);
    PUT(&p, ",\"visibility\":\"shared\",\"permissionModePending\":false,\"createdVia\":"
            "\"operator\",");
    put_kind(&p, key, type);
    PUT(&p, "\"isBackground\":false,\"effectiveQueueMode\":\"");
    put_queue_mode(&p, h, session_member(x.rest, V("\"queueMode\":\"")));
    PUT(&p, "\",\"effectiveResponseUsage\":\"off\",\"effectiveFastMode\":false,"
            "\"effectiveFastModeSource\":\"default\",\"runtimeSelectionLocked\":false,"
            "\"agentRuntime\":{\"id\":\"openclaw\",\"source\":\"implicit\"},\"sharingRole\":"
            "\"admin\",");
    if (session_key_is_main(h, key))
        PUT(&p, "\"classification\":\"main\",\"isMain\":true,\"agentId\":");
    else
        put_class(&p, type);
    put_str(&p, agent);
    if (r)
        put_stored(&p, h, r, &x, opts);
    else
        PUT(&p, ",\"updatedAt\":null,\"totalTokensFresh\":false");
    PUT_FLAG(&p, "archived", flags & SESSION_ARCHIVED);
    PUT_FLAG(&p, "pinned", flags & SESSION_PINNED);
    PUT_FLAG(&p, "unread", flags & SESSION_UNREAD);
    put_model(&p, h, agent, session_member(x.rest, V("\"modelRef\":\"")));
    PUT_I64(&p, "snapshotAt", clock_wall_ms());
    if (l && l->active) {
        PUT(&p, ",\"hasActiveRun\":true,\"activeRunIds\":[");
        put_str(&p, view_str(l->active->run_id));
        PUT(&p, "]");
    } else {
        PUT(&p, ",\"hasActiveRun\":false,\"activeRunIds\":[]");
    }
    pen_up(&p);
    jw_obj_end(w);
}

void session_defaults(struct hub *h, struct jw *w, bool full)
{
    const struct agent_conf *a = &h->settings->agents[h->settings->default_agent];
    struct model_pick pick;

    model_split(h, view_str(a->primary ? a->primary : ""), &pick);
    jw_obj(w);
    jw_kcstr(w, "modelProvider", pick.provider);
    jw_kcstr(w, "model", pick.model);
    jw_ku64(w, "contextTokens", pick.context_tokens);
    jw_kraw(w, "agentRuntime",
            V("{\"id\":\"auto\",\"cloudPlacementSupported\":false,\"devicePlacementSupported\":"
              "false,\"source\":\"implicit\"}"));
    if (full) {
        jw_kraw(w, "thinkingLevels", V("[{\"id\":\"off\",\"label\":\"off\"}]"));
        jw_kraw(w, "thinkingOptions", V("[\"off\"]"));
        jw_kcstr(w, "thinkingDefault", "off");
    }
    jw_kcstr(w, "modelSelectionTarget", "session");
    jw_obj_end(w);
}

void session_changed(struct hub *h, struct view key, struct view extra)
{
    struct rec_session_put r;
    struct err e = ERR_INIT;
    struct buf row = BUF_INIT(2 * MIB);
    struct jw rw = JW_INIT(&row), *w;
    bool have;

    if (!event_wanted(h, AUD_SESSIONS))
        return;
    have = store_session_get(h->store, key, &r, &e) == 0;
    session_row(h, &rw, key, have ? &r : NULL, 0);
    w = event_begin(h, "sessions.changed");
    jw_obj(w);
    jw_kstr(w, "sessionKey", key);
    if (extra.n) {
        buf_put_char(w->b, ',');
        buf_put_view(w->b, extra);
    }
    jw_ki64(w, "ts", clock_wall_ms());
    jw_kraw(w, "session", buf_view(&row));
    /* and every member of the row again (protocol 4.2); agentId among them */
    if (row.n > 2) {
        buf_put_char(w->b, ',');
        buf_put(w->b, buf_view(&row).p + 1, row.n - 2);
    }
    jw_obj_end(w);
    event_end(h, AUD_SESSIONS, EVENT_SEQ);
    buf_fini(&row);
}

void session_changed_reason(struct hub *h, struct view key, const char *reason)
{
    struct buf b = BUF_INIT(256);

    buf_printf(&b, "\"reason\":\"%s\"", reason);
    session_changed(h, key, buf_view(&b));
    buf_fini(&b);
}
