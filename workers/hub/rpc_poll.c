/* workers/hub/rpc_poll.c - polls: the method, and the action of message.action with the names that
 * the command line uses. Where a platform has none, its channel says it as a list. */
#include "rpc_send.h"

#include "json.h"
#include "num.h"

enum {
    OPTIONS_MIN = 2,
    OPTIONS_MAX = 12,
    QUESTION_BYTES = 4096,
    OPTION_BYTES = 1024,
    SECONDS_MAX = 604800, /* seven days */
};

/* The sentence why it is none; NULL: it is good. */
static const char *fault_of(const json_t *doc)
{
    const json_t *options = json_object_get(doc, "options"), *o;
    struct view question = view_trim(json_view(doc, "question"));
    size_t i;

    if (!question.n || question.n > QUESTION_BYTES)
        return "a poll has a question of at most 4096 bytes";
    if (json_array_size(options) < OPTIONS_MIN || json_array_size(options) > OPTIONS_MAX)
        return "a poll has 2 to 12 options";
    json_array_foreach(options, i, o)
    {
        if (!view_trim(json_view_of(o)).n || json_view_of(o).n > OPTION_BYTES)
            return "an option of a poll is a text of 1 to 1024 bytes";
    }
    return NULL;
}

int send_poll(struct call *c, struct send *s, const json_t *doc, struct view key)
{
    const char *fault = fault_of(doc);
    struct buf b = BUF_INIT(128 * KIB);
    struct err e = ERR_INIT;
    int r;

    if (fault)
        return call_error(c, RPC_INVALID_REQUEST, "invalid poll params: %s", fault);
    if (s->o.target.n == 0 || s->o.target.n > 512 || s->o.thread.n > 256)
        return call_error(c, RPC_INVALID_REQUEST,
                          "invalid poll params: to or threadId is empty or too long");
    s->form = DELIVER_FORM_POLL;
    s->o.kind = DELIVERY_POLL;
    s->o.options |= DELIVER_ACTION;
    if ((r = json_dump(doc, &b, &e)) == 0)
        s->o.text = buf_view(&b);
    r = r < 0 ? send_refused(c, &e) : send_take(c, s, key);
    buf_fini(&b);
    return r;
}

static int put(json_t *doc, const char *name, json_t *value, struct err *e)
{
    return value ? json_set_at(doc, name, json_incref(value), e) : 0;
}

int rpc_poll(struct call *c)
{
    static const char *const members[] = {"question",        "options",       "maxSelections",
                                          "durationSeconds", "durationHours", "isAnonymous"};
    struct send s = {.o = {.channel = view_trim(json_view(c->params, "channel")),
                           .account = view_trim(json_view(c->params, "accountId")),
                           .target = view_trim(json_view(c->params, "to")),
                           .thread = json_view(c->params, "threadId"),
                           .options = json_flag(c->params, "silent", false) ? DELIVER_SILENT : 0}};
    struct err e = ERR_INIT;
    json_t *doc = json_object();
    int r = doc ? 0 : err_set(&e, ERR_NOMEM, "out of memory");

    for (size_t i = 0; i < COUNT_OF(members) && r == 0; i++)
        r = put(doc, members[i], json_object_get(c->params, members[i]), &e);
    r = r < 0 ? send_refused(c, &e) : send_poll(c, &s, doc, json_view(c->params, "idempotencyKey"));
    json_decref(doc);
    return r;
}

/* A number, or the digits that a command line gives. */
static json_t *number_of(const json_t *p, const char *name, int64_t max)
{
    struct view words = view_trim(json_view(p, name));
    int64_t n = json_i64(p, name, 0);
    struct err ignored = ERR_INIT;
    uint64_t said;

    if (words.n && num_u64(words, 1, (uint64_t)max, &said, &ignored) == 0)
        n = (int64_t)said;
    return n > 0 && n <= max ? json_integer((json_int_t)n) : NULL;
}

/* One that is there under either name. */
static json_t *either(const json_t *p, const char *a, const char *b)
{
    json_t *v = json_object_get(p, a);

    return v ? v : json_object_get(p, b);
}

static int read_action(const json_t *p, json_t *doc, struct err *e)
{
    json_t *options = either(p, "pollOption", "pollOptions"),
           *seconds = number_of(p, "pollDurationSeconds", SECONDS_MAX),
           *hours = number_of(p, "pollDurationHours", SECONDS_MAX / 3600);
    bool open = json_flag(p, "pollPublic", false), many = json_flag(p, "pollMulti", false);
    int r = 0;

    if (!options)
        options = json_object_get(p, "options");
    if ((r = put(doc, "question", either(p, "pollQuestion", "question"), e)) == 0)
        r = put(doc, "options", options, e);
    if (r == 0)
        r = put(doc, "durationSeconds", seconds, e);
    if (r == 0)
        r = put(doc, "durationHours", hours, e);
    if (r == 0 && many)
        r = json_set_at(doc, "maxSelections", json_integer((json_int_t)json_array_size(options)),
                        e);
    if (r == 0 && (open || json_object_get(p, "pollAnonymous")))
        r = json_set_at(doc, "isAnonymous",
                        json_boolean(!open && json_flag(p, "pollAnonymous", true)), e);
    json_decref(seconds);
    json_decref(hours);
    return r;
}

int send_poll_action(struct call *c, struct send *s, const json_t *p, struct view key)
{
    struct err e = ERR_INIT;
    json_t *doc = json_object();
    int r = doc ? read_action(p, doc, &e) : err_set(&e, ERR_NOMEM, "out of memory");

    s->o.thread = json_view(p, "threadId");
    s->o.options = json_flag(p, "silent", false) ? DELIVER_SILENT : 0;
    r = r < 0 ? send_refused(c, &e) : send_poll(c, s, doc, key);
    json_decref(doc);
    return r;
}
