/* channels/base/media_out.c - files that the hub wants to be said, until their part comes. */
#include "fd.h"
#include "media.h"

#include <sys/stat.h>

enum { TYPE_BYTES = 128 + 1, NAME_BYTES = 256 + 1, URL_BYTES = 2048 + 1 };

struct blob {
    struct blob *next;
    uint64_t delivery_id, bytes;
    uint32_t attempt, part, index, flags;
    int fd; /* owned */
    char type[TYPE_BYTES], name[NAME_BYTES], url[URL_BYTES];
};

struct media_out {
    struct blob *first, **end;
    unsigned n;
};

struct media_part {
    unsigned n;
    struct channel_blob blobs[CHANNEL_MEDIA_MAX]; /* views into those below */
    struct blob *own[CHANNEL_MEDIA_MAX];
};

static void copy(char *room, size_t size, struct view v)
{
    size_t n = v.n < size ? v.n : size - 1;

    memcpy(room, v.p, n);
    room[n] = '\0';
}

static void free_blob(struct blob *b)
{
    fd_close(&b->fd);
    mem_free(b);
}

static int open_out(struct channel *c, struct err *e)
{
    int r;

    if (c->blobs)
        return 0;
    if ((r = mem_new(&c->blobs, sizeof(*c->blobs), e)) < 0)
        return r;
    c->blobs->end = &c->blobs->first;
    return 0;
}

/* Out of the list. */
static struct blob *unlink_blob(struct media_out *o, struct blob **at)
{
    struct blob *b = *at;

    if (!(*at = b->next))
        o->end = at;
    o->n--;
    return b;
}

/* The hub says one part at a time: what is here of an attempt before was never followed by it. */
static void drop_old(struct media_out *o, const struct ipc_deliver_media *m)
{
    for (struct blob **at = &o->first; *at;)
        if ((*at)->delivery_id == m->delivery_id &&
            ((*at)->attempt != m->attempt || (*at)->part != m->part))
            free_blob(unlink_blob(o, at));
        else
            at = &(*at)->next;
}

int media_on_deliver(void *ctx, struct link *from, struct ipc_deliver_media *m, struct err *e)
{
    struct channel *c = ctx;
    struct stat st;
    struct blob *b;
    int r;

    if (from != channel_hub(c)) /* as its message: out_on_deliver */
        return 0;
    if ((r = open_out(c, e)) < 0)
        return r;
    drop_old(c->blobs, m);
    if (c->blobs->n >= MEDIA_OUT_MAX || m->index >= CHANNEL_MEDIA_MAX)
        return err_set(e, ERR_LIMIT, "deliver_media: more than %d files, or one of number %u",
                       (int)MEDIA_OUT_MAX, m->index);
    if (fstat(m->bytes, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size <= 0)
        return err_set(e, ERR_INVALID, "deliver_media: bytes: no file, or an empty one");
    if ((r = mem_new(&b, sizeof(*b), e)) < 0)
        return r;
    b->delivery_id = m->delivery_id;
    b->attempt = m->attempt;
    b->part = m->part;
    b->index = m->index;
    b->flags = m->flags;
    b->bytes = (uint64_t)st.st_size;
    b->fd = fd_take(&m->bytes);
    copy(b->type, sizeof(b->type), m->type);
    copy(b->name, sizeof(b->name), m->name);
    copy(b->url, sizeof(b->url), m->url);
    *c->blobs->end = b;
    c->blobs->end = &b->next;
    c->blobs->n++;
    return 0;
}

static bool belongs(const struct blob *b, const struct ipc_deliver *m)
{
    return b->delivery_id == m->delivery_id && b->attempt == m->attempt && b->part == m->part;
}

static void put(struct media_part *p, struct blob *b)
{
    struct channel_blob *out = &p->blobs[b->index];

    if (p->own[b->index]) { /* said twice: the later one */
        free_blob(p->own[b->index]);
        p->n--;
    }
    p->own[b->index] = b;
    p->n++;
    *out = (struct channel_blob){.fd = b->fd,
                                 .bytes = b->bytes,
                                 .type = view_str(b->type),
                                 .name = view_str(b->name),
                                 .voice = b->flags & MEDIA_VOICE,
                                 .document = b->flags & MEDIA_DOCUMENT,
                                 .gif = b->flags & MEDIA_GIF};
}

int media_take(struct channel *c, const struct ipc_deliver *m, struct media_part **out,
               struct err *e)
{
    struct media_part *p;
    bool whole;
    int r;

    *out = NULL;
    if (!m->media)
        return 0;
    if ((r = open_out(c, e)) < 0 || (r = mem_new(&p, sizeof(*p), e)) < 0)
        return r;
    for (struct blob **at = &c->blobs->first; *at;)
        if (belongs(*at, m))
            put(p, unlink_blob(c->blobs, at));
        else
            at = &(*at)->next;
    whole = p->n == m->media;
    for (unsigned i = 0; whole && i < p->n; i++)
        whole = p->own[i] != NULL;
    if (!whole) {
        r = err_set(e, ERR_AGAIN, "%u of %u files came", p->n, m->media);
        media_part_free(&p);
        return r;
    }
    *out = p;
    return 0;
}

unsigned media_count(const struct media_part *p)
{
    return p ? p->n : 0;
}

const struct channel_blob *media_blobs(const struct media_part *p)
{
    return p ? p->blobs : NULL;
}

/* Its address or its name, whichever there is room for; false: neither. */
static bool say_one(const struct blob *b, bool first, size_t room, struct buf *out)
{
    size_t before = out->n;

    for (unsigned i = b->url[0] ? 0 : 1; i < 2; i++) {
        if (!first)
            buf_put_char(out, ' ');
        if (i == 0)
            buf_put_str(out, b->url);
        else
            buf_printf(out, "[%s (%s)]", b->name[0] ? b->name : "file", b->type);
        if (out->n - before <= room)
            return true;
        buf_cut(out, before);
    }
    return false;
}

void media_say(const struct media_part *p, size_t max, struct buf *out)
{
    size_t begin = out->n;
    unsigned i = 0;

    while (i < p->n && say_one(p->own[i], i == 0, max - (out->n - begin), out))
        i++;
    if (i && i < p->n)
        buf_printf(out, " [and %u more]", p->n - i);
    else if (i < p->n)
        buf_put_str(out, p->n == 1 ? "[a file]" : "[files]");
}

void media_part_free(struct media_part **pp)
{
    struct media_part *p = TAKE(*pp);

    for (unsigned i = 0; p && i < CHANNEL_MEDIA_MAX; i++)
        if (p->own[i])
            free_blob(p->own[i]);
    mem_free(p);
}

void media_forget(struct channel *c)
{
    while (c->blobs && c->blobs->first)
        free_blob(unlink_blob(c->blobs, &c->blobs->first));
}
