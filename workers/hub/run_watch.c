#include "run_watch.h"

#include "chat.h"

void run_watch(struct run *r, struct run_watch *w)
{
    w->run = r;
    w->next = r->watch;
    r->watch = w;
}

void run_unwatch(struct run_watch *w)
{
    struct run_watch **at;

    if (!w->run)
        return;
    for (at = &w->run->watch; *at != w; at = &(*at)->next)
        ;
    *at = w->next;
    w->run = NULL;
}

void run_watch_text(struct run *r)
{
    for (struct run_watch *w = r->watch, *next; w; w = next) {
        next = w->next;
        if (w->ops->on_text)
            w->ops->on_text(w, r);
    }
}

void run_watch_reset(struct run *r)
{
    for (struct run_watch *w = r->watch, *next; w; w = next) {
        next = w->next;
        if (w->ops->on_reset)
            w->ops->on_reset(w, r);
    }
}

void run_watch_end(struct run *r)
{
    while (r->watch) {
        struct run_watch *w = r->watch;

        run_unwatch(w);
        w->ops->on_end(w, r);
    }
}
