#include "chan_program.h"

#include "json.h"
#include "log.h"
#include "mem.h"

enum { PORTS_MAX = 32 };

struct chan_program {
    struct channel *c;
    struct program *p;
    struct chan_program_on on;
    void *ctx;
};

static void on_line(void *ctx, struct view line)
{
    struct chan_program *p = ctx;

    p->on.on_line(p->ctx, line);
}

static void on_error(void *ctx, struct view line)
{
    const struct chan_program *p = ctx;

    log_info("channel.program", KV("channel", channel_id(p->c)),
             KV("account", channel_account(p->c)), KV("text", line));
}

static void on_end(void *ctx, const char *why)
{
    struct chan_program *p = ctx;

    p->on.on_end(p->ctx, why);
}

static int read_argv(const json_t *argv, char *out[CHAN_PROGRAM_ARGS_MAX + 1], struct err *e)
{
    size_t n = json_array_size(argv);

    if (n == 0 || n > CHAN_PROGRAM_ARGS_MAX)
        return err_set(e, ERR_INVALID, "command: a list of 1 to %d words, the program's path first",
                       (int)CHAN_PROGRAM_ARGS_MAX);
    for (size_t i = 0; i < n; i++) {
        struct view v = json_view_of(json_array_get(argv, i));

        if (!json_is_string(json_array_get(argv, i)) || memchr(v.p, '\0', v.n))
            return err_set(e, ERR_INVALID, "command: word %zu is no text", i);
        if (!(out[i] = mem_dup(v.p, v.n)))
            return err_set(e, ERR_NOMEM, "command: out of memory");
    }
    if (out[0][0] != '/')
        return err_set(e, ERR_INVALID, "command: %.200s: say the whole path", out[0]);
    return 0;
}

/* The TCP ports that it may connect to: the account's word; none said: all. */
static int read_ports(const struct channel *c, uint16_t *out, unsigned *n, struct err *e)
{
    const json_t *list = json_object_get(channel_conf(c), "ports"), *v;
    size_t i;

    if (json_array_size(list) > PORTS_MAX)
        return err_set(e, ERR_LIMIT, "ports: more than %d", (int)PORTS_MAX);
    json_array_foreach(list, i, v)
    {
        json_int_t port = json_integer_value(v);

        if (port < 1 || port > UINT16_MAX)
            return err_set(e, ERR_INVALID, "ports: entry %zu is no port", i);
        out[(*n)++] = (uint16_t)port;
    }
    return 0;
}

int chan_program_start(struct channel *c, const json_t *argv, const struct chan_program_on *on,
                       void *ctx, struct chan_program **out, struct err *e)
{
    static const struct program_on ours = {
        .on_line = on_line, .on_error = on_error, .on_end = on_end};
    char *words[CHAN_PROGRAM_ARGS_MAX + 1] = {NULL};
    struct chan_program *p = NULL;
    uint16_t ports[PORTS_MAX];
    struct program_conf conf = {.ports = ports};
    int r;

    if ((r = read_ports(c, ports, &conf.port_count, e)) < 0)
        return r;
    if ((r = read_argv(argv, words, e)) < 0 || (r = mem_new(&p, sizeof(*p), e)) < 0)
        goto out;
    *p = (struct chan_program){.c = c, .on = *on, .ctx = ctx};
    if ((r = program_start(channel_loop(c), words, &conf, &ours, p, &p->p, e)) < 0)
        mem_free(p);
    else
        *out = p;
out:
    for (size_t i = 0; words[i]; i++)
        mem_free(words[i]);
    return r;
}

void chan_program_listen(struct chan_program *p)
{
    program_listen(p->p);
}

int chan_program_write(struct chan_program *p, struct view text, struct err *e)
{
    return program_write(p->p, text, e);
}

void chan_program_stop(struct chan_program **pp)
{
    struct chan_program *p = *pp;

    if (!p)
        return;
    *pp = NULL;
    program_stop(&p->p);
    mem_free(p);
}
