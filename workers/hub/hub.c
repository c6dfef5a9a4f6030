#include "hub.h"

#include "health.h"

#include <stdio.h>
#include <unistd.h>

/* Nothing that was queued this turn may leave unless it is on the disk: not even the log line,
 * whose line to the supervisor may hold jobs of the lost batch. */
static void commit(void *ctx)
{
    struct hub *h = ctx;
    struct err e = ERR_INIT;

    if (store_commit(h->store, &e) == 0)
        return;
    dprintf(STDERR_FILENO, "openclaw-hub: commit failed, nothing of this turn is answered: %s\n",
            e.text);
    _exit(1);
}

void hub_init(struct hub *h)
{
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
