/*
 * workers/front/site.h - files of the control page: a table that was compiled in (ui/), or the
 * folder of gateway.controlUi.root, which the supervisor read and handed over as one sealed memory
 * file. No path of the file system is ever made of a request: a name is in the table or it is not.
 * Strong entity tags, byte ranges, precompressed forms. Not here: who may ask (nobody has to show
 * anything for these).
 */
#ifndef SITE_H
#define SITE_H

#include "front.h"
#include "http.h"

enum {
    SITE_FILES_MAX = 8192,
    SITE_PATH_MAX = 512,
    SITE_TAG_MAX = 40,
};

struct site_file {
    struct view path; /* without the first "/" */
    struct view body, gzip, br;
    const char *tag; /* hash of body, quoted: strong */
};

struct site; /* a table in use; freed when nobody serves from it */

/* An answer and what its views point into. */
struct site_answer {
    struct http_answer a;
    struct site *site; /* borrowed */
    char fields[320], tag[SITE_TAG_MAX + 8];
};

/* The compiled-in table is used until the first of these.  Errors: ERR_INVALID, ERR_NOMEM, ERR_SYS.
 * fd, a sealed file of so many bytes, stays the caller's. */
int site_new(struct site **out, int fd, uint64_t bytes, struct err *e) MUST_USE;
/* The page is served below this path: addresses in its index.html are made to say so. */
int site_rebase(struct site *s, struct view base, struct err *e) MUST_USE;
struct site *site_ref(struct site *s); /* NULL is fine */
void site_unref(struct site **s);

/* There is a file of this name. */
bool site_has(const struct front *f, struct view path);
/* What GET of this request's path gives: a file, or a page that says that there is none. */
void site_find(const struct front *f, const struct http_req *q, struct site_answer *out);
/* The page that says so. */
void site_missing(const struct front *f, const struct http_req *q, struct site_answer *out);

/* Generated from ui/ (scripts/embed-ui): sorted by path. */
extern const struct site_file site_embedded[];
extern const size_t site_embedded_n;

#endif
