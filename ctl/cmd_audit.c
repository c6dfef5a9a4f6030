/*
 * ctl/cmd_audit.c - security audit: what is exposed, weak, unsandboxed or readable by others, each
 * with the command that mends it. Looks at the files, and at the running gateway when there is one.
 * Exit: 0 nothing, 1 something weak, 2 something that lets strangers in.
 */
#include "ctl.h"

#include "fd.h"
#include "json5.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum severity { NOTE, WARN, CRITICAL };

enum { PATH_BYTES = 8192, TOKEN_SHORT = 16, TOKEN_OPEN = 8 };

struct audit {
    struct ctl *ctl;
    json_t *found;
    enum severity worst;
    const json_t *conf; /* may be NULL */
    const char *conf_path;
};

static void say(struct audit *a, enum severity s, const char *id, const char *what,
                const char *where, const char *mend)
{
    static const char *const names[] = {"note", "warning", "critical"};

    if (s > a->worst)
        a->worst = s;
    (void)json_array_append_new(a->found,
                                json_pack("{s:s, s:s, s:s, s:s, s:s}", "severity", names[s], "id",
                                          id, "what", what, "where", where, "mend", mend));
}

/* ---- files ---- */

static void file(struct audit *a, const char *path, unsigned allowed, const char *what)
{
    char mend[PATH_BYTES + 32];
    struct stat st;

    if (lstat(path, &st) < 0)
        return;
    (void)snprintf(mend, sizeof(mend), "chmod %o %s", allowed, path);
    if (st.st_mode & ~allowed & 022)
        say(a, CRITICAL, "file.writable", what, path, mend);
    else if (st.st_mode & ~allowed & 055)
        say(a, WARN, "file.readable", what, path, mend);
}

static void files(struct audit *a)
{
    static const struct {
        const char *name, *what;
        unsigned mode;
    } in_state[] = {
        {"", "others can look into the state folder", 0700},
        {"gateway.token", "others can read the gateway's token", 0600},
        {"state.mdb", "others can read sessions and devices", 0600},
        {"gateway/tls/gateway-key.pem", "others can read the private key", 0600},
    };
    char path[PATH_BYTES];

    for (size_t i = 0; i < sizeof(in_state) / sizeof(in_state[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s%s%s", a->ctl->state_dir,
                       *in_state[i].name ? "/" : "", in_state[i].name);
        file(a, path, in_state[i].mode, in_state[i].what);
    }
    file(a, a->conf_path, 0600, "others can read or change the configuration");
}

/* ---- configuration ---- */

static struct view at(const struct audit *a, const char *path)
{
    return a->conf ? json_view_of(json_at(a->conf, path)) : VIEW_EMPTY;
}

static bool on(const struct audit *a, const char *path)
{
    return a->conf && json_is_true(json_at(a->conf, path));
}

static void mend_conf(struct audit *a, enum severity s, const char *id, const char *what,
                      const char *key, const char *value)
{
    char mend[PATH_BYTES + 256];

    (void)snprintf(mend, sizeof(mend), "set %s to %s in %s", key, value, a->conf_path);
    say(a, s, id, what, key, mend);
}

static void reach(struct audit *a)
{
    struct view bind = at(a, "gateway.bind"), mode = at(a, "gateway.auth.mode");
    bool open = bind.n && !view_eq(bind, V("loopback")) && !view_eq(bind, V("auto"));

    if (open && !on(a, "gateway.tls.enabled"))
        mend_conf(a, WARN, "bind.clear",
                  "the port is open to the network in clear text: secrets can be overheard",
                  "gateway.tls.enabled", "true, or gateway.bind to \"loopback\"");
    if (view_eq(mode, V("none")))
        mend_conf(a, open ? CRITICAL : WARN, "auth.none",
                  "every program that reaches the port commands the agent", "gateway.auth.mode",
                  "\"token\"");
}

static void secrets(struct audit *a)
{
    struct view token = at(a, "gateway.auth.token"), password = at(a, "gateway.auth.password");
    bool literal = token.n && !memmem(token.p, token.n, "${", 2);

    if (literal && token.n < TOKEN_SHORT)
        mend_conf(a, token.n < TOKEN_OPEN ? CRITICAL : WARN, "token.short",
                  "the token can be guessed", "gateway.auth.token",
                  "nothing: the gateway makes a good one itself");
    else if (literal)
        mend_conf(a, NOTE, "token.literal", "the token is written in the configuration",
                  "gateway.auth.token", "\"${OPENCLAW_GATEWAY_TOKEN}\" or to nothing");
    if (password.n && password.p[0] != '$')
        mend_conf(a, WARN, "password.plain", "the password is in clear text",
                  "gateway.auth.password", "what openclawctl auth hash prints");
}

static bool lists(const json_t *list, const char *word)
{
    json_t *v;
    size_t i;

    json_array_foreach(list, i, v)
    {
        if (view_eq(json_view_of(v), view_str(word)))
            return true;
    }
    return false;
}

static void pages(struct audit *a)
{
    if (lists(json_at(a->conf, "gateway.controlUi.allowedOrigins"), "*"))
        mend_conf(a, CRITICAL, "origin.any", "pages of every site may connect",
                  "gateway.controlUi.allowedOrigins", "the origins you use");
    if (on(a, "gateway.controlUi.dangerouslyAllowHostHeaderOriginFallback"))
        mend_conf(a, CRITICAL, "origin.host", "DNS rebinding lets pages of other sites connect",
                  "gateway.controlUi.dangerouslyAllowHostHeaderOriginFallback", "false");
    if (on(a, "gateway.controlUi.dangerouslyDisableDeviceAuth"))
        mend_conf(a, CRITICAL, "ui.no_device", "control pages need no device from anywhere",
                  "gateway.controlUi.dangerouslyDisableDeviceAuth", "false");
    if (on(a, "gateway.controlUi.allowInsecureAuth"))
        mend_conf(a, WARN, "ui.insecure", "control pages of this machine need no device",
                  "gateway.controlUi.allowInsecureAuth", "false");
}

static void proxies(struct audit *a)
{
    const json_t *nets = json_at(a->conf, "gateway.trustedProxies");

    if (lists(nets, "0.0.0.0/0") || lists(nets, "::/0"))
        mend_conf(a, CRITICAL, "proxy.any", "everybody is believed to be a proxy",
                  "gateway.trustedProxies", "the proxy's own address");
    if (on(a, "gateway.auth.trustedProxy.allowLoopback"))
        mend_conf(a, WARN, "proxy.loopback", "programs of this machine can claim to be any user",
                  "gateway.auth.trustedProxy.allowLoopback", "false");
    if (on(a, "gateway.auth.trustedProxy.deviceAutoApprove.enabled") &&
        lists(json_at(a->conf, "gateway.auth.trustedProxy.deviceAutoApprove.scopes"),
              "operator.admin"))
        mend_conf(
            a, CRITICAL, "proxy.auto_admin", "every user of the proxy can become an administrator",
            "gateway.auth.trustedProxy.deviceAutoApprove.scopes", "a list without operator.admin");
}

static void tailnet(struct audit *a)
{
    bool mode = view_eq(at(a, "gateway.auth.mode"), V("tailscale"));

    if (!mode && !on(a, "gateway.auth.allowTailscale"))
        return;
    say(a, NOTE, "tailscale.host_trusted",
        "programs of this machine can claim to be a user of the tailnet",
        mode ? "gateway.auth.mode" : "gateway.auth.allowTailscale",
        "let nothing run here that you do not trust, or use mode token");
    if (!json_array_size(json_at(a->conf, "gateway.auth.tailscale.allowUsers")))
        mend_conf(a, WARN, "tailscale.everybody", "every user of the tailnet may command the agent",
                  "gateway.auth.tailscale.allowUsers", "the users who may");
    if (lists(json_at(a->conf, "gateway.trustedProxies"), "127.0.0.1"))
        mend_conf(a, WARN, "tailscale.proxied",
                  "another proxy on this machine is believed beside tailscale serve",
                  "gateway.trustedProxies", "nothing");
}

static void configuration(struct audit *a)
{
    reach(a);
    secrets(a);
    if (a->conf) {
        pages(a);
        proxies(a);
        tailnet(a);
    }
    if (!view_eq(at(a, "sandbox.mode"), V("required")))
        mend_conf(a, NOTE, "sandbox.best_effort", "a missing layer of the sandbox is only logged",
                  "sandbox.mode", "\"required\"");
}

/* ---- the running gateway ---- */

static void processes(struct audit *a, const json_t *status)
{
    const json_t *list = json_at(status, "fleet.processes"), *p;
    char where[128];
    size_t i;

    json_array_foreach(list, i, p)
    {
        const json_t *s = json_object_get(p, "sandbox");
        bool lacks = json_array_size(json_object_get(s, "missing")) || json_view(s, "missing").n;

        if (s && !lacks)
            continue;
        (void)snprintf(where, sizeof(where), "%.32s, pid %lld",
                       json_string_length(json_object_get(p, "role"))
                           ? json_string_value(json_object_get(p, "role"))
                           : "worker",
                       (long long)json_i64(p, "pid", 0));
        say(a, WARN, "sandbox.missing", "a process lacks a layer of its sandbox", where,
            "openclawctl status --sandbox shows which; set sandbox.mode to \"required\"");
    }
}

static void devices(struct audit *a, const json_t *list)
{
    const json_t *d;
    unsigned admins = 0;
    size_t i;

    json_array_foreach(json_object_get(list, "paired"), i, d) admins +=
        lists(json_object_get(d, "scopes"), "operator.admin");
    if (admins > 5)
        say(a, NOTE, "devices.admins", "more than five devices are administrators", "devices",
            "openclawctl devices list; openclawctl devices remove DEVICE");
    if (json_array_size(json_object_get(list, "pending")))
        say(a, NOTE, "devices.pending", "devices ask to be let in", "devices",
            "openclawctl devices list");
}

static void running(struct audit *a)
{
    struct client_conf conf = ctl_client(a->ctl);
    struct client *cl = NULL;
    struct err e = ERR_INIT;
    json_t *got;

    if (client_open(&cl, &conf, &e) < 0) {
        say(a, NOTE, "gateway.unseen", e.text, "gateway", "openclawd");
        return;
    }
    if ((got = ctl_call(cl, "status", NULL)))
        processes(a, got);
    json_decref(got);
    if ((got = ctl_call(cl, "device.pair.list", NULL)))
        devices(a, got);
    json_decref(got);
    client_close(&cl);
}

static void put_found(const struct audit *a)
{
    const json_t *f;
    size_t i;

    json_array_foreach(a->found, i, f)
    {
        (void)printf("%-8.*s  ", VIEW_FMT(json_view(f, "severity")));
        ctl_put_text(json_view(f, "what"));
        (void)printf("  [");
        ctl_put_text(json_view(f, "where"));
        (void)printf("]\n          mend: ");
        ctl_put_text(json_view(f, "mend"));
        (void)putchar('\n');
    }
    if (!json_array_size(a->found))
        (void)puts("nothing found");
}

int cmd_security(struct ctl *c, int argc, char **argv)
{
    struct audit a = {.ctl = c};
    char path[PATH_BYTES];
    struct err e = ERR_INIT;
    json_t *conf, *shown;

    if (argc != 2 || strcmp(argv[1], "audit") != 0)
        return ctl_usage(argv[0]);
    if (!(a.found = json_array()))
        return 2;
    conf = ctl_config(c, path, sizeof(path), &e);
    a.conf = conf;
    a.conf_path = path;
    if (!conf && e.code && e.code != ERR_NOT_FOUND)
        say(&a, WARN, "config.unreadable", e.text, path, "openclawctl config check");
    files(&a);
    configuration(&a);
    running(&a);
    if (c->json) {
        shown = json_pack("{s:i, s:O}", "exit", (int)a.worst, "findings", a.found);
        ctl_print_json(shown);
        json_decref(shown);
    } else {
        put_found(&a);
    }
    json_decref(a.found);
    json_decref(conf);
    return (int)a.worst;
}
