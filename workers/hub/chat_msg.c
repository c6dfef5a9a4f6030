/*
 * workers/hub/chat_msg.c - messages of a transcript as JSON text. They are stored as chat.history
 * serves them, role and content first, so that a prompt or a preview finds both without parsing the
 * rest.
 */
#include "chat.h"
#include "clock.h"
#include "jscan.h"
#include "json.h"
#include "run_sends.h"
#include "settings.h"

/* files: members about attachments of a user's message, or empty. */
static void tail(struct jw *w, struct view run_id, const char *id, int64_t ts, bool user,
                 struct view files)
{
    jw_key(w, "__openclaw");
    jw_obj(w);
    if (run_id.n && !user)
        jw_kstr(w, "runId", run_id);
    jw_kcstr(w, "id", id);
    if (user) {
        jw_kbool(w, "senderIsOwner", true);
        if (files.n) {
            buf_put_char(w->b, ',');
            buf_put_view(w->b, files);
        }
        jw_key(w, "idempotencyKey");
        jw_str_open(w);
        jw_escape(w->b, run_id);
        buf_put_view(w->b, V(":user"));
        jw_str_close(w);
    }
    jw_ki64(w, "recordTimestampMs", ts);
    jw_obj_end(w);
    jw_obj_end(w);
}

void chat_msg_user(struct buf *out, const struct run *r, struct view text, int64_t ts)
{
    struct jw w = JW_INIT(out);

    jw_obj(&w);
    jw_kcstr(&w, "role", "user");
    jw_kstr(&w, "content", text);
    jw_ki64(&w, "timestamp", ts);
    buf_put_view(out, V(",\"idempotencyKey\":\""));
    jw_escape(out, view_str(r->run_id));
    buf_put_view(out, V(":user\""));
    tail(&w, view_str(r->run_id), r->message_id, ts, true, view_str(r->files));
}

/* What the gateway says by itself is named as the captured conversations name it (trace
 * chat-stop-command). */
static const char *api_of(const struct run *r)
{
    if (strcmp(r->provider, "openclaw") == 0)
        return "openai-responses";
    return r->hub && r->hub->settings ? settings_api(r->hub->settings, r->provider, r->model) : "";
}

/* Calls of a client's tools: more parts of the content. */
static void put_calls(const struct run *r, bool behind, struct buf *out)
{
    json_t *list = NULL;
    const json_t *call;
    struct err e = ERR_INIT;
    size_t i;

    if (!r->result.calls || json_parse(view_str(r->result.calls), &list, &e) < 0)
        return;
    json_array_foreach(list, i, call)
    {
        struct jw w = JW_INIT(out);
        struct view args = json_view(call, "arguments");
        struct jscan js;

        if (behind || i)
            buf_put_char(out, ',');
        jw_obj(&w);
        jw_kcstr(&w, "type", "toolCall");
        jw_kstr(&w, "id", json_view(call, "id"));
        jw_kstr(&w, "name", json_view(call, "name"));
        if (jscan(args, &js, &e) == 0 && js.type == JSCAN_OBJECT)
            jw_kraw(&w, "arguments", args);
        else
            jw_kstr(&w, "arguments", args);
        jw_obj_end(&w);
    }
    json_decref(list);
}

void chat_msg_assistant(struct buf *out, const struct run *r, const char *id, struct view text,
                        int64_t ts)
{
    struct jw w = JW_INIT(out);

    jw_obj(&w);
    jw_kcstr(&w, "role", "assistant");
    if (text.n || !r->result.calls) {
        buf_put_view(out, V(",\"content\":[{\"type\":\"text\",\"text\":"));
        w.after_key = true;
        jw_str(&w, text);
        buf_put_char(out, '}');
    } else {
        buf_put_view(out, V(",\"content\":["));
    }
    put_calls(r, text.n > 0, out);
    if (r->sends && !r->result.calls)
        buf_put_str(out, run_sends_blocks(r));
    buf_put_char(out, ']');
    w.has_item |= 1u << w.depth;
    jw_kcstr(&w, "api", api_of(r));
    jw_kcstr(&w, "provider", r->provider);
    jw_kcstr(&w, "model", r->model);
    jw_kraw(&w, "usage",
            r->result.usage
                ? view_str(r->result.usage)
                : V("{\"input\":0,\"output\":0,\"cacheRead\":0,\"cacheWrite\":0,\"totalTokens\":0,"
                    "\"cost\":{"
                    "\"input\":0,\"output\":0,\"cacheRead\":0,\"cacheWrite\":0,\"total\":0}}"));
    jw_kcstr(&w, "stopReason", r->result.stop_reason[0] ? r->result.stop_reason : "stop");
    if (r->result.error)
        jw_kcstr(&w, "errorMessage", r->result.error);
    jw_ki64(&w, "timestamp", ts);
    tail(&w, view_str(r->run_id), id, ts, false, VIEW_EMPTY);
}

void chat_msg_tool(struct buf *out, const struct run *r, const char *id, struct view call,
                   struct view name, struct view text, bool error, int64_t ts)
{
    struct jw w = JW_INIT(out);

    jw_obj(&w);
    jw_kcstr(&w, "role", "toolResult");
    jw_key(&w, "content");
    jw_arr(&w);
    jw_obj(&w);
    jw_kcstr(&w, "type", "text");
    jw_kstr(&w, "text", text);
    jw_obj_end(&w);
    jw_arr_end(&w);
    jw_kstr(&w, "toolCallId", call);
    jw_kstr(&w, "toolName", name);
    jw_kbool(&w, "isError", error);
    jw_ki64(&w, "timestamp", ts);
    tail(&w, view_str(r->run_id), id, ts, false, VIEW_EMPTY);
}

/* End of the JSON string that begins at v.p[0] == '"': index behind the closing quote, 0 when there
 * is none. */
static size_t string_end(struct view v)
{
    size_t at = 1;

    while (at < v.n) {
        const char *q = memchr(v.p + at, '"', v.n - at);
        size_t slashes = 0, i;

        if (!q)
            return 0;
        i = (size_t)(q - v.p);
        while (i - slashes > 1 && v.p[i - 1 - slashes] == '\\')
            slashes++;
        if (slashes % 2 == 0)
            return i + 1;
        at = i + 1;
    }
    return 0;
}

bool chat_msg_split(struct view msg, struct view *role, struct view *content)
{
    static const struct {
        struct view head, role;
    } known[] = {
        {{"{\"role\":\"user\",\"content\":", 25}, {"user", 4}},
        {{"{\"role\":\"assistant\",\"content\":", 30}, {"assistant", 9}},
    };
    const struct jscan_member *m;
    struct err e = ERR_INIT;
    struct jscan js;

    for (size_t i = 0; i < COUNT_OF(known); i++) {
        struct view v, text = V("[{\"type\":\"text\",\"text\":");
        size_t end;

        if (!view_starts(msg, known[i].head))
            continue;
        v = view_from(msg, known[i].head.n);
        *role = known[i].role;
        if (v.n && v.p[0] == '"' && (end = string_end(v))) {
            *content = view_of(v.p, end);
            return true;
        }
        /* one block of text, as we write it: its string is as good */
        if (view_starts(v, text) && (end = string_end(view_from(v, text.n))) &&
            view_starts(view_from(v, text.n + end), V("}]"))) {
            *content = view_of(v.p + text.n, end);
            return true;
        }
    }
    if (jscan(msg, &js, &e) < 0 || !(m = jscan_get(&js, V("role"))) || !m->plain || m->value.n < 2)
        return false;
    *role = view_of(m->value.p + 1, m->value.n - 2);
    if (!(m = jscan_get(&js, V("content"))))
        return false;
    *content = m->value;
    return true;
}

struct view chat_msg_first(struct view content)
{
    static const char key[] = "\"text\":\"";
    const char *at;
    struct view v;

    if (!content.n || content.p[0] != '[')
        return content;
    if (!(at = memmem(content.p, content.n, key, sizeof(key) - 1)))
        return VIEW_EMPTY;
    v = view_from(content, (size_t)(at - content.p) + sizeof(key) - 2);
    return view_of(v.p, string_end(v));
}

void chat_msg_text(struct view content, size_t max, bool fold, struct buf *out)
{
    struct buf text = BUF_INIT(16 * MIB);
    struct view v = chat_msg_first(content); /* of several blocks the first text */
    size_t raw, n, put = 0;
    char *room, *plain;
    bool space = false;

    if (v.n < 2 || v.p[0] != '"')
        return;
    /* no more than what may be needed: 6 bytes for one at most; a cut inside of an escape is
     * behind what is kept */
    raw = v.n <= 6 * max + 8 ? v.n - 1 : 6 * max + 8;
    if (!(room = buf_room(&text, 2 * raw + 2)))
        return;
    memcpy(room, v.p, raw);
    room[raw] = '"';
    plain = room + raw + 1;
    n = jscan_unescape(view_of(room, raw + 1), plain);
    for (size_t i = 0; i < n && put < max; i++) {
        if (fold && (unsigned char)plain[i] <= ' ') {
            space = put > 0;
            continue;
        }
        if (space && put + 1 < max)
            room[put++] = ' ';
        space = false;
        room[put++] = plain[i];
    }
    buf_put(out, room, chat_whole(view_of(room, put)));
    buf_fini(&text);
}

size_t chat_whole(struct view v)
{
    size_t back = 0;

    while (back < 3 && back < v.n && ((unsigned char)v.p[v.n - 1 - back] & 0xc0) == 0x80)
        back++;
    if (back < v.n) {
        unsigned char c = (unsigned char)v.p[v.n - 1 - back];
        size_t need = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;

        if (need > back)
            return v.n - 1 - back;
    }
    return v.n;
}

void chat_msg_numbered(struct jw *w, struct view msg, uint64_t seq)
{
    /* our own text ends with the object __openclaw: the number goes behind its last member */
    if (view_ends(msg, V("}}"))) {
        jw_raw(w, view_of(msg.p, msg.n - 2));
        buf_put_view(w->b, V(",\"seq\":"));
        buf_put_u64(w->b, seq);
        buf_put_view(w->b, V("}}"));
    } else {
        jw_raw(w, msg);
    }
}

int chat_msg_add(struct hub *h, struct live *l, const char *id, enum message_role role,
                 struct view run_id, struct view text, int64_t ts, uint64_t *seq, struct err *e)
{
    struct store_rec rec = {.type = REC_message_add};
    int rc;

    rec.message_add = (struct rec_message_add){.sid = l->s.sid,
                                               .id = view_str(id),
                                               .role = (uint8_t)role,
                                               .ts = ts,
                                               .run_id = run_id,
                                               .text = text};
    if ((rc = hub_put(h, &rec, e)) == 0)
        *seq = rec.message_add.seq;
    return rc;
}
