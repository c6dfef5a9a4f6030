#include "tags.h"

enum { TAG_MAX = 300, ID_MAX = 256 };

/* The tag that begins here: its length, 0 for none. */
static size_t tag_at(struct view v, struct tags *t)
{
    struct view in;
    size_t n = 2;

    if (!view_starts(v, V("[[")))
        return 0;
    while (n < v.n && n < TAG_MAX && v.p[n] != ']' && v.p[n] != '\n')
        n++;
    if (!view_starts(view_from(v, n), V("]]")))
        return 0;
    in = view_trim(view_of(v.p + 2, n - 2));
    if (view_ieq(in, V("reply_to_current"))) {
        t->reply_to_current = true;
    } else if (view_ieq(in, V("audio_as_voice"))) {
        t->audio_as_voice = true;
    } else if (in.n > 9 && view_ieq(view_of(in.p, 9), V("reply_to:"))) {
        struct view id = view_trim(view_from(in, 9));

        if (id.n == 0 || id.n > ID_MAX)
            return 0;
        t->reply_to = id;
    } else {
        return 0;
    }
    return n + 2;
}

void tags_read(struct view text, struct buf *out, struct tags *t)
{
    bool fence = false, line_start = true;

    *t = (struct tags){.reply_to = VIEW_EMPTY};
    for (size_t i = 0; i < text.n;) {
        struct view rest = view_from(text, i);
        size_t n;

        if (line_start && (view_starts(rest, V("```")) || view_starts(rest, V("~~~"))))
            fence = !fence;
        line_start = text.p[i] == '\n';
        if (!fence && text.p[i] == '[' && (n = tag_at(rest, t)) > 0) {
            i += n;
            while (i < text.n && text.p[i] == ' ') /* the blank that parted it from the text */
                i++;
            continue;
        }
        buf_put_char(out, text.p[i++]);
    }
}
