/*
 * workers/files/main.c - reads the files of the canvas for the hub, which must not wait for a disk
 * that is not its own. Trusts: supervisor and hub; nothing that it reads. Holds: its folders and
 * the files on their way as descriptors, no secret. May: open what lies below its folders, to
 * read; be told when something changes there. Dies: harmlessly; the hub asks its successor.
 */
#include "fd.h"
#include "folder.h"
#include "json.h"
#include "log.h"
#include "mem.h"
#include "watch.h"
#include "worker.h"

#include <unistd.h>

enum {
    READS_MAX = 256,   /* at a time: conf/sandbox/files.def, NOFILE; the hub asks no more */
    PIECE = 128 << 10, /* of ipc.def */
    BUCKETS = 64,
};

struct reading {
    struct reading *next;
    uint64_t req, at, size;
    int fd;
};

struct files {
    struct worker w; /* first: every handler's ctx */
    int folder[FOLDER_COUNT];
    struct watch *watch; /* of the canvas; NULL: canvasHost.liveReload is off */
    bool caged;
    struct reading *reading[BUCKETS];
    unsigned count;
    char *piece; /* PIECE bytes */
};

static struct reading **slot(struct files *f, uint64_t req)
{
    struct reading **at = &f->reading[req % BUCKETS];

    while (*at && (*at)->req != req)
        at = &(*at)->next;
    return at;
}

static void drop(struct files *f, struct reading **at)
{
    struct reading *r = *at;

    *at = r->next;
    fd_close(&r->fd);
    f->count--;
    mem_free(r);
}

static void drop_all(struct files *f)
{
    for (unsigned i = 0; i < BUCKETS; i++)
        while (f->reading[i])
            drop(f, &f->reading[i]);
}

/* The next piece of it; empty at its end, or when it became shorter meanwhile. */
static struct view next_piece(struct files *f, struct reading *r)
{
    size_t want = r->size - r->at < PIECE ? (size_t)(r->size - r->at) : PIECE, got = 0;

    while (got < want) {
        ssize_t n = pread(r->fd, f->piece + got, want - got, (off_t)(r->at + got));

        if (n <= 0)
            break;
        got += (size_t)n;
    }
    if (got < want)
        got = 0;
    r->at += got;
    return view_of(f->piece, got);
}

static int answer(struct link *hub, uint64_t req, uint8_t result, struct err *e)
{
    return msg_send_file_answer(hub, &(struct ipc_file_answer){.req = req, .result = result}, e);
}

static int on_file_ask(void *ctx, struct link *from, struct ipc_file_ask *m, struct err *e)
{
    struct files *f = ctx;
    struct reading one = {.req = m->req, .fd = -1}, *r = NULL;
    enum folder_found found = FOLDER_MISSING;
    struct ipc_file_answer said = {.req = m->req, .result = FILE_FOUND};
    int rc;

    if (m->which >= FOLDER_COUNT)
        return err_set(e, ERR_INVALID, "file_ask: folder %u", m->which);
    if (f->folder[m->which] >= 0)
        found = folder_open(f->folder[m->which], m->path, &one.fd, &one.size);
    if (found != FOLDER_FILE)
        return answer(from, m->req, found == FOLDER_IS_ONE ? FILE_FOLDER : FILE_MISSING, e);
    said.size = one.size;
    said.part = next_piece(f, &one);
    if (one.at == one.size) {
        rc = msg_send_file_answer(from, &said, e);
    } else if (said.part.n == 0 || f->count >= READS_MAX || !(r = mem_alloc(sizeof(*r)))) {
        rc = answer(from, m->req, FILE_BUSY, e);
    } else {
        *r = one;
        one.fd = -1;
        r->next = f->reading[r->req % BUCKETS];
        f->reading[r->req % BUCKETS] = r;
        f->count++;
        rc = msg_send_file_answer(from, &said, e);
    }
    fd_close(&one.fd);
    return rc;
}

static int on_file_more(void *ctx, struct link *from, struct ipc_file_more *m, struct err *e)
{
    struct files *f = ctx;
    struct reading **at = slot(f, m->req);
    struct ipc_file_part said = {.req = m->req};

    if (!*at)
        return 0; /* a new hub, or one that was told of its end just now */
    said.part = next_piece(f, *at);
    if (said.part.n == 0 || (*at)->at == (*at)->size)
        drop(f, at);
    return msg_send_file_part(from, &said, e);
}

static int on_file_drop(void *ctx, struct link *from, struct ipc_file_drop *m, struct err *e)
{
    struct reading **at = slot(ctx, m->req);

    (void)from;
    (void)e;
    if (*at)
        drop(ctx, at);
    return 0;
}

static int on_folder(void *ctx, struct link *from, struct ipc_folder *m, struct err *e)
{
    struct files *f = ctx;

    (void)from;
    if (m->which >= FOLDER_COUNT || f->caged) /* a sandbox does not widen */
        return err_set(e, ERR_INVALID, "folder %u", m->which);
    fd_close(&f->folder[m->which]);
    f->folder[m->which] = fd_take(&m->dir);
    return 0;
}

static void on_news(void *ctx, enum watch_news news)
{
    struct files *f = ctx;
    struct link *hub = worker_peer(&f->w, ROLE_HUB);
    struct err e = ERR_INIT;

    switch (news) {
    case WATCH_CHANGED:
        if (hub && msg_send_folder_changed(
                       hub, &(struct ipc_folder_changed){.which = FOLDER_CANVAS}, &e) < 0)
            log_warn("canvas.untold", KV("why", e.text));
        break;
    case WATCH_TOO_MANY:
        log_warn(
            "canvas.too_large", KV("watched", (int)WATCH_FOLDERS_MAX),
            KV("what", "pages are not loaded anew when something in its other folders changes"));
        break;
    case WATCH_GONE: /* another may lie there by now: the supervisor gives it to our successor */
        log_info("canvas.folder_gone");
        worker_leave(&f->w);
        break;
    }
}

/* Files are served whether or not it can be watched. */
static int watch(struct files *f, const json_t *conf)
{
    bool on =
        !json_is_false(json_at(conf, "canvasHost.liveReload")) && f->folder[FOLDER_CANVAS] >= 0;
    struct err e = ERR_INIT;

    if (!on)
        watch_free(&f->watch);
    else if (!f->watch &&
             watch_new(&f->watch, f->w.loop, f->folder[FOLDER_CANVAS], on_news, f, &e) < 0)
        log_warn("canvas.unwatched", KV("why", e.text));
    return 0;
}

static int on_config(void *ctx, json_t *conf, struct err *e)
{
    struct files *f = ctx;

    (void)e;
    return f->caged ? watch(f, conf) : 0;
}

/* What a former hub asked for nobody waits for. */
static void on_peer(void *ctx, struct link *l, bool up)
{
    if (link_peer(l) == ROLE_HUB && up)
        drop_all(ctx);
}

static const struct ipc_handlers files_on = {.folder = on_folder,
                                             .file_ask = on_file_ask,
                                             .file_more = on_file_more,
                                             .file_drop = on_file_drop};

int main(void)
{
    struct files f = {.w = WORKER_INIT(FILES), .folder = {-1, -1}};
    struct sandbox cage = {.allow = SB_STATE_DIR};
    struct err e = ERR_INIT;

    f.w.on_peer = on_peer;
    f.w.on_config = on_config;
    if (worker_open(&f.w, &files_on, &e) < 0 || worker_recv_config(&f.w, &e) < 0 ||
        mem_new(&f.piece, PIECE, &e) < 0)
        goto fail;
    cage.folders = f.folder;
    cage.folder_count = FOLDER_COUNT;
    f.caged = true;
    if (worker_sandbox(&f.w, &cage, &e) < 0 || watch(&f, f.w.conf) < 0 ||
        worker_ready(&f.w, &e) < 0)
        goto fail;
    if (worker_run(&f.w, &e) == 0)
        goto out;
fail:
    worker_fail(&f.w, &e);
out:
    drop_all(&f);
    watch_free(&f.watch);
    for (int i = 0; i < FOLDER_COUNT; i++)
        fd_close(&f.folder[i]);
    mem_free(f.piece);
    worker_fini(&f.w);
    return f.w.exit_code;
}
