/* workers/hub/api_tools.c - tools that a client has, and the limits it sets (api.h). */
#include "api.h"

#include <stdio.h>

/* ---- tools ---- */

static bool name_ok(struct view name)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '-' || c == '.'))
            return false;
    }
    return name.n && name.n <= API_NAME_MAX;
}

bool api_tools_are_list(struct api_ask *a, const json_t *list)
{
    if (list && !json_is_null(list) && !json_is_array(list))
        return api_fault(a, "tools: a list is needed.");
    if (json_array_size(list) > API_TOOLS_MAX)
        return api_fault(a, "tools: at most %d.", API_TOOLS_MAX);
    return true;
}

bool api_tool(struct api_ask *a, struct view name, struct view description,
              const json_t *parameters, bool strict)
{
    struct jw w = JW_INIT(&a->tools);
    struct err e = ERR_INIT;

    if (!name_ok(name))
        return api_fault(a, "tools: a function's name has 1 to %d letters, digits, _, - or .",
                         API_NAME_MAX);
    if (parameters && !json_is_null(parameters) && !json_is_object(parameters))
        return api_fault(a, "tools: parameters of a function are an object.");
    buf_put_char(&a->tools, a->tools.n ? ',' : '[');
    jw_obj(&w);
    jw_kstr(&w, "name", name);
    if (description.n)
        jw_kstr(&w, "description", description);
    if (json_is_object(parameters)) {
        jw_key(&w, "parameters");
        w.after_key = false;
        if (json_dump(parameters, &a->tools, &e) < 0)
            return api_fault(a, "tools: too large");
    }
    if (strict)
        jw_kbool(&w, "strict", true);
    jw_obj_end(&w);
    return !a->tools.failed || api_fault(a, "tools: too large");
}

/* Whether a tool of that name is offered. */
static bool offered(const struct api_ask *a, struct view name)
{
    json_t *list = NULL;
    const json_t *tool;
    struct err e = ERR_INIT;
    bool found = false;
    size_t i;

    if (json_parse(buf_view(&a->tools), &list, &e) < 0)
        return false;
    json_array_foreach(list, i, tool) found |= view_eq(json_view(tool, "name"), name);
    json_decref(list);
    return found;
}

/* Only the one that has to be called is offered. */
static bool keep_only(struct api_ask *a, struct view name)
{
    json_t *list = NULL;
    const json_t *tool;
    struct err e = ERR_INIT;
    size_t i;

    if (json_parse(buf_view(&a->tools), &list, &e) < 0)
        return api_fault(a, "tools: %.100s", e.text);
    buf_reset(&a->tools, 0);
    json_array_foreach(list, i, tool)
    {
        if (view_eq(json_view(tool, "name"), name) && a->tools.n == 0) {
            buf_put_char(&a->tools, '[');
            if (json_dump(tool, &a->tools, &e) < 0)
                buf_reset(&a->tools, 0);
        }
    }
    buf_put_char(&a->tools, ']');
    json_decref(list);
    return true;
}

bool api_choice(struct api_ask *a, const json_t *choice, struct view pinned)
{
    struct view word = json_view_of(choice);

    if (a->tools.n)
        buf_put_char(&a->tools, ']');
    if (!choice || json_is_null(choice) || view_eq(word, V("auto")))
        return true;
    if (view_eq(word, V("none"))) {
        buf_reset(&a->tools, 0);
        return true;
    }
    a->must_call = true;
    if (view_eq(word, V("required"))) {
        if (!a->tools.n)
            return api_fault(a, "tool_choice: \"required\" needs tools.");
        (void)snprintf(a->choice, sizeof(a->choice), "\"required\"");
        return true;
    }
    if (!json_is_object(choice) || !view_eq(json_view(choice, "type"), V("function")))
        return api_fault(a, "tool_choice: only \"auto\", \"none\", \"required\" or a function.");
    if (!name_ok(pinned) || !offered(a, pinned))
        return api_fault(a, "tool_choice: the function is not among tools.");
    (void)snprintf(a->must_name, sizeof(a->must_name), "%.*s", VIEW_FMT(pinned));
    (void)snprintf(a->choice, sizeof(a->choice), "{\"name\":\"%s\"}", a->must_name);
    return keep_only(a, pinned);
}

/* ---- limits ---- */

static bool number(struct api_ask *a, const char *key, const char *as, double min, double max)
{
    const json_t *v = json_object_get(a->body, key);

    if (!v || json_is_null(v))
        return true;
    if (!json_is_number(v) || !(json_number_value(v) >= min && json_number_value(v) <= max))
        return api_fault(a, "%s: a number from %g to %g is needed.", key, min, max);
    buf_printf(&a->limits, "%s\"%s\":%.17g", a->limits.n ? "," : "", as, json_number_value(v));
    return true;
}

static bool count(struct api_ask *a, const char *key, const char *as, int64_t min)
{
    const json_t *v = json_object_get(a->body, key);

    if (!key || !v || json_is_null(v))
        return true;
    if (!json_is_integer(v) || json_integer_value(v) < min ||
        json_integer_value(v) > INT64_C(9007199254740991))
        return api_fault(a, "%s: a%s whole number is needed.", key, min > 0 ? " positive" : "");
    if (as)
        buf_printf(&a->limits, "%s\"%s\":%lld", a->limits.n ? "," : "", as,
                   (long long)json_integer_value(v));
    return true;
}

static bool stops(struct api_ask *a)
{
    const json_t *v = json_object_get(a->body, "stop"), *s;
    struct jw w = JW_INIT(&a->limits);
    size_t i;

    if (!v || json_is_null(v))
        return true;
    if (!json_is_string(v) && !json_is_array(v))
        return api_fault(a, "stop: a text or a list of texts is needed.");
    if (json_array_size(v) > API_STOPS_MAX)
        return api_fault(a, "stop: at most %d texts.", API_STOPS_MAX);
    json_array_foreach(v, i, s)
    {
        if (!json_view_of(s).n)
            return api_fault(a, "stop: an entry is empty or no text.");
    }
    if (json_is_string(v) && !json_view_of(v).n)
        return api_fault(a, "stop: an entry is empty or no text.");
    buf_put_str(&a->limits, a->limits.n ? ",\"stop\":" : "\"stop\":");
    jw_arr(&w);
    if (json_is_string(v))
        jw_str(&w, json_view_of(v));
    json_array_foreach(v, i, s) jw_str(&w, json_view_of(s));
    jw_arr_end(&w);
    return true;
}

bool api_limits(struct api_ask *a, const char *max_key, const char *max_key_2)
{
    const json_t *first = json_object_get(a->body, max_key);
    bool use_first = first && !json_is_null(first);

    return count(a, max_key, "maxTokens", 1) &&
           (!max_key_2 || count(a, max_key_2, use_first ? NULL : "maxTokens", 1)) &&
           number(a, "temperature", "temperature", 0, 2) && number(a, "top_p", "topP", 0, 1) &&
           number(a, "frequency_penalty", "frequencyPenalty", -2, 2) &&
           number(a, "presence_penalty", "presencePenalty", -2, 2) &&
           count(a, "seed", "seed", INT64_MIN) && stops(a) &&
           (!a->limits.failed || api_fault(a, "stop: too long"));
}
