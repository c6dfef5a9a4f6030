#include "http.h"

#include "mem.h"
#include "num.h"

#include <time.h>

/* tchar of RFC 9110, 5.6.2 */
static bool is_token(unsigned char c)
{
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
        return true;
    return c > ' ' && c < 0x7f && strchr("!#$%&'*+-.^_`|~", c);
}

static bool all_token(struct view v)
{
    for (size_t i = 0; i < v.n; i++)
        if (!is_token((unsigned char)v.p[i]))
            return false;
    return v.n > 0;
}

static enum http_result refuse(struct http_refusal *why, unsigned status, const char *text)
{
    *why = (struct http_refusal){status, text};
    return HTTP_BAD;
}

/* -------------------------------------------------------------- end of the head */
enum { AT_START, AT_REQUEST, AT_CR, AT_LINE, AT_HEADER, AT_END };

static enum http_result scan_text(struct http_scan *s, unsigned char c, struct http_refusal *why)
{
    if (c == '\r') {
        s->at = s->at == AT_LINE ? AT_END : AT_CR;
        return HTTP_MORE;
    }
    if (c == '\n')
        return refuse(why, 400, "line feed without carriage return");
    if ((c < ' ' && c != '\t') || c == 0x7f)
        return refuse(why, 400, "control character in the head");
    if (s->at == AT_LINE) {
        if (c == ' ' || c == '\t')
            return refuse(why, 400, "folded header");
        if (s->lines++ >= HTTP_HEADERS_MAX)
            return refuse(why, 431, "too many headers");
        s->at = AT_HEADER;
    }
    return HTTP_MORE;
}

static enum http_result scan_request(struct http_scan *s, unsigned char c, struct http_refusal *why)
{
    if (s->line++ == 0 && !is_token(c))
        return refuse(why, 400, "not an HTTP request");
    if (c == ' ')
        s->spaces = 1;
    if (!s->spaces && s->line > HTTP_METHOD_MAX)
        return refuse(why, 400, "method too long");
    if (s->line > HTTP_METHOD_MAX + HTTP_TARGET_MAX + sizeof(" HTTP/1.1 "))
        return refuse(why, 414, "request target too long");
    return scan_text(s, c, why);
}

enum http_result http_scan(struct http_scan *s, struct view in, size_t *used,
                           struct http_refusal *why)
{
    for (size_t i = 0; i < in.n; i++) {
        unsigned char c = (unsigned char)in.p[i];
        enum http_result r = HTTP_MORE;

        if (s->n++ >= HTTP_HEAD_MAX)
            return refuse(why, 431, "head too large");
        switch (s->at) {
        case AT_START:
            s->at = AT_REQUEST;
            r = scan_request(s, c, why);
            break;
        case AT_REQUEST:
            r = scan_request(s, c, why);
            break;
        case AT_CR:
            s->at = AT_LINE;
            if (c != '\n')
                r = refuse(why, 400, "carriage return without line feed");
            break;
        case AT_END:
            if (c != '\n') {
                r = refuse(why, 400, "carriage return without line feed");
                break;
            }
            *used = i + 1;
            return HTTP_DONE;
        default:
            r = scan_text(s, c, why);
            break;
        }
        if (r == HTTP_BAD)
            return r;
    }
    *used = in.n;
    return HTTP_MORE;
}

/* -------------------------------------------------------------- request line */
static const char *const methods[HTTP_METHOD_COUNT] = {
    [HTTP_GET] = "GET",         [HTTP_HEAD] = "HEAD",       [HTTP_POST] = "POST",
    [HTTP_PUT] = "PUT",         [HTTP_PATCH] = "PATCH",     [HTTP_DELETE] = "DELETE",
    [HTTP_OPTIONS] = "OPTIONS", [HTTP_CONNECT] = "CONNECT", [HTTP_TRACE] = "TRACE",
};

static enum http_result parse_target(struct http_req *q, struct http_refusal *why)
{
    size_t mark;

    if (q->target.n > HTTP_TARGET_MAX)
        return refuse(why, 414, "request target too long");
    for (size_t i = 0; i < q->target.n; i++) {
        unsigned char c = (unsigned char)q->target.p[i];

        if (c <= ' ' || c >= 0x7f || c == '#')
            return refuse(why, 400, "character not allowed in the request target");
    }
    /* absolute-form and authority-form are for proxies, and we are none */
    if (!(q->method == HTTP_OPTIONS && view_eq(q->target, V("*"))) &&
        !view_starts(q->target, V("/")))
        return refuse(why, 400, "request target must be a path");
    mark = view_find(q->target, '?');
    q->path = view_of(q->target.p, mark);
    q->query = view_from(q->target, mark + 1);
    return HTTP_DONE;
}

static enum http_result parse_line(struct view line, struct http_req *q, struct http_refusal *why)
{
    size_t a = view_find(line, ' '), b;
    struct view rest = view_from(line, a + 1), method = view_of(line.p, a), version;

    b = view_find(rest, ' ');
    version = view_from(rest, b + 1);
    q->target = view_of(rest.p, b);
    if (!all_token(method) || q->target.n == 0 || b == rest.n)
        return refuse(why, 400, "malformed request line");
    if (version.n != 8 || !view_starts(version, V("HTTP/")) || version.p[6] != '.' ||
        version.p[5] < '0' || version.p[5] > '9' || version.p[7] < '0' || version.p[7] > '9')
        return refuse(why, 400, "malformed request line");
    if (version.p[5] != '1' || version.p[7] > '1')
        return refuse(why, 505, "HTTP version not supported");
    q->minor = (unsigned)(version.p[7] - '0');
    for (unsigned m = 0; m < HTTP_METHOD_COUNT; m++) {
        if (view_eq(method, view_str(methods[m]))) {
            q->method = (enum http_method)m;
            return parse_target(q, why);
        }
    }
    return refuse(why, 501, "method not implemented");
}

/* -------------------------------------------------------------- headers */
bool http_next_token(struct view *list, struct view *token)
{
    while (list->n) {
        size_t end = view_find(*list, ',');

        *token = view_trim(view_of(list->p, end));
        *list = view_from(*list, end + 1);
        if (token->n)
            return true;
    }
    return false;
}

static bool list_has(struct view list, struct view what)
{
    struct view token;

    while (http_next_token(&list, &token))
        if (view_ieq(token, what))
            return true;
    return false;
}

/* What has been seen, of the headers whose repetition would leave two readings. */
struct seen {
    bool host, length, encoding, version, origin, key, auth;
    bool connection_upgrade, upgrade_websocket, close, keep;
};

static bool once(bool *flag)
{
    bool first = !*flag;

    *flag = true;
    return first;
}

/* Characters of host:port (RFC 3986, 3.2.2), brackets for IPv6; nothing that a URL could end with.
 */
static bool host_valid(struct view v)
{
    for (size_t i = 0; i < v.n; i++) {
        unsigned char c = (unsigned char)v.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              (c && strchr("-._~%!$&'()*+,;=:[]", c))))
            return false;
    }
    return v.n > 0;
}

static enum http_result on_host(struct http_req *q, struct view v, struct seen *s,
                                struct http_refusal *why)
{
    if (!once(&s->host))
        return refuse(why, 400, "more than one Host");
    if (!host_valid(v))
        return refuse(why, 400, "malformed Host");
    q->host = v;
    return HTTP_DONE;
}

static enum http_result on_length(struct http_req *q, struct view v, struct seen *s,
                                  struct http_refusal *why)
{
    struct err e = ERR_INIT;
    int r;

    if (!once(&s->length))
        return refuse(why, 400, "more than one Content-Length");
    r = num_u64(v, 0, INT64_MAX, &q->length, &e);
    if (r == ERR_LIMIT)
        return refuse(why, 413, "body too large");
    if (r < 0)
        return refuse(why, 400, "malformed Content-Length");
    q->has_body = q->length > 0;
    return HTTP_DONE;
}

static enum http_result on_encoding(struct http_req *q, struct view v, struct seen *s,
                                    struct http_refusal *why)
{
    if (!once(&s->encoding))
        return refuse(why, 400, "more than one Transfer-Encoding");
    if (q->minor == 0)
        return refuse(why, 400, "Transfer-Encoding in HTTP/1.0");
    if (!view_ieq(v, V("chunked")))
        return refuse(why, 501, "transfer coding not supported");
    q->chunked = q->has_body = true;
    return HTTP_DONE;
}

static enum http_result on_expect(struct http_req *q, struct view v, struct http_refusal *why)
{
    if (!view_ieq(v, V("100-continue")))
        return refuse(why, 417, "expectation not supported");
    q->expect = true;
    return HTTP_DONE;
}

static bool is_proxy_header(struct view name)
{
    static const char *const prefixes[] = {"x-forwarded-", "tailscale-user-"};

    for (size_t i = 0; i < COUNT_OF(prefixes); i++) {
        struct view p = view_str(prefixes[i]);

        if (name.n >= p.n && view_ieq(view_of(name.p, p.n), p))
            return true;
    }
    return view_ieq(name, V("forwarded")) || view_ieq(name, V("x-real-ip"));
}

static enum http_result note(struct http_req *q, struct view name, struct view v, struct seen *s,
                             struct http_refusal *why)
{
    if (view_ieq(name, V("host")))
        return on_host(q, v, s, why);
    if (view_ieq(name, V("content-length")))
        return on_length(q, v, s, why);
    if (view_ieq(name, V("transfer-encoding")))
        return on_encoding(q, v, s, why);
    if (view_ieq(name, V("expect")))
        return on_expect(q, v, why);
    if (view_ieq(name, V("connection"))) {
        s->connection_upgrade |= list_has(v, V("upgrade"));
        s->close |= list_has(v, V("close"));
        s->keep |= list_has(v, V("keep-alive"));
    } else if (view_ieq(name, V("upgrade"))) {
        s->upgrade_websocket |= list_has(v, V("websocket"));
    } else if (view_ieq(name, V("content-encoding"))) {
        q->encoded |= !view_ieq(v, V("identity"));
    } else if (view_ieq(name, V("origin"))) {
        if (!once(&s->origin))
            return refuse(why, 400, "more than one Origin");
        q->origin = v;
    } else if (view_ieq(name, V("authorization"))) {
        if (!once(&s->auth))
            return refuse(why, 400, "more than one Authorization");
        q->authorization = v;
        q->has_auth = true;
    } else if (view_ieq(name, V("sec-websocket-key"))) {
        if (!once(&s->key))
            return refuse(why, 400, "more than one Sec-WebSocket-Key");
        q->ws_key = v;
        q->has_ws_key = true;
    } else if (view_ieq(name, V("sec-websocket-version"))) {
        if (!once(&s->version))
            return refuse(why, 400, "more than one Sec-WebSocket-Version");
        q->ws_version = v;
    } else if (view_ieq(name, V("sec-websocket-protocol"))) {
        if (!q->ws_protocol.n) /* the first of the list is echoed; the rest does not matter */
            q->ws_protocol = v;
    } else if (is_proxy_header(name)) {
        q->proxied = true;
    }
    return HTTP_DONE;
}

static enum http_result parse_header(struct view line, struct http_req *q, struct seen *s,
                                     struct http_refusal *why)
{
    size_t colon = view_find(line, ':');
    struct view name = view_of(line.p, colon), value;

    if (colon == line.n || !all_token(name))
        return refuse(why, 400, "malformed header");
    value = view_trim(view_from(line, colon + 1));
    if (q->headers >= HTTP_HEADERS_MAX)
        return refuse(why, 431, "too many headers");
    q->header[q->headers++] = (struct http_header){name, value};
    return note(q, name, value, s, why);
}

static enum http_result judge(struct http_req *q, const struct seen *s, struct http_refusal *why)
{
    if (s->length && s->encoding)
        return refuse(why, 400, "both Content-Length and Transfer-Encoding");
    if (!s->host && q->minor == 1)
        return refuse(why, 400, "Host missing");
    if (q->method == HTTP_TRACE && q->has_body)
        return refuse(why, 400, "TRACE with a body");
    q->keep_alive = q->minor == 1 ? !s->close : s->keep && !s->close;
    q->upgrade = s->connection_upgrade && s->upgrade_websocket;
    return HTTP_DONE;
}

enum http_result http_parse(struct view head, struct http_req *out, struct http_refusal *why)
{
    struct seen s = {0};
    bool first = true;

    out->headers = 0;
    memset(out, 0, offsetof(struct http_req, header)); /* the array is guarded by its count */
    while (head.n) {
        size_t end = view_find(head, '\r');
        struct view line = view_of(head.p, end);
        enum http_result r;

        head = view_from(head, end + 2);
        if (line.n == 0 && !first)
            break; /* the blank line */
        r = first ? parse_line(line, out, why) : parse_header(line, out, &s, why);
        if (r == HTTP_BAD)
            return r;
        first = false;
    }
    return judge(out, &s, why);
}

/* -------------------------------------------------------------- bodies */
enum {
    B_SIZE,
    B_EXT,
    B_SIZE_LF,
    B_DATA,
    B_DATA_CR,
    B_DATA_LF,
    B_TRAILER,
    B_LINE,
    B_LINE_LF,
    B_END
};

enum http_result http_body_start(struct http_body *b, const struct http_req *req, size_t max,
                                 struct http_refusal *why)
{
    *b = (struct http_body){.max = max, .chunked = req->chunked};
    if (!req->has_body)
        return HTTP_DONE;
    if (req->chunked)
        return HTTP_MORE;
    if (req->length > max)
        return refuse(why, 413, "body too large");
    b->left = req->length;
    b->at = B_DATA;
    return HTTP_MORE;
}

static int hex_digit(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static enum http_result chunk_size(struct http_body *b, unsigned char c, struct http_refusal *why)
{
    int digit = hex_digit(c);

    if (digit >= 0) {
        if (++b->digits > 16)
            return refuse(why, 400, "malformed chunk size");
        b->left = b->left << 4 | (unsigned)digit;
        return HTTP_MORE;
    }
    if (b->digits == 0 || (c != '\r' && c != ';'))
        return refuse(why, 400, "malformed chunk size");
    b->at = c == '\r' ? B_SIZE_LF : B_EXT;
    b->line = 0;
    return HTTP_MORE;
}

/* One byte of the framing between the data. */
static enum http_result chunk_step(struct http_body *b, unsigned char c, struct http_refusal *why)
{
    bool text = (c >= ' ' && c != 0x7f) || c == '\t';

    switch (b->at) {
    case B_SIZE:
        return chunk_size(b, c, why);
    case B_EXT:
        if (c == '\r')
            b->at = B_SIZE_LF;
        else if (!text)
            return refuse(why, 400, "malformed chunk extension");
        else if (b->line++ >= HTTP_CHUNK_EXT_MAX)
            return refuse(why, 413, "chunk extension too long");
        return HTTP_MORE;
    case B_SIZE_LF:
        if (c != '\n')
            return refuse(why, 400, "malformed chunk size");
        if (b->left > b->max - b->got)
            return refuse(why, 413, "body too large");
        b->at = b->left ? B_DATA : B_TRAILER;
        b->line = 0;
        return HTTP_MORE;
    case B_DATA_CR:
    case B_DATA_LF:
        if (c != (b->at == B_DATA_CR ? '\r' : '\n'))
            return refuse(why, 400, "chunk longer than its size");
        b->at = b->at == B_DATA_CR ? B_DATA_LF : B_SIZE;
        b->digits = 0;
        b->left = 0;
        return HTTP_MORE;
    case B_TRAILER:
        if (c == '\r') {
            b->at = B_END;
            return HTTP_MORE;
        }
        if (!is_token(c))
            return refuse(why, 400, "malformed trailer");
        b->at = B_LINE;
        return HTTP_MORE;
    case B_LINE:
        if (c == '\r')
            b->at = B_LINE_LF;
        else if (!text)
            return refuse(why, 400, "malformed trailer");
        else if (b->line++ >= HTTP_TRAILER_MAX)
            return refuse(why, 431, "trailers too long");
        return HTTP_MORE;
    case B_LINE_LF:
        if (c != '\n')
            return refuse(why, 400, "malformed trailer");
        b->at = B_TRAILER;
        return HTTP_MORE;
    default:
        if (c != '\n')
            return refuse(why, 400, "malformed end of the body");
        return HTTP_DONE;
    }
}

enum http_result http_body_take(struct http_body *b, struct view in, size_t *used, struct buf *out,
                                struct http_refusal *why)
{
    size_t i = 0;

    while (i < in.n) {
        if (b->at == B_DATA) {
            size_t part = b->left < in.n - i ? (size_t)b->left : in.n - i;

            if (out) {
                buf_put(out, in.p + i, part);
                if (out->failed)
                    return refuse(why, 503, "out of memory for a body");
            }
            b->left -= part;
            b->got += part;
            i += part;
            if (b->left)
                break;
            if (!b->chunked) {
                *used = i;
                return HTTP_DONE;
            }
            b->at = B_DATA_CR;
        } else {
            enum http_result r = chunk_step(b, (unsigned char)in.p[i++], why);

            if (r == HTTP_DONE)
                *used = i;
            if (r != HTTP_MORE)
                return r;
        }
    }
    *used = i;
    return HTTP_MORE;
}

/* -------------------------------------------------------------- answers */
const char *http_reason(unsigned status)
{
    static const struct {
        unsigned status;
        const char *text;
    } rows[] = {
        {101, "Switching Protocols"},
        {200, "OK"},
        {302, "Found"},
        {307, "Temporary Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {426, "Upgrade Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (rows[i].status == status)
            return rows[i].text;
    return "Unknown";
}

/* RFC 9110, 5.6.7: an origin server with a clock says the time. Not strftime: that asks the locale.
 */
static void put_date(struct buf *b, int64_t wall_ms)
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t t = (time_t)(wall_ms / 1000);
    struct tm tm;

    if (wall_ms <= 0 || !gmtime_r(&t, &tm))
        return;
    buf_printf(b, "Date: %s, %02d %s %04d %02d:%02d:%02d GMT\r\n", days[tm.tm_wday], tm.tm_mday,
               months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

void http_put_answer(struct buf *b, const struct http_answer *a, int64_t wall_ms)
{
    buf_put_str(b, "HTTP/1.1 ");
    buf_put_u64(b, a->status);
    buf_put_char(b, ' ');
    buf_put_str(b, http_reason(a->status));
    buf_put_str(b, "\r\n");
    put_date(b, wall_ms);
    if (a->type) {
        buf_put_str(b, "Content-Type: ");
        buf_put_str(b, a->type);
        buf_put_str(b, "\r\n");
    }
    buf_put_str(b, "Content-Length: ");
    buf_put_u64(b, a->body.n);
    buf_put_str(b, "\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
                   "X-Frame-Options: DENY\r\nReferrer-Policy: no-referrer\r\n"
                   "Content-Security-Policy: ");
    buf_put_str(b, a->policy ? a->policy : "default-src 'none'; frame-ancestors 'none'");
    buf_put_str(b, "\r\n");
    if (a->location.n) {
        buf_put_str(b, "Location: ");
        buf_put_view(b, a->location);
        buf_put_str(b, "\r\n");
    }
    if (a->extra)
        buf_put_str(b, a->extra);
    buf_put_str(b, a->close ? "Connection: close\r\n\r\n" : "\r\n");
    if (!a->head)
        buf_put_view(b, a->body);
}

void http_put_upgrade(struct buf *b, struct view accept, struct view protocol)
{
    buf_put_str(b, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                   "Connection: Upgrade\r\nSec-WebSocket-Accept: ");
    buf_put_view(b, accept);
    if (protocol.n) {
        buf_put_str(b, "\r\nSec-WebSocket-Protocol: ");
        buf_put_view(b, protocol);
    }
    buf_put_str(b, "\r\n\r\n");
}
