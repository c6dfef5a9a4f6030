/* What every platform stands on: headers and outcomes of answers, names, HTTP, lines and WebSockets
 * against a server that says what a row wants. */
#include "chan_fetch.h"
#include "chan_http.h"
#include "chan_resolve.h"
#include "chan_stream.h"
#include "chan_ws.h"
#include "channel_int.h"
#include "ck.h"
#include "fd.h"
#include "media.h"
#include "ws.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

const struct channel_ops channel_platform = {.id = "test"}; /* not used */

/* ---- headers, outcomes ---- */

static const struct {
    const char *lines, *name, *want;
} headers[] = {
    {"A: 1\r\nB: 2\r\n", "b", "2"},
    {"A: 1\nB: 2", "B", "2"},
    {"a:1\r\na:2\r\n", "A", "1"},
    {"A : 1\r\n", "A", ""},
    {" A: 1\r\n", "A", "1"},
    {"AB: 1\r\n", "A", ""},
    {"A\r\nA: 2\r\n", "A", "2"},
    {"A:\r\n", "A", ""},
    {"HTTP/1.1 200 OK\r\n", "HTTP", ""},
    {"", "A", ""},
    {"A:  x: y \r\n", "a", "x: y"},
    {"\n\n:\nA: 1", "A", "1"},
};

START_TEST(test_header)
{
    struct view got = chan_header(view_str(headers[_i].lines), headers[_i].name);

    ck_assert_msg(view_eq(got, view_str(headers[_i].want)), "%s: %.*s", headers[_i].lines,
                  VIEW_FMT(got));
}
END_TEST

static const struct {
    enum chan_http_end end;
    unsigned status;
    enum channel_outcome want;
} outcomes[] = {
    {CHAN_HTTP_NOT_SENT, 0, CHANNEL_TRANSIENT},   {CHAN_HTTP_NO_ANSWER, 0, CHANNEL_UNKNOWN},
    {CHAN_HTTP_TOO_LARGE, 200, CHANNEL_UNKNOWN},  {CHAN_HTTP_REFUSED, 0, CHANNEL_PERMANENT},
    {CHAN_HTTP_ANSWERED, 200, CHANNEL_SENT},      {CHAN_HTTP_ANSWERED, 204, CHANNEL_SENT},
    {CHAN_HTTP_ANSWERED, 299, CHANNEL_SENT},      {CHAN_HTTP_ANSWERED, 300, CHANNEL_PERMANENT},
    {CHAN_HTTP_ANSWERED, 400, CHANNEL_PERMANENT}, {CHAN_HTTP_ANSWERED, 408, CHANNEL_TRANSIENT},
    {CHAN_HTTP_ANSWERED, 425, CHANNEL_TRANSIENT}, {CHAN_HTTP_ANSWERED, 429, CHANNEL_TRANSIENT},
    {CHAN_HTTP_ANSWERED, 499, CHANNEL_PERMANENT}, {CHAN_HTTP_ANSWERED, 500, CHANNEL_TRANSIENT},
    {CHAN_HTTP_ANSWERED, 599, CHANNEL_TRANSIENT},
};

START_TEST(test_outcome)
{
    struct chan_http_answer a = {
        .end = outcomes[_i].end, .status = outcomes[_i].status, .error = "x"};
    struct channel_result r;

    chan_http_result(&a, &r);
    /* what a server is too busy for may be said as "later" */
    ck_assert_msg(r.outcome == outcomes[_i].want ||
                      (outcomes[_i].want == CHANNEL_TRANSIENT && r.outcome == CHANNEL_LATER),
                  "%d %u: %d", (int)outcomes[_i].end, outcomes[_i].status, (int)r.outcome);
}
END_TEST

/* ---- what is said of files ---- */

static const struct {
    const char *said, *kind;
    unsigned index;
    const char *type, *want;
} file_names[] = {
    {"a.png", "image", 0, "image/png", "a.png"},
    {"../../etc/passwd", "document", 0, "text/plain", "passwd"},
    {"C:\\x\\y.txt", "document", 0, "text/plain", "y.txt"},
    {"a\nb\x7f.txt", "document", 0, "text/plain", "ab.txt"},
    {"", "image", 0, "image/jpeg", "image.jpg"},
    {"", "image", 2, "image/jpeg", "image-3.jpg"},
    {"", "", 0, "application/octet-stream", "file"},
    {"..", "voice", 0, "audio/ogg", "voice.ogg"},
    {"x/..", "voice", 0, "audio/ogg", "voice.ogg"},
    {".\x01.", "voice", 0, "audio/ogg", "voice.ogg"},
    {"gr\xfcn.txt", "document", 0, "text/plain", "document.txt"},
    {"  ", "sticker", 0, "image/webp", "sticker.webp"},
};

START_TEST(test_file_name)
{
    struct buf b = BUF_INIT(1024);

    media_name(view_str(file_names[_i].said), view_str(file_names[_i].kind), file_names[_i].index,
               view_str(file_names[_i].type), &b);
    ck_assert_msg(view_eq(buf_view(&b), view_str(file_names[_i].want)), "%s: %.*s",
                  file_names[_i].said, VIEW_FMT(buf_view(&b)));
    buf_fini(&b);
}
END_TEST

START_TEST(test_file_size)
{
    static const struct {
        uint64_t bytes;
        const char *want;
    } sizes[] = {{0, "0 bytes"},      {999, "999 bytes"},   {1000, "1 KB"},   {999499, "999 KB"},
                 {31000000, "31 MB"}, {1499999999, "1 GB"}, {1500000, "2 MB"}};

    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct buf b = BUF_INIT(64);

        media_size(sizes[i].bytes, &b);
        ck_assert_msg(view_eq(buf_view(&b), view_str(sizes[i].want)), "%s: %.*s", sizes[i].want,
                      VIEW_FMT(buf_view(&b)));
        buf_fini(&b);
    }
}
END_TEST

/* ---- a server that says what it is told to ---- */

static struct channel ch;

struct server {
    int fd;
    _Atomic int conn;
    uint16_t port;
    struct view says; /* behind the request's head; "$ACCEPT" is the key's answer */
    size_t cut;       /* so many bytes of it a time; 0: at once */
    pthread_t thread;
    char got[8192];
};

static struct server srv;

static void say(int fd, struct view v)
{
    while (v.n) {
        size_t n = srv.cut && srv.cut < v.n ? srv.cut : v.n;

        if (send(fd, v.p, n, MSG_NOSIGNAL) != (ssize_t)n)
            return;
        v = view_from(v, n);
    }
}

static void answer(int fd)
{
    const char *mark = memmem(srv.says.p, srv.says.n, "$ACCEPT", 7);
    struct view head = view_str(srv.got), key = chan_header(head, "sec-websocket-key");
    char accept[WS_ACCEPT_LEN + 1];
    struct err e = ERR_INIT;

    if (!mark) {
        say(fd, srv.says);
        return;
    }
    if (ws_accept(key, accept, &e) < 0)
        return;
    say(fd, view_of(srv.says.p, (size_t)(mark - srv.says.p)));
    say(fd, view_str(accept));
    say(fd, view_from(srv.says, (size_t)(mark - srv.says.p) + 7));
}

static void *serve(void *arg)
{
    int fd = accept4(srv.fd, NULL, NULL, SOCK_CLOEXEC);
    size_t n = 0;
    ssize_t r;

    (void)arg;
    srv.conn = fd;
    while (fd >= 0 && n + 1 < sizeof(srv.got) && !memmem(srv.got, n, "\r\n\r\n", 4) &&
           (r = recv(fd, srv.got + n, sizeof(srv.got) - 1 - n, 0)) > 0)
        srv.got[n += (size_t)r] = '\0';
    if (fd >= 0) {
        char rest[4096];

        answer(fd);
        (void)shutdown(fd, SHUT_WR);
        while (recv(fd, rest, sizeof(rest), 0) > 0)
            ;
    }
    return NULL;
}

static void serve_begin(struct view says, size_t cut)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(in);

    srv = (struct server){.says = says, .cut = cut, .conn = -1};
    srv.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert(srv.fd >= 0 && bind(srv.fd, (struct sockaddr *)&in, sizeof(in)) == 0 &&
              listen(srv.fd, 4) == 0 && getsockname(srv.fd, (struct sockaddr *)&in, &len) == 0);
    srv.port = ntohs(in.sin_port);
    ck_assert(pthread_create(&srv.thread, NULL, serve, NULL) == 0);
}

static void serve_end(void)
{
    int fd = srv.conn;

    (void)shutdown(srv.fd, SHUT_RDWR);
    if (fd >= 0)
        (void)shutdown(fd, SHUT_RDWR); /* a client may keep it for its next request */
    (void)pthread_join(srv.thread, NULL);
    if (srv.conn >= 0)
        (void)close(srv.conn);
    (void)close(srv.fd);
}

static void channel_begin(void)
{
    struct err e = ERR_INIT;

    memset(&ch, 0, sizeof(ch));
    ch.ops = &channel_platform;
    ck_assert(loop_new(&ch.w.loop, &e) == 0);
}

static void run(void)
{
    struct err e = ERR_INIT;

    ck_assert(loop_run(ch.w.loop, &e) == 0);
}

/* ---- names ---- */

static struct {
    unsigned n, calls;
    bool loopback;
    char why[96];
} named;

static void on_named(void *ctx, const struct chan_address *a, unsigned n, const char *why)
{
    (void)ctx;
    named.calls++;
    named.n = n;
    (void)snprintf(named.why, sizeof(named.why), "%s", why ? why : "");
    for (unsigned i = 0; i < n; i++)
        named.loopback |= a[i].sa.ss_family == AF_INET || a[i].sa.ss_family == AF_INET6;
    loop_stop(ch.w.loop);
}

static const struct {
    const char *host;
    bool known;
} names[] = {
    {"127.0.0.1", true}, {"::1", true}, {"localhost", true}, {"no such name", false}, {"", false},
};

START_TEST(test_resolve)
{
    struct chan_resolve *r = NULL;
    struct err e = ERR_INIT;

    channel_begin();
    memset(&named, 0, sizeof(named));
    ck_assert(chan_resolve_start(&r, ch.w.loop, names[_i].host, 80, on_named, NULL, &e) == 0);
    ck_assert_msg(named.calls == 0, "not from inside");
    run();
    if (names[_i].host[0])
        ck_assert_msg((named.n > 0) == names[_i].known && (named.why[0] == '\0') == names[_i].known,
                      "%s: %u %s", names[_i].host, named.n, named.why);
    ck_assert(named.calls == 1 && named.n <= CHAN_RESOLVE_MAX);
    loop_free(&ch.w.loop);
}
END_TEST

static void on_time(void *ctx)
{
    (void)ctx;
    loop_stop(ch.w.loop);
}

START_TEST(test_resolve_limits)
{
    struct chan_resolve *r = NULL;
    struct loop_timer t = {.loop = NULL};
    struct err e = ERR_INIT;
    char host[300];

    channel_begin();
    memset(&named, 0, sizeof(named));
    memset(host, 'a', sizeof(host));
    host[256] = '\0';
    ck_assert(chan_resolve_start(&r, ch.w.loop, host, 80, on_named, NULL, &e) == ERR_LIMIT && !r);
    ck_assert(chan_resolve_start(&r, ch.w.loop, "127.0.0.1", 80, on_named, NULL, &e) == 0);
    chan_resolve_cancel(&r);
    chan_resolve_cancel(&r);
    loop_timer_init(&t, ch.w.loop, on_time, NULL);
    loop_timer_set(&t, 50);
    run();
    ck_assert_msg(named.calls == 0, "a question that nobody waits for");
    loop_timer_fini(&t);
    loop_free(&ch.w.loop);
}
END_TEST

/* ---- HTTP ---- */

static struct {
    enum chan_http_end end;
    unsigned status;
    uint32_t retry_ms;
    char body[256], type[64], error[128];
} heard;

static void on_http(void *ctx, const struct chan_http_answer *a)
{
    (void)ctx;
    heard.end = a->end;
    heard.status = a->status;
    heard.retry_ms = a->retry_after_ms;
    (void)snprintf(heard.body, sizeof(heard.body), "%.*s", VIEW_FMT(a->body));
    (void)snprintf(heard.type, sizeof(heard.type), "%.*s", VIEW_FMT(a->type));
    (void)snprintf(heard.error, sizeof(heard.error), "%s", a->error);
    loop_stop(ch.w.loop);
}

#define OK "HTTP/1.1 200 OK\r\n"
static const struct {
    const char *name, *says;
    bool foreign;
    enum chan_http_end end;
    unsigned status;
    uint32_t retry_ms;
    const char *body, *type;
} answers[] = {
    {"plain", OK "Content-Type: text/x\r\nContent-Length: 2\r\n\r\nhi", false, CHAN_HTTP_ANSWERED,
     200, 0, "hi", "text/x"},
    {"chunks", OK "Transfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n", false,
     CHAN_HTTP_ANSWERED, 200, 0, "hi", ""},
    {"100 first",
     "HTTP/1.1 100 Continue\r\nRetry-After: 9\r\n\r\n" OK "Content-Length: 2\r\n\r\nhi", false,
     CHAN_HTTP_ANSWERED, 200, 0, "hi", ""},
    {"wait", "HTTP/1.1 429 No\r\nretry-after: 7\r\nContent-Length: 0\r\n\r\n", false,
     CHAN_HTTP_ANSWERED, 429, 7000, "", ""},
    {"a date is no number",
     "HTTP/1.1 503 No\r\nRetry-After: Fri, 1 Jan\r\nContent-Length: 0\r\n\r\n", false,
     CHAN_HTTP_ANSWERED, 503, 0, "", ""},
    {"for ever", "HTTP/1.1 429 No\r\nRetry-After: 99999999\r\nContent-Length: 0\r\n\r\n", false,
     CHAN_HTTP_ANSWERED, 429, 0, "", ""},
    {"below zero", "HTTP/1.1 429 No\r\nRetry-After: -1\r\nContent-Length: 0\r\n\r\n", false,
     CHAN_HTTP_ANSWERED, 429, 0, "", ""},
    {"a redirect is an answer", "HTTP/1.1 302 No\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n",
     false, CHAN_HTTP_ANSWERED, 302, 0, "", ""},
    {"at the limit", OK "Content-Length: 16\r\n\r\n0123456789abcdef", false, CHAN_HTTP_ANSWERED,
     200, 0, "0123456789abcdef", ""},
    {"over it", OK "Content-Length: 17\r\n\r\n0123456789abcdefg", false, CHAN_HTTP_TOO_LARGE, 200,
     0, "", ""},
    {"over it without a length", OK "\r\n0123456789abcdefg", false, CHAN_HTTP_TOO_LARGE, 200, 0, "",
     ""},
    {"half", OK "Content-Length: 9\r\n\r\nhi", false, CHAN_HTTP_NO_ANSWER, 200, 0, "hi", ""},
    {"nothing", "", false, CHAN_HTTP_NO_ANSWER, 0, 0, "", ""},
    {"no HTTP", "SSH-2.0-x\r\n", false, CHAN_HTTP_NO_ANSWER, 0, 0, "", ""},
    {"a private address", OK "Content-Length: 2\r\n\r\nhi", true, CHAN_HTTP_REFUSED, 0, 0, "", ""},
};

static void ask(const char *url, bool foreign)
{
    struct chan_http_request q = {.method = "POST",
                                  .url = url,
                                  .body = V("{}"),
                                  .timeout_ms = 60000,
                                  .max_bytes = 16,
                                  .foreign = foreign};
    struct err e = ERR_INIT;

    memset(&heard, 0, sizeof(heard));
    ck_assert_msg(chan_http(&ch, &q, on_http, NULL, NULL, &e) == 0, "%s", e.text);
    run();
}

START_TEST(test_http)
{
    struct err e = ERR_INIT;
    bool exact;
    char url[64];

    channel_begin();
    ck_assert_msg(chan_http_init(&ch, &e) == 0, "%s", e.text);
    for (size_t cut = 0; cut <= 1; cut++) {
        serve_begin(view_str(answers[_i].says), cut);
        (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/t0ken", srv.port);
        ask(url, answers[_i].foreign);
        serve_end();
        exact = heard.end == CHAN_HTTP_ANSWERED;
        ck_assert_msg(heard.end == answers[_i].end && heard.retry_ms == answers[_i].retry_ms,
                      "%s: %d %u %s", answers[_i].name, (int)heard.end, heard.retry_ms,
                      heard.error);
        ck_assert_msg(!exact || (heard.status == answers[_i].status &&
                                 strcmp(heard.body, answers[_i].body) == 0 &&
                                 strcmp(heard.type, answers[_i].type) == 0),
                      "%s: %u %s %s", answers[_i].name, heard.status, heard.body, heard.type);
        ck_assert_msg((heard.error[0] == '\0') == exact && !strstr(heard.error, "t0ken"), "%s: %s",
                      answers[_i].name, heard.error);
    }
    chan_http_fini(&ch);
    loop_free(&ch.w.loop);
}
END_TEST

static const char *const bad_urls[] = {
    "ftp://127.0.0.1/",      "file:///etc/passwd",  "http://",
    "http://a:b@127.0.0.1/", "gopher://127.0.0.1/", "127.0.0.1:1",
    "http://127.0.0.1:1/"};

START_TEST(test_http_urls)
{
    struct err e = ERR_INIT;

    channel_begin();
    ck_assert(chan_http_init(&ch, &e) == 0);
    ask(bad_urls[_i], false);
    ck_assert_msg(heard.end == CHAN_HTTP_NOT_SENT, "%s: %d", bad_urls[_i], (int)heard.end);
    chan_http_fini(&ch);
    loop_free(&ch.w.loop);
}
END_TEST

/* ---- lines ---- */

static struct buf lines;

static void on_line(void *ctx, struct view line)
{
    (void)ctx;
    buf_put_view(&lines, line);
    buf_put_char(&lines, '|');
}

static void on_over(void *ctx, const char *why)
{
    (void)ctx;
    (void)why;
    loop_stop(ch.w.loop);
}

static void on_up(void *ctx)
{
    struct err e = ERR_INIT;

    ck_assert(chan_stream_write(*(struct chan_stream **)ctx, V("hello\r\n\r\n"), &e) == 0);
}

static const struct {
    struct view says;
    const char *want;
} line_rows[] = {
    {V("a\r\nb\nc\r\n"), "a|b|c|"},
    {V("12345678\r\n"), "12345678|"},
    {V("1234567890\r\nx\r\n"), NULL},
    {V("\r\n\r\n"), NULL},
    {V("no end"), ""},
    {V("a\rb\r\n"), NULL},
};

START_TEST(test_lines)
{
    static const struct chan_stream_on on = {
        .on_open = on_up, .on_line = on_line, .on_close = on_over};
    struct chan_stream *s = NULL;
    struct chan_stream_conf conf = {.host = "127.0.0.1", .line_max = 8};
    char once[256] = "";
    struct err e = ERR_INIT;

    for (size_t cut = 0; cut <= 3;
         cut++) { /* however it is cut on the way, the lines are the same */
        channel_begin();
        buf_init(&lines, 4096);
        serve_begin(line_rows[_i].says, cut);
        conf.port = srv.port;
        ck_assert(chan_stream_open(&ch, &conf, &on, &s, &s, &e) == 0);
        run();
        chan_stream_close(&s);
        serve_end();
        buf_put_char(&lines, '\0');
        if (line_rows[_i].want)
            ck_assert_str_eq(buf_view(&lines).p, line_rows[_i].want);
        if (cut)
            ck_assert_str_eq(buf_view(&lines).p, once);
        (void)snprintf(once, sizeof(once), "%s", buf_view(&lines).p);
        buf_fini(&lines);
        loop_free(&ch.w.loop);
    }
}
END_TEST

START_TEST(test_stream_private)
{
    static const struct chan_stream_on on = {
        .on_open = on_up, .on_line = on_line, .on_close = on_over};
    struct chan_stream_conf conf = {.host = "127.0.0.1", .port = 1, .foreign = true};
    struct chan_stream *s = NULL;
    struct err e = ERR_INIT;

    channel_begin();
    ck_assert(chan_stream_open(&ch, &conf, &on, &s, &s, &e) == 0);
    run(); /* on_close, never on_open */
    chan_stream_close(&s);
    loop_free(&ch.w.loop);
}
END_TEST

/* ---- WebSockets ---- */

static struct {
    struct buf text;
    unsigned opens, code;
    char why[160];
} sock;

static void ws_up(void *ctx)
{
    (void)ctx;
    sock.opens++;
}

static void ws_text(void *ctx, struct view text)
{
    (void)ctx;
    buf_put_view(&sock.text, text);
    buf_put_char(&sock.text, '|');
}

static void ws_over(void *ctx, unsigned code, const char *why)
{
    (void)ctx;
    sock.code = code;
    (void)snprintf(sock.why, sizeof(sock.why), "%s", why);
    loop_stop(ch.w.loop);
}

#define UP                                                                                         \
    "HTTP/1.1 101 Switching\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"                      \
    "Sec-WebSocket-Accept: $ACCEPT\r\n\r\n"
static const struct {
    const char *name;
    struct view says;
    unsigned opens, code;
    const char *text;
} ws_rows[] = {
    {"a message, an end", V(UP "\x81\x02hi\x88\x02\x03\xe8"), 1, 1000, "hi|"},
    {"in two pieces", V(UP "\x01\x01h\x80\x01i\x88\x02\x03\xe9"), 1, 1001, "hi|"},
    {"a ping between", V(UP "\x01\x01h\x89\x00\x80\x01i\x88\x00"), 1, 0, "hi|"},
    {"at the limit",
     V(UP "\x81\x08"
          "12345678\x88\x00"),
     1, 0, "12345678|"},
    {"over it",
     V(UP "\x81\x09"
          "123456789"),
     1, 0, ""},
    {"a masked frame of a server", V(UP "\x81\x82\1\2\3\4xx"), 1, 0, ""},
    {"no text", V(UP "\x81\x02\xff\xff"), 1, 0, ""},
    {"an unknown frame", V(UP "\x83\x00"), 1, 0, ""},
    {"broken off", V(UP "\x81\x05hi"), 1, 0, ""},
    {"another key's answer",
     V("HTTP/1.1 101 S\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "
       "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x81\x02hi"),
     0, 0, ""},
    {"no upgrade", V("HTTP/1.1 101 S\r\nSec-WebSocket-Accept: $ACCEPT\r\n\r\n\x81\x02hi"), 0, 0,
     ""},
    {"refused", V("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"), 0, 0, ""},
    {"nothing", V(""), 0, 0, ""},
};

START_TEST(test_ws)
{
    static const struct chan_ws_on on = {
        .on_open = ws_up, .on_message = ws_text, .on_close = ws_over};
    struct chan_ws_conf conf = {.max_bytes = 8};
    struct chan_ws *w = NULL;
    struct err e = ERR_INIT;
    char url[64];

    for (size_t cut = 0; cut <= 1; cut++) {
        channel_begin();
        memset(&sock, 0, sizeof(sock));
        buf_init(&sock.text, 4096);
        serve_begin(ws_rows[_i].says, cut);
        (void)snprintf(url, sizeof(url), "ws://127.0.0.1:%u/x?y", srv.port);
        conf.url = url;
        ck_assert(chan_ws_open(&ch, &conf, &on, NULL, &w, &e) == 0);
        run();
        chan_ws_close(&w, 0);
        serve_end();
        ck_assert_msg(strstr(srv.got, "GET /x?y HTTP/1.1\r\n"), "%s", srv.got);
        ck_assert_msg(sock.opens == ws_rows[_i].opens && sock.code == ws_rows[_i].code &&
                          view_eq(buf_view(&sock.text), view_str(ws_rows[_i].text)),
                      "%s: %u opens, code %u, %.*s, %s", ws_rows[_i].name, sock.opens, sock.code,
                      VIEW_FMT(buf_view(&sock.text)), sock.why);
        buf_fini(&sock.text);
        loop_free(&ch.w.loop);
    }
}
END_TEST

static const struct {
    const char *url, *header;
} ws_bad[] = {
    {"http://a/", NULL},         {"ws://", NULL},      {"ws://a:0/", NULL},
    {"ws://a:65536/", NULL},     {"ws://u@a/", NULL},  {"ws://a b/", NULL},
    {"ws://a/\r\nX: y", NULL},   {"ws://a/b c", NULL}, {"ws://a:x/", NULL},
    {"ws://a/", "A: 1\r\nB: 2"},
};

START_TEST(test_ws_urls)
{
    static const struct chan_ws_on on = {
        .on_open = ws_up, .on_message = ws_text, .on_close = ws_over};
    const char *const more[] = {ws_bad[_i].header, NULL};
    struct chan_ws_conf conf = {.url = ws_bad[_i].url, .headers = more, .max_bytes = 8};
    struct chan_ws *w = NULL;
    struct err e = ERR_INIT;

    channel_begin();
    ck_assert_msg(chan_ws_open(&ch, &conf, &on, NULL, &w, &e) < 0 && !w, "%s", ws_bad[_i].url);
    loop_free(&ch.w.loop);
}
END_TEST

#define LOOP(test, rows) tcase_add_loop_test(tc, test, 0, (int)COUNT_OF(rows))

static void add_cases(TCase *tc)
{
    LOOP(test_header, headers);
    LOOP(test_outcome, outcomes);
    LOOP(test_file_name, file_names);
    tcase_add_test(tc, test_file_size);
    LOOP(test_resolve, names);
    tcase_add_test(tc, test_resolve_limits);
    LOOP(test_http, answers);
    LOOP(test_http_urls, bad_urls);
    LOOP(test_lines, line_rows);
    tcase_add_test(tc, test_stream_private);
    LOOP(test_ws, ws_rows);
    LOOP(test_ws_urls, ws_bad);
}

CK_MAIN("chan")
