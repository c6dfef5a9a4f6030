#include "inbound.h"

#include "chat.h"
#include "clock.h"
#include "deliveries.h"
#include "json.h"
#include "log.h"
#include "room.h"
#include "route.h"

#include <openssl/sha.h>
#include <stdio.h>

enum {
    PRUNE_MS = 60 * 1000,
    PRUNE_ROWS = 5000,
    KEY_BYTES = 400,
    TO_MAX = 512, /* records.def: delivery_add */
    THREAD_MAX = 256,
};

struct inbound {
    struct index *index; /* owned; NULL: the configuration cannot be routed by */
    struct loop_timer prune;
};

/* One message on its way in. */
struct message {
    struct deliver_account from;
    struct view update_id, text;
    const json_t *peer;
    char key[KEY_BYTES], run_id[40];
};

static void name_it(struct message *m)
{
    static const char hex[] = "0123456789abcdef";
    unsigned char md[SHA256_DIGEST_LENGTH];
    int n = snprintf(m->key, sizeof(m->key), "%s\x1f%s\x1f%.*s", m->from.channel, m->from.account,
                     VIEW_FMT(m->update_id));

    (void)SHA256((const unsigned char *)m->key, (size_t)n, md);
    (void)snprintf(m->run_id, sizeof(m->run_id), "in-");
    for (size_t i = 0; i < 16; i++) {
        m->run_id[3 + 2 * i] = hex[md[i] >> 4];
        m->run_id[4 + 2 * i] = hex[md[i] & 15];
    }
    m->run_id[35] = '\0';
}

static int seen(struct hub *h, const struct message *m, struct err *e)
{
    struct rec_inbound_add row;
    struct rec_run_put run;
    int r = store_inbound_get(h->store, view_str(m->key), &row, e);

    if (r != ERR_NOT_FOUND)
        return r < 0 ? r : 1;
    if (run_find(h, view_str(m->run_id)))
        return 1;
    r = store_run_get(h->store, view_str(m->run_id), &run, e);
    return r == ERR_NOT_FOUND ? 0 : r < 0 ? r : 1;
}

static int remember(struct hub *h, const struct message *m, struct err *e)
{
    struct store_rec rec = {.type = REC_inbound_add,
                            .inbound_add = {.key = view_str(m->key), .at = clock_wall_ms()}};
    int r = hub_put(h, &rec, e);

    return r == ERR_CONFLICT ? 0 : r;
}

static int inbound_route(struct hub *h, const struct message *m, struct session_key *out,
                         struct err *e)
{
    struct view kind = json_view(m->peer, "kind"), parent = json_view(m->peer, "parentKind");
    struct route_in in = {
        .channel = view_str(m->from.channel),
        .account = view_str(m->from.account),
        .guild = json_view(m->peer, "guildId"),
        .team = json_view(m->peer, "teamId"),
        .peer = {.given = kind.n > 0, .kind = kind, .id = json_view(m->peer, "id")},
        .parent = {.given = parent.n > 0, .kind = parent, .id = json_view(m->peer, "parentId")}};
    struct route found;
    int r;

    if (!h->inbound->index)
        return session_key(h, V("main"), VIEW_EMPTY, out, e);
    if ((r = route(h->inbound->index, &in, &found, e)) < 0)
        return r;
    return session_key(h, skey_view(&found.key), VIEW_EMPTY, out, e);
}

/* Where the answer goes, as members for the job (deliver_answer.c). */
static void write_origin(const struct message *m, struct buf *out)
{
    struct view to = json_view(m->peer, "to"), id = json_view(m->peer, "id");
    struct jw w = JW_INIT(out);

    buf_put_str(out, "\"origin\":");
    jw_obj(&w);
    jw_kcstr(&w, "channel", m->from.channel);
    jw_kcstr(&w, "account", m->from.account);
    jw_kstr(&w, "to", to.n ? to : id);
    if (json_view(m->peer, "threadId").n)
        jw_kstr(&w, "thread", json_view(m->peer, "threadId"));
    if (json_view(m->peer, "replyTo").n)
        jw_kstr(&w, "replyTo", json_view(m->peer, "replyTo"));
    jw_obj_end(&w);
}

static int begin(struct hub *h, const struct message *m, const struct session_key *key,
                 struct live *l, struct run **out, struct err *e)
{
    struct buf origin = BUF_INIT(32 * KIB);
    struct chat_input in = {.key = key, .message = m->text};
    struct run *r;
    char *options = NULL;
    int rc;

    write_origin(m, &origin);
    if ((rc = buf_check(&origin, e)) == 0 && !(options = mem_dup(buf_view(&origin).p, origin.n)))
        rc = err_set(e, ERR_NOMEM, "run: out of memory");
    buf_fini(&origin);
    if (rc < 0)
        return rc;
    if ((rc = run_new(h, l, view_str(m->run_id), &r, e)) < 0) {
        mem_free(options);
        return rc;
    }
    mem_free(r->options);
    r->options = options;
    chat_digest(&in, r->digest);
    r->accepted_ms = clock_wall_ms();
    r->timeout_ms = chat_conf(h)->timeout_ms;
    r->mode = QUEUE_FOLLOWUP; /* under its own name: its answer goes where it came from */
    *out = r;
    return 0;
}

/* As a turn now, or behind the one under way. */
static int take(struct hub *h, const struct message *m, const struct session_key *key,
                struct err *e)
{
    struct live *l = NULL;
    struct run *r = NULL;
    int rc;

    if ((rc = live_get(h, key, true, &l, e)) < 0)
        return rc;
    if (l->waiting_count >= SESSION_QUEUE_MAX)
        rc = err_set(e, ERR_LIMIT, "%d messages wait in this session already",
                     (int)SESSION_QUEUE_MAX);
    else
        rc = begin(h, m, key, l, &r, e);
    if (rc == 0 && l->active)
        rc = run_accept_waiting(r, m->text, e);
    else if (rc == 0 && (rc = run_accept(r, m->text, e)) == 0)
        run_start(r);
    if (rc < 0) {
        if (r)
            run_free(r);
        live_next(h, l);
    }
    return rc;
}

/* What a delivery can be addressed to. */
static bool usable(const struct message *m)
{
    return json_is_object(m->peer) && json_view(m->peer, "to").n <= TO_MAX &&
           json_view(m->peer, "id").n <= TO_MAX && json_view(m->peer, "threadId").n <= THREAD_MAX &&
           json_view(m->peer, "replyTo").n <= THREAD_MAX &&
           (json_view(m->peer, "to").n || json_view(m->peer, "id").n);
}

/* 0: it is in this turn's batch, or means nothing. */
static int judge(struct hub *h, const struct message *m, struct err *e)
{
    struct session_key key;
    struct live *l;
    int r;

    if (m->text.n == 0 || !usable(m)) {
        log_warn("inbound.empty", KV("channel", m->from.channel), KV("account", m->from.account));
        return remember(h, m, e); /* never offered again */
    }
    if ((r = inbound_route(h, m, &key, e)) < 0) {
        log_error("inbound.no_route", KV("channel", m->from.channel),
                  KV("account", m->from.account), KV("why", e->text));
        return r == ERR_NOT_FOUND || r == ERR_INVALID || r == ERR_LIMIT ? remember(h, m, e) : r;
    }
    if (chat_is_stop(m->text)) {
        if ((l = live_find(h, session_key_view(&key))))
            (void)live_abort(h, l, "stop", NULL);
        return remember(h, m, e);
    }
    if ((r = take(h, m, &key, e)) < 0)
        return r;
    if (remember(h, m, e) < 0) /* its run id is known: that is enough */
        log_warn("inbound.not_remembered", KV("why", e->text));
    return 0;
}

static int answer(struct link *to, struct view update_id, uint32_t retry_ms, struct err *e)
{
    return msg_send_inbound_ack(
        to, &(struct ipc_inbound_ack){.update_id = update_id, .retry_after_ms = retry_ms}, e);
}

int inbound_on_message(struct hub *h, struct link *from, struct ipc_inbound *m, struct err *e)
{
    struct message in = {.update_id = m->update_id, .text = view_trim(m->text)};
    struct err why = ERR_INIT;
    json_t *peer = NULL;
    int r;

    if (!deliveries_account_of(h, from, &in.from))
        return 0; /* on its way out */
    if (m->update_id.n == 0)
        return err_set(e, ERR_INVALID, "inbound: update_id: empty");
    name_it(&in);
    if ((r = seen(h, &in, &why)) == 1)
        return answer(from, m->update_id, 0, e);
    if (r == 0 && h->stopping)
        r = err_set(&why, ERR_AGAIN, "stopping");
    if (r == 0 && !room_for(h, 2 * (m->text.n + m->peer.n)))
        r = err_set(&why, ERR_AGAIN, "the disk is full");
    if (r == 0) {
        if (json_parse(m->peer, &peer, &why) == 0)
            in.peer = peer;
        r = judge(h, &in, &why);
    }
    json_decref(peer);
    if (r < 0)
        log_debug("inbound.later", KV("channel", in.from.channel), KV("why", why.text));
    return answer(from, m->update_id, r < 0 ? INBOUND_RETRY_MS : 0, e);
}

static void on_prune(void *ctx)
{
    struct hub *h = ctx;
    struct err e = ERR_INIT;
    size_t dropped = 0;

    if (store_usable(h->store) && store_inbound_prune(h->store, clock_wall_ms() - INBOUND_KEPT_MS,
                                                      INBOUND_KEPT, PRUNE_ROWS, &dropped, &e) < 0)
        log_warn("inbound.prune", KV("why", e.text));
    if (dropped)
        hub_changed(h);
    loop_timer_set(&h->inbound->prune, PRUNE_MS);
}

void inbound_config(struct hub *h)
{
    struct index *fresh = NULL;
    struct err e = ERR_INIT;

    if (index_new(&fresh, h->w.conf, &e) < 0) {
        log_error("inbound.no_index", KV("why", e.text));
        return; /* as before */
    }
    index_free(&h->inbound->index);
    h->inbound->index = fresh;
}

int inbound_open(struct hub *h, struct err *e)
{
    int r = mem_new(&h->inbound, sizeof(*h->inbound), e);

    if (r < 0)
        return r;
    loop_timer_init(&h->inbound->prune, h->w.loop, on_prune, h);
    loop_timer_set(&h->inbound->prune, PRUNE_MS);
    inbound_config(h);
    return 0;
}

void inbound_close(struct hub *h)
{
    if (!h->inbound)
        return;
    loop_timer_fini(&h->inbound->prune);
    index_free(&h->inbound->index);
    mem_free(h->inbound);
    h->inbound = NULL;
}
