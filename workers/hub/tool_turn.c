#include "tool_turn.h"

#include "blocks.h"
#include "clock.h"
#include "json.h"
#include "log.h"
#include "tools.h"

#include <openssl/sha.h>
#include <stdio.h>

enum { AGAIN_MS = 500 }; /* the store has no room */

/* Calls of one answer, one after the other. */
struct tool_turn {
    struct run *run;
    json_t *calls; /* owned: as the agent told them */
    size_t at;     /* the one under way */
    struct tool_call call;
    bool busy;              /* call is under way */
    bool inside;            /* advance() is: whoever ends meanwhile does not go on by himself */
    struct loop_task go_on; /* a call ended later */
    struct loop_timer again;
    int64_t from_ms; /* when the present one began */
    enum tool_end end;
    struct buf text; /* what it said */
};

/* ---- what a model is offered ---- */

/* A client that brings its conversation, or tools of its own, has ours not. */
static bool ours(const struct run *r)
{
    return !run_given(r) && !strstr(r->options, "\"tools\":[");
}

static void asker_of(const struct run *r, struct model_pick *pick, struct tool_asker *a)
{
    run_model(r, pick);
    *a = (struct tool_asker){.conf = r->hub->w.conf,
                             .agent = view_str(r->live->s.agent),
                             .provider = view_str(pick->provider),
                             .model = view_str(pick->model),
                             .session = view_str(r->live->s.key),
                             .owner = r->trust == TRUST_OWNER};
}

bool tool_turn_offer(const struct run *r, struct buf *out)
{
    struct tool_asker who;
    struct model_pick pick;
    unsigned n = 0;

    if (!ours(r))
        return false;
    asker_of(r, &pick, &who);
    for (unsigned i = 0; i < TOOLS_SERVED; i++) {
        if (!tool_allowed(&who, tool_row((enum tool_index)i), NULL))
            continue;
        if (n++)
            buf_put_char(out, ',');
        else
            buf_put(out, "\0[", 2);
        buf_put_view(out, tools_offer(r->hub, (enum tool_index)i));
    }
    if (n)
        buf_put_char(out, ']');
    return n > 0;
}

/* ---- ids ---- */

/* Of a result, and of its call for the tool: the same for every hub that does it. */
static void id_of(const struct run *r, size_t i, char out[37])
{
    unsigned char md[SHA256_DIGEST_LENGTH];
    char text[600];
    int n =
        snprintf(text, sizeof(text), "%s:%llu:%zu", r->row_id, (unsigned long long)r->job_id, i);

    (void)SHA256((const unsigned char *)text, n > 0 ? strnlen(text, sizeof(text)) : 0, md);
    (void)snprintf(out, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
                   md[0], md[1], md[2], md[3], md[4], md[5], md[6], md[7], md[8], md[9], md[10],
                   md[11], md[12], md[13], md[14], md[15]);
}

static const json_t *call_at(const struct tool_turn *t, size_t i)
{
    return json_array_get(t->calls, i);
}

/* ---- what clients see ---- */

/* The item that stands for the call under way. */
static void put_item(struct jw *w, const struct tool_turn *t, const char *phase, const char *status)
{
    const json_t *call = call_at(t, t->at);
    struct view id = json_view(call, "id"), name = json_view(call, "name");

    jw_obj(w);
    jw_key(w, "itemId");
    jw_str_open(w);
    buf_put_str(w->b, "tool:");
    jw_escape(w->b, id);
    jw_str_close(w);
    jw_kstr(w, "toolCallId", id);
    jw_kstr(w, "name", name);
    jw_kcstr(w, "kind", "tool");
    jw_kcstr(w, "phase", phase);
    jw_kstr(w, "title", name);
    jw_kcstr(w, "status", status);
    jw_ki64(w, "startedAt", t->from_ms);
    if (strcmp(phase, "end") == 0)
        jw_ki64(w, "endedAt", clock_wall_ms());
    jw_obj_end(w);
}

static void show_start(struct tool_turn *t)
{
    const json_t *call = call_at(t, t->at);
    struct view id = json_view(call, "id"), name = json_view(call, "name");
    struct view args = json_view(call, "arguments");
    struct buf b = BUF_INIT(TOOL_ARGS_MAX + 4 * KIB);
    struct jw w = JW_INIT(&b);

    t->from_ms = clock_wall_ms();
    put_item(&w, t, "start", "running");
    chat_agent_event(t->run, "item", buf_view(&b));
    buf_reset(&b, b.max);
    w = (struct jw)JW_INIT(&b);
    jw_obj(&w);
    jw_kcstr(&w, "phase", "start");
    jw_kstr(&w, "name", name);
    jw_kstr(&w, "toolCallId", id);
    jw_kraw(&w, "args", t->call.args && args.n <= TOOL_ARGS_MAX ? args : V("{}"));
    jw_obj_end(&w);
    if (!b.failed)
        chat_tool_event(t->run, buf_view(&b));
    buf_fini(&b);
}

static void show_end(struct tool_turn *t, struct view text)
{
    const json_t *call = call_at(t, t->at);
    struct view id = json_view(call, "id"), name = json_view(call, "name");
    struct buf b = BUF_INIT(16 * (size_t)TOOL_RESULT_MAX);
    struct jw w = JW_INIT(&b);

    jw_obj(&w);
    jw_kcstr(&w, "phase", "result");
    jw_kstr(&w, "name", name);
    jw_kstr(&w, "toolCallId", id);
    jw_kbool(&w, "isError", t->end != TOOL_DONE);
    jw_key(&w, "result");
    jw_obj(&w);
    jw_key(&w, "content");
    jw_arr(&w);
    jw_obj(&w);
    jw_kcstr(&w, "type", "text");
    jw_kstr(&w, "text", text);
    jw_obj_end(&w);
    jw_arr_end(&w);
    jw_obj_end(&w);
    jw_obj_end(&w);
    if (!b.failed)
        chat_tool_event(t->run, buf_view(&b));
    buf_reset(&b, b.max);
    w = (struct jw)JW_INIT(&b);
    put_item(&w, t, "end", t->end == TOOL_DONE ? "completed" : "failed");
    chat_agent_event(t->run, "item", buf_view(&b));
    buf_fini(&b);
}

/* ---- one call ---- */

/* What it said becomes a message; once. */
static int keep(struct tool_turn *t, struct err *e)
{
    struct run *r = t->run;
    const json_t *call = call_at(t, t->at);
    struct buf msg = BUF_INIT(16 * (size_t)TOOL_RESULT_MAX), text = BUF_INIT(2 * TOOL_RESULT_MAX);
    struct view said = buf_view(&t->text);
    struct jw w = JW_INIT(&text);
    int64_t now = clock_wall_ms();
    char id[37];
    uint64_t seq = 0;
    int rc;

    if (t->end != TOOL_DONE) {
        jw_obj(&w);
        jw_kcstr(&w, "status", t->end == TOOL_FORBIDDEN ? "forbidden" : "error");
        jw_kstr(&w, "tool", json_view(call, "name"));
        jw_kstr(&w, "error", said);
        jw_obj_end(&w);
        said = buf_view(&text);
    } else if (said.n > TOOL_RESULT_MAX) {
        buf_put_view(&text, view_of(said.p, chat_whole(view_of(said.p, TOOL_RESULT_MAX))));
        buf_put_str(&text, "\n[cut: the result was longer]");
        said = buf_view(&text);
    }
    id_of(r, t->at, id);
    chat_msg_tool(&msg, r, id, json_view(call, "id"), json_view(call, "name"), said,
                  t->end != TOOL_DONE, now);
    if ((rc = buf_check(&msg, e)) == 0)
        rc = chat_msg_add(r->hub, r->live, id, MESSAGE_TOOL, view_str(r->run_id), buf_view(&msg),
                          now, &seq, e);
    if (rc == 0) {
        chat_message(r->hub, r->live, id, seq, buf_view(&msg));
        show_end(t, said);
    }
    buf_fini(&msg);
    buf_fini(&text);
    return rc == ERR_CONFLICT ? 0 : rc;
}

static void end_with(struct tool_turn *t, enum tool_end end, struct view text)
{
    t->end = end;
    t->busy = false;
    buf_reset(&t->text, t->text.max);
    buf_put_view(&t->text, text);
}

static void on_end(struct tool_call *c, enum tool_end end, struct view text)
{
    struct tool_turn *t = c->user;

    end_with(t, end, text);
    if (!t->inside)
        loop_defer(t->run->hub->w.loop, &t->go_on, LOOP_COMMIT);
}

/* Whether it may be done, and how; false: it has its result. */
static bool prepare(struct tool_turn *t)
{
    struct run *r = t->run;
    const json_t *call = call_at(t, t->at);
    struct view name = json_view(call, "name"), args = json_view(call, "arguments");
    enum tool_index i = tool_find(name);
    struct model_pick pick;
    struct tool_asker who;
    struct err e = ERR_INIT;

    asker_of(r, &pick, &who);
    t->call = (struct tool_call){.hub = r->hub,
                                 .owner = r->trust == TRUST_OWNER,
                                 .inside = r->trust != TRUST_NONE,
                                 .hops = r->hops,
                                 .on_end = on_end,
                                 .user = t};
    if (t->at >= TOOL_ROUND_CALLS) {
        end_with(t, TOOL_FAILED, V("Too many calls at once: the rest was not done."));
        return false;
    }
    if (i >= TOOLS_SERVED || !tool_allowed(&who, tool_row(i), NULL)) {
        end_with(t, TOOL_FAILED, V("There is no such tool here."));
        return false;
    }
    if (!args.n)
        args = V("{}");
    if (args.n > TOOL_ARGS_MAX || json_parse(args, &t->call.args, &e) < 0 ||
        !json_is_object(t->call.args)) {
        json_decref(TAKE(t->call.args));
        end_with(t, TOOL_BAD_INPUT, V("The arguments are not a JSON object."));
        return false;
    }
    t->call.row = tool_row(i);
    id_of(r, t->at, t->call.id);
    log_debug("tool.begin", KV("run", r->run_id), KV("tool", t->call.row->name),
              KV("call", t->call.id));
    /* also of an agent that is gone meanwhile */
    if (session_key(r->hub, view_str(r->live->s.key), VIEW_EMPTY, &t->call.session, &e) !=
        ERR_INVALID)
        return true;
    json_decref(TAKE(t->call.args));
    end_with(t, TOOL_FAILED, view_str(e.text));
    return false;
}

/* ---- one after the other ---- */

static void turn_free(struct tool_turn *t)
{
    if (t->busy)
        tool_drop(&t->call);
    loop_undefer(t->run->hub->w.loop, &t->go_on);
    loop_timer_fini(&t->again);
    json_decref(t->calls);
    buf_fini(&t->text);
    mem_free(t);
}

void tool_turn_drop(struct run *r)
{
    if (r->tools)
        turn_free(TAKE(r->tools));
}

static bool is_done(struct tool_turn *t)
{
    struct rec_message_add m;
    struct err e = ERR_INIT;
    char id[37];

    id_of(t->run, t->at, id);
    return store_message_by_id(t->run->hub->store, view_str(id), &m, &e) == 0;
}

/* With the results, and what people said meanwhile, to the model again. */
static void finish(struct tool_turn *t)
{
    struct run *r = t->run;
    struct err e = ERR_INIT;

    if (run_next_part(r, &e) < 0) {
        log_warn("tool.next", KV("run", r->run_id), KV("why", e.text));
        loop_timer_set(&t->again, AGAIN_MS);
        return;
    }
    mem_free(r->calls);
    r->calls = NULL;
    tool_turn_drop(r);
    run_start(r);
}

static void advance(struct tool_turn *t)
{
    struct err e = ERR_INIT;

    t->inside = true;
    while (!t->busy && t->at < json_array_size(t->calls)) {
        if (t->end >= 0 && keep(t, &e) < 0) {
            log_warn("tool.result", KV("run", t->run->run_id), KV("why", e.text));
            t->inside = false;
            loop_timer_set(&t->again, AGAIN_MS);
            return;
        }
        if (t->end >= 0) {
            t->end = TOOL_NOT_ENDED;
            t->at++;
            continue;
        }
        if (is_done(t)) {
            t->at++;
            continue;
        }
        if (prepare(t)) {
            t->busy = true;
            show_start(t);
            tool_start(&t->call);
        } else {
            show_start(t);
        }
    }
    t->inside = false;
    if (!t->busy)
        finish(t);
}

static void on_go(void *ctx)
{
    advance(ctx);
}

static bool open_turn(struct run *r, struct err *e)
{
    struct tool_turn *t;

    if (mem_new(&t, sizeof(*t), e) < 0)
        return false;
    t->run = r;
    t->end = TOOL_NOT_ENDED;
    t->go_on = (struct loop_task){.run = on_go, .ctx = t};
    loop_timer_init(&t->again, r->hub->w.loop, on_go, t);
    buf_init(&t->text, 16 << 20);
    if (json_parse(view_str(r->calls), &t->calls, e) < 0) {
        turn_free(t);
        return false;
    }
    r->tools = t;
    return true;
}

/* The answer with its calls is a message, and what is said from now on another one. */
static int keep_answer(struct run *r, struct err *e)
{
    struct view text = view_from(buf_view(&r->said), r->said_seg);
    struct buf b = BUF_INIT(32 * MIB);
    uint64_t seq;
    int rc;

    text.n = chat_whole(text);
    if (view_trim(text).n == 0)
        text = VIEW_EMPTY;
    id_of(r, SIZE_MAX, r->answer_id);
    (void)snprintf(r->result.stop_reason, sizeof(r->result.stop_reason), "toolUse");
    chat_msg_assistant(&b, r, r->answer_id, text, r->ended_ms);
    if ((rc = buf_check(&b, e)) == 0)
        rc = chat_msg_add(r->hub, r->live, r->answer_id, MESSAGE_ASSISTANT, view_str(r->run_id),
                          buf_view(&b), r->ended_ms, &seq, e);
    if (rc == 0)
        chat_message(r->hub, r->live, r->answer_id, seq, buf_view(&b));
    buf_fini(&b);
    return rc == ERR_CONFLICT ? 0 : rc;
}

bool tool_turn_begin(struct run *r)
{
    struct view text = view_from(buf_view(&r->said), r->said_seg);
    struct err e = ERR_INIT;

    text.n = chat_whole(text);
    if (!r->result.calls || !ours(r) || r->rounds >= TOOL_ROUNDS_MAX)
        return false;
    if (keep_answer(r, &e) < 0 || blocks_part(r, text, &e) < 0)
        goto out;
    r->calls = TAKE(r->result.calls);
    r->rounds++;
    r->phase = RUN_TOOLS;
    if (!open_turn(r, &e) || run_save(r, RUN_QUEUED, VIEW_EMPTY, &e) < 0) {
        r->phase = RUN_ENDING;
        r->rounds--;
        tool_turn_drop(r);
        r->result.calls = TAKE(r->calls);
        goto out;
    }
    if (blocks_over(r, &e) < 0)
        log_warn("tool.blocks", KV("run", r->run_id), KV("why", e.text));
    blocks_free(r); /* what comes is another text */
    run_acked(r);
    run_tools_segment(r);
    run_limit(r);
    advance(r->tools);
    return true;
out:
    /* the turn ends with what was said; whatever was written is not written twice */
    log_warn("tool.begin", KV("run", r->run_id), KV("why", e.text));
    return false;
}

void tool_turn_resume(struct run *r)
{
    struct err e = ERR_INIT;

    if (r->tools)
        return;
    if (!open_turn(r, &e)) {
        log_error("tool.resume", KV("run", r->run_id), KV("why", e.text));
        run_fail(r, "unknown", "The calls of tools were lost.");
        return;
    }
    advance(r->tools);
}
