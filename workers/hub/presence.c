#include "presence.h"

#include "clock.h"
#include "event.h"
#include "settings.h"

struct entry {
    char *key, *body;   /* owned */
    const char *reason; /* a literal, or NULL */
    char *own_reason;   /* owned, of a note */
    int64_t ts, since;
    unsigned conns; /* 0: left, or a note */
};

struct presence {
    struct entry list[PRESENCE_MAX]; /* newest first */
    unsigned count;
    struct buf self; /* the gateway's entry up to the value of ts */
    struct buf tail; /* all others, each with a comma before it */
    bool stale;      /* tail is to be made again */
    int64_t next_expiry;
    uint64_t told_ms; /* when the last event went out */
    struct loop_task tell;
    struct loop_timer later;
};

static void write_self(struct hub *h, struct buf *out)
{
    struct jw w = JW_INIT(out);
    struct buf text = BUF_INIT(1024);
    const struct utsname *u = &h->machine;
    char platform[sizeof(u->release) + 8];

    buf_printf(&text, "The gateway runs on %s, version %s.", u->nodename,
               h->settings->wire_version);
    jw_obj(&w);
    jw_kcstr(&w, "host", u->nodename[0] ? u->nodename : "gateway");
    jw_kcstr(&w, "version", h->settings->wire_version);
    (void)snprintf(platform, sizeof(platform), "linux %s", u->release);
    jw_kcstr(&w, "platform", platform);
    jw_kcstr(&w, "deviceFamily", "Linux");
    jw_kcstr(&w, "mode", "gateway");
    jw_kcstr(&w, "reason", "self");
    jw_kcstr(&w, "instanceId", h->boot_id);
    jw_kstr(&w, "text", buf_view(&text));
    jw_key(&w, "ts");
    buf_fini(&text);
}

static void entry_fini(struct entry *en)
{
    mem_free(en->key);
    mem_free(en->body);
    mem_free(en->own_reason);
    *en = (struct entry){.key = NULL};
}

static void drop(struct presence *p, unsigned i)
{
    entry_fini(&p->list[i]);
    p->count--;
    memmove(&p->list[i], &p->list[i + 1], (p->count - i) * sizeof(p->list[0]));
    p->list[p->count] = (struct entry){.key = NULL};
    p->stale = true;
}

static void expire(struct presence *p, int64_t now)
{
    if (now < p->next_expiry)
        return;
    p->next_expiry = INT64_MAX;
    for (unsigned i = p->count; i-- > 0;) {
        if (p->list[i].conns)
            continue;
        if (p->list[i].ts + PRESENCE_LEFT_MS <= now)
            drop(p, i);
        else if (p->list[i].ts + PRESENCE_LEFT_MS < p->next_expiry)
            p->next_expiry = p->list[i].ts + PRESENCE_LEFT_MS;
    }
}

static void render(struct presence *p)
{
    buf_reset(&p->tail, PRESENCE_MAX * PRESENCE_BODY_MAX);
    for (unsigned i = 0; i < p->count; i++) {
        struct entry *en = &p->list[i];

        buf_put_view(&p->tail, V(",{"));
        buf_put_str(&p->tail, en->body);
        if (en->since)
            buf_printf(&p->tail, "%s\"onlineSince\":%lld", *en->body ? "," : "",
                       (long long)en->since);
        if (en->reason || en->own_reason) {
            buf_put_view(&p->tail, V(",\"reason\":\""));
            jw_escape(&p->tail, view_str(en->reason ? en->reason : en->own_reason));
            buf_put_char(&p->tail, '"');
        }
        buf_printf(&p->tail, ",\"ts\":%lld}", (long long)en->ts);
    }
    p->stale = false;
}

void presence_write(struct hub *h, struct jw *w)
{
    struct presence *p = h->presence;
    int64_t now = clock_wall_ms();

    expire(p, now);
    if (p->stale)
        render(p);
    jw_raw(w, V("["));
    buf_put_view(w->b, buf_view(&p->self));
    buf_put_i64(w->b, now);
    buf_put_char(w->b, '}');
    buf_put_view(w->b, buf_view(&p->tail));
    buf_put_char(w->b, ']');
}

static void tell(void *ctx)
{
    struct hub *h = ctx;
    struct presence *p = h->presence;
    uint64_t now = loop_now_ms(h->w.loop), pause = PRESENCE_PAUSE_MS + 5ull * p->count;
    struct jw *w;

    if (p->told_ms && now < p->told_ms + pause) {
        if (!loop_timer_pending(&p->later))
            loop_timer_set(&p->later, p->told_ms + pause - now);
        return;
    }
    loop_timer_clear(&p->later);
    p->told_ms = now;
    h->state_presence++;
    if (conns_count(h) == 0)
        return;
    w = event_begin(h, "presence");
    jw_obj(w);
    jw_key(w, "presence");
    presence_write(h, w);
    jw_obj_end(w);
    event_state_version(h);
    event_end(h, AUD_READ, EVENT_SEQ | EVENT_DROPPABLE);
}

static void changed(struct hub *h)
{
    h->presence->stale = true;
    loop_defer(h->w.loop, &h->presence->tell, LOOP_COMMIT);
}

int presence_open(struct hub *h, struct err *e)
{
    struct presence *p = NULL;
    int r;

    if ((r = mem_new(&p, sizeof(*p), e)) < 0)
        return r;
    buf_init(&p->self, 4096);
    buf_init(&p->tail, PRESENCE_MAX * (PRESENCE_BODY_MAX + 256));
    p->tell = (struct loop_task){.run = tell, .ctx = h};
    loop_timer_init(&p->later, h->w.loop, tell, h);
    p->next_expiry = INT64_MAX;
    h->presence = p;
    h->state_presence = 1;
    write_self(h, &p->self);
    return buf_check(&p->self, e);
}

void presence_close(struct hub *h)
{
    struct presence *p = h->presence;

    if (!p)
        return;
    loop_undefer(h->w.loop, &p->tell);
    loop_timer_fini(&p->later);
    for (unsigned i = 0; i < p->count; i++)
        entry_fini(&p->list[i]);
    buf_fini(&p->self);
    buf_fini(&p->tail);
    mem_free(p);
    h->presence = NULL;
}

static struct entry *find(struct presence *p, struct view key, unsigned *at)
{
    for (unsigned i = 0; i < p->count; i++)
        if (view_eq(view_str(p->list[i].key), key)) {
            *at = i;
            return &p->list[i];
        }
    return NULL;
}

/* Move to the front: the list is newest first. */
static struct entry *raise(struct presence *p, unsigned at)
{
    struct entry en = p->list[at];

    memmove(&p->list[1], &p->list[0], at * sizeof(p->list[0]));
    p->list[0] = en;
    return &p->list[0];
}

/* The entry of that key, in front, with a new body; NULL when there is no room or no memory. */
static struct entry *upsert(struct presence *p, struct view key, struct view body)
{
    struct entry en = {.key = NULL};
    unsigned at;

    if (!(en.body = mem_dup(body.p, body.n)))
        return NULL;
    if (find(p, key, &at)) {
        mem_free(p->list[at].body);
        p->list[at].body = en.body;
        return raise(p, at);
    }
    for (at = p->count; p->count >= PRESENCE_MAX && at-- > 0;)
        if (p->list[at].conns == 0)
            drop(p, at);
    if (p->count >= PRESENCE_MAX || !(en.key = mem_dup(key.p, key.n))) {
        entry_fini(&en);
        return NULL;
    }
    p->list[p->count++] = en;
    return raise(p, p->count - 1);
}

void presence_joined(struct hub *h, const struct conn *c)
{
    struct entry *en;

    if (!c->listed || !(en = upsert(h->presence, view_str(c->listed_key), view_str(c->listed))))
        return;
    en->conns++;
    en->ts = clock_wall_ms();
    if (en->conns == 1)
        en->since = en->ts;
    en->reason = "connect";
    changed(h);
}

void presence_left(struct hub *h, const struct conn *c)
{
    struct presence *p = h->presence;
    struct entry *en;
    unsigned at;

    if (!c->listed || !find(p, view_str(c->listed_key), &at) || p->list[at].conns == 0)
        return;
    if (--p->list[at].conns)
        return;
    en = raise(p, at);
    en->ts = clock_wall_ms();
    en->reason = "disconnect";
    if (en->ts + PRESENCE_LEFT_MS < p->next_expiry)
        p->next_expiry = en->ts + PRESENCE_LEFT_MS;
    changed(h);
}

void presence_note(struct hub *h, struct view key, struct view members, const char *reason)
{
    struct presence *p = h->presence;
    struct entry *en = upsert(p, key, members);

    if (en) {
        en->ts = clock_wall_ms();
        mem_free(en->own_reason);
        en->own_reason = reason && *reason ? mem_dup(reason, strlen(reason)) : NULL;
        if (en->ts + PRESENCE_LEFT_MS < p->next_expiry)
            p->next_expiry = en->ts + PRESENCE_LEFT_MS;
    }
    changed(h);
}
