#include "config_write.h"

#include "config_edit.h"
#include "config_int.h"
#include "config_merge.h"
#include "config_text.h"
#include "fd.h"
#include "json.h"
#include "json5.h"
#include "jw.h"
#include "mem.h"

#include <stdio.h>

#define STALE "config changed since last load; re-run config.get and retry"

/* -------------------------------------------------------------- secrets come back */
struct keep {
    struct config_path path;
    json_t *found; /* in the order of the document; borrowed values of the old one */
    struct err *e;
};

static int keep(struct keep *k, const json_t *old, json_t *v, json_t **out);

static int keep_parts(struct keep *k, const json_t *old, json_t *v)
{
    bool same = json_is_array(old) && json_array_size(old) == json_array_size(v);
    int r = 0;

    for (void *it = json_object_iter(v); it && r == 0; it = json_object_iter_next(v, it)) {
        json_t *new = NULL;

        config_path_key(&k->path, view_of(json_object_iter_key(it), json_object_iter_key_len(it)));
        r = keep(k, json_object_get(old, json_object_iter_key(it)), json_object_iter_value(it),
                 &new);
        config_path_pop(&k->path);
        if (r == 0 && new &&json_object_iter_set_new(v, it, new) < 0)
            r = err_set(k->e, ERR_NOMEM, "out of memory for the configuration");
    }
    for (size_t i = 0; i < json_array_size(v) && r == 0; i++) {
        json_t *new = NULL, *item = json_array_get(v, i);
        struct view id = config_item_id(item);

        config_path_index(&k->path, i);
        r = keep(k,
                 id.n   ? config_item_by_id(old, id)
                 : same ? json_array_get(old, i)
                        : NULL,
                 item, &new);
        config_path_pop(&k->path);
        if (r == 0 && new &&json_array_set_new(v, i, new) < 0)
            r = err_set(k->e, ERR_NOMEM, "out of memory for the configuration");
    }
    return r;
}

static int keep(struct keep *k, const json_t *old, json_t *v, json_t **out)
{
    char path[CONFIG_PATH_TEXT_MAX];

    if (json_is_object(v) || json_is_array(v))
        return keep_parts(k, old, v);
    if (!view_eq(json_view_of(v), V(CONFIG_SENTINEL)))
        return 0;
    if (!json_is_string(old) && !json_is_number(old)) {
        config_path_text(&k->path, path);
        return err_set(k->e, ERR_INVALID,
                       "%s: there is no value here that could be kept; give it again", path);
    }
    *out = json_incref((json_t *)(uintptr_t)old);
    return json_array_append(k->found, *out) < 0
               ? err_set(k->e, ERR_NOMEM, "out of memory for the configuration")
               : 0;
}

/* The same in the text: its sentinels come in the order in which they were found. */
struct ink {
    const char *at;
    struct buf *out;
    const json_t *found;
    size_t used;
    bool failed;
};

static bool on_spot(void *ctx, const struct config_spot *spot)
{
    struct ink *k = ctx;
    struct view v = spot->value;
    struct err e = ERR_INIT;

    if (spot->open ||
        (!view_eq(v, V("\"" CONFIG_SENTINEL "\"")) && !view_eq(v, V("'" CONFIG_SENTINEL "'"))))
        return true;
    buf_put(k->out, k->at, (size_t)(v.p - k->at));
    k->at = v.p + v.n;
    k->failed |= k->used >= json_array_size(k->found) ||
                 json_dump(json_array_get(k->found, k->used++), k->out, &e) < 0;
    return !k->failed;
}

static int put_back(struct view text, const json_t *found, struct buf *out, struct err *e)
{
    struct ink k = {.at = text.p, .out = out, .found = found};
    const struct config_text t = {.on_spot = on_spot, .ctx = &k};

    config_text_walk(&t, text);
    buf_put(out, k.at, (size_t)(text.p + text.n - k.at));
    if (k.failed || k.used != json_array_size(found))
        return err_set(e, ERR_INVALID, "write each hidden value as \"" CONFIG_SENTINEL "\"");
    return buf_check(out, e);
}

/* -------------------------------------------------------------- the new text */
static int pretty(const char *p, size_t n, void *out)
{
    buf_put(out, p, n);
    return 0;
}

/* A form writes the document out as machines do. Its text is nobody's: the file's own is edited
 * instead, so that comments survive. When only the text differs somebody wants the text so. */
static bool of_a_machine(const struct config *now, const json_t *doc, struct view text)
{
    static const size_t hands[] = {JSON_INDENT(2), JSON_COMPACT};
    struct buf b = BUF_INIT(JSON5_TEXT_MAX);
    bool found = false;

    b.secret = true;
    text = view_trim(text);
    for (size_t i = 0; i < COUNT_OF(hands) && !found && !json_equal(doc, now->source); i++) {
        buf_reset(&b, 0);
        found = json_dump_callback(doc, pretty, &b, hands[i]) == 0 && !b.failed &&
                view_eq(buf_view(&b), text);
    }
    buf_fini(&b);
    return found;
}

/* The file's text for another document; written anew where it cannot be edited. */
static int edited(const struct config *now, const json_t *doc, struct buf *out, struct err *e)
{
    struct err why = ERR_INIT;
    int r = config_edit(buf_view(&now->raw), now->source, doc, out, &why);

    if (r != ERR_INVALID)
        return r < 0 ? err_set(e, r, "%s", why.text) : 0;
    if (json_dump_callback(doc, pretty, out, JSON_INDENT(2)) < 0)
        return err_set(e, ERR_NOMEM, "out of memory for the configuration");
    buf_put_char(out, '\n');
    return buf_check(out, e);
}

static int new_text(const struct config *now, const struct config_write *w, struct buf *out,
                    struct err *e)
{
    struct keep k = {.found = json_array(), .e = e};
    json_t *given = NULL, *doc = NULL, *none = NULL;
    bool as_given = false;
    int r;

    if (!k.found)
        return err_set(e, ERR_NOMEM, "out of memory for the configuration");
    if ((r = json5_parse(w->given, &given, e)) < 0)
        goto out;
    if (!json_is_object(given)) {
        r = err_set(e, ERR_INVALID, "must be a map {...}");
        goto out;
    }
    if (w->how == CONFIG_WRITE_SET) {
        as_given = !of_a_machine(now, given, w->given);
        doc = json_incref(given);
    } else if ((r = config_merge(now->source, given, w->replace, &doc, e)) < 0) {
        goto out;
    }
    if ((r = keep(&k, now->source, doc, &none)) < 0)
        goto out;
    if (as_given) {
        r = put_back(w->given, k.found, out, e);
    } else if (json_equal(doc, now->source)) {
        buf_put_view(out, buf_view(&now->raw)); /* nothing changes: not even the spaces */
        r = buf_check(out, e);
    } else {
        r = edited(now, doc, out, e);
    }
out:
    json_decref(given);
    json_decref(doc);
    json_decref(k.found);
    return r;
}

/* -------------------------------------------------------------- what RPC may change */
struct limits {
    struct config_path path;
    bool source; /* documents as written, not as they work out */
    struct err *e;
};

static int denied(struct limits *l, const char *why)
{
    char path[CONFIG_PATH_TEXT_MAX];

    config_path_text(&l->path, path);
    return err_set(l->e, ERR_DENIED, "%s: %s", path, why);
}

/* One value differs. In the text a variable would carry the environment into what config.get shows
 * or to whom a secret is sent, and a reference to a file its content: those are for the file. */
static int judge(struct limits *l, const json_t *to)
{
    const struct config_key *row = config_key_over(&l->path);
    struct view v = json_view_of(to);

    if (!l->source)
        return row && row->flags & K_NO_RPC
                   ? denied(l, "can be changed in the file only, not over the network")
                   : 0;
    if (v.n && row && row->flags & K_SECRET && !config_key_find(&l->path))
        return denied(l, "a reference to a secret can be written in the file only");
    if (v.n && memmem(v.p, v.n, "${", 2))
        return denied(l, "a variable can be used in the file only");
    return 0;
}

/* Whether a secret at or below this place stays as it is. */
static bool secret_stays(struct limits *l, const json_t *from, const json_t *to)
{
    const struct config_key *row = config_key_over(&l->path);
    bool found = false;
    const char *key;
    json_t *v;

    if (!from || !to)
        return false;
    if (row && row->flags & K_SECRET && row->type == CT_SECRET)
        return json_equal(from, to);
    json_object_foreach((json_t *)(uintptr_t)from, key, v)
    {
        config_path_key(&l->path, view_str(key));
        found |= secret_stays(l, v, json_object_get(to, key));
        config_path_pop(&l->path);
    }
    for (size_t i = 0; i < json_array_size(from) && !found; i++) {
        config_path_index(&l->path, i);
        found |= secret_stays(l, json_array_get(from, i), json_array_get(to, i));
        config_path_pop(&l->path);
    }
    return found;
}

/* Two maps: an address that a secret of the same map goes to may change with that secret only, or
 * whoever changes it could have the secret sent to themselves. */
static int bound(struct limits *l, const json_t *from, const json_t *to)
{
    const char *key;
    json_t *v;
    int r = 0;

    json_object_foreach((json_t *)(uintptr_t)from, key, v)
    {
        const struct config_key *row;

        config_path_key(&l->path, view_str(key));
        row = config_key_find(&l->path);
        config_path_pop(&l->path);
        if (!row || !(row->flags & K_BOUND) || json_equal(v, json_object_get(to, key)) ||
            !secret_stays(l, from, to))
            continue;
        config_path_key(&l->path, view_str(key));
        r = denied(l, "over the network it is changed together with the key that is sent there");
        config_path_pop(&l->path);
        break;
    }
    return r;
}

static const struct channel_rpc {
    const char *platform, *keys;
} channel_rpc[] = {
#define CHANNEL_RPC(platform, keys) {platform, keys},
#include "channel_rpc.def"
#undef CHANNEL_RPC
};

static bool listed(struct view platform, const char *key)
{
    char word[64];
    int n = snprintf(word, sizeof(word), " %s ", key);

    if (strchr(key, ' ') || n < 0 || (size_t)n >= sizeof(word))
        return false;
    for (size_t i = 0; i < COUNT_OF(channel_rpc); i++)
        if (view_eq(platform, view_str(channel_rpc[i].platform)) &&
            strstr(channel_rpc[i].keys, word))
            return true;
    return false;
}

static bool plain(const json_t *v)
{
    struct view text = json_view_of(v);

    for (size_t i = 0; i < json_array_size(v); i++)
        if (!json_is_string(json_array_get(v, i)) || !plain(json_array_get(v, i)))
            return false;
    return json_is_array(v) || json_is_boolean(v) || json_is_integer(v) ||
           (json_is_string(v) && !memmem(text.p, text.n, "${", 2));
}

/* A section of a platform that holds nothing but what may be set over RPC, before and after. */
static bool simple_channel(const struct config_path *p, const json_t *from, const json_t *to)
{
    const json_t *sides[] = {from, to};
    const char *key;
    json_t *v;

    if (p->n != 2 || !view_eq(p->part[0].key, V("channels")) || !p->part[1].key.p)
        return false;
    for (int s = 0; s < 2; s++) {
        if (sides[s] && !json_is_object(sides[s]))
            return false;
        json_object_foreach((json_t *)(uintptr_t)sides[s], key, v)
        {
            if (!listed(p->part[1].key, key) ||
                (s == 1 && !plain(v) && !(from && json_equal(json_object_get(from, key), v))))
                return false;
        }
    }
    return from != NULL || to != NULL;
}

/* Whatever differs between the two; a missing side is NULL. */
static int compare(struct limits *l, const json_t *from, const json_t *to)
{
    bool maps = json_is_object(from) || json_is_object(to),
         lists = json_is_array(from) || json_is_array(to);
    size_t n =
        json_array_size(from) > json_array_size(to) ? json_array_size(from) : json_array_size(to);
    const json_t *sides[] = {from, to};
    const char *key;
    json_t *v;
    int r;

    if ((from && to && json_equal(from, to)) || simple_channel(&l->path, from, to))
        return 0;
    r = json_is_object(from) && json_is_object(to) ? bound(l, from, to) : judge(l, to);
    if (r < 0)
        return r;
    for (int s = 0; s < 2 && maps; s++)
        json_object_foreach((json_t *)(uintptr_t)sides[s], key, v)
        {
            if (s == 1 && json_object_get(from, key))
                continue;
            config_path_key(&l->path, view_str(key));
            r = compare(l, json_object_get(from, key), json_object_get(to, key));
            config_path_pop(&l->path);
            if (r < 0)
                return r;
        }
    for (size_t i = 0; i < n && lists; i++) {
        config_path_index(&l->path, i);
        r = compare(l, json_array_get(from, i), json_array_get(to, i));
        config_path_pop(&l->path);
        if (r < 0)
            return r;
    }
    return 0;
}

static int allowed(const struct config *from, const struct config *to, struct err *e)
{
    struct limits l = {.e = e};
    int r;

    if ((r = compare(&l, from->doc, to->doc)) < 0)
        return r;
    l = (struct limits){.source = true, .e = e};
    return compare(&l, from->source, to->source);
}

/* -------------------------------------------------------------- all of it */
static int same_state(const struct config *now, const struct config_write *w, struct err *e)
{
    struct buf disk = BUF_INIT(JSON5_TEXT_MAX);
    json_t *hash = NULL;
    int r;

    if (!w->hash.n)
        return err_set(e, ERR_CONFLICT, "config base hash required; re-run config.get and retry");
    if ((r = config_hash(now, w->hash_key, &hash, e)) < 0)
        return r;
    disk.secret = true;
    if (!view_eq(json_view_of(hash), w->hash))
        r = err_set(e, ERR_CONFLICT, STALE);
    else if ((r = fd_read_file(now->path, JSON5_TEXT_MAX, &disk, e)) == ERR_NOT_FOUND)
        r = now->exists ? err_set(e, ERR_CONFLICT, STALE " (the file is gone)") : 0;
    else if (r == 0 && !(now->exists && view_eq(buf_view(&disk), buf_view(&now->raw))))
        r = err_set(e, ERR_CONFLICT, STALE " (what is in the file is not in force)");
    json_decref(hash);
    buf_fini(&disk);
    return r;
}

static void put_issues(const struct config_report *report, struct buf *out)
{
    struct jw w = JW_INIT(out);

    jw_obj(&w);
    jw_key(&w, "issues");
    jw_arr(&w);
    for (unsigned i = 0; i < report->count; i++) {
        const struct config_issue *x = &report->issue[i];

        if (!x->error)
            continue;
        jw_obj(&w);
        jw_kcstr(&w, "path", x->path ? x->path : "");
        jw_kcstr(&w, "message", x->text ? x->text : "out of memory");
        jw_obj_end(&w);
    }
    jw_arr_end(&w);
    jw_obj_end(&w);
}

static int put_changes(const struct config *from, const struct config *to, struct buf *out,
                       struct err *e)
{
    struct jw w = JW_INIT(out);
    struct config_diff d;
    int r;

    if ((r = config_diff(from, to, &d, e)) < 0)
        return r;
    jw_obj(&w);
    jw_key(&w, "changedPaths");
    jw_arr(&w);
    for (unsigned i = 0; i < d.count; i++)
        jw_cstr(&w, d.change[i].path);
    jw_arr_end(&w);
    jw_obj_end(&w);
    config_diff_fini(&d);
    return buf_check(out, e);
}

int config_write(const struct config *now, const struct config_source *src,
                 const struct config_write *w, struct buf *text, struct buf *details, struct err *e)
{
    struct config_source with = *src;
    struct config_report report;
    struct config *next = NULL;
    json_t *token = json_at(now->doc, "gateway.auth.token");
    int r;

    config_report_init(&report);
    if ((r = same_state(now, w, e)) < 0 || (r = new_text(now, w, text, e)) < 0)
        goto out;
    with.text = buf_view(text);
    if ((r = config_load(&next, &with, &report, e)) < 0) {
        if (r == ERR_INVALID)
            put_issues(&report, details);
        goto out;
    }
    /* the token of the state folder is no change */
    if (token && !json_at(next->doc, "gateway.auth.token") &&
        !json_at(now->source, "gateway.auth.token") && !json_at(next->source, "gateway.auth.token"))
        r = json_set_at(next->doc, "gateway.auth.token", json_incref(token), e);
    if (r == 0 && (r = allowed(now, next, e)) == 0)
        r = put_changes(now, next, details, e);
out:
    config_free(&next);
    config_report_fini(&report);
    return r;
}
