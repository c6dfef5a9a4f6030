/* ctl/channel_config.c - channels add and remove: an account's section in the configuration file.
 * Nothing of channels.* may be set over RPC (conf/keys.def), so the file itself is written, as its
 * owner, once openclawd finds it good; the running gateway takes it up. A file that is not ours is
 * left, and what belongs into it is said. Secrets are asked for: arguments are in every process
 * list. */
#include "ctl.h"

#include "fd.h"
#include "json.h"
#include "json5.h"
#include "mem.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ID_BYTES = 64, SECRET_BYTES = 4096, SAID_BYTES = 65536, KEY_BYTES = 256 };

struct edit {
    struct ctl *c;
    struct view channel, account; /* account empty: the channel's own section */
    char path[PATH_MAX], next[PATH_MAX + 8];
    struct buf old; /* the file as it was read */
    json_t *doc;    /* owned: what it shall be */
};

static int fail(const struct err *e)
{
    (void)fprintf(stderr, "openclawctl: %s\n", e->text);
    return 1;
}

static bool is_id(struct view v)
{
    for (size_t i = 0; i < v.n; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", v.p[i]))
            return false;
    return v.n > 0 && v.n <= ID_BYTES;
}

/* ---- the file ---- */

static int open_file(struct edit *x, struct err *e)
{
    char named[PATH_MAX];
    int r;

    if (x->c->config)
        (void)snprintf(named, sizeof(named), "%s", x->c->config);
    else
        (void)snprintf(named, sizeof(named), "%s/openclaw.json", x->c->state_dir);
    if (!realpath(named, x->path)) { /* a link stays one: what it points to is written */
        if (errno != ENOENT)
            return err_sys(e, "%s", named);
        (void)snprintf(x->path, sizeof(x->path), "%s", named);
        if (!(x->doc = json_object()))
            return err_set(e, ERR_NOMEM, "out of memory");
    } else if ((r = fd_read_file(x->path, JSON5_TEXT_MAX, &x->old, e)) < 0 ||
               (r = json5_parse(buf_view(&x->old), &x->doc, e)) < 0) {
        return err_wrap(e, "%s", x->path);
    }
    (void)snprintf(x->next, sizeof(x->next), "%s.new", x->path);
    return json_is_object(x->doc) ? 0 : err_set(e, ERR_INVALID, "%s: not an object", x->path);
}

/* The program that will read it has the word. Its complaint goes to standard error. */
static int check(const struct edit *x, struct err *e)
{
    int said = memfd_create("said", MFD_CLOEXEC), status = -1;
    struct buf b = BUF_INIT(SAID_BYTES);
    pid_t pid;

    if (said < 0 || (pid = fork()) < 0) {
        fd_close(&said);
        return err_sys(e, "openclawd --check-config");
    }
    if (pid == 0) {
        struct ctl c = *x->c;

        c.config = x->next;
        (void)dup2(said, STDOUT_FILENO);
        (void)dup2(said, STDERR_FILENO);
        _exit(ctl_check_config(&c));
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (status != 0 && lseek(said, 0, SEEK_SET) == 0 && fd_read_all(said, SAID_BYTES, &b, e) == 0)
        (void)fprintf(stderr, "%.*s", VIEW_FMT(buf_view(&b)));
    buf_fini(&b);
    fd_close(&said);
    return status == 0
               ? 0
               : err_set(e, ERR_INVALID, "%s is left as it is: that would not be valid", x->path);
}

/* Somebody else may have written meanwhile: theirs is not undone. */
static int unchanged(const struct edit *x, struct err *e)
{
    struct buf now = BUF_INIT(JSON5_TEXT_MAX);
    int r = access(x->path, F_OK) == 0 ? fd_read_file(x->path, JSON5_TEXT_MAX, &now, e) : 0;

    now.secret = true;
    if (r == 0 && !view_eq(buf_view(&now), buf_view(&x->old)))
        r = err_set(e, ERR_CONFLICT, "%s was written by somebody else just now; try again",
                    x->path);
    buf_fini(&now);
    return r;
}

static int give_back(const char *path, const struct stat *st, struct err *e)
{
    return st->st_uid == geteuid() || chown(path, st->st_uid, st->st_gid) == 0
               ? 0
               : err_sys(e, "%s: give it to the owner", path);
}

/* Whole or not at all; what was there before stays beside it. Whose the file is does not change. */
static int write_file(struct edit *x, struct err *e)
{
    char *text = json_dumps(x->doc, JSON_INDENT(2)), backup[PATH_MAX + 8];
    struct stat st = {.st_uid = geteuid()};
    bool had = stat(x->path, &st) == 0;
    int r = text ? 0 : err_set(e, ERR_NOMEM, "out of memory");

    (void)snprintf(backup, sizeof(backup), "%s.bak", x->path);
    if (r == 0 && (r = fd_write_file(x->next, view_str(text), 0600, e)) == 0 &&
        (r = check(x, e)) == 0 && (r = unchanged(x, e)) == 0 &&
        (!had || ((r = fd_write_file(backup, buf_view(&x->old), 0600, e)) == 0 &&
                  (r = give_back(backup, &st, e)) == 0)) &&
        (r = give_back(x->next, &st, e)) == 0 && rename(x->next, x->path) < 0)
        r = err_sys(e, "%s", x->path);
    if (r < 0)
        (void)unlink(x->next);
    if (text) {
        mem_wipe(text, strlen(text));
        mem_free(text);
    }
    return r;
}

/* ---- what is in it ---- */

/* The member as an object, made when absent. */
static json_t *child(json_t *of, struct view key)
{
    json_t *have = json_object_getn(of, key.p, key.n);

    if (!have && json_object_setn_new(of, key.p, key.n, json_object()) == 0)
        have = json_object_getn(of, key.p, key.n);
    return json_is_object(have) ? have : NULL;
}

static json_t *section(struct edit *x)
{
    json_t *all = child(x->doc, V("channels")),
           *had = json_object_getn(all, x->channel.p, x->channel.n), *own, *accounts;
    bool single = json_object_size(had) > 0 && !json_object_get(had, "accounts");

    if (!all || !(own = child(all, x->channel)) || !x->account.n ||
        (!json_object_get(own, "accounts") && view_eq(x->account, V("default"))))
        return all ? own : NULL;
    if (!(accounts = child(own, V("accounts"))))
        return NULL;
    if (single && !child(accounts, V("default"))) /* what was alone so far goes on */
        return NULL;
    return child(accounts, x->account);
}

static bool is_secret(struct view key)
{
    static const char *const ends[] = {"token", "password", "secret", "apikey", "privatekey"};

    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        size_t n = strlen(ends[i]);

        if (key.n >= n && strncasecmp(key.p + key.n - n, ends[i], n) == 0)
            return true;
    }
    return false;
}

/* Where a secret is, not the secret: ${NAME} or {source, id}. */
static bool is_reference(struct view v)
{
    return view_starts(v, V("${")) || view_starts(v, V("{"));
}

/* JSON where it looks like it, text otherwise. */
static json_t *value_of(struct view v)
{
    json_t *doc = NULL;
    struct err e = ERR_INIT;

    if (v.n && (strchr("[{-0123456789", v.p[0]) || view_eq(v, V("true")) || view_eq(v, V("false"))))
        if (json5_parse(v, &doc, &e) < 0)
            doc = NULL;
    return doc ? doc : json_stringn(v.p, v.n);
}

static int ask(struct view key, json_t **out, struct err *e)
{
    char prompt[KEY_BYTES + 4], text[SECRET_BYTES];
    int n;

    (void)snprintf(prompt, sizeof(prompt), "%.*s: ", VIEW_FMT(key));
    n = ctl_read_secret(prompt, text, sizeof(text));
    if (n > 0)
        *out = json_stringn(text, (size_t)n);
    mem_wipe(text, sizeof(text));
    return n > 0 && *out ? 0 : err_set(e, ERR_INVALID, "%.*s: no value was given", VIEW_FMT(key));
}

static int set_key(json_t *own, struct view word, struct err *e)
{
    size_t eq = view_find(word, '=');
    struct view key = view_of(word.p, eq);
    char at[KEY_BYTES + 1];
    json_t *value = NULL;
    int r;

    if (key.n == 0 || key.n > KEY_BYTES)
        return err_set(e, ERR_INVALID, "KEY=VALUE is meant, not \"%.*s\"", VIEW_FMT(word));
    (void)snprintf(at, sizeof(at), "%.*s", VIEW_FMT(key));
    if (eq < word.n && is_secret(key) && !is_reference(view_from(word, eq + 1)))
        return err_set(e, ERR_INVALID,
                       "%s is a secret: others on this machine see arguments. Write it without a "
                       "value, and it is asked for (or read from standard input)",
                       at);
    if (eq == word.n) {
        if ((r = ask(key, &value, e)) < 0)
            return r;
    } else if (!(value = value_of(view_from(word, eq + 1)))) {
        return err_set(e, ERR_INVALID, "%s: not UTF-8", at);
    }
    return json_set_at(own, at, value, e);
}

/* ---- the commands ---- */

static int finish(struct edit *x, const char *what, struct err *e)
{
    const char *name = x->account.n ? "/" : "";

    if (write_file(x, e) < 0)
        return fail(e);
    if (x->c->json) {
        json_t *doc = json_pack("{s:s, s:s%, s:s%, s:s}", "path", x->path, "channel", x->channel.p,
                                x->channel.n, "accountId", x->account.n ? x->account.p : "default",
                                x->account.n ? x->account.n : sizeof("default") - 1, "done", what);

        ctl_print_json(doc);
        json_decref(doc);
        return 0;
    }
    (void)printf("%.*s%s%.*s: %s in %s (before: %s.bak; comments are not kept)\n"
                 "a running gateway takes it up by itself: openclawctl channels status\n",
                 VIEW_FMT(x->channel), name, VIEW_FMT(x->account), what, x->path, x->path);
    return 0;
}

/* The file cannot be ours: what its owner has to do. Never a value, which might be a secret. */
static int say_lines(const struct edit *x, bool add, char **words, int n)
{
    (void)fprintf(stderr,
                  "openclawctl: the configuration is not this user's to write, and channels.* "
                  "cannot be set over the network. In the gateway's openclaw.json %s:\n",
                  add ? "belongs" : "remove");
    (void)fprintf(stderr, "  channels: { %.*s: { ", VIEW_FMT(x->channel));
    if (x->account.n)
        (void)fprintf(stderr, "accounts: { %.*s: { ", VIEW_FMT(x->account));
    for (int i = 0; i < n; i++) {
        size_t eq = view_find(view_str(words[i]), '=');

        (void)fprintf(stderr, "\"%.*s\": ..., ", (int)eq, words[i]);
    }
    (void)fprintf(stderr, "%s} } }\n", x->account.n ? "} " : "");
    return 1;
}

static bool is_ours(const struct edit *x)
{
    char dir[PATH_MAX], *slash;

    if (!ctl_is_here(x->c))
        return false;
    (void)snprintf(dir, sizeof(dir), "%s", x->path);
    if ((slash = strrchr(dir, '/')))
        slash[slash == dir] = '\0';
    return access(x->path, F_OK) < 0 ? access(dir, W_OK) == 0
                                     : access(x->path, W_OK) == 0 && access(dir, W_OK) == 0;
}

static int add(struct edit *x, char **words, int n, struct err *e)
{
    json_t *own = section(x);

    if (!own) {
        (void)err_set(e, ERR_INVALID, "%s: channels.%.*s is no section", x->path,
                      VIEW_FMT(x->channel));
        return fail(e);
    }
    for (int i = 0; i < n; i++)
        if (set_key(own, view_str(words[i]), e) < 0) {
            (void)fail(e);
            return 2;
        }
    return finish(x, "written", e);
}

static int take_away(struct edit *x, struct err *e)
{
    json_t *all = json_object_get(x->doc, "channels"),
           *own = json_object_getn(all, x->channel.p, x->channel.n),
           *accounts = json_object_get(own, "accounts");
    bool alone = json_object_size(accounts) == 0 && view_eq(x->account, V("default"));
    int r = -1;

    if (x->account.n == 0 || alone) {
        r = json_object_deln(all, x->channel.p, x->channel.n);
    } else if ((r = json_object_deln(accounts, x->account.p, x->account.n)) == 0 &&
               json_object_size(accounts) == 0) {
        /* without accounts the channel's keys would be an account themselves */
        r = json_object_deln(all, x->channel.p, x->channel.n);
    }
    if (r < 0) {
        (void)err_set(e, ERR_NOT_FOUND, "%s: there is no %.*s%s%.*s", x->path, VIEW_FMT(x->channel),
                      x->account.n ? "/" : "", VIEW_FMT(x->account));
        return fail(e);
    }
    return finish(x, "removed", e);
}

int channel_config(struct ctl *c, const char *word, int argc, char **argv)
{
    struct edit x = {.c = c, .old = BUF_INIT(JSON5_TEXT_MAX)};
    bool adds = strcmp(word, "add") == 0;
    struct err e = ERR_INIT;
    char *words[64];
    int n = 0, code;

    x.old.secret = true;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--account") == 0 && i + 1 < argc)
            x.account = view_str(argv[++i]);
        else if (n < (int)COUNT_OF(words) && argv[i][0] != '-')
            words[n++] = argv[i];
        else
            return ctl_usage("channels");
    }
    if (n < 1 || (!adds && n > 1))
        return ctl_usage("channels");
    x.channel = view_str(words[0]);
    if (view_find(x.channel, '/') < x.channel.n && !x.account.n) {
        x.account = view_from(x.channel, view_find(x.channel, '/') + 1);
        x.channel.n = view_find(x.channel, '/');
    }
    if (!is_id(x.channel) || (x.account.n && !is_id(x.account))) {
        (void)fprintf(stderr, "openclawctl: names of channels and accounts are letters, digits, - "
                              "and _, at most 64\n");
        return 2;
    }
    json_wiping(true);
    if (!ctl_is_here(c) || open_file(&x, &e) < 0)
        code =
            ctl_is_here(c) && e.code != ERR_SYS ? fail(&e) : say_lines(&x, adds, words + 1, n - 1);
    else if (!is_ours(&x))
        code = say_lines(&x, adds, words + 1, n - 1);
    else
        code = adds ? add(&x, words + 1, n - 1, &e) : take_away(&x, &e);
    json_decref(x.doc);
    buf_fini(&x.old);
    return code;
}
