/* workers/hub/session_patch.c - settings of sessions changed by clients (protocol 9.3). */
#include "clock.h"
#include "json.h"
#include "session_groups.h"
#include "session_int.h"
#include "settings.h"

#include <stdio.h>

/* Free settings of a session that we keep and show; light ones need write, the others admin
 * (protocol 3.3). */
static const struct {
    const char *name;
    bool light;
} kept[] = {
    {"icon", true},
    {"color", true},
    {"category", true},
    {"statusNote", false},
    {"attention", false},
    {"boardFace", true},
    {"boardPresentation", true},
    {"thinkingLevel", true},
    {"verboseLevel", false},
    {"reasoningLevel", false},
    {"traceLevel", false},
    {"responseUsage", false},
    {"fastMode", true},
    {"sendPolicy", false},
    {"groupActivation", false},
};
static const char *const handled[] = {
    "key",    "agentId", "expectedSessionId",     "label", "autoLabel", "archived", "pinned",
    "unread", "model",   "expectedMarkedUnreadAt"};

static bool is_handled(const char *name, bool *light)
{
    *light = true;
    for (size_t i = 0; i < COUNT_OF(handled); i++)
        if (strcmp(name, handled[i]) == 0)
            return true;
    for (size_t i = 0; i < COUNT_OF(kept); i++)
        if (strcmp(name, kept[i].name) == 0) {
            *light = kept[i].light;
            return true;
        }
    return false;
}

static void set_flag(struct session *s, const json_t *p, const char *name, uint32_t flag)
{
    const json_t *v = json_object_get(p, name);

    if (json_is_boolean(v))
        s->flags = json_is_true(v) ? s->flags | flag : s->flags & ~flag;
}

int session_set_label(struct session *s, const json_t *p, const char *name, struct err *e)
{
    const json_t *v = json_object_get(p, name);
    struct view text = view_trim(json_view_of(v));
    char *label = NULL;

    if (!v)
        return 0;
    if (text.n && !(label = mem_dup(text.p, text.n)))
        return err_set(e, ERR_NOMEM, "session: out of memory");
    mem_free(s->label);
    s->label = label;
    /* lists show it as the session's name, before a title made of the first message */
    return text.n ? session_rest_set_str(s, "displayName", text, e)
                  : session_rest_set(s, "displayName", VIEW_EMPTY, e);
}

static int set_kept(struct session *s, const json_t *p, struct err *e)
{
    struct buf b = BUF_INIT(64 * KIB);
    int rc = 0;

    for (size_t i = 0; i < COUNT_OF(kept) && rc == 0; i++) {
        const json_t *v = json_object_get(p, kept[i].name);

        if (!v)
            continue;
        buf_reset(&b, 4 * KIB);
        if (!json_is_null(v))
            rc = json_dump(v, &b, e);
        if (rc == 0)
            rc = session_rest_set(s, kept[i].name, buf_view(&b), e);
    }
    buf_fini(&b);
    return rc;
}

int session_set_model(struct hub *h, struct session *s, const json_t *p, struct err *e)
{
    const json_t *v = json_object_get(p, "model");
    struct view ref = view_trim(json_view_of(v));
    const struct model_conf *m;
    char full[400];

    if (!v)
        return 0;
    if (json_is_null(v) || ref.n == 0)
        return session_rest_set(s, "modelRef", VIEW_EMPTY, e);
    if (!(m = settings_model(h->settings, ref))) {
        size_t slash = view_find(ref, '/');

        for (unsigned i = 0; i < h->settings->model_count && slash < ref.n; i++)
            if (view_eq(view_str(h->settings->models[i].provider), view_of(ref.p, slash)))
                return err_set(e, ERR_INVALID,
                               "model: nobody offers \"%.*s\"; models.list names them all",
                               VIEW_FMT(ref));
        return err_set(e, ERR_INVALID,
                       "model: no provider is called \"%.*s\"; models.list names them all",
                       VIEW_FMT(view_of(ref.p, slash)));
    }
    (void)snprintf(full, sizeof(full), "%s/%s", m->provider, m->id);
    return session_rest_set_str(s, "modelRef", view_str(full), e);
}

/* Whether the caller may ask for it and it can be had. Errors: ERR_INVALID. */
static int check_patch(struct hub *h, json_t *p, bool admin, const struct session_key *key,
                       struct err *e)
{
    json_t *v, *thinking = json_object_get(p, "thinkingLevel");
    struct view label = view_trim(json_view(p, "label"));
    struct session_key owner;
    const char *name;
    bool light;

    json_object_foreach(p, name, v)
    {
        if (!is_handled(name, &light))
            return err_set(e, ERR_INVALID, "%s cannot be set by this gateway yet", name);
        if (!light && !admin)
            return err_set(e, ERR_INVALID, "missing scope: operator.admin");
    }
    if (json_is_string(thinking) && !view_eq(json_view_of(thinking), V("off"))) {
        struct model_pick pick;
        const struct model_conf *m;
        struct view level = json_view_of(thinking);

        model_split(h, json_view(p, "model"), &pick);
        m = settings_model(h->settings, view_str(pick.model));
        if (!m || !m->reasoning ||
            !(view_eq(level, V("low")) || view_eq(level, V("medium")) || view_eq(level, V("high"))))
            return err_set(e, ERR_INVALID, "thinkingLevel: one of %s",
                           m && m->reasoning ? "off, low, medium, high" : "off");
    }
    if (label.n && session_labelled(h, label, &owner) &&
        !view_eq(session_key_view(&owner), session_key_view(key)))
        return err_set(e, ERR_INVALID, "label: another session has it already: %.*s",
                       VIEW_FMT(label));
    return 0;
}

/* Read, or to be read again; who reads says which mark it was that they saw. */
static int set_unread(struct session *s, const json_t *p, int64_t now, struct err *e)
{
    const json_t *v = json_object_get(p, "unread"),
                 *seen = json_object_get(p, "expectedMarkedUnreadAt");
    struct view mark = session_rest(s, "markedUnreadAt");
    char at[32];
    int rc;

    if (!json_is_boolean(v))
        return 0;
    if (seen && (mark.n || !json_is_null(seen))) {
        int n = snprintf(at, sizeof(at), "%lld", (long long)json_number_value(seen));

        if (json_is_null(seen) || !view_eq(mark, view_of(at, (size_t)n)))
            return err_set(e, ERR_INVALID, "unread: it was marked as unread meanwhile");
    }
    set_flag(s, p, "unread", SESSION_UNREAD);
    (void)snprintf(at, sizeof(at), "%lld", (long long)now);
    if ((rc = session_rest_set(s, "markedUnreadAt", json_is_true(v) ? view_str(at) : VIEW_EMPTY,
                               e)) == 0 &&
        json_is_false(v))
        rc = session_rest_set(s, "lastReadAt", view_str(at), e);
    return rc;
}

/* Who reads or pins a conversation does not make it newer. */
static bool only_looked_at(const json_t *p)
{
    static const char *const quiet[] = {"key",    "agentId", "expectedSessionId",
                                        "unread", "pinned",  "expectedMarkedUnreadAt"};
    size_t n = json_object_size(p);

    for (size_t i = 0; i < COUNT_OF(quiet); i++)
        n -= json_object_get(p, quiet[i]) != NULL;
    return n == 0;
}

static int change(struct hub *h, struct session *s, const json_t *p, struct err *e)
{
    int64_t now = clock_wall_ms();
    int rc;

    if ((rc = session_set_label(s, p, json_object_get(p, "label") ? "label" : "autoLabel", e)) <
            0 ||
        (rc = set_kept(s, p, e)) < 0 || (rc = session_set_model(h, s, p, e)) < 0 ||
        (rc = groups_add(h, json_view(p, "category"), e)) < 0 ||
        (rc = set_unread(s, p, now, e)) < 0)
        return rc;
    set_flag(s, p, "archived", SESSION_ARCHIVED);
    set_flag(s, p, "pinned", SESSION_PINNED);
    if (!only_looked_at(p) || !s->updated_at)
        s->updated_at = now;
    return session_save(h, s, e);
}

/* Of one session, whole or not at all; *out is its live entry, to be put back. Errors: ERR_INVALID
 * and ERR_LIMIT it cannot be had, the store's. */
static int patch_one(struct hub *h, json_t *p, bool admin, struct session_key *key,
                     struct live **out, struct err *e)
{
    struct view expected = json_view(p, "expectedSessionId");
    struct session trial;
    struct live *l;
    int rc;

    if (session_key(h, json_view(p, "key"), json_view(p, "agentId"), key, e) < 0)
        return e->code = ERR_INVALID; /* an agent that is not there is a wrong key, too */
    if ((rc = check_patch(h, p, admin, key, e)) < 0 || (rc = live_get(h, key, true, &l, e)) < 0)
        return rc;
    if (expected.n && !view_eq(view_str(l->s.id), expected)) {
        live_put(h, l);
        return err_set(e, ERR_INVALID, "session changed; reload and retry");
    }
    trial = l->s;
    trial.label = l->s.label ? mem_dup(l->s.label, strlen(l->s.label)) : NULL;
    trial.rest = mem_dup(l->s.rest, strlen(l->s.rest));
    if (!trial.rest || (l->s.label && !trial.label))
        rc = err_set(e, ERR_NOMEM, "session: out of memory");
    else
        rc = change(h, &trial, p, e);
    if (rc < 0) {
        mem_free(trial.label);
        mem_free(trial.rest);
        live_put(h, l);
        return rc;
    }
    mem_free(l->s.label);
    mem_free(l->s.rest);
    l->s = trial;
    *out = l;
    return 0;
}

static bool is_admin(const struct call *c)
{
    return c->conn->who.scopes & SCOPE_ADMIN;
}

static const char *code_of(const struct err *e)
{
    return e->code == ERR_INVALID || e->code == ERR_LIMIT ? RPC_INVALID_REQUEST : RPC_UNAVAILABLE;
}

int rpc_sessions_patch(struct call *c)
{
    struct session_key key;
    struct err e = ERR_INIT;
    struct live *l;
    int rc;

    if (patch_one(c->hub, c->params, is_admin(c), &key, &l, &e) < 0)
        return strcmp(code_of(&e), RPC_UNAVAILABLE) == 0
                   ? call_error_full(c, RPC_UNAVAILABLE, e.text, VIEW_EMPTY, 1, 1000)
                   : call_error(c, RPC_INVALID_REQUEST, "%s", e.text);
    rc = session_answer_entry(c, &l->s, true);
    session_changed_reason(c->hub, session_key_view(&key), "patch");
    live_put(c->hub, l);
    return rc;
}

/* ---- sessions.patchMany: each for itself, and each outcome told ---- */

static int patch_next(struct call *c, json_t *target, const json_t *patch, struct session_key *key,
                      struct err *e)
{
    json_t *p = json_deep_copy(patch);
    struct live *l;
    int rc;

    if (!p || json_object_update(p, target) < 0)
        rc = err_set(e, ERR_NOMEM, "session: out of memory");
    else if ((rc = patch_one(c->hub, p, is_admin(c), key, &l, e)) == 0)
        live_put(c->hub, l);
    json_decref(p);
    return rc;
}

/* key: of what was done, NULL when e tells why it was not. */
static void put_outcome(struct jw *w, const json_t *target, const struct session_key *key,
                        const struct err *e)
{
    jw_obj(w);
    jw_kbool(w, "ok", key != NULL);
    if (key)
        jw_kcstr(w, "key", key->s);
    else
        jw_kstr(w, "key", json_view(target, "key"));
    if (json_view(target, "agentId").n)
        jw_kstr(w, "agentId", json_view(target, "agentId"));
    if (!key) {
        jw_key(w, "error");
        jw_obj(w);
        jw_kcstr(w, "code", code_of(e));
        jw_kcstr(w, "message", e->text);
        jw_obj_end(w);
    }
    jw_obj_end(w);
}

int rpc_sessions_patch_many(struct call *c)
{
    const json_t *patch = json_object_get(c->params, "patch");
    json_t *target;
    struct buf out = BUF_INIT(1 * MIB);
    struct jw w = JW_INIT(&out);
    struct session_key key;
    size_t i;
    int rc;

    jw_obj(&w);
    jw_key(&w, "outcomes");
    jw_arr(&w);
    json_array_foreach(json_object_get(c->params, "targets"), i, target)
    {
        struct err e = ERR_INIT;
        bool done = false;

        if (json_view(target, "key").n == 0)
            (void)err_set(&e, ERR_INVALID, "key: missing");
        else if (patch_next(c, target, patch, &key, &e) == 0)
            done = true;
        put_outcome(&w, target, done ? &key : NULL, &e);
        if (done)
            session_changed_reason(c->hub, session_key_view(&key), "patch");
    }
    jw_arr_end(&w);
    jw_obj_end(&w);
    rc = out.failed ? call_error_full(c, RPC_UNAVAILABLE, "out of memory", VIEW_EMPTY, 1, 1000)
                    : call_ok_raw(c, buf_view(&out));
    buf_fini(&out);
    return rc;
}
