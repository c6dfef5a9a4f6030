#include "tg_reply.h"

#include "json.h"
#include "mem.h"

/* Case does not count; the first row that is found in the description decides. */
static const struct {
    struct view words;
    enum tg_why why;
} table[] = {
    {{"can't parse entities", 20}, TG_WHY_MARKUP},
    {{"message text is empty", 21}, TG_WHY_MARKUP},
    {{"text must be non-empty", 22}, TG_WHY_MARKUP},
    {{"message to be replied not found", 31}, TG_WHY_REPLY_GONE},
    {{"reply message not found", 23}, TG_WHY_REPLY_GONE},
    {{"replied message not found", 25}, TG_WHY_REPLY_GONE},
    {{"message thread not found", 24}, TG_WHY_THREAD_GONE},
    {{"message is not modified", 23}, TG_WHY_SAME},
    {{"message to edit not found", 25}, TG_WHY_GONE},
    {{"message to delete not found", 27}, TG_WHY_GONE},
    {{"message_id_invalid", 18}, TG_WHY_GONE},
    {{"there is no text in the message to edit", 39}, TG_WHY_NO_TEXT},
    {{"photo_invalid_dimensions", 24}, TG_WHY_PHOTO},
    {{"image_process_failed", 20}, TG_WHY_PHOTO},
    {{"photo_save_file_invalid", 23}, TG_WHY_PHOTO},
    {{"voice_messages_forbidden", 24}, TG_WHY_PHOTO},
    {{"upgraded to a supergroup", 24}, TG_WHY_MOVED},
};

static bool holds(struct view text, struct view words)
{
    for (size_t i = 0; text.n >= words.n && i <= text.n - words.n; i++)
        if (view_ieq(view_of(text.p + i, words.n), words))
            return true;
    return false;
}

static enum tg_why why_of(const struct tg_reply *r, int64_t code)
{
    if (r->moved_to)
        return TG_WHY_MOVED;
    if (r->retry_after_ms || code == 429)
        return TG_WHY_FLOOD;
    if (code == 401 || (code == 404 && view_ieq(r->description, V("Not Found"))))
        return TG_WHY_TOKEN;
    if (code == 409)
        return TG_WHY_CONFLICT;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        if (holds(r->description, table[i].words))
            return table[i].why;
    return code >= 500 ? TG_WHY_BUSY : TG_WHY_REFUSED;
}

int tg_reply_read(struct tg_reply *out, struct view body, struct err *e)
{
    struct tg_reply r = {.why = TG_WHY_NONE, .description = VIEW_EMPTY};
    const json_t *ok, *parameters;
    int64_t wait_s;
    int rc;

    if ((rc = json_parse(body, &r.doc, e)) < 0)
        return rc == ERR_NOMEM ? rc : err_set(e, ERR_INVALID, "the answer is not the Bot API's");
    ok = json_object_get(r.doc, "ok");
    r.result = json_object_get(r.doc, "result");
    if (!json_is_boolean(ok) || (json_is_true(ok) && !r.result)) {
        json_decref(r.doc);
        return err_set(e, ERR_INVALID, "the answer is not the Bot API's");
    }
    r.ok = json_is_true(ok);
    if (!r.ok) {
        r.result = NULL;
        parameters = json_object_get(r.doc, "parameters");
        r.description = json_view(r.doc, "description");
        r.moved_to = json_i64(parameters, "migrate_to_chat_id", 0);
        wait_s = json_i64(parameters, "retry_after", 0);
        wait_s = wait_s < 0 ? 0 : wait_s > TG_RETRY_MAX_S ? TG_RETRY_MAX_S : wait_s;
        r.retry_after_ms = (uint32_t)wait_s * 1000;
        r.why = why_of(&r, json_i64(r.doc, "error_code", 0));
    }
    *out = r;
    return 0;
}

void tg_reply_fini(struct tg_reply *r)
{
    json_decref(r->doc);
    *r = (struct tg_reply){.description = VIEW_EMPTY};
}
