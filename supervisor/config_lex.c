#include "config_lex.h"

#include "json.h"
#include "json5.h"

size_t config_lex_blank(const char *p, const char *end)
{
    static const struct view wide[] = {
        {"\xc2\xa0", 2},     {"\xe2\x80\xa8", 3}, {"\xe2\x80\xa9", 3}, {"\xe2\x80\xaf", 3},
        {"\xe2\x81\x9f", 3}, {"\xe1\x9a\x80", 3}, {"\xe3\x80\x80", 3}, {"\xef\xbb\xbf", 3}};
    struct view rest = view_of(p, (size_t)(end - p));

    if (p == end)
        return 0;
    if (*p == ' ' || (*p >= '\t' && *p <= '\r'))
        return 1;
    for (size_t i = 0; (unsigned char)*p >= 0x80 && i < sizeof(wide) / sizeof(wide[0]); i++)
        if (view_starts(rest, wide[i]))
            return wide[i].n;
    /* U+2000 to U+200A */
    return rest.n > 2 && view_starts(rest, V("\xe2\x80")) && (unsigned char)p[2] <= 0x8a ? 3 : 0;
}

static bool line_end(struct view rest)
{
    return rest.p[0] == '\n' || rest.p[0] == '\r' || view_starts(rest, V("\xe2\x80\xa8")) ||
           view_starts(rest, V("\xe2\x80\xa9"));
}

static struct view rest_of(const struct config_lex *l)
{
    return view_of(l->p, (size_t)(l->end - l->p));
}

void config_lex_space(struct config_lex *l)
{
    while (l->p < l->end) {
        size_t n = config_lex_blank(l->p, l->end);
        const char *from = l->p;

        if (n) {
            l->p += n;
            continue;
        }
        if (view_starts(rest_of(l), V("//"))) {
            while (l->p < l->end && !line_end(rest_of(l)))
                l->p++;
        } else if (view_starts(rest_of(l), V("/*"))) {
            for (l->p += 2; l->p < l->end && !view_starts(rest_of(l), V("*/")); l->p++)
                continue;
            l->p += l->end - l->p >= 2 ? 2 : l->end - l->p;
        } else {
            return;
        }
        if (l->on_comment)
            l->on_comment(l->ctx, view_of(from, (size_t)(l->p - from)));
    }
}

struct view config_lex_token(struct config_lex *l)
{
    const char *from = l->p;

    if (l->p < l->end && (*l->p == '"' || *l->p == '\'')) {
        char quote = *l->p++;

        while (l->p < l->end && *l->p != quote)
            l->p += *l->p == '\\' && l->end - l->p > 1 ? 2 : 1;
        l->p += l->p < l->end;
    } else {
        while (l->p < l->end && !strchr(",:[]{}/\"'", *l->p) && !config_lex_blank(l->p, l->end))
            l->p++;
        l->p += l->p == from && l->p < l->end; /* never stand still */
    }
    return view_of(from, (size_t)(l->p - from));
}

/* Brackets are counted, not matched: what was parsed has them right. */
struct view config_lex_value(struct config_lex *l)
{
    const char *from = l->p;
    size_t depth = 0;

    do {
        char c = l->p < l->end ? *l->p : 0;

        if (c == '{' || c == '[' || c == '}' || c == ']') {
            depth = c == '{' || c == '[' ? depth + 1 : depth - 1;
            l->p++;
        } else if (c == ',' || c == ':') {
            l->p++;
        } else {
            (void)config_lex_token(l);
        }
        if (depth)
            config_lex_space(l);
    } while (depth && l->p < l->end);
    return view_of(from, (size_t)(l->p - from));
}

struct view config_lex_name(struct view raw, json_t **own)
{
    struct err e = ERR_INIT;

    if (raw.n < 2 || (raw.p[0] != '"' && raw.p[0] != '\''))
        return raw;
    if (view_find(raw, '\\') < raw.n && json5_parse(raw, own, &e) == 0 && json_is_string(*own))
        return json_view_of(*own);
    return view_of(raw.p + 1, raw.n - 2);
}
