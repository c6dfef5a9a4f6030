/*
 * channels/external/external.c - any program as a channel: newline-delimited JSON-RPC 2.0 over its
 * standard input and output (docs/channel-protocol.md). It knows a platform; who may speak,
 * pairing, groups, what is safe and what is sent again stay here, where it cannot pass them by.
 * Trusts: nothing it says. Holds: what its section of the configuration says.
 */
#include "ext_int.h"

#include "json.h"
#include "jw.h"
#include "log.h"
#include "mem.h"

#include <stdio.h>

enum {
    PROTOCOL = 1,
    START_MS = 30 * 1000,
    SEND_MS = 60 * 1000,
    PROBE_MS = 9 * 1000,
    INBOUND_IDS = 1024,
};

void ext_result(const json_t *error, struct channel_result *out)
{
    const json_t *data = json_object_get(error, "data");
    struct view kind = json_view(data, "kind");
    int64_t after = json_i64(data, "retryAfterMs", 0);

    out->retry_after_ms = after > 0 && after < 3600000 ? (uint32_t)after : 0;
    out->outcome = view_eq(kind, V("permanent")) ? CHANNEL_PERMANENT
                   : view_eq(kind, V("unknown")) ? CHANNEL_UNKNOWN
                   : out->retry_after_ms         ? CHANNEL_LATER
                                                 : CHANNEL_TRANSIENT;
    out->all = json_flag(data, "account", false);
    out->error = json_view(error, "message");
}

/* ---- requests to the program ---- */

static void end_call(struct call *k, const json_t *result, const json_t *error)
{
    struct call was = *k;

    loop_timer_fini(&k->limit);
    *k = (struct call){.x = was.x};
    was.on_answer(was.x, &was, result, error);
}

static void on_limit(void *ctx)
{
    struct call *k = ctx;
    json_t *error = json_pack("{s:s, s:{s:s}}", "message", "the program does not answer", "data",
                              "kind", "unknown");

    end_call(k, NULL, error);
    json_decref(error);
}

struct call *ext_call(struct external *x, uint32_t limit_ms)
{
    for (size_t i = 0; i < EXT_CALLS_MAX; i++) {
        struct call *k = &x->calls[i];

        if (k->id)
            continue;
        *k = (struct call){.x = x, .id = ++x->next_id};
        loop_timer_init(&k->limit, channel_loop(x->c), on_limit, k);
        loop_timer_set(&k->limit, limit_ms);
        return k;
    }
    return NULL;
}

void ext_forget(struct call *k)
{
    loop_timer_fini(&k->limit);
    *k = (struct call){.x = k->x};
}

void ext_open(struct jw *w, const char *method, uint64_t id)
{
    jw_obj(w);
    jw_kcstr(w, "jsonrpc", "2.0");
    if (id)
        jw_ku64(w, "id", id);
    jw_kcstr(w, "method", method);
    jw_key(w, "params");
    jw_obj(w);
}

int ext_close(struct external *x, struct jw *w, struct err *e)
{
    int r;

    jw_obj_end(w);
    jw_obj_end(w);
    if ((r = buf_check(w->b, e)) < 0)
        return r;
    return chan_program_write(x->program, buf_view(w->b), e);
}

static void put(struct jw *w, const char *key, struct view v)
{
    if (v.n)
        jw_kstr(w, key, v);
}

/* ---- send ---- */

static void on_sent(struct external *x, struct call *k, const json_t *result, const json_t *error)
{
    struct channel_result r = {.outcome = CHANNEL_SENT,
                               .message_id = json_view(result, "messageId")};

    if (error)
        ext_result(error, &r);
    channel_done(x->c, k->op, &r);
}

static void write_op(struct jw *w, const struct channel_op *op)
{
    jw_kstr(w, "idempotencyKey", op->client_id);
    jw_kstr(w, "to", op->target);
    put(w, "threadId", op->thread);
    put(w, "replyToId", op->reply_to);
    put(w, "messageId", op->message_id);
    put(w, "emoji", op->emoji);
    if (op->text.n) {
        jw_kstr(w, "text", op->text);
        jw_kstr(w, "plain", op->plain);
    }
    if (op->silent)
        jw_kbool(w, "silent", true);
    if (op->remove)
        jw_kbool(w, "remove", true);
}

static void request(struct channel *c, struct channel_op *op, const char *method)
{
    struct external *x = channel_user(c);
    struct call *k = ext_call(x, SEND_MS);
    struct buf b = BUF_INIT(EXT_LINE_BYTES);
    struct jw w = JW_INIT(&b);
    struct err e = ERR_INIT;

    if (!k) {
        ext_uploaded(x, op);
        channel_done(c, op,
                     &(struct channel_result){.outcome = CHANNEL_TRANSIENT,
                                              .error = V("the program has too much to do")});
        return;
    }
    k->op = op;
    k->on_answer = on_sent;
    ext_open(&w, method, k->id);
    write_op(&w, op);
    ext_put_files(x, &w, op);
    ext_uploaded(x, op);
    if (op->extra) {
        struct buf extra = BUF_INIT(EXT_LINE_BYTES);

        if (json_dump(op->extra, &extra, &e) == 0)
            jw_kraw(&w, "extra", buf_view(&extra));
        buf_fini(&extra);
    }
    if (op->poll) {
        struct buf poll = BUF_INIT(EXT_LINE_BYTES);

        if (json_dump(op->poll, &poll, &e) == 0)
            jw_kraw(&w, "poll", buf_view(&poll));
        buf_fini(&poll);
    }
    if (ext_close(x, &w, &e) < 0) {
        ext_forget(k);
        channel_done(
            c, op,
            &(struct channel_result){.outcome = CHANNEL_TRANSIENT, .error = view_str(e.text)});
    }
    buf_fini(&b);
}

void ext_send(struct external *x, struct channel_op *op)
{
    request(x->c, op, op->poll ? "poll" : "send");
}

static void external_send(struct channel *c, struct channel_op *op)
{
    if (op->media_n)
        ext_upload(channel_user(c), op);
    else
        ext_send(channel_user(c), op);
}

static void external_edit(struct channel *c, struct channel_op *op)
{
    request(c, op, "edit");
}

static void external_remove(struct channel *c, struct channel_op *op)
{
    request(c, op, "delete");
}

static void external_react(struct channel *c, struct channel_op *op)
{
    request(c, op, "react");
}

static void on_probed(struct external *x, struct call *k, const json_t *result, const json_t *error)
{
    struct buf b = BUF_INIT(16 << 10);
    struct err e = ERR_INIT;
    const char *why = json_string_value(json_object_get(error, "message"));

    if (json_is_object(result) && json_dump(result, &b, &e) < 0)
        buf_reset(&b, 0);
    channel_probed(x->c, k->ticket, !error, b.failed ? VIEW_EMPTY : buf_view(&b), why);
    buf_fini(&b);
}

static void external_probe(struct channel *c, void *ticket)
{
    struct external *x = channel_user(c);
    struct call *k = ext_call(x, PROBE_MS);
    struct buf b = BUF_INIT(EXT_LINE_BYTES);
    struct jw w = JW_INIT(&b);
    struct err e = ERR_INIT;

    if (!k) {
        channel_probed(c, ticket, false, VIEW_EMPTY, "the program has too much to do");
        return;
    }
    k->ticket = ticket;
    k->on_answer = on_probed;
    ext_open(&w, "probe", k->id);
    if (ext_close(x, &w, &e) < 0)
        log_warn("external.probe", KV("why", e.text)); /* its limit answers */
    buf_fini(&b);
}

static void external_typing(struct channel *c, struct channel_op *op)
{
    request(c, op, "typing");
}

/* ---- what it says by itself ---- */

/* A message is safe: the program may forget it. */
static void on_taken(void *ctx, uint64_t tag)
{
    struct external *x = ctx;
    struct buf b = BUF_INIT(EXT_LINE_BYTES);
    struct jw w = JW_INIT(&b);
    struct err e = ERR_INIT;
    char key[24];

    (void)snprintf(key, sizeof(key), "%llu", (unsigned long long)tag);
    ext_open(&w, "ack", 0);
    jw_kstr(&w, "id", json_view(x->taken, key));
    if (ext_close(x, &w, &e) < 0)
        log_warn("external.ack_lost", KV("why", e.text)); /* it says the message again */
    (void)json_object_del(x->taken, key);
    buf_fini(&b);
}

static void on_inbound(struct external *x, const json_t *p)
{
    struct channel_media media[CHANNEL_MEDIA_MAX];
    struct channel_event ev;
    struct err e = ERR_INIT;
    char key[24];
    int r;

    ext_event_read(p, &ev, media);
    channel_alive(x->c);
    (void)snprintf(key, sizeof(key), "%llu", (unsigned long long)++x->next_tag);
    if (json_object_set(x->taken, key, json_object_get(p, "id")) < 0)
        return; /* it says it again */
    if ((r = channel_inbound(x->c, &ev, on_taken, x, x->next_tag, &e)) == 0)
        return;
    if (r == ERR_INVALID) {
        log_warn("external.bad_message", KV("channel", channel_id(x->c)), KV("why", e.text));
        on_taken(x, x->next_tag);
        return;
    }
    (void)json_object_del(x->taken, key);
}

static void on_status(struct external *x, const json_t *p)
{
    struct view state = json_view(p, "state"), why = json_view(p, "error");
    int64_t after = json_i64(p, "retryAfterMs", 0);

    if (view_eq(state, V("connected")))
        channel_up(x->c);
    else if (view_eq(state, V("disconnected")))
        channel_down(x->c, after > 0 && after < 3600000 ? (uint32_t)after : 0, "%.*s",
                     (int)(why.n < 200 ? why.n : 200), why.p);
    else if (view_eq(state, V("fatal")))
        channel_fatal(x->c, "%.*s", (int)(why.n < 200 ? why.n : 200), why.p);
}

static void on_resume(struct external *x, const json_t *p)
{
    struct err e = ERR_INIT;

    if (channel_resume_set(x->c, json_view(p, "state"), &e) < 0)
        log_warn("external.resume", KV("why", e.text));
}

static void on_log(struct external *x, const json_t *p)
{
    struct view text = json_view(p, "message");

    log_info("channel.program", KV("channel", channel_id(x->c)),
             KV("account", channel_account(x->c)),
             KV("text", view_of(text.p, text.n < 1000 ? text.n : 1000)));
}

static void on_answer(struct external *x, const json_t *doc)
{
    int64_t id = json_i64(doc, "id", 0);
    const json_t *error = json_object_get(doc, "error");

    for (size_t i = 0; i < EXT_CALLS_MAX; i++)
        if (id > 0 && x->calls[i].id == (uint64_t)id) {
            end_call(&x->calls[i], json_object_get(doc, "result"),
                     json_is_object(error) ? error : NULL);
            return;
        }
}

static void on_line(void *ctx, struct view line)
{
    static const struct {
        const char *method;
        void (*on)(struct external *x, const json_t *params);
    } rows[] = {
        {"inbound", on_inbound}, {"status", on_status}, {"resume", on_resume}, {"log", on_log}};
    struct external *x = ctx;
    struct err e = ERR_INIT;
    json_t *doc = NULL;
    struct view method;

    if (json_parse(line, &doc, &e) < 0 || !json_is_object(doc)) {
        json_decref(doc);
        channel_leave(x->c, "the program wrote a line that is no JSON object");
        return;
    }
    method = json_view(doc, "method");
    if (!method.n)
        on_answer(x, doc);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (view_eq(method, view_str(rows[i].method)))
            rows[i].on(x, json_object_get(doc, "params")); /* others are of a later protocol */
    json_decref(doc);
}

static void on_end(void *ctx, const char *why)
{
    struct external *x = ctx;

    channel_leave(x->c, why);
}

/* ---- life ---- */

static const struct {
    const char *name;
    unsigned cap;
} cap_names[] = {{"edit", CHANNEL_CAN_EDIT},
                 {"delete", CHANNEL_CAN_DELETE},
                 {"react", CHANNEL_CAN_REACT},
                 {"typing", CHANNEL_CAN_TYPE},
                 {"threads", CHANNEL_CAN_THREAD},
                 {"reply", CHANNEL_CAN_REPLY},
                 {"polls", CHANNEL_CAN_POLL},
                 {"groups", CHANNEL_CAN_GROUP},
                 {"idempotent", CHANNEL_CAN_CLIENT_IDS},
                 {"stream", CHANNEL_CAN_STREAM},
                 {"buttons", CHANNEL_CAN_BUTTONS},
                 {"media", CHANNEL_CAN_MEDIA}};

static uint32_t number(const json_t *doc, const char *key)
{
    int64_t n = json_i64(doc, key, 0);

    return n > 0 && n <= 3600000 ? (uint32_t)n : 0;
}

static void learn(struct external *x, const json_t *result)
{
    static const char *const dialects[DIALECT_COUNT] = {"plain", "markdown", "html", "discord",
                                                        "slack", "whatsapp", "irc"};
    const json_t *caps = json_object_get(result, "capabilities"), *v;
    struct view dialect = json_view(result, "dialect");
    const json_t *pace = json_object_get(result, "limits");
    int64_t limit = json_i64(result, "textLimit", 0);
    size_t i;

    json_array_foreach(caps, i,
                       v) for (size_t k = 0; k < COUNT_OF(cap_names);
                               k++) if (view_eq(json_view_of(v), view_str(cap_names[k].name)))
        x->ops.caps |= cap_names[k].cap;
    for (int d = 0; d < DIALECT_COUNT; d++)
        if (view_eq(dialect, view_str(dialects[d])))
            x->ops.dialect = (enum channel_dialect)d;
    if (limit >= 16 && limit <= CHANNEL_TEXT_BYTES)
        x->ops.text_limit = (uint32_t)limit;
    x->ops.caption_limit = number(result, "captionLimit");
    x->ops.album =
        (uint8_t)(number(result, "albumMax") < CHANNEL_MEDIA_MAX ? number(result, "albumMax")
                                                                 : CHANNEL_MEDIA_MAX);
    if (number(result, "mediaMaxMb"))
        x->ops.media_max_mb = number(result, "mediaMaxMb");
    x->ops.pace = (struct channel_pace){.chat_gap_ms = number(pace, "chatGapMs"),
                                        .room_per_min = number(pace, "roomPerMinute"),
                                        .account_n = number(pace, "accountPerSecond"),
                                        .account_ms = 1000,
                                        .rooms = x->rooms};
    (void)snprintf(x->rooms, sizeof(x->rooms), "%.*s", VIEW_FMT(json_view(pace, "rooms")));
    if (json_view(result, "name").n)
        channel_note(x->c, "name", json_view(result, "name"));
}

static void on_initialized(struct external *x, struct call *k, const json_t *result,
                           const json_t *error)
{
    struct view why = json_view(error, "message");

    (void)k;
    if (error) {
        if (view_eq(json_view(json_object_get(error, "data"), "kind"), V("permanent")))
            channel_fatal(x->c, "%.*s", (int)(why.n < 200 ? why.n : 200), why.p);
        else
            channel_leave(x->c, "the program could not begin");
        return;
    }
    learn(x, result);
    if (json_flag(result, "connected", false))
        channel_up(x->c);
}

static void external_connect(struct channel *c)
{
    struct external *x = channel_user(c);
    struct buf b = BUF_INIT(EXT_LINE_BYTES), conf = BUF_INIT(EXT_LINE_BYTES);
    struct jw w = JW_INIT(&b);
    struct err e = ERR_INIT;
    struct call *k;

    if (x->next_id) /* it lives and tries again by itself: its next status says so */
        return;
    chan_program_listen(x->program);
    k = ext_call(x, START_MS);
    k->on_answer = on_initialized;
    ext_open(&w, "initialize", k->id);
    jw_ki64(&w, "protocol", PROTOCOL);
    jw_kcstr(&w, "channel", channel_id(c));
    jw_kcstr(&w, "account", channel_account(c));
    if (json_dump(x->conf, &conf, &e) == 0)
        jw_kraw(&w, "config", buf_view(&conf));
    put(&w, "resume", channel_resume(c));
    if (ext_close(x, &w, &e) < 0)
        channel_leave(c, e.text);
    buf_fini(&conf);
    buf_fini(&b);
}

static void external_disconnect(struct channel *c)
{
    (void)c; /* its connection is its own */
}

static int external_prepare(struct channel *c, struct err *e)
{
    static const struct chan_program_on on = {.on_line = on_line, .on_end = on_end};
    const json_t *conf = channel_conf(c);
    struct external *x;
    int r;

    if ((r = mem_new(&x, sizeof(*x), e)) < 0)
        return r;
    channel_set_user(c, x);
    x->c = c;
    x->ops = channel_platform;
    channel_set_ops(c, &x->ops);
    x->taken = json_object();
    x->conf = json_deep_copy(conf);
    if (!x->taken || !x->conf)
        return err_set(e, ERR_NOMEM, "out of memory for the program's configuration");
    (void)json_object_del(x->conf, "command");
    return chan_program_start(c, json_object_get(conf, "command"), &on, x, &x->program, e);
}

static void external_close(struct channel *c)
{
    struct external *x = channel_user(c);

    if (!x)
        return;
    ext_media_close(x);
    for (size_t i = 0; i < EXT_CALLS_MAX; i++)
        if (x->calls[i].id)
            loop_timer_fini(&x->calls[i].limit);
    chan_program_stop(&x->program);
    json_decref(x->conf);
    json_decref(x->taken);
    mem_free(x);
}

const struct channel_ops channel_platform = {
    .id = "external",
    .label = "External program",
    .needs = CHANNEL_NEEDS_PROGRAM,
    .dialect = DIALECT_PLAIN,
    .unit = UNIT_CHARS,
    .text_limit = 4000,
    .media_max_mb = 20,
    .prepare = external_prepare,
    .connect = external_connect,
    .disconnect = external_disconnect,
    .close = external_close,
    .send = external_send,
    .edit = external_edit,
    .remove = external_remove,
    .react = external_react,
    .typing = external_typing,
    .fetch_media = ext_fetch,
    .probe = external_probe,
};
