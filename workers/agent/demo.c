#include "demo.h"

#include "media.h"

/* What the user said last. */
static const json_t *last_content(const json_t *job)
{
    const json_t *messages = json_object_get(job, "messages");

    for (size_t i = json_array_size(messages); i > 0; i--) {
        const json_t *m = json_array_get(messages, i - 1);

        if (view_eq(json_view(m, "role"), V("user")))
            return json_object_get(m, "content");
    }
    return NULL;
}

static struct view text_of(const json_t *content)
{
    const json_t *part;
    size_t k;

    if (json_is_string(content))
        return json_view_of(content);
    json_array_foreach(content, k, part)
    {
        if (json_view(part, "text").n)
            return json_view(part, "text");
    }
    return VIEW_EMPTY;
}

/* Files are named, so that who tries it sees that they came through. */
static void put_files(const json_t *content, struct buf *out)
{
    const json_t *part;
    unsigned count = 0;
    size_t k;

    json_array_foreach(content, k, part)
    {
        struct view type = json_view(part, "type");

        if (!view_eq(type, V("media")) && !view_eq(type, V("image")))
            continue;
        if (count == DEMO_FILES_MAX) {
            buf_put_str(out, " and more");
            break;
        }
        buf_put_str(out, count++ ? ", " : " You sent: ");
        if (view_eq(type, V("media"))) {
            media_describe(part, out);
        } else {
            buf_put_str(out, "an image (");
            buf_put_view(out, json_view(part, "mimeType"));
            buf_put_char(out, ')');
        }
    }
    if (count)
        buf_put_char(out, '.');
}

static bool inside_char(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* ---- tools ---- */

static bool says(struct view text, struct view word)
{
    for (size_t i = 0; i + word.n <= text.n; i++)
        if (view_ieq(view_of(text.p + i, word.n), word))
            return true;
    return false;
}

static const json_t *last_message(const json_t *job)
{
    const json_t *messages = json_object_get(job, "messages");

    return json_array_get(messages, json_array_size(messages) - 1);
}

static const struct {
    struct view about, tool;
} tools[] = {{{"session", 7}, {"sessions_list", 13}},
             {{"conversation", 12}, {"sessions_list", 13}},
             {{"agents", 6}, {"agents_list", 11}}};

struct view demo_tool(const json_t *job)
{
    const json_t *last = last_message(job), *offered = json_object_get(job, "tools"), *t;
    struct view asked = text_of(json_object_get(last, "content"));
    size_t i;

    if (!view_eq(json_view(last, "role"), V("user")) ||
        !(says(asked, V("what")) || says(asked, V("which")) || says(asked, V("list"))))
        return VIEW_EMPTY;
    for (size_t k = 0; k < sizeof(tools) / sizeof(tools[0]); k++) {
        if (!says(asked, tools[k].about))
            continue;
        json_array_foreach(offered, i, t)
        {
            if (view_eq(json_view(t, "name"), tools[k].tool))
                return tools[k].tool;
        }
    }
    return VIEW_EMPTY;
}

/* A list is told by its names, anything else as it is. */
static void put_result(const json_t *result, struct buf *out)
{
    struct view text = text_of(json_object_get(result, "content")), name;
    static const char *const lists[] = {"sessions", "agents"};
    const json_t *v, *list = NULL;
    struct err e = ERR_INIT;
    json_t *doc = NULL;
    size_t i;

    if (json_parse(text, &doc, &e) < 0)
        doc = NULL; /* told as it is */
    for (size_t k = 0; k < 2 && !list; k++)
        list = json_object_get(doc, lists[k]);
    if (!list)
        buf_put_view(out, view_of(text.p, text.n < DEMO_ECHO_MAX ? text.n : DEMO_ECHO_MAX));
    json_array_foreach(list, i, v)
    {
        name = json_view(v, "key").n ? json_view(v, "key") : json_view(v, "id");
        if (i == DEMO_LIST_MAX || name.n > DEMO_ECHO_MAX)
            break;
        buf_put_str(out, "- ");
        buf_put_view(out, name);
        buf_put_char(out, '\n');
    }
    if (list && !json_array_size(list))
        buf_put_str(out, "nothing");
    json_decref(doc);
}

void demo_answer(const json_t *job, struct buf *out)
{
    const json_t *content = last_content(job);
    struct view asked = view_trim(text_of(content));
    size_t n = asked.n < DEMO_ECHO_MAX ? asked.n : DEMO_ECHO_MAX;

    if (view_eq(json_view(last_message(job), "role"), V("toolResult"))) {
        buf_put_str(out, "I asked the tool ");
        buf_put_view(out, json_view(last_message(job), "toolName"));
        buf_put_str(out, ". It says:\n\n");
        put_result(last_message(job), out);
        return;
    }
    while (n && n < asked.n && inside_char(asked.p[n]))
        n--;
    buf_put_str(out, "Hello! I am the built-in demo model: no key, no network, and not much of a "
                     "mind either.");
    if (n) {
        buf_put_str(out, " You wrote: \"");
        buf_put_view(out, view_of(asked.p, n));
        buf_put_str(out, n < asked.n ? "…\"." : "\".");
    }
    put_files(content, out);
    buf_put_str(out,
                "\n\nTo talk to a real model, put a provider into ~/.openclaw/openclaw.json and "
                "make it the default:\n\n"
                "```json5\n"
                "{ models: { providers: { openai: {\n"
                "      baseUrl: \"https://api.openai.com/v1\", apiKey: \"${OPENAI_API_KEY}\",\n"
                "      api: \"openai-completions\", models: [{ id: \"gpt-4o\" }] } } },\n"
                "  agents: { defaults: { model: { primary: \"openai/gpt-4o\" } } } }\n"
                "```\n\n"
                "The gateway takes it up as soon as the file is saved; `openclawctl config check` "
                "says what is wrong with it. README.md, \"Configuration\", has the rest.");
}

size_t demo_piece(struct view rest)
{
    size_t n = rest.n < 48 ? rest.n : 48;

    while (n < rest.n && inside_char(rest.p[n]))
        n++;
    while (n < rest.n && n < 64 && rest.p[n - 1] != ' ' && !inside_char(rest.p[n]))
        n++;
    while (n < rest.n && inside_char(rest.p[n]))
        n++;
    return n;
}
