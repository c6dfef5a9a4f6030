#include "take_up.h"

#include "clock.h"
#include "log.h"

int take_up(struct hub *h, const struct take_up *t, struct run **out, struct err *e)
{
    struct live *l = NULL;
    struct run *run = NULL;
    enum taken taken = TAKEN_NOW;
    bool interrupted;
    int rc;

    if ((rc = live_get(h, t->key, true, &l, e)) < 0 || (rc = run_new(h, l, t->run_id, &run, e)) < 0)
        goto out;
    run->accepted_ms = clock_wall_ms();
    run->timeout_ms = t->timeout_ms ? t->timeout_ms : chat_conf(h)->timeout_ms;
    queue_settings(h->w.conf, &l->s, VIEW_EMPTY, &run->q);
    run->q.mode = QUEUE_FOLLOWUP; /* its answer is its own */
    run->q.debounce_ms = 0;
    run->quiet = (uint8_t)t->quiet;
    run_traced(run, t->trace);
    if (t->request.n)
        log_debug("run.asked", KV("run", t->run_id), KV("request", t->request));
    run->trust = (uint8_t)t->trust;
    run->hops = (uint8_t)(t->hops < UINT8_MAX ? t->hops : UINT8_MAX);
    if (t->options.n) {
        mem_free(run->options);
        if (!(run->options = mem_dup(t->options.p, t->options.n))) {
            run->options = mem_dup("", 0);
            rc = err_set(e, ERR_NOMEM, "run: out of memory");
            goto out;
        }
    }
    if (t->files && t->files->count &&
        ((l->s.sid == 0 && (rc = session_save(h, &l->s, e)) < 0) ||
         (rc = attach_keep(h, t->files, l->s.sid, &run->files, e)) < 0))
        goto out;
    if ((rc = live_take(l, run, t->message, &taken, &interrupted, e)) < 0)
        goto out;
    if (taken == TAKEN_DROPPED)
        return err_set(e, ERR_LIMIT, "The session is busy.");
    *out = run;
    return 0;
out:
    if (run && run->files)
        attach_undo(h, t->files, l->s.sid);
    if (run)
        run_free(run);
    if (l)
        live_next(h, l);
    return rc;
}

void take_up_go(struct run *run)
{
    if (run->phase == RUN_WAITS)
        live_next(run->hub, run->live);
    else
        run_start(run);
}
