#include "http.h"

#include "clock.h"
#include "curl_loop.h"

#include "mem.h"

#include <fcntl.h>
#include <stdio.h>
#include <strings.h>

enum {
    SPARE_MAX = 8,       /* handles kept for the next request */
    DRAIN_MS = 1000,     /* what a released call may still take */
    DRAIN_BYTES = 65536, /* and read */
    BUFFER_BYTES = 16384,
    TYPE_MAX = 64, /* of a content type */
};

enum call_state { CALL_CONNECTING, CALL_SENT, CALL_ANSWERED, CALL_RELEASED };

struct http_call {
    struct http *h;
    struct http_call *next, **prev;
    CURL *easy; /* owned */
    struct buf body, error;
    struct curl_slist lines[HTTP_LINES_MAX + 2];
    struct http_events on;
    void *ctx;
    struct loop_timer timer; /* first byte, silence, drain */
    uint64_t deadline_ms;
    uint32_t first_byte_ms, idle_ms;
    enum call_state state;
    const char *accept;
    uint32_t status;
    uint64_t retry_after_ms, bytes, header_bytes;
    bool collect;       /* the body is no stream: kept for the error's text */
    bool enough;        /* nothing more is wanted */
    bool starved;       /* libcurl had no memory, perhaps for this one */
    struct failure why; /* ours; overrides what libcurl says */
    char type[TYPE_MAX];
    char curl_says[CURL_ERROR_SIZE];
};

struct http {
    const struct curl_api *api;
    struct loop *loop;
    struct curl_loop curl;
    struct http_call *calls;
    unsigned active, spares;
    CURL *spare[SPARE_MAX];
};

/* ---- one call's end ---- */

static void unlink_call(struct http_call *c)
{
    struct http *h = c->h;

    *c->prev = c->next;
    if (c->next)
        c->next->prev = c->prev;
    h->active--;
    (void)h->api->multi_remove_handle(h->curl.multi, c->easy);
    if (h->spares < SPARE_MAX && !c->starved)
        h->spare[h->spares++] = TAKE(c->easy);
    else
        h->api->easy_cleanup(c->easy);
    loop_timer_fini(&c->timer);
    buf_fini(&c->body);
    buf_fini(&c->error);
}

static void end_call(struct http_call *c, const struct failure *why)
{
    struct http_events on = c->on;
    void *ctx = c->ctx;
    bool told = c->state != CALL_RELEASED;
    struct failure kept;

    if (why)
        kept = *why;
    unlink_call(c);
    mem_free(c);
    if (told)
        on.on_end(ctx, why ? &kept : NULL);
}

void http_cancel(struct http_call **cp)
{
    struct http_call *c = TAKE(*cp);

    if (!c)
        return;
    unlink_call(c);
    mem_free(c);
}

void http_release(struct http_call **cp)
{
    struct http_call *c = TAKE(*cp);

    if (!c)
        return;
    c->state = CALL_RELEASED;
    (void)c->h->api->easy_setopt(c->easy, CURLOPT_HTTPHEADER, NULL); /* lent, and sent by now */
    c->bytes = 0;
    loop_timer_set(&c->timer, DRAIN_MS);
}

/* An error status, or a 200 that is no stream. */
static void judge_body(struct http_call *c, struct failure *f)
{
    struct view body = buf_view(&c->error);

    if (c->status >= 300) {
        fail_from_http(f, c->status, body);
        if (c->retry_after_ms)
            f->retry_after_ms = c->retry_after_ms;
        return;
    }
    fail_from_http(f, 0, body); /* some send errors as 200 */
    if (!memmem(body.p, body.n, "\"error\"", 7))
        fail_set(f, FAIL_PROTOCOL, "the model server answered with %s instead of a stream",
                 c->type[0] ? c->type : "something else");
}

static void judge_code(const struct http_call *c, CURLcode code, struct failure *f)
{
    const char *says = c->curl_says[0] ? c->curl_says : c->h->api->easy_strerror(code);

    if (c->state == CALL_ANSWERED && c->status == 200) {
        fail_set(f, FAIL_INTERRUPTED, "the model server broke off: %s", says);
        return;
    }
    switch ((int)code) {
    case CURLE_OPERATION_TIMEDOUT:
        fail_set(f, FAIL_TIMEOUT, "cannot connect to the model server in time");
        return;
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
        fail_set(f, FAIL_CONFIG, "model server: %s", says);
        return;
    case CURLE_OUT_OF_MEMORY:
        fail_set(f, FAIL_MEMORY, "out of memory");
        return;
    default:
        fail_set(f, FAIL_NETWORK, "model server: %s", says);
    }
}

static void finish(struct http_call *c, CURLcode code)
{
    struct failure f = {0};

    if (c->why.reason != FAIL_NONE)
        f = c->why;
    else if (c->collect && (code == CURLE_OK || c->status >= 300 || c->error.n))
        judge_body(c, &f);
    else if (code != CURLE_OK)
        judge_code(c, code, &f);
    end_call(c, f.reason != FAIL_NONE ? &f : NULL);
}

/* ---- libcurl calls these ---- */

static void give_up(struct http_call *c, enum fail_reason reason, const char *why)
{
    if (c->why.reason == FAIL_NONE)
        fail_set(&c->why, reason, "%s", why);
}

static size_t on_body(char *p, size_t size, size_t count, void *arg)
{
    struct http_call *c = arg;
    size_t n = size * count;
    struct view piece = view_of(p, n);

    c->bytes += n;
    if (c->state == CALL_RELEASED)
        return c->bytes > DRAIN_BYTES ? 0 : n;
    c->deadline_ms = loop_now_ms(c->h->loop) + c->idle_ms;
    if (c->bytes > HTTP_BODY_MAX) {
        give_up(c, FAIL_TOO_LARGE, "the model's answer does not end");
        return 0;
    }
    if (c->collect) {
        size_t room = HTTP_ERROR_MAX - c->error.n;

        buf_put(&c->error, p, n < room ? n : room);
        return n <= room ? n : 0; /* enough to say what is wrong */
    }
    if (!c->enough && !c->on.on_data(c->ctx, piece))
        c->enough = true;
    return n;
}

static void on_status(struct http_call *c, struct view line)
{
    size_t sp = view_find(line, ' ');
    uint32_t status = 0;

    for (size_t i = sp + 1; i < line.n && i < sp + 4 && line.p[i] >= '0' && line.p[i] <= '9'; i++)
        status = status * 10 + (uint32_t)(line.p[i] - '0');
    c->status = status;
    c->collect = status != 200;
    c->retry_after_ms = 0;
    c->type[0] = 0;
}

static void on_type(struct http_call *c, struct view value)
{
    struct view type = view_trim(view_of(value.p, view_find(value, ';')));

    (void)snprintf(c->type, sizeof(c->type), "%.*s", (int)(type.n < TYPE_MAX ? type.n : TYPE_MAX),
                   type.p);
    /* Servers that forget or misname the type of a stream are borne; documents are not streams. */
    if (!strcasecmp(c->type, "text/html") ||
        (!strcasecmp(c->type, "application/json") && strcasecmp(c->accept, c->type) != 0))
        c->collect = true;
}

static size_t on_header(char *p, size_t size, size_t count, void *arg)
{
    struct http_call *c = arg;
    size_t n = size * count;
    struct view line = view_trim(view_of(p, n)), name, value;
    size_t colon = view_find(line, ':');

    c->header_bytes += n;
    if (c->state == CALL_RELEASED)
        return n;
    if (c->header_bytes > HTTP_HEADERS_MAX) {
        give_up(c, FAIL_TOO_LARGE, "the model server's headers do not end");
        return 0;
    }
    if (c->state != CALL_ANSWERED)
        loop_timer_set(&c->timer, c->idle_ms); /* from now on it is only put off when it fires */
    c->state = CALL_ANSWERED;
    c->deadline_ms = loop_now_ms(c->h->loop) + c->idle_ms;
    if (view_starts(line, V("HTTP/"))) {
        on_status(c, line);
        return n;
    }
    if (colon == line.n)
        return n;
    name = view_of(line.p, colon);
    value = view_trim(view_from(line, colon + 1));
    if (view_ieq(name, V("content-type")))
        on_type(c, value);
    else if (view_ieq(name, V("retry-after")) && c->retry_after_ms == 0)
        c->retry_after_ms = fail_retry_after(value, clock_wall_ms());
    else if (view_ieq(name, V("retry-after-ms")))
        c->retry_after_ms = fail_retry_after(value, 0) / 1000;
    else if (view_ieq(name, V("content-encoding")) && !view_ieq(value, V("identity"))) {
        give_up(c, FAIL_PROTOCOL, "the model server compresses its answer, unasked");
        return 0;
    }
    return n;
}

/* The connection stands, the request is about to be sent. */
static int on_connected(void *arg, char *ip, char *local_ip, int port, int local_port)
{
    struct http_call *c = arg;

    (void)ip;
    (void)local_ip;
    (void)port;
    (void)local_port;
    if (c->state == CALL_CONNECTING) {
        c->state = CALL_SENT;
        loop_timer_set(&c->timer, c->first_byte_ms);
    }
    return CURL_PREREQFUNC_OK;
}

static int on_socket_made(void *arg, curl_socket_t fd, curlsocktype purpose)
{
    (void)arg;
    (void)purpose;
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    return CURL_SOCKOPT_OK;
}

/* ---- the loop ---- */

static void on_over(void *ctx, void *transfer, CURLcode code)
{
    (void)ctx;
    finish(transfer, code);
}

static void on_unwatched(void *ctx, void *transfer)
{
    struct http_call *c = transfer;

    (void)ctx;
    give_up(c, c->state == CALL_ANSWERED ? FAIL_INTERRUPTED : FAIL_MEMORY, "out of memory");
    loop_timer_set(&c->timer, 0);
}

/* Only a stream that has its connection for itself, and has begun, is surely not meant. */
static bool unharmed(const struct http_call *c)
{
    long version = 0;

    return c->state == CALL_ANSWERED &&
           c->h->api->easy_getinfo(c->easy, CURLINFO_HTTP_VERSION, &version) == CURLE_OK &&
           version == CURL_HTTP_VERSION_1_1;
}

static void on_starved(void *ctx)
{
    struct http *h = ctx;
    struct http_call *c, *next;
    struct failure f;

    for (c = h->calls; c; c = next) { /* on_end begins no other call */
        next = c->next;
        if (unharmed(c))
            continue;
        c->starved = true;
        (void)h->api->easy_setopt(c->easy, CURLOPT_FORBID_REUSE, 1L);
        fail_set(&f, c->state == CALL_ANSWERED ? FAIL_INTERRUPTED : FAIL_MEMORY, "out of memory");
        end_call(c, &f);
    }
}

static void on_call_time(void *ctx)
{
    struct http_call *c = ctx;
    uint64_t now = loop_now_ms(c->h->loop);
    struct failure f;

    if (c->state != CALL_RELEASED && c->why.reason != FAIL_NONE) {
        f = c->why;
        end_call(c, &f);
        return;
    }
    switch (c->state) {
    case CALL_RELEASED:
        end_call(c, NULL);
        return;
    case CALL_CONNECTING: /* libcurl's own limit should have come first */
        fail_set(&f, FAIL_TIMEOUT, "cannot connect to the model server in time");
        break;
    case CALL_SENT:
        fail_set(&f, FAIL_TIMEOUT, "the model server did not answer within %u ms",
                 c->first_byte_ms);
        break;
    case CALL_ANSWERED:
        if (now < c->deadline_ms) {
            loop_timer_set(&c->timer, c->deadline_ms - now);
            return;
        }
        fail_set(&f, FAIL_TIMEOUT, "the model server fell silent for %u ms", c->idle_ms);
        break;
    }
    end_call(c, &f);
}

/* ---- making things ---- */

int http_new(struct http **out, struct loop *l, struct err *e)
{
    static const struct curl_loop_events on = {
        .on_over = on_over, .on_unwatched = on_unwatched, .on_starved = on_starved};
    struct http *h = NULL;
    int r;

    if ((r = mem_new(&h, sizeof(*h), e)) < 0)
        return r;
    h->loop = l;
    if ((r = curl_loop_init(&h->curl, l, HTTP_IDLE_CONNS_MAX, &on, h, e)) == 0) {
        h->api = h->curl.api;
        *out = TAKE(h);
    }
    http_free(&h);
    return r;
}

void http_trim(struct http *h)
{
    while (h->spares)
        h->api->easy_cleanup(h->spare[--h->spares]);
}

void http_free(struct http **hp)
{
    struct http *h = *hp;

    if (!h)
        return;
    while (h->calls) {
        struct http_call *c = h->calls;

        http_cancel(&c);
    }
    http_trim(h);
    curl_loop_fini(&h->curl);
    mem_free(h);
    *hp = NULL;
}

/* What is the same for every request. Callbacks' data is set per call. */
static CURL *new_easy(const struct curl_api *api)
{
    CURL *c = curl_api_easy(api);
    bool ok = c != NULL;

#define SET(opt, value) ok = ok && api->easy_setopt(c, CURLOPT_##opt, value) == CURLE_OK
    /* Debian names a folder of certificates, too, and with one libcurl reads the whole bundle again
       for every connection: 28 ms of CPU each, measured. */
    SET(CAPATH, NULL);
    SET(BUFFERSIZE, (long)BUFFER_BYTES);
    SET(UPLOAD_BUFFERSIZE, (long)BUFFER_BYTES);
    SET(POST, 1L);
    SET(WRITEFUNCTION, on_body);
    SET(HEADERFUNCTION, on_header);
    SET(PREREQFUNCTION, on_connected);
    SET(SOCKOPTFUNCTION, on_socket_made);
#undef SET
    if (!ok && c) {
        api->easy_cleanup(c);
        c = NULL;
    }
    return c;
}

static void set_lines(struct http_call *c, const struct http_request *q, char *accept)
{
    static char no_expect[] = "Expect:", json[] = "Content-Type: application/json";
    unsigned n = 0;

    c->lines[n++].data = no_expect; /* 100-continue costs a round trip */
    c->lines[n++].data = json;
    c->lines[n++].data = accept;
    for (unsigned i = 0; i < q->line_count; i++)
        memcpy(&c->lines[n++].data, &q->lines[i], sizeof(char *)); /* libcurl only reads them */
    for (unsigned i = 0; i + 1 < n; i++)
        c->lines[i].next = &c->lines[i + 1];
}

static bool set_up(const struct curl_api *api, struct http_call *c, const struct http_request *q)
{
    bool ok = true;
    struct view body = buf_view(&c->body);

#define SET(opt, value) ok = ok && api->easy_setopt(c->easy, CURLOPT_##opt, value) == CURLE_OK
    SET(URL, q->url);
    SET(HTTPHEADER, c->lines);
    SET(POSTFIELDS, body.p);
    SET(POSTFIELDSIZE_LARGE, (curl_off_t)body.n);
    SET(CONNECTTIMEOUT_MS, (long)q->connect_ms);
    SET(ERRORBUFFER, c->curl_says);
    SET(PRIVATE, c);
    SET(WRITEDATA, c);
    SET(HEADERDATA, c);
    SET(PREREQDATA, c);
#undef SET
    return ok;
}

int http_start(struct http *h, const struct http_request *q, const struct http_events *on,
               void *ctx, struct http_call **out, struct err *e)
{
    static char accept_sse[] = "Accept: text/event-stream", accept_any[] = "Accept: */*";
    struct http_call *c = NULL;
    int r;

    if (q->line_count > HTTP_LINES_MAX - 1)
        return err_set(e, ERR_LIMIT, "%u headers, limit %d", q->line_count, HTTP_LINES_MAX - 1);
    if ((r = mem_new(&c, sizeof(*c), e)) < 0)
        return r;
    c->h = h;
    c->on = *on;
    c->ctx = ctx;
    c->accept = q->accept;
    c->first_byte_ms = q->first_byte_ms;
    c->idle_ms = q->idle_ms;
    buf_init(&c->error, HTTP_ERROR_MAX);
    c->easy = h->spares ? h->spare[--h->spares] : new_easy(h->api);
    set_lines(c, q, !strcmp(q->accept, "text/event-stream") ? accept_sse : accept_any);
    c->body = *q->body;
    if (!c->easy || !set_up(h->api, c, q) ||
        h->api->multi_add_handle(h->curl.multi, c->easy) != CURLM_OK) {
        if (c->easy)
            h->api->easy_cleanup(c->easy);
        mem_free(c);
        return err_set(e, ERR_NOMEM, "libcurl does not take the request to the model");
    }
    buf_init(q->body, q->body->max);
    c->next = h->calls;
    c->prev = &h->calls;
    if (c->next)
        c->next->prev = &c->next;
    h->calls = c;
    h->active++;
    loop_timer_init(&c->timer, h->loop, on_call_time, c);
    loop_timer_set(&c->timer, (uint64_t)q->connect_ms + 1000);
    *out = c;
    return 0;
}

unsigned http_active(const struct http *h)
{
    return h->active;
}
