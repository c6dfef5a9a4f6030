#include "inbound.h"

#include "blocks.h"
#include "brought.h"
#include "chat.h"
#include "chore.h"
#include "clock.h"
#include "command.h"
#include "deliveries.h"
#include "group.h"
#include "heard.h"
#include "json.h"
#include "lastroute.h"
#include "log.h"
#include "room.h"
#include "route.h"

#include <openssl/sha.h>
#include <stdio.h>

enum {
    PRUNE_MS = 60 * 1000,
    PRUNE_ROWS = 5000,
    KEY_BYTES = 400,
};

struct inbound {
    struct index *index;   /* owned; NULL: the configuration cannot be routed by */
    struct groups *groups; /* owned */
    struct loop_timer prune;
};

/* One message on its way in. */
struct message {
    struct deliver_account from;
    struct view update_id, text;
    struct source src;
    char key[KEY_BYTES], run_id[40];
    struct attachments files;
    bool want; /* it is for the agent, and offered without its files or ahead of its turn */
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
    const struct source *s = &m->src;
    struct route_in in = {
        .channel = view_str(s->channel),
        .account = view_str(s->account),
        .guild = s->guild,
        .team = s->team,
        .peer = {.given = s->kind_word.n > 0, .kind = s->kind_word, .id = s->id},
        .parent = {.given = s->parent_kind.n > 0, .kind = s->parent_kind, .id = s->parent_id},
        .roles = s->roles,
        .roles_n = s->roles_n};
    struct route found;
    struct skey key;
    int r;

    if (!h->inbound->index)
        return session_key(h, V("main"), VIEW_EMPTY, out, e);
    if ((r = route(h->inbound->index, &in, &found, e)) < 0 ||
        (r = skey_thread(skey_view(&found.key), s->key_thread, &key, e)) < 0)
        return r;
    log_debug("inbound.route", KV("channel", s->channel), KV("account", s->account),
              KV("by", index_matched_by_name(found.matched_by)), KV("session", key.s));
    return session_key(h, skey_view(&key), VIEW_EMPTY, out, e);
}

static int options_of(const struct message *m, char **out, struct err *e)
{
    struct buf b = BUF_INIT(32 * KIB);
    int rc;

    source_origin(&m->src, &b);
    if ((rc = buf_check(&b, e)) == 0 && !(*out = mem_dup(buf_view(&b).p, b.n)))
        rc = err_set(e, ERR_NOMEM, "run: out of memory");
    buf_fini(&b);
    return rc;
}

static int begin(struct hub *h, const struct message *m, const struct session_key *key,
                 struct live *l, struct run **out, struct err *e)
{
    struct chat_input in = {.key = key, .message = m->text};
    struct view channel = view_str(m->src.channel);
    struct run *r;
    char *options = NULL;
    int rc;

    if ((rc = options_of(m, &options, e)) < 0)
        return rc;
    if ((rc = run_new(h, l, view_str(m->run_id), &r, e)) < 0) {
        mem_free(options);
        return rc;
    }
    mem_free(r->options);
    r->options = options;
    source_names(r->options, r->route, r->who);
    chat_digest(&in, r->digest);
    r->accepted_ms = clock_wall_ms();
    r->timeout_ms = chat_conf(h)->timeout_ms;
    if (!source_shared(&m->src) && m->src.owner.n && view_eq(m->src.owner, m->src.sender))
        r->trust = TRUST_OWNER;
    r->rank = m->src.mentioned ? RANK_MENTION : m->src.replies ? RANK_REPLY : RANK_PLAIN;
    queue_settings(h->w.conf, &l->s, channel, &r->q);
    r->pause_ms = m->src.media ? 0 : queue_gather_ms(h->w.conf, channel);
    r->gather = r->pause_ms > 0;
    *out = r;
    return 0;
}

static int dup_text(const struct buf *b, char **out, struct err *e)
{
    if (b->n && !(*out = mem_dup(buf_view(b).p, b->n)))
        return err_set(e, ERR_NOMEM, "run: out of memory");
    return 0;
}

/* What the agent is told: in a group, who says it; and what was said before. */
static int tell(struct hub *h, const struct message *m, const struct session_key *key,
                struct run *r, struct buf *text, struct err *e)
{
    struct buf before = BUF_INIT(128 * KIB);
    int rc = 0;

    if (source_shared(&m->src)) {
        if (m->src.sender_name.n)
            buf_printf(text, "%.*s: ", VIEW_FMT(m->src.sender_name));
        if ((rc = group_context(h, key, &before, e)) == 0 && before.n)
            rc = group_forget(h, key, e);
    }
    if (rc == 0 && (rc = heard_take(h, key, &before, e)) == 0)
        rc = dup_text(&before, &r->context, e);
    buf_put_view(text, m->text);
    buf_fini(&before);
    return rc < 0 ? rc : buf_check(text, e);
}

/* Its files. What the quota does not let in is told in words; a full disk means: later. */
static int keep_files(struct hub *h, struct message *m, struct live *l, struct run *r,
                      struct buf *text, struct err *e)
{
    struct err full = ERR_INIT;
    int rc;

    if (m->files.count == 0)
        return 0;
    if (l->s.sid == 0 && (rc = session_save(h, &l->s, e)) < 0)
        return rc;
    rc = attach_keep(h, &m->files, l->s.sid, &r->files, &full);
    if (rc != ERR_LIMIT)
        return rc < 0 ? err_set(e, full.code, "%s", full.text) : 0;
    log_warn("inbound.files_left", KV("channel", m->from.channel), KV("why", full.text));
    buf_printf(text, "%s[%u attached file%s not kept: %s]", text->n ? "\n" : "", m->files.count,
               m->files.count == 1 ? " was" : "s were", full.text);
    return buf_check(text, e);
}

/* As a turn now, or as the session's queue says. */
static int take(struct hub *h, struct message *m, const struct session_key *key, struct live *l,
                struct err *e)
{
    struct buf text = BUF_INIT(512 * KIB);
    struct run *r = NULL;
    enum taken taken;
    bool interrupted;
    int rc;

    if ((rc = lastroute_note(&l->s, &m->src, session_key_is_main(h, session_key_view(key)), e)) ==
            0 &&
        (rc = begin(h, m, key, l, &r, e)) == 0 && (rc = tell(h, m, key, r, &text, e)) == 0 &&
        (rc = keep_files(h, m, l, r, &text, e)) == 0)
        rc = live_take(l, r, buf_view(&text), &taken, &interrupted, e);
    buf_fini(&text);
    if (rc == 0 && taken == TAKEN_NOW) {
        run_start(r);
        return 0;
    }
    if (rc < 0 && r) {
        attach_undo(h, &m->files, l->s.sid);
        run_free(r);
    }
    live_next(h, l);
    return rc;
}

/* Done and answered at once, whatever runs. */
static int obey(struct hub *h, const struct message *m, enum command cmd, struct view args,
                struct live *l, const struct session_key *key, struct err *e)
{
    struct buf say = BUF_INIT(16 * KIB);
    struct run *r = NULL;
    int rc;

    if ((rc = begin(h, m, key, l, &r, e)) == 0) {
        command_do(h, cmd, l, args, &say);
        if ((rc = command_save(r, m->text, buf_view(&say), e)) == 0)
            rc = deliver_answer(r, buf_view(&say), e);
        if (rc == 0)
            rc = blocks_over(r, e);
        run_free(r);
    }
    live_put(h, l);
    buf_fini(&say);
    return rc;
}

static int for_us(struct hub *h, struct message *m, const struct session_key *key, enum command cmd,
                  struct view args, struct err *e)
{
    struct live *l;
    int rc;

    if (cmd == COMMAND_NEW && (rc = session_reset(h, key, e)) < 0)
        return rc;
    if (cmd == COMMAND_NONE && (rc = session_refresh(h, key, view_str(m->src.channel), e)) < 0)
        return rc;
    if ((rc = live_get(h, key, true, &l, e)) < 0)
        return rc;
    if (command_goes_on(cmd, args))
        m->text = args;
    else if (cmd != COMMAND_NONE)
        return obey(h, m, cmd, args, l, key, e);
    return take(h, m, key, l, e);
}

/* Whether the session's settings and the text let it through; loads what is stored of it. */
static int is_for_us(struct hub *h, const struct message *m, const struct session_key *key,
                     bool is_command, bool *out, struct err *e)
{
    struct session s;
    int rc;

    *out = true;
    if (!source_shared(&m->src))
        return 0;
    rc = session_load(h, session_key_view(key), &s, e);
    if (rc == ERR_NOT_FOUND)
        rc = session_init(&s, key, e);
    if (rc < 0)
        return rc;
    *out = group_for_us(h->inbound->groups, &s, &m->src, m->text, is_command);
    session_fini(&s);
    return 0;
}

/* 0: it is in this turn's batch, or means nothing. */
static int judge(struct hub *h, struct message *m, struct err *e)
{
    struct session_key key;
    struct view args = VIEW_EMPTY;
    enum command cmd = command_of(h->w.conf, m->text, &args);
    struct live *l;
    bool ours = true, stop = chat_is_stop(m->text);
    int r;

    if ((r = inbound_route(h, m, &key, e)) < 0) {
        log_error("inbound.no_route", KV("channel", m->from.channel),
                  KV("account", m->from.account), KV("why", e->text));
        return r == ERR_NOT_FOUND || r == ERR_INVALID || r == ERR_LIMIT ? remember(h, m, e) : r;
    }
    if (m->src.event) {
        if ((r = heard_keep(h, &key, m->text, e)) < 0)
            return r;
        return remember(h, m, e);
    }
    if ((cmd != COMMAND_NONE || stop) && !m->src.commands) {
        if (source_shared(&m->src)) /* dropped without a word: channels section 2 */
            return remember(h, m, e);
        cmd = COMMAND_NONE;
        stop = false;
    }
    if (stop) {
        if ((l = live_find(h, session_key_view(&key))))
            (void)live_abort(h, l, "stop", NULL);
        return remember(h, m, e);
    }
    if (m->src.held == HELD_TURN) {
        m->want = true;
        return 0;
    }
    if ((r = is_for_us(h, m, &key, cmd != COMMAND_NONE, &ours, e)) < 0)
        return r;
    if (ours && m->src.held == HELD_FILES) {
        m->want = true;
        return 0;
    }
    if ((r = ours ? for_us(h, m, &key, cmd, args, e)
                  : group_keep(h, h->inbound->groups, &key, &m->src, m->text, e)) < 0)
        return r;
    if (remember(h, m, e) < 0) { /* its run id is known: that is enough */
        if (!ours)
            return e->code;
        log_warn("inbound.not_remembered", KV("why", e->text));
    }
    return 0;
}

static int judge_all(struct hub *h, struct message *m, struct view peer, struct err *e)
{
    struct err bad = ERR_INIT;
    json_t *doc = NULL;
    int r;

    if (json_parse(peer, &doc, &bad) < 0 ||
        !source_read(&m->src, m->from.channel, m->from.account, doc) ||
        (m->text.n == 0 && m->files.count == 0 && m->src.held == HELD_NOTHING)) {
        log_warn("inbound.empty", KV("channel", m->from.channel), KV("account", m->from.account));
        r = remember(h, m, e); /* never offered again */
    } else {
        r = judge(h, m, e);
    }
    json_decref(doc);
    return r;
}

static int answer(struct link *to, struct view update_id, uint32_t retry_ms, struct err *e)
{
    return msg_send_inbound_ack(
        to, &(struct ipc_inbound_ack){.update_id = update_id, .retry_after_ms = retry_ms}, e);
}

static int take_message(struct hub *h, struct link *from, const struct ipc_inbound *m,
                        struct attachments *files, struct err *e);

/* A message whose files are large: they are written in steps, then it is taken up. */
struct later {
    struct chore chore; /* first */
    struct link *from;
    uint64_t generation;
    char *update_id, *peer, *text; /* owned */
    struct ipc_inbound m;          /* of these */
    struct attachments files;      /* owned */
    struct attach_write write;
};

static bool is_there(const struct later *l)
{
    const struct hub *h = l->chore.hub;

    for (unsigned i = 0; i < h->w.peer_count; i++)
        if (h->w.peers[i] == l->from && link_generation(l->from) == l->generation)
            return true;
    return false;
}

static void later_free(struct later *l)
{
    attach_fini(&l->files);
    mem_free(l->update_id);
    mem_free(l->peer);
    mem_free(l->text);
    mem_free(l);
}

static int on_later_step(struct chore *c, struct err *e)
{
    struct later *l = (struct later *)c;

    return is_there(l) ? attach_write(c->hub, &l->files, &l->write, e) : 0;
}

static void on_later_end(struct chore *c, int rc, const struct err *why)
{
    struct later *l = (struct later *)c;
    struct err e = ERR_INIT;

    if (rc != ERR_CLOSED && is_there(l)) {
        if (rc < 0 && rc != ERR_LIMIT) { /* no room on the disk, say: another time */
            log_debug("inbound.later", KV("why", why->text));
            rc = answer(l->from, l->m.update_id, INBOUND_RETRY_MS, &e);
        } else { /* the quota is told in words, by keep_files */
            rc = take_message(c->hub, l->from, &l->m, &l->files, &e);
        }
        if (rc < 0)
            log_warn("inbound.unanswered", KV("why", e.text));
    }
    attach_drop(c->hub, &l->files, &l->write);
    later_free(l);
}

static int take_later(struct hub *h, struct link *from, const struct ipc_inbound *m,
                      struct attachments *files, struct err *e)
{
    struct later *l;
    int r = mem_new(&l, sizeof(*l), e);

    if (r < 0)
        return r;
    l->chore = (struct chore){.step = on_later_step, .end = on_later_end};
    l->from = from;
    l->generation = link_generation(from);
    l->update_id = mem_dup(m->update_id.p, m->update_id.n);
    l->peer = mem_dup(m->peer.p, m->peer.n);
    l->text = mem_dup(m->text.p, m->text.n);
    if (!l->update_id || !l->peer || !l->text)
        r = err_set(e, ERR_NOMEM, "inbound: out of memory");
    if (r < 0 || (r = chore_add(h, &l->chore, e)) < 0) {
        later_free(l);
        return r;
    }
    l->m = (struct ipc_inbound){.update_id = view_of(l->update_id, m->update_id.n),
                                .peer = view_of(l->peer, m->peer.n),
                                .text = view_of(l->text, m->text.n)};
    l->files = *files;
    *files = (struct attachments){0};
    return 0;
}

/* files: on the disk already; NULL: those that were brought for it. */
static int take_message(struct hub *h, struct link *from, const struct ipc_inbound *m,
                        struct attachments *files, struct err *e)
{
    struct message in = {.update_id = m->update_id, .text = view_trim(m->text)};
    struct err why = ERR_INIT;
    bool later = false;
    int r;

    if (!deliveries_account_of(h, from, &in.from))
        return 0; /* on its way out */
    name_it(&in);
    if ((r = seen(h, &in, &why)) == 1) {
        brought_done(h, from, m->update_id);
        return answer(from, m->update_id, 0, e);
    }
    if (r == 0 && h->stopping)
        r = err_set(&why, ERR_AGAIN, "stopping");
    if (r == 0 && !room_for(h, 2 * (m->text.n + m->peer.n)))
        r = err_set(&why, ERR_AGAIN, "the disk is full");
    if (r == 0 && files)
        in.files = *files;
    else if (r == 0)
        r = brought_take(h, from, m->update_id, &in.files, &why);
    if (r == 0 && !files && attach_is_large(&in.files)) {
        later = true;
        r = take_later(h, from, m, &in.files, &why);
    } else if (r == 0) {
        r = judge_all(h, &in, m->peer, &why);
    }
    if (files)
        *files = in.files;
    else
        attach_fini(&in.files);
    if (r == 0 && later)
        return 0;
    if (r < 0)
        log_debug("inbound.later", KV("channel", in.from.channel), KV("why", why.text));
    if (r == 0)
        brought_done(h, from, m->update_id);
    if (r == 0 && in.want)
        return msg_send_inbound_want(from, &(struct ipc_inbound_want){.update_id = m->update_id},
                                     e);
    return answer(from, m->update_id, r < 0 ? INBOUND_RETRY_MS : 0, e);
}

int inbound_on_message(struct hub *h, struct link *from, struct ipc_inbound *m, struct err *e)
{
    if (m->update_id.n == 0)
        return err_set(e, ERR_INVALID, "inbound: update_id: empty");
    return take_message(h, from, m, NULL, e);
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

    if (group_config(h, &h->inbound->groups, &e) < 0)
        log_error("inbound.no_patterns", KV("why", e.text)); /* as before */
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
    group_free(&h->inbound->groups);
    mem_free(h->inbound);
    h->inbound = NULL;
}
