#include "deliver_media.h"

#include "fd.h"
#include "fetch.h"
#include "json.h"
#include "log.h"
#include "media.h"

#include <stdio.h>
#include <string.h>

enum {
    NOTE_BYTES = 8 * 1024,
    STORE_RETRY_MS = 500, /* the store has no room */
    NAME_SHOWN = 80,
};

struct deliver_prep {
    struct deliveries *ds;
    struct delivery *x;
    json_t *doc; /* owned: what file points into */
    struct deliver_file file[DELIVER_FILES_MAX];
    struct media m[DELIVER_FILES_MAX];
    bool fresh[DELIVER_FILES_MAX]; /* put here: nobody has it yet */
    bool out[DELIVER_FILES_MAX];   /* cannot be had */
    unsigned n, at;
    bool answer;
    struct fetch *fetch;
    struct buf note;
};

static void next(struct deliver_prep *p);

void deliver_prep_free(struct delivery *x)
{
    struct deliver_prep *p = TAKE(x->prep);

    if (!p)
        return;
    fetch_cancel(&p->fetch);
    for (unsigned i = 0; i < p->n; i++)
        if (p->fresh[i])
            media_drop(p->ds->hub, view_str(p->m[i].id));
    json_decref(p->doc);
    buf_fini(&p->note);
    mem_free(p);
}

/* ---- what cannot be had ---- */

/* The last part of an address, or a word for it: enough to know which one it was. */
static struct view called(const struct deliver_prep *p, unsigned i)
{
    struct view v = p->file[i].url;
    size_t from;

    if (p->m[i].name[0])
        return view_str(p->m[i].name);
    v = view_of(v.p, view_find(v, '?'));
    for (from = v.n; from && v.p[from - 1] != '/'; from--)
        ;
    v = view_from(v, from);
    return v.n && v.n <= NAME_SHOWN ? v : V("a file");
}

static void give_up(struct deliver_prep *p, unsigned kind, struct view why)
{
    struct deliveries *ds = p->ds;
    struct delivery *x = p->x;
    struct buf said = BUF_INIT(1024);

    log_info("delivery.file_failed", KV("delivery", x->id), KV("why", why));
    buf_printf(&said, "%.*s: %.*s", VIEW_FMT(called(p, p->at)), VIEW_FMT(why));
    if (p->answer) {
        buf_printf(&p->note, "%s\xe2\x9a\xa0\xef\xb8\x8f Not sent: %.*s", p->note.n ? "\n" : "",
                   VIEW_FMT(buf_view(&said)));
        buf_fini(&said);
        p->out[p->at++] = true;
        next(p);
        return;
    }
    deliver_prep_free(x);
    (void)deliver_apply(ds, x, kind == FETCH_LATER ? DELIVER_EV_UNREADY : DELIVER_EV_NEVER,
                        &(struct deliver_news){.error = buf_view(&said)});
    buf_fini(&said);
}

/* ---- all are here ---- */

/* Telegram and its like show these side by side; what moves by itself and what is drawn is no
 * photograph to them. */
static bool visual(const struct media *m)
{
    struct view type = view_str(m->type);

    return m->kind == KIND_VIDEO || (m->kind == KIND_IMAGE && !view_eq(type, V("image/gif")) &&
                                     !view_eq(type, V("image/svg+xml")));
}

static int save(struct deliver_prep *p, struct err *e)
{
    struct deliver_file f[DELIVER_FILES_MAX];
    struct delivery *x = p->x;
    struct store_delivery row;
    struct buf plan = BUF_INIT(64 * KIB);
    struct deliver_news news = {.retry_after_ms = 0};
    unsigned n = 0;
    int r;

    for (unsigned i = 0; i < p->n; i++) {
        if (p->out[i])
            continue;
        f[n] = p->file[i];
        f[n].id = view_str(p->m[i].id);
        f[n++].visual = visual(&p->m[i]);
    }
    if ((r = store_delivery_get(p->ds->hub->store, x->id, &row, e)) < 0 ||
        (r = deliver_plan_write(f, n, row.add.parts, x->target->account->album, buf_view(&p->note),
                                &plan, &news.parts, e)) < 0)
        goto out;
    for (unsigned i = 0; i < p->n && r == 0; i++)
        if (!p->out[i])
            r = media_keep(p->ds->hub, &p->m[i], MEDIA_OF_DELIVERY, x->id, e);
    news.plan = buf_view(&plan);
    if (r == 0)
        r = deliver_save(p->ds, x->id, &x->d, &news, e);
    if (r == 0) {
        x->d.parts = news.parts;
        x->unready = false;
        for (unsigned i = 0; i < p->n; i++)
            p->fresh[i] = p->fresh[i] && p->out[i]; /* the others are its own now */
    }
out:
    buf_fini(&plan);
    return r;
}

static void complete(struct deliver_prep *p)
{
    struct deliveries *ds = p->ds;
    struct delivery *x = p->x;
    struct err e = ERR_INIT;
    int r = save(p, &e);

    if (r == ERR_AGAIN) { /* they are here: only to be kept once there is room */
        deliver_timer(ds, x, deliver_now(ds) + STORE_RETRY_MS);
        return;
    }
    deliver_prep_free(x);
    if (r < 0) { /* from the beginning, which is an attempt: servers are not asked for ever */
        log_error("delivery.not_saved", KV("delivery", x->id), KV("why", e.text));
        (void)deliver_apply(ds, x, DELIVER_EV_UNREADY,
                            &(struct deliver_news){.error = view_str(e.text)});
        return;
    }
    deliver_ready(x->target);
    loop_defer(ds->hub->w.loop, &ds->pump, LOOP_COMMIT);
}

/* ---- one file after the other ---- */

static bool too_large(const struct deliver_prep *p, const struct media *m, char why[96])
{
    uint64_t max = (uint64_t)p->x->target->account->media_max_mb * MIB;

    if (max == 0 || m->bytes <= max)
        return false;
    (void)snprintf(why, 96, "%llu MB, and %s takes %u at most",
                   (unsigned long long)((m->bytes + MIB - 1) / MIB), p->x->target->account->channel,
                   p->x->target->account->media_max_mb);
    return true;
}

static int put(struct deliver_prep *p, struct fetch_file *file, struct err *e)
{
    struct view bytes;
    int r = media_map_fd(file->fd, MEDIA_FILE_MAX, &bytes, e);

    if (r == 0)
        r = media_put(p->ds->hub, bytes, file->type, file->name, &p->m[p->at], e);
    media_unmap(&bytes);
    return r;
}

static void on_file(void *ctx, struct fetch_file *file)
{
    struct deliver_prep *p = ctx;
    struct err e = ERR_INIT;
    char why[96];

    p->fetch = NULL;
    if (file->failed) {
        give_up(p, file->failed, file->error);
        return;
    }
    if (put(p, file, &e) < 0) {
        give_up(p, FETCH_LATER, view_str(e.text));
        return;
    }
    p->fresh[p->at] = true;
    if (too_large(p, &p->m[p->at], why)) {
        give_up(p, FETCH_NEVER, view_str(why));
        return;
    }
    p->at++;
    next(p);
}

static void next(struct deliver_prep *p)
{
    struct err e = ERR_INIT;
    char why[96];

    while (p->at < p->n) {
        struct deliver_file *f = &p->file[p->at];

        if (!f->id.n) {
            if (fetch_start(p->ds->hub, f->url, on_file, p, &p->fetch, &e) < 0)
                give_up(p, FETCH_LATER, view_str(e.text));
            return;
        }
        if (!media_find(p->ds->hub, f->id, &p->m[p->at])) {
            give_up(p, FETCH_NEVER, V("it is not there any more"));
            return;
        }
        if (too_large(p, &p->m[p->at], why)) {
            give_up(p, FETCH_NEVER, view_str(why));
            return;
        }
        p->at++;
    }
    complete(p);
}

void deliver_prepare(struct deliveries *ds, struct delivery *x)
{
    struct deliver_prep *p;
    struct store_delivery row;
    struct err e = ERR_INIT;

    if (x->prep) {
        if (x->prep->at == x->prep->n)
            complete(x->prep);
        return;
    }
    if (mem_new(&p, sizeof(*p), &e) < 0) {
        deliver_timer(ds, x, deliver_now(ds) + STORE_RETRY_MS);
        return;
    }
    x->prep = p;
    p->ds = ds;
    p->x = x;
    buf_init(&p->note, NOTE_BYTES);
    if (store_delivery_get(ds->hub->store, x->id, &row, &e) < 0 ||
        deliver_files_read(row.add.media, &p->doc, p->file, &p->n, &e) < 0) {
        deliver_prep_free(x);
        (void)deliver_apply(ds, x, DELIVER_EV_NEVER,
                            &(struct deliver_news){.error = view_str(e.text)});
        return;
    }
    p->answer = row.add.options & DELIVER_ANSWER;
    next(p);
}

/* ---- to the channel ---- */

int deliver_send_files(struct hub *h, struct link *to, const struct delivery *x,
                       const struct deliver_piece *p, struct err *e)
{
    struct media m;
    int r = 0;

    for (unsigned i = 0; i < p->files && r == 0; i++) {
        const struct deliver_file *f = &p->file[i];
        struct ipc_deliver_media msg = {.delivery_id = x->id,
                                        .attempt = x->d.attempts,
                                        .part = x->d.part,
                                        .index = i,
                                        .flags = f->flags,
                                        .url = f->url,
                                        .bytes = -1};

        if (!media_find(h, f->id, &m))
            return err_set(e, ERR_NOT_FOUND, "its file is not there any more");
        if ((r = media_fd(h, f->id, &msg.bytes, e)) < 0)
            return r;
        msg.type = view_str(m.type);
        msg.name = view_str(m.name);
        if ((r = msg_send_deliver_media(to, &msg, e)) < 0)
            fd_close(&msg.bytes);
    }
    return r;
}

int deliver_keep_files(struct hub *h, uint64_t id, const struct media *m, unsigned n, struct err *e)
{
    int r = 0;

    for (unsigned i = 0; i < n && r == 0; i++)
        if (m[i].id[0])
            r = media_keep(h, &m[i], MEDIA_OF_DELIVERY, id, e);
    return r;
}
