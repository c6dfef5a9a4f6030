#include "site.h"

#include "media_type.h"
#include "num.h"
#include "xchg.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { PACK_NUMBER = 8, HASHES_MAX = 4 };

struct site {
    unsigned refs;
    struct site_file *file; /* owned */
    size_t count;
    void *map; /* owned */
    size_t map_n;
    char *tags; /* owned: SITE_TAG_MAX each */
    struct buf policy, index;
    char index_tag[SITE_TAG_MAX];
    struct view raw_index;
};

static const char own_policy[] =
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' data: blob:; connect-src 'self'; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'";

/* -------------------------------------------------------------- a folder that was handed over */
struct site *site_ref(struct site *s)
{
    if (s)
        s->refs++;
    return s;
}

void site_unref(struct site **sp)
{
    struct site *s = TAKE(*sp);

    if (!s || --s->refs)
        return;
    if (s->map)
        (void)munmap(s->map, s->map_n);
    buf_fini(&s->policy);
    buf_fini(&s->index);
    mem_free(s->file);
    mem_free(s->tags);
    mem_free(s);
}

static int bad(struct err *e, const char *what)
{
    return err_set(e, ERR_INVALID, "the control page's pack: %s", what);
}

static bool take(struct view *v, size_t n, struct view *out)
{
    if (n > v->n)
        return false;
    *out = view_of(v->p, n);
    *v = view_from(*v, n);
    return true;
}

static int by_path(const void *a, const void *b)
{
    const struct site_file *x = a, *y = b;
    size_t n = x->path.n < y->path.n ? x->path.n : y->path.n;
    int r = memcmp(x->path.p, y->path.p, n);

    return r ? r : (x->path.n > y->path.n) - (x->path.n < y->path.n);
}

static int make_tag(struct view body, char tag[SITE_TAG_MAX], struct err *e)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    int n = 1;

    if (!EVP_Digest(body.p, body.n, sum, NULL, EVP_sha256(), NULL))
        return err_set(e, ERR_SYS, "hashing the control page failed");
    tag[0] = '"';
    for (int k = 0; k < 12; k++)
        n += snprintf(tag + n, SITE_TAG_MAX - (size_t)n, "%02x", sum[k]);
    (void)snprintf(tag + n, SITE_TAG_MAX - (size_t)n, "\"");
    return 0;
}

/* u64 count, then for each: u64 bytes of the name, u64 of the content, name, content. */
static int read_pack(struct site *s, struct view v, struct err *e)
{
    uint64_t count, size[2];
    struct view number;
    int r;

    if (!take(&v, PACK_NUMBER, &number))
        return bad(e, "no count");
    memcpy(&count, number.p, PACK_NUMBER);
    if (count > SITE_FILES_MAX)
        return bad(e, "too many files");
    if (!(s->file = mem_calloc(count ? count : 1, sizeof(*s->file))) ||
        !(s->tags = mem_calloc(count ? count : 1, SITE_TAG_MAX)))
        return err_set(e, ERR_NOMEM, "out of memory for the control page");
    for (; s->count < count; s->count++) {
        struct site_file *f = &s->file[s->count];
        char *tag = s->tags + s->count * SITE_TAG_MAX;

        if (!take(&v, 2 * PACK_NUMBER, &number))
            return bad(e, "cut short");
        memcpy(size, number.p, sizeof(size));
        if (size[0] > SITE_PATH_MAX || !take(&v, size[0], &f->path) || !take(&v, size[1], &f->body))
            return bad(e, "cut short");
        if ((r = make_tag(f->body, tag, e)) < 0)
            return r;
        f->tag = tag;
    }
    qsort(s->file, s->count, sizeof(*s->file), by_path);
    return 0;
}

/* A page of others may have script in it: it runs when its hash is in the policy. */
static void put_script_hashes(struct view page, struct buf *out)
{
    static const char open[] = "<script", close[] = "</script>";
    unsigned n = 0;

    while (n < HASHES_MAX) {
        unsigned char sum[EVP_MAX_MD_SIZE];
        unsigned char text[64];
        const char *at = memmem(page.p, page.n, open, sizeof(open) - 1), *body, *end;

        if (!at)
            return;
        page = view_from(page, (size_t)(at - page.p));
        body = memchr(page.p, '>', page.n);
        end = memmem(page.p, page.n, close, sizeof(close) - 1);
        if (!body || !end || body > end)
            return;
        body++;
        if (!memmem(page.p, (size_t)(body - page.p), " src=", 5) &&
            EVP_Digest(body, (size_t)(end - body), sum, NULL, EVP_sha256(), NULL)) {
            (void)EVP_EncodeBlock(text, sum, 32);
            buf_printf(out, " 'sha256-%s'", (const char *)text);
            n++;
        }
        page = view_from(page, (size_t)(end - page.p));
    }
}

static const struct site_file *look_up(const struct site_file *file, size_t count, struct view path)
{
    struct site_file key = {.path = path};

    return bsearch(&key, file, count, sizeof(*file), by_path);
}

static int make_policy(struct site *s, struct err *e)
{
    const struct site_file *page = look_up(s->file, s->count, V("index.html"));

    if (!page)
        return bad(e, "there is no index.html in the folder of gateway.controlUi.root");
    s->raw_index = page->body;
    buf_put_str(&s->policy, "default-src 'self'; script-src 'self'");
    put_script_hashes(page->body, &s->policy);
    buf_put_str(&s->policy,
                "; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob: https:; font-src "
                "'self' data:; media-src 'self' data: blob:; worker-src 'self' blob:; connect-src "
                "'self' data: ws: wss:; frame-src 'self'; object-src 'none'; base-uri 'none'; "
                "form-action 'none'; frame-ancestors 'none'");
    return buf_check(&s->policy, e);
}

int site_rebase(struct site *s, struct view base, struct err *e)
{
    struct site_file *page = NULL;
    struct view left = s->raw_index;
    const char *at;
    int r;

    for (size_t i = 0; i < s->count && !page; i++)
        if (view_eq(s->file[i].path, V("index.html")))
            page = &s->file[i];
    for (size_t i = 0; i < base.n; i++)
        if (strchr("\"<>&", base.p[i])) /* no path has these unescaped */
            return 0;
    if (!page || left.n > XCHG_PART / 2)
        return 0; /* as it is */
    buf_reset(&s->index, 0);
    if ((at = memmem(left.p, left.n, "<html", 5))) {
        buf_put(&s->index, left.p, (size_t)(at - left.p) + 5);
        buf_put_str(&s->index, " data-openclaw-control-ui-base-path=\"");
        buf_put_view(&s->index, base); /* of the alphabet of paths: nothing to escape */
        buf_put_char(&s->index, '"');
        left = view_from(left, (size_t)(at - left.p) + 5);
    }
    while ((at = memmem(left.p, left.n, "=\"./", 4))) {
        buf_put(&s->index, left.p, (size_t)(at - left.p) + 2);
        buf_put_view(&s->index, base);
        left = view_from(left, (size_t)(at - left.p) + 3);
    }
    buf_put_view(&s->index, left);
    if ((r = buf_check(&s->index, e)) < 0 ||
        (r = make_tag(buf_view(&s->index), s->index_tag, e)) < 0)
        return r;
    page->body = buf_view(&s->index);
    page->tag = s->index_tag;
    return 0;
}

static int map(struct site *s, int fd, struct err *e)
{
    s->map = s->map_n ? mmap(NULL, s->map_n, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    if (s->map != MAP_FAILED)
        return 0;
    s->map = NULL;
    return err_sys(e, "the control page's pack");
}

int site_new(struct site **out, int fd, uint64_t bytes, struct err *e)
{
    struct site *s = NULL;
    int r;

    if ((r = mem_new(&s, sizeof(*s), e)) < 0)
        return r;
    s->refs = 1;
    buf_init(&s->policy, 2 * KIB);
    buf_init(&s->index, XCHG_PART); /* so that it is answered at once: it may change */
    s->map_n = (size_t)bytes;
    if ((r = map(s, fd, e)) < 0)
        goto out;
    if ((r = read_pack(s, view_of(s->map, s->map_n), e)) < 0 || (r = make_policy(s, e)) < 0)
        goto out;
    /* what was only hashed need not stay in this process: the same again, in the same place */
    if (mmap(s->map, s->map_n, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0) == MAP_FAILED) {
        r = err_sys(e, "the control page's pack");
        goto out;
    }
    *out = TAKE(s);
out:
    site_unref(&s);
    return r;
}

/* -------------------------------------------------------------- which file */
static const struct site_file *file_at(const struct front *f, struct view path)
{
    if (f->site)
        return look_up(f->site->file, f->site->count, path);
    return look_up(site_embedded, site_embedded_n, path);
}

static bool has_dot(struct view path)
{
    for (size_t i = path.n; i-- > 0 && path.p[i] != '/';)
        if (path.p[i] == '.')
            return true;
    return false;
}

/* A page of its own may stand behind a name without an ending: /chat is chat.html when that is
 * there. Pages of the stock control page are places within one document. */
static const struct site_file *page_at(const struct front *f, struct view path)
{
    char name[SITE_PATH_MAX];
    const struct site_file *page;

    if (path.n == 0 || view_eq(path, V("chat")))
        if (!(page = path.n ? file_at(f, V("chat.html")) : NULL))
            return file_at(f, V("index.html"));
    if (path.n + 5 < sizeof(name) && !has_dot(path)) {
        memcpy(name, path.p, path.n);
        memcpy(name + path.n, ".html", 5);
        if ((page = file_at(f, view_of(name, path.n + 5))))
            return page;
    }
    return f->site && !has_dot(path) && !view_starts(path, V("api/")) ? file_at(f, V("index.html"))
                                                                      : NULL;
}

/* Below the page's own path, or false. */
static bool below_base(const struct front *f, struct view path, struct view *rest)
{
    struct view base = f->mounts.at[ROUTE_UI];

    if (f->mounts.off[ROUTE_UI] || !view_starts(path, base))
        return false;
    *rest = view_from(path, base.n);
    if (rest->n == 0)
        return base.n > 0;
    if (rest->p[0] != '/')
        return false;
    *rest = view_from(*rest, 1);
    return true;
}

/* -------------------------------------------------------------- which form of it */
static bool accepts(struct view list, struct view coding)
{
    struct view item;

    while (http_next_token(&list, &item)) {
        size_t end = view_find(item, ';');
        struct view name = view_trim(view_of(item.p, end)), q = view_trim(view_from(item, end + 1));

        if (view_ieq(name, coding)) /* q=0, q=0.0...: not that one */
            return !view_starts(q, V("q=0")) ||
                   (q.n > 4 && strspn(q.p + 4, "0") < q.n - 4 && q.p[3] == '.');
    }
    return false;
}

static struct view header(const struct http_req *q, struct view name)
{
    for (unsigned i = 0; i < q->headers; i++)
        if (view_ieq(q->header[i].name, name))
            return q->header[i].value;
    return VIEW_EMPTY;
}

/* RFC 9110, 13.1.2: weak comparison of a list. */
static bool tag_matches(struct view list, struct view tag)
{
    struct view item;

    while (http_next_token(&list, &item)) {
        if (view_starts(item, V("W/")))
            item = view_from(item, 2);
        if (view_eq(item, V("*")) || view_eq(item, tag))
            return true;
    }
    return false;
}

/* RFC 9110, 14: one range of bytes; anything else is answered with all of it.
 * 1: from..to is wanted; 0: all; -1: there is nothing in it. */
static int range_of(struct view v, size_t size, size_t *from, size_t *to)
{
    struct err e = ERR_INIT;
    uint64_t a = 0, b = 0;
    size_t dash;

    if (!view_starts(v, V("bytes=")) || view_find(v, ',') < v.n)
        return 0;
    v = view_trim(view_from(v, 6));
    dash = view_find(v, '-');
    if (dash == v.n)
        return 0;
    if (dash == 0) { /* the last so many */
        if (num_u64(view_from(v, 1), 0, UINT64_MAX, &a, &e) < 0)
            return 0;
        if (a == 0 || size == 0)
            return -1;
        *from = a < size ? size - (size_t)a : 0;
        *to = size - 1;
        return 1;
    }
    b = size ? size - 1 : 0;
    if (num_u64(view_of(v.p, dash), 0, UINT64_MAX, &a, &e) < 0 ||
        (dash + 1 < v.n && num_u64(view_from(v, dash + 1), 0, UINT64_MAX, &b, &e) < 0) ||
        (dash + 1 < v.n && b < a))
        return 0;
    if (a >= size)
        return -1;
    *from = (size_t)a;
    *to = b < size ? (size_t)b : size - 1;
    return 1;
}

static void give(const struct site_file *file, const struct http_req *q, struct site_answer *s)
{
    struct view codings = header(q, V("accept-encoding")), tag;
    const char *coding = NULL, *suffix = "";
    size_t from = 0, to = 0;
    int ranged = 0, n;

    s->a.body = file->body;
    if (file->br.n && accepts(codings, V("br"))) {
        s->a.body = file->br;
        coding = "br";
        suffix = "-b";
    } else if (file->gzip.n && accepts(codings, V("gzip"))) {
        s->a.body = file->gzip;
        coding = "gzip";
        suffix = "-z";
    }
    /* another form is another sequence of bytes: its strong tag differs */
    (void)snprintf(s->tag, sizeof(s->tag), "%.*s%s\"", (int)strlen(file->tag) - 1, file->tag,
                   suffix);
    tag = view_str(s->tag);
    s->a.status = 200;
    if (header(q, V("if-none-match")).n && tag_matches(header(q, V("if-none-match")), tag)) {
        s->a.status = 304;
        s->a.body = VIEW_EMPTY;
    } else if (header(q, V("range")).n && q->method == HTTP_GET &&
               (!header(q, V("if-range")).n || view_eq(header(q, V("if-range")), tag))) {
        ranged = range_of(header(q, V("range")), s->a.body.n, &from, &to);
    }
    n = snprintf(s->fields, sizeof(s->fields), "ETag: %s\r\nAccept-Ranges: bytes\r\n%s%s%s%s",
                 s->tag, file->gzip.n || file->br.n ? "Vary: Accept-Encoding\r\n" : "",
                 coding ? "Content-Encoding: " : "", coding ? coding : "", coding ? "\r\n" : "");
    if (ranged > 0) {
        (void)snprintf(s->fields + n, sizeof(s->fields) - (size_t)n,
                       "Content-Range: bytes %zu-%zu/%zu\r\n", from, to, s->a.body.n);
        s->a.status = 206;
        s->a.body = view_of(s->a.body.p + from, to - from + 1);
    } else if (ranged < 0) {
        (void)snprintf(s->fields + n, sizeof(s->fields) - (size_t)n,
                       "Content-Range: bytes */%zu\r\n", s->a.body.n);
        s->a.status = 416;
        s->a.body = VIEW_EMPTY;
        s->a.type = NULL;
    }
    s->a.extra = s->fields;
}

void site_missing(const struct front *f, const struct http_req *q, struct site_answer *out)
{
    struct view accept = header(q, V("accept"));
    const struct site_file *page = look_up(site_embedded, site_embedded_n, V("404.html"));

    (void)f;
    *out = (struct site_answer){.a = {.status = 404,
                                      .type = "text/plain; charset=utf-8",
                                      .body = V("Not Found"),
                                      .close = q->has_body}};
    if (!page || !memmem(accept.p, accept.n, "text/html", 9))
        return;
    out->a.type = "text/html; charset=utf-8";
    out->a.body = page->body;
    out->a.policy = view_of(own_policy, sizeof(own_policy) - 1);
}

bool site_has(const struct front *f, struct view path)
{
    return below_base(f, path, &path) && (path.n == 0 || file_at(f, path));
}

void site_find(const struct front *f, const struct http_req *q, struct site_answer *out)
{
    const struct site_file *file = NULL;
    struct view path;

    if (below_base(f, q->path, &path) && !(file = file_at(f, path)))
        file = page_at(f, path);
    if (file && path.n == 0 && !view_ends(q->path, V("/"))) { /* its addresses are relative */
        *out = (struct site_answer){.a.status = 301};
        (void)snprintf(out->fields, sizeof(out->fields), "%.*s/", VIEW_FMT(f->mounts.at[ROUTE_UI]));
        out->a.location = view_str(out->fields);
        return;
    }
    if (!file) {
        site_missing(f, q, out);
        return;
    }
    *out = (struct site_answer){.site = f->site};
    out->a.type = media_type(file->path);
    out->a.policy =
        f->site ? buf_view(&f->site->policy) : view_of(own_policy, sizeof(own_policy) - 1);
    /* names in assets/ hold a hash of what is in them */
    out->a.cache = f->site && view_starts(file->path, V("assets/"))
                       ? "public, max-age=31536000, immutable"
                       : "no-cache";
    give(file, q, out);
}
