/* source: what a channel says of a message (first line) and its text (the rest), with patterns an
 * operator could have written. Ids keep their limits, names are equal for equal places, a match
 * ends. */
#include "chat.h"
#include "command.h"
#include "json.h"
#include "mention.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void check_names(const struct source *s)
{
    struct buf b = BUF_INIT(64 * KIB);
    char route[2][SOURCE_NAME], who[2][SOURCE_NAME];

    source_origin(s, &b);
    buf_put_char(&b, '\0');
    must(!b.failed);
    source_names(buf_view(&b).p, route[0], who[0]);
    source_names(buf_view(&b).p, route[1], who[1]);
    must(route[0][0] && who[0][0] && strcmp(route[0], route[1]) == 0 &&
         strcmp(who[0], who[1]) == 0);
    buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct mention *m;
    static struct source s;
    struct view all = view_of((const char *)data, n), args,
                peer = view_of(all.p, view_find(all, '\n')), text = view_from(all, peer.n + 1);
    struct err e = ERR_INIT;
    json_t *doc = NULL, *conf = json_object();
    unsigned bad;

    if (!m) {
        json_t *p = json_pack("[sss]", "\\b@?claw(d|dia)?\\b", "^(a+)+$", "(?<=x)y|z{2,9}");

        must(mention_new(&m, p, VIEW_EMPTY, VIEW_EMPTY, &bad, &e) == 0 && bad == 0);
        json_decref(p);
    }
    if (json_parse(peer, &doc, &e) == 0 && source_read(&s, "x", "default", doc)) {
        must(s.to.n > 0 && s.to.n <= SOURCE_TO_MAX && s.thread.n <= SOURCE_THREAD_MAX &&
             s.reply_to.n <= SOURCE_THREAD_MAX && s.roles_n <= SOURCE_ROLES_MAX);
        check_names(&s);
    }
    (void)mention_in(m, text);
    (void)chat_is_stop(text);
    if (command_of(conf, text, &args) == COMMAND_QUEUE) {
        struct session of = {.key = mem_dup("k", 1), .rest = mem_dup("", 0)};
        struct buf say = BUF_INIT(4 * KIB);

        (void)queue_command(conf, &of, args, &say);
        must(!say.failed && say.n > 0);
        buf_fini(&say);
        session_fini(&of);
    }
    json_decref(doc);
    json_decref(conf);
    return 0;
}
