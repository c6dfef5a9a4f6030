/*
 * common/view.h - a borrowed slice of bytes: what every string from outside is.
 * Owns nothing: valid as long as whatever it points into. May hold any byte, also NUL; never assume
 * a terminator.
 */
#ifndef VIEW_H
#define VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct view {
    const char *p;
    size_t n;
};

/* A view of a string literal; the length costs nothing at run time. */
#define V(lit)     ((struct view){(lit), sizeof(lit) - 1})
#define VIEW_EMPTY ((struct view){"", 0})
/* printf's "%.*s" for a view that is known to be short. */
#define VIEW_FMT(v) (int)((v).n), (v).p

static inline struct view view_of(const char *p, size_t n)
{
    return (struct view){p, n};
}

static inline struct view view_str(const char *s)
{
    return s ? (struct view){s, strlen(s)} : VIEW_EMPTY;
}

static inline bool view_eq(struct view a, struct view b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool view_starts(struct view v, struct view prefix)
{
    return v.n >= prefix.n && (prefix.n == 0 || memcmp(v.p, prefix.p, prefix.n) == 0);
}

static inline bool view_ends(struct view v, struct view suffix)
{
    return v.n >= suffix.n &&
           (suffix.n == 0 || memcmp(v.p + v.n - suffix.n, suffix.p, suffix.n) == 0);
}

static inline struct view view_from(struct view v, size_t off)
{
    return off >= v.n ? VIEW_EMPTY : (struct view){v.p + off, v.n - off};
}

/* ASCII case-insensitive; for header names, never for secrets. */
bool view_ieq(struct view a, struct view b);
/* Without leading and trailing space, tab, CR and LF. */
struct view view_trim(struct view v);
/* Index of the byte, or v.n. */
size_t view_find(struct view v, char c);

#endif
