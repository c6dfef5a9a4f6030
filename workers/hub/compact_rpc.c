/* workers/hub/compact_rpc.c - sessions.compact: a summary on demand, or the newest entries only. */
#include "chat.h"
#include "clock.h"
#include "compact.h"
#include "json.h"

#include <stdio.h>

uint64_t compact_first(const struct rec_session_put *row)
{
    static const char key[] = "\"transcriptFrom\":";
    const char *at = row->extra.n ? memmem(row->extra.p, row->extra.n, key, sizeof(key) - 1) : NULL;
    uint64_t n = 0;

    if (!at)
        return 1;
    for (at += sizeof(key) - 1; *at >= '0' && *at <= '9' && n < UINT64_MAX / 16; at++)
        n = n * 10 + (unsigned)(*at - '0'); /* our own row: it ends with a brace */
    return n > 0 ? n : 1;
}

static int answer_now(struct call *c, const struct session_key *key, bool done, const char *reason,
                      int64_t kept)
{
    struct jw *w = call_ok(c);

    jw_obj(w);
    jw_kbool(w, "ok", true);
    jw_kcstr(w, "key", key->s);
    jw_kbool(w, "compacted", done);
    if (kept >= 0)
        jw_ki64(w, "kept", kept);
    if (reason)
        jw_kcstr(w, "reason", reason);
    jw_obj_end(w);
    return call_end(c);
}

/* The newest entries stay. What is before them is not shown and not told any more. */
static int cut_lines(struct call *c, const struct session_key *key, struct live *l, int64_t max)
{
    struct err e = ERR_INIT;
    struct rec_session_put row;
    char text[24];
    uint64_t total, first;

    if (store_session_get(c->hub->store, session_key_view(key), &row, &e) < 0)
        return call_error_full(c, RPC_UNAVAILABLE, e.text, VIEW_EMPTY, 1, 1000);
    first = compact_first(&row);
    if (store_history_count(c->hub->store, row.sid, &total, &e) < 0)
        return call_error_full(c, RPC_UNAVAILABLE, e.text, VIEW_EMPTY, 1, 1000);
    if (total - (first - 1) <= (uint64_t)max)
        return answer_now(c, key, false, NULL, (int64_t)(total - (first - 1)));
    first = total - (uint64_t)max + 1;
    (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)first);
    l->s.updated_at = clock_wall_ms();
    if (session_rest_set(&l->s, "transcriptFrom", view_str(text), &e) < 0 ||
        session_save(c->hub, &l->s, &e) < 0)
        return call_error_full(c, RPC_UNAVAILABLE, e.text, VIEW_EMPTY, 1, 1000);
    if (answer_now(c, key, true, NULL, max) < 0)
        return -1;
    session_changed_reason(c->hub, session_key_view(key), "compact");
    return 0;
}

int rpc_sessions_compact(struct call *c)
{
    int64_t max = json_i64(c->params, "maxLines", 0);
    struct session_key key;
    struct err e = ERR_INIT;
    struct live *l;
    int rc;

    if (session_key(c->hub, json_view(c->params, "key"), json_view(c->params, "agentId"), &key,
                    &e) == ERR_INVALID)
        return call_error(c, RPC_INVALID_REQUEST, "%s", e.text);
    rc = live_get(c->hub, &key, false, &l, &e);
    if (rc == ERR_NOT_FOUND)
        return answer_now(c, &key, false, "no sessionId", -1);
    if (rc < 0)
        return call_error_full(c, RPC_UNAVAILABLE, e.text, VIEW_EMPTY, 1, 1000);
    if (l->compact || l->active)
        return answer_now(c, &key, false,
                          l->compact ? "compaction is under way already" : "a turn is running", -1);
    if (max > 0)
        rc = cut_lines(c, &key, l, max);
    else if ((rc = compact_now(c->hub, l, &c->ref, &e)) == ERR_NOT_FOUND || rc == ERR_LIMIT)
        rc = answer_now(c, &key, false, e.text, -1);
    else if (rc < 0)
        rc = call_error_full(c, RPC_UNAVAILABLE, e.text, VIEW_EMPTY, 1, 1000);
    live_put(c->hub, l);
    return rc;
}
