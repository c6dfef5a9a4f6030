/* supervisor/config_channels.c - secrets of channels that stand in a file, in the environment or
 * behind a reference: put where the channel looks for them (conf/credentials.def). A file that
 * cannot be read stops its account, not the start: the account says so. */
#include "config_int.h"

#include "fd.h"
#include "json.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CREDENTIAL_BYTES = 4096 };

struct credential {
    const char *channel, *key, *file, *variable;
};

static const struct credential credentials[] = {
#define CREDENTIAL(channel, key, file, variable) {channel, key, file, variable},
#include "credentials.def"
#undef CREDENTIAL
};

/* A plain file and no link: whoever may change the folder cannot make us read another one's. */
static int open_plain(const struct config_walk *w, const char *path, int *out, struct err *e)
{
    const char *home = config_env(w, "HOME");
    bool at_home = path[0] == '~' && path[1] == '/' && home;
    struct buf full = BUF_INIT(4096);
    struct stat st;
    int fd, r;

    buf_put_str(&full, at_home ? home : "");
    buf_put_str(&full, path + at_home);
    buf_put_char(&full, '\0');
    if ((r = buf_check(&full, e)) < 0)
        return r;
    fd = open(buf_view(&full).p, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        r = err_sys(e, "%s", path);
    else if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        r = err_set(e, ERR_INVALID, "%s: not a plain file", path);
    buf_fini(&full);
    if (r < 0) {
        fd_close(&fd);
        return r;
    }
    *out = fd;
    return 0;
}

static int read_plain(const struct config_walk *w, const char *path, json_t **out, struct err *e)
{
    struct buf b = BUF_INIT(CREDENTIAL_BYTES);
    struct view v;
    int fd = -1, r;

    b.secret = true;
    if ((r = open_plain(w, path, &fd, e)) < 0)
        return r;
    if ((r = fd_read_all(fd, CREDENTIAL_BYTES, &b, e)) == 0) {
        v = view_trim(buf_view(&b));
        *out = v.n ? json_stringn(v.p, v.n) : NULL;
        if (!*out)
            r = err_set(e, ERR_INVALID, "%s: empty, or not valid UTF-8", path);
    }
    fd_close(&fd);
    buf_fini(&b);
    return r;
}

/* One section's own: its file, its reference. */
static void of_section(struct config_walk *w, const struct credential *c, const char *at,
                       json_t *section)
{
    const char *path = json_string_value(json_object_get(section, c->file));
    json_t *ref = json_object_get(section, c->key), *v = NULL;
    struct err e = ERR_INIT;
    char where[256];

    (void)snprintf(where, sizeof(where), "%s.%s", at, path && *path ? c->file : c->key);
    if (path && *path) {
        if (read_plain(w, path, &v, &e) < 0) {
            config_warn_at(w, where, "%s: the account waits for it", e.text);
            v = json_string(""); /* not its key, and not its channel's: the file goes before them */
        }
    } else if (json_is_object(ref)) {
        struct config_path keep = w->path;

        w->path.n = 0;
        config_path_key(&w->path, view_str(at));
        if (config_secret_ref(w, ref, &v) < 0)
            v = NULL; /* reported */
        w->path = keep;
    }
    if (!v)
        return;
    if (json_string_length(v) > 0)
        (void)json_object_del(section, c->file);
    if (json_object_set_new(section, c->key, v) < 0)
        config_warn_at(w, where, "out of memory");
}

static bool has(const struct credential *c, const json_t *section)
{
    return json_object_get(section, c->key) || json_object_get(section, c->file);
}

/* The variable is the default account's, when neither it nor its channel says another one. */
static void from_environment(struct config_walk *w, const struct credential *c, json_t *channel)
{
    json_t *accounts = json_object_get(channel, "accounts"),
           *own = json_object_get(accounts, "default");
    const char *v = *c->variable ? config_env(w, c->variable) : NULL;

    if (json_object_size(accounts) == 0)
        own = channel;
    if (v && json_is_object(own) && !has(c, own) && !has(c, channel) &&
        json_object_set_new(own, c->key, json_string(v)) < 0)
        config_warn_at(w, "channels", "%s is not valid UTF-8", c->variable);
}

void config_channels(struct config_walk *w)
{
    for (size_t i = 0; i < COUNT_OF(credentials); i++) {
        const struct credential *c = &credentials[i];
        json_t *channel = json_object_get(json_object_get(w->doc, "channels"), c->channel),
               *account;
        char at[192];
        const char *name;

        if (!json_is_object(channel))
            continue;
        from_environment(w, c, channel);
        (void)snprintf(at, sizeof(at), "channels.%s", c->channel);
        of_section(w, c, at, channel);
        json_object_foreach(json_object_get(channel, "accounts"), name, account)
        {
            (void)snprintf(at, sizeof(at), "channels.%s.accounts.%.64s", c->channel, name);
            if (json_is_object(account))
                of_section(w, c, at, account);
        }
    }
}
