/* tests/unit/test_openai.c - Chat Completions: streams as servers send them, whole and cut at every
 * byte; requests as jobs ask for them. */
#include "ck.h"
#include "json.h"
#include "mem.h"
#include "provider.h"
#include "sse.h"

#define C(delta)                                                                                   \
    "data: {\"choices\":[{\"index\":0,\"delta\":" delta ",\"finish_reason\":null}]}\n\n"
#define T(text) C("{\"content\":\"" text "\"}")
#define FIN(why)                                                                                   \
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"" why "\"}]}\n\n"
#define USAGE                                                                                      \
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":20,"              \
    "\"total_tokens\":30}}\n\n"
#define DONE "data: [DONE]\n\n"

struct answer {
    struct sse sse;
    struct reply r;
};

static int on_event(void *ctx, struct view name, struct view data, struct err *e)
{
    struct answer *a = ctx;

    openai_ops.event(&a->r, name, data);
    return a->r.done || a->r.fail.reason != FAIL_NONE ? err_set(e, ERR_CLOSED, "over") : 0;
}

/* Feeds n bytes of the stream; clean: the transport then says that this was all. */
static void play(struct answer *a, const char *stream, size_t n, bool clean)
{
    struct err e = ERR_INIT;
    int r;

    sse_init(&a->sse, on_event, a);
    reply_init(&a->r);
    r = sse_feed(&a->sse, view_of(stream, n), &e);
    if (r == 0 && clean)
        r = sse_end(&a->sse, &e);
    ck_assert(r == 0 || r == ERR_CLOSED);
}

static void over(struct answer *a)
{
    sse_fini(&a->sse);
    reply_fini(&a->r);
}

static const struct {
    const char *name, *stream, *text;
    enum reply_stop stop;
    enum fail_reason fail;
    uint64_t input, output, cached;
    const char *tools; /* id:name:args; of each */
} rows[] = {
    {.name = "plain",
     .stream = C("{\"role\":\"assistant\",\"content\":\"\"}") T("Hello") T(" world") FIN("stop")
         USAGE DONE,
     .text = "Hello world",
     .stop = STOP_END,
     .input = 10,
     .output = 20},
    {.name = "no finish reason but done", .stream = T("Hi") DONE, .text = "Hi"},
    {.name = "length", .stream = T("Hi") FIN("length") DONE, .text = "Hi", .stop = STOP_LENGTH},
    {.name = "eos", .stream = T("Hi") FIN("eos") DONE, .text = "Hi", .stop = STOP_END},
    {.name = "unknown finish", .stream = T("Hi") FIN("tired") DONE, .text = "Hi", .stop = STOP_END},
    {.name = "crlf and comments",
     .stream = ": OPENROUTER PROCESSING\r\n\r\ndata: {\"choices\":[{\"delta\":{\"content\":"
               "\"a\"}}]}\r\n\r\n: ping\r\n\r\ndata:{\"choices\":[{\"delta\":{\"content\":"
               "\"b\"}}]}\r\n\r\ndata: [DONE]\r\n\r\n",
     .text = "ab"},
    {.name = "utf-8",
     .stream = T("h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80") T("\xe4\xb8\x8a\xe4\xb8\x8b")
         FIN("stop") DONE,
     .text = "h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\xe4\xb8\x8a\xe4\xb8\x8b",
     .stop = STOP_END},
    {.name = "escapes",
     .stream = T("a\\n\\\"b\\\" \\ud83d\\ude00 \\u00e9") FIN("stop") DONE,
     .text = "a\n\"b\" \xf0\x9f\x98\x80 \xc3\xa9",
     .stop = STOP_END},
    {.name = "half surrogates",
     .stream = T("a\\ud83d") T("\\ude00b\\\\ud83d") FIN("stop") DONE,
     .text = "a\xef\xbf\xbd\xef\xbf\xbd"
             "b\\ud83d",
     .stop = STOP_END},
    {.name = "reasoning",
     .stream = C("{\"reasoning_content\":\"hmm\"}")
         C("{\"reasoning\":\"x\",\"reasoning_content\":\"x\"}") T("ok") FIN("stop") DONE,
     .text = "ok",
     .stop = STOP_END},
    {.name = "azure's first chunk",
     .stream = "data: {\"choices\":[],\"prompt_filter_results\":[{}]}\n\n" T("a") FIN("stop") DONE,
     .text = "a",
     .stop = STOP_END},
    {.name = "usage in the choice",
     .stream = T("a") "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\",\"usage\":{"
                      "\"prompt_tokens\":5,\"completion_tokens\":7}}]}\n\n" DONE,
     .text = "a",
     .stop = STOP_END,
     .input = 5,
     .output = 7},
    {.name = "cached tokens",
     .stream = T("a") FIN("stop") "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":100,"
                                  "\"completion_tokens\":7,\"prompt_tokens_details\":{"
                                  "\"cached_tokens\":90}}}\n\n" DONE,
     .text = "a",
     .stop = STOP_END,
     .input = 10,
     .output = 7,
     .cached = 90},
    {.name = "more cached than asked, and negative",
     .stream = T("a") FIN("stop") "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":10,"
                                  "\"completion_tokens\":-7,\"prompt_tokens_details\":{"
                                  "\"cached_tokens\":90}}}\n\n" DONE,
     .text = "a",
     .stop = STOP_END,
     .cached = 10},
    {.name = "usage with every chunk",
     .stream = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":{\"prompt_tokens\":"
               "3,\"completion_tokens\":1}}\n\n" FIN("stop") USAGE DONE,
     .text = "a",
     .stop = STOP_END,
     .input = 10,
     .output = 20},
    {.name = "second choice is not ours",
     .stream = T("a") "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"b\"}}]}\n\n" FIN(
         "stop") DONE,
     .text = "a",
     .stop = STOP_END},
    {.name = "content parts",
     .stream = C("{\"content\":[{\"type\":\"thinking\",\"thinking\":[]},{\"type\":\"text\","
                 "\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}]}") FIN("stop") DONE,
     .text = "ab",
     .stop = STOP_END},
    {.name = "tool call",
     .stream = C("{\"tool_calls\":[{\"index\":0,\"id\":\"c1\",\"function\":{\"name\":\"read\","
                 "\"arguments\":\"\"}}]}")
         C("{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"id\\\":\"}}]}")
             C("{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"12345678901234567890}"
               "\"}}]}") FIN("tool_calls") USAGE DONE,
     .text = "",
     .stop = STOP_TOOLS,
     .input = 10,
     .output = 20,
     .tools = "c1:read:{\"id\":12345678901234567890};"},
    {.name = "parallel tool calls, interleaved, finish stop",
     .stream = C("{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\"}}]}")
         C("{\"tool_calls\":[{\"index\":1,\"id\":\"b\",\"function\":{\"name\":\"g\"}}]}")
             C("{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"arguments\":\"{}\"}}]}")
                 C("{\"tool_calls\":[{\"index\":1,\"function\":{\"arguments\":\"[]\"}}]}")
                     FIN("stop") DONE,
     .text = "",
     .stop = STOP_TOOLS,
     .tools = "a:f:{};b:g:[];"},
    {.name = "new id under an old index, and no index",
     .stream = C("{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\","
                 "\"arguments\":\"1\"}}]}") C("{\"tool_calls\":[{\"index\":0,\"id\":\"b\","
                                              "\"function\":{\"name\":\"g\"}}]}")
         C("{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"2\"}}]}") C(
             "{\"tool_calls\":[{\"id\":\"c\",\"function\":{\"name\":\"h\",\"arguments\":\"3\"}}]}")
             C("{\"tool_calls\":[{\"function\":{\"arguments\":\"4\"}}]}") FIN("tool_calls") DONE,
     .text = "",
     .stop = STOP_TOOLS,
     .tools = "a:f:1;b:g:2;c:h:34;"},
    {.name = "refusal",
     .stream = C("{\"refusal\":\"I cannot\"}") FIN("stop") DONE,
     .text = "I cannot",
     .stop = STOP_END},
    {.name = "role last, nulls everywhere",
     .stream = C("{\"content\":null,\"tool_calls\":null,\"refusal\":null}") T("a")
         C("{\"role\":\"assistant\"}") "data: "
                                       "{\"choices\":null,\"error\":null,\"usage\":null}\n\n" FIN(
                                           "stop") DONE,
     .text = "a",
     .stop = STOP_END},
    {.name = "unterminated done",
     .stream = T("a") FIN("stop") "data: [DONE]",
     .text = "a",
     .stop = STOP_END},
    {.name = "one line end after done", .stream = T("a") "data: [DONE]\n", .text = "a"},
    /* from here on: never complete */
    {.name = "error inside",
     .stream = T("a") "data: {\"error\":{\"message\":\"boom\"}}\n\n" DONE,
     .text = "a",
     .fail = FAIL_UNKNOWN},
    {.name = "rate limit inside",
     .stream = T("a") "data: {\"error\":{\"code\":429,\"message\":\"slow down\"},\"choices\":[{"
                      "\"delta\":{\"content\":\"\"},\"finish_reason\":\"error\"}]}\n\n",
     .text = "a",
     .fail = FAIL_RATE_LIMIT},
    {.name = "error as text",
     .stream = "data: {\"error\":\"model is overloaded\"}\n\n",
     .text = "",
     .fail = FAIL_OVERLOADED},
    {.name = "filtered",
     .stream = T("a") FIN("content_filter") DONE,
     .text = "a",
     .fail = FAIL_REFUSAL},
    {.name = "finish error",
     .stream = T("a") FIN("network_error") DONE,
     .text = "a",
     .fail = FAIL_TIMEOUT},
    {.name = "no done",
     .stream = T("a") FIN("stop") USAGE,
     .text = "a",
     .input = 10,
     .output = 20,
     .fail = FAIL_INTERRUPTED},
    {.name = "garbage",
     .stream = T("a") "data: {\"choices\":[{\"delta\":{\"content\":\n\n" DONE,
     .text = "a",
     .fail = FAIL_PROTOCOL},
    {.name = "not an object", .stream = "data: [1]\n\n" DONE, .text = "", .fail = FAIL_PROTOCOL},
    {.name = "bad utf-8", .stream = T("a\xff") DONE, .text = "", .fail = FAIL_PROTOCOL},
    {.name = "empty", .stream = DONE, .text = "", .fail = FAIL_EMPTY},
    {.name = "empty stop", .stream = FIN("stop") DONE, .text = "", .fail = FAIL_EMPTY},
    {.name = "nothing", .stream = "", .text = "", .fail = FAIL_INTERRUPTED},
    {.name = "html",
     .stream = "<html>\n\n<body>hello</body>\n\n",
     .text = "",
     .fail = FAIL_INTERRUPTED},
};

static void tools_text(const struct reply *r, struct buf *out)
{
    for (unsigned i = 0; i < r->tools; i++) {
        buf_put_view(out, buf_view(&r->tool[i].id));
        buf_put_char(out, ':');
        buf_put_view(out, buf_view(&r->tool[i].name));
        buf_put_char(out, ':');
        buf_put_view(out, buf_view(&r->tool[i].args));
        buf_put_char(out, ';');
    }
}

START_TEST(test_streams)
{
    struct answer a;
    struct buf tools = BUF_INIT(4096);
    const char *name = rows[_i].name, *want = rows[_i].tools ? rows[_i].tools : "";

    play(&a, rows[_i].stream, strlen(rows[_i].stream), true);
    ck_assert_msg(reply_complete(&a.r) == (rows[_i].fail == FAIL_NONE), "%s: %s", name,
                  a.r.fail.text);
    ck_assert_msg(a.r.fail.reason == rows[_i].fail, "%s: %s: %s", name,
                  fail_reason_name(a.r.fail.reason), a.r.fail.text);
    ck_assert_msg(view_eq(buf_view(&a.r.text), view_str(rows[_i].text)), "%s: %.*s", name,
                  VIEW_FMT(buf_view(&a.r.text)));
    if (rows[_i].fail == FAIL_NONE)
        ck_assert_msg(a.r.stop == rows[_i].stop, "%s: %d", name, (int)a.r.stop);
    tools_text(&a.r, &tools);
    ck_assert_msg(view_eq(buf_view(&tools), view_str(want)), "%s: %.*s", name,
                  VIEW_FMT(buf_view(&tools)));
    ck_assert_msg(a.r.usage.input == rows[_i].input && a.r.usage.output == rows[_i].output &&
                      a.r.usage.cache_read == rows[_i].cached,
                  "%s", name);
    buf_fini(&tools);
    over(&a);
}
END_TEST

/* Where the terminator is whole: a clean end is believed from there on. */
static size_t done_at(const char *stream)
{
    const char *p = strstr(stream, "[DONE]");

    return p ? (size_t)(p - stream) + 6 : SIZE_MAX;
}

START_TEST(test_cut_everywhere)
{
    const char *stream = rows[_i].stream;
    size_t whole = done_at(stream);

    for (size_t n = 0; n <= strlen(stream); n++)
        for (int clean = 0; clean < 2; clean++) {
            struct answer a;
            bool may = rows[_i].fail == FAIL_NONE && n >= whole;

            play(&a, stream, n, clean);
            ck_assert_msg(!reply_complete(&a.r) || may, "%s: complete at byte %zu, clean %d",
                          rows[_i].name, n, clean);
            ck_assert_msg(a.r.fail.reason != FAIL_NONE || may, "%s: %zu", rows[_i].name, n);
            ck_assert_msg(view_starts(view_str(rows[_i].text), buf_view(&a.r.text)), "%s: %zu",
                          rows[_i].name, n);
            over(&a);
        }
}
END_TEST

static void repeat(struct answer *a, const char *event, unsigned times)
{
    sse_init(&a->sse, on_event, a);
    reply_init(&a->r);
    for (unsigned i = 0; i < times; i++) {
        struct err e = ERR_INIT;

        if (sse_feed(&a->sse, view_str(event), &e) < 0)
            break;
    }
}

START_TEST(test_bounds)
{
    char part[64 * KIB], event[65 * KIB];
    struct answer a;
    struct buf big = BUF_INIT(1 * MIB);

    memset(part, 'x', sizeof(part) - 1);
    part[sizeof(part) - 1] = 0;
    (void)snprintf(event, sizeof(event), T("%s"), part);
    repeat(&a, event, 16); /* 16 times one byte less than a 16th: fits */
    ck_assert_int_eq(a.r.fail.reason, FAIL_NONE);
    ck_assert_uint_eq(a.r.text.n, REPLY_TEXT_MAX - 16);
    over(&a);
    repeat(&a, event, 17);
    ck_assert_int_eq(a.r.fail.reason, FAIL_TOO_LARGE);
    ck_assert(!reply_complete(&a.r));
    over(&a);

    repeat(&a, C("{\"tool_calls\":[{\"id\":\"c\",\"function\":{\"name\":\"f\"}}]}"),
           REPLY_TOOLS_MAX);
    ck_assert_int_eq(a.r.fail.reason, FAIL_NONE);
    ck_assert_uint_eq(a.r.tools, REPLY_TOOLS_MAX);
    over(&a);
    repeat(&a, C("{\"tool_calls\":[{\"id\":\"c\",\"function\":{\"name\":\"f\"}}]}"),
           REPLY_TOOLS_MAX + 1);
    ck_assert_int_eq(a.r.fail.reason, FAIL_TOO_LARGE);
    over(&a);

    (void)snprintf(event, sizeof(event), C("{\"tool_calls\":[{\"index\":0,\"id\":\"%.129s\"}]}"),
                   part);
    repeat(&a, event, 1);
    ck_assert_int_eq(a.r.fail.reason, FAIL_TOO_LARGE);
    over(&a);
    buf_fini(&big);
}
END_TEST

static const struct {
    const char *name, *job, *want; /* want NULL: refused */
    struct model_spec model;
} bodies[] = {
    {"plain",
     "{\"system\":\"Be kind\",\"messages\":[{\"role\":\"user\",\"content\":\"hi \\\"x\\\"\"}]}",
     "{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":true},\"messages\":["
     "{\"role\":\"system\",\"content\":\"Be kind\"},{\"role\":\"user\",\"content\":\"hi "
     "\\\"x\\\"\"}]}",
     {.id = {"m", 1}, .temperature = -1, .top_p = -1}},
    {"history with parts, empty ones left out",
     "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":"
     "\"text\",\"text\":\"b\"}]},{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\","
     "\"thinking\":\"t\"}]},{\"role\":\"assistant\",\"content\":\"\"},{\"role\":\"assistant\","
     "\"content\":[{\"type\":\"text\",\"text\":\"c\"}]}]}",
     "{\"model\":\"m\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"a\\nb\"},"
     "{\"role\":\"assistant\",\"content\":\"c\"}]}",
     {.id = {"m", 1}, .temperature = -1, .top_p = -1, .no_stream_usage = true}},
    {"image",
     "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"see\"},{"
     "\"type\":"
     "\"image\",\"mimeType\":\"image/gif\",\"data\":\"R0lG\"}]}]}",
     "{\"model\":\"m\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":"
     "\"text\",\"text\":\"see\"},{\"type\":\"image_url\",\"image_url\":{\"url\":"
     "\"data:image/gif;base64,R0lG\"}}]}]}",
     {.id = {"m", 1}, .temperature = -1, .top_p = -1, .no_stream_usage = true}},
    {"limits, compatible server",
     "{\"thinking\":\"low\",\"messages\":[]}",
     "{\"model\":\"m\",\"stream\":true,\"max_tokens\":100,\"messages\":[]}",
     {.id = {"m", 1}, .temperature = -1, .top_p = -1, .no_stream_usage = true, .max_tokens = 100}},
    {"limits, native and reasoning",
     "{\"thinking\":\"low\",\"system\":\"s\",\"messages\":[]}",
     "{\"model\":\"m\",\"stream\":true,\"max_completion_tokens\":100,\"reasoning_effort\":\"low\","
     "\"store\":false,\"messages\":[{\"role\":\"developer\",\"content\":\"s\"}]}",
     {.id = {"m", 1},
      .temperature = -1,
      .top_p = -1,
      .no_stream_usage = true,
      .max_tokens = 100,
      .native = true,
      .reasoning = true}},
    {"tools: calls with their results, halves left out; limits of the request",
     "{\"tools\":[{\"name\":\"f\",\"description\":\"d\",\"parameters\":{\"type\":\"object\"}}],"
     "\"toolChoice\":\"required\",\"limits\":{\"maxTokens\":9,\"temperature\":0.5,\"stop\":[\"x\"],"
     "\"seed\":7},\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\","
     "\"content\":[{\"type\":\"text\",\"text\":\"t\"},{\"type\":\"toolCall\",\"id\":\"a\",\"name\":"
     "\"f\",\"arguments\":\"{\\\"x\\\":1}\"},{\"type\":\"toolCall\",\"id\":\"b\",\"name\":\"f\","
     "\"arguments\":{}}]},{\"role\":\"toolResult\",\"toolCallId\":\"a\",\"content\":\"r\"},{"
     "\"role\":\"toolResult\",\"toolCallId\":\"a\",\"content\":\"again\"},{\"role\":\"toolResult\","
     "\"toolCallId\":\"z\",\"content\":\"nobody "
     "asked\"},{\"role\":\"user\",\"content\":\"w\"},{\"role\":\"assistant\",\"content\":[{"
     "\"type\":\"toolCall\",\"id\":\"c\",\"name\":\"f\",\"arguments\":\"{}\"}]},{\"role\":"
     "\"toolResult\",\"toolCallId\":\"c\",\"content\":\"\"}]}",
     "{\"model\":\"m\",\"stream\":true,\"max_tokens\":9,\"temperature\":0.5,\"seed\":7,\"stop\":["
     "\"x\"],\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\","
     "\"content\":\"t\",\"tool_calls\":[{\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":"
     "\"f\",\"arguments\":\"{\\\"x\\\":1}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"a\","
     "\"content\":\"r\"},{\"role\":\"user\",\"content\":\"w\"},{\"role\":\"assistant\",\"content\":"
     "null,\"tool_calls\":[{\"id\":\"c\",\"type\":\"function\",\"function\":{\"name\":\"f\","
     "\"arguments\":\"{}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"c\",\"content\":\"\"}],"
     "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"d\","
     "\"parameters\":{\"type\":\"object\"}}}],\"tool_choice\":\"required\"}",
     {.id = {"m", 1}, .temperature = -1, .top_p = -1, .no_stream_usage = true, .max_tokens = 100}},
    {"one tool, by name",
     "{\"tools\":[{\"name\":\"f\"}],\"toolChoice\":{\"name\":\"f\"},\"messages\":[]}",
     "{\"model\":\"m\",\"stream\":true,\"messages\":[],\"tools\":[{\"type\":\"function\","
     "\"function\":{\"name\":\"f\"}}],\"tool_choice\":{\"type\":\"function\",\"function\":{"
     "\"name\":\"f\"}}}",
     {.id = {"m", 1}, .temperature = -1, .top_p = -1, .no_stream_usage = true}},
    {"no messages", "{}", NULL, {.id = {"m", 1}, .temperature = -1, .top_p = -1}},
    {"unknown role",
     "{\"messages\":[{\"role\":\"boss\",\"content\":\"x\"}]}",
     NULL,
     {.id = {"m", 1}, .temperature = -1, .top_p = -1}},
    {"content is a number",
     "{\"messages\":[{\"role\":\"user\",\"content\":1}]}",
     NULL,
     {.id = {"m", 1}, .temperature = -1, .top_p = -1}},
    {"message is a number",
     "{\"messages\":[1]}",
     NULL,
     {.id = {"m", 1}, .temperature = -1, .top_p = -1}},
};

START_TEST(test_body)
{
    struct buf out = BUF_INIT(BODY_MAX);
    struct err e = ERR_INIT;
    json_t *job = NULL;
    int r;

    ck_assert_msg(json_parse(view_str(bodies[_i].job), &job, &e) == 0, "%s", bodies[_i].name);
    r = openai_ops.body(&(struct model_request){.model = &bodies[_i].model, .job = job}, &out, &e);
    ck_assert_msg((r == 0) == (bodies[_i].want != NULL), "%s: %s", bodies[_i].name, e.text);
    if (bodies[_i].want)
        ck_assert_msg(view_eq(buf_view(&out), view_str(bodies[_i].want)), "%s: %.*s",
                      bodies[_i].name, VIEW_FMT(buf_view(&out)));
    json_decref(job);
    buf_fini(&out);
}
END_TEST

START_TEST(test_url)
{
    struct buf out = BUF_INIT(256);

    openai_ops.url(&(struct model_spec){.base_url = V("https://api.openai.com/v1//")}, &out);
    ck_assert(view_eq(buf_view(&out), V("https://api.openai.com/v1/chat/completions")));
    buf_fini(&out);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_streams, 0, (int)COUNT_OF(rows));
    tcase_add_loop_test(tc, test_cut_everywhere, 0, (int)COUNT_OF(rows));
    tcase_add_test(tc, test_bounds);
    tcase_add_loop_test(tc, test_body, 0, (int)COUNT_OF(bodies));
    tcase_add_test(tc, test_url);
}

CK_MAIN("openai")
