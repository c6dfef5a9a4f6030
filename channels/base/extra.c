#include "extra.h"

#include "json.h"
#include "mem.h"
#include "msg.h"

static void label(const json_t *button, struct buf *out)
{
    struct view text = json_view(button, "text"), to = json_view(button, "url");

    if (!text.n)
        return;
    if (!to.n)
        to = json_view(button, "webApp");
    buf_printf(out, "%s- %.*s", out->n ? "\n" : "", VIEW_FMT(text));
    if (to.n)
        buf_printf(out, ": %.*s", VIEW_FMT(to));
}

void extra_labels(const json_t *extra, struct buf *out)
{
    const json_t *row, *button;
    size_t i, j;

    json_array_foreach(json_object_get(extra, "buttons"), i, row) json_array_foreach(row, j, button)
        label(button, out);
}

void extra_poll(const json_t *poll, struct buf *out)
{
    const json_t *option;
    size_t i;

    buf_put_view(out, json_view(poll, "question"));
    json_array_foreach(json_object_get(poll, "options"), i, option)
        buf_printf(out, "\n%zu. %.*s", i + 1, VIEW_FMT(json_view_of(option)));
}

const char *extra_switched_off(const json_t *conf, unsigned kind)
{
    static const struct {
        unsigned kind;
        const char *name;
    } rows[] = {{DELIVER_KIND_TEXT, "sendMessage"}, {DELIVER_KIND_TEXT, "messages"},
                {DELIVER_KIND_POLL, "poll"},        {DELIVER_KIND_POLL, "polls"},
                {DELIVER_KIND_POLL, "sendMessage"}, {DELIVER_KIND_EDIT, "editMessage"},
                {DELIVER_KIND_EDIT, "messages"},    {DELIVER_KIND_REMOVE, "deleteMessage"},
                {DELIVER_KIND_REMOVE, "messages"},  {DELIVER_KIND_REACT, "reactions"}};
    const json_t *actions = json_object_get(conf, "actions");
    struct view level = json_view(conf, "reactionLevel");

    if (kind == DELIVER_KIND_REACT && (view_eq(level, V("off")) || view_eq(level, V("ack"))))
        return "reactions (reactionLevel)";
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (rows[i].kind == kind && !json_flag(actions, rows[i].name, true))
            return rows[i].name;
    return NULL;
}

bool extra_any(const json_t *extra)
{
    return json_object_get(extra, "buttons") || json_object_get(extra, "channelData");
}
