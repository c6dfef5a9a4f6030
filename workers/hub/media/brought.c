#include "brought.h"

#include "fd.h"
#include "log.h"
#include "worker.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct brought {
    struct brought *next; /* newest first */
    const struct link *from;
    uint32_t index;
    int fd;                        /* owned; -1: dropped for want of room */
    char *update_id, *type, *name; /* owned */
};

static void brought_free(struct brought *b)
{
    fd_close(&b->fd);
    mem_free(b->update_id);
    mem_free(b->type);
    mem_free(b->name);
    mem_free(b);
}

static bool is_of(const struct brought *b, const struct link *from, struct view update_id)
{
    return b->from == from && view_eq(view_str(b->update_id), update_id);
}

/* Only what can never change again is looked at in place. */
static int check(const struct ipc_inbound_media *m, struct err *e)
{
    int seals = fcntl(m->bytes, F_GET_SEALS);
    struct stat st;

    if (m->update_id.n == 0 || m->index >= BROUGHT_INDEX_MAX)
        return err_set(e, ERR_INVALID, "inbound_media: file %u of an update", m->index);
    if (seals < 0 || (seals & (F_SEAL_WRITE | F_SEAL_SHRINK)) != (F_SEAL_WRITE | F_SEAL_SHRINK))
        return err_set(e, ERR_INVALID, "inbound_media: no sealed memory file");
    if (fstat(m->bytes, &st) < 0 || st.st_size <= 0 || st.st_size > MEDIA_FILE_MAX)
        return err_set(e, ERR_INVALID, "inbound_media: a file of 1 to %d bytes", MEDIA_FILE_MAX);
    return 0;
}

/* The oldest of another message goes; its message will be asked for again. */
static bool make_room(struct hub *h, const struct link *from, struct view update_id, bool own)
{
    struct brought *oldest = NULL;

    for (struct brought *b = h->brought; b; b = b->next)
        if (b->fd >= 0 && (!own || b->from == from) && !is_of(b, from, update_id))
            oldest = b;
    if (!oldest)
        return false;
    fd_close(&oldest->fd);
    return true;
}

static bool knows_too_many(const struct hub *h, const struct link *from)
{
    unsigned n = 0;

    for (const struct brought *b = h->brought; b; b = b->next)
        n += b->from == from;
    return n >= BROUGHT_KNOWN;
}

static bool has_room(struct hub *h, const struct link *from, struct view update_id)
{
    unsigned all = 0, own = 0;

    for (const struct brought *b = h->brought; b; b = b->next) {
        all += b->fd >= 0;
        own += b->fd >= 0 && b->from == from;
    }
    return (own < BROUGHT_OF_ONE || make_room(h, from, update_id, true)) &&
           (all < BROUGHT_MAX || make_room(h, from, update_id, false));
}

static void forget(struct hub *h, const struct link *from, struct view update_id, uint32_t index,
                   bool any)
{
    for (struct brought **at = &h->brought; *at;) {
        struct brought *b = *at;

        if (!is_of(b, from, update_id) || (!any && b->index != index)) {
            at = &b->next;
            continue;
        }
        *at = b->next;
        brought_free(b);
    }
}

int brought_on_media(struct hub *h, struct link *from, struct ipc_inbound_media *m, struct err *e)
{
    struct brought *b;
    int r = check(m, e);

    if (r < 0)
        return r;
    forget(h, from, m->update_id, m->index, false);
    if (knows_too_many(h, from))
        return err_set(e, ERR_LIMIT, "inbound_media: files of messages that never come");
    if ((r = mem_new(&b, sizeof(*b), e)) < 0)
        return r;
    b->from = from;
    b->index = m->index;
    b->fd = has_room(h, from, m->update_id) ? fd_take(&m->bytes) : -1;
    b->update_id = mem_dup(m->update_id.p, m->update_id.n);
    b->type = mem_dup(m->type.p, m->type.n);
    b->name = mem_dup(m->name.p, m->name.n);
    if (!b->update_id || !b->type || !b->name) {
        brought_free(b);
        return err_set(e, ERR_NOMEM, "inbound_media: out of memory");
    }
    b->next = h->brought;
    h->brought = b;
    return 0;
}

void brought_line_gone(struct hub *h, const struct link *from)
{
    for (struct brought **at = &h->brought; *at;) {
        struct brought *b = *at;

        if (b->from != from) {
            at = &b->next;
            continue;
        }
        *at = b->next;
        brought_free(b);
    }
}

static struct brought *next_of(struct hub *h, const struct link *from, struct view update_id,
                               uint32_t at_least)
{
    struct brought *best = NULL;

    for (struct brought *b = h->brought; b; b = b->next)
        if (is_of(b, from, update_id) && b->index >= at_least && (!best || b->index < best->index))
            best = b;
    return best;
}

int brought_take(struct hub *h, const struct link *from, struct view update_id,
                 struct attachments *out, struct err *e)
{
    struct brought *b;
    uint32_t at = 0;
    int r = 0;

    while (r == 0 && (b = next_of(h, from, update_id, at))) {
        r = b->fd < 0 ? err_set(e, ERR_AGAIN, "too many files wait for their messages")
                      : attach_map(out, b->fd, view_str(b->type), view_str(b->name), e);
        at = b->index + 1;
    }
    return r;
}

void brought_done(struct hub *h, const struct link *from, struct view update_id)
{
    if (h->brought)
        forget(h, from, update_id, 0, true);
}

void brought_close(struct hub *h)
{
    while (h->brought) {
        struct brought *b = h->brought;

        h->brought = b->next;
        brought_free(b);
    }
}
