#include "hub_drive.h"

#include "clock.h"
#include "fd.h"
#include "json.h"
#include "mem.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

enum { FRONTS = 4 };

const char hub_drive_token[] = "test-token-0123456789";
static const char ticket_key_hex[] =
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

struct hub_drive {
    struct loop *loop;
    struct loop_timer limit;
    struct link *sup, *front[FRONTS], *agent;
    uint64_t generation;
    pid_t pid;
    bool ready, timed_out;
    struct hub_note notes[HUB_DRIVE_NOTES_MAX];
    unsigned count;
    struct hub_note last; /* what wait returned */
    uint64_t next_req;
    /* flood */
    bool flooding;
    uint64_t sent, answered, total;
    unsigned conns, flood_front;
    const char *flood_method, *flood_params;
};

static void die(const char *what, const struct err *e)
{
    fprintf(stderr, "hub_drive: %s: %s\n", what, e ? e->text : "");
    abort();
}

static void note_fini(struct hub_note *n)
{
    mem_free(n->text);
    mem_free(n->extra);
    *n = (struct hub_note){.text = NULL};
}

/* What clients get must be JSON. */
static void must_be_json(struct view before, struct view text, struct view behind)
{
    struct buf b = BUF_INIT(64 << 20);
    struct err e = ERR_INIT;
    json_t *doc = NULL;

    buf_put_view(&b, before);
    buf_put_view(&b, text);
    buf_put_view(&b, behind);
    if (text.n && json_parse(buf_view(&b), &doc, &e) < 0) {
        fprintf(stderr, "%.*s\n", VIEW_FMT(text));
        die("not JSON", &e);
    }
    json_decref(doc);
    buf_fini(&b);
}

static void note(struct hub_drive *d, struct hub_note n, struct view text, struct view extra)
{
    if (d->count == HUB_DRIVE_NOTES_MAX) {
        note_fini(&d->notes[0]);
        memmove(&d->notes[0], &d->notes[1], (d->count - 1) * sizeof(d->notes[0]));
        d->count--;
    }
    n.text = mem_dup(text.p, text.n);
    n.text_len = text.n;
    n.extra = mem_dup(extra.p, extra.n);
    n.extra_len = extra.n;
    d->notes[d->count++] = n;
    if (n.type == MSG_reply || n.type == MSG_connect_ok || n.type == MSG_connect_refused)
        must_be_json(V("{"), text, VIEW_EMPTY);
    else if (n.type == MSG_event || n.type == MSG_event_to)
        must_be_json(VIEW_EMPTY, text, V("}"));
    else if (n.type == MSG_snapshot)
        must_be_json(VIEW_EMPTY, text, VIEW_EMPTY);
    loop_stop(d->loop);
}

static int on_hello(void *ctx, struct link *l, struct ipc_hello *m, struct err *e)
{
    (void)ctx;
    (void)l;
    return m->schema == msg_schema() ? 0 : err_set(e, ERR_INVALID, "schema");
}

static int on_ready(void *ctx, struct link *l, struct ipc_ready *m, struct err *e)
{
    struct hub_drive *d = ctx;

    (void)m;
    (void)e;
    link_set_running(l);
    d->ready = true;
    loop_stop(d->loop);
    return 0;
}

static int on_log(void *ctx, struct link *l, struct ipc_log *m, struct err *e)
{
    (void)ctx;
    (void)l;
    (void)e;
    if (getenv("HUB_DRIVE_LOG") || m->level >= 3) {
        fprintf(stderr, "  hub: %.*s ", VIEW_FMT(m->event));
        for (size_t i = 0; i < m->fields.n; i++)
            fputc((unsigned char)m->fields.p[i] < 0x20 ? ' ' : m->fields.p[i], stderr);
        fputc('\n', stderr);
    }
    return 0;
}

static int on_pong(void *ctx, struct link *l, struct ipc_pong *m, struct err *e)
{
    (void)l;
    (void)e;
    note(ctx, (struct hub_note){.type = MSG_pong, .req = m->seq}, VIEW_EMPTY, VIEW_EMPTY);
    return 0;
}

static int on_link_lost(void *ctx, struct link *l, struct ipc_link_lost *m, struct err *e)
{
    (void)l;
    (void)e;
    note(ctx, (struct hub_note){.type = MSG_link_lost, .front = m->instance}, m->role, VIEW_EMPTY);
    return 0;
}

static int on_drained(void *ctx, struct link *l, struct ipc_drained *m, struct err *e)
{
    (void)l;
    (void)e;
    note(ctx, (struct hub_note){.type = MSG_drained, .code = m->runs_left}, VIEW_EMPTY, VIEW_EMPTY);
    return 0;
}

static int on_job_submit(void *ctx, struct link *l, struct ipc_job_submit *m, struct err *e)
{
    (void)l;
    (void)e;
    note(ctx, (struct hub_note){.type = MSG_job_submit, .req = m->job_id, .code = m->attempt},
         m->session, m->lane);
    return 0;
}

static int on_job_cancel(void *ctx, struct link *l, struct ipc_job_cancel *m, struct err *e)
{
    (void)l;
    (void)e;
    note(ctx, (struct hub_note){.type = MSG_job_cancel, .req = m->job_id}, VIEW_EMPTY, VIEW_EMPTY);
    return 0;
}

static void flood_more(struct hub_drive *d);

static bool flood_answer(struct hub_drive *d)
{
    if (!d->flooding)
        return false;
    d->answered++;
    if (d->answered == d->total)
        loop_stop(d->loop);
    else
        flood_more(d);
    return true;
}

static int on_connect_ok(void *ctx, struct link *l, struct ipc_connect_ok *m, struct err *e)
{
    struct hub_drive *d = ctx;

    if (d->flooding) {
        if (msg_send_conn_gone(l, &(struct ipc_conn_gone){.conn_id = m->conn_id}, e) < 0)
            return e->code;
        (void)flood_answer(d);
        return 0;
    }
    note(ctx,
         (struct hub_note){.type = MSG_connect_ok,
                           .front = link_instance(l),
                           .conn = m->conn_id,
                           .code = m->audience},
         m->body, m->ticket);
    return 0;
}

static int on_connect_refused(void *ctx, struct link *l, struct ipc_connect_refused *m,
                              struct err *e)
{
    (void)e;
    note(ctx,
         (struct hub_note){.type = MSG_connect_refused,
                           .front = link_instance(l),
                           .conn = m->conn_id,
                           .code = m->close_code},
         m->body, m->close_reason);
    return 0;
}

static int on_conn_update(void *ctx, struct link *l, struct ipc_conn_update *m, struct err *e)
{
    (void)e;
    note(ctx,
         (struct hub_note){.type = MSG_conn_update,
                           .front = link_instance(l),
                           .conn = m->conn_id,
                           .code = m->audience},
         VIEW_EMPTY, m->ticket);
    return 0;
}

static int on_conn_close(void *ctx, struct link *l, struct ipc_conn_close *m, struct err *e)
{
    (void)e;
    note(
        ctx,
        (struct hub_note){
            .type = MSG_conn_close, .front = link_instance(l), .conn = m->conn_id, .code = m->code},
        m->reason, VIEW_EMPTY);
    return 0;
}

static int on_reply(void *ctx, struct link *l, struct ipc_reply *m, struct err *e)
{
    (void)e;
    if (flood_answer(ctx))
        return 0;
    note(ctx,
         (struct hub_note){.type = MSG_reply,
                           .front = link_instance(l),
                           .conn = m->conn_id,
                           .req = m->req,
                           .code = m->more},
         m->body, VIEW_EMPTY);
    return 0;
}

static int on_event(void *ctx, struct link *l, struct ipc_event *m, struct err *e)
{
    (void)e;
    if (((struct hub_drive *)ctx)->flooding)
        return 0;
    note(ctx,
         (struct hub_note){
             .type = MSG_event, .front = link_instance(l), .code = m->audience, .req = m->flags},
         m->frame, VIEW_EMPTY);
    return 0;
}

static int on_event_to(void *ctx, struct link *l, struct ipc_event_to *m, struct err *e)
{
    (void)e;
    note(ctx, (struct hub_note){.type = MSG_event_to, .front = link_instance(l), .req = m->flags},
         m->frame, m->conns);
    return 0;
}

static int on_snapshot(void *ctx, struct link *l, struct ipc_snapshot *m, struct err *e)
{
    (void)e;
    if (((struct hub_drive *)ctx)->flooding)
        return 0;
    note(ctx, (struct hub_note){.type = MSG_snapshot, .front = link_instance(l)}, m->payload,
         m->name);
    return 0;
}

static int on_run_ack(void *ctx, struct link *l, struct ipc_run_ack *m, struct err *e)
{
    (void)l;
    (void)e;
    note(ctx, (struct hub_note){.type = MSG_run_ack, .req = m->job_id, .code = m->attempt},
         VIEW_EMPTY, VIEW_EMPTY);
    return 0;
}

/* Which paths belong to channels: nothing here asks for one. */
static int on_http_paths(void *ctx, struct link *l, struct ipc_http_paths *m, struct err *e)
{
    (void)ctx;
    (void)l;
    (void)m;
    (void)e;
    return 0;
}

static const struct ipc_handlers agent_on = {.run_ack = on_run_ack};
static const struct ipc_handlers sup_on = {.hello = on_hello,
                                           .ready = on_ready,
                                           .log = on_log,
                                           .pong = on_pong,
                                           .link_lost = on_link_lost,
                                           .drained = on_drained,
                                           .job_submit = on_job_submit,
                                           .job_cancel = on_job_cancel};
static const struct ipc_handlers front_on = {.connect_ok = on_connect_ok,
                                             .connect_refused = on_connect_refused,
                                             .conn_update = on_conn_update,
                                             .conn_close = on_conn_close,
                                             .reply = on_reply,
                                             .event = on_event,
                                             .event_to = on_event_to,
                                             .snapshot = on_snapshot,
                                             .http_paths = on_http_paths};

static void on_close(void *ctx, struct link *l, const struct err *why)
{
    struct hub_drive *d = ctx;
    struct link *gone = l;

    if (why->code != ERR_CLOSED)
        fprintf(stderr, "hub_drive: line ended: %s\n", why->text);
    if (l == d->sup)
        d->sup = NULL;
    if (l == d->agent)
        d->agent = NULL;
    for (unsigned i = 0; i < FRONTS; i++)
        if (l == d->front[i])
            d->front[i] = NULL;
    link_close(&gone);
    loop_stop(d->loop);
}

static void on_limit(void *ctx)
{
    struct hub_drive *d = ctx;

    d->timed_out = true;
    loop_stop(d->loop);
}

/* One turn or more, until something was noted or the time is over. */
static bool turn(struct hub_drive *d)
{
    struct err e = ERR_INIT;

    if (loop_run(d->loop, &e) < 0)
        die("loop", &e);
    return !d->timed_out;
}

static void limit(struct hub_drive *d)
{
    d->timed_out = false;
    loop_timer_set(&d->limit, HUB_DRIVE_TIMEOUT_MS);
}

static struct link *open_line(struct hub_drive *d, int fd, enum role me, unsigned instance,
                              const struct ipc_handlers *on)
{
    struct link_conf conf = {
        .me = me, .peer = ROLE_HUB, .instance = instance, .on = on, .ctx = d, .on_close = on_close};
    struct err e = ERR_INIT;
    struct link *l = NULL;

    if (link_open(&l, d->loop, fd, &conf, &e) < 0)
        die("line", &e);
    return l;
}

static void slice(struct buf *b, const char *state_dir, const char *conf, const char *token)
{
    static const char *const passwords[] = {"password-0123456789", "another-password"};
    unsigned char key[32], mac[32];
    char hash[65], other[65];
    const char *crypt_at;
    unsigned n = 0;

    for (unsigned i = 0; i < sizeof(key); i++)
        key[i] = (unsigned char)i;
    for (unsigned k = 0; k < 2; k++) {
        if (!HMAC(EVP_sha256(), key, sizeof(key), (const unsigned char *)passwords[k],
                  strlen(passwords[k]), mac, &n))
            abort();
        for (unsigned i = 0; i < n; i++)
            snprintf((k ? other : hash) + (size_t)2 * i, 3, "%02x", mac[i]);
    }
    if (!HMAC(EVP_sha256(), key, sizeof(key), (const unsigned char *)token, strlen(token), mac, &n))
        abort();
    buf_printf(
        b,
        "{%s%s\"runtime\":{\"stateDir\":\"%s\",\"configPath\":\"/x/openclaw.json\",\"port\":18789,",
        conf, *conf ? "," : "", state_dir);
    buf_printf(b,
               "\"version\":\"0.1.0\",\"wireVersion\":\"2026.9.6\",\"pid\":%d,\"startedAtMs\":%lld,"
               "\"ticketKey\":\"%s\",",
               (int)getpid(), (long long)clock_wall_ms(), ticket_key_hex);
    buf_printf(b, "\"authMode\":\"%s\",",
               strstr(conf, "authModeNone")       ? "none"
               : strstr(conf, "authModePassword") ? "password"
               : strstr(conf, "authModeProxy")    ? "trusted-proxy"
               : strstr(conf, "authModeUnknown")  ? "telepathy"
                                                  : "token");
    if ((crypt_at = strstr(conf, "crypt:")))
        buf_printf(b, "\"passwordCrypt\":\"%.*s\",", (int)strcspn(crypt_at + 6, "\""),
                   crypt_at + 6);
    else if (strstr(conf, "authModePassword") || strstr(conf, "authModeProxy"))
        buf_printf(b, "\"passwordHash\":\"%s\",", strstr(conf, "passwordOther") ? other : hash);
    buf_put_str(b, "\"config\":{\"path\":\"/x/"
                   "openclaw.json\",\"exists\":true,\"hash\":\"h1\"},\"tokenHash\":\"");
    for (unsigned i = 0; i < n; i++)
        buf_printf(b, "%02x", mac[i]);
    buf_put_str(b, "\"}}");
}

struct hub_drive *hub_drive_start(const char *binary, const char *state_dir, const char *conf)
{
    struct hub_drive *d = mem_alloc(sizeof(*d));
    struct buf b = BUF_INIT(1 << 20);
    struct err e = ERR_INIT;
    int pair[2];

    if (!d || loop_new(&d->loop, &e) < 0 || fd_pair(pair, 0, &e) < 0)
        die("start", &e);
    loop_timer_init(&d->limit, d->loop, on_limit, d);
    d->next_req = 1;
    if ((d->pid = fork()) == 0) {
        if (dup2(pair[1], 3) < 0)
            _exit(127);
        execl(binary, binary, (char *)NULL);
        _exit(127);
    }
    close(pair[1]);
    d->sup = open_line(d, pair[0], ROLE_SUPERVISOR, 0, &sup_on);
    slice(&b, state_dir, conf, hub_drive_token);
    if (msg_send_config(d->sup, &(struct ipc_config){.slice = buf_view(&b)}, &e) < 0)
        die("config", &e);
    buf_fini(&b);
    limit(d);
    while (!d->ready && d->sup && turn(d))
        ;
    if (!d->ready)
        hub_drive_free(&d);
    return d;
}

void hub_drive_reload(struct hub_drive *d, const char *state_dir, const char *conf,
                      const char *token)
{
    struct buf b = BUF_INIT(1 << 20);
    struct err e = ERR_INIT;

    slice(&b, state_dir, conf, token);
    if (msg_send_config(d->sup, &(struct ipc_config){.slice = buf_view(&b)}, &e) < 0)
        die("config", &e);
    buf_fini(&b);
}

void hub_drive_kill(struct hub_drive *d)
{
    if (d->pid > 0) {
        kill(d->pid, SIGKILL);
        (void)waitpid(d->pid, NULL, 0);
    }
    d->pid = 0;
}

void hub_drive_free(struct hub_drive **dp)
{
    struct hub_drive *d = *dp;

    if (!d)
        return;
    hub_drive_kill(d);
    for (unsigned i = 0; i < FRONTS; i++)
        link_close(&d->front[i]);
    link_close(&d->agent);
    link_close(&d->sup);
    for (unsigned i = 0; i < d->count; i++)
        note_fini(&d->notes[i]);
    note_fini(&d->last);
    loop_timer_fini(&d->limit);
    loop_free(&d->loop);
    mem_free(d);
    *dp = NULL;
}

int hub_drive_exit_status(struct hub_drive *d)
{
    int status = -1;

    limit(d);
    while (d->sup && turn(d))
        ;
    if (d->pid > 0 && waitpid(d->pid, &status, 0) == d->pid)
        d->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void line(struct hub_drive *d, struct link **at, enum role role, unsigned n,
                 const struct ipc_handlers *on)
{
    struct err e = ERR_INIT;
    int pair[2];

    if (fd_pair(pair, 0, &e) < 0 ||
        msg_send_link(d->sup,
                      &(struct ipc_link){.role = view_str(role_name(role)),
                                         .instance = n,
                                         .generation = ++d->generation,
                                         .sock = pair[1]},
                      &e) < 0)
        die("line", &e);
    link_close(at);
    *at = open_line(d, pair[0], role, n, on);
    link_set_running(*at);
}

void hub_drive_front(struct hub_drive *d, unsigned n)
{
    line(d, &d->front[n], ROLE_FRONT, n, &front_on);
}

struct link *hub_drive_agent(struct hub_drive *d)
{
    line(d, &d->agent, ROLE_AGENT, 0, &agent_on);
    return d->agent;
}

void hub_drive_front_back(struct hub_drive *d, unsigned n, uint64_t conn, struct view ticket)
{
    struct ipc_conn_resume m = {.conn_id = conn, .peer = V("127.0.0.1"), .ticket = ticket};
    struct err e = ERR_INIT;

    if ((conn && msg_send_conn_resume(d->front[n], &m, &e) < 0) ||
        msg_send_conn_resume(d->front[n], &(struct ipc_conn_resume){.conn_id = 0}, &e) < 0)
        die("resume", &e);
}

void hub_drive_front_close(struct hub_drive *d, unsigned n)
{
    link_close(&d->front[n]);
}

struct link *hub_drive_link(struct hub_drive *d, unsigned n)
{
    return d->front[n];
}

struct link *hub_drive_sup(struct hub_drive *d)
{
    return d->sup;
}

static bool fits(const struct hub_note *n, enum msg_type type, uint64_t conn, uint64_t req,
                 const char *part)
{
    return n->type == type && (!conn || n->conn == conn) && (!req || n->req == req) &&
           (!part || strstr(n->text, part) || strstr(n->extra, part));
}

const struct hub_note *hub_drive_wait(struct hub_drive *d, enum msg_type type, uint64_t conn,
                                      uint64_t req, const char *part)
{
    limit(d);
    for (;;) {
        for (unsigned i = 0; i < d->count; i++)
            if (fits(&d->notes[i], type, conn, req, part)) {
                note_fini(&d->last);
                d->last = d->notes[i];
                d->count--;
                memmove(&d->notes[i], &d->notes[i + 1], (d->count - i) * sizeof(d->notes[0]));
                loop_timer_clear(&d->limit);
                return &d->last;
            }
        if (!d->sup || !turn(d))
            return NULL;
    }
}

bool hub_drive_none(struct hub_drive *d, enum msg_type type, uint64_t conn, const char *part)
{
    static uint64_t seq = 1000000;
    struct err e = ERR_INIT;

    /* everything said before the pong came before it: one thread, ordered lines, flushed together
     */
    seq++;
    if (msg_send_ping(d->sup, &(struct ipc_ping){.seq = seq}, &e) < 0)
        die("ping", &e);
    if (!hub_drive_wait(d, MSG_pong, 0, seq, NULL))
        return false;
    seq++;
    if (msg_send_ping(d->sup, &(struct ipc_ping){.seq = seq}, &e) < 0 ||
        !hub_drive_wait(d, MSG_pong, 0, seq, NULL))
        return false;
    for (unsigned i = 0; i < d->count; i++)
        if (fits(&d->notes[i], type, conn, 0, part))
            return false;
    return true;
}

static const struct hub_note *connect_answer(struct hub_drive *d, uint64_t conn)
{
    limit(d);
    for (;;) {
        for (unsigned i = 0; i < d->count; i++)
            if (fits(&d->notes[i], MSG_connect_ok, conn, 0, NULL))
                return hub_drive_wait(d, MSG_connect_ok, conn, 0, NULL);
            else if (fits(&d->notes[i], MSG_connect_refused, conn, 0, NULL))
                return hub_drive_wait(d, MSG_connect_refused, conn, 0, NULL);
        if (!d->sup || !turn(d))
            return NULL;
    }
}

static void send_connect(struct hub_drive *d, unsigned n, uint64_t conn, const char *params,
                         const struct hub_drive_from *from)
{
    struct ipc_connect m = {.conn_id = conn,
                            .peer = view_str(from->peer),
                            .flags = from->flags,
                            .nonce = V(HUB_DRIVE_NONCE),
                            .host = view_str(from->host),
                            .origin = view_str(from->origin),
                            .headers = view_str(from->headers),
                            .params = view_str(params)};
    struct err e = ERR_INIT;

    if (msg_send_connect(d->front[n], &m, &e) < 0)
        die("connect", &e);
}

const struct hub_note *hub_drive_connect_as(struct hub_drive *d, unsigned n, uint64_t conn,
                                            const char *params, const struct hub_drive_from *from)
{
    send_connect(d, n, conn, params, from);
    return connect_answer(d, conn);
}

const struct hub_note *hub_drive_connect(struct hub_drive *d, unsigned n, uint64_t conn,
                                         const char *params, const char *origin, const char *host,
                                         bool local)
{
    return hub_drive_connect_as(
        d, n, conn, params,
        &(struct hub_drive_from){.peer = local ? "127.0.0.1" : "203.0.113.9",
                                 .flags = local ? CONN_LOCAL : 0,
                                 .host = host,
                                 .origin = origin});
}

const char *hub_drive_call(struct hub_drive *d, unsigned n, uint64_t conn, const char *method,
                           const char *params)
{
    struct ipc_rpc m = {.conn_id = conn,
                        .req = d->next_req++,
                        .method = view_str(method),
                        .params = view_str(params)};
    const struct hub_note *got;
    struct err e = ERR_INIT;

    if (msg_send_rpc(d->front[n], &m, &e) < 0)
        die("rpc", &e);
    got = hub_drive_wait(d, MSG_reply, conn, m.req, NULL);
    return got ? got->text : NULL;
}

static void flood_more(struct hub_drive *d)
{
    struct err e = ERR_INIT;

    if (d->sent == d->total)
        return;
    d->sent++;
    if (d->flood_params)
        send_connect(d, d->flood_front, 1000000 + d->sent, d->flood_params,
                     &(struct hub_drive_from){
                         .peer = "127.0.0.1", .flags = CONN_LOCAL, .host = "127.0.0.1:18789"});
    else if (msg_send_rpc(d->front[d->flood_front],
                          &(struct ipc_rpc){.conn_id = 1 + d->sent % d->conns,
                                            .req = d->next_req++,
                                            .method = view_str(d->flood_method),
                                            .params = VIEW_EMPTY},
                          &e) < 0)
        die("rpc", &e);
}

static double flood(struct hub_drive *d, unsigned depth)
{
    uint64_t from = clock_mono_ns();
    double seconds;

    d->flooding = true;
    d->sent = d->answered = 0;
    limit(d);
    for (unsigned i = 0; i < depth; i++)
        flood_more(d);
    while (d->answered < d->total && d->sup && turn(d))
        ;
    d->flooding = false;
    seconds = (double)(clock_mono_ns() - from) / 1e9;
    return (double)d->answered / seconds;
}

double hub_drive_flood(struct hub_drive *d, unsigned n, unsigned conns, unsigned depth,
                       unsigned total, const char *method)
{
    d->flood_front = n;
    d->conns = conns;
    d->total = total;
    d->flood_method = method;
    d->flood_params = NULL;
    return flood(d, depth);
}

double hub_drive_flood_connect(struct hub_drive *d, unsigned n, unsigned depth, unsigned total,
                               const char *params)
{
    d->flood_front = n;
    d->total = total;
    d->flood_params = params;
    return flood(d, depth);
}
