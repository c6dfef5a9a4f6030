#include "tg_media.h"

#include "json.h"
#include "mem.h"

static const struct {
    const char *member;
    struct view type; /* when it does not say */
} kinds[] = {
    /* an animation comes with a document, too, for old clients */
    {"animation", {"video/mp4", 9}}, {"document", {"", 0}},       {"video", {"video/mp4", 9}},
    {"audio", {"audio/mpeg", 10}},   {"voice", {"audio/ogg", 9}}, {"video_note", {"video/mp4", 9}},
    {"sticker", {"image/webp", 10}},
};

/* Sizes of the same picture; take the largest that may be fetched. */
static const json_t *photo_of(const json_t *m)
{
    const json_t *p, *best = NULL;
    int64_t best_bytes = -1;
    size_t i;

    json_array_foreach(json_object_get(m, "photo"), i, p)
    {
        int64_t bytes = json_i64(p, "file_size", 0);

        if (json_view(p, "file_id").n && bytes >= best_bytes &&
            bytes <= (int64_t)TG_DOWNLOAD_MB << 20) {
            best = p;
            best_bytes = bytes;
        }
    }
    return best;
}

static bool put(const json_t *f, const char *kind, struct view type, struct channel_media *out)
{
    int64_t bytes = json_i64(f, "file_size", 0);
    struct view said = json_view(f, "mime_type"), id = json_view(f, "file_id");

    if (!id.n || id.n > 256)
        return false;
    *out = (struct channel_media){.ref = id,
                                  .kind = view_str(kind),
                                  .type = said.n ? said : type,
                                  .name = json_view(f, "file_name"),
                                  .bytes = bytes > 0 ? (uint64_t)bytes : 0};
    return true;
}

bool tg_media_read(const json_t *m, struct channel_media *out)
{
    const json_t *f = photo_of(m);

    if (f)
        return put(f, "image", V("image/jpeg"), out);
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        if ((f = json_object_get(m, kinds[i].member)))
            return put(f, kinds[i].member, kinds[i].type, out);
    return false;
}

struct tg_method tg_media_method(const struct channel_blob *b, bool as_file)
{
    static const struct {
        const char *type; /* or its beginning, with a slash at its end */
        struct tg_method how;
    } rows[] = {
        {"image/gif", {"sendAnimation", "animation"}}, {"image/jpeg", {"sendPhoto", "photo"}},
        {"image/png", {"sendPhoto", "photo"}},         {"image/webp", {"sendPhoto", "photo"}},
        {"video/mp4", {"sendVideo", "video"}},         {"audio/mpeg", {"sendAudio", "audio"}},
        {"audio/mp4", {"sendAudio", "audio"}},         {"audio/x-m4a", {"sendAudio", "audio"}},
        {"audio/ogg", {"sendAudio", "audio"}},
    };
    bool photo = view_starts(b->type, V("image/"));

    if (as_file || b->document || (photo && b->bytes > TG_PHOTO_MAX))
        return (struct tg_method){"sendDocument", "document"};
    if (b->voice && (view_starts(b->type, V("audio/ogg")) || view_starts(b->type, V("audio/opus"))))
        return (struct tg_method){"sendVoice", "voice"};
    if (b->gif && view_starts(b->type, V("video/mp4")))
        return (struct tg_method){"sendAnimation", "animation"};
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (view_starts(b->type, view_str(rows[i].type)))
            return rows[i].how;
    return (struct tg_method){"sendDocument", "document"};
}

/* What may stand in one album with each other: pictures with films, files with files, music with
 * music. 0: nothing may. */
static char album_of(const struct tg_method *how)
{
    static const struct {
        const char *field;
        char kind;
    } rows[] = {{"photo", 'v'}, {"video", 'v'}, {"document", 'd'}, {"audio", 'a'}};

    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (strcmp(how->field, rows[i].field) == 0)
            return rows[i].kind;
    return 0;
}

unsigned tg_media_batch(const struct channel_blob *b, unsigned n, bool as_file)
{
    struct tg_method how = n ? tg_media_method(&b[0], as_file) : (struct tg_method){"", ""};
    char kind = album_of(&how);
    unsigned k = n ? 1 : 0;

    for (; kind && k < n && k < TG_ALBUM_MAX; k++) {
        how = tg_media_method(&b[k], as_file);
        if (album_of(&how) != kind)
            break;
    }
    return k;
}

bool tg_media_path(struct view path, char out[TG_PATH_BYTES])
{
    static const char hex[] = "0123456789ABCDEF";
    size_t n = 0;

    if (!path.n || path.p[0] == '/')
        return false;
    for (size_t i = 0; i < path.n; i++) {
        unsigned char c = (unsigned char)path.p[i];

        if (n + 4 > TG_PATH_BYTES || c < ' ' || (c == '.' && i && path.p[i - 1] == '.'))
            return false;
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            c == '/' || c == '.' || c == '_' || c == '-') {
            out[n++] = (char)c;
        } else {
            out[n++] = '%';
            out[n++] = hex[c >> 4];
            out[n++] = hex[c & 15];
        }
    }
    out[n] = '\0';
    return true;
}
