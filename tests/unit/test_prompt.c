/* Which pieces of a transcript a model is told, where a summary may end, and what configured
 * windows leave. A transcript is a string of letters: u a user's message, a an answer, c an answer
 * that only calls a tool, t a tool's result; each has ten tokens unless a digit says how many tens.
 */
#include "chat.h"
#include "ck.h"
#include "json.h"
#include "prompt.h"

#include <stdio.h>
#include <string.h>

static void fill(struct prompt *p, const char *text, bool summary)
{
    *p = (struct prompt){.sid = 1};
    buf_init(&p->text, PROMPT_BYTES_MAX);
    for (uint64_t seq = 1; *text; text++, seq++) {
        static const char kinds[] = "uact";
        static const enum message_role roles[] = {MESSAGE_USER, MESSAGE_ASSISTANT,
                                                  MESSAGE_ASSISTANT, MESSAGE_TOOL};
        static const char *const msgs[] = {
            "{\"role\":\"user\",\"content\":\"hello\"}",
            "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"yes\"}]}",
            "{\"role\":\"assistant\",\"content\":[{\"type\":\"toolCall\",\"id\":\"1\"}]}",
            "{\"role\":\"toolResult\",\"content\":[{\"type\":\"text\",\"text\":\"a result of some "
            "length\"}],"
            "\"toolCallId\":\"1\",\"toolName\":\"look\"}"};
        size_t k = (size_t)(strchr(kinds, *text) - kinds);
        struct rec_message_add m = {
            .seq = seq, .role = (uint8_t)roles[k], .text = view_str(msgs[k])};

        ck_assert(prompt_add(p, &m));
    }
    p->tokens = 0;
    for (unsigned i = 0; i < p->count; i++)
        p->tokens += p->piece[i].tokens = 10;
    if (summary)
        p->piece[0].kind = PIECE_SUMMARY;
}

static const struct {
    const char *name, *text;
    bool summary;
    uint64_t room; /* tokens for the pieces alone */
    unsigned want;
} fits[] = {
    {"nothing", "", false, 0, 0},
    {"all of it", "uaua", false, 40, 0},
    {"one too many", "uaua", false, 39, 2},
    {"begins with the user", "uauau", false, 30, 2},
    {"and with what the user said last", "uauau", false, 0, 4},
    {"the only message", "u", false, 0, 0},
    {"a summary stays", "uauau", true, 40, 2},
    {"even if nothing else does", "uauau", true, 0, 4},
    {"no result without its call", "uctau", false, 30, 4},
    {"a call and its results together", "uacttau", false, 40, 6},
    {"no user before it", "aaau", false, 25, 3},
    {"answers at the beginning", "aaau", false, 400, 3},
};

START_TEST(test_fit)
{
    struct prompt p;
    unsigned got;

    fill(&p, fits[_i].text, fits[_i].summary);
    got = prompt_fit(&p, fits[_i].room + PROMPT_BASE_TOKENS);
    ck_assert_msg(got == fits[_i].want, "%s: %u", fits[_i].name, got);
    prompt_clear(&p);
}
END_TEST

static const struct {
    const char *name, *text;
    bool summary;
    uint64_t keep;
    unsigned want;
} cuts[] = {
    {"nothing", "", false, 0, 0},
    {"one message", "u", false, 0, 0},
    {"one turn", "ua", false, 0, 0},
    {"before the last turn", "uau", false, 0, 2},
    {"never the message that waits", "uau", false, 1000, 0},
    {"what is kept is whole turns", "uauauau", false, 30, 4},
    {"one token less", "uauauau", false, 29, 6},
    {"not between a call and its result", "uctauctau", false, 50, 4},
    {"a summary alone is nothing new", "uu", true, 0, 0},
    {"a summary and a turn", "uuau", true, 0, 3},
};

START_TEST(test_cut)
{
    struct prompt p;
    unsigned got;

    fill(&p, cuts[_i].text, cuts[_i].summary);
    got = prompt_cut(&p, cuts[_i].keep);
    ck_assert_msg(got == cuts[_i].want, "%s: %u", cuts[_i].name, got);
    prompt_clear(&p);
}
END_TEST

/* Whatever fits: results follow their calls, the last message is there. */
START_TEST(test_pairs)
{
    struct prompt p;
    unsigned seed = 12345;

    for (int round = 0; round < 2000; round++) {
        char text[24];
        size_t n = 0;

        while (n < 20) {
            seed = seed * 1103515245u + 12345u;
            switch (seed >> 16 & 3) {
            case 0:
                text[n++] = 'u';
                break;
            case 1:
                text[n++] = 'a';
                break;
            default:
                text[n++] = 'c';
                text[n++] = 't';
                if (seed >> 20 & 1)
                    text[n++] = 't';
            }
        }
        text[n] = '\0';
        fill(&p, text, false);
        for (uint64_t room = 0; room <= 240; room += 10) {
            unsigned at = prompt_fit(&p, room + PROMPT_BASE_TOKENS), cut = prompt_cut(&p, room);

            ck_assert_msg(at < p.count && (at == 0 || p.piece[at].kind != PIECE_TOOL), "%s: fit %u",
                          text, at);
            ck_assert_msg(cut < p.count && (cut == 0 || p.piece[cut].kind != PIECE_TOOL),
                          "%s: cut %u", text, cut);
        }
        prompt_clear(&p);
    }
}
END_TEST

/* What a job is given is JSON, and whole: summary, then pieces from the first that fits. */
START_TEST(test_parts)
{
    static const struct {
        const char *text;
        bool summary;
        uint64_t room;
        const char *want;
        bool tools;
        unsigned cleared; /* results of tools that are told as a note */
    } rows[] = {
        {"", false, 0, "", false, 0},
        {"u", false, 0, "u", false, 0},
        {"uau", false, 400, "uau", false, 0},
        {"uauau", false, 30, "uau", false, 0},
        {"uauau", true, 0, "uu", false, 0},
        {"uctauctau", false, 400, "uauau", false, 0}, /* none are offered: none are told */
        {"uctctctu", false, 400, "uu", false, 0},
        {"uctau", false, 400, "uatau", true, 0},
        {"uctctctau", false, 400, "uatatatau", true, 2}, /* of earlier turns the newest is whole */
        {"uauctctct", false, 400, "uauatatat", true, 0}, /* of this turn all are */
        {"uctauctct", false, 400, "uatauatat", true, 0},
    };
    struct prompt_conf c = {.keep_tools = 1};

    for (size_t k = 0; k < COUNT_OF(rows); k++) {
        struct view part[64];
        struct buf b = BUF_INIT(4096);
        struct err e = ERR_INIT;
        char got[32] = "";
        struct prompt p;
        json_t *doc = NULL, *m;
        unsigned n, cleared;
        size_t i;

        fill(&p, rows[k].text, rows[k].summary);
        n = prompt_parts(&p, &c, rows[k].room + PROMPT_BASE_TOKENS, rows[k].tools, part);
        buf_put_char(&b, '[');
        for (i = 0; i < n; i++)
            buf_put_view(&b, part[i]);
        buf_put_char(&b, ']');
        ck_assert_msg(json_parse(buf_view(&b), &doc, &e) == 0, "%s: %.*s", rows[k].text,
                      VIEW_FMT(buf_view(&b)));
        cleared = 0;
        json_array_foreach(doc, i, m)
        {
            got[i] = json_view(m, "role").p[0];
            cleared += got[i] == 't' && json_is_string(json_object_get(m, "content"));
            ck_assert(got[i] != 't' || view_eq(json_view(m, "toolCallId"), V("1")));
        }
        ck_assert_uint_eq(cleared, rows[k].cleared);
        ck_assert_str_eq(got, rows[k].want);
        json_decref(doc);
        buf_fini(&b);
        prompt_clear(&p);
    }
}
END_TEST

START_TEST(test_told)
{
    struct rec_message_add m = {
        .seq = 9,
        .role = MESSAGE_ASSISTANT,
        .text =
            V("{\"role\":\"assistant\",\"content\":\"x\",\"usage\":{\"input\":1000,\"output\":50,"
              "\"cacheRead\":200,\"cacheWrite\":0,\"totalTokens\":1250,\"cost\":{}}}")};
    struct prompt p;

    fill(&p, "uaua", false);
    ck_assert_uint_eq(prompt_tokens(&p), PROMPT_BASE_TOKENS + 40);
    ck_assert(prompt_add(&p, &m));
    ck_assert_uint_eq(prompt_tokens(&p), 1250);
    m = (struct rec_message_add){
        .seq = 10, .role = MESSAGE_USER, .text = V("{\"role\":\"user\",\"content\":\"hello\"}")};
    ck_assert(prompt_add(&p, &m));
    ck_assert_uint_eq(prompt_tokens(&p), 1250 + p.piece[p.count - 1].tokens);
    p.boundary = 20; /* what was counted before a summary is not this prompt */
    p.told = 0;
    m.seq = 19;
    m.role = MESSAGE_ASSISTANT;
    ck_assert(prompt_add(&p, &m));
    ck_assert_uint_eq(p.told, 0);
    prompt_clear(&p);
}
END_TEST

START_TEST(test_told_nonsense)
{
    struct prompt p;

    fill(&p, "uauauauaua", false);
    p.tokens = 100000;
    p.told = 10;
    p.told_at = p.count - 1;
    ck_assert_uint_eq(prompt_tokens(&p), (PROMPT_BASE_TOKENS + 100000) / 2);
    prompt_clear(&p);
}
END_TEST

static const struct {
    const char *name;
    uint64_t reserve, keep, max, window, room, kept;
} limits[] = {
    {"large", 20000, 20000, 0, 200000, 180000, 20000},
    {"small: half of it is free", 20000, 20000, 0, 8000, 4000, 2000},
    {"capped", 20000, 20000, 100000, 200000, 80000, 20000},
    {"cap above it", 20000, 20000, 900000, 200000, 180000, 20000},
    {"no reserve", 0, 20000, 0, 200000, 200000, 20000},
};

START_TEST(test_limits)
{
    struct prompt_conf c = {.reserve = limits[_i].reserve,
                            .keep_recent = limits[_i].keep,
                            .context_max = limits[_i].max};
    struct prompt_limit l;

    prompt_limit(&c, limits[_i].window, &l);
    ck_assert_msg(l.room == limits[_i].room && l.keep == limits[_i].kept, "%s: %llu %llu",
                  limits[_i].name, (unsigned long long)l.room, (unsigned long long)l.keep);
}
END_TEST

static const struct {
    const char *name, *text;
    bool ok;
} boundaries[] = {
    {"ours",
     "{\"role\":\"system\",\"summary\":\"s\",\"__openclaw\":{\"kind\":\"compaction\","
     "\"firstKeptSeq\":3}}",
     true},
    {"no summary",
     "{\"role\":\"system\",\"__openclaw\":{\"kind\":\"compaction\",\"firstKeptSeq\":3}}", false},
    {"no seq", "{\"role\":\"system\",\"summary\":\"s\",\"__openclaw\":{\"kind\":\"compaction\"}}",
     false},
    {"seq 0",
     "{\"role\":\"system\",\"summary\":\"s\",\"__openclaw\":{\"kind\":\"compaction\","
     "\"firstKeptSeq\":0}}",
     false},
    {"summary is no text",
     "{\"summary\":1,\"__openclaw\":{\"kind\":\"compaction\",\"firstKeptSeq\":3}}", false},
    {"cut", "{\"role\":\"system\",\"summary\":\"s\",\"__openclaw\":{\"kind\":\"compaction\"",
     false},
    {"something else", "{\"role\":\"system\",\"content\":\"x\"}", false},
    {"empty", "", false},
};

START_TEST(test_boundary)
{
    struct rec_message_add m = {.role = MESSAGE_SYSTEM, .text = view_str(boundaries[_i].text)};
    struct view summary;
    uint64_t kept = 0;

    ck_assert_msg(prompt_boundary(&m, &summary, &kept) == boundaries[_i].ok, "%s",
                  boundaries[_i].name);
    if (boundaries[_i].ok)
        ck_assert(view_eq(summary, V("\"s\"")) && kept == 3);
    m.role = MESSAGE_USER; /* nobody can write one */
    ck_assert(!prompt_boundary(&m, &summary, &kept));
}
END_TEST

/* Full: an add that does not fit says so, and what is there stays whole. */
START_TEST(test_full)
{
    struct prompt p = {.sid = 1};
    struct rec_message_add m = {.role = MESSAGE_USER,
                                .text = V("{\"role\":\"user\",\"content\":\"x\"}")};
    unsigned n = 0;

    buf_init(&p.text, PROMPT_BYTES_MAX);
    while (n < 2 * PROMPT_PIECES_MAX && prompt_add(&p, &m))
        n++;
    ck_assert_uint_ge(n, PROMPT_PIECES_MAX);
    ck_assert_uint_eq(n, p.count);
    ck_assert(view_eq(prompt_text(&p, n - 1), V("\"x\"")));
    prompt_clear(&p);
}
END_TEST

/* The n-th allocation fails: an add says so or works, and nothing is lost or leaks. */
START_TEST(test_no_memory)
{
    struct rec_message_add m = {.role = MESSAGE_USER,
                                .text = V("{\"role\":\"user\",\"content\":\"x\"}")};

    for (uint64_t fail = 1; fail < 20; fail++) {
        struct prompt p = {.sid = 1};
        unsigned n = 0;

        buf_init(&p.text, PROMPT_BYTES_MAX);
        mem_fail_after(fail, 1);
        while (n < 300 && prompt_add(&p, &m))
            n++;
        mem_fail_after(0, 0);
        ck_assert_uint_eq(p.count, n);
        prompt_clear(&p);
    }
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_fit, 0, (int)COUNT_OF(fits));
    tcase_add_loop_test(tc, test_cut, 0, (int)COUNT_OF(cuts));
    tcase_add_test(tc, test_pairs);
    tcase_add_test(tc, test_parts);
    tcase_add_test(tc, test_told);
    tcase_add_test(tc, test_told_nonsense);
    tcase_add_loop_test(tc, test_limits, 0, (int)COUNT_OF(limits));
    tcase_add_loop_test(tc, test_boundary, 0, (int)COUNT_OF(boundaries));
    tcase_add_test(tc, test_full);
    tcase_add_test(tc, test_no_memory);
}
CK_MAIN("prompt")
