#include "backoff.h"

#include "rand.h"

enum { DOUBLINGS_MAX = 20 };

uint32_t backoff_next(struct backoff *b)
{
    unsigned n = b->attempts < DOUBLINGS_MAX ? b->attempts : DOUBLINGS_MAX;
    uint64_t wait = (uint64_t)b->first_ms << n;
    uint16_t dice;

    if (wait > b->max_ms)
        wait = b->max_ms;
    b->attempts++;
    rand_bytes(&dice, sizeof(dice));
    return (uint32_t)(wait - wait / 4 * dice / UINT16_MAX);
}
