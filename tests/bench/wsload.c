/*
 * tests/bench/wsload.c - load for the gateway's WebSocket RPC.
 *   rpc      C connections, each keeps D requests of METHOD under way, for S seconds
 *   connect  full handshakes (TCP, upgrade, connect, hello-ok), C at a time, for S seconds
 *   idle     opens C authenticated connections, prints "ready", holds them S seconds
 *   chat     C connections with sessions of their own, one chat.send turn after another, for S
 *            seconds; a new session every R turns, because the prompt grows with each turn of one;
 *            measures request to acknowledgement, to first delta, to final
 *   fanout   C listening connections and one that runs N turns; counts the events that arrive
 * -n N bounds the requests (turns) of each connection. Build: cc -O2 -o wsload wsload.c wsconn.c
 */
#include "wsconn.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

enum mode { M_RPC, M_CONNECT, M_IDLE, M_CHAT, M_FANOUT, M_COUNT };
enum { SAMPLES_MAX = 20 * 1000 * 1000, SETTLE_S = 5 };

static const char *const mode_names[M_COUNT] = {"rpc", "connect", "idle", "chat", "fanout"};

struct samples {
    uint64_t *ns;
    long n;
};

static struct peer to = {.host = "127.0.0.1", .path = "/", .port = 18789};
static const char *token = "", *method = "health", *params = "{}", *caps = "";
static enum mode mode = M_RPC;
static int conns = 1, depth = 1, rotate = 10, seconds = 10, protocol = 4, limit_s = 120, burst = 16;
static long most = 1L << 60;
static struct samples latency, handshake, ack, first_delta, final;
static long done_all, errors, hellos, events, finals;
static uint64_t run_ns, last_ns; /* first request, last answer */
static struct conn *slots;

static void sample(struct samples *s, uint64_t ns)
{
    if (!s->ns && !(s->ns = malloc(SAMPLES_MAX * sizeof(*s->ns))))
        exit(2);
    if (s->n < SAMPLES_MAX)
        s->ns[s->n++] = ns;
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static void report(const char *name, struct samples *s)
{
    uint64_t *v = s->ns;
    long n = s->n;

    if (!n)
        return;
    qsort(v, (size_t)n, sizeof(*v), by_size);
    printf("%s_ms n=%ld min=%.3f p50=%.3f p90=%.3f p99=%.3f max=%.3f\n", name, n,
           (double)v[0] / 1e6, (double)v[n / 2] / 1e6, (double)v[n * 9 / 10] / 1e6,
           (double)v[n * 99 / 100] / 1e6, (double)v[n - 1] / 1e6);
}

static bool has(const char *s, size_t n, size_t within, const char *word)
{
    return memmem(s, n < within ? n : within, word, strlen(word)) != NULL;
}

static bool time_is_over(void)
{
    return now_ns() - run_ns > (uint64_t)seconds * 1000000000u;
}

static void begin(void)
{
    if (!run_ns)
        run_ns = now_ns();
}

static void finished(struct conn *c)
{
    c->done++;
    done_all++;
    last_ns = now_ns();
}

static void send_rpc(struct conn *c)
{
    char b[65536];

    while (c->sent < most && c->sent - c->done < depth && !time_is_over()) {
        int n = snprintf(b, sizeof(b),
                         "{\"type\":\"req\",\"id\":\"%ld\",\"method\":\"%s\",\"params\":%s}",
                         c->sent, method, params);

        c->sent_ns[c->sent % depth] = now_ns();
        conn_queue(c, b, (size_t)n);
        c->sent++;
    }
    if (c->sent == c->done)
        conn_drop(c);
    else
        conn_flush(c);
}

static void send_turn(struct conn *c)
{
    char b[512];
    int pid = (int)getpid(), n;

    if (c->sent >= most || (mode == M_CHAT && time_is_over())) {
        if (mode == M_FANOUT)
            c->state = S_DONE; /* stays open: the listeners' events are still on their way */
        else
            conn_drop(c);
        return;
    }
    n = snprintf(b, sizeof(b),
                 "{\"type\":\"req\",\"id\":\"t%ld\",\"method\":\"chat.send\",\"params\":{"
                 "\"sessionKey\":\"agent:main:load-%d-%d-%ld\",\"message\":\"turn %ld\","
                 "\"idempotencyKey\":\"k-%d-%d-%ld\"}}",
                 c->sent, pid, c->idx, c->sent / rotate, c->sent, pid, c->idx, c->sent);
    c->turn_ns = now_ns();
    c->got_delta = c->got_ack = false;
    c->sent++;
    conn_text(c, b, (size_t)n);
}

static void on_answer(struct conn *c, const char *p, size_t n)
{
    const char *id;

    if (!has(p, n, 40, "\"res\"")) {
        events++;
        return;
    }
    if (!(id = memmem(p, n, "\"id\":\"", 6)))
        return;
    sample(&latency, now_ns() - c->sent_ns[atol(id + 6) % depth]);
    if (!has(p, n, 120, "\"ok\":true")) {
        if (!errors++ && !conn_quiet)
            fprintf(stderr, "error: %.*s\n", (int)(n > 300 ? 300 : n), p);
    }
    finished(c);
    send_rpc(c);
}

static void on_turn(struct conn *c, const char *p, size_t n)
{
    char mine[64];
    uint64_t took = now_ns() - c->turn_ns;

    if (has(p, n, 40, "\"res\"")) {
        if (!has(p, n, 200, "\"ok\":true")) {
            errors++;
            fprintf(stderr, "chat.send: %.*s\n", (int)(n > 300 ? 300 : n), p);
            conn_drop(c);
        } else if (!c->got_ack) {
            c->got_ack = true;
            sample(&ack, took);
        }
        return;
    }
    events++;
    snprintf(mine, sizeof(mine), "load-%d-%d-", (int)getpid(), c->idx);
    if (!has(p, n, 80, "\"event\":\"chat\"") || !has(p, n, n, mine))
        return;
    if (has(p, n, n, "\"state\":\"delta\"") && !c->got_delta) {
        c->got_delta = true;
        sample(&first_delta, took);
    } else if (has(p, n, n, "\"state\":\"final\"")) {
        sample(&final, took);
        finals++;
        finished(c);
        send_turn(c);
    } else if (has(p, n, n, "\"state\":\"error\"") || has(p, n, n, "\"state\":\"aborted\"")) {
        errors++;
        fprintf(stderr, "turn failed: %.*s\n", (int)(n > 300 ? 300 : n), p);
        conn_drop(c);
    }
}

static void connect_request(struct conn *c)
{
    char b[1024];
    int n = snprintf(b, sizeof(b),
                     "{\"type\":\"req\",\"id\":\"c\",\"method\":\"connect\",\"params\":{"
                     "\"minProtocol\":%d,\"maxProtocol\":%d,\"client\":{\"id\":\"gateway-client\","
                     "\"version\":\"1.0.0\",\"platform\":\"linux\",\"mode\":\"backend\"},"
                     "\"role\":\"operator\",\"scopes\":[\"operator.admin\",\"operator.read\","
                     "\"operator.write\",\"operator.approvals\",\"operator.pairing\"],"
                     "\"caps\":[%s],\"auth\":{\"token\":\"%s\"}}}",
                     protocol, protocol, caps, token);

    conn_text(c, b, (size_t)n);
    c->state = S_HELLO;
}

static void on_hello(struct conn *c)
{
    hellos++;
    sample(&handshake, now_ns() - c->start_ns);
    c->state = S_RUN;
    if (mode != M_FANOUT)
        begin();
    if (mode == M_RPC) {
        send_rpc(c);
    } else if (mode == M_CHAT || (mode == M_FANOUT && c->idx == conns)) {
        send_turn(c);
    } else if (mode == M_CONNECT) {
        finished(c);
        conn_drop(c);
        if (!time_is_over() && conns_started < most)
            conn_start(c, &to);
    }
}

static void on_message(struct conn *c, const char *p, size_t n)
{
    if (getenv("DUMP"))
        fprintf(stderr, "[%d] %.*s\n", c->idx, (int)(n > 600 ? 600 : n), p);
    if (c->state == S_CHALLENGE) {
        if (has(p, n, n, "connect.challenge"))
            connect_request(c);
    } else if (c->state == S_HELLO && has(p, n, 40, "\"res\"")) {
        if (has(p, n, 200, "\"ok\":true")) {
            on_hello(c);
        } else {
            errors++;
            fprintf(stderr, "connect refused: %.*s\n", (int)(n > 300 ? 300 : n), p);
            conn_drop(c);
        }
    } else if (c->state == S_RUN && mode == M_RPC) {
        on_answer(c, p, n);
    } else if (c->state == S_RUN && (mode == M_CHAT || (mode == M_FANOUT && c->idx == conns))) {
        on_turn(c, p, n);
    } else if (c->state == S_RUN || c->state == S_DONE) {
        events++;
        if (mode == M_FANOUT)
            last_ns = now_ns();
        if (has(p, n, 80, "\"event\":\"chat\"") && has(p, n, n, "\"state\":\"final\""))
            finals++;
    }
}

/* Opens what is still missing, `burst` at a time: more strangers at once are refused, rightly. */
static void open_more(int *opened, bool *sender)
{
    int all = mode == M_FANOUT && *sender ? conns + 1 : conns;

    while (*opened < all && *opened - hellos - errors - conn_lost < burst) {
        struct conn *c = &slots[*opened];

        c->idx = *opened;
        c->sent_ns = calloc((size_t)depth, sizeof(*c->sent_ns));
        conn_start(c, &to);
        ++*opened;
    }
    if (mode == M_FANOUT && !*sender && hellos >= conns) {
        *sender = true;
        events = finals = 0;
        run_ns = now_ns();
    }
}

static bool is_over(int opened, bool sender, uint64_t start_ns)
{
    static uint64_t hold_ns;
    uint64_t now = now_ns();

    if (now - start_ns > (uint64_t)limit_s * 1000000000u) {
        puts("TIMEOUT");
        return true;
    }
    if (mode == M_IDLE) {
        if (!hold_ns && hellos + errors + conn_lost >= conns) {
            hold_ns = now;
            printf("ready conns=%ld setup_s=%.3f\n", hellos, (double)(now - start_ns) / 1e9);
            fflush(stdout);
        }
        return hold_ns && now - hold_ns > (uint64_t)seconds * 1000000000u;
    }
    if (mode == M_FANOUT) {
        if (!sender || slots[conns].state != S_DONE)
            return false;
        hold_ns = hold_ns ? hold_ns : now;
        return finals >= most * (conns + 1) || now - hold_ns > SETTLE_S * 1000000000ull;
    }
    return conns_open == 0 && opened >= conns;
}

static int usage(void)
{
    fprintf(
        stderr,
        "usage: wsload -M rpc|connect|idle|chat|fanout [-h host] [-p port] [-u path] [-t token]\n"
        "  [-c connections] [-d depth] [-s seconds] [-n most per connection] [-m method]\n"
        "  [-a params] [-k caps] [-P protocol] [-B connects at once] [-T limit in seconds]\n"
        "  [-r turns per session]\n"
        "  [-S spread source addresses] [-q quiet]\n");
    return 2;
}

static int options(int argc, char **argv)
{
    int o;

    while ((o = getopt(argc, argv, "h:p:u:t:M:m:a:c:n:d:s:P:k:T:B:r:qS")) != -1) {
        switch (o) {
        case 'h':
            to.host = optarg;
            break;
        case 'p':
            to.port = atoi(optarg);
            break;
        case 'u':
            to.path = optarg;
            break;
        case 't':
            token = optarg;
            break;
        case 'm':
            method = optarg;
            break;
        case 'a':
            params = optarg;
            break;
        case 'k':
            caps = optarg;
            break;
        case 'c':
            conns = atoi(optarg);
            break;
        case 'd':
            depth = atoi(optarg);
            break;
        case 's':
            seconds = atoi(optarg);
            break;
        case 'n':
            most = atol(optarg);
            break;
        case 'P':
            protocol = atoi(optarg);
            break;
        case 'T':
            limit_s = atoi(optarg);
            break;
        case 'B':
            burst = atoi(optarg);
            break;
        case 'r':
            rotate = atoi(optarg);
            break;
        case 'S':
            to.spread = true;
            break;
        case 'q':
            conn_quiet = true;
            break;
        case 'M':
            for (mode = 0; mode < M_COUNT && strcmp(optarg, mode_names[mode]) != 0;)
                mode++;
            if (mode == M_COUNT)
                return usage();
            break;
        default:
            return usage();
        }
    }
    return conns < 1 || depth < 1 || rotate < 1 ? usage() : 0;
}

int main(int argc, char **argv)
{
    struct rlimit files = {65536, 65536};
    struct epoll_event ready[512];
    uint64_t start_ns = now_ns();
    bool sender = false;
    int opened = 0;
    double s;

    if (options(argc, argv))
        return 2;
    signal(SIGPIPE, SIG_IGN);
    setrlimit(RLIMIT_NOFILE, &files);
    conn_epoll = epoll_create1(EPOLL_CLOEXEC);
    slots = calloc((size_t)conns + 1, sizeof(*slots));
    while (!is_over(opened, sender, start_ns)) {
        int n;

        open_more(&opened, &sender);
        n = epoll_wait(conn_epoll, ready, 512, 100);
        for (int i = 0; i < n; i++) {
            struct conn *c = ready[i].data.ptr;

            if (c->fd >= 0)
                conn_ready(c, ready[i].events, &to, on_message);
        }
    }
    s = last_ns > run_ns && run_ns ? (double)(last_ns - run_ns) / 1e9 : 1e-9;
    printf("mode=%s conns=%d done=%ld err=%ld hello=%ld events=%ld finals=%ld lost=%ld "
           "bytes_in=%ld secs=%.3f per_s=%.1f events_per_s=%.1f\n",
           mode_names[mode], conns, done_all, errors, hellos, events, finals, conn_lost,
           conn_bytes_in, s, (double)done_all / s, (double)events / s);
    report("latency", &latency);
    report("handshake", &handshake);
    report("ack", &ack);
    report("first_delta", &first_delta);
    report("final", &final);
    return errors || conn_lost ? 1 : 0;
}
