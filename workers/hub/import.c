/*
 * workers/hub/import.c - sessions of another home come in, a bounded batch at a time, while the
 * gateway serves (openclawctl import). Every call may be sent again: what is there already is
 * recognised by its place and id, so that an import that was cut off goes on where it was.
 * A session that has lived here is never changed: only one that is new, or that holds nothing but
 * the beginning of the same transcript.
 */
#include "chat.h"
#include "device.h"
#include "devices.h"
#include "jscan.h"
#include "json.h"
#include "rpc.h"

#include <stdio.h>

enum { MESSAGES_MAX = 500 };

static int no(struct call *c, const char *reason)
{
    struct jw *w = call_ok(c);

    jw_obj(w);
    jw_kbool(w, "ok", false);
    jw_kcstr(w, "reason", reason);
    jw_obj_end(w);
    return call_end(c);
}

static enum message_role role_of(struct view name)
{
    return view_eq(name, V("user"))        ? MESSAGE_USER
           : view_eq(name, V("assistant")) ? MESSAGE_ASSISTANT
           : view_eq(name, V("tool"))      ? MESSAGE_TOOL
           : view_eq(name, V("system"))    ? MESSAGE_SYSTEM
                                           : MESSAGE_OTHER;
}

static uint32_t flag(const json_t *o, const char *name, uint32_t bit)
{
    return json_flag(o, name, false) ? bit : 0;
}

static uint64_t count_at(const json_t *o, const char *name)
{
    int64_t n = json_i64(o, name, 0);

    return n > 0 ? (uint64_t)n : 0;
}

/* The row of a session that is not here yet. */
static int make(struct hub *h, const struct session_key *key, const json_t *o, struct session *s,
                struct err *e)
{
    static const char *const texts[] = {"displayName", "modelRef"};
    struct view id = json_view(o, "sessionId"), label = view_trim(json_view(o, "label"));
    int rc;

    if ((rc = session_init(s, key, e)) < 0)
        return rc;
    if (id.n == 0 || id.n >= sizeof(s->id))
        return err_set(e, ERR_INVALID, "session: sessionId");
    (void)snprintf(s->id, sizeof(s->id), "%.*s", VIEW_FMT(id));
    s->updated_at = json_i64(o, "updatedAt", s->updated_at);
    s->created_at = json_i64(o, "createdAt", s->updated_at);
    s->input_tokens = count_at(o, "inputTokens");
    s->output_tokens = count_at(o, "outputTokens");
    s->total_tokens = count_at(o, "totalTokens");
    s->flags = SESSION_SYSTEM_SENT | flag(o, "archived", SESSION_ARCHIVED) |
               flag(o, "pinned", SESSION_PINNED) | flag(o, "unread", SESSION_UNREAD);
    if (label.n && !(s->label = mem_dup(label.p, label.n)))
        return err_set(e, ERR_NOMEM, "session: out of memory");
    for (size_t i = 0; i < COUNT_OF(texts) && rc == 0; i++)
        if (json_view(o, texts[i]).n)
            rc = session_rest_set_str(s, texts[i], json_view(o, texts[i]), e);
    return rc < 0 ? rc : session_save(h, s, e);
}

struct batch {
    uint64_t from, known, added; /* from: entries before this batch */
    const char *reason;
};

/* One entry at place seq: there already, or the next one. */
static int take(struct hub *h, uint32_t sid, uint64_t seq, uint64_t have, const json_t *m,
                struct batch *b, struct err *e)
{
    struct view id = json_view(m, "id"), text = json_view(m, "text"), role, content;
    struct store_rec rec = {.type = REC_message_add};
    struct rec_message_add old;
    int rc;

    if (seq <= have) {
        rc = store_message_by_id(h->store, id, &old, e);
        if (rc == 0 && old.sid == sid && old.seq == seq) {
            b->known++;
            return 0;
        }
        b->reason = "the session has gone on here";
        return rc == ERR_NOT_FOUND ? 0 : rc;
    }
    if (id.n == 0 || id.n > 64 || jscan_check(text, e) < 0 ||
        !chat_msg_split(text, &role, &content) || !view_ends(text, V("}}")))
        return err_set(e, ERR_INVALID, "messages: %.*s is no message", (int)(id.n < 64 ? id.n : 64),
                       id.p);
    rec.message_add = (struct rec_message_add){.sid = sid,
                                               .seq = seq,
                                               .id = id,
                                               .role = (uint8_t)role_of(json_view(m, "role")),
                                               .ts = json_i64(m, "ts", 0),
                                               .run_id = json_view(m, "runId"),
                                               .text = text};
    if ((rc = hub_put(h, &rec, e)) == 0)
        b->added++;
    return rc;
}

static int take_all(struct hub *h, const struct session_key *key, const json_t *p, struct batch *b,
                    struct err *e)
{
    const json_t *o = json_object_get(p, "session"), *list = json_object_get(p, "messages"), *m;
    struct rec_session_put row;
    struct session s = {0};
    uint64_t have = 0;
    uint32_t sid;
    size_t i;
    int rc = store_session_get(h->store, session_key_view(key), &row, e);

    if (rc == ERR_NOT_FOUND) {
        rc = make(h, key, o, &s, e);
        sid = s.sid;
        session_fini(&s);
    } else {
        sid = row.sid;
        if (rc == 0 && !view_eq(row.session_id, json_view(o, "sessionId")))
            b->reason = "a session with this key is here already";
        if (rc == 0)
            rc = store_history_count(h->store, sid, &have, e);
    }
    if (rc == 0 && !b->reason && have < b->from)
        b->reason = "entries before these are missing";
    json_array_foreach(list, i, m)
    {
        if (rc < 0 || b->reason)
            break;
        rc = take(h, sid, b->from + i + 1, have, m, b, e);
    }
    return rc;
}

int rpc_import_session(struct call *c)
{
    const json_t *o = json_object_get(c->params, "session");
    struct batch b = {.from = count_at(c->params, "from")};
    struct session_key key;
    struct err e = ERR_INIT;
    struct jw *w;
    int rc;

    if (json_array_size(json_object_get(c->params, "messages")) > MESSAGES_MAX)
        return call_error(c, RPC_INVALID_REQUEST, "more than %d messages", (int)MESSAGES_MAX);
    if (session_key(c->hub, json_view(o, "key"), VIEW_EMPTY, &key, &e) == ERR_INVALID)
        return no(c, e.text);
    if (live_find(c->hub, session_key_view(&key)))
        return no(c, "a turn is running in this session");
    if ((rc = take_all(c->hub, &key, c->params, &b, &e)) < 0)
        return rc == ERR_INVALID || rc == ERR_LIMIT || rc == ERR_CONFLICT
                   ? no(c, e.text)
                   : call_error_full(c, RPC_UNAVAILABLE, e.text, VIEW_EMPTY, 1, 1000);
    if (b.reason)
        return no(c, b.reason);
    w = call_ok(c);
    jw_obj(w);
    jw_kbool(w, "ok", true);
    jw_ku64(w, "known", b.known);
    jw_ku64(w, "added", b.added);
    jw_obj_end(w);
    return call_end(c);
}

/* ---- devices, cron jobs ---- */

static unsigned scopes_of(const json_t *list)
{
    const json_t *v;
    unsigned out = 0;
    size_t i;

    json_array_foreach(list, i, v)
    {
        out |= (unsigned)scope_from(json_view_of(v));
    }
    return out;
}

static void copy(char *out, size_t max, struct view v)
{
    (void)snprintf(out, max, "%.*s", (int)(v.n < max ? v.n : max - 1), v.p);
}

int rpc_import_device(struct call *c)
{
    const json_t *p = c->params, *role;
    struct view id = json_view(p, "id");
    struct paired d = {.created_at = json_i64(p, "createdAt", 0),
                       .approved_at = json_i64(p, "approvedAt", 0),
                       .seen_at = json_i64(p, "seenAt", 0)};
    char key[DEVICE_KEY_LEN + 1];
    struct err e = ERR_INIT;
    struct jw *w;
    bool known;
    size_t i;
    int rc;

    device_key_text(json_view(p, "publicKey"), key);
    if (id.n != DEVICE_ID_LEN || !key[0])
        return no(c, "not a device's id and key");
    rc = devices_find(c->hub->devices, id, &d, &e);
    known = rc == 0;
    if (rc == ERR_NOT_FOUND) {
        copy(d.id, sizeof(d.id), id);
        copy(d.key, sizeof(d.key), view_str(key));
        copy(d.name, sizeof(d.name), json_view(p, "displayName"));
        copy(d.label, sizeof(d.label), json_view(p, "label"));
        copy(d.platform, sizeof(d.platform), json_view(p, "platform"));
        copy(d.family, sizeof(d.family), json_view(p, "deviceFamily"));
        copy(d.client_id, sizeof(d.client_id), json_view(p, "clientId"));
        copy(d.client_mode, sizeof(d.client_mode), json_view(p, "clientMode"));
        copy(d.via, sizeof(d.via), V("owner"));
        json_array_foreach(json_object_get(p, "roles"), i, role) d.roles |=
            view_eq(json_view_of(role), V("node")) ? DEVICE_NODE : DEVICE_OPERATOR;
        d.scopes = scopes_of(json_object_get(p, "scopes"));
        if ((rc = devices_put(c->hub->devices, &d, &e)) == 0)
            hub_changed(c->hub);
    }
    if (rc < 0)
        return no(c, e.text);
    w = call_ok(c);
    jw_obj(w);
    jw_kbool(w, "ok", true);
    jw_kbool(w, "known", known);
    jw_obj_end(w);
    return call_end(c);
}

/* Kept as it is for the scheduler. */
int rpc_import_cron(struct call *c)
{
    struct view id = json_view(c->params, "id");
    char key[128];
    struct buf b = BUF_INIT(64 * KIB - 1);
    struct store_rec rec = {.type = REC_meta_set};
    struct err e = ERR_INIT;
    struct view have;
    bool known = false;
    struct jw *w;
    int rc;

    if (id.n == 0 || id.n > 64)
        return no(c, "no job id");
    rec.meta_set.key =
        view_of(key, (size_t)snprintf(key, sizeof(key), "import.cron.%.*s", VIEW_FMT(id)));
    if ((rc = json_dump(json_object_get(c->params, "job"), &b, &e)) == 0) {
        rec.meta_set.value = buf_view(&b);
        known = store_meta_get(c->hub->store, rec.meta_set.key, &have, &e) == 0;
        if (!known)
            rc = hub_put(c->hub, &rec, &e);
    }
    buf_fini(&b);
    if (rc < 0)
        return no(c, e.text);
    w = call_ok(c);
    jw_obj(w);
    jw_kbool(w, "ok", true);
    jw_kbool(w, "known", known);
    jw_obj_end(w);
    return call_end(c);
}
