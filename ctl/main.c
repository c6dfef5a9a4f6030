/*
 * ctl/main.c - openclawctl, the administrator's tool. Speaks the gateway's own protocol as a local
 * client. Trusts: its user. Holds: the gateway's token while it runs.
 */
#include "ctl.h"

#include "buf.h"
#include "fd.h"
#include "json5.h"
#include "mem.h"
#include "num.h"
#include "version.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

const struct ctl_command ctl_commands[] = {
    {"status", "[--sandbox]", "processes, model, sessions, who is connected; or how each is caged",
     cmd_status},
    {"health", "", "the gateway's own health answer; exit 0 when it is well", cmd_health},
    {"chat", "[--session KEY] [--attach FILE ...] [MESSAGE]",
     "send a message, files with it, and print the answer as it comes", cmd_chat},
    {"history", "[SESSION] [--limit N]", "what was said in a session (default: main)", cmd_history},
    {"sessions", "[--limit N] [--search TEXT]", "list sessions, newest first", cmd_sessions},
    {"config", "check|get [KEY]|path", "check the file as a start would, or show what is in force",
     cmd_config},
    {"page", "[--with-token]",
     "address of the control page; with the token in it a browser goes in without asking",
     cmd_page},
    {"token", "", "where the gateway's token is kept; --json prints it", cmd_token},
    {"devices", "list|approve|reject|remove|rename|rotate|revoke [ID] [LABEL|ROLE]",
     "paired devices and those that ask; the start of an id will do", cmd_devices},
    {"auth", "status|hash|rotate-token",
     "how clients come in; a hash for gateway.auth.password; a new token", cmd_auth},
    {"security", "audit", "what is exposed or weak, and what mends it; exit 0, 1 or 2",
     cmd_security},
    {"channels",
     "list|status|probe|start|stop|logout|logs|remove [CHANNEL[/ACCOUNT]]|add CHANNEL "
     "[KEY=VALUE|KEY ...] [--account A]|check COMMAND",
     "accounts of chat platforms: how they are, and their switch", cmd_channels},
    {"message",
     "send|poll|react|edit|delete --target WHERE [--channel C] [--account A] [--message TEXT] "
     "[--media FILE|URL ...] [--as-voice] [--gif-playback] [--force-document] [--message-id ID] "
     "[--emoji E] [--poll-question Q --poll-option O ...] [--buttons JSON]",
     "say something on a platform, ask a question there, change what was said", cmd_message},
    {"pairing", "list|approve|dismiss [CHANNEL] [CODE] [--account A] [--notify]",
     "who asks to be let in on a channel", cmd_pairing},
    {"deliveries", "list [STATE]|show ID|retry ID|drop ID",
     "outgoing messages: waiting, set aside, or gone", cmd_deliveries},
    {"logs", "[--grep TEXT] [--limit N] [--follow]",
     "newest log lines, those with a run's or request's id in them, or as they come", cmd_logs},
    {"call", "METHOD [PARAMS]", "call any method; PARAMS is JSON, - reads it from standard input",
     cmd_call},
    {"route", "[--config FILE] [--explain] -|--channel ID ...",
     "which agent answers a message: JSON lines, or in words with --explain", cmd_route},
    {"import", "DIR [--dry-run] [--json]",
     "take over an OpenClaw home: sessions, jobs, devices; it is only read", cmd_import},
    {"completion", "bash", "shell completion: source <(openclawctl completion bash)",
     cmd_completion},
    {NULL, NULL, NULL, NULL},
};

enum { HELP_AT = 39 }; /* column of what a command is for */

static void help(void)
{
    (void)puts("usage: openclawctl [options] COMMAND ...\n");
    for (const struct ctl_command *k = ctl_commands; k->name; k++) {
        int n = printf("  %s %s", k->name, k->args);

        if (n > HELP_AT - 2) { /* a long one has its sentence below it */
            (void)puts("");
            n = 0;
        }
        (void)printf("%*s%s\n", HELP_AT - n, "", k->help);
    }
    (void)puts(
        "\noptions\n"
        "  --url ws://HOST:PORT   the gateway; default: this machine, the configuration's port\n"
        "  --token T              default: OPENCLAW_GATEWAY_TOKEN, the configuration's, or "
        "gateway.token\n"
        "                         in the state folder\n"
        "  --state-dir DIR        default: OPENCLAW_STATE_DIR or ~/.openclaw\n"
        "  --config FILE          default: OPENCLAW_CONFIG_PATH or openclaw.json in the state "
        "folder\n"
        "  --timeout SECONDS      for each answer; default 30\n"
        "  --tls-fingerprint HEX  SHA-256 the gateway's certificate must have\n"
        "  --json                 print documents instead of text\n"
        "  --version, --help\n"
        "\nexit: 0 done, 1 the gateway said no or is not there, 2 wrong usage");
}

int ctl_usage(const char *command)
{
    for (const struct ctl_command *k = ctl_commands; k->name; k++)
        if (strcmp(k->name, command) == 0)
            (void)fprintf(stderr, "usage: openclawctl %s %s\n       %s\n", k->name, k->args,
                          k->help);
    return 2;
}

void ctl_print_json(const json_t *doc)
{
    (void)json_dumpf(doc, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
    (void)putchar('\n');
}

void ctl_put_text(struct view v)
{
    for (size_t i = 0; i < v.n; i++) {
        unsigned char ch = (unsigned char)v.p[i];

        if ((ch < 0x20 && ch != '\n' && ch != '\t') || ch == 0x7f)
            (void)printf("\\x%02x", ch);
        else
            (void)putchar(ch);
    }
}

/* ws://host:port, http://host:port or host:port; wss and https for TLS */
static int take_url(struct ctl *c, struct view url, struct err *e)
{
    static const struct view schemes[] = {
        {"ws://", 5}, {"http://", 7}, {"wss://", 6}, {"https://", 8}};
    size_t colon;

    for (size_t i = 0; i < COUNT_OF(schemes); i++)
        if (view_starts(url, schemes[i])) {
            c->tls = i >= 2;
            url = view_from(url, schemes[i].n);
        }
    url.n = view_find(url, '/');
    for (colon = url.n; colon > 0 && url.p[colon - 1] != ':'; colon--)
        ;
    if (colon > 0 && !(url.n && url.p[url.n - 1] == ']')) {
        if (num_u32(view_from(url, colon), 1, 65535, &c->port, e) < 0)
            return err_wrap(e, "--url: port");
        url.n = colon - 1;
    }
    if (url.n > 2 && url.p[0] == '[' && url.p[url.n - 1] == ']')
        url = view_of(url.p + 1, url.n - 2);
    if (url.n == 0 || url.n >= sizeof(c->host))
        return err_set(e, ERR_INVALID, "--url: no host; it looks like ws://127.0.0.1:18789");
    (void)snprintf(c->host, sizeof(c->host), "%.*s", VIEW_FMT(url));
    return 0;
}

static bool is_here(const char *host)
{
    return strcmp(host, "127.0.0.1") == 0 || strcmp(host, "::1") == 0 ||
           strcmp(host, "localhost") == 0;
}

bool ctl_is_here(const struct ctl *c)
{
    return is_here(c->host);
}

/* The certificate the gateway of this folder shows; unreadable: the authorities decide. */
static void pin_from_files(struct ctl *c, const json_t *configured)
{
    const char *path = json_string_value(configured), *home = getenv("HOME");
    struct err e = ERR_INIT;
    char file[8192];

    if (!path)
        (void)snprintf(file, sizeof(file), "%s/gateway/tls/gateway-cert.pem", c->state_dir);
    else if (path[0] == '~' && path[1] == '/' && home)
        (void)snprintf(file, sizeof(file), "%s%s", home, path + 1);
    else
        (void)snprintf(file, sizeof(file), "%s", path);
    if (wire_pin_file(file, c->pin, &e) < 0)
        c->pin[0] = 0;
}

json_t *ctl_config(const struct ctl *c, char *path, size_t room, struct err *e)
{
    struct buf b = BUF_INIT(JSON5_TEXT_MAX);
    json_t *doc = NULL;

    b.secret = true;
    if (c->config)
        (void)snprintf(path, room, "%s", c->config);
    else
        (void)snprintf(path, room, "%s/openclaw.json", c->state_dir);
    if (fd_read_file(path, JSON5_TEXT_MAX, &b, e) < 0 || json5_parse(buf_view(&b), &doc, e) < 0)
        doc = NULL;
    buf_fini(&b);
    return doc;
}

/* Port and token as the gateway has them: from its configuration file, then from the token it made
 * itself. */
static void from_files(struct ctl *c, bool want_port, bool want_tls)
{
    char path[8192];
    struct buf b;
    struct err e = ERR_INIT;
    json_t *doc = NULL, *v;

    buf_init(&b, JSON5_TEXT_MAX);
    b.secret = true;
    if ((doc = ctl_config(c, path, sizeof(path), &e))) {
        if (want_port && (v = json_at(doc, "gateway.port")) && json_is_integer(v) &&
            json_integer_value(v) > 0 && json_integer_value(v) < 65536)
            c->port = (unsigned)json_integer_value(v);
        if (!c->token.n && (v = json_at(doc, "gateway.auth.token")) && json_string_length(v) &&
            json_string_value(v)[0] != '$' && secret_set(&c->token, json_view_of(v), &e) < 0)
            (void)fprintf(stderr, "%s\n", e.text);
    }
    if (want_tls && json_is_true(json_at(doc, "gateway.tls.enabled")))
        c->tls = true;
    if (c->tls && !c->pin[0] && (want_tls || is_here(c->host)))
        pin_from_files(c, json_at(doc, "gateway.tls.certPath"));
    json_decref(doc);
    buf_reset(&b, 0);
    if (!c->token.n) {
        (void)snprintf(path, sizeof(path), "%s/gateway.token", c->state_dir);
        if (fd_read_file(path, 4096, &b, &e) == 0 &&
            secret_set(&c->token, view_trim(buf_view(&b)), &e) < 0)
            (void)fprintf(stderr, "%s\n", e.text);
    }
    buf_fini(&b);
}

struct client_conf ctl_client(const struct ctl *c)
{
    return (struct client_conf){.host = c->host,
                                .port = c->port,
                                .tls = c->tls,
                                .pin = c->pin,
                                .token = &c->token,
                                .password = getenv("OPENCLAW_GATEWAY_PASSWORD"),
                                .timeout_ms = c->timeout_ms};
}

struct client *ctl_connect(struct ctl *c)
{
    struct client_conf conf = ctl_client(c);
    struct client *cl = NULL;
    struct err e = ERR_INIT;

    if (client_open(&cl, &conf, &e) == 0)
        return cl;
    (void)fprintf(stderr, "openclawctl: %s\n", e.text);
    if (e.code == ERR_SYS)
        (void)fprintf(
            stderr,
            "Is the gateway running? Start it with: openclawd (or systemctl start openclaw)\n");
    else if (e.code == ERR_DENIED)
        (void)fprintf(
            stderr,
            "Show the token with --token, OPENCLAW_GATEWAY_TOKEN, or run where its state folder is "
            "readable (--state-dir).\n");
    return NULL;
}

json_t *ctl_call(struct client *cl, const char *method, json_t *params)
{
    struct err e = ERR_INIT;
    json_t *out = NULL;

    if (client_call(cl, method, params, &out, &e) < 0)
        (void)fprintf(stderr, "openclawctl: %s\n", e.text);
    json_decref(params);
    return out;
}

int main(int argc, char **argv)
{
    enum { O_URL = 1, O_TOKEN, O_STATE, O_CONFIG, O_TIMEOUT, O_PIN, O_JSON, O_HELP, O_VERSION };
    static const struct option longs[] = {
        {"url", required_argument, NULL, O_URL},
        {"token", required_argument, NULL, O_TOKEN},
        {"state-dir", required_argument, NULL, O_STATE},
        {"config", required_argument, NULL, O_CONFIG},
        {"timeout", required_argument, NULL, O_TIMEOUT},
        {"tls-fingerprint", required_argument, NULL, O_PIN},
        {"json", no_argument, NULL, O_JSON},
        {"help", no_argument, NULL, O_HELP},
        {"version", no_argument, NULL, O_VERSION},
        {NULL, 0, NULL, 0},
    };
    struct ctl c = {.host = "127.0.0.1", .port = 18789, .timeout_ms = 30000};
    struct err e = ERR_INIT;
    const char *v, *url = getenv("OPENCLAW_GATEWAY_URL");
    const struct ctl_command *k;
    uint32_t n;
    int o, code;

    c.state_dir = getenv("OPENCLAW_STATE_DIR");
    c.config = getenv("OPENCLAW_CONFIG_PATH");
    opterr = 0;
    while ((o = getopt_long(argc, argv, "+", longs, NULL)) != -1) {
        switch (o) {
        case O_URL:
            url = optarg;
            break;
        case O_TOKEN:
            if (secret_set(&c.token, view_str(optarg), &e) < 0)
                break;
            memset(optarg, '*', strlen(optarg));
            break;
        case O_STATE:
            c.state_dir = optarg;
            break;
        case O_CONFIG:
            c.config = optarg;
            break;
        case O_TIMEOUT:
            if (num_u32(view_str(optarg), 1, 3600, &n, &e) == 0)
                c.timeout_ms = n * 1000;
            break;
        case O_PIN:
            if (wire_pin_parse(view_str(optarg), c.pin, &e) < 0)
                (void)err_wrap(&e, "--tls-fingerprint");
            break;
        case O_JSON:
            c.json = true;
            break;
        case O_HELP:
            help();
            return 0;
        case O_VERSION:
            (void)puts("openclawctl " OPENCLAW_C_VERSION " (speaks as " OPENCLAW_WIRE_VERSION ")");
            return 0;
        default:
            (void)fprintf(
                stderr,
                "openclawctl: %s: unknown option or missing value; see openclawctl --help\n",
                argv[optind - 1]);
            return 2;
        }
    }
    if (!e.code && url && *url && take_url(&c, view_str(url), &e) < 0)
        e.code = ERR_INVALID;
    if (e.code) {
        (void)fprintf(stderr, "openclawctl: %s\n", e.text);
        return 2;
    }
    if (optind >= argc) {
        help();
        return 2;
    }
    if (!c.state_dir || !*c.state_dir) {
        v = getenv("HOME");
        (void)snprintf(c.state_dir_buf, sizeof(c.state_dir_buf), "%s/.openclaw",
                       v && *v ? v : "/root");
        c.state_dir = c.state_dir_buf;
    }
    if (!c.token.n && (v = getenv("OPENCLAW_GATEWAY_TOKEN")) && *v &&
        secret_set(&c.token, view_str(v), &e) < 0)
        return 1;
    if ((v = getenv("OPENCLAW_GATEWAY_PORT")) && (!url || !*url) &&
        num_u32(view_str(v), 1, 65535, &n, &e) == 0)
        c.port = n;
    from_files(&c, (!url || !*url) && !(v && *v), !url || !*url);
    c.color = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
    for (k = ctl_commands; k->name && strcmp(k->name, argv[optind]) != 0; k++)
        ;
    if (!k->name) {
        (void)fprintf(stderr, "openclawctl: %s: no such command; see openclawctl --help\n",
                      argv[optind]);
        code = 2;
    } else {
        code = k->run(&c, argc - optind, argv + optind);
    }
    secret_fini(&c.token);
    return code;
}
