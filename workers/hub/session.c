/* workers/hub/session.c - keys, rows and their free part. */
#include "session.h"

#include "clock.h"
#include "jscan.h"
#include "json.h"
#include "rand.h"
#include "room.h"
#include "settings.h"
#include "skey.h"

#include <stdio.h>

/* ---- keys ---- */

enum { CONTEXT_TOKENS = 200000 }; /* where the configuration names no window (protocol traces) */

static bool key_char(unsigned char c)
{
    return c > 0x20 && c != 0x7f;
}

struct view session_key_agent(struct view key)
{
    struct view rest, id;

    if (!view_starts(key, V("agent:")))
        return VIEW_EMPTY;
    rest = view_from(key, 6);
    id = view_of(rest.p, view_find(rest, ':'));
    return id.n < rest.n ? id : VIEW_EMPTY;
}

bool session_key_is_main(struct hub *h, struct view key)
{
    struct view agent = session_key_agent(key);

    return agent.n > 0 &&
           view_eq(view_from(key, 6 + agent.n + 1), view_str(chat_conf(h)->main_key));
}

static int key_too_long(struct err *e)
{
    return err_set(e, ERR_INVALID, "session key: longer than %d bytes", (int)SESSION_KEY_MAX);
}

int session_key(struct hub *h, struct view asked, struct view agent_id, struct session_key *out,
                struct err *e)
{
    struct view v = view_trim(asked), agent, rest;
    struct skey key;
    struct id id;

    if (v.n == 0)
        return err_set(e, ERR_INVALID, "session key: empty");
    if (v.n > SESSION_KEY_MAX)
        return key_too_long(e);
    for (size_t i = 0; i < v.n; i++)
        if (!key_char((unsigned char)v.p[i]))
            return err_set(e, ERR_INVALID, "session key: a character that is not allowed");
    if (agent_id.n == 0)
        agent_id = view_str(h->settings->agents[h->settings->default_agent].id);
    ids_agent(agent_id, &id);
    /* protocol 5.1: "main" and "global" mean the main session, a bare name one of the agent */
    if (view_ieq(v, V("global")))
        v = V("main");
    if (skey_store(&id, v, view_str(chat_conf(h)->main_key), &key, e) < 0 ||
        key.n > SESSION_KEY_MAX)
        return key_too_long(e);
    if (!skey_parse(skey_view(&key), &agent, &rest) || agent.n > SESSION_AGENT_MAX)
        return err_set(e, ERR_INVALID, "session key: not agent:<id>:<name>");
    memcpy(out->s, key.s, key.n + 1);
    out->n = key.n;
    (void)snprintf(out->agent, sizeof(out->agent), "%.*s", VIEW_FMT(agent));
    if (!settings_agent(h->settings, agent))
        return err_set(e, ERR_NOT_FOUND, "Agent \"%s\" no longer exists in configuration",
                       out->agent);
    return 0;
}

/* ---- the stored row ---- */

int hub_put(struct hub *h, struct store_rec *r, struct err *e)
{
    int rc = store_apply(h->store, r, e);

    if (rc == ERR_LIMIT && store_pending(h->store).n > 0) {
        /* several of the largest messages in one turn */
        if ((rc = store_commit(h->store, e)) == 0)
            rc = store_apply(h->store, r, e);
    }
    if (rc == 0)
        hub_changed(h);
    room_saw(h, rc);
    return rc;
}

static void copy(char *out, size_t max, struct view v)
{
    (void)snprintf(out, max, "%.*s", (int)(v.n < max ? v.n : max - 1), v.p);
}

int session_init(struct session *s, const struct session_key *k, struct err *e)
{
    memset(s, 0, sizeof(*s));
    s->key = mem_dup(k->s, k->n);
    s->last_run_id = mem_dup("", 0);
    s->rest = mem_dup("", 0);
    if (!s->key || !s->last_run_id || !s->rest) {
        session_fini(s);
        return err_set(e, ERR_NOMEM, "session: out of memory");
    }
    rand_uuid(s->id);
    copy(s->agent, sizeof(s->agent), view_str(k->agent));
    s->created_at = s->updated_at = clock_wall_ms();
    return 0;
}

void session_fini(struct session *s)
{
    mem_free(s->key);
    mem_free(s->last_run_id);
    mem_free(s->label);
    mem_free(s->rest);
    memset(s, 0, sizeof(*s));
}

static int64_t number(struct view v)
{
    int64_t n = 0;

    for (size_t i = 0; i < v.n && v.p[i] >= '0' && v.p[i] <= '9' && i < 18; i++)
        n = n * 10 + (v.p[i] - '0');
    return n;
}

struct view session_member(struct view members, struct view key)
{
    const char *at = members.n > key.n ? memmem(members.p, members.n, key.p, key.n) : NULL;
    struct view v;
    size_t n = 0;

    if (!at)
        return VIEW_EMPTY;
    v = view_from(members, (size_t)(at - members.p) + key.n);
    while (n < v.n && v.p[n] != '"')
        n += v.p[n] == '\\' ? 2 : 1;
    return view_of(v.p, n < v.n ? n : v.n);
}

/* What session_save writes first: numbers that change with each run. The rest of the text is the
 * free part. */
static struct view split_extra(struct view extra, struct session *s)
{
    static const char *const names[] = {
        "\"startedAt\":", "\"endedAt\":", "\"lastInteractionAt\":", "\"sessionStartedAt\":"};
    int64_t *const into[] = {&s->started_at, &s->ended_at, &s->interaction_at, &s->began_at};
    struct view v = extra;

    if (v.n < 2 || v.p[0] != '{')
        return VIEW_EMPTY;
    v = view_of(v.p + 1, v.n - 2);
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (!view_starts(v, view_str(names[i])))
            continue;
        v = view_from(v, strlen(names[i]));
        *into[i] = number(v);
        v = view_from(v, view_find(v, ',') + 1);
    }
    return v;
}

static int from_record(struct session *s, const struct rec_session_put *r, struct err *e)
{
    struct view rest;

    memset(s, 0, sizeof(*s));
    s->sid = r->sid;
    copy(s->id, sizeof(s->id), r->session_id);
    copy(s->agent, sizeof(s->agent), r->agent_id);
    s->created_at = r->created_at;
    s->updated_at = r->updated_at;
    s->status = r->status;
    s->flags = r->flags;
    s->input_tokens = r->input_tokens;
    s->output_tokens = r->output_tokens;
    s->total_tokens = r->total_tokens;
    s->context_tokens = r->context_tokens;
    rest = split_extra(r->extra, s);
    s->key = mem_dup(r->key.p, r->key.n);
    s->last_run_id = mem_dup(r->last_run_id.p, r->last_run_id.n);
    s->rest = mem_dup(rest.p, rest.n);
    s->label = r->label.n ? mem_dup(r->label.p, r->label.n) : NULL;
    if (!s->key || !s->last_run_id || !s->rest || (r->label.n && !s->label)) {
        session_fini(s);
        return err_set(e, ERR_NOMEM, "session: out of memory");
    }
    return 0;
}

int session_load(struct hub *h, struct view key, struct session *out, struct err *e)
{
    struct rec_session_put r;
    int rc = store_session_get(h->store, key, &r, e);

    return rc < 0 ? rc : from_record(out, &r, e);
}

int session_save(struct hub *h, struct session *s, struct err *e)
{
    struct buf b = BUF_INIT(1024 * KIB);
    struct jw w = JW_INIT(&b);
    struct store_rec rec = {.type = REC_session_put};
    int rc;

    jw_obj(&w);
    if (s->started_at)
        jw_ki64(&w, "startedAt", s->started_at);
    if (s->ended_at)
        jw_ki64(&w, "endedAt", s->ended_at);
    if (s->interaction_at)
        jw_ki64(&w, "lastInteractionAt", s->interaction_at);
    if (s->began_at)
        jw_ki64(&w, "sessionStartedAt", s->began_at);
    if (s->rest[0]) {
        if (b.n > 1)
            buf_put_char(&b, ',');
        buf_put_str(&b, s->rest);
    }
    jw_obj_end(&w);
    if ((rc = buf_check(&b, e)) < 0)
        goto out;
    rec.session_put = (struct rec_session_put){
        .sid = s->sid,
        .key = view_str(s->key),
        .session_id = view_str(s->id),
        .agent_id = view_str(s->agent),
        .created_at = s->created_at,
        .updated_at = s->updated_at,
        .status = s->status,
        .flags = s->flags,
        .last_run_id = view_str(s->last_run_id),
        .label = s->label ? view_str(s->label) : VIEW_EMPTY,
        .input_tokens = s->input_tokens,
        .output_tokens = s->output_tokens,
        .total_tokens = s->total_tokens,
        .context_tokens = s->context_tokens,
        .extra = buf_view(&b),
    };
    if ((rc = hub_put(h, &rec, e)) == 0)
        s->sid = rec.session_put.sid;
out:
    buf_fini(&b);
    return rc;
}

/* ---- models ---- */

void model_split(struct hub *h, struct view ref, struct model_pick *out)
{
    const struct model_conf *m = settings_model(h->settings, ref);
    size_t slash = view_find(ref, '/');

    if (m) {
        copy(out->provider, sizeof(out->provider), view_str(m->provider));
        copy(out->model, sizeof(out->model), view_str(m->id));
    } else {
        /* not listed: the agent says so when it is asked to run it */
        copy(out->provider, sizeof(out->provider), view_of(ref.p, slash < ref.n ? slash : 0));
        copy(out->model, sizeof(out->model), view_from(ref, slash < ref.n ? slash + 1 : 0));
    }
    out->context_tokens = m && m->context_window > 0 ? (uint64_t)m->context_window : CONTEXT_TOKENS;
}

void session_model(struct hub *h, const struct session *s, struct model_pick *out)
{
    const struct agent_conf *a = settings_agent(h->settings, view_str(s->agent));
    char own[400];

    out->own = session_rest_str(s, "modelRef", own, sizeof(own));
    model_split(h, own[0] && out->own ? view_str(own) : view_str(a && a->primary ? a->primary : ""),
                out);
}

/* ---- the free part ---- */

static bool rest_scan(const struct session *s, struct buf *text, struct jscan *out)
{
    struct err ignored = ERR_INIT;

    buf_put_char(text, '{');
    buf_put_str(text, s->rest);
    buf_put_char(text, '}');
    return !text->failed && jscan(buf_view(text), out, &ignored) == 0;
}

struct view session_rest(const struct session *s, const char *key)
{
    struct buf b = BUF_INIT(1024 * KIB);
    struct view found = VIEW_EMPTY;
    struct jscan js;

    if (s->rest[0] && rest_scan(s, &b, &js)) {
        const struct jscan_member *m = jscan_get(&js, view_str(key));

        if (m) /* the same place in the row's own copy */
            found = view_of(s->rest + (m->value.p - buf_view(&b).p) - 1, m->value.n);
    }
    buf_fini(&b);
    return found;
}

int session_rest_set(struct session *s, const char *key, struct view value, struct err *e)
{
    struct buf b = BUF_INIT(1024 * KIB), out = BUF_INIT(1024 * KIB);
    struct jw w = JW_INIT(&out);
    struct jscan js = {.count = 0};
    unsigned kept = 0;
    char *rest;
    int rc = 0;

    if (s->rest[0] && !rest_scan(s, &b, &js))
        js.count = 0; /* our own text: cannot happen */
    jw_obj(&w);
    for (unsigned i = 0; i < js.count; i++) {
        if (view_eq(js.member[i].key, view_str(key)))
            continue;
        jw_key_view(&w, js.member[i].key);
        jw_raw(&w, js.member[i].value);
        kept++;
    }
    if (value.n) {
        if (kept >= SESSION_REST_MAX)
            rc = err_set(e, ERR_LIMIT, "session: more than %d settings", (int)SESSION_REST_MAX);
        jw_kraw(&w, key, value);
    }
    jw_obj_end(&w);
    if (rc == 0)
        rc = buf_check(&out, e);
    if (rc == 0) {
        struct view all = buf_view(&out);

        if ((rest = mem_dup(all.p + 1, all.n - 2))) {
            mem_free(s->rest);
            s->rest = rest;
        } else {
            rc = err_set(e, ERR_NOMEM, "session: out of memory");
        }
    }
    buf_fini(&b);
    buf_fini(&out);
    return rc;
}

int session_rest_set_str(struct session *s, const char *key, struct view text, struct err *e)
{
    struct buf b = BUF_INIT(64 * KIB);
    struct jw w = JW_INIT(&b);
    int rc;

    jw_str(&w, text);
    if ((rc = buf_check(&b, e)) == 0)
        rc = session_rest_set(s, key, buf_view(&b), e);
    buf_fini(&b);
    return rc;
}

bool session_rest_str(const struct session *s, const char *key, char *out, size_t max)
{
    struct view v = session_rest(s, key);
    char text[1024];

    if (v.n < 2 || v.p[0] != '"' || v.n > sizeof(text))
        return false;
    copy(out, max, view_of(text, jscan_unescape(v, text)));
    return true;
}
