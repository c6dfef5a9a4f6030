/* A line of an external channel's program: an event's files stay within their number, a piece of a
 * file is never more than was asked for, and what was refused has left nothing behind. */
#include "ext_int.h"
#include "json.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void must(bool yes)
{
    if (!yes)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct channel_media media[CHANNEL_MEDIA_MAX];
    struct channel_event ev;
    struct buf b = BUF_INIT(2 * EXT_PIECE_BYTES);
    struct err e = ERR_INIT;
    json_t *doc = NULL;
    bool end = false;

    if (json_parse(view_of((const char *)data, n), &doc, &e) < 0)
        return 0;
    ext_event_read(json_object_get(doc, "params"), &ev, media);
    must(ev.media_n <= CHANNEL_MEDIA_MAX && (ev.peer.n || !ev.from.id.n));
    for (unsigned i = 0; i < ev.media_n; i++)
        must(ev.media[i].kind.n > 0);
    if (ext_piece_read(json_object_get(doc, "result"), &b, &end, &e) == 0)
        must(b.n <= EXT_PIECE_BYTES && (b.n || end));
    else
        must(!end);
    buf_fini(&b);
    json_decref(doc);
    return 0;
}
