/* Files of messages: what bytes are, attachments of requests, the store of files through failures
 * and restarts, what a prompt says of them, passes. */
#include "attach.h"
#include "b64.h"
#include "brought.h"
#include "chat.h"
#include "ck.h"
#include "fd.h"
#include "json.h"
#include "kind.h"
#include "mac.h"
#include "pass.h"
#include "told.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- base64 ---- */

static const struct {
    const char *text;
    int n; /* bytes; -1: none */
    const char *bytes;
} b64s[] = {
    {"", 0, ""},
    {"AA==", 1, "\0"},
    {"AAA=", 2, "\0\0"},
    {"aGVsbG8=", 5, "hello"},
    {"/+8=", 2, "\xff\xef"},
    {"A", -1, NULL},
    {"AAA", -1, NULL},
    {"AA=A", -1, NULL},
    {"A===", -1, NULL},
    {"====", -1, NULL},
    {"AA==AAAA", -1, NULL},
    {"AAAA\n", -1, NULL},
    {"AA-_", -1, NULL},
    {"AAA\x80", -1, NULL},
};

START_TEST(test_b64)
{
    struct buf out = BUF_INIT(1024), back = BUF_INIT(1024);
    bool ok = b64_get(view_str(b64s[_i].text), &out);

    ck_assert_msg(ok == (b64s[_i].n >= 0), "%s", b64s[_i].text);
    if (ok) {
        ck_assert_msg(view_eq(buf_view(&out), view_of(b64s[_i].bytes, (size_t)b64s[_i].n)), "%s",
                      b64s[_i].text);
        b64_put(&back, buf_view(&out));
        ck_assert_str_eq(b64s[_i].text, back.n ? (buf_put_char(&back, 0), buf_view(&back).p) : "");
    }
    buf_fini(&out);
    buf_fini(&back);
}
END_TEST

/* ---- kinds ---- */

#define PNG  "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\x80\0\0\x01\xe0\x08\x02\0\0\0\0\0\0\0"
#define GIF  "GIF89a\x40\x01\xf0\0\x80\0\0"
#define JPEG "\xff\xd8\xff\xe0\0\x04JF\xff\xc0\0\x11\x08\x01\xe0\x02\x80\x03\x01"
#define WEBP "RIFF\x1a\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x7f\x02\0\xdf\x01\0"
#define S(x)                                                                                       \
    {                                                                                              \
        x, sizeof(x) - 1                                                                           \
    }

static const struct {
    const char *what;
    struct view bytes;
    const char *type, *name, *want;
    enum media_kind kind;
    uint32_t width, height;
    bool text;
} kinds[] = {
    {"png", S(PNG), "text/html", "x.html", "image/png", KIND_IMAGE, 640, 480, false},
    {"gif", S(GIF), "", "", "image/gif", KIND_IMAGE, 320, 240, false},
    {"jpeg", S(JPEG), "", "", "image/jpeg", KIND_IMAGE, 640, 480, false},
    {"webp", S(WEBP), "", "", "image/webp", KIND_IMAGE, 640, 480, false},
    {"png cut before its size", S("\x89PNG\r\n\x1a\n\0\0\0\r"), "", "", "image/png", KIND_IMAGE, 0,
     0, false},
    {"jpeg that ends in a segment", S("\xff\xd8\xff\xe0\xff\xff"), "", "", "image/jpeg", KIND_IMAGE,
     0, 0, false},
    {"pdf of letters", S("%PDF-1.4\nx"), "", "", "application/pdf", KIND_DOCUMENT, 0, 0, false},
    {"text", S("hello"), "", "", "text/plain", KIND_DOCUMENT, 0, 0, true},
    {"text that says it is a picture", S("hello"), "image/png", "a.png", "text/plain",
     KIND_DOCUMENT, 0, 0, true},
    {"html by its name", S("<p>"), "", "a.HTML", "text/html", KIND_DOCUMENT, 0, 0, true},
    {"svg is no picture", S("<svg/>"), "image/svg+xml", "a.svg", "text/xml", KIND_DOCUMENT, 0, 0,
     true},
    {"json by its type", S("{}"), "application/json", "", "application/json", KIND_DOCUMENT, 0, 0,
     true},
    {"binary that says it is a page", S("\1\2\3"), "text/html", "a.html",
     "application/octet-stream", KIND_DOCUMENT, 0, 0, false},
    {"binary of a type", S("\1\2\3"), "application/x-thing", "", "application/x-thing",
     KIND_DOCUMENT, 0, 0, false},
    {"zip by its name", S("PK\3\4...."), "application/zip", "a.docx",
     "application/vnd.openxmlformats-officedocument.wordprocessingml.document", KIND_DOCUMENT, 0, 0,
     false},
    {"a type that is none", S("\1\2\3"), "a b/c\r\nX: y", "", "application/octet-stream",
     KIND_DOCUMENT, 0, 0, false},
    {"nothing", S(""), "", "", "application/octet-stream", KIND_DOCUMENT, 0, 0, false},
};

START_TEST(test_kind)
{
    struct kind k;

    kind_look(kinds[_i].bytes, view_str(kinds[_i].type), view_str(kinds[_i].name), &k);
    ck_assert_msg(strcmp(k.type, kinds[_i].want) == 0, "%s: %s", kinds[_i].what, k.type);
    ck_assert_msg(k.kind == kinds[_i].kind && k.width == kinds[_i].width &&
                      k.height == kinds[_i].height && k.text == kinds[_i].text,
                  "%s: kind %d, %u x %u, text %d", kinds[_i].what, (int)k.kind, k.width, k.height,
                  k.text);
    for (size_t n = 0; n < kinds[_i].bytes.n; n++) /* every beginning of it */
        kind_look(view_of(kinds[_i].bytes.p, n), VIEW_EMPTY, VIEW_EMPTY, &k);
}
END_TEST

START_TEST(test_text_to_the_end)
{
    char bytes[2000];
    struct kind k;

    memset(bytes, 'a', sizeof(bytes));
    bytes[1999] = 1; /* behind what is looked at first */
    kind_look(view_of(bytes, sizeof(bytes)), V("text/html"), VIEW_EMPTY, &k);
    ck_assert_str_eq(k.type, "application/octet-stream");
    ck_assert(!k.text);
    ck_assert(!kind_passive(V("text/html")) && !kind_passive(V("image/svg+xml")) &&
              kind_passive(V("image/png")));
}
END_TEST

static const struct {
    const char *said, *want;
} called[] = {
    {"a.png", "a.png"},        {"../../etc/passwd", "passwd"},
    {"C:\\x\\y.txt", "y.txt"}, {"a\nb\x01.txt", "a_b_.txt"},
    {"\xff\xfe", ""},          {"  x  ", "x"},
    {"a\"b", "a_b"},           {"/", ""},
};

START_TEST(test_name)
{
    char out[MEDIA_NAME_MAX + 1], longest[400];

    media_name(view_str(called[_i].said), out);
    ck_assert_str_eq(out, called[_i].want);
    memset(longest, 'x', sizeof(longest));
    memcpy(longest + 254, "\xc3\xa4", 2); /* a letter across the limit */
    media_name(view_of(longest, sizeof(longest)), out);
    ck_assert_uint_eq(strlen(out), 254);
}
END_TEST

static const struct {
    const char *ref;
    bool good;
} refs[] = {
    {"media://inbound/0f0e0d0c-0b0a-4009-8807-060504030201.png", true},
    {"0f0e0d0c-0b0a-4009-8807-060504030201", true},
    {"0f0e0d0c-0b0a-4009-8807-060504030201.jpeg", true},
    {"media://outbound/0f0e0d0c-0b0a-4009-8807-060504030201", false},
    {"0f0e0d0c-0b0a-4009-8807-060504030201/x", false},
    {"0F0E0D0C-0b0a-4009-8807-060504030201", false},
    {"../d0c-0b0a-4009-8807-060504030201000", false},
    {"0f0e0d0c-0b0a-4009-8807-060504030201.averylongone", false},
    {"", false},
};

START_TEST(test_id)
{
    struct view id = media_id_of(view_str(refs[_i].ref));

    ck_assert_msg((id.n == MEDIA_ID) == refs[_i].good && (id.n == 0) == !refs[_i].good, "%s",
                  refs[_i].ref);
}
END_TEST

/* ---- attachments ---- */

static const struct {
    const char *json;
    int count;       /* -1: refused */
    const char *why; /* begins so */
} lists[] = {
    {"[]", 0, NULL},
    {"[{\"content\":\"aGVsbG8=\"}]", 1, NULL},
    {"[{\"content\":\"data:text/plain;base64,aGVsbG8=\"}]", 1, NULL},
    {"[{\"source\":{\"type\":\"base64\",\"media_type\":\"text/plain\",\"data\":\"aGVsbG8=\"}}]", 1,
     NULL},
    {"[{\"fileName\":\"a\"},{\"content\":5},{\"content\":null},{}]", 0, NULL},
    {"[{\"content\":\"\"}]", -1, "attachment attachment-1: empty payload"},
    {"[{\"content\":\"AAAA\"},{\"type\":\"image\",\"content\":\"?\"}]", -1,
     "attachment image: invalid base64 content"},
    {"[{\"fileName\":\"../a\\n.png\",\"content\":\"A\"}]", -1,
     "attachment a_.png: invalid base64 content"},
};

START_TEST(test_attach_read)
{
    struct attachments a;
    json_t *doc = NULL;
    struct err e = ERR_INIT;
    int r;

    ck_assert_int_eq(json_parse(view_str(lists[_i].json), &doc, &e), 0);
    for (uint64_t n = 1;; n++) { /* memory fails at each place once */
        uint64_t before = mem_count();

        mem_fail_after(n, 0);
        e = (struct err)ERR_INIT;
        r = attach_read(&a, doc, &e);
        mem_fail_after(0, 0);
        if (r != ERR_NOMEM) {
            ck_assert_msg(lists[_i].count < 0 ? r < 0 && strstr(e.text, lists[_i].why) == e.text
                                              : r == 0 && a.count == (unsigned)lists[_i].count,
                          "%s: %d %s", lists[_i].json, r, e.text);
            attach_fini(&a);
            if (mem_count() - before < n)
                break;
        } else {
            ck_assert_uint_eq(a.count, 0);
        }
    }
    json_decref(doc);
}
END_TEST

/* ---- the store of files ---- */

static struct hub h;
static char folder[64], path[96];

static void open_hub(void)
{
    struct err e = ERR_INIT;

    memset(&h, 0, sizeof(h));
    ck_assert_int_eq(loop_new(&h.w.loop, &e), 0);
    hub_init(&h);
    h.w.conf = json_object();
    ck_assert_msg(store_open(&h.store, path, NULL, &e) == 0, "%s", e.text);
    ck_assert_msg(media_open(&h, path, &e) == 0, "%s", e.text);
}

static void close_hub(bool commit)
{
    struct err e = ERR_INIT;

    if (commit)
        ck_assert_int_eq(store_commit(h.store, &e), 0);
    loop_undefer(h.w.loop, &h.commit);
    media_close(&h);
    store_close(&h.store);
    loop_timer_fini(&h.idle);
    json_decref(h.w.conf);
    loop_free(&h.w.loop);
}

static void make_folder(void)
{
    (void)snprintf(folder, sizeof(folder), "/tmp/test_media.XXXXXX");
    ck_assert(mkdtemp(folder) != NULL);
    (void)snprintf(path, sizeof(path), "%s/state.mdb", folder);
}

static void remove_folder(void)
{
    char cmd[160];
    DIR *d;
    struct dirent *f;

    (void)snprintf(cmd, sizeof(cmd), "%s/media", folder);
    for (int round = 0; round < 2; round++) {
        const char *dir = round ? folder : cmd;

        if (!(d = opendir(dir)))
            continue;
        while ((f = readdir(d)))
            if (f->d_name[0] != '.')
                (void)unlinkat(dirfd(d), f->d_name, 0);
        (void)closedir(d);
        (void)rmdir(dir);
    }
}

static unsigned files_there(void)
{
    char dir[160];
    unsigned n = 0;
    struct dirent *f;
    DIR *d;

    (void)snprintf(dir, sizeof(dir), "%s/media", folder);
    ck_assert((d = opendir(dir)) != NULL);
    while ((f = readdir(d)))
        n += f->d_name[0] != '.';
    (void)closedir(d);
    return n;
}

static void want_totals(uint64_t files, uint64_t bytes)
{
    uint64_t f, b;

    media_totals(&h, &f, &b);
    ck_assert_uint_eq(f, files);
    ck_assert_uint_eq(b, bytes);
    ck_assert_uint_eq(files_there(), files);
}

START_TEST(test_store)
{
    struct media a, b, got;
    struct err e = ERR_INIT;
    struct view bytes;

    make_folder();
    open_hub();
    ck_assert_int_eq(media_put(&h, V(PNG), V("x"), V("a.png"), &a, &e), 0);
    ck_assert_int_eq(media_put(&h, V("hello"), V(""), V("b.txt"), &b, &e), 0);
    want_totals(2, sizeof(PNG) - 1 + 5);
    ck_assert(!media_find(&h, view_str(a.id), &got)); /* nobody's yet */
    ck_assert_int_eq(media_keep(&h, &a, MEDIA_OF_DELIVERY, 7, &e), 0);
    ck_assert_int_eq(media_keep(&h, &a, MEDIA_OF_DELIVERY, 7, &e), 0);
    ck_assert_int_eq(media_keep(&h, &a, MEDIA_OF_SESSION, 8, &e), 0);
    ck_assert(media_find(&h, view_str(a.id), &got));
    ck_assert(strcmp(got.name, "a.png") == 0 && got.width == 640 && got.kind == KIND_IMAGE &&
              strcmp(got.ext, ".png") == 0 && got.bytes == sizeof(PNG) - 1);
    ck_assert_int_eq(media_map(&h, view_str(a.id), &bytes, &e), 0);
    ck_assert(view_eq(bytes, V(PNG)));
    media_unmap(&bytes);
    ck_assert_int_eq(media_map(&h, V("0f0e0d0c-0b0a-4009-8807-060504030201"), &bytes, &e),
                     ERR_NOT_FOUND);
    /* it dies before b was kept: b is nobody's, and goes */
    close_hub(true);
    ck_assert_uint_eq(files_there(), 2);
    open_hub();
    want_totals(1, sizeof(PNG) - 1);
    /* an owner leaves; the file stays for the other */
    media_leave(&h, view_str(a.id), MEDIA_OF_DELIVERY, 7);
    media_leave(&h, view_str(a.id), MEDIA_OF_DELIVERY, 7);
    media_leave(&h, view_str(a.id), MEDIA_OF_SESSION, 9);
    want_totals(1, sizeof(PNG) - 1);
    /* it dies before that is on the disk: the owner is there again */
    close_hub(false);
    open_hub();
    media_leave(&h, view_str(a.id), MEDIA_OF_SESSION, 8);
    want_totals(1, sizeof(PNG) - 1);
    media_leave(&h, view_str(a.id), MEDIA_OF_DELIVERY, 7);
    want_totals(0, 0);
    /* and before that one: named, but not there any more */
    close_hub(false);
    open_hub();
    ck_assert(media_find(&h, view_str(a.id), &got));
    ck_assert_int_eq(media_map(&h, view_str(a.id), &bytes, &e), ERR_NOT_FOUND);
    close_hub(true);
    remove_folder();
}
END_TEST

/* What another process may still cut off would end us in the middle of reading it. */
START_TEST(test_map_sealed)
{
    static const struct {
        int seals;
        bool good;
    } rows[] = {{0, false},
                {F_SEAL_WRITE, false},
                {F_SEAL_SHRINK, false},
                {F_SEAL_WRITE | F_SEAL_SHRINK, true},
                {F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL, true}};

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        struct err e = ERR_INIT;
        struct view v;

        ck_assert_int_eq(write(fd, "hello", 5), 5);
        ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, rows[i].seals), 0);
        ck_assert_msg(media_map_fd(fd, 5, &v, &e) == (rows[i].good ? 0 : ERR_INVALID), "row %zu",
                      i);
        ck_assert(v.n == (rows[i].good ? 5 : 0));
        media_unmap(&v);
        ck_assert_int_eq(media_map_fd(fd, 4, &v, &e), ERR_INVALID);
        fd_close(&fd);
    }
}
END_TEST

/* A channel that says files and never their messages. */
START_TEST(test_brought_for_nobody)
{
    static char line; /* compared only */
    struct link *from = (struct link *)(void *)&line;
    struct attachments got = {0};
    char id[24];
    int r = 0;

    memset(&h, 0, sizeof(h));
    for (unsigned i = 0; r == 0; i++) {
        struct ipc_inbound_media m = {
            .type = V("text/plain"), .name = V("a"), .bytes = memfd_create("x", MFD_ALLOW_SEALING)};
        struct err e = ERR_INIT;

        ck_assert_msg(i <= BROUGHT_KNOWN, "no end");
        ck_assert_int_eq(write(m.bytes, "x", 1), 1);
        ck_assert_int_eq(fcntl(m.bytes, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK), 0);
        m.update_id = view_of(id, (size_t)snprintf(id, sizeof(id), "u%u", i));
        r = brought_on_media(&h, from, &m, &e);
        fd_close(&m.bytes);
        if (i == BROUGHT_OF_ONE) { /* the oldest had to go: its message is asked for again */
            ck_assert_int_eq(brought_take(&h, from, V("u0"), &got, &e), ERR_AGAIN);
            ck_assert_int_eq(brought_take(&h, from, V("u1"), &got, &e), 0);
            ck_assert_uint_eq(got.count, 1);
            attach_fini(&got);
        }
    }
    ck_assert_int_eq(r, ERR_LIMIT);
    brought_line_gone(&h, from);
    ck_assert(h.brought == NULL);
}
END_TEST

START_TEST(test_drop_and_quota)
{
    struct media a;
    struct err e = ERR_INIT;
    char big[1025];

    make_folder();
    open_hub();
    memset(big, 'x', sizeof(big));
    json_decref(h.w.conf);
    h.w.conf = json_pack("{s:{s:{s:i}}}", "gateway", "media", "maxBytes", 1024);
    media_config(&h);
    ck_assert_int_eq(media_put(&h, view_of(big, 1025), V(""), V(""), &a, &e), ERR_LIMIT);
    ck_assert_int_eq(media_put(&h, view_of(big, 1024), V(""), V(""), &a, &e), 0);
    ck_assert_int_eq(media_put(&h, view_of(big, 1), V(""), V(""), &a, &e), ERR_LIMIT);
    want_totals(1, 1024);
    media_drop(&h, view_str(a.id));
    media_drop(&h, view_str(a.id));
    want_totals(0, 0);
    ck_assert_int_eq(media_put(&h, view_of(big, 1), V(""), V(""), &a, &e), 0);
    close_hub(false);
    open_hub();
    want_totals(0, 0);
    close_hub(false);
    remove_folder();
}
END_TEST

/* Memory fails at each place once: a clean error, and nothing is left of it. */
START_TEST(test_keep_torture)
{
    json_t *doc = NULL;
    struct err e = ERR_INIT;
    bool done = false;

    make_folder();
    open_hub();
    ck_assert_int_eq(json_parse(V("[{\"content\":\"aGVsbG8=\",\"fileName\":\"a.txt\",\"origin\":"
                                  "\"file\"},{\"content\":\"R0lGODlhQAHwAIAAAA==\"}]"),
                                &doc, &e),
                     0);
    for (uint64_t n = 1; !done; n++) {
        struct attachments a;
        char *facts = NULL;
        uint64_t before;
        int r;

        ck_assert_int_eq(attach_read(&a, doc, &e), 0);
        before = mem_count();
        mem_fail_after(n, 0);
        r = attach_keep(&h, &a, 3, &facts, &e);
        done = mem_count() - before < n;
        mem_fail_after(0, 0);
        if (r == 0) {
            ck_assert(strstr(facts, "\"media\":[{\"url\":\"media://inbound/") == facts);
            ck_assert(strstr(facts, "\"factIndex\":1"));
            want_totals(2, 18);
            attach_undo(&h, &a, 3);
        } else {
            ck_assert(!facts);
        }
        want_totals(0, 0);
        mem_free(facts);
        attach_fini(&a);
        if (!store_usable(h.store)) { /* its batch was lost with the memory: the hub would leave */
            close_hub(false);
            open_hub();
        }
    }
    json_decref(doc);
    close_hub(true);
    remove_folder();
}
END_TEST

/* ---- prompts ---- */

static const struct {
    const char *what, *msg, *want; /* NULL: none */
} told[] = {
    {"no files", "{\"role\":\"user\",\"content\":\"x\",\"__openclaw\":{\"id\":\"1\"}}", NULL},
    {"one",
     "{\"role\":\"user\",\"content\":\"x\",\"__openclaw\":{\"media\":[{\"url\":\"media://inbound/"
     "0f0e0d0c-0b0a-4009-8807-060504030201.txt\",\"contentType\":\"text/plain\",\"kind\":"
     "\"document\",\"sizeBytes\":5}],\"id\":\"1\"}}",
     "[{\"type\":\"text\",\"text\":\"x\"},{\"type\":\"media\",\"id\":\"0f0e0d0c-0b0a-4009-8807-"
     "060504030201\",\"kind\":\"document\",\"mimeType\":\"text/plain\",\"name\":\"\",\"bytes\":5,"
     "\"width\":0,\"height\":0}]"},
    {"without text",
     "{\"role\":\"user\",\"content\":\"\",\"__openclaw\":{\"media\":[{\"url\":\"media://inbound/"
     "0f0e0d0c-0b0a-4009-8807-060504030201\"}],\"id\":\"1\"}}",
     "[{\"type\":\"media\",\"id\":\"0f0e0d0c-0b0a-4009-8807-060504030201\",\"kind\":\"unknown\","
     "\"mimeType\":\"\",\"name\":\"\",\"bytes\":0,\"width\":0,\"height\":0}]"},
    {"words that look like it",
     "{\"role\":\"user\",\"content\":\"\\\"media\\\":[{\\\"url\\\":\\\"media://inbound/"
     "\",\"__openclaw\":{}}",
     NULL},
    {"elsewhere in the message",
     "{\"role\":\"user\",\"content\":\"x\",\"media\":[{\"url\":\"media://inbound/"
     "0f0e0d0c-0b0a-4009-8807-060504030201\"}],\"__openclaw\":{}}",
     NULL},
};

START_TEST(test_told)
{
    struct view role, content;
    struct buf out = BUF_INIT(64 * KIB);
    uint64_t tokens;
    bool has;

    ck_assert(chat_msg_split(view_str(told[_i].msg), &role, &content));
    has = told_parts(view_str(told[_i].msg), content, &out, &tokens);
    ck_assert_msg(has == (told[_i].want != NULL), "%s", told[_i].what);
    if (has)
        ck_assert_msg(view_eq(buf_view(&out), view_str(told[_i].want)), "%s: %.*s", told[_i].what,
                      VIEW_FMT(buf_view(&out)));
    buf_fini(&out);
}
END_TEST

/* ---- passes ---- */

START_TEST(test_pass)
{
    static const unsigned char key[32] = {1};
    struct view id = V("0f0e0d0c-0b0a-4009-8807-060504030201");
    char pass[PASS_TEXT_MAX];
    struct err e = ERR_INIT;

    memset(&h, 0, sizeof(h));
    ck_assert_int_eq(mac_new(&h.mac, key, sizeof(key), &e), 0);
    ck_assert_int_eq(pass_make(&h, id, 5000, pass, &e), 0);
    ck_assert(pass_good(&h, id, view_str(pass), 4999));
    ck_assert(!pass_good(&h, id, view_str(pass), 5000));
    ck_assert(!pass_good(&h, V("1f0e0d0c-0b0a-4009-8807-060504030201"), view_str(pass), 0));
    for (size_t n = 0; n < strlen(pass); n++) {
        char other[PASS_TEXT_MAX];

        ck_assert(!pass_good(&h, id, view_of(pass, n), 0));
        memcpy(other, pass, sizeof(other));
        other[n] = other[n] == 'A' ? 'B' : 'A';
        ck_assert(!pass_good(&h, id, view_str(other), 0));
    }
    mac_free(&h.mac);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_b64, 0, (int)COUNT_OF(b64s));
    tcase_add_loop_test(tc, test_kind, 0, (int)COUNT_OF(kinds));
    tcase_add_test(tc, test_text_to_the_end);
    tcase_add_loop_test(tc, test_name, 0, (int)COUNT_OF(called));
    tcase_add_loop_test(tc, test_id, 0, (int)COUNT_OF(refs));
    tcase_add_loop_test(tc, test_attach_read, 0, (int)COUNT_OF(lists));
    tcase_add_test(tc, test_store);
    tcase_add_test(tc, test_map_sealed);
    tcase_add_test(tc, test_brought_for_nobody);
    tcase_add_test(tc, test_drop_and_quota);
    tcase_add_test(tc, test_keep_torture);
    tcase_add_loop_test(tc, test_told, 0, (int)COUNT_OF(told));
    tcase_add_test(tc, test_pass);
}

CK_MAIN("media")
