#include "outfiles.h"

#include "b64.h"
#include "json.h"
#include "msg.h"

#include <openssl/sha.h>
#include <string.h>

enum { BYTES_MAX = 20 * MIB }; /* a frame of 25 MiB carries no more in base64 */

void outfiles_init(struct outfiles *o, struct hub *h)
{
    *o = (struct outfiles){.hub = h};
    buf_init(&o->json, 64 * KIB);
    buf_init(&o->said, 4 * KIB);
}

void outfiles_fini(struct outfiles *o, bool taken)
{
    for (unsigned i = 0; i < o->n && !taken; i++)
        if (o->put[i])
            media_drop(o->hub, view_str(o->m[i].id));
    buf_fini(&o->json);
    buf_fini(&o->said);
    o->n = 0;
}

static int room(const struct outfiles *o, struct err *e)
{
    if (o->n < DELIVER_FILES_MAX)
        return 0;
    return err_set(e, ERR_LIMIT, "more than %d files in one message", (int)DELIVER_FILES_MAX);
}

static void say(struct outfiles *o, struct view v)
{
    unsigned char md[SHA256_DIGEST_LENGTH];

    (void)SHA256((const unsigned char *)v.p, v.n, md);
    buf_put(&o->said, md, sizeof(md));
}

static bool begins(struct view v, const char *with)
{
    size_t n = strlen(with);

    return v.n >= n && view_ieq(view_of(v.p, n), view_of(with, n));
}

static int put(struct outfiles *o, struct view bytes, struct view type, struct view name,
               uint32_t flags, struct err *e)
{
    int r;

    if (!bytes.n)
        return err_set(e, ERR_INVALID, "a file without a byte");
    if ((r = media_put(o->hub, bytes, type, name, &o->m[o->n], e)) < 0)
        return r;
    o->file[o->n] =
        (struct deliver_file){.id = view_str(o->m[o->n].id), .url = VIEW_EMPTY, .flags = flags};
    o->put[o->n++] = true;
    return 0;
}

/* data:[type][;name=N];base64,... */
static int data_parts(struct view ref, struct view *type, struct view *name, struct view *base64,
                      struct err *e)
{
    struct view head = view_of(ref.p, view_find(ref, ','));
    size_t end;

    if (head.n == ref.n || !view_ends(head, V(";base64")))
        return err_set(e, ERR_INVALID, "a data: address of a file is data:TYPE;base64,BYTES");
    *base64 = view_from(ref, head.n + 1);
    head = view_from(head, 5);
    end = view_find(head, ';');
    *type = view_of(head.p, end);
    for (head = view_from(head, end); head.n; head = view_from(head, view_find(head, ';'))) {
        head = view_from(head, 1);
        if (begins(head, "name="))
            *name = view_of(head.p + 5, view_find(head, ';') - 5);
    }
    return 0;
}

int outfiles_bytes(struct outfiles *o, struct view base64, struct view type, struct view name,
                   uint32_t flags, struct err *e)
{
    struct buf bytes = BUF_INIT(BYTES_MAX);
    struct view said = type, called = name;
    int r;

    if ((r = room(o, e)) < 0)
        return r;
    if (begins(base64, "data:")) {
        if ((r = data_parts(base64, &said, &called, &base64, e)) < 0)
            return r;
        if (type.n)
            said = type;
        if (name.n)
            called = name;
    }
    if (b64_get(base64, &bytes))
        r = put(o, buf_view(&bytes), said, called, flags, e);
    else if (bytes.failed)
        r = err_set(e, ERR_LIMIT, "a file is larger than %d MiB", (int)(BYTES_MAX / MIB));
    else
        r = err_set(e, ERR_INVALID, "the bytes of a file are not base64");
    buf_fini(&bytes);
    return r;
}

int outfiles_ref(struct outfiles *o, struct view ref, uint32_t flags, struct err *e)
{
    struct view id;
    int r;

    ref = view_trim(ref);
    if (begins(ref, "data:"))
        return outfiles_bytes(o, ref, VIEW_EMPTY, VIEW_EMPTY, flags, e);
    if ((r = room(o, e)) < 0)
        return r;
    if (begins(ref, "https://") || begins(ref, "http://")) {
        if (ref.n > DELIVER_URL_MAX)
            return err_set(e, ERR_LIMIT, "an address of %zu bytes, limit %d", ref.n,
                           (int)DELIVER_URL_MAX);
        o->m[o->n].id[0] = '\0';
        o->file[o->n++] = (struct deliver_file){.id = VIEW_EMPTY, .url = ref, .flags = flags};
        return 0;
    }
    id = media_id_of(ref);
    if (id.n && media_find(o->hub, id, &o->m[o->n])) {
        o->file[o->n] =
            (struct deliver_file){.id = view_str(o->m[o->n].id), .url = VIEW_EMPTY, .flags = flags};
        o->n++;
        return 0;
    }
    return err_set(
        e, ERR_INVALID,
        "%.*s is no file that can be sent: an http(s) or data: address, or media:// of a "
        "file that this gateway has",
        (int)(ref.n < 120 ? ref.n : 120), ref.p);
}

int outfiles_params(struct outfiles *o, const json_t *p, struct err *e)
{
    static const char *const single[] = {"mediaUrl", "media"};
    uint32_t flags = (json_flag(p, "asVoice", false) ? MEDIA_VOICE : 0) |
                     (json_flag(p, "gifPlayback", false) ? MEDIA_GIF : 0) |
                     (json_flag(p, "forceDocument", false) ? MEDIA_DOCUMENT : 0);
    const json_t *all = json_object_get(p, "mediaUrls");
    struct view v = json_view(p, "buffer"), name = json_view(p, "filename");
    json_t *one;
    size_t i;
    int r = 0;

    buf_put_u64(&o->said, flags);
    if (v.n)
        say(o, v);
    if (v.n)
        r = outfiles_bytes(o, v, json_view(p, "contentType"), name, flags, e);
    for (i = 0; i < COUNT_OF(single) && r == 0; i++)
        if ((v = json_view(p, single[i])).n) {
            say(o, v);
            r = outfiles_ref(o, v, flags, e);
        }
    json_array_foreach(all, i, one)
    {
        bool again = false;

        v = view_trim(json_view_of(one));
        for (size_t k = 0; k < COUNT_OF(single); k++) /* clients name the first one twice */
            again |= view_eq(v, view_trim(json_view(p, single[k])));
        if (r < 0 || !v.n || again)
            continue;
        say(o, v);
        r = outfiles_ref(o, v, flags, e);
    }
    return r;
}

int outfiles_write(struct outfiles *o, struct err *e)
{
    return o->n ? deliver_files_write(o->file, o->n, &o->json, e) : 0;
}
