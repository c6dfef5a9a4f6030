/*
 * supervisor/channels.c - one process for each configured account of a channel: its program is
 * openclaw-channel-<id>, its slice holds this account and nothing else, it is restarted alone. A
 * slot of the fleet is used again by another account once its process is gone; instance numbers
 * never are.
 */
#include "forkservers.h"
#include "json.h"
#include "log.h"

#include <stdio.h>
#include <unistd.h>

static bool name_ok(const char *s, size_t max, const char *more)
{
    size_t n = strlen(s);

    for (size_t i = 0; i < n; i++)
        if (!(s[i] >= 'a' && s[i] <= 'z') && !(s[i] >= '0' && s[i] <= '9') && !strchr(more, s[i]))
            return false;
    return n > 0 && n <= max;
}

/* Which of our programs serves it; false: none does. A channel with a command brings its own. */
static bool program_of(const struct fleet *f, const char *channel, const json_t *conf,
                       char out[CHANNEL_PROGRAM_BYTES])
{
    char path[4096];

    (void)snprintf(out, CHANNEL_PROGRAM_BYTES, "%s-%s", role_name(ROLE_CHANNEL),
                   json_object_get(conf, "command") ? "external" : channel);
    return (size_t)snprintf(path, sizeof(path), "%s/%s", f->conf.exe_dir, out) < sizeof(path) &&
           access(path, X_OK) == 0;
}

static struct proc *find(struct fleet *f, const char *channel, const char *account)
{
    for (unsigned i = 0; i < f->count; i++) {
        const struct channel *c = f->proc[i].channel;

        if (c && strcmp(c->id, channel) == 0 && strcmp(c->account, account) == 0)
            return &f->proc[i];
    }
    return NULL;
}

static struct proc *free_slot(struct fleet *f, struct err *e)
{
    struct proc *p = NULL;

    for (unsigned i = 0; i < f->count && !p; i++)
        if (f->proc[i].role == ROLE_CHANNEL && !f->proc[i].channel)
            p = &f->proc[i];
    if (!p && fleet_add(f, ROLE_CHANNEL, 0, &p, e) < 0)
        return NULL;
    p->fsm = (struct fsm){.state = FSM_DOWN};
    p->restarts = 0;
    p->ready_us = 0;
    p->instance = ++f->next_channel;
    return p;
}

static int start(struct fleet *f, const char *channel, const char *account, json_t *conf,
                 struct err *e)
{
    char program[CHANNEL_PROGRAM_BYTES];
    struct channel *c;
    struct proc *p;
    int r;

    if (!name_ok(channel, CHANNEL_ID_MAX, "-") || !name_ok(account, CHANNEL_ACCOUNT_MAX, "-_.")) {
        log_error("channel.bad_name", KV("channel", channel), KV("account", account));
        return 0;
    }
    if (!program_of(f, channel, conf, program)) {
        log_warn("channel.not_here", KV("channel", channel), KV("account", account));
        return 0; /* a platform of OpenClaw's that this build does not have */
    }
    if ((r = mem_new(&c, sizeof(*c), e)) < 0)
        return r;
    if (!(p = free_slot(f, e))) {
        mem_free(c);
        log_error("channel.not_started", KV("channel", channel), KV("account", account),
                  KV("why", e->text));
        return 0;
    }
    (void)snprintf(c->id, sizeof(c->id), "%s", channel);
    (void)snprintf(c->account, sizeof(c->account), "%s", account);
    (void)snprintf(c->program, sizeof(c->program), "%s", program);
    c->conf = json_incref(conf);
    c->messages = json_incref(f->messages);
    c->wanted = c->seen = true;
    p->channel = c;
    if (f->started)
        proc_event(p, FSM_EV_START);
    return 0;
}

/* What an account says itself, and what its channel says for all of them: but for the accounts, and
 * a default account's own words, which are nobody else's. */
static json_t *merged(json_t *channel, json_t *account)
{
    json_t *out = json_copy(channel);

    if (!out || (account && json_object_update(out, account) < 0)) {
        json_decref(out);
        return NULL;
    }
    (void)json_object_del(out, "accounts");
    (void)json_object_del(out, "defaultAccount");
    return out;
}

/* Both may be NULL. */
static bool same_doc(const json_t *a, const json_t *b)
{
    return a == b || (a && b && json_equal(a, b));
}

/* The account is configured so: start its process, leave it alone, or restart it. */
static int want(struct fleet *f, const char *channel, const char *account, json_t *conf,
                struct err *e)
{
    struct proc *p = find(f, channel, account);
    bool was;

    if (!json_is_true(json_object_get(conf, "enabled")) && json_object_get(conf, "enabled"))
        return 0;
    if (!p)
        return start(f, channel, account, conf, e);
    was = p->channel->wanted;
    p->channel->wanted = p->channel->seen = true;
    if (was && json_equal(p->channel->conf, conf) && same_doc(p->channel->messages, f->messages))
        return 0;
    json_decref(p->channel->conf);
    json_decref(p->channel->messages);
    p->channel->conf = json_incref(conf);
    p->channel->messages = json_incref(f->messages);
    (void)program_of(f, channel, conf, p->channel->program);
    if (!f->started || p->channel->stopped)
        return 0;
    if (was)
        proc_event(p, FSM_EV_STOP);
    proc_event(p, FSM_EV_START); /* its exit starts it with what is new */
    return 0;
}

static int want_account(struct fleet *f, const char *id, const char *name, json_t *channel,
                        json_t *account, struct err *e)
{
    json_t *conf = merged(channel, account);
    int r = conf ? want(f, id, name, conf, e)
                 : err_set(e, ERR_NOMEM, "out of memory for the accounts of %s", id);

    json_decref(conf);
    return r;
}

/* Two names in the map are no channels. */
static bool is_channel(const char *id, const json_t *conf)
{
    return json_is_object(conf) && strcmp(id, "defaults") != 0 &&
           strcmp(id, "modelByChannel") != 0 && (json_object_size(conf) > 0);
}

static void unwanted(struct fleet *f)
{
    for (unsigned i = 0; i < f->count; i++) {
        struct proc *p = &f->proc[i];

        if (!p->channel || p->channel->seen)
            continue;
        p->channel->wanted = false;
        proc_event(p, FSM_EV_STOP);
        channels_ended(p);
    }
}

int channels_configure(struct fleet *f, json_t *slice, struct err *e)
{
    json_t *channel, *account;
    const char *id, *name;
    int r;

    for (unsigned i = 0; i < f->count; i++)
        if (f->proc[i].channel)
            f->proc[i].channel->seen = false;
    json_decref(f->messages);
    f->messages = json_incref(json_object_get(slice, "messages"));
    json_object_foreach(json_object_get(slice, "channels"), id, channel)
    {
        if (!is_channel(id, channel))
            continue;
        if (json_object_size(json_object_get(channel, "accounts")) == 0 &&
            (r = want_account(f, id, "default", channel, NULL, e)) < 0)
            return r;
        json_object_foreach(json_object_get(channel, "accounts"), name,
                            account) if ((r = want_account(f, id, name, channel, account, e)) <
                                         0) return r;
    }
    unwanted(f);
    forkserver_sweep(f);
    return 0;
}

void channels_run(struct fleet *f, struct view channel, struct view account, bool run)
{
    for (unsigned i = 0; i < f->count; i++) {
        struct proc *p = &f->proc[i];

        if (!p->channel || !p->channel->wanted || !view_eq(channel, view_str(p->channel->id)) ||
            !view_eq(account, view_str(p->channel->account)))
            continue;
        p->channel->stopped = !run;
        log_info(run ? "channel.start" : "channel.stop", KV("channel", channel),
                 KV("account", account));
        if (!run || p->fsm.state == FSM_UP || p->fsm.state == FSM_STARTING)
            proc_event(p, FSM_EV_STOP); /* started anew: what has given up tries again */
        if (run)
            proc_event(p, FSM_EV_START);
        fleet_changed(f);
        return;
    }
}

void channels_ended(struct proc *p)
{
    if (!p->channel || p->channel->wanted || p->pid || p->fsm.state != FSM_DOWN)
        return;
    json_decref(p->channel->conf);
    json_decref(p->channel->messages);
    mem_free(p->channel);
    p->channel = NULL;
}

void channels_free(struct fleet *f)
{
    for (unsigned i = 0; i < f->count; i++)
        if (f->proc[i].channel) {
            json_decref(f->proc[i].channel->conf);
            json_decref(f->proc[i].channel->messages);
            mem_free(f->proc[i].channel);
            f->proc[i].channel = NULL;
        }
    json_decref(f->messages);
    f->messages = NULL;
}

int channels_slice(const struct proc *p, struct buf *out, struct err *e)
{
    const struct channel *c = p->channel;
    json_t *doc =
        json_pack("{s:{s:{s:{s:O}}}, s:{s:s, s:s}}", "channels", c->id, "accounts", c->account,
                  c->conf, "runtime", "channel", c->id, "account", c->account);
    int r = doc ? 0 : err_set(e, ERR_NOMEM, "out of memory for a slice");

    if (r == 0 && c->messages)
        r = json_set_at(doc, "messages", json_incref(c->messages), e);
    if (r == 0)
        r = json_dump(doc, out, e);
    json_decref(doc);
    return r;
}

/* It is made with channels/base, which cuts text itself. */
static bool with_base(const struct channel *c)
{
    static const char *const names[] = {
#define CHANNEL(name) "openclaw-channel-" #name,
#include "list.def"
#undef CHANNEL
    };

    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (strcmp(c->program, names[i]) == 0)
            return true;
    return false;
}

json_t *channels_list(const struct fleet *f)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < f->count && list; i++) {
        const struct proc *p = &f->proc[i];
        json_t *row = NULL;

        if (!p->channel || !p->channel->wanted)
            continue;
        row = json_pack("{s:I, s:s, s:s, s:b}", "instance", (json_int_t)p->instance, "channel",
                        p->channel->id, "account", p->channel->account, "chunks",
                        with_base(p->channel));
        if (!row || json_array_append_new(list, row) < 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}
