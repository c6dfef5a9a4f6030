/* workers/hub/deliver_result.c - what channels say of a message: kept, then acknowledged to them;
 * and what there was no room for, until there is. */
#include "deliver_plan.h"
#include "deliver_table.h"
#include "log.h"
#include "metrics.h"

enum { DELIVER_MESSAGE_ID_MAX = 256, DELIVER_ERROR_MAX = 512 }; /* of deliver_result */

static void ack(struct link *to, const struct ipc_deliver_result *m)
{
    struct ipc_deliver_ack k = {
        .delivery_id = m->delivery_id, .attempt = m->attempt, .part = m->part, .from = m->from};
    struct err e = ERR_INIT;

    if (msg_send_deliver_ack(to, &k, &e) < 0) /* it says it again */
        log_warn("delivery.ack", KV("delivery", m->delivery_id), KV("why", e.text));
}

/* Late word about one that is not under way any more. */
static bool late(struct deliveries *ds, const struct account *a, const struct ipc_deliver_result *m)
{
    struct store_delivery row;
    struct deliver d;
    struct err e = ERR_INIT;

    if (m->outcome != OUTCOME_OK ||
        store_delivery_get(ds->hub->store, m->delivery_id, &row, &e) < 0 ||
        row.state.part != m->part || row.state.said != m->from ||
        !view_eq(row.add.channel, view_str(a->channel)) ||
        !view_eq(row.add.account, view_str(a->name)))
        return true;
    d = (struct deliver){.state = row.state.state,
                         .maybe = row.state.flags & DELIVERY_MAYBE,
                         .attempts = row.state.attempts,
                         .excused = row.state.excused,
                         .part = row.state.part,
                         .from = row.state.said,
                         .parts = deliver_parts(&row)};
    if (deliver_step(&d, DELIVER_EV_OK, &(struct deliver_facts){.left_ms = 1, .next = m->next},
                     &ds->policy) != DELIVER_END)
        return true;
    if (deliver_save(ds, m->delivery_id, &d, &(struct deliver_news){.message_id = m->message_id},
                     &e) < 0) {
        log_error("delivery.not_saved", KV("delivery", m->delivery_id), KV("why", e.text));
        return false;
    }
    return true;
}

/* What the channel said and the store has no room for yet: one for each message under way, of which
 * an account has DELIVER_WINDOW. */
struct deliver_told {
    enum deliver_event ev;
    uint32_t attempt, part, from, next;
    uint64_t retry_after_ms;
    size_t message_id_n, error_n;
    char message_id[DELIVER_MESSAGE_ID_MAX], error[DELIVER_ERROR_MAX];
};

static size_t keep(char *to, size_t max, struct view from)
{
    size_t n = from.n < max ? from.n : max;

    if (n)
        memcpy(to, from.p, n);
    return n;
}

/* Its channel waits for the word that it is kept; until then it would say it to another hub only.
 */
static void remember(struct delivery *x, const struct ipc_deliver_result *m, enum deliver_event ev)
{
    struct deliver_told *k = x->told ? x->told : mem_alloc(sizeof(*k));

    if (!k) {
        log_error("delivery.forgotten", KV("delivery", x->id), KV("why", "no memory"));
        return;
    }
    *k = (struct deliver_told){.ev = ev,
                               .attempt = m->attempt,
                               .part = m->part,
                               .from = m->from,
                               .next = m->next,
                               .retry_after_ms = m->retry_after_ms};
    k->message_id_n = keep(k->message_id, sizeof(k->message_id), m->message_id);
    k->error_n = keep(k->error, sizeof(k->error), m->error);
    x->told = k;
}

bool deliver_told_again(struct deliveries *ds, struct delivery *x)
{
    struct deliver_told *k = TAKE(x->told);
    struct link *line = x->target->account->line;
    uint64_t id = x->id;

    if (!k)
        return false;
    if (!deliver_apply(ds, x, k->ev,
                       &(struct deliver_news){.error = view_of(k->error, k->error_n),
                                              .message_id = view_of(k->message_id, k->message_id_n),
                                              .retry_after_ms = k->retry_after_ms,
                                              .next = k->next})) {
        x->told = k;
        return true;
    }
    if (line)
        ack(line, &(struct ipc_deliver_result){
                      .delivery_id = id, .attempt = k->attempt, .part = k->part, .from = k->from});
    mem_free(k);
    return true;
}

int deliveries_on_result(struct hub *h, struct link *from, struct ipc_deliver_result *m,
                         struct err *e)
{
    struct deliveries *ds = h->deliveries;
    struct account *a = deliver_account_line(ds, from);
    struct delivery *x = deliver_find(ds, m->delivery_id);
    struct deliver_news n = {.error = m->error, .retry_after_ms = m->retry_after_ms};
    enum deliver_event ev;
    bool kept = true;

    metrics_delivery(h, m->outcome);
    switch (m->outcome) {
    case OUTCOME_OK:
        ev = DELIVER_EV_OK;
        n = (struct deliver_news){.message_id = m->message_id, .next = m->next};
        break;
    case OUTCOME_TRANSIENT:
        ev = DELIVER_EV_TRANSIENT;
        break;
    case OUTCOME_PERMANENT:
        ev = DELIVER_EV_PERMANENT;
        break;
    case OUTCOME_UNKNOWN:
        ev = DELIVER_EV_LOST;
        break;
    case OUTCOME_LATER:
        ev = DELIVER_EV_LATER;
        break;
    default:
        return err_set(e, ERR_INVALID, "deliver_result: outcome %u", m->outcome);
    }
    if (!a)
        return 0;
    if (!x)
        kept = late(ds, a, m);
    else if (x->target->account == a && x->d.part == m->part && x->d.from == m->from &&
             (ev == DELIVER_EV_OK || x->d.attempts == m->attempt)) {
        deliver_pace_done(ds, x, m);
        if (!(kept = deliver_apply(ds, x, ev, &n)))
            remember(x, m, ev);
    }
    if (kept)
        ack(from, m);
    return 0;
}
