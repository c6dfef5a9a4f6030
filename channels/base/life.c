/* channels/base/life.c - the account's connection: begun when the hub has said what it needs, tried
 * again with a growing wait, judged by signs of life of the transport. What the hub is told of it.
 */
#include "blocks.h"
#include "channel_int.h"
#include "draft.h"
#include "media.h"

#include "clock.h"
#include "json.h"
#include "jw.h"
#include "log.h"
#include "rand.h"

#include <stdarg.h>
#include <stdio.h>

enum {
    FIRST_MS = 1000,
    MAX_MS = 5 * 60 * 1000,
    STABLE_MS = 60 * 1000, /* a connection that lasted this long forgives what was before */
    STATE_BYTES = 16 << 10,
    WORK_BYTES = 64 << 10,
};

static const char *const life_names[] = {"starting", "connecting", "connected", "waiting",
                                         "stopped"};

struct link *channel_hub(const struct channel *c)
{
    return worker_peer(&c->w, ROLE_HUB);
}

/* ---- what the hub is told ---- */

static uint32_t flags(const struct channel *c)
{
    static const struct {
        unsigned can;
        uint32_t flag;
    } map[] = {{CHANNEL_CAN_CLIENT_IDS, CHANNEL_CLIENT_IDS},
               {CHANNEL_CAN_EDIT, CHANNEL_EDITS},
               {CHANNEL_CAN_DELETE, CHANNEL_DELETES},
               {CHANNEL_CAN_REACT, CHANNEL_REACTS | CHANNEL_DRAFTS}, /* the ack */
               {CHANNEL_CAN_STREAM, CHANNEL_DRAFTS},
               {CHANNEL_CAN_TYPE, CHANNEL_DRAFTS}};
    uint32_t f = CHANNEL_BASE | CHANNEL_CHUNKS | CHANNEL_POLLS; /* as text where there are none */

    for (size_t i = 0; i < COUNT_OF(map); i++)
        if (c->ops->caps & map[i].can)
            f |= map[i].flag;
    if (c->life == LIFE_UP)
        f |= CHANNEL_CONNECTED;
    if (c->life == LIFE_FATAL)
        f |= CHANNEL_FATAL;
    return f;
}

static void put_time(struct jw *w, const char *key, int64_t at)
{
    if (at)
        jw_ki64(w, key, at);
}

static void write_state(const struct channel *c, struct buf *out)
{
    struct jw w = JW_INIT(out);
    const char *key;
    json_t *value;

    jw_obj(&w);
    jw_kcstr(&w, "label", c->ops->label);
    jw_kcstr(&w, "state", life_names[c->life]);
    jw_kbool(&w, "connected", c->life == LIFE_UP);
    jw_ku64(&w, "reconnectAttempts", c->backoff.attempts);
    put_time(&w, "lastStartAt", c->started_at);
    put_time(&w, "lastConnectedAt", c->connected_at);
    put_time(&w, "lastInboundAt", c->inbound_at);
    put_time(&w, "lastOutboundAt", c->outbound_at);
    if (c->why[0]) {
        jw_kcstr(&w, "lastError", c->why);
        jw_key(&w, "lastDisconnect");
        jw_obj(&w);
        put_time(&w, "at", c->lost_at);
        jw_kcstr(&w, "error", c->why);
        jw_obj_end(&w);
    }
    json_object_foreach(c->notes, key, value) jw_kstr(&w, key, json_view_of(value));
    jw_obj_end(&w);
}

static void tell_state(struct channel *c, struct link *hub)
{
    struct buf ids = BUF_INIT(WORK_BYTES), state = BUF_INIT(STATE_BYTES), blocks = BUF_INIT(1024);
    const struct channel_pace *p = &c->ops->pace;
    bool media = c->ops->caps & CHANNEL_CAN_MEDIA;
    struct ipc_channel_state m = {.flags = flags(c),
                                  .text_limit = c->ops->text_limit,
                                  .album = media ? c->ops->album : 0,
                                  .media_max_mb = media ? media_out_max_mb(c) : 0,
                                  .boot = c->boot,
                                  .chat_gap_ms = p->chat_gap_ms,
                                  .room_per_min = p->room_per_min,
                                  .account_n = p->account_n,
                                  .account_ms = p->account_ms,
                                  .rooms = p->rooms ? view_str(p->rooms) : VIEW_EMPTY};
    struct err e = ERR_INIT;

    out_under_way(c, &ids);
    write_state(c, &state);
    m.under_way = buf_view(&ids);
    blocks_wish(c->ops, c->conf, &blocks);
    m.blocks = blocks.failed ? VIEW_EMPTY : buf_view(&blocks);
    m.state = state.failed ? V("{}") : buf_view(&state);
    if (msg_send_channel_state(hub, &m, &e) < 0)
        log_warn("channel.state_untold", KV("why", e.text));
    buf_fini(&ids);
    buf_fini(&state);
    buf_fini(&blocks);
}

static void on_tell(void *ctx)
{
    struct channel *c = ctx;
    struct link *hub = channel_hub(c);

    if (hub)
        tell_state(c, hub);
}

void life_changed(struct channel *c)
{
    if (c->w.loop)
        loop_defer(c->w.loop, &c->tell, LOOP_COMMIT);
}

void channel_note(struct channel *c, const char *key, struct view value)
{
    json_t *v = json_stringn(value.p, value.n);

    if (!v) /* not UTF-8: of no use to anybody */
        return;
    if (!c->notes)
        c->notes = json_object();
    if (!c->notes || json_object_set_new(c->notes, key, v) < 0)
        return;
    life_changed(c);
}

/* ---- the connection ---- */

static PRINTF(2, 0) void set_why(struct channel *c, const char *fmt, va_list ap)
{
    (void)vsnprintf(c->why, sizeof(c->why), fmt, ap);
}

static void begin(struct channel *c)
{
    c->life = LIFE_CONNECTING;
    c->ops->connect(c);
}

static void on_again(void *ctx)
{
    begin(ctx);
}

static void lost(struct channel *c, uint32_t retry_after_ms)
{
    uint32_t wait;

    if (c->life == LIFE_UP && clock_wall_ms() - c->connected_at > STABLE_MS)
        backoff_reset(&c->backoff);
    wait = backoff_next(&c->backoff);
    if (retry_after_ms > wait)
        wait = retry_after_ms;
    c->life = LIFE_WAITING;
    c->lost_at = clock_wall_ms();
    loop_timer_clear(&c->stale);
    loop_timer_set(&c->again, wait);
    log_warn("channel.down", KV("channel", c->id), KV("account", c->account), KV("why", c->why),
             KV("wait_ms", wait));
    life_changed(c);
}

void channel_up(struct channel *c)
{
    if (c->life != LIFE_CONNECTING && c->life != LIFE_WAITING)
        return;
    loop_timer_clear(&c->again);
    c->life = LIFE_UP;
    c->connected_at = clock_wall_ms();
    log_info("channel.up", KV("channel", c->id), KV("account", c->account));
    channel_alive(c);
    life_changed(c);
}

void channel_down(struct channel *c, uint32_t retry_after_ms, const char *fmt, ...)
{
    va_list ap;

    if (c->life != LIFE_CONNECTING && c->life != LIFE_UP)
        return;
    va_start(ap, fmt);
    set_why(c, fmt, ap);
    va_end(ap);
    lost(c, retry_after_ms);
}

void channel_fatal(struct channel *c, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    set_why(c, fmt, ap);
    va_end(ap);
    c->life = LIFE_FATAL;
    c->lost_at = clock_wall_ms();
    loop_timer_clear(&c->stale);
    loop_timer_clear(&c->again);
    log_error("channel.stopped", KV("channel", c->id), KV("account", c->account),
              KV("why", c->why));
    life_changed(c);
}

static void on_stale(void *ctx)
{
    struct channel *c = ctx;

    if (c->life != LIFE_UP)
        return;
    c->ops->disconnect(c);
    channel_down(c, 0, "nothing was heard of the platform for %u s", c->ops->stale_ms / 1000);
}

void channel_alive(struct channel *c)
{
    if (c->ops->stale_ms && c->life == LIFE_UP)
        loop_timer_set(&c->stale, c->ops->stale_ms);
}

/* ---- the hub ---- */

void life_on_peer(void *ctx, struct link *l, bool up)
{
    struct channel *c = ctx;

    if (link_peer(l) != ROLE_HUB)
        return;
    media_forget(c);
    if (!up)
        return;
    out_tell(c, l);
    draft_new_hub(c);
    tell_state(c, l);
}

int life_on_begin(void *ctx, struct link *from, struct ipc_channel_begin *m, struct err *e)
{
    struct channel *c = ctx;
    json_t *paired = NULL;
    int r;

    (void)from;
    if ((r = json_parse(m->paired, &paired, e)) < 0)
        return r;
    json_decref(c->paired);
    c->paired = paired;
    if (c->life == LIFE_NEW) {
        buf_reset(&c->resume.value, 0);
        buf_put_view(&c->resume.value, m->resume);
        if (c->resume.value.failed)
            return err_set(e, ERR_NOMEM, "channel_begin: out of memory");
        begin(c);
        return 0;
    }
    in_tell(c);
    life_resume_again(c);
    return 0;
}

/* ---- what a person asks ---- */

static void did(struct channel *c, uint64_t req, bool ok, struct view details, const char *why)
{
    struct link *hub = channel_hub(c);
    struct err e = ERR_INIT;

    if (req && hub &&
        msg_send_channel_did(
            hub,
            &(struct ipc_channel_did){
                .req = req, .ok = ok, .details = details, .error = view_str(ok ? "" : why)},
            &e) < 0)
        log_warn("channel.answer_untold", KV("why", e.text));
}

void channel_probed(struct channel *c, void *ticket, bool ok, struct view details, const char *why)
{
    did(c, (uint64_t)(uintptr_t)ticket, ok, details, why ? why : "");
}

int life_on_do(void *ctx, struct link *from, struct ipc_channel_do *m, struct err *e)
{
    struct channel *c = ctx;

    (void)from;
    (void)e;
    if (m->command == CHANNEL_DO_LOGOUT) {
        if (c->ops->logout && c->prepared)
            c->ops->logout(c);
        return 0;
    }
    if (c->ops->probe && c->prepared && c->life != LIFE_FATAL)
        c->ops->probe(c, (void *)(uintptr_t)m->req);
    else
        did(c, m->req, c->life == LIFE_UP, VIEW_EMPTY, c->why[0] ? c->why : life_names[c->life]);
    return 0;
}

/* ---- what must outlive us ---- */

struct view channel_resume(const struct channel *c)
{
    return buf_view(&c->resume.value);
}

void life_resume_again(struct channel *c)
{
    struct link *hub = channel_hub(c);
    struct err e = ERR_INIT;

    /* the hub takes messages in order, but what it did not take up is offered once more */
    if (!hub || c->resume.saved == c->resume.seq || !in_all_safe(c))
        return;
    if (msg_send_resume_put(
            hub,
            &(struct ipc_resume_put){.seq = c->resume.seq, .resume = buf_view(&c->resume.value)},
            &e) < 0)
        log_warn("channel.resume_untold", KV("why", e.text));
}

int channel_resume_set(struct channel *c, struct view state, struct err *e)
{
    if (state.n > CHANNEL_RESUME_BYTES)
        return err_set(e, ERR_LIMIT, "resume state: %zu bytes, limit %d", state.n,
                       (int)CHANNEL_RESUME_BYTES);
    if (view_eq(state, buf_view(&c->resume.value)))
        return 0;
    buf_reset(&c->resume.value, CHANNEL_RESUME_BYTES);
    buf_put_view(&c->resume.value, state);
    if (c->resume.value.failed)
        return err_set(e, ERR_NOMEM, "resume state: out of memory");
    c->resume.seq++;
    life_resume_again(c);
    return 0;
}

int life_on_resume_ack(void *ctx, struct link *from, struct ipc_resume_ack *m, struct err *e)
{
    struct channel *c = ctx;

    (void)from;
    (void)e;
    if (m->seq > c->resume.saved && m->seq <= c->resume.seq)
        c->resume.saved = m->seq;
    return 0;
}

/* ---- start and end ---- */

int life_open(struct channel *c, struct err *e)
{
    (void)e;
    do
        rand_bytes(&c->boot, sizeof(c->boot));
    while (c->boot == 0);
    c->backoff = (struct backoff){.first_ms = FIRST_MS, .max_ms = MAX_MS};
    c->started_at = clock_wall_ms();
    buf_init(&c->resume.value, CHANNEL_RESUME_BYTES);
    loop_timer_init(&c->again, c->w.loop, on_again, c);
    loop_timer_init(&c->stale, c->w.loop, on_stale, c);
    c->tell = (struct loop_task){.run = on_tell, .ctx = c};
    return 0;
}

void life_close(struct channel *c)
{
    if (!c->again.loop)
        return;
    loop_undefer(c->w.loop, &c->tell);
    loop_timer_fini(&c->again);
    loop_timer_fini(&c->stale);
    buf_fini(&c->resume.value);
    json_decref(c->notes);
    json_decref(c->paired);
}
