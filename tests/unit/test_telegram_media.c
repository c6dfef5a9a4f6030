/* Telegram: by which method a file is sent, which go together, and where one of theirs lies. */
#include "ck.h"
#include "mem.h"
#include "tg_media.h"

static const struct {
    const char *path, *want;
} paths[] = {
    {"photos/file_1.jpg", "photos/file_1.jpg"},
    {"a b?c#d%41", "a%20b%3Fc%23d%2541"},
    {"/etc/passwd", NULL},
    {"a/../b", NULL},
    {"", NULL},
    {"a\r\nb", NULL},
};

START_TEST(test_path)
{
    char out[TG_PATH_BYTES];
    bool ok = tg_media_path(view_str(paths[_i].path), out);

    ck_assert_msg(ok == (paths[_i].want != NULL), "%s", paths[_i].path);
    if (ok)
        ck_assert_str_eq(out, paths[_i].want);
}
END_TEST

START_TEST(test_path_long)
{
    char path[TG_PATH_BYTES], out[TG_PATH_BYTES];

    memset(path, ' ', sizeof(path));
    ck_assert_msg(!tg_media_path(view_of(path, sizeof(path)), out), "escaped it has no room");
    memset(path, 'a', sizeof(path));
    ck_assert(tg_media_path(view_of(path, TG_PATH_BYTES - 4), out));
    ck_assert(!tg_media_path(view_of(path, TG_PATH_BYTES), out));
}
END_TEST

/* p picture, v film, d file, a music, o voice, g moving picture: how many go with one request. */
static const struct {
    const char *files;
    unsigned want;
    bool as_file;
} batches[] = {
    {"", 0, false},
    {"p", 1, false},
    {"pv", 2, false},
    {"ppd", 2, false},
    {"ddp", 2, false},
    {"aad", 2, false},
    {"oo", 1, false},
    {"gg", 1, false},
    {"pg", 1, false},
    {"gp", 1, false},
    {"pvd", 3, true},
    {"po", 2, true},
    {"pppppppppp", 10, false},
    {"ppppppppppp", 10, false},
};

START_TEST(test_batch)
{
    static const char *const types[128] = {
        ['p'] = "image/png",  ['v'] = "video/mp4", ['d'] = "text/plain",
        ['a'] = "audio/mpeg", ['o'] = "audio/ogg", ['g'] = "image/gif"};
    struct channel_blob b[16];
    unsigned n = (unsigned)strlen(batches[_i].files);

    for (unsigned i = 0; i < n; i++)
        b[i] = (struct channel_blob){.type = view_str(types[(int)batches[_i].files[i]]),
                                     .bytes = 1,
                                     .voice = batches[_i].files[i] == 'o'};
    ck_assert_msg(tg_media_batch(b, n, batches[_i].as_file) == batches[_i].want, "%s: %u",
                  batches[_i].files, tg_media_batch(b, n, batches[_i].as_file));
}
END_TEST

static const struct {
    const char *type;
    bool voice, document, as_file;
    size_t bytes;
    const char *method;
} methods[] = {
    {"image/png", false, false, false, 10, "sendPhoto"},
    {"image/png", false, true, false, 10, "sendDocument"},
    {"image/png", false, false, true, 10, "sendDocument"},
    {"image/jpeg", false, false, false, TG_PHOTO_MAX, "sendPhoto"},
    {"image/jpeg", false, false, false, TG_PHOTO_MAX + 1, "sendDocument"},
    {"image/gif", false, false, false, 10, "sendAnimation"},
    {"image/svg+xml", false, false, false, 10, "sendDocument"},
    {"video/mp4", false, false, false, 10, "sendVideo"},
    {"audio/mpeg", false, false, false, 10, "sendAudio"},
    {"audio/ogg", true, false, false, 10, "sendVoice"},
    {"audio/ogg; codecs=opus", true, false, false, 10, "sendVoice"},
    {"audio/mpeg", true, false, false, 10, "sendAudio"},
    {"text/plain", false, false, false, 10, "sendDocument"},
    {"", false, false, false, 10, "sendDocument"},
};

START_TEST(test_method)
{
    struct channel_blob b = {.type = view_str(methods[_i].type),
                             .bytes = methods[_i].bytes,
                             .voice = methods[_i].voice,
                             .document = methods[_i].document};

    ck_assert_str_eq(tg_media_method(&b, methods[_i].as_file).method, methods[_i].method);
}
END_TEST

static void add_cases(TCase *t)
{
    tcase_add_loop_test(t, test_path, 0, (int)COUNT_OF(paths));
    tcase_add_test(t, test_path_long);
    tcase_add_loop_test(t, test_batch, 0, (int)COUNT_OF(batches));
    tcase_add_loop_test(t, test_method, 0, (int)COUNT_OF(methods));
}

CK_MAIN("telegram_media")
