/* workers/hub/deliver_answer.c - what a turn said goes back to where its message came from: the
 * member "origin" of the run's options (inbound.c). */
#include "blocks.h"
#include "chat.h"
#include "deliveries.h"
#include "draft.h"
#include "json.h"
#include "log.h"
#include "run_sends.h"
#include "sendpolicy.h"
#include "settings.h"

#include <stdio.h>

static int parse(const struct run *r, json_t **out, struct err *e)
{
    struct buf b = BUF_INIT(strlen(r->options) + 3);
    int rc;

    buf_put_char(&b, '{');
    buf_put_str(&b, r->options);
    buf_put_char(&b, '}');
    if ((rc = buf_check(&b, e)) == 0)
        rc = json_parse(buf_view(&b), out, e);
    buf_fini(&b);
    return rc;
}

/* What broke off is not sent as if it were whole. */
static struct view with_reason(const struct run *r, struct view text, struct buf *b)
{
    struct view why = r->result.error ? view_str(r->result.error) : VIEW_EMPTY;

    if (r->result.end == END_OK || why.n == 0 || view_eq(text, why))
        return text;
    buf_put_view(b, view_trim(text));
    if (b->n)
        buf_put_str(b, "\n\n");
    buf_put_view(b, why);
    return buf_view(b);
}

/* The turn failed, and that is all there is to tell. */
static bool says_only_why(const struct run *r, struct view text)
{
    return r->result.end != END_OK && r->result.error && view_eq(text, view_str(r->result.error));
}

/* Nobody is answered where the session's policy forbids it, or where the agent itself kept silent
 * in a group. */
static bool answered(const struct run *r, const json_t *origin, struct view text)
{
    struct view kind = json_view(origin, "kind");

    if (!sendpolicy_allows(r->hub->w.conf, &r->live->s, json_view(origin, "channel"), kind)) {
        log_info("delivery.policy", KV("session", r->live->s.key), KV("run", r->run_id));
        return false;
    }
    return kind.n == 0 || view_eq(kind, V("direct")) || !view_eq(view_trim(text), V("NO_REPLY"));
}

/* Files that the text names leave it and go along; which ones cannot is said in their place. */
static int with_files(struct view text, struct outfiles *files, struct buf *out, struct err *e)
{
    struct media_lines lines;
    struct err why = ERR_INIT;

    media_lines_read(text, out, &lines);
    for (unsigned i = 0; i < lines.n; i++) {
        why = (struct err)ERR_INIT;
        if (outfiles_ref(files, lines.ref[i], lines.voice ? MEDIA_VOICE : 0, &why) < 0)
            buf_printf(out, "\n\xe2\x9a\xa0\xef\xb8\x8f Not sent: %s", why.text);
    }
    if (lines.beyond)
        buf_printf(out, "\n\xe2\x9a\xa0\xef\xb8\x8f Not sent: %u more files", lines.beyond);
    return outfiles_write(files, e);
}

int deliver_said(struct hub *h, struct deliver_order *o, bool anyway, struct err *e)
{
    struct buf said = BUF_INIT(33 * MIB);
    struct outfiles files;
    uint64_t id;
    int rc;

    outfiles_init(&files, h);
    if ((rc = with_files(o->text, &files, &said, e)) == 0 && (rc = buf_check(&said, e)) == 0) {
        o->text = buf_view(&said);
        o->media = buf_view(&files.json);
        o->files = files.m;
        o->file_n = files.n;
        rc = anyway ? deliveries_add_anyway(h, o, e) : deliveries_add(h, o, &id, e);
    }
    outfiles_fini(&files, rc == 0);
    o->text = o->media = VIEW_EMPTY;
    o->files = NULL;
    o->file_n = 0;
    buf_fini(&said);
    return rc;
}

/* What the turn has got for its answer goes along. */
static int with_sends(struct run *r, struct deliver_order *o, struct err *e)
{
    struct buf said = BUF_INIT(33 * MIB);
    struct view note;
    struct outfiles *files = run_sends_files(r, &note);
    int rc = files->json.n ? 0 : outfiles_write(files, e);

    buf_put_view(&said, run_sends_text(r, o->text));
    if (note.n)
        buf_printf(&said, "%s%.*s", said.n ? "\n\n" : "", VIEW_FMT(note));
    o->text = buf_view(&said);
    o->media = buf_view(&files->json);
    o->files = files->m;
    o->file_n = files->n;
    if (rc == 0 && (rc = buf_check(&said, e)) == 0)
        rc = deliveries_add_anyway(r->hub, o, e);
    o->text = o->media = VIEW_EMPTY;
    buf_fini(&said);
    return rc;
}

/* What stands for the braces of responsePrefix: deliver.extra. */
void deliver_vars(const struct run *r, struct buf *out)
{
    const struct agent_conf *a = settings_agent(r->hub->settings, view_str(r->live->s.agent));
    struct view model = view_str(r->model), name = json_view(a ? a->identity : NULL, "name");
    char think[16], full[400];
    struct jw w = JW_INIT(out);
    size_t slash = model.n, n;

    while (slash > 0 && model.p[slash - 1] != '/')
        slash--;
    (void)snprintf(full, sizeof(full), "%s/%s", r->provider, r->model);
    model = view_from(model, slash);
    for (n = model.n; n > 0 && model.n - n < 8 && model.p[n - 1] >= '0' && model.p[n - 1] <= '9';)
        n--;
    if (n > 1 && model.n - n == 8 && model.p[n - 1] == '-') /* a date */
        model.n = n - 1;
    else if (model.n > 7 && view_eq(view_from(model, model.n - 7), V("-latest")))
        model.n -= 7;
    jw_obj(&w);
    jw_key(&w, "vars");
    jw_obj(&w);
    if (model.n) {
        jw_kstr(&w, "model", model);
        jw_kcstr(&w, "modelFull", full);
        jw_kcstr(&w, "provider", r->provider);
    }
    if (session_rest_str(&r->live->s, "thinkingLevel", think, sizeof(think)))
        jw_kcstr(&w, "thinkingLevel", think);
    if (name.n && name.n <= 128)
        jw_kstr(&w, "identityName", name);
    jw_obj_end(&w);
    jw_obj_end(&w);
}

int deliver_answer(struct run *r, struct view text, struct err *e)
{
    struct buf whole = BUF_INIT(32 * MIB), rest = BUF_INIT(32 * MIB), vars = BUF_INIT(4 * KIB);
    const bool files = r->sends != NULL;
    struct deliver_order o = {.digest = "", .kind = DELIVERY_TEXT};
    const json_t *origin;
    json_t *options = NULL;
    char key[320];
    bool later;
    int rc;

    if (!strstr(r->options, "\"origin\"") || r->result.end == END_ABORTED)
        return 0;
    if ((rc = blocks_rest(r, text, &rest, &later, e)) < 0)
        goto out;
    o.text = with_reason(r, buf_view(&rest), &whole);
    if (view_trim(o.text).n == 0) {
        if (later) /* all of it was said while it was made */
            draft_said(r);
        goto out;
    }
    if ((rc = buf_check(&whole, e)) < 0 || (rc = parse(r, &options, e)) < 0)
        goto out;
    if ((origin = json_object_get(options, "origin")) && answered(r, origin, text)) {
        (void)snprintf(key, sizeof(key), "answer:%s", r->answer_id[0] ? r->answer_id : r->run_id);
        o.key = view_str(key);
        o.channel = json_view(origin, "channel");
        o.account = json_view(origin, "account");
        o.target = json_view(origin, "to");
        o.thread = json_view(origin, "thread");
        o.reply_to = json_view(origin, "replyTo");
        o.session_key = view_str(r->live->s.key);
        o.options = DELIVER_ANSWER | (later ? DELIVER_LATER : 0) |
                    (says_only_why(r, o.text) ? DELIVER_ERROR : 0);
        deliver_vars(r, &vars);
        o.extra = vars.failed ? VIEW_EMPTY : buf_view(&vars);
        o.draft = r->draft ? r->job_id : 0;
        o.shown = draft_shown(r);
        rc = files && !later && view_eq(buf_view(&rest), text)
                 ? with_sends(r, &o, e) /* they are here already */
                 : deliver_said(r->hub, &o, true, e);
        if (rc == 0)
            draft_end(r, true);
        if (rc == ERR_LIMIT)
            log_error("delivery.refused", KV("run", r->run_id), KV("why", e->text));
        if (rc == ERR_CONFLICT || rc == ERR_INVALID || rc == ERR_LIMIT)
            rc = 0; /* it is on its way since an earlier attempt to end this run; or never will be
                     */
    }
out:
    json_decref(options);
    buf_fini(&whole);
    buf_fini(&rest);
    buf_fini(&vars);
    return rc;
}
