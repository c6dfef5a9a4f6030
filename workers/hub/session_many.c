/* workers/hub/session_many.c - what looks at more than one session or message: sessions.patchMany,
 * .search, .steer, .branches.list (protocol 9.3). */
#include "chat.h"
#include "clock.h"
#include "json.h"
#include "log.h"
#include "rand.h"

#include <ctype.h>

/* A search looks at what is newest, and no further than this in one call; then it says so. There is
 * no index of words: a million entries are more than one call is worth. */
enum {
    LOOK_MESSAGES = 20000,
    LOOK_BYTES = 24 << 20,
    SEARCH_SESSIONS = 2000,
    PER_SESSION = 400,
    HITS_DEFAULT = 10,
    HITS_MAX = 25,
    SNIPPET_BEFORE = 60,
    SNIPPET_BYTES = 240,
    MESSAGE_TEXT = 64 << 10, /* of one message that is looked through */
};

/* ---- sessions.search ---- */

struct hit {
    char key[SESSION_KEY_MAX + 1], session_id[65], message_id[65];
    bool assistant;
    int64_t ts;
    char *snippet; /* owned */
    double score;
};

struct search {
    struct hub *hub;
    struct view query, agent;
    const json_t *keys; /* NULL: every session */
    bool archived;
    struct hit hit[HITS_MAX];
    unsigned count, want;
    uint64_t looked;
    size_t bytes;
    uint64_t sessions, archived_left_out;
    bool truncated;
    const struct rec_session_put *at;
    struct buf text;
    unsigned here; /* messages of this session looked at */
};

static size_t find(struct view in, struct view what)
{
    for (size_t i = 0; what.n && i + what.n <= in.n; i++) {
        size_t k = 0;

        while (k < what.n &&
               tolower((unsigned char)in.p[i + k]) == tolower((unsigned char)what.p[k]))
            k++;
        if (k == what.n)
            return i;
    }
    return SIZE_MAX;
}

static char *snippet(struct view text, size_t at)
{
    size_t from = at > SNIPPET_BEFORE ? at - SNIPPET_BEFORE : 0;
    struct view v;

    while (from > 0 && ((unsigned char)text.p[from] & 0xc0) == 0x80)
        from--;
    v = view_from(text, from);
    v.n = chat_whole(v.n > SNIPPET_BYTES ? view_of(v.p, SNIPPET_BYTES) : v);
    return mem_dup(v.p, v.n);
}

static int on_message(void *ctx, const struct rec_message_add *m)
{
    struct search *s = ctx;
    struct view role, content;
    struct hit *hit;
    size_t at;

    if (s->count == s->want)
        return 1;
    if (s->looked >= LOOK_MESSAGES || s->bytes >= LOOK_BYTES || s->here >= PER_SESSION) {
        s->truncated = true;
        return 1;
    }
    s->looked++;
    s->here++;
    s->bytes += m->text.n;
    if ((m->role != MESSAGE_USER && m->role != MESSAGE_ASSISTANT) ||
        !chat_msg_split(m->text, &role, &content))
        return 0;
    buf_reset(&s->text, MESSAGE_TEXT);
    chat_msg_text(content, MESSAGE_TEXT - 16, true, &s->text);
    if ((at = find(buf_view(&s->text), s->query)) == SIZE_MAX)
        return 0;
    hit = &s->hit[s->count];
    *hit = (struct hit){.assistant = m->role == MESSAGE_ASSISTANT,
                        .ts = m->ts,
                        .snippet = snippet(buf_view(&s->text), at),
                        .score = 1.0 / (1.0 + (double)s->count)};
    if (!hit->snippet)
        return ERR_NOMEM;
    memcpy(hit->key, s->at->key.p, s->at->key.n);
    memcpy(hit->session_id, s->at->session_id.p, s->at->session_id.n);
    memcpy(hit->message_id, m->id.p, m->id.n);
    s->count++;
    return 0;
}

static bool named(const struct search *s, struct view key)
{
    const json_t *v;
    size_t i;

    json_array_foreach(s->keys, i, v)
    {
        struct session_key k;
        struct err ignored = ERR_INIT;

        if (session_key(s->hub, json_view_of(v), s->agent, &k, &ignored) != ERR_INVALID &&
            view_eq(session_key_view(&k), key))
            return true;
    }
    return s->keys == NULL;
}

static int on_session(void *ctx, const struct rec_session_put *r)
{
    struct search *s = ctx;
    struct err e = ERR_INIT;
    int rc;

    if (s->count == s->want)
        return 1;
    if (s->sessions++ >= SEARCH_SESSIONS || s->looked >= LOOK_MESSAGES || s->bytes >= LOOK_BYTES) {
        s->truncated = true;
        return 1;
    }
    if ((s->agent.n && !view_ieq(session_key_agent(r->key), s->agent)) || !named(s, r->key))
        return 0;
    if (r->flags & SESSION_ARCHIVED && !s->archived) {
        s->archived_left_out++;
        return 0;
    }
    s->at = r;
    s->here = 0;
    rc = store_history_page(s->hub->store, r->sid, 0, PER_SESSION + 1, on_message, s, &e);
    return rc < 0 ? rc : s->count == s->want;
}

static void put_hits(struct jw *w, const struct search *s)
{
    jw_key(w, "results");
    jw_arr(w);
    for (unsigned i = 0; i < s->count; i++) {
        const struct hit *x = &s->hit[i];

        jw_obj(w);
        jw_kcstr(w, "sessionKey", x->key);
        jw_kcstr(w, "sessionId", x->session_id);
        jw_kcstr(w, "messageId", x->message_id);
        jw_kcstr(w, "role", x->assistant ? "assistant" : "user");
        jw_ki64(w, "timestamp", x->ts > 0 ? x->ts : 0);
        jw_kcstr(w, "snippet", x->snippet);
        jw_key(w, "score");
        jw_dbl(w, x->score);
        jw_obj_end(w);
    }
    jw_arr_end(w);
}

/* The rows of the sessions that have hits, each once. */
static void put_sessions(struct jw *w, const struct search *s)
{
    jw_key(w, "sessions");
    jw_arr(w);
    for (unsigned i = 0; i < s->count; i++) {
        struct rec_session_put row;
        struct err e = ERR_INIT;
        bool before = false;

        for (unsigned k = 0; k < i && !before; k++)
            before = strcmp(s->hit[k].key, s->hit[i].key) == 0;
        if (!before && store_session_get(s->hub->store, view_str(s->hit[i].key), &row, &e) == 0)
            session_row(s->hub, w, row.key, &row, 0);
    }
    jw_arr_end(w);
}

int rpc_sessions_search(struct call *c)
{
    const json_t *scope = json_object_get(c->params, "scope");
    int64_t limit = json_i64(c->params, "limit", HITS_DEFAULT);
    struct search *s;
    struct err e = ERR_INIT;
    struct jw *w;
    int rc;

    if (mem_new(&s, sizeof(*s), &e) < 0)
        return call_error_full(c, RPC_UNAVAILABLE, e.text, VIEW_EMPTY, 1, 1000);
    s->hub = c->hub;
    s->query = view_trim(json_view(c->params, "query"));
    s->agent = json_view(c->params, "agentId");
    if (s->agent.n == 0)
        s->agent = json_view(scope, "agentId");
    s->keys = json_object_get(c->params, "sessionKeys");
    s->archived =
        json_object_get(scope, "archived") && !json_is_false(json_object_get(scope, "archived"));
    s->want = limit > HITS_MAX ? HITS_MAX : (unsigned)limit;
    buf_init(&s->text, MESSAGE_TEXT);
    rc = s->query.n ? store_sessions_page(c->hub->store, 0, SIZE_MAX, on_session, s, &e) : 0;
    if (rc < 0) {
        rc = call_error_full(c, RPC_UNAVAILABLE, "the search failed", VIEW_EMPTY, 1, 1000);
    } else {
        w = call_ok(c);
        jw_obj(w);
        put_hits(w, s);
        put_sessions(w, s);
        if (s->archived_left_out)
            jw_ku64(w, "archivedTranscriptsExcluded", s->archived_left_out);
        if (s->truncated)
            jw_kbool(w, "truncated", true);
        jw_obj_end(w);
        rc = call_end(c);
    }
    for (unsigned i = 0; i < s->count; i++)
        mem_free(s->hit[i].snippet);
    buf_fini(&s->text);
    mem_free(s);
    return rc;
}

/* ---- sessions.branches.list: a transcript here has one end ---- */

static int on_last(void *ctx, const struct rec_message_add *m)
{
    struct jw *w = ctx;
    struct view role, content;
    struct buf text = BUF_INIT(1 * KIB);
    char iso[CLOCK_ISO_MAX];

    if (chat_msg_split(m->text, &role, &content))
        chat_msg_text(content, 120, true, &text);
    clock_iso(m->ts, iso);
    jw_obj(w);
    jw_kstr(w, "leafEntryId", m->id);
    jw_kstr(w, "headline", buf_view(&text));
    jw_ku64(w, "messageCount", m->seq);
    jw_kcstr(w, "updatedAt", iso);
    jw_kbool(w, "active", true);
    jw_obj_end(w);
    buf_fini(&text);
    return 1;
}

int rpc_sessions_branches_list(struct call *c)
{
    struct rec_session_put row;
    struct session_key key;
    struct err e = ERR_INIT;
    struct jw *w;
    int rc = 0;

    if (session_key(c->hub, json_view(c->params, "sessionKey"), json_view(c->params, "agentId"),
                    &key, &e) == ERR_INVALID)
        return call_error(c, RPC_INVALID_REQUEST, "%s", e.text);
    w = call_ok(c);
    jw_obj(w);
    jw_key(w, "branches");
    jw_arr(w);
    if (store_session_get(c->hub->store, session_key_view(&key), &row, &e) == 0)
        rc = store_history_page(c->hub->store, row.sid, 0, 1, on_last, w, &e);
    jw_arr_end(w);
    jw_obj_end(w);
    if (rc < 0)
        return call_error_full(c, RPC_UNAVAILABLE, e.text, VIEW_EMPTY, 1, 1000);
    return call_end(c);
}
