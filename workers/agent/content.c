#include "content.h"

static const char *const roles[CONTENT_ROLE_COUNT] = {
    [CONTENT_USER] = "user",
    [CONTENT_ASSISTANT] = "assistant",
    [CONTENT_SYSTEM] = "system",
    [CONTENT_RESULT] = "toolResult",
};

const char *content_role_name(enum content_role role)
{
    return roles[role];
}

int content_open(const json_t *msg, enum content_role *role, const json_t **content, struct err *e)
{
    struct view name = json_view(msg, "role");
    const json_t *c = json_object_get(msg, "content");

    if (!json_is_string(c) && !json_is_array(c))
        return err_set(e, ERR_INVALID, "job: messages: content is neither text nor a list");
    for (int i = 0; i < CONTENT_ROLE_COUNT; i++)
        if (view_eq(name, view_str(roles[i]))) {
            *role = (enum content_role)i;
            *content = c;
            return 0;
        }
    return err_set(e, ERR_INVALID, "job: messages: role %.*s", (int)(name.n < 32 ? name.n : 32),
                   name.p);
}

bool content_part(const json_t *content, size_t i, struct content_part *out)
{
    const json_t *part;
    struct view type;

    *out = (struct content_part){VIEW_EMPTY, VIEW_EMPTY, VIEW_EMPTY, VIEW_EMPTY, VIEW_EMPTY};
    if (json_is_string(content)) {
        out->text = json_view_of(content);
        return i == 0;
    }
    if (i >= json_array_size(content))
        return false;
    part = json_array_get(content, i);
    type = json_view(part, "type");
    if (view_eq(type, V("text"))) {
        out->text = json_view(part, "text");
    } else if (view_eq(type, V("image"))) {
        out->image = json_view(part, "data");
        out->mime = json_view(part, "mimeType");
        if (out->mime.n == 0)
            out->mime = V("image/png");
    } else if (view_eq(type, V("document"))) {
        out->document = json_view(part, "data");
        out->mime = json_view(part, "mimeType");
        out->name = json_view(part, "name");
    }
    return true;
}

bool content_any(const json_t *content)
{
    struct content_part p;

    for (size_t i = 0; content_part(content, i, &p); i++)
        if (p.text.n || p.image.n || p.document.n)
            return true;
    return false;
}

bool content_has_files(const json_t *content)
{
    struct content_part p;

    for (size_t i = 0; content_part(content, i, &p); i++)
        if (p.image.n || p.document.n)
            return true;
    return false;
}

void content_text(const json_t *content, struct buf *out)
{
    struct content_part p;

    for (size_t i = 0; content_part(content, i, &p); i++) {
        if (p.text.n == 0)
            continue;
        if (out->n)
            buf_put_char(out, '\n');
        buf_put_view(out, p.text);
    }
}
