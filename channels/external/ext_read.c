/* channels/external/ext_read.c - what a program says, read. Pure. */
#include "ext_int.h"

#include "b64.h"
#include "json.h"
#include "mem.h"

static enum channel_peer peer_kind(struct view v)
{
    return view_eq(v, V("group"))     ? PEER_GROUP
           : view_eq(v, V("channel")) ? PEER_CHANNEL
                                      : PEER_DIRECT;
}

static struct view kind_of(const json_t *m)
{
    struct view kind = json_view(m, "kind"), type = json_view(m, "type");

    return kind.n                           ? kind
           : view_starts(type, V("image/")) ? V("image")
           : view_starts(type, V("video/")) ? V("video")
           : view_starts(type, V("audio/")) ? V("audio")
                                            : V("document");
}

static unsigned read_media(const json_t *list, struct channel_media media[CHANNEL_MEDIA_MAX])
{
    const json_t *m;
    unsigned n = 0;
    size_t i;

    json_array_foreach(list, i, m)
    {
        int64_t bytes = json_i64(m, "bytes", 0);

        if (n < CHANNEL_MEDIA_MAX)
            media[n++] = (struct channel_media){.ref = json_view(m, "ref"),
                                                .kind = kind_of(m),
                                                .type = json_view(m, "type"),
                                                .name = json_view(m, "name"),
                                                .bytes = bytes > 0 ? (uint64_t)bytes : 0};
    }
    return n;
}

void ext_event_read(const json_t *p, struct channel_event *ev,
                    struct channel_media media[CHANNEL_MEDIA_MAX])
{
    const json_t *from = json_object_get(p, "sender"), *peer = json_object_get(p, "peer"),
                 *quote = json_object_get(p, "replyTo");
    struct view chat = json_view(peer, "id"), mention = json_view(p, "mention");
    *ev = (struct channel_event){
        .update_id = json_view(p, "id"),
        .message_id = json_view(p, "messageId"),
        .from = {.id = json_view(from, "id"),
                 .name = json_view(from, "name"),
                 .username = json_view(from, "username"),
                 .bot = json_flag(from, "bot", false),
                 .self = json_flag(from, "self", false)},
        .kind = peer_kind(json_view(peer, "kind")),
        .peer = chat.n ? chat : json_view(from, "id"),
        .peer_name = json_view(peer, "name"),
        .parent = json_view(peer, "parentId"),
        .parent_kind = PEER_GROUP,
        .thread = json_view(p, "threadId"),
        .target = json_view(p, "to"),
        .text = json_view(p, "text"),
        .reply_to = json_view(quote, "id"),
        .reply_text = json_view(quote, "text"),
        .reply_sender = json_view(quote, "sender"),
        .reply_to_self = json_flag(quote, "self", false),
        .mention = view_eq(mention, V("self"))    ? MENTION_SELF
                   : view_eq(mention, V("other")) ? MENTION_OTHER
                                                  : MENTION_NONE,
        .event = json_flag(p, "event", false),
        .sent_ms = json_i64(p, "sentAt", 0),
    };
    ev->media_n = read_media(json_object_get(p, "media"), media);
    ev->media = media;
}

int ext_piece_read(const json_t *result, struct buf *out, bool *end, struct err *e)
{
    struct view data = json_view(result, "data");
    bool last = json_flag(result, "end", false);
    size_t before = out->n;

    if (!b64_get(data, out))
        return err_set(e, ERR_INVALID, "a piece of a file is no base64, or too much");
    if (out->n - before > EXT_PIECE_BYTES)
        return err_set(e, ERR_INVALID, "a piece of a file is more than was asked for");
    if (out->n == before && !last)
        return err_set(e, ERR_INVALID, "a piece of a file is empty, and not the last one");
    *end = last;
    return 0;
}
