/* What a message has beside its text: words become text, buttons one shape. */
#include "ck.h"
#include "json.h"
#include "mem.h"
#include "presentation.h"

static const struct {
    const char *name, *params, *text, *extra; /* ' for "; extra NULL: refused */
} rows[] = {
    {"nothing", "{}", "", ""},
    {"only a message", "{'message':'x'}", "", ""},
    {"title and words",
     "{'presentation':{'title':' T ','blocks':[{'type':'text','text':'a'},{'type':'divider'},"
     "{'type':'context','text':'b'}]}}",
     "**T**\n\na\n\n---\n\nb", ""},
    {"buttons of a block",
     "{'presentation':{'blocks':[{'type':'buttons','buttons':["
     "{'label':'Yes','action':{'type':'callback','value':'y'},'style':'success'},"
     "{'label':'Go','action':{'type':'url','url':'https://a'}},"
     "{'label':'S','action':{'type':'command','command':' /status '}},"
     "{'label':'W','action':{'type':'web-app','url':'https://w'}}]}]}}",
     "",
     "{'buttons':[[{'text':'Yes','callback':'y','style':'success'},{'text':'Go','url':'https://a'},"
     "{'text':'S','command':'/status'}],[{'text':'W','webApp':'https://w'}]]}"},
    {"as the text of its JSON",
     "{'presentation':'{\\'blocks\\':[{\\'type\\':\\'text\\',\\'text\\':\\'a\\'}]}'}", "a", ""},
    {"select",
     "{'presentation':{'blocks':[{'type':'select','placeholder':'which','options':[{'label':'A','"
     "value':'a'}]}]}}",
     "which", "{'buttons':[[{'text':'A','value':'a'}]]}"},
    {"a disabled button is words", "{'buttons':[[{'text':'A','value':'a','disabled':true}]]}", "A",
     "{'buttons':[]}"},
    {"rows",
     "{'buttons':[[{'text':'A','callback_data':'a'}],[{'text':'B','callbackData':'b'},{'label':'C',"
     "'url':'https://c'}]]}",
     "",
     "{'buttons':[[{'text':'A','value':'a'}],[{'text':'B','value':'b'},{'text':'C','url':'https://"
     "c'}]]}"},
    {"one row", "{'buttons':[{'text':'A','value':'a'},{'text':'B','value':'b'}]}", "",
     "{'buttons':[[{'text':'A','value':'a'},{'text':'B','value':'b'}]]}"},
    {"channelData",
     "{'channelData':{'telegram':{'buttons':[[{'text':'A','callback_data':'a'}]]},'x':1}}", "",
     "{'buttons':[[{'text':'A','value':'a'}]],'channelData':{'telegram':{'buttons':[[{'text':'A','"
     "callback_data':'a'}]]},'x':1}}"},
    {"table",
     "{'presentation':{'blocks':[{'type':'table','caption':'Open','headers':['A','B'],'rows':[['x',"
     "1],['y',2.5]]}]}}",
     "Open (table)\n- A: x; B: 1\n- A: y; B: 2.5", ""},
    {"charts",
     "{'presentation':{'blocks':[{'type':'chart','title':'P','segments':[{'label':'a','value':1}]},"
     "{'type':'chart','title':'L','categories':['q','r'],'series':[{'name':'s','values':[1,2]}]}]}"
     "}",
     "P (chart)\n- a: 1\n\nL (chart)\n- s: q 1, r 2", ""},
    {"no label", "{'buttons':[[{'value':'a'}]]}", "", NULL},
    {"nothing to do", "{'buttons':[[{'text':'A'}]]}", "", NULL},
    {"an action we do not know",
     "{'buttons':[[{'text':'A','action':{'type':'approval','url':'x'}}]]}", "", NULL},
    {"no such block", "{'presentation':{'blocks':[{'type':'modal'}]}}", "", NULL},
    {"not JSON", "{'presentation':'{'}", "", NULL},
    {"a list", "{'presentation':[]}", "", NULL},
    {"a number", "{'presentation':7}", "", NULL},
};

static json_t *doc_of(const char *text)
{
    struct buf b = BUF_INIT(1 << 20);
    struct err e = ERR_INIT;
    json_t *doc = NULL;

    for (; *text; text++)
        buf_put_char(&b, *text == '\'' ? '"' : *text);
    ck_assert_msg(json_parse(buf_view(&b), &doc, &e) == 0, "%s", e.text);
    buf_fini(&b);
    return doc;
}

START_TEST(test_presentation)
{
    struct buf text = BUF_INIT(1 << 20), extra = BUF_INIT(64 << 10);
    struct err e = ERR_INIT;
    json_t *p = doc_of(rows[_i].params), *got = NULL, *want;
    int r = presentation_read(p, &text, &extra, &e);

    ck_assert_msg((r < 0) == !rows[_i].extra, "%s: %s", rows[_i].name, e.text);
    if (r == 0) {
        ck_assert_msg(view_eq(buf_view(&text), view_str(rows[_i].text)), "%s: %.*s", rows[_i].name,
                      VIEW_FMT(buf_view(&text)));
        want = *rows[_i].extra ? doc_of(rows[_i].extra) : NULL;
        ck_assert_msg((extra.n > 0) == (want != NULL), "%s", rows[_i].name);
        if (want)
            ck_assert_int_eq(json_parse(buf_view(&extra), &got, &e), 0);
        ck_assert_msg(!want || json_equal(got, want), "%s: %.*s", rows[_i].name,
                      VIEW_FMT(buf_view(&extra)));
        json_decref(want);
    }
    json_decref(got);
    json_decref(p);
    buf_fini(&text);
    buf_fini(&extra);
}
END_TEST

static int with_buttons(unsigned n)
{
    struct buf text = BUF_INIT(1 << 20), extra = BUF_INIT(64 << 10);
    struct err e = ERR_INIT;
    json_t *row = json_array(), *p;
    int r;

    for (unsigned i = 0; i < n; i++)
        (void)json_array_append_new(row, json_pack("{s:s,s:s}", "text", "A", "value", "a"));
    p = json_pack("{s:o}", "buttons", row);
    r = presentation_read(p, &text, &extra, &e);
    json_decref(p);
    buf_fini(&text);
    buf_fini(&extra);
    return r;
}

START_TEST(test_limit)
{
    ck_assert_int_eq(with_buttons(PRESENTATION_BUTTONS_MAX), 0);
    ck_assert_int_eq(with_buttons(PRESENTATION_BUTTONS_MAX + 1), ERR_LIMIT);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_presentation, 0, (int)COUNT_OF(rows));
    tcase_add_test(tc, test_limit);
}

CK_MAIN("presentation")
