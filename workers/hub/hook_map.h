/*
 * workers/hub/hook_map.h - what a request to /hooks/<name> means: the first mapping of the
 * configuration that fits, and its templates filled in from the request. Pure.
 * Templates: {{payload.a.b[0].c}} or {{a.b}}, {{headers.x-y}}, {{query.k}}, {{path}}, {{now}};
 * what is missing is empty, objects and lists are JSON. Not here: transforms (hook_script.h).
 */
#ifndef HOOK_MAP_H
#define HOOK_MAP_H

#include "buf.h"
#include "err.h"
#include "view.h"

#include <jansson.h>

enum {
    HOOK_TEXT_MAX = 512 * 1024, /* of a filled-in template */
    HOOK_ITEMS_MAX = 200,       /* of forEach */
    HOOK_DEPTH_MAX = 16,        /* of a path in a template */
};

/* The request as templates see it. */
struct hook_source {
    const json_t *payload;
    struct view path;    /* below hooks.path, without slashes around it */
    struct view headers; /* "name: value\n" lines, names in lower case */
    struct view query;
    int64_t now_ms;
};

/* The mapping that fits, or NULL: hooks.mappings in order, then presets. */
const json_t *hook_map_find(const json_t *conf, const struct hook_source *s);
/* Whether it is one that is built in. */
bool hook_map_is_preset(const json_t *mapping);
/* Appended to out. Errors: ERR_LIMIT. */
int hook_map_fill(struct view tmpl, const struct hook_source *s, struct buf *out,
                  struct err *e) MUST_USE;
/* Whether a template asks for anything of the request. */
bool hook_map_is_template(struct view tmpl);

#endif
