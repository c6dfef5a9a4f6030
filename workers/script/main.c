/*
 * workers/script/main.c - runs the transforms of hooks: JavaScript modules that the operator wrote,
 * in node, which the operator installed. Trusts: supervisor and hub; of node no word. Holds: what
 * the hooks under way bring, no secret. May: talk to its child. The child: has no network (a
 * namespace and Landlock), writes no file, reads what its user may. Dies: harmlessly; who waits is
 * told, the next request starts both anew.
 */
#include "json.h"
#include "log.h"
#include "mem.h"
#include "script.h"
#include "worker.h"

struct script {
    struct worker w; /* first: every handler's ctx */
    struct scripts *node;
};

static void on_answer(void *ctx, uint64_t req, unsigned result, struct view text)
{
    struct script *s = ctx;
    struct link *hub = worker_peer(&s->w, ROLE_HUB);
    struct err e = ERR_INIT;

    if (hub &&
        msg_send_script_answer(
            hub, &(struct ipc_script_answer){.req = req, .result = (uint8_t)result, .answer = text},
            &e) < 0)
        log_warn("script.untold", KV("why", e.text));
}

static void on_broken(void *ctx, const char *why)
{
    struct script *s = ctx;
    struct err e = ERR_INIT;

    (void)err_set(&e, ERR_CLOSED, "node: %s", why);
    worker_fail(&s->w, &e);
    worker_leave(&s->w);
}

static int on_script_ask(void *ctx, struct link *from, struct ipc_script_ask *m, struct err *e)
{
    struct script *s = ctx;
    struct err why = ERR_INIT;

    (void)from;
    if (scripts_ask(s->node, m->req, m->ask, &why) == 0)
        return 0;
    if (why.code == ERR_INVALID)
        return err_set(e, why.code, "%s", why.text);
    on_answer(s, m->req, SCRIPT_BUSY, view_str(why.text));
    return 0;
}

static const struct ipc_handlers script_on = {.script_ask = on_script_ask};

int main(void)
{
    static const struct scripts_on on = {.answer = on_answer, .broken = on_broken};
    static const struct sandbox cage = {.allow = SB_NONE};
    struct script s = {.w = WORKER_INIT(SCRIPT)};
    struct err e = ERR_INIT;

    if (worker_open(&s.w, &script_on, &e) < 0 || worker_recv_config(&s.w, &e) < 0 ||
        scripts_new(&s.node, s.w.loop, json_string_value(json_at(s.w.conf, "hooks.transformsNode")),
                    &on, &s, &e) < 0 ||
        worker_sandbox(&s.w, &cage, &e) < 0 || worker_ready(&s.w, &e) < 0)
        goto fail;
    scripts_listen(s.node);
    if (worker_run(&s.w, &e) == 0)
        goto out;
fail:
    worker_fail(&s.w, &e);
out:
    scripts_free(&s.node);
    worker_fini(&s.w);
    return s.w.exit_code;
}
