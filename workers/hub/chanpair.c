#include "chanpair.h"

#include "call.h"
#include "channels.h"
#include "clock.h"
#include "deliveries.h"
#include "json.h"
#include "log.h"
#include "rand.h"
#include "session.h"

#include <stdio.h>

enum {
    KEY_BYTES = 128,     /* records.def: meta_set */
    VALUE_BYTES = 65535, /* the same */
    DRAWS_MAX = 500,
};

struct account_name {
    const char *channel, *account;
};

/* ---- what is kept ---- */

static struct view key_of(char out[KEY_BYTES], const char *what, struct account_name n)
{
    int len = snprintf(out, KEY_BYTES, "channel.%s:%s:%s", what, n.channel, n.account);

    return view_of(out, (size_t)len);
}

/* An array; empty when nothing was kept. */
static int load(struct hub *h, const char *what, struct account_name n, json_t **out, struct err *e)
{
    char key[KEY_BYTES];
    struct view v;
    int r = store_meta_get(h->store, key_of(key, what, n), &v, e);

    if (r == ERR_NOT_FOUND || (r == 0 && v.n == 0)) {
        *out = json_array();
        return *out ? 0 : err_set(e, ERR_NOMEM, "pairing: out of memory");
    }
    if (r < 0)
        return r;
    if ((r = json_parse(v, out, e)) == 0 && !json_is_array(*out)) {
        json_decref(*out);
        r = err_set(e, ERR_CORRUPT, "pairing: not a list");
    }
    return r;
}

static int save(struct hub *h, const char *what, struct account_name n, const json_t *list,
                struct err *e)
{
    struct store_rec rec = {.type = REC_meta_set};
    struct buf b = BUF_INIT(VALUE_BYTES);
    char key[KEY_BYTES];
    int r;

    if (json_array_size(list) && (r = json_dump(list, &b, e)) < 0) {
        buf_fini(&b);
        return r;
    }
    rec.meta_set.key = key_of(key, what, n);
    rec.meta_set.value = buf_view(&b);
    r = hub_put(h, &rec, e);
    buf_fini(&b);
    return r;
}

int chanpair_paired(struct hub *h, const char *channel, const char *account, struct view *out,
                    struct err *e)
{
    char key[KEY_BYTES];
    int r = store_meta_get(h->store, key_of(key, "paired", (struct account_name){channel, account}),
                           out, e);

    if (r == ERR_NOT_FOUND || (r == 0 && out->n == 0)) {
        *out = V("[]");
        return 0;
    }
    return r;
}

/* Without those whose hour is over. */
static void prune(json_t *asks)
{
    int64_t now = clock_wall_ms();

    for (size_t i = json_array_size(asks); i > 0; i--)
        if (json_i64(json_array_get(asks, i - 1), "createdAt", 0) + CHANPAIR_TTL_MS <= now)
            (void)json_array_remove(asks, i - 1);
}

static json_t *find(const json_t *list, const char *member, struct view value)
{
    json_t *row;
    size_t i;

    json_array_foreach(list, i, row) if (view_eq(json_view(row, member), value)) return row;
    return NULL;
}

static bool listed(const json_t *ids, struct view id)
{
    json_t *v;
    size_t i;

    json_array_foreach(ids, i, v) if (view_eq(json_view_of(v), id)) return true;
    return false;
}

/* ---- somebody asks ---- */

/* Letters and digits that nobody confuses. */
static void draw(char code[CHANPAIR_CODE + 1])
{
    static const char letters[] = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    unsigned char dice[CHANPAIR_CODE];

    rand_bytes(dice, sizeof(dice));
    for (size_t i = 0; i < CHANPAIR_CODE; i++)
        code[i] = letters[dice[i] % (sizeof(letters) - 1)]; /* 32 of them: no bias */
    code[CHANPAIR_CODE] = '\0';
}

static void write_notice(struct account_name n, const struct ipc_pairing_ask *m, const char *code,
                         struct buf *out)
{
    bool usual = strcmp(n.account, "default") == 0;

    buf_put_str(out, "This assistant does not know you yet, so it has not read your message.\n\n");
    if (m->id_line.n)
        buf_printf(out, "%.*s\n", VIEW_FMT(m->id_line));
    else
        buf_printf(out, "Your id here: %.*s\n", VIEW_FMT(m->sender));
    buf_printf(out, "Pairing code: %s\n\nIts owner lets you in with:\n", code);
    buf_printf(out, "`openclawctl pairing approve %s %s%s%s`", n.channel, code,
               usual ? "" : " --account ", usual ? "" : n.account);
}

static int say(struct hub *h, struct account_name n, struct view target, const char *what,
               const char *id, struct view text, struct err *e)
{
    char key[96];
    struct deliver_order o = {.channel = view_str(n.channel),
                              .account = view_str(n.account),
                              .target = target,
                              .text = text,
                              .digest = "",
                              .kind = DELIVERY_TEXT};
    int len = snprintf(key, sizeof(key), "pair-%s:%s", what, id);

    o.key = view_of(key, (size_t)len);
    return deliveries_add_anyway(h, &o, e);
}

static int admit_ask(struct hub *h, struct account_name n, json_t *asks,
                     const struct ipc_pairing_ask *m, struct err *e)
{
    struct buf text = BUF_INIT(8 * KIB);
    char code[CHANPAIR_CODE + 1], id[UUID_MAX];
    int64_t now = clock_wall_ms();
    json_t *meta = NULL, *row;
    struct err ignored = ERR_INIT;
    int draws = 0, r = 0;

    do
        draw(code);
    while (find(asks, "code", view_str(code)) && ++draws < DRAWS_MAX);
    if (draws == DRAWS_MAX)
        return 0; /* never with three of them */
    rand_uuid(id);
    if (m->meta.n && json_parse(m->meta, &meta, &ignored) < 0)
        meta = NULL;
    row = json_pack("{s:s, s:s#, s:s#, s:s, s:I, s:I, s:o*}", "requestId", id, "senderId",
                    m->sender.p, m->sender.n, "target", m->target.p, m->target.n, "code", code,
                    "createdAt", (json_int_t)now, "lastSeenAt", (json_int_t)now, "meta", meta);
    if (!row || json_array_append_new(asks, row) < 0)
        return err_set(e, ERR_INVALID, "pairing: not a text, or out of memory");
    write_notice(n, m, code, &text);
    if ((r = buf_check(&text, e)) == 0 && (r = save(h, "asks", n, asks, e)) == 0)
        r = say(h, n, m->target, "ask", id, buf_view(&text), e);
    buf_fini(&text);
    log_info("pairing.asked", KV("channel", n.channel), KV("account", n.account));
    return r == ERR_CONFLICT ? 0 : r;
}

static int ask(struct hub *h, struct account_name n, const struct ipc_pairing_ask *m, struct err *e)
{
    json_t *asks = NULL, *row;
    int r = load(h, "asks", n, &asks, e);

    if (r < 0)
        return r;
    prune(asks);
    row = find(asks, "senderId", m->sender);
    if (row) { /* the code it has been told is still good */
        (void)json_object_set_new(row, "lastSeenAt", json_integer(clock_wall_ms()));
        r = save(h, "asks", n, asks, e);
    } else if (json_array_size(asks) < CHANPAIR_PENDING_MAX) {
        r = admit_ask(h, n, asks, m, e);
    }
    json_decref(asks);
    return r;
}

int chanpair_on_ask(struct hub *h, struct link *from, struct ipc_pairing_ask *m, struct err *e)
{
    struct deliver_account a;
    struct err why = ERR_INIT;
    uint32_t later = 0;

    if (!deliveries_account_of(h, from, &a))
        return 0; /* on its way out */
    if (m->sender.n == 0 || m->target.n == 0)
        return err_set(e, ERR_INVALID, "pairing_ask: sender or target: empty");
    if (h->stopping || ask(h, (struct account_name){a.channel, a.account}, m, &why) < 0) {
        log_debug("pairing.later", KV("why", why.text));
        later = 1000;
    }
    return msg_send_inbound_ack(
        from, &(struct ipc_inbound_ack){.update_id = m->update_id, .retry_after_ms = later}, e);
}

/* ---- the owner ---- */

static void write_ask(struct jw *w, struct account_name n, const json_t *row)
{
    static const char *const texts[] = {"requestId", "senderId", "code"};
    const json_t *meta = json_object_get(row, "meta");
    struct buf b = BUF_INIT(8 * KIB);
    struct err ignored = ERR_INIT;

    jw_obj(w);
    jw_kcstr(w, "channel", n.channel);
    jw_kcstr(w, "accountId", n.account);
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        jw_kstr(w, texts[i], json_view(row, texts[i]));
    jw_ki64(w, "createdAt", json_i64(row, "createdAt", 0));
    jw_ki64(w, "lastSeenAt", json_i64(row, "lastSeenAt", 0));
    jw_ki64(w, "expiresAt", json_i64(row, "createdAt", 0) + CHANPAIR_TTL_MS);
    if (meta && json_dump(meta, &b, &ignored) == 0)
        jw_kraw(w, "meta", buf_view(&b));
    buf_fini(&b);
    jw_obj_end(w);
}

static bool wanted(const struct call *c, const struct deliver_account *a)
{
    struct view channel = json_view(c->params, "channel"),
                account = json_view(c->params, "accountId");

    return (!channel.n || view_eq(channel, view_str(a->channel))) &&
           (!account.n || view_eq(account, view_str(a->account)));
}

int rpc_channels_pairing_list(struct call *c)
{
    struct deliver_account a;
    struct jw *w = call_ok(c);
    struct err e = ERR_INIT;

    jw_obj(w);
    jw_key(w, "accounts");
    jw_arr(w);
    for (unsigned i = 0; deliveries_account(c->hub, i, &a); i++)
        if (wanted(c, &a)) {
            struct view paired;

            jw_obj(w);
            jw_kcstr(w, "channel", a.channel);
            jw_kcstr(w, "accountId", a.account);
            if (chanpair_paired(c->hub, a.channel, a.account, &paired, &e) == 0)
                jw_kraw(w, "allowFrom", paired);
            jw_obj_end(w);
        }
    jw_arr_end(w);
    jw_key(w, "requests");
    jw_arr(w);
    for (unsigned i = 0; deliveries_account(c->hub, i, &a); i++) {
        struct account_name n = {a.channel, a.account};
        json_t *asks = NULL, *row;
        size_t k;

        if (!wanted(c, &a))
            continue;
        if (load(c->hub, "asks", n, &asks, &e) < 0)
            return call_error(c, RPC_UNAVAILABLE, "%s", e.text);
        prune(asks);
        json_array_foreach(asks, k, row) write_ask(w, n, row);
        json_decref(asks);
    }
    jw_arr_end(w);
    jw_kbool(w, "commandOwnerConfigured", false);
    jw_key(w, "limits");
    jw_obj(w);
    jw_ki64(w, "pendingPerAccount", CHANPAIR_PENDING_MAX);
    jw_ki64(w, "ttlMs", CHANPAIR_TTL_MS);
    jw_obj_end(w);
    jw_obj_end(w);
    return call_end(c);
}

static bool account_of(const struct call *c, struct deliver_account *out)
{
    for (unsigned i = 0; deliveries_account(c->hub, i, out); i++)
        if (wanted(c, out))
            return true;
    return false;
}

static int let_in(struct hub *h, struct account_name n, struct view sender, struct err *e)
{
    json_t *paired = NULL, *id;
    int r = load(h, "paired", n, &paired, e);

    if (r < 0)
        return r;
    if (listed(paired, sender))
        goto out;
    if (json_array_size(paired) >= CHANPAIR_PAIRED_MAX) {
        r = err_set(e, ERR_LIMIT, "%d people were let in already; name them in allowFrom",
                    (int)CHANPAIR_PAIRED_MAX);
        goto out;
    }
    id = json_stringn(sender.p, sender.n);
    if (view_eq(view_trim(sender), V("*")) || !id || json_array_append_new(paired, id) < 0)
        r = err_set(e, ERR_INVALID, "not an id that can be let in");
    else
        r = save(h, "paired", n, paired, e);
out:
    json_decref(paired);
    return r;
}

static int end_ask(struct call *c, bool approve)
{
    struct view id = json_view(c->params, "requestId");
    bool notify = json_flag(c->params, "notify", false), told = false;
    struct deliver_account a;
    struct account_name n;
    json_t *asks = NULL, *row;
    struct err e = ERR_INIT;
    struct jw *w;
    size_t at;
    int r;

    if (!account_of(c, &a))
        return call_error(c, RPC_INVALID_REQUEST, "unknown channel or account");
    n = (struct account_name){a.channel, a.account};
    if ((r = load(c->hub, "asks", n, &asks, &e)) < 0)
        return call_error(c, RPC_UNAVAILABLE, "%s", e.text);
    prune(asks);
    if (!(row = find(asks, "requestId", id))) {
        json_decref(asks);
        return call_error(c, RPC_INVALID_REQUEST, "unknown or expired pairing request");
    }
    json_incref(row);
    for (at = 0; json_array_get(asks, at) != row;)
        at++;
    (void)json_array_remove(asks, at);
    if (approve)
        r = let_in(c->hub, n, json_view(row, "senderId"), &e);
    if (r == 0)
        r = save(c->hub, "asks", n, asks, &e);
    if (r == 0 && approve) {
        channels_paired(c->hub, n.channel, n.account);
        told = notify && say(c->hub, n, json_view(row, "target"), "ok",
                             json_string_value(json_object_get(row, "requestId")),
                             V("You have been let in. Say hello."), &e) == 0;
        log_info("pairing.approved", KV("channel", n.channel), KV("account", n.account));
    }
    json_decref(asks);
    if (r < 0) {
        json_decref(row);
        return call_error(
            c, r == ERR_LIMIT || r == ERR_INVALID ? RPC_INVALID_REQUEST : RPC_UNAVAILABLE, "%s",
            e.text);
    }
    w = call_ok(c);
    jw_obj(w);
    jw_kstr(w, "requestId", id);
    jw_kstr(w, "senderId", json_view(row, "senderId"));
    if (approve) {
        jw_kcstr(w, "notification", !notify ? "not-requested" : told ? "sent" : "failed");
        jw_kcstr(w, "commandOwnerBootstrap",
                 json_flag(c->params, "bootstrapCommandOwner", false) ? "unavailable"
                                                                      : "not-requested");
    }
    jw_obj_end(w);
    json_decref(row);
    return call_end(c);
}

int rpc_channels_pairing_approve(struct call *c)
{
    unsigned need =
        json_flag(c->params, "bootstrapCommandOwner", false) ? SCOPE_ADMIN : SCOPE_PAIRING;

    if (!(c->conn->who.scopes & (need | SCOPE_ADMIN)))
        return call_error(c, RPC_INVALID_REQUEST, "missing scope: operator.%s",
                          need == SCOPE_ADMIN ? "admin" : "pairing");
    return end_ask(c, true);
}

int rpc_channels_pairing_dismiss(struct call *c)
{
    return end_ask(c, false);
}
