/* What a file is: by its bytes; what its sender says tells apart only what looks alike. */
#include "ck.h"
#include "mem.h"
#include "sniff.h"

#include <stdio.h>

#define BYTES(s)                                                                                   \
    {                                                                                              \
        s, sizeof(s) - 1                                                                           \
    }

static const struct {
    const char *name;
    struct view head;
    const char *said, *want;
} rows[] = {
    {"jpeg", BYTES("\xff\xd8\xff\xe0\0\x10JFIF"), "image/png", "image/jpeg"},
    {"png", BYTES("\x89PNG\r\n\x1a\n\0\0\0\rIHDR"), "", "image/png"},
    {"png, cut", BYTES("\x89PNG\r\n\x1a"), "image/png", "application/octet-stream"},
    {"gif", BYTES("GIF89a\1\0"), "text/plain", "image/gif"},
    {"webp", BYTES("RIFF\1\2\3\4WEBPVP8 "), "", "image/webp"},
    {"webp without RIFF", BYTES("rIFF\1\2\3\4WEBPVP8 "), "image/webp", "application/octet-stream"},
    {"heic",
     BYTES("\0\0\0\x18"
           "ftypheic\0\0\0\0"),
     "", "image/heic"},
    {"avif",
     BYTES("\0\0\0\x18"
           "ftypavif\0\0\0\0"),
     "", "image/avif"},
    {"bmp", BYTES("BM\1\2\3\4\0\0\0\0"), "", "image/bmp"},
    {"BM in a text", BYTES("BMW is a car"), "", "text/plain"},
    {"mp4",
     BYTES("\0\0\0\x18"
           "ftypisom\0\0"),
     "application/pdf", "video/mp4"},
    {"m4a",
     BYTES("\0\0\0\x18"
           "ftypM4A \0\0"),
     "", "audio/mp4"},
    {"quicktime",
     BYTES("\0\0\0\x14"
           "ftypqt  "),
     "", "video/quicktime"},
    {"webm", BYTES("\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm"), "", "video/webm"},
    {"matroska", BYTES("\x1a\x45\xdf\xa3\x9f\x42\x82\x88matroska"), "", "video/x-matroska"},
    {"wav", BYTES("RIFF\1\2\3\4WAVEfmt "), "", "audio/wav"},
    {"ogg", BYTES("OggS\0\2\0\0\0\0\0\0\0\0\1\1\1\1\0\0\0\0\1\x13OpusHead"), "", "audio/ogg"},
    {"ogg film", BYTES("OggS\0\2\0\0\0\0\0\0\0\0\1\1\1\1\0\0\0\0\1\x13\x80theora"), "",
     "video/ogg"},
    {"mp3 with tags", BYTES("ID3\4\0\0"), "", "audio/mpeg"},
    {"mp3 frame", BYTES("\xff\xfb\x90\x64"), "", "audio/mpeg"},
    {"aac frame", BYTES("\xff\xf1\x50\x80"), "", "audio/aac"},
    {"no frame", BYTES("\xff\xff\xff\xff"), "audio/mpeg", "application/octet-stream"},
    {"pdf", BYTES("%PDF-1.7\n"), "text/plain", "application/pdf"},
    {"no pdf", BYTES("\1\2\3"), "application/pdf", "application/octet-stream"},
    {"zip", BYTES("PK\3\4\x14\0"), "", "application/zip"},
    {"docx", BYTES("PK\3\4\x14\0"),
     "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
     "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
    {"zip said to be a pdf", BYTES("PK\3\4\x14\0"), "application/pdf", "application/zip"},
    {"zip said to be a picture", BYTES("PK\3\4\x14\0"), "image/png", "application/zip"},
    {"animated sticker", BYTES("\x1f\x8b\x08\0"), "application/x-tgsticker",
     "application/x-tgsticker"},
    {"gzip", BYTES("\x1f\x8b\x08\0"), "application/json", "application/gzip"},
    {"text", BYTES("hello\n"), "", "text/plain"},
    {"text in UTF-8, cut", BYTES("gr\xc3\xbc\xc3"), "", "text/plain"},
    {"no UTF-8",
     BYTES("gr\xfc"
           "n"),
     "text/plain", "application/octet-stream"},
    {"a NUL", BYTES("a\0b"), "text/plain", "application/octet-stream"},
    {"csv", BYTES("a,b\n1,2\n"), "text/csv; charset=utf-8", "text/csv"},
    {"json", BYTES("{}"), "application/json", "application/json"},
    {"json of a kind", BYTES("{}"), "application/ld+json", "application/json"},
    {"text said to be a picture", BYTES("hello"), "image/png", "text/plain"},
    {"svg", BYTES("<svg xmlns="), "image/svg+xml", "text/xml"},
    {"nothing", BYTES(""), "image/png", "application/octet-stream"},
    {"unknown", BYTES("\1\2\3"), "application/x-foo", "application/x-foo"},
    {"unknown said to be text", BYTES("\1\2\3"), "application/json", "application/octet-stream"},
    {"unknown film", BYTES("\1\2\3"), "video/mp4", "application/octet-stream"},
    {"no type", BYTES("\1\2\3"), "application", "application/octet-stream"},
    {"two slashes", BYTES("\1\2\3"), "application/a/b", "application/octet-stream"},
    {"a line end", BYTES("\1\2\3"), "application/a\r\nb", "application/octet-stream"},
    {"capitals", BYTES("\1\2\3"), "Application/X", "application/octet-stream"},
};

START_TEST(test_sniff)
{
    struct view got = sniff_type(rows[_i].head, view_str(rows[_i].said));

    ck_assert_msg(view_eq(got, view_str(rows[_i].want)), "%s: %.*s", rows[_i].name, VIEW_FMT(got));
}
END_TEST

START_TEST(test_only_the_beginning)
{
    char head[SNIFF_BYTES + 2];

    memset(head, 'a', sizeof(head));
    head[SNIFF_BYTES] = '\0';
    ck_assert(view_eq(sniff_type(view_of(head, sizeof(head)), VIEW_EMPTY), V("text/plain")));
    head[SNIFF_BYTES - 1] = '\0';
    ck_assert(view_eq(sniff_type(view_of(head, sizeof(head)), VIEW_EMPTY),
                      V("application/octet-stream")));
}
END_TEST

START_TEST(test_long_type)
{
    char said[SNIFF_TYPE_MAX + 2];

    memset(said, 'x', sizeof(said));
    memcpy(said, "application/", 12);
    ck_assert(sniff_type(V("\1"), view_of(said, SNIFF_TYPE_MAX)).n == SNIFF_TYPE_MAX);
    ck_assert(view_eq(sniff_type(V("\1"), view_of(said, SNIFF_TYPE_MAX + 1)),
                      V("application/octet-stream")));
}
END_TEST

START_TEST(test_extension)
{
    static const struct {
        const char *type, *want;
    } names[] = {{"image/jpeg", "jpg"},       {"audio/ogg", "ogg"},
                 {"video/x-matroska", "mkv"}, {"text/markdown", "md"},
                 {"audio/aac", "aac"},        {"application/octet-stream", ""},
                 {"application/pdf", "pdf"},  {"", ""}};

    for (size_t i = 0; i < COUNT_OF(names); i++)
        ck_assert_msg(view_eq(sniff_extension(view_str(names[i].type)), view_str(names[i].want)),
                      "%s", names[i].type);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_sniff, 0, (int)COUNT_OF(rows));
    tcase_add_test(tc, test_only_the_beginning);
    tcase_add_test(tc, test_long_type);
    tcase_add_test(tc, test_extension);
}

CK_MAIN("sniff")
