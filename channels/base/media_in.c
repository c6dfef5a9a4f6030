/* channels/base/media_in.c - files of messages on their way in. */
#include "fd.h"
#include "json.h"
#include "log.h"
#include "media.h"
#include "sniff.h"
#include "utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { KIND_BYTES = 24, WHY_BYTES = 160, NAME_ROOM = 256 };

enum file_state { FILE_WAITS, FILE_RUNS, FILE_THERE, FILE_FAILED };

struct file {
    struct media *m;
    enum file_state state;
    int fd;                      /* owned; -1 for none */
    uint64_t said, taken, bytes; /* by the platform; of the room for all; there */
    bool over, starved;          /* larger than is taken; no memory for it */
    char ref[CHANNEL_TARGET_BYTES + 1], kind[KIND_BYTES], type[SNIFF_TYPE_MAX + 1], name[NAME_ROOM],
        why[WHY_BYTES];
};

struct media {
    struct channel *c;
    struct media *next, **at; /* those that are being fetched; at NULL: it is not among them */
    void (*on_end)(void *ctx);
    void *ctx;
    uint64_t taken;
    unsigned running, n;
    bool gone;
    struct file files[];
};

struct media_room {
    struct media *first, **end;
    unsigned running;
    uint64_t taken;
    struct loop_task step;
};

static double wanted_mb(const struct channel *c, uint32_t platform_mb)
{
    const json_t *mb = json_object_get(c->conf, "mediaMaxMb");
    double want = json_is_number(mb) && json_number_value(mb) > 0 ? json_number_value(mb)
                                                                  : (double)c->ops->media_max_mb;

    if (platform_mb && (want <= 0 || want > platform_mb))
        want = platform_mb;
    return want;
}

uint64_t media_max_bytes(const struct channel *c)
{
    double want = wanted_mb(c, c->ops->fetch_max_mb) * 1048576;

    return want >= 1 && want < (double)MEDIA_FILE_MAX ? (uint64_t)want : MEDIA_FILE_MAX;
}

uint32_t media_out_max_mb(const struct channel *c)
{
    double want = wanted_mb(c, c->ops->upload_max_mb);

    return want >= 1 && want < UINT16_MAX ? (uint32_t)want : 1;
}

/* ---- the room for all ---- */

static void give_back(struct file *f, uint64_t keep)
{
    struct media_room *room = f->m->c->media;
    uint64_t n = f->taken > keep ? f->taken - keep : 0;

    f->taken -= n;
    f->m->taken -= n;
    room->taken -= n;
}

static bool fits(const struct file *f, uint64_t more)
{
    return f->m->taken + more <= MEDIA_HELD_MAX && f->m->c->media->taken + more <= MEDIA_HELD_MAX;
}

static void take_room(struct file *f, uint64_t more)
{
    f->taken += more;
    f->m->taken += more;
    f->m->c->media->taken += more;
}

/* ---- the end of a file ---- */

static void keep(char *room, size_t size, struct view v)
{
    (void)snprintf(room, size, "%.*s", (int)(v.n < size ? v.n : size - 1), v.p);
}

static PRINTF(2, 3) void fail(struct file *f, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(f->why, sizeof(f->why), fmt, ap);
    va_end(ap);
    for (char *p = f->why; *p; p++)
        if ((unsigned char)*p < ' ')
            *p = ' ';
    f->state = FILE_FAILED;
    fd_close(&f->fd);
    give_back(f, 0);
    log_info("channel.media_failed", KV("channel", f->m->c->id), KV("kind", f->kind),
             KV("bytes", f->said), KV("why", f->why));
}

static void too_large(struct file *f, uint64_t bytes)
{
    struct buf b = BUF_INIT(64);

    if (bytes) {
        buf_put_str(&b, ", ");
        media_size(bytes, &b);
    }
    fail(f, "too large%.*s", VIEW_FMT(buf_view(&b)));
    buf_fini(&b);
}

/* Nothing can change it any more; what it is its bytes say. */
static bool settle(struct file *f)
{
    char head[SNIFF_BYTES], said[SNIFF_TYPE_MAX + 1];
    ssize_t n = pread(f->fd, head, sizeof(head), 0);
    struct buf name = BUF_INIT(NAME_ROOM - 1);
    struct view type;

    if (n <= 0 ||
        fcntl(f->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
        return false;
    memcpy(said, f->type, sizeof(said));
    type = sniff_type(view_of(head, (size_t)n), view_str(said));
    keep(f->type, sizeof(f->type), type);
    media_name(view_str(f->name), view_str(f->kind), (unsigned)(f - f->m->files), type, &name);
    keep(f->name, sizeof(f->name), buf_view(&name));
    buf_fini(&name);
    return true;
}

/* ---- one after the other ---- */

bool media_ended(const struct media *m)
{
    for (unsigned i = 0; i < m->n; i++)
        if (m->files[i].state == FILE_WAITS || m->files[i].state == FILE_RUNS)
            return false;
    return true;
}

static void leave_queue(struct media *m)
{
    struct media_room *room = m->c->media;

    if (!m->at)
        return;
    if ((*m->at = m->next))
        m->next->at = m->at;
    else
        room->end = m->at;
    m->at = NULL;
}

/* false: it has to wait, and whoever comes behind it, too: or a message could hold room that the
 * one before it needs. */
static bool start(struct file *f)
{
    struct channel *c = f->m->c;
    uint64_t max = media_max_bytes(c), want = f->said ? f->said : max;

    if (f->said > max) {
        too_large(f, f->said);
        return true;
    }
    if (f->m->taken + want > MEDIA_HELD_MAX) {
        fail(f, "not fetched, the message brings too much at once");
        return true;
    }
    if (c->media->running == MEDIA_AT_ONCE || !fits(f, want))
        return false;
    take_room(f, want);
    f->state = FILE_RUNS;
    f->m->running++;
    c->media->running++;
    c->ops->fetch_media(c, view_str(f->ref), max, f);
    return true;
}

static void start_some(struct media_room *room)
{
    for (struct media *m = room->first; m; m = m->next)
        for (unsigned i = 0; i < m->n; i++)
            if (m->files[i].state == FILE_WAITS && !start(&m->files[i]))
                return;
}

static void on_step(void *ctx)
{
    struct media_room *room = ctx;
    struct media *m;

    start_some(room);
    do {
        for (m = room->first; m && !media_ended(m); m = m->next)
            ;
        if (m) {
            leave_queue(m);
            m->on_end(m->ctx);
        }
    } while (m);
}

static void step_soon(struct channel *c)
{
    loop_defer(c->w.loop, &c->media->step, LOOP_COMMIT);
}

/* ---- what the platform brings ---- */

static bool begin_file(struct file *f)
{
    if (f->fd < 0)
        f->fd = memfd_create("media", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return f->fd >= 0;
}

static bool write_all(int fd, struct view v)
{
    while (v.n) {
        ssize_t n = write(fd, v.p, v.n);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        v = view_from(v, (size_t)n);
    }
    return true;
}

bool channel_fetch_put(struct channel *c, void *ticket, struct view piece)
{
    struct file *f = ticket;
    uint64_t all = f->bytes + piece.n, more = all > f->taken ? all - f->taken : 0;

    if (f->m->gone || f->state != FILE_RUNS || f->over || f->starved)
        return false;
    if (all > media_max_bytes(c) || !fits(f, more)) {
        f->over = true;
        return false;
    }
    take_room(f, more);
    if (!begin_file(f) || !write_all(f->fd, piece)) {
        f->starved = true;
        return false;
    }
    f->bytes = all;
    return true;
}

void channel_fetch_again(struct channel *c, void *ticket)
{
    struct file *f = ticket;

    (void)c;
    fd_close(&f->fd);
    f->bytes = 0;
    f->over = f->starved = false;
}

void channel_fetched(struct channel *c, void *ticket, const char *why)
{
    struct file *f = ticket;
    struct media *m = f->m;

    if (f->state != FILE_RUNS)
        return;
    m->running--;
    c->media->running--;
    if (m->gone)
        f->state = FILE_WAITS;
    else if (f->over)
        too_large(f, f->said > f->bytes ? f->said : 0);
    else if (f->starved)
        fail(f, "there is no memory for it");
    else if (why)
        fail(f, "could not be fetched: %s", why);
    else if (!f->bytes)
        fail(f, "it is empty");
    else if (!settle(f))
        fail(f, "there is no memory for it");
    else
        f->state = FILE_THERE;
    if (f->state == FILE_THERE)
        give_back(f, f->bytes);
    step_soon(c);
    if (m->gone && !m->running)
        media_free(&m);
}

/* ---- a message's files ---- */

/* It stands in the message's text. */
static bool is_word(struct view v)
{
    for (size_t i = 0; i < v.n; i++)
        if (!(v.p[i] >= 'a' && v.p[i] <= 'z') && v.p[i] != '_' && v.p[i] != ' ')
            return false;
    return v.n && v.n < KIND_BYTES;
}

static void keep_name(struct file *f, struct view said)
{
    struct buf b = BUF_INIT(NAME_ROOM - 1);

    if (said.n)
        media_name(said, view_str(f->kind), 0, VIEW_EMPTY, &b);
    keep(f->name, sizeof(f->name), buf_view(&b));
    buf_fini(&b);
}

static int open_room(struct channel *c, struct err *e)
{
    int r;

    if (c->media) /* who never gets a file pays nothing */
        return 0;
    if ((r = mem_new(&c->media, sizeof(*c->media), e)) < 0)
        return r;
    c->media->end = &c->media->first;
    c->media->step = (struct loop_task){.run = on_step, .ctx = c->media};
    return 0;
}

int media_new(struct media **out, struct channel *c, const struct channel_event *ev,
              void (*on_end)(void *ctx), void *ctx, struct err *e)
{
    unsigned n = ev->media_n < CHANNEL_MEDIA_MAX ? ev->media_n : CHANNEL_MEDIA_MAX;
    struct media *m;
    int r;

    *out = NULL;
    if (!n)
        return 0;
    if ((r = open_room(c, e)) < 0 || (r = mem_new(&m, sizeof(*m) + n * sizeof(m->files[0]), e)) < 0)
        return r;
    m->c = c;
    m->on_end = on_end;
    m->ctx = ctx;
    m->n = n;
    for (unsigned i = 0; i < n; i++) {
        const struct channel_media *from = &ev->media[i];
        struct file *f = &m->files[i];

        *f = (struct file){.m = m, .fd = -1, .said = from->bytes};
        keep(f->ref, sizeof(f->ref), from->ref);
        keep(f->kind, sizeof(f->kind), is_word(from->kind) ? from->kind : V("file"));
        keep(f->type, sizeof(f->type), from->type);
        keep_name(f, from->name);
        if (!from->ref.n || from->ref.n > CHANNEL_TARGET_BYTES)
            fail(f, "the platform does not say where it is");
    }
    *out = m;
    return 0;
}

size_t media_bytes(const struct media *m)
{
    return m ? sizeof(*m) + m->n * sizeof(m->files[0]) : 0;
}

void media_fetch(struct media *m)
{
    struct media_room *room = m->c->media;

    if (m->at)
        return;
    m->at = room->end;
    m->next = NULL;
    *room->end = m;
    room->end = &m->next;
    step_soon(m->c);
}

void media_free(struct media **mp)
{
    struct media *m = TAKE(*mp);

    if (!m)
        return;
    leave_queue(m);
    for (unsigned i = 0; i < m->n; i++) {
        fd_close(&m->files[i].fd);
        give_back(&m->files[i], 0);
    }
    if (m->running) { /* channel_fetched comes for each */
        m->gone = true;
        return;
    }
    step_soon(m->c);
    mem_free(m);
}

/* ---- what the hub is told ---- */

static int tell(const struct file *f, struct link *hub, struct view update_id, unsigned index,
                struct err *e)
{
    struct ipc_inbound_media m = {.update_id = update_id,
                                  .index = index,
                                  .type = view_str(f->type),
                                  .name = view_str(f->name),
                                  .bytes = fcntl(f->fd, F_DUPFD_CLOEXEC, 0)};
    int r;

    if (m.bytes < 0)
        return err_sys(e, "a file of a message");
    if ((r = msg_send_inbound_media(hub, &m, e)) < 0)
        fd_close(&m.bytes);
    return r;
}

int media_tell(const struct media *m, struct link *hub, struct view update_id, struct err *e)
{
    unsigned n = 0;
    int r = 0;

    for (unsigned i = 0; m && i < m->n && r == 0; i++)
        if (m->files[i].state == FILE_THERE)
            r = tell(&m->files[i], hub, update_id, n++, e);
    return r;
}

static void put_missing(const struct file *f, struct buf *out)
{
    if (out->n)
        buf_put_char(out, '\n');
    buf_printf(out, "[%s", f->kind);
    if (f->name[0])
        buf_printf(out, " \"%s\"", f->name);
    buf_printf(out, ": %s]", f->why);
}

void media_text(const struct media *m, struct view text, struct buf *out)
{
    const char *first = NULL;
    unsigned n = 0;

    buf_put_view(out, text);
    for (unsigned i = 0; i < m->n; i++)
        if (m->files[i].state != FILE_FAILED && n++ == 0)
            first = m->files[i].kind;
    if (!text.n && n == 1)
        buf_printf(out, "<media:%s>", first);
    else if (!text.n && n)
        buf_printf(out, "<media:%s> (%u files)", first, n);
    for (unsigned i = 0; i < m->n; i++)
        if (m->files[i].state == FILE_FAILED)
            put_missing(&m->files[i], out);
}

void media_close(struct channel *c)
{
    if (!c->media)
        return;
    loop_undefer(c->w.loop, &c->media->step);
    mem_free(c->media);
    c->media = NULL;
}
