/*
 * routing/jtext.h - ids in JSON documents: text, or a number in the text the reference gives it.
 */
#ifndef JTEXT_H
#define JTEXT_H

#include "view.h"

#include <jansson.h>

enum { JTEXT_NUMBER_MAX = 32 };

/* Trimmed text of a string or number (numbers into room); VIEW_EMPTY of anything else. */
struct view jtext_id(const json_t *v, char room[JTEXT_NUMBER_MAX]);

#endif
