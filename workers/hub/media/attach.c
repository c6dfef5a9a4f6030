#include "attach.h"

#include "b64.h"
#include "json.h"

#include <openssl/sha.h>
#include <stdio.h>

enum { FACTS_MAX = 256 << 10, LABEL_MAX = 80 };

static void attachment_fini(struct attachment *x)
{
    buf_fini(&x->bytes);
    media_unmap(&x->mapped);
    mem_free(x->type);
    mem_free(x->name);
}

void attach_fini(struct attachments *a)
{
    for (unsigned i = 0; i < a->count; i++)
        attachment_fini(&a->item[i]);
    mem_free(TAKE(a->item));
    a->count = 0;
}

static int next(struct attachments *a, struct attachment **out, struct err *e)
{
    int r;

    if (!a->item && (r = mem_new(&a->item, ATTACH_MAX * sizeof(*a->item), e)) < 0)
        return r;
    if (a->count == ATTACH_MAX)
        return err_set(e, ERR_LIMIT, "a message has %d attachments at most", ATTACH_MAX);
    *out = &a->item[a->count++];
    buf_init(&(*out)->bytes, MEDIA_FILE_MAX);
    return 0;
}

/* Copies: who said it may be gone when it is written. Longer names are cut later. */
static int said(struct attachment *x, struct view type, struct view name, struct err *e)
{
    x->type = mem_dup(type.p, type.n <= SNIFF_TYPE_MAX ? type.n : 0);
    x->name = mem_dup(name.p, name.n < 4 * KIB ? name.n : 4 * KIB);
    return x->type && x->name ? 0 : err_set(e, ERR_NOMEM, "attachment: out of memory");
}

int attach_map(struct attachments *a, int fd, struct view type, struct view name, struct err *e)
{
    struct attachment *x = NULL;
    int r = next(a, &x, e);

    if (r < 0)
        return r;
    if ((r = said(x, type, name, e)) < 0)
        return r;
    return media_map_fd(fd, MEDIA_FILE_MAX, &x->mapped, e);
}

static struct view bytes_of(const struct attachment *x)
{
    return x->mapped.n ? x->mapped : buf_view(&x->bytes);
}

/* How sentences call it: its name, its type, or its place. */
static const char *label(const json_t *att, size_t i, char out[LABEL_MAX])
{
    char name[MEDIA_NAME_MAX + 1];
    struct view v = json_view(att, "fileName");

    media_name(v.n ? v : json_view(att, "type"), name);
    if (name[0])
        (void)snprintf(out, LABEL_MAX, "%.60s", name);
    else
        (void)snprintf(out, LABEL_MAX, "attachment-%zu", i + 1);
    return out;
}

/* content, or source {type: "base64", data}, of which older clients make use. */
static struct view content_of(const json_t *att, struct view *type, bool *there)
{
    const json_t *content = json_object_get(att, "content"),
                 *source = json_object_get(att, "source");
    struct view v;

    *type = json_view(att, "mimeType");
    *there = json_is_string(content);
    if (!*there && view_eq(json_view(source, "type"), V("base64"))) {
        content = json_object_get(source, "data");
        *there = json_is_string(content);
        if (!type->n)
            *type = json_view(source, "media_type");
    }
    v = view_trim(json_view_of(content));
    if (view_starts(v, V("data:"))) { /* the head of a data URL stands before it */
        size_t comma = view_find(v, ',');
        struct view head = view_of(v.p, comma);

        if (comma < v.n && view_ends(head, V(";base64"))) {
            if (!type->n)
                *type = view_of(head.p + 5, head.n - 5 - 7);
            v = view_from(v, comma + 1);
        }
    }
    return v;
}

static int read_one(struct attachments *a, const json_t *att, size_t i, struct err *e)
{
    char called[LABEL_MAX];
    struct view type, origin = json_view(att, "origin"), text;
    struct attachment *x = NULL;
    struct kind s;
    size_t size;
    bool there;
    int r;

    text = content_of(att, &type, &there);
    if (!there)
        return 0;
    if (text.n == 0)
        return err_set(e, ERR_INVALID, "attachment %s: empty payload", label(att, i, called));
    size = text.n / 4 * 3 - view_ends(text, V("=")) - view_ends(text, V("=="));
    if (size > ATTACH_BYTES_MAX)
        return err_set(e, ERR_INVALID, "attachment %s: exceeds size limit (%zu > %d bytes)",
                       label(att, i, called), size, ATTACH_BYTES_MAX);
    if ((r = next(a, &x, e)) < 0)
        return r;
    if (!b64_get(text, &x->bytes))
        return x->bytes.failed ? err_set(e, ERR_NOMEM, "attachment: out of memory")
                               : err_set(e, ERR_INVALID, "attachment %s: invalid base64 content",
                                         label(att, i, called));
    if ((r = said(x, type, json_view(att, "fileName"), e)) < 0)
        return r;
    x->pasted = view_eq(origin, V("paste"));
    x->filed = view_eq(origin, V("file"));
    kind_look(buf_view(&x->bytes), type, view_str(x->name), &s);
    if (s.kind == KIND_IMAGE && x->bytes.n > ATTACH_IMAGE_BYTES_MAX)
        return err_set(e, ERR_INVALID, "attachment %s: image exceeds size limit (%zu > %d bytes)",
                       label(att, i, called), x->bytes.n, ATTACH_IMAGE_BYTES_MAX);
    return 0;
}

int attach_read(struct attachments *out, const json_t *list, struct err *e)
{
    struct attachments a = {0};
    const json_t *att;
    size_t i;
    int r = 0;

    json_array_foreach(list, i, att) if ((r = read_one(&a, att, i, e)) < 0) break;
    if (r < 0)
        attach_fini(&a);
    *out = a;
    return r;
}

int attach_images(struct attachments *out, struct view parts, struct err *e)
{
    struct buf text = BUF_INIT(64 * MIB);
    struct attachments a = {0};
    struct attachment *x;
    json_t *list = NULL;
    const json_t *part;
    size_t i;
    int r;

    buf_put_char(&text, '[');
    buf_put_view(&text, parts);
    buf_put_char(&text, ']');
    if ((r = buf_check(&text, e)) == 0)
        r = json_parse(buf_view(&text), &list, e);
    buf_fini(&text);
    json_array_foreach(list, i, part)
    {
        if (r == 0 && (r = next(&a, &x, e)) == 0 && !b64_get(json_view(part, "data"), &x->bytes))
            r = err_set(e, ERR_INVALID, "image_url: the base64 text is malformed");
    }
    json_decref(list); /* types are looked for in the bytes */
    if (r < 0)
        attach_fini(&a);
    *out = a;
    return r;
}

void attach_digest(const struct attachments *a, struct buf *out)
{
    for (unsigned i = 0; i < a->count; i++) {
        unsigned char md[SHA256_DIGEST_LENGTH];
        struct view v = bytes_of(&a->item[i]);

        (void)SHA256((const unsigned char *)v.p, v.n, md);
        buf_put(out, md, sizeof(md));
        buf_put_view(out, view_str(a->item[i].name));
        buf_put_char(out, '\0');
    }
}

static void put_facts(const struct attachments *a, struct buf *out)
{
    struct jw w = JW_INIT(out);
    bool images = false;

    jw_obj(&w);
    jw_key(&w, "media");
    jw_arr(&w);
    for (unsigned i = 0; i < a->count; i++) {
        const struct attachment *x = &a->item[i];

        jw_obj(&w);
        media_fact(&x->file, &w);
        if (x->pasted || x->filed)
            jw_kcstr(&w, "origin", x->pasted ? "paste" : "file");
        if (x->file.kind != KIND_IMAGE)
            jw_kbool(&w, "hydrationSuppressed", true);
        else
            images = true;
        jw_obj_end(&w);
    }
    jw_arr_end(&w);
    if (!images)
        return;
    jw_key(&w, "mediaImageLayout"); /* where a client shows which of them as images */
    jw_obj(&w);
    jw_key(&w, "slots");
    jw_arr(&w);
    for (unsigned i = 0; i < a->count; i++)
        if (a->item[i].file.kind == KIND_IMAGE) {
            jw_obj(&w);
            jw_kcstr(&w, "kind", "inline");
            jw_ku64(&w, "factIndex", i);
            jw_obj_end(&w);
        }
    jw_arr_end(&w);
    jw_obj_end(&w);
}

size_t attach_bytes(const struct attachments *a)
{
    size_t bytes = 0;

    for (unsigned i = 0; i < a->count; i++)
        bytes += bytes_of(&a->item[i]).n;
    return bytes;
}

bool attach_is_large(const struct attachments *a)
{
    return attach_bytes(a) > ATTACH_AT_ONCE;
}

int attach_write(struct hub *h, struct attachments *a, struct attach_write *w, struct err *e)
{
    struct attachment *x = &a->item[w->at];
    int r = 0;

    if (w->at == a->count)
        return 0;
    if (!w->open)
        r = media_write_begin(h, bytes_of(x), view_str(x->type), view_str(x->name), &w->file, e);
    w->open = r == 0;
    if (r < 0 || (r = media_write_step(h, &w->file, e)) > 0)
        return r;
    w->open = false;
    if (r < 0)
        return r;
    x->file = w->file.m;
    return ++w->at < a->count;
}

void attach_drop(struct hub *h, struct attachments *a, struct attach_write *w)
{
    if (w->open)
        media_write_stop(&w->file);
    w->open = false;
    for (unsigned i = 0; i < a->count; i++)
        if (a->item[i].file.id[0])
            media_drop(h, view_str(a->item[i].file.id));
}

int attach_keep(struct hub *h, struct attachments *a, uint32_t sid, char **facts, struct err *e)
{
    struct buf b = BUF_INIT(FACTS_MAX);
    int r = 0;

    for (unsigned i = 0; i < a->count && r == 0; i++) {
        struct attachment *x = &a->item[i];

        if (!x->file.id[0] &&
            (r = media_put(h, bytes_of(x), view_str(x->type), view_str(x->name), &x->file, e)) < 0)
            x->file.id[0] = '\0';
        else
            r = media_keep(h, &x->file, MEDIA_OF_SESSION, sid, e);
    }
    if (r == 0) {
        put_facts(a, &b);
        r = buf_check(&b, e);
    }
    /* the members without the brace before them */
    if (r == 0 && !(*facts = mem_dup(buf_view(&b).p + 1, b.n - 1)))
        r = err_set(e, ERR_NOMEM, "attachment: out of memory");
    if (r < 0)
        attach_undo(h, a, sid);
    buf_fini(&b);
    return r;
}

void attach_undo(struct hub *h, struct attachments *a, uint32_t sid)
{
    for (unsigned i = 0; i < a->count; i++) {
        if (!a->item[i].file.id[0])
            continue;
        media_leave(h, view_str(a->item[i].file.id), MEDIA_OF_SESSION, sid);
        media_drop(h, view_str(a->item[i].file.id));
        a->item[i].file.id[0] = '\0';
    }
}
