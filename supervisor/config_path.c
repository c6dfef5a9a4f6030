#include "config_path.h"

#include <assert.h>
#include <stdio.h>

void config_path_key(struct config_path *p, struct view key)
{
    assert(p->n < CONFIG_PATH_MAX);
    if (p->known > p->n) /* of what stood here before */
        p->known = p->n;
    p->part[p->n++] = (struct config_part){.key = key};
}

void config_path_index(struct config_path *p, size_t index)
{
    assert(p->n < CONFIG_PATH_MAX);
    if (p->known > p->n)
        p->known = p->n;
    p->part[p->n++] = (struct config_part){.key = {NULL, 0}, .index = index};
}

void config_path_pop(struct config_path *p)
{
    assert(p->n > 0);
    p->n--;
}

/* May stand in the text without quotes. */
static bool plain(struct view key)
{
    for (size_t i = 0; i < key.n; i++) {
        char c = key.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '-' || c == '$'))
            return false;
    }
    return key.n > 0;
}

static void put_part(struct buf *b, const struct config_part *part, bool first)
{
    if (!part->key.p) {
        buf_printf(b, "[%zu]", part->index);
    } else if (plain(part->key)) {
        if (!first)
            buf_put_char(b, '.');
        buf_put_view(b, part->key);
    } else {
        buf_put_str(b, "[\"");
        buf_put_view(b, part->key);
        buf_put_str(b, "\"]");
    }
}

void config_path_text(const struct config_path *p, char out[CONFIG_PATH_TEXT_MAX])
{
    struct buf b = BUF_INIT(CONFIG_PATH_TEXT_MAX * 8);
    struct view v;

    for (unsigned i = 0; i < p->n && b.n < CONFIG_PATH_TEXT_MAX; i++)
        put_part(&b, &p->part[i], i == 0);
    v = buf_view(&b);
    if (v.n >= CONFIG_PATH_TEXT_MAX)
        v.n = CONFIG_PATH_TEXT_MAX - 1;
    memcpy(out, v.p, v.n);
    out[v.n] = 0;
    for (char *c = out; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    buf_fini(&b);
}
