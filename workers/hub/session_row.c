/*
 * workers/hub/session_row.c - a session as clients see it (protocol, SessionRow), written straight
 * from the stored record: lists are read often and long.
 */
#include "chat.h"
#include "clock.h"
#include "settings.h"

static const char *const status_names[SESSION_STATUS_COUNT] = {
    [SESSION_QUEUED] = "queued", [SESSION_RUNNING] = "running", [SESSION_DONE] = "done",
    [SESSION_FAILED] = "failed", [SESSION_KILLED] = "killed",   [SESSION_TIMEOUT] = "timeout",
};

static void flag(struct buf *b, bool on)
{
    buf_put_view(b, on ? V("true") : V("false"));
}

static void number(struct buf *b, struct view key, uint64_t v)
{
    buf_put_view(b, key);
    buf_put_u64(b, v);
}

/* A number of the row's extra part, which session_save writes first; 0 when absent. */
static uint64_t extra_number(struct view extra, struct view key)
{
    uint64_t n = 0;
    struct view v = extra;
    const char *at = v.n > key.n ? memmem(v.p, v.n < 120 ? v.n : 120, key.p, key.n) : NULL;

    for (const char *p = at ? at + key.n : v.p + v.n; p < v.p + v.n && *p >= '0' && *p <= '9'; p++)
        n = n * 10 + (uint64_t)(*p - '0');
    return n;
}

static void model(struct hub *h, struct jw *w, const struct rec_session_put *r, struct view agent)
{
    const struct agent_conf *a = settings_agent(h->settings, agent);
    struct view key = V("\"modelRef\":\"");
    struct model_pick pick;
    const char *at = r && r->extra.n > key.n ? memmem(r->extra.p, r->extra.n, key.p, key.n) : NULL;

    if (at) {
        struct view own =
            view_from(view_of(r->extra.p, r->extra.n), (size_t)(at - r->extra.p) + key.n);

        model_split(h, view_of(own.p, view_find(own, '"')), &pick);
    } else {
        model_split(h, view_str(a && a->primary ? a->primary : ""), &pick);
    }
    jw_kcstr(w, "modelProvider", pick.provider);
    jw_kcstr(w, "model", pick.model);
    buf_put_view(w->b,
                 at ? V(",\"modelOverrideSource\":\"user\"") : V(",\"modelOverrideSource\":null"));
    number(w->b, V(",\"contextTokens\":"), pick.context_tokens);
}

static int last_text(void *ctx, const struct rec_message_add *m)
{
    struct buf *out = ctx;
    struct view role, content;

    if (chat_msg_split(m->text, &role, &content))
        chat_msg_text(content, 160, true, out);
    return 1;
}

void session_row(struct hub *h, struct jw *w, struct view key, const struct rec_session_put *r,
                 unsigned opts)
{
    const struct live *l = h->runs->count ? live_find(h, key) : NULL;
    struct buf *b = w->b;
    struct view agent = session_key_agent(key);
    bool main = session_key_is_main(h, key);
    unsigned flags = r ? r->flags : 0;

    jw_obj(w);
    jw_kstr(w, "key", key);
    buf_put_view(
        b, V(",\"visibility\":\"shared\",\"permissionModePending\":false,\"createdVia\":"
             "\"operator\",\"kind\":\"direct\","
             "\"chatType\":\"direct\",\"isBackground\":false,\"effectiveQueueMode\":\"steer\","
             "\"effectiveResponseUsage\":\"off\",\"effectiveFastMode\":false,"
             "\"effectiveFastModeSource\":\"default\",\"runtimeSelectionLocked\":false,"
             "\"agentRuntime\":{\"id\":\"openclaw\",\"source\":\"implicit\"},\"sharingRole\":"
             "\"admin\","));
    buf_put_view(b, main ? V("\"classification\":\"main\",\"isMain\":true")
                         : V("\"classification\":\"direct\",\"isMain\":false"));
    jw_kstr(w, "agentId", agent);
    if (r) {
        uint64_t started = extra_number(r->extra, V("\"startedAt\":")),
                 ended = extra_number(r->extra, V("\"endedAt\":"));

        jw_kstr(w, "sessionId", r->session_id);
        if (r->label.n) {
            jw_kstr(w, "label", r->label);
            jw_kstr(w, "displayName", r->label);
        }
        number(b, V(",\"createdAt\":"), (uint64_t)r->created_at);
        number(b, V(",\"updatedAt\":"), (uint64_t)r->updated_at);
        if (r->status != SESSION_IDLE && r->status < SESSION_STATUS_COUNT)
            jw_kcstr(w, "status", status_names[r->status]);
        if (r->last_run_id.n)
            jw_kstr(w, "lastRunId", r->last_run_id);
        buf_put_view(b, V(",\"systemSent\":"));
        flag(b, flags & SESSION_SYSTEM_SENT);
        buf_put_view(b, V(",\"abortedLastRun\":"));
        flag(b, flags & SESSION_ABORTED_LAST_RUN);
        number(b, V(",\"inputTokens\":"), r->input_tokens);
        number(b, V(",\"outputTokens\":"), r->output_tokens);
        number(b, V(",\"totalTokens\":"), r->total_tokens);
        buf_put_view(b, V(",\"totalTokensFresh\":true"));
        if (ended >= started && started)
            number(b, V(",\"runtimeMs\":"), ended - started);
        if (r->extra.n > 2 &&
            !(r->label.n && memmem(r->extra.p, r->extra.n, "\"displayName\"", 13))) {
            buf_put_char(b, ',');
            buf_put(b, r->extra.p + 1, r->extra.n - 2);
        } else if (r->extra.n > 2) {
            /* the label stands in for the title */
            number(b, V(",\"startedAt\":"), started);
            number(b, V(",\"endedAt\":"), ended);
        }
        if (opts & (ROW_LAST | ROW_TITLE)) {
            struct buf text = BUF_INIT(4 * KIB);
            struct err e = ERR_INIT;

            if (opts & ROW_LAST &&
                store_history_page(h->store, r->sid, 0, 1, last_text, &text, &e) == 0 && text.n)
                jw_kstr(w, "lastMessagePreview", buf_view(&text));
            if (opts & ROW_TITLE) {
                buf_reset(&text, 4 * KIB);
                if (store_history_range(h->store, r->sid, 1, 1, last_text, &text, &e) == 0 &&
                    text.n) {
                    if (text.n > 60)
                        buf_cut(&text, 60);
                    jw_kstr(w, "derivedTitle", buf_view(&text));
                }
            }
            buf_fini(&text);
        }
    } else {
        buf_put_view(b, V(",\"updatedAt\":null,\"totalTokensFresh\":false"));
    }
    buf_put_view(b, V(",\"archived\":"));
    flag(b, flags & SESSION_ARCHIVED);
    buf_put_view(b, V(",\"pinned\":"));
    flag(b, flags & SESSION_PINNED);
    buf_put_view(b, V(",\"unread\":"));
    flag(b, flags & SESSION_UNREAD);
    model(h, w, r, agent);
    number(b, V(",\"snapshotAt\":"), (uint64_t)clock_wall_ms());
    if (l && l->active) {
        buf_put_view(b, V(",\"hasActiveRun\":true,\"activeRunIds\":["));
        buf_put_char(b, '"');
        jw_escape(b, view_str(l->active->run_id));
        buf_put_view(b, V("\"]"));
    } else {
        buf_put_view(b, V(",\"hasActiveRun\":false,\"activeRunIds\":[]"));
    }
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
