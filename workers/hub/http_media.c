/*
 * workers/hub/http_media.c - files of messages for pages: with the gateway's token, or with a pass
 * for just this file. What a browser could run in is handed out as text, or to be saved; nothing of
 * it may run or load anything (sandbox policy, nosniff).
 */
#include "call.h"
#include "clock.h"
#include "http.h"
#include "json.h"
#include "num.h"
#include "pass.h"

#include <stdio.h>

enum {
    PIECE = 64 << 10,
    RANGE_MAX = 256 << 10, /* of one answer: a player asks for the rest (RFC 9110, 14.2) */
    SOURCE_MAX = 512,
};
static const char policy[] = "default-src 'none'; img-src 'self'; media-src 'self'; style-src "
                             "'unsafe-inline'; sandbox; frame-ancestors 'none'";

/* ---- which file ---- */

/* A part of a path that names one: "inbound/<id>.png", "outgoing/<session>/<id>/full". */
static struct view id_in_path(struct view rest)
{
    while (rest.n) {
        size_t slash = view_find(rest, '/');
        struct view id = media_id_of(view_of(rest.p, slash));

        if (id.n)
            return id;
        rest = view_from(rest, slash + 1);
    }
    return VIEW_EMPTY;
}

static bool id_of(const struct http_request *r, char out[MEDIA_ID + 1])
{
    struct buf source = BUF_INIT(SOURCE_MAX);
    struct view id = id_in_path(r->rest);

    if (!id.n && http_query(r, V("source"), &source))
        id = media_id_of(view_trim(buf_view(&source)));
    (void)snprintf(out, MEDIA_ID + 1, "%.*s", VIEW_FMT(id));
    buf_fini(&source);
    return id.n > 0;
}

bool http_media_pass(struct http_request *r)
{
    struct buf pass = BUF_INIT(PASS_TEXT_MAX);
    char id[MEDIA_ID + 1];
    bool good = id_of(r, id) && http_query(r, V("mediaTicket"), &pass) &&
                pass_good(r->hub, view_str(id), buf_view(&pass), clock_wall_ms());

    buf_fini(&pass);
    return good;
}

/* ---- what is known of it ---- */

static void put_pass(struct hub *h, const struct media *m, struct jw *w)
{
    char pass[PASS_TEXT_MAX], iso[CLOCK_ISO_MAX];
    int64_t until = clock_wall_ms() + PASS_MS;
    struct err e = ERR_INIT;

    if (pass_make(h, view_str(m->id), until, pass, &e) < 0)
        return;
    clock_iso(until, iso);
    jw_kcstr(w, "mediaTicket", pass);
    jw_kcstr(w, "mediaTicketExpiresAt", iso);
}

static void put_meta(struct hub *h, const struct media *m, struct jw *w)
{
    jw_obj(w);
    jw_kbool(w, "available", m != NULL);
    if (m) {
        media_fact(m, w);
        if (m->kind == KIND_AUDIO || m->kind == KIND_VIDEO)
            jw_kcstr(w, "playback", "native");
        put_pass(h, m, w);
    } else {
        jw_kcstr(w, "code", "not-found");
        jw_kcstr(w, "reason", "The file is not kept any more.");
        jw_kbool(w, "retryable", false);
    }
    jw_obj_end(w);
}

int rpc_assistant_media_get(struct call *c)
{
    struct view id = media_id_of(view_trim(json_view(c->params, "source")));
    struct media m;

    put_meta(c->hub, media_find(c->hub, id, &m) ? &m : NULL, call_ok(c));
    return call_end(c);
}

/* ---- its bytes ---- */

struct sending {
    struct view bytes; /* a mapping, owned */
    size_t at;
};

static void sending_free(struct http_request *r)
{
    struct sending *s = r->user;

    media_unmap(&s->bytes);
    mem_free(s);
    r->user = NULL;
    r->work = NULL;
}

static void on_room(struct http_request *r)
{
    struct sending *s = r->user;

    while (http_room(r) >= PIECE) {
        struct view rest = view_from(s->bytes, s->at), piece = view_of(rest.p, PIECE);

        if (rest.n <= PIECE) {
            struct view last = rest;

            r->user = NULL;
            r->work = NULL;
            http_end(r, last);
            media_unmap(&s->bytes);
            mem_free(s);
            return;
        }
        s->at += PIECE;
        http_part(r, piece);
    }
}

static const struct http_work sending_work = {.on_gone = sending_free, .on_room = on_room};

/* One range, of which as much is given as is given at once.  1: from..to; 0: all; -1: none. */
static int range_of(struct view v, size_t size, size_t *from, size_t *to)
{
    struct err e = ERR_INIT;
    uint64_t a, b = size - 1;
    size_t dash;

    if (!view_starts(v, V("bytes=")) || view_find(v, ',') < v.n)
        return 0;
    v = view_trim(view_from(v, 6));
    dash = view_find(v, '-');
    if (dash == v.n)
        return 0;
    if (dash == 0) {
        if (num_u64(view_from(v, 1), 0, UINT64_MAX, &a, &e) < 0)
            return 0;
        if (a == 0)
            return -1;
        a = a < size ? size - a : 0;
    } else if (num_u64(view_of(v.p, dash), 0, UINT64_MAX, &a, &e) < 0 ||
               (dash + 1 < v.n &&
                (num_u64(view_from(v, dash + 1), 0, UINT64_MAX, &b, &e) < 0 || b < a))) {
        return 0;
    }
    if (a >= size)
        return -1;
    b = b < size ? b : size - 1;
    *from = (size_t)a;
    *to = b - a < RANGE_MAX ? (size_t)b : (size_t)a + RANGE_MAX - 1;
    return 1;
}

/* How it is called there: ASCII as it stands, the rest by RFC 8187. */
static void put_disposition(const struct media *m, bool shown, struct buf *out)
{
    buf_printf(out, "Content-Disposition: %s; filename*=UTF-8''", shown ? "inline" : "attachment");
    for (const char *p = m->name[0] ? m->name : m->id; *p; p++) {
        if ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
            strchr("._-", *p))
            buf_put_char(out, *p);
        else
            buf_printf(out, "%%%02X", (unsigned)(unsigned char)*p);
    }
    if (!m->name[0])
        buf_put_str(out, m->ext);
    buf_put_str(out, "\r\n");
}

/* The type it is handed out as: no page, no script, no picture that can hold one. */
static const char *safe_type(const struct media *m, bool *shown)
{
    struct view type = view_str(m->type);

    *shown = kind_passive(type) || view_starts(type, V("text/"));
    return kind_passive(type)              ? m->type
           : view_starts(type, V("text/")) ? "text/plain; charset=utf-8"
           : view_eq(type, V("application/pdf")) || view_eq(type, V("application/json"))
               ? m->type
               : "application/octet-stream";
}

static void send_file(struct http_request *r, const struct media *m, struct view bytes)
{
    struct buf fields = BUF_INIT(4 * KIB - 1);
    struct http_reply a = {.status = 200, .policy = policy};
    struct sending *s = NULL;
    size_t from = 0, to = bytes.n - 1;
    char tag[MEDIA_ID + 3];
    struct err e = ERR_INIT;
    int ranged = 0;
    bool shown, streams;

    (void)snprintf(tag, sizeof(tag), "\"%s\"", m->id); /* a file never changes */
    a.type = safe_type(m, &shown);
    if (http_header(r, V("range")).n &&
        (!http_header(r, V("if-range")).n || view_eq(http_header(r, V("if-range")), view_str(tag))))
        ranged = range_of(http_header(r, V("range")), bytes.n, &from, &to);
    buf_printf(&fields, "ETag: %s\r\nAccept-Ranges: bytes\r\n", tag);
    put_disposition(m, shown, &fields);
    if (view_eq(http_header(r, V("if-none-match")), view_str(tag))) {
        a.status = 304;
        a.type = NULL;
    } else if (ranged < 0) {
        a.status = 416;
        a.type = NULL;
        buf_printf(&fields, "Content-Range: bytes */%zu\r\n", bytes.n);
    } else if (ranged > 0) {
        a.status = 206;
        buf_printf(&fields, "Content-Range: bytes %zu-%zu/%zu\r\n", from, to, bytes.n);
    }
    buf_put_char(&fields, '\0');
    a.fields = buf_view(&fields).p;
    streams = a.status == 200 && bytes.n > RANGE_MAX;
    if (a.status == 200 || a.status == 206)
        a.body = view_of(bytes.p + from, to - from + 1);
    if (fields.failed || (streams && mem_new(&s, sizeof(*s), &e) < 0)) {
        http_reply_text(r, 500, "Internal Server Error");
    } else if (streams) {
        *s = (struct sending){.bytes = bytes};
        bytes = VIEW_EMPTY;
        a.body = VIEW_EMPTY;
        r->user = s;
        r->work = &sending_work;
        http_begin(r, &a);
        on_room(r);
    } else {
        http_reply(r, &a);
    }
    media_unmap(&bytes);
    buf_fini(&fields);
}

void http_media(struct http_request *r, struct view body)
{
    struct buf b = BUF_INIT(8 * KIB), meta = BUF_INIT(8);
    struct jw w = JW_INIT(&b);
    char id[MEDIA_ID + 1];
    struct view bytes;
    struct media m;
    struct err e = ERR_INIT;
    bool found = id_of(r, id) && media_find(r->hub, view_str(id), &m);

    (void)body;
    if (http_query(r, V("meta"), &meta) && view_eq(buf_view(&meta), V("1"))) {
        put_meta(r->hub, found ? &m : NULL, &w);
        http_reply_json(r, b.failed ? 500 : 200, buf_view(&b));
    } else if (!found || media_map(r->hub, view_str(id), &bytes, &e) < 0) {
        http_reply_text(r, 404, "Not Found");
    } else {
        send_file(r, &m, bytes);
    }
    buf_fini(&b);
    buf_fini(&meta);
}
