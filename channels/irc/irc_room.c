/* channels/irc/irc_room.c - the channels that the configuration wants us in: joined, and again when
 * we were sent away or not let in, less and less often. */
#include "irc_int.h"

#include "log.h"

enum {
    FIRST_AGAIN_MS = 5000,
    MAX_AGAIN_MS = 10 * 60 * 1000,
};

struct irc_room *irc_room_find(struct irc *x, struct view name)
{
    for (unsigned i = 0; i < x->room_n; i++)
        if (irc_same(&x->server, view_str(x->rooms[i].name), name))
            return &x->rooms[i];
    return NULL;
}

static void join(struct irc *x, struct irc_room *r)
{
    struct view room = view_str(r->name);

    r->again_ms = 0;
    (void)irc_say(x, &x->control, "JOIN", &room, 1);
}

void irc_join_all(struct irc *x)
{
    for (unsigned i = 0; i < x->room_n; i++) {
        x->rooms[i].joined = false;
        x->rooms[i].tries = 0;
        join(x, &x->rooms[i]);
    }
}

void irc_join_due(struct irc *x, uint64_t now_ms)
{
    for (unsigned i = 0; i < x->room_n; i++)
        if (!x->rooms[i].joined && x->rooms[i].again_ms && x->rooms[i].again_ms <= now_ms)
            join(x, &x->rooms[i]);
}

static void later(struct irc *x, struct irc_room *r)
{
    uint64_t wait = (uint64_t)FIRST_AGAIN_MS << (r->tries < 7 ? r->tries : 7);

    r->joined = false;
    r->tries++;
    r->again_ms = loop_now_ms(channel_loop(x->c)) + (wait < MAX_AGAIN_MS ? wait : MAX_AGAIN_MS);
}

void irc_joined(struct irc *x, struct view room)
{
    struct irc_room *r = irc_room_find(x, room);

    if (r) {
        r->joined = true;
        r->tries = 0;
        r->again_ms = 0;
        log_info("irc.joined", KV("room", room));
    }
}

void irc_left(struct irc *x, struct view room, bool kicked)
{
    struct irc_room *r = irc_room_find(x, room);

    if (r) {
        later(x, r);
        log_warn("irc.left", KV("room", room), KV("kicked", kicked));
    }
}

void irc_kept_out(struct irc *x, struct view room, struct view words)
{
    struct irc_room *r = irc_room_find(x, room);

    if (r && !r->joined) {
        later(x, r);
        log_warn("irc.kept_out", KV("room", room), KV("why", words));
        channel_note(x->c, "roomError", words);
    }
}
