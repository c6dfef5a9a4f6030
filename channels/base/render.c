#include "render.h"

#include "mem.h"
#include "render_entity.h"
#include "render_table.h"

#include <md4c.h>
#include <stdio.h>

enum {
    DEPTH_MAX = 64, /* blocks in blocks */
    SPANS_MAX = 64, /* spans in spans */
    LINK_MAX = 2048,
    QUOTE_MAX = 8, /* marks before a line */
};

/* What a dialect writes around things. NULL: the thing has no mark there. */
struct marks {
    const char *strong[2], *em[2], *del[2], *code[2], *pre[2], *quote[2];
    const char *line_quote; /* before each line of a quotation, where it has no marks around it */
    bool html;              /* & < > are written as entities */
    bool pre_lang;          /* <code class="language-x"> inside pre */
    bool table_code;        /* tables as aligned code, else as lists */
    enum { LINK_TEXT, LINK_HTML, LINK_SLACK } link;
};

static const struct marks dialects[DIALECT_COUNT] = {
    [DIALECT_PLAIN] = {.line_quote = "> "},
    [DIALECT_HTML] = {.strong = {"<b>", "</b>"},
                      .em = {"<i>", "</i>"},
                      .del = {"<s>", "</s>"},
                      .code = {"<code>", "</code>"},
                      .pre = {"<pre>", "</pre>"},
                      .quote = {"<blockquote>", "</blockquote>"},
                      .html = true,
                      .pre_lang = true,
                      .table_code = true,
                      .link = LINK_HTML},
    [DIALECT_SLACK] = {.strong = {"*", "*"},
                       .em = {"_", "_"},
                       .del = {"~", "~"},
                       .code = {"`", "`"},
                       .pre = {"```\n", "\n```"},
                       .line_quote = "> ",
                       .html = true,
                       .table_code = true,
                       .link = LINK_SLACK},
    [DIALECT_WHATSAPP] = {.strong = {"*", "*"},
                          .em = {"_", "_"},
                          .del = {"~", "~"},
                          .code = {"`", "`"},
                          .pre = {"```", "```"},
                          .line_quote = "> "},
    [DIALECT_IRC] = {.strong = {"\x02", "\x02"},
                     .em = {"\x1d", "\x1d"},
                     .del = {"\x1e", "\x1e"},
                     .code = {"\x11", "\x11"},
                     .line_quote = "> "},
};

struct level {
    MD_BLOCKTYPE type;
    unsigned next; /* number of an ordered list's next item; 0: bullets */
    bool tight;
};

struct render {
    const struct marks *m;
    struct buf *out;
    unsigned want;     /* line ends due before the next text */
    bool began, fresh; /* fresh: an item or quotation has just begun */
    struct level level[DEPTH_MAX];
    unsigned depth, quotes, pre, image;
    MD_SPANTYPE span[SPANS_MAX]; /* that are open */
    unsigned span_n;
    bool lang_open;
    char link[LINK_MAX];
    size_t link_n, link_at;     /* of the link that is open; where its text began */
    struct render_table *table; /* owned; while in one */
    bool too_deep;
};

/* ---- text ---- */

static struct buf *sink(struct render *r)
{
    return r->table ? &r->table->text : r->out;
}

/* Line ends that are due, each with what stands before a line here. */
static void settle(struct render *r)
{
    if (r->table) {
        r->want = 0;
        return;
    }
    for (; r->want > 0 && r->began; r->want--) {
        buf_put_char(r->out, '\n');
        for (unsigned q = 0; r->m->line_quote && q < r->quotes; q++)
            buf_put_str(r->out, r->m->line_quote);
    }
    if (!r->began)
        for (unsigned q = 0; r->m->line_quote && q < r->quotes; q++)
            buf_put_str(r->out, r->m->line_quote);
    r->want = 0;
    r->began = true;
}

static void put_char(const struct render *r, struct buf *b, char c)
{
    if (!r->m->html || r->table) /* cells are escaped when the table is written */
        buf_put_char(b, c);
    else if (c == '&')
        buf_put_str(b, "&amp;");
    else if (c == '<')
        buf_put_str(b, "&lt;");
    else if (c == '>')
        buf_put_str(b, "&gt;");
    else
        buf_put_char(b, c);
}

static void put_text(struct render *r, struct view v)
{
    for (size_t i = 0; i < v.n; i++) {
        unsigned char c = (unsigned char)v.p[i];

        if (c == '\n') {
            if (r->table)
                buf_put_char(sink(r), ' ');
            else if (r->want < 8)
                r->want++;
            continue;
        }
        if (c < 0x20 && c != '\t') /* ours are the only control codes there */
            continue;
        if (r->want || !r->began)
            settle(r);
        r->fresh = false;
        put_char(r, sink(r), (char)c);
    }
}

static void mark(struct render *r, const char *const pair[2], int which)
{
    if (r->table || r->image || !pair[which])
        return;
    if (which == 0)
        settle(r);
    buf_put_str(r->out, pair[which]);
}

static void line_ends(struct render *r, unsigned n)
{
    if (r->want < n)
        r->want = n;
}

/* Before a block; the first one of an item or quotation stands right behind its mark. */
static void gap(struct render *r)
{
    if (!r->fresh)
        line_ends(r, 2);
    r->fresh = false;
}

static void put_entity(struct render *r, struct view v)
{
    char text[4];
    size_t n = render_entity(v, text);

    put_text(r, n ? view_of(text, n) : v);
}

/* ---- links ---- */

static bool good_link(struct view v)
{
    static const char *const schemes[] = {"http://", "https://", "mailto:", "tel:", "tg://"};

    for (size_t i = 0; i < v.n; i++)
        if ((unsigned char)v.p[i] <= ' ' || v.p[i] == '"' || v.p[i] == '<' || v.p[i] == '>' ||
            v.p[i] == '|')
            return false;
    for (size_t i = 0; i < COUNT_OF(schemes); i++) {
        struct view s = view_str(schemes[i]);

        if (v.n > s.n && view_ieq(view_of(v.p, s.n), s))
            return true;
    }
    return false;
}

static void enter_link(struct render *r, const MD_ATTRIBUTE *href)
{
    struct view v = view_of(href->text, href->size);

    r->link_n = 0;
    if (r->table || r->image || v.n >= LINK_MAX || !good_link(v))
        return;
    settle(r);
    memcpy(r->link, v.p, v.n);
    r->link_n = v.n;
    if (r->m->link == LINK_HTML) {
        buf_put_str(r->out, "<a href=\"");
        for (size_t i = 0; i < v.n; i++)
            put_char(r, r->out, v.p[i]);
        buf_put_str(r->out, "\">");
    } else if (r->m->link == LINK_SLACK) {
        buf_put_char(r->out, '<');
        for (size_t i = 0; i < v.n; i++)
            put_char(r, r->out, v.p[i]);
        buf_put_char(r->out, '|');
    }
    r->link_at = r->out->n;
}

static void leave_link(struct render *r)
{
    struct view url = view_of(r->link, r->link_n), text;

    if (!r->link_n)
        return;
    r->link_n = 0;
    if (r->m->link == LINK_HTML) {
        buf_put_str(r->out, "</a>");
        return;
    }
    if (r->m->link == LINK_SLACK) {
        buf_put_char(r->out, '>');
        return;
    }
    text = view_from(buf_view(r->out), r->link_at);
    if (view_eq(text, url) || (view_starts(url, V("mailto:")) && view_eq(text, view_from(url, 7))))
        return;
    buf_put_str(r->out, " (");
    buf_put_view(r->out, url);
    buf_put_char(r->out, ')');
}

/* ---- blocks ---- */

static struct level *list_of(struct render *r)
{
    for (unsigned i = r->depth; i > 0; i--)
        if (r->level[i - 1].type == MD_BLOCK_UL || r->level[i - 1].type == MD_BLOCK_OL)
            return &r->level[i - 1];
    return NULL;
}

static void enter_item(struct render *r, const MD_BLOCK_LI_DETAIL *d)
{
    struct level *list = list_of(r);
    unsigned deep = 0;
    char text[32];

    for (unsigned i = 0; i < r->depth; i++)
        deep += r->level[i].type == MD_BLOCK_UL || r->level[i].type == MD_BLOCK_OL;
    line_ends(r, list && !list->tight ? 2 : 1);
    settle(r);
    for (unsigned i = 1; i < deep && i < QUOTE_MAX; i++)
        buf_put_str(r->out, "  ");
    if (d->is_task)
        buf_put_str(r->out, d->task_mark == ' ' ? "\xe2\x98\x90 " : "\xe2\x98\x91 ");
    else if (list && list->type == MD_BLOCK_OL) {
        (void)snprintf(text, sizeof(text), "%u. ", list->next++);
        buf_put_str(r->out, text);
    } else {
        buf_put_str(r->out, "\xe2\x80\xa2 ");
    }
    r->fresh = true;
}

static void enter_code(struct render *r, const MD_BLOCK_CODE_DETAIL *d)
{
    gap(r);
    mark(r, r->m->pre, 0);
    r->pre++;
    if (!r->m->pre_lang || !d->lang.size || d->lang.size > 40)
        return;
    for (MD_SIZE i = 0; i < d->lang.size; i++) {
        char c = d->lang.text[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
            c != '+' && c != '-' && c != '#' && c != '_')
            return;
    }
    buf_put_str(r->out, "<code class=\"language-");
    buf_put(r->out, d->lang.text, d->lang.size);
    buf_put_str(r->out, "\">");
    r->lang_open = true;
}

static void leave_code(struct render *r)
{
    r->want = 0; /* the line end before the fence is the fence's */
    if (r->lang_open)
        buf_put_str(r->out, "</code>");
    r->lang_open = false;
    r->pre--;
    if (!r->began)
        settle(r);
    mark(r, r->m->pre, 1);
    line_ends(r, 2);
}

static int enter_table(struct render *r)
{
    gap(r);
    settle(r);
    if (!(r->table = mem_alloc(sizeof(*r->table))))
        return -1;
    render_table_init(r->table, CHANNEL_TEXT_BYTES);
    return 0;
}

static void leave_table(struct render *r)
{
    struct render_table *t = TAKE(r->table);
    struct buf text = BUF_INIT(4 * CHANNEL_TEXT_BYTES);

    if (r->m->table_code)
        render_table_aligned(t, &text);
    else
        render_table_bullets(t, &text);
    if (r->m->table_code)
        mark(r, r->m->pre, 0);
    put_text(r, buf_view(&text));
    if (r->m->table_code)
        mark(r, r->m->pre, 1);
    line_ends(r, 2);
    if (text.failed || t->text.failed)
        r->out->failed = true;
    buf_fini(&text);
    render_table_fini(t);
    mem_free(t);
}

static int enter_block(MD_BLOCKTYPE type, void *detail, struct render *r)
{
    struct level *l = &r->level[r->depth];

    if (r->depth == DEPTH_MAX) {
        r->too_deep = true;
        return -1; /* md4c goes on after a positive one */
    }
    *l = (struct level){.type = type};
    r->depth++;
    switch (type) {
    case MD_BLOCK_QUOTE:
        gap(r);
        if (r->quotes == 0) /* one in another is not taken */
            mark(r, r->m->quote, 0);
        r->quotes++;
        r->fresh = true;
        break;
    case MD_BLOCK_UL:
        l->tight = ((MD_BLOCK_UL_DETAIL *)detail)->is_tight;
        line_ends(r, r->depth > 3 ? 1 : 2);
        break;
    case MD_BLOCK_OL:
        l->tight = ((MD_BLOCK_OL_DETAIL *)detail)->is_tight;
        l->next = ((MD_BLOCK_OL_DETAIL *)detail)->start;
        line_ends(r, r->depth > 3 ? 1 : 2);
        break;
    case MD_BLOCK_LI:
        enter_item(r, detail);
        break;
    case MD_BLOCK_HR:
        gap(r);
        put_text(r, V("\xe2\x80\x94\xe2\x80\x94\xe2\x80\x94"));
        line_ends(r, 2);
        break;
    case MD_BLOCK_H:
        gap(r);
        mark(r, r->m->strong, 0);
        break;
    case MD_BLOCK_CODE:
        enter_code(r, detail);
        break;
    case MD_BLOCK_TABLE:
        return enter_table(r);
    case MD_BLOCK_TR:
        render_table_row(r->table);
        break;
    case MD_BLOCK_TH:
    case MD_BLOCK_TD:
        render_table_cell(r->table);
        break;
    case MD_BLOCK_P:
        gap(r);
        break;
    case MD_BLOCK_DOC:
    case MD_BLOCK_HTML:
    case MD_BLOCK_THEAD:
    case MD_BLOCK_TBODY:
        break;
    }
    return 0;
}

static int leave_block(MD_BLOCKTYPE type, struct render *r)
{
    r->depth--;
    switch (type) {
    case MD_BLOCK_QUOTE:
        r->quotes--;
        if (r->m->quote[1] && r->quotes == 0) {
            r->want = 0;
            settle(r);
            mark(r, r->m->quote, 1);
        }
        line_ends(r, 2);
        break;
    case MD_BLOCK_H:
        mark(r, r->m->strong, 1);
        line_ends(r, 2);
        break;
    case MD_BLOCK_CODE:
        leave_code(r);
        break;
    case MD_BLOCK_TABLE:
        leave_table(r);
        break;
    case MD_BLOCK_TH:
    case MD_BLOCK_TD:
        render_table_cell_end(r->table);
        break;
    case MD_BLOCK_P:
    case MD_BLOCK_UL:
    case MD_BLOCK_OL:
        line_ends(r, list_of(r) ? 1 : 2);
        break;
    case MD_BLOCK_LI:
    case MD_BLOCK_HR:
    case MD_BLOCK_DOC:
    case MD_BLOCK_HTML:
    case MD_BLOCK_THEAD:
    case MD_BLOCK_TBODY:
    case MD_BLOCK_TR:
        break;
    }
    return 0;
}

static int on_span(struct render *r, MD_SPANTYPE type, const void *detail, int which)
{
    switch (type) {
    case MD_SPAN_STRONG:
        mark(r, r->m->strong, which);
        break;
    case MD_SPAN_EM:
        mark(r, r->m->em, which);
        break;
    case MD_SPAN_DEL:
        mark(r, r->m->del, which);
        break;
    case MD_SPAN_CODE:
        mark(r, r->m->code, which);
        break;
    case MD_SPAN_A:
        if (which == 0)
            enter_link(r, &((const MD_SPAN_A_DETAIL *)detail)->href);
        else
            leave_link(r);
        break;
    case MD_SPAN_IMG: /* its words; a picture is sent as media */
        r->image += which == 0 ? 1u : -1u;
        break;
    case MD_SPAN_LATEXMATH:
    case MD_SPAN_LATEXMATH_DISPLAY:
    case MD_SPAN_WIKILINK:
    case MD_SPAN_U:
        break;
    }
    return 0;
}

static int enter_span(MD_SPANTYPE type, void *detail, void *ctx)
{
    struct render *r = ctx;

    if (r->span_n == SPANS_MAX) {
        r->too_deep = true;
        return -1;
    }
    r->span[r->span_n++] = type;
    return on_span(r, type, detail, 0);
}

/* md4c does not always leave what it entered: a mark that it finds to be a part of a link's address
 * closes nothing any more. So we close ourselves what stands open. */
static void close_spans(struct render *r, unsigned down_to)
{
    while (r->span_n > down_to)
        (void)on_span(r, r->span[--r->span_n], NULL, 1);
}

static int leave_span(MD_SPANTYPE type, void *detail, void *ctx)
{
    struct render *r = ctx;
    unsigned i = r->span_n;

    (void)detail;
    while (i > 0 && r->span[i - 1] != type)
        i--;
    if (i > 0)
        close_spans(r, i - 1);
    return 0;
}

static int on_enter_block(MD_BLOCKTYPE type, void *detail, void *ctx)
{
    close_spans(ctx, 0);
    return enter_block(type, detail, ctx);
}

static int on_leave_block(MD_BLOCKTYPE type, void *detail, void *ctx)
{
    close_spans(ctx, 0);
    (void)detail;
    return leave_block(type, ctx);
}

static int on_text(MD_TEXTTYPE type, const MD_CHAR *text, MD_SIZE size, void *ctx)
{
    struct render *r = ctx;

    switch (type) {
    case MD_TEXT_NULLCHAR:
        put_text(r, V("\xef\xbf\xbd"));
        break;
    case MD_TEXT_BR:
    case MD_TEXT_SOFTBR:
        put_text(r, V("\n"));
        break;
    case MD_TEXT_ENTITY:
        put_entity(r, view_of(text, size));
        break;
    case MD_TEXT_NORMAL:
    case MD_TEXT_CODE:
    case MD_TEXT_HTML:
    case MD_TEXT_LATEXMATH:
        put_text(r, view_of(text, size));
        break;
    }
    return 0;
}

int render(enum channel_dialect d, struct view markdown, struct buf *out, struct err *e)
{
    static const MD_PARSER parser = {.flags = MD_FLAG_TABLES | MD_FLAG_STRIKETHROUGH |
                                              MD_FLAG_TASKLISTS | MD_FLAG_NOHTML |
                                              MD_FLAG_NOINDENTEDCODEBLOCKS,
                                     .enter_block = on_enter_block,
                                     .leave_block = on_leave_block,
                                     .enter_span = enter_span,
                                     .leave_span = leave_span,
                                     .text = on_text};
    struct render *r = NULL;
    int rc;

    if (d == DIALECT_MARKDOWN || d == DIALECT_DISCORD) {
        buf_put_view(out, view_trim(markdown));
        return buf_check(out, e);
    }
    if ((rc = mem_new(&r, sizeof(*r), e)) < 0)
        return rc;
    r->m = &dialects[d];
    r->out = out;
    if (md_parse(markdown.p, (MD_SIZE)markdown.n, &parser, r) != 0 || r->too_deep)
        rc = err_set(e, r->too_deep ? ERR_INVALID : ERR_NOMEM, "the text nests too deeply");
    if (r->table) {
        render_table_fini(r->table);
        mem_free(r->table);
    }
    mem_free(r);
    return rc < 0 ? rc : buf_check(out, e);
}

void render_verbatim(enum channel_dialect d, struct view text, struct buf *out)
{
    struct render r = {.m = &dialects[d], .out = out};

    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.p[i] >= 0x20 || text.p[i] == '\n' || text.p[i] == '\t')
            put_char(&r, out, text.p[i]);
}
