#include "tick.h"

#include "clock.h"
#include "event.h"
#include "health.h"

static void on_time(void *ctx)
{
    struct hub *h = ctx;
    struct jw *w = event_begin(h, "tick");

    jw_obj(w);
    jw_ki64(w, "ts", clock_wall_ms());
    jw_obj_end(w);
    event_end(h, AUD_ALL, EVENT_SEQ);
    health_if_old(h);
    loop_timer_set(&h->tick, TICK_MS);
}

void tick_open(struct hub *h)
{
    loop_timer_init(&h->tick, h->w.loop, on_time, h);
}

void tick_close(struct hub *h)
{
    loop_timer_fini(&h->tick);
}

void tick_conns(struct hub *h)
{
    if (conns_count(h) == 0)
        loop_timer_clear(&h->tick);
    else if (!loop_timer_pending(&h->tick))
        loop_timer_set(&h->tick, TICK_MS);
}
