#include "blocks.h"

#include "json.h"
#include "jw.h"

enum { SIZE_MAX_CHARS = 100000 };

bool blocks_preview(const struct channel_ops *ops, const json_t *conf, bool *ret_said)
{
    const unsigned needs = CHANNEL_CAN_STREAM | CHANNEL_CAN_EDIT;
    const json_t *s = json_object_get(conf, "streaming");
    struct view mode = json_is_object(s) ? json_view(s, "mode") : json_view_of(s);
    bool off = view_eq(mode, V("off")) || view_eq(mode, V("progress")) || json_is_false(s);

    if (ret_said)
        *ret_said = mode.n > 0 || json_is_boolean(s);
    return (ops->caps & needs) == needs && !off;
}

static const json_t *either(const json_t *own, const char *name, const json_t *conf,
                            const char *old)
{
    const json_t *v = json_object_get(own, name);

    return v ? v : json_object_get(conf, old);
}

static void put_size(struct jw *w, const json_t *from, const char *name)
{
    int64_t n = json_i64(from, name, -1);

    if (n >= 0 && n <= SIZE_MAX_CHARS)
        jw_ki64(w, name, n);
}

void blocks_wish(const struct channel_ops *ops, const json_t *conf, struct buf *out)
{
    const json_t *streaming = json_object_get(conf, "streaming"),
                 *block = json_object_get(streaming, "block"),
                 *enabled = either(block, "enabled", conf, "blockStreaming"),
                 *gather = either(block, "coalesce", conf, "blockStreamingCoalesce"),
                 *mode = either(streaming, "chunkMode", conf, "chunkMode");
    struct jw w = JW_INIT(out);
    bool said;

    jw_obj(&w);
    if (json_is_boolean(enabled))
        jw_kbool(&w, "enabled", json_is_true(enabled));
    if (blocks_preview(ops, conf, &said) && said)
        jw_kbool(&w, "preview", true);
    if (view_eq(json_view_of(mode), V("newline")))
        jw_kbool(&w, "each", true);
    if (ops->text_limit)
        jw_ki64(&w, "limit", ops->text_limit);
    put_size(&w, gather, "minChars");
    put_size(&w, gather, "maxChars");
    put_size(&w, gather, "idleMs");
    jw_obj_end(&w);
}
