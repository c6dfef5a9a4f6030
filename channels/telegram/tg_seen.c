#include "tg_seen.h"

#include "mem.h"

#include <string.h>

/* The row of id, or where it would stand. */
static unsigned place(const struct tg_seen *s, int64_t id)
{
    unsigned i = s->n;

    while (i > 0 && s->rows[i - 1].id >= id)
        i--;
    return i;
}

static bool there(const struct tg_seen *s, unsigned i, int64_t id)
{
    return i < s->n && s->rows[i].id == id;
}

/* The offset goes over what is safe, as far as it reaches without a gap in what we know. */
static void advance(struct tg_seen *s)
{
    unsigned n = 0;

    while (n < s->n && s->rows[n].safe)
        s->next = s->rows[n++].id + 1;
    s->n -= n;
    memmove(s->rows, s->rows + n, s->n * sizeof(*s->rows));
}

enum tg_seen_is tg_seen_look(struct tg_seen *s, int64_t id, int64_t now_ms)
{
    unsigned i;

    if (id < 0)
        return TG_SEEN_KNOWN;
    if (s->next && id < s->next) {
        if (s->next - id <= TG_SEEN_BACK)
            return TG_SEEN_KNOWN;
        s->n = 0; /* numbered anew; who still works on an older one finds no row, and needs none */
        s->next = id;
    }
    i = place(s, id);
    if (there(s, i, id))
        return TG_SEEN_KNOWN;
    if (s->n == TG_SEEN_MAX)
        return TG_SEEN_FULL;
    if (!s->next)
        s->next = id;
    memmove(s->rows + i + 1, s->rows + i, (s->n - i) * sizeof(*s->rows));
    s->rows[i] = (struct tg_seen_row){.id = id};
    s->n++;
    s->at_ms = now_ms;
    return TG_SEEN_NEW;
}

void tg_seen_safe(struct tg_seen *s, int64_t id)
{
    unsigned i = place(s, id);

    if (!there(s, i, id))
        return;
    s->rows[i].safe = true;
    advance(s);
}

void tg_seen_forget(struct tg_seen *s, int64_t id)
{
    unsigned i = place(s, id);

    if (!there(s, i, id))
        return;
    s->n--;
    memmove(s->rows + i, s->rows + i + 1, (s->n - i) * sizeof(*s->rows));
}

int64_t tg_seen_offset(const struct tg_seen *s, int64_t now_ms)
{
    return s->n == 0 && now_ms - s->at_ms > TG_SEEN_QUIET_MS ? 0 : s->next;
}

bool tg_seen_waits(const struct tg_seen *s)
{
    return s->n > 0;
}
