#include "http.h"

#include "mem.h"
#include "num.h"

bool http_is_token(unsigned char c)
{
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
        return true;
    return c > ' ' && c < 0x7f && strchr("!#$%&'*+-.^_`|~", c);
}

static bool all_token(struct view v)
{
    for (size_t i = 0; i < v.n; i++)
        if (!http_is_token((unsigned char)v.p[i]))
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
    if (s->line++ == 0 && !http_is_token(c))
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
        if (view_eq(method, view_str(route_method_name((enum http_method)m)))) {
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
    static const char *const prefixes[] = {"x-forwarded-", "tailscale-"};

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
