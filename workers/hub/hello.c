#include "hello.h"

#include "canvas.h"
#include "clock.h"
#include "health.h"
#include "presence.h"
#include "settings.h"
#include "tick.h"

enum {
    HELLO_PART_MAX = 256 * 1024,
    MAX_PAYLOAD_BYTES = 26214400, /* protocol, 1.2 */
    MAX_BUFFERED_BYTES = 52428800,
    ATTACHMENT_BYTES = 19464192, /* (MAX_PAYLOAD_BYTES - 262144) * 3 / 4 */
    ATTACHMENT_IMAGE_BYTES = 6291456,
};

/* What this gateway sends. */
static const char *const events[] = {"connect.challenge",
                                     "agent",
                                     "chat",
                                     "health",
                                     "presence",
                                     "tick",
                                     "shutdown",
                                     "session.message",
                                     "sessions.changed",
                                     "device.pair.requested",
                                     "device.pair.resolved",
                                     "device.pair.changed",
                                     "device.pair.setup.completed"};

struct hello {
    struct buf head;     /* behind the protocol's number, up to server.connId, its quote open */
    struct buf features; /* from the end of connId up to the value of snapshot.presence */
    struct buf defaults; /* ,"sessionDefaults":{...} */
    struct buf admin;    /* ,"configPath":...: for admins only */
    struct buf policy;   /* from policy's key to the end of the frame */
};

static void write_head(struct hub *h, struct buf *b)
{
    buf_put_view(b, V(",\"server\":{\"version\":\""));
    jw_escape(b, view_str(h->settings->wire_version));
    buf_put_view(b, V("\",\"bootId\":\""));
    buf_put_str(b, h->boot_id);
    buf_put_view(b, V("\",\"connId\":\""));
}

static void write_features(struct buf *b)
{
    struct jw w = JW_INIT(b);

    buf_put_view(b, V("\"},\"features\":"));
    jw_obj(&w);
    jw_key(&w, "methods");
    jw_arr(&w);
    for (unsigned i = 0; i < RPC_COUNT; i++)
        if (!(rpc_row((enum rpc_index)i)->flags & RPC_HIDDEN))
            jw_str(&w, rpc_row((enum rpc_index)i)->name);
    jw_arr_end(&w);
    jw_key(&w, "events");
    jw_arr(&w);
    for (size_t i = 0; i < COUNT_OF(events); i++)
        jw_cstr(&w, events[i]);
    jw_arr_end(&w);
    jw_obj_end(&w);
    buf_put_view(b, V(",\"snapshot\":{\"presence\":"));
}

static void write_defaults(struct hub *h, struct buf *b)
{
    const char *agent = h->settings->agents[h->settings->default_agent].id;
    struct jw w = JW_INIT(b);

    buf_put_view(b, V(",\"sessionDefaults\":"));
    jw_obj(&w);
    jw_kcstr(&w, "defaultAgentId", agent);
    jw_kbool(&w, "modelConfigured", h->settings->model_configured);
    jw_kcstr(&w, "ownership", h->settings->agent_count == 1 ? "sole" : "explicit");
    jw_kbool(&w, "selectionRequired", false);
    jw_kcstr(&w, "mainKey", "main");
    jw_key(&w, "mainSessionKey");
    jw_str_open(&w);
    buf_put_view(b, V("agent:"));
    jw_escape(b, view_str(agent));
    buf_put_view(b, V(":main"));
    jw_str_close(&w);
    jw_kcstr(&w, "scope", "per-sender");
    jw_obj_end(&w);
}

static void write_admin(struct hub *h, struct buf *b)
{
    struct jw w = JW_INIT(b);

    w.depth = 1; /* continues an object */
    w.has_item = 1u << 1;
    if (h->settings->config_hash)
        jw_kcstr(&w, "appliedConfigHash", h->settings->config_hash);
    jw_kcstr(&w, "configPath", h->settings->config_path);
    jw_kcstr(&w, "stateDir", h->settings->state_dir);
    jw_kcstr(&w, "authMode", h->settings->auth_mode_name);
}

static void write_policy(struct buf *b)
{
    buf_printf(b,
               ",\"policy\":{\"maxPayload\":%d,\"maxBufferedBytes\":%d,\"tickIntervalMs\":%d,"
               "\"attachments\":{\"maxBytes\":%d,\"maxImageBytes\":%d},"
               "\"hasMultipleSessionSharingIdentities\":false}}}",
               MAX_PAYLOAD_BYTES, MAX_BUFFERED_BYTES, TICK_MS, ATTACHMENT_BYTES,
               ATTACHMENT_IMAGE_BYTES);
}

int hello_open(struct hub *h, struct err *e)
{
    struct hello *he = NULL;
    int r;

    if ((r = mem_new(&he, sizeof(*he), e)) < 0)
        return r;
    buf_init(&he->head, HELLO_PART_MAX);
    buf_init(&he->features, HELLO_PART_MAX);
    buf_init(&he->defaults, HELLO_PART_MAX);
    buf_init(&he->admin, HELLO_PART_MAX);
    buf_init(&he->policy, HELLO_PART_MAX);
    hello_close(h); /* at a reload there is an older one */
    h->hello = he;
    write_head(h, &he->head);
    write_features(&he->features);
    write_defaults(h, &he->defaults);
    write_admin(h, &he->admin);
    write_policy(&he->policy);
    if ((r = buf_check(&he->head, e)) < 0 || (r = buf_check(&he->features, e)) < 0 ||
        (r = buf_check(&he->defaults, e)) < 0 || (r = buf_check(&he->admin, e)) < 0 ||
        (r = buf_check(&he->policy, e)) < 0)
        return err_wrap(e, "hello");
    return 0;
}

void hello_close(struct hub *h)
{
    struct hello *he = h->hello;

    if (!he)
        return;
    buf_fini(&he->head);
    buf_fini(&he->features);
    buf_fini(&he->defaults);
    buf_fini(&he->admin);
    buf_fini(&he->policy);
    mem_free(he);
    h->hello = NULL;
}

void hello_write(struct hub *h, const struct conn *c, struct view auth, struct buf *out)
{
    const struct hello *he = h->hello;
    struct jw w = JW_INIT(out);
    bool reads = c->who.scopes & SCOPE_READ;

    buf_put_view(out, V("\"ok\":true,\"payload\":{\"type\":\"hello-ok\",\"protocol\":"));
    buf_put_u64(out, c->protocol);
    buf_put_view(out, buf_view(&he->head));
    buf_put_str(out, c->conn_uuid);
    buf_put_view(out, buf_view(&he->features));
    if (reads)
        presence_write(h, &w);
    else
        buf_put_view(out, V("[]"));
    buf_put_view(out, V(",\"health\":"));
    buf_put_view(out, reads ? health_text(h) : V("{}"));
    buf_put_view(out, V(",\"stateVersion\":{\"presence\":"));
    buf_put_u64(out, h->state_presence);
    buf_put_view(out, V(",\"health\":"));
    buf_put_u64(out, h->state_health);
    buf_put_view(out, V("},\"uptimeMs\":"));
    buf_put_i64(out, clock_wall_ms() - h->started_ms);
    buf_put_view(out, buf_view(&he->defaults));
    if (c->who.scopes & SCOPE_ADMIN)
        buf_put_view(out, buf_view(&he->admin));
    buf_put_char(out, '}');
    canvas_hello(h, c, out);
    buf_put_view(out, V(",\"auth\":"));
    buf_put_view(out, auth);
    buf_put_view(out, buf_view(&he->policy));
}
