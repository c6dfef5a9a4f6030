/*
 * workers/hub/params.h - checks a request's parameters against the notation of rpc.def, which is
 * compiled once: "sessionKey!:str(..512), limit:int(1..1000), mode:a/b/null, keys:[str](1..50),
 * client!:{id!:str, ...}, z:any" str = non-empty string, text, int, num, bool, any, object, null,
 * hex64, [T], {fields}, a/b = either, other words are string constants; "..." at the end of a field
 * list leaves the object open. Complaints have the wording that stock clients show (protocol, 2.2),
 * joined by "; ".
 */
#ifndef PARAMS_H
#define PARAMS_H

#include "buf.h"

#include <jansson.h>

struct params;

enum {
    PARAMS_DEPTH_MAX = 8,   /* of the notation */
    PARAMS_ERRORS_MAX = 16, /* complaints about one request */
    PARAMS_TEXT_MAX = 4096, /* and their text */
};

/* Errors: ERR_INVALID where the notation is wrong, ERR_NOMEM. */
int params_compile(struct params **out, const char *text, struct err *e) MUST_USE;
void params_free(struct params **p);
/* True when value fits; otherwise complaints holds why. complaints may be NULL. */
bool params_check(const struct params *p, const json_t *value, struct buf *complaints);
/* The same rules as JSON Schema, for models that are offered a tool. */
struct jw;
void params_schema(const struct params *p, struct jw *w);
/* No field is required: {} fits. */
bool params_all_optional(const struct params *p);

#endif
