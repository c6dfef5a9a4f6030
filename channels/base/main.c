/*
 * channels/base/main.c - one account of one chat platform. Which platform: the struct channel_ops
 * this program is linked with. Trusts: supervisor and hub; nothing that a platform says. Holds:
 * this account's credential and no other. May: connect to its platform's ports, look up names.
 * Dies: alone; what was not safe with the hub the platform says again, what it was sending the hub
 * judges.
 */
#include "chan_http.h"
#include "chan_stream.h"
#include "chan_tls.h"
#include "channel_int.h"
#include "draft.h"
#include "media.h"

#include "curl_api.h"
#include "forkserver.h"
#include "json.h"
#include "log.h"
#include "pages.h"

#include <malloc.h>

enum { TRIM_MS = 500 };

struct life {
    struct channel c;
    struct loop_timer trim, leave;
};

static int read_conf(struct channel *c, struct err *e)
{
    json_t *runtime = json_object_get(c->w.conf, "runtime"), *section;

    c->id = json_string_value(json_object_get(runtime, "channel"));
    c->account = json_string_value(json_object_get(runtime, "account"));
    section = json_object_get(json_object_get(c->w.conf, "channels"), c->id ? c->id : "");
    section = json_object_get(section, "accounts");
    c->conf = json_object_get(section, c->account ? c->account : "");
    if (json_is_object(c->conf) && json_object_size(section) == 1)
        return 0;
    c->w.exit_code = 2;
    return err_set(e, ERR_INVALID, "no account is told to us, or another one, too");
}

static int prepare(struct channel *c, struct err *e)
{
    struct err why = ERR_INIT;
    int r;

    if ((r = life_open(c, e)) < 0 || (r = in_open(c, e)) < 0)
        return r;
    if (c->ops->needs & CHANNEL_NEEDS_TLS && (r = chan_stream_init(c, e)) < 0)
        return r;
    if (c->ops->needs & CHANNEL_NEEDS_HTTP && (r = chan_http_init(c, e)) < 0)
        return r;
    if (c->ops->prepare(c, &why) < 0) /* shown as the account's state; a restart would not help */
        channel_fatal(c, "%s", why.text);
    else
        c->prepared = true;
    return 0;
}

static void on_trim(void *ctx)
{
    (void)ctx;
    pages_release(); /* what only the start needed */
}

static void on_leave(void *ctx)
{
    struct life *l = ctx;

    if (out_idle(&l->c)) {
        worker_leave(&l->c.w);
        return;
    }
    loop_timer_set(&l->leave, 10);
}

/* What the platform has in its hands may still be answered; nothing new is begun. */
static void on_stop(void *ctx, uint32_t grace_ms)
{
    struct life *l = ctx;

    (void)grace_ms;
    on_leave(l);
}

static const struct ipc_handlers channel_on = {.channel_begin = life_on_begin,
                                               .resume_ack = life_on_resume_ack,
                                               .channel_do = life_on_do,
                                               .hook = hook_on_message,
                                               .deliver_media = media_on_deliver,
                                               .deliver = out_on_deliver,
                                               .deliver_ack = out_on_ack,
                                               .draft = draft_on_message,
                                               .inbound_ack = in_on_ack,
                                               .inbound_want = in_on_want};

/* What every account of the platform loads anyway. A failure is told by the account that meets it.
 */
static void load(void)
{
    const struct curl_api *curl;
    struct err e = ERR_INIT;

    if (channel_platform.needs & CHANNEL_NEEDS_HTTP && curl_api_load(&curl, &e) < 0)
        return;
    if (channel_platform.needs & (CHANNEL_NEEDS_HTTP | CHANNEL_NEEDS_TLS) && chan_tls_load(&e) < 0)
        return;
    pages_release();
}

int main(int argc, char **argv)
{
    static struct life l = {.c = {.w = WORKER_INIT(CHANNEL)}};
    struct channel *c = &l.c;
    struct sandbox cage = {.allow = SB_CONNECT};
    struct err e = ERR_INIT;

    (void)mallopt(M_ARENA_MAX, 1); /* resolver threads would each begin a heap of their own */
    if (forkserver_asked(argc, argv)) {
        load();
        forkserver_run(argc, argv);
    }
    c->ops = &channel_platform;
    c->w.on_peer = life_on_peer;
    c->w.on_stop = on_stop;
    if (worker_open(&c->w, &channel_on, &e) < 0 || worker_recv_config(&c->w, &e) < 0 ||
        read_conf(c, &e) < 0)
        goto fail;
    loop_timer_init(&l.trim, c->w.loop, on_trim, &l);
    loop_timer_init(&l.leave, c->w.loop, on_leave, &l);
    if (prepare(c, &e) < 0)
        goto fail;
    cage.ports = c->ports;
    cage.port_count = c->port_n;
    if (worker_sandbox(&c->w, &cage, &e) < 0 || worker_ready(&c->w, &e) < 0)
        goto fail;
    loop_timer_set(&l.trim, TRIM_MS);
    if (worker_run(&c->w, &e) < 0)
        goto fail;
    goto out;
fail:
    worker_fail(&c->w, &e);
out:
    if (c->prepared && c->ops->close)
        c->ops->close(c);
    chan_http_fini(c);
    in_close(c);
    media_close(c);
    out_close(c);
    draft_close(c);
    life_close(c);
    if (l.trim.loop) {
        loop_timer_fini(&l.trim);
        loop_timer_fini(&l.leave);
    }
    worker_fini(&c->w);
    return c->w.exit_code;
}
