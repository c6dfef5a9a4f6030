/* ctl/cmd_route.c - what the router would do with a message: by the lines of standard input as
 * JSON, or one message in words. Needs no gateway: the configuration is read from its file. */
#include "ctl.h"

#include "ask.h"
#include "explain.h"
#include "fd.h"
#include "json.h"
#include "json5.h"
#include "mem.h"

#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

enum {
    LINE_MAX_BYTES = 16 * 1024 * 1024, /* a line may hold a configuration with 10,000 bindings */
    ANSWER_MAX = 1024 * 1024,
    READ_BYTES = 65536,
};

/* The index of the configuration's file. A file that is not there is an empty one, unless it was
 * asked for by name. */
static int read_index(const struct ctl *c, const char *file, struct index **out, struct err *e)
{
    char path[8192];
    struct buf b = BUF_INIT(JSON5_TEXT_MAX);
    json_t *doc = NULL;
    bool named = file || c->config;
    int r = 0;

    b.secret = true;
    if (named)
        (void)snprintf(path, sizeof(path), "%s", file ? file : c->config);
    else
        (void)snprintf(path, sizeof(path), "%s/openclaw.json", c->state_dir);
    if (named || access(path, F_OK) == 0) {
        if ((r = fd_read_file(path, JSON5_TEXT_MAX, &b, e)) == 0)
            r = json5_parse(buf_view(&b), &doc, e);
        if (r < 0)
            r = err_wrap(e, "%s", path);
    }
    if (r == 0)
        r = index_new(out, doc, e);
    json_decref(doc);
    buf_fini(&b);
    return r;
}

/* ---- in words ---- */

static int explain_one(const struct index *ix, const struct route_in *in, struct buf *out,
                       struct err *e)
{
    struct err warn = ERR_INIT;

    if (index_check(ix, &warn) < 0)
        buf_printf(out, "note: %s\n", warn.text);
    return explain(ix, in, out, e);
}

static int explain_line(const struct index *ix, const json_t *input, struct buf *out, struct err *e)
{
    struct ask_route q;
    struct index *own = NULL;
    const json_t *cfg;
    int r;

    if (json_object_get(input, "fn") || json_object_get(input, "route"))
        input = json_object_get(input, json_object_get(input, "fn") ? "input" : "route");
    cfg = json_object_get(input, "cfg");
    if ((r = ask_read(&q, input, e)) < 0 || (cfg && (r = index_new(&own, cfg, e)) < 0))
        return r;
    r = explain_one(own ? own : ix, &q.in, out, e);
    index_free(&own);
    return r;
}

/* ---- lines ---- */

/* What lines are answered with. */
struct lines {
    const struct index *ix;   /* NULL: the configuration's file cannot be used */
    const struct err *broken; /* says why */
    bool words;
};

static bool brings_config(const json_t *doc)
{
    const json_t *in = json_object_get(doc, "fn") ? json_object_get(doc, "input") : doc;

    return json_object_get(in, "cfg") || json_object_get(json_object_get(in, "route"), "cfg");
}

static void answer(const struct lines *l, struct view line, struct buf *out)
{
    struct jw w = JW_INIT(out);
    struct err e = ERR_INIT;
    json_t *doc = NULL;
    int r;

    if ((r = json_parse(line, &doc, &e)) == 0 && !l->ix && !brings_config(doc))
        r = err_set(&e, ERR_INVALID, "%s", l->broken->text);
    if (r == 0 && l->words)
        r = explain_line(l->ix, doc, out, &e);
    else if (r == 0)
        r = ask(l->ix, VIEW_EMPTY, doc, &w, &e);
    json_decref(doc);
    if (r < 0 && l->words)
        buf_printf(out, "%s: %s\n", route_error_name(e.code), e.text);
    else if (r < 0)
        ask_error(&w, &e);
    buf_put_char(out, '\n');
}

static int put_out(struct buf *out, bool words)
{
    struct view v = buf_view(out);

    if (words)
        ctl_put_text(v);
    else
        (void)fwrite(v.p, 1, v.n, stdout);
    buf_reset(out, ANSWER_MAX);
    return 0;
}

/* Whole lines at the front of in; at its end also the one without a line end. */
static int take_lines(const struct lines *l, struct buf *in, bool end, struct buf *out)
{
    int code = 0;

    while (code == 0 && in->n) {
        struct view v = buf_view(in);
        size_t n = view_find(v, '\n'), whole = n < v.n ? n + 1 : n;

        if (n == v.n && !end)
            return 0;
        v = view_trim(view_of(v.p, n));
        if (v.n)
            answer(l, v, out);
        code = out->failed ? 1 : put_out(out, l->words);
        buf_eat(in, whole);
    }
    return code;
}

/* 0; 1 when standard input or output failed. */
static int each_line(const struct lines *l)
{
    struct buf in = BUF_INIT(LINE_MAX_BYTES), out = BUF_INIT(ANSWER_MAX);
    ssize_t n = 1;
    int code = 0;

    while (code == 0 && n > 0) {
        char *room = buf_room(&in, READ_BYTES);

        if (!room) {
            (void)fprintf(stderr, "openclawctl: a line longer than %d bytes\n",
                          (int)LINE_MAX_BYTES);
            code = 1;
            break;
        }
        if ((n = read(STDIN_FILENO, room, READ_BYTES)) < 0) {
            perror("openclawctl: standard input");
            code = 1;
            break;
        }
        buf_added(&in, (size_t)n);
        code = take_lines(l, &in, n == 0, &out);
        /* whoever asks line by line waits for the answer */
        if (fflush(stdout) != 0)
            code = 1;
    }
    buf_fini(&in);
    buf_fini(&out);
    return code;
}

/* ---- one message from options ---- */

/* "group:-100" apart. */
static void take_peer(struct route_peer *p, struct view v)
{
    size_t colon = view_find(v, ':');

    p->given = true;
    p->kind = view_of(v.p, colon);
    p->id = view_from(v, colon + 1);
}

static size_t take_roles(struct view v, struct view *roles, size_t max)
{
    size_t n = 0;

    while (v.n && n < max) {
        size_t comma = view_find(v, ',');

        roles[n++] = view_of(v.p, comma);
        v = view_from(v, comma + 1);
    }
    return n;
}

static int one_message(const struct index *ix, const struct route_in *in)
{
    struct buf out = BUF_INIT(ANSWER_MAX);
    struct err e = ERR_INIT;
    int r = explain_one(ix, in, &out, &e);

    if (r < 0)
        (void)fprintf(stderr, "openclawctl: %s\n", e.text);
    else
        r = put_out(&out, true);
    buf_fini(&out);
    return r < 0 ? 1 : 0;
}

/* What the command line asks. */
struct asked {
    const char *config;
    bool words, lines, options;
    struct route_in in;
    struct view roles[ROUTE_ROLES_MAX];
};

static int take_options(struct asked *a, int argc, char **argv)
{
    enum {
        O_CONFIG = 1,
        O_EXPLAIN,
        O_CHANNEL,
        O_ACCOUNT,
        O_KIND,
        O_PEER,
        O_GUILD,
        O_TEAM,
        O_ROLES,
        O_PARENT
    };
    static const struct option longs[] = {
        {"config", required_argument, NULL, O_CONFIG},
        {"explain", no_argument, NULL, O_EXPLAIN},
        {"channel", required_argument, NULL, O_CHANNEL},
        {"account", required_argument, NULL, O_ACCOUNT},
        {"peer-kind", required_argument, NULL, O_KIND},
        {"peer", required_argument, NULL, O_PEER},
        {"guild", required_argument, NULL, O_GUILD},
        {"team", required_argument, NULL, O_TEAM},
        {"roles", required_argument, NULL, O_ROLES},
        {"parent", required_argument, NULL, O_PARENT},
        {NULL, 0, NULL, 0},
    };
    int o;

    optind = 0; /* main used it for the options before the command */
    while ((o = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        struct view v = view_str(optarg);

        a->options = a->options || o >= O_CHANNEL;
        if (o == O_CONFIG)
            a->config = optarg;
        else if (o == O_EXPLAIN)
            a->words = true;
        else if (o == O_CHANNEL)
            a->in.channel = v;
        else if (o == O_ACCOUNT)
            a->in.account = v;
        else if (o == O_KIND)
            a->in.peer.kind = v;
        else if (o == O_PEER)
            a->in.peer.id = v;
        else if (o == O_GUILD)
            a->in.guild = v;
        else if (o == O_TEAM)
            a->in.team = v;
        else if (o == O_ROLES)
            a->in.roles_n = take_roles(v, a->roles, ROUTE_ROLES_MAX);
        else if (o == O_PARENT)
            take_peer(&a->in.parent, v);
        else
            return -1;
    }
    if (optind < argc && strcmp(argv[optind], "-") == 0) {
        a->lines = true;
        optind++;
    }
    a->in.peer.given = a->in.peer.kind.n || a->in.peer.id.n;
    if (a->in.peer.id.n && !a->in.peer.kind.n)
        a->in.peer.kind = V("direct");
    return optind == argc ? 0 : -1;
}

int cmd_route(struct ctl *c, int argc, char **argv)
{
    struct view none = VIEW_EMPTY;
    struct asked a = {.in = {.channel = none,
                             .account = none,
                             .guild = none,
                             .team = none,
                             .peer = {.kind = none, .id = none},
                             .parent = {.kind = none, .id = none},
                             .default_agent = none}};
    struct index *ix = NULL;
    struct err e = ERR_INIT;
    int code;

    a.in.roles = a.roles;
    if (take_options(&a, argc, argv) < 0 || (a.lines && a.options) ||
        (!a.lines && !(a.words && a.in.channel.n)))
        return ctl_usage(argv[0]);
    if (read_index(c, a.config, &ix, &e) < 0 && (!a.lines || a.config)) {
        (void)fprintf(stderr, "openclawctl: %s\n", e.text);
        return 1;
    }
    code = a.lines ? each_line(&(struct lines){.ix = ix, .broken = &e, .words = a.words})
                   : one_message(ix, &a.in);
    index_free(&ix);
    return code;
}
