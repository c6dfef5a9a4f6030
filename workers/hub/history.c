/*
 * workers/hub/history.c - what was said (protocol 5.6). Messages are passed on as the bytes they
 * were stored as; only their number is added, and what is longer than the caller wants is cut.
 */
#include "chat.h"
#include "clock.h"
#include "command.h"
#include "compact.h"
#include "jscan.h"
#include "json.h"
#include "num.h"
#include "settings.h"

#include <stdio.h>

enum {
    LIMIT_DEFAULT = 200,
    LIMIT_MAX = 1000,
    BYTES_MAX = 6291456, /* protocol: maxBytes */
    PREVIEW_KEYS_MAX = 200,
    PREVIEW_ITEMS_MAX = 50,
    PENDING_SHOWN = 100, /* messages that wait */
    PENDING_BYTES = 1048576,
};

struct page {
    struct {
        struct view text;
        uint64_t seq;
    } msg[LIMIT_MAX];
    size_t count, bytes, max_bytes;
    bool full;
};

static int on_message(void *ctx, const struct rec_message_add *m)
{
    struct page *p = ctx;

    if (p->count == LIMIT_MAX)
        return 1;
    if (p->count > 0 && m->text.n > p->max_bytes - p->bytes) {
        p->full = true;
        return 1;
    }
    p->msg[p->count].text = m->text;
    p->msg[p->count].seq = m->seq;
    p->count++;
    p->bytes += m->text.n < p->max_bytes - p->bytes ? m->text.n : p->max_bytes - p->bytes;
    return 0;
}

/* One message, its text cut to max characters when it is longer. */
static void put_message(struct jw *w, struct view text, uint64_t seq, size_t max)
{
    struct view role, content;
    const struct jscan_member *m;
    struct jscan js;
    struct err e = ERR_INIT;
    struct buf cut = BUF_INIT(32 * MIB), msg = BUF_INIT(32 * MIB);
    struct jw mw = JW_INIT(&msg);

    if (max == 0 || text.n <= max || !chat_msg_split(text, &role, &content) ||
        content.n <= max + 2 || jscan(text, &js, &e) < 0) {
        chat_msg_numbered(w, text, seq);
        return;
    }
    chat_msg_text(content, max, false, &cut);
    buf_put_view(&cut, V("…"));
    jw_obj(&mw);
    for (unsigned i = 0; i < js.count; i++) {
        m = &js.member[i];
        jw_key_view(&mw, m->key);
        if (!view_eq(m->key, V("content"))) {
            jw_raw(&mw, m->value);
        } else if (m->type == JSCAN_STRING) {
            jw_str(&mw, buf_view(&cut));
        } else {
            jw_arr(&mw);
            jw_obj(&mw);
            jw_kcstr(&mw, "type", "text");
            jw_kstr(&mw, "text", buf_view(&cut));
            jw_obj_end(&mw);
            jw_arr_end(&mw);
        }
    }
    jw_obj_end(&mw);
    chat_msg_numbered(w, buf_view(&msg), seq);
    buf_fini(&cut);
    buf_fini(&msg);
}

/* ---- cursor: the place up to which a client has read ---- */

static void put_cursor(struct jw *w, const char *session_id, uint64_t seq)
{
    char text[96];

    (void)snprintf(text, sizeof(text), "%s:%llu", session_id, (unsigned long long)seq);
    jw_kcstr(w, "deltaCursor", text);
}

/* The place in the cursor, when it belongs to this transcript. */
static bool read_cursor(struct view cursor, const char *session_id, uint64_t last, uint64_t *seq)
{
    size_t n = strlen(session_id);
    struct err e = ERR_INIT;

    return view_starts(cursor, view_str(session_id)) && cursor.n > n + 1 && cursor.p[n] == ':' &&
           num_u64(view_from(cursor, n + 1), 0, last, seq, &e) == 0;
}

/* ---- parts of the answer ---- */

static void put_pending(struct jw *w, const struct live *l, int64_t before)
{
    unsigned total = l ? l->waiting_count : 0, left = PENDING_SHOWN;
    size_t full = w->b->n + PENDING_BYTES;

    (void)before;
    jw_key(w, "pendingInputs");
    jw_obj(w);
    jw_key(w, "items");
    jw_arr(w);
    for (const struct run *r = l ? l->waiting : NULL; r && left > 0 && w->b->n < full;
         r = r->next, left--) {
        jw_obj(w);
        jw_kcstr(w, "id", r->message_id);
        jw_ki64(w, "acceptedAt", r->accepted_ms);
        jw_kcstr(w, "state", "queued");
        jw_key(w, "message");
        jw_obj(w);
        jw_kcstr(w, "role", "user");
        jw_kcstr(w, "content", r->text ? r->text : "");
        jw_ki64(w, "timestamp", r->accepted_ms);
        jw_key(w, "__openclaw");
        jw_obj(w);
        jw_kbool(w, "senderIsOwner", true);
        if (r->files) {
            buf_put_char(w->b, ',');
            buf_put_str(w->b, r->files);
        }
        jw_key(w, "id");
        w->after_key = false;
        buf_printf(w->b, "\"pending:%s\"", r->message_id);
        jw_obj_end(w);
        jw_obj_end(w);
        jw_kcstr(w, "runId", r->run_id);
        jw_obj_end(w);
    }
    jw_arr_end(w);
    jw_ku64(w, "total", total);
    jw_obj_end(w);
}

static void put_receipts(struct hub *h, struct jw *w, const json_t *ids)
{
    const json_t *id;
    size_t i;

    jw_key(w, "inputReceipts");
    jw_arr(w);
    json_array_foreach(ids, i, id)
    {
        struct view v = json_view_of(id);
        const struct run *r = run_find(h, v);
        struct rec_run_put row;
        struct err e = ERR_INIT;

        if (!r && store_run_get(h->store, v, &row, &e) < 0)
            continue;
        jw_obj(w);
        jw_kstr(w, "runId", v);
        jw_kcstr(w, "state", r && r->phase == RUN_WAITS ? "pending" : "consumed");
        jw_obj_end(w);
    }
    jw_arr_end(w);
    jw_kraw(w, "inputConsumptions", V("[]"));
}

static void put_in_flight(struct jw *w, const struct live *l)
{
    const struct run *r = l ? l->active : NULL;
    struct media_filter lines = {.fence = 0};
    struct buf text;

    if (!r || r->phase == RUN_ENDING)
        return;
    buf_init(&text, RUN_TEXT_MAX);
    (void)media_filter(&lines, view_of(buf_view(&r->said).p, chat_whole(buf_view(&r->said))), false,
                       &text);
    jw_key(w, "inFlightRun");
    jw_obj(w);
    jw_kcstr(w, "runId", r->run_id);
    jw_kstr(w, "text", buf_view(&text));
    buf_fini(&text);
    jw_ki64(w, "startedAt", r->started_ms ? r->started_ms : r->accepted_ms);
    jw_obj_end(w);
}

static void put_page(struct jw *w, const struct page *p, size_t max_chars)
{
    jw_key(w, "messages");
    jw_arr(w);
    for (size_t i = p->count; i > 0; i--)
        put_message(w, p->msg[i - 1].text, p->msg[i - 1].seq, max_chars);
    jw_arr_end(w);
}

/* ---- chat.metadata ---- */

static void put_metadata(struct hub *h, struct jw *w)
{
    const struct settings *s = h->settings;

    jw_obj(w);
    jw_key(w, "models");
    jw_arr(w);
    for (unsigned i = 0; i < s->model_count; i++) {
        const struct model_conf *m = &s->models[i];

        jw_obj(w);
        jw_kcstr(w, "id", m->id);
        jw_kcstr(w, "name", m->name ? m->name : m->id);
        jw_kcstr(w, "provider", m->provider);
        if (m->context_window > 0)
            jw_ki64(w, "contextWindow", m->context_window);
        jw_kbool(w, "reasoning", m->reasoning);
        jw_kbool(w, "available", true);
        jw_obj_end(w);
    }
    jw_arr_end(w);
    jw_key(w, "commands");
    command_entries(w);
    jw_kraw(w, "accountSelection",
            V("{\"kind\":\"automatic\",\"label\":\"Automatic account selection\"}"));
    jw_kbool(w, "runtimeSelectionLocked", false);
    jw_obj_end(w);
}

int rpc_chat_metadata(struct call *c)
{
    put_metadata(c->hub, call_ok(c));
    return call_end(c);
}

int rpc_commands_list(struct call *c)
{
    struct jw *w = call_ok(c);

    jw_obj(w);
    jw_key(w, "commands");
    command_entries(w);
    jw_obj_end(w);
    return call_end(c);
}

static void put_agents(struct hub *h, struct jw *w)
{
    const struct settings *s = h->settings;

    jw_obj(w);
    jw_kcstr(w, "defaultId", s->agents[s->default_agent].id);
    jw_kcstr(w, "mainKey", chat_conf(h)->main_key);
    jw_kcstr(w, "scope", "per-sender");
    jw_key(w, "agents");
    jw_arr(w);
    for (unsigned i = 0; i < s->agent_count; i++) {
        jw_obj(w);
        jw_kcstr(w, "id", s->agents[i].id);
        if (s->agents[i].name)
            jw_kcstr(w, "name", s->agents[i].name);
        jw_obj_end(w);
    }
    jw_arr_end(w);
    jw_obj_end(w);
}

/* ---- chat.history, chat.startup ---- */

/* Entries of a page, of those that were not cut off. */
static size_t page_limit(uint64_t seen, uint64_t offset, size_t limit)
{
    uint64_t left = seen > offset ? seen - offset : 0;

    return left < limit ? (size_t)left : limit;
}

static size_t newest(struct hub *h, const struct rec_session_put *row, size_t limit)
{
    uint64_t total = 0, hidden = compact_first(row) - 1;
    struct err e = ERR_INIT;

    if (hidden == 0)
        return limit;
    return store_history_count(h->store, row->sid, &total, &e) == 0 && total > hidden
               ? page_limit(total - hidden, 0, limit)
               : 0;
}

static int history(struct call *c, struct view asked, bool startup)
{
    struct hub *h = c->hub;
    struct view cursor = json_view(c->params, "cursor");
    int64_t limit = json_i64(c->params, "limit", LIMIT_DEFAULT),
            offset = json_i64(c->params, "offset", 0),
            max_bytes = json_i64(c->params, "maxBytes", BYTES_MAX),
            max_chars = json_i64(c->params, "maxChars", 0);
    json_t *receipts = json_object_get(c->params, "inputRunIds");
    struct rec_session_put row;
    struct session_key key;
    struct page *p = NULL;
    struct err e = ERR_INIT;
    uint64_t total = 0, from = 0, hidden = 0, seen = 0;
    const struct live *l;
    bool have, delta = false;
    char id[65] = "";
    struct jw *w;
    int rc;

    if (session_key(h, asked, json_view(c->params, "agentId"), &key, &e) == ERR_INVALID)
        return call_error(c, RPC_INVALID_REQUEST, "%s", e.text);
    if ((rc = mem_new(&p, sizeof(*p), &e)) < 0)
        return call_error_full(c, RPC_UNAVAILABLE, e.text, VIEW_EMPTY, 1, 1000);
    p->max_bytes = max_bytes > BYTES_MAX ? (size_t)BYTES_MAX : (size_t)max_bytes;
    have = store_session_get(h->store, session_key_view(&key), &row, &e) == 0;
    if (have) {
        (void)snprintf(id, sizeof(id), "%.*s", VIEW_FMT(row.session_id));
        if ((rc = store_history_count(h->store, row.sid, &total, &e)) < 0)
            goto out;
        hidden = compact_first(&row) - 1;
        seen = total > hidden ? total - hidden : 0;
        delta = cursor.n && read_cursor(cursor, id, total, &from) && from >= hidden;
        if (delta && total - from > LIMIT_MAX)
            delta = false;
        rc = delta ? store_history_page(h->store, row.sid, 0, (size_t)(total - from), on_message, p,
                                        &e)
                   : store_history_page(h->store, row.sid, (uint64_t)offset,
                                        page_limit(seen, (uint64_t)offset, (size_t)limit),
                                        on_message, p, &e);
        if (rc < 0)
            goto out;
    }
    l = live_find(h, session_key_view(&key));
    w = call_ok(c);
    jw_obj(w);
    if (cursor.n && (!delta || p->full)) { /* another transcript, or too much since: reload */
        jw_kcstr(w, "kind", "reset");
        jw_obj_end(w);
        rc = call_end(c);
        goto out;
    }
    if (cursor.n)
        jw_kcstr(w, "kind", "delta");
    jw_kstr(w, "sessionKey", asked);
    if (have)
        jw_kcstr(w, "sessionId", id);
    put_page(w, p, (size_t)max_chars);
    put_pending(w, l, json_i64(c->params, "pendingBefore", 0));
    if (json_array_size(receipts) > 0)
        put_receipts(h, w, receipts);
    if (have && offset == 0)
        put_cursor(w, id, total);
    if (offset > 0)
        jw_ki64(w, "offset", offset);
    if ((uint64_t)offset + p->count < seen && !delta) {
        jw_ku64(w, "nextOffset", (uint64_t)offset + p->count);
        jw_kbool(w, "hasMore", true);
    } else {
        jw_kbool(w, "hasMore", false);
    }
    jw_ku64(w, "totalMessages", seen);
    jw_key(w, "defaults");
    session_defaults(h, w, false);
    jw_key(w, "sessionInfo");
    session_row(h, w, session_key_view(&key), have ? &row : NULL, 0);
    put_in_flight(w, l);
    if (startup) {
        jw_key(w, "agentsList");
        put_agents(h, w);
        jw_key(w, "metadata");
        put_metadata(h, w);
    }
    jw_obj_end(w);
    rc = call_end(c);
out:
    if (rc < 0 && e.code)
        rc = call_error_full(c, RPC_UNAVAILABLE, e.text, VIEW_EMPTY, 1, 1000);
    mem_free(p);
    return rc;
}

int rpc_chat_history(struct call *c)
{
    return history(c, json_view(c->params, "sessionKey"), false);
}

int rpc_chat_startup(struct call *c)
{
    struct view asked = json_view(c->params, "sessionKey");

    return history(c, asked.n ? asked : V("main"), true);
}

/* ---- one message, all of a session, previews ---- */

int rpc_chat_message_get(struct call *c)
{
    struct view id = json_view(c->params, "messageId");
    int64_t max = json_i64(c->params, "maxChars", 0);
    struct rec_message_add m;
    struct rec_session_put row;
    struct session_key key;
    struct err e = ERR_INIT;
    struct jw *w;
    bool found;

    if (session_key(c->hub, json_view(c->params, "sessionKey"), json_view(c->params, "agentId"),
                    &key, &e) == ERR_INVALID)
        return call_error(c, RPC_INVALID_REQUEST, "%s", e.text);
    found = store_session_get(c->hub->store, session_key_view(&key), &row, &e) == 0 &&
            store_message_by_id(c->hub->store, id, &m, &e) == 0 && m.sid == row.sid;
    w = call_ok(c);
    jw_obj(w);
    jw_kbool(w, "ok", found);
    if (found) {
        jw_key(w, "message");
        put_message(w, m.text, m.seq, max > 0 ? (size_t)max : 0);
    } else {
        jw_kcstr(w, "unavailableReason", "not_found");
    }
    jw_obj_end(w);
    return call_end(c);
}

int rpc_sessions_get(struct call *c)
{
    int64_t limit = json_i64(c->params, "limit", LIMIT_DEFAULT);
    struct rec_session_put row;
    struct session_key key;
    struct page *p = NULL;
    struct err e = ERR_INIT;
    struct jw *w;

    if (session_key(c->hub, json_view(c->params, "key"), json_view(c->params, "agentId"), &key,
                    &e) == ERR_INVALID)
        return call_error(c, RPC_INVALID_REQUEST, "%s", e.text);
    if (mem_new(&p, sizeof(*p), &e) < 0)
        return call_error_full(c, RPC_UNAVAILABLE, e.text, VIEW_EMPTY, 1, 1000);
    p->max_bytes = BYTES_MAX;
    if (store_session_get(c->hub->store, session_key_view(&key), &row, &e) == 0 &&
        store_history_page(
            c->hub->store, row.sid, 0,
            newest(c->hub, &row, limit > 0 && limit <= LIMIT_MAX ? (size_t)limit : LIMIT_DEFAULT),
            on_message, p, &e) < 0) {
        mem_free(p);
        return call_error_full(c, RPC_UNAVAILABLE, e.text, VIEW_EMPTY, 1, 1000);
    }
    w = call_ok(c);
    jw_obj(w);
    put_page(w, p, 0);
    jw_obj_end(w);
    mem_free(p);
    return call_end(c);
}

static void preview_items(struct jw *w, const struct page *p, size_t max)
{
    struct buf text = BUF_INIT(1 * MIB);

    for (size_t i = p->count; i > 0; i--) {
        struct view role, content;

        if (!chat_msg_split(p->msg[i - 1].text, &role, &content))
            continue;
        buf_reset(&text, 4 * KIB);
        chat_msg_text(content, max + 1, true, &text);
        if (text.n > max) {
            buf_cut(&text, chat_whole(view_of(buf_view(&text).p, max > 3 ? max - 3 : max)));
            buf_put_view(&text, V("..."));
        }
        jw_obj(w);
        jw_kstr(w, "role", role);
        jw_kstr(w, "text", buf_view(&text));
        jw_obj_end(w);
    }
    buf_fini(&text);
}

int rpc_sessions_preview(struct call *c)
{
    json_t *keys = json_object_get(c->params, "keys"), *k;
    int64_t limit = json_i64(c->params, "limit", 12), max = json_i64(c->params, "maxChars", 240);
    struct page *p = NULL;
    struct err e = ERR_INIT;
    struct jw *w;
    size_t i;

    if (json_array_size(keys) > PREVIEW_KEYS_MAX)
        return call_error(
            c, RPC_INVALID_REQUEST,
            "invalid sessions.preview params: at /keys: must NOT have more than %d items",
            (int)PREVIEW_KEYS_MAX);
    if (mem_new(&p, sizeof(*p), &e) < 0)
        return call_error_full(c, RPC_UNAVAILABLE, e.text, VIEW_EMPTY, 1, 1000);
    if (limit > PREVIEW_ITEMS_MAX)
        limit = PREVIEW_ITEMS_MAX;
    if (max > 2000)
        max = 2000;
    w = call_ok(c);
    jw_obj(w);
    jw_ki64(w, "ts", clock_wall_ms());
    jw_key(w, "previews");
    jw_arr(w);
    json_array_foreach(keys, i, k)
    {
        struct view asked = json_view_of(k);
        struct session_key key;
        struct rec_session_put row;
        bool missing = true;
        int rc;

        p->count = p->bytes = 0;
        p->max_bytes = BYTES_MAX;
        rc = session_key(c->hub, asked, VIEW_EMPTY, &key, &e);
        if (rc != ERR_INVALID)
            missing = store_session_get(c->hub->store, session_key_view(&key), &row, &e) < 0;
        if (!missing)
            rc = store_history_page(c->hub->store, row.sid, 0, newest(c->hub, &row, (size_t)limit),
                                    on_message, p, &e);
        jw_obj(w);
        jw_kstr(w, "key", asked);
        jw_kcstr(w, "status",
                 rc == ERR_INVALID ? "error"
                 : missing         ? "missing"
                 : p->count        ? "ok"
                                   : "empty");
        jw_key(w, "items");
        jw_arr(w);
        preview_items(w, p, (size_t)max);
        jw_arr_end(w);
        jw_obj_end(w);
    }
    jw_arr_end(w);
    jw_obj_end(w);
    mem_free(p);
    return call_end(c);
}
