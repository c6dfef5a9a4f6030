#include "http.h"

#include "mem.h"

#include <time.h>

const char *http_reason(unsigned status)
{
    static const struct {
        unsigned status;
        const char *text;
    } rows[] = {
        {101, "Switching Protocols"},
        {200, "OK"},
        {202, "Accepted"},
        {204, "No Content"},
        {206, "Partial Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {426, "Upgrade Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {499, "Client Closed Request"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
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

static void put_line(struct buf *b, const char *name, struct view value)
{
    buf_put_str(b, name);
    buf_put_view(b, value);
    buf_put(b, "\r\n", 2);
}

void http_put_fields(struct buf *b, const struct http_answer *a, int64_t wall_ms)
{
    put_date(b, wall_ms);
    if (a->type)
        put_line(b, "Content-Type: ", view_str(a->type));
    /* RFC 9110, 8.6: not with a status that has no body */
    if (a->status != 304 && a->status != 204 && !(a->parts && a->length == HTTP_UNKNOWN)) {
        buf_put_str(b, "Content-Length: ");
        buf_put_u64(b, a->parts ? a->length : a->body.n);
        buf_put(b, "\r\n", 2);
    }
    put_line(b, "Cache-Control: ", view_str(a->cache ? a->cache : "no-store"));
    buf_put_str(b, "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n");
    buf_put_str(b, a->frames ? "X-Frame-Options: SAMEORIGIN\r\n" : "X-Frame-Options: DENY\r\n");
    put_line(b, "Content-Security-Policy: ",
             a->policy.n ? a->policy : V("default-src 'none'; frame-ancestors 'none'"));
    if (a->location.n)
        put_line(b, "Location: ", a->location);
    if (a->extra)
        buf_put_str(b, a->extra);
    buf_put_view(b, a->fields);
    buf_put_view(b, a->lines);
}

void http_put_answer(struct buf *b, const struct http_answer *a, bool chunked, int64_t wall_ms)
{
    buf_put_str(b, "HTTP/1.1 ");
    buf_put_u64(b, a->status);
    buf_put_char(b, ' ');
    buf_put_str(b, http_reason(a->status));
    buf_put(b, "\r\n", 2);
    http_put_fields(b, a, wall_ms);
    if (chunked)
        buf_put_str(b, "Transfer-Encoding: chunked\r\n");
    buf_put_str(b, a->close ? "Connection: close\r\n\r\n" : "\r\n");
    if (!a->head && !a->parts)
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
