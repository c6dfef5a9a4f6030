/* workers/hub/api_turn.c - the turn behind a request of OpenAI's interfaces (api.h). */
#include "api.h"
#include "clock.h"
#include "log.h"
#include "rand.h"
#include "room.h"
#include "settings.h"
#include "take_up.h"

#include <openssl/sha.h>
#include <stdio.h>

struct apis {
    struct api_turn *turns;
    unsigned count;
    size_t held;
};

/* ---- life ---- */

static struct apis *apis_of(struct hub *h)
{
    struct err e = ERR_INIT;

    if (!h->apis && mem_new(&h->apis, sizeof(*h->apis), &e) < 0)
        return NULL;
    return h->apis;
}

static void turn_free(struct api_turn *t)
{
    struct apis *all = t->hub->apis;

    run_unwatch(&t->watch);
    if (t->r)
        t->r->work = NULL;
    if ((*t->at = t->next))
        t->next->at = t->at;
    all->count--;
    all->held -= t->held;
    buf_fini(&t->rest);
    mem_free(t->calls);
    mem_free(t->usage_json);
    mem_free(t);
}

void api_close(struct hub *h)
{
    while (h->apis && h->apis->turns)
        turn_free(h->apis->turns);
    mem_free(TAKE(h->apis));
}

/* ---- small answers ---- */

void api_refuse(struct http_request *r, const struct api_ask *a)
{
    http_reply_error(r, 400, "invalid_request_error", view_str(a->why));
}

json_t *api_body(struct http_request *r, struct view body)
{
    struct err e = ERR_INIT;
    json_t *doc = NULL;

    if (json_parse(body, &doc, &e) < 0) {
        http_reply_error(r, 400, "invalid_request_error", V("The body is not valid JSON."));
        return NULL;
    }
    if (!json_is_object(doc)) {
        http_reply_error(r, 400, "invalid_request_error", V("The body is not a JSON object."));
        json_decref(doc);
        return NULL;
    }
    return doc;
}

bool api_on(struct http_request *r, const char *key)
{
    if (json_is_true(json_at(r->hub->settings->doc, key)))
        return true;
    http_reply_text(r, 404, "Not Found");
    return false;
}

struct api_usage api_usage(const struct api_turn *t)
{
    struct api_usage u = {0};
    struct err e = ERR_INIT;
    json_t *doc = NULL;

    if (!t->usage_json || json_parse(view_str(t->usage_json), &doc, &e) < 0)
        return u;
    u.cached = (uint64_t)json_i64(doc, "cacheRead", 0);
    u.in =
        (uint64_t)json_i64(doc, "input", 0) + u.cached + (uint64_t)json_i64(doc, "cacheWrite", 0);
    u.out = (uint64_t)json_i64(doc, "output", 0);
    json_decref(doc);
    return u;
}

/* ---- the stream ---- */

static struct view text_of(const struct api_turn *t)
{
    return t->watch.run ? buf_view(&t->watch.run->said) : buf_view(&t->rest);
}

/* One piece that ends with a character. */
static struct view piece_of(struct view text)
{
    if (text.n > API_PIECE)
        text.n = API_PIECE;
    text.n = chat_whole(text);
    return text;
}

/* What has come goes out, as far as the client takes it; then the end. t may be gone. */
static void pump(struct api_turn *t)
{
    struct buf out = BUF_INIT(1 << 20);

    while (t->r && (!t->must_call || t->over) && http_room(t->r) > (size_t)12 * API_PIECE) {
        struct view piece = piece_of(view_from(text_of(t), t->sent));

        if (!piece.n)
            break;
        t->form->text(t, piece, &out);
        t->sent += piece.n;
        http_part(t->r, buf_view(&out));
        buf_reset(&out, out.max);
    }
    if (t->over && t->r && t->sent >= chat_whole(text_of(t))) {
        t->form->end(t, &out);
        t->r->work = NULL;
        http_end(TAKE(t->r), buf_view(&out));
        turn_free(t);
    }
    buf_fini(&out);
}

static void fail(struct api_turn *t, unsigned status, const char *type, struct view message)
{
    struct http_request *r = TAKE(t->r);
    struct buf out = BUF_INIT(64 << 10);

    if (r)
        r->work = NULL;
    if (r && t->begun) {
        t->form->failed(t, type, message, &out);
        http_end(r, buf_view(&out));
    } else if (r) {
        struct jw w = JW_INIT(&out);

        jw_obj(&w);
        jw_key(&w, "error");
        jw_obj(&w);
        jw_kstr(&w, "message", message);
        jw_kcstr(&w, "type", type);
        jw_obj_end(&w);
        jw_obj_end(&w);
        /* the turn was run: clients that repeat by themselves would run it again */
        http_reply(r, &(struct http_reply){.status = status,
                                           .type = "application/json; charset=utf-8",
                                           .fields = "X-Should-Retry: false\r\n",
                                           .body = buf_view(&out)});
    }
    buf_fini(&out);
    turn_free(t);
}

/* ---- the run ---- */

static void on_text(struct run_watch *w, struct run *run)
{
    struct api_turn *t = (struct api_turn *)((char *)w - offsetof(struct api_turn, watch));

    (void)run;
    if (t->stream)
        pump(t);
}

/* Text that went out and does not count any more cannot be taken back. */
static void on_reset(struct run_watch *w, struct run *run)
{
    struct api_turn *t = (struct api_turn *)((char *)w - offsetof(struct api_turn, watch));

    (void)run;
    t->torn |= t->sent > 0;
}

static bool called(const struct api_turn *t)
{
    json_t *list = NULL;
    const json_t *call;
    struct err e = ERR_INIT;
    bool found = false;
    size_t i;

    if (!t->calls || json_parse(view_str(t->calls), &list, &e) < 0)
        return false;
    json_array_foreach(list, i, call) found |=
        !t->must_name[0] || view_eq(json_view(call, "name"), view_str(t->must_name));
    json_decref(list);
    return found;
}

static void on_failed(struct api_turn *t, const struct run *run)
{
    const struct run_result *res = &run->result;
    struct view why = res->error ? view_str(res->error) : V("The turn ended without an answer.");

    if (res->end == END_TIMEOUT || strcmp(res->error_kind, "timeout") == 0)
        fail(t, 504, "timeout_error", why);
    else if (strcmp(res->error_kind, "rate_limit") == 0)
        fail(t, 429, "rate_limit_error", why);
    else if (strcmp(res->error_kind, "context_length") == 0)
        fail(t, 400, "invalid_request_error", why);
    else if (res->end == END_ABORTED)
        fail(t, 409, "aborted", V("The turn was stopped."));
    else
        fail(t, 502, "api_error", why);
}

static void on_end(struct run_watch *w, struct run *run)
{
    struct api_turn *t = (struct api_turn *)((char *)w - offsetof(struct api_turn, watch));
    struct buf out = BUF_INIT(48 << 20);

    buf_put_view(&t->rest, buf_view(&run->said));
    t->calls = TAKE(run->result.calls);
    t->usage_json =
        run->result.usage ? mem_dup(run->result.usage, strlen(run->result.usage)) : NULL;
    (void)snprintf(t->stop, sizeof(t->stop), "%s", run->result.stop_reason);
    t->over = true;
    if (!t->r) {
        turn_free(t);
    } else if (run->result.end != END_OK || strcmp(t->stop, "merged") == 0) {
        on_failed(t, run);
    } else if (t->torn || t->rest.failed) {
        fail(t, 502, "api_error", V("The answer was begun anew; what came so far does not count."));
    } else if (t->must_call && !called(t)) {
        fail(t, 502, "api_error", V("The model did not call the tool that tool_choice requires."));
    } else if (t->stream) {
        pump(t);
    } else {
        struct http_request *r = TAKE(t->r);

        r->work = NULL;
        t->form->whole(t, &out);
        if (out.failed)
            http_reply_error(r, 500, "api_error", V("The answer is too large."));
        else
            http_reply_json(r, 200, buf_view(&out));
        turn_free(t);
    }
    buf_fini(&out);
}

static const struct run_watch_ops watching = {
    .on_text = on_text, .on_reset = on_reset, .on_end = on_end};

/* ---- the client ---- */

/* Its client left: the work is for nobody. */
static void on_gone(struct http_request *r)
{
    struct api_turn *t = r->user;
    struct run *run = t->watch.run;

    t->r = NULL;
    run_unwatch(&t->watch);
    turn_free(t);
    if (run)
        run_abort(run, "client-disconnected");
}

static void on_room(struct http_request *r)
{
    struct api_turn *t = r->user;

    if (t->stream)
        pump(t);
}

static const struct http_work working = {.on_gone = on_gone, .on_room = on_room};

/* ---- taking it up ---- */

/* "openclaw", "openclaw/default", "openclaw/<agent>", "openclaw:<agent>", "agent:<agent>". */
const struct agent_conf *api_agent(const struct http_request *r, struct view model)
{
    const struct settings *s = r->hub->settings;
    struct view id = http_header(r, V("x-openclaw-agent-id"));
    static const char *const before[] = {"openclaw/", "openclaw:", "agent:"};

    for (size_t i = 0; !id.n && i < COUNT_OF(before); i++)
        if (view_starts(model, view_str(before[i])))
            id = view_from(model, strlen(before[i]));
    if (view_eq(id, V("default")))
        id = VIEW_EMPTY;
    return settings_agent(s, id);
}

/* A stable name that any text gives. */
static void digest(struct view text, char out[33])
{
    unsigned char md[SHA256_DIGEST_LENGTH];

    (void)SHA256((const unsigned char *)text.p, text.n, md);
    for (int i = 0; i < 16; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", md[i]);
}

static bool plain_name(struct view v)
{
    for (size_t i = 0; i < v.n; i++) {
        char c = v.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.'))
            return false;
    }
    return v.n && v.n <= 128;
}

static bool reserved(struct view key)
{
    static const char *const names[] = {"subagent:", "cron:", "acp:", "hook:"};

    if (view_starts(key, V("agent:")))
        key = view_from(view_from(key, 6), view_find(view_from(key, 6), ':') + 1);
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (view_starts(key, view_str(names[i])))
            return true;
    return false;
}

/* Which session. */
static bool session_of(const struct http_request *r, struct api_ask *a, const struct agent_conf *ag,
                       const char *uuid, struct session_key *key)
{
    struct view asked = http_header(r, V("x-openclaw-session-key"));
    struct err e = ERR_INIT;
    char name[192], sum[33];

    if (asked.n && reserved(asked))
        return api_fault(a, "x-openclaw-session-key: that name is the gateway's own.");
    if (asked.n) {
        if (session_key(r->hub, asked, view_str(ag->id), key, &e) < 0)
            return api_fault(a, "x-openclaw-session-key: %.120s", e.text);
        return true;
    }
    if (a->session.n)
        return session_key(r->hub, a->session, VIEW_EMPTY, key, &e) == 0 ||
               api_fault(a, "previous_response_id: %.120s", e.text);
    if (plain_name(a->user)) {
        (void)snprintf(name, sizeof(name), "openai-user:%.*s", VIEW_FMT(a->user));
    } else if (a->user.n) {
        digest(a->user, sum);
        (void)snprintf(name, sizeof(name), "openai-user:%s", sum);
    } else {
        (void)snprintf(name, sizeof(name), "openai:%s", uuid);
    }
    return session_key(r->hub, view_str(name), view_str(ag->id), key, &e) == 0 ||
           api_fault(a, "user: %.120s", e.text);
}

/* Members for the job. The session's own conversation is used when the client brings one message of
 * text; what else it brings comes behind it (of an earlier response) or instead of it. */
static bool options_of(const struct http_request *r, struct api_ask *a, struct buf *out,
                       bool *given)
{
    struct view pick = http_header(r, V("x-openclaw-model"));
    bool single = a->entries == 1 && a->last_is_user;

    *given = !single; /* images of a single one are files of its message */
    if (pick.n) {
        const struct model_conf *m = settings_model(r->hub->settings, pick);

        if (!m || memchr(pick.p, '"', pick.n) || memchr(pick.p, '\\', pick.n))
            return api_fault(a, "x-openclaw-model: this gateway has no such model.");
        buf_put_str(out, RUN_PICK);
        buf_put_str(out, m->provider);
        buf_put_char(out, '/');
        buf_put_str(out, m->id);
        buf_put_str(out, "\"");
    }
    if (*given) {
        if (out->n)
            buf_put_char(out, ',');
        buf_put_str(out, a->session.n ? RUN_APPEND : RUN_MESSAGES);
        buf_put_view(out, buf_view(&a->messages));
        buf_put_str(out, "]");
    }
    if (a->system.n) {
        struct jw w = JW_INIT(out);

        buf_put_str(out, out->n ? ",\"system\":" : "\"system\":");
        jw_str(&w, buf_view(&a->system));
    }
    if (a->tools.n) {
        buf_put_str(out, out->n ? ",\"tools\":" : "\"tools\":");
        buf_put_view(out, buf_view(&a->tools));
        if (a->choice[0])
            buf_printf(out, ",\"toolChoice\":%s", a->choice);
    }
    if (a->limits.n) {
        buf_put_str(out, out->n ? ",\"limits\":{" : "\"limits\":{");
        buf_put_view(out, buf_view(&a->limits));
        buf_put_char(out, '}');
    }
    return !out->failed || api_fault(a, "The request is too large.");
}

static struct api_turn *turn_new(struct http_request *r, const struct api_ask *a, size_t held)
{
    struct apis *all = apis_of(r->hub);
    struct api_turn *t;
    struct view model = json_view(a->body, "model");

    if (!all || all->count >= API_TURNS_MAX || held > API_HELD_MAX - all->held ||
        !(t = mem_alloc(sizeof(*t))))
        return NULL;
    *t = (struct api_turn){.hub = r->hub,
                           .r = r,
                           .form = a->form,
                           .stream = a->stream,
                           .usage = a->usage,
                           .must_call = a->must_call,
                           .held = held,
                           .created = clock_wall_ms() / 1000};
    t->watch.ops = &watching;
    buf_init(&t->rest, RUN_TEXT_MAX);
    rand_uuid(t->id);
    memcpy(t->must_name, a->must_name, sizeof(t->must_name));
    if (!model.n)
        model = V("openclaw");
    (void)snprintf(t->model, sizeof(t->model), "%.*s",
                   (int)chat_whole(view_of(
                       model.p, model.n < sizeof(t->model) ? model.n : sizeof(t->model) - 1)),
                   model.p);
    t->at = &all->turns;
    if ((t->next = all->turns))
        t->next->at = &t->next;
    all->turns = t;
    all->count++;
    all->held += held;
    return t;
}

static void begin_stream(struct api_turn *t)
{
    struct buf out = BUF_INIT(64 << 10);

    t->form->begin(t, &out);
    t->begun = true;
    http_begin(t->r, &(struct http_reply){.status = 200,
                                          .type = "text/event-stream; charset=utf-8",
                                          .fields = "X-Accel-Buffering: no\r\n",
                                          .body = buf_view(&out)});
    buf_fini(&out);
}

/* The run is written with the next commit; the first byte of the answer leaves behind it. */
static int start(struct api_turn *t, const struct session_key *key, struct view message,
                 struct attachments *files, const struct buf *options, struct err *e)
{
    struct take_up up = {.key = key,
                         .run_id = view_str(t->id),
                         .message = message,
                         .options = buf_view(options),
                         .files = files,
                         .quiet = QUIET_ALL,
                         .trace = t->r->trace,
                         .request = t->r->id,
                         .trust = t->r->scopes & SCOPE_ADMIN ? TRUST_OWNER : TRUST_INSIDE};
    struct run *run;
    int rc = take_up(t->hub, &up, &run, e);

    if (rc < 0)
        return rc;
    run_watch(run, &t->watch);
    t->r->work = &working;
    t->r->user = t;
    if (t->stream)
        begin_stream(t);
    take_up_go(run);
    return 0;
}

void api_take(struct http_request *r, struct api_ask *a)
{
    const struct agent_conf *ag = api_agent(r, json_view(a->body, "model"));
    struct buf options = BUF_INIT(31 << 20);
    struct attachments files = {0};
    struct session_key key;
    struct api_turn *t = NULL;
    struct err e = ERR_INIT;
    char uuid[37];
    bool given, ok;

    rand_uuid(uuid);
    if (!ag)
        ok = api_fault(a, "model: there is no such agent; GET /v1/models lists them.");
    else
        ok = session_of(r, a, ag, uuid, &key) && options_of(r, a, &options, &given);
    if (ok && !given && a->image_count && attach_images(&files, buf_view(&a->images), &e) < 0)
        ok = api_fault(a, "%.180s", e.text);
    if (!ok) {
        api_refuse(r, a);
    } else if (!room_for(r->hub, 2 * (a->last.n + options.n))) {
        http_reply(r, &(struct http_reply){
                          .status = 503,
                          .type = "application/json; charset=utf-8",
                          .fields = "Retry-After: 1\r\n",
                          .body = V("{\"error\":{\"message\":\"The gateway's disk is full. Try "
                                    "again later.\",\"type\":\"overloaded_error\","
                                    "\"code\":\"store_full\"}}")});
    } else if (r->hub->stopping || !(t = turn_new(r, a, given ? options.n : 0))) {
        http_reply(r, &(struct http_reply){
                          .status = 503,
                          .type = "application/json; charset=utf-8",
                          .fields = "Retry-After: 1\r\n",
                          .body = V("{\"error\":{\"message\":\"The gateway is busy. Try again in "
                                    "a moment.\",\"type\":\"overloaded_error\"}}")});
    } else if (start(t, &key,
                     a->last_is_user && !(given && a->session.n) ? buf_view(&a->last) : VIEW_EMPTY,
                     &files, &options, &e) < 0) {
        log_warn("api.refused", KV("code", err_name(e.code)), KV("why", e.text));
        t->r = NULL;
        turn_free(t);
        http_reply_error(r, e.code == ERR_LIMIT || e.code == ERR_AGAIN ? 503 : 500,
                         "overloaded_error", view_str(e.text));
    }
    attach_fini(&files);
    buf_fini(&options);
}
