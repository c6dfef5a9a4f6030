/* The store's record decoder: any bytes are refused, or encode to the same bytes again. The input
 * is tried as it is, and once more with its length and checksum made right. */
#include "crc32c.h"
#include "record.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_all(struct view in)
{
    struct store_rec r;
    struct err e;
    size_t used;
    char *out;

    while (in.n && rec_decode(in, &r, &used, &e) == 0) {
        if (used == 0 || used > in.n || rec_check(&r, &e) < 0 || rec_size(&r) != used)
            abort();
        if (!(out = mem_alloc(used)))
            return;
        rec_encode(&r, out);
        if (memcmp(out, in.p, used) != 0)
            abort();
        mem_free(out);
        in = view_from(in, used);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *b;
    uint32_t v;

    try_all(view_of((const char *)data, size));
    if (size < REC_HEAD || size > 1 * MIB || !(b = mem_dup(data, size)))
        return 0;
    v = (uint32_t)(size - REC_HEAD);
    memcpy(b + 4, &v, 4); /* as this machine writes it: the fuzzers run on little endian ones */
    v = crc32c(b + 4, size - 4);
    memcpy(b, &v, 4);
    try_all(view_of(b, size));
    mem_free(b);
    return 0;
}
