/* routing/jtext.c - numbers as text. */
#include "jtext.h"

#include "fold.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* A number with a fraction or exponent as ECMAScript prints it: the fewest digits that read back
 * the same, an exponent from 1e21 up and below 1e-6. */
static size_t put_real(double x, char *out, size_t max)
{
    char e[JTEXT_NUMBER_MAX], digits[24];
    int n = 0, point, len = 0;
    const char *sign = x < 0 ? "-" : "";

    if (x == 0)
        return (size_t)snprintf(out, max, "0");
    for (int p = 0; p < 17; p++) {
        (void)snprintf(e, sizeof(e), "%.*e", p, fabs(x));
        if (strtod(e, NULL) >= fabs(x) && strtod(e, NULL) <= fabs(x))
            break;
    }
    for (const char *c = e; *c && *c != 'e'; c++)
        if (*c != '.')
            digits[n++] = *c;
    digits[n] = 0;
    point = (int)strtod(strchr(e, 'e') + 1, NULL) + 1; /* digits before the point */
    if (point > 21 || point < -5)
        len = snprintf(out, max, "%s%c%s%se%+d", sign, digits[0], n > 1 ? "." : "", digits + 1,
                       point - 1);
    else if (point <= 0)
        len = snprintf(out, max, "%s0.%.*s%s", sign, -point, "000000", digits);
    else if (n <= point)
        len = snprintf(out, max, "%s%s%.*s", sign, digits, point - n, "000000000000000000000");
    else
        len = snprintf(out, max, "%s%.*s.%s", sign, point, digits, digits + point);
    return len < 0 || (size_t)len >= max ? 0 : (size_t)len;
}

struct view jtext_id(const json_t *v, char room[JTEXT_NUMBER_MAX])
{
    if (json_is_string(v))
        return fold_trim(view_of(json_string_value(v), json_string_length(v)));
    if (json_is_integer(v))
        return view_of(room, (size_t)snprintf(room, JTEXT_NUMBER_MAX, "%" JSON_INTEGER_FORMAT,
                                              json_integer_value(v)));
    if (json_is_real(v))
        return view_of(room, put_real(json_real_value(v), room, JTEXT_NUMBER_MAX));
    return VIEW_EMPTY;
}
