#include "deliveries.h"

#include "channels.h"
#include "clock.h"
#include "deliver_media.h"
#include "deliver_split.h"
#include "deliver_table.h"
#include "json.h"
#include "log.h"
#include "media.h"
#include "metrics.h"
#include "rand.h"
#include "session.h"

#include <endian.h>
#include <stdio.h>

_Static_assert((int)DELIVERY_POLL == DELIVER_KIND_POLL && (int)DELIVERY_EDIT == DELIVER_KIND_EDIT &&
                   (int)DELIVERY_REMOVE == DELIVER_KIND_REMOVE &&
                   (int)DELIVERY_REACT == DELIVER_KIND_REACT,
               "kinds are the same on the disk and on the line");

enum {
    STORE_RETRY_MS = 500,      /* the store has no room */
    TIMES_PER_TURN = 512,      /* others want their turn, too */
    STATE_IDS_MAX = 16 * 1024, /* records.def */
};

static bool can_send(const struct deliveries *ds, const struct account *a)
{
    return a->line && a->spoke && (a->flags & CHANNEL_CONNECTED) && !ds->draining &&
           a->sending_n < DELIVER_WINDOW && deliver_pace_account(ds, a) == 0;
}

/* ---- timers ---- */

static void arm(struct deliveries *ds)
{
    struct heap_entry *first = deliver_heap_first(&ds->heap);
    uint64_t now = deliver_now(ds);

    if (first)
        loop_timer_set(&ds->timer, first->at_ms > now ? first->at_ms - now : 0);
    else
        loop_timer_clear(&ds->timer);
}

void deliver_timer(struct deliveries *ds, struct delivery *x, uint64_t at)
{
    deliver_heap_set(&ds->heap, &x->timer, at);
    arm(ds);
}

/* Waiting for its time, or for whatever keeps it back: until it expires. */
void deliver_wait_on(struct deliveries *ds, struct delivery *x)
{
    deliver_timer(ds, x,
                  x->due_ms > deliver_now(ds) && x->due_ms < x->expires_ms ? x->due_ms
                                                                           : x->expires_ms);
}

/* ---- steps ---- */

int deliver_save(struct deliveries *ds, uint64_t id, const struct deliver *d,
                 const struct deliver_news *n, struct err *e)
{
    struct store_rec rec = {.type = REC_delivery_state};
    struct buf ids = BUF_INIT(STATE_IDS_MAX);
    struct store_delivery row;
    struct jw w = JW_INIT(&ids);
    int64_t wall = clock_wall_ms();
    int r;

    if ((r = store_delivery_get(ds->hub->store, id, &row, e)) < 0)
        return r;
    buf_put_view(&ids, row.state.message_ids);
    if (n->message_id.n) {
        if (ids.n)
            buf_put_char(&ids, ',');
        jw_str(&w, n->message_id);
    }
    rec.delivery_state = row.state;
    rec.delivery_state.state = (uint8_t)d->state;
    rec.delivery_state.flags = d->maybe ? DELIVERY_MAYBE : 0;
    rec.delivery_state.attempts = d->attempts;
    rec.delivery_state.excused = d->excused;
    if (n->boot)
        rec.delivery_state.boot = n->boot;
    rec.delivery_state.part = d->part;
    rec.delivery_state.said = d->from;
    rec.delivery_state.updated_at = wall;
    rec.delivery_state.next_at = wall + (int64_t)d->wait_ms;
    if (n->new_ttl_ms)
        rec.delivery_state.expires_at = wall + (int64_t)n->new_ttl_ms;
    else if (!rec.delivery_state.expires_at)
        rec.delivery_state.expires_at = row.add.created_at + (int64_t)ds->ttl_ms;
    if (n->error.n)
        rec.delivery_state.error = view_of(n->error.p, n->error.n < 1024 ? n->error.n : 1024);
    if (n->plan.n) {
        rec.delivery_state.plan = n->plan;
        rec.delivery_state.parts = n->parts;
    }
    if (!ids.failed) /* a message of very many parts: the first ones' ids are enough */
        rec.delivery_state.message_ids = buf_view(&ids);
    r = hub_put(ds->hub, &rec, e);
    buf_fini(&ids);
    return r;
}

static bool repeatable(const struct delivery *x)
{
    return (x->target->account->flags & CHANNEL_CLIENT_IDS) != 0;
}

static void log_end(const struct delivery *x, struct view error)
{
    if (x->d.state == DELIVERY_DEAD || x->d.state == DELIVERY_UNKNOWN)
        log_warn(x->d.state == DELIVERY_DEAD ? "delivery.dead" : "delivery.unknown",
                 KV("delivery", x->id), KV("channel", x->target->account->channel),
                 KV("account", x->target->account->name), KV("part", x->d.part),
                 KV("attempts", x->d.attempts), KV("why", error));
    else
        log_debug("delivery.end", KV("delivery", x->id),
                  KV("state", deliver_state_name(x->d.state)));
}

static void ended(struct deliveries *ds, struct delivery *x)
{
    struct target *t = x->target;
    uint64_t id = x->id;
    bool more = t->first != x || x->next;

    deliver_free(ds, x); /* and t, unless there is more */
    arm(ds);
    if (more)
        deliver_ready(t);
    deliver_wait_news(ds->hub, id);
}

static void send_part(struct deliveries *ds, struct delivery *x);

bool deliver_apply(struct deliveries *ds, struct delivery *x, enum deliver_event ev,
                   const struct deliver_news *n)
{
    const struct deliver_news start = {.boot = x->target->account->boot};
    uint64_t now = deliver_now(ds), id = x->id;
    struct deliver next = x->d;
    struct deliver_facts f = {.left_ms = x->expires_ms > now ? x->expires_ms - now : 0,
                              .retry_after_ms = n->retry_after_ms,
                              .next = n->next,
                              .repeatable = repeatable(x)};
    enum deliver_action a = deliver_step(&next, ev, &f, &ds->policy);
    struct err e = ERR_INIT;

    if (a == DELIVER_NOTHING)
        return true;
    /* before the commit of this turn, so that an end and the next beginning share it */
    loop_defer(ds->hub->w.loop, &ds->pump, LOOP_COMMIT);
    if (deliver_save(ds, x->id, &next, a == DELIVER_SEND ? &start : n, &e) < 0) {
        if (!ds->hub->full || e.code != ERR_AGAIN) /* that is said already */
            log_error("delivery.not_saved", KV("delivery", x->id), KV("why", e.text));
        deliver_timer(ds, x, now + STORE_RETRY_MS);
        return false;
    }
    x->d = next;
    mem_free(TAKE(x->told));
    switch (a) {
    case DELIVER_SEND:
        x->boot = start.boot;
        (void)deliver_count(x);
        deliver_pace_take(ds, x);
        deliver_timer(ds, x, now + ds->answer_ms);
        send_part(ds, x);
        break;
    case DELIVER_WAIT:
        deliver_uncount(x);
        x->due_ms = now + next.wait_ms;
        deliver_wait_on(ds, x);
        if (!next.wait_ms)
            deliver_ready(x->target);
        else if (ev != DELIVER_EV_LATER) /* who waits for the outcome may see it yet */
            deliver_wait_news(ds->hub, id);
        break;
    case DELIVER_END:
        log_end(x, n->error);
        ended(ds, x);
        break;
    case DELIVER_NOTHING:
        break;
    }
    return true;
}

/* Whose answer it is, for the channel's log; nobody looks it up for nobody. */
static void run_of(struct hub *h, struct view key, char out[257])
{
    struct rec_message_add m;
    struct err e = ERR_INIT;

    out[0] = '\0';
    if (log_level() > LOG_DEBUG || !view_starts(key, V("answer:")))
        return;
    if (store_message_by_id(h->store, view_from(key, 7), &m, &e) == 0)
        key = m.run_id;
    else
        key = view_from(key, 7); /* a turn without an answer: its own name */
    (void)snprintf(out, 257, "%.*s", VIEW_FMT(key));
}

static void send_part(struct deliveries *ds, struct delivery *x)
{
    char run[257];
    struct store_delivery row;
    struct ipc_deliver m;
    char client[80];
    struct deliver_piece piece = {.text = VIEW_EMPTY};
    struct link *line = x->target->account->line;
    struct err e = ERR_INIT;
    int r = store_delivery_get(ds->hub->store, x->id, &row, &e);

    if (r == 0)
        r = deliver_piece_read(&row, x->d.part, &piece, &e);
    if (x->d.from)
        piece.files = 0; /* they went with its beginning */
    if (r == 0)
        r = deliver_send_files(ds->hub, line, x, &piece, &e);
    if (r == 0) {
        (void)snprintf(client, sizeof(client), x->d.from ? "%.*s-%u-%u" : "%.*s-%u",
                       VIEW_FMT(row.add.client_id), x->d.part, x->d.from);
        run_of(ds->hub, row.add.key, run);
        m = (struct ipc_deliver){.delivery_id = x->id,
                                 .run = view_str(run),
                                 .attempt = x->d.attempts,
                                 .part = x->d.part,
                                 .kind = row.add.kind,
                                 .options = row.add.options |
                                            (x->d.part + 1 == x->d.parts ? DELIVER_LAST : 0),
                                 .from = x->d.from,
                                 .target = row.add.target,
                                 .thread = row.add.thread,
                                 .reply_to = row.add.reply_to,
                                 .client_id = view_str(client),
                                 .draft = x->d.part ? 0 : row.add.draft,
                                 .shown = x->d.part ? VIEW_EMPTY : row.add.shown,
                                 .media = (uint8_t)piece.files,
                                 .text = piece.text,
                                 .extra = row.add.extra};
        r = msg_send_deliver(line, &m, &e);
    }
    deliver_piece_fini(&piece);
    if (r < 0) /* nothing has left */
        (void)deliver_apply(
            ds, x, r == ERR_CORRUPT || r == ERR_NOT_FOUND ? DELIVER_EV_PERMANENT : DELIVER_EV_LATER,
            &(struct deliver_news){.error = view_str(e.text)});
}

/* The first message to this target, if it may go now. turn: no other target's is waited for. */
static void kick(struct deliveries *ds, struct target *t, bool turn)
{
    struct delivery *x = t->first;
    uint64_t at;

    if (!x || x->d.state != DELIVERY_QUEUED || x->due_ms > deliver_now(ds))
        return;
    if ((at = deliver_pace_due(ds, x))) {
        x->due_ms = at;
        deliver_wait_on(ds, x);
        return;
    }
    if (!can_send(ds, t->account) || (t->account->ready && !turn)) {
        deliver_ready(t);
        loop_defer(ds->hub->w.loop, &ds->pump, LOOP_COMMIT);
        return;
    }
    if (x->unready) {
        deliver_prepare(ds, x);
        return;
    }
    (void)deliver_apply(ds, x, DELIVER_EV_START, &(struct deliver_news){.error = V("expired")});
}

void deliver_on_pump(void *ctx)
{
    struct deliveries *ds = ctx;
    struct target *t;

    for (unsigned i = 0; i < ds->account_n; i++)
        while (can_send(ds, ds->accounts[i]) && (t = deliver_ready_pop(ds->accounts[i])))
            kick(ds, t, true);
    deliver_pace_arm(ds);
    if (ds->draining)
        loop_defer(ds->hub->w.loop, &ds->idle, LOOP_COMMIT);
}

static void lost(struct deliveries *ds, struct delivery *x, struct view why)
{
    if (deliver_told_again(ds, x))
        return;
    (void)deliver_apply(ds, x, DELIVER_EV_LOST, &(struct deliver_news){.error = why});
}

void deliver_on_time(void *ctx)
{
    struct deliveries *ds = ctx;
    struct heap_entry *first;

    for (int n = 0; n < TIMES_PER_TURN && (first = deliver_heap_first(&ds->heap)) &&
                    first->at_ms <= deliver_now(ds);
         n++) {
        struct delivery *x = (struct delivery *)first;

        deliver_heap_remove(&ds->heap, first);
        if (x->d.state == DELIVERY_SENDING) {
            lost(ds, x, V("no word of the outcome"));
        } else if (x->expires_ms <= deliver_now(ds)) {
            (void)deliver_apply(ds, x, DELIVER_EV_EXPIRE,
                                &(struct deliver_news){.error = V("expired")});
        } else {
            deliver_wait_on(ds, x);
            kick(ds, x->target, false);
        }
    }
    arm(ds);
}

/* ---- what channels say ---- */

void deliver_line_lost(struct deliveries *ds, struct account *a)
{
    struct delivery *all[DELIVER_WINDOW];
    unsigned n = a->sending_n;

    memcpy(all, a->sending, sizeof(all));
    for (unsigned i = 0; i < n; i++) /* each step takes out its own only */
        lost(ds, all[i], V("the channel's process ended before it said what came of it"));
}

void deliveries_on_peer(struct hub *h, struct link *l, bool up)
{
    struct deliveries *ds = h->deliveries;
    struct account *a = ds ? deliver_account_line(ds, l) : NULL;

    if (!a)
        return;
    if (up) {
        a->line = l;
        a->spoke = false;
    } else if (a->line == l) {
        a->line = NULL;
        a->spoke = false;
        if (a->known) /* else its successor says what the platform can: settle decides then */
            deliver_line_lost(ds, a);
    }
}

/* The channel works on this attempt, or has a result of it that was told before. */
static bool under_way(struct view list, const struct delivery *x)
{
    for (; list.n >= DELIVER_UNDER_WAY; list = view_from(list, DELIVER_UNDER_WAY)) {
        uint64_t id;
        uint32_t n[3];

        memcpy(&id, list.p, sizeof(id));
        memcpy(n, list.p + sizeof(id), sizeof(n));
        if (le64toh(id) == x->id && le32toh(n[0]) == x->d.attempts && le32toh(n[1]) == x->d.part &&
            le32toh(n[2]) == x->d.from)
            return true;
    }
    return false;
}

/* What a former line left: the channel works on it, or it never had it, or nobody knows. */
static void settle(struct deliveries *ds, struct account *a, struct view list)
{
    struct delivery *all[DELIVER_WINDOW];
    unsigned n = a->sending_n;

    memcpy(all, a->sending, sizeof(all));
    for (unsigned i = 0; i < n; i++) {
        struct delivery *x = all[i];

        if (x->told)
            continue; /* kept as soon as there is room */
        if (under_way(list, x))
            deliver_timer(ds, x, deliver_now(ds) + ds->answer_ms);
        else if (a->boot && x->boot == a->boot)
            (void)deliver_apply(ds, x, DELIVER_EV_UNSENT,
                                &(struct deliver_news){.retry_after_ms = 0});
        else
            lost(ds, x, V("the channel's process was another one when it was sent"));
    }
}

int deliveries_on_state(struct hub *h, struct link *from, struct ipc_channel_state *m,
                        struct err *e)
{
    struct deliveries *ds = h->deliveries;
    struct account *a = deliver_account_line(ds, from);
    json_t *state = NULL;
    int r;

    if (!a || a->line != from)
        return 0;
    if (m->state.n && (r = json_parse(m->state, &state, e)) < 0)
        return err_wrap(e, "channel_state: state");
    json_decref(a->state);
    a->state = state;
    a->flags = m->flags;
    a->known = true;
    a->text_limit = m->text_limit;
    a->boot = m->boot;
    deliver_pace_limits(a, m);
    a->album = m->album;
    a->media_max_mb = m->media_max_mb;
    blocks_wish_read(m->blocks, &a->blocks);
    if (!a->spoke) {
        a->spoke = true;
        if (m->flags & CHANNEL_BASE && (r = channels_begin(h, from, a->channel, a->name, e)) < 0)
            return r;
        settle(ds, a, m->under_way);
    }
    loop_defer(h->w.loop, &ds->pump, LOOP_COMMIT);
    return 0;
}

/* ---- in and out by hand ---- */

int deliver_enter(struct deliveries *ds, const struct store_delivery *row, struct delivery **out,
                  struct err *e)
{
    int64_t wall = clock_wall_ms(), expires = row->state.expires_at
                                                  ? row->state.expires_at
                                                  : row->add.created_at + (int64_t)ds->ttl_ms;
    uint64_t now = deliver_now(ds), wait;
    struct delivery *x;
    int r;

    if (wall < row->state.updated_at) /* the clock was set back meanwhile */
        wall = row->state.updated_at;
    if ((r = deliver_new(ds, &row->add, &x, e)) < 0)
        return r;
    x->d = (struct deliver){.state = row->state.state,
                            .maybe = row->state.flags & DELIVERY_MAYBE,
                            .attempts = row->state.attempts,
                            .excused = row->state.excused,
                            .part = row->state.part,
                            .from = row->state.said,
                            .parts = deliver_parts(row)};
    x->unready = deliver_unready(row);
    x->expires_ms = now + (expires > wall ? (uint64_t)(expires - wall) : 0);
    x->boot = row->state.boot;
    x->kind = row->add.kind;
    x->shown = row->add.shown.n > 0;
    wait = row->state.next_at > wall ? (uint64_t)(row->state.next_at - wall) : 0;
    x->due_ms = now + wait;
    *out = x;
    return 0;
}

/* It was not accepted after all; its files go with it. */
static void take_back(struct hub *h, uint64_t id)
{
    struct store_rec undo = {.type = REC_delivery_del, .delivery_del = {.id = id}};
    struct err e = ERR_INIT;

    if (hub_put(h, &undo, &e) < 0)
        log_error("delivery.undo", KV("why", e.text));
    media_look(h);
}

static int put_new(struct deliveries *ds, const struct deliver_order *o, struct store_rec *rec,
                   struct err *e)
{
    struct account *a = deliver_account(ds, o->channel, o->account, false);
    struct buf body = BUF_INIT(DELIVER_BODY_MAX);
    char client[UUID_MAX];
    size_t limit = DELIVER_PART_MAX;
    uint32_t parts = 0;
    int r;

    if (o->kind == DELIVERY_TEXT && !(a && a->chunks))
        limit = a && a->text_limit ? a->text_limit : DELIVER_TEXT_LIMIT;
    if (limit > DELIVER_PART_MAX)
        limit = DELIVER_PART_MAX;
    r = deliver_split(o->text, limit, &body, &parts, e);
    if (r == 0 && parts == 0 && !o->media.n)
        r = err_set(e, ERR_INVALID, "nothing to send");
    rand_uuid(client);
    *rec = (struct store_rec){.type = REC_delivery_add,
                              .delivery_add = {.key = o->key,
                                               .digest = view_str(o->digest),
                                               .client_id = view_str(client),
                                               .channel = o->channel,
                                               .account = o->account,
                                               .target = o->target,
                                               .thread = o->thread,
                                               .reply_to = o->reply_to,
                                               .session_key = o->session_key,
                                               .kind = (uint8_t)o->kind,
                                               .options = o->options,
                                               .parts = parts,
                                               .created_at = clock_wall_ms(),
                                               .draft = o->draft,
                                               .shown = o->shown,
                                               .extra = o->extra,
                                               .media = o->media,
                                               .body = buf_view(&body)}};
    if (r == 0 && (r = hub_put(ds->hub, rec, e)) == 0 &&
        (r = deliver_keep_files(ds->hub, rec->delivery_add.id, o->files, o->file_n, e)) < 0)
        take_back(ds->hub, rec->delivery_add.id);
    buf_fini(&body);
    return r;
}

int deliveries_add(struct hub *h, const struct deliver_order *o, uint64_t *ret_id, struct err *e)
{
    struct deliveries *ds = h->deliveries;
    struct store_delivery row;
    struct store_rec rec;
    struct delivery *x;
    int r;

    if (ds->count >= ds->count_max)
        return err_set(e, ERR_LIMIT, "%u messages wait to be sent already", ds->count);
    if ((r = put_new(ds, o, &rec, e)) < 0)
        return r;
    *ret_id = rec.delivery_add.id;
    if ((r = store_delivery_get(h->store, *ret_id, &row, e)) < 0 ||
        (r = deliver_enter(ds, &row, &x, e)) < 0) {
        take_back(h, *ret_id);
        return r;
    }
    x->due_ms += o->wait_ms;
    deliver_wait_on(ds, x);
    kick(ds, x->target, false);
    return 0;
}

int deliveries_add_anyway(struct hub *h, const struct deliver_order *o, struct err *e)
{
    struct deliveries *ds = h->deliveries;
    struct deliver d = {.state = DELIVERY_DEAD};
    struct store_rec rec;
    uint64_t id;
    int r = deliveries_add(h, o, &id, e);
    char why[128];

    if (r != ERR_LIMIT || ds->count < ds->count_max)
        return r;
    (void)snprintf(why, sizeof(why), "%.*s", (int)sizeof(why) - 1, e->text);
    if ((r = put_new(ds, o, &rec, e)) < 0)
        return r;
    log_warn("delivery.dead", KV("delivery", rec.delivery_add.id), KV("why", why));
    return deliver_save(ds, rec.delivery_add.id, &d, &(struct deliver_news){.error = view_str(why)},
                        e);
}

int deliveries_by_hand(struct hub *h, uint64_t id, enum deliver_event ev, struct err *e)
{
    struct deliveries *ds = h->deliveries;
    struct delivery *x = deliver_find(ds, id);
    struct deliver_news n = {.new_ttl_ms = ev == DELIVER_EV_RETRY ? ds->ttl_ms : 0};
    struct store_delivery row;
    bool fresh = false;
    int r;

    if ((r = store_delivery_get(h->store, id, &row, e)) < 0)
        return r;
    if ((x ? x->d.state == DELIVERY_SENDING
           : row.state.state != DELIVERY_UNKNOWN && row.state.state != DELIVERY_DEAD))
        return err_set(e, ERR_CONFLICT, "delivery %llu is %s", (unsigned long long)id,
                       deliver_state_name(row.state.state));
    if (!x) {
        if ((r = deliver_enter(ds, &row, &x, e)) < 0)
            return r;
        fresh = true;
    }
    if (ev == DELIVER_EV_RETRY)
        x->expires_ms = deliver_now(ds) + ds->ttl_ms;
    if (deliver_apply(ds, x, ev, &n))
        return 0;
    if (fresh)
        deliver_free(ds, x);
    return err_set(e, ERR_AGAIN, "the store has no room");
}
