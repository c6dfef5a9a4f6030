/* A line of node's, which runs what somebody wrote: an answer to a question, or none. */
#include "json.h"
#include "script.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct buf out = BUF_INIT(1 << 20);
    struct err e = ERR_INIT;
    json_t *doc = NULL;
    unsigned result = 99;
    uint64_t req = 0;

    if (script_read(view_of((const char *)data, n), &req, &result, &out)) {
        if (req == 0 || (result != SCRIPT_OK && result != SCRIPT_FAILED))
            abort();
        if (result == SCRIPT_OK &&
            (json_parse(buf_view(&out), &doc, &e) < 0 || !json_is_array(doc)))
            abort();
    }
    json_decref(doc);
    buf_fini(&out);
    return 0;
}
