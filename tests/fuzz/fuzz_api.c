/* Bodies of OpenAI's interfaces: read as each of them; what is accepted is JSON of the job's shape,
 * what is refused says why. */
#include "api_embed.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void need(bool ok)
{
    if (!ok)
        abort();
}

static void check(struct view text, const char *before, const char *after)
{
    struct buf b = BUF_INIT(64 << 20);
    json_t *doc = NULL;
    struct err e = ERR_INIT;

    buf_put_str(&b, before);
    buf_put_view(&b, text);
    buf_put_str(&b, after);
    need(!b.failed && json_parse(buf_view(&b), &doc, &e) == 0);
    json_decref(doc);
    buf_fini(&b);
}

static void one(const json_t *body, bool (*read)(struct api_ask *a))
{
    struct api_ask a;

    api_ask_init(&a, NULL, body);
    if (read(&a)) {
        check(buf_view(&a.messages), "[", "]");
        check(buf_view(&a.images), "[", "]");
        check(buf_view(&a.limits), "{", "}");
        if (a.tools.n)
            check(buf_view(&a.tools), "", "");
        if (a.choice[0])
            check(view_str(a.choice), "", "");
    } else {
        need(a.why[0]);
    }
    api_ask_fini(&a);
}

static void request(const json_t *body)
{
    struct api_embed_ask a;
    struct err e = ERR_INIT;
    json_t *texts = NULL;

    if (api_embed_read(&a, body)) {
        need(json_parse(buf_view(&a.texts), &texts, &e) == 0);
        need(json_array_size(texts) == a.count && a.count && a.count <= API_EMBED_TEXTS_MAX);
        need(a.dimensions <= API_EMBED_DIMENSIONS_MAX && a.model.n);
    } else {
        need(a.why[0]);
    }
    json_decref(texts);
    api_embed_fini(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct err e = ERR_INIT;
    json_t *doc = NULL;

    if (json_parse(view_of((const char *)data, n), &doc, &e) == 0 && json_is_object(doc)) {
        one(doc, api_chat_read);
        one(doc, api_responses_read);
        request(doc);
    }
    json_decref(doc);
    return 0;
}
