/*
 * workers/hub/rpc_send.c - send, message.action: words for a platform that no agent said.
 * They go through the queue of deliveries; the answer comes when the channel took them, or says
 * that they will be tried again (protocol 9.2).
 */
#include "rpc_send.h"

#include "deliveries.h"
#include "json.h"
#include "outfiles.h"
#include "presentation.h"

#include <openssl/sha.h>
#include <stdio.h>

/* ---- answers ---- */

static struct view last_id(struct view ids)
{
    size_t from = ids.n;

    while (from > 0 && !(ids.p[from - 1] == '"' && (from == 1 || ids.p[from - 2] == ',')))
        from--; /* an id with "," inside is shown from there: nobody makes such */
    return from ? view_of(ids.p + from - 1, ids.n - from + 1) : V("\"\"");
}

static void write_sent(struct jw *w, enum deliver_form form, const struct store_delivery *d)
{
    jw_obj(w);
    if (form == DELIVER_FORM_ACTION)
        jw_kbool(w, "ok", true);
    jw_kstr(w, "runId", view_from(d->add.key, 2)); /* without the form's letter */
    jw_kraw(w, "messageId", last_id(d->state.message_ids));
    jw_kstr(w, "channel", d->add.channel);
    if (form == DELIVER_FORM_ACTION)
        jw_kstr(w, "to", d->add.target);
    jw_obj_end(w);
}

int deliver_tell(struct hub *h, const struct call_ref *ref, enum deliver_form form, uint64_t id)
{
    struct buf payload = BUF_INIT(16 * KIB), body = BUF_INIT(64 * KIB);
    struct jw w = JW_INIT(&payload);
    struct store_delivery d;
    struct err e = ERR_INIT;
    char text[700];
    int r = store_delivery_get(h->store, id, &d, &e);

    if (r < 0) {
        call_body_error(&body, RPC_UNAVAILABLE, view_str(e.text), VIEW_EMPTY, -1, 0, VIEW_EMPTY);
    } else if (d.state.state == DELIVERY_SENT) {
        write_sent(&w, form, &d);
        call_body_ok(&body, buf_view(&payload));
    } else {
        bool open = d.state.state == DELIVERY_QUEUED || d.state.state == DELIVERY_SENDING;

        (void)snprintf(text, sizeof(text), "OutboundDeliveryError: %.*s",
                       d.state.error.n ? (int)(d.state.error.n < 600 ? d.state.error.n : 600) : 0,
                       d.state.error.p);
        if (!d.state.error.n)
            (void)snprintf(text, sizeof(text), "OutboundDeliveryError: %s",
                           open ? "the channel is not connected" : "not delivered");
        if (d.state.state == DELIVERY_UNKNOWN)
            (void)snprintf(text, sizeof(text),
                           "OutboundDeliveryError: it is not known whether the message was "
                           "delivered (delivery %llu)",
                           (unsigned long long)id);
        call_body_error(&body, RPC_UNAVAILABLE, view_str(text),
                        open ? V("{\"code\":\"OUTBOUND_DELIVERY_QUEUED\"}") : VIEW_EMPTY, -1, 0,
                        VIEW_EMPTY);
    }
    r = call_send(h, ref, false, buf_view(&body));
    buf_fini(&payload);
    buf_fini(&body);
    return r;
}

/* ---- requests ---- */

static void digest(const struct deliver_order *o, struct view files, char out[65])
{
    const struct view all[] = {o->channel,  o->account, o->target, o->thread,
                               o->reply_to, o->text,    o->extra,  files};
    static const char hex[] = "0123456789abcdef";
    unsigned char md[SHA256_DIGEST_LENGTH];
    struct buf b = BUF_INIT(64 * MIB);

    for (size_t i = 0; i < COUNT_OF(all); i++) {
        buf_put_view(&b, all[i]);
        buf_put_char(&b, '\0');
    }
    (void)SHA256((const unsigned char *)buf_view(&b).p, b.n, md);
    for (size_t i = 0; i < 32; i++) {
        out[2 * i] = hex[md[i] >> 4];
        out[2 * i + 1] = hex[md[i] & 15];
    }
    out[64] = '\0';
    buf_fini(&b);
}

/* The one channel there is; otherwise the caller has to say which. 1: the call is answered. */
static int default_channel(struct call *c, struct view *out, int *answered)
{
    struct deliver_account a;
    struct buf names = BUF_INIT(8 * KIB);
    unsigned n = 0;

    for (unsigned i = 0; deliveries_account(c->hub, i, &a); i++) {
        if (n && view_eq(*out, view_str(a.channel)))
            continue;
        *out = view_str(a.channel);
        if (n++)
            buf_put_str(&names, ", ");
        buf_put_str(&names, a.channel);
    }
    if (n == 0)
        *answered = call_error(
            c, RPC_INVALID_REQUEST,
            "Error: Channel is required (no configured channels detected). Run openclaw channels "
            "add to configure one, or pass --channel <channel> after enabling a channel. Use "
            "openclaw channels list --all to see available channel ids.");
    else if (n > 1)
        *answered =
            call_error(c, RPC_INVALID_REQUEST,
                       "Error: Channel is required when multiple channels are configured: %.*s",
                       VIEW_FMT(buf_view(&names)));
    buf_fini(&names);
    return n != 1;
}

/* The account asked for, else "default", else the first by name. */
bool deliver_account_for(struct hub *h, struct view channel, struct view asked,
                         struct deliver_account *out)
{
    struct deliver_account a;
    bool found = false;

    for (unsigned i = 0; deliveries_account(h, i, &a); i++) {
        if (!view_eq(view_str(a.channel), channel) ||
            (asked.n && !view_eq(view_str(a.account), asked)))
            continue;
        if (!found || strcmp(a.account, "default") == 0 ||
            (strcmp(out->account, "default") != 0 && strcmp(a.account, out->account) < 0))
            *out = a;
        found = true;
    }
    return found;
}

static int known(struct call *c, const struct send *s)
{
    struct store_delivery d;
    struct err e = ERR_INIT;

    if (store_delivery_by_key(c->hub->store, s->o.key, &d, &e) < 0)
        return call_error(c, RPC_UNAVAILABLE, "%s", e.text);
    if (!view_eq(d.add.digest, view_str(s->digest)))
        return call_error(c, RPC_INVALID_REQUEST,
                          "this idempotency key was already used for another message");
    return deliver_wait(c, d.add.id, s->form);
}

int send_refused(struct call *c, const struct err *e)
{
    bool later = e->code == ERR_LIMIT || e->code == ERR_AGAIN || e->code == ERR_NOMEM;

    return call_error_full(c, later ? RPC_UNAVAILABLE : RPC_INVALID_REQUEST, e->text, VIEW_EMPTY,
                           later, later ? 1000 : 0);
}

int send_take(struct call *c, struct send *s, struct view key)
{
    struct deliver_account a;
    struct err e = ERR_INIT;
    uint64_t id;
    int answered;

    if (key.n > SEND_KEY_MAX)
        return call_error(c, RPC_INVALID_REQUEST, "idempotencyKey: more than %d bytes",
                          (int)SEND_KEY_MAX);
    if (s->o.channel.n == 0 && default_channel(c, &s->o.channel, &answered))
        return answered;
    if (view_eq(s->o.channel, V("webchat")))
        return call_error(c, RPC_INVALID_REQUEST,
                          "unsupported channel: webchat. Use `chat.send` for WebChat UI messages "
                          "or choose a deliverable channel.");
    if (!deliver_account_for(c->hub, s->o.channel, VIEW_EMPTY, &a))
        return call_error(c, RPC_INVALID_REQUEST, "unsupported channel: %.*s",
                          VIEW_FMT(s->o.channel));
    if (!deliver_account_for(c->hub, s->o.channel, s->o.account, &a))
        return call_error(c, RPC_INVALID_REQUEST, "unknown account: %.*s", VIEW_FMT(s->o.account));
    if (s->o.kind == DELIVERY_POLL && a.up && !(a.flags & CHANNEL_POLLS))
        return call_error(c, RPC_INVALID_REQUEST, "unsupported poll channel: %s", a.channel);
    s->o.account = view_str(a.account);
    (void)snprintf(s->key, sizeof(s->key), "%c:%.*s", s->form == DELIVER_FORM_POLL ? 'p' : 's',
                   VIEW_FMT(key));
    s->o.key = view_str(s->key);
    digest(&s->o, s->files, s->digest);
    s->o.digest = s->digest;
    if (deliveries_add(c->hub, &s->o, &id, &e) < 0)
        return e.code == ERR_CONFLICT ? known(c, s) : send_refused(c, &e);
    s->taken = true;
    return deliver_wait(c, id, s->form);
}

static struct view target_of(const json_t *p)
{
    struct view to = view_trim(json_view(p, "to"));

    return to.n ? to : view_trim(json_view(p, "target"));
}

/* What it says, with all that goes with it; the buffers outlive *s. */
static int send_words(const json_t *p, struct send *s, struct buf *text, struct buf *extra,
                      struct err *e)
{
    int r;

    buf_put_view(text, view_trim(json_view(p, "message")));
    if ((r = presentation_read(p, text, extra, e)) < 0 || (r = buf_check(text, e)) < 0)
        return r;
    s->o.text = view_trim(buf_view(text));
    s->o.extra = buf_view(extra);
    return 0;
}

static int send_message(struct call *c, const json_t *p, struct send *s, struct view key)
{
    s->o.target = target_of(p);
    s->o.thread = json_view(p, "threadId");
    s->o.reply_to = json_view(p, s->form == DELIVER_FORM_ACTION ? "replyTo" : "replyToId");
    s->o.options = DELIVER_ACTION | (json_flag(p, "silent", false) ? DELIVER_SILENT : 0) |
                   (json_flag(p, "forceDocument", false) ? DELIVER_DOCUMENT : 0) |
                   (view_eq(json_view(p, "parseMode"), V("HTML")) ? DELIVER_HTML : 0);
    if (s->o.text.n == 0 && !s->o.media.n)
        return call_error(c, RPC_INVALID_REQUEST, "invalid send params: text or media is required");
    if (s->o.target.n == 0 || s->o.target.n > 512 || s->o.thread.n > 256 || s->o.reply_to.n > 256)
        return call_error(c, RPC_INVALID_REQUEST,
                          "invalid send params: to, threadId or replyToId is empty or too long");
    return send_take(c, s, key);
}

static int send_text(struct call *c, const json_t *p, struct send *s, struct view key)
{
    struct buf text = BUF_INIT(DELIVER_BODY_MAX), extra = BUF_INIT(64 * KIB);
    struct outfiles files;
    struct err e = ERR_INIT;
    int r = send_words(p, s, &text, &extra, &e);

    outfiles_init(&files, c->hub);
    if (r == 0 && (r = outfiles_params(&files, p, &e)) == 0)
        r = outfiles_write(&files, &e);
    s->o.media = buf_view(&files.json);
    s->o.files = files.m;
    s->o.file_n = files.n;
    s->files = buf_view(&files.said);
    r = r < 0 ? send_refused(c, &e) : send_message(c, p, s, key);
    outfiles_fini(&files, s->taken);
    buf_fini(&text);
    buf_fini(&extra);
    return r;
}

int rpc_send(struct call *c)
{
    struct send s = {.form = DELIVER_FORM_SEND,
                     .o = {.kind = DELIVERY_TEXT,
                           .channel = view_trim(json_view(c->params, "channel")),
                           .account = view_trim(json_view(c->params, "accountId")),
                           .session_key = json_view(c->params, "sessionKey")}};

    return send_text(c, c->params, &s, json_view(c->params, "idempotencyKey"));
}

/* What is done to a message that is there: react, edit, delete. */
static const struct action {
    const char *name;
    enum delivery_kind kind;
    uint32_t flag; /* CHANNEL_* of msg.h */
} actions[] = {{"react", DELIVERY_REACT, CHANNEL_REACTS},
               {"edit", DELIVERY_EDIT, CHANNEL_EDITS},
               {"delete", DELIVERY_REMOVE, CHANNEL_DELETES}};

static bool can(struct call *c, struct view channel, struct view account, uint32_t flag)
{
    struct deliver_account a;

    return deliver_account_for(c->hub, channel, account, &a) && (!a.up || a.flags & flag);
}

static int write_action(const json_t *p, struct buf *out, struct err *e)
{
    struct view message = json_view(p, "message");
    struct buf text = BUF_INIT(256 * KIB), extra = BUF_INIT(64 * KIB);
    struct jw w = JW_INIT(out);
    int r;

    buf_put_view(&text, message.n ? message : json_view(p, "text"));
    if ((r = presentation_read(p, &text, &extra, e)) < 0 || (r = buf_check(&text, e)) < 0)
        goto out;

    jw_obj(&w);
    jw_kstr(&w, "messageId", json_view(p, "messageId"));
    jw_kstr(&w, "text", buf_view(&text));
    if (extra.n)
        jw_kraw(&w, "extra", buf_view(&extra));
    jw_kstr(&w, "emoji", json_view(p, "emoji"));
    jw_kbool(&w, "remove", json_flag(p, "remove", false));
    jw_obj_end(&w);
    r = buf_check(out, e);
out:
    buf_fini(&text);
    buf_fini(&extra);
    return r;
}

/* true: it was one of these; *ret is the answer's result. */
static bool act_on_message(struct call *c, const json_t *p, struct view action, struct send *s,
                           int *ret)
{
    const struct action *a = NULL;
    struct view id = json_view(p, "messageId");
    struct buf b = BUF_INIT(512 * KIB);
    struct err e = ERR_INIT;

    for (size_t i = 0; i < COUNT_OF(actions); i++)
        if (view_eq(action, view_str(actions[i].name)))
            a = &actions[i];
    if (!a || !can(c, s->o.channel, s->o.account, a->flag))
        return false;
    s->o.kind = a->kind;
    s->o.options = DELIVER_ACTION;
    s->o.target = target_of(p);
    s->o.thread = json_view(p, "threadId");
    if (s->o.target.n == 0 || s->o.target.n > 512 || s->o.thread.n > 256 || id.n == 0 ||
        id.n > 256) {
        *ret = call_error(c, RPC_INVALID_REQUEST, "invalid %s params: to and messageId", a->name);
        return true;
    }
    *ret = write_action(p, &b, &e);
    s->o.text = buf_view(&b);
    *ret = *ret < 0 ? send_refused(c, &e) : send_take(c, s, json_view(c->params, "idempotencyKey"));
    buf_fini(&b);
    return true;
}

int rpc_message_action(struct call *c)
{
    const json_t *p = json_object_get(c->params, "params");
    struct view action = json_view(c->params, "action"),
                account = view_trim(json_view(c->params, "accountId"));
    struct send s = {.form = DELIVER_FORM_ACTION,
                     .o = {.kind = DELIVERY_TEXT,
                           .channel = view_trim(json_view(c->params, "channel")),
                           .account = account.n ? account : json_view(p, "accountId"),
                           .session_key = json_view(c->params, "sessionKey")}};
    int r = 0;

    if (act_on_message(c, p, action, &s, &r))
        return r;
    if (view_eq(action, V("poll"))) {
        s.o.target = target_of(p);
        return send_poll_action(c, &s, p, json_view(c->params, "idempotencyKey"));
    }
    if (!view_eq(action, V("send")))
        return call_error(c, RPC_INVALID_REQUEST,
                          "Message action %.*s not supported for channel %.*s.", VIEW_FMT(action),
                          VIEW_FMT(s.o.channel));
    return send_text(c, p, &s, json_view(c->params, "idempotencyKey"));
}
