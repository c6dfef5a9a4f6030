/*
 * workers/whois/main.c - asks tailscaled who has an address, for the hub, which decides what that
 * is good for. Trusts: supervisor and hub; of tailscaled's bytes only a name that it has checked.
 * Holds: nothing but questions under way. May: connect to that one socket. Dies: harmlessly; who
 * waits for an answer is refused and asks again.
 */
#include "ask.h"
#include "cage.h"
#include "json.h"
#include "log.h"
#include "worker.h"

#include <stdlib.h>
#include <string.h>

struct whois {
    struct worker w; /* first: every handler's ctx */
    struct asks *asks;
    bool mounted; /* the socket lies in our root, as it was when we started */
};

static const struct sandbox whois_sandbox = {.allow = SB_NONE};

static void on_answer(void *ctx, uint64_t req, enum ask_result r, const char *login)
{
    struct whois *s = ctx;
    struct link *hub = worker_peer(&s->w, ROLE_HUB);
    struct ipc_whois_answer m = {.req = req, .result = WHOIS_FAILED};
    struct err e = ERR_INIT;

    if (r == ASK_FOUND) {
        m.result = WHOIS_FOUND;
        m.login = view_str(login);
    } else if (r == ASK_NOBODY) {
        m.result = WHOIS_NOBODY;
    }
    if (hub && msg_send_whois_answer(hub, &m, &e) < 0)
        log_error("whois.answer_lost", KV("why", e.text));
    if (r != ASK_UNREACHABLE)
        return;
    log_warn("tailscaled.unreachable");
    /* a tailscaled that started anew has made a new socket, and only our successor will see it */
    if (s->mounted)
        worker_leave(&s->w);
}

static int on_whois(void *ctx, struct link *from, struct ipc_whois *m, struct err *e)
{
    struct whois *s = ctx;

    (void)from;
    (void)e;
    asks_add(s->asks, m->req, m->addr);
    return 0;
}

static const struct ipc_handlers whois_on = {.whois = on_whois};

static int open_asks(struct whois *s, struct err *e)
{
    const char *cage = getenv(CAGE_ENV);
    const char *path = json_string_value(json_at(s->w.conf, "gateway.tailscale.socket"));

    s->mounted = cage && strstr(cage, CAGE_ENV_ROOT);
    if (s->mounted || !path)
        path = s->mounted ? "/" CAGE_SOCKET : CAGE_TAILSCALED;
    return asks_new(&s->asks, s->w.loop, path, on_answer, s, e);
}

int main(void)
{
    struct whois s = {.w = WORKER_INIT(WHOIS)};
    struct err e = ERR_INIT;

    if (worker_open(&s.w, &whois_on, &e) < 0 || worker_recv_config(&s.w, &e) < 0 ||
        open_asks(&s, &e) < 0 || worker_sandbox(&s.w, &whois_sandbox, &e) < 0 ||
        worker_ready(&s.w, &e) < 0 || worker_run(&s.w, &e) < 0)
        worker_fail(&s.w, &e);
    asks_free(&s.asks);
    worker_fini(&s.w);
    return s.w.exit_code;
}
