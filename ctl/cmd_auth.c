/* ctl/cmd_auth.c - auth: by what clients come in, a hash for a password, a new token. */
#include "ctl.h"

#include "buf.h"
#include "fd.h"
#include "json5.h"
#include "mem.h"
#include "rand.h"

#include <crypt.h>
#include <stdio.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

enum { PASSWORD_MIN = 12, PASSWORD_MAX = 511, TOKEN_BYTES = 24, PATH_BYTES = 8192 };

int ctl_read_secret(const char *prompt, char *out, size_t room)
{
    bool tty = isatty(STDIN_FILENO);
    struct termios was, quiet;
    int n = 0, ch;

    if (tty && tcgetattr(STDIN_FILENO, &was) == 0) {
        quiet = was;
        quiet.c_lflag &= ~(tcflag_t)ECHO;
        (void)fprintf(stderr, "%s", prompt);
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    }
    while ((ch = getchar()) != EOF && ch != '\n' && (size_t)n < room - 1)
        out[n++] = (char)ch;
    out[n] = '\0';
    if (tty) {
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &was);
        (void)fputc('\n', stderr);
    }
    return ch == '\n' || ch == EOF ? n : -1;
}

static int print_hash(struct ctl *c, const char *text)
{
    char salt[CRYPT_GENSALT_OUTPUT_SIZE];
    struct crypt_data *data = mem_alloc(sizeof(*data));
    const char *hash = NULL;

    /* the library's own choice first (yescrypt in Debian), then bcrypt */
    if (data && (crypt_gensalt_rn(NULL, 0, NULL, 0, salt, sizeof(salt)) ||
                 crypt_gensalt_rn("$2b$", 12, NULL, 0, salt, sizeof(salt))))
        hash = crypt_r(text, salt, data);
    if (!hash || hash[0] != '$') {
        (void)fprintf(stderr, "openclawctl: libcrypt of this machine made no hash\n");
        mem_free(data);
        return 1;
    }
    if (c->json)
        (void)printf("{\"hash\":\"%s\"}\n", hash);
    else
        (void)puts(hash);
    mem_wipe(data, sizeof(*data));
    mem_free(data);
    return 0;
}

static int hash(struct ctl *c)
{
    char first[PASSWORD_MAX + 2], again[PASSWORD_MAX + 2];
    int n = ctl_read_secret("Password: ", first, sizeof(first)), code = 2;

    if (n < 0 || n > PASSWORD_MAX)
        (void)fprintf(stderr, "openclawctl: a password has at most %d bytes\n", PASSWORD_MAX);
    else if (n == 0)
        (void)fprintf(stderr, "openclawctl: no password given\n");
    else if (isatty(STDIN_FILENO) &&
             (ctl_read_secret("Again: ", again, sizeof(again)) != n || strcmp(first, again) != 0))
        (void)fprintf(stderr, "openclawctl: these are not the same\n");
    else
        code = print_hash(c, first);
    if (code == 0 && n < PASSWORD_MIN)
        (void)fprintf(stderr,
                      "openclawctl: that is short; %d characters and more are hard to guess\n",
                      PASSWORD_MIN);
    mem_wipe(first, sizeof(first));
    mem_wipe(again, sizeof(again));
    return code;
}

/* A token in the configuration is its owner's to change. */
static bool token_configured(const struct ctl *c)
{
    char path[PATH_BYTES];
    struct err e = ERR_INIT;
    json_t *doc = ctl_config(c, path, sizeof(path), &e);
    bool set = json_at(doc, "gateway.auth.token") != NULL;

    if (set)
        (void)fprintf(stderr,
                      "openclawctl: the token is set in %s (gateway.auth.token); change "
                      "it there\n",
                      path);
    json_decref(doc);
    return set;
}

static int rotate(struct ctl *c)
{
    char path[PATH_BYTES], token[2 * TOKEN_BYTES + 2];
    struct err e = ERR_INIT;
    struct stat st;
    int r;

    if (token_configured(c))
        return 1;
    (void)snprintf(path, sizeof(path), "%s/gateway.token", c->state_dir);
    if (stat(path, &st) < 0) {
        (void)fprintf(stderr, "openclawctl: %s: not there; the gateway makes one at its start\n",
                      path);
        return 1;
    }
    rand_hex(token, TOKEN_BYTES);
    token[2 * TOKEN_BYTES] = '\n';
    r = fd_write_file(path, view_of(token, 2 * TOKEN_BYTES + 1), 0600, &e);
    if (r == 0 && st.st_uid != geteuid() && geteuid() == 0 && chown(path, st.st_uid, st.st_gid) < 0)
        r = err_sys(&e, "%s: give it back to its owner", path);
    mem_wipe(token, sizeof(token));
    if (r < 0) {
        (void)fprintf(stderr, "openclawctl: %s\n", e.text);
        return 1;
    }
    if (c->json)
        (void)printf("{\"path\":\"%s\"}\n", path);
    else
        (void)printf("a new token is in %s; a running gateway takes it at once and ends the "
                     "connections that used the old one\n",
                     path);
    return 0;
}

/* What the configuration says; the wire calls it "token". NULL: no tailscale. */
static const char *tailscale_of(const json_t *conf)
{
    struct view mode = json_view_of(json_at(conf, "gateway.auth.mode"));

    if (view_eq(mode, V("tailscale")))
        return "only";
    return json_is_true(json_at(conf, "gateway.auth.allowTailscale")) &&
                   (!mode.n || view_eq(mode, V("token")) || view_eq(mode, V("password")))
               ? "beside"
               : NULL;
}

static int status(struct ctl *c)
{
    char path[PATH_BYTES];
    struct err e = ERR_INIT;
    json_t *conf = ctl_config(c, path, sizeof(path), &e);
    const char *tailscale = tailscale_of(conf);
    struct client *cl = ctl_connect(c);
    const json_t *mode;
    json_t *devices, *shown;

    if (!cl) {
        json_decref(conf);
        return 1;
    }
    mode = json_at(client_hello(cl), "snapshot.authMode");
    devices = ctl_call(cl, "device.pair.list", NULL);
    shown = json_pack("{s:s, s:s, s:I, s:I, s:s}", "mode",
                      json_string_length(mode) ? json_string_value(mode) : "unknown", "method",
                      json_string_value(json_at(client_hello(cl), "auth.method")), "paired",
                      (json_int_t)json_array_size(json_object_get(devices, "paired")), "pending",
                      (json_int_t)json_array_size(json_object_get(devices, "pending")), "stateDir",
                      c->state_dir);
    client_close(&cl);
    if (shown && tailscale)
        (void)json_object_set_new(shown, "tailscale", json_string(tailscale));
    json_decref(conf);
    if (shown && c->json)
        ctl_print_json(shown);
    else if (shown)
        (void)printf("mode      %s\nthis came in by %s\ndevices   %zu paired, %zu ask\ntoken     "
                     "%s/gateway.token, unless the configuration sets gateway.auth.token\n",
                     json_string_value(json_object_get(shown, "mode")),
                     json_string_value(json_object_get(shown, "method")),
                     json_array_size(json_object_get(devices, "paired")),
                     json_array_size(json_object_get(devices, "pending")), c->state_dir);
    if (shown && tailscale && !c->json)
        (void)printf("tailscale %s\n", strcmp(tailscale, "only") == 0
                                           ? "from other machines only through tailscale serve; "
                                             "the token is for programs on this one"
                                           : "users of the tailnet come in through tailscale "
                                             "serve, too");
    json_decref(devices);
    json_decref(shown);
    return shown ? 0 : 1;
}

int cmd_auth(struct ctl *c, int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "hash") == 0)
        return hash(c);
    if (argc == 2 && strcmp(argv[1], "rotate-token") == 0)
        return rotate(c);
    if (argc == 1 || (argc == 2 && strcmp(argv[1], "status") == 0))
        return status(c);
    return ctl_usage(argv[0]);
}
