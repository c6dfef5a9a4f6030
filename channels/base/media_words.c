/* channels/base/media_words.c - what is said of a file. Pure. */
#include "media.h"

#include "sniff.h"
#include "utf8.h"

static bool fine(struct view v)
{
    return v.n && !view_eq(v, V(".")) && !view_eq(v, V(".."));
}

/* Cut behind a whole character. */
static struct view cut(struct view v, size_t max)
{
    if (v.n > max) {
        v.n = max;
        while (v.n && ((unsigned char)v.p[v.n] & 0xc0) == 0x80)
            v.n--;
    }
    return v;
}

void media_name(struct view said, struct view kind, unsigned index, struct view type,
                struct buf *out)
{
    struct view extension = sniff_extension(type);
    size_t at = out->n;

    for (size_t i = said.n; i > 0; i--)
        if (said.p[i - 1] == '/' || said.p[i - 1] == '\\') {
            said = view_from(said, i);
            break;
        }
    said = cut(view_trim(said), MEDIA_NAME_BYTES);
    for (size_t i = 0; utf8_valid(said) && i < said.n; i++)
        if ((unsigned char)said.p[i] >= ' ' && said.p[i] != 0x7f)
            buf_put_char(out, said.p[i]);
    if (fine(view_from(buf_view(out), at)))
        return;
    buf_cut(out, at);
    buf_put_view(out, kind.n ? cut(kind, 32) : V("file"));
    if (index)
        buf_printf(out, "-%u", index + 1);
    if (extension.n) {
        buf_put_char(out, '.');
        buf_put_view(out, extension);
    }
}

void media_size(uint64_t bytes, struct buf *out)
{
    static const struct {
        uint64_t bytes;
        const char *name;
    } units[] = {{1000000000, "GB"}, {1000000, "MB"}, {1000, "KB"}};

    for (size_t i = 0; i < COUNT_OF(units); i++)
        if (bytes >= units[i].bytes) {
            buf_put_u64(out, (bytes + units[i].bytes / 2) / units[i].bytes);
            buf_printf(out, " %s", units[i].name);
            return;
        }
    buf_printf(out, "%u bytes", (unsigned)bytes);
}
