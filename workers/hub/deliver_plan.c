#include "deliver_plan.h"

#include "deliver_split.h"
#include "json.h"
#include "jw.h"
#include "msg.h"

static void write_file(struct jw *w, const struct deliver_file *f)
{
    if (f->id.n)
        jw_kstr(w, "id", f->id);
    if (f->url.n)
        jw_kstr(w, "url", f->url);
    if (f->flags)
        jw_ku64(w, "flags", f->flags);
}

int deliver_files_write(const struct deliver_file *f, unsigned n, struct buf *out, struct err *e)
{
    struct jw w = JW_INIT(out);

    jw_arr(&w);
    for (unsigned i = 0; i < n; i++) {
        jw_obj(&w);
        write_file(&w, &f[i]);
        jw_obj_end(&w);
    }
    jw_arr_end(&w);
    return buf_check(out, e);
}

static void read_file(const json_t *o, struct deliver_file *f)
{
    *f = (struct deliver_file){.id = json_view(o, "id"),
                               .url = json_view(o, "url"),
                               .flags = (uint32_t)json_i64(o, "flags", 0),
                               .part = (uint32_t)json_i64(o, "part", 0)};
}

int deliver_files_read(struct view media, json_t **doc, struct deliver_file f[DELIVER_FILES_MAX],
                       unsigned *ret_n, struct err *e)
{
    json_t *o;
    size_t i;
    int r;

    *ret_n = 0;
    if ((r = json_parse(media, doc, e)) < 0)
        return r;
    json_array_foreach(*doc, i, o) if (i < DELIVER_FILES_MAX) read_file(o, &f[(*ret_n)++]);
    return 0;
}

/* Pictures and films that follow each other share a message, as far as it goes; what people hear,
 * what plays by itself and what is sent as a file stands alone. */
static bool together(const struct deliver_file *f)
{
    return f->visual && !f->flags;
}

int deliver_plan_write(struct deliver_file *f, unsigned n, uint32_t texts, unsigned album,
                       struct view note, struct buf *out, uint32_t *ret_parts, struct err *e)
{
    struct jw w = JW_INIT(out);
    uint32_t next = 0, parts = texts;
    unsigned in = 0;

    for (unsigned i = 0; i < n; i++) {
        bool joins = i && in < album && together(&f[i]) && together(&f[i - 1]);

        f[i].part = joins ? f[i - 1].part : next;
        in = joins ? in + 1 : 1;
        if (joins)
            continue;
        /* the first goes with the first text, the others behind all of it */
        next = next || texts <= 1 ? next + 1 : texts;
        if (f[i].part >= parts)
            parts = f[i].part + 1;
    }
    jw_obj(&w);
    jw_key(&w, "files");
    jw_arr(&w);
    for (unsigned i = 0; i < n; i++) {
        jw_obj(&w);
        jw_ku64(&w, "part", f[i].part);
        write_file(&w, &f[i]);
        jw_obj_end(&w);
    }
    jw_arr_end(&w);
    if (note.n) {
        jw_ku64(&w, "notePart", parts++);
        jw_kstr(&w, "note", note);
    }
    jw_obj_end(&w);
    *ret_parts = parts;
    return buf_check(out, e);
}

int deliver_plan_read(struct view plan, json_t **doc, struct deliver_file f[DELIVER_FILES_MAX],
                      unsigned *ret_n, struct view *ret_note, struct err *e)
{
    json_t *o;
    size_t i;
    int r;

    *ret_n = 0;
    *ret_note = VIEW_EMPTY;
    if ((r = json_parse(plan, doc, e)) < 0)
        return r;
    *ret_note = json_view(*doc, "note");
    json_array_foreach(json_object_get(*doc, "files"), i, o)
    {
        if (i < DELIVER_FILES_MAX)
            read_file(o, &f[(*ret_n)++]);
    }
    return 0;
}

int deliver_piece_read(const struct store_delivery *row, uint32_t i, struct deliver_piece *out,
                       struct err *e)
{
    struct deliver_piece p = {.text = VIEW_EMPTY};
    json_t *o;
    size_t k;
    int r;

    if (row->state.plan.n && (r = json_parse(row->state.plan, &p.doc, e)) < 0)
        return err_set(e, ERR_CORRUPT, "delivery %llu: plan", (unsigned long long)row->add.id);
    json_array_foreach(json_object_get(p.doc, "files"), k, o)
    {
        if (json_i64(o, "part", -1) == (int64_t)i && p.files < DELIVER_FILES_MAX)
            read_file(o, &p.file[p.files++]);
    }
    if (p.doc && json_i64(p.doc, "notePart", -1) == (int64_t)i)
        p.text = json_view(p.doc, "note");
    else if (i < row->add.parts && !deliver_part(row->add.body, i, &p.text))
        p.text = VIEW_EMPTY;
    if (i >= deliver_parts(row) || (!p.files && !p.text.n)) {
        deliver_piece_fini(&p);
        return err_set(e, ERR_CORRUPT, "it has no part %u", i);
    }
    *out = p;
    return 0;
}

void deliver_piece_fini(struct deliver_piece *p)
{
    json_decref(p->doc);
    *p = (struct deliver_piece){.text = VIEW_EMPTY};
}
