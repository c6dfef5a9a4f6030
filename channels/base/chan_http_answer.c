/* channels/base/chan_http_answer.c - what an answer says: headers, and what became of a send. Pure.
 */
#include "chan_http.h"

struct view chan_header(struct view lines, const char *name)
{
    struct view rest = lines;

    while (rest.n) {
        size_t n = view_find(rest, '\n'), colon;
        struct view line = view_trim(view_of(rest.p, n));

        rest = view_from(rest, n + 1);
        colon = view_find(line, ':');
        if (colon < line.n && view_ieq(view_of(line.p, colon), view_str(name)))
            return view_trim(view_from(line, colon + 1));
    }
    return VIEW_EMPTY;
}

struct view chan_http_header(const struct chan_http_answer *a, const char *name)
{
    return chan_header(a->headers, name);
}

void chan_http_result(const struct chan_http_answer *a, struct channel_result *out)
{
    *out = (struct channel_result){
        .outcome = CHANNEL_SENT, .retry_after_ms = a->retry_after_ms, .error = view_str(a->error)};
    switch (a->end) {
    case CHAN_HTTP_NOT_SENT:
        out->outcome = CHANNEL_TRANSIENT;
        return;
    case CHAN_HTTP_NO_ANSWER:
    case CHAN_HTTP_TOO_LARGE:
        out->outcome = CHANNEL_UNKNOWN;
        return;
    case CHAN_HTTP_REFUSED:
        out->outcome = CHANNEL_PERMANENT;
        return;
    case CHAN_HTTP_ANSWERED:
        break;
    }
    if (a->status >= 200 && a->status < 300)
        return;
    out->error = V("the platform refused it");
    out->outcome = a->status == 429                                           ? CHANNEL_LATER
                   : a->status == 408 || a->status == 425 || a->status >= 500 ? CHANNEL_TRANSIENT
                                                                              : CHANNEL_PERMANENT;
}
