/* The beginning of a file, and the type and the name that its sender says: a type of ours or a
 * clean one comes out, never a picture or a film that the bytes do not show, and a name that is no
 * path. */
#include "media.h"
#include "sniff.h"
#include "utf8.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void must(bool yes)
{
    if (!yes)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct view all = view_of((const char *)data, n), said, type, plain;
    size_t nul = view_find(all, '\0');
    struct buf name = BUF_INIT(1024);

    said = view_of(all.p, nul);
    type = sniff_type(view_from(all, nul + 1), said);
    plain = sniff_type(view_from(all, nul + 1), VIEW_EMPTY);
    must(type.n > 2 && type.n <= SNIFF_TYPE_MAX && view_find(type, '/') < type.n);
    if (view_starts(type, V("image/")) || view_starts(type, V("video/")) ||
        view_starts(type, V("audio/")) || view_eq(type, V("application/pdf")))
        must(view_eq(type, plain));
    for (size_t i = 0; i < type.n; i++)
        must(type.p[i] > ' ' && type.p[i] < 0x7f && type.p[i] != ';');
    media_name(said, V("file"), (unsigned)(n & 3), type, &name);
    must(!name.failed && name.n > 0 && name.n <= MEDIA_NAME_BYTES && utf8_valid(buf_view(&name)));
    for (size_t i = 0; i < name.n; i++)
        must((unsigned char)name.p[i] >= ' ' && name.p[i] != '/' && name.p[i] != 0x7f);
    must(!view_eq(buf_view(&name), V(".")) && !view_eq(buf_view(&name), V("..")));
    buf_fini(&name);
    return 0;
}
