/* workers/hub/params_int.h - the compiled notation, for params.c and params_schema.c. */
#ifndef PARAMS_INT_H
#define PARAMS_INT_H

#include "params.h"

enum kind {
    K_STRING,
    K_INT,
    K_NUM,
    K_BOOL,
    K_ANY,
    K_OBJECT,
    K_NULL,
    K_HEX64,
    K_LIST,
    K_FIELDS,
    K_CONST
};

/* A node is one alternative of a type; alternatives and fields are chained by next. Everything is
 * freed as one list. */
struct node {
    enum kind kind;
    bool has_min, has_max, required, open;
    double min, max;
    struct view name;  /* of a field, or the constant's text */
    struct node *alt;  /* a field's or list's alternatives */
    struct node *next; /* next field of the same object, next alternative of the same type */
    struct node *all;  /* allocation list */
};

struct params {
    struct node root; /* K_FIELDS */
    struct node *all;
    char *text; /* owned copy; names point into it */
};

#endif
