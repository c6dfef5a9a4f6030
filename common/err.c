#include "err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void clean(char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            *s = '?';
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(e->text, sizeof(e->text), fmt, ap);
    va_end(ap);
    clean(e->text);
    e->code = code;
    return code;
}

int err_sys(struct err *e, const char *fmt, ...)
{
    int saved = errno;
    char what[ERR_TEXT_MAX / 2];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    return err_set(e, ERR_SYS, "%s: %s", what, strerror(saved));
}

int err_wrap(struct err *e, const char *fmt, ...)
{
    char what[ERR_TEXT_MAX / 2], old[ERR_TEXT_MAX];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    memcpy(old, e->text, sizeof(old));
    old[sizeof(old) - 1] = 0;
    (void)snprintf(e->text, sizeof(e->text), "%s: %.*s", what,
                   (int)(sizeof(e->text) - strlen(what) - 3), old);
    clean(e->text);
    return e->code;
}

const char *err_name(int code)
{
    static const char *const names[] = {
        "ok",     "nomem",  "sys",      "invalid", "limit",   "not_found",
        "closed", "denied", "conflict", "timeout", "corrupt", "again",
    };
    size_t i = (size_t)(code < 0 ? -code : 0);

    return i < sizeof(names) / sizeof(names[0]) ? names[i] : "unknown";
}
