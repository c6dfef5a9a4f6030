#include "tg_emoji.h"

#include "mem.h"

/* Bot API, ReactionTypeEmoji. Each without U+FE0F; those it spells with a joiner have it. */
static const char *const known[] = {
    "👍",    "👎",          "❤",    "🔥",    "🥰",        "👏", "😁",    "🤔", "🤯", "😱",
    "🤬", "😢",          "🎉",    "🤩", "🤮",        "💩", "🙏",    "👌",    "🕊", "🤡",
    "🥱", "🥴",       "😍",    "🐳",    "❤‍🔥",  "🌚", "🌭", "💯",    "🤣", "⚡",
    "🍌",    "🏆",          "💔",    "🤨", "😐",           "🍓", "🍾", "💋",    "🖕", "😈",
    "😴",    "😭",          "🤓", "👻",    "👨‍💻", "👀", "🎃",    "🙈",    "😇",    "😨",
    "🤝", "✍",          "🤗", "🫡", "🎅",           "🎄", "☃",    "💅",    "🤪", "🗿",
    "🆒",    "💘",          "🙉",    "🦄", "😘",           "💊", "🙊",    "😎",    "👾",    "🤷‍♂",
    "🤷", "🤷‍♀", "😡",
};

/* Equal but for U+FE0F (EF B8 8F), which people's keyboards put behind some. */
static bool same(struct view a, struct view b)
{
    size_t i = 0, j = 0;

    for (;;) {
        while (a.n - i >= 3 && memcmp(a.p + i, "\xef\xb8\x8f", 3) == 0)
            i += 3;
        if (i == a.n || j == b.n)
            return i == a.n && j == b.n;
        if (a.p[i++] != b.p[j++])
            return false;
    }
}

struct view tg_emoji(struct view emoji)
{
    for (size_t i = 0; i < COUNT_OF(known); i++)
        if (same(emoji, view_str(known[i])))
            return view_str(known[i]);
    return VIEW_EMPTY;
}
