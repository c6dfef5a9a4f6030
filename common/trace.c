#include "trace.h"

#include <stdio.h>
#include <string.h>

static bool zeroes(struct view v)
{
    for (size_t i = 0; i < v.n; i++)
        if (v.p[i] != '0')
            return false;
    return true;
}

struct view trace_read(struct view v)
{
    if (v.n != TRACE_LEN || v.p[2] != '-' || v.p[35] != '-' || v.p[52] != '-')
        return VIEW_EMPTY;
    for (size_t i = 0; i < v.n; i++)
        if (i != 2 && i != 35 && i != 52 &&
            !((v.p[i] >= '0' && v.p[i] <= '9') || (v.p[i] >= 'a' && v.p[i] <= 'f')))
            return VIEW_EMPTY;
    if (memcmp(v.p, "ff", 2) == 0 || zeroes(view_of(v.p + 3, 32)) || zeroes(view_of(v.p + 36, 16)))
        return VIEW_EMPTY;
    return v;
}

void trace_child(struct view from, const unsigned char id[16], uint64_t span,
                 char out[TRACE_LEN + 1])
{
    static const char hex[] = "0123456789abcdef";
    char own[33];

    if (from.n == TRACE_LEN) {
        memcpy(own, from.p + 3, 32);
    } else {
        for (size_t i = 0; i < 16; i++) {
            own[2 * i] = hex[id[i] >> 4];
            own[2 * i + 1] = hex[id[i] & 15];
        }
        if (zeroes(view_of(own, 32)))
            own[31] = '1';
    }
    own[32] = '\0';
    (void)snprintf(out, TRACE_LEN + 1, "00-%s-%016llx-%.2s", own, (unsigned long long)span,
                   from.n == TRACE_LEN ? from.p + 53 : "01");
}
