/* channels/external/ext_media.c - files of messages between the gateway and the program: in pieces
 * that fit into a line, the next one when the last one was answered, so that nothing piles up. */
#include "ext_int.h"

#include "b64.h"
#include "json.h"
#include "mem.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum {
    PIECE_MS = 60 * 1000,
    WHOLE_MS = 300 * 1000, /* of a file on its way in: others wait for its place */
    TRIES = 3,
    AGAIN_MS = 1000,
};

/* ---- in ---- */

struct ext_fetch {
    struct external *x;
    struct ext_fetch *next, **at;
    void *ticket;
    struct call *call;
    struct loop_timer again;
    uint64_t offset, begun_ms;
    unsigned tries;
    char ref[CHANNEL_TARGET_BYTES + 1];
};

static void ask(struct ext_fetch *f);

static void end_fetch(struct ext_fetch *f, const char *why)
{
    struct channel *c = f->x->c;
    void *ticket = f->ticket;

    if (f->call)
        ext_forget(f->call);
    loop_timer_fini(&f->again);
    if ((*f->at = f->next))
        f->next->at = f->at;
    mem_free(f);
    channel_fetched(c, ticket, why);
}

static void on_again(void *ctx)
{
    ask(ctx);
}

/* It may work later. */
static void later(struct ext_fetch *f, const char *why)
{
    if (++f->tries >= TRIES)
        end_fetch(f, why);
    else
        loop_timer_set(&f->again, (uint64_t)AGAIN_MS << (f->tries - 1));
}

static void refused(struct ext_fetch *f, const json_t *error)
{
    struct channel_result r = {.outcome = CHANNEL_SENT};
    char why[160];

    ext_result(error, &r);
    (void)snprintf(why, sizeof(why), "%.*s", (int)(r.error.n < 150 ? r.error.n : 150), r.error.p);
    if (r.outcome == CHANNEL_PERMANENT)
        end_fetch(f, why);
    else
        later(f, why);
}

static void on_piece(struct external *x, struct call *k, const json_t *result, const json_t *error)
{
    struct ext_fetch *f = k->ctx;
    struct buf b = BUF_INIT(2 * EXT_PIECE_BYTES);
    struct err e = ERR_INIT;
    bool end = false;

    f->call = NULL;
    if (error) {
        refused(f, error);
        return;
    }
    if (ext_piece_read(result, &b, &end, &e) < 0) {
        end_fetch(f, e.text);
    } else if (!channel_fetch_put(x->c, f->ticket, buf_view(&b)) || end) {
        end_fetch(f, NULL);
    } else if (loop_now_ms(channel_loop(x->c)) - f->begun_ms > WHOLE_MS) {
        end_fetch(f, "the program is too slow");
    } else {
        f->offset += b.n;
        ask(f);
    }
    buf_fini(&b);
}

static void ask(struct ext_fetch *f)
{
    struct call *k = ext_call(f->x, PIECE_MS);
    struct buf b = BUF_INIT(EXT_LINE_BYTES);
    struct jw w = JW_INIT(&b);
    struct err e = ERR_INIT;

    if (!k) {
        later(f, "the program has too much to do");
        return;
    }
    k->on_answer = on_piece;
    k->ctx = f;
    f->call = k;
    ext_open(&w, "media.fetch", k->id);
    jw_kcstr(&w, "ref", f->ref);
    jw_ku64(&w, "offset", f->offset);
    jw_ku64(&w, "limit", EXT_PIECE_BYTES);
    if (ext_close(f->x, &w, &e) < 0) {
        ext_forget(k);
        f->call = NULL;
        later(f, e.text);
    }
    buf_fini(&b);
}

void ext_fetch(struct channel *c, struct view ref, uint64_t max_bytes, void *ticket)
{
    struct external *x = channel_user(c);
    struct err e = ERR_INIT;
    struct ext_fetch *f;

    (void)max_bytes; /* whoever has the ticket counts */
    if (mem_new(&f, sizeof(*f), &e) < 0) {
        channel_fetched(c, ticket, e.text);
        return;
    }
    f->x = x;
    f->ticket = ticket;
    f->begun_ms = loop_now_ms(channel_loop(c));
    (void)snprintf(f->ref, sizeof(f->ref), "%.*s", VIEW_FMT(ref));
    if ((f->next = x->fetches))
        f->next->at = &f->next;
    f->at = &x->fetches;
    x->fetches = f;
    loop_timer_init(&f->again, channel_loop(c), on_again, f);
    ask(f);
}

/* ---- out ---- */

struct ext_upload {
    struct external *x;
    struct ext_upload *next, **at;
    struct channel_op *op;
    struct call *call;
    uint64_t first; /* number of its first file */
    unsigned file;
    uint64_t offset;
};

static void put_ref(struct jw *w, uint64_t number)
{
    char ref[32];

    (void)snprintf(ref, sizeof(ref), "file-%llu", (unsigned long long)number);
    jw_kcstr(w, "ref", ref);
}

static struct ext_upload *upload_of(const struct external *x, const struct channel_op *op)
{
    struct ext_upload *u = x->uploads;

    while (u && u->op != op)
        u = u->next;
    return u;
}

static void forget(struct ext_upload *u)
{
    if (u->call)
        ext_forget(u->call);
    if ((*u->at = u->next))
        u->next->at = u->at;
    mem_free(u);
}

void ext_put_files(struct external *x, struct jw *w, const struct channel_op *op)
{
    struct ext_upload *u = upload_of(x, op);

    if (!u)
        return;
    jw_key(w, "media");
    jw_arr(w);
    for (unsigned i = 0; i < op->media_n; i++) {
        const struct channel_blob *b = &op->media[i];

        jw_obj(w);
        put_ref(w, u->first + i);
        jw_kstr(w, "type", b->type);
        jw_kstr(w, "name", b->name);
        jw_ku64(w, "bytes", b->bytes);
        if (b->voice)
            jw_kbool(w, "voice", true);
        if (b->document)
            jw_kbool(w, "document", true);
        if (b->gif)
            jw_kbool(w, "gif", true);
        jw_obj_end(w);
    }
    jw_arr_end(w);
}

/* Nothing was said: the program has files that nobody will name. */
static void give_up(struct ext_upload *u, const struct channel_result *r)
{
    struct external *x = u->x;
    struct channel_op *op = u->op;
    struct buf b = BUF_INIT(4096);
    struct err e = ERR_INIT;

    for (unsigned i = 0; i <= u->file && i < op->media_n; i++) {
        struct jw w = JW_INIT(&b);

        buf_reset(&b, 4096);
        ext_open(&w, "media.drop", 0);
        put_ref(&w, u->first + i);
        if (ext_close(x, &w, &e) < 0)
            break; /* it does not read, and has worse to worry about */
    }
    buf_fini(&b);
    forget(u);
    channel_done(x->c, op, r);
}

static void fail(struct ext_upload *u, enum channel_outcome o, struct view why)
{
    give_up(u, &(struct channel_result){.outcome = o, .error = why});
}

static void next_piece(struct ext_upload *u);

static void on_put(struct external *x, struct call *k, const json_t *result, const json_t *error)
{
    struct ext_upload *u = k->ctx;
    struct channel_result r = {.outcome = CHANNEL_TRANSIENT};

    (void)x;
    (void)result;
    u->call = NULL;
    if (!error) {
        next_piece(u);
        return;
    }
    ext_result(error, &r);
    if (r.outcome == CHANNEL_UNKNOWN) /* of a file only: nothing was said yet */
        r.outcome = CHANNEL_TRANSIENT;
    give_up(u, &r);
}

/* The piece at offset; 0: there is none. */
static size_t read_piece(const struct channel_blob *b, uint64_t offset, struct buf *out)
{
    uint64_t left = b->bytes - offset;
    size_t want = left < EXT_PIECE_BYTES ? (size_t)left : EXT_PIECE_BYTES;
    char *room = buf_room(out, want);
    ssize_t n;

    do
        n = room ? pread(b->fd, room, want, (off_t)offset) : -1;
    while (n < 0 && room && errno == EINTR);
    if (n > 0)
        buf_added(out, (size_t)n);
    return n > 0 ? (size_t)n : 0;
}

static void put_piece(struct ext_upload *u, const struct channel_blob *b)
{
    struct call *k = ext_call(u->x, PIECE_MS);
    struct buf line = BUF_INIT(EXT_LINE_BYTES), piece = BUF_INIT(EXT_PIECE_BYTES);
    struct buf text = BUF_INIT(EXT_LINE_BYTES);
    struct jw w = JW_INIT(&line);
    struct err e = ERR_INIT;
    size_t n = k ? read_piece(b, u->offset, &piece) : 0;
    int r = -1;

    if (n) {
        b64_put(&text, buf_view(&piece));
        k->on_answer = on_put;
        k->ctx = u;
        ext_open(&w, "media.put", k->id);
        put_ref(&w, u->first + u->file);
        jw_ku64(&w, "offset", u->offset);
        jw_kstr(&w, "data", buf_view(&text));
        jw_kbool(&w, "end", u->offset + n == b->bytes);
        line.failed |= text.failed;
        r = ext_close(u->x, &w, &e);
    }
    buf_fini(&piece);
    buf_fini(&text);
    buf_fini(&line);
    if (r == 0) {
        u->call = k;
        u->offset += n;
        return;
    }
    if (k)
        ext_forget(k);
    if (k && !n)
        fail(u, CHANNEL_PERMANENT, V("the file cannot be read"));
    else
        fail(u, CHANNEL_TRANSIENT, V("the program has too much to do"));
}

static void next_piece(struct ext_upload *u)
{
    if (u->offset == u->op->media[u->file].bytes) {
        u->file++;
        u->offset = 0;
    }
    if (u->file < u->op->media_n)
        put_piece(u, &u->op->media[u->file]);
    else
        ext_send(u->x, u->op);
}

void ext_upload(struct external *x, struct channel_op *op)
{
    struct err e = ERR_INIT;
    struct ext_upload *u;

    if (mem_new(&u, sizeof(*u), &e) < 0) {
        channel_done(
            x->c, op,
            &(struct channel_result){.outcome = CHANNEL_TRANSIENT, .error = view_str(e.text)});
        return;
    }
    u->x = x;
    u->op = op;
    u->first = x->next_file + 1;
    x->next_file += op->media_n;
    if ((u->next = x->uploads))
        u->next->at = &u->next;
    u->at = &x->uploads;
    x->uploads = u;
    next_piece(u);
}

void ext_uploaded(struct external *x, const struct channel_op *op)
{
    struct ext_upload *u = upload_of(x, op);

    if (u)
        forget(u);
}

void ext_media_close(struct external *x)
{
    while (x->fetches)
        end_fetch(x->fetches, "the channel is stopping");
    while (x->uploads)
        forget(x->uploads);
}
