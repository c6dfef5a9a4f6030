/* Keys of channels: what is known, what is a slip, what is accepted without effect. Never an error:
 * a section that its channel can work with works. */
#include "channel_keys.h"
#include "config_load.h"

static const struct {
    const char *name, *channels;
    const char *warns; /* NULL: nothing is said */
} rows[] = {
    {"nothing", "{}", NULL},
    {"an account of the documentation",
     "{telegram:{botToken:'1:a',allowFrom:['4711',42],groups:{'-100':{requireMention:true}}}}",
     NULL},
    {"several accounts",
     "{telegram:{accounts:{work:{botToken:'1:a',linkPreview:false},home:{}},defaultAccount:'work'}"
     "}",
     NULL},
    {"names of 2026.3.2",
     "{telegram:{botToken:'1:a',streaming:'partial',chunkMode:'newline',blockStreaming:true,"
     "blockStreamingCoalesce:{minChars:1},"
     "streamMode:'off',dm:{policy:'open',allowFrom:['*']},capabilities:['inlineButtons'],groups:{'*"
     "':{topics:{'5':{requireMention:false}}}}}}",
     NULL},
    {"names of 2026.9.6",
     "{telegram:{botToken:'1:a',streaming:{mode:'partial',chunkMode:'length',block:{enabled:true,"
     "coalesce:{minChars:1,maxChars:2,idleMs:0}}},"
     "capabilities:{inlineButtons:'dm'},actions:{poll:false,reactions:true},errorPolicy:'once',"
     "customCommands:[{command:'a',description:'b'}],"
     "direct:{'42':{requireTopic:true}}}}",
     NULL},
    {"irc",
     "{irc:{host:'h',port:6697,tls:true,nickserv:{enabled:true,service:'NickServ'},channels:['#a'],"
     "sasl:{mechanism:'PLAIN'},"
     "groups:{'#a':{requireMention:false}},flood:{burst:1,everyMs:1}}}",
     NULL},
    {"a program has keys of its own", "{bbs:{command:['/bin/x'],whatever:1}}", NULL},
    {"a slip", "{telegram:{botTokn:'1:a'}}",
     "channels.telegram.botTokn: unknown key; did you mean botToken?"},
    {"a slip of an account", "{telegram:{accounts:{a:{alowFrom:[]}}}}",
     "channels.telegram.accounts.a.alowFrom: unknown key; did you mean allowFrom?"},
    {"a slip of a group", "{telegram:{groups:{'-1':{requiremention:true}}}}",
     "did you mean requireMention?"},
    {"no such key at all", "{irc:{zzzzzzzzzz:1}}", "channels.irc.zzzzzzzzzz: unknown key"},
    {"without effect", "{telegram:{webhookPort:8787}}",
     "channels.telegram.webhookPort: accepted, and without effect here: there is one port"},
    {"without effect, with more below", "{telegram:{network:{autoSelectFamily:true}}}",
     "channels.telegram.network: accepted, and without effect"},
    {"not a word of the list", "{telegram:{dmPolicy:'opne'}}",
     "channels.telegram.dmPolicy: should be one of pairing|allowlist|open|disabled"},
    {"not a number", "{telegram:{timeoutSeconds:'30'}}", "should be a whole number from 1 to 600"},
    {"too large", "{irc:{port:70000}}", "should be a whole number from 1 to 65535"},
    {"not a flag", "{telegram:{linkPreview:'yes'}}", "should be true or false"},
    {"not a list", "{telegram:{allowFrom:'42'}}", "should be a list"},
    {"not a map", "{telegram:{groups:[1]}}", "channels.telegram.groups: should be a map"},
    {"a platform that is not here", "{discord:{token:'x'}}",
     "channels.discord: this build has no channel of that name"},
};

START_TEST(test_warnings)
{
    char text[2048];
    struct loaded l;

    (void)snprintf(text, sizeof(text), "{channels:%s}", rows[_i].channels);
    load(&l, text);
    ck_assert_msg(l.report.errors == 0 && l.r == 0, "%s: %s", rows[_i].name, words(&l));
    if (rows[_i].warns)
        ck_assert_msg(strstr(words(&l), rows[_i].warns), "%s: %s", rows[_i].name, words(&l));
    else
        ck_assert_msg(!strstr(words(&l), "channels."), "%s: %s", rows[_i].name, words(&l));
    unload(&l);
}
END_TEST

/* Every key is there for the channel and for its accounts, once, with a help and sound limits. */
START_TEST(test_rows)
{
    size_t n, accounts = 0;
    const struct config_key *k = channel_keys(&n);

    for (size_t i = 0; i < n; i++) {
        ck_assert_msg(strlen(k[i].help) > 2, "%s", k[i].path);
        ck_assert_msg(k[i].max >= k[i].min, "%s", k[i].path);
        ck_assert_msg(k[i].type != CT_ENUM || *k[i].of, "%s", k[i].path);
        accounts += strstr(k[i].path, ".accounts.*.") != NULL;
        for (size_t j = 0; j < i; j++)
            ck_assert_msg(strcmp(k[i].path, k[j].path) != 0, "%s comes twice", k[i].path);
    }
    ck_assert_uint_eq(2 * accounts, n);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_warnings, 0, (int)COUNT_OF(rows));
    tcase_add_test(tc, test_rows);
}

CK_MAIN("channel_keys")
