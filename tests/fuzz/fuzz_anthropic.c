/* tests/fuzz/fuzz_anthropic.c - see fuzz_provider.h */
#include "fuzz_provider.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    return fuzz_provider(&anthropic_ops, data, n);
}
