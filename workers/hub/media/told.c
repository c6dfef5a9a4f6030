#include "told.h"

#include "b64.h"
#include "chat.h"
#include "jscan.h"
#include "json.h"
#include "log.h"
#include "tokens.h"

/* "media" of a message's own part __openclaw, parsed; NULL: it has none. */
static json_t *facts_of(struct view msg)
{
    static const char quick[] = "\"media\":[{\"url\":\"media://inbound/";
    const struct jscan_member *m;
    struct jscan js, own;
    struct err e = ERR_INIT;
    json_t *list = NULL;

    if (!memmem(msg.p, msg.n, quick, sizeof(quick) - 1) || jscan(msg, &js, &e) < 0 ||
        !(m = jscan_get(&js, V("__openclaw"))) || m->type != JSCAN_OBJECT ||
        jscan(m->value, &own, &e) < 0 || !(m = jscan_get(&own, V("media"))) ||
        json_parse(m->value, &list, &e) < 0)
        return NULL;
    return list;
}

/* The file that a block of an answer shows (run_sends.c): .../outgoing/<session>/<id>/full */
static bool shown_by(struct hub *h, const json_t *block, struct media *out)
{
    static const struct view begin = {"/api/chat/media/outgoing/", 25};
    const json_t *inner = json_object_get(block, "attachment");
    struct view url = json_view(inner ? inner : block, "url"), id;

    if (!view_starts(url, begin))
        return false;
    url = view_from(url, begin.n);
    url = view_from(url, view_find(url, '/') + 1);
    id = media_id_of(view_of(url.p, view_find(url, '/')));
    return id.n && media_find(h, id, out);
}

static json_t *blocks_of(struct view msg)
{
    static const char quick[] = "\"/api/chat/media/outgoing/";
    const struct jscan_member *m;
    struct err e = ERR_INIT;
    json_t *list = NULL;
    struct jscan js;

    if (!memmem(msg.p, msg.n, quick, sizeof(quick) - 1) || jscan(msg, &js, &e) < 0 ||
        !(m = jscan_get(&js, V("content"))) || json_parse(m->value, &list, &e) < 0)
        return NULL;
    return list;
}

int told_each(struct hub *h, struct view msg, told_on_file *on, void *ctx, struct err *e)
{
    json_t *list = facts_of(msg), *blocks = blocks_of(msg), *x;
    struct media m;
    size_t i;
    int r = 0;

    json_array_foreach(list, i, x)
    {
        if (r == 0 && media_fact_read(x, &m))
            r = on(ctx, &m, e);
    }
    json_array_foreach(blocks, i, x)
    {
        if (r == 0 && shown_by(h, x, &m))
            r = on(ctx, &m, e);
    }
    json_decref(list);
    json_decref(blocks);
    return r;
}

static uint64_t estimate(const struct media *m)
{
    uint64_t n = m->kind == KIND_IMAGE ? TOKENS_IMAGE : m->bytes / 4;

    return n < TOLD_TOKENS_MAX ? n : TOLD_TOKENS_MAX;
}

bool told_parts(struct view msg, struct view content, struct buf *out, uint64_t *tokens)
{
    json_t *list = facts_of(msg), *fact;
    struct jw w = JW_INIT(out);
    size_t i;

    *tokens = 0;
    if (!list)
        return false;
    jw_arr(&w);
    if (content.n > 2 && content.p[0] == '"') {
        jw_obj(&w);
        jw_kcstr(&w, "type", "text");
        jw_kraw(&w, "text", content);
        jw_obj_end(&w);
    }
    json_array_foreach(list, i, fact)
    {
        struct media m;

        if (!media_fact_read(fact, &m))
            continue;
        jw_obj(&w);
        jw_kcstr(&w, "type", "media");
        jw_kcstr(&w, "id", m.id);
        jw_kcstr(&w, "kind", kind_name(m.kind));
        jw_kcstr(&w, "mimeType", m.type);
        jw_kcstr(&w, "name", m.name);
        jw_ku64(&w, "bytes", m.bytes);
        jw_ku64(&w, "width", m.width);
        jw_ku64(&w, "height", m.height);
        jw_obj_end(&w);
        *tokens += estimate(&m);
    }
    jw_arr_end(&w);
    json_decref(list);
    return true;
}

/* ---- the bytes ---- */

struct telling {
    struct hub *h;
    struct jw w;
    unsigned files;
    uint64_t bytes;
    char id[TOLD_FILES][MEDIA_ID + 1];
};

static bool is_told(struct view type)
{
    return view_eq(type, V("image/png")) || view_eq(type, V("image/jpeg")) ||
           view_eq(type, V("image/gif")) || view_eq(type, V("image/webp")) ||
           view_eq(type, V("application/pdf"));
}

static void tell(struct telling *t, const json_t *part)
{
    struct view id = json_view(part, "id"), type = json_view(part, "mimeType"), bytes, text;
    struct err e = ERR_INIT;
    struct kind s;

    for (unsigned i = 0; i < t->files; i++)
        if (view_eq(view_str(t->id[i]), id))
            return; /* a copy of a message: once is enough */
    if (t->files == TOLD_FILES || media_map(t->h, id, &bytes, &e) < 0)
        return;
    kind_look(bytes, type, VIEW_EMPTY, &s); /* what it is, not what the message says of it */
    text = view_of(bytes.p, bytes.n < TOLD_TEXT_BYTES ? bytes.n : TOLD_TEXT_BYTES);
    if ((s.text ? text.n : bytes.n) <= TOLD_BYTES - t->bytes &&
        (s.text || is_told(view_str(s.type)))) {
        jw_key_view(&t->w, id);
        jw_obj(&t->w);
        if (s.text) {
            text.n = chat_whole(text);
            jw_kstr(&t->w, "text", text);
            jw_kbool(&t->w, "cut", text.n < bytes.n);
        } else {
            jw_kcstr(&t->w, "type", s.type);
            jw_key(&t->w, "data");
            jw_str_open(&t->w);
            b64_put(t->w.b, bytes);
            jw_str_close(&t->w);
        }
        jw_obj_end(&t->w);
        memcpy(t->id[t->files++], id.p, MEDIA_ID);
        t->bytes += s.text ? text.n : bytes.n;
    }
    media_unmap(&bytes);
}

int told_files(struct hub *h, const struct prompt *p, unsigned from, struct buf *out, struct err *e)
{
    struct telling t = {.h = h, .w = JW_INIT(out)};
    unsigned messages = 0;

    for (unsigned i = p->count; i > from && messages < TOLD_MESSAGES; i--) {
        json_t *parts = NULL, *part;
        struct err bad = ERR_INIT;
        size_t k;

        if (!p->piece[i - 1].files || json_parse(prompt_text(p, i - 1), &parts, &bad) < 0)
            continue;
        if (messages++ == 0) {
            buf_put_view(out, V(",\"media\":"));
            jw_obj(&t.w);
        }
        json_array_foreach(parts, k, part) if (view_eq(json_view(part, "type"), V("media")))
            tell(&t, part);
        json_decref(parts);
    }
    if (messages)
        jw_obj_end(&t.w);
    return buf_check(out, e);
}
