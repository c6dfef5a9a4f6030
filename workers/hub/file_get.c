#include "file_get.h"

#include "log.h"

struct file_get {
    struct hub *hub;
    struct file_get *next, **at;
    const struct link *worker; /* that was asked, to compare only; NULL: none yet */
    uint64_t req, left;        /* left: bytes to come */
    const struct file_get_on *on;
    void *ctx;
    struct loop_timer timer;
    uint8_t which;
    size_t path_n;
    char path[];
};

struct file_gets {
    struct file_get *first;
    unsigned count;
    uint64_t last_req;
    bool wanted; /* what the supervisor was told */
};

static void get_free(struct file_get *g)
{
    loop_timer_fini(&g->timer);
    if ((*g->at = g->next))
        g->next->at = g->at;
    g->hub->file_gets->count--;
    mem_free(g);
}

static void broken(struct file_get *g)
{
    void (*fn)(void *ctx) = g->on->broken;
    void *ctx = g->ctx;

    get_free(g);
    fn(ctx);
}

void file_get_cancel(struct file_get **gp)
{
    struct file_get *g = TAKE(*gp);
    struct link *worker;
    struct err e = ERR_INIT;

    if (!g)
        return;
    worker = worker_peer(&g->hub->w, ROLE_FILES);
    if (worker && worker == g->worker &&
        msg_send_file_drop(worker, &(struct ipc_file_drop){.req = g->req}, &e) < 0)
        log_warn("file.not_dropped", KV("why", e.text));
    get_free(g);
}

static void on_late(void *ctx)
{
    struct file_get *g = ctx;

    log_warn("file.late", KV("asked", g->worker != NULL));
    broken(g);
}

void file_gets_want(struct hub *h, bool wanted)
{
    struct file_gets *all = h->file_gets;
    struct err e = ERR_INIT;

    if (all->wanted == wanted || !h->w.sup)
        return;
    if (msg_send_worker_want(
            h->w.sup,
            &(struct ipc_worker_want){.role = view_str(role_name(ROLE_FILES)), .wanted = wanted},
            &e) < 0)
        log_warn("file.unwanted", KV("why", e.text)); /* asked again with the next one */
    else
        all->wanted = wanted;
}

static void ask(struct file_get *g, struct link *worker)
{
    struct ipc_file_ask m = {.req = g->req, .which = g->which, .path = view_of(g->path, g->path_n)};
    struct err e = ERR_INIT;

    if (msg_send_file_ask(worker, &m, &e) < 0)
        log_warn("file.not_asked", KV("why", e.text)); /* its timer ends it */
    else
        g->worker = worker;
}

int file_get(struct hub *h, unsigned which, struct view path, const struct file_get_on *on,
             void *ctx, struct file_get **out, struct err *e)
{
    struct link *worker = worker_peer(&h->w, ROLE_FILES);
    struct file_gets *all = h->file_gets;
    struct file_get *g;

    if (all->count >= FILE_GETS_MAX)
        return err_set(e, ERR_LIMIT, "%u files at once", all->count);
    if (!(g = mem_calloc(1, sizeof(*g) + path.n)))
        return err_set(e, ERR_NOMEM, "no memory");
    g->hub = h;
    g->on = on;
    g->ctx = ctx;
    g->which = (uint8_t)which;
    g->req = ++all->last_req;
    g->path_n = path.n;
    if (path.n)
        memcpy(g->path, path.p, path.n);
    g->at = &all->first;
    if ((g->next = all->first))
        g->next->at = &g->next;
    all->first = g;
    all->count++;
    loop_timer_init(&g->timer, h->w.loop, on_late, g);
    loop_timer_set(&g->timer, FILE_GET_WAIT_MS);
    file_gets_want(h, true);
    if (worker)
        ask(g, worker);
    *out = g;
    return 0;
}

void file_get_more(struct file_get *g)
{
    struct link *worker = worker_peer(&g->hub->w, ROLE_FILES);
    struct err e = ERR_INIT;

    loop_timer_set(&g->timer, FILE_GET_WAIT_MS);
    if (worker != g->worker ||
        msg_send_file_more(worker, &(struct ipc_file_more){.req = g->req}, &e) < 0)
        log_warn("file.no_more", KV("why", e.text)); /* its timer ends it */
}

/* ---- what its process says ---- */

static struct file_get *find(struct hub *h, const struct link *from, uint64_t req)
{
    struct file_get *g = h->file_gets->first;

    while (g && (g->req != req || g->worker != from))
        g = g->next;
    return g;
}

int file_gets_on_answer(struct hub *h, struct link *from, const struct ipc_file_answer *m,
                        struct err *e)
{
    struct file_get *g = find(h, from, m->req);
    const struct file_get_on *on;
    void *ctx;

    if (m->result > FILE_BUSY || m->part.n > m->size ||
        (m->result == FILE_FOUND && m->size && !m->part.n))
        return err_set(e, ERR_INVALID, "file_answer: result %u, %zu bytes", m->result, m->part.n);
    if (!g)
        return 0; /* cancelled */
    on = g->on;
    ctx = g->ctx;
    loop_timer_clear(&g->timer); /* until more is wanted */
    g->left = m->size - m->part.n;
    if (m->result != FILE_FOUND || g->left == 0)
        get_free(g);
    on->answer(ctx, m->result, m->size, m->part);
    return 0;
}

int file_gets_on_part(struct hub *h, struct link *from, const struct ipc_file_part *m,
                      struct err *e)
{
    struct file_get *g = find(h, from, m->req);
    const struct file_get_on *on;
    bool last;
    void *ctx;

    if (!g)
        return 0;
    if (m->part.n > g->left)
        return err_set(e, ERR_INVALID, "file_part: %zu bytes too many", m->part.n);
    if (m->part.n == 0) {
        broken(g);
        return 0;
    }
    on = g->on;
    ctx = g->ctx;
    loop_timer_clear(&g->timer);
    g->left -= m->part.n;
    last = g->left == 0;
    if (last)
        get_free(g);
    on->part(ctx, m->part, last);
    return 0;
}

void file_gets_on_peer(struct hub *h, struct link *l, bool up)
{
    struct file_gets *all = h->file_gets;
    struct file_get *next;

    if (!all)
        return;
    for (struct file_get *g = all->first; g; g = next) {
        next = g->next;
        if (!up && g->worker == l)
            broken(g);
        else if (up && !g->worker)
            ask(g, l);
    }
    all->wanted |= up; /* also by the hub before us */
}

int file_gets_open(struct hub *h, struct err *e)
{
    return mem_new(&h->file_gets, sizeof(*h->file_gets), e);
}

void file_gets_close(struct hub *h)
{
    while (h->file_gets && h->file_gets->first)
        get_free(h->file_gets->first);
    mem_free(TAKE(h->file_gets));
}
