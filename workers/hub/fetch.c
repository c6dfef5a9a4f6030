#include "fetch.h"

#include "fd.h"
#include "json.h"
#include "log.h"

#include <string.h>
#include <sys/stat.h>

enum {
    URL_BYTES = 2048,       /* ipc.def: fetch.url */
    TRIES = 2,              /* its process may die on one address once */
    START_MS = 30 * 1000,   /* for its process to come up */
    MARGIN_MS = 10 * 1000,  /* beyond the time it has; for a line that is busy */
    TIMEOUT_MS = 60 * 1000, /* keys.def: gateway.fetch.timeoutMs */
    IDLE_MS = 60 * 1000,    /* gateway.fetch.idleMs */
};

struct fetch {
    struct hub *hub;
    struct fetch *next, **at;
    uint64_t req, max_bytes;
    bool asked;
    unsigned tries;
    fetch_end *on_end;
    void *ctx;
    struct loop_timer timer; /* asked: its time; else: a process must be there by then */
    size_t url_n;
    char url[];
};

struct fetches {
    struct hub *hub;
    struct fetch *first, **last; /* in order of arrival */
    unsigned count, asked;
    uint64_t last_req;
    bool wanted;          /* what the supervisor was told */
    struct link *leaving; /* its process was told to go: it gets nothing new */
    struct loop_timer idle;
    struct loop_task ask; /* hand out what waits */
};

uint64_t fetch_max_bytes(const struct hub *h)
{
    return (uint64_t)json_i64(json_at(h->w.conf, "gateway.fetch"), "maxMb", FETCH_MB_MAX) * MIB;
}

static uint32_t timeout_of(const struct hub *h)
{
    return (uint32_t)json_i64(json_at(h->w.conf, "gateway.fetch"), "timeoutMs", TIMEOUT_MS);
}

static uint32_t idle_of(const struct hub *h)
{
    return (uint32_t)json_i64(json_at(h->w.conf, "gateway.fetch"), "idleMs", IDLE_MS);
}

/* ---- its process ---- */

static void want(struct fetches *fs, bool wanted)
{
    struct err e = ERR_INIT;

    if (fs->wanted == wanted || !fs->hub->w.sup)
        return;
    if (msg_send_worker_want(
            fs->hub->w.sup,
            &(struct ipc_worker_want){.role = view_str(role_name(ROLE_FETCH)), .wanted = wanted},
            &e) < 0)
        log_warn("fetch.unwanted", KV("why", e.text)); /* asked again with the next one */
    else
        fs->wanted = wanted;
}

static void on_idle(void *ctx)
{
    struct fetches *fs = ctx;

    if (fs->count)
        return;
    want(fs, false);
    if (!fs->wanted)
        fs->leaving = worker_peer(&fs->hub->w, ROLE_FETCH);
}

/* The one that can be asked, or NULL. */
static struct link *worker_of(const struct fetches *fs)
{
    struct link *l = worker_peer(&fs->hub->w, ROLE_FETCH);

    return l == fs->leaving ? NULL : l;
}

/* ---- one fetch ---- */

static void unlink_fetch(struct fetch *f)
{
    struct fetches *fs = f->hub->fetches;

    if ((*f->at = f->next))
        f->next->at = f->at;
    else
        fs->last = f->at;
    fs->count--;
    fs->asked -= f->asked;
    loop_timer_fini(&f->timer);
    if (!fs->count)
        loop_timer_set(&fs->idle, idle_of(fs->hub));
    else
        loop_defer(fs->hub->w.loop, &fs->ask, LOOP_FLUSH);
}

static void finish(struct fetch *f, struct fetch_file *file)
{
    unlink_fetch(f);
    f->on_end(f->ctx, file);
    mem_free(f);
}

static void fail(struct fetch *f, unsigned kind, struct view why)
{
    finish(f, &(struct fetch_file){.failed = kind, .fd = -1, .error = why});
}

void fetch_cancel(struct fetch **fp)
{
    struct fetch *f = TAKE(*fp);
    struct link *worker;
    struct err e = ERR_INIT;

    if (!f)
        return;
    worker = worker_peer(&f->hub->w, ROLE_FETCH);
    if (f->asked && worker &&
        msg_send_fetch_cancel(worker, &(struct ipc_fetch_cancel){.req = f->req}, &e) < 0)
        log_warn("fetch.not_cancelled", KV("why", e.text));
    unlink_fetch(f);
    mem_free(f);
}

static void on_time(void *ctx)
{
    struct fetch *f = ctx;

    if (f->asked) {
        struct link *worker = worker_peer(&f->hub->w, ROLE_FETCH);
        struct err e = ERR_INIT;

        if (worker &&
            msg_send_fetch_cancel(worker, &(struct ipc_fetch_cancel){.req = f->req}, &e) < 0)
            log_warn("fetch.not_cancelled", KV("why", e.text));
    }
    fail(f, FETCH_LATER,
         f->asked ? V("it is too slow")
                  : V("openclaw-fetch, which gets files, does not start; its log says why"));
}

static void ask(void *ctx)
{
    struct fetches *fs = ctx;
    struct link *worker = worker_of(fs);
    struct fetch *next;
    struct err e = ERR_INIT;

    if (fs->count)
        want(fs, true);
    for (struct fetch *f = fs->first; f && worker && fs->asked < FETCH_AT_ONCE; f = next) {
        next = f->next;
        if (f->asked)
            continue;
        /* the answer to an earlier try, should it come after all, is nobody's */
        f->req = ++fs->last_req;
        if (msg_send_fetch(worker,
                           &(struct ipc_fetch){.req = f->req,
                                               .max_bytes = f->max_bytes,
                                               .timeout_ms = timeout_of(fs->hub),
                                               .url = view_of(f->url, f->url_n)},
                           &e) < 0) {
            log_warn("fetch.not_asked", KV("why", e.text));
            return; /* its line is over: the next process gets it */
        }
        f->asked = true;
        f->tries++;
        fs->asked++;
        loop_timer_set(&f->timer, timeout_of(fs->hub) + MARGIN_MS);
    }
}

int fetch_start(struct hub *h, struct view url, fetch_end *on_end, void *ctx, struct fetch **out,
                struct err *e)
{
    struct fetches *fs = h->fetches;
    struct fetch *f;

    if (url.n > URL_BYTES)
        return err_set(e, ERR_LIMIT, "an address of %zu bytes, limit %d", url.n, (int)URL_BYTES);
    if (fs->count >= FETCHES_MAX)
        return err_set(e, ERR_LIMIT, "%u files are waited for already", fs->count);
    if (!(f = mem_calloc(1, sizeof(*f) + url.n)))
        return err_set(e, ERR_NOMEM, "no memory");
    f->hub = h;
    f->max_bytes = fetch_max_bytes(h);
    f->on_end = on_end;
    f->ctx = ctx;
    f->url_n = url.n;
    memcpy(f->url, url.p, url.n);
    f->at = fs->last;
    *fs->last = f;
    fs->last = &f->next;
    fs->count++;
    loop_timer_clear(&fs->idle);
    loop_timer_init(&f->timer, h->w.loop, on_time, f);
    if (!worker_of(fs))
        loop_timer_set(&f->timer, START_MS);
    loop_defer(h->w.loop, &fs->ask, LOOP_FLUSH);
    *out = f;
    return 0;
}

/* ---- what its process says ---- */

static struct fetch *find(struct hub *h, const struct link *from, uint64_t req)
{
    struct fetch *f = h->fetches->first;

    if (worker_peer(&h->w, ROLE_FETCH) != from)
        return NULL;
    while (f && (!f->asked || f->req != req))
        f = f->next;
    return f;
}

int fetches_on_file(struct hub *h, struct link *from, struct ipc_fetched *m, struct err *e)
{
    struct fetch *f = find(h, from, m->req);
    struct fetch_file file = {.type = m->type, .name = m->name};
    struct stat st;

    if (!f)
        return 0; /* it was cancelled */
    if (fstat(m->bytes, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size <= 0 ||
        (uint64_t)st.st_size > f->max_bytes)
        return err_set(e, ERR_INVALID, "fetched: bytes");
    file.fd = fd_take(&m->bytes);
    finish(f, &file);
    fd_close(&file.fd);
    return 0;
}

int fetches_on_failed(struct hub *h, struct link *from, struct ipc_fetch_failed *m, struct err *e)
{
    struct fetch *f = find(h, from, m->req);

    if (m->kind < FETCH_REFUSED || m->kind > FETCH_LATER)
        return err_set(e, ERR_INVALID, "fetch_failed: kind");
    if (f)
        fail(f, m->kind, m->error);
    return 0;
}

/* Whoever was asked for is asked for once more; nobody loops over an address that kills. */
static void died(struct fetches *fs)
{
    struct fetch *next;

    for (struct fetch *f = fs->first; f; f = next) {
        next = f->next;
        if (!f->asked)
            continue;
        f->asked = false;
        fs->asked--;
        loop_timer_set(&f->timer, START_MS);
        if (f->tries >= TRIES)
            fail(f, FETCH_NEVER, V("the process that gets files died of it twice"));
    }
}

void fetches_on_peer(struct hub *h, struct link *l, bool up)
{
    struct fetches *fs = h->fetches;

    if (fs && fs->leaving == l)
        fs->leaving = NULL;
    if (!fs || (!up && worker_peer(&h->w, ROLE_FETCH)))
        return; /* its successor is there already, and has them */
    died(fs);
    if (!up)
        return;
    fs->wanted = true; /* also by the hub before us */
    for (struct fetch *f = fs->first; f; f = f->next)
        loop_timer_clear(&f->timer);
    if (fs->count)
        loop_defer(h->w.loop, &fs->ask, LOOP_FLUSH);
    else
        loop_timer_set(&fs->idle, idle_of(fs->hub));
}

int fetches_open(struct hub *h, struct err *e)
{
    struct fetches *fs;
    int r;

    if ((r = mem_new(&fs, sizeof(*fs), e)) < 0)
        return r;
    h->fetches = fs;
    fs->hub = h;
    fs->last = &fs->first;
    fs->ask = (struct loop_task){.run = ask, .ctx = fs};
    loop_timer_init(&fs->idle, h->w.loop, on_idle, fs);
    return 0;
}

void fetches_close(struct hub *h)
{
    struct fetches *fs = h->fetches;

    if (!fs)
        return;
    while (fs->first) {
        struct fetch *f = fs->first;

        unlink_fetch(f);
        mem_free(f);
    }
    loop_undefer(h->w.loop, &fs->ask);
    loop_timer_fini(&fs->idle);
    mem_free(fs);
    h->fetches = NULL;
}
