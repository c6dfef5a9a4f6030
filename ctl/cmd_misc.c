/* ctl/cmd_misc.c - call, config, token, completion. */
#include "ctl.h"

#include "buf.h"
#include "mem.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PARAMS_MAX = 26 * 1024 * 1024 };

static int read_stdin(struct buf *b, struct err *e)
{
    for (;;) {
        char *room = buf_room(b, 65536);
        ssize_t n;

        if (!room)
            return buf_check(b, e);
        n = read(STDIN_FILENO, room, 65536);
        if (n < 0)
            return err_sys(e, "standard input");
        if (n == 0)
            return 0;
        buf_added(b, (size_t)n);
    }
}

int cmd_call(struct ctl *c, int argc, char **argv)
{
    json_t *params = NULL, *out;
    struct client *cl;
    struct err e = ERR_INIT;
    struct buf b;
    int r = 0;

    if (argc < 2 || argc > 3)
        return ctl_usage(argv[0]);
    if (argc == 3) {
        buf_init(&b, PARAMS_MAX);
        if (strcmp(argv[2], "-") == 0)
            r = read_stdin(&b, &e);
        else
            buf_put_str(&b, argv[2]);
        if (r == 0)
            r = json_parse(buf_view(&b), &params, &e);
        buf_fini(&b);
        if (r < 0) {
            (void)fprintf(stderr, "openclawctl: parameters: %s\n", e.text);
            return 2;
        }
    }
    if (!(cl = ctl_connect(c))) {
        json_decref(params);
        return 1;
    }
    out = ctl_call(cl, argv[1], params);
    client_close(&cl);
    if (!out)
        return 1;
    ctl_print_json(out);
    json_decref(out);
    return 0;
}

/* The file is checked by the program that will read it, so that both always say the same. */
int ctl_check_config(struct ctl *c)
{
    char exe[PATH_MAX], *slash, check[] = "--check-config", config[] = "--config",
                                state[] = "--state-dir";
    ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - sizeof("/openclawd"));
    char *args[8] = {NULL};
    int k = 0;

    if (n <= 0)
        return 1;
    exe[n] = 0;
    slash = strrchr(exe, '/');
    if (slash)
        memcpy(slash, "/openclawd", sizeof("/openclawd"));
    args[k++] = exe;
    args[k++] = check;
    if (c->config) {
        args[k++] = config;
        args[k++] = mem_dup(c->config, strlen(c->config));
    }
    args[k++] = state;
    args[k++] = mem_dup(c->state_dir, strlen(c->state_dir));
    (void)fflush(stdout);
    (void)execv(exe, args);
    (void)execvp("openclawd", args);
    (void)fprintf(stderr,
                  "openclawctl: openclawd is neither beside this program nor in the PATH\n");
    return 1;
}

int cmd_config(struct ctl *c, int argc, char **argv)
{
    struct client *cl;
    json_t *got;
    const json_t *shown;

    if (argc == 2 && strcmp(argv[1], "check") == 0)
        return ctl_check_config(c);
    if (argc == 2 && strcmp(argv[1], "path") == 0) {
        if (c->config)
            (void)puts(c->config);
        else
            (void)printf("%s/openclaw.json\n", c->state_dir);
        return 0;
    }
    if (argc < 2 || argc > 3 || strcmp(argv[1], "get") != 0)
        return ctl_usage(argv[0]);
    if (!(cl = ctl_connect(c)))
        return 1;
    got = ctl_call(cl, "config.get", NULL);
    client_close(&cl);
    if (!got)
        return 1;
    shown = json_object_get(got, "config");
    if (argc == 3)
        shown = json_at(shown, argv[2]);
    if (!shown) {
        (void)fprintf(stderr, "openclawctl: %s is not set\n", argv[2]);
        json_decref(got);
        return 1;
    }
    if (json_is_string(shown) && !c->json) {
        ctl_put_text(json_view_of(shown));
        (void)putchar('\n');
    } else {
        ctl_print_json(shown);
    }
    json_decref(got);
    return 0;
}

int cmd_token(struct ctl *c, int argc, char **argv)
{
    if (argc > 1)
        return ctl_usage(argv[0]);
    if (!c->token.n) {
        (void)fprintf(stderr,
                      "openclawctl: no token found; the gateway makes one at its first start in "
                      "%s/gateway.token\n",
                      c->state_dir);
        return 1;
    }
    if (c->json)
        (void)printf("{\"token\":\"%.*s\"}\n", (int)c->token.n, (const char *)c->token.p);
    else
        (void)printf("%s/gateway.token, unless the configuration sets gateway.auth.token\n",
                     c->state_dir);
    return 0;
}

/* As a part of an address (RFC 3986): everything but letters and digits escaped. */
static void put_escaped(struct view v)
{
    for (size_t i = 0; i < v.n; i++) {
        unsigned char x = (unsigned char)v.p[i];

        if ((x >= '0' && x <= '9') || (x >= 'A' && x <= 'Z') || (x >= 'a' && x <= 'z'))
            (void)putchar(x);
        else
            (void)printf("%%%02X", x);
    }
}

int cmd_page(struct ctl *c, int argc, char **argv)
{
    bool with_token = argc == 2 && strcmp(argv[1], "--with-token") == 0;
    char path[4096];
    struct err e = ERR_INIT;
    json_t *doc;
    struct view base;

    if (argc > 1 && !with_token)
        return ctl_usage(argv[0]);
    if (with_token && !c->token.n) {
        (void)fprintf(stderr, "openclawctl: no token found; see openclawctl token\n");
        return 1;
    }
    doc = ctl_config(c, path, sizeof(path), &e); /* on another machine: none, the page is at / */
    base = json_view_of(json_at(doc, "gateway.controlUi.basePath"));
    (void)printf("http%s://%s%s%s:%u%.*s/", c->tls ? "s" : "", strchr(c->host, ':') ? "[" : "",
                 c->host, strchr(c->host, ':') ? "]" : "", c->port, VIEW_FMT(base));
    /* behind the #: a browser sends that to nobody, and the page removes it at once */
    if (with_token) {
        (void)printf("#token=");
        put_escaped(view_of((const char *)c->token.p, c->token.n));
    }
    (void)putchar('\n');
    json_decref(doc);
    return 0;
}

int cmd_completion(struct ctl *c, int argc, char **argv)
{
    (void)c;
    if (argc != 2 || strcmp(argv[1], "bash") != 0)
        return ctl_usage(argv[0]);
    (void)printf("_openclawctl() {\n    local cur=${COMP_WORDS[COMP_CWORD]} words=\"");
    for (const struct ctl_command *k = ctl_commands; k->name; k++)
        (void)printf("%s ", k->name);
    (void)puts(
        "--url --token --state-dir --config --timeout --tls-fingerprint --json --help --version\"\n"
        "    case ${COMP_WORDS[COMP_CWORD-1]} in\n"
        "    config) words=\"check get path\" ;;\n"
        "    completion) words=bash ;;\n"
        "    deliveries) words=\"list show retry drop\" ;;\n"
        "    route) words=\"- --explain --channel --account --peer-kind --peer --guild --team "
        "--roles --parent --config\" ;;\n"
        "    --config) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n"
        "    --state-dir) COMPREPLY=($(compgen -d -- \"$cur\")); return ;;\n"
        "    esac\n"
        "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
        "}\n"
        "complete -F _openclawctl openclawctl");
    return 0;
}
