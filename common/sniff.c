#include "sniff.h"

#include "utf8.h"

#define TYPE(s)                                                                                    \
    {                                                                                              \
        s, sizeof(s) - 1                                                                           \
    }

/* The first row decides; what only looks like one of several is looked at again below. */
static const struct {
    struct view type, extension;
    unsigned at;
    struct view bytes;
} rows[] = {
    {TYPE("image/jpeg"), TYPE("jpg"), 0, TYPE("\xff\xd8\xff")},
    {TYPE("image/png"), TYPE("png"), 0, TYPE("\x89PNG\r\n\x1a\n")},
    {TYPE("image/gif"), TYPE("gif"), 0, TYPE("GIF87a")},
    {TYPE("image/gif"), TYPE("gif"), 0, TYPE("GIF89a")},
    {TYPE("image/webp"), TYPE("webp"), 8, TYPE("WEBPVP8")},
    {TYPE("image/tiff"), TYPE("tiff"), 0, TYPE("II*\0")},
    {TYPE("image/tiff"), TYPE("tiff"), 0, TYPE("MM\0*")},
    {TYPE("image/avif"), TYPE("avif"), 4, TYPE("ftypavif")},
    {TYPE("image/heic"), TYPE("heic"), 4, TYPE("ftyphei")},
    {TYPE("image/heic"), TYPE("heic"), 4, TYPE("ftyphev")},
    {TYPE("image/heif"), TYPE("heif"), 4, TYPE("ftypmif1")},
    {TYPE("image/bmp"), TYPE("bmp"), 6, TYPE("\0\0\0\0")}, /* and "BM" */
    {TYPE("video/quicktime"), TYPE("mov"), 4, TYPE("ftypqt")},
    {TYPE("audio/mp4"), TYPE("m4a"), 4, TYPE("ftypM4A")},
    {TYPE("audio/mp4"), TYPE("m4a"), 4, TYPE("ftypM4B")},
    {TYPE("video/3gpp"), TYPE("3gp"), 4, TYPE("ftyp3g")},
    {TYPE("video/mp4"), TYPE("mp4"), 4, TYPE("ftyp")},
    {TYPE("video/webm"), TYPE("webm"), 0, TYPE("\x1a\x45\xdf\xa3")},
    {TYPE("video/x-msvideo"), TYPE("avi"), 8, TYPE("AVI ")},
    {TYPE("video/mpeg"), TYPE("mpg"), 0, TYPE("\0\0\1\xba")},
    {TYPE("audio/wav"), TYPE("wav"), 8, TYPE("WAVE")},
    {TYPE("audio/ogg"), TYPE("ogg"), 0, TYPE("OggS")},
    {TYPE("audio/mpeg"), TYPE("mp3"), 0, TYPE("ID3")},
    {TYPE("audio/flac"), TYPE("flac"), 0, TYPE("fLaC")},
    {TYPE("audio/amr"), TYPE("amr"), 0, TYPE("#!AMR")},
    {TYPE("audio/midi"), TYPE("mid"), 0, TYPE("MThd")},
    {TYPE("application/pdf"), TYPE("pdf"), 0, TYPE("%PDF-")},
    {TYPE("application/zip"), TYPE("zip"), 0, TYPE("PK\3\4")},
    {TYPE("application/zip"), TYPE("zip"), 0, TYPE("PK\5\6")},
    {TYPE("application/gzip"), TYPE("gz"), 0, TYPE("\x1f\x8b\x08")},
    {TYPE("application/x-7z-compressed"), TYPE("7z"), 0, TYPE("7z\xbc\xaf\x27\x1c")},
    {TYPE("application/vnd.rar"), TYPE("rar"), 0, TYPE("Rar!\x1a\x07")},
    {TYPE("application/x-bzip2"), TYPE("bz2"), 0, TYPE("BZh")},
    {TYPE("application/x-xz"), TYPE("xz"), 0,
     TYPE("\xfd"
          "7zXZ\0")},
    {TYPE("application/rtf"), TYPE("rtf"), 0, TYPE("{\\rtf")},
};

/* Types that bytes cannot tell. */
static const struct {
    struct view type, extension;
} others[] = {
    {TYPE("text/plain"), TYPE("txt")},
    {TYPE("text/markdown"), TYPE("md")},
    {TYPE("text/csv"), TYPE("csv")},
    {TYPE("text/html"), TYPE("html")},
    {TYPE("text/xml"), TYPE("xml")},
    {TYPE("application/json"), TYPE("json")},
    {TYPE("application/x-tgsticker"), TYPE("tgs")},
    {TYPE("application/vnd.openxmlformats-officedocument.wordprocessingml.document"), TYPE("docx")},
    {TYPE("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"), TYPE("xlsx")},
    {TYPE("application/vnd.openxmlformats-officedocument.presentationml.presentation"),
     TYPE("pptx")},
    {TYPE("application/epub+zip"), TYPE("epub")},
};

static const struct view unknown = TYPE("application/octet-stream"), text = TYPE("text/plain");

static bool has(struct view head, size_t at, struct view bytes)
{
    return view_starts(view_from(head, at), bytes);
}

/* Type and subtype of RFC 6838 in small letters, and nothing behind them. */
static struct view clean(struct view said)
{
    struct view v = view_trim(view_of(said.p, view_find(said, ';')));
    size_t slash = view_find(v, '/');

    for (size_t i = 0; i < v.n; i++) {
        char c = v.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (i == slash && i) ||
              (i > 0 && c != '/' && strchr("!#$&-^_.+", c) && c)))
            return VIEW_EMPTY;
    }
    return v.n <= SNIFF_TYPE_MAX && slash + 1 < v.n ? v : VIEW_EMPTY;
}

static bool is_text(struct view head)
{
    struct utf8 u = {.need = 0};

    for (size_t i = 0; i < head.n; i++) {
        unsigned char c = (unsigned char)head.p[i];

        if (c < ' ' && c != '\n' && c != '\r' && c != '\t' && c != '\f')
            return false;
    }
    return head.n && utf8_feed(&u, head); /* the cut may be inside a character */
}

static struct view of_text(struct view said)
{
    static const struct view kinds[] = {TYPE("application/json"), TYPE("application/yaml"),
                                        TYPE("application/toml"), TYPE("application/sql"),
                                        TYPE("application/x-sh"), TYPE("application/javascript")};

    if (view_starts(said, V("text/")))
        return said;
    if (view_ends(said, V("+xml")) || view_eq(said, V("application/xml")))
        return V("text/xml"); /* also a picture in SVG: no program here may take it for one */
    if (view_ends(said, V("+json")))
        return V("application/json");
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        if (view_eq(said, kinds[i]))
            return said;
    return text;
}

/* A frame of MPEG audio (11 bits set, then version, layer, and a bit rate that exists), or of AAC.
 */
static struct view of_frame(struct view head)
{
    unsigned char b, c;

    if (head.n < 4 || (unsigned char)head.p[0] != 0xff)
        return VIEW_EMPTY;
    b = (unsigned char)head.p[1];
    c = (unsigned char)head.p[2];
    if ((b & 0xf6) == 0xf0)
        return V("audio/aac");
    if ((b & 0xe0) == 0xe0 && (b & 0x18) != 0x08 && (b & 0x06) != 0 && (c & 0xf0) != 0xf0 &&
        (c & 0xf0) != 0 && (c & 0x0c) != 0x0c)
        return V("audio/mpeg");
    return VIEW_EMPTY;
}

static bool holds(struct view head, struct view words)
{
    for (size_t i = 0; i + words.n <= head.n && i < 64; i++)
        if (has(head, i, words))
            return true;
    return false;
}

/* A signature that others share. */
static struct view look_again(struct view type, struct view head, struct view said)
{
    bool riff = has(head, 0, V("RIFF"));

    if (view_eq(type, V("image/bmp")))
        return has(head, 0, V("BM")) ? type : VIEW_EMPTY;
    if (view_eq(type, V("image/webp")) || view_eq(type, V("audio/wav")) ||
        view_eq(type, V("video/x-msvideo")))
        return riff ? type : VIEW_EMPTY;
    if (view_eq(type, V("video/webm")) && !holds(head, V("webm")))
        return V("video/x-matroska");
    if (view_eq(type, V("audio/ogg")) && holds(head, V("theora")))
        return V("video/ogg");
    if ((view_eq(type, V("application/zip")) && view_starts(said, V("application/"))) ||
        (view_eq(type, V("application/gzip")) && view_eq(said, V("application/x-tgsticker"))))
        return view_eq(said, unknown) ? type : said;
    return type;
}

static bool has_signature(struct view type)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (view_eq(rows[i].type, type))
            return true;
    return false;
}

struct view sniff_type(struct view head, struct view said)
{
    struct view found;

    if (head.n > SNIFF_BYTES)
        head.n = SNIFF_BYTES;
    said = clean(said);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (!has(head, rows[i].at, rows[i].bytes))
            continue;
        found = look_again(rows[i].type, head, said);
        if (view_starts(found, V("application/")) && !view_eq(found, rows[i].type) &&
            has_signature(found))
            found = rows[i].type; /* said to be what its own bytes would show */
        if (found.n)
            return found;
    }
    if ((found = of_frame(head)).n)
        return found;
    if (is_text(head))
        return of_text(said);
    return view_starts(said, V("application/")) && !has_signature(said) && of_text(said).p == text.p
               ? said
               : unknown;
}

struct view sniff_extension(struct view type)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (view_eq(rows[i].type, type))
            return rows[i].extension;
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
        if (view_eq(others[i].type, type))
            return others[i].extension;
    return view_eq(type, V("audio/aac"))          ? V("aac")
           : view_eq(type, V("video/x-matroska")) ? V("mkv")
           : view_eq(type, V("video/ogg"))        ? V("ogv")
                                                  : VIEW_EMPTY;
}
