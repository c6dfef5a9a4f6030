#include "get.h"

#include "curl_loop.h"
#include "fd.h"
#include "mem.h"
#include "name.h"
#include "net_guard.h"
#include "num.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { URL_BYTES = 2049, TYPE_BYTES = 129, DISPOSITION_BYTES = 1024, ERROR_BYTES = 160 };
enum { CONNECT_MS = 10000, BUFFER_BYTES = 32 << 10 };

struct get {
    struct gets *g;
    struct get *next, **prev;
    uint64_t req, max_bytes, bytes;
    CURL *easy; /* owned */
    int fd;     /* owned */
    struct loop_timer timer;
    unsigned status;
    size_t header_bytes;
    bool starved, late;
    enum get_end why_end; /* with why */
    char why[ERROR_BYTES];
    char url[URL_BYTES], type[TYPE_BYTES], disposition[DISPOSITION_BYTES];
};

struct gets {
    struct loop *loop;
    const struct get_rules *rules;
    on_got *on;
    void *ctx;
    const struct curl_api *api;
    struct curl_loop curl;
    struct get *first;
    unsigned active;
};

/* ---- the end of one ---- */

static void forget(struct get *k)
{
    struct gets *g = k->g;

    *k->prev = k->next;
    if (k->next)
        k->next->prev = k->prev;
    g->active--;
    (void)g->api->multi_remove_handle(g->curl.multi, k->easy);
    g->api->easy_cleanup(k->easy);
    loop_timer_fini(&k->timer);
    fd_close(&k->fd);
    mem_free(k);
}

static PRINTF(3, 4) void because(struct get *k, enum get_end end, const char *fmt, ...)
{
    va_list ap;

    if (k->why[0])
        return; /* the first reason is the true one */
    k->why_end = end;
    va_start(ap, fmt);
    (void)vsnprintf(k->why, sizeof(k->why), fmt, ap);
    va_end(ap);
}

static void judge_code(struct get *k, CURLcode code)
{
    switch ((int)code) {
    case CURLE_OK:
        break;
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_LOGIN_DENIED: /* a name or a password stands in it */
        because(k, GET_REFUSED, "the address is not one of http or https without a password");
        break;
    case CURLE_COULDNT_RESOLVE_HOST:
        because(k, GET_LATER, "the host's name is not known");
        break;
    case CURLE_COULDNT_CONNECT:
        because(k, GET_LATER, "cannot connect");
        break;
    case CURLE_OPERATION_TIMEDOUT:
        because(k, GET_LATER, "it is too slow");
        break;
    case CURLE_PEER_FAILED_VERIFICATION:
        because(k, GET_NEVER, "the certificate is not valid for the host");
        break;
    case CURLE_SSL_CONNECT_ERROR:
        because(k, GET_LATER, "TLS did not come about");
        break;
    case CURLE_TOO_MANY_REDIRECTS:
        because(k, GET_NEVER, "more than %d redirects", (int)GET_REDIRECTS_MAX);
        break;
    case CURLE_FILESIZE_EXCEEDED:
        because(k, GET_NEVER, "it is larger than %llu bytes", (unsigned long long)k->max_bytes);
        break;
    case CURLE_BAD_CONTENT_ENCODING:
        because(k, GET_NEVER, "it cannot be unpacked");
        break;
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
        because(k, GET_LATER, "the connection broke off");
        break;
    case CURLE_OUT_OF_MEMORY:
        because(k, GET_LATER, "no memory");
        break;
    default:
        because(k, GET_LATER, "%s", k->g->api->easy_strerror(code));
        break;
    }
}

static void judge_answer(struct get *k)
{
    bool later = k->status == 408 || k->status == 425 || k->status == 429 || k->status >= 500;

    if (k->status != 200)
        because(k, later ? GET_LATER : GET_NEVER, "the server says %u", k->status);
    else if (k->bytes == 0)
        because(k, GET_NEVER, "it is empty");
    else if (fcntl(k->fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) <
             0)
        because(k, GET_LATER, "no memory file: %s", strerror(errno));
}

static void end(struct get *k, CURLcode code)
{
    struct gets *g = k->g;
    struct get_result r = {.end = GET_OK, .fd = -1, .error = ""};
    char name[FETCH_NAME_BYTES] = "";
    char *where = NULL;
    uint64_t req = k->req;

    judge_code(k, k->late ? CURLE_OPERATION_TIMEDOUT : k->starved ? CURLE_OUT_OF_MEMORY : code);
    if (!k->why[0])
        judge_answer(k);
    if (k->why[0]) {
        r.end = k->why_end;
        r.error = k->why;
    } else {
        if (g->api->easy_getinfo(k->easy, CURLINFO_EFFECTIVE_URL, &where) != CURLE_OK || !where)
            where = k->url;
        name_of(view_str(k->disposition), view_str(where), name);
        r.fd = fd_take(&k->fd);
        r.type = view_str(k->type);
        r.name = name;
    }
    g->on(g->ctx, req, &r);
    fd_close(&r.fd);
    forget(k);
}

/* ---- libcurl calls these ---- */

static size_t on_body(char *p, size_t size, size_t count, void *arg)
{
    struct get *k = arg;
    size_t n = size * count, done = 0;

    if (k->status != 200)
        return n; /* an error's page, or a redirect's */
    if (n > k->max_bytes - k->bytes) {
        because(k, GET_NEVER, "it is larger than %llu bytes", (unsigned long long)k->max_bytes);
        return 0;
    }
    while (done < n) {
        ssize_t w = write(k->fd, p + done, n - done);

        if (w <= 0) {
            because(k, GET_LATER, "no memory file: %s", strerror(errno));
            return 0;
        }
        done += (size_t)w;
    }
    k->bytes += n;
    return n;
}

static void keep(char *out, size_t max, struct view v)
{
    size_t n = v.n < max ? v.n : 0; /* too long to be one */

    for (size_t i = 0; i < n; i++)
        if ((unsigned char)v.p[i] < 0x20)
            n = 0;
    if (n)
        memcpy(out, v.p, n);
    out[n] = '\0';
}

static size_t on_header(char *p, size_t size, size_t count, void *arg)
{
    struct get *k = arg;
    size_t n = size * count, colon;
    struct view line = view_trim(view_of(p, n)), name, value;
    uint32_t status = 0;
    struct err ignored = ERR_INIT;

    if (view_starts(line, V("HTTP/"))) { /* of a redirect, then of what it leads to */
        struct view rest = view_from(line, view_find(line, ' ') + 1);

        k->type[0] = k->disposition[0] = '\0';
        k->header_bytes = 0;
        k->status =
            num_u32(view_of(rest.p, rest.n < 3 ? rest.n : 3), 100, 999, &status, &ignored) == 0
                ? status
                : 0;
        return n;
    }
    if ((k->header_bytes += n) > GET_HEADERS_MAX) {
        because(k, GET_NEVER, "the head of the answer is too large");
        return 0;
    }
    colon = view_find(line, ':');
    if (colon == line.n)
        return n;
    name = view_of(line.p, colon);
    value = view_trim(view_from(line, colon + 1));
    if (view_ieq(name, V("content-type")))
        keep(k->type, sizeof(k->type), value);
    else if (view_ieq(name, V("content-disposition")))
        keep(k->disposition, sizeof(k->disposition), value);
    return n;
}

static unsigned port_of(const struct sockaddr *sa)
{
    struct sockaddr_in in4;
    struct sockaddr_in6 in6;

    if (sa->sa_family == AF_INET) {
        memcpy(&in4, sa, sizeof(in4));
        return ntohs(in4.sin_port);
    }
    if (sa->sa_family != AF_INET6)
        return 0;
    memcpy(&in6, sa, sizeof(in6));
    return ntohs(in6.sin6_port);
}

static bool listed(const struct get_rules *r, unsigned port)
{
    for (unsigned i = 0; i < r->port_n; i++)
        if (r->ports[i] == port)
            return true;
    return false;
}

/* The host that is asked now, as libcurl itself reads the address: also behind a redirect. */
static bool allowed_host(const struct get *k)
{
    const struct curl_api *api = k->g->api;
    const struct get_rules *r = k->g->rules;
    CURLU *url = r->host_n ? api->url() : NULL;
    char *now = NULL, *host = NULL;
    bool found = false;

    if (url && api->easy_getinfo(k->easy, CURLINFO_EFFECTIVE_URL, &now) == CURLE_OK && now &&
        api->url_set(url, CURLUPART_URL, now, 0) == CURLUE_OK &&
        api->url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK && host)
        for (unsigned i = 0; i < r->host_n; i++)
            found |= view_ieq(view_str(host), view_str(r->hosts[i]));
    api->free(host);
    api->url_cleanup(url);
    return found;
}

/* The address that is about to be connected to, whatever name or redirect led there. */
static curl_socket_t on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
    struct get *k = arg;
    const struct get_rules *r = k->g->rules;

    (void)purpose;
    if (to->family != AF_INET && to->family != AF_INET6)
        return CURL_SOCKET_BAD;
    if (!net_guard_public(&to->addr) && !allowed_host(k)) {
        because(k, GET_REFUSED, "the address is not a public one");
        return CURL_SOCKET_BAD;
    }
    if (!listed(r, port_of(&to->addr))) {
        because(k, GET_REFUSED, "port %u is not one that files are got from (gateway.fetch.ports)",
                port_of(&to->addr));
        return CURL_SOCKET_BAD;
    }
    return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

/* ---- the loop ---- */

static void on_over(void *ctx, void *transfer, CURLcode code)
{
    (void)ctx;
    end(transfer, code);
}

static void on_unwatched(void *ctx, void *transfer)
{
    struct get *k = transfer;

    (void)ctx;
    k->starved = true;
    loop_timer_set(&k->timer, 0);
}

/* No connection is used twice, but which get had no memory is not known: all of them. */
static void on_starved(void *ctx)
{
    struct gets *g = ctx;

    for (struct get *k = g->first; k; k = k->next) {
        k->starved = true;
        loop_timer_set(&k->timer, 0);
    }
}

static void on_time(void *ctx)
{
    struct get *k = ctx;

    k->late = !k->starved;
    end(k, CURLE_OK);
}

/* ---- making one ---- */

static CURL *new_easy(const struct curl_api *api)
{
    CURL *c = curl_api_easy(api);
    bool ok = c != NULL;

#define SET(opt, value) ok = ok && api->easy_setopt(c, CURLOPT_##opt, value) == CURLE_OK
    SET(CAINFO, NULL);
    SET(CAPATH, "/etc/ssl/certs");
    SET(HTTPGET, 1L);
    SET(FOLLOWLOCATION, 1L);
    SET(MAXREDIRS, (long)GET_REDIRECTS_MAX);
    SET(FRESH_CONNECT, 1L); /* each connection is judged for itself */
    SET(FORBID_REUSE, 1L);
    SET(ACCEPT_ENCODING, "gzip"); /* some send nothing else; what comes out is what is counted */
    SET(CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    SET(LOW_SPEED_LIMIT, (long)GET_SLOW_BYTES);
    SET(LOW_SPEED_TIME, (long)GET_SLOW_S);
    SET(BUFFERSIZE, (long)BUFFER_BYTES);
    SET(USERAGENT, "OpenClaw (media)");
    SET(WRITEFUNCTION, on_body);
    SET(HEADERFUNCTION, on_header);
    SET(OPENSOCKETFUNCTION, on_socket);
#undef SET
    if (!ok && c) {
        api->easy_cleanup(c);
        c = NULL;
    }
    return c;
}

static bool set_up(struct get *k)
{
    const struct curl_api *api = k->g->api;
    bool ok = true;

#define SET(opt, value) ok = ok && api->easy_setopt(k->easy, CURLOPT_##opt, value) == CURLE_OK
    SET(URL, k->url);
    SET(MAXFILESIZE_LARGE, (curl_off_t)k->max_bytes);
    SET(PRIVATE, k);
    SET(WRITEDATA, k);
    SET(HEADERDATA, k);
    SET(OPENSOCKETDATA, k);
#undef SET
    return ok;
}

int gets_start(struct gets *g, uint64_t req, struct view url, uint64_t max_bytes,
               uint32_t timeout_ms, struct err *e)
{
    struct get *k = NULL;
    int r;

    if (url.n >= URL_BYTES || memchr(url.p, '\0', url.n))
        return err_set(e, ERR_LIMIT, "an address of %zu bytes", url.n);
    if ((r = mem_new(&k, sizeof(*k), e)) < 0)
        return r;
    k->g = g;
    k->req = req;
    k->max_bytes = max_bytes;
    memcpy(k->url, url.p, url.n);
    k->fd = memfd_create("fetched", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (k->fd < 0)
        r = err_sys(e, "memory file");
    else if (!(k->easy = new_easy(g->api)) || !set_up(k) ||
             g->api->multi_add_handle(g->curl.multi, k->easy) != CURLM_OK)
        r = err_set(e, ERR_NOMEM, "libcurl does not take the request");
    if (r < 0) {
        if (k->easy)
            g->api->easy_cleanup(k->easy);
        fd_close(&k->fd);
        mem_free(k);
        return r;
    }
    k->next = g->first;
    k->prev = &g->first;
    if (k->next)
        k->next->prev = &k->next;
    g->first = k;
    g->active++;
    loop_timer_init(&k->timer, g->loop, on_time, k);
    loop_timer_set(&k->timer, timeout_ms);
    return 0;
}

void gets_cancel(struct gets *g, uint64_t req)
{
    struct get *k = g->first;

    while (k && k->req != req)
        k = k->next;
    if (k)
        forget(k);
}

void gets_cancel_all(struct gets *g)
{
    while (g->first)
        forget(g->first);
}

unsigned gets_active(const struct gets *g)
{
    return g->active;
}

int gets_new(struct gets **out, struct loop *l, const struct get_rules *rules, on_got *on,
             void *ctx, struct err *e)
{
    static const struct curl_loop_events events = {
        .on_over = on_over, .on_unwatched = on_unwatched, .on_starved = on_starved};
    struct gets *g = NULL;
    CURL *first;
    int r;

    if ((r = mem_new(&g, sizeof(*g), e)) < 0)
        return r;
    g->loop = l;
    g->rules = rules;
    g->on = on;
    g->ctx = ctx;
    if ((r = curl_loop_init(&g->curl, l, 1, &events, g, e)) < 0) {
        gets_free(&g);
        return r;
    }
    g->api = g->curl.api;
    if ((first = new_easy(g->api))) /* what it reads when first used, before the sandbox */
        g->api->easy_cleanup(first);
    *out = g;
    return 0;
}

void gets_free(struct gets **gp)
{
    struct gets *g = TAKE(*gp);

    if (!g)
        return;
    gets_cancel_all(g);
    curl_loop_fini(&g->curl);
    mem_free(g);
}
