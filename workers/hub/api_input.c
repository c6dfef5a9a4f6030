/* workers/hub/api_input.c - the conversation that a client brings, as messages of a job (api.h). */
#include "api.h"

#include <stdarg.h>
#include <stdio.h>

enum { TEXT_MAX = 24 << 20 };

void api_ask_init(struct api_ask *a, const struct api_form *form, const json_t *body)
{
    *a = (struct api_ask){.form = form, .body = body};
    buf_init(&a->system, 1 << 20);
    buf_init(&a->messages, TEXT_MAX);
    buf_init(&a->images, TEXT_MAX);
    buf_init(&a->last, 4 << 20);
    buf_init(&a->tools, 2 << 20);
    buf_init(&a->limits, 16 << 10);
}

void api_ask_fini(struct api_ask *a)
{
    buf_fini(&a->system);
    buf_fini(&a->messages);
    buf_fini(&a->images);
    buf_fini(&a->last);
    buf_fini(&a->tools);
    buf_fini(&a->limits);
}

bool api_fault(struct api_ask *a, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(a->why, sizeof(a->why), fmt, ap);
    va_end(ap);
    return false;
}

/* ---- parts ---- */

/* Base64 as it stands in a data: URL; how many bytes it stands for, or -1. */
static ptrdiff_t base64_bytes(struct view v)
{
    size_t pad = 0;

    for (size_t i = 0; i < v.n; i++) {
        char c = v.p[i];

        if (c == '=' && i + 2 >= v.n)
            pad++;
        else if (pad || !((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                          (c >= '0' && c <= '9') || c == '+' || c == '/'))
            return -1;
    }
    return v.n && v.n % 4 == 0 ? (ptrdiff_t)(v.n / 4 * 3 - pad) : -1;
}

bool api_image(struct api_ask *a, struct view url, struct buf *out)
{
    static const char *const types[] = {"image/jpeg", "image/png", "image/gif", "image/webp"};
    struct view v, type, data;
    struct jw w = JW_INIT(out);
    ptrdiff_t bytes;
    size_t semi;
    bool known = false;

    if (!view_starts(url, V("data:")))
        return api_fault(a, "image_url: only data: URLs are taken here (images.allowUrl)");
    v = view_from(url, 5);
    semi = view_find(v, ';');
    type = view_of(v.p, semi);
    v = view_from(v, semi + 1);
    for (size_t i = 0; i < COUNT_OF(types); i++)
        known |= view_ieq(type, view_str(types[i]));
    if (!known || !view_starts(v, V("base64,")))
        return api_fault(a, "image_url: data:image/jpeg, png, gif or webp in base64 is taken");
    data = view_from(v, 7);
    if ((bytes = base64_bytes(data)) < 0)
        return api_fault(a, "image_url: the base64 text is malformed");
    a->image_bytes += (size_t)bytes;
    if (a->image_bytes > API_IMAGE_BYTES_MAX)
        return api_fault(a, "Images are larger than %d bytes together.", API_IMAGE_BYTES_MAX);
    jw_obj(&w);
    jw_kcstr(&w, "type", "image");
    jw_kstr(&w, "mimeType", type);
    jw_kstr(&w, "data", data);
    jw_obj_end(&w);
    return true;
}

/* The URL of an image part of either interface. */
static struct view image_url(const json_t *part)
{
    const json_t *v = json_object_get(part, "image_url");
    const json_t *source = json_object_get(part, "source");

    if (json_is_string(v))
        return json_view_of(v);
    if (json_is_object(source))
        return json_view(source, "url");
    return json_view(v, "url");
}

static bool put_text(struct view text, bool *any, struct buf *parts, struct buf *plain)
{
    struct jw w = JW_INIT(parts);

    if (text.n == 0)
        return true;
    if (*any)
        buf_put_char(parts, ',');
    *any = true;
    jw_obj(&w);
    jw_kcstr(&w, "type", "text");
    jw_kstr(&w, "text", text);
    jw_obj_end(&w);
    if (plain->n)
        buf_put_char(plain, '\n');
    buf_put_view(plain, text);
    return true;
}

/* Text and images of a content into parts, its text into plain, its images alone into images. */
static bool put_content(struct api_ask *a, const json_t *content, struct buf *parts,
                        struct buf *plain, struct buf *images, unsigned *image_count)
{
    const json_t *part;
    bool any = false;
    size_t i;

    if (!content || json_is_null(content))
        return true;
    if (json_is_string(content))
        return put_text(json_view_of(content), &any, parts, plain);
    if (!json_is_array(content))
        return api_fault(a, "A message's content is neither text nor a list of parts.");
    json_array_foreach(content, i, part)
    {
        struct view type = json_view(part, "type");

        if (view_eq(type, V("text")) || view_eq(type, V("input_text")) ||
            view_eq(type, V("output_text")) || view_eq(type, V("refusal"))) {
            (void)put_text(json_view(part, view_eq(type, V("refusal")) ? "refusal" : "text"), &any,
                           parts, plain);
        } else if (view_eq(type, V("image_url")) || view_eq(type, V("input_image"))) {
            size_t at;

            if (++*image_count > API_IMAGES_MAX)
                return api_fault(a, "A message has more than %d images.", API_IMAGES_MAX);
            if (any)
                buf_put_char(parts, ',');
            any = true;
            at = parts->n;
            if (!api_image(a, image_url(part), parts))
                return false;
            if (images->n)
                buf_put_char(images, ',');
            buf_put(images, parts->p + parts->off + at, parts->failed ? 0 : parts->n - at);
        } else {
            return api_fault(a, "Content of type \"%.*s\" is not supported.",
                             (int)(type.n < 32 ? type.n : 32), type.p);
        }
    }
    return true;
}

/* ---- messages ---- */

bool api_system(struct api_ask *a, const json_t *content)
{
    struct buf parts = BUF_INIT(TEXT_MAX), images = BUF_INIT(TEXT_MAX), text = BUF_INIT(1 << 20);
    unsigned n = 0;
    bool ok = put_content(a, content, &parts, &text, &images, &n);

    if (ok && n)
        ok = api_fault(a, "A system message has text only.");
    if (ok && a->system.n && text.n)
        buf_put(&a->system, "\n\n", 2);
    buf_put_view(&a->system, buf_view(&text));
    if (ok && (text.failed || a->system.failed))
        ok = api_fault(a, "System messages are longer than 1 MiB.");
    buf_fini(&parts);
    buf_fini(&images);
    buf_fini(&text);
    return ok;
}

static void next(struct api_ask *a)
{
    if (a->entries++)
        buf_put_char(&a->messages, ',');
}

/* Calls are {id, name, arguments} or, as chat completions have them, {id, function: {...}}. */
static bool put_calls(struct api_ask *a, const json_t *calls, bool any, struct buf *parts)
{
    struct jw w = JW_INIT(parts);
    const json_t *call;
    size_t i;

    if (json_array_size(calls) > API_TOOLS_MAX)
        return api_fault(a, "A message has more than %d tool calls.", API_TOOLS_MAX);
    json_array_foreach(calls, i, call)
    {
        const json_t *fn = json_object_get(call, "function");
        struct view id = json_view(call, "id"), name = json_view(fn ? fn : call, "name");

        if (!id.n || id.n > 128 || !name.n || name.n > 128)
            return api_fault(a, "A tool call needs id and function.name of at most 128 bytes.");
        if (any)
            buf_put_char(parts, ',');
        any = true;
        w = (struct jw)JW_INIT(parts);
        jw_obj(&w);
        jw_kcstr(&w, "type", "toolCall");
        jw_kstr(&w, "id", id);
        jw_kstr(&w, "name", name);
        jw_kstr(&w, "arguments", json_view(fn ? fn : call, "arguments"));
        jw_obj_end(&w);
    }
    return true;
}

bool api_message(struct api_ask *a, const char *role, const json_t *content, const json_t *calls)
{
    struct buf parts = BUF_INIT(TEXT_MAX), text = BUF_INIT(4 << 20), images = BUF_INIT(TEXT_MAX);
    bool user = strcmp(role, "user") == 0;
    unsigned n = 0;
    bool ok = put_content(a, content, &parts, &text, &images, &n) &&
              put_calls(a, calls, parts.n > 0, &parts);

    if (ok && (parts.failed || text.failed || images.failed))
        ok = api_fault(a, "A message is too large.");
    if (ok) {
        next(a);
        buf_put_str(&a->messages, "{\"role\":\"");
        buf_put_str(&a->messages, role);
        buf_put_str(&a->messages, "\",\"content\":[");
        buf_put_view(&a->messages, buf_view(&parts));
        buf_put_str(&a->messages, "]}");
        a->last_is_user = user;
    }
    if (ok && user) {
        buf_reset(&a->last, 0);
        buf_put_view(&a->last, view_trim(buf_view(&text)));
        buf_reset(&a->images, 0);
        buf_put_view(&a->images, buf_view(&images));
        a->image_count = n;
    }
    if (ok && (a->messages.failed || a->last.failed))
        ok = api_fault(a, "The messages are too large.");
    buf_fini(&parts);
    buf_fini(&text);
    buf_fini(&images);
    return ok;
}

bool api_result(struct api_ask *a, struct view id, const json_t *content)
{
    struct buf parts = BUF_INIT(TEXT_MAX), text = BUF_INIT(TEXT_MAX), images = BUF_INIT(TEXT_MAX);
    struct jw w = JW_INIT(&a->messages);
    unsigned n = 0;
    bool ok = put_content(a, content, &parts, &text, &images, &n);

    if (ok && (!id.n || id.n > 128))
        ok = api_fault(a, "A tool's result needs the id of its call, at most 128 bytes.");
    if (ok) {
        next(a);
        jw_obj(&w);
        jw_kcstr(&w, "role", "toolResult");
        jw_kstr(&w, "toolCallId", id);
        jw_kstr(&w, "content", buf_view(&text));
        jw_obj_end(&w);
        a->last_is_user = false;
    }
    if (ok && (text.failed || a->messages.failed))
        ok = api_fault(a, "A tool's result is too large.");
    buf_fini(&parts);
    buf_fini(&text);
    buf_fini(&images);
    return ok;
}
