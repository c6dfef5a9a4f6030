#include "config_report.h"

#include "mem.h"

#include <stdarg.h>
#include <stdio.h>

enum { TEXT_MAX = 1024 };

void config_report_init(struct config_report *r)
{
    *r = (struct config_report){.count = 0};
}

static void issue_fini(struct config_issue *i)
{
    mem_free(i->path);
    mem_free(i->origin);
    mem_free(i->text);
    *i = (struct config_issue){.error = false};
}

void config_report_fini(struct config_report *r)
{
    for (unsigned i = 0; i < r->count; i++)
        issue_fini(&r->issue[i]);
    mem_free(r->file);
    config_report_init(r);
}

/* A free slot, NULL when there is none for this kind. */
static struct config_issue *room(struct config_report *r, bool error)
{
    unsigned i = r->count;

    if (i < CONFIG_ISSUES_MAX)
        return &r->issue[r->count++];
    while (error && i--)
        if (!r->issue[i].error) {
            issue_fini(&r->issue[i]);
            return &r->issue[i];
        }
    return NULL;
}

static char *copy(struct config_report *r, const char *s)
{
    char *c = s ? mem_dup(s, strlen(s)) : NULL;

    if (s && !c)
        r->failed = true;
    return c;
}

void config_report_add(struct config_report *r, const struct config_issue *where, const char *fmt,
                       ...)
{
    struct config_issue *i = room(r, where->error);
    char text[TEXT_MAX];
    va_list ap;

    if (where->error)
        r->errors++;
    else
        r->warnings++;
    if (!i)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    for (char *c = text; *c; c++) /* keys and values come from the file: no terminal tricks */
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    i->error = where->error;
    i->line = where->line;
    i->column = where->column;
    i->path = copy(r, where->path ? where->path : "");
    i->origin = copy(r, where->origin);
    i->text = copy(r, text);
}

static void print_issue(const struct config_report *r, const struct config_issue *i,
                        struct buf *out)
{
    if (i->origin)
        buf_put_str(out, i->origin);
    else
        buf_put_str(out, r->file ? r->file : "configuration");
    if (i->line && !i->origin)
        buf_printf(out, ":%u:%u", i->line, i->column);
    buf_put_str(out, i->error ? ": " : ": warning: ");
    if (i->path && i->path[0])
        buf_printf(out, "%s: ", i->path);
    buf_put_str(out, i->text ? i->text : "out of memory");
    buf_put_char(out, '\n');
}

void config_report_print(const struct config_report *r, struct buf *out)
{
    for (unsigned i = 0; i < r->count; i++)
        print_issue(r, &r->issue[i], out);
    if (r->errors + r->warnings > r->count)
        buf_printf(out, "%u more\n", r->errors + r->warnings - r->count);
}
