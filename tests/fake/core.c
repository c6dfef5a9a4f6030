/*
 * tests/fake/core.c - supervisor and hub in one small process, so that the front can be driven
 * without the rest: fake-core FRONT_BINARY PORT TOKEN [CONFIG]. Listens on 127.0.0.1, starts the
 * front, hands it connections, accepts whoever's connect params hold the token, answers every
 * method with the error of an unknown one. On stdin: "h" ends the hub's line and makes a new one
 * after 500 ms, "e" sends an event to everybody, "s" stops the front.
 */
#include "fd.h"
#include "jw.h"
#include "msg.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct core {
    struct loop *loop;
    struct link *front, *hub;
    struct loop_io listener, in;
    uint64_t next_id, generation;
    const char *token;
    int pid;
    const char *conf;
    bool stopping;
};

static void die(const char *what, const struct err *e)
{
    fprintf(stderr, "%s: %s\n", what, e->text);
    exit(1);
}

static int on_hello(void *ctx, struct link *l, struct ipc_hello *m, struct err *e)
{
    (void)m;
    return msg_send_config(l, &(struct ipc_config){.slice = view_str(((struct core *)ctx)->conf)},
                           e);
}

static int on_log(void *ctx, struct link *l, struct ipc_log *m, struct err *e)
{
    (void)ctx;
    (void)l;
    (void)e;
    fprintf(stderr, "log %.*s ", VIEW_FMT(m->event));
    for (size_t i = 0; i < m->fields.n; i++)
        fputc(m->fields.p[i] < ' ' ? ' ' : m->fields.p[i], stderr);
    fputc('\n', stderr);
    return 0;
}

static int on_conn_state(void *ctx, struct link *l, struct ipc_conn_state *m, struct err *e)
{
    (void)ctx;
    (void)l;
    (void)m;
    (void)e;
    return 0;
}

/* -- the hub's side -- */
static int on_connect(void *ctx, struct link *l, struct ipc_connect *m, struct err *e)
{
    struct core *c = ctx;

    if (!memmem(m->params.p, m->params.n, c->token, strlen(c->token))) {
        struct ipc_connect_refused no = {
            .conn_id = m->conn_id,
            .close_code = 1008,
            .close_reason = V("unauthorized"),
            .body = V("\"ok\":false,\"error\":{\"code\":\"INVALID_REQUEST\",\"message\":\"no\"}}")};

        return msg_send_connect_refused(l, &no, e);
    }
    return msg_send_connect_ok(
        l,
        &(struct ipc_connect_ok){
            .conn_id = m->conn_id,
            .audience = AUD_OPERATOR,
            .ticket = V("ticket"),
            .body = V("\"ok\":true,\"payload\":{\"type\":\"hello-ok\",\"protocol\":4,\"policy\":"
                      "{\"maxPayload\":26214400,\"maxBufferedBytes\":52428800,"
                      "\"tickIntervalMs\":30000}}}")},
        e);
}

static int say(struct link *l, uint64_t conn_id, uint64_t req, unsigned status, const char *fields,
               struct view body, struct err *e)
{
    return msg_send_http_answer(l,
                                &(struct ipc_http_answer){.conn_id = conn_id,
                                                          .req = req,
                                                          .status = (uint16_t)status,
                                                          .type = V("application/json"),
                                                          .fields = view_str(fields),
                                                          .body = body},
                                e);
}

static int on_http_ask(void *ctx, struct link *l, struct ipc_http_ask *m, struct err *e)
{
    struct core *c = ctx;

    if (view_eq(m->credential, V("hold"))) /* until this hub is gone */
        return 0;
    if (view_eq(m->credential, V("limited")))
        return say(l, m->conn_id, m->req, 429, "Retry-After: 2\r\n",
                   V("{\"error\":{\"type\":\"rate_limited\"}}"), e);
    if (!view_eq(m->credential, view_str(c->token)))
        return say(l, m->conn_id, m->req, 401, "", V("{\"error\":{\"type\":\"unauthorized\"}}"), e);
    if (m->flags & HTTP_HAS_BODY)
        return msg_send_http_go(l, &(struct ipc_http_go){m->conn_id, m->req}, e);
    return say(l, m->conn_id, m->req, 404, "", V("{}"), e);
}

/* Comes back in three parts. */
static int on_http_body(void *ctx, struct link *l, struct ipc_http_body *m, struct err *e)
{
    struct ipc_http_answer a = {.conn_id = m->conn_id,
                                .req = m->req,
                                .status = 200,
                                .more = 1,
                                .type = V("text/plain"),
                                .body = V("<")};
    struct ipc_http_part part = {m->conn_id, m->req, HTTP_PART_MORE, m->body};
    int r;

    (void)ctx;
    if ((r = msg_send_http_answer(l, &a, e)) < 0 || (r = msg_send_http_part(l, &part, e)) < 0)
        return r;
    part.how = HTTP_PART_LAST;
    part.part = V(">");
    return msg_send_http_part(l, &part, e);
}

static int on_http_gone(void *ctx, struct link *l, struct ipc_http_gone *m, struct err *e)
{
    (void)ctx;
    (void)l;
    (void)m;
    (void)e;
    return 0;
}

static int on_rpc(void *ctx, struct link *l, struct ipc_rpc *m, struct err *e)
{
    struct buf b = BUF_INIT(4096);
    int r;

    if (((struct core *)ctx)->generation == 1 &&
        memmem(m->params.p, m->params.n, "hold", strlen("hold")))
        return 0;
    buf_put_str(&b, "\"ok\":false,\"error\":{\"code\":\"INVALID_REQUEST\",\"message\":\"unknown "
                    "method: ");
    jw_escape(&b, m->method);
    buf_put_str(&b, "\"}}");
    r = msg_send_reply(
        l, &(struct ipc_reply){.conn_id = m->conn_id, .req = m->req, .body = buf_view(&b)}, e);
    buf_fini(&b);
    return r;
}

static int on_conn_gone(void *ctx, struct link *l, struct ipc_conn_gone *m, struct err *e)
{
    (void)ctx;
    (void)l;
    (void)m;
    (void)e;
    return 0;
}

static int on_conn_resume(void *ctx, struct link *l, struct ipc_conn_resume *m, struct err *e)
{
    (void)ctx;
    (void)l;
    return m->conn_id == 0 || view_eq(m->ticket, V("ticket"))
               ? 0
               : err_set(e, ERR_DENIED, "wrong ticket");
}

static const struct ipc_handlers hub_on = {.connect = on_connect,
                                           .http_ask = on_http_ask,
                                           .http_body = on_http_body,
                                           .http_gone = on_http_gone,
                                           .rpc = on_rpc,
                                           .conn_gone = on_conn_gone,
                                           .conn_resume = on_conn_resume};

static void hub_closed(void *ctx, struct link *l, const struct err *why)
{
    struct core *c = ctx;

    if (!c->stopping)
        die("hub link", why);
    link_close(&l);
    c->hub = NULL;
}

static void make_hub(struct core *c)
{
    struct err e = ERR_INIT;
    int pair[2];
    struct link_conf conf = {
        .me = ROLE_HUB, .peer = ROLE_FRONT, .on = &hub_on, .ctx = c, .on_close = hub_closed};
    struct ipc_link m = {.role = V("openclaw-hub"), .generation = ++c->generation};

    if (fd_pair(pair, 0, &e) < 0 || link_open(&c->hub, c->loop, pair[0], &conf, &e) < 0)
        die("pair", &e);
    link_set_running(c->hub);
    m.sock = pair[1];
    if (msg_send_link(c->front, &m, &e) < 0 ||
        msg_send_snapshot(
            c->hub, &(struct ipc_snapshot){.name = V("health"), .payload = V("{\"ok\":true}")},
            &e) < 0 ||
        msg_send_snapshot(c->hub,
                          &(struct ipc_snapshot){.name = V("ready"),
                                                 .payload = V("{\"ready\":true,\"failing\":[]}")},
                          &e) < 0)
        die("link", &e);
}

/* -- the supervisor's side -- */
static int on_link_lost(void *ctx, struct link *l, struct ipc_link_lost *m, struct err *e)
{
    (void)ctx;
    (void)l;
    (void)m;
    (void)e;
    return 0;
}

static int on_ready(void *ctx, struct link *l, struct ipc_ready *m, struct err *e)
{
    (void)l;
    (void)e;
    fprintf(stderr, "ready after %llu us\n", (unsigned long long)m->took_us);
    link_set_running(((struct core *)ctx)->front);
    make_hub(ctx);
    return 0;
}

static const struct ipc_handlers sup_on = {.hello = on_hello,
                                           .ready = on_ready,
                                           .log = on_log,
                                           .conn_state = on_conn_state,
                                           .link_lost = on_link_lost};

static void front_closed(void *ctx, struct link *l, const struct err *why)
{
    struct core *c = ctx;
    int status = 0;

    (void)l;
    (void)waitpid(c->pid, &status, 0);
    fprintf(stderr, "front left: %s, status %d\n", why->text, status);
    exit(WIFEXITED(status) ? WEXITSTATUS(status) : 99);
}

static void on_accept(void *ctx, bool readable, bool writable)
{
    struct core *c = ctx;
    struct err e = ERR_INIT;
    int fd;

    (void)readable;
    (void)writable;
    while ((fd = accept4(c->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
        if (msg_send_conn(c->front,
                          &(struct ipc_conn){.conn_id = ++c->next_id,
                                             .peer = V("127.0.0.1"),
                                             .flags = CONN_LOCAL,
                                             .sock = fd},
                          &e) < 0)
            die("conn", &e);
}

static void send_event(struct core *c, size_t n, uint32_t flags)
{
    struct buf b = BUF_INIT(2 * MIB);
    struct err e = ERR_INIT;

    buf_put_str(&b, "{\"type\":\"event\",\"event\":\"tick\",\"payload\":{\"fill\":\"");
    for (size_t i = 0; i < n; i++)
        buf_put_char(&b, 'f');
    buf_put_str(&b, "\"}");
    if (msg_send_event(
            c->hub, &(struct ipc_event){.audience = AUD_ALL, .flags = flags, .frame = buf_view(&b)},
            &e) < 0)
        die("event", &e);
    buf_fini(&b);
}

static void on_stdin(void *ctx, bool readable, bool writable)
{
    struct core *c = ctx;
    struct err e = ERR_INIT; /* for stop */
    char ch;

    (void)readable;
    (void)writable;
    if (read(0, &ch, 1) != 1) {
        loop_io_fini(&c->in);
        return;
    }
    if (ch == 'd') {
        link_close(&c->hub);
    } else if (ch == 'u') {
        make_hub(c);
    } else if (ch == 'e') {
        send_event(c, 10, EVENT_SEQ);
    } else if (ch == 'b') {
        send_event(c, 64 * KIB, EVENT_SEQ | EVENT_DROPPABLE);
    } else if (ch == 'B') {
        send_event(c, MIB, EVENT_SEQ);
    } else if (ch == 's') {
        c->stopping = true;
        if (msg_send_stop(c->front, &(struct ipc_stop){.grace_ms = 2000}, &e) < 0)
            die("stop", &e);
    }
}

int main(int argc, char **argv)
{
    struct core c = {.next_id = 0};
    struct err e = ERR_INIT;
    struct link_conf conf = {.me = ROLE_SUPERVISOR,
                             .peer = ROLE_FRONT,
                             .on = &sup_on,
                             .ctx = &c,
                             .on_close = front_closed};
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int pair[2], lfd, one = 1;

    if (argc < 4) {
        fprintf(stderr, "usage: fake-core FRONT_BINARY PORT TOKEN [CONFIG]\n");
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    c.token = argv[3];
    c.conf = argc > 4 ? argv[4] : "{}";
    sa.sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10));
    lfd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    (void)setsockopt(lfd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(lfd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(lfd, 4096) < 0) {
        perror("listen");
        return 1;
    }
    if (loop_new(&c.loop, &e) < 0 || fd_pair(pair, 0, &e) < 0)
        die("start", &e);
    c.pid = fork();
    if (c.pid == 0) {
        (void)dup2(pair[1], 3);
        (void)execl(argv[1], argv[1], (char *)NULL);
        perror(argv[1]);
        _exit(127);
    }
    (void)close(pair[1]);
    if (link_open(&c.front, c.loop, pair[0], &conf, &e) < 0)
        die("front", &e);
    loop_io_init(&c.listener, c.loop, lfd, on_accept, &c);
    loop_io_want(&c.listener, true, false);
    loop_io_init(&c.in, c.loop, 0, on_stdin, &c);
    loop_io_want(&c.in, true, false);
    if (loop_run(c.loop, &e) < 0)
        die("loop", &e);
    return 0;
}
