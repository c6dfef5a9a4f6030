#include "prefix.h"

#include "json.h"
#include "mem.h"

static const struct {
    struct view name;
    const char *member;
} table[] = {{{"model", 5}, "model"},
             {{"modelFull", 9}, "modelFull"},
             {{"provider", 8}, "provider"},
             {{"thinkingLevel", 13}, "thinkingLevel"},
             {{"think", 5}, "thinkingLevel"},
             {{"identity.name", 13}, "identityName"},
             {{"identityName", 12}, "identityName"}};

static const char *member_of(struct view name)
{
    for (size_t i = 0; i < COUNT_OF(table); i++)
        if (view_ieq(table[i].name, name))
            return table[i].member;
    return NULL;
}

bool prefix_write(struct view words, const json_t *vars, struct buf *out)
{
    size_t begin = out->n;
    bool known = true;

    words = view_trim(words);
    if (words.n > PREFIX_BYTES)
        return false;
    if (view_eq(words, V("auto"))) {
        struct view name = json_view(vars, "identityName");

        if (name.n)
            buf_printf(out, "[%.*s]", VIEW_FMT(name));
        return name.n > 0;
    }
    for (size_t i = 0; i < words.n;) {
        struct view rest = view_from(words, i), value;
        size_t end = rest.p[0] == '{' ? view_find(rest, '}') : rest.n;
        const char *member = end < rest.n ? member_of(view_of(rest.p + 1, end - 1)) : NULL;

        value = member ? json_view(vars, member) : VIEW_EMPTY;
        known = known && (!member || vars);
        if (value.n) {
            buf_put_view(out, value);
            i += end + 1;
        } else {
            buf_put_char(out, words.p[i++]);
        }
    }
    return known && out->n > begin && out->n - begin <= 4 * PREFIX_BYTES;
}
