#include "room.h"

#include "health.h"
#include "log.h"

static void close_door(struct hub *h, const char *why)
{
    if (h->full)
        return;
    h->full = true;
    log_error("store.full", KV("why", why)); /* once: somebody must make room */
    loop_timer_set(&h->room, ROOM_RETRY_MS);
    health_ready(h);
}

static void on_again(void *ctx)
{
    struct hub *h = ctx;
    struct err e = ERR_INIT;

    if (!store_usable(h->store))
        return;
    if (store_room(h->store, 0, &e) < 0) {
        close_door(h, e.text);
        loop_timer_set(&h->room, ROOM_RETRY_MS);
        return;
    }
    if (!h->full)
        return;
    h->full = false;
    log_info("store.room_back");
    health_ready(h);
}

void room_open(struct hub *h)
{
    loop_timer_init(&h->room, h->w.loop, on_again, h);
    loop_timer_set(&h->room, ROOM_RETRY_MS); /* taking the reserve is no part of the start */
}

void room_close(struct hub *h)
{
    if (h->room.loop)
        loop_timer_fini(&h->room);
}

bool room_for(struct hub *h, size_t bytes)
{
    struct err e = ERR_INIT, all = ERR_INIT;

    if (h->full)
        return false;
    if (store_room(h->store, bytes, &e) == 0)
        return true;
    if (store_room(h->store, 0, &all) < 0) /* else it is only this one that is too large */
        close_door(h, all.text);
    return false;
}

void room_saw(struct hub *h, int result)
{
    if (result == ERR_AGAIN)
        close_door(h, "no room for what is under way");
}
