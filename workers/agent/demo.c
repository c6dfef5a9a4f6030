#include "demo.h"

static struct view last_text(const json_t *job)
{
    const json_t *messages = json_object_get(job, "messages"), *part;

    for (size_t i = json_array_size(messages); i > 0; i--) {
        const json_t *m = json_array_get(messages, i - 1), *content;
        size_t k;

        if (!view_eq(json_view(m, "role"), V("user")))
            continue;
        content = json_object_get(m, "content");
        if (json_is_string(content))
            return json_view_of(content);
        json_array_foreach(content, k, part)
        {
            if (json_view(part, "text").n)
                return json_view(part, "text");
        }
        break;
    }
    return VIEW_EMPTY;
}

static bool inside_char(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

void demo_answer(const json_t *job, struct buf *out)
{
    struct view asked = view_trim(last_text(job));
    size_t n = asked.n < DEMO_ECHO_MAX ? asked.n : DEMO_ECHO_MAX;

    while (n && n < asked.n && inside_char(asked.p[n]))
        n--;
    buf_put_str(out, "Hello! I am the built-in demo model: no key, no network, and not much of a "
                     "mind either.");
    if (n) {
        buf_put_str(out, " You wrote: \"");
        buf_put_view(out, view_of(asked.p, n));
        buf_put_str(out, n < asked.n ? "…\"." : "\".");
    }
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
