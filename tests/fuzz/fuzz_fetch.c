/* The name of a file from the network: header, newline, address. What comes out can be shown and
 * is the name of no path. */
#include "name.h"
#include "utf8.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct view all = view_of((const char *)data, n), head = view_of(all.p, view_find(all, '\n'));
    char out[FETCH_NAME_BYTES];

    name_of(head, view_from(all, head.n < all.n ? head.n + 1 : all.n), out);
    if (strnlen(out, sizeof(out)) == sizeof(out) || !utf8_valid(view_str(out)) || out[0] == '.')
        abort();
    for (const char *p = out; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == '/' || *p == '\\' || *p == 0x7f)
            abort();
    return 0;
}
