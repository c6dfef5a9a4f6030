#include "hub.h"

#include "health.h"
#include "log.h"

#include <stdio.h>
#include <unistd.h>

enum { IDLE_MS = 2000 };

/* What is acknowledged is safe; but this process cannot know what the disk holds of the rest. The
 * next one reads it again. */
static void leave_if_broken(struct hub *h, const char *why)
{
    if (store_usable(h->store))
        return;
    log_error("store.failed", KV("why", why));
    h->w.exit_code = EXIT_STORAGE;
    worker_leave(&h->w);
}

/* Nothing that was queued this turn may leave unless it is on the disk: not even the log line,
 * whose line to the supervisor may hold jobs of the lost batch. */
static void commit(void *ctx)
{
    struct hub *h = ctx;
    struct err e = ERR_INIT;
    char text[sizeof(e.text) + 128];
    int n;

    if (store_commit(h->store, &e) == 0) {
        if (!loop_timer_pending(&h->idle))
            loop_timer_set(&h->idle, IDLE_MS);
        leave_if_broken(h, "checkpoint: the disk failed");
        return;
    }
    n = snprintf(text, sizeof(text),
                 "openclaw-hub: commit failed, nothing of this turn is answered: %s\n", e.text);
    if (n > 0 && write(STDERR_FILENO, text, strnlen(text, sizeof(text))) < 0) {
    }
    _exit(EXIT_STORAGE); /* the supervisor says so */
}

/* A moment after changes: what is in the store's log goes into its tables, so that the next start
 * has nothing to do. */
static void on_idle(void *ctx)
{
    struct hub *h = ctx;
    struct err e = ERR_INIT;

    if (!h->store || store_checkpoint(h->store, &e) == 0)
        return;
    log_warn("store.checkpoint_failed", KV("why", e.text));
    leave_if_broken(h, e.text);
}

void hub_init(struct hub *h)
{
    loop_timer_init(&h->idle, h->w.loop, on_idle, h);
    h->commit = (struct loop_task){.run = commit, .ctx = h};
}

void hub_changed(struct hub *h)
{
    loop_defer(h->w.loop, &h->commit, LOOP_COMMIT);
    health_stale(h);
}

/* The newest one: an older line of the same front may not have ended yet. */
struct link *hub_front(const struct hub *h, unsigned instance)
{
    struct link *best = NULL;

    for (unsigned i = 0; i < h->w.peer_count; i++) {
        struct link *l = h->w.peers[i];

        if (link_peer(l) == ROLE_FRONT && link_instance(l) == instance &&
            (!best || link_generation(l) >= link_generation(best)))
            best = l;
    }
    return best;
}

void hub_front_mark(struct link *l)
{
    if (ipc_over_high(link_ipc(l)))
        ipc_pause(link_ipc(l), true);
}
