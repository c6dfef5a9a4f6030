/* workers/hub/session_copy.c - sessions.fork: the beginning of a transcript as another session; and
 * what a transcript's turns used: sessions.usage.timeseries, .logs (protocol 9.3). */
#include "chat.h"
#include "clock.h"
#include "json.h"
#include "rand.h"
#include "told.h"
#include "usage.h"

#include <stdio.h>

enum {
    COPY_MESSAGES = 20000,
    COPY_BYTES = 24 << 20, /* in one batch of the store */
    POINTS_MAX = 2000,     /* the newest */
    LOGS_DEFAULT = 200,
    LOGS_MAX = 1000,
    LOG_TEXT = 2000,
};

/* ---- sessions.fork ---- */

struct copied {
    uint64_t seq;
    int64_t ts;
    uint8_t role;
    char id[65], run_id[257];
    size_t at, n; /* in the buffer */
};

struct copy {
    struct copied *row; /* owned */
    unsigned count;
    struct buf text;
    bool full;
};

static int on_row(void *ctx, const struct rec_message_add *m)
{
    struct copy *c = ctx;
    struct copied *r;

    if (c->count == COPY_MESSAGES || m->text.n > COPY_BYTES - c->text.n) {
        c->full = true;
        return 1;
    }
    r = &c->row[c->count++];
    *r = (struct copied){
        .seq = m->seq, .ts = m->ts, .role = m->role, .at = c->text.n, .n = m->text.n};
    memcpy(r->id, m->id.p, m->id.n);
    memcpy(r->run_id, m->run_id.p, m->run_id.n);
    buf_put_view(&c->text, m->text);
    return 0;
}

struct owner {
    struct hub *h;
    uint32_t sid;
};

/* A file of a copied message belongs to the copy, too. */
static int on_file(void *ctx, const struct media *m, struct err *e)
{
    const struct owner *o = ctx;
    int r = media_keep(o->h, m, MEDIA_OF_SESSION, o->sid, e);

    return r == ERR_NOT_FOUND ? 0 : r;
}

/* The message under an id of its own: everywhere its text names the old one as its id. */
static int put_row(struct hub *h, uint32_t sid, const struct copied *r, struct view text,
                   struct err *e)
{
    struct buf b = BUF_INIT(32 * MIB);
    struct view text_was = text;
    char was[80], id[UUID_MAX];
    const char *at;
    int n = snprintf(was, sizeof(was), "\"id\":\"%s\"", r->id), rc;

    rand_uuid(id);
    while (text.n && (at = memmem(text.p, text.n, was, (size_t)n))) {
        buf_put_view(&b, view_of(text.p, (size_t)(at - text.p)));
        buf_printf(&b, "\"id\":\"%s\"", id);
        text = view_from(text, (size_t)(at - text.p) + (size_t)n);
    }
    buf_put_view(&b, text);
    if ((rc = buf_check(&b, e)) == 0) {
        struct store_rec rec = {.type = REC_message_add,
                                .message_add = {.sid = sid,
                                                .id = view_str(id),
                                                .role = r->role,
                                                .ts = r->ts,
                                                .run_id = view_str(r->run_id),
                                                .text = buf_view(&b)}};

        if ((rc = hub_put(h, &rec, e)) == 0)
            rc = told_each(h, text_was, on_file, &(struct owner){h, sid}, e);
    }
    buf_fini(&b);
    return rc;
}

static int make(struct hub *h, const struct session *from, const struct copy *rows,
                struct session_key *key, struct err *e)
{
    char asked[64], id[UUID_MAX];
    struct session s;
    int rc;

    rand_uuid(id);
    (void)snprintf(asked, sizeof(asked), "dashboard:%s", id);
    if ((rc = session_key(h, view_str(asked), view_str(from->agent), key, e)) < 0 ||
        (rc = session_init(&s, key, e)) < 0)
        return rc;
    mem_free(s.rest);
    if (!(s.rest = mem_dup(from->rest, strlen(from->rest))))
        rc = err_set(e, ERR_NOMEM, "session: out of memory");
    if (rc == 0 &&
        (rc = session_rest_set_str(&s, "parentSessionKey", view_str(from->key), e)) == 0 &&
        (rc = session_rest_set(&s, "forkedFromParent", V("true"), e)) == 0)
        rc = session_save(h, &s, e);
    for (unsigned i = 0; i < rows->count && rc == 0; i++)
        rc = put_row(h, s.sid, &rows->row[i],
                     view_of(buf_view(&rows->text).p + rows->row[i].at, rows->row[i].n), e);
    session_fini(&s);
    return rc;
}

static int fork_at(struct call *c, const struct session *from, uint64_t last, struct view editor)
{
    struct copy rows = {.text = BUF_INIT(COPY_BYTES)};
    struct session_key key;
    struct err e = ERR_INIT;
    struct jw *w;
    int rc;

    if ((rc = mem_new(&rows.row, COPY_MESSAGES * sizeof(*rows.row), &e)) == 0 && last > 0 &&
        (rc = store_history_range(c->hub->store, from->sid, 1, last, on_row, &rows, &e)) == 0)
        rc = buf_check(&rows.text, &e);
    if (rc == 0 && rows.full)
        rc = err_set(&e, ERR_LIMIT, "the transcript is too long to copy");
    if (rc == 0)
        rc = make(c->hub, from, &rows, &key, &e);
    mem_free(rows.row);
    buf_fini(&rows.text);
    if (rc < 0)
        return rc == ERR_LIMIT ? call_error(c, RPC_INVALID_REQUEST, "%s", e.text)
                               : call_error_full(c, RPC_UNAVAILABLE, e.text, VIEW_EMPTY, 1, 1000);
    w = call_ok(c);
    jw_obj(w);
    jw_kcstr(w, "sessionKey", key.s);
    if (editor.n)
        jw_kstr(w, "editorText", editor);
    jw_obj_end(w);
    if (call_end(c) < 0)
        return -1;
    session_changed_reason(c->hub, session_key_view(&key), "create");
    return 0;
}

/* At a message of a person: what stood before it, and the message to be written anew. At another
 * one: up to it. */
int rpc_sessions_fork(struct call *c)
{
    struct buf editor = BUF_INIT(32 * MIB);
    struct rec_message_add m;
    struct view role, content;
    struct session_key key;
    struct session s;
    struct err e = ERR_INIT;
    uint64_t last;
    int rc;

    if (session_key(c->hub, json_view(c->params, "sessionKey"), json_view(c->params, "agentId"),
                    &key, &e) < 0)
        return call_error(c, RPC_INVALID_REQUEST, "%s", e.text);
    if (session_load(c->hub, session_key_view(&key), &s, &e) < 0)
        return call_error(c, RPC_INVALID_REQUEST, "session not found");
    if (store_message_by_id(c->hub->store, json_view(c->params, "entryId"), &m, &e) < 0 ||
        m.sid != s.sid) {
        session_fini(&s);
        return call_error(c, RPC_INVALID_REQUEST, "entryId: no such message in this session");
    }
    last = m.seq;
    if (m.role == MESSAGE_USER) {
        last--;
        if (chat_msg_split(m.text, &role, &content))
            chat_msg_text(content, 16 * MIB, false, &editor);
    }
    rc = fork_at(c, &s, last, buf_view(&editor));
    session_fini(&s);
    buf_fini(&editor);
    return rc;
}

/* ---- what turns used ---- */

struct point {
    int64_t ts;
    struct usage usage;
};

struct points {
    struct point point[POINTS_MAX];
    unsigned count;
};

static int on_point(void *ctx, const struct rec_message_add *m)
{
    struct points *p = ctx;

    if (p->count == POINTS_MAX)
        return 1;
    if (m->role == MESSAGE_ASSISTANT && usage_read(m->text, &p->point[p->count].usage))
        p->point[p->count++].ts = m->ts;
    return 0;
}

static void put_point(struct jw *w, const struct point *p, struct usage *sum)
{
    usage_add(sum, &p->usage);
    jw_obj(w);
    jw_ki64(w, "timestamp", p->ts);
    jw_ku64(w, "input", p->usage.tokens[USAGE_IN]);
    jw_ku64(w, "output", p->usage.tokens[USAGE_OUT]);
    jw_ku64(w, "cacheRead", p->usage.tokens[USAGE_READ]);
    jw_ku64(w, "cacheWrite", p->usage.tokens[USAGE_WRITE]);
    jw_ku64(w, "totalTokens", usage_tokens(&p->usage));
    jw_key(w, "cost");
    jw_dbl(w, usage_cost(&p->usage));
    jw_ku64(w, "cumulativeTokens", usage_tokens(sum));
    jw_key(w, "cumulativeCost");
    jw_dbl(w, usage_cost(sum));
    jw_obj_end(w);
}

static bool row_of(struct call *c, struct rec_session_put *row)
{
    struct session_key key;
    struct err e = ERR_INIT;

    return session_key(c->hub, json_view(c->params, "key"), json_view(c->params, "agentId"), &key,
                       &e) != ERR_INVALID &&
           store_session_get(c->hub->store, session_key_view(&key), row, &e) == 0;
}

int rpc_sessions_usage_timeseries(struct call *c)
{
    struct rec_session_put row;
    struct usage sum = {.unpriced = 0};
    struct points *u;
    struct err e = ERR_INIT;
    struct jw *w;
    int rc;

    if (!row_of(c, &row))
        return call_error(c, RPC_INVALID_REQUEST, "No session found: %.*s",
                          VIEW_FMT(json_view(c->params, "key")));
    if ((rc = mem_new(&u, sizeof(*u), &e)) < 0 ||
        (rc = store_history_page(c->hub->store, row.sid, 0, SIZE_MAX, on_point, u, &e)) < 0) {
        mem_free(u);
        return call_error_full(c, RPC_UNAVAILABLE, e.text, VIEW_EMPTY, 1, 1000);
    }
    w = call_ok(c);
    jw_obj(w);
    jw_kstr(w, "sessionId", row.session_id);
    jw_key(w, "points");
    jw_arr(w);
    while (u->count > 0) /* they came newest first */
        put_point(w, &u->point[--u->count], &sum);
    jw_arr_end(w);
    jw_obj_end(w);
    mem_free(u);
    return call_end(c);
}

static int on_log(void *ctx, const struct rec_message_add *m)
{
    struct jw *w = ctx;
    struct buf text = BUF_INIT(16 * KIB);
    struct view role, content;
    struct usage u;

    if (!chat_msg_split(m->text, &role, &content))
        return 0;
    chat_msg_text(content, LOG_TEXT, false, &text);
    jw_obj(w);
    jw_ki64(w, "timestamp", m->ts);
    jw_kstr(w, "role", role);
    jw_kstr(w, "content", buf_view(&text));
    if (m->role == MESSAGE_ASSISTANT && usage_read(m->text, &u)) {
        jw_ku64(w, "tokens", usage_tokens(&u));
        jw_key(w, "cost");
        jw_dbl(w, usage_cost(&u));
    }
    jw_obj_end(w);
    buf_fini(&text);
    return 0;
}

int rpc_sessions_usage_logs(struct call *c)
{
    int64_t limit = json_i64(c->params, "limit", LOGS_DEFAULT);
    uint64_t count = 0, first;
    struct rec_session_put row;
    struct err e = ERR_INIT;
    struct jw *w;
    int rc;

    if (!row_of(c, &row))
        return call_error(c, RPC_INVALID_REQUEST, "No session found: %.*s",
                          VIEW_FMT(json_view(c->params, "key")));
    limit = limit < 1 ? 1 : limit > LOGS_MAX ? LOGS_MAX : limit;
    rc = store_history_count(c->hub->store, row.sid, &count, &e);
    first = count > (uint64_t)limit ? count - (uint64_t)limit + 1 : 1;
    w = call_ok(c);
    jw_obj(w);
    jw_key(w, "logs");
    jw_arr(w);
    if (rc == 0 && count > 0)
        rc = store_history_range(c->hub->store, row.sid, first, count, on_log, w, &e);
    jw_arr_end(w);
    jw_obj_end(w);
    if (rc < 0)
        return call_error_full(c, RPC_UNAVAILABLE, e.text, VIEW_EMPTY, 1, 1000);
    return call_end(c);
}
