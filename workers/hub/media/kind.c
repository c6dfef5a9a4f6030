#include "kind.h"

#include "mem.h"
#include "utf8.h"

#include <stdio.h>

/* What names say of bytes that are text, or an archive, when their sender names no type. */
static const struct {
    const char *ext, *type;
} names[] = {
    {".md", "text/markdown"},
    {".csv", "text/csv"},
    {".tsv", "text/tab-separated-values"},
    {".json", "application/json"},
    {".yaml", "application/yaml"},
    {".yml", "application/yaml"},
    {".xml", "text/xml"},
    {".svg", "text/xml"},
    {".html", "text/html"},
    {".htm", "text/html"},
    {".css", "text/css"},
    {".js", "text/javascript"},
    {".docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
    {".xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
    {".pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"},
    {".epub", "application/epub+zip"},
};

const char *kind_name(enum media_kind k)
{
    static const char *const kinds[] = {
        [KIND_IMAGE] = "image",       [KIND_AUDIO] = "audio",     [KIND_VIDEO] = "video",
        [KIND_DOCUMENT] = "document", [KIND_UNKNOWN] = "unknown",
    };

    return kinds[k];
}

bool kind_passive(struct view type)
{
    static const char *const types[] = {
        "image/png",  "image/jpeg", "image/gif", "image/webp", "image/bmp",       "image/avif",
        "audio/mpeg", "audio/ogg",  "audio/wav", "audio/flac", "audio/mp4",       "audio/aac",
        "video/mp4",  "video/webm", "video/ogg", "video/3gpp", "video/quicktime", "audio/webm"};

    for (size_t i = 0; i < COUNT_OF(types); i++)
        if (view_eq(type, view_str(types[i])))
            return true;
    return false;
}

/* ---- dimensions (PNG 11.2.2, GIF 18, JPEG B.2.2, WebP container) ---- */

static uint32_t be(const char *p, size_t n)
{
    uint32_t v = 0;

    for (size_t i = 0; i < n; i++)
        v = v << 8 | (unsigned char)p[i];
    return v;
}

static uint32_t le(const char *p, size_t n)
{
    uint32_t v = 0;

    for (size_t i = n; i > 0; i--)
        v = v << 8 | (unsigned char)p[i - 1];
    return v;
}

/* From segment to segment, to the first that begins a frame. */
static void jpeg_size(struct view v, struct kind *out)
{
    size_t at = 2;

    while (v.n - at >= 9) {
        unsigned char code = (unsigned char)v.p[at + 1];
        size_t n = be(v.p + at + 2, 2);

        if ((unsigned char)v.p[at] != 0xff || n < 2)
            return;
        if (code == 0xff) { /* fill */
            at++;
            continue;
        }
        if (code >= 0xc0 && code <= 0xcf && code != 0xc4 && code != 0xc8 && code != 0xcc) {
            out->height = be(v.p + at + 5, 2);
            out->width = be(v.p + at + 7, 2);
            return;
        }
        if (n > v.n - at - 2)
            return;
        at += n + 2;
        if (at > v.n)
            return;
    }
}

static void webp_size(struct view v, struct kind *out)
{
    if (v.n < 30)
        return;
    if (memcmp(v.p + 12, "VP8X", 4) == 0) {
        out->width = le(v.p + 24, 3) + 1;
        out->height = le(v.p + 27, 3) + 1;
    } else if (memcmp(v.p + 12, "VP8L", 4) == 0) {
        uint32_t bits = le(v.p + 21, 4);

        out->width = (bits & 0x3fff) + 1;
        out->height = (bits >> 14 & 0x3fff) + 1;
    } else if (memcmp(v.p + 12, "VP8 ", 4) == 0) {
        out->width = le(v.p + 26, 2) & 0x3fff;
        out->height = le(v.p + 28, 2) & 0x3fff;
    }
}

static void dimensions(struct view v, struct kind *out)
{
    struct view type = view_str(out->type);

    if (view_eq(type, V("image/png")) && v.n >= 24 && memcmp(v.p + 12, "IHDR", 4) == 0) {
        out->width = be(v.p + 16, 4);
        out->height = be(v.p + 20, 4);
    } else if (view_eq(type, V("image/gif")) && v.n >= 10) {
        out->width = le(v.p + 6, 2);
        out->height = le(v.p + 8, 2);
    } else if (view_eq(type, V("image/jpeg"))) {
        jpeg_size(v, out);
    } else if (view_eq(type, V("image/webp"))) {
        webp_size(v, out);
    }
    if (out->width == 0 || out->height == 0)
        out->width = out->height = 0;
}

/* ---- the type ---- */

/* All of it, where the beginning looked like it. */
static bool is_text(struct view v)
{
    for (size_t i = 0; i < v.n; i++) {
        unsigned char c = (unsigned char)v.p[i];

        if (c < ' ' && c != '\n' && c != '\r' && c != '\t' && c != '\f' && c != 0x1b)
            return false;
    }
    return v.n > 0 && utf8_valid(v);
}

static bool is_text_type(struct view type)
{
    static const char *const types[] = {"application/json", "application/yaml",
                                        "application/toml", "application/sql",
                                        "application/x-sh", "application/javascript"};

    for (size_t i = 0; i < COUNT_OF(types); i++)
        if (view_eq(type, view_str(types[i])))
            return true;
    return view_starts(type, V("text/"));
}

static struct view said_by(struct view name)
{
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct view ext = view_str(names[i].ext);

        if (name.n > ext.n && view_ieq(view_from(name, name.n - ext.n), ext))
            return view_str(names[i].type);
    }
    return VIEW_EMPTY;
}

void kind_look(struct view bytes, struct view type, struct view name, struct kind *out)
{
    struct view head = view_of(bytes.p, bytes.n < SNIFF_BYTES ? bytes.n : SNIFF_BYTES), found;

    if (type.n == 0 || view_eq(type, V("text/plain")) ||
        view_eq(type, V("application/octet-stream")) || view_eq(type, V("application/zip")))
        type = said_by(name).n ? said_by(name) : type;
    found = sniff_type(head, type);
    *out = (struct kind){.text = is_text_type(found) && is_text(bytes)};
    if (is_text_type(found) && !out->text)
        found = V("application/octet-stream"); /* only its beginning could be read */
    else if (view_eq(found, V("video/webm")) && view_starts(type, V("audio/")))
        found = V("audio/webm"); /* the same container: what a browser records */
    (void)snprintf(out->type, sizeof(out->type), "%.*s", VIEW_FMT(found));
    out->ext = sniff_extension(found);
    dimensions(bytes, out);
    out->kind = view_starts(found, V("image/"))   ? KIND_IMAGE
                : view_starts(found, V("audio/")) ? KIND_AUDIO
                : view_starts(found, V("video/")) ? KIND_VIDEO
                : view_starts(found, V("text/")) || view_starts(found, V("application/"))
                    ? KIND_DOCUMENT
                    : KIND_UNKNOWN;
}
