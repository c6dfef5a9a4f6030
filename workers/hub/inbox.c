#include "inbox.h"

#include "api.h"
#include "api_embed.h"
#include "auth.h"
#include "brought.h"
#include "canvas.h"
#include "chanalarm.h"
#include "channels.h"
#include "chanpair.h"
#include "deliveries.h"
#include "dispatch.h"
#include "draft.h"
#include "fetch.h"
#include "file_get.h"
#include "hook_script.h"
#include "http.h"
#include "http_channel.h"
#include "inbound.h"
#include "job.h"
#include "json.h"
#include "log.h"
#include "logs.h"
#include "media.h"
#include "metrics.h"
#include "tailnet.h"
#include "tools.h"

static bool is_stale(const struct hub *h, const struct link *l)
{
    return hub_front(h, link_instance(l)) != l;
}

static int on_connect(void *ctx, struct link *from, struct ipc_connect *m, struct err *e)
{
    return is_stale(ctx, from) ? 0 : auth_on_connect(ctx, from, m, e);
}

static int on_http_ask(void *ctx, struct link *from, struct ipc_http_ask *m, struct err *e)
{
    return is_stale(ctx, from) ? 0 : http_on_ask(ctx, from, m, e);
}

static int on_http_body(void *ctx, struct link *from, struct ipc_http_body *m, struct err *e)
{
    return is_stale(ctx, from) ? 0 : http_on_body(ctx, from, m, e);
}

static int on_http_gone(void *ctx, struct link *from, struct ipc_http_gone *m, struct err *e)
{
    (void)e;
    return is_stale(ctx, from) ? 0 : http_on_gone(ctx, from, m);
}

static int on_http_taken(void *ctx, struct link *from, struct ipc_http_taken *m, struct err *e)
{
    (void)e;
    return is_stale(ctx, from) ? 0 : http_on_taken(ctx, from, m);
}

static int on_whois_answer(void *ctx, struct link *from, struct ipc_whois_answer *m, struct err *e)
{
    (void)from;
    return tailnet_on_answer(ctx, m, e);
}

static int on_fetched(void *ctx, struct link *from, struct ipc_fetched *m, struct err *e)
{
    return fetches_on_file(ctx, from, m, e);
}

static int on_fetch_failed(void *ctx, struct link *from, struct ipc_fetch_failed *m, struct err *e)
{
    return fetches_on_failed(ctx, from, m, e);
}

static int on_script_answer(void *ctx, struct link *from, struct ipc_script_answer *m,
                            struct err *e)
{
    return hook_scripts_on_answer(ctx, from, m, e);
}

static int on_file_answer(void *ctx, struct link *from, struct ipc_file_answer *m, struct err *e)
{
    return file_gets_on_answer(ctx, from, m, e);
}

static int on_file_part(void *ctx, struct link *from, struct ipc_file_part *m, struct err *e)
{
    return file_gets_on_part(ctx, from, m, e);
}

static int on_folder_changed(void *ctx, struct link *from, struct ipc_folder_changed *m,
                             struct err *e)
{
    (void)from;
    (void)e;
    if (m->which == FOLDER_CANVAS)
        canvas_changed(ctx);
    return 0;
}

static int on_embed_done(void *ctx, struct link *from, struct ipc_embed_done *m, struct err *e)
{
    return api_embed_on_done(ctx, from, m, e);
}

static int on_conn_resume(void *ctx, struct link *from, struct ipc_conn_resume *m, struct err *e)
{
    if (is_stale(ctx, from))
        return 0;
    if (m->conn_id == 0) {
        runs_on_front_back(ctx, from);
        return 0;
    }
    return conn_on_resume(ctx, from, m, e);
}

static int on_conn_gone(void *ctx, struct link *from, struct ipc_conn_gone *m, struct err *e)
{
    (void)e;
    if (!is_stale(ctx, from)) {
        tailnet_forget(ctx, link_instance(from), m->conn_id);
        conn_remove(ctx, link_instance(from), m->conn_id);
    }
    return 0;
}

static int on_rpc(void *ctx, struct link *from, struct ipc_rpc *m, struct err *e)
{
    return is_stale(ctx, from) ? 0 : dispatch_on_rpc(ctx, from, m, e);
}

static int on_run_begin(void *ctx, struct link *from, struct ipc_run_begin *m, struct err *e)
{
    return run_on_begin(ctx, from, m, e);
}

static int on_run_status(void *ctx, struct link *from, struct ipc_run_status *m, struct err *e)
{
    return run_on_status(ctx, from, m, e);
}

static int on_run_delta(void *ctx, struct link *from, struct ipc_run_delta *m, struct err *e)
{
    return run_on_delta(ctx, from, m, e);
}

static int on_run_resume(void *ctx, struct link *from, struct ipc_run_resume *m, struct err *e)
{
    return run_on_resume(ctx, from, m, e);
}

static int on_run_done(void *ctx, struct link *from, struct ipc_run_done *m, struct err *e)
{
    return run_on_done(ctx, from, m, e);
}

static int on_channel_state(void *ctx, struct link *from, struct ipc_channel_state *m,
                            struct err *e)
{
    int r = deliveries_on_state(ctx, from, m, e);

    http_channel_paths(ctx);
    chanalarm_look(ctx);
    return r;
}

static int on_usage(void *ctx, struct link *from, struct ipc_usage *m, struct err *e)
{
    (void)from, (void)e;
    metrics_on_usage(ctx, m);
    return 0;
}

static int on_stats(void *ctx, struct link *from, struct ipc_stats *m, struct err *e)
{
    (void)e;
    metrics_on_stats(ctx, from, m);
    return 0;
}

static int on_hook_answer(void *ctx, struct link *from, struct ipc_hook_answer *m, struct err *e)
{
    return http_channel_on_answer(ctx, from, m, e);
}

static int on_deliver_result(void *ctx, struct link *from, struct ipc_deliver_result *m,
                             struct err *e)
{
    return deliveries_on_result(ctx, from, m, e);
}

static int on_inbound(void *ctx, struct link *from, struct ipc_inbound *m, struct err *e)
{
    return inbound_on_message(ctx, from, m, e);
}

static int on_inbound_media(void *ctx, struct link *from, struct ipc_inbound_media *m,
                            struct err *e)
{
    return brought_on_media(ctx, from, m, e);
}

static int on_draft_shown(void *ctx, struct link *from, struct ipc_draft_shown *m, struct err *e)
{
    return draft_on_shown(ctx, from, m, e);
}

static int on_channel_did(void *ctx, struct link *from, struct ipc_channel_did *m, struct err *e)
{
    return channels_on_did(ctx, from, m, e);
}

static int on_pairing_ask(void *ctx, struct link *from, struct ipc_pairing_ask *m, struct err *e)
{
    return chanpair_on_ask(ctx, from, m, e);
}

static int on_resume_put(void *ctx, struct link *from, struct ipc_resume_put *m, struct err *e)
{
    return channels_on_resume(ctx, from, m, e);
}

static int on_job_state(void *ctx, struct link *from, struct ipc_job_state *m, struct err *e)
{
    (void)from;
    return job_on_state(ctx, m, e);
}

static int on_log_lines(void *ctx, struct link *from, struct ipc_log_lines *m, struct err *e)
{
    (void)from;
    return logs_on_lines(ctx, m, e);
}

static int on_fleet(void *ctx, struct link *from, struct ipc_fleet *m, struct err *e)
{
    struct hub *h = ctx;
    json_t *doc = NULL;
    int r;

    (void)from;
    if ((r = json_parse(m->state, &doc, e)) < 0)
        return r;
    json_decref(h->fleet);
    h->fleet = doc;
    chanalarm_look(h);
    return 0;
}

static int on_config_written(void *ctx, struct link *from, struct ipc_config_written *m,
                             struct err *e)
{
    (void)from;
    return config_on_written(ctx, m, e);
}

static int on_agent_files_done(void *ctx, struct link *from, struct ipc_agent_files_done *m,
                               struct err *e)
{
    (void)from;
    return agent_files_on_done(ctx, m, e);
}

const struct ipc_handlers hub_inbox = {
    .connect = on_connect,
    .hook_answer = on_hook_answer,
    .usage = on_usage,
    .stats = on_stats,
    .http_ask = on_http_ask,
    .http_body = on_http_body,
    .http_gone = on_http_gone,
    .http_taken = on_http_taken,
    .embed_done = on_embed_done,
    .script_answer = on_script_answer,
    .file_answer = on_file_answer,
    .file_part = on_file_part,
    .folder_changed = on_folder_changed,
    .whois_answer = on_whois_answer,
    .fetched = on_fetched,
    .fetch_failed = on_fetch_failed,
    .conn_resume = on_conn_resume,
    .conn_gone = on_conn_gone,
    .rpc = on_rpc,
    .run_begin = on_run_begin,
    .run_status = on_run_status,
    .run_delta = on_run_delta,
    .run_resume = on_run_resume,
    .run_done = on_run_done,
    .job_state = on_job_state,
    .channel_state = on_channel_state,
    .deliver_result = on_deliver_result,
    .inbound = on_inbound,
    .inbound_media = on_inbound_media,
    .resume_put = on_resume_put,
    .pairing_ask = on_pairing_ask,
    .channel_did = on_channel_did,
    .draft_shown = on_draft_shown,
    .fleet = on_fleet,
    .config_written = on_config_written,
    .agent_files_done = on_agent_files_done,
    .log_lines = on_log_lines,
};
