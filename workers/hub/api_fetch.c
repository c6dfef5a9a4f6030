/*
 * workers/hub/api_fetch.c - images that a request of OpenAI's interfaces names by their address:
 * openclaw-fetch gets them, one after the other, and the request goes on as if they had come as
 * data: URLs. On for an interface when its images.allowUrl says so. Whatever cannot be had refuses
 * the request: nothing was begun.
 */
#include "api.h"
#include "b64.h"
#include "fetch.h"
#include "media.h"
#include "settings.h"

#include <stdio.h>

enum {
    WAITING_MAX = 32,    /* requests that wait for images: each holds its body */
    IMAGE_MAX = 8 << 20, /* of one that is fetched */
};

struct api_waiting {
    struct http_request *r;
    json_t *doc; /* owned */
    api_go *go;
    struct fetch *fetch;
    json_t *place;   /* borrowed from doc: what holds the address, */
    const char *key; /* and under which key */
    unsigned images;
    size_t bytes;
};

static bool is_remote(struct view url)
{
    return (url.n > 7 && view_ieq(view_of(url.p, 7), V("http://"))) ||
           (url.n > 8 && view_ieq(view_of(url.p, 8), V("https://")));
}

/* Where a part names its image's address, when that is elsewhere. */
static bool place_of(json_t *part, json_t **place, const char **key)
{
    struct view type = json_view(part, "type");
    json_t *v = json_object_get(part, "image_url"), *source = json_object_get(part, "source");

    if (!view_eq(type, V("image_url")) && !view_eq(type, V("input_image")))
        return false;
    *place = json_is_string(v) ? part : json_is_object(source) ? source : v;
    *key = json_is_string(v) ? "image_url" : "url";
    return json_is_object(*place) && is_remote(json_view(*place, *key));
}

/* The next one in messages (chat completions) or input (responses). */
static bool find(struct api_waiting *w)
{
    json_t *list = json_object_get(w->doc, "messages"), *m, *part;
    size_t i, k;

    if (!json_is_array(list))
        list = json_object_get(w->doc, "input");
    json_array_foreach(list, i, m)
    {
        if (place_of(m, &w->place, &w->key)) /* input may list parts themselves */
            return true;
        json_array_foreach(json_object_get(m, "content"), k, part)
        {
            if (place_of(part, &w->place, &w->key))
                return true;
        }
    }
    return false;
}

static void waiting_free(struct api_waiting *w)
{
    fetch_cancel(&w->fetch);
    json_decref(w->doc);
    w->r->hub->api_waiting--;
    mem_free(w);
}

static void on_gone(struct http_request *r)
{
    waiting_free(r->user);
}

static const struct http_work waiting_work = {.on_gone = on_gone};

static void refuse(struct api_waiting *w, const char *why)
{
    struct http_request *r = w->r;
    struct buf text = BUF_INIT(1 * KIB);

    buf_printf(&text, "image_url: %s", why);
    r->work = NULL;
    waiting_free(w);
    http_reply_error(r, 400, "invalid_request_error", buf_view(&text));
    buf_fini(&text);
}

/* The file in the place of its address. */
static int put(struct api_waiting *w, int fd, struct err *e)
{
    struct buf url = BUF_INIT(2 * (size_t)IMAGE_MAX);
    struct view bytes;
    struct kind k;
    int r = media_map_fd(fd, IMAGE_MAX, &bytes, e);

    if (r < 0)
        return r;
    kind_look(bytes, VIEW_EMPTY, VIEW_EMPTY, &k);
    if (k.kind != KIND_IMAGE)
        r = err_set(e, ERR_INVALID, "what is there is no image (%s)", k.type);
    else if (bytes.n > API_IMAGE_BYTES_MAX - w->bytes)
        r = err_set(e, ERR_LIMIT, "images are larger than %d bytes together", API_IMAGE_BYTES_MAX);
    if (r == 0) {
        w->bytes += bytes.n;
        buf_printf(&url, "data:%s;base64,", k.type);
        b64_put(&url, bytes);
        r = buf_check(&url, e);
    }
    if (r == 0 && json_object_set_new(w->place, w->key, json_stringn(buf_view(&url).p, url.n)) < 0)
        r = err_set(e, ERR_NOMEM, "out of memory");
    media_unmap(&bytes);
    buf_fini(&url);
    return r;
}

static void step(struct api_waiting *w);

static void on_file(void *ctx, struct fetch_file *f)
{
    struct api_waiting *w = ctx;
    char why[256];
    struct err e = ERR_INIT;

    w->fetch = NULL;
    if (f->failed) {
        (void)snprintf(why, sizeof(why), "%.*s", (int)(f->error.n < 200 ? f->error.n : 200),
                       f->error.p);
        refuse(w, why);
    } else if (put(w, f->fd, &e) < 0) {
        refuse(w, e.text);
    } else {
        step(w);
    }
}

static void step(struct api_waiting *w)
{
    struct http_request *r = w->r;
    struct err e = ERR_INIT;

    if (!find(w)) { /* all are here */
        json_t *doc = json_incref(w->doc);
        api_go *go = w->go;

        r->work = NULL;
        r->user = NULL;
        waiting_free(w);
        go(r, doc);
        json_decref(doc);
    } else if (w->images++ == API_IMAGES_MAX) {
        refuse(w, "too many addresses");
    } else if (fetch_start(r->hub, json_view(w->place, w->key), on_file, w, &w->fetch, &e) < 0) {
        refuse(w, e.text);
    }
}

void api_with_images(struct http_request *r, json_t *doc, const char *allowed, api_go *go)
{
    struct hub *h = r->hub;
    struct api_waiting look = {.doc = doc}, *w;
    struct err e = ERR_INIT;

    if (!json_is_true(json_at(h->settings->doc, allowed)) || !find(&look)) {
        go(r, doc);
    } else if (h->api_waiting >= WAITING_MAX || mem_new(&w, sizeof(*w), &e) < 0) {
        http_reply_error(r, 503, "overloaded_error", V("Too many requests wait for images."));
    } else {
        h->api_waiting++;
        *w = (struct api_waiting){.r = r, .doc = json_incref(doc), .go = go};
        r->work = &waiting_work;
        r->user = w;
        step(w);
    }
}
