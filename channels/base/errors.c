#include "errors.h"

#include "json.h"

enum { ERRORS_MAX = 64, QUIET_MS = 4 * 3600 * 1000 };

struct errors {
    struct {
        uint64_t key, until_ms;
    } said[ERRORS_MAX];
    unsigned next;
};

/* FNV-1a: who makes two sentences equal hears one of them. */
static uint64_t key_of(struct view target, struct view text)
{
    const struct view all[] = {target, text};
    uint64_t h = 14695981039346656037u;

    for (size_t i = 0; i < COUNT_OF(all); i++) {
        for (size_t k = 0; k < all[i].n; k++)
            h = (h ^ (unsigned char)all[i].p[k]) * 1099511628211u;
        h = (h ^ 0xff) * 1099511628211u;
    }
    return h;
}

bool errors_held(struct channel *c, struct view target, struct view text)
{
    struct view policy = json_view(c->conf, "errorPolicy");
    uint64_t now = loop_now_ms(c->w.loop), key = key_of(target, text);

    if (view_eq(policy, V("silent")))
        return true;
    if (!view_eq(policy, V("once")))
        return false;
    if (!c->errors && !(c->errors = mem_alloc(sizeof(*c->errors))))
        return false;
    for (unsigned i = 0; i < ERRORS_MAX; i++)
        if (c->errors->said[i].key == key && c->errors->said[i].until_ms > now)
            return true;
    c->errors->said[c->errors->next].key = key;
    c->errors->said[c->errors->next].until_ms = now + QUIET_MS;
    c->errors->next = (c->errors->next + 1) % ERRORS_MAX;
    return false;
}

void errors_close(struct channel *c)
{
    mem_free(c->errors);
    c->errors = NULL;
}
