/* What the Bot API says: the body of an answer, and in it updates. Whatever they are, an event that
 * comes of one has ids within their limits, and its position moves only over what is safe. */
#include "json.h"
#include "tg_buttons.h"
#include "tg_emoji.h"
#include "tg_media.h"
#include "tg_reply.h"
#include "tg_state.h"
#include "tg_update.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void must(bool yes)
{
    if (!yes)
        abort();
}

static void one(struct tg_seen *seen, const json_t *doc)
{
    static const struct tg_bot bot = {.id = 99, .username = {"my_bot", 6}};
    enum tg_seen_is is = tg_seen_look(seen, tg_update_id(doc), 1000);
    int64_t next = seen->next;
    struct tg_update u;

    tg_update_read(&u, doc, &bot);
    if (u.kind == TG_MESSAGE) {
        must(u.ev.update_id.n > 0 && u.ev.update_id.n < CHANNEL_ID_BYTES);
        must(u.ev.peer.n > 0 && u.ev.peer.n < CHANNEL_ID_BYTES && u.ev.target.n > 0);
        must(u.ev.from.id.n > 0 && u.ev.from.id.n < TG_ID_BYTES);
        must(u.ev.text.n > 0 || u.ev.media_n > 0);
        must(!u.ev.media_n || (u.ev.media->ref.n > 0 && u.ev.media->ref.n <= 256));
        tg_update_rename(&u, INT64_MIN);
        must(u.ev.peer.n > 0 && u.ev.peer.n < CHANNEL_ID_BYTES);
    }
    if (u.kind == TG_BUTTON)
        must(u.callback_id.n > 0 && u.callback_id.n <= 64);
    if (is == TG_SEEN_NEW) {
        must(seen->next == next && seen->next <= u.id);
        if (u.id % 3)
            tg_seen_safe(seen, u.id);
        must(seen->next <= u.id + 1 || seen->n == 0);
    }
    tg_update_fini(&u);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct view body = view_of((const char *)data, n);
    static struct tg_state state, again;
    struct buf b = BUF_INIT(1 << 20);
    struct jw w = JW_INIT(&b);
    char path[TG_PATH_BYTES];
    struct err e = ERR_INIT;
    struct tg_reply r;
    const json_t *doc;
    size_t i;

    tg_state_read(&state, body, 99);
    if (tg_reply_read(&r, body, &e) == 0) {
        must(r.ok == (r.why == TG_WHY_NONE) && r.ok == (r.result != NULL));
        json_array_foreach(r.result, i, doc) one(&state.seen, doc);
        (void)tg_media_path(json_view(r.result, "file_path"), path);
        (void)tg_buttons_put(&w, r.result, true);
        tg_buttons_pressed(r.description, &b);
        (void)tg_emoji(r.description);
        tg_reply_fini(&r);
    }
    buf_reset(&b, 4096);
    tg_state_write(&state, &b);
    must(!b.failed && b.n <= CHANNEL_RESUME_BYTES);
    tg_state_read(&again, buf_view(&b), state.bot);
    must(again.seen.next == state.seen.next && again.moved_n == state.moved_n);
    buf_fini(&b);
    return 0;
}
