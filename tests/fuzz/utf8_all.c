/* tests/fuzz/utf8_all.c - utf8 over all 2^32 sequences of 4 bytes, whole and cut in the middle:
 * about a minute, by hand (ninja tests/fuzz/utf8_all). How many of them are valid is known by
 * counting. */
#include "utf8.h"

#include <inttypes.h>
#include <stdio.h>

int main(void)
{
    /* scalar values by length; a text of 4 bytes is a row of them: 1111 112 121 211 22 13 31 4 */
    const uint64_t one = 128, two = 0x800 - 128, three = 0x10000 - 0x800 - 2048, four = 0x100000;
    const uint64_t want =
        one * one * one * one + 3 * one * one * two + two * two + 2 * one * three + four;
    uint64_t valid = 0, differ = 0;

    for (uint64_t i = 0; i < UINT64_C(1) << 32; i++) {
        const char b[4] = {(char)(i >> 24), (char)(i >> 16), (char)(i >> 8), (char)i};
        struct utf8 u = {0};
        bool whole = utf8_valid(view_of(b, 4));

        valid += whole;
        differ += whole != (utf8_feed(&u, view_of(b, 2)) && utf8_feed(&u, view_of(b + 2, 2)) &&
                            utf8_done(&u));
    }
    printf("%" PRIu64 " valid, expected %" PRIu64 "; %" PRIu64 " differ when cut\n", valid, want,
           differ);
    return valid == want && !differ ? 0 : 1;
}
