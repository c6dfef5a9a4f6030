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
        {421, "Misdirected Request"},
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
