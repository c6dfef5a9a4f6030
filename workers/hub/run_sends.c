#include "run_sends.h"

#include "chat.h"
#include "fetch.h"
#include "log.h"
#include "media_lines.h"
#include "run.h"

#include <stdio.h>
#include <string.h>

enum { NOTE_BYTES = 16 * 1024, BLOCKS_BYTES = 64 * 1024, LABEL_MAX = 80 };

struct run_sends {
    struct run *run;
    struct buf raw, text, note, blocks; /* raw: the answer, what the addresses point into */
    struct outfiles files;
    struct waiting {
        struct run_sends *owner;
        struct fetch *fetch; /* NULL: not under way */
        bool gone;           /* cannot be had */
    } waits[DELIVER_FILES_MAX];
    unsigned left;
    struct loop_timer limit;
    bool kept;
};

void run_sends_free(struct run *r)
{
    struct run_sends *s = TAKE(r->sends);

    if (!s)
        return;
    for (unsigned i = 0; i < DELIVER_FILES_MAX; i++)
        fetch_cancel(&s->waits[i].fetch);
    loop_timer_fini(&s->limit);
    outfiles_fini(&s->files, s->kept);
    buf_fini(&s->raw);
    buf_fini(&s->text);
    buf_fini(&s->note);
    buf_fini(&s->blocks);
    mem_free(s);
}

/* ---- what cannot be had ---- */

static struct view label_of(struct view ref)
{
    size_t from;

    ref = view_of(ref.p, view_find(ref, '?'));
    for (from = ref.n; from && ref.p[from - 1] != '/'; from--)
        ;
    ref = view_from(ref, from);
    return ref.n && ref.n <= LABEL_MAX && !view_starts(ref, V("data:")) ? ref : V("a file");
}

/* For platforms a line of text, for pages a block. */
static void missing(struct run_sends *s, struct view ref, struct view why)
{
    struct jw w = JW_INIT(&s->blocks);
    struct view label = label_of(ref);

    log_info("run.file_failed", KV("run", s->run->run_id), KV("why", why));
    buf_printf(&s->note, "%s\xe2\x9a\xa0\xef\xb8\x8f Not sent: %.*s: %.*s", s->note.n ? "\n" : "",
               VIEW_FMT(label), VIEW_FMT(why));
    buf_put_char(&s->blocks, ',');
    jw_obj(&w);
    jw_kcstr(&w, "type", "attachment_error");
    jw_key(&w, "attachment");
    jw_obj(&w);
    jw_kcstr(&w, "code", "delivery-failed");
    jw_kcstr(&w, "kind", "document");
    jw_kstr(&w, "label", label);
    jw_obj_end(&w);
    jw_obj_end(&w);
}

/* ---- they come ---- */

static void over(struct run_sends *s)
{
    unsigned n = 0;

    for (unsigned i = 0; i < s->files.n; i++) { /* what is not there leaves the list */
        if (s->waits[i].gone)
            continue;
        s->files.file[n] = s->files.file[i];
        s->files.m[n] = s->files.m[i];
        s->files.file[n].id = view_str(s->files.m[n].id);
        s->files.put[n++] = s->files.put[i];
    }
    s->files.n = n;
}

static int put(struct run_sends *s, unsigned i, struct fetch_file *file, struct err *e)
{
    struct view bytes;
    int r = media_map_fd(file->fd, MEDIA_FILE_MAX, &bytes, e);

    if (r == 0)
        r = media_put(s->run->hub, bytes, file->type, file->name, &s->files.m[i], e);
    media_unmap(&bytes);
    if (r == 0)
        s->files.put[i] = true;
    return r;
}

static void on_file(void *ctx, struct fetch_file *file)
{
    struct waiting *w = ctx;
    struct run_sends *s = w->owner;
    unsigned i = (unsigned)(w - s->waits);
    struct err e = ERR_INIT;

    w->fetch = NULL;
    if (!file->failed && put(s, i, file, &e) < 0)
        *file =
            (struct fetch_file){.failed = FETCH_LATER, .fd = file->fd, .error = view_str(e.text)};
    if (file->failed) {
        w->gone = true;
        missing(s, s->files.file[i].url, file->error);
    }
    if (--s->left)
        return;
    loop_timer_clear(&s->limit);
    over(s);
    run_finish(s->run);
}

static void on_limit(void *ctx)
{
    struct run_sends *s = ctx;

    for (unsigned i = 0; i < s->files.n; i++)
        if (s->waits[i].fetch) {
            fetch_cancel(&s->waits[i].fetch);
            s->waits[i].gone = true;
            missing(s, s->files.file[i].url, V("it is too slow"));
        }
    s->left = 0;
    over(s);
    run_finish(s->run);
}

static void ask_for_all(struct run_sends *s)
{
    struct err e = ERR_INIT;

    for (unsigned i = 0; i < s->files.n; i++) {
        struct waiting *w = &s->waits[i];

        w->owner = s;
        if (s->files.file[i].id.n)
            continue;
        if (fetch_start(s->run->hub, s->files.file[i].url, on_file, w, &w->fetch, &e) == 0) {
            s->left++;
            continue;
        }
        w->gone = true;
        missing(s, s->files.file[i].url, view_str(e.text));
    }
    if (s->left)
        loop_timer_set(&s->limit, RUN_SENDS_MS);
    else
        over(s);
}

static bool may_name_files(struct view text)
{
    for (; text.n >= 6; text = view_from(text, view_find(text, ':') + 1)) {
        size_t colon = view_find(text, ':');

        if (colon >= 5 && colon < text.n && view_ieq(view_of(text.p + colon - 5, 5), V("media")))
            return true;
    }
    return false;
}

bool run_sends_wait(struct run *r)
{
    struct view text = view_from(buf_view(&r->said), r->said_seg);
    struct run_sends *s = r->sends;
    struct media_lines lines;
    struct err e = ERR_INIT;

    if (s)
        return s->left > 0;
    text.n = chat_whole(text);
    if (!may_name_files(text) || mem_new(&s, sizeof(*s), &e) < 0)
        return false;
    r->sends = s;
    s->run = r;
    buf_init(&s->raw, RUN_TEXT_MAX);
    buf_init(&s->text, RUN_TEXT_MAX);
    buf_init(&s->note, NOTE_BYTES);
    buf_init(&s->blocks, BLOCKS_BYTES);
    outfiles_init(&s->files, r->hub);
    loop_timer_init(&s->limit, r->hub->w.loop, on_limit, s);
    buf_put_view(&s->raw, text);
    media_lines_read(buf_view(&s->raw), &s->text, &lines);
    if (!lines.n || s->raw.failed || s->text.failed) {
        run_sends_free(r);
        return false;
    }
    for (unsigned i = 0; i < lines.n; i++) {
        e = (struct err)ERR_INIT;
        if (outfiles_ref(&s->files, lines.ref[i], lines.voice ? MEDIA_VOICE : 0, &e) < 0)
            missing(s, lines.ref[i], view_str(e.text));
    }
    if (lines.beyond)
        missing(s, VIEW_EMPTY, V("one message sends 16 files at most"));
    ask_for_all(s);
    return s->left > 0;
}

/* ---- what comes of them ---- */

static void put_url(struct jw *w, const struct run *r, const struct media *m, const char *key)
{
    static const char hex[] = "0123456789ABCDEF";
    struct view session = view_str(r->live->s.key);

    jw_key(w, key);
    w->after_key = false;
    buf_put_str(w->b, "\"/api/chat/media/outgoing/");
    for (size_t i = 0; i < session.n; i++) {
        unsigned char c = (unsigned char)session.p[i];

        if ((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
            strchr("-_.~", c)) {
            buf_put_char(w->b, (char)c);
        } else {
            buf_put_char(w->b, '%');
            buf_put_char(w->b, hex[c >> 4]);
            buf_put_char(w->b, hex[c & 15]);
        }
    }
    buf_printf(w->b, "/%s/full\"", m->id);
    w->has_item |= 1u << w->depth;
}

static void put_block(struct run_sends *s, const struct media *m)
{
    bool plain = m->kind == KIND_IMAGE || m->kind == KIND_AUDIO || m->kind == KIND_VIDEO;
    const char *label = m->name[0] ? m->name : "file";
    struct jw w = JW_INIT(&s->blocks);

    buf_put_char(&s->blocks, ',');
    jw_obj(&w);
    jw_kcstr(&w, "type", plain ? kind_name(m->kind) : "attachment");
    if (!plain) {
        jw_key(&w, "attachment");
        jw_obj(&w);
        jw_kcstr(&w, "kind", "document");
        jw_kcstr(&w, "label", label);
    }
    put_url(&w, s->run, m, "url");
    if (plain) {
        put_url(&w, s->run, m, "openUrl");
        jw_kcstr(&w, m->kind == KIND_IMAGE ? "alt" : "fileName", label);
    }
    jw_kcstr(&w, "mimeType", m->type);
    if (m->width && m->height) {
        jw_ku64(&w, "width", m->width);
        jw_ku64(&w, "height", m->height);
    }
    jw_ku64(&w, "sizeBytes", m->bytes);
    if (!plain)
        jw_obj_end(&w);
    jw_obj_end(&w);
}

int run_sends_keep(struct run *r, struct err *e)
{
    struct run_sends *s = r->sends;
    int rc = 0;

    for (unsigned i = 0; s && i < s->files.n && rc == 0; i++)
        rc = media_keep(r->hub, &s->files.m[i], MEDIA_OF_SESSION, r->live->s.sid, e);
    if (!s || rc < 0 || s->kept)
        return rc;
    s->kept = true;
    for (unsigned i = 0; i < s->files.n; i++)
        put_block(s, &s->files.m[i]);
    buf_put_char(&s->blocks, '\0');
    return buf_check(&s->blocks, e);
}

const char *run_sends_blocks(const struct run *r)
{
    return r->sends && r->sends->kept && !r->sends->blocks.failed ? buf_view(&r->sends->blocks).p
                                                                  : "";
}

struct view run_sends_text(const struct run *r, struct view text)
{
    return r->sends ? view_trim(buf_view(&r->sends->text)) : text;
}

struct outfiles *run_sends_files(const struct run *r, struct view *ret_note)
{
    *ret_note = r->sends ? buf_view(&r->sends->note) : VIEW_EMPTY;
    return r->sends ? &r->sends->files : NULL;
}
