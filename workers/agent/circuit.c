#include "circuit.h"

static unsigned failures(const struct circuit *c, uint64_t now_ms)
{
    unsigned n = 0;

    for (unsigned i = 0; i < c->count; i++)
        n += c->last[i].failed && now_ms - c->last[i].at_ms <= CIRCUIT_WINDOW_MS;
    return n;
}

bool circuit_may(struct circuit *c, uint64_t now_ms, uint64_t *wait_ms)
{
    if (c->open && now_ms < c->until_ms) {
        *wait_ms = c->until_ms - now_ms;
        return false;
    }
    if (c->open)
        c->until_ms = now_ms + CIRCUIT_OPEN_MS;
    return true;
}

static void forget(struct circuit *c)
{
    c->count = c->next = 0;
}

void circuit_saw(struct circuit *c, uint64_t now_ms, bool failed)
{
    if (c->open) { /* the one that tried, or one that was under way: it is as good */
        c->open = failed;
        c->until_ms = now_ms + CIRCUIT_OPEN_MS;
        forget(c);
        return;
    }
    c->last[c->next].at_ms = now_ms;
    c->last[c->next].failed = failed;
    c->next = (c->next + 1) % CIRCUIT_WINDOW;
    if (c->count < CIRCUIT_WINDOW)
        c->count++;
    if (failures(c, now_ms) < CIRCUIT_FAILURES)
        return;
    c->open = true;
    c->until_ms = now_ms + CIRCUIT_OPEN_MS;
    forget(c);
}

static void earn(struct circuit *c, uint64_t now_ms, unsigned percents)
{
    uint64_t more;

    if (!c->begun) {
        c->begun = true;
        c->percents = CIRCUIT_RETRIES * 100;
        c->paid_ms = now_ms;
    }
    more = (now_ms - c->paid_ms) / CIRCUIT_RETRY_EVERY_MS;
    c->paid_ms += more * CIRCUIT_RETRY_EVERY_MS;
    if (more > CIRCUIT_RETRIES)
        more = CIRCUIT_RETRIES;
    c->percents += (unsigned)more * 100 + percents;
    if (c->percents > CIRCUIT_RETRIES * 100)
        c->percents = CIRCUIT_RETRIES * 100;
}

void circuit_asked(struct circuit *c, uint64_t now_ms)
{
    earn(c, now_ms, CIRCUIT_RETRY_PERCENT);
}

bool circuit_retry(struct circuit *c, uint64_t now_ms)
{
    earn(c, now_ms, 0);
    if (c->percents < 100)
        return false;
    c->percents -= 100;
    return true;
}
