/* Files from outside: bytes as any of them, a request's attachments, a stored message's word about
 * its files. First byte: which. */
#include "attach.h"
#include "b64.h"
#include "chat.h"
#include "json.h"
#include "kind.h"
#include "told.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void need(bool ok)
{
    if (!ok)
        abort();
}

static void bytes(struct view v)
{
    struct buf text = BUF_INIT(64 << 20), back = BUF_INIT(64 << 20);
    struct kind k;

    kind_look(v, VIEW_EMPTY, VIEW_EMPTY, &k);
    need(k.type[0] && (k.width == 0) == (k.height == 0));
    kind_look(v, V("image/svg+xml"), V("a.svg"), &k);
    need(k.kind != KIND_IMAGE || kind_passive(view_str(k.type)) || k.type[6] == 't' ||
         k.type[6] == 'h'); /* tiff, heic, heif */
    b64_put(&text, v);
    need(b64_get(buf_view(&text), &back) && view_eq(buf_view(&back), v));
    buf_reset(&back, 1 << 20);
    if (b64_get(v, &back)) {
        buf_reset(&text, 64 << 20);
        b64_put(&text, buf_view(&back)); /* the same but for bits that stand for nothing */
        need(text.n == v.n);
    }
    buf_fini(&text);
    buf_fini(&back);
}

static void attachments(struct view v)
{
    struct attachments a;
    struct err e = ERR_INIT;
    struct buf digest = BUF_INIT(1 << 20);
    json_t *doc = NULL;

    if (json_parse(v, &doc, &e) < 0)
        return;
    if (attach_read(&a, doc, &e) == 0) {
        need(a.count <= ATTACH_MAX);
        for (unsigned i = 0; i < a.count; i++) {
            char name[MEDIA_NAME_MAX + 1];

            need(a.item[i].bytes.n && a.item[i].bytes.n <= ATTACH_BYTES_MAX);
            media_name(view_str(a.item[i].name), name);
            need(!strchr(name, '/') && !strchr(name, '\n'));
        }
        attach_digest(&a, &digest);
        attach_fini(&a);
    } else {
        need(e.text[0]);
    }
    buf_fini(&digest);
    json_decref(doc);
}

static void message(struct view v)
{
    struct view role, content;
    struct buf out = BUF_INIT(8 << 20);
    struct err e = ERR_INIT;
    json_t *doc = NULL;
    uint64_t tokens;

    if (json_parse(v, &doc, &e) == 0 && chat_msg_split(v, &role, &content) &&
        told_parts(v, content, &out, &tokens)) {
        json_t *parts = NULL;

        need(!out.failed && json_parse(buf_view(&out), &parts, &e) == 0 && json_is_array(parts));
        json_decref(parts);
    }
    json_decref(doc);
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static void (*const as[])(struct view) = {bytes, attachments, message};

    if (n)
        as[data[0] % 3](view_of((const char *)data + 1, n - 1));
    return 0;
}
