/*
 * common/err.h - how failure travels: a negative code for the program, a sentence for the person.
 * Filled once where it happens (err_set returns the code), widened on the way up (err_wrap).
 */
#ifndef ERR_H
#define ERR_H

enum err_code {
    ERR_NOMEM = -1,   /* an allocation failed or a buffer reached its ceiling */
    ERR_SYS = -2,     /* a system call failed; the sentence holds errno's text */
    ERR_INVALID = -3, /* bytes or values from outside that break their rules */
    ERR_LIMIT = -4,   /* valid, but more than we take */
    ERR_NOT_FOUND = -5,
    ERR_CLOSED = -6, /* the other side is gone or going */
    ERR_DENIED = -7,
    ERR_CONFLICT = -8, /* exists already, or changed since it was read */
    ERR_TIMEOUT = -9,
    ERR_CORRUPT = -10, /* our own stored bytes do not check out */
    ERR_AGAIN = -11,   /* not now: incomplete input, or a full queue */
};

enum { ERR_TEXT_MAX = 512 }; /* a sentence, not a document: longer text is cut */

struct err {
    int code; /* 0 or an enum err_code */
    char text[ERR_TEXT_MAX];
};

#define ERR_INIT                                                                                   \
    {                                                                                              \
        .code = 0, .text = ""                                                                      \
    }
#define MUST_USE     __attribute__((warn_unused_result))
#define PRINTF(a, b) __attribute__((format(printf, a, b)))

/* Fill *e and return code. Control characters in the text are replaced: it may hold outside bytes.
 */
int err_set(struct err *e, int code, const char *fmt, ...) PRINTF(3, 4);
/* As err_set with ERR_SYS, ": " and the text of errno appended. */
int err_sys(struct err *e, const char *fmt, ...) PRINTF(2, 3);
/* Put "<text>: " before what is there and return the code that is there. */
int err_wrap(struct err *e, const char *fmt, ...) PRINTF(2, 3);
/* "limit", "invalid", ...: stable, for logs. */
const char *err_name(int code);

#endif
