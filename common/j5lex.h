/*
 * common/j5lex.h - the words of a JSON5 text: white space and comments, strings, keys, numbers, and
 * errors that know their line. For json5.c alone, which knows how the words make a document.
 */
#ifndef J5LEX_H
#define J5LEX_H

#include "buf.h"
#include "err.h"

#include <jansson.h>

struct j5lex {
    const char *text, *p, *end; /* p: what is read next */
    unsigned depth;
    struct buf str; /* text of the string, key or number read last */
    struct err *e;
};

/* Fill the error with the place of `at`: lines end with LF, CR LF or CR, columns count code points.
 */
int j5lex_fail_code(struct j5lex *s, const char *at, int code, const char *what);
int j5lex_fail(struct j5lex *s, const char *at, const char *what); /* ERR_INVALID */
int j5lex_no_memory(struct j5lex *s);
/* Refuse a text that is not UTF-8, at the place where it breaks. */
int j5lex_utf8(struct j5lex *s) MUST_USE;
bool j5lex_at(const struct j5lex *s, char c);
/* May stand in an unquoted key. Beyond ASCII everything that is not white space is taken for a
 * letter: the tables of Unicode are not worth it for a configuration. */
bool j5lex_in_name(const struct j5lex *s, const char *p, bool first);
/* Over white space and comments. */
int j5lex_space(struct j5lex *s) MUST_USE;
/* A string in either quotes into s->str, p at the quote. */
int j5lex_quoted(struct j5lex *s) MUST_USE;
/* A key, quoted or not, into s->str. */
int j5lex_key(struct j5lex *s) MUST_USE;
/* *out = the number at p, where a digit, sign or point is. */
int j5lex_number(struct j5lex *s, json_t **out) MUST_USE;

#endif
