/* tests/fuzz/fuzz_openai.c - see fuzz_provider.h; and the short way to read a chunk means what the
 * long one does, whenever the long one takes it at all. */
#include "fuzz_provider.h"
#include "openai.h"

static void both_ways(struct view data)
{
    struct reply quick, slow;

    reply_init(&quick);
    reply_init(&slow);
    openai_ops.event(&quick, VIEW_EMPTY, data);
    if (!quick.done) {
        openai_document(&slow, view_trim(data));
        if (slow.fail.reason == FAIL_NONE)
            must(view_eq(buf_view(&quick.text), buf_view(&slow.text)) &&
                 quick.fail.reason == FAIL_NONE && quick.tools == slow.tools &&
                 quick.stop == slow.stop && quick.usage.input == slow.usage.input &&
                 quick.usage.output == slow.usage.output);
    }
    reply_fini(&quick);
    reply_fini(&slow);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n)
        both_ways(view_of((const char *)data + 1, n - 1));
    return fuzz_provider(&openai_ops, data, n);
}
