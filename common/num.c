#include "num.h"

#include <inttypes.h>

int num_u64(struct view v, uint64_t min, uint64_t max, uint64_t *out, struct err *e)
{
    uint64_t n = 0;

    if (v.n == 0)
        return err_set(e, ERR_INVALID, "empty number");
    for (size_t i = 0; i < v.n; i++) {
        if (v.p[i] < '0' || v.p[i] > '9')
            return err_set(e, ERR_INVALID, "not a number: %.*s",
                           VIEW_FMT(view_of(v.p, v.n > 32 ? 32 : v.n)));
        if (__builtin_mul_overflow(n, 10, &n) ||
            __builtin_add_overflow(n, (uint64_t)(v.p[i] - '0'), &n))
            return err_set(e, ERR_LIMIT, "number too large");
    }
    if (n < min || n > max)
        return err_set(e, ERR_LIMIT, "%" PRIu64 " is not between %" PRIu64 " and %" PRIu64, n, min,
                       max);
    *out = n;
    return 0;
}

int num_u32(struct view v, uint32_t min, uint32_t max, uint32_t *out, struct err *e)
{
    uint64_t n = 0;
    int r = num_u64(v, min, max, &n, e);

    if (r == 0)
        *out = (uint32_t)n;
    return r;
}

int num_i64(struct view v, int64_t min, int64_t max, int64_t *out, struct err *e)
{
    bool neg = v.n && v.p[0] == '-';
    uint64_t n = 0;
    int64_t s;
    int r = num_u64(neg ? view_from(v, 1) : v, 0, (uint64_t)INT64_MAX + neg, &n, e);

    if (r < 0)
        return r;
    s = neg ? (int64_t)(0 - n) : (int64_t)n;
    if (s < min || s > max)
        return err_set(e, ERR_LIMIT, "%" PRId64 " is not between %" PRId64 " and %" PRId64, s, min,
                       max);
    *out = s;
    return 0;
}

int num_hex_u64(struct view v, uint64_t max, uint64_t *out, struct err *e)
{
    uint64_t n = 0;

    if (v.n == 0)
        return err_set(e, ERR_INVALID, "empty number");
    for (size_t i = 0; i < v.n; i++) {
        char c = v.p[i];
        uint64_t d;

        if (c >= '0' && c <= '9')
            d = (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            d = (uint64_t)(c - 'a') + 10;
        else if (c >= 'A' && c <= 'F')
            d = (uint64_t)(c - 'A') + 10;
        else
            return err_set(e, ERR_INVALID, "not a hexadecimal number");
        if (n > (UINT64_MAX >> 4))
            return err_set(e, ERR_LIMIT, "number too large");
        n = n << 4 | d;
    }
    if (n > max)
        return err_set(e, ERR_LIMIT, "%" PRIu64 " is over the limit of %" PRIu64, n, max);
    *out = n;
    return 0;
}
