#include "chanalarm.h"

#include "deliver_table.h"
#include "json.h"
#include "lastroute.h"
#include "log.h"
#include "session.h"

#include <inttypes.h>
#include <stdio.h>

enum { TEXT_BYTES = 2048 };

static const json_t *failed_process(const struct hub *h, const struct account *a)
{
    json_t *row;
    size_t i;

    json_array_foreach(json_object_get(h->fleet, "processes"), i, row)
    {
        if (view_eq(json_view(row, "channel"), view_str(a->channel)) &&
            view_eq(json_view(row, "account"), view_str(a->name)))
            return view_eq(json_view(row, "state"), V("failed")) ? row : NULL;
    }
    return NULL;
}

static bool is_broken(const struct hub *h, const struct account *a)
{
    return a->configured &&
           (a->spoke ? (a->flags & CHANNEL_FATAL) != 0 : failed_process(h, a) != NULL);
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

/* One trip, one key: another hub that sees the same does not say it again. */
static void tell(struct hub *h, const struct account *a, struct view why)
{
    const json_t *process = failed_process(h, a);
    struct lastroute to;
    struct err e = ERR_INIT;
    struct buf text = BUF_INIT(TEXT_BYTES);
    char key[160];
    bool told = route_of_main(h, &to) && works(h, a, &to);
    int r = 0;

    if (told) {
        (void)snprintf(key, sizeof(key), "down-%s/%s:%" PRId64, a->channel, a->name,
                       a->spoke ? json_i64(json_object_get(a->state, "lastDisconnect"), "at", 0)
                                : json_i64(process, "restarts", 0));
        buf_printf(&text,
                   "The channel %s/%s has stopped and does not come back by itself: %.*s\n\n"
                   "`openclawctl channels status %s` says how it is.",
                   a->channel, a->name, VIEW_FMT(why), a->channel);
        if ((r = buf_check(&text, &e)) == 0)
            r = deliveries_add_anyway(h,
                                      &(struct deliver_order){.key = view_str(key),
                                                              .channel = view_str(to.channel),
                                                              .account = to.account[0]
                                                                             ? view_str(to.account)
                                                                             : V("default"),
                                                              .target = view_str(to.to),
                                                              .thread = view_str(to.thread),
                                                              .text = buf_view(&text),
                                                              .digest = "",
                                                              .kind = DELIVERY_TEXT},
                                      &e);
    }
    if (r != ERR_CONFLICT)
        log_error("channel.alarm", KV("channel", a->channel), KV("account", a->name),
                  KV("why", why), KV("told", told && r == 0 ? to.channel : "nobody"));
    buf_fini(&text);
}

void chanalarm_look(struct hub *h)
{
    struct deliveries *ds = h->deliveries;

    for (unsigned i = 0; ds && i < ds->account_n; i++) {
        struct account *a = ds->accounts[i];
        struct view why = json_view(a->state, "lastError");

        if (a->spoke && a->flags & CHANNEL_CONNECTED)
            a->alarmed = false;
        if (a->alarmed || !is_broken(h, a))
            continue;
        a->alarmed = true;
        tell(h, a, a->spoke && why.n ? why : V("its process ends again and again"));
    }
}
