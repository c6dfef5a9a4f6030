#include "hook_script.h"

#include "log.h"

struct hook_script {
    struct hub *hub;
    struct hook_script *next, **at;
    const struct link *worker; /* that was asked, to compare only; NULL: none yet */
    uint64_t req;
    hook_script_fn *on_answer;
    void *ctx;
    struct loop_timer timer;
    size_t n;
    char ask[];
};

struct hook_scripts {
    struct hub *hub;
    struct hook_script *first;
    unsigned count;
    uint64_t last_req;
    bool wanted; /* what the supervisor was told */
    struct loop_timer idle;
};

static void want(struct hook_scripts *all, bool wanted)
{
    struct err e = ERR_INIT;

    if (all->wanted == wanted || !all->hub->w.sup)
        return;
    if (msg_send_worker_want(
            all->hub->w.sup,
            &(struct ipc_worker_want){.role = view_str(role_name(ROLE_SCRIPT)), .wanted = wanted},
            &e) < 0)
        log_warn("script.unwanted", KV("why", e.text)); /* asked again with the next one */
    else
        all->wanted = wanted;
}

static void on_idle(void *ctx)
{
    struct hook_scripts *all = ctx;

    if (!all->count)
        want(all, false);
}

static struct hook_scripts *all_of(struct hub *h)
{
    struct err e = ERR_INIT;

    if (!h->hook_scripts && mem_new(&h->hook_scripts, sizeof(*h->hook_scripts), &e) == 0) {
        h->hook_scripts->hub = h;
        loop_timer_init(&h->hook_scripts->idle, h->w.loop, on_idle, h->hook_scripts);
    }
    return h->hook_scripts;
}

static void script_free(struct hook_script *s)
{
    struct hook_scripts *all = s->hub->hook_scripts;

    loop_timer_fini(&s->timer);
    if ((*s->at = s->next))
        s->next->at = s->at;
    if (--all->count == 0)
        loop_timer_set(&all->idle, HOOK_SCRIPT_IDLE_MS);
    mem_free(s);
}

void hook_script_cancel(struct hook_script **sp)
{
    struct hook_script *s = TAKE(*sp);

    if (s)
        script_free(s); /* what it still answers is nobody's */
}

static void finish(struct hook_script *s, unsigned result, struct view answer)
{
    hook_script_fn *fn = s->on_answer;
    void *ctx = s->ctx;

    script_free(s);
    fn(ctx, result, answer);
}

static void on_late(void *ctx)
{
    finish(ctx, SCRIPT_BUSY, V("openclaw-script does not answer; the log says why"));
}

static void ask(struct hook_script *s, struct link *worker)
{
    struct ipc_script_ask m = {.req = s->req, .ask = view_of(s->ask, s->n)};
    struct err e = ERR_INIT;

    if (msg_send_script_ask(worker, &m, &e) < 0)
        log_warn("script.not_asked", KV("why", e.text)); /* its timer ends it */
    else
        s->worker = worker;
}

int hook_script_ask(struct hub *h, struct view text, hook_script_fn *on_answer, void *ctx,
                    struct hook_script **out, struct err *e)
{
    struct link *worker = worker_peer(&h->w, ROLE_SCRIPT);
    struct hook_scripts *all = all_of(h);
    struct hook_script *s;

    if (!all || !(s = mem_calloc(1, sizeof(*s) + text.n)))
        return err_set(e, ERR_NOMEM, "out of memory");
    if (all->count >= HOOK_SCRIPTS_MAX) {
        mem_free(s);
        return err_set(e, ERR_LIMIT, "%u transforms are under way already", all->count);
    }
    s->hub = h;
    s->req = ++all->last_req;
    s->on_answer = on_answer;
    s->ctx = ctx;
    s->n = text.n;
    memcpy(s->ask, text.p, text.n);
    s->at = &all->first;
    if ((s->next = all->first))
        s->next->at = &s->next;
    all->first = s;
    all->count++;
    loop_timer_clear(&all->idle);
    loop_timer_init(&s->timer, h->w.loop, on_late, s);
    loop_timer_set(&s->timer, HOOK_SCRIPT_WAIT_MS);
    want(all, true);
    if (worker)
        ask(s, worker);
    *out = s;
    return 0;
}

int hook_scripts_on_answer(struct hub *h, struct link *from, const struct ipc_script_answer *m,
                           struct err *e)
{
    struct hook_script *s = h->hook_scripts ? h->hook_scripts->first : NULL;

    if (m->result > SCRIPT_BUSY)
        return err_set(e, ERR_INVALID, "script_answer: result %u", m->result);
    while (s && (s->req != m->req || s->worker != from))
        s = s->next;
    if (s)
        finish(s, m->result, m->answer);
    return 0;
}

void hook_scripts_on_peer(struct hub *h, struct link *l, bool up)
{
    struct hook_scripts *all = up ? all_of(h) : h->hook_scripts;

    for (struct hook_script *s = all ? all->first : NULL, *next; s; s = next) {
        next = s->next;
        if (up && !s->worker)
            ask(s, l);
        else if (!up && s->worker == l)
            finish(s, SCRIPT_BUSY, V("the process that runs transforms ended; the log says why"));
    }
    if (!all || !up)
        return;
    all->wanted = true; /* also by the hub before us */
    /* one that ends again and again is not put off each time */
    if (!all->count && !loop_timer_pending(&all->idle))
        loop_timer_set(&all->idle, HOOK_SCRIPT_IDLE_MS);
}

void hook_scripts_close(struct hub *h)
{
    struct hook_scripts *all = h->hook_scripts;

    if (!all)
        return;
    while (all->first)
        script_free(all->first);
    loop_timer_fini(&all->idle);
    mem_free(TAKE(h->hook_scripts));
}
