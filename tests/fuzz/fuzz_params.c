/* Parameter notation and values: the text up to the first newline is compiled, the rest is JSON to
 * be checked. What is complained about must not fit, and the complaint stays within its bounds. */
#include "json.h"
#include "params.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct view in = view_of((const char *)data, n), rest;
    struct buf text = BUF_INIT(1 << 20), why = BUF_INIT(PARAMS_TEXT_MAX);
    struct params *p = NULL;
    struct err e = ERR_INIT;
    json_t *v = NULL;

    rest = view_from(in, view_find(in, '\n') + 1);
    buf_put_view(&text, view_of(in.p, view_find(in, '\n')));
    buf_put_char(&text, '\0');
    if (!text.failed && params_compile(&p, text.p, &e) == 0 && json_parse(rest, &v, &e) == 0) {
        bool ok = params_check(p, v, &why);

        if (ok != params_check(p, v, NULL) || ok != (why.n == 0))
            abort();
    }
    json_decref(v);
    params_free(&p);
    buf_fini(&text);
    buf_fini(&why);
    return 0;
}
