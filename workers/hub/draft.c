#include "draft.h"

#include "blocks.h"
#include "chat.h"
#include "deliver_table.h"
#include "json.h"
#include "log.h"
#include "media_lines.h"
#include "run.h"

#include <stdio.h>

enum {
    TEXT_MS = 400,           /* between two texts: platforms take one a second */
    TEXT_BYTES = 256 * 1024, /* ipc.def: draft.text */
    ID_BYTES = 257,
};

struct draft {
    char channel[CHANNEL_NAME_MAX], account[ACCOUNT_NAME_MAX];
    char target[513], thread[ID_BYTES], reply_to[ID_BYTES], shown[ID_BYTES];
    bool group, mention;
    uint64_t told_ms;
    struct loop_timer again; /* what came too soon after that is told, also when nothing follows */
};

/* The line to its channel, if that shows drafts. */
static struct link *line_of(const struct run *r)
{
    const struct draft *d = r->draft;
    const struct account *a =
        deliver_account(r->hub->deliveries, view_str(d->channel), view_str(d->account), false);

    return a && a->spoke && a->flags & CHANNEL_DRAFTS && a->flags & CHANNEL_CONNECTED ? a->line
                                                                                      : NULL;
}

static void tell(const struct run *r, uint32_t flags, struct view text)
{
    const struct draft *d = r->draft;
    struct link *l = line_of(r);
    struct err e = ERR_INIT;

    if (!l || ipc_over_high(link_ipc(l)))
        return; /* a preview is worth no waiting */
    if (msg_send_draft(l,
                       &(struct ipc_draft){.draft = r->job_id,
                                           .flags = flags | (d->group ? DRAFT_GROUP : 0) |
                                                    (d->mention ? DRAFT_MENTION : 0),
                                           .target = view_str(d->target),
                                           .thread = view_str(d->thread),
                                           .reply_to = view_str(d->reply_to),
                                           .text = text},
                       &e) < 0)
        log_debug("draft.untold", KV("why", e.text));
}

static void copy(char *out, size_t max, struct view v)
{
    (void)snprintf(out, max, "%.*s", (int)(v.n < max ? v.n : 0), v.p);
}

static struct draft *read_origin(const struct run *r)
{
    struct buf b = BUF_INIT(128 * KIB);
    struct err ignored = ERR_INIT;
    struct draft *d = NULL;
    json_t *doc = NULL;
    const json_t *o;
    struct view kind;

    buf_printf(&b, "{%s}", r->options);
    if (buf_check(&b, &ignored) == 0 && json_parse(buf_view(&b), &doc, &ignored) == 0 &&
        (o = json_object_get(doc, "origin")) && (d = mem_alloc(sizeof(*d)))) {
        kind = json_view(o, "kind");
        copy(d->channel, sizeof(d->channel), json_view(o, "channel"));
        copy(d->account, sizeof(d->account), json_view(o, "account"));
        copy(d->target, sizeof(d->target), json_view(o, "to"));
        copy(d->thread, sizeof(d->thread), json_view(o, "thread"));
        copy(d->reply_to, sizeof(d->reply_to), json_view(o, "replyTo"));
        d->mention = json_flag(o, "mentioned", false);
        d->group = kind.n && !view_eq(kind, V("direct"));
    }
    json_decref(doc);
    buf_fini(&b);
    return d;
}

static void on_again(void *ctx)
{
    draft_text(ctx);
}

void draft_begin(struct run *r)
{
    if (!r->draft && strstr(r->options, "\"origin\"") && (r->draft = read_origin(r)))
        loop_timer_init(&r->draft->again, r->hub->w.loop, on_again, r);
    if (r->draft)
        tell(r, 0, VIEW_EMPTY);
}

static void forget(struct run *r)
{
    loop_timer_fini(&r->draft->again);
    mem_free(r->draft);
    r->draft = NULL;
}

/* Nothing that begins later is shown above what was to be said before it. */
static bool may_begin(const struct run *r)
{
    const struct draft *d = r->draft;

    return !d->shown[0] &&
           deliveries_free(r->hub, view_str(d->channel), view_str(d->account), view_str(d->target));
}

void draft_text(struct run *r)
{
    struct view text = view_from(buf_view(&r->said), r->said_seg);
    uint64_t now = loop_now_ms(r->hub->w.loop);
    struct media_filter all = {.fence = 0};
    struct buf shown;

    if (!r->draft || blocks_on(r) || text.n > TEXT_BYTES)
        return;
    if (now < r->draft->told_ms + TEXT_MS) {
        if (!loop_timer_pending(&r->draft->again))
            loop_timer_set(&r->draft->again, r->draft->told_ms + TEXT_MS - now);
        return;
    }
    r->draft->told_ms = now;
    loop_timer_clear(&r->draft->again);
    buf_init(&shown, TEXT_BYTES);
    (void)media_filter(&all, text, false, &shown);
    if (view_trim(buf_view(&shown)).n)
        tell(r, DRAFT_TEXT | (may_begin(r) ? DRAFT_NEW : 0), buf_view(&shown));
    buf_fini(&shown);
}

struct view draft_shown(const struct run *r)
{
    return r->draft ? view_str(r->draft->shown) : VIEW_EMPTY;
}

void draft_said(struct run *r)
{
    if (!r->draft)
        return;
    tell(r, DRAFT_END | DRAFT_SAID, VIEW_EMPTY);
    forget(r);
}

void draft_end(struct run *r, bool delivered)
{
    if (!r->draft)
        return;
    if (!delivered)
        tell(r, DRAFT_END, VIEW_EMPTY);
    forget(r);
}

int draft_on_shown(struct hub *h, struct link *from, struct ipc_draft_shown *m, struct err *e)
{
    struct run *r = run_find_job(h, m->draft);
    struct deliver_account a;

    (void)e;
    if (r && r->draft && deliveries_account_of(h, from, &a) &&
        strcmp(a.channel, r->draft->channel) == 0 && strcmp(a.account, r->draft->account) == 0) {
        if (m->message_id.n && !r->draft->shown[0])
            deliveries_went(h, view_str(a.channel), view_str(a.account),
                            view_str(r->draft->target));
        copy(r->draft->shown, sizeof(r->draft->shown), m->message_id);
    }
    return 0;
}
