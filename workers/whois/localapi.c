#include "localapi.h"

#include "ip.h"
#include "json.h"
#include "num.h"

#include <string.h>

int localapi_question(struct buf *out, struct view addr, struct err *e)
{
    bool six = view_find(addr, ':') < addr.n;
    struct ip ip;

    if (!ip_parse(addr, &ip))
        return err_set(e, ERR_INVALID, "not an address");
    /* port 0: whichever; older daemons want one */
    buf_put_str(out, "GET /localapi/v0/whois?addr=");
    buf_put_str(out, six ? "%5B" : "");
    buf_put_view(out, addr);
    buf_put_str(out, six ? "%5D:0" : ":0");
    buf_put_str(out, " HTTP/1.0\r\nHost: local-tailscaled.sock\r\nAccept: application/json\r\n"
                     "Connection: close\r\n\r\n");
    return buf_check(out, e);
}

/* ---- the head ---- */

static bool next_line(struct view *in, struct view *line)
{
    size_t end = view_find(*in, '\n');

    if (end == in->n)
        return false;
    *line = view_of(in->p, end);
    if (line->n && line->p[line->n - 1] == '\r')
        line->n--;
    *in = view_from(*in, end + 1);
    return true;
}

/* HTTP/1.0 200 OK; 0 when it is no such line. */
static unsigned status_of(struct view line)
{
    unsigned code = 0;

    if (!view_starts(line, V("HTTP/1.")) || line.n < 12 || line.p[8] != ' ' ||
        (line.n > 12 && line.p[12] != ' '))
        return 0;
    for (size_t i = 9; i < 12; i++) {
        if (line.p[i] < '0' || line.p[i] > '9')
            return 0;
        code = code * 10 + (unsigned)(line.p[i] - '0');
    }
    return code;
}

/* False: a body that is encoded, cut short, or has two lengths. */
static bool read_head(struct view *in, unsigned *status)
{
    struct view line, name, value;
    uint32_t length = 0;
    bool has_length = false;
    struct err e = ERR_INIT;

    if (!next_line(in, &line) || !(*status = status_of(line)))
        return false;
    for (;;) {
        if (!next_line(in, &line))
            return false;
        if (line.n == 0)
            return !has_length || length == in->n;
        name = view_of(line.p, view_find(line, ':'));
        value = view_trim(view_from(line, name.n + 1));
        if (name.n == line.n || view_ieq(name, V("transfer-encoding")) ||
            view_ieq(name, V("content-encoding")))
            return false;
        if (!view_ieq(name, V("content-length")))
            continue;
        if (has_length || num_u32(value, 0, LOCALAPI_REPLY_MAX, &length, &e) < 0)
            return false;
        has_length = true;
    }
}

/* ---- the body ---- */

static bool valid_login(struct view v)
{
    if (v.n == 0 || v.n > LOCALAPI_LOGIN_MAX)
        return false;
    for (size_t i = 0; i < v.n; i++)
        if ((unsigned char)v.p[i] <= 0x20 || v.p[i] == 0x7f)
            return false;
    return true;
}

static enum localapi_verdict read_body(struct view body, char login[LOCALAPI_LOGIN_MAX + 1])
{
    enum localapi_verdict v = LOCALAPI_BROKEN;
    struct err e = ERR_INIT;
    json_t *doc = NULL;
    struct view who;

    if (json_parse(body, &doc, &e) < 0)
        return LOCALAPI_BROKEN;
    who = json_view(json_object_get(doc, "UserProfile"), "LoginName");
    if (json_array_size(json_object_get(json_object_get(doc, "Node"), "Tags")) ||
        view_eq(who, V("tagged-devices"))) {
        v = LOCALAPI_NOBODY; /* a server, which acts for nobody */
    } else if (valid_login(who)) {
        memcpy(login, who.p, who.n);
        login[who.n] = '\0';
        v = LOCALAPI_FOUND;
    }
    json_decref(doc);
    return v;
}

enum localapi_verdict localapi_answer(struct view reply, char login[LOCALAPI_LOGIN_MAX + 1])
{
    unsigned status;

    login[0] = '\0';
    if (reply.n > LOCALAPI_REPLY_MAX || !read_head(&reply, &status))
        return LOCALAPI_BROKEN;
    return status == 200   ? read_body(reply, login)
           : status == 404 ? LOCALAPI_NOBODY
                           : LOCALAPI_BROKEN;
}
