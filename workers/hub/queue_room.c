/* workers/hub/queue_room.c - who waits where, who goes when there are too many. */
#include "chat.h"
#include "clock.h"
#include "log.h"

#include <stdio.h>

enum { CARRY_BYTES = 64 << 10 }; /* what is told of dropped messages, in all */

/* ---- order ---- */

struct run *queue_place(const struct live *l, const struct run *fresh)
{
    struct run *before = NULL;

    for (struct run *i = l->waiting; i; i = i->next)
        if (i->rank >= fresh->rank || !i->route[0] || strcmp(i->who, fresh->who) == 0)
            before = i;
    return before;
}

bool queue_together(const struct run *a, const struct run *b)
{
    if (strcmp(a->route, b->route) != 0)
        return false;
    if (a->gather && b->gather && strcmp(a->who, b->who) == 0)
        return true;
    if (a->q.mode == QUEUE_STEER && a->route[0])
        return false; /* on a platform each message gets an answer of its own */
    return a->q.mode == b->q.mode && a->q.mode != QUEUE_FOLLOWUP;
}

int64_t queue_due(const struct live *l, int64_t now_ms)
{
    const struct run *first = l->waiting, *last = first;
    int64_t due, patience, pause;

    if (!first || !first->pause_ms)
        return 0;
    pause = first->pause_ms;
    for (const struct run *i = first->next; i; i = i->next) {
        if (first->gather && !queue_together(first, i))
            return 0; /* somebody else waits behind it */
        last = i->accepted_ms > last->accepted_ms ? i : last;
    }
    due = last->accepted_ms + pause;
    patience = first->accepted_ms + pause * QUEUE_PATIENCE;
    due = due < patience ? due : patience;
    /* a clock that was set back makes nobody wait longer */
    return due > now_ms && due - now_ms <= pause * QUEUE_PATIENCE ? due : 0;
}

/* ---- room ---- */

static int add_aside(struct run *r, struct view text, struct err *e)
{
    struct buf b = BUF_INIT(32 * MIB);
    int64_t now = clock_wall_ms();
    uint64_t seq;
    int rc;

    chat_msg_user(&b, r, text, now);
    if ((rc = buf_check(&b, e)) == 0)
        rc = chat_msg_add(r->hub, r->live, r->message_id, MESSAGE_OTHER, view_str(r->run_id),
                          buf_view(&b), now, &seq, e);
    buf_fini(&b);
    return rc == ERR_CONFLICT ? 0 : rc;
}

int queue_drop_run(struct run *r, struct view text, struct err *e)
{
    struct buf summary = BUF_INIT(60000);
    int rc = 0;

    r->ended_ms = clock_wall_ms();
    r->result.end = END_ABORTED;
    (void)snprintf(r->result.stop_reason, sizeof(r->result.stop_reason), "dropped");
    run_summary(r, &summary);
    if (r->live->s.sid == 0)
        rc = session_save(r->hub, &r->live->s, e);
    if (rc == 0 && (rc = add_aside(r, text, e)) == 0)
        rc = run_save(r, RUN_STOPPED, buf_view(&summary), e);
    buf_fini(&summary);
    if (rc < 0)
        return rc;
    log_info("queue.dropped", KV("session", r->live->s.key), KV("run", r->run_id),
             KV("drop", queue_drop_name(r->q.drop)));
    run_show_message(r);
    live_remove(r->live, r);
    waiters_ended(r);
    run_free(r);
    return 0;
}

/* One line of a dropped message. */
static void line_of(struct view text, struct buf *out)
{
    size_t n = chat_whole(view_of(text.p, text.n < QUEUE_LINE_BYTES ? text.n : QUEUE_LINE_BYTES));

    buf_put_str(out, "- ");
    for (size_t i = 0; i < n; i++)
        buf_put_char(out, (unsigned char)text.p[i] < ' ' ? ' ' : text.p[i]);
    buf_put_str(out, n < text.n ? "...\n" : "\n");
}

/* What heir tells before its own text: what gone told, what heir tells already, and gone. */
static int inherit(struct run *heir, struct run *gone, struct view text, struct err *e)
{
    struct buf b = BUF_INIT(CARRY_BYTES + 1024);
    unsigned lines = 0;
    struct view all;
    char *carry;
    int rc = 0;

    if (gone->carry)
        buf_put_str(&b, gone->carry);
    line_of(text, &b);
    if (heir->carry)
        buf_put_str(&b, heir->carry);
    all = buf_view(&b);
    for (size_t i = 0; i < all.n; i++)
        lines += all.p[i] == '\n';
    while (lines > heir->q.cap || all.n > CARRY_BYTES) { /* the oldest lines go */
        all = view_from(all, view_find(all, '\n') + 1);
        lines--;
    }
    if ((rc = buf_check(&b, e)) == 0 && !(carry = mem_dup(all.p, all.n)))
        rc = err_set(e, ERR_NOMEM, "queue: out of memory");
    buf_fini(&b);
    if (rc < 0)
        return rc;
    mem_free(heir->carry);
    heir->carry = carry;
    heir->carried += gone->carried + 1;
    if (gone->trust < heir->trust)
        heir->trust = gone->trust; /* as when they are answered together */
    if (gone->hops > heir->hops)
        heir->hops = gone->hops;
    return 0;
}

static struct run *victim_of(const struct live *l)
{
    struct run *v = NULL;

    for (struct run *i = l->waiting; i; i = i->next)
        if (i->route[0] &&
            (!v || i->rank < v->rank || (i->rank == v->rank && i->accepted_ms < v->accepted_ms)))
            v = i;
    return v;
}

static int full(const struct live *l, struct err *e)
{
    return err_set(e, ERR_LIMIT, "%u messages wait in this session already", l->waiting_count);
}

int queue_room(struct live *l, struct run *fresh, struct err *e)
{
    struct run *victim, *heir;
    int rc;

    if (l->waiting_count < fresh->q.cap)
        return 0;
    if (fresh->q.drop == DROP_NEW)
        return fresh->route[0] ? 1 : full(l, e);
    if (!(victim = victim_of(l)))
        return fresh->route[0] ? 0 : full(l, e);
    heir = victim->next ? victim->next : fresh;
    if (fresh->q.drop == DROP_SUMMARIZE &&
        (rc = inherit(heir, victim, view_str(victim->text), e)) < 0)
        return rc;
    if (heir != fresh && heir->carry && (rc = run_save(heir, RUN_QUEUED, VIEW_EMPTY, e)) < 0)
        return rc;
    return queue_drop_run(victim, view_str(victim->text), e);
}
