#include "media.h"

#include "mem.h"

unsigned media_input(const json_t *input)
{
    unsigned bits = json_is_array(input) ? MEDIA_GIVEN : 0;
    const json_t *v;
    size_t i;

    json_array_foreach(input, i, v)
    {
        if (view_eq(json_view_of(v), V("image")))
            bits |= MEDIA_IMAGES;
        else if (view_eq(json_view_of(v), V("document")))
            bits |= MEDIA_DOCUMENTS;
    }
    return bits;
}

void media_abilities(struct model_spec *m, unsigned input, const struct provider_ops *ops)
{
    m->images = !(input & MEDIA_GIVEN) || input & MEDIA_IMAGES;
    m->documents = input & MEDIA_DOCUMENTS || (m->images && (ops->documents || m->native));
}

static void put_bytes(struct buf *out, int64_t n)
{
    static const char *const units[] = {"bytes", "KB", "MB", "GB"};
    double v = (double)n;
    size_t u = 0;

    for (; v >= 1000 && u + 1 < COUNT_OF(units); u++)
        v /= 1000;
    buf_printf(out, u && v < 100 ? "%.1f %s" : "%.0f %s", v, units[u]);
}

void media_describe(const json_t *part, struct buf *out)
{
    struct view name = json_view(part, "name"), type = json_view(part, "mimeType");
    int64_t width = json_i64(part, "width", 0), height = json_i64(part, "height", 0);

    buf_put_view(out, name.n                      ? name
                      : json_view(part, "kind").n ? json_view(part, "kind")
                                                  : V("file"));
    buf_put_str(out, " (");
    buf_put_view(out, type.n ? type : V("application/octet-stream"));
    if (width > 0 && height > 0)
        buf_printf(out, ", %lld x %lld", (long long)width, (long long)height);
    buf_put_str(out, ", ");
    put_bytes(out, json_i64(part, "bytes", 0));
    buf_put_char(out, ')');
}

static int set(json_t *part, const char *key, json_t *value, struct err *e)
{
    return json_object_set_new(part, key, value) < 0 ? err_set(e, ERR_NOMEM, "job: out of memory")
                                                     : 0;
}

static int make_text(json_t *part, const struct buf *text, struct err *e)
{
    struct view v = buf_view(text);
    int r = buf_check(text, e);

    if (r == 0 && (r = set(part, "type", json_string("text"), e)) == 0)
        r = set(part, "text", json_stringn(v.p, v.n), e);
    return r;
}

/* What is said instead of a file. */
static int make_words(json_t *part, const char *why, struct err *e)
{
    struct buf b = BUF_INIT(4 * KIB);
    int r;

    buf_put_str(&b, "[attached file: ");
    media_describe(part, &b);
    buf_put_str(&b, why);
    buf_put_char(&b, ']');
    r = make_text(part, &b, e);
    buf_fini(&b);
    return r;
}

/* A text document as text, marked off from what people say. */
static int make_document(json_t *part, const json_t *given, struct err *e)
{
    struct buf b = BUF_INIT(4 * MIB);
    int r;

    buf_put_str(&b, "[attached file: ");
    media_describe(part, &b);
    buf_put_str(&b, json_flag(given, "cut", false) ? "; only its beginning follows]\n"
                                                   : "; its content follows]\n");
    buf_put_view(&b, json_view(given, "text"));
    buf_put_str(&b, "\n[end of the attached file]");
    r = make_text(part, &b, e);
    buf_fini(&b);
    return r;
}

static int make_data(json_t *part, const char *type, const json_t *given, struct err *e)
{
    json_t *data = json_object_get(given, "data");
    struct view mime = json_view(given, "type");
    int r;

    if (mime.n && (r = set(part, "mimeType", json_stringn(mime.p, mime.n), e)) < 0)
        return r;
    if ((r = set(part, "data", json_incref(data), e)) < 0)
        return r;
    return set(part, "type", json_string(type), e);
}

static int resolve(json_t *part, const json_t *media, const struct model_spec *m, size_t most,
                   struct err *e)
{
    const json_t *given = json_object_get(media, json_view(part, "id").p);
    struct view type = json_view(given, "type"), data = json_view(given, "data");

    if (json_is_string(json_object_get(given, "text")))
        return make_document(part, given, e);
    if (!given)
        return make_words(part,
                          view_starts(json_view(part, "mimeType"), V("image/")) ||
                                  view_eq(json_view(part, "mimeType"), V("application/pdf"))
                              ? "; not shown again"
                              : "; its content is not shown",
                          e);
    if (view_eq(type, V("application/pdf")))
        return m->documents ? make_data(part, "document", given, e)
                            : make_words(part, "; this model reads no PDF", e);
    if (!m->images)
        return make_words(part, "; this model sees no images", e);
    if (most && data.n > most)
        return make_words(part, "; too large for this model", e);
    return make_data(part, "image", given, e);
}

int media_resolve(json_t *job, const struct model_spec *m, size_t most, struct err *e)
{
    const json_t *media = json_object_get(job, "media");
    json_t *msg, *part;
    size_t i, k;
    int r = 0;

    json_array_foreach(json_object_get(job, "messages"), i, msg)
    {
        json_array_foreach(json_object_get(msg, "content"), k, part)
        {
            if (r == 0 && view_eq(json_view(part, "type"), V("media")))
                r = resolve(part, media, m, most, e);
        }
    }
    return r;
}
