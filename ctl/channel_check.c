/* ctl/channel_check.c - channels check COMMAND: an external channel's program against the protocol
 * (docs/channel-protocol.md), as the gateway would speak to it. For authors; no gateway is needed.
 */
#include "ctl.h"

#include "b64.h"
#include "clock.h"
#include "jw.h"
#include "mem.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ANSWER_MS = 10000, END_MS = 3000, LINE_MAX_BYTES = 1 << 20 };

struct check {
    pid_t pid;
    int fd;
    struct buf in;
    unsigned passed, failed;
    bool json, media; /* media: it says that it takes files */
    json_t *rows;     /* owned */
    json_t *file;     /* owned: the first file that somebody sent while we asked */
};

static void row(struct check *k, bool ok, const char *what, const char *more)
{
    if (ok)
        k->passed++;
    else
        k->failed++;
    if (!k->json) {
        (void)printf("%s  %s%s", ok ? "ok  " : "FAIL", what, more && more[0] ? ": " : "");
        ctl_put_text(view_str(more ? more : ""));
        (void)putchar('\n');
    }
    (void)json_array_append_new(k->rows, json_pack("{s:b, s:s, s:s*}", "ok", ok, "what", what,
                                                   "more", more && more[0] ? more : NULL));
}

static bool start(struct check *k, char **argv)
{
    int s[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s) < 0)
        return false;
    k->pid = fork();
    if (k->pid == 0) {
        (void)dup2(s[1], STDIN_FILENO);
        (void)dup2(s[1], STDOUT_FILENO);
        (void)execv(argv[0], argv);
        _exit(127);
    }
    (void)close(s[1]);
    k->fd = s[0];
    return k->pid > 0;
}

static void tell(struct check *k, const char *method, int id, json_t *params)
{
    json_t *doc =
        json_pack("{s:s, s:s, s:o}", "jsonrpc", "2.0", "method", method, "params", params);
    char *text;

    if (id)
        (void)json_object_set_new(doc, "id", json_integer(id));
    if ((text = json_dumps(doc, JSON_COMPACT))) {
        (void)!send(k->fd, text, strlen(text), MSG_NOSIGNAL);
        (void)!send(k->fd, "\n", 1, MSG_NOSIGNAL);
        mem_wipe(text, strlen(text));
        mem_free(text);
    }
    json_decref(doc);
}

/* The next line as an object. NULL: none in time, its end, or no object: *why says which. */
static json_t *next(struct check *k, int64_t until, const char **why)
{
    for (;;) {
        struct view have = buf_view(&k->in);
        size_t n = view_find(have, '\n');
        struct pollfd p = {.fd = k->fd, .events = POLLIN};
        int64_t left = until - (int64_t)clock_mono_ms();
        json_t *doc;
        char *room;
        ssize_t got;

        if (n < have.n) {
            doc = json_loadb(have.p, n, 0, NULL);
            buf_eat(&k->in, n + 1);
            if (json_is_object(doc))
                return doc;
            json_decref(doc);
            *why = "a line that is no JSON object";
            return NULL;
        }
        if (left <= 0 || poll(&p, 1, (int)left) <= 0) {
            *why = "nothing in time";
            return NULL;
        }
        if (!(room = buf_room(&k->in, 65536)) || (got = read(k->fd, room, 65536)) <= 0) {
            *why = "it ended";
            return NULL;
        }
        buf_added(&k->in, (size_t)got);
    }
}

/* A file of a message that comes by itself is worth a try. */
static void look(struct check *k, const json_t *doc)
{
    json_t *media = json_object_get(json_object_get(doc, "params"), "media");

    if (!k->file && json_view(json_array_get(media, 0), "ref").n)
        k->file = json_incref(json_array_get(media, 0));
}

/* The answer to this id; notifications before it are looked at and left. */
static json_t *answer(struct check *k, int id, const char **why)
{
    int64_t until = (int64_t)clock_mono_ms() + ANSWER_MS;
    json_t *doc;

    while ((doc = next(k, until, why))) {
        if (!json_object_get(doc, "method") && json_i64(doc, "id", 0) == id)
            return doc;
        look(k, doc);
        json_decref(doc);
    }
    return NULL;
}

static json_t *ask(struct check *k, const char *what, const char *method, int id, json_t *params)
{
    const char *why = "";
    json_t *doc;

    tell(k, method, id, params);
    if (!(doc = answer(k, id, &why)))
        row(k, false, what, why);
    return doc;
}

static void check_initialize(struct check *k, json_t *conf)
{
    json_t *doc = ask(k, "initialize is answered", "initialize", 1,
                      json_pack("{s:i, s:s, s:s, s:O}", "protocol", 1, "channel", "check",
                                "account", "default", "config", conf)),
           *result = json_object_get(doc, "result");
    int64_t limit = json_i64(result, "textLimit", 4000);
    const json_t *cap;
    size_t i;

    if (!doc)
        return;
    row(k, json_is_object(result), "initialize has a result",
        json_string_value(json_object_get(json_object_get(doc, "error"), "message")));
    row(k, limit >= 16 && limit <= 262144, "textLimit is between 16 and 262144", NULL);
    row(k,
        !json_object_get(result, "capabilities") ||
            json_is_array(json_object_get(result, "capabilities")),
        "capabilities is a list", NULL);
    json_array_foreach(json_object_get(result, "capabilities"), i, cap) k->media |=
        view_eq(json_view_of(cap), V("media"));
    json_decref(doc);
}

/* ---- files ---- */

static bool refuses(struct check *k, const char *what, const char *method, int id, json_t *params)
{
    json_t *doc = ask(k, what, method, id, params), *error = json_object_get(doc, "error");
    bool ok = json_view(error, "message").n > 0;

    if (doc)
        row(k, ok, what, NULL);
    json_decref(doc);
    return ok;
}

static bool put(struct check *k, int id, int offset, const char *data, bool end)
{
    json_t *doc = ask(k, "a piece of a file is taken", "media.put", id,
                      json_pack("{s:s, s:i, s:s, s:b}", "ref", "check-file", "offset", offset,
                                "data", data, "end", end));
    bool ok = doc && !json_object_get(doc, "error");

    if (doc)
        row(k, ok, "a piece of a file is taken", NULL);
    json_decref(doc);
    return ok;
}

/* All of a file, in pieces of at most so many bytes. */
static void check_fetch(struct check *k, int id)
{
    enum { PIECE = 1000, FILE_MAX = 64 << 20 };
    struct buf got = BUF_INIT(FILE_MAX);
    int64_t said = json_i64(k->file, "bytes", 0);
    bool end = false, ok = true;

    while (ok && !end) {
        size_t before = got.n;
        json_t *doc = ask(k, "a file that somebody sent comes in pieces", "media.fetch", id++,
                          json_pack("{s:O, s:I, s:i}", "ref", json_object_get(k->file, "ref"),
                                    "offset", (json_int_t)got.n, "limit", (int)PIECE)),
               *result = json_object_get(doc, "result");

        end = json_flag(result, "end", false);
        ok = b64_get(json_view(result, "data"), &got) && got.n - before <= PIECE &&
             (got.n > before || end);
        json_decref(doc);
    }
    row(k, ok, "a file that somebody sent comes in pieces", NULL);
    row(k, !said || (uint64_t)said == got.n, "it has as many bytes as were said", NULL);
    buf_fini(&got);
}

static void check_media(struct check *k)
{
    json_t *doc;

    if (put(k, 10, 0, "aGVsbG8g", false) && put(k, 11, 6, "eW91", true)) {
        doc = ask(k, "send of a file to nobody is answered", "send", 12,
                  json_pack("{s:s, s:s, s:[{s:s, s:s, s:s, s:i}]}", "idempotencyKey", "check-2",
                            "to", "nobody-of-that-name", "media", "ref", "check-file", "type",
                            "text/plain", "name", "hello.txt", "bytes", 9));
        if (doc)
            row(k,
                json_view(json_object_get(doc, "error"), "message").n ||
                    json_view(json_object_get(doc, "result"), "messageId").n,
                "send of a file without text answers as any other", NULL);
        json_decref(doc);
    }
    tell(k, "media.drop", 0, json_pack("{s:s}", "ref", "never-put"));
    (void)refuses(k, "a file that nobody sent is refused", "media.fetch", 13,
                  json_pack("{s:s, s:i, s:i}", "ref", "never-said", "offset", 0, "limit", 1000));
    if (k->file)
        check_fetch(k, 14);
}

static void check_refusals(struct check *k)
{
    json_t *doc = ask(k, "an unknown method is answered with an error", "no.such.method", 2,
                      json_object()),
           *error;

    if (doc)
        row(k, json_is_object(json_object_get(doc, "error")),
            "an unknown method is answered with an error", NULL);
    json_decref(doc);
    doc = ask(k, "send to nobody is answered", "send", 3,
              json_pack("{s:s, s:s, s:s, s:s}", "idempotencyKey", "check-1", "to",
                        "nobody-of-that-name", "text", "a check", "plain", "a check"));
    if (!doc)
        return;
    error = json_object_get(doc, "error");
    row(k,
        error ? json_view(error, "message").n > 0
              : json_view(json_object_get(doc, "result"), "messageId").n > 0,
        "send answers with a messageId, or an error with a message", NULL);
    json_decref(doc);
}

static void check_manners(struct check *k)
{
    json_t *doc;

    tell(k, "ack", 0, json_pack("{s:s}", "id", "never-said"));
    tell(k, "a.notification.of.a.later.version", 0, json_object());
    doc = ask(k, "it lives after notifications that it does not know", "probe", 4, json_object());
    if (doc)
        row(k, true, "it lives after notifications that it does not know", NULL);
    json_decref(doc);
}

static void check_end(struct check *k)
{
    int64_t until = (int64_t)clock_mono_ms() + END_MS;
    int status = 0;
    pid_t got = 0;

    (void)shutdown(k->fd, SHUT_WR);
    while (got == 0 && (int64_t)clock_mono_ms() < until) {
        got = waitpid(k->pid, &status, WNOHANG);
        if (got == 0)
            (void)poll(NULL, 0, 20);
    }
    row(k, got == k->pid, "it leaves at the end of its input", NULL);
    if (got != k->pid) {
        (void)kill(k->pid, SIGKILL);
        (void)waitpid(k->pid, &status, 0);
    }
}

int channel_check(struct ctl *c, int argc, char **argv)
{
    struct check k = {.json = c->json, .rows = json_array(), .in = BUF_INIT(2 * LINE_MAX_BYTES)};
    json_t *conf = json_object(), *doc;

    while (argc > 2 && strcmp(argv[0], "--config-json") == 0) {
        json_decref(conf);
        conf = json_loads(argv[1], 0, NULL); /* json_is_object looks at its argument twice */
        if (!json_is_object(conf)) {
            (void)fputs("openclawctl: --config-json: not a JSON object\n", stderr);
            return 2;
        }
        argc -= 2;
        argv += 2;
    }
    if (argc < 1 || argv[0][0] != '/') {
        (void)fputs(
            "usage: openclawctl channels check [--config-json JSON] /PATH/PROGRAM [ARG ...]\n",
            stderr);
        json_decref(conf);
        json_decref(k.rows);
        return 2;
    }
    if (start(&k, argv)) {
        check_initialize(&k, conf);
        if (!k.failed) {
            check_refusals(&k);
            if (k.media)
                check_media(&k);
            check_manners(&k);
        }
        check_end(&k);
        (void)close(k.fd);
    } else {
        row(&k, false, "it can be started", strerror(errno));
    }
    doc = json_pack("{s:i, s:i, s:o}", "passed", k.passed, "failed", k.failed, "checks", k.rows);
    if (c->json)
        ctl_print_json(doc);
    else
        (void)printf("%u passed, %u failed\n", k.passed, k.failed);
    json_decref(doc);
    json_decref(conf);
    json_decref(k.file);
    buf_fini(&k.in);
    return k.failed ? 1 : 0;
}
