#include "chanalarm.h"

#include "deliver_table.h"
#include "json.h"
#include "lastroute.h"
#include "log.h"
#include "session.h"

#include <inttypes.h>
#include <stdio.h>

enum { TEXT_BYTES = 2048, AWAY_MS = 15 * 60 * 1000 };

static const json_t *process_of(const struct hub *h, const struct account *a)
{
    json_t *row;
    size_t i;

    json_array_foreach(json_object_get(h->fleet, "processes"), i, row)
    {
        if (view_eq(json_view(row, "channel"), view_str(a->channel)) &&
            view_eq(json_view(row, "account"), view_str(a->name)))
            return row;
    }
    return NULL;
}

static bool process_is(const struct hub *h, const struct account *a, const char *state)
{
    return view_eq(json_view(process_of(h, a), "state"), view_str(state));
}

static bool is_broken(const struct hub *h, const struct account *a)
{
    return a->configured &&
           (a->spoke ? (a->flags & CHANNEL_FATAL) != 0 : process_is(h, a, "failed"));
}

static bool route_of_main(struct hub *h, struct lastroute *out)
{
    struct session_key key;
    struct session s;
    struct err e = ERR_INIT;
    bool known;

    if (session_key(h, V("main"), VIEW_EMPTY, &key, &e) < 0 ||
        session_load(h, session_key_view(&key), &s, &e) < 0)
        return false;
    known = lastroute_of(&s, out);
    session_fini(&s);
    return known;
}

/* What waits for a channel that is just starting is sent when it is there. */
static bool works(struct hub *h, const struct account *broken, const struct lastroute *to)
{
    struct account *a =
        deliver_account(h->deliveries, view_str(to->channel),
                        to->account[0] ? view_str(to->account) : V("default"), false);

    return a && a != broken && a->configured && !is_broken(h, a);
}

/* Where its owner is told; false: nowhere that works. */
static bool owner_of(struct hub *h, const struct account *a, struct lastroute *to)
{
    return route_of_main(h, to) && works(h, a, to);
}

/* One trip, one key: another hub that sees the same does not say it again. */
static void tell(struct hub *h, const struct account *a, const char *key, const char *event,
                 struct view text, struct view why)
{
    struct lastroute to;
    struct err e = ERR_INIT;
    bool told = owner_of(h, a, &to);
    int r = 0;

    if (told)
        r = deliveries_add_anyway(
            h,
            &(struct deliver_order){.key = view_str(key),
                                    .channel = view_str(to.channel),
                                    .account = to.account[0] ? view_str(to.account) : V("default"),
                                    .target = view_str(to.to),
                                    .thread = view_str(to.thread),
                                    .text = text,
                                    .digest = "",
                                    .kind = DELIVERY_TEXT},
            &e);
    if (r != ERR_CONFLICT)
        log_error(event, KV("channel", a->channel), KV("account", a->name), KV("why", why),
                  KV("told", told && r == 0 ? to.channel : "nobody"));
}

static void tell_broken(struct hub *h, const struct account *a)
{
    struct view said = json_view(a->state, "lastError"),
                why = a->spoke && said.n ? said : V("its process ends again and again");
    struct buf text = BUF_INIT(TEXT_BYTES);
    char key[160];

    (void)snprintf(key, sizeof(key), "down-%s/%s:%" PRId64, a->channel, a->name,
                   a->spoke ? json_i64(json_object_get(a->state, "lastDisconnect"), "at", 0)
                            : json_i64(process_of(h, a), "restarts", 0));
    buf_printf(&text,
               "The channel %s/%s has stopped and does not come back by itself: %.*s\n\n"
               "`openclawctl channels status %s` says how it is.",
               a->channel, a->name, VIEW_FMT(why), a->channel);
    if (!text.failed)
        tell(h, a, key, "channel.alarm", buf_view(&text), why);
    buf_fini(&text);
}

/* The key names the connection that it had last: one word for one outage, whichever hub says it. */
static void tell_away(struct hub *h, const struct account *a)
{
    struct view said = json_view(a->state, "lastError"),
                why = said.n ? said : V("it does not connect");
    struct buf text = BUF_INIT(TEXT_BYTES);
    char key[160];

    (void)snprintf(key, sizeof(key), "away-%s/%s:%" PRId64, a->channel, a->name, a->connected_at);
    buf_printf(&text,
               "The channel %s/%s has had no connection for %d minutes: %.*s\n\n"
               "It goes on trying by itself; what is to be said there waits.",
               a->channel, a->name, AWAY_MS / 60000, VIEW_FMT(why));
    if (!text.failed)
        tell(h, a, key, "channel.away", buf_view(&text), why);
    buf_fini(&text);
}

static void look_broken(struct hub *h, struct account *a)
{
    if (a->spoke && a->flags & CHANNEL_CONNECTED)
        a->alarmed = false;
    if (a->alarmed || !is_broken(h, a))
        return;
    a->alarmed = true;
    tell_broken(h, a);
}

/* Since when it is away: it is looked again when that is too long. */
static void look_away(struct hub *h, struct account *a, uint64_t now)
{
    struct loop_timer *t = &h->deliveries->away;

    if (!a->configured || (a->spoke && a->flags & CHANNEL_CONNECTED) ||
        process_is(h, a, "down")) { /* a person stopped it */
        if (a->spoke && a->flags & CHANNEL_CONNECTED)
            a->connected_at = json_i64(a->state, "lastConnectedAt", 0);
        a->away_since_ms = 0;
        a->missed = false;
        return;
    }
    if (!a->away_since_ms)
        a->away_since_ms = now;
    if (a->connected_at < json_i64(a->state, "lastConnectedAt", 0)) /* told to this hub only now */
        a->connected_at = json_i64(a->state, "lastConnectedAt", 0);
    if (a->missed || a->alarmed)
        return;
    if (now - a->away_since_ms >= AWAY_MS && a->state) {
        a->missed = true;
        tell_away(h, a);
    } else if (!loop_timer_pending(t)) {
        loop_timer_set(t, AWAY_MS / 15);
    }
}

void chanalarm_look(struct hub *h)
{
    struct deliveries *ds = h->deliveries;

    for (unsigned i = 0; ds && i < ds->account_n; i++) {
        look_broken(h, ds->accounts[i]);
        look_away(h, ds->accounts[i], loop_now_ms(h->w.loop));
    }
}

void chanalarm_on_time(void *ctx)
{
    chanalarm_look(ctx);
}
