/* tests/fuzz/fuzz_openai.c - see fuzz_provider.h */
#include "fuzz_provider.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    return fuzz_provider(&openai_ops, data, n);
}
