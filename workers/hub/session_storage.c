/* workers/hub/session_storage.c - sessions.storage.status, .run, sessions.cleanup: what the
 * sessions take on the disk, and giving back what deleted ones leave. There is one store for all
 * agents. */
#include "chat.h"
#include "chore.h"
#include "clock.h"
#include "json.h"
#include "log.h"
#include "settings.h"

enum { SWEEP_STEP = 500 }; /* messages: 2 ms */

struct upkeep {
    struct chore chore; /* first */
    struct call_ref ref;
};

static const char *store_agent(const struct hub *h)
{
    return h->settings->agents[h->settings->default_agent].id;
}

static void put_i64_or_null(struct jw *w, const char *key, int64_t v)
{
    jw_key(w, key);
    if (v > 0)
        jw_i64(w, v);
    else
        jw_null(w);
}

/* The maintenance of a store that has no cold transcripts: sweeping and one checkpoint. */
static int answer_status(struct call *c)
{
    const struct hub *h = c->hub;
    struct store_stats st;
    struct err e = ERR_INIT;
    struct jw *w;

    if (store_stats(h->store, &st, &e) < 0)
        return call_error_full(c, RPC_UNAVAILABLE, e.text, VIEW_EMPTY, 1, 1000);
    w = call_ok(c);
    jw_obj(w);
    jw_key(w, "agents");
    jw_arr(w);
    jw_obj(w);
    jw_kcstr(w, "agentId", store_agent(h));
    jw_kcstr(w, "storePath", h->settings->state_dir ? h->settings->state_dir : "");
    jw_ku64(w, "hotTranscripts", st.sessions);
    jw_ku64(w, "coldTranscripts", 0);
    jw_ku64(w, "databaseBytes", st.file_bytes);
    jw_ku64(w, "walBytes", 0); /* its log is emptied after two quiet seconds */
    jw_ku64(w, "archiveBytes", 0);
    jw_ku64(w, "embeddedArchiveBytes", 0);
    jw_obj_end(w);
    jw_arr_end(w);
    jw_key(w, "maintenance");
    jw_obj(w);
    jw_kbool(w, "running", h->upkeep.running > 0);
    put_i64_or_null(w, "lastStartedAt", h->upkeep.started_at);
    put_i64_or_null(w, "lastCompletedAt", h->upkeep.completed_at);
    jw_key(w, "lastError");
    if (h->upkeep.failed)
        jw_cstr(w, "the store could not be written");
    else
        jw_null(w);
    jw_ku64(w, "archivedTranscripts", 0);
    jw_ku64(w, "externalizedTranscripts", 0);
    jw_obj_end(w);
    jw_obj_end(w);
    return call_end(c);
}

int rpc_sessions_storage_status(struct call *c)
{
    return answer_status(c);
}

static int on_step(struct chore *c, struct err *e)
{
    bool left = false;
    int rc = store_sweep(c->hub->store, SWEEP_STEP, &left, e);

    if (rc < 0)
        return rc;
    hub_changed(c->hub);
    return left;
}

static void on_end(struct chore *c, int rc, const struct err *why)
{
    struct upkeep *u = (struct upkeep *)c;
    struct hub *h = c->hub;
    struct call call = {.hub = h, .ref = u->ref};

    if (rc != ERR_CLOSED) {
        h->upkeep.running--;
        h->upkeep.failed = rc < 0;
        if (rc == 0)
            h->upkeep.completed_at = clock_wall_ms();
        rc = rc < 0 ? call_error_full(&call, RPC_UNAVAILABLE, why->text, VIEW_EMPTY, 1, 1000)
                    : answer_status(&call);
        if (rc < 0)
            log_warn("storage.answer_lost", KV("why", why->text));
    }
    mem_free(u);
}

int rpc_sessions_storage_run(struct call *c)
{
    struct upkeep *u;
    struct err e = ERR_INIT;

    if (mem_new(&u, sizeof(*u), &e) < 0)
        return call_error_full(c, RPC_UNAVAILABLE, e.text, VIEW_EMPTY, 1, 1000);
    u->chore = (struct chore){.step = on_step, .end = on_end};
    u->ref = c->ref;
    if (chore_add(c->hub, &u->chore, &e) < 0) {
        mem_free(u);
        return call_error_full(c, RPC_UNAVAILABLE, e.text, VIEW_EMPTY, 1, 1000);
    }
    c->hub->upkeep.running++;
    c->hub->upkeep.started_at = clock_wall_ms();
    return 0;
}

/* Entries and transcripts are one record and its rows here: none is without the other, and nothing
 * is dropped for its age or number. So there is nothing to clean, and the answer says that. */
int rpc_sessions_cleanup(struct call *c)
{
    struct view agent = json_view(c->params, "agent");
    bool enforce = json_flag(c->params, "enforce", false);
    uint64_t count = 0;
    struct err e = ERR_INIT;
    struct jw *w;

    if (agent.n && !settings_agent(c->hub->settings, agent))
        return call_error(c, RPC_INVALID_REQUEST, "unknown agent id \"%.*s\"", VIEW_FMT(agent));
    if (store_sessions_count(c->hub->store, &count, &e) < 0)
        return call_error_full(c, RPC_UNAVAILABLE, e.text, VIEW_EMPTY, 1, 1000);
    w = call_ok(c);
    jw_obj(w);
    jw_kcstr(w, "agentId", store_agent(c->hub));
    jw_kcstr(w, "storePath", c->hub->settings->state_dir ? c->hub->settings->state_dir : "");
    jw_kcstr(w, "mode", enforce ? "enforce" : "warn");
    jw_kbool(w, "dryRun", !enforce);
    jw_ku64(w, "beforeCount", count);
    jw_ku64(w, "afterCount", count);
    jw_ku64(w, "missing", 0);
    jw_ku64(w, "pruned", 0);
    jw_ku64(w, "capped", 0);
    jw_kbool(w, "wouldMutate", false);
    if (enforce) {
        jw_kbool(w, "applied", true);
        jw_ku64(w, "appliedCount", count);
    }
    jw_obj_end(w);
    return call_end(c);
}
