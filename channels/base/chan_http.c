#include "chan_http.h"

#include "chan_form.h"
#include "channel_int.h"
#include "curl_loop.h"
#include "net_guard.h"
#include "num.h"

#include <fcntl.h>
#include <stdio.h>
#include <strings.h>
#include <sys/socket.h>

enum {
    PROXY_BYTES = 512,
    CONNECT_MS = 10 * 1000,
    URL_BYTES = 8192,
    BODY_OUT_MAX = 64 << 20,
    SPARE_MAX = 4, /* handles kept for the next request */
    IDLE_CONNS_MAX = 4,
    CONN_AGE_S = 30,
    BUFFER_BYTES = 16384,
    RETRY_AFTER_MAX_S = 24 * 3600,
};

struct chan_http_call {
    struct http *h;
    struct chan_http_call *next, **prev;
    CURL *easy; /* owned */
    struct curl_slist *lines;
    struct chan_form *form; /* owned */
    struct buf sent;        /* our body */
    struct buf body, headers;
    char url[URL_BYTES];
    chan_http_done *on_end;
    bool (*on_data)(void *ctx, struct view piece);
    void *ctx;
    struct loop_timer timer; /* the whole, or silence */
    uint32_t timeout_ms, idle_ms;
    uint64_t started_ms, heard_ms;
    unsigned status, redirects;
    uint32_t retry_after_ms;
    bool foreign, connected, refused, too_large, timed_out, enough;
    bool starved; /* no memory, perhaps for this one: it ends */
    char says[CURL_ERROR_SIZE];
};

struct http {
    const struct curl_api *api;
    struct loop *loop;
    struct curl_loop curl;
    struct chan_http_call *calls;
    unsigned active, spares;
    CURL *spare[SPARE_MAX];
    char *proxy; /* owned; every request goes through it; NULL: none */
};

/* ---- the end of a call ---- */

static void unlink_call(struct chan_http_call *k)
{
    struct http *h = k->h;

    *k->prev = k->next;
    if (k->next)
        k->next->prev = k->prev;
    h->active--;
    (void)h->api->multi_remove_handle(h->curl.multi, k->easy);
    (void)h->api->easy_setopt(k->easy, CURLOPT_MIMEPOST, NULL);
    (void)h->api->easy_setopt(k->easy, CURLOPT_HTTPHEADER, NULL);
    chan_form_free(&k->form);
    if (h->spares < SPARE_MAX && !k->starved)
        h->spare[h->spares++] = TAKE(k->easy);
    else
        h->api->easy_cleanup(k->easy);
    h->api->slist_free_all(k->lines);
    loop_timer_fini(&k->timer);
}

static void free_call(struct chan_http_call *k)
{
    buf_fini(&k->sent);
    buf_fini(&k->body);
    buf_fini(&k->headers);
    mem_wipe(k->url, sizeof(k->url));
    mem_free(k);
}

void chan_http_cancel(struct chan_http_call **kp)
{
    struct chan_http_call *k = TAKE(*kp);

    if (!k)
        return;
    unlink_call(k);
    free_call(k);
}

/* What libcurl says may hold the URL, and the URL may hold a token. */
static const char *sentence(const struct chan_http_call *k, CURLcode code)
{
    if (k->refused)
        return "the address is not a public one";
    if (chan_form_unreadable(k->form))
        return "the file cannot be read";
    if (k->too_large)
        return "the answer is too large";
    if (k->timed_out)
        return "no answer in time";
    switch ((int)code) {
    case CURLE_COULDNT_RESOLVE_HOST:
        return "the host's name is not known";
    case CURLE_COULDNT_CONNECT:
        return "cannot connect";
    case CURLE_OPERATION_TIMEDOUT:
        return "no connection in time";
    case CURLE_PEER_FAILED_VERIFICATION:
        return "the certificate is not valid for the host";
    case CURLE_SSL_CONNECT_ERROR:
        return "TLS did not come about";
    case CURLE_TOO_MANY_REDIRECTS:
        return "too many redirects";
    case CURLE_ABORTED_BY_CALLBACK: /* on_connected */
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE:
    case CURLE_SEND_ERROR:
        return "the connection broke off";
    default:
        return k->h->api->easy_strerror(code);
    }
}

static enum chan_http_end end_of(const struct chan_http_call *k, CURLcode code)
{
    if (k->refused || code == CURLE_TOO_MANY_REDIRECTS || chan_form_unreadable(k->form))
        return CHAN_HTTP_REFUSED;
    if (k->too_large)
        return CHAN_HTTP_TOO_LARGE;
    if ((code == CURLE_OK || k->enough) && k->status)
        return CHAN_HTTP_ANSWERED;
    return k->connected && !chan_form_unsent(k->form) ? CHAN_HTTP_NO_ANSWER : CHAN_HTTP_NOT_SENT;
}

static void end_call(struct chan_http_call *k, CURLcode code)
{
    struct chan_http_answer a = {.end = end_of(k, code),
                                 .status = k->status,
                                 .body = buf_view(&k->body),
                                 .headers = buf_view(&k->headers),
                                 .retry_after_ms = k->retry_after_ms,
                                 .error = ""};

    if (a.end != CHAN_HTTP_ANSWERED)
        a.error = sentence(k, code);
    a.type = chan_http_header(&a, "content-type");
    unlink_call(k);
    k->on_end(k->ctx, &a);
    free_call(k);
}

/* ---- libcurl calls these ---- */

static size_t on_body(char *p, size_t size, size_t count, void *arg)
{
    struct chan_http_call *k = arg;
    size_t n = size * count;

    k->heard_ms = loop_now_ms(k->h->loop);
    if (k->on_data && k->status == 200) {
        if (!k->enough && !k->on_data(k->ctx, view_of(p, n)))
            k->enough = true;
        return k->enough ? 0 : n;
    }
    buf_put(&k->body, p, n);
    k->too_large = k->body.failed;
    return k->body.failed ? 0 : n;
}

static void on_status(struct chan_http_call *k, struct view line)
{
    size_t sp = view_find(line, ' ');
    unsigned status = 0;

    for (size_t i = sp + 1; i < line.n && i < sp + 4 && line.p[i] >= '0' && line.p[i] <= '9'; i++)
        status = status * 10 + (unsigned)(line.p[i] - '0');
    k->status = status;
    k->retry_after_ms = 0;
    buf_reset(&k->headers, 4096); /* of a redirect, or 100 */
    buf_reset(&k->body, 4096);
}

static size_t on_header(char *p, size_t size, size_t count, void *arg)
{
    struct chan_http_call *k = arg;
    size_t n = size * count, colon;
    struct view line = view_trim(view_of(p, n));
    struct err e = ERR_INIT;
    uint32_t s;

    k->heard_ms = loop_now_ms(k->h->loop);
    if (view_starts(line, V("HTTP/"))) {
        on_status(k, line);
        return n;
    }
    buf_put_view(&k->headers, line);
    buf_put_char(&k->headers, '\n');
    if (k->headers.failed) {
        k->too_large = true;
        return 0;
    }
    colon = view_find(line, ':');
    if (colon < line.n && view_ieq(view_of(line.p, colon), V("retry-after")) &&
        num_u32(view_trim(view_from(line, colon + 1)), 0, RETRY_AFTER_MAX_S, &s, &e) == 0)
        k->retry_after_ms = s * 1000;
    return n;
}

/* The connection stands, the request is about to be sent. A second time, and not for a redirect:
 * the kept connection ended without an answer, and libcurl would send it once more by itself, which
 * may say a message twice (seen: a POST on a reused connection that the peer closed behind it). */
static int on_connected(void *arg, char *ip, char *local_ip, int port, int local_port)
{
    struct chan_http_call *k = arg;

    (void)ip;
    (void)local_ip;
    (void)port;
    (void)local_port;
    if (k->connected && !k->foreign)
        return CURL_PREREQFUNC_ABORT;
    k->connected = true;
    return CURL_PREREQFUNC_OK;
}

/* The address that is about to be connected to: also behind a redirect, and whatever the name was
 * resolved to a moment ago. */
static curl_socket_t on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
    struct chan_http_call *k = arg;

    (void)purpose;
    if (k->foreign && !net_guard_public(&to->addr)) {
        k->refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

/* ---- the loop ---- */

static void on_over(void *ctx, void *transfer, CURLcode code)
{
    (void)ctx;
    end_call(transfer, code);
}

static void on_unwatched(void *ctx, void *transfer)
{
    struct chan_http_call *k = transfer;

    (void)ctx;
    k->starved = true;
    loop_timer_set(&k->timer, 0);
}

/* All of them: which one it was cannot be known, and connections may be shared. What they tell may
 * begin and cancel others. */
static void on_starved(void *ctx)
{
    struct http *h = ctx;
    struct chan_http_call *k;

    for (k = h->calls; k; k = k->next) {
        k->starved = true;
        (void)h->api->easy_setopt(k->easy, CURLOPT_FORBID_REUSE, 1L);
    }
    do {
        for (k = h->calls; k && !k->starved; k = k->next)
            ;
        if (k)
            end_call(k, CURLE_OUT_OF_MEMORY);
    } while (k);
}

/* The next moment at which it has taken too long; 0: never. */
static uint64_t limit_of(const struct chan_http_call *k)
{
    uint64_t whole = k->timeout_ms ? k->started_ms + k->timeout_ms : 0,
             idle = k->idle_ms ? k->heard_ms + k->idle_ms : 0;

    return whole && idle ? (whole < idle ? whole : idle) : whole + idle;
}

static void on_limit(void *ctx)
{
    struct chan_http_call *k = ctx;
    uint64_t now = loop_now_ms(k->h->loop), at = limit_of(k);

    if (k->starved) {
        end_call(k, CURLE_OUT_OF_MEMORY);
        return;
    }
    if (at > now) {
        loop_timer_set(&k->timer, at - now);
        return;
    }
    k->timed_out = true;
    end_call(k, CURLE_OPERATION_TIMEDOUT);
}

/* ---- making things ---- */

/* What is the same for every request. */
static CURL *new_easy(const struct curl_api *api)
{
    CURL *c = curl_api_easy(api);
    bool ok = c != NULL;

#define SET(opt, value) ok = ok && api->easy_setopt(c, CURLOPT_##opt, value) == CURLE_OK
    /* The folder of certificates, not the bundle: one account asks one host, and the bundle's 140
       authorities are 1 MB in memory. Measured: 2.5 MB private memory with it, 1.7 without. */
    SET(CAINFO, NULL);
    SET(CAPATH, "/etc/ssl/certs");
    /* one that rested longer the peer may close just when it is used again */
    SET(MAXAGE_CONN, (long)CONN_AGE_S);
    SET(MAXREDIRS, (long)CHAN_HTTP_REDIRECTS_MAX);
    SET(BUFFERSIZE, (long)BUFFER_BYTES);
    SET(UPLOAD_BUFFERSIZE, (long)BUFFER_BYTES);
    SET(WRITEFUNCTION, on_body);
    SET(HEADERFUNCTION, on_header);
    SET(PREREQFUNCTION, on_connected);
    SET(OPENSOCKETFUNCTION, on_socket);
#undef SET
    if (!ok && c) {
        api->easy_cleanup(c);
        c = NULL;
    }
    return c;
}

static bool add_line(struct chan_http_call *k, const char *line)
{
    struct curl_slist *more = k->h->api->slist_append(k->lines, line);

    if (!more)
        return false;
    k->lines = more;
    return true;
}

static bool set_lines(struct chan_http_call *k, const struct chan_http_request *q)
{
    char type[160];
    bool ok = add_line(k, "Expect:"); /* 100-continue costs a round trip */

    if (q->body.n || (!q->part_n && strcmp(q->method, "GET") != 0)) {
        (void)snprintf(type, sizeof(type), "Content-Type: %s",
                       q->type ? q->type : "application/json");
        ok = ok && add_line(k, type);
    }
    for (size_t i = 0; q->headers && q->headers[i]; i++)
        ok = ok && !strpbrk(q->headers[i], "\r\n") && add_line(k, q->headers[i]);
    return ok;
}

/* More of a file has left: that is no silence. */
static void on_upload(void *ctx)
{
    struct chan_http_call *k = ctx;

    k->heard_ms = loop_now_ms(k->h->loop);
}

static bool set_parts(struct chan_http_call *k, const struct chan_http_request *q)
{
    const struct curl_api *api = k->h->api;
    struct err e = ERR_INIT;

    return chan_form_new(&k->form, api, k->easy, q->parts, q->part_n, on_upload, k, &e) == 0 &&
           api->easy_setopt(k->easy, CURLOPT_MIMEPOST, chan_form_mime(k->form)) == CURLE_OK;
}

static bool set_up(struct chan_http_call *k, const struct chan_http_request *q)
{
    const struct curl_api *api = k->h->api;
    struct view body = buf_view(&k->sent);
    bool get = strcmp(q->method, "GET") == 0, ok = true;

#define SET(opt, value) ok = ok && api->easy_setopt(k->easy, CURLOPT_##opt, value) == CURLE_OK
    SET(URL, k->url);
    SET(PROXY, k->h->proxy ? k->h->proxy : "");
    if (get) {
        SET(HTTPGET, 1L);
    } else if (q->part_n) {
        ok = ok && set_parts(k, q);
    } else {
        SET(POST, 1L);
        SET(POSTFIELDS, body.p);
        SET(POSTFIELDSIZE_LARGE, (curl_off_t)body.n);
    }
    SET(CUSTOMREQUEST, get || strcmp(q->method, "POST") == 0 ? NULL : q->method);
    SET(HTTPHEADER, k->lines);
    SET(FOLLOWLOCATION, q->foreign ? 1L : 0L);
    /* a kept connection was judged by another request's rule */
    SET(FRESH_CONNECT, q->foreign ? 1L : 0L);
    SET(FORBID_REUSE, q->foreign ? 1L : 0L);
    SET(CONNECTTIMEOUT_MS, (long)(q->connect_ms ? q->connect_ms : CONNECT_MS));
    SET(ERRORBUFFER, k->says);
    SET(PRIVATE, k);
    SET(WRITEDATA, k);
    SET(HEADERDATA, k);
    SET(PREREQDATA, k);
    SET(OPENSOCKETDATA, k);
#undef SET
    return ok;
}

static void discard(struct chan_http_call *k)
{
    if (k->easy)
        k->h->api->easy_cleanup(k->easy);
    chan_form_free(&k->form);
    k->h->api->slist_free_all(k->lines);
    free_call(k);
}

int chan_http(struct channel *c, const struct chan_http_request *q, chan_http_done *on_end,
              void *ctx, struct chan_http_call **out, struct err *e)
{
    struct http *h = c->http;
    struct chan_http_call *k;
    size_t n = strlen(q->url);
    int r;

    if (!h)
        return err_set(e, ERR_INVALID, "this platform did not say that it needs HTTP");
    if (q->foreign && h->proxy)
        return err_set(e, ERR_INVALID, "an address of a stranger is not asked through a proxy");
    if (h->active >= CHAN_HTTP_CALLS_MAX || n >= URL_BYTES)
        return err_set(e, ERR_LIMIT, "%u requests at once, an address of %zu bytes", h->active, n);
    if ((r = mem_new(&k, sizeof(*k), e)) < 0)
        return r;
    k->h = h;
    memcpy(k->url, q->url, n + 1);
    k->on_end = on_end;
    k->on_data = q->on_data;
    k->ctx = ctx;
    k->foreign = q->foreign;
    k->timeout_ms = q->timeout_ms;
    k->idle_ms = q->idle_ms;
    k->started_ms = k->heard_ms = loop_now_ms(h->loop);
    buf_init(&k->sent, BODY_OUT_MAX);
    buf_init(&k->body, q->max_bytes);
    buf_init(&k->headers, CHAN_HTTP_HEADERS_MAX);
    k->sent.secret = true;
    buf_put_view(&k->sent, q->body);
    k->easy = h->spares ? h->spare[--h->spares] : new_easy(h->api);
    if (!k->easy || k->sent.failed || !set_lines(k, q) || !set_up(k, q) ||
        h->api->multi_add_handle(h->curl.multi, k->easy) != CURLM_OK) {
        discard(k);
        return err_set(e, ERR_NOMEM, "libcurl does not take the request");
    }
    k->next = h->calls;
    k->prev = &h->calls;
    if (k->next)
        k->next->prev = &k->next;
    h->calls = k;
    h->active++;
    loop_timer_init(&k->timer, h->loop, on_limit, k);
    if (limit_of(k))
        loop_timer_set(&k->timer, limit_of(k) - k->started_ms);
    if (out)
        *out = k;
    return 0;
}

int chan_http_init(struct channel *c, struct err *e)
{
    static const struct curl_loop_events on = {
        .on_over = on_over, .on_unwatched = on_unwatched, .on_starved = on_starved};
    struct http *h = NULL;
    CURL *first;
    int r;

    if ((r = mem_new(&h, sizeof(*h), e)) < 0)
        return r;
    h->loop = c->w.loop;
    c->http = h;
    if ((r = curl_loop_init(&h->curl, h->loop, IDLE_CONNS_MAX, &on, h, e)) < 0)
        return r;
    h->api = h->curl.api;
    if ((first = new_easy(h->api))) /* what it reads when first used, before the sandbox */
        h->spare[h->spares++] = first;
    return 0;
}

int chan_http_proxy(struct channel *c, struct view url, struct err *e)
{
    static const char *const schemes[] = {"http://",    "https://",  "socks4://",
                                          "socks4a://", "socks5://", "socks5h://"};
    struct view host = VIEW_EMPTY;
    uint32_t port;
    size_t at;

    for (size_t i = 0; i < COUNT_OF(schemes); i++)
        if (view_starts(url, view_str(schemes[i])))
            host = view_from(url, strlen(schemes[i]));
    while ((at = view_find(host, '@')) < host.n) /* name and password */
        host = view_from(host, at + 1);
    host = view_of(host.p, view_find(host, '/'));
    for (at = host.n; at > 0 && host.p[at - 1] != ':'; at--)
        ;
    if (at < 2 || url.n > PROXY_BYTES || num_u32(view_from(host, at), 1, UINT16_MAX, &port, e) < 0)
        return err_set(
            e, ERR_INVALID,
            "proxy: http, https, socks4, socks4a, socks5 or socks5h, with host and port: "
            "socks5h://127.0.0.1:1080");
    if (!(c->http->proxy = mem_dup(url.p, url.n)))
        return err_set(e, ERR_NOMEM, "proxy: out of memory");
    return channel_port(c, port, e);
}

void chan_http_fini(struct channel *c)
{
    struct http *h = c->http;

    if (!h)
        return;
    while (h->calls) {
        struct chan_http_call *k = h->calls;

        chan_http_cancel(&k);
    }
    while (h->spares)
        h->api->easy_cleanup(h->spare[--h->spares]);
    curl_loop_fini(&h->curl);
    mem_free(h->proxy);
    mem_free(h);
    c->http = NULL;
}
