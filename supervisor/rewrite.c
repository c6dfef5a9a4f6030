#include "rewrite.h"

#include "fd.h"
#include "json5.h"
#include "log.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MODE = 0600,             /* it may hold secrets */
    DETAILS_MAX = 60 * 1024, /* of config_written, and room */
};

static int write_both(const char *path, struct view old, struct view text, struct err *e)
{
    char real[PATH_MAX], backup[PATH_MAX + 8];
    int r;

    /* a link (a repository of settings) stays one: what it points to is written */
    if (!realpath(path, real)) {
        if (errno != ENOENT || strlen(path) >= sizeof(real))
            return err_sys(e, "%s", path);
        (void)snprintf(real, sizeof(real), "%s", path);
    }
    (void)snprintf(backup, sizeof(backup), "%s.bak", real);
    if (old.n && (r = fd_write_file(backup, old, MODE, e)) < 0)
        return r;
    return fd_write_file(real, text, MODE, e);
}

static int rewrite(const struct rewrite *w, const struct config_write *want, struct buf *details,
                   struct err *e)
{
    struct buf text = BUF_INIT(JSON5_TEXT_MAX), old = BUF_INIT(JSON5_TEXT_MAX);
    const char *path = config_path_of(w->now);
    int r;

    text.secret = old.secret = true;
    if ((r = config_write(w->now, w->src, want, &text, details, e)) < 0)
        goto out;
    if (config_exists(w->now) && (r = fd_read_file(path, JSON5_TEXT_MAX, &old, e)) < 0)
        goto out;
    if (view_eq(buf_view(&old), buf_view(&text)))
        goto out;
    if ((r = write_both(path, buf_view(&old), buf_view(&text), e)) == 0)
        log_info("config.written", KV("file", path), KV("bytes", text.n));
out:
    buf_fini(&text);
    buf_fini(&old);
    return r;
}

int rewrite_on_message(const struct rewrite *w, struct link *from, const struct ipc_config_write *m,
                       void (*reload)(void *ctx), void *ctx, struct err *e)
{
    struct config_write want = {.how = m->how ? CONFIG_WRITE_PATCH : CONFIG_WRITE_SET,
                                .given = m->text,
                                .replace = m->replace,
                                .hash = m->hash,
                                .hash_key = w->hash_key};
    struct ipc_config_written said = {.req = m->req};
    struct buf details = BUF_INIT(DETAILS_MAX);
    struct err why = ERR_INIT;
    int r = rewrite(w, &want, &details, &why);

    if (r == 0)
        reload(ctx);
    else
        log_warn("config.not_written", KV("why", why.text));
    said.result = r == 0             ? CONFIG_WRITTEN_OK
                  : r == ERR_INVALID ? CONFIG_WRITTEN_INVALID
                                     : CONFIG_WRITTEN_REFUSED;
    said.message = r ? view_str(why.text) : VIEW_EMPTY;
    said.details = buf_view(&details);
    r = msg_send_config_written(from, &said, e);
    buf_fini(&details);
    return r;
}
