/* What a channel tells the hub beside its verdict: whether a group's message must name the agent,
 * and who owns a main session that several people share. */
#include "access.h"
#include "ck.h"
#include "json.h"
#include "mem.h"

#include <stdio.h>

static json_t *doc_of(const char *text)
{
    struct err e = ERR_INIT;
    json_t *doc = NULL;

    ck_assert_msg(json_parse(view_str(text), &doc, &e) == 0, "%s: %s", text, e.text);
    return doc;
}

static const struct {
    const char *name, *conf;
    bool needed;
} groups[] = {
    {"nothing said", "{}", true},
    {"the account", "{\"requireMention\":false}", false},
    {"every group", "{\"requireMention\":true,\"groups\":{\"*\":{\"requireMention\":false}}}",
     false},
    {"the group", "{\"groups\":{\"*\":{\"requireMention\":false},\"g\":{\"requireMention\":true}}}",
     true},
    {"another group", "{\"groups\":{\"h\":{\"requireMention\":false}}}", true},
    {"no truth value", "{\"groups\":{\"g\":{\"requireMention\":\"no\"}}}", true},
};

START_TEST(test_mention_needed)
{
    json_t *conf = doc_of(groups[_i].conf);
    struct channel_event ev = {.kind = PEER_GROUP, .peer = V("g")};
    bool listed;

    ck_assert_msg(access_mention_needed(conf, access_group(conf, &ev, &listed)) ==
                      groups[_i].needed,
                  "%s", groups[_i].name);
    json_decref(conf);
}
END_TEST

static const struct {
    const char *name, *conf, *sender, *owner;
} owners[] = {
    {"nobody named", "{}", "7", ""},
    {"the sender", "{\"allowFrom\":[\"7\"]}", "7", "7"},
    {"with a prefix", "{\"allowFrom\":[\" x:7 \"]}", "7", "7"},
    {"a number", "{\"allowFrom\":[7]}", "7", "7"},
    {"somebody else", "{\"allowFrom\":[8]}", "7", "8"},
    {"twice the same", "{\"allowFrom\":[\"7\",\"x:7\",7]}", "7", "7"},
    {"two people", "{\"allowFrom\":[\"7\",\"8\"]}", "7", ""},
    {"everybody", "{\"allowFrom\":[\"7\",\"*\"]}", "7", ""},
    {"everybody first", "{\"allowFrom\":[\"*\",\"7\"]}", "7", ""},
    {"empty words", "{\"allowFrom\":[\"\",\"7\",\" \"]}", "7", "7"},
};

START_TEST(test_owner)
{
    static const char *const prefixes[] = {"x:", NULL};
    const struct channel_ops ops = {.id_prefixes = prefixes};
    json_t *conf = doc_of(owners[_i].conf);
    struct channel_person who = {.id = view_str(owners[_i].sender)};
    char room[24];
    struct view got = access_owner(&ops, conf, &who, room);

    ck_assert_msg(view_eq(got, view_str(owners[_i].owner)), "%s: %.*s", owners[_i].name,
                  VIEW_FMT(got));
    json_decref(conf);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_mention_needed, 0, COUNT_OF(groups));
    tcase_add_loop_test(tc, test_owner, 0, COUNT_OF(owners));
}

CK_MAIN("chan_facts")
