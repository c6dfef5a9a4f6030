#include "chan_form.h"

#include "mem.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

struct file {
    struct chan_form *form;
    int fd; /* borrowed */
    uint64_t bytes, at, furthest;
};

struct chan_form {
    const struct curl_api *api;
    curl_mime *mime; /* owned */
    void (*on_read)(void *ctx);
    void *ctx;
    bool unreadable;
    unsigned n;
    struct file files[];
};

static size_t on_want(char *room, size_t size, size_t count, void *arg)
{
    struct file *f = arg;
    uint64_t left = f->bytes - f->at;
    size_t n = size * count < left ? size * count : (size_t)left;
    ssize_t r;

    do
        r = pread(f->fd, room, n, (off_t)f->at);
    while (r < 0 && errno == EINTR);
    if (r < 0 || (r == 0 && n)) {
        f->form->unreadable = true;
        return CURL_READFUNC_ABORT;
    }
    f->at += (uint64_t)r;
    if (f->at > f->furthest)
        f->furthest = f->at;
    f->form->on_read(f->form->ctx);
    return (size_t)r;
}

static int on_seek(void *arg, curl_off_t to, int origin)
{
    struct file *f = arg;

    if (origin != SEEK_SET || to < 0 || (uint64_t)to > f->bytes)
        return CURL_SEEKFUNC_FAIL;
    f->at = (uint64_t)to;
    return CURL_SEEKFUNC_OK;
}

static bool add_part(struct chan_form *f, const struct chan_http_part *p)
{
    const struct curl_api *api = f->api;
    curl_mimepart *m = api->mime_addpart(f->mime);
    struct file *file = &f->files[f->n];

    if (!m || api->mime_name(m, p->name) != CURLE_OK ||
        (p->filename && api->mime_filename(m, p->filename) != CURLE_OK) ||
        (p->type && api->mime_type(m, p->type) != CURLE_OK))
        return false;
    if (!p->bytes)
        return api->mime_data(m, p->value.p, p->value.n) == CURLE_OK;
    *file = (struct file){.form = f, .fd = p->fd, .bytes = p->bytes};
    f->n++;
    return api->mime_data_cb(m, (curl_off_t)p->bytes, on_want, on_seek, NULL, file) == CURLE_OK;
}

int chan_form_new(struct chan_form **out, const struct curl_api *api, CURL *easy,
                  const struct chan_http_part *parts, unsigned n, void (*on_read)(void *ctx),
                  void *ctx, struct err *e)
{
    struct chan_form *f = mem_alloc(sizeof(*f) + n * sizeof(struct file));
    bool ok = f && (f->mime = api->mime_init(easy));

    if (f) {
        f->api = api;
        f->on_read = on_read;
        f->ctx = ctx;
    }
    for (unsigned i = 0; ok && i < n; i++)
        ok = add_part(f, &parts[i]);
    if (!ok) {
        chan_form_free(&f);
        return err_set(e, ERR_NOMEM, "libcurl does not take the form");
    }
    *out = f;
    return 0;
}

void chan_form_free(struct chan_form **fp)
{
    struct chan_form *f = TAKE(*fp);

    if (!f)
        return;
    if (f->mime)
        f->api->mime_free(f->mime);
    mem_free(f);
}

curl_mime *chan_form_mime(const struct chan_form *f)
{
    return f->mime;
}

bool chan_form_unsent(const struct chan_form *f)
{
    for (unsigned i = 0; f && i < f->n; i++)
        if (f->files[i].furthest < f->files[i].bytes)
            return true;
    return false;
}

bool chan_form_unreadable(const struct chan_form *f)
{
    return f && f->unreadable;
}
