/* A file changed in its own hand: what changes is there, and all the rest is byte for byte what it
 * was. */
#include "ck.h"
#include "config_edit.h"
#include "config_merge.h"
#include "json.h"
#include "json5.h"
#include "mem.h"

static const char hand[] = "// head\n"
                           "{\n"
                           "  gateway: { port: 1, bind: 'loopback' }, // where\n"
                           "  // who answers\n"
                           "  agents: {\n"
                           "    defaults: {\n"
                           "      maxConcurrent: 0x4, /* four */\n"
                           "      model: { primary: 'm/a' }, // the best\n"
                           "    },\n"
                           "    list: [\n"
                           "      { id: 'one', name: 'One' }, // first\n"
                           "      { id: 'two', name: 'Two' }\n"
                           "    ]\n"
                           "  },\n"
                           "}\n"
                           "// tail\n";
static const char strict[] = "{\n"
                             "    \"a\": 1,\n"
                             "    \"b\": [1, 2, 3],\n"
                             "    \"c\": {\n"
                             "        \"d\": \"x\"\n"
                             "    }\n"
                             "}\n";

static const struct {
    const char *name, *text, *patch; /* a merge patch that makes the new document */
    const char *was, *is;            /* the one place that differs; NULL: the whole is `is` */
} rows[] = {
    {"a number", hand, "{gateway:{port:2}}", "port: 1", "port: 2"},
    {"a string", hand, "{gateway:{bind:'lan'}}", "'loopback'", "'lan'"},
    {"with a quote", hand, "{gateway:{bind:\"it's\"}}", "'loopback'", "\"it's\""},
    {"written in hex", hand, "{agents:{defaults:{maxConcurrent:5}}}", "0x4", "5"},
    {"cleared with its comment", hand, "{agents:{defaults:{maxConcurrent:null}}}",
     "      maxConcurrent: 0x4, /* four */\n", ""},
    {"cleared at the end", hand, "{agents:{defaults:{model:null}}}",
     "      model: { primary: 'm/a' }, // the best\n", ""},
    {"cleared in a line", hand, "{gateway:{bind:null}}", ", bind: 'loopback'", ""},
    {"cleared first in a line", hand, "{gateway:{port:null}}", " port: 1,", ""},
    {"the comment above stays", hand, "{agents:null}",
     "  agents: {\n    defaults: {\n      maxConcurrent: 0x4, /* four */\n      model: { primary: "
     "'m/a' }, // the best\n    },\n    list: [\n      { id: 'one', name: 'One' }, // first\n      "
     "{ id: 'two', name: 'Two' }\n    ]\n  },\n",
     ""},
    {"one more in a line", hand, "{gateway:{mode:'local'}}", "'loopback' }",
     "'loopback', mode: 'local' }"},
    {"one more line", hand, "{agents:{defaults:{timeoutSeconds:60}}}", "// the best\n",
     "// the best\n      timeoutSeconds: 60,\n"},
    {"without a comma at the end", hand, "{agents:{extra:true}}", "    ]\n  }",
     "    ],\n    extra: true\n  }"},
    {"at the top", hand, "{ui:{assistant:{name:'Ada'}}}", "  },\n}\n",
     "  },\n  ui: { assistant: { name: 'Ada' } },\n}\n"},
    {"a long one", hand,
     "{models:{providers:{p:{baseUrl:'https://models.example/v1',apiKey:'k',api:'openai'}}}}",
     "  },\n}\n",
     "  },\n  models: {\n    providers: {\n      p: {\n        baseUrl: "
     "'https://models.example/v1',\n        apiKey: 'k',\n        api: 'openai'\n      }\n    }\n  "
     "},\n}\n"},
    {"a key with a sign", hand, "{gateway:{'a-b':1}}", "'loopback' }", "'loopback', 'a-b': 1 }"},
    {"an element's member", hand, "{agents:{list:[{id:'one',name:'Eins'},{id:'two',name:'Two'}]}}",
     "'One'", "'Eins'"},
    {"an element more", hand,
     "{agents:{list:[{id:'one',name:'One'},{id:'two',name:'Two'},{id:'three'}]}}", "'Two' }\n",
     "'Two' },\n      { id: 'three' }\n"},
    {"the last element less", hand, "{agents:{list:[{id:'one',name:'One'}]}}",
     ", // first\n      { id: 'two', name: 'Two' }\n", " // first\n"},
    {"the first element less", hand, "{agents:{list:[{id:'two',name:'Two'}]}}",
     "      { id: 'one', name: 'One' }, // first\n", ""},
    {"nothing", hand, "{}", "", ""},
    {"strict, a number", strict, "{a:2}", "\"a\": 1", "\"a\": 2"},
    {"strict, one more", strict, "{e:{f:true}}", "    }\n}",
     "    },\n    \"e\": { \"f\": true }\n}"},
    {"strict, the last goes", strict, "{c:null}", ",\n    \"c\": {\n        \"d\": \"x\"\n    }\n",
     "\n"},
    {"strict, the last goes and one comes", strict, "{c:null,g:0}",
     "    \"c\": {\n        \"d\": \"x\"\n    }\n", "    \"g\": 0\n"},
    {"strict, all go", strict, "{a:null,b:null,c:null}", NULL, "{}\n"},
    {"strict, elements", strict, "{b:[1,3]}", "[1, 2, 3]", "[1, 3]"},
    {"strict, others", strict, "{b:[3,2,1,0]}", "[1, 2, 3]", "[3, 2, 1, 0]"},
    {"strict, elements behind", strict, "{b:[1,2,3,4,5]}", "3]", "3, 4, 5]"},
    {"strict, a map for a list", strict, "{b:{x:1}}", "[1, 2, 3]", "{ \"x\": 1 }"},
    {"empty", "{}", "{a:1}", NULL, "{ \"a\": 1 }"},
    {"empty but for a word", "{\n  // soon\n}\n", "{a:1}", NULL, "{\n  // soon\n  \"a\": 1\n}\n"},
    {"empty in a line", "{ /* soon */ }", "{a:1}", NULL, "{ /* soon */ \"a\": 1 }"},
    {"commas first", "{ a: 1\n, b: 2\n, c: 3 }", "{b:null}", NULL, "{ a: 1\n, c: 3 }"},
    {"tabs", "{\n\ta: 1\n}\n",
     "{b:{c:'a long value so that it does not fit',d:'into a single line'}}", NULL,
     "{\n\ta: 1,\n\tb: {\n\t\tc: \"a long value so that it does not fit\",\n\t\td: \"into a single "
     "line\"\n\t}\n}\n"},
    {"carriage returns", "{\r\n  a: 1, // x\r\n  b: 2\r\n}\r\n", "{a:null}", NULL,
     "{\r\n  b: 2\r\n}\r\n"},
    {"a comment over lines", "{\n  a: 1, /* x\n  y */\n  b: 2,\n}\n", "{a:null}", NULL,
     "{\n  /* x\n  y */\n  b: 2,\n}\n"},
    {"brackets in strings", "{ a: '}', b: [']'], c: 1 }", "{c:2}", "c: 1", "c: 2"},
    {"keys with escapes", "{ 'a\\x62': 1, c: 2 }", "{ab:3}", "1", "3"},
};

static void merge(json_t *into, const json_t *patch)
{
    const char *key;
    json_t *v;

    json_object_foreach((json_t *)(uintptr_t)patch, key, v)
    {
        json_t *have = json_object_get(into, key);

        if (json_is_null(v)) {
            (void)json_object_del(into, key);
        } else if (json_is_object(v) && json_is_object(have)) {
            merge(have, v);
        } else {
            ck_assert_int_eq(json_object_set(into, key, v), 0);
        }
    }
}

START_TEST(test_rows)
{
    struct buf out = BUF_INIT(65536), want = BUF_INIT(65536);
    struct view text = view_str(rows[_i].text);
    json_t *from = NULL, *to = NULL, *patch = NULL;
    struct err e = ERR_INIT;
    int r;

    ck_assert_msg(json5_parse(text, &from, &e) == 0, "%s: %s", rows[_i].name, e.text);
    ck_assert_msg(json5_parse(view_str(rows[_i].patch), &patch, &e) == 0, "%s", e.text);
    to = json_deep_copy(from);
    merge(to, patch);
    r = config_edit(text, from, to, &out, &e);
    ck_assert_msg(r == 0, "%s: %s", rows[_i].name, e.text);
    if (rows[_i].was) {
        const char *at = strstr(rows[_i].text, rows[_i].was);

        ck_assert_msg(at != NULL, "%s: the row is wrong", rows[_i].name);
        buf_put(&want, text.p, (size_t)(at - text.p));
        buf_put_str(&want, rows[_i].is);
        buf_put_str(&want, at + strlen(rows[_i].was));
    } else {
        buf_put_str(&want, rows[_i].is);
    }
    ck_assert_msg(view_eq(buf_view(&out), buf_view(&want)), "%s: %.*s", rows[_i].name,
                  VIEW_FMT(buf_view(&out)));
    json_decref(from);
    json_decref(to);
    json_decref(patch);
    buf_fini(&out);
    buf_fini(&want);
}
END_TEST

/* Every value of one file becomes every value of the other: nothing but the document counts. */
START_TEST(test_any)
{
    static const char *const docs[] = {
        hand,
        strict,
        "{}",
        "{a:[]}",
        "{a:[[1,[2,{b:3}]],{c:4}],b:{c:{d:{}}}}",
        "{ // x\n a: [ 1, // one\n 2, /* two */ 3 ], b: { /* none */ }, }",
        "{a:{b:{c:{d:1,e:[1,2,{f:1}]}}},\n\n\n// far\nz:1}"};

    for (size_t i = 0; i < COUNT_OF(docs); i++)
        for (size_t j = 0; j < COUNT_OF(docs); j++) {
            struct buf out = BUF_INIT(65536);
            json_t *from = NULL, *to = NULL, *read = NULL;
            struct err e = ERR_INIT;

            ck_assert_int_eq(json5_parse(view_str(docs[i]), &from, &e), 0);
            ck_assert_int_eq(json5_parse(view_str(docs[j]), &to, &e), 0);
            ck_assert_msg(config_edit(view_str(docs[i]), from, to, &out, &e) == 0, "%zu %zu: %s", i,
                          j, e.text);
            ck_assert_int_eq(json5_parse(buf_view(&out), &read, &e), 0);
            ck_assert_msg(json_equal(read, to), "%zu %zu", i, j);
            json_decref(from);
            json_decref(to);
            json_decref(read);
            buf_fini(&out);
        }
}
END_TEST

/* A text of another document, and no room: an error, and nothing added. */
START_TEST(test_cannot)
{
    struct buf out = BUF_INIT(65536), small = BUF_INIT(16);
    json_t *from = NULL, *to = NULL;
    struct err e = ERR_INIT;

    ck_assert_int_eq(json5_parse(V("{a:1,b:2}"), &from, &e), 0);
    ck_assert_int_eq(json5_parse(V("{a:1,b:3}"), &to, &e), 0);
    ck_assert_int_eq(config_edit(V("{x:1,y:2}"), from, to, &out, &e), ERR_INVALID);
    ck_assert_int_eq(config_edit(V("{a:1}"), from, to, &out, &e), ERR_INVALID);
    ck_assert_int_eq(config_edit(VIEW_EMPTY, from, to, &out, &e), ERR_INVALID);
    ck_assert_uint_eq(out.n, 0);
    ck_assert_int_lt(config_edit(V("{a:1,           b:2}"), from, to, &small, &e), 0);
    json_decref(from);
    json_decref(to);
    buf_fini(&out);
    buf_fini(&small);
}
END_TEST

/* Long lists cost no more than their length: what is looked for one by one has a limit. */
START_TEST(test_long_lists)
{
    struct buf a = BUF_INIT((size_t)1 << 22), b = BUF_INIT((size_t)1 << 22),
               out = BUF_INIT((size_t)1 << 23);
    json_t *from = NULL, *to = NULL, *patch = NULL, *doc = NULL;
    struct err e = ERR_INIT;

    buf_put_str(&a, "{l:[");
    buf_put_str(&b, "{l:[");
    for (unsigned i = 0; i < 60000; i++) {
        buf_printf(&a, "{id:'%u'},", i);
        buf_printf(&b, "{id:'%u'},", 60000 - i);
    }
    buf_put_str(&a, "]}");
    buf_put_str(&b, "]}");
    ck_assert_int_eq(json5_parse(buf_view(&a), &from, &e), 0);
    ck_assert_int_eq(json5_parse(buf_view(&b), &to, &e), 0);
    ck_assert_msg(config_edit(buf_view(&a), from, to, &out, &e) == 0, "%s", e.text);
    ck_assert_int_eq(config_merge(from, to, VIEW_EMPTY, &doc, &e), ERR_LIMIT);
    ck_assert_int_eq(config_merge(from, to, V("l"), &doc, &e), 0);
    json_decref(doc);
    doc = NULL;
    ck_assert_int_eq(json5_parse(V("{l:[1]}"), &patch, &e), 0);
    ck_assert_int_eq(config_merge(from, patch, VIEW_EMPTY, &doc, &e), ERR_DENIED);
    json_decref(from);
    json_decref(to);
    json_decref(patch);
    buf_fini(&a);
    buf_fini(&b);
    buf_fini(&out);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_rows, 0, (int)COUNT_OF(rows));
    tcase_add_test(tc, test_any);
    tcase_add_test(tc, test_cannot);
    tcase_add_test(tc, test_long_lists);
}
CK_MAIN("config_edit")
