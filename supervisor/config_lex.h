/*
 * supervisor/config_lex.h - the tokens of a JSON5 text that was parsed already, with their places:
 * what config_text walks by and config_edit cuts by. Of a text that was never parsed it gives wrong
 * tokens, never a read out of bounds, and it never stands still on one.
 */
#ifndef CONFIG_LEX_H
#define CONFIG_LEX_H

#include "view.h"

#include <jansson.h>

struct config_lex {
    const char *p, *end;
    void (*on_comment)(void *ctx, struct view comment); /* or NULL */
    void *ctx;
};

/* Bytes of the white space at p (JSON5, 8), or 0. */
size_t config_lex_blank(const char *p, const char *end);
/* Over white space and comments. */
void config_lex_space(struct config_lex *l);
/* Over a string, number, word or unquoted key. */
struct view config_lex_token(struct config_lex *l);
/* Over a value, whole: a token, or brackets and what is in them. */
struct view config_lex_value(struct config_lex *l);
/* Name of a key as written; *own keeps what had escapes, for as long as the name is used. */
struct view config_lex_name(struct view raw, json_t **own);

#endif
