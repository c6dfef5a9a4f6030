/* workers/hub/params_schema.c - the notation of parameters as JSON Schema (params.h). */
#include "jw.h"
#include "params.h"
#include "params_int.h"

static void put_type(struct jw *w, const struct node *t);

static void put_bounds(struct jw *w, const struct node *n, const char *min, const char *max)
{
    if (n->has_min)
        jw_ki64(w, min, (int64_t)n->min);
    if (n->has_max)
        jw_ki64(w, max, (int64_t)n->max);
}

static void put_fields(struct jw *w, const struct node *obj)
{
    bool any = false;

    jw_kcstr(w, "type", "object");
    jw_key(w, "properties");
    jw_obj(w);
    for (const struct node *f = obj->alt; f; f = f->next) {
        jw_key_view(w, f->name);
        put_type(w, f->alt);
        any |= f->required;
    }
    jw_obj_end(w);
    if (any) {
        jw_key(w, "required");
        jw_arr(w);
        for (const struct node *f = obj->alt; f; f = f->next)
            if (f->required)
                jw_str(w, f->name);
        jw_arr_end(w);
    }
    if (!obj->open)
        jw_kbool(w, "additionalProperties", false);
}

static void put_one(struct jw *w, const struct node *n)
{
    jw_obj(w);
    switch (n->kind) {
    case K_STRING:
        jw_kcstr(w, "type", "string");
        put_bounds(w, n, "minLength", "maxLength");
        break;
    case K_HEX64:
        jw_kcstr(w, "type", "string");
        break;
    case K_INT:
    case K_NUM:
        jw_kcstr(w, "type", n->kind == K_INT ? "integer" : "number");
        put_bounds(w, n, "minimum", "maximum");
        break;
    case K_BOOL:
        jw_kcstr(w, "type", "boolean");
        break;
    case K_OBJECT:
        jw_kcstr(w, "type", "object");
        break;
    case K_NULL:
        jw_kcstr(w, "type", "null");
        break;
    case K_LIST:
        jw_kcstr(w, "type", "array");
        jw_key(w, "items");
        put_type(w, n->alt);
        put_bounds(w, n, "minItems", "maxItems");
        break;
    case K_FIELDS:
        put_fields(w, n);
        break;
    case K_ANY:
    case K_CONST:
        break;
    }
    jw_obj_end(w);
}

/* Words are one enum; everything else beside them is a branch. */
static void put_type(struct jw *w, const struct node *t)
{
    bool words = true, word = false;

    for (const struct node *n = t; n; n = n->next) {
        words &= n->kind == K_CONST;
        word |= n->kind == K_CONST;
    }
    if (!t->next && !word) {
        put_one(w, t);
        return;
    }
    jw_obj(w);
    if (!words) {
        jw_key(w, "anyOf");
        jw_arr(w);
        for (const struct node *n = t; n; n = n->next)
            if (n->kind != K_CONST)
                put_one(w, n);
        if (word)
            jw_obj(w);
    }
    if (word) {
        jw_kcstr(w, "type", "string");
        jw_key(w, "enum");
        jw_arr(w);
        for (const struct node *n = t; n; n = n->next)
            if (n->kind == K_CONST)
                jw_str(w, n->name);
        jw_arr_end(w);
    }
    if (!words) {
        if (word)
            jw_obj_end(w);
        jw_arr_end(w);
    }
    jw_obj_end(w);
}

void params_schema(const struct params *p, struct jw *w)
{
    jw_obj(w);
    put_fields(w, &p->root);
    jw_obj_end(w);
}
